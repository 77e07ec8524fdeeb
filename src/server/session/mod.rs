//! One WebSocket: who is there, what they want to hear, what they ask for.
//!
//! A single task, so that thousands of idle ones cost little. It writes and reads in turn; while a slow
//! reader holds up a write, its queue in the hub fills and is dropped, and nobody else notices.

mod asking;
mod backfill;
mod leasing;
mod lossy;
mod presence;
pub(super) mod sealing;
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
use crate::server::hub::{ReadingsFrame, VitalsFrame};
use crate::server::line::{Arrival, Front, KeyUse, Slot, Socket};
use crate::server::marks::ReadMarks;
use crate::server::metrics::{Metrics, count, drop_one};
use crate::server::peer::{Peers, PeersFrame};
use crate::server::presence::Present;
use crate::server::refusals::Refusals;
use crate::server::rights::audit::address;
use crate::server::rights::need::{ask_of, word_of};
use crate::server::rights::{Audit, Need, Principal, Roll, Standing, need};
use crate::server::sifting::Sifts;
use crate::trust::Tokens;
use crate::wire::codec::{Frame, decode_to_server};
use crate::wire::{Answer, Encoding, Hello, MarksKept, Outcome, Ping, Pong, ProblemCode, Role, ToClient, ToServer, WireError};
use leasing::Told;
use sealing::Sealings;
use stream::Stream;
use wire::Said;
use world::Awaited;

pub use crate::server::limits::Limits;
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
        let peers = self.peers.as_ref().filter(|peers| role != Role::Peer || peers.may_pass_on(origin))?;
        peers.house(origin)
    }
}

pub(super) async fn run(socket: Socket, arrival: Arrival, shared: Arc<Shared>) {
    count(&shared.metrics.sessions);
    let stopping = shared.stopping.clone();
    let alive = shared.alive.clone();
    let Arrival { shown, keys, via, binding, from, slot, stranger } = arrival;
    let mut wire = Wire { socket, encoding: Encoding::MessagePack, via, binding, shared: shared.clone(), house: shared.own.clone() };
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
    replies: FuturesUnordered<BoxFuture<'static, ToClient>>,
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

impl Session {
    /// What is seldom under way lies in a room of its own then, so that those who are silent hold little.
    async fn talk(&mut self, mut stopping: watch::Receiver<bool>) -> Said {
        let clock = self.wire.shared.clock.clone();
        loop {
            let limits = &self.wire.shared.limits;
            // What asks for more than is allowed is not read on until there is room.
            let room = self.replies.len() < limits.replies;
            tokio::select! {
                frame = self.wire.next(), if room => Box::pin(self.take(frame?)).await?,
                publication = stream::next(&mut self.stream) => self.publish(publication).await?,
                come = world::next(&mut self.awaited) => Box::pin(self.world_comes(come)).await?,
                found = sealing::next(&mut self.sealings) => Box::pin(self.sealed(found)).await?,
                rows = self.asks.next() => Box::pin(self.asks.answer(&mut self.wire, rows)).await?,
                come = self.sifts.next() => Box::pin(self.sifts.answer(&mut self.wire, come)).await?,
                Some(said) = self.replies.next(), if !self.replies.is_empty() => self.wire.say(&said).await?,
                frame = next_told(self.vitals.as_mut().map(|(changes, _)| changes)) => Box::pin(self.tell_vitals(frame)).await?,
                frame = next_told(self.health.as_mut()) => Box::pin(self.tell_health(&frame)).await?,
                frame = next_told(self.peers.as_mut()) => Box::pin(self.tell_peers(&frame)).await?,
                marks = next_told(self.marks.as_mut()) => self.wire.say(&ToClient::MarksKept(MarksKept { marks, remark: None })).await?,
                frame = next_told(self.readings.as_mut().map(|(changes, _)| changes)) => Box::pin(self.tell_readings(frame)).await?,
                due = self.present.due() => Box::pin(self.presence_is(due)).await?,
                standing = self.principal.changed(&*clock) => match standing {
                    Standing::Changed => {
                        self.presence_anew();
                        Box::pin(self.see_anew()).await?;
                    }
                    Standing::Ended(words) => return self.wire.problem(ProblemCode::Unauthorized, None, words).await,
                },
                () = until_stopping(&mut stopping) => {
                    // The last words of the core are told before ours.
                    while let Some(publication) = stream::next(&mut self.stream).now_or_never().flatten() {
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
        self.denies(word_of(&message), &words);
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
            ToServer::Backfill(ask) => self.backfill(ask).await,
            ToServer::SealWorld(ask) => self.seal_world(ask).await,
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
