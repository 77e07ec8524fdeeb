//! What came from outside and is printed: nothing of it steers a terminal, on no way out.

use super::home::Home;

const HOSTILE: &str = "disk\u{1b}]0;owned\u{7}\u{1b}[2J\r\u{9b}6n\u{202e}full";

fn harmless(text: &str) -> bool {
    text.chars().all(|c| c == '\n' || !(c.is_control() || ('\u{202a}'..='\u{202e}').contains(&c)))
}

#[test]
fn t1_titles_notes_and_names_are_cleaned_on_every_way_out() {
    let home = Home::new();
    let server = home.serve();
    home.ok(&["change", "--system", "shop", HOSTILE]);
    home.ok(&["note", "system", "shop", HOSTILE]);
    let ways: &[&[&str]] = &[&["events"], &["events", "--json"], &["today"], &["now"], &["systems"], &["servers"], &["alerts"], &["today", "--json"]];
    for way in ways {
        let ran = home.run(way);
        assert!(harmless(&ran.out) && harmless(&ran.err), "{way:?}: {ran:?}");
    }
    let json = home.ok(&["events", "--json", "kind:change"]);
    let event: serde_json::Value = serde_json::from_str(json.trim()).unwrap();
    assert!(event["title"].as_str().unwrap().contains("owned"), "cleaned for the eye, not for the reader: {json}");
    server.stop();
    let ran = home.run(&["events"]);
    assert!(harmless(&ran.out) && harmless(&ran.err), "{ran:?}");
}

/// What another program wrote, given as an argument, comes back in an error.
#[test]
fn t2_errors_that_repeat_what_came_from_elsewhere_are_cleaned() {
    let home = Home::new();
    for args in [
        &[HOSTILE] as &[&str],
        &["alerts", HOSTILE],
        &["--server", HOSTILE, "now"],
        &["ack", HOSTILE],
        &["server", "add", HOSTILE, HOSTILE],
        &["config", "check", HOSTILE],
    ] {
        let ran = home.run(args);
        assert!(harmless(&ran.out) && harmless(&ran.err), "{args:?}: {ran:?}");
        assert!(ran.code != 0);
    }
}

/// A server that answers with words of its own (its refusal, its version, its name) is not trusted with
/// the terminal either.
#[test]
fn t2_what_a_remote_side_says_when_it_refuses_is_cleaned() {
    use std::io::{Read, Write};
    let home = Home::new();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let answering = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]);
        let body = HOSTILE.repeat(3);
        let _ = write!(stream, "HTTP/1.1 403 {HOSTILE}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    });
    let ran = home.run(&["--server", &address, "now"]);
    answering.join().unwrap();
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(harmless(&ran.out) && harmless(&ran.err), "{ran:?}");
}

/// No command writes a window title, the clipboard, or a question to the terminal: even on a terminal,
/// all that it sends beside text is colour.
#[test]
fn t6_on_a_terminal_nothing_but_colour_is_sent() {
    use portable_pty::{CommandBuilder, PtySize, native_pty_system};
    use std::io::Read;
    let home = Home::new();
    let _server = home.serve();
    home.ok(&["change", "--system", "shop", HOSTILE]);
    let pty = native_pty_system().openpty(PtySize { rows: 24, cols: 80, pixel_width: 0, pixel_height: 0 }).unwrap();
    let mut command = CommandBuilder::new(env!("CARGO_BIN_EXE_midwatch"));
    command.args(["events"]);
    command.env_clear();
    for (name, value) in [("HOME", home.path().to_str().unwrap()), ("USER", "robin"), ("TERM", "xterm-256color"), ("LANG", "C.UTF-8")] {
        command.env(name, value);
    }
    let mut child = pty.slave.spawn_command(command).unwrap();
    drop(pty.slave);
    let mut bytes = Vec::new();
    // The other end is gone when the program is: that is an error to a reader on Linux.
    let _ = pty.master.try_clone_reader().unwrap().read_to_end(&mut bytes);
    assert!(child.wait().unwrap().success());
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.contains("owned"), "{text:?}");
    let colourless = regex::Regex::new("\u{1b}\\[[0-9;]*m").unwrap().replace_all(&text, "").replace("\r\n", "\n");
    assert!(colourless != text, "a terminal gets colour");
    assert!(harmless(&colourless), "{colourless:?}");
}

/// An address is shown as it was written: escapes in it are made visible, encoded ones stay encoded, and
/// what could pass for another host is not hidden behind them.
#[test]
fn t3_addresses_are_shown_as_they_are_and_steer_nothing() {
    let home = Home::new();
    let raw = "http://good.example.org\u{1b}[2K\rhttp://evil.example.org:9093";
    let encoded = "http://good.example.org%1b%5b2K%0devil.example.org@127.0.0.1:1";
    for address in [raw, encoded] {
        let ways: &[&[&str]] = &[
            &["server", "add", "x", address],
            &["source", "test", "--alertmanager", address],
            &["--server", address, "now"],
            &["change", "--system", "shop", "deploy", "--link", address],
        ];
        for way in ways {
            let ran = home.run(way);
            assert!(ran.code != 0, "{way:?}: {ran:?}");
            assert!(harmless(&ran.out) && harmless(&ran.err), "{way:?}: {ran:?}");
            assert!(!ran.err.contains("\u{1b}") && !ran.err.contains("[2Kevil"), "{way:?}: {ran:?}");
        }
    }
}
