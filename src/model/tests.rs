//! The core's promises: one story each, and properties over arbitrary ones.

use std::sync::Arc;

use proptest::prelude::*;

use super::decide::Rules;
use super::decide::observe::alert_of;
use super::event::{ClearReason, Event, Kind};
use super::fold::fold;
use super::id::{EventId, Fingerprint, Incarnation, Origin, RequestId, Sequence};
use super::intent::{Intent, RefusalCode, Request};
use super::labels::Labels;
use super::observation::{AgentHello, Observation};
use super::primary::Primary;
use super::report::{Report, Reported, ReportedState};
use super::severity::{Severity, Status};
use super::time::{Span, Time};
use super::world::World;

const T0: Time = Time::from_secs(1_795_000_000);

fn at(secs: i64) -> Time {
    T0.plus(Span::from_secs(secs))
}

fn primary() -> Primary {
    let world = World::new(Origin([1; 16]), Incarnation(1));
    let mut primary = Primary::new(world, Rules::default(), T0);
    primary.hello(&hello(&["disk", "load"]), T0);
    primary
}

fn hello(checks: &[&str]) -> AgentHello {
    AgentHello {
        agent: "web-1".into(),
        system: "shop/web-1".parse().unwrap(),
        version: "0.1.0".into(),
        keepalive: Span::from_secs(20),
        checks: checks.iter().map(|c| (*c).into()).collect(),
        facts: Default::default(),
    }
}

fn result(secs: i64, status: Status) -> Observation {
    Observation {
        agent: "web-1".into(),
        check: "disk".into(),
        system: "shop/web-1".parse().unwrap(),
        at: at(secs),
        status,
        text: format!("disk is {status}").into(),
        details: "".into(),
        metrics: Vec::new(),
        every: Span::from_secs(10),
        attempts: 3,
        runbook: None,
    }
}

fn disk() -> Fingerprint {
    alert_of(&"shop/web-1".parse().unwrap(), &"web-1".into(), &"disk".into(), &Rules::default()).0
}

fn see(primary: &mut Primary, secs: i64, status: Status) -> Vec<Event> {
    primary.observe(&result(secs, status), at(secs))
}

fn ask(primary: &mut Primary, id: u8, secs: i64, intent: Intent) -> Result<Vec<Event>, RefusalCode> {
    let request = Request { id: RequestId([id; 16]), by: "kim".into(), made: at(secs), intent, signed: None };
    primary.request(&request, at(secs)).map_err(|refusal| refusal.code)
}

fn episode(primary: &Primary) -> EventId {
    primary.world.alert(disk()).unwrap().now.unwrap().episode
}

fn fired(source: &str, secs: i64, state: ReportedState) -> Report {
    let labels = Labels::new([("alertname", "Hot"), ("prometheus", source)]);
    let reported = Reported {
        system: "shop/varnish".parse().unwrap(),
        check: "Hot".into(),
        severity: Severity::Warning,
        title: "too hot".into(),
        text: "".into(),
        labels,
        links: Vec::new(),
        expr: None,
        value: None,
        starts: at(0),
        state,
    };
    Report { source: source.into(), at: at(secs), alerts: vec![reported], complete: false }
}

fn only_open(primary: &Primary) -> &super::world::Alert {
    let open: Vec<_> = primary.world.open_alerts().collect();
    assert_eq!(open.len(), 1, "{open:?}");
    open[0].1
}

#[test]
fn a_bad_state_counts_after_its_attempts_and_clears_at_the_first_good_one() {
    let mut p = primary();
    see(&mut p, 0, Status::Ok);
    see(&mut p, 10, Status::Critical);
    see(&mut p, 20, Status::Critical);
    assert!(p.world.open.is_empty(), "soft states open nothing");
    see(&mut p, 30, Status::Critical);
    assert_eq!(only_open(&p).severity, Severity::Critical);
    see(&mut p, 40, Status::Warning);
    assert_eq!(only_open(&p).severity, Severity::Warning, "a hard state stays hard between bad ones");
    see(&mut p, 50, Status::Ok);
    assert!(p.world.open.is_empty());
    assert_eq!(p.world.alert(disk()).unwrap().past[0].reason, ClearReason::Recovered);
}

