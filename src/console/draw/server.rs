//! One server: how it is reached and how it is, what one holds there, what it holds of others, and what it has given out.

use ratatui::layout::Rect;

use super::Spot;
use super::access::role_of;
use super::canvas::{Canvas, Words};
use super::servers::words;
use crate::console::screen::text;
use crate::console::sight::{Barred, Link, LinkState};
use crate::console::state::State;
use crate::console::theme::Role;
use crate::model::health::Health;
use crate::model::peer::{Line, PeerState};
use crate::model::time::{Span, Time};
use crate::model::view::given::{Given, given};
use crate::model::view::holding::{Ending, Holding, not_let_in, of_peer};
use crate::model::words::counted;

/// Columns of the names of what is said.
const WIDE: u16 = 16;

fn label(text: &str) -> (String, Role) {
    (format!("{text:<16}"), Role::Muted)
}

/// A sentence beside its label, in as many lines as it takes.
fn wrapped(canvas: &Canvas<'_>, name: &str, words: &str, role: Role, room: u16, most: usize) -> Vec<Words> {
    let lines = text::wrap(words, room.saturating_sub(WIDE), most, canvas.glyphs().ellipsis);
    (0..).zip(lines).map(|(row, line)| vec![label(if row == 0 { name } else { "" }), (line, role)]).collect()
}

