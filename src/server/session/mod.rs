//! One WebSocket: who is there, what they want to hear, what they ask for.
//!
//! A single task, so that thousands of idle ones cost little. It writes and reads in turn, and while it rests whoever
//! publishes writes in its place ([`outlet`]); while a slow reader holds up a write, its queue in the hub fills and is
//! dropped, and nobody else notices.

mod asking;
mod backfill;
mod frames;
mod leasing;
mod lossy;
mod outlet;
mod presence;
pub(super) mod sealing;
mod sight;
mod stream;
mod wire;
mod world;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::sync::watch;
use tokio_tungstenite::tungstenite::Message;

use crate::link::Clock;
use crate::model::id::Origin;
use crate::model::intent::{Refusal, RefusalCode};
use crate::model::mark::Marks;
use crate::model::time::Span;
use crate::server::asks::Asks;
use crate::server::core::{Core, Input};
use crate::server::gate::Gate;
use crate::server::greet::greet;
use crate::server::health::HealthFrame;
use crate::server::house::House;
use crate::server::hub::{Publication, ReadingsFrame, VitalsFrame};
use crate::server::line::{Arrival, Front, KeyUse, Slot, Socket};
use crate::server::marks::ReadMarks;
use crate::server::metrics::{Metrics, count, drop_one};
use crate::server::peer::{Peers, PeersFrame};
use crate::server::presence::{Due, Present};
use crate::server::refusals::Refusals;
use crate::server::rights::audit::address;
use crate::server::rights::need::{ask_of, word_of};
use crate::server::rights::{Audit, Need, Principal, Roll, Standing, need};
use crate::server::sifting::{Come, Sifts};
use crate::store::{Row, StoreError};
use crate::trust::Tokens;
use crate::wire::codec::{Frame, decode_to_server};
use crate::wire::{Answer, Encoding, Hello, MarksKept, Outcome, Ping, Pong, ProblemCode, Role, SealedWorld, ToClient, ToServer, WireError};
use leasing::Told;
use outlet::Outlet;
use sealing::Sealings;
use stream::Stream;
use wire::Said;
use world::Awaited;

pub use crate::server::limits::Limits;
pub(super) use sight::{Asked, MOVED};
pub(super) use wire::{Over, Wire};

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
    /// How long a peer may pass on what it is granted, without being told anew.
    pub lease: Span,
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
        let peers = self.peers.as_ref().filter(|peers| role != Role::Peer || peers.passes(origin).is_some())?;
        peers.house(origin)
    }
}

pub(super) async fn run(socket: Socket, arrival: Arrival, shared: Arc<Shared>) {
    count(&shared.metrics.sessions);
    let stopping = shared.stopping.clone();
    let alive = shared.alive.clone();
    let Arrival { shown, keys, via, binding, from, slot, stranger } = arrival;
    let outlet = Outlet::new(socket, shared.clock.clone(), shared.metrics.clone());
    let mut wire = Wire { outlet, encoding: Encoding::MessagePack, via, binding, shared: shared.clone(), house: shared.own.clone() };
    if let Some((hello, shown)) = Box::pin(greet(&mut wire, shown, keys, &from)).await
        && let Some(using) = wire.known(&shown).await
    {
        drop(stranger);
        slot.iter().for_each(Slot::known);
        let present = Present::new(&wire.house.presence, wire.house.claim_every);
        let principal = Principal::new(&shown, hello.role, hello.name.clone(), &shared.gate, &shared.roll);
        let leased = wire.house.replica().filter(|_| hello.role == Role::Peer).map(|replica| replica.follow_lease());
        let mut session = Box::new(Session {
            from: address(&from),
            principal: match leased {
                Some(leased) => principal.passed_on(leased),
                None => principal,
            },
            leased: None,
            wire,
            hello,
            using,
            stream: None,
            awaited: None,
            sealings: Sealings::default(),
            asks: Asks::default(),
            sifts: Sifts::default(),
            replies: FuturesUnordered::new(),
            vitals: None,
            health: None,
            marks: None,
            peers: None,
            readings: None,
            present,
        });
        // Whichever way it ended, there is nobody to tell.
        let _ = Box::pin(session.talk(stopping)).await;
    }
    drop_one(&shared.metrics.sessions);
    drop((alive, slot));
}

