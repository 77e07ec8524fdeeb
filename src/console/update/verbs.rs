//! The verbs: from what is selected to requests, with a preview where more than one thing is hit.

use crate::console::effect::Effect;
use crate::console::overlay::{Asked, Confirm, Overlay};
use crate::console::pending::{Undo, Verb};
use crate::console::state::{State, Tone};
use crate::model::id::{AlertRef, EventId, Person, SystemRef};
use crate::model::intent::{Intent, Request};
use crate::model::time::{Span, Time};
use crate::model::view::alerts::AlertRow;
use crate::model::view::entries::with_beneath;

/// A row that came under the cursor by itself is not acted on for so long.
const JUST_NOW: Span = Span::from_millis(1_500);

/// A verb, with what it needs to know beside its targets.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Verbal {
    Acknowledge {
        note: String,
    },
    Unacknowledge,
    Snooze {
        until: Time,
    },
    Unsnooze,
    Assign {
        to: Option<Person>,
    },
    Take,
    Resolve {
        note: String,
    },
    Note {
        text: String,
    },
    /// "Not so": it does not come from the alert that it stands under.
    Apart,
    /// That is taken back.
    Together,
}

impl Verbal {
    fn word(&self) -> &'static str {
        match self {
            Verbal::Acknowledge { .. } => "acknowledge",
            Verbal::Unacknowledge => "take back",
            Verbal::Snooze { .. } => "snooze",
            Verbal::Unsnooze => "wake",
            Verbal::Assign { .. } => "assign",
            Verbal::Take => "take",
            Verbal::Resolve { .. } => "resolve",
            Verbal::Note { .. } => "note",
            Verbal::Apart => "set apart",
            Verbal::Together => "put back",
        }
    }
}

impl State {
    fn row(&self, alert: AlertRef) -> Option<&AlertRow> {
        self.rows.iter().find(|row| row.alert == alert)
    }

    /// What a verb in this pane is about.
    pub(super) fn targets(&self) -> Vec<AlertRef> {
        match self.pane {
            crate::command::Pane::Now => self.panes.now.list.targets(),
            crate::command::Pane::Alerts => self.panes.alerts.list.targets(),
            _ => Vec::new(),
        }
    }

    /// A cause with its effects; an effect alone stands for itself.
    pub(super) fn with_effects(&self, targets: &[AlertRef]) -> Vec<AlertRef> {
        with_beneath(&self.rows, targets)
    }

    /// Asks for a verb on these: at once for one, after a look at what it hits for more.
    pub(super) fn verb(&mut self, verb: &Verbal, targets: &[AlertRef]) -> Vec<Effect> {
        let asked: Vec<Asked> = targets.iter().filter_map(|alert| self.asked(verb, *alert)).collect();
        if asked.is_empty() {
            self.say(Tone::Plain, if targets.is_empty() { "there is no alert here" } else { "there is nothing to do here" });
            return Vec::new();
        }
        // Nobody acts on a row that has only just come under the cursor.
        if self.slid.is_some_and(|slid| self.mono.micros() - slid.micros() < JUST_NOW.micros()) {
            self.slid = None;
            self.say(Tone::Wrong, "another alert has just come under the cursor; look, then press again");
            return Vec::new();
        }
        if let [_] = asked.as_slice() {
            return self.at_once(verb.word(), asked);
        }
        let mut servers: Vec<usize> = asked.iter().map(|one| one.server).collect();
        servers.sort_unstable();
        servers.dedup();
        let places = if servers.len() == 1 { String::new() } else { format!(" on {} servers", servers.len()) };
        let hits = asked.iter().map(|one| one.what.clone()).collect();
        self.overlay =
            Some(Overlay::Confirm(Confirm { title: format!("{} {} alerts{places}", verb.word(), asked.len()), hits, top: 0, then: asked, word: verb.word() }));
        Vec::new()
    }

    /// Asks for one thing, or for what belongs together: at once on a screen, where one sees what it hits; in
    /// linear mode after a question.
    pub(super) fn at_once(&mut self, word: &'static str, asked: Vec<Asked>) -> Vec<Effect> {
        if !self.linear {
            return self.ask_all(word, asked);
        }
        let mut hits: Vec<String> = asked.iter().map(|one| one.what.clone()).collect();
        hits.dedup();
        self.overlay = Some(Overlay::Confirm(Confirm { title: word.to_owned(), hits, top: 0, then: asked, word }));
        Vec::new()
    }

