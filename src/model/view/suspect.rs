//! Suspects: what changed before an alert began, on its system or near it, the likeliest first.
//!
//! Near are the system itself (0 steps), what it needs (as many steps as lie between, see
//! [`super::graph`]), what it is a part of (likewise, upwards), and who uses it directly ([`USER`] steps:
//! a new client can bring a database down). A silence is near the alerts that it was about, a server's own
//! configuration near all that it keeps. A change is
//! weighed by
//!
//! `1/(1 + minutes before/10) × 1/(1 + steps) × weight of its kind × habit × shared`
//!
//! where *habit* is 1 while fewer than two earlier episodes are known, else `0.6 + 1.4 × (the share of
//! them that began within ten minutes after such a change − the share that would by chance)`, never
//! below 0.6. "Such a change" is one of the same kind on the same system. An alert that is usual halves
//! it, unless there is a habit. An alert that stands under another shares that one's suspects, and its
//! own count half. From [`LIKELY`] on a change is called a suspect: a deployment of the
//! system itself half an hour before, of what it uses ten minutes before. A change that came after the
//! alert is none.
//!
//! *Shared* is for an alert that stands under no other, and for changes on its system and on what that needs:
//! `1 + log10(1 + systems)`, of the other systems whose alerts stand under it. All of them need it too: ten
//! that fail together double the weight. Where nothing is heavy enough for such an alert, and [`MANY`] other
//! systems stand under it or more, the heaviest such change of the last hour is called a suspect all the same,
//! and *far*: so much trouble had a reason, and nothing nearer is known.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Sky;
use super::cause::{coarse, nearness};
use super::entries::Layers;
use super::graph::{Graph, Need, Walker};
use crate::model::event::{Link, SilenceMatcher};
use crate::model::history::{History, Verdict};
use crate::model::id::{AlertRef, EventId, SystemRef};
use crate::model::labels::Labels;
use crate::model::time::{Span, Time};
use crate::model::world::{Alert, Deed, DeedKind};

/// How far back a change may lie and still be shown beside an alert.
pub const REACH: Span = Span::from_days(3);
/// From this weight on a change is called a suspect …
pub const LIKELY: f64 = 0.25;
/// … or, where that many other systems stand under an alert, the heaviest of so long before.
pub const MANY: u32 = 2;
pub const FAR: Span = Span::from_hours(1);
/// How soon after a change an episode counts as following it.
pub const FOLLOWS: Span = Span::from_mins(10);
/// Steps to a system that uses the alert's own.
const USER: u8 = 2;
/// Levels of holders that are looked at.
const LEVELS: u8 = 4;
/// Changes that are given at most.
const MOST: usize = 20;

#[derive(Clone, PartialEq, Debug)]
pub struct Suspect {
    pub event: EventId,
    pub at: Time,
    /// How long before the alert began.
    pub before: Span,
    pub kind: DeedKind,
    /// Where it changed, as screens write it.
    pub system: String,
    pub title: Arc<str>,
    pub by: String,
    pub link: Option<Link>,
    pub near: Near,
    /// Of so many earlier episodes, so many followed such a change within ten minutes.
    pub habit: (u32, u32),
    pub weight: f64,
    /// Heavy enough to be called a suspect, or far.
    pub likely: bool,
    /// Not heavy enough, but much stands under the alert and nothing nearer is known.
    pub far: bool,
}

/// How a change's system stands to the alert's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Near {
    Here,
    /// A silence that was about this alert.
    Silence,
    /// The configuration of its own server.
    Server,
    /// What it is made of, so many steps down.
    Part(u8),
    /// What it uses, so many steps away.
    Uses(u8),
    /// What it is a part of, so many levels up.
    Holder(u8),
    /// What uses it.
    User,
}

impl Near {
    /// Whether all that need the alert's system need this one too.
    const fn is_shared(self) -> bool {
        match self {
            Near::Here | Near::Part(_) | Near::Uses(_) => true,
            Near::Silence | Near::Server | Near::Holder(_) | Near::User => false,
        }
    }

    pub const fn steps(self) -> u8 {
        match self {
            Near::Here | Near::Silence | Near::Server => 0,
            Near::Part(steps) | Near::Uses(steps) | Near::Holder(steps) => steps,
            Near::User => USER,
        }
    }
}

