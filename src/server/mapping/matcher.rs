//! Matchers of labels, in Alertmanager's syntax: `name="value"`, `=~`, `!=`, `!~`, with and without
//! quotes and braces. Mapping rules and `GET /api/v2/alerts?filter=` read the same language.
//!
//! As in Alertmanager a label that is absent is an empty one, and an expression must match the whole
//! value. Expressions are those of the `regex` crate: linear in time, so that none of them can hang us.

use std::fmt;

use regex::{Regex, RegexBuilder};

/// Bytes of one list of matchers, and matchers in it, at most.
const LONGEST: usize = 8_192;
const MOST: usize = 100;
/// What one compiled expression may take, in bytes.
const EXPRESSION: usize = 1 << 20;

/// How a matcher compares.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Op {
    Equal,
    NotEqual,
    Like,
    NotLike,
}

impl Op {
    pub const fn of(equal: bool, regex: bool) -> Op {
        match (equal, regex) {
            (true, false) => Op::Equal,
            (false, false) => Op::NotEqual,
            (true, true) => Op::Like,
            (false, true) => Op::NotLike,
        }
    }

    const fn sign(self) -> &'static str {
        match self {
            Op::Equal => "=",
            Op::NotEqual => "!=",
            Op::Like => "=~",
            Op::NotLike => "!~",
        }
    }
}

/// One condition on one label.
#[derive(Clone, Debug)]
pub struct Matcher {
    pub name: String,
    pub op: Op,
    pub value: String,
    expression: Option<Regex>,
}

impl Matcher {
    pub fn new(name: &str, op: Op, value: &str) -> Result<Matcher, MatcherError> {
        let expression = match op {
            Op::Equal | Op::NotEqual => None,
            Op::Like | Op::NotLike => Some(whole(value).map_err(|why| MatcherError { column: 1, why })?),
        };
        Ok(Matcher { name: name.to_owned(), op, value: value.to_owned(), expression })
    }

    /// Whether it holds for this value of its label; an absent label is an empty value.
    pub fn matches(&self, value: &str) -> bool {
        match (self.op, &self.expression) {
            (Op::Equal, _) => value == self.value,
            (Op::NotEqual, _) => value != self.value,
            (Op::Like, Some(expression)) => expression.is_match(value),
            (Op::NotLike, Some(expression)) => !expression.is_match(value),
            // `new` leaves no expression out; without one nothing is like it.
            (Op::Like, None) => false,
            (Op::NotLike, None) => true,
        }
    }

    /// Reads a list: `{job="node", severity=~"warning|critical"}`; braces and quotes may be left out.
    pub fn parse_list(text: &str) -> Result<Vec<Matcher>, MatcherError> {
        if text.len() > LONGEST {
            return Err(MatcherError { column: LONGEST, why: format!("a list of matchers has at most {LONGEST} bytes") });
        }
        Parser::new(text).list()
    }
}

/// An expression that must match the whole value; bounded in size.
pub(super) fn whole(expression: &str) -> Result<Regex, String> {
    RegexBuilder::new(&format!("^(?:{expression})$")).size_limit(EXPRESSION).dot_matches_new_line(true).build().map_err(|error| {
        let last = error.to_string().lines().last().unwrap_or_default().trim().trim_start_matches("error: ").to_owned();
        format!("`{}` is not an expression: {last}", expression.chars().take(80).collect::<String>())
    })
}

impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{:?}", self.name, self.op.sign(), self.value)
    }
}

/// Where a list of matchers cannot be read, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {why}; matchers are written like {{job=\"node\", severity=~\"warning|critical\"}}")]
pub struct MatcherError {
    pub column: usize,
    pub why: String,
}

