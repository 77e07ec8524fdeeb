//! A primary server's mind: world, vitals and rules; it alone decides what is written about its systems.
//!
//! Every method is a pure step: given what came in and the time, it answers with the events to append,
//! already numbered, and has folded them into its own world. When the append fails, the owner makes a
//! new `Primary` from the log.

use super::event::{Draft, Event};
use super::id::AgentId;
use super::intent::{Refusal, Request};
use super::observation::{AgentHello, Observation};
use super::report::Report;
use super::system::SystemSpec;
use super::time::Time;
use super::world::World;

/// Thresholds of one server, from its configuration.
#[derive(Clone, PartialEq, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Rules {}

#[derive(Clone, Debug)]
pub struct Primary {
    pub world: World,
    pub rules: Rules,
}

impl Primary {
    pub fn new(world: World, rules: Rules, _now: Time) -> Primary {
        Primary { world, rules }
    }

    /// A person's or pipeline's request. The same request again: no events, no refusal.
    pub fn request(&mut self, _request: &Request, _now: Time) -> Result<Vec<Event>, Refusal> {
        Ok(Vec::new())
    }

    pub fn observe(&mut self, _observation: &Observation, _now: Time) -> Vec<Event> {
        Vec::new()
    }

    pub fn hello(&mut self, _hello: &AgentHello, _now: Time) -> Vec<Event> {
        Vec::new()
    }

    pub fn keepalive(&mut self, _agent: &AgentId, _now: Time) -> Vec<Event> {
        Vec::new()
    }

    pub fn report(&mut self, _report: &Report, _now: Time) -> Vec<Event> {
        Vec::new()
    }

    /// Whatever time alone brings about: call it about once a second.
    pub fn tick(&mut self, _now: Time) -> Vec<Event> {
        Vec::new()
    }

    /// The systems that the configuration declares, all of them.
    pub fn configure(&mut self, _systems: &[SystemSpec], _now: Time) -> Vec<Event> {
        Vec::new()
    }

    /// Events that need no decision: from `POST /api/v1/events`, the server's own start and stop.
    pub fn record(&mut self, _drafts: Vec<Draft>, _now: Time) -> Vec<Event> {
        Vec::new()
    }
}
