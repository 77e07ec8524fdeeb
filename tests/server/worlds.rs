//! Worlds of logs that are passed on: signed by the server whose log it is, for the one that begins with them, and
//! nobody else's word; over lines of this process, on one of which somebody lies.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use midwatch::link::{Clock, Conversation};
use midwatch::model::event::Kind;
use midwatch::model::grant::{Key, Rights, Scope};
use midwatch::model::id::{Incarnation, Sequence};
use midwatch::model::peer::{Line as PeerLine, PeerState};
use midwatch::model::time::Span;
use midwatch::model::world::World;
use midwatch::store::{Log, Page};
use midwatch::trust::grant::lease;
use midwatch::trust::world::{Said, holds};
use midwatch::trust::{KnownServers, Proving};
use midwatch::wire::{Hello, Lease, PROTOCOL, Raw, Role, SealAsk, Sealing, ToClient, ToServer};

use crate::between::Between;
use crate::federation::{Glass, Node, Sea, simulate};
use crate::federation_sim::decode::{Value, unpacked};
use crate::leases::{grant, rest};
use crate::sim::{BROKEN, Line, OPEN};

/// What somebody makes of a message on its way.
type Lie = Box<dyn Fn(&mut Value) + Send>;

/// Takes the world out, changes it, and packs it anew.
fn on_world(snapshot: &mut Value, change: impl FnOnce(&mut Value)) {
    let packed = snapshot.get_mut("sealed").and_then(|sealed| sealed.get_mut("world")).expect("a signed world");
    let mut world = Value::read(&unpacked(packed.bytes().unwrap().to_vec())).unwrap();
    change(&mut world);
    let mut out = Vec::new();
    world.write(&mut out);
    *packed = Value::Bytes(zstd::bulk::compress(&out, 1).unwrap());
}

/// `a` grants `b` a part, which passes it on to others.
pub struct Relayed {
    pub sea: Sea,
    pub a: Node,
    pub b: Node,
    /// Between `b` and `a`.
    pub line: Line,
}

impl Relayed {
    pub async fn begin(seed: u64, bend: impl FnOnce(&mut Node)) -> Relayed {
        let sea = Sea::new(seed);
        let (mut a, mut b) = (Node::new(1, "a"), Node::new(2, "b"));
        grant(&a, &b, "read,federate", "web/**");
        a.start(&sea).await;
        for system in ["web/front", "web/db", "lab"] {
            a.note_on(system, "before").await;
        }
        let line = Line { stranger: true, ..sea.line(&a) };
        b.peers = vec![("a", line.clone())];
        bend(&mut b);
        b.start(&sea).await;
        rest().await;
        Relayed { sea, a, b, line }
    }

    /// One who receives it through `b`, over a line on which somebody is.
    pub async fn reader(&self, number: u8, name: &'static str, between: &Between) -> Node {
        let mut reader = Node::new(number, name);
        reader.peers = vec![("b", Line { door: between.door(&self.b.door, true), ..self.sea.line(&self.b) })];
        reader.start(&self.sea).await;
        reader
    }

    /// How the log of `a` stands there.
    pub async fn told(&self, at: &Node) -> PeerState {
        let mut glass = Glass::at(&self.sea, &[(at.name, self.sea.line(at))]);
        let states = |glass: &Glass| glass.replicas.values().flat_map(|replica| replica.peers.to_vec()).find(|peer| peer.origin == self.a.origin);
        glass.until("it said what it receives", |glass| states(glass).is_some()).await;
        states(&glass).unwrap()
    }

    pub fn head(&self, at: &Node) -> (Incarnation, Sequence) {
        at.shelf.log(self.a.origin).map_or((Incarnation(0), Sequence(0)), |log| (log.head().incarnation, log.head().sequence))
    }

