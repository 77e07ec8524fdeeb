//! One event of a file, not understood further than it is asked: a line of a log with the lines that
//! belong to it, or an exported event.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::format::{self, Format};
use super::json;
use crate::model::event::{Actor, Draft, Event, LogLine};
use crate::model::filter::{States, Subject};
use crate::model::id::{EventId, Incarnation, Origin, Sequence, SourceId};
use crate::model::labels::Labels;
use crate::model::severity::Severity;
use crate::model::time::Time;

/// A file, as its events speak of it.
#[derive(Clone, Debug)]
pub struct Origins {
    pub path: PathBuf,
    /// What `source:` compares and screens show: the file's name.
    pub name: Arc<str>,
    pub actor: Actor,
    pub origin: Origin,
}

impl Origins {
    pub fn of(path: &Path) -> Origins {
        let name = if path.as_os_str() == "-" { "stdin".into() } else { path.file_name().unwrap_or(path.as_os_str()).to_string_lossy() };
        let hash = Sha256::digest(path.as_os_str().as_encoded_bytes());
        let origin = hash.first_chunk::<16>().copied().unwrap_or_default();
        Origins { path: path.into(), actor: Actor::Source(SourceId::new(&name)), name: name.as_ref().into(), origin: Origin(origin) }
    }
}

/// An event within a buffer. Asked by filters; made into an [`Event`] where one is needed.
pub struct Entry<'a> {
    pub at: Time,
    /// Where it begins in the file's (unpacked) bytes.
    pub position: u64,
    /// Without the line break at its end.
    pub raw: &'a [u8],
    /// Where the first line's stamp ends.
    pub stamp_end: usize,
    pub format: &'a Format,
    pub origins: &'a Origins,
    parsed: OnceCell<Option<Box<Event>>>,
}

impl<'a> Entry<'a> {
    pub fn new(at: Time, position: u64, raw: &'a [u8], stamp_end: usize, format: &'a Format, origins: &'a Origins) -> Entry<'a> {
        Entry { at, position, raw, stamp_end, format, origins, parsed: OnceCell::new() }
    }

    fn first_line(&self) -> &'a [u8] {
        let end = memchr::memchr(b'\n', self.raw).unwrap_or(self.raw.len());
        format::trim(self.raw.get(..end).unwrap_or(self.raw))
    }

    /// The whole exported event; an export's line that is none is shown as a line.
    pub fn exported(&self) -> Option<&Event> {
        if *self.format != Format::Export {
            return None;
        }
        self.parsed.get_or_init(|| serde_json::from_slice(self.raw).ok().map(Box::new)).as_deref()
    }

