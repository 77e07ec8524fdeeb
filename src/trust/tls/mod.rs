//! TLS where it is ours: the certificate that a server makes of its own key, what a client makes of the
//! one that it is shown, and what ties the handshake above to the connection beneath.

mod client;
mod own;
pub mod words;

use std::io;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use rustls::ConnectionCommon;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::handshake::Binding;
use super::public::PublicKey;

pub use client::{Roots, Shown, Verifier};
pub use own::OwnCertificate;

/// HTTP/1.1 alone is spoken above (RFC 7301).
pub const ALPN: &[u8] = b"http/1.1";

/// Only this version: the exporter of older ones binds nothing unless more is agreed upon (RFC 9266, 4.2).
pub static VERSIONS: &[&rustls::SupportedProtocolVersion] = &[&rustls::version::TLS13];

/// The cryptography beneath.
pub fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    PROVIDER.get_or_init(|| Arc::new(rustls::crypto::ring::default_provider())).clone()
}

/// What both ends of this connection know, and neither end of any other one (RFC 9266).
pub fn binding<Data>(connection: &ConnectionCommon<Data>) -> Result<Binding, rustls::Error> {
    connection.export_keying_material([0_u8; 32], b"EXPORTER-Channel-Binding", Some(b"")).map(Binding::TlsExporter)
}

/// A certificate's key, where that is one that a server may be known by.
pub fn key_of(certificate: &CertificateDer<'_>) -> Option<PublicKey> {
    /// id-Ed25519 (RFC 8410, 3).
    const ED25519: &str = "1.3.101.112";
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let info = parsed.public_key();
    if info.algorithm.algorithm.to_id_string() != ED25519 {
        return None;
    }
    PublicKey::from_bytes(info.subject_public_key.data.as_ref().try_into().ok()?).ok()
}

/// More than this is no file of certificates.
const LARGEST: u64 = 4 << 20;

/// All certificates of a PEM file; none is an error.
pub fn certificates(path: &Path) -> io::Result<Vec<CertificateDer<'static>>> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem(path)?).collect();
    match found {
        Ok(found) if found.is_empty() => Err(io::Error::other("it holds no certificate as PEM (-----BEGIN CERTIFICATE-----)")),
        Ok(found) => Ok(found),
        Err(error) => Err(io::Error::other(format!("its PEM is broken: {error}"))),
    }
}

/// A file's bytes, up to what such a file may have.
pub fn pem(path: &Path) -> io::Result<Vec<u8>> {
    use std::io::Read;
    let mut out = Vec::new();
    std::fs::File::open(path)?.take(LARGEST + 1).read_to_end(&mut out)?;
    if u64::try_from(out.len()).is_ok_and(|length| length > LARGEST) { Err(io::Error::other("it is larger than 4 MiB")) } else { Ok(out) }
}
