//! One of each message, as files that every later version must still read, and as the examples of
//! PROTOCOL.md. `MIDWATCH_GOLDEN=write` writes those that are missing; one that exists never changes
//! within a protocol version.

use std::fmt::Debug;
use std::path::PathBuf;
use std::sync::Arc;

use midwatch::model::event::{Actor, AlertPast, Change, Draft, Kind, SourcePast, TrustKeyAdded, TrustKeyRemoved, TrustRefused, TrustUsed};
use midwatch::model::grant::{Key, Right, Rights, Scope, Vouched, Who};
use midwatch::model::health::{Health, Numbers, Refused, Room, SourceHealth, Wrong};
use midwatch::model::id::{EventId, Fingerprint, GrantId, Incarnation, Origin, RequestId, Sequence};
use midwatch::model::intent::{Intent, Refusal, RefusalCode, Request};
use midwatch::model::mark::{Mark, Marks, Stamp};
use midwatch::model::observation::{AgentHello, Metric, Observation};
use midwatch::model::peer::{Line, PeerState, Relay};
use midwatch::model::presence::{Focus, Looked, Looker, Presence};
use midwatch::model::reading::{Reading, Readings};
use midwatch::model::severity::{Severity, Status};
use midwatch::model::time::{Span, Time};
use midwatch::model::world::{Filled, World};
use midwatch::wire::codec::{Frame, decode_to_client, decode_to_server, encode};
use midwatch::wire::*;

const ORIGIN: Origin = Origin([0x11; 16]);
const LIFE: Incarnation = Incarnation(1_795_230_000_000);

fn at() -> Time {
    "2026-11-21T02:39:00Z".parse().unwrap()
}

fn id(sequence: u64) -> EventId {
    EventId { origin: ORIGIN, incarnation: LIFE, sequence: Sequence(sequence) }
}

fn event() -> EventBytes {
    let draft = Draft::new(at(), Actor::User("ci".into()), Change::of(Some("4f3a2c".into())), "deploy 4f3a2c").on("shop".parse().unwrap());
    EventBytes::of(&draft.severity(Severity::Info).stamp(id(42), at())).unwrap()
}

/// Of a source's past: an episode that was filled in, and how far it was.
fn past() -> ToClient {
    let source = Actor::Source("prom".into());
    let episode = AlertPast { alert: Fingerprint([0x22; 16]), check: "Slow".into(), until: at().plus(Span::from_mins(6)) };
    let episode = Draft::new(at(), source.clone(), episode, "Slow").on("shop".parse().unwrap()).severity(Severity::Warning).stamp(id(43), at());
    let filled = Filled { from: at(), until: at().plus(Span::from_days(1)), complete: false, running: vec![(Fingerprint([0x22; 16]), at())], gaps: Vec::new() };
    let told = SourcePast { source: "prom".into(), filled };
    let told = Draft::new(at(), source, told, "the past of prom is filled in").severity(Severity::Debug).stamp(id(44), at());
    let events = [episode, told].iter().map(|event| EventBytes::of(event).unwrap()).collect();
    ToClient::Batch(Batch {
        incarnation: LIFE,
        from: Sequence(42),
        to: Sequence(44),
        events,
        lag: Span::ZERO,
        seals: Vec::new(),
        outlines: Vec::new(),
        claim: None,
    })
}

fn observation() -> Observation {
    let metric = Metric { name: "/var".into(), value: 97.5, unit: "%".into(), warning: "80".into(), critical: "90".into() };
    Observation {
        agent: "web-1".into(),
        check: "disk".into(),
        system: "shop/web-1".parse().unwrap(),
        at: at(),
        status: Status::Critical,
        text: "disk 97.5 % full".into(),
        details: "".into(),
        metrics: vec![metric],
        every: Span::from_secs(30),
        attempts: 3,
        runbook: None,
    }
}

