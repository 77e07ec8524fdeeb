//! The one task that owns what is true: it alone decides, appends and publishes.
//!
//! Commands come through a bounded queue and are taken in bursts. What a burst decided is appended
//! without waiting, so that the log can commit several bursts at once; callers are answered, and
//! subscribers told, when it is durable. When the log refuses, everything that was under way is refused
//! with words, and the primary is made anew from the log: it had already believed what was not kept.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::hub::{Hub, Publication};
use super::metrics::{self, Metrics};
use super::prime;
use super::rights::Roll;
use super::steady::SteadyNow;
use crate::link::Clock;
use crate::model::event::{Draft, Event, Kind, Silence};
use crate::model::grant::{Asker, Key, Who};
use crate::model::id::{AgentId, EventId, GrantId, Sequence, SourceId, SystemId};
use crate::model::intent::{Refusal, RefusalCode, Request};
use crate::model::observation::{AgentHello, Observation};
use crate::model::primary::{Primary, Rules};
use crate::model::report::{Memory, Report};
use crate::model::system::SystemSpec;
use crate::model::time::{Span, Time};
use crate::model::world::World;
use crate::store::{Answer, Log, Retention, Row, StoreError};
use crate::wire::EventBytes;

/// What comes in from outside, for the primary to decide on.
#[derive(Clone, Debug)]
pub enum Input {
    Request(Request),
    /// The same, of one who may do no more than this.
    Asked(Request, Box<Asker>),
    /// One who proved this key brings a code.
    Redeem {
        code: GrantId,
        who: Who,
        key: Key,
        name: Arc<str>,
        /// Those that nobody may choose.
        names: Vec<Arc<str>>,
    },
    Observe(Vec<Observation>),
    Hello(AgentHello),
    Keepalive(AgentId),
    Report(Report),
    /// What a source remembers from before it was watched.
    Remember(Memory),
    Silences {
        source: SourceId,
        silences: Vec<Silence>,
    },
    SourceFailed {
        source: SourceId,
        why: String,
    },
    SourceRecovered(SourceId),
    /// Events that need no decision.
    Record(Vec<Draft>),
    Configure(Vec<SystemSpec>),
}

type Reply = oneshot::Sender<Result<Vec<EventId>, Refusal>>;
type Look = Box<dyn FnOnce(&Primary) + Send>;

enum Command {
    Write(Input, Reply),
    Read(Look),
    Durable(oneshot::Sender<Arc<Durable>>),
    Stop,
}

/// A world of which every event is durable and published.
pub struct Durable {
    pub world: Arc<World>,
    pub base: Sequence,
    pub(super) encoded: std::sync::Mutex<Vec<super::resume::EncodedSnapshot>>,
    /// Parts of it as they are signed for those behind peers.
    pub(super) packed: std::sync::Mutex<Vec<super::session::sealing::PackedWorld>>,
}

impl Durable {
    pub(super) fn new(world: Arc<World>, base: Sequence) -> Durable {
        Durable { world, base, encoded: std::sync::Mutex::default(), packed: std::sync::Mutex::default() }
    }
}

/// Speaks to the core's task.
#[derive(Clone)]
pub struct Core {
    commands: mpsc::Sender<Command>,
    clock: Arc<dyn Clock>,
}

impl Core {
    /// Hands something in; answered when what follows from it is durable. Waits while the queue is full.
    pub async fn write(&self, input: Input) -> Result<Vec<EventId>, Refusal> {
        let (reply, answer) = oneshot::channel();
        if self.commands.send(Command::Write(input, reply)).await.is_err() {
            return Err(stopping());
        }
        answer.await.unwrap_or_else(|_| Err(stopping()))
    }

    /// Looks at the primary as it is now, within the core's task: be quick. Its world may hold events
    /// that are about to become durable. `None`: the server stops.
    pub async fn read<T: Send + 'static>(&self, look: impl FnOnce(&Primary) -> T + Send + 'static) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        let look: Look = Box::new(move |primary| {
            let _ = reply.send(look(primary));
        });
        self.commands.send(Command::Read(look)).await.ok()?;
        answer.await.ok()
    }

    /// The world, once everything in it is durable and published.
    pub async fn durable(&self) -> Option<Arc<Durable>> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Durable(reply)).await.ok()?;
        answer.await.ok()
    }

    /// The wall's clock, as this server reads it.
    pub fn now(&self) -> Time {
        self.clock.now()
    }

    /// Stops in order: what came before is made durable, `server.stopped` is written, a checkpoint kept.
    pub async fn stop(&self) {
        let _ = self.commands.send(Command::Stop).await;
        self.commands.closed().await;
    }
}

