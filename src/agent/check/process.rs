//! Processes: how many there are of a name or a command line.

use regex::Regex;
use serde::{Deserialize, Serialize};

use super::threshold::float;
use super::{Context, Outcome, blocking, metric};
use crate::model::severity::Status;

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Processes {
    /// The program's name, as `ps -e` shows it.
    pub program: Option<String>,
    /// A pattern that is looked for in the command line.
    #[serde(default, deserialize_with = "pattern", skip_serializing_if = "Option::is_none")]
    pub cmdline: Option<String>,
    /// Fewer than this is critical.
    #[serde(default = "one")]
    pub min: u64,
    /// More than this is a warning.
    pub max: Option<u64>,
}

fn one() -> u64 {
    1
}

fn pattern<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Option<String>, D::Error> {
    let text = Option::<String>::deserialize(d)?;
    match text.as_deref().map(compile) {
        Some(Err(error)) => Err(serde::de::Error::custom(error)),
        Some(Ok(_)) | None => Ok(text),
    }
}

/// A pattern as configurations have them, bounded in memory.
pub(super) fn compile(text: &str) -> Result<Regex, String> {
    regex::RegexBuilder::new(text).size_limit(1 << 20).build().map_err(|error| {
        let words = error.to_string();
        format!("`{text}` is no pattern that can be used: {}", words.lines().last().unwrap_or_default().trim_start_matches("error: "))
    })
}

pub async fn run(processes: &Processes, _: &Context) -> Outcome {
    let wanted = processes.clone();
    let counted = blocking(move || count(&wanted)).await;
    match counted {
        Ok(Ok(number)) => judge(processes, number),
        Ok(Err(outcome)) | Err(outcome) => outcome,
    }
}

fn count(processes: &Processes) -> Result<u64, Outcome> {
    let pattern = processes.cmdline.as_deref().map(compile).transpose().map_err(Outcome::unknown)?;
    let all = procfs::process::all_processes()
        .map_err(|error| Outcome::unknown(format!("/proc cannot be read ({error}): this container does not show its processes")))?;
    let mut number = 0_u64;
    // Processes end while one looks: that is no error. This one is no match for a pattern that it holds itself.
    let own = i32::try_from(std::process::id()).ok();
    for process in all.flatten().filter(|process| Some(process.pid) != own) {
        let Ok(stat) = process.stat() else { continue };
        if stat.state == 'Z' || processes.program.as_deref().is_some_and(|name| !same(&stat.comm, name)) {
            continue;
        }
        if let Some(pattern) = &pattern {
            let line = process.cmdline().unwrap_or_default().join(" ");
            if !pattern.is_match(&line) {
                continue;
            }
        }
        number = number.saturating_add(1);
    }
    Ok(number)
}

/// The kernel keeps the first 15 bytes of a name.
fn same(comm: &str, name: &str) -> bool {
    comm == name || (comm.len() == 15 && name.starts_with(comm))
}

fn judge(processes: &Processes, number: u64) -> Outcome {
    let what = match (&processes.program, &processes.cmdline) {
        (Some(name), None) => format!("`{name}`"),
        (None, Some(pattern)) => format!("with `{pattern}` in their command line"),
        (Some(name), Some(pattern)) => format!("`{name}` with `{pattern}` in their command line"),
        (None, None) => "in all".to_owned(),
    };
    let noun = if number == 1 { "process" } else { "processes" };
    let mut count = metric("processes", float(number), "");
    count.critical = format!("{}:", processes.min).into();
    count.warning = processes.max.map_or_else(String::new, |max| max.to_string()).into();
    let outcome = if number < processes.min {
        Outcome::new(Status::Critical, format!("{number} {noun} {what}, at least {} should run", processes.min))
    } else if processes.max.is_some_and(|max| number > max) {
        Outcome::new(Status::Warning, format!("{number} {noun} {what}, at most {} should run", processes.max.unwrap_or_default()))
    } else {
        Outcome::new(Status::Ok, format!("{number} {noun} {what}"))
    };
    outcome.with(vec![count])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn processes_are_found_by_name_and_by_command_line_and_missed_when_gone() {
        let mark = format!("9917{}", std::process::id());
        let mut child = tokio::process::Command::new("sleep").arg(&mark).kill_on_drop(true).spawn().unwrap();
        let wanted = Processes { program: Some("sleep".into()), cmdline: Some(format!("^sleep {mark}$")), min: 1, max: Some(1) };
        let context = super::super::test_context(10_000);
        // Between fork and exec the child still has its parent's name.
        while run(&wanted, &context).await.status != Status::Ok {
            tokio::task::yield_now().await;
        }
        child.kill().await.unwrap();
        let outcome = run(&wanted, &context).await;
        assert_eq!(outcome.status, Status::Critical);
        assert!(outcome.text.contains("at least 1 should run"), "{}", outcome.text);
    }

    #[test]
    fn too_many_is_a_warning_and_long_names_are_cut_as_the_kernel_cuts_them() {
        let wanted = Processes { program: Some("x".into()), cmdline: None, min: 0, max: Some(2) };
        assert_eq!([judge(&wanted, 0).status, judge(&wanted, 2).status, judge(&wanted, 3).status], [Status::Ok, Status::Ok, Status::Warning]);
        assert!(same("prometheus-node", "prometheus-node-exporter") && !same("prom", "prometheus"));
    }

    #[test]
    fn b5_patterns_that_explode_are_refused() {
        assert!(compile("a{1000}{1000}{1000}").is_err());
        assert!(compile("(").unwrap_err().contains("unclosed group"));
    }
}
