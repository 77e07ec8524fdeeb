//! Makes text from outside harmless to draw: what it says stays readable, what it would do to a terminal
//! does not survive.
//!
//! Nothing here tries to understand escape sequences: every control character becomes a visible picture
//! of itself, so a malformed or unterminated sequence cannot slip past. The one exception is colour
//! (`ESC [ … m`), which logs are full of; it is taken out whole. Invisible characters are dropped, and
//! characters that change the direction of text become `�`, since a reader must see that they were there.
//! Joiners, variation selectors and skin tones are dropped as well: terminals disagree about the width of
//! what they make, and columns have to stay straight.

use std::borrow::Cow;
use std::fmt;

use unicode_width::UnicodeWidthChar;

/// How many combining marks one character may carry; languages need three, jokers send thousands.
pub const MARKS: usize = 4;
/// Tabs go to the next column that is a multiple of this.
const TAB: usize = 4;
/// What stands for a line break within a line.
const BREAK: char = '↵';

/// One line for the screen. Line breaks inside become `↵`, those at the end are dropped.
pub fn clean_line(text: &str) -> Cow<'_, str> {
    if is_plain(text) { Cow::Borrowed(text) } else { clean(text.trim_end_matches(['\n', '\r']), false) }
}

/// Several lines for the screen: as [`clean_line`], but line feeds stay, and `\r\n` is one.
pub fn clean_text(text: &str) -> Cow<'_, str> {
    if text.bytes().all(|b| b == b'\n' || (0x20..0x7f).contains(&b)) { Cow::Borrowed(text) } else { clean(text, true) }
}

/// Printable ASCII alone, which most text is.
fn is_plain(text: &str) -> bool {
    text.bytes().all(|b| (0x20..0x7f).contains(&b))
}

fn clean(text: &str, lines: bool) -> Cow<'_, str> {
    let mut out = String::with_capacity(text.len());
    let mut column = 0usize;
    // Marks that the last character may still carry; none at the start of a line, where there is no base.
    let mut marks: Option<usize> = None;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match fate(c) {
            Fate::Keep => {
                let width = c.width().unwrap_or(0);
                if width > 0 {
                    marks = Some(MARKS);
                    column += width;
                    out.push(c);
                    continue;
                }
                match marks {
                    Some(0) => {}
                    Some(left) => {
                        marks = Some(left - 1);
                        out.push(c);
                    }
                    None => {
                        // A mark without a base would sit on whatever the screen shows to its left.
                        out.push('◌');
                        out.push(c);
                        column += 1;
                        marks = Some(MARKS - 1);
                    }
                }
            }
            Fate::Drop => {}
            Fate::Show(shown) => {
                if is_introducer(c, chars.peek().copied()) && skip_colour(c, &mut chars) {
                    continue;
                }
                out.push(shown);
                column += 1;
                marks = Some(MARKS);
            }
            Fate::Tab => {
                let spaces = TAB - column % TAB;
                out.extend(std::iter::repeat_n(' ', spaces));
                column += spaces;
                marks = Some(MARKS);
            }
            Fate::Return if chars.peek() == Some(&'\n') => {}
            Fate::Return => {
                out.push('␍');
                column += 1;
                marks = Some(MARKS);
            }
            Fate::Break if lines => {
                out.push('\n');
                column = 0;
                marks = None;
            }
            Fate::Break => {
                out.push(BREAK);
                column += 1;
                marks = Some(MARKS);
            }
        }
    }
    if out == text { Cow::Borrowed(text) } else { Cow::Owned(out) }
}

/// What becomes of a character.
enum Fate {
    Keep,
    Drop,
    Show(char),
    Tab,
    Return,
    Break,
}

fn fate(c: char) -> Fate {
    match c {
        ' '..='~' => Fate::Keep,
        '\t' => Fate::Tab,
        '\r' => Fate::Return,
        '\n' | '\u{2028}' | '\u{2029}' | '\u{85}' => Fate::Break,
        '\0'..='\u{1f}' => Fate::Show(char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}')),
        '\u{7f}' => Fate::Show('␡'),
        '\u{80}'..='\u{9f}' => Fate::Show('\u{fffd}'),
        _ if turns_text(c) => Fate::Show('\u{fffd}'),
        _ if is_invisible(c) => Fate::Drop,
        _ => Fate::Keep,
    }
}

