//! A peer asks for a world for one behind it: this server's own it signs, and for another's it asks further on. By the
//! lease that came with the log: the one who asks handed it on, and may itself see all that it covers, now.
//!
//! One at a time on a connection; and between two that had to be made a connection rests, so that no more than a
//! part of a server's time goes into what somebody may ask for as often as they like.

use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::time::Instant;

use super::Session;
use super::wire::{Over, Said};
use crate::model::grant::{Key, Scope};
use crate::model::intent::{Refusal, RefusalCode};
use crate::server::beside::beside;
use crate::server::core::Durable;
use crate::trust::grant::lease::{self, SKEW};
use crate::trust::world::{self, NONCE};
use crate::wire::{Packed, SealAsk, SealedWorld, Sealing, ToClient, WorldSealed};

/// What is refused, as the log names it.
const WORD: &str = "seal-world";
/// A connection rests for so many times as long as making its last world took.
const RESTS: u32 = 4;
/// Parts of one world that are kept while it is the newest.
const KEPT: usize = 4;

/// A world that was packed for one scope: whoever else has that gets the same.
pub(in crate::server) struct PackedWorld {
    scope: Scope,
    packed: Packed,
}

/// What is asked for on a connection.
#[derive(Default)]
pub(super) struct Sealings {
    under_way: Option<Box<Asked>>,
    rests: Option<Instant>,
}

struct Asked {
    ask: SealAsk,
    found: BoxFuture<'static, Found>,
}

/// What an answer is made of.
pub(super) enum Found {
    /// The world of this server, and what was asked for of it. Nothing: it stops.
    Own(Option<Box<Own>>),
    Passed(Result<SealedWorld, String>),
}

pub(super) struct Own {
    durable: Arc<Durable>,
    packed: Result<Packed, String>,
    /// How long that took, where it had to be made.
    took: Option<Duration>,
}

impl Own {
    /// A large world is packed beside everything else. What may be told of it is looked at afterwards.
    async fn of(durable: Arc<Durable>, scope: &Scope) -> Own {
        let known = || kept(&durable).iter().find(|kept| kept.scope == *scope).map(|kept| (kept.packed.clone(), None));
        let (of, scope) = (durable.clone(), scope.clone());
        let make = move || {
            let begun = Instant::now();
            let packed = Packed::of(&of.world.seen_by(&scope)).map_err(|error| error.to_string())?;
            let mut kept = kept(&of);
            if kept.len() < KEPT {
                kept.push(PackedWorld { scope, packed: packed.clone() });
            }
            drop(kept);
            Ok((packed, Some(begun.elapsed())))
        };
        let made = beside(&durable.world, known, make).await;
        let took = made.as_ref().ok().and_then(|(_, took)| *took);
        Own { packed: made.map(|(packed, _)| packed), durable, took }
    }
}

fn kept(durable: &Durable) -> MutexGuard<'_, Vec<PackedWorld>> {
    durable.packed.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What was found for the ask that is under way; never, where none is.
pub(super) async fn next(sealings: &mut Sealings) -> Found {
    match &mut sealings.under_way {
        Some(asked) => (&mut asked.found).await,
        None => std::future::pending().await,
    }
}

/// What a scope lets see, until whenever.
fn plain(scope: &Scope) -> Scope {
    Scope { expires: None, ..scope.clone() }
}

impl Session {
    /// For whom, and what of it; or why not.
    fn may_begin(&self, ask: &SealAsk) -> Result<(Key, Scope), String> {
        let (shared, house) = (&self.wire.shared, &self.wire.house);
        let by = self.principal.own_key().or_else(|| self.hello.key.clone()).ok_or("it is not known by what key you ask")?;
        if ask.nonce.0.len() != NONCE {
            return Err(format!("a nonce has {NONCE} bytes"));
        }
        let (own, now) = match house.replica() {
            None => (None, shared.clock.now()),
            // Of the clock of a server behind this one nothing is known.
            Some(_) => {
                let signer = shared.gate.signer().ok_or("this server has no key, and hands nothing on")?;
                (Some(Key::of(signer.public().bytes())), shared.clock.now().minus(SKEW))
            }
        };
        let (bearer, scope) =
            lease::handed(&ask.lease, house.log.head().origin, own.as_ref(), &by, now).map_err(|why| format!("this lease is not good: {why}"))?;
        if !plain(self.principal.sight()).covers(&scope) {
            return Err(format!("what you may see here is by now {}, and no more than that is passed on", self.principal.sight()));
        }
        Ok((bearer, scope))
    }