    fn asked(&self, verb: &Verbal, alert: AlertRef) -> Option<Asked> {
        let row = self.row(alert)?;
        let known = self.sky.server(row.server)?.world.alert(alert.alert)?;
        let (fingerprint, episode): (_, EventId) = (alert.alert, row.episode);
        let assign = |to: Option<Person>| Intent::Assign { alert: fingerprint, episode, to };
        let back_to = known.assigned().map(|assigned| assigned.to.clone());
        let (intent, inverse) = match verb {
            Verbal::Acknowledge { note } => {
                (Intent::Acknowledge { alert: fingerprint, episode, note: note.as_str().into() }, Some(Intent::Unacknowledge { alert: fingerprint, episode }))
            }
            Verbal::Unacknowledge => {
                let ack = known.ack()?;
                (Intent::Unacknowledge { alert: fingerprint, episode }, Some(Intent::Acknowledge { alert: fingerprint, episode, note: ack.note.clone() }))
            }
            Verbal::Snooze { until } => {
                let intent = Intent::Snooze { alert: fingerprint, episode, until: *until, note: "".into() };
                (intent, Some(Intent::Unsnooze { alert: fingerprint, episode }))
            }
            Verbal::Unsnooze => {
                let until = known.snooze()?.until;
                (Intent::Unsnooze { alert: fingerprint, episode }, Some(Intent::Snooze { alert: fingerprint, episode, until, note: "".into() }))
            }
            Verbal::Assign { to } => (assign(to.clone()), Some(assign(back_to))),
            Verbal::Take => (assign(Some(self.me.clone())), Some(assign(back_to))),
            Verbal::Resolve { note } => (Intent::Resolve { alert: fingerprint, episode, note: note.as_str().into() }, None),
            Verbal::Apart => {
                let cause = row.cause.as_ref()?.direct;
                (Intent::DenyCause { alert: fingerprint, episode, cause }, Some(Intent::RestoreCause { alert: fingerprint, cause }))
            }
            Verbal::Together => {
                let cause = self.sky.server(row.server)?.world.apart.get(&fingerprint)?.last()?.cause;
                (Intent::RestoreCause { alert: fingerprint, cause }, Some(Intent::DenyCause { alert: fingerprint, episode, cause }))
            }
            Verbal::Note { text } => (Intent::NoteAlert { alert: fingerprint, text: text.as_str().into() }, None),
        };
        Some(Asked { server: row.server, alert: Some(alert), what: format!("{}  {}", row.name, row.title), intent, inverse })
    }

    pub(super) fn note_on(&mut self, system: &SystemRef, text: &str) -> Vec<Effect> {
        let Some((server, _)) = self.sky.of_origin(system.origin) else { return Vec::new() };
        let intent = Intent::NoteSystem { system: system.id.clone(), text: text.into() };
        let what = self.sky.name_of(server, &system.id);
        self.at_once("note", vec![Asked { server, alert: None, what, intent, inverse: None }])
    }

    /// Sends all of these, and remembers how to take them back.
    pub(super) fn ask_all(&mut self, word: &'static str, asked: Vec<Asked>) -> Vec<Effect> {
        let mut effects = Vec::new();
        let mut undo = Undo {
            what: format!("{word} {}", if asked.len() == 1 { asked.first().map_or("", |one| &one.what).to_owned() } else { format!("{} alerts", asked.len()) }),
            intents: Vec::new(),
            notes: Vec::new(),
        };
        for one in asked {
            let id = (self.request_id)();
            let up = self.links.get(one.server).is_some_and(|link| link.state == crate::console::sight::LinkState::Up);
            self.pending.add(id, Verb { server: one.server, alert: one.alert, word, what: one.what.clone(), asked: self.now, sent: up });
            if let Some(inverse) = one.inverse {
                undo.intents.push((one.server, one.alert, inverse));
            }
            if matches!(one.intent, Intent::NoteAlert { .. } | Intent::NoteSystem { .. }) {
                undo.notes.push(id);
            }
            if !up {
                let name = self.links.get(one.server).map_or_else(String::new, |link| link.name.to_string());
                self.say(Tone::Plain, format!("{word} is kept until {name} answers: unsent"));
            }
            effects.push(Effect::Send { server: one.server, request: Request { id, by: self.me.clone(), made: self.now, intent: one.intent, signed: None } });
        }
        if !undo.intents.is_empty() || !undo.notes.is_empty() {
            if self.undo.len() >= 50 {
                self.undo.remove(0);
            }
            self.undo.push(undo);
        }
        self.unmark();
        self.dirty = true;
        effects
    }

    fn unmark(&mut self) {
        self.panes.now.list.list.marks.clear();
        self.panes.alerts.list.list.marks.clear();
    }

    pub(super) fn undo(&mut self) -> Vec<Effect> {
        let Some(undo) = self.undo.last().cloned() else {
            self.say(Tone::Plain, "there is nothing to take back");
            return Vec::new();
        };
        let mut asked: Vec<Asked> =
            undo.intents.into_iter().map(|(server, alert, intent)| Asked { server, alert, what: undo.what.clone(), intent, inverse: None }).collect();
        for request in &undo.notes {
            let Some(event) = self.became.get(request) else { continue };
            if let Some((server, _)) = self.sky.of_origin(event.origin) {
                asked.push(Asked { server, alert: None, what: undo.what.clone(), intent: Intent::WithdrawNote { note: *event }, inverse: None });
            }
        }
        if asked.is_empty() {
            self.undo.pop();
            self.say(Tone::Plain, format!("{} has not arrived yet and cannot be taken back", undo.what));
            return Vec::new();
        }
        if !self.linear {
            self.undo.pop();
        }
        self.at_once("take back", asked)
    }
}
