//! Why it fires: the numbers behind an alert as they are now, beside the thresholds that they crossed.
//!
//! They are no events. The server keeps the latest of each open alert beside its log, and tells those who
//! asked ([`Readings`]) what changed; the latest wins. What a source says the same of is not said again:
//! one time for each source says how new all of it is.

mod number;
mod rule;
#[cfg(test)]
mod tests;
mod threshold;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use rule::{Rule, rule};
pub use threshold::Threshold;

use super::id::{Fingerprint, SourceId};
use super::observation::{Metric, Observation};
use super::time::{Span, Time};

/// Alerts of which the latest numbers are kept.
const MOST_ALERTS: usize = 100_000;
/// Numbers of one alert, and characters of one name, unit or threshold.
const MOST_NUMBERS: usize = 6;
const LONGEST: usize = 60;

/// The latest numbers behind one alert. This type is the format on the wire.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Reading {
    pub alert: Fingerprint,
    /// When they were read; of a source, when they last changed ([`Readings::told`]).
    pub at: Time,
    /// The source that was asked; none: an agent's check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<SourceId>,
    /// Those over a threshold first. That of a rule has no name and no threshold: its expression has it.
    /// Empty: there are none any more.
    #[serde(default)]
    pub metrics: Vec<Metric>,
}

impl Reading {
    /// The value of a rule's expression.
    pub fn of_rule(alert: Fingerprint, source: SourceId, at: Time, value: f64) -> Reading {
        let metric = Metric { name: "".into(), value, unit: "".into(), warning: "".into(), critical: "".into() };
        Reading { alert, at, source: Some(source), metrics: bounded(std::slice::from_ref(&metric)) }
    }

    /// The numbers of a check.
    pub fn of_check(alert: Fingerprint, observation: &Observation) -> Reading {
        Reading { alert, at: observation.at, source: None, metrics: bounded(&observation.metrics) }
    }
}

/// The most telling numbers, short, and such that every format can carry them.
fn bounded(metrics: &[Metric]) -> Vec<Metric> {
    let mut metrics: Vec<&Metric> = metrics.iter().filter(|metric| !metric.value.is_nan()).collect();
    metrics.sort_by_key(|metric| Reverse(concern(metric)));
    let short = |text: &Arc<str>| if text.len() <= LONGEST { text.clone() } else { text.chars().take(LONGEST).collect::<String>().into() };
    let one = |metric: &Metric| Metric {
        name: short(&metric.name),
        value: metric.value.clamp(f64::MIN, f64::MAX),
        unit: short(&metric.unit),
        warning: short(&metric.warning),
        critical: short(&metric.critical),
    };
    metrics.into_iter().take(MOST_NUMBERS).map(one).collect()
}

/// How much a number has to do with an alert.
fn concern(metric: &Metric) -> u8 {
    let crossed = |threshold: &str| Threshold::parse(threshold).is_some_and(|threshold| threshold.is_crossed_by(metric.value));
    match () {
        () if crossed(&metric.critical) => 3,
        () if crossed(&metric.warning) => 2,
        () if !metric.critical.is_empty() || !metric.warning.is_empty() => 1,
        () => 0,
    }
}

/// What changed since the last time. This type is the format on the wire.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Readings {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub readings: Vec<Reading>,
    /// When each source last told its numbers, changed or not.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub told: BTreeMap<SourceId, Time>,
}

impl Readings {
    pub fn is_empty(&self) -> bool {
        self.readings.is_empty() && self.told.is_empty()
    }
}

/// The latest numbers of all alerts, at a server or at a reader.
#[derive(Clone, Debug, Default)]
pub struct Latest {
    /// Counts changes.
    version: u64,
    alerts: BTreeMap<Fingerprint, Kept>,
    sources: BTreeMap<SourceId, Told>,
}

#[derive(Clone, Debug)]
struct Kept {
    reading: Reading,
    /// Which change brought it.
    version: u64,
    /// Which poll of its source named it last.
    poll: u64,
}

#[derive(Clone, Debug, Default)]
struct Told {
    at: Time,
    version: u64,
    poll: u64,
}

impl Latest {
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Takes one in. The same numbers from the same source are no change: [`Latest::told`] says how new they are.
    pub fn put(&mut self, reading: Reading) {
        let poll = match &reading.source {
            Some(source) => self.sources.entry(source.clone()).or_default().poll,
            None => 0,
        };
        let full = self.is_full();
        match self.alerts.get_mut(&reading.alert) {
            Some(kept) if reading.source.is_some() && kept.reading.source == reading.source && kept.reading.metrics == reading.metrics => kept.poll = poll,
            Some(kept) => {
                self.version += 1;
                *kept = Kept { reading, version: self.version, poll };
            }
            None if !full => {
                self.version += 1;
                self.alerts.insert(reading.alert, Kept { reading, version: self.version, poll });
            }
            None => {}
        }
    }

    /// A source has told all its numbers; what it did not name has none any more.
    pub fn told(&mut self, source: &SourceId, at: Time) {
        let Some(poll) = self.sources.get(source).map(|told| told.poll) else { return };
        let mut any = false;
        for kept in self.alerts.values_mut().filter(|kept| kept.reading.source.as_ref() == Some(source)) {
            any = true;
            if kept.poll != poll && !kept.reading.metrics.is_empty() {
                self.version += 1;
                (kept.version, kept.reading.at) = (self.version, at);
                kept.reading.metrics.clear();
            }
        }
        if any {
            self.version += 1;
            self.sources.insert(source.clone(), Told { at, version: self.version, poll: poll + 1 });
        } else {
            self.sources.remove(source);
        }
    }

    /// Forgets the alerts that are over.
    pub fn retain(&mut self, is_open: impl Fn(Fingerprint) -> bool) {
        self.alerts.retain(|alert, _| is_open(*alert));
    }

