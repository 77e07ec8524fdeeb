//! Is this always broken, or did it just happen? What an alert's past says of it, in words and numbers.
//!
//! Pure: from the alert, since when anything is known, and now. The thresholds stand beside what they
//! decide. Only what is known counts: "first time in the 15 days known".

use super::event::ClearReason;
use super::fold::day;
use super::severity::Severity;
use super::time::{Span, Time};
use super::world::Alert;

/// How far back history looks.
pub const REACH: Span = Span::from_days(90);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Verdict {
    /// Never before, as far as is known.
    New,
    /// Once or twice before.
    Rare,
    /// Three times or more before.
    Recurring,
    /// There on most days, or open for a week.
    Chronic,
    /// It opens and clears again and again, right now.
    Flapping,
}

impl Verdict {
    pub const fn word(self) -> &'static str {
        match self {
            Verdict::New => "new",
            Verdict::Rare => "rare",
            Verdict::Recurring => "recurring",
            Verdict::Chronic => "chronic",
            Verdict::Flapping => "flapping",
        }
    }
}

#[derive(Clone, PartialEq, Debug)]
pub struct History {
    pub verdict: Verdict,
    /// Episodes before the present one, within reach.
    pub before: u32,
    /// Days on which it was there, within reach.
    pub days: u32,
    /// How far back anything is known, at most [`REACH`].
    pub known: Span,
    /// When the last episode began.
    pub last: Option<Time>,
    /// How long it usually lasts: the median of the closed episodes that are kept.
    pub median: Option<Span>,
    /// Of those, how many ended without a person, in percent.
    pub by_itself: u32,
    /// The weekday (0 = Monday, UTC) on which nearly all of it happened.
    pub weekday: Option<u8>,
    /// Nothing that one must look at: it is always so, or goes away by itself as it always has.
    pub usual: bool,
}

impl History {
    pub fn of(alert: &Alert, known_since: Option<Time>, now: Time) -> History {
        let known = known_since.map_or(Span::ZERO, |since| now.since(since)).min(REACH);
        let horizon = day(now.minus(REACH));
        let recent = || alert.days.iter().filter(move |d| i64::from(d.day) > horizon);
        let counted: u32 = recent().map(|d| u32::from(d.count)).sum();
        let before = counted.saturating_sub(u32::from(alert.is_open())).min(alert.episodes);
        // While it is open it is there on every day since it began.
        let days = match alert.now.map(|open| day(open.since).max(horizon + 1)) {
            Some(began) => recent().filter(|d| i64::from(d.day) < began).count().saturating_add(usize::try_from(day(now) - began + 1).unwrap_or(0)),
            None => recent().count(),
        };
        let days = u32::try_from(days).unwrap_or(u32::MAX);
        let age = alert.now.map_or(Span::ZERO, |open| now.since(open.since));
        let last = alert.past.last().map(|past| past.from);
        let mut lengths: Vec<Span> = alert.past.iter().map(|past| past.until.since(past.from)).collect();
        lengths.sort_unstable();
        let median = lengths.get(lengths.len() / 2).copied();
        let itself = alert.past.iter().filter(|past| past.reason != ClearReason::Resolved).count();
        let by_itself = u32::try_from((itself * 100).checked_div(alert.past.len()).unwrap_or(0)).unwrap_or(0);
        let known_days = u32::try_from(known.secs() / 86_400).unwrap_or(0) + 1;
        let verdict = if alert.flapping {
            Verdict::Flapping
        } else if known_days >= 7 && (age >= Span::from_days(7) || days * 10 >= known_days * 6) {
            Verdict::Chronic
        } else {
            match before {
                0 => Verdict::New,
                1 | 2 => Verdict::Rare,
                3.. => Verdict::Recurring,
            }
        };
        let goes_away = verdict == Verdict::Recurring && by_itself >= 90 && median.is_some_and(|median| age <= median.times(3)) && before >= 5;
        let usual = match verdict {
            Verdict::Chronic | Verdict::Flapping => true,
            Verdict::Recurring => goes_away && alert.severity < Severity::Critical,
            Verdict::New | Verdict::Rare => false,
        };
        History { verdict, before, days, known, last, median, by_itself, weekday: weekday(alert, horizon), usual }
    }

