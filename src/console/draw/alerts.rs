//! Now and Alerts: the headline, the list, the detail below.

use ratatui::layout::Rect;
use ratatui::style::Style;

use crate::command::{Command, Pane};
use crate::console::pane::alert_list::{AlertList, Line, LineKind};
use crate::console::pane::{Split, now};
use crate::console::presence::beside;
use crate::console::screen::text;
use crate::console::sight::LinkState;
use crate::console::state::State;
use crate::console::theme::Role;
use crate::model::history::{Cell, coarse};
use crate::model::view::alerts::{AlertRow, Asks};

use super::Spot;
use super::canvas::{Canvas, Words, glyph, history_role, place};
use crate::model::words::counted;

pub fn draw(state: &State, canvas: &mut Canvas<'_>, area: Rect) {
    let (list, split) = match state.pane {
        Pane::Alerts => (&state.panes.alerts.list, state.panes.alerts.split),
        _ => (&state.panes.now.list, state.panes.now.split),
    };
    let head = if area.height < 12 { 1 } else { now::HEAD };
    headline(state, canvas, list, Rect { height: head, ..area });
    let body = Rect { y: area.y + head, height: area.height.saturating_sub(head), ..area };
    let split = split.unwrap_or(Split { list: body.height, detail: 0 });
    let rows = Rect { height: split.list.min(body.height), ..body };
    let below = Rect { y: rows.bottom(), height: body.bottom().saturating_sub(rows.bottom()), ..body };
    if state.side_by_side && body.width >= 140 && split.list > 0 {
        let left = Rect { width: body.width / 2, ..body };
        let right = Rect { x: body.x + left.width + 1, width: body.width - left.width - 1, ..body };
        lines(state, canvas, list, left);
        super::detail::draw(state, canvas, right);
        return;
    }
    if rows.height > 0 {
        lines(state, canvas, list, rows);
    }
    if below.height > 0 {
        super::detail::draw(state, canvas, below);
    }
}

fn headline(state: &State, canvas: &mut Canvas<'_>, list: &AlertList, area: Rect) {
    let y = area.y + u16::from(area.height >= 3);
    let mut words: Words = Vec::new();
    if state.pane == Pane::Now {
        for (asks, text) in state.needs.headline() {
            let role = match asks {
                Asks::You => Role::SeverityCritical,
                Asks::Somebody => Role::Text,
                Asks::Later | Asks::Nobody if words.is_empty() => Role::Fine,
                Asks::Later | Asks::Nobody => Role::Muted,
            };
            if !words.is_empty() {
                words.push(("   ".into(), Role::Text));
            }
            words.push((text, role));
        }
        // Silence is never green: nothing is fine while a server says nothing.
        for server in &state.needs.silent_servers {
            words.push((format!("   {server} says nothing"), Role::FreshnessStale));
        }
    } else {
        let (shown, all) = list.counts;
        words.push((format!("{shown} open"), Role::Strong));
        if shown != all {
            words.push((format!(" of {all}"), Role::Muted));
        }
        let group = list.group.unwrap_or(crate::command::GroupBy::Cause);
        let sort = list.sort.unwrap_or(crate::command::SortBy::Urgency);
        words.push((format!("   by {group}, sorted by {sort}"), Role::Muted));
    }
    let marks = list.list.marks.len();
    if marks > 0 {
        words.push((format!("   {marks} marked"), Role::Marked));
    }
    if list.list.anchor.is_some() {
        words.push((format!("   range: {} ends it", state.keys_of(&Command::MarkRange)), Role::Marked));
    }
    if area.height >= 3
        && let Some((words, keys)) = state.since_looked()
    {
        let room = area.width.saturating_sub(4);
        let hint = format!("   {keys} tells");
        canvas.text(area.x + 1, y + 1, 1, canvas.theme.glyphs.new, Role::Muted);
        // Where the hint does not fit, the key stands before.
        let words: Words = match (keys.is_empty(), text::width(&words) + text::width(&hint) <= room) {
            (true, _) => vec![(words, Role::Muted)],
            (false, true) => vec![(words, Role::Muted), (format!("   {keys}"), Role::Key), (" tells".into(), Role::Muted)],
            (false, false) => vec![(format!("{keys} "), Role::Key), (words, Role::Muted)],
        };
        canvas.words(area.x + 3, y + 1, room, &words);
    }
    let mut right: Words = Vec::new();
    if list.new_above > 0 {
        right.push((format!("{} new above, {} to see", list.new_above, state.keys_of(&Command::Live)), Role::HistoryNew));
    } else if list.list.top() > 0 || list.lines.len() > usize::from(area.width) {
        right.push((place(list.list.selected(), list.lines.len()), Role::Muted));
    } else if area.width >= 112 && !list.lines.is_empty() {
        let days = Columns::of(area.width, list.longest_name).strip;
        right.push((format!("the last {days} days"), Role::Faint));
    }
    let wide: u16 = right.iter().map(|(text, _)| text::width(text)).sum();
    canvas.words(area.x + 2, y, area.width.saturating_sub(wide + 5), &words);
    canvas.words(area.right().saturating_sub(wide + 1), y, wide, &right);
}