fn health() -> Health {
    let source = SourceHealth {
        name: "prometheus".into(),
        answered: Some(at()),
        failures: 4,
        why: Some("connection refused".into()),
        broken_rules: 1,
        broken_rule: Some("Disk: parse error".into()),
    };
    let wrong = Wrong {
        severity: Severity::Error,
        word: "source".into(),
        what: "prometheus has not answered for 3m: connection refused".into(),
        advice: "Its alerts are shown as they were. `midwatch source test` tries it and says more".into(),
    };
    let numbers = Numbers {
        queued: 2,
        waiting: Span::from_secs(1),
        unindexed: 12_000,
        behind: Span::from_secs(30),
        log_bytes: 1 << 30,
        disk: Some(Room { free: 10 << 30, total: 100 << 30 }),
        last_backup: Some(at()),
        failing: Some("the disk is full".into()),
        damage: Some("page 7 is damaged".into()),
        sources: vec![source],
        repositories: Vec::new(),
        certificate: None,
        refused: 3,
        last_refused: Some(Refused { at: at(), route: "POST /api/v2/alerts".into(), why: "this token is not one of the intakes'".into() }),
    };
    Health { at: at(), wrong: vec![wrong], numbers }
}

fn peer() -> PeerState {
    PeerState {
        origin: Origin([0x12; 16]),
        name: "customer-b".into(),
        through: vec![Relay { origin: Origin([0x13; 16]), name: "infra".into() }],
        line: Line::Lost,
        since: at(),
        why: Some("nobody listens there".into()),
        lag: Span::from_millis(40),
        heard: Some(at()),
        skew: Some(-3_000_000),
        incarnation: LIFE,
        head: Sequence(900),
        version: "0.1.0".into(),
        set_aside: 1,
        key: Some("SHA256:nThbg6kXUpJWGl7E1IGOCspRomTxdCARLviKw6E5SY8".into()),
        grant: Some("reads shop/**".into()),
        until: Some("2026-11-28T00:00:00Z".parse().unwrap()),
        granted_by: None,
        granted: None,
        lease: None,
        offers: None,
    }
}

fn marks() -> Marks {
    let mark = |sequence, count| Mark { incarnation: LIFE, sequence: Sequence(sequence), looked: Stamp { at: at(), count } };
    [(ORIGIN, mark(42, 0)), (Origin([0x12; 16]), mark(7, 1))].into_iter().collect()
}

fn readings() -> Readings {
    let rule = Reading::of_rule(Fingerprint([0x22; 16]), "prometheus".into(), at(), 0.087);
    let check = Reading::of_check(Fingerprint([0x44; 16]), &observation());
    Readings { readings: vec![rule, check], told: [("prometheus".into(), at())].into() }
}

/// Two look at an alert, and nobody at a system any more.
fn presence() -> Presence {
    let looker = |name: &str, secs| Looker { name: name.into(), since: at().plus(Span::from_secs(secs)) };
    let alert = Looked { at: Focus::Alert(Fingerprint([0x22; 16])), who: vec![looker("kim", 0), looker("ana@shop", 90)] };
    Presence { looked: vec![alert, Looked { at: Focus::System("shop/varnish".parse().unwrap()), who: Vec::new() }] }
}

fn hello_of(token: Option<Arc<str>>, origin: Option<Origin>) -> Hello {
    Hello { protocol: 1, role: Role::Console, name: "kim".into(), token, version: "0.1.0".into(), zstd: true, origin, redeem: None, key: None }
}

fn lease() -> Lease {
    Lease { key: Raw(vec![0x66; 32]), token: "mwt1.En0KEwoF".into() }
}

/// What is signed are bytes, whatever they hold.
fn sealed() -> SealedWorld {
    let world = Packed(vec![0x28, 0xb5, 0x2f, 0xfd].into());
    SealedWorld { incarnation: LIFE, head: Sequence(42), at: at(), world, signature: Raw(vec![8; 64]) }
}

