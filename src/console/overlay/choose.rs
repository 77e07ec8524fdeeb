//! Choosing by typing: the palette over all commands, and find over everything that has a name.

use std::sync::Arc;

use super::rank::{Question, Rank};
use crate::command::Pane;
use crate::console::input::Input;
use crate::model::id::{AlertRef, EventId, GrantId, SystemRef};
use crate::model::time::Time;

/// Events that are listed, the best ones.
pub const EVENTS: usize = 200;

#[derive(Clone, PartialEq, Debug)]
pub struct Choose {
    pub of: Of,
    pub input: Input,
    pub all: Arc<Vec<Choice>>,
    /// Indices into `all`, best first.
    pub hits: Vec<usize>,
    scores: Vec<(Rank, usize)>,
    /// How many of `all` were there from the start; events that match come after them.
    named: usize,
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
    /// Of the timeline.
    Bookmarks,
    /// What a sentence was made from.
    Events,
    /// The glossary.
    Words,
    /// What a server has given out: to take one back, or to invite somebody again.
    Revoke,
    InviteAgain,
}

impl Of {
    pub const fn title(self) -> &'static str {
        match self {
            Of::Commands => "command",
            Of::Anything => "find",
            Of::Themes => "theme",
            Of::Views => "saved views",
            Of::Bookmarks => "bookmark",
            Of::Events => "events",
            Of::Words => "words",
            Of::Revoke => "revoke which",
            Of::InviteAgain => "invite whom again",
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
    /// On the timeline.
    Place(crate::console::timeline::Place),
    Pane(Pane),
    Event(EventId, Time),
    /// What somebody did.
    Person(String),
    /// An address for the browser.
    Web(String),
    Theme(String),
    View(String),
    /// What one sees, under this name.
    SaveView(String),
    /// A grant or an invite of a server.
    Revoke(usize, GrantId),
    InviteAgain(usize, GrantId),
    /// Only read.
    Nothing,
}

impl Choose {
    pub fn new(of: Of, text: &str, all: Vec<Choice>) -> Choose {
        let mut choose = Choose { of, input: Input::new(text), all: Arc::new(all), hits: Vec::new(), scores: Vec::new(), named: 0, selected: 0, error: None };
        choose.named = choose.all.len();
        choose.search();
        choose
    }

    /// The text changed: look again.
    pub fn search(&mut self) {
        self.error = None;
        self.selected = 0;
        if self.of == Of::Anything && self.all.len() > self.named {
            Arc::make_mut(&mut self.all).truncate(self.named);
        }
        self.scores.clear();
        let text = self.input.text().trim();
        // What follows a command's name is its argument, not part of the name.
        let wanted = if self.of == Of::Commands { text.split_whitespace().next().unwrap_or("") } else { text };
        if wanted.is_empty() {
            self.hits = (0..self.all.len()).collect();
            return;
        }
        let mut question = Question::new(wanted);
        let mut scored: Vec<(Rank, usize)> =
            self.all.iter().enumerate().filter_map(|(place, choice)| question.rank(choice, true).map(|rank| (rank, place))).collect();
        scored.sort_by_key(|(score, place)| (std::cmp::Reverse(*score), *place));
        self.hits = scored.iter().map(|(_, place)| *place).collect();
        self.scores = scored;
        // What is there goes before what could be made.
        let all = &self.all;
        self.hits.sort_by_key(|hit| matches!(all.get(*hit), Some(Choice { goal: Goal::SaveView(_), .. })));
    }

    pub fn step(&mut self, by: isize) {
        self.selected = self.selected.saturating_add_signed(by).min(self.hits.len().saturating_sub(1));
    }

    /// Adds what matches of these events; the selection stays on its row. What is there already is not added again.
    pub fn add(&mut self, found: Vec<Choice>) {
        let Some(mut question) = self.question() else { return };
        let floor = self.floor();
        let ranked =
            found.into_iter().filter_map(|choice| Some((question.rank(&choice, false).filter(|rank| floor.is_none_or(|floor| *rank > floor))?, choice)));
        self.take(ranked.collect());
    }

