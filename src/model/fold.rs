//! Events to world. Never fails, never refuses, reads no clock and no threshold.

use super::event::Event;
use super::world::World;

/// Folds one event of the world's own origin; an event that was already folded changes nothing.
pub fn fold(world: &mut World, event: &Event) {
    if event.id.origin == world.origin && event.id.incarnation == world.incarnation && event.id.sequence > world.head {
        world.head = event.id.sequence;
    }
}
