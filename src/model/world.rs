//! What is true now on one server, as its events tell: the product of `fold`, and of nothing else.
//!
//! A world is cheap to clone (its large parts are shared until they change), so that readers get one of
//! their own while the primary goes on. Its MessagePack encoding is the snapshot and the checkpoint: a
//! twin of these types would only copy fields.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::event::{Actor, ClearReason, Condition, Event, Link, Silence, SilenceMatcher};
use super::grant::{Epoch, Grant, Invite};
use super::id::{AgentId, AlertRef, CheckId, EventId, Fingerprint, GrantId, Incarnation, Origin, Person, Sequence, SourceId, SystemId};
use super::labels::Labels;
use super::observation::Facts;
use super::requests::Requests;
use super::severity::{Severity, Status};
use super::system::SystemSpec;
use super::time::{Span, Time};

/// One origin's world.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct World {
    pub origin: Origin,
    pub incarnation: Incarnation,
    /// The last event that was folded.
    pub head: Sequence,
    /// It is what a scope lets one see: which one. None: it is the whole world.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Epoch>,
    /// What the server calls itself.
    pub name: Arc<str>,
    pub version: Arc<str>,
    /// When the first event that we know of happened: history says "in the 15 days known".
    pub known_since: Option<Time>,
    /// The greatest `recorded` so far.
    pub recorded: Time,
    pub systems: BTreeMap<SystemId, Arc<System>>,
    pub agents: BTreeMap<AgentId, Arc<Agent>>,
    pub alerts: BTreeMap<Fingerprint, Arc<Alert>>,
    /// The alerts that are open.
    pub open: BTreeSet<Fingerprint>,
    /// The alerts with an acknowledgement, assignment or snooze, open or not.
    pub cared: BTreeSet<Fingerprint>,
    pub sources: BTreeMap<SourceId, Source>,
    /// Requests that were done: asking again does nothing.
    pub requests: Arc<Requests>,
    /// Changes and what people did and said, newest last.
    pub deeds: VecDeque<Arc<Deed>>,
    /// What changed without anybody saying so here (commits, inventory, configuration, silences that
    /// ended), newest last: apart, so that a busy repository does not crowd out what people said.
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    pub changes: VecDeque<Arc<Deed>>,
    /// The newest commits by repository, so that none is told twice.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub commits: BTreeMap<Arc<str>, VecDeque<Arc<str>>>,
    /// What cleared last, newest last: effects may still stand under it for a while.
    #[serde(default, skip_serializing_if = "VecDeque::is_empty")]
    pub cleared: VecDeque<(Time, Fingerprint)>,
    /// What the server's own configuration says, without its systems: by setting.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<Arc<str>, Arc<str>>,
    /// Spans in which nobody watched, newest last.
    pub unwatched: VecDeque<(Time, Time)>,
    /// Of what somebody said that an alert is not caused by it, oldest first; open or not.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub apart: BTreeMap<Fingerprint, Vec<Apart>>,
    /// What words mean to the team: from the server's configuration.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub glossary: BTreeMap<Arc<str>, Arc<str>>,
    /// Who was given what; those that are over for a while longer.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub grants: BTreeMap<GrantId, Arc<Grant>>,
    /// Codes that nobody has brought yet.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub invites: BTreeMap<GrantId, Invite>,
    /// Lives of this log that ended: where each stood when the next began.
    pub lives: Vec<(Incarnation, Sequence)>,
    /// Closed episodes that are kept, of all alerts.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub kept: u32,
}

impl World {
    /// Deeds, spans that are kept; closed episodes and days with one, of each alert.
    pub const DEEDS: usize = 1_000;
    pub const CHANGES: usize = 2_000;
    /// Commits that are known by repository, and repositories.
    pub const COMMITS: usize = 1_000;
    pub const REPOSITORIES: usize = 100;
    pub const CLEARED: usize = 1_000;
    pub const SETTINGS: usize = 1_000;
    pub const UNWATCHED: usize = 100;
    pub const PAST: usize = 100;
    /// Alerts of which somebody said what they are not caused by, and what was said of each.
    pub const APART: usize = 4_096;
    pub const APART_EACH: usize = 16;
    pub const DAYS: usize = 92;
    /// Alerts that are over and still known, and closed episodes of all alerts: beyond that the oldest go.
    pub const OVER: usize = 100_000;
    pub const EPISODES: u32 = 1_000_000;
    /// Invites that wait, and grants that are over.
    pub const INVITES: usize = 1_000;
    pub const GRANTS_OVER: usize = 1_000;
    /// Words of the team's glossary.
    pub const WORDS: usize = 500;

