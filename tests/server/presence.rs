//! Who looks at what, over real sockets: told to those who may see it, and over when they go, may not any more,
//! or fall silent.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use midwatch::client::{Address, ServerConfig, ServerIndex, Servers, Update, Wishes};
use midwatch::link::{Conversation, Random, SeededRandom, SteadyClock, TcpDial};
use midwatch::model::id::{Fingerprint, Incarnation, SystemId};
use midwatch::model::intent::Intent;
use midwatch::model::presence::{Book, Focus, Looked, Looker};
use midwatch::model::time::Time;
use midwatch::server::config::Config;
use midwatch::server::gate::Gate;
use midwatch::server::presence::Setting;
use midwatch::server::{Listen, Listener, Parts, Running, Server};
use midwatch::store::MemoryLog;
use midwatch::trust::{KnownServers, Proving, ServerKey};
use midwatch::wire::{Hello, LookingAt, Role, Subscribe, ToClient, ToServer};
use tokio::time::Instant;

use crate::federation::{Node, Sea};
use crate::grants::{SERVER, Yard, fired, heard, hello, key};
use crate::scene::{self, CONSOLE};
use crate::sim::{BROKEN, Door, Line, OPEN, STALLED};

const SHOP: &str = "shop/varnish";
const LAB: &str = "lab/db";

/// Somebody at a console, and what they know of the others.
struct Person {
    talk: Conversation,
    book: Book,
    /// How often they were told.
    told: usize,
}

impl Person {
    async fn of(mut talk: Conversation) -> Person {
        talk.send(&ToServer::Subscribe(Subscribe { presence: true, ..Subscribe::default() })).await.unwrap();
        let mut person = Person { talk, book: Book::default(), told: 0 };
        for message in heard(&mut person.talk, |message| matches!(message, ToClient::Snapshot(_))).await {
            person.take(message);
        }
        person
    }

    async fn with_key(yard: &Yard, seed: u8, says: &str) -> Person {
        Person::of(yard.come(seed, hello(Role::Console, says)).await.unwrap()).await
    }

    fn take(&mut self, message: ToClient) {
        match message {
            ToClient::Presence(told) => {
                self.told += 1;
                self.book.take(told);
            }
            ToClient::Problem(problem) => panic!("{problem:?}"),
            _ => {}
        }
    }

    async fn looks(&mut self, at: &Focus) {
        self.says(Some(at.clone())).await;
    }

    async fn says(&mut self, at: Option<Focus>) {
        self.talk.send(&ToServer::LookingAt(LookingAt { at, users: Vec::new() })).await.unwrap();
    }

    fn names(&self, at: &Focus) -> Vec<&str> {
        self.book.of(at).iter().map(|looker| &*looker.name).collect()
    }

    /// Hears on until these look at it, as far as they know.
    async fn sees(&mut self, at: &Focus, names: &[&str]) {
        let until = Instant::now() + Duration::from_secs(20);
        while self.names(at) != names {
            let next = tokio::time::timeout_at(until, self.talk.next()).await;
            let next = next.unwrap_or_else(|_| panic!("waited in vain until {names:?} look at {at:?}: {:?}", self.book));
            self.take(next.unwrap());
        }
    }
}

async fn alert_of(server: &Running, system: &str) -> Focus {
    let world = scene::world(server).await;
    let found = world.alerts.iter().find(|(_, alert)| alert.system.as_str() == system);
    Focus::Alert(*found.unwrap().0)
}

/// With an alert in the shop and one in the laboratory.
async fn two_alerts() -> (Yard, Focus, Focus) {
    let yard = Yard::new(&[]).await;
    for system in [SHOP, LAB] {
        yard.server.core.write(fired(system, "slow")).await.unwrap();
    }
    let (shop, lab) = (alert_of(&yard.server, SHOP).await, alert_of(&yard.server, LAB).await);
    (yard, shop, lab)
}

