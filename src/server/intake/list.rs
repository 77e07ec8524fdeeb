//! `GET /api/v2/alerts` and `/groups`: the open alerts as Alertmanager's clients expect them.
//!
//! What is needed is taken from the core at once (shared, not copied); it is filtered and written, into
//! one buffer, outside of it. Every alert shows `alertname`, `system` and `severity`, so that
//! `amtool alert query system=shop/varnish` finds what an agent found.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use axum::Extension;
use axum::extract::{RawQuery, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::guard::{Refused, Sender};
use super::{Core, Intake};
use crate::model::event::Silence;
use crate::model::id::Fingerprint;
use crate::model::primary::Primary;
use crate::model::time::{Span, Time};
use crate::model::world::Alert;
use crate::server::mapping::matcher::{Matcher, Op};

/// What the query of a GET asks for (`getAlerts` of Alertmanager's `openapi.yaml`).
struct Query {
    filter: Vec<Matcher>,
    active: bool,
    silenced: bool,
    unprocessed: bool,
    receiver: Option<Matcher>,
}

impl Query {
    fn read(query: Option<&str>) -> Result<Query, Refused> {
        let mut out = Query { filter: Vec::new(), active: true, silenced: true, unprocessed: true, receiver: None };
        for (name, value) in pairs(query.unwrap_or_default()) {
            let flag = || value.parse::<bool>().map_err(|_| Refused::bad(format!("{name} is `{value}`; write true or false")));
            match &*name {
                "filter" => out.filter.extend(Matcher::parse_list(&value).map_err(|error| Refused::bad(format!("filter: {error}")))?),
                "active" => out.active = flag()?,
                "silenced" => out.silenced = flag()?,
                "unprocessed" => out.unprocessed = flag()?,
                // Nothing is inhibited or muted here: asking for it or not makes no difference.
                "inhibited" | "muted" => {
                    flag()?;
                }
                "receiver" => {
                    out.receiver = Some(Matcher::new("receiver", Op::Like, &value).map_err(|error| Refused::bad(format!("receiver: {}", error.why)))?)
                }
                // What later versions of its clients ask is not ours to refuse.
                _ => {}
            }
        }
        Ok(out)
    }

    fn wants(&self, sight: &Sight<'_>) -> bool {
        if self.receiver.as_ref().is_some_and(|receiver| !receiver.matches("midwatch")) {
            return false;
        }
        let state = if sight.silenced.is_empty() { self.active } else { self.silenced };
        state && self.filter.iter().all(|matcher| matcher.matches(sight.label(&matcher.name)))
    }
}

/// Name and value pairs of a query, decoded; what is not UTF-8 becomes U+FFFD.
fn pairs(query: &str) -> impl Iterator<Item = (String, String)> + '_ {
    query.split('&').filter(|part| !part.is_empty()).map(|part| {
        let (name, value) = part.split_once('=').unwrap_or((part, ""));
        (decoded(name), decoded(value))
    })
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let (byte, tail) = match (first, tail) {
            (b'+', tail) => (b' ', tail),
            (b'%', [high, low, tail @ ..]) => match std::str::from_utf8(&[*high, *low]).ok().and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
                Some(byte) => (byte, tail),
                None => (b'%', rest.get(1..).unwrap_or_default()),
            },
            (byte, tail) => (*byte, tail),
        };
        bytes.push(byte);
        rest = tail;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// An open alert, shared with the core.
struct Held {
    fingerprint: Fingerprint,
    alert: Arc<Alert>,
    /// Until when its source vouches for it.
    until: Option<Time>,
}

fn held(primary: &Primary) -> Vec<Held> {
    let world = &primary.world;
    let of = |fingerprint: &Fingerprint| {
        let alert = world.alerts.get(fingerprint)?.clone();
        let until = primary.vitals.leases.get(fingerprint).and_then(|leases| leases.iter().map(|lease| lease.until).max());
        Some(Held { fingerprint: *fingerprint, alert, until })
    };
    world.open.iter().filter_map(of).collect()
}

/// A silence that counts now, compiled.
struct Muting {
    id: Arc<str>,
    matchers: Vec<Matcher>,
}

