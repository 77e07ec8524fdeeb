//! Stories to sentences, the most telling first.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::gather::{Episode, Gathered, Story, gather};
use super::odd::unusual_hour;
use super::part::{Clock, Part};
use super::prose::{Piece, Words};
use super::usual::{Usual, titles, usual};
use super::{Ask, Known, Sentence, SentenceKind, Today, rest, summary};
use crate::model::event::ClearReason;
use crate::model::id::{EventId, Origin, SystemId, SystemRef};
use crate::model::severity::Severity;
use crate::model::time::Time;
use crate::model::view::Sky;

/// Alerts of one check from which on they are told together.
const TOGETHER: usize = 4;
/// Sentences about alerts that one system gets; the rest is counted.
const MOST: usize = 12;

/// Where a sentence belongs.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Place {
    System(SystemRef),
    /// A server's own affairs.
    Server(usize),
}

/// A story, and what its past says of it.
pub(super) struct Judged {
    pub story: Story,
    pub usual: Option<Usual>,
    /// It is counted, not told.
    pub folded: bool,
}

pub(super) struct Teller<'a> {
    pub sky: &'a Sky,
    pub ask: &'a Ask,
    pub clock: Clock,
}

pub fn tell(sky: &Sky, known: &[Known], ask: &Ask) -> Today {
    let teller = Teller { sky, ask, clock: Clock::new(ask.until, ask.zone.clone()) };
    let mut gathered = gather(sky, known, ask);
    teller.keep_asked(&mut gathered);
    let judged: Vec<Judged> = gathered.stories.into_iter().map(|story| teller.judge(story)).collect();
    let summary = summary::summary(&teller, known, &judged, &gathered.others);
    let mut places: BTreeMap<Place, Vec<Sentence>> = BTreeMap::new();
    let mut by_system: BTreeMap<SystemRef, Vec<Judged>> = BTreeMap::new();
    for one in judged {
        by_system.entry(teller.system(one.story.server, &one.story.system)).or_default().push(one);
    }
    for (system, stories) in by_system {
        let sentences = teller.alerts(stories);
        places.entry(Place::System(system)).or_default().extend(sentences);
    }
    rest::rest(&teller, &gathered.others, &mut places);
    Today { from: ask.from, until: ask.until, summary, sections: teller.sections(places), caveats: teller.caveats(known) }
}