impl Suspect {
    /// "on what it uses, 2 steps away": nothing for the system itself.
    pub fn place_words(&self) -> String {
        let steps = |n: u8| if n > 1 { format!(", {n} steps away") } else { String::new() };
        match self.near {
            Near::Here | Near::Silence => String::new(),
            Near::Server => "in its server's configuration".to_owned(),
            Near::Part(n) => format!("on {}, a part of it{}", self.system, steps(n)),
            Near::Uses(n) => format!("on {}, which it uses{}", self.system, steps(n)),
            Near::Holder(_) => format!("on {}, which it is a part of", self.system),
            Near::User => format!("on {}, which uses it", self.system),
        }
    }

    /// "2 of its 3 earlier episodes came within 10 min after a deploy". Empty when there is nothing to tell.
    pub fn habit_words(&self) -> String {
        match self.habit {
            (0, _) => String::new(),
            (_, 1) => format!("so did its one earlier episode, within {} after {}", coarse(FOLLOWS), self.kind_words()),
            (n, of) => format!("{n} of its {of} earlier episodes came within {} after {}", coarse(FOLLOWS), self.kind_words()),
        }
    }

    fn kind_words(&self) -> &'static str {
        match self.kind {
            DeedKind::Change => "a deploy",
            DeedKind::Commit => "a commit",
            DeedKind::Restarted => "a restart",
            DeedKind::Configured => "a new configuration",
            DeedKind::SilenceEnded => "the end of a silence",
            DeedKind::Inventory => "a change of the machine",
            DeedKind::Action => "an action",
            DeedKind::Note | DeedKind::Acknowledged | DeedKind::Snoozed | DeedKind::Assigned | DeedKind::Resolved | DeedKind::Apart | DeedKind::Other => {
                "such a change"
            }
        }
    }
}

/// How much a kind of change tells by itself.
const fn weight(kind: DeedKind) -> f64 {
    match kind {
        DeedKind::Change | DeedKind::Action | DeedKind::SilenceEnded => 1.0,
        DeedKind::Restarted => 0.9,
        // A commit is not deployed yet, perhaps.
        DeedKind::Commit | DeedKind::Inventory => 0.8,
        DeedKind::Configured => 0.5,
        DeedKind::Note | DeedKind::Acknowledged | DeedKind::Snoozed | DeedKind::Assigned | DeedKind::Resolved | DeedKind::Apart | DeedKind::Other => 0.0,
    }
}

