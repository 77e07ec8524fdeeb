//! Bytes from the terminal become keys, pastes and answers to what we asked.
//!
//! Our own decoder, for three reasons: answers to queries must never be taken for keys, however late they
//! come; a pasted text must never run as keys; and Escape must be told apart from a sequence that a slow
//! line delivers in pieces. It is pure: bytes in, inputs out; the caller says when waiting is over.

use std::time::Duration;

use super::link;
use crate::console::keymap::{Code, Key};

/// How long an Escape may be the start of something longer.
pub const ESCAPE_WAIT: Duration = Duration::from_millis(50);
/// How long the terminal has for its answers.
pub const ANSWER_WAIT: Duration = Duration::from_millis(100);

/// Asks for the background colour, for synchronized updates, for the terminal's name (XTVERSION), and for its
/// kind, which every terminal answers: after that answer, no other is to come.
pub const QUERIES: &str = "\x1b]11;?\x1b\\\x1b[?2026$p\x1b[>0q\x1b[c";

/// A pasted text is cut here.
const LONGEST_PASTE: usize = 256 * 1024;
/// A sequence longer than this is noise.
const LONGEST_SEQUENCE: usize = 4 * 1024;

/// What came from the terminal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Input {
    Key(Key),
    /// As it came: it is cleaned where it is drawn.
    Paste(String),
    Mouse(Mouse),
    Answer(Answer),
}

/// What the mouse did, and on which cell, from 0. Only what the console has a use for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mouse {
    pub gesture: Gesture,
    pub x: u16,
    pub y: u16,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Gesture {
    Click,
    WheelUp,
    WheelDown,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    /// The background, 8 bits a colour.
    Background(u8, u8, u8),
    /// Whether it knows synchronized updates.
    Synchronized(bool),
    /// Whether a terminal of its name makes links of OSC 8.
    Links(bool),
    /// The last answer.
    Kind,
}

impl Answer {
    /// Whether a background is light.
    pub fn is_light(self) -> bool {
        match self {
            Answer::Background(r, g, b) => u32::from(r) * 299 + u32::from(g) * 587 + u32::from(b) * 114 > 128_000,
            Answer::Synchronized(_) | Answer::Links(_) | Answer::Kind => false,
        }
    }
}

/// Keeps what is not complete yet.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    /// What was pasted so far, while the end is not here.
    paste: Option<Vec<u8>>,
    /// An Escape was given out a moment ago; a slow line may still deliver the rest of its sequence.
    escaped: bool,
}

/// What the start of the buffer is.
enum Step {
    /// This many bytes are this.
    Taken(usize, Option<Input>),
    PasteBegins(usize),
    Incomplete,
}

