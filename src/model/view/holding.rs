//! What one holds on a server: as whom one is there, what one may do, until when, and what to do before that
//! ends. Screens and command line say the same.

use std::sync::Arc;

use jiff::tz::TimeZone;
use serde::Serialize;

use super::given::quoted;
use crate::model::grant::{Grant, Scope, joined};
use crate::model::health::Wrong;
use crate::model::history::coarse;
use crate::model::id::GrantId;
use crate::model::peer::PeerState;
use crate::model::severity::Severity;
use crate::model::time::{Span, Time};
use crate::model::world::World;

/// As whom a server knows one, and what it lets one do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Held {
    pub name: Arc<str>,
    pub scope: Scope,
    /// The grant in the server's log, where that is how one came in.
    pub grant: Option<GrantId>,
    pub role: Option<Arc<str>>,
}

/// How near the end of a grant is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    /// It stays until it is taken back.
    Never,
    Later,
    /// Less than an hour is left, or less than a tenth of its life: time to ask for another.
    Soon,
    /// Less than both.
    Last,
    Over,
}

impl Ending {
    /// Of what began then, if that is known. What lives for less than two hours is near its end in its second half.
    pub fn of(since: Option<Time>, until: Option<Time>, now: Time) -> Ending {
        let Some(until) = until else { return Ending::Never };
        let left = until.since(now);
        if left <= Span::ZERO {
            return Ending::Over;
        }
        let hour = Span::from_hours(1);
        let life = since.map(|since| until.since(since)).filter(|life| *life > Span::ZERO);
        let tenth = life.map_or(Span::from_mins(6), |life| Span::from_micros(life.micros() / 10));
        let half = life.map_or(hour, |life| Span::from_micros(life.micros() / 2));
        match (left < hour.max(tenth).min(half), left < hour.min(tenth)) {
            (_, true) => Ending::Last,
            (true, false) => Ending::Soon,
            (false, false) => Ending::Later,
        }
    }

    /// As a mark, where it is one.
    pub const fn severity(self) -> Option<Severity> {
        match self {
            Ending::Never | Ending::Later => None,
            Ending::Soon => Some(Severity::Warning),
            Ending::Last | Ending::Over => Some(Severity::Error),
        }
    }
}

/// "3h12m", "2d4h", "42m": by the minute, and never more than is left.
fn left(span: Span) -> String {
    let minutes = span.secs() / 60;
    match (minutes / 1_440, minutes / 60 % 24, minutes % 60) {
        (0, 0, 0) => "less than a minute".to_owned(),
        (0, 0, minutes) => format!("{minutes}m"),
        (0, hours, 0) => format!("{hours}h"),
        (0, hours, minutes) => format!("{hours}h{minutes:02}m"),
        (days @ 1..10, hours @ 1.., _) => format!("{days}d{hours}h"),
        (days, _, _) => format!("{days}d"),
    }
}

/// "ends in 3h12m", "ended 5m ago", "stays until it is taken back".
pub fn countdown(until: Option<Time>, now: Time) -> String {
    match until {
        None => "stays until it is taken back".to_owned(),
        Some(until) if until <= now => format!("ended {} ago", coarse(Span::from_mins((now.since(until).secs() / 60).max(1)))),
        Some(until) => format!("ends in {}", left(until.since(now))),
    }
}

/// "Sat 18:00", "Thu 24 Dec 18:00", with the year where it is another.
pub fn moment(at: Time, now: Time, zone: &TimeZone) -> String {
    let (here, today) = (at.zoned(zone), now.zoned(zone));
    let near = at.micros().saturating_sub(now.micros()).saturating_abs() < Span::from_days(6).micros();
    let form = match (near, here.year() == today.year()) {
        (true, _) => "%a %H:%M",
        (false, true) => "%a %-d %b %H:%M",
        (false, false) => "%a %-d %b %Y %H:%M",
    };
    here.strftime(form).to_string()
}

/// What one holds, in words.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Holding {
    /// "robin, responder".
    pub who: String,
    /// "see and respond to alerts on shop/**".
    pub may: String,
    /// "kim gave it, Fri 20 Nov 10:00", or by what else one came in.
    pub by: String,
    pub ending: Ending,
    /// "ends in 42m, Sat 18:00".
    pub ends: String,
    /// What to do, when something is to be done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

