//! Servers that others run, from which this one receives what they grant: a link to each, its log kept here
//! as it came, the world that follows, and everything told to this server's own users; what these ask about
//! it goes to the server whose log it is.
//!
//! A log comes through one link at a time: from the server itself, or, where that is no peer of ours, from
//! the one of those that pass it on by whom most of it comes. A path that leads through this server is none, so that loops and
//! servers that are each other's peers are harmless.

mod backfill;
mod follow;
mod keep;
mod leased;
mod presence;
mod relays;
pub mod replica;
pub mod shelf;
pub mod take;
mod world;
pub mod worlds;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::CancellationToken;

use super::core::{Core, Input};
use super::house::House;
use super::hub::{Encoded, Hub, QueueLimits};
use super::metrics::Metrics;
use super::presence::{Board, Setting};
use super::prime;
use crate::link::{Clock, Dial, Random};
use crate::model::event::{Actor, Draft, Kind};
use crate::model::grant::Key;
use crate::model::id::{Incarnation, Origin, Sequence};
use crate::model::peer::{Line, PeerState, Relay};
use crate::model::severity::Severity;
use crate::model::time::{Span, Time};
use crate::store::{Log, Retention, StoreError};
use crate::trust::{Proving, seal};
use crate::wire::{self, Encoding, ToClient};
pub use backfill::Gap;
pub use leased::{KeptLease, Leased};
use relays::Running;
pub use replica::Replica;
pub use shelf::{FolderShelf, Known, MemoryShelf, Shelf};

/// A server that grants this one something: `[[peer]]`.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerConfig {
    /// As this server calls it.
    pub name: Arc<str>,
    /// `wss://host:port`, `ws://127.0.0.1:port` or `unix:/path`.
    pub url: Arc<str>,
    /// Who vouches for its certificate, where its own key is not what vouches for it.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// A proxy ends TLS in front of it.
    #[serde(default)]
    pub proxy: bool,
}

/// How a peer is reached, and how both prove who they are.
#[derive(Clone)]
pub struct Neighbour {
    pub name: Arc<str>,
    pub dial: Arc<dyn Dial>,
    pub proving: Option<Arc<Proving>>,
}

/// What the part of a server that speaks to peers is handed.
pub struct PeerParts {
    pub neighbours: Vec<Neighbour>,
    pub shelf: Arc<dyn Shelf>,
    pub random: Arc<dyn Random>,
    /// Waits between attempts to reach one.
    pub first_wait: Duration,
    pub longest_wait: Duration,
}

impl PeerParts {
    pub fn new(neighbours: Vec<Neighbour>, shelf: Arc<dyn Shelf>, random: Arc<dyn Random>) -> PeerParts {
        PeerParts { neighbours, shelf, random, first_wait: Duration::from_millis(200), longest_wait: Duration::from_secs(30) }
    }
}

/// What of the server itself this part needs.
pub struct Around {
    pub own: Origin,
    /// Its public key, to which leases of others' logs are bound.
    pub key: Option<Key>,
    pub name: Arc<str>,
    pub core: Core,
    pub clock: Arc<dyn Clock>,
    pub metrics: Arc<Metrics>,
    pub queue: QueueLimits,
    /// How long a peer's events are kept; its own server may keep them longer.
    pub keep: Option<Span>,
    /// Whether it is shared who looks at what, and how often, at most, that is told.
    pub presence: (Setting, Duration),
}

/// How often states are told that differ in numbers alone, and what is due is done.
const TICK: Duration = Duration::from_secs(5);
const CHECKPOINT_EVERY: Duration = Duration::from_secs(15 * 60);
const CHECKPOINT_EVENTS: u64 = 20_000;
const PRUNE_EVERY: Duration = Duration::from_secs(60 * 60);
/// What is malformed is said as an event this often at most, of each peer.
const SAY_MALFORMED: Span = Span::from_hours(1);

/// All logs that are received, and how each stands.
pub struct Peers {
    around: Around,
    parts: PeerParts,
    houses: RwLock<BTreeMap<Origin, Arc<House>>>,
    book: Mutex<Book>,
    told: watch::Sender<Arc<PeersFrame>>,
    ends: CancellationToken,
}

#[derive(Default)]
struct Book {
    states: BTreeMap<Origin, PeerState>,
    known: BTreeMap<Origin, Known>,
    /// Peers that never answered.
    strangers: BTreeMap<Arc<str>, PeerState>,
    /// What each peer says that it receives itself.
    passed_on: BTreeMap<Arc<str>, Vec<PeerState>>,
    relays: BTreeMap<Origin, Running>,
    malformed_said: BTreeMap<Origin, Time>,
    /// After which event of a log something came altered, and how often.
    altered: BTreeMap<Origin, (Sequence, u32)>,
}

/// Whose logs are received, encoded once for all who listen.
pub struct PeersFrame {
    pub peers: Vec<PeerState>,
    encoded: Encoded,
}

