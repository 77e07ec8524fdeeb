//! Rights that end while something is under way: what goes out afterwards is made of what is left.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use midwatch::link::dial::Dialling;
use midwatch::link::{Clock, Conversation, Dial, Io, Line, SystemClock};
use midwatch::model::event::{Actor, Draft, Kind, Other, TrustUsed};
use midwatch::model::grant::Asker;
use midwatch::model::id::{Incarnation, Sequence};
use midwatch::model::intent::{Intent, RefusalCode};
use midwatch::model::time::{Span, Time};
use midwatch::server::Input;
use midwatch::store::{Anew, Answer, Extent, Head, Health, Log, Page, Pieces, Retention, Row, Scale, Sift, Sifted};
use midwatch::wire::{
    BackfillAsk, CountAsk, Cursor, HistoryAsk, Paging, ProblemCode, Role, SearchAsk, SnapshotReason, Subscribe, ToClient, ToServer, WorldAsk,
};
use tokio::sync::watch;

use crate::grants::{Yard, fired, heard, hello, key, named};
use crate::scene::{self, port};

/// A log that answers, and lets nobody have the answer before it is let go.
struct Held {
    log: Arc<dyn Log>,
    gate: Arc<Gate>,
}

struct Gate {
    open: watch::Sender<bool>,
    held: watch::Sender<usize>,
    /// So many answers go by before one is held.
    spare: AtomicUsize,
}

impl Gate {
    fn new() -> Arc<Gate> {
        Arc::new(Gate { open: watch::channel(true).0, held: watch::channel(0).0, spare: AtomicUsize::new(0) })
    }

    /// From now on nobody is answered, after so many.
    fn shut(&self, spare: usize) {
        self.spare.store(spare, Ordering::SeqCst);
        self.held.send_replace(0);
        self.open.send_replace(false);
    }

    async fn holds_one(&self) {
        let mut held = self.held.subscribe();
        tokio::time::timeout(Duration::from_secs(30), held.wait_for(|held| *held > 0)).await.expect("something is asked of the log").unwrap();
    }

    fn let_go(&self) {
        self.open.send_replace(true);
    }
}

impl Held {
    fn after<T: Send + 'static>(&self, answer: Answer<T>) -> Answer<T> {
        let gate = self.gate.clone();
        Box::pin(async move {
            let answer = answer.await;
            let mut open = gate.open.subscribe();
            if !*open.borrow() && gate.spare.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |spare| spare.checked_sub(1)).is_err() {
                gate.held.send_modify(|held| *held += 1);
                open.wait_for(|open| *open).await.unwrap();
            }
            answer
        })
    }
}

