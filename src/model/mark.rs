//! How far a person has looked: a read mark for each server's log, and the clock that orders what several
//! consoles say of one person.
//!
//! A mark says "seen up to this place of that log, as of that time". Marks only move forward: two that were
//! made apart are merged by taking the later of each, so that consoles may say theirs in any order, twice,
//! or after days without a line, and all end with the same. What cannot be undone must be bounded: a time
//! from far ahead would hide all that is new until then, so it counts as of now. A mark is a place and no
//! event: it outlives what retention takes away.
//!
//! The clock is the hybrid logical clock of Kulkarni, Demirbas and others, "Logical Physical Clocks and
//! Consistent Snapshots in Globally Distributed Databases" (2014).

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::id::{EventId, Incarnation, Origin, Sequence};
use super::time::{Span, Time};

/// How far ahead of one's own clock another's may be and still be believed.
pub const DRIFT: Span = Span::from_mins(5);

/// A time that is later than every one that its maker knew of: of two within one microsecond, or made while
/// a clock went back, the later one counts higher.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug, Serialize, Deserialize)]
pub struct Stamp {
    pub at: Time,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub count: u32,
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// Makes stamps. It reads no clock: the wall's time is handed in.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct HybridClock {
    last: Stamp,
}

impl HybridClock {
    /// A stamp later than all that were made or heard here.
    pub fn stamp(&mut self, wall: Time) -> Stamp {
        self.last = match (wall > self.last.at, self.last.count.checked_add(1)) {
            (true, _) => Stamp { at: wall, count: 0 },
            (false, Some(count)) => Stamp { at: self.last.at, count },
            (false, None) => Stamp { at: self.last.at.plus(Span::from_micros(1)), count: 0 },
        };
        self.last
    }

    /// Another's stamp: the next ones made here are later, unless it is from further ahead than [`DRIFT`].
    pub fn hear(&mut self, stamp: Stamp, wall: Time) -> Result<(), Ahead> {
        match ahead(stamp, wall) {
            Some(ahead) => Err(ahead),
            None => {
                self.last = self.last.max(stamp);
                Ok(())
            }
        }
    }
}

fn ahead(stamp: Stamp, wall: Time) -> Option<Ahead> {
    let by = stamp.at.since(wall);
    (by > DRIFT).then_some(Ahead { by })
}

/// A time is from so far ahead that it was not believed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Ahead {
    pub by: Span,
}

impl fmt::Display for Ahead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a read mark is {} ahead of the clock here; it counts as of now", self.by)
    }
}

/// How far a person has looked in one server's log.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Mark {
    pub incarnation: Incarnation,
    /// The last event that was there to be seen.
    pub sequence: Sequence,
    /// As of when.
    pub looked: Stamp,
}

impl Mark {
    const fn place(&self) -> (Incarnation, Sequence) {
        (self.incarnation, self.sequence)
    }

    fn merge(&mut self, other: &Mark) {
        if other.place() > self.place() {
            (self.incarnation, self.sequence) = other.place();
        }
        self.looked = self.looked.max(other.looked);
    }
}

/// One person's marks, one for each server's log. This type is the format in files and on the wire.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Marks(BTreeMap<Origin, Mark>);

impl Marks {
    /// Servers that are known of; beyond that those go that were not looked at for longest.
    pub const MOST: usize = 256;

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn of(&self, origin: Origin) -> Option<&Mark> {
        self.0.get(&origin)
    }

    pub fn iter(&self) -> impl Iterator<Item = (Origin, &Mark)> {
        self.0.iter().map(|(origin, mark)| (*origin, mark))
    }

    /// Whether an event was there when its server was last looked at; nothing where it never was.
    pub fn has_seen(&self, event: EventId) -> Option<bool> {
        self.of(event.origin).map(|mark| (event.incarnation, event.sequence) <= mark.place())
    }

    /// Looked so far at one server. A mark that is further stays.
    pub fn look(&mut self, origin: Origin, mark: Mark) {
        self.0.entry(origin).and_modify(|known| known.merge(&mark)).or_insert(mark);
        self.trim();
    }

    /// What is known here and there: of each server the later.
    pub fn merge(&mut self, other: &Marks) {
        for (origin, mark) in other.iter() {
            self.0.entry(origin).and_modify(|known| known.merge(mark)).or_insert(*mark);
        }
        self.trim();
    }

