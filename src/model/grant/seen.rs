//! A world as one reader sees it.

use std::sync::Arc;

use super::lens::{Lens, OUTLINE, plain};
use super::{Epoch, Grant, Scope};
use crate::model::event::{Actor, Condition};
use crate::model::id::SystemId;
use crate::model::labels::Labels;
use crate::model::system::SystemSpec;
use crate::model::world::{Agent, Alert, Deed, DeedKind, Open, Past, System, World};

impl World {
    /// What of this world a scope lets one see. Its large parts are shared with this one.
    pub fn seen_by(&self, scope: &Scope) -> World {
        if scope.is_all() { self.clone() } else { Lens::of(self, scope).world(self) }
    }
}

impl Lens {
    /// The world of which this lens is, restricted.
    pub fn world(&self, whole: &World) -> World {
        let scope = self.scope();
        let (mut alerts, mut systems) = (std::collections::BTreeMap::new(), std::collections::BTreeMap::new());
        if scope.rights.has(super::Right::Read) {
            systems.extend(whole.systems.iter().filter(|(id, _)| scope.names(id.as_str())).map(|(id, system)| (id.clone(), system.clone())));
        }
        for (fingerprint, alert) in &whole.alerts {
            if self.sees(&alert.system) {
                alerts.insert(*fingerprint, self.alert(alert));
            } else if self.outlines(alert.system.as_str()) {
                systems.entry(alert.system.clone()).or_insert_with(|| bare(&alert.system));
                alerts.insert(*fingerprint, Arc::new(outline(alert)));
            }
        }
        let agents = whole.agents.iter().filter(|(_, agent)| self.sees(&agent.system)).map(|(id, agent)| (id.clone(), self.agent(agent))).collect();
        let deeds = |deeds: &std::collections::VecDeque<Arc<Deed>>| deeds.iter().filter(|deed| self.sees_deed(deed)).cloned().collect();
        let everything = scope.names_all() && scope.rights.has(super::Right::Read);
        World {
            origin: whole.origin,
            incarnation: whole.incarnation,
            head: whole.head,
            epoch: Epoch::both(whole.epoch, self.mark()),
            name: whole.name.clone(),
            version: whole.version.clone(),
            known_since: whole.known_since,
            recorded: whole.recorded,
            open: whole.open.iter().filter(|alert| alerts.contains_key(*alert)).copied().collect(),
            cared: whole.cared.iter().filter(|alert| alerts.get(*alert).is_some_and(|alert| alert.care.is_some())).copied().collect(),
            sources: if everything { whole.sources.clone() } else { Default::default() },
            requests: Default::default(),
            deeds: deeds(&whole.deeds),
            changes: deeds(&whole.changes),
            commits: Default::default(),
            cleared: whole.cleared.iter().filter(|(_, alert)| alerts.contains_key(alert)).copied().collect(),
            settings: Default::default(),
            unwatched: whole.unwatched.clone(),
            apart: whole
                .apart
                .iter()
                .filter(|(alert, _)| alerts.get(alert).is_some_and(|alert| self.sees(&alert.system)))
                .map(|(a, b)| (*a, b.clone()))
                .collect(),
            glossary: whole.glossary.clone(),
            grants: whole.grants.iter().filter(|(id, _)| self.owns(**id)).map(|(id, grant)| (*id, self.grant(grant))).collect(),
            invites: Default::default(),
            lives: whole.lives.clone(),
            kept: alerts.values().map(|alert| u32::try_from(alert.past.len()).unwrap_or(u32::MAX)).fold(0, u32::saturating_add),
            systems,
            agents,
            alerts,
        }
    }

    /// An alert that is seen. What ended it may have been said of a system above, which is not.
    fn alert(&self, alert: &Arc<Alert>) -> Arc<Alert> {
        match alert.ended.as_ref().and_then(|ended| ended.above.as_ref()) {
            Some(above) if !self.sees(above) => {
                let mut alert = (**alert).clone();
                alert.ended = None;
                Arc::new(alert)
            }
            Some(_) | None => alert.clone(),
        }
    }

    /// When it was used last tells those alone who are told of each use.
    fn grant(&self, grant: &Arc<Grant>) -> Arc<Grant> {
        if grant.used.is_none() || self.is_told_of_use(grant) {
            return grant.clone();
        }
        Arc::new(Grant { used: None, ..(**grant).clone() })
    }

    fn agent(&self, agent: &Arc<Agent>) -> Arc<Agent> {
        if agent.checks.values().all(|check| self.sees(&check.system)) {
            return agent.clone();
        }
        let mut agent = (**agent).clone();
        agent.checks.retain(|_, check| self.sees(&check.system));
        Arc::new(agent)
    }

    fn sees_deed(&self, deed: &Deed) -> bool {
        match &deed.system {
            Some(system) => self.sees(system),
            // Without a system only the server's own configuration is told under this name.
            None if deed.kind == DeedKind::Configured => self.scope().is_all(),
            None => self.scope().names_all() && self.scope().rights.has(super::Right::Read),
        }
    }
}

fn bare(id: &SystemId) -> Arc<System> {
    Arc::new(System { spec: SystemSpec::bare(id.clone()), declared: false })
}

/// As the outlines of its events make it.
fn outline(alert: &Alert) -> Alert {
    let past = |past: &Past| Past { reason: plain(past.reason), by_hand: false, ..*past };
    Alert {
        system: alert.system.clone(),
        check: OUTLINE.into(),
        labels: Labels::default(),
        condition: Condition::Problem,
        severity: alert.severity,
        title: alert.title.clone(),
        text: "".into(),
        links: Vec::new(),
        expr: None,
        holders: alert.now.iter().map(|_| Actor::Server).collect(),
        flapping: false,
        now: alert.now.map(|open| Open { unrefreshed: None, ..open }),
        care: None,
        episodes: alert.episodes,
        first: alert.first,
        past: alert.past.iter().map(past).collect(),
        days: alert.days.clone(),
        ended: None,
        filled: None,
    }
}
