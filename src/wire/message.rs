//! The messages of `midwatch.v1`. New fields get defaults, new messages are skipped by those who do not
//! know them: servers and consoles of several versions live together.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::event_bytes::EventBytes;
use super::packed::Packed;
use super::raw::Raw;
use crate::model::grant::{Epoch, Key, Scope, Who};
use crate::model::health::Health;
use crate::model::id::{AgentId, EventId, GrantId, Incarnation, Origin, RequestId, Sequence};
use crate::model::intent::{Refusal, Request};
use crate::model::mark::Marks;
use crate::model::observation::{AgentHello, Observation};
use crate::model::peer::PeerState;
use crate::model::presence::{Focus, Looked, Presence};
use crate::model::reading::Readings;
use crate::model::time::{Span, Time};
use crate::model::world::World;

/// From a console, agent or peer to a server.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ToServer {
    /// Before all else, where the sub-protocol is the one with keys: the client's part of the handshake.
    Handshake(Raw),
    /// First of all: who is there.
    Hello(Hello),
    /// From now on, tell me what happens.
    Subscribe(Subscribe),
    History(HistoryAsk),
    /// What a peer missed of this log. Answered by [`ToClient::Backfilled`] with the same number.
    Backfill(BackfillAsk),
    /// A world of this log for one behind the peer that asks, signed by the server whose log it is. Answered by
    /// [`ToClient::WorldSealed`] with the same number.
    SealWorld(SealAsk),
    Count(CountAsk),
    Search(SearchAsk),
    /// The world as it was at a time. Answered by [`WorldThen`] with the same number.
    WorldAt(WorldAsk),
    /// A person's or pipeline's request. Answered by [`Answer`] with the request's id.
    Do(Request),
    /// How far the person at this console has looked. Answered by [`MarksKept`].
    ReadMarks(ReadMarks),
    /// What the person at this console looks at now. Nobody answers.
    LookingAt(LookingAt),
    Agent(Introduction),
    Observe(Observe),
    Keepalive(Keepalive),
    /// What may I do here, and a token that says so. Answered by [`Holding`] with the same number.
    Renew(Renew),
    /// Answered by `pong` with the same number.
    Ping(Ping),
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Console,
    Agent,
    Peer,
}

impl Role {
    /// As what a grant has them.
    pub const fn who(self) -> Who {
        match self {
            Role::Console => Who::Person,
            Role::Agent => Who::Agent,
            Role::Peer => Who::Peer,
        }
    }

    pub const fn word(self) -> &'static str {
        match self {
            Role::Console => "console",
            Role::Agent => "agent",
            Role::Peer => "peer",
        }
    }
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Hello {
    pub protocol: u32,
    pub role: Role,
    /// The person's, agent's or peer's name.
    pub name: Arc<str>,
    /// Not needed where the HTTP request bore it (`Authorization: Bearer`), nor on a Unix socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Arc<str>>,
    /// Of the program, for people to read.
    #[serde(default)]
    pub version: Arc<str>,
    /// Whether binary frames may come compressed with zstd.
    #[serde(default)]
    pub zstd: bool,
    /// The secret of an invite, 32 hexadecimal digits: it is redeemed for the key that the handshake proved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redeem: Option<Arc<str>>,
    /// Whose log is wanted; the server's own unless named. Another is that of a server behind this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// Of a peer: its public key, to which a [`Lease`] is bound where no handshake proves one. Who says none is
    /// told none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Key>,
}

/// How far a reader has come in a server's log.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Cursor {
    pub origin: Origin,
    pub incarnation: Incarnation,
    /// The last event that it has.
    pub sequence: Sequence,
    /// Of what was seen of that log ([`World::epoch`]): under another scope it is told anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Epoch>,
}

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Subscribe {
    /// Go on from here. Without it, and where the server cannot, a [`Snapshot`] comes first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<Cursor>,
    /// Only events that match (the filter language). World and snapshot stay whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Arc<str>>,
    /// How many of the newest events come with a snapshot. The server caps it.
    #[serde(default)]
    pub history: u32,
    /// Whether the latest observations are wanted ([`Vitals`]).
    #[serde(default)]
    pub vitals: bool,
    /// Whether the server shall say how it is itself ([`Health`]).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub health: bool,
    /// Whether the latest numbers behind open alerts are wanted ([`Readings`]).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub readings: bool,
    /// Whether the server shall say whose logs it receives ([`Peers`]).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub peers: bool,
    /// Whether it is wanted who looks at what ([`Presence`]).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub presence: bool,
    /// From a peer, of a log that is passed on: a world has to be signed by the server whose log it is
    /// ([`Snapshot::sealed`]), over these 16 random bytes, so that it is no older than they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<Raw>,
}

