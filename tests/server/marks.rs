//! Read marks: kept by one server for each person, and the same on all of that person's consoles after
//! whatever happened to their lines.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use midwatch::client::marks::{Heard, Save};
use midwatch::client::{Address, ReadMarks, ServerConfig, ServerIndex, Servers, Update, Wishes};
use midwatch::link::{Clock, Random, SeededRandom, SteadyClock};
use midwatch::model::id::{Incarnation, Origin, Sequence};
use midwatch::model::mark::{HybridClock, Mark, Marks, Stamp};
use midwatch::model::time::{Span, Time};
use midwatch::server::config::Config;
use midwatch::server::marks::ReadMarks as Kept;
use midwatch::server::{Listener, Parts, Running, Server};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::scene::{self, CONSOLE};
use crate::sim::{BROKEN, Door, Line, OPEN, STALLED};

const HOME: ServerIndex = ServerIndex(0);

fn marks(origin: u8, sequence: u64, at: Time) -> Marks {
    [(Origin([origin; 16]), Mark { incarnation: Incarnation(1), sequence: Sequence(sequence), looked: Stamp { at, count: 0 } })].into_iter().collect()
}

/// A console of a person on a real server.
struct Console {
    reading: ReadMarks,
    servers: Servers,
}

impl Console {
    fn of(person: &str, server: &Running) -> Console {
        let config = ServerConfig { token: Some(CONSOLE.into()), ..ServerConfig::new("shop", Address::Tcp(scene::port(server))) };
        let wishes = Wishes { name: person.into(), history: 0, filter: None, vitals: false, presence: false, peers: false };
        let random: Arc<dyn Random> = Arc::new(midwatch::link::OsRandom);
        let servers = Servers::connect(&[config], &wishes, &random).unwrap();
        Console { reading: ReadMarks::open(None, Some(HOME), now()), servers }
    }

    fn look(&mut self, marks: &Marks) {
        assert_eq!(self.reading.look(marks, Some(&self.servers.handle)), None, "it keeps no file");
    }

    /// What home says next.
    async fn heard(&mut self) -> Heard {
        loop {
            let (server, update) = tokio::time::timeout(Duration::from_secs(30), self.servers.updates.recv()).await.expect("an update").expect("a link");
            assert!(!matches!(update, Update::Problem(_)), "{update:?}");
            if let Some(heard) = self.reading.hear(server, &update, Some(&self.servers.handle), now()) {
                return heard;
            }
        }
    }
}

fn now() -> Time {
    midwatch::link::SystemClock.now()
}

#[tokio::test]
async fn a_persons_consoles_know_of_each_other_what_was_seen_and_nobody_elses_do() {
    let folder = tempfile::tempdir().unwrap();
    let server = scene::serve(Arc::new(scene::memory()), |parts| parts.marks = Arc::new(Kept::new(Some(folder.path().into())))).await;
    let (mut desk, mut train, mut other) = (Console::of("kim", &server), Console::of("kim", &server), Console::of("jo", &server));
    for console in [&mut desk, &mut train, &mut other] {
        assert!(console.heard().await.marks.is_empty(), "each asks as soon as it is connected");
    }
    let seen = marks(9, 40, now());
    desk.look(&seen);
    assert_eq!(desk.heard().await.marks, seen, "the answer");
    assert_eq!(train.heard().await.marks, seen, "and the others are told");
    train.look(&marks(9, 20, now().minus(Span::from_hours(1))));
    assert_eq!(train.heard().await.marks, seen, "it never goes back");
    let own = marks(8, 1, now());
    other.look(&own);
    assert_eq!(other.heard().await.marks, own, "nobody else's");
    // A later life of the server knows them.
    server.stop().await;
    let server = scene::serve(Arc::new(scene::memory()), |parts| parts.marks = Arc::new(Kept::new(Some(folder.path().into())))).await;
    assert_eq!(Console::of("kim", &server).heard().await.marks, seen);
    server.stop().await;
}

