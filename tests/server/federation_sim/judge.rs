//! The judge: hears every byte that a server writes to whomever, and holds it against the truth.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use super::decode::{Frame, Frames, Value, unpacked};
use super::net::Tap;
use super::signed;
use super::truth::{Truth, Window, id_of, marks, rows, system};

/// The four kinds that outlines are made of.
const OUTLINED: [&str; 4] = ["alert.opened", "alert.changed", "alert.cleared", "alert.past"];
/// What is told to those whose key it is about.
const OWN: [&str; 8] =
    ["trust.granted", "trust.revoked", "trust.expired", "trust.admitted", "trust.refused", "trust.used", "trust.key-added", "trust.key-removed"];
/// What everybody may hear who may hear anything.
const COMMON: [&str; 5] = ["server.started", "server.stopped", "server.unwatched", "server.restored", "glossary.declared"];

/// Who is on the other side, and of which log they hear.
#[derive(Clone, Debug)]
pub(super) struct Reader {
    pub(super) name: String,
    pub(super) role: String,
    pub(super) origin: usize,
}

/// At the server's end of one connection.
pub struct Ear {
    pub(super) truth: Arc<Truth>,
    pub(super) server: usize,
    state: Mutex<State>,
}

#[derive(Default)]
pub(super) struct State {
    heard: Frames,
    said: Frames,
    reader: Option<Reader>,
    welcomed: bool,
    /// Up to where all was told, of which life.
    to: Option<(u64, u64)>,
    blocked: Option<u64>,
    /// When the other side last took nothing.
    stood: Option<(u64, u64)>,
    /// Counts that were asked for: so many there are at least, of this life.
    counts: BTreeMap<u64, (u64, u64)>,
    /// What was told last, for those who look for what went wrong.
    trail: std::collections::VecDeque<String>,
    /// To a peer: what of the log it may receive and pass on.
    pub(super) lease: Option<signed::Told>,
    /// What was missed and asked for: after which, up to which event.
    pub(super) fills: BTreeMap<u64, (u64, u64)>,
}

impl Ear {
    pub fn new(truth: Arc<Truth>, server: usize) -> Arc<Ear> {
        Arc::new(Ear { truth, server, state: Mutex::default() })
    }
}

impl Tap for Ear {
    fn heard(&self, bytes: &[u8]) {
        let mut state = self.state.lock().unwrap();
        for frame in state.heard.take(bytes) {
            if let Frame::Binary(message) = frame
                && let Some(value) = Value::read(&unpacked(message))
            {
                self.asked(&mut state, &value);
            }
        }
    }

    fn said(&self, bytes: &[u8]) {
        let mut state = self.state.lock().unwrap();
        for frame in state.said.take(bytes) {
            match frame {
                Frame::Binary(message) => self.judge(&mut state, &unpacked(message)),
                Frame::Text => self.truth.wrong("text was sent to one who asked for none".into()),
                Frame::Head(_) | Frame::Other(_) => {}
            }
        }
    }

    fn blocked(&self, blocked: bool) {
        let mut state = self.state.lock().unwrap();
        let now = self.truth.elapsed.get();
        match (blocked, state.blocked) {
            (true, None) => state.blocked = Some(now),
            (false, Some(since)) => (state.blocked, state.stood) = (None, Some((since, now))),
            _ => {}
        }
    }
}

impl Ear {
    fn asked(&self, state: &mut State, value: &Value) {
        match value.message() {
            Some(("hello", hello)) => {
                let origin = hello.get("origin").bytes().map_or(Some(self.server), |origin| self.truth.home(origin));
                let word = |key| hello.get(key).text().unwrap_or_default().to_owned();
                state.reader = origin.map(|origin| Reader { name: word("name"), role: word("role"), origin });
            }
            Some(("count", ask)) => {
                let Some(reader) = state.reader.clone() else { return };
                let Some(log) = self.truth.log(self.server, reader.origin) else { return };
                let window = self.window(state);
                let sees = |row: &&midwatch::store::Row| row.system.as_ref().is_some_and(|system| self.must(&reader, system.as_str(), &row.kind, window));
                let least = rows(&log).iter().filter(sees).count();
                let life = midwatch::store::Log::head(&log).incarnation.0;
                state.counts.insert(ask.get("id").int().unwrap_or_default(), (life, u64::try_from(least).unwrap()));
            }
            Some(("backfill", ask)) => {
                let number = |key| ask.get(key).int().unwrap_or_default();
                state.fills.insert(number("id"), (number("after"), number("until")));
            }
            _ => {}
        }
    }

