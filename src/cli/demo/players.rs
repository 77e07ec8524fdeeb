//! The players: agents, a Prometheus, feeds, and people. Each speaks to its server through the way that
//! it would in earnest; none of them touches log or screen.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use super::cast::{Cast, Machine, Player};
use super::recording::{Asked, EVERY, Fired, Happened, KEEPALIVE, Line, Observed, Said};
use super::speak;
use crate::agent::remote::RemoteUplink;
use crate::agent::uplink::{Batch, Uplink};
use crate::client::servers::Wishes;
use crate::client::{Address, Replica, ServerConfig, ServerIndex, Servers, ServersHandle, Update};
use crate::link::{Clock, OsRandom, Random, SystemClock, UnixDial};
use crate::model::id::RequestId;
use crate::model::intent::{RefusalCode, Request};
use crate::model::observation::{AgentHello, Observation};
use crate::model::time::Time;
use crate::model::world::World;
use crate::wire::Outcome;

/// Everybody who speaks to one server.
pub struct Troupe {
    player: Arc<Player>,
    start: Time,
    agents: Vec<(Machine, Arc<RemoteUplink>)>,
    intake: Intake,
    people: People,
}

/// How many observations an agent hands over at once.
const BATCH: usize = 500;

impl Troupe {
    /// Everybody connects; the agents say hello.
    pub async fn gather(player: Arc<Player>, socket: &std::path::Path, people: People, start: Time) -> Result<Troupe, String> {
        let dial = Arc::new(UnixDial { path: socket.to_owned() });
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let agents: Vec<(Machine, Arc<RemoteUplink>)> = player
            .agents
            .iter()
            .map(|machine| (machine.clone(), Arc::new(RemoteUplink::new(dial.clone(), clock.clone(), machine.agent.clone(), None))))
            .collect();
        let hellos = agents.iter().map(|(machine, uplink)| async move { uplink.hello(&hello(machine)).await });
        for said in futures_util::future::join_all(hellos).await {
            said.map_err(|error| error.to_string())?;
        }
        Ok(Troupe { intake: Intake::new(&player.name, socket)?, player, start, agents, people })
    }

    /// Says what stands in one step of the recording, and asks what people asked then. Whatever does not
    /// come through is counted, not repeated: the story goes on.
    pub async fn play(&self, said: &[Line], asked: &[Line]) -> usize {
        let mut observations: HashMap<&str, Vec<Observation>> = HashMap::new();
        let (mut alerts, mut events, mut failed) = (Vec::new(), Vec::new(), 0);
        for line in said {
            let at = line.ago.before(self.start);
            match &line.said {
                Said::Observed(observed) => match speak::observation(&self.player, observed, at) {
                    Some(observation) => observations.entry(&*observed.agent).or_default().push(observation),
                    None => failed += 1,
                },
                Said::Alert(fired) => alerts.push((fired, at)),
                Said::Happened(happened) => events.push((happened, at)),
                Said::Asked(_) => {}
            }
        }
        let observed = self.agents.iter().filter_map(|(machine, uplink)| Some(observe(uplink, observations.remove(machine.agent.as_str())?)));
        let start = self.start;
        let (observed, alerted, told) =
            futures_util::future::join3(futures_util::future::join_all(observed), self.intake.alerts(&alerts, start), self.intake.events(&events)).await;
        failed += observed.into_iter().sum::<usize>() + alerted + told;
        for line in said.iter().chain(asked) {
            if let Said::Asked(asked) = &line.said {
                failed += usize::from(!self.people.ask(asked, line.ago.before(start), start).await);
            }
        }
        failed
    }

