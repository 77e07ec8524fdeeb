//! Times as people type them: `2h`, `-2h`, `3am`, `fri 14:00`, `yesterday 3am`, `2026-11-20 03:00`.
//!
//! Reading needs no clock. [`When::resolve`] is handed the present and which way to look for the nearest
//! `3am`: back for the time cursor, ahead for a snooze.

use std::fmt;

use jiff::Zoned;
use jiff::civil::{Date, Weekday};

use super::argument::{Argument, Expects};
use crate::model::time::{Span, Time};

/// A time relative to a present that is not known yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum When {
    /// `2h`: away from now, in the direction that the command looks.
    Away(Span),
    /// `-2h`.
    Ago(Span),
    /// `+2h`.
    In(Span),
    /// `now`.
    Now,
    /// A moment that is written out with its zone.
    Exact(Time),
    /// A time of day, and perhaps the day, on the wall clock here.
    Clock { day: Day, hour: i8, minute: i8 },
}

/// Which day a time of day is on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Day {
    Nearest,
    Yesterday,
    Today,
    Tomorrow,
    Weekday(Weekday),
    Date(Date),
}

/// Which way from now the nearest `3am` is meant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    Back,
    Ahead,
}

impl When {
    /// The moment that is meant; nothing when the calendar has none (a day that does not exist).
    pub fn resolve(self, now: &Zoned, direction: Direction) -> Option<Time> {
        let present = Time::from(now.timestamp());
        let (day, hour, minute) = match self {
            When::Now => return Some(present),
            When::Exact(time) => return Some(time),
            When::Ago(span) => return Some(present.minus(span)),
            When::In(span) => return Some(present.plus(span)),
            When::Away(span) => {
                return Some(match direction {
                    Direction::Back => present.minus(span),
                    Direction::Ahead => present.plus(span),
                });
            }
            When::Clock { day, hour, minute } => (day, hour, minute),
        };
        let on = |date: Date| -> Option<Time> {
            let zoned = date.to_datetime(jiff::civil::Time::new(hour, minute, 0, 0).ok()?).to_zoned(now.time_zone().clone()).ok()?;
            Some(Time::from(zoned.timestamp()))
        };
        let fits = |time: Time| match direction {
            Direction::Back => time <= present,
            Direction::Ahead => time > present,
        };
        let step = |date: Date| match direction {
            Direction::Back => date.yesterday().ok(),
            Direction::Ahead => date.tomorrow().ok(),
        };
        let today = now.date();
        match day {
            Day::Date(date) => on(date),
            Day::Today => on(today),
            Day::Yesterday => on(today.yesterday().ok()?),
            Day::Tomorrow => on(today.tomorrow().ok()?),
            Day::Nearest => on(today).filter(|time| fits(*time)).or_else(|| on(step(today)?)),
            Day::Weekday(wanted) => {
                let mut date = today;
                for _ in 0..8 {
                    if date.weekday() == wanted && on(date).is_some_and(fits) {
                        return on(date);
                    }
                    date = step(date)?;
                }
                None
            }
        }
    }
}

impl Argument for When {
    const EXPECTS: Expects = Expects { what: "a time", example: "2h", required: true, choices: &[] };

    fn read(text: &str) -> Result<When, String> {
        read(text).ok_or_else(|| {
            let text: String = text.chars().take(60).collect();
            format!("`{text}` is not a time; write it like 2h, -30m, 3am, fri 14:00, yesterday 3am or 2026-11-20 03:00")
        })
    }

    fn write(&self) -> String {
        self.to_string()
    }
}

fn read(text: &str) -> Option<When> {
    let text = text.trim();
    if text.len() > 64 {
        return None;
    }
    let text = &text.to_lowercase();
    if text == "now" {
        return Some(When::Now);
    }
    if let Some(rest) = text.strip_prefix('-').or_else(|| text.strip_suffix(" ago")) {
        return rest.parse().ok().map(When::Ago);
    }
    if let Some(rest) = text.strip_prefix('+') {
        return rest.parse().ok().map(When::In);
    }
    if let Ok(span) = text.parse::<Span>() {
        return Some(When::Away(span));
    }
    if let Ok(time) = text.to_uppercase().parse::<Time>() {
        return Some(When::Exact(time));
    }
    // A day is parted from its time by a space, or by ISO 8601's T.
    let parts = text.split_once(' ').or_else(|| text.split_once('t')).filter(|(day, _)| read_day(day).is_some());
    let (day, clock) = parts.map_or(("", text.as_str()), |(day, clock)| (day, clock.trim()));
    if day.is_empty() {
        if let Some(day) = read_day(clock) {
            return Some(When::Clock { day, hour: 0, minute: 0 });
        }
        let (hour, minute) = read_clock(clock)?;
        return Some(When::Clock { day: Day::Nearest, hour, minute });
    }
    let (hour, minute) = read_clock(clock)?;
    Some(When::Clock { day: read_day(day)?, hour, minute })
}

