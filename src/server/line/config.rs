//! The parts of a server's configuration that are about its line: `[tls]`, `[proxy]`, `[limits]`.

use std::path::PathBuf;

use serde::Deserialize;

use super::proxy::{Network, Proxies};
use crate::model::time::Span;
use crate::server::listen::Listen;
use crate::server::session::Limits;

/// With what the server encrypts: a certificate of its own key, unless files are named.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsConfig {
    /// The chain of certificates (PEM), the server's first; looked at again when it changes.
    pub certificate: Option<PathBuf>,
    /// Its private key (PEM).
    pub key: Option<PathBuf>,
    /// Names and addresses by which the server is reached, for the certificate that it makes itself.
    pub names: Vec<String>,
}

/// Who may stand before the server.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProxyConfig {
    /// Addresses of proxies that end TLS, and are fully trusted.
    pub trusted: Vec<Network>,
}

impl ProxyConfig {
    pub fn proxies(&self) -> Proxies {
        Proxies::new(self.trusted.clone())
    }
}

/// How much anybody may take.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// Connections at once.
    pub connections: usize,
    /// Of these, from one address before it has said who it is.
    pub strangers: u32,
    /// Of these, by one key.
    pub per_key: u32,
    /// Messages a second of one key, over all its connections; more are taken later.
    pub messages: u32,
    /// Failed attempts of one address before it has to wait; one is forgiven each second.
    pub attempts: u32,
    /// How long TLS, and then the handshake with hello, may take.
    pub handshake: Span,
}

impl Default for LimitsConfig {
    fn default() -> LimitsConfig {
        LimitsConfig { connections: 10_000, strangers: 256, per_key: 64, messages: 2_000, attempts: 60, handshake: Span::from_secs(10) }
    }
}

impl TlsConfig {
    /// Those of the certificate that the server makes: what is configured, and what this machine is called.
    pub fn names(&self, listen: &Listen) -> Vec<String> {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let address = match listen {
            Listen::Tcp(address) if !address.ip().is_unspecified() => Some(address.ip().to_string()),
            Listen::Tcp(_) | Listen::Unix(_) => None,
        };
        let mut names = self.names.clone();
        let others = [Some(host), Some("localhost".into()), Some("127.0.0.1".into()), Some("::1".into()), address];
        for name in others.into_iter().flatten().filter(|name| !name.is_empty() && name.is_ascii()) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// What is wrong with it, without looking at the files.
    pub fn mistake(&self) -> Option<(String, &'static str)> {
        if self.certificate.is_some() != self.key.is_some() {
            let why = format!("[tls] has a `{}` alone", if self.key.is_some() { "key" } else { "certificate" });
            return Some((why, "Name both, `certificate` and `key`; without any the server makes a certificate of its own key"));
        }
        if self.certificate.is_some() && !self.names.is_empty() {
            return Some(("[tls] has `names` beside a `certificate`".into(), "The names are in the certificate; take `names` out"));
        }
        None
    }
}

impl LimitsConfig {
    /// What a session is told of it.
    pub fn of_sessions(&self) -> Limits {
        Limits { handshake: self.handshake.duration(), rate: self.messages, ..Limits::default() }
    }

    /// What is wrong with it.
    pub fn mistake(&self) -> Option<(String, &'static str)> {
        let least = [
            ("connections", u64::try_from(self.connections).unwrap_or(u64::MAX)),
            ("strangers", self.strangers.into()),
            ("per_key", self.per_key.into()),
            ("messages", self.messages.into()),
            ("attempts", self.attempts.into()),
        ];
        if let Some((name, number)) = least.into_iter().find(|(_, number)| !(1..=1_000_000).contains(number)) {
            return Some((format!("limits.{name} is {number}"), "It can be 1 to 1000000"));
        }
        if !(Span::from_secs(1)..=Span::from_mins(2)).contains(&self.handshake) {
            return Some((format!("limits.handshake is {}", self.handshake), "It can be 1s to 2m"));
        }
        None
    }
}
