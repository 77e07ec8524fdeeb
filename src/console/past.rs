//! The events of the span that Today tells of: asked of the servers, since the timeline holds only the
//! newest, and heard as they come while the span goes on.

use std::sync::Arc;

use super::message::Entry;
use crate::model::event::Event;
use crate::model::time::Time;
use crate::model::view::today::Known;
use crate::model::view::today::reading::{Page, Reading};

#[derive(Debug, Default)]
pub struct Past {
    /// Where the span begins, and where it ends; no end: with now.
    span: Option<(Time, Option<Time>)>,
    servers: Vec<Server>,
    /// Counts spans: what was asked for an earlier one is not taken for this.
    generation: u64,
    /// Counts changes: the text is made anew when it moved on.
    pub version: u64,
    /// There are no servers to ask: what comes by itself is all that there is.
    pub alone: bool,
}

#[derive(Debug)]
struct Server {
    reading: Reading,
    asked: bool,
}

/// What is wanted of one server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wanted {
    pub server: usize,
    pub page: Page,
    pub most: usize,
    pub generation: u64,
}

impl Past {
    /// From here on this span is wanted, of so many servers.
    pub fn span(&mut self, from: Time, until: Option<Time>, servers: usize) {
        if self.span == Some((from, until)) && self.servers.len() == servers {
            return;
        }
        self.span = Some((from, until));
        self.generation += 1;
        self.version += 1;
        self.servers = (0..servers).map(|_| Server { reading: Reading::new(from, until), asked: false }).collect();
    }

    /// The asks that are to be made now; each is answered by [`Past::take`] or [`Past::lost`].
    pub fn wanting(&mut self, connected: impl Fn(usize) -> bool) -> Vec<Wanted> {
        let mut out = Vec::new();
        for (server, held) in self.servers.iter_mut().enumerate() {
            if held.asked || !connected(server) {
                continue;
            }
            held.reading.found();
            if let Some((page, most)) = held.reading.wants() {
                held.asked = true;
                out.push(Wanted { server, page, most, generation: self.generation });
            }
        }
        out
    }

    /// Whether something is still to be asked of a server that can be reached.
    pub fn take(&mut self, server: usize, generation: u64, entries: &[Entry], last: bool, complete: bool) {
        if generation != self.generation {
            return;
        }
        if let Some(held) = self.servers.get_mut(server) {
            let events: Vec<Arc<Event>> = entries.iter().filter_map(|entry| entry.event.event()).collect();
            held.reading.take(&events, last, complete);
            held.asked = held.asked && !last;
            self.version += 1;
        }
    }

    /// What happens now.
    pub fn hear(&mut self, server: usize, events: &[Arc<Event>]) {
        if let Some(held) = self.servers.get_mut(server) {
            events.iter().for_each(|event| held.reading.hear(event));
            self.version += 1;
        }
    }

    /// The link is gone, and with it what was asked.
    pub fn lost(&mut self, server: usize) {
        if let Some(held) = self.servers.get_mut(server) {
            held.reading.lost();
            held.asked = false;
            self.version += 1;
        }
    }

    /// Another life of its log: all of it is to be had anew.
    pub fn forget(&mut self, server: usize) {
        if let (Some(held), Some((from, until))) = (self.servers.get_mut(server), self.span) {
            *held = Server { reading: Reading::new(from, until), asked: false };
            self.generation += 1;
            self.version += 1;
            self.servers.iter_mut().for_each(|held| held.asked = false);
        }
    }

    pub fn known(&self) -> Vec<Known> {
        self.servers.iter().map(|held| held.reading.known()).collect()
    }

    /// One event of the span.
    pub fn event(&self, id: crate::model::id::EventId) -> Option<&Arc<Event>> {
        self.servers.iter().find_map(|held| held.reading.event(id))
    }
}
