//! Rights end while something is under way. What is told of a log is what its reader may see when it is told, and
//! not what they might when they asked: each answer says of what it was made, that is looked at in the moment it
//! is to go out, and what was made of something else is asked for anew, as if it were asked then.
//!
//! When a right is taken away, that is durable first, then known to every session, and then to whoever took it
//! away. From there on nothing is handed to a socket that is made of more than what is left. What still reaches the
//! other side is what its socket had been handed by then: one message on each connection (half a megabyte of events
//! at most, or a world), and what the kernels at both ends and the line between them hold. What waits in a
//! subscription's queue is rows of the log, and becomes frames when its turn comes: of what may be seen then.

use std::sync::Arc;

use tokio::sync::watch;

use super::Session;
use super::wire::{Over, Said};
use crate::model::grant::{Lens, Scope};
use crate::server::rights::Standing;
use crate::server::rights::need::ask_of;
use crate::wire::{ProblemCode, ToServer};

/// How often an answer is made anew, before who asks is told to ask again.
const TURNS: u8 = 3;

/// What was asked of a log, and what its answer is made of.
#[derive(Clone)]
pub(in crate::server) struct Asked {
    pub ask: ToServer,
    scope: Arc<Scope>,
    /// With a lens: of what it shows.
    pub lens: Option<Arc<Lens>>,
    turn: u8,
}

impl Asked {
    /// The rest of the same, of what its reader saw at its beginning.
    #[must_use]
    pub fn going_on(&self, ask: ToServer) -> Asked {
        Asked { ask, ..self.clone() }
    }
}

impl Session {
    /// What is asked of the log as it is shown now.
    pub(super) async fn asked(&mut self, ask: ToServer, turn: u8) -> Result<Asked, Over> {
        // Before the lens: what changes meanwhile makes it another.
        let scope = self.principal.sight().clone();
        Ok(Asked { ask, scope, lens: self.lens().await?, turn })
    }

    /// As what was asked of worlds that are restricted when they are made.
    pub(super) fn asked_of_worlds(&self, ask: ToServer, turn: u8) -> Asked {
        Asked { ask, scope: self.principal.sight().clone(), lens: None, turn }
    }

    /// Whether an answer that was made of this shows what its reader may see now, and nothing else. It goes out at
    /// once then.
    pub(super) async fn still_shows(&mut self, asked: &Asked) -> Result<bool, Over> {
        loop {
            self.settle().await?;
            if asked.scope != *self.principal.sight() {
                return Ok(false);
            }
            let Some(lens) = &asked.lens else { return Ok(true) };
            let now = self.lens().await?;
            if self.holds() {
                return Ok(now.is_some_and(|now| now.shows_all_of(lens)));
            }
        }
    }

    /// What was asked, asked anew: by what its asker may now.
    pub(super) async fn anew(&mut self, asked: Asked) -> Said {
        if asked.turn >= TURNS {
            return self.wire.problem(ProblemCode::Unavailable, ask_of(&asked.ask), MOVED).await;
        }
        let next = asked.turn.saturating_add(1);
        Box::pin(self.weigh(asked.ask, next)).await
    }

    /// Whether nothing has come that makes another of what may be seen.
    pub(super) fn holds(&self) -> bool {
        self.principal.holds(self.wire.shared.clock.now())
    }

    /// Takes note of what has become of the rights of who is there.
    pub(super) async fn settle(&mut self) -> Said {
        while let Some(standing) = self.principal.news(self.wire.shared.clock.now()) {
            Box::pin(self.stands(standing)).await?;
        }
        Ok(())
    }

    pub(super) async fn stands(&mut self, standing: Standing) -> Said {
        match standing {
            Standing::Changed => {
                self.told_anew();
                // Beside the log, too, nothing is told that no lease covers.
                self.tell_lease().await?;
                self.see_anew().await
            }
            Standing::Ended(words) => self.ended(words).await,
        }
    }

    /// Who looks at what, and what a peer may have of others' logs, is told as it may be known now.
    pub(super) fn told_anew(&mut self) {
        self.presence_anew();
        self.peers.iter_mut().for_each(watch::Receiver::mark_changed);
    }

    /// They may nothing any more.
    pub(super) async fn ended(&mut self, words: String) -> Said {
        self.wire.problem(ProblemCode::Unauthorized, None, words).await?;
        Err(Over)
    }
}

pub(in crate::server) const MOVED: &str = "what you may see changed while this was answered: ask again";
