//! One link to a peer, and the log that comes through it: taken event by event, made durable, folded, told on.
//!
//! The link goes on from where this server's copy of the log stands. When the copy cannot take what came (a
//! full disk, say), the link ends and begins again from there: nothing is told that is not kept.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::presence::{self, Shared};
use super::shelf::Known;
use super::{Leased, Neighbour, Peers, state};
use crate::link::{self, LinkConfig, LinkError, LinkEvent, LinkHandle};
use crate::model::id::{Origin, Sequence};
use crate::model::intent::{Refusal, RefusalCode};
use crate::model::peer::{Line, Relay};
use crate::model::time::{Span, Time};
use crate::server::house::House;
use crate::server::peer::Replica;
use crate::server::rights::lossy;
use crate::server::steady::until;
use crate::trust::world::NONCE;
use crate::wire::{Cursor, Hello, Holding, PROTOCOL, ProblemCode, Raw, Renew, Role, Sealing, Subscribe, ToClient, ToServer, Welcome};

/// Newest events that are asked for when a log begins.
const HISTORY: u32 = 10_000;
/// How long until a link whose log could not be kept begins again.
const AGAIN: Duration = Duration::from_secs(1);
/// And one to which something is wrong that time does not mend.
const LATER: Duration = Duration::from_secs(60);

/// To which log, and through whom.
#[derive(Clone)]
pub(super) struct Route {
    pub(super) neighbour: Neighbour,
    /// None: the peer's own.
    pub(super) origin: Option<Origin>,
    pub(super) through: Vec<Relay>,
}

impl Route {
    pub(super) fn to(neighbour: &Neighbour) -> Route {
        Route { neighbour: neighbour.clone(), origin: None, through: Vec::new() }
    }

    /// Under what name its outbox is kept.
    fn key(&self) -> String {
        match self.origin {
            Some(origin) => format!("{}-{origin}", self.neighbour.name),
            None => self.neighbour.name.to_string(),
        }
    }
}

/// Why a link ended.
pub(super) struct Ended {
    why: String,
    again: Duration,
}

pub(super) fn soon(why: impl ToString) -> Ended {
    Ended { why: why.to_string(), again: AGAIN }
}

pub(super) fn later(why: impl Into<String>) -> Ended {
    Ended { why: why.into(), again: LATER }
}

/// Follows a log until it is told to end.
pub(super) async fn follow(peers: Arc<Peers>, route: Route, ends: CancellationToken) {
    while !ends.is_cancelled() {
        let mut follower = Follower {
            peers: peers.clone(),
            route: route.clone(),
            house: None,
            handle: None,
            turn: None,
            shared: None,
            unsaved: 0,
            ahead: 0,
            asked: None,
            fill_at: None,
            nonce: None,
            seals: false,
            paused: false,
        };
        let Ended { why, again } = match follower.run(&ends).await {
            Err(ended) => ended,
            Ok(()) => soon("the link ended"),
        };
        let origin = follower.origin();
        follower.cannot_ask(&why);
        if ends.is_cancelled() {
            if let Some(replica) = follower.replica() {
                replica.reached_by(None);
            }
            return;
        }
        drop(follower);
        tracing::warn!(peer = &*route.neighbour.name, why, "the link to a peer ends, and begins again");
        peers.line(&route, origin, Line::Lost, Some(why.into()));
        tokio::select! {
            () = ends.cancelled() => {}
            () = tokio::time::sleep(again) => {}
        }
    }
}

pub(super) struct Follower {
    pub(super) peers: Arc<Peers>,
    pub(super) route: Route,
    /// Where what comes is kept, once it is known whose log it is.
    house: Option<Arc<House>>,
    pub(super) handle: Option<LinkHandle>,
    /// One link at a time feeds a log.
    turn: Option<tokio::sync::OwnedMutexGuard<()>>,
    /// Who looks at what, while the peer shares it.
    shared: Option<Shared>,
    /// Rows since the last checkpoint.
    pub(super) unsaved: u64,
    /// How far the peer's clock is ahead of this server's, in microseconds.
    pub(super) ahead: i64,
    /// Since when a slice of what was missed is waited for; and when the next one is asked for.
    pub(super) asked: Option<Instant>,
    pub(super) fill_at: Option<Instant>,
    /// What a world is asked with, of a log that is passed on, and whether whoever passes it on knows what that is.
    pub(super) nonce: Option<[u8; NONCE]>,
    pub(super) seals: bool,
    /// Nothing comes until it begins, or goes on: whoever passes it on says why.
    pub(super) paused: bool,
}

