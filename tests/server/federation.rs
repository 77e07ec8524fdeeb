//! Servers that receive each other's logs, over lines of this process: what their users see of each other,
//! what they may ask of each other, and what happens when a line, a server or a log goes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use midwatch::client::{Address, Replica, ServerConfig, ServerIndex, Servers, Update, Wishes};
use midwatch::link::{Clock, Random, SeededRandom, SteadyClock};
use midwatch::model::event::{Actor, Draft, Kind, LogLine};
use midwatch::model::grant::{Key, Scope};
use midwatch::model::id::{EventId, Incarnation, Origin, RequestId, Sequence};
use midwatch::model::intent::{Intent, Request};
use midwatch::model::peer::Line as PeerLine;
use midwatch::model::time::Time;
use midwatch::model::world::World;
use midwatch::server::config::Config;
use midwatch::server::gate::Gate;
use midwatch::server::peer::{MemoryShelf, Neighbour, PeerParts, Shelf};
use midwatch::server::presence::Setting;
use midwatch::server::{Input, Listener, Parts, Running, Server};
use midwatch::store::{Log, MemoryLog, Page, Row};
use midwatch::trust::{KnownServers, Proving, ServerKey, Signer};
use midwatch::wire::{EventBytes, Outcome};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::scene;
use crate::sim::{BROKEN, Door, Line, OPEN};

/// The moment at which all of these begin.
const BEGIN: Time = Time::from_secs(1_790_000_000);

/// What all servers of a test share.
pub struct Sea {
    pub clock: Arc<SteadyClock>,
    pub random: Arc<SeededRandom>,
}

impl Sea {
    pub fn new(seed: u64) -> Sea {
        Sea { clock: Arc::new(SteadyClock::new(BEGIN)), random: Arc::new(SeededRandom::new(seed)) }
    }

    pub fn line(&self, to: &Node) -> Line {
        Line { door: to.door.clone(), state: Arc::new(AtomicU8::new(OPEN)), random: self.random.clone(), stranger: false }
    }
}

/// One server, through all of its lives.
pub struct Node {
    pub name: &'static str,
    pub signer: Signer,
    pub origin: Origin,
    pub log: MemoryLog,
    pub shelf: MemoryShelf,
    pub door: Door,
    pub running: Option<Running>,
    /// Whose keys it lets in, and whose it has met.
    pub yard: tempfile::TempDir,
    /// Whom it receives from, and over which line.
    pub peers: Vec<(&'static str, Line)>,
    /// Who looks at what: to whom it tells that.
    pub presence: Setting,
    pub config: Config,
    /// Events that it tells one by one to who comes back, and beside a world.
    pub tells: Option<(u64, u32)>,
}

impl Node {
    pub fn new(number: u8, name: &'static str) -> Node {
        let key = ServerKey::from_seed([number; 32]);
        let origin = key.origin();
        let log = MemoryLog::new(origin, Incarnation(1_790_000_000_000));
        Node {
            name,
            signer: key.signer().unwrap(),
            origin,
            log,
            shelf: MemoryShelf::default(),
            door: Door::default(),
            running: None,
            yard: tempfile::tempdir_in("/dev/shm").unwrap(),
            peers: Vec::new(),
            presence: Setting::default(),
            config: Config { name: Some(name.into()), ..Config::default() },
            tells: None,
        }
    }

    pub async fn start(&mut self, sea: &Sea) {
        let (sender, connections) = mpsc::channel(16);
        let clock: Arc<dyn Clock> = sea.clock.clone();
        let mut parts = Parts::new(clock, Arc::new(self.log.clone()), Listener::Given(connections), scene::tokens());
        parts.pace.checkpoint_events = 40;
        if let Some((catch_up, history)) = self.tells {
            (parts.limits.catch_up, parts.limits.history) = (catch_up, history);
        }
        parts.gate = Gate::new(self.signer.clone(), self.yard.path().join("authorized_keys"), false);
        let neighbour = |(name, line): &(&'static str, Line)| {
            let known = KnownServers::at(self.yard.path().join("keys/known_servers"));
            let proving = Proving { signer: Arc::new(self.signer.clone()), known, server: (*name).into() };
            Neighbour { name: (*name).into(), dial: Arc::new(line.clone()), proving: line.stranger.then(|| Arc::new(proving)) }
        };
        let random: Arc<dyn Random> = sea.random.clone();
        parts.peers = Some(PeerParts::new(self.peers.iter().map(neighbour).collect(), Arc::new(self.shelf.clone()), random));
        let server = Server::bind(&Config { presence: self.presence, ..self.config.clone() }, parts).await.unwrap();
        *self.door.lock().unwrap() = Some(sender);
        self.running = Some(server.spawn());
    }