#[test]
fn the_same_result_twice_and_an_older_one_change_nothing() {
    let mut p = primary();
    for secs in [0, 10, 20] {
        see(&mut p, secs, Status::Critical);
    }
    let head = p.world.head;
    assert!(see(&mut p, 20, Status::Critical).is_empty());
    assert!(see(&mut p, 5, Status::Ok).is_empty());
    assert_eq!(p.world.head, head);
}

#[test]
fn a_silent_check_is_stale_and_a_silent_agent_is_one_alert_not_many() {
    let mut p = primary();
    see(&mut p, 0, Status::Ok);
    p.keepalive(&"web-1".into(), at(40));
    p.tick(at(40));
    let stale = only_open(&p);
    assert_eq!((stale.check.as_str(), stale.severity), ("disk", Severity::Unknown));
    see(&mut p, 41, Status::Ok);
    assert!(p.world.open.is_empty(), "heard again");
    p.tick(at(200));
    assert_eq!(only_open(&p).check.as_str(), "agent");
    p.keepalive(&"web-1".into(), at(201));
    assert!(p.world.open.is_empty());
}

#[test]
fn after_a_restart_nothing_is_stale_before_the_grace_is_over() {
    let mut p = primary();
    see(&mut p, 0, Status::Ok);
    let mut p = Primary::new(p.world, Rules::default(), at(10_000));
    assert!(p.tick(at(10_050)).is_empty());
    assert!(!p.tick(at(10_200)).is_empty());
}

#[test]
fn an_acknowledgement_outlives_flapping_but_not_a_lasting_recovery() {
    let mut p = primary();
    for secs in [0, 10, 20] {
        see(&mut p, secs, Status::Critical);
    }
    let first = episode(&p);
    ask(&mut p, 1, 25, Intent::Acknowledge { alert: disk(), episode: first, note: "".into() }).unwrap();
    see(&mut p, 30, Status::Ok);
    for secs in [40, 50, 60] {
        see(&mut p, secs, Status::Critical);
    }
    assert!(only_open(&p).ack().is_some(), "back within the linger: still acknowledged");
    see(&mut p, 70, Status::Ok);
    p.tick(at(70 + 14 * 60));
    assert!(p.world.alert(disk()).unwrap().ack().is_some());
    p.tick(at(70 + 15 * 60));
    assert!(p.world.alert(disk()).unwrap().ack().is_none());
}

#[test]
fn after_a_sleep_nothing_is_accused_of_silence_before_it_could_speak() {
    let mut p = primary();
    see(&mut p, 0, Status::Ok);
    p.tick(at(1));
    assert!(p.tick(at(40_000)).is_empty(), "the machine slept, and what it hears from was not heard");
    assert!(p.tick(at(40_050)).is_empty(), "within the grace");
    p.tick(at(40_200));
    assert_eq!(only_open(&p).check.as_str(), "agent", "awake again, silence counts");
}

#[test]
fn an_acknowledgement_does_not_outlive_days_that_a_spool_tells_at_once() {
    let mut p = primary();
    for secs in [0, 10, 20] {
        see(&mut p, secs, Status::Critical);
    }
    let first = episode(&p);
    ask(&mut p, 1, 25, Intent::Acknowledge { alert: disk(), episode: first, note: "".into() }).unwrap();
    let now = at(100_000);
    for (secs, status) in [(30, Status::Ok), (90_000, Status::Critical), (90_010, Status::Critical), (90_020, Status::Critical)] {
        p.observe(&result(secs, status), now);
    }
    assert!(only_open(&p).ack().is_none(), "it had been clear for a day before it opened again");
}

#[test]
fn a_verb_for_an_episode_that_is_over_is_refused_with_words() {
    let mut p = primary();
    for secs in [0, 10, 20] {
        see(&mut p, secs, Status::Critical);
    }
    let first = episode(&p);
    see(&mut p, 30, Status::Ok);
    let ack = Intent::Acknowledge { alert: disk(), episode: first, note: "".into() };
    assert_eq!(ask(&mut p, 1, 31, ack.clone()), Err(RefusalCode::Over));
    for secs in [40, 50, 60] {
        see(&mut p, secs, Status::Critical);
    }
    assert_eq!(ask(&mut p, 2, 61, ack), Err(RefusalCode::Over), "queued offline, it never hits a later episode");
    assert!(only_open(&p).ack().is_none());
}

#[test]
fn a_request_is_done_once() {
    let mut p = primary();
    let note = Intent::NoteSystem { system: "shop".parse().unwrap(), text: "hello".into() };
    assert_eq!(ask(&mut p, 1, 1, note.clone()).unwrap().len(), 1);
    assert_eq!(ask(&mut p, 1, 2, note).unwrap().len(), 0);
    assert_eq!(p.world.deeds.len(), 1);
}

