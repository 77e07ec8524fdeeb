//! Today: what happened in a span, in plain words, for somebody who has not looked for long.
//!
//! Made from the events of the span alone, and from what the worlds know of the time before: what an alert
//! is called, whether it is usual, what was open already. [`gather`] makes stories of the events, [`tell`]
//! says them, most telling first, [`sections`] puts them in order; [`prose`] has numbers, lengths and times as people say them. Each
//! sentence names the events that it was made from. The same events give the same text, in whatever order
//! they came; no event of a warning or worse is left out.

mod gather;
mod odd;
mod part;
mod prose;
pub mod reading;
mod rest;
mod sections;
pub mod span;
mod summary;
mod tell;
mod usual;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use jiff::tz::TimeZone;

use crate::model::event::Event;
use crate::model::id::{EventId, SystemRef};
use crate::model::severity::Severity;
use crate::model::time::Time;

pub use part::{DayPart, Part};
pub use prose::{Piece, Words, long};
pub use tell::tell;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Ask {
    pub from: Time,
    /// Exclusive, and not after `now`.
    pub until: Time,
    pub now: Time,
    /// The reader's zone: parts of the day, and times in words.
    pub zone: TimeZone,
    /// Only this system and what stands beneath it by name.
    pub system: Option<String>,
}

/// What is held of one server's events in the span.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// In any order; what lies outside the span is left alone.
    pub events: Vec<Arc<Event>>,
    pub reach: Reach,
}

/// How much of the span the events of one server cover.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Reach {
    /// All of it.
    Whole,
    /// What happened before this is no longer kept there.
    Since(Time),
    /// There is more than is read; what happened after this is not told.
    To(Time),
    /// It was asked, and has not told all yet.
    #[default]
    Asked,
    /// It could not be asked.
    Unreached,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Today {
    pub from: Time,
    pub until: Time,
    /// What must be said first: how much broke, what is open, and who worked on it.
    pub summary: Vec<Sentence>,
    pub sections: Vec<Section>,
    /// What is not known: servers that cannot be asked, spans in which nobody watched, what is no longer kept.
    pub caveats: Vec<String>,
}

/// One system; or a server's own affairs; or all that is left.
#[derive(Clone, PartialEq, Debug)]
pub struct Section {
    pub system: Option<SystemRef>,
    pub name: String,
    /// As people call it; empty when that is the name.
    pub title: String,
    pub sentences: Vec<Sentence>,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Sentence {
    /// When it began; in the span, but for what was open before.
    pub at: Time,
    pub part: Part,
    /// The time as it stands before the words: "02:41", "Fri 20:15".
    pub when: String,
    pub kind: SentenceKind,
    pub severity: Severity,
    pub words: Words,
    /// The events that it was made from, in order, each once.
    pub events: Vec<EventId>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum SentenceKind {
    Summary,
    StillOpen,
    Over,
    /// A check or server that is silent, a log that was restored: what a careful reader stumbles over.
    Odd,
    Changed,
    Did,
    /// Warnings that no alert speaks of.
    Said,
    /// What always is so, or goes away by itself.
    Usual,
}

impl SentenceKind {
    /// As it stands in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            SentenceKind::Summary => "summary",
            SentenceKind::StillOpen => "open",
            SentenceKind::Over => "over",
            SentenceKind::Odd => "odd",
            SentenceKind::Changed => "changed",
            SentenceKind::Did => "did",
            SentenceKind::Said => "said",
            SentenceKind::Usual => "usual",
        }
    }
}

impl Today {
    pub fn sentences(&self) -> impl Iterator<Item = &Sentence> {
        self.summary.iter().chain(self.sections.iter().flat_map(|section| &section.sentences))
    }

    /// The text as one, for whoever looks for words in it.
    pub fn text(&self) -> String {
        self.sentences().map(|sentence| sentence.words.to_string()).collect::<Vec<_>>().join("\n")
    }
}
