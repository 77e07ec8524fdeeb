//! The density strip: how many events of each severity there are over the whole span, counted by the
//! servers, so that it is true for what is not held here.
//!
//! Each server says once how far its log reaches; then each is asked for the same spans of time, whose
//! counts add up. What happens from then on is counted here.

use std::sync::Arc;

use crate::console::message::Counted;
use crate::model::event::Event;
use crate::model::severity::Severity;
use crate::model::time::{Span, Time};

use super::Stretch;

/// What one server is to count.
#[derive(Clone, PartialEq, Debug)]
pub struct CountAsk {
    pub ask: u64,
    pub server: usize,
    /// Without it only how far the log reaches is wanted.
    pub from: Option<Time>,
    pub step: Span,
    pub buckets: u32,
    pub filter: Option<Arc<str>>,
}

/// The spans of time that are counted.
#[derive(Clone, PartialEq, Debug)]
struct Scale {
    from: Time,
    step: Span,
    buckets: u32,
    filter: Option<Arc<str>>,
}

impl Scale {
    fn end(&self) -> Time {
        self.from.plus(self.step.times(i64::from(self.buckets)))
    }

    fn bucket(&self, at: Time) -> Option<usize> {
        let cell = at.micros().checked_sub(self.from.micros())?.div_euclid(self.step.micros().max(1));
        usize::try_from(cell).ok().filter(|cell| *cell < usize::try_from(self.buckets).unwrap_or(0))
    }
}

/// What one server has said.
#[derive(Clone, Default, Debug)]
struct Known {
    asked: Option<u64>,
    held: u64,
    oldest: Option<Time>,
    newest: Option<Time>,
    extent: bool,
    /// Counted on this scale.
    counted: Option<Scale>,
    counts: Vec<[u64; 6]>,
    whole: bool,
}

#[derive(Default, Debug)]
pub struct Strip {
    servers: Vec<Known>,
    scale: Option<Scale>,
    /// What lies before is so little and so far away that the strip begins behind it.
    begins: Option<Time>,
    /// How many those are.
    before: usize,
    last_ask: u64,
}

/// The least span of time that servers count.
const MINUTE: Span = Span::from_mins(1);

/// When the minute began in which this is.
fn minute(at: Time) -> i64 {
    at.micros().div_euclid(MINUTE.micros()).saturating_mul(MINUTE.micros())
}

/// A cell of the strip.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Cell {
    pub count: u64,
    pub worst: Severity,
}

impl Strip {
    pub fn new(servers: usize) -> Strip {
        Strip { servers: vec![Known::default(); servers], ..Strip::default() }
    }

    /// One server more, in the next place.
    pub fn add_server(&mut self) {
        self.servers.push(Known::default());
    }

    /// What is to be asked now, for a strip of so many cells.
    pub fn wanting(&mut self, now: Time, cursor: Option<Time>, cells: u32, filter: Option<Arc<str>>, connected: impl Fn(usize) -> bool) -> Vec<CountAsk> {
        let mut out = Vec::new();
        let mut extents = true;
        for (server, known) in self.servers.iter_mut().enumerate().filter(|(server, _)| connected(*server)) {
            if !known.extent {
                extents = false;
                if known.asked.is_none() {
                    self.last_ask += 1;
                    known.asked = Some(self.last_ask);
                    out.push(CountAsk { ask: self.last_ask, server, from: None, step: Span::ZERO, buckets: 0, filter: None });
                }
            }
        }
        if !extents || cells == 0 {
            return out;
        }
        let Some(scale) = self.scale(now, cursor, cells, filter) else { return out };
        if self.scale.as_ref() != Some(&scale) {
            self.scale = Some(scale.clone());
            self.servers.iter_mut().for_each(|known| known.asked = None);
        }
        for (server, known) in self.servers.iter_mut().enumerate().filter(|(server, known)| connected(*server) && known.held > 0) {
            if known.counted.as_ref() != Some(&scale) && known.asked.is_none() {
                self.last_ask += 1;
                known.asked = Some(self.last_ask);
                out.push(CountAsk {
                    ask: self.last_ask,
                    server,
                    from: Some(scale.from),
                    step: scale.step,
                    buckets: scale.buckets,
                    filter: scale.filter.clone(),
                });
            }
        }
        out
    }

