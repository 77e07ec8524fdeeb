//! When a binding holds: `pane:alerts and marked`, `not (filtered or opened)`.
//!
//! Facts are words, `pane:NAME` is one as well; `not` binds closest, then `and`, then `or`; brackets group.
//! A mistake is told with its column and the nearest right name.

use std::fmt;

use crate::command::Pane;
use crate::model::nearest::nearest;

/// What is so at a moment, as far as keys may depend on it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Facts {
    pub pane: Pane,
    /// Rows are marked.
    pub marked: bool,
    /// A filter leaves rows away.
    pub filtered: bool,
    /// The detail has all the room.
    pub opened: bool,
    /// The list has all the room.
    pub zoomed: bool,
    /// This console only reads.
    pub read_only: bool,
    /// A server cannot be reached.
    pub offline: bool,
    /// Something that was asked for has not been sent.
    pub unsent: bool,
    /// All panes are at another time than now.
    pub away: bool,
}

impl Facts {
    /// In a pane where nothing else is so.
    pub const fn of(pane: Pane) -> Facts {
        Facts { pane, marked: false, filtered: false, opened: false, zoomed: false, read_only: false, offline: false, unsent: false, away: false }
    }
}

type Test = fn(&Facts) -> bool;

/// The words that a condition may use, beside `pane:NAME`.
pub const WORDS: &[(&str, Test)] = &[
    ("marked", |facts| facts.marked),
    ("filtered", |facts| facts.filtered),
    ("opened", |facts| facts.opened),
    ("zoomed", |facts| facts.zoomed),
    ("read-only", |facts| facts.read_only),
    ("offline", |facts| facts.offline),
    ("unsent", |facts| facts.unsent),
    ("away", |facts| facts.away),
];

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Condition {
    Pane(Pane),
    /// An index into [`WORDS`].
    Word(usize),
    Not(Box<Condition>),
    And(Vec<Condition>),
    Or(Vec<Condition>),
}

/// Why a text is no condition; the column counts characters from 1.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("column {column}: {why}")]
pub struct ConditionError {
    pub column: usize,
    pub why: String,
}

/// No condition that helps anybody is longer.
const LONGEST: usize = 200;
/// Brackets within brackets.
const DEEPEST: usize = 16;

impl Condition {
    pub fn parse(text: &str) -> Result<Condition, ConditionError> {
        let end = text.chars().count() + 1;
        if end > LONGEST {
            return Err(ConditionError { column: LONGEST, why: format!("a condition has at most {LONGEST} characters") });
        }
        let tokens = tokens(text);
        let mut parser = Parser { tokens: &tokens, at: 0, end, depth: 0 };
        let condition = parser.or()?;
        match parser.peek() {
            None => Ok(condition),
            Some((column, word)) => Err(ConditionError { column, why: format!("`{word}` stands where `and`, `or` or the end was expected") }),
        }
    }

    pub fn holds(&self, facts: &Facts) -> bool {
        match self {
            Condition::Pane(pane) => facts.pane == *pane,
            Condition::Word(index) => WORDS.get(*index).is_some_and(|(_, test)| test(facts)),
            Condition::Not(inner) => !inner.holds(facts),
            Condition::And(all) => all.iter().all(|one| one.holds(facts)),
            Condition::Or(any) => any.iter().any(|one| one.holds(facts)),
        }
    }
}

impl fmt::Display for Condition {
    /// As it can be written.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let joined = |f: &mut fmt::Formatter<'_>, parts: &[Condition], word: &str| {
            for (place, part) in parts.iter().enumerate() {
                if place > 0 {
                    write!(f, " {word} ")?;
                }
                match part {
                    Condition::And(_) | Condition::Or(_) => write!(f, "({part})")?,
                    Condition::Pane(_) | Condition::Word(_) | Condition::Not(_) => part.fmt(f)?,
                }
            }
            Ok(())
        };
        match self {
            Condition::Pane(pane) => write!(f, "pane:{}", pane.name()),
            Condition::Word(index) => f.write_str(WORDS.get(*index).map_or("", |(word, _)| word)),
            Condition::Not(inner) => match &**inner {
                Condition::And(_) | Condition::Or(_) => write!(f, "not ({inner})"),
                Condition::Pane(_) | Condition::Word(_) | Condition::Not(_) => write!(f, "not {inner}"),
            },
            Condition::And(parts) => joined(f, parts, "and"),
            Condition::Or(parts) => joined(f, parts, "or"),
        }
    }
}

/// Words and brackets with their columns.
fn tokens(text: &str) -> Vec<(usize, String)> {
    let mut out: Vec<(usize, String)> = Vec::new();
    let mut open = false;
    for (column, c) in (1..).zip(text.chars()) {
        if c.is_whitespace() {
            open = false;
        } else if c == '(' || c == ')' {
            out.push((column, c.to_string()));
            open = false;
        } else if let Some((_, word)) = out.last_mut().filter(|_| open) {
            word.push(c);
        } else {
            out.push((column, c.to_string()));
            open = true;
        }
    }
    out
}

