//! The servers: how each is reached, how old what it says is, and what it knows of its own agents and sources.

use ratatui::layout::Rect;

use crate::console::pane::{Split, servers};
use crate::console::screen::text;
use crate::console::sight::{Link, LinkState};
use crate::console::state::State;
use crate::console::theme::Role;
use crate::model::health::Health;
use crate::model::history::coarse;
use crate::model::peer::{Line, PeerState};
use crate::model::time::{Span, Time};

use super::Spot;
use super::canvas::{Canvas, Words};
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

fn detail(state: &State, canvas: &mut Canvas<'_>, place: usize, link: &Link, area: Rect) {
    canvas.spot(area, Spot::Detail);
    let x = area.x + 2;
    let room = area.width.saturating_sub(3);
    canvas.heading(x, area.y, room, &[(link.name.to_string(), Role::Strong), (format!("  {}", link.address), Role::Muted)]);
    let (says, role) = words(state, link);
    let label = |text: &str| (format!("{text:<16}"), Role::Muted);
    let mut lines: Vec<Words> = vec![vec![label("connection"), (says, role)]];
    if let LinkState::Lost { why, retry } = &link.state {
        lines.push(vec![label("why"), (why.to_string(), Role::MessageBad)]);
        if let Some(retry) = retry {
            lines.push(vec![label("tried again"), (clock(state, *retry), Role::Text)]);
        }
    }
    if let Some(health) = &link.health {
        lines.extend(well(canvas, health, room));
    }
    if let Some(through) = link.through.and_then(|through| state.links.get(through)) {
        let origin = state.sky.server(place).map(|seen| seen.world.origin);
        let told = through.peers.iter().find(|peer| Some(peer.origin) == origin);
        lines.extend(passed_on(state, through, told));
    }
    for peer in link.peers.iter().filter(|peer| peer.line != Line::Up) {
        let since = clock(state, peer.since);
        let why = peer.why.as_ref().map_or_else(String::new, |why| format!(": {why}"));
        lines.push(vec![label("peer"), (format!("{}  ", peer.name), Role::Strong), (format!("{} since {since}{why}", peer.line.word()), Role::MessageBad)]);
    }
    if let Some(environment) = &link.environment {
        let role = if environment.starts_with("prod") { Role::BarEnvironment } else { Role::Text };
        lines.push(vec![label("environment"), (environment.to_string(), role)]);
    }
    if !link.version.is_empty() {
        lines.push(vec![label("version"), (format!("midwatch {}", link.version), Role::Text)]);
    }
    if let Some(skew) = link.skew {
        let off = Span::from_micros(skew.saturating_abs());
        let within = link.clock.offset(state.mono).map(|known| known.within);
        let sure = within.map_or_else(String::new, |within| format!(", to within {}", fine(within)));
        let (words, role) = if off < Span::from_secs(2) {
            (format!("agrees with ours{sure}"), Role::Text)
        } else {
            (format!("{off} {} ours{sure}", if skew > 0 { "ahead of" } else { "behind" }), Role::SeverityWarning)
        };
        let mut clock = vec![label("its clock"), (words, role)];
        let shift = state.timeline.shift(place);
        if shift != 0 {
            let by = Span::from_micros(shift.saturating_abs());
            clock.push((format!("  its times are shown {by} {}", if shift > 0 { "later" } else { "earlier" }), Role::HistoryNew));
        }
        lines.push(clock);
    }
    if let Some(remark) = &link.remark {
        lines.push(vec![label("remark"), (remark.to_string(), Role::FreshnessLate)]);
    }
    let unsent: Vec<_> = state.pending.iter().filter(|(_, verb)| verb.server == place).collect();
    for (_, verb) in unsent.iter().take(10) {
        let (word, role) = if verb.sent { ("pending", Role::Pending) } else { ("unsent", Role::Unsent) };
        lines.push(vec![label(word), (format!("{} {}", verb.word, verb.what), role), (format!("  asked {}", clock(state, verb.asked)), Role::Muted)]);
    }
    if let Some(seen) = state.sky.server(place).filter(|_| link.known) {
        let world = &seen.world;
        lines.push(vec![
            label("identity"),
            (world.origin.to_string(), Role::Text),
            (format!("  life {}, event {}", world.incarnation.0, world.head.0), Role::Muted),
        ]);
        if let Some(since) = world.known_since {
            lines.push(vec![label("known since"), (since.zoned(&state.zone).strftime("%-d %b %Y %H:%M").to_string(), Role::Text)]);
        }
        for (name, source) in &world.sources {
            let said = link.health.as_ref().and_then(|health| health.numbers.sources.iter().find(|source| *source.name == *name.as_str()));
            let why = said.and_then(|source| source.why.as_ref()).map_or_else(String::new, |why| format!(": {why}"));
            let (words, role) = match source.failing_since {
                Some(since) => (format!("cannot be reached since {}{why}", clock(state, since)), Role::MessageBad),
                None => (format!("answers, {} silences", source.silences.len()), Role::Text),
            };
            lines.push(vec![label("source"), (format!("{name}  "), Role::Actor), (words, role)]);
        }
        for repository in link.health.iter().flat_map(|health| &health.numbers.repositories).take(100) {
            let (words, role) = match (repository.read, &repository.why) {
                (_, Some(why)) => (format!("cannot be read: {why}"), Role::MessageBad),
                (Some(read), None) => (format!("read {}", clock(state, read)), Role::Text),
                (None, None) => ("not read yet".to_owned(), Role::Muted),
            };
            lines.push(vec![label("repository"), (format!("{}  ", repository.name), Role::Actor), (words, role)]);
        }
        // One that has answered from the start, and said nothing worth an event, is known to the server's health alone.
        let told = link.health.iter().flat_map(|health| &health.numbers.sources).filter(|said| !world.sources.keys().any(|name| *said.name == *name.as_str()));
        for said in told {
            let (words, role) = match (said.failures, said.answered) {
                (0, Some(_)) => ("answers".to_owned(), Role::Text),
                (0, None) => ("is asked for the first time".to_owned(), Role::Muted),
                (_, _) => (format!("does not answer: {}", said.why.as_deref().unwrap_or("no reason is known")), Role::MessageBad),
            };
            lines.push(vec![label("source"), (format!("{}  ", said.name), Role::Actor), (words, role)]);
        }
        for (name, agent) in world.agents.iter().take(200) {
            let (words, role) = match agent.silent_since {
                Some(since) => (format!("silent since {}", clock(state, since)), Role::FreshnessStale),
                None => (counted(agent.checks.len(), "check"), Role::Text),
            };
            lines.push(vec![label("agent"), (format!("{name}  "), Role::Actor), (words, role), (format!("  midwatch {}", agent.version), Role::Muted)]);
        }
    }
    let height = usize::from(area.height.saturating_sub(1));
    let top = state.panes.detail_top.min(lines.len().saturating_sub(height));
    for (line, y) in lines.iter().skip(top).zip(area.y + 1..area.bottom()) {
        canvas.words(x, y, room, line);
    }
}

