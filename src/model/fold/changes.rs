//! What changed, as it is kept beside what people did and said: what may explain an alert that follows.

use std::sync::Arc;

use super::{deed, push_bounded};
use crate::model::event::{Change, Event, Silence};
use crate::model::id::{AgentId, AlertRef, Fingerprint};
use crate::model::observation::Facts;
use crate::model::world::{Apart, Deed, DeedKind, World};

/// Facts of a machine whose change may break something. A new address or a moved clock speed does not.
const TELLING: [&str; 9] = ["kernel", "os", "packages", "services", "memory", "cores", "disks", "boot", "time zone"];
/// Bytes of a title that is made here of what a machine says.
const LONGEST: usize = 200;

pub(super) fn deed_of(event: &Event, kind: DeedKind, alert: Option<Fingerprint>) -> Deed {
    Deed {
        event: event.id,
        at: event.at,
        kind,
        system: event.system.clone(),
        alert,
        by: event.actor.clone(),
        title: event.title.clone(),
        text: event.text.clone(),
        link: event.links.first().cloned(),
        withdrawn: false,
        matchers: Vec::new(),
    }
}

/// Something that nobody announced.
pub(super) fn changed(world: &mut World, event: &Event, kind: DeedKind) {
    push_bounded(&mut world.changes, Arc::new(deed_of(event, kind, None)), World::CHANGES);
}

/// A deployment that somebody announced, or a commit.
pub(super) fn declared(world: &mut World, event: &Event, change: &Change) {
    let (Some(repository), Some(commit)) = (&change.repository, &change.commit) else {
        deed(world, event, DeedKind::Change, None);
        return;
    };
    changed(world, event, DeedKind::Commit);
    stands(world, repository, commit);
}

/// The newest commit that was told of a repository: where its branch stands.
pub(super) fn stands(world: &mut World, repository: &Arc<str>, commit: &Arc<str>) {
    if world.epoch.is_some() {
        return;
    }
    if world.commits.len() < World::REPOSITORIES || world.commits.contains_key(repository) {
        let known = world.commits.entry(repository.clone()).or_default();
        if known.back() != Some(commit) {
            push_bounded(known, commit.clone(), World::COMMITS);
        }
    }
}

/// What differs on a machine, in one line: "packages 612 → 614". The first facts are no change.
pub(super) fn inventory(world: &mut World, event: &Event, agent: &AgentId, facts: &Facts) {
    let Some(before) = world.agents.get(agent).map(|agent| &agent.facts).filter(|before| !before.is_empty()) else { return };
    let rebooted = before.get("boot").is_some_and(|boot| facts.get("boot").is_some_and(|now| now != boot));
    let differs: Vec<String> = TELLING
        .into_iter()
        .filter(|name| *name != "boot" && before.get(*name) != facts.get(*name))
        .map(|name| format!("{name} {} → {}", short(before, name), short(facts, name)))
        .collect();
    if differs.is_empty() && !rebooted {
        return;
    }
    let mut words: Vec<String> = rebooted.then(|| format!("{agent} was started again")).into_iter().collect();
    words.extend(differs);
    let kind = if rebooted { DeedKind::Restarted } else { DeedKind::Inventory };
    let title: String = words.join(", ").chars().take(LONGEST).collect();
    let deed = Deed { title: title.into(), ..deed_of(event, kind, None) };
    push_bounded(&mut world.changes, Arc::new(deed), World::CHANGES);
}

fn short(facts: &Facts, name: &str) -> String {
    facts.get(name).map_or_else(|| "–".to_owned(), |value| value.chars().take(40).collect())
}

/// What was muted is heard again: whatever its matchers name may begin now for that reason.
pub(super) fn silence_ended(world: &mut World, event: &Event, silence: &Silence) {
    let matchers = silence.matchers.iter().take(20).cloned().collect();
    let deed = Deed { matchers, text: silence.comment.clone(), ..deed_of(event, DeedKind::SilenceEnded, None) };
    push_bounded(&mut world.changes, Arc::new(deed), World::CHANGES);
}

/// Somebody says that an alert does not come from another.
pub(super) fn apart(world: &mut World, event: &Event, alert: Fingerprint, cause: AlertRef) {
    if !world.apart.contains_key(&alert) && world.apart.len() >= World::APART {
        let oldest = world.apart.iter().min_by_key(|(_, apart)| apart.last().map(|apart| apart.at)).map(|(alert, _)| *alert);
        oldest.map(|oldest| world.apart.remove(&oldest));
    }
    let known = world.apart.entry(alert).or_default();
    known.retain(|apart| apart.cause != cause);
    if known.len() >= World::APART_EACH {
        known.remove(0);
    }
    known.push(Apart { cause, by: event.actor.clone(), at: event.at });
}

/// That is taken back.
pub(super) fn together(world: &mut World, alert: Fingerprint, cause: AlertRef) {
    if let Some(known) = world.apart.get_mut(&alert) {
        known.retain(|apart| apart.cause != cause);
        if known.is_empty() {
            world.apart.remove(&alert);
        }
    }
}
