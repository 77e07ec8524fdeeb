//! The server: it takes what agents and sources say, decides, keeps it, and tells everybody.

pub mod intake;
pub mod mapping;
pub mod source;
