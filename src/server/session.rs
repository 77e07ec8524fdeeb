//! One WebSocket: who is there, what they want to hear, what they ask for.
//!
//! A single task, so that thousands of idle ones cost little. It writes and reads in turn; while a slow
//! reader holds up a write, its queue in the hub fills and is dropped, and nobody else notices.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, StreamExt};
use futures_util::{FutureExt, SinkExt};
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::{self, Message};

use super::asks::Asks;
use super::core::{Core, Durable, Input};
use super::gate::Gate;
use super::greet::{Shown, greet};
use super::health::HealthFrame;
use super::house::House;
use super::hub::{Publication, ReadingsFrame, Subscription, VitalsFrame, message};
use super::line::{Arrival, Front, KeyUse, Slot, Socket, Via};
use super::marks::{Own, ReadMarks};
use super::metrics::{Metrics, count, drop_one};
use super::peer::{Peers, PeersFrame};
use super::refusals::Refusals;
use super::resume;
use super::rights::need::ask_of;
use super::rights::{Audit, Need, Principal, Roll, Standing, lossy, need, shown};
use super::sifting::Sifts;
use crate::link::Clock;
use crate::link::short::TooMuch;
use crate::model::filter::Filter;
use crate::model::grant::{Epoch, Key, Lens, Right, Scope, Who};
use crate::model::id::{AgentId, Incarnation, Origin, Person, Sequence, SystemId};
use crate::model::intent::{Refusal, RefusalCode, Request};
use crate::model::mark::Marks;
use crate::model::time::Span;
use crate::model::world::World;
use crate::store::Row;
use crate::trust::handshake::Binding;
use crate::trust::{Tokens, seal, verb};
use crate::wire::codec::{Frame, decode_to_server, encode};
use crate::wire::{
    self, Ack, Answer, Batch, Cursor, Encoding, EventBytes, Hello, MarksKept, Outcome, Ping, Pong, Problem, ProblemCode, Raw, Role, SnapshotReason, Subscribe,
    ToClient, ToServer, Vitals, WireError, WorldAsk, WorldThen, peek,
};

pub use super::limits::Limits;

