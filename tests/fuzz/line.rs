//! What comes before anybody is heard: what proxies say of an address, and the first bytes of a line with TLS.

use std::io::{Read, Write};
use std::net::{IpAddr, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use midwatch::server::line::{Proxies, Via};
use midwatch::trust::tls;
use midwatch::trust::tls::Verifier;

use crate::{fuzz, http};

/// Lines `name: value`, as far as they can be headers at all.
fn headers(bytes: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in bytes.split(|byte| *byte == b'\n') {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(&line[..colon]), HeaderValue::from_bytes(line[colon + 1..].trim_ascii())) {
            headers.append(name, value);
        }
    }
    headers
}

#[test]
fn n4_forwarded() {
    let proxies = Proxies::new(vec!["127.0.0.1".parse().unwrap(), "10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()]);
    let (near, stranger) = (Via::Tcp("127.0.0.1:5".parse().unwrap()), Via::Tcp("192.0.2.9:5".parse().unwrap()));
    let client: IpAddr = "198.51.100.7".parse().unwrap();
    let seeds = [
        "x-forwarded-for: 192.0.2.1\nx-forwarded-proto: https",
        "x-forwarded-for: 203.0.113.9, [2001:db8::1]:99, 10.1.1.1\nx-forwarded-for: fd12::1\nx-real-ip: 1.2.3.4",
        "forwarded: for=192.0.2.60;proto=http;by=203.0.113.43\nx-forwarded-host: x",
        "x-forwarded-for: ::ffff:10.0.0.1, nonsense, \t127.0.0.1:80\nx-forwarded-proto: http",
    ];
    fuzz!("forwarded", seeds.map(|text| text.as_bytes().to_vec()).to_vec(), |bytes: &[u8]| {
        let said = headers(bytes);
        // Of somebody whom nobody named nothing is believed, and nobody becomes local by saying something.
        match proxies.seen(stranger, &said) {
            Ok(via) => assert_eq!((via.address(), via.outside()), (stranger.address(), true)),
            Err(why) => panic!("{why}"),
        }
        assert!(proxies.seen(Via::Owner, &said).is_err() || proxies.seen(Via::Owner, &said) == Ok(Via::Owner));
        let seen = proxies.seen(near, &said);
        // Whatever stood there before the proxy added what it saw: that is what counts.
        let mut added = said.clone();
        let list: Vec<&[u8]> = said.get_all("x-forwarded-for").iter().map(HeaderValue::as_bytes).chain([b"198.51.100.7".as_slice()]).collect();
        added.insert("x-forwarded-for", HeaderValue::from_bytes(&list.join(b", ".as_slice())).unwrap());
        match (&seen, proxies.seen(near, &added)) {
            (Ok(_), Ok(via)) => assert_eq!((via.address(), via.outside()), (Some(client), true), "{added:?}"),
            (Err(_), Err(_)) => {}
            (before, after) => panic!("{before:?}, {after:?}"),
        }
        match seen {
            Ok(via) => {
                assert!(via.outside(), "who comes through a proxy is not local");
                let named = via.address().is_some_and(|address| address != near.address().unwrap());
                format!("outside {named} {}", via.address().is_some_and(|address| address.is_ipv6()))
            }
            Err(why) => why.to_owned(),
        }
    });
}

/// What a client says first.
fn hello(name: &'static str) -> Vec<u8> {
    let config = Verifier::new(None, true, tls::Roots::System).config().unwrap();
    let mut client = rustls::ClientConnection::new(Arc::new(config), name.try_into().unwrap()).unwrap();
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).unwrap();
    bytes
}

#[test]
fn n1_first_bytes() {
    let server = http::Served::with_tls();
    let seeds =
        vec![hello("localhost"), hello("127.0.0.1"), b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(), vec![22, 3, 1, 0, 0], vec![21, 3, 3, 0, 2, 1, 0]];
    fuzz!("first-bytes", seeds, |bytes: &[u8]| {
        let mut stream = TcpStream::connect(server.address()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        // It may have had enough before all of it is said.
        let _ = stream.write_all(bytes).and_then(|()| stream.shutdown(std::net::Shutdown::Write));
        let mut answer = Vec::new();
        let mut part = [0; 4_096];
        loop {
            match stream.read(&mut part) {
                Ok(0) => break,
                Ok(read) => answer.extend_from_slice(&part[..read]),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => break,
                Err(error) => panic!("the line is not ended: {error}"),
            }
            assert!(answer.len() < 64 << 10, "it goes on and on");
        }
        match answer.as_slice() {
            [] => "it ends".to_owned(),
            // An alert says why.
            [21, _, _, _, _, level, why, ..] => format!("an alert {level} {}", ["", "a", "b", "c", "d", "e", "f", "g"][usize::from(*why) / 16 % 8]),
            [22, ..] => "a hello".to_owned(),
            plain => {
                assert!(plain.starts_with(b"HTTP/1.1 400"), "{:?}", String::from_utf8_lossy(plain));
                "words".to_owned()
            }
        }
    });
}