impl Held {
    /// The grant itself, where it may be seen.
    pub(super) fn given<'a>(&self, world: &'a World) -> Option<&'a Grant> {
        self.grant.and_then(|id| world.grants.get(&id)).map(|grant| &**grant)
    }

    /// Near its end or not.
    pub fn ending(&self, world: &World, now: Time) -> Ending {
        match self.given(world) {
            Some(grant) if grant.ended.is_some() => Ending::Over,
            grant => Ending::of(grant.map(|grant| grant.at), self.scope.expires, now),
        }
    }

    /// `server`: as the reader calls it. `world`: as far as that server shows it.
    pub fn in_words(&self, server: &str, world: &World, now: Time, zone: &TimeZone) -> Holding {
        let grant = self.given(world);
        let ending = self.ending(world, now);
        let ended = grant.and_then(|grant| grant.ended.as_ref());
        let until = ended.map(|(at, _)| *at).or(self.scope.expires);
        let giver = grant.map(|grant| grant.by.name().to_owned());
        let ask = giver.clone().unwrap_or_else(|| format!("whoever runs {server}"));
        let advice = match (ending, &self.role) {
            (Ending::Never | Ending::Later, _) => None,
            (Ending::Over, _) => Some(format!("ask {ask} for a new invite, then type in a shell: midwatch join CODE")),
            (_, Some(role)) => Some(format!(
                "ask {ask} for another in time: midwatch invite --role {} --systems {} --name {}; then midwatch join CODE",
                quoted(role),
                quoted(&joined(&self.scope.systems, ",")),
                quoted(&self.name)
            )),
            (_, None) => Some(format!("ask {ask} for another in time")),
        };
        Holding {
            who: self.role.as_ref().map_or_else(|| self.name.to_string(), |role| format!("{}, {role}", self.name)),
            may: self.scope.sentence(),
            by: match grant {
                Some(grant) => format!("{} gave it, {}", grant.by.name(), moment(grant.at, now, zone)),
                None if self.grant.is_some() => "by a grant".to_owned(),
                None if self.scope.is_all() => "without a grant: its socket, token or authorized_keys".to_owned(),
                None => "by a line of its authorized_keys, or a handed-on token".to_owned(),
            },
            ending,
            ends: ends(until, now, zone),
            advice,
        }
    }

    /// That it ends soon, as what is wrong with a server is said.
    pub fn wrong(&self, server: &str, world: &World, now: Time, zone: &TimeZone) -> Option<Wrong> {
        let severity = self.ending(world, now).severity()?;
        let words = self.in_words(server, world, now, zone);
        let (word, what) = match words.ending {
            Ending::Over => ("access ended".to_owned(), format!("your access to {server} {}", words.ends)),
            _ => (words.ends.split(',').next().unwrap_or_default().replace("ends in", "access ends in"), format!("your access to {server} {}", words.ends)),
        };
        Some(Wrong { severity, word: word.into(), what: what.into(), advice: sentence(&words.advice.unwrap_or_default()).into() })
    }
}

/// Of a server that does not let one in, and does not say what one held: what to do. `world`: as it was known before.
pub fn not_let_in(server: &str, world: &World) -> String {
    // Who sees a part sees their own grants, and no others.
    let own = world.epoch.and_then(|_| world.grants.values().max_by_key(|grant| grant.at));
    let ask = own.map_or_else(|| format!("whoever runs {server}"), |grant| grant.by.name().to_owned());
    format!("ask {ask} for a new invite, then type in a shell: midwatch join CODE")
}

fn ends(until: Option<Time>, now: Time, zone: &TimeZone) -> String {
    let when = until.map(|until| format!(", {}", moment(until, now, zone))).unwrap_or_default();
    format!("{}{when}", countdown(until, now))
}