fn mutings(silences: Vec<Silence>, now: Time) -> Vec<Muting> {
    let active = silences.into_iter().filter(|silence| silence.starts <= now && now < silence.ends);
    active
        .filter_map(|silence| {
            let matchers = silence.matchers.iter().map(|m| Matcher::new(&m.name, Op::of(m.equal, m.regex), &m.value)).collect::<Result<Vec<_>, _>>();
            Some(Muting { id: silence.id, matchers: matchers.ok().filter(|matchers| !matchers.is_empty())? })
        })
        .collect()
}

/// An alert as it is shown.
struct Sight<'a> {
    held: &'a Held,
    /// The silences that mute it, and whoever snoozed it.
    silenced: Vec<String>,
}

impl<'a> Sight<'a> {
    fn new(held: &'a Held, mutings: &[Muting], now: Time) -> Sight<'a> {
        let mut sight = Sight { held, silenced: Vec::new() };
        let muted = |muting: &&Muting| muting.matchers.iter().all(|matcher| matcher.matches(sight.label(&matcher.name)));
        let silenced: Vec<String> = mutings.iter().filter(muted).map(|muting| muting.id.to_string()).collect();
        sight.silenced = silenced;
        if let Some(snooze) = held.alert.snooze().filter(|snooze| snooze.until > now) {
            sight.silenced.push(format!("snoozed by {}", snooze.by.name()));
        }
        sight
    }

    fn own(&self, name: &str) -> &str {
        match name {
            "alertname" => self.held.alert.check.as_str(),
            "system" => self.held.alert.system.as_str(),
            "severity" => self.held.alert.severity.word(),
            _ => "",
        }
    }

    fn label(&self, name: &str) -> &str {
        self.held.alert.labels.get(name).unwrap_or_else(|| self.own(name))
    }

    /// One `gettableAlert`.
    fn write(&self, out: &mut Json) {
        let Held { fingerprint, alert, until } = self.held;
        let since = alert.now.map_or(alert.first, |open| open.since);
        out.raw("{\"annotations\":{");
        out.pair("summary", &alert.title);
        if !alert.text.is_empty() {
            out.raw(",");
            out.pair("description", &alert.text);
        }
        for (name, annotation) in [("runbook", "runbook_url"), ("dashboard", "dashboard_url")] {
            if let Some(link) = alert.links.iter().find(|link| &*link.name == name) {
                out.raw(",");
                out.pair(annotation, &link.url);
            }
        }
        out.raw("},\"endsAt\":\"");
        out.time(until.unwrap_or_else(|| since.plus(Span::from_days(365))));
        let _ = write!(out.0, "\",\"fingerprint\":\"{fingerprint}\",\"receivers\":[{{\"name\":\"midwatch\"}}],\"startsAt\":\"");
        out.time(since);
        out.raw("\",\"status\":{\"inhibitedBy\":[],\"mutedBy\":[],\"silencedBy\":[");
        for (place, id) in self.silenced.iter().enumerate() {
            out.raw(if place == 0 { "" } else { "," });
            out.text(id);
        }
        out.raw(if self.silenced.is_empty() { "],\"state\":\"active\"},\"updatedAt\":\"" } else { "],\"state\":\"suppressed\"},\"updatedAt\":\"" });
        out.time(since);
        out.raw("\",\"generatorURL\":");
        out.text(alert.links.iter().find(|link| &*link.name == "query").map_or("", |link| &link.url));
        out.raw(",\"labels\":{");
        let mut first = true;
        let missing = ["alertname", "severity", "system"].into_iter().filter(|name| alert.labels.get(name).is_none()).map(|name| (name, self.own(name)));
        for (name, value) in alert.labels.iter().chain(missing) {
            out.raw(if first { "" } else { "," });
            first = false;
            out.pair(name, value);
        }
        out.raw("}}");
    }
}

/// JSON, written by hand into one buffer: a list of ten thousand alerts is asked for often.
struct Json(String);

impl Json {
    fn raw(&mut self, text: &str) {
        self.0.push_str(text);
    }

    fn pair(&mut self, name: &str, value: &str) {
        self.text(name);
        self.raw(":");
        self.text(value);
    }

