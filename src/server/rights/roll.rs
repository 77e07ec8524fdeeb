//! Who holds a grant, by key: what the log says, for those who let in.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::grant::{Grant, Key};
use crate::model::world::World;

/// The grants that are not over, each key's one; and the keys whose last one is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Roll {
    held: BTreeMap<Key, Arc<Grant>>,
    over: BTreeMap<Key, Arc<Grant>>,
}

impl Roll {
    pub fn of(world: &World) -> Roll {
        let mut roll = Roll::default();
        for grant in world.grants.values() {
            let held = grant.ended.is_none();
            for key in grant.keys() {
                enter(if held { &mut roll.held } else { &mut roll.over }, key, grant);
            }
            for lost in &grant.lost {
                enter(&mut roll.over, &lost.key, grant);
            }
        }
        roll
    }

    pub fn of_key(&self, key: &Key) -> Option<&Arc<Grant>> {
        self.held.get(key)
    }

    /// Whether nothing is done any more that this key signs: what it was granted is over, or it was lost.
    pub fn is_over(&self, key: &Key) -> bool {
        self.over.contains_key(key) && !self.held.contains_key(key)
    }

    /// What has become of a key's last grant, for the words to its holder.
    pub fn over(&self, key: &Key) -> Option<&Grant> {
        self.over.get(key).map(|grant| &**grant)
    }
}

fn enter(to: &mut BTreeMap<Key, Arc<Grant>>, key: &Key, grant: &Arc<Grant>) {
    let known = to.entry(key.clone()).or_insert_with(|| grant.clone());
    if known.at < grant.at {
        *known = grant.clone();
    }
}
