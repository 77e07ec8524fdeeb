//! HTTP on the server's one port: the WebSocket's upgrade, health pages, metrics; what guards them.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::Extension;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HOST, ORIGIN, SEC_WEBSOCKET_PROTOCOL, USER_AGENT};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper_util::rt::{TokioIo, TokioTimer};

use super::greet::Shown;
use super::intake::Outside;
use super::line::{Arrival, Front, Opened, Patient, Slot, Via, upgrading};
use super::metrics::count;
use super::rights::Culprit;
use super::session::{self, Shared};
use crate::link::Io;
use crate::model::words::counted;
use crate::trust::TokenKind;
use crate::trust::handshake::Binding;
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
        .with_state(shared.clone())
        .merge(more)
        .layer(axum::middleware::from_fn_with_state(shared, guard))
}

/// How long an answer may wait for its reader.
const STALLED: Duration = Duration::from_secs(30);

/// One connection, until it ends or becomes a WebSocket's.
pub(super) async fn serve(io: Box<dyn Io>, via: Via, router: Router, slot: Slot, front: Arc<Front>) {
    let Some((io, binding)) = front.open(io, via).await else { return };
    let service = hyper::service::service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        let seen = front.proxies.seen(via, request.headers());
        if let Ok(via) = seen {
            request.extensions_mut().insert(via);
        }
        // Of the line from a proxy to here the client knows nothing.
        request.extensions_mut().insert(if matches!(seen, Ok(Via::Proxied { .. })) { Binding::None } else { binding });
        request.extensions_mut().insert(slot.clone());
        let mut router = router.clone();
        async move {
            Ok::<Response, Infallible>(match seen {
                Ok(_) => tower_service::Service::call(&mut router, request.map(Body::new)).await.into_response(),
                Err(words) => (StatusCode::BAD_REQUEST, format!("{words}\n")).into_response(),
            })
        }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_headers(HEAD_FIELDS)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(Patient::new(io, STALLED)), service)
        .with_upgrades()
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection ended");
    }
}

