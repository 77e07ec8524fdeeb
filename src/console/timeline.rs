//! The events that this console holds, of all servers, in the order of time, and those of them that a
//! filter leaves.
//!
//! Live events come at the end, pages of older ones before it; each is understood when it is shown. What
//! a filter leaves is found in steps between frames, so that typing never waits for a million events.

use std::sync::Arc;

use crate::model::event::Event;
use crate::model::filter::{Filter, OnServer};
use crate::model::id::EventId;
use crate::model::severity::Severity;
use crate::model::time::{Span, Time};

use super::message::{Entry, Lazy};

/// Events that are kept at most; beyond it the oldest go, and can be paged in again.
pub const MOST: usize = 2_000_000;
/// Events that one step of filtering looks at.
const STEP: usize = 5_000;

/// Where an event stands on the timeline.
pub type Place = (Time, EventId);

#[derive(Clone, Debug)]
pub struct Slot {
    pub at: Time,
    pub id: EventId,
    pub severity: Severity,
    pub server: usize,
    event: Lazy,
}

impl Slot {
    pub fn place(&self) -> Place {
        (self.at, self.id)
    }

    pub fn event(&self) -> Option<Arc<Event>> {
        self.event.event()
    }
}

/// How far back one server's past is held.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reach {
    pub oldest: Option<Place>,
    /// There is nothing older on the server.
    pub complete: bool,
    /// A page was asked for and has not come.
    pub asked: bool,
}

#[derive(Debug, Default)]
pub struct Timeline {
    slots: Vec<Slot>,
    reach: Vec<Reach>,
    filter: Option<Filter>,
    hits: Vec<u32>,
    /// How many slots the filter has looked at.
    examined: usize,
    names: Vec<Arc<str>>,
}

impl Timeline {
    pub fn new(names: Vec<Arc<str>>) -> Timeline {
        Timeline { reach: vec![Reach::default(); names.len()], names, ..Timeline::default() }
    }

