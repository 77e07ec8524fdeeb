//! What the judge knows by itself: which systems there are, what each says that nobody else may hear, who was
//! granted what and when, and what stands in each server's log. Nothing of it comes from what is judged; logs
//! are looked at, as bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard};

use futures_util::FutureExt;
use midwatch::link::Clock;
use midwatch::store::{Log, MemoryLog, Row};

use super::decode::Value;
use super::net::{Elapsed, HostClock};

/// Seconds after which nothing may be seen any more that was taken back: at once, and a tick of the simulation.
const LATENCY: u64 = 2_000_000;
/// What is taken of what comes is taken within that.
const SOON: u64 = 600_000;
/// A clock that was set is looked at again after so long.
const SET_CLOCK: u64 = 31_000_000;

/// What one system of each server uses there.
pub const USES: [(usize, usize); 2] = [(1, 5), (4, 2)];
pub const SYSTEMS: usize = 6;
pub const PATTERNS: [&str; 9] = ["**", "shop/**", "shop/*", "shop", "lab/**", "lab/*", "lab", "*", "shop/**,lab"];

/// The systems of a server. The names of most bear a mark themselves.
pub fn system(server: usize, number: usize) -> String {
    let mark = mark(server, number, 's', 0);
    match number {
        0 => "shop".into(),
        1 => format!("shop/web-{mark}"),
        2 => format!("shop/db-{mark}"),
        3 => "lab".into(),
        4 => format!("lab/oven-{mark}"),
        _ => format!("base-{mark}"),
    }
}

/// A word that says of which server's which system it tells what: `t` an alert's title, `s` the system's name;
/// everything else is nobody's who may not see the system.
pub fn mark(server: usize, system: usize, kind: char, number: u64) -> String {
    format!("zq{}{system}{kind}{number}qz", letter(server))
}

fn letter(server: usize) -> char {
    char::from(b'a' + u8::try_from(server).unwrap())
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Mark {
    pub server: usize,
    pub system: usize,
    pub kind: char,
}

/// All marks in some bytes, however these are packed into messages. A whole mark: keys and signatures hold
/// any few letters now and then.
pub fn marks(bytes: &[u8]) -> BTreeSet<Mark> {
    memchr::memmem::find_iter(bytes, b"zq").filter_map(|at| whole(&bytes[at + 2..])).collect()
}

fn whole(rest: &[u8]) -> Option<Mark> {
    let [server @ b'a'..=b'g', system @ b'0'..=b'5', kind @ b'a'..=b'z', rest @ ..] = rest else { return None };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let mark = Mark { server: usize::from(server - b'a'), system: usize::from(system - b'0'), kind: char::from(*kind) };
    (digits > 0 && rest[digits..].starts_with(b"qz")).then_some(mark)
}

/// A pattern's meaning, as the README says it.
pub fn covers(pattern: &str, system: &str) -> bool {
    pattern.split(',').any(|pattern| match (pattern, pattern.strip_suffix("/**"), pattern.strip_suffix("/*")) {
        ("**", ..) => true,
        ("*", ..) => !system.contains('/'),
        (_, Some(above), _) => system == above || system.starts_with(&format!("{above}/")),
        (_, _, Some(above)) => system.strip_prefix(&format!("{above}/")).is_some_and(|rest| !rest.contains('/')),
        _ => pattern == system,
    })
}

/// What somebody was given, from when until when.
#[derive(Clone, Debug)]
pub struct Held {
    pub from: u64,
    pub until: Option<u64>,
    pub systems: &'static str,
    pub rights: &'static str,
    /// By the server's own clock, microseconds since 1970.
    pub expires: Option<i64>,
    /// The event that says so, in the server's log, once that is known.
    pub sequence: Option<u64>,
}

impl Held {
    pub fn has(&self, right: &str) -> bool {
        self.rights.split(',').any(|other| other == right)
    }

    fn sees(&self, system: &str) -> bool {
        self.has("read") && covers(self.systems, system)
    }

    fn sees_all(&self) -> bool {
        self.has("read") && self.systems.contains("**")
    }
}

/// One server, as the judge knows it.
pub struct Home {
    pub name: &'static str,
    pub origin: [u8; 16],
    pub key: [u8; 32],
    pub log: MemoryLog,
    pub shelf: midwatch::server::peer::MemoryShelf,
    pub clock: HostClock,
    pub shifted: Mutex<u64>,
    /// Whom it receives from.
    pub peers: Vec<usize>,
}

/// Events by the server, life and place.
type Archive = BTreeMap<(usize, u64, u64), Vec<u8>>;

#[derive(Default)]
struct Kept {
    /// By server, then by the name of whose it is.
    grants: BTreeMap<(usize, String), Vec<Held>>,
    /// What stood in logs that were cut back.
    archive: Archive,
    /// What was answered as done: server, life, place.
    done: BTreeSet<(usize, u64, u64)>,
    /// How far lives of logs went that are over.
    ended: BTreeMap<(usize, u64), u64>,
    /// What must not be in a server's copy of another's log: since when it is looked for; server, log, life, place.
    refused: Vec<(u64, usize, usize, u64, u64)>,
    wrong: Vec<String>,
    tally: BTreeMap<&'static str, u64>,
}

pub struct Truth {
    pub elapsed: Elapsed,
    pub homes: Vec<Home>,
    /// The keys of those that come, by name.
    pub keys: BTreeMap<String, String>,
    /// Leases are short, and clocks go well.
    pub leases_end: bool,
    kept: Mutex<Kept>,
}

/// When something may have been decided that is seen now.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    pub from: u64,
    pub to: u64,
}

