//! Another server's log, killed in the middle of each single write and before each sync: what was acknowledged is there,
//! what was not is there whole or not at all, the claim goes no further than what is held, and whoever goes on from
//! there ends with all of it, once.

use std::path::Path;

use bytes::Bytes;
use midwatch::model::id::{Incarnation, Sequence};
use midwatch::store::{Anew, Head, Log, MemoryLog, Page, Row, SqliteLog, StoreError};

use crate::events::{INCARNATION, ORIGIN, row};
use crate::faults::shim;
use crate::process::{FOLDER, Process, durable, say};

/// What a peer tells, one after the other.
enum Step {
    /// In (`from`, `to`], these and nothing else.
    Claim(u64, u64, &'static [u64]),
    /// A world at this place, with some of the past; after the cut it is another log.
    Anew {
        life: u64,
        at: u64,
        past: &'static [u64],
        cut: Option<u64>,
    },
    Checkpoint(u64),
}
use Step::{Checkpoint, Claim};

const STEPS: &[Step] = &[
    Claim(0, 4, &[1, 2, 4]),
    Claim(4, 4, &[]),
    Claim(4, 9, &[]),
    Claim(9, 130, &[10, 11, 100, 119, 130]),
    Checkpoint(130),
    Step::Anew { life: 1, at: 210, past: &[206, 207, 210], cut: None },
    Claim(210, 230, &[215, 230]),
    Step::Anew { life: 2, at: 220, past: &[219], cut: Some(215) },
    Claim(220, 240, &[221, 222, 223, 240]),
];

/// With their server's signatures.
fn sealed(sequences: &[u64]) -> Vec<Row> {
    let sealed = |sequence: &u64| Row { seal: Some(Bytes::from(format!("the seal of {sequence}"))), ..row(*sequence) };
    sequences.iter().map(sealed).collect()
}

async fn does(log: &dyn Log, step: &Step) -> Result<(), StoreError> {
    let world = |at: u64| Bytes::from(format!("the world at {at}"));
    match *step {
        Claim(from, to, these) => log.claim(Sequence(from), Sequence(to), sealed(these)).await,
        Checkpoint(at) => log.checkpoint(Sequence(at), world(at).into()).await,
        Step::Anew { life, at, past, cut } => {
            let rows = past.iter().map(|sequence| row(*sequence)).collect();
            let anew = Anew { incarnation: Incarnation(life), at: Sequence(at), world: world(at).into(), rows, cut: cut.map(Sequence) };
            log.rebase(anew).await.map(drop)
        }
    }
}

/// All that a log says of itself.
#[derive(PartialEq, Debug)]
struct Held {
    head: Head,
    rows: Vec<Row>,
    seals: Vec<(Sequence, Bytes)>,
    world: Option<(Sequence, Bytes)>,
}

async fn held(log: &dyn Log) -> Held {
    let mut rows = log.page(Page::After(None), 10_000).await.unwrap();
    rows.sort_by_key(|row| row.sequence);
    // A page tells no seals: those are asked for by themselves.
    rows.iter_mut().for_each(|row| row.seal = None);
    let seals = log.seals(Sequence(0), Sequence(1_000)).await.unwrap();
    Held { head: log.head(), rows, seals, world: log.checkpointed().await.unwrap() }
}

/// What is held before the first step, after it, after the second …
async fn all_states() -> Vec<Held> {
    let model = MemoryLog::new(ORIGIN, INCARNATION);
    let mut states = vec![held(&model).await];
    for step in STEPS {
        does(&model, step).await.unwrap();
        states.push(held(&model).await);
    }
    states
}

fn open(folder: &Path) -> SqliteLog {
    SqliteLog::open(folder, ORIGIN, INCARNATION).unwrap_or_else(|error| panic!("{error}"))
}

/// Not a test: what [`Process`] runs.
#[test]
fn takes_all_steps_unless_it_is_killed() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let log = open(Path::new(&folder));
        for (step, number) in STEPS.iter().zip(1..) {
            does(&log, step).await.unwrap();
            say(&format!("durable {number}"));
        }
    });
}

/// Killed at the calls 1, 2, 3 … of a kind, until none is left to be killed at.
async fn killed_at_each(kind: &str) {
    let states = all_states().await;
    let (mut survived, mut between) = (false, 0);
    for call in 1..2_000 {
        let dir = tempfile::tempdir_in("/dev/shm").unwrap();
        let (folder, faults) = (dir.path().join("log"), dir.path().join("faults"));
        std::fs::write(&faults, format!("{kind} 0 {call} *")).unwrap();
        let process = Process::of("claimed::takes_all_steps_unless_it_is_killed", &folder, &[("LD_PRELOAD", shim()), ("MIDWATCH_TEST_FAULTS", &faults)]);
        let acknowledged = usize::try_from(durable(&process.until_it_ends()).unwrap_or(0)).unwrap();
        let log = open(&folder);
        let found = held(&log).await;
        let at = [acknowledged, acknowledged + 1].into_iter().find(|at| states.get(*at) == Some(&found));
        let Some(at) = at else { panic!("killed at {kind} {call}, after step {acknowledged}: {found:#?}") };
        let beyond = found.rows.last().is_some_and(|row| row.sequence > found.head.sequence);
        assert!(!beyond, "nothing lies beyond what is claimed");
        between += usize::from(at != acknowledged);
        // Whoever tells goes on from there.
        for step in &STEPS[at..] {
            does(&log, step).await.unwrap_or_else(|error| panic!("killed at {kind} {call}, then {error}"));
        }
        assert_eq!(Some(&held(&log).await), states.last(), "killed at {kind} {call}");
        if acknowledged == STEPS.len() {
            survived = true;
            println!("killed at each of {} calls to {kind}; {between} times a step was kept and not acknowledged yet", call - 1);
            break;
        }
    }
    assert!(survived, "it comes to its end when nothing kills it");
}

#[tokio::test]
async fn p4_a_peers_log_that_is_killed_in_the_middle_of_any_write_holds_each_batch_whole_or_not_at_all() {
    killed_at_each("write").await;
}

#[tokio::test]
async fn p4_a_peers_log_that_is_killed_before_any_sync_holds_each_batch_whole_or_not_at_all() {
    killed_at_each("sync").await;
}
