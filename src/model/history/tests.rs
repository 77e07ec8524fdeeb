//! What history promises, of single pasts and of arbitrary ones.

use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;
use crate::model::event::{Actor, AlertCleared, AlertOpened, AlertPast, Change, Condition, Draft, Event, Kind, Note};
use crate::model::fold::fold;
use crate::model::id::{EventId, Fingerprint, Incarnation, Origin, SystemId};
use crate::model::severity::Severity;
use crate::model::world::Filled;

/// Saturday, 21 November 2026, 02:57 in UTC.
const NOW: Time = Time::from_secs(1_795_229_820);
const ALERT: Fingerprint = Fingerprint([1; 16]);

fn world() -> World {
    World::new(Origin([1; 16]), Incarnation(1))
}

fn system() -> SystemId {
    "shop/varnish".parse().unwrap()
}

fn tell(world: &mut World, at: Time, actor: Actor, kind: impl Into<Kind>, title: &str) {
    let id = EventId { origin: world.origin, incarnation: world.incarnation, sequence: world.head.next() };
    let draft = Draft::new(at, actor, kind, title).on(system()).severity(Severity::Warning);
    let event: Event = draft.stamp(id, at.max(world.recorded));
    fold(world, &event);
}

fn past(world: &mut World, from: Time, length: Span) {
    tell(world, from, Actor::Source("prom".into()), AlertPast { alert: ALERT, check: "Slow".into(), until: from.plus(length) }, "slow");
}

fn open(world: &mut World, at: Time) {
    let kind = AlertOpened { alert: ALERT, check: "Slow".into(), by: Actor::Source("prom".into()), condition: Condition::Problem, expr: None };
    tell(world, at, Actor::Source("prom".into()), kind, "slow");
}

fn clear(world: &mut World, at: Time, by: Actor, reason: ClearReason) {
    tell(world, at, by, AlertCleared { alert: ALERT, reason }, "slow");
}

fn known(days: i64) -> Known {
    Known { since: Some(NOW.minus(Span::from_days(days))), span: Span::from_days(days), filled: None }
}

fn judged(world: &World, days: i64, zone: &TimeZone) -> History {
    History::judged(world.alert(ALERT).unwrap(), known(days), &HistoryRules::DEFAULT, zone, NOW)
}

fn berlin() -> TimeZone {
    TimeZone::get("Europe/Berlin").unwrap()
}

#[test]
fn what_was_never_there_is_new_and_says_how_far_that_is_known() {
    let mut w = world();
    open(&mut w, NOW.minus(Span::from_mins(16)));
    let history = judged(&w, 15, &TimeZone::UTC);
    assert_eq!((history.verdict, history.usual, history.words(NOW).as_str()), (Verdict::New, false, "new: first in 15 known days"));
    assert_eq!(history.sentences(&TimeZone::UTC, NOW), ["first time in the 15 days known"]);
}

#[test]
fn what_comes_on_saturdays_says_so_with_its_numbers() {
    let mut w = world();
    // At 15 h in Berlin, in summer and in winter: the clocks were put back on 25 October.
    for weeks in [1, 2, 3, 4, 5, 6] {
        let date = jiff::civil::date(2026, 11, 21) - jiff::ToSpan::weeks(weeks);
        let at = Time::from(date.at(15, 10, 0, 0).to_zoned(berlin()).unwrap().timestamp());
        past(&mut w, at, Span::from_mins(4 + weeks));
    }
    open(&mut w, NOW.minus(Span::from_mins(3)));
    let history = judged(&w, 60, &berlin());
    assert_eq!((history.verdict, history.before, history.days), (Verdict::Recurring, 6, 7));
    assert_eq!((history.habit.days, history.habit.hours), (Some(Days::One(5)), Some((15, 16))));
    assert_eq!((history.lengths.median, history.lengths.most), (Span::from_mins(8), Span::from_mins(10)));
    assert!(history.usual, "it goes away by itself as ever");
    assert_eq!(
        history.sentences(&berlin(), NOW),
        [
            "7th time in the 60 days known, on 7 days, in 1 night, on Saturdays, 15–16 h; last 6d ago",
            "clears by itself in 8m (median, 9 of 10 within 10m), each of 6 times",
            "nobody had to end it",
            "usual: it goes away by itself",
        ]
    );
}

#[test]
fn what_lasts_longer_than_ever_is_no_longer_usual() {
    let mut w = world();
    for days in 1..=6 {
        past(&mut w, NOW.minus(Span::from_days(days * 3)), Span::from_mins(5));
    }
    open(&mut w, NOW.minus(Span::from_mins(16)));
    let history = judged(&w, 90, &TimeZone::UTC);
    assert_eq!((history.verdict, history.usual), (Verdict::Recurring, false));
}

