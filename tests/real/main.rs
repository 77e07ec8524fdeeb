//! Against the real thing: programs that others wrote, as Debian packages them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "what stands between the tests is part of them: failing there is failing the test"
)]

mod agent;
mod backfill;
mod console;
mod daemon;
mod demo;
mod federation;
mod fleet;
mod holding;
mod lines;
mod looked;
mod partition;
mod plugins;
mod proxied;
mod servers;
mod sources;
