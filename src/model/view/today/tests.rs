//! The text's promises: nothing bad is left out, numbers are counts, and the order of arrival is no matter.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::Arc;

use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::reading::{Page, Reading};
use super::{Ask, Known, Piece, Reach, Today, tell};
use crate::model::event::{Actor, Draft, Event, Kind, LogLine};
use crate::model::id::{Incarnation, Origin, RequestId};
use crate::model::intent::{Intent, Request};
use crate::model::observation::{AgentHello, Observation};
use crate::model::primary::{Primary, Rules};
use crate::model::severity::{Severity, Status};
use crate::model::time::{Span, Time};
use crate::model::view::{Freshness, Seen, Sky};
use crate::model::world::World;

/// 2026-11-21T01:57:00Z.
const NOW: Time = Time::from_secs(1_795_226_220);

fn ago(minutes: i64) -> Time {
    NOW.minus(Span::from_mins(minutes))
}

fn berlin() -> TimeZone {
    TimeZone::get("Europe/Berlin").unwrap()
}

/// A server and its log.
struct Told {
    primary: Primary,
    log: Vec<Arc<Event>>,
}

impl Told {
    fn new(origin: u8, began: Time) -> Told {
        let world = World::new(Origin([origin; 16]), Incarnation(1));
        let mut told = Told { primary: Primary::new(world, Rules::default(), began), log: Vec::new() };
        for agent in ["web-1", "db-1"] {
            let hello = AgentHello {
                agent: agent.into(),
                system: format!("shop/{agent}").parse().unwrap(),
                version: "0.1.0".into(),
                keepalive: Span::from_days(90),
                checks: Vec::new(),
                facts: Default::default(),
            };
            let events = told.primary.hello(&hello, began);
            told.keep(events);
        }
        told
    }

    fn keep(&mut self, events: Vec<Event>) {
        self.log.extend(events.into_iter().map(Arc::new));
    }

    fn sees(&mut self, agent: &str, check: &str, at: Time, status: Status) {
        let text = format!("{check} is {}", if status == Status::Ok { "fine" } else { "bad" });
        let observation = Observation {
            agent: agent.into(),
            check: check.into(),
            system: format!("shop/{agent}").parse().unwrap(),
            at,
            status,
            text: text.into(),
            details: "".into(),
            metrics: Vec::new(),
            every: Span::from_days(90),
            attempts: 1,
            runbook: None,
        };
        let events = self.primary.observe(&observation, at);
        self.keep(events);
    }

    fn asks(&mut self, by: &str, at: Time, intent: Intent) {
        let id = RequestId(std::array::from_fn(|i| u8::try_from((self.log.len() >> (8 * (i % 4))) & 255).unwrap()));
        if let Ok(events) = self.primary.request(&Request { id, by: by.into(), made: at, intent, signed: None }, at) {
            self.keep(events);
        }
    }

    fn change(&mut self, by: &str, at: Time, title: &str) {
        self.asks(by, at, Intent::Change { system: "shop/web-1".parse().unwrap(), title: title.into(), text: "".into(), version: None, links: Vec::new() });
    }

    /// `by` acknowledges whatever is open.
    fn acknowledge(&mut self, by: &str, at: Time) {
        let open: Vec<_> = self.primary.world.open_alerts().filter_map(|(id, alert)| Some((id, alert.now?.episode))).collect();
        for (alert, episode) in open {
            self.asks(by, at, Intent::Acknowledge { alert, episode, note: "".into() });
        }
    }

    fn line(&mut self, at: Time, severity: Severity, title: &str) {
        let draft = Draft::new(at, Actor::Source("syslog".into()), LogLine {}, title).on("shop/web-1".parse().unwrap()).severity(severity);
        let events = self.primary.record(vec![draft], at);
        self.keep(events);
    }

    fn sky(&self) -> Sky {
        let seen = Seen { name: "shop".into(), world: Arc::new(self.primary.world.clone()), freshness: Freshness::Live { age: Span::ZERO } };
        Sky::new(vec![seen])
    }

