//! Where the logs of other servers are kept: a folder of its own for each, beside the server's own log; in
//! memory for simulations.

use std::collections::{BTreeMap, HashSet};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use super::backfill::Gap;
use super::leased::KeptLease;
use crate::link::{FileOutbox, MemoryOutbox, Outbox};
use crate::model::id::{Incarnation, Origin, RequestId};
use crate::model::intent::Request;
use crate::model::peer::Relay;
use crate::model::time::Span;
use crate::store::{Log, MemoryLog, Row, SqliteLog, StoreError, whole};
use crate::wire::{Claim, EventBytes};

/// A log that is received, as it is known before its server answers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Known {
    pub origin: Origin,
    /// As its server calls itself.
    pub name: Arc<str>,
    /// The peer that it comes from, as the configuration calls it.
    pub peer: Arc<str>,
    /// Who passes it on, from the nearest on; nobody: it is the peer's own.
    #[serde(default)]
    pub through: Vec<Relay>,
    #[serde(default)]
    pub env: Option<Arc<str>>,
    pub claim_every: Span,
    /// How much of it may be passed on to other servers, and for how long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<KeptLease>,
    /// How far its server said last that it goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<Claim>,
    /// What of it was missed, and is asked for now; the first one first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<Gap>,
}

pub trait Shelf: Send + Sync + 'static {
    /// What earlier lives of this server received.
    fn known(&self) -> Vec<Known>;

    /// Opens a log, or begins it as this life.
    fn open(&self, origin: Origin, incarnation: Incarnation) -> Result<Arc<dyn Log>, StoreError>;

    fn note(&self, known: &Known) -> io::Result<()>;

    /// What was asked of a server and is not answered yet.
    fn outbox(&self, of: &str) -> io::Result<Box<dyn Outbox>>;

    /// Events of a life that their server no longer knows: out of the log, for people to look at.
    fn set_aside(&self, origin: Origin, life: Incarnation, rows: &[Row]) -> io::Result<()>;
}

/// Folders within one.
#[derive(Clone, Debug)]
pub struct FolderShelf(pub PathBuf);

/// Says whose log lies beside it.
const NOTE: &str = "peer.json";
const LARGEST_NOTE: u64 = 64 << 10;

impl FolderShelf {
    fn folder(&self, origin: Origin) -> PathBuf {
        self.0.join(origin.to_string())
    }
}

impl Shelf for FolderShelf {
    fn known(&self) -> Vec<Known> {
        // Beside them lies whose keys are known.
        let folders = std::fs::read_dir(&self.0).into_iter().flatten().filter_map(Result::ok).filter(|entry| entry.path().is_dir());
        let mut known: Vec<Known> = folders.filter_map(|folder| whole::load(&folder.path().join(NOTE), LARGEST_NOTE)).collect();
        known.sort_by_key(|known| known.origin);
        known
    }

    fn open(&self, origin: Origin, incarnation: Incarnation) -> Result<Arc<dyn Log>, StoreError> {
        let folder = self.folder(origin);
        whole::make_private(&folder).map_err(|error| StoreError::Open {
            path: folder.display().to_string(),
            why: error.to_string(),
            hint: "The server's data folder must be writable, and have room".into(),
        })?;
        Ok(Arc::new(SqliteLog::open(&folder, origin, incarnation)?))
    }

    fn note(&self, known: &Known) -> io::Result<()> {
        whole::save(&self.folder(known.origin).join(NOTE), known)
    }

    fn outbox(&self, of: &str) -> io::Result<Box<dyn Outbox>> {
        Ok(Box::new(FileOutbox::open(&self.0.join("outbox").join(whole::file_name(of)))?))
    }

