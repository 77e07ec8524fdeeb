//! Git repositories that the configuration names: each new commit on their branch becomes a `change`.
//!
//! They are read by the program git, by argument vector and as little of it as possible ([`git`]): a
//! repository on this machine where it is, another's newest commits as a bare clone without files in the
//! data folder, which may be deleted at any time. What was told is known from the log itself: the world
//! keeps each repository's newest commits, so that none is told twice, whatever happens to the clone.

mod commit;
mod config;
mod follow;
mod git;
mod watch;

#[cfg(test)]
mod tests;

pub(super) use config::place_of;
pub use config::{Fault, RepositoryConfig};
pub use watch::{Repositories, RepositoryState, Watch};
