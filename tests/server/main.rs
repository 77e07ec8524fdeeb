//! Servers in this process, over real sockets, as consoles, agents and strangers meet them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod backfill;
mod between;
mod beyond;
mod ending;
mod federation;
mod federation_sim;
mod golden;
mod grants;
mod health;
mod held;
mod history;
mod keys;
mod leases;
mod limits;
mod marks;
mod matrix;
mod open;
mod past;
mod persons;
mod presence;
mod proxy;
mod readings;
mod refusals;
mod repository;
mod resume;
mod scene;
mod sim;
mod strangers;
mod tls;
mod troubles;
mod ways;
mod worlds;
