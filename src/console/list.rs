//! A selection that sticks to its row, whatever arrives above or below it.
//!
//! Rows have keys. When they change, the selected key is looked up again; when it is gone, the selection
//! stays at its place. Marks are keys too. The offset follows the selection only as far as it must, so
//! that a list scrolls line by line and the screen can scroll with it.

use std::collections::BTreeSet;

#[derive(Clone, PartialEq, Debug)]
pub struct List<K> {
    selected: usize,
    key: Option<K>,
    top: usize,
    /// Somebody chose the selection.
    chosen: bool,
    /// What was selected when the console was left, until its row has come.
    wanted: Option<K>,
    pub marks: BTreeSet<K>,
    /// Where a range began.
    pub anchor: Option<K>,
}

impl<K> Default for List<K> {
    fn default() -> List<K> {
        List { selected: 0, key: None, top: 0, chosen: false, wanted: None, marks: BTreeSet::new(), anchor: None }
    }
}

/// A movement within a list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Move {
    Down,
    Up,
    HalfDown,
    HalfUp,
    PageDown,
    PageUp,
    First,
    Last,
}

impl<K: Clone + Ord> List<K> {
    pub fn selected(&self) -> usize {
        self.selected
    }

    pub fn key(&self) -> Option<&K> {
        self.key.as_ref()
    }

    /// The selection, if somebody chose it.
    pub fn chosen_key(&self) -> Option<&K> {
        self.wanted.as_ref().or(self.key.as_ref().filter(|_| self.chosen))
    }

    /// Selects this row as soon as it is there, unless another is chosen before; nothing: no longer.
    pub fn want(&mut self, key: Option<K>) {
        self.wanted = key;
    }

    /// Whether the row that was selected when the console was left has not come.
    pub fn is_wanting(&self) -> bool {
        self.wanted.is_some()
    }

    pub fn top(&self) -> usize {
        self.top
    }

    /// Back to the first row, if nobody has chosen another: for the first moments, in which rows still
    /// come in from servers that have just been reached.
    pub fn begin(&mut self) {
        if !self.chosen {
            (self.selected, self.top, self.key) = (0, 0, None);
        }
    }

    /// The rows have changed: find the selection again. `keys(i)` is the key of row `i`.
    pub fn settle(&mut self, len: usize, keys: impl Fn(usize) -> Option<K>) {
        if len == 0 {
            self.selected = 0;
            self.top = 0;
            return;
        }
        if let Some(found) = self.wanted.as_ref().and_then(|wanted| (0..len).find(|i| keys(*i).as_ref() == Some(wanted))) {
            (self.selected, self.key, self.chosen) = (found, self.wanted.take(), true);
        }
        let here = keys(self.selected);
        if self.key.is_none() || here != self.key {
            let found = self.key.as_ref().and_then(|key| (0..len).find(|i| keys(*i).as_ref() == Some(key)));
            if let Some(found) = found {
                // The row moved: what was above it keeps its distance on the screen.
                let before = self.selected.saturating_sub(self.top);
                self.selected = found;
                self.top = found.saturating_sub(before);
            }
        }
        self.selected = self.selected.min(len - 1);
        self.key = keys(self.selected);
    }

    /// Makes the selection visible in `height` rows.
    pub fn fit(&mut self, len: usize, height: usize) {
        let height = height.max(1);
        self.top = self.top.min(len.saturating_sub(height));
        if self.selected < self.top {
            self.top = self.selected;
        } else if self.selected >= self.top + height {
            self.top = self.selected + 1 - height;
        }
    }

    pub fn go(&mut self, movement: Move, len: usize, height: usize, keys: impl Fn(usize) -> Option<K>) {
        let page = height.max(2) - 1;
        let half = (height / 2).max(1);
        let to = match movement {
            Move::Down => self.selected.saturating_add(1),
            Move::Up => self.selected.saturating_sub(1),
            Move::HalfDown => self.selected.saturating_add(half),
            Move::HalfUp => self.selected.saturating_sub(half),
            Move::PageDown => self.selected.saturating_add(page),
            Move::PageUp => self.selected.saturating_sub(page),
            Move::First => 0,
            Move::Last => usize::MAX,
        };
        self.select(to, len, keys);
    }