    pub async fn sees_all(&self, at: &Node) {
        let mut glass = Glass::at(&self.sea, &[(at.name, self.sea.line(at))]);
        glass.until("the world behind came", |glass| glass.world(self.a.origin).is_some()).await;
        rest().await;
        glass.drain();
        let (seen, whole) = (glass.world(self.a.origin).unwrap(), self.a.world().await.seen_by(&web()));
        assert_eq!((&seen.systems, &seen.deeds, seen.head, &seen.name), (&whole.systems, &whole.deeds, whole.head, &whole.name), "at {}", at.name);
    }
}

fn web() -> Scope {
    Scope::new(["web/**".parse().unwrap()], Rights::parse("read,federate").unwrap(), None)
}

#[test]
fn a_world_that_a_relay_made_changed_or_kept_is_not_taken_and_is_said() {
    simulate(async {
        let sea = Relayed::begin(41, |_| {}).await;
        // What another was told, and what one was told that has asked anew since.
        let (other, before) = (Between::default(), Between::default());
        let others = sea.reader(9, "other", &other).await;
        rest().await;
        let of_other = other.seen.lock().unwrap()[0].clone();
        drop(others);
        let lies: Vec<(&str, Lie, bool)> = vec![
            ("changed", Box::new(|told| on_world(told, |world| *world.get_mut("name").unwrap() = Value::Text("all is well".into()))), false),
            (
                "emptied",
                Box::new(|told| {
                    on_world(told, |world| {
                        ["alerts", "systems"].into_iter().for_each(|name| *world.get_mut(name).unwrap() = Value::Map(Vec::new()));
                    })
                }),
                false,
            ),
            (
                "its own word",
                Box::new(|told| {
                    let packed = told.get("sealed").get("world").bytes().unwrap().to_vec();
                    *told.get_mut("world").unwrap() = Value::read(&unpacked(packed)).unwrap();
                    *told.get_mut("sealed").unwrap() = Value::Nil;
                }),
                false,
            ),
            (
                "as of later",
                Box::new(|told| {
                    for name in ["snapshot", "sealed"] {
                        let of = if name == "sealed" { told.get_mut("sealed").unwrap() } else { &mut *told };
                        let head = of.get("head").int().unwrap();
                        *of.get_mut("head").unwrap() = Value::Int(i128::from(head + 1));
                    }
                    *told.get_mut("world").unwrap().get_mut("head").unwrap() = told.get("head").clone();
                }),
                false,
            ),
            (
                "not as of what it promises",
                Box::new(|told| {
                    let head = told.get("head").int().unwrap();
                    *told.get_mut("head").unwrap() = Value::Int(i128::from(head + 1));
                }),
                false,
            ),
            ("another's", Box::new(move |told| *told = of_other.clone()), false),
            ("of before it asked", Box::new(|_| {}), true),
        ];
        for (number, (what, lie, old)) in (20..).zip(lies) {
            let between = Between::default();
            if old {
                // It was told honestly once, begins anew with nothing, and is shown what it was told then.
                let mut reader = sea.reader(number, "reader", &before).await;
                rest().await;
                reader.stop().await;
                let kept = before.seen.lock().unwrap()[0].clone();
                between.lies(move |told| *told = kept.clone());
            } else {
                between.lies(lie);
            }
            let reader = sea.reader(number, "reader", &between).await;
            rest().await;
            assert!(between.told() > 0, "{what}");
            assert_eq!(sea.head(&reader).1, Sequence(0), "{what}");
            let said = reader.said("peer.malformed").await;
            assert_eq!(said.len(), 1, "{what}: {said:?}");
            let told = sea.told(&reader).await;
            assert_eq!((told.line, told.head), (PeerLine::Lost, Sequence(0)), "{what}: {told:?}");
            assert!(told.why.as_ref().is_some_and(|why| why.contains("world")), "{what}: {told:?}");
            between.is_honest();
            tokio::time::sleep(Duration::from_secs(100)).await;
            sea.sees_all(&reader).await;
            let told = sea.told(&reader).await;
            assert_eq!((told.line, &told.why), (PeerLine::Up, &None), "{what}: {told:?}");
        }
    });
}

