//! What a relay may lie: of what it passes on, one thing is made up, changed, put elsewhere, said again, of another
//! log, of earlier, or left out. Each says whether there was something to lie about.

use midwatch::wire::outline_of;

use super::decode::{Value, unpacked};
use super::fleet::Sea;
use super::truth::{SYSTEMS, mark, system};

/// What was told once, on any connection through here: to be told again where it does not belong.
#[derive(Default)]
pub struct Memory {
    leases: Vec<(usize, Value)>,
    claims: Vec<(usize, Value)>,
    /// With the signature, and that of the outline.
    events: Vec<(usize, [Value; 3])>,
    /// Snapshots, with the worlds that were signed in them.
    worlds: Vec<Value>,
}

/// The word of lies: wherever it is told on, one was believed.
pub fn lie(origin: usize, number: usize) -> Value {
    Value::Text(mark(origin, number, 'z', 0))
}

impl Memory {
    pub fn remember(&mut self, origin: usize, name: &str, body: &Value) {
        match name {
            "lease" => self.leases.push((origin, body.clone())),
            "snapshot" => self.worlds.push(body.clone()),
            "batch" | "backfilled" => {
                if *body.get("claim") != Value::Nil {
                    self.claims.push((origin, body.get("claim").clone()));
                }
                let outlines = body.get("outlines").list();
                for (index, (event, seal)) in body.get("events").list().iter().zip(body.get("seals").list()).enumerate() {
                    let outline = outlines.get(index).cloned().unwrap_or(Value::Bytes(Vec::new()));
                    self.events.push((origin, [event.clone(), seal.clone(), outline]));
                }
            }
            _ => {}
        }
        self.leases.drain(..self.leases.len().saturating_sub(40));
        self.claims.drain(..self.claims.len().saturating_sub(60));
        self.events.drain(..self.events.len().saturating_sub(200));
        self.worlds.drain(..self.worlds.len().saturating_sub(30));
    }
}

fn some<'a, T>(sea: &Sea, all: impl IntoIterator<Item = &'a T>) -> Option<&'a T> {
    let all: Vec<&T> = all.into_iter().collect();
    if all.is_empty() { None } else { Some(all[sea.below(all.len())]) }
}

fn set(body: &mut Value, name: &str, value: Value) -> bool {
    match body.get_mut(name) {
        Some(place) if *place != value => {
            *place = value;
            true
        }
        _ => false,
    }
}

fn add(body: &mut Value, name: &str, by: i128) -> bool {
    if let Some(Value::Int(number)) = body.get_mut(name) {
        *number = (*number + by).max(0);
    }
    by != 0
}

fn list(body: &mut Value, name: &str, change: impl FnOnce(&mut Vec<Value>) -> bool) -> bool {
    match body.get_mut(name) {
        Some(Value::List(values)) => change(values),
        _ => false,
    }
}

/// All lists that say something of each event.
fn beside(body: &mut Value, mut change: impl FnMut(&mut Vec<Value>)) {
    for name in ["events", "seals", "outlines"] {
        list(body, name, |values| {
            if !values.is_empty() {
                change(values);
            }
            true
        });
    }
}

/// Changes one event, and writes it anew.
fn on_event(body: &mut Value, sea: &Sea, change: impl FnOnce(&mut Value) -> bool) -> bool {
    list(body, "events", |events| {
        let count = events.len().max(1);
        let Some(event) = events.get_mut(sea.below(count)) else { return false };
        let Some(mut inner) = event.bytes().and_then(Value::read) else { return false };
        let told = change(&mut inner);
        let mut out = Vec::new();
        inner.write(&mut out);
        *event = Value::Bytes(out);
        told
    })
}

fn bend(values: &mut [Value], sea: &Sea) -> bool {
    let count = values.len().max(1);
    let Some(Value::Bytes(bytes)) = values.get_mut(sea.below(count)) else { return false };
    let Some(byte) = bytes.get_mut(9) else { return false };
    *byte ^= 1;
    true
}

