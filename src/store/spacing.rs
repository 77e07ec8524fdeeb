//! Which checkpoints are held: the newest few, from which the next start goes on, and older ones at even
//! distances, from which the world as it was at some time is made.

use crate::model::id::Sequence;

/// The newest ones, whatever their distance.
pub(super) const NEWEST: usize = 3;
/// Older ones. In a log of ten million events they stand some 160,000 events apart.
pub(super) const OLDER: usize = 61;
/// Bytes of the older ones together.
pub(super) const BYTES: u64 = 256 << 20;

/// Those that are no longer wanted. `held`: every checkpoint's place and size, oldest first; `base`: the
/// first event that is still held. One that lies before it leads nowhere: what follows it is gone. The
/// oldest useful one stays, since the past is known from there on; of the others go those that stand
/// nearest to their neighbours.
pub(super) fn surplus(held: &[(Sequence, u64)], base: Sequence) -> Vec<Sequence> {
    let (older, newest) = held.split_at(held.len().saturating_sub(NEWEST));
    let (useful, mut gone): (Vec<_>, Vec<_>) = older.iter().copied().partition(|(at, _)| at.next() >= base);
    let mut useful = useful;
    let after = newest.first().map_or(Sequence(u64::MAX), |(at, _)| *at);
    while useful.len() > 1 && (useful.len() > OLDER || useful.iter().map(|(_, size)| size).sum::<u64>() > BYTES) {
        let at = |place: usize| useful.get(place).map_or(after, |(at, _)| *at).0;
        let crowded = (1..useful.len()).min_by_key(|place| at(place + 1).saturating_sub(at(place - 1)));
        gone.extend(crowded.map(|place| useful.remove(place)));
    }
    gone.into_iter().map(|(at, _)| at).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Takes checkpoints one by one, as a log does.
    fn hold(places: impl IntoIterator<Item = u64>, size: u64, base: u64) -> Vec<u64> {
        let mut held: Vec<(Sequence, u64)> = Vec::new();
        for place in places {
            held.push((Sequence(place), size));
            let gone = surplus(&held, Sequence(base));
            held.retain(|(at, _)| !gone.contains(at));
        }
        held.into_iter().map(|(at, _)| at.0).collect()
    }

    #[test]
    fn the_older_ones_stand_at_distances_that_grow_with_the_log() {
        let held = hold((1..=1_000).map(|n| n * 20_000), 1_000, 1);
        assert_eq!(held.len(), NEWEST + OLDER);
        assert_eq!(held.first(), Some(&20_000), "the past is known from here on");
        let widest = held.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap();
        assert!(widest <= 4 * 20_000_000 / 61, "{widest} events between two");
    }

    #[test]
    fn large_worlds_are_fewer() {
        assert_eq!(hold((1..=50).map(|n| n * 10), BYTES / 4, 1).len(), NEWEST + 4);
    }

    proptest! {
        #[test]
        fn the_newest_stay_and_what_lies_before_the_base_goes(mut places in prop::collection::btree_set(1..5_000_u64, 1..200), base in 1..5_000_u64) {
            let held = hold(places.iter().copied(), 10, base);
            let newest: Vec<u64> = std::iter::from_fn(|| places.pop_last()).take(NEWEST).collect();
            prop_assert!(newest.iter().all(|place| held.contains(place)));
            prop_assert!(held.iter().all(|place| newest.contains(place) || place + 1 >= base));
            prop_assert!(held.len() <= NEWEST + OLDER);
        }
    }
}
