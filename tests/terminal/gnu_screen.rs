//! The console inside a real GNU screen: attached from other sizes, resized, detached, stopped and continued;
//! what is copied and what it notifies of reaches the terminal around.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use super::seat::{Home, Seat};

/// A screen of the test's own, with one shell in it.
struct Inside {
    home: Home,
}

impl Inside {
    fn new(settings: &str) -> Inside {
        let home = Home::new();
        home.file("shop.log", "2026-11-21T02:39:00Z INFO deploy 4f3a2c\n2026-11-21T02:41:00Z ERROR hit rate 12 %\n2026-11-21T02:44:00Z INFO flushed\n");
        home.file("screenrc", format!("startup_message off\nshell /bin/sh\ndefutf8 on\n{settings}"));
        let sockets = home.path().join("s");
        std::fs::create_dir(&sockets).unwrap();
        std::fs::set_permissions(sockets, std::fs::Permissions::from_mode(0o700)).unwrap();
        let found = Command::new("screen").arg("--version").output();
        found.unwrap_or_else(|error| panic!("screen cannot be run ({error}): apt-get install screen"));
        Inside { home }
    }

    fn attach(&self, size: (u16, u16), how: &str) -> Seat {
        let sockets = self.home.path().join("s");
        let variables = [("SCREENDIR", sockets.to_str().unwrap()), ("COLORTERM", "truecolor"), ("PS1", "shell> "), ("ENV", "")];
        Seat::sit(&self.home, size, &variables, &format!("screen -U -c screenrc {how}; echo after: $?"))
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        let _ = Command::new("screen").args(["-S", "mw", "-X", "quit"]).env("SCREENDIR", self.home.path().join("s")).output();
    }
}

#[test]
fn the_screen_is_right_whoever_attaches_and_the_terminal_around_hears_what_is_for_it() {
    let inside = Inside::new("altscreen on\n");
    let mut seat = inside.attach((100, 30), "-S mw");
    seat.shows("shell>");
    seat.keys("\"$MW\" open shop.log\r");
    seat.shows_the_console("INFO flushed");
    // Colours are colours, although COLORTERM promises more than screen can.
    let cells: Vec<vt100::Cell> = (0..30).flat_map(|y| (0..100).map(move |x| (y, x))).filter_map(|(y, x)| seat.screen().cell(y, x).cloned()).collect();
    assert!(!cells.iter().any(|cell| cell.underline() || cell.inverse() || cell.italic()), "parts of a colour were taken for attributes");
    assert!(cells.iter().any(|cell| matches!(cell.fgcolor(), vt100::Color::Idx(16..))), "256 colours");
    // Each key changes what it should.
    seat.keys("k");
    seat.keys("?");
    seat.shows("the keys in Timeline");
    seat.keys("\x1b");
    seat.shows_the_console("INFO flushed");
    seat.resize(80, 24);
    seat.shows_the_console("INFO flushed");
    // Detached, and attached from another size.
    seat.keys("\x01d");
    seat.shows("after: 0");
    assert_eq!(seat.ends(), 0);
    let mut seat = inside.attach((120, 36), "-r mw");
    seat.shows_the_console("INFO flushed");
    // What is copied goes through screen to the terminal around.
    seat.keys("yy");
    seat.until("the row on the clipboard", |seat| seat.written().contains("\x1b]52;c;"));
    seat.rest();
    let copied = seat.written().split("\x1b]52;c;").nth(1).and_then(|rest| rest.split('\x07').next().map(str::to_owned)).unwrap();
    assert!(copied.len() > 20 && copied.chars().all(|c| c.is_ascii_alphanumeric() || "+/=".contains(c)), "{copied:?}");
    // Stopped, the shell has its own screen again; continued, everything is drawn anew.
    seat.keys("\x1a");
    seat.until("the shell", |seat| seat.text().contains("Stopped") && !seat.text().contains("INFO flushed"));
    seat.keys("fg\r");
    seat.shows_the_console("INFO flushed");
    seat.keys(":q\r");
    seat.until("the shell", |seat| !seat.text().contains("INFO flushed") && seat.text().trim_end().ends_with("shell>"));
    let text = seat.text();
    assert!(!text.contains(";2;") && !text.contains("]11;") && !text.contains("[c"), "what was asked leaves no trace: {text}");
    seat.keys("exit\r");
    seat.shows("after: 0");
    assert!(!seat.screen().hide_cursor() && !seat.screen().bracketed_paste());
}

#[test]
fn a_notice_goes_through_to_the_terminal_around() {
    let inside = Inside::new("altscreen on\nvbell off\n");
    let alert = |number: usize| {
        format!(
            "{}{number}{}{number:032x}{}\n",
            r#"{"id":"2d0059c6b6b34a757c93f800bcb3f37c.1."#,
            r#"","at":"2026-11-21T02:40:00Z","recorded":"2026-11-21T02:40:00Z","severity":"critical","kind":"alert.opened","system":"shop/varnish","actor":"source:prometheus","title":"hit rate 12 %","data":{"alert":""#,
            r#"","check":"Hits","by":"source:prometheus","condition":"problem"}}"#
        )
    };
    inside.home.file("night.jsonl", alert(1));
    let mut seat = inside.attach((100, 30), "-S mw");
    seat.shows("shell>");
    seat.keys("\"$MW\" open night.jsonl\r");
    seat.shows_the_console("hit rate 12 %");
    let mut number = 1;
    let more = |_: &mut Seat| {
        number += 1;
        inside.home.append("night.jsonl", &alert(number));
    };
    seat.until_with("a notice", more, |seat| seat.written().contains("\x1b]9;midwatch: "));
    seat.until("the bell", |seat| seat.written().replace("%\x07", "").contains('\x07'));
    seat.shows_the_console("hit rate 12 %");
    assert!(!seat.text().contains("midwatch: "), "it leaves no trace on the screen: {}", seat.text());
}
