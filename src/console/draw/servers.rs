//! The servers: how each is reached, how old what it says is, and what it knows of its own agents and sources.

use ratatui::layout::Rect;

use crate::console::pane::{Split, servers};
use crate::console::sight::{Barred, Link, LinkState};
use crate::console::state::State;
use crate::console::theme::Role;
use crate::model::history::coarse;

use super::Spot;
use super::canvas::{Canvas, Words};
use super::server::detail;
use crate::model::words::counted;

pub fn draw(state: &State, canvas: &mut Canvas<'_>, area: Rect) {
    let pane = &state.panes.servers;
    let live = state.links.iter().filter(|link| link.is_live(state.mono)).count();
    let role = if live == state.links.len() { Role::Fine } else { Role::FreshnessStale };
    let files = state.links.iter().all(|link| link.is_file);
    let said = match (files, state.links.len()) {
        (false, 1) => (if live == 1 { "the server answers" } else { "the server does not answer" }).to_owned(),
        (true, 1) => (if live == 1 { "the file can be read" } else { "the file cannot be read" }).to_owned(),
        (false, several) => format!("{live} of {several} servers answer"),
        (true, several) => format!("{live} of {several} files can be read"),
    };
    let mut words: Words = vec![(said, role)];
    if state.is_away() {
        words.push((" now; their systems and agents are those of then".to_owned(), Role::Muted));
    }
    canvas.words(area.x + 2, area.y, area.width.saturating_sub(3), &words);
    let body = Rect { y: area.y + servers::HEAD, height: area.height.saturating_sub(servers::HEAD), ..area };
    let split = pane.split.unwrap_or(Split { list: body.height, detail: 0 });
    let rows = Rect { height: split.list.min(body.height), ..body };
    for (place, y) in (pane.list.top()..state.links.len()).zip(rows.y..rows.bottom()) {
        if let Some(link) = state.links.get(place) {
            canvas.spot(Rect { y, height: 1, ..rows }, Spot::Row(place));
            line(state, canvas, place, link, rows, y);
        }
    }
    let below = Rect { y: rows.bottom(), height: body.bottom().saturating_sub(rows.bottom()), ..body };
    if below.height > 1
        && let Some(link) = state.links.get(pane.list.selected())
    {
        detail(state, canvas, pane.list.selected(), link, below);
    }
}

/// How the link stands, in words.
pub fn words(state: &State, link: &Link) -> (String, Role) {
    let age = link.age(state.mono).map(coarse);
    if link.superseded {
        return ("reached itself, elsewhere in this list".to_owned(), Role::Muted);
    }
    match (&link.state, age) {
        (LinkState::Up, Some(_)) if link.is_live(state.mono) => ("answers".to_owned(), Role::Fine),
        (LinkState::Up, Some(age)) => (format!("silent for {age}"), Role::FreshnessLate),
        (LinkState::Up, None) => ("connected, nothing heard yet".to_owned(), Role::FreshnessLate),
        (LinkState::Connecting, Some(age)) => (format!("connecting, last heard {age} ago"), Role::FreshnessLate),
        (LinkState::Connecting, None) => ("connecting".to_owned(), Role::FreshnessLate),
        (LinkState::Lost { .. }, _) if matches!(link.barred, Some(Barred::Unmet(_))) => ("not met yet: is its key right?".to_owned(), Role::FreshnessLate),
        (LinkState::Lost { .. }, _) if link.barred == Some(Barred::Changed) => ("ITS KEY HAS CHANGED".to_owned(), Role::SeverityError),
        (LinkState::Lost { .. }, _) if link.barred == Some(Barred::NotLetIn) => ("does not let us in".to_owned(), Role::FreshnessStale),
        (LinkState::Lost { .. }, Some(age)) => (format!("lost, last heard {age} ago"), Role::FreshnessStale),
        (LinkState::Lost { .. }, None) => ("cannot be reached".to_owned(), Role::FreshnessStale),
    }
}

fn line(state: &State, canvas: &mut Canvas<'_>, place: usize, link: &Link, area: Rect, y: u16) {
    let selected = place == state.panes.servers.list.selected() && !state.panes.opened;
    canvas.gutter(y, area.x, selected, false);
    let (words, role) = words(state, link);
    let glyph = if link.is_live(state.mono) { canvas.glyphs().live } else { canvas.glyphs().gone };
    canvas.text(area.x + 2, y, 1, glyph, role);
    let style = if selected { canvas.theme.selected(Role::Strong) } else { canvas.style(Role::Strong) };
    canvas.styled(area.x + 4, y, 14, &link.name, style);
    canvas.text(area.x + 19, y, 28, &words, role);
    let mut x = area.x + 48;
    if x + 12 >= area.right() {
        return;
    }
    let world = state.sky.server(place).map(|seen| &seen.world);
    let counts = world.map_or_else(String::new, |world| {
        format!("{}, {}, {} open", counted(world.systems.len(), "system"), counted(world.agents.len(), "agent"), world.open.len())
    });
    let room = 34.min(area.right().saturating_sub(x));
    canvas.text(x, y, room, &counts, Role::Text);
    x += 35;
    if x + 8 < area.right() {
        canvas.text(x, y, area.right().saturating_sub(x + 1), &link.address, Role::Muted);
    }
}
