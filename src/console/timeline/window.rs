//! A stretch of the timeline without holes: chunks of events, and how far each server's log is held.

use std::sync::Arc;

use crate::model::event::Event;
use crate::model::filter::Filter;
use crate::model::id::{Origin, Sequence};

use super::chunk::{Beside, Chunk, Line, Way};
use super::paging::Toward;
use super::slot::{Incoming, Key, Slot};

/// A place on one server's own timeline: microseconds as the server says them, and the sequence.
pub type Spot = (i64, u64);

/// How far one end of a stretch reaches into one server's log.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Edge {
    pub spot: Option<Spot>,
    /// There is nothing beyond.
    pub complete: bool,
    /// A page was asked for and has not come.
    pub asked: bool,
}

/// Both ends for one server; with a filter hits are held beyond them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reach {
    pub older: Edge,
    pub newer: Edge,
    /// Where hits alone are held, beyond `older` and `newer`.
    pub older_hits: Edge,
    pub newer_hits: Edge,
}

#[derive(Debug, Default)]
pub(super) struct Window {
    chunks: Vec<Chunk>,
    /// The number of the first line of each chunk, and of all.
    starts: Vec<usize>,
    pub reach: Vec<Reach>,
    held: usize,
    /// Some are hits alone.
    pub sparse: bool,
}

/// What is laid out how: see [`Way`].
#[derive(Clone, Copy)]
pub(super) struct Look<'a> {
    pub filter: Option<&'a Filter>,
    pub generation: u32,
    pub narrower: u32,
    pub way: Way<'a>,
    pub names: &'a [Arc<str>],
    pub origins: &'a [Origin],
}

impl Window {
    pub fn new(servers: usize) -> Window {
        Window { chunks: Vec::new(), starts: vec![0], reach: vec![Reach::default(); servers], held: 0, sparse: false }
    }

    /// One server more.
    pub fn grow(&mut self) {
        self.reach.push(Reach::default());
    }

    /// Events that are held.
    pub fn held(&self) -> usize {
        self.held
    }

    /// Lines on the screen.
    pub fn len(&self) -> usize {
        self.starts.last().copied().unwrap_or(0)
    }

    pub fn hits(&self) -> usize {
        self.chunks.iter().map(Chunk::hits).sum()
    }

    /// Lines of what happened by a moment: at a time cursor, which no run reaches across.
    pub fn len_by(&self, until: i64) -> usize {
        let Some(chunk) = self.before(until).checked_sub(1) else { return 0 };
        let Some((held, start)) = self.chunks.get(chunk).zip(self.starts.get(chunk)) else { return 0 };
        start + held.lines().partition_point(|line| held.slot(usize::from(line.slot)).is_some_and(|slot| slot.at <= until))
    }

    /// Events that are held of what happened by a moment, and the hits among them.
    pub fn by(&self, until: i64, filtered: bool) -> (usize, usize) {
        let whole = self.before(until).saturating_sub(1);
        let last = self.chunks.get(whole).map_or((0, 0), |chunk| chunk.by(until, filtered));
        let before = self.chunks.iter().take(whole);
        before.fold(last, |(held, hits), chunk| (held + chunk.slots().len(), hits + chunk.hits()))
    }

    /// How many chunks begin by a moment.
    fn before(&self, until: i64) -> usize {
        self.chunks.partition_point(|chunk| chunk.slot(0).is_some_and(|first| first.at <= until))
    }

    /// Makes the lines around a moment anew.
    pub fn lay_out_at(&mut self, at: i64, look: Look<'_>) {
        let chunk = self.before(at).saturating_sub(1);
        self.lay_out(chunk, chunk + 2, look);
        self.count();
    }

    pub fn line(&self, row: usize) -> Option<(&Chunk, Line)> {
        let chunk = self.starts.partition_point(|start| *start <= row).checked_sub(1)?;
        let held = self.chunks.get(chunk)?;
        Some((held, *held.lines().get(row - self.starts.get(chunk)?)?))
    }

    pub fn slot(&self, row: usize) -> Option<&Slot> {
        let (chunk, line) = self.line(row)?;
        chunk.slot(usize::from(line.slot))
    }

    /// The first line that is at or behind this place.
    pub fn find(&self, key: Key, origins: &[Origin]) -> usize {
        let chunk = self.chunks.partition_point(|chunk| chunk.last(origins).is_some_and(|last| last < key));
        let Some((held, start)) = self.chunks.get(chunk).zip(self.starts.get(chunk)) else { return self.len() };
        start + held.lines().partition_point(|line| held.slot(usize::from(line.slot)).is_some_and(|slot| slot.key(origins) < key))
    }

