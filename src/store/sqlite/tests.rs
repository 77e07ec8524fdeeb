//! The rules of a log on disk, each by itself. What a killed process and a failing disk leave behind is
//! tested from outside, in `tests/store`.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::*;
use crate::model::event::{Actor, Draft, LogLine};
use crate::model::id::EventId;
use crate::model::time::Span;
use crate::store::memory::MemoryLog;
use crate::store::rows::{START, event, of, origin, row, rows};

const ALL: usize = 1 << 30;

fn open(dir: &Path) -> SqliteLog {
    SqliteLog::open(dir, origin(), Incarnation(1)).unwrap()
}

async fn all(log: &SqliteLog) -> Vec<Row> {
    log.range(log.head().base, Sequence(u64::MAX), 100_000, ALL).await.unwrap()
}

/// Waits until something is true; says what, if it never comes.
async fn until(what: &str, mut is: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(20);
    while !is() {
        assert!(Instant::now() < end, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn what_was_appended_is_there_after_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    assert_eq!(log.head(), Head { origin: origin(), incarnation: Incarnation(1), sequence: Sequence(0), base: Sequence(1) });
    log.append(Sequence(0), rows(1..=3)).await.unwrap();
    log.append(Sequence(3), rows(4..=4)).await.unwrap();
    assert_eq!(all(&log).await, rows(1..=4));
    drop(log);
    let log = SqliteLog::open(dir.path(), origin(), Incarnation(9)).unwrap();
    assert_eq!(log.head().sequence, Sequence(4));
    assert_eq!(log.head().incarnation, Incarnation(1), "a new incarnation is for a new log alone");
    assert_eq!(all(&log).await, rows(1..=4));
}

#[tokio::test]
async fn appends_that_are_not_waited_for_are_committed_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    let mut follow = log.follow();
    let answers: Vec<_> = (0..500).map(|n| log.append(Sequence(n * 2), rows(n * 2 + 1..=n * 2 + 2))).collect();
    for answer in answers {
        answer.await.unwrap();
    }
    follow.wait_for(|head| head.sequence == Sequence(1_000)).await.unwrap();
    assert_eq!(all(&log).await, rows(1..=1_000));
    assert_eq!(log.health().queued, 0);
}

#[tokio::test]
async fn an_append_that_does_not_go_on_from_the_head_is_refused_alone() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    log.append(Sequence(0), rows(1..=2)).await.unwrap();
    let (wrong, right) = (log.append(Sequence(1), rows(2..=2)), log.append(Sequence(2), rows(3..=3)));
    assert_eq!(wrong.await, Err(StoreError::Moved { expected: 1, actual: 2 }));
    right.await.unwrap();
    assert!(log.append(Sequence(3), vec![row(4), row(6)]).await.is_err(), "a hole");
    assert_eq!(log.head().sequence, Sequence(3));
}

#[tokio::test]
async fn pages_searches_and_ranges_are_those_of_the_log_in_memory() {
    let dir = tempfile::tempdir().unwrap();
    let (log, memory) = (open(dir.path()), MemoryLog::new(origin(), Incarnation(1)));
    for log in [&log as &dyn Log, &memory] {
        log.append(Sequence(0), rows(1..=400)).await.unwrap();
    }
    for round in ["before the index", "after the index"] {
        for page in [Page::Before(None), Page::After(None), Page::Before(Some((row(200).at, Sequence(200)))), Page::After(Some((row(200).at, Sequence(200))))] {
            assert_eq!(log.page(page, 70).await.unwrap(), memory.page(page, 70).await.unwrap(), "{page:?}, {round}");
        }
        for words in ["disk", "dis web-1", "user:kim", "on web", "shop/varnish queue", "deploy 9", "nothing like it", "\"", "repl lat", ""] {
            let mut before = None;
            loop {
                let found = log.search(words, before, 7).await.unwrap();
                assert_eq!(found, memory.search(words, before, 7).await.unwrap(), "`{words}` before {before:?}, {round}");
                let Some(last) = found.last() else { break };
                before = Some((last.at, last.sequence));
            }
        }
        let (from, to) = (Sequence(5), Sequence(60));
        assert_eq!(log.range(from, to, 40, 3_000).await.unwrap(), memory.range(from, to, 40, 3_000).await.unwrap());
        assert_eq!(log.range(from, to, 9, 1).await.unwrap().len(), 1, "one at least");
        until("all is indexed", || log.health().unindexed == 0).await;
    }
}