impl Log for Held {
    fn head(&self) -> Head {
        self.log.head()
    }
    fn follow(&self) -> watch::Receiver<Head> {
        self.log.follow()
    }
    fn append(&self, expected: Sequence, rows: Vec<Row>) -> Answer<()> {
        self.log.append(expected, rows)
    }
    fn claim(&self, expected: Sequence, to: Sequence, rows: Vec<Row>) -> Answer<()> {
        self.log.claim(expected, to, rows)
    }
    fn seals(&self, from: Sequence, to: Sequence) -> Answer<Vec<(Sequence, Bytes)>> {
        self.log.seals(from, to)
    }
    fn fill(&self, rows: Vec<Row>, last: bool) -> Answer<u64> {
        self.log.fill(rows, last)
    }
    fn rebase(&self, anew: Anew) -> Answer<u64> {
        self.log.rebase(anew)
    }
    fn range(&self, from: Sequence, to: Sequence, most: usize, bytes: usize) -> Answer<Vec<Row>> {
        self.after(self.log.range(from, to, most, bytes))
    }
    fn held(&self, from: Sequence, to: Sequence, most: usize, bytes: usize) -> Answer<Vec<Row>> {
        self.after(self.log.held(from, to, most, bytes))
    }
    fn page(&self, page: Page, most: usize) -> Answer<Vec<Row>> {
        self.after(self.log.page(page, most))
    }
    fn search(&self, words: &str, before: Option<(Time, Sequence)>, most: usize) -> Answer<Vec<Row>> {
        self.after(self.log.search(words, before, most))
    }
    fn late(&self, after: Sequence, until: Time, most: usize) -> Answer<Vec<Row>> {
        self.after(self.log.late(after, until, most))
    }
    fn sift(&self, sift: Sift) -> Answer<Sifted> {
        self.after(self.log.sift(sift))
    }
    fn extent(&self) -> Answer<Extent> {
        self.log.extent()
    }
    fn density(&self, scale: Scale) -> Answer<Vec<[u64; 6]>> {
        self.after(self.log.density(scale))
    }
    fn checkpoint(&self, at: Sequence, world: Pieces) -> Answer<()> {
        self.log.checkpoint(at, world)
    }
    fn checkpointed(&self) -> Answer<Option<(Sequence, Bytes)>> {
        self.log.checkpointed()
    }
    fn checkpoints(&self) -> Answer<Vec<Sequence>> {
        self.log.checkpoints()
    }
    fn checkpoint_at(&self, at: Sequence) -> Answer<Option<Bytes>> {
        self.log.checkpoint_at(at)
    }
    fn prune(&self, retention: Retention, now: Time) -> Answer<u64> {
        self.log.prune(retention, now)
    }
    fn backup(&self, to: &Path) -> Answer<()> {
        self.log.backup(to)
    }
    fn health(&self) -> Health {
        self.log.health()
    }
    fn restored(&self) -> Option<(Incarnation, Sequence)> {
        self.log.restored()
    }
    fn restored_said(&self) -> Answer<()> {
        self.log.restored_said()
    }
}

/// Robin may see the shop and the vault, and something happened in both.
async fn yard(role: &str) -> (Yard, Arc<Gate>) {
    let gate = Gate::new();
    let held = gate.clone();
    let yard = Yard::over(&[], |log| Arc::new(Held { log, gate: held })).await;
    yard.grant(20, "robin", role, "shop/**,vault/**", None).await;
    for input in [fired("shop/varnish", "varnish is slow"), fired("vault/db", "hush hush")] {
        yard.server.core.write(input).await.unwrap();
    }
    (yard, gate)
}

async fn narrow(yard: &Yard, role: &str) {
    yard.grant(20, "robin", role, "shop/**", None).await;
}

fn text(told: &[ToClient]) -> String {
    serde_json::to_string(told).unwrap()
}

/// What is answered with this number ends so.
fn ends(message: &ToClient, ask: u64) -> bool {
    match message {
        ToClient::Page(page) => page.id == ask && page.last,
        ToClient::Counts(counts) => counts.id == ask && counts.last,
        ToClient::WorldThen(then) => then.id == ask,
        ToClient::Backfilled(filled) => filled.id == ask,
        ToClient::Problem(problem) => problem.id == Some(ask),
        _ => false,
    }
}

