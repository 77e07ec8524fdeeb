//! What another server's log tells, as far as it was received: the world that follows from it, and the way
//! back for what its own users ask there.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use super::leased::Leased;
use super::worlds::Worlds;
use crate::link::{Clock, LinkHandle};
use crate::model::fold::fold;
use crate::model::id::{RequestId, Sequence};
use crate::model::intent::{Refusal, RefusalCode, Request};
use crate::model::reading::{Latest, Readings};
use crate::model::time::{Span, Time};
use crate::model::world::World;
use crate::server::core::Durable;
use crate::server::hub::Hub;
use crate::server::prime;
use crate::store::{Log, Row, StoreError};
use crate::wire::{self, EventBytes, Outcome};

/// Requests that wait for an answer, of all sessions together.
const WAITING: usize = 10_000;

pub struct Replica {
    log: Arc<dyn Log>,
    world: Mutex<World>,
    last: Mutex<Option<Arc<Durable>>>,
    numbers: Mutex<Latest>,
    /// Nothing: no link to it is kept any more.
    link: Mutex<Option<LinkHandle>>,
    waiting: Mutex<HashMap<RequestId, Vec<oneshot::Sender<Outcome>>>>,
    /// When its last word came, and how old that was; never in this life of this server: as it says itself.
    heard: Mutex<Option<(Instant, Span)>>,
    clock: Arc<dyn Clock>,
    /// The last word of the server itself on how far its log goes.
    claim: Mutex<Option<Claimed>>,
    /// How much of it may be passed on, and for how long.
    lease: watch::Sender<Option<Arc<Leased>>>,
    /// What is asked there for those to whom it is passed on.
    worlds: Worlds,
    /// Whose turn it is to feed it.
    turn: Arc<tokio::sync::Mutex<()>>,
}

