//! The first words of a connection: perhaps a handshake, then hello and welcome. Until it is over
//! nothing else is heard, nothing is believed, and everything is short and in time (N6).

use std::sync::Arc;

use axum::http::StatusCode;
use tokio::time::Instant;

use super::line::Via;
use super::metrics::count;
use super::rights::handed::{self, Handed};
use super::rights::{Culprit, redeem};
use super::session::Wire;
use crate::model::grant::{Grant, Key, Right};
use crate::model::intent::RefusalCode;
use crate::trust::handshake::{self, Peer};
use crate::trust::{Holder, PublicKey, TokenKind};
use crate::wire::codec::{Frame, decode_to_server, not_packed};
use crate::wire::{Encoding, Hello, PROTOCOL, Problem, ProblemCode, Raw, Role, ToClient, ToServer, Welcome};

/// What a connection has shown so far.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Shown {
    /// It came through a socket that only its owner can open.
    Owner,
    Token(TokenKind),
    /// It proved a key that is authorized.
    Key(Arc<Holder>),
    /// It proved a key that was granted something.
    Granted(PublicKey, Arc<Grant>),
    /// It proved a key that a grant's token is bound to, or was handed on to.
    Handed(Arc<Handed>),
    Nothing,
}

impl Shown {
    fn opens(&self, role: Role) -> bool {
        match (self, role) {
            (Shown::Owner, _) | (Shown::Token(TokenKind::Console), Role::Console) | (Shown::Token(TokenKind::Agent), Role::Agent) => true,
            (Shown::Key(holder), role) => holder.role == role,
            (Shown::Granted(_, grant), role) => grant.who == role.who(),
            (Shown::Handed(handed), role) => handed.grant.who == role.who(),
            (Shown::Token(_) | Shown::Nothing, Role::Console | Role::Agent | Role::Peer) => false,
        }
    }
}

impl Shown {
    /// Whether a peer may tell others what it is told here.
    fn may_pass_on(&self) -> bool {
        match self {
            Shown::Owner => true,
            Shown::Key(holder) => holder.scope.rights.has(Right::Federate),
            Shown::Granted(_, grant) => grant.scope.rights.has(Right::Federate),
            Shown::Handed(handed) => handed.scope(&handed.grant).rights.has(Right::Federate),
            Shown::Token(_) | Shown::Nothing => false,
        }
    }
}

/// A frame before anybody is known. Names and tokens are short.
const LARGEST: usize = 8 << 10;

/// Waits for the first messages, and answers them. `keys`: the client chose the sub-protocol that begins
/// with a handshake. `None`: the connection ended, with words where there was somebody to hear them.
pub(super) async fn greet(wire: &mut Wire, shown: Shown, keys: bool, from: &str) -> Option<(Hello, Shown)> {
    let deadline = Instant::now() + wire.shared.limits.handshake;
    let peer = if keys { Some(meet(wire, from, deadline).await?) } else { None };
    let mut hello = match first(wire, deadline, "hello").await? {
        ToServer::Hello(hello) => hello,
        _ => {
            let words = if keys { "after the handshake comes `hello`" } else { "the first message must be `hello`" };
            let _ = wire.problem(ProblemCode::Forbidden, None, words).await;
            return None;
        }
    };
    if let Some(secret) = hello.redeem.take()
        && let Err(refusal) = redeem::redeem(wire.shared.clone(), peer, &hello, &secret).await
    {
        // Who brings their own code a second time tried nothing.
        if refusal.code == RefusalCode::Over {
            let _ = wire.problem(ProblemCode::Unauthorized, None, refusal.why).await;
        } else {
            refuse(wire, from, "invite", peer.map(|peer| peer.key), refusal.why).await;
        }
        return None;
    }
    match letting_in(wire, shown, peer, &mut hello) {
        Ok(shown) => {
            wire.shared.audit.admitted(&wire.shared.core, &shown, &hello, from);
            enter(wire, &hello).await?;
            welcome(wire, &hello, &shown).await?;
            // From here on: before the welcome nothing is unpacked on either side.
            if hello.zstd && wire.encoding() == Encoding::MessagePack {
                wire.set_encoding(Encoding::Zstd);
            }
            Some((hello, shown))
        }
        Err(words) => {
            refuse(wire, from, "hello", peer.map(|peer| peer.key), words).await;
            None
        }
    }
}