impl Follower {
    pub(super) fn origin(&self) -> Option<Origin> {
        self.house.as_ref().map(|house| house.log.head().origin).or(self.route.origin)
    }

    pub(super) fn replica(&self) -> Option<&Arc<Replica>> {
        self.house.as_ref()?.replica()
    }

    /// What is known of the log from before, if it came by the same way.
    fn known(&self) -> Option<Known> {
        let book = self.peers.book();
        let same = |known: &&Known| known.peer == self.route.neighbour.name && known.through == self.route.through;
        book.known.values().filter(same).find(|known| self.route.origin.is_none_or(|origin| origin == known.origin)).cloned()
    }

    async fn run(&mut self, ends: &CancellationToken) -> Result<(), Ended> {
        let known = self.known();
        self.house = known.as_ref().and_then(|known| self.peers.house(known.origin));
        let cursor = self.house.as_ref().map(|house| house.log.head()).filter(|head| head.sequence > Sequence(0));
        let epoch = self.house.as_ref().and_then(|house| house.epoch());
        let cursor = cursor.map(|head| Cursor { origin: head.origin, incarnation: head.incarnation, sequence: head.sequence, epoch });
        let hello = Hello {
            protocol: PROTOCOL,
            role: Role::Peer,
            name: self.peers.around.name.clone(),
            token: None,
            version: env!("CARGO_PKG_VERSION").into(),
            zstd: true,
            origin: self.route.origin,
            redeem: None,
            key: self.peers.around.key.clone(),
        };
        let direct = self.route.origin.is_none();
        let parts = &self.peers.parts;
        self.nonce = self.passed_on().then(|| {
            let mut nonce = [0; NONCE];
            parts.random.fill(&mut nonce);
            nonce
        });
        let subscribe = Subscribe {
            cursor,
            history: HISTORY,
            vitals: true,
            readings: true,
            peers: direct,
            presence: self.peers.around.presence.0.is_for(Role::Peer),
            nonce: self.nonce.map(|nonce| Raw(nonce.to_vec())),
            ..Subscribe::default()
        };
        let config = LinkConfig {
            subscribe: Some(subscribe),
            proving: self.route.neighbour.proving.clone(),
            first_wait: parts.first_wait,
            longest_wait: parts.longest_wait,
            ..LinkConfig::new(hello)
        };
        let outbox = parts.shelf.outbox(&self.route.key()).map_err(soon)?;
        let (handle, mut events) = link::spawn(config, self.route.neighbour.dial.clone(), parts.random.clone(), outbox);
        if let Some(replica) = self.replica() {
            // What is asked meanwhile waits in the outbox.
            replica.reached_by(Some(handle.clone()));
        }
        self.handle = Some(handle);
        self.hear(&mut events, ends).await
    }

    async fn hear(&mut self, events: &mut mpsc::Receiver<LinkEvent>, ends: &CancellationToken) -> Result<(), Ended> {
        loop {
            let event = tokio::select! {
                event = events.recv() => event,
                () = ends.cancelled() => None,
                () = presence::due(&mut self.shared) => {
                    self.tell_presence();
                    continue;
                }
                () = until(self.fill_at) => {
                    self.fill_next();
                    continue;
                }
            };
            let Some(event) = event else { return Ok(()) };
            match event {
                LinkEvent::Connecting { .. } => self.peers.line(&self.route, self.origin(), Line::Connecting, None),
                LinkEvent::Up(welcome) => self.meet(&welcome).await?,
                LinkEvent::Down { why, .. } => {
                    if matches!(why, LinkError::Unauthorized(_)) {
                        self.turned_away();
                    }
                    self.down(&why);
                }
                LinkEvent::Clock { theirs, delay, .. } => {
                    let half = Span::from_micros(Span::from(delay).micros() / 2);
                    let ahead = theirs.plus(half).micros().saturating_sub(self.now().micros());
                    self.ahead = ahead;
                    self.stands(|state| state.skew = Some(ahead));
                }
                LinkEvent::Message(message) => self.take(message).await?,
            }
        }
    }

    pub(super) fn now(&self) -> Time {
        self.peers.around.clock.now()
    }

    pub(super) fn stands(&self, change: impl FnOnce(&mut crate::model::peer::PeerState)) {
        if let Some(origin) = self.origin() {
            self.peers.stands(origin, change);
        }
    }

