//! The systems' tree, and what is inside the selected one.

use ratatui::layout::Rect;

use crate::console::pane::{Split, systems};
use crate::console::screen::text;
use crate::console::state::State;
use crate::console::theme::Role;
use crate::model::history::coarse;
use crate::model::severity::{Severity, Status};
use crate::model::view::systems::{State as Condition, SystemRow};

use super::Spot;
use super::blocks::{self, Block};
use super::canvas::{Canvas, Words, glyph, place};
use super::detail::{linked, pad, whom_to_wake};
use crate::model::words::counted;

pub fn draw(state: &State, canvas: &mut Canvas<'_>, area: Rect) {
    let pane = &state.panes.systems;
    let head = if area.height < 12 { 1 } else { systems::HEAD };
    let troubled = pane.rows.iter().filter(|row| row.own.alerts > 0).count();
    let total = counted(pane.rows.len(), "system");
    let mut words: Words = vec![(total, Role::Strong)];
    if troubled > 0 {
        words.push((format!("   {troubled} with something open"), Role::SeverityWarning));
    }
    let y = area.y + u16::from(head >= 3);
    canvas.words(area.x + 2, y, area.width.saturating_sub(20), &words);
    canvas.right(area.x, y, area.width.saturating_sub(1), &place(pane.list.selected(), pane.rows.len()), Role::Muted);
    let body = Rect { y: area.y + head, height: area.height.saturating_sub(head), ..area };
    let split = pane.split.unwrap_or(Split { list: body.height, detail: 0 });
    let rows = Rect { height: split.list.min(body.height), ..body };
    if pane.rows.is_empty() {
        let words = if pane.filter.is_some() { "No system matches." } else { "No system is known yet." };
        canvas.text(body.x + 2, body.y, body.width.saturating_sub(3), words, Role::Muted);
        return;
    }
    for (row, y) in pane.rows.iter().enumerate().skip(pane.list.top()).zip(rows.y..rows.bottom()) {
        let (place, row) = row;
        canvas.spot(Rect { y, height: 1, ..rows }, Spot::Row(place));
        line(canvas, row, rows, y, place == pane.list.selected() && !state.panes.opened, pane.turned.contains(&row.path));
    }
    let below = Rect { y: rows.bottom(), height: body.bottom().saturating_sub(rows.bottom()), ..body };
    if below.height > 1
        && let Some(row) = pane.row()
    {
        inside(state, canvas, row, below);
    }
}

/// One sign for a place: the worst of what is open there; fine only when something watches it.
fn sign(canvas: &Canvas<'_>, condition: Condition, fresh: bool) -> (&'static str, Role) {
    let glyphs = canvas.glyphs();
    match condition {
        _ if !fresh => (glyphs.late, Role::FreshnessStale),
        Condition { worst: Some(worst), alerts: 1.., .. } => (glyph(glyphs, worst), Role::of_severity(worst)),
        Condition { silent: 1.., .. } => (glyphs.unknown, Role::SeverityUnknown),
        Condition { checks: 1.., .. } => (glyphs.fine, Role::Fine),
        Condition { .. } => (glyphs.dot, Role::Muted),
    }
}

