//! How long, and how much of it, a log is passed on: leases that travel with it, over lines of this process.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use midwatch::link::Clock;
use midwatch::model::grant::{Rights, Scope};
use midwatch::model::labels::Labels;
use midwatch::model::peer::{Line as PeerLine, PeerState};
use midwatch::model::report::{Report, Reported, ReportedState};
use midwatch::model::severity::Severity;
use midwatch::model::system::SystemSpec;
use midwatch::model::time::Span;
use midwatch::server::Input;
use midwatch::server::config::FederationConfig;
use midwatch::server::peer::Shelf;
use midwatch::store::{Log, Page, Row};

use crate::federation::{Glass, Node, Sea, simulate};
use crate::sim::{BROKEN, Line, OPEN};

const LEASE: Duration = Duration::from_secs(600);

/// What the first one grants the second, in its `authorized_keys`.
pub fn grant(of: &Node, to: &Node, rights: &str, systems: &str) {
    let line = format!("peer=\"{}\",rights=\"{rights}\",systems=\"{systems}\" {}\n", to.name, to.signer.public().line());
    std::fs::write(of.yard.path().join("authorized_keys"), line).unwrap();
}

fn scope(systems: &str) -> Scope {
    Scope::new(systems.split(',').map(|pattern| pattern.parse().unwrap()), Rights::parse("read,federate").unwrap(), None)
}

/// `a` grants `b` a part, and `c` receives it through `b`, which grants it everything.
struct Chain {
    sea: Sea,
    a: Node,
    b: Node,
    c: Node,
    /// Between `b` and `a`.
    line: Line,
}

impl Chain {
    async fn begin(seed: u64, rights: &str, systems: &str) -> Chain {
        logged();
        let sea = Sea::new(seed);
        let (mut a, mut b, mut c) = (Node::new(1, "a"), Node::new(2, "b"), Node::new(3, "c"));
        a.config.federation = FederationConfig { lease: Span::from(LEASE) };
        grant(&a, &b, rights, systems);
        a.start(&sea).await;
        for system in ["web/front", "web/db", "lab"] {
            a.note_on(system, "before").await;
        }
        let line = Line { stranger: true, ..sea.line(&a) };
        b.peers = vec![("a", line.clone())];
        b.start(&sea).await;
        c.peers = vec![("b", sea.line(&b))];
        c.start(&sea).await;
        let chain = Chain { sea, a, b, c, line };
        rest().await;
        for system in ["web/front", "web/db", "lab"] {
            chain.a.note_on(system, "when all had met").await;
        }
        rest().await;
        chain
    }

    /// How the log of `a` stands at a server behind it.
    async fn told(&self, at: &Node) -> Option<PeerState> {
        let mut glass = Glass::at(&self.sea, &[(at.name, self.sea.line(at))]);
        glass.until("it said what it receives", |glass| glass.replicas.values().any(|replica| !replica.peers.is_empty())).await;
        glass.replicas.values().flat_map(|replica| replica.peers.to_vec()).find(|peer| peer.origin == self.a.origin)
    }

    async fn received(&self, by: &Node) -> Vec<Row> {
        match by.shelf.log(self.a.origin) {
            Some(log) => log.page(Page::After(None), 10_000).await.unwrap(),
            None => Vec::new(),
        }
    }

    async fn knows(&self, by: &Node, text: &str) -> bool {
        self.received(by).await.iter().any(|row| row.bytes.windows(text.len()).any(|bytes| bytes == text.as_bytes()))
    }
}

/// What the servers log, where somebody asks for it.
fn logged() {
    if std::env::var("MIDWATCH_LOGGED").is_ok() {
        let _ = tracing_subscriber::fmt().with_ansi(false).with_test_writer().try_init();
    }
}

pub async fn rest() {
    tokio::time::sleep(Duration::from_secs(40)).await;
}

#[test]
fn a_lease_is_renewed_while_the_line_is_up_and_what_it_covers_is_passed_on() {
    simulate(async {
        let chain = Chain::begin(21, "read,federate", "web/front").await;
        for round in 0..6 {
            tokio::time::sleep(LEASE * 2 / 3).await;
            for system in ["web/front", "web/db", "lab"] {
                chain.a.note_on(system, &format!("round {round} on {system}")).await;
            }
            rest().await;
            assert!(chain.knows(&chain.c, &format!("round {round} on web/front")).await, "in round {round}");
        }
        for at in [&chain.b, &chain.c] {
            let rows = chain.received(at).await;
            let else_: Vec<_> = rows.iter().filter(|row| row.system.as_ref().is_some_and(|system| system.as_str() != "web/front")).collect();
            assert!(else_.is_empty(), "{else_:?}");
            let told = chain.told(at).await.unwrap();
            assert_eq!(told.line, PeerLine::Up, "{told:?}");
            assert!(told.lease.is_some_and(|until| until > chain.sea.clock.now()), "{told:?}");
        }
        assert!(chain.c.said("peer.malformed").await.is_empty(), "nothing had to be set aside");
        let mut glass = Glass::at(&chain.sea, &[("c", chain.sea.line(&chain.c))]);
        glass.until("the world behind came", |glass| glass.world(chain.a.origin).is_some()).await;
        rest().await;
        glass.drain();
        assert_eq!(glass.world(chain.a.origin).unwrap().systems, chain.a.world().await.seen_by(&scope("web/front")).systems);
    });
}

