//! One event to a thousand consoles: what the server spends on each, and when the last one has it.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use midwatch::link::dial::Dialling;
use midwatch::link::{Dial, Io};
use midwatch::wire::{ToClient, ToServer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::latency::note;
use super::peers::{LENGTH, Peer, nats_message};
use super::server::{FIRST, Other, cpu_us, rss_kib};
use super::way::{Line, Way, listen};

const CONSOLES: usize = 1_000;
const ROUNDS: usize = 100;
const WARM: usize = 20;
/// Claims that nothing happened are shorter than what holds an event.
const SHORTEST: usize = 120;

pub async fn fanout(line: Line) {
    for name in ["bare", "nats", "nats-tls"] {
        peer(name).await;
    }
    midwatch(line).await;
}

async fn midwatch(line: Line) {
    let server = Other::start(line, FIRST, None);
    let way = Way::to(&server.address, line);
    let mut asking = way.open().await;
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let mut kept = Vec::new();
    for _ in 0..CONSOLES {
        let kept_line = Kept::default();
        let mut conversation = way.open_by(&Keeping { dial: way.dial.clone(), kept: kept_line.clone() }).await;
        listen(&mut conversation).await;
        // From here on the bytes alone: what a console makes of them is not the server's cost.
        let io = kept_line.0.lock().unwrap().take().unwrap();
        kept.push(conversation);
        tokio::spawn(frames(io, tell.clone()));
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mut rounds = Rounds::default();
    for round in 0..WARM + ROUNDS {
        if round == WARM {
            rounds.spent = server.cpu_us();
        }
        let begun = Instant::now();
        asking.send(&ToServer::Do(note())).await.unwrap();
        rounds.all_have_it(begun, &mut told).await;
        while !matches!(asking.next().await.unwrap(), ToClient::Answer(_)) {}
    }
    rounds.say(&format!("line={} ", line.word()), server.cpu_us(), server.rss_kib());
}

/// The same of a peer, and clients that read as little.
async fn peer(name: &str) {
    let bare = name == "bare";
    let peer = match name {
        "bare" => Peer::bare(),
        "nats" => Peer::nats(),
        _ => Peer::nats_tls(),
    };
    let (message, length) = if bare { (vec![b'x'; LENGTH], LENGTH) } else { nats_message() };
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    for _ in 0..CONSOLES {
        let mut client = if bare { peer.bare_client(true).await } else { peer.nats_client(true).await };
        let tell = tell.clone();
        tokio::spawn(async move {
            let mut buffer = vec![0; length];
            while client.read_exact(&mut buffer).await.is_ok() {
                let _ = tell.send(Instant::now());
            }
        });
    }
    let mut publisher = if bare { peer.bare_client(false).await } else { peer.nats_client(false).await };
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mut rounds = Rounds::default();
    for round in 0..WARM + ROUNDS {
        if round == WARM {
            rounds.spent = cpu_us(peer.process());
        }
        let begun = Instant::now();
        publisher.write_all(&message).await.unwrap();
        publisher.flush().await.unwrap();
        rounds.all_have_it(begun, &mut told).await;
    }
    rounds.say(&format!("peer={name} "), cpu_us(peer.process()), rss_kib(&peer.process().to_string()));
}

#[derive(Default)]
struct Rounds {
    last: Vec<Duration>,
    /// Processor time before what counts, in microseconds.
    spent: u64,
}

impl Rounds {
    async fn all_have_it(&mut self, begun: Instant, told: &mut tokio::sync::mpsc::UnboundedReceiver<Instant>) {
        let mut longest = Duration::ZERO;
        for _ in 0..CONSOLES {
            let at = tokio::time::timeout(Duration::from_secs(10), told.recv()).await.expect("an event was lost").unwrap();
            longest = longest.max(at - begun);
        }
        self.last.push(longest);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }

    fn say(mut self, what: &str, spent: u64, rss_kib: u64) {
        let mut last = self.last.split_off(WARM);
        last.sort();
        println!(
            "fanout {what}clients={CONSOLES} server_cpu_us_per_delivery={:.2} last_p50_ms={:.2} last_p99_ms={:.2} server_rss_mib={:.1}",
            (spent - self.spent) as f64 / (ROUNDS * CONSOLES) as f64,
            last[ROUNDS / 2].as_secs_f64() * 1e3,
            last[ROUNDS * 99 / 100].as_secs_f64() * 1e3,
            rss_kib as f64 / 1024.0
        );
    }
}

/// Says when each frame with an event has come whole.
async fn frames(mut io: Box<dyn Io>, tell: tokio::sync::mpsc::UnboundedSender<Instant>) {
    let (mut held, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(count @ 1..) = io.read(&mut buffer).await {
        held.extend_from_slice(&buffer[..count]);
        while let Some(length) = whole(&held) {
            if length >= SHORTEST {
                let _ = tell.send(Instant::now());
            }
            held.drain(..length);
        }
    }
}

/// How long the first frame is, if it is there (RFC 6455, 5.2; servers mask nothing).
fn whole(held: &[u8]) -> Option<usize> {
    let length = match *held.get(1)? {
        126 => 4 + usize::from(u16::from_be_bytes(held.get(2..4)?.try_into().ok()?)),
        127 => 10 + usize::try_from(u64::from_be_bytes(held.get(2..10)?.try_into().ok()?)).ok()?,
        length => 2 + usize::from(length),
    };
    (held.len() >= length).then_some(length)
}

/// A line that can be taken back from the conversation that was begun on it.
#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Option<Box<dyn Io>>>>);

struct Keeping {
    dial: Arc<dyn Dial>,
    kept: Kept,
}

impl Dial for Keeping {
    fn dial(&self) -> Dialling<'_> {
        Box::pin(async {
            let mut line = self.dial.dial().await?;
            line.io = {
                *self.kept.0.lock().unwrap() = Some(line.io);
                Box::new(self.kept.clone())
            };
            Ok(line)
        })
    }

    fn host(&self) -> &str {
        self.dial.host()
    }

    fn distant(&self) -> bool {
        self.dial.distant()
    }
}

impl Kept {
    fn with<T>(&self, act: impl FnOnce(Pin<&mut Box<dyn Io>>) -> Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match self.0.lock().unwrap().as_mut() {
            Some(io) => Poll::Ready(ready!(act(Pin::new(io)))),
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }
}

impl AsyncRead for Kept {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.with(|io| io.poll_read(context, buffer))
    }
}

impl AsyncWrite for Kept {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.with(|io| io.poll_write(context, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|io| io.poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|io| io.poll_shutdown(context))
    }
}
