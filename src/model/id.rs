//! Names and numbers that identify things, and nothing else.
//!
//! Identity of a server is the hash of its Ed25519 key; of a system, origin and local id; of an alert,
//! a hash of system, check and labels ([`Fingerprint`]); of an episode, the event that opened it.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

/// Sixteen bytes, written as 32 hexadecimal digits where people read, as bytes in MessagePack.
macro_rules! hash_id {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub [u8; 16]);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                hex(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<$name, IdError> {
                unhex(text).map($name).ok_or_else(|| IdError::new($what, text, "32 hexadecimal digits"))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                if s.is_human_readable() { s.collect_str(self) } else { s.serialize_bytes(&self.0) }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<$name, D::Error> {
                let human = d.is_human_readable();
                if human { d.deserialize_str(HashVisitor) } else { d.deserialize_bytes(HashVisitor) }.map($name)
            }
        }
    };
}

struct HashVisitor;

impl<'de> serde::de::Visitor<'de> for HashVisitor {
    type Value = [u8; 16];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("16 bytes, or 32 hexadecimal digits")
    }

    fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<[u8; 16], E> {
        bytes.try_into().map_err(|_| E::invalid_length(bytes.len(), &self))
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<[u8; 16], E> {
        unhex(text).ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))
    }
}

/// All digits at once: lists of ten thousand alerts are written often.
fn hex(bytes: &[u8; 16], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'a' - 10 + nibble };
    let mut out = [0_u8; 32];
    for (pair, byte) in out.chunks_exact_mut(2).zip(bytes) {
        if let [high, low] = pair {
            (*high, *low) = (digit(byte >> 4), digit(byte & 0x0f));
        }
    }
    f.write_str(std::str::from_utf8(&out).unwrap_or_default())
}

fn unhex(text: &str) -> Option<[u8; 16]> {
    let mut out = [0_u8; 16];
    let digits = text.as_bytes();
    if digits.len() != 32 {
        return None;
    }
    for (byte, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
        let text = std::str::from_utf8(pair).ok().filter(|t| t.bytes().all(|b| b.is_ascii_hexdigit()))?;
        *byte = u8::from_str_radix(text, 16).ok()?;
    }
    Some(out)
}

hash_id!(
    /// A server: the first 16 bytes of the SHA-256 of its Ed25519 public key.
    Origin,
    "a server's identity"
);
hash_id!(
    /// An alert: the first 16 bytes of the SHA-256 over system, check and identifying labels.
    Fingerprint,
    "an alert's fingerprint"
);
hash_id!(
    /// A client's request: random, made by the client, so that a repeated request is done once.
    RequestId,
    "a request's id"
);

hash_id!(
    /// A grant, or an invite: what follows from the code's secret alone.
    GrantId,
    "a grant's id"
);

impl GrantId {
    /// Made of what makes it one of its kind.
    pub fn of(what: &str, parts: &[&[u8]]) -> GrantId {
        let mut hash = Sha256::new();
        for part in std::iter::once(what.as_bytes()).chain(parts.iter().copied()) {
            hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(part);
        }
        let mut out = [0; 16];
        out.iter_mut().zip(hash.finalize()).for_each(|(to, from)| *to = from);
        GrantId(out)
    }

    /// The invite that this secret opens.
    pub fn of_code(secret: &[u8; 16]) -> GrantId {
        GrantId::of("midwatch invite 1", &[secret])
    }

    /// Eight digits: enough for people to tell them apart.
    pub fn short(&self) -> String {
        self.to_string().chars().take(8).collect()
    }
}

impl Origin {
    /// Eight digits: enough for people to tell servers apart.
    pub fn short(&self) -> String {
        self.to_string().chars().take(8).collect()
    }
}

/// One life of a server's log: the millisecond in which it was begun. A restored or cut-back log gets
/// a later one, so that everybody who knew more notices.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Incarnation(pub u64);

/// The place of an event in its log: 1, 2, 3 … without holes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sequence(pub u64);

impl Sequence {
    pub const fn next(self) -> Sequence {
        Sequence(self.0.saturating_add(1))
    }
}

/// The identity of an event, and of the episode that it opened. Text: `origin.incarnation.sequence`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct EventId {
    pub origin: Origin,
    pub incarnation: Incarnation,
    pub sequence: Sequence,
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.origin, self.incarnation.0, self.sequence.0)
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventId({}.{}.{})", self.origin.short(), self.incarnation.0, self.sequence.0)
    }
}

impl FromStr for EventId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<EventId, IdError> {
        let refuse = || IdError::new("an event's id", text, "origin.incarnation.sequence");
        let mut parts = text.split('.');
        let (Some(origin), Some(incarnation), Some(sequence), None) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return Err(refuse());
        };
        Ok(EventId {
            origin: origin.parse()?,
            incarnation: Incarnation(incarnation.parse().map_err(|_| refuse())?),
            sequence: Sequence(sequence.parse().map_err(|_| refuse())?),
        })
    }
}

impl Serialize for EventId {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if s.is_human_readable() { s.collect_str(self) } else { (self.origin, self.incarnation, self.sequence).serialize(s) }
    }
}

impl<'de> Deserialize<'de> for EventId {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<EventId, D::Error> {
        if d.is_human_readable() {
            String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
        } else {
            let (origin, incarnation, sequence) = Deserialize::deserialize(d)?;
            Ok(EventId { origin, incarnation, sequence })
        }
    }
}

