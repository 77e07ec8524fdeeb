//! Who is on the other side, and what they may do, now.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::handed::{self, Handed};
use super::roll::Roll;
use crate::link::Clock;
use crate::model::event::TrustUsed;
use crate::model::grant::{Epoch, Grant, Key, Lens, Right, Rights, Scope};
use crate::model::time::Time;
use crate::model::world::World;
use crate::server::gate::Gate;
use crate::server::greet::Shown;
use crate::server::peer::Leased;
use crate::server::session::Shared;
use crate::server::steady::until;
use crate::trust::{AuthorizedKeys, Holder, PublicKey, TokenKind};
use crate::wire::{Holding, Role};

/// The wall's clock may be set: an end that lies far ahead is looked at again after so long.
const LOOK: Duration = Duration::from_secs(30);

/// One who was let in.
pub struct Principal {
    pub role: Role,
    /// As what all that they do is written down; what they said themselves unless a key says it.
    pub name: Arc<str>,
    /// The key that they proved, if that is how they came in.
    pub key: Option<PublicKey>,
    held: Entitlement,
    /// Of another server's log, to a peer: within what that server lets this one pass on.
    passed: Option<Passed>,
}

struct Passed {
    follow: watch::Receiver<Option<Arc<Leased>>>,
    leased: Option<Arc<Leased>>,
    /// What both allow.
    sight: Arc<Scope>,
}

impl Passed {
    fn of(follow: watch::Receiver<Option<Arc<Leased>>>, scope: &Scope) -> Passed {
        let leased = follow.borrow().clone();
        let sight = leased.as_ref().map_or_else(Scope::none, |leased| scope.narrow(&leased.scope()));
        Passed { follow, leased, sight: Arc::new(sight) }
    }

    /// Whether no more and no less is seen by the other.
    fn shows(&self, other: &Passed) -> bool {
        (&self.sight.systems, self.sight.rights) == (&other.sight.systems, other.sight.rights)
    }

    fn over(&self, now: Time) -> Option<String> {
        let until = self.leased.as_ref().filter(|leased| leased.passes(now));
        until.is_none().then(|| "this server may not pass on that log any more: what it was granted there is over, or was taken back".to_owned())
    }
}

/// What one may see, wherever the world is that it is of.
pub struct View {
    scope: Arc<Scope>,
    own: Option<Key>,
    mark: Option<Epoch>,
}

impl View {
    /// None: all of it.
    pub fn lens(self, world: &World) -> Option<Lens> {
        (!self.scope.is_all()).then(|| Lens::of(world, &self.scope).owned(world, self.own).marked(self.mark))
    }
}

/// What somebody may, as it was looked at last. Whether that is so can be asked by others than who is there, too.
#[derive(Clone)]
pub struct Entitlement {
    via: Via,
    scope: Arc<Scope>,
}

impl Entitlement {
    /// Whether it is what is known of it now.
    pub fn holds(&self, now: Time) -> bool {
        let given = match &self.via {
            Via::Fixed(_) => return true,
            Via::Line(holder, keys) => keys.borrow().holder(&holder.key) == Some(holder),
            Via::Granted(key, grant, roll) => roll.borrow().of_key(key).is_some_and(|held| (held.id, &held.scope) == (grant.id, &grant.scope)),
            Via::Handed(handed, roll) => handed.seen(&roll.borrow()).as_ref() == Some(&*self.scope),
        };
        given && over(&self.scope, now).is_none()
    }
}