impl Decoder {
    /// Takes bytes as they come.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Input> {
        let late = std::mem::take(&mut self.escaped) && self.buffer.is_empty() && self.paste.is_none() && bytes.len() > 1;
        if late && matches!(bytes.first(), Some(b'[' | b'O')) {
            // The rest of a sequence whose Escape came too early: whole, it is one key and not several.
            let whole: Vec<u8> = std::iter::once(0x1b).chain(bytes.iter().copied()).collect();
            if matches!(step(&whole), Step::Taken(used, _) if used == whole.len()) {
                self.buffer = whole;
                return self.drain();
            }
        }
        self.buffer.extend_from_slice(bytes);
        self.drain()
    }

    /// Whether bytes wait for more; after [`ESCAPE_WAIT`] without any, call [`Decoder::expire`].
    pub fn is_waiting(&self) -> bool {
        !self.buffer.is_empty() && self.paste.is_none()
    }

    /// Nothing more came: an Escape was an Escape, and a torn sequence is dropped.
    pub fn expire(&mut self) -> Vec<Input> {
        if !self.is_waiting() {
            return Vec::new();
        }
        let waiting = std::mem::take(&mut self.buffer);
        match waiting.as_slice() {
            [0x1b] => {
                self.escaped = true;
                vec![Input::Key(Key::plain(Code::Esc))]
            }
            [0x1b, c @ (b'[' | b'O' | b']' | b'P')] => vec![Input::Key(Key { alt: true, ..Key::char(char::from(*c)) })],
            _ => Vec::new(),
        }
    }

    fn drain(&mut self) -> Vec<Input> {
        let mut out = Vec::new();
        loop {
            if self.paste.is_some() {
                if !self.take_paste(&mut out) {
                    break;
                }
                continue;
            }
            if self.buffer.is_empty() {
                break;
            }
            match step(&self.buffer) {
                Step::Taken(used, input) => {
                    self.buffer.drain(..used.clamp(1, self.buffer.len()));
                    out.extend(input);
                }
                Step::PasteBegins(used) => {
                    self.buffer.drain(..used.min(self.buffer.len()));
                    self.paste = Some(Vec::new());
                }
                Step::Incomplete if self.buffer.len() > LONGEST_SEQUENCE => self.buffer.clear(),
                Step::Incomplete => break,
            }
        }
        out
    }

    /// Moves bytes into the paste; whether its end was found.
    fn take_paste(&mut self, out: &mut Vec<Input>) -> bool {
        const END: &[u8] = b"\x1b[201~";
        let Some(paste) = self.paste.as_mut() else { return false };
        let found = memchr::memmem::find(&self.buffer, END);
        // Without the end, its first bytes may be among the last ones here.
        let take = found.unwrap_or(self.buffer.len().saturating_sub(END.len() - 1));
        let room = LONGEST_PASTE.saturating_sub(paste.len());
        paste.extend(self.buffer.drain(..take).take(room));
        if found.is_none() {
            return false;
        }
        self.buffer.drain(..END.len().min(self.buffer.len()));
        let text = String::from_utf8_lossy(paste).replace("\r\n", "\n").replace('\r', "\n");
        self.paste = None;
        out.push(Input::Paste(text));
        true
    }
}

fn step(bytes: &[u8]) -> Step {
    let Some((first, rest)) = bytes.split_first() else { return Step::Incomplete };
    match *first {
        0x1b => escape(rest),
        b'\r' => key(1, Key::plain(Code::Enter)),
        b'\t' => key(1, Key::plain(Code::Tab)),
        0x7f => key(1, Key::plain(Code::Backspace)),
        0 => key(1, Key::ctrl(' ')),
        c @ 1..=26 => key(1, Key::ctrl(char::from(c + b'a' - 1))),
        c @ 28..=31 => key(1, Key::ctrl(char::from(c + b'@').to_ascii_lowercase())),
        c @ 0x20..=0x7e => key(1, Key::char(char::from(c))),
        _ => match character(bytes) {
            Some(Ok((c, used))) => key(used, Key::char(c)),
            Some(Err(())) => Step::Taken(1, None),
            None => Step::Incomplete,
        },
    }
}

fn key(used: usize, key: Key) -> Step {
    Step::Taken(used, Some(Input::Key(key)))
}

/// The character that bytes begin with; nothing when they end too early.
fn character(bytes: &[u8]) -> Option<Result<(char, usize), ()>> {
    let length = match bytes.first()? {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return Some(Err(())),
    };
    let Some(taken) = bytes.get(..length) else {
        // What is here must at least look like the beginning of one.
        let good = bytes.iter().skip(1).all(|b| (0x80..=0xbf).contains(b));
        return if good { None } else { Some(Err(())) };
    };
    let c = std::str::from_utf8(taken).ok().and_then(|text| text.chars().next()).filter(|c| !c.is_control());
    Some(c.map(|c| (c, length)).ok_or(()))
}

/// After an Escape.
fn escape(rest: &[u8]) -> Step {
    let Some(second) = rest.first() else { return Step::Incomplete };
    match *second {
        b'[' => control_sequence(rest.get(1..).unwrap_or_default()),
        b'O' => match rest.get(1) {
            None => Step::Incomplete,
            Some(last) => Step::Taken(3, function(*last).map(|code| Input::Key(Key::plain(code)))),
        },
        b']' => string(rest, true),
        b'P' | b'_' | b'^' | b'X' => string(rest, false),
        // Two of them: the first was the key.
        0x1b => key(1, Key::plain(Code::Esc)),
        _ => match step(rest) {
            Step::Taken(used, Some(Input::Key(inner))) => key(used + 1, Key { alt: true, ..inner }),
            Step::Taken(used, _) => Step::Taken(used + 1, None),
            Step::PasteBegins(_) | Step::Incomplete => Step::Incomplete,
        },
    }
}

