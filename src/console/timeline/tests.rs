//! However events come: what is shown is what is there, in order, each once.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;
use crate::model::event::{Actor, Draft, LogLine};
use crate::model::filter::OnServer;
use crate::model::id::{Incarnation, Sequence};

/// A server's log, as it would answer.
struct Server {
    /// By place.
    events: BTreeMap<(i64, u64), Arc<Event>>,
}

pub(super) fn event(origin: u8, sequence: u64, at: i64, title: &str) -> Arc<Event> {
    let id = EventId { origin: Origin([origin; 16]), incarnation: Incarnation(1), sequence: Sequence(sequence) };
    let severity = Severity::from_rank(u8::try_from(sequence % 6).unwrap());
    Arc::new(Draft::new(Time::from_secs(at), Actor::Server, LogLine {}, title).severity(severity).stamp(id, Time::from_secs(at)))
}

impl Server {
    fn new(events: &[Arc<Event>]) -> Server {
        Server { events: events.iter().map(|event| ((event.at.micros(), event.id.sequence.0), event.clone())).collect() }
    }

    fn answer(&self, asked: &Asked, name: &str, knows_filters: bool, look: usize) -> Paged {
        let filter = asked.filter.as_ref().filter(|_| knows_filters).map(|text| Filter::new(text, Time::from_secs(0), &TimeZone::UTC).unwrap());
        let all: Vec<&Arc<Event>> = match asked.toward {
            Toward::Older => self.events.range(..asked.from.unwrap_or((i64::MAX, u64::MAX))).rev().map(|(_, event)| event).collect(),
            Toward::Newer => {
                let from = asked.from.map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
                self.events.range((from, std::ops::Bound::Unbounded)).map(|(_, event)| event).collect()
            }
        };
        let (mut entries, mut reached, mut complete) = (Vec::new(), None, true);
        for (looked, event) in all.iter().enumerate() {
            if entries.len() >= asked.most.min(7) || (filter.is_some() && looked >= look) {
                complete = false;
                break;
            }
            reached = Some((event.at, event.id.sequence.0));
            if filter.as_ref().is_none_or(|filter| filter.matches(&OnServer { subject: &***event, server: name })) {
                entries.push(Entry::known(event));
            }
        }
        let reached = reached.filter(|_| filter.is_some());
        Paged { entries, last: true, complete, filtered: filter.is_some(), reached }
    }
}

/// Pages in at both ends until there is nothing more.
fn page_all(timeline: &mut Timeline, servers: &[Server], knows_filters: bool) {
    for _ in 0..2_000 {
        let mut asks: Vec<Asked> = timeline.again();
        asks.extend(timeline.wanting(Toward::Older, |_| true));
        asks.extend(timeline.wanting(Toward::Newer, |_| true));
        if asks.is_empty() {
            return;
        }
        for ask in asks {
            let page = servers[ask.server].answer(&ask, ["a", "b"][ask.server], knows_filters, 9);
            timeline.page(ask.ask, page);
        }
    }
    panic!("it goes on asking");
}

fn settle(timeline: &mut Timeline) {
    while timeline.is_searching() {
        timeline.work();
    }
}

fn places(timeline: &Timeline) -> Vec<(i64, u8, u64)> {
    (0..timeline.len())
        .filter_map(|row| timeline.slot(row))
        .map(|slot| (slot.place().0.micros(), slot.place().1.origin.0[0], slot.place().1.sequence.0))
        .collect()
}

fn of(event: &Event) -> (i64, u8, u64) {
    (event.at.micros(), event.id.origin.0[0], event.id.sequence.0)
}

fn filter(text: &str) -> Option<Filter> {
    Some(Filter::new(text, Time::from_secs(0), &TimeZone::UTC).unwrap())
}

fn timeline() -> Timeline {
    let mut timeline = Timeline::new(vec!["a".into(), "b".into()]);
    timeline.fold_runs(false);
    timeline
}

