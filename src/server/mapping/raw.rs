//! An alert as every protocol gives it, before mapping: labels, annotations, where it comes from.
//!
//! Names and values stay slices of the message where JSON allows it: an intake parses tens of
//! thousands of alerts a second.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

/// One alert, as its source says it.
#[derive(Clone, Debug, Default)]
pub struct Raw<'a> {
    pub labels: Pairs<'a>,
    pub annotations: Pairs<'a>,
    /// Alertmanager's `generatorURL`: where the rule's expression can be looked at. May be empty.
    pub generator: Cow<'a, str>,
}

/// Names and values, sorted by name, names unique: of two the last counts, as in Go's maps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pairs<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Pairs<'a> {
    pub fn of<N: Into<Cow<'a, str>>, V: Into<Cow<'a, str>>>(pairs: impl IntoIterator<Item = (N, V)>) -> Pairs<'a> {
        Pairs::sorted(pairs.into_iter().map(|(n, v)| (n.into(), v.into())).collect())
    }

    fn sorted(mut pairs: Vec<(Cow<'a, str>, Cow<'a, str>)>) -> Pairs<'a> {
        pairs.sort_by(|a, b| a.0.cmp(&b.0));
        pairs.dedup_by(|later, kept| {
            let same = later.0 == kept.0;
            if same {
                std::mem::swap(&mut later.1, &mut kept.1);
            }
            same
        });
        Pairs(pairs)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(n, v)| (&**n, &**v))
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        let place = self.0.binary_search_by(|(n, _)| (**n).cmp(name)).ok()?;
        self.0.get(place).map(|(_, value)| &**value)
    }

    /// The value, if it is there and not empty.
    pub fn some(&self, name: &str) -> Option<&str> {
        self.get(name).filter(|value| !value.is_empty())
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds what is not there yet, as Prometheus adds its external labels.
    pub fn or(mut self, more: impl IntoIterator<Item = (String, String)>) -> Pairs<'a> {
        for (name, value) in more {
            if let Err(place) = self.0.binary_search_by(|(n, _)| (**n).cmp(&*name)) {
                self.0.insert(place, (Cow::Owned(name), Cow::Owned(value)));
            }
        }
        self
    }

    /// All but these.
    pub fn without(mut self, names: &[&str]) -> Pairs<'a> {
        self.0.retain(|(name, _)| !names.contains(&&**name));
        self
    }

    /// Empty labels are absent ones.
    pub fn without_empty(mut self) -> Pairs<'a> {
        self.0.retain(|(_, value)| !value.is_empty());
        self
    }

    pub(super) fn each_value(&mut self, mut change: impl FnMut(&str, &str) -> Option<String>) {
        for (name, value) in &mut self.0 {
            if let Some(new) = change(name, value) {
                *value = Cow::Owned(new);
            }
        }
    }
}

/// A text of JSON, borrowed from the message when it holds no escapes.
#[derive(Clone, Debug, Default)]
pub struct Text<'a>(pub Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Text<'a>, D::Error> {
        struct Borrow;
        impl<'de> Visitor<'de> for Borrow {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }

            fn visit_unit<E: Error>(self) -> Result<Text<'de>, E> {
                Ok(Text::default())
            }
        }
        d.deserialize_any(Borrow)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Pairs<'a> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Pairs<'a>, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Pairs<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of text to text")
            }

            fn visit_unit<E: Error>(self) -> Result<Pairs<'de>, E> {
                Ok(Pairs::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs<'de>, A::Error> {
                let mut pairs = Vec::with_capacity(8);
                while let Some((Text(name), Text(value))) = map.next_entry()? {
                    pairs.push((name, value));
                }
                Ok(Pairs::sorted(pairs))
            }
        }
        d.deserialize_any(Entries)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_sorted_and_the_last_of_two_counts() {
        let pairs: Pairs<'_> = serde_json::from_str(r#"{"b":"1","a":"x","b":"2\n","c":null}"#).unwrap();
        assert_eq!(pairs.iter().collect::<Vec<_>>(), [("a", "x"), ("b", "2\n"), ("c", "")]);
        assert_eq!((pairs.get("b"), pairs.some("c"), pairs.get("d")), (Some("2\n"), None, None));
        assert!(matches!(pairs.0[0].1, Cow::Borrowed("x")), "nothing is copied without need");
        assert_eq!(pairs.without_empty().len(), 2);
    }

    #[test]
    fn external_labels_never_replace_the_alerts_own() {
        let pairs = Pairs::of([("env", "prod")]).or([("env".to_owned(), "x".to_owned()), ("cluster".to_owned(), "eu".to_owned())]);
        assert_eq!(pairs.iter().collect::<Vec<_>>(), [("cluster", "eu"), ("env", "prod")]);
    }
}