/// How a log comes through another server: through whom, how new, and what was granted.
fn passed_on(state: &State, through: &Link, told: Option<&PeerState>) -> Vec<Words> {
    let label = |text: &str| (format!("{text:<16}"), Role::Muted);
    let Some(told) = told else { return vec![vec![label("through"), (through.name.to_string(), Role::Strong)]] };
    let way: Vec<&str> = told.through.iter().rev().map(|relay| &*relay.name).chain([&*through.name]).collect();
    let mut out: Vec<Words> = vec![vec![label("through"), (way.join(", then "), Role::Strong)]];
    let (words, role) = match (told.line, &told.why) {
        (Line::Up, _) => (format!("up since {}, {} behind when last heard", clock(state, told.since), told.lag), Role::Text),
        (Line::Gone, _) => ("no peer of it any more: what it told is history".to_owned(), Role::FreshnessStale),
        (line, why) => {
            let why = why.as_ref().map_or_else(String::new, |why| format!(": {why}"));
            (format!("{} since {}{why}", line.word(), clock(state, told.since)), Role::FreshnessStale)
        }
    };
    out.push(vec![label("its line there"), (words, role)]);
    if let Some(skew) = told.skew.filter(|skew| skew.saturating_abs() >= Span::from_secs(2).micros()) {
        let ahead = if skew > 0 { "ahead of" } else { "behind" };
        out.push(vec![label("its clock"), (format!("{} {ahead} {}'s", Span::from_micros(skew.saturating_abs()), through.name), Role::SeverityWarning)]);
    }
    if let Some(grant) = &told.grant {
        let until = told.until.map_or_else(String::new, |until| format!(", until {}", clock(state, until)));
        out.push(vec![label("grant"), (format!("{grant}{until}"), Role::Text)]);
    }
    if told.set_aside > 0 {
        out.push(vec![label("set aside"), (counted(told.set_aside, "event"), Role::SeverityWarning)]);
    }
    out
}

/// How the server itself is: what is wrong and what to do, then the numbers.
fn well(canvas: &Canvas<'_>, health: &Health, room: u16) -> Vec<Words> {
    const WIDE: u16 = 16;
    let label = |text: &str| (format!("{text:<16}"), Role::Muted);
    let glyphs = canvas.glyphs();
    let mut out: Vec<Words> = Vec::new();
    if health.wrong.is_empty() {
        out.push(vec![label("itself"), (format!("{} well", glyphs.good), Role::Fine)]);
    }
    for wrong in &health.wrong {
        let role = Role::of_severity(wrong.severity);
        let said = format!("{} {}: {}", glyphs.severity(wrong.severity), wrong.word, wrong.what);
        let said = text::wrap(&said, room.saturating_sub(WIDE), 3, glyphs.ellipsis).into_iter().map(|line| (line, role));
        let advice = text::wrap(&wrong.advice, room.saturating_sub(WIDE), 2, glyphs.ellipsis).into_iter().map(|line| (line, Role::Text));
        out.extend((0..).zip(said.chain(advice)).map(|(row, line)| vec![label(if row == 0 { "itself" } else { "" }), line]));
    }
    out.push(vec![label("its log"), (health.numbers.sentence(health.at), Role::Text)]);
    out
}

/// To the millisecond below a second.
fn fine(span: Span) -> String {
    let millis = span.micros().saturating_add(999) / 1_000;
    if millis < 1_000 { format!("{millis} ms") } else { span.to_string() }
}

fn clock(state: &State, at: Time) -> String {
    at.zoned(&state.zone).strftime("%a %H:%M:%S").to_string()
}
