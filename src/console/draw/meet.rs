//! First contact: the question whether a server's key is the right one.

use ratatui::layout::{Position, Rect};

use crate::console::overlay::meet::{Asked, COMPARE};
use crate::console::screen::text;
use crate::console::theme::Role;

use super::canvas::{Canvas, Words};
use super::overlays::float;

const WIDEST: u16 = 76;

pub fn draw(asked: &Asked, waiting: usize, canvas: &mut Canvas<'_>, area: Rect) -> Option<Position> {
    let room = area.width.saturating_sub(4).min(WIDEST);
    let meeting = &asked.meeting;
    let ellipsis = canvas.glyphs().ellipsis;
    let mut lines: Vec<Words> = Vec::new();
    let mut said = |words: &str, indent: u16, role: Role| {
        let wrapped = text::wrap(words, room.saturating_sub(indent), 6, ellipsis);
        lines.extend(wrapped.into_iter().map(|line| vec![(" ".repeat(usize::from(indent)), role), (line, role)]));
    };
    // A low screen has the key, and what is to be known before one answers; the rest is one key away.
    let high = area.height >= 17;
    let indent = if room >= 60 { 2 } else { 0 };
    said(&meeting.sentence(), 0, Role::Text);
    if high {
        said("It shows this key:", 0, Role::Text);
        said("", 0, Role::Text);
    }
    said(&meeting.fingerprint, indent, Role::Strong);
    // Between words, a few to a line: they are read aloud over a telephone.
    for words in meeting.words.chunks(if room >= 40 { 4 } else { 3 }) {
        said(&words.iter().map(|word| format!("{word:<10}")).collect::<String>(), indent, Role::Strong);
    }
    if high {
        said("", 0, Role::Text);
    }
    said(COMPARE, 0, Role::Text);
    said("Nothing else is told it before.", 0, Role::Muted);
    let height = u16::try_from(lines.len() + 2).unwrap_or(u16::MAX);
    let inner = float(canvas, area, "is this the right server?", WIDEST, height);
    let rows = usize::from(inner.height.saturating_sub(1));
    let top = asked.top.min(lines.len().saturating_sub(rows));
    for (line, y) in lines.iter().skip(top).take(rows).zip(inner.y..) {
        canvas.words(inner.x, y, inner.width, line);
    }
    let wide = room >= 60;
    let mut keys: Words = vec![
        ("y".into(), Role::Key),
        (if wide { " it is: remember it, connect   " } else { " yes  " }.into(), Role::Hint),
        ("n".into(), Role::Key),
        (if wide { " it is not, or I cannot say" } else { " no" }.into(), Role::Hint),
    ];
    let below = lines.len().saturating_sub(top + rows);
    if below > 0 {
        keys.push((format!("   Down: {below} more"), Role::Muted));
    } else if waiting > 0 {
        keys.push((format!("   {waiting} more"), Role::Muted));
    }
    canvas.words(inner.x, inner.bottom().saturating_sub(1), inner.width, &keys);
    None
}