    /// From here on the agents live: they repeat what they last said, and say what the story adds.
    pub fn live(self, known: &[Line], silent: Option<&str>) -> Live {
        let mut agents = HashMap::new();
        for (machine, uplink) in self.agents {
            let name: Arc<str> = machine.agent.as_str().into();
            if Some(&*name) == silent {
                continue;
            }
            let mut results = BTreeMap::new();
            for line in known {
                if let Said::Observed(observed) = &line.said
                    && observed.agent == name
                    && line.server == self.player.name
                {
                    results.insert(observed.check.clone(), observed.clone());
                }
            }
            let (sender, orders) = mpsc::channel(64);
            tokio::spawn(agent(self.player.clone(), machine, uplink, results, orders));
            agents.insert(name, sender);
        }
        let mut firing: Vec<(Fired, Time)> = Vec::new();
        for line in known.iter().filter(|line| line.server == self.player.name) {
            if let Said::Alert(fired) = &line.said {
                refire(&mut firing, fired, fired.since.before(self.start));
            }
        }
        let firing = Arc::new(Mutex::new(firing));
        tokio::spawn(prometheus(self.intake.clone(), firing.clone()));
        Live { start: self.start, agents, intake: self.intake, firing, people: self.people }
    }
}

fn hello(machine: &Machine) -> AgentHello {
    AgentHello {
        agent: machine.agent.clone(),
        system: machine.system.clone(),
        version: env!("CARGO_PKG_VERSION").into(),
        keepalive: KEEPALIVE,
        checks: machine.checks.iter().map(|spec| spec.check.clone()).collect(),
        facts: machine.facts(),
    }
}

/// Hands over what an agent saw; says how much of it was not taken.
async fn observe(uplink: &RemoteUplink, observations: Vec<Observation>) -> usize {
    let mut failed = 0;
    for (id, some) in (1_u64..).zip(observations.chunks(BATCH)) {
        if let Err(error) = uplink.observe(&Batch { id, observations: some.to_vec() }).await {
            tracing::warn!(%error, "the demo's agent was not understood");
            failed += some.len();
        }
    }
    failed
}

fn refire(firing: &mut Vec<(Fired, Time)>, fired: &Fired, since: Time) {
    firing.retain(|(known, _)| (&known.system, &known.alertname) != (&fired.system, &fired.alertname));
    if !fired.over {
        firing.push((fired.clone(), since));
    }
}

/// Everybody who speaks to one server, while the story goes on.
pub struct Live {
    start: Time,
    agents: HashMap<Arc<str>, mpsc::Sender<Observed>>,
    intake: Intake,
    /// What Prometheus repeats, with when it began.
    firing: Arc<Mutex<Vec<(Fired, Time)>>>,
    people: People,
}

impl Live {
    /// Says one line, now. A server that is away does not hear it: its agents repeat what they last saw.
    pub async fn say(&self, line: &Line) {
        let now = SystemClock.now();
        match &line.said {
            Said::Observed(observed) => {
                if let Some(agent) = self.agents.get(&observed.agent) {
                    let _ = agent.send(observed.clone()).await;
                }
            }
            Said::Alert(fired) => {
                let since = fired.since.before(self.start);
                refire(&mut self.firing.lock().unwrap_or_else(PoisonError::into_inner), fired, since);
                self.intake.alerts(&[(fired, now)], self.start).await;
            }
            Said::Happened(happened) => {
                self.intake.events(&[(happened, now)]).await;
            }
            Said::Asked(asked) => {
                self.people.ask(asked, now, self.start).await;
            }
        }
    }
}

