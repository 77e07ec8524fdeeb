//! Which format a file has, found by looking at its first lines; then: where a line's stamp is.

use std::ops::ControlFlow;

use super::stamp::{self, Stamp, Zone};
use super::{json, level};
use crate::model::event::Event;
use crate::model::severity::Severity;

/// How the lines of one file are read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Format {
    /// Events as midwatch exports them.
    Export,
    /// One JSON object a line, its time under this key.
    Json { time: Box<[u8]> },
    /// `ts=… level=…`, its time behind this key and its `=`.
    Logfmt { time: Box<[u8]> },
    /// RFC 3339, ISO 8601 and their likes, behind so many words, perhaps in a bracket.
    Iso { words: usize },
    /// RFC 5424: `<34>1 2026-11-21T02:57:00Z host app …`.
    Syslog5424,
    /// RFC 3164, perhaps behind `<34>`: `Nov 21 02:57:00 host app[1]: …`.
    Syslog,
    /// Common and combined log format of web servers.
    Common,
    /// `Sat Nov 21 02:57:00 2026`, perhaps in a bracket.
    Ctime,
    /// `E1121 02:57:00.123456` of klog and glog.
    Klog,
    /// A number since 1970, behind so many words, perhaps in a bracket.
    Epoch { words: usize },
    /// No line has a time: each is an event at the file's own.
    Plain,
}

/// The keys under which JSON and logfmt lines have their time, the usual ones first.
const TIME_KEYS: [&str; 17] = [
    "@timestamp",
    "timestamp",
    "time",
    "ts",
    "@t",
    "t",
    "datetime",
    "date",
    "eventTime",
    "event_time",
    "asctime",
    "at",
    "_time",
    "logtime",
    "created",
    "instant",
    "__REALTIME_TIMESTAMP",
];
const LEVEL_KEYS: [&str; 12] = ["level", "severity", "lvl", "@l", "loglevel", "log_level", "levelname", "log.level", "PRIORITY", "priority", "sev", "status"];

impl Format {
    /// The format in which most of these lines have a time. `sample` is how the file begins.
    pub fn find(sample: &[u8], zone: &mut Zone) -> Format {
        let lines: Vec<&[u8]> = sample.split(|b| *b == b'\n').map(trim).filter(|line| !line.is_empty()).take(400).collect();
        let exported = lines.iter().take(20).filter(|line| line.starts_with(b"{") && is_export(line)).count();
        if exported > 0 {
            return Format::Export;
        }
        let mut candidates: Vec<Format> = Vec::new();
        for key in TIME_KEYS {
            candidates.push(Format::Json { time: key.as_bytes().into() });
        }
        candidates.extend([
            Format::Iso { words: 0 },
            Format::Syslog5424,
            Format::Syslog,
            Format::Common,
            Format::Klog,
            Format::Ctime,
            Format::Epoch { words: 0 },
        ]);
        for words in 1..=3 {
            candidates.extend([Format::Iso { words }, Format::Epoch { words }]);
        }
        for key in ["time", "ts", "timestamp", "t", "at", "date"] {
            candidates.push(Format::Logfmt { time: key.as_bytes().into() });
        }
        let mut best = (0, Format::Plain);
        for candidate in candidates {
            let count = lines.iter().filter(|line| candidate.stamp(line, zone).is_some()).count();
            if count > best.0 {
                best = (count, candidate);
            }
        }
        best.1
    }

