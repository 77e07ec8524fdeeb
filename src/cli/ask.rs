//! Asking servers for one command: connect, hear how things are, ask for something, and go.
//!
//! With servers configured, those (or the ones that `--server` names) are asked; without any, the
//! embedded one. Whoever cannot be reached is said on standard error, and the command ends with 3: what
//! is not known is never shown as fine.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::output;
use super::settings::{ServerEntry, Settings, server_name};
use super::{Context, Failure};
use crate::client::marks::Save;
use crate::client::servers::Wishes;
use crate::client::{Address, HistoryPage, ReadMarks, Replica, ServerConfig, ServerIndex, Servers, Update};
use crate::link::{OsRandom, Random, SystemClock};
use crate::model::event::Event;
use crate::model::id::{EventId, Person, RequestId};
use crate::model::intent::{Intent, Request};
use crate::model::mark::Marks;
use crate::model::peer::PeerState;
use crate::model::time::{Span, Time};
use crate::model::view::{Freshness, Seen, Sky};
use crate::model::world::World;
use crate::server::{Past, world_of};
use crate::store::{Log, Page, Retention, SqliteLog};
use crate::trust::Proving;
use crate::wire::{EventBytes, HistoryAsk, Outcome, Paging, Place, ProblemCode};

/// The embedded server's socket, in its folder.
pub const SOCKET: &str = "server.sock";
/// How long a server may take to say how things are.
const PATIENCE: Duration = Duration::from_secs(10);

pub fn now() -> Time {
    Time::from(jiff::Timestamp::now())
}

/// One of the servers that were asked.
#[derive(Debug)]
pub struct Asked {
    pub config: ServerConfig,
    /// The one that consoles start by themselves.
    pub embedded: bool,
    /// The place of the server that passes its log on, when it is not reached itself, and what that says of it.
    pub through: Option<(ServerIndex, Box<PeerState>)>,
    pub replica: Replica,
    /// When `welcome` came, by our clock: its own time beside it shows the skew.
    pub welcomed: Option<Time>,
    /// Why it could not be reached, in words not yet cleaned.
    pub failed: Option<String>,
    /// Why it does not say how things were, when `--at` asks for that.
    pub refused: Option<String>,
}

impl Asked {
    fn new(config: ServerConfig, embedded: bool) -> Asked {
        Asked { config, embedded, through: None, replica: Replica::default(), welcomed: None, failed: None, refused: None }
    }

    /// It has neither said how things are nor failed to.
    fn is_awaited(&self) -> bool {
        self.replica.world.is_none() && self.failed.is_none() && !self.replica.superseded
    }

    /// How far the server's clock is ahead of ours, in microseconds; what the line took counts as behind.
    pub fn ahead(&self) -> Option<i64> {
        let welcome = self.replica.welcome.as_ref()?;
        Some(welcome.now.micros().saturating_sub(self.welcomed?.micros()))
    }
}

/// Connections to all servers that a command asks.
pub struct Ask {
    servers: Servers,
    pub asked: Vec<Asked>,
    person: Arc<str>,
    /// The embedded server's folder, when it is the one that is asked.
    embedded: Option<PathBuf>,
    /// Its log, read from the disk, when it does not run.
    offline: Option<SqliteLog>,
    /// The number of the last ask for a page of history.
    asks: u64,
    /// Everything as it was then.
    at: Option<Time>,
}

/// A page of one server's timeline.
#[derive(Debug, Default)]
pub struct Told {
    /// In the order of the page: newest first when it goes back.
    pub events: Vec<Arc<Event>>,
    /// There is no more that way.
    pub complete: bool,
}

/// The same, as it was sent.
#[derive(Debug, Default)]
pub struct Raw {
    pub page: HistoryPage,
    pub complete: bool,
}

/// What a command does with its servers, in a runtime of its own.
pub fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("cannot start: {error}"), "Are there too many open files or processes?"))?
        .block_on(work)
}

