//! What a console keeps over a restart of the timeline: bookmarks, and the corrections of servers' clocks.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::timeline::Place;
use crate::model::id::{EventId, Incarnation, Origin, Sequence};
use crate::model::time::Time;

/// Bookmarks of one person, at most.
pub const MOST: usize = 1_000;

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Kept {
    #[serde(default)]
    pub bookmarks: Vec<Bookmark>,
    /// By the server's name: microseconds that are added to its times.
    #[serde(default)]
    pub clocks: BTreeMap<String, i64>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Bookmark {
    pub at: Time,
    pub origin: Origin,
    pub sequence: u64,
    /// As its person calls it; empty when it has no name.
    #[serde(default)]
    pub name: String,
    /// What the event said.
    #[serde(default)]
    pub title: String,
}

impl Bookmark {
    pub fn place(&self) -> Place {
        (self.at, EventId { origin: self.origin, incarnation: Incarnation(0), sequence: Sequence(self.sequence) })
    }
}

impl Kept {
    /// What a file says; nothing where there is none yet.
    pub fn parse(text: Option<&str>) -> Result<Kept, String> {
        let Some(text) = text else { return Ok(Kept::default()) };
        let mut kept: Kept = serde_json::from_str(text).map_err(|error| format!("{error}; bookmarks are not kept until it is moved away"))?;
        kept.bookmarks.truncate(MOST);
        Ok(kept)
    }

    pub fn text(&self) -> Result<String, String> {
        serde_json::to_string_pretty(self).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again_and_what_is_broken_is_said() {
        assert_eq!(Kept::parse(None), Ok(Kept::default()));
        let bookmark = Bookmark { at: Time::from_secs(7), origin: Origin([3; 16]), sequence: 9, name: "a".into(), title: "osd.12 down".into() };
        let kept = Kept { bookmarks: vec![bookmark], clocks: [("shop".to_owned(), -2_000_000)].into() };
        assert_eq!(Kept::parse(Some(&kept.text().unwrap())), Ok(kept));
        assert!(Kept::parse(Some("{")).unwrap_err().contains("moved away"));
    }
}
