//! Tells subscribers what became durable. Each publication is encoded once, whoever gets it. Who has heard everything
//! and does nothing else hears the next one at once, in the turn of whoever publishes; each subscriber has a bounded
//! queue for all else, and one that is too slow loses it and is told everything anew.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::Message;

use super::metrics::{Metrics, count, drop_one};
use crate::model::id::{AgentId, CheckId, Incarnation, Sequence};
use crate::model::observation::Observation;
use crate::model::reading::{Latest as Numbers, Readings};
use crate::model::time::Span;
use crate::store::Row;
use crate::wire::codec::{Frame, encode};
use crate::wire::{Batch, Encoding, EventBytes, ToClient, Vitals};

/// A frame as the socket takes it: cheap to clone.
pub fn message(frame: Frame) -> Message {
    match frame {
        Frame::Binary(bytes) => Message::Binary(bytes),
        Frame::Text(text) => Message::Text(text.into()),
    }
}

/// A message to many, encoded at most once for each encoding, when the first one wants it so.
#[derive(Default)]
pub struct Encoded([OnceLock<Option<Message>>; 3]);

impl Encoded {
    /// `None`: what `make` makes cannot be encoded, which nothing that is told should bring about.
    pub fn message(&self, encoding: Encoding, make: impl FnOnce() -> ToClient<EventBytes>) -> Option<Message> {
        let [json, plain, packed] = &self.0;
        let slot = match encoding {
            Encoding::Json => json,
            Encoding::MessagePack => plain,
            Encoding::Zstd => packed,
        };
        slot.get_or_init(|| match encode(&make(), encoding) {
            Ok(frame) => Some(message(frame)),
            Err(error) => {
                tracing::error!(%error, "a message to those who listen cannot be encoded");
                None
            }
        })
        .clone()
    }
}

/// Everything in (`from`, `to`]; without rows a claim that nothing happened.
pub struct Publication {
    pub incarnation: Incarnation,
    pub from: Sequence,
    pub to: Sequence,
    pub rows: Vec<Row>,
    pub lag: Span,
    size: usize,
    encoded: Encoded,
}

impl Publication {
    pub fn new(incarnation: Incarnation, from: Sequence, to: Sequence, rows: Vec<Row>, lag: Span) -> Publication {
        let size = 64 + rows.iter().map(|row| row.bytes.len()).sum::<usize>();
        Publication { incarnation, from, to, rows, lag, size, encoded: Encoded::default() }
    }

    pub fn message(&self, encoding: Encoding) -> Option<Message> {
        self.encoded.message(encoding, || {
            let events = self.rows.iter().map(|row| EventBytes(row.bytes.clone())).collect();
            ToClient::Batch(Batch {
                incarnation: self.incarnation,
                from: self.from,
                to: self.to,
                events,
                lag: self.lag,
                seals: Vec::new(),
                outlines: Vec::new(),
                claim: None,
            })
        })
    }
}

/// The latest observations that changed since `since`, encoded once.
pub struct VitalsFrame {
    pub since: u64,
    pub version: u64,
    observations: Vec<Observation>,
    encoded: Encoded,
}

impl VitalsFrame {
    fn new(since: u64, version: u64, observations: Vec<Observation>) -> VitalsFrame {
        VitalsFrame { since, version, observations, encoded: Encoded::default() }
    }

    pub fn is_empty(&self) -> bool {
        self.observations.is_empty()
    }

    pub fn observations(&self) -> &[Observation] {
        &self.observations
    }

    pub fn message(&self, encoding: Encoding) -> Option<Message> {
        self.encoded.message(encoding, || ToClient::Vitals(Vitals { observations: self.observations.clone() }))
    }
}

/// The numbers behind alerts that changed since `since`, encoded once.
pub struct ReadingsFrame {
    pub since: u64,
    pub version: u64,
    pub readings: Readings,
    encoded: Encoded,
}

impl ReadingsFrame {
    pub fn new(since: u64, version: u64, readings: Readings) -> ReadingsFrame {
        ReadingsFrame { since, version, readings, encoded: Encoded::default() }
    }

    pub fn message(&self, encoding: Encoding) -> Option<Message> {
        self.encoded.message(encoding, || ToClient::Readings(self.readings.clone()))
    }
}

/// How much a subscriber may fall behind.
#[derive(Clone, Copy, Debug)]
pub struct QueueLimits {
    pub publications: usize,
    pub bytes: usize,
}

