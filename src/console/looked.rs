//! Since one last looked: what is new, what counts as having looked, and when that is kept.
//!
//! One looks while one presses keys. What was on the servers at the last key counts as seen: it is kept every
//! few minutes, when one says so (`seen-all`) and when the console ends, unless one was there for a moment
//! only. While the panes are at another time, or nobody presses anything, nothing is seen.
//!
//! What is new is measured against the marks as they were when one sat down, so that nothing loses its mark
//! while one reads; what another console of the same person has seen meanwhile is taken off. After a while
//! without a key the next one begins anew: a console that was left open over night says in the morning what
//! has come since.

use super::effect::Effect;
use super::state::{State, Tone};
use crate::command::{Command, Pane, TodaySpan};
use crate::model::id::Origin;
use crate::model::mark::{HybridClock, Mark, Marks, Stamp};
use crate::model::time::{Span, Time};
use crate::model::view::looked::{self, Looked};

/// Without a key for so long, one has gone.
const GONE: Span = Span::from_mins(15);
/// So long after a key it is kept at the latest.
const KEEP: Span = Span::from_mins(5);
/// Who was there for less has not looked.
const GLIMPSE: Span = Span::from_secs(10);
/// What is over and what changed is counted so often at most: that looks at all that is known.
const RECOUNT: Span = Span::from_secs(10);
/// How long servers may take before what has come since is said.
const PATIENCE: Span = Span::from_secs(5);

#[derive(Debug)]
pub struct Looking {
    /// All that this person has seen, at any of their consoles.
    kept: Marks,
    /// What is new is new since these.
    since: Marks,
    /// What was there at the last key, and is not kept yet.
    glance: Marks,
    clock: HybridClock,
    keyed: Option<Span>,
    /// When one sat down.
    sat: Span,
    /// When the first key came that is not kept yet.
    glanced: Span,
    /// One has said that all is seen: nothing is said until something comes.
    hushed: bool,
    /// What has come since is still to be said.
    says: bool,
    summary: Option<Looked>,
    /// When all of it was counted; nothing: it must be.
    counted: Option<Span>,
}

impl Default for Looking {
    fn default() -> Looking {
        Looking {
            kept: Marks::default(),
            since: Marks::default(),
            glance: Marks::default(),
            clock: HybridClock::default(),
            keyed: None,
            sat: Span::ZERO,
            glanced: Span::ZERO,
            hushed: false,
            says: true,
            summary: None,
            counted: None,
        }
    }
}

impl State {
    /// What this person had seen when the console began.
    pub fn looked_before(&mut self, marks: &Marks) {
        self.looking.kept.merge(marks);
        self.looking.since.merge(marks);
        self.recount();
    }

    /// What the person's home knows: what they have seen elsewhere is no longer new here.
    pub(super) fn looked_elsewhere(&mut self, marks: &Marks) {
        let place = |mark: &Mark| (mark.incarnation, mark.sequence);
        for (origin, mark) in marks.iter() {
            // One that is too far ahead was brought down before.
            let _ = self.looking.clock.hear(mark.looked, self.present);
            if self.looking.kept.of(origin).is_none_or(|known| place(mark) > place(known)) {
                self.looking.since.look(origin, *mark);
                self.looking.counted = None;
                self.dirty = true;
            }
        }
        self.looking.kept.merge(marks);
    }

    /// Somebody is here: a key was pressed, or a line typed.
    pub(super) fn attend(&mut self) -> Vec<Effect> {
        let gone = self.looking.keyed.is_some_and(|keyed| self.mono.micros() - keyed.micros() >= GONE.micros());
        let effects = if gone { self.sit_down() } else { Vec::new() };
        self.looking.keyed = Some(self.mono);
        if !self.is_away() {
            if self.looking.glance.is_empty() {
                self.looking.glanced = self.mono;
            }
            self.looking.glance = self.heads();
        }
        effects
    }

    fn sit_down(&mut self) -> Vec<Effect> {
        let effects = self.keep_glance();
        self.looking.since = self.looking.kept.clone();
        (self.looking.sat, self.looking.hushed, self.looking.says) = (self.mono, false, true);
        self.recount();
        effects
    }

    /// Time goes by: what was seen is kept now and then.
    pub(super) fn look_on(&mut self) -> Vec<Effect> {
        let due = self.mono.micros() - self.looking.glanced.micros() >= KEEP.micros();
        if due { self.keep_glance() } else { Vec::new() }
    }

