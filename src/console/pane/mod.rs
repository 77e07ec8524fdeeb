//! The panes: each its state, what a command does to it, what it shows, and how that is drawn.

pub mod alert_list;
pub mod alerts;

pub mod event;
pub mod now;
pub mod servers;
pub mod systems;
pub mod timeline;
pub mod today;

use crate::command::Pane;
use crate::model::id::AlertRef;

use super::list::Move;
use super::sight::Sight;

/// All panes' states: going from one to another and back loses no place.
#[derive(Debug, Default)]
pub struct Panes {
    pub now: now::NowPane,
    pub today: today::TodayPane,
    pub timeline: timeline::TimelinePane,
    pub alerts: alerts::AlertsPane,
    pub systems: systems::SystemsPane,
    pub servers: servers::ServersPane,
    /// Lines by which the detail is scrolled.
    pub detail_top: usize,
    /// The detail has all the room.
    pub opened: bool,
    /// The pane whose detail is opened once what it was about has come.
    pub opens: Option<Pane>,
}

/// How a pane's room is divided: rows for the list and for the detail below it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Split {
    pub list: u16,
    pub detail: u16,
}

impl Split {
    /// Below 26 rows of room, Enter opens the detail instead, unless a short list leaves room for it; a
    /// zoomed list has it all.
    pub fn of(height: u16, wants: u16, zoomed: bool, opened: bool) -> Split {
        if opened {
            return Split { list: 0, detail: height };
        }
        if zoomed {
            return Split { list: height, detail: 0 };
        }
        if height < 26 {
            let list = if wants.saturating_add(7) <= height { wants } else { height };
            return Split { list, detail: height - list };
        }
        let list = wants.clamp(4, height / 2);
        Split { list, detail: height - list }
    }

    /// For a list that is as long as one likes: the detail has what it needs, and the list the rest. Below
    /// 26 rows, Enter opens the detail instead.
    pub fn of_long_list(height: u16, detail: &event::Room, zoomed: bool, opened: bool) -> Split {
        if opened || zoomed || height < 26 {
            return Split::of(height, u16::MAX, zoomed, opened);
        }
        let detail = detail.of(height);
        Split { list: height - detail, detail }
    }
}

impl Panes {
    pub fn settle(&mut self, pane: Pane, sight: &Sight, width: u16, height: u16, zoomed: bool) {
        match pane {
            Pane::Now => self.now.settle(sight, height, zoomed, self.opened),
            Pane::Today => self.today.settle(sight, width, height),
            Pane::Timeline => self.timeline.settle(sight, width, height, zoomed, self.opened),
            Pane::Alerts => self.alerts.settle(sight, height, zoomed, self.opened),
            Pane::Systems => self.systems.settle(sight, height, zoomed, self.opened),
            Pane::Servers => self.servers.settle(sight, height, zoomed, self.opened),
        }
    }

    /// The alert that is selected in a pane.
    pub fn alert(&self, pane: Pane) -> Option<AlertRef> {
        match pane {
            Pane::Now => self.now.list.alert(),
            Pane::Alerts => self.alerts.list.alert(),
            Pane::Today | Pane::Timeline | Pane::Systems | Pane::Servers => None,
        }
    }

    pub fn go(&mut self, pane: Pane, sight: &Sight, movement: Move) {
        if self.opened {
            let step = match movement {
                Move::Down => 1,
                Move::Up => -1,
                Move::HalfDown => 10,
                Move::HalfUp => -10,
                Move::PageDown => 20,
                Move::PageUp => -20,
                Move::First => isize::MIN / 2,
                Move::Last => isize::MAX / 2,
            };
            self.detail_top = self.detail_top.saturating_add_signed(step).min(10_000);
            return;
        }
        match pane {
            Pane::Now => self.now.go(movement),
            Pane::Today => self.today.go(movement),
            Pane::Timeline => self.timeline.go(sight, movement),
            Pane::Alerts => self.alerts.go(movement),
            Pane::Systems => self.systems.go(movement),
            Pane::Servers => self.servers.go(movement),
        }
    }
}
