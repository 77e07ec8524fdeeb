//! The one thread that writes: it commits what has gathered in its queue as one group, and answers when
//! that is on the disk. Pruning and the write-ahead log's own checkpoints go in between, in small steps.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError};
use std::time::{Duration, Instant};

use rusqlite::blob::ZeroBlob;
use rusqlite::hooks::Wal;
use rusqlite::wal::CheckpointMode;
use rusqlite::{Connection, Statement};
use tokio::sync::oneshot;

use super::error::writing;
use super::prune::Pruning;
use super::{Shared, schema, to_sql};
use crate::model::id::Sequence;
use crate::model::time::Time;
use crate::store::{Anew, Pieces, Retention, Row, StoreError, goes_on, spacing};

pub(super) type Answered<T> = oneshot::Sender<Result<T, StoreError>>;

pub(super) enum Job {
    Append {
        expected: Sequence,
        rows: Vec<Row>,
        answer: Answered<()>,
    },
    /// Of another server's log (`holes`).
    Claim {
        expected: Sequence,
        to: Sequence,
        rows: Vec<Row>,
        answer: Answered<()>,
    },
    Fill {
        rows: Vec<Row>,
        last: bool,
        answer: Answered<u64>,
    },
    Rebase {
        anew: Anew,
        answer: Answered<u64>,
    },
    Checkpoint {
        at: Sequence,
        world: Pieces,
        answer: Answered<()>,
    },
    Prune {
        retention: Retention,
        now: Time,
        answer: Answered<u64>,
    },
    /// Numbers to keep in `meta`.
    Note {
        numbers: Vec<(&'static str, Option<i64>)>,
        answer: Answered<()>,
    },
    Stop,
}

/// Rows, and bytes, of one group: what a commit takes then is still a few milliseconds.
const GROUP_ROWS: usize = 8_192;
const GROUP_BYTES: usize = 8 << 20;
/// Pages of the write-ahead log (of 4 KiB) after which they are copied into the database.
const WAL_PAGES: u64 = 2_000;
/// Under load, pruning takes one step in this time.
const PRUNE_EVERY: Duration = Duration::from_millis(20);
/// How often it is tried whether there is room again.
const PROBE_EVERY: Duration = Duration::from_secs(1);

pub(super) const INSERT: &str = "INSERT INTO events (seq, at, recorded, severity, kind, system, bytes) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";

pub(super) fn put(insert: &mut Statement<'_>, row: &Row) -> rusqlite::Result<()> {
    let system = row.system.as_ref().map(|system| system.as_str());
    let place = (to_sql(row.sequence.0), row.at.micros(), row.recorded.micros());
    insert.execute((place.0, place.1, place.2, row.severity.rank(), &*row.kind, system, &*row.bytes)).map(|_| ())
}

/// Written part by part: nothing as large as the whole is ever held.
pub(super) fn keep_world(conn: &Connection, at: Sequence, world: &Pieces) -> rusqlite::Result<()> {
    let mut crc = flate2::Crc::new();
    world.parts().iter().for_each(|part| crc.update(part));
    let room = ZeroBlob(u64::try_from(world.len()).unwrap_or(u64::MAX));
    conn.prepare_cached("INSERT OR REPLACE INTO checkpoints (at, crc, world) VALUES (?1, ?2, ?3)")?.execute((to_sql(at.0), crc.sum(), room))?;
    let mut blob = conn.blob_open("main", "checkpoints", "world", to_sql(at.0), false)?;
    let mut offset = 0;
    for part in world.parts() {
        blob.write_all_at(part, offset)?;
        offset = offset.saturating_add(part.len());
    }
    blob.close()
}

pub(super) struct Writer {
    pub(super) conn: Connection,
    pub(super) shared: Arc<Shared>,
    jobs: Receiver<Job>,
    /// Taken from the channel and not begun.
    waiting: VecDeque<Job>,
    /// Pages in the write-ahead log after the last commit.
    pages: Arc<AtomicU64>,
    /// Pages at which the next checkpoint of the write-ahead log is due.
    due: u64,
    pruning: VecDeque<Pruning>,
    stepped: Instant,
    probed: Instant,
}

impl Writer {
    pub(super) fn new(mut conn: Connection, shared: Arc<Shared>, jobs: Receiver<Job>) -> rusqlite::Result<Writer> {
        let pages = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&pages);
        conn.wal_hook(Some(move |_: &mut Wal, pages| {
            count.store(u64::try_from(pages).unwrap_or(0), Ordering::Relaxed);
            Ok(())
        }))?;
        let now = Instant::now();
        Ok(Writer { conn, shared, jobs, waiting: VecDeque::new(), pages, due: WAL_PAGES, pruning: VecDeque::new(), stepped: now, probed: now })
    }

