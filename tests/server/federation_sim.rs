//! A whole sea of servers that receive each other's logs in whatever way, with agents and consoles, while
//! lines break, stall and heal, servers stop and start, disks are slow and refuse, clocks differ, and
//! backups are restored. After healing every console's worlds are those of the servers whose logs they are.
//!
//! `MIDWATCH_SEEDS` says how many nights; `MIDWATCH_SEED` names one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use midwatch::link::{Clock, Random};
use midwatch::model::id::{Incarnation, Origin, RequestId, Sequence};
use midwatch::model::intent::{Intent, Request};
use midwatch::store::{Log, Page, StoreError};
use midwatch::wire::{EventBytes, Outcome};
use tokio::time::Instant;

use crate::federation::{Glass, Node, Sea, simulate};
use crate::sim::{self, BROKEN, Line, OPEN, STALLED};

const NAMES: [&str; 7] = ["amber", "birch", "cedar", "dune", "elm", "fjord", "grove"];
const AGENTS: [&str; 2] = ["web-1", "web-2"];

struct Night {
    sea: Sea,
    nodes: Vec<Node>,
    glasses: Vec<(usize, Line, Glass)>,
    agents: Vec<Line>,
    asked: BTreeMap<RequestId, Origin>,
    /// Logs that were cut back: what had been acknowledged beyond is gone, and that is said.
    restored: BTreeSet<Origin>,
    lives: u64,
}

impl Night {
    fn below(&self, below: usize) -> usize {
        usize::try_from(self.sea.random.below(u64::try_from(below).unwrap())).unwrap()
    }

    async fn begin(seed: u64) -> Night {
        let sea = Sea::new(seed);
        let count = 3 + usize::try_from(sea.random.below(5)).unwrap();
        let nodes: Vec<Node> = NAMES.iter().take(count).zip(1..).map(|(name, number)| Node::new(number, name)).collect();
        let mut night =
            Night { sea, nodes, glasses: Vec::new(), agents: Vec::new(), asked: BTreeMap::new(), restored: BTreeSet::new(), lives: 1_790_000_100_000 };
        for place in 0..count {
            let mut others: BTreeSet<usize> = (0..1 + night.below(3)).map(|_| night.below(count)).collect();
            others.remove(&place);
            night.nodes[place].peers = others.into_iter().map(|other| (NAMES[other], night.sea.line(&night.nodes[other]))).collect();
        }
        for place in 0..count {
            night.nodes[place].start(&night.sea).await;
        }
        for _ in 0..2 {
            let place = night.below(count);
            let line = night.sea.line(&night.nodes[place]);
            let glass = Glass::at(&night.sea, &[(NAMES[place], line.clone())]);
            night.glasses.push((place, line, glass));
        }
        let end = Instant::now() + Duration::from_secs(90);
        for (node, agent) in night.nodes.iter().zip(AGENTS) {
            let line = night.sea.line(node);
            let clock: Arc<dyn Clock> = night.sea.clock.clone();
            tokio::spawn(sim::agent(agent, line.clone(), clock, night.sea.random.clone(), end));
            night.agents.push(line);
        }
        night
    }

    fn all_lines(&self) -> Vec<Line> {
        let between = self.nodes.iter().flat_map(|node| node.peers.iter().map(|(_, line)| line.clone()));
        between.chain(self.glasses.iter().map(|(_, line, _)| line.clone())).chain(self.agents.iter().cloned()).collect()
    }

    fn some_line(&self) -> Line {
        let lines = self.all_lines();
        lines[self.below(lines.len())].clone()
    }

