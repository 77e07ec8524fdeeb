//! What is told as a log goes on: a snapshot or what was missed, then what happens, then what one sees anew.

use std::sync::Arc;

use bytes::Bytes;

use super::Session;
use super::outlet::AtRest;
use super::wire::{Over, Said};
use crate::model::filter::Filter;
use crate::model::grant::{Epoch, Lens, Right};
use crate::model::id::{Incarnation, Sequence};
use crate::model::time::Span;
use crate::server::core::Durable;
use crate::server::hub::{Ear, Publication, Subscription};
use crate::server::metrics::count;
use crate::server::resume;
use crate::server::rights::{Standing, shown};
use crate::server::turns::in_turns;
use crate::store::Row;
use crate::trust::{Signer, seal};
use crate::wire::{Batch, Cursor, EventBytes, ProblemCode, Raw, Role, SnapshotReason, Subscribe, ToClient};

/// A subscription that runs.
pub(super) struct Stream {
    subscription: Subscription,
    filter: Option<Filter>,
    history: u32,
    /// Everything up to here of this life of the log was told.
    sent: Sequence,
    life: Incarnation,
    /// What marks that what was told is what was seen then.
    epoch: Option<Epoch>,
    /// What of it is shown; none: all.
    lens: Option<Lens>,
    /// Another server's log, for a third one.
    relays: bool,
    /// What that one wants its world signed over by the server whose log it is.
    nonce: Option<Raw>,
}

/// A stream that waits for a world to begin with.
pub(super) struct Rest {
    filter: Option<Filter>,
    history: u32,
    pub(super) nonce: Option<Raw>,
}

impl Rest {
    /// It goes on from where this server stands.
    pub(super) fn goes_on(self, subscription: Subscription, life: Incarnation, epoch: Option<Epoch>, lens: Option<Lens>) -> Stream {
        Stream { sent: subscription.head, life, epoch, subscription, filter: self.filter, history: self.history, lens, relays: true, nonce: self.nonce }
    }
}

/// An event as it is told, and, where it is another server's and is passed on, that one's signature of it; behind
/// it that of its outline, where there is one.
pub(super) struct Shown {
    event: EventBytes,
    seal: Option<Bytes>,
}

/// What was passed on to us and is passed on bears its own server's signature, or is nobody's word: of what is
/// shown of a row.
fn sealed(row: &Row, shown: &Bytes) -> Option<Bytes> {
    let seal = row.seal.as_ref()?;
    match *shown == row.bytes {
        true => Some(seal.clone()),
        false => seal.get(seal::LENGTH..).filter(|outline| !outline.is_empty()).map(|outline| seal.slice_ref(outline)),
    }
}

/// What of these rows is shown through a lens; none: all of it. `relays`: they are another server's, and passed on.
pub(super) fn shown_of(rows: &[Row], lens: Option<&Lens>, relays: bool) -> Vec<Shown> {
    let told = rows.iter().filter_map(|row| {
        let bytes = lens.map_or_else(|| Some(row.bytes.clone()), |lens| shown::row(lens, row))?;
        let seal = if relays { sealed(row, &bytes) } else { None };
        (seal.is_some() || !relays).then_some(Shown { event: EventBytes(bytes), seal })
    });
    told.collect()
}

