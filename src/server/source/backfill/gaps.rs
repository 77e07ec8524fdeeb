//! What was missed: spans in which a Prometheus could not be asked, or that were too much for it. They are
//! part of the world until they are filled in, so that a restart forgets none.

use std::time::Instant;

use super::{Backfill, Episode, FIRST, Joiner, LONGEST_BACKOFF, LONGEST_PAUSE, NARROWEST, Never, SHORTEST_PAUSE, TRIES, With, ask, older_edge};
use crate::link::backoff::Backoff;
use crate::model::id::SourceId;
use crate::model::time::{Span, Time};
use crate::model::world::World;
use crate::server::intake::Core;

/// Gaps that are remembered; of more, the oldest two become one.
pub(super) const MOST: usize = 32;
/// What a former life of the server missed is told this soon after it began.
const FRESH: Span = Span::from_mins(10);

/// Since when a source was not heard by a server that has just begun: it could not be reached before, or
/// the server itself was away. Nothing of one that is new: its whole past is filled in.
pub(in crate::server::source) fn missed(world: &World, source: &SourceId, now: Time) -> Option<Time> {
    let known = world.sources.get(source).filter(|known| known.filled.is_some())?;
    let away = world.unwatched.back().filter(|(_, until)| now.since(*until) <= FRESH).map(|(from, _)| *from);
    [known.failing_since, away].into_iter().flatten().min()
}

impl<C: Core> Backfill<C> {
    /// Asks for all gaps, those that are known and this one, the newest first.
    pub(super) async fn refill(&self, more: Option<(Time, Time)>) -> Result<(), Never> {
        let source = self.source.clone();
        let look = self.core.look(move |primary| (primary.world.sources.get(&source).and_then(|known| known.filled.clone()), primary.rules.clone()));
        let Ok((Some(mut filled), rules)) = look.await else { return Ok(()) };
        let horizon = self.core.now().minus(self.reach);
        // Whole seconds: queries name no less.
        let whole = |time: Time| Time::from_secs(time.secs());
        filled.gaps.extend(more.map(|(from, to)| (whole(from), whole(to))));
        filled.gaps.retain(|(from, to)| from < to && *to > horizon);
        filled.gaps.sort_unstable();
        while filled.gaps.len() > MOST {
            let (from, _) = filled.gaps.remove(0);
            if let Some(first) = filled.gaps.first_mut() {
                first.0 = from;
            }
        }
        if filled.gaps.is_empty() {
            return Ok(());
        }
        if more.is_some() {
            self.tell(Vec::new(), filled.clone()).await;
        }
        let mut with = self.with(rules).await;
        for gap in filled.gaps.clone().into_iter().rev() {
            // One that is still too much waits for the next time.
            if let Some(episodes) = self.ask_for((gap.0.max(horizon), gap.1), &mut with).await? {
                filled.gaps.retain(|known| *known != gap);
                tracing::info!(source = %self.source, from = %gap.0, to = %gap.1, episodes = episodes.len(), "what was missed is filled in");
                self.tell(episodes, filled.clone()).await;
            }
        }
        Ok(())
    }

    /// The episodes of a span; nothing when it is too much even in the smallest slices.
    async fn ask_for(&self, (begin, end): (Time, Time), with: &mut With) -> Result<Option<Vec<Episode>>, Never> {
        let (mut cursor, mut width, mut tries) = (end, FIRST, 0);
        let (mut joiner, mut done) = (Joiner::default(), Vec::new());
        let mut backoff = Backoff::new(self.pause, LONGEST_BACKOFF);
        while cursor > begin {
            let from = older_edge(cursor, width).max(begin);
            let began = Instant::now();
            match ask::slice(&self.client, from, cursor).await {
                Ok(body) => {
                    let firing = ask::read(&body, &self.mapping, &with.external, &with.rules, &mut with.steps).map_err(|error| Never(error.to_string()))?;
                    done.extend(joiner.slice(from, cursor, firing));
                    (cursor, tries) = (from, 0);
                    backoff.reset();
                    tokio::time::sleep((began.elapsed() * 3).clamp(SHORTEST_PAUSE, LONGEST_PAUSE)).await;
                }
                Err(refused) if refused.too_much && width > NARROWEST => {
                    width = Span::from_micros(width.micros() / 2);
                    tokio::time::sleep((began.elapsed() * 3).clamp(SHORTEST_PAUSE, LONGEST_PAUSE)).await;
                }
                Err(refused) if matches!(refused.status, Some(400..=405)) => return Err(Never(refused.error.to_string())),
                Err(refused) => {
                    tries += u32::from(refused.too_much);
                    if tries >= TRIES {
                        return Ok(None);
                    }
                    tokio::time::sleep(backoff.next(&*self.random)).await;
                }
            }
        }
        done.extend(joiner.rest());
        Ok(Some(done))
    }
}