fn line(canvas: &mut Canvas<'_>, row: &SystemRow, area: Rect, y: u16, selected: bool, turned: bool) {
    canvas.gutter(y, area.x, selected, false);
    let (own, own_role) = sign(canvas, row.own, row.fresh);
    let (beneath, beneath_role) = sign(canvas, row.beneath, row.fresh);
    canvas.text(area.x + 2, y, 1, own, own_role);
    if row.children > 0 {
        canvas.text(area.x + 4, y, 1, beneath, beneath_role);
    }
    // The next column's place; deep rows are indented less rather than run into it.
    let next = area.x + 6 + area.width / 3 + 1;
    let indent = u16::try_from(row.depth * 2).unwrap_or(u16::MAX).min((area.width / 3).saturating_sub(13));
    let mut x = area.x + 6 + indent;
    let open = (row.depth == 0) != turned;
    let fold = match (row.children, open) {
        (0, _) => " ",
        (_, true) => canvas.glyphs().unfolded,
        (_, false) => canvas.glyphs().folded,
    };
    canvas.text(x, y, 1, fold, Role::Muted);
    x += 2;
    let name_room = next.saturating_sub(x + 1);
    let style = if selected { canvas.theme.selected(Role::Strong) } else { canvas.style(Role::Strong) };
    canvas.styled(x, y, name_room, &row.label, style);
    x = next;
    if x + 10 >= area.right() {
        return;
    }
    let counts = match (row.own.alerts, row.beneath.alerts) {
        (0, 0) if row.own.checks + row.beneath.checks > 0 => counted(row.own.checks + row.beneath.checks, "check"),
        (0, 0) => String::new(),
        (own, 0) => format!("{own} open"),
        (0, beneath) => format!("{beneath} beneath"),
        (own, beneath) => format!("{own} open, {beneath} beneath"),
    };
    let role = if row.own.alerts + row.beneath.alerts > 0 { Role::Text } else { Role::Muted };
    canvas.text(x, y, 20, &counts, role);
    x += 21;
    let about = match (row.title.is_empty(), row.category.is_empty(), row.declared) {
        (false, false, _) => format!("{}, {}", row.title, row.category),
        (false, true, _) => row.title.to_string(),
        (true, false, _) => row.category.to_string(),
        (true, true, true) => String::new(),
        (true, true, false) => "not declared".to_owned(),
    };
    let owner_room = if area.width >= 110 { 18 } else { 0 };
    canvas.text(x, y, area.right().saturating_sub(x + owner_room + 1), &about, Role::Muted);
    if owner_room > 0 {
        canvas.right(area.right() - owner_room, y, owner_room - 1, &row.owner, Role::Actor);
    }
}

fn inside(state: &State, canvas: &mut Canvas<'_>, row: &SystemRow, area: Rect) {
    canvas.spot(area, Spot::Detail);
    let x = area.x + 2;
    let room = area.width.saturating_sub(3);
    let mut heading: Words = vec![(row.name.clone(), Role::Strong)];
    let server = state.links.get(row.server).map_or("", |link| &link.name);
    heading.push((format!(" on {server}"), Role::Muted));
    let about = [&row.title, &row.category].into_iter().filter(|words| !words.is_empty()).map(|words| &**words).collect::<Vec<_>>().join(", ");
    if !about.is_empty() {
        heading.push((format!("   {about}"), Role::Text));
    }
    let who = state.sky.lookers_at(row.server, &row.system.id);
    super::presence::heading(state, canvas, (x, area.y, room), heading, &who);
    let half = if blocks::two_columns(state, room) { room / 2 } else { room };
    let below = Rect { x, y: area.y + 1, width: room, height: area.height.saturating_sub(1) };
    blocks::draw(state, canvas, below, watched(state, row, half), around(state, row, half));
}

/// Rows that all about the selected system takes, with its heading.
pub fn detail_height(state: &State, width: u16) -> u16 {
    let room = width.saturating_sub(3);
    let half = if blocks::two_columns(state, room) { room / 2 } else { room };
    let of = |row| blocks::height(state, room, &watched(state, row, half), &around(state, row, half)).saturating_add(1);
    state.panes.systems.row().map_or(0, of)
}

