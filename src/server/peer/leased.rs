//! How long, and how much of it, a log that is received may be passed on: by the lease of the server whose
//! log it is, which comes with the log and is kept beside it.
//!
//! By the clock of this server, as far as it knows the other's: of a peer of its own it measures the
//! difference; of a server behind one it knows nothing, and lets [`SKEW`] pass.

use std::cell::OnceCell;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Peers;
use super::follow::{Ended, Follower, later};
use super::shelf::Known;
use super::take::{Allowed, Place, Sealed, Taken, take};
use crate::model::grant::{Lens, Scope};
use crate::model::id::Origin;
use crate::model::peer::{Line, Relay};
use crate::model::time::Time;
use crate::server::house::House;
use crate::server::peer::Replica;
use crate::server::turns::in_turns;
use crate::trust::grant::lease::{self, Held, NoLease, SKEW};
use crate::wire::{Claim, EventBytes, Lease};

/// A lease as this server holds it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Leased {
    pub held: Held,
    /// When it is over, by this server's clock.
    pub until: Time,
}

/// As it is kept for the next life of this server.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct KeptLease {
    pub lease: Lease,
    pub until: Time,
}

impl Leased {
    /// Whether what it covers may be passed on now.
    pub fn passes(&self, now: Time) -> bool {
        self.held.onward() && now < self.until
    }

    /// What of it one may have who is granted this by the server that holds it.
    pub fn offers(&self, granted: &Scope) -> Scope {
        Scope { expires: None, ..self.held.scope.narrow(granted) }
    }

    /// What it covers, until it is over here.
    pub fn scope(&self) -> Scope {
        Scope { expires: Some(self.until), ..self.held.scope.clone() }
    }
}

