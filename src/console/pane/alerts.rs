//! Alerts: every open one, in groups, for work in bulk.

use crate::console::list::Move;
use crate::console::sight::Sight;

use super::Split;
use super::alert_list::AlertList;

#[derive(Debug)]
pub struct AlertsPane {
    pub list: AlertList,
    pub split: Option<Split>,
}

impl Default for AlertsPane {
    fn default() -> AlertsPane {
        // Here the usual is not folded away: one comes to see all of it.
        AlertsPane { list: AlertList::with_usual(), split: None }
    }
}

pub const HEAD: u16 = 3;

impl AlertsPane {
    pub fn settle(&mut self, sight: &Sight, height: u16, zoomed: bool, opened: bool) {
        let head = if height < 12 { 1 } else { HEAD };
        let split = Split::of(height.saturating_sub(head), u16::MAX, zoomed, opened);
        self.list.settle(sight, usize::from(split.list.max(1)));
        self.split = Some(split);
    }

    pub fn go(&mut self, movement: Move) {
        let height = self.split.map_or(10, |split| usize::from(split.list));
        self.list.go(movement, height);
    }
}
