//! Everything that the console knows and shows. `update` changes it, `draw` reads it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use jiff::tz::TimeZone;

use crate::command::{Command, Pane};
use crate::model::id::{AlertRef, EventId, Person, RequestId};
use crate::model::time::{Span, Time};
use crate::model::view::alerts::{AlertRow, rows};
use crate::model::view::detail::{Detail, detail};
use crate::model::view::now::Now;
use crate::model::view::{Freshness, Seen, Sky};
use crate::model::world::World;

use super::draw::Spot;
use super::effect::Effect;
use super::keymap::key::write_sequence;
use super::keymap::{Facts, Keymap, Layer, Pressed, layers_of};
use super::looked::Looking;
use super::message::Arriving;
use super::notice::Notices;
use super::overlay::Overlay;
use super::pane::Panes;
use super::past::Past;
use super::pending::{Pending, Undo};
use super::presence::Telling;
use super::session::Themed;
use super::sight::{Link, Sight};
use super::theme::{Theme, Themes};
use super::timeline::strip::{Cell, Strip};
use super::timeline::{Place, Stretch, Timeline};
use super::travel::{Away, Going};
use super::update::find::Hunt;
use super::views::View;

/// How long a selection rests before its detail is shown: holding `j` costs the list's bytes alone.
pub const REST: Span = Span::from_millis(80);
/// How long a filter looks on before each frame.
const SEARCH: Span = Span::from_millis(12);
/// How long a message stays on the last line.
pub const SAID: Span = Span::from_secs(8);

/// Who the console is, and what it was given.
pub struct Setup {
    pub servers: Vec<Link>,
    pub keymap: Keymap,
    pub theme: Theme,
    pub zone: TimeZone,
    pub me: Person,
    pub read_only: bool,
    /// The times of day at which shifts begin.
    pub shifts: Vec<jiff::civil::Time>,
    /// Makes ids of requests; randomness comes from outside.
    pub request_id: Box<dyn FnMut() -> RequestId + Send>,
}

