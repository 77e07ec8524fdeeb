//! Open alerts as rows: what is wrong, since when, who has it, and what its past says.

use std::collections::HashMap;
use std::sync::Arc;

use super::cause::{Candidate, Cause, FRESH, LINGER, causes};
use super::graph::{Graph, ancestors};
use super::{Seen, Sky};
use crate::model::event::{Actor, Condition, Silence, SilenceMatcher};
use crate::model::filter::{State, States, Subject};
use crate::model::history::{Cell, History, Verdict, strip};
use crate::model::id::{AlertRef, CheckId, EventId, Fingerprint, SystemId, SystemRef};
use crate::model::labels::Labels;
use crate::model::severity::Severity;
use crate::model::time::Time;
use crate::model::world::{Alert, Deed, DeedKind, World};

/// Days that a row's strip goes back at most.
pub const STRIP: usize = 30;

#[derive(Clone, PartialEq, Debug)]
pub struct AlertRow {
    pub alert: AlertRef,
    pub episode: EventId,
    /// Index into [`Sky::servers`].
    pub server: usize,
    pub system: SystemRef,
    /// The system's name as screens write it.
    pub name: String,
    pub check: CheckId,
    pub severity: Severity,
    pub condition: Condition,
    pub title: Arc<str>,
    pub since: Time,
    /// Who has it.
    pub somebody: Option<String>,
    pub acked: bool,
    pub snoozed_until: Option<Time>,
    /// Muted in the Alertmanager that it comes from, until then.
    pub silenced_until: Option<Time>,
    /// Its source has not repeated it since then.
    pub unrefreshed: Option<Time>,
    pub history: History,
    pub strip: Vec<Option<Cell>>,
    /// The alert that it probably comes from, and why.
    pub cause: Option<Box<Cause>>,
    /// Its server says nothing: this is how it was.
    pub fresh: bool,
}

/// What a row asks of the reader, from most to least.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Asks {
    /// Nobody has it and it is not usual.
    You,
    /// Somebody has it.
    Somebody,
    /// Put off, here or in its Alertmanager.
    Later,
    /// It is always so, or goes away by itself.
    Nobody,
}

impl AlertRow {
    pub fn asks(&self) -> Asks {
        if self.snoozed_until.is_some() || self.silenced_until.is_some() {
            Asks::Later
        } else if self.somebody.is_some() {
            Asks::Somebody
        } else if self.history.usual {
            Asks::Nobody
        } else {
            Asks::You
        }
    }

    /// The word in the row's second column.
    pub fn word(&self) -> &'static str {
        match (self.condition, self.severity) {
            (Condition::Stale | Condition::Silent, _) => "STALE",
            (Condition::Unreachable, _) => "AWAY",
            (Condition::Problem, Severity::Critical) => "CRIT",
            (Condition::Problem, Severity::Error) => "ERROR",
            (Condition::Problem, Severity::Warning) => "WARN",
            (Condition::Problem, Severity::Unknown) => "UNKN",
            (Condition::Problem, Severity::Info) => "INFO",
            (Condition::Problem, Severity::Debug) => "DEBUG",
        }
    }

    /// What stands in the row's "who" column.
    pub fn who(&self) -> String {
        match (&self.somebody, self.snoozed_until.is_some(), self.silenced_until.is_some()) {
            (Some(name), false, false) => name.clone(),
            (_, true, _) => "snoozed".to_owned(),
            (_, false, true) => "silenced".to_owned(),
            (None, false, false) => String::new(),
        }
    }
}

/// All open alerts, unsorted, with their causes.
pub fn rows(sky: &Sky, now: Time) -> Vec<AlertRow> {
    let mut rows = Vec::new();
    for (index, seen) in sky.servers.iter().enumerate() {
        let silences: Vec<&Silence> = seen.world.sources.values().flat_map(|s| s.silences.values()).filter(|s| s.starts <= now && s.ends > now).collect();
        rows.extend(seen.world.open_alerts().filter_map(|(fingerprint, alert)| row(sky, index, seen, fingerprint, alert, &silences, now)));
    }
    let changes: Vec<_> = sky.servers.iter().map(|seen| fresh_changes(&seen.world)).collect();
    let mut candidates: Vec<Candidate> = rows.iter().map(|row| candidate(sky, &changes, row)).collect();
    // Last, so that a row's cause is at the row's own place.
    candidates.extend(sky.servers.iter().flat_map(|seen| cleared(sky, seen, now)));
    let causes = causes(&Graph::of(sky), &candidates);
    drop(candidates);
    for (row, cause) in rows.iter_mut().zip(causes) {
        row.cause = cause.map(Box::new);
    }
    rows
}

