//! What words mean: midwatch's own, and those that teams explain in their servers' configuration.

use std::sync::Arc;

use super::Sky;

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    pub word: Arc<str>,
    pub meaning: Arc<str>,
    /// The server whose team says so; none: midwatch itself.
    pub team: Option<Arc<str>>,
}

/// Where a word stands in a text, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hit {
    pub from: usize,
    pub until: usize,
    /// Its place among the entries.
    pub entry: usize,
}

/// Words of midwatch that stand in its sentences.
const OWN: &[(&str, &str)] = &[
    ("acknowledged", "a person said: I have it. It ends when the alert clears"),
    ("agent", "the program that runs checks on a machine and tells a server"),
    ("alert", "a condition that is wrong now; it opens, and it clears"),
    ("change", "a deployment, a new configuration: something that may explain what follows"),
    ("check", "what an agent looks at again and again: a disk, a web page, a queue"),
    ("note", "what a person wrote about a system or an alert, for whoever comes next"),
    ("put off", "snoozed: a person wants to hear of it again at that time"),
    ("silence", "an Alertmanager was told not to notify of these alerts for a while"),
    ("source", "an Alertmanager or Prometheus that tells a server of alerts"),
    ("system", "the thing that is managed: a service, a machine, a cluster"),
];

/// All words, by name; a team's own word wins over midwatch's.
pub fn entries(sky: &Sky) -> Vec<Entry> {
    let mut out: Vec<Entry> = Vec::new();
    for seen in &sky.servers {
        for (word, meaning) in &seen.world.glossary {
            if !out.iter().any(|known| same(&known.word, word)) {
                out.push(Entry { word: word.clone(), meaning: meaning.clone(), team: Some(seen.name.clone()) });
            }
        }
    }
    for (word, meaning) in OWN {
        if !out.iter().any(|known| same(&known.word, word)) {
            out.push(Entry { word: (*word).into(), meaning: (*meaning).into(), team: None });
        }
    }
    out.sort_by(|a, b| (a.word.to_lowercase(), &a.word).cmp(&(b.word.to_lowercase(), &b.word)));
    out
}

fn same(a: &str, b: &str) -> bool {
    a.to_lowercase() == b.to_lowercase()
}

/// Where words of the glossary stand in a text: whole words (or their plural in s), the longest first, none
/// within another.
pub fn find(text: &str, entries: &[Entry]) -> Vec<Hit> {
    let mut out: Vec<Hit> = Vec::new();
    let mut order: Vec<usize> = (0..entries.len()).collect();
    order.sort_by_key(|place| std::cmp::Reverse(entries.get(*place).map_or(0, |entry| entry.word.len())));
    let lower = text.to_lowercase();
    // Lowering may change the length of some letters: then places would not fit, and nothing is marked.
    if lower.len() != text.len() {
        return out;
    }
    for place in order {
        let Some(entry) = entries.get(place).filter(|entry| !entry.word.is_empty()) else { continue };
        let word = entry.word.to_lowercase();
        for (from, _) in lower.match_indices(&word) {
            let mut until = from + word.len();
            let letter = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
            let after = |at: usize| lower.get(at..).and_then(|rest| rest.chars().next());
            if after(until) == Some('s') {
                until += 1;
            }
            let whole = !letter(lower.get(..from).and_then(|rest| rest.chars().next_back())) && !letter(after(until));
            let fits = text.is_char_boundary(from) && text.is_char_boundary(until);
            if whole && fits && !out.iter().any(|hit| hit.from < until && from < hit.until) {
                out.push(Hit { from, until, entry: place });
            }
        }
    }
    out.sort_by_key(|hit| hit.from);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(word: &str) -> Entry {
        Entry { word: word.into(), meaning: "".into(), team: None }
    }

    fn found(text: &str, words: &[&str]) -> Vec<String> {
        let entries: Vec<Entry> = words.iter().map(|word| entry(word)).collect();
        find(text, &entries).into_iter().map(|hit| text.get(hit.from..hit.until).unwrap().to_owned()).collect()
    }

    #[test]
    fn whole_words_are_found_and_the_longest_wins() {
        assert_eq!(found("OSD osds nosd OSD-12, hit rate of the hit", &["osd", "hit rate", "hit"]), ["OSD", "osds", "OSD", "hit rate", "hit"]);
    }

    proptest! {
        #[test]
        fn hits_stand_apart_and_within_the_text(text in "\\PC{0,40}", words in prop::collection::vec("\\PC{1,4}", 0..5)) {
            let entries: Vec<Entry> = words.iter().map(|word| entry(word)).collect();
            let mut end = 0;
            for hit in find(&text, &entries) {
                prop_assert!(hit.from >= end && text.get(hit.from..hit.until).is_some());
                end = hit.until;
            }
        }
    }
}
