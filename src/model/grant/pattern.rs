//! Which systems: by whole segments of their names, and nothing cleverer.

use std::cmp::Reverse;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::model::id::SystemId;

/// `shop/varnish` that system, `shop/*` those one level beneath, `shop/**` it and all beneath, `*` those
/// without anything above them, `**` all. It is printed as it was read.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Pattern {
    All,
    Top,
    One(SystemId),
    Children(SystemId),
    Beneath(SystemId),
}

impl Pattern {
    pub fn matches(&self, system: &str) -> bool {
        match self {
            Pattern::All => true,
            Pattern::Top => !system.contains('/'),
            Pattern::One(one) => one.as_str() == system,
            Pattern::Children(above) => rest(system, above).is_some_and(|rest| rest.strip_prefix('/').is_some_and(|child| !child.contains('/'))),
            Pattern::Beneath(above) => rest(system, above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')),
        }
    }

    /// The systems that both name: always those of one pattern.
    pub fn meet(&self, other: &Pattern) -> Option<Pattern> {
        use Pattern::{All, Beneath, Children, One, Top};
        match (self, other) {
            (All, pattern) | (pattern, All) => Some(pattern.clone()),
            (One(one), pattern) | (pattern, One(one)) => pattern.matches(one.as_str()).then(|| One(one.clone())),
            (Top, Top) => Some(Top),
            (Top, Beneath(above)) | (Beneath(above), Top) => (!above.as_str().contains('/')).then(|| One(above.clone())),
            (Top, Children(_)) | (Children(_), Top) => None,
            (Children(a), Children(b)) => (a == b).then(|| Children(a.clone())),
            (Children(a), Beneath(b)) | (Beneath(b), Children(a)) => {
                if a.within(b) {
                    Some(Children(a.clone()))
                } else {
                    Children(a.clone()).matches(b.as_str()).then(|| One(b.clone()))
                }
            }
            (Beneath(a), Beneath(b)) => match (a.within(b), b.within(a)) {
                (true, _) => Some(Beneath(a.clone())),
                (false, true) => Some(Beneath(b.clone())),
                (false, false) => None,
            },
        }
    }

    pub(super) fn width(&self) -> Width {
        let (name, reach) = match self {
            Pattern::All => (None, Reach::Beneath),
            Pattern::Top => (None, Reach::Children),
            Pattern::One(one) => (Some(one), Reach::One),
            Pattern::Children(above) => (Some(above), Reach::Children),
            Pattern::Beneath(above) => (Some(above), Reach::Beneath),
        };
        Width { depth: Reverse(name.map_or(0, |name| name.as_str().split('/').count())), reach }
    }

    /// Whether this names every system that `other` names.
    pub fn covers(&self, other: &Pattern) -> bool {
        self.meet(other).as_ref() == Some(other)
    }
}

/// How wide a pattern is: of two of which one covers the other that one is the wider.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Width {
    /// Segments that it names.
    depth: Reverse<usize>,
    reach: Reach,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Reach {
    One,
    Children,
    Beneath,
}

fn rest<'a>(system: &'a str, above: &SystemId) -> Option<&'a str> {
    system.strip_prefix(above.as_str())
}

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Pattern, String> {
        let refuse = |_| {
            let word: String = text.chars().filter(|c| !c.is_control()).take(80).collect();
            format!("`{word}` names no systems; write `shop/varnish` for one, `shop/*` for those right beneath, `shop/**` for it and all beneath, `**` for all")
        };
        Ok(match text {
            "**" => Pattern::All,
            "*" => Pattern::Top,
            _ => match (text.strip_suffix("/**"), text.strip_suffix("/*")) {
                (Some(above), _) => Pattern::Beneath(above.parse().map_err(refuse)?),
                (None, Some(above)) => Pattern::Children(above.parse().map_err(refuse)?),
                (None, None) => Pattern::One(text.parse().map_err(refuse)?),
            },
        })
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Pattern::All => f.write_str("**"),
            Pattern::Top => f.write_str("*"),
            Pattern::One(one) => write!(f, "{one}"),
            Pattern::Children(above) => write!(f, "{above}/*"),
            Pattern::Beneath(above) => write!(f, "{above}/**"),
        }
    }
}

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Pattern {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Pattern, D::Error> {
        std::borrow::Cow::<'de, str>::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// As they are read, with this between them.
pub fn joined(patterns: &[Pattern], between: &str) -> String {
    patterns.iter().map(ToString::to_string).collect::<Vec<_>>().join(between)
}
