//! What is asked and handed in: in whose name, for which systems, and what comes back.

use std::sync::Arc;

use super::sight::Asked;
use super::wire::{Over, Said};
use super::{Reply, Session, Shared};
use crate::model::event::{Actor, TrustUsed};
use crate::model::grant::{Asker, Key, Lens, Right, Who};
use crate::model::id::{AgentId, Person, SystemId};
use crate::model::intent::{Intent, Refusal, RefusalCode, Request};
use crate::model::mark::Marks;
use crate::model::world::World;
use crate::server::core::Input;
use crate::server::marks::Own;
use crate::server::rights::Culprit;
use crate::trust::{PublicKey, verb, vouch};
use crate::wire::{Ack, MarksKept, Problem, ProblemCode, Role, ToClient, WorldAsk, WorldThen};

/// Of whom something is refused.
pub(super) struct Denied {
    shared: Arc<Shared>,
    key: Option<PublicKey>,
    name: Arc<str>,
    who: Who,
    from: Arc<str>,
}

impl Denied {
    fn tell(&self, what: &str, why: &str) {
        // Who comes by no key says themselves what they are called.
        let known = self.key.map(|_| (&*self.name, self.who));
        self.shared.audit.refused(&self.shared.core, &Culprit { key: self.key, known, from: &self.from }, what, why);
    }

    pub(super) fn if_forbidden(&self, what: &str, refusal: &Refusal) {
        if refusal.code == RefusalCode::Forbidden {
            self.tell(what, &refusal.why);
        }
    }
}

impl Session {
    /// What is shown to this one, of the world as it is now; nothing: all of it.
    pub(super) async fn lens(&mut self) -> Result<Option<Arc<Lens>>, Over> {
        if self.principal.sight().is_all() {
            return Ok(None);
        }
        let view = self.principal.view();
        let lens = self.wire.house.look(move |world| view.lens(world)).await;
        lens.map(|lens| lens.map(Arc::new)).ok_or(Over)
    }

    /// As whom something is asked, and what that one may do. What a person signed for this server is done as they
    /// asked it, within their own rights here, whoever brought it.
    pub(super) fn asker(&self, request: &mut Request) -> Result<Asker, Refusal> {
        let shared = &self.wire.shared;
        let listed = if request.intent.is_about_trust() { shared.gate.listed() } else { [].into() };
        if let (Role::Peer, None, Some(signed)) = (self.hello.role, self.wire.house.replica(), &request.signed) {
            let refuse = |why: &str| Refusal::new(RefusalCode::Forbidden, format!("what was signed is not done: {why}"));
            let (key, asked) = verb::signed(signed, self.wire.house.log.head().origin, shared.clock.now()).map_err(refuse)?;
            if asked.id != request.id {
                return Err(refuse("it is another request"));
            }
            let (roll, named) = (shared.roll.borrow().clone(), Key::of(key.bytes()));
            let line = shared.gate.holder(&key).filter(|holder| holder.role == Role::Console);
            let line = line.map(|holder| (holder.name.clone(), holder.scope.clone(), None));
            let granted = || {
                let grant = roll.of_key(&named).filter(|grant| grant.who == Who::Person);
                grant.map(|grant| (grant.name.clone(), grant.scope.clone(), Some(grant.id)))
            };
            match line.or_else(granted) {
                Some((name, scope, grant)) if !scope.is_over(shared.clock.now()) => {
                    *request = Request { by: Person::new(&name), signed: None, ..asked };
                    let used = TrustUsed {
                        what: "".into(),
                        key: Some(named),
                        way: None,
                        name,
                        who: Who::Person,
                        from: self.from.clone(),
                        grant,
                        handed: None,
                        through: Some(self.principal.name.clone()),
                        on_behalf_of: None,
                    };
                    return Ok(Asker { scope: Arc::new(scope), key: None, used, listed });
                }
                // Whoever brings it does not make good what the key itself may not do any more.
                Some(_) => return Err(refuse("what its key was granted here is over")),
                None if roll.is_over(&named) => return Err(refuse("its key was taken back here, or what it was granted is over")),
                None => {}
            }
        }
        let said = request.by.clone();
        request.by = self.speaks_for(said.clone())?;
        let on_behalf_of = (self.hello.role == Role::Peer).then(|| said.as_str().into());
        let used = TrustUsed { on_behalf_of, ..self.principal.used(&self.from) };
        self.vouched(&request.intent)?;
        Ok(Asker { scope: self.principal.scope().clone(), key: self.principal.granted_key(), used, listed })
    }

    /// What is said of a further key, its holder signed. Whether that one may say it is looked at where it is decided.
    fn vouched(&self, intent: &Intent) -> Result<(), Refusal> {
        let (key, vouched) = match intent {
            Intent::AddKey { key, vouched } => (key, vouched),
            Intent::ReplaceKey { new, vouched: Some(vouched), .. } => (new, vouched),
            _ => return Ok(()),
        };
        let holds = vouch::holds(vouched, self.wire.house.log.head().origin, key, self.wire.shared.clock.now());
        holds.map_err(|why| Refusal::new(RefusalCode::Forbidden, format!("the word for the key does not count: {why}")))
    }