/// All that changed, by where, for any number of alerts.
pub struct Changes<'a> {
    sky: &'a Sky,
    graph: &'a Graph,
    /// By place in the graph: server and change, oldest first.
    by_system: BTreeMap<u32, Vec<(usize, &'a Arc<Deed>)>>,
    silences: Vec<(usize, &'a Arc<Deed>)>,
    /// The servers' own configuration, which concerns everything on them.
    configured: Vec<(usize, &'a Arc<Deed>)>,
}

impl<'a> Changes<'a> {
    pub fn of(sky: &'a Sky, graph: &'a Graph) -> Changes<'a> {
        let mut by_system: BTreeMap<u32, Vec<(usize, &Arc<Deed>)>> = BTreeMap::new();
        let (mut silences, mut configured) = (Vec::new(), Vec::new());
        for (server, seen) in sky.servers.iter().enumerate() {
            for deed in seen.world.all_changes() {
                if deed.kind == DeedKind::SilenceEnded {
                    silences.push((server, deed));
                } else if deed.kind == DeedKind::Configured && deed.system.is_none() {
                    configured.push((server, deed));
                } else if let Some(place) = deed.system.as_ref().and_then(|id| graph.place(&SystemRef { origin: seen.world.origin, id: id.clone() })) {
                    by_system.entry(place).or_default().push((server, deed));
                }
            }
        }
        for list in by_system.values_mut().chain([&mut silences, &mut configured]) {
            list.sort_by_key(|(_, deed)| (deed.at, deed.event));
        }
        Changes { sky, graph, by_system, silences, configured }
    }

    /// What changed before the alert's last episode began, the likeliest first, at most twenty.
    /// What an effect comes from is asked too: a change near its cause counts as it does there, and one
    /// that is not only half, since the effect is explained.
    pub fn before(&self, walker: &mut Walker<'_>, layers: &Layers, alert: AlertRef, now: Time) -> Vec<Suspect> {
        let mut out = self.own(walker, layers, alert, now);
        let above = layers.above(alert);
        if !above.is_empty() {
            let mut there: BTreeMap<EventId, (f64, bool)> = BTreeMap::new();
            for suspect in above.into_iter().flat_map(|cause| self.own(walker, layers, cause, now)) {
                let (weight, far) = there.entry(suspect.event).or_insert((suspect.weight, suspect.far));
                (*weight, *far) = (weight.max(suspect.weight), *far || suspect.far);
            }
            for suspect in &mut out {
                let (weight, far) = there.get(&suspect.event).copied().unwrap_or((suspect.weight / 2.0, false));
                suspect.weight = weight.max(suspect.weight / 2.0);
                suspect.far = far && suspect.weight < LIKELY;
                suspect.likely = suspect.weight >= LIKELY || suspect.far;
            }
        }
        out.sort_by(|a, b| b.weight.total_cmp(&a.weight).then_with(|| (a.before, a.near, a.event).cmp(&(b.before, b.near, b.event))));
        out.truncate(MOST);
        out
    }

    /// What changed near the alert itself, in no order.
    fn own(&self, walker: &mut Walker<'_>, layers: &Layers, alert: AlertRef, now: Time) -> Vec<Suspect> {
        let Some((server, seen)) = self.sky.of_origin(alert.origin) else { return Vec::new() };
        let Some(known) = seen.world.alert(alert.alert) else { return Vec::new() };
        let Some(began) = known.now.map(|open| open.since).or_else(|| known.past.last().map(|past| past.from)) else { return Vec::new() };
        let history = History::of(known, &seen.world, &self.sky.zone, now);
        let usual = history.usual && history.verdict != Verdict::Flapping;
        // What stands under another is explained by that.
        let systems = if layers.is_free(alert) { layers.systems_beneath(alert) } else { 0 };
        let shared = 1.0 + f64::from(systems.saturating_add(1)).log10();
        let mut out = Vec::new();
        let place = self.graph.place(&SystemRef { origin: alert.origin, id: known.system.clone() });
        for (place, near) in place.into_iter().flat_map(|place| self.near(walker, place)) {
            let Some(changes) = self.by_system.get(&place) else { continue };
            out.extend(self.weigh(changes, near, known, began, usual, if near.is_shared() { shared } else { 1.0 }));
        }
        let about: Vec<(usize, &Arc<Deed>)> =
            self.silences.iter().filter(|(on, deed)| *on == server && is_about(&deed.matchers, &known.labels)).copied().collect();
        out.extend(self.weigh(&about, Near::Silence, known, began, usual, 1.0));
        let configured: Vec<(usize, &Arc<Deed>)> = self.configured.iter().filter(|(on, _)| *on == server).copied().collect();
        out.extend(self.weigh(&configured, Near::Server, known, began, usual, 1.0));
        if systems >= MANY && !usual && !out.iter().any(|suspect| suspect.likely) {
            let near = out.iter_mut().filter(|suspect| suspect.near.is_shared() && suspect.before <= FAR && suspect.weight > 0.0);
            if let Some(heaviest) = near.max_by(|a, b| a.weight.total_cmp(&b.weight).then_with(|| b.event.cmp(&a.event))) {
                (heaviest.likely, heaviest.far) = (true, true);
            }
        }
        out
    }

    /// The systems on which a change tells, each once, at its least number of steps.
    fn near(&self, walker: &mut Walker<'_>, place: u32) -> Vec<(u32, Near)> {
        let mut out: BTreeMap<u32, Near> = BTreeMap::new();
        let mut add = |place: u32, near: Near| {
            let known = out.entry(place).or_insert(near);
            if near.steps() < known.steps() {
                *known = near;
            }
        };
        add(place, Near::Here);
        for step in walker.needs(place) {
            add(step.node, if step.need == Need::Part { Near::Part(step.distance) } else { Near::Uses(step.distance) });
        }
        let mut level = vec![place];
        for up in 1..=LEVELS {
            let holders =
                |place: &u32| self.graph.needed_by(*place).iter().filter(|(_, need)| *need == Need::Part).map(|(holder, _)| *holder).collect::<Vec<_>>();
            level = level.iter().flat_map(holders).collect();
            level.truncate(100);
            level.iter().for_each(|holder| add(*holder, Near::Holder(up)));
        }
        for (user, _) in self.graph.needed_by(place).iter().filter(|(_, need)| *need == Need::Uses) {
            add(*user, Near::User);
        }
        out.into_iter().collect()
    }

    /// Of changes on one system, oldest first, those that came before the alert.
    fn weigh(&self, changes: &[(usize, &Arc<Deed>)], near: Near, alert: &Alert, began: Time, usual: bool, shared: f64) -> Vec<Suspect> {
        let until = changes.partition_point(|(_, deed)| deed.at <= began);
        let from = changes.partition_point(|(_, deed)| deed.at.plus(REACH) < began);
        let mut habits: BTreeMap<DeedKind, Habit> = BTreeMap::new();
        let mut out = Vec::new();
        for (server, deed) in changes.get(from..until).unwrap_or_default().iter().rev().take(MOST * 2) {
            let kind = deed.kind;
            let habit = habits.entry(kind).or_insert_with(|| Habit::of(changes, kind, alert, began));
            let before = began.since(deed.at);
            let mut heavy = nearness(before) * weight(kind) * habit.factor() * shared / (1.0 + f64::from(near.steps()));
            if usual && !habit.is_one() {
                heavy /= 2.0;
            }
            out.push(Suspect {
                event: deed.event,
                at: deed.at,
                before,
                kind,
                system: deed.system.as_ref().map_or_else(String::new, |id| self.sky.name_of(*server, id)),
                title: deed.title.clone(),
                by: deed.by.name().to_owned(),
                link: deed.link.clone(),
                near,
                habit: (habit.followed, habit.episodes),
                weight: heavy,
                likely: heavy >= LIKELY,
                far: false,
            });
        }
        out
    }
}

/// How often an alert followed such changes before.
struct Habit {
    followed: u32,
    episodes: u32,
    /// The share of any moments that follow such a change.
    chance: f64,
}

impl Habit {
    fn of(changes: &[(usize, &Arc<Deed>)], kind: DeedKind, alert: &Alert, began: Time) -> Habit {
        let such: Vec<Time> = changes.iter().filter(|(_, deed)| deed.kind == kind && deed.at <= began).map(|(_, deed)| deed.at).collect();
        // What lies before the first change that is kept tells nothing of changes.
        let (Some(first), Some(last)) = (such.first(), such.last()) else { return Habit { followed: 0, episodes: 0, chance: 0.0 } };
        let follows = |at: Time| {
            let next = such.partition_point(|change| *change <= at);
            next.checked_sub(1).and_then(|before| such.get(before)).is_some_and(|change| at.since(*change) <= FOLLOWS)
        };
        let known: Vec<Time> = alert.past.iter().map(|past| past.from).filter(|from| *from >= *first && *from < began).collect();
        let followed = known.iter().filter(|at| follows(**at)).count();
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let covered = f64::from(count(such.len())) * 10.0;
        let minutes = f64::from(u32::try_from(last.since(*first).max(FOLLOWS).secs() / 60).unwrap_or(u32::MAX)).max(covered);
        Habit { followed: count(followed), episodes: count(known.len()), chance: if such.len() < 2 { 0.0 } else { covered / minutes } }
    }

    fn excess(&self) -> f64 {
        if self.episodes < 2 { 0.0 } else { (f64::from(self.followed) / f64::from(self.episodes) - self.chance).max(0.0) }
    }

    fn factor(&self) -> f64 {
        if self.episodes < 2 { 1.0 } else { 0.6 + 1.4 * self.excess() }
    }

    fn is_one(&self) -> bool {
        self.excess() >= 0.5
    }
}

/// Alertmanager's matchers on an alert's labels: a missing label is an empty one; a pattern matches the whole value.
pub fn is_about(matchers: &[SilenceMatcher], labels: &Labels) -> bool {
    !matchers.is_empty() && matchers.iter().all(|matcher| super::alerts::matches(matcher, labels))
}
