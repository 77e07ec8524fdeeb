//! The end that is connected to: it proves itself to anybody, and believes nobody before the last message.

use std::time::Instant;

use super::{BY_CLIENT, BY_SERVER, Binding, Fields, HIGHEST, LEAST, OPENING, PROOF, REPLY, Refused, in_time, role_of, transcript};
use crate::trust::public::PublicKey;
use crate::trust::signer::Signer;
use crate::trust::sshsig::verifies;
use crate::wire::Role;

/// Waits for the client's proof.
pub struct Server {
    transcript: Vec<u8>,
    peer: Peer,
    /// Whom the client means to speak to, when that is somebody else.
    meant: Option<PublicKey>,
    deadline: Instant,
}

/// Who is there: the key that *signed*, and the role that it signed for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Peer {
    pub key: PublicKey,
    pub role: Role,
}

impl Server {
    /// Answers an opening.
    pub fn answer(own: &Signer, nonce: [u8; 32], binding: Binding, now: Instant, deadline: Instant, opening: &[u8]) -> Result<(Server, Vec<u8>), Refused> {
        in_time(now, deadline)?;
        let mut fields = Fields::of(opening, OPENING, 1)?;
        let (least, highest) = (fields.byte()?, fields.byte()?);
        let version = highest.min(HIGHEST);
        if least > highest || version < least || version < LEAST {
            return Err(Refused::Version(least, highest));
        }
        let role = role_of(fields.byte()?)?;
        let _nonce: [u8; 32] = fields.take()?;
        let key = PublicKey::from_bytes(fields.take()?)?;
        let audience: [u8; 32] = fields.take()?;
        let theirs: [u8; 33] = fields.take()?;
        if key == own.public() {
            return Err(Refused::Itself);
        }
        if theirs != binding.bytes() {
            return Err(Refused::Binding);
        }
        // Whoever means another server still gets a proof, so as to learn who this is; it says for whom
        // it was meant, so that nobody else can use it. Their own proof will not be taken.
        let meant = match audience {
            [0, ..] if audience == [0; 32] => None,
            audience if audience == *own.public().bytes() => None,
            audience => Some(PublicKey::from_bytes(audience)?),
        };
        let mut reply = Vec::with_capacity(REPLY);
        reply.extend_from_slice(&[2, version]);
        reply.extend_from_slice(&nonce);
        reply.extend_from_slice(own.public().bytes());
        reply.extend_from_slice(&binding.bytes());
        let signature = own.sign(BY_SERVER, &transcript(&[opening, &reply]))?;
        reply.extend_from_slice(&signature);
        Ok((Server { transcript: transcript(&[opening, &reply]), peer: Peer { key, role }, meant, deadline }, reply))
    }

    /// Takes the client's proof.
    pub fn finish(self, now: Instant, bytes: &[u8]) -> Result<Peer, Refused> {
        in_time(now, self.deadline)?;
        let signature: [u8; 64] = Fields::of(bytes, PROOF, 3)?.take()?;
        if let Some(meant) = self.meant {
            return Err(Refused::Audience(meant));
        }
        if verifies(&self.peer.key, BY_CLIENT, &self.transcript, &signature) { Ok(self.peer) } else { Err(Refused::Signature) }
    }
}
