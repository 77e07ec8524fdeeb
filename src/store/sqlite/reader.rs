//! What is read of a log: ranges, pages, checkpoints, searches; each in one read transaction, so that
//! what pruning takes meanwhile is either all there or refused.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use rusqlite::{Connection, InterruptHandle, OpenFlags, OptionalExtension};

use super::error::{DAMAGED_HINT, is_damage, reading};
use super::folder::INDEX;
use super::writer::Answered;
use super::{Shared, from_sql, index, schema, to_sql};
use crate::model::id::{Sequence, SystemId};
use crate::model::severity::Severity;
use crate::model::time::Time;
use crate::store::words::Words;
use crate::store::{Page, Row, StoreError, pruned};

pub(super) type Task = Box<dyn FnOnce(&mut Reader) + Send>;

/// Who asked, and whether they still wait: a search that nobody waits for any more is given up.
pub(super) struct Asked<T>(Answered<T>);

impl<T> Asked<T> {
    pub(super) fn new(answer: Answered<T>) -> Asked<T> {
        Asked(answer)
    }

    pub(super) fn forgotten(&self) -> bool {
        self.0.is_closed()
    }

    pub(super) fn answer(self, outcome: Result<T, StoreError>) {
        let _ = self.0.send(outcome);
    }
}

pub(super) struct Reader {
    shared: Arc<Shared>,
    conn: Connection,
    /// The full-text index, and which of its lives was opened.
    index: Option<(u64, Connection)>,
}

/// Rows that are asked for at once, at most.
const MOST: usize = 100_000;
/// Rows between two looks at whether anybody still waits for a search.
const LOOK_UP: usize = 512;

pub(super) const COLUMNS: &str = "seq, at, recorded, severity, kind, system, bytes";

pub(super) fn connect(file: &Path) -> Result<Connection, StoreError> {
    let open = || -> rusqlite::Result<Connection> {
        let conn = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        schema::settings(&conn, 1_024)?;
        conn.execute_batch("PRAGMA query_only=ON;")?;
        Ok(conn)
    };
    open().map_err(|e| reading(file, &e))
}

fn row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Row> {
    Ok(Row {
        sequence: Sequence(from_sql(row.get(0)?)),
        at: Time::from_micros(row.get(1)?),
        recorded: Time::from_micros(row.get(2)?),
        severity: Severity::from_rank(row.get(3)?),
        kind: row.get_ref(4)?.as_str()?.into(),
        system: row.get_ref(5)?.as_str_or_null()?.map(SystemId::lenient),
        bytes: Bytes::copy_from_slice(row.get_ref(6)?.as_blob()?),
        seal: None,
    })
}

/// Rows of one answer. Their bytes share one allocation, and neighbours the names of kind and system:
/// a console that asks for a million events gets them a page at a time, and a page is dropped as a whole.
#[derive(Default)]
pub(super) struct Gathered {
    rows: Vec<(Row, usize)>,
    bytes: BytesMut,
}

impl Gathered {
    pub(super) fn add(&mut self, found: &rusqlite::Row<'_>) -> rusqlite::Result<()> {
        let last = self.rows.last().map(|(row, _)| row);
        let kind = found.get_ref(4)?.as_str()?;
        let kind = last.map(|row| &row.kind).filter(|last| ***last == *kind).cloned().unwrap_or_else(|| kind.into());
        let system = found.get_ref(5)?.as_str_or_null()?.map(|name| {
            let known = last.and_then(|row| row.system.as_ref()).filter(|last| last.as_str() == name);
            known.cloned().unwrap_or_else(|| SystemId::lenient(name))
        });
        let bytes = found.get_ref(6)?.as_blob()?;
        self.bytes.extend_from_slice(bytes);
        let row = Row {
            sequence: Sequence(from_sql(found.get(0)?)),
            at: Time::from_micros(found.get(1)?),
            recorded: Time::from_micros(found.get(2)?),
            severity: Severity::from_rank(found.get(3)?),
            kind,
            system,
            bytes: Bytes::new(),
            seal: None,
        };
        self.rows.push((row, bytes.len()));
        Ok(())
    }

    pub(super) fn rows(self) -> Vec<Row> {
        let mut bytes = self.bytes.freeze();
        let own = |(mut row, length): (Row, usize)| {
            row.bytes = bytes.split_to(length.min(bytes.len()));
            row
        };
        self.rows.into_iter().map(own).collect()
    }
}

