//! What is asked and handed in: in whose name, for which systems, and what comes back.

use std::sync::Arc;

use super::Session;
use super::wire::{Over, Said};
use crate::model::grant::{Key, Lens, Right, Scope, Who};
use crate::model::id::{AgentId, Person, SystemId};
use crate::model::intent::{Refusal, RefusalCode, Request};
use crate::model::mark::Marks;
use crate::server::core::Input;
use crate::server::marks::Own;
use crate::trust::verb;
use crate::wire::{Ack, MarksKept, Problem, ProblemCode, Role, ToClient, WorldAsk, WorldThen};

impl Session {
    /// What is shown to this one, of the world as it is now; nothing: all of it.
    pub(super) async fn lens(&mut self) -> Result<Option<Arc<Lens>>, Over> {
        if self.principal.scope().is_all() {
            return Ok(None);
        }
        let scope = self.principal.scope().clone();
        let lens = self.wire.house.look(move |world| Lens::of(world, &scope)).await;
        lens.map(|lens| Some(Arc::new(lens.owned(self.principal.own_key())))).ok_or(Over)
    }

    /// As whom something is asked, and what that one may do. What a person signed for this server is done as they
    /// asked it, within their own rights here, whoever brought it.
    pub(super) fn asker(&self, request: &mut Request) -> Result<Arc<Scope>, Refusal> {
        let shared = &self.wire.shared;
        if let (Role::Peer, None, Some(signed)) = (self.hello.role, self.wire.house.replica(), &request.signed) {
            let refuse = |why: &str| Refusal::new(RefusalCode::Forbidden, format!("what was signed is not done: {why}"));
            let (key, asked) = verb::signed(signed, self.wire.house.log.head().origin, shared.clock.now()).map_err(refuse)?;
            if asked.id != request.id {
                return Err(refuse("it is another request"));
            }
            let line = shared.gate.holder(&key).filter(|holder| holder.role == Role::Console).map(|holder| (holder.name.clone(), holder.scope.clone()));
            let granted = || {
                let roll = shared.roll.borrow().clone();
                let grant = roll.of_key(&Key::of(key.bytes())).filter(|grant| grant.who == Who::Person);
                grant.map(|grant| (grant.name.clone(), grant.scope.clone()))
            };
            if let Some((name, scope)) = line.or_else(granted).filter(|(_, scope)| !scope.is_over(shared.clock.now())) {
                *request = Request { by: Person::new(&name), signed: None, ..asked };
                return Ok(Arc::new(scope));
            }
        }
        request.by = self.speaks_for(request.by.clone())?;
        Ok(self.principal.scope().clone())
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
    pub(super) fn look_back(&mut self, WorldAsk { id, at }: WorldAsk) {
        let (house, scope, own) = (self.wire.house.clone(), self.principal.scope().clone(), self.principal.own_key());
        self.replies.push(Box::pin(async move {
            match house.past.at(at).await {
                Ok(then) => {
                    let world = then.world.map(|world| if scope.is_all() { world } else { Arc::new(Lens::of(&world, &scope).owned(own).world(&world)) });
                    ToClient::WorldThen(WorldThen { id, at, known_from: then.known_from, world })
                }
                Err(error) => ToClient::Problem(Problem { code: ProblemCode::Unavailable, words: error.to_string(), id: Some(id) }),
            }
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
        let core = self.wire.shared.core.clone();
        self.replies.push(Box::pin(async move {
            let refused = match allowed {
                Ok(()) => core.write(input).await.err(),
                Err(refusal) => Some(refusal),
            };
            ToClient::Ack(Ack { id, refused })
        }));
    }
}
