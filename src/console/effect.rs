//! What the console wants done outside itself, as data: ordered, recorded and tested.

use super::kept::Kept;
use super::timeline::Asked;
use super::timeline::strip::CountAsk;
use crate::model::intent::Request;
use crate::model::mark::Marks;
use crate::model::presence::Focus;
use crate::model::time::Time;

use super::views::Change;

#[derive(Clone, PartialEq, Debug)]
pub enum Effect {
    /// Ask a server; the outbox keeps it until it is answered.
    Send {
        server: usize,
        request: Request,
    },
    /// How things were on one server at a time.
    LookBack {
        server: usize,
        at: Time,
    },
    /// Events that hold these words, from a server's index.
    Search {
        server: usize,
        words: String,
        most: u32,
    },
    /// A page of one server's timeline.
    Page(Asked),
    /// How many events one server has, by time and severity.
    Count(CountAsk),
    /// Bookmarks and corrected clocks, over a restart.
    Keep(Kept),
    /// How far the person has looked, for their other consoles and the next one here.
    Looked(Marks),
    /// What the person looks at on one server, for others who look there.
    LookingAt {
        server: usize,
        at: Option<Focus>,
    },
    /// A page of the events that Today tells of.
    Past(super::past::Wanted),
    Copy(String),
    /// Open a link with the desktop's opener.
    Open(String),
    /// Write a long text in `$EDITOR`.
    Edit {
        text: String,
    },
    /// Bell and notification: something needs you.
    Notify(String),
    /// Marked rows into a file, as JSON Lines.
    Write {
        path: String,
        lines: Vec<String>,
    },
    /// Into the file of saved views.
    Views(Change),
    /// As whom one is on a server, and what one may do there.
    AskHeld {
        server: usize,
    },
    /// This key of a server that was met for the first time is right: remember it, and connect.
    Pin {
        server: usize,
        fingerprint: String,
    },
    /// Try servers that cannot be reached at once.
    Reconnect,
    Redraw,
    Suspend,
    Quit,
}
