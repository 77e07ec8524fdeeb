//! What floats above a pane: how it looks, and what it does to what is under it.

use midwatch::command::{GroupBy, Pane, SortBy};
use midwatch::console::effect::Effect;
use midwatch::console::views::{Change, View};

use std::sync::Arc;

use midwatch::console::message::{Entry, Lazy, Message, News};
use midwatch::console::theme::{Depth, Theme};
use midwatch::model::event::{Actor, Draft, LogLine};
use midwatch::model::id::{EventId, Incarnation, Origin, Sequence};
use midwatch::model::time::Span;
use ratatui::style::Color;

use super::night::{Desk, NOW, ago};

const SIZES: [(u16, u16); 3] = [(80, 24), (120, 36), (200, 60)];

/// What each overlay is opened with.
const OVERLAYS: [(&str, &[&str]); 4] =
    [("palette", &[":", "s n o"]), ("theme", &[":", "t h e m e", "Enter"]), ("views", &["4", "w", "d i s k"]), ("find", &["f", "v a r"])];

/// The rest of what floats above, or stands in the last lines.
const MORE: [(&str, &[&str]); 7] = [
    ("help", &["?"]),
    ("which-key", &["g"]),
    ("filter", &["4", "/", "s e v"]),
    ("note", &["c", "o n Space i t"]),
    ("snooze", &["s"]),
    ("preview", &["4", "*", "a"]),
    ("messages", &["u", ":", "m e s s a g e s", "Enter"]),
];

fn press(desk: &mut Desk, keys: &[&str]) {
    for key in keys {
        key.split(' ').for_each(|key| desk.press(key));
    }
}

#[test]
fn what_else_floats_above_in_two_sizes() {
    for (width, height) in [(80, 24), (120, 36)] {
        for (name, keys) in MORE {
            let mut desk = Desk::on_the_night("midwatch", width, height);
            press(&mut desk, keys);
            insta::assert_snapshot!(format!("{name}_{width}x{height}"), desk.screen());
        }
    }
}

/// In any theme, and without colour, an overlay says the same: what is typed, what is chosen and what the keys do
/// is never told by colour alone.
#[test]
fn overlays_say_the_same_in_every_theme_and_without_colour() {
    for (name, keys) in OVERLAYS.into_iter().chain(MORE) {
        let screen = |theme: &str, depth: Depth| {
            let mut desk = Desk::on_the_night("midwatch", 80, 24);
            desk.state.views = vec![view("disks at night"), view("mine")];
            desk.state.theme = Theme::shipped(theme, depth, false).unwrap();
            press(&mut desk, keys);
            let buffer = desk.buffer();
            if depth == Depth::None {
                assert!(buffer.content.iter().all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset), "{name} has colours");
            }
            desk.screen()
        };
        let first = screen("midwatch", Depth::True);
        // While one chooses a theme, the one that is marked is the one that is shown.
        for (theme, depth) in [("daylight", Depth::True), ("mono", Depth::True), ("midwatch", Depth::None)] {
            if name != "theme" {
                assert_eq!(screen(theme, depth), first, "{name} in {theme}");
            }
        }
    }
}

#[test]
fn overlays_have_each_themes_colours() {
    for theme in super::screens::THEMES {
        // What is typed and chosen, and what asks before it does something.
        for (name, keys) in OVERLAYS.into_iter().chain(MORE).filter(|(name, _)| ["palette", "preview"].contains(name)) {
            let mut desk = Desk::on_the_night(theme, 80, 24);
            press(&mut desk, keys);
            insta::assert_snapshot!(format!("{name}_colours_{theme}"), super::screens::colours(&desk.buffer()));
        }
    }
}

#[test]
fn every_overlay_in_every_size() {
    for (width, height) in SIZES {
        for (name, keys) in OVERLAYS {
            let mut desk = Desk::on_the_night("midwatch", width, height);
            desk.state.views = vec![view("disks at night"), view("mine")];
            for key in keys {
                key.split(' ').for_each(|key| desk.press(key));
            }
            insta::assert_snapshot!(format!("{name}_{width}x{height}"), desk.screen());
        }
    }
}

#[test]
fn a_theme_is_shown_while_one_chooses_it() {
    let mut desk = Desk::on_the_night("midwatch", 120, 36);
    let name = |desk: &Desk| desk.state.theme.name.clone();
    let choose = |desk: &mut Desk| {
        desk.press(":");
        desk.type_text("theme");
        desk.press("Enter");
    };
    choose(&mut desk);
    assert_eq!(name(&desk), "midwatch", "it begins where one is");
    desk.press("Down");
    assert_eq!(name(&desk), "daylight");
    desk.press("Down");
    assert_eq!(name(&desk), "high-contrast");
    desk.press("Esc");
    assert_eq!(name(&desk), "midwatch", "Esc returns");
    choose(&mut desk);
    desk.type_text("blind");
    assert_eq!(name(&desk), "colour-blind", "what is typed selects");
    desk.press("Enter");
    assert_eq!(name(&desk), "colour-blind", "Enter keeps");
    desk.shows("in console.toml makes it so on all");
    desk.press("?");
    desk.press("Esc");
    assert_eq!(name(&desk), "colour-blind");
}

