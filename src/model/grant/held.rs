//! Grants and invites, as events tell of them and worlds hold them.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::key::Key;
use super::{Right, Rights, Scope};
use crate::model::event::Actor;
use crate::model::id::GrantId;
use crate::model::time::{Span, Time};
use crate::model::world::World;

/// What somebody connects as.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Who {
    /// With a console, or the command line.
    Person,
    /// A machine's agent.
    Agent,
    /// Another server.
    Peer,
}

impl Who {
    pub const ALL: [Who; 3] = [Who::Person, Who::Agent, Who::Peer];

    pub const fn word(self) -> &'static str {
        match self {
            Who::Person => "person",
            Who::Agent => "agent",
            Who::Peer => "peer",
        }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

/// What is offered to whoever brings a code.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Offer {
    pub who: Who,
    /// The bundle of rights by which it was called.
    pub role: Arc<str>,
    /// As what they are known here; without it they choose, among names that nobody has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Arc<str>>,
    pub scope: Scope,
    /// They are the person of that name who is known here already, with one key more.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub same: bool,
    /// How long the grant lasts from when the code is redeemed, if not until the scope's end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lasts: Option<Span>,
    /// The code opens nothing after that.
    pub closes: Time,
}

/// An offer that nobody has taken yet.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Invite {
    pub offer: Offer,
    pub by: Actor,
    pub at: Time,
}

/// What a key was given.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Grant {
    pub id: GrantId,
    /// The first of their keys that is still one.
    pub key: Key,
    /// How it came to be one, where the grant was not made for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first: Option<Box<Further>>,
    /// Their further keys, oldest first: what is granted, all of them may, and no longer than the first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub further: Vec<Further>,
    /// Keys that were theirs, oldest first; of many, the newest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<Lost>,
    pub name: Arc<str>,
    pub who: Who,
    pub role: Arc<str>,
    pub scope: Scope,
    pub by: Actor,
    pub at: Time,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invite: Option<GrantId>,
    /// When its holder last came in, as far as that is told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<Time>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<(Time, End)>,
}

/// One key more of a person.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Further {
    pub key: Key,
    pub at: Time,
    /// Which of their keys vouched for it; an administrator where none did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Key>,
}

/// A key that is no more a person's.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Lost {
    pub key: Key,
    pub at: Time,
    pub by: Actor,
}

/// The word of a key that another one is the same person's, signed: it stays in the log.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Vouched {
    pub by: Key,
    pub at: Time,
    /// SSHSIG under the namespace `midwatch-key`, base64.
    pub signature: Arc<str>,
}

/// Why a grant is over.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum End {
    Revoked(Actor),
    Expired,
    /// The same key was given another.
    Replaced,
}

impl Grant {
    /// Keys of one person, by one grant.
    pub const KEYS: usize = 8;
    /// Keys that were theirs, as far as that is remembered.
    pub const LOST: usize = 32;

    /// All keys that it is for.
    pub fn keys(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.key).chain(self.further.iter().map(|further| &further.key))
    }

    /// How a key came to be one of these, where the grant was not made for it.
    pub fn added(&self, key: &Key) -> Option<&Further> {
        self.first.as_deref().into_iter().chain(&self.further).find(|further| further.key == *key)
    }

    pub fn has(&self, key: &Key) -> bool {
        self.keys().any(|known| known == key)
    }

    /// When this key was taken from it, if it was.
    pub fn lost(&self, key: &Key) -> Option<&Lost> {
        self.lost.iter().rev().find(|lost| lost.key == *key)
    }
    /// Whether its key may use it then.
    pub fn holds(&self, now: Time) -> bool {
        self.ended.is_none() && !self.scope.is_over(now)
    }

    /// "ended", "until …", in a word or two.
    pub fn state(&self, now: Time) -> &'static str {
        match &self.ended {
            Some((_, End::Revoked(_))) => "revoked",
            Some((_, End::Expired)) => "expired",
            Some((_, End::Replaced)) => "replaced",
            None if self.scope.is_over(now) => "expired",
            None => "valid",
        }
    }
}

impl World {
    /// The grant that a key is for, while it holds.
    pub fn grant_of(&self, key: &Key, now: Time) -> Option<&Grant> {
        self.grants.values().map(|grant| &**grant).find(|grant| grant.holds(now) && grant.has(key))
    }
}

/// A named bundle of rights. This type is the format of `[roles]` in a server's configuration.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bundle {
    #[serde(default = "person", rename = "for")]
    pub who: Who,
    #[serde(deserialize_with = "strict")]
    pub rights: Rights,
}

const fn person() -> Who {
    Who::Person
}

/// Where people write, a right that is not known is a mistake.
fn strict<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Rights, D::Error> {
    let words = Vec::<String>::deserialize(d)?;
    words.iter().map(|word| word.parse::<Right>()).collect::<Result<Vec<_>, _>>().map(Rights::of).map_err(serde::de::Error::custom)
}

/// The bundles that one server knows by name.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(transparent)]
pub struct Roles(std::collections::BTreeMap<Arc<str>, Bundle>);

impl Default for Roles {
    fn default() -> Roles {
        use Right::{Act, Administer, Federate, Observe, Read, Respond, Review};
        let role = |name: &str, who, rights: &[Right]| (Arc::from(name), Bundle { who, rights: Rights::of(rights.iter().copied()) });
        Roles(
            [
                role("reader", Who::Person, &[Read]),
                role("responder", Who::Person, &[Read, Respond]),
                role("reviewer", Who::Person, &[Read, Respond, Review]),
                role("operator", Who::Person, &[Read, Respond, Review, Act]),
                role("administrator", Who::Person, &[Read, Respond, Review, Act, Administer]),
                role("agent", Who::Agent, &[Observe]),
                role("peer", Who::Peer, &[Read, Federate]),
            ]
            .into(),
        )
    }
}

impl Roles {
    /// Those that every server knows, and a configuration's in their place or beside them.
    pub fn with(&self, own: &std::collections::BTreeMap<Arc<str>, Bundle>) -> Roles {
        let mut all = self.0.clone();
        all.extend(own.iter().map(|(name, bundle)| (name.clone(), bundle.clone())));
        Roles(all)
    }

    pub fn get(&self, name: &str) -> Option<&Bundle> {
        self.0.get(name)
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(|name| &**name)
    }
}

/// Names stand in filters, lists and sentences: no character in them divides those (N9).
pub fn is_name(name: &str) -> bool {
    let fits = |c: char| c.is_alphanumeric() || matches!(c, ' ' | '.' | '_' | '-' | '+' | '@');
    !name.is_empty() && name.trim() == name && name.chars().count() <= 60 && name.chars().all(fits)
}
