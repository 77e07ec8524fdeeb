//! One event on the timeline, in few bytes: where it stands, and where its bytes are.

use std::sync::Arc;

use crate::console::message::{Decode, Lazy};
use crate::model::event::Event;
use crate::model::filter::{Filter, OnServer};
use crate::model::id::{EventId, Incarnation, Origin, Sequence};
use crate::model::severity::Severity;
use crate::model::time::Time;

use super::Place;

/// The order of a timeline. The incarnation is left out: sequences go on across a restore.
pub(super) type Key = (i64, [u8; 16], u64);

/// 32 bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    /// Microseconds, with the correction of its server's clock.
    pub at: i64,
    pub sequence: u64,
    /// What it has in common with the others of its kind; 0: nothing.
    pub likeness: u32,
    pub index: u32,
    /// Which of the chunk's pages has its bytes.
    pub page: u16,
    pub server: u16,
    pub severity: u8,
    pub flags: u8,
}

/// The filter has looked at it.
pub(super) const EXAMINED: u8 = 1;
/// It matches the filter.
pub(super) const HIT: u8 = 2;
/// It came as a hit or a neighbour of one: what stands between is not here.
pub(super) const SPARSE: u8 = 4;

impl Slot {
    pub fn key(&self, origins: &[Origin]) -> Key {
        (self.at, origins.get(usize::from(self.server)).map_or([0; 16], |origin| origin.0), self.sequence)
    }

    pub fn place(&self, origins: &[Origin]) -> Place {
        let origin = origins.get(usize::from(self.server)).copied().unwrap_or_default();
        (Time::from_micros(self.at), EventId { origin, incarnation: Incarnation(0), sequence: Sequence(self.sequence) })
    }

    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    pub fn severity(&self) -> Severity {
        Severity::from_rank(self.severity)
    }
}

pub(super) fn key(place: &Place) -> Key {
    (place.0.micros(), place.1.origin.0, place.1.sequence.0)
}

/// Events' bytes, some of which a chunk's slots are about.
#[derive(Clone)]
pub(super) enum Held {
    Later(Arc<dyn Decode>),
    Own(Arc<Own>),
}

/// Events that came one by one, as bytes one behind the other.
#[derive(Clone, Default)]
pub(super) struct Own {
    bytes: Vec<u8>,
    ends: Vec<u32>,
}

/// Bytes of one run of them.
const MOST: usize = 256 << 10;

impl Own {
    /// Its index; nothing when there is no room, or it cannot be written.
    pub fn push(&mut self, event: &Event) -> Option<u32> {
        let index = u32::try_from(self.ends.len()).ok()?;
        let begin = self.bytes.len();
        if begin > MOST {
            return None;
        }
        if rmp_serde::encode::write_named(&mut self.bytes, event).is_err() {
            self.bytes.truncate(begin);
            return None;
        }
        self.ends.push(u32::try_from(self.bytes.len()).ok()?);
        Some(index)
    }

    fn event(&self, index: u32) -> Option<Arc<Event>> {
        let index = usize::try_from(index).ok()?;
        let end = usize::try_from(*self.ends.get(index)?).ok()?;
        let begin = index.checked_sub(1).and_then(|before| self.ends.get(before)).map_or(0, |end| usize::try_from(*end).unwrap_or(end_of(&self.bytes)));
        rmp_serde::from_slice(self.bytes.get(begin..end)?).ok().map(Arc::new)
    }

    pub fn size(&self) -> usize {
        self.bytes.len() + self.ends.len() * 4
    }
}

fn end_of(bytes: &[u8]) -> usize {
    bytes.len()
}

impl Held {
    pub fn event(&self, index: u32) -> Option<Arc<Event>> {
        match self {
            Held::Later(page) => page.decode(index),
            Held::Own(own) => own.event(index),
        }
    }

    /// Tells an event's system (empty: none) and title.
    pub fn called(&self, index: u32, tell: &mut dyn FnMut(&str, &str)) {
        match self {
            Held::Later(page) => page.called(index, tell),
            Held::Own(own) => {
                if let Some(event) = own.event(index) {
                    tell(event.system.as_ref().map_or("", |system| system.as_str()), &event.title);
                }
            }
        }
    }

    pub fn is(&self, other: &Held) -> bool {
        match (self, other) {
            (Held::Later(a), Held::Later(b)) => Arc::ptr_eq(a, b),
            (Held::Own(a), Held::Own(b)) => Arc::ptr_eq(a, b),
            (Held::Later(_), Held::Own(_)) | (Held::Own(_), Held::Later(_)) => false,
        }
    }

    /// Whether an event matches, if possible without understanding all of it.
    pub fn matches(&self, index: u32, filter: &Filter, server: &str) -> bool {
        match self {
            Held::Later(page) => page.matches(index, filter, server),
            Held::Own(own) => own.event(index).is_some_and(|event| filter.matches(&OnServer { subject: &*event, server })),
        }
    }
}

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Held::Later(_) => f.write_str("Later"),
            Held::Own(own) => write!(f, "Own({})", own.size()),
        }
    }
}

/// An event as it comes to a window, before its bytes have a place in a chunk.
#[derive(Debug)]
pub(super) struct Incoming {
    pub slot: Slot,
    pub event: Lazy,
}
