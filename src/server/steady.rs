//! The time that is written down: it never goes back (P9), whatever the wall's clock does.

use std::sync::Arc;

use tokio::time::Instant;

use crate::link::Clock;
use crate::model::time::{Span, Time};

/// A clock that never goes back. While the wall's is behind what was already said, ours goes on at half
/// pace until it is caught up with: nothing stands still, and nothing stays ahead for ever.
pub(super) struct SteadyNow {
    clock: Arc<dyn Clock>,
    said: Time,
    measured: Instant,
}

impl SteadyNow {
    pub(super) fn new(clock: Arc<dyn Clock>, recorded: Time) -> SteadyNow {
        let said = clock.now().max(recorded);
        SteadyNow { clock, said, measured: Instant::now() }
    }

    pub(super) fn peek(&self) -> Time {
        let passed = Span::from(self.measured.elapsed() / 2);
        self.clock.now().max(self.said.plus(passed))
    }

    pub(super) fn now(&mut self) -> Time {
        self.said = self.peek();
        self.measured = Instant::now();
        self.said
    }

    /// How far the wall's clock is behind.
    pub(super) fn behind(&self) -> Span {
        self.peek().since(self.clock.now())
    }
}

/// Waits for that time; never ends without one.
pub(super) async fn until(time: Option<Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}
