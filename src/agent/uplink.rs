//! Where an agent's words go.
//!
//! The wire is one implementation of [`Uplink`], a test's recorder another. An implementation connects when it is
//! asked to say hello and keeps nothing: whatever was not answered is offered again by the agent, from its spool.

use std::future::Future;

use crate::model::observation::{AgentHello, Observation};

/// Observations that belong together: the server answers for all of them at once.
#[derive(Clone, PartialEq, Debug)]
pub struct Batch {
    /// The spool's place of the last of them. It only grows; what is offered again may come in other batches,
    /// since at least once is the promise, and a server tells repeats by check and time.
    pub id: u64,
    /// Oldest first; in order for each check.
    pub observations: Vec<Observation>,
}

/// Why the server did not take what was said.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum UplinkError {
    /// Nobody answered. The agent keeps everything, waits, says hello and goes on.
    #[error("the server cannot be reached: {0}")]
    Away(String),
    /// The server lives but cannot keep anything now (its disk is full, say). As when it is away.
    #[error("the server cannot take observations now: {0}")]
    Busy(String),
    /// The server will never take this. The agent finds the observation that is to blame, says so and goes on with
    /// the rest (F4).
    #[error("the server refused: {0}")]
    Refused(String),
}

/// One server, as an agent sees it. Calls are made one at a time; hello comes first, and again after `Away` and `Busy`.
/// A call may be dropped before it is answered (it took too long, or the agent stops): hello is the next one then.
pub trait Uplink: Send + Sync + 'static {
    /// Connects if need be, and says who speaks. Repeated whenever checks or facts change.
    fn hello(&self, hello: &AgentHello) -> impl Future<Output = Result<(), UplinkError>> + Send;

    /// Hands over a batch. Answered once the server has made it durable.
    fn observe(&self, batch: &Batch) -> impl Future<Output = Result<(), UplinkError>> + Send;

    /// Says that the agent lives, and learns whether the server does.
    fn keepalive(&self) -> impl Future<Output = Result<(), UplinkError>> + Send;
}

impl<U: Uplink> Uplink for std::sync::Arc<U> {
    fn hello(&self, hello: &AgentHello) -> impl Future<Output = Result<(), UplinkError>> + Send {
        self.as_ref().hello(hello)
    }

    fn observe(&self, batch: &Batch) -> impl Future<Output = Result<(), UplinkError>> + Send {
        self.as_ref().observe(batch)
    }

    fn keepalive(&self) -> impl Future<Output = Result<(), UplinkError>> + Send {
        self.as_ref().keepalive()
    }
}
