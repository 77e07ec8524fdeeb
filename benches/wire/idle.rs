//! What a connection costs that has its snapshot and hears nothing.

use super::server::{FIRST, Other};
use super::way::{Line, Way};

pub async fn idle(count: usize, line: Line) {
    let server = Other::start(line, FIRST, None);
    let way = Way::to(&server.address, line);
    // What is paid once.
    drop(way.open().await);
    let before = server.rss_kib();
    let mut held = Vec::with_capacity(count);
    for _ in 0..count {
        held.push(way.listen().await);
    }
    let after = server.rss_kib();
    println!("line={} connections={count} server_rss_kib={after} kib_per_connection={:.1}", line.word(), (after - before) as f64 / count as f64);
}
