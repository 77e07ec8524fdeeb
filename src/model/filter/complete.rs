//! What could be written next: for the filter's input line.

use super::expr::is_keyword;
use super::field::{Field, State};
use crate::model::event::Kind;
use crate::model::severity::Severity;

/// Candidates for one place of a filter's text.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Completion {
    /// What a candidate replaces, in bytes of the text.
    pub from: usize,
    pub to: usize,
    pub candidates: Vec<Candidate>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// What to insert, quoted where that is needed.
    pub text: String,
    /// A sentence about it; empty for values.
    pub about: &'static str,
}

/// Candidates at `cursor` (in bytes). `known` gives values that are known now: systems, people, servers …;
/// for [`Field::Label`] it is asked for names first (`None`), then for the values of a name.
pub fn complete(text: &str, cursor: usize, known: &mut dyn FnMut(Field, Option<&str>) -> Vec<String>) -> Completion {
    let mut cursor = cursor.min(text.len());
    while !text.is_char_boundary(cursor) {
        cursor -= 1;
    }
    let before = text.get(..cursor).unwrap_or("");
    let from = start_of_word(before);
    let word = before.get(from..).unwrap_or("");
    let rest = text.get(cursor..).unwrap_or("");
    let to = cursor + rest.find(|c: char| c.is_whitespace() || c == ')').unwrap_or(rest.len());
    if let Some(label) = word.strip_prefix("label.") {
        let Some(at) = label.find(['=', '!']) else {
            let names = known(Field::Label, None).into_iter().filter(|name| name.starts_with(label)).map(|name| (format!("label.{name}="), ""));
            return Completion { from, to, candidates: list(names) };
        };
        let (name, value) = label.split_at_checked(at).unwrap_or((label, ""));
        let sign = value.chars().take_while(|c| "=!~".contains(*c)).count();
        let from = from + "label.".len() + at + sign;
        let typed = value.get(sign..).unwrap_or("");
        return values(from, to, typed, known(Field::Label, Some(name)));
    }
    if let Some((name, typed)) = word.split_once(':')
        && let Some(field) = Field::from_name(name)
    {
        return values(from + name.len() + 1, to, typed, of_field(field, known));
    }
    if word.starts_with('"') || word.starts_with('/') {
        return Completion { from, to, candidates: Vec::new() };
    }
    let fields = Field::ALL.into_iter().map(|field| (field.opening().to_owned(), field.about()));
    let keywords = [("not ", "not what follows"), ("or ", "this or that")].map(|(text, about)| (text.to_owned(), about));
    let candidates = fields.chain(keywords).filter(|(text, _)| text.starts_with(word) && !is_keyword(word));
    Completion { from, to, candidates: list(candidates) }
}

fn of_field(field: Field, known: &mut dyn FnMut(Field, Option<&str>) -> Vec<String>) -> Vec<String> {
    let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    match field {
        Field::Severity => Severity::ALL.into_iter().rev().flat_map(|s| [s.word().to_owned(), format!("{}+", s.word())]).collect(),
        Field::State => State::ALL.into_iter().map(|state| state.word().to_owned()).collect(),
        Field::Kind => owned(Kind::NAMES),
        Field::Since | Field::Until => owned(&["15m", "1h", "3h", "1d", "7d", "today", "yesterday"]),
        Field::System | Field::By | Field::Check | Field::Agent | Field::Source | Field::Server | Field::Label => known(field, None),
    }
}

fn values(from: usize, to: usize, typed: &str, all: Vec<String>) -> Completion {
    let typed = typed.trim_start_matches('"').to_lowercase();
    let mut fitting: Vec<String> = all.into_iter().filter(|value| value.to_lowercase().contains(&typed)).collect();
    // What starts as typed stands before what merely contains it.
    fitting.sort_by_key(|value| !value.to_lowercase().starts_with(&typed));
    let quote = |value: String| {
        let plain = !value.is_empty() && !value.contains(|c: char| c.is_whitespace() || matches!(c, '"' | '(' | ')' | '\\'));
        if plain { value } else { format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")) }
    };
    Completion { from, to, candidates: list(fitting.into_iter().map(|value| (quote(value), ""))) }
}

/// No more than fit a screen.
fn list(candidates: impl Iterator<Item = (String, &'static str)>) -> Vec<Candidate> {
    candidates.take(50).map(|(text, about)| Candidate { text, about }).collect()
}

/// Where the word that ends `before` starts: spaces in quotes do not divide.
fn start_of_word(before: &str) -> usize {
    let (mut start, mut quoted, mut escaped) = (0, false, false);
    for (at, c) in before.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            c if !quoted && (c.is_whitespace() || c == '(') => start = at + c.len_utf8(),
            _ => {}
        }
    }
    start
}
