//! All repositories of one server: followed together, ended together.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;

use super::RepositoryConfig;
use super::follow::Follower;
use crate::link::clock::Random;
use crate::model::time::Time;
use crate::server::intake::Core;
use crate::server::mapping::Mapping;

/// What is known of a repository, for screens and metrics.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct RepositoryState {
    pub name: String,
    /// When it was last read.
    pub read: Option<Time>,
    /// Looks that failed since, and why the last did.
    pub failures: u32,
    pub error: Option<String>,
}

/// The repositories that a server follows. Dropping this ends them.
#[derive(Debug, Default)]
pub struct Repositories {
    watch: Watch,
    tasks: JoinSet<()>,
}

impl Repositories {
    /// Follows all. `clones`: where those of repositories elsewhere are kept.
    pub fn start<C: Core>(
        configs: &[RepositoryConfig],
        clones: Option<&Path>,
        core: &C,
        mapping: &Arc<Mapping>,
        random: &Arc<dyn Random>,
    ) -> Result<Repositories, String> {
        let followers = configs.iter().map(|config| Follower::new(config.clone(), clones)).collect::<Result<Vec<_>, _>>()?;
        let mut out = Repositories::default();
        for follower in followers {
            let (states, seen) = watch::channel(RepositoryState { name: follower.name().to_string(), ..RepositoryState::default() });
            out.watch.0.push(seen);
            out.tasks.spawn(follower.run(core.clone(), mapping.clone(), random.clone(), states));
        }
        Ok(out)
    }

    /// For whoever shows how the repositories are, apart from what follows them.
    pub fn watch(&self) -> Watch {
        self.watch.clone()
    }
}

/// Sees how the repositories are.
#[derive(Clone, Debug, Default)]
pub struct Watch(Vec<watch::Receiver<RepositoryState>>);

impl Watch {
    pub fn states(&self) -> Vec<RepositoryState> {
        self.0.iter().map(|seen| seen.borrow().clone()).collect()
    }
}

/// In the text format of Prometheus, for a page of metrics.
impl fmt::Display for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return Ok(());
        }
        let label = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
        let states = self.states();
        writeln!(f, "# HELP midwatch_repository_failures Looks in a row that failed.\n# TYPE midwatch_repository_failures gauge")?;
        for state in &states {
            writeln!(f, "midwatch_repository_failures{{repository=\"{}\"}} {}", label(&state.name), state.failures)?;
        }
        writeln!(
            f,
            "# HELP midwatch_repository_read_seconds When the repository was last read, in seconds since 1970.\n# TYPE midwatch_repository_read_seconds gauge"
        )?;
        for state in &states {
            writeln!(f, "midwatch_repository_read_seconds{{repository=\"{}\"}} {}", label(&state.name), state.read.map_or(0, Time::secs))?;
        }
        Ok(())
    }
}
