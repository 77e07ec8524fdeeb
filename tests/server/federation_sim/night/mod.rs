//! One night: a sea of servers, who asks what of them, what is granted and taken back, and what fails. All of it
//! is drawn from the seed.

mod acts;
mod dawn;
mod faults;
mod granting;

use std::collections::{BTreeMap, BTreeSet};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use midwatch::link::{Random, SeededRandom};
use midwatch::model::id::RequestId;
use midwatch::model::time::Span;
use midwatch::trust::grant::lease::LASTS;
use midwatch::wire::Outcome;

use super::decode::Value;
use super::fleet::{Agent, NAMES, Post, Sea, Ship, named, signer};
use super::judge::is_outline;
use super::liar::{self, Liar};
use super::net::HostClock;
use super::truth::{Home, Truth, id_of, rows, system};
use faults::Fault;
use granting::Given;

const TICK: Duration = Duration::from_millis(50);
/// How long things happen.
const NIGHT: Duration = Duration::from_secs(70);
/// How long it may take, once all is whole again, until all see what is.
const HEALING: Duration = Duration::from_secs(1_500);
const PERSONS: [(&str, usize); 3] = [("kim", 2), ("lee", 1), ("sam", 1)];
const AGENTS: [&str; 2] = ["web-1", "web-2"];

type Job = Pin<Box<dyn Future<Output = ()>>>;

/// Something that a person asked for.
struct Asked {
    by: usize,
    origin: usize,
    system: usize,
}

pub struct Night {
    seed: u64,
    sim: turmoil::Sim<'static>,
    sea: Sea,
    truth: Arc<Truth>,
    ships: Vec<Arc<Ship>>,
    posts: Vec<Arc<Post>>,
    agents: Vec<Arc<Agent>>,
    liar: Option<Arc<Liar>>,
    quiet: Arc<AtomicBool>,
    jobs: Vec<Job>,
    /// By server and whose: what they have in the end; nothing: it was taken back.
    given: BTreeMap<(usize, String), Option<Given>>,
    changing: Arc<std::sync::Mutex<BTreeSet<(usize, String)>>>,
    faults: Vec<Fault>,
    /// Hosts that are down, until then.
    down: BTreeMap<String, Duration>,
    lines: Vec<(String, String)>,
    asked: BTreeMap<RequestId, Asked>,
    /// Leases end in this night.
    short: bool,
    lives: u64,
}

