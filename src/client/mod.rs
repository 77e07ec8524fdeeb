//! A console's or command's side of its servers: a replica of each, and the list of them.
//!
//! Whatever happens arrives as an [`Update`] through one bounded channel. Nobody here waits for the
//! reader: one that is slow slows its own links, and a server then drops it to a snapshot.

mod behind;
pub mod files;
pub mod keep;
pub mod marks;
pub mod page;
pub mod replica;
pub mod servers;
pub mod unmet;
pub mod writer;

pub use keep::Kept;
pub use marks::ReadMarks;
pub use page::HistoryPage;
pub use replica::{Barred, Fresh, Replica, Update};
pub use servers::{ServerConfig, ServerIndex, Servers, ServersHandle, Wishes, meet};
pub use writer::Writer;

pub use crate::link::{Address, AddressError, TlsTrust};

/// Small files that are replaced whole.
pub use crate::store::whole;

/// What a reader of updates and an asker of history must know of the wire.
pub use crate::wire::{CountAsk, Counts, HistoryAsk, Holding, Outcome, Paging, Place, Problem, ProblemCode, SearchAsk, SnapshotReason, WorldThen};
