//! For `midwatch source test`: where each alert would land and by what, and which would land nowhere.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use super::{Mapped, Mapping, Raw, Via};
use crate::model::severity::Severity;

/// Where the alerts of a source would land. Its JSON is what `source test --json` prints.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Explanation {
    pub landings: Vec<Landing>,
}

/// One alert, and where it would land.
#[derive(Clone, Debug, Serialize)]
pub struct Landing {
    pub system: String,
    pub check: String,
    pub severity: Severity,
    pub title: String,
    /// `[[map]] rule 2`, ``its label `job` ``.
    pub by: String,
    /// Nothing claims it: it would stand under `unmapped`.
    pub nowhere: bool,
    pub labels: crate::model::labels::Labels,
    #[serde(skip)]
    via: Via,
}

impl Mapping {
    /// Where these alerts would land.
    pub fn explain<'a>(&self, alerts: impl IntoIterator<Item = Raw<'a>>) -> Explanation {
        Explanation { landings: alerts.into_iter().map(|raw| Landing::of(self.map(raw))).collect() }
    }
}

impl Landing {
    fn of(mapped: Mapped) -> Landing {
        Landing {
            system: mapped.system.to_string(),
            check: mapped.check.to_string(),
            severity: mapped.severity,
            title: mapped.title.to_string(),
            by: mapped.via.to_string(),
            nowhere: mapped.via == Via::Nothing,
            labels: mapped.labels,
            via: mapped.via,
        }
    }
}

impl Explanation {
    pub fn nowhere(&self) -> impl Iterator<Item = &Landing> {
        self.landings.iter().filter(|landing| landing.nowhere)
    }
}

/// In words: each system with its alerts and what claimed them, then what lands nowhere and what to do.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut systems: BTreeMap<&str, Vec<&Landing>> = BTreeMap::new();
        for landing in self.landings.iter().filter(|landing| !landing.nowhere) {
            systems.entry(&landing.system).or_default().push(landing);
        }
        let all = self.landings.len();
        writeln!(f, "{all} {} to {} {}", plural(all, "alert", "alerts"), systems.len(), plural(systems.len(), "system", "systems"))?;
        for (system, landings) in &systems {
            let by: BTreeSet<Via> = landings.iter().map(|landing| landing.via).collect();
            let by: Vec<String> = by.iter().map(ToString::to_string).collect();
            writeln!(f, "\n{system}  (by {})", by.join(", "))?;
            for landing in landings {
                writeln!(f, "  {:<8} {}: {}", landing.severity, clean(&landing.check), clean(&landing.title))?;
            }
        }
        let nowhere: Vec<&Landing> = self.nowhere().collect();
        if !nowhere.is_empty() {
            writeln!(f, "\n{} would land nowhere (system `unmapped`):", nowhere.len())?;
            for landing in &nowhere {
                writeln!(f, "  {:<8} {}: {}", landing.severity, clean(&landing.check), clean(&landing.title))?;
                writeln!(f, "           {}", clean(&landing.labels.to_string()))?;
            }
            writeln!(f, "Give them a label `system`, or claim them with a rule in the server's configuration:")?;
            let label = nowhere.first().and_then(|landing| landing.labels.iter().next().map(|(n, v)| (clean(n), clean(v))));
            let (name, value) = label.unwrap_or_else(|| ("alertname".to_owned(), "…".to_owned()));
            writeln!(f, "  [[map]]\n  match = ['{name}=\"{value}\"']\n  system = \"…\"")?;
        }
        Ok(())
    }
}

const fn plural<'a>(count: usize, one: &'a str, many: &'a str) -> &'a str {
    if count == 1 { one } else { many }
}

/// Control characters, and those that turn the direction of writing, become `·`.
fn clean(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') { '·' } else { c })
        .collect()
}