fn read_day(text: &str) -> Option<Day> {
    Some(match text {
        "yesterday" => Day::Yesterday,
        "today" => Day::Today,
        "tomorrow" => Day::Tomorrow,
        "mon" | "monday" => Day::Weekday(Weekday::Monday),
        "tue" | "tues" | "tuesday" => Day::Weekday(Weekday::Tuesday),
        "wed" | "wednesday" => Day::Weekday(Weekday::Wednesday),
        "thu" | "thurs" | "thursday" => Day::Weekday(Weekday::Thursday),
        "fri" | "friday" => Day::Weekday(Weekday::Friday),
        "sat" | "saturday" => Day::Weekday(Weekday::Saturday),
        "sun" | "sunday" => Day::Weekday(Weekday::Sunday),
        other => Day::Date(other.parse().ok()?),
    })
}

/// `3am`, `3:15pm`, `14:00`, `noon`, `midnight`.
fn read_clock(text: &str) -> Option<(i8, i8)> {
    match text {
        "noon" => return Some((12, 0)),
        "midnight" => return Some((0, 0)),
        _ => {}
    }
    let (digits, half) = match (text.strip_suffix("am"), text.strip_suffix("pm")) {
        (Some(rest), _) => (rest.trim_end(), Some(0)),
        (_, Some(rest)) => (rest.trim_end(), Some(12)),
        _ => (text, None),
    };
    let (hour, minute) = match digits.split_once(':') {
        Some((hour, minute)) if minute.len() == 2 => (hour, minute),
        Some(_) => return None,
        None if half.is_some() => (digits, "00"),
        None => return None,
    };
    if !(1..=2).contains(&hour.len()) || !hour.bytes().chain(minute.bytes()).all(|b| b.is_ascii_digit()) {
        return None;
    }
    let (hour, minute): (i8, i8) = (hour.parse().ok()?, minute.parse().ok()?);
    let hour = match half {
        Some(_) if !(1..=12).contains(&hour) => return None,
        Some(half) => hour % 12 + half,
        None => hour,
    };
    ((0..24).contains(&hour) && (0..60).contains(&minute)).then_some((hour, minute))
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            When::Away(span) => f.write_str(&length(*span)),
            When::Ago(span) => write!(f, "-{}", length(*span)),
            When::In(span) => write!(f, "+{}", length(*span)),
            When::Now => f.write_str("now"),
            When::Exact(time) => time.fmt(f),
            When::Clock { day, hour, minute } => {
                match day {
                    Day::Nearest => {}
                    Day::Yesterday => f.write_str("yesterday ")?,
                    Day::Today => f.write_str("today ")?,
                    Day::Tomorrow => f.write_str("tomorrow ")?,
                    Day::Weekday(day) => write!(
                        f,
                        "{} ",
                        match day {
                            Weekday::Monday => "mon",
                            Weekday::Tuesday => "tue",
                            Weekday::Wednesday => "wed",
                            Weekday::Thursday => "thu",
                            Weekday::Friday => "fri",
                            Weekday::Saturday => "sat",
                            Weekday::Sunday => "sun",
                        }
                    )?,
                    Day::Date(date) => write!(f, "{date} ")?,
                }
                write!(f, "{hour:02}:{minute:02}")
            }
        }
    }
}

/// Exact, and read back the same; the span's own words round.
fn length(span: Span) -> String {
    let secs = span.secs();
    match secs {
        s if s > 0 && s % 3_600 == 0 => format!("{}h", s / 3_600),
        s if s > 0 && s % 60 == 0 => format!("{}m", s / 60),
        s => format!("{s}s"),
    }
}
