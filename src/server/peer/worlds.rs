//! Worlds that are asked for at the server whose log is received, for those to whom it is passed on: one at a time,
//! by the link of the moment.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{oneshot, watch};

use super::replica::Replica;
use crate::wire::{Lease, Raw, SealAsk, SealedWorld, Sealing, ToServer};

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(30);
/// Numbers of asks begin here: a link's other asks have lower ones.
const FIRST: u64 = 1 << 40;

pub struct Worlds {
    /// Why nobody can be asked now; nothing: somebody can.
    closed: watch::Sender<Option<Arc<str>>>,
    /// Whose turn it is to ask.
    turn: tokio::sync::Mutex<()>,
    asked: Mutex<Asked>,
}

#[derive(Default)]
struct Asked {
    last: u64,
    /// The one that is under way.
    waits: Option<oneshot::Sender<Sealing>>,
}

impl Default for Worlds {
    fn default() -> Worlds {
        let closed = watch::Sender::new(Some("it has not been reached since this server was started".into()));
        Worlds { closed, turn: tokio::sync::Mutex::default(), asked: Mutex::default() }
    }
}

impl Worlds {
    fn asked(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody answers there, who knows what is asked or does not.
    pub(super) fn opens(&self, knows: bool) {
        self.stands(if knows { None } else { Some("the one that it comes from is of a version that knows no signed worlds".into()) });
    }

    fn stands(&self, why: Option<Arc<str>>) {
        self.closed.send_if_modified(|closed| {
            let differs = *closed != why;
            *closed = why;
            differs
        });
    }

    /// Nobody does any more: who waits for an answer waits in vain.
    pub(super) fn closes(&self, why: &str) {
        self.stands(Some(why.chars().take(200).collect::<String>().into()));
        self.asked().waits = None;
    }

    /// Whether it was the answer to what is under way.
    pub(super) fn answered(&self, id: u64, result: Sealing) -> bool {
        let mut asked = self.asked();
        let last = asked.last;
        // Whoever asked may have gone.
        asked.waits.take_if(|_| id == last).map(|waits| waits.send(result)).is_some()
    }

    /// Waits until somebody can be asked, or can be no more.
    pub async fn moved(&self) {
        let _ = self.closed.subscribe().changed().await;
    }
}

impl Replica {
    /// A world of this log, signed by the server whose log it is, for the one to whom the lease was handed on; or why
    /// there is none now.
    pub async fn seal_world(&self, lease: Lease, nonce: Raw) -> Result<SealedWorld, String> {
        let worlds = self.worlds();
        let _turn = worlds.turn.lock().await;
        if let Some(why) = &*worlds.closed.borrow() {
            return Err(why.to_string());
        }
        let (answer, answered) = oneshot::channel();
        let id = {
            let mut asked = worlds.asked();
            asked.last = asked.last.max(FIRST).saturating_add(1);
            asked.waits = Some(answer);
            asked.last
        };
        let sent = self.link().is_some_and(|link| link.send(ToServer::SealWorld(SealAsk { id, lease, nonce })).is_ok());
        if !sent {
            return Err("too much waits for it already".to_owned());
        }
        match tokio::time::timeout(PATIENCE, answered).await {
            Ok(Ok(Sealing::Sealed(world))) => Ok(world),
            Ok(Ok(Sealing::Refused(refusal))) => Err(refusal.why),
            Ok(Err(_)) => Err("the line to it ended".to_owned()),
            Err(_) => Err(format!("it has not answered for {} s", PATIENCE.as_secs())),
        }
    }
}