fn function(last: u8) -> Option<Code> {
    Some(match last {
        b'A' => Code::Up,
        b'B' => Code::Down,
        b'C' => Code::Right,
        b'D' => Code::Left,
        b'H' => Code::Home,
        b'F' => Code::End,
        b'M' => Code::Enter,
        b'P' => Code::F(1),
        b'Q' => Code::F(2),
        b'R' => Code::F(3),
        b'S' => Code::F(4),
        _ => return None,
    })
}

/// `ESC [`, parameters, intermediates, a final byte (ECMA-48, 5.4).
fn control_sequence(body: &[u8]) -> Step {
    let parameters = body.iter().take_while(|b| (0x30..=0x3f).contains(*b)).count();
    let intermediates = body.iter().skip(parameters).take_while(|b| (0x20..=0x2f).contains(*b)).count();
    let Some(last) = body.get(parameters + intermediates) else { return Step::Incomplete };
    let used = parameters + intermediates + 3;
    if !(0x40..=0x7e).contains(last) {
        // Torn: what interrupts it stands for itself.
        return Step::Taken(used - 1, None);
    }
    let text = std::str::from_utf8(body.get(..parameters).unwrap_or_default()).unwrap_or("");
    let between = body.get(parameters..parameters + intermediates).unwrap_or_default();
    match (text.strip_prefix('?'), between, last) {
        (Some(_), [], b'c') => return Step::Taken(used, Some(Input::Answer(Answer::Kind))),
        (Some(mode), [b'$'], b'y') => {
            // 0 is a mode that it does not know, 4 one that stays off.
            let answer = mode.strip_prefix("2026;").map(|state| Answer::Synchronized(matches!(state, "1" | "2" | "3")));
            return Step::Taken(used, answer.map(Input::Answer));
        }
        (None, [], _) => {}
        _ => return Step::Taken(used, None),
    }
    if let (Some(report), [], b'M') = (text.strip_prefix('<'), between, last) {
        return Step::Taken(used, mouse(report).map(Input::Mouse));
    }
    if text.starts_with(['<', '=', '>']) {
        return Step::Taken(used, None);
    }
    let numbers: Vec<u32> = text.split(';').map(|part| part.split(':').next().unwrap_or("").parse().unwrap_or(0)).collect();
    let number = |at: usize| numbers.get(at).copied().unwrap_or(0);
    if *last == b'~' && number(0) == 200 {
        return Step::PasteBegins(used);
    }
    let (code, held) = match *last {
        b'~' if number(0) == 27 => (coded(number(2)), number(1)),
        b'~' => (numbered(number(0)), number(1)),
        b'u' => (coded(number(0)), number(1)),
        b'Z' => (Some(Code::Tab), 2),
        // The report of the cursor's place ends like F3; nobody asked for it.
        b'R' if number(0) > 1 => (None, 0),
        c @ (b'A'..=b'D' | b'F' | b'H' | b'P'..=b'S') => (function(c), number(1)),
        _ => (None, 0),
    };
    let held = held.saturating_sub(1);
    Step::Taken(used, code.map(|code| Input::Key(Key::new(code, held & 4 != 0, held & 2 != 0, held & 1 != 0))))
}

/// A press, as the mode 1006 reports it: button, column, row. With a modifier it is somebody else's.
fn mouse(report: &str) -> Option<Mouse> {
    let mut numbers = report.split(';').map(|part| part.parse::<u16>().ok());
    let (button, x, y) = (numbers.next()??, numbers.next()??, numbers.next()??);
    let gesture = match button {
        0 => Gesture::Click,
        64 => Gesture::WheelUp,
        65 => Gesture::WheelDown,
        _ => return None,
    };
    Some(Mouse { gesture, x: x.checked_sub(1)?, y: y.checked_sub(1)? })
}

