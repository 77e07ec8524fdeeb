//! The full-text index: a file of its own that can be thrown away, filled while nobody is in a hurry.
//!
//! It keeps no text and no positions, only which words are in which event (FTS5, contentless,
//! `detail=none`); what it finds is looked at again. Its row numbers are *places*: the millisecond of
//! `at` above some bits of the sequence, so that it answers in a timeline's order, newest first,
//! without sorting all that it found.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rusqlite::{Connection, InterruptHandle, OpenFlags};

use super::error::{is_damage, words};
use super::folder::{INDEX, companions};
use super::{Shared, from_sql, reader, schema, to_sql};
use crate::model::time::Time;
use crate::store::StoreError;
use crate::store::words::haystack;

/// The shape of the index file. Another one is thrown away and filled anew.
const FORMAT: i64 = 2;
/// Bits of the sequence in a place; 42 bits of milliseconds reach to the year 2109.
const BITS: u32 = 21;
const LAST_MILLI: i64 = (1 << 42) - 1;
const LOW: u64 = (1 << BITS) - 1;

/// Rows, and bytes of events, in one transaction of the index.
const BATCH_ROWS: i64 = 4_000;
const BATCH_BYTES: usize = 4 << 20;
/// A backlog that is caught up with even while appends come in quickly: a search scans it each time.
const BACKLOG: u64 = 100_000;
/// Appends in a second that still count as quiet.
const QUIET: u64 = 100;
/// How long it waits before it looks whether things have become quiet.
const WAIT: Duration = Duration::from_millis(250);
/// The file is read through once a process, when it has been up for so long.
const CHECK_AFTER: Duration = Duration::from_secs(60);
/// Words of pruned events are dropped with the whole index, when so many and more than half are dead.
const DEAD: u64 = 100_000;

/// Up to which sequence an index reaches.
pub(super) type Reached = u64;

/// Where an event stands in the index.
pub(super) fn place(at: Time, sequence: u64) -> i64 {
    (milli(at) << BITS) | to_sql(sequence & LOW)
}

/// The lowest and the highest place of an event that happened then.
pub(super) fn first_place(at: Time) -> i64 {
    milli(at) << BITS
}

pub(super) fn last_place(at: Time) -> i64 {
    (milli(at) << BITS) | to_sql(LOW)
}

/// What lies outside the calendar that fits shares its ends.
fn milli(at: Time) -> i64 {
    at.micros().div_euclid(1_000).clamp(0, LAST_MILLI)
}

/// The sequences that a place may stand for, up to the log's head.
pub(super) fn sequences(place: i64, head: u64) -> impl Iterator<Item = u64> {
    let low = from_sql(place) & LOW;
    (0..=(head >> BITS)).map(move |high| (high << BITS) | low).filter(move |sequence| *sequence <= head && *sequence > 0)
}

/// For a log that is open for reading alone: uses the index that is there, if it fits.
pub(super) fn look(shared: &Shared) {
    let file = shared.dir.join(INDEX);
    if let Ok(conn) = reader::connect(&file)
        && let Ok(Some(watermark)) = fits(&conn, shared)
    {
        shared.indexed.store(from_sql(watermark), Ordering::Release);
        shared.index_life.store(1, Ordering::Release);
    }
}

/// Up to where this index reaches, if it is one of this log.
fn fits(conn: &Connection, shared: &Shared) -> rusqlite::Result<Option<i64>> {
    let head = shared.head();
    let ours = schema::number(conn, "format")? == Some(FORMAT)
        && schema::number(conn, "incarnation")? == Some(to_sql(head.incarnation.0))
        && schema::origin_of(conn)? == Some(head.origin);
    let watermark = schema::number(conn, "watermark")?;
    Ok(watermark.filter(|watermark| ours && *watermark <= to_sql(head.sequence.0)))
}

fn connect(file: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let conn = Connection::open_with_flags(file, flags)?;
    schema::settings(&conn, 2_048)?;
    // Losing the end of it with the power costs some indexing again, and no fsync now.
    conn.query_row("PRAGMA journal_mode=WAL", [], |_| Ok(()))?;
    conn.execute_batch("PRAGMA synchronous=NORMAL; PRAGMA journal_size_limit=16777216;")?;
    Ok(conn)
}

