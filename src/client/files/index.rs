//! Where the events of one file are: 24 bytes each, made while it is scanned, and the event made from
//! them when it is asked for.
//!
//! The scanner's threads write a mark per event where they would write the event's text; exported events
//! are folded there as well, so that the world they tell of is known when the file has been read.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::entry::{Entry, Origins};
use super::format::Format;
use super::keep::Kept;
use super::scan::{Found, Render};
use crate::model::event::Event;
use crate::model::fold::fold;
use crate::model::id::{EventId, Incarnation, Sequence};
use crate::model::severity::Severity;
use crate::model::time::Time;
use crate::model::world::World;

/// Where one event is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mark {
    pub at: i64,
    pub position: u64,
    /// Without the line break at its end.
    pub length: u32,
    stamp_end: u16,
    format: u8,
    severity: u8,
}

/// What is written for each event: length, end of the stamp, format, severity.
const WRITTEN: usize = 8;

impl Mark {
    /// From what the index's [`Index::render`] wrote.
    pub fn read(found: &Found, bytes: &[u8]) -> Option<Mark> {
        let (length, rest) = bytes.split_first_chunk::<4>()?;
        let (stamp_end, rest) = rest.split_first_chunk::<2>()?;
        let [format, severity] = *rest.first_chunk::<2>()?;
        let (length, stamp_end) = (u32::from_le_bytes(*length), u16::from_le_bytes(*stamp_end));
        Some(Mark { at: found.at, position: found.position, length, stamp_end, format, severity })
    }

    pub fn severity(&self) -> Severity {
        Severity::from_rank(self.severity)
    }
}

/// What is known of one file beside its marks.
pub struct Index {
    pub origins: Arc<Origins>,
    /// The formats in which its events were found: one, unless another file took its name.
    formats: Mutex<Vec<Arc<Format>>>,
    tale: Mutex<Tale>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Index {
    pub fn new(origins: Arc<Origins>) -> Arc<Index> {
        Arc::new(Index { origins, formats: Mutex::default(), tale: Mutex::default() })
    }

    /// For a scanner that is to write marks.
    pub fn render(self: &Arc<Index>) -> Render {
        let index = self.clone();
        Arc::new(move |entry, out| index.mark(entry, out))
    }

    fn mark(&self, entry: &Entry<'_>, out: &mut Vec<u8>) {
        use crate::model::filter::Subject;
        let format = {
            let mut formats = lock(&self.formats);
            match formats.iter().rposition(|format| **format == *entry.format) {
                Some(format) => format,
                None => {
                    formats.push(Arc::new(entry.format.clone()));
                    formats.len() - 1
                }
            }
        };
        let severity = match entry.exported() {
            Some(event) => {
                lock(&self.tale).tell(event);
                event.severity
            }
            None => entry.severity(),
        };
        out.reserve(WRITTEN);
        out.extend_from_slice(&u32::try_from(entry.raw.len()).unwrap_or(u32::MAX).to_le_bytes());
        out.extend_from_slice(&u16::try_from(entry.stamp_end).unwrap_or(0).to_le_bytes());
        out.push(u8::try_from(format).unwrap_or(0));
        out.push(severity.rank());
    }

    /// The event that stands there, read again; its number within its file names it.
    pub fn event(&self, mark: &Mark, number: u64, kept: &Kept) -> Option<Event> {
        let raw = kept.read(mark.position, usize::try_from(mark.length).ok()?)?;
        let format = lock(&self.formats).get(usize::from(mark.format))?.clone();
        let entry = Entry::new(Time::from_micros(mark.at), mark.position, &raw, usize::from(mark.stamp_end), &format, &self.origins);
        let mut event = entry.event();
        if entry.exported().is_none() {
            event.id = self.id(number);
        }
        Some(event)
    }

    /// What the file's event of this number is called.
    pub fn id(&self, number: u64) -> EventId {
        EventId { origin: self.origins.origin, incarnation: Incarnation(1), sequence: Sequence(number) }
    }

    /// Whether its events are exported ones.
    pub fn is_export(&self) -> bool {
        lock(&self.formats).iter().any(|format| **format == Format::Export)
    }

    /// What the exported events tell, so far; of a log, nothing but its name.
    pub fn tale(&self) -> Tale {
        lock(&self.tale).clone()
    }

    /// The world of a file that tells of none.
    pub fn bare_world(&self) -> World {
        World { name: self.origins.name.clone(), ..World::new(self.origins.origin, Incarnation(1)) }
    }
}

/// Exported events, folded in the order of their file.
#[derive(Clone, Default, Debug)]
pub struct Tale {
    pub world: Option<World>,
    /// They are of several servers, or not in the order of their log: no world comes of that.
    pub mixed: bool,
    /// Some are missing in between: what looks open may be closed.
    pub gaps: bool,
}

impl Tale {
    fn tell(&mut self, event: &Event) {
        if self.mixed {
            return;
        }
        let world = self.world.get_or_insert_with(|| World::new(event.id.origin, event.id.incarnation));
        let begins = world.head == Sequence::default();
        let same_life = event.id.incarnation == world.incarnation;
        if event.id.origin != world.origin || event.id.incarnation < world.incarnation || (same_life && event.id.sequence <= world.head) {
            self.mixed = true;
            self.world = None;
            return;
        }
        self.gaps |= !begins && same_life && event.id.sequence != world.head.next();
        fold(world, event);
    }
}
