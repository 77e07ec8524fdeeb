//! How far another machine's clock is from ours, from questions and their answers.
//!
//! As NTP has it (RFC 5905, section 10): whoever asks knows when it asked and when the answer came; the other
//! clock was read somewhere in between. Each answer so says between which bounds the difference lies, and
//! the quicker it came, the closer they are. What all answers together leave is kept; where they leave
//! nothing, one of the clocks was set meanwhile, and only the newest counts.

use super::time::{Span, Time};

/// One answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Answer {
    /// What the other clock said.
    pub theirs: Time,
    /// What ours said when the answer came, and how long it had taken.
    pub ours: Time,
    pub delay: Span,
    /// When that was on the clock that nobody sets.
    pub mono: Span,
}

/// Their clock minus ours, in microseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Offset {
    pub micros: i64,
    /// It is within so much of that, if no clock is worse than clocks are.
    pub within: Span,
}

/// Answers that are kept: those that say the most.
const KEPT: usize = 8;
/// How fast two clocks may drift apart, in parts of a million: twice what a bad quartz does.
const DRIFT: i64 = 200;

#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Skew {
    answers: Vec<Bounds>,
}

/// What one answer says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Bounds {
    least: i64,
    most: i64,
    mono: Span,
}

impl Bounds {
    /// The difference may have grown since.
    fn at(self, mono: Span) -> (i64, i64) {
        let age = mono.micros().saturating_sub(self.mono.micros()).saturating_abs();
        let drift = age.saturating_mul(DRIFT) / 1_000_000;
        (self.least.saturating_sub(drift), self.most.saturating_add(drift))
    }

    fn width(self, mono: Span) -> i64 {
        let (least, most) = self.at(mono);
        most.saturating_sub(least)
    }
}

impl Skew {
    pub fn hear(&mut self, answer: Answer) {
        let least = answer.theirs.micros().saturating_sub(answer.ours.micros());
        let new = Bounds { least, most: least.saturating_add(answer.delay.micros().max(0)), mono: answer.mono };
        let agrees = |(least, most): (i64, i64)| least <= new.most && new.least <= most;
        if self.bounds(answer.mono).is_some_and(|bounds| !agrees(bounds)) {
            self.answers.clear();
        }
        self.answers.push(new);
        if self.answers.len() > KEPT {
            let widest = self.answers.iter().enumerate().max_by_key(|(_, bounds)| bounds.width(answer.mono)).map(|(place, _)| place);
            self.answers.swap_remove(widest.unwrap_or(0));
        }
    }

    fn bounds(&self, mono: Span) -> Option<(i64, i64)> {
        let least = self.answers.iter().map(|bounds| bounds.at(mono).0).max()?;
        let most = self.answers.iter().map(|bounds| bounds.at(mono).1).min()?;
        Some((least, most))
    }

    /// What is known of it; nothing before the first answer.
    pub fn offset(&self, mono: Span) -> Option<Offset> {
        let (least, most) = self.bounds(mono)?;
        let half = most.saturating_sub(least).max(0) / 2;
        Some(Offset { micros: least.saturating_add(half), within: Span::from_micros(half.saturating_add(1)) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: i64 = 1_795_226_220_000_000;

    /// Asked at `at` on the monotonic clock; there in `there`, back in `back`; their clock is `off` ahead.
    fn answer(at: i64, there: i64, back: i64, off: i64) -> Answer {
        let mono = at + there + back;
        let (ours, theirs) = (Time::from_micros(NOW + mono), Time::from_micros(NOW + at + there + off));
        Answer { theirs, ours, delay: Span::from_micros(there + back), mono: Span::from_micros(mono) }
    }

    #[test]
    fn a_quick_answer_says_more_than_many_slow_ones() {
        let mut skew = Skew::default();
        for n in 0..20 {
            skew.hear(answer(n * 5_000_000, 900_000, 100_000, 12_000_000));
        }
        assert!(skew.offset(Span::from_secs(100)).unwrap().within >= Span::from_millis(400));
        skew.hear(answer(101_000_000, 2_000, 1_000, 12_000_000));
        let known = skew.offset(Span::from_secs(101)).unwrap();
        assert!(known.micros.abs_diff(12_000_000) <= 1_500 && known.within <= Span::from_millis(2), "{known:?}");
    }

    #[test]
    fn a_clock_that_was_set_is_believed_at_once() {
        let mut skew = Skew::default();
        (0..10).for_each(|n| skew.hear(answer(n * 5_000_000, 10_000, 10_000, 0)));
        skew.hear(answer(60_000_000, 10_000, 10_000, -90_000_000));
        assert!(skew.offset(Span::from_secs(61)).unwrap().micros.abs_diff(-90_000_000) <= 10_500);
        assert_eq!(Skew::default().offset(Span::ZERO), None);
    }

    proptest! {
        /// However unevenly the line delays: the truth lies within what is said, and that is never less
        /// sure than the quickest answer alone, but for the drift since.
        #[test]
        fn the_truth_is_within_the_bounds(delays in prop::collection::vec((0..2_000_000_i64, 0..2_000_000_i64), 1..40), off in -1_000_000_000_000..1_000_000_000_000_i64) {
            let mut skew = Skew::default();
            let mut at = 0;
            for (there, back) in &delays {
                skew.hear(answer(at, *there, *back, off));
                at += 5_000_000;
            }
            let mono = Span::from_micros(at);
            let known = skew.offset(mono).unwrap();
            prop_assert!(known.micros.abs_diff(off) <= known.within.micros().unsigned_abs(), "{known:?} is not {off}");
            let best = delays.iter().map(|(there, back)| there + back).min().unwrap();
            let drift = at * DRIFT / 1_000_000;
            prop_assert!(known.within.micros() <= best / 2 + drift + 2, "{known:?}, quickest {best}");
        }

        /// Two clocks that drift as clocks do are not taken for clocks that were set.
        #[test]
        fn drift_is_borne(per_million in -100..100_i64, steps in 1..60_i64, there in 0..50_000_i64, back in 0..50_000_i64) {
            let mut skew = Skew::default();
            let off = |step: i64| step * 20_000_000 * per_million / 1_000_000;
            (0..steps).for_each(|step| skew.hear(answer(step * 20_000_000, there, back, off(step))));
            let truth = off(steps - 1);
            let known = skew.offset(Span::from_micros(steps * 20_000_000)).unwrap();
            prop_assert!(known.micros.abs_diff(truth) <= known.within.micros().unsigned_abs() + 2_000, "{known:?} is not {truth}");
        }

        #[test]
        fn nothing_that_is_said_is_too_much(answers in prop::collection::vec((any::<i64>(), any::<i64>(), any::<i64>(), any::<i64>()), 0..20)) {
            let mut skew = Skew::default();
            for (theirs, ours, delay, mono) in answers {
                skew.hear(Answer { theirs: Time::from_micros(theirs), ours: Time::from_micros(ours), delay: Span::from_micros(delay), mono: Span::from_micros(mono) });
                prop_assert!(skew.answers.len() <= KEPT);
                skew.offset(Span::from_micros(mono));
            }
        }
    }
}