    /// The same spans as long as they fit: what was counted stays good. A cell begins with the minute of the
    /// time cursor, so that the cells tell how much is later.
    fn scale(&self, now: Time, cursor: Option<Time>, cells: u32, filter: Option<Arc<str>>) -> Option<Scale> {
        let oldest = self.servers.iter().filter_map(|known| known.oldest).min()?;
        let newest = self.servers.iter().filter_map(|known| known.newest).max()?.max(now);
        let from = self.begins.map_or(oldest, |begins| begins.max(oldest));
        // Neither too short, nor half empty.
        let half = |scale: &Scale| scale.from.plus(scale.step.times(i64::from(cells / 2).max(1)));
        let meets = |scale: &Scale| cursor.is_none_or(|at| (minute(at) - scale.from.micros()).rem_euclid(scale.step.micros().max(1)) == 0);
        let fits = |scale: &&Scale| meets(scale) && scale.from <= from && from < half(scale) && newest < scale.end() && scale.buckets == cells;
        if let Some(scale) = self.scale.as_ref().filter(fits) {
            return Some(Scale { filter, ..scale.clone() });
        }
        let span = newest.since(from).micros().max(1);
        // It begins at a whole number of steps, somewhat before the first event: a cell is kept for that.
        let minutes = span.div_euclid(i64::from(cells.saturating_sub(1).max(1)).saturating_mul(MINUTE.micros())) + 1;
        let step = Span::from_micros(minutes.saturating_mul(MINUTE.micros()));
        let meets = cursor.map_or(0, |at| minute(at).rem_euclid(step.micros()));
        let begin = (from.micros() - meets).div_euclid(step.micros()).saturating_mul(step.micros()).saturating_add(meets);
        Some(Scale { from: Time::from_micros(begin), step, buckets: cells, filter })
    }

    pub fn counted(&mut self, server: usize, counted: Counted) {
        let scale = self.scale.clone();
        let Some(known) = self.servers.get_mut(server).filter(|known| known.asked == Some(counted.ask)) else { return };
        (known.held, known.oldest, known.newest, known.extent) = (counted.held, counted.oldest, counted.newest, true);
        if counted.last {
            known.asked = None;
        }
        if counted.counts.is_empty() {
            return;
        }
        known.counted = scale.filter(|scale| scale.from == counted.from && scale.step == counted.step);
        known.counts = counted.counts;
        known.whole = counted.last;
        self.clip();
    }

    /// A few events that lie far before all others do not press those into one cell.
    fn clip(&mut self) {
        let Some(scale) = self.scale.as_ref().filter(|scale| scale.filter.is_none() && self.is_whole()) else { return };
        let cells = self.cells();
        let all: u64 = cells.iter().map(|cell| cell.count).sum();
        let few = (all / 1_000).max(3).min(all / 4);
        let mut before = 0;
        let first = cells.iter().position(|cell| {
            before += cell.count;
            before > few
        });
        let Some(first) = first.filter(|first| *first > cells.len() / 2) else { return };
        let off: u64 = cells.iter().take(first).map(|cell| cell.count).sum();
        self.before = self.before.saturating_add(usize::try_from(off).unwrap_or(0));
        let cell = i64::try_from(first).unwrap_or(0);
        self.begins = Some(scale.from.plus(scale.step.times(cell)));
    }

    /// A link was lost: what was asked will not come, and what it says next may be of another log.
    pub fn lost(&mut self, server: usize) {
        if let Some(known) = self.servers.get_mut(server) {
            (known.asked, known.extent) = (None, false);
        }
    }

