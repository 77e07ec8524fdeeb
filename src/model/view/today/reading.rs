//! How the events of a span are asked of one server: first whether it keeps anything from before, then all
//! from the start on, page by page. Pure: whoever has a connection carries the asks out.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Known, Reach};
use crate::model::event::Event;
use crate::model::id::{EventId, Sequence};
use crate::model::time::{Span, Time};

/// Events of one server that are read for one span.
pub const MOST: usize = 100_000;
/// Events in one ask.
pub const PAGE: usize = 5_000;

/// A page of a server's timeline. Places are exclusive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Page {
    Before(Time, Sequence),
    After(Time, Sequence),
}

#[derive(Clone, PartialEq, Debug)]
pub struct Reading {
    from: Time,
    /// None: the span goes on as time does.
    until: Option<Time>,
    events: BTreeMap<EventId, Arc<Event>>,
    step: Step,
    /// Something from before the span is kept.
    before: bool,
    /// The first event that is kept from the span's start on, though it lies after its end.
    first: Option<Time>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    Before,
    After(Time, Sequence),
    Done,
    /// More than is read.
    Full(Time),
    Lost,
}

impl Reading {
    pub fn new(from: Time, until: Option<Time>) -> Reading {
        Reading { from, until, events: BTreeMap::new(), step: Step::Before, before: false, first: None }
    }

    /// What is to be asked next, and how many events at most.
    pub fn wants(&self) -> Option<(Page, usize)> {
        match self.step {
            Step::Before => Some((Page::Before(self.from, Sequence(0)), 1)),
            Step::After(at, sequence) => Some((Page::After(at, sequence), PAGE)),
            Step::Done | Step::Full(_) | Step::Lost => None,
        }
    }

    /// An answer, or a part of one; `last`: no more comes for this ask; `complete`: and there is no more that way.
    pub fn take(&mut self, events: &[Arc<Event>], last: bool, complete: bool) {
        match self.step {
            Step::Before => {
                self.before |= !events.is_empty();
                if last {
                    self.step = Step::After(self.from.minus(Span::from_micros(1)), Sequence(u64::MAX));
                }
            }
            Step::After(at, sequence) => {
                let place = events.iter().map(|event| (event.at, event.id.sequence)).max().unwrap_or((at, sequence)).max((at, sequence));
                self.first = self.first.or_else(|| events.iter().map(|event| event.at).min());
                events.iter().for_each(|event| self.add(event));
                let past = self.until.is_some_and(|until| place.0 >= until);
                self.step = match (complete && last || past, self.events.len() >= MOST) {
                    (true, _) => Step::Done,
                    (false, true) => Step::Full(place.0),
                    (false, false) => Step::After(place.0, place.1),
                };
            }
            Step::Done | Step::Full(_) | Step::Lost => {}
        }
    }

    /// An event that happens now.
    pub fn hear(&mut self, event: &Arc<Event>) {
        // Some days go on for ever: what is at hand is bounded all the same.
        if self.events.len() < MOST * 2 {
            self.add(event);
        }
    }

    fn add(&mut self, event: &Arc<Event>) {
        if event.at >= self.from && self.until.is_none_or(|until| event.at < until) {
            self.events.insert(event.id, event.clone());
        }
    }

    /// The one that was asked cannot answer.
    pub fn lost(&mut self) {
        if matches!(self.step, Step::Before | Step::After(..)) {
            self.step = Step::Lost;
        }
    }

    /// It can be asked again.
    pub fn found(&mut self) {
        if self.step == Step::Lost {
            *self = Reading { events: std::mem::take(&mut self.events), ..Reading::new(self.from, self.until) };
        }
    }

    pub fn event(&self, id: EventId) -> Option<&Arc<Event>> {
        self.events.get(&id)
    }

    pub fn known(&self) -> Known {
        let reach = match self.step {
            Step::Before | Step::After(..) => Reach::Asked,
            Step::Lost => Reach::Unreached,
            Step::Full(at) => Reach::To(at),
            Step::Done if self.before => Reach::Whole,
            Step::Done => self.first.map_or(Reach::Whole, Reach::Since),
        };
        Known { events: self.events.values().cloned().collect(), reach }
    }
}