    /// When what is written now may have been decided: a while ago, where the other side took nothing.
    fn window(&self, state: &State) -> Window {
        let now = self.truth.elapsed.get();
        let since = match (state.blocked, state.stood) {
            (Some(since), _) => since,
            (None, Some((since, until))) if until + 1_000_000 >= now => since,
            _ => now,
        };
        self.truth.window(since)
    }

    pub(super) fn wrong(&self, reader: &Reader, words: &str) {
        let (at, homes) = (self.truth.elapsed.get(), &self.truth.homes);
        let held = self.truth.lately(self.server, &reader.name);
        let server = homes[self.server].name;
        self.truth.wrong(format!("{at} us: {server} told the {} {} of {}: {words}; they held {held:?}", reader.role, reader.name, homes[reader.origin].name));
    }

    fn judge(&self, state: &mut State, bytes: &[u8]) {
        let Some(value) = Value::read(bytes) else { return self.truth.wrong("a frame is no MessagePack".into()) };
        let Some((name, body)) = value.message() else { return self.truth.wrong("a frame is no message".into()) };
        self.truth.count("frames");
        if !state.welcomed && !matches!(name, "handshake" | "welcome" | "problem") {
            return self.truth.wrong(format!("`{name}` before the welcome"));
        }
        let Some(reader) = state.reader.clone() else {
            if !matches!(name, "handshake" | "problem") {
                self.truth.wrong(format!("`{name}` to nobody"));
            }
            return;
        };
        let window = self.window(state);
        let said = |key: &str| body.get(key).int().map(|number| format!(" {key} {number}")).unwrap_or_default();
        let words = ["incarnation", "head", "from", "to"].map(said).concat();
        state.trail.push_back(format!("{} {name}{words}", self.truth.elapsed.get()));
        state.trail.drain(..state.trail.len().saturating_sub(6));
        self.no_secrets(&reader, name, &self.but_of_keys(&value, bytes), window);
        self.passes_on(state, &reader, name, body, window);
        self.signed_world(&reader, name, body, window);
        match name {
            "welcome" => state.welcomed = true,
            "backfilled" => self.filled(state, &reader, body, window),
            "snapshot" => {
                let (life, head) = (body.get("incarnation").int().unwrap_or_default(), body.get("head").int().unwrap_or_default());
                let world = body.get("world");
                let log = self.truth.log(self.server, reader.origin).map(|log| midwatch::store::Log::head(&log));
                if log.is_none_or(|log| (log.incarnation.0, world.get("head").int()) != (life, Some(head)) || log.sequence.0 < head) {
                    self.wrong(&reader, &format!("a world as of {head}, which its log is not at"));
                }
                if world.get("origin").bytes() != Some(&self.truth.homes[reader.origin].origin) {
                    self.wrong(&reader, "another server's world");
                }
                state.to = Some((life, head));
                self.events(&reader, body.get("events").list(), window);
                self.truth.count("snapshots");
            }
            "batch" => self.batch(state, &reader, body, window),
            "page" => {
                let places = self.events(&reader, body.get("events").list(), window);
                let (up, down) = (places.is_sorted(), places.is_sorted_by(|a, b| a >= b));
                if !up && !down {
                    self.wrong(&reader, &format!("a page in no order: {places:?}"));
                }
                self.truth.count("pages");
            }
            "counts" => self.counted(state, &reader, body, window),
            "answer" => self.answered(&reader, body),
            "presence" => self.truth.count("presence"),
            _ => {}
        }
    }

