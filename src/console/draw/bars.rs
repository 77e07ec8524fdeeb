//! Lines 1 and 2, and the last ones: where one is, how fresh it is, what the keys do here.

use ratatui::layout::Rect;

use crate::command::{Command, Pane};
use crate::console::screen::text;
use crate::console::sight::{Barred, Link, LinkState};
use crate::console::state::{State, Tone};
use crate::console::theme::Role;
use crate::model::history::coarse;
use crate::model::words::grouped;

use super::Spot;
use super::canvas::{Canvas, Words};

pub fn top(state: &State, canvas: &mut Canvas<'_>, area: Rect) {
    canvas.paint(area, Role::Bar);
    if let Some([at, back, missing]) = state.whereabouts(canvas.glyphs().clock) {
        // The whole line says that this is not now.
        canvas.paint(Rect { height: 1, ..area }, Role::BarPast);
        canvas.words(area.x + 1, area.y, area.width.saturating_sub(2), &[(at, Role::BarPast), (back, Role::BarPast), (missing, Role::BarPast)]);
        tabs(state, canvas, Rect { y: area.y + 1, height: 1, ..area });
        return;
    }
    let (words, clock) = line_one(state, canvas, area.width);
    let clock_room = text::width(&clock).min(area.width);
    canvas.words(area.x + 1, area.y, area.width.saturating_sub(clock_room + 3), &words);
    canvas.right(area.x, area.y, area.width - 1, &clock, Role::BarMuted);
    tabs(state, canvas, Rect { y: area.y + 1, height: 1, ..area });
}

/// What line 1 leaves out, from nothing to most, until it fits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Room {
    All,
    /// Words, where a sign says the same.
    Signs,
    /// Our own name, the date.
    NoNames,
    /// Servers of which there is nothing to say are counted.
    Counted,
    /// Names are cut.
    Short,
}

/// The servers, and the clock, with as much as there is room for. What is wrong is never left out.
fn line_one(state: &State, canvas: &Canvas<'_>, width: u16) -> (Words, String) {
    let mut out = (Words::new(), String::new());
    for room in [Room::All, Room::Signs, Room::NoNames, Room::Counted, Room::Short] {
        let clock = if room < Room::NoNames { clock(state, width) } else { state.now.zoned(&state.zone).strftime("%H:%M").to_string() };
        let mut words: Words = Vec::new();
        if width >= 60 && room < Room::NoNames {
            words.push(("midwatch".into(), Role::BarName));
        }
        let unsent = state.pending.unsent();
        if unsent > 0 && room >= Room::NoNames {
            words.push((format!("{unsent} unsent"), Role::Unsent));
        }
        let mut counted = 0;
        for link in &state.links {
            if room >= Room::Counted && is_ordinary(state, link) && state.links.len() > 1 {
                counted += 1;
            } else {
                words.extend(freshness(state, canvas, link, width, room));
            }
        }
        if counted > 0 {
            words.push(("  ".into(), Role::Bar));
            words.push((format!("{} ", canvas.glyphs().live), Role::FreshnessLive));
            words.push((if counted == state.links.len() { format!("all {counted}") } else { format!("{counted} more") }, Role::Bar));
        }
        if unsent > 0 && room < Room::NoNames {
            words.push((format!("   {unsent} unsent"), Role::Unsent));
        }
        if let Some((gap, _)) = words.first_mut().filter(|(text, _)| text.trim().is_empty()) {
            gap.clear();
        }
        let used = words.iter().fold(text::width(&clock), |sum, (piece, _)| sum.saturating_add(text::width(piece)));
        let fits = used.saturating_add(3) < width;
        out = (words, clock);
        if fits {
            break;
        }
    }
    out
}

/// It answers, is well, and is no production: its name says nothing that must be seen.
fn is_ordinary(state: &State, link: &Link) -> bool {
    let production = link.environment.as_ref().is_some_and(|environment| environment.starts_with("prod"));
    link.is_live(state.mono) && link.wrong.is_empty() && !production
}

