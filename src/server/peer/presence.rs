//! Who looks at what of a peer's log: this server's users are told there, and theirs here, where both want that.
//! What a peer tells is passed on to this server's own users alone.

use std::sync::Arc;

use super::replica::Replica;
use crate::link::LinkHandle;
use crate::model::presence::{Book, Presence, Reader, Whose};
use crate::model::time::Time;
use crate::server::presence::{Board, Claim, Place, Told};
use crate::wire::{LookingAt, ToServer};

/// One connection's part in it: gone with the connection.
pub(super) struct Shared {
    /// Where those sit of whom the peer tells.
    place: Place,
    /// What it was told of our own.
    told: Told,
    /// What it told.
    book: Book,
    /// As this server calls it.
    peer: Arc<str>,
}

impl Shared {
    pub(super) fn new(board: &Arc<Board>, peer: &Arc<str>) -> Shared {
        Shared { place: board.enter(), told: Told::new(board), book: Book::default(), peer: peer.clone() }
    }

    /// Says what changed among our own users. A link that takes no more has other sorrows.
    pub(super) fn tell(&mut self, link: &LinkHandle) {
        let place = &self.place;
        if let Some(told) = self.told.take(|| place.book(&Reader::Primary)) {
            let _ = link.send(ToServer::LookingAt(LookingAt { at: None, users: told.looked }));
        }
    }

    pub(super) fn hear(&mut self, told: Presence, replica: &Replica, now: Time) {
        self.book.take(told);
        self.sit(replica, now);
    }

    /// What it tells is about what is known here: looked at anew whenever that is more.
    pub(super) fn sit(&self, replica: &Replica, now: Time) {
        let claims = Claim::of_others(Whose::Primarys, &self.book, &self.peer, now);
        self.place.sit(replica.look(|world| claims.iter().filter_map(|claim| claim.seat(world, &|_| true)).collect()));
    }

    pub(super) fn is_empty(&self) -> bool {
        self.book.is_empty()
    }
}

/// Waits until there may be something to tell; never without a peer that wants it.
pub(super) async fn due(shared: &mut Option<Shared>) {
    match shared {
        Some(shared) => shared.told.due().await,
        None => std::future::pending().await,
    }
}
