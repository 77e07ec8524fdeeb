//! What was heard of the servers goes to disk in the background and at the end, and comes back in the
//! first frame.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::keep::Written;
use super::{Runtime, wall};
use crate::client::Kept;
use crate::client::keep::{self, EVENTS};
use crate::model::id::{EventId, Origin};
use crate::model::intent::Request;
use crate::model::time::{Span, Time};

/// So soon after something new was heard it is kept, and not more often than that.
const SOON: Duration = Duration::from_secs(2);
const EVERY: Duration = Duration::from_secs(30);
/// Where nothing happens, its age on disk is brought up to date so often.
const IDLE: Span = Span::from_mins(5);

/// How long the end of a console waits for its outbox.
const PATIENCE: Duration = Duration::from_secs(5);

/// One server of which is kept what was heard.
pub struct Keeping {
    pub path: PathBuf,
    /// What a former console heard.
    pub kept: Option<Kept>,
    /// What it asked for and nobody has answered.
    pub unsent: Vec<Request>,
}

/// How far the disk is.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    servers: Vec<Option<Place>>,
}

impl Shelf {
    /// One server more, of which nothing is kept here: the one that passes it on keeps it.
    pub(super) fn add(&mut self) {
        self.servers.push(None);
    }
}

#[derive(Debug)]
struct Place {
    path: PathBuf,
    last: (Origin, EventId, Time),
    due: Instant,
}

impl Runtime {
    /// What former consoles heard and asked for: shown with its age, before anybody is connected.
    pub(super) fn bring_back(&mut self, keeping: Vec<Option<Keeping>>) {
        let due = Instant::now() + SOON;
        for (server, keeping) in keeping.into_iter().enumerate() {
            let place = keeping.map(|keeping| {
                let mut last = Default::default();
                if let Some(Kept { heard, world, events }) = keeping.kept {
                    last = (world.origin, head_of(&world), heard);
                    // A clock that went back does not make it newer than new.
                    self.state.remember(server, world, &events, wall().since(heard).max(Span::ZERO));
                }
                for request in keeping.unsent {
                    self.state.unsent(server, &request);
                }
                Place { path: keeping.path, last, due }
            });
            self.shelf.servers.push(place);
        }
    }

    /// Keeps what is due; all of it when the console ends.
    pub(super) fn keep_heard(&mut self, ends: bool) {
        let (now, mono) = (Instant::now(), self.mono());
        for server in 0..self.shelf.servers.len() {
            let Some(Some(place)) = self.shelf.servers.get(server) else { continue };
            if !ends && now < place.due {
                continue;
            }
            let (Some(link), Some(seen)) = (self.state.links.get(server), self.state.live().server(server)) else { continue };
            let (Some(age), world) = (link.age(mono).filter(|_| link.known), seen.world.clone()) else { continue };
            let (origin, head, heard) = (world.origin, head_of(&world), wall().minus(age));
            let (known, last, before) = place.last;
            let newer = heard.since(before) > if ends { Span::from_secs(1) } else { IDLE };
            if (known, last) == (origin, head) && !newer {
                continue;
            }
            if known != origin && known != Origin::default() {
                // Another server answers there now: what was known of the first is nobody's to overwrite.
                let path = place.path.clone();
                self.files.aside(move || keep::set_aside(&path));
            }
            let kept = Kept { heard, world, events: self.state.timeline.newest_of(server, EVENTS) };
            let path = place.path.clone();
            let write = {
                let path = path.clone();
                move || {
                    if let Err(error) = keep::save(&path, &kept) {
                        tracing::warn!(path = %path.display(), %error, "what was heard could not be kept");
                    }
                    Written::Quiet
                }
            };
            self.files.keep(&path, write);
            if let Some(Some(place)) = self.shelf.servers.get_mut(server) {
                (place.due, place.last) = (now + EVERY, (origin, head, heard));
            }
        }
    }

    /// When something is to be kept next, if anything was heard.
    pub(super) fn keeps_at(&self) -> Option<Duration> {
        let now = Instant::now();
        self.shelf.servers.iter().flatten().map(|place| place.due.saturating_duration_since(now)).filter(|wait| !wait.is_zero()).min()
    }

    /// Requests of which is not known yet whether they are safely in the outbox.
    pub(super) fn look_at_outbox(&mut self) {
        for (server, request, mut kept) in std::mem::take(&mut self.outgoing) {
            use tokio::sync::oneshot::error::TryRecvError;
            match kept.try_recv() {
                Ok(Ok(())) => {}
                Ok(Err(error)) => self.state.not_kept(server, &request, &format!("it could not be kept on this machine's disk ({error})")),
                Err(TryRecvError::Closed) => self.state.not_kept(server, &request, "the connection has ended"),
                Err(TryRecvError::Empty) => self.outgoing.push((server, request, kept)),
            }
        }
    }
}

impl Runtime {
    /// What was asked for in the last moment is in the outbox before the console is gone.
    pub(super) async fn flush_outbox(&mut self) {
        let outgoing = std::mem::take(&mut self.outgoing);
        let kept = async {
            for (.., kept) in outgoing {
                let _ = kept.await;
            }
        };
        let _ = tokio::time::timeout(PATIENCE, kept).await;
    }
}

fn head_of(world: &crate::model::world::World) -> EventId {
    EventId { origin: world.origin, incarnation: world.incarnation, sequence: world.head }
}