#[tokio::test]
async fn what_is_counted_and_sifted_is_what_the_log_in_memory_counts_and_sifts() {
    let dir = tempfile::tempdir().unwrap();
    let (log, memory) = (open(dir.path()), MemoryLog::new(origin(), Incarnation(1)));
    let scales = [(0, 1, 20), (-600, 7, 3), (60 * 60, 1, 5), (-60 * 60 * 24, 60 * 24, 2)].map(|(from, step, buckets)| {
        let from = START.plus(Span::from_secs(from)).micros().div_euclid(60_000_000) * 60_000_000;
        Scale { from: Time::from_micros(from), step: Span::from_mins(step), buckets }
    });
    for (from, to) in [(1, 400), (401, 900)] {
        log.append(Sequence(from - 1), rows(from..=to)).await.unwrap();
        memory.append(Sequence(from - 1), rows(from..=to)).await.unwrap();
        // Whether the index has come so far makes no difference.
        for indexed in [false, true] {
            if indexed {
                log.index_now();
                until("the index is there", || log.health().unindexed == 0).await;
            }
            for scale in scales {
                assert_eq!(log.density(scale).await.unwrap(), memory.density(scale).await.unwrap(), "{scale:?}");
            }
            assert_eq!(log.extent().await.unwrap(), memory.extent().await.unwrap());
        }
    }
    let place = Some((START.plus(Span::from_secs(500)), Sequence(500)));
    let test: crate::store::Test = Arc::new(|severity, bytes| severity >= crate::model::severity::Severity::Error && bytes.contains(&b'7'));
    for page in [Page::Before(None), Page::After(None), Page::Before(place), Page::After(place)] {
        for (most, look, since) in [(3, 1_000, None), (1_000, 50, None), (1_000, 1_000, Some(START.plus(Span::from_secs(300))))] {
            for scale in [None, Some(scales[0])] {
                let sift = Sift { page, since, most, look, test: test.clone(), scale };
                let (ours, theirs) = (log.sift(sift.clone()).await.unwrap(), memory.sift(sift).await.unwrap());
                assert_eq!((ours.rows, ours.counts, ours.reached), (theirs.rows, theirs.counts, theirs.reached), "{page:?} {most} {look} {since:?}");
            }
        }
    }
    // What is pruned is not counted any more.
    log.checkpoint(Sequence(800), Bytes::from_static(b"world").into()).await.unwrap();
    let gone = log.prune(Retention { keep: Some(Span::from_secs(1)), kinds: vec![] }, START.plus(Span::from_secs(700))).await.unwrap();
    assert!(gone > 500);
    let deadline = Instant::now() + Duration::from_secs(20);
    while log.extent().await.unwrap().held != 900 - gone {
        assert!(Instant::now() < deadline, "never: the pruned events are not counted");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_search_sees_what_was_acknowledged_and_not_indexed() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    log.append(Sequence(0), rows(1..=50)).await.unwrap();
    until("all is indexed", || log.health().unindexed == 0).await;
    log.append(Sequence(50), rows(51..=60)).await.unwrap();
    let found: Vec<u64> = log.search("deploy", None, 4).await.unwrap().iter().map(|row| row.sequence.0).collect();
    assert_eq!(found, [59, 54, 49, 44]);
}

#[tokio::test]
async fn a_missing_damaged_or_foreign_index_is_made_anew() {
    let dir = tempfile::tempdir().unwrap();
    let index = dir.path().join(INDEX);
    let log = open(dir.path());
    log.append(Sequence(0), rows(1..=300)).await.unwrap();
    until("all is indexed", || log.health().unindexed == 0).await;
    let expected = log.search("latency", None, 1_000).await.unwrap();
    assert_eq!(expected.len(), 60);
    drop(log);
    let spoil: [&dyn Fn(); 4] = [
        &|| std::fs::remove_file(&index).unwrap(),
        &|| std::fs::write(&index, vec![b'x'; 9_000]).unwrap(),
        &|| {
            Connection::open(&index).unwrap().query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
            let mut bytes = std::fs::read(&index).unwrap();
            let half = bytes.len() / 2;
            bytes[4_096..half].fill(0xff);
            std::fs::write(&index, bytes).unwrap();
        },
        &|| {
            let conn = Connection::open(&index).unwrap();
            conn.execute("UPDATE meta SET value = 99999 WHERE name = 'watermark'", []).unwrap();
        },
    ];
    for (n, spoil) in spoil.iter().enumerate() {
        spoil();
        let log = open(dir.path());
        assert_eq!(log.search("latency", None, 1_000).await.unwrap(), expected, "spoilt {n}");
        // What cannot be read is found out by reading it.
        let shared = Arc::clone(&log.shared);
        until("all is indexed", || shared.unindexed() == 0 && !shared.index_damaged.load(Ordering::Acquire)).await;
        assert_eq!(log.search("latency", None, 1_000).await.unwrap(), expected, "spoilt {n}, later");
        log.append(Sequence(300), vec![]).await.unwrap();
        drop(log);
    }
}

fn of_kind(sequence: u64, log_line: bool) -> Row {
    let note = event(sequence);
    if !log_line {
        return of(&note);
    }
    let id = EventId { origin: origin(), incarnation: Incarnation(1), sequence: Sequence(sequence) };
    of(&Draft::new(note.at, Actor::Server, LogLine {}, "a line").stamp(id, note.recorded))
}

#[tokio::test]
async fn pruning_takes_what_is_old_up_to_the_newest_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    let retention = Retention { keep: Some(Span::from_secs(1_000)), kinds: vec![("log".into(), Some(Span::from_secs(10)))] };
    log.append(Sequence(0), (1..=3_000).map(|n| of_kind(n, n > 2_000 && n % 2 == 0)).collect()).await.unwrap();
    let late = START.plus(Span::from_secs(3_000));
    assert_eq!(log.prune(retention.clone(), late).await.unwrap(), 0, "nothing goes without a checkpoint");
    log.checkpoint(Sequence(1_500), Bytes::from_static(b"a world").into()).await.unwrap();
    assert_eq!(log.prune(retention.clone(), late).await.unwrap(), 1_500, "event 1501 to 1999 are old enough, but lie behind the checkpoint");
    assert_eq!(log.head().base, Sequence(1_501));
    log.checkpoint(Sequence(2_900), Bytes::from_static(b"a later world").into()).await.unwrap();
    log.prune(retention.clone(), late).await.unwrap();
    let head = log.head();
    assert_eq!((head.base, head.sequence), (Sequence(2_000), Sequence(3_000)), "kept for exactly as long as was asked");
    let left = all(&log).await;
    assert!(left.iter().all(|row| &*row.kind != "log" || row.sequence > Sequence(2_900)), "kinds have their own time, with holes behind the base");
    assert_eq!(left.len(), 1 + 450 + 100);
    assert_eq!(log.range(Sequence(1_999), Sequence(2_100), 10, ALL).await, Err(StoreError::Pruned { what: "event 1999".into(), base: 2_000 }));
    assert_eq!(log.checkpointed().await.unwrap(), Some((Sequence(2_900), Bytes::from_static(b"a later world"))));
    drop(log);
    let log = open(dir.path());
    assert_eq!(log.head(), head, "and so after the next start");
    assert_eq!(all(&log).await, left);
}

