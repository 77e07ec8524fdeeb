//! On first contact with a Prometheus: the episodes of the last 90 days, from its `ALERTS` series.
//!
//! Slice by slice, newest first, gently: each pause is three times as long as the answer took, a slice
//! that is too much is halved. Where it stands is part of the world, written together with what was told,
//! so that a restart goes on there. Nothing is doubled: `decide` knows what is known.

mod ask;
mod gaps;
mod join;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub(super) use ask::remembers;
pub(super) use gaps::missed;

use self::join::{Episode, Joiner};
use super::client::Client;
use super::prometheus;
use crate::link::backoff::Backoff;
use crate::link::clock::Random;
use crate::model::episode::day;
use crate::model::id::{Fingerprint, SourceId};
use crate::model::primary::Rules;
use crate::model::report::{Memory, ReportedState};
use crate::model::time::{Span, Time};
use crate::model::world::Filled;
use crate::server::intake::Core;
use crate::server::mapping::Mapping;
use tokio::sync::mpsc;

/// Slices are a day halved so and so often.
const WIDEST: Span = Span::from_days(1);
const FIRST: Span = Span::from_hours(6);
const NARROWEST: Span = Span::from_mins(5);
/// An answer smaller than this, that came as quickly, allows for a wider slice.
const SMALL: usize = 1 << 20;
const QUICK: Duration = Duration::from_secs(1);
/// After so many answers a width that was too much is tried again.
const CALM: u32 = 48;
/// Pauses lie between these.
const SHORTEST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// After answers that were none: the first pause, and the longest.
pub(super) const FIRST_BACKOFF: Duration = Duration::from_secs(5);
const LONGEST_BACKOFF: Duration = Duration::from_secs(300);
/// Tries of the narrowest slice.
const TRIES: u32 = 5;
/// Episodes of one alert that are told of one day, of all alerts at once, and alerts that may run over an edge.
const MOST_A_DAY: usize = 100;
const AT_ONCE: usize = 5_000;
const MOST_RUNNING: usize = 1_000;
/// Days without any episode after which it is written down that there were none.
const QUIET_DAYS: i64 = 7;

pub(super) struct Backfill<C> {
    pub client: Arc<Client>,
    pub source: SourceId,
    pub reach: Span,
    pub external: Option<Vec<(String, String)>>,
    pub core: C,
    pub mapping: Arc<Mapping>,
    pub random: Arc<dyn Random>,
    /// The first pause after an answer that was none.
    pub pause: Duration,
}

/// What is asked with, the same for all slices.
struct With {
    external: Vec<(String, String)>,
    rules: Rules,
    steps: ask::Steps,
}

/// Whether a source's past was filled in when it began.
enum Before {
    Complete,
    Lacking,
}

/// The source cannot be asked for its past at all.
struct Never(String);

impl<C: Core> Backfill<C> {
    /// Fills in what is not filled in yet, then what is missed from then on: spans in which it could not be
    /// asked, each told when it answers again. Ends when nobody can tell of more.
    pub async fn run(self, mut missed: mpsc::UnboundedReceiver<(Time, Time)>) {
        if self.reach == Span::ZERO {
            return;
        }
        let said = |result: Result<(), Never>| {
            if let Err(Never(why)) = result {
                tracing::warn!(source = %self.source, why, "its past cannot be filled in; it is tried again at the next start");
            }
        };
        match self.fill().await {
            // What was left over before may be had by now.
            Ok(Before::Complete) => said(self.refill(None).await),
            Ok(Before::Lacking) => {}
            Err(never) => said(Err(never)),
        }
        while let Some(gap) = missed.recv().await {
            said(self.refill(Some(gap)).await);
        }
    }