fn log(origin: u8) -> impl Strategy<Value = Vec<Arc<Event>>> {
    prop::collection::vec((0..60_i64, "[ab]{1,3}"), 0..60)
        .prop_map(move |lines| (1..).zip(lines).map(|(sequence, (at, title))| event(origin, sequence, at, &title)).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Live or in pages, in whatever order: rows are in order, each once, and the filter's hits are what matches.
    #[test]
    fn rows_are_in_order_and_hits_are_what_matches(batches in prop::collection::vec((0..2_usize, prop::collection::vec(1..60_u64, 1..9)), 0..14), filtered_first in any::<bool>()) {
        let mut timeline = timeline();
        if filtered_first {
            timeline.set_filter(filter("severity:warning+"));
        }
        let mut all = BTreeMap::new();
        for (server, sequences) in batches {
            // An event's time follows from its identity, as it does in a log.
            let origin = u8::try_from(server).unwrap() + 1;
            let events: Vec<_> = sequences.iter().map(|s| event(origin, *s, i64::try_from(s * 7 % 40).unwrap(), "x")).collect();
            all.extend(events.iter().map(|event| (of(event), event.clone())));
            timeline.add_live(server, &events);
        }
        timeline.set_filter(filter("severity:warning+"));
        settle(&mut timeline);
        let expected: Vec<_> = all.iter().filter(|(_, e)| e.severity >= Severity::Warning).map(|(place, _)| *place).collect();
        prop_assert_eq!(places(&timeline), expected);
        timeline.set_filter(None);
        prop_assert_eq!(places(&timeline), all.keys().copied().collect::<Vec<_>>());
    }

    /// From wherever one begins, with a filter that servers know or do not, paging shows everything that matches.
    #[test]
    fn paging_from_anywhere_comes_to_all(a in log(1), b in log(2), begin in prop::option::of(-5..65_i64), text in prop::sample::select(vec!["", "aa", "severity:error+", "not b"]), knows in any::<bool>(), live in 0..60_usize) {
        let servers = [Server::new(&a), Server::new(&b)];
        let mut timeline = timeline();
        // The newest come with the snapshot.
        for (index, server) in servers.iter().enumerate() {
            let newest: Vec<_> = server.events.values().rev().take(live).map(Entry::known).collect();
            let complete = newest.len() == server.events.len();
            timeline.add_older(index, newest, complete);
        }
        if let Some(begin) = begin {
            for ask in timeline.jump(Target::At(Time::from_secs(begin)), |_| true) {
                let page = servers[ask.server].answer(&ask, "", true, 9);
                timeline.page(ask.ask, page);
            }
            prop_assert!(!timeline.is_going());
        }
        timeline.set_filter(filter(text));
        page_all(&mut timeline, &servers, knows);
        settle(&mut timeline);
        let wanted = filter(text).unwrap();
        let mut expected: Vec<_> = a.iter().map(|e| (e, "a")).chain(b.iter().map(|e| (e, "b"))).filter(|(e, server)| wanted.matches(&OnServer { subject: &***e, server })).map(|(e, _)| of(e)).collect();
        expected.sort_unstable();
        prop_assert_eq!(places(&timeline), expected);
        timeline.set_filter(None);
        page_all(&mut timeline, &servers, knows);
        prop_assert_eq!(timeline.held(), a.len() + b.len());
        prop_assert!(timeline.is_live(), "it has come up to the present");
    }

    /// What one types further is looked for among what was found: the hits are those of the last filter alone.
    #[test]
    fn typing_on_finds_what_typing_at_once_finds(a in log(1), words in prop::collection::vec(prop::sample::select(vec!["a", "ab", "aba", "b", "a b", "a severity:error+", "/a$/", "not a"]), 1..6), steps in prop::collection::vec(0..3_usize, 6)) {
        let mut timeline = timeline();
        timeline.add_live(0, &a);
        for (word, steps) in words.iter().zip(steps) {
            timeline.set_filter(filter(word));
            for _ in 0..steps {
                timeline.work();
            }
        }
        settle(&mut timeline);
        let last = filter(words.last().unwrap()).unwrap();
        let mut expected: Vec<_> = a.iter().filter(|e| last.matches(&***e)).map(|e| of(e)).collect();
        expected.sort_unstable();
        prop_assert_eq!(places(&timeline), expected);
    }

    /// Lines around hits are those that grep shows, and gaps stand where lines are left out.
    #[test]
    fn context_is_greps(hits in prop::collection::vec(any::<bool>(), 0..60), context in 0..5_usize, split in 0..60_usize) {
        let events: Vec<_> = (1..).zip(&hits).map(|(n, hit)| event(1, n, i64::try_from(n).unwrap(), if *hit { "hit" } else { "x" })).collect();
        let mut timeline = timeline();
        timeline.set_filter(filter("hit"));
        timeline.set_context(context);
        let (first, second) = events.split_at(split.min(events.len()));
        timeline.add_live(0, first);
        timeline.add_live(0, second);
        settle(&mut timeline);
        let near = |at: usize| hits.iter().enumerate().any(|(other, hit)| *hit && at.abs_diff(other) <= context);
        let mut expected = Vec::new();
        for at in (0..hits.len()).filter(|at| near(*at)) {
            if context > 0 && at > 0 && !near(at - 1) {
                expected.push(None);
            }
            expected.push(Some((at + 1, !hits[at])));
        }
        let shown: Vec<_> = (0..timeline.len()).map(|row| (!timeline.is_gap(row)).then(|| timeline.slot(row).unwrap()).map(|s| (usize::try_from(s.place().1.sequence.0).unwrap(), s.context))).collect();
        prop_assert_eq!(shown, expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Where the servers alone have what stands around a hit, it is asked of them: the lines are those that
    /// grep shows in all logs merged, and gaps stand where it leaves lines out.
    #[test]
    fn lines_around_hits_come_from_the_servers(a in log(1), b in log(2), begin in prop::option::of(-5..65_i64), context in 1..5_usize, more in 0..3_usize, text in prop::sample::select(vec!["aa", "severity:error+", "a severity:critical"]), knows in any::<bool>(), live in 0..60_usize, shift in prop::sample::select(vec![0, 3_000_000, -4_000_001])) {
        let servers = [Server::new(&a), Server::new(&b)];
        let mut timeline = timeline();
        timeline.set_shift(1, shift);
        for (index, server) in servers.iter().enumerate() {
            let newest: Vec<_> = server.events.values().rev().take(live).map(Entry::known).collect();
            let complete = newest.len() == server.events.len();
            timeline.add_older(index, newest, complete);
        }
        if let Some(begin) = begin {
            for ask in timeline.jump(Target::At(Time::from_secs(begin)), |_| true) {
                let page = servers[ask.server].answer(&ask, "", true, 9);
                timeline.page(ask.ask, page);
            }
        }
        timeline.set_filter(filter(text));
        page_all(&mut timeline, &servers, knows);
        settle(&mut timeline);
        // Fewer lines first: what was asked for them is not enough for more.
        for context in [context, context + more] {
            timeline.set_context(context);
            for _ in 0..500 {
                let asks = timeline.wanting_around(0..timeline.len(), |_| true);
                if asks.is_empty() {
                    break;
                }
                prop_assert!(asks.iter().all(|ask| ask.most == context + 1 && ask.filter.is_none()));
                for ask in asks {
                    let page = servers[ask.server].answer(&ask, "", true, 9);
                    timeline.page(ask.ask, page);
                }
            }
            prop_assert!(!timeline.wants_around(0..timeline.len(), |_| true));
            let wanted = filter(text).unwrap();
            let mut all: Vec<_> = a.iter().map(|e| (e, "a", 0)).chain(b.iter().map(|e| (e, "b", shift))).map(|(e, server, by)| ((e.at.micros() + by, of(e).1, of(e).2), wanted.matches(&OnServer { subject: &**e, server }))).collect();
            all.sort_unstable();
            let near = |at: usize| all.iter().enumerate().any(|(other, (_, hit))| *hit && at.abs_diff(other) <= context);
            let mut expected = Vec::new();
            for at in (0..all.len()).filter(|at| near(*at)) {
                if at > 0 && !near(at - 1) {
                    expected.push(None);
                }
                expected.push(Some((all[at].0, 1, !all[at].1)));
            }
            prop_assert_eq!(shown(&timeline), expected);
        }
    }
}

#[test]
fn another_filter_forgets_the_lines_around_the_hits_of_the_one_before() {
    let log: Vec<_> = (1..=300).map(|n| event(1, n, i64::try_from(n).unwrap(), if n == 100 { "here" } else { "x" })).collect();
    let servers = [Server::new(&log), Server::new(&[])];
    let mut timeline = timeline();
    timeline.add_older(0, log.iter().rev().take(20).map(Entry::known).collect(), false);
    timeline.add_older(1, Vec::new(), true);
    timeline.set_filter(filter("here"));
    timeline.set_context(3);
    page_all(&mut timeline, &servers, true);
    let asks = timeline.wanting_around(0..9, |_| true);
    assert_eq!(asks.len(), 2, "of the one server that has more");
    timeline.set_filter(None);
    for ask in asks {
        let page = servers[0].answer(&ask, "", true, 9);
        timeline.page(ask.ask, page);
    }
    assert_eq!(timeline.held(), 20, "what comes too late is not shown among what is whole");
}

type Line = ((i64, u8, u64), usize, bool);

/// What the lines show: the event, how many it stands for, whether it is a neighbour; nothing for a gap.
fn shown(timeline: &Timeline) -> Vec<Option<Line>> {
    let line =
        |row| timeline.slot(row).map(|slot| ((slot.place().0.micros(), slot.place().1.origin.0[0], slot.place().1.sequence.0), slot.count, slot.context));
    (0..timeline.len()).map(line).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// At a time cursor one sees what one would see if nothing had happened since: no run, no line around a
    /// hit and no count tells of what is later; and coming back shows all of it again.
    #[test]
    fn nothing_tells_of_what_is_later_than_the_time_cursor(a in log(1), b in log(2), until in -5..65_i64, then in -5..65_i64, text in prop::sample::select(vec!["", "a", "severity:error+", "not b"]), context in 0..4_usize, runs in any::<bool>(), early in any::<bool>()) {
        let mut all = Timeline::new(vec!["a".into(), "b".into()]);
        let mut never = Timeline::new(vec!["a".into(), "b".into()]);
        let until = Time::from_secs(until);
        for timeline in [&mut all, &mut never] {
            timeline.fold_runs(runs);
            timeline.set_context(context);
        }
        if early {
            all.end_at(Some(Time::from_secs(then)));
            all.end_at(Some(until));
            all.set_filter(filter(text));
        }
        for (server, log) in [&a, &b].into_iter().enumerate() {
            all.add_live(server, log);
            never.add_live(server, &log.iter().filter(|event| event.at <= until).cloned().collect::<Vec<_>>());
        }
        all.set_filter(filter(text));
        never.set_filter(filter(text));
        settle(&mut all);
        settle(&mut never);
        let before = shown(&all);
        all.end_at(Some(until));
        prop_assert_eq!(shown(&all), shown(&never));
        prop_assert_eq!(all.shown(), (never.held(), never.hits()));
        for row in 0..all.len() + 3 {
            for forward in [false, true] {
                prop_assert_eq!(all.seek(row.min(all.len()), forward, Severity::Error), never.seek(row.min(all.len()), forward, Severity::Error));
            }
        }
        if !early {
            all.end_at(None);
            prop_assert_eq!(shown(&all), before);
        }
    }

    /// Away, paging comes to all that had happened by then, and asks for nothing that is later.
    #[test]
    fn paging_ends_at_the_time_cursor(a in log(1), b in log(2), until in -5..65_i64, shift in prop::sample::select(vec![0, 3_000_000, -4_000_000]), knows in any::<bool>(), text in prop::sample::select(vec!["", "aa", "severity:error+"])) {
        let servers = [Server::new(&a), Server::new(&b)];
        let mut timeline = timeline();
        timeline.set_shift(1, shift);
        timeline.end_at(Some(Time::from_secs(until)));
        for ask in timeline.jump(Target::At(Time::from_secs(until)), |_| true) {
            let page = servers[ask.server].answer(&ask, "", true, 9);
            timeline.page(ask.ask, page);
        }
        timeline.set_filter(filter(text));
        for _ in 0..500 {
            let older = timeline.wanting(Toward::Older, |_| true);
            let newer = timeline.wanting(Toward::Newer, |_| true);
            prop_assert!(newer.iter().all(|ask| ask.from.is_none_or(|(at, _)| at + if ask.server == 1 { shift } else { 0 } <= until * 1_000_000)), "{newer:?}");
            if older.is_empty() && newer.is_empty() {
                break;
            }
            for ask in older.into_iter().chain(newer) {
                let page = servers[ask.server].answer(&ask, ["a", "b"][ask.server], knows, 9);
                timeline.page(ask.ask, page);
            }
        }
        settle(&mut timeline);
        prop_assert!(timeline.reaches_end());
        let wanted = filter(text).unwrap();
        let moved = |e: &Event, by: i64| (e.at.micros() + by, e.id.origin.0[0], e.id.sequence.0);
        let mut expected: Vec<_> = a.iter().map(|e| (e, "a", 0)).chain(b.iter().map(|e| (e, "b", shift))).filter(|(e, server, _)| wanted.matches(&OnServer { subject: &***e, server })).map(|(e, _, by)| moved(e, by)).filter(|place| place.0 <= until * 1_000_000).collect();
        expected.sort_unstable();
        prop_assert_eq!(places(&timeline), expected);
    }
}

#[test]
fn runs_are_one_line_and_open_and_close() {
    let mut timeline = Timeline::new(vec!["a".into(), "b".into()]);
    let events: Vec<_> = (1..=41).map(|n| event(1, n, i64::try_from(n).unwrap(), &format!("disk {n} % full"))).collect();
    timeline.add_live(0, &events);
    timeline.add_live(0, &[event(1, 42, 50, "all is well"), event(1, 43, 51, "disk 7 % full")]);
    assert_eq!(timeline.len(), 3);
    let run = timeline.slot(0).unwrap();
    assert_eq!((run.count, run.place().1.sequence.0), (41, 41));
    assert!(timeline.open_run(0));
    assert_eq!(timeline.len(), 43);
    assert!(timeline.close_run(7));
    assert_eq!(timeline.len(), 3);
    assert!(!timeline.open_run(1) && !timeline.close_run(1));
}

#[test]
fn what_is_held_is_bounded_and_what_went_can_be_had_again() {
    let log: Vec<_> = (1..=40_000).map(|n| event(1, n, i64::try_from(n).unwrap(), "x")).collect();
    let servers = [Server::new(&log), Server::new(&[])];
    let mut timeline = timeline();
    timeline.hold_at_most(10_000);
    for batch in log.chunks(500) {
        timeline.add_live(0, batch);
        assert!(timeline.held() <= 10_000);
    }
    timeline.add_older(1, Vec::new(), true);
    assert!(timeline.has_more());
    // Far up: what is newest goes, and the present is still followed.
    timeline.look_at(Some((Time::from_secs(1), EventId::default())));
    for _ in 0..30_000 {
        let asks = timeline.wanting(Toward::Older, |_| true);
        if asks.is_empty() {
            break;
        }
        for ask in asks {
            let page = servers[ask.server].answer(&Asked { most: 500, ..ask.clone() }, "", true, 9);
            timeline.page(ask.ask, page);
        }
    }
    assert!(timeline.held() <= 10_000 && !timeline.is_live());
    assert_eq!(timeline.slot(0).unwrap().place().1.sequence, Sequence(1));
    timeline.go_live();
    assert_eq!(timeline.slot(timeline.len() - 1).unwrap().place().1.sequence, Sequence(40_000));
}

#[test]
fn the_next_error_is_found_on_the_servers() {
    let log: Vec<_> = (1..=600).map(|n| event(1, n * 6 + 1, i64::try_from(n).unwrap(), "x")).collect();
    let mut all = log;
    all.push(event(1, 5, 5, "an error long ago"));
    let servers = [Server::new(&all), Server::new(&[event(2, 4, 3, "an older one")])];
    let mut timeline = timeline();
    timeline.add_older(0, servers[0].events.values().rev().take(20).map(Entry::known).collect(), false);
    timeline.add_older(1, Vec::new(), false);
    let from = timeline.slot(0).unwrap().place();
    let mut asks = timeline.jump(Target::Bad { toward: Toward::Older, from, worse: Severity::Error }, |_| true);
    let mut arrival = None;
    while let Some(ask) = asks.pop() {
        arrival = timeline.page(ask.ask, servers[ask.server].answer(&ask, "", true, 100));
        asks.extend(timeline.again());
    }
    let Some(Arrival::Next(place)) = arrival else { panic!("{arrival:?}") };
    assert_eq!(place.1.sequence, Sequence(5), "the nearest of all servers'");
}

#[test]
fn a_lost_server_holds_no_journey_up() {
    let mut timeline = timeline();
    let asks = timeline.jump(Target::At(Time::from_secs(5)), |_| true);
    for ask in asks.iter().filter(|ask| ask.server == 0) {
        assert_eq!(
            timeline.page(ask.ask, Paged { entries: vec![Entry::known(&event(1, 1, 5, "x"))], last: true, complete: true, filtered: false, reached: None }),
            None
        );
    }
    assert!(matches!(timeline.lost(1), Some(Arrival::At(_))));
    assert_eq!(timeline.len(), 1);
}

#[test]
fn a_corrected_clock_moves_a_servers_events() {
    let mut timeline = timeline();
    timeline.add_live(0, &[event(1, 1, 10, "a"), event(1, 2, 30, "a")]);
    timeline.add_live(1, &[event(2, 1, 20, "b")]);
    timeline.set_shift(1, -15_000_000);
    assert_eq!(places(&timeline).iter().map(|place| (place.0 / 1_000_000, place.1)).collect::<Vec<_>>(), [(5, 2), (10, 1), (30, 1)]);
    timeline.add_live(1, &[event(2, 2, 30, "b")]);
    assert_eq!(places(&timeline).iter().map(|place| place.1).collect::<Vec<_>>(), [2, 1, 2, 1]);
    timeline.set_shift(1, 0);
    assert_eq!(places(&timeline).len(), 4);
}
