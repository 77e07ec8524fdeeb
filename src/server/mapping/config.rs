//! `[[map]]` rules and `redact` as they stand in the server's TOML. These types are the format.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Rule;
use super::matcher::Matcher;
use super::template::Template;

/// How labels become midwatch's words; empty, the defaults do it all.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MappingConfig {
    /// Rules in order.
    pub map: Vec<MapRule>,
    /// Names of labels whose values are secret, `*` for any text; not given: those that are so everywhere.
    pub redact: Option<Vec<String>>,
}

/// One `[[map]]` rule: for alerts that all of `match` claim, what the templates say.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MapRule {
    /// `namespace="shop"`, `alertname=~"Varnish.*"`; none: every alert.
    #[serde(rename = "match")]
    pub matchers: Vec<String>,
    /// `shop/{service}`.
    pub system: Option<String>,
    pub check: Option<String>,
    /// A severity, or a template that gives a word for one: `{priority}`.
    pub severity: Option<String>,
    pub title: Option<String>,
    pub text: Option<String>,
    pub links: Vec<LinkRule>,
}

/// A link that a rule adds.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkRule {
    pub name: Arc<str>,
    /// `https://grafana.example.org/d/node?var-host={instance}`.
    pub url: String,
}

/// Which rule is wrong, and how.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct MappingError {
    /// Its number, from 1; 0: not one of the rules.
    pub rule: usize,
    pub why: String,
}

impl std::fmt::Display for MappingError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.rule {
            0 => f.write_str(&self.why),
            number => write!(f, "[[map]] rule {number}: {}", self.why),
        }
    }
}

impl MapRule {
    pub(super) fn compile(&self, number: usize) -> Result<Rule, MappingError> {
        let refuse = |why: String| MappingError { rule: number, why };
        let template = |field: &str, text: &Option<String>| text.as_deref().map(Template::parse).transpose().map_err(|why| refuse(format!("{field}: {why}")));
        let mut matchers = Vec::new();
        for text in &self.matchers {
            let read = Matcher::parse_list(text).map_err(|error| refuse(format!("match '{text}': {error}")))?;
            if read.is_empty() {
                return Err(refuse(format!("match '{text}' says nothing; leave it out to match every alert")));
            }
            matchers.extend(read);
        }
        let rule = Rule {
            matchers,
            system: template("system", &self.system)?,
            check: template("check", &self.check)?,
            severity: template("severity", &self.severity)?,
            title: template("title", &self.title)?,
            text: template("text", &self.text)?,
            links: self
                .links
                .iter()
                .map(|link| Template::parse(&link.url).map(|url| (link.name.clone(), url)).map_err(|why| refuse(format!("link {}: {why}", link.name))))
                .collect::<Result<_, _>>()?,
        };
        let gives = [&rule.system, &rule.check, &rule.severity, &rule.title, &rule.text];
        if gives.iter().all(|field| field.is_none()) && rule.links.is_empty() {
            return Err(refuse("it gives nothing; add at least one of system, check, severity, title, text, links".to_owned()));
        }
        if let Some(word) = self.severity.as_deref().filter(|word| !word.contains('{'))
            && crate::model::severity::Severity::from_word(word).is_none()
        {
            return Err(refuse(format!(
                "severity \"{word}\" is none; write debug, info, unknown, warning, error or critical, or a template like {{priority}}"
            )));
        }
        Ok(rule)
    }
}
