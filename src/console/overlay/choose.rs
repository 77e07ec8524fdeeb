//! Choosing by typing: the palette over all commands, and find over everything that has a name.

use std::sync::Arc;

use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};

use crate::command::Pane;
use crate::console::input::Input;
use crate::model::id::{AlertRef, SystemRef};

#[derive(Clone, PartialEq, Debug)]
pub struct Choose {
    pub title: &'static str,
    pub input: Input,
    pub all: Arc<Vec<Choice>>,
    /// Indices into `all`, best first.
    pub hits: Vec<usize>,
    pub selected: usize,
    pub error: Option<String>,
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
}

impl Choose {
    pub fn new(title: &'static str, text: &str, all: Vec<Choice>) -> Choose {
        let mut choose = Choose { title, input: Input::new(text), all: Arc::new(all), hits: Vec::new(), selected: 0, error: None };
        choose.search();
        choose
    }

    /// The text changed: look again.
    pub fn search(&mut self) {
        self.error = None;
        self.selected = 0;
        let text = self.input.text().trim();
        // What follows a command's name is its argument, not part of the name.
        let wanted = if self.title == "command" { text.split_whitespace().next().unwrap_or("") } else { text };
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
    }

    pub fn step(&mut self, by: isize) {
        self.selected = self.selected.saturating_add_signed(by).min(self.hits.len().saturating_sub(1));
    }

    pub fn chosen(&self) -> Option<&Choice> {
        self.all.get(*self.hits.get(self.selected)?)
    }
}
