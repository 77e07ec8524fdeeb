//! One WebSocket: who is there, what they want to hear, what they ask for.
//!
//! A single task, so that thousands of idle ones cost little. It writes and reads in turn; while a slow
//! reader holds up a write, its queue in the hub fills and is dropped, and nobody else notices.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use futures_util::{FutureExt, SinkExt};
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::{self, Message};

use super::asks::Asks;
use super::core::{Core, Input};
use super::gate::Gate;
use super::greet::{Shown, greet};
use super::health::HealthFrame;
use super::hub::{Hub, Publication, ReadingsFrame, Subscription, VitalsFrame, message};
use super::line::{Arrival, Front, KeyUse, Slot, Socket, Via};
use super::marks::{Own, ReadMarks};
use super::metrics::{Metrics, count, drop_one};
use super::past::Past;
use super::refusals::Refusals;
use super::resume;
use super::sifting::Sifts;
use crate::link::Clock;
use crate::link::short::TooMuch;
use crate::model::filter::{Filter, OnServer};
use crate::model::id::{AgentId, Person, Sequence};
use crate::model::intent::{Refusal, RefusalCode};
use crate::model::mark::Marks;
use crate::model::time::Span;
use crate::store::Log;
use crate::trust::handshake::Binding;
use crate::trust::{AuthorizedKeys, Holder, Tokens};
use crate::wire::codec::{Frame, decode_to_server, encode};
use crate::wire::{
    Ack, Answer, Encoding, EventBytes, Hello, MarksKept, Outcome, Ping, Pong, Problem, ProblemCode, Role, SnapshotReason, Subscribe, ToClient, ToServer,
    WireError, WorldAsk, WorldThen,
};

/// What a server lets one connection do.
#[derive(Clone, Debug)]
pub struct Limits {
    /// From the upgrade to the hello.
    pub handshake: Duration,
    /// How long one frame may take to be written.
    pub patience: Duration,
    /// Messages a second; more are taken later.
    pub rate: u32,
    /// Newest events that come with a snapshot.
    pub history: u32,
    /// Asks for history that wait.
    pub asks: usize,
    /// Requests and observations under way.
    pub replies: usize,
    pub observations: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            handshake: Duration::from_secs(10),
            patience: Duration::from_secs(30),
            rate: 2_000,
            history: 10_000,
            asks: 16,
            replies: 256,
            observations: 10_000,
        }
    }
}

/// What all sessions of a server share.
pub struct Shared {
    pub core: Core,
    pub hub: Arc<Hub>,
    pub log: Arc<dyn Log>,
    pub past: Arc<Past>,
    pub clock: Arc<dyn Clock>,
    pub metrics: Arc<Metrics>,
    pub tokens: Tokens,
    pub gate: Arc<Gate>,
    pub front: Arc<Front>,
    pub limits: Limits,
    pub name: Arc<str>,
    pub env: Option<Arc<str>>,
    pub claim_every: Duration,
    /// Turns true when the server stops.
    pub stopping: watch::Receiver<bool>,
    /// Held by whoever must be waited for then.
    pub alive: tokio::sync::mpsc::Sender<()>,
    /// What others count, as text for `/metrics`.
    pub more_metrics: Box<dyn Fn() -> String + Send + Sync>,
    pub health: watch::Receiver<Arc<HealthFrame>>,
    pub refusals: Arc<Refusals>,
    pub marks: Arc<ReadMarks>,
}

/// The session is over; nothing more can be said to the other side.
pub(super) struct Over;

type Said = Result<(), Over>;

pub(super) async fn run(socket: Socket, arrival: Arrival, shared: Arc<Shared>) {
    count(&shared.metrics.sessions);
    let stopping = shared.stopping.clone();
    let alive = shared.alive.clone();
    let Arrival { shown, keys, via, binding, from, slot, stranger } = arrival;
    let mut wire = Wire { socket, encoding: Encoding::MessagePack, via, binding, shared: shared.clone() };
    if let Some((hello, shown)) = greet(&mut wire, shown, keys, &from).await
        && let Some(using) = wire.known(&shown).await
    {
        drop(stranger);
        slot.iter().for_each(Slot::known);
        let session = Session {
            wire,
            hello,
            using,
            key: match shown {
                Shown::Key(holder) => Some((holder, shared.gate.follow())),
                Shown::Owner | Shown::Token(_) | Shown::Nothing => None,
            },
            stream: None,
            asks: Asks::default(),
            sifts: Sifts::default(),
            replies: FuturesUnordered::new(),
            vitals: None,
            health: None,
            marks: None,
            readings: None,
        };
        // Whichever way it ended, there is nobody to tell.
        let _ = Box::pin(session.talk(stopping)).await;
    }
    drop_one(&shared.metrics.sessions);
    drop((alive, slot));
}

