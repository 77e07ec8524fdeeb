//! A log's files, bent as a failing disk or somebody else's hand would: it is opened or refused with words, and
//! whatever is asked of it is answered.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use midwatch::model::event::{Actor, Draft, LogLine, Note};
use midwatch::model::id::{EventId, Incarnation, Origin, Sequence};
use midwatch::model::severity::Severity;
use midwatch::model::time::{Span, Time};
use midwatch::server::world_of;
use midwatch::store::{Log, Page, Row, Scale, SqliteLog, StoreError};

use crate::fuzz;

const ORIGIN: Origin = Origin([7; 16]);
const LIFE: Incarnation = Incarnation(1);
const START: Time = Time::from_secs(1_790_000_000);

fn row(sequence: u64, sealed: bool) -> Row {
    let at = START.plus(Span::from_secs(i64::try_from(sequence).unwrap() * 60));
    let id = EventId { origin: ORIGIN, incarnation: LIFE, sequence: Sequence(sequence) };
    let draft = if sequence.is_multiple_of(3) {
        Draft::new(at, Actor::Source("test".into()), LogLine {}, format!("line {sequence}"))
    } else {
        Draft::new(at, Actor::User("kim".into()), Note { alert: None, episode: None }, format!("note {sequence}"))
    };
    let event = draft.on("shop/varnish".parse().unwrap()).stamp(id, at);
    Row {
        sequence: id.sequence,
        at,
        recorded: at,
        severity: Severity::Info,
        kind: event.kind.name().into(),
        system: event.system.clone(),
        bytes: rmp_serde::to_vec_named(&event).unwrap().into(),
        seal: sealed.then(|| Bytes::from(vec![9; 64])),
    }
}

/// Two logs, this server's own and another's, each as its files: of events, and of their words.
async fn good(peers: bool) -> [Vec<u8>; 2] {
    let folder = tempfile::tempdir_in("/dev/shm").unwrap();
    let log = SqliteLog::open(folder.path(), ORIGIN, LIFE).unwrap();
    if peers {
        log.claim(Sequence(0), Sequence(30), [2, 3, 7, 20, 30].map(|sequence| row(sequence, true)).to_vec()).await.unwrap();
    } else {
        log.append(Sequence(0), (1..=30).map(|sequence| row(sequence, false)).collect()).await.unwrap();
    }
    log.checkpoint(Sequence(30), Bytes::from_static(b"a world that cannot be read").into()).await.unwrap();
    log.search("note", None, 5).await.unwrap();
    drop(log);
    ["events.db", "index.db"].map(|name| std::fs::read(folder.path().join(name)).unwrap())
}

async fn asked(folder: &Path) -> String {
    let log = match SqliteLog::open(folder, ORIGIN, LIFE) {
        Ok(log) => log,
        Err(error) => return error.to_string().replace(&folder.display().to_string(), ""),
    };
    let head = log.head();
    let mut words = String::new();
    let mut note = |what: &str, error: Option<StoreError>| {
        if let Some(error) = error {
            // Its threads live, whatever they read.
            assert!(!matches!(&error, StoreError::Shut { why, .. } if why.contains("before this was answered")), "{what}: {error}");
            words = format!("{what}: {}", error.to_string().replace(&folder.display().to_string(), ""));
        }
    };
    note("world", world_of(&log).await.err());
    note("page", log.page(Page::Before(None), 100).await.err());
    note("range", log.range(head.base, head.sequence, 1_000, 1 << 20).await.err());
    note("search", log.search("note 7", None, 10).await.err());
    note("late", log.late(Sequence(3), START.plus(Span::from_mins(9)), 10).await.err());
    note("extent", log.extent().await.err());
    note("density", log.density(Scale { from: START, step: Span::from_mins(1), buckets: 50 }).await.err());
    note("seals", log.seals(Sequence(1), Sequence(40)).await.err());
    note("checkpoints", log.checkpoints().await.err());
    let kept = log.append(head.sequence, vec![row(head.sequence.0.saturating_add(1).min(1 << 40), false)]).await;
    note("append", kept.err());
    words
}

#[test]
fn p4_logs() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (own, others) = runtime.block_on(async { (good(false).await, good(true).await) });
    // The first byte says which of the files it is that was bent.
    let of = |which: u8, bytes: &[u8]| [&[which], bytes].concat();
    let seeds = vec![of(0, &own[0]), of(0, &others[0]), of(1, &own[1])];
    fuzz!("logs", seeds, |bytes: &[u8]| {
        let (which, bytes) = bytes.split_first().map_or((0, bytes), |(first, rest)| (*first, rest));
        let folder = tempfile::tempdir_in("/dev/shm").unwrap();
        let files = if which == 0 { [bytes, own[1].as_slice()] } else { [own[0].as_slice(), bytes] };
        std::fs::write(folder.path().join("events.db"), files[0]).unwrap();
        std::fs::write(folder.path().join("index.db"), files[1]).unwrap();
        runtime.block_on(async {
            // Once more, should the machine have had other things to do.
            let answered = async || tokio::time::timeout(Duration::from_secs(30), asked(folder.path())).await.ok();
            match answered().await {
                Some(words) => words,
                None => answered().await.expect("all is answered"),
            }
        })
    });
}
