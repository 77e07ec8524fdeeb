//! From lines of the recording to what really is said: observations, an Alertmanager's JSON, requests.

use std::sync::Arc;

use serde_json::{Value, json};

use super::cast::Player;
use super::recording::{Ask, EVERY, Fired, Happened, Observed, Of};
use crate::model::event::Link;
use crate::model::id::{EventId, Fingerprint};
use crate::model::intent::Intent;
use crate::model::observation::{Metric, Observation};
use crate::model::time::{Span, Time};
use crate::model::world::World;

/// What the agent sends. Nothing for a check that the cast does not have.
pub fn observation(player: &Player, observed: &Observed, at: Time) -> Option<Observation> {
    let machine = player.machine(&observed.agent)?;
    let spec = machine.check(&observed.check)?;
    Some(Observation {
        agent: machine.agent.clone(),
        check: spec.check.clone(),
        system: spec.system.clone(),
        at,
        status: observed.status,
        text: observed.text.clone(),
        details: "".into(),
        metrics: metric(&observed.check, &observed.text).into_iter().collect(),
        every: EVERY,
        attempts: observed.attempts,
        runbook: None,
    })
}

/// The first number of the text, as a check's performance data would have it.
fn metric(check: &str, text: &str) -> Option<Metric> {
    let mut words = text.split(' ').skip_while(|word| word.parse::<f64>().is_err());
    let value = words.next()?.parse().ok()?;
    let unit = words.next().filter(|word| word.len() <= 3).unwrap_or_default();
    Some(Metric { name: check.into(), value, unit: unit.into(), warning: "".into(), critical: "".into() })
}

/// How long Prometheus vouches for an alert with each push: four of its intervals.
const LEASE: Span = Span::from_mins(4);

/// One element of what Prometheus posts to `/api/v2/alerts`. While it fires it is vouched for from `now` on.
pub fn posted(server: &str, fired: &Fired, since: Time, over: Option<Time>, now: Time) -> Value {
    let ends = over.unwrap_or(now.plus(LEASE));
    let host = format!("{server}.example");
    let expr: String = fired.expr.bytes().map(|b| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") }).collect();
    json!({
        "labels": {
            "alertname": &*fired.alertname,
            "system": &*fired.system,
            "severity": fired.severity.word(),
            "prometheus": format!("{server}/main"),
        },
        "annotations": {
            "summary": &*fired.summary,
            "runbook_url": format!("https://runbooks.{host}/rules/{}", fired.alertname),
            "dashboard_url": format!("https://graphs.{host}/d/{}", fired.system.replace('/', "-")),
        },
        "startsAt": since.to_string(),
        "endsAt": ends.to_string(),
        "generatorURL": format!("https://prometheus.{host}/graph?g0.expr={expr}&g0.tab=1"),
    })
}

/// One line of what a feed posts to `/api/v1/events`.
pub fn event(happened: &Happened, at: Time) -> Value {
    json!({
        "at": at.to_string(),
        "system": &*happened.system,
        "kind": &*happened.kind,
        "title": &*happened.title,
        "severity": "info",
    })
}

/// What a person asks, on the world as the person sees it. Nothing: the alert is not there.
pub fn intent(ask: &Ask, world: &World, until: impl Fn(super::recording::Ago) -> Time) -> Option<Intent> {
    Some(match ask {
        Ask::Acknowledge { of, note } => {
            let (alert, episode) = open(world, of)?;
            Intent::Acknowledge { alert, episode, note: note.clone() }
        }
        Ask::Assign { of, to } => {
            let (alert, episode) = open(world, of)?;
            Intent::Assign { alert, episode, to: Some((&**to).into()) }
        }
        Ask::Snooze { of, until: ago } => {
            let (alert, episode) = open(world, of)?;
            Intent::Snooze { alert, episode, until: until(*ago), note: "".into() }
        }
        Ask::Resolve { of, note } => {
            let (alert, episode) = open(world, of)?;
            Intent::Resolve { alert, episode, note: note.clone() }
        }
        Ask::NoteAlert { of, text } => Intent::NoteAlert { alert: known(world, of)?, text: text.clone() },
        Ask::Note { system, text } => Intent::NoteSystem { system: system.parse().ok()?, text: text.clone() },
        Ask::Change { system, title, link } => Intent::Change {
            system: system.parse().ok()?,
            title: title.clone(),
            text: "".into(),
            version: None,
            links: link.iter().map(|url| Link { name: Arc::from("pipeline"), url: url.clone() }).collect(),
        },
    })
}

fn is(of: &Of, alert: &crate::model::world::Alert) -> bool {
    alert.system.as_str() == &*of.system && alert.check.as_str() == &*of.check
}

fn open(world: &World, of: &Of) -> Option<(Fingerprint, EventId)> {
    world.open_alerts().find(|(_, alert)| is(of, alert)).and_then(|(fingerprint, alert)| Some((fingerprint, alert.now?.episode)))
}

fn known(world: &World, of: &Of) -> Option<Fingerprint> {
    world.alerts.iter().find(|(_, alert)| is(of, alert)).map(|(fingerprint, _)| *fingerprint)
}