impl Reader {
    pub(super) fn new(shared: Arc<Shared>) -> Result<Reader, StoreError> {
        let conn = connect(&shared.file)?;
        Ok(Reader { shared, conn, index: None })
    }

    pub(super) fn interrupt(&self) -> InterruptHandle {
        self.conn.get_interrupt_handle()
    }

    pub(super) fn serve(&mut self, tasks: &Mutex<Receiver<Task>>) {
        loop {
            let task = tasks.lock().unwrap_or_else(PoisonError::into_inner).recv();
            match task {
                Ok(task) if !self.shared.stop.load(Ordering::Acquire) => task(self),
                Ok(_) => {}
                Err(_) => return,
            }
        }
    }

    pub(super) fn snapshot<T>(&mut self, read: impl FnOnce(&Connection) -> rusqlite::Result<Result<T, StoreError>>) -> Result<T, StoreError> {
        let file = self.shared.file.clone();
        let tx = self.conn.unchecked_transaction().map_err(|e| reading(&file, &e))?;
        read(&tx).map_err(|e| reading(&file, &e))?
    }

    pub(super) fn range(&mut self, from: Sequence, to: Sequence, most: usize, bytes: usize) -> Result<Vec<Row>, StoreError> {
        self.rows_of(from.max(Sequence(1)), to, most, bytes, true)
    }

    pub(super) fn held(&mut self, from: Sequence, to: Sequence, most: usize, bytes: usize) -> Result<Vec<Row>, StoreError> {
        self.rows_of(from, to, most, bytes, false)
    }

    fn rows_of(&mut self, from: Sequence, to: Sequence, most: usize, bytes: usize, whole: bool) -> Result<Vec<Row>, StoreError> {
        self.snapshot(|conn| {
            let base = schema::base(conn)?;
            if whole && from < base {
                return Ok(Err(pruned(from, base)));
            }
            let mut out = Gathered::default();
            let mut size = 0_usize;
            let mut select = conn.prepare_cached(&format!("SELECT {COLUMNS} FROM events WHERE seq >= ?1 AND seq <= ?2 ORDER BY seq LIMIT ?3"))?;
            let mut rows = select.query((to_sql(from.0), to_sql(to.0), limit(most.max(1))))?;
            while let Some(found) = rows.next()? {
                let length = found.get_ref(6)?.as_blob()?.len();
                if size > 0 && size.saturating_add(length) > bytes {
                    break;
                }
                size = size.saturating_add(length);
                out.add(found)?;
            }
            Ok(Ok(out.rows()))
        })
    }