fn reversed(values: &mut [Value]) -> bool {
    values.reverse();
    values.len() > 1
}

/// An event that is told in place of, or beside, another, with what stands beside it.
fn slip_in(body: &mut Value, place: usize, told: &[Value; 3]) -> bool {
    for (name, value) in ["events", "seals", "outlines"].into_iter().zip(told) {
        list(body, name, |values| {
            if name != "outlines" || !values.is_empty() {
                values.insert(place.min(values.len()), value.clone());
            }
            true
        });
    }
    true
}

/// Lies about events, wherever they stand.
fn of_events(body: &mut Value, origin: usize, sea: &Sea, memory: &Memory) -> bool {
    let count = body.get("events").list().len();
    match sea.below(11) {
        0 => on_event(body, sea, |event| set(event, "title", lie(origin, 0))),
        1 => on_event(body, sea, |event| {
            let worse = if event.get("severity").text() == Some("critical") { "info" } else { "critical" };
            set(event, "severity", Value::Text(worse.into()))
        }),
        2 => on_event(body, sea, |event| set(event, "system", Value::Text(system(origin, sea.below(SYSTEMS))))),
        3 => list(body, "events", |events| reversed(events)),
        4 => {
            beside(body, |values| values.reverse());
            count > 1
        }
        5 => list(body, "seals", |seals| bend(seals, sea)),
        6 => list(body, "outlines", |seals| bend(seals, sea)),
        7 => list(body, "seals", |seals| reversed(seals)),
        8 => list(body, "seals", |seals| !std::mem::take(seals).is_empty()),
        // Of before, of another life, of another log.
        9 => some(sea, &memory.events).is_some_and(|(_, told)| slip_in(body, sea.below(count + 1), told)),
        // An outline of its own making, under the signature of the true one.
        _ => {
            let place = sea.below(count.max(1));
            let Some(event) = body.get("events").list().get(place).and_then(Value::bytes) else { return false };
            let Some(mut outline) = outline_of(event).and_then(|outline| Value::read(&outline.0)) else { return false };
            set(&mut outline, "title", lie(origin, 0));
            let mut out = Vec::new();
            outline.write(&mut out);
            let signature = body.get("outlines").list().get(place).cloned().unwrap_or(Value::Nil);
            list(body, "events", |events| set_at(events, place, Value::Bytes(out)));
            list(body, "seals", |seals| set_at(seals, place, signature))
        }
    }
}

fn set_at(values: &mut [Value], place: usize, value: Value) -> bool {
    values.get_mut(place).map(|old| *old = value).is_some()
}

/// `None`: that it was told at all is withheld. `omits`: what is no lie that anybody could see through is told, too:
/// less than was to be passed on, with true words alone.
pub fn of_batch(body: &mut Value, origin: usize, sea: &Sea, memory: &Memory, omits: bool) -> Option<bool> {
    let (from, to) = (body.get("from").int().unwrap_or_default(), body.get("to").int().unwrap_or_default());
    let on = |by: usize| i128::try_from(sea.below(by) + 1).unwrap();
    let count = body.get("events").list().len();
    if omits && count > 0 && sea.below(2) == 0 {
        let place = sea.below(count);
        if sea.below(2) == 0 {
            beside(body, |values| drop(values.remove(place.min(values.len() - 1))));
            return Some(true);
        }
        let event = body.get("events").list()[place].bytes().and_then(outline_of);
        let signature = body.get("outlines").list().get(place).filter(|seal| seal.bytes().is_some_and(|seal| !seal.is_empty())).cloned();
        let (Some(event), Some(signature)) = (event, signature) else { return Some(false) };
        list(body, "events", |events| set_at(events, place, Value::Bytes(event.0.to_vec())));
        return Some(list(body, "seals", |seals| set_at(seals, place, signature)));
    }
    Some(match sea.below(13) {
        0 => {
            let next = Value::Int(i128::from(to + 1));
            let told = on_event(body, sea, |event| list(event, "id", |id| set_at(id, 2, next.clone())));
            set(body, "to", next) && told
        }
        1 => add(body, "to", on(5)),
        2 => add(body, "to", 3) && body.get_mut("claim").is_some_and(|claim| add(claim, "to", 3)),
        3 => body.get_mut("claim").is_some_and(|claim| add(claim, "at", 600_000_000)),
        4 => add(body, "from", if sea.below(2) == 0 { 1 } else { -1 }) && from > 0,
        5 => add(body, "incarnation", on(2_000)),
        6 => set(body, "claim", Value::Nil) && from < to,
        7 => some(sea, memory.claims.iter().filter(|(of, _)| *of == origin)).is_some_and(|(_, claim)| set(body, "claim", claim.clone())),
        8 => some(sea, memory.claims.iter().filter(|(of, _)| *of != origin)).is_some_and(|(_, claim)| set(body, "claim", claim.clone())),
        9 if from < to => return None,
        _ => return Some(count > 0 && of_events(body, origin, sea, memory)),
    })
}

