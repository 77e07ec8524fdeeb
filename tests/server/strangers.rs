//! How much those may take of whom nothing is known, and those of whom something is: by address, by key.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use midwatch::link::dial::Dialling;
use midwatch::link::{Conversation, Dial, Io, TcpDial};
use midwatch::server::line::Via;
use midwatch::server::{Config, Listener, Parts, Running, Server};
use midwatch::wire::{Hello, PROTOCOL, Role};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;

use crate::keys::{SERVER, Yard, key, person};
use crate::scene::{self, AGENT, CONSOLE, INTAKE, Plain, hear_of, plain, port, say};

/// A server whose connections come from where the test says.
struct Anywhere {
    door: mpsc::Sender<(Box<dyn Io>, Via)>,
    server: Running,
}

impl Anywhere {
    async fn serve(bend: impl FnOnce(&mut Parts)) -> Anywhere {
        let (door, connections) = mpsc::channel(64);
        let mut parts = Parts::new(Arc::new(midwatch::link::SystemClock), Arc::new(scene::memory()), Listener::Given(connections), scene::tokens());
        parts.pace = scene::pace();
        parts.intakes = vec![midwatch::server::intake::Token::new("", INTAKE)];
        bend(&mut parts);
        let config = Config { name: Some("shop".into()), ..Config::default() };
        Anywhere { door, server: Server::bind(&config, parts).await.unwrap().spawn() }
    }

    fn from(&self, address: &str) -> From {
        From { door: self.door.clone(), address: address.parse().unwrap() }
    }

    async fn line(&self, address: &str) -> tokio::io::DuplexStream {
        self.from(address).line().await
    }

    /// What a request is answered with, head and body.
    async fn ask(&self, from: &str, head: &str) -> String {
        let mut line = self.line(from).await;
        line.write_all(format!("{head}\r\nhost: shop\r\nconnection: close\r\n\r\n").as_bytes()).await.unwrap();
        let mut answer = String::new();
        tokio::time::timeout(Duration::from_secs(20), line.read_to_string(&mut answer)).await.unwrap().unwrap();
        answer
    }
}

/// The way there from one address.
#[derive(Clone)]
struct From {
    door: mpsc::Sender<(Box<dyn Io>, Via)>,
    address: SocketAddr,
}

impl From {
    async fn line(&self) -> tokio::io::DuplexStream {
        let (near, far) = tokio::io::duplex(64 << 10);
        self.door.send((Box::new(far), Via::Tcp(self.address))).await.unwrap();
        near
    }
}

impl Dial for From {
    fn dial(&self) -> Dialling<'_> {
        Box::pin(async move { Ok((Box::new(self.line().await) as Box<dyn Io>).into()) })
    }

    fn host(&self) -> &str {
        "shop"
    }

    fn distant(&self) -> bool {
        true
    }
}

fn hello(role: Role, name: &str, token: Option<&str>) -> Hello {
    Hello {
        protocol: PROTOCOL,
        role,
        name: name.into(),
        token: token.map(Arc::from),
        version: "test".into(),
        zstd: true,
        origin: None,
        redeem: None,
        key: None,
    }
}

const PATIENCE: Duration = Duration::from_secs(20);

async fn refused(dial: &dyn Dial, hello: &Hello, yard: Option<(&Yard, u8)>) -> String {
    let proving = yard.map(|(yard, seed)| yard.proving(seed));
    Conversation::open(dial, hello, proving.as_ref(), PATIENCE).await.err().expect("nobody is let in").to_string()
}

const INSIDE: &str = "127.0.0.1:40000";
const OUTSIDE: &str = "192.0.2.7:40000";

