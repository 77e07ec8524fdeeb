//! What is pushed to a server over HTTP: Alertmanager's API v2 and webhook, and events of any kind.
//!
//! Every protocol becomes [`Report`]s and [`Draft`]s for the [`Core`], which answers when they are
//! durable; only then is the sender told. Each request is bounded before it is read, and whoever sends
//! it shows a token of the intakes' own.

mod alertmanager;
mod events;
mod guard;
pub(super) mod json;
mod list;
mod silences;
mod webhook;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::Router;
use axum::routing::{get, post};

use crate::model::event::{Draft, Silence};
use crate::model::id::SourceId;
use crate::model::primary::Primary;
use crate::model::report::{Memory, Report};
use crate::model::time::Time;
use crate::server::mapping::{Cuts, Mapping};
use crate::server::refusals::Refusals;

pub use guard::{Outside, Token};

/// The server's one task that decides and writes, as intakes and sources see it.
pub trait Core: Clone + Send + Sync + 'static {
    /// What a source says. Answered when it is durable.
    fn report(&self, report: Report) -> impl Future<Output = Result<(), Unavailable>> + Send;

    /// What a source remembers from before it was watched. Answered when it is durable.
    fn remember(&self, memory: Memory) -> impl Future<Output = Result<(), Unavailable>> + Send;

    /// Events that need no decision. Answered when they are durable.
    fn record(&self, drafts: Vec<Draft>) -> impl Future<Output = Result<(), Unavailable>> + Send;

    /// All silences that a source holds now.
    fn silences(&self, source: SourceId, silences: Vec<Silence>) -> impl Future<Output = Result<(), Unavailable>> + Send;

    /// A source cannot be reached, in words for people.
    fn source_failed(&self, source: SourceId, why: String) -> impl Future<Output = Result<(), Unavailable>> + Send;

    fn source_recovered(&self, source: SourceId) -> impl Future<Output = Result<(), Unavailable>> + Send;

    /// Reads from the primary as it stands: keep it short, the server waits.
    fn look<T: Send + 'static>(&self, read: impl FnOnce(&Primary) -> T + Send + 'static) -> impl Future<Output = Result<T, Unavailable>> + Send;

    /// The server's clock.
    fn now(&self) -> Time;
}

/// The core keeps nothing now, and why: its disk is full, it is stopping.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unavailable(pub String);

/// What the intakes need to know, from the server's configuration.
#[derive(Clone, Debug)]
pub struct Config {
    pub mapping: Arc<Mapping>,
    /// Who may push.
    pub tokens: Vec<Token>,
    /// False: everybody who reaches the port may. For tests, and for those who say so.
    pub token_required: bool,
    /// What `GET /api/v2/status` calls this server.
    pub version: Arc<str>,
    pub started: Time,
    /// Labels that name one of several like sources: pushes that differ there are kept apart, so that any
    /// of a highly available pair that fires keeps an alert open.
    pub replica_labels: Vec<Arc<str>>,
    /// Bytes of one request's body at most.
    pub largest: usize,
}

impl Config {
    /// The largest request that is read unless configured otherwise.
    pub const LARGEST: usize = 8 << 20;

    pub fn new(mapping: Arc<Mapping>, tokens: Vec<Token>, started: Time) -> Config {
        Config {
            mapping,
            tokens,
            token_required: true,
            version: env!("CARGO_PKG_VERSION").into(),
            started,
            replica_labels: ["prometheus_replica", "replica", "__replica__"].map(Arc::from).to_vec(),
            largest: Config::LARGEST,
        }
    }
}

/// What the intakes took, for `/metrics`.
#[derive(Debug, Default)]
pub struct Counts {
    pub alerts: AtomicU64,
    pub events: AtomicU64,
    pub refused: AtomicU64,
    /// What was refused lately, and by what words.
    pub refusals: Arc<Refusals>,
    pub labels_dropped: AtomicU64,
    pub values_shortened: AtomicU64,
    pub texts_cut: AtomicU64,
    pub redacted: AtomicU64,
    pub unmapped: AtomicU64,
}

impl Counts {
    fn cut(&self, cuts: Cuts) {
        if cuts == Cuts::default() {
            return;
        }
        for (count, cut) in
            [(&self.labels_dropped, cuts.labels), (&self.values_shortened, cuts.values), (&self.texts_cut, cuts.texts), (&self.redacted, cuts.redacted)]
        {
            count.fetch_add(u64::from(cut), Ordering::Relaxed);
        }
    }
}

/// In the text format of Prometheus, for a page of metrics.
impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, what, count) in [
            ("alerts", "Alerts that were pushed", &self.alerts),
            ("events", "Events that were pushed", &self.events),
            ("refused", "Requests that were refused", &self.refused),
            ("labels_dropped", "Labels dropped beyond the most that are kept", &self.labels_dropped),
            ("values_shortened", "Label values shortened", &self.values_shortened),
            ("texts_cut", "Titles and texts cut", &self.texts_cut),
            ("redacted", "Secret values redacted", &self.redacted),
            ("unmapped", "Alerts that no rule and no label gave a system", &self.unmapped),
        ] {
            let count = count.load(Ordering::Relaxed);
            writeln!(f, "# HELP midwatch_intake_{name}_total {what}.\n# TYPE midwatch_intake_{name}_total counter\nmidwatch_intake_{name}_total {count}")?;
        }
        Ok(())
    }
}

/// What every request is answered with.
#[derive(Clone)]
struct Intake<C> {
    core: C,
    config: Arc<Config>,
    counts: Arc<Counts>,
}

/// The routes of all intakes, for the server's one port; and what they count.
pub fn router<C: Core>(core: C, config: Config) -> (Router, Arc<Counts>) {
    let counts = Arc::new(Counts::default());
    let intake = Intake { core, config: Arc::new(config), counts: counts.clone() };
    let guarded = Router::new()
        .route("/api/v2/alerts", get(list::alerts::<C>).post(alertmanager::push::<C>))
        .route("/api/v2/alerts/groups", get(list::groups::<C>))
        .route("/api/v2/status", get(alertmanager::status::<C>))
        .route("/api/v2/receivers", get(alertmanager::receivers))
        .route("/api/v2/silences", get(silences::list::<C>).post(silences::refuse))
        .route("/api/v2/silence/{id}", get(silences::one::<C>).delete(silences::refuse_delete))
        .route("/api/v1/webhook/alertmanager", post(webhook::take::<C>))
        .route("/api/v1/events", post(events::take::<C>))
        .layer(axum::middleware::from_fn_with_state(intake.clone(), guard::admit::<C>))
        .with_state(intake);
    // Alertmanager's own health pages need no token: whoever asks learns nothing.
    let router = guarded.route("/-/healthy", get(|| async { "OK" })).route("/-/ready", get(|| async { "OK" }));
    (router, counts)
}

#[cfg(test)]
pub(super) mod fake;
#[cfg(test)]
mod tests;
