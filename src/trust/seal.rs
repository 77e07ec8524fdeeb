//! What a server signs of its log for those who pass it on: each event's exact bytes, and how far the log goes.
//! A relay can leave out what it was told; it can neither change nor make up, nor put what it has in another
//! place (an event's bytes hold its own), nor say that a log is longer or younger than its server said.

use super::public::PublicKey;
use super::signer::Signer;
use super::sshsig;
use crate::model::id::{Incarnation, Origin, Sequence};
use crate::model::time::Time;
use crate::wire::{Claim, Raw, outline_of};

/// Bytes of a signature.
pub const LENGTH: usize = 64;
const EVENT: &str = "midwatch-event";
const CLAIM: &str = "midwatch-claim";

/// Signs an event as it is told. `None`: the key cannot sign now.
pub fn seal(signer: &Signer, event: &[u8]) -> Option<Raw> {
    signer.sign(EVENT, event).ok().map(|signature| Raw(signature.to_vec()))
}

/// The same of its outline, for whoever passes it on to one who may see no more of it. Empty: it has none.
pub fn outline(signer: &Signer, event: &[u8]) -> Raw {
    let outline = outline_of(event).filter(|outline| *outline.0 != *event);
    outline.and_then(|outline| seal(signer, &outline.0)).unwrap_or(Raw(Vec::new()))
}

/// Whether the server with this key told this event.
pub fn holds(key: &PublicKey, event: &[u8], seal: &[u8]) -> bool {
    seal.try_into().is_ok_and(|seal| sshsig::verifies(key, EVENT, event, seal))
}

/// Signs how far a log goes.
pub fn claim(signer: &Signer, origin: Origin, incarnation: Incarnation, to: Sequence, at: Time) -> Option<Claim> {
    let signature = signer.sign(CLAIM, &said(origin, incarnation, to, at)).ok()?;
    Some(Claim { key: Raw(signer.public().bytes().to_vec()), to, at, signature: Raw(signature.to_vec()) })
}

/// The key in whose name it is said, if it is that of the server whose log it is. Whether that one said it is not
/// looked at: for what it tells itself.
pub fn claimant(claim: &Claim, origin: Origin) -> Option<PublicKey> {
    let key = PublicKey::from_bytes(claim.key.0.as_slice().try_into().ok()?).ok()?;
    (key.origin() == origin).then_some(key)
}

/// The key of the server that says so, if it is the one whose log it is.
pub fn claimed(claim: &Claim, origin: Origin, incarnation: Incarnation) -> Option<PublicKey> {
    let key = claimant(claim, origin)?;
    let signature: &[u8; LENGTH] = claim.signature.0.as_slice().try_into().ok()?;
    let message = said(origin, incarnation, claim.to, claim.at);
    sshsig::verifies(&key, CLAIM, &message, signature).then_some(key)
}

/// Of fixed length: nothing in it can be read in two ways.
fn said(origin: Origin, incarnation: Incarnation, to: Sequence, at: Time) -> Vec<u8> {
    let mut out = Vec::with_capacity(40);
    out.extend_from_slice(&origin.0);
    out.extend_from_slice(&incarnation.0.to_be_bytes());
    out.extend_from_slice(&to.0.to_be_bytes());
    out.extend_from_slice(&at.micros().to_be_bytes());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFE: Incarnation = Incarnation(7);
    const AT: Time = Time::from_secs(1_790_000_000);

    #[test]
    fn f8_the_exact_bytes_are_signed_and_by_whom_they_are() {
        let (signer, other) = (Signer::from_seed([1; 32]), Signer::from_seed([2; 32]));
        let sealed = seal(&signer, b"an event").unwrap().0;
        assert!(holds(&signer.public(), b"an event", &sealed));
        assert!(!holds(&signer.public(), b"an  event", &sealed));
        assert!(!holds(&other.public(), b"an event", &sealed));
        for place in 0..sealed.len() {
            let mut bent = sealed.clone();
            bent[place] ^= 1;
            assert!(!holds(&signer.public(), b"an event", &bent));
        }
        assert!(!holds(&signer.public(), b"an event", &sealed[1..]));
    }

    #[test]
    fn a_claim_is_of_one_place_in_one_life_of_one_log_at_one_time() {
        let signer = Signer::from_seed([1; 32]);
        let origin = signer.public().origin();
        let said = claim(&signer, origin, LIFE, Sequence(9), AT).unwrap();
        assert_eq!(claimed(&said, origin, LIFE), Some(signer.public()));
        assert_eq!(claimed(&said, origin, Incarnation(8)), None);
        assert_eq!(claimed(&said, Origin([3; 16]), LIFE), None);
        assert_eq!(claimed(&Claim { to: Sequence(10), ..said.clone() }, origin, LIFE), None);
        assert_eq!(claimed(&Claim { at: Time::from_secs(1_790_000_001), ..said.clone() }, origin, LIFE), None);
        // By a key that is not that server's.
        let other = claim(&Signer::from_seed([2; 32]), origin, LIFE, Sequence(9), AT).unwrap();
        assert_eq!(claimed(&other, origin, LIFE), None);
        assert_eq!((claimant(&other, origin), claimant(&said, origin)), (None, Some(signer.public())));
        // A claim is no event, and an event no claim.
        let message = super::said(origin, LIFE, Sequence(9), AT);
        assert!(!holds(&signer.public(), &message, &said.signature.0));
    }
}
