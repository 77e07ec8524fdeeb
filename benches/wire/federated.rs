//! A million events as they happen, into a console at the server itself, and into one at a server that receives
//! them and may pass them on: each event is signed there and checked here.

use std::time::{Duration, Instant};

use midwatch::link::Conversation;
use midwatch::wire::{CountAsk, ToClient, ToServer};

use super::latency::until_known;
use super::server::{FIRST, Other, SECOND, origin};
use super::way::{Line, Way};

const EVENTS: u64 = 1_000_000;
/// For what was missed to be filled in.
const PATIENCE: Duration = Duration::from_secs(900);

pub async fn federated(line: Line) {
    let line = if line == Line::Plain { Line::Keys } else { line };
    for hops in [1, 2] {
        let mut first = Other::start(line, FIRST, None);
        let second = (hops == 2).then(|| Other::start(line, SECOND, Some(&first.address)));
        let way = match &second {
            Some(second) => {
                let way = Way::to(&second.address, line);
                until_known(&way, origin(FIRST)).await;
                way.behind(origin(FIRST))
            }
            None => Way::to(&first.address, line),
        };
        let mut hearing = way.listen().await;
        let begun = Instant::now();
        first.events(EVENTS);
        let (told, anew) = all(&mut hearing).await;
        let took = begun.elapsed().as_secs_f64();
        let held = whole(&way, begun).await;
        let filled = begun.elapsed().as_secs_f64();
        let spent = |server: &Other| server.cpu_us() as f64 / EVENTS as f64;
        println!(
            "federated hops={hops} line={} events={EVENTS} told={told} snapshots={anew} per_second={:.0} held={held} after_s={filled:.0} first_cpu_us_each={:.1} second_cpu_us_each={:.1}",
            line.word(),
            EVENTS as f64 / took,
            spent(&first),
            second.as_ref().map_or(0.0, spent)
        );
    }
}

/// Until the whole log is there, of which worlds came in place of events: how much is.
async fn whole(way: &Way, begun: Instant) -> u64 {
    let mut asking = way.open().await;
    let mut held = 0;
    while held < EVENTS && begun.elapsed() < PATIENCE {
        asking.send(&ToServer::Count(CountAsk { id: 1, from: None, step: midwatch::model::time::Span::ZERO, buckets: 1, filter: None })).await.unwrap();
        loop {
            match asking.next().await.unwrap() {
                ToClient::Counts(counts) => held = counts.held,
                ToClient::Problem(problem) => panic!("{}", problem.words),
                _ => continue,
            }
            break;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    held
}

/// Until that log is told to its end: how many events came one by one, and how often a world came instead.
async fn all(hearing: &mut Conversation) -> (usize, usize) {
    let (mut told, mut anew, mut from) = (0, 0, None);
    loop {
        match hearing.next().await.unwrap() {
            ToClient::Batch(batch) => {
                let from = *from.get_or_insert(batch.from.0);
                told += batch.events.len();
                if batch.to.0 >= from + EVENTS {
                    return (told, anew);
                }
            }
            ToClient::Snapshot(snapshot) => {
                anew += 1;
                if from.is_some_and(|from| snapshot.head.0 >= from + EVENTS) {
                    return (told, anew);
                }
            }
            _ => {}
        }
    }
}