    pub(super) fn page(&mut self, page: Page, most: usize) -> Result<Vec<Row>, StoreError> {
        let (place, condition, order) = match page {
            Page::Before(place) => (place, "(at, seq) < (?1, ?2)", "at DESC, seq DESC"),
            Page::After(place) => (place, "(at, seq) > (?1, ?2)", "at, seq"),
        };
        self.snapshot(|conn| {
            let mut out = Gathered::default();
            let mut gather = |mut rows: rusqlite::Rows<'_>| -> rusqlite::Result<()> {
                while let Some(found) = rows.next()? {
                    out.add(found)?;
                }
                Ok(())
            };
            match place {
                Some((at, sequence)) => {
                    let mut select = conn.prepare_cached(&format!("SELECT {COLUMNS} FROM events WHERE {condition} ORDER BY {order} LIMIT ?3"))?;
                    gather(select.query((at.micros(), to_sql(sequence.0), limit(most)))?)?;
                }
                None => {
                    let mut select = conn.prepare_cached(&format!("SELECT {COLUMNS} FROM events ORDER BY {order} LIMIT ?1"))?;
                    gather(select.query([limit(most)])?)?;
                }
            }
            Ok(Ok(out.rows()))
        })
    }

    /// The newest checkpoint that is whole and from which the log can go on.
    pub(super) fn checkpointed(&mut self) -> Result<Option<(Sequence, Bytes)>, StoreError> {
        let path = self.shared.file.display().to_string();
        self.snapshot(|conn| {
            let base = to_sql(schema::base(conn)?.0);
            let mut select = conn.prepare_cached("SELECT at, crc, world FROM checkpoints ORDER BY at DESC")?;
            let mut rows = select.query([])?;
            let mut damaged = None;
            while let Some(found) = rows.next()? {
                let (at, crc): (i64, u32) = (found.get(0)?, found.get(1)?);
                let world = found.get_ref(2)?.as_blob()?;
                if schema::crc32(world) != crc {
                    damaged = damaged.or(Some(at));
                } else if damaged.is_none() || base <= at.saturating_add(1) {
                    return Ok(Ok(Some((Sequence(from_sql(at)), Bytes::copy_from_slice(world)))));
                }
            }
            Ok(match damaged {
                Some(at) => Err(StoreError::Damaged { path, why: format!("the checkpoint at event {at} is not what was written"), hint: DAMAGED_HINT.into() }),
                None => Ok(None),
            })
        })
    }

    /// The places of the checkpoints from which the log goes on, oldest first.
    pub(super) fn checkpoints(&mut self) -> Result<Vec<Sequence>, StoreError> {
        self.snapshot(|conn| {
            let base = to_sql(schema::base(conn)?.0);
            let mut select = conn.prepare_cached("SELECT at FROM checkpoints ORDER BY at")?;
            let places: Vec<i64> = select.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
            Ok(Ok(places.into_iter().filter(|at| base <= at.saturating_add(1)).map(|at| Sequence(from_sql(at))).collect()))
        })
    }

    /// One checkpoint, if it is what was written.
    pub(super) fn checkpoint_at(&mut self, at: Sequence) -> Result<Option<Bytes>, StoreError> {
        self.snapshot(|conn| {
            let mut select = conn.prepare_cached("SELECT crc, world FROM checkpoints WHERE at = ?1")?;
            let found = select.query_row([to_sql(at.0)], |row| Ok((row.get::<_, u32>(0)?, row.get::<_, Vec<u8>>(1)?))).optional()?;
            Ok(Ok(found.filter(|(crc, world)| schema::crc32(world) == *crc).map(|(_, world)| world.into())))
        })
    }

    /// What was recorded after a place and happened at or before a time. The index on `at` holds a twentieth
    /// of what the rows do: it is read from the front, unless much less lies behind the place.
    pub(super) fn late(&mut self, after: Sequence, until: Time, most: usize) -> Result<Vec<Row>, StoreError> {
        let head = self.shared.head();
        let behind = head.sequence.0.saturating_sub(after.0);
        let before = after.0.saturating_sub(head.base.0);
        let by = if behind.saturating_mul(20) < before { "NOT INDEXED" } else { "INDEXED BY events_at" };
        self.snapshot(|conn| {
            let mut out = Gathered::default();
            let chosen = format!("SELECT seq FROM events {by} WHERE at <= ?1 AND seq > ?2 ORDER BY seq LIMIT ?3");
            let mut select = conn.prepare_cached(&format!("SELECT {COLUMNS} FROM events WHERE seq IN ({chosen}) ORDER BY seq"))?;
            let mut rows = select.query((until.micros(), to_sql(after.0), limit(most)))?;
            while let Some(found) = rows.next()? {
                out.add(found)?;
            }
            Ok(Ok(out.rows()))
        })
    }

    /// The newest rows that hold all words: from the index as far as it reaches, and from the rows
    /// behind it one by one.
    pub(super) fn search(
        &mut self,
        words: &Words,
        before: Option<(Time, Sequence)>,
        most: usize,
        forgotten: &dyn Fn() -> bool,
    ) -> Result<Vec<Row>, StoreError> {
        let most = most.min(MOST);
        let mut hits = Hits { most, rows: BTreeMap::new() };
        if most == 0 {
            return Ok(Vec::new());
        }
        let indexed = self.open_index();
        let mut reaches = Sequence(0);
        if let Some(index) = indexed {
            match self.search_index(&index.1, words, before, &mut hits, forgotten) {
                Ok(watermark) => {
                    reaches = watermark;
                    self.index = Some(index);
                }
                Err(error) => {
                    self.index_failed(&error);
                    // Without the index a search is slow, never wrong.
                    hits.rows.clear();
                }
            }
        }
        self.search_tail(reaches, words, before, &mut hits, forgotten)?;
        Ok(hits.rows.into_values().rev().collect())
    }

    /// What was opened may be used again.
    pub(super) fn keep_index(&mut self, life: u64, index: Connection) {
        self.index = Some((life, index));
    }

    /// The index could not be read: if it is damaged, it is made anew.
    pub(super) fn index_failed(&self, error: &rusqlite::Error) {
        if is_damage(error) {
            self.shared.index_damaged.store(true, Ordering::Release);
            self.shared.wake.notify_one();
        }
    }

    pub(super) fn open_index(&mut self) -> Option<(u64, Connection)> {
        let life = self.shared.index_life.load(Ordering::Acquire);
        if life == 0 {
            return None;
        }
        match self.index.take() {
            Some(index) if index.0 == life => Some(index),
            Some(_) | None => connect(&self.shared.dir.join(INDEX)).ok().map(|conn| (life, conn)),
        }
    }

    fn search_index(
        &self,
        index: &Connection,
        words: &Words,
        before: Option<(Time, Sequence)>,
        hits: &mut Hits,
        forgotten: &dyn Fn() -> bool,
    ) -> rusqlite::Result<Sequence> {
        let tx = index.unchecked_transaction()?;
        let watermark = schema::number(&tx, "watermark")?.unwrap_or(0);
        let highest = self.shared.head().sequence.0;
        let mut select = tx.prepare_cached("SELECT rowid FROM words WHERE words MATCH ?1 AND rowid <= ?2 ORDER BY rowid DESC")?;
        let end = before.map_or(i64::MAX, |(at, _)| index::last_place(at));
        let mut found = select.query((words.fts5(), end))?;
        let mut fetch = self.conn.prepare_cached(&format!("SELECT {COLUMNS} FROM events WHERE seq = ?1"))?;
        let mut looked = 0_usize;
        while let Some(place) = found.next()? {
            let place: i64 = place.get(0)?;
            if hits.is_full_above(place) || (looked.is_multiple_of(LOOK_UP) && forgotten()) {
                break;
            }
            looked = looked.saturating_add(1);
            for sequence in index::sequences(place, highest) {
                let mut rows = fetch.query([to_sql(sequence)])?;
                // What is not there any more was pruned.
                let Some(found) = rows.next()? else { continue };
                let (seq, at) = (sequence, Time::from_micros(found.get(1)?));
                if index::place(at, seq) == place && hits.wants(at, Sequence(seq), before) && words.within_event(found.get_ref(6)?.as_blob()?) {
                    hits.add(row(found)?);
                }
            }
        }
        Ok(Sequence(from_sql(watermark)))
    }

    fn search_tail(
        &mut self,
        after: Sequence,
        words: &Words,
        before: Option<(Time, Sequence)>,
        hits: &mut Hits,
        forgotten: &dyn Fn() -> bool,
    ) -> Result<(), StoreError> {
        self.snapshot(|conn| {
            let mut select = conn.prepare_cached(&format!("SELECT {COLUMNS} FROM events WHERE seq > ?1 ORDER BY seq DESC"))?;
            let mut rows = select.query([to_sql(after.0)])?;
            let mut looked = 0_usize;
            while let Some(found) = rows.next()? {
                if looked.is_multiple_of(LOOK_UP) && forgotten() {
                    break;
                }
                looked = looked.saturating_add(1);
                let place = (Time::from_micros(found.get(1)?), Sequence(from_sql(found.get(0)?)));
                if hits.wants(place.0, place.1, before) && words.within_event(found.get_ref(6)?.as_blob()?) {
                    hits.add(row(found)?);
                }
            }
            Ok(Ok(()))
        })
    }
}

fn limit(most: usize) -> i64 {
    i64::try_from(most.min(MOST)).unwrap_or(i64::MAX)
}

/// The newest `most` rows that were found.
struct Hits {
    most: usize,
    rows: BTreeMap<(Time, Sequence), Row>,
}

impl Hits {
    fn wants(&self, at: Time, sequence: Sequence, before: Option<(Time, Sequence)>) -> bool {
        before.is_none_or(|before| (at, sequence) < before)
            && (self.rows.len() < self.most || self.rows.first_key_value().is_some_and(|(oldest, _)| *oldest < (at, sequence)))
    }

    fn add(&mut self, row: Row) {
        self.rows.insert((row.at, row.sequence), row);
        if self.rows.len() > self.most {
            self.rows.pop_first();
        }
    }

    /// Whether nothing at this place of the index or further down can be wanted.
    fn is_full_above(&self, place: i64) -> bool {
        self.rows.len() >= self.most && self.rows.first_key_value().is_some_and(|((at, _), _)| place < index::first_place(*at))
    }
}
