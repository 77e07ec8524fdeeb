//! A million events of history into a console.

use std::sync::Arc;
use std::time::Instant;

use midwatch::client::{Address, HistoryPage, ServerConfig, ServerIndex, Servers, Update, Wishes};
use midwatch::link::{OsRandom, Random};
use midwatch::model::id::Sequence;
use midwatch::store::{Log, MemoryLog, Row, SqliteLog};
use midwatch::wire::{HistoryAsk, Paging};

use super::server::{FIRST, LIFE, address, origin, row, rss_kib, serve};
use super::way::{Line, TOKEN};

const EVENTS: u64 = 1_000_000;

pub async fn bulk() {
    let folder = tempfile::tempdir().unwrap();
    let logs: [(&str, Arc<dyn Log>); 2] =
        [("memory", Arc::new(MemoryLog::new(origin(FIRST), LIFE))), ("sqlite", Arc::new(SqliteLog::open(folder.path(), origin(FIRST), LIFE).unwrap()))];
    for (name, log) in logs {
        let mut bytes = 0;
        for from in (0..EVENTS).step_by(10_000) {
            let rows: Vec<Row> = (from + 1..=from + 10_000).map(|sequence| row(sequence, origin(FIRST))).collect();
            bytes += rows.iter().map(|row| row.bytes.len()).sum::<usize>();
            log.append(Sequence(from), rows).await.unwrap();
        }
        println!("{name}: {} bytes an event", bytes / 1_000_000);
        let server = serve(log, Line::Plain, FIRST, None).await;
        let random: Arc<dyn Random> = Arc::new(OsRandom);
        let config = ServerConfig { token: Some(TOKEN.into()), ..ServerConfig::new("bench", Address::Tcp(address(&server))) };
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
