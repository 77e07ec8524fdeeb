//! The hosts of a simulation: servers, consoles, agents, each production code on a machine of turmoil's that
//! can lose its power.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use midwatch::agent::remote::RemoteUplink;
use midwatch::agent::uplink::{Batch, Uplink};
use midwatch::client::{Address, Replica, ServerConfig, ServerIndex, Servers, Update, Wishes};
use midwatch::link::{Clock, Io, Random, SeededRandom};
use midwatch::model::grant::{Bundle, Key, Rights, Who};
use midwatch::model::id::{Incarnation, Origin, RequestId, Sequence};
use midwatch::model::observation::{AgentHello, Observation};
use midwatch::model::severity::Status;
use midwatch::model::system::SystemSpec;
use midwatch::model::time::Span;
use midwatch::model::world::World;
use midwatch::server::config::Config;
use midwatch::server::gate::Gate;
use midwatch::server::listen::Via;
use midwatch::server::peer::{MemoryShelf, Neighbour, PeerParts};
use midwatch::server::{Core, Listener, Parts, Server};
use midwatch::store::MemoryLog;
use midwatch::trust::{KnownServers, Proving, ServerKey, Signer};
use midwatch::wire::Outcome;
use tokio::sync::{Notify, mpsc};

use super::judge::Ear;
use super::net::{Connections, Elapsed, HostClock, PORT, SimDial, Strand};
use super::truth::{Truth, USES, mark, system};
use crate::federation::followed;
use crate::scene;

pub const NAMES: [&str; 7] = ["amber", "birch", "cedar", "dune", "elm", "fjord", "grove"];

/// What all hosts share.
#[derive(Clone)]
pub struct Sea {
    pub elapsed: Elapsed,
    pub random: Arc<SeededRandom>,
    pub connections: Connections,
}

impl Sea {
    pub fn below(&self, below: usize) -> usize {
        usize::try_from(self.random.below(u64::try_from(below).unwrap())).unwrap()
    }

    pub fn random(&self) -> Arc<dyn Random> {
        self.random.clone()
    }
}

/// Ed25519 keys by a number: servers first, then who comes to them.
pub fn signer(number: usize) -> Signer {
    ServerKey::from_seed([u8::try_from(number + 1).unwrap(); 32]).signer().unwrap()
}

pub fn named(signer: &Signer) -> Key {
    Key::of(signer.public().bytes())
}

/// Whoever proves a key: which, where their pins are, and to whom.
fn proving(signer: &Signer, folder: &std::path::Path, server: &str) -> Proving {
    Proving { signer: Arc::new(signer.clone()), known: KnownServers::at(folder.join("keys/known_servers")), server: server.into() }
}

/// One server, through all of its lives.
pub struct Ship {
    pub sea: Sea,
    pub place: usize,
    pub name: &'static str,
    pub signer: Signer,
    pub origin: Origin,
    pub log: MemoryLog,
    pub shelf: MemoryShelf,
    pub clock: HostClock,
    pub yard: tempfile::TempDir,
    /// How long its leases last.
    pub lease: Span,
    /// More events than this come as a world.
    pub catch_up: u64,
    /// Whom it receives from, and which host is dialled for it.
    pub peers: Vec<(usize, String)>,
    pub core: Mutex<Option<Core>>,
    pub stopping: Notify,
    pub truth: Mutex<Option<Arc<Truth>>>,
}

impl Ship {
    pub fn new(sea: &Sea, place: usize, peers: Vec<(usize, String)>, lease: Span, catch_up: u64) -> Ship {
        let signer = signer(place);
        let origin = signer.public().origin();
        Ship {
            sea: sea.clone(),
            place,
            name: NAMES[place],
            signer,
            origin,
            log: MemoryLog::new(origin, Incarnation(1_790_000_000_000)),
            shelf: MemoryShelf::default(),
            clock: HostClock::new(&sea.elapsed),
            yard: tempfile::tempdir_in("/dev/shm").unwrap(),
            lease,
            catch_up,
            peers,
            core: Mutex::default(),
            stopping: Notify::new(),
            truth: Mutex::default(),
        }
    }

    pub fn core(&self) -> Option<Core> {
        self.core.lock().unwrap().clone()
    }