/// What all sessions of a server share.
pub struct Shared {
    /// Of the server's own log.
    pub core: Core,
    pub own: Arc<House>,
    /// What is received of other servers, where it has peers.
    pub peers: Option<Arc<Peers>>,
    pub clock: Arc<dyn Clock>,
    pub metrics: Arc<Metrics>,
    pub tokens: Tokens,
    pub gate: Arc<Gate>,
    pub front: Arc<Front>,
    /// Tells who came in, and who did not.
    pub audit: Audit,
    /// Where this server can be reached from elsewhere.
    pub addresses: Vec<Arc<str>>,
    /// Who holds a grant.
    pub roll: watch::Receiver<Arc<Roll>>,
    pub limits: Limits,
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

impl Shared {
    /// The log of a server behind this one. `None`: nothing of it is known here, or nothing that may be passed
    /// on to who asks.
    pub fn house(&self, origin: Origin, role: Role) -> Option<Arc<House>> {
        let peers = self.peers.as_ref().filter(|peers| role != Role::Peer || peers.may_pass_on(origin))?;
        peers.house(origin)
    }
}

/// The session is over; nothing more can be said to the other side.
pub(super) struct Over;

type Said = Result<(), Over>;

pub(super) async fn run(socket: Socket, arrival: Arrival, shared: Arc<Shared>) {
    count(&shared.metrics.sessions);
    let stopping = shared.stopping.clone();
    let alive = shared.alive.clone();
    let Arrival { shown, keys, via, binding, from, slot, stranger } = arrival;
    let mut wire = Wire { socket, encoding: Encoding::MessagePack, via, binding, shared: shared.clone(), house: shared.own.clone() };
    if let Some((hello, shown)) = greet(&mut wire, shown, keys, &from).await
        && let Some(using) = wire.known(&shown).await
    {
        drop(stranger);
        slot.iter().for_each(Slot::known);
        let session = Session {
            principal: Principal::new(&shown, hello.role, hello.name.clone(), &shared.gate, &shared.roll),
            wire,
            hello,
            using,
            stream: None,
            asks: Asks::default(),
            sifts: Sifts::default(),
            replies: FuturesUnordered::new(),
            vitals: None,
            health: None,
            marks: None,
            peers: None,
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
    /// The log that this connection is about.
    pub(super) house: Arc<House>,
}

impl Wire {
    /// It is known who is there: they may say more. `None`: there are too many of them.
    async fn known(&mut self, shown: &Shown) -> Option<KeyUse> {
        let using = match shown {
            Shown::Key(holder) => self.shared.front.keys.enter(holder.key),
            Shown::Granted(key, _) => self.shared.front.keys.enter(*key),
            Shown::Handed(handed) => self.shared.front.keys.enter(handed.key),
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
    /// Everything up to here of this life of the log was told.
    sent: Sequence,
    life: Incarnation,
    /// What of it is shown; none: all.
    lens: Option<Lens>,
    /// Another server's log, for a third one.
    relays: bool,
}

impl Stream {
    /// What of these rows the reader is told.
    fn events(&self, rows: &[Row], server: &str) -> Vec<EventBytes> {
        let shown = |row: &Row| self.lens.as_ref().map_or_else(|| Some(row.bytes.clone()), |lens| shown::row(lens, row));
        // What was passed on to us and is passed on bears its own server's signature, or is nobody's word.
        let shown = |row: &Row| shown(row).filter(|bytes| !self.relays || *bytes == row.bytes);
        rows.iter().filter_map(shown).filter(|bytes| shown::matches(self.filter.as_ref(), server, bytes)).map(EventBytes).collect()
    }
}

struct Session {
    wire: Wire,
    hello: Hello,
    principal: Principal,
    stream: Option<Stream>,
    asks: Asks,
    sifts: Sifts,
    replies: FuturesUnordered<BoxFuture<'static, ToClient>>,
    vitals: Option<(watch::Receiver<Arc<VitalsFrame>>, u64)>,
    health: Option<watch::Receiver<Arc<HealthFrame>>>,
    /// What the person's consoles have seen, once this one has asked.
    marks: Option<watch::Receiver<Arc<Marks>>>,
    /// Whose logs this server receives.
    peers: Option<watch::Receiver<Arc<PeersFrame>>>,
    readings: Option<(watch::Receiver<Arc<ReadingsFrame>>, u64)>,
    /// Counts what it says, with all that its key says elsewhere.
    using: KeyUse,
}

impl Session {
    async fn talk(mut self, mut stopping: watch::Receiver<bool>) -> Said {
        let clock = self.wire.shared.clock.clone();
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
                frame = next_told(self.peers.as_mut()) => self.tell_peers(&frame).await?,
                marks = next_told(self.marks.as_mut()) => self.wire.say(&ToClient::MarksKept(MarksKept { marks, remark: None })).await?,
                frame = next_told(self.readings.as_mut().map(|(changes, _)| changes)) => self.tell_readings(frame).await?,
                standing = self.principal.changed(&*clock) => match standing {
                    Standing::Changed => self.see_anew().await?,
                    Standing::Ended(words) => return self.wire.problem(ProblemCode::Unauthorized, None, words).await,
                },
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
        if let Some(words) = self.principal.over(self.wire.shared.clock.now()) {
            self.wire.problem(ProblemCode::Unauthorized, None, words).await?;
            return Err(Over);
        }
        let role = self.hello.role;
        let (words, ask) = match need(&message) {
            Need::Never(words) => (words.to_owned(), None),
            Need::Right(roles, _) | Need::Asked(roles) if !roles.contains(&role) => (format!("the role `{}` may not say that", role.word()), None),
            Need::Right(_, right) if !self.principal.scope().rights.has(right) => {
                (format!("that takes the right `{right}`, and what you may do here is: {}", self.principal.scope()), ask_of(&message))
            }
            Need::Nothing | Need::Right(..) | Need::Asked(_) => return self.answer(message).await,
        };
        self.wire.problem(ProblemCode::Forbidden, ask, words).await
    }

    /// Somebody who may say this said it.
    async fn answer(&mut self, message: ToServer) -> Said {
        match message {
            ToServer::Ping(Ping { id }) => self.wire.say(&ToClient::Pong(Pong { id, now: Some(self.wire.shared.clock.now()) })).await,
            // The table lets neither through.
            ToServer::Handshake(_) | ToServer::Hello(_) => Err(Over),
            ToServer::Renew(ask) => {
                let holding = self.principal.holding(ask.id, &self.wire.shared);
                self.wire.say(&ToClient::Holding(holding)).await
            }
            ToServer::Subscribe(subscribe) => self.subscribe(subscribe).await,
            ToServer::History(ask) => {
                let lens = self.lens().await?;
                if ask.filter.is_some() { self.sifts.history(&mut self.wire, &ask, lens).await } else { self.asks.history(&mut self.wire, &ask, lens).await }
            }
            ToServer::Count(ask) => {
                let lens = self.lens().await?;
                self.sifts.count(&mut self.wire, &ask, lens).await
            }
            ToServer::Search(ask) => {
                let lens = self.lens().await?;
                self.asks.search(&mut self.wire, &ask, lens).await
            }
            ToServer::WorldAt(ask) => {
                self.look_back(ask);
                Ok(())
            }
            ToServer::ReadMarks(said) => self.read_marks(said.marks).await,
            ToServer::Do(mut request) => {
                let scope = match self.asker(&mut request) {
                    Ok(scope) => scope,
                    Err(refusal) => return self.wire.say(&ToClient::Answer(Answer { id: request.id, result: Outcome::Refused(refusal) })).await,
                };
                let house = self.wire.house.clone();
                self.replies.push(Box::pin(async move {
                    let id = request.id;
                    let result = house.request(request, scope).await;
                    ToClient::Answer(Answer { id, result })
                }));
                Ok(())
            }
            ToServer::Agent(said) => {
                let own = self.is_own([&said.hello.agent]).and_then(|()| self.may_observe([&said.hello.system]));
                self.hand_in(said.id, own, Input::Hello(said.hello));
                Ok(())
            }
            ToServer::Observe(said) => {
                let own = self.is_own(said.observations.iter().map(|observation| &observation.agent));
                let own = own.and_then(|()| self.may_observe(said.observations.iter().map(|observation| &observation.system)));
                let most = self.wire.shared.limits.observations;
                let fits = if said.observations.len() > most {
                    Err(Refusal::new(RefusalCode::Invalid, format!("more than {most} observations at once")))
                } else {
                    own
                };
                self.hand_in(said.id, fits, Input::Observe(said.observations));
                Ok(())
            }
            ToServer::Keepalive(said) => {
                let own = self.is_own([&said.agent]);
                self.hand_in(said.id, own, Input::Keepalive(said.agent));
                Ok(())
            }
        }
    }

    /// What is shown to this one, of the world as it is now; nothing: all of it.
    async fn lens(&mut self) -> Result<Option<Arc<Lens>>, Over> {
        if self.principal.scope().is_all() {
            return Ok(None);
        }
        let scope = self.principal.scope().clone();
        let lens = self.wire.house.look(move |world| Lens::of(world, &scope)).await;
        lens.map(|lens| Some(Arc::new(lens.owned(self.principal.own_key())))).ok_or(Over)
    }

    /// As whom something is asked, and what that one may do. What a person signed for this server is done as they
    /// asked it, within their own rights here, whoever brought it.
    fn asker(&self, request: &mut Request) -> Result<Arc<Scope>, Refusal> {
        let shared = &self.wire.shared;
        if let (Role::Peer, None, Some(signed)) = (self.hello.role, self.wire.house.replica(), &request.signed) {
            let refuse = |why: &str| Refusal::new(RefusalCode::Forbidden, format!("what was signed is not done: {why}"));
            let (key, asked) = verb::signed(signed, self.wire.house.log.head().origin, shared.clock.now()).map_err(refuse)?;
            if asked.id != request.id {
                return Err(refuse("it is another request"));
            }
            let line = shared.gate.holder(&key).filter(|holder| holder.role == Role::Console).map(|holder| (holder.name.clone(), holder.scope.clone()));
            let granted = || {
                let roll = shared.roll.borrow().clone();
                let grant = roll.of_key(&Key::of(key.bytes())).filter(|grant| grant.who == Who::Person);
                grant.map(|grant| (grant.name.clone(), grant.scope.clone()))
            };
            if let Some((name, scope)) = line.or_else(granted).filter(|(_, scope)| !scope.is_over(shared.clock.now())) {
                *request = Request { by: Person::new(&name), signed: None, ..asked };
                return Ok(Arc::new(scope));
            }
        }
        request.by = self.speaks_for(request.by.clone())?;
        Ok(self.principal.scope().clone())
    }

    /// In whose name something is asked: theirs whose key it is, and not what a console says. A peer says for
    /// whom it asks, where it was granted to speak for others; that is its user's name, and none of this server's.
    fn speaks_for(&self, said: Person) -> Result<Person, Refusal> {
        match (self.hello.role, &self.principal.key) {
            (Role::Peer, _) if !self.principal.scope().rights.has(Right::SpeakFor) => {
                let words = format!("{} may not speak for {said} here: its grant does not hold `{}`", self.principal.name, Right::SpeakFor);
                Err(Refusal::new(RefusalCode::Forbidden, words))
            }
            (Role::Peer, _) => Ok(Person::new(&format!("{said}@{}", self.principal.name))),
            (Role::Console | Role::Agent, Some(_)) => Ok(Person::new(&self.principal.name)),
            (Role::Console | Role::Agent, None) => Ok(said),
        }
    }

    /// An agent speaks of the systems that it was let speak of.
    fn may_observe<'a>(&self, systems: impl IntoIterator<Item = &'a SystemId>) -> Result<(), Refusal> {
        let scope = self.principal.scope();
        match systems.into_iter().find(|system| !scope.may(Right::Observe, Some(system))) {
            None => Ok(()),
            Some(other) => {
                let words = format!("agent `{}` may not speak of {other}: what it may do here is: {scope}", self.principal.name);
                Err(Refusal::new(RefusalCode::Forbidden, words))
            }
        }
    }

    /// The world as it was: made beside everything else, in this session's own task.
    fn look_back(&mut self, WorldAsk { id, at }: WorldAsk) {
        let (house, scope, own) = (self.wire.house.clone(), self.principal.scope().clone(), self.principal.own_key());
        self.replies.push(Box::pin(async move {
            match house.past.at(at).await {
                Ok(then) => {
                    let world = then.world.map(|world| if scope.is_all() { world } else { Arc::new(Lens::of(&world, &scope).owned(own).world(&world)) });
                    ToClient::WorldThen(WorldThen { id, at, known_from: then.known_from, world })
                }
                Err(error) => ToClient::Problem(Problem { code: ProblemCode::Unavailable, words: error.to_string(), id: Some(id) }),
            }
        }));
    }

    /// What the person at this console has seen. From now on it is told what their other consoles say.
    async fn read_marks(&mut self, said: Marks) -> Said {
        let shared = &self.wire.shared;
        let head = shared.own.log.head();
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
        self.stream = None;
        let subscription = self.wire.house.hub.subscribe();
        let history = ask.history.min(self.wire.shared.limits.history);
        let lens = self.lens().await?.map(|lens| (*lens).clone());
        let (head, epoch) = (self.wire.house.log.head(), self.epoch());
        let relays = self.hello.role == Role::Peer && !own;
        let stream = Stream { sent: subscription.head, life: head.incarnation, subscription, filter, history, lens, relays };
        match resume::from_cursor(ask.cursor, head, stream.subscription.head, epoch) {
            Ok(from) => self.catch_up(stream, from).await,
            Err(why) => self.snapshot(stream, why).await,
        }
    }

    /// Sends what follows `from`, then goes on with the stream.
    async fn catch_up(&mut self, mut stream: Stream, mut from: Sequence) -> Said {
        let to = stream.subscription.head;
        let house = self.wire.house.clone();
        while from < to {
            let rows = match resume::following(&house, from, to).await {
                Ok(rows) => rows,
                Err(None) => return self.snapshot(stream, SnapshotReason::TooOld).await,
                Err(Some(error)) => return self.wire.problem(ProblemCode::Unavailable, None, error.to_string()).await,
            };
            if stream.lens.as_mut().is_some_and(|lens| shown::moved(lens, &rows)) {
                return self.snapshot(stream, SnapshotReason::Scope).await;
            }
            // Nothing: what is left are places of events that were never received.
            let last = rows.last().map_or(to, |row| row.sequence);
            let events = stream.events(&rows, &house.name);
            self.batch(from, last, events, house.lag()).await?;
            from = last;
        }
        // A claim at least: the reader learns that it is up to date.
        self.batch(to, to, Vec::new(), house.lag()).await?;
        stream.sent = to;
        self.stream = Some(stream);
        Ok(())
    }

    async fn batch(&mut self, from: Sequence, to: Sequence, events: Vec<EventBytes>, lag: Span) -> Said {
        if self.passes_on() {
            let batch = self.signed(from, to, events, lag).await?;
            return self.wire.say(&ToClient::Batch(batch)).await;
        }
        match resume::batch(self.wire.house.log.head(), from, to, events, lag, self.wire.encoding) {
            Some(message) => self.wire.send(message).await,
            None => Err(Over),
        }
    }

    /// Whether the other side may tell others what it is told here.
    fn passes_on(&self) -> bool {
        self.hello.role == Role::Peer && self.principal.scope().rights.has(Right::Federate)
    }

    /// For one who passes it on: signed by the server whose log it is.
    async fn signed(&mut self, from: Sequence, to: Sequence, events: Vec<EventBytes>, lag: Span) -> Result<Batch, Over> {
        let house = self.wire.house.clone();
        let head = house.log.head();
        let batch = Batch { incarnation: head.incarnation, from, to, events, lag, seals: Vec::new(), claim: None };
        if let Some(replica) = house.replica() {
            let seals = house.log.seals(from.next(), to).await.map_err(|_| Over)?;
            let known: BTreeMap<Sequence, Bytes> = seals.into_iter().collect();
            let seal = |event: &EventBytes| peek::peek(&event.0).ok().and_then(|header| known.get(&header.sequence)).map(|seal| Raw(seal.to_vec()));
            let sealed = batch.events.into_iter().filter_map(|event| Some((seal(&event)?, event)));
            let (seals, events) = sealed.unzip();
            return Ok(Batch { events, seals, claim: replica.claim(), ..batch });
        }
        let Some(signer) = self.wire.shared.gate.signer() else { return Ok(batch) };
        let seals = batch.events.iter().filter_map(|event| seal::seal(signer, &event.0)).collect::<Vec<_>>();
        // Everything that is published is durable.
        let claim = seal::claim(signer, head.origin, head.incarnation, to.max(house.hub.head()), self.wire.shared.clock.now());
        Ok(if seals.len() == batch.events.len() { Batch { seals, claim, ..batch } } else { batch })
    }

    async fn snapshot(&mut self, stream: Stream, why: SnapshotReason) -> Said {
        let Some(durable) = self.wire.house.durable().await else { return Err(Over) };
        self.snapshot_of(stream, durable, why).await
    }

    async fn snapshot_of(&mut self, mut stream: Stream, durable: Arc<Durable>, why: SnapshotReason) -> Said {
        let scope = self.principal.scope();
        stream.lens = (!scope.is_all()).then(|| Lens::of(&durable.world, scope).owned(self.principal.own_key()));
        let (house, encoding) = (&self.wire.house, self.wire.encoding);
        let snapshot = match &stream.lens {
            Some(lens) => shown::snapshot(&durable, house, lens, stream.history, why, encoding).await,
            None => resume::snapshot(&durable, house, stream.history, why, encoding).await,
        };
        match snapshot {
            Ok(message) => {
                count(&self.wire.shared.metrics.snapshots);
                (stream.sent, stream.life) = (durable.world.head, durable.world.incarnation);
                drop(durable);
                let head = stream.sent;
                self.wire.send(message).await?;
                self.stream = Some(stream);
                // The signed word on how far the log goes, at once.
                if self.passes_on() { self.batch(head, head, Vec::new(), self.wire.house.lag()).await } else { Ok(()) }
            }
            Err(words) => self.wire.problem(ProblemCode::Unavailable, None, words).await,
        }
    }

    async fn publish(&mut self, publication: Option<Arc<Publication>>) -> Said {
        let passes_on = self.passes_on();
        let Some(stream) = &mut self.stream else { return Ok(()) };
        let Some(publication) = publication else { return self.lapsed().await };
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
        if stream.filter.is_none() && stream.lens.is_none() && !passes_on {
            return match publication.message(self.wire.encoding) {
                Some(message) => self.wire.send(message).await,
                None => Err(Over),
            };
        }
        let anew = stream.lens.as_mut().is_some_and(|lens| shown::moved(lens, &publication.rows));
        let events = stream.events(&publication.rows, &self.wire.house.name);
        self.batch(publication.from, publication.to, events, publication.lag).await?;
        if anew { self.see_anew().await } else { Ok(()) }
    }

    /// What marks that this one sees of this log what it sees.
    fn epoch(&self) -> Option<Epoch> {
        Epoch::both(self.wire.house.epoch(), self.principal.scope().epoch())
    }

    /// Too slow, or the log begins anew: the queue is gone. A new one first, so that nothing falls between it
    /// and what is told.
    async fn lapsed(&mut self) -> Said {
        let Some(old) = self.stream.take() else { return Ok(()) };
        let subscription = self.wire.house.hub.subscribe();
        let (head, epoch) = (self.wire.house.log.head(), self.epoch());
        let cursor = Cursor { origin: head.origin, incarnation: old.life, sequence: old.sent, epoch };
        let from = resume::from_cursor(Some(cursor), head, subscription.head, epoch);
        let stream = Stream { sent: subscription.head, life: head.incarnation, subscription, ..old };
        match (from, self.hello.role) {
            // A server keeps the log: it is to miss nothing.
            (Ok(from), Role::Peer) => self.catch_up(stream, from).await,
            (Ok(_), _) => self.snapshot(stream, SnapshotReason::Slow).await,
            (Err(why), _) => self.snapshot(stream, why).await,
        }
    }

    /// What is seen is not what it was: the world anew, and before it all that led to it.
    async fn see_anew(&mut self) -> Said {
        if self.stream.is_none() {
            return Ok(());
        }
        let Some(durable) = self.wire.house.durable().await else { return Err(Over) };
        if let Some(stream) = &mut self.stream {
            let scope = self.principal.scope();
            stream.lens = (!scope.is_all()).then(|| Lens::of(&durable.world, scope).owned(self.principal.own_key()));
        }
        // All of that world was published: what of it was not told yet waits in the queue.
        while let Some(stream) = &mut self.stream
            && stream.sent < durable.world.head
        {
            match stream.subscription.next().await {
                Some(publication) if publication.to > stream.sent => {
                    stream.sent = publication.to;
                    let events = stream.events(&publication.rows, &self.wire.house.name);
                    self.batch(publication.from, publication.to, events, publication.lag).await?;
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

    async fn tell_peers(&mut self, frame: &PeersFrame) -> Said {
        if self.hello.role != Role::Peer {
            return self.wire.tell(frame.message(self.wire.encoding)).await;
        }
        let Some(known) = self.wire.shared.peers.clone() else { return Ok(()) };
        let peers = frame.peers.iter().filter(|peer| known.may_pass_on(peer.origin)).cloned().collect();
        self.wire.say(&ToClient::Peers(wire::Peers { peers })).await
    }

    async fn tell_health(&mut self, frame: &HealthFrame) -> Said {
        if !self.principal.scope().names_all() {
            return self.wire.say(&ToClient::Health(lossy::health(self.principal.scope(), &frame.health))).await;
        }
        self.wire.tell(frame.message(self.wire.encoding)).await
    }

    /// All that changed since this reader was told last.
    async fn catch_up_readings(&mut self) -> Said {
        let Some((_, known)) = &mut self.readings else { return Ok(()) };
        let since = *known;
        let scope = self.principal.scope().clone();
        let seen = move |world: &World, readings| if scope.is_all() { readings } else { lossy::readings(&scope, world, readings) };
        let Some((version, readings)) = self.wire.house.readings_since(since, seen).await else { return Ok(()) };
        *known = version;
        if readings.is_empty() { Ok(()) } else { self.wire.say(&ToClient::Readings(readings)).await }
    }

    async fn tell_readings(&mut self, frame: Arc<ReadingsFrame>) -> Said {
        let Some((_, known)) = &mut self.readings else { return Ok(()) };
        if frame.version <= *known {
            return Ok(());
        }
        if frame.since > *known || !self.principal.scope().is_all() {
            return self.catch_up_readings().await;
        }
        *known = frame.version;
        self.wire.tell(frame.message(self.wire.encoding)).await
    }

    async fn tell_vitals(&mut self, frame: Arc<VitalsFrame>) -> Said {
        let Some((_, known)) = &mut self.vitals else { return Ok(()) };
        let own = if *known == frame.since { None } else { Some(self.wire.house.hub.vitals_since(*known)) };
        *known = own.as_ref().map_or(frame.version, |own| own.version);
        let frame = own.as_ref().unwrap_or(&frame);
        if frame.is_empty() {
            return Ok(());
        }
        if !self.principal.scope().is_all() {
            let observations = lossy::observations(self.principal.scope(), frame.observations());
            return if observations.is_empty() { Ok(()) } else { self.wire.say(&ToClient::Vitals(Vitals { observations })).await };
        }
        self.wire.tell(frame.message(self.wire.encoding)).await
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
