//! The places of all events of one file, in some eight bytes each: what a console does not hold is found here
//! again by time, as a server would find it in its log.
//!
//! Marks come in the order of the file, which is that of time but for a few that are late. They are packed in
//! blocks; a block knows when it begins, and late ones are listed apart.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};

use super::index::Mark;

/// Marks of one block.
const BLOCK: usize = 64;

/// A place in time: microseconds, and the event's number within its file, from 1 on.
pub type Spot = (i64, u64);

#[derive(Debug, Default)]
pub struct Shelf {
    rows: RwLock<Rows>,
    /// The block that was asked for last, unpacked: going through events in their order unpacks each once.
    at_hand: Mutex<Option<(usize, Box<[Mark]>)>>,
}

#[derive(Debug, Default)]
struct Rows {
    blocks: Vec<Block>,
    /// What is not a whole block yet.
    tail: Vec<Mark>,
    /// The latest time before the tail, and of all.
    before_tail: Option<i64>,
    latest: Option<i64>,
    earliest: Option<i64>,
    /// Those that came after later ones.
    late: BTreeSet<Spot>,
}

#[derive(Debug)]
struct Block {
    /// The latest time before it: what is earlier in it is late.
    before: i64,
    packed: Box<[u8]>,
}

/// One event that was found: its number, and where it is.
pub type Row = (u64, Mark);

/// Which way one goes through the events of a file, from where.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Going {
    /// To what is older than this, newest first.
    Older(Option<Spot>),
    /// To what is newer, oldest first.
    Newer(Option<Spot>),
}

