//! Who comes in by a key: the server's own, with which it proves itself, and the file of those that it
//! lets in. The file is looked at for every handshake and every other second, so that a key that was
//! taken out of it is out, with all its connections.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

use super::stamp::Stamp;
use crate::model::grant::{Key, Listed, Roles};
use crate::trust::{AuthorizedKeys, Holder, PublicKey, Signer};

/// How often the file is looked at while nobody comes.
const LOOK: Duration = Duration::from_secs(2);

pub struct Gate {
    /// None: this server proves nothing and takes no proof (in simulations).
    signer: Option<Signer>,
    file: Option<PathBuf>,
    /// What the bundles of rights are that lines name.
    roles: Roles,
    /// Tokens open nothing for consoles and agents on TCP.
    required: bool,
    seen: Mutex<Option<Stamp>>,
    keys: watch::Sender<Arc<AuthorizedKeys>>,
}

impl Gate {
    /// Nobody comes in by a key.
    pub fn none() -> Gate {
        Gate { signer: None, file: None, roles: Roles::default(), required: false, seen: Mutex::new(None), keys: watch::Sender::default() }
    }

    /// Those come in whose keys stand in `file`. `required`: nobody else does, on TCP.
    pub fn new(signer: Signer, file: PathBuf, required: bool) -> Gate {
        Gate::with_roles(signer, file, required, Roles::default())
    }

    /// The same, where the server has bundles of rights of its own.
    pub fn with_roles(signer: Signer, file: PathBuf, required: bool, roles: Roles) -> Gate {
        let gate = Gate { signer: Some(signer), file: Some(file), roles, required, ..Gate::none() };
        gate.look();
        gate
    }

    /// With what this server proves itself.
    pub fn signer(&self) -> Option<&Signer> {
        self.signer.as_ref()
    }

    pub fn requires_keys(&self) -> bool {
        self.required
    }

    /// Who holds this key, by the file as it is now.
    pub fn holder(&self, key: &PublicKey) -> Option<Arc<Holder>> {
        self.look();
        self.keys.borrow().holder(key).cloned()
    }

    /// The names of those who hold a key.
    pub fn names(&self) -> Vec<Arc<str>> {
        self.keys.borrow().names().cloned().collect()
    }

    /// All who hold a key, as the log would name them.
    pub fn listed(&self) -> Arc<[Listed]> {
        self.look();
        let listed = |holder: &Arc<Holder>| Listed { key: Key::of(holder.key.bytes()), who: holder.role.who(), name: holder.name.clone() };
        self.keys.borrow().holders().map(listed).collect()
    }

    /// The keys, whenever they change.
    pub fn follow(&self) -> watch::Receiver<Arc<AuthorizedKeys>> {
        self.keys.subscribe()
    }

    /// Reads the file again if it is another than it was. What cannot be read lets nobody in.
    fn look(&self) {
        let Some(path) = &self.file else { return };
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        // Before the file is read: should it change meanwhile, the next look sees that.
        let stamp = Stamp::of(path);
        if *seen == stamp {
            return;
        }
        *seen = stamp;
        let keys = AuthorizedKeys::load(path, &self.roles).unwrap_or_else(|error| {
            tracing::error!(%error, "nobody is let in by a key");
            AuthorizedKeys::default()
        });
        for mistake in &keys.mistakes {
            tracing::warn!(file = %path.display(), mistake, "an authorized key was passed over");
        }
        tracing::info!(file = %path.display(), keys = keys.len(), "authorized keys were read");
        self.keys.send_replace(Arc::new(keys));
    }

    /// Looks now and then, as long as anybody needs this gate.
    pub fn keep_looking(self: &Arc<Gate>) {
        if self.file.is_none() {
            return;
        }
        let gate = Arc::downgrade(self);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(LOOK).await;
                match gate.upgrade() {
                    Some(gate) => gate.look(),
                    None => return,
                }
            }
        });
    }
}
