//! First contact: a server that is not known shows its key, and a person says whether that is the right one, as
//! ssh asks it. The screen, linear mode and commands ask with the same words and take the same answers.

use std::sync::Arc;

use crate::model::time::Span;

/// A server that is met for the first time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Meeting {
    /// As the file of known servers calls it, and where it is reached.
    pub name: Arc<str>,
    pub address: Arc<str>,
    /// `SHA256:…`, as ssh prints it, and its first half in words.
    pub fingerprint: String,
    pub words: Vec<&'static str>,
    /// Where it is remembered.
    pub file: String,
}

/// The question, while it is asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Asked {
    pub server: usize,
    pub meeting: Arc<Meeting>,
    /// Since when it stands: what was typed for something else is no answer.
    pub since: Span,
    /// Lines by which it is scrolled, on a low screen.
    pub top: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Answer {
    Yes,
    No,
    /// The fingerprint, or the words, of another key.
    Other,
}

/// What the key is to be compared with.
pub const COMPARE: &str = "On its machine `midwatch keys show` with its server.key prints the same, if this is the server that you mean. Ask whoever runs it.";
pub const OTHER: &str = "That is another key: this is not the server that you mean, or somebody stands between.";

impl Meeting {
    /// "The server shop (wss://…) is met for the first time."
    pub fn sentence(&self) -> String {
        let at = if self.name == self.address { String::new() } else { format!(" ({})", self.address) };
        format!("The server {}{at} is met for the first time.", self.name)
    }

    /// A line that was typed. A lone `y` is typed too easily: as ssh has it, the word is meant.
    pub fn answer(&self, line: &str) -> Option<Answer> {
        let line = line.trim();
        let own = &*self.fingerprint;
        let words = line.to_lowercase().split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        match line.to_lowercase().as_str() {
            "yes" => Some(Answer::Yes),
            "no" | "n" => Some(Answer::No),
            _ if line == own || Some(line) == own.strip_prefix("SHA256:") || words == self.words => Some(Answer::Yes),
            _ if line.starts_with("SHA256:") || line.len() == own.len() - "SHA256:".len() || words.len() == self.words.len() => Some(Answer::Other),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meeting(fingerprint: &str, words: [&'static str; 3]) -> Meeting {
        Meeting { name: "shop".into(), address: "shop".into(), fingerprint: fingerprint.into(), words: words.to_vec(), file: String::new() }
    }

    #[test]
    fn yes_the_fingerprint_and_the_words_are_right_and_others_are_not() {
        let own = meeting("SHA256:R3JrXt7cN8Gf1ZkQm5wYb2Vd9Lh4Ps6Tu0Ia8Oe1Kjs", ["anchor", "bridge", "candle"]);
        for right in ["yes", " YES ", &own.fingerprint, own.fingerprint.trim_start_matches("SHA256:"), "anchor bridge candle", "ANCHOR  bridge  CANDLE"] {
            assert_eq!(own.answer(right), Some(Answer::Yes), "{right}");
        }
        let other = own.fingerprint.replace("R3Jr", "R3Js");
        for wrong in [&*other, other.trim_start_matches("SHA256:"), "anchor bridge castle"] {
            assert_eq!(own.answer(wrong), Some(Answer::Other), "{wrong}");
        }
        // Upper and lower case are other bytes.
        assert_ne!(own.answer(&own.fingerprint.to_lowercase()), Some(Answer::Yes));
        assert_eq!((own.answer("no"), own.answer("n")), (Some(Answer::No), Some(Answer::No)));
        for unclear in ["", "y", "ye", "yes please", "SHA25"] {
            assert_eq!(own.answer(unclear), None, "{unclear}");
        }
    }
}