    fn parts(&self, listener: Listener) -> Parts {
        let mut parts = Parts::new(Arc::new(self.clock.clone()), Arc::new(self.log.clone()), listener, scene::tokens());
        parts.pace.checkpoint_events = 40;
        parts.limits.catch_up = self.catch_up;
        parts.gate = Gate::new(self.signer.clone(), self.yard.path().join("authorized_keys"), false);
        let neighbour = |(peer, host): &(usize, String)| {
            let dial = SimDial { from: self.name.into(), to: host.clone(), connections: self.sea.connections.clone() };
            let proving = proving(&self.signer, self.yard.path(), NAMES[*peer]);
            Neighbour { name: NAMES[*peer].into(), dial: Arc::new(dial), proving: Some(Arc::new(proving)) }
        };
        parts.peers = Some(PeerParts::new(self.peers.iter().map(neighbour).collect(), Arc::new(self.shelf.clone()), self.sea.random()));
        parts
    }

    fn config(&self) -> Config {
        let spec = |number| {
            let mut spec = SystemSpec::bare(system(self.place, number).parse().unwrap());
            spec.about = mark(self.place, number, 'd', 0).into();
            let uses = USES.iter().filter(|(user, _)| *user == number).map(|(_, used)| system(self.place, *used).parse().unwrap());
            spec.uses = uses.collect();
            spec
        };
        // A peer that speaks for its users.
        let hub = Bundle { who: Who::Peer, rights: Rights::parse("read,respond,federate,speak-for").unwrap() };
        // And one that keeps what it is told to itself.
        let listener = Bundle { who: Who::Peer, rights: Rights::parse("read").unwrap() };
        let roles = [("hub".into(), hub), ("listener".into(), listener)].into();
        let mut config = Config { name: Some(self.name.into()), system: (0..super::truth::SYSTEMS).map(spec).collect(), roles, ..Config::default() };
        config.federation.lease = self.lease;
        config
    }

    /// One life.
    pub async fn sail(self: Arc<Ship>) -> turmoil::Result {
        let (sender, running) = loop {
            let (sender, connections) = mpsc::channel(16);
            match Server::bind(&self.config(), self.parts(Listener::Given(connections))).await {
                Ok(server) => break (sender, server.spawn()),
                Err(error) => assert!(error.to_string().contains("no space left"), "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        };
        let listener = turmoil::net::TcpListener::bind(("0.0.0.0", PORT)).await?;
        *self.core.lock().unwrap() = Some(running.core.clone());
        let truth = self.truth.lock().unwrap().clone().unwrap();
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    let (stream, from) = accepted?;
                    let host = turmoil::reverse_lookup(from.ip()).unwrap_or_default();
                    let ear = Ear::new(truth.clone(), self.place);
                    let strand = Strand::new(stream, (self.name, &host), &self.sea.connections, Some(ear));
                    if sender.send((Box::new(strand) as Box<dyn Io>, Via::Tcp(from))).await.is_err() {
                        break;
                    }
                }
                () = self.stopping.notified() => break,
            }
        }
        *self.core.lock().unwrap() = None;
        running.stop().await;
        Ok(())
    }
}

/// One console of a person, and what it has seen.
pub struct Glass {
    pub servers: Servers,
    pub replicas: BTreeMap<ServerIndex, Replica>,
    to: BTreeMap<ServerIndex, Sequence>,
}

impl Glass {
    /// Takes what has come, and holds what a link promises: nothing twice, nothing left out.
    fn drain(&mut self, answers: &mut BTreeMap<RequestId, Outcome>) {
        while let Ok((server, update)) = self.servers.updates.try_recv() {
            self.replicas.entry(server).or_default().apply(&update);
            match update {
                Update::Snapshot { world, .. } => drop(self.to.insert(server, world.head)),
                Update::Events { from, to, broken, .. } => {
                    assert_eq!(Some(&from), self.to.get(&server), "without a gap or a repetition");
                    assert_eq!(broken, 0);
                    self.to.insert(server, to);
                }
                Update::Answered { request, outcome } => drop(answers.insert(request, outcome)),
                _ => {}
            }
        }
    }

    /// Where this log is followed: once.
    pub fn place(&self, origin: Origin) -> Option<ServerIndex> {
        followed(&self.replicas, origin)
    }

