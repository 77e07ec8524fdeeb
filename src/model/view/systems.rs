//! Systems as a tree, each with its own state and that of what lies beneath.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Sky;
use crate::model::id::{SystemId, SystemRef};
use crate::model::observation::Facts;
use crate::model::severity::{Severity, Status};
use crate::model::time::Time;
use crate::model::world::Check;

#[derive(Clone, PartialEq, Debug)]
pub struct SystemRow {
    pub system: SystemRef,
    pub server: usize,
    pub depth: usize,
    /// The last segment below its parent, the whole id at the top.
    pub label: String,
    pub name: String,
    pub title: Arc<str>,
    pub category: Arc<str>,
    pub owner: Arc<str>,
    pub own: State,
    pub beneath: State,
    pub children: usize,
    pub declared: bool,
    pub fresh: bool,
    /// The path from the top: identity of the place in the tree, since a system may stand in several.
    pub path: Vec<SystemRef>,
}

/// What is open at one place.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct State {
    pub worst: Option<Severity>,
    pub alerts: usize,
    pub checks: usize,
    /// Agents that are silent here: their checks are unknown, not fine.
    pub silent: usize,
}

impl State {
    fn add(&mut self, other: State) {
        self.worst = self.worst.max(other.worst);
        self.alerts += other.alerts;
        self.checks += other.checks;
        self.silent += other.silent;
    }
}

/// The whole tree, depth first; what is closed is left out by the caller's `open`.
pub fn tree(sky: &Sky, open: impl Fn(&[SystemRef]) -> bool) -> Vec<SystemRow> {
    let states = states(sky);
    let children = children(sky);
    let held: BTreeSet<&SystemRef> = children.values().flatten().collect();
    let mut tops: Vec<SystemRef> = Vec::new();
    for seen in &sky.servers {
        tops.extend(seen.world.systems.keys().map(|id| SystemRef { origin: seen.world.origin, id: id.clone() }).filter(|system| !held.contains(system)));
    }
    let mut walk = Walk { sky, states: &states, children: &children, open: &open, out: Vec::new() };
    for top in &tops {
        walk.visit(top, &mut Vec::new());
    }
    walk.out
}

struct Walk<'a, F> {
    sky: &'a Sky,
    states: &'a BTreeMap<SystemRef, State>,
    children: &'a BTreeMap<SystemRef, Vec<SystemRef>>,
    open: &'a F,
    out: Vec<SystemRow>,
}

impl<F: Fn(&[SystemRef]) -> bool> Walk<'_, F> {
    fn visit(&mut self, system: &SystemRef, path: &mut Vec<SystemRef>) {
        // Loops end where they begin; a tree is not deeper than people can read.
        if path.contains(system) || path.len() > 12 || self.out.len() > 100_000 {
            return;
        }
        let Some((index, seen)) = self.sky.of_origin(system.origin) else { return };
        let parent = path.last().cloned();
        path.push(system.clone());
        let known = seen.world.system(&system.id);
        let own = self.states.get(system).copied().unwrap_or_default();
        let mut reached = BTreeSet::from([system.clone()]);
        let beneath = self.beneath(system, &mut reached);
        let none = Vec::new();
        let children = self.children.get(system).unwrap_or(&none);
        let label = match &parent {
            Some(parent) if parent.origin == system.origin && system.id.within(&parent.id) => {
                system.id.as_str().get(parent.id.as_str().len()..).unwrap_or_default().trim_start_matches('/').to_owned()
            }
            Some(_) | None => self.sky.name_of(index, &system.id),
        };
        self.out.push(SystemRow {
            system: system.clone(),
            server: index,
            depth: path.len().saturating_sub(1),
            label,
            name: self.sky.name_of(index, &system.id),
            title: known.map_or_else(|| "".into(), |s| s.spec.title.clone()),
            category: known.map_or_else(|| "".into(), |s| s.spec.category.clone()),
            owner: known.map_or_else(|| "".into(), |s| s.spec.owner.clone()),
            own,
            beneath,
            children: children.len(),
            declared: known.is_some_and(|s| s.declared),
            fresh: seen.freshness.is_live(),
            path: path.clone(),
        });
        if (self.open)(path) {
            for child in children {
                self.visit(child, path);
            }
        }
        path.pop();
    }

    fn beneath(&self, system: &SystemRef, reached: &mut BTreeSet<SystemRef>) -> State {
        let mut sum = State::default();
        for child in self.children.get(system).into_iter().flatten() {
            if reached.insert(child.clone()) {
                sum.add(self.states.get(child).copied().unwrap_or_default());
                sum.add(self.beneath(child, reached));
            }
        }
        sum
    }
}

