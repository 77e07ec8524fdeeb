//! From events to stories: what each alert did in the span, and all else by who or what it is about.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Ask, Known};
use crate::model::event::{AlertAssigned, AlertCleared, AlertOpened, AlertSnoozed, ClearReason, Condition, Event, Kind};
use crate::model::id::{CheckId, EventId, Fingerprint, SystemId};
use crate::model::severity::Severity;
use crate::model::time::Time;
use crate::model::view::Sky;
use crate::model::world::{Alert, World};

/// One alert of one server in the span.
#[derive(Clone, Debug)]
pub(super) struct Story {
    pub server: usize,
    pub alert: Fingerprint,
    pub system: SystemId,
    pub check: CheckId,
    pub title: Arc<str>,
    pub condition: Condition,
    pub worst: Severity,
    /// At least one, oldest first; only the last may be open.
    pub episodes: Vec<Episode>,
    /// All its events in the span, and the one that opened it before, where that is known.
    pub events: Vec<EventId>,
    pub flapping: bool,
    pub care: Cared,
}

#[derive(Clone, Debug)]
pub(super) struct Episode {
    /// None: before the span, nobody knows when.
    pub from: Option<Time>,
    pub opened: Option<EventId>,
    pub over: Option<Over>,
}

#[derive(Clone, Debug)]
pub(super) struct Over {
    pub at: Time,
    pub id: EventId,
    pub reason: ClearReason,
    /// Who said so.
    pub by: Arc<str>,
}

/// What people did about it in the span, and who has it at its end.
#[derive(Clone, Debug, Default)]
pub(super) struct Cared {
    pub who: Option<(Arc<str>, Time)>,
    pub snoozed: Option<(Arc<str>, Time)>,
    /// Everybody who acted on it, once each, in order of time.
    pub people: Vec<Arc<str>>,
}

impl Story {
    pub fn is_open(&self) -> bool {
        self.episodes.last().is_some_and(|last| last.over.is_none())
    }

    /// When the first of its episodes began; the span's start when that is not known.
    pub fn began(&self, from: Time) -> Time {
        self.episodes.first().and_then(|first| first.from).unwrap_or(from)
    }

    /// One event that stands for it: its first. Nothing happened to one that was open all the time and ended
    /// after the span; then a name that no event bears.
    pub fn token(&self) -> EventId {
        self.events.first().copied().unwrap_or_default()
    }
}

#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub stories: Vec<Story>,
    /// Events that belong to no alert, in order.
    pub others: Vec<(usize, Arc<Event>)>,
}

pub(super) fn gather(sky: &Sky, known: &[Known], ask: &Ask) -> Gathered {
    let mut out = Gathered::default();
    for (server, seen) in sky.servers.iter().enumerate() {
        let mut events: BTreeMap<EventId, &Arc<Event>> = BTreeMap::new();
        for event in known.get(server).map(|known| known.events.as_slice()).unwrap_or_default() {
            if event.at >= ask.from && event.at < ask.until && event.id.origin == seen.world.origin {
                events.insert(event.id, event);
            }
        }
        // In the order of the log, which is the order of causes; clocks may disagree.
        let mut alerts: BTreeMap<Fingerprint, Vec<&Arc<Event>>> = BTreeMap::new();
        let withdrawn: BTreeSet<EventId> =
            events.values().filter_map(|event| if let Kind::NoteWithdrawn(gone) = &event.kind { Some(gone.note) } else { None }).collect();
        for event in events.values() {
            match event.alert() {
                Some(_) if matches!(event.kind, Kind::Note(_)) && event.severity < Severity::Warning => {
                    if !withdrawn.contains(&event.id) {
                        out.others.push((server, (*event).clone()));
                    }
                }
                Some(alert) => alerts.entry(alert).or_default().push(event),
                None => out.others.push((server, (*event).clone())),
            }
        }
        let quiet: Vec<Fingerprint> = seen.world.alerts.iter().filter(|(id, alert)| !alerts.contains_key(id) && lasts(alert, ask)).map(|(id, _)| *id).collect();
        for alert in quiet {
            alerts.insert(alert, Vec::new());
        }
        for (alert, events) in alerts {
            match story(server, &seen.world, alert, &events, ask) {
                Some(story) => out.stories.push(story),
                // A care that ended, a lease that was renewed: nothing began, ended or lasted that we know of.
                None => out.others.extend(events.iter().map(|event| (server, (*event).clone()))),
            }
        }
    }
    absorb(&mut out);
    out.others.sort_by_key(|(server, event)| (event.at, event.id, *server));
    out
}