fn to_server() -> Vec<(&'static str, ToServer)> {
    let place = Place { at: at(), sequence: Sequence(42) };
    let hello = AgentHello {
        agent: "web-1".into(),
        system: "shop/web-1".parse().unwrap(),
        version: "0.1.0".into(),
        keepalive: Span::from_secs(10),
        checks: vec!["disk".into()],
        facts: [("kernel".into(), "6.1.0-18".into())].into(),
    };
    let intent = Intent::Acknowledge { alert: Fingerprint([0x22; 16]), episode: id(40), note: "looking at it".into() };
    vec![
        ("hello", ToServer::Hello(hello_of(Some("secret".into()), None))),
        (
            "subscribe",
            ToServer::Subscribe(Subscribe {
                cursor: Some(Cursor { origin: ORIGIN, incarnation: LIFE, sequence: Sequence(41), epoch: None }),
                filter: Some("severity:warning+".into()),
                history: 500,
                vitals: true,
                health: false,
                readings: false,
                peers: false,
                presence: false,
                nonce: None,
            }),
        ),
        ("history", ToServer::History(HistoryAsk { id: 7, page: Paging::Before(Some(place)), limit: 1_000, filter: None })),
        ("backfill", ToServer::Backfill(BackfillAsk { id: 41, after: Sequence(41), until: Sequence(90) })),
        ("seal-world", ToServer::SealWorld(SealAsk { id: 1_099_511_627_777, lease: lease(), nonce: Raw(vec![0x77; 16]) })),
        (
            "count",
            ToServer::Count(CountAsk { id: 9, from: Some(at()), step: Span::from_mins(15), buckets: 2, filter: Some("varnish severity:warning+".into()) }),
        ),
        ("search", ToServer::Search(SearchAsk { id: 8, words: "varnish purge".into(), before: Some(place), limit: 100 })),
        ("world-at", ToServer::WorldAt(WorldAsk { id: 10, at: "2026-11-20T03:00:00Z".parse().unwrap() })),
        ("read-marks", ToServer::ReadMarks(ReadMarks { marks: marks() })),
        ("looking-at", ToServer::LookingAt(LookingAt { at: Some(Focus::Alert(Fingerprint([0x22; 16]))), users: Vec::new() })),
        ("do", ToServer::Do(Request { id: RequestId([0x33; 16]), by: "kim".into(), made: at(), intent, signed: None })),
        ("agent", ToServer::Agent(Introduction { id: 1, hello })),
        ("observe", ToServer::Observe(Observe { id: 2, observations: vec![observation()] })),
        ("keepalive", ToServer::Keepalive(Keepalive { id: 3, agent: "web-1".into(), at: at() })),
        ("renew", ToServer::Renew(Renew { id: 11 })),
        ("ping", ToServer::Ping(Ping { id: 9 })),
    ]
}

