//! An agent as a value: made from a configuration and what it may use, run until it is told to stop, ended in order.
//!
//! Checks (`schedule`) → results → the keeper, which gives them times that only grow and puts them into the spool →
//! `deliver`, which hands them to the server. Nothing on this way waits for the network but the last.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::config::Config;
use super::deliver::Deliver;
use super::schedule::{self, Shared};
use super::spool::{Spool, SpoolError};
use super::uplink::Uplink;
use crate::link::{Clock, Random};
use crate::model::id::CheckId;
use crate::model::observation::{AgentHello, Facts, Metric, Observation};
use crate::model::severity::Status;
use crate::model::time::{Span, Time};

/// The check by which an agent says how it fares itself.
pub const OWN_CHECK: &str = "agent spool";
/// How often it says so.
const OWN_INTERVAL: Duration = Duration::from_secs(60);
/// How long a result may lie unsynced while the server is away.
const SYNCED: Duration = Duration::from_secs(1);
/// How often the machine's facts are looked at.
const INVENTORY: Duration = Duration::from_secs(15 * 60);
/// Results on their way to the keeper.
const CHANNEL: usize = 1_024;

/// How the machine's facts are found out; may block.
pub type FactFinder = Arc<dyn Fn() -> Facts + Send + Sync>;

/// What an agent may use. All of it can be replaced in a simulation.
pub struct Parts<U> {
    pub uplink: U,
    pub clock: Arc<dyn Clock>,
    pub random: Arc<dyn Random>,
    pub spool: Spool,
    /// A folder where checks remember what they saw.
    pub memory: Option<std::path::PathBuf>,
    pub facts: FactFinder,
}

pub struct Agent<U> {
    config: Config,
    parts: Parts<U>,
}

/// The spool, shared; what touches the disk runs beside the event loop.
#[derive(Clone)]
pub(super) struct Keep {
    spool: Arc<Mutex<Spool>>,
    in_memory: bool,
}

impl Keep {
    pub(super) async fn with<T: Send + 'static>(&self, work: impl FnOnce(&mut Spool) -> T + Send + 'static) -> T {
        let spool = self.spool.clone();
        let run = move || work(&mut spool.lock().unwrap_or_else(PoisonError::into_inner));
        if self.in_memory {
            return run();
        }
        match tokio::task::spawn_blocking(run).await {
            Ok(done) => done,
            // Only a runtime that is being torn down, or a panic, gets here.
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => std::future::pending().await,
        }
    }
}

impl<U: Uplink> Agent<U> {
    pub fn new(config: Config, parts: Parts<U>) -> Agent<U> {
        Agent { config, parts }
    }

    /// An agent of this machine that keeps its spool and what its checks remember in `data`. A folder that another agent uses
    /// is refused; one that cannot be written costs the spool, which is said to the server.
    pub fn open(config: Config, data: &Path, uplink: U, clock: Arc<dyn Clock>, random: Arc<dyn Random>) -> Result<Agent<U>, SpoolError> {
        let spool = match Spool::open(&data.join("spool"), config.agent.spool) {
            Ok(spool) => spool,
            Err(error @ SpoolError::InUse(_)) => return Err(error),
            Err(error @ SpoolError::Unusable(..)) => {
                tracing::warn!("{error}; results are kept in memory");
                Spool::in_memory_because(&error)
            }
        };
        let memory = data.join("checks");
        let memory = std::fs::create_dir_all(&memory).is_ok().then_some(memory);
        let facts: FactFinder = if config.agent.inventory { Arc::new(super::inventory::facts) } else { Arc::new(Facts::new) };
        Ok(Agent::new(config, Parts { uplink, clock, random, spool, memory, facts }))
    }

    /// Runs until `stop` is cancelled. Then: no new runs, running ones are ended with all that they started, their
    /// results are kept, the server gets what it takes quickly, the spool is synced.
    pub async fn run(self, stop: CancellationToken) {
        let Agent { config, parts } = self;
        let keep = Keep { in_memory: parts.spool.is_in_memory(), spool: Arc::new(Mutex::new(parts.spool)) };
        let (results, received) = mpsc::channel(CHANNEL);
        let (again, heard_again) = watch::channel(0);
        let (found, facts) = watch::channel((parts.facts)());
        let news = Arc::new(Notify::new());
        let mut checks: Vec<CheckId> = config.checks.iter().map(|check| check.name.clone()).collect();
        checks.push(OWN_CHECK.into());
        let hello = AgentHello {
            agent: config.agent.name.clone(),
            system: config.agent.system.clone(),
            version: env!("CARGO_PKG_VERSION").into(),
            keepalive: config.agent.keepalive,
            checks,
            facts: Facts::new(),
        };

        let mut looking = JoinSet::new();
        let shared = Shared {
            agent: config.agent.name.clone(),
            clock: parts.clock.clone(),
            permits: Arc::new(Semaphore::new(config.agent.parallel)),
            results: results.clone(),
            again: heard_again,
            memory: parts.memory,
        };
        for check in config.checks {
            looking.spawn(schedule::repeat(check, shared.clone()));
        }
        drop(shared);
        looking.spawn(schedule::watch_for_sleep(parts.clock.clone(), again));
        looking.spawn(look_at_machine(parts.facts, found));
        looking.spawn(look_at_self(hello.clone(), keep.clone(), parts.clock.clone(), results));

        let mut keeping = JoinSet::new();
        keeping.spawn(keep_results(received, keep.clone(), news.clone()));
        let mut delivering = JoinSet::new();
        let silence = CancellationToken::new();
        let deliver = Deliver { uplink: parts.uplink, keep: keep.clone(), news, hello, facts, random: parts.random };
        delivering.spawn(deliver.run(silence.clone()));

        stop.cancelled().await;
        // The senders of results go with the checks; the keeper ends when it has kept what was on its way.
        looking.shutdown().await;
        while keeping.join_next().await.is_some() {}
        silence.cancel();
        while delivering.join_next().await.is_some() {}
        keep.with(|spool| {
            spool.write();
            spool.sync();
        })
        .await;
    }
}

