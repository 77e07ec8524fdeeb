//! A log that lives in memory: for simulations and tests, deterministic and without threads.
//!
//! It plays the disk as well: what a simulation appends is durable at once, or, after [`MemoryLog::hold`],
//! only when it says [`MemoryLog::commit`]; [`MemoryLog::crash`] forgets what was not durable, as the loss
//! of power would; [`MemoryLog::fail_next`] makes the next commit fail. Clones share one log, so that a
//! server that is started anew finds what the last one left.

use std::collections::{BTreeMap, VecDeque};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::{oneshot, watch};

use super::words::Words;
use super::{Anew, Answer, Extent, Head, Health, Log, Page, Pieces, Retention, Row, Scale, Sift, Sifted, StoreError, spacing};
use crate::model::id::{Incarnation, Origin, Sequence};
use crate::model::time::Time;

#[derive(Clone)]
pub struct MemoryLog {
    state: Arc<Mutex<State>>,
    head: Arc<watch::Sender<Head>>,
}

struct State {
    rows: BTreeMap<u64, Row>,
    /// By `at`, then sequence: the order of a timeline.
    timeline: BTreeMap<(Time, u64), ()>,
    checkpoints: Vec<(Sequence, Bytes)>,
    waiting: Vec<Waiting>,
    held: bool,
    fail: Option<StoreError>,
    /// The next reads fail.
    unreadable: VecDeque<StoreError>,
    shut: Option<StoreError>,
    restored: Option<(Incarnation, Sequence)>,
    /// It is another server's: rows may be missing.
    holes: bool,
}

struct Waiting {
    rows: Vec<Row>,
    /// Where the log stands once they are in it.
    to: Sequence,
    answer: oneshot::Sender<Result<(), StoreError>>,
}

