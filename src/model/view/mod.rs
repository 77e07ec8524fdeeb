//! What spans origins: pure functions over the worlds, giving plain data for screens and command line.
//!
//! Views decide what is worth saying and in which words; they know no colour, no width and no key.

pub mod access;
pub mod alerts;
pub mod cause;
pub mod detail;
pub mod entries;
pub mod given;
pub mod glossary;
pub mod graph;
pub mod holding;
pub mod looked;
pub mod now;
pub mod suspect;
pub mod systems;
pub mod today;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::tz::TimeZone;

use super::id::{AlertRef, Origin, SystemAddress, SystemId, SystemRef};
use super::presence::{Book, Focus, Looker};
use super::reading::{Latest, Numbers};
use super::time::Span;
use super::world::{System, World};

/// How old what a server says is. Silence is never shown as fine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Freshness {
    /// Heard within its time: the age of the last claim and the lag that it stated.
    Live { age: Span },
    /// Connected or not, it has said nothing for longer than it promised.
    Stale { age: Span },
    /// Never heard.
    Never,
}

impl Freshness {
    pub const fn age(self) -> Option<Span> {
        match self {
            Freshness::Live { age } | Freshness::Stale { age } => Some(age),
            Freshness::Never => None,
        }
    }

    pub const fn is_live(self) -> bool {
        matches!(self, Freshness::Live { .. })
    }
}

/// One server as the reader sees it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// What the reader calls it (the console's configuration, else its own name).
    pub name: Arc<str>,
    pub world: Arc<World>,
    pub freshness: Freshness,
}

/// All servers that the reader sees, and what joins them.
#[derive(Clone, Debug)]
pub struct Sky {
    pub servers: Vec<Seen>,
    /// The reader's clock, for what is said of hours and weekdays.
    pub zone: TimeZone,
    /// The latest numbers behind alerts, by the server's place. Of the past there are none: they are not kept.
    pub readings: BTreeMap<usize, Latest>,
    /// Who looks at what now, likewise.
    pub presence: BTreeMap<usize, Book>,
    /// Local ids that stand on more than one server: those are shown with the server's name.
    ambiguous: BTreeSet<SystemId>,
    by_name: BTreeMap<Arc<str>, usize>,
    by_origin: BTreeMap<Origin, usize>,
}

impl Default for Sky {
    fn default() -> Sky {
        Sky::new(Vec::new())
    }
}

impl Sky {
    pub fn new(servers: Vec<Seen>) -> Sky {
        let mut seen: BTreeSet<&SystemId> = BTreeSet::new();
        let mut ambiguous = BTreeSet::new();
        let (mut by_name, mut by_origin) = (BTreeMap::new(), BTreeMap::new());
        for (index, server) in servers.iter().enumerate() {
            for id in server.world.systems.keys() {
                if !seen.insert(id) {
                    ambiguous.insert(id.clone());
                }
            }
            // The name that a server gave itself serves too, since configurations of others use it.
            by_name.entry(server.world.name.clone()).or_insert(index);
            by_name.insert(server.name.clone(), index);
            by_origin.entry(server.world.origin).or_insert(index);
        }
        drop(seen);
        Sky { servers, zone: TimeZone::UTC, readings: BTreeMap::new(), presence: BTreeMap::new(), ambiguous, by_name, by_origin }
    }

    /// The same, read on this clock.
    pub fn in_zone(self, zone: TimeZone) -> Sky {
        Sky { zone, ..self }
    }

    /// The same, with the latest numbers behind alerts.
    pub fn reading(self, readings: BTreeMap<usize, Latest>) -> Sky {
        Sky { readings, ..self }
    }

    /// The same, with who looks at what.
    pub fn looked_at(self, presence: BTreeMap<usize, Book>) -> Sky {
        Sky { presence, ..self }
    }

    /// Who else looks at an alert now.
    pub fn lookers(&self, alert: AlertRef) -> &[Looker] {
        let book = self.of_origin(alert.origin).and_then(|(server, _)| self.presence.get(&server));
        book.map_or(&[], |book| book.of(&Focus::Alert(alert.alert)))
    }

    /// Who else looks at a system, or at an alert of it: each of them once, since the first of that.
    pub fn lookers_at(&self, server: usize, system: &SystemId) -> Vec<Looker> {
        let (Some(book), Some(seen)) = (self.presence.get(&server), self.server(server)) else { return Vec::new() };
        let about = |at: &Focus| match at {
            Focus::Alert(alert) => seen.world.alert(*alert).is_some_and(|alert| alert.system == *system),
            Focus::System(id) => id == system,
        };
        let mut out: Vec<Looker> = book.iter().filter(|(at, _)| about(at)).flat_map(|(_, who)| who.iter().cloned()).collect();
        out.sort_by(|a, b| (a.since, &a.name).cmp(&(b.since, &b.name)));
        let mut known = BTreeSet::new();
        out.retain(|looker| known.insert(looker.name.clone()));
        out
    }

    /// The numbers behind an open alert, beside their thresholds.
    pub fn numbers(&self, alert: AlertRef) -> Option<Numbers> {
        let (server, seen) = self.of_origin(alert.origin)?;
        let held = seen.world.alert(alert.alert).filter(|held| held.is_open())?;
        let (reading, at) = self.readings.get(&server)?.of(alert.alert)?;
        Some(Numbers::of(reading, at, held.expr.as_deref()))
    }

    pub fn server(&self, index: usize) -> Option<&Seen> {
        self.servers.get(index)
    }

    pub fn of_origin(&self, origin: Origin) -> Option<(usize, &Seen)> {
        let index = *self.by_origin.get(&origin)?;
        self.servers.get(index).map(|seen| (index, seen))
    }

    /// A system as screens name it.
    pub fn name_of(&self, server: usize, id: &SystemId) -> String {
        match self.server(server) {
            Some(seen) if self.ambiguous.contains(id) => format!("{}:{id}", seen.name),
            Some(_) | None => id.to_string(),
        }
    }

    /// What an address in a server's configuration means.
    pub fn resolve(&self, from: usize, address: &SystemAddress) -> Option<SystemRef> {
        let index = match &address.server {
            Some(name) => *self.by_name.get(name)?,
            None => from,
        };
        Some(SystemRef { origin: self.server(index)?.world.origin, id: address.id.clone() })
    }

    /// A system's declaration; of one that says little, that of the nearest one above it by name.
    pub fn declared(&self, server: usize, id: &SystemId, says: impl Fn(&System) -> bool) -> Option<&System> {
        let world = &self.server(server)?.world;
        let mut name = id.as_str();
        loop {
            let found = name.parse().ok().and_then(|id: SystemId| world.systems.get(&id)).filter(|system| says(system));
            if let Some(system) = found {
                return Some(system);
            }
            name = name.rsplit_once('/')?.0;
        }
    }
}
