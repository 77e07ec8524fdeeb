//! The log of a server, in SQLite: one file of events, one disposable file of its words.
//!
//! A writer thread owns the only connection that writes and commits in groups (`writer`); readers have
//! connections of their own (`reader`), so that a long search holds up neither appends nor pages; the
//! full-text index is filled behind everybody's back (`index`). The folder is locked for one server.

mod backup;
#[cfg(test)]
mod backup_tests;
mod density;
mod error;
mod folder;
mod holes;
mod index;
mod prune;
mod reader;
mod schema;
mod sift;
#[cfg(test)]
mod tests;
mod writer;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rusqlite::{Connection, InterruptHandle, OpenFlags};
use tokio::sync::{oneshot, watch};

pub use backup::restore;
use error::{opening, reading, writing};
use folder::{EVENTS, INDEX};
use reader::{Reader, Task};
use writer::{Job, Writer};

use super::{Anew, Answer, Extent, Head, Health, Log, Page, Pieces, Retention, Row, Scale, Sift, Sifted, StoreError, gone};
use crate::model::id::{Incarnation, Origin, Sequence};
use crate::model::time::Time;

/// Appends that may wait for a commit. More than that is refused: memory is bounded too.
const MOST_QUEUED: u64 = 100_000;
/// Threads for pages and ranges, and (apart, so that it never holds those up) for searches.
const READERS: usize = 2;

/// A log on disk. Dropping it stops its threads and leaves the folder to the next server.
pub struct SqliteLog {
    shared: Arc<Shared>,
    jobs: Option<Sender<Job>>,
    pages: Sender<Task>,
    searches: Sender<Task>,
    threads: Vec<JoinHandle<()>>,
    /// Ends what is being read when the log is dropped.
    interrupts: Vec<InterruptHandle>,
    /// Held until everything above is gone.
    lock: Option<std::fs::File>,
}

/// What the threads of a log know of each other.
struct Shared {
    dir: PathBuf,
    file: PathBuf,
    head: watch::Sender<Head>,
    /// Appends that are not committed yet.
    queued: AtomicU64,
    /// Up to where the full-text index reaches.
    indexed: AtomicU64,
    /// Counts the lives of the index file, so that who has it open notices a new one.
    index_life: AtomicU64,
    index_damaged: AtomicBool,
    /// Something was pruned since the index was counted.
    pruned: AtomicBool,
    /// Somebody wants the index to catch up, whatever it costs.
    hurry: AtomicBool,
    stop: AtomicBool,
    state: Mutex<State>,
    /// Wakes the indexer.
    wake: Condvar,
    /// The indexer has nothing to do, so that the writer has to wake it.
    idle: AtomicBool,
}

#[derive(Default)]
struct State {
    failing: Option<StoreError>,
    shut: Option<StoreError>,
    restored: Option<(Incarnation, Sequence)>,
    last_backup: Option<Time>,
    checked: Option<Time>,
    damage: Option<String>,
    /// Rows appended lately: when this second began, how many came in it, and in the one before.
    second: Option<(Instant, u64, u64)>,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn head(&self) -> Head {
        *self.head.borrow()
    }

    fn shut(&self) -> Option<StoreError> {
        self.state().shut.clone()
    }

    fn failing(&self) -> Option<StoreError> {
        self.state().failing.clone()
    }

    fn works(&self) {
        self.state().failing = None;
    }

    /// Keeps why nothing can be written; some of it until the next start.
    fn fail(&self, error: &StoreError) {
        let mut state = self.state();
        state.failing = Some(error.clone());
        if matches!(error, StoreError::Shut { .. } | StoreError::Damaged { .. }) {
            state.shut = Some(error.clone());
        }
    }

    fn advance(&self, last: Sequence) {
        self.head.send_if_modified(|head| std::mem::replace(&mut head.sequence, last) != last);
    }

    fn based(&self, base: Sequence) {
        self.head.send_if_modified(|head| std::mem::replace(&mut head.base, base) != base);
    }

    /// Rows have been appended: they can be, and the indexer has something to do.
    fn appended(&self, rows: usize) {
        {
            let mut state = self.state();
            state.failing = None;
            let rows = u64::try_from(rows).unwrap_or(u64::MAX);
            let now = Instant::now();
            state.second = Some(match state.second {
                Some((began, count, _)) if now.duration_since(began) > Duration::from_secs(1) => (now, rows, count),
                Some((began, count, before)) => (began, count.saturating_add(rows), before),
                None => (now, rows, 0),
            });
        }
        if self.idle.load(Ordering::SeqCst) {
            self.wake.notify_one();
        }
    }

    /// Rows that were appended in the last second or two.
    fn lately(&self) -> u64 {
        match self.state().second {
            Some((began, count, before)) if began.elapsed() <= Duration::from_secs(1) => count.max(before),
            Some((began, count, _)) if began.elapsed() <= Duration::from_secs(2) => count,
            Some(_) | None => 0,
        }
    }

