//! The mouse as a person uses it: for who wishes it, and given back afterwards.

use vt100::MouseProtocolMode;

use super::seat::{Home, Seat};

const LOG: &str = "2026-11-21T02:39:00Z INFO deploy 4f3a2c\n2026-11-21T02:41:00Z ERROR hit rate 12 %\n2026-11-21T02:44:00Z INFO flushed\n";

fn sit(config: &str, script: &str) -> (Home, Seat) {
    let home = Home::new();
    home.file("shop.log", LOG);
    home.configure(config);
    let mut seat = Seat::sit(&home, (100, 30), &[], script);
    seat.shows_the_console("INFO flushed");
    (home, seat)
}

/// The line of the screen that holds this, from 1, and the column at which it begins.
fn place(seat: &Seat, words: &str) -> (usize, usize) {
    let text = seat.text();
    let found = text.lines().zip(1..).find_map(|(line, y)| line.find(words).map(|at| (line.split_at(at).0.chars().count() + 1, y)));
    found.unwrap_or_else(|| panic!("no {words} on\n{text}"))
}

fn press(seat: &mut Seat, button: u8, (x, y): (usize, usize)) {
    seat.keys(format!("\x1b[<{button};{x};{y}M\x1b[<{button};{x};{y}m"));
}

fn is_selected(seat: &Seat, words: &str) -> bool {
    seat.text().lines().any(|line| line.starts_with('▌') && line.contains(words))
}

#[test]
fn without_a_wish_the_mouse_stays_the_terminals() {
    let (_home, mut seat) = sit("", "\"$MW\" open shop.log");
    assert!(!seat.written().contains("\x1b[?1000h"));
    let row = place(&seat, "INFO deploy");
    press(&mut seat, 0, row);
    seat.keys("k");
    seat.until("a key", |seat| is_selected(seat, "ERROR hit rate"));
}

#[test]
fn clicks_select_and_open_and_the_wheel_scrolls() {
    let (_home, mut seat) = sit("mouse = true", "echo before; \"$MW\" open shop.log; echo after: $?");
    assert_eq!(seat.screen().mouse_protocol_mode(), MouseProtocolMode::PressRelease);
    let row = place(&seat, "INFO deploy");
    press(&mut seat, 0, row);
    seat.until("a click", |seat| is_selected(seat, "INFO deploy"));
    // The wheel moves by three rows: the last one is reached.
    press(&mut seat, 65, row);
    seat.until("the wheel", |seat| is_selected(seat, "INFO flushed"));
    press(&mut seat, 64, row);
    seat.until("the wheel", |seat| is_selected(seat, "INFO deploy"));
    // Two clicks open.
    let row = place(&seat, "ERROR hit rate");
    press(&mut seat, 0, row);
    press(&mut seat, 0, row);
    seat.shows("Sat 21 Nov 2026 02:41:00");
    seat.keys("\x1b");
    seat.until("the list", |seat| is_selected(seat, "ERROR hit rate"));
    // A pane, and what floats above: a click beside its rows does nothing, on one it chooses.
    let tab = place(&seat, "0 Servers");
    press(&mut seat, 0, tab);
    seat.shows("the file can be read");
    seat.keys(":");
    seat.shows("Shows every alert, in groups.");
    press(&mut seat, 0, (2, 28));
    let choice = place(&seat, "Shows every alert, in groups.");
    press(&mut seat, 0, choice);
    press(&mut seat, 0, choice);
    seat.until("Alerts", |seat| seat.text().contains("0 open") && !seat.text().contains("the file can be read"));
    seat.keys(":q\r");
    seat.shows("after: 0");
    assert_eq!(seat.screen().mouse_protocol_mode(), MouseProtocolMode::None);
    assert_eq!(seat.screen().mouse_protocol_encoding(), vt100::MouseProtocolEncoding::Default);
    assert_eq!(seat.ends(), 0);
}

#[test]
fn whatever_ends_it_gives_the_mouse_back() {
    for end in ["kill -TERM", "kill -HUP"] {
        let script = "\"$MW\" open shop.log & echo $! > pid; fg 2>/dev/null; wait; echo after: $?";
        let script = format!("set -m; {script}");
        let (home, mut seat) = sit("mouse = true", &script);
        assert_eq!(seat.screen().mouse_protocol_mode(), MouseProtocolMode::PressRelease);
        let pid = std::fs::read_to_string(home.path().join("pid")).unwrap();
        let killed = std::process::Command::new("/bin/sh").args(["-c", &format!("{end} {}", pid.trim())]).status().unwrap();
        assert!(killed.success());
        seat.until("its end", |seat| !seat.screen().alternate_screen());
        assert_eq!(seat.screen().mouse_protocol_mode(), MouseProtocolMode::None, "{end}");
    }
    // Stopped, it is the shell's; continued, ours.
    let (_home, mut seat) =
        sit("mouse = true", "PS1='shell> ' exec /bin/bash --norc -i -c 'set -m; \"$MW\" open shop.log; echo stopped; fg >/dev/null; echo after: $?'");
    seat.keys("\x1a");
    seat.until("the mouse given back", |seat| seat.written().contains("\x1b[?1000l"));
    seat.until("the mouse taken again", |seat| seat.written().matches("\x1b[?1000h").count() >= 2);
    seat.shows_the_console("INFO flushed");
    assert_eq!(seat.screen().mouse_protocol_mode(), MouseProtocolMode::PressRelease);
    seat.keys(":q\r");
    seat.shows("after: 0");
    assert_eq!(seat.screen().mouse_protocol_mode(), MouseProtocolMode::None);
}