fn numbered(number: u32) -> Option<Code> {
    Some(match number {
        1 | 7 => Code::Home,
        2 => Code::Insert,
        3 => Code::Delete,
        4 | 8 => Code::End,
        5 => Code::PageUp,
        6 => Code::PageDown,
        11..=15 => Code::F(u8::try_from(number - 10).ok()?),
        17..=21 => Code::F(u8::try_from(number - 11).ok()?),
        23 | 24 => Code::F(u8::try_from(number - 12).ok()?),
        _ => return None,
    })
}

/// A key by its character's number.
fn coded(number: u32) -> Option<Code> {
    Some(match number {
        9 => Code::Tab,
        13 => Code::Enter,
        27 => Code::Esc,
        127 | 8 => Code::Backspace,
        other => Code::Char(char::from_u32(other).filter(|c| !c.is_control())?),
    })
}

/// Strings up to BEL (commands of the operating system alone) or `ESC \`.
fn string(rest: &[u8], bell_ends: bool) -> Step {
    let body = rest.get(1..).unwrap_or_default();
    for (at, byte) in body.iter().enumerate() {
        let end = match byte {
            0x07 if bell_ends => at + 3,
            0x1b => match body.get(at + 1) {
                Some(b'\\') => at + 4,
                // Torn: what interrupts it stands for itself.
                Some(_) => return Step::Taken(at + 2, None),
                None => return Step::Incomplete,
            },
            _ => continue,
        };
        let text = std::str::from_utf8(body.get(..at).unwrap_or_default()).unwrap_or("");
        let answer = match rest.first() {
            Some(b']') => text.strip_prefix("11;").and_then(background),
            Some(b'P') => text.strip_prefix(">|").and_then(link::by_name).map(|known| Answer::Links(known.links)),
            _ => None,
        };
        return Step::Taken(end, answer.map(Input::Answer));
    }
    Step::Incomplete
}

