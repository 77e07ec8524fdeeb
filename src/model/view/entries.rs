//! Rows as they are read: what stands free, and under each the alerts that it probably caused, layer by layer.
//!
//! What a cause hides stays visible on its own line: how many, the worst, who has some of them. An effect
//! that is more severe than its cause, or that asks for somebody while its cause is put off, lifts the
//! whole entry: it sorts and counts by the more urgent of the two.
//!
//! Effects whose common cause has cleared stay together under the first of them.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};

use super::Sky;
use super::alerts::{AlertRow, Asks, urgency};
use crate::model::id::{AlertRef, SystemRef};
use crate::model::severity::Severity;

/// One alert that stands free, with what stands under it. Rows are indexes into the list that it was made of.
#[derive(Clone, PartialEq, Debug)]
pub struct Entry {
    pub row: usize,
    /// Depth first, most urgent first: row, and layers below the free one (1 is right under it).
    pub effects: Vec<(usize, usize)>,
    /// Of the effects.
    pub worst: Option<Severity>,
    /// Who has one of the effects, each once.
    pub somebody: Vec<String>,
    /// What the entry asks, and how bad it is, effects that must not vanish among them.
    pub asks: Asks,
    pub severity: Severity,
}

impl Entry {
    /// "21 in shop, club".
    pub fn places(&self, sky: &Sky, rows: &[AlertRow]) -> String {
        let mut names: Vec<&str> = Vec::new();
        for row in self.effects.iter().filter_map(|(row, _)| rows.get(*row)) {
            let name = sky.server(row.server).map_or("?", |seen| &seen.name);
            if !names.contains(&name) {
                names.push(name);
            }
        }
        format!("{} in {}", self.effects.len(), names.join(", "))
    }

    /// What stands under it and why, on one line: "caused probably 21 in shop, club".
    pub fn beneath(&self, sky: &Sky, rows: &[AlertRow]) -> String {
        let places = self.places(sky, rows);
        match rows.get(self.row).and_then(|row| row.cause.as_deref()).filter(|cause| cause.cleared.is_some()) {
            Some(cause) => format!("with it {places}, probably from {}, which has cleared", cause.place(sky)),
            None => format!("caused probably {places}"),
        }
    }

    /// How entries sort whose rows are in their order already.
    pub fn urgency(&self) -> (Asks, Reverse<Severity>) {
        (self.asks, Reverse(self.severity))
    }

    /// What must not vanish in the fold: "one is critical", "kim has one of them". Empty when nothing does.
    pub fn besides(&self, rows: &[AlertRow]) -> String {
        let of = |test: &dyn Fn(&AlertRow) -> bool| self.effects.iter().filter_map(|(row, _)| rows.get(*row)).filter(|row| test(row)).count();
        let head = rows.get(self.row).map_or(Severity::Info, |row| row.severity);
        let mut out = Vec::new();
        if let Some(worst) = self.worst.filter(|worst| *worst > head) {
            out.push(format!("{} {worst}", of(&|row| row.severity == worst)));
        }
        for name in self.somebody.iter().take(3) {
            out.push(format!("{name} has {}", of(&|row| row.somebody.as_deref() == Some(name))));
        }
        if self.somebody.len() > 3 {
            out.push(format!("{} more people have some", self.somebody.len() - 3));
        }
        out.join(", ")
    }
}

/// The rows `kept`, in their order, as entries: an effect whose cause is not among them stands under the
/// next layer that is, or free.
pub fn entries(rows: &[AlertRow], kept: &[usize]) -> Vec<Entry> {
    let places: HashMap<AlertRef, usize> = rows.iter().enumerate().map(|(place, row)| (row.alert, place)).collect();
    let mut is_kept = vec![false; rows.len()];
    for place in kept {
        if let Some(flag) = is_kept.get_mut(*place) {
            *flag = true;
        }
    }
    let above = |row: &AlertRow| {
        let mut cause = row.cause.as_deref();
        while let Some(known) = cause {
            let Some(place) = places.get(&known.direct).copied() else {
                return known.cleared.map(|_| Above::Cleared(known.direct));
            };
            if is_kept.get(place).copied().unwrap_or(false) {
                return Some(Above::Row(place));
            }
            cause = rows.get(place)?.cause.as_deref();
        }
        None
    };
    // The first of those whose cause has cleared bears the others.
    let mut bearers: HashMap<AlertRef, usize> = HashMap::new();
    let mut beneath: HashMap<usize, Vec<usize>> = HashMap::new();
    let mut free = Vec::new();
    for place in kept {
        match rows.get(*place).and_then(above) {
            Some(Above::Row(cause)) => beneath.entry(cause).or_default().push(*place),
            Some(Above::Cleared(cause)) => match bearers.get(&cause) {
                Some(bearer) => beneath.entry(*bearer).or_default().push(*place),
                None => {
                    bearers.insert(cause, *place);
                    free.push(*place);
                }
            },
            None => free.push(*place),
        }
    }
    free.into_iter().filter_map(|place| entry(rows, place, &beneath)).collect()
}

