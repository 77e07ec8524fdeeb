//! Whether somebody may ask what they ask: looked at where it is decided, on the world that it changes.

use std::sync::Arc;

use super::keys;
use super::trust::{by_role, may_grant, taken};
use crate::model::grant::{Asker, Lens, Right, Roles, Scope, Who};
use crate::model::id::{AlertRef, EventId, Fingerprint, SystemId};
use crate::model::intent::{Intent, Refusal, RefusalCode};
use crate::model::time::Time;
use crate::model::world::World;

/// One who comes by a grant, as that grant is now: it may have ended, or been narrowed, since they were let ask.
pub fn by_what_they_hold(world: &World, asker: &Asker, now: Time) -> Result<Asker, Refusal> {
    let Some(id) = asker.used.grant else { return Ok(asker.clone()) };
    let held = world.grants.get(&id).filter(|grant| grant.ended.is_none() && !grant.scope.is_over(now));
    match held.filter(|grant| asker.key.as_ref().is_none_or(|key| grant.has(key))) {
        Some(grant) if grant.scope == *asker.scope => Ok(asker.clone()),
        Some(grant) => Ok(Asker { scope: Arc::new(asker.scope.narrow(&grant.scope)), ..asker.clone() }),
        None => Err(Refusal::new(RefusalCode::Forbidden, "what you were granted here was taken back, or is over, before this was decided")),
    }
}

/// Everything that may be asked takes a right on the system that it is about. What is not seen is answered
/// as if there were none.
pub fn permit(world: &World, roles: &Roles, intent: &Intent, asker: &Asker, now: Time) -> Result<(), Refusal> {
    let scope = &*asker.scope;
    let asked = Asked { world, scope };
    match intent {
        Intent::Acknowledge { alert, .. }
        | Intent::Unacknowledge { alert, .. }
        | Intent::Snooze { alert, .. }
        | Intent::Unsnooze { alert, .. }
        | Intent::Assign { alert, .. }
        | Intent::Resolve { alert, .. }
        | Intent::NoteAlert { alert, .. } => asked.about_alert(Right::Respond, *alert),
        Intent::DenyCause { alert, cause, .. } | Intent::RestoreCause { alert, cause } => {
            asked.about_alert(Right::Respond, *alert)?;
            asked.sees_cause(*cause)
        }
        Intent::WithdrawNote { note } => asked.about_note(Right::Respond, *note),
        Intent::NoteSystem { system, .. } | Intent::Change { system, .. } => asked.may(Right::Respond, system),
        Intent::Invite { role, systems, rights, until, lasts, name, same, .. } => {
            let (who, given) = by_role(roles, role, systems, *rights, *until)?;
            may_grant(scope, &given, *lasts, now)?;
            listed(world, asker, who, name.as_deref(), *same)
        }
        Intent::Grant { role, systems, rights, until, name, .. } => {
            let (who, given) = by_role(roles, role, systems, *rights, *until)?;
            may_grant(scope, &given, None, now)?;
            listed(world, asker, who, Some(name), false)
        }
        Intent::AddKey { .. } | Intent::RemoveKey { .. } | Intent::ReplaceKey { .. } => keys::permit(world, intent, asker, now),
        Intent::Revoke { .. } if scope.may(Right::Administer, None) => Ok(()),
        Intent::Revoke { .. } => {
            let words = format!("revoking takes the right `administer` on all systems, and what you may do here is: {scope}");
            Err(Refusal::new(RefusalCode::Forbidden, words))
        }
    }
}

/// Whether a name may be given beside those that the operator gave. One who is said to be the same person as
/// somebody is so only if there is such a somebody: a name that was mistyped makes nobody.
fn listed(world: &World, asker: &Asker, who: Who, name: Option<&str>, same: bool) -> Result<(), Refusal> {
    let Some(name) = name else {
        return if same { Err(Refusal::new(RefusalCode::Invalid, "the same person as whom?")) } else { Ok(()) };
    };
    let known = asker.listed.iter().any(|listed| listed.who == who && *listed.name == *name);
    if !same {
        return if known && who != Who::Agent { Err(taken(who, name)) } else { Ok(()) };
    }
    if known || world.grants.values().any(|grant| grant.who == who && *grant.name == *name) {
        return Ok(());
    }
    let names = world.grants.values().filter(|grant| grant.who == who).map(|grant| &*grant.name);
    let near = crate::model::nearest::nearest(name, names.chain(asker.listed.iter().map(|listed| &*listed.name)));
    let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    let name: String = name.chars().filter(|c| !c.is_control()).take(60).collect();
    Err(Refusal::new(RefusalCode::Invalid, format!("no {who} called {name} is known here{near}")))
}

struct Asked<'a> {
    world: &'a World,
    scope: &'a Scope,
}

impl Asked<'_> {
    fn may(&self, right: Right, system: &SystemId) -> Result<(), Refusal> {
        if self.scope.may(right, Some(system)) {
            return Ok(());
        }
        let words = format!("that takes the right `{right}` on {system}, and what you may do here is: {}", self.scope);
        Err(Refusal::new(RefusalCode::Forbidden, words))
    }

    /// Without seeing it one does not learn that there is such an alert.
    fn about_alert(&self, right: Right, alert: Fingerprint) -> Result<(), Refusal> {
        match self.world.alert(alert).filter(|alert| self.scope.sees(Some(&alert.system), "")) {
            Some(alert) => self.may(right, &alert.system),
            // The words of an alert that there is not, where all are seen.
            None if self.scope.is_all() => Ok(()),
            None => Err(Refusal::new(RefusalCode::Unknown, "this server knows no such alert (any more), or it is not among what you may see")),
        }
    }

    /// What is said of another alert repeats its title.
    fn sees_cause(&self, cause: AlertRef) -> Result<(), Refusal> {
        let Some(alert) = self.world.alert(cause.alert).filter(|_| cause.origin == self.world.origin) else { return Ok(()) };
        let seen = self.scope.sees(Some(&alert.system), "") || Lens::of(self.world, self.scope).outlines(alert.system.as_str());
        if seen { Ok(()) } else { Err(Refusal::new(RefusalCode::Unknown, "the other alert is not among what you may see")) }
    }

    fn about_note(&self, right: Right, note: EventId) -> Result<(), Refusal> {
        let system = self.world.deeds.iter().find(|deed| deed.event == note).and_then(|deed| deed.system.as_ref());
        match system.filter(|system| self.scope.sees(Some(system), "")) {
            Some(system) => self.may(right, system),
            None if self.scope.is_all() => Ok(()),
            None => Err(Refusal::new(RefusalCode::Unknown, "there is no such note here (any more), or it is not among what you may see")),
        }
    }
}
