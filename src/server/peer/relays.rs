//! Which logs come through somebody who passes them on, and through whom.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::follow::{self, Route};
use super::{Book, Peers, through};
use crate::model::grant::{Right, Scope, Width};
use crate::model::id::Origin;
use crate::model::peer::{Line, PeerState, Relay};
use crate::trust::grant::HANDS;

/// Logs that are received through others, at most.
const MOST: usize = 100;
/// Servers on the way, at most: each of them hands the lease on.
const LONGEST: usize = HANDS;

/// A link that runs. Dropping it ends it.
pub(super) struct Running {
    /// The peer, as the configuration calls it, and who is on the way.
    peer: Arc<str>,
    through: Vec<Relay>,
    /// Whether the line to that peer is up.
    up: bool,
    /// Ends it between two messages: what was begun with one is brought to its end.
    _ends: tokio_util::sync::DropGuard,
}

/// A way to a log. The first in their order is taken: what comes by it counts most, since who goes by it in their turn
/// has no more than that; and each way that goes on from another stands behind it, so that servers which choose by what
/// the others chose come to an end with it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Way {
    /// How much of it comes so.
    breadth: Reverse<Vec<Width>>,
    /// Whether it may be passed on from here.
    onward: Reverse<bool>,
    length: usize,
    peer: Arc<str>,
    through: Vec<Relay>,
}

impl Way {
    fn by(peer: &Arc<str>, nearest: &Relay, state: &PeerState) -> Way {
        // Of one who does not say what they offer nothing is known.
        let offers = state.offers.as_ref().filter(|offers| offers.systems.len() <= Scope::PATTERNS);
        let through = through(nearest, state);
        Way {
            breadth: Reverse(offers.map(Scope::breadth).unwrap_or_default()),
            onward: Reverse(offers.is_some_and(|offers| offers.rights.has(Right::Federate))),
            length: through.len(),
            peer: peer.clone(),
            through,
        }
    }
}

/// For each log that is no peer's own the way by which most of it comes; of several that bring as much one by which it
/// may be passed on, then the shortest, then the first by name.
fn ways(own: Origin, direct: &[(Arc<str>, Relay)], passed_on: &BTreeMap<Arc<str>, Vec<PeerState>>) -> BTreeMap<Origin, Way> {
    let mut ways: BTreeMap<Origin, Way> = BTreeMap::new();
    for (peer, nearest) in direct {
        for state in passed_on.get(peer).into_iter().flatten() {
            let is_direct = direct.iter().any(|(_, relay)| relay.origin == state.origin);
            let way = Way::by(peer, nearest, state);
            if is_direct || state.origin == Origin::default() || !state.is_new_to(own) || way.length > LONGEST {
                continue;
            }
            let known = ways.entry(state.origin).or_insert_with(|| way.clone());
            if way < *known {
                *known = way;
            }
        }
    }
    ways.into_iter().take(MOST).collect()
}

impl Book {
    /// How a log stands that comes through a peer, when the line there stands so: what the peer itself has lost
    /// is lost here, too.
    pub(super) fn beyond(&mut self, origin: Origin, line: Line, why: Option<Arc<str>>) -> (Line, Option<Arc<str>>) {
        let Some(running) = self.relays.get_mut(&origin) else { return (line, why) };
        running.up = line == Line::Up;
        let told = self.passed_on.get(&running.peer).into_iter().flatten().find(|state| state.origin == origin);
        match told {
            Some(told) if running.up && told.line != Line::Up => {
                let why = told.why.as_ref().map_or_else(|| "lost".to_owned(), |why| format!("lost: {why}"));
                (Line::Lost, Some(format!("at {} it is {why}", running.peer).chars().take(300).collect::<String>().into()))
            }
            _ => (line, why),
        }
    }
}

impl Peers {
    /// What a peer says that it receives from others.
    pub(super) fn passes_on(self: &Arc<Peers>, peer: &Arc<str>, states: Vec<PeerState>) {
        {
            let now = self.around.clock.now();
            let mut book = self.book();
            book.passed_on.insert(peer.clone(), states);
            let up: Vec<Origin> = book.relays.iter().filter(|(_, running)| running.up && running.peer == *peer).map(|(origin, _)| *origin).collect();
            for origin in up {
                let (line, why) = book.beyond(origin, Line::Up, None);
                if let Some(state) = book.states.get_mut(&origin).filter(|state| state.line != Line::Lapsed) {
                    if state.line != line {
                        state.since = now;
                    }
                    (state.line, state.why) = (line, why);
                }
            }
        }
        self.choose_ways();
        self.tell();
    }

