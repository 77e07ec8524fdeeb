//! Today: what happened in a span, in plain words, for somebody who has not looked for long.
//!
//! A first version, made from what the worlds hold: episodes that began, ended or lasted in the span,
//! and what people did and changed. Deterministic: the same worlds give the same words.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;

use super::{Freshness, Seen, Sky};
use crate::model::history::{History, Verdict, coarse};
use crate::model::id::{SystemId, SystemRef};
use crate::model::severity::Severity;
use crate::model::time::Time;
use crate::model::world::{Alert, Deed, DeedKind, Past, World};

#[derive(Clone, PartialEq, Debug)]
pub struct Today {
    pub from: Time,
    pub until: Time,
    /// What must be said first: how many things broke, are open, and who worked on them.
    pub summary: String,
    pub sections: Vec<Section>,
    /// Servers that cannot be asked now, and spans in which nobody watched.
    pub caveats: Vec<String>,
}

/// One system.
#[derive(Clone, PartialEq, Debug)]
pub struct Section {
    pub system: SystemRef,
    pub name: String,
    pub title: String,
    pub lines: Vec<Line>,
    /// Alerts that are always so or go away by themselves, and that nobody has: open now, and over.
    pub usual: (usize, usize),
}

#[derive(Clone, PartialEq, Debug)]
pub struct Line {
    pub at: Time,
    pub part: Part,
    pub kind: LineKind,
    pub severity: Severity,
    pub words: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LineKind {
    StillOpen,
    Recovered,
    Did,
    Changed,
}

/// The part of the day in which it began, on the reader's clock.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Part {
    /// Before the span.
    Before,
    Night,
    Morning,
    Afternoon,
    Evening,
}

impl Section {
    /// "3 things as usual, 2 of them open", if there are any.
    pub fn usual_words(&self) -> Option<String> {
        match self.usual {
            (0, 0) => None,
            (open, 0) => Some(format!("{open} open as usual")),
            (0, over) => Some(format!("{over} came and went as usual")),
            (open, over) => Some(format!("{open} open as usual, {over} came and went")),
        }
    }
}

impl Part {
    pub const fn word(self) -> &'static str {
        match self {
            Part::Before => "from before",
            Part::Night => "in the night",
            Part::Morning => "in the morning",
            Part::Afternoon => "in the afternoon",
            Part::Evening => "in the evening",
        }
    }

    pub fn of(at: Time, zone: &TimeZone) -> Part {
        match at.zoned(zone).hour() {
            5..12 => Part::Morning,
            12..17 => Part::Afternoon,
            17..22 => Part::Evening,
            _ => Part::Night,
        }
    }
}

pub fn today(sky: &Sky, from: Time, until: Time, zone: &TimeZone, system: Option<&str>) -> Today {
    let mut told = Told { from, until, zone, system, sections: BTreeMap::new(), counts: Counts::default(), caveats: Vec::new() };
    for (index, seen) in sky.servers.iter().enumerate() {
        told.server(sky, index, seen);
    }
    let mut sections: Vec<Section> = told.sections.into_values().collect();
    for section in &mut sections {
        section.lines.sort_by(|a, b| (a.at, &a.words).cmp(&(b.at, &b.words)));
    }
    let weight = |section: &Section| {
        let still = section.lines.iter().filter(|line| line.kind == LineKind::StillOpen).map(|line| line.severity).max();
        (std::cmp::Reverse(still), std::cmp::Reverse(section.lines.len()))
    };
    sections.sort_by(|a, b| weight(a).cmp(&weight(b)).then_with(|| a.name.cmp(&b.name)));
    // No verdict on what nobody could ask.
    let unknown = !sky.servers.is_empty() && sky.servers.iter().all(|seen| seen.freshness == Freshness::Never);
    let summary = if unknown || sky.servers.is_empty() { "No server could be asked: what happened is not known.".to_owned() } else { told.counts.words() };
    Today { from, until, summary, sections, caveats: told.caveats }
}

/// What is told so far.
struct Told<'a> {
    from: Time,
    until: Time,
    zone: &'a TimeZone,
    /// Only this system and what stands beneath it by name.
    system: Option<&'a str>,
    sections: BTreeMap<SystemRef, Section>,
    counts: Counts,
    caveats: Vec<String>,
}

#[derive(Default)]
struct Counts {
    broke: usize,
    open: usize,
    recovered: usize,
    changes: usize,
    usual: usize,
    people: Vec<String>,
}

