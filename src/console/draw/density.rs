//! The timeline's strip: how many events there are over the whole span, and where in it one is.

use std::collections::BTreeSet;

use ratatui::layout::Rect;

use crate::console::screen::text;
use crate::console::state::State;
use crate::console::theme::Role;
use crate::console::timeline::Stretch;
use crate::model::time::{Span, Time};

use super::canvas::Canvas;

/// The whole span with its counts, where one is in it, and the bookmarks; on the line below, where something changed.
pub fn density(state: &State, canvas: &mut Canvas<'_>, area: Rect) {
    let Some((stretch, known)) = state.strip_shown() else { return };
    let last = stretch.until.min(state.present.max(stretch.from));
    let (mut from, mut until) = (moment(state, stretch.from), moment(state, last));
    // What lies so far off that it would press all else together is counted at the strip's ends.
    if stretch.before > 0 {
        from = format!("{} earlier, {from}", thousands(count(stretch.before)));
    }
    if stretch.after > 0 {
        until = format!("{until}, {} later", thousands(count(stretch.after)));
    }
    let (from_wide, until_wide) = (text::width(&from) + 1, text::width(&until) + 1);
    let room = area.width.saturating_sub(from_wide + until_wide);
    if room < 10 {
        return;
    }
    canvas.text(area.x, area.y, from_wide, &from, Role::Muted);
    canvas.right(area.x, area.y, area.width, &until, Role::Muted);
    // A short span has fewer cells than there are columns, or a few more.
    let cell_at = |column: usize| column * known.len() / usize::from(room).max(1);
    let mut cells = Vec::with_capacity(usize::from(room));
    for column in 0..usize::from(room) {
        let (begin, end) = (cell_at(column), cell_at(column + 1).max(cell_at(column) + 1));
        let part = known.get(begin..end.min(known.len())).unwrap_or(&[]);
        let count = part.iter().map(|cell| cell.count).sum();
        let worst = part.iter().filter(|cell| cell.count > 0).map(|cell| cell.worst).max().unwrap_or_default();
        cells.push((count, canvas.style(if count == 0 { Role::StripEmpty } else { Role::of_severity(worst) })));
    }
    // What is later than the time cursor is there, and faint.
    if let Some(first) = state.timeline.ends_at().and_then(|until| column_of(&stretch, room, until)).map(|column| usize::from(column) + 1) {
        let faint = canvas.style(Role::Faint);
        cells.iter_mut().skip(first).filter(|(count, _)| *count > 0).for_each(|(_, style)| *style = faint);
    }
    let most = cells.iter().map(|(count, _)| *count).max().unwrap_or(1);
    let x = area.x + from_wide;
    text::strip(canvas.buffer, x, area.y, &cells, most, &canvas.theme.glyphs);
    let column = |at: Time| column_of(&stretch, room, at);
    for (at, _) in state.panes.timeline.bookmarks.keys() {
        if let Some(column) = column(*at) {
            canvas.text(x + column, area.y, 1, canvas.glyphs().bookmark, Role::Bookmark);
        }
    }
    changes(state, canvas, Rect { y: area.y + 1, height: area.height.saturating_sub(1), ..area }, from_wide, |at| {
        column(at).filter(|_| at >= stretch.from && at <= last)
    });
    // Where one is.
    let here = state.timeline.slot(state.panes.timeline.selected).map(|slot| slot.at);
    for column in here.into_iter().chain(state.timeline.ends_at()).filter_map(column) {
        let style = canvas.style(Role::Cursor);
        if let Some(cell) = canvas.buffer.cell_mut((x + column, area.y)) {
            cell.set_style(style);
        }
    }
}

/// A mark below the strip wherever something changed: a deployment, a commit, a configuration. It begins after `left` columns.
fn changes(state: &State, canvas: &mut Canvas<'_>, area: Rect, left: u16, column: impl Fn(Time) -> Option<u16>) {
    if area.height == 0 {
        return;
    }
    let mut columns: BTreeSet<u16> = BTreeSet::new();
    for (server, seen) in state.sky.servers.iter().enumerate() {
        let shift = Span::from_micros(state.timeline.shift(server));
        columns.extend(seen.world.all_changes().filter_map(|deed| column(deed.at.plus(shift))));
    }
    if !columns.is_empty() {
        canvas.text(area.x, area.y, left.saturating_sub(1), "changes", Role::Muted);
    }
    for column in columns {
        canvas.text(area.x + left + column, area.y, 1, canvas.glyphs().change, Role::HistoryNew);
    }
}

/// The column of a moment, within so many.
fn column_of(stretch: &Stretch, room: u16, at: Time) -> Option<u16> {
    let span = i128::from(stretch.until.since(stretch.from).micros().max(1));
    let most = i128::from(room.saturating_sub(1));
    u16::try_from((i128::from(at.since(stretch.from).micros()) * most / span).clamp(0, most)).ok()
}

/// A time with as much of the date as it needs.
fn moment(state: &State, at: Time) -> String {
    let (here, now) = (at.zoned(&state.zone), state.now.zoned(&state.zone));
    if here.date() == now.date() {
        here.strftime("%H:%M:%S").to_string()
    } else if here.year() == now.year() {
        here.strftime("%-d %b %H:%M").to_string()
    } else {
        here.strftime("%Y-%m-%d").to_string()
    }
}

pub fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// With a comma between thousands.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