    /// Ends links whose way is not the one any more, and begins those that are new.
    pub(super) fn choose_ways(self: &Arc<Peers>) {
        let mut begin = Vec::new();
        {
            let mut book = self.book();
            let mut direct: Vec<(Arc<str>, Relay)> = Vec::new();
            for known in book.known.values().filter(|known| known.through.is_empty()) {
                if self.parts.neighbours.iter().any(|neighbour| neighbour.name == known.peer) {
                    direct.push((known.peer.clone(), Relay { origin: known.origin, name: known.name.clone() }));
                }
            }
            let ways = ways(self.around.own, &direct, &book.passed_on);
            let now = self.around.clock.now();
            let gone: Vec<Origin> = book
                .relays
                .iter()
                .filter(|(origin, running)| ways.get(origin).is_none_or(|way| (&way.peer, &way.through) != (&running.peer, &running.through)))
                .map(|(origin, _)| *origin)
                .collect();
            for origin in gone {
                book.relays.remove(&origin);
                if !ways.contains_key(&origin)
                    && !direct.iter().any(|(_, relay)| relay.origin == origin)
                    && let Some(state) = book.states.get_mut(&origin)
                {
                    (state.line, state.since, state.why) = (Line::Gone, now, Some("nobody passes it on any more".into()));
                }
            }
            for (origin, way) in ways {
                let neighbour = self.parts.neighbours.iter().find(|neighbour| neighbour.name == way.peer);
                if let (false, Some(neighbour)) = (book.relays.contains_key(&origin), neighbour) {
                    begin.push((origin, way, neighbour.clone()));
                }
            }
        }
        for (origin, way, neighbour) in begin {
            let route = Route { neighbour, origin: Some(origin), through: way.through.clone() };
            let ends = CancellationToken::new();
            tokio::spawn(follow::follow(self.clone(), route, ends.clone()));
            self.book().relays.insert(origin, Running { peer: way.peer, through: way.through, up: false, _ends: ends.drop_guard() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::{Random, SeededRandom};
    use crate::model::grant::Rights;
    use crate::model::id::{Incarnation, Sequence};
    use crate::model::time::{Span, Time};
    use crate::server::peer::{Known, state};

    const OWN: Origin = Origin([1; 16]);

    fn relay(number: u8) -> Relay {
        Relay { origin: Origin([number; 16]), name: format!("s{number}").into() }
    }

    fn passed(number: u8, through: &[u8], line: Line) -> PeerState {
        let known = Known {
            origin: Origin([number; 16]),
            name: format!("s{number}").into(),
            peer: "p".into(),
            through: through.iter().map(|number| relay(*number)).collect(),
            env: None,
            claim_every: Span::ZERO,
            lease: None,
            claim: None,
            gaps: Vec::new(),
        };
        state(&known, line, Time::from_secs(1), Incarnation(1), Sequence(1))
    }

    fn chosen(direct: &[u8], passed_on: &[(u8, Vec<PeerState>)]) -> Vec<(u8, Vec<u8>)> {
        let direct: Vec<_> = direct.iter().map(|number| (Arc::from(format!("s{number}")), relay(*number))).collect();
        let passed_on = passed_on.iter().map(|(number, states)| (Arc::from(format!("s{number}")), states.clone())).collect();
        let ways = ways(OWN, &direct, &passed_on);
        ways.into_iter().map(|(origin, way)| (origin.0[0], way.through.iter().map(|relay| relay.origin.0[0]).collect())).collect()
    }

    #[test]
    fn a_log_comes_by_the_shortest_way_and_from_its_own_server_where_that_is_a_peer() {
        let up = Line::Up;
        let two = vec![passed(4, &[3], up), passed(5, &[], up), passed(3, &[], up)];
        let three = vec![passed(4, &[], up), passed(5, &[], up)];
        assert_eq!(chosen(&[2, 3], &[(2, two), (3, three)]), [(4, vec![3]), (5, vec![2])]);
    }

    fn offered(number: u8, through: &[u8], systems: &str, rights: &str) -> PeerState {
        let scope = Scope::new(systems.split(',').map(|pattern| pattern.parse().unwrap()), Rights::parse(rights).unwrap(), None);
        PeerState { offers: Some(scope), ..passed(number, through, Line::Up) }
    }

    #[test]
    fn what_comes_by_a_way_counts_before_how_long_it_is() {
        let way = |two: PeerState, three: PeerState| {
            let one = chosen(&[2, 3], &[(2, vec![two.clone()]), (3, vec![three.clone()])]);
            assert_eq!(one, chosen(&[3, 2], &[(3, vec![three]), (2, vec![two])]), "whoever is heard first");
            one[0].1.clone()
        };
        let at = |through: &[u8], systems: &str, rights: &str| offered(9, through, systems, rights);
        assert_eq!(way(at(&[], "web/front", "read,federate"), at(&[5], "web/**", "read")), [3, 5], "more of it");
        assert_eq!(way(at(&[], "web/**", "read"), at(&[5], "web/**", "read,federate")), [3, 5], "as much, and it may be passed on");
        assert_eq!(way(at(&[5], "web/**", "read,federate"), at(&[], "web/**", "read,federate")), [3], "the same, and nearer");
        assert_eq!(way(at(&[], "web/**", "read,federate"), at(&[], "web/**", "read,respond,federate")), [2], "the first by name");
        assert_eq!(way(at(&[], "web/**", "respond,federate"), at(&[], "lab", "read")), [3], "of which nothing is seen");
        // An earlier version does not say: so much is known of its way.
        assert_eq!(way(passed(9, &[], Line::Up), at(&[5], "lab", "read")), [3, 5]);
        let many: Vec<String> = (0..=Scope::PATTERNS).map(|number| format!("s{number}")).collect();
        let much = Scope { systems: many.iter().map(|one| one.parse().unwrap()).collect(), ..Scope::all() };
        assert_eq!(way(PeerState { offers: Some(much), ..passed(9, &[], Line::Up) }, at(&[], "lab", "read")), [3], "longer than it is read");
    }

    /// Servers that hear of each other's ways in any order come to an end, and to the same one.
    #[test]
    fn servers_that_choose_by_what_others_chose_come_to_rest() {
        let grants = ["**", "web/**", "web/front,lab", "lab", "web/*"];
        let rights = ["read,federate", "read,federate", "read"];
        for seed in 0..300_u64 {
            let random = SeededRandom::new(seed);
            let pick = |most: usize| usize::try_from(random.below(u64::try_from(most).unwrap())).unwrap();
            // Who is granted what by whom: everybody by some, the first log's own server by none.
            let servers = 3 + pick(4);
            let mut given: BTreeMap<(usize, usize), Scope> = BTreeMap::new();
            for to in 1..servers {
                for from in (0..servers).filter(|from| *from != to && random.below(2) == 0) {
                    let systems = grants[pick(grants.len())].split(',').map(|pattern| pattern.parse().unwrap());
                    given.insert((from, to), Scope::new(systems, Rights::parse(rights[pick(rights.len())]).unwrap(), None));
                }
            }
            // What each has of the log, and through whom.
            type Has = Option<(Scope, Vec<u8>)>;
            let next = |to: usize, all: &[Has]| -> Has {
                if let Some(scope) = given.get(&(0, to)) {
                    return Some((scope.clone(), Vec::new()));
                }
                let offering = |from: usize| {
                    let (has, through) = all[from].as_ref()?;
                    let offers = has.narrow(given.get(&(from, to))?);
                    let state = passed(1, &through.iter().map(|place| place + 1).collect::<Vec<_>>(), Line::Up);
                    has.rights.has(Right::Federate).then_some((from, PeerState { offers: Some(offers), ..state }))
                };
                let relays: Vec<(usize, PeerState)> = (1..servers).filter_map(offering).collect();
                let name = |place: usize| Arc::<str>::from(format!("s{place}"));
                let number = |place: usize| u8::try_from(place + 1).unwrap();
                let direct: Vec<_> = relays.iter().map(|(from, _)| (name(*from), relay(number(*from)))).collect();
                let told = relays.iter().map(|(from, state)| (name(*from), vec![state.clone()])).collect();
                let way = ways(Origin([number(to); 16]), &direct, &told).remove(&Origin([1; 16]))?;
                let (_, state) = relays.iter().find(|(from, _)| name(*from) == way.peer).unwrap();
                Some((state.offers.clone().unwrap(), way.through.iter().map(|relay| relay.origin.0[0] - 1).collect()))
            };
            let mut ends = Vec::new();
            for _ in 0..3 {
                let mut all: Vec<Has> = vec![None; servers];
                for _ in 0..40 * servers {
                    let to = 1 + pick(servers - 1);
                    all[to] = next(to, &all);
                }
                assert!((1..servers).all(|to| next(to, &all) == all[to]), "in {seed} it goes on and on: {all:?}");
                ends.push(all);
            }
            assert!(ends.iter().all(|end| *end == ends[0]), "in {seed}: {ends:?}");
        }
    }

    #[test]
    fn what_leads_through_this_server_is_no_way() {
        let back = vec![passed(1, &[], Line::Up), passed(4, &[1], Line::Up), passed(5, &[6, 1, 7], Line::Up), passed(6, &[], Line::Gone)];
        assert_eq!(chosen(&[2], &[(2, back)]), []);
        let long = vec![passed(9, &[3, 4, 5, 6, 7, 8, 10, 11], Line::Up)];
        assert_eq!(chosen(&[2], &[(2, long)]), []);
    }
}
