//! Who looks at what of one log, for as long as they are there: kept in memory alone, told to those who may
//! see it, and forgotten with the connection that said it.
//!
//! A connection says what it likes as often as it likes: what it said last counts, once every moment. Each
//! reader is told what changed of what they may see, as seldom. Who says nothing at all for a while (a laptop
//! was closed) does not look any more.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Error, Visitor};
use tokio::sync::watch;
use tokio::time::Instant;

use super::steady::until;
use crate::model::id::SystemId;
use crate::model::presence::{Book, Focus, Looked, Presence, Reader, Seat, Seats, Whose, called};
use crate::model::time::Time;
use crate::model::world::World;
use crate::wire::Role;

/// So long a connection may say nothing, in claims that it is told meanwhile, and at least.
const CLAIMS: u32 = 3;
const SILENCE: Duration = Duration::from_secs(30);

/// `presence = false`, `true` or `"peers"` in a server's configuration.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Setting {
    /// Nobody is asked, and nobody told.
    Off,
    /// Among this server's own users.
    #[default]
    Here,
    /// With the servers that receive this one's log, and those whose logs it receives.
    Peers,
}

impl Setting {
    /// Whether one in this role says what is looked at, and is told.
    pub fn is_for(self, role: Role) -> bool {
        match role {
            Role::Console => self >= Setting::Here,
            Role::Peer => self == Setting::Peers,
            Role::Agent => false,
        }
    }

    pub const fn words(self) -> &'static str {
        match self {
            Setting::Off => "off",
            Setting::Here => "among this server's users",
            Setting::Peers => "with peers",
        }
    }
}

impl<'de> Deserialize<'de> for Setting {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Setting, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = Setting;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("false, true or \"peers\"")
            }

            fn visit_bool<E>(self, on: bool) -> Result<Setting, E> {
                Ok(if on { Setting::Here } else { Setting::Off })
            }

            fn visit_str<E: Error>(self, word: &str) -> Result<Setting, E> {
                if word == "peers" { Ok(Setting::Peers) } else { Err(E::invalid_value(serde::de::Unexpected::Str(word), &self)) }
            }
        }
        from.deserialize_any(Either)
    }
}

/// All who look at something of one log.
pub struct Board {
    setting: Setting,
    every: Duration,
    kept: Mutex<Kept>,
    changes: watch::Sender<u64>,
}

#[derive(Default)]
struct Kept {
    next: u64,
    seats: Seats,
}

impl Board {
    /// `every`: how often, at most, somebody's word counts, and somebody is told.
    pub fn new(setting: Setting, every: Duration) -> Arc<Board> {
        Arc::new(Board { setting, every, kept: Mutex::default(), changes: watch::Sender::new(0) })
    }

    pub fn setting(&self) -> Setting {
        self.setting
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for one connection, without anybody on it yet.
    pub fn enter(self: &Arc<Board>) -> Place {
        let mut kept = self.kept();
        kept.next += 1;
        Place { board: self.clone(), link: kept.next }
    }
}

/// One connection's place. Whoever sat there has gone when this is dropped.
pub struct Place {
    board: Arc<Board>,
    link: u64,
}

impl Place {
    /// From now on these sit there.
    pub fn sit(&self, seats: Vec<Seat>) {
        let changed = self.board.kept().seats.sit(self.link, seats);
        if changed {
            self.board.changes.send_modify(|version| *version += 1);
        }
    }

    /// Those who may not be there any more go at once.
    pub fn retain(&self, may: impl Fn(&Seat) -> bool) {
        let seats = self.board.kept().seats.of(self.link).iter().filter(|seat| may(seat)).cloned().collect();
        self.sit(seats);
    }

    pub fn book(&self, reader: &Reader<'_>) -> Book {
        self.board.kept().seats.seen_by(reader)
    }

    pub fn link(&self) -> u64 {
        self.link
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.sit(Vec::new());
    }
}

/// What one reader was told, and when they may be told more.
pub struct Told {
    changes: watch::Receiver<u64>,
    book: Book,
    /// Something changed that was not looked at yet.
    stale: bool,
    next: Instant,
    every: Duration,
}

impl Told {
    pub fn new(board: &Board) -> Told {
        Told { changes: board.changes.subscribe(), book: Book::default(), stale: true, next: Instant::now(), every: board.every }
    }

    /// Waits until there may be something to tell. May be dropped while it waits.
    pub async fn due(&mut self) {
        if !self.stale {
            if self.changes.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
            self.stale = true;
        }
        tokio::time::sleep_until(self.next).await;
    }

    /// What one sees is not what it was: it is looked at anew, and at once.
    pub fn anew(&mut self) {
        (self.stale, self.next) = (true, Instant::now());
    }

    /// What is to be told, of this. What changed meanwhile is looked at the next time.
    pub fn take(&mut self, now: impl FnOnce() -> Book) -> Option<Presence> {
        self.changes.mark_unchanged();
        self.stale = false;
        let told = self.book.become_of(now())?;
        self.next = Instant::now() + self.every;
        Some(told)
    }
}

/// Somebody's word that they look at something, before anybody knows what that is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Claim {
    pub whose: Whose,
    pub name: Arc<str>,
    pub at: Focus,
    pub since: Time,
}