impl Told<'_> {
    fn server(&mut self, sky: &Sky, index: usize, seen: &Seen) {
        let world = &seen.world;
        if !seen.freshness.is_live() {
            let age = seen.freshness.age().map_or("never heard".to_owned(), |age| format!("last heard {age} ago"));
            self.caveats.push(format!("{} says nothing now ({age}): what follows of it is how it was then", seen.name));
        }
        for (a, b) in world.unwatched.iter().filter(|(a, b)| *a < self.until && *b > self.from) {
            self.caveats.push(format!("nobody watched for {} from {} to {}", seen.name, self.clock(*a), self.clock(*b)));
        }
        for alert in world.alerts.values() {
            self.alert(sky, index, world, alert);
        }
        let (from, until) = (self.from, self.until);
        for deed in world.deeds.iter().filter(|deed| deed.at >= from && deed.at < until && !deed.withdrawn) {
            self.deed(sky, index, world, deed);
        }
    }

    fn alert(&mut self, sky: &Sky, index: usize, world: &World, alert: &Alert) {
        let history = History::of(alert, world, self.zone, self.until);
        let over: Vec<Past> = alert.past.iter().filter(|past| past.from < self.until && past.until >= self.from).copied().collect();
        let open = alert.now.filter(|open| open.since < self.until);
        // What is always so, or goes away by itself, is counted, not told one by one.
        if history.usual && alert.somebody().is_none() {
            if (open.is_some() || !over.is_empty())
                && let Some(section) = self.section(sky, index, world, &alert.system)
            {
                section.usual.0 += usize::from(open.is_some());
                section.usual.1 += over.len();
                self.counts.usual += usize::from(open.is_some()) + over.len();
            }
            return;
        }
        for past in over {
            let words = format!("{} from {}, over after {}{}", alert.title, self.clock(past.from), coarse(past.until.since(past.from)), usual(history.verdict));
            if self.say(sky, index, world, &alert.system, past.from, LineKind::Recovered, past.severity, words) {
                self.counts.recovered += 1;
                self.counts.broke += usize::from(past.from >= self.from);
            }
        }
        if let Some(open) = open {
            let who = alert.somebody().map_or(", nobody has it".to_owned(), |who| format!(", {who} has it"));
            let words = format!("{} since {}, still open{who} ({})", alert.title, self.clock(open.since), history.words(self.until));
            if self.say(sky, index, world, &alert.system, open.since, LineKind::StillOpen, alert.severity, words) {
                self.counts.open += 1;
                self.counts.broke += usize::from(open.since >= self.from);
            }
        }
    }

    fn deed(&mut self, sky: &Sky, index: usize, world: &World, deed: &Deed) {
        let Some(id) = &deed.system else { return };
        let (at, by) = (self.clock(deed.at), deed.by.name());
        let (kind, words) = match deed.kind {
            DeedKind::Change | DeedKind::Commit | DeedKind::Action => (LineKind::Changed, format!("{at} {by}: {}", deed.title)),
            DeedKind::Restarted | DeedKind::Inventory | DeedKind::Configured | DeedKind::SilenceEnded => (LineKind::Changed, format!("{at} {}", deed.title)),
            DeedKind::Note => (LineKind::Did, format!("{at} {by} noted: {}", deed.title)),
            DeedKind::Acknowledged | DeedKind::Snoozed | DeedKind::Assigned | DeedKind::Resolved | DeedKind::Apart | DeedKind::Other => {
                (LineKind::Did, format!("{at} {}", deed.title))
            }
        };
        if self.say(sky, index, world, id, deed.at, kind, Severity::Info, words) {
            self.counts.changes += usize::from(kind == LineKind::Changed);
            if kind == LineKind::Did && !self.counts.people.iter().any(|known| known == by) {
                self.counts.people.push(by.to_owned());
            }
        }
    }

    fn section(&mut self, sky: &Sky, index: usize, world: &World, id: &SystemId) -> Option<&mut Section> {
        let name = sky.name_of(index, id);
        if self.system.is_some_and(|wanted| !(name == wanted || name.starts_with(&format!("{wanted}/")))) {
            return None;
        }
        let key = SystemRef { origin: world.origin, id: id.clone() };
        let title = world.title_of(id).to_owned();
        Some(self.sections.entry(key.clone()).or_insert_with(|| Section { system: key, name, title, lines: Vec::new(), usual: (0, 0) }))
    }

    #[expect(clippy::too_many_arguments, reason = "where, when, what and how bad: one line, said in three places above")]
    fn say(&mut self, sky: &Sky, index: usize, world: &World, id: &SystemId, at: Time, kind: LineKind, severity: Severity, words: String) -> bool {
        let part = if at < self.from { Part::Before } else { Part::of(at, self.zone) };
        match self.section(sky, index, world, id) {
            Some(section) => {
                section.lines.push(Line { at, part, kind, severity, words });
                true
            }
            None => false,
        }
    }

    /// A time, with its day when that is not within the span.
    fn clock(&self, at: Time) -> String {
        let here = at.zoned(self.zone);
        if at >= self.from { here.strftime("%H:%M").to_string() } else { here.strftime("%-d %b %H:%M").to_string() }
    }
}

impl Counts {
    fn words(&self) -> String {
        let count = |n: usize, one: &str, many: &str| match n {
            0 => format!("no {many}"),
            1 => format!("1 {one}"),
            n => format!("{n} {many}"),
        };
        let mut out = if self.broke == 0 && self.open == 0 && self.recovered == 0 {
            "Nothing out of the ordinary broke".to_owned()
        } else {
            format!("{}, {} still open, {}", count(self.broke, "new problem", "new problems"), self.open, count(self.recovered, "recovery", "recoveries"))
        };
        out.push_str(&format!("; {}.", count(self.changes, "change", "changes")));
        match self.people.as_slice() {
            [] => {}
            [one] => out.push_str(&format!(" {one} worked on it.")),
            [first @ .., last] => out.push_str(&format!(" {} and {last} worked on it.", first.join(", "))),
        }
        if self.usual > 0 {
            out.push_str(&format!(" Beside that {} as usual: always so, or gone by itself.", count(self.usual, "thing", "things")));
        }
        out
    }
}

const fn usual(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::New => ", for the first time",
        Verdict::Rare => ", rarely seen",
        Verdict::Recurring => ", as it does now and then",
        Verdict::Chronic => ", as always",
        Verdict::Flapping => ", flapping",
    }
}
