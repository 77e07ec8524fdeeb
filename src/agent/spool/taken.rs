//! The file `taken`: how far the server has come, and what is to be said of losses, as one line with its checksum.

use std::path::Path;

use super::{Lost, Spool, record};
use crate::model::time::Time;

impl Spool {
    /// Not synced: an older word costs only repetitions, which the server knows by their time.
    pub(super) fn write_taken(&mut self) {
        let Some(folder) = &self.folder else { return };
        let (from, to) = self.lost.between.unwrap_or((Time::MIN, Time::MIN));
        let words =
            format!("{} {} {} {} {} {} {}", self.taken, self.next, self.newest.micros(), self.lost.repeats, self.lost.changes, from.micros(), to.micros());
        let text = format!("{words} {:08x}\n", record::checksum(words.as_bytes()));
        let new = folder.join("taken.new");
        let _ = std::fs::write(&new, text).and_then(|()| std::fs::rename(&new, folder.join("taken")));
    }

    pub(super) fn read_taken(&mut self, folder: &Path) {
        let Ok(text) = std::fs::read_to_string(folder.join("taken")) else { return };
        let Some((words, sum)) = text.trim_end().rsplit_once(' ') else { return };
        if u32::from_str_radix(sum, 16) != Ok(record::checksum(words.as_bytes())) {
            return;
        }
        let numbers: Vec<i64> = words.split(' ').filter_map(|word| word.parse().ok()).collect();
        let [taken, next, newest, repeats, changes, from, to] = numbers.as_slice() else { return };
        self.taken = taken.unsigned_abs();
        self.next = next.unsigned_abs();
        self.newest = Time::from_micros(*newest);
        let between = (*changes > 0).then_some((Time::from_micros(*from), Time::from_micros(*to)));
        self.lost = Lost { repeats: repeats.unsigned_abs(), changes: changes.unsigned_abs(), between };
    }
}
