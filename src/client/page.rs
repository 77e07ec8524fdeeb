//! A page of history as it came: the frame's bytes with a small index. A million events fit into a
//! console because each is understood only when it is shown.

use std::sync::{Arc, Mutex, PoisonError};

use crate::model::event::Event;
use crate::model::filter::Filter;
use crate::model::id::{Origin, Sequence};
use crate::model::likeness;
use crate::model::severity::Severity;
use crate::model::time::Time;
use crate::wire::{EventBytes, WireError, decode_event, glimpse, peek};

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
    /// See [`crate::model::likeness`].
    pub likeness: u32,
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
            match peek::fields(&bytes.0) {
                Ok(fields) => {
                    let header = fields.header;
                    let likeness = likeness::of_bytes(fields.kind, fields.system.unwrap_or_default(), fields.title);
                    page.entries.push(Entry { at: header.at, recorded: header.recorded, sequence: header.sequence, severity: header.severity, likeness, bytes })
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

/// The bytes of a page, packed in blocks: a console holds many more events than it shows.
#[derive(Debug, Default)]
pub struct Packed {
    blocks: Vec<Block>,
    /// The block that was asked for last, unpacked: going through events in their order unpacks each once.
    at_hand: Mutex<Option<(usize, Arc<[u8]>)>>,
}

#[derive(Debug)]
struct Block {
    packed: Box<[u8]>,
    /// Where each event ends in the unpacked block.
    ends: Box<[u32]>,
}

/// Events of one block.
const BLOCK: usize = 64;

impl Packed {
    pub fn of(entries: &[Entry]) -> Packed {
        let blocks = entries.chunks(BLOCK).map(|entries| {
            let mut bytes = Vec::new();
            let mut ends = Vec::with_capacity(entries.len());
            for entry in entries {
                bytes.extend_from_slice(&entry.bytes.0);
                ends.push(u32::try_from(bytes.len()).unwrap_or(u32::MAX));
            }
            // What cannot be packed cannot be read again: it shows as such.
            let packed = zstd::bulk::compress(&bytes, 1).unwrap_or_default();
            Block { packed: packed.into(), ends: ends.into() }
        });
        Packed { blocks: blocks.collect(), at_hand: Mutex::default() }
    }

    /// Bytes that it takes.
    pub fn size(&self) -> usize {
        self.blocks.iter().map(|block| block.packed.len() + block.ends.len() * 4 + size_of::<Block>()).sum()
    }

    fn with<T>(&self, index: u32, read: impl FnOnce(&[u8]) -> Option<T>) -> Option<T> {
        let index = usize::try_from(index).ok()?;
        let (number, within) = (index / BLOCK, index % BLOCK);
        let block = self.blocks.get(number)?;
        let whole = {
            let mut at_hand = self.at_hand.lock().unwrap_or_else(PoisonError::into_inner);
            match &*at_hand {
                Some((held, bytes)) if *held == number => bytes.clone(),
                Some(_) | None => {
                    let length = usize::try_from(*block.ends.last()?).ok()?;
                    let bytes: Arc<[u8]> = zstd::bulk::decompress(&block.packed, length).ok()?.into();
                    *at_hand = Some((number, bytes.clone()));
                    bytes
                }
            }
        };
        let begin = within.checked_sub(1).and_then(|before| block.ends.get(before)).copied().unwrap_or(0);
        read(whole.get(usize::try_from(begin).ok()?..usize::try_from(*block.ends.get(within)?).ok()?)?)
    }

    pub fn event(&self, index: u32) -> Option<Event> {
        self.with(index, |bytes| decode_event(bytes).ok())
    }

    /// Tells an event's system (empty: none) and title, without decoding the rest.
    pub fn called(&self, index: u32, tell: &mut dyn FnMut(&str, &str)) {
        let told = self.with(index, |bytes| {
            let fields = peek::fields(bytes).ok()?;
            tell(std::str::from_utf8(fields.system.unwrap_or_default()).ok()?, std::str::from_utf8(fields.title).ok()?);
            Some(())
        });
        // What cannot be read is called nothing.
        let _ = told;
    }

    /// Whether a filter leaves an event, which is decoded only when its bytes do not tell.
    pub fn matches(&self, index: u32, filter: &Filter, server: &str) -> bool {
        self.with(index, |bytes| Some(glimpse::matches(bytes, filter, server))).unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::{Actor, Draft, LogLine};
    use crate::model::filter::OnServer;
    use crate::model::id::{EventId, Incarnation};
    use jiff::tz::TimeZone;
    use proptest::prelude::*;

    fn event(sequence: u64, title: &str, text: &str, system: Option<&str>, severity: u8) -> Event {
        let id = EventId { origin: Origin([1; 16]), incarnation: Incarnation(1), sequence: Sequence(sequence) };
        let mut draft = Draft::new(Time::from_secs(i64::try_from(sequence).unwrap()), Actor::User("kim".into()), LogLine {}, title);
        draft = draft.text(text).severity(Severity::from_rank(severity));
        if let Some(system) = system {
            draft = draft.on(system.parse().unwrap());
        }
        draft.stamp(id, Time::from_secs(5))
    }

    proptest! {
        /// What a filter says of an event's bytes is what it says of the event; what was packed is what comes out.
        #[test]
        fn bytes_tell_what_the_event_tells(
            events in prop::collection::vec(("[a-cA-Cé 0-9]{0,12}", "[a-c\n]{0,8}", prop::sample::select(vec![None, Some("shop/db"), Some("shop")]), 0..6_u8), 1..150),
            filter in prop::sample::select(vec!["a", "\"b c\"", "/a+b/", "/^a/", "é", "not b", "severity:warning+", "system:shop/**", "kind:log a", "(a or severity:error+) not c", "by:kim b", "server:here a", "since:1970-01-01T00:00:30Z"]),
        ) {
            let events: Vec<Event> = (1..).zip(&events).map(|(n, (title, text, system, severity))| event(n, title, text, *system, *severity)).collect();
            let page = HistoryPage::read(events.iter().map(|event| EventBytes::of(event).unwrap()).collect());
            let packed = Packed::of(&page.entries);
            let filter = Filter::new(filter, Time::from_secs(1_000), &TimeZone::UTC).unwrap();
            for (index, event) in (0..).zip(&events) {
                prop_assert_eq!(packed.event(index), Some(event.clone()));
                let mut called = None;
                packed.called(index, &mut |system, title| called = Some((system.to_owned(), title.to_owned())));
                prop_assert_eq!(called, Some((event.system.as_ref().map_or("", |s| s.as_str()).to_owned(), event.title.to_string())));
                prop_assert_eq!(packed.matches(index, &filter, "here"), filter.matches(&OnServer { subject: event, server: "here" }), "{}", event.title);
                let known = likeness::likeness(event.kind.name(), event.system.as_ref().map_or("", |s| s.as_str()), &event.title);
                prop_assert_eq!(page.entries[usize::try_from(index).unwrap()].likeness, known);
            }
        }
    }
}
