//! What the tests share: a server with short paces, consoles that follow it, a plain WebSocket.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use midwatch::client::{Address, Replica, ServerConfig, ServerIndex, Servers, Update, Wishes};
use midwatch::link::{Clock, OsRandom, Random, SystemClock};
use midwatch::model::id::{Incarnation, Origin, Person};
use midwatch::model::intent::{Intent, Request};
use midwatch::model::world::World;
use midwatch::server::config::Config;
use midwatch::server::{Listen, Listener, Pace, Parts, Running, Server};
use midwatch::store::{Log, MemoryLog};
use midwatch::trust::{Token, TokenKind, Tokens};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

pub const ORIGIN: Origin = Origin([7; 16]);
pub const CONSOLE: &str = "console-token-of-the-test";
pub const AGENT: &str = "agent-token-of-the-test";
pub const INTAKE: &str = "intake-token-of-the-test";

pub fn pace() -> Pace {
    Pace {
        tick: Duration::from_millis(20),
        claim: Duration::from_millis(60),
        readings: Duration::from_millis(20),
        presence: Duration::from_millis(20),
        retry: Duration::from_millis(50),
        ..Pace::default()
    }
}

pub fn tokens() -> Tokens {
    Tokens::default().add(TokenKind::Console, Token::new(CONSOLE)).add(TokenKind::Agent, Token::new(AGENT)).add(TokenKind::Intake, Token::new(INTAKE))
}

pub fn memory() -> MemoryLog {
    MemoryLog::new(ORIGIN, Incarnation(1_790_000_000_000))
}

/// A server on a free port; `bend` changes what it is handed.
pub async fn serve(log: Arc<dyn Log>, bend: impl FnOnce(&mut Parts)) -> Running {
    serve_on(&Listen::Tcp("127.0.0.1:0".parse().unwrap()), log, bend).await
}

pub async fn serve_on(listen: &Listen, log: Arc<dyn Log>, bend: impl FnOnce(&mut Parts)) -> Running {
    // For the clients of the tests, whichever of them comes first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = Listener::bind(listen).await.unwrap();
    let mut parts = Parts::new(Arc::new(SystemClock), log, listener, tokens());
    parts.pace = pace();
    bend(&mut parts);
    let config = Config { name: Some("shop".into()), ..Config::default() };
    Server::bind(&config, parts).await.unwrap().spawn()
}

pub fn port(server: &Running) -> String {
    match server.address.as_ref().unwrap() {
        Listen::Tcp(address) => address.to_string(),
        Listen::Unix(path) => path.display().to_string(),
    }
}

pub fn note(text: &str) -> Request {
    let intent = Intent::NoteSystem { system: "shop/varnish".parse().unwrap(), text: text.into() };
    Request { id: OsRandom.request_id(), by: Person::from("kim"), made: SystemClock.now(), intent, signed: None }
}

/// A console that follows one server.
pub struct Console {
    pub servers: Servers,
    pub replica: Replica,
    /// Every event that came, in order, snapshots apart.
    pub streamed: Vec<u64>,
    pub snapshots: Vec<midwatch::wire::SnapshotReason>,
    pub outcomes: Vec<midwatch::wire::Outcome>,
    pub disconnects: usize,
}

impl Console {
    pub fn to(address: Address, outbox: Option<&Path>) -> Console {
        let config = ServerConfig { token: Some(CONSOLE.into()), outbox: outbox.map(Path::to_owned), ..ServerConfig::new("shop", address) };
        let wishes = Wishes { name: "kim".into(), history: 0, filter: None, vitals: true, presence: false, peers: false };
        let random: Arc<dyn Random> = Arc::new(OsRandom);
        Console::over(Servers::connect(&[config], &wishes, &random).unwrap())
    }

    pub fn over(servers: Servers) -> Console {
        Console { servers, replica: Replica::default(), streamed: Vec::new(), snapshots: Vec::new(), outcomes: Vec::new(), disconnects: 0 }
    }

    pub async fn next(&mut self) -> Update {
        let (_, update) = tokio::time::timeout(Duration::from_secs(30), self.servers.updates.recv()).await.expect("an update").expect("a link");
        self.take(&update);
        update
    }

    pub fn take(&mut self, update: &Update) {
        self.replica.apply(update);
        match update {
            Update::Events { events, .. } => self.streamed.extend(events.iter().map(|event| event.id.sequence.0)),
            Update::Snapshot { why, .. } => self.snapshots.push(*why),
            Update::Answered { outcome, .. } => self.outcomes.push(outcome.clone()),
            Update::Disconnected { .. } => self.disconnects += 1,
            _ => {}
        }
    }

    pub async fn until(&mut self, what: &str, mut fact: impl FnMut(&Console) -> bool) {
        self.until_within(Duration::from_secs(60), what, &mut fact).await;
    }

    /// The limit is one for the whole wait: claims come all the time, and a fact that never becomes true fails.
    pub async fn until_within(&mut self, limit: Duration, what: &str, fact: &mut impl FnMut(&Console) -> bool) {
        let wait = async {
            while !fact(self) {
                self.next().await;
            }
        };
        tokio::time::timeout(limit, wait).await.unwrap_or_else(|_| panic!("waited in vain until {what}"));
    }

    pub fn head(&self) -> u64 {
        self.replica.world.as_ref().map_or(0, |world| world.head.0)
    }

    pub fn ask(&self, request: Request) {
        drop(self.servers.handle.request(ServerIndex(0), request).unwrap());
    }
}

/// The server's world, all of it durable.
pub async fn world(server: &Running) -> Arc<World> {
    server.core.durable().await.unwrap().world.clone()
}

pub type Plain = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// A plain WebSocket, as `websocat` would open it.
pub async fn plain(address: &str, headers: &[(&'static str, &str)]) -> Result<Plain, tokio_tungstenite::tungstenite::Error> {
    let mut request = format!("ws://{address}/api/v1/ws").into_client_request().unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    tokio_tungstenite::connect_async(request).await.map(|(socket, _)| socket)
}

pub async fn say(socket: &mut Plain, text: &str) {
    socket.send(tokio_tungstenite::tungstenite::Message::text(text)).await.unwrap();
}

/// The next text frame as JSON.
pub async fn hear(socket: &mut Plain) -> serde_json::Value {
    loop {
        let message = tokio::time::timeout(Duration::from_secs(20), socket.next()).await.expect("a frame").expect("an open socket").unwrap();
        if let tokio_tungstenite::tungstenite::Message::Text(text) = message {
            return serde_json::from_str(&text).unwrap();
        }
    }
}

/// The next text frame that holds this message.
pub async fn hear_of(socket: &mut Plain, message: &str) -> serde_json::Value {
    loop {
        let said = hear(socket).await;
        if let Some(body) = said.get(message) {
            return body.clone();
        }
    }
}