/// When each system changed, in order: what somebody deployed, did, committed or started again.
fn fresh_changes(world: &World) -> HashMap<&SystemId, Vec<Time>> {
    let mut out: HashMap<&SystemId, Vec<Time>> = HashMap::new();
    let telling = |deed: &&Arc<Deed>| matches!(deed.kind, DeedKind::Change | DeedKind::Commit | DeedKind::Action | DeedKind::Restarted);
    for deed in world.all_changes().filter(telling) {
        if let Some(system) = &deed.system {
            out.entry(system).or_default().push(deed.at);
        }
    }
    out.values_mut().for_each(|times| times.sort_unstable());
    out
}

/// Whether the system, or one above it by name, changed right before.
fn has_changed(changes: &HashMap<&SystemId, Vec<Time>>, system: &SystemId, at: Time) -> bool {
    let before = |times: &Vec<Time>| {
        times.partition_point(|change| *change <= at).checked_sub(1).and_then(|last| times.get(last)).is_some_and(|last| last.plus(FRESH) >= at)
    };
    !changes.is_empty() && std::iter::once(system.clone()).chain(ancestors(system)).any(|system| changes.get(&system).is_some_and(before))
}

fn candidate<'a>(sky: &'a Sky, changes: &[HashMap<&SystemId, Vec<Time>>], row: &AlertRow) -> Candidate<'a> {
    let world = sky.server(row.server).map(|seen| &*seen.world);
    let alert = world.and_then(|world| world.alert(row.alert.alert));
    let days = f64::from(u32::try_from(row.history.known.days()).unwrap_or(0).max(1));
    Candidate {
        alert: row.alert,
        system: row.system.clone(),
        severity: row.severity,
        since: row.since,
        cleared: None,
        usual: usual(row),
        changed: changes.get(row.server).is_some_and(|changes| has_changed(changes, &row.system.id, row.since)),
        rate: f64::from(row.history.before) / days,
        past: alert.map_or(&[], |alert| &alert.past),
        denied: world.and_then(|world| world.apart.get(&row.alert.alert)).into_iter().flatten().map(|apart| apart.cause).collect(),
    }
}

/// What cleared a moment ago.
fn cleared<'a>(sky: &'a Sky, seen: &'a Seen, now: Time) -> Vec<Candidate<'a>> {
    let world: &World = &seen.world;
    let mut known = std::collections::HashSet::new();
    let lately = world.cleared.iter().rev().take_while(|(at, _)| at.plus(LINGER) > now).filter(|(_, alert)| known.insert(*alert));
    let candidate = |(at, fingerprint): &(Time, Fingerprint)| {
        let alert = world.alert(*fingerprint).filter(|alert| !alert.is_open())?;
        let (last, before) = alert.past.split_last()?;
        let history = History::of(alert, world, &sky.zone, now);
        Some(Candidate {
            alert: AlertRef { origin: world.origin, alert: *fingerprint },
            system: SystemRef { origin: world.origin, id: alert.system.clone() },
            severity: last.severity,
            since: last.from,
            cleared: Some(*at),
            usual: history.usual && history.verdict != Verdict::Flapping,
            changed: false,
            rate: 0.0,
            past: before,
            denied: Vec::new(),
        })
    };
    lately.filter_map(candidate).collect()
}

/// What flaps right now may well bring others down; what is chronic or recurs as ever does not.
fn usual(row: &AlertRow) -> bool {
    row.history.usual && row.history.verdict != Verdict::Flapping
}