/// Both prove their keys. Whose this one is, nobody has asked yet.
async fn meet(wire: &mut Wire, from: &str, deadline: Instant) -> Option<Peer> {
    let gate = wire.shared.gate.clone();
    let (Some(own), Some(nonce)) = (gate.signer(), handshake::nonce()) else {
        let _ = wire.problem(ProblemCode::Unavailable, None, "this server cannot prove itself now").await;
        return None;
    };
    let opening = said(wire, deadline).await?;
    let answered = handshake::Server::answer(own, nonce, wire.binding, Instant::now().into_std(), deadline.into_std(), &opening);
    let (server, reply) = match answered {
        Ok(answer) => answer,
        Err(why) => {
            refuse(wire, from, "handshake", None, why.to_string()).await;
            return None;
        }
    };
    wire.say(&ToClient::Handshake(Raw(reply))).await.ok()?;
    let proof = said(wire, deadline).await?;
    match server.finish(Instant::now().into_std(), &proof) {
        Ok(peer) => Some(peer),
        Err(why) => {
            refuse(wire, from, "handshake", None, why.to_string()).await;
            None
        }
    }
}

/// The next message of a handshake.
async fn said(wire: &mut Wire, deadline: Instant) -> Option<Vec<u8>> {
    match first(wire, deadline, "handshake").await? {
        ToServer::Handshake(Raw(bytes)) => Some(bytes),
        _ => {
            let _ = wire.problem(ProblemCode::Forbidden, None, "the handshake comes before everything else").await;
            None
        }
    }
}

/// A message of one who is not known yet. Whatever is wrong with it, it was the last.
async fn first(wire: &mut Wire, deadline: Instant, what: &str) -> Option<ToServer> {
    let frame = match tokio::time::timeout_at(deadline, wire.next()).await {
        Ok(frame) => frame.ok()?,
        Err(_) => {
            let words = format!("no {what} within {} s", wire.shared.limits.handshake.as_secs());
            let _ = wire.problem(ProblemCode::Limit, None, words).await;
            return None;
        }
    };
    if matches!(frame, Frame::Text(_)) {
        wire.set_encoding(Encoding::Json);
    }
    if frame.len() > LARGEST {
        let _ = wire.problem(ProblemCode::Limit, None, format!("before hello a message has {LARGEST} bytes at most")).await;
        return None;
    }
    match not_packed(&frame).and_then(|()| decode_to_server(&frame)) {
        Ok(message) => Some(message),
        Err(error) => {
            count(&wire.shared.metrics.malformed);
            let _ = wire.problem(ProblemCode::Malformed, None, error.to_string()).await;
            None
        }
    }
}

/// What opens the door, or why nothing does. Who comes by a key has its holder's name from here on.
fn letting_in(wire: &Wire, shown: Shown, peer: Option<Peer>, hello: &mut Hello) -> Result<Shown, String> {
    if let Some(peer) = peer
        && peer.role != hello.role
    {
        return Err(format!("the handshake was for the role `{}`, and hello says `{}`", peer.role.word(), hello.role.word()));
    }
    let gate = &wire.shared.gate;
    let token = hello.token.take();
    if let (Some(peer), Some(token)) = (peer, token.as_deref().filter(|token| handed::is_one(token))) {
        let handed = handed::shown(&wire.shared, peer.key, token)?;
        if handed.grant.who != hello.role.who() {
            return Err(format!("this token is a {}'s, and not for the role `{}`", handed.grant.who, hello.role.word()));
        }
        hello.name = handed.name.clone();
        return Ok(Shown::Handed(Arc::new(handed)));
    }
    let wrong = token.is_some();
    let granted = peer.and_then(|peer| Some(Shown::Granted(peer.key, wire.shared.roll.borrow().of_key(&Key::of(peer.key.bytes()))?.clone())));
    let shown = match (shown, peer.and_then(|peer| gate.holder(&peer.key)), token) {
        (Shown::Nothing | Shown::Token(_), Some(holder), _) => Shown::Key(holder),
        (Shown::Nothing | Shown::Token(_), None, _) if granted.is_some() => granted.unwrap_or(Shown::Nothing),
        (Shown::Nothing, None, Some(token)) => wire.shared.tokens.kind_of(&token).map_or(Shown::Nothing, Shown::Token),
        (shown, _, _) => shown,
    };
    let words = match (hello.role, &shown, peer) {
        (Role::Console | Role::Agent, Shown::Token(_), _) if gate.requires_keys() || wire.via.is_some_and(Via::outside) => {
            "this server lets nobody in by a token: it requires a key that stands in its authorized_keys (`midwatch keys show` prints yours)".to_owned()
        }
        (role, Shown::Key(holder), _) if holder.role != role => {
            format!("this key is the {} `{}`'s, and not one for the role `{}`", holder.role.word(), holder.name, role.word())
        }
        (Role::Agent, Shown::Key(holder), _) if holder.name != hello.name => format!("this key is agent `{}`'s, and not `{}`'s", holder.name, hello.name),
        (role, Shown::Granted(_, grant), _) if grant.who != role.who() => {
            format!("this key was granted something as the {} `{}`, and not for the role `{}`", grant.who, grant.name, role.word())
        }
        (Role::Agent, Shown::Granted(_, grant), _) if grant.name != hello.name => format!("this key is agent `{}`'s, and not `{}`'s", grant.name, hello.name),
        (_, Shown::Granted(_, grant), _) if grant.scope.is_over(wire.shared.clock.now()) => {
            format!("what this key was granted here is over since {}", grant.scope.expires.map(|expires| expires.to_string()).unwrap_or_default())
        }
        (role, shown, _) if shown.opens(role) => {
            if let Shown::Granted(_, grant) = shown {
                hello.name = grant.name.clone();
            }
            if let Shown::Key(holder) = shown {
                if holder.scope.is_over(wire.shared.clock.now()) {
                    let since = holder.scope.expires.map(|expires| expires.to_string()).unwrap_or_default();
                    return Err(format!("what this key may do here ended at {since}: the operator's authorized_keys says so"));
                }
                hello.name = holder.name.clone();
            }
            return Ok(shown.clone());
        }
        (_, Shown::Nothing, Some(peer)) if let Some(whose) = lost(wire, &peer) => {
            format!("your key was taken from {whose}: it opens nothing here any more (it is {})", peer.key)
        }
        (_, Shown::Nothing, Some(peer)) if wire.shared.roll.borrow().over(&Key::of(peer.key.bytes())).is_some() => {
            format!("what your key was granted here was revoked, or is over; ask for a new invite (your key is {})", peer.key)
        }
        (_, Shown::Nothing, Some(peer)) => format!(
            "your key is not in this server's authorized_keys: it is {}, and `midwatch keys show` prints the line that the operator adds there{}",
            peer.key,
            if wrong { ", and the token opens nothing either" } else { "" }
        ),
        (_, Shown::Nothing, None) if wrong => {
            "this token opens nothing here; the right one is in the file `console.token` or `agent.token` in the server's data folder".to_owned()
        }
        (_, Shown::Nothing, None) => "a token is needed: from the file `console.token` or `agent.token` in the server's data folder".to_owned(),
        (role, _, _) => format!("this token is not one for the role `{}`", role.word()),
    };
    Err(words)
}

