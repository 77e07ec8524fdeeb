//! Where a subscription begins: from a cursor, when the log still holds all that follows; else with a
//! snapshot, and the reason why.

use std::collections::BTreeMap;
use std::sync::{Arc, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio_tungstenite::tungstenite::Message;

use super::beside::beside;
use super::core::Durable;
use super::house::House;
use super::hub::message;
use crate::model::grant::Epoch;
use crate::model::id::Sequence;
use crate::model::time::Span;
use crate::store::{Head, Log, Page, Row, StoreError};
use crate::wire::codec::encode;
use crate::wire::{Batch, Cursor, Encoding, EventBytes, Snapshot, SnapshotReason, ToClient};

/// Rows and bytes of one batch, when catching up or paging.
pub(super) const ROWS: usize = 1_000;
pub(super) const BYTES: usize = 512 << 10;

/// Where to go on, or why not; by `most` events at most.
pub(super) fn from_cursor(cursor: Option<Cursor>, log: Head, published: Sequence, epoch: Option<Epoch>, most: u64) -> Result<Sequence, SnapshotReason> {
    let cursor = cursor.ok_or(SnapshotReason::First)?;
    if cursor.origin != log.origin {
        return Err(SnapshotReason::OtherServer);
    }
    if cursor.incarnation != log.incarnation {
        return Err(SnapshotReason::OtherIncarnation);
    }
    if cursor.epoch != epoch {
        return Err(SnapshotReason::Scope);
    }
    if cursor.sequence > published {
        return Err(SnapshotReason::Beyond);
    }
    if cursor.sequence.next() < log.base || published.0.saturating_sub(cursor.sequence.0) > most {
        return Err(SnapshotReason::TooOld);
    }
    Ok(cursor.sequence)
}

/// Puts the signatures that are kept of rows beside them.
pub(super) async fn seal(log: &dyn Log, rows: &mut [Row]) -> Result<(), StoreError> {
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else { return Ok(()) };
    let seals: BTreeMap<Sequence, Bytes> = log.seals(first.sequence, last.sequence).await?.into_iter().collect();
    for row in rows {
        row.seal = seals.get(&row.sequence).cloned();
    }
    Ok(())
}

/// The rows that follow `from`, up to `to`: a batch of them. An error with `None`: some are gone. None at
/// all: those that a log with holes may lack are all that is left. `sealed`: with the signatures beside them.
pub(super) async fn following(house: &House, from: Sequence, to: Sequence, sealed: bool) -> Result<Vec<Row>, Option<StoreError>> {
    let mut rows = match house.log.range(from.next(), to, ROWS, BYTES).await {
        Ok(rows) => rows,
        Err(StoreError::Pruned { .. }) => return Err(None),
        Err(error) => return Err(Some(error)),
    };
    if sealed {
        seal(&*house.log, &mut rows).await.map_err(Some)?;
    }
    if house.has_holes() {
        return Ok(rows);
    }
    let mut expected = from;
    for row in &rows {
        expected = expected.next();
        if row.sequence != expected {
            // A kind that is kept for a shorter time: the world would be wrong without it.
            return Err(None);
        }
    }
    if rows.is_empty() { Err(None) } else { Ok(rows) }
}

/// A batch of its own, for one reader.
pub(super) fn batch(log: Head, from: Sequence, to: Sequence, events: Vec<EventBytes>, lag: Span, encoding: Encoding) -> Option<Message> {
    let batch = Batch { incarnation: log.incarnation, from, to, events, lag, seals: Vec::new(), outlines: Vec::new(), claim: None };
    encode(&ToClient::Batch(batch), encoding).ok().map(message)
}

/// A snapshot that was encoded before: when a thousand consoles come back at once, it is made once.
pub struct EncodedSnapshot {
    history: u32,
    encoding: Encoding,
    why: SnapshotReason,
    lag: Span,
    message: Message,
}

pub(super) fn encoded(snapshot: Snapshot, encoding: Encoding) -> Result<Message, String> {
    encode(&ToClient::Snapshot(snapshot), encoding).map(message).map_err(|error| error.to_string())
}

/// The world, with the newest `history` events.
pub(super) async fn snapshot(durable: &Arc<Durable>, house: &House, history: u32, why: SnapshotReason, encoding: Encoding) -> Result<Message, String> {
    // To the second: those that come together get the same.
    let lag = Span::from_secs((house.lag().micros().saturating_add(999_999)).div_euclid(1_000_000));
    let same = move |known: &&EncodedSnapshot| (known.history, known.encoding, known.why, known.lag) == (history, encoding, why, lag);
    let known = || lock(durable).iter().find(same).map(|known| known.message.clone());
    if let Some(known) = known() {
        return Ok(known);
    }
    let mut events = Vec::new();
    if history > 0 {
        let most = usize::try_from(history).unwrap_or(usize::MAX);
        let rows = house.log.page(Page::Before(None), most).await.map_err(|error| error.to_string())?;
        // What became durable since comes through the stream.
        events.extend(rows.into_iter().rev().filter(|row| row.sequence <= durable.world.head).map(|row| EventBytes(row.bytes)));
    }
    let world = durable.world.clone();
    let snapshot = Snapshot { incarnation: world.incarnation, head: world.head, base: durable.base, why, world, events, lag, sealed: None };
    let of = durable.clone();
    let make = move || {
        let message = encoded(snapshot, encoding)?;
        let mut kept = lock(&of);
        if kept.len() < 4 {
            kept.push(EncodedSnapshot { history, encoding, why, lag, message: message.clone() });
        }
        drop(kept);
        Ok(message)
    };
    beside(&durable.world, known, make).await
}

fn lock(durable: &Durable) -> MutexGuard<'_, Vec<EncodedSnapshot>> {
    durable.encoded.lock().unwrap_or_else(PoisonError::into_inner)
}
