//! Sentences made of pieces, so that each number stands beside what it counts, and each word from outside
//! is known as such by whoever writes the text down.

use std::fmt;
use std::sync::Arc;

use crate::model::id::EventId;
use crate::model::time::Span;
use crate::model::words::grouped;

#[derive(Clone, PartialEq, Debug)]
pub enum Piece {
    /// Our own words; no digits.
    Text(&'static str),
    /// Titles, names, notes: as they came.
    Outside(Arc<str>),
    /// A point in time, written for the reader.
    Time(String),
    /// A length of time.
    Length(Span),
    /// So many of something: one event stands for each.
    Count { of: Vec<EventId>, one: &'static str, many: &'static str },
    /// What the past before the span says.
    Past(String),
}

/// One sentence, or a few that belong together.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Words(pub Vec<Piece>);

impl Words {
    pub fn new() -> Words {
        Words::default()
    }

    pub fn text(mut self, text: &'static str) -> Words {
        self.0.push(Piece::Text(text));
        self
    }

    pub fn outside(mut self, text: impl Into<Arc<str>>) -> Words {
        self.0.push(Piece::Outside(text.into()));
        self
    }

    pub fn time(mut self, time: String) -> Words {
        self.0.push(Piece::Time(time));
        self
    }

    pub fn length(mut self, span: Span) -> Words {
        self.0.push(Piece::Length(span));
        self
    }

    pub fn count(mut self, of: Vec<EventId>, one: &'static str, many: &'static str) -> Words {
        self.0.push(Piece::Count { of, one, many });
        self
    }

    pub fn past(mut self, words: impl Into<String>) -> Words {
        self.0.push(Piece::Past(words.into()));
        self
    }

    pub fn and(mut self, other: Words) -> Words {
        self.0.extend(other.0);
        self
    }

    /// Names one after the other: "kim", "kim and jo", "kim, jo and 3 more".
    pub fn names(mut self, names: &[Arc<str>], most: usize, more: impl Fn(usize) -> Piece) -> Words {
        let shown = if names.len() > most { most.saturating_sub(1).max(1) } else { names.len() };
        for (place, name) in names.iter().take(shown).enumerate() {
            if place > 0 {
                self.0.push(Piece::Text(if place + 1 == names.len() { " and " } else { ", " }));
            }
            self.0.push(Piece::Outside(name.clone()));
        }
        if names.len() > shown {
            self.0.push(Piece::Text(" and "));
            self.0.push(more(shown));
        }
        self
    }
}

impl fmt::Display for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Piece::Text(text) => f.write_str(text),
            Piece::Outside(text) => f.write_str(text),
            Piece::Time(text) | Piece::Past(text) => f.write_str(text),
            Piece::Length(span) => f.write_str(&long(*span)),
            Piece::Count { of, one, many } => write!(f, "{} {}", grouped(of.len()), if of.len() == 1 { one } else { many }),
        }
    }
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|piece| piece.fmt(f))
    }
}

/// A length of time in words: "41 seconds", "16 minutes", "1 hour 5 minutes", "3 days".
pub fn long(span: Span) -> String {
    let say = |n: i64, one: &str| if n == 1 { format!("1 {one}") } else { format!("{n} {one}s") };
    match span.secs() {
        s @ ..60 => say(s, "second"),
        s @ 60..3_600 => say(s / 60, "minute"),
        s @ 3_600..86_400 if s % 3_600 < 60 => say(s / 3_600, "hour"),
        s @ 3_600..86_400 => format!("{} {}", say(s / 3_600, "hour"), say(s % 3_600 / 60, "minute")),
        s @ 86_400..259_200 if s % 86_400 >= 3_600 => format!("{} {}", say(s / 86_400, "day"), say(s % 86_400 / 3_600, "hour")),
        s => say(s / 86_400, "day"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_read_as_people_say_them() {
        let said = [0, 1, 41, 60, 119, 960, 3_600, 3_900, 7_260, 86_400, 97_200, 200_000, 864_000].map(|s| long(Span::from_secs(s)));
        let expected = [
            "0 seconds",
            "1 second",
            "41 seconds",
            "1 minute",
            "1 minute",
            "16 minutes",
            "1 hour",
            "1 hour 5 minutes",
            "2 hours 1 minute",
            "1 day",
            "1 day 3 hours",
            "2 days 7 hours",
            "10 days",
        ];
        assert_eq!(said, expected.map(str::to_owned));
    }

    #[test]
    fn names_are_listed_and_the_rest_is_counted() {
        let names: Vec<Arc<str>> = ["kim", "jo", "sam", "robin"].map(Arc::from).to_vec();
        let list = |n: usize| Words::new().names(names.get(..n).unwrap(), 3, |shown| Piece::Past(format!("{} more", n - shown))).to_string();
        assert_eq!([list(1), list(2), list(3), list(4)], ["kim", "kim and jo", "kim, jo and sam", "kim, jo and 2 more"].map(str::to_owned));
    }
}
