//! Another server's log: what is true of it on disk and in memory alike.

use std::sync::Arc;

use proptest::prelude::*;

use super::rows::{START, origin, row, rows};
use super::*;
use crate::model::time::Span;

const ALL: usize = 1 << 30;

fn anew(incarnation: u64, at: u64, rows: Vec<Row>, cut: Option<u64>) -> Anew {
    let world = Bytes::from(format!("the world at {at}")).into();
    Anew { incarnation: Incarnation(incarnation), at: Sequence(at), world, rows, cut: cut.map(Sequence) }
}

fn sqlite(dir: &std::path::Path) -> Arc<dyn Log> {
    Arc::new(SqliteLog::open(dir, origin(), Incarnation(1)).unwrap())
}

/// One in memory, and one on disk with its folder.
fn both() -> (tempfile::TempDir, [Arc<dyn Log>; 2]) {
    let dir = tempfile::tempdir().unwrap();
    let disk = sqlite(dir.path());
    (dir, [Arc::new(MemoryLog::new(origin(), Incarnation(1))), disk])
}

fn some(sequences: &[u64]) -> Vec<Row> {
    sequences.iter().map(|sequence| row(*sequence)).collect()
}

async fn held(log: &dyn Log) -> Vec<u64> {
    log.range(log.head().base, Sequence(u64::MAX), 100_000, ALL).await.unwrap().iter().map(|row| row.sequence.0).collect()
}

#[tokio::test]
async fn rows_with_holes_and_the_claim_about_them_are_there_after_the_next_start() {
    let (dir, logs) = both();
    for log in &logs {
        log.claim(Sequence(0), Sequence(5), some(&[2, 5])).await.unwrap();
        log.claim(Sequence(5), Sequence(9), some(&[7])).await.unwrap();
        log.claim(Sequence(9), Sequence(9), Vec::new()).await.unwrap();
        assert_eq!((log.head().sequence, log.head().base), (Sequence(9), Sequence(1)));
        assert_eq!(held(&**log).await, [2, 5, 7]);
        assert_eq!(log.range(Sequence(3), Sequence(6), 10, ALL).await.unwrap(), some(&[5]));
    }
    drop(logs);
    let log = sqlite(dir.path());
    assert_eq!((log.head().sequence, log.head().base), (Sequence(9), Sequence(1)));
    assert_eq!(held(&*log).await, [2, 5, 7]);
}

#[tokio::test]
async fn what_does_not_go_on_from_the_last_claim_is_refused_whole() {
    let (_dir, logs) = both();
    for log in &logs {
        log.claim(Sequence(0), Sequence(5), some(&[2, 5])).await.unwrap();
        for (expected, to, rows) in
            [(4, 9, some(&[6])), (6, 9, some(&[7])), (5, 4, Vec::new()), (5, 9, some(&[7, 7])), (5, 9, some(&[8, 7])), (5, 6, some(&[7])), (5, 9, some(&[5]))]
        {
            assert!(matches!(log.claim(Sequence(expected), Sequence(to), rows).await, Err(StoreError::Moved { .. })));
        }
        assert_eq!((held(&**log).await, log.head().sequence), (vec![2, 5], Sequence(5)));
    }
}

#[tokio::test]
async fn a_log_that_begins_anew_keeps_its_history_and_knows_all_from_there_on_alone() {
    let (dir, logs) = both();
    for log in &logs {
        log.rebase(anew(1, 20, rows(15..=20), None)).await.unwrap();
        assert_eq!(log.head(), Head { origin: origin(), incarnation: Incarnation(1), sequence: Sequence(20), base: Sequence(21) });
        log.claim(Sequence(20), Sequence(30), some(&[24])).await.unwrap();
        // Too much was missed: it begins anew further on.
        assert_eq!(log.rebase(anew(1, 50, rows(48..=50), None)).await, Ok(0));
        log.claim(Sequence(50), Sequence(60), some(&[55])).await.unwrap();
        assert_eq!(held(&**log).await, [55]);
        assert!(matches!(log.range(Sequence(24), Sequence(60), 10, ALL).await, Err(StoreError::Pruned { .. })));
        let page: Vec<u64> = log.page(Page::Before(None), 100).await.unwrap().iter().map(|row| row.sequence.0).collect();
        assert_eq!(page.len(), 6 + 1 + 3 + 1, "history is there all the same: {page:?}");
        assert_eq!(log.checkpointed().await.unwrap(), Some((Sequence(50), Bytes::from("the world at 50"))));
        assert_eq!(log.checkpoints().await.unwrap(), [Sequence(50)]);
    }
    drop(logs);
    let log = sqlite(dir.path());
    assert_eq!((log.head().sequence, log.head().base), (Sequence(60), Sequence(51)));
}

