//! Episodes from before anybody watched here, as a source remembers them: each becomes one event, once.
//!
//! What midwatch saw itself, or another source told already, is known and is not told again. Nothing is
//! opened by it and nobody is woken.

use std::collections::BTreeMap;

use super::{Rules, fingerprint};
use crate::model::episode::day;
use crate::model::event::{Actor, AlertPast, Draft, SourcePast};
use crate::model::history::REACH;
use crate::model::id::Fingerprint;
use crate::model::report::{Memory, ReportedState};
use crate::model::severity::Severity;
use crate::model::time::{Span, Time};
use crate::model::world::{Alert, World};

pub fn remembered(world: &World, rules: &Rules, memory: &Memory, now: Time) -> Vec<Draft> {
    let by = Actor::Source(memory.source.clone());
    let mut out = Vec::new();
    let mut told: BTreeMap<Fingerprint, Vec<(Time, Time)>> = BTreeMap::new();
    for episode in &memory.episodes {
        let ReportedState::Resolved { at: until } = episode.state else { continue };
        let (from, until) = (episode.starts, until.min(now));
        // A day more than history looks back: days are counted whole.
        if from > until || until.plus(REACH).plus(Span::from_days(1)) < now {
            continue;
        }
        let fingerprint = fingerprint(&episode.system, &episode.check, &episode.labels, rules);
        let alert = world.alert(fingerprint);
        let told = told.entry(fingerprint).or_default();
        if alert.is_some_and(|alert| knows(alert, from, until)) || told.iter().any(|(a, b)| *a <= until && from <= *b) {
            continue;
        }
        told.push((from, until));
        let kind = AlertPast { alert: fingerprint, check: episode.check.clone(), until };
        // The source's series have labels alone: words that came with the alert itself say more.
        let title = alert.map_or_else(|| episode.title.clone(), |alert| alert.title.clone());
        let mut draft = Draft::new(from, by.clone(), kind, title).on(episode.system.clone()).severity(episode.severity);
        draft.labels = episode.labels.clone();
        out.push(draft);
    }
    if world.sources.get(&memory.source).and_then(|source| source.filled.as_ref()) != Some(&memory.filled) {
        let filled = memory.filled.clone();
        let words = |time: Time| time.timestamp().strftime("%-d %b %Y %H:%M UTC").to_string();
        let title = match (filled.complete, filled.gaps.last()) {
            (true, Some((from, to))) => format!("what {} says of {} to {} is still to be asked for", memory.source, words(*from), words(*to)),
            (_, _) => format!("the past of {} is filled in back to {}", memory.source, words(filled.from)),
        };
        out.push(Draft::new(now, by, SourcePast { source: memory.source.clone(), filled }, title).severity(Severity::Debug));
    }
    out
}

/// Whether some of this episode is known already.
fn knows(alert: &Alert, from: Time, until: Time) -> bool {
    if alert.now.is_some_and(|open| open.since <= until) || alert.past.iter().any(|past| past.from <= until && from <= past.until) {
        return true;
    }
    // Of what is older than the episodes that are kept, the days are known: whole days are told at once.
    let older = alert.past.len() >= World::PAST && alert.past.first().is_some_and(|oldest| until < oldest.from);
    older
        && i32::try_from(day(from)).is_ok_and(|day| {
            alert.days.binary_search_by_key(&day, |known| known.day).is_ok_and(|found| alert.days.get(found).is_some_and(|known| known.count > 0))
        })
}
