//! The events of all servers in the order of time, as far as this console holds them, and the lines that
//! they make.
//!
//! Held is a *stretch* that reaches up to the present, and, when one has gone elsewhere, another one there;
//! both are bounded, and grow at their ends as one looks there (`paging`). Each event is understood when it
//! is shown. What a filter leaves is found in steps between frames, nearest to where one looks first, so
//! that typing never waits for a million events.

mod around;
mod chunk;
mod cursor;
mod paging;
mod slot;
mod stretch;
pub mod strip;
#[cfg(test)]
mod tests;
mod window;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::event::Event;
use crate::model::filter::Filter;
use crate::model::id::{EventId, Origin};
use crate::model::severity::Severity;
use crate::model::time::Time;

use super::message::Entry;
use around::Around;
use chunk::{Chunk, Line, Way};
pub use paging::{Arrival, Asked, Paged, Target, Toward};
use slot::{Incoming, SPARSE, Slot};
pub use stretch::Stretch;
pub use window::{Edge, Reach, Spot};
use window::{Look, Window};

/// Events that are held at most; beyond it those farthest from the cursor go, and can be paged in again.
pub const MOST: usize = 1_000_000;
/// The same of files, whose text stays on the disk; what they hold beyond is paged in from where they know its places.
pub const MOST_OF_FILES: usize = 2_000_000;

/// Where an event stands on the timeline. The incarnation in it says nothing here.
pub type Place = (Time, EventId);

/// A line of the timeline that shows an event.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// When, with its server's clock corrected.
    pub at: Time,
    pub severity: Severity,
    pub server: usize,
    /// How many events of the same kind it stands for.
    pub count: usize,
    /// It is no hit, but stands beside one.
    pub context: bool,
    place: Place,
    chunk: &'a Chunk,
    slot: &'a Slot,
}

impl Seen<'_> {
    pub fn place(&self) -> Place {
        self.place
    }

    pub fn event(&self) -> Option<Arc<Event>> {
        self.chunk.page(self.slot)?.event(self.slot.index)
    }
}

/// One event of those that are held.
#[derive(Clone, Copy)]
pub struct Held<'a> {
    page: &'a slot::Held,
    slot: &'a Slot,
}

impl Held<'_> {
    pub fn at(&self) -> Time {
        Time::from_micros(self.slot.at)
    }

    /// Tells its system (empty: none) and its title.
    pub fn called(&self, tell: &mut dyn FnMut(&str, &str)) {
        self.page.called(self.slot.index, tell);
    }

    pub fn event(&self) -> Option<Arc<Event>> {
        self.page.event(self.slot.index)
    }
}

#[derive(Debug)]
pub struct Timeline {
    live: Window,
    /// Where one has gone, if that is not where the present is held.
    past: Option<Window>,
    jump: Option<paging::Jump>,
    asks: BTreeMap<u64, paging::Ask>,
    last_ask: u64,
    around: Around,
    /// Asks that go on where others ended without having found anything.
    again: Vec<Asked>,
    names: Vec<Arc<str>>,
    origins: Vec<Origin>,
    /// What is added to each server's times, in microseconds.
    shifts: Vec<i64>,
    filter: Option<Filter>,
    generation: u32,
    /// The oldest filter whose hits hold all of this one's.
    narrower: u32,
    context: usize,
    runs: bool,
    opened: BTreeSet<(u16, u64)>,
    /// The time cursor: nothing that is later is shown.
    until: Option<Time>,
    most: usize,
    /// Where one looks: what lies far from there goes first.
    focus: Option<Place>,
    /// How many live events have come.
    arrived: u64,
    /// Changes with all that is shown.
    version: u64,
}