/// Events with what stands beside them: what their server signed, or what the signer signs now, whose events they
/// are; nothing where neither is.
pub(super) async fn seals_of(shown: Vec<Shown>, signer: Option<&Signer>) -> (Vec<EventBytes>, Vec<Raw>, Vec<Raw>) {
    let (events, kept): (Vec<EventBytes>, Vec<Option<Bytes>>) = shown.into_iter().map(|shown| (shown.event, shown.seal)).unzip();
    if let Some(signer) = signer {
        let (mut seals, mut outlines) = (Vec::with_capacity(events.len()), Vec::with_capacity(events.len()));
        in_turns(&events, |_, part| {
            seals.extend(part.iter().filter_map(|event| seal::seal(signer, &event.0)));
            outlines.extend(part.iter().map(|event| seal::outline(signer, &event.0)));
        })
        .await;
        return if seals.len() == events.len() { (events, seals, unless_empty(outlines)) } else { (events, Vec::new(), Vec::new()) };
    }
    if kept.iter().all(Option::is_none) {
        return (events, Vec::new(), Vec::new());
    }
    let part = |seal: &Option<Bytes>, of: &dyn Fn(&[u8]) -> Option<&[u8]>| Raw(seal.as_ref().and_then(|seal| of(seal)).unwrap_or_default().to_vec());
    let seals = kept.iter().map(|seal| part(seal, &|seal| seal.get(..seal::LENGTH))).collect();
    let outlines = kept.iter().map(|seal| part(seal, &|seal| seal.get(seal::LENGTH..))).collect();
    (events, seals, unless_empty(outlines))
}

impl Stream {
    /// What is left of it while nothing is told: its queue would fill in vain.
    pub(super) fn rests(self) -> Rest {
        Rest { filter: self.filter, history: self.history, nonce: self.nonce }
    }

    /// What of these rows the reader is told.
    fn events(&self, rows: &[Row], server: &str) -> Vec<Shown> {
        let mut shown = shown_of(rows, self.lens.as_ref(), self.relays);
        shown.retain(|shown| shown::matches(self.filter.as_ref(), server, &shown.event.0));
        shown
    }
}

impl Session {
    pub(super) async fn subscribe(&mut self, ask: Subscribe) -> Said {
        // Times in a filter are read as UTC here: the reader's zone is the reader's affair.
        let filter = match ask.filter.as_deref().map(|text| Filter::new(text, self.wire.shared.clock.now(), &jiff::tz::TimeZone::UTC)).transpose() {
            Ok(filter) => filter,
            Err(error) => return self.wire.problem(ProblemCode::Invalid, None, format!("the filter: {error}")).await,
        };
        self.tell_lease().await?;
        self.vitals = ask.vitals.then(|| (self.wire.house.hub.follow_vitals(), 0));
        if let Some((changes, _)) = &mut self.vitals {
            changes.mark_changed();
        }
        // Of this server itself alone: whoever wants to know about another asks that one.
        let own = Arc::ptr_eq(&self.wire.house, &self.wire.shared.own);
        self.health = (ask.health && own).then(|| self.wire.shared.health.clone());
        if let Some(health) = &mut self.health {
            // Before the snapshot: whoever asks once and goes has it too.
            let frame = health.borrow_and_update().clone();
            self.tell_health(&frame).await?;
        }
        self.peers = self.wire.shared.peers.as_ref().filter(|_| ask.peers && own).map(|peers| peers.follow());
        if let Some(peers) = &mut self.peers {
            let frame = peers.borrow_and_update().clone();
            self.tell_peers(&frame).await?;
        }
        self.readings = ask.readings.then(|| (self.wire.house.hub.follow_readings(), 0));
        self.catch_up_readings().await?;
        self.follow_presence(ask.presence).await?;
        (self.stream, self.awaited) = (None, None);
        let subscription = self.subscription();
        let history = ask.history.min(self.wire.shared.limits.history);
        let lens = self.lens().await?.map(|lens| (*lens).clone());
        let (head, epoch) = (self.wire.house.log.head(), self.epoch());
        let relays = self.hello.role == Role::Peer && !own;
        let nonce = ask.nonce.filter(|_| relays);
        let stream = Stream { sent: subscription.head, life: head.incarnation, epoch, subscription, filter, history, lens, relays, nonce };
        match resume::from_cursor(ask.cursor, head, stream.subscription.head, epoch, self.wire.shared.limits.catch_up) {
            Ok(from) => self.catch_up(stream, from).await,
            Err(why) => self.snapshot(stream, why).await,
        }
    }

    /// Of a peer each word is signed, or leased: none is told in passing.
    fn subscription(&self) -> Subscription {
        let alone = self.hello.role != Role::Peer;
        self.wire.house.hub.subscribe(alone.then(|| self.wire.outlet.clone() as Arc<dyn Ear>))
    }

