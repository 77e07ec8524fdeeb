//! TLS of the server's own: the certificate that it shows, read again when its files change, and what binds
//! the handshake above to a connection.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio_rustls::TlsAcceptor;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::link::Io;
use crate::model::time::Time;
use crate::server::stamp::Stamp;
use crate::trust::handshake::Binding;
use crate::trust::tls::{self, ALPN, OwnCertificate, VERSIONS};

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(2);

#[derive(Clone)]
pub struct Tls {
    acceptor: TlsAcceptor,
    certificates: Arc<Certificates>,
}

impl Tls {
    pub fn new(certificates: Arc<Certificates>) -> Result<Tls, rustls::Error> {
        let mut config = ServerConfig::builder_with_provider(tls::provider())
            .with_protocol_versions(VERSIONS)?
            .with_no_client_auth()
            .with_cert_resolver(certificates.clone());
        config.alpn_protocols = vec![ALPN.to_vec()];
        // Links are few and long: what would make the next one shorter is not worth its memory.
        (config.send_tls13_tickets, config.session_storage) = (0, Arc::new(NoServerSessionStorage {}));
        Ok(Tls { acceptor: TlsAcceptor::from(Arc::new(config)), certificates })
    }

    pub fn certificates(&self) -> &Arc<Certificates> {
        &self.certificates
    }

    /// TLS on this connection, and what it alone has.
    pub(super) async fn accept(&self, io: Box<dyn Io>) -> io::Result<(Box<dyn Io>, Binding)> {
        let stream = self.acceptor.accept(io).await?;
        let binding = tls::binding(stream.get_ref().1).map_err(io::Error::other)?;
        Ok((Box::new(stream), binding))
    }
}

/// Files that somebody else renews.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Files {
    certificate: PathBuf,
    key: PathBuf,
}

/// The certificate that is shown, the last good one.
pub struct Certificates {
    files: Option<Files>,
    kept: Mutex<Kept>,
}

struct Kept {
    shown: Arc<CertifiedKey>,
    /// When it ends.
    ends: Option<Time>,
    seen: [Option<Stamp>; 2],
    /// Why the files as they are now are not used.
    trouble: Option<String>,
}

/// How the certificate is, for those who ask how the server is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CertificateState {
    pub ends: Option<Time>,
    pub trouble: Option<String>,
}

impl Certificates {
    /// The one that the server made of its own key.
    pub fn own(certificate: &OwnCertificate) -> Certificates {
        let kept = Kept { shown: certificate.certified.clone(), ends: None, seen: [None, None], trouble: None };
        Certificates { files: None, kept: Mutex::new(kept) }
    }

    /// Those in files: the chain, the server's own first, and its private key, as PEM.
    pub fn read(certificate: PathBuf, key: PathBuf) -> Result<Certificates, String> {
        let files = Files { certificate, key };
        let seen = files.stamps();
        let shown = files.load()?;
        let kept = Kept { ends: ends(&shown), shown, seen, trouble: None };
        Ok(Certificates { files: Some(files), kept: Mutex::new(kept) })
    }

    pub fn state(&self) -> CertificateState {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        CertificateState { ends: kept.ends, trouble: kept.trouble.clone() }
    }

    /// Reads the files again if they are others than they were. What cannot be used changes nothing.
    fn look(&self) {
        let Some(files) = &self.files else { return };
        // Before they are read: should they change meanwhile, the next look sees that.
        let seen = files.stamps();
        if self.kept.lock().unwrap_or_else(PoisonError::into_inner).seen == seen {
            return;
        }
        let loaded = files.load();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.seen = seen;
        match loaded {
            Ok(shown) => {
                tracing::info!(file = %files.certificate.display(), "the certificate was read anew");
                (kept.ends, kept.shown, kept.trouble) = (ends(&shown), shown, None);
            }
            Err(why) => {
                tracing::error!(why, "the new certificate is not used, and the one before it still is");
                kept.trouble = Some(why);
            }
        }
    }

    /// Looks now and then, as long as anybody needs this.
    pub fn keep_looking(self: &Arc<Certificates>) {
        if self.files.is_none() {
            return;
        }
        let certificates = Arc::downgrade(self);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(LOOK).await;
                match certificates.upgrade() {
                    Some(certificates) => certificates.look(),
                    None => return,
                }
            }
        });
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.kept.lock().unwrap_or_else(PoisonError::into_inner).shown.clone())
    }
}

impl std::fmt::Debug for Certificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Certificates({:?})", self.files)
    }
}