pub fn detail(state: &State, canvas: &mut Canvas<'_>, place: usize, link: &Link, area: Rect) {
    canvas.spot(area, Spot::Detail);
    let x = area.x + 2;
    let room = area.width.saturating_sub(3);
    canvas.heading(x, area.y, room, &[(link.name.to_string(), Role::Strong), (format!("  {}", link.address), Role::Muted)]);
    let (says, role) = words(state, link);
    let mut lines: Vec<Words> = vec![vec![label("connection"), (says, role)]];
    if let LinkState::Lost { why, retry } = &link.state {
        let most = if matches!(link.barred, Some(Barred::Changed | Barred::Unmet(_))) { 6 } else { 2 };
        lines.extend(wrapped(canvas, "why", why, Role::MessageBad, room, most));
        if let (Some(retry), None | Some(Barred::NotLetIn)) = (retry, &link.barred) {
            lines.push(vec![label("tried again"), (clock(state, *retry), Role::Text)]);
        }
        if matches!(link.barred, Some(Barred::Unmet(_))) {
            let keys = state.keys_of(&crate::command::Command::ServerMeet);
            lines.push(vec![label("what to do"), (keys, Role::Key), (" shows its key again, and asks whether that is the right one".to_owned(), Role::Text)]);
        }
    }
    if let (Some(Barred::NotLetIn), None, Some(seen)) = (&link.barred, &link.held, state.live().server(place)) {
        lines.extend(wrapped(canvas, "what to do", &not_let_in(&link.name, &seen.world), Role::Text, room, 3));
    }
    lines.extend(held(state, canvas, place, link, room));
    if let Some(health) = &link.health {
        lines.extend(well(canvas, health, room));
    }
    if let Some(through) = link.through.and_then(|through| state.links.get(through)) {
        let origin = state.sky.server(place).map(|seen| seen.world.origin);
        let told = through.peers.iter().find(|peer| Some(peer.origin) == origin);
        lines.extend(passed_on(state, canvas, through, told, room));
    }
    lines.extend(peers(state, canvas, link, room));
    if let Some(environment) = &link.environment {
        let role = if environment.starts_with("prod") { Role::BarEnvironment } else { Role::Text };
        lines.push(vec![label("environment"), (environment.to_string(), role)]);
    }
    if let Some(key) = &link.key {
        lines.push(vec![label("its key"), (key.to_string(), Role::Text)]);
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
    lines.extend(given_out(state, canvas, place, link, room));
    let height = usize::from(area.height.saturating_sub(1));
    let top = state.panes.detail_top.min(lines.len().saturating_sub(height));
    for (line, y) in lines.iter().skip(top).zip(area.y + 1..area.bottom()) {
        canvas.words(x, y, room, line);
    }
}

/// How a log comes through another server: through whom, how new, and what was granted.
fn passed_on(state: &State, canvas: &Canvas<'_>, through: &Link, told: Option<&PeerState>, room: u16) -> Vec<Words> {
    let Some(told) = told else { return vec![vec![label("through"), (through.name.to_string(), Role::Strong)]] };
    let way: Vec<&str> = told.through.iter().rev().map(|relay| &*relay.name).chain([&*through.name]).collect();
    let mut out: Vec<Words> = vec![vec![label("through"), (way.join(", then "), Role::Strong)]];
    let (words, role) = match (told.line, &told.why) {
        (Line::Up, _) => (format!("up since {}, {} behind when last heard", clock(state, told.since), told.lag), Role::Text),
        (Line::Lapsed, _) => (format!("lost since {}, and its lease is over: what it told is history", clock(state, told.since)), Role::FreshnessStale),
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
    if let Some(key) = &told.key {
        out.push(vec![label("its key"), (key.to_string(), Role::Text)]);
    }
    if let Some(holds) = of_peer(told, &through.name, state.present, &state.zone) {
        let giver = told.through.last().map_or(&told.name, |nearest| &nearest.name);
        out.push(vec![label("granted"), (format!("{} may ", holds.who), Role::Text), (format!("{}; {giver}: {}", holds.may, holds.by), Role::Muted)]);
        out.extend(end(canvas, &holds, room));
    }
    if told.set_aside > 0 {
        out.push(vec![label("set aside"), (counted(told.set_aside, "event"), Role::SeverityWarning)]);
    }
    out
}

/// What one holds here: as whom, what one may, until when, and what to do before that ends.
fn held(state: &State, canvas: &Canvas<'_>, place: usize, link: &Link, room: u16) -> Vec<Words> {
    let Some((held, seen)) = link.held.as_ref().zip(state.live().server(place)) else { return Vec::new() };
    let words = held.in_words(&link.name, &seen.world, state.present, &state.zone);
    let mut out = vec![vec![label("you are"), (words.who.clone(), Role::Strong), (format!("  {}", words.by), Role::Muted)]];
    if words.ending == Ending::Never {
        out.extend(wrapped(canvas, "you may", &format!("{}; {}", words.may, words.ends), Role::Text, room, 3));
    } else {
        out.extend(wrapped(canvas, "you may", &words.may, Role::Text, room, 3));
        out.extend(end(canvas, &words, room));
    }
    out
}

/// When something ends, and what to do.
fn end(canvas: &Canvas<'_>, words: &Holding, room: u16) -> Vec<Words> {
    let sign = words.ending.severity().map_or_else(String::new, |severity| format!("{} ", canvas.glyphs().unwell(severity)));
    let word = match words.ending {
        Ending::Soon | Ending::Last => "soon: ",
        Ending::Never | Ending::Later | Ending::Over => "",
    };
    let mut out = vec![vec![label("until"), (format!("{sign}{word}{}", words.ends), role_of(words.ending))]];
    out.extend(words.advice.iter().flat_map(|advice| wrapped(canvas, "what to do", advice, Role::Text, room, 4)));
    out
}

/// Whose logs it receives: those that trouble it, and what of theirs ends soon.
fn peers(state: &State, canvas: &Canvas<'_>, link: &Link, room: u16) -> Vec<Words> {
    let mut out = Vec::new();
    for peer in link.peers.iter() {
        if peer.line != Line::Up {
            let since = clock(state, peer.since);
            let why = peer.why.as_ref().map_or_else(String::new, |why| format!(": {why}"));
            out.push(vec![label("peer"), (format!("{}  ", peer.name), Role::Strong), (format!("{} since {since}{why}", peer.line.word()), Role::MessageBad)]);
        }
        let near = of_peer(peer, &link.name, state.present, &state.zone).filter(|words| peer.through.is_empty() && words.ending.severity().is_some());
        if let Some(words) = near {
            out.push(vec![label("peer"), (format!("{}  ", peer.name), Role::Strong), (format!("{} may {}", link.name, words.may), Role::Text)]);
            out.extend(end(canvas, &words, room));
        }
    }
    out
}

/// Who holds what here, for those who administer it.
fn given_out(state: &State, canvas: &Canvas<'_>, place: usize, link: &Link, room: u16) -> Vec<Words> {
    let Some(seen) = state.live().server(place).filter(|_| link.held.as_ref().is_some_and(|held| held.scope.is_all())) else {
        return Vec::new();
    };
    let all = given(&seen.world, state.present);
    if all.is_empty() {
        return Vec::new();
    }
    let (grants, invites) = (all.iter().filter(|given| !given.is_invite).count(), all.iter().filter(|given| given.is_invite).count());
    let mut heading = counted(grants, "grant");
    if invites > 0 {
        heading.push_str(&format!(", {}", counted(invites, "open invite")));
    }
    let [revoke, invite] = [crate::command::Command::GrantRevoke(None), crate::command::Command::GrantInvite(None)].map(|command| state.keys_of(&command));
    let mut out = vec![
        Vec::new(),
        vec![
            (format!("given out here: {heading}"), Role::Heading),
            (format!("   {}", revoke), Role::Key),
            (" revoke".to_owned(), Role::Hint),
            (format!("   {}", invite), Role::Key),
            (" copy an invite".to_owned(), Role::Hint),
        ],
    ];
    let rows: Vec<Row> = all.iter().take(500).map(|given| Row::of(canvas, given)).collect();
    let widest = |of: fn(&Row) -> &str| rows.iter().map(|row| text::width(of(row))).max().unwrap_or_default();
    let (may, rest) = (widest(|row| &row.may), widest(|row| &row.rest));
    let room_for = |more: u16| HEAD.saturating_add(more) <= room;
    for row in rows {
        let Row { mut first, may: allowed, rest: given } = row;
        if room_for(may.saturating_add(rest + 2)) {
            first.extend([(format!("{allowed:<wide$}  ", wide = usize::from(may)), Role::Text), (given, Role::Muted)]);
            out.push(first);
        } else if room_for(may) {
            first.push((allowed, Role::Text));
            out.extend([first, vec![label(""), (given, Role::Muted)]]);
        } else {
            out.push(first);
            out.extend(wrapped(canvas, "", &format!("{allowed}; {given}"), Role::Muted, room, 3));
        }
    }
    out
}

/// Columns of what is said of a grant before what it allows.
const HEAD: u16 = 16 + 8 + 15 + 24;

/// One grant, or an open invite.
struct Row {
    first: Words,
    may: String,
    rest: String,
}

impl Row {
    fn of(canvas: &Canvas<'_>, given: &Given) -> Row {
        let sign = given.ending.severity().map_or_else(String::new, |severity| format!("{} ", canvas.glyphs().unwell(severity)));
        let who = if given.is_invite { "invite" } else { given.who.word() };
        let ellipsis = canvas.glyphs().ellipsis;
        let role = if given.is_invite { Role::Muted } else { role_of(given.ending) };
        let first = vec![
            (format!("{:<15} ", text::cut(&given.name, 15, ellipsis)), Role::Strong),
            (format!("{who:<8}"), Role::Muted),
            (format!("{:<14} ", text::cut(&given.role, 14, ellipsis)), Role::Text),
            (format!("{:<24}", format!("{sign}{}", given.ends)), role),
        ];
        Row { first, may: given.may.clone(), rest: format!("by {}, {}", given.by, given.used) }
    }
}

/// How the server itself is: what is wrong and what to do, then the numbers.
fn well(canvas: &Canvas<'_>, health: &Health, room: u16) -> Vec<Words> {
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