/// One who can be told in passing.
pub trait Ear: Send + Sync {
    /// Tells them, if nothing else is under way there, and this is what comes next. False: that is left to their queue.
    fn hears(&self, publication: &Publication) -> bool;
}

/// So many, at most, are told at once, and so many of them in one turn: whoever publishes waits for that, and has other
/// things to do.
const AT_ONCE: usize = 1_024;
const TURN: usize = 128;

pub struct Hub {
    state: Mutex<State>,
    vitals: Mutex<Latest>,
    vitals_sent: watch::Sender<Arc<VitalsFrame>>,
    readings_sent: watch::Sender<Arc<ReadingsFrame>>,
    limits: QueueLimits,
    metrics: Arc<Metrics>,
}

struct State {
    head: Sequence,
    subscribers: HashMap<u64, Arc<Subscriber>>,
    next: u64,
}

struct Subscriber {
    queue: mpsc::Sender<Arc<Publication>>,
    backlog: Arc<Backlog>,
    ear: Option<Arc<dyn Ear>>,
}

impl Subscriber {
    fn listens(&self) -> bool {
        self.ear.is_some() && !self.backlog.waits()
    }

    /// Whether there is room for it in their queue.
    fn queues(&self, publication: &Arc<Publication>, limits: QueueLimits) -> bool {
        let before = self.backlog.bytes.fetch_add(publication.size, Ordering::AcqRel);
        // One that has read everything may get a publication of any size.
        let fits = before == 0 || before.saturating_add(publication.size) <= limits.bytes;
        let queued = fits && self.queue.try_send(publication.clone()).is_ok();
        if !queued {
            self.backlog.lapsed.store(true, Ordering::Release);
        }
        queued
    }
}

#[derive(Default)]
struct Backlog {
    bytes: AtomicUsize,
    lapsed: AtomicBool,
}

impl Backlog {
    fn waits(&self) -> bool {
        self.bytes.load(Ordering::Acquire) > 0
    }
}

#[derive(Default)]
struct Latest {
    version: u64,
    changed: bool,
    checks: BTreeMap<(AgentId, CheckId), (u64, Observation)>,
}

/// Checks whose latest observation is held for those who come later.
const MOST_CHECKS: usize = 100_000;

