//! The spans that one may ask for: a day, since one last looked, since the shift began, or any.

use jiff::ToSpan;
use jiff::civil;
use jiff::tz::TimeZone;

use crate::model::time::{Span, Time};

/// In the small hours the evening before belongs to the night that one stands in.
const EVENING: Span = Span::from_hours(6);

/// From midnight to midnight on the reader's clock, so many days back; of today, up to now.
pub fn day(back: i32, now: Time, zone: &TimeZone) -> (Time, Time) {
    let here = now.zoned(zone);
    let day = here.checked_sub(back.days()).unwrap_or_else(|_| here.clone());
    let from = day.start_of_day().map_or(now.minus(Span::from_days(1)), |start| Time::from(start.timestamp()));
    let until = day.tomorrow().and_then(|next| next.start_of_day()).map_or(now, |end| Time::from(end.timestamp()));
    let from = if back == 0 && now.since(from) < EVENING { from.minus(EVENING) } else { from };
    (from, until.min(now))
}

/// When the shift began in which one stands, by the times of day at which shifts begin; midnight when none are known.
pub fn shift_start(starts: &[civil::Time], now: Time, zone: &TimeZone) -> Time {
    let here = now.zoned(zone);
    let midnight = [civil::Time::midnight()];
    let starts = if starts.is_empty() { &midnight[..] } else { starts };
    let on = |back: i32| here.date().checked_sub(back.days()).ok();
    let begun = [0, 1].into_iter().filter_map(on).flat_map(|date| starts.iter().map(move |start| date.to_datetime(*start)));
    let begun = begun.filter_map(|at| at.to_zoned(zone.clone()).ok()).map(|at| Time::from(at.timestamp())).filter(|at| *at <= now);
    begun.max().unwrap_or_else(|| now.minus(Span::from_days(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Time {
        text.parse().unwrap()
    }

    #[test]
    fn a_shift_begins_at_the_last_of_its_times() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let starts = [civil::time(8, 0, 0, 0), civil::time(20, 0, 0, 0)];
        assert_eq!(shift_start(&starts, at("2026-11-21T01:57:00Z"), &zone), at("2026-11-20T19:00:00Z"));
        assert_eq!(shift_start(&starts, at("2026-11-21T07:00:00Z"), &zone), at("2026-11-21T07:00:00Z"));
        assert_eq!(shift_start(&[], at("2026-11-21T01:57:00Z"), &zone), at("2026-11-20T23:00:00Z"));
    }

    #[test]
    fn a_day_has_as_many_hours_as_its_clocks_give_it() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        // On 25 October 2026 the clocks go back.
        let (from, until) = day(1, at("2026-10-26T12:00:00Z"), &zone);
        assert_eq!(until.since(from), Span::from_hours(25));
        // At three in the night the evening before belongs to it.
        assert_eq!(day(0, at("2026-11-21T01:57:00Z"), &zone), (at("2026-11-20T17:00:00Z"), at("2026-11-21T01:57:00Z")));
    }
}