impl Teller<'_> {
    fn system(&self, server: usize, id: &SystemId) -> SystemRef {
        let origin = self.sky.server(server).map_or_else(Origin::default, |seen| seen.world.origin);
        SystemRef { origin, id: id.clone() }
    }

    /// The place that an event without an alert belongs to.
    pub fn place(&self, server: usize, id: Option<&SystemId>) -> Place {
        id.map_or(Place::Server(server), |id| Place::System(self.system(server, id)))
    }

    /// Leaves out what was not asked for.
    fn keep_asked(&self, gathered: &mut Gathered) {
        let Some(wanted) = &self.ask.system else { return };
        let beneath = format!("{wanted}/");
        let asked = |server: usize, id: &SystemId| {
            let name = self.sky.name_of(server, id);
            name == *wanted || name.starts_with(&beneath) || id.as_str() == wanted || id.as_str().starts_with(&beneath)
        };
        gathered.stories.retain(|story| asked(story.server, &story.system));
        gathered.others.retain(|(server, event)| event.system.as_ref().is_some_and(|id| asked(*server, id)));
    }

    fn judge(&self, story: Story) -> Judged {
        let world = self.sky.server(story.server).map(|seen| &seen.world);
        let usual = world.and_then(|world| usual(world, &story, self.ask.from, self.ask.until, &self.ask.zone));
        let folded = usual.as_ref().is_some_and(|usual| usual.usual) && story.care.who.is_none() && story.care.people.is_empty();
        Judged { story, usual, folded }
    }

    /// All sentences about one system's alerts.
    fn alerts(&self, stories: Vec<Judged>) -> Vec<Sentence> {
        let (folded, told): (Vec<Judged>, Vec<Judged>) = stories.into_iter().partition(|one| one.folded);
        let mut groups: BTreeMap<(Arc<str>, bool), Vec<Judged>> = BTreeMap::new();
        for one in told {
            let open = one.story.is_open();
            groups.entry((one.story.check.as_str().into(), open)).or_default().push(one);
        }
        let mut out: Vec<(Sentence, Vec<Judged>)> = Vec::new();
        for (_, group) in groups {
            if group.len() >= TOGETHER {
                out.push((self.together(&group), group));
            } else {
                out.extend(group.into_iter().map(|one| (self.one(&one), vec![one])));
            }
        }
        out.sort_by_key(|(sentence, _)| weight(sentence));
        let least = out.split_off(out.len().min(if out.len() > MOST { MOST - 1 } else { MOST }));
        let mut out: Vec<Sentence> = out.into_iter().map(|(sentence, _)| sentence).collect();
        if !least.is_empty() {
            let stories: Vec<Judged> = least.into_iter().flat_map(|(_, stories)| stories).collect();
            out.push(self.counted(&stories, SentenceKind::Over));
        }
        if !folded.is_empty() {
            out.push(self.counted(&folded, SentenceKind::Usual));
        }
        out
    }

    /// One alert.
    fn one(&self, one: &Judged) -> Sentence {
        let story = &one.story;
        let began = story.began(self.ask.from);
        let words = Words::new().outside(story.title.clone());
        let before = story.episodes.first().is_some_and(|first| first.from.is_none_or(|from| from < self.ask.from));
        let words = match story.episodes.as_slice() {
            [only] => self.once(words, story, only, before),
            episodes => self.often(words, story, episodes),
        };
        let mut words = self.care(words, story);
        if let Some(usual) = &one.usual {
            words = usual.say(words);
        }
        let alert = self.sky.server(story.server).and_then(|seen| seen.world.alert(story.alert));
        if alert.is_some_and(|alert| unusual_hour(alert, began, &self.ask.zone)) && !before {
            words = words.text(" Never before at this hour of the day.");
        }
        let kind = if story.is_open() { SentenceKind::StillOpen } else { SentenceKind::Over };
        self.sentence(began, before, kind, story.worst, words, story.events.clone())
    }

    fn once(&self, words: Words, story: &Story, episode: &Episode, before: bool) -> Words {
        let words = match (before, episode.from) {
            (true, Some(from)) => words.text(", open since ").time(self.clock.say(from)),
            (true, None) => words.text(", open before"),
            (false, _) => words,
        };
        let began = episode.from;
        match &episode.over {
            None if self.ask.until < self.ask.now => self.afterwards(words.text(", still open at ").time(self.clock.say(self.ask.until)), story).text("."),
            None if before && began.is_some() => words.text(", for ").length(self.ask.until.since(began.unwrap_or(self.ask.from))).text(" now."),
            None => words.text(", still open after ").length(self.ask.until.since(began.unwrap_or(self.ask.from))).text("."),
            Some(over) => {
                let words = match began {
                    Some(from) => words.text(", over after ").length(over.at.since(from)),
                    None => words.text(", over at ").time(self.clock.say(over.at)),
                };
                match over.reason {
                    ClearReason::Recovered => words.text("."),
                    ClearReason::Resolved => words.text(": ").outside(over.by.clone()).text(" says so."),
                    ClearReason::Absent => words.text(": it is no longer reported."),
                    ClearReason::Removed => words.text(": it is no longer watched."),
                }
            }
        }
    }

    fn often(&self, words: Words, story: &Story, episodes: &[Episode]) -> Words {
        let tokens: Vec<EventId> = episodes.iter().filter_map(|episode| episode.opened.or(episode.over.as_ref().map(|over| over.id))).collect();
        let last = episodes.iter().filter_map(|episode| episode.over.as_ref().map(|over| over.at).or(episode.from)).max().unwrap_or(self.ask.until);
        let longest = episodes.iter().filter_map(|episode| Some(episode.over.as_ref()?.at.since(episode.from?))).max();
        let mut words = words.text(", ").count(tokens, "time", "times").text(" until ").time(self.clock.say(last));
        if let Some(longest) = longest {
            words = words.text(", at most for ").length(longest);
        }
        if story.is_open() {
            let since = episodes.last().and_then(|last| last.from);
            words = words.text("; open again since ").time(self.clock.say(since.unwrap_or(self.ask.from)));
        }
        words.text(".")
    }

    /// When it ended after the span, if that is known.
    fn afterwards(&self, words: Words, story: &Story) -> Words {
        let began = story.episodes.last().and_then(|last| last.from);
        let alert = self.sky.server(story.server).and_then(|seen| seen.world.alert(story.alert));
        let over = alert.and_then(|alert| alert.past.iter().find(|past| Some(past.from) == began && past.until >= self.ask.until));
        match (over, began) {
            (Some(past), Some(from)) => words.text(", over later after ").length(past.until.since(from)),
            _ => words,
        }
    }

    /// Who has it.
    fn care(&self, words: Words, story: &Story) -> Words {
        let care = &story.care;
        let words = match (&care.who, story.is_open()) {
            (Some((who, at)), true) => words.text(" ").outside(who.clone()).text(" has it, since ").time(self.clock.say(*at)).text("."),
            (None, true) if care.snoozed.is_none() => words.text(" Nobody has it."),
            (None, true) => words,
            (Some((who, _)), false) => words.text(" ").outside(who.clone()).text(" had it."),
            (None, false) => words,
        };
        match &care.snoozed {
            Some((who, until)) if story.is_open() => words.text(" ").outside(who.clone()).text(" put it off until ").time(self.clock.say(*until)).text("."),
            Some(_) | None => words,
        }
    }

    /// Many alerts of one check.
    fn together(&self, group: &[Judged]) -> Sentence {
        let stories = || group.iter().map(|one| &one.story);
        let check: Arc<str> = stories().next().map_or_else(|| "".into(), |story| story.check.as_str().into());
        let open = stories().any(Story::is_open);
        let tokens = stories().map(Story::token).collect();
        let words = Words::new().count(tokens, "alert", "alerts").text(" of ").outside(check);
        let words = if open { words.text(", still open.") } else { self.all_over(words, group) };
        let worst = stories().max_by_key(|story| (story.worst, std::cmp::Reverse(story.began(self.ask.from)))).map(|story| story.title.clone());
        let words = words.text(" The worst: ").outside(worst.unwrap_or_default()).text(".");
        let who: Vec<Arc<str>> = people(stories());
        let words = match (who.is_empty(), open) {
            (false, _) => names(words.text(" "), &who).text(" looked after it."),
            (true, true) => words.text(" Nobody has them."),
            (true, false) => words,
        };
        let kind = if open { SentenceKind::StillOpen } else { SentenceKind::Over };
        self.of_many(group, kind, words)
    }

    fn all_over(&self, words: Words, group: &[Judged]) -> Words {
        let episodes = || group.iter().flat_map(|one| &one.story.episodes);
        let last = episodes().filter_map(|episode| episode.over.as_ref().map(|over| over.at)).max();
        let longest = episodes().filter_map(|episode| Some(episode.over.as_ref()?.at.since(episode.from?))).max();
        let words = match last {
            Some(last) => words.text(", all over by ").time(self.clock.say(last)),
            None => words.text(", all over"),
        };
        match longest {
            Some(longest) => words.text(", at most for ").length(longest).text("."),
            None => words.text("."),
        }
    }

    /// Alerts that are counted, not told one by one.
    fn counted(&self, stories: &[Judged], kind: SentenceKind) -> Sentence {
        let (open, over): (Vec<&Judged>, Vec<&Judged>) = stories.iter().partition(|one| one.story.is_open());
        let tokens = |of: &[&Judged]| of.iter().map(|one| one.story.token()).collect::<Vec<_>>();
        let words = Words::new().text(if kind == SentenceKind::Usual { "As usual: " } else { "Beside these: " });
        let words = match (open.is_empty(), over.is_empty()) {
            (true, _) => words.count(tokens(&over), "alert came and went", "alerts came and went"),
            (false, true) => words.count(tokens(&open), "alert is open", "alerts are open"),
            (false, false) => words.count(tokens(&open), "alert is open", "alerts are open").text(", ").count(tokens(&over), "came and went", "came and went"),
        };
        let titles = titles(stories.iter().map(|one| &one.story));
        let words = if titles.len() <= 3 { words.text(" (").names(&titles, 3, |_| Piece::Text("more")).text(")") } else { words };
        self.of_many(stories, kind, words.text("."))
    }

    fn of_many(&self, group: &[Judged], kind: SentenceKind, words: Words) -> Sentence {
        let began = group.iter().map(|one| one.story.began(self.ask.from)).filter(|at| *at >= self.ask.from).min();
        let worst = group.iter().map(|one| one.story.worst).max().unwrap_or_default();
        let events: BTreeSet<EventId> = group.iter().flat_map(|one| one.story.events.iter().copied()).collect();
        self.sentence(began.unwrap_or(self.ask.from), began.is_none(), kind, worst, words, events.into_iter().collect())
    }

    pub fn sentence(&self, at: Time, before: bool, kind: SentenceKind, severity: Severity, words: Words, events: Vec<EventId>) -> Sentence {
        let part = if before { Part::Before } else { Part::of(at, &self.ask.zone) };
        let when = if before { String::new() } else { self.clock.say(at) };
        Sentence { at, part, when, kind, severity, words, events }
    }
}

pub(super) fn people<'a>(stories: impl Iterator<Item = &'a Story>) -> Vec<Arc<str>> {
    let all: BTreeSet<Arc<str>> =
        stories.flat_map(|story| story.care.people.iter().cloned().chain(story.care.who.iter().map(|(who, _)| who.clone()))).collect();
    all.into_iter().collect()
}

pub(super) fn names(words: Words, names: &[Arc<str>]) -> Words {
    words.names(names, 4, |_| Piece::Text("others"))
}

/// The most telling first: open before over, worse before better, long before short.
fn weight(sentence: &Sentence) -> impl Ord + use<> {
    (sentence.kind, std::cmp::Reverse(sentence.severity), std::cmp::Reverse(sentence.events.len()), sentence.at, sentence.events.first().copied())
}
