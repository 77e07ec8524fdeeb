//! One end of a connection, as consoles, agents and peers use it: connect, say hello, subscribe, resume,
//! back off, keep what was asked until it is answered.
//!
//! What a simulation must be able to replace is handed in: the clock and random numbers ([`Clock`],
//! [`Random`]), the way to the server ([`Dial`]). Waiting is tokio's, whose time tests can pause.

pub mod address;
pub mod backoff;
pub mod clock;
pub mod connection;
pub mod conversation;
pub mod dial;
pub mod outbox;
pub mod short;
pub mod tls;

pub use address::{Address, AddressError};
pub use clock::{Clock, OsRandom, Random, SeededRandom, SteadyClock, SystemClock};
pub use connection::{LinkConfig, LinkEvent, LinkFull, LinkHandle, spawn};
pub use conversation::{Conversation, LinkError};
pub use dial::{Dial, DialError, Io, Line, TcpDial, UnixDial, way};
pub use outbox::{FileOutbox, MemoryOutbox, Outbox};
pub use tls::{TlsDial, TlsTrust};
