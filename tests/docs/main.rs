//! The documents say what the program does: tables are compared with what it generates, links lead
//! somewhere, and `--help` of every subcommand is a snapshot.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "what stands between the tests is part of them: failing there is failing the test"
)]

mod causes;
mod help;
mod links;
mod readme;
