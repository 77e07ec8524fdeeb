//! The end that connects: it speaks first, and proves itself only to the server that it meant.

use std::time::Instant;

use super::{BY_CLIENT, BY_SERVER, Binding, Fields, HIGHEST, LEAST, OPENING, REPLY, Refused, in_time, role_byte, transcript};
use crate::trust::public::PublicKey;
use crate::trust::signer::{SignError, Signer};
use crate::trust::sshsig::verifies;
use crate::wire::Role;

/// Waits for the server's reply.
pub struct Client {
    opening: Vec<u8>,
    me: PublicKey,
    expected: Option<PublicKey>,
    binding: Binding,
    deadline: Instant,
}

impl Client {
    /// Makes the opening. `expected`: the server's key, as far as it is known; it goes into the proof as
    /// its audience.
    pub fn open(me: PublicKey, role: Role, expected: Option<PublicKey>, nonce: [u8; 32], binding: Binding, deadline: Instant) -> (Client, Vec<u8>) {
        let mut opening = Vec::with_capacity(OPENING);
        opening.extend_from_slice(&[1, LEAST, HIGHEST, role_byte(role)]);
        opening.extend_from_slice(&nonce);
        opening.extend_from_slice(me.bytes());
        opening.extend_from_slice(expected.as_ref().map_or([0; 32].as_slice(), |key| key.bytes()));
        opening.extend_from_slice(&binding.bytes());
        (Client { opening: opening.clone(), me, expected, binding, deadline }, opening)
    }

    /// Whether the server has proved the key that was expected; a key that was not expected is named
    /// only if the server really has it.
    pub fn reply(self, now: Instant, bytes: &[u8]) -> Result<Proved, Refused> {
        in_time(now, self.deadline)?;
        let mut fields = Fields::of(bytes, REPLY, 2)?;
        let version = fields.byte()?;
        if !(LEAST..=HIGHEST).contains(&version) {
            return Err(Refused::Version(version, version));
        }
        let _nonce: [u8; 32] = fields.take()?;
        let server = PublicKey::from_bytes(fields.take()?)?;
        let binding: [u8; 33] = fields.take()?;
        let signature: [u8; 64] = fields.take()?;
        if server == self.me {
            return Err(Refused::Itself);
        }
        if binding != self.binding.bytes() {
            return Err(Refused::Binding);
        }
        let said = bytes.get(..REPLY - signature.len()).unwrap_or_default();
        if !verifies(&server, BY_SERVER, &transcript(&[&self.opening, said]), &signature) {
            return Err(Refused::Signature);
        }
        match self.expected {
            Some(expected) if expected != server => Err(Refused::OtherKey { expected, got: server }),
            Some(_) | None => Ok(Proved { server, transcript: transcript(&[&self.opening, bytes]), deadline: self.deadline }),
        }
    }
}

/// The server is who it should be; it remains to prove oneself.
pub struct Proved {
    /// The key that it proved.
    pub server: PublicKey,
    transcript: Vec<u8>,
    deadline: Instant,
}

impl Proved {
    /// Signs everything that was said. May wait where the signer may.
    pub fn sign(&self, signer: &Signer) -> Result<[u8; 64], SignError> {
        signer.sign(BY_CLIENT, &self.transcript)
    }

    /// The last message, with what [`Proved::sign`] gave.
    pub fn proof(&self, now: Instant, signature: &[u8; 64]) -> Result<Vec<u8>, Refused> {
        in_time(now, self.deadline)?;
        Ok([&[3], signature.as_slice()].concat())
    }
}
