//! The lines around hits that nobody has asked for yet: where a filter left hits alone, and at the edge of
//! what is held. Each server is asked for its own neighbours of such a hit: the nearest of all of them
//! together are the lines around it, and one more than is shown tells whether something is left out.

use std::collections::BTreeMap;
use std::ops::Range;

use super::paging::Toward;
use super::slot::{SPARSE, Slot};
use super::window::Spot;
use super::{Asked, Timeline};

/// Asks of this kind that one server has at once: it lets few wait.
const AT_ONCE: usize = 8;
/// Hits of which it is known that they were asked about.
const MOST: usize = 20_000;

/// What was asked already: of the hit, by server and sequence, of which server, and how many lines.
#[derive(Debug, Default)]
pub(super) struct Around {
    asked: BTreeMap<(u16, u64, usize), usize>,
}

impl Around {
    fn has(&self, hit: &Slot, server: usize, lines: usize) -> bool {
        self.asked.get(&(hit.server, hit.sequence, server)).is_some_and(|asked| *asked >= lines)
    }

    fn note(&mut self, hit: &Slot, server: usize, lines: usize) {
        if self.asked.len() >= MOST {
            self.asked.clear();
        }
        self.asked.insert((hit.server, hit.sequence, server), lines);
    }

    /// What is held has changed so that neighbours may be missing again.
    pub fn forget(&mut self) {
        self.asked.clear();
    }

    /// What this server was asked for will not come.
    pub fn lost(&mut self, server: usize) {
        self.asked.retain(|(.., of), _| *of != server);
    }
}

/// A server that is to be asked for what lies beside a hit.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    hit: Slot,
    server: usize,
    older: Option<Spot>,
    newer: Option<Spot>,
}

impl Timeline {
    /// Whether lines around hits of these rows are to be asked for.
    pub fn wants_around(&self, rows: Range<usize>, connected: impl Fn(usize) -> bool) -> bool {
        !self.lacking(rows, connected).is_empty()
    }

    /// Asks for the lines around the hits of these rows, as far as they are not here.
    pub fn wanting_around(&mut self, rows: Range<usize>, connected: impl Fn(usize) -> bool) -> Vec<Asked> {
        let mut out = Vec::new();
        let lines = self.context + 1;
        for Wanted { hit, server, older, newer } in self.lacking(rows, connected) {
            self.around.note(&hit, server, lines);
            for (toward, spot) in [(Toward::Older, older), (Toward::Newer, newer)] {
                out.extend(spot.map(|spot| self.ask_around(server, toward, spot, lines)));
            }
        }
        out
    }

    fn lacking(&self, rows: Range<usize>, connected: impl Fn(usize) -> bool) -> Vec<Wanted> {
        let mut out: Vec<Wanted> = Vec::new();
        if self.filter.is_none() || self.context == 0 || self.is_going() {
            return out;
        }
        let mut room: Vec<usize> = (0..self.names.len()).map(|server| AT_ONCE.saturating_sub(self.asked_around(server))).collect();
        for row in rows.start..rows.end.min(self.len()) {
            let Some((chunk, line)) = self.line(row).filter(|(_, line)| !line.is_gap() && !line.is_context()) else { continue };
            let Some(hit) = chunk.slot(usize::from(line.slot)) else { continue };
            let (older, newer) = (self.lacks(hit, Toward::Older), self.lacks(hit, Toward::Newer));
            if !older && !newer {
                continue;
            }
            for (server, room) in room.iter_mut().enumerate().filter(|(server, _)| connected(*server)) {
                if *room < 2 || self.around.has(hit, server, self.context + 1) {
                    continue;
                }
                let spot = self.spot_beside(hit, server);
                let older = Some(spot).filter(|_| older && self.may_have(server, spot, Toward::Older));
                let newer = Some(spot).filter(|_| newer && self.may_have(server, spot, Toward::Newer));
                if older.is_some() || newer.is_some() {
                    *room -= 2;
                    out.push(Wanted { hit: *hit, server, older, newer });
                }
            }
        }
        out
    }

    /// A hit's place on one server's own timeline. At the same moment the order is that of the servers' identities.
    fn spot_beside(&self, hit: &Slot, server: usize) -> Spot {
        let own = usize::from(hit.server);
        let sequence = if own == server {
            hit.sequence
        } else if self.origins.get(server) < self.origins.get(own) {
            u64::MAX >> 1
        } else {
            0
        };
        (hit.at.saturating_sub(self.shift(server)), sequence)
    }

    /// Whether a server may have events beside a place of its own timeline that are not held.
    fn may_have(&self, server: usize, spot: Spot, toward: Toward) -> bool {
        let reach = self.reach(server);
        let from = reach.older.complete || reach.older.spot.is_some_and(|begins| begins <= spot);
        let until = self.is_live() || reach.newer.complete || reach.newer.spot.is_some_and(|ends| ends >= spot);
        let all = match toward {
            Toward::Older => reach.older.complete,
            Toward::Newer => self.is_live() || reach.newer.complete,
        };
        !(from && until && all)
    }

    /// Whether the events beside a hit may not be those that are nearest to it.
    fn lacks(&self, hit: &Slot, toward: Toward) -> bool {
        let window = self.window();
        let reaches = |at: i64| {
            window.reach.iter().enumerate().all(|(server, reach)| {
                let at = at.saturating_sub(self.shift(server));
                let from = reach.older.complete || reach.older.spot.is_some_and(|spot| spot.0 < at);
                from && (self.is_live() || reach.newer.complete || reach.newer.spot.is_some_and(|spot| spot.0 > at))
            })
        };
        if hit.has(SPARSE) || !reaches(hit.at) {
            return true;
        }
        let wanted = self.context + 1;
        let (mut seen, mut sparse, mut farthest) = (0, false, hit.at);
        window.beside_of(hit.key(&self.origins), toward, &self.origins, |slot| {
            (seen, farthest) = (seen + 1, slot.at);
            sparse |= slot.has(SPARSE);
            seen < wanted && !sparse
        });
        if sparse {
            return true;
        }
        if seen == wanted {
            return !reaches(farthest);
        }
        window.reach.iter().any(|reach| match toward {
            Toward::Older => !reach.older.complete,
            Toward::Newer => !self.is_live() && !reach.newer.complete,
        })
    }
}
