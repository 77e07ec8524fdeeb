//! A web address: its status, what its body says, how long it takes, and when its certificate ends.

use std::path::PathBuf;

use regex::Regex;
use reqwest::Client;
use reqwest::redirect::Policy;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::process::compile;
use super::tcp::timed;
use super::threshold::float;
use super::{Context, Outcome, metric};
use crate::agent::text;
use crate::model::severity::Status;
use crate::model::time::{Span, Time};

/// Bytes of a body that are read, after decompression (B2, F6).
const BODY: usize = 1 << 20;
/// Redirects that are followed.
const REDIRECTS: usize = 5;

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Http {
    #[serde(deserialize_with = "url")]
    pub url: String,
    /// The status that is expected. Not set: any from 200 to 399, and redirects are followed.
    #[serde(default, deserialize_with = "status")]
    pub status: Option<u16>,
    /// A pattern that the body must hold.
    #[serde(default, deserialize_with = "pattern")]
    pub body: Option<String>,
    /// When the answer takes longer than this.
    pub warning: Option<Span>,
    pub critical: Option<Span>,
    /// When the certificate ends within this.
    #[serde(default = "three_weeks")]
    pub certificate_warning: Span,
    #[serde(default = "one_week")]
    pub certificate_critical: Span,
    /// A file of certificates (PEM) to trust beside the machine's own.
    pub ca_file: Option<PathBuf>,
    /// With false, whoever answers is believed; the certificate's end still counts.
    #[serde(default = "yes")]
    pub verify: bool,
}

fn three_weeks() -> Span {
    Span::from_days(21)
}

fn one_week() -> Span {
    Span::from_days(7)
}

fn yes() -> bool {
    true
}

fn url<'de, D: serde::Deserializer<'de>>(d: D) -> Result<String, D::Error> {
    let text = String::deserialize(d)?;
    let valid = reqwest::Url::parse(&text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if valid { Ok(text) } else { Err(serde::de::Error::custom(format!("`{text}` is no web address: write it like \"https://example.org/health\""))) }
}

fn status<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Option<u16>, D::Error> {
    let status = u16::deserialize(d)?;
    if (100..600).contains(&status) { Ok(Some(status)) } else { Err(serde::de::Error::custom(format!("{status} is no status of HTTP: 100 to 599"))) }
}

fn pattern<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(d)?;
    compile(&text).map_err(serde::de::Error::custom)?;
    Ok(Some(text))
}

pub async fn run(http: &Http, context: &Context) -> Outcome {
    let client = match client(http) {
        Ok(client) => client,
        Err(why) => return Outcome::unknown(why),
    };
    let begin = Instant::now();
    let mut answer = match client.get(&http.url).send().await {
        Ok(answer) => answer,
        Err(error) => return Outcome::new(Status::Critical, text::title(&format!("{} {}", http.url, why(&error)))),
    };
    let code = answer.status();
    let end = answer.extensions().get::<reqwest::tls::TlsInfo>().and_then(|info| certificate_end(info.peer_certificate()?));
    let mut body = Vec::new();
    let broken = loop {
        match answer.chunk().await {
            Ok(Some(piece)) => {
                body.extend(piece.iter().take(BODY.saturating_sub(body.len())));
                if body.len() >= BODY {
                    break None;
                }
            }
            Ok(None) => break None,
            Err(error) => break Some(why(&error)),
        }
    };
    let took = begin.elapsed();
    let expected = http.status.map_or(code.is_success() || code.is_redirection(), |wanted| code.as_u16() == wanted);
    let mut outcome = timed(took, http.warning, http.critical, format!("{} answers {code}", http.url));
    outcome.metrics.push(metric("size", float(u64::try_from(body.len()).unwrap_or(u64::MAX)), "B"));
    let mut worse = |status: Status, words: String| {
        if status > outcome.status {
            (outcome.status, outcome.text) = (status, words);
        }
    };
    if !expected {
        let wanted = http.status.map_or_else(|| "200 to 399".to_owned(), |wanted| wanted.to_string());
        worse(Status::Critical, format!("{} answers {code}, expected {wanted}", http.url));
    }
    if let Some(why) = broken {
        worse(Status::Critical, format!("{} begins to answer, then breaks off: {why}", http.url));
    }
    match http.body.as_deref().map(compile) {
        Some(Ok(pattern)) if !found(&pattern, &body) => worse(Status::Critical, format!("{} answers {code}, without `{pattern}` in its body", http.url)),
        Some(Err(why)) => worse(Status::Unknown, why),
        Some(Ok(_)) | None => {}
    }
    if let Some(end) = end {
        let now = context.now();
        let left = end.since(now);
        let (date, words) = (end.timestamp().strftime("%Y-%m-%d").to_string(), if left == Span::ZERO { "has ended".into() } else { format!("ends in {left}") });
        let status = super::threshold::status(left < http.certificate_warning, left < http.certificate_critical);
        worse(status, format!("the certificate of {} {words} ({date}): renew it", http.url));
        let mut days = metric("certificate_days", float(left.secs().unsigned_abs()) / 86_400.0, "");
        days.warning = format!("{}:", http.certificate_warning.secs() / 86_400).into();
        days.critical = format!("{}:", http.certificate_critical.secs() / 86_400).into();
        outcome.metrics.push(days);
    }
    outcome.text = text::title(&outcome.text);
    outcome
}

fn found(pattern: &Regex, body: &[u8]) -> bool {
    pattern.is_match(&String::from_utf8_lossy(body))
}

fn client(http: &Http) -> Result<Client, String> {
    // Whoever comes first installs it; that it is there already is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let redirects = if http.status.is_some() { Policy::none() } else { Policy::limited(REDIRECTS) };
    let mut builder = Client::builder()
        .redirect(redirects)
        .tls_info(true)
        // Each look makes its own connection: that is what a visitor has to do.
        .pool_max_idle_per_host(0)
        .no_proxy()
        .user_agent(concat!("midwatch/", env!("CARGO_PKG_VERSION")));
    if let Some(path) = &http.ca_file {
        let shown = path.display();
        let pem = std::fs::read(path).map_err(|error| format!("`ca_file` {shown} cannot be read: {error}"))?;
        let certificates = reqwest::Certificate::from_pem_bundle(&pem).map_err(|error| format!("`ca_file` {shown} holds no certificates (PEM): {error}"))?;
        builder = builder.tls_certs_merge(certificates);
    }
    if !http.verify {
        builder = builder.tls_danger_accept_invalid_certs(true);
    }
    builder.build().map_err(|error| format!("no client for {} can be made: {}", http.url, why(&error)))
}

/// The innermost cause is what people can act on.
fn why(error: &reqwest::Error) -> String {
    let mut inner: &dyn std::error::Error = error;
    while let Some(next) = inner.source() {
        if let Some(io) = next.downcast_ref::<std::io::Error>().filter(|io| io.get_ref().is_none()) {
            return super::tcp::refusal(io);
        }
        inner = next;
    }
    let words = inner.to_string();
    if error.is_redirect() {
        format!("redirects more than {REDIRECTS} times or in a circle")
    } else if words.contains("certificate") {
        format!("has a certificate that cannot be trusted: {words}")
    } else if words.contains("lookup") {
        format!("is no name that resolves here: {words}")
    } else {
        format!("does not answer: {words}")
    }
}

fn certificate_end(der: &[u8]) -> Option<Time> {
    let (_, certificate) = x509_parser::parse_x509_certificate(der).ok()?;
    Some(Time::from_secs(certificate.validity().not_after.timestamp()))
}

#[cfg(test)]
mod tests;
