//! The log: append, and know when it is durable; read, page, follow, search, checkpoint, prune, back up.
//!
//! A [`Log`] holds the exact encoded bytes of one server's events beside the few columns that it sorts
//! and finds them by. It does not know what events mean. `sqlite` is the one for servers; `memory` the
//! one for simulations. Both run behind the same trait, so that a whole network runs without a disk. Beside
//! the log, `whole` replaces small files.

#[cfg(test)]
mod holes;
pub mod memory;
mod pieces;
mod retention;
#[cfg(test)]
pub(crate) mod rows;
mod spacing;
pub mod sqlite;
pub mod transfer;
pub mod whole;
mod words;

use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;

use crate::model::id::{Incarnation, Origin, Sequence, SystemId};
use crate::model::severity::Severity;
use crate::model::time::{Span, Time};

pub use memory::MemoryLog;
pub use pieces::{Gather, Pieces};
pub use retention::Retention;
pub use sqlite::SqliteLog;

/// An event as the log keeps it: its exact MessagePack bytes, and the columns.
#[derive(Clone, PartialEq, Debug)]
pub struct Row {
    pub sequence: Sequence,
    pub at: Time,
    pub recorded: Time,
    pub severity: Severity,
    pub kind: Arc<str>,
    pub system: Option<SystemId>,
    pub bytes: Bytes,
    /// Of another server's log: that server's signature, for those that it is passed on to.
    pub seal: Option<Bytes>,
}

/// Where a log stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Head {
    pub origin: Origin,
    /// The life of the log that goes on now: the one that *new* events get. Sequences go on across a
    /// restore, so that older rows are events of older incarnations; which, their own bytes say.
    pub incarnation: Incarnation,
    /// The last durable event; 0 when there was none yet.
    pub sequence: Sequence,
    /// The first event that is still held; what lies before was pruned. Behind it there may be holes,
    /// where kinds are kept for different times. One past `sequence` when nothing is held.
    pub base: Sequence,
}

/// Equal spans of time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Scale {
    /// A whole minute, as `step` is a number of them.
    pub from: Time,
    pub step: Span,
    pub buckets: usize,
}

/// How far a log reaches.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Extent {
    pub held: u64,
    pub oldest: Option<Time>,
    pub newest: Option<Time>,
}

/// Whether somebody wants an event, by its severity and its bytes.
pub type Test = Arc<dyn Fn(Severity, &[u8]) -> bool + Send + Sync>;

/// A way through many rows.
#[derive(Clone)]
pub struct Sift {
    pub page: Page,
    /// None before this one is looked at.
    pub since: Option<Time>,
    /// Rows that are wanted at most, and that are looked at.
    pub most: usize,
    pub look: usize,
    pub test: Test,
    /// They are counted instead of gathered.
    pub scale: Option<Scale>,
}

#[derive(Clone, PartialEq, Debug, Default)]
pub struct Sifted {
    pub rows: Vec<Row>,
    pub counts: Vec<[u64; 6]>,
    /// The last row that was looked at.
    pub reached: Option<(Time, Sequence)>,
    /// There is nothing more that way.
    pub complete: bool,
}

pub type Answer<T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send>>;

/// Which way to page, in the order of (`at`, sequence).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Page {
    /// The newest ones before this place (exclusive); none given: from the end. Answered newest first.
    Before(Option<(Time, Sequence)>),
    /// The oldest ones after this place (exclusive); none given: from the start. Answered oldest first.
    After(Option<(Time, Sequence)>),
}

/// From what another server's log begins anew: what lies between is not known.
#[derive(Clone, Debug)]
pub struct Anew {
    /// The life of the log that goes on from there.
    pub incarnation: Incarnation,
    /// Of which event on all is known that may be seen, and the world there.
    pub at: Sequence,
    pub world: Pieces,
    /// Events up to there that are told all the same, oldest first.
    pub rows: Vec<Row>,
    /// What is held after this is in that server's log no more: it was restored from a backup, or cut back.
    pub cut: Option<Sequence>,
}

