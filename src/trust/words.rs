//! Bytes as words, for comparing keys aloud over a telephone.
//!
//! The list is midwatch's own: 256 everyday English nouns of four to nine letters, in the order of the
//! alphabet, so that each word says one byte. No two begin with the same four letters, and none becomes
//! another by one letter missing, added or wrong. 16 words say 128 bits.

/// How many bytes of a fingerprint its words say.
pub const BYTES: usize = 16;

static LIST: &str = include_str!("words.txt");

/// One word for each byte.
pub fn of(bytes: &[u8]) -> Vec<&'static str> {
    let list: Vec<&'static str> = LIST.lines().collect();
    bytes.iter().filter_map(|byte| list.get(usize::from(*byte)).copied()).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// How many letters must be changed, added or left out to make one word of the other.
    fn distance(a: &str, b: &str) -> usize {
        let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
        let mut row: Vec<usize> = (0..=b.len()).collect();
        for (i, x) in a.iter().enumerate() {
            let mut next = vec![i + 1];
            for (j, y) in b.iter().enumerate() {
                next.push((row[j + 1] + 1).min(next[j] + 1).min(row[j] + usize::from(x != y)));
            }
            row = next;
        }
        row[b.len()]
    }

    #[test]
    fn every_byte_has_a_word_that_is_like_no_other() {
        let all = of(&(0..=255).collect::<Vec<u8>>());
        assert_eq!(all.len(), 256);
        assert!(all.is_sorted() && all.iter().all(|word| (4..=9).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_lowercase())));
        assert_eq!(all.iter().map(|word| word.get(..4).unwrap()).collect::<BTreeSet<_>>().len(), 256, "four letters are enough");
        for (i, a) in all.iter().enumerate() {
            for b in &all[i + 1..] {
                assert!(distance(a, b) >= 2, "{a} and {b}");
            }
        }
    }
}