struct Parser<'a> {
    tokens: &'a [(usize, String)],
    at: usize,
    end: usize,
    depth: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<(usize, &str)> {
        self.tokens.get(self.at).map(|(column, word)| (*column, word.as_str()))
    }

    fn take(&mut self, wanted: &str) -> bool {
        let here = self.peek().is_some_and(|(_, word)| word == wanted);
        self.at += usize::from(here);
        here
    }

    fn or(&mut self) -> Result<Condition, ConditionError> {
        let mut parts = vec![self.and()?];
        while self.take("or") {
            parts.push(self.and()?);
        }
        Ok(one_or(parts, Condition::Or))
    }

    fn and(&mut self) -> Result<Condition, ConditionError> {
        let mut parts = vec![self.not()?];
        while self.take("and") {
            parts.push(self.not()?);
        }
        Ok(one_or(parts, Condition::And))
    }

    fn not(&mut self) -> Result<Condition, ConditionError> {
        let mut turned = false;
        while self.take("not") {
            turned = !turned;
        }
        let inner = self.fact()?;
        Ok(if turned { Condition::Not(Box::new(inner)) } else { inner })
    }

    fn fact(&mut self) -> Result<Condition, ConditionError> {
        let Some((column, word)) = self.tokens.get(self.at).cloned() else {
            return Err(ConditionError { column: self.end, why: format!("a fact was expected: {}", names().join(", ")) });
        };
        self.at += 1;
        if word == "(" {
            self.depth += 1;
            if self.depth > DEEPEST {
                return Err(ConditionError { column, why: format!("brackets are more than {DEEPEST} deep") });
            }
            let inner = self.or()?;
            self.depth -= 1;
            if !self.take(")") {
                return Err(ConditionError { column: self.peek().map_or(self.end, |(column, _)| column), why: "`)` was expected".into() });
            }
            return Ok(inner);
        }
        if let Some(name) = word.strip_prefix("pane:") {
            return Pane::named(name).map(Condition::Pane).ok_or_else(|| {
                let panes = Pane::ALL.map(Pane::name);
                let hint = nearest(name, panes).map_or_else(|| format!("there are {}", panes.join(", ")), |near| format!("did you mean `pane:{near}`?"));
                ConditionError { column, why: format!("there is no pane `{name}`; {hint}") }
            });
        }
        if let Some(index) = WORDS.iter().position(|(known, _)| *known == word) {
            return Ok(Condition::Word(index));
        }
        let names = names();
        let hint = match nearest(&word, names.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("there are {}", names.join(", ")),
        };
        Err(ConditionError { column, why: format!("there is no fact `{word}`; {hint}") })
    }
}

fn names() -> Vec<String> {
    WORDS.iter().map(|(word, _)| (*word).to_owned()).chain(Pane::ALL.map(|pane| format!("pane:{}", pane.name()))).collect()
}

fn one_or(mut parts: Vec<Condition>, many: fn(Vec<Condition>) -> Condition) -> Condition {
    match (parts.len(), parts.pop()) {
        (1, Some(one)) => one,
        (_, last) => many(parts.into_iter().chain(last).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn facts(pane: Pane, marked: bool) -> Facts {
        Facts { marked, ..Facts::of(pane) }
    }

    #[test]
    fn facts_are_joined_as_they_are_read_aloud() {
        let holds = |text: &str, facts: &Facts| Condition::parse(text).unwrap().holds(facts);
        assert!(holds("pane:alerts and marked", &facts(Pane::Alerts, true)));
        assert!(!holds("pane:alerts and marked", &facts(Pane::Alerts, false)));
        assert!(!holds("pane:alerts and marked", &facts(Pane::Now, true)));
        assert!(holds("pane:now or pane:alerts and marked", &facts(Pane::Now, false)), "`and` binds closer");
        assert!(!holds("(pane:now or pane:alerts) and marked", &facts(Pane::Now, false)));
        assert!(holds("not (filtered or opened)", &facts(Pane::Now, false)));
        assert!(holds("not not marked", &facts(Pane::Now, true)));
    }

    #[test]
    fn mistakes_have_a_column_and_the_nearest_right_name() {
        let said = |text: &str| Condition::parse(text).unwrap_err().to_string();
        assert_eq!(said("pane:alert and marked"), "column 1: there is no pane `alert`; did you mean `pane:alerts`?");
        assert_eq!(said("pane:alerts and markd"), "column 17: there is no fact `markd`; did you mean `marked`?");
        assert_eq!(said("marked opened"), "column 8: `opened` stands where `and`, `or` or the end was expected");
        assert_eq!(said("(marked"), "column 8: `)` was expected");
        assert!(said("").starts_with("column 1: a fact was expected: marked"), "{}", said(""));
        assert!(said(&"(".repeat(40)).contains("deep"));
        assert!(said(&"x ".repeat(4_000)).contains("at most"));
    }

    fn any() -> impl Strategy<Value = Condition> {
        let leaf = prop_oneof![(0..WORDS.len()).prop_map(Condition::Word), proptest::sample::select(Pane::ALL.to_vec()).prop_map(Condition::Pane)];
        leaf.prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                inner.clone().prop_filter("printed flat", |c| !matches!(c, Condition::Not(_))).prop_map(|c| Condition::Not(Box::new(c))),
                prop::collection::vec(inner.clone(), 2..4).prop_map(Condition::And),
                prop::collection::vec(inner, 2..4).prop_map(Condition::Or),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_again_as_the_same(condition in any(), text in "[a-z:() ]{0,40}") {
            let _ = Condition::parse(&text);
            let printed = condition.to_string();
            prop_assume!(printed.len() < LONGEST);
            prop_assert_eq!(Condition::parse(&printed).unwrap(), condition);
        }
    }
}