pub struct State {
    pub links: Vec<Link>,
    pub sky: Sky,
    pub timeline: Timeline,
    pub strip: Strip,
    /// The strip of what is held, where nobody counts; and of which version it is.
    held_strip: Option<(u64, Stretch, Vec<Cell>)>,
    /// What is to be asked for with the next effects.
    pub(super) asks: Vec<Effect>,
    /// What Today tells of.
    pub past: Past,
    pub pane: Pane,
    pub panes: Panes,
    pub overlay: Option<Overlay>,
    /// The keys as they are now.
    pub keymap: Keymap,
    /// The keys with their conditions, and what was so when they were last looked at.
    pub bindings: Keymap,
    facts: Option<Facts>,
    pub pressed: Pressed,
    pub theme: Theme,
    /// The themes that one may choose from.
    pub themes: Themes,
    /// The search through events, while one finds anything.
    pub(super) hunt: Hunt,
    /// Saved views, by name as their file has them.
    pub views: Vec<View>,
    /// What there was before one began to choose.
    pub(super) theme_before: Option<Theme>,
    /// The one of the configuration, when it names one.
    pub theme_configured: Option<String>,
    pub(super) theme_by_hand: Option<Themed>,
    pub zone: TimeZone,
    pub me: Person,
    pub read_only: bool,
    pub shifts: Vec<jiff::civil::Time>,
    pub request_id: Box<dyn FnMut() -> RequestId + Send>,
    pub pending: Pending,
    pub undo: Vec<Undo>,
    /// Which event each of our requests became: a note can only be taken back by its event.
    pub became: BTreeMap<RequestId, EventId>,
    pub said: VecDeque<Said>,
    /// How many messages there ever were: some are forgotten.
    pub said_count: u64,
    /// Lines are written instead of frames: every verb is asked about, and details stand in one column.
    pub linear: bool,
    /// A past is being brought in.
    pub arriving: Option<Arriving>,
    pub size: (u16, u16),
    /// The time that is shown: the present, unless away.
    pub now: Time,
    /// What the wall's clock says, wherever the panes are.
    pub present: Time,
    /// All panes are at another time.
    pub away: Option<Away>,
    pub(super) going: Option<Going>,
    pub(super) looking: Looking,
    /// What is told of what the person looks at.
    pub telling: Telling,
    /// Time since the console began, which no clock change moves.
    pub mono: Span,
    /// All open alerts, made anew when something changed.
    pub rows: Vec<AlertRow>,
    /// How often the rows were made: lists gather theirs anew when this has grown.
    made: u64,
    pub needs: Now,
    /// What stands around the selected alert, once the selection rests.
    pub detail: Option<Detail>,
    selected: Option<AlertRef>,
    selected_at: Span,
    /// The event where one stands on the timeline, and since when.
    stands: (Option<Place>, Span),
    /// The worlds changed since the rows were made.
    pub dirty: bool,
    /// Another world is shown: the rows are not put off.
    pub(super) anew: bool,
    /// What making the rows took, and when they were made: in a storm they are made less often.
    made_at: Span,
    made_in: Span,
    pub zoomed: bool,
    pub side_by_side: bool,
    /// What was clicked last, and when.
    pub(super) clicked: Option<(Spot, Span)>,
    /// What is told by bell and notice.
    pub notices: Notices,
    /// A key came since the last frame: what is selected now was chosen.
    pub(super) keyed: bool,
    /// When another row came under the cursor by itself.
    pub(super) slid: Option<Span>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Said {
    pub at: Time,
    pub mono: Span,
    pub tone: Tone,
    pub words: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tone {
    Fine,
    Plain,
    Wrong,
}

/// How long after the start a selection that nobody chose stays at the top: while servers answer one by one.
pub(super) const BEGINNING: Span = Span::from_secs(5);

impl State {
    pub fn new(setup: Setup, now: Time) -> State {
        let names: Vec<Arc<str>> = setup.servers.iter().map(|link| link.name.clone()).collect();
        let seen = names.iter().map(|name| Seen { name: name.clone(), world: Arc::new(World::default()), freshness: Freshness::Never }).collect();
        State {
            links: setup.servers,
            sky: Sky::new(seen).in_zone(setup.zone.clone()),
            strip: Strip::new(names.len()),
            held_strip: None,
            asks: Vec::new(),
            timeline: Timeline::new(names),
            past: Past::default(),
            pane: Pane::Now,
            panes: Panes::default(),
            overlay: None,
            keymap: setup.keymap.clone(),
            bindings: setup.keymap,
            facts: None,
            pressed: Pressed::default(),
            theme: setup.theme,
            themes: Themes::default(),
            hunt: Hunt::default(),
            views: Vec::new(),
            theme_before: None,
            theme_configured: None,
            theme_by_hand: None,
            zone: setup.zone,
            me: setup.me,
            read_only: setup.read_only,
            shifts: setup.shifts,
            request_id: setup.request_id,
            pending: Pending::default(),
            undo: Vec::new(),
            became: BTreeMap::new(),
            said: VecDeque::new(),
            said_count: 0,
            linear: false,
            arriving: None,
            size: (80, 24),
            now,
            present: now,
            away: None,
            going: None,
            looking: Looking::default(),
            telling: Telling::default(),
            mono: Span::ZERO,
            rows: Vec::new(),
            made: 0,
            needs: Now::default(),
            detail: None,
            selected: None,
            selected_at: Span::ZERO,
            stands: (None, Span::ZERO),
            dirty: true,
            anew: false,
            made_at: Span::ZERO,
            made_in: Span::ZERO,
            zoomed: false,
            side_by_side: false,
            clicked: None,
            notices: Notices::default(),
            keyed: false,
            slid: None,
        }
    }

    pub fn sight(&self) -> Sight<'_> {
        Sight {
            sky: &self.sky,
            rows: &self.rows,
            made: self.made,
            links: &self.links,
            timeline: &self.timeline,
            past: &self.past,
            shifts: &self.shifts,
            looked: self.looked_at(),
            new_since: self.new_since(),
            pending: &self.pending,
            now: self.now,
            present: self.present,
            zone: &self.zone,
            me: &self.me,
            read_only: self.read_only,
        }
    }

    pub fn say(&mut self, tone: Tone, words: impl Into<String>) {
        if self.said.len() >= 200 {
            self.said.pop_front();
        }
        self.said_count += 1;
        self.said.push_back(Said { at: self.present, mono: self.mono, tone, words: words.into() });
    }

    /// The message that is still to be shown.
    pub fn latest_said(&self) -> Option<&Said> {
        self.said.back().filter(|said| self.mono.micros() - said.mono.micros() < SAID.micros())
    }

    /// The filter of this pane, as text.
    pub fn active_filter(&self) -> Option<String> {
        self.filter().map(|filter| filter.expr().to_string())
    }

    /// The keys of a command in this pane, as people write them; where it has none, how it is typed.
    pub fn keys_of(&self, command: &Command) -> String {
        let keys = self.keymap.key_for(&layers_of(self.pane), command);
        keys.map_or_else(|| format!(":{}", command.name()), |keys| write_sequence(&keys))
    }

    /// The layers of keys that count now, innermost first.
    pub fn layers(&self) -> Vec<Layer> {
        match &self.overlay {
            Some(_) => vec![Layer::Prompt],
            None => layers_of(self.pane).to_vec(),
        }
    }

    /// What is so now, as far as keys may depend on it.
    pub fn facts(&self) -> Facts {
        let marked = match self.pane {
            Pane::Now => !self.panes.now.list.list.marks.is_empty(),
            Pane::Alerts => !self.panes.alerts.list.list.marks.is_empty(),
            Pane::Timeline => !self.panes.timeline.marks.is_empty(),
            Pane::Today | Pane::Systems | Pane::Servers => false,
        };
        Facts {
            pane: self.pane,
            marked,
            filtered: self.filter().is_some(),
            opened: self.panes.opened,
            zoomed: self.zoomed,
            read_only: self.read_only,
            offline: self.links.iter().any(|link| !link.is_live(self.mono)),
            unsent: self.pending.unsent() > 0,
            away: self.is_away(),
        }
    }

    /// Brings the keys up to date with what is so. A sequence under way goes on as it began.
    pub(super) fn settle_keys(&mut self) {
        if !self.pressed.is_empty() {
            return;
        }
        let facts = self.facts();
        if self.facts != Some(facts) {
            self.keymap = if self.bindings.has_conditions() { self.bindings.under(&facts) } else { self.bindings.clone() };
            self.facts = Some(facts);
        }
    }

    /// Other keys from now on.
    pub fn set_keymap(&mut self, keymap: Keymap) {
        self.bindings = keymap;
        self.facts = None;
        self.pressed.clear();
        self.settle_keys();
    }

    /// Rows in which a pane's list and detail share the screen: what is left beside the bars.
    pub fn body_height(&self) -> u16 {
        let (_, height) = self.size;
        let bars = if height >= 14 { 4 } else { 3 };
        height.saturating_sub(bars)
    }

    /// Brings everything derived up to date before a frame. Returns whether there is more to do soon.
    pub fn settle(&mut self, clock: impl Fn() -> Span) {
        // Folding away the cost of a storm: rows are made at most a quarter of the time.
        self.arrive();
        for (server, _) in self.links.iter().enumerate().filter(|(_, link)| link.is_live(self.mono)) {
            self.notices.hears(server, self.mono);
        }
        let due = self.made_at.micros() + self.made_in.micros() * 4 <= self.mono.micros();
        if self.dirty && (due || std::mem::take(&mut self.anew)) {
            let began = clock();
            if self.away.is_none() {
                for (seen, link) in self.sky.servers.iter_mut().zip(&self.links) {
                    seen.freshness = match link.age(self.mono) {
                        Some(age) if link.is_live(self.mono) => Freshness::Live { age },
                        Some(age) => Freshness::Stale { age },
                        None => Freshness::Never,
                    };
                }
            }
            let (readings, presence) = (std::mem::take(&mut self.sky.readings), std::mem::take(&mut self.sky.presence));
            self.sky = Sky::new(std::mem::take(&mut self.sky.servers)).in_zone(self.zone.clone()).reading(readings).looked_at(presence);
            self.rows = rows(&self.sky, self.now);
            self.needs = Now::of(&self.sky, &self.rows);
            self.sum_up();
            self.made += 1;
            self.dirty = false;
            self.made_at = self.mono;
            self.made_in = Span::from_micros(clock().micros() - began.micros());
            self.look_for_notices();
            if let Some(detail) = &self.detail {
                self.detail = crate::model::view::detail::detail(&self.sky, &self.rows, detail.alert, self.now);
            }
        }
        self.say_since_looked();
        // A filter looks on for half a frame's time, then the frame is drawn with what it has found.
        let began = clock();
        while self.timeline.is_searching() && clock().micros() - began.micros() < SEARCH.micros() {
            self.timeline.work();
        }
        self.hunt_on(&clock, SEARCH);
        self.stand_again();
        let height = self.body_height();
        let mut panes = std::mem::take(&mut self.panes);
        if self.mono < BEGINNING {
            panes.now.list.list.begin();
            panes.alerts.list.list.begin();
        } else {
            // What has not come by now is gone.
            panes.now.list.list.want(None);
            panes.alerts.list.list.want(None);
            panes.systems.list.want(None);
            panes.servers.list.want(None);
        }
        panes.timeline.rests = self.stands.0.filter(|_| self.mono.micros() - self.stands.1.micros() >= REST.micros());
        panes.settle(self.pane, &self.sight(), self.size.0, height, self.zoomed);
        self.panes = panes;
        let needs = (self.pane == Pane::Systems).then(|| super::draw::system_detail_height(self, self.size.0));
        if needs.is_some_and(|rows| self.panes.systems.needs(rows)) | self.open_again() {
            let mut panes = std::mem::take(&mut self.panes);
            panes.settle(self.pane, &self.sight(), self.size.0, height, self.zoomed);
            self.panes = panes;
        }
        let here = self.panes.timeline.here(&self.sight());
        if self.stands.0 != here {
            self.stands = (here, self.mono);
        }
        if self.pane == Pane::Timeline && !self.strip.is_known() && self.held_strip.as_ref().is_none_or(|(version, ..)| *version != self.timeline.version()) {
            let stretch = self.timeline.stretch();
            self.held_strip = stretch.map(|stretch| (self.timeline.version(), stretch, self.timeline.density(&stretch, usize::from(self.size.0))));
        }
        self.timeline.look_at(self.panes.timeline.place);
        let alert = self.panes.alert(self.pane);
        if alert != self.selected {
            self.slid = (!self.keyed && self.selected.is_some()).then_some(self.mono);
            self.selected = alert;
            self.selected_at = self.mono;
        }
        self.settle_presence();
        self.keyed = false;
        self.settle_keys();
        let shown = self.detail.as_ref().map(|detail| detail.alert);
        if shown != self.selected && (shown.is_none() || self.mono.micros() - self.selected_at.micros() >= REST.micros()) {
            self.detail = self.selected.and_then(|alert| detail(&self.sky, &self.rows, alert, self.now));
            self.panes.detail_top = 0;
        }
    }

    /// The timeline's strip: the servers' counts, else those of what is held.
    pub fn strip_shown(&self) -> Option<(Stretch, Vec<Cell>)> {
        if self.strip.is_known() {
            return Some((self.strip.stretch()?, self.strip.cells()));
        }
        self.held_strip.as_ref().map(|(_, stretch, cells)| (*stretch, cells.clone()))
    }

    /// When something changes by itself, if soon: a detail that waits for the selection to rest, a
    /// filter at work, rows that were put off.
    pub fn soon(&self) -> Option<Span> {
        let shown = self.detail.as_ref().map(|detail| detail.alert);
        let mut soon: Option<Span> = None;
        let mut at = |span: Span| soon = Some(soon.map_or(span, |s: Span| s.min(span)));
        if let Some(span) = self.arrives() {
            at(span);
        }
        if self.timeline.is_searching() || self.is_hunting() || !self.asks.is_empty() || self.wants_around() {
            at(Span::ZERO);
        }
        if self.pane == Pane::Timeline && self.stands.0.is_some() && self.panes.timeline.shows() != self.stands.0 {
            at(Span::from_micros((self.stands.1.micros() + REST.micros() - self.mono.micros()).max(0)));
        }
        if self.pane == Pane::Timeline && self.panes.timeline.left_at.is_some() && self.mono < BEGINNING {
            at(Span::from_micros(BEGINNING.micros() - self.mono.micros()));
        }
        if let Some(due) = self.presence_due() {
            at(Span::from_micros((due.micros() - self.mono.micros()).max(0)));
        }
        if let Some(due) = self.notices.due() {
            at(Span::from_micros((due.micros() - self.mono.micros()).max(0)));
        }
        if let Some(then) = self.hunt_asks_at() {
            at(Span::from_micros((then.micros() - self.mono.micros()).max(0)));
        }
        if self.dirty {
            at(Span::from_micros(self.made_at.micros() + self.made_in.micros() * 4 - self.mono.micros()));
        }
        if shown != self.selected {
            at(Span::from_micros(self.selected_at.micros() + REST.micros() - self.mono.micros()));
        }
        soon
    }
}
