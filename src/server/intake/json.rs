//! JSON and times from outside: bounded before they are parsed.

use serde::Deserialize;

use super::guard::Refused;
use crate::model::time::Time;

/// How deep values may be nested. Alertmanager's own messages need four.
const DEEPEST: usize = 32;

/// Reads a body as JSON: valid UTF-8, nested no deeper than we allow, of the shape that we expect.
pub(super) fn read<'a, T: Deserialize<'a>>(body: &'a [u8], what: &str) -> Result<T, Refused> {
    let text = std::str::from_utf8(body)
        .map_err(|error| Refused::bad(format!("the body is not UTF-8: byte {} begins none of its characters", error.valid_up_to())))?;
    if !shallow(text.as_bytes()) {
        return Err(Refused::bad(format!("the body nests values deeper than {DEEPEST}")));
    }
    serde_json::from_str(text).map_err(|error| Refused::bad(format!("this is not {what}: {error}")))
}

/// Whether brackets are nested no deeper than [`DEEPEST`]; looked at before anything is parsed.
pub(super) fn shallow(text: &[u8]) -> bool {
    let mut depth = 0_usize;
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => {
                // To the end of the text: an escaped quotation mark does not end it.
                while let Some(inner) = bytes.next() {
                    match inner {
                        b'\\' => {
                            bytes.next();
                        }
                        b'"' => break,
                        _ => {}
                    }
                }
            }
            b'{' | b'[' => {
                depth += 1;
                if depth > DEEPEST {
                    return false;
                }
            }
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    true
}

/// A time as Go's clients write it: RFC 3339; empty, or the first second of year 1, is no time at all.
/// The last days of year 9999 lie beyond what we can write down and become the latest that we can.
pub(in crate::server) fn time(text: &str) -> Result<Option<Time>, String> {
    if text.is_empty() || text.starts_with("0001-01-01T00:00:00") {
        return Ok(None);
    }
    match text.parse::<Time>() {
        Ok(time) => Ok(Some(time)),
        Err(error) => match text.get(..5) {
            Some("9999-") if text.trim_end_matches('Z').parse::<jiff::civil::DateTime>().is_ok() => Ok(Some(Time::MAX)),
            Some(_) | None => Err(error.to_string()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn b1_nesting_is_counted_before_parsing() {
        let deep = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(shallow(deep(32).as_bytes()) && !shallow(deep(33).as_bytes()));
        assert!(shallow(format!("\"{}\"", "[".repeat(99)).as_bytes()), "brackets in a text are text");
        assert!(!shallow(format!("\"\\\"\",{}", deep(40)).as_bytes()), "an escaped quotation mark hides nothing");
        assert!(read::<serde_json::Value>("[".repeat(5_000_000).as_bytes(), "a test").is_err());
    }

    #[test]
    fn times_of_odd_years_are_read() {
        assert_eq!(time("0001-01-01T00:00:00Z").unwrap(), None);
        assert_eq!(time("").unwrap(), None);
        assert_eq!(time("1970-01-01T00:00:00Z").unwrap(), Some(Time::from_secs(0)));
        assert_eq!(time("9999-12-31T23:59:59Z").unwrap(), Some(Time::MAX));
        assert_eq!(time("2026-11-21T03:39:00.123456789+01:00").unwrap(), Some(Time::from_micros(1_795_228_740_123_456)));
        assert!(time("yesterday").is_err() && time("9999-99-99T00:00:00Z").is_err());
    }
}
