//! Anything that happened to the console.
//!
//! Three vocabularies stay apart: a person names a `Command`; a `Message` happened; an `Intent` asks a
//! server. The runtime turns whatever it hears from terminal, servers and clock into these.

use std::sync::Arc;

use crate::model::event::Event;
use crate::model::filter::{Filter, OnServer};
use crate::model::health::Health;
use crate::model::id::{EventId, RequestId};
use crate::model::intent::Refusal;
use crate::model::likeness::likeness;
use crate::model::mark::Marks;
use crate::model::observation::Observation;
use crate::model::peer::PeerState;
use crate::model::presence::Presence;
use crate::model::reading::Readings;
use crate::model::severity::Severity;
use crate::model::skew::Answer;
use crate::model::time::{Span, Time};
use crate::model::view::holding::Held;
use crate::model::world::World;

use super::draw::Spot;
use super::keymap::Key;
use super::reload::Reloaded;
use super::screen::input::Gesture;
use super::sight::Barred;

#[derive(Clone, Debug)]
pub enum Message {
    Key(Key),
    /// Text that was pasted: never run as keys.
    Paste(String),
    /// The mouse, and what was drawn where it points, if that is something.
    Mouse(Gesture, Option<Spot>),
    Resize {
        width: u16,
        height: u16,
    },
    /// The clock moved on.
    Tick(Time),
    /// From one server, by its place in the configuration.
    Server(usize, News),
    /// What an effect found or did.
    Done(Outcome),
    /// The configuration was read anew.
    Reloaded(Box<Reloaded>),
    /// So much of a past that is being brought in has come; nothing: all of it.
    Arriving(Option<Arriving>),
    /// Back after a stop: everything is drawn anew.
    Resumed,
}

/// How much of a past has come, while it is being brought in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Arriving {
    pub came: usize,
    pub of: usize,
}

/// What a server's link says.
#[derive(Clone, Debug)]
pub enum News {
    Connecting,
    /// The first word of a server that another one passes on: it has this place from now on.
    Behind {
        name: Arc<str>,
        address: Arc<str>,
        through: usize,
    },
    /// Its log is followed at that place from now on: its server is reached itself.
    Superseded {
        by: usize,
    },
    /// Whose logs it receives from its peers.
    Peers(Arc<[PeerState]>),
    /// `skew`: the server's clock minus ours in microseconds; `patience`: silence for longer than this is staleness.
    Connected {
        version: Arc<str>,
        environment: Option<Arc<str>>,
        skew: Option<i64>,
        patience: Span,
    },
    Lost {
        why: Arc<str>,
        retry: Option<Time>,
    },
    /// It is lost because it is not spoken to.
    Barred(Barred),
    /// The fingerprint of its key.
    Key(Arc<str>),
    /// As whom one is there, and what one may do.
    Held(Arc<Held>),
    /// The whole world anew: what was known of this server is replaced. Why, when it was not asked for.
    Snapshot {
        world: Arc<World>,
        why: Option<Arc<str>>,
    },
    Events {
        events: Vec<Arc<Event>>,
        lag: Span,
    },
    /// Nothing happened, and that is news: how far behind the server itself is.
    Claim {
        lag: Span,
    },
    Latest(Vec<Observation>),
    /// What its clock said.
    Clock(Answer),
    /// How the server itself is.
    Health(Arc<Health>),
    /// The numbers behind its alerts, those that changed.
    Readings(Readings),
    /// It takes who looks at what, and tells it.
    TakesPresence,
    /// Who looks at what, as far as that changed.
    Presence(Presence),
    Answer {
        request: RequestId,
        result: Result<(), Refusal>,
    },
    /// A page of older events, newest first; complete: there is nothing older.
    Older {
        entries: Vec<Entry>,
        complete: bool,
    },
    /// What follows in a file that is read from its start, oldest first.
    More {
        entries: Vec<Entry>,
    },
    /// How things were at a time; without a world, why that is not known.
    Then {
        at: Time,
        then: Result<Arc<World>, PastRefusal>,
    },
    /// What its index knows of these words, newest first.
    Found {
        words: Arc<str>,
        entries: Vec<Entry>,
    },
    /// The answer to one of the timeline's asks, or a part of it.
    Page {
        ask: u64,
        entries: Vec<Entry>,
        /// Nothing more comes for this ask.
        last: bool,
        /// There is nothing more that way in the log.
        complete: bool,
        /// Only what the ask's filter leaves.
        filtered: bool,
        /// With a filter: everything up to there has been looked at.
        reached: Option<(Time, u64)>,
    },
    /// One of the timeline's asks, for a page or for counts, will not be answered.
    Refused {
        ask: u64,
        page: bool,
    },
    /// The answer to [`super::effect::Effect::Count`].
    Counts(Counted),
    /// A page that Today asked for; last: no more comes for that ask; complete: and there is no more that way.
    Past {
        generation: u64,
        entries: Vec<Entry>,
        last: bool,
        complete: bool,
    },
    /// How far the person has looked, at all of their consoles; and what is to be said of that.
    Looked {
        marks: Marks,
        remark: Option<Arc<str>>,
    },
    Problem(Arc<str>),
}

