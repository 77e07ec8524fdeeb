//! The panes' rows as sentences, found again by what they stand for; and what is inside the selected one.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use super::words;
use crate::command::{Command, Pane};
use crate::console::pane::alert_list::{AlertList, LineKey, LineKind};
use crate::console::pane::{alerts, now, servers, systems, timeline};
use crate::console::sight::LinkState;
use crate::console::state::State;
use crate::console::timeline::Place;
use crate::console::travel::Divided;
use crate::model::id::SystemRef;
use crate::model::time::Span;
use crate::model::view::systems::SystemRow;
use crate::model::words::counted;

/// What a number stands for, whatever came between.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Key {
    Alert(LineKey),
    System(Vec<SystemRef>),
    Event(Place),
    Server(usize),
    /// One of several commands that a word may mean.
    Command(&'static str),
    /// One of the choices of a question.
    Choice(usize),
}

/// What changes when rows are folded, gathered or sorted otherwise, but not when one moves among them.
pub type Shape = (usize, Option<Key>, Option<Key>, i32, String);

pub fn shape(state: &State) -> Shape {
    let len = len(state);
    let key = |at: usize| row(state, at).map(|(key, _)| key);
    // The timeline grows by itself.
    let ends = if state.pane == Pane::Timeline { (0, None, None) } else { (len, key(0), key(len.saturating_sub(1))) };
    let order = alert_list(state).map_or_else(String::new, |list| format!("{:?} {:?} {}", list.group, list.sort, list.show_usual));
    (ends.0, ends.1, ends.2, state.panes.today.back, order)
}

pub fn is_pane(command: &Command) -> bool {
    Pane::ALL.iter().any(|pane| pane.command() == *command)
}

fn alert_list(state: &State) -> Option<&AlertList> {
    match state.pane {
        Pane::Now => Some(&state.panes.now.list),
        Pane::Alerts => Some(&state.panes.alerts.list),
        Pane::Today | Pane::Timeline | Pane::Systems | Pane::Servers => None,
    }
}

pub fn len(state: &State) -> usize {
    match state.pane {
        Pane::Now | Pane::Alerts => alert_list(state).map_or(0, |list| list.lines.len()),
        Pane::Today => 0,
        Pane::Timeline => state.timeline.len(),
        Pane::Systems => state.panes.systems.rows.len(),
        Pane::Servers => state.links.len(),
    }
}

pub fn marks(state: &State) -> usize {
    match state.pane {
        Pane::Now | Pane::Alerts => alert_list(state).map_or(0, |list| list.list.marks.len()),
        Pane::Timeline => state.panes.timeline.marks.len(),
        Pane::Today | Pane::Systems | Pane::Servers => 0,
    }
}

pub fn selected(state: &State) -> Option<usize> {
    let at = match state.pane {
        Pane::Now | Pane::Alerts => alert_list(state).map(|list| list.list.selected()),
        Pane::Today => None,
        Pane::Timeline => Some(state.panes.timeline.selected),
        Pane::Systems => Some(state.panes.systems.list.selected()),
        Pane::Servers => Some(state.panes.servers.list.selected()),
    };
    at.filter(|at| *at < len(state))
}

/// A row: what it stands for, and its sentence.
pub fn row(state: &State, at: usize) -> Option<(Key, String)> {
    match state.pane {
        Pane::Now | Pane::Alerts => {
            let list = alert_list(state)?;
            let line = list.lines.get(at)?;
            let marked = if list.list.marks.contains(&line.key) { "marked: " } else { "" };
            let new = if line.new { "unseen: " } else { "" };
            Some((Key::Alert(line.key.clone()), format!("{marked}{new}{}", alert_line(state, &line.what)?)))
        }
        Pane::Today => None,
        Pane::Timeline => {
            let slot = state.timeline.slot(at)?;
            let server = state.links.get(slot.server).map_or("", |link| &link.name);
            let words = slot.event().map_or_else(|| "an event that cannot be read".to_owned(), |event| words::event(state, server, &event));
            let marked = if state.panes.timeline.marks.contains(&slot.place()) { "marked: " } else { "" };
            let bookmark = if state.panes.timeline.bookmarks.contains_key(&slot.place()) { "bookmark: " } else { "" };
            let times = if slot.count > 1 { format!("{} times: ", slot.count) } else { String::new() };
            let beside = if slot.context { "beside a hit: " } else { "" };
            Some((Key::Event(slot.place()), format!("{marked}{bookmark}{beside}{times}{words}")))
        }
        Pane::Systems => state.panes.systems.rows.get(at).map(|row| (Key::System(row.path.clone()), system(state, row))),
        Pane::Servers => state.links.get(at).map(|_| (Key::Server(at), server(state, at))),
    }
}

