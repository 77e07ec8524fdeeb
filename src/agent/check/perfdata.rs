//! What check plugins print: a line for people, more lines, and performance data among them.
//!
//! After the Monitoring Plugins Development Guidelines ("Plugin Output", "Performance data"): the first line is text, then
//! `|` and performance data; further lines are long output until one holds `|`, and from there on all is performance
//! data. Each datum is `'label'=value[unit];warning;critical;minimum;maximum`, divided by spaces.

use std::sync::Arc;

use crate::model::observation::Metric;

/// Numbers of one output that are kept at most.
const MOST: usize = 256;
/// Characters of a label, a unit or a threshold that are kept at most.
const LONGEST: usize = 120;

/// A plugin's output, taken apart.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Output {
    /// The first line without its performance data; not cleaned.
    pub text: String,
    pub details: String,
    pub metrics: Vec<Metric>,
}

/// What follows a `|` and holds not a single number was a table or a pipe in prose: it stays text.
pub fn parse(output: &str) -> Output {
    let mut out = Output::default();
    let mut lines = output.trim_start_matches(['\n', '\r']).lines();
    let first = lines.next().unwrap_or_default();
    out.text = match first.split_once('|') {
        Some((text, data)) if data.trim().is_empty() || take(data, &mut out.metrics) => text.trim_end().to_owned(),
        Some(_) | None => first.to_owned(),
    };
    let mut data_alone = false;
    for line in lines {
        if data_alone {
            take(line, &mut out.metrics);
            continue;
        }
        let text = match line.split_once('|') {
            Some((text, data)) if take(data, &mut out.metrics) => {
                data_alone = true;
                text.trim_end()
            }
            Some(_) | None => line,
        };
        if !(data_alone && text.is_empty()) {
            out.details.push_str(text);
            out.details.push('\n');
        }
    }
    out.details.truncate(out.details.trim_end().len());
    out
}

/// Adds the numbers of one line; whether there was any datum, of known value or not.
fn take(data: &str, into: &mut Vec<Metric>) -> bool {
    let mut found = false;
    let mut rest = data.trim_start();
    while let Some((label, tail)) = label(rest) {
        let end = tail.find(char::is_whitespace).unwrap_or(tail.len());
        let (datum, next) = tail.split_at_checked(end).unwrap_or((tail, ""));
        rest = next.trim_start();
        match number(datum) {
            Some(Some(value)) => {
                found = true;
                if into.len() < MOST && !label.is_empty() {
                    into.push(metric(&label, value, datum));
                }
            }
            // `U`: the plugin could not determine it.
            Some(None) => found = true,
            None => {}
        }
    }
    found
}

fn metric(label: &str, value: (f64, &str), datum: &str) -> Metric {
    let mut fields = datum.split(';').skip(1);
    let mut threshold = || short(fields.next().unwrap_or_default());
    Metric { name: short(label), value: value.0, unit: short(value.1), warning: threshold(), critical: threshold() }
}

fn short(text: &str) -> Arc<str> {
    text.chars().filter(|c| !c.is_control()).take(LONGEST).collect::<String>().into()
}

/// The label before the next `=`, and what follows it. What has no `=` is passed over.
fn label(text: &str) -> Option<(String, &str)> {
    let text = text.trim_start();
    if let Some(quoted) = text.strip_prefix('\'') {
        let mut label = String::new();
        let mut rest = quoted;
        loop {
            let (part, after) = rest.split_once('\'')?;
            label.push_str(part);
            match after.strip_prefix('\'') {
                // Two quotes stand for one.
                Some(more) => {
                    label.push('\'');
                    rest = more;
                }
                None => {
                    rest = after;
                    break;
                }
            }
        }
        return Some((label.trim().to_owned(), rest.strip_prefix('=').unwrap_or(rest)));
    }
    let (label, rest) = text.split_once('=')?;
    Some((label.rsplit(char::is_whitespace).next().unwrap_or_default().to_owned(), rest))
}