    fn unindexed(&self) -> u64 {
        self.head().sequence.0.saturating_sub(self.indexed.load(Ordering::Acquire))
    }
}

/// SQLite's integers are signed; a sequence never gets that far.
fn to_sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn from_sql(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// The store runs in no simulation, so that it may read the clock; it does so for its own notes alone.
fn now() -> Time {
    Time::from(jiff::Timestamp::now())
}

impl SqliteLog {
    /// Opens the log in `dir`, or begins one there as `new_incarnation`. Blocks for some milliseconds.
    pub fn open(dir: &Path, origin: Origin, new_incarnation: Incarnation) -> Result<SqliteLog, StoreError> {
        let lock = folder::lock(dir)?;
        let file = dir.join(EVENTS);
        let fresh = !file.exists();
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut conn = Connection::open_with_flags(&file, flags).map_err(|e| opened(&file, &e))?;
        schema::settings(&conn, 2_048).map_err(|e| opened(&file, &e))?;
        // What a file says of itself is read before anything is written to it: it may be another program's.
        schema::check_version(&mut conn, &file, false)?;
        schema::durable(&conn, &file)?;
        // Pages that a failed fsync left in the kernel's cache look as if they were on the disk. Copying
        // the whole write-ahead log writes them anew, so that what is acknowledged from here on stands
        // on what is there.
        conn.wal_checkpoint_v2(None::<&str>, rusqlite::wal::CheckpointMode::TRUNCATE).map_err(|e| writing(&file, &e))?;
        schema::identify(&conn, &file, origin, new_incarnation)?;
        schema::check_lightly(&conn, &file)?;
        if fresh {
            folder::sync_dir(dir)?;
        }
        SqliteLog::start(dir, conn, Some(lock))
    }

    /// Opens the log in `dir` for reading alone, for the command line with no server running (one that
    /// runs is not disturbed). Appends are refused with words.
    pub fn open_read_only(dir: &Path) -> Result<SqliteLog, StoreError> {
        let file = dir.join(EVENTS);
        if let Err(error) = std::fs::File::open(&file) {
            return Err(opening(&file, "there is no log that can be read", &error));
        }
        let mut conn = reader::connect(&file)?;
        schema::check_version(&mut conn, &file, true)?;
        schema::check_lightly(&conn, &file)?;
        SqliteLog::start(dir, conn, None)
    }

    fn start(dir: &Path, conn: Connection, lock: Option<std::fs::File>) -> Result<SqliteLog, StoreError> {
        let file = dir.join(EVENTS);
        let head = schema::head(&conn, &file)?;
        let note = |name: &str| schema::number(&conn, name).map_err(|e| reading(&file, &e));
        let restored = match (note("restored_incarnation")?, note("restored_head")?) {
            (Some(incarnation), Some(head)) => Some((Incarnation(from_sql(incarnation)), Sequence(from_sql(head)))),
            _ => None,
        };
        let last_backup = note("last_backup")?.map(Time::from_micros);
        let shared = Arc::new(Shared {
            dir: dir.to_owned(),
            file: file.clone(),
            head: watch::Sender::new(head),
            queued: AtomicU64::new(0),
            indexed: AtomicU64::new(0),
            index_life: AtomicU64::new(0),
            index_damaged: AtomicBool::new(false),
            pruned: AtomicBool::new(true),
            hurry: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            state: Mutex::new(State { restored, last_backup, ..State::default() }),
            wake: Condvar::new(),
            idle: AtomicBool::new(false),
        });
        let mut threads = Vec::new();
        let mut interrupts = Vec::new();
        let mut spawn = |name: &str, run: Box<dyn FnOnce() + Send>| -> Result<(), StoreError> {
            let thread = std::thread::Builder::new().name(name.into()).spawn(run).map_err(|e| opening(&file, "cannot start a thread", &e))?;
            threads.push(thread);
            Ok(())
        };
        let (pages, tasks) = channel::<Task>();
        let tasks = Arc::new(Mutex::new(tasks));
        for _ in 0..READERS {
            let mut reader = Reader::new(Arc::clone(&shared))?;
            interrupts.push(reader.interrupt());
            let tasks = Arc::clone(&tasks);
            spawn("log-reader", Box::new(move || reader.serve(&tasks)))?;
        }
        let (searches, tasks) = channel::<Task>();
        let mut reader = Reader::new(Arc::clone(&shared))?;
        interrupts.push(reader.interrupt());
        spawn("log-search", Box::new(move || reader.serve(&Mutex::new(tasks))))?;
        let jobs = match &lock {
            None => {
                index::look(&shared);
                None
            }
            Some(_) => {
                let (jobs, queue) = channel();
                let writer = Writer::new(conn, Arc::clone(&shared), queue).map_err(|e| opened(&file, &e))?;
                spawn("log-writer", Box::new(move || writer.run()))?;
                let indexer = index::Indexer::new(Arc::clone(&shared))?;
                interrupts.push(indexer.interrupt());
                spawn("log-index", Box::new(move || indexer.run()))?;
                Some(jobs)
            }
        };
        Ok(SqliteLog { shared, jobs, pages, searches, threads, interrupts, lock })
    }

    /// Has the full-text index catch up now, however busy the log is: after an import, say.
    pub fn index_now(&self) {
        self.shared.hurry.store(true, Ordering::Release);
        drop(self.shared.state());
        self.shared.wake.notify_one();
    }

    fn job<T: Send + 'static>(&self, make: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> Job) -> Answer<T> {
        let path = self.shared.file.display().to_string();
        let Some(jobs) = &self.jobs else {
            let hint = "Stop whatever reads it so, and start the server".into();
            return ready(Err(StoreError::Write { path, why: "it is open for reading alone".into(), hint }));
        };
        let (answer, outcome) = oneshot::channel();
        if jobs.send(make(answer)).is_err() {
            return ready(Err(gone(&path)));
        }
        Box::pin(async move { outcome.await.unwrap_or_else(|_| Err(gone(&path))) })
    }

    fn ask<T: Send + 'static>(
        &self,
        lane: &Sender<Task>,
        read: impl FnOnce(&mut Reader, &reader::Asked<T>) -> Result<T, StoreError> + Send + 'static,
    ) -> Answer<T> {
        let path = self.shared.file.display().to_string();
        let (answer, outcome) = oneshot::channel();
        let asked = reader::Asked::new(answer);
        let task: Task = Box::new(move |reader| {
            if !asked.forgotten() {
                let outcome = read(reader, &asked);
                asked.answer(outcome);
            }
        });
        if lane.send(task).is_err() {
            return ready(Err(gone(&path)));
        }
        Box::pin(async move { outcome.await.unwrap_or_else(|_| Err(gone(&path))) })
    }
}

