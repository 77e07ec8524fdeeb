//! What durability costs beside bare SQLite, in the same run, chunk by chunk in turn: disks drift by a
//! factor of ten within minutes, so that only the ratio within a round says anything.
//!
//! `cargo bench --bench store [-- DIR]`; rounds from `MIDWATCH_ROUNDS` (10).
//! G8: one durable append at a time. G8b: batches of 1,000, searchable afterwards: once as soon as all
//! are acknowledged (a search scans what is not indexed yet), once when the index has caught up.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a measurement that fails should stop where it does"
)]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use midwatch::model::event::{Actor, Draft, Note};
use midwatch::model::id::{EventId, Incarnation, Origin, Sequence};
use midwatch::model::time::Time;
use midwatch::store::{Log, Row, SqliteLog, transfer};
use rusqlite::Connection;

const ORIGIN: Origin = Origin([7; 16]);

fn main() {
    let dir = std::env::args().nth(1).filter(|arg| !arg.starts_with('-')).map_or_else(std::env::temp_dir, PathBuf::from);
    let rounds = std::env::var("MIDWATCH_ROUNDS").map_or(10, |n| n.parse().expect("MIDWATCH_ROUNDS is a number"));
    let dir = tempfile::tempdir_in(dir).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        single(dir.path(), rounds).await;
        batches(dir.path(), rounds).await;
        start(dir.path()).await;
    });
}

/// 200 bytes of words, the last one its own.
fn body(n: u64) -> String {
    const WORDS: [&str; 18] = [
        "checkout",
        "payments",
        "latency",
        "disk",
        "over",
        "threshold",
        "node",
        "region",
        "restart",
        "deploy",
        "queue",
        "backlog",
        "owner",
        "oncall",
        "runbook",
        "replica",
        "failed",
        "ok",
    ];
    let mut random = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut text = String::new();
    while text.len() < 184 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        text.push_str(WORDS[usize::try_from(random % 18).unwrap()]);
        text.push(' ');
    }
    text.truncate(183);
    format!("{text} x{n:015x}")
}

fn row(sequence: u64) -> Row {
    let at = Time::from_millis(1_790_000_000_000 + i64::try_from(sequence).unwrap());
    let id = EventId { origin: ORIGIN, incarnation: Incarnation(1), sequence: Sequence(sequence) };
    let event = Draft::new(at, Actor::Source("bench".into()), Note { alert: None, episode: None }, body(sequence)).on("shop".parse().unwrap()).stamp(id, at);
    transfer::row(&event).unwrap()
}

/// What a minimal program does: one table, its words in the same commit if at all.
fn bare(file: &Path, words: bool) -> Connection {
    let conn = Connection::open(file).unwrap();
    conn.execute_batch(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE ev (seq INTEGER PRIMARY KEY, ts INTEGER NOT NULL, kind TEXT NOT NULL, body TEXT NOT NULL);",
    )
    .unwrap();
    if words {
        conn.execute_batch("CREATE VIRTUAL TABLE fts USING fts5(body, content='ev', content_rowid='seq');").unwrap();
    }
    conn
}

async fn single(dir: &Path, rounds: u64) {
    const CHUNK: u64 = 200;
    let theirs = bare(&dir.join("single.db"), false);
    let ours = SqliteLog::open(&dir.join("single"), ORIGIN, Incarnation(1)).unwrap();
    let mut ratios = Vec::new();
    for round in 0..rounds {
        let first = round * CHUNK + 1;
        let bodies: Vec<String> = (first..first + CHUNK).map(body).collect();
        let rows: Vec<Row> = (first..first + CHUNK).map(row).collect();
        let (mut bare_took, mut took) = (Duration::ZERO, Duration::ZERO);
        // In turn, who goes first.
        for turn in 0..2 {
            if (round + turn).is_multiple_of(2) {
                let began = Instant::now();
                let mut insert = theirs.prepare_cached("INSERT INTO ev (ts, kind, body) VALUES (?, ?, ?)").unwrap();
                for (n, body) in bodies.iter().enumerate() {
                    insert.execute((i64::try_from(n).unwrap(), "alert", body)).unwrap();
                }
                bare_took = began.elapsed();
            } else {
                let began = Instant::now();
                for row in &rows {
                    ours.append(Sequence(row.sequence.0 - 1), vec![row.clone()]).await.unwrap();
                }
                took = began.elapsed();
            }
        }
        ratios.push(bare_took.as_secs_f64() / took.as_secs_f64());
        if round == 0 {
            println!("# one at a time: bare {:.0} µs, midwatch {:.0} µs each", per(bare_took, CHUNK), per(took, CHUNK));
        }
    }
    report("G8  single durable append, rate / bare SQLite FULL", ratios);
}