    fn trim(&mut self) {
        while self.0.len() > Marks::MOST {
            let oldest = self.0.iter().min_by_key(|(origin, mark)| (mark.looked, **origin)).map(|(origin, _)| *origin);
            oldest.and_then(|origin| self.0.remove(&origin));
        }
    }

    /// As another said them, as far as they can be believed by this clock: times from far ahead count as of
    /// now; a life of a log that has not begun yet is none.
    pub fn believed(&self, wall: Time) -> (Marks, Option<Ahead>) {
        let mut worst = None;
        let lives = u64::try_from(wall.plus(DRIFT).micros() / 1_000).unwrap_or(0);
        let marks = self.iter().filter(|(_, mark)| mark.incarnation.0 <= lives).map(|(origin, mark)| {
            let too_far = ahead(mark.looked, wall);
            worst = worst.max(too_far);
            let looked = if too_far.is_some() { Stamp { at: wall, count: 0 } } else { mark.looked };
            (origin, Mark { looked, ..*mark })
        });
        let mut marks = Marks(marks.collect());
        marks.trim();
        (marks, worst)
    }

    /// Of one log it is known how far it goes: a place beyond that is its end.
    pub fn within(&mut self, origin: Origin, incarnation: Incarnation, head: Sequence) {
        if let Some(mark) = self.0.get_mut(&origin)
            && mark.place() > (incarnation, head)
        {
            (mark.incarnation, mark.sequence) = (incarnation, head);
        }
    }

    /// When any of them was last looked at.
    pub fn last(&self) -> Option<Stamp> {
        self.0.values().map(|mark| mark.looked).max()
    }
}