    /// One ask will not be answered. What nobody counts is not shown, and not asked for again on this link.
    pub fn refused(&mut self, server: usize, ask: u64) {
        if let Some(known) = self.servers.get_mut(server).filter(|known| known.asked == Some(ask)) {
            known.counted = None;
            known.counts.clear();
        }
    }

    /// Everything of one server is to be had anew.
    pub fn forget(&mut self, server: usize) {
        if let Some(known) = self.servers.get_mut(server) {
            *known = Known::default();
        }
    }

    /// What has just happened.
    pub fn add(&mut self, server: usize, event: &Event, matches: bool) {
        let Some(known) = self.servers.get_mut(server) else { return };
        known.held += 1;
        known.newest = known.newest.max(Some(event.at));
        known.oldest = Some(known.oldest.map_or(event.at, |oldest| oldest.min(event.at)));
        if let (Some(scale), true) = (&known.counted, matches)
            && let Some(cell) = scale.bucket(event.at).and_then(|bucket| known.counts.get_mut(bucket))
            && let Some(count) = cell.get_mut(usize::from(event.severity.rank()))
        {
            *count += 1;
        }
    }

    /// Whether all servers that are known have counted on the scale that is wanted.
    pub fn is_whole(&self) -> bool {
        self.scale.is_some() && self.servers.iter().filter(|known| known.extent && known.held > 0).all(|known| known.whole && known.counted == self.scale)
    }

    /// Whether there is anything to show.
    pub fn is_known(&self) -> bool {
        self.servers.iter().any(|known| known.counted.is_some())
    }

    /// Events from the minute of the time cursor on that were counted; nothing when they were not, or their
    /// cells begin elsewhere.
    pub fn since(&self, cursor: Time) -> Option<u64> {
        let scale = self.scale.as_ref().filter(|_| self.is_whole())?;
        let since = minute(cursor) - scale.from.micros();
        let first = usize::try_from(since.div_euclid(scale.step.micros().max(1))).ok().filter(|_| since.rem_euclid(scale.step.micros().max(1)) == 0)?;
        Some(self.cells().iter().skip(first).map(|cell| cell.count).sum())
    }

    /// Events that the servers hold.
    pub fn held(&self) -> u64 {
        self.servers.iter().map(|known| known.held).sum()
    }

    /// Events that the filter leaves of them, as far as they were counted.
    pub fn matching(&self) -> u64 {
        self.servers.iter().flat_map(|known| &known.counts).flatten().sum()
    }

    /// From when to when the cells reach.
    pub fn stretch(&self) -> Option<Stretch> {
        self.scale.as_ref().map(|scale| Stretch { from: scale.from, until: scale.end(), before: self.before, after: 0 })
    }