    fn today(&self, from: Time, until: Time) -> Today {
        let known = Known { events: self.log.clone(), reach: Reach::Whole };
        tell(&self.sky(), &[known], &Ask { from, until, now: NOW, zone: berlin(), system: None })
    }
}

/// The text as a reader of goldens sees it.
fn written(told: &Today) -> String {
    let mut out = String::new();
    for sentence in &told.summary {
        writeln!(out, "{}", sentence.words).unwrap();
    }
    told.caveats.iter().for_each(|caveat| writeln!(out, "But: {caveat}").unwrap());
    for section in &told.sections {
        writeln!(out, "\n{}  {}", section.name, section.title).unwrap();
        for sentence in &section.sentences {
            writeln!(
                out,
                "  {:9} {:6} {:5} {} [{}]",
                sentence.part.words(told.from, told.until),
                sentence.kind.word(),
                sentence.when,
                sentence.words,
                sentence.events.len()
            )
            .unwrap();
        }
    }
    out
}

/// A night with something of everything.
fn night() -> Told {
    let mut told = Told::new(1, ago(40 * 24 * 60));
    for day in (2..30).rev() {
        told.sees("web-1", "disk", ago(day * 24 * 60), Status::Warning);
        told.sees("web-1", "disk", ago(day * 24 * 60 - 600), Status::Ok);
    }
    told.sees("db-1", "replication", ago(20 * 24 * 60), Status::Critical);
    told.sees("db-1", "replication", ago(20 * 24 * 60 - 30), Status::Ok);
    told.sees("db-1", "certificate", ago(3 * 24 * 60), Status::Warning);
    told.sees("web-1", "disk", ago(400), Status::Warning);
    told.change("ci", ago(300), "deploy shop 4f3a2c");
    told.sees("db-1", "replication", ago(200), Status::Critical);
    told.acknowledge("kim", ago(190));
    told.sees("db-1", "replication", ago(150), Status::Ok);
    for minute in 0..7 {
        told.sees("web-1", "queue", ago(140 - minute * 4), Status::Warning);
        told.sees("web-1", "queue", ago(138 - minute * 4), Status::Ok);
    }
    for (place, check) in ["p1", "p2", "p3", "p4", "p5"].into_iter().enumerate() {
        told.sees("db-1", check, ago(100 - i64::try_from(place).unwrap()), Status::Warning);
    }
    for minute in 0..5 {
        told.line(ago(60 - minute), Severity::Error, "upstream timed out");
    }
    told.asks("jo", ago(20), Intent::NoteSystem { system: "shop/db-1".parse().unwrap(), text: "failed over by hand".into() });
    told.sees("web-1", "hit-rate", ago(16), Status::Critical);
    told
}

#[test]
fn a_night_in_words() {
    insta::assert_snapshot!("night", written(&night().today(ago(8 * 60), NOW)));
}

#[test]
fn the_day_before_is_told_as_it_was_then() {
    // Of the day before, only what began before its end; what ended later is said to have.
    insta::assert_snapshot!("night_before", written(&night().today(ago(30 * 60), ago(155))));
}

#[test]
fn what_is_not_known_is_said() {
    let told = night();
    let ask = Ask { from: ago(600), until: NOW, now: NOW, zone: berlin(), system: None };
    for (reach, words) in [
        (Reach::Since(ago(90)), "keeps nothing from before 01:27"),
        (Reach::To(ago(30)), "after 02:27 is left out"),
        (Reach::Asked, "is being asked"),
        (Reach::Unreached, "as far as known"),
    ] {
        let known = Known { events: told.log.clone(), reach };
        let caveats = tell(&told.sky(), &[known], &ask).caveats.join("\n");
        assert!(caveats.contains(words), "{caveats}");
    }
    let nobody = tell(&Sky::default(), &[], &ask);
    assert_eq!(nobody.summary.first().unwrap().words.to_string(), "No server could be asked: what happened is not known.");
}

