//! A filter as a tree, in one canonical shape, and its text.
//!
//! The constructors keep the shape: no *and* directly within an *and*, no double negation, no list of
//! one. So printing and parsing give the same tree again, which saved views rely on.

use std::fmt::{self, Display, Write};

use super::field::{Field, State};
use super::when::When;
use crate::model::severity::Severity;

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Expr {
    /// The empty filter.
    #[default]
    All,
    And(Vec<Expr>),
    Or(Vec<Expr>),
    Not(Box<Expr>),
    Term(Term),
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Term {
    /// A word or phrase, without regard to case.
    Text(String),
    /// `/pattern/`, or `/pattern/i` without regard to case.
    Pattern {
        pattern: String,
        any_case: bool,
    },
    /// System, server, kind, check, agent, source, by: a name, perhaps with wildcards.
    Name(Field, String),
    Severity(Severity, Level),
    State(State),
    Since(When),
    Until(When),
    Label {
        name: String,
        operator: Operator,
        value: String,
    },
}

/// How far a severity reaches.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Level {
    Exactly,
    AndWorse,
    AndBetter,
}

/// How a label is compared, as in Prometheus' selectors: a label that is absent counts as empty, and a
/// pattern must match the whole value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operator {
    Equal,
    NotEqual,
    Matches,
    NotMatches,
}

impl Operator {
    pub const fn sign(self) -> &'static str {
        match self {
            Operator::Equal => "=",
            Operator::NotEqual => "!=",
            Operator::Matches => "=~",
            Operator::NotMatches => "!~",
        }
    }
}

impl Expr {
    /// All of these.
    pub fn and(parts: impl IntoIterator<Item = Expr>) -> Expr {
        let mut all = Vec::new();
        for part in parts {
            match part {
                Expr::All => {}
                Expr::And(inner) => all.extend(inner),
                other => all.push(other),
            }
        }
        match all.len() {
            0 | 1 => all.pop().unwrap_or(Expr::All),
            _ => Expr::And(all),
        }
    }

    /// Any of these; of none, everything.
    pub fn or(parts: impl IntoIterator<Item = Expr>) -> Expr {
        let mut any = Vec::new();
        for part in parts {
            match part {
                Expr::All => return Expr::All,
                Expr::Or(inner) => any.extend(inner),
                other => any.push(other),
            }
        }
        match any.len() {
            0 | 1 => any.pop().unwrap_or(Expr::All),
            _ => Expr::Or(any),
        }
    }

    pub fn negate(self) -> Expr {
        match self {
            Expr::Not(inner) => *inner,
            other => Expr::Not(Box::new(other)),
        }
    }
}

impl From<Term> for Expr {
    fn from(term: Term) -> Expr {
        Expr::Term(term)
    }
}

impl Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expr::All => Ok(()),
            Expr::Term(term) => term.fmt(f),
            Expr::Not(inner) => {
                f.write_str("not ")?;
                inner.fmt_within(f, matches!(**inner, Expr::And(_) | Expr::Or(_)))
            }
            Expr::And(parts) => join(f, parts, " ", |part| matches!(part, Expr::Or(_))),
            Expr::Or(parts) => join(f, parts, " or ", |_| false),
        }
    }
}

impl Expr {
    fn fmt_within(&self, f: &mut fmt::Formatter<'_>, parentheses: bool) -> fmt::Result {
        if parentheses { write!(f, "({self})") } else { self.fmt(f) }
    }
}

fn join(f: &mut fmt::Formatter<'_>, parts: &[Expr], between: &str, parentheses: impl Fn(&Expr) -> bool) -> fmt::Result {
    for (i, part) in parts.iter().enumerate() {
        if i > 0 {
            f.write_str(between)?;
        }
        part.fmt_within(f, parentheses(part))?;
    }
    Ok(())
}

impl Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Term::Text(text) => match text.chars().all(|c| c.is_alphanumeric() || "_-.,=@#%+*".contains(c)) && !is_keyword(text) && !looks_like_label(text) {
                true if !text.is_empty() => f.write_str(text),
                _ => quoted(f, text),
            },
            Term::Pattern { pattern, any_case } => {
                f.write_char('/')?;
                // Only a bare slash could end the pattern too early.
                let mut escaped = false;
                for c in pattern.chars() {
                    if c == '/' && !escaped {
                        f.write_char('\\')?;
                    }
                    escaped = c == '\\' && !escaped;
                    f.write_char(c)?;
                }
                f.write_str(if *any_case { "/i" } else { "/" })
            }
            Term::Name(field, value) => {
                f.write_str(field.opening())?;
                plain_or_quoted(f, value)
            }
            Term::Severity(severity, level) => {
                let sign = match level {
                    Level::Exactly => "",
                    Level::AndWorse => "+",
                    Level::AndBetter => "-",
                };
                write!(f, "severity:{severity}{sign}")
            }
            Term::State(state) => write!(f, "state:{}", state.word()),
            Term::Since(when) => {
                f.write_str("since:")?;
                plain_or_quoted(f, &when.to_string())
            }
            Term::Until(when) => {
                f.write_str("until:")?;
                plain_or_quoted(f, &when.to_string())
            }
            Term::Label { name, operator, value } => {
                write!(f, "label.{name}{}", operator.sign())?;
                plain_or_quoted(f, value)
            }
        }
    }
}

pub(super) fn is_keyword(word: &str) -> bool {
    ["and", "or", "not"].iter().any(|keyword| word.eq_ignore_ascii_case(keyword))
}

fn looks_like_label(text: &str) -> bool {
    text.starts_with("label.")
}

fn plain_or_quoted(f: &mut fmt::Formatter<'_>, value: &str) -> fmt::Result {
    let plain = !value.is_empty() && value.chars().all(|c| c.is_alphanumeric() || "_-./*:+@,%#".contains(c));
    if plain { f.write_str(value) } else { quoted(f, value) }
}

fn quoted(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for c in text.chars() {
        if matches!(c, '"' | '\\') {
            f.write_char('\\')?;
        }
        f.write_char(c)?;
    }
    f.write_char('"')
}