#[test]
fn who_ended_it_and_how_is_said() {
    let kim = Actor::User("kim".into());
    let mut w = world();
    let at = |hours: i64| NOW.minus(Span::from_hours(hours));
    open(&mut w, at(500));
    clear(&mut w, at(499), Actor::Source("prom".into()), ClearReason::Recovered);
    open(&mut w, at(100));
    tell(&mut w, at(99).minus(Span::from_mins(2)), kim.clone(), Change::of(None), "varnish restarted");
    clear(&mut w, at(99), Actor::Source("prom".into()), ClearReason::Recovered);
    let history = judged(&w, 30, &TimeZone::UTC);
    let ended = history.ended.clone().unwrap();
    assert_eq!((ended.by, &*ended.words, history.ended_last), (kim.clone(), "varnish restarted", true));
    assert_eq!((history.lengths.count, history.lengths.by_itself), (2, 1));
    assert_eq!(history.sentences(&TimeZone::UTC, NOW)[2], "last ended 16 Nov by kim: varnish restarted");
    // A note says what somebody thinks, not that they ended it.
    open(&mut w, at(50));
    tell(&mut w, at(49).minus(Span::from_mins(5)), kim.clone(), Note { alert: Some(ALERT), episode: None }, "cache is cold, wait");
    clear(&mut w, at(49), Actor::Source("prom".into()), ClearReason::Recovered);
    let history = judged(&w, 30, &TimeZone::UTC);
    assert_eq!((history.lengths.count, history.lengths.by_itself), (3, 2));
    assert_eq!(history.sentences(&TimeZone::UTC, NOW)[2], "last ended 19 Nov by kim, who noted: cache is cold, wait");
    // What ends by itself later does not forget who ended it before.
    open(&mut w, at(20));
    clear(&mut w, at(19), Actor::Source("prom".into()), ClearReason::Recovered);
    assert!(judged(&w, 30, &TimeZone::UTC).sentences(&TimeZone::UTC, NOW)[2].starts_with("since then by itself; ended 19 Nov by kim"));
    open(&mut w, at(10));
    clear(&mut w, at(9), kim, ClearReason::Resolved);
    assert_eq!(judged(&w, 30, &TimeZone::UTC).sentences(&TimeZone::UTC, NOW)[2], "last ended 20 Nov by kim, who resolved it");
}

#[test]
fn thresholds_are_those_of_the_nearest_system_by_name() {
    let mut w = world();
    for days in [2, 4] {
        past(&mut w, NOW.minus(Span::from_days(days)), Span::from_mins(5));
    }
    open(&mut w, NOW);
    let verdict = |w: &World| History::of(w.alert(ALERT).unwrap(), w, &TimeZone::UTC, NOW).verdict;
    assert_eq!(verdict(&w), Verdict::Rare);
    let mut spec = crate::model::system::SystemSpec::bare("shop".parse().unwrap());
    spec.history = Some(HistoryRules { rare: 1, ..HistoryRules::DEFAULT });
    tell(&mut w, NOW, Actor::Server, crate::model::event::SystemDeclared { spec: spec.clone() }, "shop is declared");
    assert_eq!(verdict(&w), Verdict::Recurring);
    spec.id = system();
    spec.history = Some(HistoryRules { rare: 5, ..HistoryRules::DEFAULT });
    tell(&mut w, NOW, Actor::Server, crate::model::event::SystemDeclared { spec }, "shop/varnish is declared");
    assert_eq!(verdict(&w), Verdict::Rare);
}

