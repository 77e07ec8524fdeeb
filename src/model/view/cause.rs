//! Cause folding: when a system that others need has an alert, alerts of those others that began near
//! it in time stand under it, as probable effects, across servers.
//!
//! For each open alert, the systems that its own needs (see [`super::graph`]) are gone through, nearest
//! first. An alert on one of them is a possible cause when
//!
//! - it is not *usual* (what always comes and goes explains nothing), and worse than information;
//! - the effect began at most [`AFTER`] after it; or at most [`BEFORE`] before it, since a slow check finds
//!   a cause late. Then the cause must be at least as severe as the effect;
//! - the two systems do not need each other;
//! - it is as severe as the effect, or the effect's own system has not changed in the last ten minutes
//!   ([`FRESH`]): else that change explains better what is worse than its cause.
//!
//! The system is chosen by `1/steps × 1/(1 + apart/10 min) × 0.6 when all its alerts are less severe ×
//! (1 + share of the effect's earlier episodes that also began near the cause's)`. It must reach
//! [`ENOUGH`]: the more steps lie between, the nearer in time it must be. On that system the most severe
//! alert counts, of these the first. An effect that is usual itself needs [`HABIT`] of at least two
//! earlier episodes to have begun so, and so does one that is so frequent that it would be here anyway.
//! When two systems are nearly as likely ([`MARGIN`]) and neither the first step nor the first cause is
//! the same, nobody knows, and the alert stands apart. So does an alert of which somebody said "not so"
//! while what it was said of is open.
//!
//! When nothing open explains an effect, what cleared within the last ten minutes ([`LINGER`]) may, in the
//! same way, if the effect began before it cleared: when a cause is mended its effects follow a little
//! later, and until then they stay together.
//!
//! Alerts are gone through from what is needed to who needs it, and each looks at a bounded number of
//! systems and alerts: the work grows with the alerts, not with their square.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::Sky;
use super::graph::{Graph, Need, Step, Walker};
use crate::model::id::{AlertRef, SystemRef};
use crate::model::severity::Severity;
use crate::model::time::{Span, Time};
use crate::model::world::Past;

/// How long before its cause an effect may have begun: three minutes are what a check by the minute
/// with three attempts takes longer than one that counts at once.
pub const BEFORE: Span = Span::from_mins(3);
/// How long after its cause an effect may begin.
pub const AFTER: Span = Span::from_mins(20);
/// For how long effects stay together whose cause has cleared.
pub const LINGER: Span = Span::from_mins(10);
/// How fresh a change is that may explain an alert by itself.
pub const FRESH: Span = Span::from_mins(10);
/// The least that a cause must reach, of 2 at most.
pub const ENOUGH: f64 = 0.15;
/// Two of which one is less than this many times as likely as the other are alike.
pub const MARGIN: f64 = 1.15;
/// The share of earlier episodes that makes a habit.
pub const HABIT: f64 = 0.5;
/// Episodes a day from which on one would begin within the window by chance once in twenty times.
const FREQUENT: f64 = 3.0;
/// Alerts of one system that are looked at as causes (the most severe, then the first), and of all
/// systems that one needs.
const OF_ONE: usize = 32;
const OF_ALL: usize = 512;

/// One open alert, as folding looks at it; or one that has cleared, which is a cause at most.
#[derive(Clone, Debug)]
pub struct Candidate<'a> {
    pub alert: AlertRef,
    pub system: SystemRef,
    pub severity: Severity,
    pub since: Time,
    pub cleared: Option<Time>,
    /// It is always so, or comes and goes by itself as it always has.
    pub usual: bool,
    /// Its own system, or one that it is beneath by name, changed within [`FRESH`] before it began.
    pub changed: bool,
    /// Episodes a day, of late.
    pub rate: f64,
    /// Its closed episodes, oldest first.
    pub past: &'a [Past],
    /// What somebody said that it is not caused by.
    pub denied: Vec<AlertRef>,
}

/// Why an alert stands under another.
#[derive(Clone, PartialEq, Debug)]
pub struct Cause {
    /// The alert that it stands under.
    pub direct: AlertRef,
    /// The first cause of all: what `direct` stands under, and so on; `direct` itself when it stands free.
    pub root: AlertRef,
    /// Layers below `root`: 1 is right under it.
    pub depth: u8,
    /// The system of `direct`.
    pub system: SystemRef,
    /// The system that is needed itself, when `system` is needed through it.
    pub through: Option<SystemRef>,
    /// Another server than the effect's.
    pub elsewhere: bool,
    pub need: Need,
    /// Steps from system to system.
    pub distance: u8,
    /// When `direct` cleared; it is open unless given.
    pub cleared: Option<Time>,
    /// How much later than its cause it began, in microseconds; less than zero: its cause was seen later.
    pub later: i64,
    /// Of so many earlier episodes that are kept, so many began near one of the cause's.
    pub together: (u32, u32),
}

