//! A million events as they happen, into a console at the server itself, and into one at a server that receives
//! them and may pass them on: each event is signed there and checked here.

use std::time::Instant;

use midwatch::link::Conversation;
use midwatch::wire::ToClient;

use super::latency::until_known;
use super::server::{FIRST, Other, SECOND, origin};
use super::way::{Line, Way};

const EVENTS: u64 = 1_000_000;

pub async fn federated(line: Line) {
    let line = if line == Line::Plain { Line::Keys } else { line };
    for hops in [1, 2] {
        let mut first = Other::start(line, FIRST, None);
        let second = (hops == 2).then(|| Other::start(line, SECOND, Some(&first.address)));
        let mut hearing = match &second {
            Some(second) => {
                let way = Way::to(&second.address, line);
                until_known(&way, origin(FIRST)).await;
                way.behind(origin(FIRST)).listen().await
            }
            None => Way::to(&first.address, line).listen().await,
        };
        let begun = Instant::now();
        first.events(EVENTS);
        let (told, anew) = all(&mut hearing).await;
        let took = begun.elapsed().as_secs_f64();
        let spent = |server: &Other| server.cpu_us() as f64 / EVENTS as f64;
        println!(
            "federated hops={hops} line={} events={EVENTS} told={told} snapshots={anew} per_second={:.0} first_cpu_us_each={:.1} second_cpu_us_each={:.1}",
            line.word(),
            EVENTS as f64 / took,
            spent(&first),
            second.as_ref().map_or(0.0, spent)
        );
    }
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
