//! Handing on: a statement of the holder for another key, beside the token. A text of fixed lines, signed as
//! SSHSIG with a namespace of its own; it says of which token it speaks, so that it is worth nothing beside
//! another.
//!
//! ```text
//! midwatch grant handed on 1
//! token 9f86d0…                  SHA-256 of all that stands before it
//! to ssh-ed25519 AAAA…
//! name robin
//! systems shop/varnish/**
//! rights read
//! expires 2026-11-21T10:39:00Z
//! ```
//!
//! `systems -`: none; what belongs to no system is left.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use super::NoToken;
use crate::model::grant::{Key, Pattern, Rights, Scope, is_name, joined};
use crate::model::time::Time;
use crate::trust::{PublicKey, Signer, sshsig};

const NAMESPACE: &str = "midwatch-grant";
const FIRST: &str = "midwatch grant handed on 1";
/// In place of systems.
const NO_SYSTEM: &str = "-";

/// What a statement says.
pub(super) struct Said {
    pub(super) to: Key,
    pub(super) name: Arc<str>,
    pub(super) scope: Scope,
}

fn digest(before: &str) -> String {
    Sha256::digest(before.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn hand(before: &str, holder: &Signer, to: &Key, name: &str, scope: &Scope) -> Result<String, NoToken> {
    let expires = scope.expires.ok_or(NoToken::Endless)?;
    let systems = if scope.systems.is_empty() { NO_SYSTEM.to_owned() } else { joined(&scope.systems, ",") };
    let text = format!(
        "{FIRST}\ntoken {}\nto {to}\nname {name}\nsystems {}\nrights {}\nexpires {}\n",
        digest(before),
        systems,
        scope.rights,
        Time::from_secs(expires.secs())
    );
    let signature = holder.sign(NAMESPACE, text.as_bytes())?;
    Ok(format!("{}.{}", URL_SAFE_NO_PAD.encode(text), URL_SAFE_NO_PAD.encode(signature)))
}

/// Whether `holder` handed on what stands before, and to whom. Each line is there, once, in its place.
pub(super) fn read(before: &str, holder: &Key, statement: &str, signature: &str) -> Result<Said, NoToken> {
    let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).map_err(|_| NoToken::Damaged);
    let text = decode(statement)?;
    let signature: [u8; 64] = decode(signature)?.try_into().map_err(|_| NoToken::Damaged)?;
    let holder = PublicKey::from_bytes(holder.bytes()).map_err(|_| NoToken::Statement)?;
    if !sshsig::verifies(&holder, NAMESPACE, &text, &signature) {
        return Err(NoToken::Statement);
    }
    let text = String::from_utf8(text).map_err(|_| NoToken::Damaged)?;
    let refuse = || NoToken::NotUnderstood("a statement that hands it on".into());
    let mut lines = text.strip_suffix('\n').ok_or_else(refuse)?.split('\n');
    if lines.next() != Some(FIRST) {
        return Err(refuse());
    }
    let mut line = |name: &str| lines.next().and_then(|line| line.strip_prefix(name)?.strip_prefix(' ')).ok_or_else(refuse);
    let (token, to, name, systems, rights, expires) = (line("token")?, line("to")?, line("name")?, line("systems")?, line("rights")?, line("expires")?);
    if lines.next().is_some() || !is_name(name) {
        return Err(refuse());
    }
    if token != digest(before) {
        return Err(NoToken::Statement);
    }
    let systems = Some(systems).filter(|systems| *systems != NO_SYSTEM);
    let systems: Vec<Pattern> = systems.map_or(Ok(Vec::new()), |systems| systems.split(',').map(str::parse).collect()).map_err(|_| refuse())?;
    let rights = Rights::parse(rights).map_err(|_| refuse())?;
    let expires: Time = expires.parse().map_err(|_| refuse())?;
    Ok(Said { to: to.parse().map_err(|_| refuse())?, name: name.into(), scope: Scope::new(systems, rights, Some(expires)) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "mwt1.token";

    /// What comes of a statement that its holder signed.
    fn said(bend: impl Fn(&str) -> String) -> Result<(), NoToken> {
        let (holder, to) = (Signer::from_seed([2; 32]), Key::of(Signer::from_seed([3; 32]).public().bytes()));
        let token = digest(BEFORE);
        let text = bend(&format!("{FIRST}\ntoken {token}\nto {to}\nname robin\nsystems lab\nrights read\nexpires 2026-11-21T10:39:00Z\n"));
        let signature = holder.sign(NAMESPACE, text.as_bytes()).unwrap();
        read(BEFORE, &Key::of(holder.public().bytes()), &URL_SAFE_NO_PAD.encode(text), &URL_SAFE_NO_PAD.encode(signature)).map(|_| ())
    }

    #[test]
    fn a_statement_is_understood_whole_or_is_none_although_its_holder_signed_it() {
        assert_eq!(said(str::to_owned), Ok(()));
        let bent = [
            ("of a later version", FIRST, "midwatch grant handed on 2"),
            ("with a line more", "\nexpires", "\nunless it rains\nexpires"),
            ("of a name that divides", "robin", "robin,kim"),
            ("in another order", "name robin\nsystems lab", "systems lab\nname robin"),
            ("cut short", "00Z\n", "00Z"),
        ];
        for (what, from, to) in bent {
            let told = said(|text| text.replace(from, to));
            assert!(matches!(told, Err(NoToken::NotUnderstood(_))), "{what}: {told:?}");
        }
    }
}
