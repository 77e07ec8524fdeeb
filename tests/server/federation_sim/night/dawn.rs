//! What every console must see once all is whole again, and what still differs.

use std::sync::Arc;

use midwatch::model::grant::{Lens, Right, Scope};
use midwatch::model::time::Time;
use midwatch::model::view::graph;
use midwatch::model::world::World;

use super::super::fleet::{Post, named};
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

impl Night {
    /// What a server can have of a log, each with the scopes on its way: from the server itself, or by way of others.
    fn received(&self, place: usize, origin: usize, whole: &World, on_the_way: &[usize]) -> Vec<(World, Vec<Scope>)> {
        if place == origin {
            return vec![(whole.clone(), Vec::new())];
        }
        let ship = &self.ships()[place];
        let direct = ship.peers.iter().any(|(peer, _)| *peer == origin);
        let mut found = Vec::new();
        for (peer, _) in ship.peers.iter().filter(|(peer, _)| !on_the_way.contains(peer) && (!direct || *peer == origin)) {
            let Some(scope) = self.scope(*peer, ship.name) else { continue };
            if !on_the_way.is_empty() && !scope.rights.has(Right::Federate) {
                continue;
            }
            let further = [on_the_way, &[place]].concat();
            for (world, mut scopes) in self.received(*peer, origin, whole, &further) {
                let world = view(&world, &scope, &named(&ship.signer));
                scopes.push(scope.clone());
                found.push((world, scopes));
            }
        }
        found
    }

    /// Whether a log comes to a server whichever way each on the way takes: of several that are as short it is the first by
    /// name, and that one may be such that nothing is passed on any further.
    fn surely(&self, place: usize, origin: usize, whole: &World, on_the_way: &[usize]) -> bool {
        let ship = &self.ships()[place];
        let may = |peer: usize| self.scope(peer, ship.name).is_some_and(|scope| on_the_way.is_empty() || scope.rights.has(Right::Federate));
        if place == origin || ship.peers.iter().any(|(peer, _)| *peer == origin) {
            return place == origin || may(origin);
        }
        let further = [on_the_way, &[place]].concat();
        let offers = |peer: &usize| {
            let granted = !on_the_way.contains(peer) && self.scope(*peer, ship.name).is_some();
            granted && !self.received(*peer, origin, whole, &further).is_empty()
        };
        let mut offering = ship.peers.iter().map(|(peer, _)| *peer).filter(offers).peekable();
        offering.peek().is_some() && offering.all(|peer| may(peer) && self.surely(peer, origin, whole, &further))
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
        if place == origin || !self.surely(place, origin, whole, &[]) {
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
        let received = self.received(post.home, origin, whole, &[]);
        if received.is_empty() || !self.surely(post.home, origin, whole, &[]) {
            return None;
        }
        let hops = |scopes: &[Scope]| scopes.len() > 1;
        let expected: Vec<(World, Vec<Scope>)> = received
            .into_iter()
            .map(|(world, mut scopes)| {
                let world = view(&world, &own, &named(&post.signer));
                scopes.push(own.clone());
                (plainly(&world, &scopes, hops(&scopes[1..])), scopes)
            })
            .collect();
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
            let same = |(world, scopes): &(World, Vec<Scope>)| plainly(seen, scopes, hops(&scopes[1..])) == *world;
            if !expected.iter().any(same) {
                let (world, scopes) = &expected[0];
                let seen = plainly(seen, scopes, hops(&scopes[1..]));
                return Some(format!("{name} {console} sees {server} otherwise: {}", difference(&seen, world)));
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
