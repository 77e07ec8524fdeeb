//! The wall clock and random numbers, handed in to whatever must run in simulation.

use std::sync::Mutex;
use std::sync::PoisonError;

use crate::model::id::RequestId;
use crate::model::time::Time;

/// What time it is on the wall. It may jump and go back; lengths of time are measured by tokio's clock.
pub trait Clock: Send + Sync + 'static {
    fn now(&self) -> Time;
}

/// The system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Time {
        Time::from(jiff::Timestamp::now())
    }
}

/// A wall clock that follows tokio's: in a test with paused time it moves as that does, and
/// [`SteadyClock::shift`] makes it jump.
#[derive(Debug)]
pub struct SteadyClock {
    began: tokio::time::Instant,
    base: Mutex<Time>,
}

impl SteadyClock {
    pub fn new(base: Time) -> SteadyClock {
        SteadyClock { began: tokio::time::Instant::now(), base: Mutex::new(base) }
    }

    /// Makes it jump by so many microseconds, forth or back.
    pub fn shift(&self, micros: i64) {
        let mut base = self.base.lock().unwrap_or_else(PoisonError::into_inner);
        *base = Time::from_micros(base.micros().saturating_add(micros));
    }
}

impl Clock for SteadyClock {
    fn now(&self) -> Time {
        let base = *self.base.lock().unwrap_or_else(PoisonError::into_inner);
        base.plus(self.began.elapsed().into())
    }
}

pub trait Random: Send + Sync + 'static {
    fn fill(&self, bytes: &mut [u8]);

    /// 0 or greater, less than `below` (0 when that is 0).
    fn below(&self, below: u64) -> u64 {
        let mut bytes = [0; 8];
        self.fill(&mut bytes);
        u64::from_le_bytes(bytes).checked_rem(below).unwrap_or(0)
    }

    fn request_id(&self) -> RequestId {
        let mut bytes = [0; 16];
        self.fill(&mut bytes);
        RequestId(bytes)
    }
}

/// The operating system's random numbers.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsRandom;

impl Random for OsRandom {
    fn fill(&self, bytes: &mut [u8]) {
        // Without random numbers at all (an old kernel in early boot) the time serves: these bytes
        // tell requests apart and spread retries. Keys and tokens do not come from here.
        if getrandom::fill(bytes).is_err() {
            SeededRandom::new(SystemClock.now().micros().cast_unsigned()).fill(bytes);
        }
    }
}

/// The same numbers for the same seed (SplitMix64).
#[derive(Debug)]
pub struct SeededRandom(Mutex<u64>);

impl SeededRandom {
    pub fn new(seed: u64) -> SeededRandom {
        SeededRandom(Mutex::new(seed))
    }
}

impl Random for SeededRandom {
    fn fill(&self, bytes: &mut [u8]) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for chunk in bytes.chunks_mut(8) {
            *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = *state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^= z >> 31;
            chunk.iter_mut().zip(z.to_le_bytes()).for_each(|(to, from)| *to = from);
        }
    }
}
