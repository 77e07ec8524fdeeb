//! All sources of one server: started together, ended together.

use std::fmt;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{PollError, Source, SourceConfig, SourceState};
use crate::link::clock::Random;
use crate::server::intake::Core;
use crate::server::mapping::Mapping;

/// The sources that a server polls. Dropping this ends them.
#[derive(Debug, Default)]
pub struct Sources {
    states: Vec<watch::Receiver<SourceState>>,
    tasks: JoinSet<()>,
}

impl Sources {
    /// Checks all, then starts all: a server with a wrong source does not run without it.
    pub fn start<C: Core>(configs: &[SourceConfig], core: &C, mapping: &Arc<Mapping>, random: &Arc<dyn Random>) -> Result<Sources, PollError> {
        SourceConfig::check_all(configs).map_err(|error| PollError(error.to_string()))?;
        let sources = configs.iter().cloned().map(Source::new).collect::<Result<Vec<_>, _>>()?;
        let mut out = Sources::default();
        for source in sources {
            let (states, seen) = watch::channel(SourceState { name: source.id().to_string(), ..SourceState::default() });
            out.states.push(seen);
            out.tasks.spawn(source.run(core.clone(), mapping.clone(), random.clone(), states));
        }
        Ok(out)
    }

    /// How each source is.
    pub fn states(&self) -> Vec<SourceState> {
        self.states.iter().map(|seen| seen.borrow().clone()).collect()
    }

    /// Waits until each has answered once, or failed.
    pub async fn answered(&mut self) {
        for seen in &mut self.states {
            let _ = seen.wait_for(|state| state.answered.is_some() || state.failures > 0).await;
        }
    }

    /// For whoever shows how the sources are, apart from what keeps them running.
    pub fn watch(&self) -> Watch {
        Watch(self.states.clone())
    }
}

/// Sees how the sources are.
#[derive(Clone, Debug, Default)]
pub struct Watch(Vec<watch::Receiver<SourceState>>);

impl Watch {
    pub fn states(&self) -> Vec<SourceState> {
        self.0.iter().map(|seen| seen.borrow().clone()).collect()
    }
}

/// In the text format of Prometheus, for a page of metrics.
impl fmt::Display for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return Ok(());
        }
        let states = self.states();
        let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        for (name, what, of) in [
            (
                "up",
                "Whether the source answered when it was last asked",
                (|state| u64::from(state.answered.is_some() && state.failures == 0)) as fn(&SourceState) -> u64,
            ),
            ("failures", "Polls in a row that failed", |state| u64::from(state.failures)),
            ("answered_seconds", "When the source last answered, in seconds since 1970", |state| state.answered.map_or(0, |at| at.secs().unsigned_abs())),
        ] {
            writeln!(f, "# HELP midwatch_source_{name} {what}.\n# TYPE midwatch_source_{name} gauge")?;
            for state in &states {
                writeln!(f, "midwatch_source_{name}{{source=\"{}\"}} {}", label(&state.name), of(state))?;
            }
        }
        writeln!(f, "# HELP midwatch_source_firing Alerts that the source listed.\n# TYPE midwatch_source_firing gauge")?;
        for state in &states {
            writeln!(f, "midwatch_source_firing{{source=\"{}\"}} {}", label(&state.name), number(state.firing))?;
        }
        Ok(())
    }
}

fn label(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', " ")
}
