//! Who is who, as far as it goes today: a server's key, which is its identity, and tokens in files that
//! only their owner can read.

pub mod key;
pub mod token;

pub use key::{KeyError, ServerKey};
pub use token::{Token, TokenKind, Tokens};