/// The servers that the configuration and `--server` name; none of either: the embedded one.
pub struct Chosen {
    pub configs: Vec<ServerConfig>,
    pub person: Arc<str>,
    /// The embedded server's folder, when it is the one.
    pub embedded: Option<PathBuf>,
}

pub fn chosen(context: &Context) -> Result<Chosen, Failure> {
    let settings = context.settings()?;
    let person = settings.person();
    let wanted = &context.global.server;
    let mut configs = Vec::new();
    for name in wanted {
        configs.push(match (settings.servers.get(name), Address::parse(name)) {
            (Some(entry), _) => entry.config(name)?,
            (None, Ok(_)) => ServerEntry { url: name.clone(), ..ServerEntry::default() }.config(name)?,
            (None, Err(error)) if name.contains([':', '/']) => return Err(Failure::usage(error.to_string(), "")),
            (None, Err(_)) => {
                let near = crate::model::nearest::nearest(name, settings.servers.keys().map(String::as_str));
                let hint = near.map_or_else(|| "`midwatch server list` shows those that are".to_owned(), |near| format!("Did you mean `{near}`?"));
                return Err(Failure::usage(format!("no server is called `{name}`"), hint));
            }
        });
    }
    if wanted.is_empty() {
        for (name, entry) in &settings.servers {
            configs.push(entry.config(name)?);
        }
    }
    let embedded = configs.is_empty().then(|| running(context).unwrap_or_else(|| context.places.embedded()));
    if let Some(folder) = &embedded {
        configs.push(ServerConfig::new(&embedded_name(), Address::Unix(folder.join(SOCKET))));
    }
    by_key(&mut configs, context, &settings)?;
    Ok(Chosen { configs, person, embedded })
}

/// The same, for a command: about those that are met for the first time it is asked first.
pub fn met(context: &Context) -> Result<Chosen, Failure> {
    let chosen = chosen(context)?;
    super::meet::all(&chosen.configs)?;
    Ok(chosen)
}

/// Whoever is met on TCP proves their key, and sees ours; on a Unix socket the owner is known.
fn by_key(configs: &mut [ServerConfig], context: &Context, settings: &Settings) -> Result<(), Failure> {
    let tcp = |config: &&mut ServerConfig| config.address.host().is_some();
    let mut signer = None;
    for config in configs.iter_mut().filter(tcp) {
        let signer = match &signer {
            Some(signer) => Arc::clone(signer),
            None => Arc::clone(signer.insert(super::keys::signer(context, settings)?)),
        };
        let server = match config.address.host() {
            Some(address) if !server_name(&config.name) => address.into(),
            Some(_) | None => config.name.clone(),
        };
        let known = context.places.known_servers();
        let known = if settings.accept_new { known } else { known.asking() };
        config.proving = Some(Arc::new(Proving { signer, known, server }));
    }
    Ok(())
}

/// The embedded server that runs: the one of this machine, else one that was started with sources.
fn running(context: &Context) -> Option<PathBuf> {
    let answers = |folder: &PathBuf| std::os::unix::net::UnixStream::connect(folder.join(SOCKET)).is_ok();
    let others = std::fs::read_dir(&context.places.data).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path());
    let mut others: Vec<PathBuf> = others.filter(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("embedded-"))).collect();
    others.sort();
    std::iter::once(context.places.embedded()).chain(others).find(answers)
}

/// What the embedded server is called: as the machine is.
pub fn embedded_name() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let short: String = name.split('.').next().unwrap_or_default().chars().filter(|c| c.is_alphanumeric() || matches!(c, '-' | '_')).take(60).collect();
    if short.is_empty() { "here".to_owned() } else { short }
}