fn stopping() -> Refusal {
    Refusal::new(RefusalCode::Unavailable, "the server is stopping")
}

/// How the core paces itself.
#[derive(Clone, Debug)]
pub struct Pace {
    pub tick: Duration,
    pub claim: Duration,
    /// The numbers behind alerts are told this often at most.
    pub readings: Duration,
    /// Who looks at what is taken and told this often at most.
    pub presence: Duration,
    pub heartbeat: Duration,
    /// A checkpoint after so many events, or so long when there were any. With more alerts than that,
    /// after as many events as there are alerts: what one costs grows with the world, so that a burst of
    /// new alerts would spend more on checkpoints than on itself.
    pub checkpoint_events: u64,
    pub checkpoint_every: Duration,
    pub prune_every: Duration,
    /// A gap longer than this since the server last lived is said to be unwatched.
    pub unwatched: Span,
    /// After a failed append: how long until the next is tried.
    pub retry: Duration,
}

impl Default for Pace {
    fn default() -> Pace {
        Pace {
            tick: Duration::from_secs(1),
            claim: Duration::from_secs(5),
            readings: Duration::from_secs(3),
            presence: Duration::from_secs(1),
            heartbeat: Duration::from_secs(10),
            checkpoint_events: 20_000,
            checkpoint_every: Duration::from_secs(15 * 60),
            prune_every: Duration::from_secs(60 * 60),
            unwatched: Span::from_secs(60),
            retry: Duration::from_secs(1),
        }
    }
}

pub struct CoreParts {
    pub log: Arc<dyn Log>,
    pub clock: Arc<dyn Clock>,
    pub hub: Arc<Hub>,
    pub metrics: Arc<Metrics>,
    pub rules: Rules,
    pub systems: Vec<SystemSpec>,
    /// What words mean to the team.
    pub glossary: std::collections::BTreeMap<Arc<str>, Arc<str>>,
    /// What the configuration says beside that, by setting, without secrets.
    pub settings: std::collections::BTreeMap<Arc<str>, Arc<str>>,
    pub retention: Retention,
    pub pace: Pace,
    pub name: Arc<str>,
    /// A small file that says when the server last lived.
    pub heartbeat: Option<PathBuf>,
    /// Who holds what, for those who let in.
    pub roll: watch::Sender<Arc<Roll>>,
}

/// Appends under way at once, and commands taken into one of them.
const FLIGHTS: usize = 32;
const BURST: usize = 512;
/// Commands that wait.
const QUEUE: usize = 4_096;

/// An append under way, and who waits for it.
struct Flight {
    from: Sequence,
    to: Sequence,
    rows: Vec<Row>,
    recorded: Time,
    landing: Answer<()>,
    replies: Vec<(Reply, Vec<EventId>)>,
}

pub(super) struct Task {
    parts: CoreParts,
    commands: mpsc::Receiver<Command>,
    primary: Primary,
    flights: VecDeque<Flight>,
    now: SteadyNow,
    /// Callers who want a durable world.
    wanting: Vec<oneshot::Sender<Arc<Durable>>>,
    last: Option<Arc<Durable>>,
    trouble: Option<Trouble>,
    since_checkpoint: u64,
    checkpointed: Instant,
    claimed: Instant,
    /// When the numbers behind alerts were last told.
    told: Instant,
    beaten: Instant,
    pruned: Instant,
}

/// The log refuses.
struct Trouble {
    words: String,
    since: Instant,
    retry: Instant,
    /// Not before a new start.
    shut: bool,
    /// The primary could not be made anew; it believes what was not kept.
    astray: bool,
}

/// Starts the core on what the log tells: says what nobody watched, that the server started, and which
/// systems the configuration declares.
pub async fn start(parts: CoreParts) -> Result<(Core, tokio::task::JoinHandle<()>), StoreError> {
    let world = prime::world_of(&*parts.log).await?;
    parts.hub.begin_at(world.head);
    parts.roll.send_replace(Arc::new(Roll::of(&world)));
    let now = SteadyNow::new(parts.clock.clone(), world.recorded);
    let (sender, commands) = mpsc::channel(QUEUE);
    let primary = Primary::new(world, parts.rules.clone(), now.peek());
    let begun = Instant::now();
    let mut task = Task {
        parts,
        commands,
        primary,
        flights: VecDeque::new(),
        now,
        wanting: Vec::new(),
        last: None,
        trouble: None,
        since_checkpoint: 0,
        checkpointed: begun,
        claimed: begun,
        told: begun,
        beaten: begun,
        pruned: begun,
    };
    task.first_words().await?;
    let core = Core { commands: sender, clock: task.parts.clock.clone() };
    Ok((core, tokio::spawn(task.run())))
}