    /// Goes through the events beside a place, nearest first, until it is enough.
    pub fn beside_of(&self, key: Key, toward: Toward, origins: &[Origin], mut more: impl FnMut(&Slot) -> bool) {
        let chunk = self.chunks.partition_point(|chunk| chunk.last(origins).is_some_and(|last| last < key));
        let within = self.chunks.get(chunk).map_or(0, |chunk| chunk.slots().partition_point(|slot| slot.key(origins) < key));
        match toward {
            Toward::Older => {
                let here = self.chunks.get(chunk).into_iter().flat_map(|chunk| chunk.slots().iter().take(within).rev());
                let before = self.chunks.iter().take(chunk).rev().flat_map(|chunk| chunk.slots().iter().rev());
                here.chain(before).take_while(|slot| more(slot)).for_each(drop);
            }
            Toward::Newer => {
                let rest = self.chunks.iter().skip(chunk).flat_map(|chunk| chunk.slots()).skip(within);
                rest.skip_while(|slot| slot.key(origins) == key).take_while(|slot| more(slot)).for_each(drop);
            }
        }
    }

    pub fn first(&self) -> Option<&Slot> {
        self.chunks.first()?.slot(0)
    }

    pub fn last(&self) -> Option<&Slot> {
        self.chunks.last()?.slots().last()
    }

    pub fn slots(&self) -> impl DoubleEndedIterator<Item = &Slot> {
        self.chunks.iter().flat_map(|chunk| chunk.slots())
    }

    /// The events behind the first so many of the newest, from the newest on.
    pub fn back_from(&self, skip: usize) -> impl Iterator<Item = (&Chunk, &Slot)> {
        let mut skip = skip;
        self.chunks.iter().rev().flat_map(move |chunk| {
            let held = chunk.slots();
            let here = skip.min(held.len());
            skip -= here;
            held.get(..held.len() - here).unwrap_or_default().iter().rev().map(move |slot| (chunk, slot))
        })
    }

    /// The newest events of one server, oldest first.
    pub fn newest_of(&self, server: usize, most: usize) -> Vec<Arc<Event>> {
        let slots = self.chunks.iter().rev().flat_map(|chunk| chunk.slots().iter().rev().map(move |slot| (chunk, slot)));
        let own = slots.filter(|(_, slot)| usize::from(slot.server) == server && !slot.has(super::slot::SPARSE)).take(most);
        let mut events: Vec<_> = own.filter_map(|(chunk, slot)| chunk.page(slot)?.event(slot.index)).collect();
        events.reverse();
        events
    }

    /// The events of one server up to a moment; nothing when they are more than `most`.
    pub fn events_by(&self, server: usize, at: i64, most: usize) -> Option<Vec<Arc<Event>>> {
        let mut out = Vec::new();
        for chunk in &self.chunks {
            for slot in chunk.slots().iter().filter(|slot| usize::from(slot.server) == server) {
                if slot.at > at {
                    return Some(out);
                }
                if out.len() >= most {
                    return None;
                }
                out.extend(chunk.page(slot).and_then(|page| page.event(slot.index)));
            }
        }
        Some(out)
    }

    fn count(&mut self) {
        self.starts.clear();
        let mut start = 0_usize;
        self.starts.push(0);
        for chunk in &self.chunks {
            start += chunk.lines().len();
            self.starts.push(start);
        }
    }

    /// Takes in events, sorted by place.
    pub fn add(&mut self, new: Vec<Incoming>, look: Look<'_>) {
        let Some(first) = new.first().map(|incoming| incoming.slot.key(look.origins)) else { return };
        if self.chunks.is_empty() {
            self.chunks.push(Chunk::default());
        }
        self.sparse |= new.iter().any(|incoming| incoming.slot.has(super::slot::SPARSE));
        let mut new = new.into_iter().peekable();
        let (mut from, mut to) = (usize::MAX, 0);
        let mut begin = first;
        loop {
            let at = self.home(begin, look.origins);
            let next = self.chunks.get(at + 1).and_then(|chunk| chunk.first(look.origins));
            let mut part = Vec::new();
            while let Some(incoming) = new.next_if(|incoming| next.is_none_or(|next| incoming.slot.key(look.origins) < next) && part.len() < super::chunk::MOST)
            {
                part.push(incoming);
            }
            let Some(chunk) = self.chunks.get_mut(at) else { break };
            self.held += chunk.merge(part, look.origins);
            (from, to) = (from.min(at), at + 1);
            while let Some(newer) = self.chunks.get_mut(to - 1).and_then(Chunk::divide) {
                self.chunks.insert(to, newer);
                to += 1;
            }
            match new.peek() {
                Some(incoming) => begin = incoming.slot.key(look.origins),
                None => break,
            }
        }
        for index in from..to {
            if let Some(chunk) = self.chunks.get_mut(index)
                && look.filter.is_none()
            {
                chunk.accept_all(look.generation);
            }
        }
        // A few are looked at now; a whole page when there is time.
        if let Some(filter) = look.filter {
            for chunk in self.chunks.get_mut(from..to).into_iter().flatten() {
                chunk.refilter(look.generation, look.narrower);
                chunk.examine(filter, look.names);
            }
        }
        self.lay_out(from, to, look);
        self.count();
    }

