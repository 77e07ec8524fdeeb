//! A copy of the log while it is in use, and the way back.
//!
//! A restored log is a new incarnation: what others know beyond the copy is not in it, and they notice.
//! Sequences go on from the copy's head, and older rows keep the incarnation in their own bytes.

use std::path::{Path, PathBuf};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::error::{opening, reading, words, writing};
use super::folder::{self, EVENTS, INDEX, companions};
use super::{Shared, reader, schema, to_sql};
use crate::model::id::Incarnation;
use crate::store::{Head, StoreError};

/// Pages that are copied at once; the log is not held up by any of it.
const PAGES: i32 = 1_024;

pub(super) fn backup(shared: &Shared, to: &Path) -> Result<(), StoreError> {
    let part = part(to);
    if to.exists() {
        return Err(exists(to));
    }
    // Two backups to one place at once: the second one says so instead of mixing with the first.
    drop(std::fs::File::options().write(true).create_new(true).open(&part).map_err(|e| opening(&part, "cannot begin a backup there", &e))?);
    let outcome = copy(&shared.file, &part).and_then(|()| publish(&part, to));
    if outcome.is_err() {
        remove(&part);
    }
    outcome
}

/// Copies a log, as it is at this moment, into `part`: one file, on the disk.
fn copy(from: &Path, part: &Path) -> Result<(), StoreError> {
    let source = reader::connect(from)?;
    // One read transaction for all of it: appends go on, the copy does not see them, and never begins anew.
    let snapshot = source.unchecked_transaction().map_err(|e| reading(from, &e))?;
    snapshot.query_row("SELECT count(*) FROM meta", [], |_| Ok(())).map_err(|e| reading(from, &e))?;
    let mut target = Connection::open(part).map_err(|e| writing(part, &e))?;
    {
        let copying = Backup::new(&snapshot, &mut target).map_err(|e| writing(part, &e))?;
        loop {
            match copying.step(PAGES).map_err(|e| writing(part, &e))? {
                StepResult::Done => break,
                StepResult::More => {}
                _ => std::thread::sleep(std::time::Duration::from_millis(10)),
            }
        }
    }
    // One file that stands on its own, without a write-ahead log beside it.
    target.query_row("PRAGMA journal_mode=DELETE", [], |_| Ok(())).map_err(|e| writing(part, &e))?;
    target.close().map_err(|(_, e)| writing(part, &e))?;
    std::fs::File::open(part).and_then(|f| f.sync_all()).map_err(|e| cannot_write(part, &e))
}

/// Gives the finished copy its name, in one step and never over something that is there.
fn publish(part: &Path, to: &Path) -> Result<(), StoreError> {
    #[cfg(target_os = "linux")]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        match renameat_with(CWD, part, CWD, to, RenameFlags::NOREPLACE) {
            Ok(()) => return sync_parent(to),
            Err(rustix::io::Errno::EXIST) => return Err(exists(to)),
            // Some file systems do not know the flag.
            Err(_) => {}
        }
    }
    if to.exists() {
        return Err(exists(to));
    }
    std::fs::rename(part, to).map_err(|e| cannot_write(to, &e))?;
    sync_parent(to)
}

fn sync_parent(file: &Path) -> Result<(), StoreError> {
    match file.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => folder::sync_dir(parent),
        None => folder::sync_dir(Path::new(".")),
    }
}

