//! What fails: lines, disks, clocks, machines; and backups that are restored.

use std::time::Duration;

use midwatch::link::Random;
use midwatch::model::id::{Incarnation, Sequence};
use midwatch::store::{Log, StoreError};

use super::super::fleet::NAMES;
use super::Night;

/// A line between two hosts that is not well, until then.
pub(super) struct Fault {
    pub(super) between: (String, String),
    pub(super) until: Duration,
    /// What was on its way is lost: connections over it do not outlive it.
    pub(super) loses: bool,
}

impl Night {
    pub(super) fn fault(&mut self) {
        let between = self.lines[self.below(self.lines.len())].clone();
        if self.faults.iter().any(|fault| fault.between == between || fault.between == (between.1.clone(), between.0.clone())) {
            return;
        }
        let (a, b) = (between.0.as_str(), between.1.as_str());
        let loses = match self.below(7) {
            0 | 1 => {
                self.sim.partition(a, b);
                true
            }
            2 => {
                self.sim.partition_oneway(a, b);
                true
            }
            3 => {
                self.sim.partition_oneway(b, a);
                true
            }
            4 if !self.short => {
                self.sim.hold(a, b);
                false
            }
            4 | 5 => {
                self.sim.set_link_max_message_latency(a, b, Duration::from_secs(3));
                false
            }
            _ => {
                self.sea.connections.cut(a, b);
                return;
            }
        };
        self.truth.count("faults");
        let longest = if self.short { 50_000 } else { 15_000 };
        let until = self.sim.elapsed() + Duration::from_millis(500 + self.sea.random.below(longest));
        self.faults.push(Fault { between, until, loses });
    }

    pub(super) fn mend(&mut self, all: bool) {
        let now = self.sim.elapsed();
        for fault in self.faults.extract_if(.., |fault| all || fault.until <= now) {
            let (a, b) = (fault.between.0.as_str(), fault.between.1.as_str());
            if fault.loses {
                self.sim.repair(a, b);
                self.sea.connections.cut(a, b);
            } else {
                self.sim.release(a, b);
                self.sim.set_link_max_message_latency(a, b, Duration::from_millis(100));
            }
        }
        let up: Vec<String> = self.down.iter().filter(|(_, until)| all || **until <= now).map(|(host, _)| host.clone()).collect();
        for host in up {
            self.down.remove(&host);
            if let Some(ship) = self.ships.iter().find(|ship| ship.name == host) {
                // Whoever was asked to stop and is still at it is ended.
                self.sim.crash(ship.name);
                ship.log.crash();
                ship.shelf.crash();
            }
            self.sim.bounce(host);
        }
    }

    pub(super) fn disk(&mut self, place: usize) {
        let ship = &self.ships[place];
        let received = self.ships.iter().filter_map(|other| ship.shelf.log(other.origin));
        let logs: Vec<_> = received.chain([ship.log.clone()]).collect();
        let log = &logs[self.below(logs.len())];
        match self.below(5) {
            0 => log.hold(),
            1 => log.fail_next(StoreError::Write { path: "/var".into(), why: "no space left".into(), hint: "Make room".into() }),
            _ => log.release(),
        }
    }

    pub(super) fn skew(&mut self, place: usize) {
        let digits = if self.short { 3 } else { 6 };
        let by = 10_i64.pow(u32::try_from(self.below(digits)).unwrap() + 3) * if self.below(2) == 0 { 1 } else { -1 };
        self.ships[place].clock.shift(by);
        *self.truth.homes[place].shifted.lock().unwrap() = self.sea.elapsed.get();
    }

    pub(super) fn crash(&mut self, place: usize) {
        let ship = self.ships[place].clone();
        *ship.core.lock().unwrap() = None;
        self.sim.crash(ship.name);
        ship.log.crash();
        ship.shelf.crash();
        self.truth.count("crashes");
        let until = self.sim.elapsed() + Duration::from_millis(self.sea.random.below(10_000));
        self.down.insert(ship.name.to_owned(), until);
    }

    pub(super) fn lose_power(&mut self, place: usize) {
        if !self.down.contains_key(NAMES[place]) {
            self.crash(place);
        }
    }

    /// It stops in order, and is started again.
    pub(super) fn stop(&mut self, place: usize) {
        if !self.down.contains_key(NAMES[place]) && self.ships[place].core().is_some() {
            self.ships[place].stopping.notify_one();
            let until = self.sim.elapsed() + Duration::from_secs(4) + Duration::from_millis(self.sea.random.below(6_000));
            self.down.insert(NAMES[place].to_owned(), until);
        }
    }

    /// A backup of some while ago takes the place of a server's log.
    pub(super) fn restore(&mut self, place: usize) {
        if self.down.contains_key(NAMES[place]) || self.truth.tally().get("restores").is_some_and(|restores| *restores > 2) {
            return;
        }
        self.crash(place);
        self.lives += 1_000;
        let log = &self.ships[place].log;
        let back = log.head().sequence.0.saturating_sub(self.sea.random.below(12)).max(1);
        self.truth.cut_back(place, back);
        log.cut_back(Sequence(back), Incarnation(self.lives));
        self.truth.count("restores");
    }

    pub(super) fn end_console(&mut self) {
        let post = self.posts[self.below(self.posts.len())].clone();
        if !self.down.contains_key(post.name) {
            self.sim.crash(post.name);
            post.drain();
            post.glasses.lock().unwrap().clear();
            self.down.insert(post.name.to_owned(), self.sim.elapsed() + Duration::from_millis(self.sea.random.below(5_000)));
        }
    }
}
