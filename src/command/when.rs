//! Times as people type them: `2h`, `-2h`, `3am`, `fri 14:00`, `yesterday 3am`, `14 aug`, `2026-11-20 03:00`.
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
    /// `14 aug`: the nearest one.
    Annual {
        month: i8,
        day: i8,
    },
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
            Day::Annual { month, day } => {
                // The 29th of February comes every four years, or every eight around most centuries.
                let years = (0..=8).filter_map(|years| {
                    today.year().checked_add(match direction {
                        Direction::Back => -years,
                        Direction::Ahead => years,
                    })
                });
                years.filter_map(|year| on(Date::new(year, month, day).ok()?)).find(|time| fits(*time))
            }
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
            format!("`{text}` is not a time; write it like 2h, -30m, 3am, fri 14:00, yesterday 3am, 14 aug or 2026-11-20 03:00")
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
    // Every way to part the words into a day and a time of day, in either order; ISO 8601 has a T between.
    let words: Vec<&str> = text.split_whitespace().collect();
    if let Some(day) = read_day(&words) {
        return Some(When::Clock { day, hour: 0, minute: 0 });
    }
    if let Some((hour, minute)) = read_clock(&words.join(" ")) {
        return Some(When::Clock { day: Day::Nearest, hour, minute });
    }
    if let Some((day, clock)) = text.split_once('t')
        && let (Some(day), Some((hour, minute))) = (read_day(&[day]), read_clock(clock))
    {
        return Some(When::Clock { day, hour, minute });
    }
    (1..words.len()).find_map(|at| {
        let (first, last) = words.split_at_checked(at)?;
        let both = |day: &[&str], clock: &[&str]| Some((read_day(day)?, read_clock(&clock.join(" "))?));
        let (day, (hour, minute)) = both(first, last).or_else(|| both(last, first))?;
        Some(When::Clock { day, hour, minute })
    })
}

/// Three letters or more of a month's name.
fn read_month(text: &str) -> Option<i8> {
    const MONTHS: [&str; 12] = ["january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december"];
    let place = MONTHS.iter().position(|month| text.len() >= 3 && month.starts_with(text))?;
    i8::try_from(place + 1).ok()
}

fn read_number(text: &str) -> Option<i8> {
    let digits = ["st", "nd", "rd", "th", "."].iter().find_map(|end| text.strip_suffix(end)).unwrap_or(text);
    if digits.len() > 2 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    digits.parse().ok().filter(|day| (1..=31).contains(day))
}

fn read_day(words: &[&str]) -> Option<Day> {
    let text = match words {
        [one] => *one,
        ["last", weekday] => return read_day(&[*weekday]).filter(|day| matches!(day, Day::Weekday(_))),
        [a, b] | [a, b, _] => {
            let (month, day) = match (read_month(a), read_month(b)) {
                (Some(month), None) => (month, read_number(b)?),
                (None, Some(month)) => (month, read_number(a)?),
                _ => return None,
            };
            return match words.get(2) {
                None => Date::new(2024, month, day).ok().map(|_| Day::Annual { month, day }),
                Some(year) if year.len() == 4 => Date::new(year.parse().ok()?, month, day).ok().map(Day::Date),
                Some(_) => None,
            };
        }
        _ => return None,
    };
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
        other if other.len() <= 10 => Day::Date(other.parse().ok()?),
        _ => return None,
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
                    Day::Annual { month, day } => {
                        const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
                        let month = usize::try_from(*month).ok().and_then(|month| MONTHS.get(month.checked_sub(1)?)).copied().unwrap_or("jan");
                        write!(f, "{day} {month} ")?;
                    }
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
