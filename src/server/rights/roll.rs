//! Who holds a grant, by key: what the log says, for those who let in.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::grant::{Grant, Key};
use crate::model::world::World;

/// The grants that are not over, each key's one.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Roll(BTreeMap<Key, Arc<Grant>>);

impl Roll {
    pub fn of(world: &World) -> Roll {
        Roll(world.grants.values().filter(|grant| grant.ended.is_none()).map(|grant| (grant.key.clone(), grant.clone())).collect())
    }

    pub fn of_key(&self, key: &Key) -> Option<&Arc<Grant>> {
        self.0.get(key)
    }
}
