//! Who is on the other side, and what they may do, now.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::link::Clock;
use crate::model::grant::{Right, Rights, Scope};
use crate::model::time::Time;
use crate::server::gate::Gate;
use crate::server::greet::Shown;
use crate::trust::{AuthorizedKeys, Holder, PublicKey, TokenKind};
use crate::wire::Role;

/// The wall's clock may be set: an end that lies far ahead is looked at again after so long.
const LOOK: Duration = Duration::from_secs(30);

/// One who was let in.
pub struct Principal {
    pub role: Role,
    /// As what all that they do is written down; what they said themselves unless a key says it.
    pub name: Arc<str>,
    /// The key that they proved, if that is how they came in.
    pub key: Option<PublicKey>,
    via: Via,
    scope: Arc<Scope>,
}

/// By what it came in: that decides what it may, for as long as it is there.
enum Via {
    /// The owner's socket, or a token: it stays.
    Fixed,
    /// A line of `authorized_keys`.
    Line(Arc<Holder>, watch::Receiver<Arc<AuthorizedKeys>>),
}

/// What has become of somebody's rights.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Standing {
    /// They are others now.
    Changed,
    /// There are none any more, and why, in words.
    Ended(String),
}

impl Principal {
    pub fn new(shown: &Shown, role: Role, name: Arc<str>, gate: &Gate) -> Principal {
        let (scope, key, via) = match shown {
            Shown::Owner | Shown::Token(TokenKind::Console) => (Scope::all(), None, Via::Fixed),
            Shown::Token(TokenKind::Agent) => (Scope::everywhere(Rights::of([Right::Observe])), None, Via::Fixed),
            Shown::Token(TokenKind::Intake) | Shown::Nothing => (Scope::none(), None, Via::Fixed),
            Shown::Key(holder) => (holder.scope.clone(), Some(holder.key), Via::Line(holder.clone(), gate.follow())),
        };
        Principal { role, name, key, via, scope: Arc::new(scope) }
    }

    /// What they may do, until [`Principal::changed`] says otherwise.
    pub fn scope(&self) -> &Arc<Scope> {
        &self.scope
    }

    /// Why they may do nothing any more, if their time is over.
    pub fn over(&self, now: Time) -> Option<String> {
        let expires = self.scope.expires.filter(|expires| *expires <= now)?;
        Some(format!("your access to this server ended at {expires}"))
    }

    /// Waits until what they may do is another. May be dropped while it waits.
    pub async fn changed(&mut self, clock: &dyn Clock) -> Standing {
        loop {
            let now = clock.now();
            if let Some(words) = self.over(now) {
                return Standing::Ended(words);
            }
            let left = self.scope.expires.map(|expires| expires.since(now).duration().min(LOOK));
            match &mut self.via {
                Via::Fixed => std::future::pending().await,
                Via::Line(holder, keys) => {
                    if !in_time(left, keys.wait_for(|keys| keys.holder(&holder.key) != Some(holder))).await {
                        continue;
                    }
                    let held = keys.borrow_and_update().holder(&holder.key).cloned();
                    match held {
                        Some(new) if (new.role, &new.name) == (holder.role, &holder.name) => {
                            self.scope = Arc::new(new.scope.clone());
                            *holder = new;
                            return Standing::Changed;
                        }
                        Some(_) => return Standing::Ended("this key is somebody else's now in the server's authorized_keys".to_owned()),
                        None => return Standing::Ended("this key was taken out of the server's authorized_keys".to_owned()),
                    }
                }
            }
        }
    }
}

/// Whether it came within this time; for ever where nothing is said, and where nothing can come any more.
async fn in_time<T, E>(left: Option<Duration>, change: impl Future<Output = Result<T, E>>) -> bool {
    let change = async {
        if change.await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    match left {
        Some(left) => tokio::time::timeout(left, change).await.is_ok(),
        None => {
            change.await;
            true
        }
    }
}