/// What an alert already tells is not told twice: a check's own events, an agent's silence, a source's failure.
fn absorb(gathered: &mut Gathered) {
    let mut by_system: BTreeMap<(usize, SystemId), Vec<usize>> = BTreeMap::new();
    for (place, story) in gathered.stories.iter().enumerate() {
        by_system.entry((story.server, story.system.clone())).or_default().push(place);
    }
    let (stories, others) = (&mut gathered.stories, &mut gathered.others);
    others.retain(|(server, event)| {
        let Some(system) = &event.system else { return true };
        let here = by_system.get(&(*server, system.clone())).map(Vec::as_slice).unwrap_or_default();
        let tells = |story: &Story| match &event.kind {
            Kind::CheckChanged(changed) => story.check == changed.check,
            Kind::AgentSilent(_) | Kind::AgentReturned(_) => story.condition == Condition::Silent,
            Kind::SourceFailed(_) | Kind::SourceRecovered(_) => story.condition == Condition::Unreachable,
            _ => false,
        };
        let found = here.iter().copied().find(|place| stories.get(*place).is_some_and(&tells));
        if let Some(story) = found.and_then(|place| stories.get_mut(place))
            && let Err(place) = story.events.binary_search(&event.id)
        {
            story.events.insert(place, event.id);
        }
        found.is_none()
    });
}

/// It was open from before the span to beyond it, without a word.
fn lasts(alert: &Alert, ask: &Ask) -> bool {
    alert.now.is_some_and(|open| open.since < ask.from) || alert.past.iter().any(|past| past.from < ask.from && past.until >= ask.until)
}

fn story(server: usize, world: &World, id: Fingerprint, events: &[&Arc<Event>], ask: &Ask) -> Option<Story> {
    let known = world.alert(id);
    let opening = events.iter().find_map(|event| if let Kind::AlertOpened(opened) = &event.kind { Some((event, opened)) } else { None });
    let (system, check, condition, mut title) = match (known, opening) {
        (Some(alert), _) => (alert.system.clone(), alert.check.clone(), alert.condition, alert.title.clone()),
        (None, Some((event, opened))) => (event.system.clone()?, opened.check.clone(), opened.condition, event.title.clone()),
        (None, None) => return None,
    };
    let mut episodes: Vec<Episode> = Vec::new();
    let mut open = before(known, events, ask);
    let (mut flapping, mut care, mut worst) = (false, Cared::default(), Severity::Debug);
    for event in events {
        worst = if matches!(event.kind, Kind::AlertOpened(_) | Kind::AlertPast(_) | Kind::AlertChanged(_) | Kind::AlertFlapping(_)) {
            worst.max(event.severity)
        } else {
            worst
        };
        person(&mut care, event);
        match &event.kind {
            Kind::AlertOpened(AlertOpened { .. }) => {
                title = event.title.clone();
                if let Some(unended) = open.take() {
                    episodes.push(Episode {
                        over: Some(Over { at: event.at, id: event.id, reason: ClearReason::Absent, by: event.actor.name().into() }),
                        ..unended
                    });
                }
                open = Some(Episode { from: Some(event.at), opened: Some(event.id), over: None });
            }
            Kind::AlertChanged(_) if !event.title.is_empty() => title = event.title.clone(),
            Kind::AlertCleared(AlertCleared { reason, .. }) => {
                let episode = open.take().unwrap_or(Episode { from: None, opened: None, over: None });
                episodes.push(Episode { over: Some(Over { at: event.at, id: event.id, reason: *reason, by: event.actor.name().into() }), ..episode });
            }
            // Its source remembers it; nobody watched it here.
            Kind::AlertPast(past) => {
                let over = Over { at: past.until, id: event.id, reason: ClearReason::Recovered, by: event.actor.name().into() };
                episodes.push(Episode { from: Some(event.at), opened: Some(event.id), over: Some(over) });
            }
            Kind::AlertFlapping(_) => flapping = true,
            _ => {}
        }
    }
    let opened_before = open.as_ref().filter(|episode| episode.from.is_some_and(|from| from < ask.from)).and_then(|episode| episode.opened);
    episodes.extend(open);
    if episodes.is_empty() {
        return None;
    }
    if let Some(alert) = known
        && worst == Severity::Debug
    {
        let then = alert.past.iter().find(|past| past.from < ask.until && past.until >= ask.from).map(|past| past.severity);
        worst = then.unwrap_or(alert.severity);
    }
    if let Some(alert) = known.filter(|alert| alert.is_open() && ask.until >= ask.now) {
        now_has(&mut care, alert);
    }
    let ids: BTreeSet<EventId> = opened_before.into_iter().chain(events.iter().map(|event| event.id)).collect();
    Some(Story { server, alert: id, system, check, title, condition, worst, episodes, events: ids.into_iter().collect(), flapping, care })
}

