//! `[[source]]` in the server's TOML, and `--alertmanager URL`, `--prometheus URL`: what is asked, how.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use reqwest::Url;
use serde::Deserialize;

use crate::model::id::SourceId;
use crate::model::time::Span;

/// One source that is asked. This type is the format.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceConfig {
    pub kind: SourceKind,
    pub url: String,
    /// What screens call it; the address' host and port unless given.
    #[serde(default)]
    pub name: Option<String>,
    /// Between two polls.
    #[serde(default = "default_interval")]
    pub interval: Span,
    /// For one answer.
    #[serde(default = "default_timeout")]
    pub timeout: Span,
    /// How long the source must have been up before what it does not list counts as gone: longer than
    /// Prometheus takes to send everything again.
    #[serde(default = "default_settle")]
    pub settle: Span,
    /// Certificates (PEM) of the authorities that vouch for the source, instead of the system's.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// Basic authentication: a name, and a password here or in a file.
    #[serde(default)]
    pub username: Option<String>,
    #[serde(default)]
    pub password: Option<Secret>,
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// Bearer authentication: a token here or in a file.
    #[serde(default)]
    pub token: Option<Secret>,
    #[serde(default)]
    pub token_file: Option<PathBuf>,
    /// Of a Prometheus: the labels that it adds to what it pushes. Asked from it unless given.
    #[serde(default)]
    pub external_labels: Option<BTreeMap<String, String>>,
    /// Of a Prometheus: how far back its past is filled in on first contact. Zero: not at all.
    #[serde(default = "default_backfill")]
    pub backfill: Span,
}

const fn default_backfill() -> Span {
    crate::model::history::REACH
}

fn default_interval() -> Span {
    Span::from_secs(15)
}

fn default_timeout() -> Span {
    Span::from_secs(10)
}

fn default_settle() -> Span {
    Span::from_mins(5)
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceKind {
    Alertmanager,
    Prometheus,
}

impl fmt::Display for SourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            SourceKind::Alertmanager => "alertmanager",
            SourceKind::Prometheus => "prometheus",
        })
    }
}

/// A password or a token: nothing prints it.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// The secret itself, for the one header that bears it.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

/// Which source is wrong, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("[[source]] {name}: {why}")]
pub struct SourceError {
    pub name: String,
    pub why: String,
}

impl SourceConfig {
    /// As `--alertmanager URL` gives it.
    pub fn new(kind: SourceKind, url: &str) -> SourceConfig {
        SourceConfig {
            kind,
            url: url.to_owned(),
            name: None,
            interval: default_interval(),
            timeout: default_timeout(),
            settle: default_settle(),
            ca: None,
            username: None,
            password: None,
            password_file: None,
            token: None,
            token_file: None,
            external_labels: None,
            backfill: default_backfill(),
        }
    }

    /// The source's name: the given one, else kind, host and port.
    pub fn id(&self) -> SourceId {
        match (&self.name, Url::parse(&self.url)) {
            (Some(name), _) => SourceId::new(name),
            (None, Ok(url)) => {
                let host = url.host_str().unwrap_or("?");
                let path = url.path().trim_end_matches('/');
                SourceId::new(&url.port().map_or_else(|| format!("{host}{path}"), |port| format!("{host}:{port}{path}")))
            }
            (None, Err(_)) => SourceId::new(&self.url),
        }
    }

