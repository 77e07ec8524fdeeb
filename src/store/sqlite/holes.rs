//! Another server's log, as far as it was told here: rows with holes, up to a claimed head, from a floor on
//! at which everything that may be seen is known. Rows and claim are one transaction: after a kill either
//! both are there or neither, and what was not acknowledged is told again.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use rusqlite::Connection;

use super::reader::Reader;
use super::schema::{CLAIMED, FLOOR, number, set_number};
use super::writer::{INSERT, Writer, keep_world, put};
use super::{from_sql, to_sql};
use crate::model::id::Sequence;
use crate::store::{Anew, Head, Row, StoreError, claims};

/// The signatures stand beside the events, in those logs alone that have any.
const SEALS: &str = "CREATE TABLE IF NOT EXISTS seals (seq INTEGER PRIMARY KEY, seal BLOB NOT NULL) STRICT";

pub(super) fn has_seals(conn: &Connection) -> rusqlite::Result<bool> {
    conn.prepare_cached("SELECT 1 FROM sqlite_schema WHERE name = 'seals'")?.exists([])
}

fn keep_seals(conn: &Connection, rows: &[Row]) -> rusqlite::Result<()> {
    let mut sealed = rows.iter().filter_map(|row| Some((row.sequence, row.seal.as_ref()?))).peekable();
    if sealed.peek().is_none() {
        return Ok(());
    }
    if !has_seals(conn)? {
        conn.execute_batch(SEALS)?;
    }
    let mut insert = conn.prepare_cached("INSERT OR REPLACE INTO seals (seq, seal) VALUES (?1, ?2)")?;
    for (sequence, seal) in sealed {
        insert.execute((to_sql(sequence.0), &**seal))?;
    }
    Ok(())
}

impl Reader {
    pub(super) fn seals(&mut self, from: Sequence, to: Sequence) -> Result<Vec<(Sequence, Bytes)>, StoreError> {
        self.snapshot(|conn| {
            if !has_seals(conn)? {
                return Ok(Ok(Vec::new()));
            }
            let mut select = conn.prepare_cached("SELECT seq, seal FROM seals WHERE seq >= ?1 AND seq <= ?2 ORDER BY seq LIMIT 100000")?;
            let found = select.query_map((to_sql(from.0), to_sql(to.0)), |row| Ok((Sequence(from_sql(row.get(0)?)), row.get::<_, Vec<u8>>(1)?.into())))?;
            Ok(Ok(found.collect::<Result<_, _>>()?))
        })
    }
}

impl Writer {
    pub(super) fn claim(&mut self, expected: Sequence, to: Sequence, rows: &[Row]) -> Result<(), StoreError> {
        claims(self.shared.head().sequence, expected, to, rows)?;
        let keep = || -> rusqlite::Result<()> {
            self.conn.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
            {
                let mut insert = self.conn.prepare_cached(INSERT)?;
                for row in rows {
                    put(&mut insert, row)?;
                }
            }
            keep_seals(&self.conn, rows)?;
            set_number(&self.conn, CLAIMED, Some(to_sql(to.0)))?;
            self.conn.prepare_cached("COMMIT")?.execute([]).map(|_| ())
        };
        keep().map_err(|error| self.failed(&error))?;
        self.shared.advance(to);
        self.shared.appended(rows.len());
        Ok(())
    }

    pub(super) fn fill(&mut self, rows: &[Row], last: bool) -> Result<u64, StoreError> {
        let head = self.shared.head().sequence;
        let keep = || -> rusqlite::Result<usize> {
            self.conn.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
            let mut new = Vec::new();
            {
                let mut known = self.conn.prepare_cached("SELECT 1 FROM events WHERE seq = ?1")?;
                let mut insert = self.conn.prepare_cached(INSERT)?;
                for row in rows.iter().filter(|row| row.sequence <= head) {
                    if !known.exists([to_sql(row.sequence.0)])? {
                        put(&mut insert, row)?;
                        new.push(row.clone());
                    }
                }
            }
            keep_seals(&self.conn, &new)?;
            self.conn.prepare_cached("COMMIT")?.execute([])?;
            Ok(new.len())
        };
        let new = keep().map_err(|error| self.failed(&error))?;
        self.shared.appended(new);
        if last {
            // The index goes by sequences, and has passed these by.
            self.shared.index_damaged.store(true, Ordering::Release);
            drop(self.shared.state());
            self.shared.wake.notify_one();
        }
        Ok(u64::try_from(new).unwrap_or(u64::MAX))
    }

    pub(super) fn rebase(&mut self, anew: &Anew) -> Result<u64, StoreError> {
        let keep = || -> rusqlite::Result<u64> {
            self.conn.execute_batch("BEGIN IMMEDIATE")?;
            let gone = match anew.cut {
                Some(cut) => {
                    if has_seals(&self.conn)? {
                        self.conn.execute("DELETE FROM seals WHERE seq > ?1", [to_sql(cut.0)])?;
                    }
                    self.conn.execute("DELETE FROM events WHERE seq > ?1", [to_sql(cut.0)])?
                }
                None => 0,
            };
            self.conn.execute("DELETE FROM checkpoints", [])?;
            {
                let mut known = self.conn.prepare_cached("SELECT 1 FROM events WHERE seq = ?1")?;
                let mut insert = self.conn.prepare_cached(INSERT)?;
                for row in anew.rows.iter().filter(|row| row.sequence <= anew.at) {
                    if !known.exists([to_sql(row.sequence.0)])? {
                        put(&mut insert, row)?;
                    }
                }
            }
            keep_world(&self.conn, anew.at, &anew.world)?;
            let gone = u64::try_from(gone).unwrap_or(u64::MAX);
            let pruned = number(&self.conn, "pruned")?.unwrap_or(0).saturating_add(to_sql(gone));
            let at = to_sql(anew.at.0);
            for (name, value) in [("incarnation", to_sql(anew.incarnation.0)), (CLAIMED, at), (FLOOR, at), ("pruned", pruned)] {
                set_number(&self.conn, name, Some(value))?;
            }
            self.conn.execute_batch("COMMIT")?;
            Ok(gone)
        };
        let gone = keep().map_err(|error| self.failed(&error))?;
        let (incarnation, sequence) = (anew.incarnation, anew.at);
        self.shared.head.send_modify(|head| *head = Head { incarnation, sequence, base: sequence.next(), ..*head });
        // It goes by sequences, and now there are other rows under some.
        self.shared.index_damaged.store(true, Ordering::Release);
        self.shared.appended(anew.rows.len());
        drop(self.shared.state());
        self.shared.wake.notify_one();
        Ok(gone)
    }
}
