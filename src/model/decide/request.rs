//! What people and pipelines ask: done, or refused with words.

use std::sync::Arc;

use super::keys;
use super::trust::{self, by_role};
use crate::model::event::{
    Actor, AlertAcknowledged, AlertAssigned, AlertSnoozed, AlertUnacknowledged, AlertUnsnoozed, CauseDenied, CauseRestored, Change, ClearReason, Draft,
    EndReason, Note, NoteWithdrawn, TrustGranted,
};
use crate::model::grant::{Offer, Roles};
use crate::model::id::{AlertRef, EventId, Fingerprint, GrantId, RequestId};
use crate::model::intent::{Intent, Refusal, RefusalCode, Request};
use crate::model::time::{Span, Time};
use crate::model::words::first_line;
use crate::model::world::{Alert, DeedKind, World};

/// Characters of a note or title that are taken.
const LONGEST: usize = 20_000;

pub fn request(world: &World, roles: &Roles, request: &Request, now: Time) -> Result<Vec<Draft>, Refusal> {
    if world.requests.contains(&request.id) {
        return Ok(Vec::new());
    }
    let made = request.made.min(now);
    let mut drafts = Asked { world, roles, id: request.id, actor: Actor::User(request.by.clone()), made, now }.answer(&request.intent)?;
    for draft in &mut drafts {
        draft.request = Some(request.id);
    }
    Ok(drafts)
}

struct Asked<'a> {
    world: &'a World,
    roles: &'a Roles,
    id: RequestId,
    actor: Actor,
    made: Time,
    now: Time,
}

