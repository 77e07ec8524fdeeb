//! The story as the core understands it, without sockets: what Now and the rest will say.

use std::sync::Arc;

use super::cast::{Cast, Player};
use super::night;
use super::plan;
use super::recording::{Line, Said};
use super::speak;
use crate::link::{Random, SeededRandom};
use crate::model::event::{Actor, Draft, Kind, Other};
use crate::model::history::Verdict;
use crate::model::id::{Incarnation, Origin};
use crate::model::intent::Request;
use crate::model::observation::AgentHello;
use crate::model::primary::{Primary, Rules};
use crate::model::report::{Report, Reported, ReportedState};
use crate::model::severity::Severity;
use crate::model::time::{Span, Time};
use crate::model::view::alerts::{AlertRow, Asks};
use crate::model::view::now::Now;
use crate::model::view::{Freshness, Seen, Sky, detail};

struct Rehearsal {
    sky: Sky,
    events: usize,
    messages: usize,
    start: Time,
    refused: Vec<String>,
}

fn rehearse(start: Time) -> Rehearsal {
    let cast = Cast::read().unwrap();
    let lines = night::recording(&cast);
    let random = SeededRandom::new(7);
    let (mut servers, mut events, mut refused) = (Vec::new(), 0, Vec::new());
    for (number, player) in (1_u8..).zip(&cast.servers) {
        let born = start.minus(Span::from_days(30));
        let mut primary = Primary::new(crate::model::world::World::new(Origin([number; 16]), Incarnation(1)), Rules::default(), born);
        events += primary.configure(&player.systems, born).len();
        for machine in &player.agents {
            let hello = AgentHello {
                agent: machine.agent.clone(),
                system: machine.system.clone(),
                version: "0.1.0".into(),
                keepalive: Span::from_secs(10),
                checks: machine.checks.iter().map(|spec| spec.check.clone()).collect(),
                facts: machine.facts(),
            };
            events += primary.hello(&hello, born).len();
        }
        for step in plan::steps(player, &lines) {
            for line in step.said.iter().chain(&step.asked) {
                match say(&mut primary, player, line, start, &random) {
                    Ok(count) => events += count,
                    Err(why) => refused.push(why),
                }
            }
            events += primary.tick(start).len();
        }
        servers.push(Seen { name: player.name.clone(), world: Arc::new(primary.world), freshness: Freshness::Live { age: Span::ZERO } });
    }
    Rehearsal { sky: Sky::new(servers), events, messages: lines.len(), start, refused }
}

fn say(primary: &mut Primary, player: &Player, line: &Line, start: Time, random: &SeededRandom) -> Result<usize, String> {
    let at = line.ago.before(start);
    let events = match &line.said {
        Said::Observed(observed) => primary.observe(&speak::observation(player, observed, at).ok_or("no such check")?, start),
        Said::Alert(fired) => {
            let reported = Reported {
                system: fired.system.parse().unwrap(),
                check: (&*fired.alertname).into(),
                severity: fired.severity,
                title: fired.summary.clone(),
                text: "".into(),
                labels: Default::default(),
                links: Vec::new(),
                expr: Some(fired.expr.clone()),
                starts: fired.since.before(start),
                state: if fired.over { ReportedState::Resolved { at } } else { ReportedState::Firing { until: Some(start.plus(Span::from_mins(4))) } },
            };
            primary.report(&Report { source: "prometheus".into(), at: start, alerts: vec![reported], complete: false }, start)
        }
        Said::Happened(happened) => {
            let kind = Kind::Other(Other { kind: happened.kind.clone(), data: Default::default() });
            let draft = Draft::new(at, Actor::Source("feed".into()), kind, happened.title.clone()).on(happened.system.parse().unwrap());
            primary.record(vec![draft], start)
        }
        Said::Asked(asked) => {
            let intent = speak::intent(&asked.ask, &primary.world, |ago| ago.before(start)).ok_or_else(|| format!("no such alert: {line:?}"))?;
            let request = Request { id: random.request_id(), by: (&*asked.by).into(), made: at, intent };
            primary.request(&request, start).map_err(|refusal| format!("{refusal}: {line:?}"))?
        }
    };
    Ok(events.len())
}

fn start() -> Time {
    "2026-11-21T01:57:00Z".parse().unwrap()
}

fn row<'a>(now: &'a Now, name: &str, check: &str) -> &'a AlertRow {
    let found = now.entries.iter().map(|entry| &entry.row).find(|row| row.name == name && row.check.as_str() == check);
    found.unwrap_or_else(|| panic!("no row for {name} {check} in {}", print(now)))
}