#[test]
fn nobody_is_taken_back_in_time_by_a_world_that_was_true_once() {
    simulate(async {
        let mut sea = Relayed::begin(42, |_| {}).await;
        let between = Between::default();
        let reader = sea.reader(3, "c", &between).await;
        rest().await;
        sea.a.note_on("web/front", "since").await;
        rest().await;
        let known = sea.head(&reader);
        // In place of what came since: the world of before, which was signed for it, and for what it asked with.
        let replay = |between: &Between| {
            let kept = between.seen.lock().unwrap()[0].clone();
            let mut told = false;
            between.bends(move |message| match message.message() {
                Some(("batch", _)) if !std::mem::replace(&mut told, true) => vec![Value::Map(vec![(Value::Text("snapshot".into()), kept.clone())])],
                _ => vec![message],
            });
        };
        replay(&between);
        rest().await;
        assert_eq!((between.told(), sea.head(&reader)), (1, known));
        assert_eq!(reader.said("peer.malformed").await.len(), 1);
        assert!(reader.said("peer.restored").await.is_empty());
        between.is_honest();
        tokio::time::sleep(Duration::from_secs(100)).await;
        // The server is restored from a backup: that is true, and is taken.
        let first = between.seen.lock().unwrap().len();
        sea.a.stop().await;
        let life = Incarnation(1_790_000_900_000);
        sea.a.log.cut_back(Sequence(known.1.0 - 1), life);
        sea.a.start(&sea.sea).await;
        sea.a.note_on("web/front", "a new life").await;
        tokio::time::sleep(Duration::from_secs(100)).await;
        assert_eq!((sea.head(&reader).0, reader.said("peer.restored").await.len()), (life, 1));
        assert!(between.seen.lock().unwrap().len() > first);
        let known = sea.head(&reader);
        // And the world of the life before it is not, from then on.
        replay(&between);
        rest().await;
        assert_eq!((between.told(), sea.head(&reader)), (1, known));
        assert_eq!(reader.said("peer.restored").await.len(), 1);
        between.is_honest();
        tokio::time::sleep(Duration::from_secs(100)).await;
        sea.sees_all(&reader).await;
    });
}

#[test]
fn while_its_server_cannot_be_reached_a_log_does_not_begin_and_all_else_goes_on() {
    simulate(async {
        let sea = Relayed::begin(43, |_| {}).await;
        sea.line.state.store(BROKEN, Ordering::SeqCst);
        rest().await;
        let between = Between::default();
        let reader = sea.reader(3, "c", &between).await;
        rest().await;
        // Nothing unverified is taken, and why is said.
        let told = sea.told(&reader).await;
        assert_eq!((told.line, told.head), (PeerLine::Lost, Sequence(0)), "{told:?}");
        let why = told.why.clone().unwrap_or_default();
        assert!(why.contains("its own server has to sign") || why.contains("at b it is lost"), "{told:?}");
        assert!(between.seen.lock().unwrap().is_empty());
        // What that server tells of itself comes as ever, and so does what it is asked.
        sea.b.note("of b itself").await;
        rest().await;
        let mut glass = Glass::at(&sea.sea, &[("c", sea.sea.line(&reader))]);
        glass.until("the world of b came", |glass| glass.world(sea.b.origin).is_some_and(|world| world.head == sea.b.log.head().sequence)).await;
        assert!(glass.world(sea.a.origin).is_none(), "and nobody is shown an empty world");
        // It heals.
        sea.line.state.store(OPEN, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_secs(100)).await;
        sea.sees_all(&reader).await;
        assert_eq!(sea.told(&reader).await.line, PeerLine::Up);
        assert!(reader.said("peer.malformed").await.is_empty());
    });
}