#[tokio::test]
async fn an_answer_that_was_under_way_when_a_right_was_narrowed_holds_what_is_left() {
    let now = SystemClock.now();
    let history = |filter: Option<&str>, page| ToServer::History(HistoryAsk { id: 1, page, limit: 100, filter: filter.map(Into::into) });
    for (what, role, ask) in [
        ("a page", Role::Console, history(None, Paging::Before(None))),
        ("a page from the start", Role::Console, history(None, Paging::After(None))),
        ("a filter", Role::Console, history(Some("kind:alert.opened"), Paging::Before(None))),
        ("a search", Role::Console, ToServer::Search(SearchAsk { id: 1, words: "is slow".into(), before: None, limit: 100 })),
        ("a search for what is hidden", Role::Console, ToServer::Search(SearchAsk { id: 1, words: "hush".into(), before: None, limit: 100 })),
        ("the world then", Role::Console, ToServer::WorldAt(WorldAsk { id: 1, at: now.plus(Span::from_hours(1)) })),
        ("a slice", Role::Peer, ToServer::Backfill(BackfillAsk { id: 1, after: Sequence(0), until: Sequence(1_000) })),
    ] {
        let grant = if role == Role::Peer { "peer" } else { "responder" };
        let (yard, gate) = yard(grant).await;
        let mut robin = yard.come(20, hello(role, "robin")).await.unwrap();
        robin.send(&ask).await.unwrap();
        let before = text(&heard(&mut robin, |message| ends(message, 1)).await);
        assert!(before.contains("hush") || what == "a search", "{what}: {before}");
        gate.shut(0);
        robin.send(&ask).await.unwrap();
        gate.holds_one().await;
        narrow(&yard, grant).await;
        gate.let_go();
        let told = heard(&mut robin, |message| ends(message, 1)).await;
        let told_text = text(&told);
        assert!(!matches!(told.last(), Some(ToClient::Problem(_))), "{what}: it is answered anew: {told_text}");
        // Of the vault its own grant speaks.
        assert!(!told_text.contains("hush"), "{what}: {told_text}");
        assert!(told_text.contains("varnish is slow") || what.contains("hidden"), "{what}: {told_text}");
    }
}

#[tokio::test]
async fn counts_under_way_count_what_is_left() {
    for filter in [None, Some("kind:alert.opened")] {
        let (yard, gate) = yard("responder").await;
        for more in ["vault/lock", "vault/door", "vault/lamp"] {
            yard.server.core.write(fired(more, "hush again")).await.unwrap();
        }
        let mut robin = yard.come(20, hello(Role::Console, "robin")).await.unwrap();
        let from = Some(SystemClock.now().minus(Span::from_mins(30)));
        let ask = ToServer::Count(CountAsk { id: 1, from, step: Span::from_hours(1), buckets: 1, filter: filter.map(Into::into) });
        let critical = |told: &[ToClient]| match told.last() {
            Some(ToClient::Counts(counts)) => counts.counts.iter().flatten().sum::<u64>(),
            other => panic!("{other:?}"),
        };
        robin.send(&ask).await.unwrap();
        let before = critical(&heard(&mut robin, |message| ends(message, 1)).await);
        gate.shut(0);
        robin.send(&ask).await.unwrap();
        gate.holds_one().await;
        narrow(&yard, "responder").await;
        gate.let_go();
        let then = critical(&heard(&mut robin, |message| ends(message, 1)).await);
        robin.send(&ask).await.unwrap();
        let now = critical(&heard(&mut robin, |message| ends(message, 1)).await);
        assert!(then < before && then <= now, "{filter:?}: {before}, {then}, {now}");
    }
}

#[tokio::test]
async fn of_a_right_that_was_taken_away_nothing_under_way_goes_out() {
    let (yard, gate) = yard("responder").await;
    let mut robin = yard.come(20, hello(Role::Console, "robin")).await.unwrap();
    gate.shut(0);
    robin.send(&ToServer::History(HistoryAsk { id: 1, page: Paging::Before(None), limit: 100, filter: None })).await.unwrap();
    gate.holds_one().await;
    let grant = yard.held(20).await.unwrap().id;
    yard.ask(Intent::Revoke { grant, why: "".into() }).await.unwrap();
    gate.let_go();
    let told = heard(&mut robin, |message| matches!(message, ToClient::Problem(_) | ToClient::Page(_))).await;
    assert!(matches!(told.last(), Some(ToClient::Problem(problem)) if problem.code == ProblemCode::Unauthorized), "{told:?}");
}

