//! The world as it was at a time T: what its events say was so then.
//!
//! An event counts when it was recorded by T, or when it was recorded later and says that it happened at
//! or before T. The first ones are a beginning of the log: the world after them is made from the nearest
//! checkpoint before (the log holds them at even distances, see `store::spacing`) or from one of the
//! worlds that were made lately. The late ones follow, in the order of their sequences.
//!
//! All of this happens beside the core, in whoever's task asks, in steps between which everything else
//! goes on. Two are made at once; more wait. Before the horizon nothing is guessed: it is refused, with
//! the time from which on the past is known.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;

use super::prime::{fold_row, read_checkpoint};
use crate::link::Clock;
use crate::model::episode::reopen;
use crate::model::event::Kind;
use crate::model::id::{EventId, Fingerprint, Sequence};
use crate::model::time::{Span, Time};
use crate::model::world::World;
use crate::store::{Log, Retention, Row, StoreError};
use crate::wire::EventBytes;

/// What a server knows of a moment.
#[derive(Clone, Debug)]
pub struct Then {
    /// The past is known from here on; not at all on a log without events.
    pub known_from: Option<Time>,
    /// Nothing: the moment lies before what is known.
    pub world: Option<Arc<World>>,
}

/// Makes past worlds of one log.
pub struct Past {
    log: Arc<dyn Log>,
    retention: Retention,
    clock: Arc<dyn Clock>,
    work: Semaphore,
    /// Worlds after a beginning of the log, the newest used last.
    recent: Mutex<VecDeque<Arc<World>>>,
}

/// Worlds that are made at once.
const AT_ONCE: usize = 2;
/// Rows of one step, some milliseconds of folding, and their bytes.
const STEP: usize = 1_000;
const BYTES: usize = 2 << 20;
/// Late rows that are read at once.
const LATE: usize = 20_000;
/// Worlds that are kept for the next question, and alerts in all of them together.
const RECENT: usize = 16;
const ALERTS: usize = 200_000;
/// On the way to a moment, a world is kept after so many events: an hour further back begins there.
const SPACING: u64 = 20_000;

impl Past {
    pub fn new(log: Arc<dyn Log>, retention: Retention, clock: Arc<dyn Clock>) -> Past {
        Past { log, retention, clock, work: Semaphore::new(AT_ONCE), recent: Mutex::default() }
    }

    /// What was so at `at`.
    pub async fn at(&self, at: Time) -> Result<Then, StoreError> {
        let Ok(_permit) = self.work.acquire().await else { return Ok(Then { known_from: None, world: None }) };
        let beginnings = self.beginnings().await?;
        let known_from = beginnings.first().map(|beginning| beginning.recorded);
        if known_from.is_none_or(|known| at < known) {
            return Ok(Then { known_from, world: None });
        }
        let last = self.recorded_by(at).await?;
        let Some(mut world) = self.begin(&beginnings, last).await? else { return Ok(Then { known_from, world: None }) };
        self.fold_up_to(&mut world, last).await?;
        let mut world = match world {
            Some(world) => {
                self.keep(world.clone());
                Some(Arc::unwrap_or_clone(world))
            }
            None => None,
        };
        let origin = self.log.head().origin;
        let mut after = last;
        let mut running = BTreeMap::new();
        loop {
            let rows = self.log.late(after, at, LATE).await?;
            let Some(end) = rows.last().map(|row| row.sequence) else { break };
            for chunk in rows.chunks(STEP) {
                chunk.iter().for_each(|row| fold_row(&mut world, row, origin));
                running.extend(chunk.iter().filter_map(|row| ran_at(row, at)));
                tokio::task::yield_now().await;
            }
            if rows.len() < LATE {
                break;
            }
            after = end;
        }
        if let Some(world) = &mut world {
            reopen(world, at, &running);
        }
        let head = self.log.head();
        Ok(Then { known_from, world: Some(Arc::new(world.unwrap_or_else(|| World::new(head.origin, head.incarnation)))) })
    }

    /// Where folding may begin, oldest first: the log's start, if all of it is there, and the checkpoints.
    /// Events of kinds that make the world may be kept for less than the others; what lies before the
    /// time for which all of them are kept is not known.
    async fn beginnings(&self) -> Result<Vec<Beginning>, StoreError> {
        let head = self.log.head();
        let kept = shortest(&self.retention).map(|keep| self.clock.now().minus(keep));
        let mut out = Vec::new();
        if head.base == Sequence(1)
            && let Some(first) = self.row(Sequence(1)).await?
        {
            out.push(Beginning { after: Sequence(0), recorded: first.recorded });
        }
        for after in self.log.checkpoints().await? {
            // A checkpoint whose own event is gone stands before the first that is held.
            let Some(row) = self.row(after.max(head.base)).await? else { continue };
            out.push(Beginning { after, recorded: row.recorded });
        }
        out.retain(|beginning| kept.is_none_or(|kept| beginning.recorded >= kept));
        Ok(out)
    }

