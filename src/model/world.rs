//! What is true now on one server, as its events tell: the product of `fold`, and of nothing else.

use serde::{Deserialize, Serialize};

use super::id::{Incarnation, Origin, Sequence};

/// One origin's world. Snapshots and checkpoints are its MessagePack encoding.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct World {
    pub origin: Origin,
    pub incarnation: Incarnation,
    /// The last event that was folded.
    pub head: Sequence,
}

impl World {
    pub fn new(origin: Origin, incarnation: Incarnation) -> World {
        World { origin, incarnation, ..World::default() }
    }
}
