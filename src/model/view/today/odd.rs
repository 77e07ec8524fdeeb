//! What is odd beside the alerts themselves: an hour at which it never happened before, servers and agents
//! that were silent, spans in which nobody watched.

use jiff::tz::TimeZone;

use crate::model::event::{Event, Kind};
use crate::model::time::Time;
use crate::model::world::Alert;

/// So many episodes make a habit.
const HABIT: usize = 8;
/// Hours around the clock within which an hour is a usual one.
const NEAR: i8 = 3;

/// It has a habit, and this hour of the day lies well outside of it.
pub(super) fn unusual_hour(alert: &Alert, began: Time, zone: &TimeZone) -> bool {
    let hours: Vec<i8> = alert.past.iter().filter(|past| past.from < began).map(|past| past.from.zoned(zone).hour()).collect();
    let here = began.zoned(zone).hour();
    let apart = |hour: i8| {
        let apart = (hour - here).abs();
        apart.min(24 - apart)
    };
    hours.len() >= HABIT && hours.iter().all(|hour| apart(*hour) > NEAR)
}

/// Whether an event that is no alert's tells of midwatch's own troubles.
pub(super) fn is_odd(event: &Event) -> bool {
    matches!(
        event.kind,
        Kind::Unwatched(_)
            | Kind::LogRestored(_)
            | Kind::PeerRestored(_)
            | Kind::PeerMissed(_)
            | Kind::PeerMalformed(_)
            | Kind::AgentSilent(_)
            | Kind::AgentReturned(_)
            | Kind::SourceFailed(_)
            | Kind::SourceRecovered(_)
    )
}
