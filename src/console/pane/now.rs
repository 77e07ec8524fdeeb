//! Now: what needs somebody, and everything that answers "what do I do about it" for the selected row.

use crate::console::list::Move;
use crate::console::sight::Sight;

use super::Split;
use super::alert_list::AlertList;

#[derive(Debug, Default)]
pub struct NowPane {
    pub list: AlertList,
    pub split: Option<Split>,
}

/// Rows above the list: the headline and the space around it.
pub const HEAD: u16 = 3;

impl NowPane {
    pub fn settle(&mut self, sight: &Sight, height: u16, zoomed: bool, opened: bool) {
        let head = if height < 12 { 1 } else { HEAD };
        let room = height.saturating_sub(head);
        self.list.settle(sight, usize::from(room));
        let wants = u16::try_from(self.list.lines.len()).unwrap_or(u16::MAX).saturating_add(1);
        let split = Split::of(room, wants, zoomed, opened);
        self.list.settle(sight, usize::from(split.list.max(1)));
        self.split = Some(split);
    }

    pub fn go(&mut self, movement: Move) {
        let height = self.split.map_or(10, |split| usize::from(split.list));
        self.list.go(movement, height);
    }
}
