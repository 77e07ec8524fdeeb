//! Thresholds: those of rules, and the ranges of check plugins.

use super::number;

/// From where on a number is bad.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Threshold {
    Over(f64),
    AtLeast(f64),
    Under(f64),
    AtMost(f64),
    Is(f64),
    Not(f64),
    Outside(f64, f64),
    Within(f64, f64),
}

impl Threshold {
    /// A range as check plugins write it, `[@]start:end` (Monitoring Plugins Development Guidelines,
    /// "Threshold and Ranges"). A lone number also forbids what is negative, which goes without saying.
    pub fn parse(text: &str) -> Option<Threshold> {
        let text = text.trim();
        let (inside, range) = text.strip_prefix('@').map_or((false, text), |range| (true, range));
        let number = |text: &str| text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
        let (start, end) = match range.split_once(':') {
            None => (Some(0.0), Some(number(range)?)),
            Some((start, end)) => {
                let start = if start.trim() == "~" { None } else { Some(number(start)?) };
                let end = if end.trim().is_empty() { None } else { Some(number(end)?) };
                (start, end)
            }
        };
        let bare = !range.contains(':');
        Some(match (start, end, inside) {
            (Some(_), Some(end), false) if bare => Threshold::Over(end),
            (Some(start), Some(end), false) => Threshold::Outside(start, end),
            (Some(start), None, false) => Threshold::Under(start),
            (None, Some(end), false) => Threshold::Over(end),
            (Some(start), Some(end), true) => Threshold::Within(start, end),
            (Some(start), None, true) => Threshold::AtLeast(start),
            (None, Some(end), true) => Threshold::AtMost(end),
            (None, None, _) => return None,
        })
    }

    pub fn is_crossed_by(self, value: f64) -> bool {
        match self {
            Threshold::Over(limit) => value > limit,
            Threshold::AtLeast(limit) => value >= limit,
            Threshold::Under(limit) => value < limit,
            Threshold::AtMost(limit) => value <= limit,
            Threshold::Is(limit) => value == limit,
            Threshold::Not(limit) => value != limit,
            Threshold::Outside(low, high) => value < low || value > high,
            Threshold::Within(low, high) => value >= low && value <= high,
        }
    }

    /// How a number crosses it, in a word for programs.
    pub const fn word(self) -> &'static str {
        match self {
            Threshold::Over(_) => "over",
            Threshold::AtLeast(_) => "at-least",
            Threshold::Under(_) => "under",
            Threshold::AtMost(_) => "at-most",
            Threshold::Is(_) => "is",
            Threshold::Not(_) => "not",
            Threshold::Outside(..) => "outside",
            Threshold::Within(..) => "within",
        }
    }

    /// One number, or the two of a range.
    pub fn numbers(self) -> Vec<f64> {
        match self {
            Threshold::Over(limit)
            | Threshold::AtLeast(limit)
            | Threshold::Under(limit)
            | Threshold::AtMost(limit)
            | Threshold::Is(limit)
            | Threshold::Not(limit) => vec![limit],
            Threshold::Outside(low, high) | Threshold::Within(low, high) => vec![low, high],
        }
    }

    /// As it reads behind "fires" or "critical".
    pub(super) fn words(self, unit: &str, digits: usize) -> String {
        let number = |limit| number::words(limit, unit, digits);
        match self {
            Threshold::Over(limit) => format!("over {}", number(limit)),
            Threshold::AtLeast(limit) => format!("at {} or more", number(limit)),
            Threshold::Under(limit) => format!("under {}", number(limit)),
            Threshold::AtMost(limit) => format!("at {} or less", number(limit)),
            Threshold::Is(limit) => format!("at {}", number(limit)),
            Threshold::Not(limit) => format!("unless {}", number(limit)),
            Threshold::Outside(low, high) => format!("outside {} to {}", number(low), number(high)),
            Threshold::Within(low, high) => format!("from {} to {}", number(low), number(high)),
        }
    }
}
