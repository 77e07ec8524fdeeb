//! The demo as a person gets it: three real servers in one process, a recorded night that comes in through
//! their sockets, and one of them that dies.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use midwatch::client::servers::Wishes;
use midwatch::client::{Address, Replica, ServerConfig, Servers};
use midwatch::link::{OsRandom, Random};
use midwatch::model::history::Verdict;
use midwatch::model::severity::Severity;
use midwatch::model::time::{Span, Time};
use midwatch::model::view::alerts::{AlertRow, Asks, rows};
use midwatch::model::view::entries::Entry;
use midwatch::model::view::now::Now;
use midwatch::model::view::{Freshness, Seen, Sky, detail};

use super::daemon::PATIENCE;

/// A demo without a console.
struct Demo {
    child: Child,
    input: ChildStdin,
    output: Receiver<String>,
    servers: Vec<ServerConfig>,
}

impl Demo {
    fn start() -> Demo {
        let mut child = Command::new(env!("CARGO_BIN_EXE_midwatch")).args(["demo", "--headless"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let input = child.stdin.take().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (sender, output) = channel();
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| drop(sender.send(line))));
        let mut demo = Demo { child, input, output, servers: Vec::new() };
        for _ in 0..3 {
            let line = demo.line();
            let (name, address) = line.split_once(' ').unwrap();
            demo.servers.push(ServerConfig::new(name, Address::parse(address).unwrap()));
        }
        demo
    }

    fn line(&self) -> String {
        self.output.recv_timeout(PATIENCE).expect("the demo says nothing more")
    }