    pub fn is_full(&self) -> bool {
        self.alerts.len() >= MOST_ALERTS
    }

    /// Everything that changed after this version.
    pub fn since(&self, version: u64) -> Readings {
        let new = |changed: u64| changed > version;
        Readings {
            readings: self.alerts.values().filter(|kept| new(kept.version)).map(|kept| kept.reading.clone()).collect(),
            told: self.sources.iter().filter(|(_, told)| new(told.version)).map(|(source, told)| (source.clone(), told.at)).collect(),
        }
    }

    /// A reader takes in what a server says.
    pub fn take(&mut self, readings: Readings) {
        for reading in readings.readings {
            self.put(reading);
        }
        for (source, at) in readings.told.into_iter().take(1_000) {
            self.sources.entry(source).or_default().at = at;
        }
    }

    /// An alert's latest numbers, and when they were so.
    pub fn of(&self, alert: Fingerprint) -> Option<(&Reading, Time)> {
        let reading = self.alerts.get(&alert).map(|kept| &kept.reading).filter(|reading| !reading.metrics.is_empty())?;
        let told = reading.source.as_ref().and_then(|source| self.sources.get(source)).map_or(reading.at, |told| told.at);
        Some((reading, told.max(reading.at)))
    }
}

/// An alert's numbers in words.
#[derive(Clone, PartialEq, Debug)]
pub struct Numbers {
    pub at: Time,
    pub lines: Vec<Line>,
}

/// One number beside its thresholds: "/var", "97.5 %", "critical over 90 %, warning over 80 %".
#[derive(Clone, PartialEq, Debug)]
pub struct Line {
    /// Empty: it is the only one.
    pub name: Arc<str>,
    pub number: f64,
    /// As check plugins write it: `s`, `B`, `%`; empty where none is known.
    pub unit: Arc<str>,
    pub limits: Vec<Limit>,
    /// A threshold is crossed now.
    pub crossed: bool,
    /// How many digits tell the number and its thresholds apart.
    digits: usize,
}

/// What happens from where on.
#[derive(Clone, PartialEq, Debug)]
pub struct Limit {
    /// "fires", "critical", "warning".
    pub level: &'static str,
    pub at: Bound,
}

#[derive(Clone, PartialEq, Debug)]
pub enum Bound {
    Threshold(Threshold),
    /// As a plugin wrote it, when it is no range.
    Text(Arc<str>),
}

impl Numbers {
    /// `expr`: the rule's expression, which has the threshold of a rule's value.
    pub fn of(reading: &Reading, at: Time, expr: Option<&str>) -> Numbers {
        let lines = match (&reading.source, reading.metrics.as_slice()) {
            (Some(_), [metric]) => vec![Line::of_rule(metric.value, expr.map_or_else(Rule::default, rule))],
            (_, metrics) => metrics.iter().map(Line::of_check).collect(),
        };
        Numbers { at, lines }
    }

    /// In a line: "/var 97.5 %, critical over 90 %"; of several numbers, the most telling one.
    pub fn words(&self) -> String {
        self.lines.first().map_or_else(String::new, Line::words)
    }

    /// How old they are. Under a minute is now: a screen should not tick.
    pub fn age_words(&self, now: Time) -> String {
        match now.since(self.at) {
            age if age < Span::from_mins(1) => "now".to_owned(),
            age if age < Span::from_mins(2) => "1m ago".to_owned(),
            _ => super::history::ago(self.at, now),
        }
    }
}

impl Line {
    fn of_rule(value: f64, rule: Rule) -> Line {
        let limits = rule.threshold.map(|threshold| Limit { level: "fires", at: Bound::Threshold(threshold) }).into_iter().collect();
        let crossed = rule.threshold.is_none_or(|threshold| threshold.is_crossed_by(value));
        Line::new("".into(), value, rule.unit.into(), limits, crossed)
    }

    fn of_check(metric: &Metric) -> Line {
        let limit = |(level, text): (&'static str, &Arc<str>)| {
            let at = Threshold::parse(text).map_or_else(|| Bound::Text(text.clone()), Bound::Threshold);
            (!text.is_empty()).then_some(Limit { level, at })
        };
        let limits = [("critical", &metric.critical), ("warning", &metric.warning)].into_iter().filter_map(limit).collect();
        Line::new(metric.name.clone(), metric.value, metric.unit.clone(), limits, concern(metric) >= 2)
    }

    fn new(name: Arc<str>, number: f64, unit: Arc<str>, limits: Vec<Limit>, crossed: bool) -> Line {
        let thresholds = limits.iter().filter_map(|limit| if let Bound::Threshold(threshold) = limit.at { Some(threshold) } else { None });
        let numbers: Vec<f64> = std::iter::once(number).chain(thresholds.flat_map(Threshold::numbers)).collect();
        let digits = number::digits(&numbers, &unit);
        Line { name, number, unit, limits, crossed, digits }
    }

    pub fn value(&self) -> String {
        number::words(self.number, &self.unit, self.digits)
    }

    /// "critical over 90 %, warning over 80 %"; empty where no threshold is known.
    pub fn thresholds(&self) -> String {
        let words = |limit: &Limit| match &limit.at {
            Bound::Threshold(threshold) => format!("{} {}", limit.level, threshold.words(&self.unit, self.digits)),
            Bound::Text(text) => format!("{} {text}", limit.level),
        };
        self.limits.iter().map(words).collect::<Vec<_>>().join(", ")
    }

    pub fn words(&self) -> String {
        let named = if self.name.is_empty() { self.value() } else { format!("{} {}", self.name, self.value()) };
        if self.limits.is_empty() { named } else { format!("{named}, {}", self.thresholds()) }
    }
}
