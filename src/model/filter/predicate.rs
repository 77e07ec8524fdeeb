//! A filter made ready: names split into literals and patterns, times resolved, cheap questions first.

use std::sync::Arc;

use regex::bytes::Regex;

use super::expr::{Expr, Level, Operator, Term};
use super::field::{Field, State};
use super::needle::Word;
use super::parse;
use super::subject::Subject;
use crate::model::event::Actor;
use crate::model::severity::Severity;
use crate::model::time::Time;

#[derive(Clone, Debug)]
pub(super) enum Node {
    Always,
    /// What cannot be compiled; the parser lets none through.
    Never,
    And(Arc<[Node]>),
    Or(Arc<[Node]>),
    Not(Arc<Node>),
    Text(Word),
    Pattern(Regex),
    System {
        server: Option<Name>,
        system: Name,
    },
    Name(Field, Name),
    /// The lowest and the highest that match.
    Severity(Severity, Severity),
    State(State),
    Since(Time),
    Until(Time),
    Label {
        name: Arc<str>,
        value: Name,
        negated: bool,
    },
}

/// A name, or a pattern of names.
#[derive(Clone, Debug)]
pub(super) enum Name {
    Exact(Arc<str>),
    Pattern(Regex),
    Never,
}

impl Name {
    /// `*` stands for anything within a segment, `**` across segments; `shop/**` is `shop` too.
    fn glob(pattern: &str, across: bool) -> Name {
        if !pattern.contains('*') {
            return Name::Exact(pattern.into());
        }
        let mut text = String::from(r"(?s)\A");
        let mut rest = pattern;
        while !rest.is_empty() {
            if rest == "/**" {
                text.push_str("(?:/.*)?");
                break;
            } else if let Some(after) = rest.strip_prefix("**/") {
                text.push_str("(?:.*/)?");
                rest = after;
            } else if let Some(after) = rest.strip_prefix('*') {
                let doubled = after.starts_with('*');
                text.push_str(if doubled || across { ".*" } else { "[^/]*" });
                rest = after.trim_start_matches('*');
            } else {
                let end = rest.find(['*', '/']).map_or(rest.len(), |at| at.max(1));
                let (literal, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
                text.push_str(&regex::escape(literal));
                rest = after;
            }
        }
        text.push_str(r"\z");
        parse::regex(&text, false).map_or(Name::Never, Name::Pattern)
    }

    fn matches(&self, name: &str) -> bool {
        match self {
            Name::Exact(exact) => **exact == *name,
            Name::Pattern(regex) => regex.is_match(name.as_bytes()),
            Name::Never => false,
        }
    }
}

impl Node {
    pub(super) fn compile(expr: &Expr, now: Time, zone: &jiff::tz::TimeZone) -> Node {
        let list = |parts: &[Expr]| {
            let mut nodes: Vec<Node> = parts.iter().map(|part| Node::compile(part, now, zone)).collect();
            nodes.sort_by_key(Node::cost);
            nodes.into()
        };
        match expr {
            Expr::All => Node::Always,
            Expr::And(parts) => Node::And(list(parts)),
            Expr::Or(parts) => Node::Or(list(parts)),
            Expr::Not(inner) => Node::Not(Arc::new(Node::compile(inner, now, zone))),
            Expr::Term(term) => Node::term(term, now, zone),
        }
    }

    fn term(term: &Term, now: Time, zone: &jiff::tz::TimeZone) -> Node {
        match term {
            Term::Text(text) => Node::Text(Word::new(text)),
            Term::Pattern { pattern, any_case } => parse::regex(pattern, *any_case).map_or(Node::Never, Node::Pattern),
            Term::Name(Field::System, name) => {
                let (server, system) = match name.split_once(':') {
                    Some((server, system)) => (Some(Name::glob(server, true)), system),
                    None => (None, name.as_str()),
                };
                Node::System { server, system: Name::glob(system, false) }
            }
            Term::Name(field, name) => Node::Name(*field, Name::glob(name, true)),
            Term::Severity(severity, Level::Exactly) => Node::Severity(*severity, *severity),
            Term::Severity(severity, Level::AndWorse) => Node::Severity(*severity, Severity::Critical),
            Term::Severity(severity, Level::AndBetter) => Node::Severity(Severity::Debug, *severity),
            Term::State(state) => Node::State(*state),
            Term::Since(when) => Node::Since(when.resolve(now, zone)),
            Term::Until(when) => Node::Until(when.resolve(now, zone)),
            Term::Label { name, operator, value } => {
                let (value, negated) = match operator {
                    Operator::Equal => (Name::Exact(value.as_str().into()), false),
                    Operator::NotEqual => (Name::Exact(value.as_str().into()), true),
                    Operator::Matches => (parse::whole(value).map_or(Name::Never, Name::Pattern), false),
                    Operator::NotMatches => (parse::whole(value).map_or(Name::Never, Name::Pattern), true),
                };
                Node::Label { name: name.as_str().into(), value, negated }
            }
        }
    }

