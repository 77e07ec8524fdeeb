//! What comes of a peer's log is kept: durable here and folded before it is told on, whether it goes on from what is
//! known or a world takes its place.

use std::collections::BTreeMap;

use super::backfill::{self, Gap};
use super::follow::{Ended, Follower, later, soon};
use super::leased::take_within;
use super::take::{NO_SEALS, Place, Sealed, Seals, take};
use super::{CHECKPOINT_EVENTS, Replica, SAY_MALFORMED, keep_checkpoint};
use crate::model::event::{PeerMalformed, PeerMissed, PeerRestored};
use crate::model::id::{Origin, Sequence};
use crate::model::severity::Severity;
use crate::model::words::counted;
use crate::server::house::House;
use crate::server::hub::Publication;
use crate::server::prime;
use crate::store::{Anew, Row};
use crate::trust::seal;
use crate::wire::{Batch, Snapshot};

/// How often a part of a log may come altered until the rest of it is taken.
const TRIES: u32 = 3;

impl Follower {
    /// Everything that may be seen in (`from`, `to`]: durable here before it is told on.
    pub(super) async fn batch(&mut self, house: &House, replica: &Replica, batch: Batch) -> Result<(), Ended> {
        let head = house.log.head();
        if (batch.incarnation, batch.from) != (head.incarnation, head.sequence) {
            return Err(soon(format!("events after {} came where those after {} follow", batch.from.0, head.sequence.0)));
        }
        let leased = self.may_take(replica, batch.claim.as_ref())?;
        let seals = Seals { whole: &batch.seals, outlines: &batch.outlines };
        let place = Place { origin: head.origin, incarnation: Some(batch.incarnation), after: batch.from, to: batch.to };
        let direct = !self.passed_on();
        let key = batch.claim.as_ref().and_then(|claim| match direct {
            true => seal::claimant(claim, head.origin),
            false => seal::claimed(claim, head.origin, head.incarnation),
        });
        let (sealed, mut lag) = match (&key, &batch.claim) {
            _ if direct => (Sealed::Direct(key.as_ref(), seals), batch.lag),
            // Passed on: no longer, and no younger, than its own server says.
            (Some(key), Some(claim)) if batch.to <= claim.to => (Sealed::Must(key, seals), batch.lag),
            (Some(_), Some(claim)) => {
                self.malformed(house, &[format!("a claim up to event {} of a log that goes to {}", batch.to.0, claim.to.0)]);
                return Err(later("what is passed on goes further than its own server says"));
            }
            // The relay has not heard from it yet: that makes what is known no younger.
            _ if batch.from == batch.to && batch.claim.is_none() => return self.not_heard(house, replica, &batch).await,
            _ => {
                self.malformed(house, &["a part of a log without its own server's word".to_owned()]);
                return Err(later("what is passed on does not bear its own server's word"));
            }
        };
        self.resumes();
        if let (Some(_), Some(claim)) = (&key, &batch.claim) {
            let age = replica.claims(claim);
            if !direct {
                lag = lag.max(age);
            }
        }
        let taken = take_within(leased.as_deref(), replica, place, &batch.events, sealed).await;
        self.malformed(house, &taken.refused);
        if taken.altered && self.asks_again(head.origin, batch.from) {
            return Err(later("what is passed on is not as its own server told it"));
        }
        if batch.to > batch.from {
            house.log.claim(batch.from, batch.to, taken.rows.clone()).await.map_err(soon)?;
            replica.follows(&taken.rows, batch.to);
        }
        self.unsaved = self.unsaved.saturating_add(u64::try_from(taken.rows.len()).unwrap_or(u64::MAX));
        replica.hears(lag);
        let now = self.now();
        self.stands(|state| (state.lag, state.heard, state.head) = (lag, Some(now), batch.to));
        house.hub.publish(Publication::new(batch.incarnation, batch.from, batch.to, taken.rows, lag)).await;
        if self.unsaved >= CHECKPOINT_EVENTS {
            self.unsaved = 0;
            keep_checkpoint(&*house.log, replica).await;
        }
        Ok(())
    }

    /// Whether what somebody on the way altered is asked for again: it may come as it was told, and what it was is not
    /// known otherwise. Who alters it each time holds up nothing else for ever.
    fn asks_again(&self, origin: Origin, after: Sequence) -> bool {
        let mut book = self.peers.book();
        let tries = book.altered.entry(origin).or_insert((after, 0));
        if tries.0 != after {
            *tries = (after, 0);
        }
        tries.1 = tries.1.saturating_add(1);
        tries.1 < TRIES
    }

    /// Whoever passes it on holds so much, which is so old.
    async fn not_heard(&self, house: &House, replica: &Replica, batch: &Batch) -> Result<(), Ended> {
        let lag = batch.lag.max(replica.lag());
        replica.hears(lag);
        self.stands(|state| state.lag = lag);
        house.hub.publish(Publication::new(batch.incarnation, batch.from, batch.to, Vec::new(), lag)).await;
        Ok(())
    }

