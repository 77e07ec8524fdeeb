//! The timeline: density above, one event a line, the selected one whole below.

use ratatui::layout::Rect;

use crate::command::Command;
use crate::console::pane::event::Whole;
use crate::console::pane::timeline::Clocks;
use crate::console::pane::{Split, timeline};
use crate::console::screen::text;
use crate::console::state::State;
use crate::console::theme::Role;
use crate::console::travel::Divided;
use crate::model::time::Span;
use crate::model::words::counted;

use super::Spot;
use super::blocks;
use super::canvas::{Canvas, Words, glyph, place};
use super::density::{count, density, thousands};

pub fn draw(state: &State, canvas: &mut Canvas<'_>, area: Rect) {
    let pane = &state.panes.timeline;
    let head = if area.height < 12 { 1 } else { timeline::HEAD };
    headline(state, canvas, Rect { height: head, ..area });
    let body = Rect { y: area.y + head, height: area.height.saturating_sub(head), ..area };
    let split = pane.split.unwrap_or(Split { list: body.height, detail: 0 });
    let rows = Rect { height: split.list.min(body.height), ..body };
    if rows.height > 0 {
        lines(state, canvas, rows);
    }
    let below = Rect { y: rows.bottom(), height: body.bottom().saturating_sub(rows.bottom()), ..body };
    if below.height > 1
        && let Some(event) = &pane.whole
    {
        whole(state, canvas, event, below);
    }
}

fn headline(state: &State, canvas: &mut Canvas<'_>, area: Rect) {
    let pane = &state.panes.timeline;
    let timeline = &state.timeline;
    let mut words: Words = Vec::new();
    let divided = state.divided();
    // What the servers have counted holds for what is not here too.
    let known = state.strip.held() > 0 && state.strip.is_known();
    let held = if known { state.strip.held().max(count(timeline.held())) } else { count(timeline.held()) };
    if let Some(Divided { by, sure, .. }) = divided {
        if timeline.filter().is_some() {
            words.push((format!("{} {} by then", thousands(by), if by == 1 { "hit" } else { "hits" }), Role::Strong));
            words.push((format!(", of {} in all", events(held)), Role::Muted));
        } else {
            words.push((format!("{} by then", events(by)), Role::Strong));
        }
        words.extend((!sure).then(|| (", as far as known here".into(), Role::Muted)));
    } else if timeline.filter().is_some() {
        let hits = if known { state.strip.matching().max(count(timeline.hits())) } else { count(timeline.hits()) };
        words.push((format!("{} of {}", thousands(hits), events(held)), Role::Strong));
        if timeline.is_searching() || (known && !state.strip.is_whole()) {
            words.push((" so far".into(), Role::Muted));
        }
    } else {
        words.push((events(held), Role::Strong));
    }
    if timeline.context() > 0 && timeline.filter().is_some() {
        words.push((format!(", {} around each", counted(timeline.context(), "line")), Role::Muted));
    }
    if !known && divided.is_none() && timeline.has_more() {
        let files = state.links.iter().all(|link| link.is_file);
        words.push((
            if files && timeline.is_empty() {
                ", more are being read"
            } else if files {
                ", older ones in the files"
            } else {
                ", older ones on the servers"
            }
            .into(),
            Role::Muted,
        ));
    }
    if timeline.is_going() {
        words.push(("   asking the servers…".into(), Role::Muted));
    }
    let shifted: Vec<&str> = state.links.iter().enumerate().filter(|(server, _)| timeline.shift(*server) != 0).map(|(_, link)| &*link.name).collect();
    if !shifted.is_empty() {
        words.push((format!("   clock corrected: {}", shifted.join(", ")), Role::HistoryNew));
    }
    let marked = pane.marks.iter().filter(|place| !timeline.is_later(**place)).count();
    if marked > 0 {
        words.push((format!("   {marked} marked"), Role::Marked));
    }
    let right: Words = if divided.is_some() {
        vec![(place(pane.selected, timeline.len()), Role::Muted)]
    } else if pane.newer > 0 {
        vec![(format!("{} newer, {} follows", pane.newer, state.keys_of(&Command::Live)), Role::HistoryNew)]
    } else if pane.place.is_none() && timeline.is_live() {
        vec![("following".into(), Role::Fine)]
    } else if !timeline.is_live() {
        vec![(format!("not following, {} returns", state.keys_of(&Command::Live)), Role::HistoryNew)]
    } else {
        vec![(format!("{}, {} follows", place(pane.selected, timeline.len()), state.keys_of(&Command::Live)), Role::Muted)]
    };
    let y = area.y;
    let wide: u16 = right.iter().map(|(text, _)| text::width(text)).sum();
    canvas.words(area.x + 2, y, area.width.saturating_sub(wide + 5), &words);
    canvas.words(area.right().saturating_sub(wide + 1), y, wide, &right);
    if area.height >= 3 && (known || !timeline.is_empty()) {
        density(state, canvas, Rect { y: y + 1, height: 2, x: area.x + 2, width: area.width.saturating_sub(4) });
    }
}

