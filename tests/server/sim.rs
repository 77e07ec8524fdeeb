//! Whole servers, agents and consoles over lines of this process that break, stall and heal at random,
//! in simulated time; with a disk that is slow and sometimes refuses. Only the lines, the disk, the
//! clock and the random numbers are the test's own.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use midwatch::agent::remote::RemoteUplink;
use midwatch::agent::uplink::{Batch, Uplink};
use midwatch::client::keep;
use midwatch::client::{Address, Kept, Replica, ServerConfig, ServerIndex, Servers, Update, Wishes};
use midwatch::link::dial::Dialling;
use midwatch::link::{Clock, Dial, DialError, FileOutbox, Io, Outbox, Random, SeededRandom, SteadyClock};
use midwatch::model::id::{RequestId, Sequence};
use midwatch::model::observation::{AgentHello, Observation};
use midwatch::model::severity::Status;
use midwatch::model::time::{Span, Time};
use midwatch::server::config::Config;
use midwatch::server::listen::Via;
use midwatch::server::{Listener, Parts, Running, Server};
use midwatch::store::{Log, MemoryLog, StoreError};
use midwatch::wire::{EventBytes, Outcome};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::scene;

pub const OPEN: u8 = 0;
/// Bytes stop flowing, and nobody is told.
pub const STALLED: u8 = 1;
/// Connections break, and new ones are refused.
pub const BROKEN: u8 = 2;

/// Where connections to the server of the moment are handed in.
pub type Door = Arc<Mutex<Option<mpsc::Sender<(Box<dyn Io>, Via)>>>>;

/// A line to the server.
#[derive(Clone)]
pub struct Line {
    pub door: Door,
    pub state: Arc<AtomicU8>,
    pub random: Arc<SeededRandom>,
    /// Who comes over it has to prove a key.
    pub stranger: bool,
}

impl Dial for Line {
    fn dial(&self) -> Dialling<'_> {
        Box::pin(async move {
            let refused = || DialError { to: "the server".into(), why: "nobody listens there".into() };
            tokio::time::sleep(Duration::from_millis(self.random.below(50))).await;
            let door = self.door.lock().unwrap().clone().ok_or_else(refused)?;
            if self.state.load(Ordering::SeqCst) == BROKEN {
                return Err(refused().into());
            }
            let (near, near_end) = tokio::io::duplex(4 << 10);
            let (far, far_end) = tokio::io::duplex(4 << 10);
            let via = if self.stranger { Via::Tcp(([127, 0, 0, 1], 4_000).into()) } else { Via::Owner };
            door.send((Box::new(far), via)).await.map_err(|_| refused())?;
            let (near_in, near_out) = tokio::io::split(near_end);
            let (far_in, far_out) = tokio::io::split(far_end);
            let (state, random) = (self.state.clone(), self.random.clone());
            tokio::spawn(async move {
                tokio::select! {
                    () = carry(near_in, far_out, &state, &random) => {}
                    () = carry(far_in, near_out, &state, &random) => {}
                }
            });
            Ok((Box::new(near) as Box<dyn Io>).into())
        })
    }

    fn host(&self) -> &str {
        "simulated"
    }

    fn distant(&self) -> bool {
        true
    }
}