impl Night {
    pub fn begin(seed: u64) -> Night {
        let random = Arc::new(SeededRandom::new(seed));
        let sea = Sea { elapsed: Default::default(), random, connections: Default::default() };
        let mut builder = turmoil::Builder::new();
        builder.rng_seed(seed).tick_duration(TICK).simulation_duration(Duration::from_secs(86_400)).tcp_capacity(1_024);
        builder.min_message_latency(Duration::ZERO).max_message_latency(Duration::from_millis(100));
        let mut sim = builder.build();
        let count = 3 + sea.below(5);
        let peers: Vec<Vec<usize>> = (0..count)
            .map(|place| (0..1 + sea.below(3)).map(|_| sea.below(count)).filter(|peer| *peer != place).collect::<BTreeSet<_>>().into_iter().collect())
            .collect();
        // Between one that receives and one that passes on.
        let edges: Vec<(usize, usize)> = (0..count).flat_map(|place| peers[place].iter().map(move |peer| (place, *peer))).collect();
        let relays: Vec<(usize, usize)> = {
            let passes_on = |(place, peer): &(usize, usize)| peers[*peer].iter().any(|behind| behind != place && !peers[*place].contains(behind));
            edges.into_iter().filter(passes_on).collect()
        };
        let lied_to = (!relays.is_empty() && sea.below(3) > 0).then(|| relays[sea.below(relays.len())]);
        // Leases that end in the night: then lines are away for longer, and clocks are not set by as much as that.
        let short = sea.below(3) == 0;
        let lease = if short { Span::from_secs(20) } else { LASTS };
        let catch_up = [5, 40, 100_000][sea.below(3)];
        let host = |place, peer| if lied_to == Some((place, peer)) { liar::NAME.to_owned() } else { NAMES[peer].to_owned() };
        let ships: Vec<Arc<Ship>> = (0..count)
            .map(|place| {
                let peers = peers[place].iter().map(|peer| (*peer, host(place, *peer))).collect();
                Arc::new(Ship::new(&sea, place, peers, lease, catch_up))
            })
            .collect();
        let quiet = Arc::<AtomicBool>::default();
        let posts: Vec<Arc<Post>> =
            PERSONS.iter().enumerate().map(|(number, (name, consoles))| Arc::new(Post::new(&sea, name, 20 + number, sea.below(count), *consoles))).collect();
        let agent = |(number, name): (usize, &&'static str)| {
            Arc::new(Agent {
                sea: sea.clone(),
                name,
                signer: signer(30 + number),
                server: number % count,
                clock: HostClock::new(&sea.elapsed),
                folder: tempfile::tempdir_in("/dev/shm").unwrap(),
                quiet: quiet.clone(),
            })
        };
        let agents: Vec<Arc<Agent>> = AGENTS.iter().enumerate().map(agent).collect();
        let keys = ships.iter().map(|ship| (ship.name, &ship.signer)).chain(posts.iter().map(|post| (post.name, &post.signer)));
        let keys = keys.map(|(name, signer)| (name.to_owned(), named(signer).as_str().to_owned())).collect();
        let home = |ship: &Arc<Ship>| Home {
            name: ship.name,
            origin: ship.origin.0,
            key: *ship.signer.public().bytes(),
            log: ship.log.clone(),
            shelf: ship.shelf.clone(),
            clock: ship.clock.clone(),
            shifted: Default::default(),
            peers: ship.peers.iter().map(|(peer, _)| *peer).collect(),
        };
        let truth = Arc::new(Truth::new(sea.elapsed.clone(), ships.iter().map(home).collect(), keys, short));
        let omits = sea.below(4) == 0;
        let liar = lied_to.map(|(to, relay)| {
            let (lying, memory) = (AtomicBool::new(true), Default::default());
            Arc::new(Liar { sea: sea.clone(), relay, to, lying, omits, truth: truth.clone(), memory })
        });
        let mut lines = Vec::new();
        for ship in &ships {
            *ship.truth.lock().unwrap() = Some(truth.clone());
            lines.extend(ship.peers.iter().map(|(_, host)| (ship.name.to_owned(), host.clone())));
            let ship = ship.clone();
            sim.host(ship.name, move || ship.clone().sail());
        }
        if let Some(liar) = &liar {
            lines.push((liar::NAME.to_owned(), NAMES[liar.relay].to_owned()));
            let liar = liar.clone();
            sim.host(liar::NAME, move || liar.clone().stand_between());
        }
        for post in &posts {
            lines.push((post.name.to_owned(), NAMES[post.home].to_owned()));
            let post = post.clone();
            sim.host(post.name, move || post.clone().watch());
        }
        for agent in &agents {
            lines.push((agent.name.to_owned(), NAMES[agent.server].to_owned()));
            let agent = agent.clone();
            sim.host(agent.name, move || agent.clone().run());
        }
        let (jobs, given, changing, faults, down, asked) = Default::default();
        let mut night = Night {
            seed,
            sim,
            sea,
            truth,
            ships,
            posts,
            agents,
            liar,
            quiet,
            jobs,
            given,
            changing,
            faults,
            down,
            lines,
            asked,
            short,
            lives: 1_790_000_100_000,
        };
        night.first_grants();
        night
    }

    fn below(&self, below: usize) -> usize {
        self.sea.below(below)
    }

    fn some(&self, words: &[&'static str]) -> &'static str {
        words[self.below(words.len())]
    }

    fn step(&mut self) {
        self.sim.step().unwrap();
        self.sea.elapsed.set(self.sim.elapsed());
        let mut context = Context::from_waker(Waker::noop());
        self.jobs.retain_mut(|job| job.as_mut().poll(&mut context).is_pending());
        self.posts.iter().for_each(|post| post.drain());
        self.truth.look_for_taken();
        let wrongs = self.truth.wrongs();
        assert!(wrongs.is_empty(), "seed {}: {wrongs:#?}", self.seed);
    }

    fn sleep(&mut self, span: Duration) {
        let until = self.sim.elapsed() + span;
        while self.sim.elapsed() < until {
            self.step();
        }
    }

    /// Goes on until that is there.
    pub fn wait<T>(&mut self, what: &str, future: impl Future<Output = T>) -> T {
        let mut future = std::pin::pin!(future);
        let until = self.sim.elapsed() + HEALING;
        loop {
            if let Poll::Ready(done) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
                return done;
            }
            assert!(self.sim.elapsed() < until, "seed {}: waited in vain for {what}", self.seed);
            self.step();
        }
    }

    pub fn pass(mut self) -> BTreeMap<&'static str, u64> {
        while self.sim.elapsed() < NIGHT {
            let pause = Duration::from_millis(self.sea.random.below(600));
            self.sleep(pause);
            self.mend(false);
            self.act();
        }
        self.heal();
        self.judge();
        let mut tally = self.truth.tally();
        let answers = self.posts.iter().map(|post| u64::try_from(post.answers.lock().unwrap().len()).unwrap()).sum();
        tally.insert("answers", answers);
        tally
    }

