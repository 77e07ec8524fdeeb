//! How many events there are of each severity in each minute: kept in the disposable index, filled with it,
//! and counted anew when pruning took something away.

use std::collections::BTreeMap;

use rusqlite::Connection;

use super::index::Reached;
use super::reader::Reader;
use super::{from_sql, schema, to_sql};
use crate::model::severity::Severity;
use crate::model::time::Time;
use crate::store::{Extent, Scale, StoreError};

const MINUTE: i64 = 60_000_000;

pub(super) const TABLE: &str = "CREATE TABLE density (minute INTEGER NOT NULL, severity INTEGER NOT NULL, count INTEGER NOT NULL,
    PRIMARY KEY (minute, severity)) STRICT, WITHOUT ROWID;";

/// Counts of one batch, by minute and severity.
#[derive(Default)]
pub(super) struct Batch(BTreeMap<(i64, u8), i64>);

impl Batch {
    pub(super) fn add(&mut self, at: Time, severity: u8) {
        *self.0.entry((at.micros().div_euclid(MINUTE), severity)).or_default() += 1;
    }

    pub(super) fn write(self, tx: &Connection) -> rusqlite::Result<()> {
        let mut add = tx.prepare_cached("INSERT INTO density VALUES (?1, ?2, ?3) ON CONFLICT (minute, severity) DO UPDATE SET count = count + ?3")?;
        for ((minute, severity), count) in self.0 {
            add.execute((minute, severity, count))?;
        }
        Ok(())
    }
}

/// Whether what was counted holds events that are not there any more.
pub(super) fn is_behind(index: &Connection, events: &Connection) -> rusqlite::Result<bool> {
    Ok(schema::number(index, "counted_at")? != Some(schema::number(events, "pruned")?.unwrap_or(0)))
}

/// All that the index reaches, counted anew.
pub(super) fn recount(index: &mut Connection, events: &Connection, watermark: u64) -> rusqlite::Result<()> {
    let reading = events.unchecked_transaction()?;
    let pruned = schema::number(&reading, "pruned")?.unwrap_or(0);
    let mut batch = Batch::default();
    {
        // The timeline's index has the times; reading along it would jump about in the table.
        let mut select = reading.prepare_cached("SELECT at, severity FROM events WHERE seq <= ?1")?;
        let mut rows = select.query([to_sql(watermark)])?;
        while let Some(row) = rows.next()? {
            batch.add(Time::from_micros(row.get(0)?), row.get(1)?);
        }
    }
    let tx = index.transaction()?;
    tx.execute_batch("DELETE FROM density")?;
    batch.write(&tx)?;
    schema::set_number(&tx, "counted_at", Some(pruned))?;
    tx.commit()
}

/// Adds one event to its span.
pub(super) fn count(counts: &mut [[u64; 6]], scale: Scale, at: Time, severity: u8, by: u64) {
    let place = at.micros().checked_sub(scale.from.micros()).map(|since| since.div_euclid(scale.step.micros().max(1)));
    let cell = place.and_then(|place| usize::try_from(place).ok()).and_then(|place| counts.get_mut(place));
    if let Some(count) = cell.and_then(|cell| cell.get_mut(usize::from(severity.min(Severity::Critical.rank())))) {
        *count = count.saturating_add(by);
    }
}

impl Reader {
    /// How many events there are in all, and when the first and the last of them happened.
    pub(super) fn extent(&mut self) -> Result<Extent, StoreError> {
        let (_, counts) = self.counted(Scale { from: Time::MIN, step: Time::MAX.since(Time::MIN), buckets: 1 })?;
        let held = counts.iter().flatten().sum();
        self.snapshot(|conn| {
            let end = |sql: &str| conn.query_row(sql, [], |row| row.get::<_, Option<i64>>(0));
            let (oldest, newest) = (end("SELECT min(at) FROM events")?, end("SELECT max(at) FROM events")?);
            Ok(Ok(Extent { held, oldest: oldest.map(Time::from_micros), newest: newest.map(Time::from_micros) }))
        })
    }

    pub(super) fn density(&mut self, scale: Scale) -> Result<Vec<[u64; 6]>, StoreError> {
        self.counted(scale).map(|(_, counts)| counts)
    }

    /// From the index as far as it reaches, and from the rows behind it one by one.
    fn counted(&mut self, scale: Scale) -> Result<(u64, Vec<[u64; 6]>), StoreError> {
        let mut counts = vec![[0; 6]; scale.buckets];
        let mut reaches = 0;
        if let Some((life, index)) = self.open_index() {
            match from_index(&index, scale, &mut counts) {
                Ok(watermark) => {
                    reaches = watermark;
                    self.keep_index(life, index);
                }
                // Without the index a count is slow, never wrong.
                Err(error) => {
                    self.index_failed(&error);
                    counts.iter_mut().for_each(|count| *count = [0; 6]);
                }
            }
        }
        self.snapshot(|conn| {
            let mut select = conn.prepare_cached("SELECT at, severity FROM events WHERE seq > ?1")?;
            let mut rows = select.query([to_sql(reaches)])?;
            while let Some(row) = rows.next()? {
                count(&mut counts, scale, Time::from_micros(row.get(0)?), row.get(1)?, 1);
            }
            Ok(Ok(()))
        })?;
        Ok((reaches, counts))
    }
}

fn from_index(index: &Connection, scale: Scale, counts: &mut [[u64; 6]]) -> rusqlite::Result<Reached> {
    let tx = index.unchecked_transaction()?;
    let watermark = schema::number(&tx, "watermark")?.unwrap_or(0);
    let end = i64::try_from(scale.buckets).unwrap_or(i64::MAX).saturating_mul(scale.step.micros()).saturating_add(scale.from.micros());
    let mut select = tx.prepare_cached("SELECT minute, severity, count FROM density WHERE minute >= ?1 AND minute <= ?2")?;
    let mut rows = select.query((scale.from.micros().div_euclid(MINUTE), end.div_euclid(MINUTE)))?;
    while let Some(row) = rows.next()? {
        let minute: i64 = row.get(0)?;
        count(counts, scale, Time::from_micros(minute.saturating_mul(MINUTE)), row.get(1)?, from_sql(row.get(2)?));
    }
    Ok(from_sql(watermark))
}