fn print(now: &Now) -> String {
    let line = |row: &AlertRow| format!("{:?} {} {} · {} · {} · {}", row.asks(), row.word(), row.name, row.title, row.who(), row.history.words(start()));
    let entries = now.entries.iter().map(|entry| {
        let effects: String = entry.effects.iter().map(|row| format!("      {}\n", line(row))).collect();
        format!("{}\n{effects}", line(&entry.row))
    });
    format!("{:?}\n{}", now.headline(), entries.collect::<String>())
}

#[test]
fn the_night_tells_its_story() {
    let night = rehearse(start());
    assert_eq!(night.refused, Vec::<String>::new());
    assert!(night.events >= 5_000 && night.messages >= 5_000, "{} events of {} messages", night.events, night.messages);
    let now = Now::of(&night.sky, night.start);
    if std::env::var_os("DEMO_PRINT").is_some() {
        eprintln!("{} events of {} messages\n{}", night.events, night.messages, print(&now));
    }
    assert!((1..=5).contains(&now.need_you), "{}", print(&now));
    assert!(now.usual >= 24, "{}", print(&now));

    let varnish = row(&now, "shop/varnish", "hit-rate");
    assert_eq!((varnish.asks(), varnish.severity, varnish.history.verdict), (Asks::You, Severity::Critical, Verdict::New));
    assert_eq!(varnish.history.words(night.start), "new: first in 30 known days");
    let ceph = row(&now, "dc1/ceph", "osds");
    assert_eq!((ceph.asks(), ceph.history.verdict), (Asks::You, Verdict::Rare));
    let under = now.entries.iter().find(|entry| entry.row.alert == ceph.alert).unwrap();
    assert!(under.effects.len() >= 15, "{}", print(&now));
    let words = under.effect_words(&night.sky);
    assert!(words.contains("shop") && words.contains("club") && !words.contains("infra"), "{words}");
    let scores = row(&now, "club/scores", "delay");
    assert_eq!((scores.who().as_str(), scores.history.words(night.start).as_str()), ("kim", "recurring: Saturdays"));
    assert_eq!(row(&now, "shop/erp", "export").who(), "robin");
    assert_eq!(row(&now, "club/tickets", "certificate").asks(), Asks::Later);
    let vault = row(&now, "backup/vault", "disk-vault");
    assert_eq!((vault.asks(), vault.history.verdict), (Asks::Nobody, Verdict::Chronic));
    let ingest = row(&now, "club/streaming", "ingest");
    assert_eq!((ingest.asks(), ingest.history.verdict), (Asks::Nobody, Verdict::Flapping));
}

#[test]
fn what_changed_before_the_new_alert_is_its_suspect() {
    let night = rehearse(start());
    let now = Now::of(&night.sky, night.start);
    let varnish = detail::detail(&night.sky, row(&now, "shop/varnish", "hit-rate").alert, night.start).unwrap();
    let first = &varnish.changes[0];
    assert_eq!((&*first.title, first.by.as_str(), first.suspect, first.before), ("deploy shop 4f3a2c", "ci", true, Span::from_mins(2)));
    let second = &varnish.changes[1];
    assert_eq!((&*second.title, second.by.as_str(), second.suspect, second.before), ("config ttl 60 → 5", "jo", false, Span::from_mins(46)));
    assert!(varnish.deeds.iter().any(|deed| deed.by == "kim"), "{:?}", varnish.deeds);
    assert!(varnish.elsewhere.iter().any(|line| line.starts_with("club/website")), "{:?}", varnish.elsewhere);
    assert!(!varnish.runbooks.is_empty() && !varnish.contacts.is_empty() && !varnish.dashboards.is_empty());
}

/// The story must hold at whatever time somebody looks at it.
#[test]
fn the_story_does_not_depend_on_the_hour() {
    for hours in [0, 5, 11, 17, 22] {
        let start = start().plus(Span::from_hours(hours));
        let night = rehearse(start);
        let now = Now::of(&night.sky, start);
        assert!((1..=5).contains(&now.need_you), "{hours}: {}", print(&now));
        assert_eq!(row(&now, "shop/varnish", "hit-rate").history.verdict, Verdict::New);
        assert_eq!(row(&now, "club/scores", "delay").history.verdict, Verdict::Recurring);
        assert!(row(&now, "club/scores", "delay").history.habit.days.is_some());
    }
}
