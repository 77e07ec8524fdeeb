//! When an alert likes to come: the weekdays and hours on the reader's clock, and the nights it took.
//!
//! A nightly job stands at the same hour of the wall clock all year, so that these are read in the
//! reader's time zone; no verdict depends on them.

use std::collections::BTreeSet;

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::{REACH, plural};
use crate::model::time::{Span, Time};
use crate::model::world::Alert;

/// What an alert prefers, where that is plain.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Habit {
    /// Nights (from 22 to 6 h) on which it was there.
    pub nights: u32,
    pub days: Option<Days>,
    /// From this hour up to that one, over midnight when the second is smaller.
    pub hours: Option<(u8, u8)>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Days {
    /// 0 = Monday.
    One(u8),
    Weekends,
    Workdays,
}

impl Days {
    pub const fn word(self) -> &'static str {
        match self {
            Days::One(0) => "Mondays",
            Days::One(1) => "Tuesdays",
            Days::One(2) => "Wednesdays",
            Days::One(3) => "Thursdays",
            Days::One(4) => "Fridays",
            Days::One(5) => "Saturdays",
            Days::One(_) => "Sundays",
            Days::Weekends => "weekends",
            Days::Workdays => "workdays",
        }
    }
}

/// Dates on which it must have come before anything is said of its habits.
const LEAST: usize = 3;
/// Hours of the day that count as one time of the day, at most.
const WIDEST: u8 = 6;

impl Habit {
    pub fn of(alert: &Alert, zone: &TimeZone, now: Time) -> Habit {
        let horizon = now.minus(REACH);
        let open = alert.now.map(|open| (open.since, now));
        let spans = alert.past.iter().map(|past| (past.from, past.until)).chain(open).filter(|(_, until)| *until >= horizon);
        let mut nights: BTreeSet<Date> = BTreeSet::new();
        // On each date and in each hour it counts once, however often it flapped there.
        let mut starts: BTreeSet<(Date, u8)> = BTreeSet::new();
        for (from, until) in spans {
            let here = zone.to_datetime(from.timestamp());
            if from >= horizon {
                starts.insert((here.date(), u8::try_from(here.hour()).unwrap_or(0)));
            }
            nights_of(from.max(horizon), until, zone, &mut nights);
        }
        let dates: BTreeSet<Date> = starts.iter().map(|(date, _)| *date).collect();
        let nights = u32::try_from(nights.len()).unwrap_or(u32::MAX);
        if dates.len() < LEAST {
            return Habit { nights, days: None, hours: None };
        }
        Habit { nights, days: days(&dates), hours: hours(&starts) }
    }

    /// "on Saturdays, 14–17 h"; empty when it has none.
    pub fn words(&self) -> String {
        let days = self.days.map(|days| format!("on {}", days.word()));
        let hours = self.hours.map(|(from, to)| format!("{from}–{to} h"));
        days.into_iter().chain(hours).collect::<Vec<_>>().join(", ")
    }

    pub fn nights_words(&self) -> Option<String> {
        (self.nights > 0).then(|| format!("in {} {}", self.nights, plural(self.nights, "night", "nights")))
    }
}

/// The nights that a span touches, each by the date of its evening.
fn nights_of(from: Time, until: Time, zone: &TimeZone, nights: &mut BTreeSet<Date>) {
    let (first, last) = (zone.to_datetime(from.timestamp()), zone.to_datetime(until.timestamp()));
    let Ok(mut date) = first.date().yesterday() else { return };
    for _ in 0..95 {
        let Ok(next) = date.tomorrow() else { return };
        let (begins, ends) = (date.at(22, 0, 0, 0), next.at(6, 0, 0, 0));
        if first < ends && last >= begins {
            nights.insert(date);
        }
        if next > last.date() {
            return;
        }
        date = next;
    }
}

fn days(dates: &BTreeSet<Date>) -> Option<Days> {
    let mut counts = [0_usize; 7];
    for date in dates {
        let day = usize::try_from(date.weekday().to_monday_zero_offset()).unwrap_or(0);
        if let Some(count) = counts.get_mut(day) {
            *count += 1;
        }
    }
    let total = dates.len();
    let (best, most) = counts.iter().enumerate().max_by_key(|(_, count)| **count)?;
    if most * 4 >= total * 3 {
        return u8::try_from(best).ok().map(Days::One);
    }
    let weekend: usize = counts.iter().skip(5).sum();
    if weekend * 10 >= total * 9 {
        return Some(Days::Weekends);
    }
    // Five days of seven are workdays: that all of few dates are says nothing.
    (total >= 15 && weekend == 0).then_some(Days::Workdays)
}

/// The shortest stretch of the day that holds four of five of its beginnings.
fn hours(starts: &BTreeSet<(Date, u8)>) -> Option<(u8, u8)> {
    let mut counts = [0_usize; 24];
    for (_, hour) in starts {
        if let Some(count) = counts.get_mut(usize::from(*hour)) {
            *count += 1;
        }
    }
    let total = starts.len();
    (1..=WIDEST).find_map(|width| {
        let within = |from: u8| (0..width).map(|ahead| counts.get(usize::from((from + ahead) % 24)).copied().unwrap_or(0)).sum::<usize>();
        // Of two that hold as many, the one that begins with an hour in which it came.
        let best = (0..24_u8).max_by_key(|from| (within(*from), counts.get(usize::from(*from)).copied().unwrap_or(0), std::cmp::Reverse(*from)))?;
        (within(best) * 5 >= total * 4).then_some((best, (best + width) % 24))
    })
}

/// How much of a span nobody watched.
pub(super) fn unwatched(spans: impl Iterator<Item = (Time, Time)>, from: Time, until: Time) -> Span {
    let mut sum = Span::ZERO;
    let mut counted = from;
    for (a, b) in spans {
        let (a, b) = (a.max(counted), b.min(until));
        sum = Span::from_micros(sum.micros().saturating_add(b.since(a).micros()));
        counted = counted.max(b);
    }
    sum
}
