//! Parts of a day, on the reader's clock.

use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::model::time::{Span, Time};

/// A part of one day. What began before the span comes first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Part {
    Before,
    Of(Date, DayPart),
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum DayPart {
    /// Midnight to 5.
    Night,
    /// 5 to noon.
    Morning,
    /// Noon to 17.
    Afternoon,
    /// 17 to midnight.
    Evening,
}

impl DayPart {
    pub const fn word(self) -> &'static str {
        match self {
            DayPart::Night => "night",
            DayPart::Morning => "morning",
            DayPart::Afternoon => "afternoon",
            DayPart::Evening => "evening",
        }
    }
}

impl Part {
    pub fn of(at: Time, zone: &TimeZone) -> Part {
        let here = at.zoned(zone);
        let part = match here.hour() {
            0..5 => DayPart::Night,
            5..12 => DayPart::Morning,
            12..17 => DayPart::Afternoon,
            _ => DayPart::Evening,
        };
        Part::Of(here.date(), part)
    }

    /// "from before", "in the night"; with its day where the span has several.
    pub fn words(self, from: Time, until: Time) -> String {
        match self {
            Part::Before => "from before".to_owned(),
            Part::Of(date, of) if until.since(from) > Span::from_days(1) => format!("{}, {}", date.strftime("%a %-d %b"), of.word()),
            Part::Of(_, DayPart::Night) => "in the night".to_owned(),
            Part::Of(_, of) => format!("in the {}", of.word()),
        }
    }

    /// The part alone, for JSON: "before", "night".
    pub const fn word(self) -> &'static str {
        match self {
            Part::Before => "before",
            Part::Of(_, part) => part.word(),
        }
    }
}

/// How the times of one text are written: as short as can be without doubt.
#[derive(Clone, Debug)]
pub struct Clock {
    until: Time,
    zone: TimeZone,
}

impl Clock {
    pub fn new(until: Time, zone: TimeZone) -> Clock {
        Clock { until, zone }
    }

    /// "02:41" within the last day of the span, "Fri 20:15" within its last week, else "14 Aug 20:15".
    pub fn say(&self, at: Time) -> String {
        let here = at.zoned(&self.zone);
        let back = self.until.since(at);
        let ahead = at.since(self.until);
        let pattern = if back <= Span::from_days(1) && ahead < Span::from_hours(1) {
            "%H:%M"
        } else if back < Span::from_days(6) && ahead < Span::from_days(6) {
            "%a %H:%M"
        } else if here.year() == self.until.zoned(&self.zone).year() {
            "%-d %b %H:%M"
        } else {
            "%-d %b %Y %H:%M"
        };
        here.strftime(pattern).to_string()
    }
}