    pub fn world(&self, origin: Origin) -> Option<&Arc<World>> {
        self.replicas.get(&self.place(origin)?)?.world.as_ref()
    }
}

/// A person at their consoles, which all run on one machine.
pub struct Post {
    pub sea: Sea,
    pub name: &'static str,
    pub signer: Signer,
    pub home: usize,
    pub consoles: usize,
    pub folder: tempfile::TempDir,
    pub glasses: Mutex<Vec<Glass>>,
    pub answers: Mutex<BTreeMap<RequestId, Outcome>>,
}

impl Post {
    pub fn new(sea: &Sea, name: &'static str, key: usize, home: usize, consoles: usize) -> Post {
        let folder = tempfile::tempdir_in("/dev/shm").unwrap();
        let (glasses, answers) = Default::default();
        Post { sea: sea.clone(), name, signer: signer(key), home, consoles, folder, glasses, answers }
    }

    pub async fn watch(self: Arc<Post>) -> turmoil::Result {
        let mut glasses = Vec::new();
        for console in 0..self.consoles {
            let config = ServerConfig {
                proving: Some(Arc::new(proving(&self.signer, self.folder.path(), NAMES[self.home]))),
                outbox: Some(self.folder.path().join(format!("outbox-{console}"))),
                ..ServerConfig::new(NAMES[self.home], Address::Unix("/nowhere".into()))
            };
            let dial = SimDial { from: self.name.into(), to: NAMES[self.home].into(), connections: self.sea.connections.clone() };
            let wishes = Wishes { name: self.name.into(), history: 5, filter: None, vitals: true, peers: true, presence: true };
            let servers = Servers::connect_by(&[config], vec![Arc::new(dial)], &wishes, &self.sea.random())?;
            glasses.push(Glass { servers, replicas: BTreeMap::new(), to: BTreeMap::new() });
        }
        *self.glasses.lock().unwrap() = glasses;
        std::future::pending().await
    }

    pub fn drain(&self) {
        let mut answers = self.answers.lock().unwrap();
        self.glasses.lock().unwrap().iter_mut().for_each(|glass| glass.drain(&mut answers));
    }
}

/// A machine's agent, whose one check goes bad and well again.
pub struct Agent {
    pub sea: Sea,
    pub name: &'static str,
    pub signer: Signer,
    pub server: usize,
    pub clock: HostClock,
    pub folder: tempfile::TempDir,
    pub quiet: Arc<AtomicBool>,
}

impl Agent {
    pub async fn run(self: Arc<Agent>) -> turmoil::Result {
        let dial = SimDial { from: self.name.into(), to: NAMES[self.server].into(), connections: self.sea.connections.clone() };
        let uplink = RemoteUplink::new(Arc::new(dial), Arc::new(self.clock.clone()), self.name.into(), None);
        let uplink = uplink.proving(proving(&self.signer, self.folder.path(), NAMES[self.server]));
        let number = 1;
        let system: midwatch::model::id::SystemId = system(self.server, number).parse().unwrap();
        let hello = AgentHello {
            agent: self.name.into(),
            system: system.clone(),
            version: "1".into(),
            keepalive: Span::from_secs(5),
            checks: vec!["disk".into()],
            facts: [("kernel".into(), mark(self.server, number, 'f', 0).into())].into(),
        };
        let mut greeted = false;
        loop {
            tokio::time::sleep(Duration::from_millis(500 + self.sea.random.below(4_000))).await;
            if !greeted {
                greeted = uplink.hello(&hello).await.is_ok();
                continue;
            }
            if self.quiet.load(Ordering::SeqCst) || self.sea.below(4) == 0 {
                greeted = uplink.keepalive().await.is_ok();
                continue;
            }
            let status = if self.sea.below(3) == 0 { Status::Critical } else { Status::Ok };
            let observation = Observation {
                agent: self.name.into(),
                check: "disk".into(),
                system: system.clone(),
                at: self.clock.now(),
                status,
                text: mark(self.server, number, 't', self.sea.random.below(100)).into(),
                details: mark(self.server, number, 'o', 0).into(),
                metrics: Vec::new(),
                every: Span::from_secs(5),
                attempts: 1,
                runbook: None,
            };
            greeted = uplink.observe(&Batch { id: 1, observations: vec![observation] }).await.is_ok();
        }
    }
}
