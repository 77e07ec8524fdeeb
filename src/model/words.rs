//! Numbers as people read them, and the one line that stands for a text.

use std::fmt::Display;

/// `1 check`, `2 checks`. The noun takes an s for its plural.
pub fn counted(number: impl Display, noun: &str) -> String {
    let number = number.to_string();
    let plural = if number == "1" { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

/// `a, b and c`.
pub fn listed(words: impl IntoIterator<Item = impl Into<String>>) -> String {
    let mut words: Vec<String> = words.into_iter().map(Into::into).collect();
    match words.pop() {
        Some(last) if words.is_empty() => last,
        Some(last) => format!("{} and {last}", words.join(", ")),
        None => String::new(),
    }
}

/// `5,400`: thousands are parted.
pub fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Characters of a first line that are kept.
const LONGEST_LINE: usize = 200;

/// The first line with something in it, cut off after two hundred characters.
pub fn first_line(text: &str) -> String {
    text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default().chars().take(LONGEST_LINE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_no_plural() {
        assert_eq!([counted(0, "check"), counted(1, "check"), counted(2, "check"), counted(21, "alert")], ["0 checks", "1 check", "2 checks", "21 alerts"]);
        assert_eq!([grouped(7), grouped(999), grouped(5_400), grouped(1_234_567)], ["7", "999", "5,400", "1,234,567"]);
    }
}
