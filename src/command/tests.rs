//! The registry as a person meets it.

use std::collections::BTreeSet;

use jiff::Zoned;

use super::*;
use crate::model::time::{Span, Time};

#[test]
fn every_command_is_well_declared() {
    let mut names = BTreeSet::new();
    for entry in COMMANDS {
        assert!(names.insert(entry.name), "{} twice", entry.name);
        assert!(entry.name.split('-').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase())), "{}", entry.name);
        assert!(entry.sentence.ends_with('.') && entry.sentence.starts_with(char::is_uppercase), "{}", entry.sentence);
        assert_eq!(entry.scope == Scope::Prompt, entry.category == Category::Prompt, "{}", entry.name);
        assert!(!entry.changes_the_world() || entry.palette == Palette::Shown, "{}: a verb must be in the palette", entry.name);
    }
}

#[test]
fn every_command_is_read_back_as_it_is_written() {
    for entry in COMMANDS {
        let line = match entry.argument {
            Some(expects) => format!("{} {}", entry.name, expects.example),
            None => entry.name.to_owned(),
        };
        let command = Command::parse(&line).unwrap_or_else(|error| panic!("{line}: {error}"));
        assert_eq!(command.entry(), entry);
        assert_eq!(command.to_string(), line);
    }
}

#[test]
fn arguments_are_typed() {
    assert_eq!(Command::parse(":alert-snooze 2h"), Ok(Command::AlertSnooze(Some(When::Away(Span::from_hours(2))))));
    assert_eq!(Command::parse("  note-add  looking at it "), Ok(Command::NoteAdd(Some(Words("looking at it".into())))));
    assert_eq!(Command::parse("alert-snooze"), Ok(Command::AlertSnooze(None)));
    assert_eq!(Command::parse("q"), Ok(Command::Quit));
}

#[test]
fn errors_say_what_to_do() {
    let said = |line: &str| Command::parse(line).unwrap_err().to_string();
    assert_eq!(said("alert-snoze 2h"), "there is no command `alert-snoze`; did you mean `alert-snooze`?");
    assert_eq!(said("xyzzy"), "there is no command `xyzzy`");
    assert_eq!(said("quit now"), "`quit` takes nothing after it, but got `now`");
    assert_eq!(said("export"), "`export` needs some words, like `export looking at varnish`");
    assert_eq!(said("group-by casue"), "`group-by`: `casue` is none of cause, system, check, server, nothing; did you mean `cause`?");
    assert!(said("alert-snooze soon").contains("`soon` is not a time; write it like 2h"));
    assert_eq!(said(":"), "type a command's name, like `alert-snooze 2h`");
}

#[test]
fn verbs_are_absent_where_one_only_reads() {
    let snooze = Entry::named("alert-snooze").unwrap();
    assert!(snooze.is_available(Pane::Now, false));
    assert!(!snooze.is_available(Pane::Now, true));
    assert!(!snooze.is_available(Pane::Servers, false));
    assert!(Entry::named("quit").unwrap().is_available(Pane::Servers, true));
}