#[test]
fn who_was_away_too_long_begins_with_a_signed_world_and_what_was_missed_is_filled_in() {
    simulate(async {
        let sea = Relayed::begin(44, |b| b.tells = Some((3, 100))).await;
        let between = Between::default();
        let mut reader = Node::new(3, "c");
        let line = Line { door: between.door(&sea.b.door, true), ..sea.sea.line(&sea.b) };
        reader.peers = vec![("b", line.clone())];
        reader.start(&sea.sea).await;
        rest().await;
        assert_eq!(between.seen.lock().unwrap().len(), 1);
        line.state.store(BROKEN, Ordering::SeqCst);
        for number in 0..20 {
            sea.a.note_on("web/front", &format!("note {number}")).await;
        }
        rest().await;
        line.state.store(OPEN, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_secs(60)).await;
        let seen = between.seen.lock().unwrap().clone();
        assert_eq!((seen.len(), seen[1].get("why").text()), (2, Some("too-old")));
        sea.sees_all(&reader).await;
        let rows = reader.shelf.log(sea.a.origin).unwrap().page(Page::After(None), 1_000).await.unwrap();
        let notes = rows.iter().filter(|row| &*row.kind == "note").count();
        assert_eq!(notes, 20);
        assert!(reader.said("peer.missed").await.is_empty(), "nobody need be told of what comes at once");
    });
}

#[test]
fn a_scope_that_changes_in_mid_stream_loses_nothing() {
    simulate(async {
        let sea = Relayed::begin(45, |_| {}).await;
        let between = Between::default();
        let reader = sea.reader(3, "c", &between).await;
        rest().await;
        let scopes = ["web/front", "web/**", "web/**,lab", "web/**"];
        for (round, systems) in scopes.into_iter().enumerate() {
            grant(&sea.a, &sea.b, "read,federate", systems);
            for number in 0..60 {
                sea.a.note_on("web/front", &format!("round {round} note {number}.")).await;
                tokio::time::sleep(Duration::from_millis(70)).await;
            }
        }
        tokio::time::sleep(Duration::from_secs(60)).await;
        sea.sees_all(&reader).await;
        assert!(between.seen.lock().unwrap().len() >= scopes.len(), "it began anew each time");
        let rows = reader.shelf.log(sea.a.origin).unwrap().page(Page::After(None), 10_000).await.unwrap();
        let holds = |text: &str| rows.iter().any(|row| row.bytes.windows(text.len()).any(|bytes| bytes == text.as_bytes()));
        for (round, number) in (0..scopes.len()).flat_map(|round| (0..60).map(move |number| (round, number))) {
            assert!(holds(&format!("round {round} note {number}.")), "round {round} note {number}");
        }
        assert!(reader.said("peer.malformed").await.is_empty() && reader.said("peer.missed").await.is_empty());
    });
}

#[test]
fn an_older_server_that_signs_no_worlds_is_said_and_nothing_hangs() {
    simulate(async {
        let older = Between::default();
        older.bends(|mut message| {
            if let Some(seals) = message.get_mut("welcome").and_then(|welcome| welcome.get_mut("seals")) {
                *seals = Value::Bool(false);
            }
            vec![message]
        });
        // Whose log it is; and the one between.
        let sea = Relayed::begin(46, |b| {
            let (name, line) = b.peers.remove(0);
            b.peers.push((name, Line { door: older.door(&line.door, false), ..line }));
        })
        .await;
        let reader = sea.reader(3, "c", &Between::default()).await;
        let second = sea.reader(4, "d", &older).await;
        rest().await;
        for at in [&reader, &second] {
            let told = sea.told(at).await;
            assert_eq!((told.line, told.head), (PeerLine::Lost, Sequence(0)), "{told:?}");
            assert!(told.why.as_ref().is_some_and(|why| why.contains("version")), "{told:?}");
            assert!(at.said("peer.malformed").await.is_empty());
        }
    });
}

/// As `b`, at `a`.
async fn peer_of(sea: &Sea, a: &Node, b: &Node) -> Conversation {
    let known = KnownServers::at(b.yard.path().join("keys/known_servers"));
    let proving = Proving { signer: Arc::new(b.signer.clone()), known, server: "a".into() };
    let line = Line { stranger: true, ..sea.line(a) };
    let hello = Hello {
        protocol: PROTOCOL,
        role: Role::Peer,
        name: "b".into(),
        token: None,
        version: "test".into(),
        zstd: false,
        origin: None,
        redeem: None,
        key: None,
    };
    Conversation::open(&line, &hello, Some(&proving), Duration::from_secs(20)).await.unwrap()
}