fn part(to: &Path) -> PathBuf {
    let mut name = to.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

fn remove(file: &Path) {
    for gone in std::iter::once(file.to_owned()).chain(companions(file)) {
        let _ = std::fs::remove_file(gone);
    }
}

fn exists(to: &Path) -> StoreError {
    StoreError::Write {
        path: to.display().to_string(),
        why: "it exists already, and a backup never overwrites anything".into(),
        hint: "Choose another name, or move that file away".into(),
    }
}

fn cannot_write(path: &Path, error: &std::io::Error) -> StoreError {
    StoreError::Write { path: path.display().to_string(), why: error.to_string(), hint: "Check that folder, its disk and its free space".into() }
}

/// Puts a backup into `dir` as the log of the server that goes on from there, as `new_incarnation` (or
/// later, where the backup's own is not earlier). Answers with where the backup stands: its incarnation
/// and head, which the next server says on the timeline ([`crate::store::Log::restored`]). A log that
/// was there is kept beside it, renamed. A folder in use is refused.
pub fn restore(backup: &Path, dir: &Path, new_incarnation: Incarnation) -> Result<Head, StoreError> {
    if let Err(error) = std::fs::File::open(backup) {
        return Err(opening(backup, "cannot read this backup", &error));
    }
    let lock = folder::lock(dir)?;
    let file = dir.join(EVENTS);
    let part = part(&file);
    remove(&part);
    let outcome = copy(backup, &part).and_then(|()| prepare(&part, &file, new_incarnation)).and_then(|before| {
        let kept = set_aside(&file, before.incarnation)?;
        remove(&dir.join(INDEX));
        std::fs::rename(&part, &file).map_err(|e| cannot_write(&file, &e))?;
        folder::sync_dir(dir)?;
        tracing::info!(backup = %backup.display(), kept = ?kept, head = before.sequence.0, "the log was restored");
        Ok(before)
    });
    if outcome.is_err() {
        remove(&part);
    }
    drop(lock);
    outcome
}

/// Checks the copy in full, and begins its new life.
fn prepare(part: &Path, file: &Path, new_incarnation: Incarnation) -> Result<Head, StoreError> {
    let mut conn = Connection::open_with_flags(part, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(|e| reading(part, &e))?;
    schema::settings(&conn, 4_096).map_err(|e| reading(part, &e))?;
    schema::check_version(&mut conn, part, false)?;
    if let Some(why) = schema::check_fully(&conn).map_err(|e| reading(part, &e))? {
        return Err(StoreError::Damaged { path: part.display().to_string(), why, hint: "Take an older backup".into() });
    }
    schema::check_lightly(&conn, part)?;
    let before = schema::head(&conn, part)?;
    // The log that is replaced may have lived on under a later one than the backup's.
    let replaced = reader::connect(file).ok().and_then(|old| schema::head(&old, file).ok());
    let after = replaced.map_or(before.incarnation, |old| old.incarnation.max(before.incarnation));
    let incarnation = new_incarnation.max(Incarnation(after.0.saturating_add(1)));
    let begin = || -> rusqlite::Result<()> {
        conn.execute_batch("PRAGMA synchronous=FULL; PRAGMA fullfsync=ON; BEGIN IMMEDIATE;")?;
        schema::set_number(&conn, "incarnation", Some(to_sql(incarnation.0)))?;
        schema::set_number(&conn, "restored_incarnation", Some(to_sql(before.incarnation.0)))?;
        schema::set_number(&conn, "restored_head", Some(to_sql(before.sequence.0)))?;
        conn.execute_batch("COMMIT")
    };
    begin().map_err(|e| writing(part, &e))?;
    conn.close().map_err(|(_, e)| StoreError::Open { path: part.display().to_string(), why: words(&e), hint: "Try again".into() })?;
    Ok(before)
}

/// Moves the log that is there out of the way, whole or not: what somebody may still want to look at is
/// never deleted. Its write-ahead log goes with it, since SQLite would take it for the new file's.
fn set_aside(file: &Path, incarnation: Incarnation) -> Result<Option<PathBuf>, StoreError> {
    let mut aside = None;
    if file.exists() {
        // Folded into one file where that still works.
        if let Ok(conn) = Connection::open(file) {
            let _ = conn.wal_checkpoint_v2(None::<&str>, rusqlite::wal::CheckpointMode::TRUNCATE);
        }
        let free = (1_u32..).map(|n| file.with_extension(format!("db.before-{}.{n}", incarnation.0))).find(|path| !path.exists());
        if let Some(kept) = free {
            let [wal, shm] = companions(file);
            let [kept_wal, _] = companions(&kept);
            if wal.metadata().is_ok_and(|m| m.len() > 0) {
                std::fs::rename(&wal, kept_wal).map_err(|e| cannot_write(&wal, &e))?;
            }
            let _ = std::fs::remove_file(shm);
            // A second name, so that at no moment there is no log; where there are none, the only one moves.
            std::fs::hard_link(file, &kept).or_else(|_| std::fs::rename(file, &kept)).map_err(|e| cannot_write(file, &e))?;
            aside = Some(kept);
        }
    }
    // A stray write-ahead log without its database must not be taken for the new one's.
    companions(file).iter().for_each(|gone| drop(std::fs::remove_file(gone)));
    Ok(aside)
}
