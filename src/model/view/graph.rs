//! The graph of all systems that the reader sees: who needs whom, over all servers.
//!
//! A system needs what it uses, what a system above it by name uses (unless that is a part of that
//! system: the whole needs its parts, its parts need not need each other), and what it is made of:
//! declared subsystems, and what stands beneath it by name and does not say that it uses it. Names become numbers once, so that a walk
//! costs what it reaches.

use std::collections::{HashMap, HashSet};

use super::Sky;
use crate::model::id::{SystemId, SystemRef};

/// How one system needs another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Need {
    /// It uses it.
    Uses,
    /// It is made of it.
    Part,
}

/// Systems that one walk reaches at most, nearest first, and how many steps away.
pub const REACH: usize = 4_096;
pub const STEPS: u8 = 6;

/// Systems of all servers and what each needs.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    nodes: Vec<SystemRef>,
    places: HashMap<SystemRef, u32>,
    needs: Vec<Vec<(u32, Need)>>,
    /// Who uses it, and what it is a part of: the same edges backwards.
    needed: Vec<Vec<(u32, Need)>>,
    /// Systems that need each other have the same number; what is needed has a lower one than who needs it.
    ranks: Vec<u32>,
}

/// A system on the way from another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Step {
    pub node: u32,
    pub distance: u8,
    /// The first system on the way: itself at distance 1.
    pub via: u32,
    /// Used by something on the way; else a part of a part.
    pub need: Need,
}

impl Graph {
    pub fn of(sky: &Sky) -> Graph {
        let (mut graph, mut joined) = (Graph::default(), HashSet::new());
        for seen in &sky.servers {
            for id in seen.world.systems.keys() {
                graph.place_of(SystemRef { origin: seen.world.origin, id: id.clone() });
            }
        }
        for (index, seen) in sky.servers.iter().enumerate() {
            for (id, system) in &seen.world.systems {
                let Some(from) = graph.place(&SystemRef { origin: seen.world.origin, id: id.clone() }) else { continue };
                for need in system.spec.uses.iter().filter_map(|address| sky.resolve(index, address)) {
                    graph.join(&mut joined, from, need, Need::Uses);
                }
                for part in system.spec.subsystems.iter().filter_map(|address| sky.resolve(index, address)) {
                    graph.join(&mut joined, from, part, Need::Part);
                }
                let mut nearest = true;
                for above in ancestors(id) {
                    let Some(holder) = seen.world.system(&above) else { continue };
                    let at = |id: SystemId| SystemRef { origin: seen.world.origin, id };
                    // Whoever says that it uses what it stands beneath by name is no part of it.
                    let uses = system.spec.uses.iter().filter_map(|address| sky.resolve(index, address)).any(|used| used == at(above.clone()));
                    if std::mem::take(&mut nearest)
                        && !uses
                        && let Some(holder) = graph.place(&at(above.clone()))
                    {
                        graph.join(&mut joined, holder, at(id.clone()), Need::Part);
                    }
                    for need in holder.spec.uses.iter().filter_map(|address| sky.resolve(index, address)) {
                        if need.origin != seen.world.origin || !need.id.within(&above) {
                            graph.join(&mut joined, from, need, Need::Uses);
                        }
                    }
                }
            }
        }
        graph.ranks = ranks(&graph.needs);
        graph
    }

    /// A system's number; none for one that no server speaks of.
    pub fn place(&self, system: &SystemRef) -> Option<u32> {
        self.places.get(system).copied()
    }

    pub fn system(&self, place: u32) -> Option<&SystemRef> {
        self.nodes.get(index(place))
    }

    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// What is needed has a lower rank than who needs it; the same: they need each other, or are one.
    pub fn rank(&self, place: u32) -> u32 {
        self.ranks.get(index(place)).copied().unwrap_or(0)
    }

    /// What it needs, one step down.
    pub fn needs_of(&self, place: u32) -> &[(u32, Need)] {
        self.needs.get(index(place)).map_or(&[], Vec::as_slice)
    }

    /// Who uses it, and what it is a part of, one step up.
    pub fn needed_by(&self, place: u32) -> &[(u32, Need)] {
        self.needed.get(index(place)).map_or(&[], Vec::as_slice)
    }

    fn place_of(&mut self, system: SystemRef) -> u32 {
        if let Some(place) = self.places.get(&system) {
            return *place;
        }
        let place = u32::try_from(self.nodes.len()).unwrap_or(u32::MAX);
        self.nodes.push(system.clone());
        self.places.insert(system, place);
        self.needs.push(Vec::new());
        self.needed.push(Vec::new());
        place
    }

    fn join(&mut self, joined: &mut HashSet<(u32, u32)>, from: u32, to: SystemRef, need: Need) {
        // What is declared and not seen can neither be troubled nor changed.
        let Some(to) = self.place(&to).filter(|to| *to != from) else { return };
        if joined.insert((from, to))
            && let Some(needs) = self.needs.get_mut(index(from))
        {
            needs.push((to, need));
            if let Some(needed) = self.needed.get_mut(index(to)) {
                needed.push((from, need));
            }
        }
    }
}

fn index(place: u32) -> usize {
    usize::try_from(place).unwrap_or(usize::MAX)
}

/// The names above a name, nearest first.
pub fn ancestors(id: &SystemId) -> impl Iterator<Item = SystemId> {
    std::iter::successors(id.as_str().rsplit_once('/').map(|(above, _)| above), |name| name.rsplit_once('/').map(|(above, _)| above))
        .filter_map(|name| name.parse().ok())
}

/// Walks on a graph; what was visited is kept between walks, so that a walk costs only what it reaches.
pub struct Walker<'a> {
    graph: &'a Graph,
    visited: Vec<u32>,
    walk: u32,
}