    /// The servers' counts together; what was counted on another scale or for another filter stays until
    /// the new counts come.
    pub fn cells(&self) -> Vec<Cell> {
        let most = self.servers.iter().map(|known| known.counts.len()).max().unwrap_or(0);
        let mut cells = vec![Cell::default(); most];
        for known in &self.servers {
            for (cell, counts) in cells.iter_mut().zip(&known.counts) {
                for (severity, count) in Severity::ALL.into_iter().zip(counts).filter(|(_, count)| **count > 0) {
                    cell.count += count;
                    cell.worst = cell.worst.max(severity);
                }
            }
        }
        cells
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::{Actor, Draft, LogLine};
    use crate::model::id::EventId;

    fn counted(ask: &CountAsk, held: u64, oldest: i64, newest: i64, at: &[(i64, u64)]) -> Counted {
        let mut counts = vec![[0; 6]; usize::try_from(ask.buckets).unwrap()];
        for (secs, count) in at {
            if let Some(from) = ask.from
                && let Ok(cell) = usize::try_from((secs * 1_000_000 - from.micros()).div_euclid(ask.step.micros()))
                && let Some(cell) = counts.get_mut(cell)
            {
                cell[4] += count;
            }
        }
        let (from, last) = (ask.from.unwrap_or(Time::from_secs(0)), true);
        Counted { ask: ask.ask, from, step: ask.step, counts, held, oldest: Some(Time::from_secs(oldest)), newest: Some(Time::from_secs(newest)), last }
    }

    #[test]
    fn one_event_of_1970_does_not_press_the_night_into_one_cell() {
        let now = Time::from_secs(1_795_226_220);
        let night = now.secs() - 6 * 3_600;
        let mut strip = Strip::new(2);
        let events = [(0, 1), (night, 500), (now.secs() - 60, 700)];
        for _ in 0..20 {
            let asks = strip.wanting(now, None, 60, None, |server| server == 0);
            if asks.is_empty() {
                break;
            }
            for ask in asks {
                strip.counted(0, counted(&ask, 1_201, 0, now.secs() - 60, &events));
            }
        }
        assert!(strip.is_whole());
        let Stretch { from, until, before, .. } = strip.stretch().unwrap();
        assert_eq!(before, 1);
        assert!(until > now && from >= Time::from_secs(night - 3_600), "{from} to {until}");
        assert_eq!(strip.cells().iter().map(|cell| cell.count).sum::<u64>(), 1_200);
        assert_eq!(strip.held(), 1_201, "it is counted all the same");
    }

    #[test]
    fn what_happens_is_counted_without_asking_again() {
        let now = Time::from_secs(1_795_226_220);
        let mut strip = Strip::new(1);
        for _ in 0..3 {
            for ask in strip.wanting(now, None, 60, None, |_| true) {
                strip.counted(0, counted(&ask, 10, now.secs() - 7_000, now.secs() - 7_000, &[(now.secs() - 7_000, 10)]));
            }
        }
        let event = Draft::new(now, Actor::Server, LogLine {}, "x").stamp(EventId::default(), now);
        strip.add(0, &event, true);
        strip.add(0, &event, false);
        assert_eq!((strip.held(), strip.matching()), (12, 11));
        assert!(strip.wanting(now.plus(Span::from_secs(30)), None, 60, None, |_| true).is_empty());
        let asks = strip.wanting(now, None, 60, Some("severity:error+".into()), |_| true);
        assert_eq!(asks.len(), 1, "another filter is asked for");
    }

    proptest::proptest! {
        /// Wherever the time cursor is: what the cells tell to be later is what is later.
        #[test]
        fn cells_are_divided_at_the_time_cursor(times in proptest::collection::vec(0..40_000_i64, 1..60), cursor in 0..40_000_i64, cells in 5..80_u32) {
            let (first, now) = (1_795_226_220, Time::from_secs(1_795_226_220 + 40_000));
            let times: Vec<i64> = times.into_iter().map(|at| first + at).collect();
            let (oldest, newest) = (*times.iter().min().unwrap(), *times.iter().max().unwrap());
            let cursor = Time::from_secs(first + cursor);
            let mut strip = Strip::new(1);
            for cursor in [None, Some(cursor)] {
                for _ in 0..6 {
                    for ask in strip.wanting(now, cursor, cells, None, |_| true) {
                        let at: Vec<(i64, u64)> = times.iter().map(|at| (*at, 1)).collect();
                        strip.counted(0, counted(&ask, u64::try_from(times.len()).unwrap(), oldest, newest, &at));
                    }
                }
            }
            let begins = strip.stretch().unwrap();
            let minute = Time::from_micros(minute(cursor));
            match strip.since(cursor) {
                Some(since) => proptest::prop_assert_eq!(usize::try_from(since).unwrap(), times.iter().filter(|at| Time::from_secs(**at) >= minute.max(begins.from)).count()),
                None => proptest::prop_assert!(minute < begins.from, "{minute} is within {begins:?}"),
            }
            proptest::prop_assert!(begins.until > Time::from_secs(newest));
            proptest::prop_assert_eq!(u64::try_from(begins.before).unwrap() + strip.cells().iter().map(|cell| cell.count).sum::<u64>(), strip.held());
        }
    }
}
