//! What a console keeps over a restart of the timeline: bookmarks, and the corrections of servers' clocks.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::timeline::Place;
use crate::model::id::{EventId, Incarnation, Origin, Sequence};
use crate::model::time::Time;

/// Bookmarks of one person, at most.
pub const MOST: usize = 1_000;
/// Bytes of the file that are read, at most.
const LONGEST: u64 = 1 << 20;

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Kept {
    #[serde(default)]
    pub bookmarks: Vec<Bookmark>,
    /// By the server's name: microseconds that are added to its times.
    #[serde(default)]
    pub clocks: BTreeMap<String, i64>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Bookmark {
    pub at: Time,
    pub origin: Origin,
    pub sequence: u64,
    /// As its person calls it; empty when it has no name.
    #[serde(default)]
    pub name: String,
    /// What the event said.
    #[serde(default)]
    pub title: String,
}

impl Bookmark {
    pub fn place(&self) -> Place {
        (self.at, EventId { origin: self.origin, incarnation: Incarnation(0), sequence: Sequence(self.sequence) })
    }
}

/// What was kept; nothing where there is no file yet. One that cannot be read is said, and stays as it is.
pub fn read(path: &Path) -> Result<Kept, String> {
    let mut text = String::new();
    match std::fs::File::open(path).and_then(|file| file.take(LONGEST).read_to_string(&mut text)) {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Kept::default()),
        Err(error) => return Err(format!("cannot read {}: {error}", path.display())),
    }
    let mut kept: Kept =
        serde_json::from_str(&text).map_err(|error| format!("cannot read {}: {error}; bookmarks are not kept until it is moved away", path.display()))?;
    kept.bookmarks.truncate(MOST);
    Ok(kept)
}

/// The whole file anew, in one step.
pub fn write(path: &Path, kept: &Kept) -> std::io::Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    let new = path.with_extension("new");
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    file.write_all(&serde_json::to_vec_pretty(kept)?)?;
    file.sync_all()?;
    std::fs::rename(new, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again_and_what_is_broken_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("timeline.json");
        assert_eq!(read(&path), Ok(Kept::default()));
        let bookmark = Bookmark { at: Time::from_secs(7), origin: Origin([3; 16]), sequence: 9, name: "a".into(), title: "osd.12 down".into() };
        let kept = Kept { bookmarks: vec![bookmark], clocks: [("shop".to_owned(), -2_000_000)].into() };
        write(&path, &kept).unwrap();
        write(&path, &kept).unwrap();
        assert_eq!(read(&path), Ok(kept));
        std::fs::write(&path, "{").unwrap();
        assert!(read(&path).unwrap_err().contains("timeline.json"));
    }
}