/// What a row stands under.
enum Above {
    Row(usize),
    /// What has cleared has no row.
    Cleared(AlertRef),
}

/// What each alert stands under, and how much stands under it.
#[derive(Clone, Debug, Default)]
pub struct Layers {
    above: HashMap<AlertRef, AlertRef>,
    /// Other systems that have an alert under it, however deep.
    beneath: HashMap<AlertRef, u32>,
}

impl Layers {
    pub fn of(rows: &[AlertRow]) -> Layers {
        let above: HashMap<AlertRef, AlertRef> = rows.iter().filter_map(|row| Some((row.alert, row.cause.as_ref()?.direct))).collect();
        let mut layers = Layers { above, beneath: HashMap::new() };
        let systems: HashMap<AlertRef, &SystemRef> = rows.iter().map(|row| (row.alert, &row.system)).collect();
        let mut known: HashSet<(AlertRef, &SystemRef)> = HashSet::new();
        for row in rows.iter().filter(|row| row.cause.is_some()) {
            for cause in layers.above(row.alert) {
                if systems.get(&cause) != Some(&&row.system) && known.insert((cause, &row.system)) {
                    *layers.beneath.entry(cause).or_default() += 1;
                }
            }
        }
        layers
    }

    /// What it stands under, the nearest first.
    pub fn above(&self, alert: AlertRef) -> Vec<AlertRef> {
        std::iter::successors(self.above.get(&alert), |cause| self.above.get(cause)).take(DEEPEST).copied().collect()
    }

    pub fn is_free(&self, alert: AlertRef) -> bool {
        !self.above.contains_key(&alert)
    }

    /// How many other systems have alerts that stand under it.
    pub fn systems_beneath(&self, alert: AlertRef) -> u32 {
        self.beneath.get(&alert).copied().unwrap_or(0)
    }
}

/// Layers that are followed.
const DEEPEST: usize = 64;

/// These alerts, and after them all that stand under one of them, however deep.
pub fn with_beneath(rows: &[AlertRow], alerts: &[AlertRef]) -> Vec<AlertRef> {
    let mut beneath: HashMap<AlertRef, Vec<AlertRef>> = HashMap::new();
    let mut together: HashMap<AlertRef, Vec<&AlertRow>> = HashMap::new();
    for row in rows {
        match row.cause.as_deref() {
            Some(cause) if cause.cleared.is_some() => together.entry(cause.direct).or_default().push(row),
            Some(cause) => beneath.entry(cause.direct).or_default().push(row.alert),
            None => {}
        }
    }
    // As they are shown: the most urgent bears those whose cause has cleared as well.
    for mut rows in together.into_values() {
        rows.sort_by_cached_key(|row| urgency(row));
        if let Some((bearer, others)) = rows.split_first() {
            beneath.entry(bearer.alert).or_default().extend(others.iter().map(|row| row.alert));
        }
    }
    let mut out: Vec<AlertRef> = alerts.to_vec();
    let mut known: HashSet<AlertRef> = alerts.iter().copied().collect();
    let mut next = 0;
    while let Some(alert) = out.get(next).copied() {
        out.extend(beneath.get(&alert).into_iter().flatten().filter(|effect| known.insert(**effect)));
        next += 1;
    }
    out
}

fn entry(rows: &[AlertRow], place: usize, beneath: &HashMap<usize, Vec<usize>>) -> Option<Entry> {
    let head = rows.get(place)?;
    let mut out = Entry { row: place, effects: Vec::new(), worst: None, somebody: Vec::new(), asks: head.asks(), severity: head.severity };
    let mut stack: Vec<(usize, usize)> = beneath.get(&place).into_iter().flatten().rev().map(|row| (*row, 1)).collect();
    while let Some((place, depth)) = stack.pop() {
        let Some(row) = rows.get(place) else { continue };
        out.effects.push((place, depth));
        stack.extend(beneath.get(&place).into_iter().flatten().rev().map(|row| (*row, depth + 1)));
        out.worst = out.worst.max(Some(row.severity));
        if let Some(name) = &row.somebody
            && out.somebody.len() < 100
            && !out.somebody.contains(name)
        {
            out.somebody.push(name.clone());
        }
        if row.severity > head.severity || head.asks() == Asks::Later {
            out.asks = out.asks.min(row.asks());
            if row.asks() <= head.asks() {
                out.severity = out.severity.max(row.severity);
            }
        }
    }
    Some(out)
}
