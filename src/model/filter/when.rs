//! A point in time as people write it: `3h`, `14:00`, `3am`, `yesterday 3am`, `fri 14:00`, a date, RFC 3339.
//!
//! Kept as written until "now" and the zone are known, so that a saved filter means the same tomorrow.

use std::fmt;
use std::str::FromStr;

use jiff::ToSpan;
use jiff::civil::{self, Weekday};
use jiff::tz::TimeZone;

use crate::model::time::{Span, Time};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum When {
    /// So long before now. `now` is none before.
    Ago(Span),
    /// With its zone: RFC 3339.
    At(Time),
    /// On the wall clock of the reader's zone.
    Local(civil::DateTime),
    /// The last time that the clock showed this.
    Clock(civil::Time),
    /// Today or so many days ago, at this time.
    Day(i8, civil::Time),
    /// The last such day, today counts, at this time.
    Weekday(Weekday, civil::Time),
}

impl When {
    /// A date alone is its first moment. What a change of the clocks left out is moved on; what it
    /// repeated is the first of both.
    pub fn resolve(&self, now: Time, zone: &TimeZone) -> Time {
        let today = now.zoned(zone).date();
        let at = |date: civil::Date, time: civil::Time| date.to_datetime(time).to_zoned(zone.clone()).map_or(now, |zoned| Time::from(zoned.timestamp()));
        let back = |days: i8| today.checked_sub(i32::from(days).days()).unwrap_or(today);
        match *self {
            When::Ago(span) => now.minus(span),
            When::At(time) => time,
            When::Local(local) => at(local.date(), local.time()),
            When::Clock(time) => {
                let today = at(today, time);
                if today > now { at(back(1), time) } else { today }
            }
            When::Day(days, time) => at(back(days), time),
            When::Weekday(day, time) => {
                let days = today.weekday().since(day);
                let this = at(back(days), time);
                if this > now { at(back(days.saturating_add(7)), time) } else { this }
            }
        }
    }
}

/// Says what was read, and how it could look.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no time: write 3h (ago), 14:00, 3am, yesterday, fri 14:00, 2026-11-21, or RFC 3339")]
pub struct WhenError {
    text: String,
}

const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

impl FromStr for When {
    type Err = WhenError;

    fn from_str(text: &str) -> Result<When, WhenError> {
        let trimmed = text.trim();
        let known = if trimmed.len() <= 64 { parse(trimmed) } else { None };
        known.ok_or_else(|| WhenError { text: text.chars().take(60).collect() })
    }
}

fn parse(text: &str) -> Option<When> {
    let lower = text.to_ascii_lowercase();
    if lower == "now" {
        return Some(When::Ago(Span::ZERO));
    }
    if let Ok(span) = lower.strip_prefix('-').unwrap_or(&lower).trim_end_matches(" ago").parse::<Span>() {
        return Some(When::Ago(span));
    }
    if let Some(time) = clock(&lower) {
        return Some(When::Clock(time));
    }
    let (word, rest) = lower.split_once(' ').unwrap_or((&lower, ""));
    let time = if rest.is_empty() { Some(civil::Time::midnight()) } else { clock(rest.trim()) };
    match (word, time) {
        ("today", Some(time)) => return Some(When::Day(0, time)),
        ("yesterday", Some(time)) => return Some(When::Day(1, time)),
        (word, Some(time)) if word.len() >= 3 => {
            let full = |day: Weekday| format!("{day:?}").to_ascii_lowercase();
            if let Some((_, day)) = DAYS.iter().find(|(short, day)| word.starts_with(short) && full(*day).starts_with(word)) {
                return Some(When::Weekday(*day, time));
            }
        }
        _ => {}
    }
    if let Ok(time) = text.parse::<Time>() {
        return Some(When::At(time));
    }
    // jiff would read a bare `20261121` as a date too; here it is more likely a mistake.
    if text.as_bytes().get(4) != Some(&b'-') {
        return None;
    }
    match text.len() {
        10 => text.parse::<civil::Date>().ok().map(|date| When::Local(date.to_datetime(civil::Time::midnight()))),
        11.. => text.parse::<civil::DateTime>().ok().map(When::Local),
        _ => None,
    }
}

