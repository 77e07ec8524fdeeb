//! Episodes that are over: how a world keeps them, and how many.
//!
//! Each alert keeps its newest closed episodes and a count for each of its days; a world keeps so many
//! alerts that are over, and so many episodes. What goes is the oldest, by what the world holds alone, so
//! that every reader of the same events drops the same.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::event::{Actor, AlertPast, ClearReason, Condition, Event};
use super::id::{EventId, Fingerprint, SystemId};
use super::severity::Severity;
use super::time::{Span, Time};
use super::words::first_line;
use super::world::{Alert, Day, Deed, DeedKind, Ended, Open, Past, World};

/// The longest run of days that one episode marks on its strip.
const LONGEST: i64 = 92;

/// A change or note so long before an episode's end is taken for what ended it.
const ENDING: Span = Span::from_mins(30);

/// Days since 1970, in UTC.
pub fn day(at: Time) -> i64 {
    at.secs().div_euclid(86_400)
}

/// The open episode is over.
pub(super) fn close(world: &mut World, fingerprint: Fingerprint, at: Time, reason: ClearReason, by: Option<&Event>) {
    let Some(open) = world.alert(fingerprint).and_then(|alert| alert.now) else { return };
    let until = at.max(open.since);
    let ended = ended(world, fingerprint, open.since, until, reason, by);
    let Some(alert) = world.alerts.get_mut(&fingerprint) else { return };
    let alert = Arc::make_mut(alert);
    alert.now = None;
    let by_hand = ended.as_ref().is_some_and(|ended| ended.kind != DeedKind::Note);
    let past = Past { from: open.since, until, severity: alert.severity, reason, by_hand, filled: false };
    if let Some(ended) = ended {
        alert.ended = Some(Box::new(ended));
    }
    over_days(alert, past, 0);
    alert.holders.clear();
    if let Some(care) = &mut alert.care {
        care.cleared = Some(until);
    }
    let kept = keep(alert, past);
    world.kept = world.kept.saturating_add(kept);
    bound(world);
}

/// Who ended it, or what somebody said or changed right before it ended.
fn ended(world: &World, fingerprint: Fingerprint, since: Time, until: Time, reason: ClearReason, by: Option<&Event>) -> Option<Ended> {
    if let Some(event) = by.filter(|event| reason == ClearReason::Resolved && matches!(event.actor, Actor::User(_))) {
        return Some(Ended { at: until, by: event.actor.clone(), kind: DeedKind::Resolved, words: first_line(&event.text).into(), above: None });
    }
    let alert = world.alert(fingerprint)?;
    // Deeds stand in the order in which they were written: what is older than the episode ends the search.
    let near = world.deeds.iter().rev().take_while(|deed| deed.at >= since).filter(|deed| deed.at <= until && deed.at.plus(ENDING) >= until && !deed.withdrawn);
    let mut note: Option<&Arc<Deed>> = None;
    for deed in near {
        let here = deed.system.as_ref().is_some_and(|system| alert.system == *system || alert.system.within(system));
        match deed.kind {
            DeedKind::Change | DeedKind::Restarted if here => {
                let above = deed.system.clone().filter(|system| *system != alert.system);
                return Some(Ended { at: until, by: deed.by.clone(), kind: deed.kind, words: first_line(&deed.title).into(), above });
            }
            DeedKind::Note if deed.alert == Some(fingerprint) => note = note.or(Some(deed)),
            DeedKind::Change
            | DeedKind::Restarted
            | DeedKind::Note
            | DeedKind::Acknowledged
            | DeedKind::Snoozed
            | DeedKind::Assigned
            | DeedKind::Resolved
            | DeedKind::Commit
            | DeedKind::Configured
            | DeedKind::SilenceEnded
            | DeedKind::Inventory
            | DeedKind::Action
            | DeedKind::Apart
            | DeedKind::Other => {}
        }
    }
    note.map(|deed| Ended { at: until, by: deed.by.clone(), kind: DeedKind::Note, words: first_line(&deed.title).into(), above: None })
}