    /// What is written down here of what is done on another server, whose own log says what that was: by which of
    /// our users it was asked for, and by what key.
    pub(super) fn passed_on(&self, request: &Request, asker: &Asker) -> Option<impl Future<Output = ()> + Send + use<>> {
        self.wire.house.replica()?;
        let what = format!("{} at {}", request.intent.word(), self.wire.house.name);
        let told = asker.told(&what, &Actor::User(request.by.clone()), request.id, self.wire.shared.clock.now());
        let core = self.wire.shared.core.clone();
        Some(async move {
            if let Err(refusal) = core.write(Input::Record(vec![told])).await {
                tracing::debug!(%refusal, "what was passed on could not be told");
            }
        })
    }

    /// Somebody asked for what they may not.
    pub(super) fn denies(&self, what: &str, why: &str) {
        self.denied().tell(what, why);
    }

    /// For what is refused later.
    pub(super) fn denied(&self) -> Denied {
        Denied {
            shared: self.wire.shared.clone(),
            key: self.principal.key,
            name: self.principal.name.clone(),
            who: self.hello.role.who(),
            from: self.from.clone(),
        }
    }

    /// In whose name something is asked: theirs whose key it is, and not what a console says. A peer says for
    /// whom it asks, where it was granted to speak for others; that is its user's name, and none of this server's.
    pub(super) fn speaks_for(&self, said: Person) -> Result<Person, Refusal> {
        match (self.hello.role, &self.principal.key) {
            (Role::Peer, _) if !self.principal.scope().rights.has(Right::SpeakFor) => {
                let words = format!("{} may not speak for {said} here: its grant does not hold `{}`", self.principal.name, Right::SpeakFor);
                Err(Refusal::new(RefusalCode::Forbidden, words))
            }
            (Role::Peer, _) => Ok(Person::new(&format!("{said}@{}", self.principal.name))),
            (Role::Console | Role::Agent, Some(_)) => Ok(Person::new(&self.principal.name)),
            (Role::Console | Role::Agent, None) => Ok(said),
        }
    }

    /// An agent speaks of the systems that it was let speak of.
    pub(super) fn may_observe<'a>(&self, systems: impl IntoIterator<Item = &'a SystemId>) -> Result<(), Refusal> {
        let scope = self.principal.scope();
        match systems.into_iter().find(|system| !scope.may(Right::Observe, Some(system))) {
            None => Ok(()),
            Some(other) => {
                let words = format!("agent `{}` may not speak of {other}: what it may do here is: {scope}", self.principal.name);
                Err(Refusal::new(RefusalCode::Forbidden, words))
            }
        }
    }

    /// The world as it was: made beside everything else, in this session's own task.
    pub(super) fn look_back(&mut self, WorldAsk { id, at }: WorldAsk, asked: Asked) {
        let (house, scope, own) = (self.wire.house.clone(), self.principal.sight().clone(), self.principal.seen_key());
        self.replies.push(Box::pin(async move {
            let said = match house.past.at(at).await {
                Ok(then) => {
                    let seen = |world: &World| Arc::new(Lens::of(world, &scope).owned(world, own.clone()).world(world));
                    let world = then.world.map(|world| if scope.is_all() { world } else { seen(&world) });
                    ToClient::WorldThen(WorldThen { id, at, known_from: then.known_from, world })
                }
                Err(error) => ToClient::Problem(Problem { code: ProblemCode::Unavailable, words: error.to_string(), id: Some(id) }),
            };
            Reply { said, of: Some(asked) }
        }));
    }

    /// What the person at this console has seen. From now on it is told what their other consoles say.
    pub(super) async fn read_marks(&mut self, said: Marks) -> Said {
        let shared = &self.wire.shared;
        let head = shared.own.log.head();
        let own = Own { origin: head.origin, incarnation: head.incarnation, head: head.sequence };
        match shared.marks.take(&self.hello.name, &said, own, shared.clock.now()).await {
            Ok((mut marks, ahead)) => {
                if self.marks.is_none() {
                    self.marks = shared.marks.follow(&self.hello.name);
                }
                // What another console has said meanwhile is among it.
                if let Some(changes) = &mut self.marks {
                    marks = changes.borrow_and_update().clone();
                }
                self.wire.say(&ToClient::MarksKept(MarksKept { marks, remark: ahead.map(|ahead| ahead.to_string().into()) })).await
            }
            Err(error) => self.wire.problem(ProblemCode::Unavailable, None, error.to_string()).await,
        }
    }

    /// An agent speaks for itself alone.
    pub(super) fn is_own<'a>(&self, agents: impl IntoIterator<Item = &'a AgentId>) -> Result<(), Refusal> {
        match agents.into_iter().find(|agent| agent.as_str() != &*self.hello.name) {
            None => Ok(()),
            Some(other) => Err(Refusal::new(RefusalCode::Forbidden, format!("this connection is agent `{}`'s, not `{other}`'s", self.hello.name))),
        }
    }

    pub(super) fn hand_in(&mut self, id: u64, allowed: Result<(), Refusal>, input: Input) {
        let (core, denied) = (self.wire.shared.core.clone(), self.denied());
        self.replies.push(Box::pin(async move {
            let refused = match allowed {
                Ok(()) => core.write(input).await.err(),
                Err(refusal) => Some(refusal),
            };
            if let Some(refusal) = &refused {
                denied.if_forbidden("observing", refusal);
            }
            ToClient::Ack(Ack { id, refused }).into()
        }));
    }
}
