//! Events on their way out of a log and back in: JSON Lines, one event a line, public and documented
//! field by field with [`Event`].
//!
//! What leaves is what the log holds: fields that this version does not know, at any depth, are in the
//! lines as well. What comes in is read line by line, in bounded memory; a line that is no event is set
//! aside and said, and the rest goes on.

use std::io::{self, BufRead, Write};

use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;

use super::{Log, Row, StoreError};
use crate::model::event::Event;
use crate::model::id::Sequence;
use crate::model::loose::Loose;
use crate::model::time::Time;

/// Bytes of a line at most. Larger than any event that a server takes.
pub const LONGEST_LINE: usize = 4 << 20;
/// How deep lists and maps may stand in each other. What is deeper is no event of ours.
const DEEPEST: usize = 64;

#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("cannot write what is exported: {0}. Check the disk, or whoever reads it")]
    Write(#[source] io::Error),
    #[error("event {sequence} cannot be read: {why}. Export what lies before and after it, and restore a backup")]
    Event { sequence: u64, why: String },
}

/// Writes the events `from..=to` that the log holds, oldest first; says how many. What was pruned is
/// passed over.
pub async fn export(log: &dyn Log, from: Sequence, to: Sequence, out: &mut (dyn Write + Send)) -> Result<u64, TransferError> {
    let mut next = from.max(log.head().base);
    let mut count = 0_u64;
    while next <= to {
        let rows = match log.range(next, to, 1_000, 4 << 20).await {
            Ok(rows) => rows,
            // Pruning went on meanwhile.
            Err(StoreError::Pruned { base, .. }) if base > next.0 => {
                next = Sequence(base);
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        let Some(last) = rows.last() else { break };
        next = last.sequence.next();
        for row in &rows {
            let line = line(&row.bytes).map_err(|why| TransferError::Event { sequence: row.sequence.0, why })?;
            out.write_all(line.as_bytes()).and_then(|()| out.write_all(b"\n")).map_err(TransferError::Write)?;
            count = count.saturating_add(1);
        }
    }
    out.flush().map_err(TransferError::Write)?;
    Ok(count)
}

/// An encoded event as one line of JSON.
pub fn line(bytes: &[u8]) -> Result<String, String> {
    match rmp_serde::from_slice::<Event>(bytes) {
        // Most are exactly what this version writes.
        Ok(event) if rmp_serde::to_vec_named(&event).is_ok_and(|again| again == bytes) => written(&event),
        Ok(event) => {
            let mut value = serde_json::to_value(&event).map_err(|e| e.to_string())?;
            complete(&mut value, loose(bytes)?);
            written(&value)
        }
        // A later version's, with fields that mean something else here: in its own words.
        Err(_) => written(&spelled(loose(bytes)?)),
    }
}

fn written(value: &impl Serialize) -> Result<String, String> {
    serde_json::to_string(value).map_err(|error| error.to_string())
}

/// Adds what `all` has and `known` has not.
fn complete(known: &mut Value, all: Value) {
    match (known, all) {
        (Value::Object(known), Value::Object(all)) => {
            for (name, value) in all {
                match known.get_mut(&name) {
                    Some(held) => complete(held, value),
                    None => {
                        known.insert(name, value);
                    }
                }
            }
        }
        (Value::Array(known), Value::Array(all)) if known.len() == all.len() => known.iter_mut().zip(all).for_each(|(known, all)| complete(known, all)),
        _ => {}
    }
}

/// The fields that every version spells differently in MessagePack and in JSON.
fn spelled(mut value: Value) -> Value {
    if let Some(fields) = value.as_object_mut() {
        for name in ["at", "recorded"] {
            if let Some(time) = fields.get_mut(name)
                && let Some(micros) = time.as_i64()
            {
                *time = Time::from_micros(micros).to_string().into();
            }
        }
        if let Some(id) = fields.get_mut("id")
            && let Some([Value::String(origin), Value::Number(incarnation), Value::Number(sequence)]) = id.as_array().map(Vec::as_slice)
        {
            *id = format!("{origin}.{incarnation}.{sequence}").into();
        }
    }
    value
}

fn loose(bytes: &[u8]) -> Result<Value, String> {
    let mut reader = rmp_serde::Deserializer::from_read_ref(bytes);
    reader.set_max_depth(DEEPEST);
    Loose::deserialize(&mut reader).map(|loose| loose.0).map_err(|error| error.to_string())
}

/// An event as the log keeps it.
pub fn row(event: &Event) -> Result<Row, rmp_serde::encode::Error> {
    Ok(Row {
        sequence: event.id.sequence,
        at: event.at,
        recorded: event.recorded,
        severity: event.severity,
        kind: event.kind.name().into(),
        system: event.system.clone(),
        bytes: rmp_serde::to_vec_named(event)?.into(),
        seal: None,
    })
}

/// What a line of an import turned out to be.
#[derive(Debug, PartialEq)]
pub enum Line {
    Event {
        line: u64,
        event: Box<Event>,
    },
    /// Set aside: where, and why, without control characters.
    Bad {
        line: u64,
        why: String,
    },
}

/// Reads events, a line each; empty lines are passed over. It ends with the input, or with the first
/// error of reading itself.
pub struct Import<R> {
    input: R,
    line: u64,
    longest: usize,
    ended: bool,
}

impl<R: BufRead> Import<R> {
    pub fn new(input: R) -> Import<R> {
        Import { input, line: 0, longest: LONGEST_LINE, ended: false }
    }

    /// The next line into `line`, without its end; false at the end of the input. `too_long` is set, and the rest of
    /// the line passed over, when it does not fit.
    fn read(&mut self, line: &mut Vec<u8>, too_long: &mut bool) -> io::Result<bool> {
        let mut any = false;
        loop {
            let buffer = match self.input.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            };
            if buffer.is_empty() {
                return Ok(any);
            }
            any = true;
            let end = memchr::memchr(b'\n', buffer);
            let (part, _) = buffer.split_at(end.unwrap_or(buffer.len()).min(buffer.len()));
            if line.len().saturating_add(part.len()) > self.longest {
                *too_long = true;
            } else if !*too_long {
                line.extend_from_slice(part);
            }
            let used = part.len().saturating_add(usize::from(end.is_some()));
            self.input.consume(used);
            if end.is_some() {
                return Ok(true);
            }
        }
    }

    fn parse(&self, text: &[u8]) -> Line {
        // Some editors put a byte order mark in front.
        let text = if self.line == 1 { text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text) } else { text };
        match serde_json::from_slice::<Event>(text) {
            Ok(event) => Line::Event { line: self.line, event: Box::new(event) },
            Err(error) => self.bad(&error.to_string().replace(" at line 1 column ", ", column ")),
        }
    }

    fn bad(&self, why: &str) -> Line {
        Line::Bad { line: self.line, why: why.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).take(300).collect() }
    }
}