    /// What a message holds of a world as bytes, packed so that no word of it shows: it is what it says, within the
    /// reader's grant; and beside it there is no other.
    fn signed_world(&self, reader: &Reader, name: &str, body: &Value, window: Window) {
        let sealed = match name {
            "snapshot" => body.get("sealed"),
            "world-sealed" => body.get("result").get("sealed"),
            _ => return,
        };
        if name == "snapshot" && reader.role == "peer" && reader.origin != self.server {
            let bare = |name: &&str| !body.get("world").get(name).is_empty();
            if sealed.is_empty() || ["alerts", "systems", "agents", "deeds"].iter().any(bare) || !body.get("events").is_empty() {
                self.wrong(reader, "a world of another's log that is its own word");
            }
        }
        let Some(packed) = sealed.get("world").bytes() else { return };
        self.truth.count("signed worlds");
        let bytes = unpacked(packed.to_vec());
        self.no_secrets(reader, name, &bytes, window);
        let world = Value::read(&bytes).unwrap_or(Value::Nil);
        let same = ["incarnation", "head"].iter().all(|name| world.get(name) == sealed.get(name));
        if !same || world.get("origin").bytes() != Some(&self.truth.homes[reader.origin].origin) {
            self.wrong(reader, "a signed world that is not what it says");
        }
    }

