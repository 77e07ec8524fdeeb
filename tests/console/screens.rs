//! What the panes look like: every pane in three sizes, and every theme's colours.

use std::sync::Arc;

use super::night::{Desk, NOW};
use midwatch::console::message::{Message, News};
use midwatch::console::theme::{Depth, Theme};
use midwatch::model::health::{Health, Numbers, Wrong};
use midwatch::model::severity::Severity;
use midwatch::model::time::Span;
use ratatui::buffer::Buffer;
use ratatui::style::Color;

pub const PANES: [(&str, &str); 6] = [("now", "1"), ("today", "2"), ("timeline", "3"), ("alerts", "4"), ("systems", "8"), ("servers", "0")];

pub const THEMES: [&str; 6] = ["midwatch", "daylight", "high-contrast", "colour-blind", "terminal", "mono"];

#[test]
fn every_pane_in_every_size() {
    for (width, height) in [(80, 24), (120, 36), (200, 60)] {
        for (name, key) in PANES {
            let mut desk = Desk::on_the_night("midwatch", width, height);
            desk.press(key);
            insta::assert_snapshot!(format!("{name}_{width}x{height}"), desk.screen());
        }
    }
}

/// A letter for each style, in the order in which they are met, and what they are: a change of colour is seen.
pub fn colours(buffer: &Buffer) -> String {
    let mut styles = Vec::new();
    let mut map = String::new();
    for line in buffer.content.chunks(usize::from(buffer.area.width)) {
        for cell in line {
            let style = format!("{:?} on {:?} {:?}", cell.fg, cell.bg, cell.modifier);
            let place = styles.iter().position(|known| *known == style).unwrap_or_else(|| {
                styles.push(style);
                styles.len() - 1
            });
            map.push(char::from(b'a' + u8::try_from(place).unwrap()));
        }
        map.push('\n');
    }
    let legend: Vec<String> = styles.iter().zip(b'a'..).map(|(style, letter)| format!("{} {style}", char::from(letter))).collect();
    format!("{}\n{map}", legend.join("\n"))
}

#[test]
fn every_theme_has_its_colours() {
    for theme in THEMES {
        let desk = Desk::on_the_night(theme, 80, 24);
        insta::assert_snapshot!(format!("colours_{theme}"), colours(&desk.buffer()));
    }
}

#[test]
fn now_answers_without_a_key() {
    let desk = Desk::on_the_night("midwatch", 120, 36);
    for words in [
        "2 need you",
        "new: first in 40 known days",
        "caused probably 2 in shop",
        "usual, folded",
        "deploy shop 4f3a2c ◀ suspect  2m before  by ci",
        "suspect",
        "kim",
        "robin",
        "+49 30 555 0142",
        "flushing varnish",
        "varnish overview",
    ] {
        desk.shows(words);
    }
}

#[test]
fn a_lost_server_is_shown_as_it_was_with_its_age_and_never_as_fine() {
    let mut desk = Desk::on_the_night("midwatch", 120, 36);
    desk.tell(Message::Server(0, News::Lost { why: "connection refused".into(), retry: Some(NOW.plus(Span::from_secs(4))) }));
    desk.wait(Span::from_secs(41));
    desk.shows("osd.12 down");
    desk.shows("as last heard");
    desk.shows("○ infra 43s");
    desk.shows("infra says nothing");
    desk.press("0");
    desk.shows("connection refused");
}

#[test]
fn a_server_that_falls_silent_is_stale_although_the_line_stands() {
    let mut desk = Desk::on_the_night("midwatch", 120, 36);
    desk.wait(Span::from_secs(16));
    desk.shows("infra says nothing");
    desk.tell(Message::Server(0, News::Claim { lag: Span::ZERO }));
    desk.tell(Message::Server(1, News::Claim { lag: Span::ZERO }));
    desk.wait(Span::from_millis(200));
    desk.hides("says nothing");
    // A claim that is old when it comes does not count as new.
    desk.tell(Message::Server(0, News::Claim { lag: Span::from_mins(3) }));
    desk.wait(Span::from_millis(200));
    desk.shows("infra says nothing");
}

