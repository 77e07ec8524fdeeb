//! How the timeline grows where one looks: what it asks servers for, and what becomes of their answers.
//!
//! A stretch grows by a page at an end that one comes near. To go elsewhere, the events around that place
//! are asked for, and shown once every server has answered: nothing in between is fetched. With a filter
//! that the servers can read, they send its hits alone.

use std::sync::Arc;

use super::slot::SPARSE;
use super::window::{Edge, Look, Reach, Spot, Window};
use super::{Place, Timeline};
use crate::console::message::Entry;
use crate::model::id::Sequence;
use crate::model::severity::Severity;
use crate::model::time::Time;

/// Events of one page at an end, and around a place that one goes to.
const PAGE: usize = 2_000;
const AROUND: usize = 400;
/// What stays up to the present while one looks far back.
const KEPT_LIVE: usize = 20_000;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Toward {
    Older,
    Newer,
}

/// Where one wants to go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Target {
    At(Time),
    Oldest,
    /// The next that is so bad or worse, from a place on.
    Bad {
        toward: Toward,
        from: Place,
        worse: Severity,
    },
}

/// What one server is to be asked: its newest events before a place of its own timeline, or its oldest
/// after one; without a place, from its end or start.
#[derive(Clone, PartialEq, Debug)]
pub struct Asked {
    pub ask: u64,
    pub server: usize,
    pub toward: Toward,
    pub from: Option<Spot>,
    pub most: usize,
    pub filter: Option<Arc<str>>,
}

/// A page, or a part of one, as it came.
#[derive(Debug)]
pub struct Paged {
    pub entries: Vec<Entry>,
    /// Nothing more comes for this ask.
    pub last: bool,
    /// There is nothing more that way in the log.
    pub complete: bool,
    /// Only what the ask's filter leaves.
    pub filtered: bool,
    /// With a filter: everything up to there has been looked at.
    pub reached: Option<(Time, u64)>,
}

/// An ask that is under way.
#[derive(Clone, Debug)]
pub(super) struct Ask {
    server: usize,
    toward: Toward,
    pub(super) filter: Option<Arc<str>>,
    goes: bool,
    /// For the lines around a hit.
    pub(super) around: bool,
}

/// A place that one is on the way to.
#[derive(Debug)]
pub(super) struct Jump {
    window: Window,
    target: Target,
    found: Option<Place>,
}

impl Timeline {
    fn ask(&mut self, server: usize, toward: Toward, from: Option<Spot>, most: usize, filter: Option<Arc<str>>, goes: bool) -> Asked {
        self.last_ask += 1;
        self.asks.insert(self.last_ask, Ask { server, toward, filter: filter.clone(), goes, around: false });
        Asked { ask: self.last_ask, server, toward, from, most, filter }
    }

    /// Everything beside a place, for the lines around a hit there.
    pub(super) fn ask_around(&mut self, server: usize, toward: Toward, from: Spot, most: usize) -> Asked {
        let asked = self.ask(server, toward, Some(from), most, None, false);
        if let Some(ask) = self.asks.get_mut(&asked.ask) {
            ask.around = true;
        }
        asked
    }

    /// How many asks of that kind a server has not answered yet.
    pub(super) fn asked_around(&self, server: usize) -> usize {
        self.asks.values().filter(|ask| ask.around && ask.server == server).count()
    }

    /// Asks that go on where others ended.
    pub fn again(&mut self) -> Vec<Asked> {
        std::mem::take(&mut self.again)
    }

    pub fn reach(&self, server: usize) -> Reach {
        self.window().reach.get(server).copied().unwrap_or_default()
    }

    /// Whether some server has older events that are not here.
    pub fn has_more(&self) -> bool {
        self.window().reach.iter().any(|reach| !reach.older.complete)
    }

    /// Whether an answer is awaited.
    pub fn is_asking(&self) -> bool {
        !self.asks.is_empty()
    }

    /// Whether one is on the way to somewhere.
    pub fn is_going(&self) -> bool {
        self.jump.is_some()
    }