impl Ask {
    /// Starts to connect to the chosen servers. Nothing has been heard yet.
    pub fn connect(context: &Context, history: u32) -> Result<Ask, Failure> {
        let Chosen { configs, person, embedded } = met(context)?;
        let wishes = Wishes { name: person.clone(), history, filter: None, vitals: false, presence: context.settings()?.presence, peers: true };
        let random: Arc<dyn Random> = Arc::new(OsRandom);
        let servers = Servers::connect(&configs, &wishes, &random).map_err(|error| Failure::failed(format!("cannot start the connections: {error}"), ""))?;
        let asked = configs.into_iter().map(|config| Asked::new(config, embedded.is_some())).collect();
        Ok(Ask { servers, asked, person, embedded, offline: None, asks: 0, at: context.at()? })
    }

    /// Waits for what comes next, and takes it in.
    pub async fn next(&mut self) -> Option<(ServerIndex, Update)> {
        let (index, update) = self.servers.updates.recv().await?;
        if let Update::Found { config, through, peer } = &update {
            self.found((**config).clone(), *through, peer.clone());
        }
        if let Some(asked) = self.asked.get_mut(index.0) {
            asked.replica.apply(&update);
            match &update {
                Update::Connected(_) => (asked.welcomed, asked.failed) = (Some(now()), None),
                Update::Disconnected { why, .. } => asked.failed = Some(why.clone()),
                _ => {}
            }
        }
        Some((index, update))
    }

    /// A server behind one of those that are asked.
    fn found(&mut self, mut config: ServerConfig, through: ServerIndex, peer: Box<PeerState>) {
        if self.asked.iter().any(|asked| asked.config.name == config.name) {
            let by = self.asked.get(through.0).map(|asked| asked.config.name.clone()).unwrap_or_default();
            config.name = format!("{}-{by}", config.name).into();
        }
        self.asked.push(Asked { through: Some((through, peer)), ..Asked::new(config, false) });
    }

    /// Waits until every server has said how things are, or could not be reached.
    pub async fn worlds(&mut self) {
        let heard = async {
            while self.asked.iter().any(Asked::is_awaited) {
                if self.next().await.is_none() {
                    break;
                }
            }
        };
        let late = tokio::time::timeout(PATIENCE, heard).await.is_err();
        for asked in self.asked.iter_mut().filter(|asked| late && asked.is_awaited()) {
            asked.failed = Some(format!("no answer within {} s", PATIENCE.as_secs()));
        }
        self.read_from_disk().await;
        if let Some(at) = self.at {
            self.look_back(at).await;
        }
    }

    /// Asks every server that answers as whom one is there, and what one may do. Older ones do not say.
    pub async fn holdings(&mut self) {
        let mut waiting: Vec<ServerIndex> = Vec::new();
        for (place, asked) in self.asked.iter().enumerate() {
            if asked.replica.connected && asked.through.is_none() && self.servers.handle.renew(ServerIndex(place)).is_ok() {
                waiting.push(ServerIndex(place));
            }
        }
        let until = tokio::time::Instant::now() + PATIENCE;
        while !waiting.is_empty() {
            let Ok(Some((server, update))) = tokio::time::timeout_at(until, self.next()).await else { break };
            if matches!(update, Update::Holding(_) | Update::Problem(_) | Update::Disconnected { .. }) {
                waiting.retain(|waits| *waits != server);
            }
        }
    }

    /// The time that is looked at: now, or what `--at` says.
    pub fn moment(&self) -> Time {
        self.at.unwrap_or_else(now)
    }

