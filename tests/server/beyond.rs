//! What goes beyond a lease, or is of another server than was meant, is not taken by whoever receives it, whoever
//! tells it; over lines of this process, on one of which somebody says more than there is.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use midwatch::link::{Clock, Conversation};
use midwatch::model::event::{Actor, Draft, LogLine};
use midwatch::model::id::{EventId, Fingerprint, Incarnation, Origin, Sequence};
use midwatch::model::observation::{Metric, Observation};
use midwatch::model::peer::{Line as PeerLine, PeerState};
use midwatch::model::reading::{Reading, Readings};
use midwatch::model::severity::Status;
use midwatch::model::time::Span;
use midwatch::server::config::FederationConfig;
use midwatch::server::peer::Shelf;
use midwatch::store::{Log, Page, Row};
use midwatch::trust::grant::lease::SKEW;
use midwatch::trust::seal;
use midwatch::wire::codec::{Frame, encode};
use midwatch::wire::{Encoding, EventBytes, Hello, Role, Subscribe, ToClient, ToServer, Vitals};

use crate::between::Between;
use crate::federation::{Glass, Node, Sea, simulate};
use crate::federation_sim::decode::Value;
use crate::grants::hello;
use crate::leases::{fire, rest};
use crate::sim::{BROKEN, Line, OPEN};
use crate::worlds::Relayed;

async fn received(at: &Node, origin: Origin) -> Vec<Row> {
    at.shelf.log(origin).unwrap().page(Page::After(None), 10_000).await.unwrap()
}

/// How the log of a server, or a peer that never answered, stands there.
async fn told(sea: &Sea, at: &Node, is: impl Fn(&PeerState) -> bool) -> PeerState {
    let mut glass = Glass::at(sea, &[(at.name, sea.line(at))]);
    let found = |glass: &Glass| glass.replicas.values().flat_map(|replica| replica.peers.to_vec()).find(|peer| is(peer));
    glass.until("it said what it receives", |glass| found(glass).is_some()).await;
    found(&glass).unwrap()
}

/// Leases of ten minutes, which are told anew to nobody beyond the relay.
async fn leased(seed: u64, number: u8, between: &Between) -> (Relayed, Node) {
    let mut sea = Relayed::begin(seed, |_| {}).await;
    sea.a.stop().await;
    sea.a.config.federation = FederationConfig { lease: Span::from_mins(10) };
    sea.a.start(&sea.sea).await;
    tokio::time::sleep(Duration::from_secs(100)).await;
    let reader = sea.reader(number, "reader", between).await;
    rest().await;
    sea.sees_all(&reader).await;
    (sea, reader)
}