    /// The filter, if servers can read it.
    fn wire_filter(&self) -> Option<Arc<str>> {
        self.filter.as_ref()?.portable().cloned()
    }

    /// The pages that are wanted at the end which one has come near: of the servers that reach least far.
    pub fn wanting(&mut self, toward: Toward, connected: impl Fn(usize) -> bool) -> Vec<Asked> {
        if self.ends(toward) {
            return Vec::new();
        }
        let filter = self.wire_filter();
        let edges: Vec<(usize, Edge, Edge)> = self
            .window()
            .reach
            .iter()
            .enumerate()
            .map(|(server, reach)| match toward {
                Toward::Older => (server, reach.older, reach.older_hits),
                Toward::Newer => (server, reach.newer, reach.newer_hits),
            })
            .filter(|(server, edge, hits)| !edge.complete && !hits.complete && connected(*server))
            .filter(|(server, edge, hits)| toward == Toward::Older || self.is_short(*server, hits.spot.or(edge.spot)))
            .collect();
        let far = |edge: &Edge, hits: &Edge| hits.spot.or(edge.spot);
        let spots = edges.iter().filter_map(|(_, edge, hits)| far(edge, hits));
        let least = match toward {
            Toward::Older => spots.max(),
            Toward::Newer => spots.min(),
        };
        let mut out = Vec::new();
        for (server, edge, hits) in edges {
            let spot = far(&edge, &hits);
            let behind = spot.is_none()
                || match toward {
                    Toward::Older => spot >= least,
                    Toward::Newer => spot <= least,
                };
            if !behind || edge.asked || hits.asked {
                continue;
            }
            if let Some(edge) = self.edge(server, toward, filter.is_some()) {
                edge.asked = true;
            }
            out.push(self.ask(server, toward, spot, PAGE, filter.clone(), false));
        }
        out
    }

    fn edge(&mut self, server: usize, toward: Toward, hits: bool) -> Option<&mut Edge> {
        let reach = self.past.as_mut().unwrap_or(&mut self.live).reach.get_mut(server)?;
        Some(edge_of(reach, toward, hits))
    }

    /// Whether all events around a moment are held where one looks.
    pub fn covers(&self, at: Time, connected: impl Fn(usize) -> bool) -> bool {
        let live = self.past.is_none();
        self.window().reach.iter().enumerate().filter(|(server, _)| connected(*server)).all(|(server, reach)| {
            let at = at.micros().saturating_sub(self.shift(server));
            let older = reach.older.complete || reach.older.spot.is_some_and(|spot| spot.0 < at);
            older && (live || reach.newer.complete || reach.newer.spot.is_some_and(|spot| spot.0 > at))
        })
    }

    /// Goes to where nothing is held yet. What is shown stays until all have answered.
    pub fn jump(&mut self, target: Target, connected: impl Fn(usize) -> bool) -> Vec<Asked> {
        self.asks.retain(|_, ask| !ask.goes);
        let servers: Vec<usize> = (0..self.names.len()).filter(|server| connected(*server)).collect();
        let mut window = Window::new(self.names.len());
        // Who cannot be asked holds nothing up.
        for (server, reach) in window.reach.iter_mut().enumerate().filter(|(server, _)| !servers.contains(server)) {
            let known = self.live.reach.get(server).copied().unwrap_or_default();
            (reach.older.complete, reach.newer.complete) = (known.older.complete, true);
        }
        self.jump = Some(Jump { window, target, found: None });
        let mut out = Vec::new();
        for server in servers {
            let shift = self.shift(server);
            match target {
                Target::At(at) => {
                    let spot = Some((at.micros().saturating_sub(shift), 0));
                    out.push(self.ask(server, Toward::Older, spot, AROUND, None, true));
                    out.push(self.ask(server, Toward::Newer, spot, AROUND, None, true));
                }
                Target::Oldest => out.push(self.ask(server, Toward::Newer, None, AROUND, None, true)),
                Target::Bad { toward, from, worse } => {
                    let own = self.origins.get(server) == Some(&from.1.origin);
                    // At the same moment the order is that of the servers' identities.
                    let sequence = match (own, toward) {
                        (true, _) => from.1.sequence,
                        (false, Toward::Older) => Sequence(0),
                        (false, Toward::Newer) => Sequence(u64::MAX >> 1),
                    };
                    let spot = Window::spot(from.0.micros(), shift, sequence);
                    let filter = match self.wire_filter() {
                        Some(filter) if !filter.is_empty() => format!("({filter}) severity:{worse}+"),
                        _ => format!("severity:{worse}+"),
                    };
                    out.push(self.ask(server, toward, Some(spot), 1, Some(filter.into()), true));
                }
            }
        }
        if out.is_empty() {
            self.jump = None;
        }
        out
    }

