//! Going about on the timeline: to a time, to the next error, to what the servers still have.

use std::sync::Arc;

use crate::command::Pane;
use crate::console::effect::Effect;
use crate::console::list::Move;
use crate::console::sight::LinkState;
use crate::console::state::{State, Tone};
use crate::console::timeline::{Arrival, Asked, Place, Target, Toward};
use crate::model::event::Event;
use crate::model::filter::OnServer;
use crate::model::id::EventId;
use crate::model::severity::Severity;
use crate::model::time::{Span, Time};
use crate::model::words::counted;

impl State {
    fn up(&self) -> Vec<bool> {
        self.links.iter().map(|link| link.state == LinkState::Up && link.known).collect()
    }

    /// What the timeline wants from servers by itself: what lies beyond its ends, and counts.
    pub(super) fn wanted(&mut self) -> Vec<Effect> {
        self.return_to_where_one_stood();
        let mut effects = std::mem::take(&mut self.asks);
        effects.extend(self.hunt_wants());
        effects.extend(self.timeline.again().into_iter().map(Effect::Page));
        if self.pane == Pane::Today {
            effects.extend(self.wanted_past());
        }
        if self.pane != Pane::Timeline {
            return effects;
        }
        let up = self.up();
        let connected = |server: usize| up.get(server).copied().unwrap_or(false);
        for (wants, toward) in [(self.panes.timeline.wants_older, Toward::Older), (self.panes.timeline.wants_newer, Toward::Newer)] {
            if wants && !self.timeline.is_going() {
                effects.extend(self.timeline.wanting(toward, connected).into_iter().map(Effect::Page));
            }
        }
        let around = self.timeline.wanting_around(self.panes.timeline.on_screen(), connected);
        effects.extend(around.into_iter().map(Effect::Page));
        let filter = self.timeline.filter().and_then(|filter| filter.portable().cloned());
        let cells = u32::from(self.size.0.saturating_sub(34).clamp(10, 500));
        // What files hold ends with them.
        let now = if self.links.iter().all(|link| link.is_file) { Time::from_secs(0) } else { self.present };
        effects.extend(self.strip.wanting(now, self.timeline.ends_at(), cells, filter, connected).into_iter().map(Effect::Count));
        effects
    }

    /// Whether lines around the hits on the screen are to be asked for.
    pub(in crate::console) fn wants_around(&self) -> bool {
        let up = self.up();
        self.pane == Pane::Timeline && self.timeline.wants_around(self.panes.timeline.on_screen(), |server| up.get(server).copied().unwrap_or(false))
    }

    fn jump(&mut self, target: Target) -> bool {
        let up = self.up();
        let asked: Vec<Asked> = self.timeline.jump(target, |server| up.get(server).copied().unwrap_or(false));
        let goes = !asked.is_empty();
        self.asks.extend(asked.into_iter().map(Effect::Page));
        goes
    }

    /// Where a jump has led.
    pub(super) fn landed(&mut self, arrival: Option<Arrival>) {
        match arrival {
            Some(Arrival::At(place)) => {
                let (place, before) = self.panes.timeline.aim.take().unwrap_or((place, false));
                self.select_at(place, before);
            }
            Some(Arrival::Next(place)) if self.timeline.is_later(place) => self.say(Tone::Plain, "no error below that is not later"),
            Some(Arrival::Next(place)) => self.go_to_place(place),
            Some(Arrival::Nowhere) => self.say(Tone::Plain, "there is no other one on any server"),
            None => {}
        }
    }

    /// An ask for a page could not be sent, or was refused.
    pub fn refused(&mut self, ask: u64) {
        let arrival = self.timeline.refused(ask);
        self.landed(arrival);
    }

    /// Goes to the newest that is shown: follows the present, or stands where one is away.
    pub(in crate::console) fn follow(&mut self) {
        if self.is_away() {
            return self.show_place(self.now);
        }
        self.timeline.go_live();
        self.panes.timeline.follow();
    }

    /// The first or last row is not the end of what there is.
    pub(super) fn goes_beyond(&mut self, movement: Move) -> bool {
        match movement {
            Move::First => self.timeline.has_more() && self.timeline.filter().is_none() && self.jump(Target::Oldest),
            Move::Last if !self.timeline.is_live() || self.is_away() => {
                self.follow();
                true
            }
            _ => false,
        }
    }

    pub(super) fn next_hit(&mut self, forward: bool) {
        let step = if forward { Move::Down } else { Move::Up };
        if self.pane != Pane::Timeline || self.panes.opened || self.timeline.filter().is_none() {
            self.go(step);
            return;
        }
        match self.timeline.seek(self.panes.timeline.selected, forward, Severity::Debug) {
            Some(row) => self.select_row(row),
            None => self.say(Tone::Plain, if forward { "no hit below" } else { "no hit above" }),
        }
    }