    /// Rows that are shown: all, or those that the filter leaves.
    pub fn len(&self) -> usize {
        if self.filter.is_some() { self.hits.len() } else { self.slots.len() }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Events that are held.
    pub fn held(&self) -> usize {
        self.slots.len()
    }

    pub fn slot(&self, row: usize) -> Option<&Slot> {
        match self.filter {
            Some(_) => self.slots.get(usize::try_from(*self.hits.get(row)?).ok()?),
            None => self.slots.get(row),
        }
    }

    /// The row at or after this place.
    pub fn find(&self, place: Place) -> usize {
        match self.filter {
            Some(_) => self.hits.partition_point(|hit| usize::try_from(*hit).ok().and_then(|hit| self.slots.get(hit)).is_some_and(|slot| slot.place() < place)),
            None => self.slots.partition_point(|slot| slot.place() < place),
        }
    }

    /// The events of one server that happened by then, as far as they are here and can be read. Nothing:
    /// these are more than `most`.
    pub fn held_by(&self, server: usize, at: Time, most: usize) -> Option<Vec<Arc<Event>>> {
        let until = self.slots.partition_point(|slot| slot.at <= at);
        let of = || self.slots.iter().take(until).filter(move |slot| slot.server == server);
        if of().nth(most).is_some() { None } else { Some(of().filter_map(Slot::event).collect()) }
    }

    /// The newest events of one server, oldest first, at most so many.
    pub fn newest_of(&self, server: usize, most: usize) -> Vec<Arc<Event>> {
        let mut events: Vec<_> = self.slots.iter().rev().filter(|slot| slot.server == server).take(most).filter_map(Slot::event).collect();
        events.reverse();
        events
    }

    /// When the first event of one server happened that is held.
    pub fn first_of(&self, server: usize) -> Option<Time> {
        self.slots.iter().find(|slot| slot.server == server).map(|slot| slot.at)
    }

    pub fn filter(&self) -> Option<&Filter> {
        self.filter.as_ref()
    }

    pub fn set_filter(&mut self, filter: Option<Filter>) {
        self.filter = filter.filter(|filter| !filter.is_all());
        self.hits.clear();
        self.examined = 0;
    }

    /// Whether the filter has not looked at everything yet.
    pub fn is_searching(&self) -> bool {
        self.filter.is_some() && self.examined < self.slots.len()
    }

    /// One step of filtering.
    pub fn work(&mut self) {
        let Some(filter) = &self.filter else { return };
        let end = self.slots.len().min(self.examined.saturating_add(STEP));
        for index in self.examined..end {
            let Some(slot) = self.slots.get(index) else { break };
            if matches(filter, slot, &self.names)
                && let Ok(index) = u32::try_from(index)
            {
                self.hits.push(index);
            }
        }
        self.examined = end;
    }

    pub fn add_live(&mut self, server: usize, events: &[Arc<Event>]) {
        let entries = events.iter().map(|event| Entry { at: event.at, id: event.id, severity: event.severity, event: Lazy::Known(event.clone()) });
        self.add(server, entries.collect());
    }

    pub fn add_older(&mut self, server: usize, entries: Vec<Entry>, complete: bool) {
        let oldest = entries.iter().map(|entry| (entry.at, entry.id)).min();
        if let Some(reach) = self.reach.get_mut(server) {
            reach.asked = false;
            reach.complete = reach.complete || complete;
            reach.oldest = match (reach.oldest, oldest) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
        }
        self.add(server, entries);
    }

    fn add(&mut self, server: usize, entries: Vec<Entry>) {
        let mut new: Vec<Slot> = entries.into_iter().map(|e| Slot { at: e.at, id: e.id, severity: e.severity, server, event: e.event }).collect();
        if new.is_empty() {
            return;
        }
        new.sort_by_key(Slot::place);
        new.dedup_by_key(|slot| slot.id);
        let first = new.first().map(Slot::place);
        if self.slots.last().map(Slot::place) < first {
            self.slots.append(&mut new);
        } else {
            // What stands before the first new one keeps its place, and what the filter found there.
            let from = first.map_or(0, |first| self.slots.partition_point(|slot| slot.place() < first));
            let tail = self.slots.split_off(from);
            let (mut old, mut new) = (tail.into_iter().peekable(), new.into_iter().peekable());
            loop {
                let take_old = match (old.peek(), new.peek()) {
                    (Some(a), Some(b)) => a.place() <= b.place(),
                    (Some(_), None) => true,
                    (None, Some(_)) => false,
                    (None, None) => break,
                };
                let next = if take_old { old.next() } else { new.next() };
                if let Some(next) = next
                    && self.slots.last().is_none_or(|last| last.id != next.id)
                {
                    self.slots.push(next);
                }
            }
            if self.examined > from {
                self.examined = from;
                let kept = self.hits.partition_point(|hit| usize::try_from(*hit).is_ok_and(|hit| hit < from));
                self.hits.truncate(kept);
            }
        }
        if self.slots.len() > MOST {
            let over = self.slots.len() - MOST;
            self.slots.drain(..over);
            self.reach.iter_mut().for_each(|reach| reach.complete = false);
            self.examined = 0;
            self.hits.clear();
        }
        if self.filter.is_some() && self.slots.len().saturating_sub(self.examined) <= STEP {
            self.work();
        }
    }

    /// Everything of one server is to be had anew.
    pub fn forget(&mut self, server: usize) {
        self.slots.retain(|slot| slot.server != server);
        if let Some(reach) = self.reach.get_mut(server) {
            *reach = Reach::default();
        }
        self.examined = 0;
        self.hits.clear();
    }

    pub fn reach(&self, server: usize) -> Reach {
        self.reach.get(server).copied().unwrap_or_default()
    }

    /// The servers whose older events are wanted next: those that reach back least.
    pub fn wanting(&mut self, connected: impl Fn(usize) -> bool) -> Vec<(usize, Option<Place>)> {
        let least = self.reach.iter().enumerate().filter(|(i, r)| !r.complete && connected(*i)).filter_map(|(_, reach)| reach.oldest).max();
        let mut out = Vec::new();
        for (server, reach) in self.reach.iter_mut().enumerate() {
            let behind = reach.oldest.is_none() || reach.oldest >= least;
            if !reach.complete && !reach.asked && behind && connected(server) {
                reach.asked = true;
                out.push((server, reach.oldest));
            }
        }
        out
    }

    /// A link was lost: what was asked of it will not come.
    pub fn lost(&mut self, server: usize) {
        if let Some(reach) = self.reach.get_mut(server) {
            reach.asked = false;
        }
    }

    /// Whether some server has older events that are not here.
    pub fn has_more(&self) -> bool {
        self.reach.iter().any(|reach| !reach.complete)
    }

    /// The part of what is shown that a strip draws. A few events that stand farther off than nearly all
    /// others reach from end to end (one from 1970) would leave the rest a single cell: they are left out,
    /// and counted. At each end that is one in two hundred at most.
    pub fn span(&self) -> Option<Stretch> {
        let len = self.len();
        let at = |row: usize| self.slot(row).map(|slot| slot.at);
        let (mut first, mut last) = (0, len.checked_sub(1)?);
        let few = if len < FEWEST { 0 } else { (len / 200).clamp(1, MOST_OFF) };
        // Between these are all but the few at either end.
        let core = at(last.saturating_sub(few))?.since(at(few)?).max(Span::from_mins(1));
        for row in (0..few).rev() {
            if at(row + 1)?.since(at(row)?) > core {
                first = row + 1;
                break;
            }
        }
        for row in len.saturating_sub(few)..len {
            if at(row)?.since(at(row.saturating_sub(1))?) > core {
                last = row.saturating_sub(1);
                break;
            }
        }
        Some(Stretch { from: at(first)?, until: at(last)?, before: first, after: len - 1 - last })
    }

    /// How many events, and the worst of them, in each of `buckets` equal parts of a stretch.
    pub fn density(&self, stretch: &Stretch, buckets: usize) -> Vec<(u32, Severity)> {
        let mut out = vec![(0_u32, Severity::Debug); buckets];
        let (begin, span) = (stretch.from, stretch.until.since(stretch.from).max(Span::from_micros(1)));
        // A long timeline is sampled: the strip has a hundred cells, not a million.
        let step = (self.len() / 20_000).max(1);
        for row in (stretch.before..self.len().saturating_sub(stretch.after)).step_by(step) {
            let Some(slot) = self.slot(row) else { break };
            let place = i128::from(slot.at.since(begin).micros()) * i128::try_from(buckets).unwrap_or(1) / i128::from(span.micros() + 1);
            if let Some(cell) = usize::try_from(place).ok().and_then(|place| out.get_mut(place)) {
                cell.0 = cell.0.saturating_add(u32::try_from(step).unwrap_or(1));
                cell.1 = cell.1.max(slot.severity);
            }
        }
        out
    }
}

/// With fewer events than this, every one belongs to the strip.
const FEWEST: usize = 20;
/// However many there are, no more than this are looked at from each end.
const MOST_OFF: usize = 1_000;

/// A part of the timeline, and how many events lie beyond its ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stretch {
    pub from: Time,
    pub until: Time,
    pub before: usize,
    pub after: usize,
}

