//! What is no event, as one reader is told it: the latest observations and numbers, and how the server is.

use std::collections::BTreeSet;

use crate::model::event::Actor;
use crate::model::grant::Scope;
use crate::model::health::{Health, Wrong};
use crate::model::id::SourceId;
use crate::model::observation::Observation;
use crate::model::reading::Readings;
use crate::model::world::World;

/// Those of systems that are seen.
pub fn observations(scope: &Scope, observations: &[Observation]) -> Vec<Observation> {
    observations.iter().filter(|observation| scope.sees(Some(&observation.system), "")).cloned().collect()
}

/// Those of alerts that are seen, and of the sources that say one of them.
pub fn readings(scope: &Scope, world: &World, mut readings: Readings) -> Readings {
    let seen = |alert: &crate::model::world::Alert| scope.sees(Some(&alert.system), "");
    readings.readings.retain(|reading| world.alert(reading.alert).is_some_and(seen));
    if !readings.told.is_empty() {
        let holders = world.open_alerts().filter(|(_, alert)| seen(alert)).flat_map(|(_, alert)| &alert.holders);
        let sources: BTreeSet<&SourceId> = holders.filter_map(|holder| if let Actor::Source(source) = holder { Some(source) } else { None }).collect();
        readings.told.retain(|source, _| sources.contains(source));
    }
    readings
}

/// Who sees a part of the systems learns that the server is not well, and not what it is made of.
pub fn health(scope: &Scope, health: &Health) -> Health {
    if scope.names_all() {
        return health.clone();
    }
    let plain = |wrong: &Wrong| Wrong {
        severity: wrong.severity,
        word: wrong.word.clone(),
        what: "the server itself is not well".into(),
        advice: "Those who run it see what is wrong".into(),
    };
    Health { at: health.at, wrong: health.wrong.iter().map(plain).collect(), numbers: Default::default() }
}
