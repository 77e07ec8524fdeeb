//! Who is given what, for how long, and when it is taken back.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use midwatch::link::{Clock, Random};
use midwatch::model::grant::Pattern;
use midwatch::model::intent::{Intent, Request};
use midwatch::model::time::{Span, Time};
use midwatch::server::Input;

use super::super::fleet::{NAMES, named};
use super::super::liar::Liar;
use super::super::truth::{Held, PATTERNS};
use super::{AGENTS, Job, Night};

/// What somebody is given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Given {
    pub(super) systems: &'static str,
    pub(super) role: &'static str,
}

impl Given {
    pub(super) fn rights(self) -> &'static str {
        match self.role {
            "reader" | "listener" => "read",
            "responder" => "read,respond",
            "administrator" => "read,respond,review,act,administer",
            "peer" => "read,federate",
            "hub" => "read,respond,federate,speak-for",
            "agent" => "observe",
            other => panic!("{other}"),
        }
    }
}

impl Night {
    pub(super) fn first_grants(&mut self) {
        for ship in self.ships.clone() {
            for (peer, _) in &ship.peers {
                let given = self.for_server(*peer, ship.name);
                self.given.insert((*peer, ship.name.to_owned()), Some(given));
            }
        }
        for post in self.posts.clone() {
            let given = self.for_person();
            self.given.insert((post.home, post.name.to_owned()), Some(given));
            let other = self.below(self.ships.len());
            let given = self.for_person();
            self.given.entry((other, post.name.to_owned())).or_insert(Some(given));
        }
        for agent in self.agents.clone() {
            self.given.insert((agent.server, agent.name.to_owned()), Some(Given { systems: "**", role: "agent" }));
        }
        self.give_all(&BTreeSet::new());
    }

    /// What servers hold as they are to hold it, for good: given anew, it would be a reason to tell them everything anew.
    pub(super) fn held_for_good(&mut self) -> BTreeSet<(usize, String)> {
        let servers = self.given.keys().filter(|(_, whose)| self.ships.iter().any(|ship| ship.name == whose));
        let steady: Vec<(usize, String)> = servers.filter(|given| !self.changing.lock().unwrap().contains(given)).cloned().collect();
        let mut held = BTreeSet::new();
        for (place, whose) in steady {
            let core = self.core_of(&self.ships[place].clone());
            let durable = self.wait("a world", async move { core.durable().await }).unwrap();
            let (key, scope) = (self.key_of(&whose), self.scope(place, &whose));
            if durable.world.grants.values().any(|grant| grant.key == key && grant.ended.is_none() && Some(&grant.scope) == scope.as_ref()) {
                held.insert((place, whose));
            }
        }
        held
    }

    /// Where somebody lies there is something to lie about: what comes to the relay it may pass on.
    fn for_server(&self, place: usize, whose: &str) -> Given {
        let given = Given { systems: self.some(&PATTERNS), role: self.some(&["peer", "hub", "hub", "hub", "listener"]) };
        let lied_about = |liar: &Arc<Liar>| whose == NAMES[liar.relay] || (place, whose) == (liar.relay, NAMES[liar.to]);
        if self.liar.as_ref().is_some_and(lied_about) { Given { role: "hub", ..given } } else { given }
    }

    pub(super) fn for_person(&self) -> Given {
        match self.below(4) {
            0 => Given { systems: "**", role: "administrator" },
            _ => Given { systems: self.some(&PATTERNS), role: self.some(&["reader", "responder", "responder"]) },
        }
    }

    /// All that is to be, until it is.
    pub(super) fn give_all(&mut self, but: &BTreeSet<(usize, String)>) {
        for (place, whose) in self.given.keys().filter(|given| !but.contains(given)).cloned().collect::<Vec<_>>() {
            loop {
                let ship = self.ships[place].clone();
                self.wait("a server that runs", std::future::poll_fn(|_| if ship.core().is_some() { Poll::Ready(()) } else { Poll::Pending }));
                let before = self.jobs.len();
                let done = self.give(place, &whose, None);
                while self.jobs.len() > before {
                    self.step();
                }
                if done.is_some_and(|done| done.load(Ordering::SeqCst)) {
                    break;
                }
                self.sleep(Duration::from_millis(500));
            }
        }
    }

