//! A server's Ed25519 key, made at its first start. Its hash is the server's identity from then on.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use ed25519_dalek::SigningKey;
use sha2::{Digest, Sha256};

use crate::model::id::Origin;

/// The private key stays within; nothing prints it.
pub struct ServerKey {
    signing: SigningKey,
}

#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{path}: {why}. {hint}")]
pub struct KeyError {
    pub path: String,
    pub why: String,
    pub hint: String,
}

impl KeyError {
    pub(super) fn new(path: &Path, why: impl ToString, hint: &str) -> KeyError {
        KeyError { path: path.display().to_string(), why: why.to_string(), hint: hint.into() }
    }
}

impl ServerKey {
    pub fn from_seed(seed: [u8; 32]) -> ServerKey {
        ServerKey { signing: SigningKey::from_bytes(&seed) }
    }

    /// Reads the key (32 bytes as 64 hexadecimal digits), or makes one when there is none yet.
    pub fn load_or_create(path: &Path) -> Result<ServerKey, KeyError> {
        let text = match read_private(path)? {
            Some(text) => text,
            None => {
                let mut seed = [0_u8; 32];
                getrandom::fill(&mut seed).map_err(|error| KeyError::new(path, error, "The system has no random numbers to make a key from"))?;
                let text: String = seed.iter().map(|byte| format!("{byte:02x}")).collect();
                write_private(path, &text)?
            }
        };
        let seed = unhex(text.trim()).ok_or_else(|| {
            KeyError::new(path, "this is no key: expected 64 hexadecimal digits", "Restore the file from a backup; a new key would be a new server")
        })?;
        Ok(ServerKey::from_seed(seed))
    }

    pub fn public(&self) -> [u8; 32] {
        self.signing.verifying_key().to_bytes()
    }

    /// The first 16 bytes of the SHA-256 of the public key.
    pub fn origin(&self) -> Origin {
        let digest = Sha256::digest(self.public());
        let mut out = [0_u8; 16];
        out.iter_mut().zip(digest.iter()).for_each(|(to, from)| *to = *from);
        Origin(out)
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

/// The text of a file that must be its owner's alone. `None`: there is no such file.
pub(super) fn read_private(path: &Path) -> Result<Option<String>, KeyError> {
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(KeyError::new(path, error, "Start midwatch as the user to whom this file belongs")),
    };
    let metadata = file.metadata().map_err(|error| KeyError::new(path, error, "The file system refuses to describe it"))?;
    if metadata.mode() & 0o077 != 0 {
        let why = format!("its mode is {:04o}: others on this machine may read or write it", metadata.mode() & 0o7777);
        return Err(KeyError::new(path, why, &format!("Say `chmod 600 {}`, and consider whether somebody has read it", path.display())));
    }
    let mut text = String::new();
    file.take(64 << 10).read_to_string(&mut text).map_err(|error| KeyError::new(path, error, "It should be a short text"))?;
    Ok(Some(text))
}

/// Writes a new file that its owner alone can read; never over another one. Two that do this at the
/// same time end up with the same text: that of the first.
pub(super) fn write_private(path: &Path, text: &str) -> Result<String, KeyError> {
    let failed = |error: io::Error| KeyError::new(path, error, "The folder must exist, be writable, and have room");
    let beside = path.with_extension(format!("new-{}", std::process::id()));
    let _ = fs::remove_file(&beside);
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside).map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.write_all(b"\n")).and_then(|()| file.sync_all()).map_err(failed)?;
    // A hard link fails where a rename would replace.
    let linked = fs::hard_link(&beside, path);
    let _ = fs::remove_file(&beside);
    match linked {
        Ok(()) => Ok(text.to_owned()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => read_private(path)?.ok_or_else(|| KeyError::new(path, "it came and went", "Try again")),
        Err(error) => Err(failed(error)),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

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
        assert!(ServerKey::load_or_create(&path).is_err(), "a damaged key is not replaced by a new identity");
    }
}
