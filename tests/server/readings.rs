//! Why alerts fire: the latest numbers behind them, told to those who asked, and never kept in the log.

use std::sync::Arc;

use midwatch::client::Address;
use midwatch::link::{Clock, SystemClock};
use midwatch::model::observation::{AgentHello, Metric, Observation};
use midwatch::model::report::{Report, Reported, ReportedState};
use midwatch::model::severity::{Severity, Status};
use midwatch::model::time::{Span, Time};
use midwatch::server::{Input, Running};

use crate::scene::{self, CONSOLE, Console, hear, hear_of, plain, port, say, serve, world};

fn disk(used: f64, at: Time) -> Observation {
    Observation {
        agent: "web-1".into(),
        check: "disk".into(),
        system: "shop/web-1".parse().unwrap(),
        at,
        status: if used > 90.0 { Status::Critical } else { Status::Ok },
        text: "/var is full".into(),
        details: "".into(),
        metrics: vec![Metric { name: "/var".into(), value: used, unit: "%".into(), warning: "80".into(), critical: "90".into() }],
        every: Span::from_secs(10),
        attempts: 1,
        runbook: None,
    }
}

fn errors(values: &[(&str, f64)], at: Time) -> Report {
    let one = |(system, value): &(&str, f64)| Reported {
        system: system.parse().unwrap(),
        check: "Errors".into(),
        severity: Severity::Critical,
        title: "many errors".into(),
        text: "".into(),
        labels: Default::default(),
        links: Vec::new(),
        expr: Some("rate(errors[5m]) / rate(requests[5m]) > 0.05".into()),
        value: Some(*value),
        starts: at,
        state: ReportedState::Firing { until: Some(at.plus(Span::from_days(1))) },
    };
    Report { source: "prom".into(), at, alerts: values.iter().map(one).collect(), complete: false }
}

/// What the console knows of the numbers, by check and system.
fn known(console: &Console) -> Vec<(String, f64)> {
    let Some(world) = &console.replica.world else { return Vec::new() };
    let numbers = world.open_alerts().filter_map(|(id, alert)| {
        let (reading, _) = console.replica.readings.of(id)?;
        Some((format!("{} on {}", alert.check, alert.system), reading.metrics[0].value))
    });
    let mut out: Vec<_> = numbers.collect();
    out.sort_by(|a, b| a.0.cmp(&b.0));
    out
}

async fn observe(server: &Running, used: f64, at: Time) {
    server.core.write(Input::Observe(vec![disk(used, at)])).await.unwrap();
}

#[tokio::test]
async fn the_latest_numbers_come_and_go_with_their_alerts_and_are_no_events() {
    let server = serve(Arc::new(scene::memory()), |_| {}).await;
    let now = SystemClock.now();
    let hello = AgentHello {
        agent: "web-1".into(),
        system: "shop/web-1".parse().unwrap(),
        version: "0.1.0".into(),
        keepalive: Span::from_secs(60),
        checks: vec!["disk".into()],
        facts: Default::default(),
    };
    server.core.write(Input::Hello(hello)).await.unwrap();
    observe(&server, 97.5, now).await;
    server.core.write(Input::Report(errors(&[("shop", 0.087), ("blog", 0.5)], now))).await.unwrap();
    let mut console = Console::to(Address::Tcp(port(&server)), None);
    console.until("the snapshot came", |console| console.replica.world.is_some()).await;
    let expected = [("Errors on blog", 0.5), ("Errors on shop", 0.087), ("disk on shop/web-1", 97.5)].map(|(of, value)| (of.to_owned(), value));
    assert_eq!(known(&console), expected, "they come before the snapshot: whoever asks once and goes has them too");
    // Other numbers are no events: the log does not grow.
    let head = world(&server).await.head;
    observe(&server, 98.5, now.plus(Span::from_secs(1))).await;
    server.core.write(Input::Report(errors(&[("shop", 0.09)], now.plus(Span::from_secs(1))))).await.unwrap();
    let expected = [("Errors on shop", 0.09), ("disk on shop/web-1", 98.5)].map(|(of, value)| (of.to_owned(), value));
    console.until("the new ones came, and the one that is told no more went", |console| known(console) == expected).await;
    let after = world(&server).await;
    assert_eq!(after.head, head, "{:?}", after.deeds);
    // What is over has none.
    observe(&server, 50.0, now.plus(Span::from_secs(2))).await;
    console.until("the disk's is gone", |console| known(console).len() == 1).await;
}

#[tokio::test]
async fn what_is_the_same_is_not_told_again_and_its_age_is() {
    let server = serve(Arc::new(scene::memory()), |_| {}).await;
    let now = SystemClock.now().minus(Span::from_mins(3));
    let report = |minutes: i64| Input::Report(errors(&[("shop", 0.087)], now.plus(Span::from_mins(minutes))));
    server.core.write(report(0)).await.unwrap();
    let mut socket = plain(&port(&server), &[("authorization", &format!("Bearer {CONSOLE}"))]).await.unwrap();
    say(&mut socket, r#"{"hello":{"protocol":1,"role":"console","name":"kim"}}"#).await;
    hear_of(&mut socket, "welcome").await;
    say(&mut socket, r#"{"subscribe":{"readings":true}}"#).await;
    let first = hear_of(&mut socket, "readings").await;
    assert_eq!(first["readings"].as_array().map(Vec::len), Some(1), "{first}");
    server.core.write(report(1)).await.unwrap();
    // What comes next may overlap with the first answer; from then on only what is new is told.
    hear_of(&mut socket, "readings").await;
    server.core.write(report(2)).await.unwrap();
    let second = hear_of(&mut socket, "readings").await;
    assert!(second.get("readings").is_none() && second["told"]["prom"] != first["told"]["prom"], "{second}");
}

#[tokio::test]
async fn those_who_did_not_ask_for_numbers_get_none() {
    let server = serve(Arc::new(scene::memory()), |_| {}).await;
    server.core.write(Input::Report(errors(&[("shop", 0.087)], SystemClock.now()))).await.unwrap();
    for (ask, told) in [("{\"subscribe\":{}}", false), ("{\"subscribe\":{\"readings\":true}}", true)] {
        let mut socket = plain(&port(&server), &[("authorization", &format!("Bearer {CONSOLE}"))]).await.unwrap();
        say(&mut socket, r#"{"hello":{"protocol":1,"role":"console","name":"kim"}}"#).await;
        hear_of(&mut socket, "welcome").await;
        say(&mut socket, ask).await;
        let first = hear(&mut socket).await;
        assert_eq!((first.get("readings").is_some(), first.get("snapshot").is_some()), (told, !told), "{first}");
    }
}