    /// The sentence that stands on the row: "new: first in 90 days". How far anything is known is always said.
    pub fn words(&self, now: Time) -> String {
        let known = match self.known.secs() / 86_400 {
            0 => "since we watch".to_owned(),
            1 => "in the day known".to_owned(),
            days @ 2..90 => format!("in {days} known days"),
            days => format!("in {days} days"),
        };
        match self.verdict {
            Verdict::New => format!("new: first {known}"),
            Verdict::Rare => match self.last {
                Some(last) => format!("rare: {}, last {}", ordinal(self.before + 1), ago(last, now)),
                None => format!("rare: {} {known}", ordinal(self.before + 1)),
            },
            Verdict::Recurring => match (self.weekday, self.median) {
                (Some(weekday), _) => format!("recurring: {}", weekday_word(weekday)),
                (None, Some(median)) if self.by_itself >= 80 => format!("recurring: clears in {}", coarse(median)),
                (None, _) => format!("recurring: {} times", self.before + 1),
            },
            Verdict::Chronic => format!("chronic: {} days of {}", self.days, self.known.secs() / 86_400 + 1),
            Verdict::Flapping => "flapping".to_owned(),
        }
    }

    /// The same where there is little room: one word, or the number that tells most.
    pub fn short(&self, now: Time) -> String {
        match self.verdict {
            Verdict::New | Verdict::Flapping | Verdict::Chronic => self.verdict.word().to_owned(),
            Verdict::Rare => self.last.map_or_else(|| "rare".to_owned(), |last| format!("rare, {}", ago(last, now))),
            Verdict::Recurring => self.weekday.map_or_else(|| "recurring".to_owned(), |weekday| weekday_word(weekday).to_owned()),
        }
    }
}

fn weekday_word(weekday: u8) -> &'static str {
    WEEKDAYS.get(usize::from(weekday)).copied().unwrap_or("weekly")
}

const WEEKDAYS: [&str; 7] = ["Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays"];

/// 1970-01-01 was a Thursday.
fn weekday(alert: &Alert, horizon: i64) -> Option<u8> {
    let mut counts = [0_u32; 7];
    for d in alert.days.iter().filter(|d| i64::from(d.day) > horizon) {
        if let Some(count) = usize::try_from((i64::from(d.day) + 3).rem_euclid(7)).ok().and_then(|i| counts.get_mut(i)) {
            *count += 1;
        }
    }
    let total: u32 = counts.iter().sum();
    let (best, most) = counts.iter().enumerate().max_by_key(|(_, count)| **count)?;
    (total >= 3 && most * 4 >= total * 3).then(|| u8::try_from(best).unwrap_or(0))
}

pub fn ordinal(n: u32) -> String {
    let suffix = match (n % 10, n % 100) {
        (1, teen) if teen != 11 => "st",
        (2, teen) if teen != 12 => "nd",
        (3, teen) if teen != 13 => "rd",
        _ => "th",
    };
    format!("{n}{suffix}")
}

/// "16m ago" up to a day, "3d ago" up to two weeks, then the date.
pub fn ago(at: Time, now: Time) -> String {
    let age = now.since(at);
    if age < Span::from_days(14) { format!("{} ago", coarse(age)) } else { at.timestamp().strftime("%-d %b").to_string() }
}

/// An age as it stands in a column: one unit, from a minute on ("41s", "16m", "3h", "12d").
pub fn coarse(age: Span) -> String {
    match age.secs() {
        s @ 0..60 => format!("{s}s"),
        s @ 60..3_600 => format!("{}m", s / 60),
        s @ 3_600..172_800 => format!("{}h", s / 3_600),
        s => format!("{}d", s / 86_400),
    }
}

/// One cell of a strip: a day on which it was there, how often, how bad.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Cell {
    pub count: u16,
    pub worst: Severity,
}

/// The last `days` days, oldest first, today last.
pub fn strip(alert: &Alert, now: Time, days: usize) -> Vec<Option<Cell>> {
    let today = day(now);
    let mut cells = vec![None; days];
    let began = alert.now.map(|open| day(open.since));
    for (place, cell) in cells.iter_mut().enumerate() {
        let back = i64::try_from(days.saturating_sub(place).saturating_sub(1)).unwrap_or(0);
        let date = today - back;
        let known = i32::try_from(date).ok().and_then(|date| alert.days.binary_search_by_key(&date, |d| d.day).ok()).and_then(|found| alert.days.get(found));
        *cell = known.map(|d| Cell { count: d.count.max(1), worst: d.worst });
        // While it is open it is there on every day since it began.
        if cell.is_none() && began.is_some_and(|began| began <= date) {
            *cell = Some(Cell { count: 1, worst: alert.severity });
        }
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinals_and_ages_read_as_people_say_them() {
        assert_eq!([1, 2, 3, 4, 11, 12, 21, 102, 113].map(ordinal), ["1st", "2nd", "3rd", "4th", "11th", "12th", "21st", "102nd", "113th"]);
        let now = Time::from_secs(1_795_000_000);
        assert_eq!(ago(now.minus(Span::from_mins(16)), now), "16m ago");
        assert_eq!(ago(now.minus(Span::from_days(3)), now), "3d ago");
    }
}
