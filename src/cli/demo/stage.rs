//! One of the three servers: as `midwatch serve` runs it, in a folder of its own, on a Unix socket, and
//! in a runtime of its own, so that it can be stopped as abruptly as a killed process.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use tokio::runtime::Runtime;

use super::cast::Player;
use crate::cli::Failure;
use crate::link::{Clock, SystemClock};
use crate::model::id::Incarnation;
use crate::model::time::Time;
use crate::server::listen::Listen;
use crate::server::{Config, Listener, Parts, Server};
use crate::store::{SqliteLog, whole};
use crate::trust::{ServerKey, Tokens};

/// The servers' clock: it stands a month back while they are set up, so that what is declared then stands
/// at the beginning of the story, and tells the right time ever after.
#[derive(Debug, Default)]
pub struct StoryClock {
    behind: AtomicI64,
}

impl StoryClock {
    pub fn behind(micros: i64) -> StoryClock {
        StoryClock { behind: AtomicI64::new(micros) }
    }

    /// From now on it is now.
    pub fn catch_up(&self) {
        self.behind.store(0, Ordering::SeqCst);
    }
}

impl Clock for StoryClock {
    fn now(&self) -> Time {
        Time::from_micros(SystemClock.now().micros().saturating_sub(self.behind.load(Ordering::SeqCst)))
    }
}

pub struct Stage {
    pub name: Arc<str>,
    pub socket: PathBuf,
    data: PathBuf,
    config: Config,
    clock: Arc<StoryClock>,
    /// None while it is dead.
    running: Option<Runtime>,
    /// Clears away what a killed life left; its folder is free again when this has ended.
    dying: Option<std::thread::JoinHandle<()>>,
}

impl Stage {
    /// Not running yet.
    pub fn new(folder: &Path, player: &Player, clock: Arc<StoryClock>) -> Stage {
        let socket = folder.join(format!("{}.sock", player.name));
        let config = Config {
            name: Some(player.name.clone()),
            env: Some("demo".into()),
            listen: Listen::Unix(socket.clone()),
            system: player.systems.clone(),
            // A demo is short: who falls silent is said soon.
            rules: crate::model::primary::Rules { grace: crate::model::time::Span::from_secs(5), ..Default::default() },
            ..Config::default()
        };
        Stage { name: player.name.clone(), socket, data: folder.join(&*player.name), config, clock, running: None, dying: None }
    }

    /// Starts it, on what its folder holds.
    pub async fn start(&mut self) -> Result<(), Failure> {
        if self.running.is_some() {
            return Ok(());
        }
        if let Some(dying) = self.dying.take() {
            let _ = tokio::task::spawn_blocking(move || dying.join()).await;
        }
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name(format!("demo-{}", self.name))
            .enable_all()
            .build()
            .map_err(|error| Failure::failed(format!("cannot start {}: {error}", self.name), ""))?;
        let (config, data, clock, listen) = (self.config.clone(), self.data.clone(), self.clock.clone(), self.config.listen.clone());
        let bound = runtime.spawn(async move {
            let failed = |error: String| Failure::failed(error, "");
            whole::make_private(&data).map_err(|error| failed(format!("{}: {error}", data.display())))?;
            let key = ServerKey::load_or_create(&data.join("server.key")).map_err(|error| failed(error.to_string()))?;
            let incarnation = Incarnation(SystemClock.now().micros().unsigned_abs() / 1_000);
            let log = SqliteLog::open(&data, key.origin(), incarnation).map_err(|error| failed(error.to_string()))?;
            let listener = Listener::bind(&listen).await.map_err(|error| failed(error.to_string()))?;
            let mut parts = Parts::new(clock, Arc::new(log), listener, Tokens::default());
            // A month comes in at once; nobody is to be told everything anew for that.
            parts.queue.publications = 4_096;
            Server::bind(&config, parts).await.map_err(|error| failed(error.to_string()))
        });
        let server = match bound.await {
            Ok(Ok(server)) => server,
            Ok(Err(failure)) => {
                runtime.shutdown_background();
                return Err(failure);
            }
            Err(error) => {
                runtime.shutdown_background();
                return Err(Failure::failed(format!("cannot start {}: {error}", self.name), ""));
            }
        };
        runtime.spawn(server.run(std::future::pending()));
        self.running = Some(runtime);
        Ok(())
    }

    /// Ends it between two instructions: nothing is written any more, nobody is told, connections break.
    pub fn kill(&mut self) -> bool {
        match self.running.take() {
            Some(runtime) => {
                // Tasks are dropped where they stand. The log's threads end after them, which may take a moment.
                self.dying = Some(std::thread::spawn(move || runtime.shutdown_timeout(Duration::from_secs(5))));
                true
            }
            None => false,
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.kill();
        if let Some(dying) = self.dying.take() {
            let _ = dying.join();
        }
    }
}
