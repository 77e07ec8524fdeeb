//! What sources of alerts say, with Alertmanager's semantics ("Decided" 5).

use std::sync::Arc;

use super::{Lease, Opening, Rules, Vitals, cleared, disbelieved, fingerprint, plausible};
use crate::model::event::{
    Actor, AlertChanged, AlertFlapping, AlertHeld, AlertRefreshed, AlertReleased, ClearReason, Condition, Draft, Kind, Silence, SilenceGone, SilenceSeen,
    SourceFailed, SourceRecovered,
};
use crate::model::id::{CheckId, Fingerprint, SourceId, SystemId};
use crate::model::labels::Labels;
use crate::model::reading::Reading;
use crate::model::report::{Report, Reported, ReportedState};
use crate::model::severity::Severity;
use crate::model::time::{Span, Time};
use crate::model::world::{Alert, World};

/// How often an alert's words may change on the timeline while its severity stays.
const REWORD: Span = Span::from_mins(5);

/// One alert of a report.
pub fn reported(world: &World, vitals: &mut Vitals, rules: &Rules, report: &Report, reported: &Reported, now: Time) -> (Fingerprint, Vec<Draft>) {
    let by = Actor::Source(report.source.clone());
    let fingerprint = fingerprint(&reported.system, &reported.check, &reported.labels, rules);
    let known = world.alert(fingerprint);
    let open = known.filter(|alert| alert.is_open());
    if let Some(value) = reported.value.filter(|value| !value.is_nan()) {
        let at = plausible(report.at, now, rules);
        vitals.readings.put(Reading::of_rule(fingerprint, report.source.clone(), at, value));
    }
    let mut firing = |until: Time, resolves: bool| {
        let leases = vitals.leases.entry(fingerprint).or_default();
        leases.retain(|held| held.by != by);
        // Nearly always there is one: a growing list would make room for four.
        leases.reserve_exact(1);
        leases.push(Lease { by: by.clone(), until, resolves });
        match open {
            None => opened(rules, fingerprint, reported, by.clone(), known, now),
            Some(alert) => again(vitals, fingerprint, alert, reported, text_of(reported, now, rules), by.clone(), plausible(report.at, now, rules)),
        }
    };
    let drafts = match reported.state {
        ReportedState::Firing { until } => firing(until.unwrap_or(now.plus(rules.resolve_timeout)), until.is_none()),
        ReportedState::Ending { at } => firing(at, true),
        ReportedState::Resolved { at } => match open {
            // An end that lies before the beginning speaks of an earlier episode.
            Some(alert) if alert.holders.contains(&by) && alert.now.is_some_and(|open| at >= open.since) => {
                release(vitals, fingerprint, alert, at.min(now), by, ClearReason::Recovered)
            }
            Some(_) | None => Vec::new(),
        },
    };
    (fingerprint, drafts)
}

/// Its text; below it, that its source's time was not believed, where that is so.
fn text_of(reported: &Reported, now: Time, rules: &Rules) -> Arc<str> {
    if plausible(reported.starts, now, rules) == reported.starts {
        return reported.text.clone();
    }
    let remark = disbelieved("the source's", reported.starts);
    if reported.text.is_empty() { remark.into() } else { format!("{}\n{remark}", reported.text).into() }
}