    async fn row(&self, at: Sequence) -> Result<Option<crate::store::Row>, StoreError> {
        let head = self.log.head().sequence;
        match self.log.range(at, head, 1, BYTES).await {
            Ok(rows) => Ok(rows.into_iter().next()),
            // Pruned meanwhile: it leads nowhere any more.
            Err(StoreError::Pruned { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The last event that was recorded by then. What is recorded never goes back, so that halving finds it.
    async fn recorded_by(&self, at: Time) -> Result<Sequence, StoreError> {
        let head = self.log.head();
        let (mut from, mut to) = (head.base.0, head.sequence.0.saturating_add(1));
        while from < to {
            let middle = from.midpoint(to);
            match self.row(Sequence(middle)).await? {
                Some(row) if row.recorded <= at => from = row.sequence.0.saturating_add(1),
                Some(_) | None => to = middle,
            }
        }
        Ok(Sequence(from.saturating_sub(1)))
    }

    /// The nearest world at or before `last`. `None` within: an empty log's. `None`: there is none.
    async fn begin(&self, beginnings: &[Beginning], last: Sequence) -> Result<Option<Option<Arc<World>>>, StoreError> {
        let first = beginnings.first().map_or(Sequence(u64::MAX), |beginning| beginning.after);
        let recent = {
            let recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
            recent.iter().filter(|world| world.head >= first && world.head <= last).max_by_key(|world| world.head).cloned()
        };
        for beginning in beginnings.iter().rev().filter(|beginning| beginning.after <= last) {
            if let Some(recent) = recent.as_ref().filter(|recent| recent.head >= beginning.after) {
                return Ok(Some(Some(recent.clone())));
            }
            if beginning.after == Sequence(0) {
                return Ok(Some(None));
            }
            let Some(bytes) = self.log.checkpoint_at(beginning.after).await? else { continue };
            match read_checkpoint(&bytes) {
                Ok(world) if world.head == beginning.after => return Ok(Some(Some(Arc::new(world)))),
                Ok(_) => {}
                Err(why) => tracing::warn!(at = beginning.after.0, why, "an older checkpoint cannot be read; folding from further back"),
            }
        }
        Ok(recent.map(Some))
    }

    async fn fold_up_to(&self, world: &mut Option<Arc<World>>, last: Sequence) -> Result<(), StoreError> {
        let origin = self.log.head().origin;
        let mut next = world.as_ref().map_or(Sequence(1), |world| world.head.next());
        let mut kept = next.0;
        while next <= last {
            let rows = self.log.range(next, last, STEP, BYTES).await?;
            let Some(end) = rows.last().map(|row| row.sequence) else { break };
            let mut folding = world.take().map(Arc::unwrap_or_clone);
            rows.iter().for_each(|row| fold_row(&mut folding, row, origin));
            if let Some(folding) = &mut folding {
                // What could not be read has its place all the same.
                folding.head = folding.head.max(end);
            }
            *world = folding.map(Arc::new);
            next = end.next();
            if next.0.saturating_sub(kept) >= SPACING
                && let Some(world) = world.as_ref()
            {
                kept = next.0;
                self.keep(world.clone());
            }
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    fn keep(&self, world: Arc<World>) {
        let mut recent = self.recent.lock().unwrap_or_else(PoisonError::into_inner);
        recent.retain(|known| known.head != world.head);
        recent.push_back(world);
        while recent.len() > RECENT || (recent.len() > 1 && recent.iter().map(|world| world.alerts.len()).sum::<usize>() > ALERTS) {
            recent.pop_front();
        }
    }
}

/// The alert of an episode that was told of later and was not over by then, and the event that tells of it.
fn ran_at(row: &Row, at: Time) -> Option<(Fingerprint, EventId)> {
    if &*row.kind != "alert.past" {
        return None;
    }
    let event = EventBytes(row.bytes.clone()).decode().ok()?;
    match &event.kind {
        Kind::AlertPast(past) if past.until > at => Some((past.alert, event.id)),
        _ => None,
    }
}

/// A place from which the world is known, and when the event there was recorded.
#[derive(Clone, Copy, Debug)]
struct Beginning {
    after: Sequence,
    recorded: Time,
}

/// The shortest time that events are kept which the world is made of.
fn shortest(retention: &Retention) -> Option<Span> {
    /// These leave the world as it is.
    const IDLE: [&str; 6] = ["config.applied", "log", "server.stopped", "peer.restored", "peer.missed", "peer.malformed"];
    Kind::NAMES.iter().filter(|kind| !IDLE.contains(kind)).filter_map(|kind| retention.keep_of(kind)).min()
}

#[cfg(test)]
#[path = "past_tests.rs"]
mod tests;
