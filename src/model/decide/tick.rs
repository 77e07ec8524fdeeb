//! What time alone brings about: silence, staleness, and the ends of leases, snoozes and acknowledgements.

use super::observe::{AGENT, silence_of};
use super::report::release;
use super::{Lease, Opening, Rules, Vitals};
use crate::model::event::{
    Actor, AgentSilent, AlertAssigned, AlertSettled, AlertUnacknowledged, AlertUnrefreshed, AlertUnsnoozed, ClearReason, Condition, Draft, EndReason,
};
use crate::model::id::{AgentId, CheckId, Fingerprint};
use crate::model::severity::Severity;
use crate::model::time::{Span, Time};
use crate::model::world::{Agent, Alert, World};

/// A clock that is this far ahead of the last tick says that the machine slept, or that it was set.
const ASLEEP: Span = Span::from_mins(10);

/// How often alerts that flap are looked at whether they have become calm; that takes an hour or so.
const SWEEP: Span = Span::from_secs(10);

pub fn tick(world: &World, vitals: &mut Vitals, rules: &Rules, now: Time) -> Vec<Draft> {
    let mut out = Vec::new();
    let last = vitals.ticked.replace(now).unwrap_or(vitals.started);
    if now.since(last) > rules.grace.max(ASLEEP) {
        woke(vitals, rules, now);
    }
    for (id, agent) in &world.agents {
        silent(world, vitals, rules, id, agent, now, &mut out);
    }
    let cared: Vec<Fingerprint> = world.cared.iter().copied().collect();
    for fingerprint in cared {
        if let Some(alert) = world.alert(fingerprint) {
            care(fingerprint, alert, rules, now, &mut out);
        }
    }
    leases(world, vitals, rules, now, &mut out);
    super::trust::tick(world, now, &mut out);
    // All alerts are looked at for this one: not every second, with a hundred thousand of them.
    if vitals.swept.is_none_or(|last| now < last || now.since(last) >= SWEEP) {
        vitals.swept = Some(now);
        vitals.readings.retain(|alert| world.alert(alert).is_some_and(Alert::is_open));
        for (fingerprint, alert) in world.alerts.iter().filter(|(_, alert)| alert.flapping && alert.is_open()) {
            settled(*fingerprint, alert, rules, now, &mut out);
        }
    }
    out
}

/// Nobody listened between the last tick and now: as after a start, everything is unknown until it is
/// heard of, and what was quiet meanwhile is not accused of silence.
fn woke(vitals: &mut Vitals, rules: &Rules, now: Time) {
    vitals.started = now;
    vitals.agents.clear();
    for vital in vitals.checks.values_mut().flat_map(|checks| checks.values_mut()) {
        vital.heard = now.plus(rules.grace);
    }
    for lease in vitals.leases.values_mut().flatten() {
        lease.until = lease.until.max(now.plus(rules.resolve_timeout));
    }
}

/// An agent that has not spoken for too long, or single checks of one that has. Nothing that was not
/// heard of since the start is called stale before the grace is over: until then it is unknown.
fn silent(world: &World, vitals: &Vitals, rules: &Rules, id: &AgentId, agent: &Agent, now: Time, out: &mut Vec<Draft>) {
    let start = vitals.started.plus(rules.grace);
    let heard = vitals.agents.get(id).copied();
    let patience = agent.keepalive.times(i64::from(rules.silent_keepalives.max(1))).max(rules.stale_least);
    let deadline = heard.map_or(start, |heard| heard).plus(patience);
    if agent.silent_since.is_some() {
        return;
    }
    if now > deadline {
        let last = heard.unwrap_or(vitals.started);
        let title = format!("{id} is silent: nothing heard since {last}");
        out.push(Draft::new(now, Actor::Server, AgentSilent { agent: id.clone(), last }, title.clone()).on(agent.system.clone()).severity(Severity::Unknown));
        stale(world, rules, id, &AGENT.into(), &agent.system, Condition::Silent, "agent silent".to_owned(), now, out);
        return;
    }
    for (check, state) in &agent.checks {
        let vital = vitals.checks.get(id).and_then(|checks| checks.get(check));
        let every = vital.map_or(Span::from_mins(1), |vital| vital.latest.every);
        let patience = every.times(i64::from(rules.stale_intervals.max(1))).max(rules.stale_least);
        // A check that was never heard in this life may have a long interval: it has a day.
        let deadline = vital.map_or(start.plus(Span::from_days(1)), |vital| vital.heard.plus(patience));
        if now > deadline {
            let title = format!("{check} has not reported for {}", now.since(vital.map_or(state.since, |vital| vital.heard)));
            stale(world, rules, id, check, &state.system, Condition::Stale, title, now, out);
        }
    }
}

#[expect(clippy::too_many_arguments, reason = "each is a different word of one sentence, used twice, right above")]
fn stale(
    world: &World,
    rules: &Rules,
    agent: &AgentId,
    check: &CheckId,
    system: &crate::model::id::SystemId,
    condition: Condition,
    title: String,
    now: Time,
    out: &mut Vec<Draft>,
) {
    let (fingerprint, labels) = silence_of(system, agent, check, rules);
    if world.alert(fingerprint).is_some_and(Alert::is_open) {
        return;
    }
    let opening = Opening { fingerprint, system, check, labels, severity: Severity::Unknown, condition, by: Actor::Server, at: now, title: title.into() };
    out.push(opening.draft());
}