#[tokio::test]
async fn each_is_told_who_looks_at_what_they_may_see_and_of_nothing_else() {
    let (yard, shop, lab) = two_alerts().await;
    yard.grant(20, "kim", "reader", "shop/**", None).await;
    yard.grant(21, "ana", "responder", "**", None).await;
    yard.grant(22, "jo", "reader", "lab/**", None).await;
    // Whatever their consoles call them: it is the key's name that counts.
    let (mut kim, mut ana, mut jo) =
        (Person::with_key(&yard, 20, "root").await, Person::with_key(&yard, 21, "kim").await, Person::with_key(&yard, 22, "x").await);
    kim.looks(&shop).await;
    ana.sees(&shop, &["kim"]).await;
    // What somebody may not see they do not look at, known or not.
    jo.looks(&shop).await;
    kim.looks(&lab).await;
    ana.sees(&shop, &[]).await;
    kim.looks(&shop).await;
    ana.sees(&shop, &["kim"]).await;
    jo.looks(&lab).await;
    ana.sees(&lab, &["jo"]).await;
    ana.looks(&lab).await;
    jo.sees(&lab, &["ana"]).await;
    assert_eq!(jo.book.iter().count(), 1, "and nothing of the shop: {:?}", jo.book);
    ana.looks(&shop).await;
    kim.sees(&shop, &["ana"]).await;
    assert_eq!(kim.book.iter().count(), 1, "and nothing of the laboratory: {:?}", kim.book);
    assert_eq!((ana.names(&shop), ana.names(&lab)), (vec!["kim"], vec!["jo"]), "oneself is nobody else");
    // Two consoles of one person are one person, and neither is told of the other.
    let mut train = Person::with_key(&yard, 20, "y").await;
    assert_eq!(train.names(&shop), ["ana"], "told before the snapshot: whoever asks once and goes has it too");
    train.looks(&shop).await;
    ana.says(None).await;
    train.sees(&shop, &[]).await;
    assert!(train.book.is_empty() && ana.names(&shop) == ["kim"]);
    drop(kim);
    ana.looks(&lab).await;
    jo.sees(&lab, &["ana"]).await;
    assert_eq!(ana.names(&shop), ["kim"], "at the other one still");
    drop(train);
    ana.sees(&shop, &[]).await;
}

