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
}

impl Filter {
    /// Everything matches.
    pub fn all() -> Filter {
        Filter { expr: Expr::All, node: Node::Always, needle: None }
    }

    /// Parses and compiles. `now` and `zone` give `since:3h` and `until:14:00` their meaning.
    pub fn new(text: &str, now: Time, zone: &jiff::tz::TimeZone) -> Result<Filter, FilterError> {
        Ok(Filter::compile(text.parse()?, now, zone))
    }

    /// Compiles what was parsed. Again with a later `now`, durations count back from there.
    pub fn compile(expr: Expr, now: Time, zone: &jiff::tz::TimeZone) -> Filter {
        let node = Node::compile(&expr, now, zone);
        let needle = Needle::of(&expr);
        Filter { expr, node, needle }
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

    /// The times that matches lie in: not before the first, before the second. A page of the store
    /// need not be read outside them.
    pub fn bounds(&self) -> (Option<Time>, Option<Time>) {
        self.node.bounds()
    }
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
