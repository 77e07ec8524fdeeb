//! How linear mode says things: whole words, the severity first.

use crate::console::state::State;
use crate::model::event::{Condition, Event};
use crate::model::presence::called;
use crate::model::severity::Severity;
use crate::model::time::Span;
use crate::model::view::alerts::AlertRow;
use crate::model::words::counted;

/// `45 s`, `16 min`, `3 hours`, `5 days`.
pub fn age(span: Span) -> String {
    match span.secs() {
        secs @ ..60 => format!("{} s", secs.max(0)),
        secs @ 60..7_200 => format!("{} min", secs / 60),
        secs @ 7_200..172_800 => counted(secs / 3_600, "hour"),
        secs => counted(secs / 86_400, "day"),
    }
}

pub const fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Critical => "CRITICAL",
        Severity::Error => "ERROR",
        Severity::Warning => "WARNING",
        Severity::Unknown => "UNKNOWN",
        Severity::Info => "INFO",
        Severity::Debug => "DEBUG",
    }
}

pub const fn condition(row: &AlertRow) -> &'static str {
    match row.condition {
        Condition::Problem => severity(row.severity),
        Condition::Stale | Condition::Silent => "STALE",
        Condition::Unreachable => "AWAY",
    }
}

/// "CRITICAL shop/varnish hit rate 12 % (< 60 %), new: first in 30 known days, 16 min".
pub fn alert(state: &State, row: &AlertRow) -> String {
    let mut out = format!("{} {} {}", condition(row), row.name, row.title);
    match state.pending.of(row.alert) {
        Some(verb) if verb.sent => out.push_str(&format!(", {} pending", verb.word)),
        Some(verb) => out.push_str(&format!(", {} unsent", verb.word)),
        None => {
            let who = row.who();
            match (who.is_empty(), row.somebody.is_some()) {
                (true, _) => {}
                (false, true) if row.snoozed_until.is_none() && row.silenced_until.is_none() => out.push_str(&format!(", {who} has it")),
                (false, _) => out.push_str(&format!(", {who}")),
            }
        }
    }
    let others: Vec<_> = state.sky.lookers(row.alert).iter().filter(|looker| row.somebody.as_deref() != Some(&*looker.name)).collect();
    match others.as_slice() {
        [] => {}
        [one] => out.push_str(&format!(", {} looks at it", called(&one.name))),
        [one, more @ ..] => out.push_str(&format!(", {} and {} look at it", called(&one.name), counted(more.len(), "other"))),
    }
    match (row.fresh, row.unrefreshed) {
        (false, _) => out.push_str(", as last heard"),
        (true, Some(_)) => out.push_str(", not repeated lately"),
        (true, None) => out.push_str(&format!(", {}", row.history.words(state.now))),
    }
    out.push_str(&format!(", {}", age(state.now.since(row.since))));
    out
}

/// An event of the timeline: "02:41:10 WARNING shop/varnish hit rate 12 %, by prometheus, on shop".
pub fn event(state: &State, server: &str, event: &Event) -> String {
    let (here, today) = (event.at.zoned(&state.zone), state.now.zoned(&state.zone).date());
    let when = if here.date() == today { here.strftime("%H:%M:%S") } else { here.strftime("%-d %b %H:%M:%S") };
    let system = event.system.as_ref().map_or(String::new(), |system| format!("{system} "));
    let place = if state.links.len() > 1 { format!(", on {server}") } else { String::new() };
    format!("{} {when} {system}{}, by {}{place}", severity(event.severity), event.title, event.actor.name())
}

/// The words that a line may begin with, and the colours (SGR) that they have where there are any.
const COLOURS: [(&str, &str); 7] =
    [("CRITICAL", "1;31"), ("ERROR", "31"), ("WARNING", "33"), ("UNKNOWN", "35"), ("STALE", "35"), ("AWAY", "35"), ("FINE", "32")];

/// The severity word that a line begins with, behind its number and marks: what stands before it, the word, its
/// colour, and the rest.
pub fn severity_in(line: &str) -> Option<(&str, &'static str, &'static str, &str)> {
    let mut rest = line;
    loop {
        let digits = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        let numbered = if digits.len() < rest.len() { digits.strip_prefix(". ").or_else(|| digits.strip_prefix(" times: ")) } else { None };
        let marks = ["you are at ", "marked: ", "unseen: ", "bookmark: ", "beside a hit: "];
        match numbered.or_else(|| marks.iter().find_map(|mark| rest.strip_prefix(mark))) {
            Some(after) => rest = after,
            None => break,
        }
    }
    let before = line.strip_suffix(rest)?;
    COLOURS.into_iter().find_map(|(word, colour)| {
        let after = rest.strip_prefix(word).filter(|after| after.starts_with(' '))?;
        Some((before, word, colour, after))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_known_by_the_severity_it_begins_with() {
        assert_eq!(severity_in("CRITICAL shop/varnish hit rate"), Some(("", "CRITICAL", "1;31", " shop/varnish hit rate")));
        assert_eq!(severity_in("12. marked: unseen: 41 times: WARNING 02:41:10 x"), Some(("12. marked: unseen: 41 times: ", "WARNING", "33", " 02:41:10 x")));
        assert_eq!(severity_in("you are at 3. FINE a: cleared").map(|found| found.1), Some("FINE"));
        for other in ["a CRITICAL word", "12 CRITICAL x", "CRITICALLY x", "  CRITICAL x", "ERROR", "", "12. "] {
            assert_eq!(severity_in(other), None, "{other}");
        }
    }

    #[test]
    fn ages_are_said_in_words() {
        let said = [5, 60, 960, 7_200, 90_000, 172_800].map(|secs| age(Span::from_secs(secs)));
        assert_eq!(said, ["5 s", "1 min", "16 min", "2 hours", "25 hours", "2 days"]);
    }
}
