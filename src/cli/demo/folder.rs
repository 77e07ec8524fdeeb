//! The demo's folder: made anew, gone with the demo; and what killed demos left is taken away by the next.
//!
//! A demo holds a lock in its folder, which the system lets go when the process ends, however that is. Who
//! can take the lock may remove the folder.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::cli::Failure;
use crate::link::{OsRandom, Random};
use crate::store::whole;

const PREFIX: &str = "midwatch-demo-";
const LOCK: &str = "lock";

pub struct Folder {
    path: PathBuf,
    _lock: File,
}

impl Folder {
    /// One that nobody else has, in `place`; leftovers there are removed.
    pub fn new(place: &Path) -> Result<Folder, Failure> {
        sweep(place);
        // Another demo that starts now may take the folder for a leftover between these two steps: then a new one.
        for _ in 0..10 {
            // Short: a socket's path has 108 bytes at most.
            let path = place.join(format!("{PREFIX}{:08x}", OsRandom.below(1 << 32)));
            let failed =
                |error: std::io::Error| Failure::failed(format!("cannot make the folder {}: {error}", path.display()), "Name another place with TMPDIR");
            whole::make_private(&path).map_err(failed)?;
            let Ok(lock) = File::create(path.join(LOCK)) else { continue };
            if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() && path.join(LOCK).exists() {
                return Ok(Folder { path, _lock: lock });
            }
        }
        Err(Failure::failed(format!("cannot keep a folder in {}", place.display()), "Name another place with TMPDIR"))
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.path) {
            tracing::debug!(%error, folder = %self.path.display(), "the demo's folder stays");
        }
    }
}

/// Removes our own demos' folders whose process is gone.
fn sweep(place: &Path) {
    let ours = rustix::process::geteuid().as_raw();
    for entry in std::fs::read_dir(place).into_iter().flatten().flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        // Not through symbolic links, which others may put into a shared place.
        let folder = std::fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_dir() && meta.uid() == ours);
        if !folder || !name.to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        let Ok(lock) = File::open(path.join(LOCK)) else { continue };
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() {
            match std::fs::remove_dir_all(&path) {
                Ok(()) => tracing::info!(folder = %path.display(), "removed what a demo left that was killed"),
                Err(error) => tracing::debug!(%error, folder = %path.display(), "a leftover of a demo stays"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_nobody_holds_any_more_is_removed() {
        let place = tempfile::tempdir().unwrap();
        let alive = Folder::new(place.path()).unwrap();
        // A killed demo's: the lock is there, and nobody holds it.
        let left = place.path().join("midwatch-demo-0badcafe");
        std::fs::create_dir_all(left.join("infra")).unwrap();
        std::fs::write(left.join(LOCK), "").unwrap();
        // None of ours: no lock, another name, a link to elsewhere.
        let strange = place.path().join("midwatch-demo-strange");
        std::fs::create_dir(&strange).unwrap();
        let other = place.path().join("other");
        std::fs::create_dir(&other).unwrap();
        std::fs::write(other.join(LOCK), "").unwrap();
        std::os::unix::fs::symlink(&other, place.path().join("midwatch-demo-link")).unwrap();
        let next = Folder::new(place.path()).unwrap();
        assert!(!left.exists());
        assert!(alive.path().exists() && next.path().exists() && strange.exists() && other.join(LOCK).exists());
        let gone = next.path().to_owned();
        drop(next);
        assert!(!gone.exists() && alive.path().exists());
    }
}
