//! Snapshot, then stream; after every break on from where it was.

use std::sync::Arc;
use std::time::Duration;

use midwatch::client::{Address, ServerConfig, ServerIndex, Servers, Update, Wishes};
use midwatch::link::{OsRandom, Random};
use midwatch::model::id::{Incarnation, Sequence};
use midwatch::model::time::Span;
use midwatch::server::{Input, Listen};
use midwatch::store::{Log, SqliteLog, StoreError};
use midwatch::wire::{CountAsk, Cursor, HistoryAsk, Outcome, Paging, SearchAsk, SnapshotReason};

use crate::proxy::Proxy;
use crate::scene::{self, Console, note, port, serve, serve_on};

#[tokio::test]
async fn a_console_has_the_servers_world_and_hears_what_happens() {
    let server = serve(Arc::new(scene::memory()), |_| {}).await;
    let mut console = Console::to(Address::Tcp(port(&server)), None);
    console.until("the snapshot came", |console| console.replica.world.is_some()).await;
    assert_eq!(console.snapshots, [SnapshotReason::First]);
    console.ask(note("looked at it"));
    console.until("the answer and the event came", |console| !console.outcomes.is_empty() && !console.streamed.is_empty()).await;
    assert!(matches!(console.outcomes.first(), Some(Outcome::Done(events)) if events.len() == 1));
    assert_eq!(console.replica.world.as_deref(), Some(&*scene::world(&server).await));
    assert_eq!(console.replica.broken, 0);
    server.stop().await;
    console.until("the server said that it stops", |console| !console.replica.connected).await;
    assert!(console.replica.why.as_deref().unwrap().contains("stops"), "{:?}", console.replica.why);
}

#[tokio::test]
async fn claims_carry_freshness_while_nothing_happens() {
    let server = serve(Arc::new(scene::memory()), |_| {}).await;
    let mut console = Console::to(Address::Tcp(port(&server)), None);
    console.until("the snapshot came", |console| console.replica.world.is_some()).await;
    for _ in 0..3 {
        let before = console.replica.fresh.unwrap().heard;
        console.until("a claim came", |console| console.replica.fresh.unwrap().heard > before).await;
    }
    assert!(console.streamed.is_empty(), "nothing happened");
    drop(server);
}

/// Many breaks at many places, while events go on being written: each is heard once, in order.
async fn nothing_is_lost_or_repeated(log: Arc<dyn Log>) {
    let server = serve(log, |_| {}).await;
    let proxy = Proxy::to(port(&server)).await;
    let mut console = Console::to(Address::Tcp(proxy.address.clone()), None);
    console.until("the snapshot came", |console| console.replica.world.is_some()).await;
    let begun = console.head();
    let mut written = 0_u64;
    while written < 400 || console.head() < begun + 400 {
        for _ in 0..OsRandom.below(8).min(400 - written) {
            server.core.write(Input::Request(note(&format!("note {written}")))).await.unwrap();
            written += 1;
        }
        // Once in a while the line is cut, in the middle of whatever is on it; writing goes on.
        if OsRandom.below(6) == 0 {
            let before = console.disconnects;
            proxy.cut();
            console.until("the break was noticed", |console| console.disconnects > before || !console.replica.connected).await;
            console.servers.handle.retry_now(ServerIndex(0));
        } else {
            console.next().await;
        }
    }
    assert!(console.disconnects > 3, "{} breaks", console.disconnects);
    assert_eq!(console.streamed, (begun + 1..=begun + 400).collect::<Vec<u64>>());
    assert_eq!(console.snapshots, [SnapshotReason::First], "every break was resumed by cursor");
    assert_eq!(console.replica.world.as_deref(), Some(&*scene::world(&server).await));
}

#[tokio::test]
async fn breaks_lose_and_repeat_nothing() {
    nothing_is_lost_or_repeated(Arc::new(scene::memory())).await;
}

#[tokio::test]
async fn breaks_lose_and_repeat_nothing_on_disk() {
    let folder = tempfile::tempdir().unwrap();
    let log = SqliteLog::open(folder.path(), scene::ORIGIN, Incarnation(1_790_000_000_000)).unwrap();
    nothing_is_lost_or_repeated(Arc::new(log)).await;
}