    /// Back to the present.
    pub fn go_live(&mut self) {
        self.asks.retain(|_, ask| !ask.goes && self.past.is_none());
        self.around.forget();
        self.jump = None;
        self.past = None;
    }

    /// A piece of a server's past that came unasked: with its snapshot, or from a file.
    pub fn add_older(&mut self, server: usize, entries: Vec<Entry>, complete: bool) {
        if let Some(reach) = self.live.reach.get_mut(server) {
            stretch(&mut reach.older, Toward::Older, &entries);
            reach.older.complete |= complete;
        }
        let new = self.incoming(server, entries, 0);
        self.on_live(|window, look| window.add(new, look));
        self.bound();
    }

    /// What follows in a file that is read from its start. What is late, and would lie before all that is held
    /// of it, is found where it lies.
    pub fn add_more(&mut self, server: usize, mut entries: Vec<Entry>) {
        let edge = self.live.reach.get(server).map(|reach| reach.older).unwrap_or_default();
        if let Some(begins) = edge.spot.filter(|_| !edge.complete) {
            entries.retain(|entry| (entry.at.micros(), entry.id.sequence.0) >= begins);
        }
        let new = self.incoming(server, entries, 0);
        self.on_live(|window, look| window.add(new, look));
        self.bound();
    }

    /// A page that was asked for. Says where one has arrived, when that was awaited.
    pub fn page(&mut self, id: u64, page: Paged) -> Option<Arrival> {
        let Paged { entries, last, complete, filtered, reached } = page;
        let ask = if last { self.asks.remove(&id)? } else { self.asks.get(&id)?.clone() };
        let Ask { server, toward, goes, around, .. } = ask;
        if around {
            // They stand by themselves: no end of what is held has moved.
            let new = self.incoming(server, entries, SPARSE);
            self.on_window(|window, look| window.add(new, look));
            self.bound();
            return None;
        }
        let hits = ask.filter.is_some() && filtered;
        if goes {
            if let Some(Target::Bad { worse, .. }) = self.jump.as_ref().map(|jump| jump.target) {
                self.found(server, toward, worse, &entries);
                // It looked at a part of its log, and found nothing there.
                if let (true, false, true, Some((at, sequence))) = (last, complete, entries.is_empty(), reached) {
                    let filter = ask.filter;
                    let again = self.ask(server, toward, Some((at.micros(), sequence)), 1, filter, true);
                    self.again.push(again);
                }
                return self.arrive();
            }
            if let Some(reach) = self.jump.as_mut().and_then(|jump| jump.window.reach.get_mut(server)) {
                let edge = edge_of(reach, toward, false);
                stretch(edge, toward, &entries);
                edge.complete |= complete && last;
                // From the start on there is nothing older.
                if self.jump.as_ref().is_some_and(|jump| jump.target == Target::Oldest)
                    && let Some(reach) = self.jump.as_mut().and_then(|jump| jump.window.reach.get_mut(server))
                {
                    reach.older.complete = true;
                }
            }
            let new = self.incoming(server, entries, 0);
            if let Some(jump) = self.jump.take() {
                let Jump { window, target, found } = jump;
                let held = self.past.replace(window);
                self.on_window(|window, look| window.add(new, look));
                let window = std::mem::replace(&mut self.past, held).unwrap_or_default();
                self.jump = Some(Jump { window, target, found });
            }
            return self.arrive();
        }
        if ask.filter.is_some()
            && last
            && let Some(edge) = self.edge(server, toward, true)
        {
            edge.asked = false;
        }
        if let Some(edge) = self.edge(server, toward, hits) {
            stretch(edge, toward, &entries);
            if hits && let Some((at, sequence)) = reached {
                edge.spot = Some((at.micros(), sequence));
            }
            if last {
                edge.asked = false;
                edge.complete |= complete;
            }
        }
        let new = self.incoming(server, entries, if hits { SPARSE } else { 0 });
        self.on_window(|window, look| window.add(new, look));
        self.rejoin();
        self.bound();
        None
    }

