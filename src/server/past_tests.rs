//! What was, was: for any history, any checkpoints and whatever was heard of late.

use std::sync::atomic::{AtomicI64, Ordering};

use proptest::prelude::*;

use super::*;
use crate::model::event::{Actor, Draft, Event, Note};
use crate::model::fold::fold;
use crate::model::id::{EventId, Incarnation, Origin};
use crate::model::tests::{play, step};
use crate::model::view::alerts::rows;
use crate::model::view::now::Now;
use crate::model::view::systems::tree;
use crate::model::view::today::{Ask, Known, tell};
use crate::model::view::{Freshness, Seen, Sky};
use crate::server::core::row;
use crate::server::prime::checkpoint;
use crate::store::MemoryLog;

const ORIGIN: Origin = Origin([1; 16]);
const LIFE: Incarnation = Incarnation(1);

struct Fixed(AtomicI64);

impl Clock for Fixed {
    fn now(&self) -> Time {
        Time::from_micros(self.0.load(Ordering::Relaxed))
    }
}

fn clock(at: Time) -> Arc<dyn Clock> {
    Arc::new(Fixed(AtomicI64::new(at.micros())))
}

/// A log with checkpoints after these many events.
async fn kept(events: &[Event], checkpoints: &[usize]) -> MemoryLog {
    let log = MemoryLog::new(ORIGIN, LIFE);
    log.append(Sequence(0), events.iter().map(|event| row(event).unwrap()).collect()).await.unwrap();
    for count in checkpoints.iter().filter(|count| **count > 0 && **count <= events.len()) {
        let world = folded(&events[..*count], |_| true);
        log.checkpoint(world.head, checkpoint(&world).unwrap()).await.unwrap();
    }
    log
}

fn folded(events: &[Event], counts: impl Fn(&Event) -> bool) -> World {
    let mut world = World::new(ORIGIN, LIFE);
    events.iter().filter(|event| counts(event)).for_each(|event| fold(&mut world, event));
    world
}

fn past(log: &MemoryLog, retention: Retention, now: Time) -> Past {
    Past::new(Arc::new(log.clone()), retention, clock(now))
}

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

/// What the panes show of a world at a time, as data.
fn shown(world: &World, at: Time) -> String {
    let sky = Sky::new(vec![Seen { name: "shop".into(), world: Arc::new(world.clone()), freshness: Freshness::Live { age: Span::ZERO } }]);
    let ask = Ask { from: at.minus(Span::from_days(1)), until: at, now: at, zone: jiff::tz::TimeZone::UTC, system: None };
    let today = tell(&sky, &[Known::default()], &ask);
    format!("{:?}\n{:?}\n{today:?}\n{:?}", rows(&sky, at), Now::of(&sky, &rows(&sky, at)), tree(&sky, |_| true))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// What was, was: for any history, what panes show of T is what was captured live at T; and events that
    /// were heard of later, but happened by then, count as if they had been heard of in time.
    #[test]
    fn what_was_was(
        steps in prop::collection::vec(step(), 1..80),
        late in prop::collection::vec((any::<prop::sample::Index>(), 1..400_i64), 0..6),
        checkpoints in prop::collection::vec(0..120_usize, 0..4),
        moments in prop::collection::vec(any::<prop::sample::Index>(), 1..6),
    ) {
        let (_, mut events) = play(1, &steps);
        prop_assume!(!events.is_empty());
        // Live, after each event.
        let mut live = World::new(ORIGIN, LIFE);
        let captured: Vec<World> = events.iter().map(|event| { fold(&mut live, event); live.clone() }).collect();
        let first = events[0].recorded;
        // In order of being heard, each at its time: nothing is late.
        let in_time = run(kept(&events, &checkpoints));
        let made = past(&in_time, Retention::default(), live.recorded);
        for moment in &moments {
            let at = moment.get(&events).recorded;
            let last = events.iter().rposition(|event| event.recorded <= at).unwrap();
            let was_late = events[last + 1..].iter().any(|event| event.at <= at);
            let then = run(made.at(at)).unwrap().world.unwrap();
            if !was_late {
                prop_assert_eq!(&*then, &captured[last]);
                prop_assert_eq!(shown(&then, at), shown(&captured[last], at));
            }
        }
        // Some were heard of late.
        for (which, secs) in &late {
            let place = which.index(events.len());
            events[place].at = events[place].at.minus(Span::from_secs(*secs));
        }
        let log = run(kept(&events, &checkpoints));
        let made = past(&log, Retention::default(), live.recorded);
        for moment in &moments {
            let at = moment.get(&events).at.max(first);
            let then = run(made.at(at)).unwrap();
            prop_assert_eq!(then.known_from, Some(first));
            let expected = folded(&events, |event| event.recorded <= at || event.at <= at);
            prop_assert_eq!(&*then.world.unwrap(), &expected);
        }
    }
}

fn note(sequence: u64, at: i64, recorded: i64) -> Event {
    let id = EventId { origin: ORIGIN, incarnation: LIFE, sequence: Sequence(sequence) };
    let draft = Draft::new(Time::from_secs(at), Actor::User("kim".into()), Note { alert: None, episode: None }, format!("note {sequence}"));
    draft.on("shop".parse().unwrap()).stamp(id, Time::from_secs(recorded))
}