impl Timeline {
    pub fn new(names: Vec<Arc<str>>) -> Timeline {
        let servers = names.len();
        Timeline {
            live: Window::new(servers),
            past: None,
            jump: None,
            asks: BTreeMap::new(),
            last_ask: 0,
            around: Around::default(),
            again: Vec::new(),
            origins: vec![Origin::default(); servers],
            shifts: vec![0; servers],
            names,
            filter: None,
            generation: 0,
            narrower: 0,
            context: 0,
            runs: true,
            opened: BTreeSet::new(),
            until: None,
            most: MOST,
            focus: None,
            arrived: 0,
            version: 0,
        }
    }

    /// One server more, in the next place.
    pub fn add_server(&mut self, name: Arc<str>) {
        self.names.push(name);
        self.origins.push(Origin::default());
        self.shifts.push(0);
        self.live.grow();
        if let Some(past) = &mut self.past {
            past.grow();
        }
    }

    /// Another bound on what is held.
    pub fn hold_at_most(&mut self, most: usize) {
        self.most = most;
    }

    fn window(&self) -> &Window {
        self.past.as_ref().unwrap_or(&self.live)
    }

    /// Something is done to what is shown, with all that it needs to know.
    fn on_window<T>(&mut self, work: impl FnOnce(&mut Window, Look<'_>) -> T) -> T {
        self.version = self.version.wrapping_add(1);
        let way = Way { filtered: self.filter.is_some(), context: self.context, runs: self.runs, opened: &self.opened, until: self.until.map(Time::micros) };
        let look = Look { filter: self.filter.as_ref(), generation: self.generation, narrower: self.narrower, way, names: &self.names, origins: &self.origins };
        work(self.past.as_mut().unwrap_or(&mut self.live), look)
    }

    /// The same on the stretch up to the present.
    fn on_live<T>(&mut self, work: impl FnOnce(&mut Window, Look<'_>) -> T) -> T {
        let past = self.past.take();
        let out = self.on_window(work);
        self.past = past;
        out
    }

    fn on_both(&mut self, work: impl Fn(&mut Window, Look<'_>)) {
        self.on_live(&work);
        if self.past.is_some() {
            self.on_window(&work);
        }
    }

    /// Lines that are shown.
    pub fn len(&self) -> usize {
        match self.until {
            Some(until) => self.window().len_by(until.micros()),
            None => self.window().len(),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Events that are held where one looks.
    pub fn held(&self) -> usize {
        self.window().held()
    }

    /// Events that the filter leaves of those.
    pub fn hits(&self) -> usize {
        self.window().hits()
    }

    /// How many events have come since the start.
    pub fn arrived(&self) -> u64 {
        self.arrived
    }

    /// Changes whenever something may look different.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Whether what is shown reaches up to the present.
    pub fn is_live(&self) -> bool {
        self.past.is_none()
    }

    fn line(&self, row: usize) -> Option<(&Chunk, Line)> {
        self.window().line(row)
    }

    /// The events that are held where one looks, filter or not, behind the first so many of the newest;
    /// what is later than the time cursor is counted and is none.
    pub fn back_from(&self, skip: usize) -> impl Iterator<Item = Option<Held<'_>>> {
        let until = self.until.map_or(i64::MAX, Time::micros);
        self.window().back_from(skip).map(move |(chunk, slot)| {
            let page = chunk.page(slot).filter(|_| slot.at <= until)?;
            Some(Held { page, slot })
        })
    }

    /// Whether this line only says that something is left out.
    pub fn is_gap(&self, row: usize) -> bool {
        self.line(row).is_some_and(|(_, line)| line.is_gap())
    }

    pub fn slot(&self, row: usize) -> Option<Seen<'_>> {
        self.until.is_none_or(|_| row < self.len()).then(|| self.any_slot(row)).flatten()
    }

    /// The same for lines that are later than the time cursor.
    fn any_slot(&self, row: usize) -> Option<Seen<'_>> {
        let (chunk, line) = self.line(row).filter(|(_, line)| !line.is_gap())?;
        let slot = chunk.slot(usize::from(line.slot))?;
        Some(Seen {
            at: Time::from_micros(slot.at),
            severity: slot.severity(),
            server: usize::from(slot.server),
            count: line.count(),
            context: line.is_context(),
            place: slot.place(&self.origins),
            chunk,
            slot,
        })
    }

    /// The row at or after this place.
    pub fn find(&self, place: Place) -> usize {
        let mut row = self.window().find(slot::key(&place), &self.origins);
        while self.is_gap(row) {
            row += 1;
        }
        row
    }

    /// The events of one server that happened by then, as far as they can be read. Nothing: these are more than
    /// `most`, or not all of them are here.
    pub fn held_by(&self, server: usize, at: Time, most: usize) -> Option<Vec<Arc<Event>>> {
        self.live.reach.get(server).filter(|reach| reach.older.complete)?;
        self.live.events_by(server, at.micros(), most)
    }

    /// The newest events of one server, oldest first, at most so many.
    pub fn newest_of(&self, server: usize, most: usize) -> Vec<Arc<Event>> {
        self.live.newest_of(server, most)
    }

    /// When the first event of one server happened that is held.
    pub fn first_of(&self, server: usize) -> Option<Time> {
        self.live.slots().find(|slot| usize::from(slot.server) == server).map(|slot| Time::from_micros(slot.at))
    }

    /// The place of an event, if it is held where one looks.
    pub fn place_of(&self, id: EventId) -> Option<Place> {
        let server = self.origins.iter().position(|origin| *origin == id.origin)?;
        let found = self.window().slots().rev().find(|slot| slot.sequence == id.sequence.0 && usize::from(slot.server) == server)?;
        Some(found.place(&self.origins))
    }

    /// The next line that is this bad or worse, and no mere context.
    pub fn seek(&self, row: usize, forward: bool, worse: Severity) -> Option<usize> {
        self.window().seek(row, forward, worse.rank()).filter(|row| *row < self.len())
    }

    pub fn filter(&self) -> Option<&Filter> {
        self.filter.as_ref()
    }

    pub fn set_filter(&mut self, filter: Option<Filter>) {
        let filter = filter.filter(|filter| !filter.is_all());
        if filter == self.filter {
            return;
        }
        let narrows = self.filter.as_ref().zip(filter.as_ref()).is_some_and(|(wide, narrow)| narrow.narrows(wide));
        self.generation = self.generation.wrapping_add(1);
        if !narrows {
            self.narrower = self.generation;
        }
        self.filter = filter;
        self.forget_hits();
        self.on_both(|window, look| window.refilter(look));
    }

    /// Lines around each hit.
    pub fn context(&self) -> usize {
        self.context
    }

    pub fn set_context(&mut self, context: usize) {
        self.context = context.min(100);
        self.on_both(|window, look| window.lay_out_all(look));
    }

    /// Whether runs of the same are one line.
    pub fn folds_runs(&self) -> bool {
        self.runs
    }

    pub fn fold_runs(&mut self, fold: bool) {
        self.runs = fold;
        self.opened.clear();
        self.on_both(|window, look| window.lay_out_all(look));
    }

    /// Opens the run of this row; false: it is none.
    pub fn open_run(&mut self, row: usize) -> bool {
        let Some((chunk, line)) = self.line(row) else { return false };
        if line.count() < chunk::RUN {
            return false;
        }
        let run = chunk.run(line);
        self.opened.extend(run);
        self.on_window(|window, look| window.lay_out_all(look));
        true
    }

    /// Folds the run again that this row is part of; false: it is of none.
    pub fn close_run(&mut self, row: usize) -> bool {
        let Some(slot) = self.window().slot(row) else { return false };
        let (server, likeness) = (slot.server, slot.likeness);
        if !self.opened.contains(&(server, slot.sequence)) {
            return false;
        }
        let of_run = |row: &usize| {
            let found = self.window().slot(*row).map(|slot| (slot.server, slot.sequence, slot.likeness));
            found.filter(|(s, sequence, l)| (*s, *l) == (server, likeness) && self.opened.contains(&(server, *sequence)))
        };
        let mut run: Vec<(u16, u64)> = Vec::new();
        run.extend((0..=row).rev().map_while(|row| of_run(&row)).map(|(server, sequence, _)| (server, sequence)));
        run.extend((row + 1..self.len()).map_while(|row| of_run(&row)).map(|(server, sequence, _)| (server, sequence)));
        for event in run {
            self.opened.remove(&event);
        }
        self.on_window(|window, look| window.lay_out_all(look));
        true
    }

    /// Whether the filter has not looked at everything yet.
    pub fn is_searching(&self) -> bool {
        self.filter.is_some() && self.window().is_pending(self.generation)
    }

    /// One step of filtering.
    pub fn work(&mut self) {
        let focus = self.focus.map(|place| slot::key(&place));
        self.on_window(|window, look| window.work(focus, look));
    }

    /// Where one looks now.
    pub fn look_at(&mut self, place: Option<Place>) {
        self.focus = place;
    }

    pub fn add_live(&mut self, server: usize, events: &[Arc<Event>]) {
        self.arrived += u64::try_from(events.len()).unwrap_or(0);
        let new = self.incoming(server, events.iter().map(Entry::known).collect(), 0);
        self.on_live(|window, look| window.add(new, look));
        self.bound();
    }

    /// Sorted, each once, with the places that they get here.
    fn incoming(&mut self, server: usize, entries: Vec<Entry>, flags: u8) -> Vec<Incoming> {
        let (Some(origin), Some(shift), Ok(number)) = (self.origins.get_mut(server), self.shifts.get(server).copied(), u16::try_from(server)) else {
            return Vec::new();
        };
        if let Some(first) = entries.first()
            && *origin == Origin::default()
        {
            *origin = first.id.origin;
        }
        let origin = *origin;
        let slot = |entry: Entry| {
            // Events of another server within an export are told apart from the export's own.
            let foreign = if entry.id.origin == origin { 0 } else { crate::model::likeness::of_bytes(&entry.id.origin.0, &[], &[]) };
            let slot = Slot {
                at: entry.at.micros().saturating_add(shift),
                sequence: entry.id.sequence.0 ^ (u64::from(foreign) << 31),
                likeness: entry.likeness,
                index: 0,
                page: 0,
                server: number,
                severity: entry.severity.rank(),
                flags,
            };
            Incoming { slot, event: entry.event }
        };
        let mut new: Vec<Incoming> = entries.into_iter().map(slot).collect();
        new.sort_by_key(|incoming| (incoming.slot.at, incoming.slot.sequence));
        new
    }

    /// What is added to a server's times, in microseconds.
    pub fn shift(&self, server: usize) -> i64 {
        self.shifts.get(server).copied().unwrap_or(0)
    }

    /// Corrects a server's clock: all of its events move.
    pub fn set_shift(&mut self, server: usize, micros: i64) {
        let Some(shift) = self.shifts.get_mut(server) else { return };
        let by = micros.saturating_sub(*shift);
        if by == 0 {
            return;
        }
        *shift = micros;
        self.around.forget();
        self.on_both(|window, look| window.shift(server, by, look));
    }

    /// Everything of one server is to be had anew.
    pub fn forget(&mut self, server: usize) {
        self.lost(server);
        if let Some(origin) = self.origins.get_mut(server) {
            *origin = Origin::default();
        }
        self.on_both(|window, look| {
            if let Some(reach) = window.reach.get_mut(server) {
                *reach = Reach::default();
            }
            window.retain(|slot| usize::from(slot.server) != server, look);
        });
    }

    /// Hits beyond what is held were another filter's.
    fn forget_hits(&mut self) {
        self.asks.retain(|_, ask| ask.filter.is_none() && !ask.around);
        self.around.forget();
        self.on_both(|window, look| {
            for reach in &mut window.reach {
                (reach.older_hits, reach.newer_hits) = (Edge::default(), Edge::default());
            }
            if std::mem::take(&mut window.sparse) {
                window.retain(|slot| !slot.has(SPARSE), look);
            }
        });
    }
}