#[tokio::test]
async fn a_cursor_that_cannot_be_followed_gets_a_snapshot_and_the_reason() {
    let log = scene::memory();
    let server = serve(Arc::new(log.clone()), |_| {}).await;
    for n in 0..5 {
        server.core.write(Input::Request(note(&format!("{n}")))).await.unwrap();
    }
    let head = log.head();
    let good = Cursor { origin: head.origin, incarnation: head.incarnation, sequence: Sequence(3), epoch: None };
    let cases = [
        (Cursor { origin: midwatch::model::id::Origin([9; 16]), ..good }, Some(SnapshotReason::OtherServer)),
        (Cursor { incarnation: Incarnation(1), ..good }, Some(SnapshotReason::OtherIncarnation)),
        (Cursor { sequence: Sequence(9_999), ..good }, Some(SnapshotReason::Beyond)),
        (good, None),
    ];
    for (cursor, expected) in cases {
        let config = ServerConfig { token: Some(scene::CONSOLE.into()), cursor: Some(cursor), ..ServerConfig::new("shop", Address::Tcp(port(&server))) };
        let random: Arc<dyn Random> = Arc::new(OsRandom);
        let wishes = Wishes { name: "kim".into(), history: 2, filter: None, vitals: false, presence: false, peers: false };
        let mut console = Console::over(Servers::connect(&[config], &wishes, &random).unwrap());
        match expected {
            Some(why) => {
                console.until("a snapshot came", |console| !console.snapshots.is_empty()).await;
                assert_eq!(console.snapshots, [why]);
            }
            None => {
                let head = log.head().sequence.0;
                console.until("the rest came", |console| console.streamed.last() == Some(&head)).await;
                assert_eq!(console.streamed, (4..=head).collect::<Vec<u64>>());
            }
        }
    }
}

#[tokio::test]
async fn a_log_that_could_not_be_read_is_followed_once_it_can() {
    let log = scene::memory();
    let server = serve(Arc::new(log.clone()), |_| {}).await;
    for n in 0..5 {
        server.core.write(Input::Request(note(&format!("{n}")))).await.unwrap();
    }
    let head = log.head();
    let cursor = Cursor { origin: head.origin, incarnation: head.incarnation, sequence: Sequence(3), epoch: None };
    // What was missed, and a world with what came before it.
    for cursor in [Some(cursor), None] {
        for _ in 0..2 {
            log.fail_next_read(StoreError::Damaged { path: "/var".into(), why: "input/output error".into(), hint: "Look at the disk".into() });
        }
        let config = ServerConfig { token: Some(scene::CONSOLE.into()), cursor, ..ServerConfig::new("shop", Address::Tcp(port(&server))) };
        let random: Arc<dyn Random> = Arc::new(OsRandom);
        let wishes = Wishes { name: "kim".into(), history: 2, filter: None, vitals: false, presence: false, peers: false };
        let mut console = Console::over(Servers::connect(&[config], &wishes, &random).unwrap());
        console.until("it was told", |console| console.streamed.last() == Some(&head.sequence.0) || !console.snapshots.is_empty()).await;
        assert_eq!(console.disconnects, 2, "each time it comes again");
        match cursor {
            Some(_) => assert_eq!((console.streamed, console.snapshots.len()), ((4..=head.sequence.0).collect::<Vec<u64>>(), 0)),
            None => assert_eq!(console.snapshots, [SnapshotReason::First]),
        }
    }
}

#[tokio::test]
async fn a_restarted_server_is_caught_up_with() {
    let folder = tempfile::tempdir().unwrap();
    let listen = Listen::Unix(folder.path().join("run/server.sock"));
    let log = scene::memory();
    let server = serve_on(&listen, Arc::new(log.clone()), |_| {}).await;
    let mut console = Console::to(Address::Unix(folder.path().join("run/server.sock")), None);
    console.until("the snapshot came", |console| console.replica.world.is_some()).await;
    let seen = console.head();
    server.stop().await;
    console.until("the link is down", |console| !console.replica.connected).await;
    let server = serve_on(&listen, Arc::new(log), |_| {}).await;
    console.servers.handle.retry_now(ServerIndex(0));
    let head = scene::world(&server).await.head.0;
    console.until("all is known", |console| console.head() >= head).await;
    assert_eq!(console.streamed, (seen + 1..=head).collect::<Vec<u64>>(), "stopped and started were heard, once");
    assert_eq!(console.snapshots, [SnapshotReason::First]);
}

#[tokio::test]
async fn history_is_paged_and_searched() {
    let log = scene::memory();
    let server = serve(Arc::new(log), |_| {}).await;
    for n in 0..2_500 {
        server.core.write(Input::Request(note(&format!("note {n}")))).await.unwrap();
    }
    let mut console = Console::to(Address::Tcp(port(&server)), None);
    console.until("the snapshot came", |console| console.replica.world.is_some()).await;
    let handle = console.servers.handle.clone();
    handle.history(ServerIndex(0), HistoryAsk { id: 1, page: Paging::Before(None), limit: 2_300, filter: None }).unwrap();
    handle.history(ServerIndex(0), HistoryAsk { id: 2, page: Paging::After(None), limit: 1_000_000, filter: None }).unwrap();
    handle.search(ServerIndex(0), SearchAsk { id: 3, words: "note 77".into(), before: None, limit: 100 }).unwrap();
    let (mut newest, mut all, mut found) = (Vec::new(), Vec::new(), Vec::new());
    let mut ends = Vec::new();
    while ends.len() < 3 {
        if let Update::History { id, page, last, complete, .. } = console.next().await {
            assert_eq!(page.broken, 0);
            let sequences = page.entries.iter().map(|entry| entry.sequence.0);
            match id {
                1 => newest.extend(sequences),
                2 => all.extend(sequences),
                _ => found.extend(page.entries.iter().map(|entry| entry.decode().unwrap().text)),
            }
            if last {
                ends.push((id, complete));
            }
        }
    }
    let head = scene::world(&server).await.head.0;
    assert_eq!(ends, [(1, false), (2, true), (3, true)]);
    assert_eq!(newest.len(), 2_300);
    assert_eq!(newest.first(), Some(&head));
    assert!(newest.is_sorted_by(|a, b| a > b));
    assert_eq!(all, (1..=head).collect::<Vec<u64>>());
    assert!(found.iter().any(|text| &**text == "note 77"), "{found:?}");
}

