//! Who may push, how much, and from where: decided before a body is read.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use base64::Engine;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::{Core, Intake, Unavailable};
use crate::model::clean::clean_line;
use crate::model::grant::{Pattern, joined};
use crate::model::id::SystemId;
use crate::server::line::{Opened, Via};

/// A token that admits pushes. The token itself is not kept: only what it is compared by.
#[derive(Clone)]
pub struct Token {
    /// The name of the source that bears it; empty: the intake's own name serves.
    pub name: Arc<str>,
    digest: [u8; 32],
    /// Of which systems it speaks, and reads.
    systems: Option<Arc<[Pattern]>>,
}

impl Token {
    pub fn new(name: &str, token: &str) -> Token {
        Token { name: name.into(), digest: digest(token.trim()), systems: None }
    }

    /// For these systems alone.
    #[must_use]
    pub fn limited(self, systems: &[Pattern]) -> Token {
        Token { systems: Some(systems.into()), ..self }
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({:?})", self.name)
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// Who sent a request, by the token that it bore.
#[derive(Clone, Debug, Default)]
pub(super) struct Sender {
    name: Arc<str>,
    /// Of which systems it speaks, and reads; none: of all.
    systems: Option<Arc<[Pattern]>>,
}

/// A request was for more than its token's systems: which token, for whoever writes that down.
#[derive(Clone)]
pub struct Outside(pub Arc<str>);

impl Sender {
    /// The source's name: the token's, or what the intake is called.
    pub fn or<'a>(&'a self, intake: &'a str) -> &'a str {
        if self.name.is_empty() { intake } else { &self.name }
    }

    /// Whether what concerns this system is this sender's affair; what concerns none is not, where its token is for
    /// some.
    pub fn may(&self, system: Option<&SystemId>) -> Result<(), String> {
        let Some(systems) = &self.systems else { return Ok(()) };
        let what = match system {
            Some(system) if systems.iter().any(|pattern| pattern.matches(system.as_str())) => return Ok(()),
            Some(system) => format!("{system} is none of them"),
            None => "this names no system".to_owned(),
        };
        Err(format!("the token `{}` is for {} alone, and {what}", self.name, joined(systems, ", ")))
    }

    pub fn is_limited(&self) -> bool {
        self.systems.is_some()
    }
}

/// Lets a request in, or answers it.
pub(super) async fn admit<C: Core>(State(intake): State<Intake<C>>, mut request: Request, next: Next) -> Response {
    let via = request.extensions().get::<Via>().copied();
    let from = crate::server::http::sender(via, request.headers());
    // The path alone: what follows a `?` may be anything.
    let route = format!("{} {}", request.method(), request.uri().path().chars().take(80).collect::<String>());
    let refused = match check(&intake, request.method(), request.headers()) {
        Ok(sender) => {
            request.extensions_mut().insert(sender.clone());
            let mut response = next.run(request).await;
            response.extensions_mut().insert(Opened);
            if sender.is_limited() && response.status() == StatusCode::FORBIDDEN {
                response.extensions_mut().insert(Outside(sender.name));
            }
            if !response.status().is_client_error() {
                return response;
            }
            response
        }
        Err(refused) => refused.into_response(),
    };
    intake.counts.refused.fetch_add(1, Ordering::Relaxed);
    let why = refused.extensions().get::<Why>().map_or("the answer said why", |why| &why.0);
    intake.counts.refusals.note(intake.core.now(), &from, &route, refused.status(), why);
    refused
}

fn check<C>(intake: &Intake<C>, method: &Method, headers: &HeaderMap) -> Result<Sender, Refused> {
    let sender = known(intake, method, headers)?;
    // Only those who may send are told how much.
    if let Some(length) = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok())
        && length > intake.config.largest
    {
        return Err(too_large(intake.config.largest));
    }
    Ok(sender)
}

fn known<C>(intake: &Intake<C>, method: &Method, headers: &HeaderMap) -> Result<Sender, Refused> {
    // No page in a browser has business here, and one can reach loopback ports of whoever looks at it.
    let site = headers.get("sec-fetch-site").and_then(|site| site.to_str().ok());
    if headers.contains_key(header::ORIGIN) || site.is_some_and(|site| site != "none") {
        return Err(Refused::new(StatusCode::FORBIDDEN, "requests from pages in a browser are refused; send them from a program, without an Origin header"));
    }
    if *method != Method::GET && headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return Err(Refused::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "compressed bodies are not read; send it without Content-Encoding"));
    }
    let shown = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).and_then(shown);
    let Some(shown) = shown else {
        return if intake.config.token_required { Err(unauthorized("this needs an intake's token")) } else { Ok(Sender::default()) };
    };
    let shown = digest(&shown);
    // Every token is compared, and each in constant time, so that answers tell nothing by when they come.
    let mut sender = None;
    for token in &intake.config.tokens {
        if bool::from(token.digest.ct_eq(&shown)) {
            sender = Some(Sender { name: token.name.clone(), systems: token.systems.clone() });
        }
    }
    match sender {
        Some(sender) => Ok(sender),
        None if intake.config.token_required => Err(unauthorized("this token is not one of the intakes'")),
        None => Ok(Sender::default()),
    }
}

