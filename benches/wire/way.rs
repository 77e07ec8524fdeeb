//! What is between a console and its server.

use std::sync::Arc;
use std::time::Duration;

use midwatch::client::Address;
use midwatch::link::{Conversation, Dial, TlsTrust, way};
use midwatch::model::id::Origin;
use midwatch::trust::{KnownServers, Proving, ServerKey, Signer};
use midwatch::wire::{Hello, PROTOCOL, Role, Subscribe, ToClient, ToServer};

pub const TOKEN: &str = "token-of-the-benchmark";

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Line {
    /// A token alone.
    Plain,
    /// Keys.
    Keys,
    /// Keys, over TLS.
    Tls,
}

impl Line {
    pub fn named(word: Option<&str>) -> Line {
        match word {
            Some("plain") => Line::Plain,
            Some("keys") => Line::Keys,
            Some("tls") | None => Line::Tls,
            Some(other) => panic!("there is no line `{other}`: plain, keys, tls"),
        }
    }

    pub fn word(self) -> &'static str {
        match self {
            Line::Plain => "plain",
            Line::Keys => "keys",
            Line::Tls => "tls",
        }
    }

    pub fn address(self, address: &str) -> Address {
        if self == Line::Tls { Address::Tls(address.into()) } else { Address::Tcp(address.into()) }
    }
}

pub fn signer(seed: u8) -> Signer {
    ServerKey::from_seed([seed; 32]).signer().unwrap()
}

/// Somebody with the key of that seed, who has met nobody yet.
pub fn proving(seed: u8, folder: &tempfile::TempDir) -> Proving {
    Proving { signer: Arc::new(signer(seed)), known: KnownServers::at(folder.path().join("keys/known_servers")), server: "bench".into() }
}

/// The way of a console to a server on this line, and how both prove who they are.
pub struct Way {
    _folder: tempfile::TempDir,
    proving: Option<Proving>,
    pub dial: Arc<dyn Dial>,
    pub hello: Hello,
}

impl Way {
    pub fn to(address: &str, line: Line) -> Way {
        let folder = tempfile::tempdir().unwrap();
        let proving = (line != Line::Plain).then(|| proving(1, &folder));
        let dial = way(&line.address(address), proving.as_ref(), &TlsTrust::default());
        let token = (line == Line::Plain).then(|| TOKEN.into());
        let hello = Hello {
            protocol: PROTOCOL,
            role: Role::Console,
            name: "kim".into(),
            token,
            version: "bench".into(),
            zstd: false,
            origin: None,
            redeem: None,
            key: None,
        };
        Way { _folder: folder, proving, dial, hello }
    }

    /// To the log of a server behind it.
    pub fn behind(mut self, origin: Origin) -> Way {
        self.hello.origin = Some(origin);
        self
    }

    pub async fn open(&self) -> Conversation {
        self.open_by(&*self.dial).await
    }

    pub async fn open_by(&self, dial: &dyn Dial) -> Conversation {
        Conversation::open(dial, &self.hello, self.proving.as_ref(), Duration::from_secs(30)).await.unwrap()
    }

    /// One that hears all that happens from now on.
    pub async fn listen(&self) -> Conversation {
        let mut conversation = self.open().await;
        listen(&mut conversation).await;
        conversation
    }
}

pub async fn listen(conversation: &mut Conversation) {
    conversation.send(&ToServer::Subscribe(Subscribe::default())).await.unwrap();
    while !matches!(conversation.next().await.unwrap(), ToClient::Snapshot(_)) {}
}
