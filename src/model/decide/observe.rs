//! What agents say: observations, first words, signs of life.

use std::sync::Arc;

use super::tick::care_over;
use super::{CheckVital, FLAP_RESULTS, Opening, Rules, Vitals, cleared, disbelieved, fingerprint, flap_percent, plausible};
use crate::model::event::{
    Actor, AgentJoined, AgentReturned, AlertChanged, AlertFlapping, AlertSettled, CheckChanged, CheckRemoved, ClearReason, Condition, Draft, InventoryChanged,
    Kind, Link, Other,
};
use crate::model::id::{AgentId, CheckId, Fingerprint, SystemId};
use crate::model::labels::Labels;
use crate::model::observation::{AgentHello, Observation};
use crate::model::reading::Reading;
use crate::model::severity::Severity;
use crate::model::time::{Span, Time};
use crate::model::world::{Alert, Check, World};

/// The identity of the alert that a check of an agent raises.
pub fn alert_of(system: &SystemId, agent: &AgentId, check: &CheckId, rules: &Rules) -> (Fingerprint, Labels) {
    let labels = Labels::new([("agent", agent.as_str())]);
    (fingerprint(system, check, &labels, rules), labels)
}

/// The identity of the alert that says that a check is stale, or (check `agent`) that an agent is silent.
pub fn silence_of(system: &SystemId, agent: &AgentId, check: &CheckId, rules: &Rules) -> (Fingerprint, Labels) {
    let labels = Labels::new([("agent", agent.as_str()), ("condition", "stale")]);
    (fingerprint(system, check, &labels, rules), labels)
}

/// One result of one check. Results come in order per check; what is not newer than the last is a repetition.
pub fn observe(world: &World, vitals: &mut Vitals, rules: &Rules, observation: &Observation, now: Time) -> Vec<Draft> {
    let mut observation = observation.clone();
    let clock = clock_of(vitals, rules, &observation, now);
    observation.at = plausible(observation.at, now, rules);
    observation.attempts = observation.attempts.clamp(1, 100);
    observation.every = observation.every.clamp(Span::from_secs(1), Span::from_days(8));
    let known = vitals.checks.entry(observation.agent.clone()).or_default();
    let vital = match known.get_mut(&observation.check) {
        Some(vital) if observation.at <= vital.latest.at => return clock.into_iter().collect(),
        Some(vital) => vital,
        None => known.entry(observation.check.clone()).or_insert_with(|| CheckVital {
            latest: observation.clone(),
            heard: now,
            attempt: 0,
            results: Default::default(),
        }),
    };
    vital.heard = now;
    vital.latest = observation.clone();
    vital.attempt = if observation.status.is_ok() { 0 } else { vital.attempt.saturating_add(1) };
    if vital.results.len() >= FLAP_RESULTS {
        vital.results.pop_front();
    }
    vital.results.push_back(observation.status);
    let (attempt, percent) = (vital.attempt, flap_percent(&vital.results));
    let judged = vital.results.len() >= FLAP_RESULTS;
    vitals.agents.insert(observation.agent.clone(), now);

    let mut out: Vec<Draft> = clock.into_iter().collect();
    out.extend(returned(world, rules, &observation.agent, observation.at));
    let (stale, _) = silence_of(&observation.system, &observation.agent, &observation.check, rules);
    if let Some(alert) = world.alert(stale).filter(|alert| alert.is_open()) {
        out.push(cleared(stale, alert, observation.at, Actor::Agent(observation.agent.clone()), ClearReason::Recovered));
    }
    let (alert, labels) = alert_of(&observation.system, &observation.agent, &observation.check, rules);
    if !observation.metrics.is_empty() && (!observation.status.is_ok() || world.alert(alert).is_some_and(Alert::is_open)) {
        vitals.readings.put(Reading::of_check(alert, &observation));
    }
    let before = world.agents.get(&observation.agent).and_then(|agent| agent.checks.get(&observation.check));
    let result = Result { observation: &observation, alert_id: alert, labels, attempt, percent, judged, before };
    out.extend(result.decide(world, rules));
    out
}

/// An agent whose clock runs ahead is told of once, until it has been right again: what it says counts as of now.
fn clock_of(vitals: &mut Vitals, rules: &Rules, observation: &Observation, now: Time) -> Option<Draft> {
    let ahead = observation.at.since(now);
    if ahead <= rules.skew {
        // Right by a margin, so that one at the limit is not told of again and again.
        if ahead.times(2) <= rules.skew {
            vitals.ahead.remove(&observation.agent);
        }
        return None;
    }
    if !vitals.ahead.insert(observation.agent.clone()) {
        return None;
    }
    let title = format!("the clock of agent {} is {ahead} ahead: its times are taken as now", observation.agent);
    let kind = Other { kind: "agent.clock".into(), data: serde_json::json!({ "ahead_seconds": ahead.secs() }) };
    let draft = Draft::new(now, Actor::Server, Kind::Other(kind), title).on(observation.system.clone()).severity(Severity::Warning);
    Some(draft.text(format!("Set the clock of that machine right, or this server's.\n{}", disbelieved("its", observation.at))))
}