impl Asked<'_> {
    fn answer(&self, intent: &Intent) -> Result<Vec<Draft>, Refusal> {
        match intent {
            Intent::Acknowledge { alert, episode, note } => {
                let known = self.current(*alert, *episode)?;
                let title = format!("{} acknowledged {}", self.actor.name(), known.title);
                Ok(vec![self.draft(known, AlertAcknowledged { alert: *alert, episode: *episode }, title).text(bounded(note)?)])
            }
            Intent::Unacknowledge { alert, episode } => {
                let known = self.known(*alert)?;
                if known.ack().is_none() {
                    return Err(Refusal::new(RefusalCode::Over, format!("{} is not acknowledged (any more)", known.title)));
                }
                let title = format!("{} took the acknowledgement back: {}", self.actor.name(), known.title);
                Ok(vec![self.draft(known, AlertUnacknowledged { alert: *alert, episode: *episode, reason: EndReason::Undone }, title)])
            }
            Intent::Snooze { alert, episode, until, note } => {
                let known = self.current(*alert, *episode)?;
                if *until <= self.now {
                    return Err(Refusal::new(RefusalCode::Invalid, format!("{until} has passed: snooze until a time that lies ahead")));
                }
                if until.since(self.now) > Span::from_days(366) {
                    return Err(Refusal::new(RefusalCode::Invalid, "an alert can be snoozed for a year at most"));
                }
                let title = format!("{} snoozed {} until {}", self.actor.name(), known.title, until.timestamp().strftime("%-d %b %H:%M UTC"));
                Ok(vec![self.draft(known, AlertSnoozed { alert: *alert, episode: *episode, until: *until }, title).text(bounded(note)?)])
            }
            Intent::Unsnooze { alert, episode } => {
                let known = self.known(*alert)?;
                if known.snooze().is_none() {
                    return Err(Refusal::new(RefusalCode::Over, format!("{} is not snoozed (any more)", known.title)));
                }
                let title = format!("{} woke {}", self.actor.name(), known.title);
                Ok(vec![self.draft(known, AlertUnsnoozed { alert: *alert, episode: *episode, reason: EndReason::Undone }, title)])
            }
            Intent::Assign { alert, episode, to } => {
                let known = self.current(*alert, *episode)?;
                let title = match to {
                    Some(to) if to.as_str() == self.actor.name() => format!("{to} took {}", known.title),
                    Some(to) => format!("{} gave {} to {to}", self.actor.name(), known.title),
                    None => format!("{} gave {} back", self.actor.name(), known.title),
                };
                Ok(vec![self.draft(known, AlertAssigned { alert: *alert, episode: *episode, to: to.clone() }, title)])
            }
            Intent::Resolve { alert, episode, note } => {
                let known = self.current(*alert, *episode)?;
                let mut draft = super::cleared(*alert, known, self.made.max(self.began(known)), self.actor.clone(), ClearReason::Resolved);
                draft.text = bounded(note)?;
                Ok(vec![draft])
            }
            Intent::DenyCause { alert, episode, cause } => {
                let known = self.current(*alert, *episode)?;
                if cause.origin == self.world.origin && cause.alert == *alert {
                    return Err(Refusal::new(RefusalCode::Invalid, "an alert is not its own cause"));
                }
                if self.apart(*alert, *cause) {
                    return Err(Refusal::new(RefusalCode::Invalid, format!("it is known already that {} does not come from that", known.title)));
                }
                let other = self.titled(*cause).map_or_else(|| "an alert elsewhere".to_owned(), |other| format!("{} {}", other.system, other.title));
                let title = format!("{} said that {} does not come from {other}", self.actor.name(), known.title);
                Ok(vec![self.draft(known, CauseDenied { alert: *alert, episode: *episode, cause: *cause }, title)])
            }
            Intent::RestoreCause { alert, cause } => {
                let known = self.known(*alert)?;
                if !self.apart(*alert, *cause) {
                    return Err(Refusal::new(RefusalCode::Over, format!("nobody says (any more) that {} does not come from that", known.title)));
                }
                let title = format!("{} took back what {} does not come from", self.actor.name(), known.title);
                Ok(vec![self.draft(known, CauseRestored { alert: *alert, cause: *cause }, title)])
            }
            Intent::NoteAlert { alert, text } => {
                let known = self.known(*alert)?;
                let text = said(text)?;
                let kind = Note { alert: Some(*alert), episode: known.now.map(|open| open.episode) };
                Ok(vec![self.draft(known, kind, first_line(&text)).text(text)])
            }
            Intent::NoteSystem { system, text } => {
                let text = said(text)?;
                Ok(vec![Draft::new(self.made, self.actor.clone(), Note { alert: None, episode: None }, first_line(&text)).on(system.clone()).text(text)])
            }
            Intent::WithdrawNote { note } => {
                let found = self.world.deeds.iter().find(|deed| deed.event == *note && deed.kind == DeedKind::Note && !deed.withdrawn);
                let deed = found.ok_or_else(|| Refusal::new(RefusalCode::Unknown, "there is no such note here (any more)"))?;
                if deed.by != self.actor {
                    return Err(Refusal::new(RefusalCode::Forbidden, format!("only {} can take that note back", deed.by.name())));
                }
                let mut draft = Draft::new(self.made, self.actor.clone(), NoteWithdrawn { note: *note }, format!("{} took a note back", self.actor.name()));
                draft.system = deed.system.clone();
                Ok(vec![draft])
            }
            Intent::Change { system, title, text, version, links } => {
                let title = said(title)?;
                let mut draft = Draft::new(self.made, self.actor.clone(), Change::of(version.clone()), title).on(system.clone()).text(bounded(text)?);
                draft.links = links.iter().take(20).cloned().collect();
                Ok(vec![draft])
            }
            // When somebody may do something counts from when it is decided, not from when it was asked.
            Intent::Invite { invite, role, systems, rights, name, same, until, lasts, closes } => {
                let (who, scope) = by_role(self.roles, role, systems, *rights, *until)?;
                let offer = Offer { who, role: role.clone(), name: name.clone(), same: *same, scope, lasts: *lasts, closes: *closes };
                trust::invited(self.world, &self.actor, *invite, &offer, self.now)
            }
            Intent::Grant { key, name, role, systems, rights, until } => {
                let (who, scope) = by_role(self.roles, role, systems, *rights, *until)?;
                let grant = GrantId::of("midwatch grant 2", &[&self.id.0, key.as_str().as_bytes()]);
                let said = TrustGranted { grant, key: key.clone(), name: name.clone(), who, role: role.clone(), scope, invite: None };
                trust::granted(self.world, &self.actor, said, self.now)
            }
            Intent::Revoke { grant, why } => trust::revoked(self.world, &self.actor, *grant, &bounded(why)?, self.now),
            Intent::AddKey { key, vouched } => keys::added(self.world, &self.actor, key, vouched, self.now),
            Intent::RemoveKey { key, why } => keys::removed(self.world, &self.actor, key, &bounded(why)?, self.now),
            Intent::ReplaceKey { old, new, vouched, why } => keys::replaced(self.world, &self.actor, (old, new), vouched.as_ref(), &bounded(why)?, self.now),
        }
    }

    fn draft(&self, alert: &Alert, kind: impl Into<crate::model::event::Kind>, title: impl Into<Arc<str>>) -> Draft {
        // A verb that was queued offline counts from when it was made, but never from before the episode.
        Draft::new(self.made.max(self.began(alert)), self.actor.clone(), kind, title).on(alert.system.clone())
    }

    fn apart(&self, alert: Fingerprint, cause: AlertRef) -> bool {
        self.world.apart.get(&alert).is_some_and(|apart| apart.iter().any(|apart| apart.cause == cause))
    }

    /// What this server knows of an alert that may be another's.
    fn titled(&self, alert: AlertRef) -> Option<&Alert> {
        self.world.alert(alert.alert).filter(|_| alert.origin == self.world.origin)
    }

    fn began(&self, alert: &Alert) -> Time {
        alert.now.map_or(self.made, |open| open.since)
    }

    fn known(&self, alert: Fingerprint) -> Result<&Alert, Refusal> {
        self.world.alert(alert).ok_or_else(|| Refusal::new(RefusalCode::Unknown, "this server knows no such alert (any more)"))
    }

    /// The alert, if the episode that was meant is the one that is open.
    fn current(&self, alert: Fingerprint, episode: EventId) -> Result<&Alert, Refusal> {
        let known = self.known(alert)?;
        match known.now {
            Some(open) if open.episode == episode => Ok(known),
            Some(open) => Err(Refusal::new(RefusalCode::Over, format!("that was an earlier episode of {}; the present one began {}", known.title, open.since))),
            None => Err(Refusal::new(RefusalCode::Over, format!("{} has cleared meanwhile", known.title))),
        }
    }
}

fn bounded(text: &Arc<str>) -> Result<Arc<str>, Refusal> {
    if text.chars().count() > LONGEST {
        return Err(Refusal::new(RefusalCode::Invalid, format!("too long: at most {LONGEST} characters")));
    }
    Ok(text.clone())
}

fn said(text: &Arc<str>) -> Result<Arc<str>, Refusal> {
    if text.trim().is_empty() {
        return Err(Refusal::new(RefusalCode::Invalid, "there are no words in it"));
    }
    bounded(text)
}
