//! One connection, from the dialling to the welcome and on: messages out, messages in.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message};

use super::dial::{Dial, DialError, Io, Line};
use super::short::{self, Short, TooMuch};
use crate::model::grant::Key;
use crate::trust::handshake::Binding;
use crate::trust::{NotProved, Proving, PublicKey};
use crate::wire::codec::{self, Frame};
use crate::wire::{Encoding, Hello, PATH, Problem, ProblemCode, Raw, Role, SUBPROTOCOL, SUBPROTOCOL_KEYS, ToClient, ToServer, Welcome, WireError};

/// Why a connection did not come about, or ended. Text of the other side is as it came: screens clean it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LinkError {
    #[error("cannot reach {0}")]
    Dial(#[from] DialError),
    #[error("{host} refused the connection: {words}")]
    Refused { host: String, words: String },
    #[error("the server does not let us in: {0}")]
    Unauthorized(String),
    /// Who answers is not, or cannot be shown to be, the server that was meant.
    #[error(transparent)]
    NotProved(#[from] NotProved),
    #[error("no answer within {}s", .0.as_secs())]
    Timeout(Duration),
    #[error("the server said nothing for {}s", .0.as_secs())]
    Silent(Duration),
    #[error("the server stops: {0}")]
    Stopping(String),
    #[error("the connection broke: {0}")]
    Broken(String),
    #[error("the server said what this version does not understand: {0}")]
    Protocol(#[from] WireError),
}

/// What a WebSocket stands on: of a server that is not known yet it hears little.
type Socket = WebSocketStream<Short<Box<dyn Io>>>;

pub struct Conversation {
    socket: Socket,
    encoding: Encoding,
    pub welcome: Welcome,
    /// The key that the server proved, where there was a handshake.
    pub proved: Option<PublicKey>,
}

impl Conversation {
    /// Dials, upgrades, proves who both are if there is something to prove it with, says hello and waits
    /// for the welcome, all within `patience`.
    pub async fn open(dial: &dyn Dial, hello: &Hello, proving: Option<&Proving>, patience: Duration) -> Result<Conversation, LinkError> {
        tokio::time::timeout(patience, Conversation::open_slowly(dial, hello, proving, Instant::now() + patience))
            .await
            .map_err(|_| LinkError::Timeout(patience))?
    }

    async fn open_slowly(dial: &dyn Dial, hello: &Hello, proving: Option<&Proving>, deadline: Instant) -> Result<Conversation, LinkError> {
        let host = dial.host().to_owned();
        let refused = |words: String| LinkError::Refused { host: host.clone(), words };
        let Line { io, binding, key } = dial.dial().await?;
        let io = Short::after_http(io, short::TO_CLIENT);
        let mut request = format!("ws://{host}{PATH}").into_client_request().map_err(|error| refused(error.to_string()))?;
        request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static(if proving.is_some() { BOTH } else { SUBPROTOCOL }));
        // Where the server is to prove itself, it sees no token before.
        if let (None, Some(token)) = (proving, &hello.token) {
            let mut value =
                HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| LinkError::Unauthorized("it holds characters that no token has".into()))?;
            value.set_sensitive(true);
            request.headers_mut().insert("authorization", value);
        }
        // A console takes in pages by the thousand; an agent hears an acknowledgement now and then.
        let read = if hello.role == Role::Agent { 4 << 10 } else { 64 << 10 };
        let config = WebSocketConfig::default()
            .read_buffer_size(read)
            .write_buffer_size(4 << 10)
            .max_write_buffer_size(codec::MAX_TO_SERVER * 2)
            .max_message_size(Some(codec::MAX_TO_CLIENT))
            .max_frame_size(Some(codec::MAX_TO_CLIENT));
        let keys;
        let socket = match tokio_tungstenite::client_async_with_config(request, io, Some(config)).await {
            Ok((socket, response)) => {
                keys = response.headers().get("sec-websocket-protocol").is_some_and(|chosen| chosen.as_bytes() == SUBPROTOCOL_KEYS.as_bytes());
                socket
            }
            Err(tungstenite::Error::Http(response)) => {
                let words = response.body().as_deref().map(String::from_utf8_lossy).unwrap_or_default();
                let words: String = words.trim().chars().take(300).collect();
                let words = if words.is_empty() { response.status().to_string() } else { words };
                return Err(if response.status().as_u16() == 401 { LinkError::Unauthorized(words) } else { refused(words) });
            }
            Err(error) => return Err(refused(error.to_string())),
        };
        let zstd = hello.zstd && dial.distant();
        let encoding = if zstd { Encoding::Zstd } else { Encoding::MessagePack };
        let mut opening = Opening { socket, encoding };
        // Without a handshake the token went with the HTTP request.
        let (token, proved) = match proving {
            Some(proving) if keys => (hello.token.clone(), Some(opening.prove(proving, hello.role, binding, key, deadline).await?)),
            Some(proving) => {
                proving.without(hello.token.is_some())?;
                (hello.token.clone(), None)
            }
            None => (None, None),
        };
        let (wanted, hello_role) = (hello.origin, hello.role);
        let hello = Hello { zstd, token, ..hello.clone() };
        opening.send(&ToServer::Hello(hello)).await?;
        match opening.next().await? {
            // Whose log a peer tells is kept for years: it is the one whose key was proved (N7).
            ToClient::Welcome(welcome) if hello_role == Role::Peer && wanted.is_none() && proved.as_ref().is_some_and(|key| key.origin() != welcome.origin) => {
                Err(LinkError::Broken(format!("it says that it is the server {}, which is not the one of its key", welcome.origin.short())))
            }
            ToClient::Welcome(welcome) if wanted.is_some_and(|wanted| wanted != welcome.origin) => {
                Err(LinkError::Broken("this server's version knows nothing of the servers behind it".into()))
            }
            ToClient::Welcome(welcome) => {
                opening.socket.get_mut().lift();
                // What it says of its key counts less than what it has proved.
                let key = proved.as_ref().map(|key| Key::of(key.bytes())).or_else(|| welcome.key.clone());
                Ok(Conversation { socket: opening.socket, encoding, welcome: Welcome { key, ..welcome }, proved })
            }
            ToClient::Problem(problem) => Err(ended_by(problem)),
            other => Err(LinkError::Broken(format!("instead of a welcome came {}", name_of(&other)))),
        }
    }

    pub async fn send(&mut self, message: &ToServer) -> Result<(), LinkError> {
        send(&mut self.socket, self.encoding, message).await
    }

    /// The next message. May be dropped while it waits without losing anything.
    pub async fn next(&mut self) -> Result<ToClient, LinkError> {
        next(&mut self.socket).await
    }

    /// Says goodbye, briefly.
    pub async fn close(mut self) {
        let _ = tokio::time::timeout(Duration::from_millis(500), self.socket.close(None)).await;
    }
}