fn opened(rules: &Rules, fingerprint: Fingerprint, reported: &Reported, by: Actor, known: Option<&Alert>, now: Time) -> Vec<Draft> {
    // It began when the source says, but not before its last episode ended, and not in the future.
    let mut at = plausible(reported.starts, now, rules);
    if let Some(last) = known.and_then(|alert| alert.past.last()) {
        at = at.max(last.until);
    }
    let opening = Opening {
        fingerprint,
        system: &reported.system,
        check: &reported.check,
        labels: reported.labels.clone(),
        severity: reported.severity,
        condition: Condition::Problem,
        by: by.clone(),
        at,
        title: reported.title.clone(),
    };
    let mut draft = opening.draft().text(text_of(reported, now, rules));
    draft.links = reported.links.clone();
    if let Kind::AlertOpened(opened) = &mut draft.kind {
        opened.expr = reported.expr.clone();
    }
    let mut out = super::tick::care_over(fingerprint, known, rules, at);
    out.push(draft);
    if let Some(alert) = known.filter(|alert| !alert.flapping) {
        let recent = alert.past.iter().filter(|past| at.since(past.from) <= rules.flap_window).count();
        let opens = u32::try_from(recent).unwrap_or(u32::MAX).saturating_add(1);
        if opens >= rules.flap_opens.max(2) {
            let title = format!("{} flaps: opened {opens} times within {}", reported.check, rules.flap_window);
            out.push(Draft::new(at, by, AlertFlapping { alert: fingerprint, changes: opens }, title).on(reported.system.clone()).severity(reported.severity));
        }
    }
    out
}

fn again(vitals: &mut Vitals, fingerprint: Fingerprint, alert: &Alert, reported: &Reported, text: Arc<str>, by: Actor, now: Time) -> Vec<Draft> {
    let mut out = Vec::new();
    if !alert.holders.contains(&by) {
        let title = format!("{} says so too", by.name());
        out.push(Draft::new(now, by.clone(), AlertHeld { alert: fingerprint, by: by.clone() }, title).on(alert.system.clone()));
    }
    if alert.now.is_some_and(|open| open.unrefreshed.is_some()) {
        let title = format!("{} says so again", by.name());
        out.push(Draft::new(now, by.clone(), AlertRefreshed { alert: fingerprint }, title).on(alert.system.clone()));
    }
    // Of several sources the first one words the alert; another does only when it knows it as worse.
    let words = alert.holders.first().is_none_or(|first| *first == by);
    let worse = reported.severity > alert.severity;
    let changed = words && reported.severity != alert.severity;
    let reworded = words && reported.title != alert.title && vitals.reworded.get(&fingerprint).is_none_or(|last| now.since(*last) >= REWORD);
    if worse || changed || reworded {
        vitals.reworded.insert(fingerprint, now);
        let draft = Draft::new(now, by, AlertChanged { alert: fingerprint, was: alert.severity }, reported.title.clone());
        out.push(draft.on(alert.system.clone()).severity(reported.severity).text(text));
    }
    out
}

/// One holder lets go: with the last one the alert is over.
pub(super) fn release(vitals: &mut Vitals, fingerprint: Fingerprint, alert: &Alert, at: Time, by: Actor, reason: ClearReason) -> Vec<Draft> {
    if let Some(leases) = vitals.leases.get_mut(&fingerprint) {
        leases.retain(|lease| lease.by != by);
        if leases.is_empty() {
            vitals.leases.remove(&fingerprint);
        }
    }
    if alert.holders.iter().any(|holder| *holder != by) {
        let title = format!("{} no longer says so", by.name());
        return vec![Draft::new(at, by.clone(), AlertReleased { alert: fingerprint, by }, title).on(alert.system.clone())];
    }
    vitals.leases.remove(&fingerprint);
    vitals.reworded.remove(&fingerprint);
    vec![cleared(fingerprint, alert, at, by, reason)]
}

/// What a complete list did not name: absent twice in a row, it is over.
pub fn absent(world: &World, vitals: &mut Vitals, report: &Report, listed: &std::collections::BTreeSet<Fingerprint>) -> Vec<Draft> {
    let by = Actor::Source(report.source.clone());
    let mut counts = vitals.absent.remove(&report.source).unwrap_or_default();
    let mut out = Vec::new();
    let mut next = std::collections::HashMap::new();
    for (fingerprint, alert) in world.open_alerts().filter(|(f, alert)| alert.holders.contains(&by) && !listed.contains(f)) {
        let times = counts.remove(&fingerprint).unwrap_or(0).saturating_add(1);
        if times >= 2 {
            out.extend(release(vitals, fingerprint, alert, report.at, by.clone(), ClearReason::Absent));
        } else {
            next.insert(fingerprint, times);
        }
    }
    vitals.absent.insert(report.source.clone(), next);
    out
}

