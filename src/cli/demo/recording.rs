//! The recording: what agents, sources, pipelines and people said to the three servers, and when.
//!
//! A [`Line`] is one message, with its time relative to the start of the demo, so that the night always
//! ends now. `midwatch demo --recording` prints it as JSON Lines:
//!
//! ```json
//! {"ago":"240s","server":"infra","observed":{"agent":"ceph-1","check":"osds","status":"critical","text":"osd.12 down"}}
//! {"ago":"1080s","server":"shop","asked":{"by":"ci","change":{"system":"shop","title":"deploy shop 4f3a2c"}}}
//! ```
//!
//! `ago` is negative (`-60s`) for what comes after the start. A server never reads this: players send each line
//! through the way that it would come in by: `observed` over an agent's link, `alert` to
//! `POST /api/v2/alerts`, `happened` to `POST /api/v1/events`, `asked` as a person's request.

use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::model::severity::{Severity, Status};
use crate::model::time::{Span, Time};

/// Seconds before the start (negative: after it).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Ago(pub i64);

impl Ago {
    pub const fn mins(mins: i64) -> Ago {
        Ago(mins * 60)
    }

    pub const fn days(days: i64) -> Ago {
        Ago(days * 86_400)
    }

    pub fn before(self, start: Time) -> Time {
        Time::from_micros(start.micros().saturating_sub(self.0.saturating_mul(1_000_000)))
    }

    /// So many seconds later.
    pub const fn later(self, secs: i64) -> Ago {
        Ago(self.0 - secs)
    }
}

impl fmt::Display for Ago {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}s", self.0)
    }
}

impl Serialize for Ago {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Line {
    pub ago: Ago,
    pub server: Arc<str>,
    #[serde(flatten)]
    pub said: Said,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Said {
    /// An agent: one result of one check.
    Observed(Observed),
    /// Prometheus: a rule fires, or no longer does.
    Alert(Fired),
    /// A feed or a job: something that is no alert.
    Happened(Happened),
    /// A person or a pipeline.
    Asked(Asked),
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Observed {
    pub agent: Arc<str>,
    pub check: Arc<str>,
    pub status: Status,
    pub text: Arc<str>,
    /// How many bad results in a row count.
    pub attempts: u32,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Fired {
    /// The rule.
    pub alertname: Arc<str>,
    pub system: Arc<str>,
    pub severity: Severity,
    pub summary: Arc<str>,
    pub expr: Arc<str>,
    /// When it began.
    pub since: Ago,
    /// It no longer fires.
    pub over: bool,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Happened {
    pub system: Arc<str>,
    pub kind: Arc<str>,
    pub title: Arc<str>,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Asked {
    pub by: Arc<str>,
    #[serde(flatten)]
    pub ask: Ask,
}

/// An alert as people name it: its system and check. At most one of these is open at a time.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize)]
pub struct Of {
    pub system: Arc<str>,
    pub check: Arc<str>,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ask {
    Acknowledge {
        of: Of,
        note: Arc<str>,
    },
    Assign {
        of: Of,
        to: Arc<str>,
    },
    /// Until so many seconds before (negative: after) the start.
    Snooze {
        of: Of,
        until: Ago,
    },
    Resolve {
        of: Of,
        note: Arc<str>,
    },
    NoteAlert {
        of: Of,
        text: Arc<str>,
    },
    Note {
        system: Arc<str>,
        text: Arc<str>,
    },
    Change {
        system: Arc<str>,
        title: Arc<str>,
        link: Option<Arc<str>>,
    },
}

impl Ask {
    /// The alert that must be open (or, for a note, known) when this is asked.
    pub fn of(&self) -> Option<&Of> {
        match self {
            Ask::Acknowledge { of, .. } | Ask::Assign { of, .. } | Ask::Snooze { of, .. } | Ask::Resolve { of, .. } | Ask::NoteAlert { of, .. } => Some(of),
            Ask::Note { .. } | Ask::Change { .. } => None,
        }
    }
}

/// Spans that the players keep.
pub const EVERY: Span = Span::from_mins(1);
pub const KEEPALIVE: Span = Span::from_secs(10);