/// Puts results into the spool, and syncs what waits for longer than a moment.
async fn keep_results(mut received: mpsc::Receiver<Observation>, keep: Keep, news: Arc<Notify>) {
    let floor = keep.with(|spool| spool.newest()).await;
    let mut newest: BTreeMap<CheckId, Time> = BTreeMap::new();
    // When what was written must be synced.
    let mut due: Option<tokio::time::Instant> = None;
    loop {
        let mut some = Vec::new();
        tokio::select! {
            count = received.recv_many(&mut some, 256) => {
                if count == 0 {
                    return;
                }
            }
            () = tokio::time::sleep_until(due.unwrap_or_else(tokio::time::Instant::now)), if due.is_some() => {
                let written = keep
                    .with(|spool| {
                        let written = spool.write();
                        spool.sync();
                        written
                    })
                    .await;
                due = (!written).then(|| tokio::time::Instant::now() + SYNCED);
                continue;
            }
        }
        // The server takes a result that is not newer than the last for a repetition: a wall clock that went back,
        // even over a restart, must not make a check fall silent (P9). It stands still until it has caught up.
        for observation in &mut some {
            let last = newest.entry(observation.check.clone()).or_insert(floor);
            observation.at = observation.at.max(last.plus(Span::from_micros(1)));
            *last = observation.at;
        }
        keep.with(move |spool| spool.append_all(some)).await;
        due = due.or_else(|| Some(tokio::time::Instant::now() + SYNCED));
        news.notify_one();
    }
}

async fn look_at_machine(facts: FactFinder, found: watch::Sender<Facts>) {
    loop {
        tokio::time::sleep(INVENTORY).await;
        let facts = facts.clone();
        let Ok(now) = tokio::task::spawn_blocking(move || facts()).await else { return };
        found.send_if_modified(|before| {
            let changed = *before != now;
            *before = now;
            changed
        });
    }
}

/// The agent's own check: whether its spool is well, and what it had to give up.
async fn look_at_self(hello: AgentHello, keep: Keep, clock: Arc<dyn Clock>, results: mpsc::Sender<Observation>) {
    loop {
        let (status, text, lost, backlog, bytes) = keep
            .with(|spool| {
                let (status, text) = judge(spool);
                (status, text, spool.lost(), spool.backlog(), spool.bytes())
            })
            .await;
        let number = |name: &str, value: u64, unit: &str| Metric {
            name: name.into(),
            value: super::check::threshold::float(value),
            unit: unit.into(),
            warning: "".into(),
            critical: "".into(),
        };
        let observation = Observation {
            agent: hello.agent.clone(),
            check: OWN_CHECK.into(),
            system: hello.system.clone(),
            at: clock.now(),
            status,
            text: text.into(),
            details: "".into(),
            metrics: vec![number("waiting", backlog, ""), number("size", bytes, "B")],
            every: OWN_INTERVAL.into(),
            attempts: 1,
            runbook: None,
        };
        if results.send(observation).await.is_err() {
            return;
        }
        if lost.changes > 0 || lost.repeats > 0 {
            keep.with(move |spool| spool.lost_is_said(lost)).await;
        }
        tokio::time::sleep(OWN_INTERVAL).await;
    }
}

fn judge(spool: &Spool) -> (Status, String) {
    let lost = spool.lost();
    if let Some(trouble) = spool.trouble() {
        return (Status::Critical, super::text::title(trouble));
    }
    let hint = "give the agent a larger `spool`, or look why the server was away so long";
    if let (1.., Some((from, to))) = (lost.changes, lost.between) {
        return (
            Status::Warning,
            format!("the spool was full: {} changes from {from} to {to} and {} repeated results are lost; {hint}", lost.changes, lost.repeats),
        );
    }
    if lost.changes > 0 {
        return (Status::Warning, format!("the spool was damaged: some {} results are lost; look at the disk", lost.changes));
    }
    if lost.repeats > 0 {
        return (
            Status::Warning,
            format!("the spool was full: {} results that repeated the status before them were taken out, no change is lost; {hint}", lost.repeats),
        );
    }
    (
        Status::Ok,
        match spool.backlog() {
            0 => "the server has everything".to_owned(),
            1 => "1 result waits for the server".to_owned(),
            more => format!("{more} results wait for the server"),
        },
    )
}

#[cfg(test)]
mod tests;
