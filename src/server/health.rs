//! How the server itself is: measured now and then, judged, and told to whoever wants to know. A lossy
//! channel, like the latest observations: the latest wins, and a slow reader misses nothing but the past.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;

use super::hub::Encoded;
use super::intake::Counts;
use super::line::{CertificateState, Certificates};
use super::metrics::{self, Metrics};
use super::repository::{self, RepositoryState};
use super::source::{SourceState, Watch};
use crate::link::Clock;
use crate::model::health::{CertificateHealth, Health, Limits, Numbers, RepositoryHealth, Room, SourceHealth, Wrong, judge};
use crate::model::time::Span;
use crate::store::Log;
use crate::wire::{Encoding, ToClient};

/// How the room on the data folder's file system is found; handed in, so that tests say what is left.
pub type Disk = Arc<dyn Fn() -> Option<Room> + Send + Sync>;

/// Numbers alone, with nothing newly wrong or right, are told this seldom.
const NUMBERS_EVERY: Duration = Duration::from_secs(60);
/// Sources that are told of, and how long their words may be.
const MOST_SOURCES: usize = 200;
const LONGEST_WORDS: usize = 300;

/// What is told, encoded once for all who listen.
pub struct HealthFrame {
    pub health: Health,
    encoded: Encoded,
}

impl HealthFrame {
    fn new(health: Health) -> HealthFrame {
        HealthFrame { health, encoded: Encoded::default() }
    }

    pub fn message(&self, encoding: Encoding) -> Option<Message> {
        self.encoded.message(encoding, || ToClient::Health(self.health.clone()))
    }
}

/// Ends when it is dropped.
pub type Task = tokio::task::JoinSet<()>;

/// Everything that is measured.
pub struct Monitor {
    pub log: Arc<dyn Log>,
    pub clock: Arc<dyn Clock>,
    pub metrics: Arc<Metrics>,
    pub counts: Arc<Counts>,
    pub sources: Watch,
    pub repositories: repository::Watch,
    /// What is shown by TLS, where that is renewed by others.
    pub certificates: Option<Arc<Certificates>>,
    pub disk: Disk,
    pub limits: Limits,
    /// How often.
    pub every: Duration,
    behind_since: Mutex<Option<Instant>>,
}

impl Monitor {
    pub fn new(log: Arc<dyn Log>, clock: Arc<dyn Clock>, metrics: Arc<Metrics>, counts: Arc<Counts>, sources: Watch) -> Monitor {
        let (disk, limits, every): (Disk, _, _) = (Arc::new(|| None), Limits::default(), Duration::from_secs(5));
        Monitor {
            log,
            clock,
            metrics,
            counts,
            sources,
            repositories: repository::Watch::default(),
            certificates: None,
            disk,
            limits,
            every,
            behind_since: Mutex::new(None),
        }
    }

    fn measure(&self) -> Health {
        let at = self.clock.now();
        let health = self.log.health();
        let mut behind_since = self.behind_since.lock().unwrap_or_else(PoisonError::into_inner);
        let many = health.unindexed > self.limits.unindexed;
        *behind_since = many.then(|| behind_since.unwrap_or_else(Instant::now));
        let behind = behind_since.map_or(Span::ZERO, |since| since.elapsed().into());
        let (refused, last_refused) = self.counts.refusals.lately(at);
        let numbers = Numbers {
            queued: health.queued,
            waiting: Span::from_micros(i64::try_from(self.metrics.waiting_micros.load(Ordering::Relaxed)).unwrap_or(i64::MAX)),
            unindexed: health.unindexed,
            behind,
            log_bytes: health.bytes,
            disk: (self.disk)(),
            last_backup: health.last_backup,
            failing: self.metrics.trouble().or(health.failing).map(|why| short(&why)),
            damage: health.damage.map(|why| short(&why)),
            sources: self.sources.states().iter().take(MOST_SOURCES).map(source).collect(),
            repositories: self.repositories.states().iter().map(repository).collect(),
            certificate: self.certificates.as_ref().and_then(|certificates| certificate(certificates)),
            refused,
            last_refused,
        };
        Health { at, wrong: judge(&numbers, &self.limits, at), numbers }
    }

    /// Measures for as long as it is let. The first measure is there before this returns.
    pub fn start(self) -> (watch::Receiver<Arc<HealthFrame>>, Task) {
        let first = self.measure();
        set_wrong(&self.metrics.wrong, &first.wrong);
        let (sender, receiver) = watch::channel(Arc::new(HealthFrame::new(first)));
        let mut task = Task::new();
        task.spawn(async move {
            let mut told = Instant::now();
            loop {
                tokio::time::sleep(self.every).await;
                let health = self.measure();
                set_wrong(&self.metrics.wrong, &health.wrong);
                let last = sender.borrow().health.clone();
                let due = told.elapsed() >= NUMBERS_EVERY && last.numbers != health.numbers;
                if due || kinds(&last.wrong) != kinds(&health.wrong) {
                    told = Instant::now();
                    sender.send_replace(Arc::new(HealthFrame::new(health)));
                }
            }
        });
        (receiver, task)
    }
}

/// What is wrong, apart from the numbers in its words, which change all the time.
fn kinds(wrong: &[Wrong]) -> Vec<(&str, crate::model::severity::Severity)> {
    wrong.iter().map(|wrong| (&*wrong.word, wrong.severity)).collect()
}

fn set_wrong(gauge: &AtomicU64, wrong: &[Wrong]) {
    metrics::set(gauge, u64::try_from(wrong.len()).unwrap_or(u64::MAX));
}

fn source(state: &SourceState) -> SourceHealth {
    SourceHealth {
        name: short(&state.name),
        answered: state.answered,
        failures: state.failures,
        why: state.error.as_deref().filter(|_| state.failures > 0).map(short),
        broken_rules: u64::try_from(state.broken_rules.len()).unwrap_or(u64::MAX),
        broken_rule: state.broken_rules.first().map(|rule| short(rule)),
    }
}

fn repository(state: &RepositoryState) -> RepositoryHealth {
    let why = state.error.as_deref().filter(|_| state.failures > 0).map(short);
    RepositoryHealth { name: short(&state.name), read: state.read, failures: state.failures, why }
}

/// `None`: the server made it itself, and it does not end.
fn certificate(certificates: &Certificates) -> Option<CertificateHealth> {
    let CertificateState { ends, trouble } = certificates.state();
    ends.map(|ends| CertificateHealth { ends: Some(ends), why: trouble.as_deref().map(short) })
}

fn short(words: &str) -> Arc<str> {
    let clean: String = words.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LONGEST_WORDS).collect();
    clean.into()
}

/// The room on the file system of a folder.
pub fn room(folder: &std::path::Path) -> Option<Room> {
    let stat = rustix::fs::statvfs(folder).ok()?;
    // What an ordinary user may still take, of what ordinary users may take: as `df` shows it.
    let used = stat.f_blocks.saturating_sub(stat.f_bfree);
    let total = used.saturating_add(stat.f_bavail).saturating_mul(stat.f_frsize);
    (total > 0).then(|| Room { free: stat.f_bavail.saturating_mul(stat.f_frsize), total })
}