/// Does something within what a lease allows. The world that is known says what uses what: when that changes, a
/// world is told anew before what follows from it.
fn allowing<T>(leased: Option<&Leased>, replica: &Replica, work: impl FnOnce(Option<Allowed<'_>>) -> T) -> T {
    let Some(leased) = leased else { return work(None) };
    let lens = OnceCell::new();
    let uses = |system: &str| lens.get_or_init(|| replica.look(|world| Lens::of(world, &leased.held.scope))).outlines(system);
    work(Some(Allowed { scope: &leased.held.scope, uses: &uses }))
}

/// What of these events is taken within what a lease allows.
pub(super) async fn take_within(leased: Option<&Leased>, replica: &Replica, place: Place, events: &[EventBytes], sealed: Sealed<'_>) -> Taken {
    let mut all = Taken::default();
    let mut place = place;
    in_turns(events, |begins, part| {
        let taken = allowing(leased, replica, |allowed| take(place, allowed, part, sealed.after(begins)));
        place.after = taken.rows.last().map_or(place.after, |row| row.sequence);
        all.rows.extend(taken.rows);
        all.refused.extend(taken.refused);
        all.altered |= taken.altered;
    })
    .await;
    all
}

impl Peers {
    /// By what it may be passed on to other servers; nothing: it may not.
    pub fn passes(&self, origin: Origin) -> Option<Arc<Leased>> {
        self.house(origin)?.replica()?.lease().filter(|leased| leased.passes(self.around.clock.now()))
    }

    /// As an earlier life of this server kept it.
    pub(super) fn leased_before(&self, known: &Known) -> Option<Arc<Leased>> {
        let kept = known.lease.as_ref()?;
        // Whether it is over is asked whenever it is used.
        let held = self.read(&kept.lease, known.origin, &known.through, Time::from_secs(0)).ok()?;
        Some(Arc::new(Leased { held, until: kept.until }))
    }

    /// `now`: by the clock of the server whose log it is.
    fn read(&self, lease: &Lease, origin: Origin, through: &[Relay], now: Time) -> Result<Held, NoLease> {
        let own = self.around.key.as_ref().ok_or(NoLease::NotOurs)?;
        lease::read(lease, origin, own, through.iter().map(|relay| relay.origin), now)
    }

    /// Marks as history what was lost for longer than its lease lasts.
    pub(super) fn let_leases_lapse(&self) {
        let now = self.around.clock.now();
        for state in self.book().states.values_mut() {
            let over = |until: &Time| match state.line {
                Line::Lost | Line::Connecting => *until <= now,
                // Whoever passes it on may be there all the same, and say nothing.
                Line::Up => !state.through.is_empty() && until.plus(SKEW) <= now,
                Line::Lapsed | Line::Gone | Line::Unknown => false,
            };
            if let Some(until) = state.lease.filter(over) {
                (state.line, state.since) = (Line::Lapsed, until.max(state.since));
            }
        }
    }

    /// Holds a lease, or none any more, in place of another.
    fn leases(&self, origin: Origin, replica: &Replica, leased: Option<Arc<Leased>>) {
        let known = {
            let mut book = self.book();
            if let Some(state) = book.states.get_mut(&origin) {
                state.lease = leased.as_ref().map(|leased| leased.until);
            }
            let kept = leased.as_ref().map(|leased| KeptLease { lease: leased.held.lease.clone(), until: leased.until });
            book.known.get_mut(&origin).filter(|known| known.lease != kept).map(|known| {
                known.lease = kept;
                known.clone()
            })
        };
        replica.leases(leased);
        if let Some(Err(error)) = known.map(|known| self.parts.shelf.note(&known)) {
            tracing::warn!(%error, "a lease of a peer's log could not be kept; it is told anew after the next start");
        }
        self.tell();
    }
}

impl Follower {
    /// Whose log it is says for how long, and how much of it, this server may receive and pass on.
    pub(super) fn leased(&self, house: &House, replica: &Replica, lease: &Lease) -> Result<(), Ended> {
        let origin = house.log.head().origin;
        // Of a server behind another nothing is known of its clock.
        let ahead = if self.passed_on() { 0 } else { self.ahead };
        let now = Time::from_micros(self.now().micros().saturating_add(ahead)).minus(SKEW);
        match self.peers.read(lease, origin, &self.route.through, now) {
            Ok(held) => {
                let until = Time::from_micros(held.until().micros().saturating_sub(ahead));
                self.peers.leases(origin, replica, Some(Arc::new(Leased { held, until })));
                if self.passed_on() && !self.paused {
                    self.peers.line(&self.route, Some(origin), Line::Up, None);
                }
                Ok(())
            }
            Err(why) if self.passed_on() => {
                self.malformed(house, &[format!("a lease that is none: {why}")]);
                Err(later(format!("what it shows for passing this on is not good: {why}")))
            }
            // Its own word is taken all the same; nobody else would.
            Err(why) => {
                tracing::warn!(peer = &*self.route.neighbour.name, %why, "what a peer says of how its log may be passed on is not understood; it is not passed on");
                Ok(())
            }
        }
    }

    /// What is known from before may have come by another way.
    pub(super) fn leased_by_this_way(&self, origin: Origin, replica: &Replica) -> bool {
        let Some(leased) = replica.lease() else { return false };
        let same = self.peers.read(&leased.held.lease, origin, &self.route.through, Time::from_secs(0)).is_ok();
        if !same {
            self.peers.leases(origin, replica, None);
        }
        same && self.now() < leased.until
    }

    /// It lets this server in no more: nothing is passed on from here on.
    pub(super) fn turned_away(&self) {
        if let (Some(origin), Some(replica)) = (self.origin(), self.replica()) {
            self.peers.leases(origin, replica, None);
        }
    }

    /// What of a log that is passed on may be taken now; `None`: it comes from its own server. `claim`: how that
    /// one signs how far its log goes.
    pub(super) fn may_take(&self, replica: &Replica, claim: Option<&Claim>) -> Result<Option<Arc<Leased>>, Ended> {
        if !self.passed_on() {
            return Ok(None);
        }
        let leased = replica.lease().ok_or_else(|| later("it is passed on without a lease of the server whose log it is"))?;
        let until = leased.held.until();
        if self.now() >= leased.until.plus(SKEW) {
            return Err(later(format!("what this server may receive of it was leased until {until}, and not longer")));
        }
        if let Some(claim) = claim.filter(|claim| claim.at > until) {
            return Err(later(format!("it goes on until {}, and was leased until {until}", claim.at)));
        }
        Ok(Some(leased))
    }
}