    pub(super) fn run(mut self) {
        loop {
            match self.next() {
                Some(Job::Append { expected, rows, answer }) => self.group(expected, rows, answer),
                Some(Job::Claim { expected, to, rows, answer }) => self.answer(answer, |w| w.claim(expected, to, &rows)),
                Some(Job::Fill { rows, last, answer }) => self.answer(answer, |w| w.fill(&rows, last)),
                Some(Job::Rebase { anew, answer }) => self.answer(answer, |w| w.rebase(&anew)),
                Some(Job::Checkpoint { at, world, answer }) => self.answer(answer, |w| w.checkpoint(at, &world)),
                Some(Job::Prune { retention, now, answer }) => self.pruning.push_back(Pruning::new(retention, now, answer)),
                Some(Job::Note { numbers, answer }) => self.answer(answer, |w| w.note(&numbers)),
                Some(Job::Stop) => break,
                None => {}
            }
            self.copy_pages();
            self.prune();
            self.probe();
        }
        self.fold_up();
    }

    /// The next job; none when there is other work to do meanwhile.
    fn next(&mut self) -> Option<Job> {
        if let Some(job) = self.waiting.pop_front() {
            return Some(job);
        }
        if !self.pruning.is_empty() {
            return match self.jobs.try_recv() {
                Ok(job) => Some(job),
                Err(TryRecvError::Empty) => None,
                Err(TryRecvError::Disconnected) => Some(Job::Stop),
            };
        }
        if self.shared.failing().is_some() && self.shared.shut().is_none() {
            return match self.jobs.recv_timeout(PROBE_EVERY) {
                Ok(job) => Some(job),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => Some(Job::Stop),
            };
        }
        Some(self.jobs.recv().unwrap_or(Job::Stop))
    }

    fn answer<T>(&mut self, answer: Answered<T>, work: impl FnOnce(&mut Writer) -> Result<T, StoreError>) {
        let outcome = match self.shared.shut() {
            Some(error) => Err(error),
            None => work(self),
        };
        // Who asked may have gone; what was done stays done.
        let _ = answer.send(outcome);
    }

    /// Commits this append and those that wait behind it as one.
    fn group(&mut self, expected: Sequence, rows: Vec<Row>, answer: Answered<()>) {
        let mut count = rows.len();
        let mut bytes: usize = rows.iter().map(|row| row.bytes.len()).sum();
        let mut group = vec![(expected, rows, answer)];
        while count < GROUP_ROWS && bytes < GROUP_BYTES {
            match self.jobs.try_recv() {
                Ok(Job::Append { expected, rows, answer }) => {
                    count = count.saturating_add(rows.len());
                    bytes = bytes.saturating_add(rows.iter().map(|row| row.bytes.len()).sum());
                    group.push((expected, rows, answer));
                }
                Ok(other) => {
                    self.waiting.push_back(other);
                    break;
                }
                Err(_) => break,
            }
        }
        self.shared.queued.fetch_sub(u64::try_from(group.len()).unwrap_or(0), Ordering::Relaxed);
        let outcome = match self.shared.shut() {
            Some(error) => Err(error),
            None => self.commit(&group).map_err(|error| self.failed(&error)),
        };
        match outcome {
            Ok((last, verdicts)) => {
                self.shared.advance(last);
                for ((_, _, answer), verdict) in group.into_iter().zip(verdicts) {
                    let _ = answer.send(verdict);
                }
                self.shared.appended(count);
            }
            Err(error) => {
                for (_, _, answer) in group {
                    let _ = answer.send(Err(error.clone()));
                }
                self.fail_queued(&error);
            }
        }
    }

    /// What was queued behind a failed group goes on from events that do not exist: it fails alike.
    fn fail_queued(&mut self, error: &StoreError) {
        let mut jobs = std::mem::take(&mut self.waiting);
        jobs.extend(self.jobs.try_iter());
        for job in jobs {
            match job {
                Job::Append { answer, .. } => {
                    self.shared.queued.fetch_sub(1, Ordering::Relaxed);
                    let _ = answer.send(Err(error.clone()));
                }
                other => self.waiting.push_back(other),
            }
        }
    }

    /// Where the log stands after the commit, and what to say of each append: one that does not go on
    /// from where the log stands is refused alone.
    fn commit(&self, group: &[(Sequence, Vec<Row>, Answered<()>)]) -> rusqlite::Result<(Sequence, Vec<Result<(), StoreError>>)> {
        let mut last = self.shared.head().sequence;
        let mut verdicts = Vec::with_capacity(group.len());
        self.conn.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        {
            let mut insert = self.conn.prepare_cached(INSERT)?;
            for (expected, rows, _) in group {
                let verdict = goes_on(last, *expected, rows);
                if verdict.is_ok() {
                    for row in rows {
                        put(&mut insert, row)?;
                        last = row.sequence;
                    }
                }
                verdicts.push(verdict);
            }
        }
        self.conn.prepare_cached("COMMIT")?.execute([])?;
        Ok((last, verdicts))
    }

