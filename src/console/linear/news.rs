//! What happened while one reads or types: said in lines as it comes, in a storm a few and a count.

use std::collections::{BTreeMap, VecDeque};

use super::words;
use crate::console::state::State;
use crate::model::id::{AlertRef, EventId};
use crate::model::severity::Severity;
use crate::model::time::Span;
use crate::model::view::alerts::{AlertRow, Asks};

/// Lines that are said at once within [`WINDOW`].
const BURST: usize = 5;
const WINDOW: Span = Span::from_secs(10);
/// Lines that an empty line is answered with.
const ANSWER: usize = 20;
/// Lines that are kept for that.
const KEPT: usize = 200;

#[derive(Debug, Default)]
pub struct News {
    known: BTreeMap<AlertRef, Known>,
    /// When the last few lines were said.
    said: VecDeque<Span>,
    /// Lines that were held back in a storm.
    held: usize,
    /// What happened since somebody last asked, and was not said at once.
    quiet: VecDeque<String>,
    /// More than were kept.
    dropped: usize,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Known {
    episode: EventId,
    severity: Severity,
    somebody: Option<String>,
    /// "shop/varnish hit rate 12 %".
    name: String,
    asks: Asks,
    effect: bool,
}

impl Known {
    fn of(row: &AlertRow) -> Known {
        Known {
            episode: row.episode,
            severity: row.severity,
            somebody: row.somebody.clone(),
            name: format!("{} {}", row.name, row.title),
            asks: row.asks(),
            effect: row.cause.is_some(),
        }
    }

    /// Worth a line at once: it asks for the reader, and stands for itself.
    fn is_loud(&self) -> bool {
        self.asks == Asks::You && !self.effect
    }
}

impl News {
    /// What is open now is no news.
    pub fn know(&mut self, state: &State) {
        self.known = state.rows.iter().map(|row| (row.alert, Known::of(row))).collect();
    }

    /// What is to be said now of what changed since the last time, and of what the console said itself.
    pub fn hear(&mut self, state: &State, messages: Vec<String>) -> Vec<String> {
        let mut loud = messages;
        let now: BTreeMap<AlertRef, Known> = state.rows.iter().map(|row| (row.alert, Known::of(row))).collect();
        for row in &state.rows {
            let (Some(is), was) = (now.get(&row.alert), self.known.get(&row.alert)) else { continue };
            let words = match was {
                Some(was) if was.episode == is.episode && was.severity < is.severity => format!("{}, worse than before", words::alert(state, row)),
                Some(was) if was.episode == is.episode && was.somebody != is.somebody && is.somebody.as_deref() != Some(&*state.me.to_string()) => {
                    match &is.somebody {
                        Some(name) => format!("{} {}: {name} has it", words::condition(row), is.name),
                        None => format!("{} {}: nobody has it any more", words::condition(row), is.name),
                    }
                }
                Some(was) if was.episode == is.episode => continue,
                Some(_) | None => words::alert(state, row),
            };
            if is.is_loud() { loud.push(words) } else { self.keep(words) }
        }
        let gone: Vec<Known> = self.known.iter().filter(|(alert, _)| !now.contains_key(alert)).map(|(_, was)| was.clone()).collect();
        for was in gone {
            let words = format!("FINE {}: cleared", was.name);
            if was.is_loud() { loud.push(words) } else { self.keep(words) }
        }
        self.known = now;
        self.throttle(state.mono, loud)
    }

    fn throttle(&mut self, mono: Span, loud: Vec<String>) -> Vec<String> {
        while self.said.front().is_some_and(|at| mono.micros() - at.micros() >= WINDOW.micros()) {
            self.said.pop_front();
        }
        let mut out = Vec::new();
        for words in loud {
            if self.said.len() < BURST && self.held == 0 {
                self.said.push_back(mono);
                out.push(words);
            } else {
                self.held += 1;
                self.keep(words);
            }
        }
        if self.held > 0 && self.said.is_empty() {
            self.said.push_back(mono);
            out.push(format!("{} more, say `now`", std::mem::take(&mut self.held)));
        }
        out
    }

    fn keep(&mut self, words: String) {
        if self.quiet.len() >= KEPT {
            self.dropped += 1;
        } else {
            self.quiet.push_back(words);
        }
    }

    /// When what was held back may be counted out.
    pub fn soon(&self, mono: Span) -> Option<Span> {
        let last = self.said.back().filter(|_| self.held > 0)?;
        Some(Span::from_micros((last.micros() + WINDOW.micros() - mono.micros()).max(1_000)))
    }

    /// What an empty line is answered with: all that was not said since.
    pub fn since(&mut self, state: &State) -> Vec<String> {
        self.held = 0;
        let count = self.quiet.len() + std::mem::take(&mut self.dropped);
        let mut out: Vec<String> = std::mem::take(&mut self.quiet).into_iter().take(ANSWER).collect();
        if count > out.len() {
            out.push(format!("{} more, say `now`", count - out.len()));
        }
        if out.is_empty() {
            let silent = state.links.iter().filter(|link| !link.is_live(state.mono)).count();
            let stale = if silent > 0 && !state.links.iter().all(|link| link.is_file) {
                format!("; of {} servers, {silent} say nothing", state.links.len())
            } else {
                String::new()
            };
            out.push(format!("nothing new, {}{stale}", state.now.zoned(&state.zone).strftime("%H:%M:%S")));
        }
        out
    }
}
