//! Files as sources of events: exports and time-stamped logs, merged by time, without any server.
//!
//! A file is looked at ([`format`]), cut into events chunk by chunk ([`scan`]), and merged with others
//! ([`merge`]): in constant memory for the command line, or into an index of times and places
//! ([`timeline`]) for the console. Nothing is understood that nobody asks for.

pub mod entry;
pub mod format;
pub mod input;
mod json;
mod level;
pub mod merge;
pub mod scan;
mod stamp;

#[cfg(test)]
mod tests;

pub use entry::{Entry, Origins};
pub use format::Format;
pub use input::{FileError, Input};
pub use merge::{Order, Totals, merge};
pub use scan::{Found, Render, Scanner, Want};
pub use stamp::{Stamp, Zone, wall};