#[test]
fn a_snooze_ends_by_itself_and_not_in_the_past() {
    let mut p = primary();
    for secs in [0, 10, 20] {
        see(&mut p, secs, Status::Critical);
    }
    let episode = episode(&p);
    let until = |secs| Intent::Snooze { alert: disk(), episode, until: at(secs), note: "".into() };
    assert_eq!(ask(&mut p, 1, 25, until(24)), Err(RefusalCode::Invalid));
    ask(&mut p, 2, 25, until(60)).unwrap();
    assert!(only_open(&p).snooze().is_some());
    see(&mut p, 60, Status::Critical);
    p.tick(at(61));
    assert!(only_open(&p).snooze().is_none());
}

#[test]
fn flapping_keeps_the_alert_open_and_its_changes_off_the_timeline() {
    let mut p = primary();
    let mut events = 0;
    for i in 0..200_i64 {
        let status = if i % 6 < 3 { Status::Critical } else { Status::Ok };
        events += see(&mut p, i * 10, status).len();
    }
    assert!(only_open(&p).flapping);
    assert!(events < 60, "{events} events for 66 changes");
    for i in 200..230_i64 {
        see(&mut p, i * 10, Status::Ok);
    }
    assert!(p.world.open.is_empty() && !p.world.alert(disk()).unwrap().flapping);
}

#[test]
fn a_passed_lease_is_not_refreshed_and_not_resolved() {
    let mut p = primary();
    let until = Some(at(240));
    p.report(&fired("prom-a", 0, ReportedState::Firing { until }), at(0));
    p.keepalive(&"web-1".into(), at(240));
    p.tick(at(241));
    assert!(only_open(&p).now.unwrap().unrefreshed.is_some());
    p.report(&fired("prom-a", 300, ReportedState::Firing { until: Some(at(540)) }), at(300));
    assert!(only_open(&p).now.unwrap().unrefreshed.is_none());
    p.report(&fired("prom-a", 310, ReportedState::Resolved { at: at(309) }), at(310));
    assert!(p.world.open.is_empty());
}

#[test]
fn without_an_end_an_alert_resolves_after_the_timeout() {
    let mut p = primary();
    p.report(&fired("prom-a", 0, ReportedState::Firing { until: None }), at(0));
    p.keepalive(&"web-1".into(), at(299));
    p.tick(at(299));
    assert_eq!(p.world.open.len(), 1);
    p.keepalive(&"web-1".into(), at(301));
    p.tick(at(301));
    assert!(p.world.open.is_empty());
}

#[test]
fn a_beginning_in_the_far_future_is_not_believed_and_that_is_said() {
    let mut p = primary();
    let mut report = fired("prom-a", 0, ReportedState::Firing { until: Some(at(540)) });
    report.alerts[0].starts = "9999-01-01T00:00:00Z".parse().unwrap();
    p.report(&report, at(0));
    let alert = only_open(&p);
    assert_eq!(alert.now.unwrap().since, at(0));
    assert_eq!(&*alert.text, "[the source's time 9999-01-01T00:00:00Z was not believed: it lies ahead of this server's clock]");
    // Worse words keep the remark below them.
    report.alerts[0].severity = Severity::Critical;
    report.alerts[0].text = "much too hot".into();
    p.report(&report, at(60));
    assert!(only_open(&p).text.starts_with("much too hot\n[the source's time 9999-"), "{}", only_open(&p).text);
    // An honest time is not remarked upon.
    let mut p = primary();
    p.report(&fired("prom-a", 0, ReportedState::Firing { until: Some(at(540)) }), at(0));
    assert!(only_open(&p).text.is_empty());
}