/// By what it came in: that decides what it may, for as long as it is there.
#[derive(Clone)]
enum Via {
    /// The owner's socket, or a token: it stays. Which, in words.
    Fixed(&'static str),
    /// A line of `authorized_keys`.
    Line(Arc<Holder>, watch::Receiver<Arc<AuthorizedKeys>>),
    /// A grant in the log, by one of the keys that it is for.
    Granted(Key, Arc<Grant>, watch::Receiver<Arc<Roll>>),
    /// A part of somebody's grant, by a token.
    Handed(Arc<Handed>, watch::Receiver<Arc<Roll>>),
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
    pub fn new(shown: &Shown, role: Role, name: Arc<str>, gate: &Gate, roll: &watch::Receiver<Arc<Roll>>) -> Principal {
        let (scope, key, via) = match shown {
            Shown::Owner => (Scope::all(), None, Via::Fixed("owner's socket")),
            Shown::Token(kind) => (of_token(*kind), None, Via::Fixed(kind.words())),
            Shown::Nothing => (Scope::none(), None, Via::Fixed("nothing")),
            Shown::Granted(key, grant) => (grant.scope.clone(), Some(*key), Via::Granted(Key::of(key.bytes()), grant.clone(), roll.clone())),
            Shown::Handed(handed) => (handed.scope(&handed.grant), Some(handed.key), Via::Handed(handed.clone(), roll.clone())),
            Shown::Key(holder) => (holder.scope.clone(), Some(holder.key), Via::Line(holder.clone(), gate.follow())),
        };
        Principal { role, name, key, held: Entitlement { via, scope: Arc::new(scope) }, passed: None }
    }

    /// What they may do, until [`Principal::changed`] says otherwise.
    pub fn scope(&self) -> &Arc<Scope> {
        &self.held.scope
    }

    /// It is another server's log, and they are a peer.
    #[must_use]
    pub fn passed_on(self, follow: watch::Receiver<Option<Arc<Leased>>>) -> Principal {
        Principal { passed: Some(Passed::of(follow, &self.held.scope)), ..self }
    }

    /// What they may see of this log: of what is passed on no more than this server may pass on.
    pub fn sight(&self) -> &Arc<Scope> {
        self.passed.as_ref().map_or(&self.held.scope, |passed| &passed.sight)
    }

    /// What marks the worlds that they see: what is passed on is marked already by what this server sees of it.
    pub fn mark(&self) -> Option<Epoch> {
        self.held.scope.epoch()
    }

    /// What is shown to them of a world; nothing: all of it.
    pub fn view(&self) -> View {
        View { scope: self.sight().clone(), own: self.seen_key(), mark: self.mark() }
    }

    /// What this server itself was leased of the log that it passes on.
    pub fn leased(&self) -> Option<&Arc<Leased>> {
        self.passed.as_ref()?.leased.as_ref()
    }

    /// Their key, where what this log says of it is for them.
    pub fn seen_key(&self) -> Option<Key> {
        if self.passed.is_some() { None } else { self.own_key() }
    }

    /// Their key, as the log names it.
    pub fn own_key(&self) -> Option<Key> {
        self.key.map(|key| Key::of(key.bytes()))
    }

    /// The key that their grant is for, where they came by all of it: less than that vouches for no other key.
    pub fn granted_key(&self) -> Option<Key> {
        match &self.held.via {
            Via::Granted(key, ..) => Some(key.clone()),
            Via::Line(..) => self.own_key(),
            Via::Fixed(_) | Via::Handed(..) => None,
        }
    }

    /// What is written down of what they do.
    pub fn used(&self, from: &str) -> TrustUsed {
        let (grant, handed, way) = match &self.held.via {
            Via::Granted(_, grant, _) => (Some(grant.id), None, None),
            Via::Handed(handed, _) if handed.holder != Key::of(handed.key.bytes()) => (Some(handed.grant.id), Some(handed.grant.name.clone()), None),
            Via::Handed(handed, _) => (Some(handed.grant.id), None, None),
            Via::Line(..) => (None, None, None),
            Via::Fixed(way) => (None, None, Some((*way).into())),
        };
        TrustUsed {
            what: "".into(),
            key: self.own_key(),
            way,
            name: self.name.clone(),
            who: self.role.who(),
            from: from.into(),
            grant,
            handed,
            through: None,
            on_behalf_of: None,
        }
    }

    /// As whom they are here, and what they may do.
    pub fn holding(&self, id: u64, shared: &Shared) -> Holding {
        let held = if let Via::Granted(key, grant, _) = &self.held.via { Some((key, grant)) } else { None };
        let grant = held.map(|(_, grant)| grant);
        Holding {
            id,
            name: self.name.clone(),
            scope: (**self.sight()).clone(),
            grant: grant.map(|grant| grant.id),
            role: grant.map(|grant| grant.role.clone()),
            token: held.and_then(|(key, grant)| handed::minted(shared, grant, key, shared.clock.now())),
        }
    }

    /// Why they may do nothing any more, if their time is over.
    pub fn over(&self, now: Time) -> Option<String> {
        over(&self.held.scope, now).or_else(|| self.passed.as_ref()?.over(now))
    }

    /// What they may do, for who asks in their stead whether that holds.
    pub fn held(&self) -> Entitlement {
        self.held.clone()
    }

    /// Whether what they may do is still what is known of it here. Asked before each thing that is said.
    pub fn holds(&self, now: Time) -> bool {
        let passed = |passed: &Passed| {
            let same = *passed.follow.borrow() == passed.leased || passed.shows(&Passed::of(passed.follow.clone(), self.scope()));
            same && passed.over(now).is_none()
        };
        self.held.holds(now) && self.passed.as_ref().is_none_or(passed)
    }

    /// What has become of it since it was asked last. Nothing: they may what they might.
    pub fn news(&mut self, now: Time) -> Option<Standing> {
        let given = self.given(now);
        let Some(passed) = &self.passed else { return given };
        if matches!(given, Some(Standing::Ended(_))) || (given.is_none() && *passed.follow.borrow() == passed.leased) {
            return given;
        }
        let new = Passed::of(passed.follow.clone(), &self.held.scope);
        let same = passed.shows(&new);
        self.passed = Some(new);
        match self.over(now) {
            // Nothing more is told by what this server may know and not pass on.
            Some(words) => Some(Standing::Ended(words)),
            // Granted otherwise, they see under another mark, even where the lease lets them see the same.
            None => (given.is_some() || !same).then_some(Standing::Changed),
        }
    }

    /// Waits until what they may do is another. May be dropped while it waits.
    pub async fn changed(&mut self, clock: &dyn Clock) -> Standing {
        loop {
            let now = clock.now();
            if let Some(standing) = self.news(now) {
                return standing;
            }
            let leased = self.passed.as_ref().and_then(|passed| passed.leased.as_ref()).map(|leased| leased.until);
            let left = [self.held.scope.expires, leased].into_iter().flatten().min().map(|ends| ends.since(now).duration().min(LOOK));
            let given = async {
                match &mut self.held.via {
                    Via::Fixed(_) => std::future::pending().await,
                    Via::Line(_, keys) => turned(keys).await,
                    Via::Granted(_, _, roll) | Via::Handed(_, roll) => turned(roll).await,
                }
            };
            let passed = async {
                match &mut self.passed {
                    Some(passed) => turned(&mut passed.follow).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = given => {}
                () = passed => {}
                () = until(left.map(|left| Instant::now() + left)) => {}
            }
        }
    }

    fn given(&mut self, now: Time) -> Option<Standing> {
        if let Some(words) = self.over(now) {
            return Some(Standing::Ended(words));
        }
        match &mut self.held.via {
            Via::Fixed(_) => None,
            Via::Line(holder, keys) => {
                let held = keys.borrow_and_update().holder(&holder.key).cloned();
                match held {
                    Some(new) if new == *holder => None,
                    Some(new) if (new.role, &new.name) == (holder.role, &holder.name) => {
                        self.held.scope = Arc::new(new.scope.clone());
                        *holder = new;
                        Some(Standing::Changed)
                    }
                    Some(_) => Some(Standing::Ended("this key is somebody else's now in the server's authorized_keys".to_owned())),
                    None => Some(Standing::Ended("this key was taken out of the server's authorized_keys".to_owned())),
                }
            }
            Via::Granted(key, grant, roll) => {
                let roll = roll.borrow_and_update().clone();
                let held = roll.of_key(key);
                if held == Some(grant) {
                    return None;
                }
                if let Some(lost) = roll.over(key).filter(|_| roll.is_over(key)).and_then(|grant| grant.lost(key)) {
                    return Some(Standing::Ended(format!("this key was taken from {} by {}", grant.name, lost.by.name())));
                }
                match held.cloned() {
                    // When it was last used is no change of what it allows.
                    Some(new) if new.id == grant.id && new.scope == grant.scope => {
                        *grant = new;
                        None
                    }
                    Some(new) if (new.who, &new.name) == (grant.who, &grant.name) => {
                        self.held.scope = Arc::new(new.scope.clone());
                        *grant = new;
                        Some(Standing::Changed)
                    }
                    Some(_) => Some(Standing::Ended("this key was granted something else meanwhile; connect anew".to_owned())),
                    // By its time, as the log's clock had it first, or by somebody.
                    None => Some(Standing::Ended(over(&grant.scope, now).unwrap_or_else(|| "your grant on this server was revoked".to_owned()))),
                }
            }
            Via::Handed(handed, roll) => match handed.seen(&roll.borrow_and_update()) {
                Some(new) if new == *self.held.scope => None,
                Some(new) => {
                    self.held.scope = Arc::new(new);
                    Some(Standing::Changed)
                }
                None => Some(Standing::Ended("the grant that your token stands for was revoked, or is over".to_owned())),
            },
        }
    }
}

/// What a token opens, to whoever has it.
fn of_token(kind: TokenKind) -> Scope {
    match kind {
        TokenKind::Console => Scope::all(),
        TokenKind::Agent => Scope::everywhere(Rights::of([Right::Observe])),
        TokenKind::Intake => Scope::none(),
    }
}

/// The words for one whose time is over.
fn over(scope: &Scope, now: Time) -> Option<String> {
    let expires = scope.expires.filter(|expires| *expires <= now)?;
    Some(format!("your access to this server ended at {expires}"))
}

/// Waits for another value; for ever where none can come any more.
async fn turned<T>(followed: &mut watch::Receiver<T>) {
    if followed.changed().await.is_err() {
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::grant::Pattern;
    use crate::model::time::Span;
    use crate::trust::Signer;
    use crate::trust::grant::lease::Held;
    use crate::wire::{Lease, Raw};

    struct Noon;

    impl Clock for Noon {
        fn now(&self) -> Time {
            Time::from_secs(1_790_000_000)
        }
    }

    fn leased(rights: &str, systems: &str) -> Option<Arc<Leased>> {
        let systems: Vec<Pattern> = systems.split(',').map(|pattern| pattern.parse().unwrap()).collect();
        let scope = Scope::new(systems, Rights::parse(rights).unwrap(), None);
        let held = Held { lease: Lease { key: Raw(Vec::new()), token: "".into() }, scope };
        Some(Arc::new(Leased { held, until: Noon.now().plus(Span::from_hours(1)) }))
    }

    #[tokio::test]
    async fn of_a_log_that_may_be_passed_on_no_more_nothing_is_told_on_the_occasion() {
        let gate = Gate::new(Signer::from_seed([1; 32]), "/nowhere/authorized_keys".into(), false);
        let (_known, roll) = watch::channel(Arc::new(Roll::default()));
        let (tell, follow) = watch::channel(leased("read,federate", "web/**"));
        let mut principal = Principal::new(&Shown::Owner, Role::Peer, "c".into(), &gate, &roll).passed_on(follow);
        tell.send_replace(leased("read,federate", "lab"));
        assert_eq!(principal.changed(&Noon).await, Standing::Changed);
        // This server may know more than before; who comes to it, nothing any more.
        tell.send_replace(leased("read", "web/**,lab"));
        assert!(matches!(principal.changed(&Noon).await, Standing::Ended(_)));
    }
}
