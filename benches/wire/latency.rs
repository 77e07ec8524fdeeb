//! From a request that makes an event to the batch that holds it, at a console that hears all.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use midwatch::link::Conversation;
use midwatch::model::id::{Origin, RequestId, Sequence};
use midwatch::model::intent::{Intent, Request};
use midwatch::model::time::Time;
use midwatch::wire::{ToClient, ToServer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::peers::{Peer, nats_message};
use super::server::{FIRST, Other, SECOND, origin};
use super::way::{Line, Way};

const ROUNDS: usize = 10_000;
/// Before anything counts.
const WARM: usize = 1_000;

pub async fn latency(line: Line) {
    nats("latency_nats", Peer::nats()).await;
    nats("latency_nats_tls", Peer::nats_tls()).await;
    let first = Other::start(line, FIRST, None);
    hops("one", line, &first, Way::to(&first.address, line)).await;
    // Servers always prove themselves to each other; the line between these two is the same.
    let second = Other::start(if line == Line::Plain { Line::Keys } else { line }, SECOND, Some(&first.address));
    let way = Way::to(&second.address, if line == Line::Plain { Line::Keys } else { line });
    until_known(&way, origin(FIRST)).await;
    hops("two", line, &first, way.behind(origin(FIRST))).await;
}

/// The second server has the first one's log.
pub async fn until_known(way: &Way, origin: Origin) {
    for _ in 0..500 {
        let mut asking = way.open().await;
        let ask = midwatch::wire::Subscribe { peers: true, ..Default::default() };
        asking.send(&ToServer::Subscribe(ask)).await.unwrap();
        loop {
            match asking.next().await.unwrap() {
                ToClient::Peers(told) if told.peers.iter().any(|peer| peer.origin == origin && peer.head > Sequence(0)) => return,
                ToClient::Snapshot(_) => break,
                _ => {}
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the second server does not receive the first one's log");
}

async fn hops(word: &str, line: Line, first: &Other, glass: Way) {
    let mut asking = Way::to(&first.address, line).open().await;
    let mut hearing = glass.listen().await;
    let (mut took, mut bytes) = (Vec::with_capacity(ROUNDS), 0);
    for round in 0..WARM + ROUNDS {
        let begun = Instant::now();
        asking.send(&ToServer::Do(note())).await.unwrap();
        bytes = heard(&mut hearing).await;
        if round >= WARM {
            took.push(begun.elapsed());
        }
        while !matches!(asking.next().await.unwrap(), ToClient::Answer(_)) {}
    }
    told(&format!("latency_{word} line={} event_bytes={bytes}", line.word()), took);
}

/// The same of nats-server: published by one client, whole at another.
async fn nats(what: &str, peer: Peer) {
    let (mut publisher, mut subscriber) = (peer.nats_client(false).await, peer.nats_client(true).await);
    let (message, length) = nats_message();
    let (mut took, mut buffer) = (Vec::with_capacity(ROUNDS), vec![0; length]);
    for round in 0..WARM + ROUNDS {
        let begun = Instant::now();
        publisher.write_all(&message).await.unwrap();
        publisher.flush().await.unwrap();
        subscriber.read_exact(&mut buffer).await.unwrap();
        if round >= WARM {
            took.push(begun.elapsed());
        }
    }
    told(what, took);
}

fn told(what: &str, mut took: Vec<Duration>) {
    took.sort();
    let at = |thousandths: usize| took[took.len() * thousandths / 1_000].as_nanos() as f64 / 1_000.0;
    println!("{what} p50_us={:.1} p99_us={:.1} p999_us={:.1}", at(500), at(990), at(999));
}

/// Waits for the next event; its length.
async fn heard(hearing: &mut Conversation) -> usize {
    loop {
        let said = tokio::time::timeout(Duration::from_secs(30), hearing.next()).await.expect("an event was not told").unwrap();
        if let ToClient::Batch(batch) = said
            && let Some(event) = batch.events.first()
        {
            return event.0.len();
        }
    }
}

/// A request like no other before it.
pub fn note() -> Request {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let id = RequestId(u128::from(NEXT.fetch_add(1, Ordering::Relaxed)).to_be_bytes());
    let intent = Intent::NoteSystem { system: "shop/varnish".parse().unwrap(), text: "basket is slow for some, see the dashboard".into() };
    Request { id, by: "kim".into(), made: Time::from_secs(1_790_000_000), intent, signed: None }
}
