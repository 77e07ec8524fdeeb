//! Servers: how each is reached, how old what it says is, its agents and sources, and what was not sent yet.

use crate::console::list::{List, Move};
use crate::console::sight::Sight;

use super::Split;

#[derive(Debug, Default)]
pub struct ServersPane {
    pub list: List<usize>,
    pub len: usize,
    pub split: Option<Split>,
}

pub const HEAD: u16 = 2;

impl ServersPane {
    pub fn settle(&mut self, sight: &Sight, height: u16, zoomed: bool, opened: bool) {
        self.len = sight.links.len();
        let wants = u16::try_from(self.len).unwrap_or(u16::MAX).saturating_add(1);
        let split = Split::of(height.saturating_sub(HEAD), wants, zoomed, opened);
        self.list.settle(self.len, Some);
        self.list.fit(self.len, usize::from(split.list.max(1)));
        self.split = Some(split);
    }

    pub fn select(&mut self, row: usize) {
        let len = self.len;
        self.list.select(row, len, |i| (i < len).then_some(i));
    }

    pub fn go(&mut self, movement: Move) {
        let height = self.split.map_or(10, |split| usize::from(split.list));
        let len = self.len;
        self.list.go(movement, len, height, |i| (i < len).then_some(i));
        self.list.fit(len, height);
    }
}
