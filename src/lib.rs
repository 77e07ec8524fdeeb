#![doc = include_str!("ARCHITECTURE.md")]

pub mod agent;
pub mod model;
pub mod store;
