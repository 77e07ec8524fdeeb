//! What a server signs of its world for one that receives its log through others: the very bytes, and all that
//! makes them this world and no other. Whose log it is, which life of it, as of which event and when; for whose key;
//! as far as which systems and rights reach; and what that one made up to ask with, so that no world is shown to it
//! that was signed before it asked, or for somebody else, or of another part.
//!
//! Most of that its reader knows by itself: it is not told again, and what differs is not signed.

use sha2::{Digest, Sha256};

use super::public::PublicKey;
use super::signer::Signer;
use super::sshsig;
use crate::model::grant::{Key, Scope, joined};
use crate::model::id::{Incarnation, Origin, Sequence};
use crate::model::time::Time;
use crate::wire::Raw;

const WORLD: &str = "midwatch-world";
/// Random bytes that somebody asks with.
pub const NONCE: usize = 16;

/// A world, as it is signed.
#[derive(Clone, Copy, Debug)]
pub struct Said<'a> {
    pub origin: Origin,
    pub incarnation: Incarnation,
    pub head: Sequence,
    /// By the clock of the server whose world it is.
    pub at: Time,
    /// Who may begin with it.
    pub bearer: &'a Key,
    /// What of it is shown; until when is the lease's affair.
    pub scope: &'a Scope,
    pub nonce: &'a [u8; NONCE],
    /// As they are told.
    pub bytes: &'a [u8],
}

impl Said<'_> {
    /// Of fixed length: nothing in it can be read in two ways.
    fn message(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(152);
        out.extend_from_slice(&self.origin.0);
        out.extend_from_slice(&self.incarnation.0.to_be_bytes());
        out.extend_from_slice(&self.head.0.to_be_bytes());
        out.extend_from_slice(&self.at.micros().to_be_bytes());
        out.extend_from_slice(&self.bearer.bytes());
        out.extend_from_slice(self.nonce);
        out.extend_from_slice(&of_scope(self.scope));
        out.extend_from_slice(&Sha256::digest(self.bytes));
        out
    }
}

/// Patterns are words without commas, and rights words without line breaks.
fn of_scope(scope: &Scope) -> [u8; 32] {
    let mut systems = scope.systems.to_vec();
    systems.sort();
    Sha256::digest(format!("midwatch world's scope 1\n{}\n{}\n", joined(&systems, ","), scope.rights)).into()
}

/// `None`: the key cannot sign now.
pub fn seal(signer: &Signer, said: &Said<'_>) -> Option<Raw> {
    signer.sign(WORLD, &said.message()).ok().map(|signature| Raw(signature.to_vec()))
}

/// Whether the server with this key said so.
pub fn holds(key: &PublicKey, said: &Said<'_>, signature: &[u8]) -> bool {
    key.origin() == said.origin && signature.try_into().is_ok_and(|signature| sshsig::verifies(key, WORLD, &said.message(), signature))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::grant::Rights;
    use crate::trust::seal;

    #[test]
    fn a_signed_world_is_this_one_for_this_reader_and_no_other() {
        let (signer, other) = (Signer::from_seed([1; 32]), Signer::from_seed([2; 32]));
        let scope = |systems: &str, rights: &str| {
            Scope::new(systems.split(',').map(|pattern| pattern.parse().unwrap()), Rights::parse(rights).unwrap(), Some(Time::from_secs(9)))
        };
        let (bearer, scope_of) = (Key::of(&[3; 32]), scope("web/**,lab", "read,federate"));
        let said = Said {
            origin: signer.public().origin(),
            incarnation: Incarnation(7),
            head: Sequence(40),
            at: Time::from_secs(1_790_000_000),
            bearer: &bearer,
            scope: &scope_of,
            nonce: &[4; NONCE],
            bytes: b"a world",
        };
        let signature = super::seal(&signer, &said).unwrap().0;
        let key = signer.public();
        assert!(holds(&key, &said, &signature));
        // Until when it may be received is told with each lease anew.
        assert!(holds(&key, &Said { scope: &Scope { expires: None, ..scope("lab,web/**", "federate,read") }, ..said }, &signature));
        let (stranger, narrower, weaker) = (Key::of(&[5; 32]), scope("web/**", "read,federate"), scope("web/**,lab", "read"));
        let bent = [
            Said { origin: other.public().origin(), ..said },
            Said { incarnation: Incarnation(8), ..said },
            Said { head: Sequence(41), ..said },
            Said { at: Time::from_secs(1_790_000_001), ..said },
            Said { bearer: &stranger, ..said },
            Said { scope: &narrower, ..said },
            Said { scope: &weaker, ..said },
            Said { nonce: &[5; NONCE], ..said },
            Said { bytes: b"a World", ..said },
        ];
        for bent in bent {
            assert!(!holds(&key, &bent, &signature), "{bent:?}");
        }
        for place in 0..signature.len() {
            let mut bent = signature.clone();
            bent[place] ^= 1;
            assert!(!holds(&key, &said, &bent));
        }
        assert!(!holds(&key, &said, &signature[1..]));
        // By another key, for that key's own log or for this one.
        let forged = super::seal(&other, &said).unwrap().0;
        assert!(!holds(&other.public(), &said, &forged) && !holds(&key, &said, &forged));
        // A world is no event, and an event no world.
        let event = seal::seal(&signer, &said.message()).unwrap().0;
        assert!(!holds(&key, &said, &event) && !seal::holds(&key, &said.message(), &signature));
    }
}
