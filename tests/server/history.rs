//! What is said of an alert's past holds without the events that it was made of.

use std::sync::Arc;

use jiff::tz::TimeZone;
use midwatch::client::Address;
use midwatch::model::history::{History, Verdict};
use midwatch::model::report::{Memory, Reported, ReportedState};
use midwatch::model::severity::Severity;
use midwatch::model::time::{Span, Time};
use midwatch::model::world::{Filled, World};
use midwatch::server::Input;
use midwatch::store::{Log, Retention};

use crate::scene::{self, Console, port, serve};

fn history(world: &World, now: Time) -> History {
    History::of(world.alerts.values().next().unwrap(), world, &TimeZone::UTC, now)
}

/// More episodes than are kept, twice a day.
fn memory(now: Time) -> Memory {
    let ago = |hours: i64| now.minus(Span::from_hours(hours));
    let episode = |n: i64| Reported {
        system: "shop/varnish".parse().unwrap(),
        check: "Slow".into(),
        severity: Severity::Warning,
        title: "slow".into(),
        text: "".into(),
        labels: Default::default(),
        links: Vec::new(),
        expr: None,
        value: None,
        starts: ago(n * 12),
        state: ReportedState::Resolved { at: ago(n * 12).plus(Span::from_mins(10)) },
    };
    let filled = Filled { from: ago(70 * 24), until: now, complete: true, running: Vec::new(), gaps: Vec::new() };
    Memory { source: "prom".into(), episodes: (1..=130).map(episode).collect(), filled }
}

#[tokio::test]
async fn a_pruned_log_and_a_fresh_console_say_the_same_of_the_past() {
    let log = scene::memory();
    let server = serve(Arc::new(log.clone()), |_| {}).await;
    let now = server.core.now();
    server.core.write(Input::Remember(memory(now))).await.unwrap();
    let told = history(&*scene::world(&server).await, now);
    assert_eq!((told.verdict, told.before, told.lengths.count, told.known.days()), (Verdict::Chronic, 130, 100, 70));
    // Told again, nothing is new.
    let known = scene::world(&server).await;
    server.core.write(Input::Remember(memory(now))).await.unwrap();
    assert_eq!(scene::world(&server).await.head, known.head);
    server.stop().await;

    let gone = log.prune(Retention { keep: Some(Span::ZERO), kinds: Vec::new() }, now.plus(Span::from_days(1))).await.unwrap();
    assert!(gone > 130, "only {gone} events went");
    let server = serve(Arc::new(log), |_| {}).await;
    assert_eq!(history(&*scene::world(&server).await, now), told);
    let mut console = Console::to(Address::Tcp(port(&server)), None);
    console.until("the snapshot came", |console| console.replica.world.is_some()).await;
    assert_eq!(history(console.replica.world.as_deref().unwrap(), now), told);
    server.stop().await;
}
