//! Verbs and questions against a server that runs, and against what it left.

use serde_json::Value;

use super::home::{Home, until};

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

#[test]
fn a_pipeline_records_a_change_and_the_timeline_has_it() {
    let home = Home::new();
    let server = home.serve();
    home.ok(&["change", "--system", "shop", "deploy 4f3a2c", "--link", "https://ci.example.org/412", "--revision", "4f3a2c"]);
    let events = lines(&home.ok(&["events", "--json", "kind:change"]));
    assert_eq!(events.len(), 1);
    assert_eq!((&events[0]["title"], &events[0]["system"], &events[0]["actor"]), (&Value::from("deploy 4f3a2c"), &"shop".into(), &"user:robin".into()));
    assert_eq!(events[0]["data"]["version"], "4f3a2c");
    assert_eq!(events[0]["links"][0]["url"], "https://ci.example.org/412");
    assert_eq!(home.ok(&["events", "--count", "kind:change"]).trim(), "1");
    assert!(home.ok(&["today", "--system", "shop"]).contains("deploy 4f3a2c"));
    server.stop();
    // What it left is read from the disk, and its age is said.
    let ran = home.run(&["events", "--json", "kind:change"]);
    assert_eq!((ran.code, lines(&ran.out)), (0, events), "{}", ran.err);
    assert!(ran.err.contains("no server runs here") && ran.err.contains("ago"), "{}", ran.err);
    let ran = home.run(&["change", "--system", "shop", "again"]);
    assert_eq!(ran.code, 3, "{ran:?}");
}