/// A result beside what was known before it.
struct Result<'a> {
    observation: &'a Observation,
    alert_id: Fingerprint,
    labels: Labels,
    attempt: u32,
    percent: u32,
    /// Whether there are results enough to say that it is calm.
    judged: bool,
    before: Option<&'a Check>,
}

impl Result<'_> {
    fn decide(&self, world: &World, rules: &Rules) -> Vec<Draft> {
        let (observation, alert_id) = (self.observation, self.alert_id);
        let alert = world.alert(alert_id);
        let flapping = alert.is_some_and(|alert| alert.flapping);
        let open = alert.filter(|alert| alert.is_open());
        let mut out = Vec::new();
        if flapping && (!self.judged || self.percent >= rules.flap_low) {
            // While it flaps, its changes are no news. The alert stays open.
            return out;
        }
        if flapping {
            out.push(self.draft(AlertSettled { alert: alert_id }, format!("{} no longer flaps", observation.check)));
        }
        if observation.status.is_ok() {
            if self.before.is_none_or(|before| !before.status.is_ok()) {
                out.push(self.changed(true));
            }
            if let Some(alert) = open {
                if self.percent >= rules.flap_high {
                    out.push(self.flaps(alert_id));
                } else {
                    let mut over = cleared(alert_id, alert, observation.at, self.actor(), ClearReason::Recovered);
                    over.text = observation.text.clone();
                    out.push(over);
                }
            }
            return out;
        }
        // Between bad states a hard one stays hard.
        let was_hard = self.before.is_some_and(|before| before.hard && !before.status.is_ok());
        let hard = was_hard || self.attempt >= observation.attempts;
        if self.before.is_none_or(|before| before.status != observation.status || before.hard != hard) {
            out.push(self.changed(hard));
        }
        if hard {
            match open {
                None => {
                    let severity = observation.status.severity();
                    let opening = Opening {
                        fingerprint: alert_id,
                        system: &observation.system,
                        check: &observation.check,
                        labels: self.labels.clone(),
                        severity,
                        condition: Condition::Problem,
                        by: self.actor(),
                        at: observation.at,
                        title: observation.text.clone(),
                    };
                    let mut draft = opening.draft().text(observation.details.clone());
                    draft.links = observation.runbook.iter().map(|url| Link { name: "runbook".into(), url: url.clone() }).collect();
                    out.extend(care_over(alert_id, alert, rules, observation.at));
                    out.push(draft);
                }
                Some(alert) if alert.severity != observation.status.severity() => {
                    let draft = self.draft(AlertChanged { alert: alert_id, was: alert.severity }, observation.text.clone());
                    out.push(draft.severity(observation.status.severity()).text(observation.details.clone()));
                }
                Some(_) => {}
            }
            if !flapping && self.percent >= rules.flap_high {
                out.push(self.flaps(alert_id));
            }
        }
        out
    }

    fn actor(&self) -> Actor {
        Actor::Agent(self.observation.agent.clone())
    }

    fn draft(&self, kind: impl Into<crate::model::event::Kind>, title: impl Into<Arc<str>>) -> Draft {
        Draft::new(self.observation.at, self.actor(), kind, title).on(self.observation.system.clone())
    }

    fn changed(&self, hard: bool) -> Draft {
        let observation = self.observation;
        let kind = CheckChanged {
            agent: observation.agent.clone(),
            check: observation.check.clone(),
            status: observation.status,
            hard,
            attempt: self.attempt,
            attempts: observation.attempts,
        };
        // The alert that may follow carries severity and words; this says what became of the check.
        let counted = if hard { String::new() } else { format!(" ({} of {})", self.attempt, observation.attempts) };
        let text = if observation.details.is_empty() { observation.text.clone() } else { format!("{}\n{}", observation.text, observation.details).into() };
        self.draft(kind, format!("{} is {}{counted}", observation.check, observation.status)).text(text)
    }

    fn flaps(&self, alert: Fingerprint) -> Draft {
        let title = format!("{} flaps: {} % of its last {FLAP_RESULTS} results changed", self.observation.check, self.percent);
        self.draft(AlertFlapping { alert, changes: self.percent }, title).severity(self.observation.status.severity())
    }
}