/// `rgb:1414/1111/0f0f`, with one to four digits each.
fn background(text: &str) -> Option<Answer> {
    let colours = text.strip_prefix("rgb:").or_else(|| text.strip_prefix("rgba:"))?;
    let mut parts = colours.split('/').map(|part| {
        let value = u32::from_str_radix(part, 16).ok()?;
        let most = 16u32.checked_pow(u32::try_from(part.len()).ok().filter(|n| (1..=4).contains(n))?)? - 1;
        u8::try_from(value * 255 / most).ok()
    });
    Some(Answer::Background(parts.next()??, parts.next()??, parts.next()??))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn typed(bytes: &[u8]) -> String {
        let mut decoder = Decoder::default();
        let mut inputs = decoder.feed(bytes);
        inputs.extend(decoder.expire());
        names(&inputs)
    }

    fn names(inputs: &[Input]) -> String {
        let name = |input: &Input| match input {
            Input::Key(key) => key.to_string(),
            other => format!("{other:?}"),
        };
        inputs.iter().map(name).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn keys_are_told_apart() {
        assert_eq!(typed(b"jG \r\t\x7f\x04\x1f"), "j G Space Enter Tab Backspace C-d C-_");
        assert_eq!(typed("é磁".as_bytes()), "é 磁");
        assert_eq!(typed(b"\x1b[A\x1bOB\x1b[1;5C\x1b[Z\x1b[5~\x1b[3;2~\x1b[15~\x1bOP\x1b[24~"), "Up Down C-Right S-Tab PageUp S-Delete F5 F1 F12");
        assert_eq!(typed(b"\x1bx\x1b\x7f"), "A-x A-Backspace");
        assert_eq!(typed(b"\x1b[97;5u\x1b[27;6;65~\x1b[103;2u"), "C-a C-a G");
        assert_eq!(typed(b"\x1b\x1b"), "Esc Esc");
    }

    #[test]
    fn escape_is_told_apart_from_a_slow_sequence() {
        let mut decoder = Decoder::default();
        assert_eq!(decoder.feed(b"\x1b"), []);
        assert!(decoder.is_waiting());
        assert_eq!(names(&decoder.feed(b"[A")), "Up");
        assert!(!decoder.is_waiting());
        decoder.feed(b"\x1b");
        assert_eq!(names(&decoder.expire()), "Esc");
        assert_eq!(names(&decoder.feed(b"[A")), "Up", "its rest came after all");
        decoder.feed(b"\x1b");
        decoder.expire();
        assert_eq!(names(&decoder.feed(b"[")), "[", "somebody typed it");
    }

    #[test]
    fn answers_never_become_keys() {
        assert_eq!(
            typed(b"\x1b]11;rgb:1414/1111/0f0f\x1b\\\x1b[?2026;2$y\x1b[?62;22c"),
            "Answer(Background(20, 17, 15)) Answer(Synchronized(true)) Answer(Kind)"
        );
        assert_eq!(typed(b"\x1b]11;rgb:ff/ff/ff\x07"), "Answer(Background(255, 255, 255))");
        assert_eq!(typed(b"\x1b[?2026;0$y"), "Answer(Synchronized(false))");
        assert_eq!(typed(b"\x1bP>|foot(1.16.2)\x1b\\\x1bP>|tmux 3.3a\x1b\\"), "Answer(Links(true)) Answer(Links(false))");
        assert_eq!(typed(b"\x1bP>|who(1)\x1b\\\x1b[24;80R\x1b[I"), "");
        assert!(Answer::Background(251, 247, 240).is_light() && !Answer::Background(20, 17, 15).is_light());
        let mut decoder = Decoder::default();
        let all = b"\x1b]11;rgb:1414/1111/0f0f\x1b\\";
        let inputs: Vec<Input> = all.iter().flat_map(|byte| decoder.feed(&[*byte])).collect();
        assert_eq!(inputs, [Input::Answer(Answer::Background(20, 17, 15))]);
    }

    #[test]
    fn the_mouse_is_a_press_or_the_wheel() {
        let of = |bytes: &[u8]| Decoder::default().feed(bytes);
        assert_eq!(of(b"\x1b[<0;3;4M"), [Input::Mouse(Mouse { gesture: Gesture::Click, x: 2, y: 3 })]);
        assert_eq!(of(b"\x1b[<65;1;1M"), [Input::Mouse(Mouse { gesture: Gesture::WheelDown, x: 0, y: 0 })]);
        // Releases, other buttons, modifiers, motion, and what is no report.
        assert_eq!(of(b"\x1b[<0;3;4m\x1b[<2;3;4M\x1b[<4;3;4M\x1b[<32;3;4M\x1b[<0;0;4M\x1b[<0;99999;4M\x1b[<0;3M\x1b[<M"), []);
    }

    #[test]
    fn a_paste_is_never_keys() {
        assert_eq!(typed(b"\x1b[200~:quit\r\x1b[Aq\x1b[201~j"), "Paste(\":quit\\n\\u{1b}[Aq\") j");
        let mut decoder = Decoder::default();
        let inputs: Vec<Input> = b"\x1b[200~ab\x1b[201~".iter().flat_map(|byte| decoder.feed(&[*byte])).collect();
        assert_eq!(inputs, [Input::Paste("ab".into())]);
        decoder.feed(b"\x1b[200~");
        decoder.feed(&vec![b'x'; LONGEST_PASTE + 99]);
        let Some(Input::Paste(text)) = decoder.feed(b"\x1b[201~").pop() else { panic!("no paste") };
        assert!(text.len() <= LONGEST_PASTE);
    }

    #[test]
    fn torn_and_endless_sequences_are_dropped() {
        assert_eq!(typed(b"\x1b[1;5"), "");
        assert_eq!(typed(b"\x1b[1\x1b[A"), "Up");
        assert_eq!(typed(b"\xff\xc3("), "(");
        let mut decoder = Decoder::default();
        decoder.feed(b"\x1b]");
        decoder.feed(&[b'x'; LONGEST_SEQUENCE]);
        assert_eq!(names(&decoder.feed(b"j")), "j");
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_pieces_end(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..20), 0..20)) {
            let mut decoder = Decoder::default();
            for chunk in &chunks {
                decoder.feed(chunk);
            }
            decoder.expire();
            prop_assert!(!decoder.is_waiting());
        }
    }
}
