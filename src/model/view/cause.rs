//! Cause folding: when a system that others use has an alert, alerts of those others that began near
//! it in time stand under it, as probable effects, across servers.
//!
//! An alert is a probable effect of another when its system needs the other's (directly or through
//! what it needs), the other is at least as severe, and it began from two minutes before the other
//! (a slow check may find the cause late) to twenty after. What always comes and goes is no cause. When
//! unsure, things stand apart.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::Sky;
use crate::model::id::{AlertRef, SystemRef};
use crate::model::severity::Severity;
use crate::model::time::{Span, Time};

pub const BEFORE: Span = Span::from_mins(2);
pub const AFTER: Span = Span::from_mins(20);

/// Everything that a system needs: what it uses and what it is made of, to the bottom.
pub fn needs(sky: &Sky, system: &SystemRef) -> BTreeSet<SystemRef> {
    let mut found = BTreeSet::new();
    let mut queue = VecDeque::from([system.clone()]);
    while let Some(next) = queue.pop_front() {
        if found.len() > 10_000 {
            break;
        }
        let Some((index, seen)) = sky.of_origin(next.origin) else { continue };
        // What stands beneath a needed system by name belongs to it, declared or not.
        let beneath = seen.world.systems.keys().filter(|id| **id != next.id && id.within(&next.id)).map(|id| SystemRef { origin: next.origin, id: id.clone() });
        let declared = seen.world.system(&next.id).into_iter().flat_map(|system| system.spec.uses.iter().chain(&system.spec.subsystems));
        for need in declared.filter_map(|address| sky.resolve(index, address)).chain(beneath) {
            if need != *system && found.insert(need.clone()) {
                queue.push_back(need);
            }
        }
        // What the system above it by name declares to use, its parts need too.
        if let Some((above, _)) = next.id.as_str().rsplit_once('/')
            && let Ok(above) = above.parse()
            && let Some(system_above) = seen.world.system(&above)
        {
            for need in system_above.spec.uses.iter().filter_map(|address| sky.resolve(index, address)) {
                if need != *system && found.insert(need.clone()) {
                    queue.push_back(need);
                }
            }
        }
    }
    found
}

/// One open alert, as folding looks at it.
#[derive(Clone, Debug)]
pub struct Candidate {
    pub alert: AlertRef,
    pub system: SystemRef,
    pub severity: Severity,
    pub since: Time,
    /// It is always so, or comes and goes by itself as it always has: it explains nothing that is not.
    pub usual: bool,
}

/// Effect to cause. A cause is never itself an effect in the answer: effects of effects stand under the first cause.
pub fn causes(sky: &Sky, alerts: &[Candidate]) -> BTreeMap<AlertRef, AlertRef> {
    let mut by_system: BTreeMap<&SystemRef, Vec<&Candidate>> = BTreeMap::new();
    for alert in alerts {
        by_system.entry(&alert.system).or_default().push(alert);
    }
    let mut direct: BTreeMap<AlertRef, &Candidate> = BTreeMap::new();
    for (system, effects) in &by_system {
        let needed = needs(sky, system);
        let possible: Vec<&Candidate> = needed.iter().filter_map(|need| by_system.get(need)).flatten().copied().collect();
        for effect in effects {
            let near = possible.iter().filter(|cause| {
                !cause.usual
                    && cause.severity >= effect.severity
                    && cause.severity > Severity::Info
                    && effect.since.plus(BEFORE) >= cause.since
                    && effect.since <= cause.since.plus(AFTER)
            });
            // The nearest in time explains best; of equals, the more severe.
            let best = near.min_by_key(|cause| (effect.since.since(cause.since).max(cause.since.since(effect.since)), std::cmp::Reverse(cause.severity)));
            if let Some(best) = best {
                direct.insert(effect.alert, best);
            }
        }
    }
    let mut out = BTreeMap::new();
    for effect in direct.keys() {
        let mut cause = *effect;
        let mut seen = BTreeSet::from([cause]);
        while let Some(next) = direct.get(&cause) {
            if !seen.insert(next.alert) {
                break;
            }
            cause = next.alert;
        }
        // Two that need each other explain nothing.
        if cause != *effect && !direct.contains_key(&cause) {
            out.insert(*effect, cause);
        }
    }
    out
}
