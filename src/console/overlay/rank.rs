//! How well something answers to what was typed. First counts how it matches: as a whole, by a whole word, by
//! the beginning of its text, of a word, by what stands within, by letters in order alone. Among equals what
//! is wrong now goes before what is, and that before what was; then how close together the letters are;
//! then what is newer.

use memchr::memmem::Finder;
use nucleo_matcher::pattern::{Atom, CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher, Utf32Str};

use super::choose::{Choice, Goal};
use crate::model::time::Time;

/// How words are found in a text, from worst to best.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum How {
    /// Its letters stand in order, with others between them.
    Scattered,
    Within,
    WordStart,
    /// The text begins with it.
    TextStart,
    Word,
    /// The text is that, and nothing else.
    Whole,
}

/// What is greater goes first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Rank {
    /// Found in what is matched, and not only in what stands beside it.
    in_text: bool,
    how: How,
    kind: u8,
    close: u32,
    at: Option<Time>,
}

/// What was typed, ready to be asked of many texts.
pub struct Question {
    pattern: Pattern,
    words: Vec<Sought>,
    whole: String,
    /// All words are letters, digits and what joins them: what a text lacks can be said without the matcher.
    plain: bool,
    /// No text matches better than so: each word as a text of its own.
    closest: u32,
    matcher: Matcher,
    buffer: Vec<char>,
    lower: String,
}

/// A word of what was typed.
struct Sought {
    typed: Vec<u8>,
    /// Somebody who types a capital letter means it.
    as_typed: bool,
    lower: String,
    finder: Finder<'static>,
}

impl Sought {
    fn new(word: &str) -> Sought {
        let lower = word.to_lowercase();
        Sought { typed: word.into(), as_typed: word.chars().any(char::is_uppercase), finder: Finder::new(&lower).into_owned(), lower }
    }

    /// Whether its letters stand in a text in their order.
    fn is_in_order(&self, text: &[u8]) -> bool {
        let mut rest = text;
        self.typed.iter().all(|letter| {
            let upper = if self.as_typed { *letter } else { letter.to_ascii_uppercase() };
            let found = memchr::memchr2(*letter, upper, rest);
            rest = found.and_then(|at| rest.get(at + 1..)).unwrap_or_default();
            found.is_some()
        })
    }
}

impl Question {
    /// `^a`, `a$`, `'a` and `!a` mean what they mean elsewhere: the beginning, the end, as written, not.
    pub fn new(text: &str) -> Question {
        let unmarked = |word: &str| word.trim_start_matches(['^', '\'']).trim_end_matches('$').to_owned();
        let words = text.split_whitespace().filter(|word| !word.starts_with('!')).map(unmarked).filter(|word| !word.is_empty());
        let words: Vec<Sought> = words.map(|word| Sought::new(&word)).collect();
        let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b" -_./:=".contains(&byte));
        let pattern = Pattern::parse(text, CaseMatching::Smart, Normalization::Smart);
        let mut matcher = Matcher::new(Config::DEFAULT);
        let mut buffer = Vec::new();
        let alone = |(atom, word): (&Atom, &Sought)| {
            let text = String::from_utf8_lossy(&word.typed);
            u32::from(atom.score(Utf32Str::new(&text, &mut buffer), &mut matcher).unwrap_or(u16::MAX))
        };
        let closest = if plain { pattern.atoms.iter().zip(&words).map(alone).sum() } else { u32::MAX };
        Question { pattern, words, whole: text.trim().to_lowercase(), plain, closest, matcher, buffer, lower: String::new() }
    }

    /// The rank of an event, if it matches and goes before `floor`. `text` is its name as a choice bears it.
    pub fn rank_event(&mut self, text: &str, at: Time, floor: Option<Rank>) -> Option<Rank> {
        if self.plain && text.is_ascii() {
            if !self.words.iter().all(|word| word.is_in_order(text.as_bytes())) {
                return None;
            }
            if let Some(floor) = floor {
                let how = self.how(text);
                let close = if how == floor.how { self.closest } else { u32::MAX };
                if (Rank { in_text: true, how, kind: EVENT, close, at: Some(at) }) <= floor {
                    return None;
                }
            }
        }
        let (how, close) = self.one(text)?;
        let rank = Rank { in_text: true, how, kind: EVENT, close, at: Some(at) };
        floor.is_none_or(|floor| rank > floor).then_some(rank)
    }

    /// Nothing: it does not match. `beside`: what stands beside the text counts as well.
    pub fn rank(&mut self, choice: &Choice, beside: bool) -> Option<Rank> {
        let (kind, at) = kind(&choice.goal);
        let text = self.one(&choice.text).map(|(how, close)| Rank { in_text: true, how, kind, close, at });
        if !beside {
            return text;
        }
        // Whose a runbook is stands beside it, and is what one knows of it.
        let own = matches!(choice.goal, Goal::Web(_));
        // Sentences are long: letters that stand in order somewhere in one say nothing.
        let note = self.one(&choice.note).filter(|(how, _)| *how > How::Scattered).map(|(how, close)| Rank {
            in_text: own && how >= How::WordStart,
            how,
            kind,
            close,
            at,
        });
        match (text, note) {
            // Letters that happen to stand in order say less than a word beside it.
            (Some(text), Some(note)) if text.how == How::Scattered && note.how >= How::WordStart => Some(note),
            (Some(text), Some(note)) if own => Some(text.max(note)),
            (text, note) => text.or(note),
        }
    }

    fn one(&mut self, text: &str) -> Option<(How, u32)> {
        let close = self.pattern.score(Utf32Str::new(text, &mut self.buffer), &mut self.matcher)?;
        Some((self.how(text), close))
    }

    /// How the worst of the words is found, the text being one that matches.
    fn how(&mut self, text: &str) -> How {
        self.lower.clear();
        if text.is_ascii() {
            self.lower.push_str(text);
            self.lower.make_ascii_lowercase();
        } else {
            self.lower.push_str(&text.to_lowercase());
        }
        if !self.whole.is_empty() && self.lower == self.whole {
            return How::Whole;
        }
        self.words.iter().map(|word| how(text, &self.lower, word)).min().unwrap_or(How::Scattered)
    }
}