/// From `a` to `b`, and on to `c`.
fn handed_on(sea: &Sea, a: &Node, b: &Node, c: &Node, systems: &str) -> Lease {
    let (of_b, of_c) = (Key::of(b.signer.public().bytes()), Key::of(c.signer.public().bytes()));
    let scope = Scope::new([systems.parse().unwrap()], Rights::parse("read,federate").unwrap(), None);
    let told = lease::lease(&a.signer, &of_b, &scope, sea.clock.now().plus(Span::from_mins(30))).unwrap();
    let held = lease::read(&told, a.origin, &of_b, [].into_iter(), sea.clock.now()).unwrap();
    lease::pass(&held, &b.signer, &of_c, "c", &Scope::all()).unwrap()
}

#[test]
fn a_server_signs_for_those_alone_to_whom_a_lease_was_handed_and_as_far_as_who_asks_sees_now() {
    simulate(async {
        let sea = Sea::new(47);
        let (mut a, b, c) = (Node::new(1, "a"), Node::new(2, "b"), Node::new(3, "c"));
        grant(&a, &b, "read,federate", "web/**");
        a.start(&sea).await;
        for system in ["web/front", "lab"] {
            a.note_on(system, "before").await;
        }
        let mut talk = peer_of(&sea, &a, &b).await;
        assert!(talk.welcome.seals);
        let (of_b, of_c) = (Key::of(b.signer.public().bytes()), Key::of(c.signer.public().bytes()));
        let until = sea.clock.now().plus(Span::from_mins(30));
        let of = |systems: &str| {
            let scope = Scope::new([systems.parse().unwrap()], Rights::parse("read,federate").unwrap(), None);
            let held = lease::read(&lease::lease(&a.signer, &of_b, &scope, until).unwrap(), a.origin, &of_b, [].into_iter(), sea.clock.now()).unwrap();
            (held.lease.clone(), lease::pass(&held, &b.signer, &of_c, "c", &Scope::all()).unwrap())
        };
        let nonce = [7; 16];
        async fn asked(talk: &mut Conversation, id: u64, lease: &Lease, nonce: &[u8]) -> Sealing {
            talk.send(&ToServer::SealWorld(SealAsk { id, lease: lease.clone(), nonce: Raw(nonce.to_vec()) })).await.unwrap();
            loop {
                if let ToClient::WorldSealed(told) = talk.next().await.unwrap() {
                    assert_eq!(told.id, id);
                    return told.result;
                }
            }
        }
        let (own, passed) = of("web/**");
        let Sealing::Sealed(sealed) = asked(&mut talk, 1, &passed, &nonce).await else { panic!() };
        let world: World = sealed.world.open().unwrap();
        assert_eq!(world, a.world().await.seen_by(&web()));
        let said = Said {
            origin: a.origin,
            incarnation: sealed.incarnation,
            head: sealed.head,
            at: sealed.at,
            bearer: &of_c,
            scope: &web(),
            nonce: &nonce,
            bytes: &sealed.world.0,
        };
        assert!(holds(&a.signer.public(), &said, &sealed.signature.0));
        // Its own; more than was granted; one that somebody else handed on; something else to ask with.
        let forged = {
            let held = lease::read(&own, a.origin, &of_b, [].into_iter(), sea.clock.now()).unwrap();
            lease::pass(&held, &c.signer, &of_c, "c", &Scope::all()).unwrap()
        };
        for (what, lease, nonce) in [("its own", &own, &nonce[..]), ("more", &of("**").1, &nonce), ("a thief's", &forged, &nonce), ("short", &passed, &[7; 15])]
        {
            let told = asked(&mut talk, 2, lease, nonce).await;
            assert!(matches!(&told, Sealing::Refused(_)), "{what}: {told:?}");
        }
        // What was granted is less by now.
        grant(&a, &b, "read,federate", "web/front");
        rest().await;
        let told = asked(&mut talk, 3, &passed, &nonce).await;
        assert!(matches!(&told, Sealing::Refused(refusal) if refusal.why.contains("web/front")), "{told:?}");
        let narrower = of("web/front").1;
        assert!(matches!(asked(&mut talk, 4, &narrower, &nonce).await, Sealing::Sealed(_)));
        // And its lease is over.
        tokio::time::sleep(Duration::from_secs(31 * 60)).await;
        let told = asked(&mut talk, 5, &narrower, &nonce).await;
        assert!(matches!(&told, Sealing::Refused(refusal) if refusal.why.contains("over")), "{told:?}");
        // Each time it was told to whom and why, or counted.
        rest().await;
        let refused: Vec<_> = a.said("trust.refused").await.into_iter().map(|event| event.kind).collect();
        let times = refused.iter().map(|kind| match kind {
            Kind::TrustRefused(said) if (&*said.what, said.key.as_ref(), said.name.as_deref()) == ("seal-world", Some(&of_b), Some("b")) => said.times,
            other => panic!("{other:?}"),
        });
        assert_eq!(times.collect::<Vec<_>>(), [1, 4, 1]);
    });
}