    fn heal(&mut self) {
        self.quiet.store(true, Ordering::SeqCst);
        for ship in self.ships.clone() {
            ship.log.release();
            self.ships.iter().filter_map(|other| ship.shelf.log(other.origin)).for_each(|log| log.release());
        }
        if let Some(liar) = &self.liar {
            liar.lying.store(false, Ordering::SeqCst);
        }
        // Those that stop in order need a while.
        self.sleep(Duration::from_secs(5));
        self.mend(true);
        for given in self.given.clone().keys() {
            let person = self.posts.iter().any(|post| post.name == given.1);
            let what = if person { (self.below(5) > 0).then(|| self.for_person()) } else { self.given[given].or(Some(Given { systems: "**", role: "hub" })) };
            self.given.insert(given.clone(), what);
        }
        let held = self.held_for_good();
        self.give_all(&held);
        let deadline = self.sim.elapsed() + HEALING;
        loop {
            self.sleep(Duration::from_secs(2));
            let apart = self.apart();
            if apart.is_empty() {
                return;
            }
            assert!(self.sim.elapsed() < deadline, "seed {}: healed, and still apart: {apart:#?}\n{}", self.seed, self.standing());
        }
    }

    fn judge(&self) {
        let seed = self.seed;
        self.truth.is_kept().unwrap_or_else(|why| panic!("seed {seed}: {why}"));
        for (place, ship) in self.ships.iter().enumerate() {
            let mut done = BTreeSet::new();
            for row in rows(&ship.log) {
                let event = midwatch::wire::EventBytes(row.bytes).decode().unwrap();
                let Some(request) = event.request.filter(|_| !event.kind.name().starts_with("trust.")) else { continue };
                assert!(done.insert(request), "seed {seed}: {} did something twice", ship.name);
                let Some(asked) = self.asked.get(&request) else { continue };
                assert_eq!(asked.origin, place, "seed {seed}: what was asked of another server was done");
                let (post, id) = (&self.posts[asked.by], system(place, asked.system));
                let here = self.truth.ever_may(place, post.name, "respond", &id);
                let spoken_for =
                    |ship: &Arc<Ship>| self.truth.ever_may(place, ship.name, "speak-for", &id) && self.truth.ever_may(place, ship.name, "respond", &id);
                assert!(here || self.ships.iter().any(spoken_for), "seed {seed}: {} asked {} for what they may not", post.name, ship.name);
                let there = self.truth.ever_may(post.home, post.name, "respond", &id);
                assert!(there, "seed {seed}: {} asked {} through {} for what they may not", post.name, ship.name, NAMES[post.home]);
            }
            // What is received is what is there, byte for byte.
            for (origin, other) in self.ships.iter().enumerate().filter(|(origin, _)| *origin != place) {
                let Some(received) = ship.shelf.log(other.origin) else { continue };
                for row in rows(&received) {
                    let (_, life, at) = id_of(&row.bytes).unwrap();
                    let Some(whole) = self.truth.event(origin, life, at) else {
                        panic!("seed {seed}: {} holds of {} what it never said: event {at}", ship.name, other.name)
                    };
                    let outlined = || is_outline(&Value::read(&row.bytes).unwrap(), &Value::read(&whole).unwrap());
                    let fits = if whole == *row.bytes { Ok(()) } else { outlined() };
                    fits.unwrap_or_else(|why| panic!("seed {seed}: {} holds event {at} of {} otherwise: {why}", ship.name, other.name));
                }
            }
        }
        for post in &self.posts {
            for (request, outcome) in &*post.answers.lock().unwrap() {
                assert!(!matches!(outcome, Outcome::Done(_)) || self.asked.contains_key(request), "seed {seed}: an answer to nothing");
            }
        }
    }
}

impl Night {
    pub fn ships(&self) -> &[Arc<Ship>] {
        &self.ships
    }

    pub fn posts(&self) -> &[Arc<Post>] {
        &self.posts
    }

    pub fn core_of(&mut self, ship: &Arc<Ship>) -> midwatch::server::Core {
        let running = ship.clone();
        self.wait("a server that runs", std::future::poll_fn(move |_| running.core().map_or(Poll::Pending, Poll::Ready)))
    }

    /// What somebody has on a server in the end.
    pub fn scope(&self, place: usize, whose: &str) -> Option<midwatch::model::grant::Scope> {
        let given = (*self.given.get(&(place, whose.to_owned()))?)?;
        let systems = given.systems.split(',').map(|pattern| pattern.parse().unwrap());
        Some(midwatch::model::grant::Scope::new(systems, midwatch::model::grant::Rights::parse(given.rights()).unwrap(), None))
    }
}