impl Cause {
    /// "uses infra dc1/ceph, began 40 s later".
    pub fn words(&self, sky: &Sky) -> String {
        let name = |system: &SystemRef| match sky.of_origin(system.origin) {
            Some((_, seen)) if self.elsewhere => format!("{} {}", seen.name, system.id),
            Some(_) | None => system.id.to_string(),
        };
        let how = match (self.need, &self.through) {
            (Need::Part, _) => format!("{} is a part of it", name(&self.system)),
            (Need::Uses, None) => format!("uses {}", name(&self.system)),
            (Need::Uses, Some(through)) => format!("uses {} through {}", name(&self.system), name(through)),
        };
        let habit = match self.together {
            (n @ 1.., of) => format!(", as {n} of {of} times before"),
            (0, _) => String::new(),
        };
        let cleared = if self.cleared.is_some() { ", which has cleared" } else { "" };
        format!("{how}{cleared}, {}{habit}", self.when())
    }

    /// The same where there is little room: "40 s after dc1/ceph".
    pub fn short(&self, sky: &Sky) -> String {
        let name = self.place(sky);
        match self.later {
            0..1_000_000 => format!("with {name}"),
            later @ 0.. => format!("{} after {name}", coarse(Span::from_micros(later))),
            later => format!("{} before {name}", coarse(Span::from_micros(later.saturating_neg()))),
        }
    }

    /// Where `direct` is, as screens write it.
    pub fn place(&self, sky: &Sky) -> String {
        sky.of_origin(self.system.origin).map_or_else(|| self.system.id.to_string(), |(index, _)| sky.name_of(index, &self.system.id))
    }

    /// "began 40 s later".
    pub fn when(&self) -> String {
        match self.later {
            0..1_000_000 => "began at the same time".to_owned(),
            later @ 0.. => format!("began {} later", coarse(Span::from_micros(later))),
            later => format!("seen {} before it", coarse(Span::from_micros(later.saturating_neg()))),
        }
    }
}

/// "40 s", "3 min", "2 h": as one says how far apart two things were.
pub fn coarse(span: Span) -> String {
    match span.secs() {
        s @ ..120 => format!("{s} s"),
        s @ ..7_200 => format!("{} min", s / 60),
        s @ ..172_800 => format!("{} h", s / 3_600),
        s => format!("{} days", s / 86_400),
    }
}

/// What each alert probably comes from, at its own place in the list.
pub fn causes(graph: &Graph, alerts: &[Candidate<'_>]) -> Vec<Option<Cause>> {
    Folding::new(graph, alerts).fold()
}

struct Folding<'a> {
    graph: &'a Graph,
    alerts: &'a [Candidate<'a>],
    /// By the system's place in the graph: its alerts, and those of them that may be causes.
    systems: HashMap<u32, OnSystem>,
    open: HashMap<AlertRef, usize>,
    out: Vec<Option<Cause>>,
}

#[derive(Default)]
struct OnSystem {
    alerts: Vec<usize>,
    /// The most severe first, of these the earliest.
    causes: Vec<usize>,
    /// The same of those that have cleared.
    gone: Vec<usize>,
}

/// A system on which a cause may be, for one effect.
struct Likely {
    score: f64,
    cause: usize,
    node: u32,
    via: u32,
    need: Need,
    distance: u8,
    together: (u32, u32),
}

