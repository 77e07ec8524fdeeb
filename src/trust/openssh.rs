//! Private keys in OpenSSH's format: made, read, and what is wrong with one in words.
//!
//! The format is OpenSSH's PROTOCOL.key; `ssh-key` reads it. What such a file may cost is bounded before
//! it is paid: its size ([`super::private`]), and how often its passphrase is to be stretched.

use std::path::{Path, PathBuf};

use ed25519_dalek::SigningKey;
use ssh_key::private::{Ed25519Keypair, KeypairData};
use ssh_key::{Kdf, LineEnding, PrivateKey};

use super::private::{KeyError, private_folder, read_private, write_private};
use super::public::{NoKey, PublicKey};
use super::signer::Signer;

/// A private key's file, read. The public half is known even while a passphrase guards the other.
pub struct KeyFile {
    pub path: PathBuf,
    pub public: PublicKey,
    /// Whose it is, as the file says; a guarded one says it only once it is open.
    pub comment: String,
    key: PrivateKey,
}

impl KeyFile {
    /// Reads a file of mode 0600. `None`: there is none.
    pub fn read(path: &Path) -> Result<Option<KeyFile>, KeyError> {
        read_private(path)?.map(|text| KeyFile::parse(path, &text)).transpose()
    }

    /// Reads the key, or makes one without a passphrase, in a folder of mode 0700 that is made with it.
    /// True: it was made.
    pub fn load_or_create(path: &Path, comment: &str) -> Result<(KeyFile, bool), KeyError> {
        if let Some(folder) = path.parent() {
            private_folder(folder)?;
        }
        if let Some(key) = KeyFile::read(path)? {
            return Ok((key, false));
        }
        // Should another have made one meanwhile, that is the one.
        let text = write_private(path, &fresh(path, comment)?)?;
        Ok((KeyFile::parse(path, &text)?, true))
    }

    pub(super) fn parse(path: &Path, text: &str) -> Result<KeyFile, KeyError> {
        let key = PrivateKey::from_openssh(text.trim().as_bytes()).map_err(|error| refused(path, text, &error))?;
        let public = PublicKey::of(key.public_key().key_data()).map_err(|error| match error {
            NoKey::OtherKind(_) => KeyError::new(path, error, OTHER_KIND),
            NoKey::Unreadable | NoKey::Weak => KeyError::new(path, error, DAMAGED),
        })?;
        let comment = key.comment().as_str_lossy().to_owned();
        Ok(KeyFile { path: path.to_owned(), public, comment, key })
    }

    /// Whether a passphrase guards it.
    pub fn is_guarded(&self) -> bool {
        self.key.is_encrypted()
    }

    /// What signs with it, when nothing guards it.
    pub fn signer(&self) -> Result<Signer, KeyError> {
        self.signing().map(|signing| Signer::held(signing, self.public))
    }

    /// What signs with it, by its passphrase. `None`: that is not it.
    pub fn unlock(&self, passphrase: &[u8]) -> Result<Option<Signer>, KeyError> {
        if let Kdf::Bcrypt { rounds, .. } = self.key.kdf()
            && *rounds > MOST_ROUNDS
        {
            let why = format!("its passphrase is to be stretched {rounds} times, and more than {MOST_ROUNDS} would hold you up");
            return Err(KeyError::new(&self.path, why, "`ssh-keygen -p -a 24` writes it anew"));
        }
        match self.key.decrypt(passphrase) {
            Ok(key) => KeyFile { path: self.path.clone(), public: self.public, comment: String::new(), key }.signer().map(Some),
            Err(_) => Ok(None),
        }
    }

    /// The key itself, when nothing guards it.
    pub(super) fn signing(&self) -> Result<SigningKey, KeyError> {
        match self.key.key_data() {
            KeypairData::Ed25519(pair) => Ok(SigningKey::from(&pair.private)),
            KeypairData::Encrypted(_) => {
                Err(KeyError::new(&self.path, "a passphrase guards it", "Use a key without one here, or take it off with `ssh-keygen -p`"))
            }
            _ => Err(KeyError::new(&self.path, "it is no Ed25519 key", OTHER_KIND)),
        }
    }
}

/// How often a passphrase may be stretched: ssh-keygen does it 24 times, careful people 100 times.
const MOST_ROUNDS: u32 = 1_000;

const DAMAGED: &str = "Restore the file from a backup";
const OTHER_KIND: &str = "Make one with `ssh-keygen -t ed25519`, or name another file";

/// A new key as text.
pub(super) fn fresh(path: &Path, comment: &str) -> Result<String, KeyError> {
    let mut seed = [0_u8; 32];
    getrandom::fill(&mut seed).map_err(|error| KeyError::new(path, error, "The system has no random numbers to make a key from"))?;
    let pair = KeypairData::Ed25519(Ed25519Keypair::from_seed(&seed));
    let text = PrivateKey::new(pair, comment).and_then(|key| key.to_openssh(LineEnding::LF));
    text.map(|text| text.to_string()).map_err(|error| KeyError::new(path, error, "Make one with `ssh-keygen -t ed25519`"))
}

/// Why a text is no private key of ours.
fn refused(path: &Path, text: &str, error: &ssh_key::Error) -> KeyError {
    use ssh_key::Error;
    let first = text.trim().lines().next().unwrap_or_default();
    let say = |why: &str, hint: &str| KeyError::new(path, why, hint);
    match (first, error) {
        (first, _) if first.starts_with("ssh-") || first.starts_with("ecdsa-") => {
            say("this is a public key, and the private one is wanted", "Name the file without `.pub`")
        }
        (first, _) if first.starts_with("PuTTY-User-Key-File") => say("this is a key in PuTTY's format", "Export it with puttygen in OpenSSH's format"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----", Error::AlgorithmUnsupported { algorithm }) => {
            say(&format!("this is a key of the kind {algorithm}, and midwatch takes Ed25519 keys alone"), OTHER_KIND)
        }
        ("-----BEGIN OPENSSH PRIVATE KEY-----", Error::AlgorithmUnknown | Error::Encoding(ssh_key::encoding::Error::Label(_))) => {
            say("its kind, or the cipher that guards it, is none that midwatch knows", "`ssh-keygen -p -Z aes256-ctr` guards it with a common one")
        }
        ("-----BEGIN OPENSSH PRIVATE KEY-----", _) => say(&format!("this key is damaged or cut short ({error})"), DAMAGED),
        (first, _) if first.starts_with("-----BEGIN ") && first.contains("PRIVATE KEY") => {
            say("this key is not in OpenSSH's format", "If it is an Ed25519 key, `ssh-keygen -p` writes it anew in that format")
        }
        _ => say("this is no key: expected OpenSSH's format", DAMAGED),
    }
}

#[cfg(test)]
mod tests;
