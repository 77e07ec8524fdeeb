//! From HTTP to a WebSocket (RFC 6455, 4.2), by hand: what is read before it is known who is there stays
//! short, which a library that hides the connection cannot do.

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};

use super::{Patient, Socket};
use crate::link::Io;
use crate::link::short::{Short, TO_SERVER};
use crate::wire::codec::MAX_TO_SERVER;

/// A request that becomes a WebSocket once its answer is sent.
pub struct Upgrading {
    accept: String,
    on: OnUpgrade,
}

fn has(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    let values = headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|part| part.trim().eq_ignore_ascii_case(word))
}

/// Reads a request. An error: the answer to one that asks for no WebSocket.
pub fn upgrading(request: &mut Request) -> Result<Upgrading, Box<Response>> {
    let refuse = |status: StatusCode, words: &'static str| Box::new((status, words).into_response());
    if request.method() != Method::GET {
        return Err(refuse(StatusCode::METHOD_NOT_ALLOWED, "A WebSocket begins with GET.\n"));
    }
    let headers = request.headers();
    if !has(headers, &CONNECTION, "upgrade") || !has(headers, &UPGRADE, "websocket") {
        let words = "This address speaks WebSocket alone. A proxy between must pass the headers Connection and Upgrade on.\n";
        return Err(Box::new((StatusCode::UPGRADE_REQUIRED, [(UPGRADE, "websocket"), (CONNECTION, "upgrade")], words).into_response()));
    }
    if headers.get(SEC_WEBSOCKET_VERSION).is_none_or(|version| version.as_bytes() != b"13") {
        let answer = (StatusCode::BAD_REQUEST, [(SEC_WEBSOCKET_VERSION, "13")], "Version 13 of WebSocket is spoken here.\n");
        return Err(Box::new(answer.into_response()));
    }
    // 16 bytes in base64.
    let key = headers.get(SEC_WEBSOCKET_KEY).filter(|key| key.len() == 24);
    let accept = key.map(|key| derive_accept_key(key.as_bytes())).ok_or_else(|| refuse(StatusCode::BAD_REQUEST, "Sec-WebSocket-Key is missing.\n"))?;
    let on =
        request.extensions_mut().remove::<OnUpgrade>().ok_or_else(|| refuse(StatusCode::UPGRADE_REQUIRED, "This connection cannot change its protocol.\n"))?;
    Ok(Upgrading { accept, on })
}

impl Upgrading {
    /// The answer that changes the protocol. `protocol`: the one that was chosen of those that were offered.
    pub fn answer(&self, protocol: Option<&'static str>) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        if let Ok(accept) = HeaderValue::from_str(&self.accept) {
            headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
        }
        if let Some(protocol) = protocol {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(protocol));
        }
        response
    }

    /// Waits until the answer is sent. `None`: the connection ended before that. `encrypted`: TLS beneath has
    /// a buffer of its own, from which a small one is filled without asking the system.
    pub async fn socket(self, encrypted: bool) -> Option<Socket> {
        let upgraded = self.on.await.map_err(|error| tracing::debug!(%error, "a connection ended before it was a WebSocket")).ok()?;
        // Without the layers of HTTP, where they can be taken off.
        let (io, ahead): (Box<dyn Io>, _) = match upgraded.downcast::<TokioIo<Patient<Box<dyn Io>>>>() {
            Ok(parts) => (parts.io.into_inner().into_inner(), parts.read_buf),
            Err(upgraded) => (Box::new(TokioIo::new(upgraded)), bytes::Bytes::new()),
        };
        let config = WebSocketConfig::default()
            .read_buffer_size(if encrypted { 1 << 10 } else { 4 << 10 })
            .write_buffer_size(4 << 10)
            .max_message_size(Some(MAX_TO_SERVER))
            .max_frame_size(Some(MAX_TO_SERVER));
        Some(WebSocketStream::from_raw_socket(Short::new(io, ahead, TO_SERVER), Role::Server, Some(config)).await)
    }
}
