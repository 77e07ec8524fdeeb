//! Public keys as the log names them.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

/// An Ed25519 public key as OpenSSH writes it, without its comment: `ssh-ed25519 AAAA…`. There is one way to
/// write each. Whether it is a point of the curve is looked at where it is proved.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Arc<str>);

/// What stands before the 32 bytes: the kind and both lengths (RFC 8709, 4).
const HEAD: &[u8] = b"\0\0\0\x0bssh-ed25519\0\0\0\x20";

impl Key {
    pub fn of(bytes: &[u8; 32]) -> Key {
        Key(format!("ssh-ed25519 {}", STANDARD.encode([HEAD, bytes].concat())).into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn blob(&self) -> Vec<u8> {
        self.0.strip_prefix("ssh-ed25519 ").and_then(|rest| STANDARD.decode(rest).ok()).unwrap_or_default()
    }

    /// The key itself.
    pub fn bytes(&self) -> [u8; 32] {
        let mut out = [0; 32];
        let blob = self.blob();
        out.iter_mut().zip(blob.iter().skip(HEAD.len())).for_each(|(to, from)| *to = *from);
        out
    }

    /// `SHA256:…`, as `ssh-keygen -l` prints it.
    pub fn fingerprint(&self) -> String {
        format!("SHA256:{}", STANDARD_NO_PAD.encode(Sha256::digest(self.blob())))
    }

    /// As much of the fingerprint as tells a few keys apart: `SHA256:yYMUxhFH…`.
    pub fn short(&self) -> String {
        self.fingerprint().chars().take("SHA256:".len() + 8).chain(['…']).collect()
    }
}

impl FromStr for Key {
    type Err = String;

    fn from_str(text: &str) -> Result<Key, String> {
        let key = Key(text.trim().into());
        let whole = key.blob();
        let bytes: Option<[u8; 32]> = whole.strip_prefix(HEAD).and_then(|bytes| bytes.try_into().ok());
        match bytes.map(|bytes| Key::of(&bytes)) {
            Some(same) if same == key => Ok(key),
            Some(_) | None => Err("this is no Ed25519 key as OpenSSH writes them (`ssh-ed25519 AAAA…`, without a comment)".to_owned()),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.fingerprint())
    }
}

impl Serialize for Key {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Key, D::Error> {
        std::borrow::Cow::<'de, str>::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}