/// The silences that a source holds, all of them.
pub fn silences(world: &World, source: &SourceId, silences: &[Silence], now: Time) -> Vec<Draft> {
    let actor = Actor::Source(source.clone());
    let none = Default::default();
    let known = world.sources.get(source).map_or(&none, |source| &source.silences);
    let mut out = Vec::new();
    for silence in silences.iter().take(10_000) {
        if known.get(&silence.id) != Some(silence) {
            let matchers: Vec<String> = silence.matchers.iter().map(|m| format!("{}{}{}", m.name, operator(m.equal, m.regex), m.value)).collect();
            let title = format!("{} silenced {} until {}", silence.by, matchers.join(", "), silence.ends);
            let kind = SilenceSeen { source: source.clone(), silence: silence.clone() };
            out.push(Draft::new(now, actor.clone(), kind, title).text(silence.comment.clone()));
        }
    }
    for (id, silence) in known {
        if !silences.iter().any(|s| s.id == *id) {
            let kind = SilenceGone { source: source.clone(), silence: id.clone() };
            out.push(Draft::new(now, actor.clone(), kind, format!("a silence of {} ended", silence.by)));
        }
    }
    out
}

const fn operator(equal: bool, regex: bool) -> &'static str {
    match (equal, regex) {
        (true, false) => "=",
        (true, true) => "=~",
        (false, false) => "!=",
        (false, true) => "!~",
    }
}

/// The alert that says that a source cannot be reached.
fn unreachable_of(source: &SourceId, rules: &Rules) -> (Fingerprint, SystemId, CheckId, Labels) {
    let (system, check) = (SystemId::lenient("midwatch"), CheckId::new("source"));
    let labels = Labels::new([("source", source.as_str())]);
    (fingerprint(&system, &check, &labels, rules), system, check, labels)
}

/// The source has failed for as long as it takes to say so. What it said before stays as it is.
pub fn source_failed(world: &World, rules: &Rules, source: &SourceId, why: &str, now: Time) -> Vec<Draft> {
    if world.sources.get(source).is_some_and(|source| source.failing_since.is_some()) {
        return Vec::new();
    }
    let title: Arc<str> = format!("{source} cannot be reached: {why}").into();
    let (fingerprint, system, check, labels) = unreachable_of(source, rules);
    let mut out = vec![Draft::new(now, Actor::Server, SourceFailed { source: source.clone() }, title.clone()).on(system.clone()).severity(Severity::Unknown)];
    if world.alert(fingerprint).is_none_or(|alert| !alert.is_open()) {
        let opening = Opening {
            fingerprint,
            system: &system,
            check: &check,
            labels,
            severity: Severity::Unknown,
            condition: Condition::Unreachable,
            by: Actor::Server,
            at: now,
            title,
        };
        out.push(opening.draft().text("What it said last is kept as it was; nothing is resolved because it cannot be reached."));
    }
    out
}

pub fn source_recovered(world: &World, rules: &Rules, source: &SourceId, now: Time) -> Vec<Draft> {
    let Some(since) = world.sources.get(source).and_then(|source| source.failing_since) else { return Vec::new() };
    let title = format!("{source} answers again after {}", now.since(since));
    let (fingerprint, system, _, _) = unreachable_of(source, rules);
    let mut out = vec![Draft::new(now, Actor::Server, SourceRecovered { source: source.clone() }, title).on(system)];
    if let Some(alert) = world.alert(fingerprint).filter(|alert| alert.is_open()) {
        out.push(cleared(fingerprint, alert, now, Actor::Server, ClearReason::Recovered));
    }
    out
}