async fn carry(mut from: impl AsyncReadExt + Unpin, mut to: impl AsyncWriteExt + Unpin, state: &AtomicU8, random: &SeededRandom) {
    let mut bytes = [0; 1024];
    loop {
        let Ok(read @ 1..) = from.read(&mut bytes).await else { return };
        tokio::time::sleep(Duration::from_millis(random.below(20))).await;
        loop {
            match state.load(Ordering::SeqCst) {
                OPEN => break,
                // What was on its way is lost with the connection.
                BROKEN => return,
                _ => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
        if to.write_all(&bytes[..read]).await.is_err() {
            return;
        }
    }
}

struct Watcher {
    /// Nothing only while the process is being replaced.
    servers: Option<Servers>,
    replica: Replica,
    folder: PathBuf,
    to: Option<Sequence>,
    answers: BTreeMap<RequestId, Outcome>,
    snapshots: usize,
    line: Line,
}

impl Watcher {
    /// A console that begins with what is kept in this folder.
    fn new(door: &Door, random: &Arc<SeededRandom>, folder: PathBuf) -> Watcher {
        let line = Line { door: door.clone(), state: Arc::new(AtomicU8::new(OPEN)), random: random.clone(), stranger: false };
        let kept = keep::load(&folder.join("heard"));
        let cursor = kept.as_ref().map(Kept::cursor);
        let config = ServerConfig { outbox: Some(folder.join("outbox")), cursor, ..ServerConfig::new("shop", Address::Unix("/nowhere".into())) };
        let wishes = Wishes { name: "kim".into(), history: 3, filter: None, vitals: true, presence: false, peers: false };
        let handed: Arc<dyn Random> = random.clone();
        let servers = Servers::connect_by(&[config], vec![Arc::new(line.clone())], &wishes, &handed).unwrap();
        let to = kept.as_ref().map(|kept| kept.world.head);
        let replica = Replica { world: kept.map(|kept| kept.world), ..Replica::default() };
        Watcher { servers: Some(servers), replica, folder, to, answers: BTreeMap::new(), snapshots: 0, line }
    }

    /// The console ends and begins anew, from what it kept last.
    async fn again(&mut self, door: &Door, random: &Arc<SeededRandom>, now: Time) {
        self.drain();
        // Killed now and then: then what stands there is older.
        if random.below(3) > 0
            && let Some(world) = self.replica.world.clone()
        {
            keep::save(&self.folder.join("heard"), &Kept { heard: now, world, events: Vec::new() }).unwrap();
        }
        // A process that ended writes nothing any more: its link, which has a second to say goodbye, is gone
        // before the next one looks what waits.
        drop(self.servers.take());
        tokio::time::sleep(Duration::from_secs(2)).await;
        let next = Watcher::new(door, random, self.folder.clone());
        let before = std::mem::replace(self, next);
        (self.answers, self.snapshots) = (before.answers, before.snapshots);
    }

    /// Nothing waits to be sent or answered.
    fn is_done(&self) -> bool {
        FileOutbox::open(&self.folder.join("outbox")).unwrap().waiting().is_empty()
    }

    /// Takes what has come, and holds every promise about it.
    fn drain(&mut self) {
        while let Some(Ok((_, update))) = self.servers.as_mut().map(|servers| servers.updates.try_recv()) {
            self.replica.apply(&update);
            match update {
                Update::Snapshot { world, .. } => {
                    self.to = Some(world.head);
                    self.snapshots += 1;
                }
                Update::Events { from, to, events, broken, .. } => {
                    assert_eq!(Some(from), self.to, "without a gap or a repetition");
                    let sequences: Vec<u64> = events.iter().map(|event| event.id.sequence.0).collect();
                    assert_eq!(sequences, (from.0 + 1..=to.0).collect::<Vec<u64>>());
                    assert_eq!(broken, 0);
                    self.to = Some(to);
                }
                Update::Answered { request, outcome } => {
                    self.answers.insert(request, outcome);
                }
                _ => {}
            }
        }
    }
}

/// Starts a server; while its disk refuses, again and again.
async fn start(door: &Door, log: &MemoryLog, clock: &Arc<dyn Clock>) -> Running {
    loop {
        let (sender, connections) = mpsc::channel(16);
        let mut parts = Parts::new(clock.clone(), Arc::new(log.clone()), Listener::Given(connections), scene::tokens());
        parts.pace.checkpoint_events = 40;
        match Server::bind(&Config { name: Some("shop".into()), ..Config::default() }, parts).await {
            Ok(server) => {
                *door.lock().unwrap() = Some(sender);
                return server.spawn();
            }
            Err(error) => assert!(error.to_string().contains("no space left"), "{error}"),
        }
    }
}

/// An agent whose one check goes bad and well again.
pub async fn agent(name: &str, line: Line, clock: Arc<dyn Clock>, random: Arc<SeededRandom>, until: Instant) {
    let uplink = RemoteUplink::new(Arc::new(line), clock.clone(), name.into(), None);
    let hello = AgentHello {
        agent: name.into(),
        system: format!("shop/{name}").parse().unwrap(),
        version: "1".into(),
        keepalive: Span::from_secs(5),
        checks: vec!["disk".into()],
        facts: [("kernel".into(), "6.1".into())].into(),
    };
    let mut greeted = false;
    while Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(500 + random.below(4_000))).await;
        if !greeted {
            greeted = uplink.hello(&hello).await.is_ok();
            continue;
        }
        let status = if random.below(3) == 0 { Status::Critical } else { Status::Ok };
        let observation = Observation {
            agent: name.into(),
            check: "disk".into(),
            system: format!("shop/{name}").parse().unwrap(),
            at: clock.now(),
            status,
            text: format!("disk {}", random.below(100)).into(),
            details: "".into(),
            metrics: Vec::new(),
            every: Span::from_secs(5),
            attempts: 1,
            runbook: None,
        };
        greeted = match random.below(4) {
            0 => uplink.keepalive().await.is_ok(),
            _ => uplink.observe(&Batch { id: 1, observations: vec![observation] }).await.is_ok(),
        };
    }
}