/// The socket, and how to write to it.
pub(super) struct Wire {
    socket: Socket,
    encoding: Encoding,
    /// From where it came; nobody knows in a test.
    pub(super) via: Option<Via>,
    /// What is beneath it.
    pub(super) binding: Binding,
    pub(super) shared: Arc<Shared>,
}

impl Wire {
    /// It is known who is there: they may say more. `None`: there are too many of them.
    async fn known(&mut self, shown: &Shown) -> Option<KeyUse> {
        let using = match shown {
            Shown::Key(holder) => self.shared.front.keys.enter(holder.key),
            Shown::Owner | Shown::Token(_) | Shown::Nothing => Some(KeyUse::alone()),
        };
        if using.is_none() {
            count(&self.shared.metrics.keys_turned_away);
            let words = format!("this key has {} connections already, which is what one may have", self.shared.front.keys.most());
            let _ = self.problem(ProblemCode::Limit, None, words).await;
        }
        self.socket.get_mut().lift();
        using
    }

    /// Somebody showed what opens nothing.
    pub(super) fn failed(&self) {
        if let Some(via) = self.via {
            self.shared.front.failed(via);
        }
    }

    pub(super) fn encoding(&self) -> Encoding {
        self.encoding
    }

    pub(super) fn set_encoding(&mut self, encoding: Encoding) {
        self.encoding = encoding;
    }

    pub(super) async fn send(&mut self, message: Message) -> Said {
        let bytes = match &message {
            Message::Binary(bytes) => bytes.len(),
            Message::Text(text) => text.len(),
            Message::Ping(_) | Message::Pong(_) | Message::Close(_) | Message::Frame(_) => 0,
        };
        match tokio::time::timeout(self.shared.limits.patience, self.socket.send(message)).await {
            Ok(Ok(())) => {
                count(&self.shared.metrics.frames_out);
                super::metrics::add(&self.shared.metrics.bytes_out, u64::try_from(bytes).unwrap_or(0));
                Ok(())
            }
            Ok(Err(_)) | Err(_) => Err(Over),
        }
    }

    /// What was encoded for many; what could not be is left out.
    async fn tell(&mut self, message: Option<Message>) -> Said {
        match message {
            Some(message) => self.send(message).await,
            None => Ok(()),
        }
    }

    pub(super) async fn say(&mut self, said: &ToClient) -> Said {
        match encode(said, self.encoding) {
            Ok(frame) => self.send(message(frame)).await,
            Err(error) => {
                tracing::error!(%error, "a message cannot be encoded");
                Err(Over)
            }
        }
    }

    pub(super) async fn problem(&mut self, code: ProblemCode, id: Option<u64>, words: impl Into<String>) -> Said {
        self.say(&ToClient::Problem(Problem { code, words: words.into(), id })).await
    }

    /// The next frame, of a size that the upgrade capped. May be dropped while it waits.
    pub(super) async fn next(&mut self) -> Result<Frame, Over> {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Binary(bytes))) => return Ok(Frame::Binary(bytes)),
                Some(Ok(Message::Text(text))) => return Ok(Frame::Text(text.as_str().to_owned())),
                Some(Ok(Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
                Some(Err(tungstenite::Error::Io(error))) if TooMuch::of(&error).is_some() => {
                    let _ = self.problem(ProblemCode::Limit, None, error.to_string()).await;
                    return Err(Over);
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(Over),
            }
        }
    }
}

/// A subscription that runs.
struct Stream {
    subscription: Subscription,
    filter: Option<Filter>,
    history: u32,
    /// Everything up to here was told.
    sent: Sequence,
}