#[tokio::test]
async fn a_log_that_was_pruned_to_the_last_event_goes_on_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    log.append(Sequence(0), rows(1..=20)).await.unwrap();
    log.checkpoint(Sequence(20), Bytes::from_static(b"world").into()).await.unwrap();
    assert_eq!(log.prune(Retention { keep: Some(Span::ZERO), kinds: vec![] }, Time::MAX).await.unwrap(), 20);
    assert_eq!((log.head().sequence, log.head().base), (Sequence(20), Sequence(21)));
    drop(log);
    let log = open(dir.path());
    assert_eq!((log.head().sequence, log.head().base), (Sequence(20), Sequence(21)));
    assert!(matches!(log.range(Sequence(20), Sequence(20), 1, ALL).await, Err(StoreError::Pruned { .. })));
    assert_eq!(log.range(Sequence(21), Sequence(99), 1, ALL).await.unwrap(), []);
    log.append(Sequence(20), rows(21..=21)).await.unwrap();
}

#[tokio::test]
async fn appends_go_on_while_much_is_pruned() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    log.append(Sequence(0), rows(1..=20_000)).await.unwrap();
    log.checkpoint(Sequence(20_000), Bytes::from_static(b"world").into()).await.unwrap();
    let pruned = tokio::spawn(log.prune(Retention { keep: Some(Span::ZERO), kinds: vec![] }, Time::MAX));
    let mut between = 0;
    for n in 20_001..=20_200 {
        log.append(Sequence(n - 1), rows(n..=n)).await.unwrap();
        between += u32::from(!pruned.is_finished());
    }
    assert!(between > 5, "appends were held up until pruning was done");
    assert_eq!(pruned.await.unwrap().unwrap(), 20_000);
    assert_eq!(all(&log).await, rows(20_001..=20_200));
}