    pub async fn stop(&mut self) {
        *self.door.lock().unwrap() = None;
        if let Some(running) = self.running.take() {
            running.stop().await;
        }
    }

    pub async fn world(&self) -> Arc<World> {
        self.running.as_ref().unwrap().core.durable().await.unwrap().world.clone()
    }

    pub async fn note(&self, text: &str) {
        self.running.as_ref().unwrap().core.write(Input::Request(scene::note(text))).await.unwrap();
    }

    pub async fn note_on(&self, system: &str, text: &str) {
        let intent = Intent::NoteSystem { system: system.parse().unwrap(), text: text.into() };
        let request = Request { intent, ..scene::note("") };
        self.running.as_ref().unwrap().core.write(Input::Request(request)).await.unwrap();
    }

    /// The events of its own log of this kind.
    pub async fn said(&self, kind: &str) -> Vec<midwatch::model::event::Event> {
        let rows = self.log.page(Page::After(None), usize::MAX).await.unwrap();
        rows.into_iter().filter(|row| &*row.kind == kind).map(|row| EventBytes(row.bytes).decode().unwrap()).collect()
    }
}

/// The place at which a log is followed.
pub fn followed(replicas: &BTreeMap<ServerIndex, Replica>, origin: Origin) -> Option<ServerIndex> {
    let mut own = replicas.iter().filter(|(_, replica)| replica.world.as_ref().is_some_and(|world| world.origin == origin));
    let found = own.next().map(|(place, _)| *place);
    assert!(own.next().is_none(), "a log is followed once");
    found
}

/// A console of one server, and of all that are behind it.
pub struct Glass {
    pub servers: Servers,
    pub replicas: BTreeMap<ServerIndex, Replica>,
    pub names: BTreeMap<ServerIndex, Arc<str>>,
    pub answers: BTreeMap<RequestId, Outcome>,
    pub heard: Vec<(ServerIndex, Arc<midwatch::model::event::Event>)>,
    to: BTreeMap<ServerIndex, Sequence>,
    pub snapshots: usize,
}

impl Glass {
    pub fn at(sea: &Sea, lines: &[(&str, Line)]) -> Glass {
        Glass::of(sea, lines, None)
    }

    /// Of a person with a key.
    pub fn of(sea: &Sea, lines: &[(&str, Line)], proving: Option<&Arc<Proving>>) -> Glass {
        let config = |name: &str| ServerConfig { proving: proving.cloned(), ..ServerConfig::new(name, Address::Unix("/nowhere".into())) };
        let configs: Vec<ServerConfig> = lines.iter().map(|(name, _)| config(name)).collect();
        let dials = lines.iter().map(|(_, line)| Arc::new(line.clone()) as Arc<dyn midwatch::link::Dial>).collect();
        let wishes = Wishes { name: "kim".into(), history: 3, filter: None, vitals: true, presence: false, peers: true };
        let random: Arc<dyn Random> = sea.random.clone();
        let servers = Servers::connect_by(&configs, dials, &wishes, &random).unwrap();
        let names = lines.iter().enumerate().map(|(place, (name, _))| (ServerIndex(place), (*name).into())).collect();
        let (replicas, answers, heard, to) = Default::default();
        Glass { servers, replicas, names, answers, heard, to, snapshots: 0 }
    }

    pub fn take(&mut self, server: ServerIndex, update: &Update) {
        self.replicas.entry(server).or_default().apply(update);
        match update {
            Update::Found { config, .. } => {
                assert_eq!(server.0, self.names.len(), "places are told in their order");
                self.names.insert(server, config.name.clone());
            }
            Update::Snapshot { world, .. } => {
                self.to.insert(server, world.head);
                self.snapshots += 1;
            }
            Update::Events { from, to, events, broken, .. } => {
                assert_eq!(Some(from), self.to.get(&server), "without a gap or a repetition");
                assert_eq!(*broken, 0);
                self.to.insert(server, *to);
                self.heard.extend(events.iter().map(|event| (server, event.clone())));
            }
            Update::Answered { request, outcome } => {
                self.answers.insert(*request, outcome.clone());
            }
            _ => {}
        }
    }

