//! Open alerts as commands print them: as a line for people, and as JSON in the export format's names.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::tz::TimeZone;
use serde::Serialize;

use super::Failure;
use super::output::Tone;
use crate::model::event::Condition;
use crate::model::filter::Filter;
use crate::model::history::Days;
use crate::model::id::{EventId, Fingerprint, Origin};
use crate::model::presence::Looker;
use crate::model::reading::{Bound, Limit, Line, Numbers};
use crate::model::severity::Severity;
use crate::model::time::{Span, Time};
use crate::model::view::Sky;
use crate::model::view::alerts::{AlertRow, AlertSubject, Asks, rows as alert_rows};
use crate::model::view::entries::Layers;
use crate::model::view::graph::{Graph, Walker};
use crate::model::view::suspect::{Changes, Suspect};
use crate::model::words::counted;
use crate::model::world::DeedKind;

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

/// All open alerts, unsorted.
pub fn all(sky: &Sky, now: Time) -> Vec<AlertRow> {
    alert_rows(sky, now)
}

/// Words that stand in the titles' column under a row.
pub fn beneath(words: &str) -> Vec<(Tone, String)> {
    vec![(Tone::Plain, String::new()), (Tone::Plain, String::new()), (Tone::Muted, String::new()), (Tone::Muted, words.to_owned())]
}

/// A row of a table: short id, word, system, title, who has it or else looks at it, age, history; so many layers
/// under a cause.
pub fn cells(sky: &Sky, row: &AlertRow, now: Time, depth: usize) -> Vec<(Tone, String)> {
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
        (Tone::Strong, format!("{}{}{}", "  ".repeat(depth.saturating_sub(1)), if depth > 0 { "└ " } else { "" }, row.name)),
        (Tone::Plain, row.title.to_string()),
        (
            Tone::Plain,
            if row.who().is_empty() {
                looking(sky.lookers(row.alert))
            } else {
                format!("{} has it", row.who()).replace("snoozed has it", "snoozed").replace("silenced has it", "silenced")
            },
        ),
        (Tone::Muted, age),
        (Tone::Muted, history),
    ]
}

/// "kim looks at it", "kim and 2 others look at it".
fn looking(who: &[Looker]) -> String {
    match who {
        [] => String::new(),
        [one] => format!("{} looks at it", one.name),
        [one, more @ ..] => format!("{} and {} look at it", one.name, counted(more.len(), "other")),
    }
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
    /// The rule's expression.
    #[serde(skip_serializing_if = "Option::is_none")]
    expr: Option<&'a str>,
    /// Its numbers now, beside their thresholds.
    #[serde(skip_serializing_if = "Option::is_none")]
    numbers: Option<NumbersLine>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<&'a str, &'a str>,
    since: Time,
    asks: &'static str,
    acknowledged: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    somebody: Option<&'a str>,
    /// Who else looks at it now.
    #[serde(skip_serializing_if = "<[Looker]>::is_empty")]
    looking: &'a [Looker],
    #[serde(skip_serializing_if = "Option::is_none")]
    snoozed_until: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    silenced_until: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    unrefreshed: Option<Time>,
    history: &'static str,
    history_words: String,
    past: PastLine,
    /// The alert that it probably comes from, and why.
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<Fingerprint>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause_origin: Option<Origin>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause_words: Option<String>,
    /// What changed before it and may have brought it about, the likeliest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    suspects: Vec<SuspectLine>,
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

/// A change before an alert.
#[derive(Serialize)]
pub struct SuspectLine {
    event: EventId,
    at: Time,
    before_seconds: i64,
    system: String,
    kind: DeedKind,
    title: String,
    by: String,
    /// How many systems lie between.
    steps: u8,
    /// To two places; from 0.25 on it is called a suspect.
    weight: f64,
    /// Lighter, but much stands under the alert and nothing nearer is known.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    far: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    words: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<String>,
}

impl SuspectLine {
    fn of(suspect: &Suspect) -> SuspectLine {
        let words = [suspect.place_words(), suspect.habit_words()].into_iter().filter(|words| !words.is_empty()).collect::<Vec<_>>().join("; ");
        SuspectLine {
            event: suspect.event,
            at: suspect.at,
            before_seconds: suspect.before.secs(),
            system: suspect.system.clone(),
            kind: suspect.kind,
            title: suspect.title.to_string(),
            by: suspect.by.clone(),
            steps: suspect.near.steps(),
            weight: (suspect.weight * 100.0).round() / 100.0,
            far: suspect.far,
            words,
            link: suspect.link.as_ref().map(|link| link.url.to_string()),
        }
    }
}

/// Makes the lines of many alerts: what changed is gathered once.
pub struct AlertLines<'a> {
    sky: &'a Sky,
    changes: Changes<'a>,
    layers: Layers,
    walker: Walker<'a>,
}

impl<'a> AlertLines<'a> {
    /// `rows`: all that are open.
    pub fn new(sky: &'a Sky, graph: &'a Graph, rows: &[AlertRow]) -> AlertLines<'a> {
        AlertLines { sky, changes: Changes::of(sky, graph), layers: Layers::of(rows), walker: Walker::new(graph) }
    }

    pub fn of(&mut self, row: &'a AlertRow, now: Time) -> Option<AlertLine<'a>> {
        let suspects = self.changes.before(&mut self.walker, &self.layers, row.alert, now);
        let mut line = AlertLine::of(self.sky, row, now)?;
        line.suspects = suspects.iter().filter(|suspect| suspect.likely).map(SuspectLine::of).collect();
        Some(line)
    }
}

