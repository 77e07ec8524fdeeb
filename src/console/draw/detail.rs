//! What stands around the selected alert: when and what, what changed before, who did what, whom to
//! wake, how it is done here, and what its past was.

use std::borrow::Cow;
use std::sync::Arc;

use ratatui::layout::Rect;

use crate::command::Command;
use crate::console::keymap::key::write_sequence;
use crate::console::keymap::layers_of;
use crate::console::screen::text;
use crate::console::state::State;
use crate::console::theme::Role;
use crate::model::event::Link;
use crate::model::history::{ago, coarse};
use crate::model::reading::Line;
use crate::model::system::Contact;
use crate::model::time::Time;
use crate::model::view::cause::LINGER;
use crate::model::view::detail::Detail;

use super::Spot;
use super::blocks::{self, Block};
use super::canvas::{Canvas, Words, glyph};

/// Numbers of one alert that are shown.
const NUMBERS: usize = 3;

pub fn draw(state: &State, canvas: &mut Canvas<'_>, area: Rect) {
    let Some(detail) = &state.detail else { return };
    if area.height < 2 {
        return;
    }
    canvas.spot(area, Spot::Detail);
    let x = area.x + 2;
    let room = area.width.saturating_sub(3);
    let mut heading: Words = vec![(detail.name.clone(), Role::Strong)];
    match detail.since {
        Some(since) => heading.push((format!(" since {}", clock(state, since)), Role::Muted)),
        None => heading.push((" cleared meanwhile".to_owned(), Role::Fine)),
    }
    if !detail.title.is_empty() {
        heading.push((format!("   {}", detail.title), Role::Text));
    }
    let mut y = area.y + u16::from(area.height > 12 && !state.panes.opened);
    super::presence::heading(state, canvas, (x, y, room), heading, state.sky.lookers(detail.alert));
    y += 1;
    let below = Rect { x, y, width: room, height: area.bottom().saturating_sub(y) };
    let two = blocks::two_columns(state, room);
    let (left, right, rest) = blocks(state, detail, canvas, if two { room / 2 } else { room });
    let (left, right) = if two { (left.into_iter().chain(rest).collect(), right) } else { (left, right.into_iter().chain(rest).collect()) };
    blocks::draw(state, canvas, below, left, right);
}

fn clock(state: &State, at: Time) -> String {
    let (here, now) = (at.zoned(&state.zone), state.now.zoned(&state.zone));
    let age = state.now.since(at);
    if here.date() == now.date() || age.secs() < 12 * 3_600 {
        here.strftime("%H:%M").to_string()
    } else if age.secs() < 6 * 86_400 {
        here.strftime("%a %H:%M").to_string()
    } else {
        here.strftime("%-d %b").to_string()
    }
}

pub(super) fn pad(text: &str, wide: usize) -> String {
    let used = usize::from(text::width(text));
    format!("{text}{}", " ".repeat(wide.saturating_sub(used)))
}

