//! Where a server listens: a TCP port, a Unix socket of its owner, or, in simulations,
//! whatever hands it connections.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use tokio::net::{TcpListener, UnixListener};
use tokio::sync::mpsc;

use super::app::ServerError;
pub use super::line::Via;
use crate::link::Io;
use crate::store::whole;

/// `127.0.0.1:7373`, `localhost:7373`, `[::1]:7373` or `unix:/path`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Listen {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl Listen {
    /// Whether it is reached from other machines.
    pub fn outside(&self) -> bool {
        matches!(self, Listen::Tcp(address) if !address.ip().to_canonical().is_loopback())
    }

    /// Why a server does not listen there without TLS, and what to do.
    pub fn unencrypted(&self) -> Option<(String, &'static str)> {
        self.outside().then(|| {
            (
                format!("`{self}`: without TLS midwatch listens on loopback alone (127.0.0.1 or ::1), because others could read and change what passes"),
                "Add the table [tls] to the configuration, and the server makes a certificate of its own; or use a tunnel (ssh -L 7373:127.0.0.1:7373 host)",
            )
        })
    }
}

impl Default for Listen {
    fn default() -> Listen {
        Listen::Tcp(SocketAddr::from(([127, 0, 0, 1], 7373)))
    }
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Listen, String> {
        if let Some(path) = text.strip_prefix("unix:").or(text.starts_with('/').then_some(text)) {
            return if path.starts_with('/') { Ok(Listen::Unix(path.into())) } else { Err(format!("`{text}`: a socket's path begins with `/`")) };
        }
        let numeric = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
        let address: SocketAddr = numeric
            .as_deref()
            .unwrap_or(text)
            .parse()
            .map_err(|_| format!("`{text}` is no address to listen on; write it like 127.0.0.1:7373 or unix:/run/midwatch/server.sock"))?;
        Ok(Listen::Tcp(address))
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Listen::Tcp(address) => address.fmt(f),
            Listen::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl<'de> serde::Deserialize<'de> for Listen {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Listen, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Takes connections.
pub enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener, PathBuf),
    /// Connections that a simulation hands in.
    Given(mpsc::Receiver<(Box<dyn Io>, Via)>),
}

impl Listener {
    pub async fn bind(listen: &Listen) -> Result<Listener, ServerError> {
        match listen {
            Listen::Tcp(address) => TcpListener::bind(address).await.map(Listener::Tcp).map_err(|error| refused(listen, &error)),
            Listen::Unix(path) => bind_unix(path).await.map(|listener| Listener::Unix(listener, path.clone())),
        }
    }

    pub fn address(&self) -> Option<Listen> {
        match self {
            Listener::Tcp(listener) => listener.local_addr().ok().map(Listen::Tcp),
            Listener::Unix(_, path) => Some(Listen::Unix(path.clone())),
            Listener::Given(_) => None,
        }
    }

    /// The next connection. `None`: there will be no more.
    pub(super) async fn accept(&mut self) -> Option<io::Result<(Box<dyn Io>, Via)>> {
        match self {
            Listener::Tcp(listener) => Some(listener.accept().await.map(|(stream, peer)| {
                let _ = stream.set_nodelay(true);
                (Box::new(stream) as Box<dyn Io>, Via::Tcp(peer))
            })),
            Listener::Unix(listener, _) => loop {
                match listener.accept().await {
                    Err(error) => return Some(Err(error)),
                    Ok((stream, _)) => {
                        // The mode of the socket keeps others out; this also when somebody changed it.
                        let own = rustix::process::geteuid().as_raw();
                        if stream.peer_cred().is_ok_and(|peer| peer.uid() == own || peer.uid() == 0) {
                            return Some(Ok((Box::new(stream), Via::Owner)));
                        }
                        tracing::warn!("another user's connection to the socket was refused");
                    }
                }
            },
            Listener::Given(connections) => connections.recv().await.map(Ok),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Listener::Unix(_, path) = self {
            let _ = std::fs::remove_file(path);
        }
    }
}

fn refused(listen: &Listen, error: &io::Error) -> ServerError {
    let (why, hint) = match error.kind() {
        io::ErrorKind::AddrInUse => {
            ("something listens there already".to_owned(), "Another midwatch server, perhaps? Stop it, or choose another port with `listen`")
        }
        io::ErrorKind::PermissionDenied => ("not permitted".to_owned(), "Ports below 1024 are for root; choose another with `listen`"),
        _ => (error.to_string(), "Choose another address with `listen`"),
    };
    ServerError::Listen { on: listen.to_string(), why, hint: hint.into() }
}

async fn bind_unix(path: &Path) -> Result<UnixListener, ServerError> {
    let listen = Listen::Unix(path.to_owned());
    let failed = |error: io::Error| refused(&listen, &error);
    if let Some(folder) = path.parent().filter(|folder| !folder.exists()) {
        whole::make_private(folder).map_err(failed)?;
    }
    if let Ok(metadata) = std::fs::symlink_metadata(path) {
        if !metadata.file_type().is_socket() {
            let hint = "Choose another path with `listen`";
            return Err(ServerError::Listen { on: listen.to_string(), why: "there is a file that is no socket".into(), hint: hint.into() });
        }
        // Left by a server that was killed, unless somebody answers.
        if tokio::net::UnixStream::connect(path).await.is_ok() {
            return Err(refused(&listen, &io::ErrorKind::AddrInUse.into()));
        }
        std::fs::remove_file(path).map_err(failed)?;
    }
    let listener = UnixListener::bind(path).map_err(failed)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(failed)?;
    Ok(listener)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_addresses_than_loopback_are_refused_without_tls_and_with_a_reason() {
        for fine in ["127.0.0.1:7373", "localhost:0", "[::1]:7373", "unix:/run/x.sock", "/run/x.sock"] {
            assert_eq!(fine.parse::<Listen>().unwrap().unencrypted(), None, "{fine}");
        }
        for bad in ["0.0.0.0:7373", "192.168.1.5:7373", "[::]:7373"] {
            let (why, hint) = bad.parse::<Listen>().unwrap().unencrypted().unwrap();
            assert!(why.contains("loopback") && hint.contains("ssh -L") && hint.contains("[tls]"), "{why}. {hint}");
        }
        assert!("7373".parse::<Listen>().is_err());
    }
}
