//! Many files as one stream, in the order of time: threads scan ahead, one place merges.
//!
//! Memory stays bounded: of each file only a window is held. Within it, lines that are out of order are
//! sorted; one that comes later still is passed on when it is met, and counted.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::io;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use super::scan::{Batch, CHUNK, Found, Scanner};

/// Bytes of all files together within which lines may be out of order.
const WINDOW: u64 = 16 << 20;
/// Bytes that are scanned ahead of the merge, for each file.
const AHEAD: u64 = 4 * CHUNK as u64;

/// Takes a file's number, an event and its bytes.
pub type Emit<'a> = &'a mut dyn FnMut(usize, &Found, &[u8]) -> io::Result<()>;

/// An event by time and place in its file, and where it is held: batch and index.
type Held = Reverse<(i64, u64, usize, usize)>;

/// Which of several sorted runs comes next: the earliest, and of equals the first.
#[derive(Debug)]
pub struct Order {
    heads: Vec<i64>,
    live: Vec<bool>,
    /// For more runs than are worth looking through.
    heap: Option<BinaryHeap<Reverse<(i64, usize)>>>,
}

impl Order {
    pub fn new(heads: impl IntoIterator<Item = Option<i64>>) -> Order {
        let heads: Vec<Option<i64>> = heads.into_iter().collect();
        let heap = (heads.len() > 16).then(|| heads.iter().enumerate().filter_map(|(i, head)| head.map(|at| Reverse((at, i)))).collect());
        Order { live: heads.iter().map(Option::is_some).collect(), heads: heads.into_iter().map(|head| head.unwrap_or(i64::MAX)).collect(), heap }
    }

    /// The run whose head is next.
    #[inline]
    pub fn first(&self) -> Option<usize> {
        if let Some(heap) = &self.heap {
            return heap.peek().map(|Reverse((_, run))| *run);
        }
        let mut best: Option<(usize, i64)> = None;
        for (run, (at, live)) in self.heads.iter().zip(&self.live).enumerate() {
            if *live && best.is_none_or(|(_, least)| *at < least) {
                best = Some((run, *at));
            }
        }
        best.map(|(run, _)| run)
    }

    /// The run that was first has another head now, or none.
    #[inline]
    pub fn advance(&mut self, run: usize, head: Option<i64>) {
        if let Some(heap) = &mut self.heap {
            if let Some(mut top) = heap.peek_mut() {
                match head {
                    Some(at) => *top = Reverse((at, run)),
                    None => {
                        std::collections::binary_heap::PeekMut::pop(top);
                    }
                }
            }
            return;
        }
        if let (Some(at), Some(live)) = (self.heads.get_mut(run), self.live.get_mut(run)) {
            *at = head.unwrap_or(i64::MAX);
            *live = head.is_some();
        }
    }
}

/// What became of one file.
#[derive(Debug)]
pub struct Outcome {
    /// Events that came so late that they stand after later ones.
    pub late: u64,
    /// Events that were cut off.
    pub cut: u64,
    /// What kept it from being read to its end.
    pub error: Option<io::Error>,
}

/// How a merge went.
#[derive(Debug, Default)]
pub struct Totals {
    /// Events that were found.
    pub count: u64,
    pub files: Vec<Outcome>,
    /// As they were when they had nothing more, in their order: of a file that grows, one goes on from there.
    pub scanners: Vec<Scanner>,
}

/// Merges what the scanners find; `emit` is handed file, event and bytes, and may end it with an error.
pub fn merge(scanners: Vec<Scanner>, threads: usize, emit: Emit<'_>) -> io::Result<Totals> {
    let files = scanners.len();
    let window = (WINDOW / u64::try_from(files.max(1)).unwrap_or(1)).clamp(CHUNK as u64, 4 << 20);
    let desk =
        Desk { state: Mutex::new(State { slots: scanners.into_iter().map(Slot::new).collect(), stop: false }), work: Condvar::new(), done: Condvar::new() };
    let mut totals = std::thread::scope(|scope| {
        for _ in 0..threads.clamp(1, files.max(1)) {
            scope.spawn(|| desk.work());
        }
        let merged = desk.merge(files, window, emit);
        desk.lock().stop = true;
        desk.work.notify_all();
        merged
    })?;
    let state = desk.state.into_inner().unwrap_or_else(PoisonError::into_inner);
    totals.scanners = state.slots.into_iter().filter_map(|slot| slot.scanner).map(|scanner| *scanner).collect();
    Ok(totals)
}