#[test]
fn an_agent_whose_clock_runs_ahead_is_told_of_once() {
    let mut p = primary();
    let told = |events: &[Event]| events.iter().filter(|event| event.kind.name() == "agent.clock").map(|event| event.title.to_string()).collect::<Vec<_>>();
    let ahead = |now: i64, by: i64| Observation { at: at(now + by), ..result(now, Status::Ok) };
    let first = p.observe(&ahead(10, 7_200), at(10));
    assert_eq!(told(&first), ["the clock of agent web-1 is 2h ahead: its times are taken as now"]);
    let event = first.iter().find(|event| event.kind.name() == "agent.clock").unwrap();
    assert_eq!((event.at, event.severity, event.system.as_ref().map(|system| system.as_str())), (at(10), Severity::Warning, Some("shop/web-1")));
    assert!(event.text.contains("Set the clock"), "{}", event.text);
    assert!(told(&p.observe(&ahead(20, 7_200), at(20))).is_empty(), "once");
    // At the limit it is neither told of again nor forgotten; once right, it may be told of again.
    assert!(told(&p.observe(&ahead(30, 290), at(30))).is_empty() && told(&p.observe(&ahead(340, 400), at(340))).is_empty());
    p.observe(&ahead(800, 0), at(800));
    assert_eq!(told(&p.observe(&ahead(810, 600), at(810))).len(), 1);
}

#[test]
fn of_a_pair_of_sources_any_that_fires_keeps_the_alert_open() {
    let mut p = primary();
    let until = Some(at(2_000));
    p.report(&fired("prom-a", 0, ReportedState::Firing { until }), at(0));
    p.report(&fired("prom-b", 1, ReportedState::Firing { until }), at(1));
    assert_eq!(only_open(&p).holders.len(), 2, "the replica's label does not identify");
    p.report(&fired("prom-a", 9, ReportedState::Resolved { at: at(9) }), at(9));
    assert_eq!(only_open(&p).holders.len(), 1);
    p.report(&fired("prom-b", 12, ReportedState::Resolved { at: at(12) }), at(12));
    assert!(p.world.open.is_empty());
}

#[test]
fn what_a_complete_list_lacks_twice_in_a_row_is_over() {
    let mut p = primary();
    p.report(&fired("am", 0, ReportedState::Firing { until: Some(at(900)) }), at(0));
    let empty = |secs| Report { source: "am".into(), at: at(secs), alerts: Vec::new(), complete: true };
    p.report(&empty(15), at(15));
    assert_eq!(p.world.open.len(), 1);
    p.report(&fired("am", 30, ReportedState::Firing { until: Some(at(900)) }), at(30));
    let seen = Report { complete: true, ..fired("am", 31, ReportedState::Firing { until: Some(at(900)) }) };
    p.report(&seen, at(31));
    p.report(&empty(45), at(45));
    assert_eq!(p.world.open.len(), 1, "the count begins anew");
    p.report(&empty(60), at(60));
    assert!(p.world.open.is_empty());
}

#[test]
fn a_source_that_cannot_be_reached_resolves_nothing() {
    let mut p = primary();
    p.report(&fired("am", 0, ReportedState::Firing { until: Some(at(900)) }), at(0));
    p.source_failed(&"am".into(), "connection refused", at(60));
    assert!(p.source_failed(&"am".into(), "connection refused", at(61)).is_empty());
    assert_eq!(p.world.open.len(), 2, "the alert, and that its source is away");
    p.source_recovered(&"am".into(), at(90));
    assert_eq!(p.world.open.len(), 1);
}

#[test]
fn p9_a_clock_that_goes_back_never_takes_recorded_along() {
    let mut p = primary();
    see(&mut p, 100, Status::Ok);
    let events = p.record(vec![super::event::Draft::new(at(50), super::event::Actor::Server, super::event::ServerStopped {}, "stop")], at(50));
    assert_eq!(events[0].recorded, at(100));
}

/// What may come in, in any order.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    See(u8, u8, u8),
    Tick,
    Keepalive(u8),
    Hello(u8, u8),
    Report(u8, u8, u8),
    Poll(u8, u8),
    Ask(u8, u8, u8),
    Restart,
    Wait(u16),
}

pub(crate) fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..3_u8, 0..3_u8, 0..4_u8).prop_map(|(a, c, s)| Step::See(a, c, s)),
        1 => Just(Step::Tick),
        1 => (0..3_u8).prop_map(Step::Keepalive),
        1 => (0..3_u8, 0..4_u8).prop_map(|(a, n)| Step::Hello(a, n)),
        3 => (0..2_u8, 0..3_u8, 0..4_u8).prop_map(|(s, a, how)| Step::Report(s, a, how)),
        1 => (0..2_u8, 0..4_u8).prop_map(|(s, n)| Step::Poll(s, n)),
        4 => (0..9_u8, 0..6_u8, 0..20_u8).prop_map(|(what, alert, id)| Step::Ask(what, alert, id)),
        1 => Just(Step::Restart),
        2 => (0..2_000_u16).prop_map(Step::Wait),
    ]
}

