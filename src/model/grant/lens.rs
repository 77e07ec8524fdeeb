//! What of each event one reader is shown, as the log goes on.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Epoch, Grant, Key, Right, Scope, Who};
use crate::model::event::{
    Actor, AgentJoined, AlertCleared, AlertOpened, AlertPast, CheckChanged, CheckRemoved, ClearReason, Condition, Event, Kind, ServerStarted, SystemDeclared,
    TrustExpired, TrustKeyAdded, TrustKeyRemoved, TrustRevoked,
};
use crate::model::id::{AgentId, CheckId, GrantId, Sequence, SystemId};
use crate::model::labels::Labels;
use crate::model::system::SystemSpec;
use crate::model::world::World;

/// What the outline of an alert has in place of its check.
pub(super) const OUTLINE: &str = "outline";

/// The kinds of which outlines are made.
const OUTLINED: [&str; 4] = ["alert.opened", "alert.changed", "alert.cleared", "alert.past"];

/// What is told to those whose key it is about.
const OWN: [&str; 8] =
    ["trust.granted", "trust.revoked", "trust.expired", "trust.admitted", "trust.refused", "trust.used", "trust.key-added", "trust.key-removed"];

/// What is known of an event by its system and kind alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Glance {
    /// It is shown as it is.
    Whole,
    /// It has to be looked into: [`Lens::project`] says.
    Perhaps,
    Nothing,
}

/// A scope applied to a world: remembers of it what one event alone does not say.
#[derive(Clone, Debug)]
pub struct Lens {
    scope: Arc<Scope>,
    /// What marks the worlds that it shows, beside their own marks.
    mark: Option<Epoch>,
    /// Whose it is: what concerns their keys they see.
    own: Option<Own>,
    /// The last event of that world.
    head: Sequence,
    /// As the server calls itself: its systems' addresses may name it.
    name: Arc<str>,
    /// What each system that is seen uses on its own server.
    uses: BTreeMap<SystemId, BTreeSet<Arc<str>>>,
    used: BTreeSet<Arc<str>>,
    /// The agents that are known, and whether they are seen; of those, the checks that are.
    agents: BTreeMap<AgentId, bool>,
    checks: BTreeSet<(AgentId, CheckId)>,
}

/// One who came by a key.
#[derive(Clone, Debug)]
struct Own {
    /// That one, and what else is the same person's.
    keys: BTreeSet<Key>,
    /// What those are for.
    grants: BTreeSet<GrantId>,
    /// As whom a person has them.
    name: Option<Arc<str>>,
}

impl Own {
    fn of(world: &World, key: Key) -> Own {
        let held = world.grants.values().filter(|grant| grant.has(&key) || grant.lost(&key).is_some());
        let name = held.clone().find(|grant| grant.ended.is_none() && grant.who == Who::Person && grant.has(&key)).map(|grant| grant.name.clone());
        let mut own = Own { keys: [key.clone()].into(), grants: held.map(|grant| grant.id).collect(), name };
        let grants: Vec<&Arc<Grant>> = world.grants.values().filter(|grant| grant.has(&key) || own.is_their(grant)).collect();
        for grant in grants {
            own.takes(grant);
        }
        own
    }

    /// Another grant of the same person.
    fn is_their(&self, grant: &Grant) -> bool {
        grant.ended.is_none() && grant.who == Who::Person && self.name.as_ref() == Some(&grant.name)
    }

    fn takes(&mut self, grant: &Grant) {
        self.grants.insert(grant.id);
        self.keys.extend(grant.keys().cloned());
        self.keys.extend(grant.lost.iter().map(|lost| lost.key.clone()));
    }
}

/// What of an event is shown to whoever has this scope, in this world.
pub fn project<'e>(world: &World, scope: &Scope, event: &'e Event) -> Option<Cow<'e, Event>> {
    if scope.is_all() { Some(Cow::Borrowed(event)) } else { Lens::of(world, scope).project(event) }
}

impl Lens {
    pub fn of(world: &World, scope: &Scope) -> Lens {
        let mut lens = Lens {
            scope: Arc::new(scope.clone()),
            mark: scope.epoch(),
            own: None,
            head: world.head,
            name: world.name.clone(),
            uses: BTreeMap::new(),
            used: BTreeSet::new(),
            agents: BTreeMap::new(),
            checks: BTreeSet::new(),
        };
        for system in world.systems.values().filter(|system| lens.scope.names(system.spec.id.as_str())) {
            let used = lens.used_by(&system.spec);
            if !used.is_empty() {
                lens.uses.insert(system.spec.id.clone(), used);
            }
        }
        lens.used = lens.uses.values().flatten().cloned().collect();
        for (id, agent) in &world.agents {
            let seen = lens.sees(&agent.system);
            lens.agents.insert(id.clone(), seen);
            if seen {
                let checks = agent.checks.iter().filter(|(_, check)| lens.scope.names(check.system.as_str()));
                lens.checks.extend(checks.map(|(check, _)| (id.clone(), check.clone())));
            }
        }
        lens
    }

