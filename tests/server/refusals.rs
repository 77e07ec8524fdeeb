//! Who gets in, who does not, and what they are told.

use std::sync::Arc;

use midwatch::server::Parts;
use tokio_tungstenite::tungstenite;

use crate::scene::{self, AGENT, CONSOLE, hear, hear_of, plain, port, say, serve};

fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}

const HELLO: &str = r#"{"hello":{"protocol":1,"role":"console","name":"kim"}}"#;

#[tokio::test]
async fn a_plain_websocket_speaks_json() {
    let server = serve(Arc::new(scene::memory()), |_| {}).await;
    let mut socket = plain(&port(&server), &[("authorization", &bearer(CONSOLE))]).await.unwrap();
    say(&mut socket, HELLO).await;
    let welcome = hear_of(&mut socket, "welcome").await;
    assert_eq!(welcome["name"], "shop");
    say(&mut socket, r#"{"subscribe":{"history":5}}"#).await;
    let snapshot = hear_of(&mut socket, "snapshot").await;
    assert_eq!(snapshot["why"], "first");
    assert_eq!(snapshot["events"][0]["kind"], "server.started", "{snapshot}");
    say(&mut socket, r#"{"do":{"id":"000102030405060708090a0b0c0d0e0f","by":"kim","made":"2026-11-21T03:00:00Z","intent":{"note-system":{"system":"shop/varnish","text":"by hand"}}}}"#).await;
    let (mut batch, mut answer) = (None, None);
    while batch.is_none() || answer.is_none() {
        let said = hear(&mut socket).await;
        batch = batch.or(said.get("batch").filter(|batch| batch["events"][0].is_object()).cloned());
        answer = answer.or(said.get("answer").cloned());
    }
    assert_eq!(batch.unwrap()["events"][0]["text"], "by hand");
    assert!(answer.unwrap()["result"]["done"][0].is_string());
}

#[tokio::test]
async fn a_filter_leaves_out_events_and_claims_their_range() {
    let server = serve(Arc::new(scene::memory()), |_| {}).await;
    let mut socket = plain(&port(&server), &[("authorization", &bearer(CONSOLE))]).await.unwrap();
    say(&mut socket, HELLO).await;
    say(&mut socket, r#"{"subscribe":{"filter":"severity:("}}"#).await;
    assert_eq!(hear_of(&mut socket, "problem").await["code"], "invalid");
    say(&mut socket, r#"{"subscribe":{"filter":"varnish"}}"#).await;
    let head = hear_of(&mut socket, "snapshot").await["head"].as_u64().unwrap();
    for text in ["nothing to see", "varnish is slow", "nothing again"] {
        server.core.write(midwatch::server::Input::Request(scene::note(text))).await.unwrap();
    }
    let (mut texts, mut to) = (Vec::new(), head);
    while to < head + 3 {
        let batch = hear_of(&mut socket, "batch").await;
        assert_eq!(batch["from"].as_u64(), Some(to), "without a gap");
        to = batch["to"].as_u64().unwrap();
        texts.extend(batch["events"].as_array().unwrap().iter().map(|event| event["text"].as_str().unwrap().to_owned()));
    }
    assert_eq!(texts, ["varnish is slow"]);
}

#[tokio::test]
async fn a3_the_pattern_of_a_route_is_no_way_round_its_guard() {
    let server = serve(Arc::new(scene::memory()), |_| {}).await;
    let address = port(&server);
    for path in [
        "/api/v2/silence/{id}",
        "/api/v2/silence/%7Bid%7D",
        "/api/v2/silence/:id",
        "/api/v2/silence/*",
        "/api/v2/{x}",
        "/api//v2/alerts",
        "/api/v2/alerts/",
        "/api/v2/../v2/alerts",
        "/healthz/../metrics",
        "/healthz/../api/v2/alerts",
        "/-/healthy/../../api/v2/alerts",
        "/API/v2/alerts",
        "/metrics/",
        "/metrics?/healthz",
    ] {
        let (status, body) = get(&address, path, None).await;
        assert!(status == 401 || status == 404, "{path}: {status} {body}");
    }
}

#[tokio::test]
async fn n4_nothing_but_health_pages_without_a_token() {
    let server = serve(Arc::new(scene::memory()), |_| {}).await;
    let address = port(&server);
    // A wrong token ends at the HTTP request, a missing one at the hello; one for something else too.
    let Err(tungstenite::Error::Http(response)) = plain(&address, &[("authorization", &bearer("wrong-token-wrong-token"))]).await else { panic!("let in") };
    assert_eq!(response.status(), 401);
    for headers in [vec![], vec![("authorization", bearer(AGENT))]] {
        let headers: Vec<(&'static str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let mut socket = plain(&address, &headers).await.unwrap();
        say(&mut socket, HELLO).await;
        assert_eq!(hear_of(&mut socket, "problem").await["code"], "unauthorized");
    }
    // In the hello, for those who cannot set headers.
    let mut socket = plain(&address, &[]).await.unwrap();
    say(&mut socket, &HELLO.replace("\"name\"", &format!("\"token\":\"{CONSOLE}\",\"name\""))).await;
    hear_of(&mut socket, "welcome").await;
    for (path, token, status) in
        [("/healthz", None, 200), ("/readyz", None, 200), ("/metrics", None, 401), ("/metrics", Some("x"), 401), ("/metrics", Some(scene::INTAKE), 200)]
    {
        assert_eq!(get(&address, path, token).await.0, status, "{path} {token:?}");
    }
    let (_, metrics) = get(&address, "/metrics", Some(CONSOLE)).await;
    for name in [
        "midwatch_log_head",
        "midwatch_events_appended_total",
        "midwatch_append_queue",
        "midwatch_subscribers",
        "midwatch_lag_seconds",
        "midwatch_index_backlog",
    ] {
        assert!(metrics.lines().any(|line| line.starts_with(name)), "{name} in {metrics}");
    }
}

async fn get(address: &str, path: &str, token: Option<&str>) -> (u16, String) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let token = token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
    stream.write_all(format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n{token}connection: close\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer)
}

#[tokio::test]
async fn n3_a_page_in_a_browser_is_refused() {
    let server = serve(Arc::new(scene::memory()), |_| {}).await;
    let address = port(&server);
    let token = bearer(CONSOLE);
    for origin in ["http://evil.example", "null", "http://localhost:1"] {
        let Err(tungstenite::Error::Http(response)) = plain(&address, &[("authorization", &token), ("origin", origin)]).await else {
            panic!("{origin} let in")
        };
        assert_eq!(response.status(), 403);
    }
    assert!(plain(&address, &[("authorization", &token), ("origin", &format!("http://{address}"))]).await.is_ok());
}

#[tokio::test]
async fn another_sub_protocol_is_refused() {
    let server = serve(Arc::new(scene::memory()), |_| {}).await;
    let answer = plain(&port(&server), &[("sec-websocket-protocol", "midwatch.v9")]).await;
    assert!(matches!(answer, Err(tungstenite::Error::Http(response)) if response.status() == 400));
}

#[tokio::test]
async fn an_agent_speaks_for_itself_alone() {
    let server = serve(Arc::new(scene::memory()), |_| {}).await;
    let mut socket = plain(&port(&server), &[("authorization", &bearer(AGENT))]).await.unwrap();
    say(&mut socket, r#"{"hello":{"protocol":1,"role":"agent","name":"web-1"}}"#).await;
    hear_of(&mut socket, "welcome").await;
    let agent = |id: u32, name: &str| {
        format!(
            r#"{{"agent":{{"id":{id},"hello":{{"agent":"{name}","system":"shop/web-1","version":"1","keepalive":"10s","checks":["disk"],"facts":{{}}}}}}}}"#
        )
    };
    say(&mut socket, &agent(1, "web-1")).await;
    assert_eq!(hear_of(&mut socket, "ack").await, serde_json::json!({"id": 1}));
    say(&mut socket, &agent(2, "web-2")).await;
    assert_eq!(hear_of(&mut socket, "ack").await["refused"]["code"], "forbidden");
    say(&mut socket, r#"{"subscribe":{}}"#).await;
    assert_eq!(hear_of(&mut socket, "problem").await["code"], "forbidden");
    say(
        &mut socket,
        r#"{"observe":{"id":3,"observations":[{"agent":"web-1","check":"disk","system":"shop/web-1","at":"2026-11-21T03:00:00Z","status":"critical","text":"disk 97 %","every":"10s","attempts":1}]}}"#,
    )
    .await;
    assert_eq!(hear_of(&mut socket, "ack").await, serde_json::json!({"id": 3}));
    let world = scene::world(&server).await;
    assert_eq!(world.open.len(), 1, "the observation opened an alert, durably, before it was acknowledged");
}

#[derive(Clone, Default)]
struct Lines(Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_wrong_token_in_the_hello_leaves_a_line_in_the_log_without_it() {
    // One thread runs test and server: what it logs comes here.
    let lines = Lines::default();
    let to = lines.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || to.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let server = serve(Arc::new(scene::memory()), |_| {}).await;
    for _ in 0..3 {
        let mut socket = plain(&port(&server), &[("user-agent", "old-console")]).await.unwrap();
        say(&mut socket, &HELLO.replace("\"name\"", "\"token\":\"sEcReT-of-somebody\",\"name\"")).await;
        let problem = hear_of(&mut socket, "problem").await;
        assert!(problem["words"].as_str().unwrap().contains("this token opens nothing here"), "{problem}");
    }
    let log = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    let refused: Vec<&str> = log.lines().filter(|line| line.contains("a request was refused")).collect();
    assert_eq!(refused.len(), 1, "one line in half a minute: {log}");
    for part in ["127.0.0.1:", "old-console", "hello", "401", "this token opens nothing here"] {
        assert!(refused[0].contains(part), "{part} in {}", refused[0]);
    }
    assert!(!log.contains("sEcReT"), "{log}");
}

fn intake(parts: &mut Parts) {
    parts.intakes = vec![midwatch::server::intake::Token::new("test", scene::INTAKE)];
}

#[tokio::test]
async fn who_may_not_push_is_not_told_how_much_may_be_pushed() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let server = serve(Arc::new(scene::memory()), intake).await;
    let address = port(&server);
    for (token, status) in [("wrong", "401"), (scene::INTAKE, "413")] {
        let mut stream = tokio::net::TcpStream::connect(&address).await.unwrap();
        let head =
            format!("POST /api/v2/alerts HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-length: 999999999\r\nconnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        let answer = String::from_utf8(answer).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
        assert_eq!(answer.contains("larger than"), status == "413", "{answer}");
    }
}

#[tokio::test]
async fn an_answer_repeats_no_character_that_turns_the_terminal_around() {
    let server = serve(Arc::new(scene::memory()), intake).await;
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    for (path, body) in [("/api/v2/alerts?active=may%E2%80%AEbe", None), ("/api/v1/events", Some(r#"{"title":"t","severity":"lo\u202eud\u001b[2J"}"#))] {
        let url = format!("http://{}{path}", port(&server));
        let request = match body {
            Some(body) => http.post(url).body(body),
            None => http.get(url),
        };
        let answer = request.bearer_auth(scene::INTAKE).send().await.unwrap();
        assert_eq!(answer.status(), 400);
        let words = answer.text().await.unwrap();
        let said: serde_json::Value = serde_json::from_str(&words).unwrap();
        assert!(!said.to_string().contains(['\u{202e}', '\u{1b}']), "{words}");
        assert!(!words.contains(['\u{202e}', '\u{1b}']), "{words}");
    }
}