fn begin(file: &Path, shared: &Shared, pruned: i64) -> rusqlite::Result<Connection> {
    for gone in std::iter::once(file.to_owned()).chain(companions(file)) {
        let _ = std::fs::remove_file(gone);
    }
    let conn = connect(file)?;
    let head = shared.head();
    conn.execute_batch(
        "BEGIN;
         CREATE TABLE meta (name TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;
         CREATE VIRTUAL TABLE words USING fts5(text, content='', detail='none', columnsize=0, tokenize='ascii');
         -- A batch's words are gathered in memory (bytes) and written once: fewer pieces to merge later.
         INSERT INTO words (words, rank) VALUES ('hashsize', 2097152);",
    )?;
    conn.execute("INSERT INTO meta (name, value) VALUES ('origin', ?1)", [&head.origin.0[..]])?;
    conn.execute_batch(super::density::TABLE)?;
    for (name, value) in
        [("counted_at", pruned), ("format", FORMAT), ("incarnation", to_sql(head.incarnation.0)), ("watermark", 0), ("entries", 0), ("pruned", pruned)]
    {
        schema::set_number(&conn, name, Some(value))?;
    }
    conn.execute_batch("COMMIT")?;
    Ok(conn)
}

/// The thread that fills the index, and reads the log through once, at the lowest priority.
pub(super) struct Indexer {
    shared: Arc<Shared>,
    events: Connection,
    index: Option<Connection>,
    began: Instant,
    /// How many times an index was opened: zero says that there is none.
    life: u64,
    /// After an error (a full disk, say) it waits.
    not_before: Option<Instant>,
}

impl Indexer {
    pub(super) fn new(shared: Arc<Shared>) -> Result<Indexer, StoreError> {
        let events = reader::connect(&shared.file)?;
        Ok(Indexer { shared, events, index: None, began: Instant::now(), life: 0, not_before: None })
    }

    pub(super) fn interrupt(&self) -> InterruptHandle {
        self.events.get_interrupt_handle()
    }

    pub(super) fn run(mut self) {
        // On Linux this holds for the calling thread alone. Without the right to, it is as it was.
        #[cfg(target_os = "linux")]
        let _ = rustix::process::nice(10);
        self.open();
        while !self.shared.stop.load(Ordering::Acquire) {
            if self.shared.index_damaged.swap(false, Ordering::AcqRel) {
                self.renew();
            }
            if self.may_work() {
                if let Err(error) = self.step() {
                    tracing::warn!(error = words(&error), "the full-text index could not be filled");
                    if is_damage(&error) {
                        self.renew();
                    }
                    self.not_before = Some(Instant::now() + Duration::from_secs(5));
                }
            } else {
                self.recount();
                self.check();
                self.wait();
            }
        }
    }

    fn open(&mut self) {
        let file = self.shared.dir.join(INDEX);
        let opened = connect(&file).and_then(|conn| Ok((fits(&conn, &self.shared)?, conn)));
        match opened {
            Ok((Some(watermark), conn)) => self.serve(conn, watermark),
            Ok((None, _)) | Err(_) => self.renew(),
        }
    }

    fn renew(&mut self) {
        self.index = None;
        self.shared.index_life.store(0, Ordering::Release);
        self.shared.indexed.store(0, Ordering::Release);
        let pruned = schema::number(&self.events, "pruned").ok().flatten().unwrap_or(0);
        match begin(&self.shared.dir.join(INDEX), &self.shared, pruned) {
            Ok(conn) => self.serve(conn, 0),
            // A search does without; the next try is not at once.
            Err(_) => self.not_before = Some(Instant::now() + Duration::from_secs(5)),
        }
    }

    fn serve(&mut self, conn: Connection, watermark: i64) {
        self.index = Some(conn);
        self.shared.indexed.store(from_sql(watermark), Ordering::Release);
        self.life = self.life.saturating_add(1);
        self.shared.index_life.store(self.life, Ordering::Release);
    }

    fn may_work(&mut self) -> bool {
        if self.not_before.is_some_and(|then| Instant::now() < then) {
            return false;
        }
        self.not_before = None;
        if self.index.is_none() {
            self.renew();
        }
        let backlog = self.shared.unindexed();
        if backlog == 0 {
            self.shared.hurry.store(false, Ordering::Release);
        }
        let now = backlog > BACKLOG || self.shared.hurry.load(Ordering::Acquire) || self.shared.lately() <= QUIET;
        self.index.is_some() && backlog > 0 && now
    }

    /// Brings some of the log's rows into the index, in the order of their places, and moves the mark.
    fn step(&mut self) -> rusqlite::Result<()> {
        let Some(index) = &mut self.index else { return Ok(()) };
        let watermark = self.shared.indexed.load(Ordering::Acquire);
        let head = self.shared.head().sequence.0;
        let mut batch = Vec::new();
        let mut density = super::density::Batch::default();
        let mut last = head;
        {
            let mut bytes = 0_usize;
            let mut select = self.events.prepare_cached("SELECT seq, at, bytes, severity FROM events WHERE seq > ?1 AND seq <= ?2 ORDER BY seq LIMIT ?3")?;
            let mut rows = select.query((to_sql(watermark), to_sql(head), BATCH_ROWS))?;
            while let Some(row) = rows.next()? {
                let sequence = from_sql(row.get(0)?);
                let event = row.get_ref(2)?.as_blob()?;
                bytes = bytes.saturating_add(event.len());
                let at = Time::from_micros(row.get(1)?);
                density.add(at, row.get(3)?);
                batch.push((place(at, sequence), haystack(event)));
                if bytes > BATCH_BYTES || to_sql(u64::try_from(batch.len()).unwrap_or(u64::MAX)) == BATCH_ROWS {
                    last = sequence;
                    break;
                }
            }
        }
        batch.sort_unstable_by_key(|(place, _)| *place);
        let entries = schema::number(index, "entries")?.unwrap_or(0).saturating_add(to_sql(u64::try_from(batch.len()).unwrap_or(0)));
        let tx = index.transaction()?;
        {
            let mut insert = tx.prepare_cached("INSERT INTO words (rowid, text) VALUES (?1, ?2)")?;
            for (place, text) in &batch {
                insert.execute((place, text))?;
            }
        }
        density.write(&tx)?;
        schema::set_number(&tx, "watermark", Some(to_sql(last)))?;
        schema::set_number(&tx, "entries", Some(entries))?;
        tx.commit()?;
        self.shared.indexed.store(last, Ordering::Release);
        if last >= head && self.mostly_dead(from_sql(entries))? {
            self.renew();
        }
        Ok(())
    }

    /// What pruning took is not counted any more.
    fn recount(&mut self) {
        let Some(index) = &mut self.index else { return };
        if !self.shared.pruned.swap(false, Ordering::AcqRel) {
            return;
        }
        let watermark = self.shared.indexed.load(Ordering::Acquire);
        let counted = super::density::is_behind(index, &self.events)
            .and_then(|behind| if behind { super::density::recount(index, &self.events, watermark) } else { Ok(()) });
        if let Err(error) = counted {
            tracing::warn!(error = words(&error), "events could not be counted anew");
        }
    }

    fn mostly_dead(&self, entries: u64) -> rusqlite::Result<bool> {
        let Some(index) = &self.index else { return Ok(false) };
        let pruned = |conn: &Connection| schema::number(conn, "pruned").map(|n| from_sql(n.unwrap_or(0)));
        let dead = pruned(&self.events)?.saturating_sub(pruned(index)?);
        Ok(dead > DEAD && dead > entries / 2)
    }

    /// The full check, once, when the server has settled.
    fn check(&mut self) {
        if self.began.elapsed() < CHECK_AFTER || self.shared.state().checked.is_some() {
            return;
        }
        match schema::check_fully(&self.events) {
            Ok(damage) => {
                let mut state = self.shared.state();
                state.checked = Some(super::now());
                state.damage = damage;
            }
            // It could not be told, or the log is being closed.
            Err(_) => self.began = Instant::now(),
        }
    }

    fn wait(&self) {
        let state = self.shared.state();
        if self.shared.stop.load(Ordering::Acquire) || (self.index.is_some() && self.shared.pruned.load(Ordering::Acquire)) {
            return;
        }
        // With nothing to index it sleeps until an append wakes it, or until the check is due.
        let checked = state.checked.is_some();
        self.shared.idle.store(true, Ordering::SeqCst);
        let nothing = self.shared.unindexed() == 0 && self.index.is_some();
        let long = if !nothing {
            WAIT
        } else if checked {
            Duration::from_secs(3_600)
        } else {
            Duration::from_secs(10)
        };
        drop(self.shared.wake.wait_timeout(state, long));
        self.shared.idle.store(false, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_in_the_order_of_time_and_lead_back_to_the_event() {
        let at = Time::from_secs(1_790_000_000);
        assert!(place(at, 5_000_000) < place(Time::from_micros(at.micros() + 1_000), 1));
        for sequence in [1, LOW, LOW + 1, 9_999_999] {
            assert!(sequences(place(at, sequence), 10_000_000).any(|found| found == sequence), "{sequence}");
        }
        assert!(sequences(place(at, 7), 100).eq([7]));
    }

    #[test]
    fn times_outside_the_calendar_share_its_ends() {
        assert_eq!(place(Time::MIN, 3), place(Time::from_secs(0), 3));
        assert!(place(Time::MAX, 1) > 0);
        assert!(first_place(Time::MAX) <= place(Time::MAX, 9) && place(Time::MAX, 9) <= last_place(Time::MAX));
    }
}