fn matches(filter: &Filter, slot: &Slot, names: &[Arc<str>]) -> bool {
    let server = names.get(slot.server).map_or("", |name| name);
    slot.event().is_some_and(|event| filter.matches(&OnServer { subject: &*event, server }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::{Actor, Draft, LogLine};
    use crate::model::id::{Incarnation, Origin, Sequence};
    use proptest::prelude::*;

    fn event(origin: u8, sequence: u64, at: i64) -> Arc<Event> {
        let id = EventId { origin: Origin([origin; 16]), incarnation: Incarnation(1), sequence: Sequence(sequence) };
        let severity = Severity::from_rank(u8::try_from(sequence % 6).unwrap());
        Arc::new(Draft::new(Time::from_secs(at), Actor::Server, LogLine {}, format!("line {sequence}")).severity(severity).stamp(id, Time::from_secs(at)))
    }

    fn at_times(times: impl IntoIterator<Item = i64>) -> Timeline {
        let mut timeline = Timeline::new(vec!["a".into()]);
        let events: Vec<_> = (1..).zip(times).map(|(sequence, at)| event(0, sequence, at)).collect();
        timeline.add_live(0, &events);
        timeline
    }

    #[test]
    fn an_event_from_1970_does_not_stretch_the_strip() {
        let night = || (0..400).map(|minute| 1_795_230_000 + minute * 60);
        let all = at_times(night()).span().unwrap();
        assert_eq!((all.before, all.after), (0, 0));
        let timeline = at_times([0].into_iter().chain(night()).chain([4_000_000_000]));
        let stretch = timeline.span().unwrap();
        assert_eq!(stretch, Stretch { before: 1, after: 1, ..all });
        let strip = timeline.density(&stretch, 40);
        assert!(strip.iter().all(|(count, _)| *count > 0), "{strip:?}");
        assert_eq!(strip.iter().map(|(count, _)| *count).sum::<u32>(), 400);
    }

    #[test]
    fn what_many_events_reach_is_no_exception() {
        // One in fifty is long ago: that is this timeline's past, and no stray.
        let stretch = at_times((0..4).chain((0..200).map(|minute| 1_795_230_000 + minute * 60))).span().unwrap();
        assert_eq!((stretch.before, stretch.after, stretch.from), (0, 0, Time::from_secs(0)));
        let few = at_times([0, 1_795_230_000, 1_795_230_060]).span().unwrap();
        assert_eq!((few.before, few.from), (0, Time::from_secs(0)), "of three, none is a stray");
        assert_eq!(at_times([]).span(), None);
    }

    proptest! {
        /// However events arrive, live or in pages, in whatever order: the rows are in order, each once, and the filter's hits are those that match.
        #[test]
        fn rows_are_in_order_and_hits_are_what_matches(batches in prop::collection::vec((0..2_usize, prop::collection::vec((1..60_u64, 0..40_i64), 1..9)), 0..14)) {
            let mut timeline = Timeline::new(vec!["a".into(), "b".into()]);
            timeline.set_filter(Some(Filter::new("severity:warning+", Time::from_secs(0), &jiff::tz::TimeZone::UTC).unwrap()));
            let mut all = std::collections::BTreeMap::new();
            for (server, events) in batches {
                // An event's time follows from its identity, as it does in a log.
                let events: Vec<_> = events.iter().map(|(sequence, _)| event(u8::try_from(server).unwrap(), *sequence, i64::try_from(sequence * 7 % 40).unwrap())).collect();
                for event in &events {
                    all.insert((event.at, event.id), event.clone());
                }
                timeline.add_live(server, &events);
            }
            while timeline.is_searching() { timeline.work(); }
            let hits: Vec<Place> = (0..timeline.len()).map(|row| timeline.slot(row).unwrap().place()).collect();
            let expected: Vec<Place> = all.iter().filter(|(_, e)| e.severity >= Severity::Warning).map(|(place, _)| *place).collect();
            prop_assert_eq!(hits, expected);
            timeline.set_filter(None);
            let rows: Vec<Place> = (0..timeline.len()).map(|row| timeline.slot(row).unwrap().place()).collect();
            prop_assert_eq!(rows, all.keys().copied().collect::<Vec<_>>());
        }
    }
}