/// With a capital letter.
fn sentence(words: &str) -> String {
    let mut chars = words.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

/// What a server holds of a peer, in words; nothing while the peer has not said it.
pub fn of_peer(peer: &PeerState, server: &str, now: Time, zone: &TimeZone) -> Option<Holding> {
    let may = peer.grant.as_ref()?;
    let ending = Ending::of(peer.granted, peer.until, now);
    let giver = peer.granted_by.as_ref().map_or_else(|| format!("whoever runs {}", peer.name), |by| format!("{by} at {}", peer.name));
    let advice = match ending {
        Ending::Never | Ending::Later => None,
        Ending::Soon | Ending::Last | Ending::Over => {
            Some(format!("ask {giver} for another invite as peer; on {server}'s machine: midwatch join CODE. What came stays, nothing new comes without"))
        }
    };
    Some(Holding {
        who: server.to_owned(),
        may: may.to_string(),
        by: match (&peer.granted_by, peer.granted) {
            (Some(by), Some(at)) => format!("{by} gave it, {}", moment(at, now, zone)),
            (Some(by), None) => format!("{by} gave it"),
            (None, _) => "by a line of its authorized_keys".to_owned(),
        },
        ending,
        ends: ends(peer.until, now, zone),
        advice,
    })
}

/// That what a server holds of a peer ends soon.
pub fn peer_wrong(peer: &PeerState, server: &str, now: Time, zone: &TimeZone) -> Option<Wrong> {
    let words = of_peer(peer, server, now, zone)?;
    let severity = words.ending.severity()?;
    let word = if words.ending == Ending::Over { "a peer's grant ended" } else { "a peer's grant ends" };
    let what = format!("what {} grants {server} {}", peer.name, words.ends);
    Some(Wrong { severity, word: word.into(), what: what.into(), advice: sentence(&words.advice.unwrap_or_default()).into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_secs(1_795_000_000);

    fn after(minutes: i64) -> Time {
        Time::from_secs(NOW.secs() + minutes * 60)
    }

    #[test]
    fn an_end_is_near_an_hour_before_or_a_tenth_of_the_life_before() {
        let life = |days: i64, left: i64| Ending::of(Some(after(left - days * 1_440)), Some(after(left)), NOW);
        // Thirty days: three days before, and again an hour before.
        assert_eq!([life(30, 5_000), life(30, 4_000), life(30, 61), life(30, 59)], [Ending::Later, Ending::Soon, Ending::Soon, Ending::Last]);
        assert_eq!([life(30, 1), life(30, 0), life(30, -1)], [Ending::Last, Ending::Over, Ending::Over]);
        // Eight hours: an hour before, and 48 minutes before.
        let shift = |left: i64| Ending::of(Some(after(left - 480)), Some(after(left)), NOW);
        assert_eq!([shift(61), shift(59), shift(47)], [Ending::Later, Ending::Soon, Ending::Last]);
        // Half an hour: not from its first minute on.
        let short = |left: i64| Ending::of(Some(after(left - 30)), Some(after(left)), NOW);
        assert_eq!([short(29), short(14), short(2)], [Ending::Later, Ending::Soon, Ending::Last]);
        // When it began is not known.
        let unknown = |left: i64| Ending::of(None, Some(after(left)), NOW);
        assert_eq!([unknown(61), unknown(59), unknown(5)], [Ending::Later, Ending::Soon, Ending::Last]);
        assert_eq!(Ending::of(None, None, NOW), Ending::Never);
    }

    #[test]
    fn a_countdown_ticks_by_the_minute_and_never_promises_more_than_is_left() {
        let of = |seconds: i64| countdown(Some(Time::from_secs(NOW.secs() + seconds)), NOW);
        for (seconds, words) in [
            (11_520, "ends in 3h12m"),
            (11_519, "ends in 3h11m"),
            (7_200, "ends in 2h"),
            (2_520, "ends in 42m"),
            (59, "ends in less than a minute"),
            (0, "ended 1m ago"),
            (-30, "ended 1m ago"),
            (-720, "ended 12m ago"),
            (187_200, "ends in 2d4h"),
            (86_400 * 40, "ends in 40d"),
        ] {
            assert_eq!(of(seconds), words);
        }
        assert_eq!(countdown(None, NOW), "stays until it is taken back");
    }
}