#[test]
fn f1_what_is_revoked_behind_a_partition_is_over_with_its_lease() {
    simulate(async {
        let mut chain = Chain::begin(22, "read,federate", "web/**").await;
        assert!(chain.knows(&chain.c, "when all had met").await);
        chain.line.state.store(BROKEN, Ordering::SeqCst);
        std::fs::write(chain.a.yard.path().join("authorized_keys"), "").unwrap();
        rest().await;
        // The lease holds: what was received is passed on, also by a relay that was started anew.
        chain.b.stop().await;
        chain.b.start(&chain.sea).await;
        rest().await;
        let at_b = chain.told(&chain.b).await.unwrap();
        assert_eq!(at_b.line, PeerLine::Lost, "{at_b:?}");
        assert!(at_b.lease.is_some());
        tokio::time::sleep(LEASE).await;
        let (at_b, at_c) = (chain.told(&chain.b).await.unwrap(), chain.told(&chain.c).await.unwrap());
        assert_eq!(at_b.line, PeerLine::Lapsed, "{at_b:?}");
        assert_eq!(at_c.line, PeerLine::Gone, "{at_c:?}");
        // Nobody is told of it any more who would pass it on or keep it: not who comes only now, either.
        let mut late = Node::new(4, "late");
        late.peers = vec![("b", chain.sea.line(&chain.b))];
        late.start(&chain.sea).await;
        rest().await;
        assert!(late.shelf.log(chain.a.origin).is_none());
        // What was received stays.
        assert!(chain.knows(&chain.b, "when all had met").await && chain.knows(&chain.c, "when all had met").await);
        // The line heals: revoked it stays, and granted anew it goes on.
        chain.line.state.store(OPEN, Ordering::SeqCst);
        chain.a.note_on("web/db", "while revoked").await;
        rest().await;
        assert!(!chain.knows(&chain.b, "while revoked").await);
        grant(&chain.a, &chain.b, "read,federate", "web/**");
        tokio::time::sleep(Duration::from_secs(200)).await;
        chain.a.note_on("web/db", "granted anew").await;
        rest().await;
        assert!(chain.knows(&chain.c, "granted anew").await);
        assert_eq!(chain.told(&chain.c).await.unwrap().line, PeerLine::Up);
    });
}

#[test]
fn a_relay_that_goes_on_after_its_lease_is_not_believed() {
    simulate(async {
        let mut chain = Chain::begin(23, "read,federate", "web/**").await;
        chain.line.state.store(BROKEN, Ordering::SeqCst);
        // It makes its own lease longer, and passes on what it has kept back: its claims are the server's own.
        chain.b.stop().await;
        let mut known = chain.b.shelf.known().into_iter().find(|known| known.origin == chain.a.origin).unwrap();
        let kept = known.lease.as_mut().unwrap();
        kept.until = kept.until.plus(Span::from_days(9));
        chain.b.shelf.note(&known).unwrap();
        chain.b.start(&chain.sea).await;
        rest().await;
        let held = chain.received(&chain.c).await.len();
        tokio::time::sleep(LEASE + Duration::from_secs(400)).await;
        let mut late = Node::new(4, "late");
        late.peers = vec![("b", chain.sea.line(&chain.b))];
        late.start(&chain.sea).await;
        rest().await;
        assert!(late.shelf.log(chain.a.origin).is_none_or(|log| log.head().sequence.0 == 0), "nothing of it is taken");
        assert_eq!(chain.received(&chain.c).await.len(), held);
        let told = chain.told(&chain.c).await.unwrap();
        assert_ne!(told.line, PeerLine::Up, "{told:?}");
    });
}

#[test]
fn what_was_not_granted_onwards_is_not_passed_on() {
    simulate(async {
        let chain = Chain::begin(24, "read", "web/**").await;
        chain.a.note_on("web/db", "for b alone").await;
        rest().await;
        assert!(chain.knows(&chain.b, "for b alone").await);
        assert!(chain.received(&chain.c).await.is_empty());
        assert_eq!(chain.told(&chain.b).await.unwrap().line, PeerLine::Up);
    });
}

