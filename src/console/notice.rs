//! What somebody is told of by bell and notice, wherever they look: what needs them now and did not before.
//!
//! It counts as Now counts: nobody has it, it is not put off, it is not usual. What stands under a cause is told
//! with its cause alone. Alerts are gathered for a moment, since effects may be heard of before their cause is,
//! and between two notices there is a least time; what comes meanwhile is told together. What is open when a
//! server is first heard of is no news, and neither is what somebody here has just done themselves.

use std::collections::{BTreeMap, BTreeSet};

use super::effect::Effect;
use super::state::State;
use crate::model::id::{AlertRef, EventId};
use crate::model::severity::Severity;
use crate::model::time::Span;
use crate::model::view::alerts::{AlertRow, Asks, rows};

/// So long is what comes gathered.
const GATHER: Span = Span::from_secs(2);
/// What a server tells within so long after it is first heard was there before.
const FIRST: Span = Span::from_secs(3);
/// What comes back so soon after one did something here came back by that: an acknowledgement taken back, say.
const ONES_OWN: Span = Span::from_secs(10);
/// Alerts that are named in one notice.
const NAMED: usize = 2;

/// How somebody wants to be told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Wishes {
    pub bell: bool,
    /// A notice by OSC 9, and by OSC 777; not set: by the one that the terminal is known to take.
    pub osc9: Option<bool>,
    pub osc777: Option<bool>,
    /// Less than this is not told.
    pub least: Severity,
    /// The least time between two notices.
    pub every: Span,
}

impl Wishes {
    pub const ALL: Wishes = Wishes { bell: true, osc9: None, osc777: None, least: Severity::Warning, every: Span::from_secs(30) };
    pub const NONE: Wishes = Wishes { bell: false, osc9: Some(false), osc777: Some(false), ..Wishes::ALL };
}

impl State {
    /// What needs somebody is noticed wherever the panes are: from another time too, by how things are.
    pub(super) fn look_for_notices(&mut self) {
        let then = self.is_away().then(|| rows(self.live(), self.present));
        self.notices.look(then.as_deref().unwrap_or(&self.rows), self.arriving.is_some(), self.mono);
    }

    /// What is to be told by bell and notice now.
    pub(super) fn notice(&mut self) -> Option<Effect> {
        let due = self.notices.due()?;
        if due.micros() > self.mono.micros() {
            return None;
        }
        let then = self.is_away().then(|| rows(self.live(), self.present));
        self.notices.take(then.as_deref().unwrap_or(&self.rows), self.mono).map(Effect::Notify)
    }
}

#[derive(Debug)]
pub struct Notices {
    least: Severity,
    every: Span,
    known: BTreeMap<AlertRef, Known>,
    /// When each server was first heard.
    heard: BTreeMap<usize, Span>,
    /// What is to be told, and since when there is something.
    waiting: BTreeSet<AlertRef>,
    since: Span,
    last: Option<Span>,
    acted: Option<Span>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Known {
    episode: EventId,
    severity: Severity,
    /// It needs somebody, and stands for itself.
    loud: bool,
}

impl Default for Notices {
    fn default() -> Notices {
        Notices::new(&Wishes::ALL)
    }
}

impl Notices {
    pub fn new(wishes: &Wishes) -> Notices {
        let Wishes { least, every, .. } = *wishes;
        Notices { least, every, known: BTreeMap::new(), heard: BTreeMap::new(), waiting: BTreeSet::new(), since: Span::ZERO, last: None, acted: None }
    }

    /// From now on it is told otherwise.
    pub const fn wish(&mut self, wishes: &Wishes) {
        (self.least, self.every) = (wishes.least, wishes.every);
    }

    /// Somebody here did something to alerts.
    pub fn acted(&mut self, mono: Span) {
        self.acted = Some(mono);
    }

    /// The server of this place is heard.
    pub fn hears(&mut self, server: usize, mono: Span) {
        self.heard.entry(server).or_insert(mono);
    }

    /// Looks at all open alerts. `past`: what comes is a past that is being brought in.
    pub fn look(&mut self, rows: &[AlertRow], past: bool, mono: Span) {
        let own = self.acted.is_some_and(|acted| mono.micros() - acted.micros() < ONES_OWN.micros());
        let mut known = BTreeMap::new();
        let was_waiting = !self.waiting.is_empty();
        for row in rows {
            let loud = row.asks() == Asks::You && row.cause.is_none() && row.severity >= self.least;
            let is = Known { episode: row.episode, severity: row.severity, loud };
            let first = self.heard.get(&row.server).is_none_or(|since| mono.micros() - since.micros() < FIRST.micros());
            let news = match self.known.get(&row.alert) {
                Some(was) if was.episode == is.episode => was.severity < is.severity || (!was.loud && !own),
                Some(_) | None => true,
            };
            if !loud {
                self.waiting.remove(&row.alert);
            } else if news && !first && !past {
                self.waiting.insert(row.alert);
            }
            known.insert(row.alert, is);
        }
        self.waiting.retain(|alert| known.contains_key(alert));
        self.known = known;
        if !was_waiting {
            self.since = mono;
        }
    }

    /// When there is something to tell, if nothing else happens.
    pub fn due(&self) -> Option<Span> {
        if self.waiting.is_empty() {
            return None;
        }
        let gathered = self.since.micros() + GATHER.micros();
        let after = self.last.map_or(0, |last| last.micros() + self.every.micros());
        Some(Span::from_micros(gathered.max(after)))
    }

    /// What is to be told now, in words.
    pub fn take(&mut self, rows: &[AlertRow], mono: Span) -> Option<String> {
        if self.due()?.micros() > mono.micros() {
            return None;
        }
        let mut told: Vec<&AlertRow> = rows.iter().filter(|row| self.waiting.contains(&row.alert)).collect();
        self.waiting.clear();
        told.sort_by_key(|row| (std::cmp::Reverse(row.severity), std::cmp::Reverse(row.since)));
        self.last = Some(mono);
        let named: Vec<String> = told.iter().take(NAMED).map(|row| format!("{} {}: {}", row.word(), row.name, row.title)).collect();
        let more = told.len().saturating_sub(named.len());
        match told.len() {
            0 => None,
            1 => named.into_iter().next(),
            many => Some(format!("{many} need you: {}{}", named.join(" | "), if more > 0 { format!(" | {more} more") } else { String::new() })),
        }
    }
}
