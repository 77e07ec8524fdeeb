//! The filter language: one question, asked of events, alerts, log lines and saved views alike.
//!
//! ```text
//! system:shop/** severity:warning+ kind:alert.* varnish "exact words" /regex/ label.env=prod since:3h not state:acked (a or b)
//! ```
//!
//! Text is parsed into an [`Expr`], which prints as text again, and compiled once into a [`Filter`].
//! Terms side by side mean *and*; `or` binds weakest, `not` strongest. A bare word or a "quoted phrase"
//! is found in title and text without regard to case; names are exact, with `*` and `**` as wildcards.
//! Nothing here knows a clock: "now" and the zone are handed in when a filter is compiled.
//! Everything is bounded ([`LONGEST`], [`DEEPEST`], [`MOST_TERMS`], [`MOST_PATTERNS`]), since filters
//! come from files, links and other people.

mod complete;
mod expr;
mod field;
mod needle;
mod parse;
mod predicate;
mod subject;
mod when;

#[cfg(test)]
mod tests;

pub use complete::{Candidate, Completion, complete};
pub use expr::{Expr, Level, Operator, Term};
pub use field::{Field, State, States};
pub use needle::Needle;
pub use parse::FilterError;
pub use subject::{OnServer, Subject};
pub use when::{When, WhenError};

use super::severity::Severity;
use super::time::Time;
use predicate::Node;

/// Bytes of a filter's text.
pub const LONGEST: usize = 4_096;
/// Parentheses and `not` within each other.
pub const DEEPEST: usize = 32;
pub const MOST_TERMS: usize = 256;
/// Regular expressions in one filter, each of which may take as much memory as [`parse`] allows.
pub const MOST_PATTERNS: usize = 16;

/// A filter, ready to be asked. Cheap to clone, compares by its text.
#[derive(Clone, Debug)]
pub struct Filter {
    expr: Expr,
    node: Node,
    needle: Option<Needle>,
    portable: Option<std::sync::Arc<str>>,
}

impl Filter {
    /// Everything matches.
    pub fn all() -> Filter {
        Filter { expr: Expr::All, node: Node::Always, needle: None, portable: Some("".into()) }
    }

    /// Parses and compiles. `now` and `zone` give `since:3h` and `until:14:00` their meaning.
    pub fn new(text: &str, now: Time, zone: &jiff::tz::TimeZone) -> Result<Filter, FilterError> {
        Ok(Filter::compile(text.parse()?, now, zone))
    }

    /// Compiles what was parsed. Again with a later `now`, durations count back from there.
    pub fn compile(expr: Expr, now: Time, zone: &jiff::tz::TimeZone) -> Filter {
        let node = Node::compile(&expr, now, zone);
        let needle = Needle::of(&expr);
        let portable = portable(&expr, now, zone).map(|expr| expr.to_string().into());
        Filter { expr, node, needle, portable }
    }

    pub fn matches(&self, subject: &(impl Subject + ?Sized)) -> bool {
        self.node.matches(subject)
    }

    pub fn is_all(&self) -> bool {
        self.expr == Expr::All
    }

    pub fn expr(&self) -> &Expr {
        &self.expr
    }

    /// What every match has somewhere in its title or text, if there is such a thing: whoever scans
    /// much text looks for it first.
    pub fn needle(&self) -> Option<&Needle> {
        self.needle.as_ref()
    }

    /// The severities that it leaves, if it asks for nothing else.
    pub fn severities(&self) -> Option<(Severity, Severity)> {
        match self.node {
            Node::Always => Some((Severity::Debug, Severity::Critical)),
            Node::Severity(least, worst) => Some((least, worst)),
            _ => None,
        }
    }

    /// The same filter for a server elsewhere: its times written out with their zone. Nothing when it asks
    /// for servers by the names that they have here.
    pub fn portable(&self) -> Option<&std::sync::Arc<str>> {
        self.portable.as_ref()
    }

    /// Whether everything that this one leaves is left by `wider` too, as far as their texts tell: as one
    /// types on, terms are added, and words grow.
    pub fn narrows(&self, wider: &Filter) -> bool {
        let terms = |expr: &Expr| match expr {
            Expr::And(parts) => parts.clone(),
            Expr::All => Vec::new(),
            other => vec![other.clone()],
        };
        let mine = terms(&self.expr);
        terms(&wider.expr).iter().all(|wide| {
            mine.iter().any(|narrow| match (narrow, wide) {
                (Expr::Term(Term::Text(long)), Expr::Term(Term::Text(short))) => {
                    long == short || (long.is_ascii() && long.to_ascii_lowercase().contains(&short.to_ascii_lowercase()))
                }
                // What counts back from now has moved on since.
                (narrow, wide) => narrow == wide && !matches!(narrow, Expr::Term(Term::Since(_) | Term::Until(_)) | Expr::Not(_) | Expr::Or(_)),
            })
        })
    }

    /// The times that matches lie in: not before the first, before the second. A page of the store
    /// need not be read outside them.
    pub fn bounds(&self) -> (Option<Time>, Option<Time>) {
        self.node.bounds()
    }
}

/// With times that mean the same everywhere; nothing when it cannot be told elsewhere.
fn portable(expr: &Expr, now: Time, zone: &jiff::tz::TimeZone) -> Option<Expr> {
    let all = |parts: &[Expr]| parts.iter().map(|part| portable(part, now, zone)).collect::<Option<Vec<Expr>>>();
    Some(match expr {
        Expr::All => Expr::All,
        Expr::And(parts) => Expr::and(all(parts)?),
        Expr::Or(parts) => Expr::or(all(parts)?),
        Expr::Not(inner) => portable(inner, now, zone)?.negate(),
        Expr::Term(Term::Name(Field::Server, _)) => return None,
        Expr::Term(Term::Name(Field::System, name)) if name.contains(':') => return None,
        Expr::Term(Term::Since(when)) => Term::Since(When::At(when.resolve(now, zone))).into(),
        Expr::Term(Term::Until(when)) => Term::Until(When::At(when.resolve(now, zone))).into(),
        Expr::Term(term) => term.clone().into(),
    })
}

impl Default for Filter {
    fn default() -> Filter {
        Filter::all()
    }
}

impl PartialEq for Filter {
    fn eq(&self, other: &Filter) -> bool {
        self.expr == other.expr
    }
}

/// The text that parses to the same filter.
impl std::fmt::Display for Filter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.expr.fmt(f)
    }
}
