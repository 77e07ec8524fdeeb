//! The systems that the configuration declares become events when they differ from what is known.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::event::{Actor, ConfigApplied, Draft, GlossaryDeclared, SystemDeclared, SystemRemoved};
use crate::model::id::{SystemAddress, SystemId};
use crate::model::system::SystemSpec;
use crate::model::time::Time;
use crate::model::words::counted;
use crate::model::world::World;

/// What words mean here, when that is not what is known.
pub fn glossary(world: &World, words: &BTreeMap<Arc<str>, Arc<str>>, now: Time) -> Option<Draft> {
    let differs = world.glossary != *words;
    let title = if words.is_empty() { "the glossary is gone".to_owned() } else { "the glossary has new words or meanings".to_owned() };
    differs.then(|| Draft::new(now, Actor::Server, GlossaryDeclared { words: words.clone() }, title))
}

/// What the configuration says beside its systems, when that is not what is known: what differs, setting by setting.
pub fn settings(world: &World, settings: &BTreeMap<Arc<str>, Arc<str>>, now: Time) -> Option<Draft> {
    if world.settings == *settings {
        return None;
    }
    let kind = ConfigApplied { settings: settings.clone() };
    if world.settings.is_empty() {
        let title = format!("the configuration is known from here on: {}", counted(settings.len(), "setting"));
        return Some(Draft::new(now, Actor::Server, kind, title));
    }
    let mut words = Vec::new();
    for (name, value) in settings {
        match world.settings.get(name) {
            Some(before) if before == value => {}
            Some(before) => words.push(format!("{name} {} → {}", short(before), short(value))),
            None => words.push(format!("{name} is new: {}", short(value))),
        }
    }
    words.extend(world.settings.keys().filter(|name| !settings.contains_key(*name)).map(|name| format!("{name} is gone")));
    let title = format!("configuration changed: {}", listed(&words));
    let text = if words.len() > TOLD { words.iter().take(LINES).map(String::as_str).collect::<Vec<_>>().join("\n") } else { String::new() };
    Some(Draft::new(now, Actor::Server, kind, title).text(text))
}

/// What differs between two descriptions of a system, in words. Who is woken and how is not repeated.
fn differences(before: &SystemSpec, after: &SystemSpec) -> Vec<String> {
    let mut out = Vec::new();
    for (name, before, after) in
        [("title", &before.title, &after.title), ("category", &before.category, &after.category), ("owner", &before.owner, &after.owner)]
    {
        if before != after {
            out.push(format!("{name} {} → {}", short(before), short(after)));
        }
    }
    for (name, before, after) in [("uses", &before.uses, &after.uses), ("subsystems", &before.subsystems, &after.subsystems)] {
        let missing =
            |from: &[SystemAddress], of: &[SystemAddress]| from.iter().filter(|address| !of.contains(address)).map(ToString::to_string).collect::<Vec<_>>();
        out.extend(missing(after, before).into_iter().map(|address| format!("{name} {} too", short(&address))));
        out.extend(missing(before, after).into_iter().map(|address| format!("{name} {} no more", short(&address))));
    }
    for (name, differs) in [
        ("about", before.about != after.about),
        ("contacts", before.contacts != after.contacts),
        ("runbooks", before.runbooks != after.runbooks),
        ("dashboards", before.dashboards != after.dashboards),
        ("history", before.history != after.history),
    ] {
        if differs {
            out.push(format!("other {name}"));
        }
    }
    if out.is_empty() {
        out.push("in another order".to_owned());
    }
    out
}

/// Differences that a title tells, lines that a text has, and characters of a value.
const TOLD: usize = 4;
const LINES: usize = 100;
const VALUE: usize = 60;

fn listed(words: &[String]) -> String {
    let more = words.len().saturating_sub(TOLD);
    let said = words.iter().take(TOLD).map(String::as_str).collect::<Vec<_>>().join(", ");
    if more > 0 { format!("{said}, and {more} more") } else { said }
}

fn short(value: &str) -> String {
    match value.chars().count() {
        0 => "none".to_owned(),
        n if n > VALUE => value.chars().take(VALUE - 1).chain(['…']).collect(),
        _ => value.to_owned(),
    }
}

