//! Who a connection is, and what it may: asked for every message, and for every event on its way out.
//!
//! A [`Principal`] is made once, of what the connection has shown; its scope may change, or end, while it
//! is open. [`need`] says in one table what each message takes. What is told is restricted here too: events
//! and pages by a lens on the world ([`shown`]), the lossy channels beside them ([`lossy`]).

pub mod audit;
pub mod handed;
pub(super) mod lossy;
pub mod need;
pub mod principal;
pub(super) mod redeem;
mod roll;
pub(super) mod shown;

pub use audit::{Audit, Culprit};
pub use need::{Need, need};
pub use principal::{Entitlement, Principal, Standing};
pub use roll::Roll;
