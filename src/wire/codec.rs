//! Messages to frames and back. Binary frames are MessagePack with names, perhaps compressed with zstd
//! (then the frame begins with zstd's magic number, which no message does); text frames are JSON.

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::depth;
use super::event_bytes::{Borrowed, EventBytes};
use super::message::{Backfill, Batch, Page, Snapshot, ToClient, ToServer};

/// How a connection's frames are written.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Encoding {
    /// Text frames.
    Json,
    /// Binary frames.
    MessagePack,
    /// Binary frames; what is large is compressed.
    Zstd,
}

/// Why a frame could not be read or written.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum WireError {
    #[error("a frame cannot be read: {0}")]
    Malformed(String),
    #[error("a frame is nested more than {0} deep")]
    TooDeep(usize),
    #[error("a frame is larger than {0} bytes when unpacked")]
    TooLarge(usize),
    #[error("a message cannot be written: {0}")]
    Encode(String),
}

/// What a server takes from one frame, at most, before and after unpacking.
pub const MAX_TO_SERVER: usize = 4 << 20;
/// What a client takes: a snapshot of a large world.
pub const MAX_TO_CLIENT: usize = 256 << 20;
/// Frames below this size are not worth compressing.
const WORTH_PACKING: usize = 1024;
/// zstd's magic number (RFC 8878, 3.1.1), as it stands at the start of a frame.
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// One WebSocket message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Frame {
    Binary(Bytes),
    Text(String),
}

