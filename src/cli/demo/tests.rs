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
use crate::model::view::alerts::{AlertRow, Asks, rows};
use crate::model::view::entries::Entry;
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
                value: None,
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
            let request = Request { id: random.request_id(), by: (&*asked.by).into(), made: at, intent, signed: None };
            primary.request(&request, start).map_err(|refusal| format!("{refusal}: {line:?}"))?
        }
    };
    Ok(events.len())
}

fn start() -> Time {
    "2026-11-21T01:57:00Z".parse().unwrap()
}

/// What Now shows of a night, with its rows.
struct Shown {
    rows: Vec<AlertRow>,
    now: Now,
}

fn shown(sky: &Sky, at: Time) -> Shown {
    let rows = rows(sky, at);
    Shown { now: Now::of(sky, &rows), rows }
}

impl Shown {
    fn head(&self, name: &str, check: &str) -> &Entry {
        let is = |row: &AlertRow| row.name == name && row.check.as_str() == check;
        self.now.entries.iter().find(|entry| is(&self.rows[entry.row])).unwrap_or_else(|| panic!("no row for {name} {check} in {}", self.print()))
    }

    fn row(&self, name: &str, check: &str) -> &AlertRow {
        &self.rows[self.head(name, check).row]
    }

    fn print(&self) -> String {
        let line = |row: &AlertRow| format!("{:?} {} {} · {} · {} · {}", row.asks(), row.word(), row.name, row.title, row.who(), row.history.words(start()));
        let entries = self.now.entries.iter().map(|entry| {
            let effects: String = entry.effects.iter().map(|(row, depth)| format!("{}{}\n", "      ".repeat(*depth), line(&self.rows[*row]))).collect();
            format!("{}\n{effects}", line(&self.rows[entry.row]))
        });
        format!("{:?}\n{}", self.now.headline(), entries.collect::<String>())
    }
}

#[test]
fn the_night_tells_its_story() {
    let night = rehearse(start());
    assert_eq!(night.refused, Vec::<String>::new());
    assert!(night.events >= 5_000 && night.messages >= 5_000, "{} events of {} messages", night.events, night.messages);
    let now = shown(&night.sky, night.start);
    if std::env::var_os("DEMO_PRINT").is_some() {
        eprintln!("{} events of {} messages\n{}", night.events, night.messages, now.print());
    }
    assert!((1..=5).contains(&now.now.need_you), "{}", now.print());
    assert!(now.now.usual >= 24, "{}", now.print());

    let varnish = now.row("shop/varnish", "hit-rate");
    assert_eq!((varnish.asks(), varnish.severity, varnish.history.verdict), (Asks::You, Severity::Critical, Verdict::New));
    assert_eq!(varnish.history.words(night.start), "new: first in 30 known days");
    let ceph = now.row("dc1/ceph", "osds");
    assert_eq!((ceph.asks(), ceph.history.verdict), (Asks::You, Verdict::Rare));
    let under = now.head("dc1/ceph", "osds");
    assert!(under.effects.len() >= 15, "{}", now.print());
    let words = under.places(&night.sky, &now.rows);
    assert!(words.contains("shop") && words.contains("club") && !words.contains("infra"), "{words}");
    let scores = now.row("club/scores", "delay");
    assert_eq!((scores.who().as_str(), scores.history.words(night.start).as_str()), ("kim", "recurring: Saturdays"));
    assert_eq!(now.row("shop/erp", "export").who(), "robin");
    assert_eq!(now.row("club/tickets", "certificate").asks(), Asks::Later);
    let vault = now.row("backup/vault", "disk-vault");
    assert_eq!((vault.asks(), vault.history.verdict), (Asks::Nobody, Verdict::Chronic));
    let ingest = now.row("club/streaming", "ingest");
    assert_eq!((ingest.asks(), ingest.history.verdict), (Asks::Nobody, Verdict::Flapping));
}

#[test]
fn what_changed_before_the_new_alert_is_its_suspect() {
    let night = rehearse(start());
    let now = shown(&night.sky, night.start);
    let varnish = detail::detail(&night.sky, &now.rows, now.row("shop/varnish", "hit-rate").alert, night.start).unwrap();
    let first = &varnish.changes[0];
    assert_eq!((&*first.title, first.by.as_str(), first.likely, first.before), ("deploy shop 4f3a2c", "ci", true, Span::from_mins(2)));
    let second = &varnish.changes[1];
    assert_eq!((&*second.title, second.by.as_str(), second.likely, second.before), ("config ttl 60 → 5", "jo", false, Span::from_mins(46)));
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
        let now = shown(&night.sky, start);
        assert!((1..=5).contains(&now.now.need_you), "{hours}: {}", now.print());
        assert_eq!(now.row("shop/varnish", "hit-rate").history.verdict, Verdict::New);
        assert_eq!(now.row("club/scores", "delay").history.verdict, Verdict::Recurring);
        assert!(now.row("club/scores", "delay").history.habit.days.is_some());
    }
}
