//! How a connection came in, and so from where.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// How a connection came in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Via {
    /// From this address. On loopback anybody on this machine may be there.
    Tcp(SocketAddr),
    /// Through a proxy that is trusted, which says from where.
    Proxied { from: IpAddr, proxy: SocketAddr },
    /// Through a proxy that nobody named: from where, nobody knows.
    Relayed(SocketAddr),
    /// The socket's owner alone.
    Owner,
}

impl Via {
    /// The other end of the connection itself.
    pub fn peer(self) -> Option<IpAddr> {
        match self {
            Via::Tcp(peer) | Via::Proxied { proxy: peer, .. } | Via::Relayed(peer) => Some(peer.ip()),
            Via::Owner => None,
        }
    }

    /// Whom limits count for.
    pub fn address(self) -> Option<IpAddr> {
        match self {
            Via::Tcp(peer) | Via::Relayed(peer) => Some(peer.ip()),
            Via::Proxied { from, .. } => Some(from),
            Via::Owner => None,
        }
    }

    /// Whether it may have begun on another machine: then a token opens nothing.
    pub fn outside(self) -> bool {
        match self {
            Via::Tcp(peer) => !peer.ip().to_canonical().is_loopback(),
            Via::Proxied { .. } | Via::Relayed(_) => true,
            Via::Owner => false,
        }
    }
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Via::Tcp(peer) => peer.fmt(f),
            Via::Proxied { from, proxy } => write!(f, "{from} through {proxy}"),
            Via::Relayed(peer) => write!(f, "{peer}, a proxy that `[proxy] trusted` does not name"),
            Via::Owner => f.write_str("the socket"),
        }
    }
}