fn to_client() -> Vec<(&'static str, ToClient)> {
    vec![
        (
            "welcome",
            ToClient::Welcome(Welcome {
                protocol: 1,
                origin: ORIGIN,
                incarnation: LIFE,
                name: "shop".into(),
                version: "0.1.0".into(),
                now: at(),
                env: Some("production".into()),
                claim_every: Span::from_secs(5),
                head: Sequence(42),
                base: Sequence(1),
                keeps_marks: false,
                key: None,
                addresses: Vec::new(),
                onward: false,
                presence: false,
                seals: false,
            }),
        ),
        (
            "snapshot",
            ToClient::Snapshot(Snapshot {
                incarnation: LIFE,
                head: Sequence(42),
                base: Sequence(1),
                why: SnapshotReason::First,
                world: Arc::new(World { head: Sequence(42), ..World::new(ORIGIN, LIFE) }),
                events: vec![event()],
                lag: Span::ZERO,
                sealed: None,
            }),
        ),
        (
            "batch",
            ToClient::Batch(Batch {
                incarnation: LIFE,
                from: Sequence(41),
                to: Sequence(42),
                events: vec![event()],
                lag: Span::from_millis(12),
                seals: Vec::new(),
                outlines: Vec::new(),
                claim: None,
            }),
        ),
        ("page", ToClient::Page(Page { id: 7, events: vec![event()], last: true, complete: false, filtered: false, reached: None })),
        (
            "counts",
            ToClient::Counts(Counts {
                id: 9,
                from: at(),
                step: Span::from_mins(15),
                counts: vec![[0, 0, 0, 3, 1, 0], [0; 6]],
                held: 42,
                oldest: Some(at()),
                newest: Some(at()),
                last: true,
            }),
        ),
        (
            "world-then",
            ToClient::WorldThen(WorldThen {
                id: 10,
                at: "2026-11-20T03:00:00Z".parse().unwrap(),
                known_from: Some("2026-11-01T00:00:00Z".parse().unwrap()),
                world: Some(Arc::new(World { head: Sequence(42), ..World::new(ORIGIN, LIFE) })),
            }),
        ),
        ("answer", ToClient::Answer(Answer { id: RequestId([0x33; 16]), result: Outcome::Done(vec![id(43)]) })),
        (
            "marks-kept",
            ToClient::MarksKept(MarksKept { marks: Arc::new(marks()), remark: Some("a read mark is 3h ahead of the clock here; it counts as of now".into()) }),
        ),
        ("ack", ToClient::Ack(Ack { id: 2, refused: Some(Refusal::new(RefusalCode::Unavailable, "the disk is full")) })),
        ("vitals", ToClient::Vitals(Vitals { observations: vec![observation()] })),
        ("health", ToClient::Health(health())),
        ("readings", ToClient::Readings(readings())),
        (
            "holding",
            ToClient::Holding(Holding {
                id: 11,
                name: "robin".into(),
                scope: Scope::new(["shop/**".parse().unwrap()], Rights::of([Right::Read, Right::Respond]), Some("2026-11-21T10:39:00Z".parse().unwrap())),
                grant: Some(GrantId([0x55; 16])),
                role: Some("responder".into()),
                token: Some("En0KEwoF".into()),
            }),
        ),
        ("peers", ToClient::Peers(Peers { peers: vec![peer()] })),
        ("presence", ToClient::Presence(presence())),
        ("backfilled", ToClient::Backfilled(Backfill { id: 41, to: Sequence(42), events: vec![event()], seals: vec![Raw(vec![9; 64])], outlines: Vec::new() })),
        ("world-sealed", ToClient::WorldSealed(WorldSealed { id: 1_099_511_627_777, result: Sealing::Sealed(sealed()) })),
        ("lease", ToClient::Lease(lease())),
        ("pong", ToClient::Pong(Pong { id: 9, now: None })),
        ("problem", ToClient::Problem(Problem { code: ProblemCode::Limit, words: "too many asks wait already".into(), id: Some(8) })),
    ]
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/server/golden")
}

fn holds<M: PartialEq + Debug + serde::Serialize>(name: &str, message: &M, decode: impl Fn(&Frame) -> M) {
    for (encoding, extension) in [(Encoding::MessagePack, "bin"), (Encoding::Json, "json")] {
        let path = folder().join(format!("{name}.{extension}"));
        let written = match encode(message, encoding).unwrap() {
            Frame::Binary(bytes) => bytes.to_vec(),
            Frame::Text(text) => {
                let value: serde_json::Value = serde_json::from_str(&text).unwrap();
                (serde_json::to_string_pretty(&value).unwrap() + "\n").into_bytes()
            }
        };
        if !path.exists() && std::env::var("MIDWATCH_GOLDEN").is_ok_and(|said| said == "write") {
            std::fs::write(&path, &written).unwrap();
        }
        let golden = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}; MIDWATCH_GOLDEN=write makes it", path.display()));
        let frame = match encoding {
            Encoding::Json => Frame::Text(String::from_utf8(golden.clone()).unwrap()),
            Encoding::MessagePack | Encoding::Zstd => Frame::Binary(golden.clone().into()),
        };
        assert_eq!(&decode(&frame), message, "{name}.{extension} is read as it was meant");
        // A world grows with what a server knows; that old ones are read is what counts.
        assert!(golden == written || matches!(name, "snapshot" | "world-then"), "{name}.{extension} is written as it was");
    }
}

#[test]
fn golden_files_are_read_and_written_as_ever() {
    for (name, message) in to_server() {
        holds(name, &message, |frame| decode_to_server(frame).unwrap());
    }
    for (name, message) in to_client() {
        holds(name, &message, |frame| decode_to_client(frame).unwrap());
    }
    holds("batch-past", &past(), |frame| decode_to_client(frame).unwrap());
}

