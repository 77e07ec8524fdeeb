//! Who signs: a key that this process holds, or an ssh-agent that holds it for us.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use ed25519_dalek::{Signer as _, SigningKey};

use super::public::PublicKey;
use super::ssh_agent::{self, AgentError};
use super::sshsig;

/// A key that signs. What is secret about it stays within.
#[derive(Clone)]
pub struct Signer {
    public: PublicKey,
    how: How,
}

#[derive(Clone)]
enum How {
    Held(Box<SigningKey>),
    /// By the agent at this socket.
    Agent(PathBuf),
}

/// How long an ssh-agent may take: it may ask its owner first.
const PATIENCE: Duration = Duration::from_secs(8);

/// Why nothing was signed.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum SignError {
    #[error(transparent)]
    Agent(#[from] AgentError),
    #[error("the ssh-agent signed with another key")]
    Other,
    #[error("there is no purpose to sign for")]
    Purpose,
}

impl Signer {
    pub(super) fn held(signing: SigningKey, public: PublicKey) -> Signer {
        Signer { public, how: How::Held(Box::new(signing)) }
    }

    /// An ssh-agent at this socket signs; it must hold the key ([`ssh_agent::holds`]).
    pub fn agent(public: PublicKey, socket: PathBuf) -> Signer {
        Signer { public, how: How::Agent(socket) }
    }

    /// For simulations and tests.
    #[cfg(test)]
    pub fn from_seed(seed: [u8; 32]) -> Signer {
        let signing = SigningKey::from_bytes(&seed);
        Signer::held(signing.clone(), PublicKey::from_bytes(signing.verifying_key().to_bytes()).unwrap())
    }

    /// The key itself, where this process holds it: for what signs in a way of its own.
    pub(super) fn seed(&self) -> Option<[u8; 32]> {
        match &self.how {
            How::Held(signing) => Some(signing.to_bytes()),
            How::Agent(_) => None,
        }
    }

    pub fn public(&self) -> PublicKey {
        self.public
    }

    /// Whether signing may wait for somebody: not on a thread that others need.
    pub fn may_wait(&self) -> bool {
        matches!(self.how, How::Agent(_))
    }

    /// Signs a message for a purpose.
    pub fn sign(&self, namespace: &str, message: &[u8]) -> Result<[u8; 64], SignError> {
        let envelope = sshsig::envelope(namespace, message).ok_or(SignError::Purpose)?;
        match &self.how {
            How::Held(signing) => Ok(signing.sign(&envelope).to_bytes()),
            How::Agent(socket) => {
                let signature = ssh_agent::sign(socket, &self.public, &envelope, PATIENCE)?;
                // An agent that answers with anything else is found here, and not by the server's refusal.
                if sshsig::verifies(&self.public, namespace, message, &signature) { Ok(signature) } else { Err(SignError::Other) }
            }
        }
    }
}

impl PartialEq for Signer {
    fn eq(&self, other: &Signer) -> bool {
        self.public == other.public
    }
}

impl Eq for Signer {}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.public)
    }
}