#[tokio::test]
async fn a_checkpoint_that_is_spoilt_is_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    log.append(Sequence(0), rows(1..=9)).await.unwrap();
    assert_eq!(log.checkpoint(Sequence(10), Bytes::new().into()).await, Err(StoreError::Moved { expected: 10, actual: 9 }));
    for at in 1..=9 {
        log.checkpoint(Sequence(at), Bytes::from(vec![u8::try_from(at).unwrap(); 100]).into()).await.unwrap();
    }
    let conn = Connection::open(dir.path().join(EVENTS)).unwrap();
    assert_eq!(log.checkpoints().await.unwrap(), (1..=9).map(Sequence).collect::<Vec<_>>());
    assert_eq!(log.checkpoint_at(Sequence(4)).await.unwrap(), Some(Bytes::from(vec![4; 100])));
    conn.execute("UPDATE checkpoints SET world = x'00' WHERE at = 4", []).unwrap();
    assert_eq!(log.checkpoint_at(Sequence(4)).await.unwrap(), None);
    conn.execute("UPDATE checkpoints SET world = x'00' WHERE at = 9", []).unwrap();
    assert_eq!(log.checkpointed().await.unwrap().unwrap().0, Sequence(8));
    drop((conn, log));
    let error = SqliteLog::open(dir.path(), origin(), Incarnation(1)).err().unwrap();
    assert!(error.to_string().contains("checkpoint at event 9"), "{error}");
}

#[tokio::test]
async fn two_servers_on_one_folder_are_told_so() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    let error = SqliteLog::open(dir.path(), origin(), Incarnation(1)).err().unwrap().to_string();
    assert!(error.contains("another midwatch server uses this folder") && error.contains("--data"), "{error}");
    drop(log);
    open(dir.path());
}

#[tokio::test]
async fn the_log_of_another_server_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    let error = SqliteLog::open(dir.path(), Origin([9; 16]), Incarnation(1)).err().unwrap().to_string();
    assert!(error.contains("log of another server (07070707)"), "{error}");
}

#[test]
fn p4_a_log_of_a_newer_version_and_a_foreign_database_are_refused_with_words_and_left_alone() {
    for (statements, words) in [("PRAGMA user_version = 99", "a newer midwatch wrote it"), ("PRAGMA application_id = 77", "belongs to another program")] {
        let dir = tempfile::tempdir().unwrap();
        drop(open(dir.path()));
        let file = dir.path().join(EVENTS);
        Connection::open(&file).unwrap().execute_batch(statements).unwrap();
        let before = std::fs::read(&file).unwrap();
        for error in [SqliteLog::open(dir.path(), origin(), Incarnation(1)).err().unwrap(), SqliteLog::open_read_only(dir.path()).err().unwrap()] {
            assert!(error.to_string().contains(words), "{error}");
        }
        assert_eq!(std::fs::read(&file).unwrap(), before);
    }
    let dir = tempfile::tempdir().unwrap();
    Connection::open(dir.path().join(EVENTS)).unwrap().execute_batch("CREATE TABLE theirs (x)").unwrap();
    assert!(SqliteLog::open(dir.path(), origin(), Incarnation(1)).err().unwrap().to_string().contains("belongs to another program"));
}

