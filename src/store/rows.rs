//! Rows for the store's own tests: events with words in them, whose `at` is not the order of the log.

use std::ops::RangeInclusive;

use super::Row;
use crate::model::event::{Actor, Draft, Event, Note};
use crate::model::id::{EventId, Incarnation, Origin, Sequence};
use crate::model::severity::Severity;
use crate::model::time::{Span, Time};

pub fn origin() -> Origin {
    Origin([7; 16])
}

/// The time at which tests begin.
pub const START: Time = Time::from_secs(1_790_000_000);

pub fn event(sequence: u64) -> Event {
    let n = i64::try_from(sequence).unwrap();
    // Every fifth event is told late.
    let at = START.plus(Span::from_secs(n)).minus(Span::from_secs(if sequence.is_multiple_of(5) { 60 } else { 0 }));
    let words = ["disk", "queue", "latency", "replica", "deploy"][usize::try_from(sequence % 5).unwrap()];
    let title = format!("{words} {sequence} on web-{}", sequence % 3);
    let id = EventId { origin: origin(), incarnation: Incarnation(1), sequence: Sequence(sequence) };
    Draft::new(at, Actor::User("kim".into()), Note { alert: None, episode: None }, title)
        .on("shop/varnish".parse().unwrap())
        .severity(Severity::from_rank(u8::try_from(sequence % 6).unwrap()))
        .stamp(id, START.plus(Span::from_secs(n)))
}

pub fn of(event: &Event) -> Row {
    Row {
        sequence: event.id.sequence,
        at: event.at,
        recorded: event.recorded,
        severity: event.severity,
        kind: event.kind.name().into(),
        system: event.system.clone(),
        bytes: rmp_serde::to_vec_named(event).unwrap().into(),
        seal: None,
    }
}

pub fn row(sequence: u64) -> Row {
    of(&event(sequence))
}

pub fn rows(sequences: RangeInclusive<u64>) -> Vec<Row> {
    sequences.map(row).collect()
}
