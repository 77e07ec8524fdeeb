//! A connection that comes back: a task that connects, subscribes, resumes where it was, sends what
//! waits in the outbox, and reports everything through one bounded channel.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::backoff::Backoff;
use super::clock::Random;
use super::conversation::{Conversation, LinkError, ended_by};
use super::dial::Dial;
use super::outbox::Outbox;
use crate::model::intent::Request;
use crate::model::time::Time;
use crate::trust::{Proving, verb};
use crate::wire::{Batch, Cursor, Hello, Ping, ProblemCode, Role, Subscribe, ToClient, ToServer, Welcome, peek};

#[derive(Clone, Debug)]
pub struct LinkConfig {
    pub hello: Hello,
    /// How both ends prove who they are; none: by a token, or as a socket's owner.
    pub proving: Option<Arc<Proving>>,
    /// What to subscribe to; the cursor is the link's own affair, except for the first time.
    pub subscribe: Option<Subscribe>,
    /// How long connecting and hello may take.
    pub patience: Duration,
    pub first_wait: Duration,
    pub longest_wait: Duration,
}

impl LinkConfig {
    pub fn new(hello: Hello) -> LinkConfig {
        LinkConfig {
            hello,
            proving: None,
            subscribe: None,
            patience: Duration::from_secs(10),
            first_wait: Duration::from_millis(200),
            longest_wait: Duration::from_secs(30),
        }
    }
}

/// What happens on a link, in order.
#[derive(Clone, Debug)]
pub enum LinkEvent {
    Connecting {
        attempt: u32,
    },
    Up(Arc<Welcome>),
    Down {
        why: LinkError,
        retry_in: Duration,
    },
    /// What the server's clock said: the answer took so long, and was heard then.
    Clock {
        theirs: Time,
        delay: Duration,
        heard: Instant,
    },
    /// Snapshots, batches and pages in order, without loss or repetition; and the rest.
    Message(ToClient),
}

enum Order {
    Send(ToServer),
    Do(Request, oneshot::Sender<io::Result<()>>),
    RetryNow,
}

/// Speaks to a link's task. The link ends when the last of these is dropped.
#[derive(Clone, Debug)]
pub struct LinkHandle {
    orders: mpsc::Sender<Order>,
}

/// The link cannot take more now, or is gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("too much waits for this server already")]
pub struct LinkFull;

impl LinkHandle {
    /// Sends now, if connected; while it is not, the message is dropped. Never waits.
    pub fn send(&self, message: ToServer) -> Result<(), LinkFull> {
        self.orders.try_send(Order::Send(message)).map_err(|_| LinkFull)
    }

    /// Puts the request into the outbox, from which it is sent until it is answered. Never waits;
    /// the receiver learns when it is safely kept.
    pub fn request(&self, request: Request) -> Result<oneshot::Receiver<io::Result<()>>, LinkFull> {
        let (kept, answer) = oneshot::channel();
        self.orders.try_send(Order::Do(request, kept)).map_err(|_| LinkFull)?;
        Ok(answer)
    }

    /// Does not wait out the backoff.
    pub fn retry_now(&self) {
        let _ = self.orders.try_send(Order::RetryNow);
    }
}

/// How long a link whose owner is gone may take to say goodbye.
const GOODBYE: Duration = Duration::from_secs(1);

/// Starts the task. It ends when the handles or the receiver are gone: at once when nothing holds it up,
/// and soon when the line takes no bytes. What had not reached the outbox by then is not sent later.
pub fn spawn(config: LinkConfig, dial: Arc<dyn Dial>, random: Arc<dyn Random>, outbox: Box<dyn Outbox>) -> (LinkHandle, mpsc::Receiver<LinkEvent>) {
    let (orders, taken) = mpsc::channel(1_024);
    let (events, receiver) = mpsc::channel(64);
    let cursor = config.subscribe.as_ref().and_then(|subscribe| subscribe.cursor);
    let link =
        Link { backoff: Backoff::new(config.first_wait, config.longest_wait), config, dial, random, outbox, orders: taken, events, cursor, pinged: None };
    let owner = link.events.clone();
    tokio::spawn(async move {
        tokio::select! {
            () = link.run() => {}
            () = async {
                owner.closed().await;
                tokio::time::sleep(GOODBYE).await;
            } => {}
        }
    });
    (LinkHandle { orders }, receiver)
}

