//! The way to a server over TLS. Its certificate is of the key by which it is known, or an authority
//! vouches for it; in the handshake above it proves its key on this very connection.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::InvalidMessage;
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;

use super::address::is_loopback;
use super::conversation::LinkError;
use super::dial::{Dial, DialError, Dialling, Io, Line, tcp};
use crate::trust::handshake::Binding;
use crate::trust::tls::{self, Roots, Shown, Verifier};
use crate::trust::{KnownServers, NotProved, Proving};

/// What a person says of a server's TLS.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct TlsTrust {
    /// The authorities that count instead of this machine's: a PEM file.
    pub ca: Option<PathBuf>,
    /// A proxy that is trusted ends TLS: the handshake above is not bound to this connection, and an
    /// authority must vouch for its certificate.
    pub proxy: bool,
}

/// A server on a TCP port with TLS: `host:port`.
#[derive(Clone, Debug)]
pub struct TlsDial {
    address: String,
    /// Where its key is remembered, and by which name.
    known: Option<(KnownServers, Arc<str>)>,
    trust: TlsTrust,
}

impl TlsDial {
    /// Without `proving` an authority must vouch for the server.
    pub fn new(address: &str, proving: Option<&Proving>, trust: &TlsTrust) -> TlsDial {
        let known = proving.map(|proving| (proving.known.clone(), proving.server.clone()));
        TlsDial { address: address.to_owned(), known, trust: trust.clone() }
    }

    async fn connect(&self) -> Result<Line, LinkError> {
        let failed = |why: String| DialError { to: self.address.clone(), why };
        let host = self.address.rsplit_once(':').map_or(self.address.as_str(), |(host, _)| host).trim_matches(['[', ']']);
        let name = ServerName::try_from(host.to_owned()).map_err(|_| failed("this is no name that a certificate could be for".into()))?;
        let known = match &self.known {
            Some((file, name)) => file.find(name).map_err(NotProved::File)?.map(|known| (file, name, known)),
            None => None,
        };
        let roots = self.trust.ca.clone().map_or(Roots::System, Roots::File);
        // Whoever names an authority, or a proxy, means one that is vouched for, unless the key itself is known.
        let own = !self.trust.proxy && self.known.is_some() && (known.is_some() || self.trust.ca.is_none());
        let verifier = Verifier::new(known.map(|(_, _, known)| known.key), own, roots);
        let config = verifier.config().map_err(|error| failed(format!("TLS cannot be set up: {error}")))?;
        let stream = tcp(&self.address).await?;
        let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(|error| failed(self.words(&error, host)))?;
        let shown = verifier.shown();
        if let (Some(Shown::Key(got)), Some((file, name, known))) = (shown, known)
            && got != known.key
        {
            let file = file.path().display().to_string();
            return Err(NotProved::Changed { name: name.clone(), expected: known.key, got, file, line: known.line }.into());
        }
        let binding = if self.trust.proxy {
            Binding::None
        } else {
            tls::binding(stream.get_ref().1).map_err(|error| failed(format!("TLS cannot bind the handshake: {error}")))?
        };
        let key = match shown {
            Some(Shown::Key(key)) => Some(key),
            Some(Shown::Authority) | None => None,
        };
        Ok(Line { io: Box::new(stream) as Box<dyn Io>, binding, key })
    }

    fn words(&self, error: &io::Error, host: &str) -> String {
        let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        match tls {
            Some(rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType)) => {
                "it does not speak TLS there; if it is on this machine, or at the end of a tunnel, the address begins with ws://".to_owned()
            }
            Some(tls) => tls::words::of(tls, host, self.trust.ca.as_deref()),
            None if error.kind() == io::ErrorKind::UnexpectedEof => "it hung up before TLS was there; it may be busy, or speak no TLS 1.3".to_owned(),
            None => error.to_string(),
        }
    }
}

impl Dial for TlsDial {
    fn dial(&self) -> Dialling<'_> {
        Box::pin(self.connect())
    }

    fn host(&self) -> &str {
        &self.address
    }

    fn distant(&self) -> bool {
        !is_loopback(&self.address)
    }
}
