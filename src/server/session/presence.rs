//! What one connection says of who looks at what, and what it is told of the others.

use std::sync::Arc;

use super::Session;
use super::wire::{Over, Said};
use crate::model::grant::Scope;
use crate::model::id::SystemId;
use crate::model::presence::Reader;
use crate::server::presence::{Due, Told};
use crate::wire::{LookingAt, Role, ToClient};

impl Session {
    fn shares_presence(&self) -> bool {
        self.wire.house.presence.setting().is_for(self.hello.role)
    }

    /// Nobody answers, and where it is off nobody listens.
    pub(super) fn looks_at(&mut self, said: LookingAt) {
        if !self.shares_presence() {
            return;
        }
        let now = self.wire.shared.clock.now();
        match self.hello.role {
            // Whose key it is, and not what a console says: the name stands for both from `hello` on.
            Role::Console => self.present.says(&self.principal.name, said.at, now),
            Role::Peer => self.present.tells(&self.principal.name, said.users),
            Role::Agent => {}
        }
    }

    /// Who wants to be told is told how things are at once, if there is anything.
    pub(super) async fn follow_presence(&mut self, wanted: bool) -> Said {
        self.present.told = (wanted && self.shares_presence()).then(|| Told::new(&self.wire.house.presence));
        self.tell_presence().await
    }

    pub(super) async fn presence_is(&mut self, due: Due) -> Said {
        match due {
            Due::Sit => self.sit().await,
            Due::Leave => {
                self.present.leave();
                Ok(())
            }
            Due::Tell => self.tell_presence().await,
        }
    }

    /// Somebody may look at what they may see, and at nothing else.
    async fn sit(&mut self) -> Said {
        let claims = self.present.sit(self.wire.shared.clock.now());
        if claims.is_empty() {
            self.present.place.sit(Vec::new());
            return Ok(());
        }
        let scope = self.principal.sight().clone();
        let may = move |system: &SystemId| sees(&scope, system);
        let seats = self.wire.house.look(move |world| claims.iter().filter_map(|claim| claim.seat(world, &may)).collect());
        let seats = seats.await.ok_or(Over)?;
        self.present.place.sit(seats);
        Ok(())
    }

    /// What they may see is another: they look no more at what they do not see, and are told so of others.
    pub(super) fn presence_anew(&mut self) {
        let scope: Arc<Scope> = self.principal.sight().clone();
        self.present.place.retain(|seat| sees(&scope, &seat.system));
        self.present.again();
    }

    async fn tell_presence(&mut self) -> Said {
        self.settle().await?;
        let (present, scope) = (&mut self.present, self.principal.sight());
        let reader = match self.hello.role {
            Role::Console => Reader::Person { name: &self.principal.name, scope },
            Role::Peer => Reader::Peer { link: present.place.link(), scope },
            Role::Agent => return Ok(()),
        };
        let place = &present.place;
        match present.told.as_mut().and_then(|told| told.take(|| place.book(&reader))) {
            Some(told) => self.wire.say(&ToClient::Presence(told)).await,
            None => Ok(()),
        }
    }
}

fn sees(scope: &Scope, system: &SystemId) -> bool {
    scope.sees(Some(system), "")
}