fn ready<T: Send + 'static>(result: Result<T, StoreError>) -> Answer<T> {
    Box::pin(std::future::ready(result))
}

/// What an error while opening means: a file that SQLite cannot read is damaged, a place where it cannot
/// write is something else.
fn opened(file: &Path, error: &rusqlite::Error) -> StoreError {
    match reading(file, error) {
        StoreError::Damaged { why, .. } if error.sqlite_error().is_some_and(|e| e.extended_code & 0xff == rusqlite::ffi::SQLITE_IOERR) => {
            StoreError::Open { path: file.display().to_string(), why, hint: "Look at the disk (`dmesg`), its free space and the folder's rights".into() }
        }
        other => other,
    }
}

impl Log for SqliteLog {
    fn head(&self) -> Head {
        self.shared.head()
    }

    fn follow(&self) -> watch::Receiver<Head> {
        self.shared.head.subscribe()
    }

    fn append(&self, expected: Sequence, rows: Vec<Row>) -> Answer<()> {
        if self.shared.queued.fetch_add(1, Ordering::Relaxed) >= MOST_QUEUED {
            self.shared.queued.fetch_sub(1, Ordering::Relaxed);
            return ready(Err(StoreError::Write {
                path: self.shared.file.display().to_string(),
                why: format!("{MOST_QUEUED} appends wait for the disk already"),
                hint: "Try again when they are done; if it stays so, look at the disk".into(),
            }));
        }
        if self.jobs.is_none() {
            self.shared.queued.fetch_sub(1, Ordering::Relaxed);
        }
        self.job(|answer| Job::Append { expected, rows, answer })
    }

    fn claim(&self, expected: Sequence, to: Sequence, rows: Vec<Row>) -> Answer<()> {
        self.job(|answer| Job::Claim { expected, to, rows, answer })
    }

    fn seals(&self, from: Sequence, to: Sequence) -> Answer<Vec<(Sequence, Bytes)>> {
        self.ask(&self.pages, move |reader, _| reader.seals(from, to))
    }

    fn fill(&self, rows: Vec<Row>, last: bool) -> Answer<u64> {
        self.job(|answer| Job::Fill { rows, last, answer })
    }

    fn rebase(&self, anew: Anew) -> Answer<u64> {
        self.job(|answer| Job::Rebase { anew, answer })
    }

    fn range(&self, from: Sequence, to: Sequence, most: usize, bytes: usize) -> Answer<Vec<Row>> {
        self.ask(&self.pages, move |reader, _| reader.range(from, to, most, bytes))
    }

