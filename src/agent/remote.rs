//! An agent's uplink over the wire: one connection, on which every word is answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;

use super::uplink::{Batch, Uplink, UplinkError};
use crate::link::{Clock, Conversation, Dial, LinkError};
use crate::model::id::AgentId;
use crate::model::intent::RefusalCode;
use crate::model::observation::AgentHello;
use crate::trust::Proving;
use crate::wire::{Ack, Hello, Introduction, Keepalive, Observe, PROTOCOL, ProblemCode, Role, ToClient, ToServer};

/// One server, over the wire.
pub struct RemoteUplink {
    dial: Arc<dyn Dial>,
    clock: Arc<dyn Clock>,
    agent: AgentId,
    token: Option<Arc<str>>,
    proving: Option<Proving>,
    /// How long connecting, and any answer, may take.
    patience: Duration,
    /// None: not connected.
    conversation: Mutex<Option<Conversation>>,
    asked: AtomicU64,
}

impl RemoteUplink {
    /// `token` is not needed on a Unix socket.
    pub fn new(dial: Arc<dyn Dial>, clock: Arc<dyn Clock>, agent: AgentId, token: Option<Arc<str>>) -> RemoteUplink {
        RemoteUplink { dial, clock, agent, token, proving: None, patience: Duration::from_secs(20), conversation: Mutex::new(None), asked: AtomicU64::new(0) }
    }

    /// The agent proves its key, and the server its own.
    pub fn proving(mut self, proving: Proving) -> RemoteUplink {
        self.proving = Some(proving);
        self
    }

    fn next_id(&self) -> u64 {
        self.asked.fetch_add(1, Ordering::Relaxed).wrapping_add(1)
    }

    /// Says something and waits for its acknowledgement. Whatever goes wrong on the way ends the
    /// connection: an answer that comes late must not be taken for that to the next word.
    async fn ask(&self, id: u64, message: ToServer) -> Result<(), UplinkError> {
        let mut held = self.conversation.lock().await;
        // Taken out while we wait: dropped with this future, should the caller give up.
        let Some(mut conversation) = held.take() else { return Err(UplinkError::Away("there is no connection yet".into())) };
        let answered = tokio::time::timeout(self.patience, answer(&mut conversation, id, &message)).await;
        let refused = match answered {
            Ok(Ok(ack)) => ack.refused,
            Ok(Err(error)) => return Err(UplinkError::Away(error.to_string())),
            Err(_) => return Err(UplinkError::Away(LinkError::Timeout(self.patience).to_string())),
        };
        *held = Some(conversation);
        match refused {
            None => Ok(()),
            Some(refusal) if refusal.code == RefusalCode::Unavailable => Err(UplinkError::Busy(refusal.why)),
            Some(refusal) => Err(UplinkError::Refused(refusal.why)),
        }
    }
}

async fn answer(conversation: &mut Conversation, id: u64, message: &ToServer) -> Result<Ack, LinkError> {
    conversation.send(message).await?;
    loop {
        match conversation.next().await? {
            ToClient::Ack(ack) if ack.id == id => return Ok(ack),
            // What we said could not be read, or was too much: it will not be by saying it again.
            ToClient::Problem(problem) if matches!(problem.code, ProblemCode::Malformed | ProblemCode::Limit | ProblemCode::Forbidden) => {
                let refusal = crate::model::intent::Refusal::new(RefusalCode::Invalid, problem.words);
                return Ok(Ack { id, refused: Some(refusal) });
            }
            ToClient::Problem(problem) => return Err(LinkError::Broken(problem.words)),
            ToClient::Ack(_)
            | ToClient::Handshake(_)
            | ToClient::Welcome(_)
            | ToClient::Snapshot(_)
            | ToClient::Batch(_)
            | ToClient::Page(_)
            | ToClient::WorldThen(_)
            | ToClient::MarksKept(_)
            | ToClient::Counts(_)
            | ToClient::Answer(_)
            | ToClient::Vitals(_)
            | ToClient::Health(_)
            | ToClient::Readings(_)
            | ToClient::Holding(_)
            | ToClient::Peers(_)
            | ToClient::Presence(_)
            | ToClient::Lease(_)
            | ToClient::Backfilled(_)
            | ToClient::WorldSealed(_)
            | ToClient::Pong(_) => {}
        }
    }
}

impl Uplink for RemoteUplink {
    async fn hello(&self, hello: &AgentHello) -> Result<(), UplinkError> {
        {
            let mut held = self.conversation.lock().await;
            if held.is_none() {
                let greeting = Hello {
                    protocol: PROTOCOL,
                    role: Role::Agent,
                    name: self.agent.as_str().into(),
                    token: self.token.clone(),
                    version: env!("CARGO_PKG_VERSION").into(),
                    zstd: true,
                    redeem: None,
                    key: None,
                    origin: None,
                };
                let opened = Conversation::open(&*self.dial, &greeting, self.proving.as_ref(), self.patience).await;
                *held = Some(opened.map_err(|error| UplinkError::Away(error.to_string()))?);
            }
        }
        let id = self.next_id();
        self.ask(id, ToServer::Agent(Introduction { id, hello: hello.clone() })).await
    }

    async fn observe(&self, batch: &Batch) -> Result<(), UplinkError> {
        let id = self.next_id();
        self.ask(id, ToServer::Observe(Observe { id, observations: batch.observations.clone() })).await
    }

    async fn keepalive(&self) -> Result<(), UplinkError> {
        let id = self.next_id();
        self.ask(id, ToServer::Keepalive(Keepalive { id, agent: self.agent.clone(), at: self.clock.now() })).await
    }
}
