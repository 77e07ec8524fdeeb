//! What floats above: prompts, choices, questions, help, the keys that may follow.

use std::collections::BTreeMap;

use ratatui::layout::{Position, Rect};

use crate::command::{COMMANDS, Category};
use crate::console::keymap::key::write_sequence;
use crate::console::keymap::layers_of;
use crate::console::overlay::Confirm;
use crate::console::overlay::ask::{Ask, Purpose};
use crate::console::overlay::choose::{Choose, Goal, Of};
use crate::console::screen::text;
use crate::console::state::{State, Tone};
use crate::console::theme::Role;

use super::Spot;
use super::canvas::{Canvas, Words};

/// The prompt takes the last lines: what could be meant above, the line itself below.
pub fn ask(ask: &Ask, canvas: &mut Canvas<'_>, area: Rect) -> Position {
    canvas.paint(area, Role::Bar);
    let y = area.bottom().saturating_sub(1);
    if area.height >= 2 {
        match &ask.error {
            Some(error) => {
                canvas.text(area.x + 1, area.y, area.width.saturating_sub(2), error, Role::MessageBad);
            }
            None => {
                let mut words: Words = Vec::new();
                for (place, offer) in ask.offers.iter().enumerate() {
                    words.push((offer.clone(), if Some(place) == ask.chosen { Role::Key } else { Role::BarMuted }));
                    words.push(("  ".into(), Role::BarMuted));
                }
                if matches!(ask.purpose, Purpose::Note { .. }) {
                    words.push(("Enter notes it, C-o opens your editor, Esc leaves it".into(), Role::BarMuted));
                } else if words.is_empty() {
                    words.push(("Enter takes it, Tab completes, Esc leaves it".into(), Role::BarMuted));
                }
                canvas.words(area.x + 1, area.y, area.width.saturating_sub(2), &words);
            }
        }
    }
    let label = format!("{} ", ask.purpose.label());
    let used = canvas.text(area.x + 1, y, area.width / 2, &label, Role::Key);
    let x = area.x + 1 + used + 1;
    line(canvas, &ask.input, x, y, area.right().saturating_sub(x + 1))
}

/// A line that is typed in, scrolled so that the cursor is in it.
fn line(canvas: &mut Canvas<'_>, input: &crate::console::input::Input, x: u16, y: u16, room: u16) -> Position {
    let before = text::width(input.before());
    if before < room {
        canvas.text(x, y, room, input.text(), Role::Input);
        return Position::new(x + before, y);
    }
    // The end of what stands before the cursor, as much as fits.
    let mut kept = input.before();
    while text::width(kept) >= room {
        let mut chars = kept.chars();
        chars.next();
        kept = chars.as_str();
    }
    let used = canvas.text(x, y, room, kept, Role::Input);
    Position::new((x + used).min(x + room.saturating_sub(1)), y)
}

/// A frame in the middle, as large as it needs and may be, blank inside.
pub(super) fn float(canvas: &mut Canvas<'_>, area: Rect, title: &str, width: u16, height: u16) -> Rect {
    let width = (width + 4).min(area.width);
    let height = (height + 2).min(area.height);
    let x = area.x + (area.width - width) / 2;
    let y = area.y + (area.height - height) / 3;
    let (frame, inside) = (canvas.style(Role::Frame), canvas.style(Role::Overlay));
    canvas.spot(Rect { x, y, width, height }, Spot::Above);
    let inner = text::frame(canvas.buffer, Rect { x, y, width, height }, title, frame, inside, &canvas.theme.glyphs);
    Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner }
}

/// Lines in a frame, from the one on that is scrolled to; its last line says how many more there are.
pub(super) fn page(canvas: &mut Canvas<'_>, area: Rect, title: &str, width: u16, lines: &[Words], top: usize) {
    let inner = float(canvas, area, title, width, u16::try_from(lines.len() + 1).unwrap_or(u16::MAX));
    let rows = usize::from(inner.height.saturating_sub(1));
    let top = top.min(lines.len().saturating_sub(rows));
    for (line, y) in lines.iter().skip(top).take(rows).zip(inner.y..) {
        canvas.words(inner.x, y, inner.width, line);
    }
    let more = lines.len().saturating_sub(top + rows);
    let foot = if more > 0 { format!("Down: {more} more   Esc closes") } else { "Esc closes".to_owned() };
    canvas.text(inner.x, inner.bottom().saturating_sub(1), inner.width, &foot, Role::Muted);
}

