//! Is this always broken, or did it just happen? What an alert's past says of it, in words and numbers.
//!
//! Pure: from the alert, what its world knows, the reader's time zone, and now. Only what is known
//! counts: "first time in the 15 days known". Days are those of UTC, so that no verdict depends on where
//! the reader sits; thresholds stand in [`HistoryRules`].

mod habit;
mod rules;
mod sentences;
mod strip;
#[cfg(test)]
mod tests;

use jiff::tz::TimeZone;

use super::episode::day;
use super::event::{Actor, ClearReason};
use super::id::SourceId;
use super::time::{Span, Time};
use super::world::{Alert, Ended, Open, Past, World};

pub use habit::{Days, Habit};
pub use rules::{HistoryRules, rules_of};
pub use sentences::{ago, coarse, ordinal};
pub use strip::{Cell, strip};

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

/// An alert's past, within [`REACH`] and as far as it is known.
#[derive(Clone, PartialEq, Debug)]
pub struct History {
    pub verdict: Verdict,
    /// Episodes before the present one.
    pub before: u32,
    /// Days on which it was there.
    pub days: u32,
    pub known: Known,
    /// It is open.
    pub open: bool,
    /// When the last closed episode began.
    pub last: Option<Time>,
    pub lengths: Lengths,
    /// When it likes to come, on the reader's clock.
    pub habit: Habit,
    /// The last time that a person had a part in its end.
    pub ended: Option<Ended>,
    /// Whether that was the last time at all.
    pub ended_last: bool,
    /// Its source says that it began at the first of these; here it was heard of only at the second, and
    /// counts since then. Said when a day or more lies between.
    pub hearsay: Option<(Time, Time)>,
    /// Nothing that one must look at: it is always so, or goes away by itself as it always has.
    pub usual: bool,
}

/// How far back anything is known.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Known {
    pub since: Option<Time>,
    /// At most [`REACH`], without the spans in which nobody watched.
    pub span: Span,
    /// The source whose own memory reaches further back than the server's, and from when the server knows itself.
    pub filled: Option<(SourceId, Time)>,
}

/// How long the closed episodes lasted that are kept (the newest [`World::PAST`]).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Lengths {
    pub count: u32,
    /// Of those, how many ended without a person.
    pub by_itself: u32,
    pub median: Span,
    /// Nine of ten were no longer.
    pub most: Span,
}

impl Lengths {
    pub fn of<'a>(episodes: impl Iterator<Item = &'a Past>) -> Lengths {
        let mut by_itself = 0_u32;
        let mut lengths: Vec<Span> = episodes
            .map(|past| {
                by_itself += u32::from(!past.by_hand && past.reason != ClearReason::Resolved);
                past.until.since(past.from)
            })
            .collect();
        lengths.sort_unstable();
        let at = |place: usize| lengths.get(place).copied().unwrap_or_default();
        let count = lengths.len();
        let most = (count * 9).div_ceil(10).saturating_sub(1);
        Lengths { count: u32::try_from(count).unwrap_or(u32::MAX), by_itself, median: at(count / 2), most: at(most) }
    }

    /// The share that cleared by itself; none when nothing has cleared yet.
    pub fn itself_percent(&self) -> Option<u32> {
        (self.by_itself * 100).checked_div(self.count)
    }
}

impl Known {
    pub fn of(world: &World, alert: &Alert, now: Time) -> Known {
        let holders = alert.holders.iter().filter_map(|holder| if let Actor::Source(source) = holder { Some(source) } else { None });
        let told = holders.chain(alert.filled.as_ref()).filter_map(|source| Some((source, world.sources.get(source)?.filled.as_ref()?)));
        let told = told.min_by_key(|(_, filled)| filled.from);
        let own = world.known_since;
        let reach = now.minus(REACH);
        let (since, filled, watched_from) = match (own, told) {
            (Some(own), Some((source, told))) if told.from < own => (Some(told.from), Some((source.clone(), told.until)), told.until),
            (None, Some((source, told))) => (Some(told.from), Some((source.clone(), told.until)), told.until),
            (own, _) => (own, None, own.unwrap_or(now)),
        };
        let Some(since) = since else { return Known::default() };
        let gaps = habit::unwatched(world.unwatched.iter().copied(), watched_from.max(reach), now);
        let whole = now.since(since.max(reach));
        Known { since: Some(since), span: Span::from_micros(whole.micros().saturating_sub(gaps.micros())), filled }
    }

    /// Whole days, 90 at most.
    pub fn days(&self) -> i64 {
        self.span.secs() / 86_400
    }
}

impl History {
    pub fn of(alert: &Alert, world: &World, zone: &TimeZone, now: Time) -> History {
        History::judged(alert, Known::of(world, alert, now), rules_of(world, &alert.system), zone, now)
    }

