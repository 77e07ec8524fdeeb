//! The process that appends, and what its parent hears of it.
//!
//! The test binary starts itself again, with one test that does the appending and a variable that names
//! the folder. It says on its standard output what was acknowledged, which its death cannot take back.

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use midwatch::model::id::Sequence;
use midwatch::store::{Log, SqliteLog, StoreError};

use crate::events::{INCARNATION, ORIGIN, recorded, retention, row, world};

pub const FOLDER: &str = "MIDWATCH_TEST_FOLDER";

/// What the process says, a line each.
#[derive(Debug, PartialEq)]
pub enum Said {
    /// All up to this event is durable.
    Durable(u64),
    Refused(String),
    /// It came to its end, or was killed.
    Nothing,
}

pub struct Process {
    child: Child,
    said: Receiver<Said>,
}

impl Process {
    pub fn start(folder: &Path, environment: &[(&str, &Path)]) -> Process {
        Process::of("process::appends_until_it_is_killed", folder, environment)
    }

    /// This test does the work.
    pub fn of(test: &str, folder: &Path, environment: &[(&str, &Path)]) -> Process {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([test, "--exact", "--nocapture", "--test-threads=1"]);
        command.env(FOLDER, folder).stdout(Stdio::piped()).stderr(Stdio::inherit());
        for (name, value) in environment {
            command.env(name, value);
        }
        let mut child = command.spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (say, said) = channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let heard = match line.split_once(' ') {
                    Some(("durable", number)) => Said::Durable(number.parse().unwrap()),
                    Some(("refused", words)) => Said::Refused(words.to_owned()),
                    _ => continue,
                };
                if say.send(heard).is_err() {
                    return;
                }
            }
            let _ = say.send(Said::Nothing);
        });
        Process { child, said }
    }

    /// What it says next; waits for it.
    pub fn next(&self) -> Said {
        self.said.recv_timeout(Duration::from_secs(30)).expect("the process says nothing for 30 s")
    }

    /// Listens until something is said for which `is` is true; answers with what came before, and it.
    pub fn until(&self, is: impl Fn(&Said) -> bool) -> Vec<Said> {
        let mut heard = Vec::new();
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            let said = self.next();
            assert!(Instant::now() < end, "30 s, and none of what was said is it: {:?}", heard.last());
            assert_ne!(said, Said::Nothing, "the process ended; before: {heard:?}");
            heard.push(said);
            if is(&heard[heard.len() - 1]) {
                return heard;
            }
        }
    }

    /// Listens for so long.
    pub fn listen(&self, long: Duration) -> Vec<Said> {
        let end = Instant::now() + long;
        let mut heard = Vec::new();
        loop {
            match self.said.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(said) => heard.push(said),
                Err(RecvTimeoutError::Timeout) => return heard,
                Err(RecvTimeoutError::Disconnected) => return heard,
            }
        }
    }

    /// Everything that it says until it ends.
    pub fn until_it_ends(mut self) -> Vec<Said> {
        let heard = self.said.iter().take_while(|said| *said != Said::Nothing).collect();
        self.child.wait().unwrap();
        heard
    }

    /// `kill -9`; answers with everything that it had still said.
    pub fn kill(mut self) -> Vec<Said> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.said.iter().take_while(|said| *said != Said::Nothing).collect()
    }
}

/// A test that fails leaves no process behind.
impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The last event that was acknowledged.
pub fn durable(said: &[Said]) -> Option<u64> {
    said.iter().filter_map(|said| if let Said::Durable(number) = said { Some(*number) } else { None }).max()
}

/// Not a test: what [`Process`] runs. By itself it does nothing.
#[test]
fn appends_until_it_is_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(work(Path::new(&folder)));
}

async fn work(folder: &Path) {
    let log = Arc::new(SqliteLog::open(folder, ORIGIN, INCARNATION).unwrap_or_else(|error| panic!("{error}")));
    tokio::spawn(tidy(Arc::clone(&log)));
    let mut next = log.head().sequence;
    let mut waiting = VecDeque::new();
    loop {
        // Some appends are on their way at any time, so that groups form; of one row, of a few, of many.
        while waiting.len() < 8 {
            let many = [1, 1, 3, 20, 1, 150][usize::try_from(next.0 % 6).unwrap()];
            let last = Sequence(next.0 + many);
            waiting.push_back((last, log.append(next, (next.0 + 1..=last.0).map(row).collect())));
            next = last;
        }
        let Some((last, answer)) = waiting.pop_front() else { continue };
        match answer.await {
            Ok(()) => say(&format!("durable {}", last.0)),
            Err(error) => {
                say(&format!("refused {error}"));
                // All that was on its way behind it has failed too.
                for (_, answer) in waiting.drain(..) {
                    assert!(answer.await.is_err(), "an append behind one that failed was acknowledged");
                }
                if !matches!(error, StoreError::Write { .. } | StoreError::Shut { .. } | StoreError::Damaged { .. }) {
                    panic!("not an error of the disk: {error}");
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
                next = log.head().sequence;
            }
        }
    }
}

/// Checkpoints, pruning and indexing, all the time.
async fn tidy(log: Arc<SqliteLog>) {
    loop {
        let head = log.head().sequence;
        // A full disk refuses these as well; the next round tries again.
        if head > Sequence(0) && log.checkpoint(head, world(head).into()).await.is_ok() {
            let _ = log.prune(retention(), recorded(head.0)).await;
        }
        log.index_now();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub fn say(line: &str) {
    let line = format!("{line}\n");
    std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
}
