//! Against small servers on loopback, plain and with TLS.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

fn http(url: String) -> Http {
    Http {
        url,
        status: None,
        body: None,
        warning: None,
        critical: None,
        certificate_warning: three_weeks(),
        certificate_critical: one_week(),
        ca_file: None,
        verify: true,
    }
}

async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let mut request = Vec::new();
    let mut byte = [0_u8; 1];
    while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte).await.is_ok_and(|n| n == 1) {
        request.push(byte[0]);
    }
    let request = String::from_utf8_lossy(&request).into_owned();
    let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
    let (head, body) = match path.as_str() {
        "/ok" => ("200 OK".to_owned(), "all is well".to_owned()),
        "/broken" => ("500 Oh No".to_owned(), "trouble".to_owned()),
        "/circle" => ("302 Found\r\nlocation: /circle".to_owned(), String::new()),
        "/moved" => ("302 Found\r\nlocation: /ok".to_owned(), String::new()),
        "/endless" => ("200 OK".to_owned(), "x".repeat(3 << 20)),
        _ => ("404 Not Found".to_owned(), String::new()),
    };
    let _ = stream.write_all(format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len()).as_bytes()).await;
    let _ = stream.shutdown().await;
}

async fn plain() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream));
        }
    });
    format!("http://{address}")
}

/// A server with a certificate for `localhost` that ends after so many days; the certificate lies in the folder.
async fn tls(days: i64, folder: &std::path::Path) -> (String, PathBuf) {
    let mut parameters = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let now = std::time::SystemTime::now();
    let day = std::time::Duration::from_secs(86_400);
    let end = if days < 0 { now - day * days.unsigned_abs().try_into().unwrap() } else { now + day * days.try_into().unwrap() };
    parameters.not_before = (now - day * 100).into();
    parameters.not_after = (end + std::time::Duration::from_secs(3_600)).into();
    let key = rcgen::KeyPair::generate().unwrap();
    let certificate = parameters.self_signed(&key).unwrap();
    let path = folder.join("ca.pem");
    std::fs::write(&path, certificate.pem()).unwrap();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let key = rustls::pki_types::PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certificate.der().clone()], key).unwrap();
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
    (format!("https://localhost:{port}/ok"), path)
}

async fn ran(http: &Http) -> Outcome {
    run(http, &super::super::test_context(20_000)).await
}

#[tokio::test]
async fn status_body_and_time() {
    let base = plain().await;
    let ok = http(format!("{base}/ok"));
    let outcome = ran(&ok).await;
    assert_eq!(outcome.status, Status::Ok, "{}", outcome.text);
    assert_eq!(outcome.metrics.iter().map(|m| &*m.name).collect::<Vec<_>>(), ["time", "size"]);
    assert_eq!(ran(&Http { body: Some("is (well|fine)".into()), ..ok.clone() }).await.status, Status::Ok);
    let outcome = ran(&Http { body: Some("doom".into()), ..ok.clone() }).await;
    assert_eq!((outcome.status, outcome.text.contains("without `doom`")), (Status::Critical, true));
    assert_eq!(ran(&Http { warning: Some(Span::ZERO), ..ok.clone() }).await.status, Status::Warning);
    let outcome = ran(&http(format!("{base}/broken"))).await;
    assert_eq!((outcome.status, outcome.text.contains("500")), (Status::Critical, true));
    assert_eq!(ran(&Http { status: Some(500), ..http(format!("{base}/broken")) }).await.status, Status::Ok);
}

#[tokio::test]
async fn f6_bodies_and_redirects_are_capped() {
    let base = plain().await;
    assert_eq!(ran(&http(format!("{base}/moved"))).await.status, Status::Ok);
    assert_eq!(ran(&Http { status: Some(302), ..http(format!("{base}/moved")) }).await.status, Status::Ok);
    let outcome = ran(&http(format!("{base}/circle"))).await;
    assert_eq!((outcome.status, outcome.text.contains("in a circle")), (Status::Critical, true), "{}", outcome.text);
    let outcome = ran(&http(format!("{base}/endless"))).await;
    assert_eq!(outcome.metrics[1].value, float(1 << 20));
}

#[tokio::test]
async fn nobody_there() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let outcome = ran(&http(format!("http://{address}/"))).await;
    assert_eq!((outcome.status, outcome.text.ends_with("nothing listens there")), (Status::Critical, true), "{}", outcome.text);
}

#[tokio::test]
async fn certificates_are_judged_by_their_end_and_their_issuer() {
    let folder = tempfile::tempdir().unwrap();
    for (days, status) in [(90, Status::Ok), (14, Status::Warning), (3, Status::Critical)] {
        let (url, ca) = tls(days, folder.path()).await;
        let outcome = ran(&Http { ca_file: Some(ca), ..http(url.clone()) }).await;
        assert_eq!(outcome.status, status, "{}", outcome.text);
        assert!(outcome.metrics.iter().any(|m| &*m.name == "certificate_days" && (m.value - f64::from(i32::try_from(days).unwrap())).abs() < 1.0));
        // Nobody whom this machine trusts vouches for it.
        let outcome = ran(&http(url.clone())).await;
        assert_eq!((outcome.status, outcome.text.contains("cannot be trusted")), (Status::Critical, true), "{}", outcome.text);
        assert_eq!(ran(&Http { verify: false, ..http(url) }).await.status, status);
    }
    let (url, _) = tls(-2, folder.path()).await;
    let outcome = ran(&Http { verify: false, ..http(url) }).await;
    assert_eq!((outcome.status, outcome.text.contains("has ended")), (Status::Critical, true), "{}", outcome.text);
}
