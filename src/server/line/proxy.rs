//! Proxies that end TLS before this server. What they say of a client's address is believed of those that
//! are named, and of nobody else.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use axum::http::HeaderMap;

use super::Via;

/// Addresses: `127.0.0.1`, `10.0.0.0/8`, `fd00::/8`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Network {
    base: IpAddr,
    bits: u8,
}

impl Network {
    pub fn holds(&self, address: IpAddr) -> bool {
        let shared = |own: u128, other: u128, width: u32| {
            let away = width.saturating_sub(u32::from(self.bits));
            away >= width || own >> away == other >> away
        };
        match (self.base, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => shared(u128::from(own.to_bits()), u128::from(other.to_bits()), 32),
            (IpAddr::V6(own), IpAddr::V6(other)) => shared(own.to_bits(), other.to_bits(), 128),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Network, String> {
        let bad = || format!("`{text}` is no address of a proxy; write it like 127.0.0.1 or 10.0.0.0/8");
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let base = address.parse::<IpAddr>().map_err(|_| bad())?.to_canonical();
        let width = if base.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(width), str::parse).map_err(|_| bad())?;
        if bits > width {
            return Err(bad());
        }
        if bits == 0 {
            return Err(format!("`{text}` would trust everybody to say from where they come; name the proxy's own address"));
        }
        Ok(Network { base, bits })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.bits)
    }
}

impl<'de> serde::Deserialize<'de> for Network {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Network, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The proxies that are trusted.
#[derive(Clone, Debug, Default)]
pub struct Proxies(Vec<Network>);

const FORWARDED_FOR: &str = "x-forwarded-for";
const FORWARDED_PROTO: &str = "x-forwarded-proto";
/// By these one sees that a proxy stands between.
const SIGNS: [&str; 5] = [FORWARDED_FOR, FORWARDED_PROTO, "x-forwarded-host", "x-real-ip", "forwarded"];

impl Proxies {
    pub fn new(trusted: Vec<Network>) -> Proxies {
        Proxies(trusted)
    }

    pub fn trusts(&self, peer: IpAddr) -> bool {
        self.0.iter().any(|network| network.holds(peer))
    }

    /// From where a request came. An error: why it is not taken at all.
    pub fn seen(&self, via: Via, headers: &HeaderMap) -> Result<Via, &'static str> {
        let relayed = SIGNS.iter().any(|sign| headers.contains_key(*sign));
        match via {
            Via::Owner if relayed => Err("A proxy belongs before a port and not before the socket: who comes through the socket is its owner."),
            Via::Tcp(peer) if self.trusts(peer.ip()) => {
                if headers
                    .get_all(FORWARDED_PROTO)
                    .iter()
                    .any(|proto| !["https", "wss"].iter().any(|safe| proto.as_bytes().eq_ignore_ascii_case(safe.as_bytes())))
                {
                    return Err("The proxy took this request without TLS (its X-Forwarded-Proto says so): begin with https:// or wss:// there.");
                }
                // One that does not say from where: from itself, as far as anybody knows, and still from outside.
                Ok(Via::Proxied { from: self.client(headers).unwrap_or(peer.ip()), proxy: peer })
            }
            Via::Tcp(peer) if relayed => Ok(Via::Relayed(peer)),
            via => Ok(via),
        }
    }

    /// The last address that a trusted one named and that is no trusted one itself: what stands before it
    /// in the list the client may have written. If all are, the first.
    fn client(&self, headers: &HeaderMap) -> Option<IpAddr> {
        // Part by part: bytes that are no text, which a client may send, hide nothing of what stands behind them.
        let parts: Vec<&[u8]> = headers.get_all(FORWARDED_FOR).iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b',')).collect();
        let mut nearest = None;
        for part in parts.into_iter().rev() {
            // What cannot be read hides whoever stands before it.
            let Some(address) = std::str::from_utf8(part).ok().and_then(|text| address(text.trim())) else { break };
            nearest = Some(address);
            if !self.trusts(address) {
                break;
            }
        }
        nearest
    }
}

