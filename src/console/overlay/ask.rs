//! A prompt: what is asked for, what was typed, what could be meant.

use crate::console::input::Input;
use crate::model::filter::Filter;
use crate::model::id::{AlertRef, SystemRef};

#[derive(Clone, PartialEq, Debug)]
pub struct Ask {
    pub purpose: Purpose,
    pub input: Input,
    /// Why what was typed cannot be taken, with the column for filters.
    pub error: Option<String>,
    /// What could be meant: words that complete, times, names.
    pub offers: Vec<String>,
    pub chosen: Option<usize>,
}

#[derive(Clone, PartialEq, Debug)]
pub enum Purpose {
    /// The filter that held before, for Esc.
    Filter {
        before: Option<Filter>,
    },
    Note {
        alerts: Vec<AlertRef>,
        system: Option<SystemRef>,
    },
    Snooze {
        alerts: Vec<AlertRef>,
    },
    Assign {
        alerts: Vec<AlertRef>,
    },
    GoTo,
}

impl Purpose {
    /// What stands before the line.
    pub fn label(&self) -> String {
        let many = |n: usize| if n == 1 { String::new() } else { format!(" {n} alerts") };
        match self {
            Purpose::Filter { .. } => "filter".to_owned(),
            Purpose::Note { alerts, system: None } => format!("note on{}", if alerts.len() == 1 { " this alert".to_owned() } else { many(alerts.len()) }),
            Purpose::Note { system: Some(system), .. } => format!("note on {}", system.id),
            Purpose::Snooze { alerts } => format!("snooze{} until", many(alerts.len())),
            Purpose::Assign { alerts } => format!("assign{} to", many(alerts.len())),
            Purpose::GoTo => "go to".to_owned(),
        }
    }
}

impl Ask {
    pub fn new(purpose: Purpose, text: &str, offers: Vec<String>) -> Ask {
        Ask { purpose, input: Input::new(text), error: None, offers, chosen: None }
    }

    /// Goes through what is offered.
    pub fn step(&mut self, by: isize) {
        if self.offers.is_empty() {
            return;
        }
        let next = match self.chosen {
            None if by >= 0 => 0,
            None => self.offers.len() - 1,
            Some(chosen) => chosen.saturating_add_signed(by).min(self.offers.len() - 1),
        };
        self.chosen = Some(next);
        if let Some(offer) = self.offers.get(next) {
            self.input = Input::new(offer);
        }
    }
}