/// What is answered, and of what of the log it was made.
struct Reply {
    said: ToClient,
    of: Option<Asked>,
}

impl From<ToClient> for Reply {
    fn from(said: ToClient) -> Reply {
        Reply { said, of: None }
    }
}

struct Session {
    wire: Wire,
    hello: Hello,
    principal: Principal,
    /// From where it came, as the log names it.
    from: Arc<str>,
    /// What a peer was told last of how much it may receive and pass on.
    leased: Option<Told>,
    stream: Option<Stream>,
    /// In its place, the world that it waits for.
    awaited: Option<Box<Awaited>>,
    /// Worlds that are asked for, for those behind a peer.
    sealings: Sealings,
    asks: Asks,
    sifts: Sifts,
    replies: FuturesUnordered<BoxFuture<'static, Reply>>,
    vitals: Option<(watch::Receiver<Arc<VitalsFrame>>, u64)>,
    health: Option<watch::Receiver<Arc<HealthFrame>>>,
    /// What the person's consoles have seen, once this one has asked.
    marks: Option<watch::Receiver<Arc<Marks>>>,
    /// Whose logs this server receives.
    peers: Option<watch::Receiver<Arc<PeersFrame>>>,
    readings: Option<(watch::Receiver<Arc<ReadingsFrame>>, u64)>,
    /// What its person looks at, and what it is told of others.
    present: Present,
    /// Counts what it says, with all that its key says elsewhere.
    using: KeyUse,
}

/// What a session has its turn for.
enum Woken {
    Publication(Option<Arc<Publication>>),
    /// Something that was written to it while it rested is not taken yet.
    Left,
    Standing(Standing),
    World(Result<SealedWorld, String>),
    Sealed(sealing::Found),
    Pages(Result<Vec<Row>, StoreError>),
    Sifted(Come),
    Reply(Box<Reply>),
    Vitals(Arc<VitalsFrame>),
    Health(Arc<HealthFrame>),
    Peers(Arc<PeersFrame>),
    Marks(Arc<Marks>),
    Readings(Arc<ReadingsFrame>),
    Presence(Due),
    Stopping,
    Frame(Frame),
    /// So much was told of the log that everything else is looked at, too.
    Others,
}

/// So many publications are told before anything else has its turn.
const IN_A_ROW: u8 = 8;

