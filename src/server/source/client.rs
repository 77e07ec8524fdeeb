//! One source's HTTP: its certificates, its authentication, its bounds.
//!
//! Redirects are not followed: a source that sends us elsewhere is configured wrongly, or hostile, and
//! credentials would go along. Answers are read up to a size, after decompression.

use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use reqwest::{Certificate, RequestBuilder, Url, header, redirect};

use super::config::{Secret, SourceConfig};
use super::trouble;
use crate::model::time::Time;

/// Bytes of one answer that are read: some 100,000 alerts.
const LARGEST: usize = 128 << 20;
/// Bytes of a file that holds a secret or certificates.
const LARGEST_FILE: u64 = 1 << 20;

/// Asks one source.
pub(super) struct Client {
    http: reqwest::Client,
    base: Url,
    auth: Auth,
    /// The certificates that are trusted instead of the system's.
    ca: Option<PathBuf>,
    largest: usize,
}

enum Auth {
    None,
    Basic { username: String, password: Word },
    Bearer(Word),
}

/// A secret, given or in a file that is read for each request, since they are renewed.
enum Word {
    Given(Secret),
    File(PathBuf),
}

/// An answer, and the source's clock as it was sent.
pub(super) struct Answer {
    pub body: Bytes,
    pub date: Option<Time>,
}

/// Why a source did not answer, and of what kind that is.
#[derive(Debug)]
pub(super) struct Refused {
    pub error: PollError,
    pub status: Option<u16>,
    /// Less might be answered: it was too large, took too long, or the source said that it is too much.
    pub too_much: bool,
}

/// Why a source could not be asked, in words for people: what went wrong and what to look at.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PollError(pub String);

impl Client {
    pub fn new(config: &SourceConfig) -> Result<Client, PollError> {
        let base = config.check().map_err(|error| PollError(error.to_string()))?;
        // The program installs it first thing; libraries and tests that did not get it here.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .redirect(redirect::Policy::none())
            .timeout(config.timeout.duration())
            .connect_timeout(config.timeout.duration())
            .user_agent(concat!("midwatch/", env!("CARGO_PKG_VERSION")))
            .pool_max_idle_per_host(1);
        if matches!(base.host_str(), Some("localhost" | "127.0.0.1" | "[::1]")) {
            builder = builder.no_proxy();
        }
        if let Some(path) = &config.ca {
            let hint = |why: String| PollError(format!("ca = {}: {why}; it must hold certificates as PEM", path.display()));
            let pem = small_file(path).map_err(|error| hint(error.to_string()))?;
            let certificates = Certificate::from_pem_bundle(&pem).map_err(|error| hint(trouble::innermost(&error)))?;
            if certificates.is_empty() {
                return Err(hint("it holds none".to_owned()));
            }
            builder = builder.tls_certs_only(certificates);
        }
        let word = |given: &Option<Secret>, file: &Option<PathBuf>| given.clone().map(Word::Given).or_else(|| file.clone().map(Word::File));
        let auth = match (&config.username, word(&config.password, &config.password_file), word(&config.token, &config.token_file)) {
            (Some(username), Some(password), _) => Auth::Basic { username: username.clone(), password },
            (_, _, Some(token)) => Auth::Bearer(token),
            (_, _, None) => Auth::None,
        };
        let http = builder.build().map_err(|error| PollError(format!("TLS cannot be set up: {}", trouble::innermost(&error))))?;
        Ok(Client { http, base, auth, ca: config.ca.clone(), largest: LARGEST })
    }

    /// An address of the source's own pages, for links.
    pub fn address(&self, path: &str) -> String {
        format!("{}{path}", self.base.as_str().trim_end_matches('/'))
    }

    /// `GET`s a path beneath the source's address.
    pub async fn get(&self, path: &str) -> Result<Answer, PollError> {
        self.get_at_most(path, self.largest).await.map_err(|refused| refused.error)
    }

    /// The same, reading so many bytes at most; a refusal says of what kind it is.
    pub async fn get_at_most(&self, path: &str, largest: usize) -> Result<Answer, Refused> {
        let failed = |error: reqwest::Error| Refused {
            error: PollError(format!("GET {}: {}", self.address(path), trouble::of_request(&error, &self.base, self.ca.as_deref()))),
            status: None,
            too_much: error.is_timeout(),
        };
        let request = self.authorized(self.http.get(self.address(path))).await.map_err(|error| Refused { error, status: None, too_much: false })?;
        let mut response = request.send().await.map_err(failed)?;
        let status = response.status();
        if !status.is_success() {
            let error =
                PollError(format!("GET {} answers {}{}", self.address(path), status.as_u16(), trouble::of_status(status, response.headers(), &self.base)));
            return Err(Refused { error, status: Some(status.as_u16()), too_much: matches!(status.as_u16(), 413 | 422 | 503 | 504) });
        }
        let date =
            response.headers().get(header::DATE).and_then(|date| jiff::fmt::rfc2822::parse(date.to_str().ok()?).ok()).map(|date| Time::from(date.timestamp()));
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(failed)? {
            if body.len().saturating_add(chunk.len()) > largest {
                let error = PollError(format!("GET {} answers with more than {largest} bytes, which is what is read", self.address(path)));
                return Err(Refused { error, status: None, too_much: true });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { body: body.freeze(), date })
    }

    async fn authorized(&self, request: RequestBuilder) -> Result<RequestBuilder, PollError> {
        Ok(match &self.auth {
            Auth::None => request,
            Auth::Basic { username, password } => request.basic_auth(username, Some(password.read().await?.expose())),
            Auth::Bearer(token) => request.bearer_auth(token.read().await?.expose()),
        })
    }

    #[cfg(test)]
    pub fn reading_at_most(mut self, largest: usize) -> Client {
        self.largest = largest;
        self
    }
}

impl Word {
    async fn read(&self) -> Result<Secret, PollError> {
        match self {
            Word::Given(secret) => Ok(secret.clone()),
            Word::File(path) => {
                let path = path.clone();
                let said = path.display().to_string();
                let failed = |why: String| PollError(format!("{said}: {why}; it must hold the password or token, readable by this server"));
                let bytes = tokio::task::spawn_blocking(move || small_file(&path)).await.map_err(|error| failed(error.to_string()))?;
                let text = String::from_utf8(bytes.map_err(|error| failed(error.to_string()))?).map_err(|_| failed("it is not text".to_owned()))?;
                match text.trim() {
                    "" => Err(failed("it is empty".to_owned())),
                    text => Ok(Secret::new(text)),
                }
            }
        }
    }
}

fn small_file(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read;
    let mut out = Vec::new();
    std::fs::File::open(path)?.take(LARGEST_FILE).read_to_end(&mut out)?;
    Ok(out)
}
