//! Bell and notices, as the terminal hears them: through the program, alone and inside GNU screen.

use super::seat::{Home, Seat};

/// An export of one server; each further alert gets the next number.
fn alert(number: usize, severity: &str, title: &str) -> String {
    format!(
        r#"{{"id":"2d0059c6b6b34a757c93f800bcb3f37c.1.{number}","at":"2026-11-21T02:{:02}:00Z","recorded":"2026-11-21T02:{:02}:00Z","severity":"{severity}","kind":"alert.opened","system":"shop/varnish","actor":"source:prometheus","title":"{title}","data":{{"alert":"{number:032x}","check":"Hits","by":"source:prometheus","condition":"problem"}}}}"#,
        number % 60,
        number % 60
    ) + "\n"
}

fn sit(config: &str) -> (Home, Seat) {
    let home = Home::new();
    home.configure(config);
    home.file("night.jsonl", alert(1, "critical", "was there before"));
    let mut seat = Seat::sit(&home, (100, 30), &[], "\"$MW\" open night.jsonl");
    seat.shows_the_console("was there before");
    (home, seat)
}

/// Alerts are added until one is told of: what comes in the first moments counts as there before.
fn until_told(home: &Home, seat: &mut Seat, what: &str, so: impl Fn(&Seat) -> bool) {
    let mut number = 1;
    let more = |_: &mut Seat| {
        number += 1;
        home.append("night.jsonl", &alert(number, "critical", "hit rate \\u001b]52;c;eA==\\u0007 12 %"));
    };
    seat.until_with(what, more, so);
    seat.rest();
}

#[test]
fn what_is_new_and_needs_you_is_told_once_and_harmlessly() {
    let (home, mut seat) = sit("[notify]\nosc9 = true\nosc777 = true\n");
    until_told(&home, &mut seat, "a notice", |seat| seat.written().contains("\x1b]9;"));
    let written = seat.written();
    let told = written.split("\x1b]9;").nth(1).and_then(|rest| rest.split('\x07').next()).unwrap();
    assert!(told.starts_with("midwatch: ") && told.contains("shop/varnish: hit rate") && told.contains("12 %"), "{told:?}");
    assert!(!told.contains("was there before") && !told.chars().any(char::is_control), "{told:?}");
    assert!(!written.contains("\x1b]52"), "a title is no clipboard: {written:?}");
    assert_eq!((written.matches("\x1b]9;").count(), written.matches("\x1b]777;notify;midwatch;").count()), (1, 1), "however many came");
    assert_eq!(written.matches('\x07').count(), 3, "two notices and one bell");
}

#[test]
fn each_way_can_be_switched_off() {
    let (home, mut seat) = sit("[notify]\nbell = true\nosc9 = false\nosc777 = false\n");
    until_told(&home, &mut seat, "the bell", |seat| seat.written().contains('\x07'));
    let written = seat.written();
    assert!(!written.contains("\x1b]9;") && !written.contains("\x1b]777;") && written.matches('\x07').count() == 1, "{written:?}");
}
