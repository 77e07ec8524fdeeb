//! What the server has not taken yet, on disk, so that nothing is lost while it is away.
//!
//! **Shape.** A folder of segments, `0000000000000001.seg` and so on by the number of their first record, and a small file
//! `taken` that says how far the server has come. Records are only ever added at the end of the last segment; a segment
//! that the server has taken whole is deleted. Each record bears its length and checksum, so that a torn end, from a kill
//! or a power cut in the middle of a write, is seen and cut off, and costs only what was never complete.
//!
//! **Durability.** A record is written at once, which survives the end of the process, however it ends. It is synced
//! to the disk when it has waited for its server for a second (the agent calls [`Spool::sync`]); with a server that answers,
//! it is there by then. So a power cut costs a second of results at most, and a healthy agent wears no flash memory.
//! After a failed sync the segment is closed, the failure is said until the agent is restarted, and nothing is synced a
//! second time as if nothing had been (P11).
//!
//! **When it is full** (by its own limit), what says nothing new goes first: in the oldest segments, results that repeat
//! the status before them are taken out. Only when no such repeats are left go the oldest changes. What was taken
//! out is counted, and said to the server. While the disk itself is full, results wait in memory and
//! are written when there is room again (P12).
//!
//! **Order.** What comes out is in the order in which it came in, always: the server makes events of changes, so that an
//! old result after a newer one would be a change that never was.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::model::id::CheckId;
use crate::model::observation::Observation;
use crate::model::severity::Status;
use crate::model::time::Time;

mod record;
mod room;
mod taken;
#[cfg(test)]
mod tests;

use record::{HEADER, Record};

/// Records that wait in memory at most, while the disk takes nothing.
const IN_MEMORY: usize = 20_000;

/// Why a spool cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    #[error("another agent uses {0}: stop it, or give this one a `data` folder of its own")]
    InUse(PathBuf),
    #[error("the spool in {0} cannot be used: {1}. The agent's user must be able to write there")]
    Unusable(PathBuf, io::Error),
}

/// What had to go, since it was last said.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Lost {
    /// Results that repeated the status before them.
    pub repeats: u64,
    /// Changes of status, and bytes on disk that were damaged count as one each.
    pub changes: u64,
    /// When the first and the last of the lost changes were.
    pub between: Option<(Time, Time)>,
}

impl Lost {
    fn change(&mut self, at: Time) {
        self.changes = self.changes.saturating_add(1);
        let (from, to) = self.between.unwrap_or((at, at));
        self.between = Some((from.min(at), to.max(at)));
    }
}

/// A segment on disk.
#[derive(Debug)]
struct Segment {
    path: PathBuf,
    /// The numbers of its first and last record.
    first: u64,
    last: u64,
    bytes: u64,
    /// Holds changes alone.
    thinned: bool,
}

/// The end that is written to.
struct Tail {
    file: File,
    unsynced: bool,
}

#[cfg(test)]
type Faults = Box<dyn FnMut(&str) -> io::Result<()> + Send>;

pub struct Spool {
    folder: Option<PathBuf>,
    /// Held as long as the spool lives.
    _lock: Option<File>,
    limit: u64,
    segments: VecDeque<Segment>,
    tail: Option<Tail>,
    /// What could not be written yet; its numbers follow those on disk.
    waiting: VecDeque<Record>,
    taken: u64,
    next: u64,
    /// Where in the first segment the first record lies that is not taken.
    front: u64,
    /// The last record that was handed out from disk: its number, its segment's first number and where it ends there.
    handed: Option<(u64, u64, u64)>,
    runs: BTreeMap<CheckId, (Status, u32)>,
    newest: Time,
    lost: Lost,
    trouble: Option<String>,
    sync_failed: bool,
    /// While opening: the segment before this one ended in something that is no record.
    cut: bool,
    /// Fails writes and syncs on demand, before they happen.
    #[cfg(test)]
    faults: Option<Faults>,
}

impl Spool {
    /// One that keeps everything in memory: for simulations, and for machines whose disk is read-only.
    pub fn in_memory() -> Spool {
        Spool {
            folder: None,
            _lock: None,
            limit: u64::MAX,
            segments: VecDeque::new(),
            tail: None,
            waiting: VecDeque::new(),
            taken: 0,
            next: 1,
            front: HEADER,
            handed: None,
            runs: BTreeMap::new(),
            newest: Time::MIN,
            lost: Lost::default(),
            trouble: None,
            sync_failed: false,
            cut: false,
            #[cfg(test)]
            faults: None,
        }
    }

    /// One in memory where there should be one on disk, and why.
    pub fn in_memory_because(why: &SpoolError) -> Spool {
        let mut spool = Spool::in_memory();
        spool.trouble = Some(format!("{why}; results are kept in memory, and lost when the agent ends"));
        spool
    }