impl MemoryLog {
    pub fn new(origin: Origin, incarnation: Incarnation) -> MemoryLog {
        let state = State {
            rows: BTreeMap::new(),
            timeline: BTreeMap::new(),
            checkpoints: Vec::new(),
            waiting: Vec::new(),
            held: false,
            fail: None,
            unreadable: VecDeque::new(),
            shut: None,
            restored: None,
            holes: false,
        };
        let head = Head { origin, incarnation, sequence: Sequence(0), base: Sequence(1) };
        MemoryLog { state: Arc::new(Mutex::new(state)), head: Arc::new(watch::Sender::new(head)) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on appends wait for [`MemoryLog::commit`].
    pub fn hold(&self) {
        self.state().held = true;
    }

    /// Commits what waits, and from now on at once.
    pub fn release(&self) {
        self.state().held = false;
        self.commit();
    }

    /// Makes durable all that waits, as one group; says how many events that was.
    pub fn commit(&self) -> usize {
        let (answers, outcome, count) = {
            let mut state = self.state();
            let waiting = std::mem::take(&mut state.waiting);
            if waiting.is_empty() {
                return 0;
            }
            if let Some(error) = state.fail.take() {
                if matches!(error, StoreError::Shut { .. }) {
                    state.shut = Some(error.clone());
                }
                (waiting.into_iter().map(|w| w.answer).collect::<Vec<_>>(), Err(error), 0)
            } else {
                let mut answers = Vec::with_capacity(waiting.len());
                let mut last = None;
                let mut count = 0_usize;
                for Waiting { rows, to, answer } in waiting {
                    last = Some(to);
                    for row in rows {
                        count = count.saturating_add(1);
                        state.timeline.insert((row.at, row.sequence.0), ());
                        state.rows.insert(row.sequence.0, row);
                    }
                    answers.push(answer);
                }
                if let Some(last) = last {
                    self.head.send_modify(|head| head.sequence = last);
                }
                (answers, Ok(()), count)
            }
        };
        for answer in answers {
            // Nobody may be waiting any more; what was committed stays so.
            let _ = answer.send(outcome.clone());
        }
        count
    }

    /// The next commit fails like this, and with it all that waits then. [`StoreError::Shut`] stays until
    /// [`MemoryLog::crash`].
    pub fn fail_next(&self, error: StoreError) {
        self.state().fail = Some(error);
    }

    /// The next time that a part of it is read, that fails, too.
    pub fn fail_next_read(&self, error: StoreError) {
        self.state().unreadable.push_back(error);
    }

    /// The server's process dies: what was not durable is forgotten, and who waits for it is not answered
    /// with success. The log can be used again by the next server.
    pub fn crash(&self) {
        let waiting = {
            let mut state = self.state();
            state.fail = None;
            state.shut = None;
            std::mem::take(&mut state.waiting)
        };
        drop(waiting);
    }

    /// Cuts the log back to `head`, as a restored backup would: a new incarnation begins there.
    pub fn cut_back(&self, head: Sequence, incarnation: Incarnation) {
        self.crash();
        let mut state = self.state();
        let gone = state.rows.split_off(&head.0.saturating_add(1));
        for row in gone.values() {
            state.timeline.remove(&(row.at, row.sequence.0));
        }
        state.checkpoints.retain(|(at, _)| *at <= head);
        state.restored = Some((self.head().incarnation, head));
        self.head.send_modify(|now| {
            now.incarnation = incarnation;
            now.sequence = head;
        });
    }

    /// Rows on their way to the disk, if they go on from what waits before them.
    fn put(&self, rows: Vec<Row>, to: Sequence, fits: impl FnOnce(Sequence, &[Row]) -> Result<(), StoreError>) -> Answer<()> {
        let (sender, receiver) = oneshot::channel();
        let held = {
            let mut state = self.state();
            if let Some(error) = &state.shut {
                return ready(Err(error.clone()));
            }
            let last = state.waiting.last().map_or_else(|| self.head().sequence, |waiting| waiting.to);
            if let Err(error) = fits(last, &rows) {
                return ready(Err(error));
            }
            state.waiting.push(Waiting { rows, to, answer: sender });
            state.held
        };
        if !held {
            self.commit();
        }
        Box::pin(async move { receiver.await.unwrap_or_else(|_| Err(super::gone("the log in memory"))) })
    }

    fn row(&self, words: &Words, row: &Row) -> bool {
        words.is_empty() || words.within_event(&row.bytes)
    }
}

fn tally(counts: &mut [[u64; 6]], scale: Scale, row: &Row) {
    let place = row.at.micros().saturating_sub(scale.from.micros()).div_euclid(scale.step.micros().max(1));
    let cell = usize::try_from(place).ok().and_then(|place| counts.get_mut(place));
    if let Some(count) = cell.and_then(|cell| cell.get_mut(usize::from(row.severity.rank()))) {
        *count += 1;
    }
}

/// An answer that is there already.
fn ready<T: Send + 'static>(result: Result<T, StoreError>) -> Answer<T> {
    Box::pin(std::future::ready(result))
}

impl Log for MemoryLog {
    fn head(&self) -> Head {
        *self.head.borrow()
    }

    fn follow(&self) -> watch::Receiver<Head> {
        self.head.subscribe()
    }

    fn append(&self, expected: Sequence, rows: Vec<Row>) -> Answer<()> {
        let to = rows.last().map_or(expected, |row| row.sequence);
        self.put(rows, to, |last, rows| super::goes_on(last, expected, rows))
    }

    fn claim(&self, expected: Sequence, to: Sequence, rows: Vec<Row>) -> Answer<()> {
        self.state().holes = true;
        self.put(rows, to, |last, rows| super::claims(last, expected, to, rows))
    }

    fn seals(&self, from: Sequence, to: Sequence) -> Answer<Vec<(Sequence, Bytes)>> {
        let state = self.state();
        let sealed = if from <= to { Some(state.rows.range(from.0..=to.0)) } else { None };
        ready(Ok(sealed.into_iter().flatten().filter_map(|(_, row)| Some((row.sequence, row.seal.clone()?))).collect()))
    }

    fn fill(&self, rows: Vec<Row>, _last: bool) -> Answer<u64> {
        self.commit();
        let head = self.head().sequence;
        let mut state = self.state();
        if let Some(error) = &state.shut {
            return ready(Err(error.clone()));
        }
        state.holes = true;
        let mut new = 0;
        for row in rows.into_iter().filter(|row| row.sequence <= head) {
            if !state.rows.contains_key(&row.sequence.0) {
                state.timeline.insert((row.at, row.sequence.0), ());
                state.rows.insert(row.sequence.0, row);
                new += 1;
            }
        }
        ready(Ok(new))
    }

