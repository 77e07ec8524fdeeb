//! The time cursor on the timeline: while one is away from now, nothing that is later is shown, counted or
//! fetched. It is held all the same, so that coming back costs nothing.

use super::paging::Toward;
use super::window::Spot;
use super::{Place, Timeline};
use crate::model::time::Time;

impl Timeline {
    /// Ends what is shown at a moment, or nowhere.
    pub fn end_at(&mut self, until: Option<Time>) {
        if self.until == until {
            return;
        }
        let was = std::mem::replace(&mut self.until, until);
        // A run that reached across is two, or one again.
        for at in [was, until].into_iter().flatten() {
            self.on_both(|window, look| window.lay_out_at(at.micros(), look));
        }
    }

    /// Where what is shown ends, if that is not the present.
    pub fn ends_at(&self) -> Option<Time> {
        self.until
    }

    /// Whether the newest that is shown is the newest that there is to be shown.
    pub fn reaches_end(&self) -> bool {
        let covered = |server: usize| {
            let reach = self.reach(server);
            reach.newer.complete || reach.newer_hits.complete || !self.is_short(server, reach.newer_hits.spot.or(reach.newer.spot))
        };
        self.past.is_none() || self.until.is_some() && (0..self.names.len()).all(covered)
    }

    /// Whether a server may have more that is shown beyond a place of its own timeline.
    pub(super) fn is_short(&self, server: usize, reached: Option<Spot>) -> bool {
        let own = |until: Time| until.micros().saturating_sub(self.shift(server));
        self.until.is_none_or(|until| reached.is_none_or(|(at, _)| at <= own(until)))
    }

    /// Events that are held of what is shown, and the hits among them.
    pub fn shown(&self) -> (usize, usize) {
        match self.until {
            Some(until) => self.window().by(until.micros(), self.filter.is_some()),
            None => (self.held(), self.hits()),
        }
    }

    /// Hits that are held from one moment up to another, both included; nothing when some may be missing.
    pub fn between(&self, from: Time, until: Time, connected: impl Fn(usize) -> bool) -> Option<usize> {
        let by = |at: i64| self.window().by(at, self.filter.is_some()).1;
        let all = self.covers(from, &connected) && self.covers(until, &connected) && !self.is_searching();
        all.then(|| by(until.micros()).saturating_sub(by(from.micros().saturating_sub(1))))
    }

    /// Whether a place lies beyond what is shown.
    pub fn is_later(&self, place: Place) -> bool {
        self.until.is_some_and(|until| place.0 > until)
    }

    /// Whether there is anything to fetch at an end.
    pub(super) fn ends(&self, toward: Toward) -> bool {
        toward == Toward::Newer && self.reaches_end()
    }
}
