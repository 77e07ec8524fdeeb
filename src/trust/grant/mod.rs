//! Grants as tokens that their holders keep: minted by a server's key for one key, narrowed without asking
//! anybody, handed on to another key by a statement that the holder signs.
//!
//! ```text
//! mwt1.TOKEN                          a Biscuit: what the server granted, and each narrowing after it
//! mwt1.TOKEN.STATEMENT.SIGNATURE      … handed on: to whom, narrower still, until when
//! ```
//!
//! A token alone opens nothing: whoever shows it proves, in the handshake, the key that it is bound to, or
//! that it was handed on to at last. What comes out of reading one is what all of its parts allow together;
//! a part that is not understood whole makes it worthless, and the grant that it names must still hold in
//! the server's log.

mod biscuit;
mod handed;
pub mod lease;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::model::grant::{Key, Right, Scope};
use crate::model::id::GrantId;
use crate::model::time::Time;
use crate::trust::{PublicKey, Signer};

const MARK: &str = "mwt1";
/// Bytes of a token with all that is said beside it: it stands in a `hello`.
const LONGEST: usize = 6 << 10;
/// How often one may be handed on: so many servers may lie between a log and who receives it.
pub const HANDS: usize = 8;

/// What a token allows, once it has been looked at whole.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shown {
    /// The grant in the server's log that it stands for, and the key that it was given to.
    pub grant: GrantId,
    pub key: Key,
    /// Whose it is now: the same key, or the one that it was handed on to at last.
    pub bearer: Key,
    /// As what the bearer is known, where it was handed on.
    pub name: Option<Arc<str>>,
    /// Never more than any part of it allows.
    pub scope: Scope,
    /// By whom it was handed on, the one that it was given to first.
    pub hands: Vec<Key>,
    /// Whether each of those was allowed to pass on what it was told.
    pub onward: bool,
}

/// Why a token is none.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NoToken {
    #[error("this is no grant's token: one begins with `{MARK}.`")]
    Other,
    #[error("a grant's token of more than {LONGEST} bytes, or handed on more than {HANDS} times")]
    TooLong,
    #[error("this token is damaged, or not signed by this server")]
    Damaged,
    #[error("this token holds a restriction that is not understood here: {0}")]
    NotUnderstood(String),
    #[error("this token is over since {0}")]
    Over(Time),
    #[error("this token was handed on by a statement that is not its holder's")]
    Statement,
    #[error("nothing is left of this token that could be handed on")]
    Nothing,
    #[error("a token is handed on until a time, and for no longer than it holds itself")]
    Endless,
    #[error("this key cannot sign tokens itself: it is held by an ssh-agent")]
    Elsewhere,
    #[error("the key cannot sign: {0}")]
    Sign(#[from] crate::trust::signer::SignError),
}

/// A server says what it granted to a key. `scope.expires` is the lease: it is asked for anew before.
pub fn mint(server: &Signer, grant: GrantId, key: &Key, scope: &Scope) -> Result<String, NoToken> {
    biscuit::mint(server, grant, key, scope).map(|token| format!("{MARK}.{token}"))
}

/// The same for less: without the server, and without any key. Nobody can take it back out.
pub fn narrow(token: &str, scope: &Scope) -> Result<String, NoToken> {
    let parts = Parts::of(token, LONGEST)?;
    if !parts.hands.is_empty() {
        return Err(NoToken::NotUnderstood("a token that was handed on is narrowed by handing it on again".into()));
    }
    biscuit::narrow(parts.biscuit, scope).map(|token| format!("{MARK}.{token}"))
}

/// The holder hands it on to another key, for less and for a time.
pub fn hand(token: &str, holder: &Signer, to: &Key, name: &str, scope: &Scope) -> Result<String, NoToken> {
    let parts = Parts::of(token, lease::LONGEST)?;
    if parts.hands.len() >= HANDS {
        return Err(NoToken::TooLong);
    }
    let said = handed::hand(token, holder, to, name, scope)?;
    Ok(format!("{token}.{said}"))
}

/// What a token allows whom, by the server's key alone. Whether the grant still holds, its log says.
pub fn read(token: &str, server: &PublicKey, now: Time) -> Result<Shown, NoToken> {
    read_of(token, server, now, LONGEST)
}

fn read_of(token: &str, server: &PublicKey, now: Time, longest: usize) -> Result<Shown, NoToken> {
    let parts = Parts::of(token, longest)?;
    let mut shown = biscuit::read(parts.biscuit, server, now)?;
    let mut before = format!("{MARK}.{}", parts.biscuit);
    for (statement, signature) in parts.hands {
        let said = handed::read(&before, &shown.bearer, statement, signature)?;
        // Without an end of its own a statement is none (A6).
        shown.onward &= shown.scope.rights.has(Right::Federate);
        shown.scope = shown.scope.narrow(&said.scope);
        shown.name = Some(said.name);
        shown.hands.push(std::mem::replace(&mut shown.bearer, said.to));
        before = format!("{before}.{statement}.{signature}");
    }
    match shown.scope.expires.filter(|expires| *expires <= now) {
        Some(expires) => Err(NoToken::Over(expires)),
        None => Ok(shown),
    }
}

struct Parts<'a> {
    biscuit: &'a str,
    hands: Vec<(&'a str, &'a str)>,
}

impl<'a> Parts<'a> {
    fn of(token: &'a str, longest: usize) -> Result<Parts<'a>, NoToken> {
        if token.len() > longest {
            return Err(NoToken::TooLong);
        }
        let mut parts = token.split('.');
        if parts.next() != Some(MARK) {
            return Err(NoToken::Other);
        }
        let biscuit = parts.next().ok_or(NoToken::Other)?;
        let mut hands = Vec::new();
        while let Some(statement) = parts.next() {
            hands.push((statement, parts.next().ok_or(NoToken::Damaged)?));
        }
        if hands.len() > HANDS { Err(NoToken::TooLong) } else { Ok(Parts { biscuit, hands }) }
    }
}