    async fn fill(&self) -> Result<Before, Never> {
        let source = self.source.clone();
        let look = self.core.look(move |primary| (primary.world.sources.get(&source).and_then(|known| known.filled.clone()), primary.rules.clone()));
        let Ok((known, rules)) = look.await else { return Ok(Before::Lacking) };
        if known.as_ref().is_some_and(|known| known.complete) {
            return Ok(Before::Complete);
        }
        let mut with = self.with(rules).await;
        let mut gaps = known.as_ref().map_or_else(Vec::new, |known| known.gaps.clone());
        let now = self.core.now();
        let (until, mut joiner) = match &known {
            Some(known) => (known.until, Joiner::going_on(&known.running)),
            // Whole seconds: queries name no less.
            None => (Time::from_secs(now.secs()), Joiner::default()),
        };
        let mut cursor = known.as_ref().map_or(until, |known| known.from);
        let mut written = cursor;
        let remembered = remembers(&self.client, now, self.reach).await;
        let end = now.minus(self.reach).max(remembered.unwrap_or(Time::MIN));
        let mut oldest = cursor;
        let (mut width, mut ceiling, mut calm) = (FIRST, WIDEST, 0_u32);
        let mut done: Vec<Episode> = Vec::new();
        let mut backoff = Backoff::new(self.pause, LONGEST_BACKOFF);
        let mut narrow = 0;
        while cursor > end {
            let from = older_edge(cursor, width).max(end);
            let began = Instant::now();
            let asked = ask::slice(&self.client, from, cursor).await;
            let took = began.elapsed();
            match asked {
                Ok(body) => {
                    let firing = ask::read(&body, &self.mapping, &with.external, &with.rules, &mut with.steps).map_err(|error| Never(error.to_string()))?;
                    oldest = firing.iter().filter_map(|firing| firing.times.first().copied()).fold(oldest, Time::min);
                    done.extend(joiner.slice(from, cursor, firing));
                    cursor = from;
                    narrow = 0;
                    backoff.reset();
                    calm += 1;
                    if calm >= CALM {
                        (ceiling, calm) = (ceiling.times(2).min(WIDEST), 0);
                    }
                    if body.len() < SMALL && took < QUICK {
                        width = width.times(2).min(ceiling);
                    }
                    let whole_day = cursor.secs().rem_euclid(86_400) == 0;
                    let quiet = written.since(cursor) >= Span::from_days(QUIET_DAYS);
                    if (whole_day && (quiet || !done.is_empty())) || done.len() > AT_ONCE {
                        let filled = Filled { from: cursor, until, complete: false, running: joiner.running(MOST_RUNNING), gaps: gaps.clone() };
                        self.tell(std::mem::take(&mut done), filled).await;
                        written = cursor;
                    }
                    tokio::time::sleep((took * 3).clamp(SHORTEST_PAUSE, LONGEST_PAUSE)).await;
                }
                Err(refused) if refused.too_much && width > NARROWEST => {
                    tracing::debug!(source = %self.source, %width, error = %refused.error, "too much for one answer: asked for less");
                    width = Span::from_micros(width.micros() / 2);
                    (ceiling, calm) = (width, 0);
                    tokio::time::sleep((took * 3).clamp(SHORTEST_PAUSE, LONGEST_PAUSE)).await;
                }
                Err(refused) if matches!(refused.status, Some(400..=405)) => return Err(Never(refused.error.to_string())),
                Err(refused) => {
                    narrow += u32::from(refused.too_much);
                    if narrow >= TRIES {
                        if gaps.len() >= gaps::MOST {
                            tracing::warn!(source = %self.source, error = %refused.error, "what lies before is too much to be asked for: it is not filled in");
                            break;
                        }
                        tracing::warn!(source = %self.source, error = %refused.error, %from, "too much at once: it is asked for again later");
                        gaps.push((from, cursor));
                        done.extend(joiner.rest());
                        (cursor, narrow) = (from, 0);
                        backoff.reset();
                        continue;
                    }
                    tokio::time::sleep(backoff.next(&*self.random)).await;
                }
            }
        }
        done.extend(joiner.rest());
        // One that does not say how far back it remembers is known as far back as it told of something.
        let from = if remembered.is_some() || cursor > end { cursor } else { oldest };
        self.tell(done, Filled { from, until, complete: true, running: Vec::new(), gaps }).await;
        tracing::info!(source = %self.source, %from, "its past is filled in");
        Ok(Before::Lacking)
    }

    /// What slices are asked with, as it is now.
    async fn with(&self, rules: Rules) -> With {
        let external = match &self.external {
            Some(external) => external.clone(),
            None => prometheus::external(&self.client).await,
        };
        With { external, rules, steps: ask::steps(&self.client).await.unwrap_or_default() }
    }

    /// Hands over what was found, until it is kept.
    async fn tell(&self, mut episodes: Vec<Episode>, filled: Filled) {
        episodes.sort_by_key(|episode| std::cmp::Reverse(episode.from));
        let mut told: BTreeMap<(Fingerprint, i64), usize> = BTreeMap::new();
        episodes.retain(|episode| {
            let count = told.entry((episode.alert, day(episode.from))).or_default();
            *count += 1;
            *count <= MOST_A_DAY
        });
        let episodes = episodes.into_iter().map(|Episode { mapped, from, until, .. }| mapped.reported(from, ReportedState::Resolved { at: until })).collect();
        let memory = Memory { source: self.source.clone(), episodes, filled };
        let mut backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60));
        while let Err(error) = self.core.remember(memory.clone()).await {
            tracing::warn!(source = %self.source, %error, "what it remembers is not kept; it is told again");
            tokio::time::sleep(backoff.next(&*self.random)).await;
        }
    }
}

/// Slices end at the same times of the UTC day, whatever their width: days are told whole.
fn older_edge(cursor: Time, width: Span) -> Time {
    let width = (width.micros() / 1_000_000).max(1);
    let last = cursor.secs() - 1;
    let midnight = day(Time::from_secs(last)) * 86_400;
    Time::from_secs(midnight + (last - midnight) / width * width)
}

#[cfg(test)]
mod tests;
