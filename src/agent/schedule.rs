//! When checks run: each in a phase of its own, one run at a time, so many at once, without drift.
//!
//! Intervals are measured by the monotonic clock, so that a wall clock that jumps neither skips nor storms. When the wall
//! clock has moved on without the monotonic one (the machine slept), everything is looked at soon again: what was known
//! before is old.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use sha2::{Digest, Sha256};
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::time::{Instant, sleep_until};

use super::check::{Context, Outcome};
use super::config::CheckConfig;
use super::text;
use crate::link::Clock;
use crate::model::id::{AgentId, CheckId};
use crate::model::observation::{Metric, Observation};

/// Within this all checks have run once after a start, and after the machine slept.
const FIRST: Duration = Duration::from_secs(1);
/// How often the two clocks are compared, and by how much they must differ to mean sleep.
const COMPARED: Duration = Duration::from_secs(5);
const SLEPT: Duration = Duration::from_secs(30);
/// Numbers of one observation that are kept.
const METRICS: usize = 256;

/// What all checks of an agent share.
#[derive(Clone)]
pub(super) struct Shared {
    pub agent: AgentId,
    pub clock: Arc<dyn Clock>,
    /// As many permits as checks may run at once.
    pub permits: Arc<Semaphore>,
    pub results: mpsc::Sender<Observation>,
    /// Changes when everything should be looked at again.
    pub again: watch::Receiver<u64>,
    /// The folder where checks remember things.
    pub memory: Option<PathBuf>,
}

/// Runs one check, over and over, until it is dropped.
pub(super) async fn repeat(check: CheckConfig, shared: Shared) {
    let interval = check.interval.duration();
    let mut again = shared.again.clone();
    let begin = Instant::now();
    // The first result soon, the further ones in the check's own phase.
    let mut next = begin + splay(&shared.agent, &check.name, FIRST.min(interval));
    let phase = begin + splay(&shared.agent, &check.name, interval);
    let context = Context {
        clock: shared.clock.clone(),
        limit: check.timeout.duration(),
        memory: shared.memory.as_ref().map(|folder| folder.join(format!("{}.json", hex(&check.name)))),
    };
    loop {
        tokio::select! {
            () = sleep_until(next) => {}
            changed = again.changed() => {
                if changed.is_ok() {
                    sleep_until(Instant::now() + splay(&shared.agent, &check.name, FIRST.min(interval))).await;
                } else {
                    sleep_until(next).await;
                }
            }
        }
        let outcome = {
            // The semaphore is never closed; if it were, the check would run all the same.
            let _permit = shared.permits.acquire().await;
            // A mistake in one check must not silence it.
            std::panic::AssertUnwindSafe(check.kind.run(&context)).catch_unwind().await
        };
        let outcome = outcome.unwrap_or_else(|_| Outcome::unknown("this check broke off by a mistake in the agent: please report it"));
        if shared.results.send(observation(&check, &shared, outcome)).await.is_err() {
            return;
        }
        next = following(phase, interval, Instant::now());
    }
}

/// The first moment of the phase that is after `now`: runs that were missed are not made up for.
fn following(phase: Instant, interval: Duration, now: Instant) -> Instant {
    let Some(passed) = now.checked_duration_since(phase) else { return phase };
    let rounds = passed.as_nanos() / interval.as_nanos().max(1) + 1;
    let micros = interval.as_micros().saturating_mul(rounds);
    phase.checked_add(Duration::from_micros(u64::try_from(micros).unwrap_or(u64::MAX / 4))).unwrap_or(now + interval)
}

/// A wait from zero to `most`, always the same for the same agent and check.
fn splay(agent: &AgentId, check: &CheckId, most: Duration) -> Duration {
    let mut hash = Sha256::new();
    hash.update(agent.as_str());
    hash.update([0]);
    hash.update(check.as_str());
    let number = hash.finalize().first_chunk::<4>().map_or(0, |bytes| u32::from_le_bytes(*bytes));
    most.mul_f64(f64::from(number) / f64::from(u32::MAX) * 0.999)
}

/// A name for a file, whatever the check is called.
fn hex(check: &CheckId) -> String {
    Sha256::digest(check.as_str()).iter().take(12).map(|byte| format!("{byte:02x}")).collect()
}

fn observation(check: &CheckConfig, shared: &Shared, outcome: Outcome) -> Observation {
    Observation {
        agent: shared.agent.clone(),
        check: check.name.clone(),
        system: check.system.clone(),
        at: shared.clock.now(),
        status: outcome.status,
        text: text::title(&outcome.text).into(),
        details: text::details(&outcome.details).into(),
        metrics: outcome.metrics.into_iter().filter(|m| m.value.is_finite()).take(METRICS).map(clean).collect(),
        every: check.interval,
        attempts: check.attempts,
        runbook: check.runbook.as_deref().map(Into::into),
    }
}

fn clean(metric: Metric) -> Metric {
    if metric.name.chars().any(char::is_control) { Metric { name: text::title(&metric.name).into(), ..metric } } else { metric }
}

/// Says when the machine slept, until it is dropped.
pub(super) async fn watch_for_sleep(clock: Arc<dyn Clock>, again: watch::Sender<u64>) {
    let (mut wall, mut steady) = (clock.now(), Instant::now());
    loop {
        tokio::time::sleep(COMPARED).await;
        let (wall_now, steady_now) = (clock.now(), Instant::now());
        let ahead = wall_now.since(wall).duration().saturating_sub(steady_now.duration_since(steady));
        if ahead > SLEPT {
            tracing::info!(
                "the wall clock is {}s ahead of what has passed: the machine slept, or its clock was set; looking at everything again",
                ahead.as_secs()
            );
            again.send_modify(|times| *times = times.wrapping_add(1));
        }
        (wall, steady) = (wall_now, steady_now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phases_are_the_same_each_time_and_differ_between_checks() {
        let at = |agent: &str, check: &str| splay(&agent.into(), &check.into(), Duration::from_secs(60));
        assert_eq!(at("a", "load"), at("a", "load"));
        let all: std::collections::BTreeSet<u64> = (0..100).map(|i| at("a", &format!("c{i}")).as_secs()).collect();
        assert!(all.len() > 30 && all.iter().all(|s| *s < 60));
        assert_ne!(at("a", "load"), at("b", "load"));
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_missed_is_not_made_up_for() {
        let phase = Instant::now();
        let interval = Duration::from_secs(10);
        let at = |secs: u64| following(phase, interval, phase + Duration::from_secs(secs)) - phase;
        assert_eq!([at(0), at(9), at(10), at(35)].map(|d| d.as_secs()), [10, 10, 20, 40]);
        assert_eq!(following(phase + interval, interval, phase), phase + interval);
    }
}
