//! A server's Ed25519 key, made at its first start. Its hash is the server's identity from then on.

use std::path::Path;

use ed25519_dalek::SigningKey;
use rustls::pki_types::PrivatePkcs8KeyDer;

use super::openssh::{KeyFile, fresh};
use super::private::{KeyError, read_private, write_private};
use super::public::{PublicKey, origin_of};
use super::signer::Signer;
use crate::model::id::Origin;

/// The private key stays within; nothing prints it.
pub struct ServerKey {
    signing: SigningKey,
}

impl ServerKey {
    pub fn from_seed(seed: [u8; 32]) -> ServerKey {
        ServerKey { signing: SigningKey::from_bytes(&seed) }
    }

    /// Reads the key, or makes one when there is none yet. It is in OpenSSH's format; the first servers
    /// wrote 64 hexadecimal digits, which stay what they are.
    pub fn load_or_create(path: &Path) -> Result<ServerKey, KeyError> {
        match ServerKey::load(path)? {
            Some(key) => Ok(key),
            None => ServerKey::parse(path, &write_private(path, &fresh(path, "midwatch-server")?)?),
        }
    }

    /// Reads the key. `None`: there is none.
    pub fn load(path: &Path) -> Result<Option<ServerKey>, KeyError> {
        read_private(path)?.map(|text| ServerKey::parse(path, &text)).transpose()
    }

    fn parse(path: &Path, text: &str) -> Result<ServerKey, KeyError> {
        if let Some(seed) = unhex(text.trim()) {
            return Ok(ServerKey::from_seed(seed));
        }
        let key = KeyFile::parse(path, text).and_then(|key| key.signing());
        key.map(|signing| ServerKey { signing }).map_err(|error| KeyError { hint: format!("{}. A new key would be a new server", error.hint), ..error })
    }

    pub fn public(&self) -> Result<PublicKey, KeyError> {
        PublicKey::from_bytes(self.signing.verifying_key().to_bytes())
            .map_err(|error| KeyError::new(Path::new("the server's key"), error, "Restore it from a backup"))
    }

    /// With what the server proves itself.
    pub fn signer(&self) -> Result<Signer, KeyError> {
        self.public().map(|public| Signer::held(self.signing.clone(), public))
    }

    /// The private key as TLS libraries take it: RFC 8410, 7, whose beginning is always the same.
    pub(super) fn pkcs8(&self) -> PrivatePkcs8KeyDer<'static> {
        const BEFORE: [u8; 16] = [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
        PrivatePkcs8KeyDer::from([BEFORE.as_slice(), &self.signing.to_bytes()].concat())
    }

    /// The first 16 bytes of the SHA-256 of the public key.
    pub fn origin(&self) -> Origin {
        origin_of(&self.signing.verifying_key().to_bytes())
    }
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let mut out = [0_u8; 32];
    for (byte, pair) in out.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    use super::*;

    #[test]
    fn a_key_is_made_once_and_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("server.key");
        let first = ServerKey::load_or_create(&path).unwrap().origin();
        assert_eq!(ServerKey::load_or_create(&path).unwrap().origin(), first);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn a_key_that_others_can_read_is_refused_with_words() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("server.key");
        ServerKey::load_or_create(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let error = ServerKey::load_or_create(&path).err().unwrap().to_string();
        assert!(error.contains("0644") && error.contains("chmod 600"), "{error}");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, "nonsense").unwrap();
        let error = ServerKey::load_or_create(&path).err().expect("a damaged key is not replaced by a new identity").to_string();
        assert!(error.contains("backup") && error.contains("a new server") || error.contains("A new key would be a new server"), "{error}");
    }

    /// Data folders of the first servers: their logs bear this origin for ever.
    #[test]
    fn a_key_in_hexadecimal_digits_stays_the_server_that_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("server.key");
        fs::write(&path, "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let key = ServerKey::load_or_create(&path).unwrap();
        // RFC 8032, 7.1, test 1 gives the public key.
        assert_eq!(key.public().unwrap().bytes()[..4], [0xd7, 0x5a, 0x98, 0x01]);
        assert_eq!(key.origin().to_string(), "21fe31dfa154a261626bf854046fd227");
    }
}