pub fn of_filled(body: &mut Value, origin: usize, sea: &Sea, memory: &Memory) -> Option<bool> {
    Some(match sea.below(5) {
        0 => add(body, "to", 3),
        1 => add(body, "id", 1),
        2 => return None,
        _ => !body.get("events").list().is_empty() && of_events(body, origin, sea, memory),
    })
}

/// A world: changed, or emptied; the relay's own word; one that was told before, to whomever, of whatever log.
pub fn of_world(body: &mut Value, origin: usize, sea: &Sea, memory: &Memory) -> Option<bool> {
    let opened = body.get("sealed").get("world").bytes().and_then(|packed| Value::read(&unpacked(packed.to_vec())));
    let Some(mut world) = opened else { return Some(false) };
    let told = match sea.below(5) {
        0 => set(&mut world, "name", lie(origin, 1)) && pack(body, &world),
        1 => set(&mut world, "alerts", Value::Map(Vec::new())) && set(&mut world, "open", Value::List(Vec::new())) && pack(body, &world),
        2 => set(&mut world, "name", lie(origin, 1)) && set(body, "world", world) && set(body, "sealed", Value::Nil),
        _ => some(sea, &memory.worlds).is_some_and(|before| {
            let told = *before != *body;
            *body = before.clone();
            told
        }),
    };
    Some(told)
}

fn pack(body: &mut Value, world: &Value) -> bool {
    let mut out = Vec::new();
    world.write(&mut out);
    let packed = Value::Bytes(zstd::bulk::compress(&out, 1).unwrap());
    body.get_mut("sealed").is_some_and(|sealed| set(sealed, "world", packed))
}

/// `None`: it is withheld.
pub fn of_lease(body: &mut Value, origin: usize, sea: &Sea, memory: &Memory) -> Option<bool> {
    let token = body.get("token").text().unwrap_or_default().to_owned();
    let parts: Vec<&str> = token.split('.').collect();
    let edited = |change: &dyn Fn(String) -> String| {
        use base64::Engine;
        use base64::engine::general_purpose::URL_SAFE_NO_PAD;
        let place = parts.len().checked_sub(2).filter(|place| *place >= 2)?;
        let text = String::from_utf8(URL_SAFE_NO_PAD.decode(parts[place]).ok()?).ok()?;
        let changed = URL_SAFE_NO_PAD.encode(change(text));
        let all: Vec<&str> = parts.iter().enumerate().map(|(at, part)| if at == place { changed.as_str() } else { part }).collect();
        Some(Value::Text(all.join(".")))
    };
    let line = |text: String, name: &str, value: &str| -> String {
        text.lines().map(|line| if line.starts_with(name) { format!("{name} {value}\n") } else { format!("{line}\n") }).collect()
    };
    Some(match sea.below(7) {
        0 | 1 => return None,
        2 => some(sea, memory.leases.iter().filter(|(of, _)| *of == origin)).is_some_and(|(_, lease)| {
            let told = *lease != *body;
            *body = lease.clone();
            told
        }),
        3 => some(sea, memory.leases.iter().filter(|(of, _)| *of != origin)).is_some_and(|(_, lease)| {
            *body = lease.clone();
            true
        }),
        4 => parts.len() > 2 && set(body, "token", Value::Text(parts[..parts.len() - 2].join("."))),
        5 => edited(&|text| line(text, "systems", "**")).is_some_and(|token| set(body, "token", token)),
        _ => edited(&|text| line(text, "expires", "2099-01-01T00:00:00Z")).is_some_and(|token| set(body, "token", token)),
    })
}