    /// All was told, for now. Who is told everything as it is can be told by whoever publishes.
    pub(super) fn rests(&self) {
        if let Some(stream) = &self.stream
            && stream.filter.is_none()
            && stream.lens.is_none()
            && self.hello.role != Role::Peer
            && !stream.subscription.waits()
        {
            let (sent, life, encoding, held) = (stream.sent, stream.life, self.wire.encoding, self.principal.held());
            self.wire.outlet.rests(AtRest { sent, life, encoding, held });
        }
    }

    /// It has its turn: how far it was told while it rested.
    pub(super) fn wakes(&mut self) {
        if let (Some(sent), Some(stream)) = (self.wire.outlet.wakes(), &mut self.stream) {
            stream.sent = sent;
        }
    }

    /// Sends what follows `from`, then goes on with the stream.
    pub(super) async fn catch_up(&mut self, mut stream: Stream, mut from: Sequence) -> Said {
        let to = stream.subscription.head;
        let house = self.wire.house.clone();
        while from < to {
            let rows = match resume::following(&house, from, to, stream.relays).await {
                Ok(rows) => rows,
                Err(None) => return self.snapshot(stream, SnapshotReason::TooOld).await,
                Err(Some(error)) => return self.breaks_off(error.to_string()).await,
            };
            Box::pin(self.tell_lease()).await?;
            if !self.holds() {
                Box::pin(self.settle()).await?;
                return self.snapshot(stream, SnapshotReason::Scope).await;
            }
            if stream.lens.as_mut().is_some_and(|lens| shown::moved(lens, &rows)) {
                return self.snapshot(stream, SnapshotReason::Scope).await;
            }
            // Nothing: what is left are places of events that were never received.
            let last = rows.last().map_or(to, |row| row.sequence);
            let events = stream.events(&rows, &house.name);
            self.batch(stream.life, from, last, events, house.lag()).await?;
            from = last;
        }
        // A claim at least: the reader learns that it is up to date.
        self.batch(stream.life, to, to, Vec::new(), house.lag()).await?;
        stream.sent = to;
        self.stream = Some(stream);
        Ok(())
    }

    pub(super) async fn batch(&mut self, life: Incarnation, from: Sequence, to: Sequence, events: Vec<Shown>, lag: Span) -> Said {
        self.tell_lease().await?;
        if self.wire.house.log.head().incarnation != life {
            // The log began anew meanwhile: so does what is told of it, next.
            return Ok(());
        }
        if self.passes_on() {
            let batch = self.signed(from, to, events, lag).await?;
            return self.wire.say(&ToClient::Batch(batch)).await;
        }
        let events = events.into_iter().map(|shown| shown.event).collect();
        match resume::batch(self.wire.house.log.head(), from, to, events, lag, self.wire.encoding) {
            Some(message) => self.wire.send(message).await,
            None => Err(Over),
        }
    }

    /// Whether what is told bears the signature of the server whose log it is: where the other side may tell it to
    /// others, and where it is told as another's.
    pub(super) fn passes_on(&self) -> bool {
        self.hello.role == Role::Peer && (self.wire.house.replica().is_some() || self.principal.sight().rights.has(Right::Federate))
    }

