//! Secrets in labels: named by pattern, and gone before anything is made of an alert.
//!
//! The value of a label or annotation whose name matches becomes `[redacted]`, and wherever the same
//! text stands in another value or link it goes too, since rules copy labels into their words. Two
//! alerts that differ in a secret alone become one: that is the price of not keeping it.

use std::borrow::Cow;

use regex::{Regex, RegexBuilder};

use super::Raw;

pub const REDACTED: &str = "[redacted]";

/// Names that hold secrets wherever we met them. Plain `secret` and `token` are not among them: in
/// Kubernetes they *name* a secret, and identify its alert.
pub const DEFAULT: [&str; 7] = ["*password*", "*passwd*", "*api_key*", "*apikey*", "*access_token*", "*auth_token*", "*credential*"];

/// A secret shorter than this is not looked for in other words: it would be found everywhere.
const SHORTEST: usize = 4;

/// The names whose values are secret.
#[derive(Clone, Debug)]
pub struct Redaction(Option<Regex>);

impl Redaction {
    /// From patterns in which `*` stands for any text; upper and lower case are one.
    pub fn new<P: AsRef<str>>(patterns: &[P]) -> Result<Redaction, String> {
        if patterns.is_empty() {
            return Ok(Redaction(None));
        }
        let all: Vec<String> = patterns.iter().map(|p| p.as_ref().split('*').map(regex::escape).collect::<Vec<_>>().join(".*")).collect();
        let expression = format!("^(?:{})$", all.join("|"));
        RegexBuilder::new(&expression)
            .case_insensitive(true)
            .dot_matches_new_line(true)
            .build()
            .map(|regex| Redaction(Some(regex)))
            .map_err(|_| "`redact` is too long; name fewer labels, or use `*`".to_owned())
    }

    /// Takes the secrets out of an alert; says how many there were.
    pub fn redact(&self, raw: &mut Raw<'_>) -> u32 {
        let Some(names) = &self.0 else { return 0 };
        if !raw.labels.iter().chain(raw.annotations.iter()).any(|(name, value)| !value.is_empty() && names.is_match(name)) {
            return 0;
        }
        let mut secrets: Vec<String> = Vec::new();
        let mut count = 0_u32;
        for pairs in [&mut raw.labels, &mut raw.annotations] {
            pairs.each_value(|name, value| {
                if value.is_empty() || !names.is_match(name) {
                    return None;
                }
                count = count.saturating_add(1);
                if value.len() >= SHORTEST {
                    secrets.push(value.to_owned());
                }
                Some(REDACTED.to_owned())
            });
        }
        // The longest first, so that one within another leaves no remainder.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        for pairs in [&mut raw.labels, &mut raw.annotations] {
            pairs.each_value(|_, value| match scrub(value, &secrets) {
                Cow::Borrowed(_) => None,
                Cow::Owned(clean) => Some(clean),
            });
        }
        // The expression in the link holds label values in ways that we cannot foresee (escaped, encoded).
        if secrets.iter().any(|secret| raw.generator.contains(&**secret)) || raw.generator.contains('%') {
            raw.generator = Cow::Borrowed("");
        }
        count
    }
}

fn scrub<'t>(text: &'t str, secrets: &[String]) -> Cow<'t, str> {
    let mut out = Cow::Borrowed(text);
    for secret in secrets {
        if out.contains(&**secret) {
            out = Cow::Owned(out.replace(&**secret, REDACTED));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::Pairs;
    use super::*;

    #[test]
    fn secrets_are_gone_wherever_they_stand() {
        let mut raw = Raw {
            labels: Pairs::of([("alertname", "Login"), ("DB_Password", "hunter22"), ("secret", "tls-cert")]),
            annotations: Pairs::of([("summary", "login with hunter22 failed"), ("api_key", "k")]),
            generator: "http://prom/graph?g0.expr=x%7Bp%3D%22hunter22%22%7D".into(),
        };
        assert_eq!(Redaction::new(&DEFAULT).unwrap().redact(&mut raw), 2);
        let all = format!("{raw:?}");
        assert!(!all.contains("hunter22"), "{all}");
        assert_eq!(raw.labels.get("DB_Password"), Some(REDACTED));
        assert_eq!(raw.annotations.get("summary"), Some("login with [redacted] failed"));
        assert_eq!((raw.labels.get("secret"), raw.labels.get("alertname")), (Some("tls-cert"), Some("Login")));
    }

    #[test]
    fn patterns_are_no_expressions() {
        let redaction = Redaction::new(&["a.b", "x*"]).unwrap();
        let mut raw = Raw { labels: Pairs::of([("a.b", "1"), ("acb", "2"), ("x", "3"), ("yx", "4")]), ..Raw::default() };
        assert_eq!(redaction.redact(&mut raw), 2);
        assert_eq!(raw.labels.iter().map(|(_, v)| v).collect::<Vec<_>>(), [REDACTED, "2", REDACTED, "4"]);
    }
}
