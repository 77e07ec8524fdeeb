//! What was asked and not yet answered. It survives a restart, so that an acknowledgement made on a
//! train is not lost with the terminal; the request's id makes sending it twice harmless.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::model::id::RequestId;
use crate::model::intent::Request;
use crate::store::whole;

/// Requests that wait, in the order in which they were made.
pub trait Outbox: Send + 'static {
    fn put(&mut self, request: &Request) -> io::Result<()>;
    /// It was answered.
    fn remove(&mut self, id: RequestId);
    fn waiting(&self) -> Vec<Request>;
}

/// More than this is refused: somebody's script runs wild.
const MOST: usize = 10_000;

#[derive(Default, Debug)]
pub struct MemoryOutbox {
    requests: Vec<Request>,
}

impl Outbox for MemoryOutbox {
    fn put(&mut self, request: &Request) -> io::Result<()> {
        if self.requests.len() >= MOST {
            return Err(full());
        }
        if !self.requests.iter().any(|waiting| waiting.id == request.id) {
            self.requests.push(request.clone());
        }
        Ok(())
    }

    fn remove(&mut self, id: RequestId) {
        self.requests.retain(|request| request.id != id);
    }

    fn waiting(&self) -> Vec<Request> {
        self.requests.clone()
    }
}

/// One small file for each request, in a folder of its own: written beside, flushed, renamed. A file
/// that cannot be read is left where it is, for people to look at.
#[derive(Debug)]
pub struct FileOutbox {
    folder: PathBuf,
    /// By the time at which they were made, then id.
    requests: BTreeMap<(i64, RequestId), Request>,
}

impl FileOutbox {
    /// Opens the folder, making it if need be, and reads what waits there.
    pub fn open(folder: &Path) -> io::Result<FileOutbox> {
        whole::make_private(folder)?;
        let mut requests = BTreeMap::new();
        for entry in fs::read_dir(folder)?.take(MOST) {
            let path = entry?.path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            match fs::read(&path).map(|bytes| serde_json::from_slice::<Request>(&bytes)) {
                Ok(Ok(request)) => {
                    requests.insert((request.made.micros(), request.id), request);
                }
                Ok(Err(error)) => tracing::warn!(path = %path.display(), %error, "an unsent request cannot be read; it stays there"),
                Err(error) => tracing::warn!(path = %path.display(), %error, "an unsent request cannot be read"),
            }
        }
        Ok(FileOutbox { folder: folder.to_owned(), requests })
    }

    fn path(&self, id: RequestId) -> PathBuf {
        self.folder.join(format!("{id}.json"))
    }
}

impl Outbox for FileOutbox {
    fn put(&mut self, request: &Request) -> io::Result<()> {
        if self.requests.len() >= MOST {
            return Err(full());
        }
        let path = self.path(request.id);
        let text = serde_json::to_vec(request).map_err(io::Error::other)?;
        whole::replace_with(&path, &text)?;
        self.requests.insert((request.made.micros(), request.id), request.clone());
        Ok(())
    }

    fn remove(&mut self, id: RequestId) {
        if fs::remove_file(self.path(id)).is_err() && self.path(id).exists() {
            tracing::warn!(%id, "an answered request could not be taken out of the outbox; it will be sent again, to no effect");
        }
        self.requests.retain(|key, _| key.1 != id);
    }

    fn waiting(&self) -> Vec<Request> {
        self.requests.values().cloned().collect()
    }
}

fn full() -> io::Error {
    io::Error::other(format!("{MOST} requests wait for an answer already"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::intent::Intent;
    use crate::model::time::Time;

    fn request(n: u8) -> Request {
        let intent = Intent::NoteSystem { system: "shop".parse().unwrap(), text: "looked at it".into() };
        Request { id: RequestId([n; 16]), by: "kim".into(), made: Time::from_secs(100 - i64::from(n)), intent, signed: None }
    }

    #[test]
    fn what_was_not_answered_is_there_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let mut outbox = FileOutbox::open(folder.path()).unwrap();
        (1..=3).for_each(|n| outbox.put(&request(n)).unwrap());
        outbox.remove(request(2).id);
        drop(outbox);
        fs::write(folder.path().join("ff.json"), "{half").unwrap();
        let outbox = FileOutbox::open(folder.path()).unwrap();
        assert_eq!(outbox.waiting(), [request(3), request(1)], "in the order in which they were made");
    }
}
