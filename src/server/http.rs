//! HTTP on the server's one port: the WebSocket's upgrade, health pages, metrics; what guards them.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, ORIGIN, SEC_WEBSOCKET_PROTOCOL, USER_AGENT};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::OwnedSemaphorePermit;

use super::greet::Shown;
use super::listen::Via;
use super::metrics::{Metrics, count, drop_one};
use super::session::{self, Shared};
use crate::link::Io;
use crate::model::words::counted;
use crate::wire::codec::MAX_TO_SERVER;
use crate::wire::{PATH, SUBPROTOCOL, SUBPROTOCOL_KEYS};

/// What a request's head may take: bytes (the least that hyper allows is 8 KiB), fields, time.
const HEAD_BYTES: usize = 16 << 10;
const HEAD_FIELDS: usize = 64;
pub(super) const HEAD_TIME: Duration = Duration::from_secs(10);
/// How long any answer but a WebSocket's may take.
const ANSWER_TIME: Duration = Duration::from_secs(60);

/// All routes. `more` are those of the intakes, with guards of their own.
pub(super) fn router(shared: Arc<Shared>, more: Router) -> Router {
    Router::new()
        .route(PATH, get(upgrade))
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .with_state(shared)
        .merge(more)
        .layer(axum::middleware::from_fn(guard))
}

/// One connection, until it ends or becomes a WebSocket's.
pub(super) async fn serve(io: Box<dyn Io>, via: Via, router: Router, slot: Slot) {
    let service = hyper::service::service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(via);
        request.extensions_mut().insert(slot.clone());
        let mut router = router.clone();
        async move { Ok::<Response, Infallible>(tower_service::Service::call(&mut router, request.map(Body::new)).await.into_response()) }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_headers(HEAD_FIELDS)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(io), service)
        .with_upgrades()
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection ended");
    }
}

/// One of the connections that a server takes at most; kept until the WebSocket ends, too.
#[derive(Clone)]
pub(super) struct Slot(#[expect(dead_code, reason = "held, not read")] Arc<Held>);

struct Held {
    _permit: OwnedSemaphorePermit,
    metrics: Arc<Metrics>,
}

impl Slot {
    pub(super) fn new(permit: OwnedSemaphorePermit, metrics: Arc<Metrics>) -> Slot {
        count(&metrics.connections);
        Slot(Arc::new(Held { _permit: permit, metrics }))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        drop_one(&self.metrics.connections);
    }
}

/// Says that there is no room, without reading anything.
pub(super) async fn turn_away(mut io: Box<dyn Io>) {
    use tokio::io::AsyncWriteExt;
    let words = "HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-type: text/plain\r\ncontent-length: 27\r\n\r\nToo many open connections.\n";
    let _ = tokio::time::timeout(Duration::from_secs(1), io.write_all(words.as_bytes())).await;
}

/// Pages of a browser have no business here: their scripts reach loopback, and with it every server on
/// it. Programs send no `Origin`.
async fn guard(request: Request, next: Next) -> Response {
    if let Some(origin) = request.headers().get(ORIGIN)
        && !same_host(origin.as_bytes(), request.headers().get(HOST).map(|host| host.as_bytes()))
    {
        return (StatusCode::FORBIDDEN, "Requests from pages of other hosts are refused (the Origin header says so).\n").into_response();
    }
    match tokio::time::timeout(ANSWER_TIME, next.run(request)).await {
        Ok(response) => response,
        Err(_) => (StatusCode::SERVICE_UNAVAILABLE, "This took too long. Try again later.\n").into_response(),
    }
}

/// Whether a page's origin is this server itself, by a name that no other host can take: whoever points
/// a name of theirs at loopback sends the same name in both headers.
fn same_host(origin: &[u8], host: Option<&[u8]>) -> bool {
    let Some((Ok(origin), Ok(host))) = host.map(|host| (std::str::from_utf8(origin), std::str::from_utf8(host))) else { return false };
    let Some(origin) = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://")) else { return false };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        Some(_) | None => host,
    };
    let own = name.eq_ignore_ascii_case("localhost") || name.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
    own && origin.eq_ignore_ascii_case(host)
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(token.trim())
}

/// What the request itself shows. An error: a token that opens nothing.
fn shown(request: &Parts<'_>, shared: &Shared) -> Result<Shown, Box<Response>> {
    if request.via == Some(Via::Owner) {
        return Ok(Shown::Owner);
    }
    match bearer(request.headers) {
        None if request.headers.contains_key(AUTHORIZATION) => Err(Box::new(unauthorized("the Authorization header must be `Bearer` and a token"))),
        None => Ok(Shown::Nothing),
        Some(token) => shared.tokens.kind_of(token).map(Shown::Token).ok_or_else(|| {
            let from = sender(request.via, request.headers);
            shared.refusals.say(shared.clock.now(), &from, request.route, StatusCode::UNAUTHORIZED, "this token opens nothing here");
            Box::new(unauthorized("this token opens nothing here"))
        }),
    }
}

