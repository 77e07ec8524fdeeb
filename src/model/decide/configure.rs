//! The systems that the configuration declares become events when they differ from what is known.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::event::{Actor, ConfigApplied, Draft, GlossaryDeclared, SystemDeclared, SystemRemoved};
use crate::model::id::SystemId;
use crate::model::system::SystemSpec;
use crate::model::time::Time;
use crate::model::words::counted;
use crate::model::world::World;

/// What words mean here, when that is not what is known.
pub fn glossary(world: &World, words: &BTreeMap<Arc<str>, Arc<str>>, now: Time) -> Option<Draft> {
    let differs = world.glossary != *words;
    let title = if words.is_empty() { "the glossary is gone".to_owned() } else { "the glossary has new words or meanings".to_owned() };
    differs.then(|| Draft::new(now, Actor::Server, GlossaryDeclared { words: words.clone() }, title))
}

pub fn configure(world: &World, systems: &[SystemSpec], now: Time) -> Vec<Draft> {
    let mut out = Vec::new();
    for spec in systems {
        let known = world.system(&spec.id);
        if known.is_some_and(|known| known.declared && known.spec == *spec) {
            continue;
        }
        let title = if known.is_some_and(|known| known.declared) { format!("{} is declared anew", spec.id) } else { format!("{} is declared", spec.id) };
        out.push(Draft::new(now, Actor::Server, SystemDeclared { spec: spec.clone() }, title).on(spec.id.clone()));
    }
    let named: BTreeSet<&SystemId> = systems.iter().map(|spec| &spec.id).collect();
    for (id, _) in world.systems.iter().filter(|(id, system)| system.declared && !named.contains(id)) {
        out.push(Draft::new(now, Actor::Server, SystemRemoved {}, format!("{id} is no longer declared")).on(id.clone()));
    }
    if !out.is_empty() {
        let title = format!("configuration applied: {}, {} changed", counted(systems.len(), "system"), out.len());
        out.push(Draft::new(now, Actor::Server, ConfigApplied {}, title));
    }
    out
}
