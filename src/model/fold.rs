//! Events to world. Never fails, never refuses, reads no clock and no threshold.
//!
//! An event counts once: its sequence must lie beyond the world's head. A later incarnation goes on
//! from where the log was cut; an earlier one is history and changes nothing.

mod changes;
mod trust;

use std::collections::VecDeque;
use std::sync::Arc;

use super::episode::{close, count_day, fill};
use super::event::{
    Actor, AgentJoined, AgentReturned, AgentSilent, AlertAcknowledged, AlertAssigned, AlertChanged, AlertCleared, AlertFlapping, AlertHeld, AlertOpened,
    AlertRefreshed, AlertReleased, AlertSettled, AlertSnoozed, AlertUnacknowledged, AlertUnrefreshed, AlertUnsnoozed, CauseDenied, CauseRestored, CheckChanged,
    CheckRemoved, ClearReason, ConfigApplied, Event, GlossaryDeclared, InventoryChanged, Kind, LogRestored, Note, NoteWithdrawn, RepositoryFollowed,
    RepositoryRewritten, SilenceGone, SilenceSeen, SourceFailed, SourcePast, SourceRecovered, SystemDeclared, Unwatched,
};
use super::id::{EventId, Fingerprint, SystemId};
use super::system::SystemSpec;
use super::time::Span;
use super::world::{Ack, Agent, Alert, Assigned, Care, Check, DeedKind, Open, Snooze, System, World};

/// How far back an event may lie and still count as what is known.
const PLAUSIBLE: Span = Span::from_days(1_000);

/// Folds one event of the world's own origin; an event that was already folded changes nothing.
pub fn fold(world: &mut World, event: &Event) {
    if event.id.origin != world.origin || event.id.incarnation < world.incarnation {
        return;
    }
    if event.id.incarnation > world.incarnation {
        // Sequences go on over a restore; a cut-back log may begin below what was known.
        world.lives.push((world.incarnation, world.head));
        world.incarnation = event.id.incarnation;
    } else if event.id.sequence <= world.head {
        return;
    }
    world.head = event.id.sequence;
    world.recorded = world.recorded.max(event.recorded);
    // A clock that stood in 1970 does not make us know half a century.
    // A source's word that something began long ago does not make us have watched since then.
    // Nor does a commit that is older than its repository's first mention here.
    let told = match (&event.kind, &event.actor) {
        (Kind::AlertOpened(_) | Kind::AlertPast(_), Actor::Source(_)) | (Kind::SourcePast(_), _) => true,
        (Kind::Change(change), _) => change.repository.is_some(),
        _ => false,
    };
    let since = if told { event.recorded } else { event.at };
    if since.plus(PLAUSIBLE) >= event.recorded && world.known_since.is_none_or(|known| since < known) {
        world.known_since = Some(since);
    }
    // What keeps things from being done twice is its own server's affair: no reader's.
    if let Some(request) = event.request.filter(|_| world.epoch.is_none()) {
        Arc::make_mut(&mut world.requests).insert(request);
    }
    // That a source failed is told by an alert too, which not everybody is shown the source of.
    if let Some(system) = &event.system
        && !matches!(event.kind, Kind::SourceFailed(_) | Kind::SourceRecovered(_))
        && !world.systems.contains_key(system)
    {
        world.systems.insert(system.clone(), Arc::new(System { spec: SystemSpec::bare(system.clone()), declared: false }));
    }
    apply(world, event);
}

