//! Ways to a server: TCP, TLS, a Unix socket, or whatever a test hands in.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

use super::address::{Address, is_loopback};
use super::conversation::LinkError;
use super::tls::{TlsDial, TlsTrust};
use crate::trust::handshake::Binding;
use crate::trust::{Proving, PublicKey};

/// A connection's two directions.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Io for T {}

/// A connection that was made.
pub struct Line {
    pub io: Box<dyn Io>,
    /// What the handshake above is bound to.
    pub binding: Binding,
    /// The key that the other end has shown beneath, where it showed a certificate of its own: it must
    /// prove the same one.
    pub key: Option<PublicKey>,
}

impl From<Box<dyn Io>> for Line {
    fn from(io: Box<dyn Io>) -> Line {
        Line { io, binding: Binding::None, key: None }
    }
}

/// A connection in the making.
pub type Dialling<'a> = Pin<Box<dyn Future<Output = Result<Line, LinkError>> + Send + 'a>>;

/// Makes connections to one server.
pub trait Dial: Send + Sync + 'static {
    fn dial(&self) -> Dialling<'_>;

    /// What the HTTP request calls the server (`Host`).
    fn host(&self) -> &str;

    /// Whether the line is long enough for compression to pay.
    fn distant(&self) -> bool;
}

#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{to}: {why}")]
pub struct DialError {
    pub to: String,
    pub why: String,
}

/// The way to an address. `proving`: by what file the server's key is known there.
pub fn way(address: &Address, proving: Option<&Proving>, trust: &TlsTrust) -> Arc<dyn Dial> {
    match address {
        Address::Tcp(address) => Arc::new(TcpDial { address: address.clone() }),
        Address::Tls(address) => Arc::new(TlsDial::new(address, proving, trust)),
        Address::Unix(path) => Arc::new(UnixDial { path: path.clone() }),
    }
}

/// A server on a TCP port: `host:port`.
#[derive(Clone, Debug)]
pub struct TcpDial {
    pub address: String,
}

pub(super) async fn tcp(address: &str) -> Result<TcpStream, DialError> {
    let failed = |error: std::io::Error| DialError { to: address.to_owned(), why: words(&error) };
    let stream = TcpStream::connect(address).await.map_err(failed)?;
    // Small messages must not wait for their acknowledgements.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

impl Dial for TcpDial {
    fn dial(&self) -> Dialling<'_> {
        Box::pin(async move { Ok(Line::from(Box::new(tcp(&self.address).await?) as Box<dyn Io>)) })
    }

    fn host(&self) -> &str {
        &self.address
    }

    fn distant(&self) -> bool {
        !is_loopback(&self.address)
    }
}

/// A server on a Unix socket of this machine.
#[derive(Clone, Debug)]
pub struct UnixDial {
    pub path: PathBuf,
}

impl Dial for UnixDial {
    fn dial(&self) -> Dialling<'_> {
        Box::pin(async move {
            let failed = |error: std::io::Error| DialError { to: self.path.display().to_string(), why: words(&error) };
            let stream = UnixStream::connect(&self.path).await.map_err(failed)?;
            Ok(Line::from(Box::new(stream) as Box<dyn Io>))
        })
    }

    fn host(&self) -> &str {
        "localhost"
    }

    fn distant(&self) -> bool {
        false
    }
}

/// What people say of an error of the operating system.
fn words(error: &std::io::Error) -> String {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::ConnectionRefused => "nobody listens there".into(),
        ErrorKind::NotFound => "there is no such socket".into(),
        ErrorKind::PermissionDenied => "not permitted; the socket belongs to somebody else".into(),
        ErrorKind::TimedOut => "no answer".into(),
        _ => error.to_string(),
    }
}
