//! One machine's watchman: runs checks, keeps what they say until a server has it, and says what the machine is.
//!
//! `app` ties the parts together as a value that runs and stops in order. Clock, uplink and folders are handed in.

pub mod app;
pub mod check;
pub mod config;
mod deliver;
pub mod inventory;
pub mod remote;
mod schedule;
pub mod spool;
pub mod text;
pub mod uplink;