/// Where the time that is shown ends, and what lies beyond.
fn later(state: &State, canvas: &mut Canvas<'_>, divided: Divided, area: Rect) {
    let what = if state.timeline.filter().is_some() { "hit" } else { "event" };
    let words = match divided {
        Divided { later: 0, sure: true, .. } => format!("nothing later than where you are{}", if what == "hit" { " matches" } else { "" }),
        Divided { later: 0, sure: false, .. } => "what is later than where you are is not known here".to_owned(),
        Divided { later, sure, .. } => {
            let number = counted(thousands(later), what);
            format!("later than where you are: {}{number}", if sure { "" } else { "at least " })
        }
    };
    canvas.text(area.x + 2, area.y, area.width.saturating_sub(3), &words, Role::Cursor);
}

fn events(number: u64) -> String {
    if number == 1 { "1 event".to_owned() } else { format!("{} events", thousands(number)) }
}

fn lines(state: &State, canvas: &mut Canvas<'_>, area: Rect) {
    let pane = &state.panes.timeline;
    let len = state.timeline.len();
    let mut area = area;
    if let Some(divided) = state.divided() {
        area.height = area.height.saturating_sub(1);
        let shown = u16::try_from(len.saturating_sub(pane.top).max(1)).unwrap_or(u16::MAX).min(area.height);
        later(state, canvas, divided, Rect { y: area.y + shown, height: 1, ..area });
    }
    if len == 0 {
        let words = match (state.timeline.filter().is_some(), state.timeline.ends_at().is_some()) {
            (true, false) => "No event matches.",
            (true, true) => "No event of then matches.",
            (false, false) => "No event is known yet.",
            (false, true) => "No event is known of then.",
        };
        canvas.text(area.x + 2, area.y, area.width.saturating_sub(3), words, Role::Muted);
        return;
    }
    let several = state.links.len() > 1;
    let today = state.now.zoned(&state.zone).date();
    for (row, y) in (pane.top..len).zip(area.y..area.bottom()) {
        if state.timeline.is_gap(row) {
            canvas.text(area.x + 12, y, 2, "--", Role::Faint);
            continue;
        }
        let Some(slot) = state.timeline.slot(row) else { break };
        canvas.spot(Rect { y, height: 1, ..area }, Spot::Row(row));
        let selected = row == pane.selected && !state.panes.opened;
        canvas.gutter(y, area.x, selected, pane.marks.contains(&slot.place()));
        if pane.bookmarks.contains_key(&slot.place()) {
            canvas.text(area.x + 1, y, 1, canvas.glyphs().bookmark, Role::Bookmark);
        }
        let here = slot.at.zoned(&state.zone);
        let when = if here.date() == today { here.strftime("%H:%M:%S").to_string() } else { here.strftime("%d %b %H:%M").to_string() };
        let mut x = area.x + 2;
        let shift = state.timeline.shift(slot.server);
        // A time that was corrected is marked, and has another colour.
        let when = if shift == 0 { when } else { format!("≈{when}") };
        canvas.right(x, y, 13, &when, if shift == 0 { Role::Muted } else { Role::HistoryNew });
        x += 14;
        if pane.clocks != Clocks::Here {
            let utc = slot.at.zoned(&jiff::tz::TimeZone::UTC);
            let utc = if here.date() == utc.date() { utc.strftime("%H:%M:%SZ").to_string() } else { utc.strftime("%d %b %H:%MZ").to_string() };
            canvas.right(x, y, 13, &utc, Role::Muted);
            x += 14;
        }
        if pane.clocks == Clocks::Own {
            let own = slot.at.minus(Span::from_micros(shift)).zoned(&state.zone);
            canvas.right(x, y, 8, &own.strftime("%H:%M:%S").to_string(), Role::Muted);
            x += 9;
            canvas.text(x, y, 7, &off(state, slot.server), Role::Muted);
            x += 8;
        }
        let dim = |role: Role| if slot.context { Role::Muted } else { role };
        canvas.text(x, y, 1, glyph(canvas.glyphs(), slot.severity), dim(Role::of_severity(slot.severity)));
        x += 2;
        let Some(event) = slot.event() else {
            canvas.text(x, y, area.right().saturating_sub(x), "(this event cannot be read)", Role::MessageBad);
            continue;
        };
        let new = state.new_since().is_some_and(|since| since.has_seen(event.id) == Some(false));
        if new && !pane.marks.contains(&slot.place()) {
            canvas.new_row(y, area.x, Role::Muted);
        }
        if several && area.width >= 70 {
            let name = state.links.get(slot.server).map_or("", |link| &link.name);
            canvas.text(x, y, 8, name, Role::Muted);
            x += 9;
        }
        let system = event.system.as_ref().map_or("", |system| system.as_str());
        let room = (area.width / 6).clamp(8, 28);
        let name = if selected { canvas.theme.selected(Role::Strong) } else { canvas.style(dim(Role::Text)) };
        canvas.styled(x, y, room, system, name);
        x += room + 1;
        let hit = state.timeline.context() > 0 && state.timeline.filter().is_some();
        let role = dim(if hit || slot.severity >= crate::model::severity::Severity::Warning { Role::Text } else { Role::Muted });
        if slot.count > 1 {
            let times = format!("{} × ", slot.count);
            let wide = text::width(&times);
            canvas.text(x, y, wide, &times, Role::Strong);
            x += wide;
        }
        let by = event.actor.name();
        let by_room = if area.width >= 100 { 14 } else { 0 };
        canvas.text(x, y, area.right().saturating_sub(x + by_room + 1), &event.title, role);
        if by_room > 0 {
            canvas.right(area.right() - by_room, y, by_room - 1, by, dim(Role::Actor));
        }
    }
}

