//! Labels: name and value, sorted by name, in one allocation.
//!
//! Servers hold a hundred thousand alerts with half a dozen labels each; one shared string per set
//! instead of two per label is most of what an alert costs.

use std::fmt;
use std::sync::Arc;

use serde::de::{MapAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A set of labels. Names are unique; NUL, the divider within, becomes U+FFFD in what comes in.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Labels(Arc<str>);

impl Labels {
    /// What is kept of one set at most; the rest is dropped and said by the intakes.
    pub const MOST: usize = 64;
    /// Bytes of a value that are kept at most.
    pub const LONGEST: usize = 1_024;

    pub fn new<N: AsRef<str>, V: AsRef<str>>(pairs: impl IntoIterator<Item = (N, V)>) -> Labels {
        let mut pairs: Vec<(N, V)> = pairs.into_iter().filter(|(n, _)| !n.as_ref().is_empty()).collect();
        pairs.sort_by(|a, b| a.0.as_ref().cmp(b.0.as_ref()));
        pairs.dedup_by(|a, b| a.0.as_ref() == b.0.as_ref());
        let mut text = String::with_capacity(pairs.iter().map(|(n, v)| n.as_ref().len() + v.as_ref().len() + 2).sum());
        for (name, value) in &pairs {
            for part in [name.as_ref(), value.as_ref()] {
                if part.contains('\0') {
                    text.push_str(&part.replace('\0', "\u{fffd}"))
                } else {
                    text.push_str(part)
                }
                text.push('\0');
            }
        }
        Labels(text.into())
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut parts = self.0.split_terminator('\0');
        std::iter::from_fn(move || Some((parts.next()?, parts.next()?)))
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(n, _)| *n == name).map(|(_, value)| value)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// The same labels without those whose names `drop` claims.
    pub fn without(&self, drop: impl Fn(&str) -> bool) -> Labels {
        if self.iter().any(|(name, _)| drop(name)) { Labels::new(self.iter().filter(|(name, _)| !drop(name))) } else { self.clone() }
    }

    /// The bytes that stand for this set in a fingerprint: name, NUL, value, NUL, in order.
    pub fn canonical(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl Default for Labels {
    fn default() -> Labels {
        Labels("".into())
    }
}

/// `name=value, name=value`.
impl fmt::Display for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.iter().enumerate().try_for_each(|(i, (name, value))| write!(f, "{}{name}={value}", if i == 0 { "" } else { ", " }))
    }
}

impl fmt::Debug for Labels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl Serialize for Labels {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut map = s.serialize_map(Some(self.len()))?;
        for (name, value) in self.iter() {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Labels, D::Error> {
        struct Pairs;
        impl<'de> Visitor<'de> for Pairs {
            type Value = Labels;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("labels: a map of text to text")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Labels, A::Error> {
                use std::borrow::Cow;
                let mut pairs: Vec<(Cow<'de, str>, Cow<'de, str>)> = Vec::with_capacity(map.size_hint().unwrap_or(0).min(Labels::MOST));
                while let Some(pair) = map.next_entry()? {
                    pairs.push(pair);
                }
                Ok(Labels::new(pairs))
            }
        }
        d.deserialize_map(Pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_sorted_unique_and_found() {
        let labels = Labels::new([("job", "node"), ("env", "prod"), ("job", "other")]);
        assert_eq!(labels.iter().collect::<Vec<_>>(), [("env", "prod"), ("job", "node")]);
        assert_eq!(labels.get("env"), Some("prod"));
        assert_eq!(labels.get("en"), None);
        assert_eq!(labels.without(|n| n == "env").to_string(), "job=node");
    }

    #[test]
    fn empty_values_and_nul_keep_the_pairs_apart() {
        let labels = Labels::new([("a", ""), ("b\0c", "d\0e")]);
        assert_eq!(labels.iter().collect::<Vec<_>>(), [("a", ""), ("b\u{fffd}c", "d\u{fffd}e")]);
    }
}
