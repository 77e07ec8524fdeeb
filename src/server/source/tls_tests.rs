//! Sources behind TLS, with an authority of one's own: an Alertmanager made up here, whose certificate
//! changes while it is polled.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::SystemTime;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::link::clock::SeededRandom;
use crate::server::intake::fake::Fake;
use crate::server::mapping::MappingConfig;

const NOW: i64 = 1_795_229_820;
const DAY: Duration = Duration::from_secs(86_400);

/// Somebody who vouches for others.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate.
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

    /// A certificate for a name that ends so many days from now.
    fn vouches_for(&self, name: &str, days: i32) -> Arc<CertifiedKey> {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let now = SystemTime::now();
        params.not_before = (now - DAY * 100).into();
        params.not_after = if days < 0 { now - DAY * days.unsigned_abs() } else { now + DAY * days.unsigned_abs() }.into();
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let key = rustls::crypto::ring::sign::any_supported_type(&PrivateKeyDer::Pkcs8(key.serialize_der().into())).unwrap();
        Arc::new(CertifiedKey::new(vec![certificate.der().clone()], key))
    }
}

/// What it shows now.
#[derive(Clone, Debug)]
struct Shown(Arc<Mutex<Arc<CertifiedKey>>>);

impl Shown {
    fn shows(&self, certificate: Arc<CertifiedKey>) {
        *self.0.lock().unwrap() = certificate;
    }
}

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.lock().unwrap().clone())
    }
}

async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let mut request = Vec::new();
    let mut byte = [0_u8; 1];
    while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).await.is_ok_and(|count| count == 1) {
        request.push(byte[0]);
    }
    let request = String::from_utf8_lossy(&request).into_owned();
    let body = match request.split([' ', '?']).nth(1).unwrap_or_default() {
        "/api/v2/status" => r#"{"uptime":"2020-01-01T00:00:00Z"}"#,
        "/api/v2/alerts" => r#"[{"labels":{"alertname":"Down","job":"db"},"annotations":{},"startsAt":"2026-11-21T02:30:00Z"}]"#,
        _ => "[]",
    };
    let _ = stream.write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len()).as_bytes()).await;
    let _ = stream.shutdown().await;
}

/// An Alertmanager behind TLS; its port.
async fn alertmanager(shown: Shown) -> u16 {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut config = rustls::ServerConfig::builder().with_no_client_auth().with_cert_resolver(Arc::new(shown));
    // Each connection looks at the certificate anew.
    (config.send_tls13_tickets, config.session_storage) = (0, Arc::new(rustls::server::NoServerSessionStorage {}));
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    answer(stream).await;
                }
            });
        }
    });
    port
}

fn config(url: &str, ca: Option<&Authority>) -> SourceConfig {
    let mut config = SourceConfig::new(SourceKind::Alertmanager, url);
    (config.name, config.ca) = (Some("am".to_owned()), ca.map(|ca| ca.pem.clone()));
    config
}

async fn refused(url: &str, ca: Option<&Authority>) -> String {
    Source::new(config(url, ca)).unwrap().ask().await.err().unwrap().to_string()
}

#[tokio::test]
async fn an_authority_of_ones_own_is_trusted_and_nothing_is_resolved_when_its_certificate_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let (ours, theirs) = (Authority::new(folder.path(), "ours"), Authority::new(folder.path(), "theirs"));
    let shown = Shown(Arc::new(Mutex::new(ours.vouches_for("localhost", 90))));
    let url = format!("https://localhost:{}", alertmanager(shown.clone()).await);
    let core = Fake::new(Time::from_secs(NOW));
    let mut source = Source::new(config(&url, Some(&ours))).unwrap();
    source.config.interval = Span::from_millis(20);
    let (states, mut seen) = watch::channel(SourceState::default());
    let mapping = Arc::new(Mapping::new(&MappingConfig::default()).unwrap());
    let task = tokio::spawn(source.run(core.clone(), mapping, Arc::new(SeededRandom::new(1)), states));
    seen.wait_for(|state| state.firing == 1).await.unwrap();
    let ca = ours.pem.display();
    for (certificate, words) in [
        (theirs.vouches_for("localhost", 90), format!("no authority in {ca} vouches for its certificate: put the certificate of the authority that does")),
        (ours.vouches_for("localhost", -2), "its certificate ended on ".to_owned()),
        (ours.vouches_for("other.example", 90), "its certificate is not for localhost, but for other.example: write in `url` a name".to_owned()),
    ] {
        shown.shows(certificate);
        // Where, what, and what to do; and what it said last stays as it was.
        let wrong = |state: &SourceState| state.error.as_ref().is_some_and(|why| why.contains(&format!("GET {url}/api/v2/status: {words}")));
        if tokio::time::timeout(Duration::from_secs(30), seen.wait_for(wrong)).await.is_err() {
            panic!("{words}: {:?}", *seen.borrow());
        }
        assert!(core.open().contains(&("db".to_owned(), "Down".to_owned())), "{words}: {:?}", core.open());
    }
    shown.shows(ours.vouches_for("localhost", 90));
    tokio::time::timeout(Duration::from_secs(60), seen.wait_for(|state| state.failures == 0 && state.error.is_none())).await.unwrap().unwrap();
    task.abort();
    let kinds = core.kinds();
    assert!(
        core.events().iter().all(|event| event.kind.name() != "alert.cleared" || event.system.as_ref().is_none_or(|system| system.as_str() != "db")),
        "{kinds:?}"
    );
    assert!(kinds.iter().any(|kind| kind == "source.recovered"), "{kinds:?}");
}

#[tokio::test]
async fn what_is_wrong_with_tls_is_said_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let ours = Authority::new(folder.path(), "ours");
    let port = alertmanager(Shown(Arc::new(Mutex::new(ours.vouches_for("localhost", 90))))).await;
    let nobody = refused(&format!("https://localhost:{port}"), None).await;
    assert!(nobody.contains("no authority that this machine trusts vouches") && nobody.contains("`ca`"), "{nobody}");
    let plain = refused(&format!("http://localhost:{port}"), None).await;
    assert!(plain.contains("`url` begins with https://"), "{plain}");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, axum::Router::new()).await });
    let spoken = refused(&format!("https://{address}"), Some(&ours)).await;
    assert!(spoken.contains("it does not speak TLS there: does `url` begin with http://?"), "{spoken}");
    // A file that is no certificate, or is not there, is said before anything is asked.
    for (text, words) in [(Some("hello"), "it holds none"), (None, "No such file")] {
        let ca = folder.path().join("wrong.pem");
        let _ = std::fs::remove_file(&ca);
        if let Some(text) = text {
            std::fs::write(&ca, text).unwrap();
        }
        let wrong = SourceConfig { ca: Some(ca.clone()), ..config("https://localhost:1", None) };
        let error = Source::new(wrong).err().unwrap().to_string();
        assert!(error.contains(&format!("ca = {}", ca.display())) && error.contains(words) && error.contains("as PEM"), "{error}");
    }
}
