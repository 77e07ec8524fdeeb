//! A server: keeps the systems, their events and their rules, and tells everybody who may know.
//!
//! [`app::Server`] is a value that can be embedded, run and stopped. Inside, one task ([`core`]) owns
//! what is true and decides; everything else asks it or hears of it through the [`hub`].

pub mod app;
mod asks;
mod beside;
mod bridge;
pub mod config;
pub mod core;
pub mod gate;
mod greet;
pub mod health;
pub mod house;
pub mod http;
pub mod hub;
pub mod intake;
pub mod limits;
pub mod line;
pub mod listen;
pub mod mapping;
pub mod marks;
pub mod metrics;
pub mod past;
pub mod peer;
pub mod presence;
mod prime;
pub mod refusals;
pub mod repository;
mod resume;
pub mod rights;
pub mod session;
mod sifting;
pub mod source;
mod stamp;
mod steady;
mod turns;

pub use app::{Parts, Running, Server, ServerError};
pub use config::{Config, ConfigError};
pub use core::{Core, Input, Pace};
pub use listen::{Listen, Listener};
pub use past::Past;
pub use prime::world_of;