/// What each column of a row has.
#[derive(Clone, Copy, Debug)]
struct Columns {
    name: u16,
    title: u16,
    who: u16,
    age: u16,
    history: u16,
    strip: u16,
}

impl Columns {
    fn of(width: u16, longest_name: u16) -> Columns {
        let strip = match width {
            110.. => (width - 99).min(30),
            _ => 0,
        };
        let history = match width {
            100.. => 27,
            60.. => 14,
            _ => 0,
        };
        let who = match width {
            100.. => 10,
            56.. => 7,
            _ => 0,
        };
        let name = longest_name.clamp(6, (width / 6).max(10));
        let gaps = [name, who, 4, history, strip].iter().filter(|room| **room > 0).count();
        let fixed = 10 + name + who + 4 + history + strip + u16::try_from(gaps).unwrap_or(5) + 1;
        Columns { name, title: width.saturating_sub(fixed), who, age: 4, history, strip }
    }
}

fn lines(state: &State, canvas: &mut Canvas<'_>, list: &AlertList, area: Rect) {
    if list.lines.is_empty() {
        empty(state, canvas, list, area);
        return;
    }
    let columns = Columns::of(area.width, list.longest_name);
    let top = list.list.top();
    for (place, line) in list.lines.iter().enumerate().skip(top).take(usize::from(area.height)) {
        let Ok(offset) = u16::try_from(place - top) else { break };
        let y = area.y + offset;
        canvas.spot(Rect { y, height: 1, ..area }, Spot::Row(place));
        let selected = place == list.list.selected() && !state.panes.opened;
        let marked = list.list.marks.contains(&line.key);
        canvas.gutter(y, area.x, selected, marked);
        if line.new && !marked {
            canvas.new_row(y, area.x, new_role(state, line));
        }
        draw_line(state, canvas, line, area, y, columns, selected);
    }
}

/// What folds or unfolds a line, by the keys that do it.
fn hint(state: &State, open: bool, fold: &Command, unfold: &Command) -> String {
    let (command, does) = if open { (fold, "folds") } else { (unfold, "unfolds") };
    format!("   {} {does}", state.keys_of(command))
}

fn new_role(state: &State, line: &Line) -> Role {
    match &line.what {
        LineKind::Alert { row, .. } => {
            state.rows.get(*row).map_or(Role::Text, |row| if row.fresh { Role::of_severity(row.severity) } else { Role::FreshnessStale })
        }
        LineKind::Effects { .. } => Role::Faint,
        LineKind::Group { .. } | LineKind::Usual { .. } => Role::Muted,
    }
}

