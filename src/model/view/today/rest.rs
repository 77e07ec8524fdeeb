//! What is no alert's: changes, what people said and did, servers and agents that were silent, warnings in
//! logs. Few are told one by one, many of a kind together. Whatever is a warning or worse is told.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::odd::is_odd;
use super::prose::Words;
use super::tell::{Place, Teller};
use super::{Sentence, SentenceKind};
use crate::model::event::{Actor, AgentReturned, Event, Kind, Unwatched};
use crate::model::id::EventId;
use crate::model::severity::Severity;

/// So many of a kind are told one by one.
const EACH: usize = 3;

/// What is told alike.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Theme {
    kind: SentenceKind,
    /// The kind of event, so that unlike things are not counted together.
    event: Arc<str>,
    /// Whose they are, where that matters.
    who: Option<Arc<str>>,
    one: &'static str,
    many: &'static str,
}

pub(super) fn rest(teller: &Teller<'_>, others: &[(usize, Arc<Event>)], places: &mut BTreeMap<Place, Vec<Sentence>>) {
    let mut themes: BTreeMap<(Place, Theme), Vec<&Event>> = BTreeMap::new();
    for (server, event) in others {
        if let Some(theme) = theme(event) {
            themes.entry((teller.place(*server, event.system.as_ref()), theme)).or_default().push(event);
        }
    }
    for ((place, theme), events) in themes {
        let sentences = places.entry(place).or_default();
        if events.len() <= EACH || (theme.kind == SentenceKind::Did && events.len() <= EACH * 2) {
            sentences.extend(events.into_iter().map(|event| each(teller, &theme, event)));
        } else {
            sentences.extend(together(teller, &theme, &events));
        }
    }
}

/// How an event is told; not at all when nobody misses it.
fn theme(event: &Event) -> Option<Theme> {
    let who = || Some(Arc::from(event.actor.name()));
    let by_person = matches!(event.actor, Actor::User(_));
    let bad = event.severity >= Severity::Warning;
    let theme = |kind, who, one, many| Some(Theme { kind, event: event.kind.name().into(), who, one, many });
    match &event.kind {
        _ if is_odd(event) => theme(SentenceKind::Odd, None, "silence or failure of what watches", "silences and failures of what watches"),
        Kind::Change(_) => theme(SentenceKind::Changed, who(), "change", "changes"),
        Kind::RepositoryRewritten(_) => theme(SentenceKind::Changed, None, "rewritten branch", "rewritten branches"),
        Kind::Note(_) => theme(SentenceKind::Did, who(), "note", "notes"),
        Kind::ServerStarted(_) => theme(SentenceKind::Changed, None, "start", "starts"),
        Kind::ConfigApplied(_) => theme(SentenceKind::Changed, None, "new configuration", "new configurations"),
        Kind::GlossaryDeclared(_) => theme(SentenceKind::Changed, None, "new glossary", "new glossaries"),
        Kind::SystemDeclared(_) => theme(SentenceKind::Changed, None, "description of a system", "descriptions of systems"),
        Kind::SystemRemoved(_) => theme(SentenceKind::Changed, None, "system taken out", "systems taken out"),
        Kind::InventoryChanged(changed) if !changed.changed.is_empty() => theme(SentenceKind::Changed, None, "change of a machine", "changes of machines"),
        Kind::CheckRemoved(_) => theme(SentenceKind::Changed, None, "check taken out", "checks taken out"),
        Kind::SilenceSeen(_) => theme(SentenceKind::Changed, None, "new silence", "new silences"),
        Kind::SilenceGone(_) => theme(SentenceKind::Changed, None, "silence ended", "silences ended"),
        Kind::LogLine(_) if bad => theme(SentenceKind::Said, None, "warning in the log", "warnings in the log"),
        Kind::Other(_) if bad => theme(SentenceKind::Said, None, "warning", "warnings"),
        Kind::Other(_) if event.severity >= Severity::Info => theme(SentenceKind::Did, None, "other event", "other events"),
        _ if by_person => theme(SentenceKind::Did, who(), "deed", "deeds"),
        _ if bad => theme(SentenceKind::Said, None, "warning", "warnings"),
        _ => None,
    }
}

fn each(teller: &Teller<'_>, theme: &Theme, event: &Event) -> Sentence {
    let title = || event.title.clone();
    let words = match &event.kind {
        Kind::Change(_) => Words::new().outside(event.actor.name()).text(": ").outside(title()).text("."),
        Kind::Note(_) => Words::new().outside(event.actor.name()).text(" noted: “").outside(title()).text("”"),
        Kind::Unwatched(Unwatched { from, until }) => {
            Words::new().text("Nobody watched from ").time(teller.clock.say(*from)).text(" to ").time(teller.clock.say(*until)).text(".")
        }
        Kind::AgentReturned(AgentReturned { agent, silent_since }) => {
            Words::new().text("Agent ").outside(agent.as_str()).text(" is back, after ").length(event.at.since(*silent_since)).text(" of silence.")
        }
        _ => Words::new().outside(title()).text("."),
    };
    teller.sentence(event.at, false, theme.kind, event.severity, words, vec![event.id])
}

fn together(teller: &Teller<'_>, theme: &Theme, events: &[&Event]) -> Option<Sentence> {
    let (first, last) = (events.first()?, events.last()?);
    let ids: Vec<EventId> = events.iter().map(|event| event.id).collect();
    let worst = events.iter().map(|event| event.severity).max().unwrap_or_default();
    let telling = if theme.kind == SentenceKind::Said { events.iter().find(|event| event.severity == worst).unwrap_or(first) } else { last };
    let words = Words::new().count(ids.clone(), theme.one, theme.many);
    let words = match &theme.who {
        Some(who) => words.text(" by ").outside(who.clone()),
        None => words,
    };
    let words = words.text(" until ").time(teller.clock.say(last.at));
    let words = words.text(if theme.kind == SentenceKind::Said { ", the worst: “" } else { ", the last: “" }).outside(telling.title.clone()).text("”");
    Some(teller.sentence(first.at, false, theme.kind, worst, words, ids))
}