pub trait Log: Send + Sync + 'static {
    fn head(&self) -> Head;

    /// Wakes when the head has moved.
    fn follow(&self) -> tokio::sync::watch::Receiver<Head>;

    /// Appends rows whose sequences go on from `expected` without a hole. Answers when they are durable.
    /// May be called again before the first is answered: appends are committed in the order of the calls,
    /// as many in one commit as have gathered. After one fails, all that were queued behind it fail too.
    fn append(&self, expected: Sequence, rows: Vec<Row>) -> Answer<()>;

    /// Of another server's log, as far as it was told here: rows after `expected`, with holes where there is
    /// what may not be seen, and the claim that up to `to` nothing else may be. Both are durable together.
    fn claim(&self, expected: Sequence, to: Sequence, rows: Vec<Row>) -> Answer<()>;

    /// Of another server's log: its signatures of the events `from..=to`, as far as there are any.
    fn seals(&self, from: Sequence, to: Sequence) -> Answer<Vec<(Sequence, Bytes)>>;

    /// Of another server's log: rows up to its head that had been missed, each in its place; what is there already
    /// stays as it is. Nothing follows from them: they are history. `last`: no more come soon. Says how many were new.
    fn fill(&self, rows: Vec<Row>, last: bool) -> Answer<u64>;

    /// Begins another server's log anew from a world of it; says how many rows went that are in it no more.
    fn rebase(&self, anew: Anew) -> Answer<u64>;

    /// Rows `from..=to` by sequence, at most `most` of them and some `bytes`; always at least one, if there is one.
    fn range(&self, from: Sequence, to: Sequence, most: usize, bytes: usize) -> Answer<Vec<Row>>;

    /// As [`Log::range`], of what is held: also before the base, where there are holes.
    fn held(&self, from: Sequence, to: Sequence, most: usize, bytes: usize) -> Answer<Vec<Row>>;

    /// A page of the timeline.
    fn page(&self, page: Page, most: usize) -> Answer<Vec<Row>>;

    /// The newest rows whose text holds all of these words (prefixes count), before a place; includes what the index has not reached yet.
    fn search(&self, words: &str, before: Option<(Time, Sequence)>, most: usize) -> Answer<Vec<Row>>;

    /// Rows after `after` by sequence whose `at` lies at or before `until`, in the order of their
    /// sequences, at most `most` of them: what was heard of later.
    fn late(&self, after: Sequence, until: Time, most: usize) -> Answer<Vec<Row>>;

    /// Goes through a part of the timeline for what a test lets pass.
    fn sift(&self, sift: Sift) -> Answer<Sifted>;

    /// How many events there are, and when the first and the last of them happened.
    fn extent(&self) -> Answer<Extent>;

    /// How many events of each severity there are in each span.
    fn density(&self, scale: Scale) -> Answer<Vec<[u64; 6]>>;

    /// Keeps a world's encoding as of `at`. The newest few are held, and some older ones at even distances.
    fn checkpoint(&self, at: Sequence, world: Pieces) -> Answer<()>;

    /// The newest checkpoint.
    fn checkpointed(&self) -> Answer<Option<(Sequence, Bytes)>>;

    /// The places of all checkpoints from which the log goes on without a gap, oldest first.
    fn checkpoints(&self) -> Answer<Vec<Sequence>>;

    /// The checkpoint at this place. Nothing: there is none, or it is not what was written.
    fn checkpoint_at(&self, at: Sequence) -> Answer<Option<Bytes>>;

    /// Deletes what `retention` no longer keeps, never beyond the newest checkpoint; says how many went.
    fn prune(&self, retention: Retention, now: Time) -> Answer<u64>;

    /// A consistent copy into a new file, while the log goes on.
    fn backup(&self, to: &Path) -> Answer<()>;

    /// How things are: for `/metrics` and the mark on line 1.
    fn health(&self) -> Health;

    /// The incarnation and head of the backup that this log was restored from, until
    /// [`Log::restored_said`]: the server appends a `server.restored` that says so first of all.
    fn restored(&self) -> Option<(Incarnation, Sequence)> {
        None
    }

    /// The restore has been said on the timeline, durably.
    fn restored_said(&self) -> Answer<()> {
        Box::pin(std::future::ready(Ok(())))
    }
}

/// Whether `rows` go on from `expected`, and that is where the log stands.
fn goes_on(last: Sequence, expected: Sequence, rows: &[Row]) -> Result<(), StoreError> {
    if expected != last {
        return Err(StoreError::Moved { expected: expected.0, actual: last.0 });
    }
    let mut next = expected.next();
    for row in rows {
        if row.sequence != next {
            return Err(StoreError::Moved { expected: row.sequence.0, actual: next.0 });
        }
        next = next.next();
    }
    Ok(())
}

/// Whether a claim goes on from where the log stands, and its rows lie in it, in order.
fn claims(last: Sequence, expected: Sequence, to: Sequence, rows: &[Row]) -> Result<(), StoreError> {
    if expected != last {
        return Err(StoreError::Moved { expected: expected.0, actual: last.0 });
    }
    let mut known = expected;
    for row in rows {
        if row.sequence <= known || row.sequence > to {
            return Err(StoreError::Moved { expected: row.sequence.0, actual: known.0 });
        }
        known = row.sequence;
    }
    if to < expected { Err(StoreError::Moved { expected: to.0, actual: last.0 }) } else { Ok(()) }
}

/// The log has been stopped, or its writer died: an append may or may not have been kept.
fn gone(path: &str) -> StoreError {
    StoreError::Shut { path: path.into(), why: "it was closed before this was answered".into(), hint: "Start the server anew".into() }
}

fn pruned(from: Sequence, base: Sequence) -> StoreError {
    StoreError::Pruned { what: format!("event {}", from.0), base: base.0 }
}

#[derive(Clone, PartialEq, Debug, Default)]
pub struct Health {
    /// Appends that wait for a commit.
    pub queued: u64,
    /// Events that the full-text index has not reached.
    pub unindexed: u64,
    /// Bytes on disk.
    pub bytes: u64,
    /// Why nothing can be appended now, if so.
    pub failing: Option<String>,
    /// What the full check found wrong with the file, if so. Appends go on: what is readable is worth keeping.
    pub damage: Option<String>,
    /// When the full check, which runs beside everything else, last came to its end.
    pub checked: Option<Time>,
    pub last_backup: Option<Time>,
}

/// What went wrong, where, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    #[error("{path}: {why}. {hint}")]
    Open { path: String, why: String, hint: String },
    #[error("the log stands at {actual}, not at {expected}: somebody else wrote to it")]
    Moved { expected: u64, actual: u64 },
    /// The disk is full or read-only: what was not acknowledged is not kept; later appends may work.
    #[error("cannot write to {path}: {why}. {hint}")]
    Write { path: String, why: String, hint: String },
    /// A write failed in a way after which nobody knows what is on the disk (fsync): the log stays shut until the server is started anew.
    #[error("{path} is shut: {why}. {hint}")]
    Shut { path: String, why: String, hint: String },
    #[error("{path} is damaged: {why}. {hint}")]
    Damaged { path: String, why: String, hint: String },
    #[error("{what} lies before what is kept (from event {base} on)")]
    Pruned { what: String, base: u64 },
}