fn states(sky: &Sky) -> BTreeMap<SystemRef, State> {
    let mut out: BTreeMap<SystemRef, State> = BTreeMap::new();
    for seen in &sky.servers {
        let at = |id: &SystemId| SystemRef { origin: seen.world.origin, id: id.clone() };
        for (_, alert) in seen.world.open_alerts() {
            let state = out.entry(at(&alert.system)).or_default();
            state.worst = state.worst.max(Some(alert.severity));
            state.alerts += 1;
        }
        for agent in seen.world.agents.values() {
            if agent.silent_since.is_some() {
                out.entry(at(&agent.system)).or_default().silent += 1;
            }
            for check in agent.checks.values() {
                out.entry(at(&check.system)).or_default().checks += 1;
            }
        }
    }
    out
}

/// Declared subsystems, and what stands beneath by name where nobody declared where it belongs.
fn children(sky: &Sky) -> BTreeMap<SystemRef, Vec<SystemRef>> {
    let mut out: BTreeMap<SystemRef, Vec<SystemRef>> = BTreeMap::new();
    let mut declared: BTreeSet<SystemRef> = BTreeSet::new();
    for (index, seen) in sky.servers.iter().enumerate() {
        for (id, system) in &seen.world.systems {
            let parent = SystemRef { origin: seen.world.origin, id: id.clone() };
            for child in system.spec.subsystems.iter().filter_map(|address| sky.resolve(index, address)) {
                if child != parent {
                    declared.insert(child.clone());
                    out.entry(parent.clone()).or_default().push(child);
                }
            }
        }
    }
    for seen in &sky.servers {
        let origin = seen.world.origin;
        for id in seen.world.systems.keys() {
            let child = SystemRef { origin, id: id.clone() };
            let mut name = id.as_str();
            while let Some((above, _)) = name.rsplit_once('/') {
                name = above;
                if let Some((above, _)) = above.parse().ok().and_then(|above: SystemId| seen.world.systems.get_key_value(&above)) {
                    let parent = SystemRef { origin, id: above.clone() };
                    let list = out.entry(parent).or_default();
                    if !declared.contains(&child) && !list.contains(&child) {
                        list.push(child.clone());
                    }
                    break;
                }
            }
        }
    }
    for list in out.values_mut() {
        list.sort();
        list.dedup();
    }
    out
}

/// One check of one agent, for a system's detail.
#[derive(Clone, PartialEq, Debug)]
pub struct CheckLine {
    pub agent: String,
    pub check: String,
    pub status: Status,
    pub hard: bool,
    pub since: Time,
    pub text: Arc<str>,
    /// The agent is silent: this is how it was.
    pub silent: bool,
}

/// What a system's own detail shows: its checks and the facts of the machines that report on it.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Inside {
    pub checks: Vec<CheckLine>,
    pub machines: Vec<(String, Facts)>,
    pub uses: Vec<String>,
    pub used_by: Vec<String>,
}

pub fn inside(sky: &Sky, system: &SystemRef) -> Inside {
    let mut out = Inside::default();
    let Some((index, seen)) = sky.of_origin(system.origin) else { return out };
    for (id, agent) in &seen.world.agents {
        let silent = agent.silent_since.is_some();
        for (check, Check { status, hard, since, text, .. }) in agent.checks.iter().filter(|(_, check)| check.system == system.id) {
            out.checks.push(CheckLine {
                agent: id.to_string(),
                check: check.to_string(),
                status: *status,
                hard: *hard,
                since: *since,
                text: text.clone(),
                silent,
            });
        }
        if agent.system == system.id && !agent.facts.is_empty() {
            out.machines.push((id.to_string(), agent.facts.clone()));
        }
    }
    out.checks.sort_by(|a, b| b.status.cmp(&a.status).then_with(|| (&a.agent, &a.check).cmp(&(&b.agent, &b.check))));
    if let Some(known) = seen.world.system(&system.id) {
        out.uses = known
            .spec
            .uses
            .iter()
            .map(|address| {
                sky.resolve(index, address)
                    .and_then(|s| sky.of_origin(s.origin).map(|(i, _)| sky.name_of(i, &s.id)))
                    .unwrap_or_else(|| format!("{address} (not seen)"))
            })
            .collect();
    }
    for (other_index, other) in sky.servers.iter().enumerate() {
        for (id, known) in &other.world.systems {
            if known.spec.uses.iter().any(|address| sky.resolve(other_index, address).as_ref() == Some(system)) {
                out.used_by.push(sky.name_of(other_index, id));
            }
        }
    }
    out
}