    /// What is to be kept when the console ends.
    pub fn leave(&mut self) -> Option<Marks> {
        let stayed = self.mono.micros() - self.looking.sat.micros() >= GLIMPSE.micros();
        let effects = if stayed { self.keep_glance() } else { Vec::new() };
        (!effects.is_empty()).then(|| self.looking.kept.clone())
    }

    /// All of this is seen; what comes from now on is new.
    pub(super) fn seen_all(&mut self) -> Vec<Effect> {
        if self.is_away() {
            self.say(Tone::Plain, "seen-all: not in the past; . comes back to the live world");
            return Vec::new();
        }
        self.looking.glance = self.heads();
        let effects = self.keep_glance();
        self.looking.since = self.looking.kept.clone();
        (self.looking.hushed, self.looking.says) = (true, false);
        self.recount();
        self.say(Tone::Fine, if effects.is_empty() { "no server was heard yet" } else { "all is seen; what comes from now on is new" });
        effects
    }

    fn keep_glance(&mut self) -> Vec<Effect> {
        let glance = std::mem::take(&mut self.looking.glance);
        if glance.is_empty() {
            return Vec::new();
        }
        self.looking.kept.merge(&glance);
        vec![Effect::Looked(self.looking.kept.clone())]
    }

    /// How far every server has been heard, and as of when.
    fn heads(&mut self) -> Marks {
        let stamp = self.looking.clock.stamp(self.present);
        let live = self.live().servers.iter().zip(&self.links).filter(|(seen, link)| link.known && !link.is_file && seen.world.origin != Origin::default());
        let marks = live.map(|(seen, link)| {
            // What a silent server did since it was heard is not seen.
            let age = link.age(self.mono).unwrap_or_default();
            let looked = if link.is_live(self.mono) { stamp } else { Stamp { at: self.present.minus(age), count: 0 } };
            (seen.world.origin, Mark { incarnation: seen.world.incarnation, sequence: seen.world.head, looked })
        });
        marks.collect()
    }

    /// What rows are new against; nothing while the panes are at another time.
    pub(super) fn new_since(&self) -> Option<&Marks> {
        (!self.is_away()).then_some(&self.looking.since)
    }

    /// From when on nothing was looked at.
    pub(super) fn looked_at(&self) -> Option<Time> {
        looked::since(self.live(), &self.looking.since)
    }

    /// Counts anew, once rows were made anew.
    pub(super) fn sum_up(&mut self) {
        let looking = &mut self.looking;
        let fresh = looking.counted.is_some_and(|at| self.mono.micros() - at.micros() < RECOUNT.micros());
        looking.summary = match looking.summary.take() {
            _ if self.away.is_some() => None,
            Some(known) if fresh => Some(known.with_rows(&self.rows, &looking.since)),
            Some(_) | None => {
                looking.counted = Some(self.mono);
                Looked::of(&self.sky, &self.rows, &looking.since, self.now)
            }
        };
    }

    /// Something else is to be counted, or by other marks.
    pub(super) fn recount(&mut self) {
        self.looking.counted = None;
        self.dirty = true;
    }

    /// "since you looked 6h ago: 3 new, 1 still open, 12 recovered, 2 changes", and the keys that tell it.
    pub fn since_looked(&self) -> Option<(String, String)> {
        let summary = self.looking.summary.as_ref().filter(|summary| !self.looking.hushed || !summary.is_quiet())?;
        let tells = Command::TodaySpan(Some(TodaySpan::Look));
        let keys = self.keymap.key_for(&super::keymap::layers_of(self.pane), &tells).map(|keys| super::keymap::key::write_sequence(&keys));
        Some((summary.words(self.now), keys.unwrap_or_default()))
    }

    /// Whether the pane itself shows it.
    pub fn shows_since_looked(&self) -> bool {
        matches!(self.pane, Pane::Now | Pane::Alerts) && self.body_height() >= 12 && !self.linear
    }

    /// Says it once, where no line shows it: as soon as all servers have answered, or soon.
    pub(super) fn say_since_looked(&mut self) {
        let answered = self.links.iter().all(|link| link.is_live(self.mono));
        if !self.looking.says || self.looking.summary.is_none() || !(answered || self.mono.micros() - self.looking.sat.micros() >= PATIENCE.micros()) {
            return;
        }
        self.looking.says = false;
        // In lines it stands at the head of the first list.
        let first = self.looking.sat == Span::ZERO;
        if self.shows_since_looked() || (self.linear && first) {
            return;
        }
        if let Some((words, keys)) = self.since_looked() {
            let hint = if keys.is_empty() { String::new() } else { format!("   {keys} tells") };
            self.say(Tone::Plain, format!("{words}{hint}"));
        }
    }
}