#[tokio::test]
async fn from_outside_keys_open_and_tokens_open_nothing_but_the_intakes() {
    let yard = Yard::new();
    yard.authorize(&[person(1, "Robin Lee")]);
    let gate = midwatch::server::gate::Gate::new(key(SERVER), yard.authorized(), false);
    let shop = Anywhere::serve(|parts| parts.gate = gate).await;
    for (role, name, token) in [(Role::Console, "kim", CONSOLE), (Role::Agent, "web-1", AGENT)] {
        let hello = hello(role, name, Some(token));
        Conversation::open(&shop.from(INSIDE), &hello, None, PATIENCE).await.unwrap();
        // In the request's head, and in hello.
        for yard in [None, Some((&yard, 2))] {
            let why = refused(&shop.from(OUTSIDE), &hello, yard).await;
            assert!(why.contains("key"), "{why}");
        }
    }
    let proving = yard.proving(1);
    Conversation::open(&shop.from(OUTSIDE), &hello(Role::Console, "kim", None), Some(&proving), PATIENCE).await.unwrap();
    for (from, token, status) in [(INSIDE, CONSOLE, 200), (INSIDE, INTAKE, 200), (OUTSIDE, INTAKE, 200), (OUTSIDE, CONSOLE, 401), (OUTSIDE, AGENT, 401)] {
        let answer = shop.ask(from, &format!("GET /metrics HTTP/1.1\r\nauthorization: Bearer {token}")).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{from} {token}: {answer}");
    }
    let answer = shop.ask(OUTSIDE, &format!("GET /api/v2/status HTTP/1.1\r\nauthorization: Bearer {INTAKE}")).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn n4_a_proxy_that_nobody_named_makes_nobody_local() {
    let shop = Anywhere::serve(|_| {}).await;
    let ask = async |header: &str| shop.ask(INSIDE, &format!("GET /metrics HTTP/1.1\r\nauthorization: Bearer {CONSOLE}{header}")).await;
    assert!(ask("").await.starts_with("HTTP/1.1 200"));
    for header in ["\r\nx-forwarded-for: 127.0.0.1", "\r\nforwarded: for=127.0.0.1", "\r\nx-real-ip: 127.0.0.1", "\r\nx-forwarded-proto: https"] {
        assert!(ask(header).await.starts_with("HTTP/1.1 401"), "{header}");
    }
    let upgrade = "GET /api/v1/ws HTTP/1.1\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\nx-forwarded-for: 192.0.2.1";
    let answer = shop.ask(INSIDE, upgrade).await;
    assert!(answer.starts_with("HTTP/1.1 403") && answer.contains("[proxy] trusted"), "{answer}");
}

#[tokio::test]
async fn n3_a_page_in_a_browser_is_refused_whatever_stands_between() {
    let shop = Anywhere::serve(|parts| parts.front.proxies = midwatch::server::line::Proxies::new(vec!["127.0.0.1".parse().unwrap()])).await;
    for (from, header) in [(OUTSIDE, ""), (INSIDE, "\r\nx-forwarded-for: 192.0.2.1\r\nx-forwarded-proto: https")] {
        for origin in ["https://evil.example", "https://shop", "null"] {
            let answer = shop.ask(from, &format!("GET /api/v1/ws HTTP/1.1\r\norigin: {origin}{header}")).await;
            assert!(answer.starts_with("HTTP/1.1 403"), "{origin}: {answer}");
        }
    }
}

#[tokio::test]
async fn strangers_of_one_address_are_so_many_and_who_is_known_is_none() {
    let server = scene::serve(Arc::new(scene::memory()), |parts| parts.front.limits.strangers = 3).await;
    let address = port(&server);
    let dial = TcpDial { address: address.clone() };
    let mut known = Vec::new();
    for _ in 0..5 {
        known.push(Conversation::open(&dial, &hello(Role::Console, "kim", Some(CONSOLE)), None, PATIENCE).await.unwrap());
    }
    let mut held: Vec<Plain> = Vec::new();
    for _ in 0..3 {
        held.push(plain(&address, &[]).await.unwrap());
    }
    let mut stream = TcpStream::connect(&address).await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(PATIENCE, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 503") && answer.contains("have not said who they are"), "{answer}");
    // One of them says who it is, and there is room for another.
    let mut first = held.remove(0);
    say(&mut first, &format!(r#"{{"hello":{{"protocol":1,"role":"console","name":"kim","token":"{CONSOLE}"}}}}"#)).await;
    hear_of(&mut first, "welcome").await;
    tokio::time::timeout(PATIENCE, async {
        while plain(&address, &[]).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .expect("there is room again");
}

#[tokio::test]
async fn behind_a_proxy_the_limits_are_those_of_each_client() {
    let shop = Anywhere::serve(|parts| {
        parts.front.proxies = midwatch::server::line::Proxies::new(vec!["127.0.0.1".parse().unwrap()]);
        (parts.front.limits.strangers, parts.front.limits.attempts) = (1, 2);
    })
    .await;
    let open = async |client: &str| {
        let mut line = shop.line(INSIDE).await;
        let head = format!(
            "GET /api/v1/ws HTTP/1.1\r\nhost: shop\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==\r\nx-forwarded-for: {client}\r\n\r\n"
        );
        line.write_all(head.as_bytes()).await.unwrap();
        let mut status = [0; 12];
        line.read_exact(&mut status).await.unwrap();
        (String::from_utf8(status.to_vec()).unwrap(), line)
    };
    let (first, _held) = open("192.0.2.1").await;
    assert_eq!(first, "HTTP/1.1 101");
    assert_eq!(open("192.0.2.1").await.0, "HTTP/1.1 503");
    assert_eq!(open("192.0.2.2").await.0, "HTTP/1.1 101", "nobody else is concerned");
    let ask = async |client: &str| shop.ask(INSIDE, &format!("GET /metrics HTTP/1.1\r\nauthorization: Bearer wrong\r\nx-forwarded-for: {client}")).await;
    for _ in 0..3 {
        assert!(ask("192.0.2.3").await.starts_with("HTTP/1.1 401"));
    }
    let answer = ask("192.0.2.3").await;
    assert!(answer.starts_with("HTTP/1.1 429") && answer.contains("retry-after"), "{answer}");
    assert!(ask("192.0.2.4").await.starts_with("HTTP/1.1 401"));
}

#[tokio::test]
async fn who_shows_what_opens_nothing_again_and_again_has_to_wait() {
    let yard = Yard::new();
    yard.authorize(&[person(1, "Robin Lee")]);
    let gate = midwatch::server::gate::Gate::new(key(SERVER), yard.authorized(), false);
    let shop = Anywhere::serve(|parts| (parts.gate, parts.front.limits.attempts) = (gate, 3)).await;
    let console = hello(Role::Console, "kim", None);
    // A key that nobody authorized, a wrong token, a wrong token for an intake: all of them count.
    assert!(refused(&shop.from(OUTSIDE), &console, Some((&yard, 2))).await.contains("authorized_keys"));
    assert!(refused(&shop.from(OUTSIDE), &hello(Role::Console, "kim", Some("wrong")), None).await.contains("opens nothing"));
    for _ in 0..2 {
        assert!(shop.ask(OUTSIDE, "GET /api/v2/status HTTP/1.1\r\nauthorization: Bearer wrong").await.starts_with("HTTP/1.1 401"));
    }
    let why = refused(&shop.from(OUTSIDE), &console, Some((&yard, 1))).await;
    assert!(why.contains("try again in"), "the right key has to wait as well: {why}");
    let proving = yard.proving(1);
    Conversation::open(&shop.from("192.0.2.8:1"), &console, Some(&proving), PATIENCE).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    Conversation::open(&shop.from(OUTSIDE), &console, Some(&proving), PATIENCE).await.unwrap();
    let metrics = shop.ask(INSIDE, &format!("GET /metrics HTTP/1.1\r\nauthorization: Bearer {CONSOLE}")).await;
    assert!(metrics.contains("midwatch_attempts_refused_total 1"), "{metrics}");
    drop(shop.server);
}

#[tokio::test]
async fn a_key_has_so_many_connections_and_its_messages_count_together() {
    let yard = Yard::new();
    yard.authorize(&[person(1, "Robin Lee"), person(2, "Sam")]);
    let gate = midwatch::server::gate::Gate::new(key(SERVER), yard.authorized(), false);
    let shop = Anywhere::serve(|parts| (parts.gate, parts.front.limits.per_key, parts.limits.rate) = (gate, 2, 20)).await;
    let console = hello(Role::Console, "kim", None);
    let (robin, sam) = (yard.proving(1), yard.proving(2));
    let mut lines = Vec::new();
    for from in [INSIDE, OUTSIDE] {
        lines.push(Conversation::open(&shop.from(from), &console, Some(&robin), PATIENCE).await.unwrap());
    }
    let mut third = Conversation::open(&shop.from("192.0.2.9:1"), &console, Some(&robin), PATIENCE).await.unwrap();
    let said = tokio::time::timeout(PATIENCE, third.next()).await.expect("it is told why");
    let Ok(midwatch::wire::ToClient::Problem(problem)) = said else { panic!("{said:?}") };
    assert!(problem.words.contains("2 connections already"), "{}", problem.words);
    Conversation::open(&shop.from(OUTSIDE), &console, Some(&sam), PATIENCE).await.unwrap();
    // Each says less than the key may, both together more.
    let begun = tokio::time::Instant::now();
    for line in &mut lines {
        for id in 0..15 {
            line.send(&midwatch::wire::ToServer::Ping(midwatch::wire::Ping { id })).await.unwrap();
        }
    }
    for line in &mut lines {
        for _ in 0..15 {
            line.next().await.unwrap();
        }
    }
    assert!(begun.elapsed() > Duration::from_millis(500), "{:?}", begun.elapsed());
    let metrics = shop.ask(INSIDE, &format!("GET /metrics HTTP/1.1\r\nauthorization: Bearer {CONSOLE}")).await;
    assert!(metrics.contains("midwatch_keys_turned_away_total 1") && !metrics.contains("midwatch_messages_throttled_total 0"), "{metrics}");
    lines.pop();
    tokio::time::timeout(PATIENCE, async {
        loop {
            let mut line = Conversation::open(&shop.from(OUTSIDE), &console, Some(&robin), PATIENCE).await.unwrap();
            line.send(&midwatch::wire::ToServer::Ping(midwatch::wire::Ping { id: 1 })).await.unwrap();
            if let Ok(midwatch::wire::ToClient::Pong(_)) = line.next().await {
                return;
            }
        }
    })
    .await
    .expect("there is room again");
}

/// A frame of this kind and length, masked with zeros.
fn head(length: u64) -> Vec<u8> {
    [&[0x82, 0xff][..], &length.to_be_bytes(), &[0; 4]].concat()
}

#[tokio::test]
async fn n6_room_for_a_large_message_is_made_for_those_alone_who_are_known() {
    let server = scene::serve(Arc::new(scene::memory()), |_| {}).await;
    let mut socket = plain(&port(&server), &[("authorization", &format!("Bearer {CONSOLE}"))]).await.unwrap();
    let tokio_tungstenite::MaybeTlsStream::Plain(stream) = socket.get_mut() else { panic!("it is plain") };
    // Less than a known one may say. Its head alone is sent.
    stream.write_all(&head(3 << 20)).await.unwrap();
    let message = tokio::time::timeout(PATIENCE, socket.next()).await.expect("it is not waited for").unwrap().unwrap();
    let words = String::from_utf8_lossy(&message.into_data()).into_owned();
    assert!(words.contains("more than 32768 bytes before it is known who is there"), "{words}");
    assert!(!matches!(socket.next().await, Some(Ok(Message::Binary(_) | Message::Text(_)))), "that was the last word");
    // In pieces it comes to the same.
    let mut socket = plain(&port(&server), &[]).await.unwrap();
    for n in 0..40 {
        let first = n == 0;
        let frame = tokio_tungstenite::tungstenite::protocol::frame::Frame::message(
            vec![b' '; 1_000],
            tokio_tungstenite::tungstenite::protocol::frame::coding::OpCode::Data(if first {
                tokio_tungstenite::tungstenite::protocol::frame::coding::Data::Text
            } else {
                tokio_tungstenite::tungstenite::protocol::frame::coding::Data::Continue
            }),
            false,
        );
        let _ = socket.send(Message::Frame(frame)).await;
    }
    let message = tokio::time::timeout(PATIENCE, socket.next()).await.expect("it is not waited for");
    let words = message.and_then(Result::ok).map(|message| String::from_utf8_lossy(&message.into_data()).into_owned()).unwrap_or_default();
    assert!(words.is_empty() || words.contains("32768"), "{words}");
    // Who is known may say as much.
    let mut known = plain(&port(&server), &[("authorization", &format!("Bearer {CONSOLE}"))]).await.unwrap();
    say(&mut known, r#"{"hello":{"protocol":1,"role":"console","name":"kim"}}"#).await;
    hear_of(&mut known, "welcome").await;
    say(&mut known, &format!(r#"{{"ping":{{"id":7}}}}{}"#, " ".repeat(1 << 20))).await;
    assert_eq!(hear_of(&mut known, "pong").await["id"], 7);
}

#[tokio::test]
async fn b2_nothing_is_unpacked_for_strangers() {
    let server = scene::serve(Arc::new(scene::memory()), |_| {}).await;
    let mut socket = plain(&port(&server), &[("authorization", &format!("Bearer {CONSOLE}"))]).await.unwrap();
    let hello = rmp_serde::to_vec_named(&midwatch::wire::ToServer::Hello(hello(Role::Console, "kim", None))).unwrap();
    socket.send(Message::binary(zstd::bulk::compress(&hello, 1).unwrap())).await.unwrap();
    let message = tokio::time::timeout(PATIENCE, socket.next()).await.unwrap().unwrap().unwrap();
    let words = String::from_utf8_lossy(&message.into_data()).into_owned();
    assert!(words.contains("compressed before it is known who is there"), "{words}");
}

/// A server that is none: it answers the upgrade, and then this.
async fn impostor(bytes: Vec<u8>) -> TcpDial {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let bytes = bytes.clone();
            tokio::spawn(async move {
                #[allow(clippy::result_large_err, reason = "the library's type")]
                let choose = |_: &tokio_tungstenite::tungstenite::handshake::server::Request,
                              mut response: tokio_tungstenite::tungstenite::handshake::server::Response| {
                    response.headers_mut().insert("sec-websocket-protocol", "midwatch.v1".parse().unwrap());
                    Ok(response)
                };
                let mut socket = tokio_tungstenite::accept_hdr_async(stream, choose).await.unwrap();
                let _ = socket.next().await;
                let _ = socket.get_mut().write_all(&bytes).await;
                // It waits for room to be made for what it announced.
                let _ = socket.next().await;
            });
        }
    });
    TcpDial { address }
}

#[tokio::test]
async fn a_client_makes_no_room_for_a_server_that_it_does_not_know() {
    let unmasked = |length: u64| [&[0x82, 0x7f][..], &length.to_be_bytes()].concat();
    let console = hello(Role::Console, "kim", Some(CONSOLE));
    let why = refused(&impostor(unmasked(200 << 20)).await, &console, None).await;
    assert!(why.contains("more than 65536 bytes before it is known who is there") && why.contains("midwatch server?"), "{why}");
    let bomb = zstd::bulk::compress(&vec![0_u8; 50 << 20], 19).unwrap();
    let mut packed = vec![0x82, 126];
    packed.extend(u16::try_from(bomb.len()).unwrap().to_be_bytes());
    packed.extend(bomb);
    let why = refused(&impostor(packed).await, &console, None).await;
    assert!(why.contains("compressed before it is known who is there"), "{why}");
}

#[tokio::test]
async fn n2_who_asks_over_http_and_reads_nothing_is_not_waited_for() {
    tokio::time::pause();
    let shop = Anywhere::serve(|_| {}).await;
    let (mut near, far) = tokio::io::duplex(256);
    shop.door.send((Box::new(far), Via::Tcp(INSIDE.parse().unwrap()))).await.unwrap();
    near.write_all(format!("GET /metrics HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {CONSOLE}\r\n\r\n").as_bytes()).await.unwrap();
    let begun = tokio::time::Instant::now();
    // Takes nothing for long; then only the rest of what was under way is there, and the end.
    tokio::time::sleep(Duration::from_secs(40)).await;
    let mut rest = Vec::new();
    near.read_to_end(&mut rest).await.unwrap();
    assert!(rest.len() <= 256, "{} bytes", rest.len());
    assert!(begun.elapsed() < Duration::from_secs(45));
}