/// The token of an `Authorization` header: a bearer's, or the password of basic authentication.
fn shown(value: &str) -> Option<String> {
    let (scheme, rest) = value.split_once(' ')?;
    if scheme.eq_ignore_ascii_case("bearer") {
        return Some(rest.trim().to_owned());
    }
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = base64::engine::general_purpose::STANDARD.decode(rest.trim()).ok()?;
    let pair = String::from_utf8(decoded).ok()?;
    pair.split_once(':').map(|(_, password)| password.to_owned())
}

fn unauthorized(why: &str) -> Refused {
    Refused::new(
        StatusCode::UNAUTHORIZED,
        format!("{why}; send `Authorization: Bearer TOKEN`, in Prometheus: `authorization: {{credentials_file: …}}`, in amtool: --http.config.file"),
    )
}

fn too_large(largest: usize) -> Refused {
    Refused::new(StatusCode::PAYLOAD_TOO_LARGE, format!("the body is larger than {largest} bytes, which is what is read; send it in several requests"))
}

/// The whole body, within its bounds.
pub(super) async fn body<C>(intake: &Intake<C>, body: Body) -> Result<Bytes, Refused> {
    use axum::body::HttpBody;
    // An honest length spares the buffer from growing; a dishonest one is stopped by the limit.
    if body.size_hint().lower() > u64::try_from(intake.config.largest).unwrap_or(u64::MAX) {
        return Err(too_large(intake.config.largest));
    }
    axum::body::to_bytes(body, intake.config.largest).await.map_err(|error| {
        let text = error.to_string();
        if text.contains("length limit") {
            too_large(intake.config.largest)
        } else {
            Refused::new(StatusCode::BAD_REQUEST, format!("the body could not be read: {text}"))
        }
    })
}

/// Why a request was refused, beside the answer: for those who count and log.
#[derive(Clone)]
pub(super) struct Why(pub Arc<str>);

/// A request that is not done, in words; Alertmanager's clients expect them as a JSON text.
#[derive(Debug)]
pub(super) struct Refused {
    pub status: StatusCode,
    pub why: String,
}

impl Refused {
    pub fn new(status: StatusCode, why: impl Into<String>) -> Refused {
        Refused { status, why: why.into() }
    }

    pub fn bad(why: impl Into<String>) -> Refused {
        Refused::new(StatusCode::BAD_REQUEST, why)
    }
}

impl From<Unavailable> for Refused {
    fn from(unavailable: Unavailable) -> Refused {
        Refused::new(StatusCode::SERVICE_UNAVAILABLE, format!("nothing was kept, send it again later: {unavailable}"))
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        // What it repeats of a request is harmless on the terminal that shows the answer.
        let why = clean_line(&self.why).into_owned();
        let mut response = (self.status, Json(&why)).into_response();
        response.extensions_mut().insert(Why(why.into()));
        let headers = response.headers_mut();
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer realm=\"midwatch\""));
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, header::HeaderValue::from_static("5"));
        }
        response
    }
}