pub fn configure(world: &World, systems: &[SystemSpec], now: Time) -> Vec<Draft> {
    let mut out = Vec::new();
    for spec in systems {
        let known = world.system(&spec.id);
        if known.is_some_and(|known| known.declared && known.spec == *spec) {
            continue;
        }
        let title = match known.filter(|known| known.declared) {
            Some(known) => format!("{} is declared anew: {}", spec.id, listed(&differences(&known.spec, spec))),
            None => format!("{} is declared", spec.id),
        };
        out.push(Draft::new(now, Actor::Server, SystemDeclared { spec: spec.clone() }, title).on(spec.id.clone()));
    }
    let named: BTreeSet<&SystemId> = systems.iter().map(|spec| &spec.id).collect();
    for (id, _) in world.systems.iter().filter(|(id, system)| system.declared && !named.contains(id)) {
        out.push(Draft::new(now, Actor::Server, SystemRemoved {}, format!("{id} is no longer declared")).on(id.clone()));
    }
    if !out.is_empty() {
        let title = format!("configuration applied: {}, {} changed", counted(systems.len(), "system"), out.len());
        out.push(Draft::new(now, Actor::Server, ConfigApplied { settings: BTreeMap::new() }, title));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::Kind;
    use crate::model::fold::fold;
    use crate::model::id::{EventId, Origin};
    use crate::model::world::DeedKind;

    fn told(world: &mut World, drafts: Vec<Draft>) -> Vec<String> {
        let mut out = Vec::new();
        for draft in drafts {
            let id = EventId { origin: world.origin, incarnation: world.incarnation, sequence: world.head.next() };
            out.push(draft.title.to_string());
            fold(world, &draft.stamp(id, Time::from_secs(9)));
        }
        out
    }

    #[test]
    fn a_system_that_is_declared_anew_says_what_differs_and_nobody_s_number() {
        let mut world = World::new(Origin([1; 16]), Default::default());
        let spec = |toml: &str| toml::from_str::<SystemSpec>(toml).unwrap();
        let before = spec("id = 'shop/db'\nowner = 'web'\nuses = ['infra:dc1/ceph', 'shop/dns']\ncontacts = [{ name = 'sam', reach = '+49 1' }]");
        let after = spec("id = 'shop/db'\nowner = 'data'\nuses = ['shop/dns', 'shop/cache']\ncontacts = [{ name = 'kim', reach = '+49 2' }]");
        let first = configure(&world, &[before], Time::from_secs(1));
        told(&mut world, first);
        let drafts = configure(&world, std::slice::from_ref(&after), Time::from_secs(2));
        let titles = told(&mut world, drafts);
        assert_eq!(titles[0], "shop/db is declared anew: owner web → data, uses shop/cache too, uses infra:dc1/ceph no more, other contacts");
        assert_eq!(world.changes.iter().map(|deed| (deed.kind, deed.title.to_string())).collect::<Vec<_>>(), [(DeedKind::Configured, titles[0].clone())]);
        assert_eq!(configure(&world, &[after], Time::from_secs(3)), []);
    }

    #[test]
    fn settings_that_differ_are_said_once_and_bounded() {
        let mut world = World::new(Origin([1; 16]), Default::default());
        let of = |list: &[(&str, &str)]| list.iter().map(|(name, value)| (Arc::from(*name), Arc::from(*value))).collect::<BTreeMap<Arc<str>, Arc<str>>>();
        let mut say = |now: &BTreeMap<Arc<str>, Arc<str>>| {
            let draft = settings(&world, now, Time::from_secs(1));
            told(&mut world, draft.into_iter().collect())
        };
        let first = of(&[("rules.grace", "1m"), ("source am", "alertmanager every 15s"), ("retention.keep", "for ever")]);
        assert_eq!(say(&first), ["the configuration is known from here on: 3 settings"]);
        assert_eq!(say(&first), Vec::<String>::new());
        let second = of(&[("rules.grace", "2m"), ("source prom", "prometheus every 15s"), ("retention.keep", "for ever")]);
        assert_eq!(say(&second), ["configuration changed: rules.grace 1m → 2m, source prom is new: prometheus every 15s, source am is gone"]);
        let many: BTreeMap<Arc<str>, Arc<str>> = (0..500).map(|n| (format!("retention of {n}").into(), "x".repeat(900).into())).collect();
        let draft = settings(&world, &many, Time::from_secs(2)).unwrap();
        assert!(draft.title.len() < 500 && draft.title.ends_with("and 499 more"), "{}", draft.title);
        assert!(draft.text.lines().count() == LINES && matches!(draft.kind, Kind::ConfigApplied(_)));
        assert_eq!(world.changes.len(), 1);
    }
}
