//! TLS between consoles, senders and a server, and somebody who stands between them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use midwatch::agent::remote::RemoteUplink;
use midwatch::agent::uplink::Uplink;
use midwatch::client::{Address, TlsTrust, Update};
use midwatch::link::{Io, SystemClock, way};
use midwatch::model::event::Actor;
use midwatch::server::line::{Certificates, Tls};
use midwatch::server::{Parts, Running};
use midwatch::trust::ServerKey;
use midwatch::trust::handshake::{self, Binding};
use midwatch::trust::tls::{self, OwnCertificate, Verifier};
use midwatch::wire::{EventBytes, Raw, ToClient, ToServer};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::keys::{SERVER, Yard, actor, key, machine, person, turned_away};
use crate::scene::{self, CONSOLE, INTAKE, port};

/// TLS by a server's own key.
pub fn own(seed: u8) -> Tls {
    let certificate = OwnCertificate::new(&ServerKey::from_seed([seed; 32]), &["localhost".into(), "127.0.0.1".into()]).unwrap();
    Tls::new(Arc::new(Certificates::own(&certificate))).unwrap()
}

/// A server with TLS that knows Robin Lee.
async fn serve(yard: &Yard, tls: Tls, bend: impl FnOnce(&mut Parts)) -> Running {
    yard.authorize(&[person(1, "Robin Lee")]);
    scene::serve(Arc::new(scene::memory()), |parts| {
        parts.gate = midwatch::server::gate::Gate::new(key(SERVER), yard.authorized(), false);
        parts.front.tls = Some(tls);
        bend(parts);
    })
    .await
}

fn robin() -> Actor {
    Actor::User("Robin Lee".into())
}

/// Somebody who vouches for others.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: PathBuf,
}

impl Authority {
    fn new(folder: &Path, name: &str) -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let pem = folder.join(format!("{name}.pem"));
        std::fs::write(&pem, params.self_signed(&key).unwrap().pem()).unwrap();
        Authority { issuer: Issuer::new(params, key), pem }
    }

    /// Writes a certificate for a name, and its key.
    fn vouches_for(&self, folder: &Path, name: &str) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().signed_by(&key, &self.issuer).unwrap();
        let paths = (folder.join("chain.pem"), folder.join("key.pem"));
        std::fs::write(&paths.0, certificate.pem()).unwrap();
        std::fs::write(&paths.1, key.serialize_pem()).unwrap();
        std::fs::set_permissions(&paths.1, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        paths
    }

    fn tls(&self, folder: &Path, name: &str) -> Tls {
        let (certificate, key) = self.vouches_for(folder, name);
        Tls::new(Arc::new(Certificates::read(certificate, key).unwrap())).unwrap()
    }
}

fn trusting(authority: &Authority) -> TlsTrust {
    TlsTrust { ca: Some(authority.pem.clone()), proxy: false }
}

/// The same port by the name of this machine.
fn localhost(address: &str) -> Address {
    Address::Tls(address.replace("127.0.0.1", "localhost"))
}

#[tokio::test]
async fn a_server_with_a_certificate_of_its_own_is_met_once_and_known_by_its_key() {
    let yard = Yard::new();
    let server = serve(&yard, own(SERVER), |_| {}).await;
    for _ in 0..2 {
        let mut console = yard.console_to(Address::Tls(port(&server)), TlsTrust::default(), 1, None);
        assert_eq!(actor(&mut console).await, robin());
        assert_eq!(yard.known().find("shop").unwrap().unwrap().key, key(SERVER).public());
    }
    // Where an authority is named, a key that nobody knows yet is not enough.
    yard.known().forget("shop").unwrap();
    let authority = Authority::new(yard.0.path(), "somebody");
    let why = turned_away(&mut yard.console_to(Address::Tls(port(&server)), trusting(&authority), 1, None)).await;
    assert!(why.contains("no authority in") && why.contains("somebody.pem"), "{why}");
}

#[tokio::test]
async fn who_finds_no_room_is_told_so_over_tls_too() {
    let yard = Yard::new();
    let server = serve(&yard, own(SERVER), |parts| parts.connections = 0).await;
    let why = turned_away(&mut yard.console_to(Address::Tls(port(&server)), TlsTrust::default(), 1, None)).await;
    assert!(why.contains("Too many open connections"), "{why}");
}

#[tokio::test]
async fn a_certificate_of_another_key_than_the_known_one_is_refused_with_help() {
    let yard = Yard::new();
    yard.known().remember("shop", &key(8).public()).unwrap();
    let server = serve(&yard, own(SERVER), |_| {}).await;
    let why = turned_away(&mut yard.console_to(Address::Tls(port(&server)), TlsTrust::default(), 1, Some(CONSOLE))).await;
    for words in
        ["THE KEY OF shop HAS CHANGED", "known_servers:1", "midwatch keys forget shop", &key(8).public().fingerprint(), &key(SERVER).public().fingerprint()]
    {
        assert!(why.contains(words), "{words}: {why}");
    }
}

