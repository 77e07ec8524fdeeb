//! The console without a terminal: given events, when keys, then screen.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod answers;
mod bytes;
mod holding;
mod keys;
mod linear;
mod looked;
mod meet;
mod night;
mod notices;
mod numbers;
mod offline;
mod overlays;
mod presence;
mod read_only;
mod reload;
mod screens;
mod session;
mod stress;
mod travel;
mod words;
