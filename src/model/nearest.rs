//! What helps a person to mend what they wrote: the name that they probably meant (one rule for files,
//! filters, commands and arguments), and where in a text it stands.

/// Letters of a word that are looked at. Longer words are no names of ours.
const LONGEST: usize = 80;

/// The candidate nearest to `word` by edits, when it is near enough to be worth saying: a third of its
/// letters may be wrong, or all of it may be the beginning of the candidate. Of equals, the first.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word: String = word.trim().to_lowercase();
    let length = word.chars().count();
    if length > LONGEST {
        return None;
    }
    let allowed = match length {
        0 => return None,
        1..=5 => 1,
        6 => 2,
        _ => length / 3 + 1,
    };
    let near = |candidate: &str| {
        let candidate = candidate.to_lowercase();
        let edits = distance(&word, &candidate);
        // A single letter is wrong in every way.
        let few = edits <= allowed && (length > 1 || edits == 0 || candidate.starts_with(&word));
        (few || (length >= 3 && candidate.starts_with(&word))).then_some(edits)
    };
    candidates.into_iter().filter_map(|candidate| near(candidate).map(|edits| (edits, candidate))).min_by_key(|(edits, _)| *edits).map(|(_, name)| name)
}

/// The same from a parser's words: "unknown field `thme`, expected one of `theme`, `keymap`", with more
/// names that would have been right.
pub fn nearest_expected<'a>(words: &'a str, more: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let mut quoted = words.split('`').skip(1).step_by(2);
    let wrong = words.starts_with("unknown ").then(|| quoted.next()).flatten()?;
    nearest(wrong, quoted.chain(more))
}

/// `; did you mean …?`, or nothing.
pub fn suggestion(nearest: &Option<&'static str>) -> String {
    nearest.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}

/// Line and column of a byte, from 1; columns count characters.
pub fn place(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).or_else(|| text.get(..text.floor_char_boundary(at))).unwrap_or(text);
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    (line, column)
}

/// Insertions, removals, replacements and swaps of neighbours (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(LONGEST).collect();
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=b.len()).collect();
    let mut last = None;
    for (i, ca) in a.chars().enumerate() {
        let mut row = Vec::with_capacity(above.len());
        row.push(i + 1);
        let mut left = i + 1;
        let mut last_b = None;
        for (j, &cb) in b.iter().enumerate() {
            let at = |row: &[usize], k: usize| row.get(k).copied().unwrap_or(usize::MAX - 1);
            let mut cost = (at(&above, j) + usize::from(ca != cb)).min(at(&above, j + 1) + 1).min(left + 1);
            if j > 0 && last == Some(cb) && last_b == Some(ca) {
                cost = cost.min(at(&before, j - 1) + 1);
            }
            row.push(cost);
            left = cost;
            last_b = Some(cb);
        }
        before = above;
        above = row;
        last = Some(ca);
    }
    above.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edits_are_counted() {
        assert_eq!([distance("", "abc"), distance("abc", "abc"), distance("abc", "acb"), distance("kitten", "sitting")], [3, 0, 1, 3]);
    }

    #[test]
    fn only_what_is_near_is_offered() {
        for (word, candidates, meant) in [
            ("alert-snoze", ["alert-snooze", "quit"], Some("alert-snooze")),
            ("xyzzy", ["alert-snooze", "quit"], None),
            ("severs", ["servers", "theme"], Some("servers")),
            ("thmee", ["servers", "theme"], Some("theme")),
            ("warn", ["ok", "warning"], Some("warning")),
            ("Theme", ["servers", "theme"], Some("theme")),
            ("x", ["servers", "id"], None),
            ("", ["a", "id"], None),
        ] {
            assert_eq!(nearest(word, candidates), meant, "{word}");
        }
        assert_eq!(nearest(&"x".repeat(100_000), ["servers"]), None);
    }

    #[test]
    fn a_parsers_words_hold_the_right_name() {
        assert_eq!(nearest_expected("unknown field `thme`, expected one of `theme`, `keymap`", []), Some("theme"));
        assert_eq!(nearest_expected("unknown field `nmae`, expected `path`", ["name"]), Some("name"));
        assert_eq!(nearest_expected("invalid type: `thme`, expected `theme`", []), None);
    }
}