/// An address, perhaps with a port.
fn address(text: &str) -> Option<IpAddr> {
    let plain = text.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    plain.or_else(|_| text.parse::<std::net::SocketAddr>().map(|socket| socket.ip())).ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn proxies(list: &[&str]) -> Proxies {
        Proxies::new(list.iter().map(|text| text.parse().unwrap()).collect())
    }

    fn headers(list: &[(&'static str, &str)]) -> HeaderMap {
        list.iter().map(|(name, value)| (axum::http::HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())).collect()
    }

    fn tcp(text: &str) -> Via {
        Via::Tcp(text.parse().unwrap())
    }

    #[test]
    fn a_network_holds_what_begins_as_it_does() {
        for (network, inside, outside) in [
            ("127.0.0.1", "127.0.0.1", "127.0.0.2"),
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.1"),
            ("192.168.4.0/22", "192.168.7.255", "192.168.8.0"),
            ("fd00::/8", "fd12::1", "fe80::1"),
            ("10.0.0.0/8", "::ffff:10.1.1.1", "::ffff:11.1.1.1"),
        ] {
            let network: Network = network.parse().unwrap();
            assert!(network.holds(inside.parse().unwrap()) && !network.holds(outside.parse().unwrap()), "{network}");
        }
        for bad in ["", "10.0.0.0/33", "10.0.0.0/-1", "proxy.example", "0.0.0.0/0", "::/0", "10.0.0/8", "10.0.0.0/8/8"] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
    }

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        let trusted = proxies(&["127.0.0.1", "10.0.0.0/8"]);
        let forged = headers(&[("x-forwarded-for", "127.0.0.1")]);
        assert_eq!(trusted.seen(tcp("192.0.2.1:5"), &forged), Ok(Via::Relayed("192.0.2.1:5".parse().unwrap())));
        assert!(trusted.seen(tcp("192.0.2.1:5"), &forged).unwrap().outside());
        // A proxy that nobody named does not make its clients local.
        let relayed = proxies(&[]).seen(tcp("127.0.0.1:5"), &forged).unwrap();
        assert!(relayed.outside(), "{relayed}");
        assert!(!proxies(&[]).seen(tcp("127.0.0.1:5"), &headers(&[])).unwrap().outside());
        assert!(trusted.seen(Via::Owner, &forged).is_err());
        let silent = trusted.seen(tcp("127.0.0.1:5"), &headers(&[])).unwrap();
        assert!(silent.outside(), "what is not said makes nobody local");
        assert!(trusted.seen(tcp("127.0.0.1:5"), &headers(&[("x-forwarded-for", "192.0.2.1"), ("x-forwarded-proto", "http")])).is_err());
        assert!(trusted.seen(tcp("127.0.0.1:5"), &headers(&[("x-forwarded-for", "192.0.2.1"), ("x-forwarded-proto", "wss")])).is_ok());
    }

    #[test]
    fn the_address_is_the_last_that_no_trusted_one_bears() {
        let trusted = proxies(&["127.0.0.1", "10.0.0.0/8"]);
        for (said, address) in [
            ("192.0.2.1", "192.0.2.1"),
            ("127.0.0.1, 192.0.2.1", "192.0.2.1"),
            ("203.0.113.9, 192.0.2.1, 10.1.1.1", "192.0.2.1"),
            ("nonsense, 192.0.2.1:4711", "192.0.2.1"),
            ("192.0.2.1, nonsense, 10.1.1.1", "10.1.1.1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[2001:db8::1]:99", "2001:db8::1"),
            ("10.2.2.2, 10.1.1.1", "10.2.2.2"),
        ] {
            let via = trusted.seen(tcp("127.0.0.1:5"), &headers(&[("x-forwarded-for", said)])).unwrap();
            assert_eq!(via.address(), Some(address.parse().unwrap()), "{said}");
            assert!(via.outside());
        }
        // Bytes that are no text, as a client may send them, do not hide its address.
        let odd = HeaderValue::from_bytes(b"caf\xe9, 192.0.2.1").unwrap();
        let odd: HeaderMap = [(axum::http::HeaderName::from_static("x-forwarded-for"), odd)].into_iter().collect();
        assert_eq!(trusted.seen(tcp("127.0.0.1:5"), &odd).unwrap().address(), Some("192.0.2.1".parse().unwrap()));
        // Several lines are one list.
        let mut lines = headers(&[("x-forwarded-for", "198.51.100.7")]);
        lines.append("x-forwarded-for", "192.0.2.1".parse().unwrap());
        assert_eq!(trusted.seen(tcp("127.0.0.1:5"), &lines).unwrap().address(), Some("192.0.2.1".parse().unwrap()));
    }

    proptest! {
        /// Whatever a client writes before what the proxy adds changes nothing.
        #[test]
        fn what_a_client_writes_itself_counts_for_nothing(forged in proptest::collection::vec(any::<u8>(), 0..80)) {
            let said = [&forged[..], b", 192.0.2.1"].concat();
            if let Ok(said) = HeaderValue::from_bytes(&said) {
                let said: HeaderMap = [(axum::http::HeaderName::from_static("x-forwarded-for"), said)].into_iter().collect();
                let via = proxies(&["127.0.0.1"]).seen(tcp("127.0.0.1:5"), &said).unwrap();
                prop_assert_eq!(via.address(), Some("192.0.2.1".parse().unwrap()));
            }
        }
    }
}