#[tokio::test]
async fn what_a_subscription_begins_with_is_what_may_be_seen_when_it_is_told() {
    // A snapshot with history, whose page waits; and a cursor, whose events wait.
    for (role, cursor) in [(Role::Console, false), (Role::Console, true), (Role::Peer, true)] {
        let grant = if role == Role::Peer { "peer" } else { "responder" };
        let (yard, gate) = yard(grant).await;
        let mut robin = yard.come(20, hello(role, "robin")).await.unwrap();
        robin.send(&ToServer::Subscribe(Subscribe { history: 10, ..Subscribe::default() })).await.unwrap();
        let told = heard(&mut robin, |message| matches!(message, ToClient::Snapshot(_))).await;
        let Some(ToClient::Snapshot(snapshot)) = told.last() else { panic!() };
        let log = yard.log.head();
        let from = Cursor { origin: log.origin, incarnation: log.incarnation, sequence: snapshot.head, epoch: snapshot.world.epoch };
        robin.close().await;
        yard.server.core.write(fired("vault/lock", "hush again")).await.unwrap();
        let mut robin = yard.come(20, hello(role, "robin")).await.unwrap();
        gate.shut(0);
        robin.send(&ToServer::Subscribe(Subscribe { history: 10, cursor: cursor.then_some(from), ..Subscribe::default() })).await.unwrap();
        gate.holds_one().await;
        narrow(&yard, grant).await;
        gate.let_go();
        yard.server.core.write(fired("shop/web", "the last one")).await.unwrap();
        let told = heard(&mut robin, |message| text(std::slice::from_ref(message)).contains("the last one")).await;
        let snapshot = told.iter().find_map(|message| if let ToClient::Snapshot(snapshot) = message { Some(snapshot.why) } else { None });
        assert_eq!(snapshot, Some(if cursor { SnapshotReason::Scope } else { SnapshotReason::First }), "{role:?}");
        let told = text(&told);
        assert!(!told.contains("hush"), "{role:?} {cursor}: {told}");
    }
}

#[tokio::test]
async fn what_becomes_durable_together_with_the_end_of_a_right_is_told_within_what_is_left() {
    for _ in 0..12 {
        let (yard, _) = yard("responder").await;
        let mut robin = yard.come(20, hello(Role::Console, "robin")).await.unwrap();
        robin.send(&ToServer::Subscribe(Subscribe::default())).await.unwrap();
        heard(&mut robin, |message| matches!(message, ToClient::Snapshot(_))).await;
        let (_, fired_there) = tokio::join!(narrow(&yard, "responder"), yard.server.core.write(fired("vault/lock", "hush again")));
        fired_there.unwrap();
        yard.server.core.write(fired("shop/web", "the last one")).await.unwrap();
        let told = heard(&mut robin, |message| matches!(message, ToClient::Batch(_)) && text(std::slice::from_ref(message)).contains("the last one"));
        let told = text(&told.await);
        assert!(!told.contains("hush"), "{told}");
    }
}

#[tokio::test]
async fn nothing_is_decided_by_a_grant_that_is_over_by_then_or_beyond_what_is_left_of_it() {
    let (yard, _) = yard("responder").await;
    let held = yard.held(20).await.unwrap();
    let used = TrustUsed {
        what: "".into(),
        key: Some(held.key.clone()),
        way: None,
        name: held.name.clone(),
        who: held.who,
        from: "127.0.0.1".into(),
        grant: Some(held.id),
        handed: None,
        through: None,
        on_behalf_of: None,
    };
    let asker = Asker { key: Some(held.key.clone()), used, scope: Arc::new(held.scope.clone()), listed: [].into() };
    let note = || Input::Asked(scene::note("a word"), Box::new(asker.clone()));
    yard.server.core.write(note()).await.unwrap();
    // As if it had been let ask just before.
    let stranger = Asker { key: Some(named(21)), ..asker.clone() };
    assert_eq!(yard.server.core.write(Input::Asked(scene::note("a word"), Box::new(stranger))).await.unwrap_err().code, RefusalCode::Forbidden);
    yard.ask(Intent::Revoke { grant: held.id, why: "".into() }).await.unwrap();
    let refused = yard.server.core.write(note()).await.unwrap_err();
    assert!(refused.code == RefusalCode::Forbidden && refused.why.contains("taken back"), "{refused}");
}