    pub fn drain(&mut self) {
        while let Ok((server, update)) = self.servers.updates.try_recv() {
            self.take(server, &update);
        }
    }

    pub async fn until(&mut self, what: &str, mut fact: impl FnMut(&Glass) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(300);
        while !fact(self) {
            let next = tokio::time::timeout_at(deadline, self.servers.updates.recv()).await;
            let next = next.unwrap_or_else(|_| {
                let heard = |replica: &Replica| (replica.world.as_ref().map(|world| world.head), replica.why.clone(), replica.peers.clone());
                panic!("waited in vain until {what}: {:?}", self.replicas.values().map(heard).collect::<Vec<_>>())
            });
            let (server, update) = next.unwrap();
            self.take(server, &update);
        }
    }

    /// The place at which this log is followed.
    pub fn place(&self, origin: Origin) -> Option<ServerIndex> {
        followed(&self.replicas, origin)
    }

    pub fn world(&self, origin: Origin) -> Option<&Arc<World>> {
        self.replicas.get(&self.place(origin)?)?.world.as_ref()
    }

    pub fn ask(&self, origin: Origin, request: Request) {
        drop(self.servers.handle.request(self.place(origin).unwrap(), request).unwrap());
    }

    /// What comes of it.
    pub async fn outcome(&mut self, origin: Origin, request: Request) -> Outcome {
        let id = request.id;
        self.ask(origin, request);
        self.until("it was answered", |glass| glass.answers.contains_key(&id)).await;
        self.answers[&id].clone()
    }

