//! One server as a console sees it: what its link says, understood, as [`Update`]s; and the world that
//! follows from them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::behind::Gate;
use super::page::{HistoryPage, decode_all};
use super::servers::{ServerConfig, ServerIndex};
use super::unmet::Unmet;
use crate::link::{LinkError, LinkEvent};
use crate::model::event::Event;
use crate::model::fold::fold;
use crate::model::health::Health;
use crate::model::id::{Incarnation, Origin, RequestId, Sequence};
use crate::model::observation::Observation;
use crate::model::peer::PeerState;
use crate::model::presence::{Book, Presence};
use crate::model::reading::{Latest, Readings};
use crate::model::time::{Span, Time};
use crate::model::world::World;
use crate::trust::{NotProved, Proving};
use crate::wire::{Counts, Holding, MarksKept, Outcome, Place, Problem, SnapshotReason, ToClient, Welcome, WorldThen};

/// What happens between a console and one server.
#[derive(Clone, Debug)]
pub enum Update {
    Connecting {
        attempt: u32,
    },
    Connected(Arc<Welcome>),
    /// A server behind another was told of: this is its place from now on. Comes before all else there.
    Found {
        config: Box<ServerConfig>,
        through: ServerIndex,
        peer: Box<PeerState>,
    },
    /// Its log is followed by another link from now on, which reaches its server itself; nothing comes here
    /// any more.
    Superseded {
        by: ServerIndex,
    },
    /// Whose logs a server receives from its peers, and how new each is.
    Peers(Arc<[PeerState]>),
    Disconnected {
        /// In words. Not yet cleaned: the other side may have a part in it.
        why: String,
        retry_at: Instant,
        /// Where a person can do something about it.
        barred: Option<Barred>,
    },
    /// As whom one is there, and what one may do: the answer to [`ServersHandle::renew`](super::ServersHandle::renew).
    Holding(Arc<Holding>),
    /// Everything anew: the world as of its head, and the newest events, oldest first.
    Snapshot {
        world: Arc<World>,
        base: Sequence,
        why: SnapshotReason,
        events: Vec<Arc<Event>>,
        broken: u32,
        fresh: Fresh,
    },
    /// What happened in (`from`, `to`]. Without events: nothing happened, and that is known.
    Events {
        incarnation: Incarnation,
        from: Sequence,
        to: Sequence,
        events: Vec<Arc<Event>>,
        broken: u32,
        fresh: Fresh,
    },
    Vitals(Vec<Observation>),
    /// What the server's clock said, in an answer that took so long and was heard then.
    Clock {
        theirs: Time,
        delay: Duration,
        heard: Instant,
    },
    /// How the server itself is.
    Health(Arc<Health>),
    /// The numbers behind alerts, those that changed.
    Readings(Readings),
    /// Who looks at what, as far as that changed.
    Presence(Presence),
    /// A request was done or refused.
    Answered {
        request: RequestId,
        outcome: Outcome,
    },
    /// A part of the answer to an ask for history, or to a search.
    History {
        id: u64,
        page: HistoryPage,
        /// No more comes for this ask.
        last: bool,
        /// And there is no more in the log.
        complete: bool,
        /// Only what the ask's filter leaves.
        filtered: bool,
        /// With a filter: everything up to there has been looked at.
        reached: Option<Place>,
    },
    /// The answer to [`ServersHandle::world_at`](super::ServersHandle::world_at).
    Then(WorldThen),
    /// How far the person has looked, as their home server knows it.
    Marks(MarksKept),
    /// How many events there are, by time and severity.
    Counts(Counts),
    Problem(Problem),
}

/// Why a server is not spoken to, where a person can do something about it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Barred {
    /// It is met for the first time, and shows this key: somebody is to say whether that is the right one.
    Unmet(Unmet),
    /// It shows another key than the one that is known.
    Changed,
    /// It does not let us in, or not any more.
    NotLetIn,
}

impl Barred {
    fn of(why: &LinkError, proving: Option<&Arc<Proving>>) -> Option<Barred> {
        match why {
            LinkError::NotProved(NotProved::Unmet { key, .. }) => Some(Barred::Unmet(Unmet { proving: proving?.clone(), key: *key })),
            LinkError::NotProved(NotProved::Changed { .. }) => Some(Barred::Changed),
            LinkError::Unauthorized(_) => Some(Barred::NotLetIn),
            _ => None,
        }
    }
}

/// How new something is: heard then, by this machine's monotonic clock, and so old already at that time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fresh {
    pub heard: Instant,
    pub lag: Span,
}

impl Fresh {
    pub fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.heard).saturating_add(self.lag.duration())
    }
}

/// Turns a link's events into updates until either end is gone.
pub(super) async fn run(gate: Gate, mut link: mpsc::Receiver<LinkEvent>) {
    let mut origin = Origin::default();
    loop {
        // When nobody listens any more, the link must learn it at once, not with the next message.
        let event = tokio::select! {
            event = link.recv() => event,
            () = gate.deserted() => None,
        };
        let Some(event) = event else { return };
        let update = match event {
            LinkEvent::Connecting { attempt } => Update::Connecting { attempt },
            LinkEvent::Up(welcome) => {
                origin = welcome.origin;
                if gate.origin.is_none() {
                    gate.meets(origin).await;
                }
                Update::Connected(welcome)
            }
            LinkEvent::Down { why, retry_in } => {
                let barred = Barred::of(&why, gate.config.proving.as_ref());
                Update::Disconnected { why: why.to_string(), retry_at: now() + retry_in, barred }
            }
            LinkEvent::Clock { theirs, delay, heard } => Update::Clock { theirs, delay, heard: heard.into_std() },
            LinkEvent::Message(ToClient::Peers(told)) => {
                gate.hears_of(&told.peers).await;
                Update::Peers(told.peers.into())
            }
            LinkEvent::Message(message) => match understand(message, origin) {
                Some(update) => update,
                None => continue,
            },
        };
        if !gate.tell(update).await {
            return;
        }
    }
}

