//! Whole agents against a server that is recorded, absent, full or fussy; time is simulated wherever no program runs.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::time::{Instant, sleep};

use super::*;
use crate::agent::uplink::{Batch, UplinkError};
use crate::link::{SeededRandom, SteadyClock, SystemClock};

/// A server that remembers what it heard, and when.
#[derive(Default)]
struct Recorder {
    heard: Mutex<Heard>,
    away: AtomicBool,
    /// Refuses whatever comes from this check.
    fussy: Option<&'static str>,
    changed: Notify,
}

#[derive(Default)]
struct Heard {
    hellos: Vec<AgentHello>,
    observations: Vec<(Instant, Observation)>,
    batches: Vec<(Instant, usize)>,
    keepalives: Vec<Instant>,
}

impl Recorder {
    fn look<T>(&self, look: impl FnOnce(&mut Heard) -> T) -> T {
        let found = look(&mut self.heard.lock().unwrap());
        self.changed.notify_one();
        found
    }

    fn reached(&self) -> Result<(), UplinkError> {
        if self.away.load(Ordering::Relaxed) { Err(UplinkError::Away("connection refused".into())) } else { Ok(()) }
    }

    /// Waits until it has heard enough; a test that never gets there is stopped by simulated time.
    async fn until(&self, enough: impl Fn(&Heard) -> bool) {
        let waiting = async {
            while !enough(&self.heard.lock().unwrap()) {
                self.changed.notified().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(1_000_000), waiting).await.expect("the server never heard what it waits for");
    }

    /// The times of a check's results.
    fn of(&self, check: &str) -> Vec<(Instant, Observation)> {
        self.look(|heard| heard.observations.iter().filter(|(_, o)| o.check.as_str() == check).cloned().collect())
    }
}

impl Uplink for Recorder {
    async fn hello(&self, hello: &AgentHello) -> Result<(), UplinkError> {
        self.reached()?;
        self.look(|heard| heard.hellos.push(hello.clone()));
        Ok(())
    }

    async fn observe(&self, batch: &Batch) -> Result<(), UplinkError> {
        self.reached()?;
        if let Some(bad) = batch.observations.iter().find(|o| Some(o.check.as_str()) == self.fussy) {
            return Err(UplinkError::Refused(format!("{} is not to my taste", bad.check)));
        }
        self.look(|heard| {
            heard.batches.push((Instant::now(), batch.observations.len()));
            heard.observations.extend(batch.observations.iter().map(|o| (Instant::now(), o.clone())));
        });
        Ok(())
    }