    /// They may look at what was not known here before.
    fn seat_presence(&self, replica: &Replica) {
        if let Some(shared) = self.shared.as_ref().filter(|shared| !shared.is_empty()) {
            shared.sit(replica, self.now());
        }
    }

    fn tell_presence(&mut self) {
        if let (Some(shared), Some(handle)) = (&mut self.shared, &self.handle) {
            shared.tell(handle);
        }
    }

    fn down(&mut self, why: &LinkError) {
        // The connection's part is gone with it, on both sides.
        self.shared = None;
        self.cannot_ask(&why.to_string());
        self.peers.line(&self.route, self.origin(), Line::Lost, Some(why.to_string().into()));
    }

    /// Nobody is asked for worlds through this link now.
    fn cannot_ask(&self, why: &str) {
        if let Some(replica) = self.replica().filter(|_| self.turn.is_some()) {
            replica.worlds().closes(&format!("the line to it is down: {why}"));
        }
    }

    /// Who answers, and where what they tell is kept.
    async fn meet(&mut self, welcome: &Welcome) -> Result<(), Ended> {
        let peers = self.peers.clone();
        self.ahead = welcome.now.micros().saturating_sub(self.now().micros());
        if welcome.origin == peers.around.own {
            return Err(later("that is this server itself; take it out of its peers"));
        }
        if let Some(house) = &self.house
            && house.log.head().origin != welcome.origin
        {
            return Err(later(format!("another server answers there ({}) than the one that was known", welcome.origin.short())));
        }
        let before = peers.book().known.get(&welcome.origin).cloned();
        let known = Known {
            origin: welcome.origin,
            name: welcome.name.clone(),
            peer: self.route.neighbour.name.clone(),
            through: self.route.through.clone(),
            env: welcome.env.clone(),
            claim_every: welcome.claim_every,
            lease: before.as_ref().and_then(|known| known.lease.clone()),
            claim: before.as_ref().and_then(|known| known.claim.clone()),
            gaps: before.map(|known| known.gaps).unwrap_or_default(),
        };
        {
            let mut book = peers.book();
            let other = book.known.get(&welcome.origin).filter(|other| other.through.is_empty() && other.peer != known.peer);
            if let Some(other) = other.filter(|other| peers.parts.neighbours.iter().any(|neighbour| neighbour.name == other.peer)) {
                return Err(later(format!("it is the same server as the peer {}", other.peer)));
            }
            if known.through.is_empty() {
                // From now on it comes from its own server.
                book.relays.remove(&welcome.origin);
            }
        }
        let house = match self.house.clone().or_else(|| peers.house(welcome.origin)) {
            Some(house) => house,
            None => {
                let log = peers.parts.shelf.open(welcome.origin, welcome.incarnation).map_err(soon)?;
                peers.settle(&known, log).await.map_err(soon)?
            }
        };
        let Some(replica) = house.replica().cloned() else { return Err(later("that is this server's own log")) };
        if self.turn.is_none() {
            self.turn = Some(replica.turn().await);
        }
        replica.reached_by(self.handle.clone());
        replica.worlds().opens(welcome.seals);
        self.seals = welcome.seals;
        self.paused = self.passed_on() && house.log.head().sequence == Sequence(0);
        peers.parts.shelf.note(&known).map_err(soon)?;
        {
            let mut book = peers.book();
            let head = house.log.head();
            let now = peers.around.clock.now();
            let state = book.states.entry(welcome.origin).or_insert_with(|| state(&known, Line::Connecting, now, head.incarnation, head.sequence));
            (state.name, state.through, state.version) = (known.name.clone(), known.through.clone(), welcome.version.clone());
            book.known.insert(welcome.origin, known);
        }
        let setting = peers.around.presence.0;
        self.shared = (welcome.presence && setting.is_for(Role::Peer)).then(|| Shared::new(&house.presence, &self.route.neighbour.name));
        self.house = Some(house);
        let key = self.proved(welcome);
        self.stands(|state| state.key = key.or(state.key.take()));
        // What is passed on is nothing before it is shown that it may be, and before it begins.
        if (self.leased_by_this_way(welcome.origin, &replica) && !self.paused) || !self.passed_on() {
            peers.line(&self.route, Some(welcome.origin), Line::Up, None);
        }
        peers.choose_ways();
        self.ask_what_is_held();
        self.fill_soon();
        Ok(())
    }

