//! The pure core: what midwatch knows and decides. It knows no clock, no file, no socket, no random
//! number and no terminal; all of these are handed in.

pub mod clean;
pub mod decide;
pub mod episode;
pub mod event;
pub mod filter;
pub mod fold;
pub mod grant;
pub mod health;
pub mod history;
pub mod id;
pub mod intent;
pub mod labels;
pub mod likeness;
pub mod loose;
pub mod mark;
pub mod nearest;
pub mod observation;
pub mod peer;
pub mod presence;
pub mod primary;
pub mod reading;
pub mod report;
pub mod requests;
pub mod severity;
pub mod skew;
pub mod system;
pub mod time;
pub mod view;
pub mod words;
pub mod world;

#[cfg(test)]
pub(crate) mod tests;