impl<R: BufRead> Iterator for Import<R> {
    type Item = io::Result<Line>;

    fn next(&mut self) -> Option<io::Result<Line>> {
        while !self.ended {
            let (mut text, mut too_long) = (Vec::new(), false);
            match self.read(&mut text, &mut too_long) {
                Ok(false) => self.ended = true,
                Err(error) => {
                    self.ended = true;
                    return Some(Err(error));
                }
                Ok(true) => {
                    self.line = self.line.saturating_add(1);
                    if too_long {
                        return Some(Ok(self.bad(&format!("longer than {} bytes", self.longest))));
                    }
                    if !text.trim_ascii().is_empty() {
                        return Some(Ok(self.parse(&text)));
                    }
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::Incarnation;
    use crate::store::memory::MemoryLog;
    use crate::store::rows::{event, origin, rows};

    fn events(text: &str) -> Vec<Event> {
        Import::new(text.as_bytes())
            .map(|line| match line.unwrap() {
                Line::Event { event, .. } => *event,
                Line::Bad { line, why } => panic!("line {line}: {why}"),
            })
            .collect()
    }

    #[tokio::test]
    async fn what_is_exported_is_read_back_as_it_was() {
        let log = MemoryLog::new(origin(), Incarnation(1));
        log.append(Sequence(0), rows(1..=2_500)).await.unwrap();
        let mut out = Vec::new();
        assert_eq!(export(&log, Sequence(2), Sequence(2_400), &mut out).await.unwrap(), 2_399);
        let back = events(std::str::from_utf8(&out).unwrap());
        assert_eq!(back, (2..=2_400).map(event).collect::<Vec<_>>());
        assert_eq!(back.iter().map(|event| row(event).unwrap()).collect::<Vec<_>>(), rows(2..=2_400), "byte for byte");
    }

    #[test]
    fn fields_that_are_not_known_are_exported_at_any_depth() {
        // As a later version may write it: a new field in a known kind's data, one at the top, in maps of bytes.
        let json = serde_json::to_value(event(3)).unwrap();
        let mut bytes = Vec::new();
        let fields = json.as_object().unwrap();
        rmp::encode::write_map_len(&mut bytes, 9).unwrap();
        for name in ["kind", "actor", "title", "severity"] {
            rmp::encode::write_str(&mut bytes, name).unwrap();
            rmp::encode::write_str(&mut bytes, fields[name].as_str().unwrap()).unwrap();
        }
        for name in ["at", "recorded"] {
            rmp::encode::write_str(&mut bytes, name).unwrap();
            rmp::encode::write_sint(&mut bytes, event(3).at.micros()).unwrap();
        }
        rmp::encode::write_str(&mut bytes, "id").unwrap();
        rmp::encode::write_array_len(&mut bytes, 3).unwrap();
        rmp::encode::write_bin(&mut bytes, &[7; 16]).unwrap();
        rmp::encode::write_sint(&mut bytes, 1).unwrap();
        rmp::encode::write_sint(&mut bytes, 3).unwrap();
        rmp::encode::write_str(&mut bytes, "moon").unwrap();
        rmp::encode::write_bin(&mut bytes, &[0xab, 0xcd]).unwrap();
        rmp::encode::write_str(&mut bytes, "data").unwrap();
        rmp::encode::write_map_len(&mut bytes, 2).unwrap();
        rmp::encode::write_str(&mut bytes, "alert").unwrap();
        rmp::encode::write_bin(&mut bytes, &[2; 16]).unwrap();
        rmp::encode::write_str(&mut bytes, "mood").unwrap();
        rmp::encode::write_str(&mut bytes, "grim").unwrap();
        let value: Value = serde_json::from_str(&line(&bytes).unwrap()).unwrap();
        assert_eq!(value.pointer("/data/mood"), Some(&"grim".into()), "{value}");
        assert_eq!(value.pointer("/moon"), Some(&"abcd".into()));
        assert_eq!(value.pointer("/data/alert"), Some(&"02".repeat(16).into()), "a fingerprint, as an event's JSON has it");
        assert_eq!(value.pointer("/id"), Some(&format!("{}.1.3", origin()).into()));
        assert_eq!(value.pointer("/at"), json.pointer("/at"));
    }

    #[test]
    fn an_event_that_cannot_be_read_here_is_exported_all_the_same() {
        let mut value = serde_json::to_value(event(3)).unwrap();
        value["severity"] = "apocalyptic".into();
        let bytes = rmp_serde::to_vec_named(&value).unwrap();
        assert!(rmp_serde::from_slice::<Event>(&bytes).is_err());
        assert_eq!(serde_json::from_str::<Value>(&line(&bytes).unwrap()).unwrap(), value);
    }

    #[test]
    fn b1_what_is_nested_too_deep_is_refused() {
        let mut bytes = vec![0x91; 100_000];
        bytes.push(0xc0);
        assert!(line(&bytes).is_err());
        let json = "[".repeat(100_000);
        assert!(matches!(Import::new(json.as_bytes()).next(), Some(Ok(Line::Bad { line: 1, .. }))));
    }

    #[test]
    fn bad_lines_are_set_aside_with_their_numbers_and_the_rest_goes_on() {
        let good = serde_json::to_string(&event(1)).unwrap();
        let long = "x".repeat(5_000);
        let text = format!("\u{feff}{good}\r\n\n{{\"severity\":\"\\u001b[31m\"}}\n{long}\n{{\"kind\":\n{good}\n\u{1b}[2J\n{good}");
        let mut import = Import::new(std::io::BufReader::with_capacity(7, text.as_bytes()));
        import.longest = 4_000;
        let lines: Vec<Line> = import.map(Result::unwrap).collect();
        let good: Vec<u64> = lines.iter().filter_map(|l| if let Line::Event { line, .. } = l { Some(*line) } else { None }).collect();
        assert_eq!(good, [1, 6, 8]);
        let bad: Vec<(u64, &str)> = lines.iter().filter_map(|l| if let Line::Bad { line, why } = l { Some((*line, &**why)) } else { None }).collect();
        assert_eq!(bad.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [3, 4, 5, 7]);
        assert!(bad[0].1.contains("unknown variant") && bad[1].1 == "longer than 4000 bytes" && bad[2].1.contains("column"), "{bad:?}");
        assert!(bad.iter().all(|(_, why)| !why.chars().any(char::is_control)));
    }
}