/// tokio's clock, so that simulated time counts here too.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

fn understand(message: ToClient, origin: Origin) -> Option<Update> {
    Some(match message {
        ToClient::Snapshot(snapshot) => {
            let (events, broken) = decode_all(snapshot.events.iter(), origin);
            Update::Snapshot { world: snapshot.world, base: snapshot.base, why: snapshot.why, events, broken, fresh: Fresh { heard: now(), lag: snapshot.lag } }
        }
        ToClient::Batch(batch) => {
            let (events, broken) = decode_all(batch.events.iter(), origin);
            let fresh = Fresh { heard: now(), lag: batch.lag };
            Update::Events { incarnation: batch.incarnation, from: batch.from, to: batch.to, events, broken, fresh }
        }
        ToClient::Page(page) => Update::History {
            id: page.id,
            page: HistoryPage::read(page.events),
            last: page.last,
            complete: page.complete,
            filtered: page.filtered,
            reached: page.reached,
        },
        ToClient::Answer(answer) => Update::Answered { request: answer.id, outcome: answer.result },
        ToClient::Counts(counts) => Update::Counts(counts),
        ToClient::MarksKept(kept) => Update::Marks(kept),
        ToClient::Vitals(vitals) => Update::Vitals(vitals.observations),
        // A past that is another server's is none (F3).
        ToClient::WorldThen(then) if then.world.as_ref().is_none_or(|world| world.origin == origin) => Update::Then(then),
        ToClient::WorldThen(_) => return None,
        ToClient::Health(health) => Update::Health(Arc::new(health)),
        ToClient::Readings(readings) => Update::Readings(readings),
        ToClient::Presence(told) => Update::Presence(told),
        ToClient::Problem(problem) => Update::Problem(problem),
        ToClient::Holding(holding) => Update::Holding(Arc::new(holding)),
        ToClient::Handshake(_)
        | ToClient::Welcome(_)
        | ToClient::Ack(_)
        | ToClient::Pong(_)
        | ToClient::Peers(_)
        | ToClient::Lease(_)
        | ToClient::Backfilled(_)
        | ToClient::WorldSealed(_) => return None,
    })
}

/// What follows from the updates of one server: its world, and how new that is.
#[derive(Clone, Debug, Default)]
pub struct Replica {
    pub welcome: Option<Arc<Welcome>>,
    pub connected: bool,
    /// Why not, if not.
    pub why: Option<String>,
    /// Nothing before the first snapshot.
    pub world: Option<Arc<World>>,
    pub fresh: Option<Fresh>,
    /// How the server says it is itself; older ones do not say.
    pub health: Option<Arc<Health>>,
    /// The numbers behind its alerts.
    pub readings: Latest,
    /// Who looks at what there, as far as it is told.
    pub presence: Book,
    /// Whose logs it receives.
    pub peers: Arc<[PeerState]>,
    /// As whom one is there, and what one may do, where that was asked.
    pub holding: Option<Arc<Holding>>,
    /// Its log is followed by another link.
    pub superseded: bool,
    /// Events that could not be read.
    pub broken: u32,
}

impl Replica {
    pub fn apply(&mut self, update: &Update) {
        match update {
            Update::Connecting { .. }
            | Update::Found { .. }
            | Update::Vitals(_)
            | Update::Clock { .. }
            | Update::Answered { .. }
            | Update::History { .. }
            | Update::Counts(_)
            | Update::Marks(_)
            | Update::Then(_)
            | Update::Problem(_) => {}
            Update::Peers(peers) => self.peers = peers.clone(),
            Update::Holding(holding) => self.holding = Some(holding.clone()),
            Update::Superseded { .. } => *self = Replica { superseded: true, ..Replica::default() },
            Update::Health(health) => self.health = Some(health.clone()),
            Update::Readings(readings) => self.readings.take(readings.clone()),
            Update::Presence(told) => self.presence.take(told.clone()),
            Update::Connected(welcome) => {
                self.health = None;
                self.readings = Latest::default();
                self.presence = Book::default();
                self.welcome = Some(welcome.clone());
                self.connected = true;
                self.why = None;
            }
            Update::Disconnected { why, .. } => {
                self.connected = false;
                self.presence = Book::default();
                self.why = Some(why.clone());
            }
            Update::Snapshot { world, broken, fresh, .. } => {
                self.world = Some(world.clone());
                self.fresh = Some(*fresh);
                self.broken = self.broken.saturating_add(*broken);
            }
            Update::Events { events, to, broken, fresh, .. } => {
                if let Some(world) = &mut self.world
                    && *to > world.head
                {
                    let world = Arc::make_mut(world);
                    events.iter().for_each(|event| fold(world, event));
                    // What could not be read counts as seen: its range was claimed.
                    world.head = world.head.max(*to);
                }
                self.fresh = Some(*fresh);
                self.broken = self.broken.saturating_add(*broken);
            }
        }
    }
}