    fn checkpoint(&mut self, at: Sequence, world: &Pieces) -> Result<(), StoreError> {
        let head = self.shared.head().sequence;
        if at > head {
            return Err(StoreError::Moved { expected: at.0, actual: head.0 });
        }
        let keep = || -> rusqlite::Result<()> {
            self.conn.execute_batch("BEGIN IMMEDIATE")?;
            keep_world(&self.conn, at, world)?;
            let held: Vec<(Sequence, u64)> = self
                .conn
                .prepare_cached("SELECT at, length(world) FROM checkpoints ORDER BY at")?
                .query_map([], |row| Ok((Sequence(super::from_sql(row.get(0)?)), super::from_sql(row.get(1)?))))?
                .collect::<Result<_, _>>()?;
            for gone in spacing::surplus(&held, self.shared.head().base) {
                self.conn.prepare_cached("DELETE FROM checkpoints WHERE at = ?1")?.execute([to_sql(gone.0)])?;
            }
            self.conn.execute_batch("COMMIT")
        };
        keep().map_err(|error| self.failed(&error))
    }

    fn note(&mut self, numbers: &[(&'static str, Option<i64>)]) -> Result<(), StoreError> {
        let keep = || -> rusqlite::Result<()> {
            self.conn.execute_batch("BEGIN IMMEDIATE")?;
            for (name, value) in numbers {
                schema::set_number(&self.conn, name, *value)?;
            }
            self.conn.execute_batch("COMMIT")
        };
        keep().map_err(|error| self.failed(&error))
    }

    /// Says what a failed write means, takes it back, and makes sure that the log stands where it stood.
    pub(super) fn failed(&self, error: &rusqlite::Error) -> StoreError {
        let mut meaning = writing(&self.shared.file, error);
        let known = (self.conn.is_autocommit() || self.conn.execute_batch("ROLLBACK").is_ok())
            && schema::head(&self.conn, &self.shared.file).is_ok_and(|head| head.sequence == self.shared.head().sequence);
        if let (StoreError::Write { path, why, .. }, false) = (&meaning, known) {
            meaning = StoreError::Shut {
                path: path.clone(),
                why: format!("{why}, and the write that failed could not be taken back"),
                hint: "Start the server anew: it then reads what there is".into(),
            };
        }
        self.shared.fail(&meaning);
        meaning
    }

    /// Copies the write-ahead log into the database once it has grown, after the answers went out.
    fn copy_pages(&mut self) {
        let pages = self.pages.load(Ordering::Relaxed);
        if pages < self.due {
            // The log began anew.
            self.due = self.due.min(pages.saturating_add(WAL_PAGES)).max(WAL_PAGES);
            return;
        }
        if self.shared.shut().is_some() {
            return;
        }
        match self.conn.wal_checkpoint_v2(None::<&str>, CheckpointMode::PASSIVE) {
            // Readers may hold a part of it: then the rest is for next time.
            Ok(_) => self.due = pages.saturating_add(WAL_PAGES),
            Err(error) if error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy) => self.due = pages.saturating_add(WAL_PAGES),
            Err(error) => {
                self.due = pages.saturating_add(WAL_PAGES);
                self.shared.fail(&writing(&self.shared.file, &error));
            }
        }
    }

    fn prune(&mut self) {
        let Some(pruning) = self.pruning.front_mut() else { return };
        if self.shared.queued.load(Ordering::Relaxed) > 0 && self.stepped.elapsed() < PRUNE_EVERY {
            return;
        }
        if let Some(error) = self.shared.shut() {
            self.pruning.drain(..).for_each(|pruning| pruning.end(Err(error.clone())));
            return;
        }
        let outcome = pruning.step(&self.conn);
        self.stepped = Instant::now();
        let done = match outcome {
            Ok(done) => {
                if let Ok(head) = schema::head(&self.conn, &self.shared.file) {
                    self.shared.based(head.base);
                }
                done.then_some(Ok(()))
            }
            Err(error) => Some(Err(self.failed(&error))),
        };
        if let Some(outcome) = done
            && let Some(pruning) = self.pruning.pop_front()
        {
            pruning.end(outcome);
            // What the index has counted is to be counted anew.
            self.shared.pruned.store(true, Ordering::Release);
            drop(self.shared.state());
            self.shared.wake.notify_one();
        }
    }

    /// While the disk is full nobody may be asking: tries by itself whether it still is.
    fn probe(&mut self) {
        if self.shared.failing().is_none() || self.shared.shut().is_some() || self.probed.elapsed() < PROBE_EVERY {
            return;
        }
        self.probed = Instant::now();
        if self.note(&[("probed", Some(super::now().micros()))]).is_ok() {
            self.shared.works();
        }
    }

    /// Leaves one file behind, without a write-ahead log, when the server stops.
    fn fold_up(self) {
        for pruning in self.pruning {
            pruning.end(Err(crate::store::gone(&self.shared.file.display().to_string())));
        }
        if self.shared.shut().is_none() {
            // What it could not do, the next start does.
            let _ = self.conn.wal_checkpoint_v2(None::<&str>, CheckpointMode::TRUNCATE);
        }
    }
}