/// That a log comes by another way than it does; that it is another's; and who else there is.
pub fn of_peers(body: &mut Value, own: &[u8], origins: &[[u8; 16]], sea: &Sea) -> bool {
    list(body, "peers", |peers| {
        let count = peers.len();
        if count == 0 {
            return false;
        }
        let other = Value::Bytes(origins[sea.below(origins.len())].to_vec());
        let relay = Value::Map(vec![(Value::Text("origin".into()), other.clone()), (Value::Text("name".into()), Value::Text("nobody".into()))]);
        let state = &mut peers[sea.below(count)];
        match sea.below(5) {
            0 => set(state, "through", Value::List(Vec::new())),
            1 => set(state, "through", Value::List(vec![relay])),
            2 => set(state, "origin", other),
            3 => set(state, "origin", Value::Bytes(own.to_vec())),
            _ => {
                let again = state.clone();
                peers.push(again);
                true
            }
        }
    })
}

/// Beside a log, and unsigned: what is said of a system that nobody may be told of here.
pub fn aside(origin: usize, number: usize, sea: &Sea, memory: &Memory) -> Option<(&'static str, Value)> {
    let map = |fields: Vec<(&str, Value)>| Value::Map(fields.into_iter().map(|(key, value)| (Value::Text(key.into()), value)).collect());
    let (text, int) = (|text: &str| Value::Text(text.into()), |int: i128| Value::Int(int));
    let (system, at) = (system(origin, number), int(1_790_000_000_000_000));
    Some(match sea.below(3) {
        0 => {
            let seen = [
                ("agent", text("web-1")),
                ("check", text("disk")),
                ("system", text(&system)),
                ("at", at),
                ("status", text("critical")),
                ("text", lie(origin, number)),
                ("every", int(5_000_000)),
                ("attempts", int(1)),
            ];
            ("vitals", map(vec![("observations", Value::List(vec![map(seen.into())]))]))
        }
        1 => {
            let who = map(vec![("name", lie(origin, number)), ("since", at)]);
            let looked = map(vec![("at", map(vec![("system", text(&system))])), ("who", Value::List(vec![who]))]);
            ("presence", map(vec![("looked", Value::List(vec![looked]))]))
        }
        _ => {
            let about = |(of, [event, ..]): &&(usize, [Value; 3])| {
                let event = event.bytes().and_then(Value::read);
                *of == origin && event.is_some_and(|event| event.get("system").text() == Some(&system) && *event.get("data").get("alert") != Value::Nil)
            };
            let (_, [event, ..]) = some(sea, memory.events.iter().filter(about))?;
            let alert = event.bytes().and_then(Value::read)?.get("data").get("alert").clone();
            let metric =
                map(vec![("name", lie(origin, number)), ("value", Value::Float(1.0)), ("unit", text("")), ("warning", text("")), ("critical", text(""))]);
            let reading = map(vec![("alert", alert), ("at", at), ("metrics", Value::List(vec![metric]))]);
            ("readings", map(vec![("readings", Value::List(vec![reading]))]))
        }
    })
}

/// What an envelope holds, in its bytes.
pub fn message(name: &str, body: Value) -> Vec<u8> {
    let mut out = Vec::new();
    Value::Map(vec![(Value::Text(name.into()), body)]).write(&mut out);
    out
}
