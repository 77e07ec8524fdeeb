//! Links of the terminal's own (OSC 8), as the program writes them, and what tmux makes of them.

use super::seat::{Home, Seat};

/// Two events, the newer one with links; the second of them is hostile.
const EVENTS: &str = concat!(
    r#"{"id":"2d0059c6b6b34a757c93f800bcb3f37c.1.1","at":"2026-11-21T02:39:00Z","recorded":"2026-11-21T02:39:00Z","severity":"info","kind":"change","system":"shop","actor":"server","title":"earlier","data":{}}"#,
    "\n",
    r#"{"id":"2d0059c6b6b34a757c93f800bcb3f37c.1.2","at":"2026-11-21T02:40:00Z","recorded":"2026-11-21T02:40:00Z","severity":"info","kind":"change","system":"shop","actor":"server","title":"deploy 4f3a2c","links":[{"name":"ci","url":"https://ci.example.org/4711?a=b"},{"name":"bad","url":"https://a.example/\u001b\\\u001b]52;c;eA==\u0007"},{"name":"user","url":"https://trusted.example@evil.example/"},{"name":"way","url":"javascript:alert(1)"}],"data":{}}"#,
    "\n"
);

fn open(home: &Home, variables: &[(&str, &str)], flags: &str) -> Seat {
    home.file("events.jsonl", EVENTS);
    let mut seat = Seat::sit(home, (100, 30), variables, &format!("\"$MW\" {flags} open events.jsonl"));
    seat.shows("deploy 4f3a2c");
    seat.keys("\r");
    seat.shows("https://ci.example.org/4711?a=b");
    seat.shows("javascript:alert(1)");
    seat
}

/// The addresses that were opened; each is closed before anything else happens.
fn opened(seat: &Seat) -> Vec<String> {
    let written = seat.written();
    let mut out = Vec::new();
    let mut open = false;
    for part in written.split("\x1b]8;").skip(1) {
        let (head, text) = part.split_once("\x1b\\").expect("a sequence that ends");
        let (id, url) = head.split_once(';').unwrap();
        if url.is_empty() {
            open = false;
            continue;
        }
        assert!(!open && id.starts_with("id="), "{head:?}");
        assert!(!text.contains(['\n', '\r']) && !text.contains('H'), "nothing but text in it: {text:?}");
        open = true;
        out.push(url.to_owned());
    }
    assert!(!open, "one stays open");
    out
}

#[test]
fn links_are_the_terminals_own_where_it_makes_links() {
    let home = Home::new();
    let mut seat = open(&home, &[("TERM", "xterm-kitty")], "");
    let urls = opened(&seat);
    assert!(!urls.is_empty() && urls.iter().all(|url| url == "https://ci.example.org/4711?a=b"), "{urls:?}");
    let written = seat.written();
    assert!(!written.contains("\x1b]52") && !written.contains('\x07'), "{written:?}");
    // A key that changes other cells writes none of it again.
    seat.rest();
    let before = seat.bytes.len();
    seat.keys("?");
    seat.rest();
    seat.keys("\x1b");
    seat.rest();
    assert!(seat.bytes.len() > before);
    seat.keys(":q\r");
    assert_eq!(seat.ends(), 0);
    opened(&seat);
    assert!(!seat.screen().alternate_screen());
}

#[test]
fn a_terminal_that_says_its_name_is_known_by_it() {
    let home = Home::new();
    let mut seat = open(&home, &[], "");
    assert_eq!(opened(&seat), [""; 0], "xterm-256color is what everything calls itself");
    assert!(seat.written().contains("\x1b[>0q"), "it is asked for its name");
    seat.keys("\x1bP>|foot(1.16.2)\x1b\\");
    seat.until("a link", |seat| seat.written().contains("\x1b]8;id="));
    seat.rest();
    assert_eq!(opened(&seat), ["https://ci.example.org/4711?a=b"]);
}

#[test]
fn who_wants_none_gets_none() {
    for (variables, flags, config) in [
        (&[("TERM", "xterm-kitty"), ("NO_COLOR", "1")][..], "", ""),
        (&[("TERM", "xterm-kitty")], "--theme mono", ""),
        (&[("TERM", "xterm-kitty")], "", "links = false"),
        (&[("TERM", "xterm-kitty"), ("STY", "1.pts")], "", ""),
        (&[("TERM", "linux")], "", ""),
    ] {
        let home = Home::new();
        home.configure(config);
        let mut seat = open(&home, variables, flags);
        seat.keys("\x1bP>|XTerm(390)\x1b\\");
        seat.rest();
        assert_eq!(opened(&seat), [""; 0], "{variables:?} {flags} {config}");
    }
    let home = Home::new();
    home.configure("links = true");
    let seat = open(&home, &[], "");
    assert!(!opened(&seat).is_empty(), "asked for, they are there in any terminal with colours");
}
