//! What lies between a socket and what is said on it: TLS, proxies, the upgrade to a WebSocket, and how
//! much of all that one address or one key may have.

mod addresses;
pub mod config;
mod keys;
mod patient;
mod proxy;
mod tls;
mod upgrade;
mod via;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_tungstenite::WebSocketStream;

use super::metrics::{Metrics, count, drop_one};
use crate::link::Io;
use crate::link::short::Short;
use crate::trust::handshake::Binding;

pub use addresses::{Addresses, Refused, Stranger, block};
pub use config::{LimitsConfig, ProxyConfig, TlsConfig};
pub use keys::{KeyUse, Keys};
pub use patient::Patient;
pub use proxy::Proxies;
pub use tls::{CertificateState, Certificates, Tls};
pub use upgrade::{Upgrading, upgrading};
pub use via::Via;

/// What a session speaks over.
pub type Socket = WebSocketStream<Short<Box<dyn Io>>>;

/// Everything that a connection passes before a word of it is heard.
pub struct Front {
    /// None: everything is plain text, on loopback.
    pub tls: Option<Tls>,
    pub proxies: Proxies,
    pub addresses: Arc<Addresses>,
    pub keys: Arc<Keys>,
    /// Connections at once, whosever they are.
    room: Arc<Semaphore>,
    /// Those that are told over TLS that there is no room.
    farewells: Semaphore,
    /// How long TLS may take.
    patience: Duration,
    metrics: Arc<Metrics>,
}

/// What a server is handed for its front.
#[derive(Default)]
pub struct FrontParts {
    pub tls: Option<Tls>,
    pub proxies: Proxies,
    pub limits: LimitsConfig,
}

impl Front {
    pub fn new(parts: FrontParts, connections: usize, patience: Duration, metrics: Arc<Metrics>) -> Front {
        let FrontParts { tls, proxies, limits } = parts;
        Front {
            tls,
            proxies,
            addresses: Arc::new(Addresses::new(&limits)),
            keys: Arc::new(Keys::new(limits.per_key)),
            room: Arc::new(Semaphore::new(connections)),
            farewells: Semaphore::new(FAREWELLS),
            patience,
            metrics,
        }
    }

    /// Certificates in files are renewed by others.
    pub(super) fn keep_looking(&self) {
        if let Some(tls) = &self.tls {
            tls.certificates().keep_looking();
        }
    }

    /// A place for a connection that has just come, or why there is none.
    pub(super) fn enter(&self, via: Via) -> Result<Slot, &'static str> {
        let Ok(permit) = self.room.clone().try_acquire_owned() else {
            count(&self.metrics.turned_away);
            return Err("Too many open connections.");
        };
        // Behind a proxy many have one address; whose a request is will be seen by its head.
        let stranger = match via.peer().filter(|peer| !self.proxies.trusts(*peer)).map(|peer| self.addresses.enter(peer)) {
            Some(Err(_)) => {
                count(&self.metrics.strangers_turned_away);
                return Err("Too many connections of this address that have not said who they are.");
            }
            Some(Ok(stranger)) => Some(stranger),
            None => None,
        };
        Ok(Slot::new(permit, stranger, self.metrics.clone()))
    }

    /// TLS, where it is spoken. `None`: it did not come about.
    pub(super) async fn open(&self, mut io: Box<dyn Io>, via: Via) -> Option<(Box<dyn Io>, Binding)> {
        let Some(tls) = self.tls.as_ref().filter(|_| via != Via::Owner) else { return Some((io, Binding::None)) };
        let opened = tokio::time::timeout(self.patience, async {
            let mut first = [0];
            io.read_exact(&mut first).await.ok()?;
            if first != [HANDSHAKE] {
                say_and_go(io, "400 Bad Request", "This port speaks TLS alone: the address begins with wss:// or https://.").await;
                return None;
            }
            let ahead: Box<dyn Io> = Box::new(Short::ahead(io, Bytes::copy_from_slice(&first)));
            match tls.accept(ahead).await {
                Ok(opened) => Some(opened),
                Err(error) => {
                    tracing::debug!(%error, from = %via, "TLS did not come about");
                    None
                }
            }
        })
        .await;
        let opened = opened.ok().flatten();
        count(if opened.is_some() { &self.metrics.tls_opened } else { &self.metrics.tls_failed });
        opened
    }

    /// Somebody showed what opens nothing: a while of that, and their address has to wait.
    pub(super) fn failed(&self, via: Via) {
        if let Some(address) = via.address() {
            self.addresses.failed(address);
        }
    }
}

/// The first byte of TLS: a handshake record (RFC 8446, 5.1).
const HANDSHAKE: u8 = 22;

/// An answer by hand, to somebody who is not heard any further.
async fn say_and_go(mut io: Box<dyn Io>, status: &str, words: &str) {
    let length = words.len() + 1;
    let answer = format!("HTTP/1.1 {status}\r\nconnection: close\r\nretry-after: 5\r\ncontent-type: text/plain\r\ncontent-length: {length}\r\n\r\n{words}\n");
    let _ = tokio::time::timeout(Duration::from_secs(1), async {
        io.write_all(answer.as_bytes()).await?;
        io.shutdown().await?;
        // What they are saying meanwhile is taken in: else the answer is lost with the connection.
        tokio::io::copy(&mut io.take(64 << 10), &mut tokio::io::sink()).await
    })
    .await;
}

/// So many at a time are told over TLS that there is no room, each within so long: it costs a signature.
const FAREWELLS: usize = 8;
const BRIEFLY: Duration = Duration::from_secs(3);

/// Says in HTTP that there is no room. Over TLS to a few at a time; the connections of the others just end.
pub(super) async fn turn_away(front: &Front, io: Box<dyn Io>, via: Via, words: &str) {
    let few = front.farewells.try_acquire();
    if few.is_err() && front.tls.is_some() {
        return;
    }
    if let Ok(Some((io, _))) = tokio::time::timeout(BRIEFLY, front.open(io, via)).await {
        say_and_go(io, "503 Service Unavailable", words).await;
    }
}

/// One of the connections that a server takes at most; kept until the WebSocket ends, too.
#[derive(Clone)]
pub(super) struct Slot(Arc<Held>);

struct Held {
    _permit: OwnedSemaphorePermit,
    stranger: std::sync::Mutex<Option<Stranger>>,
    metrics: Arc<Metrics>,
}

impl Slot {
    fn new(permit: OwnedSemaphorePermit, stranger: Option<Stranger>, metrics: Arc<Metrics>) -> Slot {
        count(&metrics.connections);
        Slot(Arc::new(Held { _permit: permit, stranger: std::sync::Mutex::new(stranger), metrics }))
    }

    /// It is known who is there: no stranger any more.
    pub(super) fn known(&self) {
        drop(self.0.stranger.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take());
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        drop_one(&self.metrics.connections);
    }
}

/// Marks an answer to somebody who showed what opens it.
#[derive(Clone, Copy)]
pub(super) struct Opened;

/// Who comes to a session, and how.
pub(super) struct Arrival {
    pub shown: super::greet::Shown,
    /// The client chose the sub-protocol that begins with a handshake.
    pub keys: bool,
    /// From where; nobody knows in a test.
    pub via: Option<Via>,
    pub binding: Binding,
    /// Who is on the other side, for a line in the log.
    pub from: String,
    pub slot: Option<Slot>,
    /// Behind a proxy: that of the address there.
    pub stranger: Option<Stranger>,
}
