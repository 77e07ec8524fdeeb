//! Where everybody sits who looks at something of one server's log, and what of that each one sees.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Book, Focus, Looker};
use crate::model::grant::Scope;
use crate::model::id::SystemId;
use crate::model::time::Time;

/// Seats of one log.
const MOST: usize = 1_000;

/// Through whom somebody is heard of: that decides who else is told.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Whose {
    /// One of this server's own users.
    Own,
    /// A user of a server that receives this log from here.
    Peers,
    /// Somebody of whom the server told whose log it is, or who reads it through that one. Passed on to this
    /// server's own users alone, so that nothing goes round in circles.
    Primarys,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Seat {
    pub whose: Whose,
    pub name: Arc<str>,
    pub at: Focus,
    /// The system that it is about: who does not see that does not see the seat.
    pub system: SystemId,
    pub since: Time,
}

/// For whom something is read.
#[derive(Clone, Copy, Debug)]
pub enum Reader<'a> {
    /// A person at a console of this server, by the name under which they sit.
    Person { name: &'a str, scope: &'a Scope },
    /// A server that receives this log from here, by its connection.
    Peer { link: u64, scope: &'a Scope },
    /// The server whose log it is.
    Primary,
}

impl Reader<'_> {
    fn sees(&self, link: u64, seat: &Seat) -> bool {
        match self {
            Reader::Person { name, scope } => *seat.name != **name && scope.sees(Some(&seat.system), ""),
            Reader::Peer { link: own, scope } => link != *own && seat.whose != Whose::Primarys && scope.sees(Some(&seat.system), ""),
            Reader::Primary => seat.whose == Whose::Own,
        }
    }
}

/// All who look at something of one log, by the connection through which they are known.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Seats(pub(super) BTreeMap<u64, Vec<Seat>>);

impl Seats {
    /// Seats of one connection: a peer has one for each of its users.
    pub const OF_ONE: usize = 200;

    /// From now on these are the seats of a connection; none: it has none. Who stays where they sat has sat there
    /// since then. False: nothing changed by it.
    pub fn sit(&mut self, link: u64, mut seats: Vec<Seat>) -> bool {
        let before = self.0.remove(&link).unwrap_or_default();
        let taken: usize = self.0.values().map(Vec::len).sum();
        seats.truncate(Seats::OF_ONE.min(MOST.saturating_sub(taken)));
        for seat in &mut seats {
            if let Some(known) = before.iter().find(|known| (known.whose, &known.name, &known.at) == (seat.whose, &seat.name, &seat.at)) {
                seat.since = known.since;
            }
        }
        let changed = before != seats;
        if !seats.is_empty() {
            self.0.insert(link, seats);
        }
        changed
    }

    /// Those of a connection.
    pub fn of(&self, link: u64) -> &[Seat] {
        self.0.get(&link).map_or(&[], Vec::as_slice)
    }

    /// Who looks at what, as this one is told.
    pub fn seen_by(&self, reader: &Reader<'_>) -> Book {
        let mut book = Book::default();
        for (link, seats) in &self.0 {
            for seat in seats.iter().filter(|seat| reader.sees(*link, seat)) {
                book.add(&seat.at, Looker { name: seat.name.clone(), since: seat.since });
            }
        }
        book.settle();
        book
    }
}
