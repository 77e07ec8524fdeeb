//! What SQLite's errors mean for a log.
//!
//! The question after every failed write is whether anybody knows what is on the disk. A full or
//! read-only disk: yes, the transaction is not there, and the next may work. A failed fsync: no. The
//! kernel may have dropped the pages and will call the next fsync a success ("fsyncgate", 2018), so
//! that trying again would acknowledge what is lost.

use std::io::Write;
use std::path::Path;

use rusqlite::ffi;

use crate::store::StoreError;

pub(super) const DAMAGED_HINT: &str = "Stop the server, keep a copy of the folder, and restore the newest backup with `midwatch restore`";
const ROOM_HINT: &str = "Make room there; midwatch goes on by itself as soon as it can write again";
const SHUT_HINT: &str = "Nothing more is taken until then: look at the disk (`dmesg`), then start the server anew. What was acknowledged before is kept";

/// What a failed write means.
pub(super) fn writing(file: &Path, error: &rusqlite::Error) -> StoreError {
    let path = file.display().to_string();
    let (primary, extended) = codes(error);
    match (primary, extended) {
        (ffi::SQLITE_FULL, _) => StoreError::Write { path, why: "the disk is full".into(), hint: ROOM_HINT.into() },
        (ffi::SQLITE_READONLY, _) => StoreError::Write { path, why: "it is read-only".into(), hint: ROOM_HINT.into() },
        (ffi::SQLITE_BUSY | ffi::SQLITE_LOCKED, _) => {
            StoreError::Write { path, why: "another program has it locked".into(), hint: "Close whatever has the file open".into() }
        }
        (ffi::SQLITE_CORRUPT | ffi::SQLITE_NOTADB, _) => StoreError::Damaged { path, why: words(error), hint: DAMAGED_HINT.into() },
        // A quota, and a file system that became read-only, come out as a plain failed write. Before the
        // fsync a failed write leaves nothing behind, so that it is enough to know whether that is why.
        (_, ffi::SQLITE_IOERR_WRITE | ffi::SQLITE_IOERR_SHMMAP | ffi::SQLITE_IOERR_SHMOPEN) => match no_room(file) {
            Some(why) => StoreError::Write { path, why, hint: ROOM_HINT.into() },
            None => StoreError::Shut { path, why: words(error), hint: SHUT_HINT.into() },
        },
        // What could not grow is the list of the write-ahead log's pages, which SQLite makes anew from the log:
        // no data, whatever the reason, even when there is room again by now.
        (_, ffi::SQLITE_IOERR_SHMSIZE) => {
            let why = no_room(file).unwrap_or_else(|| "there was no room for its index: the disk is full, or was a moment ago".into());
            StoreError::Write { path, why, hint: ROOM_HINT.into() }
        }
        (_, ffi::SQLITE_IOERR_FSYNC | ffi::SQLITE_IOERR_DIR_FSYNC) => {
            StoreError::Shut { path, why: "the disk did not confirm a write (fsync failed), so that nobody knows what it holds".into(), hint: SHUT_HINT.into() }
        }
        _ => StoreError::Shut { path, why: words(error), hint: SHUT_HINT.into() },
    }
}

/// What a failed read means.
pub(super) fn reading(file: &Path, error: &rusqlite::Error) -> StoreError {
    let path = file.display().to_string();
    match codes(error).0 {
        ffi::SQLITE_BUSY | ffi::SQLITE_LOCKED | ffi::SQLITE_CANTOPEN | ffi::SQLITE_NOMEM | ffi::SQLITE_INTERRUPT | ffi::SQLITE_PERM | ffi::SQLITE_READONLY => {
            StoreError::Open {
                path,
                why: words(error),
                hint: "Try again; if it stays so, look at the folder's rights and at the machine's memory and open files".into(),
            }
        }
        _ => StoreError::Damaged { path, why: words(error), hint: DAMAGED_HINT.into() },
    }
}

pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(codes(error).0, ffi::SQLITE_CORRUPT | ffi::SQLITE_NOTADB | ffi::SQLITE_IOERR | ffi::SQLITE_ERROR | ffi::SQLITE_FORMAT)
}

fn codes(error: &rusqlite::Error) -> (i32, i32) {
    error.sqlite_error().map_or((ffi::SQLITE_ERROR, ffi::SQLITE_ERROR), |error| (error.extended_code & 0xff, error.extended_code))
}

/// SQLite's words, with its number, for those who look it up.
pub(super) fn words(error: &rusqlite::Error) -> String {
    match error.sqlite_error() {
        Some(code) => format!("{error} (SQLite {})", code.extended_code),
        None => error.to_string(),
    }
}

/// Whether a small file beside `file` cannot be written for a reason that may pass.
fn no_room(file: &Path) -> Option<String> {
    let probe = file.with_extension("probe");
    let outcome = std::fs::File::create(&probe).and_then(|mut f| {
        f.write_all(&[0_u8; 64 * 1024])?;
        f.sync_all()
    });
    let _ = std::fs::remove_file(&probe);
    let error = outcome.err()?;
    let errno = rustix::io::Errno::from_io_error(&error)?;
    match errno {
        rustix::io::Errno::NOSPC => Some("the disk is full".into()),
        rustix::io::Errno::DQUOT | rustix::io::Errno::ROFS => Some(error.to_string()),
        _ => None,
    }
}

/// What a file operation of our own means, before the log is in use.
pub(super) fn opening(path: &Path, doing: &str, error: &std::io::Error) -> StoreError {
    use std::io::ErrorKind;
    let hint = match error.kind() {
        ErrorKind::PermissionDenied => "Give the user that runs midwatch the right to read and write there",
        ErrorKind::ReadOnlyFilesystem => "Choose another folder with `--data`, or mount this one for writing",
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "Make room there",
        ErrorKind::NotFound => "Check the path",
        _ => "Check the folder and its disk",
    };
    StoreError::Open { path: path.display().to_string(), why: format!("{doing}: {error}"), hint: hint.into() }
}