#[test]
fn everything_as_it_was_then_and_a_refusal_that_says_how_far_back_that_is_known() {
    let home = Home::new();
    let server = home.serve();
    home.ok(&["change", "--system", "shop", "deploy 4f3a2c"]);
    let then = lines(&home.ok(&["events", "--json", "kind:change"]))[0]["recorded"].as_str().unwrap().to_owned();
    home.ok(&["change", "--system", "shop", "deploy 5b1d70"]);
    let today = home.ok(&["--at", &then, "today", "--since", "1h"]);
    // The moment's own events count; what came after it does not.
    assert!(!today.contains("5b1d70") && home.ok(&["today", "--since", "1h"]).contains("5b1d70"), "{today}");
    assert!(home.ok(&["--at", &then, "systems"]).contains("shop"));
    let ran = home.run(&["--at", "-2h", "now"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.err.contains("knows its past from") && !ran.out.contains("nothing needs you"), "{ran:?}");
    let ran = home.run(&["--at", "soonish", "now"]);
    assert!(ran.code == 2 && ran.err.contains("soonish"), "{ran:?}");
    let ran = home.run(&["--at", "-1s", "change", "--system", "a", "b"]);
    assert!(ran.code == 2 && ran.err.contains("not for this subcommand"), "{ran:?}");
    server.stop();
    // The same from the disk.
    assert!(home.ok(&["--at", &then, "systems"]).contains("shop"));
    assert_eq!(home.run(&["--at", "-2h", "now"]).code, 1);
}

#[test]
fn read_only_refuses_before_anything_is_asked() {
    let home = Home::new();
    for args in [&["change", "--system", "a", "b"] as &[&str], &["ack", "deadbeef"], &["note", "system", "a", "b"], &["resolve", "x", "--all"]] {
        let ran = home.run(&[&["--read-only"], args].concat());
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(ran.err.contains("--read-only"), "{ran:?}");
    }
}

#[test]
fn an_alert_is_acknowledged_assigned_noted_snoozed_and_resolved_by_its_id() {
    let home = Home::new();
    let _server = home.serve();
    let config = home.path().join("agent.toml");
    let sock = home.embedded().join("server.sock");
    let missing = home.path().join("missing");
    std::fs::write(
        &config,
        format!(
            "[agent]\nname = \"web-1\"\nsystem = \"shop\"\nserver = \"unix:{}\"\n[[check]]\nname = \"heartbeat\"\nkind = \"file\"\npath = {:?}\ninterval = \"1s\"\nattempts = 1\n",
            sock.display(),
            missing.display().to_string()
        ),
    )
    .unwrap();
    let check = home.run(&["config", "check", config.to_str().unwrap()]);
    assert_eq!(check.code, 0, "{check:?}");
    let mut agent = home.command(&["agent", "--config", config.to_str().unwrap()]).stderr(std::process::Stdio::null()).spawn().unwrap();
    until("the alert opens", || home.ok(&["alerts", "--count", "system:shop"]).trim() != "0");
    agent.kill().unwrap();
    agent.wait().unwrap();
    let alert = lines(&home.ok(&["alerts", "--json", "heartbeat"])).remove(0);
    assert_eq!((&alert["system"], &alert["check"], &alert["acknowledged"]), (&Value::from("shop"), &"heartbeat".into(), &false.into()));
    let id = &alert["alert"].as_str().unwrap()[..8];
    let now = || lines(&home.ok(&["alerts", "--json", "heartbeat"])).remove(0);

    assert!(home.ok(&["ack", id, "--dry-run"]).contains("would be acknowledged"));
    assert_eq!(now()["acknowledged"], false);
    home.ok(&["ack", id, "--note", "restarting it"]);
    assert_eq!((&now()["acknowledged"], &now()["somebody"]), (&true.into(), &"robin".into()));
    home.ok(&["ack", id, "--undo"]);
    assert_eq!(now()["acknowledged"], false);
    home.ok(&["assign", id, "--to", "kim"]);
    assert_eq!(now()["somebody"], "kim");
    home.ok(&["note", "alert", id, "only after the nightly import"]);
    home.ok(&["snooze", id, "--for", "2h"]);
    assert_eq!(now()["asks"], "later");
    assert!(home.ok(&["events", "--json", "kind:note"]).contains("only after the nightly import"));
    home.ok(&["resolve", id, "--note", "gone"]);
    assert_eq!(home.ok(&["alerts", "--count", "heartbeat"]).trim(), "0");
    let again = home.run(&["ack", id]);
    assert_eq!(again.code, 1, "{again:?}");
}

#[test]
fn a_log_is_exported_imported_backed_up_and_restored() {
    let home = Home::new();
    let server = home.serve();
    home.ok(&["change", "--system", "shop", "one"]);
    home.ok(&["note", "system", "shop", "two"]);
    let at = |name: &str| home.path().join(name).display().to_string();
    // Both while it runs.
    home.ok(&["export", "--to", &at("all.jsonl")]);
    home.ok(&["backup", &at("all.db")]);
    home.ok(&["change", "--system", "shop", "three"]);
    server.stop();
    home.ok(&["import", "--data", &at("new"), &at("all.jsonl")]);
    let export = home.ok(&["export", "--data", &at("new")]);
    let titles: Vec<Value> = lines(&export).iter().filter(|event| event["system"] == "shop").map(|event| event["title"].clone()).collect();
    assert_eq!(titles, ["one", "two"]);
    home.ok(&["restore", &at("all.db")]);
    assert_eq!(home.ok(&["events", "--count", "system:shop"]).trim(), "2");
    // The same export beside everything, without a server.
    assert_eq!(home.ok(&["events", "--count", "system:shop", "--file", &at("all.jsonl")]).trim(), "2");
}

#[test]
fn an_import_again_adds_nothing_goes_on_where_it_stopped_and_refuses_another_servers_events() {
    let home = Home::new();
    let at = |name: &str| home.path().join(name).display().to_string();
    let server = home.serve();
    home.ok(&["change", "--system", "shop", "one"]);
    home.ok(&["note", "system", "shop", "two"]);
    home.ok(&["export", "--to", &at("short.jsonl")]);
    home.ok(&["change", "--system", "shop", "three"]);
    home.ok(&["export", "--to", &at("long.jsonl")]);
    server.stop();
    let count = |file: &str| std::fs::read_to_string(at(file)).unwrap().lines().count();
    let import = |file: &str| home.run(&["import", "--data", &at("new"), &at(file)]);
    let exported = || home.ok(&["export", "--data", &at("new")]);
    assert_eq!(import("short.jsonl").code, 0);
    let before = exported();
    let again = import("short.jsonl");
    assert!(again.code == 0 && again.err.contains(&format!("all of it already: {} events", count("short.jsonl"))), "{again:?}");
    assert_eq!(exported(), before, "imported twice is imported once");
    let more = import("long.jsonl");
    let added = count("long.jsonl") - count("short.jsonl");
    assert!(more.code == 0 && more.err.contains(&format!("holds {added} event")), "{more:?}");
    assert!(exported().contains("three"));
    // Another server's log: a home of its own.
    let other = Home::new();
    let server = other.serve();
    other.ok(&["change", "--system", "club", "four"]);
    other.ok(&["export", "--to", &at("other.jsonl")]);
    server.stop();
    let (before, refused) = (exported(), import("other.jsonl"));
    let words = format!("holds {} events of its own: 0 of the import are among them, {} are not. Nothing was added", count("long.jsonl"), count("other.jsonl"));
    assert!(refused.code == 1 && refused.err.contains(&words) && refused.err.contains("import into an empty folder"), "{refused:?}");
    assert_eq!(exported(), before);
}

#[test]
fn a_remote_servers_export_is_what_its_own_folder_gives() {
    let home = Home::new();
    let server = home.serve();
    for number in 0..30 {
        home.ok(&["change", "--system", "shop", &format!("deploy {number}")]);
    }
    let socket = format!("unix:{}", home.embedded().join("server.sock").display());
    let remote = home.run(&["export", "--server", &socket]);
    assert_eq!(remote.code, 0, "{remote:?}");
    assert_eq!(remote.out, home.ok(&["export"]));
    assert!(remote.err.contains(&format!("{} events of", remote.out.lines().count())), "{}", remote.err);
    server.stop();
    let ran = home.run(&["export", "--server", &socket]);
    assert_eq!(ran.code, 3, "{ran:?}");
    let two = home.run(&["export", "--server", &socket, "--server", "unix:/x"]);
    assert!(two.code == 2 && two.err.contains("an export is of one server"), "{two:?}");
}

#[test]
fn what_happened_is_told_from_the_disk_when_no_server_runs() {
    let home = Home::new();
    let server = home.serve();
    home.ok(&["change", "--system", "shop", "deploy 4f3a2c"]);
    server.stop();
    let log = home.embedded().join("events.db");
    let before = std::fs::read(&log).unwrap();
    let ran = home.run(&["today"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.out.contains("deploy 4f3a2c"), "{ran:?}");
    assert!(ran.err.contains("no server runs here; this is what") && ran.err.contains(" ago"), "{ran:?}");
    assert_eq!(std::fs::read(&log).unwrap(), before, "only read");
    // Nothing was ever watched: words, and no claim that all was quiet.
    let nobody = Home::new().run(&["today"]);
    assert!(nobody.code == 3 && nobody.err.contains("nothing is known yet"), "{nobody:?}");
}

#[test]
fn follow_prints_what_happens_once() {
    use std::io::BufRead;
    let home = Home::new();
    let _server = home.serve();
    home.ok(&["change", "--system", "shop", "before"]);
    let mut child = home.command(&["events", "kind:change", "--follow", "--json"]).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut out = std::io::BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(out.next().unwrap().unwrap().contains("\"before\""));
    home.ok(&["change", "--system", "shop", "after"]);
    assert!(out.next().unwrap().unwrap().contains("\"after\""));
    home.ok(&["change", "--system", "shop", "last"]);
    assert!(out.next().unwrap().unwrap().contains("\"last\""));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn alerts_takes_a_saved_view() {
    let home = Home::new();
    let _serving = home.serve();
    let folder = home.path().join(".config/midwatch");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("views.toml"), "[night]\nfilter = \"severity:critical\"\n[late]\npane = \"timeline\"\n").unwrap();
    assert_eq!(home.ok(&["alerts", "--view", "night", "--count"]).trim(), "0");
    let ran = home.run(&["alerts", "--view", "nigth"]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("no view is called `nigth`") && ran.err.contains("Did you mean `night`?"), "{ran:?}");
    assert!(home.run(&["alerts", "--view", "late"]).err.contains("one of Timeline, not of alerts"));
}
