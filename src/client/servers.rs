//! The servers that a console knows, each with its link; one channel for all that they say.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::behind::{Behind, Links};
use super::replica::Update;
use super::unmet::Unmet;
use crate::link::connection::LinkFull;
use crate::link::{self, Address, Conversation, Dial, LinkError, LinkHandle, Random, TlsTrust};
use crate::model::intent::Request;
use crate::model::mark::Marks;
use crate::model::presence::Focus;
use crate::model::time::Time;
use crate::trust::{NotProved, Proving};
use crate::wire::{CountAsk, Cursor, Hello, HistoryAsk, LookingAt, PROTOCOL, ReadMarks, Renew, Role, SearchAsk, ToServer, WorldAsk};

/// Which of the configured servers: its place in the list.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ServerIndex(pub usize);

/// One server that a console connects to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ServerConfig {
    /// As this console calls it.
    pub name: Arc<str>,
    pub address: Address,
    /// From the token file, on TCP.
    pub token: Option<Arc<str>>,
    /// How this console and the server prove who they are, on TCP.
    pub proving: Option<Arc<Proving>>,
    /// Who vouches for it, where it speaks TLS.
    pub tls: TlsTrust,
    /// The kind of environment, for colours and warnings; the server may say it too.
    pub env: Option<Arc<str>>,
    /// Where requests wait on disk until they are answered; in memory without one.
    pub outbox: Option<PathBuf>,
    /// Where what is heard of it is kept.
    pub heard: Option<PathBuf>,
    /// Where a former life of this console stood.
    pub cursor: Option<Cursor>,
}

impl ServerConfig {
    pub fn new(name: &str, address: Address) -> ServerConfig {
        ServerConfig { name: name.into(), address, token: None, proving: None, tls: TlsTrust::default(), env: None, outbox: None, heard: None, cursor: None }
    }
}

/// Links to all configured servers, running. Dropping it and its handles ends them.
pub struct Servers {
    pub handle: ServersHandle,
    pub updates: mpsc::Receiver<(ServerIndex, Update)>,
}

/// Asks servers for things, from anywhere. None of this waits.
#[derive(Clone, Debug)]
pub struct ServersHandle {
    links: Links,
}

/// What a console wants of every server.
#[derive(Clone, Debug)]
pub struct Wishes {
    /// The person at the console.
    pub name: Arc<str>,
    /// How many of the newest events come with a snapshot.
    pub history: u32,
    pub filter: Option<Arc<str>>,
    /// The latest observations as well.
    pub vitals: bool,
    /// Who looks at what, told and heard.
    pub presence: bool,
    /// The servers behind these too: a link to each is opened when one of these tells of it.
    pub peers: bool,
}

impl Servers {
    /// Starts a link to each. Needs a tokio runtime. Fails only when an outbox cannot be opened.
    pub fn connect(configs: &[ServerConfig], wishes: &Wishes, random: &Arc<dyn Random>) -> io::Result<Servers> {
        let dials = configs.iter().map(|config| link::way(&config.address, config.proving.as_deref(), &config.tls)).collect();
        Servers::connect_by(configs, dials, wishes, random)
    }

    /// The same over other ways to the servers, one for each.
    pub fn connect_by(configs: &[ServerConfig], dials: Vec<Arc<dyn Dial>>, wishes: &Wishes, random: &Arc<dyn Random>) -> io::Result<Servers> {
        let (sender, updates) = mpsc::channel(256);
        let links = Links::default();
        let behind = Arc::new(Behind::new(wishes.clone(), random.clone(), &sender, links.clone()));
        for (config, dial) in configs.iter().zip(dials) {
            behind.open(config.clone(), dial, None)?;
        }
        Ok(Servers { handle: ServersHandle { links }, updates })
    }
}

/// Meets a server that is not known, where somebody is to be asked: the key that it has proved. Nothing else is
/// told it. Nothing: it is known, or vouched for, or does not answer in time.
pub async fn meet(config: &ServerConfig, patience: Duration) -> Option<Unmet> {
    let shared = config.proving.as_ref()?;
    let proving = &**shared;
    let dial = link::way(&config.address, Some(proving), &config.tls);
    let hello = Hello {
        protocol: PROTOCOL,
        role: Role::Console,
        name: "".into(),
        token: None,
        version: env!("CARGO_PKG_VERSION").into(),
        zstd: false,
        origin: None,
        redeem: None,
        key: None,
    };
    match Conversation::open(&*dial, &hello, Some(proving), patience).await {
        Err(LinkError::NotProved(NotProved::Unmet { key, .. })) => Some(Unmet { proving: shared.clone(), key }),
        Ok(conversation) => {
            conversation.close().await;
            None
        }
        Err(_) => None,
    }
}

impl ServersHandle {
    fn link(&self, server: ServerIndex) -> Result<LinkHandle, LinkFull> {
        self.links.get(server).ok_or(LinkFull)
    }

    /// Into the outbox, and off. The receiver learns when it is safely kept; the answer comes as [`Update::Answered`].
    pub fn request(&self, server: ServerIndex, request: Request) -> Result<oneshot::Receiver<io::Result<()>>, LinkFull> {
        self.link(server)?.request(request)
    }

    /// Pages come as [`Update::History`] with the ask's id. While the server is away the ask is dropped:
    /// ask again when it is connected.
    pub fn history(&self, server: ServerIndex, ask: HistoryAsk) -> Result<(), LinkFull> {
        self.link(server)?.send(ToServer::History(ask))
    }

    /// As [`ServersHandle::history`].
    pub fn search(&self, server: ServerIndex, ask: SearchAsk) -> Result<(), LinkFull> {
        self.link(server)?.send(ToServer::Search(ask))
    }

    /// The world as it was. Comes as [`Update::Then`] with this number, or as a problem that bears it;
    /// while the server is away the ask is dropped.
    pub fn world_at(&self, server: ServerIndex, id: u64, at: Time) -> Result<(), LinkFull> {
        self.link(server)?.send(ToServer::WorldAt(WorldAsk { id, at }))
    }

    /// How far the person has looked, for their home server; the answer comes as [`Update::Marks`]. While
    /// the server is away it is dropped: it is said again on return.
    pub fn read_marks(&self, server: ServerIndex, marks: &Marks) -> Result<(), LinkFull> {
        self.link(server)?.send(ToServer::ReadMarks(ReadMarks { marks: marks.clone() }))
    }

    /// What the person looks at on this server, now: to those whose `welcome` takes it alone. While the server is
    /// away it is dropped: say it again when it is connected.
    pub fn looking_at(&self, server: ServerIndex, at: Option<Focus>) -> Result<(), LinkFull> {
        self.link(server)?.send(ToServer::LookingAt(LookingAt { at, users: Vec::new() }))
    }

    /// As [`ServersHandle::history`]; the answer comes as [`Update::Counts`].
    pub fn count(&self, server: ServerIndex, ask: CountAsk) -> Result<(), LinkFull> {
        self.link(server)?.send(ToServer::Count(ask))
    }

    /// As whom one is there, and what one may do: the answer comes as [`Update::Holding`]. While the server is
    /// away the ask is dropped.
    pub fn renew(&self, server: ServerIndex) -> Result<(), LinkFull> {
        self.link(server)?.send(ToServer::Renew(Renew { id: 1 }))
    }

    /// Does not wait out the backoff.
    pub fn retry_now(&self, server: ServerIndex) {
        if let Ok(link) = self.link(server) {
            link.retry_now();
        }
    }
}