fn row(sky: &Sky, server: usize, seen: &Seen, fingerprint: Fingerprint, alert: &Alert, silences: &[&Silence], now: Time) -> Option<AlertRow> {
    let open = alert.now?;
    let world: &World = &seen.world;
    Some(AlertRow {
        alert: AlertRef { origin: world.origin, alert: fingerprint },
        episode: open.episode,
        server,
        system: SystemRef { origin: world.origin, id: alert.system.clone() },
        name: sky.name_of(server, &alert.system),
        check: alert.check.clone(),
        severity: alert.severity,
        condition: alert.condition,
        title: alert.title.clone(),
        since: open.since,
        somebody: alert.somebody().map(str::to_owned),
        acked: alert.ack().is_some(),
        snoozed_until: alert.snooze().map(|snooze| snooze.until),
        silenced_until: silences.iter().filter(|silence| silence.matchers.iter().all(|m| matches(m, &alert.labels))).map(|silence| silence.ends).max(),
        unrefreshed: open.unrefreshed,
        history: History::of(alert, world, &sky.zone, now),
        strip: strip(alert, now, STRIP),
        cause: None,
        fresh: seen.freshness.is_live(),
    })
}

/// Alertmanager's matchers: a missing label is an empty one; a pattern matches the whole value.
pub(super) fn matches(matcher: &SilenceMatcher, labels: &Labels) -> bool {
    let value = labels.get(&matcher.name).unwrap_or("");
    let found = if matcher.regex {
        regex::RegexBuilder::new(&format!("^(?:{})$", matcher.value)).size_limit(1 << 20).build().is_ok_and(|pattern| pattern.is_match(value))
    } else {
        *value == *matcher.value
    };
    found == matcher.equal
}

/// An open alert as a filter sees it.
pub struct AlertSubject<'a> {
    pub row: &'a AlertRow,
    pub alert: &'a Alert,
    pub server: &'a str,
}

impl Subject for AlertSubject<'_> {
    fn at(&self) -> Time {
        self.row.since
    }

    fn severity(&self) -> Severity {
        self.row.severity
    }

    fn kind(&self) -> &str {
        "alert.opened"
    }

    fn system(&self) -> Option<&str> {
        Some(self.row.system.id.as_str())
    }

    fn server(&self) -> Option<&str> {
        Some(self.server)
    }

    fn states(&self) -> States {
        let row = self.row;
        States::NONE
            .with(State::Open)
            .with_if(State::Acked, row.acked)
            .with_if(State::Assigned, self.alert.assigned().is_some())
            .with_if(State::Snoozed, row.snoozed_until.is_some())
            .with_if(State::Silenced, row.silenced_until.is_some())
            .with_if(State::Unrefreshed, row.unrefreshed.is_some())
            .with_if(State::Flapping, self.alert.flapping)
            .with_if(State::Stale, matches!(row.condition, Condition::Stale | Condition::Silent))
    }

    fn check(&self) -> Option<&str> {
        Some(self.row.check.as_str())
    }

    fn agent(&self) -> Option<&str> {
        self.alert.agent()
    }

    fn source(&self) -> Option<&str> {
        self.alert.holders.iter().find_map(|holder| if let Actor::Source(source) = holder { Some(source.as_str()) } else { None })
    }

    fn any_actor(&self, test: &mut dyn FnMut(&Actor) -> bool) -> bool {
        let care = self.alert.care.as_ref();
        self.alert.holders.iter().any(&mut *test)
            || care.and_then(|care| care.ack.as_ref()).is_some_and(|ack| test(&ack.by))
            || care.and_then(|care| care.assigned.as_ref()).is_some_and(|assigned| test(&Actor::User(assigned.to.clone())))
    }

    fn label(&self, name: &str) -> Option<std::borrow::Cow<'_, str>> {
        self.alert.labels.get(name).map(std::borrow::Cow::Borrowed)
    }

    fn any_text(&self, test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        test(self.alert.title.as_bytes()) || test(self.alert.text.as_bytes()) || test(self.row.check.as_str().as_bytes()) || test(self.row.name.as_bytes())
    }
}

/// How Now and Alerts sort: what asks for the reader first, then the worst, then what is least usual, then the newest.
pub fn urgency(row: &AlertRow) -> (Asks, std::cmp::Reverse<Severity>, Verdict, std::cmp::Reverse<Time>, &str) {
    (row.asks(), std::cmp::Reverse(row.severity), row.history.verdict, std::cmp::Reverse(row.since), &row.name)
}