#[test]
fn a_grant_that_is_narrowed_or_widened_is_so_for_all_behind() {
    simulate(async {
        let chain = Chain::begin(25, "read,federate", "web/front").await;
        for (round, systems, beneath) in [(1, "web/**", vec!["web/front", "web/db"]), (2, "lab", vec!["lab"]), (3, "lab,web/front", vec!["lab", "web/front"])] {
            grant(&chain.a, &chain.b, "read,federate", systems);
            rest().await;
            for system in ["web/front", "web/db", "lab"] {
                chain.a.note_on(system, &format!("round {round} on {system}.")).await;
            }
            rest().await;
            for system in ["web/front", "web/db", "lab"] {
                for at in [&chain.b, &chain.c] {
                    let (known, allowed) = (chain.knows(at, &format!("round {round} on {system}.")).await, beneath.contains(&system));
                    assert_eq!(known, allowed, "in round {round} {} of {system}", at.name);
                }
            }
            let mut glass = Glass::at(&chain.sea, &[("c", chain.sea.line(&chain.c))]);
            glass.until("the world behind came", |glass| glass.world(chain.a.origin).is_some()).await;
            rest().await;
            glass.drain();
            let (seen, whole) = (glass.world(chain.a.origin).unwrap(), chain.a.world().await.seen_by(&scope(systems)));
            assert_eq!((&seen.systems, &seen.deeds, seen.head), (&whole.systems, &whole.deeds, whole.head), "in round {round}");
        }
        assert!(chain.c.said("peer.malformed").await.is_empty(), "nothing had to be set aside");
    });
}

/// What one sees is marked by what everybody on the way grants: nobody goes on under a mark that is none any more.
#[test]
fn what_a_relay_grants_beyond_its_lease_lets_one_see_the_same_under_another_mark() {
    simulate(async {
        let mut chain = Chain::begin(27, "read,federate", "web/**").await;
        chain.b.stop().await;
        grant(&chain.b, &chain.c, "read,federate", "web/**");
        chain.b.start(&chain.sea).await;
        chain.c.stop().await;
        chain.c.peers = vec![("b", Line { stranger: true, ..chain.sea.line(&chain.b) })];
        chain.c.start(&chain.sea).await;
        rest().await;
        let marked = async || {
            let mut glass = Glass::at(&chain.sea, &[("c", chain.sea.line(&chain.c))]);
            glass.until("the world behind came", |glass| glass.world(chain.a.origin).is_some()).await;
            let world = glass.world(chain.a.origin).unwrap();
            (world.epoch, world.systems.keys().cloned().collect::<Vec<_>>())
        };
        let before = marked().await;
        grant(&chain.b, &chain.c, "read,federate", "web/**,lab");
        rest().await;
        let after = marked().await;
        assert_eq!(before.1, after.1);
        assert_ne!(before.0, after.0);
    });
}

#[test]
fn clocks_that_differ_by_less_than_is_tolerated_lose_nothing() {
    simulate(async {
        logged();
        for (seed, ahead) in [(26, 250), (27, -250)] {
            let sea = Sea::new(seed);
            let (mut a, mut b, mut c) = (Node::new(1, "a"), Node::new(2, "b"), Node::new(3, "c"));
            let other = Sea::new(seed);
            other.clock.shift(ahead * 1_000_000);
            a.config.federation = FederationConfig { lease: Span::from_mins(2) };
            a.start(&other).await;

            a.note("before").await;
            b.peers = vec![("a", sea.line(&a))];
            b.start(&sea).await;
            c.peers = vec![("b", sea.line(&b))];
            c.start(&sea).await;
            let (log, mut found) = (Arc::new(c.shelf.clone()), 0);
            for round in 0..5 {
                tokio::time::sleep(Duration::from_secs(90)).await;
                a.note(&format!("round {round}")).await;
                rest().await;
                let rows = log.log(a.origin).unwrap().page(Page::After(None), 1_000).await.unwrap();
                found = rows.iter().filter(|row| &*row.kind == "note").count();
            }
            assert_eq!(found, 5, "{ahead} s ahead");
        }
    });
}

/// Fires an alert there.
pub async fn fire(node: &Node, system: &str, title: &str) {
    let (at, labels) = (node.running.as_ref().unwrap().core.durable().await.unwrap().world.recorded, Labels::new([("alertname", "Hot"), ("system", system)]));
    let alert = Reported {
        system: system.parse().unwrap(),
        check: "Hot".into(),
        severity: Severity::Error,
        title: title.into(),
        text: format!("the secret of {title}").as_str().into(),
        labels,
        links: Vec::new(),
        expr: None,
        value: Some(7.5),
        starts: at,
        state: ReportedState::Firing { until: None },
    };
    let report = Report { source: format!("prom-of-{}", system.replace('/', "-")).as_str().into(), at, alerts: vec![alert], complete: false };
    node.running.as_ref().unwrap().core.write(Input::Report(report)).await.unwrap();
}