/// The handshake's messages, of their real sizes.
#[test]
fn the_handshake_is_read_and_written_as_ever() {
    let bytes = |length: usize| Raw((0..=255).cycle().take(length).collect());
    holds("handshake-opening", &ToServer::Handshake(bytes(midwatch::trust::handshake::OPENING)), |frame| decode_to_server(frame).unwrap());
    holds("handshake-reply", &ToClient::<EventBytes>::Handshake(bytes(midwatch::trust::handshake::REPLY)), |frame| decode_to_client(frame).unwrap());
    holds("handshake-proof", &ToServer::Handshake(bytes(midwatch::trust::handshake::PROOF)), |frame| decode_to_server(frame).unwrap());
}

/// What came later has golden files of its own: the ones before stay as they were.
#[test]
fn history_may_be_asked_for_with_a_filter() {
    let place = Place { at: at(), sequence: Sequence(42) };
    let ask = ToServer::History(HistoryAsk { id: 7, page: Paging::Before(Some(place)), limit: 100, filter: Some("severity:error+".into()) });
    holds("history-filtered", &ask, |frame| decode_to_server(frame).unwrap());
    let page = ToClient::Page(Page { id: 7, events: vec![event()], last: true, complete: false, filtered: true, reached: Some(place) });
    holds("page-filtered", &page, |frame| decode_to_client(frame).unwrap());
}

#[test]
fn a_server_says_that_it_keeps_read_marks() {
    let (_, welcome) = to_client().swap_remove(0);
    let ToClient::Welcome(welcome) = welcome else { panic!("{welcome:?}") };
    holds("welcome-marks", &ToClient::Welcome(Welcome { keeps_marks: true, ..welcome }), |frame| decode_to_client(frame).unwrap());
}

#[test]
fn a_peer_is_told_whether_it_may_pass_on_what_it_hears() {
    let (_, welcome) = to_client().swap_remove(0);
    let ToClient::Welcome(welcome) = welcome else { panic!("{welcome:?}") };
    holds("welcome-onward", &ToClient::Welcome(Welcome { onward: true, ..welcome }), |frame| decode_to_client(frame).unwrap());
}

#[test]
fn a_peer_is_told_what_it_may_have_of_a_log_that_is_passed_on() {
    let offers = Scope::new(["shop/**".parse().unwrap()], Rights::parse("read,federate").unwrap(), None);
    let told = ToClient::Peers(Peers { peers: vec![PeerState { offers: Some(offers), ..peer() }] });
    holds("peers-offered", &told, |frame| decode_to_client(frame).unwrap());
}

#[test]
fn a_world_that_is_passed_on_is_the_one_that_its_server_signed() {
    let (_, welcome) = to_client().swap_remove(0);
    let ToClient::Welcome(welcome) = welcome else { panic!("{welcome:?}") };
    holds("welcome-seals", &ToClient::Welcome(Welcome { seals: true, ..welcome }), |frame| decode_to_client(frame).unwrap());
    let subscribe = ToServer::Subscribe(Subscribe { nonce: Some(Raw(vec![0x77; 16])), ..Subscribe::default() });
    holds("subscribe-nonce", &subscribe, |frame| decode_to_server(frame).unwrap());
    let snapshot = Snapshot {
        incarnation: LIFE,
        head: Sequence(42),
        base: Sequence(1),
        why: SnapshotReason::First,
        world: Arc::new(World { head: Sequence(42), ..World::new(ORIGIN, LIFE) }),
        events: Vec::new(),
        lag: Span::ZERO,
        sealed: Some(sealed()),
    };
    // A world in it, however bare, is written as this version writes one.
    let again = encode(&ToClient::Snapshot(snapshot.clone()), Encoding::MessagePack).unwrap();
    assert_eq!(decode_to_client(&again).unwrap(), ToClient::Snapshot(snapshot));
    let refused = Sealing::Refused(Refusal::new(RefusalCode::Forbidden, "this lease is not good"));
    let refused = ToClient::WorldSealed(WorldSealed { id: 1_099_511_627_777, result: refused });
    holds("world-sealed-refused", &refused, |frame| decode_to_client(frame).unwrap());
}

#[test]
fn a_server_says_that_it_takes_who_looks_at_what() {
    let (_, welcome) = to_client().swap_remove(0);
    let ToClient::Welcome(welcome) = welcome else { panic!("{welcome:?}") };
    holds("welcome-presence", &ToClient::Welcome(Welcome { presence: true, ..welcome }), |frame| decode_to_client(frame).unwrap());
    let nothing = ToServer::LookingAt(LookingAt::default());
    holds("looking-at-nothing", &nothing, |frame| decode_to_server(frame).unwrap());
    let users = ToServer::LookingAt(LookingAt { at: None, users: presence().looked });
    holds("looking-at-users", &users, |frame| decode_to_server(frame).unwrap());
}