#[test]
fn only_the_system_that_is_asked_for() {
    let told = night();
    let known = [Known { events: told.log.clone(), reach: Reach::Whole }];
    let ask = Ask { from: ago(600), until: NOW, now: NOW, zone: berlin(), system: Some("shop/db-1".into()) };
    let today = tell(&told.sky(), &known, &ask);
    assert_eq!(today.sections.iter().map(|section| section.name.as_str()).collect::<Vec<_>>(), ["shop/db-1"]);
}

/// A thousand events become a text that can be read.
#[test]
fn a_storm_is_told_in_few_sentences() {
    let mut told = Told::new(1, ago(60 * 24));
    for check in 0..400 {
        for round in 0..4 {
            told.sees("web-1", &format!("check-{check}"), ago(200 - round * 20), Status::Critical);
            told.sees("web-1", &format!("check-{check}"), ago(190 - round * 20), Status::Ok);
        }
    }
    let today = told.today(ago(8 * 60), NOW);
    assert!(told.log.len() > 3_000);
    assert!(today.sentences().count() < 20, "{}", written(&today));
}

#[derive(Clone, Debug)]
enum Happens {
    Sees(bool, u8, u8),
    Acknowledged,
    Change,
    Line(u8),
    Note,
}

fn happenings() -> impl Strategy<Value = Vec<(u16, Happens)>> {
    let one = prop_oneof![
        8 => (any::<bool>(), 0..4_u8, 0..3_u8).prop_map(|(agent, check, status)| Happens::Sees(agent, check, status)),
        1 => Just(Happens::Acknowledged),
        1 => Just(Happens::Change),
        1 => (0..6_u8).prop_map(Happens::Line),
        1 => Just(Happens::Note),
    ];
    prop::collection::vec((1..300_u16, one), 0..80)
}

fn lived(happenings: &[(u16, Happens)]) -> Told {
    let total: i64 = happenings.iter().map(|(gap, _)| i64::from(*gap)).sum();
    let mut at = ago(total + 1);
    let mut told = Told::new(1, at.minus(Span::from_days(1)));
    for (gap, what) in happenings {
        at = at.plus(Span::from_mins(i64::from(*gap)));
        match what {
            Happens::Sees(agent, check, status) => {
                let status = [Status::Ok, Status::Warning, Status::Critical][usize::from(*status)];
                told.sees(if *agent { "web-1" } else { "db-1" }, &format!("check-{check}"), at, status);
            }
            Happens::Acknowledged => told.acknowledge("kim", at),
            Happens::Change => told.change("ci", at, "deploy 17"),
            Happens::Line(rank) => told.line(at, Severity::from_rank(*rank), "a line"),
            Happens::Note => told.asks("jo", at, Intent::NoteSystem { system: "shop/db-1".parse().unwrap(), text: "seen".into() }),
        }
    }
    told
}