/// Which way to page through the timeline, in the order of (`at`, sequence).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Paging {
    /// The newest before this place (exclusive; none: from the end), newest first.
    Before(Option<Place>),
    /// The oldest after this place (exclusive; none: from the start), oldest first.
    After(Option<Place>),
}

/// A place on one server's timeline.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Place {
    pub at: Time,
    pub sequence: Sequence,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct HistoryAsk {
    /// Chosen by the asker; the pages bear it.
    pub id: u64,
    pub page: Paging,
    /// How many events altogether; they come in as many [`Page`]s as it takes.
    pub limit: u64,
    /// Only events that match (the filter language; times without a zone are UTC). A server that does not
    /// know this sends them all: [`Page::filtered`] says which.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Arc<str>>,
}

/// The events of the log in (`after`, `until`], as far as they are held: a slice of them, the oldest first by sequence.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BackfillAsk {
    /// Chosen by the asker; the answer bears it.
    pub id: u64,
    pub after: Sequence,
    pub until: Sequence,
}

/// A world of this log, as far as a lease covers it that the asker handed on to another, signed for that one's key.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SealAsk {
    /// Chosen by the asker; the answer bears it.
    pub id: u64,
    pub lease: Lease,
    /// As the one who is to begin with it said it ([`Subscribe::nonce`]).
    pub nonce: Raw,
}

/// How many events there are of each severity, for each of equal spans of time.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CountAsk {
    /// Chosen by the asker; the answer bears it.
    pub id: u64,
    /// When the first span begins; without it all that is held is counted as one span, if there is a `step`
    /// or not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Time>,
    /// How long each span is: whole minutes, others are rounded up.
    #[serde(default)]
    pub step: Span,
    /// How many spans, at most 1,000.
    #[serde(default)]
    pub buckets: u32,
    /// Only events that match (the filter language; times without a zone are UTC).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<Arc<str>>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SearchAsk {
    pub id: u64,
    /// All of these words, as prefixes.
    pub words: Arc<str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Place>,
    pub limit: u32,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct WorldAsk {
    pub id: u64,
    pub at: Time,
}

/// How far the console's person has looked in each server's log; empty: only what is kept is wanted. From then
/// on the console is told what other consoles of that person say.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ReadMarks {
    pub marks: Marks,
}

/// What somebody looks at, who may see it: kept while they are there, and in no log. The latest counts.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct LookingAt {
    /// From a console. Nothing: at nothing of this log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Focus>,
    /// From a peer: which of its own users look at what of this log, as far as that changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<Looked>,
}

/// An agent says what it runs and what machine it is on. Answered by [`Ack`] with the same number.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Introduction {
    pub id: u64,
    pub hello: AgentHello,
}

/// Results of checks. Answered by [`Ack`] with the same number once what follows from them is durable.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Observe {
    pub id: u64,
    pub observations: Vec<Observation>,
}

/// An agent lives. Answered by [`Ack`] with the same number.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Keepalive {
    pub id: u64,
    pub agent: AgentId,
    pub at: Time,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Ping {
    pub id: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Renew {
    pub id: u64,
}

/// The answer to [`Renew`]: as whom one is here, and what one may do.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Holding {
    pub id: u64,
    pub name: Arc<str>,
    pub scope: Scope,
    /// The grant in the server's log, where that is how one came in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<GrantId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<Arc<str>>,
    /// The same, signed by the server for one's key: to narrow, and to hand on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<Arc<str>>,
}

/// The answer to [`Ping`].
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Pong {
    pub id: u64,
    /// The server's clock: readers show the difference to their own. Older servers do not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now: Option<Time>,
}

/// From a server. `E` is how events are held: [`EventBytes`] unless a codec borrows them from its frame.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ToClient<E = EventBytes> {
    /// The server's part of the handshake.
    Handshake(Raw),
    Welcome(Welcome),
    Snapshot(Snapshot<E>),
    Batch(Batch<E>),
    Page(Page<E>),
    Backfilled(Backfill<E>),
    WorldSealed(WorldSealed),
    WorldThen(WorldThen),
    Counts(Counts),
    Answer(Answer),
    MarksKept(MarksKept),
    Ack(Ack),
    Vitals(Vitals),
    /// How the server itself is: a lossy channel, in which the latest wins.
    Health(Health),
    /// The numbers behind alerts, those that changed: likewise.
    Readings(Readings),
    Holding(Holding),
    /// Whose logs the server receives from its peers: likewise.
    Peers(Peers),
    /// Who looks at what, as far as that changed: likewise.
    Presence(Presence),
    /// To a peer, before what it is about: what it may receive of this log and pass on, and until when. Told
    /// anew before it is over, and when it is another.
    Lease(Lease),
    Pong(Pong),
    Problem(Problem),
}