#[test]
fn a_theme_that_cannot_be_read_says_why_and_changes_nothing() {
    let mut desk = Desk::on_the_night("midwatch", 120, 36);
    desk.state.themes.files.push(("broken".into(), "[scopes]\ntext = \"rde\"\n".into()));
    desk.press(":");
    desk.type_text("theme");
    desk.press("Enter");
    desk.type_text("broken");
    desk.shows("broken.toml:2:8: there is no colour `rde`; did you mean `red`?");
    desk.press("Enter");
    assert_eq!(desk.state.theme.name, "midwatch");
}

fn view(name: &str) -> View {
    View { name: name.into(), pane: Pane::Alerts, filter: "severity:critical".into(), group: Some(GroupBy::System), sort: Some(SortBy::Age) }
}

#[test]
fn a_view_is_saved_as_one_sees_it_and_brings_all_of_that_back() {
    let mut desk = Desk::on_the_night("midwatch", 120, 36);
    desk.press("4");
    desk.press("/");
    desk.type_text("system:shop/**");
    desk.press("Enter");
    desk.press("b");
    desk.press("w");
    desk.shows("nothing is saved yet");
    desk.type_text("the shop");
    desk.press("Enter");
    let Some(Effect::Views(Change::Save(saved))) = desk.effects.last().cloned() else { panic!("nothing was saved") };
    assert_eq!((saved.name.as_str(), saved.pane, saved.filter.as_str(), saved.group), ("the shop", Pane::Alerts, "system:shop/**", Some(GroupBy::System)));
    desk.press("Esc");
    desk.press("1");
    desk.press("w");
    desk.type_text("shop");
    desk.press("Enter");
    assert_eq!(desk.state.pane, Pane::Alerts);
    assert_eq!(desk.state.active_filter().as_deref(), Some("system:shop/**"));
    assert_eq!(desk.state.panes.alerts.list.group, Some(GroupBy::System));
    desk.run("view-rename the shop -> shop");
    desk.run("views shop");
    desk.shows("view shop: Alerts, system:shop/**, by system");
    desk.run("view-remove shpo");
    desk.shows("did you mean `shop`?");
    desk.run("view-remove shop");
    assert!(desk.state.views.is_empty());
    assert!(matches!(desk.effects.last(), Some(Effect::Views(Change::Remove(name))) if name == "shop"));
}

#[test]
fn find_reaches_every_kind_and_asks_the_servers_once_the_typing_rests() {
    let mut desk = Desk::on_the_night("midwatch", 120, 36);
    desk.state.views = vec![view("flush night")];
    desk.press("f");
    desk.type_text("flush");
    assert!(!desk.effects.iter().any(|effect| matches!(effect, Effect::Search { .. })), "not at every key");
    desk.wait(Span::from_millis(400));
    desk.tell(Message::Tick(NOW));
    let asked: Vec<usize> = desk
        .effects
        .iter()
        .filter_map(|effect| if let Effect::Search { server, words, .. } = effect { (words == "flush").then_some(*server) } else { None })
        .collect();
    assert_eq!(asked, [0, 1], "each server, once");
    for words in ["flushing varnish", "runbook of shop", "flush night"] {
        desk.shows(words);
    }
    // What an index finds stands among the rest; what it found for other words does not.
    let event = |sequence: u64, title: &str| {
        let id = EventId { origin: Origin([2; 16]), incarnation: Incarnation(1), sequence: Sequence(sequence) };
        let event = Arc::new(Draft::new(ago(9_000), Actor::Server, LogLine {}, title.to_owned()).stamp(id, ago(9_000)));
        Entry { at: event.at, id, severity: event.severity, likeness: 0, event: Lazy::Known(event) }
    };
    desk.tell(Message::Server(
        1,
        News::Found { words: "flush".into(), entries: vec![event(900_001, "cache flush long ago"), event(900_001, "cache flush long ago")] },
    ));
    desk.tell(Message::Server(1, News::Found { words: "flus".into(), entries: vec![event(900_002, "flushed too late")] }));
    desk.shows("cache flush long ago");
    desk.hides("flushed too late");
    desk.press("C-u");
    desk.type_text("deploy 4f3a2c");
    desk.wait(Span::from_millis(100));
    desk.shows("event, ");
    desk.press("Enter");
    assert_eq!(desk.state.pane, Pane::Timeline);
    desk.press("f");
    desk.type_text("kim");
    desk.wait(Span::from_millis(100));
    desk.shows("person, what they did");
}
