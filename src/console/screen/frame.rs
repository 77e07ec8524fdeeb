//! From one frame to the next: cells are put into one spelling, then compared.

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier};
use unicode_width::UnicodeWidthChar;

use super::link;
use super::write::Writer;
use crate::console::theme::has_visible_blank;

/// The modifiers that are drawn. Nothing blinks.
const DRAWN: Modifier =
    Modifier::BOLD.union(Modifier::DIM).union(Modifier::ITALIC).union(Modifier::UNDERLINED).union(Modifier::REVERSED).union(Modifier::CROSSED_OUT);

/// A symbol longer than this is no character that anybody reads.
const LONGEST: usize = 32;

/// Blank cells that erase to the end of a line save bytes from this many on.
const ERASE_TAIL: usize = 4;
/// Blank cells within a line that are worth erasing instead of writing.
const ERASE_WITHIN: usize = 12;
/// Cells that are the same and may be written again, when moving over them costs more.
const REWRITE: usize = 8;

/// How many columns a terminal gives a symbol: each character by itself, as terminals without a notion of
/// clusters do.
pub(super) fn width(symbol: &str) -> usize {
    symbol.chars().map(|c| c.width().unwrap_or(0)).sum()
}

/// One spelling for each look, so that cells that look alike are alike: the second half of a wide character
/// is the empty symbol, blanks carry no invisible attributes. And the wall: no symbol holds a control
/// character, or is wider than its place, whoever put it there.
///
/// `links` has for each number of a link in this frame the screen's own.
pub(super) fn normalize(buffer: &mut Buffer, ascii: bool, links: &[u8; link::NUMBERS]) {
    let columns = usize::from(buffer.area.width).max(1);
    for row in buffer.content.chunks_mut(columns) {
        let mut at = 0;
        while let Some(cell) = row.get_mut(at) {
            let linked = links.get(usize::from(link::of(cell.modifier))).copied().unwrap_or(0);
            cell.modifier = cell.modifier.intersection(DRAWN) | link::modifier(linked);
            if cell.modifier.contains(Modifier::BOLD) {
                // Some terminals have one strength for a character: bold or dim, the last one said.
                cell.modifier -= Modifier::DIM;
            }
            let symbol = cell.symbol();
            let mut cells = 1;
            match symbol.as_bytes() {
                [b' '] => {}
                [0x21..=0x7e] => {
                    at += 1;
                    continue;
                }
                _ => {
                    let wide = width(symbol);
                    let fits = wide > 0 && wide <= 2 && at + wide <= columns && symbol.len() <= LONGEST && !symbol.chars().any(char::is_control);
                    if !fits {
                        let shown = if symbol.chars().any(char::is_control) && !ascii { "\u{fffd}" } else { " " };
                        cell.set_symbol(shown);
                    } else if ascii && !symbol.is_ascii() {
                        cell.set_symbol("?");
                    } else {
                        cells = wide;
                    }
                }
            }
            if cell.symbol() == " " && !has_visible_blank(cell.modifier) {
                cell.fg = Color::Reset;
                cell.modifier = link::modifier(linked);
            }
            if cells == 2 {
                let head = cell.clone();
                if let Some(tail) = row.get_mut(at + 1) {
                    *tail = head;
                    tail.set_symbol("");
                }
            }
            at += cells;
        }
    }
}

/// Whether two cells look the same.
pub(super) fn same(a: &Cell, b: &Cell) -> bool {
    a.fg == b.fg && a.bg == b.bg && a.modifier == b.modifier && a.symbol() == b.symbol()
}

/// A blank that erasing makes.
fn is_erased(cell: &Cell) -> bool {
    cell.symbol() == " " && !has_visible_blank(cell.modifier) && link::of(cell.modifier) == 0
}

/// Writes what turns `shown` into `next`.
pub(super) fn diff(shown: &Buffer, next: &Buffer, links: &link::Shown, out: &mut Writer) {
    let columns = usize::from(next.area.width).max(1);
    for (y, (old, new)) in shown.content.chunks(columns).zip(next.content.chunks(columns)).enumerate() {
        if let Ok(y) = u16::try_from(y) {
            diff_row(old, new, y, links, out);
        }
    }
}

fn diff_row(old: &[Cell], new: &[Cell], y: u16, links: &link::Shown, out: &mut Writer) {
    let differs = |at: usize| match (old.get(at), new.get(at)) {
        (Some(a), Some(b)) => !same(a, b),
        _ => false,
    };
    let Some(first) = (0..new.len()).find(|at| differs(*at)) else { return };
    let last = (first..new.len()).rev().find(|at| differs(*at)).unwrap_or(first);
    // From here to the end of the line all is blank in one background.
    let ground = new.last().map(|cell| cell.bg).unwrap_or_default();
    let blank_from = new.len() - new.iter().rev().take_while(|cell| is_erased(cell) && cell.bg == ground).count();
    let mut at = first;
    while at <= last {
        let Some(cell) = new.get(at) else { return };
        if !differs(at) {
            at += 1;
            continue;
        }
        let Ok(x) = u16::try_from(at) else { return };
        if at >= blank_from && out.can_erase(ground) && last + 1 - at >= ERASE_TAIL {
            out.move_to(x, y);
            out.erase_tail(ground);
            return;
        }
        if is_erased(cell) && out.can_erase(cell.bg) {
            let run = new.iter().skip(at).take(last + 1 - at).take_while(|next| is_erased(next) && next.bg == cell.bg).count();
            if run >= ERASE_WITHIN
                && let Ok(cells) = u16::try_from(run)
            {
                out.move_to(x, y);
                out.erase(cells, cell.bg);
                at += run;
                continue;
            }
        }
        bridge(new, at, y, links, out);
        out.move_to(x, y);
        let wide = if new.get(at + 1).is_some_and(|next| next.symbol().is_empty()) { 2 } else { 1 };
        out.cell(cell, wide, links);
        at += usize::from(wide);
    }
}

/// Writes the few unchanged cells between the cursor and the next change again, when that is shorter than
/// moving past them.
fn bridge(new: &[Cell], to: usize, y: u16, links: &link::Shown, out: &mut Writer) {
    let Some(from) = out.column_on(y).map(usize::from) else { return };
    if from >= to || to - from > REWRITE {
        return;
    }
    let gap = || new.iter().skip(from).take(to - from);
    // Moving costs three bytes for one column, four or five for more.
    let moving = if to - from == 1 { 3 } else { 4 };
    if to - from < moving && gap().all(|cell| cell.symbol().len() == 1 && out.wears(cell)) {
        for cell in gap() {
            out.cell(cell, 1, links);
        }
    }
}
