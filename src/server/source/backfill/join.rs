//! Firing samples to episodes, slice by slice, from the newest to the oldest. Pure.
//!
//! Samples no further apart than [`GAP`] evaluation intervals are one episode, also over the edge of a
//! slice: an episode that reaches a slice's older edge waits for what the next slice says.

use std::collections::BTreeMap;

use crate::model::id::Fingerprint;
use crate::model::time::{Span, Time};
use crate::server::mapping::Mapped;

/// Evaluation intervals without a sample that do not end an episode.
const GAP: i64 = 3;

/// What fired in a slice, of one alert.
#[derive(Clone, Debug)]
pub(super) struct Firing {
    pub alert: Fingerprint,
    pub mapped: Mapped,
    /// When it was seen firing, oldest first.
    pub times: Vec<Time>,
    /// Between two evaluations.
    pub step: Span,
}

/// An episode from its first sample to one interval after its last.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Episode {
    pub alert: Fingerprint,
    pub mapped: Mapped,
    pub from: Time,
    pub until: Time,
    step: Span,
}

#[derive(Debug, Default)]
pub(super) struct Joiner {
    /// What fired at the older edge of the last slice.
    running: BTreeMap<Fingerprint, Episode>,
    /// From before a restart: what fired at the edge, and when it ended.
    ends: BTreeMap<Fingerprint, Time>,
}

impl Joiner {
    /// Goes on where `running` says.
    pub fn going_on(running: &[(Fingerprint, Time)]) -> Joiner {
        Joiner { running: BTreeMap::new(), ends: running.iter().copied().collect() }
    }

    /// What the slice (`from`, `to`] completes: episodes of which no older sample can belong to them.
    pub fn slice(&mut self, from: Time, to: Time, firing: Vec<Firing>) -> Vec<Episode> {
        let mut out = Vec::new();
        let mut waiting = std::mem::take(&mut self.running);
        let ends = std::mem::take(&mut self.ends);
        for Firing { alert, mapped, times, step } in firing {
            let gap = step.times(GAP);
            let mut current = waiting.remove(&alert);
            for (first, last) in runs(&times, gap).into_iter().rev() {
                match &mut current {
                    Some(episode) if episode.from.since(last) <= gap => episode.from = episode.from.min(first),
                    _ => {
                        let known = ends.get(&alert).filter(|_| to.since(last) <= gap);
                        let until = known.copied().unwrap_or_default().max(last.plus(step));
                        out.extend(current.replace(Episode { alert, mapped: mapped.clone(), from: first, until, step }));
                    }
                }
            }
            if let Some(episode) = current {
                self.keep(episode, from, &mut out);
            }
        }
        for (_, episode) in waiting {
            self.keep(episode, from, &mut out);
        }
        out
    }

    /// An episode that begins near the edge may have begun before it.
    fn keep(&mut self, episode: Episode, edge: Time, out: &mut Vec<Episode>) {
        if episode.from.since(edge) <= episode.step.times(GAP) {
            self.running.insert(episode.alert, episode);
        } else {
            out.push(episode);
        }
    }

    /// There is nothing older.
    pub fn rest(&mut self) -> Vec<Episode> {
        std::mem::take(&mut self.running).into_values().collect()
    }

    /// What fires at the edge, and until when it did.
    pub fn running(&self, most: usize) -> Vec<(Fingerprint, Time)> {
        self.running.iter().map(|(alert, episode)| (*alert, episode.until)).take(most).collect()
    }
}

/// First and last sample of each run, oldest first.
fn runs(times: &[Time], gap: Span) -> Vec<(Time, Time)> {
    let mut out: Vec<(Time, Time)> = Vec::new();
    for time in times {
        match out.last_mut() {
            Some((_, last)) if time.since(*last) <= gap => *last = *time,
            Some(_) | None => out.push((*time, *time)),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::server::mapping::{Mapping, MappingConfig, Pairs, Raw};

    const STEP: i64 = 15;

    fn at(secs: i64) -> Time {
        Time::from_secs(1_790_000_000 + secs)
    }

    fn firing(times: Vec<Time>) -> Vec<Firing> {
        let raw = Raw { labels: Pairs::of([("alertname", "Slow"), ("job", "shop")]), ..Raw::default() };
        let mapped = Mapping::new(&MappingConfig::default()).unwrap().map(raw);
        if times.is_empty() { Vec::new() } else { vec![Firing { alert: Fingerprint([1; 16]), mapped, times, step: Span::from_secs(STEP) }] }
    }

    /// The samples in slices that end at these edges, newest first; at `stop` a restart.
    fn joined(samples: &[i64], edges: &[i64], stop: Option<usize>) -> Vec<(i64, i64)> {
        let mut joiner = Joiner::default();
        let mut out = Vec::new();
        for (place, pair) in edges.windows(2).enumerate() {
            let (to, from) = (pair[0], pair[1]);
            let times = samples.iter().filter(|s| **s > from && **s <= to).map(|s| at(*s)).collect();
            out.extend(joiner.slice(at(from), at(to), firing(times)));
            if stop == Some(place) {
                joiner = Joiner::going_on(&joiner.running(10));
            }
        }
        out.extend(joiner.rest());
        let mut out: Vec<(i64, i64)> = out.iter().map(|e| (e.from.since(at(0)).secs(), e.until.since(at(0)).secs())).collect();
        out.sort_unstable();
        out
    }

    #[test]
    fn an_episode_over_an_edge_is_one() {
        let samples: Vec<i64> = (60..=600).step_by(15).collect();
        assert_eq!(joined(&samples, &[3_600, 0], None), [(60, 615)]);
        assert_eq!(joined(&samples, &[3_600, 300, 0], None), [(60, 615)]);
        assert_eq!(joined(&samples, &[3_600, 310, 305, 300, 0], None), [(60, 615)]);
    }

    #[test]
    fn short_gaps_join_and_long_ones_split() {
        assert_eq!(joined(&[100, 145, 190], &[3_600, 0], None), [(100, 205)]);
        assert_eq!(joined(&[100, 146], &[3_600, 0], None), [(100, 115), (146, 161)]);
    }

    proptest! {
        /// Wherever the slices are cut, the episodes are the same.
        #[test]
        fn edges_make_no_difference(steps in prop::collection::vec(1_i64..8, 0..80), cuts in prop::collection::btree_set(1_i64..9_000, 0..12)) {
            let mut now = 0;
            let samples: Vec<i64> = steps.iter().map(|step| { now += step * STEP; now }).collect();
            let whole = joined(&samples, &[10_000, 0], None);
            let mut edges: Vec<i64> = [0, 10_000].into_iter().chain(cuts).collect();
            edges.sort_unstable();
            edges.reverse();
            prop_assert_eq!(joined(&samples, &edges, None), whole);
        }

        /// A restart at an edge that an episode spans loses nothing of it.
        #[test]
        fn a_restart_at_an_edge_makes_no_difference(length in 4_i64..100, edge in 2_i64..90) {
            let samples: Vec<i64> = (10..10 + length).map(|n| n * STEP).collect();
            let edge = 10 * STEP + edge.min(length - 2) * STEP + 1;
            prop_assert_eq!(joined(&samples, &[5_000, edge, 0], Some(0)), joined(&samples, &[5_000, 0], None));
        }
    }
}