fn alert_line(state: &State, what: &LineKind) -> Option<String> {
    Some(match what {
        LineKind::Alert { row, depth } => {
            let under = if *depth > 0 { "beneath: " } else { "" };
            format!("{under}{}", words::alert(state, state.rows.get(*row)?))
        }
        LineKind::Effects { words, besides, worst: _, open } => {
            let besides = if besides.is_empty() { String::new() } else { format!(": {besides}") };
            format!("{words}{besides}, {}", if *open { "unfolded below" } else { "folded" })
        }
        LineKind::Group { title, count, worst, open } => {
            format!("{} {title}, {}, {}", words::severity(*worst), counted(*count, "alert"), if *open { "unfolded below" } else { "folded" })
        }
        LineKind::Usual { count, open } => {
            let open = if *open { "unfolded below" } else { "folded" };
            format!("{count} usual: always so, or goes away by itself, {open}")
        }
    })
}

fn system(state: &State, row: &SystemRow) -> String {
    let mut out = match (row.own.alerts, row.own.worst, row.own.silent, row.own.checks) {
        _ if !row.fresh => "AS LAST HEARD".to_owned(),
        (1.., Some(worst), _, _) => words::severity(worst).to_owned(),
        (_, _, 1.., _) => "UNKNOWN".to_owned(),
        (_, _, _, 1..) => "FINE".to_owned(),
        _ => "UNWATCHED".to_owned(),
    };
    out.push_str(&format!(" {}", row.name));
    let about: Vec<&str> = [&*row.title, &*row.category].into_iter().filter(|words| !words.is_empty()).collect();
    if !about.is_empty() {
        out.push_str(&format!(", {}", about.join(", ")));
    }
    if row.own.alerts > 0 {
        out.push_str(&format!(", {} open", row.own.alerts));
    }
    if row.beneath.alerts > 0 {
        out.push_str(&format!(", {} open beneath", row.beneath.alerts));
    }
    if row.children > 0 {
        let open = (row.path.len() < 2) != state.panes.systems.turned.contains(&row.path);
        out.push_str(&format!(", holds {}, {}", counted(row.children, "system"), if open { "unfolded below" } else { "folded" }));
    }
    out
}

fn server(state: &State, at: usize) -> String {
    let Some(link) = state.links.get(at) else { return String::new() };
    let age = link.age(state.mono).map(words::age);
    let says = match (&link.state, age) {
        (LinkState::Up, Some(_)) if link.is_live(state.mono) => "FINE".to_owned(),
        (LinkState::Up, Some(age)) => format!("SILENT for {age}"),
        (LinkState::Up | LinkState::Connecting, None) => "CONNECTING".to_owned(),
        (LinkState::Connecting, Some(age)) => format!("CONNECTING, last heard {age} ago"),
        (LinkState::Lost { why, .. }, Some(age)) => format!("LOST, last heard {age} ago, {why}"),
        (LinkState::Lost { why, .. }, None) => format!("LOST, {why}"),
    };
    let counts = state.sky.server(at).filter(|_| link.known).map_or_else(String::new, |seen| {
        let world = &seen.world;
        format!(", {}, {}, {} open", counted(world.systems.len(), "system"), counted(world.agents.len(), "agent"), world.open.len())
    });
    format!("{says} {}{counts}", link.name)
}

/// Whether the selected row stands for others and is folded: to open it is to unfold it.
pub fn is_fold(state: &State) -> bool {
    let list = alert_list(state);
    let line = list.and_then(|list| list.lines.get(list.list.selected()));
    line.is_some_and(|line| {
        matches!(line.what, LineKind::Effects { open: false, .. } | LineKind::Group { open: false, .. } | LineKind::Usual { open: false, .. })
    })
}