impl Task {
    async fn first_words(&mut self) -> Result<(), StoreError> {
        use crate::model::event::{Actor, LogRestored, ServerStarted, Unwatched};
        let now = self.now.now();
        let mut drafts = Vec::new();
        let restored = self.parts.log.restored();
        if let Some((before, head)) = restored {
            let title = "The log was restored from a backup; what happened since that is not in it";
            drafts.push(Draft::new(now, Actor::Server, LogRestored { before, head }, title));
        }
        let lived = self.primary.world.recorded.max(self.heartbeat().unwrap_or(Time::MIN));
        if self.primary.world.head > Sequence(0) && now.since(lived) > self.parts.pace.unwatched {
            let title = format!("Nobody watched for {}", now.since(lived));
            drafts.push(Draft::new(now, Actor::Server, Unwatched { from: lived, until: now }, title));
        }
        let version: Arc<str> = env!("CARGO_PKG_VERSION").into();
        let title = format!("{} started, midwatch {version}", self.parts.name);
        drafts.push(Draft::new(now, Actor::Server, ServerStarted { version, name: self.parts.name.clone() }, title));
        let mut events = self.primary.record(drafts, now);
        let systems = std::mem::take(&mut self.parts.systems);
        events.extend(self.primary.configure(&systems, now));
        let glossary = std::mem::take(&mut self.parts.glossary);
        events.extend(self.primary.glossary(&glossary, now));
        let settings = std::mem::take(&mut self.parts.settings);
        events.extend(self.primary.settings(&settings, now));
        self.append(events, Vec::new(), now);
        while let Some(flight) = self.flights.pop_front() {
            let Flight { landing, from, to, rows, recorded, replies } = flight;
            landing.await?;
            self.landed(from, to, rows, recorded, replies).await;
        }
        if restored.is_some() {
            self.parts.log.restored_said().await?;
        }
        self.beat();
        Ok(())
    }

