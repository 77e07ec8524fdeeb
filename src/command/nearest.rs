//! The name that somebody probably meant.

/// The candidate nearest to `word` by edits, when it is near enough to be worth saying.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > 80 {
        return None;
    }
    let word = word.to_lowercase();
    let limit = (word.chars().count() / 3).max(1) + 1;
    candidates.into_iter().map(|candidate| (distance(&word, candidate), candidate)).filter(|(edits, _)| *edits <= limit).min().map(|(_, candidate)| candidate)
}

/// `, did you mean …?`, or nothing.
pub fn suggestion(nearest: &Option<&'static str>) -> String {
    nearest.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}

/// Insertions, removals, replacements and swaps of neighbours (optimal string alignment).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
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
        assert_eq!(nearest("alert-snoze", ["alert-snooze", "quit"]), Some("alert-snooze"));
        assert_eq!(nearest("xyzzy", ["alert-snooze", "quit"]), None);
    }
}
