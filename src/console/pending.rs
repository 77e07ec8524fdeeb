//! What this person asked for and nobody has answered yet; and how to take back what was done.

use std::collections::BTreeMap;

use super::screen::text;
use crate::model::id::{AlertRef, Fingerprint, RequestId, SystemId};
use crate::model::intent::Intent;
use crate::model::time::Time;

/// A verb on its way. Until the primary has answered, it is shown as that, never as done.
#[derive(Clone, PartialEq, Debug)]
pub struct Verb {
    pub server: usize,
    pub alert: Option<AlertRef>,
    /// "acknowledge", as the row shows it.
    pub word: &'static str,
    pub what: String,
    pub asked: Time,
    /// The link was up when it was asked: it is pending, else unsent.
    pub sent: bool,
}

impl Verb {
    /// As it stands in a row's column: short where the column is.
    pub fn beside(&self, room: u16, pending: &str) -> String {
        let short = match self.word {
            "acknowledge" => "ack",
            "take back" => "undo",
            "say not so of" => "not so",
            "fold again" => "fold",
            "record a change of" => "change",
            word => word,
        };
        let fits = text::width(self.word).saturating_add(text::width(pending)) <= room;
        format!("{}{pending}", if fits { self.word } else { short })
    }
}

#[derive(Clone, PartialEq, Debug, Default)]
pub struct Pending {
    verbs: BTreeMap<RequestId, Verb>,
}

impl Pending {
    pub fn add(&mut self, id: RequestId, verb: Verb) {
        self.verbs.insert(id, verb);
    }

    pub fn answered(&mut self, id: &RequestId) -> Option<Verb> {
        self.verbs.remove(id)
    }

    /// The link to a server is up again: its outbox sends what waited.
    pub fn link_up(&mut self, server: usize) {
        self.verbs.values_mut().filter(|verb| verb.server == server).for_each(|verb| verb.sent = true);
    }

    pub fn link_down(&mut self, server: usize) {
        self.verbs.values_mut().filter(|verb| verb.server == server).for_each(|verb| verb.sent = false);
    }

    /// What is pending or unsent for an alert, as its row shows it.
    pub fn of(&self, alert: AlertRef) -> Option<&Verb> {
        self.verbs.values().find(|verb| verb.alert == Some(alert))
    }

    pub fn len(&self) -> usize {
        self.verbs.len()
    }

    pub fn is_empty(&self) -> bool {
        self.verbs.is_empty()
    }

    pub fn unsent(&self) -> usize {
        self.verbs.values().filter(|verb| !verb.sent).count()
    }

    pub fn iter(&self) -> impl Iterator<Item = (&RequestId, &Verb)> {
        self.verbs.iter()
    }
}

/// What a request asks for, as its row shows it.
pub fn word_of(intent: &Intent) -> &'static str {
    match intent {
        Intent::Acknowledge { .. } => "acknowledge",
        Intent::Unacknowledge { .. } | Intent::WithdrawNote { .. } => "take back",
        Intent::Snooze { .. } => "snooze",
        Intent::Unsnooze { .. } => "wake",
        Intent::Assign { .. } => "assign",
        Intent::Resolve { .. } => "resolve",
        Intent::DenyCause { .. } => "say not so of",
        Intent::RestoreCause { .. } => "fold again",
        Intent::NoteAlert { .. } | Intent::NoteSystem { .. } => "note",
        Intent::Change { .. } => "record a change of",
        Intent::Invite { .. } => "invite somebody",
        Intent::Grant { .. } => "grant something",
        Intent::Revoke { .. } => "revoke a grant",
        Intent::AddKey { .. } | Intent::RemoveKey { .. } | Intent::ReplaceKey { .. } => "change a key",
    }
}

/// The alert or the system that a request is about.
pub fn subject_of(intent: &Intent) -> (Option<Fingerprint>, Option<SystemId>) {
    match intent {
        Intent::Acknowledge { alert, .. }
        | Intent::Unacknowledge { alert, .. }
        | Intent::Snooze { alert, .. }
        | Intent::Unsnooze { alert, .. }
        | Intent::Assign { alert, .. }
        | Intent::Resolve { alert, .. }
        | Intent::DenyCause { alert, .. }
        | Intent::RestoreCause { alert, .. }
        | Intent::NoteAlert { alert, .. } => (Some(*alert), None),
        Intent::NoteSystem { system, .. } | Intent::Change { system, .. } => (None, Some(system.clone())),
        Intent::WithdrawNote { .. } | Intent::Invite { .. } | Intent::Grant { .. } | Intent::Revoke { .. } => (None, None),
        Intent::AddKey { .. } | Intent::RemoveKey { .. } | Intent::ReplaceKey { .. } => (None, None),
    }
}

/// What `undo` would ask for, and what it takes back, in words.
#[derive(Clone, PartialEq, Debug)]
pub struct Undo {
    pub what: String,
    pub intents: Vec<(usize, Option<AlertRef>, Intent)>,
    /// The requests whose own events must be known before they can be taken back (notes).
    pub notes: Vec<RequestId>,
}