#[test]
fn a_batch_for_one_who_passes_it_on_is_signed_by_the_server_whose_log_it_is() {
    let claim = Claim { key: Raw(vec![7; 32]), to: Sequence(42), at: at(), signature: Raw(vec![8; 64]) };
    let batch = Batch {
        incarnation: LIFE,
        from: Sequence(41),
        to: Sequence(42),
        events: vec![event()],
        lag: Span::ZERO,
        seals: vec![Raw(vec![9; 64])],
        outlines: Vec::new(),
        claim: Some(claim),
    };
    holds("batch-sealed", &ToClient::Batch(batch), |frame| decode_to_client(frame).unwrap());
}

#[test]
fn a_batch_for_one_who_passes_on_outlines_bears_their_signatures() {
    let batch = Batch {
        incarnation: LIFE,
        from: Sequence(41),
        to: Sequence(42),
        events: vec![event()],
        lag: Span::ZERO,
        seals: vec![Raw(vec![9; 64])],
        outlines: vec![Raw(vec![10; 64])],
        claim: None,
    };
    holds("batch-outlines", &ToClient::Batch(batch), |frame| decode_to_client(frame).unwrap());
}

#[test]
fn a_peer_says_its_key_and_is_told_until_when_a_log_is_leased() {
    let key = Some(key(0x61));
    let hello = Hello { role: Role::Peer, key, ..hello_of(None, None) };
    holds("hello-key", &ToServer::Hello(hello), |frame| decode_to_server(frame).unwrap());
    let peers = vec![PeerState { line: Line::Lapsed, lease: Some(at()), ..peer() }];
    holds("peers-leased", &ToClient::Peers(Peers { peers }), |frame| decode_to_client(frame).unwrap());
}

/// A newer and an older server exchange what both know: fields and words of the newer one mean nothing to the older.
#[test]
fn what_a_later_version_says_of_logs_that_are_passed_on_is_read_as_far_as_it_is_known() {
    let as_json = |message: &ToClient| serde_json::to_value(message).unwrap();
    let mut later = as_json(&ToClient::Peers(Peers { peers: vec![peer()] }));
    later["peers"]["peers"][0]["line"] = "dreaming".into();
    later["peers"]["peers"][0]["mood"] = "calm".into();
    let read = decode_to_client(&Frame::Text(later.to_string())).unwrap();
    assert_eq!(read, ToClient::Peers(Peers { peers: vec![PeerState { line: Line::Unknown, ..peer() }] }));
    // What an older one does not say is not known.
    let mut older = as_json(&ToClient::Peers(Peers { peers: vec![PeerState { lease: Some(at()), ..peer() }] }));
    older["peers"]["peers"][0].as_object_mut().unwrap().remove("lease");
    assert_eq!(decode_to_client(&Frame::Text(older.to_string())).unwrap(), ToClient::Peers(Peers { peers: vec![peer()] }));
    let mut lease = as_json(&ToClient::Lease(Lease { key: Raw(vec![0x66; 32]), token: "mwt1.En0KEwoF".into() }));
    lease["lease"]["mood"] = "calm".into();
    assert!(matches!(decode_to_client(&Frame::Text(lease.to_string())), Ok(ToClient::Lease(_))));
}

#[test]
fn a_hello_may_name_the_log_of_a_server_behind_this_one() {
    holds("hello-origin", &ToServer::Hello(hello_of(None, Some(Origin([0x12; 16])))), |frame| decode_to_server(frame).unwrap());
}

#[test]
fn a_pong_says_what_the_servers_clock_says() {
    holds("pong-now", &ToClient::Pong(Pong { id: 9, now: Some(at()) }), |frame| decode_to_client(frame).unwrap());
}

fn key(number: u8) -> Key {
    Key::of(&[number; 32])
}

fn vouched() -> Vouched {
    Vouched { by: key(0x61), at: at(), signature: "AAAA".into() }
}

