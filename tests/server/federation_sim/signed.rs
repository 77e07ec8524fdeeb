//! What servers sign, read by nothing of midwatch's: signatures as OpenSSH's PROTOCOL.sshsig has them, leases as
//! Biscuits and the statements behind them.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use biscuit_auth::{Algorithm, Biscuit};
use ed25519_dalek::{Signature, VerifyingKey};
use sha2::{Digest, Sha256, Sha512};

use super::decode::Value;
use super::truth::{SYSTEMS, covers, system};

/// A lease, as its last part says it.
#[derive(Clone, Debug)]
pub struct Told {
    /// By the server whose log it is, microseconds since 1970.
    pub until: i64,
    systems: String,
    rights: Vec<String>,
    /// Servers that handed it on.
    pub hands: usize,
}

impl Told {
    pub fn has(&self, right: &str) -> bool {
        self.rights.iter().any(|other| other == right)
    }

    pub fn sees(&self, system: &str) -> bool {
        self.has("read") && covers(&self.systems, system)
    }
}

/// Whether whoever has this key signed it.
pub fn signed(key: &[u8], namespace: &str, message: &[u8], signature: &[u8]) -> bool {
    let mut blob = b"SSHSIG".to_vec();
    for part in [namespace.as_bytes(), b"", b"sha512", &Sha512::digest(message)] {
        blob.extend(u32::try_from(part.len()).unwrap().to_be_bytes());
        blob.extend(part);
    }
    let key = key.try_into().ok().and_then(|key| VerifyingKey::from_bytes(key).ok());
    let signature = Signature::from_slice(signature).ok();
    key.zip(signature).is_some_and(|(key, signature)| key.verify_strict(&blob, &signature).is_ok())
}

/// How far a log goes, as its server signs it: up to there, and when.
pub fn claim(key: &[u8], origin: &[u8], life: u64, claim: &Value) -> Option<(u64, i64)> {
    let Value::Int(at) = claim.get("at") else { return None };
    let (to, at) = (claim.get("to").int()?, i64::try_from(*at).ok()?);
    let message = [origin, &life.to_be_bytes(), &to.to_be_bytes(), &at.to_be_bytes()].concat();
    signed(key, "midwatch-claim", &message, claim.get("signature").bytes()?).then_some((to, at))
}

/// A lease for the key `reader`, of the log of the server with the key `of`, of which `origin` is the number; handed on
/// by `holder` where that is another.
pub fn lease(lease: &Value, of: &[u8], origin: usize, holder: &[u8], reader: &[u8]) -> Result<Told, String> {
    if lease.get("key").bytes() != Some(of) {
        return Err("of another server".into());
    }
    let token = lease.get("token").text().unwrap_or_default();
    let mut parts = token.split('.');
    let (mark, biscuit) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let key = biscuit_auth::PublicKey::from_bytes(of, Algorithm::Ed25519).map_err(|error| error.to_string())?;
    let opened = Biscuit::from_base64(biscuit, key).map_err(|error| error.to_string())?;
    let source = opened.print_block_source(0).map_err(|error| error.to_string())?;
    let facts = |name: &str| -> Vec<String> {
        let fact = |line: &str| Some(line.strip_prefix(name)?.strip_prefix("(\"")?.strip_suffix("\");")?.to_owned());
        source.lines().filter_map(fact).collect()
    };
    let until = source.lines().find_map(|line| line.strip_prefix("check if time($time), $time <= ")?.strip_suffix(';'));
    let mut bearer = key_of(facts("key").first().map_or("", String::as_str));
    let mut told = Told { until: micros(until.unwrap_or_default())?, systems: facts("system").join(","), rights: facts("right"), hands: 0 };
    let mut before = format!("{mark}.{biscuit}");
    let mut last = Vec::new();
    while let (Some(statement), Some(signature)) = (parts.next(), parts.next()) {
        let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|error| error.to_string());
        let text = String::from_utf8(decode(statement)?).map_err(|error| error.to_string())?;
        if !signed(&bearer, "midwatch-grant", text.as_bytes(), &decode(signature)?) {
            return Err("handed on by somebody else than its holder".into());
        }
        let word = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).unwrap_or_default().to_owned();
        let digest: String = Sha256::digest(before.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
        if word("token") != digest {
            return Err("a statement about something else".into());
        }
        if !told.has("federate") {
            return Err("handed on by one who may not".into());
        }
        let next = Told {
            until: micros(&word("expires"))?,
            systems: word("systems"),
            rights: word("rights").split(',').map(str::to_owned).collect(),
            hands: told.hands + 1,
        };
        let wider = (0..SYSTEMS).map(|number| system(origin, number)).any(|id| next.sees(&id) && !told.sees(&id));
        if wider || next.until > told.until {
            return Err("more than what was handed on".into());
        }
        last = std::mem::replace(&mut bearer, key_of(&word("to")));
        told = next;
        before = format!("{before}.{statement}.{signature}");
    }
    if (told.hands == 0) != (holder == of) || (told.hands > 0 && last != holder) {
        return Err("handed on by others than those through whom it came".into());
    }
    if bearer != reader { Err("for somebody else".into()) } else { Ok(told) }
}

/// The 32 bytes of `ssh-ed25519 AAAA…`.
fn key_of(line: &str) -> Vec<u8> {
    let blob = line.strip_prefix("ssh-ed25519 ").and_then(|rest| STANDARD.decode(rest).ok()).unwrap_or_default();
    blob.get(blob.len().saturating_sub(32)..).unwrap_or_default().to_vec()
}

fn micros(date: &str) -> Result<i64, String> {
    date.parse::<jiff::Timestamp>().map(|at| at.as_microsecond()).map_err(|error| format!("{date}: {error}"))
}