#[tokio::test]
async fn a_system_may_be_looked_at_and_what_is_none_may_not() {
    let (yard, shop, _) = two_alerts().await;
    yard.grant(20, "kim", "reader", "shop/**", None).await;
    yard.grant(21, "ana", "reader", "**", None).await;
    let (mut kim, mut ana) = (Person::with_key(&yard, 20, "kim").await, Person::with_key(&yard, 21, "ana").await);
    let system = |name: &str| Focus::System(name.parse::<SystemId>().unwrap());
    for nothing in [system("shop/of-nobody"), system(LAB), Focus::Alert(Fingerprint([1; 16]))] {
        kim.looks(&nothing).await;
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
    kim.looks(&system(SHOP)).await;
    ana.sees(&system(SHOP), &["kim"]).await;
    assert_eq!((ana.book.iter().count(), ana.told), (1, 1), "{:?}", ana.book);
    kim.looks(&shop).await;
    ana.sees(&shop, &["kim"]).await;
    assert_eq!(ana.book.iter().count(), 1);
}

#[tokio::test]
async fn who_may_not_any_more_is_seen_no_longer_and_sees_nobody() {
    let (yard, shop, lab) = two_alerts().await;
    let grant = yard.grant(20, "kim", "reader", "shop/**", None).await;
    yard.grant(21, "ana", "reader", "**", None).await;
    yard.grant(22, "jo", "reader", "**", None).await;
    let (mut kim, mut ana, mut jo) =
        (Person::with_key(&yard, 20, "kim").await, Person::with_key(&yard, 21, "ana").await, Person::with_key(&yard, 22, "jo").await);
    kim.looks(&shop).await;
    jo.looks(&lab).await;
    ana.sees(&shop, &["kim"]).await;
    ana.sees(&lab, &["jo"]).await;
    // Less than before: at once, without a word of theirs.
    yard.grant(22, "jo", "reader", "shop/**", None).await;
    ana.sees(&lab, &[]).await;
    jo.sees(&shop, &["kim"]).await;
    ana.looks(&shop).await;
    jo.sees(&shop, &["kim", "ana"]).await;
    yard.grant(22, "jo", "reader", "lab/**", None).await;
    jo.sees(&shop, &[]).await;
    ana.sees(&lab, &["jo"]).await;
    // What they had asked for while they might not counts once they may.
    yard.ask(Intent::Revoke { grant, why: "left".into() }).await.unwrap();
    ana.sees(&shop, &[]).await;
    assert!(heard(&mut kim.talk, |message| matches!(message, ToClient::Problem(_))).await.pop().is_some(), "and the connection ended");
}

#[tokio::test]
async fn where_it_is_off_nobody_is_asked_and_nobody_told() {
    for (setting, says) in [(Setting::Off, false), (Setting::Here, true), (Setting::Peers, true)] {
        let listener = Listener::bind(&Listen::Tcp("127.0.0.1:0".parse().unwrap())).await.unwrap();
        let mut parts = Parts::new(Arc::new(midwatch::link::SystemClock), Arc::new(scene::memory()), listener, scene::tokens());
        parts.pace = scene::pace();
        let config = Config { name: Some("shop".into()), presence: setting, ..Config::default() };
        let server = Server::bind(&config, parts).await.unwrap().spawn();
        server.core.write(fired(SHOP, "slow")).await.unwrap();
        let at = alert_of(&server, SHOP).await;
        let dial = TcpDial { address: scene::port(&server) };
        let come = async |name: &str| {
            let hello = Hello { token: Some(CONSOLE.into()), ..hello(Role::Console, name) };
            Conversation::open(&dial, &hello, None, Duration::from_secs(20)).await.unwrap()
        };
        let (kim, ana) = (come("kim").await, come("ana").await);
        assert_eq!(kim.welcome.presence, says, "{setting:?}");
        let (mut kim, mut ana) = (Person::of(kim).await, Person::of(ana).await);
        kim.looks(&at).await;
        if says {
            ana.sees(&at, &["kim"]).await;
        } else {
            tokio::time::sleep(Duration::from_millis(200)).await;
            ana.talk.send(&ToServer::Ping(midwatch::wire::Ping { id: 3 })).await.unwrap();
            heard(&mut ana.talk, |message| matches!(message, ToClient::Pong(_))).await.into_iter().for_each(|message| ana.take(message));
            assert_eq!(ana.told, 0);
        }
        // None of it is an event.
        let head = scene::world(&server).await.head;
        assert!(head.0 < 10, "{head:?}");
        server.stop().await;
    }
}

/// A console of the production client, over a line of this process.
struct Desk {
    servers: Servers,
    line: Line,
    book: Book,
    place: ServerIndex,
}

impl Desk {
    fn new(name: &str, door: &Door, random: &Arc<SeededRandom>) -> Desk {
        let line = Line { door: door.clone(), state: Arc::new(AtomicU8::new(OPEN)), random: random.clone(), stranger: false };
        let config = ServerConfig::new("shop", Address::Unix("/nowhere".into()));
        let wishes = Wishes { name: name.into(), history: 0, filter: None, vitals: false, presence: true, peers: true };
        let random: Arc<dyn Random> = random.clone();
        let servers = Servers::connect_by(&[config], vec![Arc::new(line.clone())], &wishes, &random).unwrap();
        Desk { servers, line, book: Book::default(), place: ServerIndex(0) }
    }

    /// From now on about the log of the server behind that one.
    async fn behind(mut self) -> Desk {
        loop {
            let (place, update) = self.servers.updates.recv().await.unwrap();
            if place == ServerIndex(1) && matches!(update, Update::Connected(_)) {
                self.place = place;
                return self;
            }
        }
    }

    /// What is said of the log that it is about.
    async fn next(&mut self) -> Update {
        loop {
            let (place, update) = self.servers.updates.recv().await.unwrap();
            if place == self.place {
                return update;
            }
        }
    }

    fn take(&mut self, update: Update) -> bool {
        match update {
            Update::Presence(told) => self.book.take(told),
            Update::Connected(_) => {
                self.book = Book::default();
                return true;
            }
            _ => {}
        }
        false
    }

    async fn connected(&mut self) {
        loop {
            let (_, update) = self.servers.updates.recv().await.unwrap();
            if self.take(update) {
                return;
            }
        }
    }

    fn looks(&self, at: &Focus) {
        self.servers.handle.looking_at(self.place, Some(at.clone())).unwrap();
    }

    /// How long until these look at it; ten minutes at most.
    async fn sees(&mut self, at: &Focus, names: &[&str]) -> Duration {
        let began = Instant::now();
        while self.book.of(at).iter().map(|looker| &*looker.name).collect::<Vec<_>>() != names {
            let next = tokio::time::timeout_at(began + Duration::from_secs(600), self.next()).await;
            let update = next.unwrap_or_else(|_| panic!("never {names:?}: {:?}", self.book));
            self.take(update);
        }
        began.elapsed()
    }
}

async fn in_process() -> (Running, Door, Arc<SeededRandom>, Focus) {
    let (sender, connections) = tokio::sync::mpsc::channel(16);
    let clock = Arc::new(SteadyClock::new(Time::from_secs(1_790_000_000)));
    let parts = Parts::new(clock, Arc::new(scene::memory()), Listener::Given(connections), scene::tokens());
    let server = Server::bind(&Config { name: Some("shop".into()), ..Config::default() }, parts).await.unwrap().spawn();
    let door: Door = Arc::new(std::sync::Mutex::new(Some(sender)));
    server.core.write(fired(SHOP, "slow")).await.unwrap();
    let at = alert_of(&server, SHOP).await;
    (server, door, Arc::new(SeededRandom::new(7)), at)
}

/// In simulated time.
#[tokio::test(start_paused = true)]
async fn who_falls_silent_looks_no_more_and_does_again_when_they_are_heard() {
    let (server, door, random, at) = in_process().await;
    let (mut kim, mut ana) = (Desk::new("kim", &door, &random), Desk::new("ana", &door, &random));
    kim.connected().await;
    ana.connected().await;
    kim.looks(&at);
    let soon = ana.sees(&at, &["kim"]).await;
    assert!(soon < Duration::from_secs(2), "{soon:?}");
    // Nothing is said for an hour, and nobody doubts that kim is there: the line is heard.
    let quiet = tokio::time::timeout(Duration::from_secs(3_600), async {
        loop {
            tokio::select! {
                _ = kim.servers.updates.recv() => {}
                Some((_, update)) = ana.servers.updates.recv() => assert!(!matches!(update, Update::Presence(_)), "{update:?}"),
            }
        }
    });
    assert!(quiet.await.is_err());
    // A laptop is closed: no byte, and no end of the connection either.
    kim.line.state.store(STALLED, Ordering::SeqCst);
    let gone = ana.sees(&at, &[]).await;
    assert!((25..=40).contains(&gone.as_secs()), "{gone:?}");
    server.stop().await;
}

/// A line that comes back before the client gives it up, and one that breaks.
#[tokio::test(start_paused = true)]
async fn a_line_that_stalls_for_a_moment_flickers_on_nobodys_screen() {
    let (server, door, random, at) = in_process().await;
    let (mut kim, mut ana) = (Desk::new("kim", &door, &random), Desk::new("ana", &door, &random));
    kim.connected().await;
    ana.connected().await;
    kim.looks(&at);
    ana.sees(&at, &["kim"]).await;
    kim.line.state.store(STALLED, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_secs(10)).await;
    kim.line.state.store(OPEN, Ordering::SeqCst);
    let quiet = tokio::time::timeout(Duration::from_secs(120), async {
        loop {
            let (_, update) = ana.servers.updates.recv().await.unwrap();
            assert!(!matches!(update, Update::Presence(_)), "{update:?}");
        }
    });
    assert!(quiet.await.is_err());
    kim.line.state.store(BROKEN, Ordering::SeqCst);
    let gone = ana.sees(&at, &[]).await;
    // With the next byte that does not come through.
    assert!(gone < Duration::from_secs(10), "{gone:?}");
    // The server remembers nothing: the console says it again.
    kim.line.state.store(OPEN, Ordering::SeqCst);
    kim.connected().await;
    kim.looks(&at);
    ana.sees(&at, &["kim"]).await;
    server.stop().await;
}

#[tokio::test(start_paused = true)]
async fn however_fast_somebody_says_it_others_are_told_once_a_second() {
    let (server, door, random, at) = in_process().await;
    server.core.write(fired(LAB, "slow")).await.unwrap();
    let other = alert_of(&server, LAB).await;
    let (mut kim, mut ana) = (Desk::new("kim", &door, &random), Desk::new("ana", &door, &random));
    kim.connected().await;
    ana.connected().await;
    let mut told: BTreeMap<bool, usize> = BTreeMap::new();
    let began = Instant::now();
    let mut count = 0;
    while began.elapsed() < Duration::from_secs(20) {
        count += 1;
        kim.looks(if count % 2 == 0 { &at } else { &other });
        while let Ok((_, update)) = ana.servers.updates.try_recv() {
            *told.entry(matches!(update, Update::Presence(_))).or_default() += 1;
            ana.take(update);
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    let times = told.get(&true).copied().unwrap_or(0);
    assert!(count > 700 && (2..=21).contains(&times), "said {count} times, told {times} times");
    // What was said last is what stands.
    kim.looks(&at);
    ana.sees(&at, &["kim"]).await;
    ana.sees(&other, &[]).await;
    server.stop().await;
}

/// A customer's server, and the shop's, which receives its log; both as they are set.
async fn neighbours(sea: &Sea, customer: Setting, shop: Setting) -> (Node, Node, Focus) {
    let (mut a, mut b) = (Node::new(1, "customer"), Node::new(2, "shop"));
    (a.presence, b.presence) = (customer, shop);
    b.peers.push(("customer", sea.line(&a)));
    a.start(sea).await;
    b.start(sea).await;
    let server = a.running.as_ref().unwrap();
    server.core.write(fired(SHOP, "slow")).await.unwrap();
    let at = alert_of(server, SHOP).await;
    (a, b, at)
}

#[tokio::test(start_paused = true)]
async fn users_of_one_server_see_each_other_on_a_peers_log_and_the_peer_is_told_where_both_want_that() {
    for (customer, shop) in [(Setting::Here, Setting::Here), (Setting::Peers, Setting::Here), (Setting::Here, Setting::Peers), (Setting::Peers, Setting::Peers)]
    {
        let sea = Sea::new(3);
        let (mut a, mut b, at) = neighbours(&sea, customer, shop).await;
        let (mut kim, mut ana) = (Desk::new("kim", &b.door, &sea.random).behind().await, Desk::new("ana", &b.door, &sea.random).behind().await);
        let mut robin = Desk::new("robin", &a.door, &sea.random);
        robin.connected().await;
        tokio::time::sleep(Duration::from_secs(10)).await;
        kim.looks(&at);
        ana.sees(&at, &["kim"]).await;
        let both = customer == Setting::Peers && shop == Setting::Peers;
        if both {
            robin.sees(&at, &["kim@shop"]).await;
            robin.looks(&at);
            ana.sees(&at, &["kim", "robin@customer"]).await;
            kim.sees(&at, &["robin@customer"]).await;
            ana.looks(&at);
            robin.sees(&at, &["kim@shop", "ana@shop"]).await;
            // A line that breaks ends it on both sides, and it comes back by itself.
            b.peers[0].1.state.store(BROKEN, Ordering::SeqCst);
            robin.sees(&at, &[]).await;
            kim.sees(&at, &["ana"]).await;
            b.peers[0].1.state.store(OPEN, Ordering::SeqCst);
            robin.sees(&at, &["kim@shop", "ana@shop"]).await;
            kim.sees(&at, &["robin@customer", "ana"]).await;
        } else {
            robin.looks(&at);
            for _ in 0..30 {
                tokio::time::sleep(Duration::from_secs(1)).await;
                for desk in [&mut robin, &mut kim, &mut ana] {
                    while let Ok((place, update)) = desk.servers.updates.try_recv() {
                        if place == desk.place {
                            desk.take(update);
                        }
                    }
                }
            }
            let names = |desk: &Desk| desk.book.of(&at).iter().map(|looker| looker.name.to_string()).collect::<Vec<_>>();
            assert_eq!((names(&robin), names(&ana)), (vec![], vec!["kim".to_owned()]), "{customer:?} {shop:?}");
        }
        b.stop().await;
        a.stop().await;
    }
}

/// A peer that was let see a part: it is told of that part, and its users are seen there alone, as its own.
#[tokio::test]
async fn a_peer_tells_and_is_told_within_what_it_was_granted() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("authorized_keys");
    std::fs::write(&file, format!("peer=\"branch\",systems=\"shop/**\" {} x\n", key(30).public().line())).unwrap();
    let listener = Listener::bind(&Listen::Tcp("127.0.0.1:0".parse().unwrap())).await.unwrap();
    let origin = ServerKey::from_seed([SERVER; 32]).origin();
    let log = Arc::new(MemoryLog::new(origin, Incarnation(1_790_000_000_000)));
    let mut parts = Parts::new(Arc::new(midwatch::link::SystemClock), log, listener, scene::tokens());
    parts.pace = scene::pace();
    parts.gate = Gate::new(key(SERVER), file, false);
    let config = Config { name: Some("shop".into()), presence: Setting::Peers, ..Config::default() };
    let server = Server::bind(&config, parts).await.unwrap().spawn();
    for system in [SHOP, LAB] {
        server.core.write(fired(system, "slow")).await.unwrap();
    }
    let (shop, lab) = (alert_of(&server, SHOP).await, alert_of(&server, LAB).await);
    let dial = TcpDial { address: scene::port(&server) };
    let known = KnownServers::at(folder.path().join("keys/known"));
    let proving = Proving { signer: Arc::new(key(30)), known, server: "shop".into() };
    let peer = Conversation::open(&dial, &hello(Role::Peer, "root"), Some(&proving), Duration::from_secs(20)).await.unwrap();
    assert!(peer.welcome.presence);
    let mut peer = Person::of(peer).await;
    let owner = async |name: &str| {
        let hello = Hello { token: Some(CONSOLE.into()), ..hello(Role::Console, name) };
        Person::of(Conversation::open(&dial, &hello, None, Duration::from_secs(20)).await.unwrap()).await
    };
    let (mut ana, mut jo) = (owner("ana").await, owner("jo").await);
    jo.looks(&lab).await;
    ana.sees(&lab, &["jo"]).await;
    ana.looks(&shop).await;
    peer.sees(&shop, &["ana"]).await;
    assert_eq!(peer.book.iter().count(), 1, "{:?}", peer.book);
    let who = |names: &[&str]| names.iter().map(|name| Looker { name: (*name).into(), since: Time::from_secs(4_000_000_000) }).collect::<Vec<_>>();
    let users = vec![Looked { at: shop.clone(), who: who(&["kim", "ana"]) }, Looked { at: lab.clone(), who: who(&["kim"]) }];
    // What it says of itself is nothing: it is nobody who looks.
    peer.talk.send(&ToServer::LookingAt(LookingAt { at: Some(shop.clone()), users })).await.unwrap();
    jo.sees(&shop, &["ana", "ana@branch", "kim@branch"]).await;
    ana.sees(&shop, &["ana@branch", "kim@branch"]).await;
    assert_eq!(jo.book.of(&lab), [], "at what it may not see its users do not look");
    assert!(jo.book.of(&shop).iter().all(|looker| looker.since <= midwatch::link::Clock::now(&midwatch::link::SystemClock)), "nobody began tomorrow");
    ana.says(None).await;
    peer.sees(&shop, &[]).await;
    assert!(peer.book.is_empty(), "its own are not told back to it: {:?}", peer.book);
    // They go with it.
    drop(peer);
    jo.sees(&shop, &[]).await;
    server.stop().await;
}