#[tokio::test]
async fn a_certificate_and_a_proof_of_two_keys_are_refused() {
    let yard = Yard::new();
    let server = serve(&yard, own(7), |_| {}).await;
    let why = turned_away(&mut yard.console_to(Address::Tls(port(&server)), TlsTrust::default(), 1, None)).await;
    assert!(why.contains(&key(7).public().fingerprint()) && why.contains(&key(SERVER).public().fingerprint()) && why.contains("proxy = true"), "{why}");
    assert_eq!(yard.known().find("shop").unwrap(), None, "neither of them is remembered");
}

#[tokio::test]
async fn a_server_for_which_an_authority_vouches_still_proves_its_key() {
    let yard = Yard::new();
    let authority = Authority::new(yard.0.path(), "ours");
    let server = serve(&yard, authority.tls(yard.0.path(), "localhost"), |_| {}).await;
    let address = port(&server);
    let mut console = yard.console_to(localhost(&address), trusting(&authority), 1, None);
    assert_eq!(actor(&mut console).await, robin());
    assert_eq!(yard.known().find("shop").unwrap().unwrap().key, key(SERVER).public());
    for (to, trust, words) in [
        (localhost(&address), TlsTrust::default(), "no authority that this machine trusts vouches"),
        (Address::Tls(address.clone()), trusting(&authority), "not for 127.0.0.1, but for localhost"),
        (localhost(&address), TlsTrust { ca: Some("/nowhere/ca.pem".into()), proxy: false }, "ca = /nowhere/ca.pem: No such file"),
    ] {
        let why = turned_away(&mut yard.console_to(to, trust, 1, None)).await;
        assert!(why.contains(words), "{words}: {why}");
    }
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_to_the_next_and_disturbs_nobody() {
    let yard = Yard::new();
    let (old, new) = (Authority::new(yard.0.path(), "old"), Authority::new(yard.0.path(), "new"));
    let folder = tempfile::tempdir().unwrap();
    let server = serve(&yard, old.tls(folder.path(), "localhost"), |_| {}).await;
    let to = localhost(&port(&server));
    let mut first = yard.console_to(to.clone(), trusting(&old), 1, None);
    assert_eq!(actor(&mut first).await, robin());
    std::fs::write(folder.path().join("chain.pem"), "half of it").unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(actor(&mut yard.console_to(to.clone(), trusting(&old), 1, None)).await, robin(), "the last good one is shown");
    new.vouches_for(folder.path(), "localhost");
    tokio::time::timeout(Duration::from_secs(30), async {
        loop {
            let mut console = yard.console_to(to.clone(), trusting(&new), 1, None);
            let connected = loop {
                match console.next().await {
                    Update::Connected(_) => break true,
                    Update::Disconnected { .. } => break false,
                    _ => {}
                }
            };
            if connected {
                return;
            }
        }
    })
    .await
    .expect("the new certificate is shown");
    assert_eq!((actor(&mut first).await, first.disconnects), (robin(), 0));
}

#[tokio::test]
async fn an_agent_tells_over_tls_by_its_key() {
    let yard = Yard::new();
    let server = serve(&yard, own(SERVER), |_| {}).await;
    yard.authorize(&[format!("agent=\"web-1\" {}", key(3).public().line())]);
    let proving = yard.proving(3);
    let dial = way(&Address::Tls(port(&server)), Some(&proving), &TlsTrust::default());
    let uplink = RemoteUplink::new(dial, Arc::new(SystemClock), "web-1".into(), None).proving(proving);
    uplink.hello(&machine("web-1")).await.unwrap();
    uplink.keepalive().await.unwrap();
    assert_eq!(yard.known().find("shop").unwrap().unwrap().key, key(SERVER).public());
}

/// What a raw connection is answered with.
async fn said(address: &str, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(40), stream.read_to_end(&mut answer)).await.expect("the server gives up");
    answer
}

