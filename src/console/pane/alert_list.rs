//! Alerts as lines: what Now and Alerts have in common. Groups, causes with their effects, what is
//! folded away, and a selection that sticks to its row in a storm.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::command::{GroupBy, SortBy};
use crate::console::list::{List, Move};
use crate::console::screen::text;
use crate::console::sight::Sight;
use crate::model::filter::{Expr, Filter};
use crate::model::id::AlertRef;
use crate::model::severity::Severity;
use crate::model::view::alerts::{AlertRow, AlertSubject, Asks, urgency};
use crate::model::view::entries::{Entry, entries};
use crate::model::view::looked;

/// What identifies a line, whatever stands around it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LineKey {
    Alert(AlertRef),
    /// The line under a cause that counts its effects.
    Effects(AlertRef),
    Group(String),
    /// The line that counts what is usual.
    Usual,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Line {
    pub key: LineKey,
    pub what: LineKind,
    /// It began since the reader last looked; or, folded, something in it did.
    pub new: bool,
}

#[derive(Clone, PartialEq, Debug)]
pub enum LineKind {
    /// Index into [`Sight::rows`]; how deep it stands.
    Alert {
        row: usize,
        depth: usize,
    },
    /// "caused probably 21 in shop, club", and what of them must not vanish: "3 critical, kim has 1".
    Effects {
        words: String,
        besides: String,
        worst: Severity,
        open: bool,
    },
    Group {
        title: String,
        count: usize,
        worst: Severity,
        open: bool,
    },
    Usual {
        count: usize,
        open: bool,
    },
}

#[derive(Clone, Debug, Default)]
pub struct AlertList {
    pub list: List<LineKey>,
    pub lines: Vec<Line>,
    /// Alerts that the filter leaves, and all.
    pub counts: (usize, usize),
    pub filter: Option<Filter>,
    pub group: Option<GroupBy>,
    pub sort: Option<SortBy>,
    pub show_usual: bool,
    unfolded: BTreeSet<LineKey>,
    folded: BTreeSet<LineKey>,
    /// The alerts that the reader has had on the screen.
    seen: BTreeSet<AlertRef>,
    /// New alerts above what is shown.
    pub new_above: usize,
    /// Columns of the widest name among the lines, with what its depth takes.
    pub longest_name: u16,
    /// How often something was folded or unfolded, and what the lines were gathered from.
    turns: u64,
    gathered: Option<Gathered>,
}

/// What the lines depend on: as long as it is the same, so are they.
#[derive(Clone, PartialEq, Debug)]
struct Gathered {
    made: u64,
    rows: usize,
    turns: u64,
    filter: Option<Expr>,
    group: Option<GroupBy>,
    sort: Option<SortBy>,
    show_usual: bool,
}

impl AlertList {
    /// A list that does not fold away what is usual.
    pub fn with_usual() -> AlertList {
        AlertList { show_usual: true, ..AlertList::default() }
    }

    /// Gathers the lines anew from what is open now.
    pub fn settle(&mut self, sight: &Sight, height: usize) {
        let from = Gathered {
            made: sight.made,
            rows: sight.rows.len(),
            turns: self.turns,
            filter: self.filter.as_ref().map(|filter| filter.expr().clone()),
            group: self.group,
            sort: self.sort,
            show_usual: self.show_usual,
        };
        if self.gathered.as_ref() != Some(&from) {
            let kept: Vec<usize> = (0..sight.rows.len()).filter(|i| sight.rows.get(*i).is_some_and(|row| self.passes(sight, row))).collect();
            self.counts = (kept.len(), sight.rows.len());
            self.lines = self.gather(sight, &kept);
            self.longest_name = longest_name(&self.lines, sight.rows);
            self.gathered = Some(from);
        }
        let (lines, len) = (&self.lines, self.lines.len());
        self.list.settle(len, |i| lines.get(i).map(|line| line.key.clone()));
        self.list.fit(len, height);
        let top = self.list.top();
        self.new_above = 0;
        for (place, line) in self.lines.iter().enumerate().take(top + height.max(1)) {
            let LineKey::Alert(alert) = &line.key else { continue };
            if place >= top {
                self.seen.insert(*alert);
            } else if !self.seen.contains(alert) {
                self.new_above += 1;
            }
        }
        if self.seen.len() > 50_000 {
            self.seen.clear();
        }
    }

