//! Asks the terminal itself: its name, its background, and what it can do.
//!
//! The terminal is in raw mode for as long as the answers take, so that they are not echoed; what is printed
//! to measure widths is erased again. Every terminal answers the last question (what kind are you?): after
//! that answer, no other is to come. A terminal that answers nothing is waited for once.

use std::fs::File;
use std::io::{Read, Write};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::{OptionalActions, QueueSelector, Termios, tcflush, tcgetattr, tcsetattr};

use crate::model::clean::clean_line;

/// How long a terminal has for all of its answers: the line to it may be slow.
const PATIENCE: Duration = Duration::from_millis(1_000);
/// More than this is noise.
const MOST: usize = 64 * 1024;

/// What is printed to see how wide it comes out: text, columns, what it is.
pub(super) const WIDTHS: [(&str, u16, &str); 3] =
    [("\u{e9}", 1, "é, in UTF-8"), ("\u{6f22}", 2, "漢, a wide character"), ("\u{25b2}", 1, "▲, a glyph of ours")];

/// XTVERSION, OSC 11, DECRQM 2026, kitty's keyboard, XTGETTCAP for `Ms` (clipboard) and `RGB`.
const ASK: &str = "\x1b[>0q\x1b]11;?\x1b\\\x1b[?2026$p\x1b[?u\x1bP+q4d73\x1b\\\x1bP+q524742\x1b\\";
/// DA1.
const LAST: &str = "\x1b[c";

/// What the terminal said.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Answers {
    pub name: Option<String>,
    pub background: Option<(u8, u8, u8)>,
    pub synchronized: Option<bool>,
    pub kitty_keyboard: bool,
    /// Its parameters: 52 is the clipboard.
    pub kind: Option<Vec<u16>>,
    pub clipboard: bool,
    pub true_colour: bool,
    /// The columns at which the cursor stood after each of [`WIDTHS`].
    pub columns: Vec<u16>,
    /// Bytes that were no answer to anything.
    pub noise: usize,
    pub took: Option<Duration>,
}

impl Answers {
    pub(super) fn is_silent(&self) -> bool {
        *self == Answers { took: self.took, ..Answers::default() }
    }

    /// The columns that each of [`WIDTHS`] took.
    pub(super) fn widths(&self) -> Vec<(&'static str, u16, u16)> {
        WIDTHS.iter().zip(&self.columns).map(|((_, wanted, what), column)| (*what, *wanted, column.saturating_sub(1))).collect()
    }
}

/// Asks the controlling terminal (within tmux and screen those answer: it is them that the console talks to); nothing when there is none, or it cannot be set up.
pub(super) fn ask() -> Option<Answers> {
    let tty = File::options().read(true).write(true).open("/dev/tty").ok()?;
    // In the background, changing the terminal would stop us.
    if rustix::termios::tcgetpgrp(&tty).ok()? != rustix::process::getpgrp() {
        return None;
    }
    let raw = Raw::take(&tty)?;
    let widths: String = WIDTHS.iter().map(|(text, _, _)| format!("\r{text}\x1b[6n")).collect();
    (&tty).write_all(format!("{ASK}{widths}\r\x1b[K{LAST}").as_bytes()).ok()?;
    let began = Instant::now();
    let mut bytes = Vec::new();
    let mut part = [0_u8; 4_096];
    let mut answers = Answers::default();
    while answers.kind.is_none() && bytes.len() < MOST {
        let left = PATIENCE.saturating_sub(began.elapsed());
        let wait = Timespec { tv_sec: 0, tv_nsec: i64::from(left.subsec_nanos()) };
        if left.is_zero() || !matches!(poll(&mut [PollFd::new(&tty, PollFlags::IN)], Some(&wait)), Ok(1..)) {
            break;
        }
        match (&tty).read(&mut part) {
            Ok(count @ 1..) => bytes.extend_from_slice(part.get(..count).unwrap_or_default()),
            Ok(0) | Err(_) => break,
        }
        answers = read(&bytes);
    }
    answers.took = answers.kind.is_some().then(|| began.elapsed());
    drop(raw);
    Some(answers)
}

/// The terminal's modes, given back when this is dropped, with whatever still comes thrown away.
struct Raw<'a> {
    tty: &'a File,
    before: Termios,
}

impl<'a> Raw<'a> {
    fn take(tty: &'a File) -> Option<Raw<'a>> {
        let before = tcgetattr(tty).ok()?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(tty, OptionalActions::Now, &raw).ok()?;
        Some(Raw { tty, before })
    }
}

impl Drop for Raw<'_> {
    fn drop(&mut self) {
        let _ = tcflush(self.tty, QueueSelector::IFlush);
        let _ = tcsetattr(self.tty, OptionalActions::Now, &self.before);
    }
}

/// Understands what came; what is no answer is counted and passed over.
pub(super) fn read(bytes: &[u8]) -> Answers {
    let mut answers = Answers::default();
    let mut rest = bytes;
    while let Some((first, after)) = rest.split_first() {
        let taken = match (*first, after.first()) {
            (0x1b, Some(b'[')) => sequence(after.get(1..).unwrap_or_default(), &mut answers).map(|used| used + 2),
            (0x1b, Some(b']' | b'P')) => string(after, &mut answers).map(|used| used + 1),
            _ => None,
        };
        match taken {
            Some(taken) => rest = rest.get(taken..).unwrap_or_default(),
            None => {
                answers.noise += 1;
                rest = after;
            }
        }
    }
    answers
}

