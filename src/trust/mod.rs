//! Who is who: Ed25519 keys in OpenSSH's format for persons, agents and servers, the handshake that proves
//! them, the files that say whose they are, and tokens that stand in for grants.

pub mod authorized;
pub mod grant;
pub mod handshake;
pub mod invite;
pub mod key;
pub mod known_servers;
pub mod openssh;
mod private;
pub mod proving;
pub mod public;
pub mod seal;
pub mod signer;
pub mod ssh_agent;
mod sshsig;
pub mod tls;
pub mod token;
pub mod verb;
pub mod vouch;
pub mod words;
pub mod world;

pub use authorized::{AuthorizedKeys, Holder};
pub use invite::InviteCode;
pub use key::ServerKey;
pub use known_servers::KnownServers;
pub use openssh::KeyFile;
pub use private::KeyError;
pub use proving::{NotProved, Proving};
pub use public::{NoKey, PublicKey};
pub use signer::Signer;
pub use token::{Token, TokenKind, Tokens};
