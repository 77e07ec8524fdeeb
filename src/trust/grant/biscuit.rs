//! The Biscuit within a token: the only place that knows the library.
//!
//! Every block says the same few things in Datalog, and nothing else is understood: which systems and which
//! rights, and a check that its time is not over; the first one also the grant and the key. A block that says
//! anything else makes the token worthless: a restriction that is not understood is not passed over.
//!
//! ```text
//! grant("5555…");
//! key("ssh-ed25519 AAAA…");
//! system("shop/**");
//! right("read");
//! check if time($time), $time <= 2026-11-21T10:39:00Z;
//! ```

use biscuit_auth::builder::BlockBuilder;
use biscuit_auth::datalog::RunLimits;
use biscuit_auth::{Algorithm, AuthorizerBuilder, Biscuit, KeyPair, PrivateKey, UnverifiedBiscuit};

use super::{NoToken, Shown};
use crate::model::grant::{Key, Pattern, Right, Rights, Scope};
use crate::model::id::GrantId;
use crate::model::time::Time;
use crate::trust::{PublicKey, Signer};

/// Narrowings of one token.
const BLOCKS: usize = 16;
const CHECK: &str = "check if time($time), $time <= ";

/// What one block says.
#[derive(Default)]
struct Block {
    grant: Option<GrantId>,
    key: Option<Key>,
    systems: Vec<Pattern>,
    rights: Rights,
    expires: Option<Time>,
}

pub(super) fn mint(server: &Signer, grant: GrantId, key: &Key, scope: &Scope) -> Result<String, NoToken> {
    let seed = server.seed().ok_or(NoToken::Elsewhere)?;
    let root = PrivateKey::from_bytes(&seed, Algorithm::Ed25519).map(|key| KeyPair::from(&key)).map_err(|_| NoToken::Damaged)?;
    let source = format!("grant(\"{grant}\");\nkey(\"{key}\");\n{}", source(scope));
    let token = Biscuit::builder().code(source).and_then(|token| token.build(&root)).map_err(|_| NoToken::Damaged)?;
    token.to_base64().map_err(|_| NoToken::Damaged)
}

pub(super) fn narrow(token: &str, scope: &Scope) -> Result<String, NoToken> {
    let token = UnverifiedBiscuit::from_base64(token).map_err(|_| NoToken::Damaged)?;
    if token.block_count() > BLOCKS {
        return Err(NoToken::TooLong);
    }
    let block = BlockBuilder::new().code(source(scope)).map_err(|_| NoToken::Damaged)?;
    token.append(block).and_then(|token| token.to_base64()).map_err(|_| NoToken::Damaged)
}

pub(super) fn read(token: &str, server: &PublicKey, now: Time) -> Result<Shown, NoToken> {
    let root = biscuit_auth::PublicKey::from_bytes(server.bytes(), Algorithm::Ed25519).map_err(|_| NoToken::Damaged)?;
    let token = Biscuit::from_base64(token, root).map_err(|_| NoToken::Damaged)?;
    if token.block_count() > BLOCKS + 1 {
        return Err(NoToken::TooLong);
    }
    // What somebody else signed into it is nobody's here (A5).
    if token.external_public_keys().iter().any(Option::is_some) {
        return Err(NoToken::NotUnderstood("a part that another key signed".into()));
    }
    let block = |place: usize| token.print_block_source(place).map_err(|_| NoToken::Damaged).and_then(|source| parse(&source));
    let first = block(0)?;
    let (Some(grant), Some(key)) = (first.grant, first.key) else { return Err(NoToken::NotUnderstood("no grant, or no key".into())) };
    let mut scope = Scope::new(first.systems, first.rights, first.expires);
    for place in 1..token.block_count() {
        let block = block(place)?;
        if block.grant.is_some() || block.key.is_some() {
            return Err(NoToken::NotUnderstood("a grant or a key that its first part does not say".into()));
        }
        scope = scope.narrow(&Scope::new(block.systems, block.rights, block.expires));
    }
    if let Some(over) = scope.expires.filter(|expires| *expires <= now) {
        return Err(NoToken::Over(over));
    }
    // The same once more, by the library: all checks of all blocks, none passed over (A7).
    let limits = RunLimits { max_time: std::time::Duration::from_millis(500), ..RunLimits::default() };
    let asked = AuthorizerBuilder::new().code(format!("time({});\nallow if true;", date(now))).map_err(|_| NoToken::Damaged)?;
    let mut asked = asked.set_limits(limits).build(&token).map_err(|_| NoToken::Damaged)?;
    asked.authorize().map_err(|_| NoToken::NotUnderstood("one of its checks fails".into()))?;
    Ok(Shown { grant, bearer: key.clone(), key, name: None, scope, hands: Vec::new(), onward: true })
}

/// Patterns and rights have no character that needs escaping.
fn source(scope: &Scope) -> String {
    let mut out = String::new();
    for pattern in scope.systems.iter() {
        out += &format!("system(\"{pattern}\");\n");
    }
    for right in scope.rights.iter() {
        out += &format!("right(\"{right}\");\n");
    }
    if let Some(expires) = scope.expires {
        out += &format!("{CHECK}{};\n", date(expires));
    }
    out
}

/// In whole seconds, never later.
fn date(at: Time) -> String {
    Time::from_secs(at.secs()).to_string()
}

/// Line by line, each of one of five kinds.
fn parse(source: &str) -> Result<Block, NoToken> {
    let mut block = Block::default();
    for line in source.lines() {
        let refuse = || NoToken::NotUnderstood(line.chars().filter(|c| !c.is_control()).take(80).collect());
        let line = line.strip_suffix(';').ok_or_else(refuse)?;
        let fact = |name: &str| line.strip_prefix(name)?.strip_prefix("(\"")?.strip_suffix("\")");
        if let Some(text) = fact("system") {
            block.systems.push(text.parse().map_err(|_| refuse())?);
        } else if let Some(text) = fact("right") {
            block.rights = block.rights.with(text.parse::<Right>().map_err(|_| refuse())?);
        } else if let Some(text) = fact("grant") {
            if block.grant.replace(text.parse().map_err(|_| refuse())?).is_some() {
                return Err(refuse());
            }
        } else if let Some(text) = fact("key") {
            if block.key.replace(text.parse().map_err(|_| refuse())?).is_some() {
                return Err(refuse());
            }
        } else if let Some(text) = line.strip_prefix(CHECK) {
            let at: Time = text.parse().map_err(|_| refuse())?;
            block.expires = Some(block.expires.map_or(at, |known| known.min(at)));
        } else {
            return Err(refuse());
        }
    }
    Ok(block)
}