struct Session {
    wire: Wire,
    hello: Hello,
    /// By what key it came in, and whether that still stands.
    key: Option<(Arc<Holder>, watch::Receiver<Arc<AuthorizedKeys>>)>,
    stream: Option<Stream>,
    asks: Asks,
    sifts: Sifts,
    replies: FuturesUnordered<BoxFuture<'static, ToClient>>,
    vitals: Option<(watch::Receiver<Arc<VitalsFrame>>, u64)>,
    health: Option<watch::Receiver<Arc<HealthFrame>>>,
    /// What the person's consoles have seen, once this one has asked.
    marks: Option<watch::Receiver<Arc<Marks>>>,
    readings: Option<(watch::Receiver<Arc<ReadingsFrame>>, u64)>,
    /// Counts what it says, with all that its key says elsewhere.
    using: KeyUse,
}

impl Session {
    async fn talk(mut self, mut stopping: watch::Receiver<bool>) -> Said {
        loop {
            let limits = &self.wire.shared.limits;
            // What asks for more than is allowed is not read on until there is room.
            let room = self.replies.len() < limits.replies;
            tokio::select! {
                frame = self.wire.next(), if room => self.take(frame?).await?,
                publication = next_publication(&mut self.stream) => self.publish(publication).await?,
                rows = self.asks.next() => self.asks.answer(&mut self.wire, rows).await?,
                come = self.sifts.next() => self.sifts.answer(&mut self.wire, come).await?,
                Some(said) = self.replies.next(), if !self.replies.is_empty() => self.wire.say(&said).await?,
                frame = next_told(self.vitals.as_mut().map(|(changes, _)| changes)) => self.tell_vitals(frame).await?,
                frame = next_told(self.health.as_mut()) => self.tell_health(&frame).await?,
                marks = next_told(self.marks.as_mut()) => self.wire.say(&ToClient::MarksKept(MarksKept { marks, remark: None })).await?,
                frame = next_told(self.readings.as_mut().map(|(changes, _)| changes)) => self.tell_readings(frame).await?,
                () = taken_away(&mut self.key) => {
                    return self.wire.problem(ProblemCode::Unauthorized, None, "this key was taken out of the server's authorized_keys").await;
                }
                () = until_stopping(&mut stopping) => {
                    // The last words of the core are told before ours.
                    while let Some(publication) = next_publication(&mut self.stream).now_or_never().flatten() {
                        self.publish(Some(publication)).await?;
                    }
                    self.wire.problem(ProblemCode::Stopping, None, "the server stops").await?;
                    return self.wire.send(Message::Close(None)).await;
                }
            }
        }
    }