    fn rebase(&self, anew: Anew) -> Answer<u64> {
        self.commit();
        let mut state = self.state();
        if let Some(error) = &state.shut {
            return ready(Err(error.clone()));
        }
        state.holes = true;
        let gone = anew.cut.map(|cut| state.rows.split_off(&cut.0.saturating_add(1))).unwrap_or_default();
        for row in gone.values() {
            state.timeline.remove(&(row.at, row.sequence.0));
        }
        for row in anew.rows.into_iter().filter(|row| row.sequence <= anew.at) {
            if !state.rows.contains_key(&row.sequence.0) {
                state.timeline.insert((row.at, row.sequence.0), ());
                state.rows.insert(row.sequence.0, row);
            }
        }
        state.checkpoints = vec![(anew.at, anew.world.whole())];
        self.head.send_modify(|head| *head = Head { incarnation: anew.incarnation, sequence: anew.at, base: anew.at.next(), ..*head });
        ready(Ok(u64::try_from(gone.len()).unwrap_or(u64::MAX)))
    }

    fn range(&self, from: Sequence, to: Sequence, most: usize, bytes: usize) -> Answer<Vec<Row>> {
        let base = self.head().base;
        if from < base {
            return ready(Err(super::pruned(from, base)));
        }
        self.held(from, to, most, bytes)
    }

    fn held(&self, from: Sequence, to: Sequence, most: usize, bytes: usize) -> Answer<Vec<Row>> {
        if let Some(error) = self.state().unreadable.pop_front() {
            return ready(Err(error));
        }
        let mut size = 0_usize;
        let mut out = Vec::new();
        if from <= to {
            for row in self.state().rows.range(from.0..=to.0).map(|(_, row)| row) {
                if !out.is_empty() && (out.len() >= most || size.saturating_add(row.bytes.len()) > bytes) {
                    break;
                }
                size = size.saturating_add(row.bytes.len());
                out.push(row.clone());
            }
        }
        ready(Ok(out))
    }

    fn page(&self, page: Page, most: usize) -> Answer<Vec<Row>> {
        let mut state = self.state();
        if let Some(error) = state.unreadable.pop_front() {
            return ready(Err(error));
        }
        let row = |(key, ()): (&(Time, u64), &())| state.rows.get(&key.1).cloned();
        let rows = match page {
            Page::Before(None) => state.timeline.iter().rev().filter_map(row).take(most).collect(),
            Page::Before(Some((at, sequence))) => state.timeline.range(..(at, sequence.0)).rev().filter_map(row).take(most).collect(),
            Page::After(None) => state.timeline.iter().filter_map(row).take(most).collect(),
            Page::After(Some((at, sequence))) => {
                let after = (std::ops::Bound::Excluded((at, sequence.0)), std::ops::Bound::Unbounded);
                state.timeline.range(after).filter_map(row).take(most).collect()
            }
        };
        ready(Ok(rows))
    }

    fn search(&self, words: &str, before: Option<(Time, Sequence)>, most: usize) -> Answer<Vec<Row>> {
        let words = Words::new(words);
        let state = self.state();
        let end = before.map_or((Time::MAX, u64::MAX), |(at, sequence)| (at, sequence.0));
        let rows = state.timeline.range(..end).rev().filter_map(|(key, ())| state.rows.get(&key.1)).filter(|row| self.row(&words, row));
        ready(Ok(rows.take(most).cloned().collect()))
    }

    fn late(&self, after: Sequence, until: Time, most: usize) -> Answer<Vec<Row>> {
        let state = self.state();
        let rows = state.rows.range(after.0.saturating_add(1)..).map(|(_, row)| row).filter(|row| row.at <= until);
        ready(Ok(rows.take(most).cloned().collect()))
    }

