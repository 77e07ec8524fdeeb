//! What a server lets one connection do.

use std::time::Duration;

/// What a server lets one connection do.
#[derive(Clone, Debug)]
pub struct Limits {
    /// From the upgrade to the hello.
    pub handshake: Duration,
    /// How long one frame may take to be written; a long message is many.
    pub patience: Duration,
    /// Messages a second; more are taken later.
    pub rate: u32,
    /// Newest events that come with a snapshot.
    pub history: u32,
    /// More events than this are not sent one by one: a snapshot is shorter.
    pub catch_up: u64,
    /// Asks for history that wait.
    pub asks: usize,
    /// Requests and observations under way.
    pub replies: usize,
    pub observations: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            handshake: Duration::from_secs(10),
            patience: Duration::from_secs(30),
            rate: 2_000,
            history: 10_000,
            catch_up: 100_000,
            asks: 16,
            replies: 256,
            observations: 10_000,
        }
    }
}