#[test]
fn what_is_taken_back_while_a_world_is_signed_is_not_in_it_and_one_is_signed_at_a_time() {
    simulate(async {
        let sea = Sea::new(48);
        let (mut a, b, c) = (Node::new(1, "a"), Node::new(2, "b"), Node::new(3, "c"));
        grant(&a, &b, "read,federate", "web/**");
        a.start(&sea).await;
        let mut talk = peer_of(&sea, &a, &b).await;
        let passed = handed_on(&sea, &a, &b, &c, "web/**");
        let nonce = Raw(vec![7; 16]);
        let ask = |id| ToServer::SealWorld(SealAsk { id, lease: passed.clone(), nonce: nonce.clone() });
        async fn told(talk: &mut Conversation) -> (u64, Sealing) {
            let answer = async {
                loop {
                    if let ToClient::WorldSealed(told) = talk.next().await.unwrap() {
                        return (told.id, told.result);
                    }
                }
            };
            tokio::time::timeout(Duration::from_secs(60), answer).await.expect("each ask is answered")
        }
        // Its disk is slow: a world is told once all of it is durable.
        a.log.hold();
        let core = a.running.as_ref().unwrap().core.clone();
        let write = tokio::spawn(async move { core.write(midwatch::server::Input::Request(crate::scene::note("soon"))).await });
        tokio::time::sleep(Duration::from_secs(1)).await;
        talk.send(&ask(1)).await.unwrap();
        talk.send(&ask(2)).await.unwrap();
        let (id, second) = told(&mut talk).await;
        assert!(id == 2 && matches!(&second, Sealing::Refused(refusal) if refusal.why.contains("one world at a time")), "{id} {second:?}");
        grant(&a, &b, "read,federate", "web/front");
        rest().await;
        a.log.release();
        write.await.unwrap().unwrap();
        let (id, first) = told(&mut talk).await;
        assert!(id == 1 && matches!(&first, Sealing::Refused(refusal) if refusal.why.contains("web/front")), "{id} {first:?}");
        // And then there is room for another.
        let narrower = handed_on(&sea, &a, &b, &c, "web/front");
        talk.send(&ToServer::SealWorld(SealAsk { id: 3, lease: narrower, nonce })).await.unwrap();
        assert!(matches!(told(&mut talk).await, (3, Sealing::Sealed(_))));
    });
}

/// Messages of one kind wait, in their order, while they are held.
#[derive(Clone, Default)]
struct Held(Arc<Mutex<(bool, Vec<Value>)>>);

impl Held {
    fn hold(&self, between: &Between, kind: &'static str) {
        self.0.lock().unwrap().0 = true;
        let held = self.0.clone();
        between.bends(move |message| {
            let mut held = held.lock().unwrap();
            if held.0 && message.message().is_some_and(|(name, _)| name == kind) {
                held.1.push(message);
                return Vec::new();
            }
            if held.0 { vec![message] } else { std::mem::take(&mut held.1).into_iter().chain([message]).collect() }
        });
    }

