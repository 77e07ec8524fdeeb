//! What floats above a pane and takes what is typed: a prompt, the palette, find, a question, help.

pub mod ask;
pub mod choose;
pub mod meet;
pub mod rank;

use crate::model::id::{AlertRef, SystemRef};
use crate::model::intent::Intent;

use super::input::Input;
use choose::Choice;

#[derive(Clone, PartialEq, Debug)]
pub enum Overlay {
    /// One line of text, for a purpose.
    Ask(ask::Ask),
    /// A list to choose from by typing: commands, or anything.
    Choose(choose::Choose),
    /// What is about to happen, before it does.
    Confirm(Confirm),
    /// What the keys do here.
    Help { top: usize },
    /// What the console said before.
    Messages { top: usize },
    /// A server is met for the first time.
    Meet(meet::Asked),
    /// Who may see a system, and why.
    Access { system: SystemRef, top: usize },
}

/// A verb on several alerts, or on several servers, with what it hits.
#[derive(Clone, PartialEq, Debug)]
pub struct Confirm {
    /// "acknowledge 12 alerts on 3 servers".
    pub title: String,
    /// One line for each, as many as there are.
    pub hits: Vec<String>,
    pub top: usize,
    pub then: Vec<Asked>,
    pub word: &'static str,
}

/// One intent for one server, and the alert that it is about.
#[derive(Clone, PartialEq, Debug)]
pub struct Asked {
    pub server: usize,
    pub alert: Option<AlertRef>,
    pub what: String,
    pub intent: Intent,
    /// What takes it back, when something does.
    pub inverse: Option<Intent>,
}

impl Overlay {
    /// The line that is being typed in.
    pub fn input(&mut self) -> Option<&mut Input> {
        match self {
            Overlay::Ask(ask) => Some(&mut ask.input),
            Overlay::Choose(choose) => Some(&mut choose.input),
            Overlay::Confirm(_) | Overlay::Help { .. } | Overlay::Messages { .. } | Overlay::Meet(_) | Overlay::Access { .. } => None,
        }
    }

    pub fn scroll(&mut self, by: isize) {
        match self {
            Overlay::Ask(ask) => ask.step(by),
            Overlay::Choose(choose) => choose.step(by),
            Overlay::Confirm(Confirm { top, .. })
            | Overlay::Help { top }
            | Overlay::Messages { top }
            | Overlay::Access { top, .. }
            | Overlay::Meet(meet::Asked { top, .. }) => {
                *top = top.saturating_add_signed(by);
            }
        }
    }

    pub fn chosen(&self) -> Option<&Choice> {
        match self {
            Overlay::Choose(choose) => choose.chosen(),
            Overlay::Ask(_) | Overlay::Confirm(_) | Overlay::Help { .. } | Overlay::Messages { .. } | Overlay::Meet(_) | Overlay::Access { .. } => None,
        }
    }
}