    fn sift(&self, sift: Sift) -> Answer<Sifted> {
        let state = self.state();
        let forward = matches!(sift.page, Page::After(_));
        let range = match sift.page {
            Page::Before(place) => state.timeline.range(..place.map_or((Time::MAX, u64::MAX), |(at, sequence)| (at, sequence.0))),
            Page::After(place) => {
                let after = place.map_or((Time::MIN, 0), |(at, sequence)| (at, sequence.0));
                state.timeline.range((std::ops::Bound::Excluded(after), std::ops::Bound::Unbounded))
            }
        };
        let mut keys: Vec<(Time, u64)> = range.map(|(key, ())| *key).filter(|key| sift.since.is_none_or(|since| key.0 >= since)).collect();
        if !forward {
            keys.reverse();
        }
        let mut out = Sifted { counts: vec![[0; 6]; sift.scale.map_or(0, |scale| scale.buckets)], complete: true, ..Sifted::default() };
        for (looked, (at, sequence)) in (1..).zip(keys) {
            let Some(row) = state.rows.get(&sequence).filter(|row| (sift.test)(row.severity, &row.bytes)).cloned() else {
                out.reached = Some((at, Sequence(sequence)));
                if looked >= sift.look {
                    out.complete = false;
                    break;
                }
                continue;
            };
            match sift.scale {
                Some(scale) => tally(&mut out.counts, scale, &row),
                None => out.rows.push(row),
            }
            out.reached = Some((at, Sequence(sequence)));
            if out.rows.len() >= sift.most || looked >= sift.look {
                out.complete = false;
                break;
            }
        }
        ready(Ok(out))
    }

    fn extent(&self) -> Answer<Extent> {
        let state = self.state();
        let (first, last) = (state.timeline.keys().next().map(|key| key.0), state.timeline.keys().next_back().map(|key| key.0));
        ready(Ok(Extent { held: u64::try_from(state.rows.len()).unwrap_or(u64::MAX), oldest: first, newest: last }))
    }

    fn density(&self, scale: Scale) -> Answer<Vec<[u64; 6]>> {
        let mut counts = vec![[0; 6]; scale.buckets];
        self.state().rows.values().for_each(|row| tally(&mut counts, scale, row));
        ready(Ok(counts))
    }

    fn checkpoint(&self, at: Sequence, world: Pieces) -> Answer<()> {
        let head = self.head().sequence;
        if at > head {
            return ready(Err(StoreError::Moved { expected: at.0, actual: head.0 }));
        }
        let mut state = self.state();
        if let Some(error) = &state.shut {
            return ready(Err(error.clone()));
        }
        state.checkpoints.retain(|(held, _)| *held != at);
        state.checkpoints.push((at, world.whole()));
        state.checkpoints.sort_by_key(|(at, _)| *at);
        let held: Vec<_> = state.checkpoints.iter().map(|(at, world)| (*at, u64::try_from(world.len()).unwrap_or(u64::MAX))).collect();
        let gone = spacing::surplus(&held, self.head().base);
        state.checkpoints.retain(|(at, _)| !gone.contains(at));
        ready(Ok(()))
    }

    fn checkpointed(&self) -> Answer<Option<(Sequence, Bytes)>> {
        ready(Ok(self.state().checkpoints.last().cloned()))
    }

    fn checkpoints(&self) -> Answer<Vec<Sequence>> {
        let base = self.head().base;
        ready(Ok(self.state().checkpoints.iter().map(|(at, _)| *at).filter(|at| at.next() >= base).collect()))
    }

    fn checkpoint_at(&self, at: Sequence) -> Answer<Option<Bytes>> {
        ready(Ok(self.state().checkpoints.iter().find(|(held, _)| *held == at).map(|(_, world)| world.clone())))
    }

    fn prune(&self, retention: Retention, now: Time) -> Answer<u64> {
        let mut state = self.state();
        let Some(until) = state.checkpoints.last().map(|(at, _)| *at) else { return ready(Ok(0)) };
        let gone: Vec<(Time, u64)> =
            state.rows.range(..=until.0).filter(|(_, row)| retention.drops(&row.kind, row.recorded, now)).map(|(sequence, row)| (row.at, *sequence)).collect();
        for key in &gone {
            state.rows.remove(&key.1);
            state.timeline.remove(key);
        }
        let first = if state.holes {
            let last = gone.iter().map(|key| key.1).max().unwrap_or(0);
            self.head().base.max(Sequence(last).next())
        } else {
            state.rows.keys().next().map_or_else(|| self.head().sequence.next(), |first| Sequence(*first))
        };
        self.head.send_if_modified(|head| std::mem::replace(&mut head.base, first) != first);
        ready(Ok(u64::try_from(gone.len()).unwrap_or(u64::MAX)))
    }

