//! A server as a value: bound, run, stopped in order. `serve`, the embedded server, the demo and the
//! tests all use this one.

use std::future::Future;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::sync::{mpsc, watch};

use super::config::{Config, ConfigError};
use super::core::{self, Core, CoreParts, Pace};
use super::gate::Gate;
use super::health::{self, Disk, Monitor};
use super::house::{House, Named};
use super::http;
use super::hub::{Hub, QueueLimits};
use super::intake;
use super::line::{Certificates, Front, FrontParts, Tls, TlsConfig, turn_away};
use super::listen::{Listen, Listener};
use super::marks::ReadMarks;
use super::metrics::Metrics;
use super::peer::{Around, FolderShelf, Neighbour, PeerParts, Peers};
use super::presence::Board;
use super::repository::Repositories;
use super::rights::Audit;
use super::session::{Limits, Shared};
use super::source::Sources;
use crate::link::{self, Address, Clock, OsRandom, Random, SystemClock, TlsTrust};
use crate::model::grant::Key;
use crate::model::grant::Roles;
use crate::model::id::Incarnation;
use crate::model::primary::Rules;
use crate::store::{Log, SqliteLog, StoreError, whole};
use crate::trust::tls::OwnCertificate;
use crate::trust::token::read_token;
use crate::trust::{KeyError, KnownServers, Proving, PublicKey, ServerKey, Signer, Token, TokenKind, Tokens};

/// Why a server does not start, with what to do about it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ServerError {
    #[error("cannot listen on {on}: {why}. {hint}")]
    Listen { on: String, why: String, hint: String },
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("TLS cannot be set up: {why}. {hint}")]
    Tls { why: String, hint: String },
}

/// What a server is handed: everything that a simulation replaces or bends.
pub struct Parts {
    pub clock: Arc<dyn Clock>,
    pub log: Arc<dyn Log>,
    pub listener: Listener,
    /// What callers on TCP must show.
    pub tokens: Tokens,
    /// Who comes in by a key.
    pub gate: Gate,
    /// What those must show who push alerts and events; the same secrets as the tokens of their kind.
    pub intakes: Vec<intake::Token>,
    pub heartbeat: Option<PathBuf>,
    /// What persons have seen; in memory alone unless a folder is named.
    pub marks: Arc<ReadMarks>,
    /// Where clones of repositories elsewhere are kept; without it those are not followed.
    pub clones: Option<PathBuf>,
    /// The servers whose logs are received.
    pub peers: Option<PeerParts>,
    pub pace: Pace,
    pub limits: Limits,
    pub queue: QueueLimits,
    pub connections: usize,
    /// TLS, proxies, and what an address or a key may take.
    pub front: FrontParts,
    /// The room where the data is; nobody knows in a simulation.
    pub disk: Disk,
    /// From where on the server is not well, and how often that is measured.
    pub health: crate::model::health::Limits,
    pub health_every: Duration,
}

impl Parts {
    pub fn new(clock: Arc<dyn Clock>, log: Arc<dyn Log>, listener: Listener, tokens: Tokens) -> Parts {
        Parts {
            clock,
            log,
            listener,
            tokens,
            gate: Gate::none(),
            intakes: Vec::new(),
            heartbeat: None,
            marks: Arc::default(),
            clones: None,
            peers: None,
            pace: Pace::default(),
            limits: Limits::default(),
            queue: QueueLimits { publications: 256, bytes: 8 << 20 },
            connections: 10_000,
            front: FrontParts::default(),
            disk: Arc::new(|| None),
            health: crate::model::health::Limits::default(),
            health_every: Duration::from_secs(5),
        }
    }
}

/// Bound and ready to run: its core lives already.
pub struct Server {
    listener: Listener,
    address: Option<Listen>,
    router: Router,
    shared: Arc<Shared>,
    /// What is polled; ends with this value.
    sources: Sources,
    repositories: Repositories,
    /// Links to peers; they end with this value.
    links: tokio::task::JoinSet<()>,
    core: Core,
    core_task: tokio::task::JoinHandle<()>,
    /// Measures how the server is; ends with this value.
    monitor: health::Task,
    front: Arc<Front>,
    stopping: watch::Sender<bool>,
    ended: mpsc::Receiver<()>,
}

