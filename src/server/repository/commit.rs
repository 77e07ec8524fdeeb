//! A commit as git keeps it (`git cat-file commit`), read without trust.

use crate::model::clean::{clean_line, clean_text};
use crate::model::time::Time;

/// Bytes of a commit that are read: the rest of a longer message is left out.
pub(super) const LONGEST: usize = 64 << 10;
/// Characters of an author's name, a title and a text.
const AUTHOR: usize = 80;
const TITLE: usize = 160;
const TEXT: usize = 4_000;

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Commit {
    pub id: String,
    /// When it was committed, by the committer's clock.
    pub at: Time,
    pub author: String,
    /// The message's first line, and what comes after it.
    pub title: String,
    pub text: String,
}

impl Commit {
    /// `raw` is the object, or its beginning.
    pub fn read(id: &str, raw: &[u8]) -> Commit {
        let text = String::from_utf8_lossy(raw);
        let (head, message) = text.split_once("\n\n").unwrap_or((&text, ""));
        // A header's further lines, as a signature has, begin with a space.
        let header = |name: &str| head.lines().find_map(|line| line.strip_prefix(name));
        let author = header("author ").map_or("", |line| line.rsplit_once(" <").map_or("", |(name, _)| name));
        let seconds = header("committer ").and_then(|line| line.rsplit_once("> ")?.1.split(' ').next()?.parse::<i64>().ok());
        let mut lines = message.trim_start().splitn(2, '\n');
        let title = cut(&clean_line(lines.next().unwrap_or_default()), TITLE);
        let text = cut(&clean_text(lines.next().unwrap_or_default().trim()), TEXT);
        let or = |text: String, none: &str| if text.is_empty() { none.to_owned() } else { text };
        Commit {
            id: id.to_owned(),
            at: Time::from_secs(seconds.filter(|seconds| (0..=253_402_300_799).contains(seconds)).unwrap_or_default()),
            author: or(cut(&clean_line(author), AUTHOR), "nobody"),
            title: or(title, "(no words)"),
            text,
        }
    }
}

/// The first so many characters, without space around them.
fn cut(text: &str, most: usize) -> String {
    let text = text.trim();
    match text.char_indices().nth(most) {
        Some(_) => text.chars().take(most.saturating_sub(1)).chain(['…']).collect(),
        None => text.to_owned(),
    }
}

/// A commit's id as people write it.
pub(super) fn short(id: &str) -> &str {
    id.get(..7).unwrap_or(id)
}

/// What git calls a commit: 40 or 64 hexadecimal digits.
pub(super) fn is_id(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_is_read_with_its_signature_left_out() {
        let raw = b"tree 1\nparent 2\nauthor Sam \xc3\x96 <sam@x.org> 1700000000 +0100\ncommitter Kim <k@x> 1700000300 +0000\ngpgsig -----BEGIN\n author Eve <e> 1 +0\n \n -----END\n\nCut the cache\n\nIt was too big.\n";
        let commit = Commit::read("aa", raw);
        assert_eq!((&*commit.author, &*commit.title, &*commit.text), ("Sam Ö", "Cut the cache", "It was too big."));
        assert_eq!(commit.at, Time::from_secs(1_700_000_300));
    }

    #[test]
    fn a_hostile_commit_is_harmless_and_short() {
        let mut raw = b"author \x1b[31m <x> 9 +0\ncommitter x <x> 99999999999999999999 +0\n\n".to_vec();
        raw.extend(b"\x1b]0;pwned\x07".repeat(10_000));
        let commit = Commit::read("aa", &raw);
        assert!(commit.title.chars().count() <= TITLE && !commit.title.contains(char::is_control), "{:?}", commit.title);
        assert_eq!((commit.at, &*commit.author), (Time::from_secs(0), "nobody"));
        let empty = Commit::read("aa", b"");
        assert_eq!((&*empty.title, &*empty.author), ("(no words)", "nobody"));
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_at_all_make_it_fail_or_leave_anything_harmful(raw in proptest::collection::vec(proptest::num::u8::ANY, 0..400)) {
            let commit = Commit::read("aa", &raw);
            proptest::prop_assert!(!commit.title.is_empty() && !commit.author.is_empty());
            proptest::prop_assert!(!commit.title.contains(char::is_control) && !commit.author.contains(char::is_control));
            proptest::prop_assert!(!commit.text.contains(|c: char| c.is_control() && c != '\n'));
        }
    }
}
