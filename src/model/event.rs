//! Events: what happened, when, to which system, caused by whom. Never changed.
//!
//! An [`Event`] is the export format itself, in JSON (one object a line) and in MessagePack (the
//! log's bytes): a twin would only copy fields. Its kind's own fields stand under `data`. Kinds and
//! fields that this version does not know are kept, so that servers of several versions live together.

mod format;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeSeed;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use super::grant::{Key, Offer, Scope, Vouched, Who};
use super::id::{AgentId, AlertRef, CheckId, EventId, Fingerprint, GrantId, Incarnation, Origin, Person, RequestId, Sequence, SourceId, SystemId};
use super::labels::Labels;
use super::loose::Loose;
use super::observation::Facts;
use super::severity::{Severity, Status};
use super::system::SystemSpec;
use super::time::Time;

#[derive(Clone, PartialEq, Debug)]
pub struct Event {
    pub id: EventId,
    /// When it happened, by the word of the agent or source.
    pub at: Time,
    /// When the server took it.
    pub recorded: Time,
    pub severity: Severity,
    /// The system on the event's own server (`id.origin`).
    pub system: Option<SystemId>,
    pub actor: Actor,
    /// One line.
    pub title: Arc<str>,
    /// As many lines as it takes; empty when the title says all.
    pub text: Arc<str>,
    pub labels: Labels,
    pub links: Vec<Link>,
    /// The request that asked for it.
    pub request: Option<RequestId>,
    pub kind: Kind,
    /// Fields that this version does not know.
    pub extra: BTreeMap<String, Value>,
}

/// Who caused an event. Text: `user:kim`, `agent:web-1`, `source:prometheus`, `server`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Actor {
    Server,
    User(Person),
    Agent(AgentId),
    Source(SourceId),
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Actor::Server => f.write_str("server"),
            Actor::User(name) => write!(f, "user:{name}"),
            Actor::Agent(name) => write!(f, "agent:{name}"),
            Actor::Source(name) => write!(f, "source:{name}"),
        }
    }
}

impl Actor {
    /// The name alone, as screens show it.
    pub fn name(&self) -> &str {
        match self {
            Actor::Server => "server",
            Actor::User(name) => name.as_str(),
            Actor::Agent(name) => name.as_str(),
            Actor::Source(name) => name.as_str(),
        }
    }

    pub fn parse(text: &str) -> Actor {
        match text.split_once(':') {
            Some(("user", name)) => Actor::User(name.into()),
            Some(("agent", name)) => Actor::Agent(name.into()),
            Some(("source", name)) => Actor::Source(name.into()),
            Some(_) => Actor::Source(text.into()),
            None if text == "server" => Actor::Server,
            None => Actor::Source(text.into()),
        }
    }
}

impl Serialize for Actor {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Actor {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Actor, D::Error> {
        std::borrow::Cow::<'de, str>::deserialize(d).map(|text| Actor::parse(&text))
    }
}

/// A link with its name. The name may be empty; the screen then shows the address.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    #[serde(default)]
    pub name: Arc<str>,
    pub url: Arc<str>,
}

