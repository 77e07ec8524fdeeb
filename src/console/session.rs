//! How a console was left: pane, selections, the place on the timeline, what was open, filters, folds, order,
//! split, theme. It opens like that again on the same servers or files. Not kept: what floated above, marked
//! rows, and being at another time.

use serde::{Deserialize, Serialize};

use super::pane::alert_list::{AlertList, LineKey};
use super::pane::timeline::Clocks;
use super::sight::LinkState;
use super::state::{BEGINNING, State};
use super::timeline::Place;
use crate::command::{Argument, GroupBy, Pane, SortBy, TodaySpan};
use crate::model::filter::Filter;
use crate::model::id::{EventId, Incarnation, Origin, Sequence, SystemRef};
use crate::model::time::Time;

/// Folds of one list that are kept.
const FOLDS: usize = 1_000;
/// Bytes of a filter that is kept.
const LONGEST_FILTER: usize = 4_096;

/// This type is the format of the file. What a later version adds is left alone; what is missing is as in a
/// console that nobody has touched.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Session {
    pub pane: String,
    /// The detail had all the room.
    pub opened: bool,
    pub zoomed: bool,
    pub side_by_side: bool,
    pub theme: Option<Themed>,
    pub now: Alerts,
    pub alerts: Alerts,
    pub timeline: Timeline,
    pub systems: Systems,
    /// The name of the selected one.
    pub server: Option<String>,
    /// What Today told of.
    pub today: String,
}