fn apply(world: &mut World, event: &Event) {
    match &event.kind {
        Kind::ServerStarted(started) => {
            world.name = started.name.clone();
            world.version = started.version.clone();
        }
        Kind::ServerStopped(_) | Kind::LogLine(_) | Kind::PeerRestored(_) | Kind::PeerMissed(_) | Kind::PeerMalformed(_) => {}
        Kind::TrustRefused(_) | Kind::TrustUsed(_) => {}
        Kind::TrustInvited(said) => trust::invited(world, event, said),
        Kind::TrustGranted(said) => trust::granted(world, event, said),
        Kind::TrustRevoked(said) => trust::revoked(world, event, said),
        Kind::TrustExpired(said) => trust::expired(world, event, said),
        Kind::TrustAdmitted(said) => trust::admitted(world, event, said),
        Kind::TrustKeyAdded(said) => trust::key_added(world, event, said),
        Kind::TrustKeyRemoved(said) => trust::key_removed(world, event, said),
        Kind::ConfigApplied(ConfigApplied { settings }) => {
            if !settings.is_empty() {
                // The first that is known is no change.
                if !world.settings.is_empty() && world.settings != *settings {
                    changes::changed(world, event, DeedKind::Configured);
                }
                world.settings = settings.iter().take(World::SETTINGS).map(|(name, value)| (name.clone(), value.clone())).collect();
            }
        }
        Kind::Other(other) => {
            if &*other.kind == "action" || other.kind.starts_with("action.") {
                changes::changed(world, event, DeedKind::Action);
            }
        }
        Kind::Unwatched(Unwatched { from, until }) => push_bounded(&mut world.unwatched, (*from, *until), World::UNWATCHED),
        Kind::LogRestored(LogRestored { before, head }) => {
            if world.lives.last().is_none_or(|life| life.0 != *before) {
                world.lives.push((*before, *head));
            }
        }
        Kind::SystemDeclared(SystemDeclared { spec }) => {
            if world.system(&spec.id).is_some_and(|known| known.declared) {
                changes::changed(world, event, DeedKind::Configured);
            }
            world.systems.insert(spec.id.clone(), Arc::new(System { spec: spec.clone(), declared: true }));
        }
        Kind::SystemRemoved(_) => {
            if let Some(system) = &event.system {
                let held = world.alerts.values().any(|alert| alert.is_open() && alert.system == *system);
                if held {
                    world.systems.insert(system.clone(), Arc::new(System { spec: SystemSpec::bare(system.clone()), declared: false }));
                } else {
                    world.systems.remove(system);
                }
            }
        }
        Kind::GlossaryDeclared(GlossaryDeclared { words }) => {
            world.glossary = words.iter().take(World::WORDS).map(|(word, meaning)| (word.clone(), meaning.clone())).collect()
        }
        Kind::AgentJoined(joined) => agent_joined(world, event, joined),
        Kind::AgentSilent(AgentSilent { agent, last }) => {
            if let Some(agent) = world.agents.get_mut(agent) {
                Arc::make_mut(agent).silent_since = Some(*last);
            }
        }
        Kind::AgentReturned(AgentReturned { agent, .. }) => {
            if let Some(agent) = world.agents.get_mut(agent) {
                Arc::make_mut(agent).silent_since = None;
            }
        }
        Kind::InventoryChanged(InventoryChanged { agent, facts, .. }) => {
            changes::inventory(world, event, agent, facts);
            if let Some(agent) = world.agents.get_mut(agent) {
                Arc::make_mut(agent).facts = facts.clone();
            }
        }
        Kind::CheckChanged(changed) => check_changed(world, event, changed),
        Kind::CheckRemoved(CheckRemoved { agent, check }) => {
            if let Some(agent) = world.agents.get_mut(agent) {
                Arc::make_mut(agent).checks.remove(check);
            }
        }
        Kind::AlertOpened(opened) => alert_opened(world, event, opened),
        Kind::AlertChanged(AlertChanged { alert, .. }) => with_open(world, *alert, |alert| {
            alert.severity = event.severity;
            alert.title = event.title.clone();
            if !event.text.is_empty() {
                alert.text = event.text.clone();
            }
            count_day(alert, event.at, 0, event.severity);
        }),
        Kind::AlertHeld(AlertHeld { alert, by }) => with_open(world, *alert, |alert| {
            if !alert.holders.contains(by) {
                alert.holders.push(by.clone());
            }
        }),
        Kind::AlertReleased(AlertReleased { alert, by }) => with_open(world, *alert, |alert| alert.holders.retain(|holder| holder != by)),
        Kind::AlertUnrefreshed(AlertUnrefreshed { alert, last }) => with_open(world, *alert, |alert| {
            if let Some(open) = &mut alert.now {
                open.unrefreshed = Some(*last);
            }
        }),
        Kind::AlertRefreshed(AlertRefreshed { alert }) => with_open(world, *alert, |alert| {
            if let Some(open) = &mut alert.now {
                open.unrefreshed = None;
            }
        }),
        Kind::AlertCleared(AlertCleared { alert, reason }) => {
            world.open.remove(alert);
            close(world, *alert, event.at, *reason, Some(event));
            if *reason != ClearReason::Removed {
                push_bounded(&mut world.cleared, (event.at, *alert), World::CLEARED);
            }
            if *reason == ClearReason::Resolved {
                deed(world, event, DeedKind::Resolved, Some(*alert));
            }
        }
        Kind::AlertPast(past) => {
            if let Some(system) = &event.system {
                let system = shared(world, system);
                fill(world, event, &system, past);
            }
        }
        Kind::SourcePast(SourcePast { source, filled }) => {
            world.sources.entry(source.clone()).or_default().filled = Some(filled.clone());
        }
        Kind::AlertFlapping(AlertFlapping { alert, .. }) => with_alert(world, *alert, |alert| alert.flapping = true),
        Kind::AlertSettled(AlertSettled { alert }) => with_alert(world, *alert, |alert| alert.flapping = false),
        Kind::AlertAcknowledged(AlertAcknowledged { alert, episode }) => {
            care(world, *alert, Some(*episode), |care| care.ack = Some(Ack { by: event.actor.clone(), at: event.at, note: event.text.clone() }));
            deed(world, event, DeedKind::Acknowledged, Some(*alert));
        }
        Kind::AlertUnacknowledged(AlertUnacknowledged { alert, .. }) => care(world, *alert, None, |care| care.ack = None),
        Kind::AlertSnoozed(AlertSnoozed { alert, episode, until }) => {
            care(world, *alert, Some(*episode), |care| care.snooze = Some(Snooze { by: event.actor.clone(), at: event.at, until: *until }));
            deed(world, event, DeedKind::Snoozed, Some(*alert));
        }
        Kind::AlertUnsnoozed(AlertUnsnoozed { alert, .. }) => care(world, *alert, None, |care| care.snooze = None),
        Kind::AlertAssigned(AlertAssigned { alert, episode, to }) => {
            let assigned = to.as_ref().map(|to| Assigned { to: to.clone(), by: event.actor.clone(), at: event.at });
            let only_for = assigned.is_some().then_some(*episode);
            care(world, *alert, only_for, |care| care.assigned = assigned);
            if to.is_some() {
                deed(world, event, DeedKind::Assigned, Some(*alert));
            }
        }
        Kind::Note(Note { alert, .. }) => deed(world, event, DeedKind::Note, *alert),
        Kind::NoteWithdrawn(NoteWithdrawn { note }) => {
            for deed in &mut world.deeds {
                if deed.event == *note {
                    Arc::make_mut(deed).withdrawn = true;
                }
            }
        }
        Kind::Change(change) => changes::declared(world, event, change),
        Kind::RepositoryFollowed(RepositoryFollowed { repository, commit }) => changes::stands(world, repository, commit),
        Kind::RepositoryRewritten(RepositoryRewritten { repository, commit }) => {
            changes::changed(world, event, DeedKind::Commit);
            changes::stands(world, repository, commit);
        }
        Kind::CauseDenied(CauseDenied { alert, cause, .. }) => {
            changes::apart(world, event, *alert, *cause);
            deed(world, event, DeedKind::Apart, Some(*alert));
        }
        Kind::CauseRestored(CauseRestored { alert, cause }) => changes::together(world, *alert, *cause),
        Kind::SourceFailed(SourceFailed { source }) => {
            world.sources.entry(source.clone()).or_default().failing_since.get_or_insert(event.at);
        }
        Kind::SourceRecovered(SourceRecovered { source }) => world.sources.entry(source.clone()).or_default().failing_since = None,
        Kind::SilenceSeen(SilenceSeen { source, silence }) => {
            world.sources.entry(source.clone()).or_default().silences.insert(silence.id.clone(), silence.clone());
        }
        Kind::SilenceGone(SilenceGone { source, silence }) => {
            let gone = world.sources.entry(source.clone()).or_default().silences.remove(silence);
            if let Some(silence) = gone {
                changes::silence_ended(world, event, &silence);
            }
        }
    }
}

