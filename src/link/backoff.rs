//! How long to wait before the next attempt: doubling, capped, with jitter, so that a thousand consoles
//! do not come back in the same second.

use std::time::Duration;

use super::clock::Random;

#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    most: Duration,
    attempts: u32,
}

impl Backoff {
    pub fn new(first: Duration, most: Duration) -> Backoff {
        Backoff { first, most, attempts: 0 }
    }

    /// It worked: the next failure begins anew.
    pub fn reset(&mut self) {
        self.attempts = 0;
    }

    /// Half to all of the current step, which then doubles.
    pub fn next(&mut self, random: &dyn Random) -> Duration {
        let step = self.first.saturating_mul(1_u32.checked_shl(self.attempts.min(20)).unwrap_or(u32::MAX)).min(self.most);
        self.attempts = self.attempts.saturating_add(1);
        let half = step / 2;
        let jitter = random.below(u64::try_from(half.as_micros()).unwrap_or(0).saturating_add(1));
        half.saturating_add(Duration::from_micros(jitter))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::clock::SeededRandom;

    #[test]
    fn steps_double_up_to_the_cap_and_begin_anew() {
        let random = SeededRandom::new(1);
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        let mut step = Duration::from_millis(100);
        for _ in 0..20 {
            let wait = backoff.next(&random);
            assert!(wait >= step / 2 && wait <= step, "{wait:?} for {step:?}");
            step = (step * 2).min(Duration::from_secs(5));
        }
        backoff.reset();
        assert!(backoff.next(&random) <= Duration::from_millis(100));
    }
}