    /// The chunk that an event of this place belongs to: what comes behind one that has room goes there,
    /// rather than in front of the next.
    fn home(&self, key: Key, origins: &[Origin]) -> usize {
        let at = self.chunks.partition_point(|chunk| chunk.last(origins).is_some_and(|last| last < key)).min(self.chunks.len().saturating_sub(1));
        let before = self.chunks.get(at).and_then(|chunk| chunk.first(origins)).is_some_and(|first| key < first);
        if before { at.saturating_sub(1) } else { at }
    }

    fn beside(&self, index: usize, way: Way<'_>) -> Beside {
        let context = way.context;
        let is_later = |slot: Option<&Slot>| way.until.zip(slot).is_some_and(|(until, slot)| slot.at > until);
        let here_is_later = is_later(self.chunks.get(index).and_then(|chunk| chunk.slots().last()));
        let mut out = Beside::default();
        let mut passed = 0_usize;
        for chunk in self.chunks.iter().take(index).rev() {
            if let (Some(last), _) = chunk.edge_hits() {
                out.before = Some(passed + last);
                break;
            }
            passed += chunk.slots().len();
            if passed > context {
                break;
            }
        }
        passed = 0;
        for chunk in self.chunks.iter().skip(index + 1) {
            if let (_, Some(first)) = chunk.edge_hits() {
                // A hit that is later than the time cursor has no lines around it before that.
                out.after = Some(passed + first).filter(|_| here_is_later || !is_later(chunk.slot(first - 1)));
                break;
            }
            passed += chunk.slots().len();
            if passed > context {
                break;
            }
        }
        out
    }

    /// Makes the lines of these chunks, and of those beside them that show lines around their hits.
    fn lay_out(&mut self, from: usize, to: usize, look: Look<'_>) {
        let near = look.way.filtered && look.way.context > 0;
        let (from, to) = if near { (from.saturating_sub(2), (to + 2).min(self.chunks.len())) } else { (from, to.min(self.chunks.len())) };
        for index in from..to {
            let beside = if near { self.beside(index, look.way) } else { Beside::default() };
            if let Some(chunk) = self.chunks.get_mut(index).filter(|chunk| !look.way.filtered || !chunk.is_pending(look.generation)) {
                chunk.lay_out(look.way, beside);
            }
        }
    }

    /// All lines anew; with a filter, as far as it has looked.
    pub fn lay_out_all(&mut self, look: Look<'_>) {
        self.lay_out(0, self.chunks.len(), look);
        self.count();
    }

    /// Another filter, or none.
    pub fn refilter(&mut self, look: Look<'_>) {
        for chunk in &mut self.chunks {
            match look.filter {
                Some(_) => chunk.hide(),
                None => chunk.accept_all(look.generation),
            }
        }
        self.lay_out_all(look);
    }

    /// Whether the filter has not looked at everything yet.
    pub fn is_pending(&self, generation: u32) -> bool {
        self.chunks.iter().any(|chunk| chunk.is_pending(generation))
    }

    /// One step of filtering: the chunk that is nearest to a place. False: there is nothing left to do.
    pub fn work(&mut self, focus: Option<Key>, look: Look<'_>) -> bool {
        let Some(filter) = look.filter else { return false };
        let at = focus.map_or(self.chunks.len(), |key| self.chunks.partition_point(|chunk| chunk.last(look.origins).is_some_and(|last| last < key)));
        let pending = self.chunks.iter().enumerate().filter(|(_, chunk)| chunk.is_pending(look.generation));
        let Some((index, _)) = pending.min_by_key(|(index, _)| index.abs_diff(at)) else { return false };
        if let Some(chunk) = self.chunks.get_mut(index) {
            chunk.refilter(look.generation, look.narrower);
            chunk.examine(filter, look.names);
        }
        self.lay_out(index, index + 1, look);
        self.count();
        true
    }

