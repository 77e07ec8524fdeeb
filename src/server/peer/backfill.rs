//! What was missed of a peer's log is asked for afterwards: gap by gap, a slice at a time, at a pace that nobody
//! notices, and from where it was after every restart. It is history: the world that is known follows from what
//! came since, and stays as it is.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::Peers;
use super::follow::{Ended, Follower, soon};
use super::leased::take_within;
use super::take::{Place, Sealed, Seals};
use crate::model::event::PeerMissed;
use crate::model::id::{Origin, Sequence};
use crate::model::severity::Severity;
use crate::model::words::counted;
use crate::server::house::House;
use crate::server::peer::Replica;
use crate::wire::{Backfill, BackfillAsk, ToServer, peek};

/// Between two slices: twice as long as the last one took, within these bounds.
const PACE: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(500));
/// Until a slice that did not come is asked for again.
const AGAIN: Duration = Duration::from_secs(60);
/// Gaps of one log. More of them are one from the first to the last.
const MOST: usize = 16;
/// Events of a log that is passed on which are asked for when it begins: what comes with its world is not signed.
pub(super) const FIRST: u64 = 10_000;
/// A gap of so many is filled by one slice.
pub(super) const FEW: u64 = 1_000;

/// Events in (`after`, `until`] that are not known, as far as they are known to be missed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Gap {
    /// Where it began, and up to where it is filled in since.
    pub from: Sequence,
    pub after: Sequence,
    pub until: Sequence,
    /// With so many events.
    pub filled: u64,
    /// It was said on the timeline that they are missed.
    pub said: bool,
}

impl Gap {
    pub(super) fn of(after: Sequence, until: Sequence, said: bool) -> Gap {
        Gap { from: after, after, until, filled: 0, said }
    }

    /// How far a slice fills it in. Nothing: it is not the one that comes next.
    fn filled_to(&self, told: &Backfill) -> Option<Sequence> {
        let to = told.to.min(self.until);
        (told.id == self.after.0 && to > self.after).then_some(to)
    }
}

/// One more. The newest first: that is what somebody looks for.
fn with(mut gaps: Vec<Gap>, gap: Gap) -> Vec<Gap> {
    gaps.insert(0, gap);
    if gaps.len() > MOST {
        let last = gaps.split_off(MOST - 1);
        let from = last.iter().map(|gap| gap.from).min().unwrap_or_default();
        let after = last.iter().map(|gap| gap.after).min().unwrap_or_default();
        let until = last.iter().map(|gap| gap.until).max().unwrap_or_default();
        let filled = last.iter().map(|gap| gap.filled).fold(0, u64::saturating_add);
        gaps.push(Gap { from, after, until, filled, said: last.iter().any(|gap| gap.said) });
    }
    gaps
}

impl Peers {
    fn gaps(&self, origin: Origin) -> Vec<Gap> {
        self.book().known.get(&origin).map(|known| known.gaps.clone()).unwrap_or_default()
    }

    /// Durable before it counts: otherwise it is asked for again.
    fn keep_gaps(&self, origin: Origin, gaps: Vec<Gap>) -> std::io::Result<()> {
        let Some(mut known) = self.book().known.get(&origin).cloned() else { return Ok(()) };
        known.gaps.clone_from(&gaps);
        self.parts.shelf.note(&known)?;
        if let Some(known) = self.book().known.get_mut(&origin) {
            known.gaps = gaps;
        }
        Ok(())
    }
}

impl Follower {
    /// These events were missed. `cut`: of the log nothing beyond is left in its server's.
    pub(super) fn missed(&mut self, origin: Origin, gap: Option<Gap>, cut: Option<Sequence>) -> Result<(), Ended> {
        let mut gaps = self.peers.gaps(origin);
        let before = gaps.clone();
        gaps.retain(|gap| cut.is_none_or(|cut| gap.until <= cut));
        if let Some(gap) = gap.filter(|gap| gap.after < gap.until) {
            gaps = with(gaps, gap);
        }
        if gaps != before {
            self.peers.keep_gaps(origin, gaps).map_err(soon)?;
        }
        self.fill_soon();
        Ok(())
    }