impl Server {
    /// Opens the data folder (made if need be), the key, the tokens and the port that the configuration names.
    pub async fn open(config: &Config) -> Result<Server, ServerError> {
        let data = config.data();
        let clock = SystemClock;
        // Locks the folder: all that follows may rely on being alone.
        let key = prepare(&data)?;
        let incarnation = Incarnation(clock.now().micros().unsigned_abs() / 1_000);
        let log = SqliteLog::open(&data, key.origin(), incarnation)?;
        let mut tokens = Tokens::default();
        for kind in TokenKind::ALL {
            tokens = tokens.add(kind, Token::load_or_create(&data.join(kind.file()))?);
        }
        let mut intakes = vec![intake::Token::new("", &read_token(&data.join(TokenKind::Intake.file()))?)];
        for source in &config.intake.token {
            tokens = tokens.add(TokenKind::Intake, Token::load_or_create(&source.file)?);
            let token = intake::Token::new(&source.name, &read_token(&source.file)?);
            intakes.push(match &source.systems {
                Some(systems) => token.limited(systems),
                None => token,
            });
        }
        if let Some((why, hint)) = config.listen.unencrypted().filter(|_| config.tls.is_none()) {
            return Err(ServerError::Listen { on: config.listen.to_string(), why, hint: hint.into() });
        }
        let tls = config.tls.as_ref().map(|tls| tls_of(tls, config, &key, &data)).transpose()?;
        let listener = Listener::bind(&config.listen).await?;
        let mut parts = Parts::new(Arc::new(clock), Arc::new(log), listener, tokens);
        parts.peers = Some(neighbours(config, &data, &key)?);
        let authorized = config.trust.authorized_keys.clone().unwrap_or_else(|| data.join("authorized_keys"));
        let roles = Roles::default().with(&config.roles);
        parts.gate = Gate::with_roles(key.signer()?, authorized, config.trust.require_keys, roles);
        parts.front = FrontParts { tls, proxies: config.proxy.proxies(), limits: config.limits.clone() };
        (parts.connections, parts.limits) = (config.limits.connections, config.limits.of_sessions());
        parts.intakes = intakes;
        parts.heartbeat = Some(data.join("heartbeat"));
        parts.marks = Arc::new(ReadMarks::new(Some(data.join("marks"))));
        parts.clones = Some(data.join("repositories"));
        parts.disk = Arc::new(move || health::room(&data));
        Server::bind(config, parts).await
    }

