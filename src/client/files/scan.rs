//! One file, chunk by chunk: where its events begin and end, and which of them a filter wants.
//!
//! When the filter has a needle, the chunk is searched for it as a whole, and only the lines around a
//! hit are understood; without one, every line is. Both give the same, whatever the chunks are.

use std::io::{self, Read};
use std::sync::Arc;

use super::entry::{Entry, Origins};
use super::format::Format;
use super::json;
use super::stamp::{Stamp, Zone};
use crate::model::filter::{Filter, Needle};
use crate::model::time::Time;

/// Bytes that are read at once.
pub const CHUNK: usize = 256 << 10;
/// Bytes of one event that are kept; a stack trace may have many lines, but not any number.
pub const LARGEST: usize = 1 << 20;
/// Bytes in which the format is looked for.
pub const SAMPLE: usize = 64 << 10;

/// An event that was found: where its bytes are in its batch.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    pub at: i64,
    /// Where it begins in the file's unpacked bytes.
    pub position: u64,
    pub offset: u32,
    pub length: u32,
}

/// What one chunk gave.
#[derive(Debug, Default)]
pub struct Batch {
    pub bytes: Vec<u8>,
    pub found: Vec<Found>,
    /// How many were found, when only that was asked.
    pub count: u64,
    /// Bytes of the file that were gone through.
    pub span: u64,
}

/// What is wanted of an event that matches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Want {
    /// Its bytes as they are.
    Raw,
    /// Its bytes as they are; of an exported event, what [`Render`] makes of it.
    Readable,
    /// How many there are.
    Count,
    /// What [`Render`] makes of it.
    Rendered,
}

/// Writes an event as it is shown, with its line break.
pub type Render = Arc<dyn Fn(&Entry<'_>, &mut Vec<u8>) + Send + Sync>;

pub struct Scanner {
    reader: Box<dyn Read + Send>,
    pub origins: Arc<Origins>,
    zone: Zone,
    format: Option<Format>,
    filter: Filter,
    want: Want,
    render: Option<Render>,
    /// What is not gone through yet, and where it begins in the file.
    buffer: Vec<u8>,
    filled: usize,
    position: u64,
    ended: bool,
    /// The reader has nothing more for now, but it has not ended.
    waiting: bool,
    /// The format was found in so few lines that it is looked for again.
    provisional: bool,
    /// The rest of an event that is too large is passed over, up to the next one.
    passing: Option<Passing>,
    /// Events that were cut off.
    pub cut: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Passing {
    WithinLine,
    AtLine,
}

impl std::fmt::Debug for Scanner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scanner").field("path", &self.origins.path).field("position", &self.position).finish_non_exhaustive()
    }
}

impl Scanner {
    pub fn new(reader: Box<dyn Read + Send>, origins: Arc<Origins>, zone: Zone, filter: Filter, want: Want, render: Option<Render>) -> Scanner {
        Scanner {
            reader,
            origins,
            zone,
            format: None,
            filter,
            want,
            render,
            buffer: Vec::new(),
            filled: 0,
            position: 0,
            ended: false,
            waiting: false,
            provisional: false,
            passing: None,
            cut: 0,
        }
    }

    /// Known once the first chunk was read.
    pub fn format(&self) -> Option<&Format> {
        self.format.as_ref()
    }

    pub fn position(&self) -> u64 {
        self.position
    }

    /// How many bytes were read so far, held ones among them.
    pub fn reached(&self) -> u64 {
        self.position + u64::try_from(self.filled).unwrap_or(0)
    }

    /// What was read but not given yet: an event that may go on.
    pub fn held(&self) -> &[u8] {
        self.buffer.get(..self.filled).unwrap_or(&[])
    }

    /// Nothing more is waited for: what is held is given next, as it is.
    pub fn give_rest(&mut self) {
        self.ended = true;
    }

    /// A file that had ended may have grown.
    pub fn resume(&mut self, latest: Time) {
        self.ended = false;
        self.zone.moved_on(latest);
    }

