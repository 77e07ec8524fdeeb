//! Exit codes, and what is said where.

use std::io::Read;
use std::process::Stdio;

use super::home::Home;

#[test]
fn exit_codes_say_how_it_went() {
    let home = Home::new();
    assert_eq!(home.run(&["--version"]).code, 0);
    assert_eq!(home.run(&["config", "check"]).code, 0);
    assert_eq!(home.run(&["server", "remove", "nobody"]).code, 1, "refused");
    assert_eq!(home.run(&["no-such-command"]).code, 2, "bad usage");
    assert_eq!(home.run(&["alerts", "severity:wrning"]).code, 2, "a filter that makes no sense");
    assert_eq!(home.run(&["now", "--server", "unix:/nowhere/server.sock"]).code, 3, "nobody there");
    assert_eq!(home.run(&["now"]).code, 3, "nothing is known yet");
}

#[test]
fn what_went_wrong_is_one_sentence_on_standard_error_and_says_what_to_do() {
    let home = Home::new();
    let ran = home.run(&["now"]);
    assert_eq!(ran.out, "");
    assert!(ran.err.starts_with("midwatch: ") && ran.err.contains("Start `midwatch`"), "{ran:?}");
    let ran = home.run(&["alerts", "severity:wrning"]);
    assert!(ran.err.contains("column") || ran.err.contains("warning"), "{ran:?}");
    let ran = home.run(&["--server", "infr", "now"]);
    assert_eq!(ran.code, 2, "{ran:?}");
}

#[test]
fn the_console_without_a_terminal_says_what_works_without_one() {
    let ran = Home::new().run(&[]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.err.contains("needs a terminal") && ran.err.contains("midwatch now"), "{ran:?}");
}

#[test]
fn options_of_the_console_are_refused_for_subcommands() {
    let ran = Home::new().run(&["--prometheus", "http://localhost:9090", "now"]);
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.err.contains("--prometheus"), "{ran:?}");
}

#[test]
fn a_reader_that_leaves_early_is_no_failure() {
    let home = Home::new();
    let mut child = home.command(&["keys"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).unwrap();
    assert_eq!((child.wait().unwrap().code(), err.as_str()), (Some(0), ""));
}

#[test]
fn nothing_is_coloured_that_goes_to_no_terminal() {
    let home = Home::new();
    for args in [&["--help"] as &[&str], &["keys"], &["doctor"], &["server", "list"]] {
        let ran = home.run(args);
        assert!(!ran.out.contains('\u{1b}') && !ran.err.contains('\u{1b}'), "{args:?}");
    }
}

#[test]
fn a_mistake_in_any_file_is_named_with_its_place() {
    let home = Home::new();
    for (file, text, place) in [
        ("console.toml", "thme = \"day\"\n", "console.toml:1:1"),
        ("server.toml", "name = \"a\"\nlisen = \"x\"\n", "server.toml:2:1"),
        ("agent.toml", "[agent]\nnme = \"x\"\n", "agent.toml:2:1"),
        ("keymap.toml", "[global]\n\"x\" = \"no-such\"\n", "keymap.toml:2"),
    ] {
        let path = home.path().join(file);
        std::fs::write(&path, text).unwrap();
        let ran = home.run(&["config", "check", path.to_str().unwrap()]);
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(ran.out.contains(place), "{ran:?}");
    }
    let ran = home.run(&["config", "check", home.path().join("notes.toml").to_str().unwrap()]);
    assert!(ran.code == 1 && ran.out.contains("there is no such file"), "{ran:?}");
}

#[test]
fn completions_and_manual_are_printed() {
    let home = Home::new();
    assert!(home.ok(&["completions", "bash"]).contains("_midwatch"));
    assert!(home.ok(&["man"]).contains(".TH midwatch 1"));
}
