//! What an agent says of one check, and what it knows of its machine. Observations are no events: only
//! their changes of status are (see `decide`).

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::id::{AgentId, CheckId, SystemId};
use super::severity::Status;
use super::time::{Span, Time};

/// A check's latest result. This type is the format on the wire.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Observation {
    pub agent: AgentId,
    pub check: CheckId,
    pub system: SystemId,
    pub at: Time,
    pub status: Status,
    /// One line for people.
    pub text: Arc<str>,
    /// What follows the first line, if anything.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub details: Arc<str>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<Metric>,
    /// How often the agent runs this check: silence for longer than a few of these is staleness.
    pub every: Span,
    /// How many results in a row must be bad before the state is hard. At least 1.
    pub attempts: u32,
    /// The runbook that the agent's configuration names for this check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runbook: Option<Arc<str>>,
}

fn is_empty(text: &Arc<str>) -> bool {
    text.is_empty()
}

/// One number of an observation, as performance data have it: `label=value[unit];warn;crit;min;max`
/// (Monitoring Plugins Development Guidelines).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Metric {
    pub name: Arc<str>,
    pub value: f64,
    #[serde(default, skip_serializing_if = "is_empty")]
    pub unit: Arc<str>,
    /// The thresholds as the plugin wrote them, for display: "80", "10:20".
    #[serde(default, skip_serializing_if = "is_empty")]
    pub warning: Arc<str>,
    #[serde(default, skip_serializing_if = "is_empty")]
    pub critical: Arc<str>,
}

/// What an agent knows of its machine: name to value, both for people ("kernel" → "6.1.0-18").
pub type Facts = BTreeMap<Arc<str>, Arc<str>>;

/// What an agent says first, and when something of it changes.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct AgentHello {
    pub agent: AgentId,
    /// The system that stands for the machine itself.
    pub system: SystemId,
    pub version: Arc<str>,
    /// How often it says that it lives.
    pub keepalive: Span,
    /// The checks that it runs: those that are no longer among them are forgotten, not stale.
    pub checks: Vec<CheckId>,
    pub facts: Facts,
}