impl<'a> Folding<'a> {
    fn new(graph: &'a Graph, alerts: &'a [Candidate<'a>]) -> Folding<'a> {
        let mut systems: HashMap<u32, OnSystem> = HashMap::new();
        for (place, alert) in alerts.iter().enumerate() {
            let Some(node) = graph.place(&alert.system) else { continue };
            let on = systems.entry(node).or_default();
            let telling = !alert.usual && alert.severity > Severity::Info;
            match alert.cleared {
                Some(_) if telling => on.gone.push(place),
                Some(_) => {}
                None => {
                    on.alerts.push(place);
                    if telling {
                        on.causes.push(place);
                    }
                }
            }
        }
        for on in systems.values_mut() {
            for causes in [&mut on.causes, &mut on.gone] {
                causes.sort_by_key(|i| alerts.get(*i).map(|alert| (Reverse(alert.severity), alert.since, alert.alert)));
                causes.truncate(OF_ONE);
            }
        }
        let open = alerts.iter().enumerate().map(|(place, alert)| (alert.alert, place)).collect();
        Folding { graph, alerts, systems, open, out: vec![None; alerts.len()] }
    }

    fn fold(mut self) -> Vec<Option<Cause>> {
        let graph = self.graph;
        let mut order: Vec<(u32, u32)> = self.systems.keys().map(|node| (self.graph.rank(*node), *node)).collect();
        order.sort_unstable();
        let mut walker = Walker::new(graph);
        // Systems that need the same things, as a hundred shops on one storage do, look at the same causes.
        let mut near: HashMap<&[(u32, Need)], Vec<Step>> = HashMap::new();
        for (rank, node) in order {
            let steps = near.entry(graph.needs_of(node)).or_insert_with(|| {
                let mut count = 0;
                let with_causes = |step: &Step| self.systems.get(&step.node).is_some_and(|on| !on.causes.is_empty() || !on.gone.is_empty());
                let mut steps = walker.needs(node);
                steps.retain(with_causes);
                steps.retain(|step| {
                    count += self.systems.get(&step.node).map_or(0, |on| on.causes.len() + on.gone.len());
                    count <= OF_ALL
                });
                steps
            });
            let steps: Vec<_> = steps.iter().filter(|step| graph.rank(step.node) != rank).copied().collect();
            if steps.is_empty() {
                continue;
            }
            let effects = self.systems.get(&node).map(|on| on.alerts.clone()).unwrap_or_default();
            for effect in effects {
                let cause = self.cause_of(effect, &steps);
                if let Some(slot) = self.out.get_mut(effect) {
                    *slot = cause;
                }
            }
        }
        self.out
    }

    fn cause_of(&self, effect: usize, steps: &[Step]) -> Option<Cause> {
        let alert = self.alerts.get(effect)?;
        if alert.denied.iter().any(|denied| self.open.contains_key(denied)) {
            return None;
        }
        let among = |gone: bool| -> Vec<Likely> {
            let causes = |step: &Step| self.systems.get(&step.node).map(|on| if gone { &on.gone } else { &on.causes });
            steps.iter().filter_map(|step| self.likely(alert, step, causes(step)?)).filter(|likely| likely.score >= ENOUGH).collect()
        };
        let mut likely = among(false);
        if likely.is_empty() {
            likely = among(true);
        }
        likely.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| self.tie(a).cmp(&self.tie(b))));
        let best = likely.first()?;
        let cause = self.alerts.get(best.cause)?;
        let root = self.root(best.cause)?;
        let other = likely.iter().find(|other| other.via != best.via && self.root(other.cause) != Some(root));
        if other.is_some_and(|other| best.score < other.score * MARGIN) {
            return None;
        }
        let depth = self.out.get(best.cause).and_then(Option::as_ref).map_or(0, |cause| cause.depth);
        Some(Cause {
            direct: cause.alert,
            root,
            depth: depth.saturating_add(1),
            system: cause.system.clone(),
            through: (best.via != best.node).then(|| self.graph.system(best.via).cloned()).flatten(),
            elsewhere: cause.alert.origin != alert.alert.origin,
            need: best.need,
            distance: best.distance,
            cleared: cause.cleared,
            later: alert.since.micros().saturating_sub(cause.since.micros()),
            together: best.together,
        })
    }

    fn tie(&self, likely: &Likely) -> Option<(Reverse<Severity>, Time, AlertRef)> {
        self.alerts.get(likely.cause).map(|cause| (Reverse(cause.severity), cause.since, cause.alert))
    }

    fn root(&self, cause: usize) -> Option<AlertRef> {
        let above = self.out.get(cause).and_then(Option::as_ref).map(|cause| cause.root);
        above.or_else(|| self.alerts.get(cause).map(|cause| cause.alert))
    }

    fn likely(&self, effect: &Candidate<'_>, step: &Step, causes: &[usize]) -> Option<Likely> {
        let fits = |cause: &Candidate<'_>| {
            let in_time = effect.since <= cause.since.plus(AFTER) && effect.since.plus(BEFORE) >= cause.since;
            let explained = effect.changed && cause.severity < effect.severity;
            let there = cause.cleared.is_none_or(|cleared| effect.since <= cleared);
            in_time && there && !explained && (cause.since <= effect.since || cause.severity >= effect.severity)
        };
        let mut fitting = causes.iter().filter_map(|i| self.alerts.get(*i).map(|cause| (*i, cause))).filter(|(_, cause)| fits(cause));
        let (place, cause) = fitting.next()?;
        let apart = |cause: &Candidate<'_>| effect.since.since(cause.since).max(cause.since.since(effect.since));
        let nearest = fitting.map(|(_, cause)| apart(cause)).fold(apart(cause), Span::min);
        let together = together(effect.past, cause.past);
        let share = if together.1 >= 2 { f64::from(together.0) / f64::from(together.1) } else { 0.0 };
        if (effect.usual || effect.rate >= FREQUENT) && share < HABIT {
            return None;
        }
        let less = if cause.severity < effect.severity { 0.6 } else { 1.0 };
        let score = less * nearness(nearest) * (1.0 + share) / f64::from(step.distance.max(1));
        Some(Likely { score, cause: place, node: step.node, via: step.via, need: step.need, distance: step.distance, together })
    }
}

/// 1 at once, a half after ten minutes, a third after twenty.
pub(super) fn nearness(apart: Span) -> f64 {
    let minutes = f64::from(u32::try_from(apart.secs()).unwrap_or(u32::MAX)) / 60.0;
    1.0 / (1.0 + minutes / 10.0)
}

/// Of the effect's earlier episodes, how many began near one of the cause's, and how many there were.
fn together(effect: &[Past], cause: &[Past]) -> (u32, u32) {
    // Both stand in the order in which they began.
    let near = |at: Time| {
        let first = cause.partition_point(|past| past.from.plus(AFTER) < at);
        cause.get(first).is_some_and(|past| at.plus(BEFORE) >= past.from)
    };
    let count = effect.iter().filter(|past| near(past.from)).count();
    (u32::try_from(count).unwrap_or(0), u32::try_from(effect.len()).unwrap_or(0))
}
