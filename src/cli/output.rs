//! Where everything that a command prints goes through, so that nothing from outside reaches the
//! terminal as it came: people's text is cleaned line by line, JSON escapes what is no plain character.

use std::borrow::Cow;
use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};

use serde::Serialize;
use unicode_width::UnicodeWidthStr;

use super::failure::Failure;
use crate::model::clean::{clean_line, clean_text};
use crate::model::severity::Severity;

/// What a piece of text means; colour only repeats what its words say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tone {
    Plain,
    Strong,
    Muted,
    Severity(Severity),
    /// Old, unknown, or not heard of.
    Stale,
    Fine,
}

impl Tone {
    /// The parameters of an SGR sequence, of the 16 colours that every terminal has.
    const fn sgr(self) -> &'static str {
        match self {
            Tone::Plain | Tone::Severity(Severity::Info) => "",
            Tone::Strong => "1",
            Tone::Muted | Tone::Severity(Severity::Debug) => "2",
            Tone::Severity(Severity::Critical | Severity::Error) => "31",
            Tone::Severity(Severity::Warning) => "33",
            Tone::Severity(Severity::Unknown) | Tone::Stale => "35",
            Tone::Fine => "32",
        }
    }
}

/// Standard output.
pub struct Output {
    to: BufWriter<StdoutLock<'static>>,
    colour: bool,
    /// Whether somebody waits for each line (`--follow`).
    live: bool,
}

impl Output {
    pub fn new() -> Output {
        Output { to: BufWriter::with_capacity(64 * 1024, io::stdout().lock()), colour: wants_colour(), live: false }
    }

    /// From here on every line leaves at once, and so does what has gathered.
    pub fn live(mut self) -> Output {
        self.live = true;
        // Should nobody read any more, the next line says so.
        let _ = self.to.flush();
        self
    }

    /// One line for people.
    pub fn line(&mut self, text: &str) -> Result<(), Failure> {
        self.toned(&[(Tone::Plain, text)])
    }

    /// One line made of pieces.
    pub fn toned(&mut self, pieces: &[(Tone, &str)]) -> Result<(), Failure> {
        let mut line = String::new();
        for (tone, text) in pieces {
            let sgr = tone.sgr();
            if self.colour && !sgr.is_empty() {
                line.push_str("\x1b[");
                line.push_str(sgr);
                line.push('m');
                line.push_str(&clean_line(text));
                line.push_str("\x1b[0m");
            } else {
                line.push_str(&clean_line(text));
            }
        }
        let kept = line.trim_end().len();
        line.truncate(kept);
        line.push('\n');
        self.raw(line.as_bytes())
    }

    /// Rows whose columns line up. What is cut off a cell, its end or nothing, is the caller's business;
    /// the last column is never padded.
    pub fn table(&mut self, rows: &[Vec<(Tone, String)>]) -> Result<(), Failure> {
        let cleaned: Vec<Vec<(Tone, Cow<'_, str>)>> = rows.iter().map(|row| row.iter().map(|(tone, text)| (*tone, clean_line(text))).collect()).collect();
        let columns = cleaned.iter().map(Vec::len).max().unwrap_or(0);
        let widths: Vec<usize> =
            (0..columns).map(|column| cleaned.iter().filter_map(|row| row.get(column)).map(|(_, text)| text.width()).max().unwrap_or(0)).collect();
        for row in &cleaned {
            let mut pieces: Vec<(Tone, String)> = Vec::new();
            for (place, (tone, text)) in row.iter().enumerate() {
                let gap = if place + 1 < row.len() { widths.get(place).copied().unwrap_or(0).saturating_sub(text.width()) + 2 } else { 0 };
                pieces.push((*tone, text.to_string()));
                pieces.push((Tone::Plain, " ".repeat(if widths.get(place) == Some(&0) { 0 } else { gap })));
            }
            let pieces: Vec<(Tone, &str)> = pieces.iter().map(|(tone, text)| (*tone, text.as_str())).collect();
            self.toned(&pieces)?;
        }
        Ok(())
    }

    /// One JSON object on a line of its own.
    pub fn json<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Failure> {
        let mut line = to_json(value)?;
        line.push('\n');
        self.raw(line.as_bytes())
    }

    /// Text that midwatch made itself from nothing that came from outside (a script of completions, a
    /// man page), or that was made harmless before.
    pub fn raw(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.to.write_all(bytes)?;
        if self.live {
            self.to.flush()?;
        }
        Ok(())
    }

    pub fn finish(mut self) -> Result<(), Failure> {
        Ok(self.to.flush()?)
    }
}

impl Default for Output {
    fn default() -> Output {
        Output::new()
    }
}

/// JSON in which no control, C1 or direction character stands as it is: `--json` on a terminal is as
/// harmless as text, and means the same to every reader.
pub fn to_json<T: Serialize + ?Sized>(value: &T) -> Result<String, Failure> {
    let json = serde_json::to_string(value).map_err(|error| Failure::failed(format!("cannot write this as JSON: {error}"), ""))?;
    if json.bytes().all(|b| (0x20..0x7f).contains(&b)) {
        return Ok(json);
    }
    let mut out = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        // serde_json escapes what lies below U+0020. Whatever else cleaning would not leave as it is
        // stands inside a string, where an escape is the same text.
        let mut buffer = [0_u8; 4];
        if c == ' ' || clean_line(c.encode_utf8(&mut buffer)) == *c.encode_utf8(&mut [0_u8; 4]) {
            out.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0_u16; 2]) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    Ok(out)
}

/// Says what goes on, on standard error: standard output is for what was asked for.
pub fn tell(text: &str) {
    complain(text);
}

/// Says something on standard error. When even that has gone, nobody is left to be told.
pub fn complain(text: &str) {
    let mut text = clean_text(text).into_owned();
    text.push('\n');
    let _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Colour is for terminals whose user has not switched it off (<https://no-color.org>).
pub fn wants_colour() -> bool {
    let off = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    !off && !dumb && io::stdout().is_terminal()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn t11_json_escapes_what_a_terminal_would_obey_and_stays_the_same_text() {
        let hostile = "a\u{1b}[2J\u{9b}6n\u{202e}b é 磁\u{301}\u{7f}\u{e0001}";
        let json = to_json(hostile).unwrap();
        assert!(json.chars().all(|c| !c.is_control() && c != '\u{202e}'), "{json}");
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), hostile);
        assert!(json.contains('é') && json.contains('磁'), "{json}");
    }
}