    /// Cheap questions are asked first.
    fn cost(&self) -> u32 {
        match self {
            Node::Always | Node::Never => 0,
            Node::Since(_) | Node::Until(_) => 1,
            Node::State(_) | Node::Name(..) | Node::System { .. } => 2,
            Node::Severity(..) => 3,
            Node::Text(Word::Folded(_)) => 8,
            Node::Text(_) => 5,
            Node::Label { .. } => 7,
            Node::Pattern(_) => 10,
            Node::Not(inner) => inner.cost(),
            Node::And(parts) | Node::Or(parts) => parts.iter().map(Node::cost).sum(),
        }
    }

    pub(super) fn matches(&self, subject: &(impl Subject + ?Sized)) -> bool {
        match self {
            Node::Always => true,
            Node::Never => false,
            Node::And(parts) => parts.iter().all(|part| part.matches(subject)),
            Node::Or(parts) => parts.iter().any(|part| part.matches(subject)),
            Node::Not(inner) => !inner.matches(subject),
            Node::Text(word) => subject.any_text(&mut |text| word.find(text).is_some()),
            Node::Pattern(regex) => subject.any_text(&mut |text| regex.is_match(text)),
            Node::System { server, system } => {
                subject.system().is_some_and(|id| system.matches(id))
                    && server.as_ref().is_none_or(|name| subject.server().is_some_and(|server| name.matches(server)))
            }
            Node::Name(field, name) => by_name(*field, name, subject),
            Node::Severity(lowest, highest) => {
                let severity = subject.severity();
                *lowest <= severity && severity <= *highest
            }
            Node::State(state) => subject.states().has(*state),
            Node::Since(time) => subject.at() >= *time,
            Node::Until(time) => subject.at() < *time,
            Node::Label { name, value, negated } => value.matches(&subject.label(name).unwrap_or_default()) != *negated,
        }
    }

    /// See [`super::Filter::bounds`].
    pub(super) fn bounds(&self) -> (Option<Time>, Option<Time>) {
        match self {
            Node::Since(time) => (Some(*time), None),
            Node::Until(time) => (None, Some(*time)),
            Node::And(parts) => parts.iter().map(Node::bounds).fold((None, None), |(since, until), (s, u)| {
                let earlier = match (until, u) {
                    (Some(a), Some(b)) => Some(a.min(b)),
                    (a, b) => a.or(b),
                };
                (since.max(s), earlier)
            }),
            Node::Or(parts) => {
                let mut all = parts.iter().map(Node::bounds);
                let first = all.next().unwrap_or((None, None));
                all.fold(first, |(since, until), (s, u)| (since.zip(s).map(|(a, b)| a.min(b)), until.zip(u).map(|(a, b)| a.max(b))))
            }
            _ => (None, None),
        }
    }
}

fn by_name(field: Field, name: &Name, subject: &(impl Subject + ?Sized)) -> bool {
    let is = |value: Option<&str>| value.is_some_and(|value| name.matches(value));
    match field {
        Field::Kind => name.matches(subject.kind()),
        Field::Check => is(subject.check()),
        Field::Agent => is(subject.agent()),
        Field::Source => is(subject.source()),
        Field::Server => is(subject.server()),
        Field::By => subject.any_actor(&mut |actor: &Actor| name.matches(actor.name()) || name.matches(&actor.to_string())),
        // These are no names; the parser makes other terms of them.
        Field::System | Field::Severity | Field::State | Field::Since | Field::Until | Field::Label => false,
    }
}