pub fn choose(choose: &Choose, canvas: &mut Canvas<'_>, area: Rect) -> Option<Position> {
    let inner = match choose.of {
        // In the corner: what is beside it shows what one chooses.
        Of::Themes => {
            let (width, height) = (74.min(area.width), (u16::try_from(choose.all.len()).unwrap_or(10).min(14) + 4).min(area.height));
            float(canvas, Rect { x: area.right() - width, y: area.bottom() - height, width, height }, choose.of.title(), width, height)
        }
        Of::Views | Of::Bookmarks => float(canvas, area, choose.of.title(), 96, u16::try_from(choose.all.len()).unwrap_or(18).clamp(1, 16) + 3),
        Of::Revoke | Of::InviteAgain => float(canvas, area, choose.of.title(), 96, u16::try_from(choose.all.len()).unwrap_or(18).clamp(1, 16) + 3),
        Of::Commands | Of::Anything | Of::Events | Of::Words => float(canvas, area, choose.of.title(), 96, 18),
    };
    if inner.height < 3 {
        return None;
    }
    let used = canvas.text(inner.x, inner.y, 2, if choose.of == Of::Commands { ":" } else { "?" }, Role::Key);
    let cursor = line(canvas, &choose.input, inner.x + used + 1, inner.y, inner.width.saturating_sub(used + 1));
    let count = format!("{} of {}", choose.hits.len(), choose.all.len());
    canvas.right(inner.x, inner.y, inner.width, &count, Role::Muted);
    if let Some(error) = &choose.error {
        canvas.text(inner.x, inner.y + 1, inner.width, error, Role::MessageBad);
    }
    if choose.of == Of::Views && choose.error.is_none() {
        let words = if choose.all.is_empty() {
            "nothing is saved yet; type a name, Enter saves what you see"
        } else {
            "Enter shows it; another name saves what you see; :view-rename, :view-remove"
        };
        canvas.text(inner.x, inner.y + 1, inner.width, words, Role::Muted);
    }
    let rows = usize::from(inner.height - 2);
    let top = (choose.selected + 1).saturating_sub(rows);
    let name_room = (inner.width / 2).min(36);
    for ((place, hit), y) in choose.hits.iter().enumerate().skip(top).zip(inner.y + 2..inner.bottom()) {
        let Some(choice) = choose.all.get(*hit) else { continue };
        canvas.spot(Rect { y, height: 1, ..inner }, Spot::Choice(place));
        let selected = place == choose.selected;
        if selected {
            canvas.text(inner.x, y, 1, canvas.glyphs().selected, Role::SelectionMark);
        }
        if choose.of == Of::Anything {
            let glyphs = canvas.glyphs();
            let (glyph, role) = match &choice.goal {
                Goal::Alert(_) => (glyphs.critical, Role::SeverityWarning),
                Goal::System(_) => (glyphs.pointer, Role::Text),
                Goal::Server(_) => (glyphs.live, Role::FreshnessLive),
                Goal::Event(..) => (glyphs.dot, Role::Muted),
                Goal::Place(_) => (glyphs.bookmark, Role::Bookmark),
                Goal::Person(_) => (glyphs.info, Role::Actor),
                Goal::Web(_) => (glyphs.link, Role::Link),
                Goal::Command(..) => (glyphs.arrow, Role::Key),
                Goal::View(_) | Goal::SaveView(_) => (glyphs.bookmark, Role::Bookmark),
                Goal::Pane(_) | Goal::Theme(_) | Goal::Revoke(..) | Goal::InviteAgain(..) | Goal::Nothing => (glyphs.folded, Role::Muted),
            };
            canvas.text(inner.x + 2, y, 1, glyph, role);
        }
        let indent = if choose.of == Of::Anything { 2 } else { 0 };
        let room = match choose.of {
            Of::Commands | Of::Words | Of::Revoke | Of::InviteAgain => name_room,
            Of::Anything => inner.width.saturating_sub(28),
            Of::Views | Of::Bookmarks => (inner.width / 2).min(40),
            Of::Events => inner.width.saturating_sub(24),
            Of::Themes => 16,
        };
        let style = if selected { canvas.theme.selected(Role::Strong) } else { canvas.style(Role::Text) };
        canvas.styled(inner.x + 2 + indent, y, room.saturating_sub(indent), &choice.text, style);
        canvas.text(inner.x + 3 + room, y, inner.width.saturating_sub(room + 3), &choice.note, Role::Muted);
    }
    Some(cursor)
}

pub fn confirm(confirm: &Confirm, canvas: &mut Canvas<'_>, area: Rect) -> Option<Position> {
    let lines = u16::try_from(confirm.hits.len()).unwrap_or(u16::MAX).saturating_add(2).min(area.height.saturating_sub(4));
    let inner = float(canvas, area, &confirm.title, 90, lines);
    let rows = usize::from(inner.height.saturating_sub(2));
    let top = confirm.top.min(confirm.hits.len().saturating_sub(rows));
    for (hit, y) in confirm.hits.iter().skip(top).take(rows).zip(inner.y..) {
        canvas.text(inner.x, y, inner.width, hit, Role::Text);
    }
    let hidden = confirm.hits.len().saturating_sub(rows);
    let mut words: Words = vec![
        ("Enter".into(), Role::Key),
        (if confirm.then.len() == 1 { " does it   ".to_owned() } else { format!(" does it to all {}   ", confirm.then.len()) }, Role::Hint),
        ("Esc".into(), Role::Key),
        (" leaves all as it is".into(), Role::Hint),
    ];
    if hidden > 0 {
        words.push((format!("   {hidden} more, Down"), Role::Muted));
    }
    canvas.words(inner.x, inner.bottom().saturating_sub(1), inner.width, &words);
    None
}