#[test]
fn a_person_s_keys_are_added_removed_and_replaced() {
    let why: Arc<str> = "lost on the train".into();
    for (name, intent) in [
        ("do-add-key", Intent::AddKey { key: key(0x62), vouched: vouched() }),
        ("do-remove-key", Intent::RemoveKey { key: key(0x61), why: why.clone() }),
        ("do-replace-key", Intent::ReplaceKey { old: key(0x61), new: key(0x63), vouched: None, why }),
    ] {
        let request = Request { id: RequestId([0x33; 16]), by: "kim".into(), made: at(), intent, signed: None };
        holds(name, &ToServer::Do(request), |frame| decode_to_server(frame).unwrap());
    }
}

#[test]
fn by_which_key_something_was_done_is_an_event_beside_it() {
    let (name, grant, who): (Arc<str>, _, _) = ("kim".into(), GrantId([0x55; 16]), Who::Person);
    let used = TrustUsed {
        what: "note".into(),
        key: Some(key(0x61)),
        way: None,
        name: name.clone(),
        who,
        from: "10.0.0.7".into(),
        grant: Some(grant),
        handed: None,
        through: Some("branch".into()),
        on_behalf_of: None,
    };
    let without = TrustUsed { key: None, way: Some("console token".into()), grant: None, through: None, ..used.clone() };
    let kinds: [Kind; 4] = [
        used.into(),
        TrustKeyAdded { grant, key: key(0x62), name: name.clone(), vouched: Some(vouched()) }.into(),
        TrustKeyRemoved { grant, key: key(0x61), name: name.clone() }.into(),
        TrustRefused { key: Some(key(0x61)), name: Some(name), from: "10.0.0.7".into(), what: "acknowledge".into(), times: 29 }.into(),
    ];
    let of = |kinds: Vec<Kind>, until| {
        let told = kinds.into_iter().zip(43..).map(|(kind, sequence)| Draft::new(at(), Actor::User("kim".into()), kind, "said").stamp(id(sequence), at()));
        let events = told.map(|event| EventBytes::of(&event).unwrap()).collect();
        let (from, to) = (Sequence(42), Sequence(until));
        ToClient::Batch(Batch { incarnation: LIFE, from, to, events, lag: Span::ZERO, seals: Vec::new(), outlines: Vec::new(), claim: None })
    };
    holds("batch-trust", &of(kinds.into(), 46), |frame| decode_to_client(frame).unwrap());
    holds("batch-trust-without-key", &of(vec![without.into()], 43), |frame| decode_to_client(frame).unwrap());
}

/// Those to whom new fields or messages mean nothing go on.
#[test]
fn unknown_fields_are_skipped() {
    let text = r#"{"ping":{"id":9,"mood":{"deep":[1,2,{"er":null}]}}}"#;
    assert_eq!(decode_to_server(&Frame::Text(text.into())).unwrap(), ToServer::Ping(Ping { id: 9 }));
}

/// Every message has its section in PROTOCOL.md, with the golden file as example and every field named.
#[test]
fn the_protocol_is_documented_message_by_message() {
    let document = include_str!("../../src/wire/PROTOCOL.md");
    let names: Vec<&str> = to_server().iter().map(|(name, _)| *name).chain(to_client().iter().map(|(name, _)| *name)).collect();
    for name in names {
        let heading = format!("\n### `{name}`\n");
        let (_, section) = document.split_once(&heading).unwrap_or_else(|| panic!("`{name}` has no section"));
        let section = section.split("\n### ").next().unwrap().split("\n## ").next().unwrap();
        let golden: serde_json::Value = serde_json::from_slice(&std::fs::read(folder().join(format!("{name}.json"))).unwrap()).unwrap();
        let example = section.split_once("```json\n").and_then(|(_, rest)| rest.split_once("\n```")).unwrap_or_else(|| panic!("`{name}` has no example")).0;
        let example: serde_json::Value = serde_json::from_str(example).unwrap();
        assert_eq!(example, golden, "the example of `{name}`");
        for field in golden[name].as_object().unwrap().keys() {
            assert!(section.contains(&format!("`{field}`")), "`{field}` of `{name}`");
        }
    }
}
