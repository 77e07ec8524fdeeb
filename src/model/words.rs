//! Numbers as people read them.

use std::fmt::Display;

/// `1 check`, `2 checks`. The noun takes an s for its plural.
pub fn counted(number: impl Display, noun: &str) -> String {
    let number = number.to_string();
    let plural = if number == "1" { "" } else { "s" };
    format!("{number} {noun}{plural}")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_no_plural() {
        assert_eq!([counted(0, "check"), counted(1, "check"), counted(2, "check"), counted(21, "alert")], ["0 checks", "1 check", "2 checks", "21 alerts"]);
        assert_eq!([grouped(7), grouped(999), grouped(5_400), grouped(1_234_567)], ["7", "999", "5,400", "1,234,567"]);
    }
}