    /// The nearest of what the servers found.
    fn found(&mut self, server: usize, toward: Toward, worse: Severity, entries: &[Entry]) {
        let shift = self.shift(server);
        let better = |a: &Place, b: &Place| match toward {
            Toward::Older => a.0 > b.0,
            Toward::Newer => a.0 < b.0,
        };
        let Some(jump) = &mut self.jump else { return };
        for entry in entries.iter().filter(|entry| entry.severity >= worse) {
            let place = (Time::from_micros(entry.at.micros().saturating_add(shift)), entry.id);
            if jump.found.as_ref().is_none_or(|found| better(&place, found)) {
                jump.found = Some(place);
            }
        }
    }

    /// When all have answered.
    fn arrive(&mut self) -> Option<Arrival> {
        if self.asks.values().any(|ask| ask.goes) {
            return None;
        }
        let Jump { window, target, found } = self.jump.take()?;
        if let Target::Bad { .. } = target {
            return Some(found.map_or(Arrival::Nowhere, Arrival::Next));
        }
        let first = window.first().map(|slot| slot.place(&self.origins));
        // What was asked for at the old place does not matter any more.
        self.asks.clear();
        self.around.forget();
        self.live.reach.iter_mut().for_each(quiet);
        self.past = Some(window);
        self.on_window(|window, look| window.refilter(look));
        self.rejoin();
        match target {
            Target::At(at) => Some(Arrival::At((at, Default::default()))),
            Target::Oldest | Target::Bad { .. } => first.map(Arrival::At).or(Some(Arrival::Nowhere)),
        }
    }

    /// When the stretch elsewhere has come up to the one that reaches the present, they are one.
    fn rejoin(&mut self) {
        let Some(past) = &self.past else { return };
        let meets = past
            .reach
            .iter()
            .zip(&self.live.reach)
            .all(|(past, live)| past.newer.complete || past.newer.spot.zip(live.older.spot).is_some_and(|(a, b)| a >= b));
        if !meets {
            return;
        }
        if let Some(mut joined) = self.past.take() {
            let live = std::mem::take(&mut self.live);
            let shown = self.on_empty(|look| {
                joined.join(live, look);
                joined
            });
            self.live = shown;
            self.asks.clear();
            self.around.forget();
            self.live.reach.iter_mut().for_each(quiet);
        }
    }

