//! What somebody may do, apart from where.

use std::fmt;
use std::str::FromStr;

use serde::de::{SeqAccess, Visitor};
use serde::ser::SerializeSeq;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::model::nearest::nearest;

/// One thing that a grant allows on the systems that it names.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Right {
    /// See: systems, alerts, timeline, numbers.
    Read,
    /// Say what one does about an alert: acknowledge, snooze, assign, resolve, note, announce a change.
    Respond,
    /// Decide on what others propose.
    Review,
    /// Have actions done.
    Act,
    /// See who may do what and how the server is set up; grant, invite and revoke.
    Administer,
    /// Say how systems are: what an agent does.
    Observe,
    /// Pass on to others what one was told.
    Federate,
    /// Have verbs done in the names of persons who did not sign them: what a peer may do that vouches for its own.
    SpeakFor,
}

impl Right {
    pub const ALL: [Right; 8] = [Right::Read, Right::Respond, Right::Review, Right::Act, Right::Administer, Right::Observe, Right::Federate, Right::SpeakFor];

    pub const fn word(self) -> &'static str {
        match self {
            Right::Read => "read",
            Right::Respond => "respond",
            Right::Review => "review",
            Right::Act => "act",
            Right::Administer => "administer",
            Right::Observe => "observe",
            Right::Federate => "federate",
            Right::SpeakFor => "speak-for",
        }
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl FromStr for Right {
    type Err = String;

    fn from_str(text: &str) -> Result<Right, String> {
        Right::ALL.into_iter().find(|right| right.word() == text).ok_or_else(|| {
            let near = nearest(text, Right::ALL.map(Right::word)).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            let word: String = text.chars().filter(|c| !c.is_control()).take(40).collect();
            format!("`{word}` is no right{near} ({})", Right::ALL.map(Right::word).join(", "))
        })
    }
}

/// A set of rights. Text: their words with commas; JSON and MessagePack: a list of words.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Rights(u8);

impl Rights {
    pub const NONE: Rights = Rights(0);
    pub const ALL: Rights = Rights(u8::MAX);

    pub fn of(rights: impl IntoIterator<Item = Right>) -> Rights {
        rights.into_iter().fold(Rights::NONE, Rights::with)
    }

    #[must_use]
    pub const fn with(self, right: Right) -> Rights {
        Rights(self.0 | right.bit())
    }

    pub const fn has(self, right: Right) -> bool {
        self.0 & right.bit() != 0
    }

    /// Those of both.
    #[must_use]
    pub const fn and(self, other: Rights) -> Rights {
        Rights(self.0 & other.0)
    }

    /// Whether all of `other` are among these.
    pub const fn covers(self, other: Rights) -> bool {
        other.0 & !self.0 == 0
    }

    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub fn iter(self) -> impl Iterator<Item = Right> {
        Right::ALL.into_iter().filter(move |right| self.has(*right))
    }

    /// `read,respond`, as the command line and `authorized_keys` have them. One that is not known is no right.
    pub fn parse(text: &str) -> Result<Rights, String> {
        text.split(',').map(|word| word.trim().parse::<Right>()).collect::<Result<Vec<_>, _>>().map(Rights::of)
    }
}

impl fmt::Display for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<&str> = self.iter().map(Right::word).collect();
        f.pad(&words.join(","))
    }
}

impl fmt::Debug for Rights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Rights({self})")
    }
}

impl Serialize for Rights {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let mut list = s.serialize_seq(Some(self.iter().count()))?;
        for right in self.iter() {
            list.serialize_element(right.word())?;
        }
        list.end()
    }
}

/// A right that a later version gives is none here: reading only ever takes away.
impl<'de> Deserialize<'de> for Rights {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Rights, D::Error> {
        struct Words;
        impl<'de> Visitor<'de> for Words {
            type Value = Rights;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of rights")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Rights, A::Error> {
                let mut out = Rights::NONE;
                while let Some(word) = list.next_element::<std::borrow::Cow<'de, str>>()? {
                    out = word.parse().map_or(out, |right| out.with(right));
                }
                Ok(out)
            }
        }
        d.deserialize_seq(Words)
    }
}
