//! A million events over one loopback WebSocket into a console, and what an idle connection costs.
//!
//! `cargo bench --bench wire` does the first (G3, G13), from memory and from SQLite;
//! `cargo bench --bench wire -- idle 5000` the second (G7), against a server in a process of its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::indexing_slicing)]

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use midwatch::client::{Address, HistoryPage, ServerConfig, ServerIndex, Servers, Update, Wishes};
use midwatch::link::{Conversation, OsRandom, Random, SystemClock, TcpDial};
use midwatch::model::event::{Actor, Draft, LogLine};
use midwatch::model::id::{EventId, Incarnation, Origin, Sequence};
use midwatch::model::severity::Severity;
use midwatch::model::time::Time;
use midwatch::server::config::Config;
use midwatch::server::{Listen, Listener, Parts, Running, Server};
use midwatch::store::{Log, MemoryLog, Row, SqliteLog};
use midwatch::trust::{Token, TokenKind, Tokens};
use midwatch::wire::{EventBytes, Hello, HistoryAsk, PROTOCOL, Paging, Role, Subscribe, ToServer};

const ORIGIN: Origin = Origin([7; 16]);
const LIFE: Incarnation = Incarnation(1_790_000_000_000);
const TOKEN: &str = "token-of-the-benchmark";
const EVENTS: u64 = 1_000_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    match arguments.first().map(String::as_str) {
        Some("serve") => runtime.block_on(serve_for_others()),
        Some("idle") => runtime.block_on(idle(arguments.get(1).and_then(|count| count.parse().ok()).unwrap_or(5_000))),
        Some(_) | None => runtime.block_on(bulk()),
    }
}

fn rss_kib(process: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    status.lines().find_map(|line| line.strip_prefix("VmRSS:")).and_then(|rest| rest.trim().split(' ').next()?.parse().ok()).unwrap()
}

async fn serve(log: Arc<dyn Log>) -> Running {
    let listener = Listener::bind(&Listen::Tcp("127.0.0.1:0".parse().unwrap())).await.unwrap();
    let tokens = Tokens::default().add(TokenKind::Console, Token::new(TOKEN));
    let parts = Parts::new(Arc::new(SystemClock), log, listener, tokens);
    Server::bind(&Config { name: Some("bench".into()), ..Config::default() }, parts).await.unwrap().spawn()
}

/// A line of some 120 bytes, as the recorded night of `peers` has them.
fn row(sequence: u64) -> Row {
    let id = EventId { origin: ORIGIN, incarnation: LIFE, sequence: Sequence(sequence) };
    let at = Time::from_micros(1_790_000_000_000_000 + i64::try_from(sequence).unwrap() * 86_400);
    let severity = Severity::ALL[usize::try_from(sequence % 6).unwrap()];
    let title = format!(
        "request {sequence:08x} to /basket/{} answered {} after {} ms by backend-{}",
        sequence % 977,
        200 + sequence % 300,
        sequence % 4_000,
        sequence % 13
    );
    let draft = Draft::new(at, Actor::Source("log".into()), LogLine {}, title).on("shop/varnish".parse().unwrap()).severity(severity);
    let event = draft.stamp(id, at);
    let bytes = EventBytes::of(&event).unwrap().0;
    Row { sequence: id.sequence, at, recorded: at, severity, kind: "log".into(), system: event.system, bytes }
}

async fn bulk() {
    let folder = tempfile::tempdir().unwrap();
    let logs: [(&str, Arc<dyn Log>); 2] =
        [("memory", Arc::new(MemoryLog::new(ORIGIN, LIFE))), ("sqlite", Arc::new(SqliteLog::open(folder.path(), ORIGIN, LIFE).unwrap()))];
    for (name, log) in logs {
        let mut bytes = 0;
        for from in (0..EVENTS).step_by(10_000) {
            let rows: Vec<Row> = (from + 1..=from + 10_000).map(row).collect();
            bytes += rows.iter().map(|row| row.bytes.len()).sum::<usize>();
            log.append(Sequence(from), rows).await.unwrap();
        }
        println!("{name}: {} bytes an event", bytes / 1_000_000);
        let server = serve(log).await;
        let Some(Listen::Tcp(address)) = server.address.clone() else { panic!("no address") };
        let random: Arc<dyn Random> = Arc::new(OsRandom);
        let config = ServerConfig { token: Some(TOKEN.into()), ..ServerConfig::new("bench", Address::Tcp(address.to_string())) };
        let wishes = Wishes { name: "kim".into(), history: 0, filter: None, vitals: false };
        let mut servers = Servers::connect(&[config], &wishes, &random).unwrap();
        while !matches!(servers.updates.recv().await, Some((_, Update::Snapshot { .. }))) {}
        for round in 0..3 {
            let before = rss_kib("self");
            let begun = Instant::now();
            servers.handle.history(ServerIndex(0), HistoryAsk { id: round, page: Paging::After(None), limit: EVENTS, filter: None }).unwrap();
            let mut pages: Vec<HistoryPage> = Vec::new();
            loop {
                if let Some((_, Update::History { page, last, .. })) = servers.updates.recv().await {
                    pages.push(page);
                    if last {
                        break;
                    }
                }
            }
            let took = begun.elapsed();
            let held = rss_kib("self").saturating_sub(before);
            let count: usize = pages.iter().map(|page| page.entries.len()).sum();
            println!("{name}: events={count} ms={} growth_bytes_per_event={}", took.as_millis(), held * 1024 / EVENTS);
        }
        server.stop().await;
    }
}

/// The other process of [`idle`].
async fn serve_for_others() {
    let server = serve(Arc::new(MemoryLog::new(ORIGIN, LIFE))).await;
    let Some(Listen::Tcp(address)) = server.address.clone() else { panic!("no address") };
    println!("{address}");
    std::io::stdout().flush().unwrap();
    // Until whoever started us goes away.
    let _ = tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new())).await;
    server.stop().await;
}

async fn idle(count: usize) {
    let mut child = Command::new(std::env::current_exe().unwrap()).arg("serve").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut address = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut address).unwrap();
    let process = child.id().to_string();
    let dial = TcpDial { address: address.trim().into() };
    let hello = Hello { protocol: PROTOCOL, role: Role::Console, name: "kim".into(), token: Some(TOKEN.into()), version: "bench".into(), zstd: false };
    let before = rss_kib(&process);
    let mut held = Vec::with_capacity(count);
    for _ in 0..count {
        let mut conversation = Conversation::open(&dial, &hello, None, Duration::from_secs(10)).await.unwrap();
        conversation.send(&ToServer::Subscribe(Subscribe::default())).await.unwrap();
        conversation.next().await.unwrap();
        held.push(conversation);
    }
    let after = rss_kib(&process);
    println!("connections={count} server_rss_kib={after} kib_per_connection={:.1}", (after - before) as f64 / count as f64);
    drop(child.stdin.take());
    let _ = child.wait();
}