async fn one_night(seed: u64) -> (usize, usize) {
    let random = Arc::new(SeededRandom::new(seed));
    let clock = Arc::new(SteadyClock::new(Time::from_secs(1_790_000_000)));
    let handed: Arc<dyn Clock> = clock.clone();
    let log = scene::memory();
    let door = Door::default();
    let mut server = Some(start(&door, &log, &handed).await);
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let mut watchers = [Watcher::new(&door, &random, folder.path().join("a")), Watcher::new(&door, &random, folder.path().join("b"))];
    let agent_line = Line { door: door.clone(), state: Arc::new(AtomicU8::new(OPEN)), random: random.clone(), stranger: false };
    let end = Instant::now() + Duration::from_secs(120);
    let agent = tokio::spawn(agent("web-1", agent_line.clone(), handed.clone(), random.clone(), end));
    let mut asked = BTreeMap::new();
    let mut restarts = 0;
    while Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(random.below(1_500))).await;
        watchers.iter_mut().for_each(Watcher::drain);
        let who = if random.below(2) == 0 { 0 } else { 1 };
        match random.below(21) {
            0..=5 => {
                let mut request = scene::note(&format!("note {}", asked.len()));
                request.id = random.request_id();
                request.made = clock.now();
                asked.insert(request.id, format!("note {}", asked.len()));
                drop(watchers[who].servers.as_ref().unwrap().handle.request(ServerIndex(0), request).unwrap());
            }
            6 => watchers[who].line.state.store(BROKEN, Ordering::SeqCst),
            7 => watchers[who].line.state.store(STALLED, Ordering::SeqCst),
            8..=11 => watchers[who].line.state.store(OPEN, Ordering::SeqCst),
            12 => agent_line.state.store(if random.below(2) == 0 { BROKEN } else { STALLED }, Ordering::SeqCst),
            13 => agent_line.state.store(OPEN, Ordering::SeqCst),
            14 => log.hold(),
            15 | 16 => log.release(),
            17 => log.fail_next(StoreError::Write { path: "/var".into(), why: "no space left".into(), hint: "Make room".into() }),
            19 => watchers[who].again(&door, &random, clock.now()).await,
            18 => clock.shift(-i64::try_from(random.below(3_000_000)).unwrap()),
            _ if random.below(4) == 0 => {
                log.release();
                *door.lock().unwrap() = None;
                server.take().unwrap().stop().await;
                tokio::time::sleep(Duration::from_millis(random.below(5_000))).await;
                server = Some(start(&door, &log, &handed).await);
                restarts += 1;
            }
            _ => {}
        }
    }
    // Everything heals.
    log.release();
    agent_line.state.store(OPEN, Ordering::SeqCst);
    watchers.iter().for_each(|watcher| watcher.line.state.store(OPEN, Ordering::SeqCst));
    agent.await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(300);
    let server = server.unwrap();
    let world = loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        watchers.iter_mut().for_each(Watcher::drain);
        let world = server.core.durable().await.unwrap().world.clone();
        let all = |watcher: &Watcher| watcher.replica.world.as_ref().is_some_and(|own| own.head == world.head);
        if watchers.iter().all(all) && watchers.iter().all(Watcher::is_done) {
            break world;
        }
        let apart = || watchers.iter().map(|watcher| (watcher.replica.world.as_ref().map(|own| own.head), watcher.is_done())).collect::<Vec<_>>();
        assert!(Instant::now() < deadline, "seed {seed}: healed, and still apart: {:?} beside {:?}", apart(), world.head);
    };
    for watcher in &watchers {
        assert_eq!(watcher.replica.world.as_deref(), Some(&*world), "seed {seed}: the same world everywhere");
    }
    // What was said to be done is in the log, once; what was refused may be asked again, and was not done twice.
    let rows = log.range(log.head().base, log.head().sequence, usize::MAX, usize::MAX).await.unwrap();
    let mut notes: BTreeMap<String, usize> = BTreeMap::new();
    let mut recorded = Time::MIN;
    for row in rows {
        let event = EventBytes(row.bytes).decode().unwrap();
        assert!(event.recorded >= recorded, "seed {seed}: recorded went back");
        recorded = event.recorded;
        *notes.entry(event.text.to_string()).or_default() += 1;
    }
    let done: BTreeSet<&String> = watchers
        .iter()
        .flat_map(|watcher| &watcher.answers)
        .filter(|(_, outcome)| matches!(outcome, Outcome::Done(_)))
        .filter_map(|(id, _)| asked.get(id))
        .collect();
    for text in &done {
        assert_eq!(notes.get(*text), Some(&1), "seed {seed}: `{text}` was answered as done");
    }
    assert!(asked.values().all(|text| notes.get(text).is_none_or(|count| *count == 1)), "seed {seed}: done twice");
    (watchers.iter().map(|watcher| watcher.snapshots).sum(), restarts)
}

#[test]
fn after_every_partition_the_same_world_everywhere() {
    let seeds: u64 = std::env::var("MIDWATCH_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(60);
    let begun = std::time::Instant::now();
    let (mut snapshots, mut restarts) = (0, 0);
    for seed in 0..seeds {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let (more_snapshots, more_restarts) = runtime.block_on(one_night(seed));
        snapshots += more_snapshots;
        restarts += more_restarts;
    }
    println!("{seeds} nights, {snapshots} snapshots, {restarts} restarts in {:?}", begun.elapsed());
}
