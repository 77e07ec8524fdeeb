//! Everything from outside is bounded; who breaks a bound hears of it, and nobody else notices.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use midwatch::client::Address;
use midwatch::server::Input;
use midwatch::server::hub::QueueLimits;
use midwatch::wire::SnapshotReason;
use midwatch::wire::codec::MAX_TO_SERVER;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio_tungstenite::tungstenite::Message;

use crate::scene::{self, CONSOLE, Console, Plain, hear_of, note, plain, port, say, serve};

async fn console(address: &str) -> Plain {
    let mut socket = plain(address, &[("authorization", &format!("Bearer {CONSOLE}"))]).await.unwrap();
    say(&mut socket, r#"{"hello":{"protocol":1,"role":"console","name":"kim"}}"#).await;
    hear_of(&mut socket, "welcome").await;
    socket
}

/// Whether the connection is answered and closed, or just closed.
async fn answer(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(40), stream.read_to_end(&mut answer)).await.expect("the server gives up");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn n1_an_endless_head_is_refused() {
    let server = serve(Arc::new(scene::memory()), |_| {}).await;
    let mut stream = TcpStream::connect(port(&server)).await.unwrap();
    let mut head = format!("GET /api/v1/ws HTTP/1.1\r\nhost: x\r\nx-long: {}", "a".repeat(200_000));
    head.push_str("\r\n\r\n");
    let _ = stream.write_all(head.as_bytes()).await;
    assert!(answer(stream).await.starts_with("HTTP/1.1 431"));
    let mut stream = TcpStream::connect(port(&server)).await.unwrap();
    let many: String = (0..500).map(|n| format!("x-{n}: y\r\n")).collect();
    let _ = stream.write_all(format!("GET /healthz HTTP/1.1\r\nhost: x\r\n{many}\r\n").as_bytes()).await;
    assert!(answer(stream).await.starts_with("HTTP/1.1 431"));
}

#[tokio::test(start_paused = true)]
async fn n1_a_head_that_trickles_in_is_not_waited_for() {
    let server = serve(Arc::new(scene::memory()), |_| {}).await;
    let mut stream = TcpStream::connect(port(&server)).await.unwrap();
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhos").await.unwrap();
    let begun = tokio::time::Instant::now();
    answer(stream).await;
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn n1_who_says_nothing_or_goes_on_for_ever_is_not_waited_for() {
    let server = serve(Arc::new(scene::memory()), |parts| parts.intakes = vec![midwatch::server::intake::Token::new("", scene::INTAKE)]).await;
    let head = format!("POST /api/v1/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: 1000\r\n\r\n", scene::INTAKE);
    // Nothing at all; nothing after an answer; a body that trickles in, of somebody who may push.
    for (begun, least, most) in [("", 5, 20), ("GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n", 5, 20), (head.as_str(), 30, 80)] {
        let mut stream = TcpStream::connect(port(&server)).await.unwrap();
        let clock = tokio::time::Instant::now();
        stream.write_all(begun.as_bytes()).await.unwrap();
        let (mut from, mut to) = stream.into_split();
        let trickle = tokio::spawn(async move {
            while least == 30 && to.write_all(b" ").await.is_ok() {
                tokio::time::sleep(Duration::from_secs(5)).await;
            }
            std::future::pending::<()>().await;
        });
        let mut answer = Vec::new();
        let _ = tokio::time::timeout(Duration::from_secs(200), from.read_to_end(&mut answer)).await.expect("the server gives up");
        trickle.abort();
        let took = clock.elapsed().as_secs();
        assert!((least..most).contains(&took), "{begun:?}: {took} s, {}", String::from_utf8_lossy(&answer));
    }
}

#[tokio::test(start_paused = true)]
async fn who_says_no_hello_is_sent_away() {
    let server = serve(Arc::new(scene::memory()), |_| {}).await;
    let mut socket = plain(&port(&server), &[]).await.unwrap();
    let message = socket.next().await.unwrap().unwrap();
    assert!(matches!(message, Message::Binary(_)), "a problem, in words");
    assert!(!matches!(socket.next().await, Some(Ok(Message::Binary(_) | Message::Text(_)))), "then the end");
}

#[tokio::test]
async fn connections_beyond_the_limit_are_turned_away_with_words() {
    let server = serve(Arc::new(scene::memory()), |parts| parts.connections = 3).await;
    let address = port(&server);
    let held = [console(&address).await, console(&address).await, console(&address).await];
    let stream = TcpStream::connect(&address).await.unwrap();
    assert!(answer(stream).await.contains("Too many open connections"));
    drop(held);
    tokio::time::timeout(Duration::from_secs(10), async {
        while plain(&address, &[]).await.is_err() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("there is room again");
}

/// A reader that takes nothing: its queue is dropped, others hear everything, memory stays bounded; and
/// when it reads again it is told everything anew.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn n2_a_slow_reader_is_dropped_to_a_snapshot_while_others_stay_live() {
    let queue = QueueLimits { publications: 64, bytes: 256 << 10 };
    let server = serve(Arc::new(scene::memory()), |parts| parts.queue = queue).await;
    let address: std::net::SocketAddr = port(&server).parse().unwrap();
    // A small window, so that the kernel does not hold everything for the slow one.
    let small = TcpSocket::new_v4().unwrap();
    small.set_recv_buffer_size(4096).unwrap();
    let stream = small.connect(address).await.unwrap();
    let (mut slow, _) = tokio_tungstenite::client_async(
        {
            use tokio_tungstenite::tungstenite::client::IntoClientRequest;
            let mut request = format!("ws://{address}/api/v1/ws").into_client_request().unwrap();
            request.headers_mut().insert("authorization", format!("Bearer {CONSOLE}").parse().unwrap());
            request
        },
        stream,
    )
    .await
    .unwrap();
    slow.send(Message::text(r#"{"hello":{"protocol":1,"role":"console","name":"slow"}}"#)).await.unwrap();
    slow.send(Message::text(r#"{"subscribe":{}}"#)).await.unwrap();
    let mut live = Console::to(Address::Tcp(port(&server)), None);
    live.until("the snapshot came", |console| console.replica.world.is_some()).await;
    let begun = live.head();
    let long = "x".repeat(6_000);
    let writes = 2_000_u64;
    // At the pace of the live one.
    for n in 0..writes {
        server.core.write(Input::Request(note(&format!("{n} {long}")))).await.unwrap();
        live.until("the live one is near", |console| console.head() + 16 >= begun + n).await;
    }
    live.until("the live one heard everything", |console| console.head() >= begun + writes).await;
    assert_eq!(live.snapshots, [SnapshotReason::First]);
    // Now it reads.
    let mut reasons = Vec::new();
    let mut to = 0;
    while to < begun + writes {
        let message = tokio::time::timeout(Duration::from_secs(30), slow.next()).await.expect("a frame").unwrap().unwrap();
        let Message::Text(text) = message else { continue };
        let said: serde_json::Value = serde_json::from_str(&text).unwrap();
        if let Some(snapshot) = said.get("snapshot") {
            reasons.push(snapshot["why"].as_str().unwrap().to_owned());
            to = snapshot["head"].as_u64().unwrap();
        } else if let Some(batch) = said.get("batch") {
            assert_eq!(batch["from"].as_u64().unwrap(), to, "no gap");
            to = batch["to"].as_u64().unwrap();
        }
    }
    assert_eq!(reasons.first().map(String::as_str), Some("first"));
    assert!(reasons.iter().skip(1).all(|why| why == "slow") && reasons.len() > 1, "{reasons:?}");
}

#[tokio::test]
async fn b1_b2_broken_frames_get_words_and_nobody_else_notices() {
    let server = serve(Arc::new(scene::memory()), |_| {}).await;
    let mut other = Console::to(Address::Tcp(port(&server)), None);
    other.until("the snapshot came", |console| console.replica.world.is_some()).await;
    let mut socket = console(&port(&server)).await;
    let nested = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let bomb = zstd::bulk::compress(&vec![0_u8; MAX_TO_SERVER * 10], 19).unwrap();
    let frames = [
        (Message::text("{half"), "malformed"),
        (Message::text(r#"{"dance":{}}"#), "malformed"),
        (Message::text(nested), "malformed"),
        (Message::binary(vec![0x91_u8; 100_000]), "malformed"),
        (Message::binary(vec![0xc1_u8]), "malformed"),
        (Message::binary(bomb), "limit"),
        (Message::text(r#"{"hello":{"protocol":1,"role":"console","name":"again"}}"#), "forbidden"),
    ];
    for (frame, code) in frames {
        socket.send(frame).await.unwrap();
        let problem = hear_of(&mut socket, "problem").await;
        assert_eq!(problem["code"], code, "{problem}");
        assert!(!problem["words"].as_str().unwrap().is_empty());
    }
    // The connection still works.
    say(&mut socket, r#"{"ping":{"id":7}}"#).await;
    assert_eq!(hear_of(&mut socket, "pong").await["id"], 7);
    // A frame that is too large to be read at all ends this connection, and no other.
    let _ = socket.send(Message::text("x".repeat(MAX_TO_SERVER + 1))).await;
    while let Some(Ok(message)) = socket.next().await {
        assert!(!matches!(message, Message::Text(text) if text.contains("pong")));
    }
    other.ask(note("still here"));
    other.until("the other one is served", |console| !console.outcomes.is_empty()).await;
    assert_eq!(other.disconnects, 0);
}
