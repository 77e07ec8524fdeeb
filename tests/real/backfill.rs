//! A real Prometheus whose past was written beforehand: verdicts are right from the first minute.

use std::fmt::Write;
use std::path::Path;

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

/// Weekly on this weekday for 10 minutes; a vault that is sealed for 20 hours of each day; something that
/// flapped five times in an hour a month ago and has no rule any more. `up` says since when it remembers.
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
    series(r#"alertname="Chronic",service="vault",severity="warning""#, &mut (1..=60).rev().map(|n| (now - n * DAY, now - n * DAY + 20 * 3_600)), 300);
    series(r#"alertname="Gone",service="shop",severity="critical""#, &mut (0..5).map(|n| (now - 30 * DAY + n * 720, now - 30 * DAY + n * 720 + 120)), 60);
    // What is only pending is no episode.
    let pending =
        out.lines().filter(|line| line.contains("Weekly")).map(|line| line.replace("firing", "pending").replace("Weekly", "Never")).collect::<Vec<_>>();
    out.push_str(&pending.join("\n"));
    write!(out, "\n# TYPE up gauge\nup{{job=\"shop\"}} 1 {}\n# EOF\n", now - REMEMBERS).unwrap();
    out
}

async fn prometheus(folder: &Path, replica: &str, past: &str) -> (Daemon, u16) {
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
    std::fs::write(folder.join("rules.yml"), RULES).unwrap();
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
    assert_eq!(chronic.lengths.median.secs(), 20 * 3_600 + 300, "over slices' edges it is one");
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

    let output = std::process::Command::new(env!("CARGO_BIN_EXE_midwatch"))
        .args(["source", "test", "--prometheus", &format!("http://127.0.0.1:{port_a}")])
        .env("HOME", folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("It remembers back to") && said.contains("62 days"), "{said}{}", String::from_utf8_lossy(&output.stderr));
}