proptest! {
    /// Every warning and worse is in a sentence; every number is the number of the events that it counts, each of
    /// them one of its sentence's; our own words hold no number.
    #[test]
    fn nothing_bad_is_left_out_and_numbers_are_counts(what in happenings(), from in 0..5_000_i64, length in 1..5_000_i64) {
        let told = lived(&what);
        let (from, until) = (ago(from + length), ago(from));
        let today = told.today(from, until);
        let all: BTreeSet<_> = today.sections.iter().flat_map(|section| &section.sentences).flat_map(|sentence| sentence.events.iter().copied()).collect();
        for event in told.log.iter().filter(|event| event.at >= from && event.at < until && event.severity >= Severity::Warning) {
            prop_assert!(all.contains(&event.id), "{event:?} is in no sentence:\n{}", written(&today));
        }
        for sentence in today.sentences() {
            prop_assert!(sentence.events.windows(2).all(|pair| pair[0] < pair[1]));
            for piece in &sentence.words.0 {
                match piece {
                    Piece::Count { of, many, .. } => {
                        let distinct: BTreeSet<_> = of.iter().filter(|id| id.incarnation.0 > 0).collect();
                        let nameless = of.iter().filter(|id| id.incarnation.0 == 0).count();
                        prop_assert_eq!(distinct.len() + nameless, of.len(), "{}", sentence.words);
                        prop_assert!(distinct.iter().all(|id| sentence.events.contains(id)), "{}", sentence.words);
                        if *many == "times" {
                            // As often as it opened in the span, and once more if the span found it open.
                            let alert = told.log.iter().find(|event| Some(&event.id) == of.last()).and_then(|event| event.alert());
                            let opened = told.log.iter().filter(|event| matches!(event.kind, Kind::AlertOpened(_)) && event.alert() == alert && event.at >= from && event.at < until).count();
                            prop_assert!(of.len() == opened || of.len() == opened + 1, "{}: {opened}", sentence.words);
                        }
                    }
                    Piece::Text(text) => prop_assert!(!text.bytes().any(|b| b.is_ascii_digit()), "{text}"),
                    Piece::Outside(_) | Piece::Time(_) | Piece::Length(_) | Piece::Past(_) => {}
                }
            }
        }
    }

    /// Events in any order, some of them twice, and asked for in pages of any size: the text is the same.
    #[test]
    fn the_order_of_arrival_is_no_matter(what in happenings(), order in any::<prop::sample::Index>(), page in 1..40_usize, back in 1..9_000_i64) {
        let told = lived(&what);
        let ask = Ask { from: ago(back), until: NOW, now: NOW, zone: berlin(), system: None };
        let straight = tell(&told.sky(), &[Known { events: told.log.clone(), reach: Reach::Whole }], &ask);
        let mut mixed = told.log.clone();
        let turn = order.index(mixed.len());
        mixed.rotate_left(turn);
        mixed.extend(told.log.iter().take(5).cloned());
        let other = tell(&told.sky(), &[Known { events: mixed, reach: Reach::Whole }], &ask);
        prop_assert_eq!(written(&straight), written(&other));

        let known = read(&told.log, ask.from, None, page);
        prop_assert!(matches!(known.reach, Reach::Whole | Reach::Since(_)));
        let paged = tell(&told.sky(), &[known], &ask);
        prop_assert_eq!(&straight.sections, &paged.sections);
    }
}

/// Asks a log as a server answers, in pages of this size.
fn read(log: &[Arc<Event>], from: Time, until: Option<Time>, size: usize) -> Known {
    let mut reading = Reading::new(from, until);
    let mut asks = 0;
    while let Some((page, limit)) = reading.wants() {
        asks += 1;
        assert!(asks < 10_000, "it asks for ever");
        let mut rows: Vec<&Arc<Event>> = log.iter().collect();
        rows.sort_by_key(|event| (event.at, event.id.sequence));
        let limit = limit.min(size);
        let (page, complete): (Vec<Arc<Event>>, bool) = match page {
            Page::Before(at, sequence) => {
                let before: Vec<_> = rows.into_iter().rev().filter(|event| (event.at, event.id.sequence) < (at, sequence)).cloned().collect();
                (before.iter().take(limit).cloned().collect(), before.len() < limit)
            }
            Page::After(at, sequence) => {
                let after: Vec<_> = rows.into_iter().filter(|event| (event.at, event.id.sequence) > (at, sequence)).cloned().collect();
                (after.iter().take(limit).cloned().collect(), after.len() < limit)
            }
        };
        reading.take(&page, true, complete);
    }
    reading.known()
}

#[test]
fn a_span_before_all_that_is_kept_says_since_when_something_is() {
    let told = night();
    let began = told.log.first().unwrap().at;
    assert_eq!(read(&told.log, ago(50 * 24 * 60), Some(ago(45 * 24 * 60)), 100).reach, Reach::Since(began));
    assert_eq!(read(&told.log, ago(100), None, 7).reach, Reach::Whole);
}