    pub(super) async fn seal_world(&mut self, ask: SealAsk) -> Said {
        let may = match self.may_begin(&ask) {
            Err(why) => Err(Refusal::new(RefusalCode::Forbidden, why)),
            Ok(_) if self.sealings.under_way.is_some() => Err(Refusal::new(RefusalCode::Unavailable, "one world at a time is signed on a connection")),
            Ok((_, scope)) => Ok(plain(&scope)),
        };
        let scope = match may {
            Ok(scope) => scope,
            Err(refusal) => {
                self.denied().if_forbidden(WORD, &refusal);
                return self.wire.say(&ToClient::WorldSealed(WorldSealed { id: ask.id, result: Sealing::Refused(refusal) })).await;
            }
        };
        let (house, rests, asked) = (self.wire.house.clone(), self.sealings.rests, ask.clone());
        let found = Box::pin(async move {
            if let Some(replica) = house.replica() {
                return Found::Passed(replica.seal_world(asked.lease, asked.nonce).await);
            }
            if let Some(rests) = rests {
                tokio::time::sleep_until(rests).await;
            }
            match house.durable().await {
                Some(durable) => Found::Own(Some(Box::new(Own::of(durable, &scope).await))),
                None => Found::Own(None),
            }
        });
        self.sealings.under_way = Some(Box::new(Asked { ask, found }));
        Ok(())
    }

    /// What was granted when it was asked for may have been taken back since.
    pub(super) async fn sealed(&mut self, found: Found) -> Said {
        let Some(asked) = self.sealings.under_way.take() else { return Ok(()) };
        if let Found::Own(Some(own)) = &found
            && let Some(took) = own.took
        {
            self.sealings.rests = Some(Instant::now() + took * RESTS);
        }
        self.settle().await?;
        let may = self.may_begin(&asked.ask).map_err(|why| Refusal::new(RefusalCode::Forbidden, why));
        let unavailable = |why: &str| Refusal::new(RefusalCode::Unavailable, why);
        let result = match (may, found) {
            (Err(refusal), _) => Err(refusal),
            (Ok(_), Found::Passed(passed)) => passed.map_err(|why| unavailable(&why)),
            (Ok(_), Found::Own(None)) => return Err(Over),
            (Ok((bearer, scope)), Found::Own(Some(own))) => self.own_sealed(*own, &bearer, &scope, &asked.ask).map_err(|why| unavailable(&why)),
        };
        if let Err(refusal) = &result {
            self.denied().if_forbidden(WORD, refusal);
        }
        let result = result.map_or_else(Sealing::Refused, Sealing::Sealed);
        self.wire.say(&ToClient::WorldSealed(WorldSealed { id: asked.ask.id, result })).await
    }

    fn own_sealed(&mut self, own: Own, bearer: &Key, scope: &Scope, ask: &SealAsk) -> Result<SealedWorld, String> {
        let signer = self.wire.shared.gate.signer().ok_or("this server has no key to sign with")?;
        let nonce: &[u8; NONCE] = ask.nonce.0.as_slice().try_into().map_err(|_| "a nonce of another length")?;
        let (durable, packed, scope) = (own.durable, own.packed?, plain(scope));
        let (world, at) = (&durable.world, self.wire.shared.clock.now());
        let (origin, incarnation, head) = (world.origin, world.incarnation, world.head);
        let said = world::Said { origin, incarnation, head, at, bearer, scope: &scope, nonce, bytes: &packed.0 };
        let signature = world::seal(signer, &said).ok_or("this server's key cannot sign now")?;
        Ok(SealedWorld { incarnation, head, at, world: packed, signature })
    }
}
