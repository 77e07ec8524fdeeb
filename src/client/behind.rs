//! The links of a console: one to each server that it was given, and one for each log that those receive from
//! servers behind them. A log is followed once: by the link that was given for its server, else through the
//! first that told of it.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::{Mutex, mpsc};

use super::replica::{self, Update};
use super::servers::{ServerConfig, ServerIndex, Wishes};
use crate::link::{self, Dial, FileOutbox, LinkConfig, LinkHandle, MemoryOutbox, Outbox, Random};
use crate::model::id::{Origin, Sequence};
use crate::model::peer::PeerState;
use crate::wire::{Hello, PROTOCOL, Role, Subscribe};

/// Logs behind servers that are followed, at most.
const MOST: usize = 200;

/// All links, by their place; none is ever taken out.
#[derive(Clone, Default, Debug)]
pub(super) struct Links(Arc<RwLock<Vec<Option<LinkHandle>>>>);

impl Links {
    pub(super) fn get(&self, server: ServerIndex) -> Option<LinkHandle> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(server.0).cloned().flatten()
    }

    fn len(&self) -> usize {
        self.0.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn push(&self, link: LinkHandle) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).push(Some(link));
    }

    /// It ends; its place stays.
    fn end(&self, server: ServerIndex) {
        if let Some(link) = self.0.write().unwrap_or_else(PoisonError::into_inner).get_mut(server.0) {
            *link = None;
        }
    }
}

/// Opens links, and knows which log comes through which.
pub(super) struct Behind {
    wishes: Wishes,
    random: Arc<dyn Random>,
    /// Goes when nobody needs it: the links' tasks hold clones.
    updates: mpsc::WeakSender<(ServerIndex, Update)>,
    links: Links,
    /// Held while a link is opened and told of, so that places are told in their order.
    known: Mutex<BTreeMap<Origin, Followed>>,
}

/// By which link a log is followed.
#[derive(Clone, Copy)]
struct Followed {
    link: ServerIndex,
    direct: bool,
}

/// A link's own way, from which those to the servers behind it are made.
#[derive(Clone)]
pub(super) struct Gate {
    pub(super) index: ServerIndex,
    pub(super) config: ServerConfig,
    pub(super) dial: Arc<dyn Dial>,
    pub(super) behind: Arc<Behind>,
    /// Whose log it follows, when that is a server behind.
    pub(super) origin: Option<Origin>,
    updates: mpsc::Sender<(ServerIndex, Update)>,
}

impl Behind {
    pub(super) fn new(wishes: Wishes, random: Arc<dyn Random>, updates: &mpsc::Sender<(ServerIndex, Update)>, links: Links) -> Behind {
        Behind { wishes, random, updates: updates.downgrade(), links, known: Mutex::default() }
    }

    /// Starts a link, in the next place.
    pub(super) fn open(self: &Arc<Behind>, config: ServerConfig, dial: Arc<dyn Dial>, origin: Option<Origin>) -> io::Result<ServerIndex> {
        let index = ServerIndex(self.links.len());
        let Some(updates) = self.updates.upgrade() else { return Ok(index) };
        let outbox: Box<dyn Outbox> = match &config.outbox {
            Some(folder) => Box::new(FileOutbox::open(folder)?),
            None => Box::new(MemoryOutbox::default()),
        };
        let hello = Hello {
            protocol: PROTOCOL,
            role: Role::Console,
            name: self.wishes.name.clone(),
            token: config.token.clone(),
            version: env!("CARGO_PKG_VERSION").into(),
            zstd: true,
            origin,
            redeem: None,
            key: None,
        };
        let subscribe = Subscribe {
            cursor: config.cursor,
            filter: self.wishes.filter.clone(),
            history: self.wishes.history,
            vitals: self.wishes.vitals,
            health: true,
            readings: true,
            peers: self.wishes.peers && origin.is_none(),
            presence: self.wishes.presence,
            nonce: None,
        };
        let link = LinkConfig { subscribe: Some(subscribe), proving: config.proving.clone(), ..LinkConfig::new(hello) };
        let (handle, events) = link::spawn(link, dial.clone(), self.random.clone(), outbox);
        self.links.push(handle);
        let gate = Gate { index, config, dial, behind: self.clone(), origin, updates };
        tokio::spawn(replica::run(gate, events));
        Ok(index)
    }
}

impl Gate {
    /// Tells what happens. False: nobody listens any more.
    pub(super) async fn tell(&self, update: Update) -> bool {
        self.updates.send((self.index, update)).await.is_ok()
    }

    pub(super) async fn deserted(&self) {
        self.updates.closed().await;
    }

    /// A server answers at the address that was given for it: what came of its log through another is not
    /// needed any more.
    pub(super) async fn meets(&self, origin: Origin) {
        let mut known = self.behind.known.lock().await;
        let before = known.insert(origin, Followed { link: self.index, direct: true });
        if let Some(before) = before.filter(|before| !before.direct && before.link != self.index) {
            self.behind.links.end(before.link);
            let _ = self.updates.send((before.link, Update::Superseded { by: self.index })).await;
        }
    }

    /// Opens a link for each log that is not followed yet.
    pub(super) async fn hears_of(&self, peers: &[PeerState]) {
        if !self.behind.wishes.peers {
            return;
        }
        let mut known = self.behind.known.lock().await;
        for peer in peers {
            let nothing = peer.origin == Origin::default() || peer.head == Sequence(0);
            if nothing || known.contains_key(&peer.origin) || known.len() >= MOST {
                continue;
            }
            let beside = |path: &std::path::Path| {
                let mut name = path.file_name().unwrap_or_default().to_owned();
                name.push(format!("-{}", peer.origin));
                path.with_file_name(name)
            };
            let config = ServerConfig {
                name: peer.name.clone(),
                outbox: self.config.outbox.as_deref().map(beside),
                heard: None,
                cursor: None,
                env: None,
                ..self.config.clone()
            };
            match self.behind.open(config.clone(), self.dial.clone(), Some(peer.origin)) {
                Ok(link) => {
                    known.insert(peer.origin, Followed { link, direct: false });
                    let found = Update::Found { config: Box::new(config), through: self.index, peer: Box::new(peer.clone()) };
                    let _ = self.updates.send((link, found)).await;
                }
                Err(error) => tracing::warn!(server = &*peer.name, %error, "the server behind another cannot be followed"),
            }
        }
    }
}
