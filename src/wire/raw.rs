//! Bytes that are a message of another layer: as they are in MessagePack, base64 in JSON.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A message of the handshake, of a few hundred bytes at most.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Raw(pub Vec<u8>);

impl Raw {
    /// More than any version of the handshake says at once.
    pub const LARGEST: usize = 1_024;
}

impl Serialize for Raw {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if s.is_human_readable() { s.serialize_str(&STANDARD.encode(&self.0)) } else { s.serialize_bytes(&self.0) }
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Raw, D::Error> {
        if d.is_human_readable() { d.deserialize_str(RawVisitor) } else { d.deserialize_bytes(RawVisitor) }
    }
}

struct RawVisitor;

impl Visitor<'_> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "at most {} bytes, in JSON as base64", Raw::LARGEST)
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Raw, E> {
        if bytes.len() <= Raw::LARGEST { Ok(Raw(bytes.to_vec())) } else { Err(E::invalid_length(bytes.len(), &self)) }
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Raw, E> {
        if text.len() > Raw::LARGEST * 2 {
            return Err(E::invalid_length(text.len(), &self));
        }
        let bytes = STANDARD.decode(text).map_err(|_| E::custom("this is no base64"))?;
        self.visit_bytes(&bytes)
    }
}
