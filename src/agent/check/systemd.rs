//! Failed systemd units, as `systemctl` lists them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::plugin::{Ran, execute};
use super::{Context, Outcome, metric, threshold};
use crate::agent::text;
use crate::model::severity::Status;

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Systemd {
    /// Units that may fail; `*` at the end stands for the rest of a name.
    pub exclude: Vec<String>,
    /// Units of which even one is critical; other failed ones are a warning. `*` as above.
    pub critical: Vec<String>,
}

/// Whether systemd runs this machine (sd_booted(3)).
pub fn is_here() -> bool {
    std::path::Path::new("/run/systemd/system").is_dir()
}

pub async fn run(systemd: &Systemd, context: &Context) -> Outcome {
    if !is_here() {
        return Outcome::unknown("systemd does not run this machine or container: take this check out of the configuration");
    }
    let command = ["systemctl", "list-units", "--failed", "--all", "--plain", "--no-legend", "--no-pager", "--full"].map(str::to_owned);
    match execute(&command, &BTreeMap::new(), context.limit).await {
        Ran::Exited { status, out, .. } if status.success() => judge(systemd, &out),
        Ran::Exited { err, .. } => Outcome::unknown(format!("systemctl does not answer: {}", text::title(&err))),
        Ran::NotStarted(why) => Outcome::unknown(why),
        Ran::Lost(error) => Outcome::unknown(format!("systemctl was lost: {error}")),
        Ran::TooSlow { .. } => Outcome::unknown("systemctl does not answer in time: systemd may be stuck; try `systemctl --failed` by hand"),
        Ran::Flooded => Outcome::unknown("systemctl printed more than a list of units"),
    }
}

fn judge(systemd: &Systemd, out: &str) -> Outcome {
    let within = |name: &str, list: &[String]| list.iter().any(|pattern| pattern.strip_suffix('*').map_or(pattern == name, |start| name.starts_with(start)));
    // Some versions mark failed units with a dot even in a plain list.
    let units = out.lines().filter_map(|line| line.trim_start_matches(['●', '*', ' ', '×']).split_whitespace().next());
    let failed: Vec<&str> = units.filter(|unit| !within(unit, &systemd.exclude)).collect();
    let critical = failed.iter().any(|unit| within(unit, &systemd.critical));
    let status = threshold::status(!failed.is_empty(), critical);
    let numbers = vec![metric("failed", threshold::float(u64::try_from(failed.len()).unwrap_or(u64::MAX)), "")];
    let shown: Vec<&str> = failed.iter().copied().take(5).collect();
    let words = match (failed.len(), status) {
        (0, _) | (_, Status::Ok) => "no failed units".to_owned(),
        (1, _) => format!("{} has failed; see `systemctl status {}`", shown.join(""), shown.join("")),
        (count, _) if count > shown.len() => format!("{count} units have failed: {} …", shown.join(", ")),
        (count, _) => format!("{count} units have failed: {}", shown.join(", ")),
    };
    Outcome::new(status, text::title(&words)).details(text::details(&failed.join("\n"))).with(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failed_units_are_named_and_some_may_fail() {
        let out = "● nginx.service loaded failed failed A web server\nfwupd-refresh.service loaded failed failed Refresh\n";
        let outcome = judge(&Systemd::default(), out);
        assert_eq!((outcome.status, outcome.text.as_str()), (Status::Warning, "2 units have failed: nginx.service, fwupd-refresh.service"));
        let some = Systemd { exclude: vec!["fwupd-*".into()], critical: vec!["nginx.service".into()] };
        let outcome = judge(&some, out);
        assert_eq!((outcome.status, outcome.text.as_str()), (Status::Critical, "nginx.service has failed; see `systemctl status nginx.service`"));
        assert_eq!(judge(&Systemd::default(), "").status, Status::Ok);
    }

    #[tokio::test]
    async fn a_machine_without_systemd_says_so() {
        let outcome = run(&Systemd::default(), &super::super::test_context(10_000)).await;
        assert!(is_here() || (outcome.status == Status::Unknown && outcome.text.contains("systemd does not run this machine")), "{}", outcome.text);
    }
}