#[tokio::test]
async fn plain_text_to_a_port_of_tls_and_tls_to_a_plain_one_are_answered_in_words() {
    let yard = Yard::new();
    let (secured, plain) = (serve(&yard, own(SERVER), |_| {}).await, scene::serve(Arc::new(scene::memory()), |_| {}).await);
    let answer = String::from_utf8(said(&port(&secured), b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400") && answer.contains("wss://"), "{answer}");
    let why = turned_away(&mut yard.console(&port(&secured), 1, None)).await;
    assert!(why.contains("speaks TLS alone") && why.contains("wss://"), "{why}");
    let why = turned_away(&mut yard.console_to(Address::Tls(port(&plain)), TlsTrust::default(), 1, None)).await;
    assert!(why.contains("does not speak TLS") && why.contains("ws://"), "{why}");
}

#[tokio::test(start_paused = true)]
async fn tls_that_is_slow_is_not_waited_for() {
    let yard = Yard::new();
    let server = serve(&yard, own(SERVER), |_| {}).await;
    // Nothing; the head of a record; half of what is announced.
    for begun in [&[][..], &[22], &[22, 3, 1, 2, 0, 1, 0, 1, 0xfc]] {
        let clock = tokio::time::Instant::now();
        said(&port(&server), begun).await;
        assert!(clock.elapsed() < Duration::from_secs(12), "{begun:?}: {:?}", clock.elapsed());
    }
}

#[tokio::test]
async fn senders_push_over_https_to_the_same_port() {
    let yard = Yard::new();
    let certificate = OwnCertificate::new(&ServerKey::from_seed([SERVER; 32]), &["localhost".into(), "127.0.0.1".into()]).unwrap();
    let server = serve(&yard, own(SERVER), |parts| parts.intakes = vec![midwatch::server::intake::Token::new("", INTAKE)]).await;
    let client =
        |pem: &str| reqwest::Client::builder().no_proxy().tls_certs_only(reqwest::Certificate::from_pem_bundle(pem.as_bytes()).unwrap()).build().unwrap();
    let url = |path: &str| format!("https://{}{path}", port(&server));
    let own = client(&certificate.pem);
    let pushed = own.post(url("/api/v1/events")).bearer_auth(INTAKE).body(r#"{"title":"backup done","system":"shop/db"}"#).send().await.unwrap();
    assert!(pushed.status().is_success(), "{pushed:?}");
    assert_eq!(own.get(url("/healthz")).send().await.unwrap().text().await.unwrap(), "ok\n");
    let metrics = own.get(url("/metrics")).bearer_auth(CONSOLE).send().await.unwrap().text().await.unwrap();
    assert!(metrics.contains("midwatch_tls_handshakes_total 1"), "one connection for all of them: {metrics}");
    let other = OwnCertificate::new(&ServerKey::from_seed([7; 32]), &["127.0.0.1".into()]).unwrap();
    assert!(client(&other.pem).get(url("/healthz")).send().await.is_err());
}

/// How somebody between a console and its server lies about the line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Lie {
    /// Passes everything on as it is.
    None,
    /// Says to each that the other's line is its own.
    Binding,
    /// Says to the server that the console has nothing to bind to.
    NoBinding,
}

/// Ends TLS on both sides, and passes on what is said: to the console it is `shown`, to the server a console.
async fn between(shown: Tls, server: String, lie: Lie, header: Option<&'static str>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let acceptor = acceptor(&shown);
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            let (acceptor, server) = (acceptor.clone(), server.clone());
            tokio::spawn(async move {
                let near = acceptor.accept(near).await.ok()?;
                let here = tls::binding(near.get_ref().1).unwrap();
                let config = Verifier::new(None, true, tls::Roots::System).config().unwrap();
                let far = TcpStream::connect(&server).await.ok()?;
                let far = TlsConnector::from(Arc::new(config)).connect("localhost".try_into().unwrap(), far).await.ok()?;
                let there = tls::binding(far.get_ref().1).unwrap();
                relay(near, far, [here, there], lie, header, &server).await
            });
        }
    });
    address
}

fn acceptor(shown: &Tls) -> TlsAcceptor {
    let mut config = rustls::ServerConfig::builder_with_provider(tls::provider())
        .with_protocol_versions(tls::VERSIONS)
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(shown.certificates().clone());
    config.alpn_protocols = vec![tls::ALPN.to_vec()];
    TlsAcceptor::from(Arc::new(config))
}

async fn relay(near: impl Io, far: impl Io, ends: [Binding; 2], lie: Lie, header: Option<&'static str>, host: &str) -> Option<()> {
    #[allow(clippy::result_large_err, reason = "the library's type")]
    let keys = |_: &tokio_tungstenite::tungstenite::handshake::server::Request, mut response: tokio_tungstenite::tungstenite::handshake::server::Response| {
        response.headers_mut().insert("sec-websocket-protocol", "midwatch.v1+keys".parse().unwrap());
        Ok(response)
    };
    let mut near = tokio_tungstenite::accept_hdr_async(near, keys).await.ok()?;
    let mut request = format!("ws://{host}/api/v1/ws").into_client_request().ok()?;
    request.headers_mut().insert("sec-websocket-protocol", "midwatch.v1+keys".parse().unwrap());
    if let Some(header) = header {
        request.headers_mut().insert("x-forwarded-for", header.parse().unwrap());
    }
    let (mut far, _) = tokio_tungstenite::client_async(request, far).await.ok()?;
    loop {
        tokio::select! {
            said = near.next() => far.send(bent(said?.ok()?, true, ends, lie)).await.ok()?,
            said = far.next() => near.send(bent(said?.ok()?, false, ends, lie)).await.ok()?,
        }
    }
}

