//! What a detail is made of: blocks of lines under a heading each, in two columns where there is room.

use std::borrow::Cow;
use std::sync::Arc;

use ratatui::layout::Rect;

use crate::command::Command;
use crate::console::screen::text;
use crate::console::state::State;
use crate::console::theme::Role;

use super::canvas::{Canvas, Words};

/// A part of a detail: its heading and its lines.
pub(super) struct Block {
    title: Cow<'static, str>,
    lines: Vec<Words>,
    /// Where the links in the first lines lead.
    urls: Vec<Arc<str>>,
}

impl Block {
    pub fn new(title: impl Into<Cow<'static, str>>, lines: Vec<Words>) -> Block {
        Block { title: title.into(), lines, urls: Vec::new() }
    }

    /// Each line with where it leads.
    pub fn of_links(title: impl Into<Cow<'static, str>>, links: impl Iterator<Item = (Words, Arc<str>)>) -> Block {
        let (lines, urls) = links.unzip();
        Block { title: title.into(), lines, urls }
    }

    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }
}

/// Columns from which a detail stands in two of them.
const TWO: u16 = 96;

pub(super) fn two_columns(state: &State, room: u16) -> bool {
    room >= TWO && !state.linear
}

/// Two columns of blocks side by side; where there is room for one, the second below the first.
pub(super) fn draw(state: &State, canvas: &mut Canvas<'_>, area: Rect, mut left: Vec<Block>, right: Vec<Block>) {
    let top = state.panes.detail_top;
    if two_columns(state, area.width) {
        let half = area.width / 2;
        flow(state, canvas, &left, Rect { width: half.saturating_sub(2), ..area }, top);
        flow(state, canvas, &right, Rect { x: area.x + half, width: area.width - half, ..area }, top);
    } else {
        left.extend(right);
        flow(state, canvas, &left, area, top);
    }
}

/// Rows that they take, with their headings and a line of space between.
pub(super) fn height(state: &State, room: u16, left: &[Block], right: &[Block]) -> u16 {
    let rows = |blocks: &[Block]| blocks.iter().map(|block| block.lines.len() + 2).sum::<usize>();
    let rows = if two_columns(state, room) { rows(left).max(rows(right)) } else { rows(left) + rows(right) };
    u16::try_from(rows.saturating_sub(1)).unwrap_or(u16::MAX)
}

/// Which of some lines are shown, and how many follow: that stands behind the last one where it leaves room,
/// else in a row of its own.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shown {
    pub top: usize,
    pub rows: usize,
    more: usize,
}

/// Columns of "100 more, J", and what stands between.
const REST: u16 = 16;

impl Shown {
    /// `wide`: columns of a line.
    pub fn of(lines: usize, area: Rect, top: usize, wide: impl Fn(usize) -> u16) -> Shown {
        let height = usize::from(area.height);
        // The last line stands in the last row.
        let top = top.min(lines.saturating_sub(height));
        let more = lines.saturating_sub(top + height);
        let leaves_room = wide((top + height).saturating_sub(1)).saturating_add(REST) <= area.width;
        if more > 0 && height > 1 && !leaves_room { Shown { top, rows: height - 1, more: more + 1 } } else { Shown { top, rows: height, more } }
    }

    /// How many follow, and how to see them.
    pub fn rest(self, state: &State, canvas: &mut Canvas<'_>, area: Rect) {
        if self.more > 0 && area.height > 1 {
            let words = format!(" {} more, {} ", self.more, state.keys_of(&Command::DetailDown));
            canvas.right(area.x, area.bottom().saturating_sub(1), area.width, &words, Role::Muted);
        }
    }
}

/// Columns of a line.
pub(super) fn wide(line: &[(String, Role)]) -> u16 {
    line.iter().fold(0, |wide: u16, (words, _)| wide.saturating_add(text::width(words)))
}

/// Blocks below each other, with a line of space between when there is room for all of it.
fn flow(state: &State, canvas: &mut Canvas<'_>, blocks: &[Block], area: Rect, top: usize) {
    let tight: usize = blocks.iter().map(|block| block.lines.len() + 1).sum();
    let spaced = tight + blocks.len().saturating_sub(1) <= usize::from(area.height);
    let mut lines: Vec<(&[(String, Role)], &str)> = Vec::new();
    let headings: Vec<Words> = blocks.iter().map(|block| vec![(block.title.to_string(), Role::Heading)]).collect();
    for (place, (block, heading)) in blocks.iter().zip(&headings).enumerate() {
        if place > 0 && spaced {
            lines.push((&[], ""));
        }
        lines.push((heading, ""));
        let urls = block.urls.iter().map(|url| &**url).chain(std::iter::repeat(""));
        lines.extend(block.lines.iter().map(Vec::as_slice).zip(urls));
    }
    let shown = Shown::of(lines.len(), area, top, |line| lines.get(line).map_or(0, |(line, _)| wide(line)));
    for ((line, url), y) in lines.iter().skip(shown.top).take(shown.rows).zip(area.y..area.bottom()) {
        canvas.linked(area.x, y, area.width, line, url);
    }
    shown.rest(state, canvas, area);
}
