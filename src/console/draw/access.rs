//! Who may see a system, and why: floats above the pane.

use ratatui::layout::{Position, Rect};

use crate::console::screen::text;
use crate::console::state::State;
use crate::console::theme::Role;
use crate::model::id::SystemRef;
use crate::model::view::access::{Access, Way};
use crate::model::view::holding::Ending;

use super::canvas::{Canvas, Words};
use super::overlays::page;

const WIDEST: u16 = 110;

/// The colour of an end: none until it is near.
pub const fn role_of(ending: Ending) -> Role {
    match ending {
        Ending::Never | Ending::Later => Role::Text,
        Ending::Soon => Role::SeverityWarning,
        Ending::Last | Ending::Over => Role::SeverityError,
    }
}

pub fn draw(state: &State, system: &SystemRef, top: usize, canvas: &mut Canvas<'_>, area: Rect) -> Option<Position> {
    let room = area.width.saturating_sub(4).min(WIDEST);
    let (title, lines) = match state.access(system) {
        Some(access) => (format!("who may see {}, and why", access.system), lines(&access, room, canvas)),
        None => (format!("who may see {}", system.id), vec![vec![("nothing is known of its server yet".to_owned(), Role::Muted)]]),
    };
    page(canvas, area, &title, WIDEST, &lines, top);
    None
}

fn lines(access: &Access, room: u16, canvas: &Canvas<'_>) -> Vec<Words> {
    let mut out: Vec<Words> = Vec::new();
    let said = |out: &mut Vec<Words>, words: &str, indent: u16, role: Role| {
        let wrapped = text::wrap(words, room.saturating_sub(indent), 6, canvas.glyphs().ellipsis);
        out.extend(wrapped.into_iter().map(|line| vec![(" ".repeat(usize::from(indent)), role), (line, role)]));
    };
    if let Some(own) = &access.own {
        out.push(vec![("you: ".to_owned(), Role::Muted), (own.who.clone(), Role::Strong), (format!("  {}", own.ends), role_of(own.ending))]);
        said(&mut out, &format!("{}; {}", own.may, own.by), INDENT, Role::Muted);
        out.push(Vec::new());
    }
    let heading = match (access.ways.is_empty(), access.is_all) {
        (false, true) => Some("by these grants"),
        (false, false) => Some("by the grants that you are told of"),
        (true, true) => Some("no grant names it"),
        (true, false) => None,
    };
    out.extend(heading.map(|heading| vec![(heading.to_owned(), Role::Heading)]));
    for way in &access.ways {
        out.push(who(way, canvas));
        said(&mut out, &way.why(), INDENT, Role::Muted);
    }
    if heading.is_some() {
        out.push(Vec::new());
    }
    for sentence in &access.standing {
        said(&mut out, sentence, 0, Role::Text);
    }
    out
}

const INDENT: u16 = 4;

fn who(way: &Way, canvas: &Canvas<'_>) -> Words {
    let given = &way.given;
    let glyphs = canvas.glyphs();
    let sign = given.ending.severity().map_or_else(String::new, |severity| format!("{} ", glyphs.unwell(severity)));
    vec![
        (format!("{:<14} ", text::cut(&given.name, 14, glyphs.ellipsis)), Role::Strong),
        (format!("{:<13} ", text::cut(&given.role, 13, glyphs.ellipsis)), Role::Text),
        (format!("{:<8} ", if way.outline.is_some() { "outline" } else { given.who.word() }), Role::Muted),
        (format!("{:<17} ", format!("{sign}{}", given.ends)), role_of(given.ending)),
        (given.does.clone(), Role::Text),
    ]
}
