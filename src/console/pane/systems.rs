//! Systems: the tree, each with its own state and what lies beneath; below it, what is inside.

use std::collections::BTreeSet;

use crate::console::list::{List, Move};
use crate::console::sight::Sight;
use crate::model::filter::Filter;
use crate::model::id::SystemRef;
use crate::model::view::systems::{Inside, SystemRow, inside, tree};

use super::Split;
use super::event::Room;

#[derive(Debug, Default)]
pub struct SystemsPane {
    pub list: List<Vec<SystemRef>>,
    pub rows: Vec<SystemRow>,
    pub inside: Inside,
    pub filter: Option<Filter>,
    pub split: Option<Split>,
    /// Places whose state differs from the default: open at the top, closed below.
    pub turned: BTreeSet<Vec<SystemRef>>,
    /// What the detail takes of the screen, and for what that was last asked.
    room: Room,
    asked: Option<(Vec<SystemRef>, u16)>,
}

pub const HEAD: u16 = 3;

impl SystemsPane {
    pub fn settle(&mut self, sight: &Sight, height: u16, zoomed: bool, opened: bool) {
        let filtered = self.filter.is_some();
        self.rows = tree(sight.sky, |path| filtered || (path.len() < 2) != self.turned.contains(path));
        if let Some(filter) = &self.filter {
            let server = |row: &SystemRow| sight.sky.server(row.server).map_or("", |seen| &seen.name);
            self.rows.retain(|row| filter.matches(&SystemSubject { row, server: server(row) }));
        }
        let body = height.saturating_sub(if height < 12 { 1 } else { HEAD });
        let mut split = Split::of_long_list(body, &self.room, zoomed, opened);
        if split.list > 0 && split.detail > 0 {
            // A short list leaves the rest to what is below it.
            split.list = split.list.min(u16::try_from(self.rows.len()).unwrap_or(u16::MAX).saturating_add(1).max(4));
            split.detail = body - split.list;
        }
        let rows = &self.rows;
        self.list.settle(rows.len(), |i| rows.get(i).map(|row| row.path.clone()));
        self.list.fit(rows.len(), usize::from(split.list.max(1)));
        self.inside = self.system().map(|system| inside(sight.sky, &system)).unwrap_or_default();
        self.split = Some(split);
    }

    /// The selected system's detail needs so many rows; says whether that is news.
    pub fn needs(&mut self, rows: u16) -> bool {
        let asked = self.row().map(|row| (row.path.clone(), rows));
        let new = asked != self.asked;
        if new {
            self.asked = asked;
            self.room.wants(rows);
        }
        new
    }

    pub fn go(&mut self, movement: Move) {
        let height = self.split.map_or(10, |split| usize::from(split.list));
        let rows = &self.rows;
        self.list.go(movement, rows.len(), height, |i| rows.get(i).map(|row| row.path.clone()));
        self.list.fit(rows.len(), height);
    }

    pub fn select(&mut self, row: usize) {
        let rows = &self.rows;
        self.list.select(row, rows.len(), |i| rows.get(i).map(|row| row.path.clone()));
    }

    pub fn row(&self) -> Option<&SystemRow> {
        self.rows.get(self.list.selected())
    }

    pub fn system(&self) -> Option<SystemRef> {
        self.row().map(|row| row.system.clone())
    }

    fn is_open(&self, path: &[SystemRef]) -> bool {
        (path.len() < 2) != self.turned.contains(path)
    }

    pub fn unfold(&mut self) {
        if let Some(path) = self.row().map(|row| row.path.clone())
            && !self.is_open(&path)
        {
            self.turn(path);
        }
    }

    pub fn fold(&mut self) {
        let Some(row) = self.row().cloned() else { return };
        if row.children > 0 && self.is_open(&row.path) {
            self.turn(row.path);
        } else if let Some(above) = row.path.len().checked_sub(1).and_then(|n| row.path.get(..n)) {
            let place = self.rows.iter().position(|r| r.path == above);
            let rows = &self.rows;
            if let Some(place) = place {
                self.list.select(place, rows.len(), |i| rows.get(i).map(|row| row.path.clone()));
            }
        }
    }

    fn turn(&mut self, path: Vec<SystemRef>) {
        if !self.turned.remove(&path) {
            self.turned.insert(path);
        }
    }

    pub fn unfold_all(&mut self, sight: &Sight) {
        let all = tree(sight.sky, |_| true);
        if self.rows.len() < all.len() {
            self.turned = all.into_iter().filter(|row| row.children > 0 && row.path.len() >= 2).map(|row| row.path).collect();
        } else {
            self.turned = all.into_iter().filter(|row| row.children > 0 && row.path.len() < 2).map(|row| row.path).collect();
        }
    }

    /// Shows a system, opening what holds it.
    pub fn show(&mut self, sight: &Sight, system: &SystemRef) -> bool {
        self.filter = None;
        let all = tree(sight.sky, |_| true);
        let Some(found) = all.into_iter().find(|row| row.system == *system) else { return false };
        for len in 2..found.path.len() {
            if let Some(path) = found.path.get(..len)
                && !self.is_open(path)
            {
                self.turn(path.to_vec());
            }
        }
        self.rows = tree(sight.sky, |path| self.is_open(path));
        let rows = &self.rows;
        if let Some(place) = rows.iter().position(|row| row.path == found.path) {
            self.list.select(place, rows.len(), |i| rows.get(i).map(|row| row.path.clone()));
        }
        true
    }

    /// The next row with something open on it or beneath.
    pub fn seek(&mut self, forward: bool) -> bool {
        let (len, here) = (self.rows.len(), self.list.selected());
        let mut places = (1..=len).map(|step| if forward { (here + step) % len } else { (here + len - step) % len });
        let found = places.find(|place| self.rows.get(*place).is_some_and(|row| row.own.alerts > 0));
        let rows = &self.rows;
        if let Some(found) = found {
            self.list.select(found, len, |i| rows.get(i).map(|row| row.path.clone()));
        }
        found.is_some()
    }
}

/// A system as a filter sees it: by name, title, category and owner.
struct SystemSubject<'a> {
    row: &'a SystemRow,
    server: &'a str,
}

impl crate::model::filter::Subject for SystemSubject<'_> {
    fn at(&self) -> crate::model::time::Time {
        crate::model::time::Time::MAX
    }

    fn severity(&self) -> crate::model::severity::Severity {
        self.row.own.worst.max(self.row.beneath.worst).unwrap_or_default()
    }

    fn kind(&self) -> &str {
        "system"
    }

    fn system(&self) -> Option<&str> {
        Some(self.row.system.id.as_str())
    }

    fn server(&self) -> Option<&str> {
        Some(self.server)
    }

    fn any_actor(&self, _: &mut dyn FnMut(&crate::model::event::Actor) -> bool) -> bool {
        false
    }

    fn label(&self, _: &str) -> Option<std::borrow::Cow<'_, str>> {
        None
    }

    fn any_text(&self, test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        [self.row.name.as_str(), &self.row.title, &self.row.category, &self.row.owner].iter().any(|text| test(text.as_bytes()))
    }
}
