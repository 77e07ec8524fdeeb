//! The servers, each in a process of its own.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use midwatch::link::{OsRandom, SystemClock, TlsTrust, way};
use midwatch::model::event::{Actor, Draft, LogLine};
use midwatch::model::id::{EventId, Incarnation, Origin, Sequence};
use midwatch::model::severity::Severity;
use midwatch::model::time::Time;
use midwatch::server::config::Config;
use midwatch::server::gate::Gate;
use midwatch::server::line::{Certificates, Tls};
use midwatch::server::peer::{MemoryShelf, Neighbour, PeerParts};
use midwatch::server::{Input, Listen, Listener, Parts, Running, Server};
use midwatch::store::{Log, MemoryLog, Row};
use midwatch::trust::tls::OwnCertificate;
use midwatch::trust::{ServerKey, Token, TokenKind, Tokens};
use midwatch::wire::EventBytes;

use super::way::{Line, TOKEN, proving, signer};

pub const LIFE: Incarnation = Incarnation(1_790_000_000_000);
/// The seeds of the keys of the server itself, and of the one behind which it is.
pub const FIRST: u8 = 2;
pub const SECOND: u8 = 3;

pub fn origin(seed: u8) -> Origin {
    ServerKey::from_seed([seed; 32]).origin()
}

/// A server of this process. `behind`: the address of the one whose log it receives.
pub async fn serve(log: Arc<dyn Log>, line: Line, seed: u8, behind: Option<&str>) -> Running {
    let listener = Listener::bind(&Listen::Tcp("127.0.0.1:0".parse().unwrap())).await.unwrap();
    let tokens = Tokens::default().add(TokenKind::Console, Token::new(TOKEN));
    let mut parts = Parts::new(Arc::new(SystemClock), log, listener, tokens);
    let folder = Box::leak(Box::new(tempfile::tempdir().unwrap()));
    let file = folder.path().join("authorized_keys");
    let second = signer(SECOND).public().line();
    std::fs::write(&file, format!("name=\"kim\" {}\npeer=\"second\",rights=\"read,federate\" {second}\n", signer(1).public().line())).unwrap();
    parts.gate = Gate::new(signer(seed), file, line != Line::Plain);
    if line == Line::Tls {
        let certificate = OwnCertificate::new(&ServerKey::from_seed([seed; 32]), &["localhost".into()]).unwrap();
        parts.front.tls = Some(Tls::new(Arc::new(Certificates::own(&certificate))).unwrap());
    }
    if let Some(address) = behind {
        let proving = proving(seed, folder);
        let dial = way(&line.address(address), Some(&proving), &TlsTrust::default());
        let first = Neighbour { name: "first".into(), dial, proving: Some(Arc::new(proving)) };
        parts.peers = Some(PeerParts::new(vec![first], Arc::new(MemoryShelf::default()), Arc::new(OsRandom)));
    }
    // One key, from one address, is all of them, and waits for nobody.
    (parts.front.limits.per_key, parts.front.limits.strangers, parts.limits.rate) = (1_000_000, 1_000_000, u32::MAX);
    Server::bind(&Config { name: Some("bench".into()), ..Config::default() }, parts).await.unwrap().spawn()
}

pub fn address(server: &Running) -> String {
    let Some(Listen::Tcp(address)) = &server.address else { panic!("no address") };
    address.to_string()
}

/// A line of some 120 bytes, as the recorded night of `peers` has them.
pub fn draft(number: u64) -> Draft {
    let at = Time::from_micros(1_790_000_000_000_000 + i64::try_from(number).unwrap() * 86_400);
    let severity = Severity::ALL[usize::try_from(number % 6).unwrap()];
    let title =
        format!("request {number:08x} to /basket/{} answered {} after {} ms by backend-{}", number % 977, 200 + number % 300, number % 4_000, number % 13);
    Draft::new(at, Actor::Source("log".into()), LogLine {}, title).on("shop/varnish".parse().unwrap()).severity(severity)
}

pub fn row(sequence: u64, origin: Origin) -> Row {
    let id = EventId { origin, incarnation: LIFE, sequence: Sequence(sequence) };
    let draft = draft(sequence);
    let at = draft.at;
    let event = draft.stamp(id, at);
    let bytes = EventBytes::of(&event).unwrap().0;
    Row { sequence: id.sequence, at, recorded: at, severity: event.severity, kind: "log".into(), system: event.system, bytes, seal: None }
}

/// The other process. What it is told on its standard input: `events N`, that so many happen.
pub async fn serve_for_others(line: Line, seed: Option<&str>, behind: Option<&str>) {
    let seed: u8 = seed.and_then(|seed| seed.parse().ok()).unwrap_or(FIRST);
    let server = serve(Arc::new(MemoryLog::new(origin(seed), LIFE)), line, seed, behind).await;
    println!("{}", address(&server));
    std::io::stdout().flush().unwrap();
    let mut said = 0;
    // Until whoever started us goes away.
    while let Some(count) = tokio::task::spawn_blocking(told).await.unwrap() {
        for from in (said..said + count).step_by(100) {
            server.core.write(Input::Record((from..from + 100).map(draft).collect())).await.unwrap();
        }
        said += count;
    }
    server.stop().await;
}

fn told() -> Option<u64> {
    let mut text = String::new();
    std::io::stdin().read_line(&mut text).ok()?;
    text.trim().strip_prefix("events ")?.parse().ok()
}

/// A server in another process; it ends with this value.
pub struct Other {
    child: Child,
    pub address: String,
}

impl Other {
    pub fn start(line: Line, seed: u8, behind: Option<&str>) -> Other {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["serve", line.word(), &seed.to_string()]).args(behind);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut address = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut address).unwrap();
        Other { child, address: address.trim().to_owned() }
    }

    pub fn events(&mut self, count: u64) {
        writeln!(self.child.stdin.as_mut().unwrap(), "events {count}").unwrap();
    }

    pub fn rss_kib(&self) -> u64 {
        rss_kib(&self.child.id().to_string())
    }

    pub fn cpu_us(&self) -> u64 {
        cpu_us(self.child.id())
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

pub fn rss_kib(process: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    status.lines().find_map(|line| line.strip_prefix("VmRSS:")).and_then(|rest| rest.trim().split(' ').next()?.parse().ok()).unwrap()
}

/// Processor time that a process took so far, of itself and for the kernel.
pub fn cpu_us(process: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap();
    let after: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    let ticks: u64 = after[11].parse::<u64>().unwrap() + after[12].parse::<u64>().unwrap();
    // Hundredths of a second on every Linux.
    ticks * 10_000
}