fn agent_joined(world: &mut World, event: &Event, joined: &AgentJoined) {
    let Some(system) = event.system.clone() else { return };
    let again = world.agents.get(&joined.agent).cloned();
    if again.as_ref().is_some_and(|agent| agent.version != joined.version) {
        deed(world, event, DeedKind::Restarted, None);
    }
    let agent = match again {
        Some(agent) => Agent { system, version: joined.version.clone(), keepalive: joined.keepalive, silent_since: None, ..(*agent).clone() },
        None => Agent {
            system,
            version: joined.version.clone(),
            joined: event.at,
            keepalive: joined.keepalive,
            silent_since: None,
            facts: Default::default(),
            checks: Default::default(),
        },
    };
    world.agents.insert(joined.agent.clone(), Arc::new(agent));
}

fn check_changed(world: &mut World, event: &Event, changed: &CheckChanged) {
    let (Some(agent), Some(system)) = (world.agents.get_mut(&changed.agent), &event.system) else { return };
    let check = Check {
        system: system.clone(),
        status: changed.status,
        hard: changed.hard,
        since: event.at,
        text: event.text.lines().next().unwrap_or(&event.title).into(),
    };
    Arc::make_mut(agent).checks.insert(changed.check.clone(), check);
}

fn alert_opened(world: &mut World, event: &Event, opened: &AlertOpened) {
    let Some(system) = &event.system else { return };
    let system = shared(world, system);
    // A primary never opens twice; a log that lost its closing event does. The newer word counts.
    close(world, opened.alert, event.at, ClearReason::Absent, None);
    let known = world.alerts.entry(opened.alert);
    let alert = known.or_insert_with(|| Arc::new(Alert::told_by(event, system.clone(), opened.check.clone(), opened.condition)));
    let alert = Arc::make_mut(alert);
    alert.system = system;
    alert.labels = event.labels.clone();
    alert.condition = opened.condition;
    alert.severity = event.severity;
    alert.title = event.title.clone();
    alert.text = event.text.clone();
    alert.links = event.links.clone();
    alert.expr = opened.expr.clone();
    alert.holders = vec![opened.by.clone()];
    alert.now = Some(Open { episode: event.id, since: event.at, heard: Some(event.recorded), unrefreshed: None });
    alert.episodes = alert.episodes.saturating_add(1);
    alert.first = alert.first.min(event.at);
    if let Some(care) = &mut alert.care {
        care.cleared = None;
    }
    count_day(alert, event.at, 1, event.severity);
    world.open.insert(opened.alert);
}

