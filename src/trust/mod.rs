//! Who is who: Ed25519 keys in OpenSSH's format for persons and servers, and tokens that stand in for
//! grants. Both lie in files that only their owner can read.

pub mod key;
pub mod openssh;
mod private;
pub mod public;
pub mod token;
pub mod words;

pub use key::ServerKey;
pub use openssh::KeyFile;
pub use private::KeyError;
pub use public::{NoKey, PublicKey};
pub use token::{Token, TokenKind, Tokens};
