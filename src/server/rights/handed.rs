//! A grant's token is shown: narrowed by its holder, or handed on to whoever shows it.

use std::sync::Arc;

use super::roll::Roll;
use crate::model::grant::{Grant, Key, Scope};
use crate::model::time::{Span, Time};
use crate::server::session::Shared;
use crate::trust::PublicKey;
use crate::trust::grant::{self, NoToken};

/// How long a token is good for before it is asked for anew: so long a partition may hide a revocation from
/// those whom this server cannot tell.
pub const LEASE: Span = Span::from_hours(24);

/// Somebody's grant, as far as a token lets another use it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Handed {
    /// The key that proved itself.
    pub key: PublicKey,
    pub name: Arc<str>,
    /// Whose grant it is, and the key of theirs that the token was minted for: it ends with either.
    pub grant: Arc<Grant>,
    pub holder: Key,
    /// What the token allows: never more than the grant, whatever that becomes.
    pub token: Scope,
}

impl Handed {
    /// What the bearer may do, by the grant as it is now.
    pub fn scope(&self, grant: &Grant) -> Scope {
        grant.scope.narrow(&self.token)
    }

    /// The same, as long as that grant is its holder's.
    pub fn seen(&self, roll: &Roll) -> Option<Scope> {
        roll.of_key(&self.holder).filter(|grant| grant.id == self.grant.id).map(|grant| self.scope(grant))
    }
}

/// Whether a `hello`'s token is one of a grant's.
pub fn is_one(token: &str) -> bool {
    token.starts_with("mwt1")
}

/// What this token opens for one who proved this key.
pub fn shown(shared: &Shared, key: PublicKey, token: &str) -> Result<Handed, String> {
    let own = shared.gate.signer().ok_or("this server cannot look at tokens now")?;
    let shown = grant::read(token, &own.public(), shared.clock.now()).map_err(|error: NoToken| error.to_string())?;
    if shown.bearer != Key::of(key.bytes()) {
        return Err("this token is not bound to your key, nor was it handed on to it".to_owned());
    }
    let held = shared.roll.borrow().of_key(&shown.key).filter(|grant| grant.id == shown.grant).cloned();
    let grant = held.ok_or("the grant that this token stands for was revoked, or is over")?;
    // Names are given by those who answer for them: a handed one says by whom.
    let name = shown.name.map_or_else(|| grant.name.clone(), |name| format!("{name} via {}", grant.name).into());
    Ok(Handed { key, name, grant, holder: shown.key, token: shown.scope })
}

/// A token for what a key was granted, bound to that key; none where this server cannot sign one.
pub fn minted(shared: &Shared, grant: &Grant, key: &Key, now: Time) -> Option<Arc<str>> {
    let lease = now.plus(LEASE);
    let scope = Scope { expires: Some(grant.scope.expires.map_or(lease, |expires| expires.min(lease))), ..grant.scope.clone() };
    match grant::mint(shared.gate.signer()?, grant.id, key, &scope) {
        Ok(token) => Some(token.into()),
        Err(error) => {
            tracing::warn!(%error, "a token could not be minted");
            None
        }
    }
}
