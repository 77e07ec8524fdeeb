//! What programs and servers print, made harmless: valid UTF-8, no control characters, bounded.
//!
//! Cleaned here as well as at the console's border, since an observation's text also goes to logs and other tools.

/// Characters of a title that are kept at most.
const TITLE: usize = 400;
/// Bytes of details that are kept at most.
pub const DETAILS: usize = 16 * 1_024;

/// One line for people: everything up to the first line break that has something to say.
pub fn title(text: &str) -> String {
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default();
    let mut out: String = plain(line).chars().take(TITLE).collect();
    if line.chars().nth(TITLE).is_some() {
        out.push('…');
    }
    out.trim().to_owned()
}

/// Several lines: line breaks and tabs stay, other control characters do not.
pub fn details(text: &str) -> String {
    let mut out = String::new();
    for line in text.lines() {
        let line = plain(line);
        if out.len().saturating_add(line.len()) > DETAILS {
            out.push_str("… (cut here)");
            break;
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out.trim_end().to_owned()
}

/// Colours are taken out; other control characters, and those that turn or hide text (bidirectional overrides,
/// T12), become U+FFFD.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' if chars.peek() == Some(&'[') => {
                chars.next();
                while chars.next_if(|c| matches!(c, '\u{20}'..='\u{3f}')).is_some() {}
                chars.next_if(|c| matches!(c, '\u{40}'..='\u{7e}'));
            }
            '\t' => out.push(' '),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' => out.push('\u{fffd}'),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t1_escapes_and_carriage_returns_do_not_get_through() {
        assert_eq!(title("\u{1b}[31;1mDISK\u{1b}[0m bad\u{7}\rOK\nmore"), "DISK bad\u{fffd}\u{fffd}OK");
        assert_eq!(title("\u{1b}]0;owned\u{7}x"), "\u{fffd}]0;owned\u{fffd}x");
        assert_eq!(title("a\u{9b}31mb\u{202e}c"), "a\u{fffd}31mb\u{fffd}c");
        assert_eq!(details("one\ttwo\n\u{1b}[2Jthree\u{0}\n"), "one two\nthree\u{fffd}");
    }

    #[test]
    fn long_text_is_cut_and_says_so() {
        let long = title(&"é".repeat(5_000));
        assert_eq!(long.chars().count(), TITLE + 1);
        let long = details(&"a line\n".repeat(5_000));
        assert!(long.len() <= DETAILS + 32 && long.ends_with("(cut here)"));
    }
}
