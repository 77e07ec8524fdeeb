//! A buffer with a theme: everything is drawn by what it is (a [`Role`]), never by a colour.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::console::screen::link::Links;
use crate::console::screen::text::{self, Piece};
use crate::console::theme::{Glyphs, Role, Theme};
use crate::model::severity::Severity;
use crate::model::view::alerts::AlertRow;

use super::{Spot, Spots};

pub struct Canvas<'a> {
    pub buffer: &'a mut Buffer,
    pub theme: &'a Theme,
    links: &'a mut Links,
    spots: &'a mut Spots,
}

/// A line in pieces: text and what it is.
pub type Words = Vec<(String, Role)>;

impl<'a> Canvas<'a> {
    pub fn new(buffer: &'a mut Buffer, theme: &'a Theme, links: &'a mut Links, spots: &'a mut Spots) -> Canvas<'a> {
        Canvas { buffer, theme, links, spots }
    }

    /// What a click or the wheel means here.
    pub fn spot(&mut self, area: Rect, spot: Spot) {
        self.spots.push((area, spot));
    }

    pub fn glyphs(&self) -> &'a Glyphs {
        &self.theme.glyphs
    }

    pub fn style(&self, role: Role) -> Style {
        self.theme.style(role)
    }

    pub fn paint(&mut self, area: Rect, role: Role) {
        text::paint(self.buffer, area, self.theme.style(role));
    }

    pub fn text(&mut self, x: u16, y: u16, room: u16, words: &str, role: Role) -> u16 {
        text::put(self.buffer, x, y, room, words, self.theme.style(role), &self.theme.glyphs)
    }

    pub fn styled(&mut self, x: u16, y: u16, room: u16, words: &str, style: Style) -> u16 {
        text::put(self.buffer, x, y, room, words, style, &self.theme.glyphs)
    }

    pub fn right(&mut self, x: u16, y: u16, room: u16, words: &str, role: Role) -> u16 {
        text::put_right(self.buffer, x, y, room, words, self.theme.style(role), &self.theme.glyphs)
    }

    pub fn words(&mut self, x: u16, y: u16, room: u16, words: &[(String, Role)]) -> u16 {
        let pieces: Vec<Piece<'_>> = words.iter().map(|(text, role)| Piece::new(text.as_str(), self.theme.style(*role))).collect();
        text::put_pieces(self.buffer, x, y, room, &pieces, &self.theme.glyphs)
    }

    /// Words of which those that are a link lead there, where the terminal can do that. Who wants no colours
    /// gets no links either: many terminals underline or dot them.
    pub fn linked(&mut self, x: u16, y: u16, room: u16, words: &[(String, Role)], url: &str) -> u16 {
        let plain = self.theme.style(Role::Link);
        let link = plain.fg.and_then(|_| self.links.to(url)).map_or(plain, |link| plain.add_modifier(link));
        let style = |role: Role| if role == Role::Link { link } else { self.theme.style(role) };
        let pieces: Vec<Piece<'_>> = words.iter().map(|(text, role)| Piece::new(text.as_str(), style(*role))).collect();
        text::put_pieces(self.buffer, x, y, room, &pieces, &self.theme.glyphs)
    }

    /// A heading, and a thin rule behind it to the end of its room.
    pub fn heading(&mut self, x: u16, y: u16, room: u16, words: &[(String, Role)]) {
        let used = self.words(x, y, room, words);
        if used + 3 < room {
            text::rule(self.buffer, x + used + 1, y, room - used - 2, self.theme.style(Role::Rule), &self.theme.glyphs);
        }
    }

    /// The gutter of a row: where one is, and what is marked.
    pub fn gutter(&mut self, y: u16, x: u16, selected: bool, marked: bool) {
        if selected {
            self.text(x, y, 1, self.theme.glyphs.selected, Role::SelectionMark);
        }
        if marked {
            self.text(x + 1, y, 1, self.theme.glyphs.marked, Role::Marked);
        }
    }

    /// The gutter of a row that is new. In the role of what stands beside it: so it costs one byte.
    pub fn new_row(&mut self, y: u16, x: u16, role: Role) {
        self.text(x + 1, y, 1, self.theme.glyphs.new, role);
    }
}

pub const fn glyph(glyphs: &Glyphs, severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => glyphs.critical,
        Severity::Error => glyphs.error,
        Severity::Warning => glyphs.warning,
        Severity::Unknown => glyphs.unknown,
        Severity::Info => glyphs.info,
        Severity::Debug => glyphs.debug,
    }
}

/// The role of what history says.
pub const fn history_role(row: &AlertRow) -> Role {
    use crate::model::history::Verdict;
    match row.history.verdict {
        Verdict::New => Role::HistoryNew,
        Verdict::Rare => Role::HistoryRare,
        Verdict::Recurring | Verdict::Chronic | Verdict::Flapping => Role::HistoryUsual,
    }
}

/// The place of a scrolled window: "12 of 340".
pub fn place(selected: usize, len: usize) -> String {
    if len == 0 { String::new() } else { format!("{} of {len}", selected + 1) }
}
