//! Backups taken while the log goes on, and what a restored log is.

use super::*;
use crate::store::rows::{origin, rows};

async fn all(log: &SqliteLog) -> Vec<Row> {
    log.range(log.head().base, Sequence(u64::MAX), 100_000, 1 << 30).await.unwrap()
}

#[tokio::test]
async fn a_backup_holds_the_log_as_it_was_and_never_overwrites() {
    let dir = tempfile::tempdir().unwrap();
    let log = SqliteLog::open(&dir.path().join("log"), origin(), Incarnation(5)).unwrap();
    log.append(Sequence(0), rows(1..=5_000)).await.unwrap();
    let file = dir.path().join("backup.db");
    let backup = log.backup(&file);
    let mut sequence = 5_000;
    let mut answers = Vec::new();
    while answers.len() < 200 {
        answers.push(log.append(Sequence(sequence), rows(sequence + 1..=sequence + 1)));
        sequence += 1;
    }
    backup.await.unwrap();
    for answer in answers {
        answer.await.unwrap();
    }
    assert!(log.health().last_backup.is_some());
    let error = log.backup(&file).await.unwrap_err().to_string();
    assert!(error.contains("exists already"), "{error}");
    let names: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(names.len(), 2, "nothing half done is left: {names:?}");

    let restored = dir.path().join("restored");
    let before = restore(&file, &restored, Incarnation(8)).unwrap();
    assert_eq!(before.incarnation, Incarnation(5));
    assert!((5_000..=sequence).contains(&before.sequence.0));
    let log = SqliteLog::open(&restored, origin(), Incarnation(99)).unwrap();
    assert_eq!((log.head().incarnation, log.head().sequence), (Incarnation(8), before.sequence));
    assert_eq!(all(&log).await, rows(1..=before.sequence.0));
}

#[tokio::test]
async fn a_restored_log_is_a_new_incarnation_and_says_so_until_it_was_said() {
    let dir = tempfile::tempdir().unwrap();
    let (folder, file) = (dir.path().join("log"), dir.path().join("backup.db"));
    let log = SqliteLog::open(&folder, origin(), Incarnation(5)).unwrap();
    log.append(Sequence(0), rows(1..=30)).await.unwrap();
    log.backup(&file).await.unwrap();
    log.append(Sequence(30), rows(31..=60)).await.unwrap();
    let error = restore(&file, &folder, Incarnation(6)).unwrap_err().to_string();
    assert!(error.contains("another midwatch server uses this folder"), "{error}");
    drop(log);

    restore(&file, &folder, Incarnation(3)).unwrap();
    let log = SqliteLog::open(&folder, origin(), Incarnation(99)).unwrap();
    assert_eq!(log.head().incarnation, Incarnation(6), "later than what was there, whatever the clock says");
    assert_eq!(log.restored(), Some((Incarnation(5), Sequence(30))));
    assert_eq!(all(&log).await, rows(1..=30));
    assert_eq!(log.search("web", None, 100).await.unwrap().len(), 30, "the index of what was there before is gone");
    drop(log);
    let log = SqliteLog::open(&folder, origin(), Incarnation(99)).unwrap();
    assert_eq!(log.restored(), Some((Incarnation(5), Sequence(30))), "until it was said");
    log.append(Sequence(30), rows(31..=31)).await.unwrap();
    log.restored_said().await.unwrap();
    assert_eq!(log.restored(), None);
    drop(log);
    assert_eq!(SqliteLog::open(&folder, origin(), Incarnation(99)).unwrap().restored(), None);
    let kept = std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path()).find(|p| p.to_string_lossy().contains(".before-")).unwrap();
    let conn = Connection::open(kept).unwrap();
    assert_eq!(conn.query_row("SELECT max(seq) FROM events", [], |row| row.get::<_, i64>(0)).unwrap(), 60, "what was there is kept");
}

#[tokio::test]
async fn what_is_no_backup_is_refused_and_the_log_stays() {
    let dir = tempfile::tempdir().unwrap();
    let (folder, file) = (dir.path().join("log"), dir.path().join("backup.db"));
    let log = SqliteLog::open(&folder, origin(), Incarnation(5)).unwrap();
    log.append(Sequence(0), rows(1..=3_000)).await.unwrap();
    log.backup(&file).await.unwrap();
    drop(log);
    let whole = std::fs::read(&file).unwrap();
    let mut spoilt = whole.clone();
    spoilt[whole.len() / 2..whole.len() / 2 + 10_000].fill(0x33);
    for bytes in [b"no database".repeat(1_000), spoilt, Vec::new()] {
        std::fs::write(&file, bytes).unwrap();
        let error = restore(&file, &folder, Incarnation(6)).unwrap_err();
        assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
        let log = SqliteLog::open(&folder, origin(), Incarnation(99)).unwrap();
        assert_eq!((log.head().sequence, log.head().incarnation, log.restored()), (Sequence(3_000), Incarnation(5), None));
    }
    assert!(matches!(restore(&dir.path().join("none"), &folder, Incarnation(6)), Err(StoreError::Open { .. })));
}