    /// The stamp of a line, if it has one in this format.
    #[inline]
    pub fn stamp(&self, line: &[u8], zone: &mut Zone) -> Option<Stamp> {
        match self {
            Format::Iso { words: 0 } => match line.first()? {
                b'[' | b'(' | b'<' | b'"' => bracketed(line, 0, zone, stamp::iso),
                _ => stamp::iso(line, zone),
            },
            Format::Iso { words } => bracketed(line, behind_words(line, *words)?, zone, stamp::iso),
            Format::Export => json_stamp(line, b"at", zone),
            Format::Json { time } => json_stamp(line, time, zone),
            Format::Logfmt { time } => logfmt_stamp(line, time, zone),
            Format::Syslog5424 => {
                let at = behind_priority(line)?;
                match line.get(at..)? {
                    [b'1', b' ', rest @ ..] => stamp::iso(rest, zone).map(|stamp| Stamp { end: stamp.end + at + 2, ..stamp }),
                    _ => None,
                }
            }
            Format::Syslog => {
                let at = behind_priority(line).unwrap_or(0);
                stamp::syslog(line.get(at..)?, zone).map(|stamp| Stamp { end: stamp.end + at, ..stamp })
            }
            Format::Common => {
                let at = memchr::memchr(b'[', line.get(..line.len().min(512))?)? + 1;
                stamp::clf(line.get(at..)?, zone).map(|stamp| Stamp { end: stamp.end + at + 1, ..stamp })
            }
            Format::Ctime => bracketed(line, 0, zone, stamp::ctime),
            Format::Klog => {
                level::of_letter(*line.first()?)?;
                stamp::klog(line.get(1..)?, zone).map(|stamp| Stamp { end: stamp.end + 1, ..stamp })
            }
            Format::Epoch { words } => bracketed(line, behind_words(line, *words)?, zone, |text, _| stamp::epoch(text)),
            Format::Plain => Some(Stamp { at: zone.latest().micros(), end: 0 }),
        }
    }

    /// How bad a line says that it is, given where its stamp ends.
    pub fn severity(&self, line: &[u8], stamp_end: usize) -> Severity {
        let rest = line.get(stamp_end..).unwrap_or(line);
        match self {
            Format::Export => json::field(line, b"severity").and_then(|value| level::of_field(&json::text(value))).unwrap_or_default(),
            Format::Json { .. } => json_severity(line),
            Format::Syslog5424 | Format::Syslog => match priority(line) {
                Some(priority) => level::of_priority(priority),
                None => level::of_text(rest),
            },
            Format::Common => level::of_request(rest),
            Format::Klog => line.first().and_then(|letter| level::of_letter(*letter)).unwrap_or_default(),
            // The level may stand before the stamp: `WARN 2026-11-21 …`, `level=warn ts=…`.
            Format::Iso { words: 1.. } | Format::Epoch { words: 1.. } | Format::Logfmt { .. } => level::of_text(line),
            Format::Iso { .. } | Format::Epoch { .. } | Format::Ctime | Format::Plain => level::of_text(rest),
        }
    }

    /// For people: what the file was taken for.
    pub fn describe(&self) -> String {
        match self {
            Format::Export => "exported events".into(),
            Format::Json { time } => format!("JSON lines, time in `{}`", String::from_utf8_lossy(time)),
            Format::Logfmt { time } => format!("logfmt, time in `{}`", String::from_utf8_lossy(time)),
            Format::Iso { .. } => "ISO 8601 times".into(),
            Format::Syslog5424 => "syslog (RFC 5424)".into(),
            Format::Syslog => "syslog (RFC 3164)".into(),
            Format::Common => "common log format".into(),
            Format::Ctime => "ctime times".into(),
            Format::Klog => "klog".into(),
            Format::Epoch { .. } => "seconds since 1970".into(),
            Format::Plain => "no times".into(),
        }
    }
}