/// The answer to [`Hello`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Welcome {
    pub protocol: u32,
    pub origin: Origin,
    pub incarnation: Incarnation,
    /// As the server calls itself.
    pub name: Arc<str>,
    pub version: Arc<str>,
    /// Its clock: readers show the difference to their own.
    pub now: Time,
    /// What kind of environment it is ("production"), for colours and warnings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub env: Option<Arc<str>>,
    /// How often, at least, a claim comes; after three times that in silence the reader should doubt.
    pub claim_every: Span,
    /// The last durable event, and the first that is still held.
    pub head: Sequence,
    pub base: Sequence,
    /// Whether it keeps read marks: older versions do not, and are not asked to.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub keeps_marks: bool,
    /// Its public key, and where it can be reached from elsewhere: what an invite tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Key>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<Arc<str>>,
    /// To a peer: whether it may pass on what it is told here, as its grant is now. What it may later stands in each
    /// [`Lease`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub onward: bool,
    /// Whether it is told what somebody looks at, and tells it: older versions and those where that is off are not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub presence: bool,
    /// To a peer: whether it signs worlds, or asks for them where the log is another's: older versions do not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub seals: bool,
}

/// The whole world as of `head`; the stream goes on from there.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Snapshot<E = EventBytes> {
    pub incarnation: Incarnation,
    pub head: Sequence,
    /// The first event that is still held.
    pub base: Sequence,
    pub why: SnapshotReason,
    pub world: Arc<World>,
    /// The newest events, as many as were asked for, oldest first.
    pub events: Vec<E>,
    /// How old, at most, what this tells was when it was sent: more than nothing where the log is that of a
    /// server behind this one.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub lag: Span,
    /// Where it is passed on to a peer that said a nonce: the world itself, which is not in `world` then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sealed: Option<SealedWorld>,
}

/// A world as the server whose log it is signed it: for one key, as far as one lease reaches, over what the one who
/// is to begin with it said. It is passed on byte for byte, and not understood on the way.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SealedWorld {
    pub incarnation: Incarnation,
    /// As of which event.
    pub head: Sequence,
    /// When it was signed, by that server's clock.
    pub at: Time,
    pub world: Packed,
    /// Of all that stands before it, and of what its reader knows by itself ([`crate::trust::world`]).
    pub signature: Raw,
}

/// The answer to [`SealAsk`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct WorldSealed {
    pub id: u64,
    pub result: Sealing,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sealing {
    Sealed(SealedWorld),
    Refused(Refusal),
}

fn is_zero(span: &Span) -> bool {
    *span == Span::ZERO
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SnapshotReason {
    /// The subscription named no cursor.
    First,
    /// The cursor was another server's.
    OtherServer,
    /// The log was restored or begun anew since.
    OtherIncarnation,
    /// The cursor lies beyond the log's head.
    Beyond,
    /// What follows the cursor was pruned, or is too much to send one by one.
    TooOld,
    /// The reader was too slow.
    Slow,
    /// What the reader may see is not what it was.
    Scope,
}

/// Everything that the reader may see in (`from`, `to`]. Without events it is a claim: nothing happened.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Batch<E = EventBytes> {
    pub incarnation: Incarnation,
    pub from: Sequence,
    pub to: Sequence,
    pub events: Vec<E>,
    /// How old, at most, what is claimed was when this was sent.
    pub lag: Span,
    /// To a peer that may pass them on: for each event the signature of the server whose log this is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seals: Vec<Raw>,
    /// Likewise, where one of the events is about an alert: for each event the signature of its outline
    /// ([`outline_of`](super::outline_of)), which is what the next one may be shown of it; empty where there is none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outlines: Vec<Raw>,
    /// Likewise: how far that log goes, signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<Claim>,
}

/// "My log goes as far as that", signed by the server whose log it is: whoever passes on what it tells can
/// neither make it longer than it is nor younger.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Claim {
    /// The server's public key, of which its identity is the hash.
    pub key: Raw,
    pub to: Sequence,
    /// By that server's clock.
    pub at: Time,
    pub signature: Raw,
}