/// The sub-protocols that a client offers that has a key, the better one first.
const BOTH: &str = "midwatch.v1+keys, midwatch.v1";

struct Opening {
    socket: Socket,
    encoding: Encoding,
}

impl Opening {
    /// The handshake, bound to the line beneath where that is ours. `shown`: the key that the line's other
    /// end has shown already.
    async fn prove(&mut self, proving: &Proving, role: Role, binding: Binding, shown: Option<PublicKey>, deadline: Instant) -> Result<PublicKey, LinkError> {
        let (underway, opening) = proving.begin(role, binding, shown, deadline.into_std())?;
        self.send(&ToServer::Handshake(Raw(opening))).await?;
        let reply = match self.next().await? {
            ToClient::Handshake(Raw(reply)) => reply,
            ToClient::Problem(problem) => return Err(ended_by(problem)),
            other => return Err(LinkError::Broken(format!("instead of its part of the handshake came {}", name_of(&other)))),
        };
        let (server, proof) = proving.prove(underway, Instant::now().into_std(), &reply).await?;
        self.send(&ToServer::Handshake(Raw(proof))).await?;
        Ok(server)
    }

    async fn send(&mut self, message: &ToServer) -> Result<(), LinkError> {
        send(&mut self.socket, self.encoding, message).await
    }

