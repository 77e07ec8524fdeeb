//! The log as the outside sees it: a process of its own that is killed, and a disk that fails.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "what stands between the tests is part of them: failing there is failing the test"
)]

mod claimed;
mod events;
mod faults;
mod killed;
mod process;