/// "This much of my log may be received, and passed on, by that key, until then", signed by the server whose
/// log it is; where it is passed on, each on the way hands it on to the next one, for no more than that one's
/// own grant there. So a partition hides a revocation for no longer than a lease lasts.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Lease {
    /// The public key of the server whose log it is, of which its identity is the hash.
    pub key: Raw,
    /// A grant's token ([`crate::trust::grant`]). It stands for no grant, and opens nothing.
    pub token: Arc<str>,
}

/// The answer to [`BackfillAsk`]: all that is held, and that the asker may see, of the events after where it asked
/// from and up to there.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Backfill<E = EventBytes> {
    pub id: u64,
    pub to: Sequence,
    pub events: Vec<E>,
    /// As in [`Batch`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seals: Vec<Raw>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outlines: Vec<Raw>,
}

impl<E> Backfill<E> {
    /// Those events alone, with what stands beside them.
    pub fn only(&mut self, test: impl Fn(&E) -> bool) {
        let marked: Vec<bool> = self.events.iter().map(test).collect();
        keep(&mut self.events, &marked);
        keep(&mut self.seals, &marked);
        keep(&mut self.outlines, &marked);
    }
}

impl<E> Batch<E> {
    /// Likewise.
    pub fn only(&mut self, test: impl Fn(&E) -> bool) {
        let marked: Vec<bool> = self.events.iter().map(test).collect();
        keep(&mut self.events, &marked);
        keep(&mut self.seals, &marked);
        keep(&mut self.outlines, &marked);
    }
}

/// Those whose place is marked.
fn keep<T>(of: &mut Vec<T>, marked: &[bool]) {
    let mut places = marked.iter();
    of.retain(|_| places.next().copied().unwrap_or(false));
}

/// A part of the answer to [`HistoryAsk`] or [`SearchAsk`].
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Page<E = EventBytes> {
    pub id: u64,
    pub events: Vec<E>,
    /// Nothing more comes for this ask.
    pub last: bool,
    /// There is no more that way in the log: its start (or end) was reached. Only with `last`.
    pub complete: bool,
    /// Only what the ask's filter leaves; nothing is left out between two events that it leaves.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub filtered: bool,
    /// With a filter: everything up to there has been looked at. The server looks at a part of a large log
    /// for each ask; the next one goes on from here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reached: Option<Place>,
}

/// The answer to [`CountAsk`]. With a filter that the index cannot answer it comes several times, each time
/// with all that has been counted so far, newest first.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Counts {
    pub id: u64,
    pub from: Time,
    pub step: Span,
    /// For each span: how many of each severity, from `debug` to `critical`. As many spans as were asked for.
    pub counts: Vec<[u64; 6]>,
    /// How many events the log holds altogether, and when the first and the last of them happened.
    pub held: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest: Option<Time>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<Time>,
    /// Nothing more comes for this ask.
    pub last: bool,
}

/// The world as its events say that it was at a time: everything recorded by then, and everything recorded
/// later that happened by then.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct WorldThen {
    pub id: u64,
    pub at: Time,
    /// The past is known from here on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub known_from: Option<Time>,
    /// None: the time lies before what is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub world: Option<Arc<World>>,
}

/// The answer to [`ToServer::Do`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Answer {
    pub id: RequestId,
    pub result: Outcome,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Done and durable. Names the events that it made; none when it had been done before.
    Done(Vec<EventId>),
    Refused(Refusal),
}

/// All that is known of how far the person has looked: the answer to [`ReadMarks`], and again whenever another
/// console of the same person has looked further.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MarksKept {
    pub marks: Arc<Marks>,
    /// What of the marks that were said was not believed, in words for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remark: Option<Arc<str>>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Ack {
    pub id: u64,
    /// Why it was not kept, if it was not: send it again later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<Refusal>,
}

/// The latest observations: a lossy channel, in which the latest wins.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Vitals {
    pub observations: Vec<Observation>,
}

/// Whose logs the server receives, and how new each is: all of them, each time. A link for each can be opened
/// ([`Hello::origin`]).
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Peers {
    pub peers: Vec<PeerState>,
}

/// Something about the connection is wrong. The words are for people.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Problem {
    pub code: ProblemCode,
    pub words: String,
    /// The ask that it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProblemCode {
    /// A frame could not be read; it was skipped.
    Malformed,
    /// A message that this role may not send, or that came before `hello`.
    Forbidden,
    /// The token is wrong or missing. The connection ends.
    Unauthorized,
    /// Too much of something.
    Limit,
    /// The filter could not be compiled, or the like.
    Invalid,
    /// The server cannot do it now.
    Unavailable,
    /// The server stops. The connection ends.
    Stopping,
}