/// Whose key it was that was taken from them.
fn lost(wire: &Wire, peer: &Peer) -> Option<Arc<str>> {
    let key = Key::of(peer.key.bytes());
    let roll = wire.shared.roll.borrow();
    roll.over(&key).filter(|grant| grant.lost(&key).is_some()).map(|grant| grant.name.clone())
}

/// To the log that is wanted. Who is let in is told when there is no such log here.
async fn enter(wire: &mut Wire, hello: &Hello) -> Option<()> {
    let Some(origin) = hello.origin.filter(|origin| *origin != wire.shared.own.log.head().origin) else { return Some(()) };
    let words = match hello.role {
        Role::Agent => "an agent speaks to the server itself, and not to those behind it".to_owned(),
        Role::Console | Role::Peer => match wire.shared.house(origin, hello.role) {
            Some(house) => {
                wire.house = house;
                return Some(());
            }
            None => format!("nothing of the server {} is known here", origin.short()),
        },
    };
    let _ = wire.problem(ProblemCode::Unavailable, None, words).await;
    None
}

/// Says why, here and there.
async fn refuse(wire: &mut Wire, from: &str, route: &str, key: Option<PublicKey>, words: String) {
    wire.failed();
    wire.shared.audit.refused(&wire.shared.core, &Culprit { key, known: None, from }, route, &words);
    wire.shared.refusals.say(wire.shared.clock.now(), from, route, StatusCode::UNAUTHORIZED, &words);
    let _ = wire.say(&ToClient::Problem(Problem { code: ProblemCode::Unauthorized, words, id: None })).await;
}

async fn welcome(wire: &mut Wire, hello: &Hello, shown: &Shown) -> Option<()> {
    let house = &wire.house;
    let head = house.log.head();
    let welcome = Welcome {
        protocol: PROTOCOL.min(hello.protocol),
        origin: head.origin,
        incarnation: head.incarnation,
        name: house.name.clone(),
        version: env!("CARGO_PKG_VERSION").into(),
        now: wire.shared.clock.now(),
        env: house.env.clone(),
        claim_every: house.claim_every.into(),
        head: head.sequence,
        base: head.base,
        keeps_marks: true,
        key: wire.shared.gate.signer().map(|signer| Key::of(signer.public().bytes())),
        addresses: wire.shared.addresses.clone(),
        onward: hello.role == Role::Peer && shown.may_pass_on(),
        presence: house.presence.setting().is_for(hello.role),
        seals: hello.role == Role::Peer,
    };
    wire.say(&ToClient::Welcome(welcome)).await.ok()
}