    /// The address to build requests on, or what is wrong with this source.
    pub fn check(&self) -> Result<Url, SourceError> {
        // The name without the address: that may hold a password by mistake.
        let refuse = |why: &str| SourceError { name: self.name.clone().unwrap_or_else(|| format!("of kind {}", self.kind)), why: why.to_owned() };
        let url = Url::parse(&self.url).map_err(|error| refuse(&format!("its url cannot be read ({error}); write it like http://127.0.0.1:9093")))?;
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(refuse("its url begins with neither http:// nor https://; write it like http://127.0.0.1:9093"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(refuse("its url holds a name or a password; write them as `username` and `password_file`"));
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(refuse("its url holds a `?` or `#`; write only the address at which its own pages begin"));
        }
        if url.path().contains("/api/") {
            return Err(refuse("its url names an API path; leave it out from `/api/` on"));
        }
        if [self.password.is_some(), self.password_file.is_some(), self.token.is_some(), self.token_file.is_some()].iter().filter(|given| **given).count() > 1 {
            return Err(refuse("more than one of `password`, `password_file`, `token`, `token_file` is given; one is used"));
        }
        let password = self.password.is_some() || self.password_file.is_some();
        if self.username.is_some() != password {
            return Err(refuse("basic authentication needs `username` and one of `password`, `password_file`"));
        }
        if self.interval < Span::from_secs(1) || self.interval > Span::from_hours(1) {
            return Err(refuse("its `interval` lies outside 1s to 1h; 15s is gentle"));
        }
        if self.timeout < Span::from_millis(100) || self.timeout > Span::from_mins(5) {
            return Err(refuse("its `timeout` lies outside 100ms to 5m"));
        }
        if self.backfill > default_backfill() {
            return Err(refuse("its `backfill` is longer than the 90 days that history looks back"));
        }
        if self.external_labels.is_some() && self.kind != SourceKind::Prometheus {
            return Err(refuse("`external_labels` belong to a source of kind prometheus"));
        }
        Ok(url)
    }

    /// All sources of a configuration: each right, and no name twice.
    pub fn check_all(sources: &[SourceConfig]) -> Result<(), SourceError> {
        let mut names = BTreeSet::new();
        for source in sources {
            source.check()?;
            if !names.insert(source.id()) {
                return Err(SourceError { name: source.id().to_string(), why: "two sources bear this name; give one of them another `name`".to_owned() });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(toml: &str) -> SourceConfig {
        toml::from_str(toml).unwrap()
    }

    #[test]
    fn a_source_needs_kind_and_url_alone() {
        let source = read("kind = 'alertmanager'\nurl = 'https://am.example.org:9093/prefix/'");
        assert_eq!(source.check().unwrap().as_str(), "https://am.example.org:9093/prefix/");
        assert_eq!((source.id().as_str(), source.interval), ("am.example.org:9093/prefix", Span::from_secs(15)));
        assert_eq!(source, SourceConfig::new(SourceKind::Alertmanager, "https://am.example.org:9093/prefix/"));
    }

    #[test]
    fn what_is_wrong_with_a_source_is_said_without_its_secrets() {
        for (toml, words) in [
            ("url = 'am:9093'", "write it like"),
            ("url = 'ftp://am'", "neither http"),
            ("url = 'http://kim:hunter22@am'", "`username` and `password_file`"),
            ("url = 'http://am/api/v2/alerts'", "from `/api/` on"),
            ("url = 'http://am?x=1'", "`?`"),
            ("url = 'http://am'\ntoken = 'hunter22'\ntoken_file = '/x'", "more than one"),
            ("url = 'http://am'\nusername = 'kim'", "needs `username` and one of"),
            ("url = 'http://am'\npassword = 'hunter22'", "needs `username` and one of"),
            ("url = 'http://am'\ninterval = '1ms'", "15s is gentle"),
            ("url = 'http://am'\nbackfill = '91d'", "90 days"),
            ("url = 'http://am'\nexternal_labels = {a = 'b'}", "kind prometheus"),
        ] {
            let source = read(&format!("kind = 'alertmanager'\n{toml}"));
            let error = source.check().unwrap_err().to_string();
            assert!(error.contains(words) && !error.contains("hunter22"), "{toml}: {error}");
        }
        let source = read("kind = 'prometheus'\nurl = 'http://p'\nusername = 'kim'\npassword = 'hunter22'");
        assert!(!format!("{source:?}").contains("hunter22"));
        assert!(SourceConfig::check_all(&[source.clone(), source]).unwrap_err().why.contains("another `name`"));
    }
}