#[tokio::test]
async fn a_log_that_went_back_in_time_lets_go_of_what_is_in_it_no_more() {
    let (dir, logs) = both();
    for log in &logs {
        log.claim(Sequence(0), Sequence(40), rows(1..=40)).await.unwrap();
        assert_eq!(log.rebase(anew(2, 32, some(&[31]), Some(30))).await, Ok(10));
        assert_eq!((log.head().incarnation, log.head().sequence, log.head().base), (Incarnation(2), Sequence(32), Sequence(33)));
        log.claim(Sequence(32), Sequence(35), some(&[34])).await.unwrap();
        let page: Vec<u64> = log.page(Page::Before(None), 100).await.unwrap().iter().map(|row| row.sequence.0).collect();
        assert_eq!(page.len(), 32, "{page:?}");
        assert!(page.contains(&34) && page.contains(&31) && !page.contains(&35) && page.contains(&30));
    }
    // The index is filled anew: what went is found no more, and what came is.
    let find = async |words: &'static str| logs[1].search(words, None, 10).await.unwrap().iter().map(|row| row.sequence.0).collect::<Vec<_>>();
    assert_eq!((find("\"34\"").await.len(), find("\"38\"").await.len()), (1, 0));
    drop(logs);
    let log = sqlite(dir.path());
    assert_eq!((log.head().incarnation, log.head().sequence), (Incarnation(2), Sequence(35)), "and it stays so");
}

#[tokio::test]
async fn signatures_stand_beside_the_events_that_have_them() {
    let (dir, logs) = both();
    let sealed = |sequence: u64| Row { seal: Some(Bytes::from(format!("seal {sequence}"))), ..row(sequence) };
    for log in &logs {
        log.claim(Sequence(0), Sequence(5), vec![row(2), sealed(3)]).await.unwrap();
        log.claim(Sequence(5), Sequence(9), vec![sealed(6), sealed(9)]).await.unwrap();
        assert_eq!(log.seals(Sequence(3), Sequence(8)).await.unwrap(), [(Sequence(3), "seal 3".into()), (Sequence(6), "seal 6".into())]);
        log.rebase(anew(2, 7, Vec::new(), Some(6))).await.unwrap();
        assert_eq!(log.seals(Sequence(1), Sequence(99)).await.unwrap().len(), 2);
    }
    drop(logs);
    assert_eq!(sqlite(dir.path()).seals(Sequence(1), Sequence(99)).await.unwrap().len(), 2);
}

#[tokio::test]
async fn what_was_missed_is_put_in_its_place_and_found_and_changes_nothing_that_is_there() {
    let (dir, logs) = both();
    let sealed = |sequence: u64| Row { seal: Some(Bytes::from(format!("seal {sequence}"))), ..row(sequence) };
    for log in &logs {
        log.claim(Sequence(0), Sequence(5), some(&[2, 5])).await.unwrap();
        log.rebase(anew(1, 50, some(&[48]), None)).await.unwrap();
        let head = log.head();
        assert_eq!(log.fill(vec![row(5), sealed(6), row(20)], false).await, Ok(2), "one was there");
        assert_eq!(log.fill(some(&[33, 48, 51]), true).await, Ok(1), "and one lies beyond");
        assert_eq!(log.head(), head);
        let all: Vec<u64> = log.held(Sequence(1), Sequence(99), 100, ALL).await.unwrap().iter().map(|row| row.sequence.0).collect();
        assert_eq!(all, [2, 5, 6, 20, 33, 48]);
        assert_eq!(log.seals(Sequence(1), Sequence(99)).await.unwrap(), [(Sequence(6), "seal 6".into())]);
        assert_eq!(log.checkpointed().await.unwrap(), Some((Sequence(50), Bytes::from("the world at 50"))));
        log.claim(Sequence(50), Sequence(60), some(&[55])).await.unwrap();
    }
    assert_eq!(logs[1].search("\"33\"", None, 10).await.unwrap().len(), 1);
    drop(logs);
    let log = sqlite(dir.path());
    assert_eq!(log.held(Sequence(6), Sequence(40), 2, ALL).await.unwrap(), some(&[6, 20]));
    assert_eq!((log.head().sequence, log.head().base), (Sequence(60), Sequence(51)));
}

#[tokio::test]
async fn what_is_pruned_of_it_is_not_known_any_more_from_there_on_back() {
    let (_dir, logs) = both();
    for log in &logs {
        log.claim(Sequence(0), Sequence(40), some(&[3, 9, 30, 38])).await.unwrap();
        log.checkpoint(Sequence(40), Bytes::from("x").into()).await.unwrap();
        let retention = Retention { keep: Some(Span::from_secs(20)), kinds: Vec::new() };
        assert_eq!(log.prune(retention, START.plus(Span::from_secs(40))).await, Ok(2));
        assert_eq!((held(&**log).await, log.head().base), (vec![30, 38], Sequence(10)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever is claimed, on disk and in memory the same is held, and a start anew changes nothing.
    #[test]
    fn disk_and_memory_hold_the_same(steps in proptest::collection::vec((0_u64..4, proptest::collection::btree_set(1_u64..20, 0..6), 0_u64..9), 1..12)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (dir, logs) = both();
            for (off, places, more) in steps {
                let head = logs[0].head().sequence;
                let rows: Vec<Row> = places.iter().map(|place| row(head.0 + place)).collect();
                let to = Sequence(head.0 + places.last().copied().unwrap_or(0).saturating_sub(u64::from(more == 0)) + more);
                let expected = Sequence(if off == 0 { head.0 + 1 } else { head.0 });
                let mut verdicts = Vec::new();
                for log in &logs {
                    verdicts.push(log.claim(expected, to, rows.clone()).await);
                }
                assert_eq!(verdicts[0], verdicts[1]);
                assert_eq!(logs[0].head(), logs[1].head());
            }
            let all = held(&*logs[0]).await;
            assert_eq!(held(&*logs[1]).await, all);
            let head = logs[0].head();
            drop(logs);
            let log = sqlite(dir.path());
            assert_eq!((log.head(), held(&*log).await), (head, all));
        });
    }
}