    /// Of a server that is not known nothing is unpacked.
    async fn next(&mut self) -> Result<ToClient, LinkError> {
        let frame = next_frame(&mut self.socket).await?;
        codec::not_packed(&frame)?;
        Ok(codec::decode_to_client(&frame)?)
    }
}

async fn send(socket: &mut Socket, encoding: Encoding, message: &ToServer) -> Result<(), LinkError> {
    let frame = match codec::encode(message, encoding)? {
        Frame::Binary(bytes) => Message::Binary(bytes),
        Frame::Text(text) => Message::text(text),
    };
    socket.send(frame).await.map_err(|error| LinkError::Broken(error.to_string()))
}

async fn next(socket: &mut Socket) -> Result<ToClient, LinkError> {
    loop {
        match codec::decode_to_client(&next_frame(socket).await?) {
            Ok(message) => return Ok(message),
            // Of a later version, or broken: it is set aside, and the rest goes on. Had it been a batch,
            // the next one's range shows the gap.
            Err(error) => tracing::warn!(%error, "a message of the server was set aside"),
        }
    }
}

async fn next_frame(socket: &mut Socket) -> Result<Frame, LinkError> {
    loop {
        match socket.next().await {
            None => return Err(LinkError::Broken("it was closed".into())),
            Some(Err(tungstenite::Error::Io(error))) if TooMuch::of(&error).is_some() => {
                return Err(LinkError::Broken(format!("it said {error}: is it a midwatch server?")));
            }
            Some(Err(error)) => return Err(LinkError::Broken(error.to_string())),
            Some(Ok(Message::Binary(bytes))) => return Ok(Frame::Binary(bytes)),
            Some(Ok(Message::Text(text))) => return Ok(Frame::Text(text.as_str().to_owned())),
            Some(Ok(Message::Close(Some(close)))) => return Err(LinkError::Broken(format!("it was closed: {}", close.reason))),
            Some(Ok(Message::Close(None) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_))) => {}
        }
    }
}

/// What a problem means for the connection, when it is the last word.
pub(super) fn ended_by(problem: Problem) -> LinkError {
    match problem.code {
        ProblemCode::Unauthorized => LinkError::Unauthorized(problem.words),
        ProblemCode::Stopping => LinkError::Stopping(problem.words),
        ProblemCode::Malformed | ProblemCode::Forbidden | ProblemCode::Limit | ProblemCode::Invalid | ProblemCode::Unavailable => {
            LinkError::Broken(problem.words)
        }
    }
}

fn name_of(message: &ToClient) -> &'static str {
    match message {
        ToClient::Handshake(_) => "a part of a handshake",
        ToClient::Welcome(_) => "a welcome",
        ToClient::Snapshot(_) => "a snapshot",
        ToClient::Batch(_) => "a batch",
        ToClient::Page(_) => "a page",
        ToClient::WorldThen(_) => "a past world",
        ToClient::Counts(_) => "counts",
        ToClient::Answer(_) => "an answer",
        ToClient::MarksKept(_) => "read marks",
        ToClient::Ack(_) => "an acknowledgement",
        ToClient::Vitals(_) => "vitals",
        ToClient::Health(_) => "health",
        ToClient::Readings(_) => "readings",
        ToClient::Holding(_) => "what is held",
        ToClient::Peers(_) => "a list of peers",
        ToClient::Presence(_) => "who looks at what",
        ToClient::Lease(_) => "a lease",
        ToClient::Backfilled(_) => "a part of a past",
        ToClient::WorldSealed(_) => "a signed world",
        ToClient::Pong(_) => "a pong",
        ToClient::Problem(_) => "a problem",
    }
}
