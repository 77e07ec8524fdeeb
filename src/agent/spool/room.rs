//! What a full spool gives up, and in which order: repeats of the same status first, then the oldest changes.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use super::Spool;
use super::record::{self, HEADER};

impl Spool {
    /// Thins, then drops, the oldest segments while there is too much.
    pub(super) fn make_room(&mut self) {
        while self.bytes() > self.limit {
            let closed = self.segments.len().saturating_sub(usize::from(self.tail.is_some()));
            let next = self.segments.iter().take(closed).position(|segment| !segment.thinned);
            match next {
                Some(index) => self.thin(index),
                None if closed > 0 => self.drop_oldest(),
                None => break,
            }
        }
    }

    /// Takes the repeats out of a segment.
    fn thin(&mut self, index: usize) {
        self.handed = None;
        let Some(segment) = self.segments.get_mut(index) else { return };
        segment.thinned = true;
        let Ok(content) = std::fs::read(&segment.path) else { return };
        let (mut kept, mut gone) = (record::MAGIC.to_vec(), Vec::new());
        let mut last = None;
        for (record, _) in record::read(&content, HEADER) {
            if record.number <= self.taken {
                continue;
            }
            if record.keep {
                last = Some(record.number);
                record.write(&mut kept);
            } else {
                gone.push(record);
            }
        }
        let new = segment.path.with_extension("new");
        let path = segment.path.clone();
        let done = if last.is_some() { write_whole(&new, &kept).and_then(|()| std::fs::rename(&new, &path)) } else { std::fs::remove_file(&path) };
        if done.is_err() {
            // It stays as it is; the next round drops the oldest.
            let _ = std::fs::remove_file(&new);
            return;
        }
        if index == 0 {
            self.front = HEADER;
        }
        if let Some(last) = last {
            if let Some(segment) = self.segments.get_mut(index) {
                segment.last = last;
                segment.bytes = u64::try_from(kept.len()).unwrap_or(u64::MAX);
            }
        } else {
            self.segments.remove(index);
        }
        gone.iter().for_each(|record| self.count_lost(record));
        self.write_taken();
    }

    fn drop_oldest(&mut self) {
        self.handed = None;
        let Some(segment) = self.segments.pop_front() else { return };
        self.front = HEADER;
        let content = std::fs::read(&segment.path).unwrap_or_default();
        for (record, _) in record::read(&content, HEADER) {
            if record.number > self.taken {
                self.count_lost(&record);
            }
        }
        let _ = std::fs::remove_file(&segment.path);
        self.write_taken();
    }
}

fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_data()
}