#[tokio::test]
async fn n8_a_key_that_becomes_somebody_elses_is_nobodys_on_connections_that_are_open() {
    let line = |words: &str, name: &str| format!("{words} {} {name}", key(20).public().line());
    for (then, name) in [("agent=\"web-1\"", ""), ("systems=\"**\"", "sam")] {
        let yard = Yard::new(&[line("systems=\"shop/**\"", "robin")]).await;
        let mut robin = yard.come(20, hello(Role::Console, "robin")).await.unwrap();
        std::fs::write(yard.authorized(), line(then, name) + "\n").unwrap();
        let told = heard(&mut robin, |message| matches!(message, ToClient::Problem(_))).await;
        assert!(text(&told).contains("somebody else's now"), "{then}: {}", text(&told));
    }
    for (then, role) in [("robin", "agent"), ("sam", "responder")] {
        let yard = Yard::new(&[]).await;
        yard.grant(20, "robin", "responder", "shop/**", None).await;
        let mut robin = yard.come(20, hello(Role::Console, "robin")).await.unwrap();
        yard.grant(20, then, role, "**", None).await;
        let told = heard(&mut robin, |message| matches!(message, ToClient::Problem(_))).await;
        assert!(text(&told).contains("granted something else"), "{then}: {}", text(&told));
    }
}

/// A line on which little lies between one end and the other.
struct Narrow(String);

impl Dial for Narrow {
    fn dial(&self) -> Dialling<'_> {
        Box::pin(async {
            let socket = tokio::net::TcpSocket::new_v4().unwrap();
            socket.set_recv_buffer_size(8 << 10).unwrap();
            let io: Box<dyn Io> = Box::new(socket.connect(self.0.parse().unwrap()).await.unwrap());
            Ok(Line::from(io))
        })
    }
    fn host(&self) -> &str {
        &self.0
    }
    fn distant(&self) -> bool {
        false
    }
}

#[tokio::test]
async fn a_long_page_is_not_told_to_its_end_when_a_right_is_narrowed_in_the_middle_of_it() {
    let (yard, _) = yard("responder").await;
    let words: Arc<str> = "hush ".repeat(6_000).into();
    let drafts = (0..900).map(|_| {
        let kind = Kind::Other(Other { kind: "disk.scrub".into(), data: serde_json::Value::Null });
        let mut draft = Draft::new(SystemClock.now(), Actor::Server, kind, "a scrub");
        (draft.system, draft.text) = (Some("vault/db".parse().unwrap()), words.clone());
        draft
    });
    for drafts in drafts.collect::<Vec<_>>().chunks(100) {
        yard.server.core.write(Input::Record(drafts.to_vec())).await.unwrap();
    }
    let dial: &dyn Dial = &Narrow(port(&yard.server));
    let mut robin = Conversation::open(dial, &hello(Role::Console, "robin"), Some(&yard.proving(20)), Duration::from_secs(20)).await.unwrap();
    robin.send(&ToServer::History(HistoryAsk { id: 1, page: Paging::Before(None), limit: 1_000, filter: None })).await.unwrap();
    let first = heard(&mut robin, |message| matches!(message, ToClient::Page(_))).await;
    assert!(text(&first).contains("hush"));
    narrow(&yard, "responder").await;
    let told = heard(&mut robin, |message| ends(message, 1)).await;
    assert!(
        matches!(told.last(), Some(ToClient::Problem(problem)) if problem.words.contains("ask again")),
        "{:?}",
        told.last().map(|last| text(std::slice::from_ref(last)).len())
    );
    let events: usize = told.iter().map(|message| if let ToClient::Page(page) = message { page.events.len() } else { 0 }).sum();
    assert!(events < 700, "what is told then is what was on its way: {events} of 900");
}