    /// Opens, or begins, the spool of a folder. What lies there whole is kept, a torn end is cut off.
    pub fn open(folder: &Path, limit: u64) -> Result<Spool, SpoolError> {
        let unusable = |error: io::Error| SpoolError::Unusable(folder.to_owned(), error);
        std::fs::create_dir_all(folder).map_err(unusable)?;
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(folder.join("lock")).map_err(unusable)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => return Err(SpoolError::InUse(folder.to_owned())),
            Err(std::fs::TryLockError::Error(error)) => return Err(unusable(error)),
        }
        let mut spool = Spool::in_memory();
        spool.folder = Some(folder.to_owned());
        spool._lock = Some(lock);
        spool.limit = limit.max(256 * 1_024);
        spool.read_taken(folder);
        let mut paths: Vec<(u64, PathBuf)> = Vec::new();
        for entry in std::fs::read_dir(folder).map_err(unusable)? {
            let path = entry.map_err(unusable)?.path();
            let number = path.file_stem().and_then(|stem| stem.to_str()).and_then(|stem| stem.parse::<u64>().ok());
            match (number, path.extension().and_then(|e| e.to_str())) {
                (Some(first), Some("seg")) => paths.push((first, path)),
                // Left from a thinning that was cut short; the original is still there.
                (_, Some("new")) => drop(std::fs::remove_file(&path)),
                _ => {}
            }
        }
        paths.sort();
        for (first, path) in paths {
            spool.adopt(first, path).map_err(unusable)?;
        }
        spool.next = spool.segments.back().map_or(0, |s| s.last).max(spool.taken).max(spool.next.saturating_sub(1)).saturating_add(1);
        spool.drop_taken();
        Ok(spool)
    }

    /// Takes in a segment that was there. Every run begins a segment of its own, so that none is written to twice.
    fn adopt(&mut self, first: u64, path: PathBuf) -> io::Result<()> {
        let bytes = std::fs::read(&path)?;
        let mut last = None;
        let mut end = 0;
        for (record, to) in record::read(&bytes, HEADER) {
            self.note(&record.observation);
            last = Some(record.number);
            end = to;
        }
        let whole = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        if self.cut {
            // The segment before was cut, and more came after it: that was no torn end but damage.
            let before = self.segments.back().map_or(0, |segment| segment.last);
            self.lost.changes = self.lost.changes.saturating_add(first.saturating_sub(before.max(self.taken).saturating_add(1)));
        }
        self.cut = end.max(HEADER) < whole;
        let Some(last) = last else {
            // Not one whole record: it broke off at its very beginning.
            return std::fs::remove_file(&path);
        };
        if end < whole {
            OpenOptions::new().write(true).open(&path)?.set_len(end)?;
        }
        self.segments.push_back(Segment { path, first, last, bytes: end, thinned: false });
        Ok(())
    }

    /// Keeps an observation. Never fails: what the disk does not take waits in memory.
    pub fn append(&mut self, observation: Observation) {
        self.append_all(std::iter::once(observation));
    }

    pub fn append_all(&mut self, observations: impl IntoIterator<Item = Observation>) {
        for observation in observations {
            let keep = self.note(&observation);
            let record = Record { number: self.next, keep, observation };
            self.next = self.next.saturating_add(1);
            self.waiting.push_back(record);
        }
        self.write();
        while self.waiting.len() > IN_MEMORY {
            let place = self.waiting.iter().position(|record| !record.keep).unwrap_or(0);
            if let Some(record) = self.waiting.remove(place) {
                self.count_lost(&record);
            }
        }
    }

    /// Tries again to write what waits in memory. Whether all is written.
    pub fn write(&mut self) -> bool {
        if self.folder.is_none() {
            return true;
        }
        while !self.waiting.is_empty() {
            if let Err(error) = self.write_some() {
                let words = match error.kind() {
                    io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "the disk is full: make room".to_owned(),
                    io::ErrorKind::ReadOnlyFilesystem => "the disk is read-only: look for its errors with dmesg".to_owned(),
                    _ => error.to_string(),
                };
                self.trouble = Some(format!("the spool cannot be written ({words}); results wait in memory"));
                return false;
            }
        }
        if !self.sync_failed {
            self.trouble = None;
        }
        self.make_room();
        true
    }

    /// Writes waiting records to the tail, as one write.
    fn write_some(&mut self) -> io::Result<()> {
        let segment_size = self.segment_size();
        if self.tail.is_some() && self.segments.back().is_none_or(|segment| segment.bytes >= segment_size) {
            self.close_tail();
        }
        let Some(first) = self.waiting.front().map(|record| record.number) else { return Ok(()) };
        if self.tail.is_none() {
            self.begin_tail(first)?;
        }
        let mut bytes = Vec::new();
        let mut count = 0;
        let mut last = first;
        for record in &self.waiting {
            record.write(&mut bytes);
            count += 1;
            last = record.number;
            if u64::try_from(bytes.len()).unwrap_or(u64::MAX) >= segment_size {
                break;
            }
        }
        let before = self.segments.back().map_or(HEADER, |segment| segment.bytes);
        if let Err(error) = self.write_bytes(&bytes) {
            // Whatever part of it got there is taken back; if even that fails, the file is left to the next start to cut.
            let taken_back = self.tail.as_mut().is_some_and(|tail| tail.file.set_len(before).is_ok() && tail.file.seek(SeekFrom::Start(before)).is_ok());
            if !taken_back {
                self.close_tail();
            }
            return Err(error);
        }
        self.waiting.drain(..count);
        if let Some(segment) = self.segments.back_mut() {
            segment.last = last;
            segment.bytes = before.saturating_add(u64::try_from(bytes.len()).unwrap_or(0));
        }
        Ok(())
    }

    fn begin_tail(&mut self, first: u64) -> io::Result<()> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let path = folder.join(format!("{first:016}.seg"));
        self.fault("write")?;
        let mut file = OpenOptions::new().create(true).truncate(true).write(true).open(&path)?;
        if let Err(error) = file.write_all(record::MAGIC) {
            let _ = std::fs::remove_file(&path);
            return Err(error);
        }
        self.tail = Some(Tail { file, unsynced: true });
        self.segments.push_back(Segment { path, first, last: first.saturating_sub(1), bytes: HEADER, thinned: false });
        Ok(())
    }

    fn write_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        let fault = self.fault("write");
        let Some(tail) = &mut self.tail else { return Err(io::ErrorKind::NotFound.into()) };
        if let Err(error) = fault {
            tail.file.write_all(bytes.get(..bytes.len() / 2).unwrap_or_default())?;
            return Err(error);
        }
        tail.unsynced = true;
        tail.file.write_all(bytes)
    }

    /// Makes what was written survive a power cut, if there is anything that the server has not taken.
    pub fn sync(&mut self) {
        if self.is_empty() {
            return;
        }
        let fault = self.fault("sync");
        let Some(tail) = &mut self.tail else { return };
        if !tail.unsynced {
            return;
        }
        tail.unsynced = false;
        if let Err(error) = fault.and_then(|()| tail.file.sync_data()) {
            // The kernel may have dropped what it could not write; only a new file can be trusted from here on.
            self.close_tail();
            self.sync_failed = true;
            self.trouble = Some(format!("the spool's disk failed to keep what was written ({error}): look for its errors with dmesg, then restart the agent"));
        }
    }

    /// The oldest observations that the server has not taken: at most so many, and some so many bytes; at least one,
    /// if there is one. The number is that of the last of them, for [`Spool::took`].
    pub fn oldest(&mut self, most: usize, bytes: u64) -> Option<(u64, Vec<Observation>)> {
        let mut out = Vec::new();
        let mut number = self.taken;
        let mut size = 0_u64;
        let mut damaged: Vec<usize> = Vec::new();
        self.handed = None;
        'segments: for (index, segment) in self.segments.iter().enumerate() {
            if segment.last <= self.taken {
                continue;
            }
            let from = if index == 0 { self.front } else { HEADER };
            let content = match read_from(segment, from) {
                Ok(content) => content,
                Err(_) => {
                    damaged.push(index);
                    continue;
                }
            };
            let (mut reached, mut start) = (number, 0);
            for (record, end) in record::read(&content, 0) {
                reached = record.number;
                let length = end.saturating_sub(start);
                start = end;
                if record.number <= self.taken {
                    continue;
                }
                number = record.number;
                size = size.saturating_add(length);
                self.handed = Some((number, segment.first, from.saturating_add(end)));
                out.push(record.observation);
                if out.len() >= most || size >= bytes {
                    break 'segments;
                }
            }
            if reached < segment.last {
                damaged.push(index);
            }
        }
        for index in damaged.into_iter().rev() {
            self.give_up(index, number);
        }
        let on_disk = self.segments.back().map_or(0, |segment| segment.last);
        if number >= on_disk || out.is_empty() {
            let from = number;
            for record in self.waiting.iter().filter(|record| record.number > from) {
                if out.len() >= most || size >= bytes {
                    break;
                }
                size = size.saturating_add(record.size());
                number = record.number;
                out.push(record.observation.clone());
            }
        }
        if out.is_empty() {
            // What is not here any more was counted as lost.
            self.taken = self.next.saturating_sub(1);
            return None;
        }
        Some((number, out))
    }

    /// A segment that can no longer be read whole, beyond `reached`: counted as lost, and out of the way.
    fn give_up(&mut self, index: usize, reached: u64) {
        if index + 1 == self.segments.len() {
            self.tail = None;
        }
        if let Some(segment) = self.segments.get_mut(index) {
            let whole = reached.max(self.taken).max(segment.first.saturating_sub(1));
            self.lost.changes = self.lost.changes.saturating_add(segment.last.saturating_sub(whole));
            segment.last = if reached < segment.first { 0 } else { reached };
        }
    }

    /// The server has taken everything up to this number.
    pub fn took(&mut self, number: u64) {
        if number <= self.taken {
            return;
        }
        self.taken = number.min(self.next.saturating_sub(1));
        while self.waiting.front().is_some_and(|record| record.number <= self.taken) {
            self.waiting.pop_front();
        }
        self.drop_taken();
        if let Some((handed, first, end)) = self.handed.take()
            && handed == self.taken
            && self.segments.front().is_some_and(|segment| segment.first == first)
        {
            self.front = end;
        }
        self.write_taken();
    }

    fn drop_taken(&mut self) {
        while let Some(segment) = self.segments.front() {
            let is_tail = self.segments.len() == 1 && self.tail.is_some();
            // A short tail stays: it will be written on.
            if segment.last > self.taken || (is_tail && segment.bytes < 64 * 1_024) {
                break;
            }
            if is_tail {
                self.tail = None;
            }
            let _ = std::fs::remove_file(&segment.path);
            self.segments.pop_front();
            self.front = HEADER;
        }
    }

    /// Whether the server has taken everything.
    pub fn is_empty(&self) -> bool {
        self.backlog() == 0
    }

    /// How many records the server has not taken, thinned ones counted too.
    pub fn backlog(&self) -> u64 {
        self.next.saturating_sub(1).saturating_sub(self.taken)
    }

    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    /// The time of the newest observation that ever came in, over restarts too.
    pub fn newest(&self) -> Time {
        self.newest
    }

    /// What is wrong with the disk, in words.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    pub fn lost(&self) -> Lost {
        self.lost
    }

    /// What was lost has been said, in an observation that lies here itself.
    pub fn lost_is_said(&mut self, said: Lost) {
        self.lost.repeats = self.lost.repeats.saturating_sub(said.repeats);
        self.lost.changes = self.lost.changes.saturating_sub(said.changes);
        if self.lost.changes == 0 {
            self.lost.between = None;
        }
        self.write_taken();
    }

    pub fn is_in_memory(&self) -> bool {
        self.folder.is_none()
    }

    /// Counts how often in a row a check said the same; whether this one must be kept: a change, or one of the
    /// repetitions that make a bad state count.
    fn note(&mut self, observation: &Observation) -> bool {
        self.newest = self.newest.max(observation.at);
        let run = self.runs.entry(observation.check.clone()).or_insert((observation.status, 0));
        *run = if run.0 == observation.status { (run.0, run.1.saturating_add(1)) } else { (observation.status, 1) };
        run.1 == 1 || (!observation.status.is_ok() && run.1 <= observation.attempts)
    }

    fn count_lost(&mut self, record: &Record) {
        if record.keep {
            self.lost.change(record.observation.at);
        } else {
            self.lost.repeats = self.lost.repeats.saturating_add(1);
        }
    }

    fn segment_size(&self) -> u64 {
        (self.limit / 32).clamp(16 * 1_024, 1 << 20)
    }

    fn close_tail(&mut self) {
        if let Some(tail) = self.tail.take()
            && tail.unsynced
        {
            let fault = self.fault("sync");
            if let Err(error) = fault.and_then(|()| tail.file.sync_data()) {
                self.sync_failed = true;
                self.trouble =
                    Some(format!("the spool's disk failed to keep what was written ({error}): look for its errors with dmesg, then restart the agent"));
            }
        }
        if self.segments.back().is_some_and(|segment| segment.last < segment.first)
            && let Some(empty) = self.segments.pop_back()
        {
            let _ = std::fs::remove_file(&empty.path);
        }
    }

    #[cfg(test)]
    fn fault(&mut self, what: &str) -> io::Result<()> {
        self.faults.as_mut().map_or(Ok(()), |faults| faults(what))
    }

    #[cfg(not(test))]
    fn fault(&mut self, _: &str) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        self.write();
        self.sync();
        self.write_taken();
    }
}

fn read_from(segment: &Segment, from: u64) -> io::Result<Vec<u8>> {
    let mut file = File::open(&segment.path)?;
    file.seek(SeekFrom::Start(from))?;
    let mut content = Vec::new();
    file.take(segment.bytes.saturating_sub(from)).read_to_end(&mut content)?;
    Ok(content)
}
