//! A million events over one loopback WebSocket into a console; what an idle connection costs; how many
//! handshakes and signatures there are in a second.
//!
//! `cargo bench --bench wire` does the first (G3, G13), from memory and from SQLite;
//! `cargo bench --bench wire -- idle 5000` the second (G7), against a server in a process of its own, by TLS
//! and keys (`idle 5000 plain`: without TLS, by a token);
//! `cargo bench --bench wire -- handshakes` the third, both ends in this process.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::indexing_slicing)]

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use midwatch::client::{Address, HistoryPage, ServerConfig, ServerIndex, Servers, Update, Wishes};
use midwatch::link::{Conversation, Dial, OsRandom, Random, SystemClock, TlsTrust, way};
use midwatch::model::event::{Actor, Draft, LogLine};
use midwatch::model::id::{EventId, Incarnation, Origin, Sequence};
use midwatch::model::severity::Severity;
use midwatch::model::time::Time;
use midwatch::server::config::Config;
use midwatch::server::gate::Gate;
use midwatch::server::line::{Certificates, Tls};
use midwatch::server::{Listen, Listener, Parts, Running, Server};
use midwatch::store::{Log, MemoryLog, Row, SqliteLog};
use midwatch::trust::handshake::{self, Binding};
use midwatch::trust::tls::OwnCertificate;
use midwatch::trust::{KnownServers, Proving, ServerKey, Signer, Token, TokenKind, Tokens};
use midwatch::wire::{EventBytes, Hello, HistoryAsk, PROTOCOL, Paging, Role, Subscribe, ToServer};

const ORIGIN: Origin = Origin([7; 16]);
const LIFE: Incarnation = Incarnation(1_790_000_000_000);
const TOKEN: &str = "token-of-the-benchmark";
const EVENTS: u64 = 1_000_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    match arguments.first().map(String::as_str) {
        Some("serve") => runtime.block_on(serve_for_others(Line::of(&arguments))),
        Some("idle") => runtime.block_on(idle(arguments.get(1).and_then(|count| count.parse().ok()).unwrap_or(5_000), Line::of(&arguments))),
        Some("handshakes") => {
            signatures();
            runtime.block_on(handshakes());
        }
        Some(_) | None => runtime.block_on(bulk()),
    }
}

fn rss_kib(process: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    status.lines().find_map(|line| line.strip_prefix("VmRSS:")).and_then(|rest| rest.trim().split(' ').next()?.parse().ok()).unwrap()
}

/// What is between a console and its server.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Line {
    /// A token alone.
    Plain,
    /// Keys.
    Keys,
    /// Keys, over TLS.
    Tls,
}

impl Line {
    fn of(arguments: &[String]) -> Line {
        match arguments.last().map(String::as_str) {
            Some("plain") => Line::Plain,
            Some("keys") => Line::Keys,
            Some(_) | None => Line::Tls,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Line::Plain => "plain",
            Line::Keys => "keys",
            Line::Tls => "tls",
        }
    }
}

fn signer(seed: u8) -> Signer {
    ServerKey::from_seed([seed; 32]).signer().unwrap()
}

/// The way to a server on this line, and how both prove who they are.
struct Way {
    _folder: tempfile::TempDir,
    proving: Option<Proving>,
    dial: Arc<dyn Dial>,
    hello: Hello,
}

impl Way {
    fn to(address: &str, line: Line) -> Way {
        let folder = tempfile::tempdir().unwrap();
        let proving = (line != Line::Plain).then(|| Proving {
            signer: Arc::new(signer(1)),
            known: KnownServers::at(folder.path().join("keys/known_servers")),
            server: "bench".into(),
        });
        let address = if line == Line::Tls { Address::Tls(address.into()) } else { Address::Tcp(address.into()) };
        let dial = way(&address, proving.as_ref(), &TlsTrust::default());
        let token = (line == Line::Plain).then(|| TOKEN.into());
        let hello =
            Hello { protocol: PROTOCOL, role: Role::Console, name: "kim".into(), token, version: "bench".into(), zstd: false, origin: None, redeem: None };
        Way { _folder: folder, proving, dial, hello }
    }

    async fn open(&self) -> Conversation {
        Conversation::open(&*self.dial, &self.hello, self.proving.as_ref(), Duration::from_secs(30)).await.unwrap()
    }
}

async fn serve(log: Arc<dyn Log>) -> Running {
    serve_on(log, Line::Plain).await
}

