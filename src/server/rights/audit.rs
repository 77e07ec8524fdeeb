//! Who came in, and who did not, as events: few enough that nobody fills the log by trying.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::link::Clock;
use crate::model::clean::clean_line;
use crate::model::event::{Actor, Draft, TrustAdmitted, TrustRefused};
use crate::model::grant::{Key, Who};
use crate::model::id::{AgentId, Person};
use crate::model::severity::Severity;
use crate::model::time::{Span, Time};
use crate::server::core::{Core, Input};
use crate::server::greet::Shown;
use crate::trust::PublicKey;
use crate::wire::Hello;

/// The same key from the same address is told again after so long.
const AGAIN: Span = Span::from_hours(1);
/// The same refusal is counted for so long before it is told again.
const QUIET: Span = Span::from_mins(10);
/// Keys and addresses that are told apart; of more, only that there were some.
const MOST: usize = 500;
/// Characters of what a stranger brings along.
const LONGEST: usize = 200;

/// What was told lately.
pub struct Audit {
    clock: Arc<dyn Clock>,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    admitted: HashMap<(Option<PublicKey>, Arc<str>), Time>,
    /// When it was told, and how often it happened since.
    refused: HashMap<(Option<PublicKey>, Arc<str>), (Time, u64)>,
}

impl Audit {
    pub fn new(clock: Arc<dyn Clock>) -> Audit {
        Audit { clock, kept: Mutex::default() }
    }

    /// Somebody was let in. Told of those alone who came by a key: a token is nobody's.
    pub fn admitted(&self, core: &Core, shown: &Shown, hello: &Hello, from: &str) {
        let (key, grant, handed) = match shown {
            Shown::Key(holder) => (holder.key, None, None),
            Shown::Granted(key, grant) => (*key, Some(grant.id), None),
            Shown::Handed(handed) => (handed.key, Some(handed.grant.id), Some(handed.grant.name.clone())),
            Shown::Owner | Shown::Token(_) | Shown::Nothing => return,
        };
        let (now, from) = (self.clock.now(), address(from));
        {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            let place = (Some(key), from.clone());
            kept.admitted.retain(|_, told| now.since(*told) < AGAIN);
            if kept.admitted.len() >= MOST || kept.admitted.contains_key(&place) {
                return;
            }
            kept.admitted.insert(place, now);
        }
        let who = hello.role.who();
        let actor = match who {
            Who::Person => Actor::User(Person::new(&hello.name)),
            Who::Agent => Actor::Agent(AgentId::new(&hello.name)),
            Who::Peer => Actor::Server,
        };
        let title = format!("the {who} {} came in from {from}", clean_line(&hello.name));
        let said = TrustAdmitted { key: Key::of(key.bytes()), name: hello.name.clone(), who, from, grant, handed };
        tell(core, Draft::new(now, actor, said, title).severity(Severity::Debug));
    }

    /// Somebody was not let in, or not let do something. `why` never holds a secret.
    pub fn refused(&self, core: &Core, key: Option<PublicKey>, from: &str, what: &str, why: &str) {
        let (now, from) = (self.clock.now(), address(from));
        let times = {
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            let mut place = (key, from.clone());
            if kept.refused.len() >= MOST && !kept.refused.contains_key(&place) {
                kept.refused.retain(|_, (told, since)| *since > 0 || now.since(*told) < QUIET);
                if kept.refused.len() >= MOST {
                    // A flood from everywhere is one refusal, counted.
                    place = (None, "many addresses".into());
                }
            }
            match kept.refused.get_mut(&place) {
                Some((told, since)) if *told <= now && now.since(*told) < QUIET => {
                    *since += 1;
                    return;
                }
                Some((told, since)) => {
                    *told = now;
                    std::mem::take(since) + 1
                }
                None => {
                    kept.refused.insert(place, (now, 0));
                    1
                }
            }
        };
        let why: String = clean_line(why).chars().take(LONGEST).collect();
        let said = TrustRefused { key: key.map(|key| Key::of(key.bytes())), from: from.clone(), what: what.into(), times };
        let often = if times > 1 { format!(", {times} times since that was said last") } else { String::new() };
        let title = format!("refused at {what}, from {from}{often}");
        tell(core, Draft::new(now, Actor::Server, said, title).severity(Severity::Warning).text(why));
    }
}

/// Without the port, which each connection has its own of, and without what somebody calls themselves.
fn address(from: &str) -> Arc<str> {
    let place = from.split(" (").next().unwrap_or(from);
    let host = place.parse::<std::net::SocketAddr>().map_or_else(|_| clean_line(place).into_owned(), |address| address.ip().to_string());
    host.chars().take(LONGEST).collect::<String>().into()
}

/// Beside everything else: nobody waits for it.
fn tell(core: &Core, draft: Draft) {
    let core = core.clone();
    tokio::spawn(async move {
        if let Err(refusal) = core.write(Input::Record(vec![draft])).await {
            tracing::debug!(%refusal, "what concerns trust could not be told");
        }
    });
}