    /// The fingerprint of the peer's own key: of the one that it is known by, which is what it proves.
    fn proved(&self, welcome: &Welcome) -> Option<Arc<str>> {
        let proving = self.route.neighbour.proving.as_ref().filter(|_| self.route.origin.is_none())?;
        let known = proving.known.find(&proving.server).ok().flatten()?;
        welcome.key.as_ref().filter(|key| key.bytes() == *known.key.bytes()).map(|key| key.fingerprint().into())
    }

    /// When it comes, and whenever that may have changed. An older peer says nothing.
    pub(super) fn ask_what_is_held(&self) {
        if let Some(handle) = &self.handle {
            // One that has too much to do is asked again with the next world that it sends.
            let _ = handle.send(ToServer::Renew(Renew { id: 1 }));
        }
    }

    /// What the peer grants this server, and until when.
    fn holds(&self, replica: &Replica, holding: &Holding) {
        let given = replica.look(|world| holding.grant.and_then(|id| world.grants.get(&id).map(|grant| (grant.by.name().into(), grant.at))));
        self.stands(|state| {
            (state.grant, state.until) = (Some(holding.scope.sentence().into()), holding.scope.expires);
            (state.granted_by, state.granted) = given.map_or((None, None), |(by, at)| (Some(by), Some(at)));
        });
        self.peers.tell();
    }

    /// Beside the log, too, no more of what is passed on is taken than was leased.
    fn within(&self, replica: &Replica) -> Option<Arc<Leased>> {
        replica.lease().filter(|_| self.passed_on())
    }

    async fn take(&mut self, message: ToClient) -> Result<(), Ended> {
        let Some(house) = self.house.clone() else { return Ok(()) };
        let Some(replica) = house.replica() else { return Ok(()) };
        match message {
            ToClient::Snapshot(snapshot) => {
                self.begin_anew(&house, replica, snapshot).await?;
                self.seat_presence(replica);
                Ok(())
            }
            ToClient::Batch(batch) => {
                let news = !batch.events.is_empty();
                self.batch(&house, replica, batch).await?;
                if news {
                    self.seat_presence(replica);
                }
                Ok(())
            }
            ToClient::Answer(answer) => {
                replica.answered(answer.id, &answer.result);
                Ok(())
            }
            ToClient::Vitals(vitals) => {
                match self.within(replica) {
                    Some(leased) => house.hub.observed(&lossy::observations(&leased.held.scope, &vitals.observations)),
                    None => house.hub.observed(&vitals.observations),
                }
                house.hub.send_vitals();
                Ok(())
            }
            ToClient::Readings(readings) => {
                let readings = match self.within(replica) {
                    Some(leased) => replica.look(|world| lossy::readings(&leased.held.scope, world, readings)),
                    None => readings,
                };
                replica.take_readings(readings, &house.hub);
                Ok(())
            }
            ToClient::Presence(told) => {
                let now = self.now();
                if let Some(shared) = &mut self.shared {
                    shared.hear(told, replica, now);
                }
                Ok(())
            }
            ToClient::Peers(told) => {
                if self.route.origin.is_none() {
                    self.peers.passes_on(&self.route.neighbour.name, told.peers);
                }
                Ok(())
            }
            ToClient::Backfilled(told) => self.filled(&house, replica, told).await,
            ToClient::Lease(lease) => self.leased(&house, replica, &lease),
            ToClient::Holding(holding) => {
                self.holds(replica, &holding);
                Ok(())
            }
            ToClient::WorldSealed(told) => {
                replica.worlds().answered(told.id, told.result);
                Ok(())
            }
            ToClient::Problem(problem) => {
                let why: Arc<str> = problem.words.chars().take(300).collect::<String>().into();
                let refused = Sealing::Refused(Refusal::new(RefusalCode::Unavailable, &*why));
                if problem.id.is_some_and(|id| replica.worlds().answered(id, refused)) {
                    return Ok(());
                }
                tracing::warn!(peer = &*self.route.neighbour.name, %why, "a peer says that something is wrong");
                match (problem.code, problem.id) {
                    (ProblemCode::Unavailable, None) if self.passed_on() => self.pauses(&why),
                    _ => self.stands(|state| state.why = Some(why)),
                }
                Ok(())
            }
            ToClient::Handshake(_)
            | ToClient::Welcome(_)
            | ToClient::Page(_)
            | ToClient::WorldThen(_)
            | ToClient::Counts(_)
            | ToClient::MarksKept(_)
            | ToClient::Ack(_)
            | ToClient::Health(_)
            | ToClient::Pong(_) => Ok(()),
        }
    }
}