fn blocks(state: &State, detail: &Detail, canvas: &Canvas<'_>, room: u16) -> (Vec<Block>, Vec<Block>, Vec<Block>) {
    let glyphs = canvas.glyphs();
    let mut left = Vec::new();
    let mut right = Vec::new();
    // What its past was: on the left, or last of all where there is one column.
    let mut rest = Vec::new();

    let why_here = why_here(state, detail, room);
    if !why_here.is_empty() {
        left.push(Block::new(with_keys(state, "probably comes from", &[Command::CauseDeny], "not so"), why_here));
    }
    let mut changed: Vec<Words> = Vec::new();
    let wide = |times: &mut dyn Iterator<Item = Time>| times.map(|at| text::width(&clock(state, at))).max().map_or(6, |wide| usize::from(wide) + 1);
    let first = wide(&mut detail.changes.iter().take(6).map(|change| change.at));
    for change in detail.changes.iter().take(6) {
        let mut line: Words = vec![(pad(&clock(state, change.at), first), Role::Muted), (format!("{} ", change.title), Role::Text)];
        if change.likely {
            // The most telling part is cut last.
            line.push((format!("{} suspect{}  ", glyphs.pointer, if change.far { ", far" } else { "" }), Role::HistoryNew));
        }
        line.push((format!("{} before", coarse(change.before)), Role::Text));
        line.push((format!("  by {}", change.by), Role::Actor));
        let (place, habit) = (change.place_words(), change.habit_words());
        if !place.is_empty() {
            line.push((format!("  {place}"), Role::Muted));
        }
        changed.push(line);
        if change.likely && !habit.is_empty() {
            changed.push(vec![(" ".repeat(first), Role::Muted), (habit, Role::Muted)]);
        }
    }
    if changed.is_empty() {
        changed.push(vec![("nothing that is known, in the three days before".into(), Role::Muted)]);
    }
    left.push(Block::new("changed before", changed));

    let second = wide(&mut detail.deeds.iter().take(6).map(|deed| deed.at));
    let mut did: Vec<Words> = detail
        .deeds
        .iter()
        .take(6)
        .map(|deed| {
            let mut line: Words =
                vec![(pad(&clock(state, deed.at), second), Role::Muted), (format!("{} ", deed.by), Role::Actor), (deed.words.clone(), Role::Text)];
            if !deed.here {
                line.push(("  (on this system)".into(), Role::Muted));
            }
            line
        })
        .collect();
    if did.is_empty() {
        did.push(vec![("nobody yet".into(), Role::Muted)]);
    }
    left.push(Block::new("who did what", did));

    let mut past: Vec<Words> = Vec::new();
    for sentence in &detail.history {
        past.extend(text::wrap(sentence, room.saturating_sub(2), 2, glyphs.ellipsis).into_iter().map(|line| vec![(line, Role::Text)]));
    }
    rest.push(Block::new("is it new, or always so", past));

    if !detail.elsewhere.is_empty() {
        let lines = detail.elsewhere.iter().map(|words| vec![(words.clone(), Role::Text)]).collect();
        rest.push(Block::new("the same check elsewhere", lines));
    }
    if !detail.past.is_empty() {
        let lines = detail
            .past
            .iter()
            .take(5)
            .map(|past| {
                let lasted = past.until.since(past.from);
                vec![(pad(&ago(past.from, state.now), 10), Role::Muted), (format!("{} for {lasted}", past.severity), Role::Text)]
            })
            .collect();
        rest.push(Block::new("earlier episodes", lines));
    }

    let mut why: Vec<Words> = Vec::new();
    why.extend(text::wrap(&detail.what, room.saturating_sub(2), 3, glyphs.ellipsis).into_iter().map(|line| vec![(line, Role::Text)]));
    why.extend(numbers(state, detail));
    if let Some(expr) = &detail.expr {
        let lines = text::wrap(expr, room.saturating_sub(8), 3, glyphs.ellipsis).into_iter().enumerate();
        why.extend(lines.map(|(place, line)| vec![(if place == 0 { "rule  " } else { "      " }.into(), Role::Muted), (line, Role::Text)]));
    }
    if !detail.text.is_empty() {
        why.extend(text::wrap(&detail.text, room.saturating_sub(2), 4, glyphs.ellipsis).into_iter().map(|line| vec![(line, Role::Muted)]));
    }
    if !detail.labels.is_empty() {
        why.push(vec![(detail.labels.to_string(), Role::Muted)]);
    }
    if !detail.said_by.is_empty() {
        why.push(vec![("says ".into(), Role::Muted), (detail.said_by.join(", "), Role::Actor)]);
    }
    right.push(Block::new("what is wrong", why));

    right.push(whom_to_wake(detail.contacts.iter().take(4), &detail.owner));

    let runbooks = detail.runbooks.iter().take(4).map(|link| linked("runbook", link, room));
    let dashboards = detail.dashboards.iter().take(4).map(|link| linked("dashboard", link, room));
    let links = detail.links.iter().take(3).map(|link| linked("link", link, room));
    let title = with_keys(state, "how it is done here", &[Command::OpenRunbook, Command::OpenDashboard], "open");
    let how = Block::of_links(title.clone(), runbooks.chain(dashboards).chain(links));
    right.push(if how.is_empty() { Block::new(title, vec![vec![("no runbook or dashboard is known".into(), Role::Muted)]]) } else { how });
    if !detail.about.is_empty() {
        let lines = text::wrap(&detail.about, room.saturating_sub(2), 3, glyphs.ellipsis).into_iter().map(|line| vec![(line, Role::Muted)]).collect();
        right.push(Block::new("what this is", lines));
    }
    (left, right, rest)
}

/// Its numbers now, each beside its thresholds, and how old they are.
fn numbers(state: &State, detail: &Detail) -> Vec<Words> {
    // Of the past there are none: they are not kept.
    let Some(numbers) = &detail.numbers else { return Vec::new() };
    let age = numbers.age_words(state.now);
    let line = |(place, line): (usize, &Line)| {
        let mut words: Words = vec![(if place == 0 { format!("{age}  ") } else { " ".repeat(age.len() + 2) }, Role::Muted)];
        if !line.name.is_empty() {
            words.push((format!("{} ", line.name), Role::Text));
        }
        words.push((line.value(), if line.crossed { Role::of_severity(detail.severity) } else { Role::Strong }));
        if !line.limits.is_empty() {
            words.push((format!("  {}", line.thresholds()), Role::Text));
        }
        words
    };
    numbers.lines.iter().take(NUMBERS).enumerate().map(line).collect()
}

