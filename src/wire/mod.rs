//! Messages between servers and those who connect to them, and how they become frames.
//!
//! `PROTOCOL.md` documents every message for other programs; golden files under `tests/server` hold it.
//! The types here are the format itself: a twin in the model would only copy fields. An event travels
//! as the log's exact bytes ([`EventBytes`]): no server encodes it again, and signatures stay whole.

pub mod codec;
pub mod depth;
mod event_bytes;
pub mod glimpse;
mod message;
mod packed;
pub mod peek;
mod raw;

pub use codec::{Encoding, WireError};
pub use event_bytes::{EventBytes, decode_event, outline_of};
pub use message::*;
pub use packed::Packed;
pub use raw::Raw;

/// The sub-protocol of the WebSocket, and the version that [`Hello`] names.
pub const SUBPROTOCOL: &str = "midwatch.v1";
/// The same, begun with a handshake: a client that offers both, this one first, is told by what the
/// server chooses whether it knows keys.
pub const SUBPROTOCOL_KEYS: &str = "midwatch.v1+keys";
/// The version of the messages. A server answers a higher one with its own; both then speak the lower.
pub const PROTOCOL: u32 = 1;
/// Where the WebSocket is.
pub const PATH: &str = "/api/v1/ws";

#[cfg(test)]
mod tests;
