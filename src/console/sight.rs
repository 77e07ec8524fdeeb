//! What a pane sees: the views of all servers, the timeline's window, and the moment. Never the wire.

use std::sync::Arc;

use jiff::tz::TimeZone;

use crate::model::health::{Health, Wrong};
use crate::model::id::Person;
use crate::model::mark::Marks;
use crate::model::peer::PeerState;
use crate::model::skew::Skew;
use crate::model::time::{Span, Time};
use crate::model::view::Sky;
use crate::model::view::alerts::AlertRow;
use crate::model::view::holding::{Ending, Held};

use super::overlay::meet::Meeting;
use super::past::Past;
use super::pending::Pending;
use super::timeline::Timeline;

pub struct Sight<'a> {
    pub sky: &'a Sky,
    /// All open alerts, unsorted.
    pub rows: &'a [AlertRow],
    /// How often these rows were made.
    pub made: u64,
    pub links: &'a [Link],
    pub timeline: &'a Timeline,
    /// The events that Today tells of.
    pub past: &'a Past,
    /// The times of day at which shifts begin.
    pub shifts: &'a [jiff::civil::Time],
    /// From when on the person has not looked, if they ever did.
    pub looked: Option<Time>,
    /// What is new is new since these; nothing while the panes are at another time.
    pub new_since: Option<&'a Marks>,
    pub pending: &'a Pending,
    pub now: Time,
    /// What the wall's clock says; the same unless one is away.
    pub present: Time,
    pub zone: &'a TimeZone,
    pub me: &'a Person,
    pub read_only: bool,
}

/// The connection to one server.
#[derive(Clone, Debug)]
pub struct Link {
    /// As the configuration calls it.
    pub name: Arc<str>,
    pub address: Arc<str>,
    /// "production", with a colour of its own on line 1.
    pub environment: Option<Arc<str>>,
    pub version: Arc<str>,
    pub state: LinkState,
    /// When the last claim came, on the monotonic clock, and how old it was then.
    pub heard: Option<(Span, Span)>,
    /// Silence for longer than this is staleness.
    pub patience: Span,
    /// The server's clock minus ours, in microseconds: as its answers say, else as it said when it came.
    pub skew: Option<i64>,
    /// What its answers say of that.
    pub clock: Skew,
    /// Why we hold what we hold: "its log was restored", after a snapshot that was not asked for.
    pub remark: Option<Arc<str>>,
    /// It has a world to show.
    pub known: bool,
    /// It is no server but a file that is read.
    pub is_file: bool,
    /// It takes what somebody looks at, and tells others.
    pub presence: bool,
    /// How it says it is itself; older servers do not say.
    pub health: Option<Arc<Health>>,
    /// The place of the server that passes its log on, when it is not reached itself.
    pub through: Option<usize>,
    /// Whose logs it receives from its own peers.
    pub peers: Arc<[PeerState]>,
    /// Its log is followed at another place: nothing is known here any more.
    pub superseded: bool,
    /// As whom one is there and what one may do, as it said last; older servers do not say.
    pub held: Option<Arc<Held>>,
    /// How near the end was when it was last asked for that.
    pub asked_held: Option<Ending>,
    /// Its key's fingerprint, as it says itself on a line that is proved or its owner's.
    pub key: Option<Arc<str>>,
    /// Why it is not spoken to, where somebody can do something about it.
    pub barred: Option<Barred>,
    /// Somebody was asked whether its key is right, and has answered.
    pub asked_about: bool,
    /// What is wrong with it, and what of ours ends there soon; the worst first.
    pub wrong: Vec<Wrong>,
}

/// Why a server is not spoken to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Barred {
    /// It is met for the first time: somebody is to say whether its key is right.
    Unmet(Arc<Meeting>),
    /// It shows another key than the one that is known.
    Changed,
    /// It does not let us in, or not any more.
    NotLetIn,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LinkState {
    Connecting,
    Up,
    Lost { why: Arc<str>, retry: Option<Time> },
}

impl Link {
    pub fn new(name: Arc<str>, address: Arc<str>, environment: Option<Arc<str>>) -> Link {
        let patience = Span::from_secs(15);
        let version = "".into();
        Link {
            name,
            address,
            environment,
            version,
            state: LinkState::Connecting,
            heard: None,
            patience,
            skew: None,
            clock: Skew::default(),
            remark: None,
            known: false,
            is_file: false,
            presence: false,
            health: None,
            through: None,
            peers: Arc::default(),
            superseded: false,
            held: None,
            asked_held: None,
            key: None,
            barred: None,
            asked_about: false,
            wrong: Vec::new(),
        }
    }

    /// A file stands where a server would.
    pub fn file(name: Arc<str>, path: Arc<str>) -> Link {
        Link { is_file: true, ..Link::new(name, path, None) }
    }

    /// How old what we know of it is.
    pub fn age(&self, mono: Span) -> Option<Span> {
        let (heard, lag) = self.heard?;
        Some(Span::from_micros(mono.micros().saturating_sub(heard.micros()).saturating_add(lag.micros())))
    }

    pub fn is_live(&self, mono: Span) -> bool {
        self.state == LinkState::Up && self.age(mono).is_some_and(|age| age <= self.patience)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(heard: i64, lag: i64) -> Link {
        let mut link = Link::new("shop".into(), "127.0.0.1:7373".into(), None);
        link.state = LinkState::Up;
        link.heard = Some((Span::from_secs(heard), Span::from_secs(lag)));
        link
    }

    #[test]
    fn a_server_that_keeps_nothing_goes_stale_though_it_keeps_talking() {
        // Its log is shut: a claim comes every five seconds, and says each time that it is older.
        for second in (0..60).step_by(5) {
            let link = link(second, second);
            assert_eq!(link.age(Span::from_secs(second)), Some(Span::from_secs(second)));
            assert_eq!(link.is_live(Span::from_secs(second)), second <= link.patience.secs(), "after {second} s");
        }
    }

    #[test]
    fn silence_counts_on_top_of_the_lag() {
        assert!(link(100, 10).is_live(Span::from_secs(105)));
        assert!(!link(100, 10).is_live(Span::from_secs(106)));
        assert!(!link(100, i64::MAX / 2_000_000).is_live(Span::from_secs(100)), "an absurd lag is no reason to look fresh");
    }
}
