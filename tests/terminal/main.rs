//! The console's side of a terminal: real pseudo-terminals, and text that wants to harm them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "what stands between the tests is part of them: failing there is failing the test"
)]

mod doctor;
mod gnu_screen;
mod hostile;
mod lifecycle;
mod lines;
mod links;
mod mouse;
mod notices;
mod open;
mod presence;
mod seat;
mod tmux;