/// What the threads share.
struct Desk {
    state: Mutex<State>,
    /// There is something to scan, or nothing more at all.
    work: Condvar,
    /// Something was scanned.
    done: Condvar,
}

struct State {
    slots: Vec<Slot>,
    stop: bool,
}

struct Slot {
    /// Absent while a thread has it.
    scanner: Option<Box<Scanner>>,
    ready: VecDeque<Batch>,
    ready_span: u64,
    spare: Vec<Vec<u8>>,
    finished: bool,
    error: Option<io::Error>,
    cut: u64,
}

impl Slot {
    fn new(scanner: Scanner) -> Slot {
        Slot { scanner: Some(Box::new(scanner)), ready: VecDeque::new(), ready_span: 0, spare: Vec::new(), finished: false, error: None, cut: 0 }
    }
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One thread: scans whichever file has least ready.
    fn work(&self) {
        let mut state = self.lock();
        loop {
            if state.stop || state.slots.iter().all(|slot| slot.finished) {
                return;
            }
            let next = state
                .slots
                .iter_mut()
                .enumerate()
                .filter(|(_, slot)| slot.scanner.is_some() && !slot.finished && slot.ready_span < AHEAD)
                .min_by_key(|(_, slot)| slot.ready_span);
            let Some((index, slot)) = next else {
                state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let Some(mut scanner) = slot.scanner.take() else { continue };
            let mut spare = slot.spare.pop().unwrap_or_default();
            drop(state);
            let result = scanner.next(&mut spare);
            state = self.lock();
            if let Some(slot) = state.slots.get_mut(index) {
                if spare.capacity() > 0 {
                    slot.spare.push(spare);
                }
                slot.cut = scanner.cut;
                match result {
                    Ok(Some(batch)) => {
                        slot.ready_span += batch.span.max(1);
                        slot.ready.push_back(batch);
                    }
                    Ok(None) => slot.finished = true,
                    Err(error) => {
                        slot.error = Some(error);
                        slot.finished = true;
                    }
                }
                slot.scanner = Some(scanner);
                if slot.finished {
                    self.work.notify_all();
                }
            }
            self.done.notify_one();
        }
    }

    fn merge(&self, files: usize, window: u64, emit: Emit<'_>) -> io::Result<Totals> {
        let mut heads: Vec<Head> = (0..files).map(|_| Head::default()).collect();
        let mut totals = Totals::default();
        for (file, head) in heads.iter_mut().enumerate() {
            self.load(file, head, window, &mut totals.count);
        }
        let mut order = Order::new(heads.iter().map(Head::at));
        while let Some(file) = order.first() {
            let Some(head) = heads.get_mut(file) else { break };
            head.emit(file, emit)?;
            totals.count += 1;
            if head.wants_more(window) {
                self.load(file, head, window, &mut totals.count);
            }
            order.advance(file, head.at());
        }
        let mut state = self.lock();
        for (slot, head) in state.slots.iter_mut().zip(heads) {
            totals.files.push(Outcome { late: head.late, cut: slot.cut, error: slot.error.take() });
        }
        Ok(totals)
    }

    /// Takes what is ready for a file until it has its window, or ended; waits for it.
    fn load(&self, file: usize, head: &mut Head, window: u64, count: &mut u64) {
        let mut state = self.lock();
        loop {
            let Some(slot) = state.slots.get_mut(file) else { return };
            slot.spare.append(&mut head.spent);
            let mut taken = false;
            while head.wants_more(window) {
                let Some(batch) = slot.ready.pop_front() else {
                    head.ended = slot.finished;
                    break;
                };
                slot.ready_span = slot.ready_span.saturating_sub(batch.span.max(1));
                *count += batch.count;
                head.take(batch);
                taken = true;
            }
            if taken {
                self.work.notify_one();
            }
            if !head.wants_more(window) {
                return;
            }
            state = self.done.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// One file at the merge: what of it is held.
#[derive(Default)]
struct Head {
    batches: VecDeque<Batch>,
    /// How many events of each are left.
    left: VecDeque<usize>,
    /// Batches that went before the first one held.
    gone: usize,
    /// The next event, in the first batch.
    next: usize,
    /// When what is held is out of order: every event that is left, by time and place.
    unsorted: Option<BinaryHeap<Held>>,
    /// The latest time that was taken.
    latest: Option<i64>,
    /// The latest time that was passed on.
    passed: Option<i64>,
    /// How far into the file what is held reaches.
    seen: u64,
    ended: bool,
    late: u64,
    spent: Vec<Vec<u8>>,
}

impl Head {
    #[inline]
    fn current(&self) -> Option<&Found> {
        match &self.unsorted {
            None => self.batches.front()?.found.get(self.next),
            Some(heap) => {
                let Reverse((_, _, batch, index)) = heap.peek()?;
                self.batches.get(batch.checked_sub(self.gone)?)?.found.get(*index)
            }
        }
    }

    #[inline]
    fn at(&self) -> Option<i64> {
        self.current().map(|found| found.at)
    }

    #[inline]
    fn wants_more(&self, window: u64) -> bool {
        !self.ended && self.current().is_none_or(|found| self.seen < found.position + window)
    }

    fn take(&mut self, batch: Batch) {
        self.seen += batch.span;
        if batch.found.is_empty() {
            self.spend(batch);
            return;
        }
        let mut latest = self.latest.unwrap_or(i64::MIN);
        let mut sorted = true;
        for found in &batch.found {
            sorted &= found.at >= latest;
            latest = latest.max(found.at);
        }
        self.latest = Some(latest);
        self.left.push_back(batch.found.len());
        self.batches.push_back(batch);
        match &mut self.unsorted {
            Some(heap) => {
                let number = self.gone + self.batches.len() - 1;
                heap.extend(self.batches.back().into_iter().flat_map(|b| b.found.iter().enumerate()).map(|(i, f)| Reverse((f.at, f.position, number, i))));
            }
            None if !sorted => {
                let (gone, next) = (self.gone, self.next);
                let all = self.batches.iter().enumerate().flat_map(|(b, batch)| {
                    let skip = if b == 0 { next } else { 0 };
                    batch.found.iter().enumerate().skip(skip).map(move |(i, found)| Reverse((found.at, found.position, gone + b, i)))
                });
                self.unsorted = Some(all.collect());
            }
            None => {}
        }
    }

    fn emit(&mut self, file: usize, emit: Emit<'_>) -> io::Result<()> {
        let (batch, index) = match &mut self.unsorted {
            None => (0, self.next),
            Some(heap) => match heap.pop() {
                Some(Reverse((_, _, batch, index))) => (batch - self.gone, index),
                None => return Ok(()),
            },
        };
        if let Some(held) = self.batches.get(batch)
            && let Some(found) = held.found.get(index)
        {
            let (from, length) = (usize::try_from(found.offset).unwrap_or(0), usize::try_from(found.length).unwrap_or(0));
            emit(file, found, held.bytes.get(from..from + length).unwrap_or(&[]))?;
            if self.passed.is_some_and(|passed| found.at < passed) {
                self.late += 1;
            }
            self.passed = self.passed.max(Some(found.at));
        }
        if let Some(left) = self.left.get_mut(batch) {
            *left = left.saturating_sub(1);
        }
        self.next += 1;
        while self.left.front() == Some(&0) {
            self.left.pop_front();
            self.next = 0;
            self.gone += 1;
            if let Some(batch) = self.batches.pop_front() {
                self.spend(batch);
            }
        }
        if self.batches.is_empty() {
            // In order again.
            self.unsorted = None;
        }
        Ok(())
    }

    fn spend(&mut self, batch: Batch) {
        // Small ones are not worth keeping.
        if batch.bytes.len() >= CHUNK {
            self.spent.push(batch.bytes);
        }
    }
}
