//! `midwatch open` as somebody runs it: files that grow, packed ones, and a stream while keys come from the terminal.

use std::process::{Command, Stdio};

use super::seat::{Home, Seat};

const LOG: &str = "2026-11-21T02:39:00Z INFO deploy 4f3a2c\n2026-11-21T02:41:00Z ERROR hit rate 12 %\n";

/// Packs a file with a program, beside it.
fn packed(home: &Home, program: &str, name: &str, text: &str, end: &str) {
    let path = home.file(name, text);
    let run = Command::new(program).args(["-q", "-f"]).arg(&path).stdin(Stdio::null()).status();
    let status = run.unwrap_or_else(|error| panic!("{program} cannot be run ({error}): apt-get install {program}"));
    assert!(status.success());
    assert!(home.path().join(format!("{name}{end}")).exists());
}

fn quit(mut seat: Seat) {
    seat.keys(":q\r");
    seat.until("the shell's screen", |seat| !seat.screen().alternate_screen());
    seat.shows("end of test");
    let text = seat.text();
    assert!(text.contains("after: 0"), "{text}");
    let modes: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("modes=")).collect();
    assert!(modes.len() == 2 && modes[0] == modes[1], "the terminal's modes are as they were: {text}");
    assert_eq!(seat.ends(), 0);
}

fn script(line: &str) -> String {
    format!("echo modes=$(stty -g); {line}; echo after: $?; echo modes=$(stty -g); echo end of test")
}

#[test]
fn a_file_that_grows_is_followed_on_the_screen() {
    let home = Home::new();
    home.file("shop.log", LOG);
    let mut seat = Seat::sit(&home, (100, 30), &[], &script("\"$MW\" open shop.log"));
    seat.shows_the_console("hit rate 12 %");
    seat.shows("2 events");
    home.append("shop.log", "2026-11-21T02:44:00Z INFO flushed\n");
    seat.shows("INFO flushed");
    seat.shows("3 events");
    // Moved away, as logrotate does it, and begun anew.
    std::fs::rename(home.path().join("shop.log"), home.path().join("shop.log.1")).unwrap();
    home.file("shop.log", "2026-11-21T02:45:00Z INFO a new file\n");
    seat.shows("INFO a new file");
    assert!(seat.text().contains("INFO flushed"), "what was shown stays: {}", seat.text());
    quit(seat);
}

#[test]
fn packed_files_are_merged_with_plain_ones() {
    let home = Home::new();
    home.file("plain.log", "2026-11-21T02:42:00Z INFO in between\n");
    packed(&home, "gzip", "one.log", LOG, ".gz");
    packed(&home, "zstd", "two.log", "2026-11-21T02:43:00Z INFO packed well\n", ".zst");
    let mut seat = Seat::sit(&home, (100, 30), &[], &script("\"$MW\" open two.log.zst plain.log one.log.gz"));
    seat.shows_the_console("4 events");
    let text = seat.text();
    let places: Vec<Option<usize>> = ["deploy 4f3a2c", "hit rate 12 %", "in between", "packed well"].iter().map(|words| text.find(words)).collect();
    assert!(places.iter().all(Option::is_some) && places.is_sorted(), "merged by time: {text}");
    seat.keys("/");
    seat.keys("packed\r");
    seat.shows("1 of 4");
    quit(seat);
}

#[test]
fn standard_input_is_read_while_keys_come_from_the_terminal() {
    let home = Home::new();
    home.file("shop.log", LOG);
    // The stream goes on after what it held at first, and never ends while the console is there.
    let line = "(cat shop.log; while [ ! -e go ]; do sleep 0.1; done; echo '2026-11-21T02:44:00Z INFO from the stream'; while [ ! -e over ]; do sleep 0.1; done) | \"$MW\" open -";
    let mut seat = Seat::sit(&home, (100, 30), &[], &script(line));
    seat.shows_the_console("hit rate 12 %");
    seat.shows("stdin");
    // Keys are keys, although standard input is the stream.
    seat.keys("?");
    seat.shows("the keys in Timeline");
    seat.keys("\x1b");
    seat.until("help is gone", |seat| !seat.text().contains("the keys in Timeline"));
    home.file("go", "");
    seat.shows("from the stream");
    seat.keys(":q\r");
    seat.until("the shell's screen", |seat| !seat.screen().alternate_screen());
    home.file("over", "");
    seat.shows("after: 0");
    assert_eq!(seat.ends(), 0);
}

#[test]
fn what_is_no_file_is_said_before_the_screen_is_taken() {
    let home = Home::new();
    let mut seat = Seat::sit(&home, (100, 30), &[], "\"$MW\" open nosuch.log; echo after: $?");
    seat.shows("after: 1");
    assert!(seat.text().contains("nosuch.log"), "{}", seat.text());
    assert!(!seat.written().contains("\x1b[?1049h"), "the screen was taken for nothing");
}