    pub fn new(origin: Origin, incarnation: Incarnation) -> World {
        World { origin, incarnation, ..World::default() }
    }

    pub fn alert(&self, alert: Fingerprint) -> Option<&Alert> {
        self.alerts.get(&alert).map(|a| &**a)
    }

    /// The open alerts, by fingerprint.
    pub fn open_alerts(&self) -> impl Iterator<Item = (Fingerprint, &Alert)> {
        self.open.iter().filter_map(|f| self.alert(*f).map(|alert| (*f, alert)))
    }

    /// Everything that changed, whoever said so; not in order.
    pub fn all_changes(&self) -> impl Iterator<Item = &Arc<Deed>> {
        self.deeds.iter().chain(&self.changes).filter(|deed| deed.kind.is_change() && !deed.withdrawn)
    }

    pub fn system(&self, id: &SystemId) -> Option<&System> {
        self.systems.get(id).map(|s| &**s)
    }

    /// What people call the system.
    pub fn title_of<'a>(&'a self, id: &'a SystemId) -> &'a str {
        match self.system(id) {
            Some(system) if !system.spec.title.is_empty() => &system.spec.title,
            Some(_) | None => id.as_str(),
        }
    }
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct System {
    pub spec: SystemSpec,
    /// False: nobody declared it; events speak of it.
    pub declared: bool,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Agent {
    pub system: SystemId,
    pub version: Arc<str>,
    pub joined: Time,
    pub keepalive: Span,
    pub silent_since: Option<Time>,
    pub facts: Facts,
    pub checks: BTreeMap<CheckId, Check>,
}

/// A check as the last event about it says; the latest result itself is no event.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Check {
    pub system: SystemId,
    pub status: Status,
    pub hard: bool,
    pub since: Time,
    pub text: Arc<str>,
}

/// Everything that is known of one alert, open or not.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Alert {
    pub system: SystemId,
    pub check: CheckId,
    pub labels: Labels,
    pub condition: Condition,
    pub severity: Severity,
    pub title: Arc<str>,
    pub text: Arc<str>,
    pub links: Vec<Link>,
    pub expr: Option<Arc<str>>,
    /// Who says that it is so, while it is open.
    pub holders: Vec<Actor>,
    pub flapping: bool,
    /// The current episode.
    pub now: Option<Open>,
    /// What people said that they do about it; outlives a short clearing.
    pub care: Option<Box<Care>>,
    /// All episodes so far, the current one too.
    pub episodes: u32,
    pub first: Time,
    /// The newest closed episodes, oldest first.
    pub past: Vec<Past>,
    /// Per UTC day (days since 1970): how often it began or was open, and how bad it was.
    pub days: Vec<Day>,
    /// The last time that somebody ended it, or said or changed something right before it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Box<Ended>>,
    /// The source that told of episodes from before it was watched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filled: Option<SourceId>,
}

#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Open {
    /// The event that opened it.
    pub episode: EventId,
    pub since: Time,
    /// When this server first heard of the episode, by its own clock. Absent: an older version's world.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heard: Option<Time>,
    /// The source vouched for it until then, and has not repeated it.
    pub unrefreshed: Option<Time>,
}

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Care {
    pub ack: Option<Ack>,
    pub snooze: Option<Snooze>,
    pub assigned: Option<Assigned>,
    /// When the alert cleared, while the care is kept for a possible return.
    pub cleared: Option<Time>,
}

impl Care {
    pub fn is_empty(&self) -> bool {
        self.ack.is_none() && self.snooze.is_none() && self.assigned.is_none()
    }
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Ack {
    pub by: Actor,
    pub at: Time,
    pub note: Arc<str>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Snooze {
    pub by: Actor,
    pub at: Time,
    pub until: Time,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Assigned {
    pub to: Person,
    pub by: Actor,
    pub at: Time,
}

/// "Not so": somebody said that an alert does not come from another.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Apart {
    pub cause: AlertRef,
    pub by: Actor,
    pub at: Time,
}

#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Past {
    pub from: Time,
    pub until: Time,
    pub severity: Severity,
    pub reason: ClearReason,
    /// Somebody ended it, or changed something right before it ended: it did not clear by itself.
    #[serde(default, skip_serializing_if = "is_false")]
    pub by_hand: bool,
    /// Filled in from what its source remembered; nobody watched it here.
    #[serde(default, skip_serializing_if = "is_false")]
    pub filled: bool,
}

fn is_zero(value: &u32) -> bool {
    *value == 0
}

fn is_false(value: &bool) -> bool {
    !*value
}

/// How an episode came to its end when a person had a part in it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Ended {
    /// When the episode ended.
    pub at: Time,
    pub by: Actor,
    /// What they did: resolved, changed or noted.
    pub kind: DeedKind,
    /// Their words, one line.
    pub words: Arc<str>,
    /// It was said of this system, above the alert's own by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub above: Option<SystemId>,
}