    async fn run(mut self) {
        let mut tick = tokio::time::interval(self.parts.pace.tick);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            self.serve_durable();
            // While somebody wants a durable world nothing new is begun: commits are short.
            let open = self.flights.len() < FLIGHTS && self.wanting.is_empty();
            tokio::select! {
                biased;
                outcome = first_landing(&mut self.flights) => self.touch_down(outcome).await,
                _ = tick.tick() => self.tick().await,
                command = self.commands.recv(), if open => match command {
                    None | Some(Command::Stop) => break,
                    Some(command) => if !self.burst(command) { break },
                },
            }
        }
        self.finish().await;
    }

    /// Takes what has gathered. False: it is time to stop.
    fn burst(&mut self, first: Command) -> bool {
        let now = self.now.now();
        let (mut events, mut replies) = (Vec::new(), Vec::new());
        let mut next = Some(first);
        let mut taken = 0;
        let mut go_on = true;
        while let Some(command) = next.take() {
            match command {
                Command::Write(input, reply) => match self.decide(input, now) {
                    Ok(decided) => {
                        // By what right it was asked is beside what was asked for.
                        let done = decided.iter().filter(|event| !matches!(event.kind, Kind::TrustUsed(_)));
                        replies.push((reply, done.map(|event| event.id).collect()));
                        events.extend(decided);
                    }
                    Err(refusal) => {
                        metrics::count(&self.parts.metrics.refused);
                        let _ = reply.send(Err(refusal));
                    }
                },
                Command::Read(look) => look(&self.primary),
                Command::Durable(reply) => self.wanting.push(reply),
                Command::Stop => go_on = false,
            }
            taken += 1;
            if go_on && taken < BURST && self.wanting.is_empty() {
                next = self.commands.try_recv().ok();
            }
        }
        self.append(events, replies, now);
        go_on
    }

    fn decide(&mut self, input: Input, now: Time) -> Result<Vec<Event>, Refusal> {
        if let Some(trouble) = &self.trouble
            && (trouble.shut || trouble.astray || Instant::now() < trouble.retry)
        {
            return Err(Refusal::new(RefusalCode::Unavailable, trouble.words.clone()));
        }
        Ok(match input {
            Input::Request(request) => self.primary.request(&request, now)?,
            Input::Redeem { code, who, key, name, names } => self.primary.redeem(code, who, &key, &name, &names, now)?,
            Input::Asked(request, asker) => self.primary.request_within(&request, &asker, now)?,
            Input::Observe(observations) => {
                metrics::add(&self.parts.metrics.observations, u64::try_from(observations.len()).unwrap_or(0));
                self.parts.hub.observed(&observations);
                observations.iter().flat_map(|observation| self.primary.observe(observation, now)).collect()
            }
            Input::Hello(hello) => {
                self.parts.hub.keep_checks(&hello.agent, &hello.checks);
                self.primary.hello(&hello, now)
            }
            Input::Keepalive(agent) => self.primary.keepalive(&agent, now),
            Input::Report(report) => self.primary.report(&report, now),
            Input::Remember(memory) => self.primary.remember(&memory, now),
            Input::Silences { source, silences } => self.primary.silences(&source, &silences, now),
            Input::SourceFailed { source, why } => self.primary.source_failed(&source, &why, now),
            Input::SourceRecovered(source) => self.primary.source_recovered(&source, now),
            Input::Record(drafts) => self.primary.record(drafts, now),
            Input::Configure(systems) => self.primary.configure(&systems, now),
        })
    }

    /// Sends events on their way to the disk. Whoever asked for something that was done already waits
    /// for the newest flight: it may be that one which does it.
    fn append(&mut self, events: Vec<Event>, replies: Vec<(Reply, Vec<EventId>)>, now: Time) {
        let (Some(first), Some(last)) = (events.first(), events.last()) else {
            match self.flights.back_mut() {
                Some(flight) => flight.replies.extend(replies),
                None => replies.into_iter().for_each(|(reply, ids)| drop(reply.send(Ok(ids)))),
            }
            return;
        };
        let from = Sequence(first.id.sequence.0.saturating_sub(1));
        let to = last.id.sequence;
        let rows: Result<Vec<Row>, _> = events.iter().map(row).collect();
        let (rows, landing) = match rows {
            Ok(rows) => (rows.clone(), self.parts.log.append(from, rows)),
            Err(why) => {
                let error = StoreError::Write { path: "an event".into(), why, hint: "This is a defect in midwatch; please report it".into() };
                (Vec::new(), Box::pin(std::future::ready(Err(error))) as Answer<()>)
            }
        };
        self.flights.push_back(Flight { from, to, rows, recorded: now, landing, replies });
    }

    async fn touch_down(&mut self, outcome: Result<(), StoreError>) {
        let Some(flight) = self.flights.pop_front() else { return };
        match outcome {
            Ok(()) => {
                if let Some(trouble) = self.trouble.take() {
                    self.parts.metrics.set_trouble(None);
                    tracing::info!(after = ?trouble.since.elapsed(), "the log accepts events again");
                }
                self.landed(flight.from, flight.to, flight.rows, flight.recorded, flight.replies).await;
            }
            Err(error) => self.crashed(flight, error).await,
        }
    }

    async fn landed(&mut self, from: Sequence, to: Sequence, rows: Vec<Row>, recorded: Time, replies: Vec<(Reply, Vec<EventId>)>) {
        // Before anybody is told: what was taken away is not there any more when whoever took it away hears of it.
        if rows.iter().any(|row| row.kind.starts_with("trust.")) {
            self.parts.roll.send_replace(Arc::new(Roll::of(&self.primary.world)));
        }
        for (reply, ids) in replies {
            let _ = reply.send(Ok(ids));
        }
        let count = u64::try_from(rows.len()).unwrap_or(0);
        metrics::add(&self.parts.metrics.appended, count);
        self.since_checkpoint = self.since_checkpoint.saturating_add(count);
        let lag = self.now.peek().since(recorded);
        metrics::set(&self.parts.metrics.lag_micros, lag.micros().unsigned_abs());
        self.parts.hub.publish(Publication::new(self.primary.world.incarnation, from, to, rows, lag)).await;
    }

    /// Refuses all that was under way, and goes back to what the log holds.
    async fn crashed(&mut self, flight: Flight, error: StoreError) {
        metrics::count(&self.parts.metrics.append_failures);
        let words = format!("nothing can be kept now: {error}");
        tracing::error!(%error, "the log refuses events");
        let mut refused = flight.replies;
        for flight in std::mem::take(&mut self.flights) {
            // Queued behind the one that failed: they fail too, and nothing may be believed before they have.
            let _ = flight.landing.await;
            refused.extend(flight.replies);
        }
        for (reply, _) in refused {
            metrics::count(&self.parts.metrics.refused);
            let _ = reply.send(Err(Refusal::new(RefusalCode::Unavailable, words.clone())));
        }
        self.parts.metrics.set_trouble(Some(words.clone()));
        let since = self.trouble.as_ref().map_or_else(Instant::now, |trouble| trouble.since);
        let shut = matches!(error, StoreError::Shut { .. });
        self.trouble = Some(Trouble { words, since, retry: Instant::now() + self.parts.pace.retry, shut, astray: true });
        self.go_back().await;
    }

    /// Makes the primary anew from the log, and publishes what the log kept without telling us.
    async fn go_back(&mut self) {
        let world = match prime::world_of(&*self.parts.log).await {
            Ok(world) => world,
            Err(error) => {
                tracing::error!(%error, "the log cannot be read either");
                return;
            }
        };
        let (published, head) = (self.parts.hub.head(), world.head);
        if head > published {
            match self.parts.log.range(published.next(), head, usize::MAX, usize::MAX).await {
                Ok(rows) => self.parts.hub.publish(Publication::new(world.incarnation, published, head, rows, Span::ZERO)).await,
                Err(error) => {
                    tracing::error!(%error, "the log cannot be read either");
                    return;
                }
            }
        }
        // The latest numbers never were in the log.
        let readings = std::mem::take(&mut self.primary.vitals.readings);
        self.primary = Primary::new(world, self.parts.rules.clone(), self.now.peek());
        self.primary.vitals.readings = readings;
        self.parts.roll.send_replace(Arc::new(Roll::of(&self.primary.world)));
        self.last = None;
        if let Some(trouble) = &mut self.trouble {
            trouble.astray = false;
        }
    }

    async fn tick(&mut self) {
        let now = self.now.now();
        let at = Instant::now();
        if self.trouble.as_ref().is_some_and(|trouble| trouble.astray && at >= trouble.retry) {
            if let Some(trouble) = &mut self.trouble {
                trouble.retry = at + self.parts.pace.retry;
            }
            self.go_back().await;
        }
        let may = self.trouble.as_ref().is_none_or(|trouble| !trouble.shut && !trouble.astray && at >= trouble.retry);
        if may && self.flights.len() < FLIGHTS {
            let events = self.primary.tick(now);
            if !events.is_empty() {
                self.append(events, Vec::new(), now);
            }
        }
        self.parts.hub.send_vitals();
        if at.duration_since(self.told) >= self.parts.pace.readings {
            self.told = at;
            self.parts.hub.send_readings(&self.primary.vitals.readings);
        }
        let waiting = self.flights.front().map_or(Span::ZERO, |flight| now.since(flight.recorded));
        metrics::set(&self.parts.metrics.waiting_micros, waiting.micros().unsigned_abs());
        if at.duration_since(self.claimed) >= self.parts.pace.claim {
            self.claimed = at;
            let head = self.parts.hub.head();
            // What waits for the disk is not yet told: a reader should know how long.
            let refusing = self.trouble.as_ref().map_or(Span::ZERO, |trouble| at.duration_since(trouble.since).into());
            self.parts.hub.publish(Publication::new(self.primary.world.incarnation, head, head, Vec::new(), waiting.max(refusing))).await;
            self.measure();
        }
        if at.duration_since(self.beaten) >= self.parts.pace.heartbeat {
            self.beaten = at;
            self.beat();
        }
        let alerts = u64::try_from(self.primary.world.alerts.len()).unwrap_or(u64::MAX);
        let due = self.since_checkpoint >= self.parts.pace.checkpoint_events.max(alerts)
            || (self.since_checkpoint > 0 && at.duration_since(self.checkpointed) >= self.parts.pace.checkpoint_every);
        if due && self.flights.is_empty() && self.trouble.is_none() {
            self.checkpoint(at);
        }
        if at.duration_since(self.pruned) >= self.parts.pace.prune_every {
            self.pruned = at;
            self.prune(now);
        }
    }

    fn measure(&self) {
        let numbers = &self.parts.metrics;
        let open = self.primary.world.open.len();
        // Whoever maps everything has no such system, and nothing to count.
        let world = &self.primary.world;
        let some = world.systems.keys().any(SystemId::is_unmapped);
        let unmapped = if some { world.alerts.values().filter(|alert| alert.is_open() && alert.system.is_unmapped()).count() } else { 0 };
        metrics::set(&numbers.open_alerts, u64::try_from(open).unwrap_or(0));
        metrics::set(&numbers.unmapped, u64::try_from(unmapped).unwrap_or(0));
        metrics::set(&numbers.clock_behind_micros, self.now.behind().micros().unsigned_abs());
    }

    /// Beside everything else: a large world takes a while to encode.
    fn checkpoint(&mut self, at: Instant) {
        self.checkpointed = at;
        self.since_checkpoint = 0;
        let world = self.primary.world.clone();
        let log = self.parts.log.clone();
        tokio::spawn(async move { keep_checkpoint(&*log, &world).await });
    }

    fn prune(&self, now: Time) {
        let (log, retention) = (self.parts.log.clone(), self.parts.retention.clone());
        if retention == Retention::default() {
            return;
        }
        tokio::spawn(async move {
            match log.prune(retention, now).await {
                Ok(0) => {}
                Ok(count) => tracing::info!(count, "events went that are older than what is kept"),
                Err(error) => tracing::warn!(%error, "pruning failed"),
            }
        });
    }

    fn heartbeat(&self) -> Option<Time> {
        std::fs::read_to_string(self.parts.heartbeat.as_ref()?).ok()?.trim().parse().ok()
    }

    fn beat(&self) {
        let Some(path) = &self.parts.heartbeat else { return };
        // Not flushed: after a loss of power the span that nobody watched begins a little early.
        if let Err(error) = std::fs::write(path, format!("{}\n", self.now.peek())) {
            tracing::debug!(path = %path.display(), %error, "the heartbeat cannot be written");
        }
    }

    fn serve_durable(&mut self) {
        if self.wanting.is_empty() || !self.flights.is_empty() || self.trouble.as_ref().is_some_and(|trouble| trouble.astray) {
            return;
        }
        let durable = match &self.last {
            Some(last) if last.world.head == self.primary.world.head => last.clone(),
            Some(_) | None => {
                let base = self.parts.log.head().base;
                let durable = Arc::new(Durable::new(Arc::new(self.primary.world.clone()), base));
                self.last = Some(durable.clone());
                durable
            }
        };
        for want in self.wanting.drain(..) {
            let _ = want.send(durable.clone());
        }
    }

    /// Everything durable, the last word written, a checkpoint kept.
    async fn finish(mut self) {
        use crate::model::event::{Actor, ServerStopped};
        self.commands.close();
        while let Ok(command) = self.commands.try_recv() {
            if let Command::Write(_, reply) = command {
                let _ = reply.send(Err(stopping()));
            }
        }
        if self.trouble.is_none() {
            let now = self.now.now();
            let title = format!("{} stopped", self.parts.name);
            let events = self.primary.record(vec![Draft::new(now, Actor::Server, ServerStopped {}, title)], now);
            self.append(events, Vec::new(), now);
        }
        while !self.flights.is_empty() {
            let outcome = first_landing(&mut self.flights).await;
            self.touch_down(outcome).await;
        }
        self.serve_durable();
        self.beat();
        if self.trouble.is_none() && self.since_checkpoint > 0 {
            keep_checkpoint(&*self.parts.log, &self.primary.world).await;
        }
    }
}

async fn keep_checkpoint(log: &dyn Log, world: &World) {
    let kept = match prime::checkpoint(world) {
        Ok(bytes) => log.checkpoint(world.head, bytes).await.map_err(|error| error.to_string()),
        Err(why) => Err(why),
    };
    if let Err(why) = kept {
        tracing::warn!(why, "a checkpoint could not be kept; the next start takes longer");
    }
}

/// Waits for the oldest append; for ever when there is none.
async fn first_landing(flights: &mut VecDeque<Flight>) -> Result<(), StoreError> {
    match flights.front_mut() {
        Some(flight) => (&mut flight.landing).await,
        None => std::future::pending().await,
    }
}

/// An event as the log keeps it.
pub(super) fn row(event: &Event) -> Result<Row, String> {
    Ok(Row {
        sequence: event.id.sequence,
        at: event.at,
        recorded: event.recorded,
        severity: event.severity,
        kind: event.kind.name().into(),
        system: event.system.clone(),
        bytes: EventBytes::of(event).map_err(|error| error.to_string())?.0,
        seal: None,
    })
}
