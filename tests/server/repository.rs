//! Commits of a Git repository, through a whole server on disk: told once over its lives, and suspects for what follows.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use midwatch::client::Address;
use midwatch::model::event::{Event, Kind};
use midwatch::server::config::Config;
use midwatch::server::{Listen, Listener, Parts, Running, Server};
use midwatch::store::{Log, SqliteLog};
use midwatch::wire::EventBytes;

use crate::scene::{self, Console, port};

fn git(folder: &Path, arguments: &[&str]) {
    let mut command = Command::new("git");
    command.current_dir(folder).env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1").args(["-c", "user.name=Sam", "-c", "user.email=s@x"]);
    let ran = command.args(arguments).output().expect("the program git is missing (Debian: git)");
    assert!(ran.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
}

async fn serve(data: &Path, repository: &str) -> Running {
    let text = format!(
        "name = \"shop\"\nlisten = \"127.0.0.1:0\"\ndata = \"{}\"\n[[system]]\nid = \"shop\"\n[[repository]]\nname = \"shop\"\nsystem = \"shop\"\ninterval = \"5s\"\n{repository}\n",
        data.display()
    );
    Server::open(&Config::parse(&text, "server.toml").unwrap()).await.unwrap().spawn()
}

async fn changes(server: &Running) -> Vec<String> {
    server.core.read(|primary| primary.world.all_changes().map(|deed| deed.title.to_string()).collect()).await.unwrap()
}

async fn until_changes(server: &Running, titles: &[&str]) {
    let begun = Instant::now();
    while changes(server).await != titles {
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?}, and not {titles:?}", changes(server).await);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn commits_are_told_once_over_every_life_of_the_server() {
    let (work, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    git(work.path(), &["init", "--quiet", "--initial-branch=main", "."]);
    git(work.path(), &["commit", "--quiet", "--allow-empty", "-m", "one"]);
    for (place, new) in [("path", "two"), ("url", "three"), ("url", "four")] {
        let address = if place == "url" { format!("file://{}", work.path().display()) } else { work.path().display().to_string() };
        let server = serve(data.path(), &format!("{place} = \"{address}\"")).await;
        git(work.path(), &["commit", "--quiet", "--allow-empty", "-m", new]);
        let known: Vec<&str> = ["one", "two", "three", "four"].into_iter().take_while(|title| *title != new).chain([new]).collect();
        until_changes(&server, &known).await;
        server.stop().await;
    }
    let incarnation = midwatch::model::id::Incarnation(u64::MAX >> 2);
    let origin = midwatch::trust::ServerKey::load_or_create(&data.path().join("server.key")).unwrap().origin();
    let log = SqliteLog::open(data.path(), origin, incarnation).unwrap();
    let rows = log.range(log.head().base, log.head().sequence, usize::MAX, usize::MAX).await.unwrap();
    let events: Vec<Event> = rows.into_iter().map(|row| EventBytes(row.bytes).decode().unwrap()).collect();
    let told: Vec<&str> = events.iter().filter(|event| matches!(event.kind, Kind::Change(_))).map(|event| &*event.title).collect();
    assert_eq!(told, ["one", "two", "three", "four"]);
}

#[tokio::test]
async fn a_repository_that_cannot_be_read_is_said_by_the_server() {
    let config =
        "name = \"shop\"\n[[system]]\nid = \"shop\"\n[[repository]]\nname = \"front\"\nsystem = \"shop\"\ninterval = \"5s\"\npath = \"/nowhere/at/all\"\n";
    let listener = Listener::bind(&Listen::Tcp("127.0.0.1:0".parse().unwrap())).await.unwrap();
    let mut parts = Parts::new(std::sync::Arc::new(midwatch::link::SystemClock), std::sync::Arc::new(scene::memory()), listener, scene::tokens());
    parts.health_every = Duration::from_millis(20);
    parts.health = midwatch::model::health::Limits { failures: 1, ..Default::default() };
    let server = Server::bind(&Config::parse(config, "server.toml").unwrap(), parts).await.unwrap().spawn();
    let mut console = Console::to(Address::Tcp(port(&server)), None);
    let words =
        |console: &Console| console.replica.health.iter().flat_map(|health| health.wrong.iter().map(|wrong| wrong.what.to_string())).collect::<Vec<_>>();
    console.until("it is said", |console| words(console) == ["front has never been read: there is no such folder, or the server's user may not read it"]).await;
}