fn draw_line(state: &State, canvas: &mut Canvas<'_>, line: &Line, area: Rect, y: u16, columns: Columns, selected: bool) {
    match &line.what {
        LineKind::Alert { row, depth } => {
            if let Some(row) = state.rows.get(*row) {
                alert(state, canvas, row, *depth, area, y, columns, selected);
            }
        }
        LineKind::Effects { words: beneath, besides, worst, open } => {
            let glyphs = canvas.glyphs();
            let fold = if *open { glyphs.unfolded } else { glyphs.folded };
            let mut words: Words = vec![
                (format!("{} ", glyphs.last_branch), Role::Faint),
                (format!("{fold} "), Role::Muted),
                (beneath.clone(), if selected { Role::Strong } else { Role::Text }),
            ];
            // What is folded away does not vanish.
            if !besides.is_empty() {
                words.push((format!(": {besides}"), Role::of_severity(*worst)));
            }
            words.push((hint(state, *open, &Command::Fold, &Command::Unfold), Role::Muted));
            canvas.words(area.x + 10, y, area.width.saturating_sub(11), &words);
        }
        LineKind::Group { title, count, worst, open } => {
            let glyphs = canvas.glyphs();
            let fold = if *open { glyphs.unfolded } else { glyphs.folded };
            let words: Words = vec![
                (format!("{fold} "), Role::Muted),
                (format!("{} ", glyph(glyphs, *worst)), Role::of_severity(*worst)),
                (title.clone(), Role::Strong),
                (format!("  {count}"), Role::Muted),
            ];
            canvas.words(area.x + 2, y, area.width.saturating_sub(3), &words);
        }
        LineKind::Usual { count, open } => {
            let glyphs = canvas.glyphs();
            let fold = if *open { glyphs.unfolded } else { glyphs.folded };
            let words = vec![
                (format!("{fold} "), Role::Muted),
                (format!("{count} usual: always so, or goes away by itself"), if selected { Role::Strong } else { Role::Muted }),
                (hint(state, *open, &Command::UsualToggle, &Command::UsualToggle), Role::Muted),
            ];
            canvas.words(area.x + 2, y, area.width.saturating_sub(3), &words);
        }
    }
}

#[expect(clippy::too_many_arguments, reason = "a row, where it stands, and how: bundling them would only rename the list")]
fn alert(state: &State, canvas: &mut Canvas<'_>, row: &AlertRow, depth: usize, area: Rect, y: u16, columns: Columns, selected: bool) {
    let severity = if row.fresh { Role::of_severity(row.severity) } else { Role::FreshnessStale };
    let mut x = area.x + 2;
    canvas.text(x, y, 1, glyph(canvas.glyphs(), row.severity), severity);
    canvas.text(x + 2, y, 5, row.word(), severity);
    x = area.x + 10;
    let indent = u16::try_from(depth * 2).unwrap_or(0);
    let name_style = if selected { canvas.theme.selected(Role::Strong) } else { canvas.style(if row.asks() == Asks::You { Role::Strong } else { Role::Text }) };
    canvas.styled(x + indent, y, columns.name.saturating_sub(indent), &row.name, name_style);
    x += columns.name + 1;
    let title = if columns.title >= 12 { columns.title } else { area.right().saturating_sub(x) };
    canvas.text(x, y, title, &row.title, if row.asks() == Asks::Nobody { Role::Muted } else { Role::Text });
    if columns.title < 12 {
        return;
    }
    x += columns.title + 1;
    if columns.who > 0 {
        let (who, role) = match state.pending.of(row.alert) {
            Some(verb) if verb.sent => (verb.beside(columns.who, canvas.glyphs().pending), Role::Pending),
            Some(_) => ("unsent".to_owned(), Role::Unsent),
            None => (row.who(), Role::Actor),
        };
        let used = canvas.text(x, y, columns.who, &who, role);
        // Behind whoever has it, and quieter.
        let after = if used > 0 { used + 1 } else { 0 };
        let holder = (!who.is_empty()).then(|| row.somebody.as_deref().unwrap_or(""));
        if let Some(words) = beside(state.sky.lookers(row.alert), holder, columns.who.saturating_sub(after), canvas.glyphs().ellipsis) {
            canvas.text(x + after, y, columns.who.saturating_sub(after), &words, Role::Muted);
        }
        x += columns.who + 1;
    }
    canvas.right(x, y, columns.age, &coarse(state.now.since(row.since)), if row.fresh { Role::Text } else { Role::FreshnessStale });
    x += columns.age + 1;
    if columns.history > 0 {
        let (words, role) = match (row.fresh, row.unrefreshed) {
            (false, _) => (last_heard(state, row, columns.history), Role::FreshnessStale),
            (true, Some(_)) => ("not repeated lately".to_owned(), Role::FreshnessLate),
            // Under its cause, why it stands there tells more than its own past.
            (true, None) if depth > 0 && row.cause.is_some() => (row.cause.as_ref().map_or_else(String::new, |cause| cause.short(&state.sky)), Role::Muted),
            (true, None) if columns.history < 20 => (row.history.short(state.now), history_role(row)),
            (true, None) => (row.history.words(state.now), history_role(row)),
        };
        canvas.text(x, y, columns.history, &words, role);
        x += columns.history + 1;
    }
    if columns.strip > 0 {
        strip(canvas, &row.strip, x, y, columns.strip);
    }
}

