//! The console away from its servers: what it heard before stands in the first frame with its age; what is
//! asked for is kept, sent once, and survives whatever ends the console.

use std::path::PathBuf;

use rustix::process::Signal;

use super::first::{Console, configure};
use super::home::{Home, Serving, signal, until};

/// A server called `night` with one open alert, of `till/web`.
fn night(home: &Home) -> Serving {
    let server = home.serve();
    configure(home, &format!("[servers.night]\nurl = \"unix:{}\"\n", home.embedded().join("server.sock").display()));
    let config = home.path().join("agent.toml");
    let text = format!(
        "[agent]\nname = \"web-1\"\nsystem = \"till/web\"\nkeepalive = \"1h\"\nserver = \"unix:{}\"\n[[check]]\nname = \"heartbeat\"\nkind = \"file\"\npath = {:?}\ninterval = \"1h\"\nattempts = 1\n",
        home.embedded().join("server.sock").display(),
        home.path().join("missing").display().to_string()
    );
    std::fs::write(&config, text).unwrap();
    let mut agent = home.command(&["agent", "--config", config.to_str().unwrap()]).stderr(std::process::Stdio::null()).spawn().unwrap();
    until("the alert opens", || home.ok(&["alerts", "--count", "system:till/**"]).trim() == "1");
    agent.kill().unwrap();
    agent.wait().unwrap();
    server
}

fn outbox(home: &Home) -> PathBuf {
    home.path().join(".local/state/midwatch/outbox/night")
}

fn waiting(home: &Home) -> usize {
    std::fs::read_dir(outbox(home))
        .map_or(0, |folder| folder.filter(|entry| entry.as_ref().unwrap().path().extension().is_some_and(|end| end == "json")).count())
}

fn acknowledged(home: &Home) -> String {
    home.ok(&["events", "--count", "kind:alert.acknowledged"]).trim().to_owned()
}

#[test]
fn what_was_heard_stands_in_the_first_frame_with_its_age_and_is_never_green() {
    let home = Home::new();
    let server = night(&home);
    let console = Console::open(&home, &[]);
    until("the row is there", || console.shows("till/web"));
    console.quit();
    server.stop();
    let console = Console::open(&home, &[]);
    until("a frame stands", || console.shows("Servers"));
    until("the first frame has the row", || console.shows("till/web"));
    until("and its age", || console.shows("as last heard"));
    assert!(!console.screen().contains("● night"), "{}", console.screen());
    // A second console of the same user does no harm to the first, nor to what is kept.
    let second = Console::open(&home, &[]);
    until("the second has it too", || second.shows("till/web"));
    second.kill();
    console.quit();
    // The server comes back: the stream goes on from where it was, and all is live.
    let _server = home.serve();
    let console = Console::open(&home, &[]);
    until("it is live", || console.shows("● night") && console.shows("till/web"));
    console.quit();
}

#[test]
fn what_is_asked_offline_survives_kill_9_stands_as_unsent_and_is_done_once() {
    let home = Home::new();
    let server = night(&home);
    let console = Console::open(&home, &[]);
    until("the row is live", || console.shows("till/web") && console.shows("● night"));
    console.quit();
    server.stop();
    let mut console = Console::open(&home, &[]);
    until("the row is there", || console.shows("till/web"));
    console.keys("a");
    until("it stands as unsent", || console.shows("unsent"));
    until("and is on the disk", || waiting(&home) == 1);
    console.kill();
    let console = Console::open(&home, &[]);
    until("still unsent after the next start", || console.shows("1 unsent"));
    let _server = home.serve();
    until("it is done", || acknowledged(&home) == "1");
    until("and answered", || waiting(&home) == 0 && !console.shows("unsent"));
    console.quit();
    assert_eq!(acknowledged(&home), "1");
}

#[test]
fn a_console_that_is_killed_between_sending_and_the_answer_asks_again_and_it_is_done_once() {
    let home = Home::new();
    let server = night(&home);
    let mut console = Console::open(&home, &[]);
    until("the row is live", || console.shows("till/web") && console.shows("● night"));
    // The server is there and says nothing.
    signal(server.id(), Signal::STOP);
    console.keys("a");
    until("it is sent and not answered", || console.shows("1 pending") && waiting(&home) == 1);
    console.kill();
    // Whether it has read and done it or not, nobody heard an answer; what it has done it does not forget.
    signal(server.id(), Signal::CONT);
    assert_eq!(waiting(&home), 1);
    server.stop();
    let _server = home.serve();
    let console = Console::open(&home, &[]);
    until("it was asked again, and answered", || waiting(&home) == 0);
    console.quit();
    assert_eq!(acknowledged(&home), "1");
}