#[test]
fn nothing_is_green_before_every_server_has_spoken() {
    let mut desk = Desk::new(&["infra", "shop"], "midwatch", 80, 24);
    desk.wait(Span::from_secs(1));
    desk.shows("Waiting for the first word of a server.");
    desk.hides("All is well");
}

#[test]
fn a_server_on_which_nothing_reports_is_not_called_well() {
    let mut desk = Desk::new(&["infra"], "midwatch", 100, 30);
    desk.hear(0, super::night::Told::new(7, "infra", &[]).snapshot());
    desk.wait(Span::from_secs(1));
    desk.shows("nothing is known to be well");
    desk.hides("All is well");
}

/// Five servers, two of which are not well themselves: one that will get bad, one that is.
fn five(theme: Theme, width: u16, height: u16) -> Desk {
    let (infra, shop) = super::night::night();
    let mut desk = Desk::new(&["infra", "shop", "club", "backup", "office"], "midwatch", width, height);
    desk.state.theme = theme;
    desk.hear(0, infra.snapshot());
    desk.hear(1, shop.snapshot());
    for (server, name) in [(2, "club"), (3, "backup"), (4, "office")] {
        desk.hear(server, super::night::Told::new(u8::try_from(server).unwrap() + 10, name, &[]).snapshot());
    }
    for (server, severity, word) in [(1, Severity::Warning, "index"), (3, Severity::Critical, "disk")] {
        let wrong = vec![Wrong { severity, word: word.into(), what: "it is not well".into(), advice: "Look at it".into() }];
        desk.hear(server, vec![News::Health(Arc::new(Health { at: NOW, wrong, numbers: Numbers::default() }))]);
    }
    desk.wait(Span::from_secs(2));
    desk.wait(Span::from_millis(100));
    desk
}

#[test]
fn line_1_of_five_servers_leaves_out_nothing_that_matters() {
    let theme = |ascii| Theme::shipped("midwatch", Depth::None, ascii).unwrap();
    let desk = five(theme(false), 80, 24);
    insta::assert_snapshot!("five_servers_80x24", desk.screen());
    let first = |desk: &Desk| desk.screen().lines().next().unwrap().to_owned();
    let mut lines = Vec::new();
    for ascii in [false, true] {
        for width in [40, 60, 80, 100, 120] {
            let mut desk = five(theme(ascii), width, 24);
            let line = first(&desk);
            assert!(
                line.contains("shop!") && line.contains("backup!!") || line.contains("shop ! index") && line.contains("backup !! disk"),
                "at {width}: {line}"
            );
            lines.push(line);
            desk.tell(Message::Server(2, News::Lost { why: "connection refused".into(), retry: None }));
            desk.wait(Span::from_secs(1));
            let line = first(&desk);
            assert!(line.contains("club 3s") && line.contains("shop") && (line.contains("!! ") || line.ends_with("!!")), "at {width}: {line}");
            lines.push(line);
        }
    }
    insta::assert_snapshot!("five_servers_line_1", lines.join("\n"));
}

/// Every pane without colour, at the smallest size that must be comfortable: nothing is carried by colour alone.
#[test]
fn every_pane_without_colour() {
    for (name, key) in PANES {
        let mut desk = Desk::on_the_night("midwatch", 80, 24);
        desk.state.theme = Theme::shipped("midwatch", Depth::None, false).unwrap();
        desk.press(key);
        let buffer = desk.buffer();
        assert!(buffer.content.iter().all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset), "{name} has colours");
        // What is selected can be told by its mark, what is wrong by its word.
        if name != "today" {
            assert!(desk.screen().lines().any(|line| line.starts_with('▌')), "{name}: {}", desk.screen());
        }
        let ascii = {
            desk.state.theme = Theme::shipped("midwatch", Depth::None, true).unwrap();
            desk.screen()
        };
        insta::assert_snapshot!(format!("plain_{name}_80x24"), ascii);
    }
}
