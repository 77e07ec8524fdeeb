//! Disks that fill up, clocks that jump, spans that nobody watched.

use std::sync::Arc;

use midwatch::client::Address;
use midwatch::link::{Clock, SteadyClock};
use midwatch::model::event::Kind;
use midwatch::model::intent::RefusalCode;
use midwatch::model::time::{Span, Time};
use midwatch::server::{Input, Running};
use midwatch::store::{Log, MemoryLog, StoreError};
use midwatch::wire::{EventBytes, Outcome};

use crate::scene::{self, Console, note, port, serve};

async fn events(log: &MemoryLog) -> Vec<midwatch::model::event::Event> {
    let rows = log.range(log.head().base, log.head().sequence, usize::MAX, usize::MAX).await.unwrap();
    rows.into_iter().map(|row| EventBytes(row.bytes).decode().unwrap()).collect()
}

async fn ready(server: &Running) -> (u16, String) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(port(server)).await.unwrap();
    stream.write_all(b"GET /readyz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer)
}

#[tokio::test]
async fn p12_a_full_disk_refuses_with_words_and_work_goes_on_when_there_is_room() {
    let log = scene::memory();
    let server = serve(Arc::new(log.clone()), |_| {}).await;
    let mut console = Console::to(Address::Tcp(port(&server)), None);
    console.until("the snapshot came", |console| console.replica.world.is_some()).await;
    let before = console.replica.world.clone();
    log.fail_next(StoreError::Write { path: "/var".into(), why: "no space left".into(), hint: "Make room".into() });
    console.ask(note("lost"));
    console.until("it was refused", |console| !console.outcomes.is_empty()).await;
    let Some(Outcome::Refused(refusal)) = console.outcomes.first() else { panic!("{:?}", console.outcomes) };
    assert_eq!(refusal.code, RefusalCode::Unavailable);
    assert!(refusal.why.contains("no space left"), "{}", refusal.why);
    let (status, words) = ready(&server).await;
    assert!(status == 503 && words.contains("no space left"), "{words}");
    assert_eq!(Some(&*scene::world(&server).await), before.as_deref(), "what was not kept is not believed");
    // There is room again: without a restart.
    loop {
        let outcomes = console.outcomes.len();
        console.ask(note("kept"));
        console.until("it was answered", |console| console.outcomes.len() > outcomes).await;
        if matches!(console.outcomes.last(), Some(Outcome::Done(_))) {
            break;
        }
    }
    assert_eq!(ready(&server).await.0, 200);
    let head = log.head().sequence.0;
    console.until("the event came", |console| console.head() >= head).await;
    assert_eq!(console.replica.world.as_deref(), Some(&*scene::world(&server).await));
    assert_eq!(console.disconnects, 0);
}

#[tokio::test]
async fn p11_a_log_that_is_shut_stays_shut_and_says_so() {
    let log = scene::memory();
    let server = serve(Arc::new(log.clone()), |_| {}).await;
    log.fail_next(StoreError::Shut { path: "/var".into(), why: "fsync failed".into(), hint: "Check the disk".into() });
    for _ in 0..3 {
        let refusal = server.core.write(Input::Request(note("x"))).await.unwrap_err();
        assert!(refusal.why.contains("fsync failed"), "{}", refusal.why);
        tokio::time::sleep(scene::pace().retry * 2).await;
    }
    let (status, words) = ready(&server).await;
    assert!(status == 503 && words.contains("fsync failed"), "{words}");
}

#[tokio::test]
async fn p9_recorded_never_goes_back_when_the_clock_does() {
    let log = scene::memory();
    let clock = Arc::new(SteadyClock::new(Time::from_secs(1_790_000_000)));
    let handed: Arc<dyn Clock> = clock.clone();
    let server = serve(Arc::new(log.clone()), |parts| parts.clock = handed).await;
    for step in [0, -3_600_000_000, 50_000_000, -86_400_000_000, 200_000_000_000] {
        clock.shift(step);
        server.core.write(Input::Request(note("tick"))).await.unwrap();
    }
    drop(server);
    let events = events(&log).await;
    assert!(events.is_sorted_by_key(|event| event.recorded));
    assert!(events.windows(2).filter(|pair| pair[0].recorded < pair[1].recorded).count() >= 4, "nor does it stand still");
}

#[tokio::test]
async fn p9_nor_over_a_restart() {
    let log = scene::memory();
    let clock = |secs| Arc::new(SteadyClock::new(Time::from_secs(secs))) as Arc<dyn Clock>;
    let server = serve(Arc::new(log.clone()), |parts| parts.clock = clock(1_790_000_000)).await;
    server.stop().await;
    let server = serve(Arc::new(log.clone()), |parts| parts.clock = clock(1_780_000_000)).await;
    server.core.write(Input::Request(note("tick"))).await.unwrap();
    assert!(events(&log).await.is_sorted_by_key(|event| event.recorded));
}

#[tokio::test]
async fn a_span_that_nobody_watched_is_an_event() {
    let log = scene::memory();
    let folder = tempfile::tempdir().unwrap();
    let heartbeat = folder.path().join("heartbeat");
    let clock = |secs| Arc::new(SteadyClock::new(Time::from_secs(secs))) as Arc<dyn Clock>;
    let server = serve(Arc::new(log.clone()), |parts| {
        parts.clock = clock(1_790_000_000);
        parts.heartbeat = Some(heartbeat.clone());
    })
    .await;
    server.stop().await;
    assert!(events(&log).await.iter().all(|event| !matches!(event.kind, Kind::Unwatched(_))), "a first start has nothing to say");
    // It lived for an hour after its last event, as the heartbeat says.
    std::fs::write(&heartbeat, Time::from_secs(1_790_003_600).to_string()).unwrap();
    let server = serve(Arc::new(log.clone()), |parts| {
        parts.clock = clock(1_790_010_000);
        parts.heartbeat = Some(heartbeat.clone());
    })
    .await;
    let events = events(&log).await;
    let spans: Vec<(Time, Span)> = events
        .iter()
        .filter_map(|event| match &event.kind {
            Kind::Unwatched(span) => Some((span.from, span.until.since(span.from))),
            _ => None,
        })
        .collect();
    assert_eq!(spans.len(), 1);
    assert_eq!(spans[0].0, Time::from_secs(1_790_003_600));
    assert_eq!(spans[0].1.secs(), 6_400);
    assert_eq!(scene::world(&server).await.unwatched.len(), 1);
}

/// A checkpoint and what follows it make the same world as all events from the start.
#[tokio::test]
async fn a_restart_from_a_checkpoint_gives_the_same_world() {
    let log = scene::memory();
    let server = serve(Arc::new(log.clone()), |parts| parts.pace.checkpoint_events = 10).await;
    for n in 0..100 {
        server.core.write(Input::Request(note(&format!("{n}")))).await.unwrap();
    }
    server.stop().await;
    assert!(log.checkpointed().await.unwrap().is_some());
    let server = serve(Arc::new(log.clone()), |_| {}).await;
    let mut replayed = midwatch::model::world::World::new(scene::ORIGIN, log.head().incarnation);
    events(&log).await.iter().for_each(|event| midwatch::model::fold::fold(&mut replayed, event));
    assert_eq!(&*scene::world(&server).await, &replayed);
}
