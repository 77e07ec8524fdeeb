//! The density of what is held: for where nobody counts, files above all.

use super::{Timeline, strip::Cell};
use crate::model::time::{Span, Time};

/// With fewer events than this, every one belongs to the strip.
const FEWEST: usize = 20;
/// However many there are, no more than this are looked at from each end.
const MOST_OFF: usize = 1_000;

/// A part of the timeline, and how many events lie beyond its ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stretch {
    pub from: Time,
    pub until: Time,
    pub before: usize,
    pub after: usize,
}

impl Timeline {
    /// The part of what is held that a strip draws, later than the time cursor too. A few events that stand farther off than nearly all
    /// others reach from end to end (one from 1970) would leave the rest a single cell: they are left out,
    /// and counted. At each end that is one in two hundred at most.
    pub fn stretch(&self) -> Option<Stretch> {
        let len = self.window().len();
        let at = |row: usize| self.any_slot(row).map(|slot| slot.at);
        let (mut first, mut last) = (0, len.checked_sub(1)?);
        let few = if len < FEWEST { 0 } else { (len / 200).clamp(1, MOST_OFF) };
        // Between these are all but the few at either end.
        let core = at(last.saturating_sub(few))?.since(at(few)?).max(Span::from_mins(1));
        for row in (0..few).rev() {
            if at(row + 1)?.since(at(row)?) > core {
                first = row + 1;
                break;
            }
        }
        for row in len.saturating_sub(few)..len {
            if at(row)?.since(at(row.saturating_sub(1))?) > core {
                last = row.saturating_sub(1);
                break;
            }
        }
        Some(Stretch { from: at(first)?, until: at(last)?, before: first, after: len - 1 - last })
    }

    /// How many events, and the worst of them, in each of `buckets` equal parts of a stretch.
    pub fn density(&self, stretch: &Stretch, buckets: usize) -> Vec<Cell> {
        let mut out = vec![Cell::default(); buckets];
        let (begin, span) = (stretch.from, stretch.until.since(stretch.from).max(Span::from_micros(1)));
        // A long timeline is sampled: the strip has a hundred cells, not a million.
        let len = self.window().len();
        let step = (len / 20_000).max(1);
        for row in (stretch.before..len.saturating_sub(stretch.after)).step_by(step) {
            let Some(slot) = self.any_slot(row).filter(|_| !self.is_gap(row)) else { continue };
            let place = i128::from(slot.at.since(begin).micros()) * i128::try_from(buckets).unwrap_or(1) / i128::from(span.micros() + 1);
            if let Some(cell) = usize::try_from(place).ok().and_then(|place| out.get_mut(place)) {
                cell.count += u64::try_from(step.saturating_mul(slot.count.max(1))).unwrap_or(1);
                cell.worst = cell.worst.max(slot.severity);
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::timeline::tests::event;

    fn at_times(times: impl IntoIterator<Item = i64>) -> Timeline {
        let mut timeline = Timeline::new(vec!["a".into()]);
        let events: Vec<_> = (1..).zip(times).map(|(sequence, at)| event(1, sequence, at, &"x".repeat(usize::try_from(sequence % 7).unwrap()))).collect();
        timeline.add_live(0, &events);
        timeline
    }

    #[test]
    fn an_event_from_1970_does_not_stretch_the_strip() {
        let night = || (0..400).map(|minute| 1_795_230_000 + minute * 60);
        let all = at_times(night()).stretch().unwrap();
        assert_eq!((all.before, all.after), (0, 0));
        let timeline = at_times([0].into_iter().chain(night()).chain([4_000_000_000]));
        let stretch = timeline.stretch().unwrap();
        assert_eq!(stretch, Stretch { before: 1, after: 1, ..all });
        let strip = timeline.density(&stretch, 40);
        assert!(strip.iter().all(|cell| cell.count > 0), "{strip:?}");
        assert_eq!(strip.iter().map(|cell| cell.count).sum::<u64>(), 400);
    }

    #[test]
    fn what_many_events_reach_is_no_exception() {
        // One in fifty is long ago: that is this timeline's past, and no stray.
        let stretch = at_times((0..4).chain((0..200).map(|minute| 1_795_230_000 + minute * 60))).stretch().unwrap();
        assert_eq!((stretch.before, stretch.after, stretch.from), (0, 0, Time::from_secs(0)));
        let few = at_times([0, 1_795_230_000, 1_795_230_060]).stretch().unwrap();
        assert_eq!((few.before, few.from), (0, Time::from_secs(0)), "of three, none is a stray");
        assert_eq!(at_times([]).stretch(), None);
    }
}