/// A server's name behind the sign of its freshness; its age when that says something.
fn freshness(state: &State, canvas: &Canvas<'_>, link: &Link, width: u16, room: Room) -> Words {
    let glyphs = canvas.glyphs();
    let age = link.age(state.mono);
    let (glyph, role) = match &link.state {
        LinkState::Up if link.is_live(state.mono) => (glyphs.live, Role::FreshnessLive),
        LinkState::Up | LinkState::Connecting if age.is_some() => (glyphs.late, Role::FreshnessLate),
        LinkState::Up | LinkState::Connecting => (glyphs.late, Role::FreshnessLate),
        LinkState::Lost { .. } => (glyphs.gone, Role::FreshnessStale),
    };
    // Below this a sign stands for words.
    let wide = width >= 100 && room == Room::All;
    let gap = if wide { "   " } else { "  " };
    let name = if room == Room::Short { text::cut(&link.name, 5, glyphs.ellipsis).into_owned() } else { link.name.to_string() };
    let mut words: Words = vec![(gap.into(), Role::Bar), (format!("{glyph} "), role)];
    match &link.environment {
        // Production must look different; what is none is only named.
        Some(environment) if environment.starts_with("prod") && wide => {
            words.push((format!("{name} "), Role::Bar));
            words.push((format!(" {environment} "), Role::BarEnvironment));
        }
        Some(environment) if environment.starts_with("prod") => words.push((name, Role::BarEnvironment)),
        Some(environment) if wide => {
            words.push((name, Role::Bar));
            words.push((format!(" {environment}"), Role::BarMuted));
        }
        Some(_) | None => words.push((name, if link.is_live(state.mono) { Role::Bar } else { role })),
    }
    if !link.is_live(state.mono) {
        let words_of_age = match (age, &link.state) {
            // By the second within the first minute, then by the minute.
            (Some(age), _) => coarse(age),
            (None, LinkState::Connecting | LinkState::Up) => "connecting".to_owned(),
            (None, LinkState::Lost { .. }) => match link.barred {
                Some(Barred::Unmet(_)) => "not met yet".to_owned(),
                Some(Barred::Changed) => "KEY CHANGED".to_owned(),
                // The mark says why.
                Some(Barred::NotLetIn) | None => "never heard".to_owned(),
            },
        };
        words.push((format!(" {words_of_age}"), role));
    }
    if let [worst, more @ ..] = link.wrong.as_slice() {
        // Another sign than freshness has: it answers, and is not well.
        let sign = glyphs.unwell(worst.severity);
        let others = if more.is_empty() { String::new() } else { format!(" +{}", more.len()) };
        let words_of_it = if wide { format!(" {sign} {}{others}", worst.word) } else { sign.to_owned() };
        words.push((words_of_it, Role::of_severity(worst.severity)));
    }
    words
}

fn clock(state: &State, width: u16) -> String {
    let here = state.now.zoned(&state.zone);
    let utc = state.now.zoned(&jiff::tz::TimeZone::UTC);
    let zone = here.strftime("%Z").to_string();
    match width {
        100.. if zone != "UTC" => format!("{} {zone}  {} UTC", here.strftime("%a %-d %b %H:%M"), utc.strftime("%H:%M")),
        80.. => format!("{} {zone}", here.strftime("%a %-d %b %H:%M")),
        _ => here.strftime("%H:%M").to_string(),
    }
}

fn tabs(state: &State, canvas: &mut Canvas<'_>, area: Rect) {
    let narrow = area.width < 76;
    let mut x = area.x;
    let layers = crate::console::keymap::layers_of(state.pane);
    for pane in Pane::ALL {
        let key = state.keymap.key_for(&layers, &pane.command()).map(|keys| crate::console::keymap::key::write_sequence(&keys)).unwrap_or_default();
        let waits = match pane {
            Pane::Now if state.needs.need_you > 0 => state.needs.need_you.to_string(),
            Pane::Alerts if !state.rows.is_empty() => state.rows.len().to_string(),
            Pane::Servers if state.links.iter().any(|link| !link.is_live(state.mono)) => canvas.glyphs().late.to_owned(),
            Pane::Servers => match state.links.iter().filter_map(|link| link.wrong.first()).map(|wrong| wrong.severity).max() {
                Some(worst) => canvas.glyphs().unwell(worst).to_owned(),
                None => String::new(),
            },
            Pane::Now | Pane::Alerts | Pane::Today | Pane::Timeline | Pane::Systems => String::new(),
        };
        let current = pane == state.pane;
        if narrow && !current && waits.is_empty() {
            let text = format!(" {key} ");
            let used = canvas.text(x, area.y, area.right().saturating_sub(x), &text, Role::BarMuted);
            canvas.spot(Rect { x, width: used, ..area }, Spot::Pane(pane));
            x += used;
            continue;
        }
        let mut words: Words = vec![(format!(" {key} "), if current { Role::BarCurrent } else { Role::BarMuted })];
        words.push((pane.title().to_owned(), if current { Role::BarCurrent } else { Role::Bar }));
        if !waits.is_empty() {
            let role = match pane {
                Pane::Now => Role::SeverityCritical,
                Pane::Servers => Role::FreshnessLate,
                Pane::Alerts | Pane::Today | Pane::Timeline | Pane::Systems => Role::Key,
            };
            words.push((format!(" {waits}"), role));
        }
        words.push((" ".into(), if current { Role::BarCurrent } else { Role::Bar }));
        let used = canvas.words(x, area.y, area.right().saturating_sub(x), &words);
        canvas.spot(Rect { x, width: used, ..area }, Spot::Pane(pane));
        x += used;
    }
}