    /// Each server's world gives place to the one that it had then.
    async fn look_back(&mut self, at: Time) {
        if let Some(log) = self.offline.take() {
            let past = Past::new(Arc::new(log), Retention::default(), Arc::new(SystemClock));
            let then = past.at(at).await.map(|then| (then.world, then.known_from)).map_err(|error| error.to_string());
            self.then(ServerIndex(0), then);
            return;
        }
        let mut waiting = Vec::new();
        for place in 0..self.asked.len() {
            if self.asked.get(place).is_some_and(|asked| asked.replica.world.is_some()) {
                self.asks += 1;
                match self.servers.handle.world_at(ServerIndex(place), self.asks, at) {
                    Ok(()) => waiting.push((ServerIndex(place), self.asks)),
                    Err(_) => self.then(ServerIndex(place), Err("it has too much to do".to_owned())),
                }
            }
        }
        let until = tokio::time::Instant::now() + PATIENCE * 3;
        while !waiting.is_empty() {
            let Ok(Some((server, update))) = tokio::time::timeout_at(until, self.next()).await else { break };
            let then = match update {
                Update::Then(then) if waiting.contains(&(server, then.id)) => Ok((then.world, then.known_from)),
                Update::Problem(problem) if waiting.iter().any(|(of, id)| *of == server && problem.id.is_none_or(|named| named == *id)) => {
                    Err(if problem.code == ProblemCode::Malformed { "its version cannot tell how things were".to_owned() } else { problem.words })
                }
                Update::Disconnected { why, .. } => Err(why),
                _ => continue,
            };
            waiting.retain(|(of, _)| *of != server);
            self.then(server, then);
        }
        for (server, _) in waiting {
            self.then(server, Err(format!("no answer within {} s", (PATIENCE * 3).as_secs())));
        }
    }

    fn then(&mut self, server: ServerIndex, then: Result<(Option<Arc<World>>, Option<Time>), String>) {
        let Some(asked) = self.asked.get_mut(server.0) else { return };
        (asked.replica.world, asked.refused) = match then {
            Ok((Some(world), _)) => (Some(world), None),
            Ok((None, Some(from))) => {
                let from = from.zoned(&jiff::tz::TimeZone::system());
                (None, Some(format!("{} knows its past from {} on", asked.config.name, from.strftime("%a %-d %b %Y %H:%M"))))
            }
            Ok((None, None)) => (None, Some(format!("{} holds no events yet", asked.config.name))),
            Err(why) => (None, Some(format!("{} does not say how things were: {why}", asked.config.name))),
        };
    }

    /// The embedded server does not run: what it knew is on the disk, and is shown with its age.
    async fn read_from_disk(&mut self) {
        let (Some(folder), [asked]) = (&self.embedded, self.asked.as_mut_slice()) else { return };
        if asked.replica.world.is_some() {
            return;
        }
        let known = match SqliteLog::open_read_only(folder) {
            Ok(log) => world_of(&log).await.map(|world| (log, world)),
            Err(_) if !folder.exists() => {
                asked.failed = Some("nothing is known yet: no server is configured, and none has watched this machine. Start `midwatch` once".to_owned());
                return;
            }
            Err(error) => Err(error),
        };
        match known {
            Ok((log, world)) => {
                let age = now().since(world.recorded);
                output::tell(&format!("midwatch: no server runs here; this is what {} knew {age} ago", asked.config.name));
                asked.replica.world = Some(Arc::new(world));
                asked.failed = None;
                self.offline = Some(log);
            }
            Err(error) => asked.failed = Some(format!("it does not run, and its log cannot be read: {error}")),
        }
    }

    /// How far the person has looked, by what was kept on this machine and by what their home server knows.
    pub async fn read_marks(&mut self, kept: PathBuf, home: Option<ServerIndex>) -> Marks {
        let mut reading = ReadMarks::open(Some(kept), home, now());
        let keeps = |asked: &Asked| asked.replica.connected && asked.replica.welcome.as_ref().is_some_and(|welcome| welcome.keeps_marks);
        let Some(home) = home.filter(|home| self.asked.get(home.0).is_some_and(keeps)) else { return reading.marks().clone() };
        if self.servers.handle.read_marks(home, reading.marks()).is_ok() {
            let until = tokio::time::Instant::now() + PATIENCE;
            while let Ok(Some((server, update))) = tokio::time::timeout_at(until, self.next()).await {
                let over = server == home && matches!(update, Update::Disconnected { .. } | Update::Problem(_));
                let heard = reading.hear(server, &update, None, now());
                if let Some(Err(error)) = heard.as_ref().and_then(|heard| heard.save.clone()).map(Save::write) {
                    output::tell(&format!("midwatch: what you have seen cannot be kept on this machine's disk: {error}"));
                }
                if heard.is_some() || over {
                    break;
                }
            }
        }
        reading.marks().clone()
    }