    pub(super) fn key_of(&self, whose: &str) -> midwatch::model::grant::Key {
        let servers = self.ships.iter().map(|ship| (ship.name, &ship.signer));
        let persons = self.posts.iter().map(|post| (post.name, &post.signer));
        let agents = self.agents.iter().map(|agent| (agent.name, &agent.signer));
        named(servers.chain(persons).chain(agents).find(|(name, _)| *name == whose).unwrap().1)
    }

    /// Somebody is given on a server what they are to have there, perhaps for a while; or it is taken back.
    /// Nothing: it is being changed already, or the server is down.
    pub(super) fn give(&mut self, place: usize, whose: &str, lasts: Option<Span>) -> Option<Arc<AtomicBool>> {
        let ship = self.ships[place].clone();
        let core = ship.core()?;
        if !self.changing.lock().unwrap().insert((place, whose.to_owned())) {
            return None;
        }
        let given = self.given[&(place, whose.to_owned())];
        let from = self.sea.elapsed.get();
        let expires = lasts.map(|lasts| Time::from_secs(ship.clock.now().plus(lasts).secs()));
        let (truth, changing, key) = (self.truth.clone(), self.changing.clone(), self.key_of(whose));
        let request = |intent| Request { id: self.sea.random.request_id(), by: "op".into(), made: ship.clock.now(), intent, signed: None };
        let whose = whose.to_owned();
        let done = Arc::<AtomicBool>::default();
        let said = done.clone();
        let job: Job = match given {
            Some(given) => {
                let systems: Vec<Pattern> = given.systems.split(',').map(|pattern| pattern.parse().unwrap()).collect();
                let held = Held { from, until: None, systems: given.systems, rights: given.rights(), expires: expires.map(Time::micros), sequence: None };
                truth.grants(place, &whose, held);
                let intent = Intent::Grant { key, name: whose.as_str().into(), role: given.role.into(), systems, rights: None, until: expires };
                let request = request(intent);
                Box::pin(async move {
                    if let Ok(events) = core.write(Input::Request(request)).await
                        && let Some(event) = events.first()
                    {
                        truth.granted(place, &whose, from, event.sequence.0);
                        said.store(true, Ordering::SeqCst);
                    }
                    changing.lock().unwrap().remove(&(place, whose));
                })
            }
            None => {
                let request = request(Intent::Revoke { grant: Default::default(), why: "".into() });
                Box::pin(async move {
                    let held = core
                        .durable()
                        .await
                        .map(|durable| durable.world.grants.values().find(|grant| grant.key == key && grant.ended.is_none()).map(|grant| grant.id));
                    let over = match held {
                        Some(Some(grant)) => {
                            let intent = Intent::Revoke { grant, why: "".into() };
                            core.write(Input::Request(Request { intent, ..request })).await.is_ok()
                        }
                        Some(None) => true,
                        None => false,
                    };
                    if over {
                        truth.revoked(place, &whose);
                        said.store(true, Ordering::SeqCst);
                    }
                    changing.lock().unwrap().remove(&(place, whose));
                })
            }
        };
        self.jobs.push(job);
        self.truth.count("grants");
        Some(done)
    }

    /// Wider, narrower, for a while, or not at all.
    pub(super) fn change_grant(&mut self) {
        let all: Vec<(usize, String)> = self.given.keys().filter(|(_, whose)| !AGENTS.contains(&whose.as_str())).cloned().collect();
        let (place, whose) = all[self.below(all.len())].clone();
        let person = self.posts.iter().any(|post| post.name == whose);
        let given = match self.below(7) {
            0 => None,
            _ if person => Some(self.for_person()),
            _ => Some(self.for_server(place, &whose)),
        };
        let lasts = (self.below(4) == 0).then(|| Span::from_secs(2 + i64::try_from(self.below(20)).unwrap()));
        if self.changing.lock().unwrap().contains(&(place, whose.clone())) {
            return;
        }
        self.given.insert((place, whose.clone()), given);
        self.give(place, &whose, lasts.filter(|_| given.is_some()));
    }
}