/// Declares the kinds of events once: the enum, their names, and how their data are read.
macro_rules! kinds {
    ($( $(#[$doc:meta])* $name:literal $variant:ident { $( $(#[$fdoc:meta])* $field:ident : $type:ty ),* $(,)? } )*) => {
        /// What kind of event, with the kind's own fields.
        #[derive(Clone, PartialEq, Debug)]
        pub enum Kind {
            $( $(#[$doc])* $variant($variant), )*
            /// A kind that this version does not know: kept and shown.
            Other(Other),
        }

        $(
            $(#[$doc])*
            #[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
            pub struct $variant { $( $(#[$fdoc])* pub $field: $type, )* }

            impl From<$variant> for Kind {
                fn from(data: $variant) -> Kind {
                    Kind::$variant(data)
                }
            }
        )*

        impl Kind {
            /// Every name that this version knows.
            pub const NAMES: &'static [&'static str] = &[$($name),*];

            pub fn name(&self) -> &str {
                match self {
                    $( Kind::$variant(_) => $name, )*
                    Kind::Other(other) => &other.kind,
                }
            }
        }

        struct DataOf<'a>(&'a Kind);

        impl Serialize for DataOf<'_> {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                match self.0 {
                    $( Kind::$variant(data) => data.serialize(s), )*
                    Kind::Other(other) => other.data.serialize(s),
                }
            }
        }

        struct KindNamed<'a>(&'a str);

        impl<'de> DeserializeSeed<'de> for KindNamed<'_> {
            type Value = Kind;

            fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<Kind, D::Error> {
                match self.0 {
                    $( $name => $variant::deserialize(d).map(Kind::$variant), )*
                    name => Loose::deserialize(d).map(|Loose(data)| Kind::Other(Other { kind: name.into(), data })),
                }
            }
        }
    };
}

/// An event of a kind that this version does not know, or that an intake was given.
#[derive(Clone, PartialEq, Debug)]
pub struct Other {
    pub kind: Arc<str>,
    pub data: Value,
}

kinds! {
    /// The server's log begins, or goes on.
    "server.started" ServerStarted { version: Arc<str>, name: Arc<str> }
    "server.stopped" ServerStopped {}
    /// Nobody watched between these times: what happened then is not known.
    "server.unwatched" Unwatched { from: Time, until: Time }
    /// The log was restored or cut back: what others know beyond this point is not in it.
    "server.restored" LogRestored { before: Incarnation, head: Sequence }
    /// A peer's log went back in time: it was restored from a backup, or cut back. What had come of it beyond
    /// that is in it no more.
    "peer.restored" PeerRestored {
        peer: Origin,
        name: Arc<str>,
        /// The life of which was known up to there, and what it went back to: that one's life, and where it stood.
        before: Incarnation,
        had: Sequence,
        now: Incarnation,
        head: Sequence,
        /// How many events went with it.
        gone: u64,
    }
    /// What a peer's log holds between these events never came: it was too much, or was gone there already.
    "peer.missed" PeerMissed {
        peer: Origin,
        name: Arc<str>,
        after: Sequence,
        until: Sequence,
        /// It was filled in since: so many events, all that is held there and may be seen.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        filled: Option<u64>,
    }
    /// Something came from a peer that cannot be what it should be. It was set aside, and the rest goes on.
    "peer.malformed" PeerMalformed { peer: Origin, name: Arc<str>, why: Arc<str> }
    /// The server's configuration differs from the last one.
    "config.applied" ConfigApplied {
        /// All that it says beside its systems, by setting, without secrets; empty: that is as it was.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        settings: BTreeMap<Arc<str>, Arc<str>>,
    }
    "system.declared" SystemDeclared { spec: SystemSpec }
    "system.removed" SystemRemoved {}
    /// What words mean here: all of them, by name. Those that were declared before and are not among them are gone.
    "glossary.declared" GlossaryDeclared { words: BTreeMap<Arc<str>, Arc<str>> }
    "agent.joined" AgentJoined { agent: AgentId, version: Arc<str>, keepalive: super::time::Span }
    "agent.silent" AgentSilent { agent: AgentId, last: Time }
    "agent.returned" AgentReturned { agent: AgentId, silent_since: Time }
    "agent.inventory" InventoryChanged {
        agent: AgentId,
        /// Everything that is known now.
        facts: Facts,
        /// The names of what differs from before; empty the first time.
        changed: Vec<Arc<str>>,
    }
    /// A check's status changed: softly until it has been so for `attempts` results in a row.
    "check.changed" CheckChanged { agent: AgentId, check: CheckId, status: Status, hard: bool, attempt: u32, attempts: u32 }
    "check.removed" CheckRemoved { agent: AgentId, check: CheckId }
    "alert.opened" AlertOpened {
        alert: Fingerprint,
        check: CheckId,
        /// Who says so: `agent:web-1`, `source:prometheus`.
        by: Actor,
        condition: Condition,
        /// The rule's expression, where a source tells.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expr: Option<Arc<str>>,
    }
    /// Severity or title changed while open; the new ones are the event's own.
    "alert.changed" AlertChanged { alert: Fingerprint, was: Severity }
    /// Another source says the same.
    "alert.held" AlertHeld { alert: Fingerprint, by: Actor }
    /// One of several sources no longer says so.
    "alert.released" AlertReleased { alert: Fingerprint, by: Actor }
    /// The source has not repeated it within its own time: neither firing nor resolved for certain.
    "alert.unrefreshed" AlertUnrefreshed { alert: Fingerprint, last: Time }
    "alert.refreshed" AlertRefreshed { alert: Fingerprint }
    "alert.cleared" AlertCleared { alert: Fingerprint, reason: ClearReason }
    /// An episode from before anybody watched here, as its source remembers it: filled in, no news.
    /// It began at the event's `at`.
    "alert.past" AlertPast {
        alert: Fingerprint,
        check: CheckId,
        until: Time,
    }
    "alert.flapping" AlertFlapping { alert: Fingerprint, changes: u32 }
    "alert.settled" AlertSettled { alert: Fingerprint }
    "alert.acknowledged" AlertAcknowledged { alert: Fingerprint, episode: EventId }
    "alert.unacknowledged" AlertUnacknowledged { alert: Fingerprint, episode: EventId, reason: EndReason }
    "alert.snoozed" AlertSnoozed { alert: Fingerprint, episode: EventId, until: Time }
    "alert.unsnoozed" AlertUnsnoozed { alert: Fingerprint, episode: EventId, reason: EndReason }
    "alert.assigned" AlertAssigned {
        alert: Fingerprint,
        episode: EventId,
        /// Nobody: it was given back.
        to: Option<Person>,
    }
    /// "Not so": somebody says that the alert does not come from that other one, here or on another server.
    "cause.denied" CauseDenied { alert: Fingerprint, episode: EventId, cause: AlertRef }
    /// That is taken back: it may stand under that other one again.
    "cause.restored" CauseRestored { alert: Fingerprint, cause: AlertRef }
    /// What a person says of a system, or of an alert on it. The words are the event's text.
    "note" Note {
        alert: Option<Fingerprint>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        episode: Option<EventId>,
    }
    /// The person takes a note back; it stays on the timeline, struck.
    "note.withdrawn" NoteWithdrawn { note: EventId }
    /// A deployment, a commit, a configuration change: something that may explain what follows.
    "change" Change {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        version: Option<Arc<str>>,
        /// A commit: the repository as the server's configuration calls it …
        #[serde(default, skip_serializing_if = "Option::is_none")]
        repository: Option<Arc<str>>,
        /// … and the commit's whole id.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        commit: Option<Arc<str>>,
    }
    /// A repository's commits are told from here on; the branch stands at that commit.
    "repository.followed" RepositoryFollowed { repository: Arc<str>, commit: Arc<str> }
    /// The branch is no longer what was told of it: it goes on from that commit.
    "repository.rewritten" RepositoryRewritten { repository: Arc<str>, commit: Arc<str> }
    "source.failed" SourceFailed { source: SourceId }
    "source.recovered" SourceRecovered { source: SourceId }
    /// The source's past was filled in back to `filled.from`.
    "source.past" SourcePast { source: SourceId, filled: super::world::Filled }
    /// A silence in an Alertmanager: what is muted there, by whom, until when.
    "silence.seen" SilenceSeen { source: SourceId, silence: Silence }
    "silence.gone" SilenceGone { source: SourceId, silence: Arc<str> }
    /// Whoever brings the code that was made is let in as this, once.
    "trust.invited" TrustInvited { invite: GrantId, offer: Offer }
    /// A key may do this from now on; what it was given before is over.
    "trust.granted" TrustGranted {
        grant: GrantId,
        key: Key,
        name: Arc<str>,
        who: Who,
        role: Arc<str>,
        scope: Scope,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        invite: Option<GrantId>,
    }
    /// A grant, or an invite, is taken back.
    "trust.revoked" TrustRevoked {
        grant: GrantId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<Key>,
    }
    /// The time of a grant, or of an invite, is over.
    "trust.expired" TrustExpired {
        grant: GrantId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<Key>,
    }
    /// Somebody came in by a key. Not told again for a while, when they come and go.
    "trust.admitted" TrustAdmitted {
        key: Key,
        name: Arc<str>,
        who: Who,
        from: Arc<str>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        grant: Option<GrantId>,
        /// By a grant that this one handed on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        handed: Option<Arc<str>>,
    }
    /// Somebody was not let in, or not let do something: so many times since that was told last.
    "trust.refused" TrustRefused {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<Key>,
        /// Who has that key here.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<Arc<str>>,
        from: Arc<str>,
        what: Arc<str>,
        times: u64,
    }
    /// Somebody did something: by which key, or how else they came in, from where, on whose behalf. What was done are
    /// the events of the same request.
    "trust.used" TrustUsed {
        /// What the right was needed for: the kind of the event that came of it.
        what: Arc<str>,
        /// The key that was proved, or whose signature held.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<Key>,
        /// How one came in who showed none: `owner's socket`, `console token`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        way: Option<Arc<str>>,
        /// Who has that key here; without one, as they call themselves.
        name: Arc<str>,
        who: Who,
        /// The address where it came from, of the peer that brought it where one did.
        from: Arc<str>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        grant: Option<GrantId>,
        /// By a grant that this one handed on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        handed: Option<Arc<str>>,
        /// The peer that brought what the person signed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        through: Option<Arc<str>>,
        /// For whom a peer speaks that may: nobody signed it but the peer's own line.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        on_behalf_of: Option<Arc<str>>,
    }
    /// A person has one key more: the grant holds for it as for the others.
    "trust.key-added" TrustKeyAdded {
        grant: GrantId,
        key: Key,
        name: Arc<str>,
        /// The key of theirs that vouched for it; absent: an administrator did.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        vouched: Option<Vouched>,
    }
    /// A key is no more the person's: it was lost, or is used no more.
    "trust.key-removed" TrustKeyRemoved { grant: GrantId, key: Key, name: Arc<str> }
    /// A line of a log that was opened or imported.
    "log" LogLine {}
}

/// What an alert says is wrong.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Condition {
    /// The check or rule found something.
    Problem,
    /// The check has not reported within its time.
    Stale,
    /// The whole agent is silent.
    Silent,
    /// A source of alerts cannot be reached.
    Unreachable,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClearReason {
    /// The check is fine again, or the source says so.
    Recovered,
    /// A person said so.
    Resolved,
    /// The source no longer lists it, twice in a row.
    Absent,
    /// The check or system was taken out of the configuration.
    Removed,
}

/// Why an acknowledgement or a snooze ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EndReason {
    /// Somebody took it back.
    Undone,
    /// Its time came.
    Expired,
    /// The alert has been clear for long enough.
    Cleared,
}

