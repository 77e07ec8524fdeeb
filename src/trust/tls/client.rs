//! What a client makes of the certificate that it is shown: it is of a key that may be the server's own,
//! or an authority vouches for it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, PeerIncompatible, RootCertStore, SignatureScheme};

use super::super::public::PublicKey;
use super::{ALPN, VERSIONS, certificates, key_of, provider};

/// Whose word counts for a server's certificate.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Roots {
    /// The authorities that this machine trusts (`SSL_CERT_FILE`, or where its distribution keeps them).
    #[default]
    System,
    /// Those in this file, and no others.
    File(PathBuf),
}

/// What the certificate showed. The key behind it signed this connection's handshake.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shown {
    /// A key that may be the server's own: whether it is, is for the caller to say.
    Key(PublicKey),
    /// Somebody for whom an authority vouches.
    Authority,
}

/// For one connection.
#[derive(Debug)]
pub struct Verifier {
    /// The server's key, as far as it is known.
    pin: Option<PublicKey>,
    /// A key that nobody vouches for may be shown: who calls compares it with the one that is known, or
    /// remembers it.
    own: bool,
    roots: Roots,
    shown: Mutex<Option<Shown>>,
}

impl Verifier {
    pub fn new(pin: Option<PublicKey>, own: bool, roots: Roots) -> Arc<Verifier> {
        Arc::new(Verifier { pin, own, roots, shown: Mutex::new(None) })
    }

    /// What was shown, once TLS is there.
    pub fn shown(&self) -> Option<Shown> {
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn config(self: &Arc<Verifier>) -> Result<ClientConfig, rustls::Error> {
        let mut config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(VERSIONS)?
            .dangerous()
            .with_custom_certificate_verifier(self.clone())
            .with_no_client_auth();
        config.alpn_protocols = vec![ALPN.to_vec()];
        // Each connection sees the certificate anew.
        config.resumption = rustls::client::Resumption::disabled();
        Ok(config)
    }

    /// Whether one of the authorities vouches for it.
    fn vouched(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<(), rustls::Error> {
        let mut store = RootCertStore::empty();
        match &self.roots {
            Roots::System => {
                store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
            Roots::File(path) => {
                let found = certificates(path).map_err(|error| rustls::Error::General(format!("ca = {}: {error}", path.display())))?;
                store.add_parsable_certificates(found);
            }
        }
        if store.is_empty() {
            return Err(CertificateError::UnknownIssuer.into());
        }
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider())
            .build()
            .map_err(|error| rustls::Error::General(format!("the authorities' certificates cannot be used: {error}")))?;
        verifier.verify_server_cert(end_entity, intermediates, name, ocsp, now).map(|_| ())
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let key = key_of(end_entity).filter(|_| self.own);
        let shown = match key {
            Some(key) if self.pin == Some(key) => Shown::Key(key),
            key => match (self.vouched(end_entity, intermediates, name, ocsp, now), key) {
                (Ok(()), _) => Shown::Authority,
                (Err(_), Some(key)) => Shown::Key(key),
                (Err(why), None) => return Err(why),
            },
        };
        *self.shown.lock().unwrap_or_else(PoisonError::into_inner) = Some(shown);
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(&self, _: &[u8], _: &CertificateDer<'_>, _: &DigitallySignedStruct) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, certificate, signature, &provider().signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}
