//! Now: what needs somebody, with causes folded and the usual put away.

use std::collections::BTreeMap;

use super::alerts::{AlertRow, Asks, rows, urgency};
use super::{Freshness, Sky};
use crate::model::id::AlertRef;
use crate::model::time::Time;

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

#[derive(Clone, PartialEq, Debug)]
pub struct Entry {
    pub row: AlertRow,
    /// What it probably caused, most urgent first.
    pub effects: Vec<AlertRow>,
}

impl Entry {
    /// "3 in shop, club": where the effects are.
    pub fn effect_words(&self, sky: &Sky) -> String {
        let mut names: Vec<String> = Vec::new();
        for effect in &self.effects {
            let server = sky.server(effect.server).map_or("?", |seen| &seen.name);
            if !names.iter().any(|name| name == server) {
                names.push(server.to_owned());
            }
        }
        format!("{} in {}", self.effects.len(), names.join(", "))
    }
}

impl Now {
    pub fn of(sky: &Sky, now: Time) -> Now {
        Now::from_rows(sky, rows(sky, now))
    }

    pub fn from_rows(sky: &Sky, all: Vec<AlertRow>) -> Now {
        let mut out = Now::default();
        let mut effects: BTreeMap<AlertRef, Vec<AlertRow>> = BTreeMap::new();
        let mut heads = Vec::new();
        for row in all {
            match row.cause {
                Some(cause) => effects.entry(cause).or_default().push(row),
                None => heads.push(row),
            }
        }
        for row in heads {
            match row.asks() {
                Asks::You => out.need_you += 1,
                Asks::Somebody => out.have_somebody += 1,
                Asks::Later => out.put_off += 1,
                Asks::Nobody => out.usual += 1,
            }
            let mut effects = effects.remove(&row.alert).unwrap_or_default();
            effects.sort_by_cached_key(urgency);
            out.folded += effects.len();
            out.entries.push(Entry { row, effects });
        }
        out.entries.sort_by_cached_key(|entry| urgency(&entry.row));
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