    fn passes(&self, sight: &Sight, row: &AlertRow) -> bool {
        let Some(filter) = &self.filter else { return true };
        let Some(seen) = sight.sky.server(row.server) else { return false };
        seen.world.alert(row.alert.alert).is_some_and(|alert| filter.matches(&AlertSubject { row, alert, server: &seen.name }))
    }

    fn gather(&self, sight: &Sight, kept: &[usize]) -> Vec<Line> {
        let row = |i: &usize| sight.rows.get(*i);
        let mut order: Vec<usize> = kept.to_vec();
        self.order(sight, &mut order);
        match self.group.unwrap_or(GroupBy::Cause) {
            GroupBy::Cause => self.by_cause(sight, &order),
            GroupBy::Nothing => order
                .iter()
                .filter_map(|i| row(i).map(|r| (i, r)))
                .map(|(i, r)| Line { key: LineKey::Alert(r.alert), what: LineKind::Alert { row: *i, depth: 0 }, new: is_new(sight, *i) })
                .collect(),
            GroupBy::System => self.by(sight, &order, |r| r.name.clone()),
            GroupBy::Check => self.by(sight, &order, |r| r.check.to_string()),
            GroupBy::Server => self.by(sight, &order, |r| sight.sky.server(r.server).map_or_else(String::new, |s| s.name.to_string())),
        }
    }

    fn order(&self, sight: &Sight, order: &mut [usize]) {
        let Some(sample) = sight.rows.first() else { return };
        let row = |i: &usize| sight.rows.get(*i).unwrap_or(sample);
        match self.sort.unwrap_or(SortBy::Urgency) {
            SortBy::Urgency => order.sort_by_cached_key(|i| urgency(row(i))),
            SortBy::Age => order.sort_by_key(|i| std::cmp::Reverse(row(i).since)),
            SortBy::System => order.sort_by_cached_key(|i| (&row(i).name, urgency(row(i)))),
            SortBy::Check => order.sort_by_cached_key(|i| (&row(i).check, urgency(row(i)))),
            SortBy::History => order.sort_by_cached_key(|i| (row(i).history.verdict, urgency(row(i)))),
        }
    }

    fn by_cause(&self, sight: &Sight, order: &[usize]) -> Vec<Line> {
        let mut heads = entries(sight.rows, order);
        if self.sort.unwrap_or(SortBy::Urgency) == SortBy::Urgency {
            heads.sort_by_key(Entry::urgency);
        }
        let mut out = Vec::new();
        let mut usual = Vec::new();
        let line = |place: usize, depth: usize| {
            sight.rows.get(place).map(|row| Line { key: LineKey::Alert(row.alert), what: LineKind::Alert { row: place, depth }, new: is_new(sight, place) })
        };
        for entry in heads {
            let Some(row) = sight.rows.get(entry.row) else { continue };
            let group = if entry.asks == Asks::Nobody && self.filter.is_none() { &mut usual } else { &mut out };
            group.extend(line(entry.row, 0));
            let Some(worst) = entry.worst else { continue };
            let key = LineKey::Effects(row.alert);
            let open = self.unfolded.contains(&key);
            let (words, besides) = (entry.beneath(sight.sky, sight.rows), entry.besides(sight.rows));
            let new = !open && entry.effects.iter().any(|(place, _)| is_new(sight, *place));
            group.push(Line { key, what: LineKind::Effects { words, besides, worst, open }, new });
            if open {
                group.extend(entry.effects.iter().filter_map(|(place, depth)| line(*place, *depth)));
            }
        }
        if !usual.is_empty() {
            let count = usual.iter().filter(|line| matches!(line.what, LineKind::Alert { depth: 0, .. })).count();
            // What is usual is not worth a second look, however new.
            out.push(Line { key: LineKey::Usual, what: LineKind::Usual { count, open: self.show_usual }, new: false });
            if self.show_usual {
                out.append(&mut usual);
            }
        }
        out
    }

