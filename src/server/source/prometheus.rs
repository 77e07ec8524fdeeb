//! Prometheus' HTTP API, read: its alerting rules with the alerts that they found
//! (`/api/v1/rules`, documented under "HTTP API" of Prometheus).
//!
//! One answer holds rules, expressions, health and alerts as of one moment. Labels that Prometheus adds
//! only when it pushes are asked from it and added, so that an alert which comes both ways is one.

use std::fmt::Write;

use serde::Deserialize;

use super::client::{Client, PollError};
use super::{Listed, Listing};
use crate::model::time::Time;
use crate::server::intake::json;
use crate::server::mapping::{Pairs, Raw, Text};

/// Broken rules that are named.
const MOST_BROKEN: usize = 20;

#[derive(Deserialize)]
struct Envelope<T> {
    status: String,
    #[serde(default)]
    error: String,
    data: Option<T>,
}

#[derive(Deserialize)]
struct Rules<'a> {
    #[serde(borrow)]
    groups: Vec<Group<'a>>,
}

#[derive(Deserialize)]
struct Group<'a> {
    #[serde(borrow)]
    rules: Vec<Rule<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rule<'a> {
    #[serde(borrow, default)]
    name: Text<'a>,
    #[serde(borrow, default)]
    query: Text<'a>,
    #[serde(borrow, default)]
    alerts: Vec<Alert<'a>>,
    #[serde(borrow, default)]
    health: Text<'a>,
    #[serde(borrow, default)]
    last_error: Text<'a>,
    #[serde(borrow, default)]
    last_evaluation: Text<'a>,
    #[serde(borrow, default, rename = "type")]
    kind: Text<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Alert<'a> {
    #[serde(borrow)]
    labels: Pairs<'a>,
    #[serde(borrow, default)]
    annotations: Pairs<'a>,
    #[serde(borrow, default)]
    state: Text<'a>,
    #[serde(borrow, default)]
    active_at: Text<'a>,
    #[serde(borrow, default)]
    value: Text<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Runtime {
    start_time: Time,
}

#[derive(Deserialize)]
struct Loaded {
    yaml: String,
}

/// Asks for everything. What only some versions and permissions give is done without.
pub(super) async fn ask(client: &Client, external: Option<Vec<(String, String)>>) -> Result<Listing, PollError> {
    let rules = client.get("/api/v1/rules?type=alert").await?;
    let started = client.get("/api/v1/status/runtimeinfo").await.ok().and_then(|answer| data::<Runtime>(&answer.body).ok()).map(|runtime| runtime.start_time);
    let external = match external {
        Some(external) => external,
        None => self::external(client).await,
    };
    Ok(Listing { body: rules.body, started, date: rules.date, silences: None, external })
}

/// What it adds to what it pushes, as far as it tells.
pub(super) async fn external(client: &Client) -> Vec<(String, String)> {
    match client.get("/api/v1/status/config").await {
        Ok(answer) => data::<Loaded>(&answer.body).map(|loaded| external_labels(&loaded.yaml)).unwrap_or_default(),
        Err(_) => Vec::new(),
    }
}

pub(super) fn data<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, PollError> {
    let wrong = |why: &str| PollError(format!("its answer is not one of Prometheus' HTTP API ({why}); is `url` that of a Prometheus?"));
    let envelope: Envelope<T> = serde_json::from_slice(body).map_err(|error| wrong(&error.to_string()))?;
    match envelope {
        Envelope { status, data: Some(data), .. } if status == "success" => Ok(data),
        Envelope { error, .. } => Err(wrong(&error.chars().filter(|c| !c.is_control()).take(200).collect::<String>())),
    }
}

/// What an answer about rules says.
pub(super) struct Read<'a> {
    pub firing: Vec<Listed<'a>>,
    pub pending: usize,
    /// Rules that cannot be evaluated, and why: they cannot fire either.
    pub broken: Vec<String>,
    /// False: a rule was not evaluated yet, so that nothing follows from what is not listed.
    pub evaluated: bool,
}

pub(super) fn read<'a>(body: &'a [u8], client: &Client, external: &[(String, String)]) -> Result<Read<'a>, PollError> {
    let rules: Rules<'a> = data(body)?;
    let mut out = Read { firing: Vec::new(), pending: 0, broken: Vec::new(), evaluated: true };
    for rule in rules.groups.into_iter().flat_map(|group| group.rules).filter(|rule| matches!(&*rule.kind.0, "alerting" | "")) {
        out.evaluated &= !matches!(json::time(&rule.last_evaluation.0), Ok(None)) || rule.last_evaluation.0.is_empty();
        if rule.health.0 == "err" && out.broken.len() < MOST_BROKEN {
            let why: String = rule.last_error.0.chars().filter(|c| !c.is_control()).take(200).collect();
            out.broken.push(format!("{}: {why}", rule.name.0));
        }
        let link = client.address(&generator(&rule.query.0));
        for alert in rule.alerts {
            if alert.state.0 != "firing" {
                out.pending += 1;
                continue;
            }
            let starts = json::time(&alert.active_at.0).map_err(|why| PollError(format!("activeAt of {}: {why}", rule.name.0)))?;
            out.firing.push(Listed {
                raw: Raw { labels: alert.labels.without_empty().or(external.iter().cloned()), annotations: alert.annotations, generator: link.clone().into() },
                starts: starts.unwrap_or_default(),
                expr: Some(rule.query.0.clone().into_owned()),
                value: alert.value.0.trim().parse().ok(),
            });
        }
    }
    Ok(out)
}