#[test]
fn before_the_horizon_it_is_refused_with_the_time_from_which_on_it_is_known() {
    let events: Vec<Event> = (1..=100).map(|n| note(n, i64::try_from(n).unwrap() * 10, i64::try_from(n).unwrap() * 10)).collect();
    run(async {
        let log = kept(&events, &[30, 60, 90]).await;
        let keep = Retention { keep: Some(Span::from_secs(500)), kinds: Vec::new() };
        assert_eq!(past(&log, Retention::default(), Time::from_secs(1_000)).at(Time::from_secs(9)).await.unwrap().known_from, Some(Time::from_secs(10)));
        log.prune(keep.clone(), Time::from_secs(1_000)).await.unwrap();
        let past = past(&log, keep, Time::from_secs(1_000));
        let then = past.at(Time::from_secs(599)).await.unwrap();
        assert_eq!((then.known_from, then.world), (Some(Time::from_secs(600)), None), "the first checkpoint that nothing is missing after");
        let then = past.at(Time::from_secs(605)).await.unwrap();
        assert_eq!(*then.world.unwrap(), folded(&events, |event| event.at <= Time::from_secs(605)), "what was before the horizon is in the checkpoint");
    });
}

#[test]
fn a_kind_that_is_kept_for_less_bounds_what_is_known() {
    let keep =
        Retention { keep: Some(Span::from_days(90)), kinds: vec![("log".into(), Some(Span::from_hours(1))), ("alert.*".into(), Some(Span::from_days(30)))] };
    assert_eq!(shortest(&keep), Some(Span::from_days(30)), "log lines make no world");
    assert_eq!(shortest(&Retention::default()), None);
}

#[test]
fn an_empty_log_knows_nothing() {
    let then = run(past(&MemoryLog::new(ORIGIN, LIFE), Retention::default(), Time::from_secs(5)).at(Time::from_secs(5))).unwrap();
    assert!(then.known_from.is_none() && then.world.is_none());
}

/// Stepping back hour by hour begins at worlds that were made on the way, not at the log's start.
#[test]
fn worlds_that_were_made_lately_are_used_again() {
    let events: Vec<Event> = (1..=50_000).map(|n| note(n, i64::try_from(n).unwrap(), i64::try_from(n).unwrap())).collect();
    run(async {
        let log = kept(&events, &[]).await;
        let past = past(&log, Retention::default(), Time::from_secs(60_000));
        past.at(Time::from_secs(45_000)).await.unwrap();
        let heads: Vec<u64> = past.recent.lock().unwrap().iter().map(|world| world.head.0).collect();
        assert_eq!(heads, [20_000, 40_000, 45_000]);
        let then = past.at(Time::from_secs(41_000)).await.unwrap().world.unwrap();
        assert_eq!(then.head, Sequence(41_000));
        assert_eq!(then.deeds.back().unwrap().title.as_ref(), "note 41000");
    });
}

/// An episode that a source told of afterwards was open while it lasted.
#[test]
fn what_was_filled_in_later_was_open_then() {
    use crate::model::event::ServerStarted;
    use crate::model::primary::{Primary, Rules};
    use crate::model::report::{Memory, Reported, ReportedState};
    use crate::model::severity::Severity;
    use crate::model::world::Filled;
    let at = |minutes: i64| Time::from_secs(1_795_230_000).plus(Span::from_mins(minutes));
    let mut primary = Primary::new(World::new(ORIGIN, LIFE), Rules::default(), at(0));
    let started = Draft::new(at(0), Actor::Server, ServerStarted { version: "0.1.0".into(), name: "shop".into() }, "shop started");
    let mut events = primary.record(vec![started], at(0));
    let episode = |from: i64, until: i64| Reported {
        system: "shop".parse().unwrap(),
        check: "Slow".into(),
        severity: Severity::Warning,
        title: "slow".into(),
        text: "".into(),
        labels: Default::default(),
        links: Vec::new(),
        expr: None,
        value: None,
        starts: at(from),
        state: ReportedState::Resolved { at: at(until) },
    };
    let filled = Filled { from: at(-60), until: at(0), complete: true, running: Vec::new(), gaps: Vec::new() };
    let memory = Memory { source: "prom".into(), episodes: vec![episode(60, 90), episode(20, 30)], filled };
    events.extend(primary.remember(&memory, at(120)));
    let told = events.iter().find(|event| event.at == at(60)).unwrap().id;
    let log = run(kept(&events, &[]));
    let past = past(&log, Retention::default(), at(121));
    let then = |minutes: i64| run(past.at(at(minutes))).unwrap().world.unwrap();
    for (minutes, open, over) in [(10, false, 0), (25, true, 0), (45, false, 1), (60, true, 1), (89, true, 1), (90, false, 2), (121, false, 2)] {
        let world = then(minutes);
        let alert = world.alerts.values().next();
        assert_eq!(alert.is_some_and(|alert| alert.is_open()), open, "after {minutes} min");
        assert_eq!((world.open.len(), alert.map_or(0, |alert| alert.past.len())), (usize::from(open), over), "after {minutes} min");
    }
    let world = then(75);
    let row = &rows(&Sky::new(vec![Seen { name: "shop".into(), world: world.clone(), freshness: Freshness::Live { age: Span::ZERO } }]), at(75))[0];
    assert_eq!((row.since, row.episode, &*row.title), (at(60), told, "slow"), "what a person sees of then");
}
