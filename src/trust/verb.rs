//! A person's request, signed with their own key for the server that is to do it: whoever passes it on cannot
//! change it, and it is worth nothing at another server, for another request, or after its time.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::public::PublicKey;
use super::signer::{SignError, Signer};
use super::sshsig;
use crate::model::id::Origin;
use crate::model::intent::{Request, Signed};
use crate::model::time::{Span, Time};

const VERB: &str = "midwatch-verb";
/// How long a request may be on its way.
const LASTS: Span = Span::from_days(7);
/// Letters of one: notes are the longest.
const LONGEST: usize = 1 << 20;

#[derive(Serialize, Deserialize)]
struct Asked {
    origin: Origin,
    until: Time,
    request: Request,
}

/// Signs a request for that server.
pub fn sign(signer: &Signer, origin: Origin, request: &Request) -> Result<Signed, SignError> {
    let request = Request { signed: None, ..request.clone() };
    let asked = Asked { origin, until: request.made.plus(LASTS), request };
    let text = serde_json::to_string(&asked).map_err(|_| SignError::Purpose)?;
    let signature = signer.sign(VERB, text.as_bytes())?;
    Ok(Signed { key: STANDARD.encode(signer.public().bytes()).into(), asked: text.into(), signature: STANDARD.encode(signature).into() })
}

/// What was asked of this server, and by whose key; or why that cannot be.
pub fn signed(signed: &Signed, origin: Origin, now: Time) -> Result<(PublicKey, Request), &'static str> {
    if signed.asked.len() > LONGEST {
        return Err("it is too long");
    }
    let bytes = |text: &str| STANDARD.decode(text).ok();
    let key = bytes(&signed.key).and_then(|key| PublicKey::from_bytes(key.try_into().ok()?).ok()).ok_or("its key is none")?;
    let signature = bytes(&signed.signature).and_then(|signature| signature.try_into().ok()).ok_or("its signature is none")?;
    if !sshsig::verifies(&key, VERB, signed.asked.as_bytes(), &signature) {
        return Err("its signature does not hold");
    }
    let asked: Asked = serde_json::from_str(&signed.asked).map_err(|_| "what was signed cannot be read")?;
    if asked.origin != origin {
        return Err("it was asked of another server");
    }
    if asked.until < now {
        return Err("its time is over");
    }
    Ok((key, asked.request))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::RequestId;
    use crate::model::intent::Intent;

    const MADE: Time = Time::from_secs(1_790_000_000);
    const HERE: Origin = Origin([1; 16]);

    fn request(text: &str) -> Request {
        let intent = Intent::NoteSystem { system: "shop".parse().unwrap(), text: text.into() };
        Request { id: RequestId([3; 16]), by: "kim".into(), made: MADE, intent, signed: None }
    }

    #[test]
    fn what_a_person_signed_is_done_as_it_was_asked_there_and_in_its_time() {
        let signer = Signer::from_seed([4; 32]);
        let asked = sign(&signer, HERE, &request("looked at it")).unwrap();
        assert_eq!(signed(&asked, HERE, MADE), Ok((signer.public(), request("looked at it"))));
        assert_eq!(signed(&asked, Origin([2; 16]), MADE), Err("it was asked of another server"));
        assert_eq!(signed(&asked, HERE, MADE.plus(Span::from_days(8))), Err("its time is over"));
        let other = sign(&signer, HERE, &request("look at it")).unwrap();
        assert_eq!(signed(&Signed { asked: other.asked, ..asked.clone() }, HERE, MADE), Err("its signature does not hold"));
        let foreign = sign(&Signer::from_seed([5; 32]), HERE, &request("looked at it")).unwrap();
        assert_eq!(signed(&Signed { key: foreign.key, ..asked.clone() }, HERE, MADE), Err("its signature does not hold"));
        assert!(signed(&Signed { key: "AAAA".into(), ..asked.clone() }, HERE, MADE).is_err());
        assert_eq!(signed(&Signed { asked: "x".repeat(LONGEST + 1).into(), ..asked }, HERE, MADE), Err("it is too long"));
    }
}