    fn obey(&mut self, command: &str) -> String {
        writeln!(self.input, "{command}").unwrap();
        self.line()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = writeln!(self.input, "quit");
        let ended = Instant::now();
        while ended.elapsed() < Duration::from_secs(5) {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a console of these servers holds.
struct View {
    servers: Servers,
    names: Vec<Arc<str>>,
    replicas: Vec<Replica>,
}

impl View {
    fn of(configs: &[ServerConfig]) -> View {
        let wishes = Wishes { name: "kim".into(), history: 0, filter: None, vitals: false, presence: false, peers: false };
        let random: Arc<dyn Random> = Arc::new(OsRandom);
        let servers = Servers::connect(configs, &wishes, &random).unwrap();
        View { servers, names: configs.iter().map(|config| config.name.clone()).collect(), replicas: vec![Replica::default(); configs.len()] }
    }

    /// Takes in what comes until it is so.
    async fn until(&mut self, what: &str, so: impl Fn(&View) -> bool) -> Duration {
        let began = Instant::now();
        while !so(self) {
            let left = PATIENCE.saturating_sub(began.elapsed());
            let Ok(Some((index, update))) = tokio::time::timeout(left, self.servers.updates.recv()).await else {
                panic!("not so within {PATIENCE:?}: {what}\n{}", print(&self.sky(), &self.now()));
            };
            self.replicas[index.0].apply(&update);
        }
        began.elapsed()
    }

    fn sky(&self) -> Sky {
        let seen = self.names.iter().zip(&self.replicas).filter_map(|(name, replica)| {
            let world = replica.world.clone()?;
            Some(Seen { name: name.clone(), world, freshness: Freshness::Live { age: Span::ZERO } })
        });
        Sky::new(seen.collect())
    }

    fn now(&self) -> (Vec<AlertRow>, Now) {
        let (sky, rows) = (self.sky(), rows(&self.sky(), now()));
        let now = Now::of(&sky, &rows);
        (rows, now)
    }
}

fn now() -> Time {
    Time::from(jiff::Timestamp::now())
}

fn heads((rows, now): &(Vec<AlertRow>, Now)) -> impl Iterator<Item = (&AlertRow, &Entry)> {
    now.entries.iter().map(|entry| (&rows[entry.row], entry))
}

fn row<'a>(now: &'a (Vec<AlertRow>, Now), name: &str) -> Option<&'a AlertRow> {
    heads(now).map(|(row, _)| row).find(|row| row.name == name && row.history.verdict != Verdict::Chronic)
}

fn print(sky: &Sky, now: &(Vec<AlertRow>, Now)) -> String {
    let entries = heads(now)
        .map(|(row, entry)| format!("{:?} {} {} · {} · {} · {}\n", row.asks(), row.word(), row.name, row.title, row.who(), entry.places(sky, &now.0)));
    format!("{:?}\n{}", now.1.headline(), entries.collect::<String>())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_demo_tells_its_story_and_a_server_that_dies_comes_back_whole() {
    let mut demo = Demo::start();
    // The console is there from the first moment, while the night comes in.
    let mut view = View::of(&demo.servers);
    view.until("every server answers", |view| view.replicas.iter().all(|replica| replica.world.is_some())).await;
    let ready = demo.line();
    let messages: usize = ready.strip_prefix("ready ").and_then(|rest| rest.split(' ').next()?.parse().ok()).unwrap_or_else(|| panic!("{ready}"));
    assert!(messages >= 5_000 && ready.ends_with(", 0 not taken"), "{ready}");

    let told = |view: &View| {
        let (sky, now) = (view.sky(), view.now());
        let ceph = heads(&now).find(|(row, _)| row.name == "dc1/ceph" && row.severity == Severity::Critical);
        let head: u64 = sky.servers.iter().map(|seen| seen.world.head.0).sum();
        let deployed = sky.servers.iter().flat_map(|seen| &seen.world.deeds).any(|deed| &*deed.title == "deploy shop 4f3a2c");
        let kim = row(&now, "club/scores").is_some_and(|row| row.somebody.is_some());
        head >= 5_000 && deployed && kim && row(&now, "shop/varnish").is_some() && ceph.is_some_and(|(_, ceph)| ceph.effects.len() >= 15) && now.1.need_you <= 5
    };
    view.until("the story has come in", told).await;
    let (sky, now_view) = (view.sky(), view.now());
    let shown = print(&sky, &now_view);
    let events: u64 = sky.servers.iter().map(|seen| seen.world.head.0).sum();
    assert!(events >= 5_000, "{events}");
    let varnish = heads(&now_view).map(|(row, _)| row).find(|row| row.name == "shop/varnish" && row.check.as_str() == "hit-rate").expect(&shown);
    assert_eq!((varnish.asks(), varnish.history.verdict), (Asks::You, Verdict::New), "{shown}");
    let found = detail::detail(&sky, &now_view.0, varnish.alert, now()).unwrap();
    assert!(found.changes.iter().any(|change| change.likely && &*change.title == "deploy shop 4f3a2c"), "{:?}", found.changes);
    let usual: Vec<Verdict> = heads(&now_view).filter(|(row, _)| row.asks() == Asks::Nobody).map(|(row, _)| row.history.verdict).collect();
    assert!(usual.contains(&Verdict::Chronic) && usual.contains(&Verdict::Flapping), "{shown}");
    assert_eq!(row(&now_view, "club/scores").map(AlertRow::who).as_deref(), Some("kim"), "{shown}");

    // One of the three dies. The console notices, and keeps what it knew.
    let club = demo.servers.iter().position(|server| &*server.name == "club").unwrap();
    let before = view.replicas[club].world.clone().unwrap();
    assert_eq!(demo.obey("kill club"), "killed club");
    let noticed = view.until("the console notices that club is gone", |view| !view.replicas[club].connected).await;
    assert!(noticed < Duration::from_secs(5), "{noticed:?}");
    assert!(view.replicas[club].world.as_ref().unwrap().head >= before.head, "the last known state is kept");
    assert_eq!(demo.obey("start club"), "started club");
    let whole = |view: &View| {
        let replica = &view.replicas[club];
        replica.connected && replica.world.as_ref().is_some_and(|world| world.head > before.head && world.systems.len() >= before.systems.len())
    };
    view.until("club is back with all that it had", whole).await;
    let after = view.replicas[club].world.clone().unwrap();
    assert_eq!(after.origin, before.origin);
    assert!(before.alerts.keys().all(|alert| after.alerts.contains_key(alert)));
}
