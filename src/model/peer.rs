//! Servers behind a server: whose logs it receives, through whom, and how new that is. The latest numbers and
//! no events: they come on a lossy channel, and the latest wins.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::grant::Scope;
use super::id::{Incarnation, Origin, Sequence};
use super::time::{Span, Time};

/// One log that a server receives from a peer.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PeerState {
    /// Whose log it is.
    pub origin: Origin,
    /// As that server calls itself.
    pub name: Arc<str>,
    /// Whom it comes through, from the nearest on: empty when that server is a peer itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub through: Vec<Relay>,
    pub line: Line,
    /// Since when that is so.
    pub since: Time,
    /// Why it is not up, in words that are not cleaned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<Arc<str>>,
    /// How old, at most, what is known was when its last word came, and when that was.
    #[serde(default)]
    pub lag: Span,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heard: Option<Time>,
    /// How far its clock is ahead of this server's, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skew: Option<i64>,
    pub incarnation: Incarnation,
    /// Up to where all is known that may be seen.
    pub head: Sequence,
    /// Of the program, for people to read.
    #[serde(default)]
    pub version: Arc<str>,
    /// Events and messages that were set aside, because they could not be what they should have been.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub set_aside: u64,
    /// Its key's fingerprint, when it was proved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Arc<str>>,
    /// What its grant allows, in words, and when that ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Time>,
    /// Who gave it, and when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub granted_by: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub granted: Option<Time>,
    /// Until when that is known to hold, by this server's clock: a lease, told anew while the line is up.
    /// Afterwards nothing of it is passed on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<Time>,
    /// To a peer: what of it that one may receive through this server, and whether it may pass that on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offers: Option<Scope>,
}

/// A server that passes on another's log.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Relay {
    pub origin: Origin,
    pub name: Arc<str>,
}

/// How the line to a peer stands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Line {
    Connecting,
    Up,
    Lost,
    /// Lost for longer than the lease lasts: what was received stays as history, and whether it may still be
    /// passed on is not known.
    Lapsed,
    /// It is no peer any more: what was received stays as history.
    Gone,
    /// What a later version says.
    #[serde(other)]
    Unknown,
}

impl Line {
    pub const fn word(self) -> &'static str {
        match self {
            Line::Connecting => "connecting",
            Line::Up => "up",
            Line::Lost => "lost",
            Line::Lapsed => "lapsed",
            Line::Gone => "gone",
            Line::Unknown => "unknown",
        }
    }
}

impl PeerState {
    /// Whether a server may take the log that this tells of from the one that tells: not its own, and not what
    /// came through it.
    pub fn is_new_to(&self, own: Origin) -> bool {
        self.origin != own && !matches!(self.line, Line::Gone | Line::Lapsed) && !self.through.iter().any(|relay| relay.origin == own)
    }
}

fn is_zero(value: &u64) -> bool {
    *value == 0
}
