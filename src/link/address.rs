//! Where a server is, as people write it: `wss://ops.example.org`, `ws://127.0.0.1:7373`, `unix:/path`.

use std::fmt;
use std::path::PathBuf;

/// Where a server listens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Address {
    /// `host:port` on loopback: nothing is encrypted.
    Tcp(String),
    /// `host:port`, anywhere.
    Tls(String),
    Unix(PathBuf),
}

/// The port of `https`, which is that of `wss`.
const HTTPS: u16 = 443;

impl Address {
    /// Reads `wss://host:port`, `https://host`, `ws://host:port`, `http://host:port`, `host:port`, `unix:/path` or `/path`.
    pub fn parse(text: &str) -> Result<Address, AddressError> {
        let refuse = |why| AddressError { text: text.chars().take(100).collect(), why };
        if let Some(path) = text.strip_prefix("unix:").or(text.starts_with('/').then_some(text)) {
            return if path.is_empty() { Err(refuse("the path is missing")) } else { Ok(Address::Unix(path.into())) };
        }
        let encrypted = text.strip_prefix("wss://").or_else(|| text.strip_prefix("https://"));
        let rest = encrypted.or_else(|| text.strip_prefix("ws://")).or_else(|| text.strip_prefix("http://")).unwrap_or(text);
        let host = rest.split('/').next().unwrap_or(rest);
        // A user's name, or escapes in the host, could make one address look like another.
        if !host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']')) {
            return Err(refuse("a host has letters, digits, `.`, `-` and `_` alone"));
        }
        let whole = |host: &str| matches!(host.rsplit_once(':'), Some((name, port)) if named(name) && port.parse::<u16>().is_ok_and(|port| port > 0));
        if encrypted.is_some() {
            let with_port = if named(host) { format!("{host}:{HTTPS}") } else { host.to_owned() };
            return if whole(&with_port) { Ok(Address::Tls(with_port)) } else { Err(refuse("expected wss://host or wss://host:port")) };
        }
        if !whole(host) {
            return Err(refuse("expected wss://host:port, or on this machine ws://host:port, host:port or unix:/path"));
        }
        if !is_loopback(host) {
            return Err(refuse(
                "without encryption midwatch speaks to this machine's loopback alone (127.0.0.1, ::1, localhost), because others could read and change \
                 what passes. Write wss:// if the server speaks TLS; else use a tunnel (ssh -L 7373:127.0.0.1:7373 host)",
            ));
        }
        Ok(Address::Tcp(host.into()))
    }

    /// `host:port`; nothing on a Unix socket.
    pub fn host(&self) -> Option<&str> {
        match self {
            Address::Tcp(host) | Address::Tls(host) => Some(host),
            Address::Unix(_) => None,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(host) => write!(f, "ws://{host}"),
            Address::Tls(host) => write!(f, "wss://{host}"),
            Address::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A name or an address without a port: IPv6 stands in brackets.
fn named(host: &str) -> bool {
    match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').is_some_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok()),
        None => !host.is_empty() && !host.contains([':', '[', ']']),
    }
}

/// Whether `host:port` is on this machine, by what it says: a name is looked up by nobody here.
pub fn is_loopback(host: &str) -> bool {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name).trim_matches(['[', ']']);
    name.eq_ignore_ascii_case("localhost") || name.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("`{text}` is no server's address: {why}")]
pub struct AddressError {
    text: String,
    why: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_people_write_them() {
        for (text, expected) in [
            ("ws://127.0.0.1:7373", Address::Tcp("127.0.0.1:7373".into())),
            ("http://localhost:7373/api", Address::Tcp("localhost:7373".into())),
            ("[::1]:7373", Address::Tcp("[::1]:7373".into())),
            ("wss://ops.example.org", Address::Tls("ops.example.org:443".into())),
            ("https://ops.example.org/", Address::Tls("ops.example.org:443".into())),
            ("wss://10.0.0.5:7373", Address::Tls("10.0.0.5:7373".into())),
            ("wss://[2001:db8::5]:7373", Address::Tls("[2001:db8::5]:7373".into())),
            ("wss://[2001:db8::5]", Address::Tls("[2001:db8::5]:443".into())),
            ("unix:/run/midwatch.sock", Address::Unix("/run/midwatch.sock".into())),
            ("/run/midwatch.sock", Address::Unix("/run/midwatch.sock".into())),
        ] {
            assert_eq!(Address::parse(text), Ok(expected), "{text}");
        }
        let bad = [
            "",
            "http://good.example.org@127.0.0.1:1",
            "ws://good%0d:1",
            "host",
            "host:0",
            "host:99999",
            ":80",
            "unix:",
            "wss://",
            "wss://:1",
            "wss://a:b:1",
            "wss://[::1:443",
            "wss://host:0",
            "wss://good.example@evil.example",
        ];
        for bad in bad {
            assert!(Address::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn plain_text_beyond_this_machine_is_refused_with_a_way_out() {
        for text in ["ws://ops.example.org:7373", "http://10.0.0.5:7373", "192.168.1.5:7373", "localhost.example.org:7373", "[2001:db8::5]:7373"] {
            let why = Address::parse(text).unwrap_err().to_string();
            assert!(why.contains("wss://") && why.contains("ssh -L") && why.contains("loopback alone"), "{text}: {why}");
        }
        for text in ["127.0.0.1:1", "127.8.8.8:1", "localhost:1", "LOCALHOST:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert!(Address::parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn an_address_is_printed_as_it_is_read() {
        for text in ["wss://ops.example.org:443", "ws://127.0.0.1:7373", "unix:/run/x.sock"] {
            assert_eq!(Address::parse(text).unwrap().to_string(), text);
        }
    }
}
