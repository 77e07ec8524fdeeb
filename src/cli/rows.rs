//! Open alerts as commands print them: as a line for people, and as JSON in the export format's names.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use serde::Serialize;

use super::Failure;
use super::output::Tone;
use crate::model::event::Condition;
use crate::model::filter::Filter;
use crate::model::id::{EventId, Fingerprint, Origin};
use crate::model::severity::Severity;
use crate::model::time::Time;
use crate::model::view::Sky;
use crate::model::view::alerts::{AlertRow, AlertSubject, Asks};

/// A filter from the command line; nothing given matches everything.
pub fn filter(text: Option<&str>, now: Time) -> Result<Filter, Failure> {
    match text {
        None => Ok(Filter::all()),
        Some(text) => Filter::new(text, now, &TimeZone::system())
            .map_err(|error| Failure::usage(format!("the filter: {error}"), "A filter is one argument: 'severity:warning+ not state:acked'")),
    }
}

/// Whether a row is what the filter asks for.
pub fn matches(filter: &Filter, sky: &Sky, row: &AlertRow) -> bool {
    let Some(seen) = sky.server(row.server) else { return false };
    seen.world.alert(row.alert.alert).is_some_and(|alert| filter.matches(&AlertSubject { row, alert, server: &seen.name }))
}

/// A row of a table: short id, word, system, title, who, age, history.
pub fn cells(row: &AlertRow, now: Time, beneath: bool) -> Vec<(Tone, String)> {
    let tone = if row.fresh { Tone::Severity(row.severity) } else { Tone::Stale };
    let age = now.since(row.since).to_string();
    let history = match (&row.unrefreshed, row.fresh) {
        (_, false) => format!("{}; as last heard", row.history.words(now)),
        (Some(_), true) => format!("{}; not refreshed", row.history.words(now)),
        (None, true) => row.history.words(now),
    };
    vec![
        (Tone::Muted, short(row.alert.alert)),
        (tone, row.word().to_owned()),
        (Tone::Strong, format!("{}{}", if beneath { "└ " } else { "" }, row.name)),
        (Tone::Plain, row.title.to_string()),
        (
            Tone::Plain,
            if row.who().is_empty() {
                String::new()
            } else {
                format!("{} has it", row.who()).replace("snoozed has it", "snoozed").replace("silenced has it", "silenced")
            },
        ),
        (Tone::Muted, age),
        (Tone::Muted, history),
    ]
}

/// Eight digits: what `ack` and its like take.
pub fn short(alert: Fingerprint) -> String {
    alert.to_string().chars().take(8).collect()
}

/// One alert, with the export format's names.
#[derive(Serialize)]
pub struct AlertLine<'a> {
    server: &'a str,
    origin: Origin,
    alert: Fingerprint,
    episode: EventId,
    system: &'a str,
    check: &'a str,
    severity: Severity,
    condition: Condition,
    title: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    text: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<&'a str, &'a str>,
    since: Time,
    asks: &'static str,
    acknowledged: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    somebody: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    snoozed_until: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    silenced_until: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unrefreshed: Option<Time>,
    history: &'static str,
    history_words: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<Fingerprint>,
    /// False: its server says nothing now; this is how it was.
    fresh: bool,
}

pub const fn asks(asks: Asks) -> &'static str {
    match asks {
        Asks::You => "you",
        Asks::Somebody => "somebody",
        Asks::Later => "later",
        Asks::Nobody => "nobody",
    }
}

impl<'a> AlertLine<'a> {
    pub fn of(sky: &'a Sky, row: &'a AlertRow, now: Time) -> Option<AlertLine<'a>> {
        let seen = sky.server(row.server)?;
        let alert = seen.world.alert(row.alert.alert)?;
        Some(AlertLine {
            server: &seen.name,
            origin: row.alert.origin,
            alert: row.alert.alert,
            episode: row.episode,
            system: row.system.id.as_str(),
            check: row.check.as_str(),
            severity: row.severity,
            condition: row.condition,
            title: &row.title,
            text: &alert.text,
            labels: alert.labels.iter().collect(),
            since: row.since,
            asks: asks(row.asks()),
            acknowledged: row.acked,
            somebody: row.somebody.as_deref(),
            snoozed_until: row.snoozed_until,
            silenced_until: row.silenced_until,
            unrefreshed: row.unrefreshed,
            history: row.history.verdict.word(),
            history_words: row.history.words(now),
            cause: row.cause.map(|cause| cause.alert),
            fresh: row.fresh,
        })
    }
}
