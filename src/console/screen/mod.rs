//! The drawing core: turns what should be on the screen into the fewest bytes that make it so.
//!
//! ratatui's own terminal keeps its buffers to itself and writes 9.6 KB when a full list scrolls by a row.
//! This one keeps the previous frame, finds out what moved, lets the terminal move it, and writes the rest.
//! Nothing here touches a terminal but [`terminal`]: a frame is bytes, which tests read back with an emulator.
//!
//! [`text`] is the only way for text into a buffer, and [`frame`] refuses control characters once more.

pub mod ask;
mod frame;
pub mod input;
pub mod link;
#[cfg(test)]
mod link_tests;
mod scroll;
pub mod terminal;
#[cfg(test)]
mod tests;
pub mod text;
mod write;

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};

use link::Links;

/// What the terminal can do, as far as frames depend on it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Abilities {
    /// It answered that it knows synchronized updates (mode 2026).
    pub synchronized: bool,
    /// It fills what it erases with the current background.
    pub fills_erased: bool,
    /// It shows ASCII alone; everything else becomes `?`.
    pub ascii: bool,
    /// It makes links of what is marked as one (OSC 8).
    pub links: bool,
}

impl Default for Abilities {
    fn default() -> Abilities {
        Abilities { synchronized: false, fills_erased: true, ascii: false, links: false }
    }
}

impl Abilities {
    /// From the environment, before the terminal has said anything.
    pub fn detect(var: impl Fn(&str) -> Option<String>, ascii: bool) -> Abilities {
        let links = link::by_environment(&var).is_some_and(|known| known.links);
        let term = var("TERM").unwrap_or_default();
        // GNU screen erases with the default background; tmux, which calls itself screen too, does not.
        let plain = ["screen", "vt", "ansi", "dumb"].iter().any(|name| term.starts_with(name)) || var("STY").is_some();
        Abilities { synchronized: false, fills_erased: !plain || var("TMUX").is_some(), ascii, links }
    }
}

/// The screen as the terminal shows it, and the frame that is drawn next.
#[derive(Debug)]
pub struct Screen {
    /// What the terminal shows, when that is known.
    shown: Buffer,
    next: Buffer,
    known: bool,
    cursor_shown: bool,
    pub abilities: Abilities,
    links: link::Shown,
    out: write::Writer,
}

impl Screen {
    pub fn new(width: u16, height: u16, abilities: Abilities) -> Screen {
        let area = Rect::new(0, 0, width, height);
        let (shown, next) = (Buffer::empty(area), Buffer::empty(area));
        Screen { shown, next, known: false, cursor_shown: true, abilities, links: link::Shown::default(), out: write::Writer::default() }
    }

    pub fn area(&self) -> Rect {
        self.next.area
    }

    /// The terminal has another size now: everything is drawn again.
    pub fn resize(&mut self, width: u16, height: u16) {
        let area = Rect::new(0, 0, width, height);
        if area != self.next.area {
            self.shown = Buffer::empty(area);
            self.next = Buffer::empty(area);
            self.known = false;
        }
    }

    /// Something else wrote to the terminal: the next frame draws everything.
    pub fn forget(&mut self) {
        self.known = false;
    }

    /// Draws a frame. `paint` gets an empty buffer and says where the cursor stands, if it is shown.
    /// The bytes are to be written to the terminal at once, as a whole; there are none when nothing changed.
    pub fn draw(&mut self, paint: impl FnOnce(&mut Buffer) -> Option<Position>) -> &[u8] {
        self.draw_linked(|buffer, _| paint(buffer))
    }

    /// The same, of a frame in which there may be links.
    pub fn draw_linked(&mut self, paint: impl FnOnce(&mut Buffer, &mut Links) -> Option<Position>) -> &[u8] {
        self.next.reset();
        let mut links = Links::default();
        let cursor = paint(&mut self.next, &mut links);
        if !self.abilities.links {
            links = Links::default();
        }
        let area = self.shown.area;
        if self.next.area != area {
            // A buffer that was swapped for another is not ours to trust.
            self.next.resize(area);
        }
        frame::normalize(&mut self.next, self.abilities.ascii, &self.links.number(&links));
        self.out.begin(area.width, self.abilities.fills_erased);
        if !self.known {
            self.out.clear_screen(self.abilities.links);
            self.shown.reset();
        }
        for _ in 0..2 {
            if !self.known {
                break;
            }
            let Some(shift) = scroll::find(&self.shown, &self.next) else { break };
            self.out.scroll(&shift);
            scroll::apply(&mut self.shown, &shift);
        }
        frame::diff(&self.shown, &self.next, &self.links, &mut self.out);
        self.out.close_link();
        self.links.keep(&links);
        let cursor = cursor.filter(|at| area.contains(*at));
        self.place_cursor(cursor);
        std::mem::swap(&mut self.shown, &mut self.next);
        self.known = true;
        self.out.finish(self.abilities.synchronized)
    }

    fn place_cursor(&mut self, cursor: Option<Position>) {
        match cursor {
            Some(at) => {
                self.out.move_to(at.x, at.y);
                if !self.cursor_shown {
                    self.out.raw("\x1b[?25h");
                }
            }
            None if self.cursor_shown => self.out.raw("\x1b[?25l"),
            None => {}
        }
        self.cursor_shown = cursor.is_some();
    }

    /// The terminal was left and entered again: colours, cursor and contents are as after entering.
    pub fn reenter(&mut self) {
        self.known = false;
        self.cursor_shown = true;
        self.out = write::Writer::default();
    }

    /// What the terminal shows, for tests and for copying.
    pub fn shown(&self) -> &Buffer {
        &self.shown
    }
}