#[tokio::test]
async fn filters_and_counts_are_answered_from_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let log = SqliteLog::open(folder.path(), scene::memory().head().origin, Incarnation(1)).unwrap();
    let server = serve(Arc::new(log), |_| {}).await;
    for n in 0..300 {
        server.core.write(Input::Request(note(&format!("note {n}")))).await.unwrap();
    }
    let mut console = Console::to(Address::Tcp(port(&server)), None);
    console.until("the snapshot came", |console| console.replica.world.is_some()).await;
    let handle = console.servers.handle.clone();
    let first = HistoryAsk { id: 1, page: Paging::Before(None), limit: 5, filter: Some("\"note 7\"".into()) };
    handle.history(ServerIndex(0), first).unwrap();
    let wrong = HistoryAsk { id: 2, page: Paging::Before(None), limit: 5, filter: Some("((".into()) };
    handle.history(ServerIndex(0), wrong).unwrap();
    let count = CountAsk { id: 3, from: None, step: Span::ZERO, buckets: 0, filter: None };
    handle.count(ServerIndex(0), count.clone()).unwrap();
    let (mut hits, mut refused, mut extent) = (None, false, None);
    while hits.is_none() || !refused || extent.is_none() {
        match console.next().await {
            Update::History { id: 1, page, last: true, complete, filtered: true, reached } => hits = Some((page.entries.len(), complete, reached.is_some())),
            Update::Counts(counts) => extent = Some(counts),
            Update::Problem(problem) => refused |= problem.id == Some(2),
            _ => {}
        }
    }
    assert_eq!(hits, Some((5, false, true)), "note 79 down to 75");
    let extent = extent.unwrap();
    let head = scene::world(&server).await.head.0;
    assert_eq!((extent.held, extent.last, extent.counts.len()), (head, true, 0));
    for (filter, expected) in [(None, head), (Some("\"note 29\""), 11), (Some("severity:info"), head), (Some("severity:error+"), 0)] {
        let from = extent.oldest.unwrap().minus(Span::from_mins(1));
        handle.count(ServerIndex(0), CountAsk { id: 4, from: Some(from), step: Span::from_mins(5), buckets: 100, filter: filter.map(Into::into) }).unwrap();
        let counts = loop {
            if let Update::Counts(counts) = console.next().await
                && counts.last
            {
                break counts;
            }
        };
        assert_eq!(counts.counts.iter().flatten().sum::<u64>(), expected, "{filter:?}");
        assert_eq!((counts.id, counts.counts.len()), (4, 100));
    }
}

#[tokio::test]
async fn what_was_asked_while_the_server_was_away_is_asked_again_after_a_restart_of_the_console() {
    let folder = tempfile::tempdir().unwrap();
    let outbox = folder.path().join("outbox");
    let server = serve(Arc::new(scene::memory()), |_| {}).await;
    let proxy = Proxy::to(port(&server)).await;
    proxy.close();
    let request = note("written on a train");
    let console = Console::to(Address::Tcp(proxy.address.clone()), Some(&outbox));
    let kept = console.servers.handle.request(ServerIndex(0), request.clone()).unwrap();
    kept.await.unwrap().unwrap();
    drop(console);
    proxy.open();
    // Twice: what was answered is not asked a third time, and what was done is done once.
    let mut console = Console::to(Address::Tcp(proxy.address.clone()), Some(&outbox));
    console.until("it was answered", |console| !console.outcomes.is_empty()).await;
    console.ask(request);
    console.until("it was answered again", |console| console.outcomes.len() == 2).await;
    assert_eq!(console.outcomes.get(1), Some(&Outcome::Done(Vec::new())));
    let world = scene::world(&server).await;
    assert_eq!(world.deeds.iter().filter(|deed| &*deed.text == "written on a train").count(), 1);
    tokio::time::timeout(Duration::from_secs(10), async {
        while std::fs::read_dir(&outbox).unwrap().count() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("the outbox is empty");
}
