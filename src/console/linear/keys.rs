//! What is typed where each key comes to us: shown, taken back, and kept whole whatever is said meanwhile.

use super::Linear;
use super::typing::{Stroke, Typing};
use crate::console::screen::text;

/// To the start of the line, which is empty then.
const CLEAR: &str = "\r\u{1b}[K";

impl Linear {
    /// Each key comes to us, and we show it: what comes meanwhile breaks no line. `clears`: the terminal can clear one.
    pub fn by_key(mut self, clears: bool) -> Linear {
        self.typing = Some(Typing::new(clears));
        self
    }

    /// Severity words have colours: the sixteen that every terminal has.
    pub fn in_colours(mut self, colours: bool) -> Linear {
        self.colours = colours;
        self
    }

    /// Columns of the terminal.
    pub fn wide(&mut self, columns: u16) {
        if let Some(typing) = &mut self.typing {
            typing.wide(columns);
        }
    }

    /// What came from the keyboard or a pipe.
    pub fn feed(&mut self, bytes: &[u8]) {
        match &mut self.typing {
            Some(typing) => typing.feed(bytes),
            None => self.input.feed(bytes),
        }
        self.type_on();
    }

    /// Shows what is typed, up to the end of a line: what it asks for is answered before the next is begun.
    pub(super) fn type_on(&mut self) {
        while !self.input.is_waiting()
            && let Some(stroke) = self.typing.as_mut().and_then(Typing::next)
        {
            match stroke {
                Stroke::Typed(c) => self.out.push(c),
                Stroke::Erased(c) if self.typing.as_ref().is_some_and(|typing| typing.fits(&self.prompt)) => {
                    let wide = usize::from(text::width(c.encode_utf8(&mut [0; 4])));
                    self.out.push_str(&"\u{8} \u{8}".repeat(wide));
                }
                Stroke::Erased(_) | Stroke::Cut => {
                    let clears = self.typing.as_ref().is_some_and(|typing| typing.can_clear(&self.prompt));
                    self.out.push_str(if clears { CLEAR } else { "\n" });
                    self.write_prompt();
                }
                Stroke::Line(line) => {
                    self.out.push('\n');
                    self.prompted = false;
                    self.input.push(line);
                }
                Stroke::End => self.input.end(),
            }
        }
    }

    /// What follows begins a line: below the prompt, or in place of the line that is being typed.
    pub(super) fn clear(&mut self) {
        let prompted = std::mem::take(&mut self.prompted);
        match self.typing.as_ref().filter(|typing| !typing.text().is_empty()) {
            Some(typing) if typing.can_clear(&self.prompt) => self.out.push_str(CLEAR),
            None if !prompted => {}
            Some(_) | None => self.out.push('\n'),
        }
    }

    pub(super) fn write_prompt(&mut self) {
        self.out.push_str(&self.prompt);
        if let Some(typing) = &self.typing {
            self.out.push_str(typing.text());
        }
        self.prompted = !self.prompt.is_empty();
    }
}
