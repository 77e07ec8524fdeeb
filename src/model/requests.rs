//! Which requests were done lately: asking for the same again does nothing. Found without looking through all of them.

use std::collections::{HashSet, VecDeque};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::id::RequestId;

/// The newest last, as they are written; no more than [`Requests::MOST`].
#[derive(Clone, Default, Debug)]
pub struct Requests {
    order: VecDeque<RequestId>,
    known: HashSet<RequestId>,
}

impl Requests {
    pub const MOST: usize = 4_096;

    pub fn contains(&self, request: &RequestId) -> bool {
        self.known.contains(request)
    }

    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// One is done, or one more of its events is told.
    pub fn insert(&mut self, request: RequestId) {
        if !self.known.insert(request) {
            return;
        }
        self.order.push_back(request);
        if self.order.len() > Requests::MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}

impl PartialEq for Requests {
    fn eq(&self, other: &Requests) -> bool {
        self.order == other.order
    }
}

impl Serialize for Requests {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        self.order.serialize(s)
    }
}

impl<'de> Deserialize<'de> for Requests {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Requests, D::Error> {
        let mut requests = Requests::default();
        VecDeque::<RequestId>::deserialize(d)?.into_iter().for_each(|request| requests.insert(request));
        Ok(requests)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_are_known_and_written_in_their_order() {
        let id = |number: usize| RequestId(u128::try_from(number).unwrap().to_be_bytes());
        let mut requests = Requests::default();
        for number in 0..Requests::MOST + 10 {
            requests.insert(id(number));
            requests.insert(id(number));
        }
        assert!(!requests.contains(&id(9)) && requests.contains(&id(10)) && requests.contains(&id(Requests::MOST + 9)));
        assert_eq!((requests.order.len(), requests.known.len()), (Requests::MOST, Requests::MOST));
        let written = serde_json::to_string(&requests).unwrap();
        assert_eq!(serde_json::from_str::<Vec<RequestId>>(&written).unwrap()[0], id(10));
        let read: Requests = serde_json::from_str(&written).unwrap();
        assert!(read == requests && read.contains(&id(10)) && !read.contains(&id(9)));
    }
}