async fn batches(dir: &Path, rounds: u64) {
    const BATCH: u64 = 1_000;
    const ALL: u64 = 30_000;
    let (mut acknowledged, mut indexed, mut caught_up, mut work) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let bodies: Vec<String> = (1..=ALL).map(body).collect();
    let rows: Vec<Row> = (1..=ALL).map(row).collect();
    for round in 0..rounds {
        let (mut bare_took, mut took, mut took_indexed) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
        let (mut bare_work, mut our_work, mut index_took) = (Duration::ZERO, Duration::ZERO, Duration::ZERO);
        for turn in 0..2 {
            let worked = work_of_process();
            if (round + turn).is_multiple_of(2) {
                let mut theirs = bare(&dir.join(format!("batches-{round}.db")), true);
                let began = Instant::now();
                for batch in bodies.chunks(usize::try_from(BATCH).unwrap()) {
                    let tx = theirs.transaction().unwrap();
                    {
                        let mut insert = tx.prepare_cached("INSERT INTO ev (ts, kind, body) VALUES (?, ?, ?)").unwrap();
                        let mut words = tx.prepare_cached("INSERT INTO fts (rowid, body) VALUES (?, ?)").unwrap();
                        for body in batch {
                            insert.execute((1, "alert", body)).unwrap();
                            words.execute((tx.last_insert_rowid(), body)).unwrap();
                        }
                    }
                    tx.commit().unwrap();
                }
                bare_took = began.elapsed();
                bare_work = work_of_process() - worked;
            } else {
                let ours = SqliteLog::open(&dir.join(format!("batches-{round}")), ORIGIN, Incarnation(1)).unwrap();
                let began = Instant::now();
                for batch in rows.chunks(usize::try_from(BATCH).unwrap()) {
                    ours.append(Sequence(batch[0].sequence.0 - 1), batch.to_vec()).await.unwrap();
                }
                took = began.elapsed();
                let scan = Instant::now();
                assert_eq!(ours.search(&format!("x{ALL:015x}"), None, 10).await.unwrap().len(), 1, "searchable once acknowledged");
                let scan = scan.elapsed();
                let rest = Instant::now();
                ours.index_now();
                while ours.health().unindexed > 0 {
                    std::thread::sleep(Duration::from_millis(1));
                }
                index_took = rest.elapsed();
                took_indexed = took + index_took;
                our_work = work_of_process() - worked;
                let through = Instant::now();
                assert_eq!(ours.search(&format!("x{ALL:015x}"), None, 10).await.unwrap().len(), 1);
                if round == 0 {
                    println!("# search for one of {ALL}: {:.1} ms by scanning, {:.1} ms indexed", millis(scan), millis(through.elapsed()));
                    println!("# bytes an event on disk, index and all: {}", ours.health().bytes / ALL);
                }
            }
        }
        let rate = |took: Duration| bare_took.as_secs_f64() / took.as_secs_f64();
        acknowledged.push(rate(took));
        indexed.push(rate(took_indexed));
        caught_up.push(rate(index_took));
        work.push(our_work.as_secs_f64() / bare_work.as_secs_f64());
        if round == 0 {
            println!(
                "# batches: bare {:.1} µs, midwatch {:.1} µs, {:.1} µs with the index caught up, an event",
                per(bare_took, ALL),
                per(took, ALL),
                per(took_indexed, ALL)
            );
        }
    }
    report("G8b batches of 1,000, acknowledged and searchable, rate / bare SQLite FULL + FTS5", acknowledged);
    report("G8b the same, with the index caught up", indexed);
    report("    the index catching up alone, rate / bare SQLite FULL + FTS5", caught_up);
    report("    processor time, scan, index and all / bare SQLite FULL + FTS5", work);
}

/// Processor time of all threads so far: what a busy machine does to the clock on the wall, it does not do to this.
fn work_of_process() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    Duration::from_millis((fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()) * 10)
}

/// How long a start takes with a million events, light check and all.
async fn start(dir: &Path) {
    const ALL: u64 = 1_000_000;
    let folder = dir.join("million");
    let log = SqliteLog::open(&folder, ORIGIN, Incarnation(1)).unwrap();
    for first in (0..ALL).step_by(1_000) {
        log.append(Sequence(first), (first + 1..=first + 1_000).map(row).collect()).await.unwrap();
    }
    let unindexed = log.health().unindexed;
    drop(log);
    let mut took = Vec::new();
    for _ in 0..5 {
        let began = Instant::now();
        let log = SqliteLog::open(&folder, ORIGIN, Incarnation(1)).unwrap();
        took.push(millis(began.elapsed()));
        let began = Instant::now();
        assert_eq!(log.page(midwatch::store::Page::Before(None), 100).await.unwrap().len(), 100);
        took.push(millis(began.elapsed()));
        assert_eq!(log.head().sequence, Sequence(ALL));
    }
    let text: Vec<String> = took.chunks(2).map(|pair| format!("{:.1} + {:.1}", pair[0], pair[1])).collect();
    println!("# open a million events + their newest page, ms: {} ({unindexed} were not indexed when it was filled)", text.join(", "));
}

fn per(took: Duration, count: u64) -> f64 {
    millis(took) * 1_000.0 / f64::from(u32::try_from(count).unwrap())
}

fn millis(took: Duration) -> f64 {
    took.as_secs_f64() * 1_000.0
}

fn report(what: &str, mut ratios: Vec<f64>) {
    ratios.sort_by(f64::total_cmp);
    println!("{what}: median {:.2} ({:.2} to {:.2}, {} rounds)", ratios[ratios.len() / 2], ratios[0], ratios[ratios.len() - 1], ratios.len());
}
