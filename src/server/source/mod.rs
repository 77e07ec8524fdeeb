//! Sources that are asked: an Alertmanager, a Prometheus, each polled gently, each with its own state.
//!
//! A poll becomes one [`Report`]. What a source does not list counts as gone only when it has been up
//! long enough to know ("Decided" 5); what it said last stays as it was while it cannot be reached.

mod alertmanager;
mod backfill;
mod client;
mod config;
mod prometheus;
mod sources;
mod trouble;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::{mpsc, watch};

pub use client::PollError;
pub use config::{Secret, SourceConfig, SourceError, SourceKind};
pub use sources::{Sources, Watch};

use self::client::Client;
use super::intake::{Core, Unavailable};
use super::mapping::explain::Explanation;
use super::mapping::{Mapping, Raw};
use crate::link::backoff::Backoff;
use crate::link::clock::Random;
use crate::model::event::Silence;
use crate::model::history::REACH;
use crate::model::id::SourceId;
use crate::model::report::{Report, ReportedState};
use crate::model::time::{Span, Time};

/// Polls in a row that must fail before a source is said to be unreachable.
const FAILURES: u32 = 3;
/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(300);
/// Prometheus' own labels are asked for again after so many polls.
const ASK_LABELS_AGAIN: u32 = 40;

/// What is known of a source, for screens and metrics.
#[derive(Clone, PartialEq, Debug, Default, Serialize)]
pub struct SourceState {
    pub name: String,
    pub kind: String,
    /// When it last answered.
    pub answered: Option<Time>,
    pub firing: usize,
    pub pending: usize,
    pub silences: usize,
    /// Polls that failed since.
    pub failures: u32,
    pub error: Option<String>,
    /// Rules that the source cannot evaluate, and why.
    pub broken_rules: Vec<String>,
    /// False: what it does not list proves nothing yet.
    pub settled: bool,
}

/// A source's answers, as they came.
struct Listing {
    body: Bytes,
    /// Since when the source is up, by its own clock.
    started: Option<Time>,
    /// The source's clock.
    date: Option<Time>,
    silences: Option<Vec<Silence>>,
    external: Vec<(String, String)>,
}

/// One alert that a source lists as firing.
struct Listed<'a> {
    raw: Raw<'a>,
    starts: Time,
    expr: Option<String>,
    value: Option<f64>,
}

/// A source that can be asked.
pub struct Source {
    config: SourceConfig,
    client: Arc<Client>,
    id: SourceId,
    /// What Prometheus adds to what it pushes, and how many polls ago we asked.
    external: Option<(Vec<(String, String)>, u32)>,
    /// When the first of the answers since the last failure came.
    answering: Option<Time>,
}

impl Source {
    /// Checks the configuration and sets up TLS; asks nothing yet.
    pub fn new(config: SourceConfig) -> Result<Source, PollError> {
        let client = Arc::new(Client::new(&config)?);
        let id = config.id();
        let external = config.external_labels.clone().map(|labels| (labels.into_iter().collect(), 0));
        Ok(Source { config, client, id, external, answering: None })
    }

    pub const fn kind(&self) -> SourceKind {
        self.config.kind
    }

    pub fn id(&self) -> &SourceId {
        &self.id
    }

    /// For `midwatch source test`: asks once, and says where everything would land.
    pub async fn explain(&mut self, mapping: &Mapping) -> Result<Explanation, PollError> {
        let listing = self.ask().await?;
        let read = self.read(&listing)?;
        Ok(mapping.explain(read.firing.into_iter().map(|listed| listed.raw)))
    }

    /// For `midwatch source test`: since when a Prometheus has samples, as far back as history looks.
    /// `None`: it is none, or does not say.
    pub async fn remembers(&self, now: Time) -> Option<Time> {
        match self.config.kind {
            SourceKind::Alertmanager => None,
            SourceKind::Prometheus => backfill::remembers(&self.client, now, REACH).await,
        }
    }

    async fn ask(&mut self) -> Result<Listing, PollError> {
        match self.config.kind {
            SourceKind::Alertmanager => alertmanager::ask(&self.client).await,
            SourceKind::Prometheus => {
                let given = self.config.external_labels.is_some();
                let known = self.external.as_ref().filter(|(_, age)| given || *age < ASK_LABELS_AGAIN);
                let age = known.map_or(0, |(_, age)| age.saturating_add(1));
                let listing = prometheus::ask(&self.client, known.map(|(labels, _)| labels.clone())).await?;
                self.external = Some((listing.external.clone(), age));
                Ok(listing)
            }
        }
    }