impl Truth {
    pub fn new(elapsed: Elapsed, homes: Vec<Home>, keys: BTreeMap<String, String>, leases_end: bool) -> Truth {
        Truth { elapsed, homes, keys, leases_end, kept: Mutex::default() }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap()
    }

    pub fn wrong(&self, words: String) {
        let mut kept = self.kept();
        if kept.wrong.len() < 10 {
            kept.wrong.push(words);
        }
    }

    pub fn wrongs(&self) -> Vec<String> {
        self.kept().wrong.clone()
    }

    pub fn count(&self, what: &'static str) {
        *self.kept().tally.entry(what).or_default() += 1;
    }

    pub fn tally(&self) -> BTreeMap<&'static str, u64> {
        self.kept().tally.clone()
    }

    pub fn window(&self, since: u64) -> Window {
        Window { from: since.min(self.elapsed.get()).saturating_sub(LATENCY), to: self.elapsed.get() }
    }

    /// Something is about to be granted, and may be used from now on; what was, may be until [`Truth::granted`].
    pub fn grants(&self, server: usize, whose: &str, held: Held) {
        self.kept().grants.entry((server, whose.to_owned())).or_default().push(held);
    }

    /// The newest is in force now: what was before is over.
    pub fn granted(&self, server: usize, whose: &str, from: u64, sequence: u64) {
        let now = self.elapsed.get();
        let mut kept = self.kept();
        let all = kept.grants.entry((server, whose.to_owned())).or_default();
        for held in all.iter_mut() {
            if held.from == from {
                held.sequence = Some(sequence);
            } else if held.until.is_none() {
                held.until = Some(now);
            }
        }
    }

    /// Nothing is held any more.
    pub fn revoked(&self, server: usize, whose: &str) {
        let now = self.elapsed.get();
        for held in self.kept().grants.entry((server, whose.to_owned())).or_default() {
            held.until = held.until.or(Some(now));
        }
    }

    /// A log is about to be cut back: what was said of it is kept, and what was granted up to there holds again.
    pub fn cut_back(&self, server: usize, to: u64) {
        let rows = rows(&self.homes[server].log);
        let head = self.homes[server].log.head();
        let now = self.elapsed.get();
        let mut kept = self.kept();
        kept.ended.insert((server, head.incarnation.0), head.sequence.0);
        for row in rows {
            if let Some(id) = id_of(&row.bytes) {
                kept.archive.insert((server, id.1, id.2), row.bytes.to_vec());
            }
        }
        kept.done.retain(|(of, _, place)| *of != server || *place <= to);
        for ((of, _), all) in &mut kept.grants {
            if *of != server {
                continue;
            }
            // Whatever of them was ever in force by then may be again: the judge asks for no more than that.
            let again: Vec<Held> = all.iter().filter(|held| held.sequence.is_some_and(|sequence| sequence <= to)).cloned().collect();
            for held in all.iter_mut() {
                held.until = held.until.or(Some(now));
            }
            all.extend(again.into_iter().next_back().map(|held| Held { from: now, until: None, ..held }));
        }
    }

    fn held(&self, server: usize, whose: &str, window: Window) -> Vec<Held> {
        let home = &self.homes[server];
        let (now, set) = (home.clock.now().micros(), *home.shifted.lock().unwrap());
        let fresh =
            |held: &Held| held.expires.is_none_or(|expires| now - i64::try_from(window.to - window.from).unwrap() < expires || window.to < set + SET_CLOCK);
        let overlaps = |held: &Held| held.from <= window.to && held.until.is_none_or(|until| until >= window.from);
        let kept = self.kept();
        kept.grants.get(&(server, whose.to_owned())).into_iter().flatten().filter(|held| overlaps(held) && fresh(held)).cloned().collect()
    }

    fn ever(&self, server: usize, whose: &str) -> Vec<Held> {
        self.kept().grants.get(&(server, whose.to_owned())).cloned().unwrap_or_default()
    }

    /// What somebody was given last, for those who look for what went wrong.
    pub fn lately(&self, server: usize, whose: &str) -> Vec<Held> {
        let all = self.ever(server, whose);
        all.get(all.len().saturating_sub(4)..).unwrap_or_default().to_vec()
    }

    /// Whether somebody may see this system there, at some time in the window.
    pub fn sees(&self, server: usize, whose: &str, system: &str, window: Window) -> bool {
        self.held(server, whose, window).iter().any(|held| held.sees(system))
    }

    pub fn sees_all(&self, server: usize, whose: &str, window: Window) -> bool {
        self.held(server, whose, window).iter().any(Held::sees_all)
    }

    pub fn may(&self, server: usize, whose: &str, right: &str, window: Window) -> bool {
        self.held(server, whose, window).iter().any(|held| held.has(right))
    }

    /// Whether somebody ever held a right on a system.
    pub fn ever_may(&self, server: usize, whose: &str, right: &str, system: &str) -> bool {
        self.ever(server, whose).iter().any(|held| held.has(right) && covers(held.systems, system))
    }

    /// Whether somebody may see this system at every time in the window.
    pub fn surely_sees(&self, server: usize, whose: &str, system: &str, window: Window) -> bool {
        let held = self.held(server, whose, window);
        let steady = held.iter().any(|held| held.from <= window.from && held.until.is_none());
        steady && held.iter().all(|held| held.sees(system) && held.expires.is_none())
    }

    /// Systems of the same server that use this one.
    pub fn users(server: usize, number: usize) -> impl Iterator<Item = String> {
        USES.into_iter().filter(move |(_, used)| *used == number).map(move |(user, _)| system(server, user))
    }

    /// Whether a server may have received this, ever; `onward`: such that it may pass it on. An outline is told to
    /// those who see its system or one that uses it: each on the way one of `systems`.
    pub fn had(&self, server: usize, origin: usize, systems: &[String], onward: bool, on_the_way: &mut Vec<usize>) -> bool {
        if server == origin {
            return true;
        }
        if on_the_way.contains(&server) {
            return false;
        }
        on_the_way.push(server);
        let whose = self.homes[server].name;
        let had = self.homes[server].peers.iter().any(|peer| {
            let held = self.ever(*peer, whose);
            let sees = |held: &Held| systems.iter().any(|system| held.sees(system)) && (!onward || held.has("federate"));
            held.iter().any(sees) && self.had(*peer, origin, systems, true, on_the_way)
        });
        on_the_way.pop();
        had
    }

    /// What a server holds of a log.
    pub fn log(&self, server: usize, origin: usize) -> Option<MemoryLog> {
        if server == origin {
            return Some(self.homes[origin].log.clone());
        }
        self.homes[server].shelf.log(midwatch::model::id::Origin(self.homes[origin].origin))
    }

    /// An event as its own server's log has it, or had it before it was cut back.
    pub fn event(&self, origin: usize, life: u64, place: u64) -> Option<Vec<u8>> {
        let at = midwatch::model::id::Sequence(place);
        let found = self.homes[origin].log.range(at, at, 1, usize::MAX).now_or_never().and_then(Result::ok).unwrap_or_default();
        let live = found.into_iter().find(|row| id_of(&row.bytes).is_some_and(|id| id.1 == life));
        live.map(|row| row.bytes.to_vec()).or_else(|| self.kept().archive.get(&(origin, life, place)).cloned())
    }

    /// How far a log goes, or went in a life that is over.
    pub fn goes_to(&self, origin: usize, life: u64) -> Option<u64> {
        let head = self.homes[origin].log.head();
        if head.incarnation.0 == life { Some(head.sequence.0) } else { self.kept().ended.get(&(origin, life)).copied() }
    }

    /// What comes to a server of another's log up to there was leased no more when it was signed.
    pub fn not_to_be_taken(&self, server: usize, origin: usize, life: u64, to: u64) {
        let now = self.elapsed.get();
        let there = self.log(server, origin).is_some_and(|log| (log.head().incarnation.0, log.head().sequence.0) >= (life, to));
        if !there {
            self.count("refusals");
            self.kept().refused.push((now, server, origin, life, to));
        }
    }

    /// Whether it was taken all the same.
    pub fn look_for_taken(&self) {
        let now = self.elapsed.get();
        let due: Vec<_> = self.kept().refused.extract_if(.., |(since, ..)| *since + SOON <= now).collect();
        for (since, server, origin, life, to) in due {
            let head = self.log(server, origin).map(|log| log.head());
            if head.is_some_and(|head| head.incarnation.0 == life && head.sequence.0 >= to) {
                let (name, of) = (self.homes[server].name, self.homes[origin].name);
                self.wrong(format!("{since} us: {name} took what came of {of} up to event {to}, signed after the end of its lease"));
            }
        }
    }

    pub fn done(&self, origin: usize, life: u64, place: u64) {
        self.kept().done.insert((origin, life, place));
    }

    /// What was answered as done is there.
    pub fn is_kept(&self) -> Result<(), String> {
        let done = self.kept().done.clone();
        for (origin, life, place) in done {
            if self.event(origin, life, place).is_none() {
                return Err(format!("event {place} of {} was answered as done, and is not there", self.homes[origin].name));
            }
        }
        Ok(())
    }

    pub fn home(&self, origin: &[u8]) -> Option<usize> {
        self.homes.iter().position(|home| home.origin == origin)
    }
}

/// All rows of a log.
pub fn rows(log: &MemoryLog) -> Vec<Row> {
    log.page(midwatch::store::Page::After(None), usize::MAX).now_or_never().unwrap().unwrap()
}

/// An event's server, life and place.
pub fn id_of(event: &[u8]) -> Option<(Vec<u8>, u64, u64)> {
    let event = Value::read(event)?;
    let [origin, life, place] = event.get("id").list() else { return None };
    Some((origin.bytes()?.to_vec(), life.int()?, place.int()?))
}
