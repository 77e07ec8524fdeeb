//! What every console must see once all is whole again, and what still differs.

use std::cmp::Reverse;
use std::sync::Arc;

use midwatch::model::grant::{Lens, Right, Scope};
use midwatch::model::time::Time;
use midwatch::model::view::graph;
use midwatch::model::world::World;

use super::super::fleet::{NAMES, Post, named};
use super::Night;

/// A world as it is seen by one who has this scope and key.
pub fn view(world: &World, scope: &Scope, key: &midwatch::model::grant::Key) -> World {
    if scope.is_all() { world.clone() } else { Lens::of(world, scope).owned(world, Some(key.clone())).world(world) }
}

/// Apart from what is told with the next snapshot alone: how new the whole log is, and whether somebody ended an
/// episode by what they said of a system above that is not seen. `passed_on`: without the outlines, too.
pub fn plainly(world: &World, scopes: &[Scope], passed_on: bool) -> World {
    let mut world = world.clone();
    let names = |system: &str| scopes.iter().all(|scope| scope.names(system));
    if scopes.iter().all(Scope::is_all) {
        return world;
    }
    (world.recorded, world.known_since, world.kept) = (Time::from_secs(0), None, 0);
    if passed_on {
        world.alerts.retain(|_, alert| names(alert.system.as_str()));
        world.systems.retain(|id, _| names(id.as_str()));
        let alerts = world.alerts.clone();
        world.open.retain(|alert| alerts.contains_key(alert));
        world.cleared.retain(|(_, alert)| alerts.contains_key(alert));
    }
    for alert in world.alerts.values_mut() {
        let hidden_above = graph::ancestors(&alert.system).any(|above| !names(above.as_str()));
        if hidden_above || !names(alert.system.as_str()) {
            let alert = Arc::make_mut(alert);
            alert.ended = None;
            alert.past.iter_mut().for_each(|past| past.by_hand = false);
        }
    }
    world
}

/// From whom a log comes, the nearest first and its own server last, and what is granted on the way, from there on.
#[derive(Clone, PartialEq, Default, Debug)]
struct Way {
    servers: Vec<usize>,
    scopes: Vec<Scope>,
}

impl Way {
    fn onward(&self) -> bool {
        self.scopes.iter().all(|scope| scope.rights.has(Right::Federate))
    }

    fn comes(&self) -> Scope {
        self.scopes.iter().fold(Scope::all(), |all, scope| all.narrow(scope))
    }
}

impl Night {
    /// By which way a log comes to each server once all that is offered is known: from its own server, or by the best of
    /// those that others offer in their turn. By nobody's state but the grants: whatever the night was, this is where it ends.
    fn ways(&self, origin: usize) -> Vec<Option<Way>> {
        let ships = self.ships();
        let mut all: Vec<Option<Way>> = ships.iter().map(|_| None).collect();
        all[origin] = Some(Way::default());
        for _ in 0..=ships.len() * ships.len() {
            let next = (0..ships.len()).map(|place| if place == origin { Some(Way::default()) } else { self.best(place, origin, &all) }).collect();
            let rests = next == all;
            all = next;
            if rests {
                return all;
            }
        }
        panic!("who receives {} from whom has no end: {all:?}", ships[origin].name)
    }

    fn best(&self, place: usize, origin: usize, all: &[Option<Way>]) -> Option<Way> {
        let ship = &self.ships()[place];
        let direct = ship.peers.iter().any(|(peer, _)| *peer == origin);
        let by = |(peer, _): &(usize, String)| {
            let way = all[*peer].as_ref().filter(|way| way.onward() && !way.servers.contains(&place))?;
            let scopes = [&way.scopes[..], &[self.scope(*peer, ship.name)?]].concat();
            Some((Way { servers: [&[*peer], &way.servers[..]].concat(), scopes }, NAMES[*peer]))
        };
        let offered = ship.peers.iter().filter(|(peer, _)| !direct || *peer == origin).filter_map(by);
        let best = offered.min_by_key(|(way, name)| (Reverse(way.comes().breadth()), Reverse(way.onward()), way.servers.len(), *name));
        best.map(|(way, _)| way)
    }

    /// What a server has of a log that comes to it, and the scopes on its way.
    fn received(&self, place: usize, origin: usize, whole: &World) -> Option<(World, Vec<Scope>)> {
        let way = self.ways(origin).swap_remove(place)?;
        let readers = way.servers.iter().rev().skip(1).chain([&place]);
        let world = readers.zip(&way.scopes).fold(whole.clone(), |world, (reader, scope)| view(&world, scope, &named(&self.ships()[*reader].signer)));
        Some((world, way.scopes))
    }