/// A message with another binding in its part of the handshake: `ends` are those of his two lines.
fn bent(message: Message, to_server: bool, ends: [Binding; 2], lie: Lie) -> Message {
    let Message::Binary(bytes) = &message else { return message };
    let put = |part: &mut Vec<u8>, at: usize, end: Binding| {
        let value = match (lie, end) {
            (Lie::Binding, Binding::TlsExporter(value)) => [&[1], value.as_slice()].concat(),
            _ => vec![0; 33],
        };
        part[at..at + 33].copy_from_slice(&value);
    };
    let [near, far] = ends;
    if lie == Lie::None {
        return message;
    }
    if to_server
        && let Ok(ToServer::Handshake(Raw(mut part))) = rmp_serde::from_slice(bytes)
        && part.len() == handshake::OPENING
    {
        put(&mut part, 100, far);
        return Message::binary(rmp_serde::to_vec_named(&ToServer::Handshake(Raw(part))).unwrap());
    }
    if !to_server
        && let Ok(ToClient::<EventBytes>::Handshake(Raw(mut part))) = rmp_serde::from_slice(bytes)
        && lie == Lie::Binding
    {
        put(&mut part, 66, near);
        return Message::binary(rmp_serde::to_vec_named(&ToClient::<EventBytes>::Handshake(Raw(part))).unwrap());
    }
    message
}

/// Whichever certificate somebody between shows, and whatever he says of the line: he is not let through.
#[tokio::test]
async fn somebody_who_ends_tls_on_both_sides_is_refused() {
    let yard = Yard::new();
    let server = serve(&yard, own(SERVER), |_| {}).await;
    let authority = Authority::new(yard.0.path(), "captured");
    let folder = tempfile::tempdir().unwrap();
    for lie in [Lie::None, Lie::Binding, Lie::NoBinding] {
        // With a key of his own, at the first meeting; and with a certificate of an authority that was taken in.
        for (shown, trust) in [(own(66), TlsTrust::default()), (authority.tls(folder.path(), "localhost"), trusting(&authority))] {
            let address = between(shown, port(&server), lie, None).await;
            let why = turned_away(&mut yard.console_to(localhost(&address), trust, 1, None)).await;
            let words = if lie == Lie::Binding { "signature" } else { "not on the same line" };
            assert!(why.contains(words), "{lie:?}: {why}");
        }
    }
    assert_eq!(yard.known().find("shop").unwrap(), None);
    // Nor does he with the pin known.
    yard.known().remember("shop", &key(SERVER).public()).unwrap();
    let address = between(own(66), port(&server), Lie::None, None).await;
    let why = turned_away(&mut yard.console_to(localhost(&address), TlsTrust::default(), 1, None)).await;
    assert!(why.contains("THE KEY OF shop HAS CHANGED"), "{why}");
}

/// The same one, named and trusted at both ends: a proxy.
#[tokio::test]
async fn a_proxy_that_both_ends_trust_is_let_through_and_each_must_say_so() {
    let yard = Yard::new();
    let trusted = serve(&yard, own(SERVER), |parts| {
        parts.front.proxies = midwatch::server::line::Proxies::new(vec!["127.0.0.1".parse().unwrap()]);
    })
    .await;
    let untrusting = serve(&yard, own(SERVER), |_| {}).await;
    let authority = Authority::new(yard.0.path(), "proxies");
    let folder = tempfile::tempdir().unwrap();
    let shown = || authority.tls(folder.path(), "localhost");
    let trust = |proxy: bool| TlsTrust { ca: Some(authority.pem.clone()), proxy };
    let address = between(shown(), port(&trusted), Lie::None, Some("192.0.2.1")).await;
    assert_eq!(actor(&mut yard.console_to(localhost(&address), trust(true), 1, None)).await, robin());
    let why = turned_away(&mut yard.console_to(localhost(&address), trust(false), 1, None)).await;
    assert!(why.contains("not on the same line"), "{why}");
    // A token opens nothing there, though the proxy is on loopback.
    let why = turned_away(&mut yard.console_to(localhost(&address), trust(true), 2, Some(CONSOLE))).await;
    assert!(why.contains("requires a key") || why.contains("opens nothing"), "{why}");
    for header in [None, Some("192.0.2.1")] {
        let address = between(shown(), port(&untrusting), Lie::None, header).await;
        let why = turned_away(&mut yard.console_to(localhost(&address), trust(true), 1, None)).await;
        assert!(header.is_some() || why.contains("not on the same line"), "{why}");
    }
}
