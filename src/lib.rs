#![doc = include_str!("ARCHITECTURE.md")]

pub mod agent;
pub mod cli;
pub mod client;
pub mod command;
pub mod console;
pub mod link;
pub mod model;
pub mod server;
pub mod store;
pub mod trust;
pub mod wire;