    async fn take(&mut self, frame: Frame) -> Said {
        count(&self.wire.shared.metrics.frames_in);
        self.slow_down().await;
        let message = match decode_to_server(&frame) {
            Ok(message) => message,
            Err(error) => {
                count(&self.wire.shared.metrics.malformed);
                let code = match error {
                    WireError::TooLarge(_) => ProblemCode::Limit,
                    WireError::Malformed(_) | WireError::TooDeep(_) | WireError::Encode(_) => ProblemCode::Malformed,
                };
                return self.wire.problem(code, None, error.to_string()).await;
            }
        };
        match (message, self.hello.role) {
            (ToServer::Ping(Ping { id }), _) => self.wire.say(&ToClient::Pong(Pong { id, now: Some(self.wire.shared.clock.now()) })).await,
            (ToServer::Handshake(_), _) => self.wire.problem(ProblemCode::Forbidden, None, "the handshake is over").await,
            (ToServer::Hello(_), _) => self.wire.problem(ProblemCode::Forbidden, None, "hello was said already").await,
            (ToServer::Subscribe(subscribe), Role::Console) => self.subscribe(subscribe).await,
            (ToServer::History(ask), Role::Console) if ask.filter.is_some() => self.sifts.history(&mut self.wire, &ask).await,
            (ToServer::Count(ask), Role::Console) => self.sifts.count(&mut self.wire, &ask).await,
            (ToServer::History(ask), Role::Console) => self.asks.history(&mut self.wire, &ask).await,
            (ToServer::Search(ask), Role::Console) => self.asks.search(&mut self.wire, &ask).await,
            (ToServer::WorldAt(ask), Role::Console) => {
                self.look_back(ask);
                Ok(())
            }
            (ToServer::ReadMarks(said), Role::Console) => self.read_marks(said.marks).await,
            (ToServer::Do(mut request), Role::Console) => {
                if let Some((holder, _)) = &self.key {
                    // Whose key it is, and not what the console says.
                    request.by = Person::new(&holder.name);
                }
                let core = self.wire.shared.core.clone();
                self.replies.push(Box::pin(async move {
                    let id = request.id;
                    let result = match core.write(Input::Request(request)).await {
                        Ok(events) => Outcome::Done(events),
                        Err(refusal) => Outcome::Refused(refusal),
                    };
                    ToClient::Answer(Answer { id, result })
                }));
                Ok(())
            }
            (ToServer::Agent(said), Role::Agent) => {
                let own = self.is_own([&said.hello.agent]);
                self.hand_in(said.id, own, Input::Hello(said.hello));
                Ok(())
            }
            (ToServer::Observe(said), Role::Agent) => {
                let own = self.is_own(said.observations.iter().map(|observation| &observation.agent));
                let most = self.wire.shared.limits.observations;
                let fits = if said.observations.len() > most {
                    Err(Refusal::new(RefusalCode::Invalid, format!("more than {most} observations at once")))
                } else {
                    own
                };
                self.hand_in(said.id, fits, Input::Observe(said.observations));
                Ok(())
            }
            (ToServer::Keepalive(said), Role::Agent) => {
                let own = self.is_own([&said.agent]);
                self.hand_in(said.id, own, Input::Keepalive(said.agent));
                Ok(())
            }
            (
                ToServer::Subscribe(_)
                | ToServer::History(_)
                | ToServer::Count(_)
                | ToServer::Search(_)
                | ToServer::WorldAt(_)
                | ToServer::ReadMarks(_)
                | ToServer::Do(_)
                | ToServer::Agent(_)
                | ToServer::Observe(_)
                | ToServer::Keepalive(_),
                role,
            ) => self.wire.problem(ProblemCode::Forbidden, None, format!("the role `{}` may not say that", role.word())).await,
        }
    }

    /// The world as it was: made beside everything else, in this session's own task.
    fn look_back(&mut self, WorldAsk { id, at }: WorldAsk) {
        let past = self.wire.shared.past.clone();
        self.replies.push(Box::pin(async move {
            match past.at(at).await {
                Ok(then) => ToClient::WorldThen(WorldThen { id, at, known_from: then.known_from, world: then.world }),
                Err(error) => ToClient::Problem(Problem { code: ProblemCode::Unavailable, words: error.to_string(), id: Some(id) }),
            }
        }));
    }

    /// What the person at this console has seen. From now on it is told what their other consoles say.
    async fn read_marks(&mut self, said: Marks) -> Said {
        let shared = &self.wire.shared;
        let head = shared.log.head();
        let own = Own { origin: head.origin, incarnation: head.incarnation, head: head.sequence };
        match shared.marks.take(&self.hello.name, &said, own, shared.clock.now()).await {
            Ok((mut marks, ahead)) => {
                if self.marks.is_none() {
                    self.marks = shared.marks.follow(&self.hello.name);
                }
                // What another console has said meanwhile is among it.
                if let Some(changes) = &mut self.marks {
                    marks = changes.borrow_and_update().clone();
                }
                self.wire.say(&ToClient::MarksKept(MarksKept { marks, remark: ahead.map(|ahead| ahead.to_string().into()) })).await
            }
            Err(error) => self.wire.problem(ProblemCode::Unavailable, None, error.to_string()).await,
        }
    }

