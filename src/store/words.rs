//! What a search looks at: an event's words, and whether they hold what was asked for.
//!
//! The full-text index and the scan of what it has not reached yet both go through here, so that they
//! agree by construction: the index is fed with what [`haystack`] makes, and never splits words itself.

use std::borrow::Cow;

use serde::Deserialize;

use crate::model::labels::Labels;

/// Bytes of a word that count; what two long words share up to here makes them equal.
const LONGEST: usize = 100;
/// Bytes of one event's words that are searched.
const MOST: usize = 64 * 1024;
/// Words of a question that count.
const MOST_WORDS: usize = 32;

/// The fields of an event that are searched. Read on their own, so that an event of a later version
/// is found by its words even where its data cannot be read.
#[derive(Deserialize)]
struct Said<'a> {
    #[serde(borrow, default)]
    title: Cow<'a, str>,
    #[serde(borrow, default)]
    text: Cow<'a, str>,
    #[serde(borrow, default)]
    system: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    actor: Cow<'a, str>,
    #[serde(default)]
    labels: Labels,
}

/// An event's words in lower case, each after a space, its fields divided by line breaks. What is not
/// an event has none.
pub fn haystack(bytes: &[u8]) -> String {
    let Ok(said) = rmp_serde::from_slice::<Said<'_>>(bytes) else { return String::new() };
    let mut out = String::with_capacity(bytes.len().min(MOST));
    for field in [&*said.title, &*said.text, said.system.as_deref().unwrap_or(""), &*said.actor] {
        push(&mut out, field);
    }
    for (_, value) in said.labels.iter() {
        push(&mut out, value);
    }
    out
}

fn push(out: &mut String, field: &str) {
    if field.is_empty() {
        return;
    }
    for word in split(field) {
        if out.len().saturating_add(word.len()) > MOST {
            return;
        }
        out.push(' ');
        out.push_str(&word);
    }
    out.push('\n');
}

/// The words of a text: runs of letters and digits, in lower case, cut to [`LONGEST`].
fn split(text: &str) -> impl Iterator<Item = Cow<'_, str>> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(|word| {
        let word = word.get(..word.floor_char_boundary(LONGEST)).unwrap_or(word);
        if word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) { Cow::Borrowed(word) } else { Cow::Owned(lower(word)) }
    })
}

/// Lower case, letter by letter, where ASCII comes from ASCII alone: the Kelvin sign and the dotted
/// capital I stay as they are, so that [`Words::possible`] may look at encoded bytes.
fn lower(word: &str) -> String {
    let mut out = String::with_capacity(word.len());
    for c in word.chars() {
        if matches!(c, '\u{130}' | '\u{212a}') {
            out.push(c);
        } else {
            out.extend(c.to_lowercase());
        }
    }
    out
}

/// What somebody looks for: words that must all be there, the last part of each as a prefix.
/// A word with dividers in it (`web-1`, `/var/log`) asks for its parts side by side.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Words(Vec<Vec<String>>);

impl Words {
    pub fn new(text: &str) -> Words {
        let words = text.split_whitespace().map(|word| split(word).map(Cow::into_owned).collect::<Vec<_>>());
        Words(words.filter(|parts| !parts.is_empty()).take(MOST_WORDS).collect())
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether an event's [`haystack`] holds them all.
    pub fn within(&self, haystack: &str) -> bool {
        self.0.iter().all(|parts| {
            let needle = parts.iter().fold(String::new(), |needle, part| needle + " " + part);
            memchr::memmem::find(haystack.as_bytes(), needle.as_bytes()).is_some()
        })
    }

    /// Whether an event's encoded bytes hold them all.
    pub fn within_event(&self, bytes: &[u8]) -> bool {
        self.possible(bytes) && self.within(&haystack(bytes))
    }

    /// A cheap look at the encoded bytes that rules most events out before they are decoded. Only words
    /// in ASCII can be looked for like that: lower case is one byte for one there.
    fn possible(&self, bytes: &[u8]) -> bool {
        self.0.iter().flatten().all(|part| !part.is_ascii() || holds(bytes, part.as_bytes()))
    }

    /// The question in FTS5's language for an index that keeps no positions: a row that it finds still
    /// has to be looked at with [`Words::within`].
    pub fn fts5(&self) -> String {
        let mut out = String::new();
        for parts in &self.0 {
            let last = parts.len().saturating_sub(1);
            for (i, part) in parts.iter().enumerate() {
                if !out.is_empty() {
                    out.push_str(" AND ");
                }
                // Parts are letters and digits alone, so that no quote can end the string.
                out.push('"');
                out.push_str(part);
                out.push_str(if i == last { "\"*" } else { "\"" });
            }
        }
        out
    }
}

/// Whether `bytes` hold `word` (lower case ASCII), in whatever case.
fn holds(bytes: &[u8], word: &[u8]) -> bool {
    let Some(first) = word.first() else { return true };
    memchr::memchr2_iter(*first, first.to_ascii_uppercase(), bytes)
        .any(|at| bytes.get(at..at.saturating_add(word.len())).is_some_and(|part| part.eq_ignore_ascii_case(word)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(words: &str, text: &str) -> bool {
        let mut out = String::new();
        push(&mut out, text);
        Words::new(words).within(&out)
    }

    #[test]
    fn all_words_must_be_there_and_prefixes_count() {
        assert!(found("disk full", "The disk on web-1 is FULL"));
        assert!(found("dis fu", "The disk on web-1 is FULL"));
        assert!(!found("isk", "The disk on web-1 is FULL"), "not from the middle of a word");
        assert!(!found("disk empty", "The disk on web-1 is FULL"));
    }

    #[test]
    fn parts_of_a_word_stand_side_by_side() {
        assert!(found("web-1", "on web-12 today"));
        assert!(!found("web-1", "1 on web"));
        assert!(found("/var/log", "full: /var/log/nginx"));
        assert!(!found("eb-1", "web-1"));
    }

    #[test]
    fn other_scripts_and_cases_are_found() {
        assert!(found("MÜNCHEN", "Ausfall in München"));
        assert!(found("東京", "障害 東京 リージョン"));
    }

    #[test]
    fn fts5_gets_no_syntax_from_outside() {
        assert_eq!(Words::new("a\"b OR NEAR(x").fts5(), "\"a\" AND \"b\"* AND \"or\"* AND \"near\" AND \"x\"*");
        assert!(Words::new("* \" ()").is_empty());
    }

    #[test]
    fn the_cheap_look_never_rules_out_what_is_there() {
        assert!(holds(b"xxDiSk", b"disk"));
        assert!(!holds(b"dis", b"disk"));
        for c in ('\u{80}'..=char::MAX).filter(|c| c.is_alphanumeric()) {
            assert!(!lower(&c.to_string()).chars().next().unwrap().is_ascii(), "{c}");
        }
        let bytes = rmp_serde::to_vec_named(&serde_json::json!({ "title": "Disk FULL", "actor": "server" })).unwrap();
        assert!(Words::new("full dISK server").within_event(&bytes));
    }
}