    /// With the next message that comes.
    fn release(&self) {
        self.0.lock().unwrap().0 = false;
    }

    fn waits(&self) -> usize {
        self.0.lock().unwrap().1.len()
    }
}

/// With somebody between the two servers as well.
async fn held_up(seed: u64) -> (Relayed, Between) {
    let between = Between::default();
    let sea = Relayed::begin(seed, |b| {
        let (name, line) = b.peers.remove(0);
        b.peers.push((name, Line { door: between.door(&line.door, false), ..line }));
    })
    .await;
    (sea, between)
}

#[test]
fn a_world_is_passed_on_once_the_relay_has_come_as_far_itself() {
    simulate(async {
        let (sea, between) = held_up(49).await;
        let held = Held::default();
        held.hold(&between, "batch");
        sea.a.note_on("web/front", "on its way").await;
        let line = Between::default();
        let reader = sea.reader(3, "c", &line).await;
        tokio::time::sleep(Duration::from_secs(8)).await;
        assert!(held.waits() > 0 && line.seen.lock().unwrap().is_empty(), "it would go on from where the relay is not yet");
        held.release();
        rest().await;
        assert_eq!(line.seen.lock().unwrap().len(), 1);
        sea.sees_all(&reader).await;
        assert!(reader.said("peer.malformed").await.is_empty() && reader.said("peer.missed").await.is_empty());
    });
}

#[test]
fn a_world_that_is_of_another_part_by_the_time_it_comes_is_asked_for_anew() {
    simulate(async {
        let (sea, between) = held_up(50).await;
        let held = Held::default();
        held.hold(&between, "world-sealed");
        let line = Between::default();
        let reader = sea.reader(3, "c", &line).await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(held.waits(), 1);
        grant(&sea.a, &sea.b, "read,federate", "web/front");
        tokio::time::sleep(Duration::from_secs(10)).await;
        held.release();
        tokio::time::sleep(Duration::from_secs(100)).await;
        assert!(reader.said("peer.malformed").await.is_empty());
        let mut glass = Glass::at(&sea.sea, &[("c", sea.sea.line(&reader))]);
        glass.until("the world behind came", |glass| glass.world(sea.a.origin).is_some()).await;
        let systems: Vec<String> = glass.world(sea.a.origin).unwrap().deeds.iter().filter_map(|deed| deed.system.as_ref().map(ToString::to_string)).collect();
        assert!(!systems.is_empty() && systems.iter().all(|system| system == "web/front"), "{systems:?}");
    });
}

#[test]
fn what_goes_further_than_its_server_said_or_is_of_another_life_is_not_believed() {
    simulate(async {
        let sea = Relayed::begin(47, |_| {}).await;
        let add = |batch: &mut Value, name: &str, more: u64| {
            let number = batch.get(name).int().unwrap();
            *batch.get_mut(name).unwrap() = Value::Int((number + more).into());
        };
        let lies: [(&str, u64, &str); 2] = [("to", 1_000, "further"), ("incarnation", 1, "missing")];
        for (number, (name, more, words)) in (3..).zip(lies) {
            let between = Between::default();
            let reader = sea.reader(number, "reader", &between).await;
            rest().await;
            let known = sea.head(&reader);
            between.bends(move |mut message| {
                if let Some(batch) = message.get_mut("batch") {
                    add(batch, name, more);
                }
                vec![message]
            });
            rest().await;
            let told = sea.told(&reader).await;
            assert!(between.told() > 0 && sea.head(&reader) == known, "{name}: {told:?}");
            assert!(told.line != PeerLine::Up && told.why.as_ref().is_some_and(|why| why.contains(words)), "{name}: {told:?}");
            between.is_honest();
            sea.a.note_on("web/front", "since").await;
            tokio::time::sleep(Duration::from_secs(100)).await;
            sea.sees_all(&reader).await;
        }
    });
}
