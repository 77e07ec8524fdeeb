//! A person's read marks at this console: on disk here, and at their home server, which tells them to the
//! person's other consoles.
//!
//! Home is one server for each person, so that all of their consoles meet there. While it is away, or too old
//! to keep marks, they are kept here alone, and said on return: whatever the order, merging ends with the same.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::replica::Update;
use super::servers::{ServerIndex, ServersHandle};
use crate::model::mark::Marks;
use crate::model::time::Time;
use crate::store::whole;

/// Bytes of the file.
const LARGEST: u64 = 256 << 10;

/// What this console knows of how far its person has looked.
#[derive(Debug, Default)]
pub struct ReadMarks {
    path: Option<PathBuf>,
    home: Option<ServerIndex>,
    /// Home is there, and keeps marks.
    reached: bool,
    marks: Marks,
}

/// What home said, merged with what was known.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Heard {
    pub marks: Marks,
    /// What of ours was not believed there, in words not yet cleaned.
    pub remark: Option<String>,
    /// It is new here: to be written.
    pub save: Option<Save>,
}

/// What is to be written on this machine's disk: by whoever may wait for one.
#[must_use]
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Save {
    path: PathBuf,
    marks: Marks,
}

impl Save {
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whole, with what another console has written here meanwhile; gives all that the file holds now.
    pub fn write(mut self) -> io::Result<Marks> {
        let _lock = lock(&self.path)?;
        if let Some(there) = whole::load::<Marks>(&self.path, LARGEST) {
            self.marks.merge(&there);
        }
        whole::save(&self.path, &self.marks)?;
        Ok(self.marks)
    }
}

impl ReadMarks {
    /// What former consoles of this person kept here; without a path nothing is kept.
    pub fn open(path: Option<PathBuf>, home: Option<ServerIndex>, now: Time) -> ReadMarks {
        let kept: Marks = path.as_deref().and_then(|path| whole::load(path, LARGEST)).unwrap_or_default();
        ReadMarks { path, home, reached: false, marks: kept.believed(now).0 }
    }

    pub fn marks(&self) -> &Marks {
        &self.marks
    }

    /// The home server, while it is there and keeps marks.
    pub fn reached(&self) -> Option<ServerIndex> {
        self.home.filter(|_| self.reached)
    }

    /// The person has looked so far: to be kept here, and said to home.
    #[must_use = "what was seen is to be written"]
    pub fn look(&mut self, looked: &Marks, servers: Option<&ServersHandle>) -> Option<Save> {
        self.marks.merge(looked);
        self.tell(servers);
        self.save()
    }

    /// What the file holds, in which other consoles of this machine write too.
    pub fn learn(&mut self, written: &Marks, servers: Option<&ServersHandle>) {
        let before = self.marks.clone();
        self.marks.merge(written);
        if self.marks != before {
            self.tell(servers);
        }
    }

    /// Every update of every server passes here.
    pub fn hear(&mut self, server: ServerIndex, update: &Update, servers: Option<&ServersHandle>, now: Time) -> Option<Heard> {
        if Some(server) != self.home {
            return None;
        }
        match update {
            Update::Connected(welcome) => {
                self.reached = welcome.keeps_marks;
                self.tell(servers);
            }
            Update::Disconnected { .. } => self.reached = false,
            Update::Marks(kept) => {
                let before = self.marks.clone();
                self.marks.merge(&kept.marks.believed(now).0);
                let save = if self.marks == before { None } else { self.save() };
                let remark = kept.remark.as_ref().map(|words| words.to_string());
                return Some(Heard { marks: self.marks.clone(), remark, save });
            }
            _ => {}
        }
        None
    }

    /// What cannot be sent now is sent with the next look, or on return: all is said each time.
    fn tell(&self, servers: Option<&ServersHandle>) {
        if let (true, Some(home), Some(servers)) = (self.reached, self.home, servers) {
            let _ = servers.read_marks(home, &self.marks);
        }
    }

    fn save(&self) -> Option<Save> {
        self.path.clone().map(|path| Save { path, marks: self.marks.clone() })
    }
}

/// Two consoles on one machine take turns; the kernel releases it however a process ends.
fn lock(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        whole::make_private(folder)?;
    }
    let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path.with_extension("lock"))?;
    file.lock()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::{Incarnation, Origin, Sequence};
    use crate::model::mark::{Mark, Stamp};
    use crate::model::time::Span;

    const NOW: Time = Time::from_secs(1_790_000_000);

    fn seen(origin: u8, sequence: u64) -> Marks {
        [(Origin([origin; 16]), Mark { incarnation: Incarnation(1), sequence: Sequence(sequence), looked: Stamp { at: NOW, count: 0 } })].into_iter().collect()
    }

    fn look(reading: &mut ReadMarks, marks: &Marks) {
        let written = reading.look(marks, None).unwrap().write().unwrap();
        reading.learn(&written, None);
    }

    #[test]
    fn consoles_on_one_machine_take_nothing_from_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("marks/kim.json");
        let open = || ReadMarks::open(Some(path.clone()), None, NOW);
        let (mut one, mut other) = (open(), open());
        look(&mut one, &seen(1, 9));
        look(&mut other, &seen(1, 7));
        look(&mut other, &seen(2, 3));
        let mut both = seen(1, 9);
        both.merge(&seen(2, 3));
        assert_eq!((other.marks(), open().marks()), (&both, &both));
        std::thread::scope(|scope| {
            for origin in 3..9 {
                let open = &open;
                scope.spawn(move || (1..20).for_each(|sequence| look(&mut open(), &seen(origin, sequence))));
            }
        });
        (3..9).for_each(|origin| both.merge(&seen(origin, 19)));
        assert_eq!(open().marks(), &both);
    }

    #[test]
    fn a_file_from_the_future_does_not_hide_what_comes_until_then() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kim.json");
        look(&mut ReadMarks::open(Some(path.clone()), None, NOW), &seen(1, 9));
        let earlier = NOW.minus(Span::from_days(3));
        assert_eq!(ReadMarks::open(Some(path), None, earlier).marks().last(), Some(Stamp { at: earlier, count: 0 }));
    }
}