    async fn step(&mut self) {
        let place = self.below(self.nodes.len());
        match self.below(24) {
            0..=4 => self.ask(),
            5..=7 => self.nodes[place].note(&format!("a quiet word {}", self.below(1_000))).await,
            8 => self.some_line().state.store(BROKEN, Ordering::SeqCst),
            9 => self.some_line().state.store(STALLED, Ordering::SeqCst),
            10..=15 => self.some_line().state.store(OPEN, Ordering::SeqCst),
            16 => self.sea.clock.shift(-i64::try_from(self.sea.random.below(2_000_000)).unwrap()),
            17..=19 => self.disk(place),
            20 | 21 if self.below(3) == 0 => {
                self.nodes[place].stop().await;
                tokio::time::sleep(Duration::from_millis(self.sea.random.below(8_000))).await;
                self.nodes[place].shelf.crash();
                self.nodes[place].start(&self.sea).await;
            }
            22 if self.below(4) == 0 => self.restore(place).await,
            _ => {}
        }
    }

    /// A console asks for something at whatever server it sees.
    fn ask(&mut self) {
        let which = self.below(self.glasses.len());
        let text = format!("note {}", self.asked.len());
        let seen: Vec<Origin> = self.nodes.iter().map(|node| node.origin).filter(|origin| self.glasses[which].2.place(*origin).is_some()).collect();
        if seen.is_empty() {
            return;
        }
        let origin = seen[self.below(seen.len())];
        let intent = Intent::NoteSystem { system: "shop/varnish".parse().unwrap(), text: text.as_str().into() };
        let request = Request { id: self.sea.random.request_id(), by: "kim".into(), made: self.sea.clock.now(), intent, signed: None };
        self.asked.insert(request.id, origin);
        self.glasses[which].2.ask(origin, request);
    }

    /// What a server receives is kept late, or not at all for a while.
    fn disk(&self, place: usize) {
        let node = &self.nodes[place];
        let others: Vec<_> = self.nodes.iter().filter_map(|other| node.shelf.log(other.origin)).collect();
        if others.is_empty() {
            return;
        }
        let log = &others[self.below(others.len())];
        match self.below(4) {
            0 => log.hold(),
            1 => log.fail_next(StoreError::Write { path: "/var".into(), why: "no space left".into(), hint: "Make room".into() }),
            _ => log.release(),
        }
    }

    /// A backup of some while ago takes the place of a server's log.
    async fn restore(&mut self, place: usize) {
        self.lives += 1_000;
        let node = &mut self.nodes[place];
        node.stop().await;
        let head = node.log.head().sequence;
        let back = head.0.saturating_sub(self.sea.random.below(12)).max(1);
        node.log.cut_back(Sequence(back), Incarnation(self.lives));
        self.restored.insert(node.origin);
        node.start(&self.sea).await;
    }

    async fn heal(&mut self, seed: u64) {
        for node in &self.nodes {
            for other in &self.nodes {
                if let Some(log) = node.shelf.log(other.origin) {
                    log.release();
                }
            }
        }
        self.all_lines().iter().for_each(|line| line.state.store(OPEN, Ordering::SeqCst));
        let deadline = Instant::now() + Duration::from_secs(900);
        loop {
            tokio::time::sleep(Duration::from_secs(1)).await;
            self.glasses.iter_mut().for_each(|(_, _, glass)| glass.drain());
            let apart = self.apart().await;
            if apart.is_empty() {
                return;
            }
            assert!(Instant::now() < deadline, "seed {seed}: healed, and still apart: {apart:?}");
        }
    }

    /// The servers that a server reaches by what they receive of each other.
    fn reached(&self, from: usize) -> BTreeSet<usize> {
        let mut reached = BTreeSet::from([from]);
        loop {
            let next: Vec<usize> =
                reached.iter().flat_map(|place| &self.nodes[*place].peers).filter_map(|(name, _)| NAMES.iter().position(|other| other == name)).collect();
            let before = reached.len();
            reached.extend(next);
            if reached.len() == before {
                return reached;
            }
        }
    }

