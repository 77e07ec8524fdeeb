//! Choosing by typing: the palette over all commands, and find over everything that has a name.

use std::sync::Arc;

use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};

use crate::command::Pane;
use crate::console::input::Input;
use crate::model::id::{AlertRef, SystemRef};

#[derive(Clone, PartialEq, Debug)]
pub struct Choose {
    pub of: Of,
    pub input: Input,
    pub all: Arc<Vec<Choice>>,
    /// Indices into `all`, best first.
    pub hits: Vec<usize>,
    pub selected: usize,
    pub error: Option<String>,
}

/// What one chooses from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Of {
    Commands,
    Anything,
    /// The one that is selected is shown at once.
    Themes,
    Views,
}

impl Of {
    pub const fn title(self) -> &'static str {
        match self {
            Of::Commands => "command",
            Of::Anything => "find",
            Of::Themes => "theme",
            Of::Views => "saved views",
        }
    }
}

#[derive(Clone, PartialEq, Debug)]
pub struct Choice {
    /// What is matched and shown.
    pub text: String,
    /// What stands beside it, muted.
    pub note: String,
    pub goal: Goal,
}

#[derive(Clone, PartialEq, Debug)]
pub enum Goal {
    /// A command's name; true: it wants more words first.
    Command(&'static str, bool),
    Alert(AlertRef),
    System(SystemRef),
    Server(usize),
    Pane(Pane),
    Theme(String),
    View(String),
    /// What one sees, under this name.
    SaveView(String),
}

impl Choose {
    pub fn new(of: Of, text: &str, all: Vec<Choice>) -> Choose {
        let mut choose = Choose { of, input: Input::new(text), all: Arc::new(all), hits: Vec::new(), selected: 0, error: None };
        choose.search();
        choose
    }

    /// The text changed: look again.
    pub fn search(&mut self) {
        self.error = None;
        self.selected = 0;
        let text = self.input.text().trim();
        // What follows a command's name is its argument, not part of the name.
        let wanted = if self.of == Of::Commands { text.split_whitespace().next().unwrap_or("") } else { text };
        if wanted.is_empty() {
            self.hits = (0..self.all.len()).collect();
            return;
        }
        let pattern = Pattern::parse(wanted, CaseMatching::Smart, Normalization::Smart);
        let mut matcher = Matcher::new(Config::DEFAULT);
        let mut buffer = Vec::new();
        let mut scored: Vec<(u32, usize)> = self
            .all
            .iter()
            .enumerate()
            .filter_map(|(place, choice)| {
                let name = pattern.score(Utf32Str::new(&choice.text, &mut buffer), &mut matcher).map(|score| score.saturating_mul(2));
                let note = pattern.score(Utf32Str::new(&choice.note, &mut buffer), &mut matcher);
                name.max(note).map(|score| (score, place))
            })
            .collect();
        scored.sort_by_key(|(score, place)| (std::cmp::Reverse(*score), *place));
        self.hits = scored.into_iter().map(|(_, place)| place).collect();
        // What is there goes before what could be made.
        let all = &self.all;
        self.hits.sort_by_key(|hit| matches!(all.get(*hit), Some(Choice { goal: Goal::SaveView(_), .. })));
    }

    pub fn step(&mut self, by: isize) {
        self.selected = self.selected.saturating_add_signed(by).min(self.hits.len().saturating_sub(1));
    }

    /// Selects the first choice that leads there.
    pub fn select(&mut self, goal: &Goal) {
        let found = self.hits.iter().position(|hit| self.all.get(*hit).is_some_and(|choice| choice.goal == *goal));
        self.selected = found.unwrap_or(self.selected);
    }

    pub fn chosen(&self) -> Option<&Choice> {
        self.all.get(*self.hits.get(self.selected)?)
    }
}
