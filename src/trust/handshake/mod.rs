//! The handshake: both ends prove their keys over everything that was said. `HANDSHAKE.md` has it step
//! by step, and what each step prevents.
//!
//! It is a machine without sockets, clocks or random numbers: bytes, nonces and times are handed in.
//! Each message has one size and one meaning; nothing is parsed that could be read in two ways.

mod client;
mod server;

use std::time::Instant;

use super::public::{NoKey, PublicKey};
use super::signer::SignError;
use crate::wire::{Role, SUBPROTOCOL};

pub use client::{Client, Proved};
pub use server::{Peer, Server};

/// The versions of the handshake that are spoken here.
pub const LEAST: u8 = 1;
pub const HIGHEST: u8 = 1;

/// The sizes of the three messages.
pub const OPENING: usize = 4 + 32 + 32 + 32 + 33;
pub const REPLY: usize = 2 + 32 + 32 + 33 + 64;
pub const PROOF: usize = 1 + 64;

/// What a signature is for: a server's is worth nothing as a client's.
const BY_SERVER: &str = "midwatch-handshake-server";
const BY_CLIENT: &str = "midwatch-handshake-client";

/// The line beneath: a proof is bound to it, where it is ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Binding {
    /// Nothing: loopback, where no line is ours to bind to.
    None,
    /// The exporter of a TLS connection that both ends share (RFC 9266).
    TlsExporter([u8; 32]),
}

impl Binding {
    fn bytes(self) -> [u8; 33] {
        let (kind, value) = match self {
            Binding::None => (0, [0; 32]),
            Binding::TlsExporter(value) => (1, value),
        };
        let mut out = [0; 33];
        out.iter_mut().zip(std::iter::once(kind).chain(value)).for_each(|(to, from)| *to = from);
        out
    }
}

/// Why a handshake came to nothing. Whichever it is, nobody is in.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refused {
    #[error("a message of the handshake has {expected} bytes, and {got} came")]
    Size { expected: usize, got: usize },
    #[error("a message of the handshake came out of turn")]
    Turn,
    #[error("no version of the handshake is spoken by both: one end speaks {0} to {1}")]
    Version(u8, u8),
    #[error("nobody has this role")]
    Role,
    #[error("the other end's key: {0}")]
    Key(#[from] NoKey),
    #[error("both ends have the same key")]
    Itself,
    #[error("this proof is for the server {0}, and this is another")]
    Audience(PublicKey),
    #[error("the server has the key {got}, and not {expected}")]
    OtherKey { expected: PublicKey, got: PublicKey },
    #[error(
        "the two ends are not on the same line: somebody between ends TLS. If that is a proxy that you trust fully, say `proxy = true` for this server, \
         and let its operator name the proxy in `[proxy] trusted`"
    )]
    Binding,
    #[error("the signature is not this key's over what was said")]
    Signature,
    #[error("the handshake took too long")]
    Late,
    #[error(transparent)]
    Sign(#[from] SignError),
}

/// 32 bytes that nobody can foretell, for one handshake.
pub fn nonce() -> Option<[u8; 32]> {
    let mut out = [0; 32];
    getrandom::fill(&mut out).ok().map(|()| out)
}

const fn role_byte(role: Role) -> u8 {
    match role {
        Role::Console => 1,
        Role::Agent => 2,
        Role::Peer => 3,
    }
}

fn role_of(byte: u8) -> Result<Role, Refused> {
    [Role::Console, Role::Agent, Role::Peer].into_iter().find(|role| role_byte(*role) == byte).ok_or(Refused::Role)
}

/// What is signed: the protocol above, then everything that was said, as it was said. The messages have
/// fixed sizes, so that no other messages make the same text.
fn transcript(said: &[&[u8]]) -> Vec<u8> {
    [&[b"midwatch handshake\0".as_slice(), SUBPROTOCOL.as_bytes(), b"\0"], said].concat().concat()
}

fn in_time(now: Instant, deadline: Instant) -> Result<(), Refused> {
    if now > deadline { Err(Refused::Late) } else { Ok(()) }
}

/// Takes a message apart, front to back.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// A message of exactly this size, and of this turn.
    fn of(bytes: &'a [u8], size: usize, turn: u8) -> Result<Fields<'a>, Refused> {
        if bytes.len() != size {
            return Err(Refused::Size { expected: size, got: bytes.len() });
        }
        let mut fields = Fields(bytes);
        if fields.byte()? == turn { Ok(fields) } else { Err(Refused::Turn) }
    }

    fn byte(&mut self) -> Result<u8, Refused> {
        self.take::<1>().map(|[byte]| byte)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], Refused> {
        let (head, tail) = self.0.split_first_chunk::<N>().ok_or(Refused::Size { expected: N, got: self.0.len() })?;
        self.0 = tail;
        Ok(*head)
    }
}

#[cfg(test)]
mod tests;