/// The page of an expression, as Prometheus links to it from what it pushes.
fn generator(query: &str) -> String {
    let mut out = String::from("/graph?g0.expr=");
    for byte in query.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            other => {
                let _ = write!(out, "%{other:02X}");
            }
        }
    }
    out.push_str("&g0.tab=1");
    out
}

/// `global.external_labels` of the loaded configuration, which Prometheus prints in one canonical form:
/// two spaces of indent a level, one label a line, values quoted only where YAML needs it.
fn external_labels(yaml: &str) -> Vec<(String, String)> {
    let mut lines = yaml.lines().skip_while(|line| *line != "global:").skip(1).take_while(|line| line.starts_with(' '));
    if !lines.by_ref().any(|line| line.trim_end() == "  external_labels:") {
        return Vec::new();
    }
    let label = |line: &str| {
        let (name, value) = line.trim().split_once(':')?;
        let value = value.trim();
        let quoted = |mark: char| value.strip_prefix(mark)?.strip_suffix(mark);
        let value = match (quoted('"'), quoted('\'')) {
            (Some(_), _) => serde_json::from_str::<String>(value).ok()?,
            (None, Some(single)) => single.replace("''", "'"),
            (None, None) => value.to_owned(),
        };
        Some((name.trim_matches('"').to_owned(), value))
    };
    lines.take_while(|line| line.starts_with("    ")).filter_map(label).take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::source::config::{SourceConfig, SourceKind};

    const RULES: &str = r#"{"status":"success","data":{"groups":[{"name":"g","file":"/r.yml","interval":15,"rules":[
        {"state":"firing","name":"Down","query":"up == 0","duration":30,"labels":{"severity":"page"},"annotations":{"summary":"x"},
         "alerts":[{"labels":{"alertname":"Down","job":"db","severity":"page"},"annotations":{"summary":"db is down"},"state":"firing","activeAt":"2026-11-21T02:39:00.5Z","value":"0e+00"},
                   {"labels":{"alertname":"Down","job":"web"},"annotations":{},"state":"pending","activeAt":"2026-11-21T02:39:00Z","value":"0e+00"}],
         "health":"ok","evaluationTime":0.001,"lastEvaluation":"2026-11-21T02:40:00Z","type":"alerting"},
        {"state":"inactive","name":"Bad","query":"foo","alerts":[],"health":"err","lastError":"many-to-many","lastEvaluation":"2026-11-21T02:40:00Z","type":"alerting"},
        {"name":"rec","query":"sum(up)","health":"ok","lastEvaluation":"0001-01-01T00:00:00Z","type":"recording"}]}]}}"#;

    fn client() -> Client {
        Client::new(&SourceConfig::new(SourceKind::Prometheus, "http://127.0.0.1:9090/prom/")).unwrap()
    }

    #[test]
    fn firing_alerts_come_with_their_rule() {
        let external = [("cluster".to_owned(), "eu".to_owned()), ("job".to_owned(), "never".to_owned())];
        let read = read(RULES.as_bytes(), &client(), &external).unwrap();
        assert_eq!((read.firing.len(), read.pending, read.evaluated, &*read.broken), (1, 1, true, &["Bad: many-to-many".to_owned()][..]));
        let listed = &read.firing[0];
        assert_eq!((listed.raw.labels.get("cluster"), listed.raw.labels.get("job")), (Some("eu"), Some("db")));
        assert_eq!(listed.raw.generator, "http://127.0.0.1:9090/prom/graph?g0.expr=up+%3D%3D+0&g0.tab=1");
        assert_eq!(listed.expr.as_deref(), Some("up == 0"));
    }

    #[test]
    fn a_rule_that_was_never_evaluated_makes_the_list_incomplete() {
        let young = RULES.replace("2026-11-21T02:40:00Z", "0001-01-01T00:00:00Z");
        assert!(!read(young.as_bytes(), &client(), &[]).unwrap().evaluated);
        let refused = r#"{"status":"error","errorType":"x","error":"no\u0007 rules"}"#;
        assert!(read(refused.as_bytes(), &client(), &[]).err().unwrap().0.contains("(no rules)"));
    }

    #[test]
    fn external_labels_are_found_in_the_loaded_configuration() {
        let yaml = "global:\n  scrape_interval: 15s\n  external_labels:\n    cluster: eu\n    n: \"1\"\n    q: 'it''s: so'\n  query_log_file: x\nscrape_configs:\n- job_name: a\n";
        let labels = external_labels(yaml);
        let expected = [("cluster", "eu"), ("n", "1"), ("q", "it's: so")].map(|(n, v)| (n.to_owned(), v.to_owned()));
        assert_eq!(labels, expected);
        assert!(external_labels("global:\n  scrape_interval: 15s\nrule_files: []\n").is_empty());
        assert!(external_labels("").is_empty());
    }
}
