//! A few thousand events in the order of time, and the lines that they make on the screen: hits of a
//! filter with the lines around them, runs of the same thing folded into one.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::console::message::Lazy;
use crate::model::filter::Filter;
use crate::model::id::Origin;

use super::slot::{EXAMINED, HIT, Held, Incoming, Key, Own, SPARSE, Slot};

/// Events of a chunk at most. More are divided.
pub(super) const MOST: usize = 4_096;
/// So many of the same, one behind the other, are one line.
pub(super) const RUN: usize = 3;

/// A line on the screen, in four bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Line {
    /// The slot that it shows: of a run, the last one.
    pub slot: u16,
    /// How many it stands for; 0: it only says that something is left out.
    count: u16,
}

const CONTEXT: u16 = 1 << 15;

impl Line {
    pub fn is_gap(self) -> bool {
        self.count == 0
    }

    pub fn is_context(self) -> bool {
        self.count & CONTEXT != 0
    }

    pub fn count(self) -> usize {
        usize::from(self.count & !CONTEXT)
    }
}

/// How lines are made of slots.
#[derive(Clone, Copy)]
pub(super) struct Way<'a> {
    pub filtered: bool,
    /// Lines around each hit.
    pub context: usize,
    pub runs: bool,
    /// Runs that are open, by server and sequence of their events.
    pub opened: &'a BTreeSet<(u16, u64)>,
    /// The time cursor: what is later is no part of a run before it, and no hit has lines around it there.
    pub until: Option<i64>,
}

impl Way<'_> {
    fn is_later(&self, slot: &Slot) -> bool {
        self.until.is_some_and(|until| slot.at > until)
    }
}

/// What the neighbours know: how far the nearest hit lies before the first slot, and behind the last.
#[derive(Clone, Copy, Default)]
pub(super) struct Beside {
    pub before: Option<usize>,
    pub after: Option<usize>,
}

#[derive(Default, Debug)]
pub(super) struct Chunk {
    slots: Vec<Slot>,
    pages: Vec<Held>,
    lines: Vec<Line>,
    /// The filter that the slots' flags are about.
    generation: u32,
    /// Slots that it has not looked at.
    todo: usize,
    hits: usize,
    /// The worst severity among its hits (without a filter: among all).
    worst: u8,
}

impl Chunk {
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    pub fn slot(&self, index: usize) -> Option<&Slot> {
        self.slots.get(index)
    }

    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    pub fn hits(&self) -> usize {
        self.hits
    }

    pub fn worst(&self) -> u8 {
        self.worst
    }

    pub fn page(&self, slot: &Slot) -> Option<&Held> {
        self.pages.get(usize::from(slot.page))
    }

    pub fn first(&self, origins: &[Origin]) -> Option<Key> {
        self.slots.first().map(|slot| slot.key(origins))
    }

    pub fn last(&self, origins: &[Origin]) -> Option<Key> {
        self.slots.last().map(|slot| slot.key(origins))
    }

    fn has_bytes_of(&mut self, held: Held) -> Option<u16> {
        // The last few pages are those that new events are on.
        let known = self.pages.iter().enumerate().rev().take(16).find(|(_, page)| page.is(&held)).map(|(index, _)| index);
        let index = match known {
            Some(index) => index,
            None => {
                self.pages.push(held);
                self.pages.len() - 1
            }
        };
        u16::try_from(index).ok()
    }

    /// Gives an event's bytes a place here.
    fn settle(&mut self, incoming: Incoming) -> Option<Slot> {
        let Incoming { mut slot, event } = incoming;
        match event {
            Lazy::Later(page, index) => {
                slot.page = self.has_bytes_of(Held::Later(page))?;
                slot.index = index;
            }
            Lazy::Known(event) => {
                let last = self.pages.last_mut().and_then(|held| match held {
                    Held::Own(own) => Arc::make_mut(own).push(&event),
                    Held::Later(_) => None,
                });
                slot.index = match last {
                    Some(index) => index,
                    None => {
                        let mut own = Own::default();
                        let index = own.push(&event)?;
                        self.pages.push(Held::Own(Arc::new(own)));
                        index
                    }
                };
                slot.page = u16::try_from(self.pages.len().checked_sub(1)?).ok()?;
            }
        }
        Some(slot)
    }