/// The alerts of a system share its name; what a message brings along is a copy for each.
fn shared(world: &World, system: &SystemId) -> SystemId {
    world.systems.get_key_value(system).map_or(system, |(known, _)| known).clone()
}

fn with_alert(world: &mut World, alert: Fingerprint, change: impl FnOnce(&mut Alert)) {
    if let Some(alert) = world.alerts.get_mut(&alert) {
        change(Arc::make_mut(alert));
    }
}

fn with_open(world: &mut World, alert: Fingerprint, change: impl FnOnce(&mut Alert)) {
    with_alert(world, alert, |alert| {
        if alert.is_open() {
            change(alert);
        }
    });
}

/// Changes the care of an alert; with `only_for`, only while that episode is the open one.
fn care(world: &mut World, fingerprint: Fingerprint, only_for: Option<EventId>, change: impl FnOnce(&mut Care)) {
    let Some(alert) = world.alerts.get_mut(&fingerprint) else { return };
    if only_for.is_some() && alert.now.map(|open| open.episode) != only_for {
        return;
    }
    let alert = Arc::make_mut(alert);
    let mut held = alert.care.take().unwrap_or_default();
    change(&mut held);
    if held.is_empty() {
        world.cared.remove(&fingerprint);
    } else {
        alert.care = Some(held);
        world.cared.insert(fingerprint);
    }
}

fn deed(world: &mut World, event: &Event, kind: DeedKind, alert: Option<Fingerprint>) {
    let deed = changes::deed_of(event, kind, alert);
    push_bounded(&mut world.deeds, Arc::new(deed), World::DEEDS);
}

fn push_bounded<T>(list: &mut VecDeque<T>, item: T, most: usize) {
    if list.len() >= most {
        list.pop_front();
    }
    list.push_back(item);
}
