//! One event with everything that it holds, as lines; and how much room its part of the screen takes.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::tz::TimeZone;

use crate::console::screen::text::{cut, width, wrap};
use crate::console::theme::Role;
use crate::model::event::{Event, Kind};

/// A line in pieces: text and what it is.
pub type Words = Vec<(String, Role)>;

/// Lines of one text, at most.
const LONGEST: usize = 200;
/// Columns of the names that stand before what they name.
const LABEL: u16 = 10;

/// All that it holds, wrapped; the last of [`Whole::lines`] is never cut.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Whole {
    pub heading: Words,
    pub lines: Vec<Words>,
    /// What a line links to, by its place: an address is shown whole, since one may have to type it elsewhere.
    pub urls: BTreeMap<usize, Arc<str>>,
}

impl Whole {
    pub fn of(event: &Event, room: u16, zone: &TimeZone) -> Whole {
        let heading = vec![
            (event.kind.name().to_owned(), Role::Strong),
            (format!("  {}", event.at.zoned(zone).strftime("%a %-d %b %Y %H:%M:%S %Z")), Role::Muted),
            (format!("  by {}", event.actor), Role::Actor),
        ];
        let mut lines: Vec<Words> = wrap(&event.title, room, 4, "…").into_iter().map(|line| vec![(line, Role::Text)]).collect();
        // A note's title is its text, where that is short.
        if !event.text.is_empty() && event.text != event.title {
            lines.extend(wrap(&event.text, room, LONGEST, "…").into_iter().map(|line| vec![(line, Role::Muted)]));
        }
        if event.recorded.since(event.at).secs() >= 60 {
            let late = event.recorded.since(event.at);
            lines.push(vec![(format!("recorded {late} later, {}", event.recorded.zoned(zone).strftime("%-d %b %H:%M:%S")), Role::Muted)]);
        }
        if !event.labels.is_empty() {
            lines.extend(named("labels", &event.labels.to_string(), room, Role::Text));
        }
        let mut urls = BTreeMap::new();
        for link in &event.links {
            let shown = named(if link.name.is_empty() { "link" } else { &link.name }, &link.url, room, Role::Link);
            urls.extend((lines.len()..).zip(&shown).map(|(place, _)| (place, link.url.clone())));
            lines.extend(shown);
        }
        for (name, value) in &event.extra {
            lines.extend(named(name, &value.to_string(), room, Role::Text));
        }
        if let Kind::Other(other) = &event.kind {
            let data = other.data.to_string();
            // Most kinds that we do not know say all that they have to say in their title.
            if !matches!(data.as_str(), "{}" | "[]" | "null" | "\"\"") {
                lines.extend(named("data", &data, room, Role::Text));
            }
        }
        Whole { heading, lines, urls }
    }

    /// Rows that it takes, with its heading.
    pub fn height(&self) -> u16 {
        u16::try_from(self.lines.len().saturating_add(1)).unwrap_or(u16::MAX)
    }
}

/// `name  value`, the value wrapped within its own column.
fn named(name: &str, value: &str, room: u16, role: Role) -> Vec<Words> {
    let wide = width(name).max(LABEL).min(room / 3);
    let indent = " ".repeat(usize::from(wide) + 2);
    let shown = cut(name, wide, "…");
    let label = format!("{shown}{}", " ".repeat(usize::from(wide.saturating_sub(width(&shown))) + 2));
    let lines = wrap(value, room.saturating_sub(wide + 2), LONGEST, "…");
    (0..).zip(lines).map(|(row, line)| vec![(if row == 0 { label.clone() } else { indent.clone() }, Role::Muted), (line, role)]).collect()
}

/// Rows that the selected event gets below the list. It grows at once with an event that needs more, and
/// shrinks only when none has needed that for a while: going through events does not move the list at
/// every step.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Room {
    rows: u16,
    /// How many events in a row have needed less, and what the largest of them needed.
    calm: u16,
    needed: u16,
}

/// Heights are of these classes; above them it is half of what there is.
const CLASSES: [u16; 5] = [6, 9, 13, 18, 25];
/// So many events in a row need less before it shrinks.
const CALM: u16 = 24;

impl Room {
    /// Another event is selected, which needs so many rows.
    pub fn wants(&mut self, rows: u16) {
        let class = CLASSES.into_iter().find(|class| rows <= *class).unwrap_or(u16::MAX);
        if class >= self.rows {
            *self = Room { rows: class, calm: 0, needed: 0 };
            return;
        }
        (self.calm, self.needed) = (self.calm + 1, self.needed.max(class));
        if self.calm >= CALM {
            *self = Room { rows: self.needed, calm: 0, needed: 0 };
        }
    }

    /// Of so many rows in all.
    pub fn of(&self, all: u16) -> u16 {
        self.rows.max(CLASSES[0]).min(all / 2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    use crate::model::event::{Actor, Draft, LogLine, Other};
    use crate::model::id::EventId;
    use crate::model::time::Time;

    fn text(whole: &Whole) -> Vec<String> {
        whole.lines.iter().map(|line| line.iter().map(|(text, _)| text.as_str()).collect::<String>()).collect()
    }

    fn of(draft: Draft, room: u16) -> Vec<String> {
        text(&Whole::of(&draft.stamp(EventId::default(), Time::from_secs(60)), room, &TimeZone::UTC))
    }

    #[test]
    fn what_a_kind_has_not_is_left_out() {
        let other = |data| Kind::Other(Other { kind: "match.ended".into(), data });
        let said = |data| of(Draft::new(Time::from_secs(60), Actor::Server, other(data), "Rovers 3:2"), 60);
        assert_eq!(said(serde_json::json!({})), ["Rovers 3:2"]);
        assert_eq!(said(serde_json::Value::Null), ["Rovers 3:2"]);
        assert_eq!(said(serde_json::json!({"goals": 5})), ["Rovers 3:2", "data        {\"goals\":5}"]);
    }

    #[test]
    fn what_is_long_is_wrapped_in_its_own_column_and_nothing_is_lost() {
        let url = format!("https://graphs.example/{}", "d".repeat(70));
        let mut draft = Draft::new(Time::from_secs(60), Actor::Server, LogLine {}, "x");
        draft.links.push(crate::model::event::Link { name: "query".into(), url: url.as_str().into() });
        let lines = of(draft, 40);
        assert_eq!(lines.len(), 5, "{lines:?}");
        assert!(lines[1].starts_with("query       https://") && lines[2].starts_with("            "), "{lines:?}");
        assert_eq!(lines[1..].iter().map(|line| line.split_at(12).1).collect::<String>(), url);
    }

    #[test]
    fn going_through_events_seldom_moves_the_list() {
        let mut room = Room::default();
        let mut heights = Vec::new();
        for n in 0..200_u16 {
            room.wants(if n % 9 == 4 { 12 } else { 4 });
            heights.push(room.of(60));
        }
        assert_eq!(heights.windows(2).filter(|pair| pair[0] != pair[1]).count(), 1, "{heights:?}");
        (0..CALM).for_each(|_| room.wants(4));
        assert_eq!(room.of(60), 6, "nothing has needed more for a while");
    }

    proptest! {
        #[test]
        fn it_has_what_it_needs_and_never_more_than_half(wants in prop::collection::vec(0..300_u16, 1..80), all in 0..200_u16) {
            let mut room = Room::default();
            for rows in wants {
                room.wants(rows);
                prop_assert!(room.of(all) <= all / 2);
                prop_assert!(room.of(all) >= rows.min(all / 2));
            }
        }
    }
}
