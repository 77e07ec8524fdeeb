//! Ways to a server: TCP, a Unix socket, or whatever a test hands in.

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

/// A connection's two directions.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Io for T {}

/// A connection in the making.
pub type Dialling<'a> = Pin<Box<dyn Future<Output = Result<Box<dyn Io>, DialError>> + Send + 'a>>;

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

/// A server on a TCP port: `host:port`.
#[derive(Clone, Debug)]
pub struct TcpDial {
    pub address: String,
}

impl Dial for TcpDial {
    fn dial(&self) -> Dialling<'_> {
        Box::pin(async move {
            let failed = |error: std::io::Error| DialError { to: self.address.clone(), why: words(&error) };
            let stream = TcpStream::connect(&self.address).await.map_err(failed)?;
            // Small messages must not wait for their acknowledgements.
            let _ = stream.set_nodelay(true);
            Ok(Box::new(stream) as Box<dyn Io>)
        })
    }

    fn host(&self) -> &str {
        &self.address
    }

    fn distant(&self) -> bool {
        let host = self.address.rsplit_once(':').map_or(self.address.as_str(), |(host, _)| host);
        let loopback = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback());
        !(loopback || host == "localhost")
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
            UnixStream::connect(&self.path).await.map(|stream| Box::new(stream) as Box<dyn Io>).map_err(failed)
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
