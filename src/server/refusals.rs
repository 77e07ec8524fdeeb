//! What was refused lately: counted for whoever asks how the server is, and said in its log, a line now
//! and then, so that somebody who sends with a wrong token is found, and nobody fills the disk by it.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use axum::http::StatusCode;

use crate::model::clean::clean_line;
use crate::model::health::Refused;
use crate::model::time::{Span, Time};

/// How far back it is counted.
const LATELY: Span = Span::from_mins(10);
/// Lines in the log, at most one in so long.
const QUIET: Span = Span::from_secs(30);
/// Refusals that are kept to be counted.
const MOST: usize = 1_000;

#[derive(Debug, Default)]
pub struct Refusals(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    times: VecDeque<Time>,
    last: Option<Refused>,
    logged: Option<Time>,
    /// Refused since the last line.
    unsaid: u64,
}

impl Refusals {
    /// Takes note of a push that was refused, and says it. `from`: who sent it, as far as that is known;
    /// `why` never holds a token.
    pub fn note(&self, at: Time, from: &str, route: &str, status: StatusCode, why: &str) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.times.len() >= MOST {
            kept.times.pop_front();
        }
        kept.times.push_back(at);
        let why: String = clean_line(why).chars().take(300).collect();
        kept.last = Some(Refused { at, route: route.into(), why: why.as_str().into() });
        drop(kept);
        self.say(at, from, route, status, &why);
    }

    /// A line in the log, unless there was one a moment ago.
    pub fn say(&self, at: Time, from: &str, route: &str, status: StatusCode, why: &str) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was put back opens the window too.
        if kept.logged.is_some_and(|logged| logged <= at && at.since(logged) < QUIET) {
            kept.unsaid += 1;
            return;
        }
        let others = std::mem::take(&mut kept.unsaid);
        kept.logged = Some(at);
        drop(kept);
        tracing::warn!(from, route, status = status.as_u16(), why, others, "a request was refused");
    }

    /// How many there were lately, and the last of them.
    pub fn lately(&self, now: Time) -> (u64, Option<Refused>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while kept.times.front().is_some_and(|at| now.since(*at) > LATELY) {
            kept.times.pop_front();
        }
        let count = u64::try_from(kept.times.len()).unwrap_or(u64::MAX);
        (count, kept.last.clone().filter(|_| count > 0))
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What the log says while this runs.
    fn logged(run: impl FnOnce()) -> String {
        let lines = Lines::default();
        let to = lines.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || to.clone()).finish();
        tracing::subscriber::with_default(subscriber, run);
        String::from_utf8(lines.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn lines_in_the_log_are_few_and_count_what_they_leave_out() {
        let refusals = Refusals::default();
        let lines = logged(|| {
            for second in 0..100 {
                refusals.say(Time::from_secs(1_000 + second), "127.0.0.1:4711 (curl)", "hello", StatusCode::UNAUTHORIZED, "this token opens nothing here");
            }
        });
        assert_eq!(lines.lines().count(), 4, "{lines}");
        let first = lines.lines().next().unwrap();
        for part in ["127.0.0.1:4711 (curl)", "hello", "401", "this token opens nothing here", "others=0"] {
            assert!(first.contains(part), "{part} in {first}");
        }
        assert!(lines.lines().skip(1).all(|line| line.contains("others=29")), "{lines}");
        // A clock that was put back does not silence it.
        assert!(!logged(|| refusals.say(Time::from_secs(500), "a", "b", StatusCode::UNAUTHORIZED, "c")).is_empty());
    }

    #[test]
    fn what_was_refused_is_counted_for_ten_minutes() {
        let refusals = Refusals::default();
        let at = |secs: i64| Time::from_secs(1_000 + secs);
        for second in 0..3 {
            refusals.note(at(second * 300), "127.0.0.1:4711", "/api/v2/alerts", StatusCode::UNAUTHORIZED, "no\u{202e}t one of them");
        }
        let (count, last) = refusals.lately(at(601));
        assert_eq!(count, 2);
        assert!(!last.unwrap().why.contains('\u{202e}'));
        assert_eq!(refusals.lately(at(5_000)), (0, None));
    }
}