/// Why a server does not tell how things were.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PastRefusal {
    /// It knows its past from there on.
    KnownFrom(Time),
    /// It holds nothing at all.
    Nothing,
    Other(Arc<str>),
}

/// How many events a server has of each severity, for each of equal spans of time.
#[derive(Clone, PartialEq, Debug)]
pub struct Counted {
    pub ask: u64,
    /// Where the first span begins, and how long each is; by the server's clock.
    pub from: Time,
    pub step: Span,
    pub counts: Vec<[u64; 6]>,
    /// All that it holds, and when the first and the last of it happened.
    pub held: u64,
    pub oldest: Option<Time>,
    pub newest: Option<Time>,
    /// There is no more to come for this ask.
    pub last: bool,
}

/// An event on the timeline, understood when it is shown.
#[derive(Clone, Debug)]
pub struct Entry {
    pub at: Time,
    pub id: EventId,
    pub severity: Severity,
    /// What it has in common with others of its kind ([`crate::model::likeness`]); 0: nothing.
    pub likeness: u32,
    pub event: Lazy,
}

impl Entry {
    pub fn known(event: &Arc<Event>) -> Entry {
        let likeness = likeness(event.kind.name(), event.system.as_ref().map_or("", |system| system.as_str()), &event.title);
        Entry { at: event.at, id: event.id, severity: event.severity, likeness, event: Lazy::Known(event.clone()) }
    }
}

#[derive(Clone)]
pub enum Lazy {
    Known(Arc<Event>),
    /// The bytes' owner decodes them.
    Later(Arc<dyn Decode>, u32),
}

/// Decodes one of many events that are kept as they came.
pub trait Decode: Send + Sync {
    fn decode(&self, index: u32) -> Option<Arc<Event>>;

    /// Whether a filter leaves it: where its bytes tell, without decoding it.
    fn matches(&self, index: u32, filter: &Filter, server: &str) -> bool {
        self.decode(index).is_some_and(|event| filter.matches(&OnServer { subject: &*event, server }))
    }

    /// Tells its system (empty: none) and its title: where its bytes say them, without decoding it.
    fn called(&self, index: u32, tell: &mut dyn FnMut(&str, &str)) {
        if let Some(event) = self.decode(index) {
            tell(event.system.as_ref().map_or("", |system| system.as_str()), &event.title);
        }
    }
}

impl std::fmt::Debug for Lazy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Lazy::Known(event) => write!(f, "Known({:?})", event.id),
            Lazy::Later(_, index) => write!(f, "Later({index})"),
        }
    }
}

impl Lazy {
    pub fn event(&self) -> Option<Arc<Event>> {
        match self {
            Lazy::Known(event) => Some(event.clone()),
            Lazy::Later(bytes, index) => bytes.decode(*index),
        }
    }
}

/// What came of an effect.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// A text came back from the editor; nothing: it was left empty or the editor failed.
    Edited {
        text: Option<String>,
    },
    Said(String),
    Failed(String),
}
