//! Alertmanager's API v2, read: alerts and silences (`api/v2/openapi.yaml`).

use std::sync::Arc;

use serde::Deserialize;

use super::client::{Client, PollError};
use super::{Listed, Listing};
use crate::model::event::{Silence, SilenceMatcher};
use crate::model::time::Time;
use crate::server::intake::json;
use crate::server::mapping::{Pairs, Raw, Text};

/// Silences of one source that are looked at.
const MOST_SILENCES: usize = 10_000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Gettable<'a> {
    #[serde(borrow)]
    labels: Pairs<'a>,
    #[serde(borrow, default)]
    annotations: Pairs<'a>,
    #[serde(borrow, default)]
    starts_at: Text<'a>,
    #[serde(borrow, default, rename = "generatorURL")]
    generator: Text<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GettableSilence {
    id: Arc<str>,
    status: SilenceStatus,
    matchers: Vec<GettableMatcher>,
    starts_at: Time,
    ends_at: Time,
    #[serde(default)]
    created_by: String,
    #[serde(default)]
    comment: String,
}

#[derive(Deserialize)]
struct SilenceStatus {
    state: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct GettableMatcher {
    name: Arc<str>,
    value: Arc<str>,
    is_regex: bool,
    /// Absent before Alertmanager 0.22: equal.
    is_equal: Option<bool>,
}

#[derive(Deserialize)]
struct Status {
    uptime: Time,
}

/// Asks for everything.
pub(super) async fn ask(client: &Client) -> Result<Listing, PollError> {
    let status = client.get("/api/v2/status").await?;
    let started = serde_json::from_slice::<Status>(&status.body).map_err(|error| shape("status", &error))?.uptime;
    let alerts = client.get("/api/v2/alerts?active=true&silenced=true&inhibited=true&unprocessed=true").await?;
    let held = client.get("/api/v2/silences").await?;
    let silences = silences(&held.body)?;
    Ok(Listing { body: alerts.body, started: Some(started), date: alerts.date, silences: Some(silences), external: Vec::new() })
}

/// The alerts of an answer: Alertmanager lists those that are not over, silenced or not.
pub(super) fn alerts<'a>(body: &'a [u8]) -> Result<Vec<Listed<'a>>, PollError> {
    let alerts: Vec<Gettable<'a>> = serde_json::from_slice(body).map_err(|error| shape("alerts", &error))?;
    let listed = |alert: Gettable<'a>| {
        let starts = json::time(&alert.starts_at.0).map_err(|why| PollError(format!("startsAt of an alert: {why}")))?;
        let raw = Raw { labels: alert.labels.without_empty(), annotations: alert.annotations, generator: alert.generator.0 };
        Ok(Listed { raw, starts: starts.unwrap_or_default(), expr: None, value: None })
    };
    alerts.into_iter().map(listed).collect()
}

fn silences(body: &[u8]) -> Result<Vec<Silence>, PollError> {
    let silences: Vec<GettableSilence> = serde_json::from_slice(body).map_err(|error| shape("silences", &error))?;
    let short = |text: String| -> Arc<str> { text.chars().take(1_000).collect::<String>().into() };
    let silence = |silence: GettableSilence| Silence {
        id: silence.id,
        matchers: silence
            .matchers
            .into_iter()
            .map(|m| SilenceMatcher { name: m.name, value: m.value, regex: m.is_regex, equal: m.is_equal.unwrap_or(true) })
            .collect(),
        starts: silence.starts_at,
        ends: silence.ends_at,
        by: short(silence.created_by),
        comment: short(silence.comment),
    };
    Ok(silences.into_iter().filter(|silence| silence.status.state != "expired").take(MOST_SILENCES).map(silence).collect())
}

fn shape(what: &str, error: &serde_json::Error) -> PollError {
    PollError(format!("its {what} are not those of Alertmanager's API v2 ({error}); is `url` that of an Alertmanager?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_and_silences_are_read_as_documented() {
        let body = br#"[{"annotations":{"summary":"full"},"endsAt":"2026-11-21T02:43:00.000Z","fingerprint":"a1","receivers":[{"name":"web"}],
            "startsAt":"2026-11-21T02:39:00.000Z","status":{"inhibitedBy":[],"silencedBy":["x"],"state":"suppressed"},
            "updatedAt":"2026-11-21T02:39:00.000Z","generatorURL":"http://p/graph?g0.expr=up","labels":{"alertname":"Disk","job":"db"}}]"#;
        let listed = alerts(body).unwrap();
        assert_eq!((listed.len(), listed[0].raw.labels.get("alertname")), (1, Some("Disk")));
        let body = br#"[{"id":"7","status":{"state":"active"},"updatedAt":"2026-11-21T02:39:00Z","comment":"wait","createdBy":"kim",
            "startsAt":"2026-11-21T02:39:00Z","endsAt":"2026-11-21T04:39:00Z","matchers":[{"name":"job","value":"db|web","isRegex":true,"isEqual":false}]},
            {"id":"8","status":{"state":"expired"},"startsAt":"2026-11-21T02:39:00Z","endsAt":"2026-11-21T02:40:00Z","matchers":[]}]"#;
        let silences = silences(body).unwrap();
        assert_eq!((silences.len(), &*silences[0].by, silences[0].matchers[0].equal), (1, "kim", false));
        assert!(alerts(b"<html>").err().unwrap().0.contains("is `url` that of an Alertmanager"));
    }
}