impl FromIterator<(Origin, Mark)> for Marks {
    fn from_iter<I: IntoIterator<Item = (Origin, Mark)>>(marks: I) -> Marks {
        let mut out = Marks::default();
        marks.into_iter().for_each(|(origin, mark)| out.look(origin, mark));
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WALL: Time = Time::from_secs(1_790_000_000);

    fn stamp() -> impl Strategy<Value = Stamp> {
        (0..40_i64, 0..3_u32).prop_map(|(minutes, count)| Stamp { at: WALL.minus(Span::from_mins(20)).plus(Span::from_mins(minutes)), count })
    }

    fn mark() -> impl Strategy<Value = Mark> {
        (0..3_u64, 0..6_u64, stamp()).prop_map(|(life, sequence, looked)| Mark { incarnation: Incarnation(life), sequence: Sequence(sequence), looked })
    }

    fn marks() -> impl Strategy<Value = Marks> {
        prop::collection::vec((0..5_u8, mark()), 0..8).prop_map(|marks| marks.into_iter().map(|(origin, mark)| (Origin([origin; 16]), mark)).collect())
    }

    fn merged(a: &Marks, b: &Marks) -> Marks {
        let mut out = a.clone();
        out.merge(b);
        out
    }

    /// Nothing of `before` lies behind in `after`.
    fn forward(before: &Marks, after: &Marks) -> bool {
        before.iter().all(|(origin, mark)| after.of(origin).is_some_and(|now| now.place() >= mark.place() && now.looked >= mark.looked))
    }

    proptest! {
        #[test]
        fn in_whatever_order_and_how_often_marks_are_said_all_end_with_the_same(a in marks(), b in marks(), c in marks()) {
            prop_assert_eq!(merged(&a, &b), merged(&b, &a));
            prop_assert_eq!(merged(&merged(&a, &b), &c), merged(&a, &merged(&b, &c)));
            prop_assert_eq!(merged(&a, &a), a.clone());
            prop_assert!(forward(&a, &merged(&a, &b)) && forward(&b, &merged(&a, &b)));
        }

        #[test]
        fn what_was_seen_stays_seen(a in marks(), b in marks(), origin in 0..5_u8, life in 0..3_u64, sequence in 0..6_u64) {
            let event = EventId { origin: Origin([origin; 16]), incarnation: Incarnation(life), sequence: Sequence(sequence) };
            if a.has_seen(event) == Some(true) {
                prop_assert_eq!(merged(&a, &b).has_seen(event), Some(true));
            }
        }

        #[test]
        fn what_is_believed_is_never_far_ahead_and_takes_nothing_back(known in marks(), said in marks()) {
            let (believed, worst) = said.believed(WALL);
            prop_assert!(believed.last().is_none_or(|stamp| stamp.at <= WALL.plus(DRIFT)));
            prop_assert_eq!(worst.is_some(), said.last().is_some_and(|stamp| stamp.at > WALL.plus(DRIFT)));
            prop_assert!(forward(&known, &merged(&known, &believed)));
            prop_assert_eq!(believed.believed(WALL), (believed.clone(), None));
        }

        /// Two clocks that hear each other now and then, whatever the walls' clocks do.
        #[test]
        fn each_stamp_is_later_than_all_that_its_maker_knew_of(steps in prop::collection::vec((any::<bool>(), -400..400_i64, any::<bool>()), 1..60)) {
            let mut clocks = [HybridClock::default(); 2];
            let mut latest = [Stamp::default(); 2];
            let mut walls = [WALL; 2];
            let mut furthest = WALL;
            for (who, seconds, hears) in steps {
                let who = usize::from(who);
                walls[who] = if seconds < 0 { walls[who].minus(Span::from_secs(-seconds)) } else { walls[who].plus(Span::from_secs(seconds)) };
                furthest = furthest.max(walls[who]);
                if hears {
                    let said = latest[1 - who];
                    let taken = clocks[who].hear(said, walls[who]);
                    prop_assert_eq!(taken.is_err(), said.at.since(walls[who]) > DRIFT);
                    if taken.is_ok() {
                        latest[who] = latest[who].max(said);
                    }
                }
                let stamp = clocks[who].stamp(walls[who]);
                prop_assert!(stamp > latest[who] && stamp.at >= walls[who] && stamp.at <= furthest);
                latest[who] = stamp;
            }
        }
    }

    #[test]
    fn a_clock_whose_count_is_used_up_goes_on() {
        let mut clock = HybridClock::default();
        let last = Stamp { at: WALL, count: u32::MAX };
        clock.hear(last, WALL).unwrap();
        assert!(clock.stamp(WALL) > last && clock.stamp(WALL).at.since(WALL) <= Span::from_micros(1));
    }

    #[test]
    fn a_restored_log_is_new_though_its_places_come_again() {
        let origin = Origin([1; 16]);
        let at = |life, sequence| EventId { origin, incarnation: Incarnation(life), sequence: Sequence(sequence) };
        let seen: Marks = [(origin, Mark { incarnation: Incarnation(1), sequence: Sequence(9), looked: Stamp::default() })].into_iter().collect();
        assert_eq!([seen.has_seen(at(1, 9)), seen.has_seen(at(1, 10)), seen.has_seen(at(2, 5))], [Some(true), Some(false), Some(false)]);
        assert_eq!(seen.has_seen(EventId { origin: Origin([2; 16]), ..at(1, 1) }), None, "never looked at");
    }

    #[test]
    fn a_life_that_has_not_begun_is_no_place() {
        let later = Incarnation(u64::try_from(WALL.micros() / 1_000).unwrap() + 10 * 60 * 1_000);
        let said: Marks = [(Origin([1; 16]), Mark { incarnation: later, sequence: Sequence(1), looked: Stamp::default() })].into_iter().collect();
        assert!(said.believed(WALL).0.is_empty());
    }

    #[test]
    fn of_too_many_servers_those_go_that_were_not_looked_at_for_longest() {
        let mark = |n: u64| Mark {
            incarnation: Incarnation(1),
            sequence: Sequence(n),
            looked: Stamp { at: WALL.plus(Span::from_secs(i64::try_from(n).unwrap())), count: 0 },
        };
        let origin = |n: u64| Origin(u128::from(n).to_be_bytes());
        let marks: Marks = (0..300).map(|n| (origin(n), mark(n))).collect();
        assert_eq!((marks.iter().count(), marks.of(origin(43)), marks.of(origin(44))), (Marks::MOST, None, Some(&mark(44))));
    }

    #[test]
    fn marks_survive_both_formats() {
        let marks: Marks =
            [(Origin([3; 16]), Mark { incarnation: Incarnation(7), sequence: Sequence(9), looked: Stamp { at: WALL, count: 2 } })].into_iter().collect();
        let json = serde_json::to_string(&marks).unwrap();
        assert_eq!(serde_json::from_str::<Marks>(&json).unwrap(), marks, "{json}");
        let packed = rmp_serde::to_vec_named(&marks).unwrap();
        assert_eq!(rmp_serde::from_slice::<Marks>(&packed).unwrap(), marks);
    }
}