/// Pages of a browser have no business here: their scripts reach loopback, and with it every server on
/// it. Programs send no `Origin`.
async fn guard(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    if let Some(origin) = request.headers().get(ORIGIN)
        && !same_host(origin.as_bytes(), request.headers().get(HOST).map(|host| host.as_bytes()))
    {
        return (StatusCode::FORBIDDEN, "Requests from pages of other hosts are refused (the Origin header says so).\n").into_response();
    }
    let via = request.extensions().get::<Via>().copied();
    let slot = request.extensions().get::<Slot>().cloned();
    if let Some(Err(why)) = via.and_then(Via::address).map(|address| shared.front.addresses.may(address)) {
        count(&shared.metrics.attempts_refused);
        return why.into_response();
    }
    let shows = request.headers().contains_key(AUTHORIZATION);
    let response = match tokio::time::timeout(ANSWER_TIME, next.run(request)).await {
        Ok(response) => response,
        Err(_) => return (StatusCode::SERVICE_UNAVAILABLE, "This took too long. Try again later.\n").into_response(),
    };
    match (response.status(), via) {
        (StatusCode::UNAUTHORIZED, Some(via)) if shows => {
            shared.front.failed(via);
            let culprit = Culprit { key: None, known: None, from: &via.to_string() };
            shared.audit.refused(&shared.core, &culprit, "HTTP", "what the Authorization header shows opens nothing there");
        }
        (StatusCode::FORBIDDEN, Some(via)) if let Some(Outside(name)) = response.extensions().get::<Outside>() => {
            let (from, what) = (via.to_string(), format!("intake {name}"));
            shared.audit.refused(&shared.core, &Culprit { key: None, known: None, from: &from }, &what, "its token is for other systems");
        }
        // Behind a proxy the next request may be somebody else's.
        (_, Some(Via::Tcp(_))) if response.extensions().get::<Opened>().is_some() => slot.iter().for_each(Slot::known),
        _ => {}
    }
    response
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

/// What they hear from outside who show a token that opens what only keys open there.
const OUTSIDE: &str = "from other machines a token opens nothing here but the intakes: prove a key that this server knows (`midwatch keys show` prints yours)";

/// What the request itself shows. An error: a token that opens nothing.
fn shown(request: &Parts<'_>, shared: &Shared) -> Result<Shown, Box<Response>> {
    if request.via == Some(Via::Owner) {
        return Ok(Shown::Owner);
    }
    match bearer(request.headers) {
        None if request.headers.contains_key(AUTHORIZATION) => Err(Box::new(unauthorized("the Authorization header must be `Bearer` and a token"))),
        None => Ok(Shown::Nothing),
        Some(token) => {
            // On loopback nobody else listens to it on its way.
            let outside = request.via.is_some_and(Via::outside);
            let kind = shared.tokens.kind_of(token).filter(|kind| !outside || *kind == TokenKind::Intake);
            kind.map(Shown::Token).ok_or_else(|| {
                let words = if outside { OUTSIDE } else { "this token opens nothing here" };
                let from = sender(request.via, request.headers);
                shared.refusals.say(shared.clock.now(), &from, request.route, StatusCode::UNAUTHORIZED, words);
                Box::new(unauthorized(words))
            })
        }
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

async fn upgrade(State(shared): State<Arc<Shared>>, mut request: Request) -> Response {
    let via = request.extensions().get::<Via>().copied();
    let shown = match shown(&Parts { headers: request.headers(), via, route: PATH }, &shared) {
        Ok(shown) => shown,
        Err(response) => return *response,
    };
    if let Some(Via::Relayed(_)) = via {
        let words = "This came through a proxy that this server does not know: its operator names it in `[proxy] trusted`, if it is to be trusted fully.\n";
        return (StatusCode::FORBIDDEN, words).into_response();
    }
    let upgrading = match upgrading(&mut request) {
        Ok(upgrading) => upgrading,
        Err(response) => return *response,
    };
    let headers = request.headers();
    let offered = headers.get_all(SEC_WEBSOCKET_PROTOCOL).iter().filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).map(str::trim);
    let offers: Vec<&str> = offered.collect();
    let keys = shared.gate.signer().is_some() && offers.contains(&SUBPROTOCOL_KEYS);
    if !offers.is_empty() && !keys && !offers.contains(&SUBPROTOCOL) {
        let words = format!("this server speaks {SUBPROTOCOL}; the client offers something else\n");
        return (StatusCode::BAD_REQUEST, words).into_response();
    }
    // Direct ones are counted since they came; behind a proxy it is seen now whose they are.
    let stranger = match via {
        Some(Via::Proxied { from, .. }) => match shared.front.addresses.enter(from) {
            Ok(stranger) => Some(stranger),
            Err(why) => {
                count(&shared.metrics.strangers_turned_away);
                return why.into_response();
            }
        },
        Some(Via::Tcp(_) | Via::Relayed(_) | Via::Owner) | None => None,
    };
    let arrival = Arrival {
        shown,
        keys,
        via,
        binding: request.extensions().get::<Binding>().copied().unwrap_or(Binding::None),
        from: sender(via, headers),
        slot: request.extensions().get::<Slot>().cloned(),
        stranger,
    };
    let chosen = if keys { SUBPROTOCOL_KEYS } else { SUBPROTOCOL };
    let answer = upgrading.answer((!offers.is_empty()).then_some(chosen));
    tokio::spawn(async move {
        if let Some(socket) = upgrading.socket(shared.front.tls.is_some()).await {
            // Held for as long as the connection is: what is over of it is not.
            Box::pin(session::run(socket, arrival, shared)).await;
        }
    });
    answer
}

async fn metrics(State(shared): State<Arc<Shared>>, headers: HeaderMap, via: Option<axum::Extension<Via>>) -> Response {
    match shown(&Parts { headers: &headers, via: via.map(|via| via.0), route: "/metrics" }, &shared) {
        Ok(Shown::Owner | Shown::Token(_)) => {
            let text = shared.metrics.render(shared.own.log.head(), &shared.own.log.health()) + &(shared.more_metrics)();
            (Extension(Opened), [(CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
        }
        Ok(Shown::Key(_) | Shown::Granted(..) | Shown::Handed(_) | Shown::Nothing) => {
            unauthorized("metrics need a token: any of those in the server's data folder")
        }
        Err(response) => *response,
    }
}

/// Ready: what comes in can be kept.
async fn ready(State(shared): State<Arc<Shared>>) -> Response {
    let health = shared.own.log.health();
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