    /// Starts the core on what was handed in. Connections are taken once it runs.
    pub async fn bind(config: &Config, parts: Parts) -> Result<Server, ServerError> {
        let metrics = Arc::<Metrics>::default();
        let hub = Hub::new(parts.queue, metrics.clone());
        let name = config.name();
        let claim_every = parts.pace.claim.max(parts.pace.tick);
        let (roll, held) = watch::channel(Arc::default());
        let core_parts = CoreParts {
            log: parts.log.clone(),
            clock: parts.clock.clone(),
            hub: hub.clone(),
            metrics: metrics.clone(),
            rules: Rules { roles: Roles::default().with(&config.roles), ..config.rules.clone() },
            systems: config.system.clone(),
            glossary: config.glossary.clone(),
            settings: config.settings(),
            retention: config.retention(),
            pace: parts.pace,
            name: name.clone(),
            heartbeat: parts.heartbeat,
            roll,
        };
        let every = core_parts.pace.presence;
        let (core, core_task) = core::start(core_parts).await?;
        let (stopping, stops) = watch::channel(false);
        let (alive, ended) = mpsc::channel(1);
        let mapping = Arc::new(config.mapping()?);
        let mut intake_config = intake::Config::new(mapping.clone(), parts.intakes, parts.clock.now());
        // Whoever can open the socket is its owner.
        intake_config.token_required = !matches!(parts.listener, Listener::Unix(..));
        if let Some(labels) = &config.intake.replica_labels {
            intake_config.replica_labels = labels.clone();
        }
        let (intakes, counts) = intake::router(core.clone(), intake_config);
        let random: Arc<dyn Random> = Arc::new(OsRandom);
        let sources = Sources::start(&config.source, &core, &mapping, &random).map_err(|error| ConfigError {
            file: "the configuration".into(),
            place: None,
            why: error.to_string(),
            hint: None,
        })?;
        let repositories = Repositories::start(&config.repository, parts.clones.as_deref(), &core, &mapping, &random).map_err(|why| ConfigError {
            file: "the configuration".into(),
            place: None,
            why,
            hint: None,
        })?;
        let (polled, followed) = (sources.watch(), repositories.watch());
        let mut monitor = Monitor::new(parts.log.clone(), parts.clock.clone(), metrics.clone(), counts.clone(), polled.clone());
        monitor.repositories = followed.clone();
        monitor.certificates = parts.front.tls.as_ref().map(|tls| tls.certificates().clone());
        (monitor.disk, monitor.limits, monitor.every) = (parts.disk, parts.health, parts.health_every);
        let refusals = counts.refusals.clone();
        let (health, monitor) = monitor.start();
        let gate = Arc::new(parts.gate);
        gate.keep_looking();
        let peers = match parts.peers {
            Some(handed) => {
                let around = Around {
                    own: parts.log.head().origin,
                    key: gate.signer().map(|signer| Key::of(signer.public().bytes())),
                    name: name.clone(),
                    core: core.clone(),
                    clock: parts.clock.clone(),
                    metrics: metrics.clone(),
                    queue: parts.queue,
                    keep: config.retention().keep,
                    presence: (config.presence, every),
                };
                Some(Peers::open(handed, around).await?)
            }
            None => None,
        };
        let links = peers.as_ref().map(|peers| peers.start()).unwrap_or_default();
        let board = Board::new(config.presence, every);
        let named = Named { name, env: config.env.clone(), claim_every };
        let front = Arc::new(Front::new(parts.front, parts.connections, parts.limits.handshake, metrics.clone()));
        front.keep_looking();
        let shared = Arc::new(Shared {
            core: core.clone(),
            own: Arc::new(House::own(core.clone(), parts.log, hub, config.retention(), parts.clock.clone(), named, board)),
            peers,
            audit: Audit::new(parts.clock.clone()),
            clock: parts.clock,
            metrics,
            more_metrics: Box::new(move || format!("{counts}{polled}{followed}")),
            tokens: parts.tokens,
            gate,
            front: front.clone(),
            roll: held,
            addresses: config.addresses.clone(),
            limits: parts.limits,
            lease: config.federation.lease,
            health,
            refusals,
            marks: parts.marks,
            stopping: stops,
            alive,
        });
        let router = http::router(shared.clone(), intakes);
        let address = parts.listener.address();
        Ok(Server { listener: parts.listener, address, router, shared, sources, repositories, links, core, core_task, monitor, front, stopping, ended })
    }

    /// Where it listens; nowhere in a simulation.
    pub fn address(&self) -> Option<&Listen> {
        self.address.as_ref()
    }

    /// Whether what is said to it is encrypted.
    pub fn encrypts(&self) -> bool {
        self.front.tls.is_some()
    }

    /// The key that it proves itself by.
    pub fn key(&self) -> Option<PublicKey> {
        self.shared.gate.signer().map(Signer::public)
    }

    /// Its numbers about itself.
    pub fn metrics(&self) -> Arc<Metrics> {
        self.shared.metrics.clone()
    }

    /// For whoever lives in the same process.
    pub fn core(&self) -> &Core {
        &self.core
    }

    /// Takes connections until `shutdown` is done, then stops in order.
    pub async fn run(mut self, shutdown: impl Future<Output = ()>) {
        tokio::pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                accepted = self.listener.accept() => match accepted {
                    None => {
                        (&mut shutdown).await;
                        break;
                    }
                    Some(Ok((io, via))) => self.take(io, via),
                    Some(Err(error)) => {
                        // Out of file descriptors, most likely: those that we have must end first.
                        tracing::warn!(%error, "a connection could not be taken");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                },
            }
        }
        self.stop().await;
    }

    fn take(&self, io: Box<dyn crate::link::Io>, via: super::listen::Via) {
        let front = self.front.clone();
        match front.enter(via) {
            Ok(slot) => drop(tokio::spawn(http::serve(io, via, self.router.clone(), slot, front))),
            Err(words) => drop(tokio::spawn(async move { turn_away(&front, io, via, words).await })),
        }
    }

    /// The last words are written and told, then everybody is sent home.
    async fn stop(self) {
        let Server { listener, address: _, router, shared, sources, repositories, links, core, core_task, monitor, front, stopping, mut ended } = self;
        drop((listener, sources, repositories, monitor, links, front));
        if let Some(peers) = &shared.peers {
            peers.stop().await;
        }
        shared.audit.told_all(&core).await;
        core.stop().await;
        let _ = core_task.await;
        stopping.send_replace(true);
        drop((router, shared));
        // Sessions end at once unless their other side is slow. Whoever holds a request longer than that is cut off.
        let _ = tokio::time::timeout(Duration::from_secs(2), ended.recv()).await;
    }

    /// Runs in a task of its own.
    pub fn spawn(self) -> Running {
        let (address, core) = (self.address.clone(), self.core.clone());
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let task = tokio::spawn(self.run(async {
            let _ = stopped.await;
        }));
        Running { address, core, stop, task }
    }
}