/// A theme that was chosen by hand, over the one that is configured.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Themed {
    pub name: String,
    /// Another one is configured since: that is newer.
    pub over: Option<String>,
}

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Alerts {
    pub filter: String,
    pub group: String,
    pub sort: String,
    pub usual: Option<bool>,
    pub selected: Option<LineKey>,
    pub unfolded: Vec<LineKey>,
    pub folded: Vec<LineKey>,
}

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Timeline {
    pub filter: String,
    pub context: usize,
    pub runs: Option<bool>,
    pub clocks: Clocks,
    /// The event where one stood; nothing: one followed the newest.
    pub stood: Option<Stood>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Stood {
    pub at: Time,
    pub origin: Origin,
    pub sequence: u64,
}

impl Stood {
    fn of(place: Place) -> Stood {
        Stood { at: place.0, origin: place.1.origin, sequence: place.1.sequence.0 }
    }

    fn place(self) -> Place {
        (self.at, EventId { origin: self.origin, incarnation: Incarnation(0), sequence: Sequence(self.sequence) })
    }
}

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Systems {
    pub filter: String,
    pub turned: Vec<Vec<SystemRef>>,
    pub selected: Option<Vec<SystemRef>>,
}

impl Alerts {
    fn of(list: &AlertList, opened: bool) -> Alerts {
        let (unfolded, folded) = list.folds();
        Alerts {
            filter: text_of(list.filter.as_ref()),
            group: list.group.map(|group| group.write()).unwrap_or_default(),
            sort: list.sort.map(|sort| sort.write()).unwrap_or_default(),
            usual: Some(list.show_usual),
            // What somebody opened, they have chosen.
            selected: list.list.chosen_key().or(list.list.key().filter(|_| opened)).cloned(),
            unfolded: unfolded.iter().take(FOLDS).cloned().collect(),
            folded: folded.iter().take(FOLDS).cloned().collect(),
        }
    }
}

fn text_of(filter: Option<&Filter>) -> String {
    filter.map(|filter| filter.expr().to_string()).filter(|text| text.len() <= LONGEST_FILTER).unwrap_or_default()
}

impl Session {
    /// As a file has it.
    pub fn parse(text: &str) -> Result<Session, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    pub fn text(&self) -> Result<String, String> {
        serde_json::to_string_pretty(self).map_err(|error| error.to_string())
    }
}

impl State {
    /// As it is now.
    pub fn session(&self) -> Session {
        let opened = self.panes.opened || self.panes.opens == Some(self.pane);
        Session {
            pane: self.pane.name().to_owned(),
            opened,
            zoomed: self.zoomed,
            side_by_side: self.side_by_side,
            theme: self.theme_by_hand.clone(),
            now: Alerts::of(&self.panes.now.list, opened && self.pane == Pane::Now),
            alerts: Alerts::of(&self.panes.alerts.list, opened && self.pane == Pane::Alerts),
            timeline: Timeline {
                filter: text_of(self.timeline.filter()),
                context: self.timeline.context(),
                runs: Some(self.timeline.folds_runs()),
                clocks: self.panes.timeline.clocks,
                stood: self.panes.timeline.left_at.or(self.panes.timeline.place).map(Stood::of),
            },
            systems: Systems {
                filter: text_of(self.panes.systems.filter.as_ref()),
                turned: self.panes.systems.turned.iter().take(FOLDS).cloned().collect(),
                selected: self.panes.systems.list.chosen_key().cloned(),
            },
            server: self.panes.servers.list.chosen_key().and_then(|place| self.links.get(*place)).map(|link| link.name.to_string()),
            today: self.panes.today.which.write(),
        }
    }

    /// As it was left. What this version does not know, or what makes no sense any more, is as it was before.
    pub fn resume(&mut self, session: &Session) {
        if let Some(pane) = Pane::named(&session.pane) {
            self.pane = pane;
            self.panes.opens = session.opened.then_some(pane);
        }
        (self.zoomed, self.side_by_side) = (session.zoomed, session.side_by_side);
        if let Some(themed) = session.theme.as_ref().filter(|themed| themed.over == self.theme_configured)
            && let Ok(theme) = self.themes.load(&themed.name)
        {
            (self.theme, self.theme_by_hand) = (theme, Some(themed.clone()));
        }
        let read = |text: &str| {
            Some(text).filter(|text| !text.is_empty()).and_then(|text| Filter::new(text, self.now, &self.zone).ok()).filter(|filter| !filter.is_all())
        };
        let filters = [&session.now.filter, &session.alerts.filter, &session.timeline.filter, &session.systems.filter].map(|text| read(text));
        let [now, alerts, timeline, systems] = filters;
        for (list, kept, filter) in [(&mut self.panes.now.list, &session.now, now), (&mut self.panes.alerts.list, &session.alerts, alerts)] {
            list.filter = filter;
            list.group = GroupBy::read(&kept.group).ok();
            list.sort = SortBy::read(&kept.sort).ok();
            list.show_usual = kept.usual.unwrap_or(list.show_usual);
            list.fold_as(kept.unfolded.iter().take(FOLDS).cloned().collect(), kept.folded.iter().take(FOLDS).cloned().collect());
            list.list.want(kept.selected.clone());
        }
        self.timeline.set_filter(timeline);
        self.timeline.set_context(session.timeline.context.min(100));
        if let Some(runs) = session.timeline.runs {
            self.timeline.fold_runs(runs);
        }
        self.panes.timeline.clocks = session.timeline.clocks;
        self.panes.timeline.left_at = session.timeline.stood.map(Stood::place);
        self.panes.systems.filter = systems;
        self.panes.systems.turned = session.systems.turned.iter().take(FOLDS).cloned().collect();
        self.panes.systems.list.want(session.systems.selected.clone());
        let place = session.server.as_ref().and_then(|name| self.links.iter().position(|link| *link.name == **name));
        self.panes.servers.list.want(place);
        if let Ok(which) = TodaySpan::read(&session.today) {
            self.panes.today.which = which;
        }
        self.dirty = true;
    }

    /// Stands where one stood on the timeline, once that event is here.
    pub(super) fn stand_again(&mut self) {
        let pane = &mut self.panes.timeline;
        let Some(place) = pane.left_at.filter(|_| !self.timeline.is_going()) else { return };
        let row = self.timeline.find(place);
        if self.timeline.slot(row).is_some_and(|seen| seen.place() == place) {
            (pane.left_at, pane.place, pane.selected) = (None, Some(place), row);
        }
    }

    /// Goes there when all have said what they have, and it is not among that.
    pub(super) fn return_to_where_one_stood(&mut self) {
        // What a server holds of the past comes right behind how things are.
        let told = |server: usize| {
            let older = self.timeline.reach(server).older;
            older.complete || older.spot.is_some()
        };
        let told = (0..self.links.len()).all(|server| told(server) || self.links.get(server).is_some_and(|link| matches!(link.state, LinkState::Lost { .. })));
        let waits = self.mono < BEGINNING && !(told && self.have_answered());
        if self.pane != Pane::Timeline || waits || self.is_away() || self.timeline.is_searching() {
            return;
        }
        if let Some(place) = self.panes.timeline.left_at.take() {
            self.stand_at(place, false);
        }
    }

    /// Whether all servers have said how things are, or do not answer; of files, whether all is read.
    pub(super) fn have_answered(&self) -> bool {
        let known = |link: &super::sight::Link| link.known || matches!(link.state, LinkState::Lost { .. });
        let files = self.links.iter().all(|link| link.is_file);
        if files { !self.timeline.has_more() } else { self.links.iter().all(known) }
    }

    /// Opens what was open, once what it was about is selected; never something else in its place.
    pub(super) fn open_again(&mut self) -> bool {
        let Some(pane) = self.panes.opens else { return false };
        let (pending, here) = match pane {
            Pane::Now => (self.panes.now.list.list.is_wanting(), self.panes.now.list.list.chosen_key().is_some()),
            Pane::Alerts => (self.panes.alerts.list.list.is_wanting(), self.panes.alerts.list.list.chosen_key().is_some()),
            Pane::Timeline => (self.panes.timeline.left_at.is_some() || self.timeline.is_going(), !self.timeline.is_empty()),
            Pane::Systems => (self.panes.systems.list.is_wanting(), self.panes.systems.list.chosen_key().is_some()),
            Pane::Servers => (self.panes.servers.list.is_wanting(), self.panes.servers.list.chosen_key().is_some()),
            Pane::Today => (false, false),
        };
        if pane != self.pane || self.keyed || (!pending && !here && self.mono >= BEGINNING) {
            self.panes.opens = None;
            return false;
        }
        let opens = !pending && here;
        if opens {
            (self.panes.opens, self.panes.opened) = (None, true);
        }
        opens
    }
}
