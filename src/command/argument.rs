//! What may follow a command's name: each type says what it expects and reads and writes itself.

use std::fmt;

use super::nearest::nearest;

/// What a command wants after its name, for help, completion and errors.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Expects {
    /// As it stands in "needs …".
    pub what: &'static str,
    pub example: &'static str,
    /// Without it, the console asks.
    pub required: bool,
    /// The words that are possible, when they are few.
    pub choices: &'static [&'static str],
}

/// A type that can follow a command's name.
pub trait Argument: Sized {
    const EXPECTS: Expects;

    /// `text` is what follows the name, trimmed; empty when nothing does.
    fn read(text: &str) -> Result<Self, String>;

    /// As it was read; empty for nothing.
    fn write(&self) -> String;
}

impl<T: Argument> Argument for Option<T> {
    const EXPECTS: Expects = Expects { required: false, ..T::EXPECTS };

    fn read(text: &str) -> Result<Self, String> {
        if text.is_empty() { Ok(None) } else { T::read(text).map(Some) }
    }

    fn write(&self) -> String {
        self.as_ref().map(T::write).unwrap_or_default()
    }
}

/// Any text: a note, a name, a filter. What it means is for the one who uses it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Words(pub String);

impl Argument for Words {
    const EXPECTS: Expects = Expects { what: "some words", example: "looking at varnish", required: true, choices: &[] };

    fn read(text: &str) -> Result<Words, String> {
        const MOST: usize = 64 * 1024;
        if text.len() > MOST { Err(format!("that is longer than {MOST} bytes")) } else { Ok(Words(text.to_owned())) }
    }

    fn write(&self) -> String {
        self.0.clone()
    }
}

/// An argument that is one of a few words.
macro_rules! choice {
    ($(#[$doc:meta])* $type:ident, $what:literal, { $($variant:ident $word:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum $type { $($variant),* }

        impl $type {
            pub const ALL: &'static [$type] = &[$($type::$variant),*];

            pub const fn word(self) -> &'static str {
                match self { $($type::$variant => $word),* }
            }

            /// The one after this, round and round.
            pub fn next(self) -> $type {
                let here = Self::ALL.iter().position(|one| *one == self).unwrap_or(0);
                Self::ALL.iter().copied().cycle().nth(here + 1).unwrap_or(self)
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.word())
            }
        }

        impl Argument for $type {
            const EXPECTS: Expects = Expects { what: $what, example: [$($word),*][0], required: true, choices: &[$($word),*] };

            fn read(text: &str) -> Result<$type, String> {
                match text {
                    $($word => Ok($type::$variant),)*
                    other => {
                        let words = [$($word),*];
                        Err(match nearest(other, words) {
                            Some(word) => format!("`{other}` is none of {}; did you mean `{word}`?", words.join(", ")),
                            None => format!("`{other}` is none of {}", words.join(", ")),
                        })
                    }
                }
            }

            fn write(&self) -> String {
                self.word().to_owned()
            }
        }
    };
}

choice! {
    /// What the rows of a list are gathered by.
    GroupBy, "what to group by", { Cause "cause", System "system", Check "check", Server "server", Nothing "nothing" }
}

choice! {
    /// What Today tells of: a day, since one last looked, since the shift began.
    TodaySpan, "a span", { Day "day", Look "look", Shift "shift" }
}

choice! {
    /// What decides the order of a list.
    SortBy, "what to sort by", { Urgency "urgency", Age "age", System "system", Check "check", History "history" }
}