/// A heading with what keys do there, as the keymap has them; without what cannot be done.
fn with_keys(state: &State, title: &'static str, commands: &[Command], does: &str) -> Cow<'static, str> {
    let available = |command: &&Command| !state.linear && command.entry().is_available(state.pane, state.read_only || state.is_away());
    let layers = layers_of(state.pane);
    let keys = commands.iter().filter(available).filter_map(|command| state.keymap.key_for(&layers, command));
    let keys: Vec<String> = keys.map(|keys| write_sequence(&keys)).collect();
    if keys.is_empty() { title.into() } else { format!("{title}   {} {does}", keys.join(" ")).into() }
}

/// In the order in which they are to be woken, and who owns it.
pub(super) fn whom_to_wake<'a>(contacts: impl IntoIterator<Item = &'a Contact>, owner: &str) -> Block {
    let mut wake: Vec<Words> = Vec::new();
    for (contact, place) in contacts.into_iter().zip(1..) {
        let mut line: Words = vec![(format!("{place} "), Role::Muted), (format!("{}  ", contact.name), Role::Actor), (contact.reach.to_string(), Role::Text)];
        if !contact.when.is_empty() {
            line.push((format!("  {}", contact.when), Role::Muted));
        }
        wake.push(line);
    }
    if !owner.is_empty() {
        wake.push(vec![("owner  ".into(), Role::Muted), (owner.to_owned(), Role::Actor)]);
    }
    if wake.is_empty() {
        wake.push(vec![("nobody is named for this system".into(), Role::Muted)]);
    }
    Block::new("whom to wake", wake)
}

/// The alerts that it stands under, the nearest first, each with its reason; and what somebody said that it does not come from.
fn why_here(state: &State, detail: &Detail, room: u16) -> Vec<Words> {
    let row = |alert| state.rows.iter().find(|row| row.alert == alert);
    let mut lines: Vec<Words> = Vec::new();
    let mut here = row(detail.alert);
    while let Some(cause) = here.and_then(|row| row.cause.as_deref())
        && lines.len() < 8
    {
        let glyphs = &state.theme.glyphs;
        let Some(above) = row(cause.direct) else {
            if let Some(at) = cause.cleared {
                let known = state.sky.of_origin(cause.direct.origin).and_then(|(_, seen)| seen.world.alert(cause.direct.alert));
                let title = known.map_or_else(String::new, |alert| alert.title.to_string());
                lines.push(vec![(format!("{} ", glyphs.good), Role::Fine), (format!("{}  ", cause.place(&state.sky)), Role::Strong), (title, Role::Muted)]);
                let words =
                    format!("{}; it cleared {}. Still wrong {} after that, this stands by itself", cause.words(&state.sky), ago(at, state.now), coarse(LINGER));
                lines.extend(text::wrap(&words, room.saturating_sub(4), 3, glyphs.ellipsis).into_iter().map(|line| vec![(format!("  {line}"), Role::Muted)]));
            }
            break;
        };
        let role = Role::of_severity(above.severity);
        lines.push(vec![
            (format!("{} ", glyph(glyphs, above.severity)), role),
            (format!("{}  ", above.name), Role::Strong),
            (above.title.to_string(), Role::Text),
        ]);
        let words = cause.words(&state.sky);
        lines.extend(text::wrap(&words, room.saturating_sub(4), 2, glyphs.ellipsis).into_iter().map(|line| vec![(format!("  {line}"), Role::Muted)]));
        here = Some(above);
    }
    let seen = state.sky.of_origin(detail.alert.origin).and_then(|(_, seen)| seen.world.apart.get(&detail.alert.alert));
    for apart in seen.into_iter().flatten().rev() {
        let Some(other) = row(apart.cause) else { continue };
        let said = format!("{} said, {}: not from ", apart.by.name(), ago(apart.at, state.now));
        lines.push(vec![(said, Role::Muted), (format!("{} {}", other.name, other.title), Role::Text)]);
    }
    lines
}

/// A link by its name; where there is room, its address too; and where it leads.
pub(super) fn linked(kind: &str, link: &Link, room: u16) -> (Words, Arc<str>) {
    let name = if link.name.is_empty() || *link.name == *kind { link.url.to_string() } else { link.name.to_string() };
    let mut line: Words = vec![(pad(kind, 10), Role::Muted), (name.clone(), Role::Link)];
    if name != *link.url && room >= 80 {
        line.push((format!("  {}", link.url), Role::Muted));
    }
    (line, link.url.clone())
}
