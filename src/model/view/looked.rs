//! Since a person last looked: how much is new, still open, recovered, changed; and which rows are new.

use super::Sky;
use super::alerts::{AlertRow, Asks};
use crate::model::history::{History, coarse};
use crate::model::id::Origin;
use crate::model::mark::{Mark, Marks};
use crate::model::time::{Span, Time};
use crate::model::world::{DeedKind, World};

/// What has come since, over all servers. What is usual (always so, or gone by itself) does not count.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Looked {
    /// When any of these servers was last looked at, by the person's own clocks.
    pub last: Time,
    /// Open, and began since.
    pub new: usize,
    /// Open, and was so already.
    pub still: usize,
    /// Over now, and was or became open since.
    pub recovered: usize,
    /// Deployments, commits, actions.
    pub changes: usize,
    /// Servers that were never looked at.
    pub unseen: Vec<String>,
}

impl Looked {
    /// Nothing when none of these servers was ever looked at.
    pub fn of(sky: &Sky, rows: &[AlertRow], marks: &Marks, now: Time) -> Option<Looked> {
        let known = |origin: Origin| marks.of(origin);
        let last = sky.servers.iter().filter_map(|seen| known(seen.world.origin)).map(|mark| mark.looked.at).max()?;
        let mut out = Looked { last, ..Looked::default() }.with_rows(rows, marks);
        for seen in &sky.servers {
            let Some(mark) = known(seen.world.origin) else {
                if seen.world.origin != Origin::default() {
                    out.unseen.push(seen.name.to_string());
                }
                continue;
            };
            out.recovered += recovered(sky, &seen.world, mark, now);
            let telling = |kind| matches!(kind, DeedKind::Change | DeedKind::Commit | DeedKind::Action);
            out.changes += seen.world.all_changes().filter(|deed| telling(deed.kind) && marks.has_seen(deed.event) == Some(false)).count();
        }
        Some(out)
    }

    /// The same with what is open counted anew: what is over and what changed takes a look at all that is known.
    pub fn with_rows(mut self, rows: &[AlertRow], marks: &Marks) -> Looked {
        (self.new, self.still) = (0, 0);
        for row in rows.iter().filter(|row| row.asks() != Asks::Nobody) {
            match is_new(row, marks) {
                Some(true) => self.new += 1,
                Some(false) => self.still += 1,
                None => {}
            }
        }
        self
    }

    /// Nothing has come since.
    pub fn is_quiet(&self) -> bool {
        self.new + self.recovered + self.changes == 0
    }

    /// "since you looked 6h ago: 3 new, 1 still open, 12 recovered, 2 changes".
    pub fn words(&self, now: Time) -> String {
        let mut out = match self.new {
            0 => vec!["nothing new".to_owned()],
            new => vec![format!("{new} new")],
        };
        if self.still > 0 {
            out.push(format!("{} still open", self.still));
        }
        if self.recovered > 0 {
            out.push(format!("{} recovered", self.recovered));
        }
        if self.changes > 0 {
            out.push(crate::model::words::counted(self.changes, "change"));
        }
        match self.unseen.as_slice() {
            [] => {}
            [one] => out.push(format!("{one} for the first time")),
            many => out.push(format!("{} servers for the first time", many.len())),
        }
        let ago = match now.since(self.last) {
            // Seconds would tick.
            age if age < Span::from_mins(1) => "a moment".to_owned(),
            age => coarse(age),
        };
        format!("since you looked {ago} ago: {}", out.join(", "))
    }
}

/// Whether an alert began since; nothing when its server was never looked at.
pub fn is_new(row: &AlertRow, marks: &Marks) -> Option<bool> {
    marks.has_seen(row.episode).map(|seen| !seen)
}

fn recovered(sky: &Sky, world: &World, mark: &Mark, now: Time) -> usize {
    let over = world.alerts.values().filter(|alert| !alert.is_open() && alert.past.last().is_some_and(|past| past.until > mark.looked.at));
    over.filter(|alert| !History::of(alert, world, &sky.zone, now).usual).count()
}

/// From when on what happened at any of these servers was not looked at; nothing when none ever was.
pub fn since(sky: &Sky, marks: &Marks) -> Option<Time> {
    sky.servers.iter().filter_map(|seen| marks.of(seen.world.origin)).map(|mark| mark.looked.at).min()
}
