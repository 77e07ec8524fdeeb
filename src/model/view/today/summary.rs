//! What must be said first, in four sentences at most.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::gather::Story;
use super::part::Part;
use super::prose::{Piece, Words};
use super::tell::{Judged, Teller, names, people};
use super::{Known, Reach, Sentence, SentenceKind};
use crate::model::event::{Actor, Event, Kind};
use crate::model::id::EventId;
use crate::model::severity::Severity;
use crate::model::view::Freshness;

pub(super) fn summary(teller: &Teller<'_>, known: &[Known], judged: &[Judged], others: &[(usize, Arc<Event>)]) -> Vec<Sentence> {
    let servers = &teller.sky.servers;
    // No verdict on what nobody could ask.
    if servers.iter().all(|seen| seen.freshness == Freshness::Never) && known.iter().all(|known| known.events.is_empty()) {
        return vec![say(teller, Severity::Unknown, Words::new().text("No server could be asked: what happened is not known."), Vec::new())];
    }
    let told: Vec<&Story> = judged.iter().filter(|one| !one.folded).map(|one| &one.story).collect();
    let (new, old): (Vec<&Story>, Vec<&Story>) = told.iter().partition(|story| story.began(teller.ask.from) >= teller.ask.from && from_known(story));
    let mut out = vec![problems(teller, known, &new, &old)];
    out.extend(worst(teller, &told));
    out.extend(work(teller, &told, others));
    out.extend(usual(teller, judged));
    out
}

fn from_known(story: &Story) -> bool {
    story.episodes.first().is_some_and(|first| first.from.is_some())
}

/// One piece for so many stories; those of which no event is known are counted beside.
fn count(stories: &[&Story], one: &'static str, many: &'static str) -> Piece {
    Piece::Count { of: stories.iter().map(|story| story.token()).collect(), one, many }
}

fn problems(teller: &Teller<'_>, known: &[Known], new: &[&Story], old: &[&Story]) -> Sentence {
    let split = |stories: &[&'_ Story]| -> (Vec<EventId>, Vec<EventId>) {
        let (open, over): (Vec<&Story>, Vec<&Story>) = stories.iter().copied().partition(|story| story.is_open());
        (open.iter().map(|story| story.token()).collect(), over.iter().map(|story| story.token()).collect())
    };
    let ((new_open, new_over), (old_open, old_over)) = (split(new), split(old));
    let mut words = Words::new();
    if new.is_empty() {
        let sure = known.iter().all(|known| known.reach == Reach::Whole);
        words = words.text(if sure { "No new problem." } else { "No new problem that is known." });
    } else {
        words.0.push(count(new, "problem began", "problems began"));
        words = match (new_open.len(), new_over.len()) {
            (_, 0) => words.text(if new.len() == 1 { " and is still open." } else { ", all still open." }),
            (0, _) => words.text(if new.len() == 1 { " and is over." } else { ", all over." }),
            (_, _) => words.text(": ").count(new_open, "still open", "still open").text(", ").count(new_over, "over", "over").text("."),
        };
    }
    if !old_open.is_empty() {
        words = words.text(" ").count(old_open, "is open from before.", "are open from before.");
    }
    if !old_over.is_empty() {
        words = words.text(" ").count(old_over, "from before is over.", "from before are over.");
    }
    let severity = new.iter().chain(old).filter(|story| story.is_open()).map(|story| story.worst).max().unwrap_or_default();
    let events: BTreeSet<EventId> = new.iter().chain(old).flat_map(|story| story.events.iter().copied()).collect();
    say(teller, severity, words, events.into_iter().collect())
}

/// The one that a reader should know of though they read nothing else.
fn worst(teller: &Teller<'_>, told: &[&Story]) -> Option<Sentence> {
    let open: Vec<&&Story> = told.iter().filter(|story| story.is_open() && story.worst >= Severity::Warning).collect();
    if open.len() < 2 {
        return None;
    }
    let key = |story: &Story| (story.worst, story.care.who.is_none(), std::cmp::Reverse(story.alert));
    let story = open.into_iter().max_by_key(|story| key(story))?;
    let name = teller.sky.name_of(story.server, &story.system);
    let words = Words::new().text("The worst is open at ").outside(name).text(": ").outside(story.title.clone()).text(".");
    Some(say(teller, story.worst, words, story.events.clone()))
}

fn work(teller: &Teller<'_>, told: &[&Story], others: &[(usize, Arc<Event>)]) -> Option<Sentence> {
    let mut who: BTreeSet<Arc<str>> = people(told.iter().copied()).into_iter().collect();
    let mut events: BTreeSet<EventId> = told.iter().filter(|story| !story.care.people.is_empty()).flat_map(|story| story.events.iter().copied()).collect();
    let mut changes = Vec::new();
    for (_, event) in others {
        match (&event.kind, &event.actor) {
            (Kind::Change(_), _) => changes.push(event.id),
            (_, Actor::User(user)) => {
                who.insert(user.as_str().into());
                events.insert(event.id);
            }
            _ => {}
        }
    }
    events.extend(changes.iter().copied());
    let who: Vec<Arc<str>> = who.into_iter().collect();
    let words = match (who.is_empty(), changes.is_empty()) {
        (true, true) => return None,
        (false, true) => names(Words::new(), &who).text(" worked on it; nothing was changed."),
        (true, false) => Words::new().count(changes, "change.", "changes."),
        (false, false) => names(Words::new(), &who).text(" worked on it; ").count(changes, "change.", "changes."),
    };
    Some(say(teller, Severity::Info, words, events.into_iter().collect()))
}

fn usual(teller: &Teller<'_>, judged: &[Judged]) -> Option<Sentence> {
    let folded: Vec<&Story> = judged.iter().filter(|one| one.folded).map(|one| &one.story).collect();
    if folded.is_empty() {
        return None;
    }
    let words = Words(vec![
        Piece::Text("Besides, "),
        count(&folded, "alert as usual: always so, or gone by itself.", "alerts as usual: always so, or gone by themselves."),
    ]);
    let events: BTreeSet<EventId> = folded.iter().flat_map(|story| story.events.iter().copied()).collect();
    let severity = folded.iter().map(|story| story.worst).max().unwrap_or_default();
    Some(say(teller, severity.min(Severity::Info), words, events.into_iter().collect()))
}

fn say(teller: &Teller<'_>, severity: Severity, words: Words, events: Vec<EventId>) -> Sentence {
    Sentence { at: teller.ask.from, part: Part::Before, when: String::new(), kind: SentenceKind::Summary, severity, words, events }
}