/// A server that runs. Dropping it stops it, without waiting.
pub struct Running {
    pub address: Option<Listen>,
    pub core: Core,
    stop: tokio::sync::oneshot::Sender<()>,
    task: tokio::task::JoinHandle<()>,
}

impl Running {
    /// Stops it in order, and waits for that.
    pub async fn stop(self) {
        drop(self.stop);
        let _ = self.task.await;
    }
}

/// Where a server that keeps its data there remembers the keys of its peers.
pub fn known_peers(data: &Path) -> KnownServers {
    KnownServers::at(data.join("peers").join("known_servers"))
}

/// The peers that the configuration names. Each is met as itself: its key is remembered, and ours proved.
fn neighbours(config: &Config, data: &Path, key: &ServerKey) -> Result<PeerParts, ServerError> {
    let signer = Arc::new(key.signer()?);
    let known = known_peers(data);
    let mut neighbours = Vec::new();
    for peer in &config.peer {
        let refused = |why: String| ConfigError { file: "the configuration".into(), place: None, why: format!("peer {}: {why}", peer.name), hint: None };
        let address = Address::parse(&peer.url).map_err(|error| refused(error.to_string()))?;
        let proving = Proving { signer: signer.clone(), known: known.clone(), server: peer.name.clone() };
        let trust = TlsTrust { ca: peer.ca.clone(), proxy: peer.proxy };
        let dial = link::way(&address, Some(&proving), &trust);
        neighbours.push(Neighbour { name: peer.name.clone(), dial, proving: Some(Arc::new(proving)) });
    }
    Ok(PeerParts::new(neighbours, Arc::new(FolderShelf(data.join("peers"))), Arc::new(OsRandom)))
}

/// TLS as it is configured: with the files that are named, else with a certificate of the server's own key,
/// which then lies in the data folder for those who want to trust it as others.
fn tls_of(tls: &TlsConfig, config: &Config, key: &ServerKey, data: &Path) -> Result<Tls, ServerError> {
    let failed = |why: String, hint: &str| ServerError::Tls { why, hint: hint.into() };
    let certificates = match (&tls.certificate, &tls.key) {
        (Some(certificate), Some(key)) => {
            let hint = "Name the chain (PEM) as `certificate` and its private key as `key` in [tls], readable by this server; without them it makes its own";
            Certificates::read(certificate.clone(), key.clone()).map_err(|why| failed(why, hint))?
        }
        (None, None) => {
            let own = OwnCertificate::new(key, &tls.names(&config.listen))?;
            let path = data.join("server.crt");
            // For everybody: it holds no secret.
            whole::replace_with(&path, own.pem.as_bytes())
                .and_then(|()| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)))
                .map_err(|error| failed(format!("{}: {error}", path.display()), "The data folder must be writable, and have room"))?;
            Certificates::own(&own)
        }
        (Some(_), None) | (None, Some(_)) => return Err(failed("[tls] names one of `certificate` and `key`".into(), "Name both, or none")),
    };
    Tls::new(Arc::new(certificates)).map_err(|error| failed(error.to_string(), "Look at [tls]"))
}

/// Makes the folder and finds the key in it.
fn prepare(data: &Path) -> Result<ServerKey, ServerError> {
    whole::make_private(data).map_err(|error| StoreError::Open {
        path: data.display().to_string(),
        why: error.to_string(),
        hint: "Choose another folder with `data`, or make this one writable".into(),
    })?;
    Ok(ServerKey::load_or_create(&data.join("server.key"))?)
}