struct Parts<'a> {
    headers: &'a HeaderMap,
    via: Option<Via>,
    route: &'static str,
}

/// Who sent a request, for a line in the log: from where, and as what it names itself.
pub(super) fn sender(via: Option<Via>, headers: &HeaderMap) -> String {
    let from = via.map_or_else(|| "an unknown address".to_owned(), |via| via.to_string());
    match headers.get(USER_AGENT).and_then(|name| name.to_str().ok()) {
        Some(name) => format!("{from} ({})", name.chars().take(60).collect::<String>()),
        None => from,
    }
}

fn unauthorized(words: &str) -> Response {
    (StatusCode::UNAUTHORIZED, [("www-authenticate", "Bearer")], format!("{words}\n")).into_response()
}

async fn upgrade(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    via: Option<axum::Extension<Via>>,
    slot: Option<axum::Extension<Slot>>,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response {
    let via = via.map(|via| via.0);
    let shown = match shown(&Parts { headers: &headers, via, route: PATH }, &shared) {
        Ok(shown) => shown,
        Err(response) => return *response,
    };
    let upgrade = match upgrade {
        Ok(upgrade) => upgrade,
        Err(rejection) => return rejection.into_response(),
    };
    let offered = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).map(str::trim);
    let offers: Vec<&str> = offered.collect();
    let keys = shared.gate.signer().is_some() && offers.contains(&SUBPROTOCOL_KEYS);
    if !offers.is_empty() && !keys && !offers.contains(&SUBPROTOCOL) {
        let words = format!("this server speaks {SUBPROTOCOL}; the client offers something else\n");
        return (StatusCode::BAD_REQUEST, words).into_response();
    }
    let from = sender(via, &headers);
    upgrade
        .protocols([if keys { SUBPROTOCOL_KEYS } else { SUBPROTOCOL }])
        .read_buffer_size(4 << 10)
        .write_buffer_size(4 << 10)
        .max_message_size(MAX_TO_SERVER)
        .max_frame_size(MAX_TO_SERVER)
        .on_upgrade(move |socket| async move {
            session::run(socket, shown, keys, &from, shared).await;
            drop(slot);
        })
}

async fn metrics(State(shared): State<Arc<Shared>>, headers: HeaderMap, via: Option<axum::Extension<Via>>) -> Response {
    match shown(&Parts { headers: &headers, via: via.map(|via| via.0), route: "/metrics" }, &shared) {
        Ok(Shown::Owner | Shown::Token(_)) => {
            let text = shared.metrics.render(shared.log.head(), &shared.log.health()) + &(shared.more_metrics)();
            ([(CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
        }
        Ok(Shown::Key(_) | Shown::Nothing) => unauthorized("metrics need a token: any of those in the server's data folder"),
        Err(response) => *response,
    }
}

/// Ready: what comes in can be kept.
async fn ready(State(shared): State<Arc<Shared>>) -> Response {
    let health = shared.log.health();
    if *shared.stopping.borrow() {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n").into_response();
    }
    if let Some(words) = shared.metrics.trouble().or(health.failing) {
        return (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {words}\n")).into_response();
    }
    let open = shared.metrics.open_alerts.load(Ordering::Relaxed);
    let damage = health.damage.map(|damage| format!("but the log is damaged: {damage}\n")).unwrap_or_default();
    (StatusCode::OK, format!("ready, {} open\n{damage}", counted(open, "alert"))).into_response()
}

#[cfg(test)]
mod tests {
    use super::same_host;

    #[test]
    fn n3_only_this_servers_own_pages_count_as_its_own() {
        assert!(same_host(b"http://127.0.0.1:7373", Some(b"127.0.0.1:7373")));
        assert!(same_host(b"http://localhost:7373", Some(b"localhost:7373")));
        assert!(same_host(b"http://[::1]:7373", Some(b"[::1]:7373")));
        for (origin, host) in [
            ("http://evil.example", Some("127.0.0.1:7373")),
            ("http://localhost:8080", Some("localhost:7373")),
            // A name that its owner points at loopback (DNS rebinding).
            ("http://evil.example:7373", Some("evil.example:7373")),
            ("null", Some("localhost:7373")),
            ("http://localhost:7373", None),
        ] {
            assert!(!same_host(origin.as_bytes(), host.map(str::as_bytes)), "{origin} {host:?}");
        }
    }
}
