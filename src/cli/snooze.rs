//! `midwatch snooze`: not now; it comes back by itself.

use jiff::tz::TimeZone;

use super::pick::{self, Pick};
use super::{Context, Failure, ask};
use crate::model::filter::When;
use crate::model::intent::Intent;
use crate::model::time::{Span, Time};

/// Put an alert off until a time
#[derive(clap::Args, Debug)]
#[command(after_help = "Example: midwatch snooze 3f2a9c01 --for 2h\nExample: midwatch snooze 3f2a9c01 --until 08:00 --note 'not before the shop opens'")]
pub struct Args {
    #[command(flatten)]
    pick: Pick,
    #[command(flatten)]
    end: End,
    /// What you want to say about it
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    note: String,
}

#[derive(clap::Args, Debug)]
#[group(required = true, multiple = false)]
struct End {
    /// For so long: 30m, 2h, 1d
    #[arg(long = "for", value_name = "SPAN")]
    lasting: Option<Span>,
    /// Until then: 08:00, 2026-11-21T14:00:00Z
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Take a snooze back
    #[arg(long)]
    undo: bool,
}

pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    if args.end.undo {
        return pick::each(&args.pick, context, "no longer snoozed", |target| Intent::Unsnooze { alert: target.alert, episode: target.episode });
    }
    let now = ask::now();
    let until = match (&args.end.lasting, &args.end.until) {
        (Some(span), _) => now.plus(*span),
        (None, Some(text)) => ahead(text, now, &TimeZone::system())?,
        (None, None) => return Err(Failure::usage("until when?", "Add --for 2h or --until 08:00")),
    };
    let note: std::sync::Arc<str> = args.note.as_str().into();
    let done = format!("snoozed until {}", until.zoned(&TimeZone::system()).strftime("%a %-d %b %H:%M"));
    pick::each(&args.pick, context, &done, |target| Intent::Snooze { alert: target.alert, episode: target.episode, until, note: note.clone() })
}

/// The next time that the clock shows this; a date as it is.
fn ahead(text: &str, now: Time, zone: &TimeZone) -> Result<Time, Failure> {
    let when: When = text.parse().map_err(|_| Failure::usage(format!("`{text}` is no time"), "Write 08:00, 2026-11-21 08:00, or use --for 2h"))?;
    let at = match when {
        When::Ago(span) => now.plus(span),
        When::At(_) | When::Local(_) | When::Day(..) => when.resolve(now, zone),
        // The clock shows each time once a day; the calendar, not 24 hours, says when it does again.
        When::Clock(_) => again(when.resolve(now, zone), now, 1, zone),
        When::Weekday(..) => again(when.resolve(now, zone), now, 7, zone),
    };
    if at <= now {
        return Err(Failure::usage(format!("{text} has passed"), "Snooze until a time that lies ahead"));
    }
    Ok(at)
}

fn again(last: Time, now: Time, days: i32, zone: &TimeZone) -> Time {
    if last > now {
        return last;
    }
    last.zoned(zone).checked_add(jiff::Span::new().days(days)).map_or(last, |next| Time::from(next.timestamp()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_time_is_the_next_one() {
        let zone = TimeZone::UTC;
        let now: Time = "2026-11-21T02:57:00Z".parse().unwrap();
        let at = |text: &str| ahead(text, now, &zone).map(|at| at.to_string());
        assert_eq!(at("08:00").unwrap(), "2026-11-21T08:00:00Z");
        assert_eq!(at("02:00").unwrap(), "2026-11-22T02:00:00Z");
        assert_eq!(at("2h").unwrap(), "2026-11-21T04:57:00Z");
        assert!(at("2026-11-20").unwrap_err().to_string().contains("has passed"));
        assert!(at("soon").is_err());
    }

    #[test]
    fn p7_the_next_morning_is_the_next_morning_when_the_clocks_change() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let now: Time = "2026-10-24T07:30:00Z".parse().unwrap();
        assert_eq!(ahead("09:00", now, &zone).unwrap().to_string(), "2026-10-25T08:00:00Z");
    }
}