struct Claimed {
    /// The one that goes furthest.
    claim: wire::Claim,
    /// When the newest one was made, by that server's clock, and when it came.
    at: Time,
    came: Instant,
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Replica {
    /// As the log tells.
    pub async fn open(log: Arc<dyn Log>, clock: Arc<dyn Clock>) -> Result<Replica, StoreError> {
        let world = prime::world_of(&*log).await?;
        let (last, numbers, link, waiting) = (Mutex::default(), Mutex::default(), Mutex::default(), Mutex::default());
        Ok(Replica {
            log,
            world: Mutex::new(world),
            last,
            numbers,
            link,
            waiting,
            heard: Mutex::default(),
            clock,
            claim: Mutex::default(),
            lease: watch::Sender::default(),
            worlds: Worlds::default(),
            turn: Arc::default(),
        })
    }

    /// Waits until nobody else feeds it.
    pub(super) async fn turn(&self) -> tokio::sync::OwnedMutexGuard<()> {
        self.turn.clone().lock_owned().await
    }

    /// The world as it is known; all of it is durable here.
    pub fn durable(&self) -> Arc<Durable> {
        let world = lock(&self.world);
        let mut last = lock(&self.last);
        match &*last {
            Some(last) if last.world.head == world.head && last.world.incarnation == world.incarnation => last.clone(),
            Some(_) | None => {
                let durable = Arc::new(Durable::new(Arc::new(world.clone()), self.log.head().base));
                *last = Some(durable.clone());
                durable
            }
        }
    }

    /// How old, at most, what is known is.
    pub fn lag(&self) -> Span {
        match *lock(&self.heard) {
            Some((heard, lag)) => Span::from_micros(Span::from(heard.elapsed()).micros().saturating_add(lag.micros())),
            // Since the last event that we have: it may be newer, and is not known to be.
            None => self.clock.now().since(lock(&self.world).recorded).max(Span::ZERO),
        }
    }

    /// What is passed on as that server's own word.
    pub fn claim(&self) -> Option<wire::Claim> {
        lock(&self.claim).as_ref().map(|claimed| claimed.claim.clone())
    }

    /// Takes a claim of the server whose log it is; says how long ago the newest of them came. One that is repeated makes
    /// nothing any younger.
    pub(super) fn claims(&self, claim: &wire::Claim) -> Span {
        let mut known = lock(&self.claim);
        match &mut *known {
            // Its clock may stand still, or be set back: it goes as far as it says.
            Some(last) if last.at >= claim.at => {
                if claim.to > last.claim.to {
                    last.claim = claim.clone();
                }
                Span::from(last.came.elapsed())
            }
            known => {
                *known = Some(Claimed { claim: claim.clone(), at: claim.at, came: Instant::now() });
                Span::ZERO
            }
        }
    }

    /// How much of it may be passed on, and for how long; none: nothing.
    pub fn lease(&self) -> Option<Arc<Leased>> {
        self.lease.borrow().clone()
    }

    pub fn follow_lease(&self) -> watch::Receiver<Option<Arc<Leased>>> {
        self.lease.subscribe()
    }

    pub(super) fn leases(&self, leased: Option<Arc<Leased>>) {
        self.lease.send_replace(leased);
    }

    pub fn worlds(&self) -> &Worlds {
        &self.worlds
    }

    pub(super) fn hears(&self, lag: Span) {
        *lock(&self.heard) = Some((Instant::now(), lag));
    }

    /// Looks at the world as it is known.
    pub fn look<T>(&self, look: impl FnOnce(&World) -> T) -> T {
        look(&lock(&self.world))
    }

    /// A clone of the world, for a checkpoint.
    pub(super) fn world(&self) -> World {
        lock(&self.world).clone()
    }

    /// Rows that became durable, up to where nothing else may be seen.
    pub(super) fn follows(&self, rows: &[Row], to: Sequence) {
        let mut world = lock(&self.world);
        for row in rows {
            match EventBytes(row.bytes.clone()).decode() {
                Ok(event) => fold(&mut world, &event),
                Err(error) => tracing::warn!(sequence = row.sequence.0, %error, "an event of a peer cannot be read by this version; it is kept"),
            }
        }
        world.head = world.head.max(to);
    }

    pub(super) fn begins_anew(&self, world: World) {
        let before = std::mem::replace(&mut *lock(&self.world), world);
        *lock(&self.last) = None;
        if before.incarnation != lock(&self.world).incarnation {
            // It was said of another life.
            *lock(&self.claim) = None;
        }
    }

    pub fn readings_since(&self, since: u64) -> (u64, Readings) {
        let numbers = lock(&self.numbers);
        (numbers.version(), numbers.since(since))
    }

    pub(super) fn take_readings(&self, readings: Readings, hub: &Hub) {
        let mut numbers = lock(&self.numbers);
        numbers.take(readings);
        hub.send_readings(&numbers);
    }

    /// Forwards what a person asks to the server whose log it is; answered when that has answered. Until
    /// then it waits in the outbox, also over restarts: whoever asked asks again by the same id.
    pub async fn request(&self, request: Request) -> Outcome {
        let unavailable = |why: &str| Outcome::Refused(Refusal::new(RefusalCode::Unavailable, why));
        let Some(link) = lock(&self.link).clone() else { return unavailable("its server is no peer of this one any more") };
        let (answer, answered) = oneshot::channel();
        {
            let mut waiting = lock(&self.waiting);
            waiting.retain(|_, askers| {
                askers.retain(|asker| !asker.is_closed());
                !askers.is_empty()
            });
            if waiting.len() >= WAITING {
                return unavailable("too many requests wait for that server already");
            }
            waiting.entry(request.id).or_default().push(answer);
        }
        let Ok(kept) = link.request(request) else { return unavailable("the link to that server begins anew, or too much waits for it; try again") };
        match kept.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return unavailable(&format!("it cannot be kept until that server answers: {error}")),
            Err(_) => return unavailable("the link to that server ends"),
        }
        match answered.await {
            Ok(outcome) => outcome,
            Err(_) => unavailable("the link to that server ends"),
        }
    }

    pub(super) fn answered(&self, request: RequestId, outcome: &Outcome) {
        for asker in lock(&self.waiting).remove(&request).into_iter().flatten() {
            // Whoever asked may have gone.
            let _ = asker.send(outcome.clone());
        }
    }

    pub(super) fn link(&self) -> Option<LinkHandle> {
        lock(&self.link).clone()
    }

    /// By whom it is reached from now on.
    pub(super) fn reached_by(&self, link: Option<LinkHandle>) {
        *lock(&self.link) = link;
    }
}