    /// An agent speaks for itself alone.
    fn is_own<'a>(&self, agents: impl IntoIterator<Item = &'a AgentId>) -> Result<(), Refusal> {
        match agents.into_iter().find(|agent| agent.as_str() != &*self.hello.name) {
            None => Ok(()),
            Some(other) => Err(Refusal::new(RefusalCode::Forbidden, format!("this connection is agent `{}`'s, not `{other}`'s", self.hello.name))),
        }
    }

    fn hand_in(&mut self, id: u64, allowed: Result<(), Refusal>, input: Input) {
        let core = self.wire.shared.core.clone();
        self.replies.push(Box::pin(async move {
            let refused = match allowed {
                Ok(()) => core.write(input).await.err(),
                Err(refusal) => Some(refusal),
            };
            ToClient::Ack(Ack { id, refused })
        }));
    }

    /// More messages than the rate allows wait for the next second.
    async fn slow_down(&mut self) {
        if let Some(until) = self.using.message(self.wire.shared.limits.rate) {
            count(&self.wire.shared.metrics.throttled);
            tokio::time::sleep_until(until).await;
        }
    }

    async fn subscribe(&mut self, ask: Subscribe) -> Said {
        // Times in a filter are read as UTC here: the reader's zone is the reader's affair.
        let filter = match ask.filter.as_deref().map(|text| Filter::new(text, self.wire.shared.clock.now(), &jiff::tz::TimeZone::UTC)).transpose() {
            Ok(filter) => filter,
            Err(error) => return self.wire.problem(ProblemCode::Invalid, None, format!("the filter: {error}")).await,
        };
        self.vitals = ask.vitals.then(|| (self.wire.shared.hub.follow_vitals(), 0));
        if let Some((changes, _)) = &mut self.vitals {
            changes.mark_changed();
        }
        self.health = ask.health.then(|| self.wire.shared.health.clone());
        if let Some(health) = &mut self.health {
            // Before the snapshot: whoever asks once and goes has it too.
            let frame = health.borrow_and_update().clone();
            self.tell_health(&frame).await?;
        }
        self.readings = ask.readings.then(|| (self.wire.shared.hub.follow_readings(), 0));
        self.catch_up_readings().await?;
        self.stream = None;
        let subscription = self.wire.shared.hub.subscribe();
        let history = ask.history.min(self.wire.shared.limits.history);
        let stream = Stream { sent: subscription.head, subscription, filter, history };
        match resume::from_cursor(ask.cursor, self.wire.shared.log.head(), stream.subscription.head) {
            Ok(from) => self.catch_up(stream, from).await,
            Err(why) => self.snapshot(stream, why).await,
        }
    }

    /// Sends what follows `from`, then goes on with the stream.
    async fn catch_up(&mut self, mut stream: Stream, mut from: Sequence) -> Said {
        let to = stream.subscription.head;
        while from < to {
            let rows = match resume::following(&*self.wire.shared.log, from, to).await {
                Ok(rows) => rows,
                Err(None) => return self.snapshot(stream, SnapshotReason::TooOld).await,
                Err(Some(error)) => return self.wire.problem(ProblemCode::Unavailable, None, error.to_string()).await,
            };
            let last = rows.last().map_or(to, |row| row.sequence);
            let events = rows
                .iter()
                .filter(|row| matches(stream.filter.as_ref(), &self.wire.shared.name, &row.bytes))
                .map(|row| EventBytes(row.bytes.clone()))
                .collect();
            self.batch(from, last, events, Span::ZERO).await?;
            from = last;
        }
        // A claim at least: the reader learns that it is up to date.
        self.batch(to, to, Vec::new(), Span::ZERO).await?;
        stream.sent = to;
        self.stream = Some(stream);
        Ok(())
    }

    async fn batch(&mut self, from: Sequence, to: Sequence, events: Vec<EventBytes>, lag: Span) -> Said {
        match resume::batch(self.wire.shared.log.head(), from, to, events, lag, self.wire.encoding) {
            Some(message) => self.wire.send(message).await,
            None => Err(Over),
        }
    }

    async fn snapshot(&mut self, mut stream: Stream, why: SnapshotReason) -> Said {
        let Some(durable) = self.wire.shared.core.durable().await else { return Err(Over) };
        match resume::snapshot(&durable, &*self.wire.shared.log, stream.history, why, self.wire.encoding).await {
            Ok(message) => {
                count(&self.wire.shared.metrics.snapshots);
                stream.sent = durable.world.head;
                drop(durable);
                self.wire.send(message).await?;
                self.stream = Some(stream);
                Ok(())
            }
            Err(words) => self.wire.problem(ProblemCode::Unavailable, None, words).await,
        }
    }

    async fn publish(&mut self, publication: Option<Arc<Publication>>) -> Said {
        let Some(stream) = &mut self.stream else { return Ok(()) };
        let Some(publication) = publication else {
            // Too slow: the queue is gone. A new one first, so that nothing falls between it and the snapshot.
            let Some(old) = self.stream.take() else { return Ok(()) };
            let subscription = self.wire.shared.hub.subscribe();
            let stream = Stream { sent: subscription.head, subscription, filter: old.filter, history: old.history };
            return self.snapshot(stream, SnapshotReason::Slow).await;
        };
        let claims = publication.rows.is_empty() && publication.to == stream.sent;
        if publication.to <= stream.sent && !claims {
            // The snapshot held it already.
            return Ok(());
        }
        if publication.from != stream.sent {
            tracing::error!(from = publication.from.0, sent = stream.sent.0, "a publication does not follow the one before it");
            return Err(Over);
        }
        stream.sent = publication.to;
        let Some(filter) = &stream.filter else {
            return match publication.message(self.wire.encoding) {
                Some(message) => self.wire.send(message).await,
                None => Err(Over),
            };
        };
        let events =
            publication.rows.iter().filter(|row| matches(Some(filter), &self.wire.shared.name, &row.bytes)).map(|row| EventBytes(row.bytes.clone())).collect();
        self.batch(publication.from, publication.to, events, publication.lag).await
    }

    async fn tell_health(&mut self, frame: &HealthFrame) -> Said {
        self.wire.tell(frame.message(self.wire.encoding)).await
    }

    /// All that changed since this reader was told last.
    async fn catch_up_readings(&mut self) -> Said {
        let Some((_, known)) = &mut self.readings else { return Ok(()) };
        let since = *known;
        let changed = self.wire.shared.core.read(move |primary| (primary.vitals.readings.version(), primary.vitals.readings.since(since))).await;
        let Some((version, readings)) = changed else { return Ok(()) };
        *known = version;
        if readings.is_empty() { Ok(()) } else { self.wire.say(&ToClient::Readings(readings)).await }
    }

    async fn tell_readings(&mut self, frame: Arc<ReadingsFrame>) -> Said {
        let Some((_, known)) = &mut self.readings else { return Ok(()) };
        if frame.version <= *known {
            return Ok(());
        }
        if frame.since > *known {
            return self.catch_up_readings().await;
        }
        *known = frame.version;
        self.wire.tell(frame.message(self.wire.encoding)).await
    }

    async fn tell_vitals(&mut self, frame: Arc<VitalsFrame>) -> Said {
        let Some((_, known)) = &mut self.vitals else { return Ok(()) };
        let own = if *known == frame.since { None } else { Some(self.wire.shared.hub.vitals_since(*known)) };
        *known = own.as_ref().map_or(frame.version, |own| own.version);
        let frame = own.as_ref().unwrap_or(&frame);
        if frame.is_empty() {
            return Ok(());
        }
        self.wire.tell(frame.message(self.wire.encoding)).await
    }
}

