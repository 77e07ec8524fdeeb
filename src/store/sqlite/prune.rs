//! Pruning, step by step: a few milliseconds of deletions in one transaction, so that appends go on between.

use std::time::{Duration, Instant};

use rusqlite::Connection;

use super::schema::{CLAIMED, FLOOR, number, set_number};
use super::writer::Answered;
use crate::model::time::Time;
use crate::store::{Retention, StoreError};

/// Rows that are looked at in one query.
const LOOK: i64 = 200;
/// How long one step may take before its commit.
const STEP: Duration = Duration::from_millis(3);
/// As many rows in a row too young for any deletion end it. A clock that went back for a while leaves
/// fewer out of order than that, and what it hides is found next time.
const YOUNG: u32 = 5_000;

pub(super) struct Pruning {
    retention: Retention,
    now: Time,
    answer: Answered<u64>,
    cursor: i64,
    gone: u64,
    young: u32,
}

impl Pruning {
    pub(super) fn new(retention: Retention, now: Time, answer: Answered<u64>) -> Pruning {
        Pruning { retention, now, answer, cursor: 0, gone: 0, young: 0 }
    }

    /// One transaction; says whether that was the last one. The newest checkpoint is on the disk before
    /// anything is deleted, since it was committed before it could be seen here.
    pub(super) fn step(&mut self, conn: &Connection) -> rusqlite::Result<bool> {
        let Some(shortest) = self.retention.shortest() else { return Ok(true) };
        let began = Instant::now();
        let (mut cursor, mut young, mut gone) = (self.cursor, self.young, 0_u64);
        let (mut done, mut last) = (false, 0);
        conn.execute_batch("BEGIN IMMEDIATE")?;
        let until: Option<i64> = conn.query_row("SELECT max(at) FROM checkpoints", [], |row| row.get(0))?;
        let until = until.unwrap_or(0);
        while !done && began.elapsed() < STEP {
            let mut look = conn.prepare_cached("SELECT seq, recorded, kind FROM events WHERE seq > ?1 AND seq <= ?2 ORDER BY seq LIMIT ?3")?;
            let mut drop = Vec::new();
            let mut seen = 0_i64;
            let mut rows = look.query((cursor, until, LOOK))?;
            while let Some(row) = rows.next()? {
                seen = seen.saturating_add(1);
                cursor = row.get(0)?;
                let recorded = Time::from_micros(row.get(1)?);
                young = if self.now.since(recorded) <= shortest { young.saturating_add(1) } else { 0 };
                let kind = row.get_ref(2)?.as_str()?;
                if self.retention.drops(kind, recorded, self.now) {
                    drop.push(cursor);
                }
            }
            done = seen < LOOK || young >= YOUNG;
            let mut delete = conn.prepare_cached("DELETE FROM events WHERE seq = ?1")?;
            for seq in drop {
                last = seq;
                gone = gone.saturating_add(u64::try_from(delete.execute([seq])?).unwrap_or(0));
            }
        }
        if gone > 0 {
            let before = number(conn, "pruned")?.unwrap_or(0);
            set_number(conn, "pruned", Some(before.saturating_add(super::to_sql(gone))))?;
            if number(conn, CLAIMED)?.is_some() {
                set_number(conn, FLOOR, Some(number(conn, FLOOR)?.unwrap_or(0).max(last)))?;
                if super::holes::has_seals(conn)? {
                    conn.execute("DELETE FROM seals WHERE seq <= ?1", [last])?;
                }
            }
        }
        conn.execute_batch("COMMIT")?;
        self.cursor = cursor;
        self.young = young;
        self.gone = self.gone.saturating_add(gone);
        Ok(done)
    }

    pub(super) fn end(self, outcome: Result<(), StoreError>) {
        let _ = self.answer.send(outcome.map(|()| self.gone));
    }
}