    /// With what is known and the thresholds given.
    pub fn judged(alert: &Alert, known: Known, rules: &HistoryRules, zone: &TimeZone, now: Time) -> History {
        let horizon = day(now.minus(REACH));
        let recent = || alert.days.iter().filter(move |d| i64::from(d.day) > horizon);
        let counted = recent().fold(0_u32, |sum, d| sum.saturating_add(u32::from(d.count)));
        let began_within = alert.now.is_some_and(|open| day(open.since) > horizon);
        let before = counted.saturating_sub(u32::from(began_within));
        // While it is open it is there on every day since it began, as far as that counts.
        let counted_since = alert.now.map(|open| counts_since(alert, &open, &known));
        let days = match counted_since.map(|since| day(since).max(horizon + 1)) {
            Some(began) => recent().filter(|d| i64::from(d.day) < began).count().saturating_add(usize::try_from(day(now) - began + 1).unwrap_or(0)),
            None => recent().count(),
        };
        let days = u32::try_from(days).unwrap_or(u32::MAX);
        let age = alert.now.map_or(Span::ZERO, |open| now.since(open.since));
        let counted_age = counted_since.map_or(Span::ZERO, |since| now.since(since));
        let lengths = Lengths::of(alert.past.iter().filter(|past| day(past.from) > horizon));
        let known_days = u32::try_from(known.days()).unwrap_or(0).saturating_add(1);
        let often = known_days >= rules.chronic_known && u64::from(days) * 100 >= u64::from(known_days) * u64::from(rules.chronic_days);
        let verdict = if alert.flapping {
            Verdict::Flapping
        } else if often || (counted_age >= rules.chronic_open && known_days >= rules.chronic_known) {
            Verdict::Chronic
        } else if before == 0 {
            Verdict::New
        } else if before <= rules.rare {
            Verdict::Rare
        } else {
            Verdict::Recurring
        };
        let goes_away = before >= rules.usual_after
            && lengths.itself_percent().is_some_and(|itself| itself >= rules.usual_itself)
            && age <= lengths.median.times(i64::from(rules.usual_times)).max(lengths.most);
        let usual = match verdict {
            Verdict::Chronic | Verdict::Flapping => true,
            Verdict::Recurring => goes_away && alert.severity <= rules.usual_worst,
            Verdict::New | Verdict::Rare => false,
        };
        let ended = alert.ended.as_deref().filter(|ended| day(ended.at) > horizon).cloned();
        let ended_last = ended.as_ref().is_some_and(|ended| alert.past.last().is_some_and(|past| past.until == ended.at));
        History {
            verdict,
            before,
            days,
            known,
            open: alert.is_open(),
            last: alert.past.last().map(|past| past.from),
            lengths,
            habit: Habit::of(alert, zone, now),
            ended,
            ended_last,
            hearsay: alert
                .now
                .zip(counted_since)
                .filter(|(open, since)| since.since(open.since) >= Span::from_days(1))
                .map(|(open, since)| (open.since, since)),
            usual,
        }
    }
}

/// From when an open episode counts. What an agent reports it saw itself, however late it could say so; a
/// source's word that something began long ago counts from where that source's own past is known here,
/// else from when the server heard of it.
fn counts_since(alert: &Alert, open: &Open, known: &Known) -> Time {
    let hearsay = !alert.holders.is_empty() && alert.holders.iter().all(|holder| matches!(holder, Actor::Source(_)));
    if !hearsay {
        return open.since;
    }
    let from = match (&known.filled, known.since, open.heard) {
        (Some(_), Some(remembered), heard) => heard.map_or(remembered, |heard| remembered.min(heard)),
        (_, _, Some(heard)) => heard,
        (_, _, None) => open.since,
    };
    open.since.max(from)
}

/// The same check on other systems, all together.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Elsewhere {
    /// Alerts of this check on other systems that had an episode within reach.
    pub systems: u32,
    pub open: u32,
    pub episodes: u32,
    pub lengths: Lengths,
}

impl Elsewhere {
    pub fn of<'a>(others: impl Iterator<Item = &'a Alert>, now: Time) -> Elsewhere {
        let horizon = day(now.minus(REACH));
        let mut out = Elsewhere::default();
        let mut episodes: Vec<&Past> = Vec::new();
        let mut systems = std::collections::BTreeSet::new();
        for alert in others {
            let counted = alert.days.iter().filter(|d| i64::from(d.day) > horizon).fold(0_u32, |sum, d| sum.saturating_add(u32::from(d.count)));
            if counted == 0 && !alert.is_open() {
                continue;
            }
            systems.insert(&alert.system);
            out.open += u32::from(alert.is_open());
            out.episodes = out.episodes.saturating_add(counted.max(1));
            episodes.extend(alert.past.iter().filter(|past| day(past.from) > horizon));
        }
        out.systems = u32::try_from(systems.len()).unwrap_or(u32::MAX);
        out.lengths = Lengths::of(episodes.into_iter());
        out
    }
}

const fn plural<'a>(count: u32, one: &'a str, many: &'a str) -> &'a str {
    if count == 1 { one } else { many }
}