struct Link {
    config: LinkConfig,
    dial: Arc<dyn Dial>,
    random: Arc<dyn Random>,
    outbox: Box<dyn Outbox>,
    orders: mpsc::Receiver<Order>,
    events: mpsc::Sender<LinkEvent>,
    cursor: Option<Cursor>,
    backoff: Backoff,
    /// The ping that is not answered yet.
    pinged: Option<(u64, Instant)>,
}

/// Why a conversation ended.
enum End {
    /// Nobody listens to us any more.
    Finished,
    Failed(LinkError),
}

impl From<LinkError> for End {
    fn from(error: LinkError) -> End {
        End::Failed(error)
    }
}

impl Link {
    async fn run(mut self) {
        let mut attempt = 0_u32;
        loop {
            attempt = attempt.saturating_add(1);
            if self.events.send(LinkEvent::Connecting { attempt }).await.is_err() {
                return;
            }
            let why = match Conversation::open(&*self.dial, &self.config.hello, self.config.proving.as_deref(), self.config.patience).await {
                Ok(conversation) => {
                    attempt = 0;
                    match self.converse(conversation).await {
                        End::Finished => return,
                        End::Failed(why) => why,
                    }
                }
                Err(why) => why,
            };
            let retry_in = match why {
                // The same token, or the same key, will not become right by being tried often.
                LinkError::Unauthorized(_) | LinkError::NotProved(_) => self.config.longest_wait,
                _ => self.backoff.next(&*self.random),
            };
            if self.events.send(LinkEvent::Down { why, retry_in }).await.is_err() || !self.wait(retry_in).await {
                return;
            }
        }
    }