    async fn keepalive(&self) -> Result<(), UplinkError> {
        self.reached()?;
        self.look(|heard| heard.keepalives.push(Instant::now()));
        Ok(())
    }
}

struct Bench {
    server: Arc<Recorder>,
    clock: Arc<SteadyClock>,
    stop: CancellationToken,
    agent: tokio::task::JoinHandle<()>,
}

fn config(text: &str) -> Config {
    Config::parse(Path::new("agent.toml"), &format!("[agent]\nname = \"web1\"\n{text}")).unwrap()
}

fn bench(text: &str, server: Recorder, spool: Spool) -> Bench {
    let server = Arc::new(server);
    let clock = Arc::new(SteadyClock::new(Time::from_secs(1_795_000_000)));
    let facts: FactFinder = Arc::new(Facts::new);
    let parts = Parts { uplink: server.clone(), clock: clock.clone(), random: Arc::new(SeededRandom::new(7)), spool, memory: None, facts };
    let stop = CancellationToken::new();
    let agent = tokio::spawn(Agent::new(config(text), parts).run(stop.clone()));
    Bench { server, clock, stop, agent }
}

impl Bench {
    async fn stop(self) -> Arc<Recorder> {
        self.stop.cancel();
        self.agent.await.unwrap();
        self.server
    }
}

const LOAD: &str = "[[check]]\nkind = \"load\"\ninterval = \"10s\"\n";

#[tokio::test(start_paused = true)]
async fn a_check_runs_at_once_and_then_in_its_phase_without_drift() {
    let begin = Instant::now();
    let bench = bench(LOAD, Recorder::default(), Spool::in_memory());
    bench.server.until(|heard| heard.observations.iter().filter(|(_, o)| o.check.as_str() == "load").count() >= 1_000).await;
    let times: Vec<Duration> = bench.server.of("load").iter().map(|(at, _)| *at - begin).collect();
    assert!(times[0] < Duration::from_secs(2));
    let gaps: Vec<u128> = times.windows(2).skip(1).map(|w| (w[1] - w[0]).as_millis()).collect();
    assert!(gaps.iter().all(|gap| (9_990..=10_010).contains(gap)), "{gaps:?}");
    assert!((times[999] - times[1]).as_millis().abs_diff(9_980_000) <= 10);
    let server = bench.stop().await;
    let hello = server.look(|heard| heard.hellos[0].clone());
    assert_eq!((hello.agent.as_str(), hello.checks.len()), ("web1", 2));
}

#[tokio::test(start_paused = true)]
async fn signs_of_life_come_when_there_is_nothing_else_to_say() {
    let bench = bench("keepalive = \"20s\"\n", Recorder::default(), Spool::in_memory());
    bench.server.until(|heard| heard.keepalives.len() >= 20).await;
    let silent = bench.server.look(|heard| {
        let mut times: Vec<Instant> = heard.keepalives.iter().chain(heard.batches.iter().map(|(at, _)| at)).copied().collect();
        times.sort();
        times.windows(2).map(|w| w[1] - w[0]).max().unwrap()
    });
    assert!(silent <= Duration::from_secs(21), "{silent:?}");
    bench.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_was_away_gets_everything_in_order_and_not_all_at_once() {
    let server = Recorder::default();
    server.away.store(true, Ordering::Relaxed);
    let checks: String = (0..20).map(|i| format!("[[check]]\nname = \"load {i}\"\nkind = \"load\"\ninterval = \"10s\"\n")).collect();
    let bench = bench(&checks, server, Spool::in_memory());
    sleep(Duration::from_secs(3_600)).await;
    bench.server.away.store(false, Ordering::Relaxed);
    let back = Instant::now();
    bench.server.until(|heard| heard.observations.len() >= 7_600).await;
    bench.server.look(|heard| {
        assert!(heard.batches[0].0 - back <= Duration::from_secs(65), "it took long to notice");
        let backlog = &heard.batches[..30];
        assert!(backlog.windows(2).all(|w| w[1].0 - w[0].0 >= Duration::from_millis(40)) && backlog.iter().all(|(_, count)| *count <= 200));
    });
    for i in 0..20 {
        let results = bench.server.of(&format!("load {i}"));
        assert!(results.len() >= 360 && results.windows(2).all(|w| w[0].1.at < w[1].1.at));
        // Not one of the hour is missing.
        let most = results.windows(2).map(|w| w[1].1.at.since(w[0].1.at)).max().unwrap();
        assert!(most <= Span::from_secs(11), "{most}");
    }
    bench.stop().await;
}

#[tokio::test(start_paused = true)]
async fn p9_a_clock_that_goes_back_does_not_silence_a_check() {
    let bench = bench(LOAD, Recorder::default(), Spool::in_memory());
    bench.server.until(|heard| heard.observations.len() >= 10).await;
    bench.clock.shift(-3_600_000_000);
    let before = bench.server.of("load").len();
    bench.server.until(|heard| heard.observations.len() >= before + 20).await;
    let results = bench.server.of("load");
    assert!(results.len() > before && results.windows(2).all(|w| w[0].1.at < w[1].1.at));
    // Nor does the schedule stop.
    assert!(results.windows(2).all(|w| w[1].0 - w[0].0 <= Duration::from_secs(11)));
    bench.stop().await;
}

#[tokio::test(start_paused = true)]
async fn after_sleep_everything_is_looked_at_again() {
    let bench = bench("[[check]]\nkind = \"load\"\ninterval = \"1d\"\n", Recorder::default(), Spool::in_memory());
    sleep(Duration::from_secs(60)).await;
    assert_eq!(bench.server.of("load").len(), 1);
    let woken = Instant::now();
    bench.clock.shift(8 * 3_600_000_000);
    bench.server.until(|heard| heard.observations.iter().filter(|(_, o)| o.check.as_str() == "load").count() == 2).await;
    assert!(woken.elapsed() <= Duration::from_secs(7));
    bench.stop().await;
}

#[tokio::test(start_paused = true)]
async fn f4_what_the_server_refuses_does_not_hold_up_the_rest() {
    let text = format!("{LOAD}[[check]]\nname = \"bad\"\nkind = \"load\"\ninterval = \"10s\"\n");
    let bench = bench(&text, Recorder { fussy: Some("bad"), ..Recorder::default() }, Spool::in_memory());
    bench.server.until(|heard| heard.observations.iter().filter(|(_, o)| o.check.as_str() == "load").count() >= 30).await;
    assert!(bench.server.of("bad").is_empty());
    bench.stop().await;
}

/// A spool that was let go of a moment ago. A program that another test starts meanwhile holds the lock along with us
/// from its fork to its exec.
fn reopened(folder: &std::path::Path) -> Spool {
    loop {
        match Spool::open(folder, 1 << 20) {
            Err(SpoolError::InUse(_)) => std::thread::yield_now(),
            other => return other.unwrap(),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_not_delivered_is_delivered_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let server = Recorder::default();
    server.away.store(true, Ordering::Relaxed);
    let first = bench(LOAD, server, Spool::open(folder.path(), 1 << 20).unwrap());
    sleep(Duration::from_secs(600)).await;
    assert!(first.stop().await.of("load").is_empty());
    let second = bench(LOAD, Recorder::default(), reopened(folder.path()));
    second.server.until(|heard| heard.observations.iter().filter(|(_, o)| o.check.as_str() == "load").count() >= 65).await;
    // The second one's clock began where the first one's had: its times go on all the same.
    assert!(second.server.of("load").windows(2).all(|w| w[0].1.at < w[1].1.at));
    second.stop().await;
    assert!(reopened(folder.path()).is_empty());
}

#[tokio::test(start_paused = true)]
async fn facts_are_said_again_when_they_change() {
    let server = Arc::new(Recorder::default());
    let disk = Arc::new(Mutex::new("one"));
    let looked = disk.clone();
    let facts: FactFinder = Arc::new(move || Facts::from([("disks".into(), (*looked.lock().unwrap()).into())]));
    let clock = Arc::new(SteadyClock::new(Time::from_secs(0)));
    let parts = Parts { uplink: server.clone(), clock, random: Arc::new(SeededRandom::new(7)), spool: Spool::in_memory(), memory: None, facts };
    let stop = CancellationToken::new();
    let agent = tokio::spawn(Agent::new(config(""), parts).run(stop.clone()));
    sleep(Duration::from_secs(7_200)).await;
    assert_eq!(server.look(|heard| heard.hellos.len()), 1);
    *disk.lock().unwrap() = "two";
    server.until(|heard| heard.hellos.len() == 2).await;
    assert_eq!(server.look(|heard| heard.hellos[1].facts["disks"].to_string()), "two");
    stop.cancel();
    agent.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_agent_says_how_its_spool_fares() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let why = Spool::open(&file, 1 << 20).err().unwrap();
    let bench = bench("", Recorder::default(), Spool::in_memory_because(&why));
    bench.server.until(|heard| !heard.observations.is_empty()).await;
    let own = bench.server.of(OWN_CHECK)[0].1.clone();
    assert_eq!(own.status, Status::Critical);
    assert!(own.text.contains("results are kept in memory"), "{}", own.text);
    bench.stop().await;
}

fn script(folder: &Path, name: &str, body: &str) -> String {
    use std::os::unix::fs::PermissionsExt;
    let path = folder.join(name);
    std::fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_owned()
}

fn real(text: &str, data: &Path) -> Bench {
    let server = Arc::new(Recorder::default());
    let stop = CancellationToken::new();
    let agent = Agent::open(config(text), data, server.clone(), Arc::new(SystemClock), Arc::new(SeededRandom::new(7))).unwrap();
    let agent = tokio::spawn(agent.run(stop.clone()));
    Bench { server, clock: Arc::new(SteadyClock::new(Time::from_secs(0))), stop, agent }
}

#[tokio::test]
async fn plugins_that_misbehave_do_not_hold_up_the_others_and_end_with_the_agent() {
    let folder = tempfile::tempdir().unwrap();
    let mark = format!("7441{}", std::process::id());
    let hangs = script(folder.path(), "hangs", &format!("sleep {mark} & sleep {mark}"));
    let floods = script(folder.path(), "floods", "exec yes");
    let binary = script(folder.path(), "binary", "head -c 100000 /dev/urandom");
    let plugin = |name: &str, program: &str| format!("[[check]]\nname = \"{name}\"\nkind = \"plugin\"\ncommand = [\"{program}\"]\ninterval = \"1s\"\n");
    let text = format!(
        "parallel = 4\n{}timeout = \"5m\"\n{}{}{}{LOAD}",
        plugin("hangs", &hangs),
        plugin("floods", &floods),
        plugin("binary", &binary),
        plugin("missing", "/no/such/plugin")
    );
    let bench = real(&text, &folder.path().join("data"));
    let seen = |heard: &Heard, check: &str| heard.observations.iter().any(|(_, o)| o.check.as_str() == check);
    bench.server.until(|heard| ["floods", "binary", "missing", "load", OWN_CHECK].iter().all(|check| seen(heard, check))).await;
    assert!(bench.server.of("missing")[0].1.text.contains("does not exist"));
    assert!(bench.server.of("floods")[0].1.text.contains("was killed"));
    assert!(bench.server.of("hangs").is_empty());
    bench.stop().await;
    let lives = || {
        std::fs::read_dir("/proc")
            .unwrap()
            .flatten()
            .any(|entry| std::fs::read(entry.path().join("cmdline")).is_ok_and(|line| String::from_utf8_lossy(&line).contains(&mark)))
    };
    let deadline = Instant::now() + Duration::from_secs(20);
    while lives() {
        assert!(Instant::now() < deadline, "what the plugin started outlived the agent");
        sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_check_runs_one_at_a_time_and_all_of_them_so_many_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let running = folder.path().join("running");
    std::fs::create_dir(&running).unwrap();
    // Each run stands as a folder while it lasts; its text is how many stood at once.
    let body = format!("mkdir {0}/$$; ls {0} | wc -l; sleep 0.3; rmdir {0}/$$", running.display());
    let program = script(folder.path(), "counts", &body);
    let checks: String =
        (0..6).map(|i| format!("[[check]]\nname = \"c{i}\"\nkind = \"plugin\"\ncommand = [\"{program}\"]\ninterval = \"1s\"\ntimeout = \"1m\"\n")).collect();
    let bench = real(&format!("parallel = 2\n{checks}"), &folder.path().join("data"));
    bench.server.until(|heard| heard.observations.iter().filter(|(_, o)| o.check.as_str() != OWN_CHECK).count() >= 12).await;
    let counts: Vec<u32> = bench.server.look(|heard| heard.observations.iter().filter_map(|(_, o)| o.text.trim().parse().ok()).collect());
    assert!(counts.iter().all(|count| *count <= 2) && counts.contains(&2), "{counts:?}");
    bench.stop().await;
}

#[tokio::test]
async fn a_data_folder_serves_one_agent() {
    let folder = tempfile::tempdir().unwrap();
    let bench = real("", folder.path());
    let server = Arc::new(Recorder::default());
    let second = Agent::open(config(""), folder.path(), server, Arc::new(SystemClock), Arc::new(SeededRandom::new(7)));
    assert!(second.err().unwrap().to_string().contains("another agent uses"));
    bench.stop().await;
}