/// An agent that was silent speaks again.
fn returned(world: &World, rules: &Rules, agent: &AgentId, at: Time) -> Vec<Draft> {
    let Some(known) = world.agents.get(agent) else { return Vec::new() };
    let Some(silent_since) = known.silent_since else { return Vec::new() };
    let actor = Actor::Agent(agent.clone());
    let title = format!("{agent} is back after {}", at.since(silent_since));
    let mut out = vec![Draft::new(at, actor.clone(), AgentReturned { agent: agent.clone(), silent_since }, title).on(known.system.clone())];
    let (silent, _) = silence_of(&known.system, agent, &AGENT.into(), rules);
    if let Some(alert) = world.alert(silent).filter(|alert| alert.is_open()) {
        out.push(cleared(silent, alert, at, actor, ClearReason::Recovered));
    }
    out
}

/// The name that stands for an agent as a whole where a check's name is asked for.
pub const AGENT: &str = "agent";

/// An agent's sign of life.
pub fn keepalive(world: &World, vitals: &mut Vitals, rules: &Rules, agent: &AgentId, now: Time) -> Vec<Draft> {
    if !world.agents.contains_key(agent) {
        return Vec::new();
    }
    vitals.agents.insert(agent.clone(), now);
    returned(world, rules, agent, now)
}

/// An agent's first words after it connected, and whenever its facts or checks change.
pub fn hello(world: &World, vitals: &mut Vitals, rules: &Rules, hello: &AgentHello, now: Time) -> Vec<Draft> {
    vitals.agents.insert(hello.agent.clone(), now);
    let actor = Actor::Agent(hello.agent.clone());
    let keepalive = hello.keepalive.clamp(Span::from_secs(1), Span::from_days(1));
    let mut out = returned(world, rules, &hello.agent, now);
    let known = world.agents.get(&hello.agent);
    if known.is_none_or(|known| known.version != hello.version || known.keepalive != keepalive || known.system != hello.system) {
        let title = match known {
            None => format!("{} joined, midwatch {}", hello.agent, hello.version),
            Some(known) if known.version != hello.version => format!("{} went from midwatch {} to {}", hello.agent, known.version, hello.version),
            Some(_) => format!("{} changed its settings", hello.agent),
        };
        let kind = AgentJoined { agent: hello.agent.clone(), version: hello.version.clone(), keepalive };
        out.push(Draft::new(now, actor.clone(), kind, title).on(hello.system.clone()));
    }
    let empty = Default::default();
    let before = known.map_or(&empty, |known| &known.facts);
    if *before != hello.facts {
        let mut changed: Vec<Arc<str>> = hello.facts.iter().filter(|(name, value)| before.get(*name) != Some(value)).map(|(name, _)| name.clone()).collect();
        changed.extend(before.keys().filter(|name| !hello.facts.contains_key(*name)).cloned());
        let first = before.is_empty();
        let title = if first { format!("{} told what machine it is on", hello.agent) } else { format!("{}: {} changed", hello.agent, changed.join(", ")) };
        let text: Vec<String> = changed
            .iter()
            .filter(|_| !first)
            .map(|name| format!("{name}: {} → {}", before.get(name).map_or("–", |v| v), hello.facts.get(name).map_or("–", |v| v)))
            .collect();
        let kind = InventoryChanged { agent: hello.agent.clone(), facts: hello.facts.clone(), changed: if first { Vec::new() } else { changed } };
        out.push(Draft::new(now, actor.clone(), kind, title).on(hello.system.clone()).text(text.join("\n")));
    }
    if let Some(known) = known {
        for (check, state) in known.checks.iter().filter(|(check, _)| !hello.checks.contains(check)) {
            out.extend(forget(world, rules, &hello.agent, check, state, now));
            if let Some(checks) = vitals.checks.get_mut(&hello.agent) {
                checks.remove(check);
            }
        }
    }
    out
}

/// The agent no longer runs this check: what it said no longer counts.
fn forget(world: &World, rules: &Rules, agent: &AgentId, check: &CheckId, state: &Check, now: Time) -> Vec<Draft> {
    let actor = Actor::Agent(agent.clone());
    let kind = CheckRemoved { agent: agent.clone(), check: check.clone() };
    let mut out = vec![Draft::new(now, actor.clone(), kind, format!("{agent} no longer runs {check}")).on(state.system.clone())];
    for (fingerprint, _) in [alert_of(&state.system, agent, check, rules), silence_of(&state.system, agent, check, rules)] {
        let open: Option<&Alert> = world.alert(fingerprint).filter(|alert| alert.is_open());
        out.extend(open.map(|alert| cleared(fingerprint, alert, now, actor.clone(), ClearReason::Removed)));
    }
    out
}