#[tokio::test]
async fn a_clock_from_far_ahead_is_said_and_hides_nothing() {
    let server = scene::serve(Arc::new(scene::memory()), |_| {}).await;
    let (mut desk, mut train) = (Console::of("kim", &server), Console::of("kim", &server));
    train.heard().await;
    desk.heard().await;
    desk.look(&marks(9, 40, now().plus(Span::from_hours(3))));
    let remark = desk.heard().await.remark.unwrap();
    assert!(remark.contains("ahead of the clock here; it counts as of now"), "{remark}");
    let told = train.heard().await.marks;
    assert!(told.last().unwrap().at <= now() && told.of(Origin([9; 16])).unwrap().sequence == Sequence(40));
    server.stop().await;
}

/// Over the wire, as other programs see it; and who may not.
#[tokio::test]
async fn agents_have_no_marks_and_names_are_bounded() {
    let server = scene::serve(Arc::new(scene::memory()), |_| {}).await;
    let port = scene::port(&server);
    for (role, token, name, code) in [("agent", scene::AGENT, "web-1", "forbidden"), ("console", CONSOLE, &*"x".repeat(200), "unavailable")] {
        let mut socket = scene::plain(&port, &[("authorization", &format!("Bearer {token}"))]).await.unwrap();
        scene::say(&mut socket, &format!(r#"{{"hello":{{"protocol":1,"role":"{role}","name":"{name}"}}}}"#)).await;
        assert_eq!(scene::hear_of(&mut socket, "welcome").await["keeps_marks"], true);
        scene::say(&mut socket, r#"{"read-marks":{"marks":{}}}"#).await;
        assert_eq!(scene::hear_of(&mut socket, "problem").await["code"], code);
    }
    server.stop().await;
}

/// One of a person's machines in the simulation.
struct Machine {
    reading: ReadMarks,
    servers: Option<Servers>,
    line: Line,
    file: PathBuf,
    clock: HybridClock,
    /// Its clock is so much ahead of the server's.
    ahead: Span,
    /// What was known the last time it was looked at.
    known: Marks,
}

impl Machine {
    fn new(door: &Door, random: &Arc<SeededRandom>, file: PathBuf, ahead: Span, now: Time) -> Machine {
        let line = Line { door: door.clone(), state: Arc::new(AtomicU8::new(OPEN)), random: random.clone(), stranger: false };
        let mut machine = Machine {
            reading: ReadMarks::open(Some(file.clone()), Some(HOME), now),
            servers: None,
            line,
            file,
            clock: HybridClock::default(),
            ahead,
            known: Marks::default(),
        };
        machine.start(random, now);
        machine
    }

    fn start(&mut self, random: &Arc<SeededRandom>, now: Time) {
        let wishes = Wishes { name: "kim".into(), history: 0, filter: None, vitals: false, presence: false, peers: false };
        let handed: Arc<dyn Random> = random.clone();
        let config = ServerConfig::new("shop", Address::Unix("/nowhere".into()));
        self.servers = Some(Servers::connect_by(&[config], vec![Arc::new(self.line.clone())], &wishes, &handed).unwrap());
        self.reading = ReadMarks::open(Some(self.file.clone()), Some(HOME), now.plus(self.ahead));
        self.clock = HybridClock::default();
    }

    fn look(&mut self, origin: u8, sequence: u64, now: Time) -> Marks {
        let wall = now.plus(self.ahead);
        if let Some(last) = self.reading.marks().last() {
            self.clock.hear(last, wall).unwrap();
        }
        let looked = self.clock.stamp(wall);
        let seen: Marks = [(Origin([origin; 16]), Mark { incarnation: Incarnation(1), sequence: Sequence(sequence), looked })].into_iter().collect();
        let save = self.reading.look(&seen, self.servers.as_ref().map(|servers| &servers.handle));
        self.write(save);
        seen
    }

    fn write(&mut self, save: Option<Save>) {
        if let Some(written) = save.map(|save| save.write().unwrap()) {
            self.reading.learn(&written, self.servers.as_ref().map(|servers| &servers.handle));
        }
    }

    /// Takes what has come; after none of it may anything that was known be known less.
    fn drain(&mut self, seed: u64, now: Time) {
        self.check(seed);
        while let Some((server, update)) = self.servers.as_mut().and_then(|servers| servers.updates.try_recv().ok()) {
            let heard = self.reading.hear(server, &update, self.servers.as_ref().map(|servers| &servers.handle), now.plus(self.ahead));
            self.write(heard.and_then(|heard| heard.save));
            self.check(seed);
        }
    }

    fn check(&mut self, seed: u64) {
        let mut both = self.known.clone();
        both.merge(self.reading.marks());
        assert_eq!(&both, self.reading.marks(), "seed {seed}: a mark went back");
        self.known = both;
    }
}

async fn start(door: &Door, folder: PathBuf, clock: &Arc<dyn Clock>) -> Running {
    let (sender, connections) = mpsc::channel(16);
    let mut parts = Parts::new(clock.clone(), Arc::new(scene::memory()), Listener::Given(connections), scene::tokens());
    parts.marks = Arc::new(Kept::new(Some(folder)));
    let server = Server::bind(&Config { name: Some("shop".into()), ..Config::default() }, parts).await.unwrap();
    *door.lock().unwrap() = Some(sender);
    server.spawn()
}

async fn one_day(seed: u64) {
    let random = Arc::new(SeededRandom::new(seed));
    let clock: Arc<dyn Clock> = Arc::new(SteadyClock::new(Time::from_secs(1_790_000_000)));
    let door = Door::default();
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let mut server = Some(start(&door, folder.path().join("home"), &clock).await);
    let machine = |name: &str, ahead: i64| Machine::new(&door, &random, folder.path().join(name).join("kim.json"), Span::from_secs(ahead), clock.now());
    let mut machines = [machine("desk", 0), machine("train", 200)];
    let mut all = Marks::default();
    let end = Instant::now() + Duration::from_secs(300);
    while Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(random.below(3_000))).await;
        machines.iter_mut().for_each(|machine| machine.drain(seed, clock.now()));
        let who = usize::from(random.below(2) == 0);
        match random.below(20) {
            0..=7 => all.merge(&machines[who].look(u8::try_from(20 + random.below(3)).unwrap(), random.below(1_000), clock.now())),
            8 | 9 => machines[who].line.state.store(BROKEN, Ordering::SeqCst),
            10 => machines[who].line.state.store(STALLED, Ordering::SeqCst),
            11..=14 => machines[who].line.state.store(OPEN, Ordering::SeqCst),
            15 | 16 => {
                // The console ends, or is killed, and begins anew with its file.
                drop(machines[who].servers.take());
                tokio::time::sleep(Duration::from_millis(random.below(3_000))).await;
                machines[who].start(&random, clock.now());
            }
            17 => {
                *door.lock().unwrap() = None;
                server.take().unwrap().stop().await;
                tokio::time::sleep(Duration::from_millis(random.below(20_000))).await;
                server = Some(start(&door, folder.path().join("home"), &clock).await);
            }
            _ => {}
        }
    }
    // Everything heals.
    machines.iter().for_each(|machine| machine.line.state.store(OPEN, Ordering::SeqCst));
    let deadline = Instant::now() + Duration::from_secs(300);
    while machines.iter().any(|machine| machine.reading.marks() != &all) {
        assert!(
            Instant::now() < deadline,
            "seed {seed}: healed, and still apart: {:?} beside {all:?}",
            machines.each_ref().map(|machine| machine.reading.marks().clone())
        );
        tokio::time::sleep(Duration::from_millis(500)).await;
        machines.iter_mut().for_each(|machine| machine.drain(seed, clock.now()));
    }
    // And so it is on the disks of all three.
    for file in ["home/kim.json", "desk/kim.json", "train/kim.json"] {
        let kept: Marks = serde_json::from_slice(&std::fs::read(folder.path().join(file)).unwrap()).unwrap();
        assert_eq!(kept, all, "seed {seed}: {file}");
    }
}

#[test]
fn after_every_partition_a_persons_consoles_have_the_same_marks_and_none_went_back() {
    let seeds: u64 = std::env::var("MIDWATCH_SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(40);
    for seed in 0..seeds {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(one_day(seed));
    }
}
