//! A person's key says of another one that it is the same person's: signed, for one server, and good for a
//! moment, so that it cannot be brought again after that other one was lost.
//!
//! ```text
//! midwatch key vouched for 1
//! server 3f2a9c…                 the origin
//! by ssh-ed25519 AAAA…
//! for ssh-ed25519 AAAA…
//! at 2026-11-21T02:39:00Z
//! ```

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::public::PublicKey;
use super::signer::{SignError, Signer};
use super::sshsig;
use crate::model::grant::{Key, Vouched};
use crate::model::id::Origin;
use crate::model::time::{Span, Time};

const NAMESPACE: &str = "midwatch-key";
/// How far the clocks of who vouches and of who hears it may be apart, the way between them included.
const MOMENT: Span = Span::from_mins(10);

fn text(server: Origin, by: &Key, of: &Key, at: Time) -> String {
    format!("midwatch key vouched for 1\nserver {server}\nby {by}\nfor {of}\nat {at}\n")
}

/// The holder of `signer` says that `key` is theirs, too.
pub fn vouch(signer: &Signer, server: Origin, key: &Key, at: Time) -> Result<Vouched, SignError> {
    let (by, at) = (Key::of(signer.public().bytes()), Time::from_secs(at.secs()));
    let signature = signer.sign(NAMESPACE, text(server, &by, key, at).as_bytes())?;
    Ok(Vouched { by, at, signature: STANDARD.encode(signature).into() })
}

/// Whether that was said, to this server and just now; or why not.
pub fn holds(vouched: &Vouched, server: Origin, key: &Key, now: Time) -> Result<(), &'static str> {
    let by = PublicKey::from_bytes(vouched.by.bytes()).map_err(|_| "its key is none")?;
    let signature = STANDARD.decode(&*vouched.signature).ok().and_then(|bytes| bytes.try_into().ok()).ok_or("its signature is none")?;
    if !sshsig::verifies(&by, NAMESPACE, text(server, &vouched.by, key, vouched.at).as_bytes(), &signature) {
        return Err("its signature does not hold");
    }
    if vouched.at > now.plus(MOMENT) || vouched.at < now.minus(MOMENT) {
        return Err("it was not said now; are the clocks right?");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_secs(1_790_000_000);
    const HERE: Origin = Origin([1; 16]);

    #[test]
    fn a_word_for_a_key_holds_for_that_key_there_and_now() {
        let (laptop, phone) = (Signer::from_seed([4; 32]), Key::of(Signer::from_seed([5; 32]).public().bytes()));
        let said = vouch(&laptop, HERE, &phone, NOW).unwrap();
        assert_eq!(holds(&said, HERE, &phone, NOW.plus(Span::from_secs(9))), Ok(()));
        assert_eq!(holds(&said, HERE, &said.by, NOW), Err("its signature does not hold"));
        assert_eq!(holds(&said, Origin([2; 16]), &phone, NOW), Err("its signature does not hold"));
        for span in [Span::from_mins(11), Span::from_days(9)] {
            assert_eq!(holds(&said, HERE, &phone, NOW.plus(span)), Err("it was not said now; are the clocks right?"));
        }
        assert!(holds(&said, HERE, &phone, NOW.minus(Span::from_mins(11))).is_err());
        let later = Vouched { at: NOW.plus(Span::from_days(9)), ..said.clone() };
        assert_eq!(holds(&later, HERE, &phone, later.at), Err("its signature does not hold"), "the time is under it");
        assert_eq!(holds(&Vouched { by: phone.clone(), ..said }, HERE, &phone, NOW), Err("its signature does not hold"));
    }
}
