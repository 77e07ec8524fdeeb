//! What a filter asks of whatever it is asked about: one trait for events, alerts, log lines.
//!
//! Every answer is fetched only when a term needs it, so that a log line need not be understood to be
//! refused.

use std::borrow::Cow;

use super::field::{State, States};
use crate::model::event::{Actor, AlertAssigned, AlertHeld, AlertOpened, AlertReleased, CheckChanged, CheckRemoved, Condition, Event, Kind};
use crate::model::severity::Severity;
use crate::model::time::Time;

pub trait Subject {
    fn at(&self) -> Time;

    fn severity(&self) -> Severity;

    /// `alert.opened`, `log`.
    fn kind(&self) -> &str;

    /// The system's id on its own server.
    fn system(&self) -> Option<&str>;

    /// The name of the server that it comes from.
    fn server(&self) -> Option<&str>;

    fn states(&self) -> States {
        States::NONE
    }

    fn check(&self) -> Option<&str> {
        None
    }

    fn agent(&self) -> Option<&str> {
        None
    }

    fn source(&self) -> Option<&str> {
        None
    }

    /// Whether `test` holds for any of those who had a hand in it.
    fn any_actor(&self, test: &mut dyn FnMut(&Actor) -> bool) -> bool;

    fn label(&self, name: &str) -> Option<Cow<'_, str>>;

    /// Whether `test` holds for any of its texts: the title, the text. Bytes, since logs need not be UTF-8.
    fn any_text(&self, test: &mut dyn FnMut(&[u8]) -> bool) -> bool;
}

impl Subject for Event {
    fn at(&self) -> Time {
        self.at
    }

    fn severity(&self) -> Severity {
        self.severity
    }

    fn kind(&self) -> &str {
        self.kind.name()
    }

    fn system(&self) -> Option<&str> {
        self.system.as_ref().map(|id| id.as_str())
    }

    /// An event knows its origin, not the server's name: see [`OnServer`].
    fn server(&self) -> Option<&str> {
        None
    }

    /// What the event itself brought about.
    fn states(&self) -> States {
        let none = States::NONE;
        match &self.kind {
            Kind::AlertOpened(AlertOpened { condition, .. }) => none.with(State::Open).with_if(State::Stale, *condition == Condition::Stale),
            Kind::AlertAcknowledged(_) => none.with(State::Open).with(State::Acked),
            Kind::AlertSnoozed(_) => none.with(State::Open).with(State::Snoozed),
            Kind::AlertAssigned(AlertAssigned { to, .. }) => none.with(State::Open).with_if(State::Assigned, to.is_some()),
            Kind::AlertFlapping(_) => none.with(State::Flapping),
            Kind::AlertUnrefreshed(_) => none.with(State::Open).with(State::Unrefreshed),
            Kind::AlertChanged(_) | Kind::AlertHeld(_) | Kind::AlertRefreshed(_) => none.with(State::Open),
            Kind::AlertCleared(_) | Kind::AlertPast(_) => none.with(State::Cleared),
            Kind::SilenceSeen(_) => none.with(State::Silenced),
            Kind::AgentSilent(_) | Kind::SourceFailed(_) => none.with(State::Stale),
            _ => none,
        }
    }

    fn check(&self) -> Option<&str> {
        match &self.kind {
            Kind::AlertOpened(AlertOpened { check, .. }) | Kind::CheckChanged(CheckChanged { check, .. }) | Kind::CheckRemoved(CheckRemoved { check, .. }) => {
                Some(check.as_str())
            }
            Kind::AlertPast(past) => Some(past.check.as_str()),
            _ => None,
        }
    }

    fn agent(&self) -> Option<&str> {
        match (&self.kind, &self.actor) {
            (Kind::CheckChanged(CheckChanged { agent, .. }) | Kind::CheckRemoved(CheckRemoved { agent, .. }), _) => Some(agent.as_str()),
            (Kind::AgentJoined(joined), _) => Some(joined.agent.as_str()),
            (Kind::AgentSilent(silent), _) => Some(silent.agent.as_str()),
            (Kind::AgentReturned(returned), _) => Some(returned.agent.as_str()),
            (Kind::InventoryChanged(inventory), _) => Some(inventory.agent.as_str()),
            (_, Actor::Agent(agent)) => Some(agent.as_str()),
            (Kind::AlertOpened(AlertOpened { by: Actor::Agent(agent), .. }), _) => Some(agent.as_str()),
            _ => None,
        }
    }

    fn source(&self) -> Option<&str> {
        match (&self.kind, &self.actor) {
            (Kind::SourceFailed(failed), _) => Some(failed.source.as_str()),
            (Kind::SourceRecovered(recovered), _) => Some(recovered.source.as_str()),
            (Kind::SourcePast(past), _) => Some(past.source.as_str()),
            (Kind::SilenceSeen(seen), _) => Some(seen.source.as_str()),
            (Kind::SilenceGone(gone), _) => Some(gone.source.as_str()),
            (_, Actor::Source(source)) => Some(source.as_str()),
            (Kind::AlertOpened(AlertOpened { by: Actor::Source(source), .. }), _) => Some(source.as_str()),
            _ => None,
        }
    }

    fn any_actor(&self, test: &mut dyn FnMut(&Actor) -> bool) -> bool {
        if test(&self.actor) {
            return true;
        }
        match &self.kind {
            Kind::AlertOpened(AlertOpened { by, .. }) | Kind::AlertHeld(AlertHeld { by, .. }) | Kind::AlertReleased(AlertReleased { by, .. }) => test(by),
            _ => false,
        }
    }

    fn label(&self, name: &str) -> Option<Cow<'_, str>> {
        self.labels.get(name).map(Cow::Borrowed)
    }

    fn any_text(&self, test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        test(self.title.as_bytes()) || test(self.text.as_bytes())
    }
}

/// A subject, and the name of the server that it came from.
#[derive(Clone, Copy, Debug)]
pub struct OnServer<'a, S: ?Sized> {
    pub subject: &'a S,
    pub server: &'a str,
}

impl<S: Subject + ?Sized> Subject for OnServer<'_, S> {
    fn at(&self) -> Time {
        self.subject.at()
    }

    fn severity(&self) -> Severity {
        self.subject.severity()
    }

    fn kind(&self) -> &str {
        self.subject.kind()
    }

    fn system(&self) -> Option<&str> {
        self.subject.system()
    }

    fn server(&self) -> Option<&str> {
        Some(self.server)
    }

    fn states(&self) -> States {
        self.subject.states()
    }

    fn check(&self) -> Option<&str> {
        self.subject.check()
    }

    fn agent(&self) -> Option<&str> {
        self.subject.agent()
    }

    fn source(&self) -> Option<&str> {
        self.subject.source()
    }

    fn any_actor(&self, test: &mut dyn FnMut(&Actor) -> bool) -> bool {
        self.subject.any_actor(test)
    }

    fn label(&self, name: &str) -> Option<Cow<'_, str>> {
        self.subject.label(name)
    }

    fn any_text(&self, test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        self.subject.any_text(test)
    }
}
