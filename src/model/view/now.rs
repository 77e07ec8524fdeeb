//! Now: what needs somebody, with causes folded and the usual put away.

use super::alerts::{AlertRow, Asks, urgency};
use super::entries::{Entry, entries};
use super::{Freshness, Sky};

#[derive(Clone, PartialEq, Debug, Default)]
pub struct Now {
    /// What is shown: causes and what stands alone, most urgent first. The usual is among them, last.
    pub entries: Vec<Entry>,
    pub need_you: usize,
    pub have_somebody: usize,
    pub put_off: usize,
    pub usual: usize,
    /// Alerts that stand under a cause.
    pub folded: usize,
    /// Servers that say nothing now.
    pub silent_servers: Vec<String>,
    /// No server has ever been heard: nothing is known.
    pub unknown: bool,
}

impl Now {
    /// Of all open alerts' rows.
    pub fn of(sky: &Sky, rows: &[AlertRow]) -> Now {
        let mut all: Vec<usize> = (0..rows.len()).collect();
        all.sort_by_cached_key(|row| rows.get(*row).map(urgency));
        let mut out = Now { entries: entries(rows, &all), ..Now::default() };
        for entry in &out.entries {
            match entry.asks {
                Asks::You => out.need_you += 1,
                Asks::Somebody => out.have_somebody += 1,
                Asks::Later => out.put_off += 1,
                Asks::Nobody => out.usual += 1,
            }
            out.folded += entry.effects.len();
        }
        // Stable: the rows were in their order already.
        out.entries.sort_by_key(Entry::urgency);
        out.unknown = sky.servers.iter().all(|seen| seen.freshness == Freshness::Never);
        out.silent_servers = sky.servers.iter().filter(|seen| !seen.freshness.is_live()).map(|seen| seen.name.to_string()).collect();
        out
    }

    /// "2 need you · 3 have somebody · 118 usual, folded".
    pub fn headline(&self) -> Vec<(Asks, String)> {
        let mut out = Vec::new();
        match self.need_you {
            0 if self.unknown => out.push((Asks::Somebody, "nothing is known yet".to_owned())),
            0 => out.push((Asks::Nobody, "nothing needs you".to_owned())),
            1 => out.push((Asks::You, "1 needs you".to_owned())),
            n => out.push((Asks::You, format!("{n} need you"))),
        }
        match self.have_somebody {
            0 => {}
            1 => out.push((Asks::Somebody, "1 has somebody".to_owned())),
            n => out.push((Asks::Somebody, format!("{n} have somebody"))),
        }
        if self.put_off > 0 {
            out.push((Asks::Later, format!("{} put off", self.put_off)));
        }
        if self.usual > 0 {
            out.push((Asks::Nobody, format!("{} usual, folded", self.usual)));
        }
        out
    }
}