    /// A server's clock is corrected: its events move to where they belong.
    pub fn shift(&mut self, server: usize, by: i64, look: Look<'_>) {
        let mut moved = Vec::new();
        for chunk in &self.chunks {
            for slot in chunk.slots().iter().filter(|slot| usize::from(slot.server) == server) {
                moved.extend(chunk.again(slot).map(|mut incoming| {
                    incoming.slot.at = incoming.slot.at.saturating_add(by);
                    incoming
                }));
            }
        }
        self.retain(|slot| usize::from(slot.server) != server, look);
        moved.sort_by_key(|incoming| incoming.slot.key(look.origins));
        self.add(moved, look);
    }

    /// Takes out what is not wanted any more.
    pub fn retain(&mut self, keep: impl Fn(&Slot) -> bool, look: Look<'_>) {
        for chunk in &mut self.chunks {
            self.held -= chunk.retain(&keep);
        }
        self.chunks.retain(|chunk| !chunk.slots().is_empty());
        self.lay_out_all(look);
    }

    /// Lets the oldest chunks go until at most so many events are held; says where what is left begins.
    pub fn drop_oldest(&mut self, most: usize) -> Option<i64> {
        let mut gone = 0_usize;
        while self.held > most && gone + 1 < self.chunks.len() {
            self.held -= self.chunks.get(gone).map_or(0, |chunk| chunk.slots().len());
            gone += 1;
        }
        if gone == 0 {
            return None;
        }
        self.chunks.drain(..gone);
        self.count();
        self.first().map(|slot| slot.at)
    }

    /// The same at the other end; says where what is left ends, and gives what went.
    pub fn drop_newest(&mut self, most: usize) -> Option<(i64, Window)> {
        let mut kept = self.chunks.len();
        let mut held = self.held;
        while held > most && kept > 1 {
            kept -= 1;
            held -= self.chunks.get(kept).map_or(0, |chunk| chunk.slots().len());
        }
        if kept == self.chunks.len() {
            return None;
        }
        let chunks = self.chunks.split_off(kept);
        let mut newer = Window { held: self.held - held, chunks, ..Window::new(self.reach.len()) };
        self.held = held;
        self.count();
        newer.count();
        self.last().map(|slot| (slot.at, newer))
    }

    /// Puts a newer stretch behind this one.
    pub fn join(&mut self, newer: Window, look: Look<'_>) {
        // Where both hold the same, it stands in both.
        let edge = self.last().map(|slot| slot.key(look.origins));
        let begins = newer.first().map(|slot| slot.key(look.origins));
        for (reach, theirs) in self.reach.iter_mut().zip(&newer.reach) {
            reach.newer = theirs.newer;
            reach.newer_hits = theirs.newer_hits;
        }
        if edge < begins {
            self.held += newer.held;
            self.chunks.extend(newer.chunks);
        } else {
            for chunk in newer.chunks {
                let again = chunk.slots().iter().filter_map(|slot| chunk.again(slot)).collect();
                self.add(again, look);
            }
        }
        self.lay_out_all(look);
    }

    /// The next line, from one on, that is a hit at least this bad.
    pub fn seek(&self, row: usize, forward: bool, worse: u8) -> Option<usize> {
        let bad =
            |chunk: &Chunk, line: &Line| !line.is_gap() && !line.is_context() && chunk.slot(usize::from(line.slot)).is_some_and(|slot| slot.severity >= worse);
        let here = self.starts.partition_point(|start| *start <= row).saturating_sub(1);
        if forward {
            for (chunk, start) in self.chunks.iter().zip(&self.starts).skip(here).filter(|(chunk, _)| chunk.worst() >= worse) {
                let skip = (row + 1).saturating_sub(*start);
                if let Some(found) = chunk.lines().iter().skip(skip).position(|line| bad(chunk, line)) {
                    return Some(start + skip + found);
                }
            }
        } else {
            for (chunk, start) in self.chunks.iter().zip(&self.starts).take(here + 1).rev().filter(|(chunk, _)| chunk.worst() >= worse) {
                let take = row.saturating_sub(*start).min(chunk.lines().len());
                if let Some(found) = chunk.lines().iter().take(take).rposition(|line| bad(chunk, line)) {
                    return Some(start + found);
                }
            }
        }
        None
    }

    /// A place inside of all that is held of one server, as that server says it.
    pub fn spot(at: i64, shift: i64, sequence: Sequence) -> Spot {
        (at.saturating_sub(shift), sequence.0)
    }
}