/// A name that outsiders chose (of a check, an agent, a source, a person): any text without control
/// characters, 1 to 200 bytes. Names never take part in paths, commands or queries unquoted.
macro_rules! name_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Control characters become `_`; what is longer than 200 bytes is cut; nothing becomes `_`.
            pub fn new(text: &str) -> $name {
                if text.len() <= 200 && !text.is_empty() && !text.chars().any(char::is_control) {
                    return $name(text.into());
                }
                let mut out = String::new();
                for c in text.chars() {
                    if out.len() + c.len_utf8() > 200 {
                        break;
                    }
                    out.push(if c.is_control() { '_' } else { c });
                }
                $name(if out.is_empty() { "_".into() } else { out.into() })
            }

            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// The same name in a string that others have too, as `share` finds it.
            pub fn shared(self, share: impl FnOnce(Arc<str>) -> Arc<str>) -> $name {
                $name(share(self.0))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> $name {
                $name::new(text)
            }
        }
    };
}

name_id!(
    /// What is checked: an agent's check, or the name of a Prometheus rule.
    CheckId
);
name_id!(
    /// An agent, by the name that it gave itself (usually the host's).
    AgentId
);
name_id!(
    /// A source of alerts: an Alertmanager, a Prometheus, a webhook, by its configured name.
    SourceId
);
name_id!(
    /// A person, as they call themselves on this server.
    Person
);

/// A system within its server: `shop/varnish`. Segments of letters, digits, `.`, `_`, `-`, divided by
/// `/`; at most 200 bytes. `.` and `..` are no segments.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct SystemId(Arc<str>);

impl SystemId {
    /// Where alerts land that no mapping claims.
    pub const UNMAPPED: &'static str = "unmapped";

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The nearest valid id: other characters become `-`. For names that outsiders chose.
    pub fn lenient(text: &str) -> SystemId {
        if let Ok(id) = text.parse() {
            return id;
        }
        let mut out = String::new();
        for segment in text.split('/') {
            let clean: String = segment.chars().map(|c| if allowed(c) { c } else { '-' }).collect();
            if clean.is_empty() || clean == "." || clean == ".." || out.len() + clean.len() + 1 > 200 {
                continue;
            }
            if !out.is_empty() {
                out.push('/');
            }
            out.push_str(&clean);
        }
        SystemId(if out.is_empty() { SystemId::UNMAPPED.into() } else { out.into() })
    }

    pub fn is_unmapped(&self) -> bool {
        &*self.0 == SystemId::UNMAPPED
    }

    /// Whether this is `other` or lies beneath it by name (`shop/varnish` beneath `shop`).
    pub fn within(&self, other: &SystemId) -> bool {
        self.0.strip_prefix(&*other.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

fn allowed(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '.' | '_' | '-')
}

impl FromStr for SystemId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<SystemId, IdError> {
        let valid = text.len() <= 200 && text.split('/').all(|s| !s.is_empty() && s != "." && s != ".." && s.chars().all(allowed));
        if valid { Ok(SystemId(text.into())) } else { Err(IdError::new("a system's id", text, "segments of letters, digits, `.`, `_`, `-`, divided by `/`")) }
    }
}

impl fmt::Display for SystemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for SystemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

impl<'de> Deserialize<'de> for SystemId {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<SystemId, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// A system, anywhere: its server and its id there.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct SystemRef {
    pub origin: Origin,
    pub id: SystemId,
}

/// An alert, anywhere.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct AlertRef {
    pub origin: Origin,
    pub alert: Fingerprint,
}

/// A system as configurations and people write it: `shop/varnish` here, `infra:dc1/ceph` on the
/// server that is called `infra`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SystemAddress {
    pub server: Option<Arc<str>>,
    pub id: SystemId,
}

impl FromStr for SystemAddress {
    type Err = IdError;

    fn from_str(text: &str) -> Result<SystemAddress, IdError> {
        Ok(match text.split_once(':') {
            Some((server, id)) if !server.is_empty() => SystemAddress { server: Some(server.into()), id: id.parse()? },
            Some(_) | None => SystemAddress { server: None, id: text.parse()? },
        })
    }
}

impl fmt::Display for SystemAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.server {
            Some(server) => write!(f, "{server}:{}", self.id),
            None => self.id.fmt(f),
        }
    }
}

impl Serialize for SystemAddress {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for SystemAddress {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<SystemAddress, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Says what was read, and how it should look.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not {what}: expected {expected}")]
pub struct IdError {
    what: &'static str,
    text: String,
    expected: &'static str,
}

impl IdError {
    fn new(what: &'static str, text: &str, expected: &'static str) -> IdError {
        IdError { what, text: text.chars().take(80).collect(), expected }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_ids_refuse_what_could_be_a_path_or_an_argument_trick() {
        for bad in ["", "/shop", "shop/", "a//b", "..", "shop/../infra", "a b", "a\nb", "a:b", &"x".repeat(201)] {
            assert!(bad.parse::<SystemId>().is_err(), "{bad:?}");
        }
        assert_eq!(SystemId::lenient("My Shop/../va\u{1b}[31mrnish").as_str(), "My-Shop/va--31mrnish");
        assert!(SystemId::lenient("\u{0}/").as_str() == "-");
    }

    #[test]
    fn a_system_is_within_another_by_whole_segments() {
        let id = |text: &str| text.parse::<SystemId>().unwrap();
        assert!(id("shop/varnish").within(&id("shop")));
        assert!(!id("shopping").within(&id("shop")));
    }

    #[test]
    fn event_ids_survive_text() {
        let id = EventId { origin: Origin([7; 16]), incarnation: Incarnation(3), sequence: Sequence(9) };
        assert_eq!(id.to_string().parse::<EventId>().unwrap(), id);
        assert!("x.1.2".parse::<EventId>().is_err());
    }
}
