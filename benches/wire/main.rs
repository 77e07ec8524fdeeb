//! What goes over the wire: how much, how soon, to how many, and what each connection costs.
//!
//! `cargo bench --bench wire -- WHAT [LINE]`, where LINE is `plain` (a token alone), `keys`, or `tls` (keys over
//! TLS). Servers run in processes of their own, from memory:
//!
//! - `bulk`: a million events of history into a console, from memory and from SQLite (G3, G13)
//! - `latency [LINE]`: from an event's request to its batch at a console; of the server itself, and of one behind it (G5); beside nats-server without and with TLS
//! - `fanout [LINE]`: one event to a thousand consoles (G6); beside a bare loop and nats-server without and with TLS
//! - `idle COUNT [LINE]`: what a connection costs that says nothing (G7)
//! - `handshakes`: connections, handshakes and signatures a second
//! - `federated [LINE]`: a million events as they happen, by way of a second server that may pass them on
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::indexing_slicing)]

mod bulk;
mod fanout;
mod federated;
mod handshakes;
mod idle;
mod latency;
mod peers;
mod server;
mod way;

use way::Line;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let word = |place: usize| arguments.get(place).map(String::as_str);
    let many = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    // Whoever looks at the clock does nothing else.
    let one = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    match word(0) {
        Some("serve") => many.block_on(server::serve_for_others(Line::named(word(1)), word(2), word(3))),
        Some("bare") => many.block_on(peers::bare(word(1).unwrap())),
        Some("latency") => one.block_on(latency::latency(Line::named(word(1)))),
        Some("fanout") => one.block_on(fanout::fanout(Line::named(word(1)))),
        Some("idle") => many.block_on(idle::idle(word(1).and_then(|count| count.parse().ok()).unwrap_or(5_000), Line::named(word(2)))),
        Some("handshakes") => many.block_on(handshakes::all()),
        Some("federated") => many.block_on(federated::federated(Line::named(word(1)))),
        Some("bulk") | None => many.block_on(bulk::bulk()),
        Some(other) => panic!("there is no `{other}`: bulk, latency, fanout, idle, handshakes, federated"),
    }
}
