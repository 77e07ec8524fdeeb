//! One person with consoles on two machines, and a console that is quit and opened again.

use std::path::Path;
use std::process::Command;

use super::console::{Screen, fires};
use super::servers::Serve;

/// A machine of robin's, whose console knows the server.
fn machine(serve: &Serve) -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    let config = format!(
        "name = \"robin\"\naccept_new = true\n[servers.shore]\nurl = \"ws://127.0.0.1:{}\"\ntoken_file = \"{}\"\n",
        serve.port,
        serve.folder.join("console.token").display()
    );
    std::fs::write(home.path().join("console.toml"), config).unwrap();
    home
}

fn open(home: &Path, more: &[&str]) -> Screen {
    let config = home.join("console.toml").display().to_string();
    Screen::start(&[&["--config", &config], more].concat(), home)
}

fn new(text: &str) -> usize {
    text.lines().filter(|line| line.chars().nth(1) == Some('+') && line.contains("CRIT")).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_seen_on_one_machine_is_not_new_on_the_other_and_not_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Serve::start(folder.path()).await;
    let (desk, train) = (machine(&server), machine(&server));
    fires(&server, "shore/pump", "the pump is hot").await;
    let mut first = open(desk.path(), &[]);
    first.until("the alert", |text| text.contains("the pump is hot")).await;
    assert!(!first.text().contains("since you looked"), "nobody has looked yet:\n{}", first.text());
    first.press("M");
    first.until("that all is seen", |text| text.contains("all is seen")).await;

    // On the other machine, only what came since is new.
    fires(&server, "shore/valve", "the valve is open").await;
    let second = open(train.path(), &[]);
    second.until("what is new", |text| text.contains("since you looked a moment ago: 1 new, 1 still open") && new(text) == 1).await;
    first.until("the same", |text| new(text) == 1).await;
    first.press("M");
    second.until("that it was seen elsewhere", |text| text.contains("the valve is open") && new(text) == 0).await;
    second.quit().await;

    // Neither a restart of the server nor one of the console makes it new again.
    server.kill();
    server.again().await;
    first.until("the server again", |text| text.contains("shore answers again")).await;
    fires(&server, "shore/door", "the door is open").await;
    first.until("what is new", |text| text.contains("the door is open") && new(text) == 1).await;
    let third = open(train.path(), &[]);
    third.until("what is new", |text| text.contains("1 new, 2 still open") && new(text) == 1).await;
    drop((first, third));

    // The command line knows it too, and does not change it.
    let today = || {
        let output = Command::new(env!("CARGO_BIN_EXE_midwatch"))
            .args(["--config", &train.path().join("console.toml").display().to_string(), "today", "--since", "last-look"])
            .env_clear()
            .envs([("HOME", train.path().to_str().unwrap()), ("TZ", "UTC"), ("LC_ALL", "C.UTF-8")])
            .output()
            .unwrap();
        (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    for _ in 0..2 {
        let (said, wrong) = today();
        assert!(said.contains("the door is open") && said.contains("1 problem began"), "{said}{wrong}");
        assert!(wrong.is_empty(), "{wrong}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_console_opens_as_it_was_left_unless_it_is_told_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let server = Serve::start(folder.path()).await;
    let home = machine(&server);
    for name in ["pump", "valve", "door"] {
        fires(&server, &format!("shore/{name}"), &format!("the {name} is odd")).await;
    }
    let mut screen = open(home.path(), &[]);
    screen.until("the alerts", |text| text.contains("the door is odd")).await;
    screen.press("4:filter valve\r");
    screen.until("the one that matches", |text| text.contains("1 open of 3")).await;
    screen.quit().await;
    let screen = open(home.path(), &[]);
    screen.until("it as it was left", |text| text.contains("1 open of 3") && text.contains("the valve is odd")).await;
    // Killed, it is as the one before had left it.
    drop(screen);
    let screen = open(home.path(), &["--fresh"]);
    screen.until("the first pane", |text| text.contains("3 need you")).await;
    drop(screen);
    let sessions: Vec<_> = std::fs::read_dir(home.path().join(".local/state/midwatch/sessions")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(sessions.len(), 1);
    std::fs::write(&sessions[0], "{\"pane\": 7").unwrap();
    let screen = open(home.path(), &[]);
    screen.until("what is wrong", |text| text.contains("how this console was left cannot be read") && text.contains("3 need you")).await;
    screen.quit().await;
    let screen = open(home.path(), &[]);
    screen.until("the alerts", |text| text.contains("3 need you")).await;
    assert!(!screen.text().contains("cannot be read"), "said once:\n{}", screen.text());
}
