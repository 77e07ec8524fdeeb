//! A peer is told what it may receive of this log and pass on, and until when: before anything of the log, and
//! again before that is over.

use std::sync::Arc;

use super::Session;
use super::wire::Said;
use crate::model::grant::Scope;
use crate::model::time::{Span, Time};
use crate::server::peer::Leased;
use crate::trust::grant::lease;
use crate::wire::{Lease, Role, ToClient};

/// What was told last, and of what it was made.
pub(super) struct Told {
    scope: Arc<Scope>,
    /// What this server itself holds of another's log.
    held: Option<Arc<Leased>>,
    at: Time,
    /// By then it is told anew.
    again: Option<Time>,
    /// What was told, and what of the log that lets the peer see; nothing, where nothing could be.
    pub(super) lease: Option<(Lease, Scope)>,
}

impl Session {
    pub(super) async fn tell_lease(&mut self) -> Said {
        let (Role::Peer, Some(said)) = (self.hello.role, &self.hello.key) else { return Ok(()) };
        // A key that was proved counts. Without one it is the owner's own server, which says its key.
        let key = self.principal.own_key().unwrap_or_else(|| said.clone());
        let shared = self.wire.shared.clone();
        let (now, scope, held) = (shared.clock.now(), self.principal.scope().clone(), self.principal.leased().cloned());
        let known = self.leased.as_ref().is_some_and(|told| {
            let in_time = told.again.is_none_or(|again| told.at <= now && now < again);
            in_time && told.scope == scope && told.held == held
        });
        if known {
            return Ok(());
        }
        let Some(signer) = shared.gate.signer() else { return Ok(()) };
        let made = match &held {
            Some(leased) => lease::pass(&leased.held, signer, &key, &self.principal.name, &scope),
            None if self.wire.house.replica().is_some() => return Ok(()),
            None => lease::lease(signer, &key, &scope, now.plus(shared.lease)),
        };
        let again = held.is_none().then(|| now.plus(Span::from_micros(shared.lease.micros().div_euclid(2))));
        let covered = held.as_ref().map_or_else(|| Scope { expires: None, ..(*scope).clone() }, |leased| leased.offers(&scope));
        let told = made.as_ref().ok().map(|lease| (lease.clone(), covered));
        self.leased = Some(Told { scope, held, at: now, again, lease: told });
        match made {
            Ok(lease) => self.wire.say(&ToClient::Lease(lease)).await,
            Err(why) => {
                tracing::warn!(peer = &*self.principal.name, %why, "a peer cannot be told how much of a log it may pass on");
                Ok(())
            }
        }
    }
}