fn care(fingerprint: Fingerprint, alert: &Alert, rules: &Rules, now: Time, out: &mut Vec<Draft>) {
    let Some(care) = &alert.care else { return };
    let episode = alert.now.map(|open| open.episode).unwrap_or_default();
    if let Some(snooze) = care.snooze.as_ref().filter(|snooze| now >= snooze.until) {
        let title = format!("snooze over: {}", alert.title);
        let kind = AlertUnsnoozed { alert: fingerprint, episode, reason: EndReason::Expired };
        let severity = if alert.is_open() { alert.severity } else { Severity::Info };
        out.push(Draft::new(snooze.until, Actor::Server, kind, title).on(alert.system.clone()).severity(severity));
    }
    // It ended when it had been clear for long enough, not when somebody came to look.
    let Some(over) = care.cleared.map(|cleared| cleared.plus(rules.ack_linger)).filter(|over| !alert.is_open() && now >= *over) else { return };
    if care.ack.is_some() {
        let title = format!("acknowledgement ended, clear for {}: {}", rules.ack_linger, alert.title);
        let kind = AlertUnacknowledged { alert: fingerprint, episode, reason: EndReason::Cleared };
        out.push(Draft::new(over, Actor::Server, kind, title).on(alert.system.clone()));
    }
    if care.assigned.is_some() {
        let title = format!("assignment ended, clear for {}: {}", rules.ack_linger, alert.title);
        out.push(Draft::new(over, Actor::Server, AlertAssigned { alert: fingerprint, episode, to: None }, title).on(alert.system.clone()));
    }
}

/// What people said of an alert that opens again at `at`, where it had ended by then. Between the
/// clearing and `at` there may have been no tick: a spool or a backlog tells of days at once.
pub(super) fn care_over(fingerprint: Fingerprint, known: Option<&Alert>, rules: &Rules, at: Time) -> Vec<Draft> {
    let mut out = Vec::new();
    if let Some(alert) = known {
        care(fingerprint, alert, rules, at, &mut out);
    }
    out
}

/// A lease that passes makes the alert not refreshed; one that its source gave no end resolves it.
fn leases(world: &World, vitals: &mut Vitals, rules: &Rules, now: Time, out: &mut Vec<Draft>) {
    let over: Vec<(Fingerprint, Lease)> = vitals
        .leases
        .iter()
        .flat_map(|(fingerprint, leases)| leases.iter().filter(|lease| now > lease.until).map(|lease| (*fingerprint, lease.clone())))
        .collect();
    let mut released = std::collections::BTreeSet::new();
    for (fingerprint, lease) in over {
        // Who lets go last decides whether it is over: one lease of an alert at a time, the next at the next tick.
        if released.contains(&fingerprint) {
            continue;
        }
        let Some(alert) = world.alert(fingerprint).filter(|alert| alert.is_open() && alert.holders.contains(&lease.by)) else {
            if let Some(leases) = vitals.leases.get_mut(&fingerprint) {
                leases.retain(|held| *held != lease);
                if leases.is_empty() {
                    vitals.leases.remove(&fingerprint);
                }
            }
            continue;
        };
        if lease.resolves {
            released.insert(fingerprint);
            out.extend(release(vitals, fingerprint, alert, lease.until, lease.by, ClearReason::Recovered));
            continue;
        }
        let somebody_else = vitals.leases.get(&fingerprint).is_some_and(|leases| leases.iter().any(|l| now <= l.until));
        if !somebody_else && alert.now.is_some_and(|open| open.unrefreshed.is_none()) {
            out.push(unrefreshed(fingerprint, alert, lease.until));
        }
    }
    // After a restart the sources have their time to speak again; then silence is said.
    let deadline = vitals.started.plus(rules.resolve_timeout.max(rules.grace));
    if now > deadline && now.since(deadline) < Span::from_secs(30) {
        for (fingerprint, alert) in world.open_alerts() {
            let pushed = alert.holders.iter().any(|holder| matches!(holder, Actor::Source(_)));
            if pushed && !vitals.leases.contains_key(&fingerprint) && alert.now.is_some_and(|open| open.unrefreshed.is_none()) {
                out.push(unrefreshed(fingerprint, alert, vitals.started));
            }
        }
    }
}

fn unrefreshed(fingerprint: Fingerprint, alert: &Alert, last: Time) -> Draft {
    let by = alert.holders.first().map_or("its source", |holder| holder.name());
    let title = format!("{by} has not repeated it: {}", alert.title);
    Draft::new(last, Actor::Server, AlertUnrefreshed { alert: fingerprint, last }, title).on(alert.system.clone()).severity(Severity::Unknown)
}

/// An alert from a source that opened and cleared too often is calm when it has not done so for a while.
fn settled(fingerprint: Fingerprint, alert: &Alert, rules: &Rules, now: Time, out: &mut Vec<Draft>) {
    let observed = alert.holders.iter().any(|holder| matches!(holder, Actor::Agent(_)));
    let calm = alert.now.is_none_or(|open| now.since(open.since) > rules.flap_window);
    if !observed && calm {
        let title = format!("{} no longer flaps", alert.check);
        out.push(Draft::new(now, Actor::Server, AlertSettled { alert: fingerprint }, title).on(alert.system.clone()));
    }
}
