//! Numbers for people: `1.23k`, `93 %`, `12 min`, `2.1 GiB`.

/// Digits that count, unless more are needed to tell numbers apart.
pub(super) const DIGITS: usize = 3;
const MOST_DIGITS: usize = 7;

/// Units in which a number is given are those of check plugins: `s`, `ms`, `us`, `B`, `%`, `c` (a counter), others as
/// they are.
pub(super) fn words(value: f64, unit: &str, digits: usize) -> String {
    if value.abs() >= 1e300 {
        return if value < 0.0 { "-infinite" } else { "infinite" }.to_owned();
    }
    match unit {
        "" | "c" => scaled(value, THOUSANDS, "", digits),
        "%" => format!("{} %", plain(value, digits)),
        "s" => scaled(value, TIMES, " ", digits),
        "ms" => scaled(value / 1e3, TIMES, " ", digits),
        "us" | "µs" => scaled(value / 1e6, TIMES, " ", digits),
        "B" => scaled(value, BYTES, " ", digits),
        "B/s" => format!("{}/s", scaled(value, BYTES, " ", digits)),
        "/s" => format!("{}/s", scaled(value, THOUSANDS, "", digits)),
        other => format!("{} {other}", plain(value, digits)),
    }
}

/// How many digits tell these numbers apart, those that differ.
pub(super) fn digits(numbers: &[f64], unit: &str) -> usize {
    let alike = |digits: usize| {
        let shown: Vec<String> = numbers.iter().map(|number| words(*number, unit, digits)).collect();
        numbers.iter().zip(&shown).any(|(a, said)| numbers.iter().zip(&shown).any(|(b, other)| a != b && said == other))
    };
    (DIGITS..MOST_DIGITS).find(|digits| !alike(*digits)).unwrap_or(MOST_DIGITS)
}

/// A unit, and from how much on it is used.
type Step = (f64, f64, &'static str);

const THOUSANDS: &[Step] = &[(1.0, 0.0, ""), (1e3, 1e3, "k"), (1e6, 1e6, "M"), (1e9, 1e9, "G"), (1e12, 1e12, "T")];
const BYTES: &[Step] = &[
    (1.0, 0.0, "B"),
    (1024.0, 1024.0, "KiB"),
    (1_048_576.0, 1_048_576.0, "MiB"),
    (1_073_741_824.0, 1_073_741_824.0, "GiB"),
    (1_099_511_627_776.0, 1_099_511_627_776.0, "TiB"),
];
/// As ages are said: minutes from two on.
const TIMES: &[Step] = &[(1e-6, 1e-7, "µs"), (1e-3, 1e-3, "ms"), (1.0, 1.0, "s"), (60.0, 120.0, "min"), (3_600.0, 7_200.0, "h"), (86_400.0, 172_800.0, "days")];

fn scaled(value: f64, steps: &[Step], gap: &str, digits: usize) -> String {
    let size = value.abs();
    let zero = steps.iter().find(|(one, _, _)| (*one - 1.0).abs() < 0.5).map_or("", |(_, _, unit)| unit);
    let (one, unit) = if size > 0.0 {
        // What rounds up to the next unit is said in it: 999.99 is 1k.
        let rounded = rounded(size, digits);
        steps.iter().rev().find(|(_, from, _)| rounded >= *from).or(steps.first()).map_or((1.0, zero), |(one, _, unit)| (*one, *unit))
    } else {
        (1.0, zero)
    };
    let gap = if unit.is_empty() { "" } else { gap };
    format!("{}{gap}{unit}", plain(value / one, digits))
}

fn rounded(size: f64, digits: usize) -> f64 {
    format!("{size:.*e}", digits.saturating_sub(1)).parse().unwrap_or(size)
}

/// So many digits that count; no zeros at the end, all of a whole number below a million.
fn plain(value: f64, digits: usize) -> String {
    let size = value.abs();
    if size > 0.0 && !(1e-4..1e15).contains(&size) {
        let text = format!("{value:.*e}", digits.saturating_sub(1));
        return match text.split_once('e') {
            Some((number, exponent)) => format!("{}e{exponent}", trimmed(number)),
            None => text,
        };
    }
    let mut whole = 1;
    let mut limit = 10.0;
    while size >= limit && whole < 16 {
        (whole, limit) = (whole + 1, limit * 10.0);
    }
    // Zeros between the point and the first digit that counts are not counted.
    let mut ahead = 0;
    let mut limit = 1.0;
    while size > 0.0 && size < limit && ahead < 4 {
        (ahead, limit) = (ahead + 1, limit / 10.0);
    }
    let decimals = if size < 1.0 { digits + ahead.max(1) - 1 } else { digits.saturating_sub(whole) };
    let text = format!("{value:.decimals$}");
    let text = trimmed(&text);
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

fn trimmed(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}
