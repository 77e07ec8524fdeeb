//! What each message takes: the one table. A new message has no right to anything until it stands here.

use crate::model::grant::Right;
use crate::wire::{Role, ToServer};

/// What somebody needs who sends a message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Need {
    /// Nothing: it tells nothing, and changes nothing.
    Nothing,
    /// It is never in its place once a session has begun.
    Never(&'static str),
    /// One of these roles, and this right somewhere. On which systems, whoever answers it looks at: each
    /// event, alert and number by itself.
    Right(&'static [Role], Right),
    /// One of these roles; the right depends on what is asked, and is looked at where it is decided.
    Asked(&'static [Role]),
}

/// Readers.
const READERS: &[Role] = &[Role::Console, Role::Peer];
const CONSOLES: &[Role] = &[Role::Console];
const AGENTS: &[Role] = &[Role::Agent];
const PEERS: &[Role] = &[Role::Peer];

pub const fn need(message: &ToServer) -> Need {
    match message {
        ToServer::Handshake(_) => Need::Never("the handshake is over"),
        ToServer::Hello(_) => Need::Never("hello was said already"),
        // It tells nobody's rights but the asker's own.
        ToServer::Ping(_) | ToServer::Renew(_) => Need::Nothing,
        ToServer::Subscribe(_) | ToServer::History(_) | ToServer::Count(_) | ToServer::Search(_) | ToServer::WorldAt(_) => Need::Right(READERS, Right::Read),
        // How much of it whoever is behind them may see their lease says.
        ToServer::Backfill(_) | ToServer::SealWorld(_) => Need::Right(PEERS, Right::Read),
        ToServer::ReadMarks(_) => Need::Right(CONSOLES, Right::Read),
        // Of what they see themselves: who looks at it is looked at for each thing.
        ToServer::LookingAt(_) => Need::Right(READERS, Right::Read),
        ToServer::Do(_) => Need::Asked(READERS),
        ToServer::Agent(_) | ToServer::Observe(_) | ToServer::Keepalive(_) => Need::Right(AGENTS, Right::Observe),
    }
}

/// A message's name on the wire, for what is said of its refusal.
pub const fn word_of(message: &ToServer) -> &'static str {
    match message {
        ToServer::Handshake(_) => "handshake",
        ToServer::Hello(_) => "hello",
        ToServer::Subscribe(_) => "subscribe",
        ToServer::History(_) => "history",
        ToServer::Backfill(_) => "backfill",
        ToServer::SealWorld(_) => "seal-world",
        ToServer::Count(_) => "count",
        ToServer::Search(_) => "search",
        ToServer::WorldAt(_) => "world-at",
        ToServer::Do(request) => request.intent.word(),
        ToServer::ReadMarks(_) => "read-marks",
        ToServer::Agent(_) => "agent",
        ToServer::Observe(_) => "observe",
        ToServer::Keepalive(_) => "keepalive",
        ToServer::Renew(_) => "renew",
        ToServer::LookingAt(_) => "looking-at",
        ToServer::Ping(_) => "ping",
    }
}

/// The number of an ask, by which its refusal is known.
pub const fn ask_of(message: &ToServer) -> Option<u64> {
    match message {
        ToServer::History(ask) => Some(ask.id),
        ToServer::Backfill(ask) => Some(ask.id),
        ToServer::SealWorld(ask) => Some(ask.id),
        ToServer::Count(ask) => Some(ask.id),
        ToServer::Search(ask) => Some(ask.id),
        ToServer::WorldAt(ask) => Some(ask.id),
        ToServer::Agent(said) => Some(said.id),
        ToServer::Observe(said) => Some(said.id),
        ToServer::Keepalive(said) => Some(said.id),
        ToServer::Renew(ask) => Some(ask.id),
        ToServer::Handshake(_)
        | ToServer::Hello(_)
        | ToServer::Subscribe(_)
        | ToServer::Do(_)
        | ToServer::ReadMarks(_)
        | ToServer::LookingAt(_)
        | ToServer::Ping(_) => None,
    }
}