    fn set_aside(&self, origin: Origin, life: Incarnation, rows: &[Row]) -> io::Result<()> {
        let path = self.folder(origin).join(format!("gone-{}.jsonl", life.0));
        // Whoever was killed before the log was cut comes again with the same.
        let before = if path.exists() { std::fs::read(&path)? } else { Vec::new() };
        let known: HashSet<&[u8]> = before.split(|byte| *byte == b'\n').collect();
        let file = std::fs::OpenOptions::new().create(true).append(true).open(path)?;
        let mut out = io::BufWriter::new(file);
        if !before.is_empty() && !before.ends_with(b"\n") {
            out.write_all(b"\n")?;
        }
        for row in rows {
            if let Ok(event) = EventBytes(row.bytes.clone()).decode() {
                let line = serde_json::to_vec(&event)?;
                if !known.contains(&*line) {
                    out.write_all(&line)?;
                    out.write_all(b"\n")?;
                }
            }
        }
        out.into_inner().map_err(|error| error.into_error())?.sync_all()
    }
}

/// In memory, shared by its clones, so that a server that is started anew finds what the last one left.
#[derive(Clone, Default)]
pub struct MemoryShelf(Arc<Mutex<Kept>>);

#[derive(Default)]
struct Kept {
    logs: BTreeMap<Origin, MemoryLog>,
    known: BTreeMap<Origin, Known>,
    outboxes: BTreeMap<String, SharedOutbox>,
    gone: Vec<Row>,
}

impl MemoryShelf {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The log of that server, as it was received.
    pub fn log(&self, origin: Origin) -> Option<MemoryLog> {
        self.kept().logs.get(&origin).cloned()
    }

    /// The process dies: what was not durable is forgotten.
    pub fn crash(&self) {
        self.kept().logs.values().for_each(MemoryLog::crash);
    }

    /// All that was set aside.
    pub fn gone(&self) -> Vec<Row> {
        self.kept().gone.clone()
    }
}

impl Shelf for MemoryShelf {
    fn known(&self) -> Vec<Known> {
        self.kept().known.values().cloned().collect()
    }

    fn open(&self, origin: Origin, incarnation: Incarnation) -> Result<Arc<dyn Log>, StoreError> {
        let log = self.kept().logs.entry(origin).or_insert_with(|| MemoryLog::new(origin, incarnation)).clone();
        Ok(Arc::new(log))
    }

    fn note(&self, known: &Known) -> io::Result<()> {
        self.kept().known.insert(known.origin, known.clone());
        Ok(())
    }

    fn outbox(&self, of: &str) -> io::Result<Box<dyn Outbox>> {
        Ok(Box::new(self.kept().outboxes.entry(of.to_owned()).or_default().clone()))
    }

    fn set_aside(&self, _origin: Origin, _life: Incarnation, rows: &[Row]) -> io::Result<()> {
        self.kept().gone.extend(rows.iter().cloned());
        Ok(())
    }
}

#[derive(Clone, Default)]
struct SharedOutbox(Arc<Mutex<MemoryOutbox>>);

impl SharedOutbox {
    fn of(&self) -> MutexGuard<'_, MemoryOutbox> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Outbox for SharedOutbox {
    fn put(&mut self, request: &Request) -> io::Result<()> {
        self.of().put(request)
    }

    fn remove(&mut self, id: RequestId) {
        self.of().remove(id);
    }

    fn waiting(&self) -> Vec<Request> {
        self.of().waiting()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::rows::{origin, rows};

    #[test]
    fn what_is_set_aside_twice_is_there_once_and_half_a_line_spoils_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let shelf = FolderShelf(folder.path().into());
        std::fs::create_dir(shelf.folder(origin())).unwrap();
        let (life, path) = (Incarnation(7), shelf.folder(origin()).join("gone-7.jsonl"));
        shelf.set_aside(origin(), life, &rows(1..=3)).unwrap();
        let whole = std::fs::read_to_string(&path).unwrap();
        shelf.set_aside(origin(), life, &rows(1..=3)).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), whole);
        // Killed in the middle of a line: it comes again, whole.
        std::fs::write(&path, &whole.as_bytes()[..whole.len() - 20]).unwrap();
        shelf.set_aside(origin(), life, &rows(1..=4)).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let read: Vec<u64> =
            text.lines().filter_map(|line| serde_json::from_str::<crate::model::event::Event>(line).ok()).map(|event| event.id.sequence.0).collect();
        assert_eq!((read, text.lines().count()), (vec![1, 2, 3, 4], 5));
    }
}