/// What a look found.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Looked {
    pub rows: Vec<Row>,
    /// The last one that was looked at.
    pub reached: Option<Spot>,
    /// There is nothing more that way.
    pub complete: bool,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shelf {
    fn read(&self) -> std::sync::RwLockReadGuard<'_, Rows> {
        self.rows.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds what was found next in the file.
    pub fn push(&self, marks: &[Mark]) {
        let mut rows = self.rows.write().unwrap_or_else(PoisonError::into_inner);
        for mark in marks {
            rows.push(*mark);
        }
    }

    pub fn len(&self) -> u64 {
        self.read().len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// When the first and the last of its events happened.
    pub fn extent(&self) -> Option<(i64, i64)> {
        let rows = self.read();
        rows.earliest.zip(rows.latest)
    }

    /// Bytes that it takes.
    pub fn size(&self) -> usize {
        let rows = self.read();
        let blocks: usize = rows.blocks.iter().map(|block| block.packed.len() + size_of::<Block>()).sum();
        blocks + rows.late.len() * 40
    }

    /// Where the event of this number is.
    pub fn mark(&self, number: u64) -> Option<Mark> {
        let place = usize::try_from(number.checked_sub(1)?).ok()?;
        let (block, within) = (place / BLOCK, place % BLOCK);
        let mut at_hand = lock(&self.at_hand);
        if let Some((_, marks)) = at_hand.as_ref().filter(|(held, _)| *held == block) {
            return marks.get(within).copied();
        }
        let rows = self.read();
        let Some(packed) = rows.blocks.get(block) else { return rows.tail.get(within).copied().filter(|_| block == rows.blocks.len()) };
        let marks = unpack(&packed.packed);
        let mark = marks.get(within).copied();
        *at_hand = Some((block, marks.into()));
        mark
    }

    /// Goes through the events from a place on, until so many pass or so many were looked at.
    pub fn look(&self, going: Going, most: usize, look: usize, mut passes: impl FnMut(u64, &Mark) -> bool) -> Looked {
        let mut out = Looked::default();
        let mut looked = 0;
        let mut from = going;
        loop {
            // A block at a time: whoever adds to it does not wait long, and what passes is asked without it.
            let (part, next) = self.read().part(from);
            for (number, mark) in part {
                if out.rows.len() >= most || looked >= look {
                    return out;
                }
                looked += 1;
                out.reached = Some((mark.at, number));
                if passes(number, &mark) {
                    out.rows.push((number, mark));
                }
            }
            match next {
                Some(next) => from = next,
                None => {
                    out.complete = true;
                    return out;
                }
            }
        }
    }
}

impl Rows {
    fn len(&self) -> u64 {
        u64::try_from(self.blocks.len() * BLOCK + self.tail.len()).unwrap_or(u64::MAX)
    }

    fn push(&mut self, mark: Mark) {
        if self.latest.is_some_and(|latest| mark.at < latest) {
            self.late.insert((mark.at, self.len() + 1));
        }
        self.latest = self.latest.max(Some(mark.at));
        self.earliest = Some(self.earliest.map_or(mark.at, |earliest| earliest.min(mark.at)));
        self.tail.push(mark);
        if self.tail.len() == BLOCK {
            self.blocks.push(Block { before: self.before_tail.unwrap_or(i64::MIN), packed: pack(&self.tail) });
            self.tail.clear();
            self.before_tail = self.latest;
        }
    }

    fn marks(&self, block: usize) -> Vec<Mark> {
        self.blocks.get(block).map_or_else(|| self.tail.clone(), |block| unpack(&block.packed))
    }

    fn before(&self, block: usize) -> i64 {
        self.blocks.get(block).map_or(self.before_tail.unwrap_or(i64::MIN), |block| block.before)
    }

    /// Those of a block that are in order, oldest first.
    fn in_order(&self, block: usize) -> Vec<Row> {
        let mut latest = self.before(block);
        let first = u64::try_from(block * BLOCK).unwrap_or(u64::MAX).saturating_add(1);
        let marks = (first..).zip(self.marks(block));
        marks
            .filter(|(_, mark)| {
                let ordered = mark.at >= latest;
                latest = latest.max(mark.at);
                ordered
            })
            .collect()
    }

    fn row(&self, number: u64) -> Option<Row> {
        let place = usize::try_from(number.checked_sub(1)?).ok()?;
        Some((number, *self.marks(place / BLOCK).get(place % BLOCK)?))
    }

    /// The events of one block beyond a place, with the late ones among them, in the order in which one goes;
    /// and where to go on.
    fn part(&self, going: Going) -> (Vec<Row>, Option<Going>) {
        let all = self.blocks.len() + usize::from(!self.tail.is_empty());
        let key = |(number, mark): &Row| (mark.at, *number);
        // Blocks that hold nothing in order beyond a place lie on one side of it.
        match going {
            Going::Older(from) => {
                let from = from.unwrap_or((i64::MAX, u64::MAX));
                let mut block = partition(all, |block| self.before(block) <= from.0);
                let (mut rows, mut least) = (Vec::new(), (i64::MIN, 0));
                while rows.is_empty() && block > 0 {
                    block -= 1;
                    rows = self.in_order(block);
                    rows.retain(|row| key(row) < from);
                    least = rows.first().map_or(least, key);
                }
                if rows.is_empty() {
                    least = (i64::MIN, 0);
                }
                rows.extend(self.late.range(least..from).rev().take(BLOCK * 16).filter_map(|(_, number)| self.row(*number)));
                rows.sort_unstable_by_key(|row| std::cmp::Reverse(key(row)));
                rows.truncate(BLOCK * 8);
                let next = rows.last().map(|row| Going::Older(Some(key(row))));
                (rows, next)
            }
            Going::Newer(from) => {
                let from = from.unwrap_or((i64::MIN, 0));
                // The first block of which something may be later.
                let mut block = partition(all, |block| self.before(block) < from.0).saturating_sub(1);
                let (mut rows, mut most) = (Vec::new(), (i64::MAX, u64::MAX));
                while rows.is_empty() && block < all {
                    rows = self.in_order(block);
                    rows.retain(|row| key(row) > from);
                    most = rows.last().map_or(most, key);
                    block += 1;
                }
                if rows.is_empty() {
                    most = (i64::MAX, u64::MAX);
                }
                let beyond = (std::ops::Bound::Excluded(from), std::ops::Bound::Included(most));
                rows.extend(self.late.range(beyond).take(BLOCK * 16).filter_map(|(_, number)| self.row(*number)));
                rows.sort_unstable_by_key(key);
                rows.truncate(BLOCK * 8);
                let next = rows.last().map(|row| Going::Newer(Some(key(row))));
                (rows, next)
            }
        }
    }
}

/// How many of the first numbers this holds for: it holds for none behind one for which it does not.
fn partition(all: usize, holds: impl Fn(usize) -> bool) -> usize {
    let (mut from, mut until) = (0, all);
    while from < until {
        let middle = from + (until - from) / 2;
        if holds(middle) {
            from = middle + 1;
        } else {
            until = middle;
        }
    }
    from
}

/// What differs from the mark before, in as many bytes as that needs.
fn pack(marks: &[Mark]) -> Box<[u8]> {
    let mut out = Vec::with_capacity(marks.len() * 8);
    let mut last = Mark::default();
    for mark in marks {
        write(&mut out, zigzag(mark.at.wrapping_sub(last.at)));
        // Mostly it begins behind the one before and its line break.
        let expected = last.position.wrapping_add(u64::from(last.length)).wrapping_add(1);
        write(&mut out, zigzag(mark.position.wrapping_sub(expected).cast_signed()));
        write(&mut out, u64::from(mark.length));
        let kind = mark.kind();
        let same = kind == last.kind();
        out.push(u8::from(!same));
        if !same {
            out.extend_from_slice(&kind);
        }
        last = *mark;
    }
    out.into()
}

fn unpack(mut bytes: &[u8]) -> Vec<Mark> {
    let mut out = Vec::with_capacity(BLOCK);
    let mut last = Mark::default();
    while !bytes.is_empty() {
        let Some(mark) = unpack_one(&mut bytes, &last) else { return out };
        out.push(mark);
        last = mark;
    }
    out
}

fn unpack_one(bytes: &mut &[u8], last: &Mark) -> Option<Mark> {
    let at = last.at.wrapping_add(unzigzag(take(bytes)?));
    let expected = last.position.wrapping_add(u64::from(last.length)).wrapping_add(1);
    let position = expected.wrapping_add(unzigzag(take(bytes)?).cast_unsigned());
    let length = u32::try_from(take(bytes)?).ok()?;
    let (changed, rest) = bytes.split_first()?;
    *bytes = rest;
    let mut kind = last.kind();
    if *changed != 0 {
        let (changed, rest) = bytes.split_first_chunk::<4>()?;
        kind = *changed;
        *bytes = rest;
    }
    Some(Mark::of(at, position, length, kind))
}

const fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)).cast_unsigned()
}