impl Hub {
    pub fn new(limits: QueueLimits, metrics: Arc<Metrics>) -> Arc<Hub> {
        let state = State { head: Sequence(0), subscribers: HashMap::new(), next: 0 };
        let (vitals_sent, _) = watch::channel(Arc::new(VitalsFrame::new(0, 0, Vec::new())));
        let (readings_sent, _) = watch::channel(Arc::new(ReadingsFrame::new(0, 0, Readings::default())));
        Arc::new(Hub { state: Mutex::new(state), vitals: Mutex::default(), vitals_sent, readings_sent, limits, metrics })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last event that was published.
    pub fn head(&self) -> Sequence {
        self.state().head
    }

    /// Where the log stands when the server starts.
    pub fn begin_at(&self, head: Sequence) {
        self.state().head = head;
    }

    /// The log is another from there on: everybody begins anew.
    pub fn begin_anew(&self, head: Sequence) {
        let mut state = self.state();
        state.head = head;
        for (_, subscriber) in state.subscribers.drain() {
            subscriber.backlog.lapsed.store(true, Ordering::Release);
        }
    }

    /// To all subscribers: one publication after the other, each as soon as this one returned. Waits for no reader.
    pub async fn publish(&self, publication: Publication) {
        let publication = Arc::new(publication);
        let (mut listening, mut lapsed) = (Vec::new(), Vec::new());
        {
            let mut state = self.state();
            state.head = state.head.max(publication.to);
            for (id, subscriber) in &state.subscribers {
                if listening.len() < AT_ONCE && subscriber.listens() {
                    listening.push((*id, subscriber.clone()));
                } else if !subscriber.queues(&publication, self.limits) {
                    lapsed.push(*id);
                }
            }
        }
        if listening.len() <= TURN {
            lapsed.extend(tell(&listening, &publication, self.limits));
        } else {
            // On all cores but one, which is for what there is besides; and others have their turn between them.
            let cores = tokio::runtime::Handle::current().metrics().num_workers();
            let mut turns = JoinSet::new();
            for some in listening.chunks(TURN).map(<[_]>::to_vec) {
                if turns.len() >= cores.saturating_sub(1).max(1) {
                    lapsed.extend(turns.join_next().await.and_then(Result::ok).unwrap_or_default());
                }
                let (publication, limits) = (publication.clone(), self.limits);
                turns.spawn(async move { tell(&some, &publication, limits) });
            }
            while let Some(told) = turns.join_next().await {
                lapsed.extend(told.unwrap_or_default());
            }
        }
        let mut state = self.state();
        for id in lapsed {
            count(&self.metrics.lapses);
            state.subscribers.remove(&id);
        }
    }

    /// `ear`: one who need not have their turn to be told, for as long as nothing waits in their queue.
    pub fn subscribe(self: &Arc<Hub>, ear: Option<Arc<dyn Ear>>) -> Subscription {
        let (queue, publications) = mpsc::channel(self.limits.publications.max(1));
        let backlog = Arc::<Backlog>::default();
        let mut state = self.state();
        let id = state.next;
        state.next += 1;
        state.subscribers.insert(id, Arc::new(Subscriber { queue, backlog: backlog.clone(), ear }));
        count(&self.metrics.subscribers);
        Subscription { head: state.head, id, publications, backlog, hub: self.clone() }
    }

    /// Takes note of the latest results; the next [`Hub::send_vitals`] tells.
    pub fn observed(&self, observations: &[Observation]) {
        let mut latest = self.vitals.lock().unwrap_or_else(PoisonError::into_inner);
        let version = latest.version + 1;
        for observation in observations {
            let key = (observation.agent.clone(), observation.check.clone());
            if latest.checks.len() < MOST_CHECKS || latest.checks.contains_key(&key) {
                latest.checks.insert(key, (version, observation.clone()));
                latest.changed = true;
            }
        }
    }

    /// Forgets the checks of an agent that it no longer runs.
    pub fn keep_checks(&self, agent: &AgentId, checks: &[CheckId]) {
        let mut latest = self.vitals.lock().unwrap_or_else(PoisonError::into_inner);
        latest.checks.retain(|(of, check), _| of != agent || checks.contains(check));
    }

    /// Tells what has changed since the last time; the latest wins.
    pub fn send_vitals(&self) {
        let mut latest = self.vitals.lock().unwrap_or_else(PoisonError::into_inner);
        if !std::mem::take(&mut latest.changed) {
            return;
        }
        let since = latest.version;
        latest.version += 1;
        let version = latest.version;
        let changed = if self.vitals_sent.receiver_count() == 0 {
            Vec::new()
        } else {
            latest.checks.values().filter(|(changed, _)| *changed > since).map(|(_, observation)| observation.clone()).collect()
        };
        self.vitals_sent.send_replace(Arc::new(VitalsFrame::new(since, version, changed)));
    }

    /// Tells what changed since the version that was told last; without listeners there is nothing to gather.
    pub fn send_readings(&self, latest: &Numbers) {
        let since = self.readings_sent.borrow().version;
        if latest.version() != since {
            let readings = if self.readings_sent.receiver_count() == 0 { Readings::default() } else { latest.since(since) };
            self.readings_sent.send_replace(Arc::new(ReadingsFrame::new(since, latest.version(), readings)));
        }
    }

    pub fn follow_readings(&self) -> watch::Receiver<Arc<ReadingsFrame>> {
        self.readings_sent.subscribe()
    }

    pub fn follow_vitals(&self) -> watch::Receiver<Arc<VitalsFrame>> {
        self.vitals_sent.subscribe()
    }

    /// Everything that changed after `since`, for one who missed a frame.
    pub fn vitals_since(&self, since: u64) -> VitalsFrame {
        let latest = self.vitals.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = latest.checks.values().filter(|(changed, _)| *changed > since).map(|(_, observation)| observation.clone()).collect();
        VitalsFrame::new(since, latest.version, changed)
    }
}

/// Tells these, and says for whom there is no room.
fn tell(listening: &[(u64, Arc<Subscriber>)], publication: &Arc<Publication>, limits: QueueLimits) -> Vec<u64> {
    let lapsed = listening.iter().filter(|(_, subscriber)| {
        let heard = subscriber.ear.as_ref().is_some_and(|ear| ear.hears(publication));
        !heard && !subscriber.queues(publication, limits)
    });
    lapsed.map(|(id, _)| *id).collect()
}

/// One reader's queue.
pub struct Subscription {
    /// Everything after this comes through the queue.
    pub head: Sequence,
    id: u64,
    publications: mpsc::Receiver<Arc<Publication>>,
    backlog: Arc<Backlog>,
    hub: Arc<Hub>,
}

impl Subscription {
    /// The next publication; `None` when this reader was too slow and has to begin anew.
    pub async fn next(&mut self) -> Option<Arc<Publication>> {
        if self.backlog.lapsed.load(Ordering::Acquire) {
            return None;
        }
        let publication = self.publications.recv().await?;
        self.backlog.bytes.fetch_sub(publication.size, Ordering::AcqRel);
        // Since it began to wait the log may have begun anew: what is left is of another life of it.
        (!self.backlog.lapsed.load(Ordering::Acquire)).then_some(publication)
    }