/// Whether a reader wants this event. What cannot be read is passed on: leaving it out would hide it.
fn matches(filter: Option<&Filter>, server: &str, bytes: &bytes::Bytes) -> bool {
    filter.is_none_or(|filter| EventBytes(bytes.clone()).decode().map_or(true, |event| filter.matches(&OnServer { subject: &event, server })))
}

/// Waits until the key that somebody came in by is no longer theirs.
async fn taken_away(key: &mut Option<(Arc<Holder>, watch::Receiver<Arc<AuthorizedKeys>>)>) {
    match key {
        Some((holder, keys)) => {
            if keys.wait_for(|keys| keys.holder(&holder.key) != Some(holder)).await.is_err() {
                std::future::pending().await
            }
        }
        None => std::future::pending().await,
    }
}

async fn until_stopping(stopping: &mut watch::Receiver<bool>) {
    let _ = stopping.wait_for(|stopping| *stopping).await;
}

async fn next_publication(stream: &mut Option<Stream>) -> Option<Arc<Publication>> {
    match stream {
        Some(stream) => stream.subscription.next().await,
        None => std::future::pending().await,
    }
}

/// What is told the next time; never where nothing is followed, or nobody tells any more.
async fn next_told<T: Clone>(followed: Option<&mut watch::Receiver<T>>) -> T {
    if let Some(changes) = followed
        && changes.changed().await.is_ok()
    {
        return changes.borrow_and_update().clone();
    }
    std::future::pending().await
}