const fn unzigzag(number: u64) -> i64 {
    (number >> 1).cast_signed() ^ -(number & 1).cast_signed()
}

fn write(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(u8::try_from(number & 0x7f).unwrap_or(0) | 0x80);
        number >>= 7;
    }
    out.push(u8::try_from(number).unwrap_or(0));
}

fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn marks() -> impl Strategy<Value = Vec<Mark>> {
        let one = (-3_i64..20, 0_u32..400, prop::sample::select(vec![0_u8, 2, 2, 2, 5]), prop::bool::weighted(0.05));
        prop::collection::vec(one, 0..900).prop_map(|rows| {
            let (mut at, mut position) = (1_795_230_000_000_000_i64, 0_u64);
            let mark = |(step, length, severity, far): (i64, u32, u8, bool)| {
                at += step * if far { -40_000_000 } else { 700_000 };
                let mark = Mark::of(at, position, length, [19, 0, 0, severity]);
                position += u64::from(length) + 1;
                mark
            };
            rows.into_iter().map(mark).collect()
        })
    }

    fn shelf(marks: &[Mark]) -> Shelf {
        let shelf = Shelf::default();
        marks.chunks(37).for_each(|marks| shelf.push(marks));
        shelf
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

        #[test]
        fn what_is_put_there_is_found_by_its_number(marks in marks()) {
            let shelf = shelf(&marks);
            prop_assert_eq!(shelf.len(), marks.len() as u64);
            for (number, mark) in (1..).zip(&marks) {
                prop_assert_eq!(shelf.mark(number), Some(*mark));
            }
            prop_assert_eq!(shelf.mark(0), None);
            prop_assert_eq!(shelf.mark(marks.len() as u64 + 1), None);
        }

        /// Going older or newer from anywhere, in steps of any size, gives each event once in the order of time.
        #[test]
        fn all_is_found_by_time_from_anywhere(marks in marks(), from in 0..1_000_usize, most in 1..300_usize, look in 1..300_usize, bad in any::<bool>()) {
            let shelf = shelf(&marks);
            let mut all: Vec<Spot> = (1..).zip(&marks).map(|(number, mark)| (mark.at, number)).collect();
            all.sort_unstable();
            let from = all.get(from).copied();
            let passes = |mark: &Mark| !bad || mark.severity().rank() == 5;
            for older in [true, false] {
                let going = |from| if older { Going::Older(from) } else { Going::Newer(from) };
                let (mut found, mut place) = (Vec::new(), from);
                loop {
                    let looked = shelf.look(going(place), most, look, |_, mark| passes(mark));
                    prop_assert!(looked.rows.len() <= most);
                    found.extend(looked.rows.iter().map(|(number, mark)| (mark.at, *number)));
                    place = looked.reached.or(place);
                    if looked.complete {
                        break;
                    }
                    prop_assert!(looked.reached.is_some());
                }
                let beyond = |spot: &Spot| from.is_none_or(|from| if older { *spot < from } else { *spot > from });
                let severity = |spot: &Spot| passes(&marks[usize::try_from(spot.1).unwrap() - 1]);
                let mut expected: Vec<Spot> = all.iter().copied().filter(|spot| beyond(spot) && severity(spot)).collect();
                if older {
                    expected.reverse();
                }
                prop_assert_eq!(found, expected);
            }
        }
    }

    #[test]
    fn an_event_takes_few_bytes() {
        let mut at = 1_795_230_000_000_000;
        let marks: Vec<Mark> = (0..64_000_u64)
            .map(|n| {
                at += 130_000 + i64::try_from(n * 7_919 % 90_000).unwrap();
                Mark::of(at, n * 121, u32::try_from(90 + n % 60).unwrap(), [19, 0, 0, if n % 50 == 0 { 4 } else { 2 }])
            })
            .collect();
        let size = shelf(&marks).size();
        assert!(size / marks.len() <= 10, "{} bytes each", size / marks.len());
    }
}
