//! Writes lines of the recording: one method for each thing that happens again and again.

use std::sync::Arc;

use super::recording::{Ago, Ask, Asked, Fired, Happened, Line, Observed, Of, Said};
use crate::link::{Random, SeededRandom};
use crate::model::severity::{Severity, Status};

/// A rule of Prometheus.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    pub system: &'static str,
    pub alertname: &'static str,
    pub severity: Severity,
    pub summary: &'static str,
    pub expr: &'static str,
}

impl Rule {
    fn fired(&self, since: Ago, over: bool) -> Fired {
        Fired {
            alertname: self.alertname.into(),
            system: self.system.into(),
            severity: self.severity,
            summary: self.summary.into(),
            expr: self.expr.into(),
            since,
            over,
        }
    }
}

pub struct Pen {
    pub lines: Vec<Line>,
    random: SeededRandom,
}

/// One check of one agent on one server.
#[derive(Clone, Copy, Debug)]
pub struct At<'a> {
    pub server: &'a str,
    pub agent: &'a str,
    pub check: &'a str,
}

impl Pen {
    pub fn new(seed: u64) -> Pen {
        Pen { lines: Vec::new(), random: SeededRandom::new(seed) }
    }

    /// From `from` to below `to`.
    pub fn number(&self, from: i64, to: i64) -> i64 {
        let width = u64::try_from(to.saturating_sub(from)).unwrap_or(0);
        from.saturating_add(i64::try_from(self.random.below(width)).unwrap_or(0))
    }

    /// Whether something that happens in `percent` of all cases happens.
    pub fn chance(&self, percent: i64) -> bool {
        self.number(0, 100) < percent
    }

    pub fn one_of<'a>(&self, list: &[&'a str]) -> &'a str {
        let place = self.number(0, i64::try_from(list.len()).unwrap_or(0));
        usize::try_from(place).ok().and_then(|place| list.get(place)).copied().unwrap_or_default()
    }

    /// `{10..20}` becomes a number from 10 to 20.
    pub fn fill(&self, template: &str) -> String {
        let Some((before, rest)) = template.split_once('{') else { return template.to_owned() };
        let Some((range, after)) = rest.split_once('}') else { return template.to_owned() };
        let bounds = range.split_once("..").and_then(|(from, to)| Some((from.parse::<i64>().ok()?, to.parse::<i64>().ok()?)));
        let number = bounds.map_or_else(String::new, |(from, to)| self.number(from, to + 1).to_string());
        format!("{before}{number}{}", self.fill(after))
    }

    fn line(&mut self, server: &str, ago: Ago, said: Said) {
        self.lines.push(Line { ago, server: server.into(), said });
    }

    /// One result.
    pub fn result(&mut self, at: At, ago: Ago, status: Status, text: &str, attempts: u32) {
        let observed = Observed { agent: at.agent.into(), check: at.check.into(), status, text: text.into(), attempts };
        self.line(at.server, ago, Said::Observed(observed));
    }

    /// It goes bad: counted at `from`, at the second bad result.
    pub fn breaks(&mut self, at: At, from: Ago, status: Status, bad: &str) {
        self.result(at, from.later(-60), status, bad, 2);
        self.result(at, from, status, bad, 2);
    }

    /// It is well again, and stays so for some results: without them, a check that fails now and then
    /// would look as if it flapped.
    pub fn mends(&mut self, at: At, over: Ago, fine: &str) {
        (0..9).for_each(|minute| self.result(at, over.later(minute * 60), Status::Ok, fine, 2));
    }

    /// A whole episode.
    pub fn episode(&mut self, at: At, from: Ago, over: Ago, status: Status, bad: &str, fine: &str) {
        self.breaks(at, from, status, bad);
        self.result(at, from.later(60), status, bad, 2);
        self.mends(at, over, fine);
    }

    /// Prometheus says that a rule fires.
    pub fn fires(&mut self, server: &str, rule: &Rule, since: Ago) {
        self.line(server, since, Said::Alert(rule.fired(since, false)));
    }

    /// It no longer fires.
    pub fn ends(&mut self, server: &str, rule: &Rule, since: Ago, over: Ago) {
        self.line(server, over, Said::Alert(rule.fired(since, true)));
    }

    pub fn happened(&mut self, server: &str, ago: Ago, system: &str, kind: &str, title: impl Into<Arc<str>>) {
        self.line(server, ago, Said::Happened(Happened { system: system.into(), kind: kind.into(), title: title.into() }));
    }

    fn asked(&mut self, server: &str, ago: Ago, by: &str, ask: Ask) {
        self.line(server, ago, Said::Asked(Asked { by: by.into(), ask }));
    }

    pub fn change(&mut self, server: &str, ago: Ago, by: &str, system: &str, title: impl Into<Arc<str>>) {
        self.asked(server, ago, by, Ask::Change { system: system.into(), title: title.into(), link: None });
    }

    /// A deployment, with a link to its pipeline.
    pub fn deploy(&mut self, server: &str, ago: Ago, system: &str, version: &str) {
        let link = Some(format!("https://ci.{server}.example/{system}/{version}").into());
        self.asked(server, ago, "ci", Ask::Change { system: system.into(), title: format!("deploy {system} {version}").into(), link });
    }

    pub fn note(&mut self, server: &str, ago: Ago, by: &str, system: &str, text: &str) {
        self.asked(server, ago, by, Ask::Note { system: system.into(), text: text.into() });
    }

    pub fn note_alert(&mut self, server: &str, ago: Ago, by: &str, of: [&str; 2], text: &str) {
        self.asked(server, ago, by, Ask::NoteAlert { of: named(of), text: text.into() });
    }

    pub fn acknowledge(&mut self, server: &str, ago: Ago, by: &str, of: [&str; 2], note: &str) {
        self.asked(server, ago, by, Ask::Acknowledge { of: named(of), note: note.into() });
    }

    pub fn assign(&mut self, server: &str, ago: Ago, by: &str, of: [&str; 2], to: &str) {
        self.asked(server, ago, by, Ask::Assign { of: named(of), to: to.into() });
    }

    pub fn snooze(&mut self, server: &str, ago: Ago, by: &str, of: [&str; 2], until: Ago) {
        self.asked(server, ago, by, Ask::Snooze { of: named(of), until });
    }

    pub fn resolve(&mut self, server: &str, ago: Ago, by: &str, of: [&str; 2], note: &str) {
        self.asked(server, ago, by, Ask::Resolve { of: named(of), note: note.into() });
    }
}

/// System and check.
fn named([system, check]: [&str; 2]) -> Of {
    Of { system: system.into(), check: check.into() }
}