impl Claim {
    /// The system that it is about, in this world. Nothing: there is no such thing, or not for them.
    pub fn seat(&self, world: &World, may: &impl Fn(&SystemId) -> bool) -> Option<Seat> {
        let system = match &self.at {
            Focus::Alert(alert) => world.alert(*alert)?.system.clone(),
            Focus::System(id) => world.system(id)?.spec.id.clone(),
        };
        let Claim { whose, name, at, since } = self.clone();
        may(&system).then_some(Seat { whose, name, at, system, since })
    }

    /// What another server tells: its names with where they are from, its times not ahead of ours.
    pub fn of_others(whose: Whose, book: &Book, server: &str, now: Time) -> Vec<Claim> {
        let from = called(server);
        let claim = |at: &Focus, looker: &crate::model::presence::Looker| {
            let name = called(&looker.name);
            let name = if whose == Whose::Primarys && name.contains('@') { name } else { format!("{name}@{from}").into() };
            Claim { whose, name, at: at.clone(), since: looker.since.min(now) }
        };
        book.iter().flat_map(|(at, who)| who.iter().map(move |looker| (at, looker))).take(Seats::OF_ONE).map(|(at, looker)| claim(at, looker)).collect()
    }
}

/// What is due of one connection's part in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Due {
    /// What was said counts.
    Sit,
    /// Nothing was heard for too long.
    Leave,
    Tell,
}

/// What was said last.
enum Said {
    /// Of one person.
    Own(Option<Claim>),
    /// Of a peer's users, as it is called.
    Users(Book, Arc<str>),
}

/// One connection's part in it.
pub struct Present {
    pub place: Place,
    pub told: Option<Told>,
    said: Said,
    /// What was said does not count yet, and will then.
    sits: Option<Instant>,
    /// When it counted last.
    sat: Option<Instant>,
    heard: Instant,
    patience: Duration,
    silent: bool,
}

impl Present {
    pub fn new(board: &Arc<Board>, claim_every: Duration) -> Present {
        Present {
            place: board.enter(),
            told: None,
            said: Said::Own(None),
            sits: None,
            sat: None,
            heard: Instant::now(),
            patience: claim_every.saturating_mul(CLAIMS).max(SILENCE),
            silent: false,
        }
    }

    /// Something came through the connection, whatever it was.
    pub fn heard(&mut self) {
        self.heard = Instant::now();
        if std::mem::take(&mut self.silent) {
            self.sits = Some(self.heard);
        }
    }

    /// A person says what they look at.
    pub fn says(&mut self, name: &str, at: Option<Focus>, now: Time) {
        self.said = Said::Own(at.map(|at| Claim { whose: Whose::Own, name: called(name), at, since: now }));
        self.will_sit();
    }

    /// A peer says which of its users look at what, as far as that changed.
    pub fn tells(&mut self, server: &Arc<str>, users: Vec<Looked>) {
        let mut book = match std::mem::replace(&mut self.said, Said::Own(None)) {
            Said::Users(book, _) => book,
            Said::Own(_) => Book::default(),
        };
        book.take(Presence { looked: users });
        self.said = Said::Users(book, server.clone());
        self.will_sit();
    }

    /// At once the first time, and where nothing was said for a moment.
    fn will_sit(&mut self) {
        let now = Instant::now();
        let after = self.sat.map_or(now, |sat| (sat + self.place.board.every).max(now));
        self.sits = Some(self.sits.map_or(after, |due| due.min(after)));
    }

    /// What they may see is another: what they said is looked at anew, and what they are told.
    pub fn again(&mut self) {
        self.sits = Some(Instant::now());
        self.told.iter_mut().for_each(Told::anew);
    }

    /// What is due. May be dropped while it waits.
    pub async fn due(&mut self) -> Due {
        let nobody = match &self.said {
            Said::Own(claim) => claim.is_none(),
            Said::Users(book, _) => book.is_empty(),
        };
        let leaves = (!nobody && !self.silent).then(|| self.heard + self.patience);
        let told = async {
            match &mut self.told {
                Some(told) => told.due().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = until(self.sits) => Due::Sit,
            () = until(leaves) => Due::Leave,
            () = told => Due::Tell,
        }
    }

    /// What was said, which counts from now on.
    pub fn sit(&mut self, now: Time) -> Vec<Claim> {
        (self.sits, self.sat) = (None, Some(Instant::now()));
        match &self.said {
            Said::Own(claim) => claim.iter().cloned().collect(),
            Said::Users(book, server) => Claim::of_others(Whose::Peers, book, server, now),
        }
    }

    /// Until something is heard again, nobody is there.
    pub fn leave(&mut self) {
        self.silent = true;
        self.place.sit(Vec::new());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(serde::Deserialize)]
    struct Of {
        presence: Setting,
    }

    #[test]
    fn the_setting_is_a_switch_or_a_word() {
        let parse = |text: &str| toml::from_str::<Of>(&format!("presence = {text}")).map(|of| of.presence);
        assert_eq!([parse("false"), parse("true"), parse("\"peers\"")].map(Result::unwrap), [Setting::Off, Setting::Here, Setting::Peers]);
        let error = parse("\"everybody\"").unwrap_err().to_string();
        assert!(error.contains("false, true or \"peers\""), "{error}");
    }

    #[test]
    fn it_is_never_for_agents_and_for_peers_where_that_was_said() {
        let for_whom = |setting: Setting| [Role::Console, Role::Peer, Role::Agent].map(|role| setting.is_for(role));
        assert_eq!(for_whom(Setting::Off), [false; 3]);
        assert_eq!(for_whom(Setting::default()), [true, false, false]);
        assert_eq!(for_whom(Setting::Peers), [true, true, false]);
    }
}
