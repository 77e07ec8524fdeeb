//! Who came in, and who did not, and who asked for what they may not, as events: few enough that nobody fills the
//! log by trying. What is told of those who may is beside what they did (`trust.used`).

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::link::Clock;
use crate::model::clean::clean_line;
use crate::model::event::{Actor, Draft, TrustAdmitted, TrustRefused};
use crate::model::grant::{Key, Who};
use crate::model::id::{AgentId, Person};
use crate::model::severity::Severity;
use crate::model::time::{Span, Time};
use crate::server::core::{Core, Input};
use crate::server::greet::Shown;
use crate::server::line::block;
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
    kept: Arc<Mutex<Kept>>,
}

#[derive(Default)]
struct Kept {
    admitted: HashMap<(Option<PublicKey>, Arc<str>), Time>,
    refused: HashMap<Place, Told>,
}

/// What is told apart: whose key, from where (for IPv6 its /64), at what.
type Place = (Option<PublicKey>, Arc<str>, Arc<str>);

/// A refusal that was told.
struct Told {
    at: Time,
    /// How often it happened since.
    since: u64,
    /// What is said of them next.
    next: Option<Draft>,
}

/// Somebody who was refused something.
pub struct Culprit<'a> {
    pub key: Option<PublicKey>,
    /// As what they are known here, if they are.
    pub known: Option<(&'a str, Who)>,
    pub from: &'a str,
}

impl Audit {
    pub fn new(clock: Arc<dyn Clock>) -> Audit {
        Audit { clock, kept: Arc::default() }
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
            let mut kept = lock(&self.kept);
            let place = (Some(key), from.clone());
            kept.admitted.retain(|_, told| now.since(*told) < AGAIN);
            if kept.admitted.len() >= MOST || kept.admitted.contains_key(&place) {
                return;
            }
            kept.admitted.insert(place, now);
        }
        let who = hello.role.who();
        let title = format!("the {who} {} came in from {from}", clean_line(&hello.name));
        let said = TrustAdmitted { key: Key::of(key.bytes()), name: hello.name.clone(), who, from, grant, handed };
        tell(core, vec![Draft::new(now, actor(Some((&hello.name, who))), said, title).severity(Severity::Debug)]);
    }

    /// Somebody was not let in, or not let do something. `why` never holds a secret. Told the first time; what
    /// follows is counted, and told by its number after a while.
    pub fn refused(&self, core: &Core, of: &Culprit<'_>, what: &str, why: &str) {
        let (now, from) = (self.clock.now(), address(of.from));
        let (near, what): (Arc<str>, Arc<str>) = (neighbourhood(&from), what.into());
        let why: String = clean_line(why).chars().take(LONGEST).collect();
        let draft = |from: &Arc<str>| {
            let key = of.key.map(|key| Key::of(key.bytes()));
            let name = of.known.map(|(name, _)| Arc::from(name));
            let said = TrustRefused { key, name, from: from.clone(), what: what.clone(), times: 1 };
            Draft::new(now, actor(of.known), said, "").severity(Severity::Warning).text(why.clone())
        };
        let mut kept = lock(&self.kept);
        let mut place = (of.key, near, what.clone());
        let mut from = from;
        if kept.refused.len() >= MOST && !kept.refused.contains_key(&place) {
            kept.refused.retain(|_, told| told.since > 0 || now.since(told.at) < QUIET);
            if kept.refused.len() >= MOST {
                // A flood from everywhere is one refusal, counted.
                from = "many addresses".into();
                place = (None, from.clone(), "".into());
            }
        }
        match kept.refused.get_mut(&place) {
            Some(told) if told.at <= now && now.since(told.at) < QUIET => {
                told.since += 1;
                let first = told.next.is_none();
                told.next = Some(draft(&from));
                if first {
                    let wait = QUIET.duration().saturating_sub(now.since(told.at).duration());
                    tokio::spawn(tell_later(Arc::downgrade(&self.kept), core.clone(), place, wait));
                }
            }
            Some(told) => {
                let times = std::mem::take(&mut told.since) + 1;
                (told.at, told.next) = (now, None);
                tell(core, vec![counted(draft(&from), times)]);
            }
            None => {
                kept.refused.insert(place, Told { at: now, since: 0, next: None });
                tell(core, vec![counted(draft(&from), 1)]);
            }
        }
    }

    /// What was counted and not told yet, before the log ends.
    pub async fn told_all(&self, core: &Core) {
        let drafts: Vec<Draft> = lock(&self.kept).refused.values_mut().filter_map(Told::rest).collect();
        if !drafts.is_empty() {
            let _ = core.write(Input::Record(drafts)).await;
        }
    }
}

impl Told {
    /// What was not told yet of it.
    fn rest(&mut self) -> Option<Draft> {
        let (draft, times) = (self.next.take()?, std::mem::take(&mut self.since));
        (times > 0).then(|| counted(draft, times))
    }
}

fn lock(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Nothing that was counted is left untold because it ended.
async fn tell_later(kept: Weak<Mutex<Kept>>, core: Core, place: Place, wait: std::time::Duration) {
    tokio::time::sleep(wait).await;
    let Some(kept) = kept.upgrade() else { return };
    let rest = {
        let mut kept = lock(&kept);
        let now = core.now();
        kept.refused.get_mut(&place).and_then(|told| {
            let rest = told.rest()?;
            told.at = now;
            Some(rest)
        })
    };
    tell(&core, rest.into_iter().collect());
}

/// So often since it was told last.
fn counted(mut draft: Draft, times: u64) -> Draft {
    if let crate::model::event::Kind::TrustRefused(said) = &mut draft.kind {
        said.times = times;
        let whom = said.name.as_deref().map_or_else(String::new, |name| format!("{name} was "));
        let often = if times > 1 { format!(", {times} times since that was said last") } else { String::new() };
        draft.title = format!("{whom}refused at {}, from {}{often}", said.what, said.from).into();
    }
    draft
}

fn actor(known: Option<(&str, Who)>) -> Actor {
    match known {
        Some((name, Who::Person)) => Actor::User(Person::new(name)),
        Some((name, Who::Agent)) => Actor::Agent(AgentId::new(name)),
        Some((_, Who::Peer)) | None => Actor::Server,
    }
}

/// Without the port, which each connection has its own of, and without what somebody calls themselves. Of what is
/// that already, it is the same.
pub fn address(from: &str) -> Arc<str> {
    let place = from.split(" (").next().unwrap_or(from);
    let host = place.parse::<SocketAddr>().map_or_else(|_| clean_line(place).into_owned(), |address| address.ip().to_string());
    host.chars().take(LONGEST).collect::<String>().into()
}

/// Whoever has an IPv6 address has the whole /64.
fn neighbourhood(from: &Arc<str>) -> Arc<str> {
    from.parse::<IpAddr>().map_or_else(|_| from.clone(), |address| block(address).to_string().into())
}

/// Beside everything else: nobody waits for it.
fn tell(core: &Core, drafts: Vec<Draft>) {
    if drafts.is_empty() {
        return;
    }
    let core = core.clone();
    tokio::spawn(async move {
        if let Err(refusal) = core.write(Input::Record(drafts)).await {
            tracing::debug!(%refusal, "what concerns trust could not be told");
        }
    });
}