async fn serve_on(log: Arc<dyn Log>, line: Line) -> Running {
    let listener = Listener::bind(&Listen::Tcp("127.0.0.1:0".parse().unwrap())).await.unwrap();
    let tokens = Tokens::default().add(TokenKind::Console, Token::new(TOKEN));
    let mut parts = Parts::new(Arc::new(SystemClock), log, listener, tokens);
    if line != Line::Plain {
        let file = std::env::temp_dir().join(format!("midwatch-bench-{}", std::process::id()));
        std::fs::write(&file, format!("name=\"kim\" {}\n", signer(1).public().line())).unwrap();
        parts.gate = Gate::new(signer(2), file, true);
    }
    if line == Line::Tls {
        let certificate = OwnCertificate::new(&ServerKey::from_seed([2; 32]), &["localhost".into()]).unwrap();
        parts.front.tls = Some(Tls::new(Arc::new(Certificates::own(&certificate))).unwrap());
    }
    // One key, from one address, is all of them.
    (parts.front.limits.per_key, parts.front.limits.strangers) = (1_000_000, 1_000_000);
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
    Row { sequence: id.sequence, at, recorded: at, severity, kind: "log".into(), system: event.system, bytes, seal: None }
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
        let wishes = Wishes { name: "kim".into(), history: 0, filter: None, vitals: false, presence: false, peers: false };
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
async fn serve_for_others(line: Line) {
    let server = serve_on(Arc::new(MemoryLog::new(ORIGIN, LIFE)), line).await;
    let Some(Listen::Tcp(address)) = server.address.clone() else { panic!("no address") };
    println!("{address}");
    std::io::stdout().flush().unwrap();
    // Until whoever started us goes away.
    let _ = tokio::task::spawn_blocking(|| std::io::stdin().read_line(&mut String::new())).await;
    server.stop().await;
}

async fn idle(count: usize, line: Line) {
    let mut child = Command::new(std::env::current_exe().unwrap()).args(["serve", line.word()]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut address = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut address).unwrap();
    let process = child.id().to_string();
    let way = Way::to(address.trim(), line);
    // What is paid once.
    drop(way.open().await);
    let before = rss_kib(&process);
    let mut held = Vec::with_capacity(count);
    for _ in 0..count {
        let mut conversation = way.open().await;
        conversation.send(&ToServer::Subscribe(Subscribe::default())).await.unwrap();
        conversation.next().await.unwrap();
        held.push(conversation);
    }
    let after = rss_kib(&process);
    println!("line={} connections={count} server_rss_kib={after} kib_per_connection={:.1}", line.word(), (after - before) as f64 / count as f64);
    drop(child.stdin.take());
    let _ = child.wait();
}

/// Handshakes a second, hello and welcome included: eight at a time, both ends on this machine's cores.
async fn handshakes() {
    const EACH: usize = 250;
    for line in [Line::Plain, Line::Keys, Line::Tls] {
        let server = serve_on(Arc::new(MemoryLog::new(ORIGIN, LIFE)), line).await;
        let Some(Listen::Tcp(address)) = server.address.clone() else { panic!("no address") };
        let way = Arc::new(Way::to(&address.to_string(), line));
        drop(way.open().await);
        let begun = Instant::now();
        let tasks: Vec<_> = (0..8)
            .map(|_| {
                let way = way.clone();
                tokio::spawn(async move {
                    for _ in 0..EACH {
                        way.open().await.close().await;
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
        let rate = (8 * EACH) as f64 / begun.elapsed().as_secs_f64();
        println!("line={} connections_per_second={rate:.0}", line.word());
        server.stop().await;
    }
}

/// What one core does: a server's part of the handshake (it signs once and verifies once), the client's, and signatures alone.
fn signatures() {
    const COUNT: u32 = 5_000;
    let (client, server) = (signer(1), signer(2));
    let deadline = Instant::now() + Duration::from_secs(600);
    let (mut ours, mut theirs) = (Duration::ZERO, Duration::ZERO);
    for _ in 0..COUNT {
        let nonce = handshake::nonce().unwrap();
        let begun = Instant::now();
        let (opened, opening) = handshake::Client::open(client.public(), Role::Console, Some(server.public()), nonce, Binding::None, deadline);
        theirs += begun.elapsed();
        let begun = Instant::now();
        let (answered, reply) = handshake::Server::answer(&server, nonce, Binding::None, begun, deadline, &opening).unwrap();
        ours += begun.elapsed();
        let begun = Instant::now();
        let proved = opened.reply(begun, &reply).unwrap();
        let proof = proved.proof(begun, &proved.sign(&client).unwrap()).unwrap();
        theirs += begun.elapsed();
        let begun = Instant::now();
        answered.finish(begun, &proof).unwrap();
        ours += begun.elapsed();
    }
    let rate = |spent: Duration| f64::from(COUNT) / spent.as_secs_f64();
    println!("handshakes_per_second_of_one_core server={:.0} client={:.0}", rate(ours), rate(theirs));
    let message = [7_u8; 300];
    let signature = client.sign("midwatch-bench", &message).unwrap();
    let begun = Instant::now();
    for _ in 0..COUNT {
        assert!(client.public().verifies("midwatch-bench", &message, &signature));
    }
    println!("signatures_verified_per_second_of_one_core {:.0}", rate(begun.elapsed()));
}