/// How far a server's clock is from ours, as far as that is known.
fn off(state: &State, server: usize) -> String {
    let Some(skew) = state.links.get(server).and_then(|link| link.skew) else { return String::new() };
    let off = Span::from_micros(skew.saturating_abs());
    if off < Span::from_secs(1) { "±0s".to_owned() } else { format!("{}{off}", if skew > 0 { '+' } else { '-' }) }
}

/// One event, with everything that it holds; what there is no room for is counted.
fn whole(state: &State, canvas: &mut Canvas<'_>, whole: &Whole, area: Rect) {
    canvas.spot(area, Spot::Detail);
    let (x, room) = (area.x + 2, area.width.saturating_sub(3));
    canvas.heading(x, area.y, room, &whole.heading);
    let body = Rect { x, y: area.y + 1, width: room, height: area.height.saturating_sub(1) };
    let shown = blocks::Shown::of(whole.lines.len(), body, state.panes.detail_top, |line| whole.lines.get(line).map_or(0, |line| blocks::wide(line)));
    for ((place, line), y) in whole.lines.iter().enumerate().skip(shown.top).take(shown.rows).zip(body.y..body.bottom()) {
        canvas.linked(x, y, room, line, whole.urls.get(&place).map_or("", |url| url));
    }
    shown.rest(state, canvas, body);
}