pub fn bottom(state: &State, canvas: &mut Canvas<'_>, area: Rect) {
    canvas.paint(area, Role::Bar);
    let said = state.latest_said();
    let (message_y, keys_y) = (area.y, area.bottom().saturating_sub(1));
    // On a low screen the message takes the keys' place while it is fresh.
    if let Some(said) = said {
        let (glyph, role) = match said.tone {
            Tone::Fine => (canvas.glyphs().good, Role::MessageGood),
            Tone::Plain => (canvas.glyphs().dot, Role::BarMuted),
            Tone::Wrong => (canvas.glyphs().bad, Role::MessageBad),
        };
        let room = area.width.saturating_sub(24);
        canvas.words(
            area.x + 1,
            message_y,
            room,
            &[(format!("{glyph} "), role), (said.words.clone(), if said.tone == Tone::Wrong { Role::MessageBad } else { Role::Bar })],
        );
    }
    if let (None, Some(arriving), 2..) = (said, state.arriving, area.height) {
        let words = format!("the night is coming in: {} of {} events", grouped(arriving.came), grouped(arriving.of));
        canvas.words(area.x + 1, message_y, area.width.saturating_sub(2), &[(format!("{} ", canvas.glyphs().late), Role::FreshnessLate), (words, Role::Bar)]);
    }
    if area.height >= 2 || said.is_none() {
        hints(state, canvas, Rect { y: keys_y, height: 1, ..area });
    }
    let mut right: Words = Vec::new();
    let pending = state.pending.len() - state.pending.unsent();
    if state.pending.unsent() > 0 {
        right.push((format!("{} unsent  ", state.pending.unsent()), Role::Unsent));
    }
    if pending > 0 {
        right.push((format!("{pending} pending  "), Role::Pending));
    }
    if let Some(filter) = state.active_filter() {
        right.push((format!("/{filter}"), Role::Key));
    }
    if !right.is_empty() {
        let wide: u16 = right.iter().map(|(text, _)| text::width(text)).sum();
        let room = wide.min(area.width / 2);
        canvas.words(area.right().saturating_sub(room + 1), message_y, room, &right);
    }
}

/// The commands that the last line names, in this pane's order of usefulness.
fn useful(state: &State) -> Vec<(Command, &'static str)> {
    let acts: [(Command, &'static str); 7] = [
        (Command::AlertAcknowledge(None), "acknowledge"),
        (Command::AlertTake, "take all"),
        (Command::AlertSnooze(None), "snooze"),
        (Command::AlertAssign(None), "assign"),
        (Command::NoteAdd(None), "note"),
        (Command::Undo, "undo"),
        (Command::Open, "open"),
    ];
    let looks: [(Command, &'static str); 3] = [(Command::Filter(None), "filter"), (Command::Help, "help"), (Command::Palette(None), "commands")];
    let own: Vec<(Command, &'static str)> = match state.pane {
        Pane::Now => acts.into_iter().chain([(Command::Unfold, "unfold")]).collect(),
        Pane::Alerts => acts.into_iter().chain([(Command::GroupBy(None), "group"), (Command::Mark, "mark")]).collect(),
        Pane::Timeline => vec![
            (Command::Live, if state.is_away() { "back to now" } else { "follow" }),
            (Command::NextError, "next error"),
            (Command::GoTo(None), "go to a time"),
            (Command::Open, "open"),
            (Command::NoteAdd(None), "note"),
        ],
        Pane::Systems => vec![
            (Command::Unfold, "unfold"),
            (Command::Open, "open"),
            (Command::ShowTimeline, "its timeline"),
            (Command::NoteAdd(None), "note"),
            (Command::WhoMaySee, "who may see"),
        ],
        Pane::Today => vec![
            (Command::Open, "its events"),
            (Command::TodayEarlier, "day before"),
            (Command::TodayLater, "day after"),
            (Command::TodaySpan(None), "other span"),
            (Command::Glossary, "words"),
        ],
        Pane::Servers => vec![(Command::Reconnect, "try again"), (Command::Open, "open")],
    };
    // What a newcomer needs most stands where a narrow line still has it.
    let mut out = own;
    let place = out.len().min(4);
    out.splice(place..place, looks);
    out
}

fn hints(state: &State, canvas: &mut Canvas<'_>, area: Rect) {
    let layers = crate::console::keymap::layers_of(state.pane);
    let useful = useful(state);
    let known: Vec<(String, &str)> = useful
        .iter()
        .filter(|(command, _)| command.entry().is_available(state.pane, state.read_only || state.is_away()))
        .filter_map(|(command, word)| state.keymap.key_for(&layers, command).map(|keys| (crate::console::keymap::key::write_sequence(&keys), *word)))
        .collect();
    let styles = [canvas.style(Role::Key), canvas.style(Role::Hint)];
    text::hints(canvas.buffer, area.x + 1, area.y, area.width.saturating_sub(2), &known, styles, &canvas.theme.glyphs);
}
