//! Points in time and lengths of time.
//!
//! The model has no clock: every function that depends on "now" is handed a [`Time`]. One `i64` of
//! microseconds keeps the index of a million events small; jiff does calendars and zones at the edges.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Microseconds since 1970-01-01T00:00:00Z. Text and JSON: RFC 3339 in UTC; MessagePack: the number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Time(i64);

impl Time {
    /// The earliest time that can be written down (year -9999); what lies before is clamped to it.
    pub const MIN: Time = Time(-377_705_023_201_000_000);
    /// The latest time that can be written down (year 9999); what lies after is clamped to it.
    pub const MAX: Time = Time(253_402_207_200_000_000);

    pub const fn from_micros(micros: i64) -> Time {
        if micros < Time::MIN.0 {
            Time::MIN
        } else if micros > Time::MAX.0 {
            Time::MAX
        } else {
            Time(micros)
        }
    }

    pub const fn from_millis(millis: i64) -> Time {
        Time::from_micros(millis.saturating_mul(1_000))
    }

    pub const fn from_secs(secs: i64) -> Time {
        Time::from_micros(secs.saturating_mul(1_000_000))
    }

    pub const fn micros(self) -> i64 {
        self.0
    }

    pub const fn secs(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// How long after `earlier` this is; zero when it is not after.
    pub const fn since(self, earlier: Time) -> Span {
        let micros = self.0.saturating_sub(earlier.0);
        Span(if micros < 0 { 0 } else { micros })
    }

    pub const fn plus(self, span: Span) -> Time {
        Time::from_micros(self.0.saturating_add(span.0))
    }

    pub const fn minus(self, span: Span) -> Time {
        Time::from_micros(self.0.saturating_sub(span.0))
    }

    /// As jiff has it; a [`Time`] is always within jiff's range.
    pub fn timestamp(self) -> jiff::Timestamp {
        jiff::Timestamp::from_microsecond(self.0).unwrap_or(jiff::Timestamp::UNIX_EPOCH)
    }

    /// This moment on the wall clock of `zone`.
    pub fn zoned(self, zone: &jiff::tz::TimeZone) -> jiff::Zoned {
        self.timestamp().to_zoned(zone.clone())
    }
}

impl From<jiff::Timestamp> for Time {
    fn from(timestamp: jiff::Timestamp) -> Time {
        Time::from_micros(timestamp.as_microsecond())
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.timestamp().fmt(f)
    }
}

impl FromStr for Time {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Time, TimeError> {
        text.parse::<jiff::Timestamp>().map(Time::from).map_err(|_| TimeError { text: text.chars().take(60).collect() })
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a time; write it like 2026-11-21T02:57:00Z (RFC 3339)")]
pub struct TimeError {
    text: String,
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if s.is_human_readable() { s.collect_str(self) } else { s.serialize_i64(self.0) }
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Time, D::Error> {
        if d.is_human_readable() {
            let text = String::deserialize(d)?;
            text.parse().map_err(serde::de::Error::custom)
        } else {
            i64::deserialize(d).map(Time::from_micros)
        }
    }
}

/// A length of time in microseconds, never negative. Text: `90s`, `5m`, `1h30m`, `2d`; JSON the same
/// text; MessagePack: the number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct Span(i64);

impl Span {
    pub const ZERO: Span = Span(0);

    pub const fn from_micros(micros: i64) -> Span {
        Span(if micros < 0 { 0 } else { micros })
    }

    pub const fn from_millis(millis: i64) -> Span {
        Span::from_micros(millis.saturating_mul(1_000))
    }

    pub const fn from_secs(secs: i64) -> Span {
        Span::from_micros(secs.saturating_mul(1_000_000))
    }

    pub const fn from_mins(mins: i64) -> Span {
        Span::from_secs(mins.saturating_mul(60))
    }

    pub const fn from_hours(hours: i64) -> Span {
        Span::from_mins(hours.saturating_mul(60))
    }

    pub const fn from_days(days: i64) -> Span {
        Span::from_hours(days.saturating_mul(24))
    }

    pub const fn micros(self) -> i64 {
        self.0
    }