/// What is open, what is checked, and on which machines.
fn watched(state: &State, row: &SystemRow, room: u16) -> Vec<Block> {
    let glyphs = &state.theme.glyphs;
    let inside = &state.panes.systems.inside;
    let open: Vec<_> = state.rows.iter().filter(|alert| alert.system == row.system).collect();
    let names = open.iter().map(|alert| alert.check.as_str()).chain(inside.checks.iter().map(|check| check.check.as_str()));
    let wide = usize::from(names.map(text::width).max().unwrap_or(0).min(room / 3)) + 2;
    let name = |name: &str, role| (pad(&text::cut(name, u16::try_from(wide - 2).unwrap_or(u16::MAX), glyphs.ellipsis), wide), role);
    let mut out = Vec::new();
    let mut lines: Vec<Words> = Vec::new();
    for alert in &open {
        lines.push(vec![
            (format!("{} {:<5}", glyph(glyphs, alert.severity), alert.word()), Role::of_severity(alert.severity)),
            name(alert.check.as_str(), Role::Strong),
            (alert.title.to_string(), Role::Text),
            (format!("  {}", coarse(state.now.since(alert.since))), Role::Muted),
        ]);
        if let Some(cause) = &alert.cause {
            lines.push(vec![(format!("       probably an effect: {}", cause.words(&state.sky)), Role::Muted)]);
        }
    }
    if !lines.is_empty() {
        out.push(Block::new("open now", lines));
    }
    let mut lines: Vec<Words> = Vec::new();
    for check in &inside.checks {
        let (sign, role) = match check.status {
            _ if check.silent => (glyphs.unknown, Role::SeverityUnknown),
            Status::Ok => (glyphs.fine, Role::Fine),
            Status::Unknown => (glyph(glyphs, Severity::Unknown), Role::SeverityUnknown),
            Status::Warning => (glyph(glyphs, Severity::Warning), Role::SeverityWarning),
            Status::Critical => (glyph(glyphs, Severity::Critical), Role::SeverityCritical),
        };
        let soft = if check.hard { "" } else { "  (not yet counted)" };
        let silent = if check.silent { "  as last heard" } else { "" };
        lines.push(vec![
            (format!("{sign} "), role),
            name(check.check.as_str(), Role::Text),
            (check.text.to_string(), Role::Text),
            (format!("  {} for {}{soft}{silent}", check.status, coarse(state.now.since(check.since))), Role::Muted),
        ]);
    }
    if lines.is_empty() {
        lines.push(vec![("no agent checks anything here".into(), Role::Muted)]);
    }
    out.push(Block::new("what is checked", lines));
    let mut lines: Vec<Words> = Vec::new();
    for (agent, facts) in &inside.machines {
        let words = facts.iter().map(|(name, value)| format!("{name} {value}")).collect::<Vec<_>>().join("   ");
        lines.push(vec![(agent.to_string(), Role::Actor)]);
        lines.extend(text::wrap(&words, room.saturating_sub(2), 6, glyphs.ellipsis).into_iter().map(|line| vec![(line, Role::Muted)]));
    }
    if !lines.is_empty() {
        out.push(Block::new("its machines", lines));
    }
    out
}

/// Whom to wake, how it is done here, what it uses, what it is.
fn around(state: &State, row: &SystemRow, room: u16) -> Vec<Block> {
    let glyphs = &state.theme.glyphs;
    let inside = &state.panes.systems.inside;
    let mut out = Vec::new();
    let spec = state.sky.server(row.server).and_then(|seen| seen.world.system(&row.system.id)).map(|system| &system.spec);
    let wrapped = |words: &str, most: usize, role: Role| -> Vec<Words> {
        text::wrap(words, room.saturating_sub(2), most, glyphs.ellipsis).into_iter().map(|line| vec![(line, role)]).collect()
    };
    if let Some(spec) = spec {
        out.push(whom_to_wake(&spec.contacts, &spec.owner));
        let links = spec.runbooks.iter().map(|link| linked("runbook", link, room)).chain(spec.dashboards.iter().map(|link| linked("dashboard", link, room)));
        let how = Block::of_links("how it is done here", links);
        if !how.is_empty() {
            out.push(how);
        }
    }
    for (title, others) in [("what it uses", &inside.uses), ("what uses it", &inside.used_by)] {
        if !others.is_empty() {
            out.push(Block::new(title, wrapped(&others.join(", "), 3, Role::Text)));
        }
    }
    if let Some(spec) = spec
        && !spec.about.is_empty()
    {
        out.push(Block::new("what this is", wrapped(&spec.about, 3, Role::Muted)));
    }
    out
}
