//! The thresholds behind a verdict, and where they come from.

use serde::{Deserialize, Serialize};

use crate::model::id::SystemId;
use crate::model::severity::Severity;
use crate::model::time::Span;
use crate::model::world::World;

/// Thresholds of history, `history` of a `[[system]]`: they hold for its alerts and for those of the
/// systems beneath it by name that have none of their own. This type is the format.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HistoryRules {
    /// With at most so many episodes before the present one it is rare, with more recurring.
    pub rare: u32,
    /// Open for so long, it is chronic.
    pub chronic_open: Span,
    /// There on so many percent of the days known, it is chronic …
    pub chronic_days: u32,
    /// … once so many days are known.
    pub chronic_known: u32,
    /// What recurs is usual after so many episodes …
    pub usual_after: u32,
    /// … of which so many percent cleared by themselves …
    pub usual_itself: u32,
    /// … while the present one has not lasted so many times the median …
    pub usual_times: u32,
    /// … and when it is no worse than this.
    pub usual_worst: Severity,
}

impl Default for HistoryRules {
    fn default() -> HistoryRules {
        HistoryRules::DEFAULT
    }
}

impl HistoryRules {
    pub const DEFAULT: HistoryRules = HistoryRules {
        rare: 2,
        chronic_open: Span::from_days(7),
        chronic_days: 60,
        chronic_known: 7,
        usual_after: 5,
        usual_itself: 90,
        usual_times: 3,
        usual_worst: Severity::Error,
    };

    /// What is wrong with them, in words.
    pub fn check(&self) -> Result<(), String> {
        for (name, percent) in [("chronic_days", self.chronic_days), ("usual_itself", self.usual_itself)] {
            if percent > 100 {
                return Err(format!("`{name}` is {percent}: it counts in percent, 100 at most"));
            }
        }
        if self.chronic_known == 0 || self.chronic_known > 90 {
            return Err(format!("`chronic_known` is {}: history looks back 90 days, so that it lies from 1 to 90", self.chronic_known));
        }
        Ok(())
    }
}

/// The thresholds that hold for a system's alerts: its own, else those of the nearest one above it by name.
pub fn rules_of<'a>(world: &'a World, system: &SystemId) -> &'a HistoryRules {
    let own = |id: &SystemId| world.system(id).and_then(|system| system.spec.history.as_ref());
    if let Some(rules) = own(system) {
        return rules;
    }
    let mut name = system.as_str();
    while let Some((above, _)) = name.rsplit_once('/') {
        if let Some(rules) = above.parse().ok().as_ref().and_then(own) {
            return rules;
        }
        name = above;
    }
    &HistoryRules::DEFAULT
}
