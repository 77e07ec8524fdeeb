//! Files as sources of events: exports and time-stamped logs, merged by time, without any server.
//!
//! A file is looked at ([`format`]), cut into events chunk by chunk ([`scan`]), and merged with others
//! ([`merge`]): in constant memory for the command line, or into an index of times and places ([`index`])
//! for the console, which keeps the places packed ([`shelf`]), reads the bytes again ([`keep`]) of what it
//! shows, and follows files that grow ([`grow`]). Nothing is understood that nobody asks for.

pub mod entry;
pub mod format;
pub mod grow;
pub mod index;
pub mod input;
mod json;
pub mod keep;
mod level;
pub mod merge;
pub mod scan;
pub mod shelf;
mod stamp;

#[cfg(test)]
mod tests;

pub use entry::{Entry, Origins};
pub use format::Format;
pub use grow::{Change, Log};
pub use index::{Index, Mark, Tale};
pub use input::{FileError, Input};
pub use keep::Kept;
pub use merge::{Order, Totals, merge};
pub use scan::{Found, Render, Scanner, Want};
pub use shelf::{Going, Shelf};
pub use stamp::{Stamp, Zone, wall};
