//! A world for one who receives another server's log through this one: not this server's word, but that of the
//! server whose log it is, for that reader and as far as its lease reaches. It is asked for there, and passed on as
//! the bytes that came; then all goes on from where it ends.
//!
//! Until it is there nothing of the log is told, and everything else goes on as ever. Why it is not there the reader
//! is told in words, and it is asked for again.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;

use super::Session;
use super::stream::{Rest, Stream};
use super::wire::Said;
use crate::model::grant::Scope;
use crate::model::world::World;
use crate::server::house::House;
use crate::server::metrics::count;
use crate::wire::{Lease, ProblemCode, Raw, SealedWorld, Snapshot, SnapshotReason, ToClient};

/// How long this server's own copy may take to come as far as the world.
const REACHES: Duration = Duration::from_secs(30);
/// Until it is asked for again, at first and at last.
const AGAIN: Duration = Duration::from_secs(1);
const LATER: Duration = Duration::from_secs(60);
/// So often it may be another one than is wanted by now, without a word.
const QUIETLY: u32 = 8;

/// A world that is waited for.
pub(super) struct Awaited {
    rest: Rest,
    why: SnapshotReason,
    /// What the lease covers by which it was asked for.
    covers: Option<Scope>,
    come: BoxFuture<'static, Result<SealedWorld, String>>,
    /// What the reader was told last of why it does not come.
    said: Option<String>,
    tries: u32,
}

/// What has come; never, where nothing is waited for.
pub(super) async fn next(awaited: &mut Option<Box<Awaited>>) -> Result<SealedWorld, String> {
    match awaited {
        Some(awaited) => (&mut awaited.come).await,
        None => std::future::pending().await,
    }
}

/// Asks for it, after a while or when somebody can be asked who could not be before; and waits until this server's
/// copy of the log has come as far.
async fn ask(house: Arc<House>, lease: Option<Lease>, nonce: Raw, wait: Duration) -> Result<SealedWorld, String> {
    let (Some(lease), Some(replica)) = (lease, house.replica()) else { return Err("nothing of it may be passed on".to_owned()) };
    if !wait.is_zero() {
        let _ = tokio::time::timeout(wait, replica.worlds().moved()).await;
    }
    let sealed = replica.seal_world(lease, nonce).await?;
    match tokio::time::timeout(REACHES, reaches(&house, &sealed)).await {
        Ok(()) => Ok(sealed),
        Err(_) => Err(format!("what came since event {} has not come here for {} s", house.log.head().sequence.0, REACHES.as_secs())),
    }
}

/// Until the log has come as far as this world, or is of a later life: then another one is needed.
async fn reaches(house: &House, sealed: &SealedWorld) {
    loop {
        let mut subscription = house.hub.subscribe(None);
        let head = house.log.head();
        let mut known = (head.incarnation, subscription.head);
        while known < (sealed.incarnation, sealed.head) {
            let Some(publication) = subscription.next().await else { break };
            known = (publication.incarnation, publication.to);
        }
        if known >= (sealed.incarnation, sealed.head) {
            return;
        }
    }
}

impl Session {
    /// From here on, until it is there, nothing of the log is told.
    pub(super) async fn await_world(&mut self, stream: Stream, why: SnapshotReason) -> Said {
        self.wait_for(stream.rests(), why, None, 0).await
    }

    async fn wait_for(&mut self, rest: Rest, why: SnapshotReason, said: Option<String>, tries: u32) -> Said {
        self.tell_lease().await?;
        let (lease, covers) = self.leased.as_ref().and_then(|told| told.lease.clone()).unzip();
        let nonce = rest.nonce.clone().unwrap_or(Raw(Vec::new()));
        let wait = tries.checked_sub(1).map_or(Duration::ZERO, |tries| AGAIN.saturating_mul(1 << tries.min(10)).min(LATER));
        let come = Box::pin(ask(self.wire.house.clone(), lease, nonce, wait));
        self.awaited = Some(Box::new(Awaited { rest, why, covers, come, said, tries }));
        Ok(())
    }

    /// What the reader may see is not what it was when it was asked for.
    pub(super) async fn await_another(&mut self) -> Said {
        match self.awaited.take() {
            Some(awaited) => self.wait_for(awaited.rest, awaited.why, awaited.said, 0).await,
            None => Ok(()),
        }
    }

    /// It has come, or is not to be had now.
    pub(super) async fn world_comes(&mut self, come: Result<SealedWorld, String>) -> Said {
        let Some(awaited) = self.awaited.take() else { return Ok(()) };
        let Awaited { rest, why, covers, said, tries, .. } = *awaited;
        Box::pin(self.settle()).await?;
        self.tell_lease().await?;
        let same = self.leased.as_ref().and_then(|told| told.lease.as_ref()).map(|(_, covers)| covers) == covers.as_ref();
        let refused = match come {
            Ok(sealed) if same => {
                // A subscription first, so that nothing falls between it and what is told.
                let house = self.wire.house.clone();
                let subscription = house.hub.subscribe(None);
                let (lens, head, epoch) = (self.lens().await?.map(|lens| (*lens).clone()), house.log.head(), self.epoch());
                if self.holds() && head.incarnation == sealed.incarnation && subscription.head >= sealed.head {
                    let from = sealed.head;
                    let bare = World { head: from, epoch, ..World::new(head.origin, head.incarnation) };
                    let snapshot = Snapshot {
                        incarnation: head.incarnation,
                        head: from,
                        base: head.base,
                        why,
                        world: Arc::new(bare),
                        events: Vec::new(),
                        lag: house.lag(),
                        sealed: Some(sealed),
                    };
                    count(&self.wire.shared.metrics.snapshots);
                    self.wire.say(&ToClient::Snapshot(snapshot)).await?;
                    return self.catch_up(rest.goes_on(subscription, head.incarnation, epoch, lens), from).await;
                }
                None
            }
            Ok(_) => None,
            Err(words) => Some(words),
        };
        // Another one is needed by now: that is asked for without a word, unless it goes on so.
        let refused = refused.or_else(|| (tries >= QUIETLY).then(|| "it changes faster than it is signed".to_owned()));
        let words = refused.map(|why| format!("how it stands its own server has to sign, and that cannot be had now: {why}")).or(said.clone());
        if let Some(words) = words.as_ref().filter(|words| said.as_ref() != Some(words)) {
            self.wire.problem(ProblemCode::Unavailable, None, words.clone()).await?;
        }
        self.wait_for(rest, why, words, tries.saturating_add(1)).await
    }
}
