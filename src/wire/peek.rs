//! The few fields by which events are ordered and coloured, read from an event's bytes without decoding
//! the rest: a console takes in a million events and looks into those alone that it shows.

use super::codec::WireError;
use super::depth::{self, number, skip};
use crate::model::id::{EventId, Sequence};
use crate::model::severity::Severity;
use crate::model::time::Time;

/// What [`peek`] finds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    pub sequence: Sequence,
    pub at: Time,
    pub recorded: Time,
    pub severity: Severity,
}

/// Reads `id`, `at`, `recorded` and `severity`, wherever they stand. Without `recorded`: `at`.
pub fn peek(bytes: &[u8]) -> Result<Header, WireError> {
    let (mut at, fields) = start(bytes)?;
    let (mut sequence, mut when, mut recorded, mut severity) = (None, None, None, Severity::Info);
    for _ in 0..fields {
        let (key, value) = text(bytes, at)?;
        let end = match key {
            b"id" => {
                // [origin, incarnation, sequence]
                let marker = bytes.get(value).copied().unwrap_or(0);
                if marker != 0x93 {
                    return Err(wrong("an id is three values"));
                }
                let second = skip(bytes, value + 1, 1)?;
                let third = skip(bytes, second, 1)?;
                let (found, end) = integer(bytes, third)?;
                sequence = Some(Sequence(u64::try_from(found).map_err(|_| wrong("a sequence is not negative"))?));
                end
            }
            b"at" => {
                let (found, end) = integer(bytes, value)?;
                when = Some(Time::from_micros(found));
                end
            }
            b"recorded" => {
                let (found, end) = integer(bytes, value)?;
                recorded = Some(Time::from_micros(found));
                end
            }
            b"severity" => {
                let (word, end) = text(bytes, value)?;
                severity = Severity::ALL.into_iter().find(|severity| severity.word().as_bytes() == word).ok_or_else(|| wrong("an unknown severity"))?;
                end
            }
            _ => skip(bytes, value, depth::EVENT)?,
        };
        at = end;
        if let (Some(sequence), Some(at), Some(recorded)) = (sequence, when, recorded)
            && key == b"severity"
        {
            return Ok(Header { sequence, at, recorded, severity });
        }
    }
    match (sequence, when) {
        (Some(sequence), Some(at)) => Ok(Header { sequence, at, recorded: recorded.unwrap_or(at), severity }),
        (None, _) => Err(wrong("an event without id")),
        (_, None) => Err(wrong("an event without at")),
    }
}

/// Reads an event's `id` alone, whatever stands beside it.
pub fn id(bytes: &[u8]) -> Result<EventId, WireError> {
    let (mut at, fields) = start(bytes)?;
    for _ in 0..fields {
        let (key, value) = text(bytes, at)?;
        at = skip(bytes, value, depth::EVENT)?;
        if key == b"id" {
            let bytes = bytes.get(value..at).unwrap_or_default();
            return rmp_serde::from_slice(bytes).map_err(|error| WireError::Malformed(error.to_string()));
        }
    }
    Err(wrong("an event without id"))
}

/// Where the first field of an event begins, and how many there are.
fn start(bytes: &[u8]) -> Result<(usize, u64), WireError> {
    match bytes.first().copied().unwrap_or(0xc0) {
        marker @ 0x80..=0x8f => Ok((1, u64::from(marker & 0x0f))),
        0xde => {
            let mut at = 1;
            let fields = number(bytes, &mut at, 2)?;
            Ok((at, fields))
        }
        _ => Err(wrong("an event is a map")),
    }
}

/// What an event is searched by, as it stands in its bytes. Text is not checked to be UTF-8.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'a> {
    pub header: Header,
    pub kind: &'a [u8],
    pub system: Option<&'a [u8]>,
    pub title: &'a [u8],
    pub text: &'a [u8],
}

/// Reads what most filters ask for, without decoding anything else.
pub fn fields(bytes: &[u8]) -> Result<Fields<'_>, WireError> {
    let header = peek(bytes)?;
    let mut found = Fields { header, kind: b"", system: None, title: b"", text: b"" };
    let (mut at, fields) = start(bytes)?;
    for _ in 0..fields {
        let (key, value) = text(bytes, at)?;
        at = match key {
            b"kind" | b"title" | b"text" | b"system" if !matches!(bytes.get(value), Some(0xc0)) => {
                let (word, end) = text(bytes, value)?;
                match key {
                    b"kind" => found.kind = word,
                    b"title" => found.title = word,
                    b"text" => found.text = word,
                    _ => found.system = Some(word),
                }
                end
            }
            _ => skip(bytes, value, depth::EVENT)?,
        };
    }
    Ok(found)
}

fn wrong(what: &str) -> WireError {
    WireError::Malformed(what.to_owned())
}

/// A string, and where it ends.
fn text(bytes: &[u8], start: usize) -> Result<(&[u8], usize), WireError> {
    let mut at = start + 1;
    let length = match bytes.get(start).copied().unwrap_or(0xc0) {
        marker @ 0xa0..=0xbf => u64::from(marker & 0x1f),
        0xd9 => number(bytes, &mut at, 1)?,
        0xda => number(bytes, &mut at, 2)?,
        0xdb => number(bytes, &mut at, 4)?,
        _ => return Err(wrong("not a string")),
    };
    let end = usize::try_from(length).ok().and_then(|length| at.checked_add(length)).ok_or_else(|| wrong("it ends early"))?;
    Ok((bytes.get(at..end).ok_or_else(|| wrong("it ends early"))?, end))
}

/// An integer of any width, and where it ends.
fn integer(bytes: &[u8], start: usize) -> Result<(i64, usize), WireError> {
    let mut at = start + 1;
    let marker = bytes.get(start).copied().unwrap_or(0xc0);
    let found = match marker {
        0x00..=0x7f => i64::from(marker),
        0xe0..=0xff => i64::from(marker) - 256,
        0xcc => signed(number(bytes, &mut at, 1)?),
        0xcd => signed(number(bytes, &mut at, 2)?),
        0xce => signed(number(bytes, &mut at, 4)?),
        0xcf => signed(number(bytes, &mut at, 8)?),
        0xd0 => i64::from(u8::try_from(number(bytes, &mut at, 1)?).unwrap_or(0).cast_signed()),
        0xd1 => i64::from(u16::try_from(number(bytes, &mut at, 2)?).unwrap_or(0).cast_signed()),
        0xd2 => i64::from(u32::try_from(number(bytes, &mut at, 4)?).unwrap_or(0).cast_signed()),
        0xd3 => number(bytes, &mut at, 8)?.cast_signed(),
        _ => return Err(wrong("not an integer")),
    };
    Ok((found, at))
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