/// A silence of an Alertmanager (API v2, `gettableSilence`).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Silence {
    pub id: Arc<str>,
    pub matchers: Vec<SilenceMatcher>,
    pub starts: Time,
    pub ends: Time,
    pub by: Arc<str>,
    pub comment: Arc<str>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SilenceMatcher {
    pub name: Arc<str>,
    pub value: Arc<str>,
    pub regex: bool,
    pub equal: bool,
}

impl Change {
    /// A change that is no commit.
    pub fn of(version: Option<Arc<str>>) -> Change {
        Change { version, repository: None, commit: None }
    }
}

impl Event {
    /// Where it stands on a timeline: by `at`, then by identity.
    pub fn order(&self) -> (Time, EventId) {
        (self.at, self.id)
    }

    /// The alert that it is about.
    pub fn alert(&self) -> Option<Fingerprint> {
        match &self.kind {
            Kind::AlertOpened(AlertOpened { alert, .. })
            | Kind::AlertChanged(AlertChanged { alert, .. })
            | Kind::AlertHeld(AlertHeld { alert, .. })
            | Kind::AlertReleased(AlertReleased { alert, .. })
            | Kind::AlertUnrefreshed(AlertUnrefreshed { alert, .. })
            | Kind::AlertRefreshed(AlertRefreshed { alert })
            | Kind::AlertCleared(AlertCleared { alert, .. })
            | Kind::AlertPast(AlertPast { alert, .. })
            | Kind::AlertFlapping(AlertFlapping { alert, .. })
            | Kind::AlertSettled(AlertSettled { alert })
            | Kind::AlertAcknowledged(AlertAcknowledged { alert, .. })
            | Kind::AlertUnacknowledged(AlertUnacknowledged { alert, .. })
            | Kind::AlertSnoozed(AlertSnoozed { alert, .. })
            | Kind::AlertUnsnoozed(AlertUnsnoozed { alert, .. })
            | Kind::AlertAssigned(AlertAssigned { alert, .. })
            | Kind::CauseDenied(CauseDenied { alert, .. })
            | Kind::CauseRestored(CauseRestored { alert, .. }) => Some(*alert),
            Kind::Note(Note { alert, .. }) => *alert,
            Kind::ServerStarted(_)
            | Kind::ServerStopped(_)
            | Kind::Unwatched(_)
            | Kind::LogRestored(_)
            | Kind::PeerRestored(_)
            | Kind::PeerMissed(_)
            | Kind::PeerMalformed(_)
            | Kind::ConfigApplied(_)
            | Kind::SystemDeclared(_)
            | Kind::SystemRemoved(_)
            | Kind::GlossaryDeclared(_)
            | Kind::AgentJoined(_)
            | Kind::AgentSilent(_)
            | Kind::AgentReturned(_)
            | Kind::InventoryChanged(_)
            | Kind::CheckChanged(_)
            | Kind::CheckRemoved(_)
            | Kind::NoteWithdrawn(_)
            | Kind::Change(_)
            | Kind::RepositoryFollowed(_)
            | Kind::RepositoryRewritten(_)
            | Kind::SourceFailed(_)
            | Kind::SourceRecovered(_)
            | Kind::SourcePast(_)
            | Kind::SilenceSeen(_)
            | Kind::SilenceGone(_)
            | Kind::TrustInvited(_)
            | Kind::TrustGranted(_)
            | Kind::TrustRevoked(_)
            | Kind::TrustExpired(_)
            | Kind::TrustAdmitted(_)
            | Kind::TrustRefused(_)
            | Kind::TrustUsed(_)
            | Kind::TrustKeyAdded(_)
            | Kind::TrustKeyRemoved(_)
            | Kind::LogLine(_)
            | Kind::Other(_) => None,
        }
    }
}

