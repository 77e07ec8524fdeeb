//! Keys, and how files write them: `j`, `G`, `C-d`, `A-x`, `S-Tab`, `Space`, `F1`, `g g`.

use std::fmt;
use std::str::FromStr;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use crate::model::nearest::nearest;

/// A key without what is held with it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Code {
    Char(char),
    F(u8),
    Up,
    Down,
    Left,
    Right,
    Home,
    End,
    PageUp,
    PageDown,
    Enter,
    Esc,
    Tab,
    Backspace,
    Insert,
    Delete,
}

/// A key with what is held. Shift is part of a character (`G`, not `S-g`), so it only counts elsewhere.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Key {
    pub code: Code,
    pub ctrl: bool,
    pub alt: bool,
    pub shift: bool,
}

/// Names other than single characters and function keys; the first of each code is how it is written.
const NAMES: &[(&str, Code)] = &[
    ("Space", Code::Char(' ')),
    ("Up", Code::Up),
    ("Down", Code::Down),
    ("Left", Code::Left),
    ("Right", Code::Right),
    ("Home", Code::Home),
    ("End", Code::End),
    ("PageUp", Code::PageUp),
    ("PageDown", Code::PageDown),
    ("Enter", Code::Enter),
    ("Esc", Code::Esc),
    ("Tab", Code::Tab),
    ("Backspace", Code::Backspace),
    ("Insert", Code::Insert),
    ("Delete", Code::Delete),
    ("Minus", Code::Char('-')),
    ("Escape", Code::Esc),
    ("Return", Code::Enter),
    ("PgUp", Code::PageUp),
    ("PgDn", Code::PageDown),
    ("Del", Code::Delete),
    ("Ins", Code::Insert),
];

impl Key {
    pub const fn plain(code: Code) -> Key {
        Key { code, ctrl: false, alt: false, shift: false }
    }

    pub const fn char(c: char) -> Key {
        Key::plain(Code::Char(c))
    }

    pub const fn ctrl(c: char) -> Key {
        Key { code: Code::Char(c), ctrl: true, alt: false, shift: false }
    }

    /// With what is held, in the one spelling that each key has.
    pub fn new(code: Code, ctrl: bool, alt: bool, shift: bool) -> Key {
        Key { code, ctrl, alt, shift }.normal()
    }

    /// The character that it types into a prompt.
    pub fn typed(self) -> Option<char> {
        match self.code {
            Code::Char(c) if !self.ctrl && !self.alt => Some(c),
            _ => None,
        }
    }

    /// As the terminal's decoder has it; keys that no keymap can name are nothing.
    pub fn from_event(event: &KeyEvent) -> Option<Key> {
        let shift = event.modifiers.contains(KeyModifiers::SHIFT);
        let code = match event.code {
            KeyCode::Char(c) => Code::Char(c),
            KeyCode::F(n) => Code::F(n),
            KeyCode::Up => Code::Up,
            KeyCode::Down => Code::Down,
            KeyCode::Left => Code::Left,
            KeyCode::Right => Code::Right,
            KeyCode::Home => Code::Home,
            KeyCode::End => Code::End,
            KeyCode::PageUp => Code::PageUp,
            KeyCode::PageDown => Code::PageDown,
            KeyCode::Enter => Code::Enter,
            KeyCode::Esc => Code::Esc,
            KeyCode::Tab => Code::Tab,
            KeyCode::BackTab => return Some(Key { code: Code::Tab, ctrl: false, alt: false, shift: true }),
            KeyCode::Backspace => Code::Backspace,
            KeyCode::Insert => Code::Insert,
            KeyCode::Delete => Code::Delete,
            _ => return None,
        };
        Some(Key::new(code, event.modifiers.contains(KeyModifiers::CONTROL), event.modifiers.contains(KeyModifiers::ALT), shift))
    }

    /// One spelling for each key: shift lives in the character, and control knows no upper case.
    fn normal(mut self) -> Key {
        if let Code::Char(c) = self.code {
            if self.ctrl {
                self.code = Code::Char(c.to_ascii_lowercase());
            } else if self.shift {
                self.code = Code::Char(c.to_uppercase().next().unwrap_or(c));
            }
            self.shift = false;
        }
        self
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        for (held, prefix) in [(self.ctrl, "C-"), (self.alt, "A-"), (self.shift, "S-")] {
            if held {
                text.push_str(prefix);
            }
        }
        match (self.code, NAMES.iter().find(|(_, code)| *code == self.code)) {
            (Code::Char('-'), _) if text.is_empty() => text.push('-'),
            (_, Some((name, _))) => text.push_str(name),
            (Code::Char(c), None) => text.push(c),
            (Code::F(n), None) => text.push_str(&format!("F{n}")),
            (_, None) => {}
        }
        f.pad(&text)
    }
}

/// Why a text names no key.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum KeyError {
    #[error("a key is missing")]
    Empty,
    #[error("there is no key `{name}`{}", crate::command::nearest::suggestion(.nearest))]
    Unknown { name: String, nearest: Option<&'static str> },
    #[error("`{name}` can only be written as `{better}`")]
    Spelling { name: String, better: String },
}

impl FromStr for Key {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Key, KeyError> {
        let mut key = Key::plain(Code::Esc);
        let mut rest = text;
        loop {
            let (held, after) = match rest.split_at_checked(2) {
                Some((held @ ("C-" | "A-" | "M-" | "S-"), after)) if !after.is_empty() => (held, after),
                _ => break,
            };
            match held {
                "C-" => key.ctrl = true,
                "S-" => key.shift = true,
                _ => key.alt = true,
            }
            rest = after;
        }
        let mut chars = rest.chars();
        key.code = match (chars.next(), chars.next()) {
            (None, _) => return Err(KeyError::Empty),
            (Some(c), None) if !c.is_control() => Code::Char(c),
            _ => named(rest)?,
        };
        if let Code::Char(c) = key.code
            && (key.shift || (key.ctrl && c.is_ascii_uppercase()))
        {
            let better = Key { shift: key.shift || key.ctrl, ..key }.normal();
            return Err(KeyError::Spelling { name: text.chars().take(20).collect(), better: better.to_string() });
        }
        Ok(key)
    }
}

fn named(name: &str) -> Result<Code, KeyError> {
    if let Some(number) = name.strip_prefix('F').and_then(|n| n.parse::<u8>().ok()).filter(|n| (1..=24).contains(n)) {
        return Ok(Code::F(number));
    }
    NAMES
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(_, code)| *code)
        .ok_or_else(|| KeyError::Unknown { name: name.chars().take(20).collect(), nearest: nearest(name, NAMES.iter().map(|(known, _)| *known)) })
}

/// Reads keys with spaces between them.
pub fn read_sequence(text: &str) -> Result<Vec<Key>, KeyError> {
    let keys = text.split_whitespace().map(str::parse).collect::<Result<Vec<Key>, KeyError>>()?;
    if keys.is_empty() { Err(KeyError::Empty) } else { Ok(keys) }
}

/// Writes keys with spaces between them.
pub fn write_sequence(keys: &[Key]) -> String {
    keys.iter().map(Key::to_string).collect::<Vec<_>>().join(" ")
}
