//! A server that is met for the first time: the key that it shows, until a person has said whether that is the
//! right one.

use std::sync::Arc;

use crate::trust::{Proving, PublicKey};

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Unmet {
    pub(super) proving: Arc<Proving>,
    pub(super) key: PublicKey,
}

impl Unmet {
    /// As the file of known servers calls it.
    pub fn name(&self) -> &Arc<str> {
        &self.proving.server
    }

    pub fn fingerprint(&self) -> String {
        self.key.fingerprint()
    }

    pub fn words(&self) -> Vec<&'static str> {
        self.key.words()
    }

    /// Where it is remembered.
    pub fn file(&self) -> String {
        self.proving.known.path().display().to_string()
    }

    /// From now on it is this key. Writes a file, and may wait for others who do.
    pub fn pin(&self) -> Result<(), String> {
        self.proving.known.remember(&self.proving.server, &self.key).map_err(|error| error.to_string())
    }
}