/// Where a row stands now, if it is still there.
pub fn find(state: &State, key: &Key) -> Option<usize> {
    match key {
        Key::Alert(key) => alert_list(state)?.lines.iter().position(|line| line.key == *key),
        Key::System(path) if state.pane == Pane::Systems => state.panes.systems.rows.iter().position(|row| row.path == *path),
        Key::Event(place) if state.pane == Pane::Timeline => {
            let at = state.timeline.find(*place);
            state.timeline.slot(at).filter(|slot| slot.place() == *place).map(|_| at)
        }
        Key::Server(at) if state.pane == Pane::Servers => Some(*at).filter(|at| *at < state.links.len()),
        Key::System(_) | Key::Event(_) | Key::Server(_) | Key::Command(_) | Key::Choice(_) => None,
    }
}

/// Goes to a row; false: it is not there any more.
pub fn select(state: &mut State, key: &Key) -> bool {
    let found = find(state, key);
    found.is_some_and(|at| {
        select_at(state, at);
        true
    })
}

pub fn select_at(state: &mut State, at: usize) {
    state.keyed = true;
    let mut panes = std::mem::take(&mut state.panes);
    match state.pane {
        Pane::Now => list_at(&mut panes.now.list, at),
        Pane::Alerts => list_at(&mut panes.alerts.list, at),
        Pane::Today => {}
        Pane::Timeline => {
            let sight = state.sight();
            let last = at + 1 >= sight.timeline.len();
            // One who looks at the last event goes on following; one who opens it holds it.
            panes.timeline.select(&sight, at, last && panes.timeline.place.is_none());
        }
        Pane::Systems => {
            let paths: Vec<_> = panes.systems.rows.iter().map(|row| row.path.clone()).collect();
            panes.systems.list.select(at, paths.len(), |i| paths.get(i).cloned());
        }
        Pane::Servers => panes.servers.list.select(at, state.links.len(), Some),
    }
    state.panes = panes;
}

fn list_at(list: &mut AlertList, at: usize) {
    let keys: Vec<LineKey> = list.lines.iter().map(|line| line.key.clone()).collect();
    list.list.select(at, keys.len(), |i| keys.get(i).cloned());
}

/// What is selected, by its name.
pub fn name(state: &State) -> Option<String> {
    match state.pane {
        Pane::Now | Pane::Alerts => state.detail.as_ref().map(|detail| detail.name.clone()),
        Pane::Today => None,
        Pane::Timeline => Some("event".to_owned()),
        Pane::Systems => state.panes.systems.row().map(|row| row.name.clone()),
        Pane::Servers => state.links.get(state.panes.servers.list.selected()).map(|link| link.name.to_string()),
    }
}

/// What stands above a pane's rows.
pub fn heading(state: &State) -> Vec<String> {
    let silent: Vec<String> = state
        .links
        .iter()
        .filter(|link| !link.is_live(state.mono))
        .map(|link| match link.age(state.mono) {
            Some(age) => format!("{} was last heard {} ago", link.name, words::age(age)),
            None => format!("{} was never heard", link.name),
        })
        .collect();
    let mut out = Vec::new();
    let filter = state.active_filter().map(|filter| format!(", that match {filter}")).unwrap_or_default();
    match state.pane {
        Pane::Now => {
            let needs = &state.needs;
            let parts = [(needs.need_you, "need you"), (needs.have_somebody, "have somebody"), (needs.put_off, "put off"), (needs.usual, "usual")];
            let said: Vec<String> = parts.iter().filter(|(count, _)| *count > 0).map(|(count, words)| format!("{count} {words}")).collect();
            out.push(if said.is_empty() { "Now: no alert is open".to_owned() } else { format!("Now: {}", said.join(", ")) });
        }
        Pane::Alerts => {
            let (kept, all) = state.panes.alerts.list.counts;
            out.push(if kept == all { format!("Alerts: {all} open") } else { format!("Alerts: {kept} of {}{filter}", counted(all, "alert")) });
        }
        Pane::Today => out.push("Today:".to_owned()),
        Pane::Timeline => {
            let (held, hits) = (state.timeline.held(), state.timeline.len());
            let older = match (state.timeline.has_more(), state.links.iter().all(|link| link.is_file)) {
                (false, _) => "",
                (true, true) if held == 0 => ", more are being read",
                (true, true) => ", older ones in the files",
                (true, false) => ", older ones on the servers",
            };
            let count = if filter.is_empty() { counted(held, "event") } else { format!("{hits} of {}{filter}", counted(held, "event")) };
            let following = if state.panes.timeline.place.is_none() { ", following" } else { "" };
            out.push(match state.divided() {
                Some(Divided { by, later, sure }) => {
                    let (what, more) = (if filter.is_empty() { "event" } else { "hit" }, if sure { "" } else { " or more" });
                    format!("Timeline: {}{filter} by then, {later}{more} later, the newest last", counted(by, what))
                }
                None => format!("Timeline: {count}{older}{following}, the newest last"),
            });
        }
        Pane::Systems => out.push(format!("Systems: {}{filter}", counted(len(state), "row"))),
        Pane::Servers => {
            out.push(format!("Servers: {}", counted(state.links.len(), if state.links.iter().all(|link| link.is_file) { "file" } else { "server" })))
        }
    }
    if let (Pane::Now | Pane::Alerts, Some((words, _))) = (state.pane, state.since_looked()) {
        out.push(format!("{words}; `today-span look` tells"));
    }
    if !silent.is_empty() && state.pane != Pane::Servers && !state.links.iter().all(|link| link.is_file) {
        out.push(format!("STALE: {}; what is said of it is how it was", silent.join(", ")));
    }
    if len(state) == 0 && state.pane != Pane::Today {
        // Why there is nothing, and whether that is good: as the screen says it.
        out.extend(drawn(state, head(state.pane)).into_iter().take(3));
    }
    out
}