    /// Waits, while requests go into the outbox. False: nobody is there any more.
    async fn wait(&mut self, span: Duration) -> bool {
        let until = Instant::now() + span;
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(until) => return true,
                () = self.events.closed() => return false,
                order = self.orders.recv() => match order {
                    None => return false,
                    Some(Order::RetryNow) => return true,
                    Some(Order::Do(request, kept)) => {
                        let request = self.signed(request).await;
                        let _ = kept.send(self.outbox.put(&request));
                    }
                    Some(Order::Send(_)) => {}
                },
            }
        }
    }

    async fn converse(&mut self, mut conversation: Conversation) -> End {
        let welcome = Arc::new(conversation.welcome.clone());
        let claim_every = welcome.claim_every.duration().clamp(Duration::from_millis(10), Duration::from_secs(60));
        // Claims, or the answers to our pings: what says nothing for so long is gone.
        let silence = (claim_every * 3).max(Duration::from_secs(15));
        let mut heard = Instant::now();
        let mut pings = 0_u64;
        let mut ping = tokio::time::interval(silence / 3);
        ping.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        if self.events.send(LinkEvent::Up(welcome.clone())).await.is_err() {
            return End::Finished;
        }
        if let Err(why) = self.greet(&mut conversation).await {
            return End::Failed(why);
        }
        loop {
            tokio::select! {
                message = conversation.next() => {
                    let message = match message {
                        Ok(message) => message,
                        Err(why) => return End::Failed(why),
                    };
                    heard = Instant::now();
                    if let Err(end) = self.take(message, &welcome).await {
                        return end;
                    }
                }
                order = self.orders.recv() => {
                    let sent = match order {
                        None => {
                            conversation.close().await;
                            return End::Finished;
                        }
                        Some(Order::Send(message)) => conversation.send(&message).await,
                        Some(Order::Do(request, kept)) => {
                            let request = self.signed(request).await;
                            let put = self.outbox.put(&request);
                            let fine = put.is_ok();
                            let _ = kept.send(put);
                            if fine { conversation.send(&ToServer::Do(request)).await } else { Ok(()) }
                        }
                        Some(Order::RetryNow) => Ok(()),
                    };
                    if let Err(why) = sent {
                        return End::Failed(why);
                    }
                }
                _ = ping.tick() => {
                    if heard.elapsed() >= silence {
                        return End::Failed(LinkError::Silent(silence));
                    }
                    pings += 1;
                    self.pinged = Some((pings, Instant::now()));
                    if let Err(why) = conversation.send(&ToServer::Ping(Ping { id: pings })).await {
                        return End::Failed(why);
                    }
                }
                () = self.events.closed() => {
                    conversation.close().await;
                    return End::Finished;
                }
            }
        }
    }

    /// What a person asks of a server behind this one bears their own signature. Where their key cannot sign
    /// now, whoever passes it on has to speak for them.
    fn signed(&self, request: Request) -> impl Future<Output = Request> + Send + use<> {
        let by_person = matches!(self.config.hello.role, Role::Console);
        let signing = self.config.proving.as_ref().filter(|_| by_person).map(|proving| proving.signer.clone()).zip(self.config.hello.origin);
        async move {
            let Some((signer, origin)) = signing else { return request };
            let (waits, asked) = (signer.may_wait(), request.clone());
            let sign = move || verb::sign(&signer, origin, &asked).ok();
            let signed = if waits { tokio::task::spawn_blocking(sign).await.ok().flatten() } else { sign() };
            Request { signed: signed.map(Box::new), ..request }
        }
    }

    /// Subscribes from where we were, and sends what was never answered.
    async fn greet(&mut self, conversation: &mut Conversation) -> Result<(), LinkError> {
        if let Some(subscribe) = &self.config.subscribe {
            conversation.send(&ToServer::Subscribe(Subscribe { cursor: self.cursor, ..subscribe.clone() })).await?;
        }
        for request in self.outbox.waiting() {
            conversation.send(&ToServer::Do(request)).await?;
        }
        Ok(())
    }

    async fn take(&mut self, message: ToClient, welcome: &Welcome) -> Result<(), End> {
        let message = match message {
            ToClient::Snapshot(snapshot) => {
                self.cursor = Some(Cursor { origin: welcome.origin, incarnation: snapshot.incarnation, sequence: snapshot.head, epoch: snapshot.world.epoch });
                self.backoff.reset();
                ToClient::Snapshot(snapshot)
            }
            ToClient::Batch(batch) => {
                let Some(batch) = self.in_order(batch, welcome)? else { return Ok(()) };
                self.backoff.reset();
                ToClient::Batch(batch)
            }
            ToClient::Answer(answer) => {
                self.outbox.remove(answer.id);
                ToClient::Answer(answer)
            }
            ToClient::Problem(problem) => match problem.code {
                ProblemCode::Unauthorized | ProblemCode::Stopping => return Err(ended_by(problem).into()),
                _ => ToClient::Problem(problem),
            },
            // It is over.
            ToClient::Handshake(_) => return Ok(()),
            // Without a subscription no batch will come: any answer shows that the server works.
            ToClient::Pong(pong) => {
                if self.config.subscribe.is_none() {
                    self.backoff.reset();
                }
                let asked = self.pinged.take_if(|(id, _)| *id == pong.id);
                if let (Some((_, asked)), Some(theirs)) = (asked, pong.now) {
                    let heard = Instant::now();
                    let clock = LinkEvent::Clock { theirs, delay: heard.saturating_duration_since(asked), heard };
                    return self.events.send(clock).await.map_err(|_| End::Finished);
                }
                ToClient::Pong(pong)
            }
            other @ (ToClient::Welcome(_)
            | ToClient::Page(_)
            | ToClient::Counts(_)
            | ToClient::WorldThen(_)
            | ToClient::MarksKept(_)
            | ToClient::Ack(_)
            | ToClient::Holding(_)
            | ToClient::Vitals(_)
            | ToClient::Health(_)
            | ToClient::Readings(_)
            | ToClient::Peers(_)
            | ToClient::Presence(_)
            | ToClient::Lease(_)
            | ToClient::Backfilled(_)
            | ToClient::WorldSealed(_)) => other,
        };
        self.events.send(LinkEvent::Message(message)).await.map_err(|_| End::Finished)
    }

    /// Only what follows the cursor, without a gap. Nothing: it was all known.
    fn in_order(&mut self, mut batch: Batch, welcome: &Welcome) -> Result<Option<Batch>, End> {
        let Some(cursor) = &mut self.cursor else {
            return Err(LinkError::Broken("a batch came before any snapshot".into()).into());
        };
        if (cursor.origin, cursor.incarnation) != (welcome.origin, batch.incarnation) || batch.from > cursor.sequence || batch.from > batch.to {
            // The next connection asks for everything from the cursor; a server that cannot answers with a snapshot.
            return Err(LinkError::Broken(format!("events between {} and {} are missing", cursor.sequence.0, batch.from.0)).into());
        }
        if batch.to < cursor.sequence {
            return Ok(None);
        }
        if batch.from < cursor.sequence {
            let known = cursor.sequence;
            batch.only(|event| peek::peek(&event.0).is_ok_and(|header| header.sequence > known));
            batch.from = known;
        }
        cursor.sequence = batch.to;
        Ok(Some(batch))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::dial::Dialling;
    use crate::link::{MemoryOutbox, SeededRandom};
    use crate::model::id::{Incarnation, Origin, Sequence};
    use crate::model::time::Span;
    use crate::store::rows::{event, origin};
    use crate::wire::EventBytes;

    struct Nowhere;

    impl Dial for Nowhere {
        fn dial(&self) -> Dialling<'_> {
            Box::pin(std::future::pending())
        }

        fn host(&self) -> &str {
            "nowhere"
        }

        fn distant(&self) -> bool {
            false
        }
    }

    fn hello() -> Hello {
        let (protocol, role, name, version) = (1, Role::Console, "kim".into(), "test".into());
        Hello { protocol, role, name, token: None, version, zstd: false, origin: None, redeem: None, key: None }
    }

    fn welcome(origin: Origin) -> Welcome {
        Welcome {
            protocol: 1,
            origin,
            incarnation: Incarnation(1),
            name: "shop".into(),
            version: "test".into(),
            now: Time::from_secs(0),
            env: None,
            claim_every: Span::from_secs(1),
            head: Sequence(20),
            base: Sequence(1),
            keeps_marks: false,
            key: None,
            addresses: Vec::new(),
            onward: false,
            presence: false,
            seals: false,
        }
    }

    fn batch(life: u64, from: u64, to: u64) -> Batch {
        let events = (from + 1..=to).map(|sequence| EventBytes::of(&event(sequence)).unwrap()).collect();
        let (incarnation, from, to) = (Incarnation(life), Sequence(from), Sequence(to));
        Batch { incarnation, from, to, events, lag: Span::ZERO, seals: Vec::new(), outlines: Vec::new(), claim: None }
    }

    /// Whether a batch follows event 10 of the first life of this log, and which of its events are new.
    fn follows(of: Origin, cursor: bool, batch: Batch) -> Result<Option<(u64, Vec<u64>)>, LinkError> {
        let cursor = cursor.then(|| Cursor { origin: origin(), incarnation: Incarnation(1), sequence: Sequence(10), epoch: None });
        let ((_, orders), (events, _heard)) = (mpsc::channel(1), mpsc::channel(1));
        let (random, outbox) = (Arc::new(SeededRandom::new(1)), Box::new(MemoryOutbox::default()));
        let (backoff, config) = (Backoff::new(Duration::ZERO, Duration::ZERO), LinkConfig::new(hello()));
        let mut link = Link { config, dial: Arc::new(Nowhere), random, outbox, orders, events, cursor, backoff, pinged: None };
        match link.in_order(batch, &welcome(of)) {
            Ok(told) => {
                let known = |batch: &Batch| batch.events.iter().map(|event| peek::peek(&event.0).unwrap().sequence.0).collect();
                assert_eq!(link.cursor.unwrap().sequence.0, told.as_ref().map_or(10, |batch| batch.to.0));
                Ok(told.map(|batch| (batch.from.0, known(&batch))))
            }
            Err(End::Failed(why)) => Err(why),
            Err(End::Finished) => panic!("nobody ended it"),
        }
    }

    #[test]
    fn what_does_not_follow_what_is_known_is_not_told_on_and_the_line_begins_anew() {
        assert_eq!(follows(origin(), true, batch(1, 10, 12)), Ok(Some((10, vec![11, 12]))));
        assert_eq!(follows(origin(), true, batch(1, 10, 10)), Ok(Some((10, vec![]))));
        // What is known already is not told twice.
        assert_eq!(follows(origin(), true, batch(1, 8, 12)), Ok(Some((10, vec![11, 12]))));
        assert_eq!(follows(origin(), true, batch(1, 2, 7)), Ok(None));
        let broken = |of, cursor, batch, what: &str| assert!(matches!(follows(of, cursor, batch), Err(LinkError::Broken(_))), "{what}");
        broken(origin(), false, batch(1, 10, 12), "before any world");
        broken(Origin([8; 16]), true, batch(1, 10, 12), "of another server");
        broken(origin(), true, batch(2, 10, 12), "of another life");
        broken(origin(), true, batch(1, 11, 12), "behind a gap");
        broken(origin(), true, Batch { to: Sequence(9), ..batch(1, 10, 10) }, "backwards");
    }
}