impl<'a> Walker<'a> {
    pub fn new(graph: &'a Graph) -> Walker<'a> {
        Walker { graph, visited: vec![0; graph.len()], walk: 0 }
    }

    /// All that a system needs, nearest first, at most [`STEPS`] away and [`REACH`] of them; itself only
    /// when it needs itself through others.
    pub fn needs(&mut self, from: u32) -> Vec<Step> {
        self.walk = self.walk.wrapping_add(1);
        if self.walk == 0 {
            self.visited.fill(0);
            self.walk = 1;
        }
        let mut out: Vec<Step> = Vec::new();
        let mut next = 0;
        let mut here = Step { node: from, distance: 0, via: from, need: Need::Part };
        loop {
            if here.distance < STEPS {
                for (to, need) in self.graph.needs_of(here.node) {
                    if out.len() < REACH && self.visit(*to) {
                        let need = if here.need == Need::Uses { Need::Uses } else { *need };
                        let via = if here.distance == 0 { *to } else { here.via };
                        out.push(Step { node: *to, distance: here.distance + 1, via, need });
                    }
                }
            }
            match out.get(next) {
                Some(step) => here = *step,
                None => return out,
            }
            next += 1;
        }
    }

    /// True the first time in this walk.
    fn visit(&mut self, node: u32) -> bool {
        match self.visited.get_mut(index(node)) {
            Some(visited) if *visited != self.walk => {
                *visited = self.walk;
                true
            }
            Some(_) | None => false,
        }
    }
}

/// Tarjan's strongly connected components, without recursion: what is needed is numbered first.
fn ranks(needs: &[Vec<(u32, Need)>]) -> Vec<u32> {
    const NEW: u32 = u32::MAX;
    let mut ranks = vec![NEW; needs.len()];
    let (mut found, mut low) = (vec![NEW; needs.len()], vec![NEW; needs.len()]);
    let (mut stack, mut open): (Vec<u32>, Vec<bool>) = (Vec::new(), vec![false; needs.len()]);
    let (mut count, mut rank) = (0_u32, 0_u32);
    let get = |list: &[u32], at: u32| list.get(index(at)).copied().unwrap_or(NEW);
    let set = |list: &mut [u32], at: u32, value: u32| {
        if let Some(cell) = list.get_mut(index(at)) {
            *cell = value;
        }
    };
    for start in 0..u32::try_from(needs.len()).unwrap_or(u32::MAX) {
        if get(&found, start) != NEW {
            continue;
        }
        let mut path: Vec<(u32, usize)> = vec![(start, 0)];
        while let Some((node, next)) = path.pop() {
            if next == 0 {
                set(&mut found, node, count);
                set(&mut low, node, count);
                count = count.saturating_add(1);
                stack.push(node);
                if let Some(open) = open.get_mut(index(node)) {
                    *open = true;
                }
            }
            match needs.get(index(node)).and_then(|needs| needs.get(next)) {
                Some((to, _)) => {
                    path.push((node, next + 1));
                    if get(&found, *to) == NEW {
                        path.push((*to, 0));
                    } else if open.get(index(*to)).copied().unwrap_or(false) {
                        let least = get(&low, node).min(get(&found, *to));
                        set(&mut low, node, least);
                    }
                }
                None => {
                    if get(&low, node) == get(&found, node) {
                        while let Some(member) = stack.pop() {
                            set(&mut ranks, member, rank);
                            if let Some(open) = open.get_mut(index(member)) {
                                *open = false;
                            }
                            if member == node {
                                break;
                            }
                        }
                        rank = rank.saturating_add(1);
                    }
                    if let Some((above, _)) = path.last() {
                        let least = get(&low, *above).min(get(&low, node));
                        set(&mut low, *above, least);
                    }
                }
            }
        }
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::Origin;

    fn graph(edges: &[(u32, u32)], count: usize) -> Graph {
        let mut graph = Graph { needs: vec![Vec::new(); count], needed: vec![Vec::new(); count], ..Graph::default() };
        for n in 0..count {
            graph.nodes.push(SystemRef { origin: Origin([1; 16]), id: format!("s{n}").parse().unwrap() });
        }
        for (from, to) in edges {
            graph.needs[*from as usize].push((*to, Need::Uses));
            graph.needed[*to as usize].push((*from, Need::Uses));
        }
        graph.ranks = ranks(&graph.needs);
        graph
    }

    #[test]
    fn what_is_needed_ranks_lower_and_rings_rank_alike() {
        let graph = graph(&[(0, 1), (1, 2), (2, 3), (3, 2), (4, 0), (4, 3)], 5);
        assert_eq!(graph.rank(2), graph.rank(3));
        assert!(graph.rank(2) < graph.rank(1) && graph.rank(1) < graph.rank(0) && graph.rank(0) < graph.rank(4));
    }

    #[test]
    fn a_walk_goes_nearest_first_and_knows_the_first_step() {
        let graph = graph(&[(0, 1), (0, 2), (1, 3), (2, 3), (3, 4), (4, 0)], 5);
        let steps = Walker::new(&graph).needs(0);
        let told: Vec<(u32, u8, u32)> = steps.iter().map(|step| (step.node, step.distance, step.via)).collect();
        assert_eq!(told, [(1, 1, 1), (2, 1, 2), (3, 2, 1), (4, 3, 1), (0, 4, 1)], "each once");
    }

    #[test]
    fn a_long_chain_is_ranked_without_a_deep_stack() {
        let edges: Vec<(u32, u32)> = (0..50_000).map(|n| (n, n + 1)).collect();
        let graph = graph(&edges, 50_001);
        assert!(graph.rank(50_000) < graph.rank(0));
        assert_eq!(Walker::new(&graph).needs(0).len(), usize::from(STEPS), "no further than people follow");
    }
}