/// The whole text of Today.
pub fn today(state: &State) -> Vec<String> {
    let lines = state.panes.today.lines.iter().map(|line| {
        let words: String = line.words.iter().map(|(text, _)| text.as_str()).collect();
        let indent = " ".repeat(usize::from(line.indent.min(4)));
        match &line.head {
            Some(head) => {
                let before = [head.label.as_str(), head.when.as_str()].into_iter().filter(|part| !part.is_empty());
                let before: Vec<&str> = before.chain(std::iter::once(words.trim())).collect();
                format!("{indent}{}", before.join(" "))
            }
            None => format!("{indent}{}", words.trim()),
        }
    });
    tidy(lines.collect())
}

const fn head(pane: Pane) -> u16 {
    match pane {
        Pane::Now => now::HEAD,
        Pane::Alerts => alerts::HEAD,
        Pane::Today => 0,
        Pane::Timeline => timeline::HEAD,
        Pane::Systems => systems::HEAD,
        Pane::Servers => servers::HEAD,
    }
}

/// The frame that is read from: one column, and so wide that nothing is cut but what is long everywhere.
const FRAME: (u16, u16) = (240, 250);

/// All about what is selected, as the opened pane has it: read from a frame, so that nothing that a screen
/// shows is missing here.
pub fn detail(state: &mut State) -> Vec<String> {
    let size = std::mem::replace(&mut state.size, FRAME);
    let (opened, top) = (std::mem::replace(&mut state.panes.opened, true), std::mem::take(&mut state.panes.detail_top));
    state.settle(|| Span::ZERO);
    let lines = drawn(state, head(state.pane));
    (state.size, state.panes.opened, state.panes.detail_top) = (size, opened, top);
    state.settle(|| Span::ZERO);
    lines
}

/// The body of a frame as lines, below so many of its own.
fn drawn(state: &State, skip: u16) -> Vec<String> {
    let (width, height) = state.size;
    let mut buffer = Buffer::empty(Rect::new(0, 0, width, height));
    state.draw(&mut buffer);
    let body = buffer.content.chunks(usize::from(width.max(1))).skip(2).take(usize::from(state.body_height())).skip(usize::from(skip));
    tidy(body.map(|line| line.iter().map(|cell| cell.symbol()).collect::<String>()).collect())
}

/// Without rules, the spaces that make columns, and empty lines at the ends or behind each other.
fn tidy(lines: Vec<String>) -> Vec<String> {
    let mut out: Vec<String> = Vec::new();
    for line in lines {
        let line = line.trim_end().trim_end_matches(['-', '─']).trim();
        let mut words = String::with_capacity(line.len());
        let mut spaces = 0_usize;
        for c in line.chars() {
            if c == ' ' {
                spaces += 1;
                continue;
            }
            if spaces > 0 && !words.is_empty() {
                words.push_str(if spaces > 1 { "  " } else { " " });
            }
            spaces = 0;
            words.push(c);
        }
        if !(words.is_empty() && out.last().is_none_or(String::is_empty)) {
            out.push(words);
        }
    }
    while out.last().is_some_and(String::is_empty) {
        out.pop();
    }
    out
}