    /// Why it is not done.
    pub async fn refused(&mut self, origin: Origin, request: Request) -> String {
        match self.outcome(origin, request).await {
            Outcome::Refused(refusal) => refusal.why,
            done => panic!("it was done: {done:?}"),
        }
    }
}

fn note(sea: &Sea, text: &str) -> Request {
    let intent = Intent::NoteSystem { system: "shop/varnish".parse().unwrap(), text: text.into() };
    Request { id: sea.random.request_id(), by: "kim".into(), made: sea.clock.now(), intent, signed: None }
}

async fn rest() {
    tokio::time::sleep(Duration::from_secs(20)).await;
}

/// Simulated time, on one thread.
pub fn simulate<F: Future>(work: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap().block_on(work)
}

#[test]
fn a_console_sees_the_systems_behind_its_server_and_does_what_it_could_there() {
    simulate(async {
        let sea = Sea::new(1);
        let (mut a, mut b) = (Node::new(1, "shop"), Node::new(2, "customer"));
        b.start(&sea).await;
        b.note("before anybody listened").await;
        a.peers = vec![("b", sea.line(&b))];
        a.start(&sea).await;
        let mut glass = Glass::at(&sea, &[("shop", sea.line(&a))]);
        glass.until("the world behind came", |glass| glass.world(b.origin).is_some()).await;
        let place = glass.place(b.origin).unwrap();
        assert_eq!((place, &*glass.names[&place]), (ServerIndex(1), "customer"));
        b.note("while one looks").await;
        glass.until("the note came", |glass| glass.heard.iter().any(|(_, event)| event.text.contains("while one looks"))).await;
        let request = note(&sea, "from behind");
        glass.ask(b.origin, request.clone());
        glass.until("it was answered", |glass| glass.answers.contains_key(&request.id)).await;
        assert!(matches!(&glass.answers[&request.id], Outcome::Done(events) if events.len() == 1 && events[0].origin == b.origin));
        glass.until("and came as an event", |glass| glass.heard.iter().any(|(_, event)| event.request == Some(request.id))).await;
        let (_, event) = glass.heard.iter().find(|(_, event)| event.request == Some(request.id)).unwrap();
        assert_eq!(event.actor, Actor::User("kim@shop".into()), "whose user it is");
        rest().await;
        glass.drain();
        assert_eq!(glass.world(b.origin), Some(&b.world().await));
        assert_eq!(glass.world(a.origin), Some(&a.world().await));
    });
}

#[test]
fn what_is_asked_while_the_server_is_away_is_done_once_when_it_comes_back() {
    simulate(async {
        let sea = Sea::new(2);
        let (mut a, mut b) = (Node::new(1, "shop"), Node::new(2, "customer"));
        b.start(&sea).await;
        let between = sea.line(&b);
        a.peers = vec![("b", between.clone())];
        a.start(&sea).await;
        let mut glass = Glass::at(&sea, &[("shop", sea.line(&a))]);
        glass.until("the world behind came", |glass| glass.world(b.origin).is_some()).await;
        between.state.store(BROKEN, Ordering::SeqCst);
        let request = note(&sea, "asked in the dark");
        glass.ask(b.origin, request.clone());
        rest().await;
        glass.drain();
        assert!(glass.answers.is_empty(), "nobody pretends that it was done");
        // Meanwhile the server between is started anew: what was asked is in its outbox.
        a.stop().await;
        a.start(&sea).await;
        rest().await;
        between.state.store(OPEN, Ordering::SeqCst);
        glass.until("it was answered", |glass| glass.answers.contains_key(&request.id)).await;
        rest().await;
        let done = b.said("note").await.into_iter().filter(|event| event.request == Some(request.id)).count();
        assert_eq!(done, 1);
    });
}

#[test]
fn how_old_what_is_passed_on_is_shows_while_its_server_is_away() {
    simulate(async {
        let sea = Sea::new(3);
        let (mut a, mut b) = (Node::new(1, "shop"), Node::new(2, "customer"));
        b.start(&sea).await;
        a.peers = vec![("b", sea.line(&b))];
        a.start(&sea).await;
        let mut glass = Glass::at(&sea, &[("shop", sea.line(&a))]);
        glass.until("the world behind came", |glass| glass.world(b.origin).is_some()).await;
        let place = glass.place(b.origin).unwrap();
        b.stop().await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        glass.drain();
        let age = |glass: &Glass| glass.replicas[&place].fresh.unwrap().age(Instant::now().into_std());
        assert!(age(&glass) >= Duration::from_secs(55), "{:?}", age(&glass));
        let told = |glass: &Glass| glass.replicas[&ServerIndex(0)].peers.iter().map(|peer| (peer.origin, peer.line, peer.why.is_some())).collect::<Vec<_>>();
        assert_eq!(told(&glass), [(b.origin, PeerLine::Lost, true)]);
        // Who asks only now is told as much.
        let mut late = Glass::at(&sea, &[("shop", sea.line(&a))]);
        late.until("the world behind came", |glass| glass.world(b.origin).is_some()).await;
        let place = late.place(b.origin).unwrap();
        assert!(late.replicas[&place].fresh.unwrap().age(Instant::now().into_std()) >= Duration::from_secs(55));
        // A server that was started anew does not know when it heard last: no younger than the last event.
        a.stop().await;
        tokio::time::sleep(Duration::from_secs(100)).await;
        a.start(&sea).await;
        let mut later = Glass::at(&sea, &[("shop", sea.line(&a))]);
        later.until("the world behind came", |glass| glass.world(b.origin).is_some()).await;
        let place = later.place(b.origin).unwrap();
        assert!(later.replicas[&place].fresh.unwrap().age(Instant::now().into_std()) >= Duration::from_secs(155));
    });
}

#[test]
fn a_log_is_passed_on_through_a_chain_and_comes_from_its_own_server_where_that_is_given() {
    simulate(async {
        let sea = Sea::new(4);
        let (mut a, mut b, mut c) = (Node::new(1, "a"), Node::new(2, "b"), Node::new(3, "c"));
        c.start(&sea).await;
        b.peers = vec![("c", sea.line(&c))];
        b.start(&sea).await;
        a.peers = vec![("b", sea.line(&b))];
        a.start(&sea).await;
        let mut glass = Glass::at(&sea, &[("a", sea.line(&a))]);
        glass.until("both worlds behind came", |glass| glass.world(b.origin).is_some() && glass.world(c.origin).is_some()).await;
        let through: Vec<_> = glass.replicas[&ServerIndex(0)].peers.iter().find(|peer| peer.origin == c.origin).unwrap().through.clone();
        assert_eq!(through.iter().map(|relay| &*relay.name).collect::<Vec<_>>(), ["b"]);
        let request = note(&sea, "two hops away");
        glass.ask(c.origin, request.clone());
        glass.until("it was answered", |glass| glass.answers.contains_key(&request.id)).await;
        assert!(matches!(&glass.answers[&request.id], Outcome::Done(_)));
        rest().await;
        glass.drain();
        assert_eq!(glass.world(c.origin), Some(&c.world().await));
        let said = c.said("note").await;
        assert_eq!(said[0].actor, Actor::User("kim@a@b".into()));
        // A console that is given the server itself follows its log there, once.
        let mut both = Glass::at(&sea, &[("a", sea.line(&a)), ("c", sea.line(&c))]);
        both.until("all worlds came", |glass| [a.origin, b.origin, c.origin].iter().all(|origin| glass.world(*origin).is_some())).await;
        rest().await;
        both.drain();
        assert_eq!(both.place(c.origin), Some(ServerIndex(1)));
    });
}

#[test]
fn servers_in_a_circle_receive_each_log_once() {
    simulate(async {
        let sea = Sea::new(5);
        let mut nodes = [Node::new(1, "a"), Node::new(2, "b"), Node::new(3, "c")];
        for place in 0..3 {
            let lines: Vec<_> = (0..3).filter(|other| *other != place).map(|other| (nodes[other].name, sea.line(&nodes[other]))).collect();
            nodes[place].peers = lines;
        }
        for node in &mut nodes {
            node.start(&sea).await;
        }
        rest().await;
        for node in &nodes {
            node.note("here").await;
        }
        rest().await;
        for node in &nodes {
            let mut glass = Glass::at(&sea, &[(node.name, sea.line(node))]);
            glass.until("all worlds came", |glass| nodes.iter().all(|node| glass.world(node.origin).is_some())).await;
            rest().await;
            glass.drain();
            assert_eq!(glass.names.len(), 3);
            for other in &nodes {
                assert_eq!(glass.world(other.origin), Some(&other.world().await));
            }
        }
        // Nothing goes round: after a quiet minute nobody has heard of anything new.
        let heads: Vec<_> = nodes.iter().map(|node| node.log.head().sequence).collect();
        rest().await;
        assert_eq!(heads, nodes.iter().map(|node| node.log.head().sequence).collect::<Vec<_>>());
    });
}

#[test]
fn a_restart_goes_on_where_it_was() {
    simulate(async {
        let sea = Sea::new(6);
        let (mut a, mut b) = (Node::new(1, "shop"), Node::new(2, "customer"));
        b.start(&sea).await;
        a.peers = vec![("b", sea.line(&b))];
        a.start(&sea).await;
        rest().await;
        b.note("one").await;
        rest().await;
        a.stop().await;
        b.note("two").await;
        a.start(&sea).await;
        rest().await;
        assert!(a.said("peer.missed").await.is_empty() && a.said("peer.restored").await.is_empty());
        let theirs = b.log.range(Sequence(1), Sequence(u64::MAX), 1_000, 1 << 20).await.unwrap();
        let received = a.shelf.log(b.origin).unwrap();
        let ours = received.page(Page::After(None), 1_000).await.unwrap();
        assert_eq!(ours.iter().map(|row| &row.bytes).collect::<Vec<_>>(), theirs.iter().map(|row| &row.bytes).collect::<Vec<_>>(), "byte for byte");
    });
}

#[test]
fn a_log_that_went_back_in_time_is_said_and_not_merged() {
    simulate(async {
        let sea = Sea::new(7);
        let (mut a, mut b) = (Node::new(1, "shop"), Node::new(2, "customer"));
        b.start(&sea).await;
        a.peers = vec![("b", sea.line(&b))];
        a.start(&sea).await;
        let mut glass = Glass::at(&sea, &[("shop", sea.line(&a))]);
        glass.until("the world behind came", |glass| glass.world(b.origin).is_some()).await;
        for number in 0..5 {
            b.note(&format!("note {number}")).await;
        }
        rest().await;
        let full = b.log.head().sequence;
        b.stop().await;
        let cut = Sequence(full.0 - 3);
        b.log.cut_back(cut, Incarnation(1_790_000_900_000));
        b.start(&sea).await;
        b.note("a new life").await;
        rest().await;
        let said = a.said("peer.restored").await;
        assert_eq!(said.len(), 1);
        let Kind::PeerRestored(restored) = &said[0].kind else { panic!("{said:?}") };
        assert_eq!((restored.peer, restored.gone), (b.origin, a.shelf.gone().len() as u64));
        assert!(restored.gone >= 3, "{restored:?}");
        glass.drain();
        assert_eq!(glass.world(b.origin), Some(&b.world().await));
        let received = a.shelf.log(b.origin).unwrap();
        let ours = received.page(Page::After(None), 1_000).await.unwrap();
        let theirs = b.log.page(Page::After(None), 1_000).await.unwrap();
        assert_eq!(ours.iter().map(|row| &row.bytes).collect::<Vec<_>>(), theirs.iter().map(|row| &row.bytes).collect::<Vec<_>>());
    });
}

#[test]
fn what_a_peer_told_stays_when_it_is_none_any_more_and_is_marked() {
    simulate(async {
        let sea = Sea::new(8);
        let (mut a, mut b) = (Node::new(1, "shop"), Node::new(2, "customer"));
        b.start(&sea).await;
        a.peers = vec![("b", sea.line(&b))];
        a.start(&sea).await;
        rest().await;
        a.stop().await;
        a.peers.clear();
        a.start(&sea).await;
        let mut glass = Glass::at(&sea, &[("shop", sea.line(&a))]);
        glass.until("the world behind came", |glass| glass.world(b.origin).is_some()).await;
        assert_eq!(glass.replicas[&ServerIndex(0)].peers[0].line, PeerLine::Gone);
        let why = glass.refused(b.origin, note(&sea, "to nobody")).await;
        assert!(why.contains("no peer of this one any more"), "{why}");
    });
}

#[test]
fn what_a_relay_makes_up_is_not_taken_and_is_said() {
    simulate(async {
        let sea = Sea::new(9);
        let (mut a, mut b, mut c) = (Node::new(1, "a"), Node::new(2, "b"), Node::new(3, "c"));
        c.start(&sea).await;
        b.peers = vec![("c", sea.line(&c))];
        b.start(&sea).await;
        a.peers = vec![("b", sea.line(&b))];
        a.start(&sea).await;
        rest().await;
        c.note("this is so").await;
        rest().await;
        let received = a.shelf.log(c.origin).unwrap();
        assert!(received.page(Page::Before(None), 1).await.unwrap()[0].bytes.windows(10).any(|bytes| bytes == b"this is so"));
        // The relay writes into its copy what its server never said.
        c.stop().await;
        b.stop().await;
        let copy = b.shelf.log(c.origin).unwrap();
        let head = copy.head();
        let id = EventId { origin: c.origin, incarnation: head.incarnation, sequence: head.sequence.next() };
        let draft = Draft::new(sea.clock.now(), Actor::Server, LogLine {}, "all is well").on("shop/varnish".parse().unwrap());
        let event = draft.stamp(id, sea.clock.now());
        let bytes = EventBytes::of(&event).unwrap().0;
        let seal = midwatch::trust::seal::seal(&b.signer, &bytes).map(|seal| seal.0.into());
        let (kind, system) = ("log".into(), event.system.clone());
        let row = Row { sequence: id.sequence, at: event.at, recorded: event.recorded, severity: event.severity, kind, system, bytes: bytes.clone(), seal };
        copy.claim(head.sequence, id.sequence, vec![row]).await.unwrap();
        // In the place of one that it keeps back: its server does say that there is one.
        let mut known = b.shelf.known().into_iter().find(|known| known.origin == c.origin).unwrap();
        known.claim = midwatch::trust::seal::claim(&c.signer, c.origin, head.incarnation, id.sequence, sea.clock.now());
        b.shelf.note(&known).unwrap();
        b.start(&sea).await;
        rest().await;
        let holds = |rows: Vec<Row>| rows.iter().any(|row| row.bytes == bytes);
        assert!(!holds(received.page(Page::After(None), 1_000).await.unwrap()));
        assert_eq!(a.said("peer.malformed").await.len(), 1);
        // Its own server comes back: what the relay made up is gone there, too.
        c.start(&sea).await;
        c.note("and this").await;
        tokio::time::sleep(Duration::from_secs(200)).await;
        assert!(!holds(received.page(Page::After(None), 1_000).await.unwrap()));
        let mut glass = Glass::at(&sea, &[("a", sea.line(&a))]);
        glass.until("the world behind came", |glass| glass.world(c.origin).is_some()).await;
        tokio::time::sleep(Duration::from_secs(100)).await;
        glass.drain();
        assert_eq!(glass.world(c.origin), Some(&c.world().await));
    });
}

/// What a grant covers, by a rule of the test's own: the system's name, or what concerns nobody's system.
fn covered(row: &Row, beneath: &[&str]) -> bool {
    match &row.system {
        Some(system) => beneath.iter().any(|above| system.as_str() == *above || system.as_str().starts_with(&format!("{above}/"))),
        // What is said of its own key everybody is told.
        None => ["server.", "glossary.", "trust."].iter().any(|about| row.kind.starts_with(about)),
    }
}

#[test]
fn a_peer_is_told_what_its_grant_covers_and_nothing_else_also_when_that_changes() {
    simulate(async {
        let sea = Sea::new(10);
        let (mut a, mut b) = (Node::new(1, "shop"), Node::new(2, "customer"));
        let key = a.signer.public().line();
        let grant = |systems: &str| format!("peer=\"shop\",rights=\"read\",systems=\"{systems}\" {key}\n");
        let file = b.yard.path().join("authorized_keys");
        let scope = |systems: &str| {
            Scope::new(systems.split(',').map(|pattern| pattern.parse().unwrap()), midwatch::model::grant::Rights::parse("read").unwrap(), None)
        };
        std::fs::write(&file, grant("web/front")).unwrap();
        b.start(&sea).await;
        let systems = ["web/front", "web/db", "lab"];
        for system in systems {
            b.note_on(system, "before").await;
        }
        a.peers = vec![("b", Line { stranger: true, ..sea.line(&b) })];
        a.start(&sea).await;
        let mut glass = Glass::at(&sea, &[("shop", sea.line(&a))]);
        glass.until("the world behind came", |glass| glass.world(b.origin).is_some()).await;
        let received = a.shelf.log(b.origin).unwrap();
        let mut allowed: Vec<&str> = vec!["web/front"];
        for (systems_now, beneath) in [("web/front", vec!["web/front"]), ("web/**", vec!["web"]), ("lab", vec!["lab"])] {
            std::fs::write(&file, grant(systems_now)).unwrap();
            rest().await;
            let before = received.head().sequence;
            for system in systems {
                b.note_on(system, systems_now).await;
            }
            rest().await;
            glass.drain();
            assert_eq!(glass.world(b.origin).map(|world| &**world), Some(&b.world().await.seen_by(&scope(systems_now))), "under {systems_now}");
            let rows = received.page(Page::After(None), 1_000).await.unwrap();
            allowed.extend(&beneath);
            let else_: Vec<_> = rows.iter().filter(|row| !covered(row, &allowed)).map(|row| (row.sequence, row.kind.clone(), row.system.clone())).collect();
            assert!(else_.is_empty(), "nothing else was ever received: {else_:?}");
            let new: Vec<&Row> = rows.iter().filter(|row| row.sequence > before).collect();
            assert!(!new.is_empty() && new.iter().all(|row| covered(row, &beneath)), "and nothing else any more");
        }
        // It is taken back: what came stays, and is marked; nothing new comes.
        std::fs::write(&file, "").unwrap();
        rest().await;
        let before = received.head();
        b.note_on("lab", "not for everybody").await;
        rest().await;
        assert_eq!(received.head(), before);
        glass.drain();
        let told = &glass.replicas[&ServerIndex(0)].peers[0];
        assert_eq!(told.line, PeerLine::Lost);
        assert!(told.why.as_deref().unwrap_or_default().contains("authorized_keys"), "{:?}", told.why);
        // And it may ask for nothing in anybody's name: that was never granted.
        std::fs::write(&file, grant("lab")).unwrap();
        tokio::time::sleep(Duration::from_secs(120)).await;
        let intent = Intent::NoteSystem { system: "lab".parse().unwrap(), text: "let me".into() };
        glass.drain();
        let why = glass.refused(b.origin, Request { intent, ..note(&sea, "") }).await;
        assert!(why.contains("speak-for"), "{why}");
    });
}

#[test]
fn who_is_told_by_a_relay_sees_no_more_when_that_relay_is_granted_less() {
    simulate(async {
        let sea = Sea::new(12);
        let (mut a, mut b, mut c) = (Node::new(1, "shop"), Node::new(2, "hub"), Node::new(3, "customer"));
        let key = b.signer.public().line();
        let grant = |systems: &str| format!("peer=\"hub\",rights=\"read,federate\",systems=\"{systems}\" {key}\n");
        let file = c.yard.path().join("authorized_keys");
        std::fs::write(&file, grant("web/**,lab")).unwrap();
        c.start(&sea).await;
        c.note_on("web/front", "for both").await;
        c.note_on("lab", "for a while").await;
        b.peers = vec![("c", Line { stranger: true, ..sea.line(&c) })];
        b.start(&sea).await;
        a.peers = vec![("b", sea.line(&b))];
        a.start(&sea).await;
        let mut glass = Glass::at(&sea, &[("shop", sea.line(&a))]);
        glass.until("the world behind came", |glass| glass.world(c.origin).is_some()).await;
        for systems in ["web/**", "web/**,lab"] {
            std::fs::write(&file, grant(systems)).unwrap();
            rest().await;
            rest().await;
            glass.drain();
            let scope = Scope::new(systems.split(',').map(|pattern| pattern.parse().unwrap()), midwatch::model::grant::Rights::parse("read").unwrap(), None);
            let expected = c.world().await.seen_by(&scope);
            let seen = glass.world(c.origin).unwrap();
            assert_eq!((seen.epoch, &seen.systems, &seen.deeds), (expected.epoch, &expected.systems, &expected.deeds), "under {systems}");
        }
    });
}

#[test]
fn a_person_with_a_key_there_acts_in_their_own_name_whoever_brings_it() {
    simulate(async {
        let sea = Sea::new(11);
        let (mut a, mut b) = (Node::new(1, "shop"), Node::new(2, "customer"));
        let kim = ServerKey::from_seed([77; 32]).signer().unwrap();
        let lines = format!(
            "peer=\"shop\",rights=\"read\" {}\nname=\"Kim Lee\",rights=\"read,respond\",systems=\"shop/**\" {}\n",
            a.signer.public().line(),
            kim.public().line()
        );
        std::fs::write(b.yard.path().join("authorized_keys"), lines).unwrap();
        b.start(&sea).await;
        a.peers = vec![("b", Line { stranger: true, ..sea.line(&b) })];
        a.start(&sea).await;
        let known = KnownServers::at(a.yard.path().join("of_kim/known_servers"));
        let of_kim = Key::of(kim.public().bytes());
        std::fs::write(a.yard.path().join("authorized_keys"), format!("{} kim\n", kim.public().line())).unwrap();
        let proving = Arc::new(Proving { signer: Arc::new(kim), known, server: "shop".into() });
        let mut glass = Glass::of(&sea, &[("shop", Line { stranger: true, ..sea.line(&a) })], Some(&proving));
        glass.until("the world behind came", |glass| glass.world(b.origin).is_some()).await;
        let request = note(&sea, "in my own name");
        glass.ask(b.origin, request.clone());
        glass.until("it was answered", |glass| glass.answers.contains_key(&request.id)).await;
        assert!(matches!(&glass.answers[&request.id], Outcome::Done(_)), "{:?}", glass.answers);
        assert_eq!(b.said("note").await[0].actor, Actor::User("Kim Lee".into()));
        // By which key and through whom it came is in that log, and by which it was asked for in the one between.
        let used = b.said("trust.used").await;
        assert!(
            matches!(&used[..], [event] if matches!(&event.kind, Kind::TrustUsed(used) if used.through.as_deref() == Some("shop") && used.key.as_ref() == Some(&of_kim) && &*used.name == "Kim Lee")),
            "{used:?}"
        );
        let used = a.said("trust.used").await;
        assert!(
            matches!(&used[..], [event] if matches!(&event.kind, Kind::TrustUsed(used) if used.key.as_ref() == Some(&of_kim) && &*used.what == "note-system at customer")),
            "{used:?}"
        );
        // Within their own rights there, and not those of the server between.
        let intent = Intent::NoteSystem { system: "lab".parse().unwrap(), text: "here, too".into() };
        let why = glass.refused(b.origin, Request { intent, ..note(&sea, "") }).await;
        assert!(why.contains("what you may do here is"), "{why}");
        // Nobody else is spoken for: that was not granted.
        let mut other = Glass::at(&sea, &[("shop", sea.line(&a))]);
        other.until("the world behind came", |glass| glass.world(b.origin).is_some()).await;
        let why = other.refused(b.origin, note(&sea, "in whose name?")).await;
        assert!(why.contains("speak-for"), "{why}");
        assert_eq!(b.said("note").await.len(), 1);
    });
}