impl PeersFrame {
    fn new(peers: Vec<PeerState>) -> PeersFrame {
        PeersFrame { peers, encoded: Encoded::default() }
    }

    pub fn message(&self, encoding: Encoding) -> Option<Message> {
        self.encoded.message(encoding, || ToClient::Peers(wire::Peers { peers: self.peers.clone() }))
    }
}

impl Peers {
    /// With what earlier lives received. Nobody is asked before [`Peers::start`].
    pub async fn open(parts: PeerParts, around: Around) -> Result<Arc<Peers>, StoreError> {
        let (told, _) = watch::channel(Arc::new(PeersFrame::new(Vec::new())));
        let peers = Peers { around, parts, houses: RwLock::default(), book: Mutex::default(), told, ends: CancellationToken::new() };
        for known in peers.parts.shelf.known() {
            if known.origin == peers.around.own {
                continue;
            }
            // The life of a log that is there is in it.
            let log = peers.parts.shelf.open(known.origin, Incarnation(0))?;
            let head = log.head();
            let house = peers.settle(&known, log).await?;
            let leased = peers.leased_before(&known);
            if let Some(replica) = house.replica() {
                replica.leases(leased.clone());
                if let Some(claim) = known.claim.as_ref().filter(|claim| seal::claimed(claim, known.origin, head.incarnation).is_some()) {
                    replica.claims(claim);
                }
            }
            let since = peers.around.clock.now();
            // What is held is told from the first moment on, with its age.
            let lag = house.lag();
            let (line, why) = match peers.parts.neighbours.iter().any(|neighbour| neighbour.name == known.peer) {
                true => (Line::Lost, Some("not heard of since this server was started".into())),
                false => (Line::Gone, None),
            };
            let mut book = peers.book();
            let lease = leased.map(|leased| leased.until);
            book.states.insert(known.origin, PeerState { lease, why, lag, ..state(&known, line, since, head.incarnation, head.sequence) });
            book.known.insert(known.origin, known);
        }
        peers.tell();
        Ok(Arc::new(peers))
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The log of a server behind this one.
    pub fn house(&self, origin: Origin) -> Option<Arc<House>> {
        self.houses.read().unwrap_or_else(PoisonError::into_inner).get(&origin).cloned()
    }

    pub fn follow(&self) -> watch::Receiver<Arc<PeersFrame>> {
        self.told.subscribe()
    }

    /// Links to all peers, for as long as they are let.
    pub fn start(self: &Arc<Peers>) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        for neighbour in &self.parts.neighbours {
            tasks.spawn(follow::follow(self.clone(), follow::Route::to(neighbour), self.ends.child_token()));
        }
        let peers = Arc::downgrade(self);
        tasks.spawn(async move {
            let (mut checkpointed, mut pruned) = (tokio::time::Instant::now(), tokio::time::Instant::now());
            loop {
                tokio::time::sleep(TICK).await;
                let Some(peers) = peers.upgrade() else { return };
                peers.let_leases_lapse();
                peers.tell();
                if checkpointed.elapsed() >= CHECKPOINT_EVERY {
                    checkpointed = tokio::time::Instant::now();
                    peers.keep_checkpoints().await;
                }
                if pruned.elapsed() >= PRUNE_EVERY {
                    pruned = tokio::time::Instant::now();
                    peers.prune().await;
                }
            }
        });
        tasks
    }

    /// The last words: nothing is received any more, and the next start is quick.
    pub async fn stop(&self) {
        self.ends.cancel();
        self.book().relays.clear();
        self.keep_claims();
        self.keep_checkpoints().await;
    }

