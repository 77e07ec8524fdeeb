//! Public keys: Ed25519, written as OpenSSH writes them, compared by fingerprint or by words.

use std::fmt;
use std::path::Path;

use ed25519_dalek::VerifyingKey;
use sha2::{Digest, Sha256};
use ssh_key::public::{Ed25519PublicKey, KeyData};

use super::private::{KeyError, read_own};
use super::sshsig;
use super::words;
use crate::model::id::Origin;

/// An Ed25519 public key that can be one: a point of the curve, and none of the few weak ones.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; 32]);

/// Why something is no key of ours.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NoKey {
    #[error("this is {0}, and midwatch takes Ed25519 keys alone")]
    OtherKind(String),
    #[error("this is no public key as OpenSSH writes them (`ssh-ed25519 AAAA… comment`)")]
    Unreadable,
    #[error("these bytes are no Ed25519 key, or a weak one")]
    Weak,
}

impl PublicKey {
    pub fn from_bytes(bytes: [u8; 32]) -> Result<PublicKey, NoKey> {
        match VerifyingKey::from_bytes(&bytes) {
            Ok(key) if !key.is_weak() => Ok(PublicKey(bytes)),
            Ok(_) | Err(_) => Err(NoKey::Weak),
        }
    }

    /// Reads `ssh-ed25519 AAAA… comment`; the comment comes back as it stands.
    pub fn read(line: &str) -> Result<(PublicKey, String), NoKey> {
        let line = line.trim();
        let kind = line.split_ascii_whitespace().next().unwrap_or_default();
        if kind != "ssh-ed25519" {
            return Err(match kind {
                "ssh-rsa" => NoKey::OtherKind("an RSA key".into()),
                "ssh-dss" => NoKey::OtherKind("a DSA key".into()),
                kind if kind.starts_with("ecdsa-sha2-") => NoKey::OtherKind("an ECDSA key".into()),
                kind if kind.starts_with("sk-") => NoKey::OtherKind("a security key's (FIDO)".into()),
                kind if kind.contains("-cert-") => NoKey::OtherKind("a certificate".into()),
                _ => NoKey::Unreadable,
            });
        }
        let key = ssh_key::PublicKey::from_openssh(line).map_err(|_| NoKey::Unreadable)?;
        let comment = key.comment().as_str_lossy().trim().to_owned();
        Ok((PublicKey::of(key.key_data())?, comment))
    }

    /// Reads the file of a public key, which others may read and not write. `None`: there is none.
    pub fn load(path: &Path) -> Result<Option<(PublicKey, String)>, KeyError> {
        let hint = "Name a file as `ssh-keygen -t ed25519` writes it";
        read_own(path)?.map(|text| PublicKey::read(&text).map_err(|why| KeyError::new(path, why, hint))).transpose()
    }

    pub(super) fn of(data: &KeyData) -> Result<PublicKey, NoKey> {
        let KeyData::Ed25519(key) = data else { return Err(NoKey::OtherKind(format!("a key of the kind {}", data.algorithm()))) };
        PublicKey::from_bytes(key.0)
    }

    /// The identity of a server that has this key.
    pub fn origin(&self) -> Origin {
        origin_of(&self.0)
    }

    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// As RFC 4253, 6.6 and RFC 8709, 4 encode it: what fingerprints are taken of, and agents name keys by.
    pub(super) fn blob(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(51);
        for part in [b"ssh-ed25519".as_slice(), &self.0] {
            out.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
            out.extend_from_slice(part);
        }
        out
    }

    fn digest(&self) -> [u8; 32] {
        Sha256::digest(self.blob()).into()
    }

    /// Whether this key signed the message for this purpose, as SSHSIG does it.
    pub fn verifies(&self, namespace: &str, message: &[u8], signature: &[u8; 64]) -> bool {
        sshsig::verifies(self, namespace, message, signature)
    }

    /// `SHA256:…`, as `ssh-keygen -l` prints it.
    pub fn fingerprint(&self) -> String {
        use base64::Engine;
        format!("SHA256:{}", base64::engine::general_purpose::STANDARD_NO_PAD.encode(self.digest()))
    }

    /// The first 128 bits of the fingerprint as 16 words.
    pub fn words(&self) -> Vec<&'static str> {
        words::of(self.digest().get(..words::BYTES).unwrap_or_default())
    }

    /// `ssh-ed25519 AAAA…`, without a comment.
    pub fn line(&self) -> String {
        let key = ssh_key::PublicKey::from(KeyData::Ed25519(Ed25519PublicKey(self.0)));
        key.to_openssh().unwrap_or_default()
    }
}

/// The first 16 bytes of the SHA-256 of a server's public key.
pub(super) fn origin_of(key: &[u8; 32]) -> Origin {
    let digest: [u8; 32] = Sha256::digest(key).into();
    let mut out = [0_u8; 16];
    out.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    Origin(out)
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.fingerprint())
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.fingerprint())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti user@example.com";

    #[test]
    fn a_line_is_read_and_written_as_it_was() {
        let (key, comment) = PublicKey::read(LINE).unwrap();
        assert_eq!((format!("{} {comment}", key.line()).as_str(), comment.as_str()), (LINE, "user@example.com"));
        assert_eq!(key.words().len(), 16);
    }

    #[test]
    fn other_kinds_are_named_and_nonsense_is_refused() {
        for (line, words) in [
            ("ssh-rsa AAAAB3NzaC1yc2E= kim", "an RSA key"),
            ("ecdsa-sha2-nistp256 AAAA kim", "an ECDSA key"),
            ("sk-ssh-ed25519@openssh.com AAAA kim", "security key"),
            ("ssh-ed25519-cert-v01@openssh.com AAAA kim", "a certificate"),
            ("hello", "no public key"),
            ("", "no public key"),
            ("ssh-ed25519 AAAA kim", "no public key"),
            // The length says more than there is.
            ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5f////7M+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti kim", "no public key"),
        ] {
            let why = PublicKey::read(line).unwrap_err().to_string();
            assert!(why.contains(words), "{line}: {why}");
        }
    }

    #[test]
    fn weak_points_are_no_keys() {
        // The neutral element, under which anything has a signature.
        let mut neutral = [0_u8; 32];
        neutral[0] = 1;
        assert_eq!(PublicKey::from_bytes(neutral), Err(NoKey::Weak));
        assert_eq!(PublicKey::from_bytes([0; 32]), Err(NoKey::Weak));
    }
}