fn agent(n: u8) -> &'static str {
    ["web-1", "web-2", "db-1"][usize::from(n)]
}

fn check(n: u8) -> &'static str {
    ["disk", "load", "tcp"][usize::from(n)]
}

/// Plays the steps on one origin; the log of everything that it answered.
pub(crate) fn play(origin: u8, steps: &[Step]) -> (World, Vec<Event>) {
    let mut p = Primary::new(World::new(Origin([origin; 16]), Incarnation(1)), Rules::default(), T0);
    let (mut now, mut log) = (0_i64, Vec::new());
    for step in steps {
        now += 1;
        let t = at(now);
        let events = match step {
            Step::See(a, c, s) => {
                let status = [Status::Ok, Status::Warning, Status::Critical, Status::Unknown][usize::from(*s)];
                p.observe(&Observation { agent: agent(*a).into(), check: check(*c).into(), attempts: 2, at: t, ..result(0, status) }, t)
            }
            Step::Tick => p.tick(t),
            Step::Keepalive(a) => p.keepalive(&agent(*a).into(), t),
            Step::Hello(a, n) => p.hello(&AgentHello { agent: agent(*a).into(), ..hello(&["disk", "load", "tcp"][..usize::from(*n).min(3)]) }, t),
            Step::Report(s, a, how) => {
                let state = match how {
                    0 => ReportedState::Resolved { at: t },
                    1 => ReportedState::Firing { until: None },
                    _ => ReportedState::Firing { until: Some(at(now + 240)) },
                };
                let mut report = fired(["prom-a", "prom-b"][usize::from(*s)], now, state);
                report.alerts[0].check = ["Hot", "Cold", "Late"][usize::from(*a)].into();
                p.report(&report, t)
            }
            Step::Poll(s, n) => {
                let mut report = fired(["prom-a", "prom-b"][usize::from(*s)], now, ReportedState::Firing { until: Some(at(now + 240)) });
                report.complete = true;
                report.alerts.truncate(usize::from(*n).min(1));
                p.report(&report, t)
            }
            Step::Ask(what, which, id) => {
                let alerts: Vec<Fingerprint> = p.world.alerts.keys().copied().collect();
                let alert = alerts.get(usize::from(*which)).copied().unwrap_or_default();
                let open = p.world.alert(alert).and_then(|a| a.now).map(|o| o.episode);
                let episode = open.unwrap_or_default();
                let intent = match what {
                    0 => Intent::Acknowledge { alert, episode, note: "on it".into() },
                    1 => Intent::Unacknowledge { alert, episode },
                    2 => Intent::Snooze { alert, episode, until: at(now + 100), note: "".into() },
                    3 => Intent::Unsnooze { alert, episode },
                    4 => Intent::Assign { alert, episode, to: Some("jo".into()) },
                    5 => Intent::Resolve { alert, episode, note: "".into() },
                    6 => Intent::NoteAlert { alert, text: "seen before".into() },
                    7 => Intent::WithdrawNote { note: p.world.deeds.front().map(|d| d.event).unwrap_or_default() },
                    _ => Intent::Change { system: "shop".parse().unwrap(), title: "deploy".into(), text: "".into(), version: None, links: Vec::new() },
                };
                match p.request(&Request { id: RequestId([*id; 16]), by: "kim".into(), made: t, intent, signed: None }, t) {
                    Ok(events) => events,
                    Err(refusal) => {
                        assert!(!refusal.why.is_empty(), "a refusal has words");
                        Vec::new()
                    }
                }
            }
            Step::Restart => {
                p = Primary::new(p.world.clone(), Rules::default(), t);
                Vec::new()
            }
            Step::Wait(secs) => {
                now += i64::from(*secs);
                p.tick(at(now))
            }
        };
        log.extend(events);
    }
    (p.world, log)
}

