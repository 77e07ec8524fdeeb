//! Which logs come through somebody who passes them on, and through whom.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::follow::{self, Route};
use super::{Book, Peers, through};
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

/// A way to a log.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Way {
    length: usize,
    peer: Arc<str>,
    through: Vec<Relay>,
}

/// For each log that is no peer's own the shortest way; of several that are as short, the first by name.
fn ways(own: Origin, direct: &[(Arc<str>, Relay)], passed_on: &BTreeMap<Arc<str>, Vec<PeerState>>) -> BTreeMap<Origin, Way> {
    let mut ways: BTreeMap<Origin, Way> = BTreeMap::new();
    for (peer, nearest) in direct {
        for state in passed_on.get(peer).into_iter().flatten() {
            let is_direct = direct.iter().any(|(_, relay)| relay.origin == state.origin);
            let through = through(nearest, state);
            if is_direct || state.origin == Origin::default() || !state.is_new_to(own) || through.len() > LONGEST {
                continue;
            }
            let way = Way { length: through.len(), peer: peer.clone(), through };
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

    #[test]
    fn what_leads_through_this_server_is_no_way() {
        let back = vec![passed(1, &[], Line::Up), passed(4, &[1], Line::Up), passed(5, &[6, 1, 7], Line::Up), passed(6, &[], Line::Gone)];
        assert_eq!(chosen(&[2], &[(2, back)]), []);
        let long = vec![passed(9, &[3, 4, 5, 6, 7, 8, 10, 11], Line::Up)];
        assert_eq!(chosen(&[2], &[(2, long)]), []);
    }
}