impl<'a> AlertLine<'a> {
    fn of(sky: &'a Sky, row: &'a AlertRow, now: Time) -> Option<AlertLine<'a>> {
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
            expr: alert.expr.as_deref(),
            numbers: sky.numbers(row.alert).map(|numbers| NumbersLine::of(&numbers)),
            labels: alert.labels.iter().collect(),
            since: row.since,
            asks: asks(row.asks()),
            acknowledged: row.acked,
            somebody: row.somebody.as_deref(),
            looking: sky.lookers(row.alert),
            snoozed_until: row.snoozed_until,
            silenced_until: row.silenced_until,
            unrefreshed: row.unrefreshed,
            history: row.history.verdict.word(),
            history_words: row.history.words(now),
            past: PastLine::of(sky, row, now),
            cause: row.cause.as_ref().map(|cause| cause.direct.alert),
            cause_origin: row.cause.as_ref().map(|cause| cause.direct.origin),
            cause_words: row.cause.as_ref().map(|cause| cause.words(sky)),
            suspects: Vec::new(),
            fresh: row.fresh,
        })
    }
}

/// Why it fires: the numbers behind an alert, as of `at`.
#[derive(Serialize)]
struct NumbersLine {
    at: Time,
    words: String,
    /// The most telling one first.
    values: Vec<ValueLine>,
}

#[derive(Serialize)]
struct ValueLine {
    #[serde(skip_serializing_if = "str::is_empty")]
    name: Arc<str>,
    value: f64,
    /// As check plugins write it: `s`, `B`, `%`.
    #[serde(skip_serializing_if = "str::is_empty")]
    unit: Arc<str>,
    thresholds: Vec<ThresholdLine>,
    /// A threshold is crossed now.
    crossed: bool,
}

#[derive(Serialize)]
struct ThresholdLine {
    /// What happens there: `fires`, `critical`, `warning`.
    level: &'static str,
    /// `over`, `under`, `outside` …; absent where it is no range.
    #[serde(skip_serializing_if = "Option::is_none")]
    when: Option<&'static str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    numbers: Vec<f64>,
    /// As it was written, where it is no range.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<Arc<str>>,
}

impl NumbersLine {
    fn of(numbers: &Numbers) -> NumbersLine {
        let limit = |limit: &Limit| match &limit.at {
            Bound::Threshold(threshold) => ThresholdLine { level: limit.level, when: Some(threshold.word()), numbers: threshold.numbers(), text: None },
            Bound::Text(text) => ThresholdLine { level: limit.level, when: None, numbers: Vec::new(), text: Some(text.clone()) },
        };
        let value = |line: &Line| ValueLine {
            name: line.name.clone(),
            value: line.number,
            unit: line.unit.clone(),
            thresholds: line.limits.iter().map(limit).collect(),
            crossed: line.crossed,
        };
        NumbersLine { at: numbers.at, words: numbers.words(), values: numbers.lines.iter().map(value).collect() }
    }
}

/// The numbers behind an alert's history.
#[derive(Serialize)]
struct PastLine {
    /// Whole days of the last 90 that are known.
    known_days: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    known_since: Option<Time>,
    /// The source that told of what lies before the server's own time.
    #[serde(skip_serializing_if = "Option::is_none")]
    filled_in_from: Option<String>,
    /// Before the present one.
    episodes: u32,
    days: u32,
    nights: u32,
    /// Closed episodes that the lengths are of.
    cleared: u32,
    by_itself: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    median: Option<Span>,
    /// Nine of ten were no longer.
    #[serde(skip_serializing_if = "Option::is_none")]
    nine_of_ten: Option<Span>,
    #[serde(skip_serializing_if = "Option::is_none")]
    weekdays: Option<&'static str>,
    /// From, to; on the clock of whoever asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    hours: Option<[u8; 2]>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<EndedLine>,
    usual: bool,
    /// How often on each of the last 30 days, today last.
    strip: Vec<u16>,
    sentences: Vec<String>,
}

/// The last time that a person had a part in its end.
#[derive(Serialize)]
struct EndedLine {
    at: Time,
    by: String,
    how: DeedKind,
    #[serde(skip_serializing_if = "String::is_empty")]
    words: String,
}

impl PastLine {
    fn of(sky: &Sky, row: &AlertRow, now: Time) -> PastLine {
        let history = &row.history;
        let any = history.lengths.count > 0;
        PastLine {
            known_days: history.known.days(),
            known_since: history.known.since,
            filled_in_from: history.known.filled.as_ref().map(|(source, _)| source.to_string()),
            episodes: history.before,
            days: history.days,
            nights: history.habit.nights,
            cleared: history.lengths.count,
            by_itself: history.lengths.by_itself,
            median: any.then_some(history.lengths.median),
            nine_of_ten: any.then_some(history.lengths.most),
            weekdays: history.habit.days.map(Days::word),
            hours: history.habit.hours.map(|(from, to)| [from, to]),
            last: history.last,
            ended: history.ended.as_ref().map(|ended| EndedLine { at: ended.at, by: ended.by.to_string(), how: ended.kind, words: ended.words.to_string() }),
            usual: history.usual,
            strip: row.strip.iter().map(|cell| cell.map_or(0, |cell| cell.count)).collect(),
            sentences: history.sentences(&sky.zone, now),
        }
    }
}
