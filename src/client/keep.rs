//! What a console has heard of a server, kept on disk: the world, the newest events, and when that was.
//!
//! One file for each server, written beside and renamed, readable by its user alone. It opens in the
//! first frame, with its age; the connection then goes on from its cursor. A file that cannot be read, is
//! of a later version or another server's is set aside (`.aside`, one of them), never believed and never
//! deleted unseen. Two consoles of one user write the same file: each writes a whole one, the last counts.

use std::fs;
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::event::Event;
use crate::model::time::Time;
use crate::model::world::World;
use crate::store::whole;
use crate::wire::{Cursor, EventBytes};

/// Events that are kept beside the world, the newest; older ones are paged in from the server.
pub const EVENTS: usize = 1_000;
/// Bytes of a file; a world of more than that is not kept.
const MOST: u64 = 128 << 20;
/// Bytes of what a file unpacks to.
const UNPACKED: u64 = 1 << 30;
/// Says what the file is, and its version: a later one is not read.
const MAGIC: &[u8; 8] = b"MWHEARD1";
const LEVEL: i32 = 1;

/// What was heard of one server, and when its last word came, by our clock.
#[derive(Clone, PartialEq, Debug)]
pub struct Kept {
    pub heard: Time,
    pub world: Arc<World>,
    /// The newest events, oldest first.
    pub events: Vec<Arc<Event>>,
}

#[derive(Serialize, Deserialize)]
struct File {
    heard: Time,
    world: Arc<World>,
    events: Vec<EventBytes>,
}

impl Kept {
    /// Where the stream goes on.
    pub fn cursor(&self) -> Cursor {
        Cursor { origin: self.world.origin, incarnation: self.world.incarnation, sequence: self.world.head, epoch: self.world.epoch }
    }
}

/// Reads what a former console kept. Nothing: there is none, or none that can be believed; what is wrong
/// with it is in the log, and it is set aside.
pub fn load(path: &Path) -> Option<Kept> {
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "what was heard before cannot be read");
            return None;
        }
    };
    match read(file) {
        Ok(kept) => Some(kept),
        Err(error) => {
            tracing::warn!(path = %path.display(), %error, "what was heard before cannot be read; it is set aside");
            set_aside(path);
            None
        }
    }
}

fn read(mut file: fs::File) -> io::Result<Kept> {
    let mut magic = [0; MAGIC.len()];
    file.read_exact(&mut magic)?;
    if magic != *MAGIC {
        return Err(io::Error::other("it is of another version, or no such file at all"));
    }
    let mut frame = BufReader::new(zstd::Decoder::new(file)?.take(UNPACKED));
    let file: File = rmp_serde::from_read(&mut frame).map_err(io::Error::other)?;
    // To the end: there stands the checksum.
    io::copy(&mut frame, &mut io::sink())?;
    let origin = file.world.origin;
    let events = file.events.iter().filter_map(|bytes| bytes.decode().ok()).filter(|event| event.id.origin == origin).map(Arc::new).collect();
    Ok(Kept { heard: file.heard, world: file.world, events })
}

/// Writes it: whole or not at all. What is there of another server is set aside first.
pub fn save(path: &Path, kept: &Kept) -> io::Result<()> {
    let events = kept.events.iter().rev().take(EVENTS).rev().filter_map(|event| EventBytes::of(event).ok()).collect();
    let kept = File { heard: kept.heard, world: kept.world.clone(), events };
    whole::replace(path, |file| write(file, &kept))
}

fn write(file: &mut fs::File, kept: &File) -> io::Result<()> {
    file.write_all(MAGIC)?;
    let mut frame = zstd::Encoder::new(&mut *file, LEVEL)?;
    frame.include_checksum(true)?;
    let mut out = BufWriter::new(frame);
    rmp_serde::encode::write_named(&mut out, kept).map_err(io::Error::other)?;
    out.into_inner().map_err(|error| error.into_error())?.finish()?;
    if file.metadata()?.len() > MOST {
        return Err(io::Error::other(format!("it is larger than {} MiB", MOST >> 20)));
    }
    Ok(())
}

/// Out of the way, for people to look at.
pub fn set_aside(path: &Path) {
    if let Err(error) = fs::rename(path, path.with_extension("aside"))
        && error.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(path = %path.display(), %error, "what was heard of another server could not be set aside");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::{Actor, Draft, LogLine};
    use crate::model::fold::fold;
    use crate::model::id::{EventId, Incarnation, Origin, Sequence};

    fn kept(count: u64) -> Kept {
        let mut world = World::new(Origin([7; 16]), Incarnation(3));
        let event = |n: u64| {
            let id = EventId { origin: world.origin, incarnation: world.incarnation, sequence: Sequence(n) };
            Arc::new(Draft::new(Time::from_secs(50), Actor::Server, LogLine {}, format!("line {n}")).stamp(id, Time::from_secs(50)))
        };
        let events: Vec<_> = (1..=count).map(event).collect();
        events.iter().for_each(|event| fold(&mut world, event));
        Kept { heard: Time::from_secs(60), world: Arc::new(world), events }
    }

    #[test]
    fn what_was_kept_is_there_again_for_its_user_alone_and_bounded() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shop");
        assert_eq!(load(&path), None);
        save(&path, &kept(20)).unwrap();
        assert_eq!(load(&path), Some(kept(20)));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        save(&path, &kept(3_000)).unwrap();
        let again = load(&path).unwrap();
        assert_eq!((again.events.len(), again.events[0].id.sequence, again.cursor().sequence), (EVENTS, Sequence(2_001), Sequence(3_000)));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn what_cannot_be_believed_is_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shop");
        save(&path, &kept(20)).unwrap();
        let whole = fs::read(&path).unwrap();
        let mut bent = whole.clone();
        let middle = bent.len() / 2;
        bent[middle] ^= 1;
        for bad in [&whole[..whole.len() - 3], &b"MWHEARD9 of a later version"[..], b"", &bent] {
            fs::write(&path, bad).unwrap();
            assert_eq!(load(&path), None);
            assert_eq!(fs::read(path.with_extension("aside")).unwrap(), bad, "it is set aside");
            assert!(!path.exists());
        }
    }
}