/// An agent that lives: it says that it does, repeats its results, and connects again when it must.
async fn agent(
    player: Arc<Player>,
    machine: Machine,
    uplink: Arc<RemoteUplink>,
    mut results: BTreeMap<Arc<str>, Observed>,
    mut orders: mpsc::Receiver<Observed>,
) {
    // Not all in the same moment.
    let splay = OsRandom.below(1_000);
    let mut beat = tokio::time::interval(KEEPALIVE.duration());
    let mut repeat = tokio::time::interval_at(tokio::time::Instant::now() + Duration::from_millis(500 + splay * 9), EVERY.duration() / 2);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    repeat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut place = 0;
    loop {
        let now: Vec<Observed> = tokio::select! {
            order = orders.recv() => match order {
                Some(observed) => {
                    results.insert(observed.check.clone(), observed.clone());
                    vec![observed]
                }
                None => return,
            },
            _ = beat.tick() => Vec::new(),
            _ = repeat.tick() => results.values().cloned().collect(),
        };
        let at = SystemClock.now();
        let observations: Vec<Observation> = now.iter().filter_map(|observed| speak::observation(&player, observed, at)).collect();
        place += 1;
        let said = match observations.is_empty() {
            true => uplink.keepalive().await,
            false => uplink.observe(&Batch { id: place, observations }).await,
        };
        if said.is_err() {
            tokio::time::sleep(Duration::from_millis(1_500 + splay)).await;
            if uplink.hello(&hello(&machine)).await.is_ok() {
                repeat.reset_immediately();
            }
        }
    }
}

/// Prometheus repeats what fires, once a minute.
async fn prometheus(intake: Intake, firing: Arc<Mutex<Vec<(Fired, Time)>>>) {
    let mut every = tokio::time::interval(EVERY.duration());
    loop {
        every.tick().await;
        let now: Vec<(Fired, Time)> = firing.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let bodies: Vec<serde_json::Value> = now.iter().map(|(fired, since)| speak::posted(&intake.server, fired, *since, None, SystemClock.now())).collect();
        if !bodies.is_empty() {
            intake.post("/api/v2/alerts", serde_json::Value::Array(bodies).to_string()).await;
        }
    }
}

/// The HTTP way in.
#[derive(Clone)]
struct Intake {
    server: Arc<str>,
    client: reqwest::Client,
}

impl Intake {
    fn new(server: &Arc<str>, socket: &std::path::Path) -> Result<Intake, String> {
        // Of no use on a Unix socket, but the client wants to know how it would encrypt.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = reqwest::Client::builder().unix_socket(socket.to_owned()).timeout(Duration::from_secs(20)).build();
        Ok(Intake { server: server.clone(), client: client.map_err(|error| error.to_string())? })
    }

    /// Whether it was taken.
    async fn post(&self, path: &str, body: String) -> bool {
        let request = self.client.post(format!("http://localhost{path}")).header("content-type", "application/json").body(body);
        match request.send().await {
            Ok(response) if response.status().is_success() => true,
            Ok(response) => {
                let status = response.status();
                let words = response.text().await.unwrap_or_default();
                tracing::warn!(path, %status, words, "an intake refused the demo");
                false
            }
            Err(error) => {
                tracing::debug!(path, %error, "an intake could not be reached");
                false
            }
        }
    }

    /// In order, as Prometheus would have posted them; says how many were not taken.
    async fn alerts(&self, alerts: &[(&Fired, Time)], start: Time) -> usize {
        if alerts.is_empty() {
            return 0;
        }
        let now = SystemClock.now();
        let bodies = alerts.iter().map(|(fired, at)| speak::posted(&self.server, fired, fired.since.before(start), fired.over.then_some(*at), now));
        let body = serde_json::Value::Array(bodies.collect());
        if self.post("/api/v2/alerts", body.to_string()).await { 0 } else { alerts.len() }
    }

    async fn events(&self, events: &[(&Happened, Time)]) -> usize {
        if events.is_empty() {
            return 0;
        }
        let lines: Vec<String> = events.iter().map(|(happened, at)| speak::event(happened, *at).to_string()).collect();
        if self.post("/api/v1/events", lines.join("\n")).await { 0 } else { events.len() }
    }
}

type Answers = Arc<Mutex<HashMap<RequestId, oneshot::Sender<Outcome>>>>;

/// People at one server: they see its world, as any console does, and ask.
#[derive(Clone)]
pub struct People {
    index: ServerIndex,
    handle: ServersHandle,
    world: watch::Receiver<Arc<World>>,
    answers: Answers,
}

