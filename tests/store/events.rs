//! Events that can be made again from their number alone, so that what a log holds can be told to be
//! what was put in, byte for byte.

use bytes::Bytes;
use midwatch::model::event::{Actor, Draft, Kind, LogLine, Note};
use midwatch::model::id::{EventId, Incarnation, Origin, Sequence};
use midwatch::model::severity::Severity;
use midwatch::model::time::{Span, Time};
use midwatch::store::{Retention, Row};

pub const ORIGIN: Origin = Origin([7; 16]);
pub const INCARNATION: Incarnation = Incarnation(1);

pub fn recorded(sequence: u64) -> Time {
    Time::from_secs(1_790_000_000).plus(Span::from_secs(i64::try_from(sequence).unwrap()))
}

/// One event a second; every third is a line of a log, which is kept for a shorter time; every seventh
/// is told late; some are large.
pub fn row(sequence: u64) -> Row {
    let late = if sequence.is_multiple_of(7) { 90 } else { 0 };
    let kind: Kind = if sequence.is_multiple_of(3) { LogLine {}.into() } else { Note { alert: None, episode: None }.into() };
    let id = EventId { origin: ORIGIN, incarnation: INCARNATION, sequence: Sequence(sequence) };
    let text = "queue ".repeat(usize::try_from(sequence % 40).unwrap() * if sequence.is_multiple_of(100) { 60 } else { 1 });
    let event = Draft::new(recorded(sequence).minus(Span::from_secs(late)), Actor::Source("test".into()), kind, format!("event number n{sequence}"))
        .on("shop/varnish".parse().unwrap())
        .text(text)
        .stamp(id, recorded(sequence));
    Row {
        sequence: Sequence(sequence),
        at: event.at,
        recorded: event.recorded,
        severity: Severity::Info,
        kind: event.kind.name().into(),
        system: event.system.clone(),
        bytes: rmp_serde::to_vec_named(&event).unwrap().into(),
        seal: None,
    }
}

/// A world of some size, told apart by where it was taken.
pub fn world(at: Sequence) -> Bytes {
    at.0.to_le_bytes().repeat(4_000).into()
}

pub fn retention() -> Retention {
    Retention { keep: Some(Span::from_secs(6_000)), kinds: vec![("log".into(), Some(Span::from_secs(1_500)))] }
}
