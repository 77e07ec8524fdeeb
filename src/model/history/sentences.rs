//! A history in words: what stands on a row, and the sentences of the detail.

use jiff::tz::TimeZone;

use super::{Elsewhere, History, Lengths, Verdict, plural};
use crate::model::time::{Span, Time};
use crate::model::world::DeedKind;

impl History {
    /// The sentence that stands on the row: "new: first in 90 days". How far anything is known is always said.
    pub fn words(&self, now: Time) -> String {
        let known = self.known_words();
        match self.verdict {
            Verdict::New => format!("new: first {known}"),
            Verdict::Rare => match self.last {
                Some(last) => format!("rare: {}, last {}", ordinal(self.before + 1), ago(last, now)),
                None => format!("rare: {} {known}", ordinal(self.before + 1)),
            },
            Verdict::Recurring => match (self.habit.days, self.habit.hours) {
                (Some(days), _) => format!("recurring: {}", days.word()),
                (None, _) if self.lengths.itself_percent().is_some_and(|itself| itself >= 80) => {
                    format!("recurring: clears in {}", coarse(self.lengths.median))
                }
                (None, Some((from, to))) => format!("recurring: at {from}–{to} h"),
                (None, None) => format!("recurring: {} times", self.before + 1),
            },
            Verdict::Chronic => format!("chronic: {} days of {}", self.days, self.known.days() + 1),
            Verdict::Flapping => "flapping".to_owned(),
        }
    }

    /// The same where there is little room: one word, or the number that tells most.
    pub fn short(&self, now: Time) -> String {
        match self.verdict {
            Verdict::New | Verdict::Flapping | Verdict::Chronic => self.verdict.word().to_owned(),
            Verdict::Rare => self.last.map_or_else(|| "rare".to_owned(), |last| format!("rare, {}", ago(last, now))),
            Verdict::Recurring => self.habit.days.map_or_else(|| "recurring".to_owned(), |days| days.word().to_owned()),
        }
    }

    fn known_words(&self) -> String {
        match self.known.days() {
            0 => "since we watch".to_owned(),
            1 => "in the day known".to_owned(),
            days @ 2..90 => format!("in {days} known days"),
            days => format!("in {days} days"),
        }
    }

    /// The reasons in sentences, with their numbers; the reader's clock is that of `zone`.
    pub fn sentences(&self, zone: &TimeZone, now: Time) -> Vec<String> {
        let mut out = vec![self.how_often(now)];
        if let Some((since, heard)) = self.hearsay {
            out.push(format!("began {} by its source's word; heard of here since {}", date(since, zone, now), date(heard, zone, now)));
        }
        out.extend(self.lengths.words());
        if let Some(ended) = &self.ended {
            let what = match (ended.kind, ended.words.is_empty()) {
                (DeedKind::Note, _) => format!(", who noted: {}", ended.words),
                (DeedKind::Resolved, true) => ", who resolved it".to_owned(),
                (_, _) => format!(": {}", ended.words),
            };
            let last = if self.ended_last { "last ended" } else { "since then by itself; ended" };
            out.push(format!("{last} {} by {}{what}", date(ended.at, zone, now), ended.by.name()));
        } else if let (true, Some(_)) = (self.lengths.count > 1, self.last) {
            out.push("nobody had to end it".to_owned());
        }
        if self.usual {
            out.push(match self.verdict {
                Verdict::Chronic => "usual: it is always so".to_owned(),
                Verdict::Flapping => "usual: it comes and goes right now".to_owned(),
                Verdict::New | Verdict::Rare | Verdict::Recurring => "usual: it goes away by itself".to_owned(),
            });
        }
        if let (Some((source, until)), Some(since)) = (&self.known.filled, self.known.since)
            && until.since(since) >= Span::from_hours(1)
        {
            out.push(format!("before {} filled in from {source}, back to {}", date(*until, zone, now), date(since, zone, now)));
        }
        out
    }

    fn how_often(&self, now: Time) -> String {
        let known = match self.known.days() {
            0 => "since we watch".to_owned(),
            1 => "in the day known".to_owned(),
            days @ 2..90 => format!("in the {days} days known"),
            days => format!("in {days} days"),
        };
        let mut out = match (self.open, self.before) {
            (true, 0) => format!("first time {known}"),
            (true, before) => format!("{} time {known}", ordinal(before + 1)),
            (false, 0) => format!("not once {known}"),
            (false, 1) => format!("once {known}"),
            (false, before) => format!("{before} times {known}"),
        };
        if self.before > 0 {
            if self.days > 1 {
                out.push_str(&format!(", on {} days", self.days));
            }
            for words in [self.habit.nights_words(), Some(self.habit.words()).filter(|words| !words.is_empty())].into_iter().flatten() {
                out.push_str(&format!(", {words}"));
            }
            if let Some(last) = self.last {
                out.push_str(&format!("; last {}", ago(last, now)));
            }
        }
        out
    }
}

impl Lengths {
    /// "clears by itself in 6m (median, 9 of 10 within 14m), 9 of 10 times".
    pub fn words(&self) -> Option<String> {
        let Lengths { count, by_itself, median, most } = *self;
        let (median, most) = (coarse(median), coarse(most));
        Some(match (count, by_itself) {
            (0, _) => return None,
            (1, 1) => format!("cleared by itself after {median}"),
            (1, _) => format!("lasted {median}, until somebody ended it"),
            (_, 0) => format!("lasts {median} (median, 9 of 10 within {most}), each time until somebody ends it"),
            (count, itself) if count == itself => format!("clears by itself in {median} (median, 9 of 10 within {most}), each of {count} times"),
            (count, itself) => format!("clears by itself in {median} (median, 9 of 10 within {most}), {itself} of {count} times"),
        })
    }
}

impl Elsewhere {
    /// "on 3 other systems: 12 times in 90 days; clears by itself …".
    pub fn words(&self) -> Option<String> {
        if self.systems == 0 {
            return None;
        }
        let mut out = format!(
            "on {} other {}: {} {} in 90 days",
            self.systems,
            plural(self.systems, "system", "systems"),
            self.episodes,
            plural(self.episodes, "time", "times")
        );
        if self.open > 0 {
            out.push_str(&format!(", {} open now", self.open));
        }
        if let Some(words) = self.lengths.words() {
            out.push_str(&format!("; {words}"));
        }
        Some(out)
    }
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

/// A day on the reader's clock; of today, the time.
fn date(at: Time, zone: &TimeZone, now: Time) -> String {
    let (here, today) = (at.zoned(zone), now.zoned(zone));
    if here.date() == today.date() { here.strftime("%H:%M").to_string() } else { here.strftime("%-d %b").to_string() }
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
