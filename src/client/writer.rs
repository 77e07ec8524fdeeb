//! Writes files in the background: a console's loop waits for no disk, however slow it is.
//!
//! Jobs are done in the order in which they come. The state of a file that still waits gives place to a newer
//! one of the same file, so that no more waits than there are files, and what has been asked for one by one.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What is to be done; what it gives is told.
type Job<T> = Box<dyn FnOnce() -> Option<T> + Send>;

pub struct Writer<T> {
    queue: Arc<Queue<T>>,
    tell: Arc<dyn Fn(T) + Send + Sync>,
    /// Without one, jobs are done at once.
    thread: Option<std::thread::JoinHandle<()>>,
}

struct Queue<T> {
    waiting: Mutex<Waiting<T>>,
    changed: Condvar,
}

struct Waiting<T> {
    jobs: VecDeque<(Option<PathBuf>, Job<T>)>,
    busy: bool,
    ends: bool,
}

impl<T> Queue<T> {
    fn lock(&self) -> MutexGuard<'_, Waiting<T>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next job; nothing: no more will come.
    fn next(&self) -> Option<Job<T>> {
        let mut waiting = self.lock();
        waiting.busy = false;
        self.changed.notify_all();
        loop {
            if let Some((_, job)) = waiting.jobs.pop_front() {
                waiting.busy = true;
                return Some(job);
            }
            if waiting.ends {
                return None;
            }
            waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl<T: Send + 'static> Writer<T> {
    /// What jobs give is told from the thread that does them.
    pub fn start(tell: impl Fn(T) + Send + Sync + 'static) -> Writer<T> {
        let tell: Arc<dyn Fn(T) + Send + Sync> = Arc::new(tell);
        let queue = Arc::new(Queue { waiting: Mutex::new(Waiting { jobs: VecDeque::new(), busy: false, ends: false }), changed: Condvar::new() });
        let (taken, told) = (queue.clone(), tell.clone());
        let work = move || {
            while let Some(job) = taken.next() {
                if let Some(outcome) = job() {
                    told(outcome);
                }
            }
        };
        let thread = std::thread::Builder::new().name("writer".into()).spawn(work);
        let thread = thread.inspect_err(|error| tracing::warn!(%error, "what is kept is written while the console waits")).ok();
        Writer { queue, tell, thread }
    }

    /// The newest state of a file, in place of one that still waits.
    pub fn keep(&self, path: &Path, job: impl FnOnce() -> Option<T> + Send + 'static) {
        let mut waiting = self.queue.lock();
        waiting.jobs.retain(|(of, _)| of.as_deref() != Some(path));
        self.push(waiting, Some(path.to_owned()), Box::new(job));
    }

    /// Something that is done whatever comes later.
    pub fn ask(&self, job: impl FnOnce() -> Option<T> + Send + 'static) {
        self.push(self.queue.lock(), None, Box::new(job));
    }

    fn push(&self, mut waiting: MutexGuard<'_, Waiting<T>>, path: Option<PathBuf>, job: Job<T>) {
        if self.thread.is_some() {
            waiting.jobs.push_back((path, job));
            self.queue.changed.notify_all();
            return;
        }
        drop(waiting);
        if let Some(outcome) = job() {
            (self.tell)(outcome);
        }
    }

    /// Waits until all is written, but not for ever; says whether it is.
    pub fn finish(&self, patience: Duration) -> bool {
        let until = Instant::now() + patience;
        let mut waiting = self.queue.lock();
        while self.thread.is_some() && (waiting.busy || !waiting.jobs.is_empty()) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            waiting = self.queue.changed.wait_timeout(waiting, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

impl<T> Drop for Writer<T> {
    fn drop(&mut self) {
        self.queue.lock().ends = true;
        self.queue.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(20);

    #[test]
    fn nobody_waits_for_a_slow_disk_and_the_last_state_is_written() {
        let (told, heard) = channel();
        let writer = Writer::start(move |outcome: u32| told.send(outcome).unwrap());
        let (slow, disk) = channel::<()>();
        let (begun, began) = channel();
        writer.keep(Path::new("session"), move || {
            begun.send(()).unwrap();
            disk.recv().unwrap();
            Some(0)
        });
        began.recv_timeout(PATIENCE).unwrap();
        // The disk hangs: nothing of this waits.
        for state in 1..=100 {
            writer.keep(Path::new("session"), move || Some(state));
            writer.keep(Path::new("marks"), move || Some(1_000 + state));
        }
        writer.ask(|| Some(7));
        writer.ask(|| None);
        assert!(!writer.finish(Duration::from_millis(20)), "it does not wait for ever");
        slow.send(()).unwrap();
        assert!(writer.finish(PATIENCE));
        assert_eq!(heard.try_iter().collect::<Vec<_>>(), [0, 100, 1_100, 7]);
    }

    #[test]
    fn one_that_goes_still_does_what_it_was_given() {
        let (told, heard) = channel();
        let writer = Writer::start(move |outcome: u8| told.send(outcome).unwrap());
        (0..50).for_each(|number| writer.ask(move || Some(number)));
        drop(writer);
        assert_eq!((0..50).map(|_| heard.recv_timeout(PATIENCE).unwrap()).collect::<Vec<_>>(), (0..50).collect::<Vec<_>>());
    }
}