    /// The next chunk's events, in the order of the file; nothing when it has ended. `spare` is a buffer
    /// to use again. Of a reader that would block, what is complete is given; nothing: there is no more
    /// for now, and [`Scanner::next`] can be called again.
    pub fn next(&mut self, spare: &mut Vec<u8>) -> io::Result<Option<Batch>> {
        if self.ended && self.filled == 0 {
            return Ok(None);
        }
        let mut failed = None;
        self.waiting = false;
        let cut = loop {
            if let Err(error) = self.fill() {
                // What was read before counts; then the file has ended.
                self.ended = true;
                failed = Some(error);
            }
            if self.format.is_none() || (self.provisional && self.filled > 0) {
                if self.filled == 0 {
                    return failed.map_or(Ok(None), Err);
                }
                let sample = self.buffer.get(..self.filled.min(SAMPLE)).unwrap_or(&[]);
                let format = Format::find(sample, &mut self.zone);
                if self.want == Want::Readable {
                    self.want = if format == Format::Export { Want::Rendered } else { Want::Raw };
                }
                self.provisional = self.waiting && format == Format::Plain && self.filled < SAMPLE;
                self.format = Some(format);
            }
            self.pass();
            let cut = self.last_start();
            if cut > 0 || self.ended {
                break cut;
            }
            if self.filled >= LARGEST {
                // One event fills the buffer; its rest will be passed over.
                let within = self.buffer.get(LARGEST - 1) != Some(&b'\n');
                self.passing = Some(if within { Passing::WithinLine } else { Passing::AtLine });
                self.cut += 1;
                break LARGEST;
            }
            if self.waiting {
                return Ok(None);
            }
        };
        let mut batch = self.events(cut);
        batch.span = u64::try_from(cut).unwrap_or(0);
        self.position += batch.span;
        self.filled -= cut;
        if batch.bytes.is_empty() && !batch.found.is_empty() {
            // The batch takes the buffer; what is left over moves into the spare one.
            let rest = self.buffer.get(cut..cut + self.filled).unwrap_or(&[]);
            if spare.len() < rest.len() + CHUNK {
                spare.resize(rest.len() + CHUNK, 0);
            }
            if let Some(to) = spare.get_mut(..rest.len()) {
                to.copy_from_slice(rest);
            }
            batch.bytes = std::mem::replace(&mut self.buffer, std::mem::take(spare));
        } else {
            self.buffer.copy_within(cut..cut + self.filled, 0);
        }
        match failed {
            Some(error) if batch.found.is_empty() && batch.count == 0 => Err(error),
            Some(error) => {
                // Said at the next call.
                self.reader = Box::new(Failing(Some(error)));
                self.ended = false;
                Ok(Some(batch))
            }
            None => Ok(Some(batch)),
        }
    }