/// Embeddings, overrides and isolates: they show text in another order than it is in.
fn turns_text(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Characters that show nothing (Unicode's Default_Ignorable_Code_Point and the annotation marks), and
/// those that only change how their neighbour looks.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{1f3fb}'..='\u{1f3ff}'
        | '\u{e0000}'..='\u{e0fff}')
}

fn is_introducer(c: char, next: Option<char>) -> bool {
    c == '\u{9b}' || (c == '\u{1b}' && next == Some('['))
}

/// Moves past `[ digits ; : m` when that is what follows.
fn skip_colour(first: char, chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> bool {
    let mut ahead = chars.clone();
    if first == '\u{1b}' {
        ahead.next();
    }
    let mut length = 0;
    for c in ahead.by_ref() {
        match c {
            'm' => {
                *chars = ahead;
                return true;
            }
            '0'..='9' | ';' | ':' if length < 64 => length += 1,
            _ => return false,
        }
    }
    false
}

/// What a name hides. Names of people, keys and systems that somebody is asked to trust are shown with it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Disguise {
    /// Control characters.
    Control,
    /// Characters that turn the direction of text.
    Direction,
    /// Characters that show nothing.
    Invisible,
    /// Letters of one script that look like those of another.
    LookAlike,
}

impl fmt::Display for Disguise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Disguise::Control => "holds control characters",
            Disguise::Direction => "holds characters that turn the direction of text",
            Disguise::Invisible => "holds invisible characters",
            Disguise::LookAlike => "mixes letters that look alike",
        })
    }
}

/// The worst that is odd about a name, when something is.
pub fn disguise(name: &str) -> Option<Disguise> {
    if is_plain(name) {
        return None;
    }
    if name.chars().any(char::is_control) {
        return Some(Disguise::Control);
    }
    if name.chars().any(|c| turns_text(c) || matches!(c, '\u{200e}' | '\u{200f}' | '\u{61c}')) {
        return Some(Disguise::Direction);
    }
    if name.chars().any(|c| is_invisible(c) || matches!(c, '\u{2800}' | '\u{2028}' | '\u{2029}')) {
        return Some(Disguise::Invisible);
    }
    has_lookalikes(name).then_some(Disguise::LookAlike)
}

