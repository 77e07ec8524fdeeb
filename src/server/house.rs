//! One origin's log as sessions serve it: what is durable, who hears of what follows, and who decides about
//! what is asked for. A session serves one house: the server's own, or that of a log that it receives from a
//! peer. Everything that a console asks of a log is then the same, whoever wrote it.

use std::sync::Arc;
use std::time::Duration;

use super::core::{Core, Durable, Input};
use super::hub::Hub;
use super::past::Past;
use super::peer::{Known, Replica};
use super::presence::Board;
use crate::link::Clock;
use crate::model::decide::permit::permit;
use crate::model::grant::{Asker, Epoch, Roles};
use crate::model::intent::{Refusal, RefusalCode, Request};
use crate::model::primary::Primary;
use crate::model::reading::Readings;
use crate::model::time::Span;
use crate::model::world::World;
use crate::store::{Log, Retention};
use crate::wire::Outcome;

pub struct House {
    pub log: Arc<dyn Log>,
    pub hub: Arc<Hub>,
    pub past: Past,
    /// What the server whose log this is calls itself.
    pub name: Arc<str>,
    /// What kind of environment it watches.
    pub env: Option<Arc<str>>,
    /// How often, at least, a claim comes.
    pub claim_every: Duration,
    pub way: Way,
    /// Who looks at what of it.
    pub presence: Arc<Board>,
}

/// Who knows what is true there, and decides.
pub enum Way {
    /// This server is the primary.
    Own(Core),
    /// Another one is: what is asked for is passed on to it.
    Peer(Arc<Replica>),
}

impl House {
    /// This server's own.
    pub fn own(core: Core, log: Arc<dyn Log>, hub: Arc<Hub>, retention: Retention, clock: Arc<dyn Clock>, named: Named, presence: Arc<Board>) -> House {
        let past = Past::new(log.clone(), retention, clock);
        House { log, hub, past, name: named.name, env: named.env, claim_every: named.claim_every, way: Way::Own(core), presence }
    }

    /// Another server's, as far as it is received.
    pub fn of_peer(
        replica: Arc<Replica>,
        log: Arc<dyn Log>,
        hub: Arc<Hub>,
        retention: Retention,
        clock: Arc<dyn Clock>,
        known: &Known,
        presence: Arc<Board>,
    ) -> House {
        let past = Past::new(log.clone(), retention, clock);
        let claim_every = known.claim_every.duration();
        House { log, hub, past, name: known.name.clone(), env: known.env.clone(), claim_every, way: Way::Peer(replica), presence }
    }

    /// What is known of another server; nothing of this one's own log.
    pub fn replica(&self) -> Option<&Arc<Replica>> {
        match &self.way {
            Way::Own(_) => None,
            Way::Peer(replica) => Some(replica),
        }
    }

    /// The world, once everything in it is durable and published. `None`: the server stops.
    pub async fn durable(&self) -> Option<Arc<Durable>> {
        match &self.way {
            Way::Own(core) => core.durable().await,
            Way::Peer(replica) => Some(replica.durable()),
        }
    }

    /// Asks the primary to do something; answered when what follows is durable there.
    pub async fn request(&self, request: Request, asker: Box<Asker>) -> Outcome {
        match &self.way {
            Way::Own(core) => match core.write(Input::Asked(request, asker)).await {
                Ok(events) => Outcome::Done(events),
                Err(refusal) => Outcome::Refused(refusal),
            },
            Way::Peer(_) if request.intent.is_about_trust() => {
                let words = "what others may do on a server is said on that server itself, and not through another";
                Outcome::Refused(Refusal::new(RefusalCode::Forbidden, words))
            }
            // Within what may be asked here; what may be asked there its primary says.
            Way::Peer(replica) => match replica.look(|world| permit(world, &Roles::default(), &request.intent, &asker, request.made)) {
                Ok(()) => replica.request(request).await,
                Err(refusal) => Outcome::Refused(refusal),
            },
        }
    }

    /// Looks at the world as it is now: be quick. `None`: the server stops.
    pub async fn look<T: Send + 'static>(&self, look: impl FnOnce(&World) -> T + Send + 'static) -> Option<T> {
        match &self.way {
            Way::Own(core) => core.read(move |primary| look(&primary.world)).await,
            Way::Peer(replica) => Some(replica.look(look)),
        }
    }

    /// The numbers behind alerts that changed after a version, as far as they are `seen`, and which version
    /// they are now.
    pub async fn readings_since(&self, since: u64, seen: impl FnOnce(&World, Readings) -> Readings + Send + 'static) -> Option<(u64, Readings)> {
        match &self.way {
            Way::Own(core) => {
                let look = move |primary: &Primary| {
                    let readings = &primary.vitals.readings;
                    (readings.version(), seen(&primary.world, readings.since(since)))
                };
                core.read(look).await
            }
            Way::Peer(replica) => {
                let (version, readings) = replica.readings_since(since);
                Some((version, replica.look(|world| seen(world, readings))))
            }
        }
    }

    /// What marks that this server sees of that log what it sees; nothing for its own.
    pub fn epoch(&self) -> Option<Epoch> {
        match &self.way {
            Way::Own(_) => None,
            Way::Peer(replica) => replica.look(|world| world.epoch),
        }
    }

    /// How old, at most, what is known is: nothing for what this server decides itself.
    pub fn lag(&self) -> Span {
        match &self.way {
            Way::Own(_) => Span::ZERO,
            Way::Peer(replica) => replica.lag(),
        }
    }

    /// Whether the log may hold fewer events than its sequences count: those that a grant does not cover
    /// were never received, and a batch claims their places all the same.
    pub fn has_holes(&self) -> bool {
        matches!(self.way, Way::Peer(_))
    }
}

/// How a house introduces itself.
pub struct Named {
    pub name: Arc<str>,
    pub env: Option<Arc<str>>,
    pub claim_every: Duration,
}