    /// For one who passes it on: signed by the server whose log it is.
    pub(super) async fn signed(&mut self, from: Sequence, to: Sequence, events: Vec<Shown>, lag: Span) -> Result<Batch, Over> {
        let house = self.wire.house.clone();
        let head = house.log.head();
        let batch = Batch { incarnation: head.incarnation, from, to, events: Vec::new(), lag, seals: Vec::new(), outlines: Vec::new(), claim: None };
        if let Some(replica) = house.replica() {
            let claim = replica.claim().filter(|claim| to <= claim.to);
            if claim.is_none() && from < to {
                // This server was started anew, and has not heard from it since.
                let words = "how far that log goes, its own server has not said to this one yet";
                self.wire.problem(ProblemCode::Unavailable, None, words).await?;
                return Err(Over);
            }
            let (events, seals, outlines) = seals_of(events, None).await;
            return Ok(Batch { events, seals, outlines, claim, ..batch });
        }
        let signer = self.wire.shared.gate.signer();
        // Everything that is published is durable.
        let claim = signer.and_then(|signer| seal::claim(signer, head.origin, head.incarnation, to.max(house.hub.head()), self.wire.shared.clock.now()));
        let (events, seals, outlines) = seals_of(events, signer).await;
        Ok(Batch { claim: claim.filter(|_| seals.len() == events.len()), events, seals, outlines, ..batch })
    }

    pub(super) async fn snapshot(&mut self, stream: Stream, why: SnapshotReason) -> Said {
        let Some(durable) = self.wire.house.durable().await else { return Err(Over) };
        self.snapshot_of(stream, durable, why).await
    }

    pub(super) async fn snapshot_of(&mut self, mut stream: Stream, durable: Arc<Durable>, why: SnapshotReason) -> Said {
        if let Some(words) = self.principal.over(self.wire.shared.clock.now()) {
            // It ended while the world was waited for.
            return self.ended(words).await;
        }
        if stream.nonce.is_some() {
            return self.await_world(stream, why).await;
        }
        let snapshot = loop {
            self.tell_lease().await?;
            stream.lens = self.principal.view().lens(&durable.world);
            stream.epoch = Epoch::both(durable.world.epoch, self.principal.mark());
            let (house, encoding) = (&self.wire.house, self.wire.encoding);
            let snapshot = match &stream.lens {
                Some(lens) => shown::snapshot(&durable, house, lens, stream.history, why, encoding).await,
                None => resume::snapshot(&durable, house, stream.history, why, encoding).await,
            };
            if self.holds() {
                break snapshot;
            }
            Box::pin(self.settle()).await?;
        };
        match snapshot {
            Ok(message) => {
                count(&self.wire.shared.metrics.snapshots);
                (stream.sent, stream.life) = (durable.world.head, durable.world.incarnation);
                drop(durable);
                let (head, life) = (stream.sent, stream.life);
                self.wire.send(message).await?;
                self.stream = Some(stream);
                // The signed word on how far the log goes, at once.
                if self.passes_on() { self.batch(life, head, head, Vec::new(), self.wire.house.lag()).await } else { Ok(()) }
            }
            Err(words) => self.breaks_off(words).await,
        }
    }

    /// The log cannot be read now: whoever is to be told of it comes again after a while, and waits longer each time.
    async fn breaks_off(&mut self, words: String) -> Said {
        self.wire.problem(ProblemCode::Unavailable, None, words).await?;
        Err(Over)
    }

    pub(super) async fn publish(&mut self, publication: Option<Arc<Publication>>) -> Said {
        if self.stream.is_some() && self.hello.role == Role::Peer {
            Box::pin(self.tell_lease()).await?;
        }
        let changed = !self.holds() && Box::pin(self.look_anew()).await?;
        let passes_on = self.passes_on();
        let Some(stream) = &mut self.stream else { return Ok(()) };
        let Some(publication) = publication else { return Box::pin(self.lapsed()).await };
        let claims = publication.rows.is_empty() && publication.to == stream.sent;
        if publication.to <= stream.sent && !claims {
            // The snapshot held it already.
            return if changed { Box::pin(self.see_anew()).await } else { Ok(()) };
        }
        if publication.from != stream.sent {
            tracing::error!(from = publication.from.0, sent = stream.sent.0, "a publication does not follow the one before it");
            return Err(Over);
        }
        stream.sent = publication.to;
        let life = publication.incarnation;
        if stream.filter.is_none() && stream.lens.is_none() && !passes_on && !changed {
            return match publication.message(self.wire.encoding) {
                Some(message) => self.wire.send(message).await,
                None => Err(Over),
            };
        }
        let anew = stream.lens.as_mut().is_some_and(|lens| shown::moved(lens, &publication.rows)) || changed;
        let events = stream.events(&publication.rows, &self.wire.house.name);
        Box::pin(self.batch(life, publication.from, publication.to, events, publication.lag)).await?;
        if anew { Box::pin(self.see_anew()).await } else { Ok(()) }
    }