    /// A world as it is now takes the place of what was known; what of that is in its log no more is said.
    pub(super) async fn begin_anew(&mut self, house: &House, replica: &Replica, snapshot: Snapshot) -> Result<(), Ended> {
        let head = house.log.head();
        let leased = self.may_take(replica, None)?;
        let world = self.told_world(house, leased.as_deref(), &snapshot)?;
        if (world.origin, world.incarnation, world.head) != (head.origin, snapshot.incarnation, snapshot.head) {
            self.malformed(house, &[format!("a world of {} where one of {} was promised", world.origin.short(), head.origin.short())]);
            return Err(later("what it says of its world does not fit together"));
        }
        let had = head.sequence;
        let goes_on = snapshot.incarnation == head.incarnation && snapshot.head >= had;
        let cut = if goes_on || had == Sequence(0) {
            None
        } else {
            // Where our life of the log ended, and every one since.
            let lives = world.lives.iter().skip_while(|(life, _)| *life != head.incarnation).map(|(_, at)| *at);
            let common = if snapshot.incarnation == head.incarnation { Some(snapshot.head) } else { lives.min() };
            Some(common.unwrap_or(Sequence(0)).min(snapshot.head))
        };
        if let Some(cut) = cut {
            let gone = house.log.range(cut.next().max(head.base), had, usize::MAX, usize::MAX).await.map_err(soon)?;
            self.peers.parts.shelf.set_aside(head.origin, head.incarnation, &gone).map_err(soon)?;
        }
        let mut rows: BTreeMap<Sequence, Row> = BTreeMap::new();
        let place = Place { origin: head.origin, incarnation: None, after: Sequence(0), to: snapshot.head };
        // History that is passed on bears no signatures: it is not taken.
        for event in snapshot.events.iter().filter(|_| !self.passed_on()) {
            // History comes in the order of a timeline.
            let taken = take(place, None, std::slice::from_ref(event), Sealed::Direct(None, NO_SEALS));
            self.malformed(house, &taken.refused);
            rows.extend(taken.rows.into_iter().map(|row| (row.sequence, row)));
        }
        let first = rows.keys().next().copied();
        let bytes = prime::checkpoint(&world).map_err(soon)?;
        let anew = Anew { incarnation: snapshot.incarnation, at: snapshot.head, world: bytes, rows: rows.into_values().collect(), cut };
        let gone = house.log.rebase(anew).await.map_err(soon)?;
        replica.begins_anew((*world).clone());
        self.ask_what_is_held();
        if !self.passed_on() {
            replica.hears(snapshot.lag);
        }
        house.hub.begin_anew(snapshot.head);
        self.unsaved = 0;
        let now = self.now();
        self.stands(|state| {
            (state.incarnation, state.head, state.heard, state.lag) = (snapshot.incarnation, snapshot.head, Some(now), snapshot.lag);
        });
        self.resumes();
        self.peers.tell();
        let (peer, name) = (head.origin, house.name.clone());
        if cut.is_some() {
            let title = format!(
                "The log of {name} went back in time, to event {}: {} that had come from it {} in it no more",
                snapshot.head.0,
                counted(gone, "event"),
                if gone == 1 { "is" } else { "are" }
            );
            let restored = PeerRestored { peer, name, before: head.incarnation, had, now: snapshot.incarnation, head: snapshot.head, gone };
            self.peers.say(restored, Severity::Warning, title);
            self.missed(peer, None, cut)?;
        } else if had > Sequence(0) && snapshot.head > had && self.passed_on() && snapshot.head.0.saturating_sub(had.0) <= backfill::FEW {
            // What came while its own server signed: it is asked for at once, and nobody need be told.
            self.missed(peer, Some(Gap::of(had, snapshot.head, false)), None)?;
        } else if had > Sequence(0) && snapshot.head > had && first.is_none_or(|first| first > had.next()) {
            let until = first.map_or(snapshot.head, |first| Sequence(first.0.saturating_sub(1)));
            let title = format!("What {name} told after event {} and before {} was not received; how things stand is known", had.0, until.next().0);
            self.peers.say(PeerMissed { peer, name, after: had, until, filled: None }, Severity::Warning, title);
            self.missed(peer, Some(Gap::of(had, until, true)), None)?;
        } else if had == Sequence(0) && self.passed_on() {
            let after = Sequence(snapshot.head.0.saturating_sub(backfill::FIRST));
            self.missed(peer, Some(Gap::of(after, snapshot.head, false)), None)?;
        }
        Ok(())
    }

    /// Counted, and said now and then: a peer that sends nonsense all day is one event an hour.
    pub(super) fn malformed(&self, house: &House, refused: &[String]) {
        let Some(first) = refused.first() else { return };
        let count = u64::try_from(refused.len()).unwrap_or(u64::MAX);
        self.stands(|state| state.set_aside = state.set_aside.saturating_add(count));
        let origin = house.log.head().origin;
        let now = self.now();
        {
            let mut book = self.peers.book();
            if book.malformed_said.get(&origin).is_some_and(|said| now.since(*said) < SAY_MALFORMED && now >= *said) {
                return;
            }
            book.malformed_said.insert(origin, now);
        }
        let name = house.name.clone();
        let title = format!("Something that came from {name} was set aside: {first}");
        self.peers.say(PeerMalformed { peer: origin, name, why: first.as_str().into() }, Severity::Warning, title);
    }
}
