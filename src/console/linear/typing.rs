//! The line that is being typed, where we know it: a terminal that hands over each key. What comes meanwhile
//! then breaks no word apart: the line is cleared and written again below it, or, where nothing can be
//! cleared, what comes waits until the line is sent.

use std::collections::VecDeque;

use crate::console::screen::text;

/// Bytes of a line; what is longer is not taken.
const LONGEST: usize = 16 * 1024;
/// Bytes that wait for the lines before them to be answered.
const MOST: usize = 1 << 20;

/// What a key came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Stroke {
    Typed(char),
    /// The last character went.
    Erased(char),
    /// More than one went: the line is to be written anew.
    Cut,
    Line(String),
    /// Nothing more is typed.
    End,
}

#[derive(Debug)]
pub struct Typing {
    /// The terminal can clear a line.
    clears: bool,
    columns: u16,
    waiting: VecDeque<u8>,
    text: String,
    /// The beginning of a character.
    partial: Vec<u8>,
    escape: Escape,
}

/// Within what a key sends that is no character.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Escape {
    No,
    Begun,
    /// Up to a letter.
    Long,
}

impl Typing {
    pub fn new(clears: bool) -> Typing {
        Typing { clears, columns: 80, waiting: VecDeque::new(), text: String::new(), partial: Vec::new(), escape: Escape::No }
    }

    pub fn wide(&mut self, columns: u16) {
        self.columns = columns;
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// What comes has to wait: the line cannot be cleared, and must not be broken.
    pub fn holds_back(&self) -> bool {
        !self.clears && !self.text.is_empty()
    }

    /// Whether the line behind its prompt can be cleared: it stands in one row of the screen.
    pub fn can_clear(&self, prompt: &str) -> bool {
        self.clears && self.fits(prompt)
    }

    pub fn fits(&self, prompt: &str) -> bool {
        text::width(prompt).saturating_add(text::width(&self.text)) < self.columns
    }

    pub fn feed(&mut self, bytes: &[u8]) {
        self.waiting.extend(bytes.iter().take(MOST.saturating_sub(self.waiting.len())));
    }

    /// What the next key came to; nothing: no key waits.
    pub fn next(&mut self) -> Option<Stroke> {
        loop {
            let byte = self.waiting.pop_front()?;
            if let Some(stroke) = self.take(byte) {
                return Some(stroke);
            }
        }
    }

    fn take(&mut self, byte: u8) -> Option<Stroke> {
        match (self.escape, byte) {
            (Escape::No, 0x1b) => self.escape = Escape::Begun,
            (Escape::Begun, b'[' | b'O') => self.escape = Escape::Long,
            (Escape::Begun, _) => self.escape = Escape::No,
            (Escape::Long, 0x40..=0x7e) => self.escape = Escape::No,
            (Escape::Long, b'\n' | b'\r') => {
                self.escape = Escape::No;
                return self.take(byte);
            }
            (Escape::Long, _) => {}
            (Escape::No, b'\n' | b'\r') => return Some(Stroke::Line(std::mem::take(&mut self.text))),
            (Escape::No, 0x04) if self.text.is_empty() => return Some(Stroke::End),
            (Escape::No, 0x08 | 0x7f) => return self.text.pop().map(Stroke::Erased),
            (Escape::No, 0x15) => return self.cut(0),
            (Escape::No, 0x17) => {
                let words = self.text.trim_end();
                return self.cut(words.rfind(' ').map_or(0, |at| at + 1));
            }
            (Escape::No, b'\t') => return self.typed(' '),
            (Escape::No, 0..0x20) => {}
            (Escape::No, _) => return self.part(byte),
        }
        None
    }

    fn cut(&mut self, to: usize) -> Option<Stroke> {
        let was = self.text.len();
        self.text.truncate(to);
        (self.text.len() != was).then_some(Stroke::Cut)
    }

    fn part(&mut self, byte: u8) -> Option<Stroke> {
        self.partial.push(byte);
        match std::str::from_utf8(&self.partial) {
            Ok(whole) => {
                let typed = whole.chars().next();
                self.partial.clear();
                typed.and_then(|c| self.typed(c))
            }
            Err(error) => {
                // What is no character at all is dropped.
                if error.error_len().is_some() {
                    self.partial.clear();
                }
                None
            }
        }
    }

    fn typed(&mut self, c: char) -> Option<Stroke> {
        if c.is_control() || self.text.len() >= LONGEST {
            return None;
        }
        self.text.push(c);
        Some(Stroke::Typed(c))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn strokes(bytes: &[u8]) -> Vec<Stroke> {
        let mut typing = Typing::new(true);
        typing.feed(bytes);
        std::iter::from_fn(|| typing.next()).collect()
    }

    fn lines(bytes: &[u8]) -> Vec<String> {
        let line = |stroke| match stroke {
            Stroke::Line(line) => Some(line),
            _ => None,
        };
        strokes(bytes).into_iter().filter_map(line).collect()
    }

    #[test]
    fn a_line_is_edited_as_terminals_do_it() {
        assert_eq!(lines(b"noww\x7f\nack it\x17that\n\x15x\x15y\r"), ["now", "ack that", "y"]);
        assert_eq!(lines("gr\u{fc}\u{df}e\u{7f}\n".as_bytes()), ["gr\u{fc}\u{df}"]);
        assert_eq!(lines(b"a\x1b[A\x1b[1;5Cb\x1bOPc\x1bxd\n"), ["abcd"], "arrows and other keys are no words");
        assert_eq!(lines(b"a\xff\xfe\x00\x01b\tc\n"), ["ab c"]);
        assert_eq!(strokes(b"x\x04\x7f\x04"), [Stroke::Typed('x'), Stroke::Erased('x'), Stroke::End]);
    }

    #[test]
    fn where_nothing_can_be_cleared_news_wait_while_one_types() {
        let mut dumb = Typing::new(false);
        assert!(!dumb.holds_back());
        dumb.feed(b"ac");
        while dumb.next().is_some() {}
        assert!(dumb.holds_back() && !dumb.can_clear("now> "));
        let mut plain = Typing::new(true);
        plain.feed(&[b'x'; 70]);
        while plain.next().is_some() {}
        assert!(!plain.holds_back() && plain.can_clear("now> ") && !plain.can_clear("alerts filtered> "));
    }

    proptest! {
        #[test]
        fn whatever_comes_no_control_character_gets_into_a_line(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            for line in lines(&bytes) {
                prop_assert!(line.chars().all(|c| !c.is_control()));
            }
        }
    }
}