    /// Reads until there is a chunk, or the file ends.
    fn fill(&mut self) -> io::Result<()> {
        let wanted = self.filled + CHUNK;
        if self.buffer.len() < wanted {
            self.buffer.resize(wanted, 0);
        }
        while !self.ended && self.filled < wanted {
            let Some(space) = self.buffer.get_mut(self.filled..wanted) else { break };
            match self.reader.read(space) {
                Ok(0) => self.ended = true,
                Ok(read) => self.filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.waiting = true;
                    break;
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Passes over what is left of an event that was cut off.
    fn pass(&mut self) {
        let Some(mut passing) = self.passing else { return };
        let Some(format) = &self.format else { return };
        let text = self.buffer.get(..self.filled).unwrap_or(&[]);
        let mut at = 0;
        loop {
            let rest = text.get(at..).unwrap_or(&[]);
            let end = memchr::memchr(b'\n', rest);
            if passing == Passing::AtLine {
                // Whether a line has a stamp is known when all of it is there.
                let line = match end {
                    Some(end) => rest.get(..end),
                    None if self.ended => Some(rest),
                    None => break,
                };
                if line.is_some_and(|line| !line.is_empty() && format.stamp(line, &mut self.zone).is_some()) {
                    self.passing = None;
                    break;
                }
            }
            match end {
                Some(end) => {
                    at += end + 1;
                    passing = Passing::AtLine;
                    self.passing = Some(passing);
                }
                None => {
                    // The start of a line must stay, so that its stamp can be read; unless it is too long to have one.
                    if passing == Passing::WithinLine || self.ended || rest.len() > SAMPLE {
                        at = text.len();
                        self.passing = Some(Passing::WithinLine);
                    }
                    break;
                }
            }
        }
        self.buffer.copy_within(at..self.filled, 0);
        self.filled -= at;
        self.position += u64::try_from(at).unwrap_or(0);
    }

    /// Where the last event begins: only what lies before is complete. At the end of the file, all is.
    fn last_start(&mut self) -> usize {
        if self.ended {
            return self.filled;
        }
        if self.passing.is_some() {
            return 0;
        }
        let text = self.buffer.get(..self.filled).unwrap_or(&[]);
        let Some(format) = &self.format else { return 0 };
        let Some(mut end) = memchr::memrchr(b'\n', text) else { return 0 };
        if *format == Format::Plain {
            return end + 1;
        }
        while end > 0 {
            let before = text.get(..end).unwrap_or(&[]);
            let start = memchr::memrchr(b'\n', before).map_or(0, |at| at + 1);
            if format.stamp(before.get(start..).unwrap_or(&[]), &mut self.zone).is_some() {
                return start;
            }
            end = start.saturating_sub(1);
        }
        0
    }

    fn events(&mut self, cut: usize) -> Batch {
        let Some(format) = &self.format else { return Batch::default() };
        let text = self.buffer.get(..cut).unwrap_or(&[]);
        let mut batch = Batch::default();
        let needle = self.filter.needle().filter(|needle| may_search(needle, format, text));
        let mut sink = Sink {
            filter: &self.filter,
            want: self.want,
            render: self.render.as_ref(),
            format,
            origins: &self.origins,
            position: self.position,
            text,
            batch: &mut batch,
            cut: 0,
            hits: 0,
        };
        match needle {
            Some(needle) => search(text, needle, format, &mut self.zone, &mut sink),
            None => walk(text, format, &mut self.zone, &mut sink),
        }
        self.cut += sink.cut;
        // Few hits are copied, so that the buffer can be used again at once.
        if self.want == Want::Raw && sink.hits > 0 && sink.hits < cut / 4 {
            let mut packed = Vec::with_capacity(sink.hits);
            for found in &mut batch.found {
                let from = usize::try_from(found.offset).unwrap_or(usize::MAX);
                let to = from.saturating_add(usize::try_from(found.length).unwrap_or(0));
                found.offset = u32::try_from(packed.len()).unwrap_or(u32::MAX);
                packed.extend_from_slice(text.get(from..to).unwrap_or(&[]));
            }
            batch.bytes = packed;
        }
        batch
    }
}

/// An error that waits for its turn.
struct Failing(Option<io::Error>);

impl Read for Failing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}

/// Whether what matches in an event stands in its bytes just so.
fn may_search(needle: &Needle, format: &Format, text: &[u8]) -> bool {
    match (format, needle.word()) {
        (Format::Export | Format::Json { .. }, Some(word)) => json::stands_as_is(word) && memchr::memmem::find(text, b"\\u00").is_none(),
        (Format::Export | Format::Json { .. }, None) => needle.holds_within() && memchr::memchr(b'\\', text).is_none(),
        (_, None) => needle.holds_in(text),
        (_, Some(_)) => true,
    }
}

/// Every line.
fn walk(text: &[u8], format: &Format, zone: &mut Zone, sink: &mut Sink<'_>) {
    let mut event: Option<(usize, Stamp)> = None;
    let mut at = 0;
    let ends = memchr::memchr_iter(b'\n', text).chain((text.last() != Some(&b'\n')).then_some(text.len()));
    for end in ends {
        let line = text.get(at..end).unwrap_or(&[]);
        if let Some(stamp) = format.stamp(line, zone) {
            match event {
                Some((start, before)) => sink.take(start, at, before),
                // Lines before the first stamp stand at its time.
                None if at > 0 => sink.take(0, at, Stamp { end: 0, ..stamp }),
                None => {}
            }
            event = Some((at, stamp));
        }
        at = end + 1;
    }
    match event {
        Some((start, stamp)) => sink.take(start, text.len(), stamp),
        None if !text.is_empty() => sink.take(0, text.len(), Stamp { at: zone.latest().micros(), end: 0 }),
        None => {}
    }
}

/// Only the lines around what the needle finds.
fn search(text: &[u8], needle: &Needle, format: &Format, zone: &mut Zone, sink: &mut Sink<'_>) {
    // Where the last event that was looked at ended, which is where another begins.
    let mut from = 0;
    while from < text.len() {
        let Some(hit) = needle.find(text, from) else { return };
        let mut start = line_start(text, from, hit);
        let mut stamp = format.stamp(line_at(text, start), zone);
        while stamp.is_none() && start > from {
            start = line_start(text, from, start - 1);
            stamp = format.stamp(line_at(text, start), zone);
        }
        let mut end = hit;
        let next = loop {
            end = memchr::memchr(b'\n', text.get(end..).unwrap_or(&[])).map_or(text.len(), |at| end + at + 1);
            if end >= text.len() {
                break None;
            }
            if let Some(next) = format.stamp(line_at(text, end), zone) {
                break Some(next);
            }
        };
        let stamp = stamp.unwrap_or_else(|| Stamp { at: next.map_or(zone.latest().micros(), |next| next.at), end: 0 });
        sink.take(start, end, stamp);
        from = end;
    }
}

/// Where the line begins that `at` lies in; not before `floor`.
fn line_start(text: &[u8], floor: usize, at: usize) -> usize {
    memchr::memrchr(b'\n', text.get(floor..at).unwrap_or(&[])).map_or(floor, |found| floor + found + 1)
}

fn line_at(text: &[u8], start: usize) -> &[u8] {
    let rest = text.get(start..).unwrap_or(&[]);
    memchr::memchr(b'\n', rest).and_then(|end| rest.get(..end)).unwrap_or(rest)
}

/// Where events go that were found.
struct Sink<'a> {
    filter: &'a Filter,
    want: Want,
    render: Option<&'a Render>,
    format: &'a Format,
    origins: &'a Origins,
    position: u64,
    text: &'a [u8],
    batch: &'a mut Batch,
    cut: u64,
    hits: usize,
}

impl Sink<'_> {
    #[inline]
    fn take(&mut self, start: usize, end: usize, stamp: Stamp) {
        let end = if end - start > LARGEST {
            self.cut += 1;
            start + LARGEST
        } else {
            end
        };
        let position = self.position + u64::try_from(start).unwrap_or(0);
        if !self.filter.is_all() || self.want == Want::Rendered {
            let raw = self.text.get(start..end).unwrap_or(&[]);
            let raw = raw.strip_suffix(b"\n").unwrap_or(raw);
            let raw = raw.strip_suffix(b"\r").unwrap_or(raw);
            let entry = Entry::new(Time::from_micros(stamp.at), position, raw, stamp.end, self.format, self.origins);
            if !self.filter.is_all() && !self.filter.matches(&entry) {
                return;
            }
            if let (Want::Rendered, Some(render)) = (self.want, self.render) {
                let offset = self.batch.bytes.len();
                render(&entry, &mut self.batch.bytes);
                self.push(stamp.at, position, offset, self.batch.bytes.len());
                return;
            }
        }
        match self.want {
            Want::Count => self.batch.count += 1,
            Want::Raw | Want::Readable | Want::Rendered => {
                self.hits += end - start;
                self.push(stamp.at, position, start, end);
            }
        }
    }

    #[inline]
    fn push(&mut self, at: i64, position: u64, start: usize, end: usize) {
        // Chunks and events are far smaller than 4 GiB.
        if let (Ok(offset), Ok(length)) = (u32::try_from(start), u32::try_from(end - start)) {
            self.batch.found.push(Found { at, position, offset, length });
        }
    }
}