impl Files {
    fn stamps(&self) -> [Option<Stamp>; 2] {
        [Stamp::of(&self.certificate), Stamp::of(&self.key)]
    }

    fn load(&self) -> Result<Arc<CertifiedKey>, String> {
        let of = |path: &PathBuf, why: String| format!("{}: {why}", path.display());
        let chain = tls::certificates(&self.certificate).map_err(|error| of(&self.certificate, error.to_string()))?;
        let pem = tls::pem(&self.key).map_err(|error| of(&self.key, error.to_string()))?;
        // A group may read it, as Debian's ssl-cert does.
        if std::fs::metadata(&self.key).is_ok_and(|file| file.mode() & 0o007 != 0) {
            return Err(of(
                &self.key,
                format!("anybody on this machine may read it; say `chmod o-rwx {}`, and consider whether somebody has", self.key.display()),
            ));
        }
        let key = PrivateKeyDer::from_pem_slice(&pem).map_err(|_| of(&self.key, "it holds no private key as PEM, or one with a passphrase".into()))?;
        let signing = rustls::crypto::ring::sign::any_supported_type(&key)
            .map_err(|_| of(&self.key, "its kind of key is none that serves here: RSA, ECDSA (P-256, P-384) or Ed25519".into()))?;
        let certified = CertifiedKey::new(chain, signing);
        certified.keys_match().map_err(|_| format!("{} is not the key of {}", self.key.display(), self.certificate.display()))?;
        Ok(Arc::new(certified))
    }
}

/// When the server's own certificate ends.
fn ends(certified: &CertifiedKey) -> Option<Time> {
    let (_, parsed) = X509Certificate::from_der(certified.cert.first()?).ok()?;
    Some(Time::from_secs(parsed.validity().not_after.timestamp()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    /// Writes a certificate for a name, and its key.
    fn write(folder: &Path, name: &str) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().self_signed(&key).unwrap();
        let paths = (folder.join("cert.pem"), folder.join("key.pem"));
        fs::write(&paths.0, certificate.pem()).unwrap();
        fs::write(&paths.1, key.serialize_pem()).unwrap();
        fs::set_permissions(&paths.1, fs::Permissions::from_mode(0o640)).unwrap();
        paths
    }

    fn shown(certificates: &Certificates) -> Vec<u8> {
        certificates.kept.lock().unwrap().shown.cert[0].to_vec()
    }

    #[test]
    fn files_are_read_again_when_they_change_and_a_broken_one_keeps_the_last_good() {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = write(folder.path(), "one.example");
        let certificates = Certificates::read(certificate.clone(), key.clone()).unwrap();
        let first = shown(&certificates);
        assert_eq!(certificates.state().ends.map(|ends| ends.timestamp().strftime("%Y").to_string()).as_deref(), Some("4096"));
        let good = fs::read(&key).unwrap();
        // Half of a renewal: the other key is there, its certificate is not yet.
        fs::write(&key, KeyPair::generate().unwrap().serialize_pem()).unwrap();
        certificates.look();
        assert_eq!(shown(&certificates), first);
        assert!(certificates.state().trouble.unwrap().contains("is not the key of"));
        for (file, text) in [(&certificate, "nonsense"), (&key, "nonsense"), (&certificate, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")] {
            let before = fs::read(file).unwrap();
            fs::write(file, text).unwrap();
            certificates.look();
            assert_eq!(shown(&certificates), first, "{text}");
            let why = certificates.state().trouble.unwrap();
            assert!(why.contains(&file.display().to_string()) || why.contains("key"), "{why}");
            fs::write(file, before).unwrap();
        }
        fs::remove_file(&certificate).unwrap();
        certificates.look();
        assert_eq!(shown(&certificates), first);
        fs::write(&key, good).unwrap();
        write(folder.path(), "two.example");
        certificates.look();
        assert_ne!(shown(&certificates), first);
        assert_eq!(certificates.state().trouble, None);
    }

    #[test]
    fn what_cannot_be_used_is_said_before_a_server_starts() {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = write(folder.path(), "one.example");
        let why = |certificate: &Path, key: &Path| Certificates::read(certificate.to_owned(), key.to_owned()).err().unwrap();
        assert!(why(&key, &key).contains("no certificate"));
        fs::set_permissions(&certificate, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(why(&certificate, &certificate).contains("no private key"));
        assert!(why(&folder.path().join("none"), &key).contains("No such file"));
        let other = tempfile::tempdir().unwrap();
        let (_, others) = write(other.path(), "one.example");
        assert!(why(&certificate, &others).contains("is not the key of"));
        fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(why(&certificate, &key).contains("chmod o-rwx"));
    }
}