    /// Takes in events, sorted; those that are here already are passed over, unless they fill a hole that
    /// was known. Says how many came.
    pub fn merge(&mut self, new: Vec<Incoming>, origins: &[Origin]) -> usize {
        let before = self.slots.len();
        let append = self.last(origins).is_none_or(|last| new.first().is_some_and(|first| first.slot.key(origins) > last));
        if append {
            for incoming in new {
                if let Some(slot) = self.settle(incoming)
                    && self.slots.last().is_none_or(|last| last.key(origins) < slot.key(origins))
                {
                    self.slots.push(slot);
                    self.todo += 1;
                }
            }
            return self.slots.len() - before;
        }
        let old = std::mem::take(&mut self.slots);
        let mut merged: Vec<Slot> = Vec::with_capacity(old.len() + new.len());
        let mut old = old.into_iter().peekable();
        for incoming in new {
            let key = incoming.slot.key(origins);
            while let Some(slot) = old.next_if(|slot| slot.key(origins) < key) {
                merged.push(slot);
            }
            if let Some(same) = old.peek_mut()
                && same.key(origins) == key
            {
                // It is part of the whole now.
                same.flags &= incoming.slot.flags | !SPARSE;
                continue;
            }
            if merged.last().is_some_and(|last| last.key(origins) == key) {
                continue;
            }
            if let Some(slot) = self.settle(incoming) {
                merged.push(slot);
                self.todo += 1;
            }
        }
        merged.extend(old);
        self.slots = merged;
        self.slots.len() - before
    }

    /// The newer half, when there are too many.
    pub fn divide(&mut self) -> Option<Chunk> {
        if self.slots.len() <= MOST {
            return None;
        }
        let slots = self.slots.split_off(self.slots.len() / 2);
        let mut newer = Chunk { slots, pages: self.pages.clone(), generation: self.generation, ..Chunk::default() };
        newer.tidy();
        self.tidy();
        Some(newer)
    }

    /// Lets go of pages that no slot needs, and counts anew.
    fn tidy(&mut self) {
        let mut places: Vec<Option<u16>> = vec![None; self.pages.len()];
        let mut pages = Vec::new();
        for slot in &mut self.slots {
            let Some(place) = places.get_mut(usize::from(slot.page)) else { continue };
            let index = *place.get_or_insert_with(|| {
                if let Some(page) = self.pages.get(usize::from(slot.page)) {
                    pages.push(page.clone());
                }
                u16::try_from(pages.len().saturating_sub(1)).unwrap_or(0)
            });
            slot.page = index;
        }
        self.pages = pages;
        self.todo = self.slots.iter().filter(|slot| !slot.has(EXAMINED)).count();
    }

    /// Takes out what `keep` does not want; says how many went.
    pub fn retain(&mut self, keep: impl Fn(&Slot) -> bool) -> usize {
        let before = self.slots.len();
        self.slots.retain(keep);
        if self.slots.len() != before {
            self.tidy();
        }
        before - self.slots.len()
    }

    /// Another filter: until it has looked, nothing is shown. `narrower`: the oldest filter whose hits
    /// hold all of the new one's.
    pub fn refilter(&mut self, generation: u32, narrower: u32) {
        if self.generation == generation {
            return;
        }
        let may_keep = self.generation >= narrower;
        self.todo = 0;
        for slot in &mut self.slots {
            let known_not = may_keep && slot.flags & (EXAMINED | HIT) == EXAMINED;
            if !known_not {
                slot.flags &= !(EXAMINED | HIT);
                self.todo += 1;
            }
        }
        self.generation = generation;
        self.lines.clear();
        self.hits = 0;
    }

    /// Nothing is shown until a new filter has looked.
    pub fn hide(&mut self) {
        self.lines.clear();
        self.hits = 0;
    }

    /// An event, to be put somewhere else.
    pub fn again(&self, slot: &Slot) -> Option<Incoming> {
        let event = match self.page(slot)? {
            Held::Later(page) => Lazy::Later(page.clone(), slot.index),
            own @ Held::Own(_) => Lazy::Known(own.event(slot.index)?),
        };
        Some(Incoming { slot: Slot { flags: slot.flags & SPARSE, ..*slot }, event })
    }

    /// Whether there is anything left to look at.
    pub fn is_pending(&self, generation: u32) -> bool {
        self.generation != generation || self.todo > 0
    }

    /// Asks the filter about what it has not seen.
    pub fn examine(&mut self, filter: &Filter, names: &[Arc<str>]) {
        if self.todo == 0 {
            return;
        }
        let (pages, slots) = (&self.pages, &mut self.slots);
        for slot in slots.iter_mut().filter(|slot| !slot.has(EXAMINED)) {
            let server = names.get(usize::from(slot.server)).map_or("", |name| name);
            let hit = pages.get(usize::from(slot.page)).is_some_and(|page| page.matches(slot.index, filter, server));
            slot.flags |= if hit { EXAMINED | HIT } else { EXAMINED };
        }
        self.todo = 0;
    }

    /// Without a filter everything counts.
    pub fn accept_all(&mut self, generation: u32) {
        self.generation = generation;
        self.todo = 0;
    }

