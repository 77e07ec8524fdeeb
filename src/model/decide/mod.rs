//! From what comes in to events: the only place where time and thresholds count.
//!
//! Every function here is pure: world, vitals, rules, what came in, and now; out come drafts. The world
//! is never changed here (`Primary` folds), and what is no event (when something was last heard of,
//! how often it was bad in a row) lives in [`Vitals`], beside the log, empty after a restart.

pub mod configure;
pub mod keys;
pub mod observe;
pub mod past;
pub mod permit;
pub mod report;
pub mod request;
pub mod tick;
pub mod trust;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::event::{Actor, AlertCleared, AlertOpened, ClearReason, Condition, Draft};
use super::id::{AgentId, CheckId, Fingerprint, SourceId, SystemId};
use super::labels::Labels;
use super::observation::Observation;
use super::reading::Latest;
use super::severity::{Severity, Status};
use super::time::{Span, Time};
use super::world::Alert;

/// Thresholds of one server, from `[rules]` in its configuration. This type is the format.
#[derive(Clone, PartialEq, Debug, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rules {
    /// A check is stale when it has said nothing for this many of its intervals …
    pub stale_intervals: u32,
    /// … and at least this long.
    pub stale_least: Span,
    /// An agent is silent when it has not spoken for this many of its keepalives.
    pub silent_keepalives: u32,
    /// After a start nothing is called stale for this long.
    pub grace: Span,
    /// A pushed alert without an end is resolved this long after it was last received (Alertmanager's `resolve_timeout`).
    pub resolve_timeout: Span,
    /// An acknowledgement outlives a clearing for this long.
    pub ack_linger: Span,
    /// A check flaps when this share of its last 21 results (in percent, newer ones weigh more) changed …
    pub flap_high: u32,
    /// … and has settled below this one.
    pub flap_low: u32,
    /// An alert from a source flaps when it opened this many times within `flap_window`.
    pub flap_opens: u32,
    pub flap_window: Span,
    /// What lies further ahead of this server's clock is taken as now.
    pub skew: Span,
    /// Labels that do not take part in an alert's identity: what Prometheus adds as external or replica labels.
    pub external_labels: Vec<Arc<str>>,
    /// What a role allows; from `[roles]`.
    #[serde(skip)]
    pub roles: super::grant::Roles,
}

impl Default for Rules {
    fn default() -> Rules {
        Rules {
            stale_intervals: 3,
            stale_least: Span::from_secs(10),
            silent_keepalives: 3,
            grace: Span::from_secs(60),
            resolve_timeout: Span::from_mins(5),
            ack_linger: Span::from_mins(15),
            flap_high: 30,
            flap_low: 20,
            flap_opens: 4,
            flap_window: Span::from_hours(1),
            skew: Span::from_mins(5),
            external_labels: ["prometheus", "prometheus_replica", "replica", "__replica__", "receive_replica"].map(Arc::from).to_vec(),
            roles: super::grant::Roles::default(),
        }
    }
}

/// What is no event: when things were last heard of.
#[derive(Clone, Debug, Default)]
pub struct Vitals {
    /// When this life of the server began, or when it woke from a sleep.
    pub started: Time,
    /// The last tick.
    pub ticked: Option<Time>,
    /// The last tick that looked at all alerts.
    pub swept: Option<Time>,
    pub checks: HashMap<AgentId, HashMap<CheckId, CheckVital>>,
    pub agents: HashMap<AgentId, Time>,
    /// By whom each open alert is vouched for, and until when.
    pub leases: HashMap<Fingerprint, Vec<Lease>>,
    /// Polls in a row in which a source did not list an alert that it holds.
    pub absent: HashMap<SourceId, HashMap<Fingerprint, u32>>,
    /// When an alert's words last changed, so that a title with a number in it does not fill the log.
    pub reworded: HashMap<Fingerprint, Time>,
    /// Agents whose clock runs ahead, since that was said.
    pub ahead: HashSet<AgentId>,
    /// The numbers behind open alerts.
    pub readings: Latest,
}

#[derive(Clone, Debug)]
pub struct CheckVital {
    pub latest: Observation,
    /// When we heard it, by our clock.
    pub heard: Time,
    /// Bad results in a row.
    pub attempt: u32,
    /// The last statuses, oldest first, at most [`FLAP_RESULTS`].
    pub results: VecDeque<Status>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Lease {
    pub by: Actor,
    pub until: Time,
    /// The source gave no end: past `until` it is resolved, not merely unrefreshed.
    pub resolves: bool,
}

/// How many results flap detection looks at (as Nagios and its successors do).
pub const FLAP_RESULTS: usize = 21;

/// The share of changes among the last results, in percent; newer changes weigh up to half more than
/// older ones. Fewer than [`FLAP_RESULTS`] results say nothing yet and count as calm.
pub fn flap_percent(results: &VecDeque<Status>) -> u32 {
    if results.len() < FLAP_RESULTS {
        return 0;
    }
    // Weights go from 75 to 125 hundredths over the 20 places; all changed makes 2000.
    let changes: u32 = results.iter().zip(results.iter().skip(1)).zip(0_u32..).filter(|((a, b), _)| a != b).map(|(_, place)| 75 + place * 50 / 19).sum();
    changes / 20
}

/// An alert's identity: system, check and those labels that identify.
pub fn fingerprint(system: &SystemId, check: &CheckId, labels: &Labels, rules: &Rules) -> Fingerprint {
    let identifying = labels.without(|name| rules.external_labels.iter().any(|external| &**external == name));
    let mut hash = Sha256::new();
    for part in [b"midwatch alert 1", system.as_str().as_bytes(), check.as_str().as_bytes(), identifying.canonical()] {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(part);
    }
    let digest = hash.finalize();
    let mut out = [0_u8; 16];
    out.iter_mut().zip(digest.iter()).for_each(|(to, from)| *to = *from);
    Fingerprint(out)
}

/// The words of an alert about to be opened.
pub(super) struct Opening<'a> {
    pub fingerprint: Fingerprint,
    pub system: &'a SystemId,
    pub check: &'a CheckId,
    pub labels: Labels,
    pub severity: Severity,
    pub condition: Condition,
    pub by: Actor,
    pub at: Time,
    pub title: Arc<str>,
}

impl Opening<'_> {
    pub fn draft(self) -> Draft {
        let kind = AlertOpened { alert: self.fingerprint, check: self.check.clone(), by: self.by.clone(), condition: self.condition, expr: None };
        let mut draft = Draft::new(self.at, self.by, kind, self.title).on(self.system.clone()).severity(self.severity);
        draft.labels = self.labels;
        draft
    }
}

/// The alert is over.
pub(super) fn cleared(fingerprint: Fingerprint, alert: &Alert, at: Time, by: Actor, reason: ClearReason) -> Draft {
    Draft::new(at, by, AlertCleared { alert: fingerprint, reason }, alert.title.clone()).on(alert.system.clone())
}

/// That a time from outside was taken as now.
pub fn disbelieved(whose: &str, at: Time) -> String {
    format!("[{whose} time {at} was not believed: it lies ahead of this server's clock]")
}

/// A time from outside, not further ahead of our clock than the skew that we allow.
pub(super) fn plausible(at: Time, now: Time, rules: &Rules) -> Time {
    if at > now.plus(rules.skew) { now } else { at }
}