impl People {
    /// One console for all people, on all servers.
    pub fn at(configs: &[ServerConfig], cast: &Cast) -> Result<Vec<People>, String> {
        let wishes = Wishes { name: "players".into(), history: 0, filter: None, vitals: false, presence: false, peers: false };
        let random: Arc<dyn Random> = Arc::new(OsRandom);
        let Servers { handle, updates } = Servers::connect(configs, &wishes, &random).map_err(|error| error.to_string())?;
        let answers = Answers::default();
        let (mut worlds, mut people) = (Vec::new(), Vec::new());
        for place in 0..cast.servers.len() {
            let (sender, world) = watch::channel(Arc::<World>::default());
            worlds.push(sender);
            people.push(People { index: ServerIndex(place), handle: handle.clone(), world, answers: answers.clone() });
        }
        tokio::spawn(listen(updates, worlds, answers));
        Ok(people)
    }

    /// Asks; whether it was done. Where the server says that the alert has another episode by now, the
    /// person waits for that to be seen, and asks again.
    async fn ask(&self, asked: &Asked, made: Time, start: Time) -> bool {
        let mut world = self.world.clone();
        for _ in 0..20 {
            match self.ask_once(asked, made, start).await {
                Some(Outcome::Done(_)) => return true,
                Some(Outcome::Refused(refusal)) if refusal.code == RefusalCode::Over => {
                    let _ = tokio::time::timeout(Duration::from_millis(200), world.changed()).await;
                }
                Some(Outcome::Refused(refusal)) => {
                    tracing::warn!(%refusal, ?asked, "the demo's request was refused");
                    return false;
                }
                None => return false,
            }
        }
        tracing::warn!(?asked, "the episode that the demo means is not there");
        false
    }

    /// Waits until the alert that is meant can be seen, asks, and waits for the answer.
    async fn ask_once(&self, asked: &Asked, made: Time, start: Time) -> Option<Outcome> {
        let mut world = self.world.clone();
        let seen = world.wait_for(|world| speak::intent(&asked.ask, world, |ago| ago.before(start)).is_some());
        let seen = match tokio::time::timeout(Duration::from_secs(5), seen).await {
            Ok(Ok(world)) => world.clone(),
            Ok(Err(_)) | Err(_) => {
                tracing::warn!(?asked, "the demo's alert is not there");
                return None;
            }
        };
        let intent = speak::intent(&asked.ask, &seen, |ago| ago.before(start))?;
        let request = Request { id: OsRandom.request_id(), by: (&*asked.by).into(), made, intent, signed: None };
        let (sender, answer) = oneshot::channel();
        self.answers.lock().unwrap_or_else(PoisonError::into_inner).insert(request.id, sender);
        self.handle.request(self.index, request).ok()?;
        tokio::time::timeout(Duration::from_secs(10), answer).await.ok()?.ok()
    }
}

/// Takes in what the servers tell people.
async fn listen(mut updates: mpsc::Receiver<(ServerIndex, Update)>, worlds: Vec<watch::Sender<Arc<World>>>, answers: Answers) {
    let mut replicas: Vec<Replica> = worlds.iter().map(|_| Replica::default()).collect();
    while let Some((index, update)) = updates.recv().await {
        if let Update::Answered { request, outcome } = &update
            && let Some(waiting) = answers.lock().unwrap_or_else(PoisonError::into_inner).remove(request)
        {
            let _ = waiting.send(outcome.clone());
        }
        let (Some(replica), Some(world)) = (replicas.get_mut(index.0), worlds.get(index.0)) else { continue };
        replica.apply(&update);
        if matches!(update, Update::Snapshot { .. } | Update::Events { .. })
            && let Some(now) = &replica.world
        {
            world.send_replace(now.clone());
        }
    }
}

/// The demo's servers as a console is told of them.
pub fn config(name: &str, socket: &std::path::Path) -> ServerConfig {
    ServerConfig::new(name, Address::Unix(socket.to_owned()))
}
