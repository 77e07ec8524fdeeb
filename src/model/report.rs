//! What a source of alerts says: pushed by Prometheus, pulled from an Alertmanager, given to a webhook.
//!
//! Intakes and sources turn each protocol into a [`Report`]; `decide` knows no protocol. The semantics
//! are Alertmanager's: an `endsAt` ahead is a lease that each push renews, not a time of resolution.

use std::sync::Arc;

use super::event::Link;
use super::id::{CheckId, SourceId, SystemId};
use super::labels::Labels;
use super::severity::Severity;
use super::time::Time;
use super::world::Filled;

/// One message or poll of one source.
#[derive(Clone, PartialEq, Debug)]
pub struct Report {
    pub source: SourceId,
    /// The message's own time; of a poll, when it was answered.
    pub at: Time,
    pub alerts: Vec<Reported>,
    /// A poll that listed everything: what is absent twice in a row is cleared. A push is never complete.
    pub complete: bool,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Reported {
    pub system: SystemId,
    pub check: CheckId,
    pub severity: Severity,
    /// One line: what is wrong.
    pub title: Arc<str>,
    pub text: Arc<str>,
    /// All labels as the source sent them; `Rules` says which of them do not identify.
    pub labels: Labels,
    pub links: Vec<Link>,
    /// The rule's expression, where the source tells.
    pub expr: Option<Arc<str>>,
    /// What the expression is now, where the source tells.
    pub value: Option<f64>,
    pub starts: Time,
    pub state: ReportedState,
}

/// What a source remembers of the time before it was watched here. Of each episode, `starts` is its
/// beginning and its state is `Resolved`.
#[derive(Clone, PartialEq, Debug)]
pub struct Memory {
    pub source: SourceId,
    pub episodes: Vec<Reported>,
    /// How far it has told with this.
    pub filled: Filled,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReportedState {
    /// Firing; with a lease, until when the source vouches for it.
    Firing { until: Option<Time> },
    /// Firing, and over at `at` by the caller's explicit word (`amtool alert add --end`).
    Ending { at: Time },
    /// Over since `at`, by the source's explicit word.
    Resolved { at: Time },
}