    pub fn select(&mut self, row: usize, len: usize, keys: impl Fn(usize) -> Option<K>) {
        self.selected = row.min(len.saturating_sub(1));
        self.key = keys(self.selected);
        (self.chosen, self.wanted) = (true, None);
    }

    /// Marks the selected row, or takes its mark away.
    pub fn toggle_mark(&mut self) {
        if let Some(key) = self.key.clone()
            && !self.marks.remove(&key)
        {
            self.marks.insert(key);
        }
    }

    /// Begins a range at the selection, or marks all from where one began up to the selection.
    pub fn range(&mut self, len: usize, keys: impl Fn(usize) -> Option<K>) {
        let Some(anchor) = self.anchor.take() else {
            self.anchor = self.key.clone();
            return;
        };
        let begin = (0..len).find(|i| keys(*i).as_ref() == Some(&anchor)).unwrap_or(self.selected);
        let (from, to) = (begin.min(self.selected), begin.max(self.selected));
        self.marks.extend((from..=to).filter_map(keys));
    }

    /// What a verb is about: the marked rows that are still there, else the selected one.
    pub fn targets(&self, len: usize, keys: impl Fn(usize) -> Option<K>) -> Vec<K> {
        if self.marks.is_empty() {
            return self.key.iter().cloned().collect();
        }
        (0..len).filter_map(keys).filter(|key| self.marks.contains(key)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn keys(rows: &[u32]) -> impl Fn(usize) -> Option<u32> + '_ {
        |i| rows.get(i).copied()
    }

    #[test]
    fn the_selection_sticks_to_its_row_when_others_arrive_above() {
        let mut list = List::default();
        list.settle(3, keys(&[10, 20, 30]));
        list.go(Move::Down, 3, 10, keys(&[10, 20, 30]));
        list.settle(5, keys(&[1, 2, 10, 20, 30]));
        assert_eq!((list.selected(), list.key()), (3, Some(&20)));
        list.settle(4, keys(&[1, 2, 10, 30]));
        assert_eq!(list.key(), Some(&30), "its row is gone: the place stays");
    }

    #[test]
    fn a_selection_that_nobody_chose_begins_at_the_top() {
        let mut list = List::default();
        list.settle(1, keys(&[30]));
        list.begin();
        list.settle(3, keys(&[10, 20, 30]));
        assert_eq!(list.key(), Some(&10));
        list.go(Move::Down, 3, 10, keys(&[10, 20, 30]));
        list.begin();
        list.settle(4, keys(&[1, 10, 20, 30]));
        assert_eq!(list.key(), Some(&20), "chosen: it stays");
    }

    #[test]
    fn what_was_selected_is_so_again_once_its_row_has_come() {
        let mut list = List::default();
        list.want(Some(30));
        list.settle(1, keys(&[10]));
        assert_eq!((list.key(), list.chosen_key()), (Some(&10), Some(&30)));
        list.settle(3, keys(&[10, 20, 30]));
        list.begin();
        assert_eq!((list.key(), list.selected()), (Some(&30), 2));
        // Whoever has chosen meanwhile is not taken elsewhere.
        let mut list = List::default();
        list.want(Some(30));
        list.settle(2, keys(&[10, 20]));
        list.go(Move::Down, 2, 10, keys(&[10, 20]));
        list.settle(3, keys(&[10, 20, 30]));
        assert_eq!(list.key(), Some(&20));
    }

    proptest! {
        #[test]
        fn the_selected_row_is_always_visible(moves in prop::collection::vec(0..8_u8, 0..60), len in 0..200_usize, height in 0..50_usize) {
            let rows: Vec<u32> = (0..u32::try_from(len).unwrap()).collect();
            let mut list = List::default();
            list.settle(len, keys(&rows));
            for m in moves {
                let all = [Move::Down, Move::Up, Move::HalfDown, Move::HalfUp, Move::PageDown, Move::PageUp, Move::First, Move::Last];
                list.go(all[usize::from(m)], len, height, keys(&rows));
                list.fit(len, height);
                prop_assert!(list.selected() >= list.top() && list.selected() < list.top() + height.max(1));
                prop_assert!(len == 0 || list.selected() < len);
            }
        }
    }
}