#[test]
fn times_are_found_in_the_direction_that_is_meant() {
    // A Saturday.
    let now: Zoned = "2026-11-21T02:57:00+01:00[Europe/Berlin]".parse().unwrap();
    let at = |text: &str, direction| When::read(text).unwrap().resolve(&now, direction).unwrap();
    let local = |text: &str| Time::from(format!("{text}[Europe/Berlin]").parse::<Zoned>().unwrap().timestamp());
    for (text, direction, meant) in [
        ("3am", Direction::Ahead, "2026-11-21T03:00"),
        ("3am", Direction::Back, "2026-11-20T03:00"),
        ("yesterday 3am", Direction::Back, "2026-11-20T03:00"),
        ("fri 14:00", Direction::Back, "2026-11-20T14:00"),
        ("fri 14:00", Direction::Ahead, "2026-11-27T14:00"),
        ("sat 02:00", Direction::Back, "2026-11-21T02:00"),
        ("12:30pm", Direction::Ahead, "2026-11-21T12:30"),
        ("12am", Direction::Ahead, "2026-11-22T00:00"),
        ("tomorrow", Direction::Ahead, "2026-11-22T00:00"),
        ("2026-03-29 03:30", Direction::Back, "2026-03-29T03:30"),
        ("2h", Direction::Ahead, "2026-11-21T04:57"),
        ("2h", Direction::Back, "2026-11-21T00:57"),
        ("-2h", Direction::Ahead, "2026-11-21T00:57"),
        ("2h ago", Direction::Ahead, "2026-11-21T00:57"),
        ("2026-11-20T03:00:00Z", Direction::Back, "2026-11-20T04:00"),
        ("14 aug", Direction::Back, "2026-08-14T00:00"),
        ("Aug 14th 3am", Direction::Back, "2026-08-14T03:00"),
        ("24 dec", Direction::Back, "2025-12-24T00:00"),
        ("24 dec 18:00", Direction::Ahead, "2026-12-24T18:00"),
        ("29 feb", Direction::Back, "2024-02-29T00:00"),
        ("1 may 2024 noon", Direction::Back, "2024-05-01T12:00"),
        ("3am yesterday", Direction::Back, "2026-11-20T03:00"),
        ("3 am", Direction::Back, "2026-11-20T03:00"),
        ("last sat 14:00", Direction::Back, "2026-11-14T14:00"),
        ("2026-11-20t03:00", Direction::Back, "2026-11-20T03:00"),
    ] {
        assert_eq!(at(text, direction), local(meant), "{text}");
    }
    for bad in ["", "25:00", "13am", "3", "fri 99", "2026-13-01", "soon", "3:5", "-", "é", "31 feb", "aug", "14 au", "aug 14 26", "last 3am"] {
        assert!(When::read(bad).is_err(), "{bad}");
    }
}

#[test]
fn clocks_that_are_put_forward_or_back_still_have_every_time_of_day() {
    let resolve = |text: &str, now: &str| {
        let now: Zoned = now.parse().unwrap();
        When::read(text).unwrap().resolve(&now, Direction::Back).unwrap().to_string()
    };
    // In Berlin there was no 02:30 on 29 March, and there were two on 25 October: the first is meant.
    assert_eq!(resolve("2:30", "2026-03-29T12:00:00+02:00[Europe/Berlin]"), "2026-03-29T01:30:00Z");
    assert_eq!(resolve("yesterday 2:30", "2026-10-26T12:00:00+01:00[Europe/Berlin]"), "2026-10-25T00:30:00Z");
    // A day back on the wall clock is not always 24 hours; two hours are always two hours.
    assert_eq!(resolve("yesterday noon", "2026-03-29T12:00:00+02:00[Europe/Berlin]"), "2026-03-28T11:00:00Z");
    assert_eq!(resolve("-2h", "2026-03-29T03:30:00+02:00[Europe/Berlin]"), "2026-03-28T23:30:00Z");
    // The same words in other places.
    assert_eq!(resolve("3am", "2026-11-21T02:57:00+05:45[Asia/Kathmandu]"), "2026-11-19T21:15:00Z");
    assert_eq!(resolve("14 aug", "2026-11-21T02:57:00-03:30[America/St_Johns]"), "2026-08-14T02:30:00Z");
}

proptest::proptest! {
    /// What is printed is read again as the same time; whatever is typed never panics.
    #[test]
    fn times_print_as_they_are_read(text in "[a-z0-9:+ -]{0,24}", known in proptest::sample::select(vec!["14 aug 3am", "fri 14:00", "yesterday", "-90m", "2h", "29 feb", "2025-01-02 3pm"])) {
        let _ = When::read(&text);
        let when = When::read(known).unwrap();
        proptest::prop_assert_eq!(When::read(&when.to_string()), Ok(when));
    }
}
