//! Strings that many alerts have in common: the alerts of one rule bear the same check, expression, links and
//! often text. A server that holds a hundred thousand alerts keeps one copy of each instead of one for each alert.

use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

/// Places on the shelf: a power of two.
const PLACES: usize = 4_096;
/// Longer ones are seldom the same, and a shelf of them would cost more than it saves.
const LONGEST: usize = 512;

/// The strings that came by lately. Each has one place, by its hash: a newer one takes it from an older one.
#[derive(Debug)]
pub(super) struct Shelf {
    hasher: RandomState,
    places: Mutex<Vec<Option<Arc<str>>>>,
}

impl Shelf {
    pub fn new() -> Shelf {
        Shelf { hasher: RandomState::new(), places: Mutex::new(vec![None; PLACES]) }
    }

    /// The same text: the copy on the shelf where there is one.
    pub fn share(&self, text: Arc<str>) -> Arc<str> {
        if text.len() > LONGEST {
            return text;
        }
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        let hash = usize::try_from(self.hasher.hash_one(&*text) & (PLACES as u64 - 1)).unwrap_or_default();
        let Some(place) = places.get_mut(hash) else { return text };
        match place {
            Some(known) if **known == *text => known.clone(),
            _ => {
                *place = Some(text.clone());
                text
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_by_lately_is_shared_and_what_is_long_is_not() {
        let shelf = Shelf::new();
        let (first, again) = (shelf.share("https://runbooks.example/7".into()), shelf.share("https://runbooks.example/7".into()));
        assert!(Arc::ptr_eq(&first, &again));
        let long: Arc<str> = "x".repeat(LONGEST + 1).into();
        assert!(Arc::ptr_eq(&shelf.share(long.clone()), &long));
        assert!(!Arc::ptr_eq(&shelf.share((&*long).into()), &long));
    }

    #[test]
    fn a_flood_of_strings_leaves_each_as_it_is_and_the_shelf_as_large() {
        let shelf = Shelf::new();
        for number in 0..3 * PLACES {
            let text = number.to_string();
            assert_eq!(*shelf.share(text.as_str().into()), *text);
        }
        assert_eq!(shelf.places.lock().unwrap().len(), PLACES);
    }
}