    /// What marks that this one sees of this log what it sees.
    pub(super) fn epoch(&self) -> Option<Epoch> {
        Epoch::both(self.wire.house.epoch(), self.principal.mark())
    }

    /// Too slow, or the log begins anew: the queue is gone. A new one first, so that nothing falls between it
    /// and what is told.
    pub(super) async fn lapsed(&mut self) -> Said {
        let Some(old) = self.stream.take() else { return Ok(()) };
        let subscription = self.subscription();
        let (head, epoch) = (self.wire.house.log.head(), self.epoch());
        // What this server itself sees of that log may be another part of it since.
        let cursor = Cursor { origin: head.origin, incarnation: old.life, sequence: old.sent, epoch: old.epoch };
        let from = resume::from_cursor(Some(cursor), head, subscription.head, epoch, self.wire.shared.limits.catch_up);
        let stream = Stream { sent: subscription.head, life: head.incarnation, subscription, ..old };
        match (from, self.hello.role) {
            // A server keeps the log: it is to miss nothing.
            (Ok(from), Role::Peer) => self.catch_up(stream, from).await,
            (Ok(_), _) => self.snapshot(stream, SnapshotReason::Slow).await,
            (Err(why), _) => self.snapshot(stream, why).await,
        }
    }

    /// What is told from here on is told as it is seen now. True: that is not what it was.
    async fn look_anew(&mut self) -> Result<bool, Over> {
        let mut changed = false;
        while let Some(standing) = self.principal.news(self.wire.shared.clock.now()) {
            if let Standing::Ended(words) = standing {
                return self.ended(words).await.map(|()| false);
            }
            changed = true;
            self.told_anew();
            let Some(durable) = self.wire.house.durable().await else { return Err(Over) };
            let lens = self.principal.view().lens(&durable.world);
            if let Some(stream) = &mut self.stream {
                stream.lens = lens;
            }
        }
        Ok(changed)
    }

    /// What is seen is not what it was: the world anew, and before it all that led to it.
    pub(super) async fn see_anew(&mut self) -> Said {
        if self.stream.is_none() {
            return self.await_another().await;
        }
        let Some(durable) = self.wire.house.durable().await else { return Err(Over) };
        let lens = self.principal.view().lens(&durable.world);
        if let Some(stream) = &mut self.stream {
            stream.lens = lens;
        }
        // All of that world was published: what of it was not told yet waits in the queue.
        while let Some(stream) = &mut self.stream
            && stream.sent < durable.world.head
        {
            match stream.subscription.next().await {
                Some(publication) if publication.to > stream.sent => {
                    stream.sent = publication.to;
                    self.tell_lease().await?;
                    if !self.holds() {
                        self.look_anew().await?;
                    }
                    let Some(stream) = &self.stream else { return Ok(()) };
                    let events = stream.events(&publication.rows, &self.wire.house.name);
                    self.batch(publication.incarnation, publication.from, publication.to, events, publication.lag).await?;
                }
                Some(_) => {}
                None => return self.lapsed().await,
            }
        }
        match self.stream.take() {
            Some(stream) => self.snapshot_of(stream, durable, SnapshotReason::Scope).await,
            None => Ok(()),
        }
    }
}

/// Few events have outlines: where none has, nothing is said.
fn unless_empty(outlines: Vec<Raw>) -> Vec<Raw> {
    if outlines.iter().all(|outline| outline.0.is_empty()) { Vec::new() } else { outlines }
}

pub(super) async fn next(stream: &mut Option<Stream>) -> Option<Arc<Publication>> {
    match stream {
        Some(stream) => stream.subscription.next().await,
        None => std::future::pending().await,
    }
}
