//! Small scripts that do what plugins do, and what they should not.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::*;

fn script(folder: &Path, body: &str) -> PathBuf {
    let path = folder.join("check");
    std::fs::write(&path, format!("#!/bin/sh\n{body}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn plugin(command: &[&str]) -> Plugin {
    Plugin { command: command.iter().map(|&a| a.to_owned()).collect(), env: BTreeMap::new() }
}

fn context(limit: u64) -> Context {
    super::super::test_context(limit)
}

async fn ran(body: &str) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let path = script(folder.path(), body);
    run(&plugin(&[path.to_str().unwrap()]), &context(20_000)).await
}

/// Waits until no process has this in its command line.
fn gone(mark: &str) -> bool {
    let deadline = Instant::now() + Duration::from_secs(10);
    while Instant::now() < deadline {
        let lives = std::fs::read_dir("/proc").unwrap().flatten().any(|entry| {
            // A zombie has an empty command line.
            std::fs::read(entry.path().join("cmdline")).is_ok_and(|line| String::from_utf8_lossy(&line).contains(mark))
        });
        if !lives {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}

#[tokio::test]
async fn exit_codes_text_details_and_numbers() {
    let outcome = ran("echo 'LOAD WARNING - 5 | load1=5.0;4;8'; echo 'more'; exit 1").await;
    assert_eq!((outcome.status, outcome.text.as_str(), outcome.details.as_str()), (Status::Warning, "LOAD WARNING - 5", "more"));
    assert_eq!((outcome.metrics[0].value, &*outcome.metrics[0].critical), (5.0, "8"));
    assert_eq!(ran("echo fine").await.status, Status::Ok);
    assert_eq!(ran("echo bad; exit 2").await.status, Status::Critical);
    assert_eq!(ran("echo who knows; exit 3").await.status, Status::Unknown);
    let outcome = ran("echo odd; exit 77").await;
    assert_eq!((outcome.status, outcome.text.as_str()), (Status::Unknown, "exit code 77 is none of 0 to 3: odd"));
}

#[tokio::test]
async fn c1_c3_arguments_never_meet_a_shell() {
    let folder = tempfile::tempdir().unwrap();
    let path = script(folder.path(), "for a in \"$@\"; do printf '[%s]' \"$a\"; done");
    let outcome = run(&plugin(&[path.to_str().unwrap(), "$(id)", "a;b", "two\nlines", "`x`", "&& c"]), &context(20_000)).await;
    assert_eq!((outcome.text.as_str(), outcome.details.as_str()), ("[$(id)][a;b][two", "lines][`x`][&& c]"));
}

#[tokio::test]
async fn the_environment_is_clean_and_standard_input_is_empty() {
    let outcome = ran("cat; echo \"${HOME-none} ${CARGO_MANIFEST_DIR-none} $LANG $PATH\"").await;
    assert_eq!(outcome.text, format!("none none C {PATH}"));
}

#[tokio::test]
async fn a_plugin_that_hangs_is_killed_with_its_children() {
    let folder = tempfile::tempdir().unwrap();
    let mark = format!("7331{}", std::process::id());
    let path = script(folder.path(), &format!("echo so far; sleep {mark} & sleep {mark}"));
    let begin = Instant::now();
    let outcome = run(&plugin(&[path.to_str().unwrap()]), &context(400)).await;
    assert!(begin.elapsed() < Duration::from_secs(5));
    assert_eq!(outcome.status, Status::Unknown);
    assert!(outcome.text.contains("did not finish within 400ms") && outcome.text.contains("timeout"), "{}", outcome.text);
    assert_eq!(outcome.details, "so far");
    assert!(gone(&mark));
}

#[tokio::test]
async fn a_plugin_that_is_dropped_midway_takes_its_children_along() {
    let folder = tempfile::tempdir().unwrap();
    let mark = format!("7332{}", std::process::id());
    let path = script(folder.path(), &format!("sleep {mark} & sleep {mark}"));
    let hangs = plugin(&[path.to_str().unwrap()]);
    assert!(tokio::time::timeout(Duration::from_millis(300), run(&hangs, &context(60_000))).await.is_err());
    assert!(gone(&mark));
}

#[tokio::test]
async fn a_child_left_behind_with_the_output_open_does_not_hold_up_the_check() {
    let mark = format!("7333{}", std::process::id());
    let begin = Instant::now();
    let outcome = ran(&format!("sleep {mark} & echo done; exit 0")).await;
    assert_eq!((outcome.status, outcome.text.as_str()), (Status::Ok, "done"));
    assert!(begin.elapsed() < Duration::from_secs(5));
    assert!(gone(&mark));
}

#[tokio::test]
async fn a_flood_is_stopped_long_before_the_time_is_over() {
    let begin = Instant::now();
    let outcome = ran("exec yes").await;
    assert_eq!(outcome.status, Status::Unknown);
    assert!(outcome.text.contains("printed more than 4 MiB"), "{}", outcome.text);
    assert!(begin.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn more_output_than_is_kept_does_not_block_the_plugin() {
    let outcome = ran("echo first; head -c 300000 /dev/zero | tr '\\0' 'x'; echo; exit 1").await;
    assert_eq!((outcome.status, outcome.text.as_str()), (Status::Warning, "first"));
    assert!(outcome.details.len() <= text::DETAILS + 32);
}

#[tokio::test]
async fn binary_output_becomes_harmless_text() {
    let outcome = ran("printf 'a\\377\\033[31mb\\007\\000c\\r\\n\\001\\002'; exit 2").await;
    assert_eq!((outcome.status, outcome.text.as_str()), (Status::Critical, "a\u{fffd}b\u{fffd}\u{fffd}c"));
    assert!(!outcome.details.chars().any(|c| c.is_control() && c != '\n'));
}

#[tokio::test]
async fn a_plugin_that_is_killed_or_silent_or_complains_is_described() {
    let outcome = ran("kill -SEGV $$").await;
    assert!(outcome.text.contains("killed by signal 11 (segmentation fault)"), "{}", outcome.text);
    assert!(ran("exit 0").await.text.ends_with("printed nothing"));
    let outcome = ran("echo 'no such host' >&2; exit 2").await;
    assert_eq!((outcome.status, outcome.text.as_str()), (Status::Critical, "no such host"));
    assert!(ran("/no/such/thing").await.text.starts_with("exit code 127"));
}

#[tokio::test]
async fn what_cannot_be_started_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let missing = run(&plugin(&["/usr/lib/nagios/plugins/check_moon"]), &context(1_000)).await;
    assert!(missing.text.contains("does not exist: install it"), "{}", missing.text);
    let plain = folder.path().join("plain");
    std::fs::write(&plain, "hello").unwrap();
    let denied = run(&plugin(&[plain.to_str().unwrap()]), &context(1_000)).await;
    assert!(denied.text.contains("chmod +x"), "{}", denied.text);
    std::fs::set_permissions(&plain, std::fs::Permissions::from_mode(0o755)).unwrap();
    let no_program = run(&plugin(&[plain.to_str().unwrap()]), &context(1_000)).await;
    assert!(no_program.text.contains("needs #!"), "{}", no_program.text);
}
