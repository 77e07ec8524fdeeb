//! Limits as a configuration writes them: a share of the whole (`"10%"`, or a bare number), or an amount (`"5GiB"`).

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::model::severity::Status;

/// A share or an amount.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Amount {
    Percent(f64),
    Bytes(f64),
}

impl Amount {
    /// Whether `free` of `total` is less than this.
    pub fn undercut(self, free: f64, total: f64) -> bool {
        match self {
            Amount::Percent(percent) => total > 0.0 && free / total * 100.0 < percent,
            Amount::Bytes(bytes) => free < bytes,
        }
    }

    /// As a range of check plugins, of which what is under this is bad: `"5368709120:"`.
    pub fn as_range(self, total: f64) -> String {
        let least = match self {
            Amount::Percent(percent) => total * percent / 100.0,
            Amount::Bytes(bytes) => bytes,
        };
        format!("{:.0}:", least)
    }

    pub fn parse(text: &str) -> Option<Amount> {
        let text = text.trim();
        let digits = text.bytes().take_while(|b| b.is_ascii_digit() || *b == b'.').count();
        let (number, unit) = text.split_at_checked(digits)?;
        let number: f64 = number.parse().ok().filter(|n: &f64| n.is_finite())?;
        let factor: f64 = match unit.trim() {
            "%" | "" => return (number <= 100.0).then_some(Amount::Percent(number)),
            "B" => 1.0,
            "kB" | "KB" => 1e3,
            "MB" => 1e6,
            "GB" => 1e9,
            "TB" => 1e12,
            "KiB" | "K" => 1024.0,
            "MiB" | "M" => 1024.0 * 1024.0,
            "GiB" | "G" => 1024.0 * 1024.0 * 1024.0,
            "TiB" | "T" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
            _ => return None,
        };
        Some(Amount::Bytes(number * factor))
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Amount::Percent(percent) => write!(f, "{percent}%"),
            Amount::Bytes(bytes) => write!(f, "{bytes}B"),
        }
    }
}

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Amount, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(f64),
            Text(String),
        }
        let text = match Written::deserialize(d)? {
            Written::Number(number) => number.to_string(),
            Written::Text(text) => text,
        };
        Amount::parse(&text)
            .ok_or_else(|| serde::de::Error::custom(format!("`{text}` is no share and no amount: write it like \"10%\", \"500MB\" or \"5GiB\"")))
    }
}

/// Critical, warning or ok, as two answers say.
pub fn status(warning: bool, critical: bool) -> Status {
    if critical {
        Status::Critical
    } else if warning {
        Status::Warning
    } else {
        Status::Ok
    }
}

/// Whether a value is over a limit that may not be set.
pub fn over(value: f64, limit: Option<f64>) -> bool {
    limit.is_some_and(|limit| value > limit)
}

/// Bytes as people read them: `2.1 GiB`.
pub fn bytes(count: f64) -> String {
    let mut count = count;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if count < 1024.0 {
            return if unit == "B" { format!("{count:.0} {unit}") } else { format!("{count:.1} {unit}") };
        }
        count /= 1024.0;
    }
    format!("{count:.1} TiB")
}

/// A count as a float; what is lost above 2^53 does not matter to a threshold.
#[allow(clippy::cast_precision_loss, reason = "thresholds and metrics are floats")]
pub fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_as_people_write_them() {
        assert_eq!(Amount::parse("10%"), Some(Amount::Percent(10.0)));
        assert_eq!(Amount::parse("2.5"), Some(Amount::Percent(2.5)));
        assert_eq!(Amount::parse("5 GiB"), Some(Amount::Bytes(5_368_709_120.0)));
        for bad in ["", "%", "-1%", "101%", "5 elephants", "1e9", "1.2.3GB"] {
            assert_eq!(Amount::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn limits_are_undercut_by_less_alone() {
        assert!(Amount::Percent(10.0).undercut(9.0, 100.0) && !Amount::Percent(10.0).undercut(10.0, 100.0));
        assert!(!Amount::Percent(10.0).undercut(0.0, 0.0));
        assert!(Amount::Bytes(5.0).undercut(4.0, 1e9) && !Amount::Bytes(5.0).undercut(5.0, 5.0));
    }

    #[test]
    fn bytes_for_people() {
        assert_eq!([bytes(12.0), bytes(2_254_857_830.0), bytes(5e15)], ["12 B", "2.1 GiB", "4547.5 TiB"]);
    }
}