#[test]
fn what_its_server_said_after_the_lease_is_not_taken() {
    simulate(async {
        let between = Between::default();
        let (sea, reader) = leased(61, 3, &between).await;
        between.bends(|message| if matches!(message.message(), Some(("lease", _))) { Vec::new() } else { vec![message] });
        let until = reader.shelf.known().into_iter().find(|known| known.origin == sea.a.origin).unwrap().lease.unwrap().until;
        while sea.sea.clock.now() <= until.plus(Span::from_secs(10)) {
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
        let known = sea.head(&reader);
        sea.a.note_on("web/front", "later").await;
        // By its own clock it might: clocks may differ by more.
        rest().await;
        assert!(sea.sea.clock.now() < until.plus(SKEW) && sea.head(&sea.b) > known);
        let told = sea.told(&reader).await;
        assert_eq!((sea.head(&reader), told.line != PeerLine::Up), (known, true), "{told:?}");
        between.is_honest();
        tokio::time::sleep(Duration::from_secs(100)).await;
        sea.sees_all(&reader).await;
    });
}

#[test]
fn what_was_said_in_time_and_comes_after_the_lease_is_not_taken() {
    simulate(async {
        let between = Between::default();
        let (sea, reader) = leased(62, 3, &between).await;
        let until = reader.shelf.known().into_iter().find(|known| known.origin == sea.a.origin).unwrap().lease.unwrap().until;
        let (clock, mut kept) = (sea.sea.clock.clone(), Vec::new());
        let late = until.plus(SKEW).plus(Span::from_secs(60));
        between.bends(move |message| match message.message() {
            Some(("lease", _)) => Vec::new(),
            Some(("batch", _)) if clock.now() < until => {
                kept.push(message);
                Vec::new()
            }
            Some(("batch", _)) if clock.now() < late => Vec::new(),
            Some(("batch", _)) => std::mem::take(&mut kept),
            _ => vec![message],
        });
        let known = sea.head(&reader);
        sea.a.note_on("web/front", "in time").await;
        while sea.sea.clock.now() <= until.plus(SKEW).plus(Span::from_secs(20)) {
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
        // Somebody is there, and says nothing.
        assert_eq!(sea.told(&reader).await.line, PeerLine::Lapsed);
        while sea.sea.clock.now() <= late {
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
        rest().await;
        let told = sea.told(&reader).await;
        assert_eq!((sea.head(&reader), told.line != PeerLine::Up), (known, true), "{told:?}");
    });
}

/// Where an event stands in its log, as its bytes say.
fn place(event: &[u8]) -> u64 {
    Value::read(event).unwrap().get("id").list()[2].int().unwrap()
}

/// An event, and its server's signature of it.
type Signed = (Vec<u8>, Vec<u8>);

/// Puts an event with its signature where it belongs among those of a message.
fn put(told: &mut Value, (event, seal): &Signed) {
    let at = told.get("events").list().iter().take_while(|known| place(known.bytes().unwrap()) < place(event)).count();
    for (name, value) in [("events", event), ("seals", seal)] {
        if told.get_mut(name).is_none()
            && let Value::Map(fields) = told
        {
            fields.push((Value::Text(name.into()), Value::List(Vec::new())));
        }
        let Some(Value::List(list)) = told.get_mut(name) else { panic!("{told:?}") };
        list.insert(at, Value::Bytes(value.clone()));
    }
}

/// An event of `a`, as `a` signs it.
async fn of_lab(a: &Node) -> Signed {
    let rows = a.log.page(Page::After(None), 10_000).await.unwrap();
    let row = rows.into_iter().rfind(|row| row.system.as_ref().is_some_and(|system| system.as_str() == "lab") && &*row.kind == "note").unwrap();
    (row.bytes.to_vec(), seal::seal(&a.signer, &row.bytes).unwrap().0)
}

#[test]
fn what_no_lease_covers_is_taken_from_no_batch_although_its_server_signed_it() {
    simulate(async {
        let sea = Relayed::begin(63, |_| {}).await;
        let between = Between::default();
        let reader = sea.reader(3, "reader", &between).await;
        rest().await;
        let (secret, mut kept): (Arc<Mutex<Option<Signed>>>, Vec<Value>) = Default::default();
        let add = secret.clone();
        between.bends(move |message| {
            if !matches!(message.message(), Some(("batch", _))) {
                return vec![message];
            }
            kept.push(message);
            let Some(secret) = &*add.lock().unwrap() else { return Vec::new() };
            let mut told = std::mem::take(&mut kept);
            for batch in told.iter_mut().filter_map(|message| message.get_mut("batch")) {
                if batch.get("from").int().unwrap() < place(&secret.0) && place(&secret.0) <= batch.get("to").int().unwrap() {
                    put(batch, secret);
                }
            }
            told
        });
        sea.a.note_on("lab", "not for them").await;
        let signed = of_lab(&sea.a).await;
        *secret.lock().unwrap() = Some(signed);
        rest().await;
        assert!(between.told() > 0);
        let rows = received(&reader, sea.a.origin).await;
        assert!(rows.iter().all(|row| row.system.as_ref().is_none_or(|system| system.as_str() != "lab")), "{rows:?}");
        assert_eq!(reader.said("peer.malformed").await.len(), 1);
        sea.sees_all(&reader).await;
    });
}

#[test]
fn of_a_slice_that_fills_a_gap_nothing_is_taken_that_no_lease_covers_or_of_another_life() {
    simulate(async {
        let sea = Relayed::begin(64, |_| {}).await;
        sea.a.note_on("web/front", "for all").await;
        rest().await;
        // One of before the log began anew, in a place of which the reader knows nothing.
        let secret = of_lab(&sea.a).await;
        let life = sea.a.log.head().incarnation;
        let id = EventId { origin: sea.a.origin, incarnation: Incarnation(life.0 - 1), sequence: Sequence(place(&secret.0)) };
        let draft = Draft::new(sea.sea.clock.now(), Actor::Server, LogLine {}, "of before").on("web/front".parse().unwrap());
        let before = EventBytes::of(&draft.stamp(id, sea.sea.clock.now())).unwrap().0.to_vec();
        let before = (before.clone(), seal::seal(&sea.a.signer, &before).unwrap().0);
        for (number, told, said) in [(3, secret, 1), (4, before, 0)] {
            let between = Between::default();
            let (mut added, lie) = (false, told.clone());
            between.bends(move |mut message| {
                if let Some(slice) = message.get_mut("backfilled").filter(|_| !std::mem::replace(&mut added, true)) {
                    put(slice, &lie);
                }
                vec![message]
            });
            let reader = sea.reader(number, "reader", &between).await;
            rest().await;
            assert_eq!(between.told(), 1);
            let rows = received(&reader, sea.a.origin).await;
            assert!(!rows.is_empty() && rows.iter().all(|row| row.bytes[..] != told.0), "{rows:?}");
            assert_eq!(reader.said("peer.malformed").await.len(), said);
        }
    });
}

fn value_of(said: &ToClient) -> Value {
    let Frame::Binary(bytes) = encode(said, Encoding::MessagePack).unwrap() else { panic!() };
    Value::read(&bytes).unwrap()
}

#[test]
fn beside_the_log_nothing_is_taken_that_no_lease_covers() {
    simulate(async {
        let sea = Relayed::begin(65, |_| {}).await;
        let between = Between::default();
        let reader = sea.reader(3, "reader", &between).await;
        fire(&sea.a, "web/front", "hot").await;
        rest().await;
        let alert = *sea.a.world().await.alerts.keys().next().unwrap();
        let hello = Hello { origin: Some(sea.a.origin), ..hello(Role::Console, "kim") };
        let mut talk = Conversation::open(&sea.sea.line(&reader), &hello, None, Duration::from_secs(20)).await.unwrap();
        talk.send(&ToServer::Subscribe(Subscribe { vitals: true, readings: true, ..Subscribe::default() })).await.unwrap();
        let observed = |system: &str| Observation {
            agent: "web-1".into(),
            check: system.into(),
            system: system.parse().unwrap(),
            at: sea.sea.clock.now(),
            status: Status::Ok,
            text: "".into(),
            details: "".into(),
            metrics: Vec::new(),
            every: Span::from_secs(10),
            attempts: 1,
            runbook: None,
        };
        let metric = |value| Metric { name: "".into(), value, unit: "".into(), warning: "".into(), critical: "".into() };
        let read = |alert, value| Reading { alert, at: sea.sea.clock.now(), source: Some("prom".into()), metrics: vec![metric(value)] };
        let readings = vec![read(alert, 41.5), read(Fingerprint([9; 16]), 42.5)];
        let mut more = vec![
            value_of(&ToClient::Vitals(Vitals { observations: vec![observed("web/front"), observed("lab")] })),
            value_of(&ToClient::Readings(Readings { readings, told: Default::default() })),
        ];
        between.bends(move |message| match message.message() {
            Some(("batch", _)) => std::iter::once(message).chain(std::mem::take(&mut more)).collect(),
            _ => vec![message],
        });
        let (mut systems, mut numbers) = (Vec::new(), Vec::new());
        let hears = async {
            while systems.is_empty() || numbers.last() != Some(&41.5) {
                match talk.next().await.unwrap() {
                    ToClient::Vitals(told) => systems.extend(told.observations.into_iter().map(|observation| observation.system.to_string())),
                    ToClient::Readings(told) => {
                        numbers.extend(told.readings.iter().filter(|reading| reading.alert != alert).map(|reading| reading.metrics[0].value));
                        numbers.extend(told.readings.iter().filter(|reading| reading.alert == alert).map(|reading| reading.metrics[0].value));
                    }
                    _ => {}
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(100), hears).await.expect("what is covered comes");
        assert_eq!(systems, ["web/front"]);
        assert!(!numbers.contains(&42.5), "{numbers:?}");
    });
}

#[test]
fn who_calls_themselves_another_server_than_their_key_says_is_not_believed() {
    simulate(async {
        let sea = Sea::new(66);
        let (mut a, mut b) = (Node::new(1, "a"), Node::new(2, "b"));
        crate::leases::grant(&a, &b, "read,federate", "**");
        a.start(&sea).await;
        let between = Between::default();
        let other = Node::new(9, "other").origin;
        between.bends(move |mut message| {
            if let Some(welcome) = message.get_mut("welcome") {
                *welcome.get_mut("origin").unwrap() = Value::Bytes(other.0.to_vec());
            }
            vec![message]
        });
        let line = sea.line(&a);
        b.peers = vec![("a", Line { stranger: true, door: between.door(&line.door, false), ..line })];
        b.start(&sea).await;
        rest().await;
        let found = told(&sea, &b, |peer| &*peer.name == "a").await;
        assert!(found.why.as_ref().is_some_and(|why| why.contains("not the one of its key")), "{found:?}");
        assert!(b.shelf.log(other).is_none() && b.shelf.log(a.origin).is_none());
        // And behind it nobody else than who was asked for.
        between.is_honest();
        tokio::time::sleep(Duration::from_secs(100)).await;
        assert!(b.shelf.log(a.origin).is_some());
    });
}

#[test]
fn behind_a_relay_nobody_else_answers_than_the_server_that_was_asked_for() {
    simulate(async {
        let sea = Relayed::begin(67, |_| {}).await;
        let between = Between::default();
        let own = sea.b.origin;
        between.bends(move |mut message| {
            if let Some(welcome) = message.get_mut("welcome") {
                *welcome.get_mut("origin").unwrap() = Value::Bytes(own.0.to_vec());
            }
            vec![message]
        });
        let reader = sea.reader(3, "reader", &between).await;
        rest().await;
        assert!(between.told() > 0 && reader.shelf.log(sea.a.origin).is_none());
        assert!(reader.said("peer.malformed").await.is_empty());
        between.is_honest();
        tokio::time::sleep(Duration::from_secs(100)).await;
        sea.sees_all(&reader).await;
    });
}

#[test]
fn a_server_is_met_once_and_never_itself_and_stays_the_one_that_it_was() {
    simulate(async {
        let sea = Sea::new(68);
        let (mut a, mut b, mut z) = (Node::new(1, "a"), Node::new(2, "b"), Node::new(3, "z"));
        a.start(&sea).await;
        z.start(&sea).await;
        let to_a = sea.line(&a);
        // A door of its own, behind which somebody else may stand one day.
        let door: crate::sim::Door = Arc::new(Mutex::new(z.door.lock().unwrap().clone()));
        b.peers = vec![("a", to_a.clone()), ("again", to_a), ("itself", sea.line(&b)), ("z", Line { door: door.clone(), ..sea.line(&z) })];
        b.start(&sea).await;
        rest().await;
        for words in ["it is the same server as the peer", "that is this server itself"] {
            told(&sea, &b, |peer| peer.why.as_ref().is_some_and(|why| why.contains(words))).await;
        }
        assert!(b.shelf.known().iter().all(|known| known.origin != b.origin));
        // In another life each is known by the line on which it was met.
        b.stop().await;
        b.start(&sea).await;
        rest().await;
        for (node, text) in [(&a, "of a"), (&z, "of z")] {
            node.note(text).await;
            rest().await;
            let rows = received(&b, node.origin).await;
            assert!(rows.iter().any(|row| row.bytes.windows(4).any(|bytes| bytes == text.as_bytes())), "{text}");
        }
        // Another answers where it was.
        let mut y = Node::new(4, "y");
        y.start(&sea).await;
        z.stop().await;
        *door.lock().unwrap() = y.door.lock().unwrap().clone();
        tokio::time::sleep(Duration::from_secs(100)).await;
        let found = told(&sea, &b, |peer| peer.origin == z.origin).await;
        assert!(found.why.as_ref().is_some_and(|why| why.contains("another server answers there")), "{found:?}");
        assert!(b.shelf.log(y.origin).is_none());
    });
}

#[test]
fn a_log_comes_from_its_own_server_as_soon_as_that_can_be_reached() {
    simulate(async {
        let sea = Relayed::begin(69, |_| {}).await;
        let mut c = Node::new(3, "c");
        let line = sea.sea.line(&sea.a);
        line.state.store(BROKEN, Ordering::SeqCst);
        c.peers = vec![("b", sea.sea.line(&sea.b)), ("a", line.clone())];
        c.start(&sea.sea).await;
        rest().await;
        let found = sea.told(&c).await;
        assert_eq!((found.line, found.through.len()), (PeerLine::Up, 1), "{found:?}");
        line.state.store(OPEN, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_secs(100)).await;
        let found = sea.told(&c).await;
        assert_eq!((found.line, found.through.len()), (PeerLine::Up, 0), "{found:?}");
        sea.a.note_on("lab", "from itself").await;
        rest().await;
        let rows = received(&c, sea.a.origin).await;
        assert!(rows.iter().any(|row| row.bytes.windows(11).any(|bytes| bytes == b"from itself")));
    });
}

#[test]
fn how_far_a_log_goes_and_how_old_that_is_is_not_taken_from_who_passes_it_on() {
    simulate(async {
        let sea = Relayed::begin(70, |_| {}).await;
        let more = |claim: &mut Value, name: &str| {
            let number = claim.get(name).int().unwrap();
            *claim.get_mut(name).unwrap() = Value::Int(i128::from(number) + 1_000_000);
        };
        for (number, what) in (3..).zip(["at", "to", "without"]) {
            let between = Between::default();
            let reader = sea.reader(number, "reader", &between).await;
            rest().await;
            let known = sea.head(&reader);
            between.bends(move |mut message| {
                if let Some(batch) = message.get_mut("batch").filter(|batch| !batch.get("events").list().is_empty()) {
                    match (what, batch.get_mut("claim").unwrap()) {
                        ("without", claim) => *claim = Value::Nil,
                        (name, claim) => more(claim, name),
                    }
                }
                vec![message]
            });
            sea.a.note_on("web/front", "since").await;
            rest().await;
            let told = sea.told(&reader).await;
            assert_eq!((between.told(), sea.head(&reader)), (1, known), "{what}: {told:?}");
            assert!(told.why.as_ref().is_some_and(|why| why.contains("does not bear its own server's word")), "{what}: {told:?}");
            between.is_honest();
            tokio::time::sleep(Duration::from_secs(100)).await;
            sea.sees_all(&reader).await;
        }
    });
}

#[test]
fn nobody_is_told_that_what_is_passed_on_is_younger_than_its_servers_last_word() {
    simulate(async {
        let sea = Relayed::begin(71, |_| {}).await;
        for (number, silent) in [(3, false), (4, true)] {
            let between = Between::default();
            let reader = sea.reader(number, "reader", &between).await;
            rest().await;
            // What it said once it says again and again, and that it is of now.
            let mut last = None;
            between.bends(move |message| {
                let mut told = message.clone();
                let Some(batch) = told.get_mut("batch") else { return std::iter::once(message).chain(last.clone()).collect() };
                if batch.get("from") == batch.get("to") {
                    *batch.get_mut("lag").unwrap() = Value::Int(0);
                    if let Some(claim) = batch.get_mut("claim").filter(|_| silent) {
                        *claim = Value::Nil;
                    }
                    last = Some(told);
                }
                vec![message]
            });
            rest().await;
            sea.line.state.store(BROKEN, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_secs(100)).await;
            let told = sea.told(&reader).await;
            assert!(between.told() > 1 && told.lag >= Span::from_secs(90), "{silent}: {told:?}");
            sea.line.state.store(OPEN, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_secs(100)).await;
        }
    });
}

#[test]
fn what_was_altered_on_the_way_is_asked_for_again_each_part_by_itself_and_said_once() {
    simulate(async {
        let sea = Relayed::begin(72, |_| {}).await;
        let between = Between::default();
        let reader = sea.reader(3, "reader", &between).await;
        rest().await;
        // The first one each time that it comes, until it is given up; the second one once.
        for (text, times) in [("first.", 3), ("second.", 1)] {
            let mut left = times;
            between.bends(move |mut message| {
                if let Some(Value::List(events)) = message.get_mut("batch").and_then(|batch| batch.get_mut("events"))
                    && left > 0
                    && let Some(Value::Bytes(event)) = events.last_mut()
                {
                    left -= 1;
                    let last = event.len() - 1;
                    event[last] ^= 1;
                }
                vec![message]
            });
            sea.a.note_on("web/front", text).await;
            tokio::time::sleep(Duration::from_secs(300)).await;
            assert_eq!(between.told(), times, "{text}");
            let rows = received(&reader, sea.a.origin).await;
            let knows = rows.iter().any(|row| row.bytes.windows(text.len()).any(|bytes| bytes == text.as_bytes()));
            assert_eq!(knows, times == 1, "{text}");
            assert_eq!(sea.told(&reader).await.line, PeerLine::Up, "{text}");
        }
        assert_eq!(reader.said("peer.malformed").await.len(), 1);
    });
}

#[test]
fn of_the_history_beside_a_world_that_is_passed_on_nothing_is_taken() {
    simulate(async {
        let sea = Relayed::begin(73, |_| {}).await;
        let id = EventId { origin: sea.a.origin, incarnation: sea.a.log.head().incarnation, sequence: Sequence(2) };
        let draft = Draft::new(sea.sea.clock.now(), Actor::Server, LogLine {}, "all was well").on("web/front".parse().unwrap());
        let forged = EventBytes::of(&draft.stamp(id, sea.sea.clock.now())).unwrap().0.to_vec();
        let between = Between::default();
        let lie = forged.clone();
        between.lies(move |snapshot| *snapshot.get_mut("events").unwrap() = Value::List(vec![Value::Bytes(lie.clone())]));
        let reader = sea.reader(3, "reader", &between).await;
        rest().await;
        assert_eq!(between.told(), 1);
        assert!(received(&reader, sea.a.origin).await.iter().all(|row| row.bytes[..] != forged));
        sea.sees_all(&reader).await;
    });
}

#[test]
fn the_lease_by_which_a_log_came_through_one_is_none_for_another() {
    simulate(async {
        let sea = Relayed::begin(74, |_| {}).await;
        let mut reader = sea.reader(3, "c", &Between::default()).await;
        rest().await;
        let known = sea.head(&reader);
        assert!(known.1 > Sequence(0));
        reader.stop().await;
        // Another one passes it on, and keeps back by what right.
        let mut other = Node::new(4, "other");
        let lines = [(&sea.b, "b"), (&other, "other")].map(|(to, name)| format!("peer=\"{name}\",rights=\"read,federate\" {}\n", to.signer.public().line()));
        std::fs::write(sea.a.yard.path().join("authorized_keys"), lines.concat()).unwrap();
        other.peers = vec![("a", Line { stranger: true, ..sea.sea.line(&sea.a) })];
        other.start(&sea.sea).await;
        rest().await;
        let between = Between::default();
        between.bends(|message| if matches!(message.message(), Some(("lease", _))) { Vec::new() } else { vec![message] });
        let line = sea.sea.line(&other);
        reader.peers = vec![("other", Line { door: between.door(&line.door, true), ..line })];
        reader.start(&sea.sea).await;
        sea.a.note_on("web/front", "since").await;
        rest().await;
        let told = sea.told(&reader).await;
        assert_eq!((sea.head(&reader), told.line != PeerLine::Up), (known, true), "{told:?}");
        between.is_honest();
        tokio::time::sleep(Duration::from_secs(200)).await;
        assert!(sea.head(&reader) > known, "{:?}", sea.told(&reader).await);
    });
}