    /// Of one who came by this key, in the world that the lens is of.
    #[must_use]
    pub fn owned(self, world: &World, own: Option<Key>) -> Lens {
        Lens { own: own.map(|key| Own::of(world, key)), ..self }
    }

    /// Whether a grant is the reader's own.
    pub(super) fn owns(&self, grant: GrantId) -> bool {
        self.own.as_ref().is_some_and(|own| own.grants.contains(&grant))
    }

    /// Whether its reader is told what is done by a grant's keys: by those of a grant from which their own was taken, no more.
    pub(super) fn is_told_of_use(&self, grant: &Grant) -> bool {
        self.own.as_ref().is_some_and(|own| grant.keys().any(|key| own.keys.contains(key)))
    }

    /// A part of what it leaves out is not in the world that it is of: what that was restricted to marks it already.
    #[must_use]
    pub fn marked(self, mark: Option<Epoch>) -> Lens {
        Lens { mark, ..self }
    }

    /// Whether all that another lens shows is shown by this one too.
    pub fn shows_all_of(&self, other: &Lens) -> bool {
        let seen = |lens: &Lens| lens.agents.iter().filter(|(_, seen)| **seen).map(|(agent, _)| agent.clone()).collect::<BTreeSet<_>>();
        let own = match (&self.own, &other.own) {
            (Some(own), Some(other)) => other.keys.is_subset(&own.keys) && other.grants.is_subset(&own.grants),
            (own, other) => own.is_some() || other.is_none(),
        };
        own && self.scope == other.scope && other.used.is_subset(&self.used) && seen(other).is_subset(&seen(self)) && other.checks.is_subset(&self.checks)
    }

    pub(super) fn mark(&self) -> Option<Epoch> {
        self.mark
    }

    pub fn scope(&self) -> &Arc<Scope> {
        &self.scope
    }

    /// Whether what concerns this system is seen.
    pub(super) fn sees(&self, system: &SystemId) -> bool {
        self.scope.sees(Some(system), "")
    }

    fn used_by(&self, spec: &SystemSpec) -> BTreeSet<Arc<str>> {
        let here = |server: &Option<Arc<str>>| server.as_ref().is_none_or(|server| *server == self.name);
        spec.uses.iter().filter(|address| here(&address.server)).map(|address| Arc::from(address.id.as_str())).collect()
    }

    /// Whether a system is used by one that is seen, or stands beneath such a one by name.
    pub(crate) fn outlines(&self, system: &str) -> bool {
        if !self.scope.rights.has(Right::Read) || self.used.is_empty() {
            return false;
        }
        let mut name = system;
        loop {
            if self.used.contains(name) {
                return true;
            }
            match name.rsplit_once('/') {
                Some((above, _)) => name = above,
                None => return false,
            }
        }
    }

    /// What can be said of an event without looking into it.
    pub fn glance(&self, system: Option<&str>, kind: &str) -> Glance {
        // Its data say which system it declares; whole events are looked at by their envelope alone (F3).
        let declares = kind == "system.declared";
        match system {
            _ if self.scope.sees_named(system, kind) => {
                if declares {
                    Glance::Perhaps
                } else {
                    Glance::Whole
                }
            }
            _ if self.own.is_some() && OWN.contains(&kind) && self.scope.rights.has(Right::Read) => Glance::Perhaps,
            Some(system) if OUTLINED.contains(&kind) && self.outlines(system) => Glance::Perhaps,
            Some(_) | None => Glance::Nothing,
        }
    }