/// After `ESC [`: the bytes used, when it is one of ours.
fn sequence(body: &[u8], answers: &mut Answers) -> Option<usize> {
    let length = body.iter().take(64).position(|byte| (0x40..=0x7e).contains(byte))?;
    let last = body.get(length)?;
    let text = std::str::from_utf8(body.get(..length)?).ok()?;
    let numbers = |text: &str| text.split(';').map(|part| part.parse().ok()).collect::<Option<Vec<u16>>>();
    match (text.strip_prefix('?'), last) {
        (Some(kind), b'c') => answers.kind = Some(numbers(kind)?),
        (Some(mode), b'y') => {
            let state = mode.strip_prefix("2026;")?.strip_suffix('$')?;
            answers.synchronized = Some(matches!(state, "1" | "2" | "3"));
        }
        (Some(flags), b'u') if flags.parse::<u16>().is_ok() => answers.kitty_keyboard = true,
        (None, b'R') => {
            let [_, column] = numbers(text)?.try_into().ok()?;
            if answers.columns.len() < WIDTHS.len() {
                answers.columns.push(column);
            }
        }
        _ => return None,
    }
    Some(length + 1)
}

/// From `]` or `P` on: the bytes used, when it is one of ours.
fn string(rest: &[u8], answers: &mut Answers) -> Option<usize> {
    let end = rest.iter().take(4_096).position(|byte| matches!(byte, 0x07 | 0x1b))?;
    let used = match (rest.get(end)?, rest.get(end + 1)) {
        (0x07, _) => end + 1,
        (_, Some(b'\\')) => end + 2,
        _ => return None,
    };
    let text = std::str::from_utf8(rest.get(..end)?).ok()?;
    if let Some(colour) = text.strip_prefix("]11;rgb:").or_else(|| text.strip_prefix("]11;rgba:")) {
        let part = |part: &str| {
            let value = u32::from_str_radix(part, 16).ok()?;
            let most = 16_u32.checked_pow(u32::try_from(part.len()).ok().filter(|n| (1..=4).contains(n))?)? - 1;
            u8::try_from(value * 255 / most.max(1)).ok()
        };
        let parts: Vec<u8> = colour.split('/').take(3).map(part).collect::<Option<_>>()?;
        let [r, g, b] = parts.try_into().ok()?;
        answers.background = Some((r, g, b));
    } else if let Some(name) = text.strip_prefix("P>|") {
        answers.name = Some(clean_line(name).chars().take(60).collect());
    } else if let Some(known) = text.strip_prefix("P1+r") {
        let names = known.to_ascii_lowercase();
        answers.clipboard |= names.starts_with("4d73");
        answers.true_colour |= names.starts_with("524742");
    } else if !text.starts_with("P0+r") {
        return None;
    }
    Some(used)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_a_terminal_says_is_understood() {
        let said = "\x1bP>|foot(1.16.2)\x1b\\\x1b]11;rgb:1414/1111/0f0f\x1b\\\x1b[?2026;2$y\x1b[?0u\x1bP1+r4d73=5c\x1b\\\x1bP1+r524742=38\x1b\\\x1b[1;2R\x1b[1;3R\x1b[1;2R\x1b[?62;22;52c";
        let answers = read(said.as_bytes());
        let all = Answers {
            name: Some("foot(1.16.2)".into()),
            background: Some((0x14, 0x11, 0x0f)),
            synchronized: Some(true),
            kitty_keyboard: true,
            kind: Some(vec![62, 22, 52]),
            clipboard: true,
            true_colour: true,
            columns: vec![2, 3, 2],
            noise: 0,
            took: None,
        };
        assert_eq!(answers, all);
        assert!(answers.widths().iter().all(|(_, wanted, got)| wanted == got));
        assert_eq!(read(b"\x1bP0+r4d73\x1b\\\x1b[?2026;0$y\x1b[?1;2c"), Answers { synchronized: Some(false), kind: Some(vec![1, 2]), ..Answers::default() });
        assert!(read(b"").is_silent());
    }

    #[test]
    fn a_name_carries_no_sequence_on() {
        let answers = read("\x1bP>|evil\u{9b}31m\u{202e}x\x1b\\".as_bytes());
        assert!(answers.name.unwrap().chars().all(|c| !c.is_control() && c != '\u{202e}'));
    }

    proptest! {
        /// Whatever comes, reading it ends, and every byte was either an answer or noise.
        #[test]
        fn garbage_is_passed_over(bytes in prop::collection::vec(prop_oneof![Just(0x1b_u8), Just(b'['), Just(b']'), Just(b'P'), Just(b'c'), any::<u8>()], 0..200)) {
            let answers = read(&bytes);
            prop_assert!(answers.noise <= bytes.len());
            let mut more = bytes;
            more.extend_from_slice(b"\x07\x1b\\\x1b[?62c");
            prop_assert!(read(&more).kind.is_some(), "an answer after garbage is heard");
        }
    }
}