/// Columns of help, and those of its keys.
const WIDEST: u16 = 100;
const KEYS: u16 = 18;

pub fn help(state: &State, top: usize, canvas: &mut Canvas<'_>, area: Rect) -> Option<Position> {
    let bindings = state.keymap.effective(&layers_of(state.pane));
    // In the order in which the registry declares them: what belongs together stands together.
    let mut groups: BTreeMap<Category, BTreeMap<usize, (String, &str)>> = BTreeMap::new();
    for binding in bindings {
        let entry = binding.command.entry();
        if !entry.is_available(state.pane, state.read_only) {
            continue;
        }
        let place = COMMANDS.iter().position(|known| known.sentence == entry.sentence).unwrap_or(COMMANDS.len());
        let keys = &mut groups.entry(entry.category).or_default().entry(place).or_insert((String::new(), entry.sentence)).0;
        if !keys.is_empty() {
            keys.push_str(", ");
        }
        keys.push_str(&binding.keys_text());
    }
    let mut lines: Vec<Words> = Vec::new();
    for (category, entries) in groups {
        if !lines.is_empty() {
            lines.push(Vec::new());
        }
        lines.push(vec![(category.title().to_owned(), Role::Heading)]);
        for (keys, sentence) in entries.into_values() {
            // Sentences are read to their end: there is no other place for them.
            let room = area.width.saturating_sub(4).min(WIDEST).saturating_sub(KEYS + 1);
            let keys = text::cut(&keys, KEYS, canvas.glyphs().ellipsis).into_owned();
            for (row, part) in text::wrap(sentence, room, 4, canvas.glyphs().ellipsis).into_iter().enumerate() {
                lines.push(vec![(format!("{:<18} ", if row == 0 { &*keys } else { "" }), Role::Key), (part, Role::Text)]);
            }
        }
    }
    lines.push(Vec::new());
    lines.push(vec![
        (format!("{:<18} ", "--linear"), Role::Key),
        ("Starts midwatch in lines that are only appended: for screen readers and bad lines.".into(), Role::Text),
    ]);
    page(canvas, area, &format!("the keys in {}", state.pane), WIDEST, &lines, top);
    None
}

pub fn messages(state: &State, top: usize, canvas: &mut Canvas<'_>, area: Rect) -> Option<Position> {
    let inner = float(canvas, area, "what midwatch said", 100, u16::try_from(state.said.len().max(1)).unwrap_or(u16::MAX));
    if state.said.is_empty() {
        canvas.text(inner.x, inner.y, inner.width, "nothing yet", Role::Muted);
    }
    let top = top.min(state.said.len().saturating_sub(usize::from(inner.height)));
    for (said, y) in state.said.iter().rev().skip(top).zip(inner.y..inner.bottom()) {
        let role = match said.tone {
            Tone::Fine => Role::MessageGood,
            Tone::Plain => Role::Text,
            Tone::Wrong => Role::MessageBad,
        };
        let when = said.at.zoned(&state.zone).strftime("%H:%M:%S").to_string();
        canvas.words(inner.x, y, inner.width, &[(format!("{when}  "), Role::Muted), (said.words.clone(), role)]);
    }
    None
}

/// After a prefix: the keys that may follow.
pub fn which_key(state: &State, canvas: &mut Canvas<'_>, area: Rect) {
    let next = state.keymap.next(&state.pressed, &state.layers());
    let lines: Vec<(String, String)> = next
        .iter()
        .map(|next| (next.key.to_string(), next.command.as_ref().map_or_else(|| "more keys".to_owned(), |command| command.entry().sentence.to_owned())))
        .collect();
    let height = u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_add(2).min(area.height);
    let width = lines.iter().map(|(_, sentence)| text::width(sentence)).max().unwrap_or(10).saturating_add(14).min(area.width);
    let at = Rect { x: area.x + 1, y: area.bottom().saturating_sub(height), width: width.min(area.width.saturating_sub(2)), height };
    let (frame, inside) = (canvas.style(Role::Frame), canvas.style(Role::Overlay));
    let inner = text::frame(canvas.buffer, at, &write_sequence(state.pressed.keys()), frame, inside, &canvas.theme.glyphs);
    for ((key, sentence), y) in lines.iter().zip(inner.y..inner.bottom()) {
        canvas.words(inner.x + 1, y, inner.width.saturating_sub(2), &[(format!("{key:<6} "), Role::Key), (sentence.clone(), Role::Text)]);
    }
}