    /// A message without what it says of keys: that repeats what was asked for by its name, and is judged by itself.
    fn but_of_keys<'a>(&self, message: &Value, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        let of_keys = |event: Value| event.get("kind").text().is_some_and(|kind| kind.starts_with("trust."));
        let own = |event: &Value| event.bytes().and_then(Value::read).is_some_and(of_keys);
        let Some((name, body)) = message.message() else { return bytes.into() };
        if !body.get("events").list().iter().any(own) {
            return bytes.into();
        }
        let mut rest = message.clone();
        if let Some(Value::List(events)) = rest.get_mut(name).and_then(|body| body.get_mut("events")) {
            events.retain(|event| !own(event));
        }
        let mut out = Vec::new();
        rest.write(&mut out);
        out.into()
    }

    fn is_own(&self, reader: &Reader, event: &Value) -> bool {
        let key = self.truth.keys.get(&reader.name).map(String::as_str);
        OWN.contains(&event.get("kind").text().unwrap_or_default()) && key.is_some() && event.get("data").get("key").text() == key
    }

    /// No word of what the reader may not see, wherever in a frame it stands.
    fn no_secrets(&self, reader: &Reader, name: &str, bytes: &[u8], window: Window) {
        for mark in marks(bytes) {
            self.truth.count("marks");
            if mark.kind == 'z' {
                self.wrong(reader, &format!("a lie, in a {name}"));
            }
            let echoed = mark.kind == 's' && matches!(name, "answer" | "problem" | "ack" | "peers" | "holding");
            if echoed {
                continue;
            }
            let id = system(mark.server, mark.system);
            let outlined = || matches!(mark.kind, 's' | 't') && self.outlines(reader, mark.system, window);
            if mark.server != reader.origin || !(self.may(reader, &id, window) || outlined()) {
                self.wrong(reader, &format!("`{}` of {id} in a {name}", mark.kind));
            }
        }
    }

    /// Whether the reader may be told of a system there.
    pub(super) fn may(&self, reader: &Reader, id: &str, window: Window) -> bool {
        let onward = reader.role == "peer" && reader.origin != self.server;
        self.truth.sees(self.server, &reader.name, id, window) && self.truth.had(self.server, reader.origin, &[id.to_owned()], onward, &mut Vec::new())
    }

    /// Whether a system is used by one that the reader may be told of. Of a log that was received, what was received as
    /// an outline may be told as one.
    fn outlines(&self, reader: &Reader, number: usize, window: Window) -> bool {
        let systems: Vec<String> = Truth::users(reader.origin, number).chain([system(reader.origin, number)]).collect();
        let sees = |id: &String| self.truth.sees(self.server, &reader.name, id, window);
        systems.iter().any(sees) && self.truth.had(self.server, reader.origin, &systems, false, &mut Vec::new())
    }

    /// What must be told, if anything is told of where it stands.
    pub(super) fn must(&self, reader: &Reader, id: &str, kind: &str, window: Window) -> bool {
        let apart = ["trust.", "config.", "source.", "silence."].iter().any(|about| kind.starts_with(about));
        !apart && self.truth.surely_sees(self.server, &reader.name, id, window)
    }

    /// Judges each; says where each stands on the timeline.
    pub(super) fn events(&self, reader: &Reader, events: &[Value], window: Window) -> Vec<(i128, u64)> {
        events.iter().filter_map(|event| self.event(reader, event.bytes().unwrap_or_default(), window)).collect()
    }

    fn event(&self, reader: &Reader, bytes: &[u8], window: Window) -> Option<(i128, u64)> {
        self.truth.count("events");
        let (Some(event), Some((origin, life, place))) = (Value::read(bytes), id_of(bytes)) else {
            self.wrong(reader, "an event that is none");
            return None;
        };
        if self.truth.home(&origin) != Some(reader.origin) {
            self.wrong(reader, "an event of another server");
            return None;
        }
        let Some(true_bytes) = self.truth.event(reader.origin, life, place) else {
            self.wrong(reader, &format!("event {place} of life {life}, which its server never kept"));
            return None;
        };
        let kind = event.get("kind").text().unwrap_or_default();
        let what = || format!("event {place}, a {kind} of {}", event.get("system").text().unwrap_or("no system"));
        if true_bytes == bytes {
            if !self.may_event(reader, &event, kind, window) {
                self.wrong(reader, &what());
            }
        } else {
            self.truth.count("outlines");
            let number = (0..super::truth::SYSTEMS).find(|number| event.get("system").text() == Some(&system(reader.origin, *number)));
            if let Err(why) = is_outline(&event, &Value::read(&true_bytes).unwrap()) {
                self.wrong(reader, &format!("{}: {why}", what()));
            } else if !number.is_some_and(|number| self.outlines(reader, number, window)) {
                self.wrong(reader, &format!("the outline of {}", what()));
            }
        }
        let Value::Int(at) = event.get("at") else { return None };
        Some((*at, place))
    }

    fn may_event(&self, reader: &Reader, event: &Value, kind: &str, window: Window) -> bool {
        let administers = || self.truth.sees_all(self.server, &reader.name, window) && self.truth.may(self.server, &reader.name, "administer", window);
        if kind.starts_with("trust.") || kind == "config.applied" {
            return self.is_own(reader, event) || administers();
        }
        match event.get("system").text() {
            Some(id) => self.may(reader, id, window),
            None => COMMON.contains(&kind) || self.truth.sees_all(self.server, &reader.name, window),
        }
    }

    fn batch(&self, state: &mut State, reader: &Reader, body: &Value, window: Window) {
        let number = |key| body.get(key).int().unwrap_or_default();
        let (life, from, to) = (number("incarnation"), number("from"), number("to"));
        self.truth.count("batches");
        if let Some((of, told)) = state.to
            && (of, told) != (life, from)
        {
            self.wrong(reader, &format!("({from}, {to}] of life {life} after {told} of life {of}: {:?}", state.trail));
        }
        state.to = Some((life, to));
        let places: Vec<u64> = self.events(reader, body.get("events").list(), window).into_iter().map(|(_, place)| place).collect();
        if self.truth.goes_to(reader.origin, life).is_none_or(|head| to > head) {
            self.wrong(reader, &format!("({from}, {to}] of life {life}, which never went so far"));
        }
        if !places.is_sorted_by(|a, b| a < b) || places.iter().any(|place| *place <= from || *place > to) {
            self.wrong(reader, &format!("events {places:?} in ({from}, {to}]"));
        }
        let Some(log) = self.truth.log(self.server, reader.origin) else { return self.wrong(reader, "a log that is not there") };
        let head = midwatch::store::Log::head(&log);
        if head.incarnation.0 != life {
            return;
        }
        if to > head.sequence.0 {
            self.wrong(reader, &format!("({from}, {to}] of a log that goes to {}", head.sequence.0));
        }
        if from == to {
            return;
        }
        // A range claims that nothing else may be seen in it.
        let told: BTreeSet<u64> = places.into_iter().collect();
        let (from, to) = (midwatch::model::id::Sequence(from + 1), midwatch::model::id::Sequence(to));
        let rows = futures_util::FutureExt::now_or_never(midwatch::store::Log::range(&log, from, to, usize::MAX, usize::MAX)).and_then(Result::ok);
        for row in rows.unwrap_or_default() {
            let passed_on = reader.role == "peer" && self.server != reader.origin;
            let sealed = row.seal.is_some() || !passed_on;
            let Some(id) = row.system.as_ref().filter(|_| sealed && !told.contains(&row.sequence.0)) else { continue };
            if self.must(reader, id.as_str(), &row.kind, window) && !passed_on {
                self.wrong(reader, &format!("({}, {}] without event {}, a {} of {id}", from.0 - 1, to.0, row.sequence.0, row.kind));
            }
        }
    }

    fn counted(&self, state: &mut State, reader: &Reader, body: &Value, window: Window) {
        if body.get("last") != &Value::Bool(true) {
            return;
        }
        let Some((life, least)) = state.counts.remove(&body.get("id").int().unwrap_or_default()) else { return };
        let Some(log) = self.truth.log(self.server, reader.origin) else { return };
        if midwatch::store::Log::head(&log).incarnation.0 != life {
            return;
        }
        self.truth.count("counts");
        let counted: u64 = body.get("counts").list().iter().flat_map(Value::list).filter_map(Value::int).sum();
        let may = |row: &midwatch::store::Row| {
            let Some(id) = &row.system else { return true };
            let number = (0..super::truth::SYSTEMS).find(|number| id.as_str() == system(reader.origin, *number));
            let outlined = || OUTLINED.contains(&&*row.kind) && number.is_some_and(|number| self.outlines(reader, number, window));
            self.may(reader, id.as_str(), window) || outlined()
        };
        let most = u64::try_from(rows(&log).iter().filter(|row| may(row)).count()).unwrap();
        if counted < least || counted > most {
            self.wrong(reader, &format!("{counted} events, where {least} to {most} may be seen"));
        }
    }

    /// What is answered as done is durable by then.
    fn answered(&self, reader: &Reader, body: &Value) {
        let events = body.get("result").get("done").list();
        if reader.origin != self.server {
            return;
        }
        for id in events {
            let [_, life, place] = id.list() else { continue };
            let (life, place) = (life.int().unwrap_or_default(), place.int().unwrap_or_default());
            self.truth.count("done");
            if self.truth.event(reader.origin, life, place).is_none() {
                self.wrong(reader, &format!("event {place} as done, which is not durable"));
            }
            self.truth.done(reader.origin, life, place);
        }
    }
}

