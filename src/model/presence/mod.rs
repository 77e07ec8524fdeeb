//! Who looks at what now: for those who are about to do what somebody else is doing already.
//!
//! It is no event, in no log, in no world and on no disk. A console says what its person looks at; the
//! server keeps that for as long as the console is there ([`Seats`]) and tells each reader what changed of
//! what they may see ([`Presence`]); the latest wins ([`Book`]).

mod seats;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use seats::{Reader, Seat, Seats, Whose};

use super::clean::clean_line;
use super::history::coarse;
use super::id::{Fingerprint, SystemId};
use super::time::{Span, Time};

/// Things that are looked at of which one reader knows.
const MOST: usize = 500;
/// Who looks at one thing: of more, those who came first.
const WHO: usize = 20;
/// Letters of a name.
const LONGEST: usize = 60;

/// What somebody looks at.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Focus {
    Alert(Fingerprint),
    System(SystemId),
}

/// Somebody who looks, and since when.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Looker {
    pub name: Arc<str>,
    pub since: Time,
}

/// All who look at one thing, those who began first before the others. Nobody: nobody does any more.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Looked {
    pub at: Focus,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub who: Vec<Looker>,
}

/// What changed since the last time. This type is the format on the wire.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Presence {
    #[serde(default)]
    pub looked: Vec<Looked>,
}

/// Who looks at what, as far as one reader was told.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Book(BTreeMap<Focus, Vec<Looker>>);

impl Book {
    /// Of each thing the latest word counts.
    pub fn take(&mut self, told: Presence) {
        for Looked { at, who } in told.looked {
            if who.is_empty() {
                self.0.remove(&at);
            } else if self.0.len() < MOST || self.0.contains_key(&at) {
                let short = |looker: Looker| Looker { name: if looker.name.len() > LONGEST { called(&looker.name) } else { looker.name }, since: looker.since };
                self.0.insert(at, who.into_iter().take(WHO).map(short).collect());
            }
        }
    }

    /// Becomes the other one; what changed by that. Nothing: nothing did.
    pub fn become_of(&mut self, next: Book) -> Option<Presence> {
        let gone = self.0.keys().filter(|at| !next.0.contains_key(at)).map(|at| Looked { at: at.clone(), who: Vec::new() });
        let new = next.0.iter().filter(|(at, who)| self.0.get(at) != Some(who)).map(|(at, who)| Looked { at: at.clone(), who: who.clone() });
        let looked: Vec<Looked> = gone.chain(new).collect();
        *self = next;
        (!looked.is_empty()).then_some(Presence { looked })
    }

    /// Those who look at this.
    pub fn of(&self, at: &Focus) -> &[Looker] {
        self.0.get(at).map_or(&[], Vec::as_slice)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&Focus, &[Looker])> {
        self.0.iter().map(|(at, who)| (at, who.as_slice()))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn add(&mut self, at: &Focus, looker: Looker) {
        if self.0.len() >= MOST && !self.0.contains_key(at) {
            return;
        }
        let who = self.0.entry(at.clone()).or_default();
        match who.iter_mut().find(|known| known.name == looker.name) {
            // At two of their consoles: since the first of them.
            Some(known) => known.since = known.since.min(looker.since),
            None => who.push(looker),
        }
    }

    /// Those who began first before the others, and no more than are told.
    fn settle(&mut self) {
        for who in self.0.values_mut() {
            who.sort_by(|a, b| (a.since, &a.name).cmp(&(b.since, &b.name)));
            who.truncate(WHO);
        }
    }
}

/// A name as it is told to others: of one line, and short.
pub fn called(name: &str) -> Arc<str> {
    let name: String = clean_line(name).trim().chars().take(LONGEST).collect();
    if name.is_empty() { "somebody".into() } else { name.into() }
}

/// "kim 4m, ana, jo", as many as there is room for, and how many more: "kim 4m +2". Within the first minute
/// without an age, so that nothing counts seconds.
pub fn words(who: &[Looker], now: Time, room: usize) -> String {
    let one = |looker: &Looker| {
        let name = called(&looker.name);
        let age = now.since(looker.since);
        if age >= Span::from_mins(1) { format!("{name} {}", coarse(age)) } else { name.to_string() }
    };
    let named: Vec<String> = who.iter().map(one).collect();
    let some = |count: usize| {
        let all = named.get(..count).unwrap_or_default().join(", ");
        if count < named.len() { format!("{all} +{}", named.len() - count) } else { all }
    };
    (1..=named.len()).rev().map(some).find(|words| words.chars().count() <= room).unwrap_or_else(|| some(1))
}
