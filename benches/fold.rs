//! The core: events folded a second, decisions a second, and what Now asks of ten thousand open alerts.
//! `cargo bench --bench fold`.
//!
//! The log is that of a primary to which 2 000 checks of 100 agents report and are bad in every other round.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark prints, and one that cannot go on must stop")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use midwatch::model::event::Event;
use midwatch::model::fold::fold;
use midwatch::model::id::{Incarnation, Origin};
use midwatch::model::observation::{AgentHello, Observation};
use midwatch::model::primary::{Primary, Rules};
use midwatch::model::severity::Status;
use midwatch::model::time::{Span, Time};
use midwatch::model::view::alerts::rows;
use midwatch::model::view::now::Now;
use midwatch::model::view::{Freshness, Seen, Sky};
use midwatch::model::world::World;

const START: Time = Time::from_secs(1_795_000_000);
const ROUNDS: usize = 9;

fn main() {
    let (log, observations, decided) = story(100, 20, 60);
    println!("log: {} events of {observations} observations", log.len());
    println!("decide and fold   {:>12.0} observations/s", rate(observations, decided));

    let mut best = f64::MAX;
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        let mut world = World::new(Origin([1; 16]), Incarnation(1));
        log.iter().for_each(|event| fold(&mut world, event));
        best = best.min(begun.elapsed().as_secs_f64());
        black_box(&world);
    }
    println!("fold              {:>12.0} events/s", rate(log.len(), best));

    let (log, _, _) = story(500, 20, 1);
    let mut world = World::new(Origin([1; 16]), Incarnation(1));
    log.iter().for_each(|event| fold(&mut world, event));
    assert_eq!(world.open.len(), 10_000, "every check of the last round is bad");
    let seen = Seen { name: "one".into(), world: Arc::new(world), freshness: Freshness::Live { age: Span::ZERO } };
    let sky = Sky::new(vec![seen]);
    let now = START.plus(Span::from_hours(2));
    let listed = least(|| rows(&sky, now).len());
    println!("rows              {:>12.1} ms for 10 000 open alerts", listed * 1e3);
    let all = rows(&sky, now);
    let shown = least(|| Now::of(&sky, &all).entries.len());
    println!("now               {:>12.1} ms for 10 000 open alerts", shown * 1e3);
    causes();
}

