//! The database's shape, its versions, and what a file is checked for before it is used.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension};

use super::error::{DAMAGED_HINT, is_damage, reading, words, writing};
use crate::model::id::{Incarnation, Origin, Sequence};
use crate::store::{Head, StoreError};

/// "MWLG": says that a file is a midwatch log, to us and to `file(1)`.
const APPLICATION: i64 = 0x4d57_4c47;

/// Statement by statement, how an older schema becomes the next: the first makes version 1 of nothing.
/// A version that has been released is never edited; a change is one more step.
const STEPS: &[&str] = &["
    CREATE TABLE meta (name TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;
    CREATE TABLE events (
        seq INTEGER PRIMARY KEY,
        at INTEGER NOT NULL,
        recorded INTEGER NOT NULL,
        severity INTEGER NOT NULL,
        kind TEXT NOT NULL,
        system TEXT,
        bytes BLOB NOT NULL
    ) STRICT;
    -- An index ends in the row's own number, so that this one is (at, seq), the order of a timeline.
    CREATE INDEX events_at ON events (at);
    CREATE TABLE checkpoints (at INTEGER PRIMARY KEY, crc INTEGER NOT NULL, world BLOB NOT NULL) STRICT;
"];

/// Settings of every connection to a log. The page cache is bounded and memory mapping off, so that a
/// server's memory does not grow with its log.
pub(super) fn settings(conn: &Connection, cache_kib: i64) -> rusqlite::Result<()> {
    conn.busy_timeout(std::time::Duration::from_secs(5))?;
    conn.set_prepared_statement_cache_capacity(24);
    conn.execute_batch(&format!(
        "PRAGMA mmap_size=0; PRAGMA cache_size=-{cache_kib}; PRAGMA temp_store=MEMORY; PRAGMA trusted_schema=OFF; PRAGMA cell_size_check=ON;"
    ))
}

/// What every acknowledgement stands on: a commit that is on the disk.
pub(super) fn durable(conn: &Connection, file: &Path) -> Result<(), StoreError> {
    let mode: String = conn.query_row("PRAGMA journal_mode=WAL", [], |row| row.get(0)).map_err(|e| super::opened(file, &e))?;
    if !mode.eq_ignore_ascii_case("wal") {
        return Err(StoreError::Open {
            path: file.display().to_string(),
            why: format!("SQLite's write-ahead log cannot be used here (mode {mode})"),
            hint: "Choose a folder on a local disk with `--data`".into(),
        });
    }
    // Checkpoints of the write-ahead log are the writer's own doing: SQLite's automatic ones hide a failed fsync.
    conn.execute_batch("PRAGMA synchronous=FULL; PRAGMA fullfsync=ON; PRAGMA wal_autocheckpoint=0; PRAGMA journal_size_limit=67108864;")
        .map_err(|e| super::opened(file, &e))
}

/// Whether this is a log that we can read; brings an older one up to date unless `read_only`.
pub(super) fn check_version(conn: &mut Connection, file: &Path, read_only: bool) -> Result<(), StoreError> {
    let path = || file.display().to_string();
    let number = |pragma: &str| conn.query_row(&format!("PRAGMA {pragma}"), [], |row| row.get::<_, i64>(0)).map_err(|e| reading(file, &e));
    let (application, version) = (number("application_id")?, number("user_version")?);
    let tables: i64 = conn.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(|e| reading(file, &e))?;
    if application != APPLICATION && (application != 0 || version != 0 || tables != 0) {
        return Err(StoreError::Open {
            path: path(),
            why: format!("this database belongs to another program (application id {application:#x})"),
            hint: "Choose another folder with `--data`".into(),
        });
    }
    let ours = i64::try_from(STEPS.len()).unwrap_or(i64::MAX);
    if version > ours {
        return Err(StoreError::Open {
            path: path(),
            why: format!("a newer midwatch wrote it (schema {version}; this one reads up to {ours})"),
            hint: "Use that midwatch, or restore a backup that this one wrote".into(),
        });
    }
    if read_only && version < ours {
        return Err(StoreError::Open {
            path: path(),
            why: format!("an older midwatch wrote it (schema {version}; this one uses {ours}), and it is open for reading alone"),
            hint: "Start the server once, which brings it up to date".into(),
        });
    }
    migrate(conn, STEPS, version).map_err(|e| writing(file, &e))
}

/// Each step is one transaction together with its number, so that a migration that was cut off goes on
/// where it was.
fn migrate(conn: &mut Connection, steps: &[&str], from: i64) -> rusqlite::Result<()> {
    for (number, step) in (1_i64..).zip(steps) {
        if number > from {
            let tx = conn.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
            tx.execute_batch(step)?;
            tx.execute_batch(&format!("PRAGMA application_id={APPLICATION}; PRAGMA user_version={number};"))?;
            tx.commit()?;
        }
    }
    Ok(())
}

pub(super) fn number(conn: &Connection, name: &str) -> rusqlite::Result<Option<i64>> {
    conn.prepare_cached("SELECT value FROM meta WHERE name = ?1")?.query_row([name], |row| row.get(0)).optional()
}

pub(super) fn set_number(conn: &Connection, name: &str, value: Option<i64>) -> rusqlite::Result<()> {
    match value {
        Some(value) => {
            conn.prepare_cached("INSERT INTO meta (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET value = ?2")?.execute((name, value))
        }
        None => conn.prepare_cached("DELETE FROM meta WHERE name = ?1")?.execute([name]),
    }
    .map(|_| ())
}

/// Whose log this is; a new one becomes `origin`'s. The log of another server is refused.
pub(super) fn identify(conn: &Connection, file: &Path, origin: Origin, new_incarnation: Incarnation) -> Result<(), StoreError> {
    match origin_of(conn).map_err(|e| reading(file, &e))? {
        Some(held) if held == origin => Ok(()),
        Some(held) => Err(StoreError::Open {
            path: file.display().to_string(),
            why: format!("this is the log of another server ({}), not of this one ({})", held.short(), origin.short()),
            hint: "Put that server's key beside it, or choose another folder with `--data`".into(),
        }),
        None => {
            let begin = || -> rusqlite::Result<()> {
                conn.execute_batch("BEGIN IMMEDIATE")?;
                conn.execute("INSERT INTO meta (name, value) VALUES ('origin', ?1)", [&origin.0[..]])?;
                set_number(conn, "incarnation", Some(super::to_sql(new_incarnation.0)))?;
                conn.execute_batch("COMMIT")
            };
            begin().map_err(|e| writing(file, &e))
        }
    }
}

pub(super) fn origin_of(conn: &Connection) -> rusqlite::Result<Option<Origin>> {
    let held: Option<Vec<u8>> = conn.query_row("SELECT value FROM meta WHERE name = 'origin'", [], |row| row.get(0)).optional()?;
    Ok(held.and_then(|bytes| bytes.try_into().ok()).map(Origin))
}

/// Where the log stands. When everything was pruned, the newest checkpoint still knows the head.
pub(super) fn head(conn: &Connection, file: &Path) -> Result<Head, StoreError> {
    let damaged = |why: &str| StoreError::Damaged { path: file.display().to_string(), why: why.into(), hint: DAMAGED_HINT.into() };
    let read = || -> rusqlite::Result<_> {
        let ends = |sql: &str| conn.query_row(sql, [], |row| row.get::<_, Option<i64>>(0));
        let (last, checkpoint) = (ends("SELECT max(seq) FROM events")?, ends("SELECT max(at) FROM checkpoints")?);
        let sequence = last.unwrap_or(0).max(checkpoint.unwrap_or(0)).max(number(conn, CLAIMED)?.unwrap_or(0));
        Ok((origin_of(conn)?, number(conn, "incarnation")?, sequence, base(conn)?))
    };
    let (origin, incarnation, sequence, base) = read().map_err(|e| reading(file, &e))?;
    let (Some(origin), Some(incarnation)) = (origin, incarnation) else {
        return Err(damaged("it does not say whose log it is"));
    };
    Ok(Head { origin, incarnation: Incarnation(super::from_sql(incarnation)), sequence: Sequence(super::from_sql(sequence)), base })
}

/// Of another server's log: up to where all is held that may be seen, and the event before the first from
/// which on that is so.
pub(super) const CLAIMED: &str = "claimed";
pub(super) const FLOOR: &str = "floor";

/// The first event that is still held; where rows may be missing: from which on all is held that there is.
pub(super) fn base(conn: &Connection) -> rusqlite::Result<Sequence> {
    let base = match number(conn, CLAIMED)? {
        Some(_) => number(conn, FLOOR)?.unwrap_or(0).saturating_add(1),
        None => {
            conn.prepare_cached("SELECT coalesce((SELECT min(seq) FROM events), (SELECT max(at) + 1 FROM checkpoints), 1)")?.query_row([], |row| row.get(0))?
        }
    };
    Ok(Sequence(super::from_sql(base)))
}

/// Rows at the end that are looked at one by one when a log is opened.
const LOOKED_AT: i64 = 64;

/// A light check that takes as long with a million events as with ten: both ends can be
/// read, the end has no holes, the newest checkpoint is whole (SQLite itself refuses a file that was cut
/// off). All of it is read by the full check, later and beside the work.
pub(super) fn check_lightly(conn: &Connection, file: &Path) -> Result<(), StoreError> {
    let damaged = |why: String| StoreError::Damaged { path: file.display().to_string(), why, hint: DAMAGED_HINT.into() };
    let checkpoint = newest_checkpoint(conn).map_err(|e| reading(file, &e))?;
    if let Some((at, crc, world)) = &checkpoint
        && crc32(world) != *crc
    {
        return Err(damaged(format!("the checkpoint at event {at} is not what was written")));
    }
    let after = checkpoint.map_or(0, |(at, ..)| at);
    let read = || -> rusqlite::Result<Option<i64>> {
        if number(conn, CLAIMED)?.is_some() {
            return Ok(None);
        }
        conn.query_row("SELECT length(bytes) FROM events ORDER BY seq LIMIT 1", [], |_| Ok(())).optional()?;
        let mut rows = conn.prepare("SELECT seq, length(bytes) FROM events WHERE seq > ?1 ORDER BY seq DESC LIMIT ?2")?;
        let mut next: Option<i64> = None;
        for seq in rows.query_map((after, LOOKED_AT), |row| row.get::<_, i64>(0))? {
            let seq = seq?;
            if next.is_some_and(|next| next != seq.saturating_add(1)) {
                return Ok(Some(seq.saturating_add(1)));
            }
            next = Some(seq);
        }
        Ok(None)
    };
    match read().map_err(|e| reading(file, &e))? {
        Some(missing) => Err(damaged(format!("event {missing} is missing"))),
        None => Ok(()),
    }
}

pub(super) fn newest_checkpoint(conn: &Connection) -> rusqlite::Result<Option<(i64, u32, Vec<u8>)>> {
    conn.prepare_cached("SELECT at, crc, world FROM checkpoints ORDER BY at DESC LIMIT 1")?
        .query_row([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()
}

pub(super) fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = flate2::Crc::new();
    crc.update(bytes);
    crc.sum()
}

/// Reads everything once (SQLite's `quick_check`); what is wrong, in SQLite's words. Fails when it could
/// not be told.
pub(super) fn check_fully(conn: &Connection) -> rusqlite::Result<Option<String>> {
    match conn.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0)) {
        Ok(verdict) => Ok((verdict != "ok").then_some(verdict)),
        Err(error) if is_damage(&error) => Ok(Some(words(&error))),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_taken_in_order_and_once() {
        let mut conn = Connection::open_in_memory().unwrap();
        let steps = ["CREATE TABLE a (x)", "ALTER TABLE a ADD COLUMN y DEFAULT 7", "CREATE TABLE b (z)"];
        migrate(&mut conn, &steps[..1], 0).unwrap();
        conn.execute("INSERT INTO a (x) VALUES (1)", []).unwrap();
        migrate(&mut conn, &steps, 1).unwrap();
        assert_eq!(conn.query_row("SELECT x + y FROM a", [], |row| row.get::<_, i64>(0)).unwrap(), 8);
        assert_eq!(conn.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0)).unwrap(), 3);
        migrate(&mut conn, &steps, 3).unwrap();
    }

    #[test]
    fn a_step_that_fails_leaves_the_version_before_it() {
        let mut conn = Connection::open_in_memory().unwrap();
        assert!(migrate(&mut conn, &["CREATE TABLE a (x)", "CREATE TABLE c (y); nonsense"], 0).is_err());
        assert_eq!(conn.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0)).unwrap(), 1);
        assert!(conn.query_row("SELECT count(*) FROM c", [], |_| Ok(())).is_err());
    }

    #[test]
    fn p10_the_bundled_sqlite_has_the_write_ahead_log_fixed() {
        assert!(rusqlite::version_number() >= 3_051_003, "{}", rusqlite::version());
    }
}
