//! From bytes to lines, as a terminal in its ordinary mode or a pipe gives them.

use std::collections::VecDeque;

/// Bytes of a line; what is longer is cut.
const LONGEST: usize = 16 * 1024;
/// Lines that wait at most; a pipe that is faster loses none, since it is read no faster than this allows.
const MOST: usize = 10_000;

#[derive(Debug, Default)]
pub struct Input {
    partial: Vec<u8>,
    lines: VecDeque<String>,
    ended: bool,
}

impl Input {
    pub fn feed(&mut self, bytes: &[u8]) {
        for byte in bytes {
            match byte {
                b'\n' => self.line(),
                _ if self.partial.len() < LONGEST => self.partial.push(*byte),
                _ => {}
            }
        }
    }

    pub fn end(&mut self) {
        if !self.partial.is_empty() {
            self.line();
        }
        self.ended = true;
    }

    fn line(&mut self) {
        let bytes = std::mem::take(&mut self.partial);
        if self.lines.len() < MOST {
            let text = String::from_utf8_lossy(&bytes);
            // Keys that a dumb terminal has no meaning for are no part of a word.
            self.lines.push_back(text.chars().filter(|c| !c.is_control() || *c == '\t').collect());
        }
    }

    /// A whole line.
    pub fn push(&mut self, line: String) {
        if self.lines.len() < MOST {
            self.lines.push_back(line);
        }
    }

    pub fn is_waiting(&self) -> bool {
        !self.lines.is_empty()
    }

    pub fn next(&mut self) -> Option<String> {
        self.lines.pop_front()
    }

    pub fn is_over(&self) -> bool {
        self.ended && self.lines.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_put_together_from_any_pieces_and_bounded() {
        let mut input = Input::default();
        for piece in ["no", "w\r\n1\n\n", "\u{1b}[Aack on", " it"] {
            input.feed(piece.as_bytes());
        }
        input.feed(&vec![b'x'; 1 << 20]);
        assert_eq!([input.next(), input.next(), input.next(), input.next()], [Some("now".into()), Some("1".into()), Some(String::new()), None]);
        assert!(!input.is_over());
        input.end();
        let last = input.next().unwrap();
        assert!(last.starts_with("[Aack on itxxx") && last.len() <= LONGEST);
        assert!(input.is_over());
    }
}