    fn held(&self, from: Sequence, to: Sequence, most: usize, bytes: usize) -> Answer<Vec<Row>> {
        self.ask(&self.pages, move |reader, _| reader.held(from, to, most, bytes))
    }

    fn page(&self, page: Page, most: usize) -> Answer<Vec<Row>> {
        self.ask(&self.pages, move |reader, _| reader.page(page, most))
    }

    fn search(&self, words: &str, before: Option<(Time, Sequence)>, most: usize) -> Answer<Vec<Row>> {
        let words = super::words::Words::new(words);
        self.ask(&self.searches, move |reader, asked| {
            if words.is_empty() { reader.page(Page::Before(before), most) } else { reader.search(&words, before, most, &|| asked.forgotten()) }
        })
    }

    fn sift(&self, sift: Sift) -> Answer<Sifted> {
        self.ask(&self.searches, move |reader, asked| reader.sift(&sift, &|| asked.forgotten()))
    }

    fn extent(&self) -> Answer<Extent> {
        self.ask(&self.pages, |reader, _| reader.extent())
    }

    fn density(&self, scale: Scale) -> Answer<Vec<[u64; 6]>> {
        self.ask(&self.pages, move |reader, _| reader.density(scale))
    }

    fn checkpoint(&self, at: Sequence, world: Pieces) -> Answer<()> {
        self.job(|answer| Job::Checkpoint { at, world, answer })
    }

    fn checkpointed(&self) -> Answer<Option<(Sequence, Bytes)>> {
        self.ask(&self.pages, |reader, _| reader.checkpointed())
    }

    fn late(&self, after: Sequence, until: Time, most: usize) -> Answer<Vec<Row>> {
        self.ask(&self.pages, move |reader, _| reader.late(after, until, most))
    }

    fn checkpoints(&self) -> Answer<Vec<Sequence>> {
        self.ask(&self.pages, |reader, _| reader.checkpoints())
    }

    fn checkpoint_at(&self, at: Sequence) -> Answer<Option<Bytes>> {
        self.ask(&self.pages, move |reader, _| reader.checkpoint_at(at))
    }

    fn prune(&self, retention: Retention, now: Time) -> Answer<u64> {
        self.job(|answer| Job::Prune { retention, now, answer })
    }

    fn backup(&self, to: &Path) -> Answer<()> {
        let (shared, to) = (Arc::clone(&self.shared), to.to_owned());
        let path = self.shared.file.display().to_string();
        let (answer, outcome) = oneshot::channel();
        // A copy takes as long as the log is large: it gets a thread of its own.
        let thread = std::thread::Builder::new().name("log-backup".into()).spawn(move || {
            let _ = answer.send(backup::backup(&shared, &to));
        });
        if let Err(error) = thread {
            return ready(Err(opening(&self.shared.file, "cannot start a thread", &error)));
        }
        let jobs = self.jobs.clone();
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            outcome.await.unwrap_or_else(|_| Err(gone(&path)))?;
            let at = now();
            shared.state().last_backup = Some(at);
            if let Some(jobs) = jobs {
                let (answer, noted) = oneshot::channel();
                // The backup is there, whether or not the log can note it just now.
                if jobs.send(Job::Note { numbers: vec![("last_backup", Some(at.micros()))], answer }).is_ok() {
                    let _ = noted.await;
                }
            }
            Ok(())
        })
    }

    fn health(&self) -> Health {
        let state = self.shared.state();
        Health {
            queued: self.shared.queued.load(Ordering::Relaxed),
            unindexed: self.shared.unindexed(),
            bytes: folder::size(&self.shared.file).saturating_add(folder::size(&self.shared.dir.join(INDEX))),
            failing: state.failing.as_ref().map(ToString::to_string),
            damage: state.damage.clone(),
            checked: state.checked,
            last_backup: state.last_backup,
        }
    }

    fn restored(&self) -> Option<(Incarnation, Sequence)> {
        self.shared.state().restored
    }

    fn restored_said(&self) -> Answer<()> {
        let said = self.job(|answer| Job::Note { numbers: vec![("restored_incarnation", None), ("restored_head", None)], answer });
        let shared = Arc::clone(&self.shared);
        Box::pin(async move {
            said.await?;
            shared.state().restored = None;
            Ok(())
        })
    }
}

impl Drop for SqliteLog {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        // Whoever is about to sleep looks at `stop` under this lock.
        drop(self.shared.state());
        self.shared.wake.notify_all();
        self.interrupts.iter().for_each(InterruptHandle::interrupt);
        if let Some(jobs) = self.jobs.take() {
            // A backup may hold on to the queue for longer: the writer is told rather than left alone.
            let _ = jobs.send(Job::Stop);
        }
        // Whoever waits in a queue sees its end once the sender is gone.
        self.pages = channel().0;
        self.searches = channel().0;
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
        self.lock = None;
    }
}