/// Three servers with as many open alerts in all: a third on a storage and its disks, the others on systems
/// that use it, directly or through one that does, all within a few minutes.
fn storm(alerts: u32) -> Sky {
    use midwatch::model::decide::fingerprint;
    use midwatch::model::event::{Actor, AlertOpened, Condition, Draft, SystemDeclared};
    use midwatch::model::id::{EventId, Sequence};
    use midwatch::model::labels::Labels;
    use midwatch::model::severity::Severity;
    use midwatch::model::system::SystemSpec;
    let each = alerts / 3;
    let seen = (0_u8..3).zip(["infra", "shop", "club"]).map(|(number, name)| {
        let mut world = World::new(Origin([number; 16]), Incarnation(1));
        world.name = name.into();
        let mut tell = |draft: Draft| {
            let id = EventId { origin: world.origin, incarnation: world.incarnation, sequence: Sequence(world.head.0 + 1) };
            fold(&mut world, &draft.stamp(id, START));
        };
        let system = |n: u32| match (number, n % 5) {
            (0, _) => format!("dc1/ceph/osd-{}", n % 500),
            (_, 0) => format!("{name}/db-{}", n % 200),
            (_, _) => format!("{name}/app-{}", n % 1_000),
        };
        for n in 0..each {
            let id: midwatch::model::id::SystemId = system(n).parse().unwrap();
            let uses: &[String] = match (number, n % 5) {
                (0, _) => &[],
                (_, 0) => &["infra:dc1/ceph".to_owned()],
                (_, _) => &[format!("{name}/db-{}", n % 200 / 5 * 5)],
            };
            let spec = SystemSpec { uses: uses.iter().map(|used| used.parse().unwrap()).collect(), ..SystemSpec::bare(id.clone()) };
            if n < 1_000 {
                tell(Draft::new(START, Actor::Server, SystemDeclared { spec }, "").on(id));
            }
        }
        let ceph: midwatch::model::id::SystemId = "dc1/ceph".parse().unwrap();
        tell(Draft::new(START, Actor::Server, SystemDeclared { spec: SystemSpec::bare(ceph.clone()) }, "").on(ceph));
        for n in 0..each {
            let id = system(n).parse().unwrap();
            let check = format!("check-{n}").as_str().into();
            let alert = fingerprint(&id, &check, &Labels::default(), &Rules::default());
            let kind = AlertOpened { alert, check, by: Actor::Source("prometheus".into()), condition: Condition::Problem, expr: None };
            let at = START.plus(Span::from_secs(i64::from(number) * 60 + i64::from(n % 300)));
            tell(Draft::new(at, Actor::Source("prometheus".into()), kind, "bad").on(id).severity(Severity::Critical));
        }
        Seen { name: name.into(), world: Arc::new(world), freshness: Freshness::Live { age: Span::ZERO } }
    });
    Sky::new(seen.collect())
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

fn causes() {
    for alerts in [2_500, 5_000, 10_000, 20_000] {
        let sky = storm(alerts);
        let now = START.plus(Span::from_hours(1));
        let all = rows(&sky, now);
        let folded = all.iter().filter(|row| row.cause.is_some()).count();
        let made = least(|| rows(&sky, now).len());
        let graph = least(|| midwatch::model::view::graph::Graph::of(&sky).len());
        let entries = least(|| Now::of(&sky, &all).entries.len());
        println!(
            "causes            {:>12.1} ms for {} open alerts over 3 servers, {folded} folded (with their rows; graph {:.1} ms; entries {:.1} ms)",
            made * 1e3,
            all.len(),
            graph * 1e3,
            entries * 1e3
        );
    }
}

fn rate(count: usize, seconds: f64) -> f64 {
    f64::from(u32::try_from(count).unwrap()) / seconds
}

/// What a primary makes of so many rounds of observations, of which in every other round all are bad,
/// the last round among them; how many observations that were, and how long it took.
fn story(agents: usize, checks: usize, rounds: usize) -> (Vec<Event>, usize, f64) {
    let mut primary = Primary::new(World::new(Origin([1; 16]), Incarnation(1)), Rules { flap_high: 101, ..Rules::default() }, START);
    let mut log = Vec::new();
    for agent in 0..agents {
        let hello = AgentHello {
            agent: format!("agent-{agent}").as_str().into(),
            system: format!("site/host-{agent}").parse().unwrap(),
            version: "1".into(),
            keepalive: Span::from_secs(10),
            checks: (0..checks).map(|check| format!("check-{check}").as_str().into()).collect(),
            facts: Default::default(),
        };
        log.extend(primary.hello(&hello, START));
    }
    let mut observations = Vec::new();
    for round in 0..rounds {
        let bad = (rounds - round) % 2 == 1;
        let at = START.plus(Span::from_mins(1 + i64::try_from(round).unwrap()));
        for agent in 0..agents {
            for check in 0..checks {
                observations.push(Observation {
                    agent: format!("agent-{agent}").as_str().into(),
                    check: format!("check-{check}").as_str().into(),
                    system: format!("site/host-{agent}").parse().unwrap(),
                    at,
                    status: if bad { Status::Warning } else { Status::Ok },
                    text: format!("{} of 100 in use", round + check).into(),
                    details: "".into(),
                    metrics: Vec::new(),
                    every: Span::from_mins(1),
                    attempts: 1,
                    runbook: None,
                });
            }
        }
    }
    let begun = Instant::now();
    for observation in &observations {
        log.extend(primary.observe(observation, observation.at));
    }
    (log, observations.len(), begun.elapsed().as_secs_f64())
}