    /// Whether anything waits to be read.
    pub fn waits(&self) -> bool {
        self.backlog.waits()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.hub.state().subscribers.remove(&self.id);
        drop_one(&self.hub.metrics.subscribers);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::rows::rows;

    /// After the one before it, with so many rows.
    fn publication(from: u64, to: u64) -> Publication {
        Publication::new(Incarnation(1), Sequence(from), Sequence(to), rows(from + 1..=to), Span::ZERO)
    }

    #[tokio::test]
    async fn n2_what_waits_for_a_slow_reader_is_bounded_in_number_and_in_bytes() {
        let size = publication(0, 10).size;
        for (limits, what) in
            [(QueueLimits { publications: 3, bytes: usize::MAX }, "number"), (QueueLimits { publications: 100, bytes: size * 7 / 2 }, "bytes")]
        {
            let hub = Hub::new(limits, Arc::default());
            let (mut slow, mut quick) = (hub.subscribe(None), hub.subscribe(None));
            for place in 0..3 {
                hub.publish(publication(place * 10, place * 10 + 10)).await;
                assert_eq!(quick.next().await.map(|told| told.to.0), Some(place * 10 + 10), "{what}");
            }
            hub.publish(publication(30, 40)).await;
            assert!(slow.next().await.is_none(), "{what}: it is told everything anew");
            assert_eq!(quick.next().await.map(|told| told.to.0), Some(40), "{what}");
        }
        // Who has read everything gets one of any size.
        let hub = Hub::new(QueueLimits { publications: 3, bytes: 1 }, Arc::default());
        let mut reader = hub.subscribe(None);
        hub.publish(publication(0, 10)).await;
        assert!(reader.next().await.is_some());
    }

    /// Hears everything, or nothing.
    struct Counts(bool, AtomicUsize);

    impl Ear for Counts {
        fn hears(&self, _: &Publication) -> bool {
            self.1.fetch_add(1, Ordering::Relaxed);
            self.0
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn of_many_who_listen_each_hears_it_once_and_who_does_not_finds_it_in_the_queue() {
        let hub = Hub::new(QueueLimits { publications: 4, bytes: 1 << 20 }, Arc::default());
        let many: Vec<_> = (0..AT_ONCE + TURN).map(|number| Arc::new(Counts(number % 3 > 0, AtomicUsize::new(0)))).collect();
        let waiting: Vec<_> = many.iter().map(|ear| hub.subscribe(Some(ear.clone()))).collect();
        let alone = hub.subscribe(None);
        hub.publish(Publication::new(Incarnation(1), Sequence(0), Sequence(0), Vec::new(), Span::ZERO)).await;
        let mut asked = 0;
        for (ear, subscription) in many.iter().zip(&waiting) {
            let times = ear.1.load(Ordering::Relaxed);
            asked += times;
            assert_eq!(subscription.waits(), !ear.0 || times == 0);
        }
        assert_eq!(asked, AT_ONCE);
        assert!(alone.waits());
    }
    /// Hears the second thing that it is asked to hear.
    #[derive(Default)]
    struct Later(AtomicUsize);

    impl Ear for Later {
        fn hears(&self, _: &Publication) -> bool {
            self.0.fetch_add(1, Ordering::Relaxed) > 0
        }
    }

    #[tokio::test]
    async fn who_has_something_in_the_queue_is_told_nothing_past_it() {
        let hub = Hub::new(QueueLimits { publications: 4, bytes: 1 << 20 }, Arc::default());
        let ear = Arc::new(Later::default());
        let mut subscription = hub.subscribe(Some(ear.clone()));
        hub.publish(publication(0, 1)).await;
        hub.publish(publication(1, 2)).await;
        assert_eq!(ear.0.load(Ordering::Relaxed), 1);
        let told = [subscription.next().await, subscription.next().await].map(|told| told.map(|told| told.to.0));
        assert_eq!(told, [Some(1), Some(2)]);
        hub.publish(publication(2, 3)).await;
        assert!(!subscription.waits());
    }
}