/// The best place of a word in a text.
fn how(text: &str, lower: &str, word: &Sought) -> How {
    // Where lower case has another length, boundaries within words are not looked for.
    let same = text.len() == lower.len();
    let mut best = How::Scattered;
    for at in word.finder.find_iter(lower.as_bytes()) {
        let end = at + word.lower.len();
        let (before, after) = (lower.get(..at).and_then(|text| text.chars().next_back()), lower.get(end..).and_then(|text| text.chars().next()));
        let hump = |place: usize| {
            let (left, right) = (text.get(..place).and_then(|text| text.chars().next_back()), text.get(place..).and_then(|text| text.chars().next()));
            same && left.is_some_and(char::is_lowercase) && right.is_some_and(char::is_uppercase)
        };
        let starts = before.is_none_or(|c| !c.is_alphanumeric()) || hump(at);
        let ends = after.is_none_or(|c| !c.is_alphanumeric()) || hump(end);
        let found = match (starts, ends) {
            (true, true) => How::Word,
            (true, false) if before.is_none() => How::TextStart,
            (true, false) => How::WordStart,
            (false, _) => How::Within,
        };
        best = best.max(found);
        if best == How::Word {
            break;
        }
    }
    best
}

/// Events come behind all that has a name, among equals.
const EVENT: u8 = 1;