/// An alert's trouble and nothing else: what, where, how bad, since when.
pub fn is_outline(told: &Value, whole: &Value) -> Result<(), String> {
    let kind = told.get("kind").text().unwrap_or_default();
    if !OUTLINED.contains(&kind) {
        return Err("not as its server keeps it, and no outline".into());
    }
    for same in ["id", "at", "recorded", "severity", "system", "title", "kind"] {
        if told.get(same) != whole.get(same) {
            return Err(format!("another {same}"));
        }
    }
    for (key, value) in told.fields() {
        let key = key.text().unwrap_or_default();
        let known = ["id", "at", "recorded", "severity", "system", "title", "kind", "data"].contains(&key);
        let server = key == "actor" && value.text() == Some("server");
        if !known && !server && !value.is_empty() {
            return Err(format!("an outline with {key}"));
        }
    }
    let plain = |key: &str, value: &Value| match key {
        "check" => value.text() == Some("outline"),
        "by" => value.text() == Some("server"),
        "condition" => value.text() == Some("problem"),
        "reason" => value == whole.get("data").get(key) || value.text() == Some("recovered"),
        "alert" | "was" | "until" => value == whole.get("data").get(key),
        _ => value.is_empty(),
    };
    match told.get("data").fields().iter().find(|(key, value)| !plain(key.text().unwrap_or_default(), value)) {
        None => Ok(()),
        Some((key, _)) => Err(format!("an outline with {key:?}")),
    }
}