impl Event {
    /// The key whose rights it is about.
    pub fn key(&self) -> Option<&Key> {
        match &self.kind {
            Kind::TrustGranted(TrustGranted { key, .. })
            | Kind::TrustAdmitted(TrustAdmitted { key, .. })
            | Kind::TrustKeyAdded(TrustKeyAdded { key, .. })
            | Kind::TrustKeyRemoved(TrustKeyRemoved { key, .. }) => Some(key),
            Kind::TrustRevoked(TrustRevoked { key, .. })
            | Kind::TrustExpired(TrustExpired { key, .. })
            | Kind::TrustRefused(TrustRefused { key, .. })
            | Kind::TrustUsed(TrustUsed { key, .. }) => key.as_ref(),
            _ => None,
        }
    }
}

/// What `decide` answers with: an event that has no place in the log yet.
#[derive(Clone, PartialEq, Debug)]
pub struct Draft {
    pub at: Time,
    pub severity: Severity,
    pub system: Option<SystemId>,
    pub actor: Actor,
    pub title: Arc<str>,
    pub text: Arc<str>,
    pub labels: Labels,
    pub links: Vec<Link>,
    pub request: Option<RequestId>,
    pub kind: Kind,
    pub extra: BTreeMap<String, Value>,
}

impl Draft {
    pub fn new(at: Time, actor: Actor, kind: impl Into<Kind>, title: impl Into<Arc<str>>) -> Draft {
        Draft {
            at,
            severity: Severity::Info,
            system: None,
            actor,
            title: title.into(),
            text: "".into(),
            labels: Labels::default(),
            links: Vec::new(),
            request: None,
            kind: kind.into(),
            extra: BTreeMap::new(),
        }
    }

    pub fn on(mut self, system: SystemId) -> Draft {
        self.system = Some(system);
        self
    }

    pub fn severity(mut self, severity: Severity) -> Draft {
        self.severity = severity;
        self
    }

    pub fn text(mut self, text: impl Into<Arc<str>>) -> Draft {
        self.text = text.into();
        self
    }

    /// Its place in the log.
    pub fn stamp(self, id: EventId, recorded: Time) -> Event {
        Event {
            id,
            at: self.at,
            recorded,
            severity: self.severity,
            system: self.system,
            actor: self.actor,
            title: self.title,
            text: self.text,
            labels: self.labels,
            links: self.links,
            request: self.request,
            kind: self.kind,
            extra: self.extra,
        }
    }
}

#[cfg(test)]
#[path = "event_tests.rs"]
mod tests;