/// What one more likely means, from least to most; and when it was, for what happened.
fn kind(goal: &Goal) -> (u8, Option<Time>) {
    match goal {
        Goal::Event(_, at) => (EVENT, Some(*at)),
        Goal::Place((at, _)) => (EVENT, Some(*at)),
        Goal::Command(..) => (2, None),
        Goal::Theme(_) | Goal::Pane(_) | Goal::View(_) | Goal::Revoke(..) | Goal::InviteAgain(..) | Goal::Nothing => (3, None),
        Goal::Web(_) | Goal::Person(_) => (4, None),
        Goal::Server(_) => (5, None),
        Goal::System(_) => (6, None),
        Goal::Alert(_) => (7, None),
        // What could be made goes behind all that is there.
        Goal::SaveView(_) => (0, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::command::Pane;
    use crate::model::id::{AlertRef, EventId, Fingerprint, Incarnation, Origin, Sequence, SystemRef};
    use proptest::prelude::*;

    fn choice(text: &str, note: &str, goal: Goal) -> Choice {
        Choice { text: text.into(), note: note.into(), goal }
    }

    fn event(text: &str, at: i64) -> Choice {
        let id = EventId { origin: Origin([1; 16]), incarnation: Incarnation(1), sequence: Sequence(u64::try_from(at).unwrap()) };
        choice(text, "event, info", Goal::Event(id, Time::from_secs(at)))
    }

    fn alert(text: &str) -> Choice {
        choice(text, "alert, critical", Goal::Alert(AlertRef { origin: Origin([1; 16]), alert: Fingerprint([7; 16]) }))
    }

    fn system(id: &str) -> Choice {
        choice(id, "system", Goal::System(SystemRef { origin: Origin([1; 16]), id: id.parse().unwrap() }))
    }

    /// A night's things, and what happened to them.
    fn night() -> Vec<Choice> {
        vec![
            event("shop/varnish  deploy shop 4f3a2c", 300),
            event("shop/db  odd backup of the db ended", 200),
            event("shop/db  the database was rebooted", 100),
            event("dc1/ceph  osd.12 down", 250),
            event("dc1/ceph  osd.12 down", 150),
            alert("dc1/ceph  osd.12 down"),
            alert("shop/checkout  payments 12 min late"),
            alert("shop/varnish  HitRateLow: hit rate 12 %"),
            system("dc1/ceph"),
            system("shop"),
            system("shop/db"),
            system("shop/varnish"),
            choice("kim", "person, what they did", Goal::Person("kim".into())),
            choice("Alerts", "pane", Goal::Pane(Pane::Alerts)),
            choice("alert-acknowledge", "command, acknowledges", Goal::Command("alert-acknowledge", false)),
            choice("flushing varnish", "runbook of shop/varnish", Goal::Web("https://runbooks.example/varnish".into())),
        ]
    }

    fn found(typed: &str) -> Vec<String> {
        let mut question = Question::new(typed);
        let mut out: Vec<(Rank, Choice)> = night().into_iter().filter_map(|choice| Some((question.rank(&choice, true)?, choice))).collect();
        out.sort_by_key(|(rank, _)| std::cmp::Reverse(*rank));
        let kind = |choice: &Choice| choice.note.split(',').next().unwrap_or_default().to_owned();
        out.into_iter().map(|(_, choice)| format!("{}: {}", kind(&choice), choice.text)).collect()
    }

    #[test]
    fn what_is_so_called_comes_first() {
        assert_eq!(found("shop")[0], "system: shop");
        assert_eq!(found("kim")[0], "person: kim");
        assert_eq!(found("alerts")[0], "pane: Alerts");
    }

    #[test]
    fn a_whole_word_goes_before_letters_in_order_and_what_is_wrong_before_what_was() {
        assert_eq!(found("db"), ["system: shop/db", "event: shop/db  odd backup of the db ended", "event: shop/db  the database was rebooted",]);
        assert_eq!(found("ceph")[..3], ["alert: dc1/ceph  osd.12 down", "system: dc1/ceph", "event: dc1/ceph  osd.12 down"]);
    }

    #[test]
    fn the_beginning_of_a_word_goes_before_its_middle() {
        // `pay` begins payments; in the rest it stands nowhere.
        assert_eq!(found("pay")[0], "alert: shop/checkout  payments 12 min late");
        assert_eq!(found("var")[..2], ["alert: shop/varnish  HitRateLow: hit rate 12 %", "system: shop/varnish"]);
        assert_eq!(found("rate")[0], "alert: shop/varnish  HitRateLow: hit rate 12 %");
        let all = found("oo");
        assert_eq!(all.first().map(String::as_str), Some("event: shop/db  the database was rebooted"), "{all:?}");
    }

    #[test]
    fn among_equals_what_is_newer_comes_first() {
        let mut question = Question::new("osd");
        let (old, new) = (event("osd.12 down", 150), event("osd.12 down", 250));
        assert!(question.rank(&new, true) > question.rank(&old, true));
    }

    #[test]
    fn several_words_count_by_the_worst_of_them_and_marks_are_understood() {
        assert_eq!(found("osd down")[0], "alert: dc1/ceph  osd.12 down");
        assert_eq!(found("shop hit")[0], "alert: shop/varnish  HitRateLow: hit rate 12 %");
        assert_eq!(found("^shop !db !varnish")[..2], ["alert: shop/checkout  payments 12 min late", "system: shop"]);
        assert_eq!(found("runbook varnish"), ["runbook of shop/varnish: flushing varnish"]);
        assert!(found("Varnish").is_empty(), "a capital letter means it");
    }

    proptest! {
        #[test]
        fn whatever_is_typed_ranks_the_same_things_that_match(typed in "[a-zA-ZäßİȺ/ ^!'$.]{0,12}", text in "[a-zA-ZäßİȺ/ .]{0,30}") {
            let mut question = Question::new(&typed);
            let matches = Pattern::parse(&typed, CaseMatching::Smart, Normalization::Smart)
                .score(Utf32Str::new(&text, &mut Vec::new()), &mut Matcher::new(Config::DEFAULT))
                .is_some();
            prop_assert_eq!(question.rank(&choice(&text, "", Goal::Nothing), false).is_some(), matches);
        }

        /// What is passed over quickly is what the slow way would pass over.
        #[test]
        fn an_event_is_worth_a_place_if_it_ranks_before_the_last_that_has_one(
            typed in prop_oneof!["[a-cA-C/-]{1,4}( [a-cA-C.]{1,3})?", "[a-cé^!'$ ]{1,5}"],
            texts in prop::collection::vec("[a-cA-CéK/ .-]{0,14}", 1..12),
            floor in "[a-cA-C/ .-]{0,14}",
        ) {
            let mut question = Question::new(&typed);
            let floor = question.rank(&event(&floor, 50), false);
            for (at, text) in (1..).map(|n| n * 10).zip(&texts) {
                let slow = question.rank(&event(text, at), false).filter(|rank| floor.is_none_or(|floor| *rank > floor));
                prop_assert_eq!(question.rank_event(text, Time::from_secs(at), floor), slow, "{} in {}", typed, text);
            }
        }
    }
}
