//! From a log to a primary: the newest checkpoint, and what was appended since.

use std::io::{BufReader, BufWriter};

use serde::{Deserialize, Serialize};

use crate::model::fold::fold;
use crate::model::id::Sequence;
use crate::model::world::World;
use crate::store::{Gather, Log, Pieces, Row, StoreError};
use crate::wire::EventBytes;

/// Changes when an older program could not read a checkpoint any more, or would read it wrongly.
const CHECKPOINT_VERSION: u32 = 2;

#[derive(Serialize, Deserialize)]
struct Checkpoint<W> {
    version: u32,
    world: W,
}

/// zstd's fastest: a world repeats itself, and what counts is that it never stands in memory uncompressed.
const LEVEL: i32 = 1;
const BUFFER: usize = 64 << 10;

/// A world as a checkpoint: MessagePack in a zstd frame, written through without a copy of the whole.
pub(super) fn checkpoint(world: &World) -> Result<Pieces, String> {
    let frame = zstd::Encoder::new(Gather::default(), LEVEL).map_err(|error| error.to_string())?;
    let mut out = BufWriter::with_capacity(BUFFER, frame);
    rmp_serde::encode::write_named(&mut out, &Checkpoint { version: CHECKPOINT_VERSION, world }).map_err(|error| error.to_string())?;
    let frame = out.into_inner().map_err(|error| error.to_string())?;
    frame.finish().map(Gather::finish).map_err(|error| error.to_string())
}

pub(super) fn read_checkpoint(bytes: &[u8]) -> Result<World, String> {
    let frame = zstd::Decoder::with_buffer(bytes).map_err(|error| error.to_string())?;
    let checkpoint: Checkpoint<World> = rmp_serde::from_read(BufReader::with_capacity(BUFFER, frame)).map_err(|error| error.to_string())?;
    if checkpoint.version > CHECKPOINT_VERSION {
        return Err(format!("it is of version {}, newer than this program", checkpoint.version));
    }
    Ok(checkpoint.world)
}

/// Rows that are read at once.
const ROWS: usize = 5_000;
const BYTES: usize = 8 << 20;

/// The world that the log tells.
pub async fn world_of(log: &dyn Log) -> Result<World, StoreError> {
    let head = log.head();
    let mut world = match log.checkpointed().await? {
        Some((at, bytes)) => match read_checkpoint(&bytes) {
            Ok(world) if world.head == at && world.origin == head.origin => Some(world),
            Ok(_) => {
                tracing::warn!(at = at.0, "a checkpoint does not belong to this log; reading the log from its start");
                None
            }
            Err(why) => {
                tracing::warn!(at = at.0, why, "a checkpoint cannot be read; reading the log from its start");
                None
            }
        },
        None => None,
    };
    if world.is_none() && head.base > Sequence(1) && head.base <= head.sequence {
        // What was pruned is in no checkpoint that we can read. What is left is still worth telling.
        tracing::error!(
            base = head.base.0,
            "the log's start was pruned and no checkpoint can be read: alerts that opened before event {} are not known",
            head.base.0
        );
    }
    let mut next = world.as_ref().map_or(head.base, |world| world.head.next()).max(head.base);
    while next <= head.sequence {
        let rows = log.range(next, head.sequence, ROWS, BYTES).await?;
        let Some(last) = rows.last() else { break };
        next = last.sequence.next();
        for row in &rows {
            fold_row(&mut world, row, head.origin);
        }
    }
    let mut world = world.unwrap_or_else(|| World::new(head.origin, head.incarnation));
    if world.incarnation != head.incarnation {
        // As folding the first event of the new life does.
        world.lives.push((world.incarnation, world.head));
        world.incarnation = head.incarnation;
    }
    // Events that could not be read have their places all the same.
    world.head = head.sequence;
    Ok(world)
}

pub(super) fn fold_row(world: &mut Option<World>, row: &Row, origin: crate::model::id::Origin) {
    match EventBytes(row.bytes.clone()).decode() {
        Ok(event) => fold(world.get_or_insert_with(|| World::new(origin, event.id.incarnation)), &event),
        Err(error) => tracing::warn!(sequence = row.sequence.0, %error, "an event of the log cannot be read by this version; it is kept"),
    }
}