pub(super) fn trim(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn is_export(line: &[u8]) -> bool {
    let has = |name: &[u8]| json::field(line, name).is_some();
    has(b"kind") && has(b"at") && serde_json::from_slice::<Event>(line).is_ok()
}

fn bracketed(line: &[u8], from: usize, zone: &mut Zone, parse: impl Fn(&[u8], &mut Zone) -> Option<Stamp>) -> Option<Stamp> {
    let at = from + usize::from(matches!(line.get(from)?, b'[' | b'(' | b'<' | b'"'));
    let stamp = parse(line.get(at..)?, zone)?;
    // The bracket that closes belongs to the stamp.
    let closes = at > from && matches!(line.get(at + stamp.end), Some(b']' | b')' | b'>' | b'"'));
    Some(Stamp { end: at + stamp.end + usize::from(closes), ..stamp })
}

/// Where the word after so many others begins.
fn behind_words(line: &[u8], words: usize) -> Option<usize> {
    let space = |b: &u8| *b == b' ' || *b == b'\t';
    let mut at = 0;
    for _ in 0..words {
        let rest = line.get(at..line.len().min(at + 128))?;
        at += rest.iter().position(space)?;
        at += line.get(at..)?.iter().position(|b| !space(b))?;
    }
    Some(at)
}

/// Behind `<34>`.
fn behind_priority(line: &[u8]) -> Option<usize> {
    let rest = line.strip_prefix(b"<")?;
    let digits = rest.iter().take(4).take_while(|b| b.is_ascii_digit()).count();
    ((1..=3).contains(&digits) && rest.get(digits) == Some(&b'>')).then_some(digits + 2)
}

fn priority(line: &[u8]) -> Option<u32> {
    let end = behind_priority(line)?;
    std::str::from_utf8(line.get(1..end - 1)?).ok()?.parse().ok()
}

fn json_stamp(line: &[u8], key: &[u8], zone: &mut Zone) -> Option<Stamp> {
    if line.first()? != &b'{' && !line.trim_ascii_start().starts_with(b"{") {
        return None;
    }
    let value = json::field(line, key)?;
    stamp::any(value.strip_prefix(b"\"").map_or(value, |rest| rest.strip_suffix(b"\"").unwrap_or(rest)), zone).map(|stamp| Stamp { end: 0, ..stamp })
}

fn logfmt_stamp(line: &[u8], key: &[u8], zone: &mut Zone) -> Option<Stamp> {
    let head = line.get(..line.len().min(256))?;
    for at in memchr::memchr_iter(b'=', head) {
        let start = at.checked_sub(key.len())?;
        let alone = start == 0 || matches!(head.get(start - 1), Some(b' ' | b'\t'));
        if alone && head.get(start..at) == Some(key) {
            let from = at + 1 + usize::from(head.get(at + 1) == Some(&b'"'));
            let text = line.get(from..)?;
            let stamp = stamp::iso(text, zone).or_else(|| stamp::epoch(text))?;
            let closes = usize::from(text.get(stamp.end) == Some(&b'"'));
            return Some(Stamp { end: from + stamp.end + closes, ..stamp });
        }
    }
    None
}

fn json_severity(line: &[u8]) -> Severity {
    let mut best: Option<(usize, Severity)> = None;
    json::fields(line, |key, value| {
        if let Some(rank) =
            LEVEL_KEYS.iter().position(|known| known.as_bytes() == key || (known.len() == key.len() && known.as_bytes().eq_ignore_ascii_case(key)))
            && best.is_none_or(|(known, _)| rank < known)
            && let Some(severity) = level::of_field(value.strip_prefix(b"\"").and_then(|v| v.strip_suffix(b"\"")).unwrap_or(value))
        {
            best = Some((rank, severity));
            if rank == 0 {
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    });
    best.map_or(Severity::Info, |(_, severity)| severity)
}

/// The message of a JSON line.
pub(super) fn json_message(line: &[u8]) -> Option<&[u8]> {
    const KEYS: [&str; 8] = ["msg", "message", "@m", "MESSAGE", "@mt", "log", "event", "text"];
    let mut best: Option<(usize, &[u8])> = None;
    json::fields(line, |key, value| {
        if let Some(rank) = KEYS.iter().position(|known| known.as_bytes() == key)
            && best.is_none_or(|(known, _)| rank < known)
        {
            best = Some((rank, value));
        }
        ControlFlow::Continue(())
    });
    best.map(|(_, value)| value)
}
