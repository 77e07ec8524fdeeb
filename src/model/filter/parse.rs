//! From text to an [`Expr`], or an error that says the column, what was expected, and the nearest right word.
//!
//! By hand, in one pass without backtracking: the grammar is small, and errors are most of what a
//! person sees of a parser.

use std::fmt;
use std::str::FromStr;

use super::expr::{Expr, Level, Operator, Term, is_keyword};
use super::field::{Field, State};
use super::when::When;
use super::{DEEPEST, LONGEST, MOST_PATTERNS, MOST_TERMS};
use crate::model::nearest::nearest;
use crate::model::severity::Severity;

/// What is wrong with a filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FilterError {
    /// In characters, from 1.
    pub column: usize,
    /// A clause: "no field `sevrity`".
    pub problem: String,
    /// What could stand there.
    pub expected: String,
    /// The right word that is nearest to the wrong one.
    pub nearest: Option<String>,
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "column {}: {}", self.column, self.problem)?;
        match &self.nearest {
            Some(word) => write!(f, "; did you mean `{word}`? Expected {}", self.expected),
            None => write!(f, "; expected {}", self.expected),
        }
    }
}

impl std::error::Error for FilterError {}

impl FromStr for Expr {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Expr, FilterError> {
        let mut parser = Parser { text, at: 0, terms: 0, patterns: 0 };
        if text.len() > LONGEST {
            return Err(parser.error(0, format!("the filter has {} bytes", text.len()), format!("at most {LONGEST}")));
        }
        parser.skip_space();
        if parser.rest().is_empty() {
            return Ok(Expr::All);
        }
        let expr = parser.or(0)?;
        match parser.peek() {
            // Written out with its escapes it is longer, and has to be read again from there.
            None => match expr.to_string().len() {
                0..=LONGEST => Ok(expr),
                long => Err(parser.error(0, format!("the filter, written out, has {long} bytes"), format!("at most {LONGEST}"))),
            },
            Some(_) => Err(parser.error(parser.at, "this `)` closes nothing", "a term; text with a parenthesis goes in quotes: \"a)\"")),
        }
    }
}

/// Compiles a pattern with bounds on memory and nesting; `pattern` was written by whoever.
pub(super) fn regex(pattern: &str, any_case: bool) -> Result<regex::bytes::Regex, regex::Error> {
    regex::bytes::RegexBuilder::new(pattern).case_insensitive(any_case).size_limit(1 << 20).dfa_size_limit(1 << 20).nest_limit(32).build()
}

/// As Prometheus compares labels: the whole value.
pub(super) fn whole(pattern: &str) -> Result<regex::bytes::Regex, regex::Error> {
    regex(pattern, false)?;
    regex(&format!(r"\A(?:{pattern})\z"), false)
}

