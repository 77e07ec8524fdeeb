//! One line of text that a person types.

use unicode_segmentation::UnicodeSegmentation;

/// The text, and the cursor as a byte offset at a grapheme's start.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Input {
    text: String,
    cursor: usize,
}

/// Bytes that one line takes.
const MOST: usize = 16 * 1024;

impl Input {
    pub fn new(text: &str) -> Input {
        Input { cursor: text.len(), text: text.to_owned() }
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    pub fn cursor(&self) -> usize {
        self.cursor
    }

    pub fn before(&self) -> &str {
        self.text.get(..self.cursor).unwrap_or(&self.text)
    }

    pub fn after(&self) -> &str {
        self.text.get(self.cursor..).unwrap_or("")
    }

    /// Typed or pasted: line breaks become spaces, other control characters go.
    pub fn insert(&mut self, text: &str) {
        let clean: String = text.chars().map(|c| if c == '\n' || c == '\t' { ' ' } else { c }).filter(|c| !c.is_control()).collect();
        if self.text.len() + clean.len() <= MOST && self.text.is_char_boundary(self.cursor) {
            self.text.insert_str(self.cursor, &clean);
            self.cursor += clean.len();
        }
    }

    pub fn left(&mut self) {
        self.cursor = self.before().grapheme_indices(true).next_back().map_or(0, |(at, _)| at);
    }

    pub fn right(&mut self) {
        self.cursor += self.after().graphemes(true).next().map_or(0, str::len);
    }

    pub fn word_left(&mut self) {
        // A word ends where a filter's field or a path does: `severity:warning` is two.
        let rest = self.before().trim_end_matches(|c: char| !is_word(c));
        self.cursor = rest.trim_end_matches(is_word).len();
    }

    pub fn word_right(&mut self) {
        let rest = self.after().trim_start_matches(|c: char| !is_word(c)).trim_start_matches(is_word);
        self.cursor = self.text.len() - rest.len();
    }

    pub fn start(&mut self) {
        self.cursor = 0;
    }

    pub fn end(&mut self) {
        self.cursor = self.text.len();
    }

    pub fn delete(&mut self) {
        let end = self.cursor + self.after().graphemes(true).next().map_or(0, str::len);
        self.cut(self.cursor, end);
    }

    pub fn delete_back(&mut self) {
        let end = self.cursor;
        self.left();
        self.cut(self.cursor, end);
    }

    pub fn delete_word(&mut self) {
        let end = self.cursor;
        self.word_left();
        self.cut(self.cursor, end);
    }

    pub fn delete_line(&mut self) {
        let end = self.cursor;
        self.cursor = 0;
        self.cut(0, end);
    }

    pub fn delete_rest(&mut self) {
        self.cut(self.cursor, self.text.len());
    }

    fn cut(&mut self, from: usize, to: usize) {
        if from <= to && self.text.is_char_boundary(from) && self.text.is_char_boundary(to) {
            self.text.replace_range(from..to, "");
        }
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_and_graphemes_are_deleted_whole() {
        let mut input = Input::new("severity:warning e\u{301}👩‍👩‍👧");
        input.delete_back();
        assert_eq!(input.text(), "severity:warning e\u{301}");
        input.delete_back();
        assert_eq!(input.text(), "severity:warning ");
        input.delete_word();
        assert_eq!(input.text(), "severity:");
        input.insert("a\nb\u{1b}[31m");
        assert_eq!(input.text(), "severity:a b[31m");
    }

    proptest! {
        #[test]
        fn the_cursor_never_leaves_the_text(text in "\\PC{0,20}", moves in prop::collection::vec(0..11_u8, 0..40)) {
            let mut input = Input::new(&text);
            for m in moves {
                match m {
                    0 => input.left(), 1 => input.right(), 2 => input.word_left(), 3 => input.word_right(), 4 => input.start(), 5 => input.end(),
                    6 => input.delete(), 7 => input.delete_back(), 8 => input.delete_word(), 9 => input.insert("é x"), _ => input.delete_rest(),
                }
                prop_assert!(input.text().is_char_boundary(input.cursor()));
            }
        }
    }
}