    fn on_empty<T>(&mut self, work: impl FnOnce(Look<'_>) -> T) -> T {
        self.on_live(|_, look| work(look))
    }

    /// Holds no more than it may: what lies far from where one looks goes.
    pub(super) fn bound(&mut self) {
        let most = self.most;
        if self.window().held() > most {
            self.around.forget();
            let keep = most - most / 8;
            let middle = self.window().len() / 2;
            let behind = self.focus.is_none_or(|place| self.find(place) >= middle);
            let shifts = self.shifts.clone();
            if behind {
                self.on_window(|window, _| {
                    if let Some(at) = window.drop_oldest(keep) {
                        cut(window, at, &shifts, Toward::Older);
                    }
                });
            } else if let Some((at, mut newer)) = self.on_window(|window, _| window.drop_newest(keep)) {
                if self.past.is_none() {
                    let begins = newer.drop_oldest(KEPT_LIVE).or_else(|| newer.first().map(|slot| slot.at));
                    newer.reach.clone_from(&self.live.reach);
                    if let Some(begins) = begins {
                        cut(&mut newer, begins, &shifts, Toward::Older);
                    }
                    self.past = Some(std::mem::replace(&mut self.live, newer));
                }
                self.asks.clear();
                self.on_window(|window, _| {
                    window.reach.iter_mut().for_each(quiet);
                    cut(window, at, &shifts, Toward::Newer);
                });
            }
        }
        if self.past.is_some() && self.live.held() > KEPT_LIVE.max(most / 8) {
            let shifts = self.shifts.clone();
            if let Some(at) = self.live.drop_oldest(KEPT_LIVE) {
                cut(&mut self.live, at, &shifts, Toward::Older);
            }
        }
    }

    /// A link was lost: what was asked of it will not come.
    pub fn lost(&mut self, server: usize) -> Option<Arrival> {
        self.asks.retain(|_, ask| ask.server != server);
        self.around.lost(server);
        for window in [Some(&mut self.live), self.past.as_mut()].into_iter().flatten() {
            if let Some(reach) = window.reach.get_mut(server) {
                quiet(reach);
            }
        }
        if let Some(reach) = self.jump.as_mut().and_then(|jump| jump.window.reach.get_mut(server)) {
            reach.newer.complete = true;
        }
        self.arrive()
    }

    /// One ask was refused, or could not be sent.
    pub fn refused(&mut self, id: u64) -> Option<Arrival> {
        let (server, around) = self.asks.get(&id).map(|ask| (ask.server, ask.around))?;
        if around {
            // It is not asked for again and again.
            self.asks.remove(&id);
            return None;
        }
        self.lost(server)
    }
}

/// Where a jump led.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arrival {
    /// What is around this place is shown now.
    At(Place),
    /// What was looked for is there: one has still to go there.
    Next(Place),
    Nowhere,
}

fn edge_of(reach: &mut Reach, toward: Toward, hits: bool) -> &mut Edge {
    match (toward, hits) {
        (Toward::Older, false) => &mut reach.older,
        (Toward::Older, true) => &mut reach.older_hits,
        (Toward::Newer, false) => &mut reach.newer,
        (Toward::Newer, true) => &mut reach.newer_hits,
    }
}

/// The end moves out to what came.
fn stretch(edge: &mut Edge, toward: Toward, entries: &[Entry]) {
    let spots = entries.iter().map(|entry| (entry.at.micros(), entry.id.sequence.0)).chain(edge.spot);
    edge.spot = match toward {
        Toward::Older => spots.min(),
        Toward::Newer => spots.max(),
    };
}

fn quiet(reach: &mut Reach) {
    for edge in [&mut reach.older, &mut reach.newer, &mut reach.older_hits, &mut reach.newer_hits] {
        edge.asked = false;
    }
}

/// What lay beyond this moment is not held any more.
fn cut(window: &mut Window, at: i64, shifts: &[i64], toward: Toward) {
    for (reach, shift) in window.reach.iter_mut().zip(shifts) {
        let at = at.saturating_sub(*shift);
        match toward {
            // Among hits alone: what lies between them and what is whole was never held.
            Toward::Older if reach.older_hits.spot.is_some() && reach.older.spot.is_some_and(|spot| spot.0 > at) => {
                reach.older_hits = Edge { spot: Some((at, u64::MAX >> 1)), ..Edge::default() };
            }
            Toward::Newer if reach.newer_hits.spot.is_some() && reach.newer.spot.is_some_and(|spot| spot.0 < at) => {
                reach.newer_hits = Edge { spot: Some((at, 0)), ..Edge::default() };
            }
            // All of that very moment is asked for again: it may be of several servers.
            Toward::Older => {
                reach.older = Edge { spot: Some((at, u64::MAX >> 1)), ..Edge::default() };
                reach.older_hits = Edge::default();
            }
            Toward::Newer => {
                reach.newer = Edge { spot: Some((at, 0)), ..Edge::default() };
                reach.newer_hits = Edge::default();
            }
        }
    }
}
