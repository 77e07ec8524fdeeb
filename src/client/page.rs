//! A page of history as it came: the frame's bytes with a small index. A million events fit into a
//! console because each is understood only when it is shown.

use std::sync::Arc;

use crate::model::event::Event;
use crate::model::id::{Origin, Sequence};
use crate::model::severity::Severity;
use crate::model::time::Time;
use crate::wire::{EventBytes, WireError, peek};

/// Events of one server, in the order in which they came.
#[derive(Clone, Debug, Default)]
pub struct HistoryPage {
    pub entries: Vec<Entry>,
    /// Events that could not be read. They are set aside and said, and the rest goes on.
    pub broken: u32,
}

/// Where an event stands on the timeline, and its bytes, which share their frame's memory.
#[derive(Clone, Debug)]
pub struct Entry {
    pub at: Time,
    pub recorded: Time,
    pub sequence: Sequence,
    pub severity: Severity,
    pub bytes: EventBytes,
}

impl Entry {
    pub fn decode(&self) -> Result<Event, WireError> {
        self.bytes.decode()
    }
}

impl HistoryPage {
    pub fn read(events: Vec<EventBytes>) -> HistoryPage {
        let mut page = HistoryPage { entries: Vec::with_capacity(events.len()), broken: 0 };
        for bytes in events {
            match peek::peek(&bytes.0) {
                Ok(header) => {
                    page.entries.push(Entry { at: header.at, recorded: header.recorded, sequence: header.sequence, severity: header.severity, bytes })
                }
                Err(_) => page.broken = page.broken.saturating_add(1),
            }
        }
        page
    }

    /// All events of `origin`, understood. What cannot be read is left out and counted.
    pub fn decode(&self, origin: Origin) -> (Vec<Arc<Event>>, u32) {
        decode_all(self.entries.iter().map(|entry| &entry.bytes), origin)
    }
}

/// Understands events. What cannot be read, or names another server than the one that sent it (F3),
/// is left out and counted.
pub fn decode_all<'a>(events: impl Iterator<Item = &'a EventBytes>, origin: Origin) -> (Vec<Arc<Event>>, u32) {
    let mut broken = 0;
    let events = events
        .filter_map(|bytes| match bytes.decode() {
            Ok(event) if event.id.origin == origin => Some(Arc::new(event)),
            Ok(_) | Err(_) => {
                broken += 1;
                None
            }
        })
        .collect();
    (events, broken)
}