    pub(super) fn fill_soon(&mut self) {
        let (least, most) = PACE;
        let pace = self.asked.take().map_or(most, |asked| (asked.elapsed() * 2).clamp(least, most));
        self.fill_at = Some(Instant::now() + pace);
    }

    /// Asks for the next slice, where there is one.
    pub(super) fn fill_next(&mut self) {
        self.fill_at = None;
        let Some(gap) = self.origin().and_then(|origin| self.peers.gaps(origin).first().copied()) else { return };
        let ask = BackfillAsk { id: gap.after.0, after: gap.after, until: gap.until };
        if let Some(handle) = &self.handle {
            // While the line is down nobody is asked; an older server never answers.
            let _ = handle.send(ToServer::Backfill(ask));
        }
        (self.asked, self.fill_at) = (Some(Instant::now()), Some(Instant::now() + AGAIN));
    }

    /// A slice came: of a log that is passed on with its own server's signatures, or not at all.
    pub(super) async fn filled(&mut self, house: &House, replica: &Replica, mut told: Backfill) -> Result<(), Ended> {
        let head = house.log.head();
        let mut gaps = self.peers.gaps(head.origin);
        let Some(gap) = gaps.first_mut() else { return Ok(()) };
        let Some(to) = gap.filled_to(&told) else { return Ok(()) };
        let leased = self.may_take(replica, None)?;
        let key = replica.lease().and_then(|leased| leased.held.server());
        // What was passed on of an earlier life may be in its server's log no more.
        let incarnation = leased.is_some().then_some(head.incarnation);
        told.only(|event| incarnation.is_none_or(|life| peek::id(&event.0).map_or(true, |id| id.incarnation == life)));
        let seals = Seals { whole: &told.seals, outlines: &told.outlines };
        let sealed = match (&key, &leased) {
            (Some(key), Some(_)) => Sealed::Must(key, seals),
            (key, _) => Sealed::Direct(key.as_ref(), seals),
        };
        let place = Place { origin: head.origin, incarnation, after: gap.after, to };
        let taken = take_within(leased.as_deref(), replica, place, &told.events, sealed).await;
        self.malformed(house, &taken.refused);
        let done = to >= gap.until;
        let new = house.log.fill(taken.rows, done).await.map_err(soon)?;
        (gap.after, gap.filled) = (to, gap.filled.saturating_add(new));
        let gap = *gap;
        if done {
            gaps.remove(0);
        }
        self.peers.keep_gaps(head.origin, gaps).map_err(soon)?;
        self.fill_soon();
        if done && gap.said {
            let title = format!(
                "What {} told after event {} and up to {} has been received since: {}",
                house.name,
                gap.from.0,
                gap.until.0,
                counted(gap.filled, "event")
            );
            let said = PeerMissed { peer: head.origin, name: house.name.clone(), after: gap.from, until: gap.until, filled: Some(gap.filled) };
            self.peers.say(said, Severity::Info, title);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_slice_fills_in_the_gap_that_it_was_asked_for_and_goes_no_further() {
        let gap = Gap { after: Sequence(20), ..Gap::of(Sequence(10), Sequence(50), true) };
        let told = |id, to| gap.filled_to(&Backfill { id, to: Sequence(to), events: Vec::new(), seals: Vec::new(), outlines: Vec::new() });
        assert_eq!((told(20, 30), told(20, 50)), (Some(Sequence(30)), Some(Sequence(50))));
        assert_eq!(told(20, 1_000), Some(Sequence(50)), "what came since comes by itself");
        // The answer to what was asked before, and one that says nothing new.
        assert_eq!((told(10, 30), told(20, 20), told(20, 7)), (None, None, None));
    }

    proptest! {
        /// Law: however many gaps there are, all that is missed lies in one of them, and they are so many at most.
        #[test]
        fn what_is_missed_stays_in_a_gap(spans in proptest::collection::vec((0_u64..1_000, 1_u64..50), 1..40)) {
            let gaps = spans.iter().fold(Vec::new(), |gaps, (after, length)| with(gaps, Gap::of(Sequence(*after), Sequence(after + length), true)));
            prop_assert!(gaps.len() <= MOST);
            for (after, length) in spans {
                prop_assert!(gaps.iter().any(|gap| gap.after.0 <= after && gap.until.0 >= after + length));
            }
        }
    }
}