    /// What of an event is shown: all of it, its outline, or nothing.
    pub fn project<'e>(&self, event: &'e Event) -> Option<Cow<'e, Event>> {
        match self.glance(event.system.as_ref().map(SystemId::as_str), event.kind.name()) {
            Glance::Whole => Some(Cow::Borrowed(event)),
            Glance::Perhaps if event.kind.name().starts_with("trust.") => {
                let own = event.key().zip(self.own.as_ref()).is_some_and(|(key, own)| own.keys.contains(key));
                own.then_some(Cow::Borrowed(event))
            }
            Glance::Perhaps => match &event.kind {
                Kind::SystemDeclared(SystemDeclared { spec }) => (event.system.as_ref() == Some(&spec.id)).then_some(Cow::Borrowed(event)),
                _ => outline(event).map(Cow::Owned),
            },
            Glance::Nothing => None,
        }
    }

    /// Whether events of this kind may change what else is seen.
    pub fn watches(kind: &str) -> bool {
        let trusts = matches!(kind, "trust.granted" | "trust.revoked" | "trust.expired" | "trust.key-added" | "trust.key-removed");
        trusts || matches!(kind, "server.started" | "system.declared" | "system.removed" | "agent.joined" | "check.changed" | "check.removed")
    }

    /// Takes note of the next event of the log, shown or not. True: it changes what is seen of what was
    /// before, so that the reader needs the world anew. Of events that were in its world already, it says
    /// whether they might have.
    pub fn moves(&mut self, event: &Event) -> bool {
        if event.id.sequence <= self.head {
            return self.unsettled_by(event);
        }
        let seen = event.system.as_ref().is_some_and(|system| self.sees(system));
        match &event.kind {
            Kind::ServerStarted(ServerStarted { name, .. }) => std::mem::replace(&mut self.name, name.clone()) != *name,
            Kind::SystemDeclared(SystemDeclared { spec }) if seen => {
                let used = self.used_by(spec);
                self.now_uses(&spec.id, used)
            }
            Kind::SystemRemoved(_) if seen => event.system.as_ref().is_some_and(|system| self.now_uses(system, BTreeSet::new())),
            Kind::AgentJoined(AgentJoined { agent, .. }) if event.system.is_some() => {
                let moved = self.agents.insert(agent.clone(), seen).is_some_and(|was| was != seen);
                if moved {
                    self.checks.retain(|(of, _)| of != agent);
                }
                moved
            }
            Kind::CheckChanged(CheckChanged { agent, check, .. }) => {
                let check = (agent.clone(), check.clone());
                if !self.agents.get(agent).is_some_and(|seen| *seen) {
                    return false;
                }
                if seen {
                    self.checks.insert(check);
                    return false;
                }
                self.checks.remove(&check)
            }
            Kind::CheckRemoved(CheckRemoved { agent, check }) => self.checks.remove(&(agent.clone(), check.clone())) && !seen,
            kind => self.concerned_by(kind),
        }
    }

    /// Whether it makes others of the reader's own keys and grants.
    fn concerned_by(&self, kind: &Kind) -> bool {
        let Some(own) = &self.own else { return false };
        match kind {
            Kind::TrustGranted(said) => own.keys.contains(&said.key) || (said.who == Who::Person && own.name.as_ref() == Some(&said.name)),
            Kind::TrustRevoked(TrustRevoked { grant, .. }) | Kind::TrustExpired(TrustExpired { grant, .. }) => own.grants.contains(grant),
            Kind::TrustKeyAdded(TrustKeyAdded { grant, key, .. }) | Kind::TrustKeyRemoved(TrustKeyRemoved { grant, key, .. }) => {
                own.grants.contains(grant) || own.keys.contains(key)
            }
            _ => false,
        }
    }

    /// Whether an event from before this lens was made may have changed what is seen of what was before that.
    fn unsettled_by(&self, event: &Event) -> bool {
        let seen = event.system.as_ref().is_some_and(|system| self.sees(system));
        match &event.kind {
            Kind::SystemDeclared(_) | Kind::SystemRemoved(_) => seen,
            Kind::AgentJoined(_) => true,
            Kind::CheckChanged(CheckChanged { agent, .. }) | Kind::CheckRemoved(CheckRemoved { agent, .. }) => {
                !seen && self.agents.get(agent).is_some_and(|seen| *seen)
            }
            kind => self.concerned_by(kind),
        }
    }

    /// True: that is not what it used before.
    fn now_uses(&mut self, system: &SystemId, used: BTreeSet<Arc<str>>) -> bool {
        let before = if used.is_empty() { self.uses.remove(system) } else { self.uses.insert(system.clone(), used.clone()) };
        if before.unwrap_or_default() == used {
            return false;
        }
        let used: BTreeSet<Arc<str>> = self.uses.values().flatten().cloned().collect();
        std::mem::replace(&mut self.used, used) != self.used
    }
}

/// Whether there are outlines of events of this kind.
pub fn has_outline(kind: &str) -> bool {
    OUTLINED.contains(&kind)
}

/// The alert's own event without anything but the trouble: same id, same kind. An outline is its own.
pub fn outline(event: &Event) -> Option<Event> {
    let kind = match &event.kind {
        Kind::AlertOpened(opened) => {
            AlertOpened { alert: opened.alert, check: OUTLINE.into(), by: Actor::Server, condition: Condition::Problem, expr: None }.into()
        }
        Kind::AlertChanged(changed) => changed.clone().into(),
        Kind::AlertCleared(cleared) => AlertCleared { alert: cleared.alert, reason: plain(cleared.reason) }.into(),
        Kind::AlertPast(past) => AlertPast { alert: past.alert, check: OUTLINE.into(), until: past.until }.into(),
        _ => return None,
    };
    Some(Event {
        id: event.id,
        at: event.at,
        recorded: event.recorded,
        severity: event.severity,
        system: event.system.clone(),
        actor: Actor::Server,
        title: event.title.clone(),
        text: "".into(),
        labels: Labels::default(),
        links: Vec::new(),
        request: None,
        kind,
        extra: BTreeMap::new(),
    })
}

/// That somebody had a hand in it is not part of an outline.
pub(super) const fn plain(reason: ClearReason) -> ClearReason {
    match reason {
        ClearReason::Resolved => ClearReason::Recovered,
        reason => reason,
    }
}
