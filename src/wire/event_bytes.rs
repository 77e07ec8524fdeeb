//! An event as its exact MessagePack bytes, passed on without being understood.

use bytes::Bytes;
use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::codec::WireError;
use super::{depth, peek};
use crate::model::event::Event;
use crate::model::grant::{has_outline, outline};

/// Bytes in MessagePack; in JSON the event itself.
#[derive(Clone, PartialEq, Eq)]
pub struct EventBytes(pub Bytes);

impl EventBytes {
    pub fn of(event: &Event) -> Result<EventBytes, WireError> {
        rmp_serde::to_vec_named(event).map(|bytes| EventBytes(bytes.into())).map_err(|error| WireError::Encode(error.to_string()))
    }

    /// Understands it. The depth is counted first.
    pub fn decode(&self) -> Result<Event, WireError> {
        decode_event(&self.0)
    }
}

/// An event from bytes of unknown origin.
pub fn decode_event(bytes: &[u8]) -> Result<Event, WireError> {
    depth::check_messagepack(bytes, depth::EVENT)?;
    rmp_serde::from_slice(bytes).map_err(|error| WireError::Malformed(error.to_string()))
}

/// The outline of an event, as whoever may not see all of it is told it; none where there is none. Always the
/// same bytes, so that whoever holds the event can make them, and the server whose event it is can sign them.
pub fn outline_of(event: &[u8]) -> Option<EventBytes> {
    let fields = peek::fields(event).ok()?;
    if !std::str::from_utf8(fields.kind).is_ok_and(has_outline) {
        return None;
    }
    EventBytes::of(&outline(&decode_event(event).ok()?)?).ok()
}

impl std::fmt::Debug for EventBytes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "EventBytes({})", self.0.len())
    }
}

impl Serialize for EventBytes {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if s.is_human_readable() { self.decode().map_err(serde::ser::Error::custom)?.serialize(s) } else { s.serialize_bytes(&self.0) }
    }
}

impl<'de> Deserialize<'de> for EventBytes {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<EventBytes, D::Error> {
        if d.is_human_readable() { EventBytes::of(&Event::deserialize(d)?).map_err(D::Error::custom) } else { d.deserialize_byte_buf(OwnedVisitor) }
    }
}

/// From a frame in memory, and from a reader, which lends nothing for long.
struct OwnedVisitor;

impl Visitor<'_> for OwnedVisitor {
    type Value = EventBytes;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an event's bytes")
    }

    fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<EventBytes, E> {
        Ok(EventBytes(Bytes::copy_from_slice(bytes)))
    }

    fn visit_byte_buf<E: serde::de::Error>(self, bytes: Vec<u8>) -> Result<EventBytes, E> {
        Ok(EventBytes(bytes.into()))
    }
}

/// The same, borrowed from the frame that is being decoded.
#[derive(Clone, Copy)]
pub(super) struct Borrowed<'a>(pub(super) &'a [u8]);

struct BorrowedVisitor;

impl<'de> Visitor<'de> for BorrowedVisitor {
    type Value = Borrowed<'de>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an event's bytes")
    }

    fn visit_borrowed_bytes<E: serde::de::Error>(self, bytes: &'de [u8]) -> Result<Borrowed<'de>, E> {
        Ok(Borrowed(bytes))
    }
}

impl<'de> Deserialize<'de> for Borrowed<'de> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Borrowed<'de>, D::Error> {
        d.deserialize_bytes(BorrowedVisitor)
    }
}