/// How old what is shown of it is, where there is room for that.
fn last_heard(state: &State, row: &AlertRow, room: u16) -> String {
    let words = "as last heard";
    let age = state.sky.server(row.server).and_then(|seen| seen.freshness.age());
    age.map(|age| format!("{words} {} ago", coarse(age))).filter(|long| text::width(long) <= room).unwrap_or_else(|| words.to_owned())
}

/// The last days, today at the right end.
fn strip(canvas: &mut Canvas<'_>, days: &[Option<Cell>], x: u16, y: u16, room: u16) {
    let skip = days.len().saturating_sub(usize::from(room));
    let style = |cell: &Option<Cell>| canvas.style(cell.map_or(Role::StripEmpty, |cell| Role::of_severity(cell.worst)));
    let cells: Vec<(u64, Style)> = days.iter().skip(skip).map(|cell| (cell.map_or(0, |cell| u64::from(cell.count).min(6)), style(cell))).collect();
    text::strip(canvas.buffer, x, y, &cells, 6, &canvas.theme.glyphs);
}

/// Nothing to show, which is worth a sentence: why, and whether that is good.
fn empty(state: &State, canvas: &mut Canvas<'_>, list: &AlertList, area: Rect) {
    let known = state.links.iter().filter(|link| link.known).count();
    let silent = state.links.iter().filter(|link| !link.is_live(state.mono)).count();
    let agents: usize = state.sky.servers.iter().map(|seen| seen.world.agents.len()).sum();
    let checks: usize = state.sky.servers.iter().flat_map(|seen| seen.world.agents.values()).map(|agent| agent.checks.len()).sum();
    let sources: usize = state.sky.servers.iter().map(|seen| seen.world.sources.len()).sum();
    let (words, role) = if list.filter.is_some() {
        (format!("No open alert matches. {} are open; {} clears the filter.", list.counts.1, state.keys_of(&Command::Back)), Role::Muted)
    } else if known == 0 {
        match state.links.iter().find_map(|link| if let LinkState::Lost { why, .. } = &link.state { Some((link, why)) } else { None }) {
            Some((link, why)) => (format!("{} cannot be used: {why}", link.name), Role::MessageBad),
            None => ("Waiting for the first word of a server.".to_owned(), Role::Muted),
        }
    } else if silent > 0 {
        let words = format!("No open alert is known, but {silent} of {} say nothing: nobody knows whether all is well.", counted(state.links.len(), "server"));
        (words, Role::FreshnessStale)
    } else if checks + sources == 0 {
        // Nothing watched is not all well.
        ("No alert is open, but no check and no source has reported yet: nothing is known to be well.".to_owned(), Role::FreshnessLate)
    } else {
        let count = |n: usize, one: &str| if n == 1 { format!("1 {one}") } else { format!("{n} {one}s") };
        (format!("All is well: no alert is open, every server answers, {} of {} report.", count(checks, "check"), count(agents, "machine")), Role::Fine)
    };
    if known > 0 && area.height > 9 && !state.linear {
        let words = [("8", "what is watched, and how it is"), ("2", "what happened today, in words"), ("3", "every event"), ("?", "the keys")];
        for ((key, what), y) in words.into_iter().zip(area.y + 5..) {
            canvas.words(area.x + 2, y, area.width.saturating_sub(3), &[(format!("{key}  "), Role::Key), (what.to_owned(), Role::Muted)]);
        }
    }
    let lines = text::wrap(&words, area.width.saturating_sub(4), 3, canvas.glyphs().ellipsis);
    for (line, y) in lines.iter().zip(area.y + u16::from(area.height > 2)..area.bottom()) {
        canvas.text(area.x + 2, y, area.width.saturating_sub(3), line, role);
    }
}