impl Session {
    /// What is seldom under way lies in a room of its own then, so that those who are silent hold little.
    async fn talk(&mut self, mut stopping: watch::Receiver<bool>) -> Said {
        let (clock, outlet) = (self.wire.shared.clock.clone(), self.wire.outlet.clone());
        // What was told of the log without looking whether there is anything else.
        let mut told = 0_u8;
        loop {
            let limits = &self.wire.shared.limits;
            // What asks for more than is allowed is not read on until there is room.
            let room = self.replies.len() < limits.replies;
            // To thousands at once, so that little else is looked at before: but a log without end holds nothing up.
            let first = told < IN_A_ROW;
            self.rests();
            let woken = tokio::select! {
                biased;
                publication = stream::next(&mut self.stream), if first => Woken::Publication(publication),
                () = outlet.left() => Woken::Left,
                standing = self.principal.changed(&*clock) => Woken::Standing(standing),
                come = world::next(&mut self.awaited) => Woken::World(come),
                found = sealing::next(&mut self.sealings) => Woken::Sealed(found),
                rows = self.asks.next() => Woken::Pages(rows),
                come = self.sifts.next() => Woken::Sifted(come),
                Some(reply) = self.replies.next(), if !self.replies.is_empty() => Woken::Reply(Box::new(reply)),
                frame = next_told(self.vitals.as_mut().map(|(changes, _)| changes)) => Woken::Vitals(frame),
                frame = next_told(self.health.as_mut()) => Woken::Health(frame),
                frame = next_told(self.peers.as_mut()) => Woken::Peers(frame),
                marks = next_told(self.marks.as_mut()) => Woken::Marks(marks),
                frame = next_told(self.readings.as_mut().map(|(changes, _)| changes)) => Woken::Readings(frame),
                due = self.present.due() => Woken::Presence(due),
                () = until_stopping(&mut stopping) => Woken::Stopping,
                frame = self.wire.next(), if room => Woken::Frame(frame?),
                () = std::future::ready(()), if !first => Woken::Others,
            };
            self.wakes();
            match woken {
                Woken::Publication(publication) => {
                    told += 1;
                    self.publish(publication).await?;
                }
                Woken::Others => told = 0,
                Woken::Left => self.wire.flush().await?,
                Woken::Standing(standing) => Box::pin(self.stands(standing)).await?,
                Woken::World(come) => Box::pin(self.world_comes(come)).await?,
                Woken::Sealed(found) => Box::pin(self.sealed(found)).await?,
                Woken::Pages(rows) => Box::pin(self.pages(rows)).await?,
                Woken::Sifted(come) => Box::pin(self.sifted(come)).await?,
                Woken::Reply(reply) => self.reply(*reply).await?,
                Woken::Vitals(frame) => Box::pin(self.tell_vitals(frame)).await?,
                Woken::Health(frame) => Box::pin(self.tell_health(&frame)).await?,
                Woken::Peers(frame) => Box::pin(self.tell_peers(&frame)).await?,
                Woken::Marks(marks) => self.wire.say(&ToClient::MarksKept(MarksKept { marks, remark: None })).await?,
                Woken::Readings(frame) => Box::pin(self.tell_readings(frame)).await?,
                Woken::Presence(due) => Box::pin(self.presence_is(due)).await?,
                Woken::Stopping => {
                    // The last words of the core are told before ours.
                    while let Some(publication) = stream::next(&mut self.stream).now_or_never().flatten() {
                        self.publish(Some(publication)).await?;
                    }
                    self.wire.problem(ProblemCode::Stopping, None, "the server stops").await?;
                    return self.wire.send(Message::Close(None)).await;
                }
                Woken::Frame(frame) => Box::pin(self.take(frame)).await?,
            }
        }
    }

    async fn take(&mut self, frame: Frame) -> Said {
        count(&self.wire.shared.metrics.frames_in);
        self.present.heard();
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
        self.weigh(message, 0).await
    }

    /// Whether it may be said, by what may be said now. `turn`: how often it was, and its answer came too late.
    async fn weigh(&mut self, message: ToServer, turn: u8) -> Said {
        self.settle().await?;
        let role = self.hello.role;
        let (words, ask) = match need(&message) {
            Need::Never(words) => (words.to_owned(), None),
            Need::Right(roles, _) | Need::Asked(roles) if !roles.contains(&role) => (format!("the role `{}` may not say that", role.word()), None),
            Need::Right(_, right) if !self.principal.scope().rights.has(right) => {
                (format!("that takes the right `{right}`, and what you may do here is: {}", self.principal.scope()), ask_of(&message))
            }
            Need::Nothing | Need::Right(..) | Need::Asked(_) => return self.answer(message, turn).await,
        };
        self.denies(word_of(&message), &words);
        self.wire.problem(ProblemCode::Forbidden, ask, words).await
    }

