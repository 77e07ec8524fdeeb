//! Connections, handshakes and signatures a second; both ends in this process.

use std::sync::Arc;
use std::time::{Duration, Instant};

use midwatch::store::MemoryLog;
use midwatch::trust::handshake::{self, Binding};
use midwatch::wire::Role;

use super::server::{FIRST, LIFE, address, origin, serve};
use super::way::{Line, Way, signer};

pub async fn all() {
    signatures();
    handshakes().await;
}

/// Handshakes a second, hello and welcome included: eight at a time, both ends on this machine's cores.
async fn handshakes() {
    const EACH: usize = 250;
    for line in [Line::Plain, Line::Keys, Line::Tls] {
        let server = serve(Arc::new(MemoryLog::new(origin(FIRST), LIFE)), line, FIRST, None).await;
        let way = Arc::new(Way::to(&address(&server), line));
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