#[tokio::test]
async fn p4_a_log_of_version_1_is_read() {
    // As version 1 wrote it; never to be changed.
    let dir = tempfile::tempdir().unwrap();
    let conn = Connection::open(dir.path().join(EVENTS)).unwrap();
    conn.execute_batch(
        "PRAGMA journal_mode=WAL; PRAGMA application_id=1297566791; PRAGMA user_version=1;
        CREATE TABLE meta (name TEXT PRIMARY KEY, value ANY) STRICT, WITHOUT ROWID;
        CREATE TABLE events (seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, recorded INTEGER NOT NULL, severity INTEGER NOT NULL,
            kind TEXT NOT NULL, system TEXT, bytes BLOB NOT NULL) STRICT;
        CREATE INDEX events_at ON events (at);
        CREATE TABLE checkpoints (at INTEGER PRIMARY KEY, crc INTEGER NOT NULL, world BLOB NOT NULL) STRICT;
        INSERT INTO meta VALUES ('origin', x'07070707070707070707070707070707'), ('incarnation', 4);
        INSERT INTO checkpoints VALUES (1, 980881731, x'776f726c64');",
    )
    .unwrap();
    for row in rows(1..=3) {
        let system = row.system.as_ref().map(|s| s.as_str().to_owned());
        let values = (to_sql(row.sequence.0), row.at.micros(), row.recorded.micros(), row.severity.rank(), &*row.kind, system, &*row.bytes);
        conn.execute("INSERT INTO events VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)", values).unwrap();
    }
    drop(conn);
    let log = open(dir.path());
    assert_eq!(log.head(), Head { origin: origin(), incarnation: Incarnation(4), sequence: Sequence(3), base: Sequence(1) });
    assert_eq!(all(&log).await, rows(1..=3));
    assert_eq!(log.checkpointed().await.unwrap(), Some((Sequence(1), Bytes::from_static(b"world"))));
}

#[tokio::test]
async fn a_damaged_file_is_refused_with_words() {
    type Spoil = fn(&Path);
    let spoils: [(&str, Spoil); 4] = [
        ("not a database", |file| std::fs::write(file, vec![7; 20_000]).unwrap()),
        ("malformed", |file| {
            // Cut off.
            let bytes = std::fs::read(file).unwrap();
            std::fs::write(file, &bytes[..bytes.len() - 8_192]).unwrap();
        }),
        ("event 190 is missing", |file| assert_eq!(Connection::open(file).unwrap().execute("DELETE FROM events WHERE seq = 190", []).unwrap(), 1)),
        ("whose log", |file| assert_eq!(Connection::open(file).unwrap().execute("DELETE FROM meta WHERE name = 'incarnation'", []).unwrap(), 1)),
    ];
    for (words, spoil) in spoils {
        let dir = tempfile::tempdir().unwrap();
        let log = open(dir.path());
        log.append(Sequence(0), rows(1..=200)).await.unwrap();
        drop(log);
        spoil(&dir.path().join(EVENTS));
        let error = SqliteLog::open(dir.path(), origin(), Incarnation(1)).err().unwrap();
        assert!(matches!(error, StoreError::Damaged { .. }) && error.to_string().contains(words) && error.to_string().contains("midwatch restore"), "{error}");
    }
}

#[tokio::test]
async fn the_full_check_finds_what_the_light_one_passes_over() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(dir.path());
    log.append(Sequence(0), rows(1..=5_000)).await.unwrap();
    drop(log);
    let file = dir.path().join(EVENTS);
    let mut bytes = std::fs::read(&file).unwrap();
    let middle = bytes.len() / 2 / 4_096 * 4_096;
    bytes[middle..middle + 4_096].fill(0x55);
    std::fs::write(&file, bytes).unwrap();
    let log = open(dir.path());
    assert_eq!(log.head().sequence, Sequence(5_000));
    let conn = reader::connect(&file).unwrap();
    assert!(schema::check_fully(&conn).unwrap().is_some());
}

#[tokio::test]
async fn reading_alone_needs_no_lock_and_refuses_to_append() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(SqliteLog::open_read_only(dir.path()), Err(StoreError::Open { .. })));
    let log = open(dir.path());
    log.append(Sequence(0), rows(1..=40)).await.unwrap();
    let reading = SqliteLog::open_read_only(dir.path()).unwrap();
    assert_eq!(all(&reading).await, rows(1..=40), "beside a server that runs");
    drop(log);
    let reading = SqliteLog::open_read_only(dir.path()).unwrap();
    assert_eq!(reading.search("disk", None, 100).await.unwrap().len(), 8);
    let error = reading.append(Sequence(40), rows(41..=41)).await.unwrap_err();
    assert!(error.to_string().contains("open for reading alone"), "{error}");
}
