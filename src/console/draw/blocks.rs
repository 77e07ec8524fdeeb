//! What a detail is made of: blocks of lines under a heading each, in two columns where there is room.

use std::borrow::Cow;
use std::sync::Arc;

use ratatui::layout::Rect;

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
        flow(canvas, &left, Rect { width: half.saturating_sub(2), ..area }, top);
        flow(canvas, &right, Rect { x: area.x + half, width: area.width - half, ..area }, top);
    } else {
        left.extend(right);
        flow(canvas, &left, area, top);
    }
}

/// Blocks below each other, with a line of space between when there is room for all of it.
fn flow(canvas: &mut Canvas<'_>, blocks: &[Block], area: Rect, top: usize) {
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
    let top = top.min(lines.len().saturating_sub(usize::from(area.height)));
    let more = lines.len().saturating_sub(top + usize::from(area.height));
    for ((line, url), y) in lines.iter().skip(top).zip(area.y..area.bottom()) {
        canvas.linked(area.x, y, area.width, line, url);
    }
    if more > 0 && area.height > 1 {
        let words = format!(" {more} more, J ");
        canvas.right(area.x, area.bottom() - 1, area.width, &words, Role::Muted);
    }
}