/// The episode that the span found open, if its first word is not that it opened.
fn before(known: Option<&Alert>, events: &[&Arc<Event>], ask: &Ask) -> Option<Episode> {
    let first = events.iter().find(|event| matches!(event.kind, Kind::AlertOpened(_) | Kind::AlertCleared(_)));
    if let Some(open) = known.and_then(|alert| alert.now).filter(|open| open.since < ask.from)
        && first.is_none_or(|first| first.id > open.episode)
    {
        return Some(Episode { from: Some(open.since), opened: Some(open.episode), over: None });
    }
    let ends = first.filter(|first| matches!(first.kind, Kind::AlertCleared(_))).map(|first| first.at);
    if first.is_some() && ends.is_none() {
        return None;
    }
    let past = known?.past.iter().find(|past| past.from < ask.from && ends.map_or(past.until >= ask.until, |at| past.until == at))?;
    Some(Episode { from: Some(past.from), opened: None, over: None })
}

/// What a person did about it.
fn person(care: &mut Cared, event: &Event) {
    let crate::model::event::Actor::User(user) = &event.actor else {
        if matches!(event.kind, Kind::AlertUnacknowledged(_)) {
            care.who = None;
        }
        if matches!(event.kind, Kind::AlertUnsnoozed(_)) {
            care.snoozed = None;
        }
        return;
    };
    let name: Arc<str> = user.as_str().into();
    if !care.people.contains(&name) {
        care.people.push(name.clone());
    }
    match &event.kind {
        Kind::AlertAcknowledged(_) => care.who = Some((name, event.at)),
        Kind::AlertAssigned(AlertAssigned { to: Some(to), .. }) => care.who = Some((to.as_str().into(), event.at)),
        Kind::AlertAssigned(AlertAssigned { to: None, .. }) | Kind::AlertUnacknowledged(_) => care.who = None,
        Kind::AlertSnoozed(AlertSnoozed { until, .. }) => care.snoozed = Some((name, *until)),
        Kind::AlertUnsnoozed(_) => care.snoozed = None,
        _ => {}
    }
}

/// Who has it now, though they took it before the span.
fn now_has(care: &mut Cared, alert: &Alert) {
    if care.who.is_none() {
        let assigned = alert.assigned().map(|assigned| (Arc::from(assigned.to.as_str()), assigned.at));
        care.who = assigned.or_else(|| alert.ack().map(|ack| (Arc::from(ack.by.name()), ack.at)));
    }
    if care.snoozed.is_none() {
        care.snoozed = alert.snooze().map(|snooze| (Arc::from(snooze.by.name()), snooze.until));
    }
}
