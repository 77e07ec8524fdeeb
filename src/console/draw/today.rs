//! Today, as prose in columns: the part of the day, what it is, when, and the words.

use ratatui::layout::Rect;

use crate::console::screen::text;
use crate::console::state::State;
use crate::console::theme::{Glyphs, Role};
use crate::model::severity::Severity;
use crate::model::view::today::SentenceKind;

use super::Spot;
use super::canvas::{Canvas, glyph};

pub fn draw(state: &State, canvas: &mut Canvas<'_>, area: Rect) {
    let pane = &state.panes.today;
    let (x, at) = (area.x + 2, pane.columns);
    let room = area.width.saturating_sub(3);
    let more = pane.lines.len().saturating_sub(pane.top + usize::from(area.height));
    let words = if more > 0 { format!(" {more} more {} ", if more == 1 { "line" } else { "lines" }) } else { String::new() };
    let kept = text::width(&words);
    for (line, y) in pane.lines.iter().skip(pane.top).zip(area.y..area.bottom()) {
        let selected = line.sentence.is_some_and(|sentence| sentence == pane.selected);
        if let Some(sentence) = line.sentence {
            canvas.spot(Rect { y, height: 1, ..area }, Spot::Row(sentence));
        }
        if selected {
            canvas.gutter(y, area.x, true, false);
        }
        if let Some(head) = &line.head {
            canvas.text(x, y, at.glyph.saturating_sub(1), &head.label, Role::Heading);
            let (sign, role) = sign(head.kind, head.severity, canvas.glyphs());
            canvas.text(x + at.glyph, y, 1, sign, role);
            canvas.text(x + at.when, y, at.words.saturating_sub(at.when), &head.when, Role::Muted);
        }
        let last = y + 1 == area.bottom();
        let taken = if last { kept } else { 0 };
        canvas.words(x + line.indent, y, room.saturating_sub(line.indent + taken), &line.words);
    }
    if more > 0 {
        canvas.right(area.x, area.bottom().saturating_sub(1), area.width.saturating_sub(1), &words, Role::Muted);
    }
}

const fn sign(kind: SentenceKind, severity: Severity, glyphs: &Glyphs) -> (&'static str, Role) {
    match kind {
        SentenceKind::StillOpen | SentenceKind::Said => (glyph(glyphs, severity), Role::of_severity(severity)),
        SentenceKind::Over => (glyphs.good, Role::Fine),
        SentenceKind::Odd => (glyphs.unknown, Role::SeverityUnknown),
        SentenceKind::Changed => (glyphs.arrow, Role::Strong),
        SentenceKind::Did => (glyphs.dot, Role::Actor),
        SentenceKind::Usual | SentenceKind::Summary => (glyphs.dot, Role::Faint),
    }
}
