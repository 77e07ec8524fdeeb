//! What a client asks of a server. `decide` refuses with words or answers with events.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::event::Link;
use super::grant::{Key, Pattern, Rights, Vouched};
use super::id::{AlertRef, EventId, Fingerprint, GrantId, Person, RequestId, SystemId};
use super::time::{Span, Time};

/// One request: by whom, when it was made (not when it arrived), and what. A request with an id that
/// was already done is answered as done and does nothing. This type is the format on the wire.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Request {
    pub id: RequestId,
    pub by: Person,
    pub made: Time,
    pub intent: Intent,
    /// The same, signed, where it goes through other servers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<Box<Signed>>,
}

/// A request as its person signed it, for a server that they reach through others: those can hold it back, and
/// neither change nor repeat it for another.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Signed {
    /// The person's public key, base64.
    pub key: Arc<str>,
    /// What was asked, of which server, until when: JSON, and the exact text that was signed.
    pub asked: Arc<str>,
    /// SSHSIG under the namespace `midwatch-verb`, base64.
    pub signature: Arc<str>,
}

/// Verbs on an alert name its episode: an acknowledgement that was queued offline never hits a later one.
/// Its name is the key of a map of one (not a tag beside the fields: serde would read ids then as if
/// MessagePack were text).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Intent {
    Acknowledge {
        alert: Fingerprint,
        episode: EventId,
        #[serde(default)]
        note: Arc<str>,
    },
    Unacknowledge {
        alert: Fingerprint,
        episode: EventId,
    },
    Snooze {
        alert: Fingerprint,
        episode: EventId,
        until: Time,
        #[serde(default)]
        note: Arc<str>,
    },
    Unsnooze {
        alert: Fingerprint,
        episode: EventId,
    },
    /// To somebody, or to nobody.
    Assign {
        alert: Fingerprint,
        episode: EventId,
        to: Option<Person>,
    },
    /// A person says that it is over.
    Resolve {
        alert: Fingerprint,
        episode: EventId,
        #[serde(default)]
        note: Arc<str>,
    },
    /// "Not so": it does not come from that other one, here or on another server.
    DenyCause {
        alert: Fingerprint,
        episode: EventId,
        cause: AlertRef,
    },
    /// It may stand under that other one again.
    RestoreCause {
        alert: Fingerprint,
        cause: AlertRef,
    },
    NoteAlert {
        alert: Fingerprint,
        text: Arc<str>,
    },
    NoteSystem {
        system: SystemId,
        text: Arc<str>,
    },
    WithdrawNote {
        note: EventId,
    },
    /// A deployment or other change, from a pipeline or a person.
    Change {
        system: SystemId,
        title: Arc<str>,
        #[serde(default)]
        text: Arc<str>,
        #[serde(default)]
        version: Option<Arc<str>>,
        #[serde(default)]
        links: Vec<Link>,
    },
    /// Whoever brings the code of this id is let in, once. What role and rights leave open, the server's
    /// configuration of the role says.
    Invite {
        invite: GrantId,
        role: Arc<str>,
        systems: Vec<Pattern>,
        /// Fewer than the role has.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rights: Option<Rights>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<Arc<str>>,
        /// Who brings it is the person of that name who is known here already.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        same: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Time>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lasts: Option<Span>,
        /// The code opens nothing after that.
        closes: Time,
    },
    /// This key may do that from now on.
    Grant {
        key: Key,
        name: Arc<str>,
        role: Arc<str>,
        systems: Vec<Pattern>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rights: Option<Rights>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until: Option<Time>,
    },
    /// A grant ends now, or an invite is taken back.
    Revoke {
        grant: GrantId,
        #[serde(default)]
        why: Arc<str>,
    },
    /// This key is the asker's too: one of theirs vouches for it, the one that they came by.
    AddKey {
        key: Key,
        vouched: Vouched,
    },
    /// This key is nobody's any more: the asker's own, or anybody's where an administrator asks.
    RemoveKey {
        key: Key,
        #[serde(default)]
        why: Arc<str>,
    },
    /// A key in the place of another: by a key of the same person that vouches for it, or by an administrator.
    ReplaceKey {
        old: Key,
        new: Key,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        vouched: Option<Vouched>,
        #[serde(default)]
        why: Arc<str>,
    },
}

impl Intent {
    /// What is asked, in a word: its name on the wire.
    pub const fn word(&self) -> &'static str {
        match self {
            Intent::Acknowledge { .. } => "acknowledge",
            Intent::Unacknowledge { .. } => "unacknowledge",
            Intent::Snooze { .. } => "snooze",
            Intent::Unsnooze { .. } => "unsnooze",
            Intent::Assign { .. } => "assign",
            Intent::Resolve { .. } => "resolve",
            Intent::DenyCause { .. } => "deny-cause",
            Intent::RestoreCause { .. } => "restore-cause",
            Intent::NoteAlert { .. } => "note-alert",
            Intent::NoteSystem { .. } => "note-system",
            Intent::WithdrawNote { .. } => "withdraw-note",
            Intent::Change { .. } => "change",
            Intent::Invite { .. } => "invite",
            Intent::Grant { .. } => "grant",
            Intent::Revoke { .. } => "revoke",
            Intent::AddKey { .. } => "add-key",
            Intent::RemoveKey { .. } => "remove-key",
            Intent::ReplaceKey { .. } => "replace-key",
        }
    }

    /// It says who may do what: no other server is asked that in between.
    pub const fn is_about_trust(&self) -> bool {
        matches!(
            self,
            Intent::Invite { .. } | Intent::Grant { .. } | Intent::Revoke { .. } | Intent::AddKey { .. } | Intent::RemoveKey { .. } | Intent::ReplaceKey { .. }
        )
    }
}

/// Why a server did not do what it was asked: words for the person who asked.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, thiserror::Error)]
#[error("{why}")]
pub struct Refusal {
    pub code: RefusalCode,
    pub why: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RefusalCode {
    /// There is no such alert, system or note here.
    Unknown,
    /// The episode that was meant is over.
    Over,
    /// It makes no sense as asked (a time that has passed, an empty note).
    Invalid,
    /// The one who asked may not.
    Forbidden,
    /// The server cannot keep anything now (its disk is full, say). Asking again later may work.
    Unavailable,
}

impl Refusal {
    pub fn new(code: RefusalCode, why: impl Into<String>) -> Refusal {
        Refusal { code, why: why.into() }
    }
}