    fn by(&self, sight: &Sight, order: &[usize], title: impl Fn(&AlertRow) -> String) -> Vec<Line> {
        let mut groups: Vec<(String, Vec<usize>)> = Vec::new();
        let mut places: BTreeMap<String, usize> = BTreeMap::new();
        for i in order {
            let Some(row) = sight.rows.get(*i) else { continue };
            let title = title(row);
            let place = *places.entry(title.clone()).or_insert_with(|| {
                groups.push((title, Vec::new()));
                groups.len() - 1
            });
            if let Some((_, members)) = groups.get_mut(place) {
                members.push(*i);
            }
        }
        let mut out = Vec::new();
        for (title, members) in groups {
            let key = LineKey::Group(title.clone());
            let open = !self.folded.contains(&key);
            let worst = members.iter().filter_map(|i| sight.rows.get(*i)).map(|row| row.severity).max().unwrap_or_default();
            let new = !open && members.iter().any(|i| is_new(sight, *i));
            out.push(Line { key, what: LineKind::Group { title, count: members.len(), worst, open }, new });
            if open {
                let lines = members.iter().filter_map(|i| sight.rows.get(*i).map(|row| (i, row)));
                out.extend(lines.map(|(i, row)| Line { key: LineKey::Alert(row.alert), what: LineKind::Alert { row: *i, depth: 1 }, new: is_new(sight, *i) }));
            }
        }
        out
    }

    pub fn go(&mut self, movement: Move, height: usize) {
        let lines = &self.lines;
        self.list.go(movement, lines.len(), height, |i| lines.get(i).map(|line| line.key.clone()));
        self.list.fit(self.lines.len(), height);
    }

    pub fn select(&mut self, alert: AlertRef) -> bool {
        let key = LineKey::Alert(alert);
        let found = self.lines.iter().position(|line| line.key == key);
        if let Some(found) = found {
            let lines = &self.lines;
            self.list.select(found, lines.len(), |i| lines.get(i).map(|line| line.key.clone()));
        }
        found.is_some()
    }

    /// By its place among the lines.
    pub fn select_line(&mut self, line: usize) {
        let lines = &self.lines;
        self.list.select(line, lines.len(), |i| lines.get(i).map(|line| line.key.clone()));
    }

    fn selected_line(&self) -> Option<&Line> {
        self.lines.get(self.list.selected())
    }

    /// The selected alert; on the line that counts effects, their cause.
    pub fn alert(&self) -> Option<AlertRef> {
        match &self.selected_line()?.key {
            LineKey::Alert(alert) | LineKey::Effects(alert) => Some(*alert),
            LineKey::Group(_) | LineKey::Usual => None,
        }
    }

    /// Unfolds what is selected. True when that changed anything.
    pub fn unfold(&mut self) -> bool {
        self.turns += 1;
        let Some(line) = self.selected_line().cloned() else { return false };
        match line.key {
            LineKey::Alert(alert) => {
                let key = LineKey::Effects(alert);
                self.lines.iter().any(|line| line.key == key) && self.unfolded.insert(key)
            }
            LineKey::Effects(_) => self.unfolded.insert(line.key),
            LineKey::Group(_) => self.folded.remove(&line.key),
            LineKey::Usual => !std::mem::replace(&mut self.show_usual, true),
        }
    }

    /// Folds what is selected, or goes to what holds it.
    pub fn fold(&mut self) {
        self.turns += 1;
        let Some(line) = self.selected_line().cloned() else { return };
        match (&line.key, &line.what) {
            (LineKey::Alert(alert), LineKind::Alert { depth: 0, .. }) => {
                self.unfolded.remove(&LineKey::Effects(*alert));
            }
            (LineKey::Effects(_), _) => {
                self.unfolded.remove(&line.key);
            }
            (LineKey::Group(_), _) => {
                self.folded.insert(line.key);
            }
            (LineKey::Usual, _) => self.show_usual = false,
            (LineKey::Alert(_), _) => {
                let above =
                    (0..self.list.selected()).rev().find(|i| self.lines.get(*i).is_some_and(|l| matches!(l.key, LineKey::Effects(_) | LineKey::Group(_))));
                if let Some(above) = above {
                    let lines = &self.lines;
                    self.list.select(above, lines.len(), |i| lines.get(i).map(|line| line.key.clone()));
                }
            }
        }
    }

