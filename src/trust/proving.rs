//! How one end of a link proves who it is, and whom it expects on the other.

use std::sync::Arc;
use std::time::Instant;

use super::handshake::{Binding, Client, Refused, nonce};
use super::known_servers::{Known, KnownServers};
use super::private::KeyError;
use super::public::PublicKey;
use super::signer::{SignError, Signer};
use crate::wire::Role;

/// The key that is shown to one server, and where that server's own is remembered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Proving {
    pub signer: Arc<Signer>,
    pub known: KnownServers,
    /// As the server is called in `known`.
    pub server: Arc<str>,
}

/// Why one does not speak to a server. Each says what to do.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotProved {
    #[error(transparent)]
    File(#[from] KeyError),
    #[error(
        "THE KEY OF {name} HAS CHANGED. Ask its operator why: it shows {got}, and {file}:{line} says {expected}. Either it was made anew, or somebody stands between. \
         `midwatch keys show` says there what its server.key is; if that is the new one, `midwatch keys forget {name}` makes room for it"
    )]
    Changed { name: Arc<str>, expected: PublicKey, got: PublicKey, file: String, line: usize },
    #[error(
        "{name} proves its key no more. Ask its operator why: {file}:{line} knows it, and what answers now proves none: an older midwatch, or somebody else. Nothing was told it. \
         If its operator says that it went back to an older version, `midwatch keys forget {name}` lets it in by its token"
    )]
    Downgraded { name: Arc<str>, file: String, line: usize },
    #[error("{0} is an older midwatch that knows no keys: it needs a token (`token_file`)")]
    TooOld(Arc<str>),
    #[error(
        "{name} is met for the first time, and shows the key {key}. Nobody was asked whether that is right. If its operator says so (`midwatch keys show` there, with its \
         server.key), add this line to {file}: `{name} {line}`; or say `accept_new = true` in console.toml", line = key.line()
    )]
    Unmet { name: Arc<str>, key: PublicKey, file: String },
    #[error(
        "the certificate of {name} is of the key {certificate}, and it proves the key {proved}. If a proxy that you trust ends TLS there, say `proxy = true` for \
         this server and name the authority that vouches for it in `ca`; else somebody may stand between"
    )]
    TwoKeys { name: Arc<str>, certificate: PublicKey, proved: PublicKey },
    #[error("the handshake failed: {0}")]
    Handshake(Refused),
    #[error("the key cannot sign: {0}")]
    Sign(#[from] SignError),
    #[error("the system has no random numbers for a handshake")]
    Random,
}

/// A handshake under way.
pub struct Underway {
    client: Client,
    known: Option<Known>,
    /// What the line beneath has shown.
    shown: Option<PublicKey>,
    /// An authority has vouched for the line beneath.
    vouched: bool,
}

impl Proving {
    /// Begins: the opening to send. `shown`: the key that the server's certificate is of, where it made one itself.
    pub fn begin(&self, role: Role, binding: Binding, shown: Option<PublicKey>, deadline: Instant) -> Result<(Underway, Vec<u8>), NotProved> {
        let known = self.known.find(&self.server)?;
        let nonce = nonce().ok_or(NotProved::Random)?;
        let (client, opening) = Client::open(self.signer.public(), role, known.map(|known| known.key), nonce, binding, deadline);
        let vouched = shown.is_none() && matches!(binding, Binding::TlsExporter(_));
        Ok((Underway { client, known, shown, vouched }, opening))
    }

    /// Takes the server's reply: who it is, and the proof to send. Who was not known is remembered, or, where
    /// somebody is to be asked and no authority vouches for it, refused.
    pub async fn prove(&self, underway: Underway, now: Instant, reply: &[u8]) -> Result<(PublicKey, Vec<u8>), NotProved> {
        let proved = underway.client.reply(now, reply).map_err(|why| match (why, underway.known) {
            (Refused::OtherKey { expected, got }, Some(known)) => {
                NotProved::Changed { name: self.server.clone(), expected, got, file: self.known.path().display().to_string(), line: known.line }
            }
            (why, _) => NotProved::Handshake(why),
        })?;
        if let Some(shown) = underway.shown
            && shown != proved.server
        {
            return Err(NotProved::TwoKeys { name: self.server.clone(), certificate: shown, proved: proved.server });
        }
        if underway.known.is_none() {
            if self.known.asks() && !underway.vouched {
                let file = self.known.path().display().to_string();
                return Err(NotProved::Unmet { name: self.server.clone(), key: proved.server, file });
            }
            self.known.remember(&self.server, &proved.server)?;
            tracing::warn!(server = &*self.server, key = %proved.server, file = %self.known.path().display(), "met for the first time: its key is remembered");
        }
        let (server, signer) = (proved.server, self.signer.clone());
        let signed = if signer.may_wait() {
            let waited = tokio::task::spawn_blocking(move || proved.sign(&signer).map(|signature| (proved, signature))).await;
            // Only a program that ends does not wait for it.
            waited.map_err(|_| NotProved::Handshake(Refused::Late))?
        } else {
            proved.sign(&signer).map(|signature| (proved, signature))
        };
        let (proved, signature) = signed?;
        let proof = proved.proof(Instant::now(), &signature).map_err(NotProved::Handshake)?;
        Ok((server, proof))
    }

    /// A server that knows no handshake: fine only where nothing else is known of it, and a token is at hand.
    pub fn without(&self, token: bool) -> Result<(), NotProved> {
        match self.known.find(&self.server)? {
            Some(known) => Err(NotProved::Downgraded { name: self.server.clone(), file: self.known.path().display().to_string(), line: known.line }),
            None if token => Ok(()),
            None => Err(NotProved::TooOld(self.server.clone())),
        }
    }
}