    /// A page of a server's timeline, at most so many events.
    pub async fn page(&mut self, server: ServerIndex, page: Paging, limit: usize, between: &mut dyn FnMut(ServerIndex, &Update)) -> Result<Told, Failure> {
        let Raw { page, complete } = self.raw(server, page, limit, between).await?;
        let origin = self.asked.get(server.0).and_then(|asked| asked.replica.world.as_ref()).map(|world| world.origin).unwrap_or_default();
        Ok(Told { events: page.decode(origin).0, complete })
    }

    /// The same, as it was sent.
    pub async fn raw(&mut self, server: ServerIndex, page: Paging, limit: usize, between: &mut dyn FnMut(ServerIndex, &Update)) -> Result<Raw, Failure> {
        if let Some(log) = &self.offline {
            let place = |place: Option<Place>| place.map(|place| (place.at, place.sequence));
            let page = match page {
                Paging::Before(from) => Page::Before(place(from)),
                Paging::After(from) => Page::After(place(from)),
            };
            let rows = log.page(page, limit).await.map_err(|error| Failure::failed(error.to_string(), ""))?;
            let complete = rows.len() < limit;
            return Ok(Raw { page: HistoryPage::read(rows.into_iter().map(|row| EventBytes(row.bytes)).collect()), complete });
        }
        self.asks += 1;
        let (id, name) = (self.asks, self.asked.get(server.0).map(|asked| asked.config.name.to_string()).unwrap_or_default());
        let ask = HistoryAsk { id, page, limit: u64::try_from(limit).unwrap_or(u64::MAX), filter: None };
        self.servers.handle.history(server, ask).map_err(|_| Failure::failed(format!("{name} has too much to do"), "Try again"))?;
        let answer = async {
            let mut told = Raw::default();
            while let Some((from, update)) = self.next().await {
                match &update {
                    Update::History { id: of, page, last, complete, .. } if from == server && *of == id => {
                        told.page.broken = told.page.broken.saturating_add(page.broken);
                        told.page.entries.extend(page.entries.iter().cloned());
                        told.complete |= *complete;
                        if *last {
                            return Ok(told);
                        }
                    }
                    Update::Problem(problem) if from == server && problem.id == Some(id) => {
                        return Err(Failure::failed(format!("{name}: {}", problem.words), ""));
                    }
                    Update::Disconnected { why, .. } if from == server => return Err(Failure::unreachable(format!("{name} went away: {why}"), "Try again")),
                    _ => between(from, &update),
                }
            }
            Err(Failure::unreachable(format!("the connection to {name} ended"), "Try again"))
        };
        match tokio::time::timeout(PATIENCE * 3, answer).await {
            Ok(told) => told,
            Err(_) => Err(Failure::unreachable(format!("{name} sent no history within {} s", (PATIENCE * 3).as_secs()), "Try again")),
        }
    }

    /// Nobody will say anything new.
    pub fn is_offline(&self) -> bool {
        self.offline.is_some()
    }

    /// What was heard. Its servers are those that have a world, so their places differ from ours:
    /// [`Ask::server_at`] leads back.
    pub fn sky(&self) -> Sky {
        let at = Instant::now();
        // How things were has no numbers: they are not kept.
        let live = self.heard().filter(|_| self.at.is_none()).enumerate();
        let readings = live.map(|(place, (_, asked))| (place, asked.replica.readings.clone())).collect();
        let live = self.heard().filter(|_| self.at.is_none()).enumerate();
        let presence = live.map(|(place, (_, asked))| (place, asked.replica.presence.clone())).collect();
        let seen = self.heard().filter_map(|(_, asked)| {
            let world = asked.replica.world.clone()?;
            if self.at.is_some() {
                return Some(Seen { name: asked.config.name.clone(), world, freshness: Freshness::Live { age: Span::ZERO } });
            }
            // Read from the disk, it is as old as the last that was written.
            let written = self.offline.is_some().then(|| now().since(world.recorded));
            let age = asked.replica.fresh.map(|fresh| Span::from(fresh.age(at))).or(written);
            let patience = asked.replica.welcome.as_ref().map_or(Span::from_secs(15), |welcome| welcome.claim_every.times(3).max(Span::from_secs(15)));
            let late = asked.through.is_some() && age.is_some_and(|age| age > patience);
            let freshness = match (age, asked.replica.connected && !late) {
                (Some(age), true) => Freshness::Live { age },
                (Some(age), false) => Freshness::Stale { age },
                (None, _) => Freshness::Never,
            };
            Some(Seen { name: asked.config.name.clone(), world, freshness })
        });
        Sky::new(seen.collect()).in_zone(jiff::tz::TimeZone::system()).reading(readings).looked_at(presence)
    }