    fn text(&mut self, text: &str) {
        self.0.push('"');
        if text.bytes().any(|b| b < 0x20 || b == b'"' || b == b'\\') {
            for c in text.chars() {
                match c {
                    '"' => self.0.push_str("\\\""),
                    '\\' => self.0.push_str("\\\\"),
                    c if c < ' ' => {
                        let _ = write!(self.0, "\\u{:04x}", u32::from(c));
                    }
                    c => self.0.push(c),
                }
            }
        } else {
            self.0.push_str(text);
        }
        self.0.push('"');
    }

    fn time(&mut self, time: Time) {
        let _ = write!(self.0, "{time}");
    }

    fn answer(self) -> Response {
        ([(header::CONTENT_TYPE, "application/json")], self.0).into_response()
    }
}

async fn everything<C: Core>(intake: &Intake<C>, sender: &Sender) -> Result<(Vec<Held>, Vec<Muting>, Time), Refused> {
    let (mut held, silences) = intake
        .core
        .look(|primary| (held(primary), primary.world.sources.values().flat_map(|source| source.silences.values().cloned()).collect::<Vec<_>>()))
        .await?;
    // Who may not speak of a system is not told of it either.
    held.retain(|held| sender.may(Some(&held.alert.system)).is_ok());
    let now = intake.core.now();
    Ok((held, mutings(silences, now), now))
}

/// `GET /api/v2/alerts`.
pub(super) async fn alerts<C: Core>(
    State(intake): State<Intake<C>>,
    Extension(sender): Extension<Sender>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refused> {
    let query = Query::read(query.as_deref())?;
    let (held, mutings, now) = everything(&intake, &sender).await?;
    let mut out = Json(String::with_capacity(held.len().saturating_mul(800)));
    out.raw("[");
    let mut first = true;
    for held in &held {
        let sight = Sight::new(held, &mutings, now);
        if query.wants(&sight) {
            out.raw(if first { "" } else { "," });
            first = false;
            sight.write(&mut out);
        }
    }
    out.raw("]\n");
    Ok(out.answer())
}

/// `GET /api/v2/alerts/groups`: a group is a system.
pub(super) async fn groups<C: Core>(
    State(intake): State<Intake<C>>,
    Extension(sender): Extension<Sender>,
    RawQuery(query): RawQuery,
) -> Result<Response, Refused> {
    let query = Query::read(query.as_deref())?;
    let (held, mutings, now) = everything(&intake, &sender).await?;
    let mut systems: BTreeMap<&str, Vec<Sight<'_>>> = BTreeMap::new();
    for held in &held {
        let sight = Sight::new(held, &mutings, now);
        if query.wants(&sight) {
            systems.entry(held.alert.system.as_str()).or_default().push(sight);
        }
    }
    let mut out = Json(String::with_capacity(held.len().saturating_mul(800)));
    out.raw("[");
    for (place, (system, sights)) in systems.iter().enumerate() {
        out.raw(if place == 0 { "{\"labels\":{" } else { ",{\"labels\":{" });
        out.pair("system", system);
        out.raw("},\"receiver\":{\"name\":\"midwatch\"},\"alerts\":[");
        for (place, sight) in sights.iter().enumerate() {
            out.raw(if place == 0 { "" } else { "," });
            sight.write(&mut out);
        }
        out.raw("]}");
    }
    out.raw("]\n");
    Ok(out.answer())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_are_decoded_whatever_they_hold() {
        let read: Vec<_> = pairs("filter=a%3D%22b+c%22&x&%zz=%4").collect();
        assert_eq!(read[0], ("filter".to_owned(), "a=\"b c\"".to_owned()));
        assert_eq!(read[1], ("x".to_owned(), String::new()));
        assert_eq!(read[2], ("%zz".to_owned(), "%4".to_owned()));
    }

    #[test]
    fn texts_are_escaped_as_json_asks() {
        let mut out = Json(String::new());
        let hostile = "a\"b\\c\n\u{1b}\u{0}ä\u{2028}";
        out.text(hostile);
        assert_eq!(serde_json::from_str::<String>(&out.0).unwrap(), hostile);
    }

    #[test]
    fn what_a_query_cannot_mean_is_said() {
        assert!(Query::read(Some("active=maybe")).err().unwrap().why.contains("true or false"));
        assert!(Query::read(Some("filter=%3D")).err().unwrap().why.contains("column 1"));
        assert!(Query::read(Some("receiver=(")).err().unwrap().why.contains("receiver"));
    }
}