    /// What still differs.
    async fn apart(&self) -> Vec<String> {
        let mut apart = Vec::new();
        for (place, _, glass) in &self.glasses {
            for other in self.reached(*place) {
                let world = self.nodes[other].world().await;
                match glass.world(self.nodes[other].origin) {
                    Some(seen) if *seen == world => {}
                    Some(seen) => apart.push(format!("{} sees {} at {:?}, and it is at {:?}", NAMES[*place], NAMES[other], seen.head, world.head)),
                    None => apart.push(format!("{} does not see {}", NAMES[*place], NAMES[other])),
                }
            }
        }
        for (place, node) in self.nodes.iter().enumerate() {
            for other in self.reached(place).into_iter().filter(|other| *other != place) {
                let other = &self.nodes[other];
                let head = other.world().await.head;
                if node.shelf.log(other.origin).is_none_or(|log| (log.head().sequence, log.head().incarnation) != (head, other.log.head().incarnation)) {
                    apart.push(format!("{} has not received all of {}", node.name, other.name));
                }
            }
        }
        apart
    }

    async fn judge(&self, seed: u64) {
        for node in &self.nodes {
            // What is received is what is there, byte for byte.
            for other in self.nodes.iter().filter(|other| other.origin != node.origin) {
                let Some(received) = node.shelf.log(other.origin) else { continue };
                let theirs: BTreeMap<Sequence, _> =
                    other.log.page(Page::After(None), usize::MAX).await.unwrap().into_iter().map(|row| (row.sequence, row.bytes)).collect();
                for row in received.page(Page::After(None), usize::MAX).await.unwrap() {
                    assert_eq!(theirs.get(&row.sequence), Some(&row.bytes), "seed {seed}: {} holds of {} what is not there", node.name, other.name);
                }
            }
            let rows = node.log.page(Page::After(None), usize::MAX).await.unwrap();
            let requests: Vec<RequestId> = rows.iter().filter_map(|row| EventBytes(row.bytes.clone()).decode().unwrap().request).collect();
            let once: BTreeSet<RequestId> = requests.iter().copied().collect();
            assert_eq!(requests.len(), once.len(), "seed {seed}: {} did something twice", node.name);
            if self.restored.contains(&node.origin) {
                continue;
            }
            for (_, _, glass) in &self.glasses {
                for (request, outcome) in &glass.answers {
                    if matches!(outcome, Outcome::Done(_)) && self.asked.get(request) == Some(&node.origin) {
                        assert!(once.contains(request), "seed {seed}: what {} said to be done is not there", node.name);
                    }
                }
            }
        }
    }
}

async fn one_night(seed: u64) -> (usize, usize, usize) {
    let mut night = Night::begin(seed).await;
    let end = Instant::now() + Duration::from_secs(90);
    while Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(night.sea.random.below(1_200))).await;
        night.glasses.iter_mut().for_each(|(_, _, glass)| glass.drain());
        night.step().await;
    }
    night.heal(seed).await;
    night.judge(seed).await;
    let followed = night.glasses.iter().map(|(_, _, glass)| glass.names.len()).sum();
    let answered = night.glasses.iter().map(|(_, _, glass)| glass.answers.len()).sum();
    (followed, answered, night.restored.len())
}

#[test]
fn after_every_partition_every_console_sees_every_world_as_it_is() {
    let number = |name: &str| std::env::var(name).ok().and_then(|number| number.parse::<u64>().ok());
    let seeds = match number("MIDWATCH_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("MIDWATCH_SEEDS").unwrap_or(25),
    };
    let begun = std::time::Instant::now();
    let (mut followed, mut answered, mut restored) = (0, 0, 0);
    let nights = seeds.end - seeds.start;
    for seed in seeds {
        let (more_followed, more_answered, more_restored) = simulate(one_night(seed));
        followed += more_followed;
        answered += more_answered;
        restored += more_restored;
    }
    println!("{nights} nights: {followed} logs followed, {answered} answers, {restored} backups restored, in {:?}", begun.elapsed());
    if nights >= 10 {
        assert!(followed > 40 && answered > 100 && restored > 0, "the simulation tests what it should: {followed}, {answered}, {restored}");
    }
}