struct Parser<'a> {
    rest: std::iter::Peekable<std::str::Chars<'a>>,
    column: usize,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Parser<'a> {
        let trimmed = text.trim();
        let skipped = text.len().saturating_sub(text.trim_start().len());
        // Outer braces belong together; an expression may hold others.
        let (inner, more) = match trimmed.strip_prefix('{').and_then(|t| t.strip_suffix('}')) {
            Some(inner) => (inner, 1),
            None => (trimmed, 0),
        };
        Parser { rest: inner.chars().peekable(), column: 1 + skipped + more }
    }

    fn list(mut self) -> Result<Vec<Matcher>, MatcherError> {
        let mut out = Vec::new();
        loop {
            self.spaces();
            if self.rest.peek().is_none() {
                return Ok(out);
            }
            if out.len() == MOST {
                return Err(self.error(format!("a list has at most {MOST} matchers")));
            }
            out.push(self.matcher()?);
            self.spaces();
            match self.next() {
                None => return Ok(out),
                Some(',') => {}
                Some(other) => return Err(self.error(format!("expected `,` or the end, found `{other}`"))),
            }
        }
    }

    fn matcher(&mut self) -> Result<Matcher, MatcherError> {
        let name = if self.rest.peek() == Some(&'"') {
            self.quoted()?
        } else {
            self.word(|c| matches!(c, '=' | '!' | '~' | ',' | '{' | '}' | '"') || c.is_whitespace())
        };
        if name.is_empty() {
            return Err(self.error("expected the name of a label"));
        }
        self.spaces();
        let op = match (self.next(), self.rest.peek()) {
            (Some('='), Some('~')) => self.then(Op::Like),
            (Some('='), _) => Op::Equal,
            (Some('!'), Some('=')) => self.then(Op::NotEqual),
            (Some('!'), Some('~')) => self.then(Op::NotLike),
            (Some(_) | None, _) => return Err(self.error(format!("expected `=`, `!=`, `=~` or `!~` after `{name}`"))),
        };
        self.spaces();
        let column = self.column;
        let value = if self.rest.peek() == Some(&'"') { self.quoted()? } else { self.word(|c| matches!(c, ',' | '"')) };
        if self.rest.peek() == Some(&'"') {
            return Err(self.error("a quotation mark within a value without quotes; write the value in quotes, and this one as \\\""));
        }
        Matcher::new(&name, op, value.as_str()).map_err(|error| MatcherError { column, ..error })
    }

    fn then(&mut self, op: Op) -> Op {
        self.next();
        op
    }

    fn quoted(&mut self) -> Result<String, MatcherError> {
        self.next();
        let mut out = String::new();
        loop {
            match self.next() {
                None => return Err(self.error("a quotation mark is not closed")),
                Some('"') => return Ok(out),
                Some('\\') => match self.next() {
                    Some('n') => out.push('\n'),
                    Some(c @ ('"' | '\\')) => out.push(c),
                    // Alertmanager keeps what it does not know, so that `\.` may stand in an expression.
                    Some(c) => out.extend(['\\', c]),
                    None => return Err(self.error("a quotation mark is not closed")),
                },
                Some(c) => out.push(c),
            }
        }
    }

    fn word(&mut self, end: impl Fn(char) -> bool) -> String {
        let mut out = String::new();
        while let Some(c) = self.rest.next_if(|c| !end(*c)) {
            self.column += 1;
            out.push(c);
        }
        out.truncate(out.trim_end().len());
        out
    }

    fn spaces(&mut self) {
        while self.rest.next_if(|c| c.is_whitespace()).is_some() {
            self.column += 1;
        }
    }

    fn next(&mut self) -> Option<char> {
        let next = self.rest.next();
        self.column += usize::from(next.is_some());
        next
    }

    fn error(&self, why: impl Into<String>) -> MatcherError {
        MatcherError { column: self.column, why: why.into() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Vec<String> {
        Matcher::parse_list(text).unwrap().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn alertmanagers_ways_to_write_a_matcher_are_read() {
        assert_eq!(read(r#"{job="node", severity=~"warning|critical"}"#), [r#"job="node""#, r#"severity=~"warning|critical""#]);
        assert_eq!(read("job=node"), [r#"job="node""#]);
        assert_eq!(read(" job != node , env!~prod.* "), [r#"job!="node""#, r#"env!~"prod.*""#]);
        assert_eq!(read(r#"a="x,y",b="say \"hi\" \\""#), [r#"a="x,y""#, r#"b="say \"hi\" \\""#]);
        assert_eq!(read(r#"path=~"a{2}""#), [r#"path=~"a{2}""#]);
        assert_eq!(read(r#""label with space"="v""#), [r#"label with space="v""#]);
        assert_eq!(read("a=,"), [r#"a="""#]);
        assert!(read("{}").is_empty());
    }

    #[test]
    fn what_cannot_be_read_is_said_with_its_column() {
        for (text, column, word) in [
            ("job", 4, "expected `=`"),
            ("=node", 1, "name of a label"),
            ("job=\"node", 10, "not closed"),
            ("a=b\"c", 4, "quotation mark"),
            ("job=\"node\" x", 13, "expected `,`"),
            ("  a=~\"(\"", 6, "not an expression"),
        ] {
            let error = Matcher::parse_list(text).unwrap_err();
            assert_eq!(error.column, column, "{text}: {error}");
            assert!(error.to_string().contains(word), "{text}: {error}");
        }
    }

    #[test]
    fn expressions_match_the_whole_value_and_absent_is_empty() {
        let one = |text: &str| Matcher::parse_list(text).unwrap().remove(0);
        assert!(one("a=~b.*").matches("bc") && !one("a=~b").matches("abc"));
        assert!(one("a=~b|c").matches("c") && !one("a=~b|c").matches("cc"));
        assert!(one("a=\"\"").matches("") && one("a!~b").matches(""));
    }

    #[test]
    fn b5_a_hostile_expression_is_refused_or_quick() {
        assert!(Matcher::parse_list("a=~\"(((((x{1000}){1000}){1000})))\"").is_err());
        let slow = Matcher::parse_list("a=~\"(a+)+$\"").unwrap().remove(0);
        assert!(!slow.matches(&format!("{}!", "a".repeat(50_000))));
    }

    proptest! {
        #[test]
        fn reading_never_panics(text in ".{0,60}") {
            let _ = Matcher::parse_list(&text);
        }

        #[test]
        fn what_is_quoted_is_read_back(name in "[a-zA-Z_][a-zA-Z0-9_]{0,8}", value in "[ -~]{0,20}") {
            let text = format!("{name}=\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""));
            let read = Matcher::parse_list(&text).unwrap();
            prop_assert_eq!(read.len(), 1);
            prop_assert!(read[0].name == name && read[0].value == value && read[0].matches(&value));
        }
    }
}
