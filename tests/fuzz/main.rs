//! What comes from outside, bent at random: nothing panics, nothing takes for ever, and what is taken is what was meant.
//!
//! Each target looks at its good examples and at what is kept in `tests/fuzz/corpus/TARGET`, and then for a short while
//! at random bytes and at all of those, bent. `MIDWATCH_FUZZ_SECONDS` makes that longer, and with `MIDWATCH_FUZZ_KEEP=FOLDER`
//! what was like nothing before is kept there; `cargo bolero test TARGET` looks for what is not covered yet.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::unreachable
)]

mod bend;
mod http;
mod kept;
mod line;
mod logs;
mod peers;
mod tokens;
mod tree;
mod trust;
mod words;

use std::time::{Duration, Instant};

/// How long one way of making inputs goes on.
fn time() -> Duration {
    let seconds = std::env::var("MIDWATCH_FUZZ_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(1.0);
    Duration::from_secs_f64(seconds)
}

/// What anything may take at most.
const MOST: Duration = Duration::from_secs(5);

fn quick<T>(work: impl Fn() -> T) -> T {
    let timed = || {
        let began = Instant::now();
        (work(), began.elapsed())
    };
    let (done, took) = timed();
    // The machine may have had other things to do: what takes long does so again.
    let took = if took < MOST { took } else { timed().1 };
    assert!(took < MOST, "it took {took:?}");
    done
}

/// `look` says in words what came of an input. Where examples are JSON, their parts are also exchanged.
macro_rules! fuzz {
    ($target:literal, trees: $seeds:expr, $look:expr) => {{
        let kept = $crate::fuzz!($target, $seeds, $look);
        let look = |bytes: &[u8]| $crate::quick(|| String::from($look(bytes)));
        let moved = bolero::check!().with_test_time($crate::time()).with_iterations(1_000_000_000).with_type::<$crate::tree::Moved>();
        moved.for_each(|moved: &$crate::tree::Moved| kept.moved(moved).iter().for_each(|bytes| kept.look(bytes, &look)));
    }};
    ($target:literal, $seeds:expr, $look:expr) => {{
        let look = |bytes: &[u8]| $crate::quick(|| String::from($look(bytes)));
        let kept = $crate::kept::Kept::of($target, $seeds);
        kept.look_at_all(&look);
        let (time, most) = ($crate::time(), 1_000_000_000);
        bolero::check!().with_test_time(time).with_iterations(most).with_max_len(4_096).for_each(|bytes: &[u8]| kept.look(bytes, &look));
        let bent = bolero::check!().with_test_time(time).with_iterations(most).with_type::<$crate::bend::Bent>();
        bent.for_each(|bent: &$crate::bend::Bent| kept.look(&kept.bent(bent), &look));
        kept
    }};
}
use fuzz;
