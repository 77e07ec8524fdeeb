//! A primary server's mind: world, vitals and rules; it alone decides what is written about its systems.
//!
//! Every method is a pure step: given what came in and the time, it answers with the events to append,
//! already numbered, and has folded them into its own world. When the append fails, the owner makes a
//! new `Primary` from the log.

use std::collections::BTreeSet;
use std::sync::Arc;

pub use super::decide::Rules;
use super::decide::{self, Vitals};
use super::event::{Draft, Event, Silence};
use super::fold::fold;
use super::grant::{Asker, Key, Who};
use super::id::{AgentId, EventId, GrantId, SourceId};
use super::intent::{Refusal, Request};
use super::observation::{AgentHello, Observation};
use super::report::{Memory, Report};
use super::system::SystemSpec;
use super::time::Time;
use super::world::World;

#[derive(Clone, Debug)]
pub struct Primary {
    pub world: World,
    pub rules: Rules,
    pub vitals: Vitals,
}

impl Primary {
    /// A primary that begins to watch at `now`: nothing is stale yet, everything is unknown.
    pub fn new(world: World, rules: Rules, now: Time) -> Primary {
        Primary { world, rules, vitals: Vitals { started: now, ..Vitals::default() } }
    }

    /// A person's or pipeline's request. The same request again: no events, no refusal.
    pub fn request(&mut self, request: &Request, now: Time) -> Result<Vec<Event>, Refusal> {
        let drafts = decide::request::request(&self.world, &self.rules.roles, request, now)?;
        Ok(self.take(drafts, now))
    }

    /// The same, of one who may do no more than this. By which key it was asked, or how else they came in, is written
    /// down beside what came of it.
    pub fn request_within(&mut self, request: &Request, asker: &Asker, now: Time) -> Result<Vec<Event>, Refusal> {
        let asker = &decide::permit::by_what_they_hold(&self.world, asker, now)?;
        decide::permit::permit(&self.world, &self.rules.roles, &request.intent, asker, now)?;
        let mut drafts = decide::request::request(&self.world, &self.rules.roles, request, now)?;
        let used = drafts.first().map(|draft| asker.told(draft.kind.name(), &draft.actor, request.id, now));
        drafts.extend(used);
        Ok(self.take(drafts, now))
    }

    /// One who proved a key brings a code. `names`: those that nobody may choose.
    pub fn redeem(&mut self, code: GrantId, who: Who, key: &Key, name: &str, names: &[Arc<str>], now: Time) -> Result<Vec<Event>, Refusal> {
        let drafts = decide::trust::redeemed(&self.world, code, who, key, name, names, now)?;
        Ok(self.take(drafts, now))
    }

    pub fn observe(&mut self, observation: &Observation, now: Time) -> Vec<Event> {
        let drafts = decide::observe::observe(&self.world, &mut self.vitals, &self.rules, observation, now);
        self.take(drafts, now)
    }

    pub fn hello(&mut self, hello: &AgentHello, now: Time) -> Vec<Event> {
        let drafts = decide::observe::hello(&self.world, &mut self.vitals, &self.rules, hello, now);
        self.take(drafts, now)
    }

    pub fn keepalive(&mut self, agent: &AgentId, now: Time) -> Vec<Event> {
        let drafts = decide::observe::keepalive(&self.world, &mut self.vitals, &self.rules, agent, now);
        self.take(drafts, now)
    }

    pub fn report(&mut self, report: &Report, now: Time) -> Vec<Event> {
        let mut events = Vec::new();
        let mut listed = BTreeSet::new();
        for reported in &report.alerts {
            // Each is decided on the world as the one before it left it: a report may name an alert twice.
            let (fingerprint, drafts) = decide::report::reported(&self.world, &mut self.vitals, &self.rules, report, reported, now);
            if report.complete {
                listed.insert(fingerprint);
            }
            events.extend(self.take(drafts, now));
        }
        self.vitals.readings.told(&report.source, report.at.min(now));
        if report.complete {
            let drafts = decide::report::absent(&self.world, &mut self.vitals, report, &listed);
            events.extend(self.take(drafts, now));
        }
        events
    }

    /// What a source remembers from before it was watched: filled in, no news.
    pub fn remember(&mut self, memory: &Memory, now: Time) -> Vec<Event> {
        let drafts = decide::past::remembered(&self.world, &self.rules, memory, now);
        self.take(drafts, now)
    }

    /// All silences that a source holds now.
    pub fn silences(&mut self, source: &SourceId, silences: &[Silence], now: Time) -> Vec<Event> {
        let drafts = decide::report::silences(&self.world, source, silences, now);
        self.take(drafts, now)
    }

    pub fn source_failed(&mut self, source: &SourceId, why: &str, now: Time) -> Vec<Event> {
        let drafts = decide::report::source_failed(&self.world, &self.rules, source, why, now);
        self.take(drafts, now)
    }

    pub fn source_recovered(&mut self, source: &SourceId, now: Time) -> Vec<Event> {
        let drafts = decide::report::source_recovered(&self.world, &self.rules, source, now);
        self.take(drafts, now)
    }

    /// Whatever time alone brings about: call it about once a second.
    pub fn tick(&mut self, now: Time) -> Vec<Event> {
        let drafts = decide::tick::tick(&self.world, &mut self.vitals, &self.rules, now);
        self.take(drafts, now)
    }

    /// What words mean to the team, all of them.
    pub fn glossary(&mut self, words: &std::collections::BTreeMap<std::sync::Arc<str>, std::sync::Arc<str>>, now: Time) -> Vec<Event> {
        let draft = decide::configure::glossary(&self.world, words, now);
        self.record(draft.into_iter().collect(), now)
    }

    /// What the configuration says beside its systems, by setting.
    pub fn settings(&mut self, settings: &std::collections::BTreeMap<std::sync::Arc<str>, std::sync::Arc<str>>, now: Time) -> Vec<Event> {
        let draft = decide::configure::settings(&self.world, settings, now);
        self.record(draft.into_iter().collect(), now)
    }

    /// The systems that the configuration declares, all of them.
    pub fn configure(&mut self, systems: &[SystemSpec], now: Time) -> Vec<Event> {
        let drafts = decide::configure::configure(&self.world, systems, now);
        self.take(drafts, now)
    }

    /// Events that need no decision: from `POST /api/v1/events`, the server's own start and stop.
    pub fn record(&mut self, drafts: Vec<Draft>, now: Time) -> Vec<Event> {
        let skew = self.rules.skew;
        let drafts = drafts
            .into_iter()
            .map(|mut draft| {
                if draft.at > now.plus(skew) {
                    let remark = decide::disbelieved("the sender's", draft.at);
                    draft.text = if draft.text.is_empty() { remark.into() } else { format!("{}\n{remark}", draft.text).into() };
                    draft.at = now;
                }
                draft
            })
            .collect();
        self.take(drafts, now)
    }

    fn take(&mut self, drafts: Vec<Draft>, now: Time) -> Vec<Event> {
        // Our own clock may go back; what we write down never does.
        let recorded = now.max(self.world.recorded);
        drafts
            .into_iter()
            .map(|draft| {
                let id = EventId { origin: self.world.origin, incarnation: self.world.incarnation, sequence: self.world.head.next() };
                let event = draft.stamp(id, recorded);
                fold(&mut self.world, &event);
                event
            })
            .collect()
    }
}