    /// How far the last hit lies before the end (1: the last slot itself), and the first from the start.
    pub fn edge_hits(&self) -> (Option<usize>, Option<usize>) {
        let first = self.slots.iter().position(|slot| slot.has(HIT)).map(|place| place + 1);
        let last = self.slots.iter().rev().position(|slot| slot.has(HIT)).map(|place| place + 1);
        (last, first)
    }

    /// Makes the lines.
    pub fn lay_out(&mut self, way: Way<'_>, beside: Beside) {
        self.lines.clear();
        self.hits = if way.filtered { self.slots.iter().filter(|slot| slot.has(HIT)).count() } else { self.slots.len() };
        self.worst = self.slots.iter().filter(|slot| !way.filtered || slot.has(HIT)).map(|slot| slot.severity).max().unwrap_or(0);
        if way.filtered && way.context > 0 {
            self.with_context(way, beside);
            return;
        }
        let mut run = 0_usize;
        let mut last: Option<usize> = None;
        for index in 0..self.slots.len() {
            let Some(slot) = self.slots.get(index) else { break };
            if way.filtered && !slot.has(HIT) {
                continue;
            }
            let goes_on = way.runs
                && last.and_then(|last| self.slots.get(last)).is_some_and(|last| {
                    last.likeness == slot.likeness
                        && slot.likeness != 0
                        && last.server == slot.server
                        && way.is_later(last) == way.is_later(slot)
                        && !way.opened.contains(&(slot.server, slot.sequence))
                        && !way.opened.contains(&(last.server, last.sequence))
                });
            run = if goes_on { run + 1 } else { 1 };
            let line = Line { slot: narrow(index), count: narrow(run) };
            if run == RUN {
                // It has become one: what stood for its first events goes.
                self.lines.truncate(self.lines.len().saturating_sub(RUN - 1));
                self.lines.push(line);
            } else if run > RUN {
                if let Some(held) = self.lines.last_mut() {
                    *held = line;
                }
            } else {
                self.lines.push(Line { count: 1, ..line });
            }
            last = Some(index);
        }
    }

    fn with_context(&mut self, way: Way<'_>, beside: Beside) {
        let context = way.context;
        let len = self.slots.len();
        // From the end: how far the next hit is.
        let mut next: Vec<usize> = vec![usize::MAX; len];
        let mut distance = beside.after.unwrap_or(usize::MAX);
        let mut later = self.slots.last().is_some_and(|last| way.is_later(last));
        for (slot, next) in self.slots.iter().zip(&mut next).rev() {
            if later && !way.is_later(slot) {
                (later, distance) = (false, usize::MAX);
            }
            distance = if slot.has(HIT) { 0 } else { distance };
            *next = distance;
            distance = distance.saturating_add(1);
        }
        let mut since = beside.before.unwrap_or(usize::MAX);
        let first_next = next.first().copied().unwrap_or(usize::MAX);
        let mut shown = (beside.before.is_some() && since.saturating_sub(1) <= context) || first_next.saturating_add(1) <= context;
        for (index, (slot, next)) in self.slots.iter().zip(next).enumerate() {
            since = if slot.has(HIT) { 0 } else { since };
            let shows = since <= context || next <= context;
            if shows {
                if !shown && index > 0 {
                    self.lines.push(Line { slot: narrow(index), count: 0 });
                }
                let count = if slot.has(HIT) { 1 } else { 1 | CONTEXT };
                self.lines.push(Line { slot: narrow(index), count });
            }
            shown = shows;
            since = since.saturating_add(1);
        }
    }

    /// How many of its events happened by a moment, and how many of those are hits.
    pub fn by(&self, until: i64, filtered: bool) -> (usize, usize) {
        let held = self.slots.partition_point(|slot| slot.at <= until);
        let hits = if filtered { self.slots.iter().take(held).filter(|slot| slot.has(HIT)).count() } else { held };
        (held, hits)
    }

    /// The events of the run that a line shows, by server and sequence.
    pub fn run(&self, line: Line) -> Vec<(u16, u64)> {
        let last = usize::from(line.slot);
        let likeness = self.slots.get(last).map_or(0, |slot| slot.likeness);
        let server = self.slots.get(last).map_or(0, |slot| slot.server);
        let run = self.slots.iter().take(last + 1).rev().filter(|slot| slot.likeness == likeness && slot.server == server);
        run.take(line.count()).map(|slot| (slot.server, slot.sequence)).collect()
    }
}

fn narrow(number: usize) -> u16 {
    // A chunk has no more than `MOST` slots when its lines are made.
    u16::try_from(number).unwrap_or(u16::MAX) & !CONTEXT
}