    fn json_text(&self, name: &[u8]) -> Option<Cow<'_, str>> {
        json::field(self.raw, name).map(|value| match json::text(value) {
            Cow::Borrowed(text) => String::from_utf8_lossy(text),
            Cow::Owned(text) => Cow::Owned(String::from_utf8_lossy(&text).into_owned()),
        })
    }

    /// A field that an export's line writes as plain text.
    fn plain_field(&self, name: &[u8]) -> Option<&'a str> {
        if *self.format != Format::Export {
            return None;
        }
        let value = json::field(self.raw, name)?.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
        std::str::from_utf8(value).ok()
    }

    /// What stands behind the stamp in the first line: the title, where the format has no fields.
    pub fn plain_title(&self) -> &'a [u8] {
        let line = self.first_line();
        line.get(self.stamp_end..).unwrap_or(line).trim_ascii()
    }

    /// As an event: an export's own, or one of kind `log`.
    pub fn event(&self) -> Event {
        if let Some(event) = self.exported() {
            return event.clone();
        }
        let line = self.first_line();
        let (title, text): (Cow<'_, str>, Cow<'_, str>) = match self.format {
            Format::Json { .. } => match format::json_message(line) {
                Some(message) => (String::from_utf8_lossy(&json::text(message)).into_owned().into(), String::from_utf8_lossy(self.raw)),
                None => (String::from_utf8_lossy(line), "".into()),
            },
            _ => {
                let rest = self.plain_title();
                let following = self.raw.get(line.len()..).unwrap_or(&[]);
                (String::from_utf8_lossy(rest), String::from_utf8_lossy(following.trim_ascii_end().strip_prefix(b"\r").unwrap_or(following.trim_ascii_end())))
            }
        };
        let text = text.strip_prefix('\n').unwrap_or(&text);
        let mut draft = Draft::new(self.at, self.origins.actor.clone(), LogLine {}, title.as_ref()).severity(self.severity()).text(text);
        draft.labels = self.labels();
        let id = EventId { origin: self.origins.origin, incarnation: Incarnation(0), sequence: Sequence(self.position.saturating_add(1)) };
        draft.stamp(id, self.at)
    }

    /// The text fields of a JSON line; who wrote a line of syslog.
    fn labels(&self) -> Labels {
        let mut pairs: Vec<(String, String)> = Vec::new();
        if matches!(self.format, Format::Json { .. }) {
            json::fields(self.raw, |key, value| {
                if value.starts_with(b"\"") && value.len() <= 256 && pairs.len() < Labels::MOST {
                    pairs.push((String::from_utf8_lossy(key).into_owned(), String::from_utf8_lossy(&json::text(value)).into_owned()));
                }
                std::ops::ControlFlow::Continue(())
            });
            if let Format::Json { time } = self.format {
                let message = format::json_message(self.raw).map(|m| String::from_utf8_lossy(&json::text(m)).into_owned());
                pairs.retain(|(name, value)| name.as_bytes() != &**time && Some(value) != message.as_ref());
            }
        }
        for name in ["host", "app"] {
            if let Some(value) = self.written_by(name) {
                pairs.push((name.into(), value.into_owned()));
            }
        }
        Labels::new(pairs)
    }

    /// `host` and `app` of a line of syslog.
    fn written_by(&self, name: &str) -> Option<Cow<'_, str>> {
        if !matches!(self.format, Format::Syslog | Format::Syslog5424) {
            return None;
        }
        let mut words = self.first_line().get(self.stamp_end..)?.split(|b| *b == b' ').filter(|word| !word.is_empty());
        let host = words.next()?;
        let word = match name {
            "host" => host,
            "app" => words.next()?.split(|b| matches!(b, b'[' | b':')).next()?,
            _ => return None,
        };
        Some(String::from_utf8_lossy(word))
    }
}

impl Subject for Entry<'_> {
    fn at(&self) -> Time {
        self.at
    }

    fn severity(&self) -> Severity {
        self.format.severity(self.first_line(), self.stamp_end)
    }

    fn kind(&self) -> &str {
        self.plain_field(b"kind").unwrap_or("log")
    }

    fn system(&self) -> Option<&str> {
        self.plain_field(b"system")
    }

    fn server(&self) -> Option<&str> {
        None
    }

    fn states(&self) -> States {
        self.exported().map_or(States::NONE, Subject::states)
    }

    fn check(&self) -> Option<&str> {
        self.exported()?.check()
    }

    fn agent(&self) -> Option<&str> {
        self.exported()?.agent()
    }

    fn source(&self) -> Option<&str> {
        match *self.format {
            Format::Export => self.exported()?.source(),
            _ => Some(&self.origins.name),
        }
    }

    fn any_actor(&self, test: &mut dyn FnMut(&Actor) -> bool) -> bool {
        match *self.format {
            Format::Export => self.exported().is_some_and(|event| event.any_actor(test)),
            _ => test(&self.origins.actor),
        }
    }

    fn label(&self, name: &str) -> Option<Cow<'_, str>> {
        match self.format {
            Format::Export => self.exported()?.label(name),
            Format::Json { .. } => self.json_text(name.as_bytes()),
            _ => self.written_by(name),
        }
    }

    fn any_text(&self, test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        let field = |name: &[u8], test: &mut dyn FnMut(&[u8]) -> bool| json::field(self.raw, name).is_some_and(|value| test(&json::text(value)));
        match self.format {
            // Found in an export is what a server would find: title and text.
            Format::Export => field(b"title", test) || field(b"text", test),
            Format::Json { .. } => {
                test(self.raw) || format::json_message(self.raw).filter(|m| memchr::memchr(b'\\', m).is_some()).is_some_and(|m| test(&json::text(m)))
            }
            _ => test(self.raw),
        }
    }
}
