//! History: verdicts over 100,000 episodes, and how fast a past is filled in. `cargo bench --bench history`.
//!
//! 2,000 alerts with 50 closed episodes each, over 90 days, half of them open now.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark prints, and one that cannot go on must stop")]

use std::hint::black_box;
use std::time::Instant;

use jiff::tz::TimeZone;
use midwatch::model::event::{Actor, AlertOpened, AlertPast, Condition, Draft, Event};
use midwatch::model::fold::fold;
use midwatch::model::history::{Elsewhere, History, strip};
use midwatch::model::id::{EventId, Fingerprint, Incarnation, Origin, Sequence};
use midwatch::model::severity::Severity;
use midwatch::model::time::{Span, Time};
use midwatch::model::world::World;

const NOW: Time = Time::from_secs(1_795_229_820);
const ALERTS: u64 = 2_000;
const EPISODES: i64 = 50;
const ROUNDS: usize = 9;

fn main() {
    let log = log();
    let build = || {
        let mut world = World::new(Origin([1; 16]), Incarnation(1));
        log.iter().for_each(|event| fold(&mut world, event));
        world
    };
    let folded = least(build);
    let world = build();
    assert_eq!(u64::from(world.kept), ALERTS * u64::try_from(EPISODES).unwrap());
    println!("fold              {:>12.0} episodes/s filled in", f64::from(world.kept) / folded);
    for (name, zone) in [("UTC", TimeZone::UTC), ("Europe/Berlin", TimeZone::get("Europe/Berlin").unwrap())] {
        let judged = least(|| world.alerts.values().filter(|alert| History::of(alert, &world, &zone, NOW).usual).count());
        println!("verdicts          {:>12.1} ms over {} episodes of {ALERTS} alerts, in {name}", judged * 1e3, world.kept);
    }
    let strips = least(|| world.alerts.values().map(|alert| strip(alert, NOW, 30).len()).sum::<usize>());
    println!("strips            {:>12.1} ms for {ALERTS} alerts", strips * 1e3);
    let one = world.alerts.values().next().unwrap();
    let words = least(|| History::of(one, &world, &TimeZone::UTC, NOW).sentences(&TimeZone::UTC, NOW));
    println!("sentences         {:>12.1} µs for one alert", words * 1e6);
    let elsewhere = least(|| Elsewhere::of(world.alerts.values().map(|alert| &**alert), NOW).words());
    println!("elsewhere         {:>12.1} ms over {} episodes", elsewhere * 1e3, world.kept);
    println!("snapshot          {:>12.1} MB as MessagePack", f64::from(u32::try_from(rmp_serde::to_vec_named(&world).unwrap().len()).unwrap()) / 1e6);
}

fn log() -> Vec<Event> {
    let mut out = Vec::new();
    let source = || Actor::Source("prom".into());
    let mut tell = |draft: Draft| {
        let sequence = Sequence(u64::try_from(out.len()).unwrap() + 1);
        out.push(draft.severity(Severity::Warning).stamp(EventId { origin: Origin([1; 16]), incarnation: Incarnation(1), sequence }, NOW));
    };
    for number in 0..ALERTS {
        let mut fingerprint = [0; 16];
        fingerprint[..8].copy_from_slice(&number.to_be_bytes());
        let (alert, system) = (Fingerprint(fingerprint), format!("shop/s{}", number % 100).parse::<midwatch::model::id::SystemId>().unwrap());
        for episode in 1..=EPISODES {
            let from = NOW.minus(Span::from_hours(episode * 43)).minus(Span::from_secs(i64::try_from(number).unwrap()));
            let kind = AlertPast { alert, check: "slow".into(), until: from.plus(Span::from_mins(3 + episode % 7)) };
            tell(Draft::new(from, source(), kind, "slow").on(system.clone()));
        }
        if number % 2 == 0 {
            let kind = AlertOpened { alert, check: "slow".into(), by: source(), condition: Condition::Problem, expr: None };
            tell(Draft::new(NOW.minus(Span::from_mins(4)), source(), kind, "slow").on(system));
        }
    }
    out
}

fn least<T>(mut work: impl FnMut() -> T) -> f64 {
    (0..ROUNDS)
        .map(|_| {
            let begun = Instant::now();
            black_box(work());
            begun.elapsed().as_secs_f64()
        })
        .fold(f64::MAX, f64::min)
}