#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub struct Day {
    pub day: i32,
    pub count: u16,
    pub worst: Severity,
}

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Source {
    pub failing_since: Option<Time>,
    pub silences: BTreeMap<Arc<str>, Silence>,
    /// How far its past was filled in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filled: Option<Filled>,
}

/// What a source told of its past, from before it was watched here.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Filled {
    /// Everything from here …
    pub from: Time,
    /// … to here was asked for.
    pub until: Time,
    /// There is no more to ask for: that is as far back as it remembers, or as history looks.
    pub complete: bool,
    /// While it goes on: alerts that fired at `from`, so that their episodes began earlier, and until when.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub running: Vec<(Fingerprint, Time)>,
    /// Spans (from, to] that are still to be asked for: it was away, or they were too much at once.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<(Time, Time)>,
}

/// Something that somebody did or said, or that changed: what a person asks for first.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Deed {
    pub event: EventId,
    pub at: Time,
    pub kind: DeedKind,
    pub system: Option<SystemId>,
    pub alert: Option<Fingerprint>,
    pub by: Actor,
    pub title: Arc<str>,
    pub text: Arc<str>,
    pub link: Option<Link>,
    pub withdrawn: bool,
    /// Of a silence that ended: the alerts that it was about.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub matchers: Vec<SilenceMatcher>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeedKind {
    Change,
    Note,
    Acknowledged,
    Snoozed,
    Assigned,
    Resolved,
    /// An agent of another version, or after a restart of its machine.
    Restarted,
    Commit,
    /// The server's own configuration of a system.
    Configured,
    /// A silence that ended.
    SilenceEnded,
    /// What an agent found different on its machine.
    Inventory,
    /// What an agent or a pipeline did: events of a kind `action` or `action.…`.
    Action,
    /// "Not so": said of an alert and its cause.
    Apart,
    /// A kind that a later version knows.
    #[serde(other)]
    Other,
}

impl DeedKind {
    /// Something changed; the others are what people did and said about what is wrong.
    pub const fn is_change(self) -> bool {
        match self {
            DeedKind::Change
            | DeedKind::Restarted
            | DeedKind::Commit
            | DeedKind::Configured
            | DeedKind::SilenceEnded
            | DeedKind::Inventory
            | DeedKind::Action => true,
            DeedKind::Note | DeedKind::Acknowledged | DeedKind::Snoozed | DeedKind::Assigned | DeedKind::Resolved | DeedKind::Apart | DeedKind::Other => false,
        }
    }
}

impl Alert {
    /// As the first event about it tells, before any of its episodes is counted.
    pub(super) fn told_by(event: &Event, system: SystemId, check: CheckId, condition: Condition) -> Alert {
        Alert {
            system,
            check,
            labels: event.labels.clone(),
            condition,
            severity: event.severity,
            title: event.title.clone(),
            text: event.text.clone(),
            links: event.links.clone(),
            expr: None,
            holders: Vec::new(),
            flapping: false,
            now: None,
            care: None,
            episodes: 0,
            first: event.at,
            past: Vec::new(),
            days: Vec::new(),
            ended: None,
            filled: None,
        }
    }

    pub fn is_open(&self) -> bool {
        self.now.is_some()
    }

    pub fn ack(&self) -> Option<&Ack> {
        self.care.as_ref()?.ack.as_ref()
    }

    pub fn snooze(&self) -> Option<&Snooze> {
        self.care.as_ref()?.snooze.as_ref()
    }

    pub fn assigned(&self) -> Option<&Assigned> {
        self.care.as_ref()?.assigned.as_ref()
    }

    /// Who has it: the one it is assigned to, else who acknowledged it.
    pub fn somebody(&self) -> Option<&str> {
        self.assigned().map(|a| a.to.as_str()).or_else(|| self.ack().map(|a| a.by.name()))
    }

    pub fn agent(&self) -> Option<&str> {
        self.labels.get("agent")
    }
}
