//! Today, as prose and short lines.

use ratatui::layout::Rect;

use crate::console::state::State;
use crate::console::theme::Role;

use super::canvas::Canvas;

pub fn draw(state: &State, canvas: &mut Canvas<'_>, area: Rect) {
    let pane = &state.panes.today;
    for ((words, indent), y) in pane.wrapped.iter().skip(pane.top).zip(area.y..area.bottom()) {
        canvas.words(area.x + 2 + indent, y, area.width.saturating_sub(3 + indent), words);
    }
    let more = pane.wrapped.len().saturating_sub(pane.top + usize::from(area.height));
    if more > 0 {
        canvas.right(area.x, area.bottom().saturating_sub(1), area.width.saturating_sub(1), &format!(" {more} more "), Role::Muted);
    }
}