/// Whether a word mixes Latin with letters that pass for Latin, uses letters made to look like Latin ones
/// (full width, mathematical), or the whole name is written in look-alikes.
pub fn has_lookalikes(name: &str) -> bool {
    let mut letters = 0usize;
    let mut passing = 0usize;
    for word in name.split(|c: char| !c.is_alphabetic()) {
        let mut latin = false;
        let mut other = false;
        for c in word.chars() {
            letters += 1;
            match c {
                'a'..='z' | 'A'..='Z' | '\u{c0}'..='\u{24f}' | '\u{1e00}'..='\u{1eff}' => latin = true,
                '\u{370}'..='\u{58f}'
                | '\u{13a0}'..='\u{13ff}'
                | '\u{1c80}'..='\u{1c8f}'
                | '\u{1f00}'..='\u{1fff}'
                | '\u{2c80}'..='\u{2cff}'
                | '\u{2de0}'..='\u{2dff}'
                | '\u{a4d0}'..='\u{a4ff}'
                | '\u{a640}'..='\u{a69f}'
                | '\u{ab70}'..='\u{abbf}' => other = true,
                '\u{ff21}'..='\u{ff5a}' | '\u{1d400}'..='\u{1d7ff}' | '\u{2100}'..='\u{214f}' => return true,
                _ => {}
            }
            if "асеорхуіјѕԁһӏԛԝАВЕКМНОРСТХІЈЅοΟΑΒΕΖΗΙΚΜΝΡΤΥΧ".contains(c) {
                passing += 1;
            }
        }
        if latin && other {
            return true;
        }
    }
    letters > 0 && letters == passing
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn is_harmless(text: &str) -> bool {
        text.chars().all(|c| !c.is_control() && !turns_text(c) && !is_invisible(c))
    }

    #[test]
    fn plain_text_is_borrowed() {
        for text in ["", "disk /var 91 %", "größer als 5 €", "磁盘满"] {
            assert!(matches!(clean_line(text), Cow::Borrowed(t) if t == text), "{text}");
        }
        assert!(matches!(clean_text("a\nb"), Cow::Borrowed("a\nb")));
    }

    #[test]
    fn t1_escapes_and_returns_become_visible() {
        assert_eq!(clean_line("a\x1b[2Jb\rc"), "a␛[2Jb␍c");
        assert_eq!(clean_line("one\r\ntwo\n"), "one↵two");
        assert_eq!(clean_text("one\r\ntwo\n\x07"), "one\ntwo\n␇");
    }

    #[test]
    fn colours_in_logs_are_taken_out() {
        assert_eq!(clean_line("\x1b[1;31mERROR\x1b[0m no disk \u{9b}32mok"), "ERROR no disk ok");
        assert_eq!(clean_line("\x1b[31"), "␛[31");
        assert_eq!(clean_line("\x1b\x1b[31m[2J"), "␛[2J");
    }

    #[test]
    fn t4_unterminated_sequences_lose_their_start() {
        assert_eq!(clean_line("\x1b]8;;http://x"), "␛]8;;http://x");
        assert_eq!(clean_line("\u{9d}0;title\u{9c}"), "\u{fffd}0;title\u{fffd}");
    }

    #[test]
    fn t7_marks_are_counted() {
        let zalgo = format!("a{}", "\u{301}".repeat(10_000));
        assert_eq!(clean_line(&zalgo).chars().count(), 1 + MARKS);
        assert_eq!(clean_line("\u{301}x"), "◌\u{301}x");
    }

    #[test]
    fn t11_c1_and_queries() {
        assert_eq!(clean_line("\x1b[6n\u{90}q\u{85}"), "␛[6n\u{fffd}q↵");
    }

    #[test]
    fn t12_direction_and_look_alikes_are_shown_and_flagged() {
        assert_eq!(clean_line("ab\u{202e}cd\u{2066}\u{200f}"), "ab\u{fffd}cd\u{fffd}");
        assert_eq!(disguise("ab\u{202e}cd"), Some(Disguise::Direction));
        assert_eq!(disguise("ro\u{200b}bin"), Some(Disguise::Invisible));
        assert_eq!(disguise("rоbin"), Some(Disguise::LookAlike), "the o is Cyrillic");
        assert_eq!(disguise("аррӏе"), Some(Disguise::LookAlike), "all Cyrillic");
        assert_eq!(disguise("ｒｏｏｔ"), Some(Disguise::LookAlike));
        for honest in ["robin", "Jürgen", "Привет", "Владимир", "Ελένη", "东京", "robin Иванов"] {
            assert_eq!(disguise(honest), None, "{honest}");
        }
    }

    #[test]
    fn tabs_keep_columns() {
        assert_eq!(clean_text("a\tb\n\tc"), "a   b\n    c");
    }

    proptest! {
        #[test]
        fn nothing_harmful_is_left(text in any::<String>()) {
            let line = clean_line(&text);
            prop_assert!(is_harmless(&line), "{:?}", line);
            let all = clean_text(&text);
            prop_assert!(all.lines().all(is_harmless), "{:?}", all);
        }

        #[test]
        fn cleaning_twice_is_cleaning_once(text in "[a\u{301}\t\n\r\u{1b}\\[0m\u{9b}\u{200d}\u{202e}好\u{85}]{0,40}") {
            let once = clean_line(&text).into_owned();
            prop_assert_eq!(clean_line(&once), once.as_str());
            let once = clean_text(&text).into_owned();
            prop_assert_eq!(clean_text(&once), once.as_str());
        }
    }
}