/// The value and its unit; `Some(None)` for `U`.
fn number(datum: &str) -> Option<Option<(f64, &str)>> {
    let field = datum.split(';').next().unwrap_or_default();
    if field == "U" {
        return Some(None);
    }
    let mut end = 0;
    let mut digits = false;
    let mut chars = field.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let fits = match c {
            '+' | '-' => at == 0,
            '0'..='9' => {
                digits = true;
                true
            }
            '.' => true,
            // An exponent only when a number follows it: `5EB` are exabytes.
            'e' | 'E' => {
                let signed = chars.next_if(|(_, c)| matches!(c, '+' | '-')).is_some();
                let mut last = None;
                while let Some((at, _)) = chars.next_if(|(_, c)| c.is_ascii_digit()) {
                    last = Some(at);
                }
                if let (true, Some(last)) = (digits, last) {
                    end = last + 1;
                }
                let _ = signed;
                break;
            }
            _ => false,
        };
        if !fits {
            break;
        }
        end = at + 1;
    }
    let (number, unit) = field.split_at_checked(end)?;
    let value: f64 = number.parse().ok().filter(|v: &f64| v.is_finite() && digits)?;
    // `10,5` and `3abc7` are no numbers that anybody meant.
    unit.chars().all(|c| c.is_alphabetic() || matches!(c, '%' | '/' | '°' | 'µ')).then_some(Some((value, unit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(metrics: &[Metric]) -> Vec<String> {
        metrics.iter().map(|m| format!("{}={}{};{};{}", m.name, m.value, m.unit, m.warning, m.critical)).collect()
    }

    #[test]
    fn one_line_with_data() {
        let out = parse("DISK OK - free space: / 3326 MB (56%); | /=2643MB;5948;5958;0;5968");
        assert_eq!(out.text, "DISK OK - free space: / 3326 MB (56%);");
        assert_eq!(shown(&out.metrics), ["/=2643MB;5948;5958"]);
        assert_eq!(out.details, "");
    }

    #[test]
    fn several_lines_with_data_on_the_first_and_from_the_last_text_line_on() {
        let out = parse(
            "DISK OK | /=2643MB;5948;5958;0;5968\n/ 15272 MB (77%);\n/boot 68 MB (69%); | /boot=68MB;88;93;0;98\n/home=69357MB;253404;253409\n/var/log=818MB;970;975",
        );
        assert_eq!(out.text, "DISK OK");
        assert_eq!(out.details, "/ 15272 MB (77%);\n/boot 68 MB (69%);");
        assert_eq!(shown(&out.metrics), ["/=2643MB;5948;5958", "/boot=68MB;88;93", "/home=69357MB;253404;253409", "/var/log=818MB;970;975"]);
    }

    #[test]
    fn quotes_signs_exponents_units_and_unknown_values() {
        let out = parse("x | 'a label'=1.5s;;;0 'it''s'=-2 c=3e-05;@1:2;~:5 d=U 'e=f'=5EB g=1.2E3% h=.5 'n'=7c;1;2");
        assert_eq!(shown(&out.metrics), ["a label=1.5s;;", "it's=-2;;", "c=0.00003;@1:2;~:5", "e=f=5EB;;", "g=1200%;;", "h=0.5;;", "n=7c;1;2"]);
    }

    #[test]
    fn a_pipe_in_prose_stays_text() {
        let out = parse("pipe | broken\nname | state\nsda | failed\n");
        assert_eq!(out.text, "pipe | broken");
        assert_eq!(out.details, "name | state\nsda | failed");
        assert!(out.metrics.is_empty());
    }

    #[test]
    fn nonsense_gives_no_numbers_and_no_panic() {
        for bad in [
            "x | =",
            "x | a=",
            "x | 'a",
            "x | 'a'",
            "x | a=1,5",
            "x | a=NaN b=inf",
            "x | a=1e",
            "|",
            "",
            "\n\n",
            "x | a=--1",
            "x | ''=3",
            "x|é=é",
            "x | a=.",
            "x | a=1.2.3",
        ] {
            let out = parse(bad);
            assert!(out.metrics.iter().all(|m| m.value.is_finite()), "{bad}");
            assert!(out.metrics.len() <= 1, "{bad}: {:?}", out.metrics);
        }
        assert_eq!(parse("x | a=1 garbage b=2").metrics.len(), 2);
    }

    #[test]
    fn a_flood_of_numbers_is_bounded() {
        let data: String = (0..10_000).map(|i| format!("m{i}=1 ")).collect();
        assert_eq!(parse(&format!("x | {data}")).metrics.len(), MOST);
    }

    proptest::proptest! {
        #[test]
        fn any_text_can_be_taken_apart(text in "[ -~\n'|=;é]{0,200}") {
            parse(&text);
        }
    }
}
