//! Timeline: every event of every server, merged by time, newest last; followed until one goes up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::console::list::Move;
use crate::console::sight::Sight;
use crate::console::timeline::Place;

use super::Split;
use super::event::{Room, Whole};

#[derive(Debug, Default)]
pub struct TimelinePane {
    /// The selected event; nothing while the newest is followed.
    pub place: Option<Place>,
    pub selected: usize,
    pub top: usize,
    pub split: Option<Split>,
    pub marks: BTreeSet<Place>,
    /// With their names, which may be empty, and what the events said.
    pub bookmarks: BTreeMap<Place, (Arc<str>, Arc<str>)>,
    /// Whose times stand before each event.
    pub clocks: Clocks,
    pub anchor: Option<Place>,
    /// Rows that came below while one looked elsewhere.
    pub newer: usize,
    /// Where the selection rests: holding a key costs the list's bytes alone.
    pub rests: Option<Place>,
    /// The selected event, with all that it holds, and what it was made from.
    pub whole: Option<Whole>,
    made: Option<(Place, u16)>,
    /// What it takes of the screen.
    room: Room,
    last_len: usize,
    /// The top has come near: older events are wanted.
    pub wants_older: bool,
    /// The same at the bottom, away from the present.
    pub wants_newer: bool,
    /// What one will stand on once what lies around it has come: the first from there on, or the last before.
    pub aim: Option<(Place, bool)>,
    /// Where one stood when the console was left, until that event has come.
    pub left_at: Option<Place>,
}

/// The times that stand side by side.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Clocks {
    #[default]
    Here,
    /// And in UTC.
    Utc,
    /// And as the server's own clock had it.
    Own,
}

impl Clocks {
    pub const fn next(self) -> Clocks {
        match self {
            Clocks::Here => Clocks::Utc,
            Clocks::Utc => Clocks::Own,
            Clocks::Own => Clocks::Here,
        }
    }
}

/// Rows above the list: the density strip and its legend.
pub const HEAD: u16 = 3;

impl TimelinePane {
    /// What the selected event holds, where another one is selected.
    fn look(&mut self, sight: &Sight, width: u16, opened: bool) {
        let slot = sight.timeline.slot(self.selected);
        let here = slot.map(|slot| (slot.place(), width));
        let moved = |(place, _): (Place, u16)| self.made.is_some_and(|(made, _)| made != place && !sight.timeline.is_later(made)) && self.rests != Some(place);
        if self.whole.is_some() && (here == self.made || (!opened && here.is_some_and(moved))) {
            return;
        }
        if self.made.is_none_or(|(_, was)| was != width) {
            self.room = Room::default();
        }
        self.made = here;
        self.whole = slot.and_then(|slot| slot.event()).map(|event| Whole::of(&event, width.saturating_sub(3), sight.zone));
        if let Some(whole) = &self.whole {
            self.room.wants(whole.height());
        }
    }

    pub fn settle(&mut self, sight: &Sight, width: u16, height: u16, zoomed: bool, opened: bool) {
        let head = if height < 12 { 1 } else { HEAD };
        let len = sight.timeline.len();
        let was = self.selected;
        self.selected = match self.place {
            None if sight.timeline.is_live() => len.saturating_sub(1),
            None => self.selected.min(len.saturating_sub(1)),
            Some(place) => sight.timeline.find(place).min(len.saturating_sub(1)),
        };
        self.look(sight, width, opened);
        let split = Split::of_long_list(height.saturating_sub(head), &self.room, zoomed, opened);
        // The last one says what is later.
        let rows = usize::from(split.list.max(1)).saturating_sub(usize::from(sight.timeline.ends_at().is_some())).max(1);
        // What came above or below moves the window with the selection, so that the row stays where it is.
        if self.place.is_some() {
            self.top = (self.top + self.selected).saturating_sub(was);
        }
        self.top = self.top.min(len.saturating_sub(rows));
        if self.selected < self.top {
            self.top = self.selected;
        } else if self.selected >= self.top + rows {
            self.top = self.selected + 1 - rows;
        }
        self.newer = match self.place {
            None => 0,
            Some(_) if len > self.last_len && self.selected + rows < len => self.newer + (len - self.last_len),
            Some(_) => self.newer.min(len.saturating_sub(self.selected + 1)),
        };
        self.last_len = len;
        self.wants_older = self.top < rows * 2;
        self.wants_newer = !sight.timeline.reaches_end() && self.top + rows * 3 > len;
        self.split = Some(split);
    }

    pub fn go(&mut self, sight: &Sight, movement: Move) {
        let rows = self.split.map_or(10, |split| usize::from(split.list)).max(2);
        let len = sight.timeline.len();
        let to = match movement {
            Move::Down => self.selected.saturating_add(1),
            Move::Up => self.selected.saturating_sub(1),
            Move::HalfDown => self.selected.saturating_add(rows / 2),
            Move::HalfUp => self.selected.saturating_sub(rows / 2),
            Move::PageDown => self.selected.saturating_add(rows - 1),
            Move::PageUp => self.selected.saturating_sub(rows - 1),
            Move::First => 0,
            Move::Last => usize::MAX,
        };
        // Below the last row lies the present: one follows it again.
        let follow = sight.timeline.is_live() && sight.timeline.ends_at().is_none() && (movement == Move::Last || to >= len);
        let mut to = to.min(len.saturating_sub(1));
        // A line that only says that something is left out is stepped over.
        if sight.timeline.is_gap(to) {
            to = if to > self.selected { to + 1 } else { to.saturating_sub(1) };
        }
        self.select(sight, to, follow);
    }

    pub fn select(&mut self, sight: &Sight, row: usize, follow: bool) {
        self.left_at = None;
        self.selected = row.min(sight.timeline.len().saturating_sub(1));
        self.place = if follow { None } else { sight.timeline.slot(self.selected).map(|slot| slot.place()) };
    }

    pub fn follow(&mut self) {
        self.left_at = None;
        self.place = None;
        self.newer = 0;
    }

    /// The rows that were on the screen.
    pub fn on_screen(&self) -> std::ops::Range<usize> {
        self.top..self.top + self.split.map_or(0, |split| usize::from(split.list))
    }

    /// The event that is shown below the list.
    pub fn shows(&self) -> Option<Place> {
        self.made.map(|(place, _)| place)
    }

    pub fn here(&self, sight: &Sight) -> Option<Place> {
        sight.timeline.slot(self.selected).map(|slot| slot.place())
    }

    pub fn back(&mut self) -> bool {
        let had = !self.marks.is_empty() || self.anchor.is_some();
        self.marks.clear();
        self.anchor = None;
        had
    }
}