    pub const fn secs(self) -> i64 {
        self.0 / 1_000_000
    }

    pub const fn times(self, factor: i64) -> Span {
        Span::from_micros(self.0.saturating_mul(factor))
    }

    pub fn duration(self) -> std::time::Duration {
        std::time::Duration::from_micros(u64::try_from(self.0).unwrap_or(0))
    }
}

impl From<std::time::Duration> for Span {
    fn from(duration: std::time::Duration) -> Span {
        Span(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX))
    }
}

/// As people read ages: the two largest units at most below a day (`4m12s`, `1h05m`), one above (`3d`).
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self.secs() {
            0 if self.0 > 0 => format!("{}ms", self.0 / 1_000),
            s @ 0..60 => format!("{s}s"),
            s @ 60..3_600 if s % 60 == 0 => format!("{}m", s / 60),
            s @ 60..3_600 => format!("{}m{:02}s", s / 60, s % 60),
            s @ 3_600..86_400 if s % 3_600 < 60 => format!("{}h", s / 3_600),
            s @ 3_600..86_400 => format!("{}h{:02}m", s / 3_600, s % 3_600 / 60),
            s => format!("{}d", s / 86_400),
        };
        f.pad(&text)
    }
}

impl FromStr for Span {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Span, SpanError> {
        let refuse = || SpanError { text: text.chars().take(60).collect() };
        let mut rest = text.trim();
        let mut total: i64 = 0;
        if rest.is_empty() {
            return Err(refuse());
        }
        while !rest.is_empty() {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, tail) = rest.split_at_checked(digits).ok_or_else(refuse)?;
            let letters = tail.bytes().take_while(u8::is_ascii_alphabetic).count();
            let (unit, tail) = tail.split_at_checked(letters).ok_or_else(refuse)?;
            let number: i64 = number.parse().map_err(|_| refuse())?;
            let micros: i64 = match unit {
                "ms" => 1_000,
                "s" => 1_000_000,
                "m" | "min" => 60_000_000,
                "h" => 3_600_000_000,
                "d" => 86_400_000_000,
                "w" => 604_800_000_000,
                "y" => 31_536_000_000_000,
                _ => return Err(refuse()),
            };
            let part = number.checked_mul(micros).ok_or_else(refuse)?;
            total = total.checked_add(part).ok_or_else(refuse)?;
            rest = tail;
        }
        Ok(Span(total))
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a length of time; write it like 90s, 5m, 1h30m or 2d")]
pub struct SpanError {
    text: String,
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        if !s.is_human_readable() {
            return s.serialize_i64(self.0);
        }
        // Exact, unlike the display for people: 90 minutes is `5400s`.
        if self.0 % 1_000_000 == 0 { s.collect_str(&format_args!("{}s", self.0 / 1_000_000)) } else { s.collect_str(&format_args!("{}ms", self.0 / 1_000)) }
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Span, D::Error> {
        if d.is_human_readable() {
            let text = String::deserialize(d)?;
            text.parse().map_err(serde::de::Error::custom)
        } else {
            i64::deserialize(d).map(Span::from_micros)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_at_the_ends_of_the_calendar_are_clamped_and_written() {
        for micros in [i64::MIN, -1, 0, i64::MAX] {
            let time = Time::from_micros(micros);
            assert_eq!(time.to_string().parse::<Time>().unwrap(), time);
        }
    }

    #[test]
    fn spans_are_read_as_people_write_them() {
        assert_eq!("1h30m".parse::<Span>().unwrap(), Span::from_mins(90));
        assert_eq!("250ms".parse::<Span>().unwrap(), Span::from_millis(250));
        for bad in ["", "5", "m", "-5m", "5 m", "99999999999999999y", "5é"] {
            assert!(bad.parse::<Span>().is_err(), "{bad}");
        }
    }

    #[test]
    fn spans_are_shown_as_people_read_them() {
        let shown = |s: i64| Span::from_secs(s).to_string();
        assert_eq!([shown(41), shown(252), shown(960), shown(3_900), shown(7_200), shown(200_000)], ["41s", "4m12s", "16m", "1h05m", "2h", "2d"]);
    }
}