struct Parser<'a> {
    text: &'a str,
    /// In bytes, always between two characters.
    at: usize,
    terms: usize,
    patterns: usize,
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn bump(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn skip_space(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.bump();
        }
    }

    fn slice(&self, from: usize, to: usize) -> &'a str {
        self.text.get(from..to).unwrap_or("")
    }

    fn error(&self, at: usize, problem: impl Into<String>, expected: impl Into<String>) -> FilterError {
        let column = self.text.get(..at).unwrap_or("").chars().count() + 1;
        FilterError { column, problem: problem.into(), expected: expected.into(), nearest: None }
    }

    /// The keyword at this place, if one stands here by itself.
    fn keyword(&self) -> Option<&'a str> {
        let word = self.rest().split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or("");
        let ends = self.rest().get(word.len()..).and_then(|rest| rest.chars().next()).is_none_or(|c| c.is_whitespace() || matches!(c, '(' | ')'));
        (ends && is_keyword(word)).then_some(word)
    }

    fn take_keyword(&mut self, keyword: &str) -> bool {
        let taken = self.keyword().filter(|word| word.eq_ignore_ascii_case(keyword));
        self.at += taken.map_or(0, str::len);
        taken.is_some()
    }

    fn or(&mut self, depth: usize) -> Result<Expr, FilterError> {
        let mut any = vec![self.and(depth)?];
        while self.take_keyword("or") {
            any.push(self.and(depth)?);
        }
        Ok(Expr::or(any))
    }

    fn and(&mut self, depth: usize) -> Result<Expr, FilterError> {
        let mut all = vec![self.unary(depth)?];
        loop {
            self.skip_space();
            match self.peek() {
                None | Some(')') => break,
                Some(_) if self.keyword().is_some_and(|word| word.eq_ignore_ascii_case("or")) => break,
                Some(_) => {
                    self.take_keyword("and");
                    all.push(self.unary(depth)?);
                }
            }
        }
        Ok(Expr::and(all))
    }

    fn unary(&mut self, depth: usize) -> Result<Expr, FilterError> {
        self.skip_space();
        let start = self.at;
        if depth > DEEPEST {
            return Err(self.error(start, "too many parentheses or `not` within each other", format!("at most {DEEPEST}")));
        }
        if self.take_keyword("not") {
            return Ok(self.unary(depth + 1)?.negate());
        }
        match self.peek() {
            None => Err(self.error(start, "the filter ends here", "a term, like a word, severity:warning+ or system:shop/**")),
            Some(')') => Err(self.error(start, "nothing stands before this `)`", "a term; text with a parenthesis goes in quotes: \")\"")),
            Some('(') => {
                self.bump();
                let inner = self.or(depth + 1)?;
                match self.bump() {
                    Some(')') => Ok(inner),
                    _ => Err(self.error(start, "this `(` is not closed", "a `)` for it; text with a parenthesis goes in quotes: \"(\"")),
                }
            }
            Some(_) => {
                if let Some(word) = self.keyword() {
                    return Err(self.error(
                        start,
                        format!("`{word}` stands where a term should"),
                        format!("a term; the word itself goes in quotes: \"{word}\""),
                    ));
                }
                self.terms += 1;
                if self.terms > MOST_TERMS {
                    return Err(self.error(start, "too many terms", format!("at most {MOST_TERMS}")));
                }
                self.term().map(Expr::Term)
            }
        }
    }

    fn term(&mut self) -> Result<Term, FilterError> {
        match self.peek() {
            Some('"') => return self.quoted().map(Term::Text),
            Some('/') => return self.pattern(),
            _ => {}
        }
        if let Some(rest) = self.rest().strip_prefix("label.") {
            return self.label(rest);
        }
        let start = self.at;
        let name = self.rest().split(|c: char| !(c.is_ascii_alphabetic() || c == '_')).next().unwrap_or("");
        if !name.is_empty() && self.rest().get(name.len()..).is_some_and(|rest| rest.starts_with(':')) {
            let Some(field) = Field::from_name(name) else {
                let whole = self.rest().split(char::is_whitespace).next().unwrap_or(name).replace('"', "");
                let names = Field::ALL.into_iter().filter(|f| *f != Field::Label).map(Field::name).collect::<Vec<_>>().join(", ");
                let mut error = self.error(start, format!("no field `{name}`"), format!("one of {names}; as text, in quotes: \"{whole}\""));
                error.nearest = nearest(name, Field::ALL.into_iter().map(Field::name)).map(str::to_owned);
                return Err(error);
            };
            self.at += name.len() + 1;
            return self.field(field);
        }
        Ok(Term::Text(self.word().to_owned()))
    }

    /// Up to a space, or a parenthesis that was not opened within.
    fn word(&mut self) -> &'a str {
        let start = self.at;
        let mut open = 0_usize;
        while let Some(c) = self.peek() {
            match c {
                c if c.is_whitespace() => break,
                '(' => open += 1,
                ')' if open == 0 => break,
                ')' => open -= 1,
                _ => {}
            }
            self.bump();
        }
        self.slice(start, self.at)
    }

    /// A word, or something in quotes.
    fn value(&mut self, expected: &str) -> Result<(usize, String), FilterError> {
        let start = self.at;
        if self.peek() == Some('"') {
            return self.quoted().map(|text| (start, text));
        }
        match self.word() {
            "" => Err(self.error(start, "no value follows", expected)),
            word => Ok((start, word.to_owned())),
        }
    }

    /// `"…"`; `\"` and `\\` stand for themselves.
    fn quoted(&mut self) -> Result<String, FilterError> {
        let start = self.at;
        self.bump();
        let mut text = String::new();
        loop {
            match self.bump() {
                None => return Err(self.error(start, "this quote is not closed", "a closing \"")),
                Some('"') => break,
                Some('\\') => match self.peek() {
                    Some(c @ ('"' | '\\')) => {
                        self.bump();
                        text.push(c);
                    }
                    _ => text.push('\\'),
                },
                Some(c) => text.push(c),
            }
        }
        self.boundary("a space after the closing quote")?;
        Ok(text)
    }

    /// `/…/` or `/…/i`: ends at a slash that a space, a parenthesis or the end follows; `\/` is a slash.
    fn pattern(&mut self) -> Result<Term, FilterError> {
        let start = self.at;
        self.bump();
        let mut pattern = String::new();
        let any_case = loop {
            let ends = |after: Option<&str>| after.is_some_and(|rest| rest.chars().next().is_none_or(|c| c.is_whitespace() || c == ')'));
            match self.bump() {
                None => return Err(self.error(start, "this pattern is not closed", "a closing /; a path goes in quotes: \"/var/log\"")),
                Some('/') if ends(Some(self.rest())) => break false,
                Some('/') if ends(self.rest().strip_prefix('i')) => {
                    self.bump();
                    break true;
                }
                Some('\\') => match self.bump() {
                    Some('/') => pattern.push('/'),
                    next => {
                        pattern.push('\\');
                        pattern.extend(next);
                    }
                },
                Some(c) => pattern.push(c),
            }
        };
        if pattern.is_empty() {
            return Err(self.error(start, "this pattern is empty", "a regular expression, like /osd\\.\\d+ down/"));
        }
        self.check_pattern(start, &pattern, regex(&pattern, any_case))?;
        Ok(Term::Pattern { pattern, any_case })
    }

    fn check_pattern(&mut self, at: usize, pattern: &str, compiled: Result<regex::bytes::Regex, regex::Error>) -> Result<(), FilterError> {
        self.patterns += 1;
        if self.patterns > MOST_PATTERNS {
            return Err(self.error(at, "too many regular expressions", format!("at most {MOST_PATTERNS}")));
        }
        match compiled {
            Ok(_) => Ok(()),
            Err(regex::Error::CompiledTooBig(_)) => Err(self.error(at, "this regular expression takes too much memory", "one with fewer repetitions")),
            Err(error) => {
                // The last line of the library's message is the reason; the lines before draw the pattern.
                let text = error.to_string();
                let reason = text.lines().last().unwrap_or("").trim_start_matches("error: ");
                Err(self.error(at, format!("`{pattern}` is no regular expression: {reason}"), "one as Rust's regex crate reads it"))
            }
        }
    }

    fn boundary(&self, expected: &str) -> Result<(), FilterError> {
        match self.peek() {
            None | Some(')') => Ok(()),
            Some(c) if c.is_whitespace() => Ok(()),
            Some(c) => Err(self.error(self.at, format!("`{c}` follows directly"), expected)),
        }
    }

    fn field(&mut self, field: Field) -> Result<Term, FilterError> {
        let (at, value) = self.value(field.expected())?;
        let refuse = |problem: String| self.error(at, problem, field.expected());
        Ok(match field {
            Field::System | Field::Server | Field::Kind | Field::Check | Field::Agent | Field::Source | Field::By => {
                if value.is_empty() {
                    return Err(refuse("this value is empty".into()));
                }
                Term::Name(field, value)
            }
            Field::Severity => {
                let (word, level) = match (value.strip_suffix('+'), value.strip_suffix('-')) {
                    (Some(word), _) => (word, Level::AndWorse),
                    (_, Some(word)) => (word, Level::AndBetter),
                    (None, None) => (value.as_str(), Level::Exactly),
                };
                let severity = Severity::from_word(word).ok_or_else(|| {
                    let mut error = refuse(format!("no severity `{word}`"));
                    error.nearest = nearest(word, Severity::ALL.into_iter().map(Severity::word)).map(str::to_owned);
                    error
                })?;
                Term::Severity(severity, level)
            }
            Field::State => Term::State(State::from_word(&value).ok_or_else(|| {
                let mut error = refuse(format!("no state `{value}`"));
                error.nearest = nearest(&value, State::ALL.into_iter().map(State::word)).map(str::to_owned);
                error
            })?),
            Field::Since | Field::Until => {
                let when: When = value.parse().map_err(|_| refuse(format!("`{value}` is no time")))?;
                if field == Field::Since { Term::Since(when) } else { Term::Until(when) }
            }
            Field::Label => return Err(refuse("a label is written with a dot".into())),
        })
    }

    fn label(&mut self, rest: &'a str) -> Result<Term, FilterError> {
        let start = self.at;
        let expected = Field::Label.expected();
        let name = rest.split(|c: char| c.is_whitespace() || matches!(c, '=' | '!' | '"' | '(' | ')')).next().unwrap_or("");
        self.at += "label.".len();
        if name.is_empty() {
            return Err(self.error(self.at, "no label's name follows", expected));
        }
        self.at += name.len();
        let operator = [Operator::Matches, Operator::NotMatches, Operator::NotEqual, Operator::Equal].into_iter().find(|o| self.rest().starts_with(o.sign()));
        let Some(operator) = operator else {
            return Err(self.error(self.at, format!("no comparison follows `label.{name}`"), expected));
        };
        self.at += operator.sign().len();
        // `label.env=` asks for an absent or empty label.
        let at = self.at;
        let value = if self.peek() == Some('"') { self.quoted()? } else { self.word().to_owned() };
        if matches!(operator, Operator::Matches | Operator::NotMatches) {
            self.check_pattern(at.max(start), &value, whole(&value))?;
        }
        Ok(Term::Label { name: name.to_owned(), operator, value })
    }
}
