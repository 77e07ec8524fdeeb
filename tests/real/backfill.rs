//! A real Prometheus whose past was written beforehand: verdicts are right from the first minute.

use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::tz::TimeZone;
use midwatch::model::history::{Days, History, Verdict};
use midwatch::model::time::Time;
use midwatch::model::world::World;

use crate::daemon::{Daemon, command, eventually, free_port};
use crate::sources::Midwatch;

const DAY: i64 = 86_400;
/// How far back this Prometheus remembers.
const REMEMBERS: i64 = 62 * DAY;

/// What fires now: `Weekly` and `Chronic` did before, `First` never.
const RULES: &str = "groups:\n- name: shop\n  interval: 1s\n  rules:\n\
    \x20 - {alert: Weekly, expr: vector(1), labels: {service: shop, severity: warning}}\n\
    \x20 - {alert: Chronic, expr: vector(1), labels: {service: vault, severity: warning}}\n\
    \x20 - {alert: First, expr: vector(1), labels: {service: shop, severity: critical}}\n";

/// Weekly on this weekday for 10 minutes; a vault that is sealed for 17 hours of each day; something that
/// flapped five times in an hour a month ago and has no rule any more. `up` says since when it remembers. Nothing
/// of it lies within the six hours that are asked for first: there the rules' seconds of today would be taken for
/// theirs.
fn past(now: i64) -> String {
    let mut out = String::from("# TYPE ALERTS gauge\n");
    let mut series = |labels: &str, spans: &mut dyn Iterator<Item = (i64, i64)>, step: i64| {
        for (from, until) in spans {
            let mut at = from;
            while at <= until {
                writeln!(out, "ALERTS{{alertstate=\"firing\",{labels}}} 1 {at}").unwrap();
                at += step;
            }
        }
    };
    let weekly = |weeks: i64| now - weeks * 7 * DAY;
    series(r#"alertname="Weekly",service="shop",severity="warning""#, &mut (1..=8).rev().map(|n| (weekly(n), weekly(n) + 600)), 60);
    series(r#"alertname="Chronic",service="vault",severity="warning""#, &mut (1..=60).rev().map(|n| (now - n * DAY, now - n * DAY + 17 * 3_600)), 300);
    series(r#"alertname="Gone",service="shop",severity="critical""#, &mut (0..5).map(|n| (now - 30 * DAY + n * 720, now - 30 * DAY + n * 720 + 120)), 60);
    // What is only pending is no episode.
    let pending =
        out.lines().filter(|line| line.contains("Weekly")).map(|line| line.replace("firing", "pending").replace("Weekly", "Never")).collect::<Vec<_>>();
    out.push_str(&pending.join("\n"));
    write!(out, "\n# TYPE up gauge\nup{{job=\"shop\"}} 1 {}\n# EOF\n", now - REMEMBERS).unwrap();
    out
}

async fn prometheus(folder: &Path, replica: &str, past: &str) -> (Daemon, u16) {
    prometheus_with(RULES, folder, replica, past).await
}

async fn prometheus_with(rules: &str, folder: &Path, replica: &str, past: &str) -> (Daemon, u16) {
    std::fs::create_dir_all(folder).unwrap();
    let (port, data) = (free_port(), folder.join("data"));
    std::fs::write(folder.join("past.om"), past).unwrap();
    let blocks = command("promtool", "prometheus")
        .args(["tsdb", "create-blocks-from", "openmetrics", "--max-block-duration=744h"])
        .arg(folder.join("past.om"))
        .arg(&data)
        .output()
        .unwrap();
    assert!(blocks.status.success(), "{}", String::from_utf8_lossy(&blocks.stderr));
    std::fs::write(folder.join("rules.yml"), rules).unwrap();
    let config =
        format!("global:\n  evaluation_interval: 1s\n  external_labels:\n    cluster: eu\n    prometheus_replica: {replica}\nrule_files: [rules.yml]\n");
    std::fs::write(folder.join("prometheus.yml"), config).unwrap();
    let arguments = [
        format!("--config.file={}", folder.join("prometheus.yml").display()),
        format!("--storage.tsdb.path={}", data.display()),
        "--storage.tsdb.retention.time=200d".to_owned(),
        // A whole day of the vault's samples is too much for it at once.
        "--query.max-samples=150".to_owned(),
        format!("--web.listen-address=127.0.0.1:{port}"),
    ];
    let ready = format!("http://127.0.0.1:{port}/-/ready");
    (Daemon::start("prometheus", "prometheus", folder, &arguments, &ready).await, port)
}

async fn filled(midwatch: &Midwatch, sources: &[&str]) -> World {
    eventually("the past is filled in", async || {
        let world = midwatch.world().await;
        let complete = |name: &&str| world.sources.get(&(*name).into()).and_then(|source| source.filled.as_ref()).is_some_and(|filled| filled.complete);
        if sources.iter().all(complete) { Ok(world) } else { Err(format!("{:?}", world.sources)) }
    })
    .await
}

fn history(world: &World, check: &str) -> History {
    let alert = world.alerts.values().find(|alert| alert.check.as_str() == check).unwrap_or_else(|| panic!("no {check}: {:?}", world.alerts.keys()));
    History::of(alert, world, &TimeZone::UTC, world.recorded)
}

fn source(name: &str, port: u16) -> String {
    format!("[[source]]\nkind = \"prometheus\"\nname = \"{name}\"\nurl = \"http://127.0.0.1:{port}\"\ninterval = \"1s\"\n")
}

#[tokio::test]
async fn verdicts_are_right_from_the_first_minute() {
    let folder = tempfile::tempdir().unwrap();
    let now = jiff::Timestamp::now().as_second();
    let past = past(now);
    let (_a, port_a) = prometheus(&folder.path().join("a"), "a", &past).await;
    let (_b, port_b) = prometheus(&folder.path().join("b"), "b", &past).await;
    let (one, both) = (source("prom-a", port_a), format!("{}{}", source("prom-a", port_a), source("prom-b", port_b)));
    let data = folder.path().join("midwatch");
    let midwatch = Midwatch::at(&data, &one).await;
    eventually("three alerts are open", async || match midwatch.open().await.len() {
        3 => Ok(()),
        other => Err(format!("{other}")),
    })
    .await;
    let world = filled(&midwatch, &["prom-a"]).await;

    let weekly = history(&world, "Weekly");
    assert_eq!((weekly.verdict, weekly.before, weekly.known.days()), (Verdict::Recurring, 8, 62));
    let weekday = Time::from_secs(now).zoned(&TimeZone::UTC).weekday().to_monday_zero_offset();
    assert_eq!(weekly.habit.days, Some(Days::One(u8::try_from(weekday).unwrap())));
    // An episode ends one interval after its last sample; the interval was a minute then.
    assert_eq!(weekly.lengths.median.secs(), 660);
    let chronic = history(&world, "Chronic");
    assert_eq!((chronic.verdict, chronic.before, chronic.usual), (Verdict::Chronic, 60, true));
    assert_eq!(chronic.lengths.median.secs(), 17 * 3_600 + 300, "over slices' edges it is one");
    let first = history(&world, "First");
    assert_eq!((first.verdict, first.words(world.recorded).as_str()), (Verdict::New, "new: first in 62 known days"));
    assert_eq!(history(&world, "Gone").before, 5, "its rule is gone, its past is not");
    assert!(!world.alerts.values().any(|alert| alert.check.as_str() == "Never"));

    // The other one of the pair, after a restart: it holds the same alerts and doubles nothing.
    let episodes = |world: &World| {
        let mut all: Vec<(String, u32, usize)> = world.alerts.values().map(|alert| (alert.check.to_string(), alert.episodes, alert.past.len())).collect();
        all.sort();
        all
    };
    let before = episodes(&world);
    midwatch.running.stop().await;
    let midwatch = Midwatch::at(&data, &both).await;
    let world = filled(&midwatch, &["prom-a", "prom-b"]).await;
    assert_eq!(episodes(&world), before);
    assert_eq!(history(&world, "Weekly").verdict, Verdict::Recurring);
    midwatch.running.stop().await;

    let test = |more: &[&str]| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_midwatch"))
            .args(["source", "test", "--prometheus", &format!("http://127.0.0.1:{port_a}")])
            .args(more)
            .env("HOME", folder.path())
            .output()
            .unwrap();
        (String::from_utf8_lossy(&output.stdout).into_owned(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (said, error) = test(&[]);
    assert!(said.contains("It remembers back to") && said.contains("62 days"), "{said}{error}");
    let (said, error) = test(&["--json"]);
    let last: serde_json::Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    let since: Time = last["remembers_since"].as_str().unwrap_or_else(|| panic!("{said}{error}")).parse().unwrap();
    assert_eq!((last["source"].as_str(), last["alerts"].as_u64()), (Some(&*format!("127.0.0.1:{port_a}")), Some(3)));
    assert!((now - since.secs() - REMEMBERS).abs() < DAY, "{last}");
}

/// The way to somebody else, which can be shut.
async fn way_to(port: u16) -> (Arc<AtomicBool>, u16) {
    let shut = Arc::new(AtomicBool::new(false));
    let closed = shut.clone();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let here = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut from, _)) = listener.accept().await {
            let closed = closed.clone();
            tokio::spawn(async move {
                let Ok(mut to) = tokio::net::TcpStream::connect(("127.0.0.1", port)).await else { return };
                let copied = tokio::io::copy_bidirectional(&mut from, &mut to);
                let until_shut = async {
                    while !closed.load(Ordering::SeqCst) {
                        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                    }
                };
                tokio::select! { _ = copied => {}, () = until_shut => {} }
            });
        }
    });
    (shut, here)
}

#[tokio::test]
async fn what_fired_while_a_prometheus_could_not_be_reached_is_filled_in_when_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let now = jiff::Timestamp::now().as_second();
    // It fires for eight seconds, beginning some twelve from now.
    let (begin, end) = (now + 12, now + 20);
    let rules =
        format!("groups:\n- name: shop\n  interval: 1s\n  rules:\n  - {{alert: Short, expr: vector(time()) > {begin} < {end}, labels: {{service: shop}}}}\n");
    let (_prometheus, port) = prometheus_with(&rules, folder.path(), "a", &past(now)).await;
    let (shut, way) = way_to(port).await;
    let midwatch = Midwatch::at(&folder.path().join("midwatch"), &source("prom", way)).await;
    filled(&midwatch, &["prom"]).await;
    shut.store(true, Ordering::SeqCst);
    eventually("it is missed", async || match midwatch.world().await.sources[&"prom".into()].failing_since {
        Some(_) => Ok(()),
        None => Err("it answers".to_owned()),
    })
    .await;
    while jiff::Timestamp::now().as_second() < end + 4 {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert!(!midwatch.world().await.alerts.values().any(|alert| alert.check.as_str() == "Short"), "nobody has heard of it");
    shut.store(false, Ordering::SeqCst);
    let world = eventually("what was missed is filled in", async || {
        let world = midwatch.world().await;
        let found = world.alerts.values().any(|alert| alert.check.as_str() == "Short");
        let none = world.sources[&"prom".into()].filled.as_ref().is_some_and(|filled| filled.gaps.is_empty());
        if found && none { Ok(world) } else { Err(format!("{:?}", world.sources)) }
    })
    .await;
    let short = world.alerts.values().find(|alert| alert.check.as_str() == "Short").unwrap();
    assert!(!short.is_open(), "it is over, and woke nobody");
    assert_eq!((short.past.len(), short.past[0].filled), (1, true), "{:?}", short.past);
    let from = short.past[0].from.secs();
    assert!((begin - 1..=begin + 3).contains(&from), "began at {from}, not {begin}");
    midwatch.running.stop().await;
}