    fn heard(&self) -> impl Iterator<Item = (usize, &Asked)> {
        self.asked.iter().enumerate().filter(|(_, asked)| asked.replica.world.is_some())
    }

    /// Our server that stands at this place of [`Ask::sky`].
    pub fn server_at(&self, place: usize) -> Option<ServerIndex> {
        self.heard().nth(place).map(|(index, _)| ServerIndex(index))
    }

    /// Says who could not be reached; fails when anybody could not.
    pub fn all_reached(&self) -> Result<(), Failure> {
        let failed: Vec<&Asked> = self.asked.iter().filter(|asked| asked.failed.is_some() && asked.replica.world.is_none()).collect();
        let refused: Vec<&String> = self.asked.iter().filter_map(|asked| asked.refused.as_ref()).collect();
        if let [first, more @ ..] = refused.as_slice() {
            more.iter().for_each(|words| output::complain(&format!("midwatch: {words}")));
            return Err(Failure::failed((*first).clone(), "Choose a later time with --at"));
        }
        let words = |asked: &Asked| format!("{}: {}", asked.config.name, asked.failed.as_deref().unwrap_or_default());
        match failed.as_slice() {
            [] => Ok(()),
            [one] => Err(Failure::unreachable(format!("could not reach {}", words(one)), "`midwatch doctor` says more")),
            many => {
                many.iter().for_each(|asked| output::complain(&format!("midwatch: could not reach {}", words(asked))));
                Err(Failure::unreachable(format!("{} servers could not be reached", many.len()), "`midwatch doctor` says more"))
            }
        }
    }

    /// Asks one server to do something and waits for its answer.
    pub async fn perform(&mut self, server: ServerIndex, intent: Intent) -> Result<Vec<EventId>, Failure> {
        if self.is_offline() {
            return Err(Failure::unreachable("no server runs here that could do this", "Start `midwatch`, or `midwatch serve`, first"));
        }
        let id: RequestId = OsRandom.request_id();
        let request = Request { id, by: Person::new(&self.person), made: now(), intent, signed: None };
        let name = self.asked.get(server.0).map(|asked| asked.config.name.to_string()).unwrap_or_default();
        self.servers.handle.request(server, request).map_err(|_| Failure::failed(format!("{name} has too much to do"), "Try again"))?;
        let answer = async {
            while let Some((from, update)) = self.next().await {
                match update {
                    Update::Answered { request, outcome } if from == server && request == id => return Ok(outcome),
                    Update::Disconnected { why, .. } if from == server => return Err(why),
                    _ => {}
                }
            }
            Err("the connection ended".to_owned())
        };
        match tokio::time::timeout(PATIENCE, answer).await {
            Ok(Ok(Outcome::Done(events))) => Ok(events),
            Ok(Ok(Outcome::Refused(refusal))) => Err(Failure::from(refusal)),
            Ok(Err(why)) => Err(Failure::unreachable(format!("{name} went away before it answered: {why}"), "Whether it was done, `midwatch events` shows")),
            Err(_) => {
                Err(Failure::unreachable(format!("{name} did not answer within {} s", PATIENCE.as_secs()), "Whether it was done, `midwatch events` shows"))
            }
        }
    }
}
