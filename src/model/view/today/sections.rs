//! Where sentences stand: a section for each system, the ones that matter most first, and what is not known.

use std::collections::{BTreeMap, BTreeSet};

use super::part::Part;
use super::prose::{Piece, Words};
use super::tell::{Place, Teller};
use super::{Known, Reach, Section, Sentence, SentenceKind};
use crate::model::event::Kind;
use crate::model::id::{EventId, SystemRef};
use crate::model::time::Time;
use crate::model::view::Freshness;

/// Systems that are told of one by one.
const SECTIONS: usize = 40;

impl Teller<'_> {
    pub(super) fn sections(&self, places: BTreeMap<Place, Vec<Sentence>>) -> Vec<Section> {
        let mut sections: Vec<Section> = places
            .into_iter()
            .filter(|(_, sentences)| !sentences.is_empty())
            .map(|(place, mut sentences)| {
                // In the order of the day; what is usual comes last.
                sentences.sort_by(|a, b| {
                    let key = |s: &Sentence| (s.kind == SentenceKind::Usual, s.part, s.at, s.kind, s.events.first().copied());
                    key(a).cmp(&key(b))
                });
                let (system, name, title) = self.heading(&place);
                Section { system, name, title, sentences }
            })
            .collect();
        sections.sort_by(|a, b| section_weight(a).cmp(&section_weight(b)).then_with(|| a.name.cmp(&b.name)));
        let quiet = sections.iter().position(|section| section.sentences.iter().all(|s| s.kind == SentenceKind::Usual)).unwrap_or(sections.len());
        let rest = sections.split_off(quiet.min(SECTIONS));
        sections.extend(self.elsewhere(rest));
        sections
    }

    fn heading(&self, place: &Place) -> (Option<SystemRef>, String, String) {
        match place {
            Place::System(system) => match self.sky.of_origin(system.origin) {
                Some((index, seen)) => {
                    let (name, title) = (self.sky.name_of(index, &system.id), seen.world.title_of(&system.id).to_owned());
                    let title = if title == name || title == system.id.as_str() { String::new() } else { title };
                    (Some(system.clone()), name, title)
                }
                None => (Some(system.clone()), system.id.to_string(), String::new()),
            },
            Place::Server(index) => {
                let name = self.sky.server(*index).map_or_else(String::new, |seen| seen.name.to_string());
                (None, name, "the server itself".to_owned())
            }
        }
    }

    /// Systems of which there is little to say, in one section.
    fn elsewhere(&self, rest: Vec<Section>) -> Option<Section> {
        let mut sentences: Vec<Sentence> = Vec::new();
        for section in &rest {
            let system = section.sentences.first().and_then(|sentence| sentence.events.first()).copied();
            let events: BTreeSet<EventId> = section.sentences.iter().flat_map(|sentence| sentence.events.iter().copied()).collect();
            let worst = section.sentences.iter().map(|sentence| sentence.severity).max().unwrap_or_default();
            let usual = section.sentences.iter().all(|sentence| sentence.kind == SentenceKind::Usual);
            let mut words = Words::new().outside(section.name.as_str()).text(": ");
            for (place, sentence) in section.sentences.iter().filter(|s| usual || s.kind != SentenceKind::Usual).take(1).enumerate() {
                words = if place > 0 { words.text(" ") } else { words }.and(shortened(&sentence.words));
            }
            let kind = if usual { SentenceKind::Usual } else { SentenceKind::Over };
            if system.is_some() || !events.is_empty() {
                let mut sentence = self.sentence(self.ask.from, true, kind, worst, words, events.into_iter().collect());
                sentence.part = section.sentences.first().map_or(Part::Before, |first| first.part);
                sentences.push(sentence);
            }
        }
        (!sentences.is_empty()).then(|| Section { system: None, name: "elsewhere".to_owned(), title: "as usual, or of less weight".to_owned(), sentences })
    }

    pub(super) fn caveats(&self, known: &[Known]) -> Vec<String> {
        let mut out = Vec::new();
        for (index, seen) in self.sky.servers.iter().enumerate() {
            let name = &seen.name;
            match seen.freshness {
                Freshness::Live { .. } => {}
                Freshness::Stale { age } => {
                    out.push(format!("{name} says nothing now (last heard {} ago): what follows of it is how it was then.", super::long(age)))
                }
                Freshness::Never => out.push(format!("{name} could not be asked: what happened there is not known.")),
            }
            match known.get(index).map_or(Reach::Unreached, |known| known.reach) {
                Reach::Whole => {}
                Reach::Since(at) => {
                    out.push(format!("{name} keeps nothing from before {}: what happened there earlier is told as far as known.", self.clock.say(at)))
                }
                Reach::To(at) => out.push(format!("{name} has more to tell than fits: what happened there after {} is left out.", self.clock.say(at))),
                Reach::Asked => out.push(format!("{name} is being asked; what follows of it may not be all.")),
                Reach::Unreached if seen.freshness == Freshness::Never => {}
                Reach::Unreached => out.push(format!("{name} could not be asked for its past; what follows of it is told as far as known.")),
            }
            let told = |span: &(Time, Time)| {
                known
                    .get(index)
                    .is_some_and(|known| known.events.iter().any(|event| matches!(&event.kind, Kind::Unwatched(gap) if (gap.from, gap.until) == *span)))
            };
            for (a, b) in seen.world.unwatched.iter().filter(|(a, b)| *a < self.ask.until && *b > self.ask.from).filter(|span| !told(span)) {
                out.push(format!("Nobody watched for {name} from {} to {}.", self.clock.say(*a), self.clock.say(*b)));
            }
        }
        out
    }
}

/// The first piece of usual words stands after a name: without its own opening.
fn shortened(words: &Words) -> Words {
    Words(words.0.iter().skip(usize::from(matches!(words.0.first(), Some(Piece::Text("As usual: "))))).cloned().collect())
}

/// What is open comes first, then what is not only usual, then what was worst; longer ones before short ones.
fn section_weight(section: &Section) -> impl Ord + use<> {
    let worst = |kind: &[SentenceKind]| section.sentences.iter().filter(|sentence| kind.contains(&sentence.kind)).map(|sentence| sentence.severity).max();
    let quiet = section.sentences.iter().all(|sentence| sentence.kind == SentenceKind::Usual);
    let told = [SentenceKind::Over, SentenceKind::Odd, SentenceKind::Said, SentenceKind::Changed, SentenceKind::Did];
    (std::cmp::Reverse(worst(&[SentenceKind::StillOpen])), quiet, std::cmp::Reverse(worst(&told)), std::cmp::Reverse(section.sentences.len()))
}