impl Frame {
    pub fn len(&self) -> usize {
        match self {
            Frame::Binary(bytes) => bytes.len(),
            Frame::Text(text) => text.len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A message as a frame.
pub fn encode(message: &impl Serialize, encoding: Encoding) -> Result<Frame, WireError> {
    let failed = |error: &dyn std::fmt::Display| WireError::Encode(error.to_string());
    match encoding {
        Encoding::Json => serde_json::to_string(message).map(Frame::Text).map_err(|error| failed(&error)),
        Encoding::MessagePack => rmp_serde::to_vec_named(message).map(|bytes| Frame::Binary(bytes.into())).map_err(|error| failed(&error)),
        Encoding::Zstd => {
            let bytes = rmp_serde::to_vec_named(message).map_err(|error| failed(&error))?;
            if bytes.len() < WORTH_PACKING {
                return Ok(Frame::Binary(bytes.into()));
            }
            let packed = zstd::bulk::compress(&bytes, 1).map_err(|error| failed(&error))?;
            Ok(Frame::Binary(if packed.len() < bytes.len() { packed.into() } else { bytes.into() }))
        }
    }
}

/// Refuses a frame that is packed: nothing is unpacked for somebody who is not known yet.
pub fn not_packed(frame: &Frame) -> Result<(), WireError> {
    match frame {
        Frame::Binary(bytes) if bytes.starts_with(&ZSTD_MAGIC) => Err(WireError::Malformed("it is compressed before it is known who is there".into())),
        Frame::Binary(_) | Frame::Text(_) => Ok(()),
    }
}

/// A server's reading of a client's frame.
pub fn decode_to_server(frame: &Frame) -> Result<ToServer, WireError> {
    match frame {
        Frame::Text(text) => from_json(text),
        Frame::Binary(bytes) => {
            let bytes = unpack(bytes.clone(), MAX_TO_SERVER)?;
            depth::check_messagepack(&bytes, depth::MESSAGE)?;
            rmp_serde::from_slice(&bytes).map_err(|error| WireError::Malformed(error.to_string()))
        }
    }
}

/// A client's reading of a server's frame. Events share the frame's memory.
pub fn decode_to_client(frame: &Frame) -> Result<ToClient, WireError> {
    match frame {
        Frame::Text(text) => from_json(text),
        Frame::Binary(bytes) => {
            let bytes = unpack(bytes.clone(), MAX_TO_CLIENT)?;
            depth::check_messagepack(&bytes, depth::MESSAGE)?;
            let message: ToClient<Borrowed<'_>> = rmp_serde::from_slice(&bytes).map_err(|error| WireError::Malformed(error.to_string()))?;
            Ok(share(message, &bytes))
        }
    }
}

fn from_json<T: DeserializeOwned>(text: &str) -> Result<T, WireError> {
    depth::check_json(text, depth::MESSAGE)?;
    serde_json::from_str(text).map_err(|error| WireError::Malformed(error.to_string()))
}

/// Unpacks a frame if it is packed; never into more than `most` bytes, whatever its header says.
pub(super) fn unpack(bytes: Bytes, most: usize) -> Result<Bytes, WireError> {
    use std::io::Read;
    if !bytes.starts_with(&ZSTD_MAGIC) {
        return if bytes.len() > most { Err(WireError::TooLarge(most)) } else { Ok(bytes) };
    }
    let malformed = |error: std::io::Error| WireError::Malformed(format!("zstd: {error}"));
    let mut decoder = zstd::stream::read::Decoder::with_buffer(&*bytes).map_err(malformed)?;
    decoder.window_log_max(23).map_err(malformed)?;
    let mut out = Vec::new();
    let cap = u64::try_from(most).unwrap_or(u64::MAX).saturating_add(1);
    decoder.take(cap).read_to_end(&mut out).map_err(malformed)?;
    if out.len() > most { Err(WireError::TooLarge(most)) } else { Ok(out.into()) }
}

fn share(message: ToClient<Borrowed<'_>>, frame: &Bytes) -> ToClient {
    let events = |events: Vec<Borrowed<'_>>| events.into_iter().map(|event| EventBytes(frame.slice_ref(event.0))).collect();
    match message {
        ToClient::Handshake(raw) => ToClient::Handshake(raw),
        ToClient::Welcome(welcome) => ToClient::Welcome(welcome),
        ToClient::Snapshot(s) => ToClient::Snapshot(Snapshot {
            incarnation: s.incarnation,
            head: s.head,
            base: s.base,
            why: s.why,
            world: s.world,
            events: events(s.events),
            lag: s.lag,
            sealed: s.sealed,
        }),
        ToClient::Batch(b) => {
            let (seals, outlines, claim) = (b.seals, b.outlines, b.claim);
            ToClient::Batch(Batch { incarnation: b.incarnation, from: b.from, to: b.to, events: events(b.events), lag: b.lag, seals, outlines, claim })
        }
        ToClient::Page(p) => {
            ToClient::Page(Page { id: p.id, events: events(p.events), last: p.last, complete: p.complete, filtered: p.filtered, reached: p.reached })
        }
        ToClient::Backfilled(b) => ToClient::Backfilled(Backfill { id: b.id, to: b.to, events: events(b.events), seals: b.seals, outlines: b.outlines }),
        ToClient::WorldSealed(told) => ToClient::WorldSealed(told),
        ToClient::Counts(counts) => ToClient::Counts(counts),
        ToClient::WorldThen(then) => ToClient::WorldThen(then),
        ToClient::Answer(answer) => ToClient::Answer(answer),
        ToClient::Ack(ack) => ToClient::Ack(ack),
        ToClient::Health(health) => ToClient::Health(health),
        ToClient::Readings(readings) => ToClient::Readings(readings),
        ToClient::Peers(peers) => ToClient::Peers(peers),
        ToClient::Presence(told) => ToClient::Presence(told),
        ToClient::Lease(lease) => ToClient::Lease(lease),
        ToClient::Vitals(vitals) => ToClient::Vitals(vitals),
        ToClient::Holding(holding) => ToClient::Holding(holding),
        ToClient::Pong(pong) => ToClient::Pong(pong),
        ToClient::MarksKept(kept) => ToClient::MarksKept(kept),
        ToClient::Problem(problem) => ToClient::Problem(problem),
    }
}