/// An episode from before anybody watched here. One that is known already changes nothing.
pub(super) fn fill(world: &mut World, event: &Event, system: &SystemId, episode: &AlertPast) {
    let (from, until) = (event.at, episode.until.max(event.at));
    let known = world.alerts.entry(episode.alert);
    let alert = known.or_insert_with(|| Arc::new(Alert::told_by(event, system.clone(), episode.check.clone(), Condition::Problem)));
    if alert.past.iter().any(|past| past.from == from && past.until == until) {
        return;
    }
    let alert = Arc::make_mut(alert);
    let past = Past { from, until, severity: event.severity, reason: ClearReason::Recovered, by_hand: false, filled: true };
    alert.episodes = alert.episodes.saturating_add(1);
    alert.first = alert.first.min(from);
    if let Actor::Source(source) = &event.actor {
        alert.filled = Some(source.clone());
    }
    over_days(alert, past, 1);
    let kept = keep(alert, past);
    world.kept = world.kept.saturating_add(kept);
    bound(world);
}

/// Makes of a world what it was at `at`: an episode that was filled in later, and was not over by then, was
/// open. `events`: those that told of them.
pub fn reopen(world: &mut World, at: Time, events: &BTreeMap<Fingerprint, EventId>) {
    for (fingerprint, episode) in events {
        let Some(alert) = world.alerts.get_mut(fingerprint).filter(|alert| !alert.is_open()) else { continue };
        let alert = Arc::make_mut(alert);
        let Some(place) = alert.past.iter().rposition(|past| past.filled && past.from <= at && at < past.until) else { continue };
        let past = alert.past.remove(place);
        alert.severity = past.severity;
        alert.now = Some(Open { episode: *episode, since: past.from, heard: None, unrefreshed: None });
        alert.holders = alert.filled.iter().cloned().map(Actor::Source).collect();
        world.kept = world.kept.saturating_sub(1);
        world.open.insert(*fingerprint);
    }
}

/// Puts an episode in its place; says how many more are kept by that.
fn keep(alert: &mut Alert, past: Past) -> u32 {
    let place = alert.past.partition_point(|known| (known.from, known.until) <= (past.from, past.until));
    if alert.past.len() < World::PAST {
        // Most alerts have few episodes: a growing list would make room for four.
        if alert.past.len() < 4 {
            alert.past.reserve_exact(1);
        }
        alert.past.insert(place, past);
        return 1;
    }
    if place > 0 {
        alert.past.insert(place, past);
        alert.past.remove(0);
    }
    0
}

/// An episode that lasted over midnight was there on each of its days.
fn over_days(alert: &mut Alert, past: Past, count: u16) {
    if count > 0 {
        count_day(alert, past.from, count, past.severity);
    }
    let days = (day(past.until) - day(past.from)).clamp(0, LONGEST);
    for ahead in 1..=days {
        count_day(alert, past.from.plus(Span::from_days(ahead)), 0, past.severity);
    }
}

pub(super) fn count_day(alert: &mut Alert, at: Time, count: u16, severity: Severity) {
    let Ok(day) = i32::try_from(day(at)) else { return };
    match alert.days.binary_search_by_key(&day, |d| d.day) {
        Ok(found) => {
            if let Some(known) = alert.days.get_mut(found) {
                known.count = known.count.saturating_add(count);
                known.worst = known.worst.max(severity);
            }
        }
        Err(place) => {
            if alert.days.is_empty() {
                alert.days.reserve_exact(1);
            }
            alert.days.insert(place, Day { day, count, worst: severity });
            if alert.days.len() > World::DAYS {
                alert.days.remove(0);
            }
        }
    }
}

/// Lets go of the oldest when there is too much.
pub(super) fn bound(world: &mut World) {
    bound_to(world, World::OVER, World::EPISODES);
}