fn indexes_agree(world: &World) {
    for (fingerprint, alert) in &world.alerts {
        assert_eq!(alert.is_open(), world.open.contains(fingerprint));
        assert_eq!(alert.care.is_some(), world.cared.contains(fingerprint));
        assert_eq!(alert.is_open(), !alert.holders.is_empty(), "somebody says so, exactly while it is open");
        assert!(alert.past.windows(2).all(|w| w[0].until <= w[1].from), "episodes do not overlap: {:?}", alert.past);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    /// Whatever comes in: the events number on without holes, fold into the primary's own world, and
    /// survive the log's encoding.
    #[test]
    fn whatever_comes_in_gives_events_that_fold(steps in prop::collection::vec(step(), 0..120)) {
        let (world, log) = play(1, &steps);
        indexes_agree(&world);
        let mut again = World::new(Origin([1; 16]), Incarnation(1));
        for (event, sequence) in log.iter().zip(1_u64..) {
            prop_assert_eq!(event.id.sequence, Sequence(sequence));
            let bytes = rmp_serde::to_vec_named(event).unwrap();
            let back: Event = rmp_serde::from_slice(&bytes).unwrap();
            prop_assert_eq!(&back, event);
            fold(&mut again, &back);
        }
        prop_assert_eq!(&again, &world);
        let bytes = rmp_serde::to_vec_named(&world).unwrap();
        prop_assert_eq!(&rmp_serde::from_slice::<World>(&bytes).unwrap(), &world);
    }

    /// However the logs of several origins interleave, and however often an event is seen, the worlds are the same.
    #[test]
    fn interleaving_and_repetition_make_no_difference(
        a in prop::collection::vec(step(), 0..60),
        b in prop::collection::vec(step(), 0..60),
        order in prop::collection::vec(any::<(bool, u8)>(), 0..600),
    ) {
        let (world_a, log_a) = play(1, &a);
        let (world_b, log_b) = play(2, &b);
        let mut worlds = [World::new(Origin([1; 16]), Incarnation(1)), World::new(Origin([2; 16]), Incarnation(1))];
        let (mut i, mut j) = (0_usize, 0_usize);
        let mut see = |event: &Event| worlds.iter_mut().for_each(|world| fold(world, event));
        for (left, back) in order {
            // Now and then something that was seen before comes again.
            let (log, place) = if left { (&log_a, &mut i) } else { (&log_b, &mut j) };
            if let Some(event) = (*place).checked_sub(usize::from(back) % 7).and_then(|earlier| log.get(earlier)) {
                see(event);
                if back % 7 == 0 { *place += 1; }
            }
        }
        log_a[i.min(log_a.len())..].iter().for_each(&mut see);
        log_b[j.min(log_b.len())..].iter().for_each(&mut see);
        prop_assert_eq!(&worlds[0], &world_a);
        prop_assert_eq!(&worlds[1], &world_b);
    }
}

#[test]
fn a_later_incarnation_goes_on_and_an_earlier_one_changes_nothing() {
    let (world, log) = play(1, &[Step::Hello(0, 3), Step::See(0, 0, 2), Step::See(0, 0, 2), Step::See(0, 0, 2)]);
    let mut cut = world.clone();
    let mut event = log.last().unwrap().clone();
    event.id = EventId { incarnation: Incarnation(2), sequence: Sequence(2), ..event.id };
    event.kind = Kind::from(super::event::ServerStopped {});
    fold(&mut cut, &event);
    assert_eq!((cut.incarnation, cut.head), (Incarnation(2), Sequence(2)));
    assert_eq!(cut.lives, [(Incarnation(1), world.head)]);
    let known = cut.clone();
    fold(&mut cut, log.last().unwrap());
    assert_eq!(cut, known);
}

#[test]
fn clones_share_what_did_not_change() {
    let mut p = primary();
    for secs in [0, 10, 20] {
        see(&mut p, secs, Status::Critical);
    }
    let before = p.world.clone();
    ask(&mut p, 1, 21, Intent::NoteSystem { system: "shop".parse().unwrap(), text: "x".into() }).unwrap();
    assert!(Arc::ptr_eq(&before.alerts[&disk()], &p.world.alerts[&disk()]));
}

#[test]
fn a_source_that_claims_an_old_beginning_does_not_make_us_have_watched_since_then() {
    let mut p = primary();
    let mut report = fired("am", 60, ReportedState::Firing { until: Some(at(900)) });
    report.alerts[0].starts = T0.minus(Span::from_days(51));
    p.report(&report, at(60));
    let alert = only_open(&p);
    assert_eq!(alert.now.unwrap().since, T0.minus(Span::from_days(51)), "it began when its source says");
    let history = super::history::History::of(alert, &p.world, &jiff::tz::TimeZone::UTC, at(120));
    assert_eq!((history.verdict, history.usual), (super::history::Verdict::New, false), "and it is new to us");
    assert_eq!(history.words(at(120)), "new: first since we watch");
}
