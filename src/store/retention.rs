//! What pruning takes, and what it leaves.

use crate::model::time::{Span, Time};

/// What pruning takes: events recorded longer ago than `keep`, except where `kinds` says otherwise
/// (a kind's name, or a prefix that ends in `*`; the first that matches counts). `None` keeps for ever.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Retention {
    pub keep: Option<Span>,
    pub kinds: Vec<(String, Option<Span>)>,
}

impl Retention {
    /// Whether an event of this kind, recorded then, is to go now.
    pub fn drops(&self, kind: &str, recorded: Time, now: Time) -> bool {
        self.keep_of(kind).is_some_and(|keep| now.micros().saturating_sub(recorded.micros()) > keep.micros())
    }

    /// How long events of this kind are kept.
    pub fn keep_of(&self, kind: &str) -> Option<Span> {
        let claims = |pattern: &str| match pattern.strip_suffix('*') {
            Some(prefix) => kind.starts_with(prefix),
            None => kind == pattern,
        };
        self.kinds.iter().find(|(pattern, _)| claims(pattern)).map_or(self.keep, |(_, keep)| *keep)
    }

    /// The shortest time that anything is kept: nothing recorded later than that ago can go.
    pub fn shortest(&self) -> Option<Span> {
        self.kinds.iter().filter_map(|(_, keep)| *keep).chain(self.keep).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_pattern_that_matches_counts() {
        let retention = Retention {
            keep: Some(Span::from_hours(24)),
            kinds: vec![("alert.cleared".into(), Some(Span::from_hours(1))), ("alert.*".into(), None), ("log".into(), Some(Span::from_mins(5)))],
        };
        let now = Time::from_secs(1_000_000);
        let ago = |span: Span| Time::from_micros(now.micros() - span.micros());
        assert!(retention.drops("note", ago(Span::from_hours(25)), now));
        assert!(!retention.drops("note", ago(Span::from_hours(23)), now));
        assert!(!retention.drops("alert.opened", ago(Span::from_hours(10_000)), now));
        assert!(retention.drops("alert.cleared", ago(Span::from_hours(2)), now));
        assert!(!retention.drops("logs", ago(Span::from_mins(6)), now));
        assert!(retention.drops("log", ago(Span::from_mins(6)), now));
        assert_eq!(retention.shortest(), Some(Span::from_mins(5)));
        assert_eq!(Retention::default().shortest(), None);
    }

    #[test]
    fn a_clock_that_went_back_drops_nothing() {
        let retention = Retention { keep: Some(Span::from_hours(1)), kinds: Vec::new() };
        assert!(!retention.drops("note", Time::MAX, Time::MIN));
    }
}