    fn all(&self) -> Vec<Arc<House>> {
        self.houses.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// The last words of those servers, for the next life of this one.
    fn keep_claims(&self) {
        let known: Vec<Known> = self.book().known.values().cloned().collect();
        for known in known {
            let claim = self.house(known.origin).and_then(|house| house.replica()?.claim());
            if claim.is_some()
                && claim != known.claim
                && let Err(error) = self.parts.shelf.note(&Known { claim, ..known })
            {
                tracing::warn!(%error, "what a peer's server said last of its log could not be kept");
            }
        }
    }

    async fn keep_checkpoints(&self) {
        for house in self.all() {
            if let Some(replica) = house.replica() {
                keep_checkpoint(&*house.log, replica).await;
            }
        }
    }

    async fn prune(&self) {
        let Some(keep) = self.around.keep else { return };
        for house in self.all() {
            let retention = Retention { keep: Some(keep), kinds: Vec::new() };
            if let Err(error) = house.log.prune(retention, self.around.clock.now()).await {
                tracing::warn!(server = &*house.name, %error, "pruning what was received of a peer failed");
            }
        }
    }

    /// A log has a house from here on.
    async fn settle(&self, known: &Known, log: Arc<dyn Log>) -> Result<Arc<House>, StoreError> {
        let replica = Arc::new(Replica::open(log.clone(), self.around.clock.clone()).await?);
        let hub = Hub::new(self.around.queue, self.around.metrics.clone());
        hub.begin_at(log.head().sequence);
        let retention = Retention { keep: self.around.keep, kinds: Vec::new() };
        let (setting, every) = self.around.presence;
        let board = Board::new(setting, every);
        let house = Arc::new(House::of_peer(replica, log, hub, retention, self.around.clock.clone(), known, board));
        self.houses.write().unwrap_or_else(PoisonError::into_inner).insert(known.origin, house.clone());
        Ok(house)
    }

    /// Changes what is told of a log, and tells it.
    fn stands(&self, origin: Origin, change: impl FnOnce(&mut PeerState)) {
        if let Some(state) = self.book().states.get_mut(&origin) {
            change(state);
        }
    }

    /// How the line to a peer or to a log stands. Of a peer that never answered nothing else is known.
    fn line(&self, route: &follow::Route, origin: Option<Origin>, line: Line, why: Option<Arc<str>>) {
        let now = self.around.clock.now();
        let mut book = self.book();
        let (line, why) = match origin.filter(|_| route.origin.is_some()) {
            Some(origin) => book.beyond(origin, line, why),
            None => (line, why),
        };
        let change = |state: &mut PeerState| {
            // While it is tried again it is lost all the same.
            let still = matches!((state.line, line), (Line::Lost | Line::Lapsed, Line::Connecting) | (Line::Lapsed, Line::Lost));
            if state.line != line && !still {
                (state.line, state.since) = (line, now);
            }
            if line != Line::Connecting {
                state.why = why;
            }
        };
        match origin {
            Some(origin) => {
                book.strangers.remove(&route.neighbour.name);
                if let Some(state) = book.states.get_mut(&origin) {
                    change(state);
                }
            }
            None if route.origin.is_none() => {
                let name = route.neighbour.name.clone();
                let stranger = book.strangers.entry(name.clone()).or_insert_with(|| stranger(name, now));
                change(stranger);
            }
            None => {}
        }
        drop(book);
        self.tell();
    }

    fn tell(&self) {
        let peers: Vec<PeerState> = {
            let book = self.book();
            book.strangers.values().chain(book.states.values()).cloned().collect()
        };
        self.told.send_if_modified(|frame| {
            let differs = frame.peers != peers;
            if differs {
                *frame = Arc::new(PeersFrame::new(peers));
            }
            differs
        });
    }

    /// An event of this server's own log. Beside everything else: its disk may be slow.
    fn say(&self, kind: impl Into<Kind>, severity: Severity, title: String) {
        let draft = Draft::new(self.around.clock.now(), Actor::Server, kind, title).severity(severity);
        let core = self.around.core.clone();
        tokio::spawn(async move {
            if let Err(refusal) = core.write(Input::Record(vec![draft])).await {
                tracing::warn!(%refusal, "what is to be said of a peer could not be kept");
            }
        });
    }
}

/// Keeps the world, unless the newest checkpoint is of it already.
async fn keep_checkpoint(log: &dyn Log, replica: &Replica) {
    let world = replica.world();
    if world.head == Sequence(0) || log.checkpoints().await.is_ok_and(|places| places.last() == Some(&world.head)) {
        return;
    }
    let kept = match prime::checkpoint(&world) {
        Ok(bytes) => log.checkpoint(world.head, bytes).await.map_err(|error| error.to_string()),
        Err(why) => Err(why),
    };
    if let Err(why) = kept {
        tracing::warn!(why, "a checkpoint of a peer's log could not be kept; the next start takes longer");
    }
}

fn state(known: &Known, line: Line, since: Time, incarnation: Incarnation, head: Sequence) -> PeerState {
    PeerState {
        origin: known.origin,
        name: known.name.clone(),
        through: known.through.clone(),
        line,
        since,
        why: None,
        lag: Span::ZERO,
        heard: None,
        skew: None,
        incarnation,
        head,
        version: "".into(),
        set_aside: 0,
        key: None,
        grant: None,
        until: None,
        granted_by: None,
        granted: None,
        lease: None,
        offers: None,
    }
}

fn stranger(name: Arc<str>, since: Time) -> PeerState {
    let known = Known {
        origin: Origin::default(),
        name: name.clone(),
        peer: name,
        through: Vec::new(),
        env: None,
        claim_every: Span::ZERO,
        lease: None,
        claim: None,
        gaps: Vec::new(),
    };
    state(&known, Line::Connecting, since, Incarnation(0), Sequence(0))
}

/// What is received of one peer, by whom it is passed on.
fn through(nearest: &Relay, state: &PeerState) -> Vec<Relay> {
    std::iter::once(nearest.clone()).chain(state.through.iter().cloned()).collect()
}