#[test]
fn that_it_began_long_ago_is_hearsay_until_the_server_heard_of_it_or_the_source_remembers() {
    let ago = |days: i64| NOW.minus(Span::from_days(days));
    let server_for = |days: i64| {
        let mut w = world();
        tell(&mut w, ago(days), Actor::Server, crate::model::event::ServerStarted { version: "1".into(), name: "shop".into() }, "started");
        w
    };
    let opened = |w: &mut World, by: Actor, at: Time, heard: Time| {
        let kind = AlertOpened { alert: ALERT, check: "Slow".into(), by: by.clone(), condition: Condition::Problem, expr: None };
        let id = EventId { origin: w.origin, incarnation: w.incarnation, sequence: w.head.next() };
        fold(w, &Draft::new(at, by, kind, "slow").on(system()).stamp(id, heard));
    };
    let of = |w: &World, now: Time| History::of(w.alert(ALERT).unwrap(), w, &TimeZone::UTC, now);
    let prom = Actor::Source("prom".into());

    // The server has watched for ten days and hears of it now: its age alone says nothing.
    let mut w = server_for(10);
    opened(&mut w, prom.clone(), ago(30), NOW);
    let history = of(&w, NOW);
    assert_eq!((history.verdict, history.usual, history.days), (Verdict::New, false, 2));
    assert_eq!(w.alert(ALERT).unwrap().now.unwrap().since, ago(30), "the source's word stays as it is");
    assert_eq!(history.sentences(&TimeZone::UTC, NOW)[1], "began 22 Oct by its source's word; heard of here since 02:57");
    // A week later it is so.
    assert_eq!(of(&w, NOW.plus(Span::from_days(8))).verdict, Verdict::Chronic);

    // The same with a source whose own past is known here.
    let filled = Filled { from: ago(40), until: ago(10), complete: true, running: Vec::new(), gaps: Vec::new() };
    tell(&mut w, NOW, prom.clone(), crate::model::event::SourcePast { source: "prom".into(), filled }, "filled in");
    let history = of(&w, NOW);
    assert_eq!((history.verdict, history.hearsay), (Verdict::Chronic, None));

    // An agent saw it itself, though it could not say so until now.
    let mut w = server_for(10);
    opened(&mut w, Actor::Agent("web-1".into()), ago(9), NOW);
    assert_eq!((of(&w, NOW).verdict, of(&w, NOW).hearsay), (Verdict::Chronic, None));

    // What came in minutes late is not worth a word.
    let mut w = server_for(10);
    opened(&mut w, prom, ago(8), ago(8).plus(Span::from_mins(20)));
    assert_eq!((of(&w, NOW).verdict, of(&w, NOW).hearsay), (Verdict::Chronic, None));
}

#[test]
fn a_source_that_remembers_makes_more_known_and_gaps_less() {
    let mut w = world();
    let ago = |days: i64| NOW.minus(Span::from_days(days));
    tell(&mut w, ago(10), Actor::Server, crate::model::event::ServerStarted { version: "1".into(), name: "shop".into() }, "started");
    open(&mut w, NOW);
    let known = |w: &World| Known::of(w, w.alert(ALERT).unwrap(), NOW);
    assert_eq!(known(&w).days(), 10);
    tell(&mut w, ago(4), Actor::Server, crate::model::event::Unwatched { from: ago(6), until: ago(4) }, "nobody watched");
    assert_eq!(known(&w).days(), 8, "two days nobody watched");
    let filled = Filled { from: ago(40), until: ago(10), complete: true, running: Vec::new(), gaps: Vec::new() };
    tell(&mut w, ago(4), Actor::Source("prom".into()), crate::model::event::SourcePast { source: "prom".into(), filled }, "filled in");
    assert_eq!(known(&w).days(), 38);
    let history = History::of(w.alert(ALERT).unwrap(), &w, &TimeZone::UTC, NOW);
    assert_eq!(history.words(NOW), "new: first in 38 known days");
    assert_eq!(history.sentences(&TimeZone::UTC, NOW)[1], "before 11 Nov filled in from prom, back to 12 Oct");
}

/// The page that users read gives the thresholds that hold.
#[test]
fn the_page_has_the_defaults() {
    let page = include_str!("HISTORY.md");
    let block = page.split("[system.history]").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    assert_eq!(toml::from_str::<HistoryRules>(block).unwrap(), HistoryRules::DEFAULT);
    let fields = toml::Value::try_from(HistoryRules::DEFAULT).unwrap();
    for name in fields.as_table().unwrap().keys() {
        assert!(block.contains(&format!("{name} =")), "{name} is not explained");
    }
    assert!(page.contains(&format!("newest {} episodes", World::PAST)) && page.contains(&format!("each of {} days", World::DAYS)));
    assert!(HistoryRules::DEFAULT.check().is_ok());
    assert!(HistoryRules { chronic_days: 101, ..HistoryRules::DEFAULT }.check().unwrap_err().contains("chronic_days"));
}

#[test]
fn the_same_check_elsewhere_is_summed_up() {
    let mut w = world();
    for days in [2, 4] {
        past(&mut w, NOW.minus(Span::from_days(days)), Span::from_mins(5));
    }
    let elsewhere = Elsewhere::of(w.alerts.values().map(|alert| &**alert), NOW);
    assert_eq!(elsewhere.words().unwrap(), "on 1 other system: 2 times in 90 days; clears by itself in 5m (median, 9 of 10 within 5m), each of 2 times");
    assert_eq!(Elsewhere::of(std::iter::empty(), NOW).words(), None);
}