    /// Somebody who may say this said it.
    async fn answer(&mut self, message: ToServer, turn: u8) -> Said {
        match message {
            ToServer::Ping(Ping { id }) => self.wire.say(&ToClient::Pong(Pong { id, now: Some(self.wire.shared.clock.now()) })).await,
            // The table lets neither through.
            ToServer::Handshake(_) | ToServer::Hello(_) => Err(Over),
            ToServer::Renew(ask) => {
                let holding = self.principal.holding(ask.id, &self.wire.shared);
                self.wire.say(&ToClient::Holding(holding)).await
            }
            ToServer::Subscribe(subscribe) => self.subscribe(subscribe).await,
            ToServer::History(ref ask) => {
                let filtered = ask.filter.is_some();
                let asked = self.asked(message, turn).await?;
                if filtered { self.sifts.history(&mut self.wire, asked).await } else { self.asks.queue(&mut self.wire, asked).await }
            }
            ToServer::SealWorld(ask) => self.seal_world(ask).await,
            ToServer::Backfill(ask) => {
                let asked = self.asked(message, turn).await?;
                self.backfill(ask, asked).await
            }
            ToServer::Count(_) => {
                let asked = self.asked(message, turn).await?;
                self.sifts.count(&mut self.wire, asked).await
            }
            ToServer::Search(ref ask) if ask.words.len() > 1_000 => {
                self.wire.problem(ProblemCode::Limit, Some(ask.id), "a search of more than 1000 bytes").await
            }
            ToServer::Search(_) => {
                let asked = self.asked(message, turn).await?;
                self.asks.queue(&mut self.wire, asked).await
            }
            ToServer::WorldAt(ask) => {
                self.look_back(ask, self.asked_of_worlds(message, turn));
                Ok(())
            }
            ToServer::ReadMarks(said) => self.read_marks(said.marks).await,
            ToServer::LookingAt(said) => {
                self.looks_at(said);
                Ok(())
            }
            ToServer::Do(mut request) => {
                let word = request.intent.word();
                let asker = match self.asker(&mut request) {
                    Ok(asker) => asker,
                    Err(refusal) => {
                        self.denies(word, &refusal.why);
                        return self.wire.say(&ToClient::Answer(Answer { id: request.id, result: Outcome::Refused(refusal) })).await;
                    }
                };
                let (house, denied) = (self.wire.house.clone(), self.denied());
                let passed_on = self.passed_on(&request, &asker);
                self.replies.push(Box::pin(async move {
                    let id = request.id;
                    let result = house.request(request, Box::new(asker)).await;
                    if let (Outcome::Done(_), Some(told)) = (&result, passed_on) {
                        told.await;
                    }
                    if let Outcome::Refused(refusal) = &result {
                        denied.if_forbidden(word, refusal);
                    }
                    ToClient::Answer(Answer { id, result }).into()
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

    /// What was read of the log, or what is asked for anew.
    async fn pages(&mut self, rows: Result<Vec<Row>, StoreError>) -> Said {
        let Some(asked) = self.asks.asked().cloned() else { return Ok(()) };
        if !self.still_shows(&asked).await? {
            self.asks.forget(&self.wire);
            return self.anew(asked).await;
        }
        let (principal, clock) = (&self.principal, self.wire.shared.clock.clone());
        self.asks.answer(&mut self.wire, rows, &|| principal.holds(clock.now())).await
    }

    async fn sifted(&mut self, come: Come) -> Said {
        let asked = come.asked().clone();
        if !self.still_shows(&asked).await? {
            self.sifts.forget(&self.wire, &come);
            return self.anew(asked).await;
        }
        let (principal, clock) = (&self.principal, self.wire.shared.clock.clone());
        self.sifts.answer(&mut self.wire, come, &|| principal.holds(clock.now())).await
    }

    async fn reply(&mut self, reply: Reply) -> Said {
        if let Some(asked) = reply.of
            && !Box::pin(self.still_shows(&asked)).await?
        {
            return Box::pin(self.anew(asked)).await;
        }
        self.wire.say(&reply.said).await
    }

    /// More messages than the rate allows wait for the next second.
    async fn slow_down(&mut self) {
        if let Some(until) = self.using.message(self.wire.shared.limits.rate) {
            count(&self.wire.shared.metrics.throttled);
            tokio::time::sleep_until(until).await;
        }
    }
}

async fn until_stopping(stopping: &mut watch::Receiver<bool>) {
    let _ = stopping.wait_for(|stopping| *stopping).await;
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