    /// What is unfolded of what is folded by itself, and the other way round.
    pub fn folds(&self) -> (&BTreeSet<LineKey>, &BTreeSet<LineKey>) {
        (&self.unfolded, &self.folded)
    }

    pub fn fold_as(&mut self, unfolded: BTreeSet<LineKey>, folded: BTreeSet<LineKey>) {
        self.turns += 1;
        (self.unfolded, self.folded) = (unfolded, folded);
    }

    pub fn unfold_all(&mut self) {
        self.turns += 1;
        let foldable: Vec<LineKey> = self.lines.iter().filter(|line| matches!(line.key, LineKey::Effects(_))).map(|line| line.key.clone()).collect();
        if !self.folded.is_empty() || foldable.iter().any(|key| !self.unfolded.contains(key)) {
            self.unfolded.extend(foldable);
            self.folded.clear();
        } else {
            self.unfolded.clear();
            self.folded = self.lines.iter().filter(|line| matches!(line.key, LineKey::Group(_))).map(|line| line.key.clone()).collect();
        }
    }

    pub fn mark(&mut self) {
        if matches!(self.list.key(), Some(LineKey::Alert(_))) {
            self.list.toggle_mark();
        }
    }

    pub fn mark_range(&mut self) {
        let lines = &self.lines;
        self.list.range(lines.len(), |i| lines.get(i).map(|line| line.key.clone()));
        self.list.marks.retain(|key| matches!(key, LineKey::Alert(_)));
    }

    pub fn mark_all(&mut self) {
        self.list.marks = self.lines.iter().map(|line| line.key.clone()).filter(|key| matches!(key, LineKey::Alert(_))).collect();
    }

    /// What a verb is about.
    pub fn targets(&self) -> Vec<AlertRef> {
        let targets = self.list.targets(self.lines.len(), |i| self.lines.get(i).map(|line| line.key.clone()));
        let alerts = targets.iter().filter_map(|key| match key {
            LineKey::Alert(alert) | LineKey::Effects(alert) => Some(*alert),
            LineKey::Group(_) | LineKey::Usual => None,
        });
        alerts.collect()
    }

    /// The next line whose alert fulfils `test`, downwards or upwards, going round.
    pub fn seek(&mut self, sight: &Sight, forward: bool, test: impl Fn(&AlertRow) -> bool) -> bool {
        let len = self.lines.len();
        let here = self.list.selected();
        let places = (1..=len).map(|step| if forward { (here + step) % len } else { (here + len - step) % len });
        for place in places {
            let row = match self.lines.get(place).map(|line| &line.what) {
                Some(LineKind::Alert { row, .. }) => sight.rows.get(*row),
                Some(LineKind::Effects { .. } | LineKind::Group { .. } | LineKind::Usual { .. }) | None => None,
            };
            if row.is_some_and(&test) {
                let lines = &self.lines;
                self.list.select(place, len, |i| lines.get(i).map(|line| line.key.clone()));
                return true;
            }
        }
        false
    }

    pub fn back(&mut self) -> bool {
        if !self.list.marks.is_empty() || self.list.anchor.is_some() {
            self.list.marks.clear();
            self.list.anchor = None;
            return true;
        }
        self.filter.take().is_some()
    }
}

/// Whether the reader has not seen it. What is usual comes and goes: it does not count.
fn is_new(sight: &Sight, row: usize) -> bool {
    let (Some(row), Some(marks)) = (sight.rows.get(row), sight.new_since) else { return false };
    row.asks() != Asks::Nobody && looked::is_new(row, marks) == Some(true)
}

/// The widest name among the lines, with what its depth takes.
fn longest_name(lines: &[Line], rows: &[AlertRow]) -> u16 {
    let wide = |line: &Line| match line.what {
        LineKind::Alert { row, depth } => rows.get(row).map_or(0, |row| text::width(&row.name).saturating_add(u16::try_from(depth * 2).unwrap_or(0))),
        LineKind::Effects { .. } | LineKind::Group { .. } | LineKind::Usual { .. } => 0,
    };
    lines.iter().map(wide).max().unwrap_or(0)
}
