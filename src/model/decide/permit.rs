//! Whether somebody may ask what they ask: looked at where it is decided, on the world that it changes.

use super::trust::{by_role, may_grant};
use crate::model::grant::{Lens, Right, Roles, Scope};
use crate::model::id::{AlertRef, EventId, Fingerprint, SystemId};
use crate::model::intent::{Intent, Refusal, RefusalCode};
use crate::model::time::Time;
use crate::model::world::World;

/// Everything that may be asked takes a right on the system that it is about. What is not seen is answered
/// as if there were none.
pub fn permit(world: &World, roles: &Roles, intent: &Intent, scope: &Scope, now: Time) -> Result<(), Refusal> {
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
        Intent::Invite { role, systems, rights, until, lasts, .. } => {
            let (_, given) = by_role(roles, role, systems, *rights, *until)?;
            may_grant(scope, &given, *lasts, now)
        }
        Intent::Grant { role, systems, rights, until, .. } => {
            let (_, given) = by_role(roles, role, systems, *rights, *until)?;
            may_grant(scope, &given, None, now)
        }
        Intent::Revoke { .. } if scope.may(Right::Administer, None) => Ok(()),
        Intent::Revoke { .. } => {
            let words = format!("revoking takes the right `administer` on all systems, and what you may do here is: {scope}");
            Err(Refusal::new(RefusalCode::Forbidden, words))
        }
    }
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
