//! Today: what happened in a span, in plain words, for somebody who has not looked for long.
//!
//! A first version, made from what the worlds hold: episodes that began, ended or lasted in the span,
//! and what people did and changed. Deterministic: the same worlds give the same words.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;

use super::Sky;
use crate::model::history::{History, Verdict};
use crate::model::id::SystemRef;
use crate::model::severity::Severity;
use crate::model::time::Time;
use crate::model::world::DeedKind;

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
    Night,
    Morning,
    Afternoon,
    Evening,
}

impl Part {
    pub const fn word(self) -> &'static str {
        match self {
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
    let clock = |at: Time| at.zoned(zone).strftime("%H:%M").to_string();
    let mut sections: BTreeMap<SystemRef, Section> = BTreeMap::new();
    let (mut broke, mut open, mut recovered, mut changes) = (0, 0, 0, 0);
    let mut people: Vec<String> = Vec::new();
    let mut caveats = Vec::new();
    for (index, seen) in sky.servers.iter().enumerate() {
        let world = &seen.world;
        if !seen.freshness.is_live() {
            let age = seen.freshness.age().map_or("never heard".to_owned(), |age| format!("last heard {age} ago"));
            caveats.push(format!("{} says nothing now ({age}): what follows of it is how it was then", seen.name));
        }
        for (a, b) in world.unwatched.iter().filter(|(a, b)| *a < until && *b > from) {
            caveats.push(format!("nobody watched for {} from {} to {}", seen.name, clock(*a), clock(*b)));
        }
        let mut say = |id: &crate::model::id::SystemId, line: Line| {
            let name = sky.name_of(index, id);
            if system.is_some_and(|wanted| !(name == wanted || name.starts_with(&format!("{wanted}/")))) {
                return false;
            }
            let key = SystemRef { origin: world.origin, id: id.clone() };
            let section = sections.entry(key.clone()).or_insert_with(|| Section { system: key, name, title: world.title_of(id).to_owned(), lines: Vec::new() });
            section.lines.push(line);
            true
        };
        for alert in world.alerts.values() {
            let history = History::of(alert, world.known_since, until);
            for past in alert.past.iter().filter(|past| past.from < until && past.until >= from) {
                let (began, lasted) = (clock(past.from), past.until.since(past.from));
                let words = format!("{} from {began}, over after {lasted}{}", alert.title, usual(history.verdict));
                let line = Line { at: past.from, part: Part::of(past.from, zone), kind: LineKind::Recovered, severity: past.severity, words };
                if say(&alert.system, line) {
                    recovered += 1;
                    broke += usize::from(past.from >= from);
                }
            }
            if let Some(now) = alert.now.filter(|open| open.since < until) {
                let who = alert.somebody().map_or(", nobody has it".to_owned(), |who| format!(", {who} has it"));
                let words = format!("{} since {}, still open{who} ({})", alert.title, clock(now.since), history.words(until));
                let line = Line { at: now.since, part: Part::of(now.since, zone), kind: LineKind::StillOpen, severity: alert.severity, words };
                if say(&alert.system, line) {
                    open += 1;
                    broke += usize::from(now.since >= from);
                }
            }
        }
        for deed in world.deeds.iter().filter(|deed| deed.at >= from && deed.at < until && !deed.withdrawn) {
            let Some(id) = &deed.system else { continue };
            let by = deed.by.name();
            let (kind, words) = match deed.kind {
                DeedKind::Change => (LineKind::Changed, format!("{} {by}: {}", clock(deed.at), deed.title)),
                DeedKind::Restarted => (LineKind::Changed, format!("{} {}", clock(deed.at), deed.title)),
                DeedKind::Note => (LineKind::Did, format!("{} {by} noted: {}", clock(deed.at), deed.title)),
                DeedKind::Acknowledged | DeedKind::Snoozed | DeedKind::Assigned | DeedKind::Resolved => {
                    (LineKind::Did, format!("{} {}", clock(deed.at), deed.title))
                }
            };
            let line = Line { at: deed.at, part: Part::of(deed.at, zone), kind, severity: Severity::Info, words };
            if say(id, line) {
                changes += usize::from(kind == LineKind::Changed);
                if kind == LineKind::Did && !people.iter().any(|known| known == by) {
                    people.push(by.to_owned());
                }
            }
        }
    }
    let mut sections: Vec<Section> = sections.into_values().collect();
    for section in &mut sections {
        section.lines.sort_by(|a, b| (a.at, &a.words).cmp(&(b.at, &b.words)));
    }
    let weight = |section: &Section| {
        let still = section.lines.iter().filter(|line| line.kind == LineKind::StillOpen).map(|line| line.severity).max();
        (std::cmp::Reverse(still), std::cmp::Reverse(section.lines.len()))
    };
    sections.sort_by(|a, b| weight(a).cmp(&weight(b)).then_with(|| a.name.cmp(&b.name)));
    let summary = summary(broke, open, recovered, changes, &people);
    Today { from, until, summary, sections, caveats }
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

fn summary(broke: usize, open: usize, recovered: usize, changes: usize, people: &[String]) -> String {
    let count = |n: usize, one: &str, many: &str| match n {
        0 => format!("no {many}"),
        1 => format!("1 {one}"),
        n => format!("{n} {many}"),
    };
    let mut out = format!(
        "{}, {} of them or earlier ones still open, {}; {}.",
        count(broke, "new problem", "new problems"),
        open,
        count(recovered, "recovery", "recoveries"),
        count(changes, "change", "changes")
    );
    if broke == 0 && open == 0 && recovered == 0 {
        out = format!("Nothing broke and nothing is open; {}.", count(changes, "change", "changes"));
    }
    match people {
        [] => out.push_str(" Nobody did anything about it that was written down."),
        [one] => out.push_str(&format!(" {one} worked on it.")),
        [first @ .., last] => out.push_str(&format!(" {} and {last} worked on it.", first.join(", "))),
    }
    out
}
