//! Where the events of one file are: a mark for each, made while it is scanned, and the event made from it
//! when it is asked for.
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
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
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

    /// What many have in common: the end of the stamp, format and severity.
    pub(super) fn kind(&self) -> [u8; 4] {
        let [low, high] = self.stamp_end.to_le_bytes();
        [low, high, self.format, self.severity]
    }

    pub(super) fn of(at: i64, position: u64, length: u32, [low, high, format, severity]: [u8; 4]) -> Mark {
        Mark { at, position, length, stamp_end: u16::from_le_bytes([low, high]), format, severity }
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

    /// Tells the system and the title of the event that stands there.
    pub fn called(&self, mark: &Mark, kept: &Kept, tell: &mut dyn FnMut(&str, &str)) {
        let Some(format) = lock(&self.formats).get(usize::from(mark.format)).cloned() else { return };
        let Ok(length) = usize::try_from(mark.length) else { return };
        // What cannot be read again is called nothing.
        let _ = kept.with(mark.position, length, |raw| {
            let entry = Entry::new(Time::from_micros(mark.at), mark.position, raw, usize::from(mark.stamp_end), &format, &self.origins);
            match &*format {
                Format::Export | Format::Json { .. } => {
                    let event = entry.event();
                    tell(event.system.as_ref().map_or("", |system| system.as_str()), &event.title);
                }
                _ => tell("", &String::from_utf8_lossy(entry.plain_title())),
            }
        });
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

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::path::Path;
    use std::sync::Mutex as Shared;

    use jiff::tz::TimeZone;
    use proptest::prelude::*;

    use super::super::{Log, Scanner, Want, Zone};
    use super::*;
    use crate::model::filter::Filter;

    fn now() -> Time {
        Time::from_secs(1_795_300_000)
    }

    /// What the streaming reader makes of a text.
    fn streamed(path: &Path, text: &[u8]) -> Vec<Event> {
        let seen: Arc<Shared<Vec<Event>>> = Arc::default();
        let keep = seen.clone();
        let render: Render = Arc::new(move |entry, out| {
            out.push(b'x');
            keep.lock().unwrap().push(entry.event());
        });
        let zone = Zone::new(TimeZone::UTC, now());
        let reader = Box::new(std::io::Cursor::new(text.to_vec()));
        let mut scanner = Scanner::new(reader, Arc::new(Origins::of(path)), zone, Filter::all(), Want::Rendered, Some(render));
        while scanner.next(&mut Vec::new()).unwrap().is_some() {}
        std::mem::take(&mut *seen.lock().unwrap())
    }

    /// What the index finds and reads again.
    fn read_again(path: &Path) -> Vec<Event> {
        let mut log = Log::open(path, now(), &TimeZone::UTC).unwrap();
        let mut scanner = log.scanner.take().unwrap();
        let mut marks = Vec::new();
        let mut rest = false;
        loop {
            match scanner.next(&mut Vec::new()).unwrap() {
                Some(batch) => marks.extend(batch.found.iter().map(|f| Mark::read(f, &batch.bytes[f.offset as usize..]).unwrap())),
                None if rest => break,
                None => {
                    scanner.give_rest();
                    rest = true;
                }
            }
        }
        let read = |(number, mark)| {
            let event = log.index.event(mark, number, &log.kept).unwrap();
            let mut called = None;
            log.index.called(mark, &log.kept, &mut |system, title| called = Some((system.to_owned(), title.to_owned())));
            assert_eq!(called.unwrap(), (event.system.as_ref().map_or("", |system| system.as_str()).to_owned(), event.title.to_string()));
            event
        };
        (1..).zip(&marks).map(read).collect()
    }

    fn same(text: &str) {
        let folder = tempfile::tempdir().unwrap();
        for (name, packed) in [("a.log", false), ("a.log.zst", true)] {
            let path = folder.path().join(name);
            let bytes = if packed { zstd::encode_all(text.as_bytes(), 1).unwrap() } else { text.as_bytes().to_vec() };
            std::fs::File::create(&path).unwrap().write_all(&bytes).unwrap();
            // A file's own time stands for what a line does not say.
            std::fs::File::options()
                .write(true)
                .open(&path)
                .unwrap()
                .set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_795_300_000))
                .unwrap();
            let mut expected = streamed(&path, text.as_bytes());
            (1..).zip(&mut expected).for_each(|(number, event)| {
                event.id.incarnation = Incarnation(1);
                event.id.sequence = Sequence(number);
            });
            let read = read_again(&path);
            assert_eq!(read, expected, "{name}: {text:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

        #[test]
        fn what_is_read_again_is_what_the_stream_gives(
            first in prop::sample::select(vec!["2026-11-21T02:57:00Z warn x", "Nov 21 02:57:00 web-1 sshd[7]: error: y", "{\"ts\":1795229820.5,\"level\":\"warn\",\"msg\":\"a\"}", "level=error ts=2026-11-21T02:57:00.5Z msg=x", "E1121 02:57:00.123456       1 main.go:7] no lease", "no time at all"]),
            lines in prop::collection::vec(prop_oneof![Just(None), "[a-zé ]{0,12}\r?".prop_map(Some)], 0..20),
            ends in any::<bool>(),
        ) {
            let mut text: String = std::iter::once(None).chain(lines).map(|line| line.unwrap_or_else(|| first.to_owned()) + "\n").collect();
            if !ends {
                text.pop();
            }
            same(&text);
        }
    }

    #[test]
    fn blocks_are_crossed() {
        let text: String = (0..9_000).map(|i| format!("2026-11-21T02:57:00Z line {i} {}\n", "y".repeat(i % 150))).collect();
        assert!(text.len() > 3 * (256 << 10));
        same(&text);
    }
}