/// `web/front` uses `lab/db`, and nothing uses `hall/lamp`.
fn front() -> SystemSpec {
    SystemSpec { uses: ["lab/db".parse().unwrap()].into(), ..SystemSpec::bare("web/front".parse().unwrap()) }
}

#[test]
fn of_what_a_granted_system_uses_outlines_come_through_relays_signed_by_their_server() {
    simulate(async {
        logged();
        let sea = Sea::new(28);
        let [mut a, mut b, mut c, mut d] = [Node::new(1, "a"), Node::new(2, "b"), Node::new(3, "c"), Node::new(4, "d")];
        a.config.system = vec![front()];
        a.start(&sea).await;
        // It sees everything, and passes on a part; the next one passes on all of that.
        b.peers = vec![("a", sea.line(&a))];
        grant(&b, &c, "read,federate", "web/**");
        b.start(&sea).await;
        c.peers = vec![("b", Line { stranger: true, ..sea.line(&b) })];
        c.start(&sea).await;
        d.peers = vec![("c", sea.line(&c))];
        d.start(&sea).await;
        rest().await;
        rest().await;
        for system in ["web/front", "lab/db", "hall/lamp"] {
            fire(&a, system, &format!("trouble of {system}")).await;
        }
        rest().await;
        for (at, whole) in [(&b, true), (&c, false), (&d, false)] {
            let rows = at.shelf.log(a.origin).unwrap().page(Page::After(None), 10_000).await.unwrap();
            let of = |system: &str| rows.iter().filter(|row| row.system.as_ref().is_some_and(|of| of.as_str() == system)).collect::<Vec<_>>();
            let holds = |rows: &[&Row], text: &str| rows.iter().any(|row| row.bytes.windows(text.len()).any(|bytes| bytes == text.as_bytes()));
            assert!(holds(&of("web/front"), "the secret of trouble of web/front"), "at {}", at.name);
            assert!(holds(&of("lab/db"), "trouble of lab/db"), "at {}: {rows:?}", at.name);
            assert_eq!(holds(&of("lab/db"), "the secret of"), whole, "at {}", at.name);
            assert_eq!(holds(&of("hall/lamp"), "trouble"), whole, "at {}", at.name);
            assert!(at.said("peer.malformed").await.is_empty(), "at {}", at.name);
        }
        let mut glass = Glass::at(&sea, &[("d", sea.line(&d))]);
        glass.until("the world behind came", |glass| glass.world(a.origin).is_some()).await;
        rest().await;
        glass.drain();
        let (seen, whole) = (glass.world(a.origin).unwrap(), a.world().await.seen_by(&scope("web/**")));
        assert_eq!((&seen.alerts, &seen.systems, &seen.open, seen.head), (&whole.alerts, &whole.systems, &whole.open, whole.head));
        assert_eq!(seen.alerts.len(), 2);
        // And what ends there ends for all.
        a.config.system = vec![SystemSpec { uses: [].into(), ..front() }];
        a.stop().await;
        a.start(&sea).await;
        tokio::time::sleep(Duration::from_secs(120)).await;
        glass.drain();
        let (seen, whole) = (glass.world(a.origin).unwrap(), a.world().await.seen_by(&scope("web/**")));
        assert_eq!((seen.alerts.len(), &seen.alerts), (1, &whole.alerts));
    });
}

#[test]
fn a_relay_that_was_started_anew_says_at_once_what_it_holds_and_how_old_that_is() {
    simulate(async {
        let mut chain = Chain::begin(29, "read,federate", "web/**").await;
        chain.line.state.store(BROKEN, Ordering::SeqCst);
        chain.b.stop().await;
        tokio::time::sleep(Duration::from_secs(100)).await;
        chain.b.start(&chain.sea).await;
        tokio::time::sleep(Duration::from_secs(45)).await;
        for at in [&chain.b, &chain.c] {
            let told = chain.told(at).await.unwrap();
            assert_eq!(told.line, PeerLine::Lost, "at {}: {told:?}", at.name);
            assert!(told.why.is_some() && told.lag >= Span::from_secs(100), "at {}: {told:?}", at.name);
        }
        // Its own users see how old it is, too.
        let mut glass = Glass::at(&chain.sea, &[("c", chain.sea.line(&chain.c))]);
        glass.until("the world behind came", |glass| glass.world(chain.a.origin).is_some()).await;
        let place = glass.place(chain.a.origin).unwrap();
        assert!(glass.replicas[&place].fresh.unwrap().age(tokio::time::Instant::now().into_std()) >= Duration::from_secs(140));
        chain.line.state.store(OPEN, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_secs(120)).await;
        let told = chain.told(&chain.c).await.unwrap();
        assert_eq!((told.line, told.lag < Span::from_secs(10)), (PeerLine::Up, true), "{told:?}");
    });
}