    fn read<'a>(&self, listing: &'a Listing) -> Result<prometheus::Read<'a>, PollError> {
        match self.config.kind {
            SourceKind::Alertmanager => {
                let firing = alertmanager::alerts(&listing.body)?;
                Ok(prometheus::Read { firing, pending: 0, broken: Vec::new(), evaluated: true })
            }
            SourceKind::Prometheus => prometheus::read(&listing.body, &self.client, &listing.external),
        }
    }

    /// One poll, as a report for the core.
    async fn poll(&mut self, mapping: &Mapping, now: impl Fn() -> Time) -> Result<(Report, Option<Vec<Silence>>, SourceState), PollError> {
        let listing = self.ask().await?;
        let read = self.read(&listing)?;
        let at = now();
        let answering = *self.answering.get_or_insert(at);
        // A source that does not say since when it is up is trusted once it has answered for as long.
        let up = listing.started.map_or(at.since(answering), |started| listing.date.unwrap_or(at).since(started));
        let settled = read.evaluated && up >= self.config.settle;
        let until = Some(at.plus(lease(self.config.interval)));
        let state = SourceState {
            name: self.id.to_string(),
            kind: self.config.kind.to_string(),
            answered: Some(at),
            firing: read.firing.len(),
            pending: read.pending,
            silences: listing.silences.as_ref().map_or(0, Vec::len),
            failures: 0,
            error: None,
            broken_rules: read.broken,
            settled,
        };
        let alerts = read
            .firing
            .into_iter()
            .map(|listed| {
                let mut reported = mapping.map(listed.raw).reported(listed.starts, ReportedState::Firing { until });
                reported.expr = listed.expr.map(Arc::from).or(reported.expr);
                reported.value = listed.value;
                reported
            })
            .collect();
        Ok((Report { source: self.id.clone(), at, alerts, complete: settled }, listing.silences, state))
    }

    /// Polls for as long as it is let; every state goes to `states`. Beside that, once it has answered, its
    /// past is filled in.
    pub async fn run<C: Core>(self, core: C, mapping: Arc<Mapping>, random: Arc<dyn Random>, states: watch::Sender<SourceState>) {
        let mut seen = states.subscribe();
        let backfill = (self.config.kind == SourceKind::Prometheus).then(|| backfill::Backfill {
            client: self.client.clone(),
            source: self.id.clone(),
            reach: self.config.backfill,
            external: self.config.external_labels.clone().map(|labels| labels.into_iter().collect()),
            core: core.clone(),
            mapping: mapping.clone(),
            random: random.clone(),
            pause: backfill::FIRST_BACKOFF,
        });
        let (missed, gaps) = mpsc::unbounded_channel();
        let past = async move {
            if let Some(backfill) = backfill
                && seen.wait_for(|state| state.answered.is_some()).await.is_ok()
            {
                backfill.run(gaps).await;
            }
        };
        tokio::join!(self.poll_on(core, mapping, random, states, missed), past);
    }

    async fn poll_on<C: Core>(
        mut self,
        core: C,
        mapping: Arc<Mapping>,
        random: Arc<dyn Random>,
        states: watch::Sender<SourceState>,
        missed: mpsc::UnboundedSender<(Time, Time)>,
    ) {
        let interval = self.config.interval.duration();
        let mut backoff = Backoff::new(interval.saturating_mul(2), LONGEST_PAUSE.max(interval.saturating_mul(2)));
        let mut failures = 0_u32;
        let mut last: Option<Time> = None;
        // A former life of this server may have left the source marked as failing.
        let mut marked = true;
        loop {
            let pause = match self.poll(&mapping, || core.now()).await {
                Ok((report, silences, state)) => {
                    let at = report.at;
                    let since = match last {
                        Some(last) => Some(last).filter(|last| failures >= FAILURES && at > *last),
                        // Before this marks it as answering again.
                        None => self.before(&core, at).await,
                    };
                    (failures, last) = (0, Some(at));
                    backoff.reset();
                    if let Err(error) = self.deliver(&core, report, silences, marked).await {
                        tracing::warn!(source = %self.id, %error, "what a source said is not kept; it is asked again");
                    } else {
                        marked = false;
                    }
                    // After what is open now is known: it is not told as past.
                    if let Some(since) = since {
                        let _ = missed.send((since, at));
                    }
                    states.send_replace(state);
                    jittered(interval, &*random)
                }
                Err(error) => {
                    failures = failures.saturating_add(1);
                    self.answering = None;
                    if failures == FAILURES || (failures > FAILURES && !marked) {
                        marked = core.source_failed(self.id.clone(), error.to_string()).await.is_ok();
                    }
                    states.send_modify(|state| {
                        state.name = self.id.to_string();
                        state.kind = self.config.kind.to_string();
                        state.failures = failures;
                        state.error = Some(error.to_string());
                    });
                    // The first tries come at the usual pace: most failures are short.
                    if failures < FAILURES { jittered(interval, &*random) } else { backoff.next(&*random) }
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// Since when a former life of this server did not hear it.
    async fn before<C: Core>(&self, core: &C, now: Time) -> Option<Time> {
        let id = self.id.clone();
        core.look(move |primary| backfill::missed(&primary.world, &id, now)).await.ok().flatten()
    }

    async fn deliver<C: Core>(&self, core: &C, report: Report, silences: Option<Vec<Silence>>, marked: bool) -> Result<(), Unavailable> {
        if marked {
            core.source_recovered(self.id.clone()).await?;
        }
        core.report(report).await?;
        match silences {
            Some(silences) => core.silences(self.id.clone(), silences).await,
            None => Ok(()),
        }
    }
}

/// How long a poll vouches for what it listed: past it the alert is not refreshed, never resolved.
fn lease(interval: Span) -> Span {
    interval.times(4).max(Span::from_mins(1))
}

/// The pause, a tenth more or less, so that many sources are not all asked in the same moment.
fn jittered(pause: Duration, random: &dyn Random) -> Duration {
    let tenth = pause / 10;
    let spread = u64::try_from(tenth.as_micros()).unwrap_or(0).saturating_mul(2).saturating_add(1);
    pause.saturating_sub(tenth).saturating_add(Duration::from_micros(random.below(spread)))
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tls_tests;