fn bound_to(world: &mut World, over: usize, episodes: u32) {
    if world.alerts.len().saturating_sub(world.open.len()) > over {
        // A quarter goes at once, so that a storm of ever new labels does not sort them all each time.
        let mut oldest: Vec<(Time, Fingerprint)> = world
            .alerts
            .iter()
            .filter(|(_, alert)| !alert.is_open() && alert.care.is_none())
            .map(|(fingerprint, alert)| (alert.past.last().map_or(alert.first, |past| past.until), *fingerprint))
            .collect();
        oldest.sort_unstable();
        let too_many = oldest.len().saturating_sub(over / 4 * 3);
        for (_, fingerprint) in oldest.into_iter().take(too_many) {
            if let Some(gone) = world.alerts.remove(&fingerprint) {
                world.kept = world.kept.saturating_sub(u32::try_from(gone.past.len()).unwrap_or(u32::MAX));
            }
        }
    }
    if world.kept > episodes {
        let most = World::PAST / 4;
        let mut kept = 0_u32;
        for alert in world.alerts.values_mut() {
            if alert.past.len() > most {
                let alert = Arc::make_mut(alert);
                alert.past.drain(..alert.past.len() - most);
            }
            kept = kept.saturating_add(u32::try_from(alert.past.len()).unwrap_or(u32::MAX));
        }
        world.kept = kept;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fold::fold;
    use crate::model::id::{EventId, Incarnation, Origin};
    use crate::model::labels::Labels;

    /// Filled-in episodes: alert, hour at which it began, minutes that it lasted.
    fn told(episodes: impl IntoIterator<Item = (u32, i64, i64)>) -> World {
        let mut world = World::new(Origin([1; 16]), Incarnation(1));
        for (number, from, minutes) in episodes {
            let mut fingerprint = [0; 16];
            fingerprint[..4].copy_from_slice(&number.to_be_bytes());
            let at = Time::from_secs(1_790_000_000).plus(Span::from_hours(from));
            let kind = AlertPast { alert: Fingerprint(fingerprint), check: "c".into(), until: at.plus(Span::from_mins(minutes)) };
            let mut draft = crate::model::event::Draft::new(at, Actor::Source("prom".into()), kind, "t").on("shop".parse().unwrap());
            draft.labels = Labels::new([("a", "b")]);
            let id = EventId { origin: world.origin, incarnation: world.incarnation, sequence: world.head.next() };
            fold(&mut world, &draft.stamp(id, Time::from_secs(1_800_000_000)));
        }
        world
    }

    #[test]
    fn an_alert_keeps_its_newest_episodes_in_order_however_they_come() {
        let most = i64::try_from(World::PAST).unwrap();
        let forwards = told((0..most + 50).map(|n| (1, n * 7, 5)));
        let backwards = told((0..most + 50).rev().map(|n| (1, n * 7, 5)));
        let (a, b) = (forwards.alerts.values().next().unwrap(), backwards.alerts.values().next().unwrap());
        assert_eq!((a.past.len(), a.episodes), (World::PAST, u32::try_from(most).unwrap() + 50));
        assert_eq!((&a.past, &a.days), (&b.past, &b.days));
        assert!(a.past.is_sorted_by_key(|past| past.from));
        assert_eq!((forwards.kept, backwards.kept), (100, 100));
    }

    #[test]
    fn the_same_episode_twice_counts_once() {
        let world = told([(1, 0, 5), (1, 0, 5), (1, 3, 5)]);
        let alert = world.alerts.values().next().unwrap();
        assert_eq!((alert.episodes, alert.past.len(), alert.days.iter().map(|d| d.count).sum::<u16>()), (2, 2, 2));
    }

    #[test]
    fn too_many_alerts_that_are_over_let_the_oldest_go() {
        let mut world = told((0..100).map(|n| (n, i64::from(n), 5)));
        bound_to(&mut world, 99, u32::MAX);
        assert_eq!((world.alerts.len(), world.kept), (72, 72));
        assert!(world.alerts.keys().all(|f| f.0[3] >= 28), "the newest stay");
        bound_to(&mut world, 99, u32::MAX);
        assert_eq!(world.alerts.len(), 72);
    }

    #[test]
    fn too_many_episodes_leave_each_alert_its_newest() {
        let mut world = told((0..300).map(|n| (u32::try_from(n % 3).unwrap(), n, 5)));
        assert_eq!(world.kept, 300);
        bound_to(&mut world, usize::MAX, 299);
        assert_eq!(world.kept, 75);
        assert!(world.alerts.values().all(|alert| alert.past.len() == 25 && alert.episodes == 100));
    }
}