    /// Whether a log comes to a server, or may, through somebody who left out of it what nobody can miss.
    fn is_left_to_the_liar(&self, place: usize, origin: usize, on_the_way: &[usize]) -> bool {
        let Some(liar) = self.liar.as_ref().filter(|liar| liar.omits && place != origin) else { return false };
        let peers = self.ships()[place].peers.iter().map(|(peer, _)| *peer).filter(|peer| !on_the_way.contains(peer));
        let further = [on_the_way, &[place]].concat();
        let lied_to = |peer: usize| (place, peer) == (liar.to, liar.relay) && peer != origin;
        peers.into_iter().any(|peer| lied_to(peer) || self.is_left_to_the_liar(peer, origin, &further))
    }

    /// What a server still misses of the logs that it receives: parts that it knows of.
    fn gaps(&self, place: usize, origin: usize, whole: &World) -> Option<String> {
        let (ship, other) = (&self.ships()[place], &self.ships()[origin]);
        if place == origin || self.received(place, origin, whole).is_none() {
            return None;
        }
        let known = midwatch::server::peer::Shelf::known(&ship.shelf).into_iter().find(|known| known.origin == other.origin)?;
        (!known.gaps.is_empty()).then(|| format!("{} misses of {}: {:?}", ship.name, other.name, known.gaps))
    }

    /// Who receives what from whom, for those who look for what went wrong.
    pub fn standing(&self) -> String {
        let name = |origin: midwatch::model::id::Origin| self.ships().iter().find(|ship| ship.origin == origin).map_or("?", |ship| ship.name);
        let mut out = String::new();
        if let Some(liar) = &self.liar {
            out += &format!("a liar plays {} to {}\n", self.ships()[liar.relay].name, self.ships()[liar.to].name);
        }
        for ship in self.ships() {
            for (peer, host) in &ship.peers {
                out += &format!("{} from {host}: {:?}\n", ship.name, self.scope(*peer, ship.name).map(|scope| scope.to_string()));
            }
            for known in midwatch::server::peer::Shelf::known(&ship.shelf) {
                let through: Vec<&str> = known.through.iter().map(|relay| name(relay.origin)).collect();
                let head = ship.shelf.log(known.origin).map(|log| midwatch::store::Log::head(&log));
                let head = head.map(|head| (head.incarnation.0, head.sequence.0));
                out += &format!("  {} through {through:?}, leased until {:?}, {head:?}\n", name(known.origin), known.lease.map(|lease| lease.until));
            }
        }
        out
    }

    /// What still differs.
    pub fn apart(&mut self) -> Vec<String> {
        let mut apart = Vec::new();
        let mut worlds = Vec::new();
        for ship in self.ships().to_vec() {
            let core = self.core_of(&ship);
            worlds.push(self.wait("a world", async move { core.durable().await }).unwrap().world.clone());
        }
        for place in 0..worlds.len() {
            apart.extend(worlds.iter().enumerate().filter_map(|(origin, whole)| self.gaps(place, origin, whole)));
        }
        for post in self.posts().to_vec() {
            for (origin, whole) in worlds.iter().enumerate() {
                if let Some(words) = self.differs(&post, origin, whole) {
                    apart.push(words);
                }
            }
        }
        apart
    }

    fn differs(&self, post: &Post, origin: usize, whole: &World) -> Option<String> {
        let own = self.scope(post.home, post.name)?;
        let (world, mut scopes) = self.received(post.home, origin, whole)?;
        let world = view(&world, &own, &named(&post.signer));
        scopes.push(own);
        let plainly = |world: &World| plainly(world, &scopes, scopes.len() > 2);
        let expected = plainly(&world);
        let (name, server) = (post.name, self.ships()[origin].name);
        for (console, glass) in post.glasses.lock().unwrap().iter().enumerate() {
            let Some(seen) = glass.world(self.ships()[origin].origin) else {
                let told: Vec<_> =
                    glass.replicas.values().flat_map(|replica| replica.peers.iter().map(|peer| (peer.name.clone(), peer.line, peer.why.clone()))).collect();
                return Some(format!("{name} {console} does not see {server}: {told:?}"));
            };
            if self.is_left_to_the_liar(post.home, origin, &[]) {
                continue;
            }
            let seen = plainly(seen);
            if seen != expected {
                return Some(format!("{name} {console} sees {server} otherwise: {}", difference(&seen, &expected)));
            }
        }
        None
    }
}

/// Where two worlds differ, in a few words.
fn difference(one: &World, other: &World) -> String {
    let (one, other) = (serde_json::to_value(one).unwrap(), serde_json::to_value(other).unwrap());
    let (Some(one), Some(other)) = (one.as_object(), other.as_object()) else { return "?".into() };
    let mut keys: Vec<&String> = one.keys().chain(other.keys()).collect();
    keys.sort();
    keys.dedup();
    let short = |value: Option<&serde_json::Value>| value.map_or("nothing".to_owned(), |value| value.to_string().chars().take(400).collect());
    let differs = keys.into_iter().filter(|key| one.get(*key) != other.get(*key));
    differs.map(|key| format!("{key}: {} beside {}", short(one.get(key)), short(other.get(key)))).collect::<Vec<_>>().join("; ")
}
