//! What somebody may see and do: rights on systems, until a time.
//!
//! A [`Scope`] says it, whoever it was given to. [`World::seen_by`](crate::model::world::World::seen_by)
//! restricts a world to it, and a [`Lens`] says of each event what of it is shown, such that folding what
//! is shown onto the restricted world gives the restricted world of all events. Of what a system uses that
//! one sees, and may not see itself, only the outline of its troubles is shown: system, title, severity,
//! since and until when.

mod asker;
mod held;
mod key;
mod lens;
mod pattern;
mod right;
mod seen;
#[cfg(test)]
mod tests;
mod words;

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use asker::{Asker, Listed};
pub use held::{Bundle, End, Further, Grant, Invite, Lost, Offer, Roles, Vouched, Who, is_name};
pub use key::Key;
pub use lens::{Glance, Lens, has_outline, outline, project};
pub use pattern::{Pattern, Width, joined};
pub use right::{Right, Rights};

use super::event::Kind;
use super::id::SystemId;
use super::time::Time;

/// Rights on systems, until a time.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Scope {
    /// On which systems; none: on nothing.
    pub systems: Arc<[Pattern]>,
    pub rights: Rights,
    /// It is over then. None: it stays until it is taken back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Time>,
}

/// Marks a restricted world and the cursors into it: another scope, another epoch.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Epoch(pub u64);

impl Epoch {
    /// Of a world that was restricted twice.
    pub fn both(one: Option<Epoch>, other: Option<Epoch>) -> Option<Epoch> {
        match (one, other) {
            // JSON's numbers are exact up to 53 bits.
            (Some(one), Some(other)) => Some(Epoch(one.0.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(other.0) >> 11)),
            (one, other) => one.or(other),
        }
    }
}

impl Scope {
    /// Systems that one scope names at most.
    pub const PATTERNS: usize = 256;

    /// Everything, for ever: what a server's owner has.
    pub fn all() -> Scope {
        Scope { systems: [Pattern::All].into(), rights: Rights::ALL, expires: None }
    }

    pub fn none() -> Scope {
        Scope { systems: [].into(), rights: Rights::NONE, expires: None }
    }

    /// These rights on all systems.
    pub fn everywhere(rights: Rights) -> Scope {
        Scope { systems: [Pattern::All].into(), rights, expires: None }
    }

    /// The systems in order, without those that another one names as well.
    pub fn new(systems: impl IntoIterator<Item = Pattern>, rights: Rights, expires: Option<Time>) -> Scope {
        let mut patterns: Vec<Pattern> = systems.into_iter().collect();
        patterns.sort();
        patterns.dedup();
        let own: Vec<Pattern> =
            patterns.iter().filter(|pattern| !patterns.iter().any(|other| other != *pattern && other.covers(pattern))).take(Scope::PATTERNS).cloned().collect();
        Scope { systems: own.into(), rights, expires }
    }

    /// Whether it names this system, whatever is allowed there.
    pub fn names(&self, system: &str) -> bool {
        self.systems.iter().any(|pattern| pattern.matches(system))
    }

    /// Whether it names all systems.
    pub fn names_all(&self) -> bool {
        self.systems.contains(&Pattern::All)
    }

    /// Whether all there is may be seen: nothing needs to be left out.
    pub fn is_all(&self) -> bool {
        self.names_all() && self.rights.has(Right::Read) && self.rights.has(Right::Administer)
    }

    pub fn is_over(&self, now: Time) -> bool {
        self.expires.is_some_and(|expires| expires <= now)
    }

    /// Whether something may be done to a system, or, without one, to the server as a whole.
    pub fn may(&self, right: Right, system: Option<&SystemId>) -> bool {
        self.rights.has(right) && system.map_or_else(|| self.names_all(), |system| self.names(system.as_str()))
    }

    /// Whether an event about this system, of this kind, may be seen whole.
    pub fn sees(&self, system: Option<&SystemId>, kind: &str) -> bool {
        self.sees_named(system.map(SystemId::as_str), kind)
    }

    /// As [`Scope::sees`]. What concerns no system is everybody's when it is about the server or its words,
    /// the administrators' when it is about rights and configuration, and theirs who see everything else.
    pub fn sees_named(&self, system: Option<&str>, kind: &str) -> bool {
        if !self.rights.has(Right::Read) {
            return false;
        }
        if kind.starts_with("trust.") || kind == "config.applied" {
            return self.is_all();
        }
        // What a source is and what is silenced there may be about any system.
        if kind.starts_with("source.") || kind.starts_with("silence.") {
            return self.names_all();
        }
        match system {
            Some(system) => self.names(system),
            None => self.names_all() || is_common(kind),
        }
    }

    /// What both allow: never more than either.
    #[must_use]
    pub fn narrow(&self, other: &Scope) -> Scope {
        let systems = self.systems.iter().flat_map(|a| other.systems.iter().filter_map(|b| a.meet(b)));
        let expires = match (self.expires, other.expires) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        Scope::new(systems, self.rights.and(other.rights), expires)
    }

    /// Whether everything that `other` allows is allowed here.
    pub fn covers(&self, other: &Scope) -> bool {
        let in_time = match (self.expires, other.expires) {
            (None, _) => true,
            (Some(own), theirs) => theirs.is_some_and(|theirs| theirs <= own),
        };
        let empty = other.rights.is_empty() || other.systems.is_empty();
        empty || (in_time && self.rights.covers(other.rights) && other.systems.iter().all(|b| self.systems.iter().any(|a| a.covers(b))))
    }

    /// How much it lets one see, the widest first, so that any two can be compared: what covers another is more.
    pub fn breadth(&self) -> Vec<Width> {
        if !self.rights.has(Right::Read) {
            return Vec::new();
        }
        // As one writes them who knows none twice.
        let mut widths: Vec<Width> = Scope::new(self.systems.iter().cloned(), self.rights, None).systems.iter().map(Pattern::width).collect();
        widths.sort_by(|one, other| other.cmp(one));
        widths
    }

    /// Of what is seen alone, since that is what a world is restricted to; `None`: all is seen.
    pub fn epoch(&self) -> Option<Epoch> {
        if self.is_all() {
            return None;
        }
        let mut hash = Sha256::new();
        hash.update(b"midwatch scope 1\0");
        let mut systems: Vec<String> = self.systems.iter().map(ToString::to_string).collect();
        systems.sort();
        for pattern in systems {
            hash.update(pattern.as_bytes());
            hash.update(b"\0");
        }
        hash.update([u8::from(self.rights.has(Right::Read))]);
        // JSON's numbers are exact up to 53 bits.
        let number = hash.finalize().iter().take(8).fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
        Some(Epoch(number >> 11))
    }

    /// "read,respond on shop/**, until 2026-11-21T18:00:00Z".
    pub fn words(&self) -> String {
        self.to_string()
    }
}

/// What everybody may see who may see anything: about the server as a whole, and what words mean.
fn is_common(kind: &str) -> bool {
    (kind.starts_with("server.") || kind.starts_with("glossary.")) && Kind::NAMES.contains(&kind)
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rights.is_empty() || self.systems.is_empty() {
            return f.write_str("nothing");
        }
        let rights = if self.rights == Rights::ALL { "everything".to_owned() } else { self.rights.to_string().replace(',', ", ") };
        write!(f, "{rights} on {}", if self.names_all() { "all systems".to_owned() } else { joined(&self.systems, ", ") })?;
        self.expires.map_or(Ok(()), |expires| write!(f, ", until {expires}"))
    }
}
