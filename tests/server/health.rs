//! Whether a server itself is well: real causes, and what a console hears of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use midwatch::client::Address;
use midwatch::model::health::{Limits, Room};
use midwatch::server::config::Config;
use midwatch::server::{Listen, Listener, Parts, Server};

use crate::scene::{self, CONSOLE, Console, hear, hear_of, plain, port, say, serve};

/// The words of what is wrong, as the console knows it.
fn wrong(console: &Console) -> Vec<String> {
    console.replica.health.iter().flat_map(|health| health.wrong.iter().map(|wrong| wrong.word.to_string())).collect()
}

#[tokio::test]
async fn room_that_runs_out_is_said_when_it_does_and_when_there_is_some_again() {
    let free = Arc::new(AtomicU64::new(50 << 30));
    let left = free.clone();
    let server = serve(Arc::new(scene::memory()), |parts| {
        parts.health_every = Duration::from_millis(20);
        parts.disk = Arc::new(move || Some(Room { free: left.load(Ordering::Relaxed), total: 100 << 30 }));
    })
    .await;
    let mut console = Console::to(Address::Tcp(port(&server)), None);
    console.until("the snapshot came", |console| console.replica.world.is_some()).await;
    let health = console.replica.health.clone().expect("health comes before the snapshot");
    assert!(health.wrong.is_empty() && health.numbers.disk == Some(Room { free: 50 << 30, total: 100 << 30 }), "{health:?}");
    free.store(200 << 20, Ordering::Relaxed);
    console.until("it is said", |console| wrong(console) == ["disk"]).await;
    let said = console.replica.health.as_ref().unwrap().wrong[0].clone();
    assert_eq!(&*said.what, "200 MiB of 100 GiB are free where the log is");
    assert!(said.advice.contains("[retention]"), "{said:?}");
    free.store(50 << 30, Ordering::Relaxed);
    console.until("it is well again", |console| wrong(console).is_empty()).await;
}

#[tokio::test]
async fn a_source_that_cannot_be_reached_is_named_with_its_words() {
    // A port that nobody listens on.
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = Config::parse(&format!("name = \"shop\"\n[[source]]\nkind = \"prometheus\"\nurl = \"http://{closed}\"\n"), "server.toml").unwrap();
    let listener = Listener::bind(&Listen::Tcp("127.0.0.1:0".parse().unwrap())).await.unwrap();
    let mut parts = Parts::new(Arc::new(midwatch::link::SystemClock), Arc::new(scene::memory()), listener, scene::tokens());
    parts.pace = scene::pace();
    parts.health_every = Duration::from_millis(20);
    parts.health = Limits { failures: 1, ..Limits::default() };
    let server = Server::bind(&config, parts).await.unwrap().spawn();
    let mut console = Console::to(Address::Tcp(port(&server)), None);
    console.until("the source is named", |console| wrong(console) == ["source"]).await;
    let health = console.replica.health.clone().unwrap();
    assert!(health.wrong[0].what.contains("has never answered") && health.wrong[0].what.contains(&closed.port().to_string()), "{:?}", health.wrong);
    assert_eq!(health.numbers.sources.len(), 1);
}

#[tokio::test]
async fn pushes_that_are_refused_are_said_without_their_token() {
    let server = serve(Arc::new(scene::memory()), |parts| parts.health_every = Duration::from_millis(20)).await;
    let mut console = Console::to(Address::Tcp(port(&server)), None);
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    for _ in 0..3 {
        let sent = http.post(format!("http://{}/api/v2/alerts", port(&server))).bearer_auth("sEcReT-of-somebody").body("[]").send().await.unwrap();
        assert_eq!(sent.status(), 401);
    }
    console.until("they are said", |console| wrong(console) == ["pushes refused"]).await;
    let said = format!("{:?}", console.replica.health);
    assert!(said.contains("POST /api/v2/alerts: this token is not one of the intakes'"), "{said}");
    assert!(!said.contains("sEcReT"), "{said}");
}

#[tokio::test]
async fn those_who_did_not_ask_are_told_nothing_of_it() {
    let server = serve(Arc::new(scene::memory()), |parts| parts.health_every = Duration::from_millis(5)).await;
    for (ask, told) in [("{\"subscribe\":{}}", false), ("{\"subscribe\":{\"health\":true}}", true)] {
        let mut socket = plain(&port(&server), &[("authorization", &format!("Bearer {CONSOLE}"))]).await.unwrap();
        say(&mut socket, r#"{"hello":{"protocol":1,"role":"console","name":"kim"}}"#).await;
        hear_of(&mut socket, "welcome").await;
        say(&mut socket, ask).await;
        let first = hear(&mut socket).await;
        assert_eq!(first.get("health").is_some(), told, "{first}");
        assert_eq!(first.get("snapshot").is_some(), !told, "{first}");
    }
}