/// Episodes that do not overlap: gaps and lengths in minutes, backwards from now.
fn episodes() -> impl Strategy<Value = Vec<(Time, Span)>> {
    prop::collection::vec((30_i64..6_000, 1_i64..2_000), 0..60).prop_map(|steps| {
        let mut at = NOW.minus(Span::from_hours(2));
        steps
            .into_iter()
            .map(|(gap, length)| {
                at = at.minus(Span::from_mins(gap + length));
                (at, Span::from_mins(length))
            })
            .collect()
    })
}

fn built(episodes: &[(Time, Span)], shift: Span, is_open: bool) -> World {
    let mut w = world();
    for (from, length) in episodes {
        past(&mut w, from.plus(shift), *length);
    }
    if is_open || episodes.is_empty() {
        open(&mut w, NOW.minus(Span::from_mins(30)).plus(shift));
    }
    w
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    /// With the same days known, another episode never makes an alert newer.
    #[test]
    fn more_episodes_never_make_it_newer(all in episodes(), left_out in any::<prop::sample::Index>(), days in 1_i64..90, is_open: bool) {
        prop_assume!(all.len() > 1);
        let more = judged(&built(&all, Span::ZERO, is_open), days, &TimeZone::UTC);
        let mut fewer = all.clone();
        fewer.remove(left_out.index(all.len()));
        let fewer = judged(&built(&fewer, Span::ZERO, is_open), days, &TimeZone::UTC);
        prop_assert!(more.verdict >= fewer.verdict, "{:?} after {:?}", more.verdict, fewer.verdict);
        prop_assert!(more.before >= fewer.before && more.days >= fewer.days);
    }

    /// Where the reader sits, and whether clocks were put forward or back, changes no verdict and no number
    /// but those that speak of the reader's own clock.
    #[test]
    fn time_zones_change_nothing_in_the_verdict(all in episodes(), days in 1_i64..90, is_open: bool) {
        let w = built(&all, Span::ZERO, is_open);
        let utc = judged(&w, days, &TimeZone::UTC);
        for zone in ["Europe/Berlin", "America/St_Johns", "Pacific/Auckland", "Asia/Kathmandu"] {
            let there = judged(&w, days, &TimeZone::get(zone).unwrap());
            prop_assert_eq!(&History { habit: utc.habit, ..there }, &utc);
        }
    }

    /// In whatever order episodes are told, and however often, the history is the same.
    #[test]
    fn order_and_repetition_make_no_difference(all in episodes(), order in prop::collection::vec(any::<prop::sample::Index>(), 0..80), is_open: bool) {
        let mut shuffled: Vec<(Time, Span)> = order.iter().filter(|_| !all.is_empty()).map(|i| all[i.index(all.len())]).collect();
        shuffled.extend(all.iter().rev());
        let (a, b) = (built(&all, Span::ZERO, is_open), built(&shuffled, Span::ZERO, is_open));
        prop_assert_eq!(judged(&a, 60, &berlin()), judged(&b, 60, &berlin()));
        prop_assert_eq!(strip(a.alert(ALERT).unwrap(), NOW, 30), strip(b.alert(ALERT).unwrap(), NOW, 30));
    }

    /// Everything weeks later, now too: only dates differ.
    #[test]
    fn shifting_all_times_together_changes_only_dates(all in episodes(), weeks in 1_i64..200, is_open: bool) {
        let shift = Span::from_days(7 * weeks);
        let here = judged(&built(&all, Span::ZERO, is_open), 60, &TimeZone::UTC);
        let w = built(&all, shift, is_open);
        let now = NOW.plus(shift);
        let moved = Known { since: known(60).since.map(|since| since.plus(shift)), ..known(60) };
        let there = History::judged(w.alert(ALERT).unwrap(), moved, &HistoryRules::DEFAULT, &TimeZone::UTC, now);
        let back = History { last: there.last.map(|last| last.minus(shift)), known: known(60), ..there };
        prop_assert_eq!(back, here);
    }

    /// Half of nine of ten are within the longest, and so on: the numbers agree with each other.
    #[test]
    fn the_numbers_agree(all in episodes()) {
        let history = judged(&built(&all, Span::ZERO, true), 90, &berlin());
        prop_assert!(history.lengths.median <= history.lengths.most);
        prop_assert!(history.lengths.by_itself <= history.lengths.count);
        prop_assert!(history.days >= 1 && history.days <= 91);
        if let Some((from, to)) = history.habit.hours {
            prop_assert!(from < 24 && to < 24 && from != to);
        }
    }
}