/// `14:00`, `14:00:30`, `3am`, `3:30pm`.
fn clock(text: &str) -> Option<civil::Time> {
    let (text, afternoon) = match (text.strip_suffix("am"), text.strip_suffix("pm")) {
        (Some(rest), _) => (rest, Some(false)),
        (_, Some(rest)) => (rest, Some(true)),
        (None, None) => (text, None),
    };
    let mut parts = text.trim_end().split(':');
    let mut number = |digits: std::ops::RangeInclusive<usize>| match parts.next() {
        Some(part) if digits.contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit()) => part.parse::<i8>().ok().map(Some),
        Some(_) => None,
        None => Some(None),
    };
    let hour = number(1..=2)??;
    let minute = number(2..=2)?;
    let second = number(2..=2)?;
    if parts.next().is_some() || (minute.is_none() && afternoon.is_none()) {
        return None;
    }
    let hour = match (afternoon, hour) {
        (None, hour) => hour,
        (Some(_), 0 | 13..) => return None,
        (Some(false), 12) => 0,
        (Some(true), 12) => 12,
        (Some(false), hour) => hour,
        (Some(true), hour) => hour.checked_add(12)?,
    };
    civil::Time::new(hour, minute.unwrap_or(0), second.unwrap_or(0), 0).ok()
}

/// As it parses again.
impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let day = |f: &mut fmt::Formatter<'_>, word: &str, time: civil::Time| match time == civil::Time::midnight() {
            true => f.write_str(word),
            false => write!(f, "{word} {}", Clock(time)),
        };
        match *self {
            When::Ago(span) => {
                let millis = span.micros() / 1_000;
                let (unit, word) = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")]
                    .into_iter()
                    .find(|(unit, _)| millis != 0 && millis % unit == 0)
                    .unwrap_or((1, "ms"));
                write!(f, "{}{word}", millis / unit)
            }
            When::At(time) => time.fmt(f),
            When::Local(local) if local.time() == civil::Time::midnight() => local.date().fmt(f),
            When::Local(local) => local.fmt(f),
            When::Clock(time) => Clock(time).fmt(f),
            When::Day(0, time) => day(f, "today", time),
            When::Day(_, time) => day(f, "yesterday", time),
            When::Weekday(weekday, time) => {
                let word = DAYS.iter().find(|(_, day)| *day == weekday).map_or("mon", |(word, _)| word);
                day(f, word, time)
            }
        }
    }
}

struct Clock(civil::Time);

impl fmt::Display for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0.hour(), self.0.minute())?;
        if self.0.second() != 0 { write!(f, ":{:02}", self.0.second()) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_mean_what_people_mean() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        // A Saturday, 02:57 in Berlin.
        let now: Time = "2026-11-21T01:57:00Z".parse().unwrap();
        let resolved = |text: &str| text.parse::<When>().unwrap_or_else(|e| panic!("{e}")).resolve(now, &zone).to_string();
        for (text, expected) in [
            ("now", "2026-11-21T01:57:00Z"),
            ("3h", "2026-11-20T22:57:00Z"),
            ("-2h", "2026-11-20T23:57:00Z"),
            ("2h ago", "2026-11-20T23:57:00Z"),
            ("02:00", "2026-11-21T01:00:00Z"),
            ("3am", "2026-11-20T02:00:00Z"),
            ("12am", "2026-11-20T23:00:00Z"),
            ("12:30pm", "2026-11-20T11:30:00Z"),
            ("today", "2026-11-20T23:00:00Z"),
            ("yesterday 3am", "2026-11-20T02:00:00Z"),
            ("fri 14:00", "2026-11-20T13:00:00Z"),
            ("Saturday", "2026-11-20T23:00:00Z"),
            ("sat 14:00", "2026-11-14T13:00:00Z"),
            ("2026-11-20", "2026-11-19T23:00:00Z"),
            ("2026-11-20 03:00", "2026-11-20T02:00:00Z"),
            ("2026-11-20T03:00:15.5", "2026-11-20T02:00:15.5Z"),
            ("2026-11-20T03:00:00+05:30", "2026-11-19T21:30:00Z"),
        ] {
            assert_eq!(resolved(text), expected, "{text}");
        }
        for bad in ["", "soon", "25:00", "13pm", "0am", "3", "fri 14", "frizzle", "20261121", "2026-13-01", "14:00:00:00", "1é", "99999999999999y"] {
            assert!(bad.parse::<When>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_clock_that_jumps_still_gives_a_time() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let now: Time = "2026-03-29T12:00:00Z".parse().unwrap();
        // 02:30 does not exist on that day, and exists twice on 25 October.
        assert_eq!("02:30".parse::<When>().unwrap().resolve(now, &zone).to_string(), "2026-03-29T01:30:00Z");
        let now: Time = "2026-10-25T12:00:00Z".parse().unwrap();
        assert_eq!("02:30".parse::<When>().unwrap().resolve(now, &zone).to_string(), "2026-10-25T00:30:00Z");
    }
}
