//! From the spool to the server: hello, batches in order, signs of life; patience while nobody answers.
//!
//! One batch is on its way at a time and the next follows only once it was answered, with a pause between while there is a
//! backlog: a server that comes back after a night gets a few thousand results a second from each agent, not all at once.
//! A backlog goes out oldest first and nothing overtakes it, since the server needs each check's results in order; the
//! spool's limit bounds how long that takes (about a minute at 64 MiB).

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::app::Keep;
use super::uplink::{Batch, Uplink, UplinkError};
use crate::link::Random;
use crate::link::backoff::Backoff;
use crate::model::observation::{AgentHello, Facts};

/// Observations, and bytes, of one batch.
const BATCH: usize = 200;
const BATCH_BYTES: u64 = 256 * 1_024;
/// Between two batches of a backlog.
const PACE: Duration = Duration::from_millis(40);
/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(15);
/// How long the last words may take when the agent stops.
const FAREWELL: Duration = Duration::from_secs(2);
/// After a reconnection with a backlog, agents wait up to this long, so that a thousand do not start at once.
const SPREAD: Duration = Duration::from_secs(2);

pub(super) struct Deliver<U> {
    pub uplink: U,
    pub keep: Keep,
    /// Rings when something new was kept.
    pub news: Arc<Notify>,
    /// Without its facts.
    pub hello: AgentHello,
    pub facts: watch::Receiver<Facts>,
    pub random: Arc<dyn Random>,
}

/// How far the conversation has come.
#[derive(Default)]
struct State {
    greeted: bool,
    /// When the server last answered.
    heard: Option<Instant>,
    /// Up to this number batches hold one observation: the server refused one that lies before it.
    careful: Option<u64>,
    /// What was last said to the log.
    away: bool,
}

impl<U: Uplink> Deliver<U> {
    /// Delivers until told to stop, then what can be delivered quickly.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut state = State::default();
        let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(60));
        loop {
            let exchanged = tokio::select! {
                () = stop.cancelled() => break,
                exchanged = self.exchange(&mut state) => exchanged,
            };
            let wait = match exchanged {
                Ok(true) => {
                    backoff.reset();
                    Some(PACE)
                }
                Ok(false) => {
                    backoff.reset();
                    None
                }
                Err(error) => {
                    state.greeted = false;
                    if !state.away {
                        state.away = true;
                        tracing::warn!("{error}; results are kept until it answers again");
                    }
                    Some(backoff.next(self.random.as_ref()))
                }
            };
            let keepalive = self.hello.keepalive.duration();
            let quiet = state.heard.map_or(keepalive, |heard| keepalive.saturating_sub(heard.elapsed()));
            tokio::select! {
                () = stop.cancelled() => break,
                () = sleep(wait.unwrap_or(quiet)) => {}
                () = self.news.notified(), if wait.is_none() => {}
                changed = self.facts.changed(), if wait.is_none() => {
                    if changed.is_err() {
                        sleep(quiet).await;
                    } else {
                        state.greeted = false;
                    }
                }
            }
        }
        if state.heard.is_some() && !state.away {
            let farewell = async {
                state.greeted = false;
                while let Ok(true) = self.exchange(&mut state).await {}
            };
            if timeout(FAREWELL, farewell).await.is_err() {
                tracing::info!("the server did not take the last results in time; they are kept for the next start");
            }
        }
    }

    /// One step: hello, a batch, or a sign of life. Whether there is more to say at once.
    async fn exchange(&mut self, state: &mut State) -> Result<bool, UplinkError> {
        if !state.greeted {
            let hello = AgentHello { facts: self.facts.borrow_and_update().clone(), ..self.hello.clone() };
            answered(self.uplink.hello(&hello)).await?;
            state.greeted = true;
            state.heard = Some(Instant::now());
            if std::mem::take(&mut state.away) {
                let backlog = self.keep.with(|spool| spool.backlog()).await;
                tracing::info!("the server answers again; {backlog} results wait for it");
                if backlog > u64::try_from(BATCH).unwrap_or(u64::MAX) {
                    let micros = u64::try_from(SPREAD.as_micros()).unwrap_or(0);
                    sleep(Duration::from_micros(self.random.below(micros))).await;
                }
            }
        }
        let most = if state.careful.is_some() { 1 } else { BATCH };
        let Some((id, observations)) = self.keep.with(move |spool| spool.oldest(most, BATCH_BYTES)).await else {
            let silent = state.heard.is_none_or(|heard| heard.elapsed() >= self.hello.keepalive.duration());
            if silent {
                answered(self.uplink.keepalive()).await?;
                state.heard = Some(Instant::now());
            }
            return Ok(false);
        };
        let batch = Batch { id, observations };
        match answered(self.uplink.observe(&batch)).await {
            Ok(()) => {}
            Err(UplinkError::Refused(why)) if batch.observations.len() > 1 => {
                tracing::warn!("the server refused a batch ({why}); looking for what is to blame");
                state.careful = Some(id);
                return Ok(true);
            }
            Err(UplinkError::Refused(why)) => {
                let check = batch.observations.first().map(|o| o.check.to_string()).unwrap_or_default();
                tracing::warn!("the server refuses a result of the check {check}, which is dropped: {why}");
            }
            Err(error) => return Err(error),
        }
        state.heard = Some(Instant::now());
        if state.careful.is_some_and(|until| id >= until) {
            state.careful = None;
        }
        let more = self
            .keep
            .with(move |spool| {
                spool.took(id);
                !spool.is_empty()
            })
            .await;
        Ok(more)
    }
}

async fn answered(call: impl Future<Output = Result<(), UplinkError>>) -> Result<(), UplinkError> {
    timeout(PATIENCE, call).await.unwrap_or_else(|_| Err(UplinkError::Away(format!("no answer within {} s", PATIENCE.as_secs()))))
}