    fn select_row(&mut self, row: usize) {
        let mut panes = std::mem::take(&mut self.panes);
        panes.timeline.select(&self.sight(), row, false);
        self.panes = panes;
    }

    /// The next error: of what is held, else of what the servers have.
    pub(super) fn seek_on_timeline(&mut self, forward: bool) {
        let from = self.panes.timeline.selected;
        if let Some(row) = self.timeline.seek(from, forward, Severity::Error) {
            self.select_row(row);
            return;
        }
        let toward = if forward { Toward::Newer } else { Toward::Older };
        let beyond = if forward { !self.timeline.reaches_end() } else { self.timeline.has_more() };
        let end = if forward { self.timeline.len().checked_sub(1) } else { Some(0) };
        let from = end.and_then(|row| self.timeline.slot(row)).map(|slot| slot.place());
        let goes = beyond && from.is_some_and(|from| self.jump(Target::Bad { toward, from, worse: Severity::Error }));
        if !goes {
            self.say(Tone::Plain, if forward { "no error below" } else { "no error above" });
        }
    }

    /// Takes the timeline to a moment, wherever one is: to the last event that had happened by then.
    pub(in crate::console) fn show_place(&mut self, at: Time) {
        self.stand_at((at.plus(Span::from_micros(1)), EventId::default()), true);
    }

    /// Shows one place on the timeline. What is later than the time cursor takes all panes there.
    pub(super) fn go_to_place(&mut self, place: Place) {
        self.show(Pane::Timeline);
        if self.timeline.is_later(place) {
            let effects = self.travel_to(place.0, Some(place));
            self.asks.extend(effects);
            return;
        }
        self.stand_at(place, false);
    }

    /// Selects the first event from a place on, or the last one before it; asks for what is not held.
    pub(in crate::console) fn stand_at(&mut self, place: Place, before: bool) {
        let up = self.up();
        let connected = |server: usize| up.get(server).copied().unwrap_or(false);
        if !self.timeline.covers(place.0, connected) {
            // The present is held: there is no need to ask for it.
            if place.0 >= self.present {
                self.follow();
                return;
            }
            self.panes.timeline.aim = Some((place, before));
            if self.jump(Target::At(place.0)) {
                return;
            }
        }
        self.select_at(place, before);
    }

    fn select_at(&mut self, place: Place, before: bool) {
        self.panes.timeline.aim = None;
        let row = self.timeline.find(place);
        let follow = !before && !self.is_away() && self.timeline.is_live() && row >= self.timeline.len();
        let row = if before { row.saturating_sub(1) } else { row };
        let mut panes = std::mem::take(&mut self.panes);
        panes.timeline.select(&self.sight(), row, follow);
        self.panes = panes;
    }

    /// Shows one event on the timeline, if it is held.
    pub(super) fn go_to_event(&mut self, id: EventId) -> bool {
        let Some(place) = self.timeline.place_of(id) else { return false };
        self.go_to_place(place);
        true
    }

    /// Lines around each hit: so many, or the next of some.
    pub(super) fn set_context(&mut self, text: Option<&str>) {
        let lines = match text.map(|text| text.trim().parse::<usize>()) {
            Some(Ok(lines)) if lines <= 100 => lines,
            Some(_) => return self.say(Tone::Wrong, "lines around a hit are a number up to 100"),
            None => [1, 3, 10].into_iter().find(|lines| *lines > self.timeline.context()).unwrap_or(0),
        };
        self.timeline.set_context(lines);
        let words = if lines == 0 { "hits alone".to_owned() } else { format!("{} around each hit", counted(lines, "line")) };
        let words = if self.timeline.filter().is_none() { format!("{words}, once there is a filter") } else { words };
        self.say(Tone::Plain, words);
    }

    pub(super) fn toggle_runs(&mut self) {
        let fold = !self.timeline.folds_runs();
        self.timeline.fold_runs(fold);
        self.say(Tone::Plain, if fold { "what repeats is one line" } else { "every event has a line of its own" });
    }

    /// What has just happened is counted.
    pub(super) fn count_live(&mut self, server: usize, events: &[Arc<Event>]) {
        let name = self.links.get(server).map_or_else(|| Arc::from(""), |link| link.name.clone());
        for event in events {
            let matches = self.timeline.filter().is_none_or(|filter| filter.matches(&OnServer { subject: &**event, server: &name }));
            self.strip.add(server, event, matches);
        }
    }
}