    /// What was typed, for events that are looked through; nothing: nothing was.
    pub fn question(&self) -> Option<Question> {
        let text = self.input.text().trim();
        (!text.is_empty()).then(|| Question::new(text))
    }

    /// Once there are many events, only those that go before this one are worth a place.
    pub fn floor(&self) -> Option<Rank> {
        self.scores.iter().filter(|(_, place)| *place >= self.named).nth(EVENTS - 1).map(|(rank, _)| *rank)
    }

    /// Lists these events, the best of all that were found so far.
    pub fn take(&mut self, found: Vec<(Rank, Choice)>) {
        let kept = self.hits.get(self.selected).copied().filter(|_| self.selected > 0).and_then(|hit| self.all.get(hit)).map(|choice| choice.goal.clone());
        let before = self.scores.len();
        for (rank, choice) in found {
            let known = self.all.get(self.named..).is_some_and(|events| events.iter().any(|other| other.goal == choice.goal));
            if !known {
                self.scores.push((rank, self.all.len()));
                Arc::make_mut(&mut self.all).push(choice);
            }
        }
        if self.scores.len() == before {
            return;
        }
        self.scores.sort_by_key(|(score, place)| (std::cmp::Reverse(*score), *place));
        self.forget_the_rest();
        self.hits = self.scores.iter().map(|(_, place)| *place).collect();
        let place = kept.and_then(|goal| self.hits.iter().position(|hit| self.all.get(*hit).is_some_and(|choice| choice.goal == goal)));
        self.selected = place.unwrap_or(self.selected).min(self.hits.len().saturating_sub(1));
    }

    /// Events that others have pushed off the list are let go.
    fn forget_the_rest(&mut self) {
        let events = self.scores.iter().filter(|(_, place)| *place >= self.named).count();
        if events <= 2 * EVENTS {
            return;
        }
        let (mut events, mut all) = (0, self.all.get(..self.named).unwrap_or_default().to_vec());
        let named = self.named;
        self.scores.retain_mut(|(_, place)| {
            if *place < named {
                return true;
            }
            events += 1;
            match self.all.get(*place).filter(|_| events <= EVENTS) {
                Some(choice) => {
                    *place = all.len();
                    all.push(choice.clone());
                    true
                }
                None => false,
            }
        });
        self.all = Arc::new(all);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::{Incarnation, Origin, Sequence};

    fn event(number: u64, text: &str) -> Choice {
        let id = EventId { origin: Origin([1; 16]), incarnation: Incarnation(1), sequence: Sequence(number) };
        Choice { text: text.into(), note: "event, info".into(), goal: Goal::Event(id, Time::from_secs(i64::try_from(number).unwrap())) }
    }

    #[test]
    fn what_is_better_has_a_place_however_late_it_is_found() {
        let named = vec![Choice { text: "dbx".into(), note: "system".into(), goal: Goal::Server(0) }];
        let mut choose = Choose::new(Of::Anything, "db", named);
        for first in (0..5_000).step_by(500) {
            choose.add((first..first + 500).rev().map(|number| event(10_000 - number, "sandbox failed")).collect());
        }
        choose.step(3);
        let chosen = choose.chosen().unwrap().clone();
        choose.add(vec![event(1, "db is down"), event(2, "the debt")]);
        let shown: Vec<&str> = choose.hits.iter().map(|hit| &*choose.all[*hit].text).collect();
        assert_eq!(shown[..2], ["db is down", "dbx"]);
        assert!(shown.len() <= 2 * EVENTS + 2 && choose.all.len() <= 2 * EVENTS + 2, "{}", choose.all.len());
        assert_eq!(choose.chosen(), Some(&chosen), "the selection stays on its row");
        choose.add(vec![event(1, "db is down")]);
        assert_eq!(choose.hits.iter().filter(|hit| choose.all[**hit].text == "db is down").count(), 1);
    }
}