    /// There is no file to copy: a simulation keeps clones, or says [`MemoryLog::cut_back`].
    fn backup(&self, to: &Path) -> Answer<()> {
        ready(Err(StoreError::Write {
            path: to.display().to_string(),
            why: "this log lives in memory and cannot be backed up".into(),
            hint: "Start the server with a folder for its log".into(),
        }))
    }

    fn health(&self) -> Health {
        let state = self.state();
        let bytes = state.rows.values().map(|row| row.bytes.len()).fold(0_usize, usize::saturating_add);
        Health {
            queued: u64::try_from(state.waiting.len()).unwrap_or(u64::MAX),
            bytes: u64::try_from(bytes).unwrap_or(u64::MAX),
            failing: state.shut.as_ref().map(ToString::to_string),
            ..Health::default()
        }
    }

    fn restored(&self) -> Option<(Incarnation, Sequence)> {
        self.state().restored
    }

    fn restored_said(&self) -> Answer<()> {
        self.state().restored = None;
        ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::rows::{origin, row, rows};

    fn log() -> MemoryLog {
        MemoryLog::new(origin(), Incarnation(1))
    }

    #[tokio::test]
    async fn a_crash_forgets_what_was_not_durable() {
        let log = log();
        log.append(Sequence(0), rows(1..=3)).await.unwrap();
        log.hold();
        let waiting = log.append(Sequence(3), rows(4..=5));
        assert_eq!(log.head().sequence, Sequence(3));
        log.crash();
        assert!(matches!(waiting.await, Err(StoreError::Shut { .. })));
        log.release();
        log.append(Sequence(3), rows(4..=4)).await.unwrap();
        assert_eq!(log.range(Sequence(1), Sequence(9), 100, 1 << 20).await.unwrap(), rows(1..=4));
    }

    #[tokio::test]
    async fn a_group_is_committed_in_the_order_of_the_calls_and_fails_as_one() {
        let log = log();
        log.hold();
        let first = log.append(Sequence(0), rows(1..=2));
        let second = log.append(Sequence(2), rows(3..=3));
        log.fail_next(StoreError::Write { path: "x".into(), why: "full".into(), hint: "Make room".into() });
        assert_eq!(log.commit(), 0);
        assert!(first.await.is_err() && second.await.is_err());
        let again = log.append(Sequence(0), rows(1..=1));
        assert_eq!(log.commit(), 1);
        again.await.unwrap();
        assert_eq!(log.head().sequence, Sequence(1));
    }

    #[tokio::test]
    async fn what_does_not_go_on_from_the_head_is_refused() {
        let log = log();
        log.append(Sequence(0), rows(1..=2)).await.unwrap();
        assert_eq!(log.append(Sequence(1), rows(2..=2)).await, Err(StoreError::Moved { expected: 1, actual: 2 }));
        assert_eq!(log.append(Sequence(2), vec![row(3), row(5)]).await, Err(StoreError::Moved { expected: 5, actual: 4 }));
    }

    #[tokio::test]
    async fn a_log_that_is_shut_stays_so_until_the_next_start() {
        let log = log();
        log.fail_next(StoreError::Shut { path: "x".into(), why: "fsync failed".into(), hint: "Start anew".into() });
        assert!(log.append(Sequence(0), rows(1..=1)).await.is_err());
        assert!(log.append(Sequence(0), rows(1..=1)).await.is_err());
        assert!(log.health().failing.is_some());
        log.crash();
        log.append(Sequence(0), rows(1..=1)).await.unwrap();
    }

    #[tokio::test]
    async fn a_log_that_was_cut_back_says_so_until_it_was_said() {
        let log = log();
        log.append(Sequence(0), rows(1..=5)).await.unwrap();
        log.cut_back(Sequence(3), Incarnation(2));
        assert_eq!(log.restored(), Some((Incarnation(1), Sequence(3))));
        assert_eq!((log.head().incarnation, log.head().sequence), (Incarnation(2), Sequence(3)));
        log.restored_said().await.unwrap();
        assert_eq!(log.restored(), None);
        assert_eq!(log.page(Page::Before(None), 10).await.unwrap().len(), 3);
    }
}
