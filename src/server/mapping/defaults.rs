//! What labels and annotations mean where no rule says it: the customs of Prometheus' users.

use std::borrow::Cow;
use std::sync::Arc;

use super::{Cuts, LONGEST_TEXT, Raw, Via, block, is_link, one_line};
use crate::model::id::{CheckId, SystemId};
use crate::model::severity::Severity;

/// Labels that name a service, the plainest first; a namespace goes before it.
const SERVICES: [&str; 5] = ["service", "app", "application", "app_kubernetes_io_name", "component"];
/// Labels that name a machine.
const HOSTS: [&str; 6] = ["host", "hostname", "nodename", "node", "instance", "exported_instance"];
/// Jobs that name the exporter that looks, not the service that is looked at.
const EXPORTERS: [&str; 12] = [
    "node",
    "node-exporter",
    "node_exporter",
    "windows-exporter",
    "windows_exporter",
    "blackbox",
    "blackbox-exporter",
    "blackbox_exporter",
    "kube-state-metrics",
    "kubelet",
    "cadvisor",
    "snmp",
];
const TITLES: [&str; 4] = ["summary", "title", "message", "description"];
const TEXTS: [&str; 3] = ["description", "message", "details"];
const SEVERITIES: [&str; 3] = ["severity", "priority", "level"];

/// The system: label `system`; else a service, within its namespace; else the job, if it is no
/// exporter; else the namespace; else the machine.
pub(super) fn system(raw: &Raw<'_>) -> (SystemId, Via) {
    let labels = &raw.labels;
    if let Some(system) = labels.some("system") {
        return (SystemId::lenient(system), Via::Label("system"));
    }
    let namespace = labels.some("namespace");
    // A divider within a name stays a name: only `system` and rules make paths.
    let within = |name: &str| {
        let name = name.replace('/', "-");
        SystemId::lenient(&namespace.map_or_else(|| name.clone(), |namespace| format!("{}/{name}", namespace.replace('/', "-"))))
    };
    if let Some((label, service)) = SERVICES.into_iter().find_map(|label| Some((label, labels.some(label)?))) {
        return (within(service), Via::Label(label));
    }
    if let Some(job) = labels.some("job").filter(|job| !EXPORTERS.contains(job)) {
        return (within(job.rsplit('/').next().unwrap_or(job)), Via::Label("job"));
    }
    if let Some(namespace) = namespace {
        return (SystemId::lenient(&namespace.replace('/', "-")), Via::Label("namespace"));
    }
    if let Some((label, host)) = HOSTS.into_iter().find_map(|label| Some((label, labels.some(label)?))) {
        return (SystemId::lenient(&host_of(host).replace('/', "-")), Via::Label(label));
    }
    if let Some(job) = labels.some("job") {
        return (within(job), Via::Label("job"));
    }
    (SystemId::lenient(SystemId::UNMAPPED), Via::Nothing)
}

/// The machine in an instance: without port, without scheme and path.
fn host_of(instance: &str) -> &str {
    let rest = instance.split_once("://").map_or(instance, |(_, rest)| rest);
    let rest = rest.split('/').next().unwrap_or(rest);
    match rest.rsplit_once(':') {
        Some((host, port))
            if !host.is_empty() && !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) && (!host.contains(':') || host.ends_with(']')) =>
        {
            host.trim_start_matches('[').trim_end_matches(']')
        }
        Some(_) | None => rest,
    }
}

/// A severity word of label or annotation; what fires without one wants to be looked at: a warning.
pub(super) fn severity(raw: &Raw<'_>) -> Severity {
    SEVERITIES.iter().find_map(|label| Severity::from_word(raw.labels.some(label)?)).unwrap_or(Severity::Warning)
}

/// The title, and the annotation that it is.
pub(super) fn title(raw: &Raw<'_>, check: &CheckId, cuts: &mut Cuts) -> (Arc<str>, Option<&'static str>) {
    let words = TITLES.into_iter().find_map(|name| Some((name, raw.annotations.some(name)?)));
    if let Some((name, words)) = words {
        // A description of several lines gives its first one, and stays whole as the text.
        let line = words.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        let title = one_line(line, cuts);
        if !title.is_empty() {
            let whole = line.len() == words.trim().len();
            return (title, whole.then_some(name));
        }
    }
    let place = HOSTS.iter().find_map(|label| raw.labels.some(label));
    let title = place.map_or_else(|| check.to_string(), |place| format!("{check} on {place}"));
    (one_line(&title, cuts), None)
}

/// The description, then the other annotations as `name: value`, so that nothing that a team wrote is lost.
pub(super) fn text(raw: &Raw<'_>, used: Option<&str>, cuts: &mut Cuts) -> Arc<str> {
    let main = TEXTS.into_iter().filter(|name| used != Some(*name)).find_map(|name| Some((name, raw.annotations.some(name)?)));
    let other = |(name, value): &(&str, &str)| {
        let said = used == Some(*name) || main.is_some_and(|(main, _)| main == *name);
        let linked = kind_of_link(name).is_some() && is_link(value);
        !(said || linked || value.is_empty())
    };
    if main.is_none() && !raw.annotations.iter().any(|pair| other(&pair)) {
        return "".into();
    }
    let mut out = main.map_or_else(String::new, |(_, words)| block(words, cuts));
    for (name, value) in raw.annotations.iter().filter(other) {
        if out.len() > LONGEST_TEXT {
            cuts.texts = cuts.texts.saturating_add(1);
            break;
        }
        if !out.is_empty() {
            out.push('\n');
        }
        out.push_str(super::head(name, 200));
        out.push_str(": ");
        out.push_str(&block(value, cuts));
    }
    block(&out, cuts).into()
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum LinkKind {
    Runbook,
    Dashboard,
    Panel,
}

fn kind_of_link(annotation: &str) -> Option<LinkKind> {
    Some(match annotation {
        "runbook_url" | "runbook" | "runbookURL" | "runbook_link" | "playbook" | "playbook_url" => LinkKind::Runbook,
        "dashboard_url" | "dashboard" | "dashboardURL" | "grafana" | "grafana_url" | "dashboard_link" => LinkKind::Dashboard,
        "panel_url" | "panelURL" | "graph" | "graph_url" => LinkKind::Panel,
        _ => return None,
    })
}

/// Names that every link bears; shared, since there are many links and few names.
#[derive(Clone, Debug)]
pub(super) struct Words {
    runbook: Arc<str>,
    dashboard: Arc<str>,
    panel: Arc<str>,
    pub query: Arc<str>,
}

impl Words {
    pub fn new() -> Words {
        Words { runbook: "runbook".into(), dashboard: "dashboard".into(), panel: "graph".into(), query: "query".into() }
    }

    /// What a link in this annotation is called; nothing if it holds none.
    pub fn link(&self, annotation: &str) -> Option<&Arc<str>> {
        kind_of_link(annotation).map(|kind| match kind {
            LinkKind::Runbook => &self.runbook,
            LinkKind::Dashboard => &self.dashboard,
            LinkKind::Panel => &self.panel,
        })
    }
}

/// A link that carries a name and a password is kept without them.
pub(super) fn without_credentials(url: &str) -> Cow<'_, str> {
    let Some((scheme, rest)) = url.split_once("://") else { return Cow::Borrowed(url) };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    match authority.rsplit_once('@').and_then(|(user, _)| rest.get(user.len() + 1..)) {
        Some(rest) => Cow::Owned(format!("{scheme}://{rest}")),
        None => Cow::Borrowed(url),
    }
}

/// The rule's expression, which Prometheus puts into its generator link (`/graph?g0.expr=…`).
pub(super) fn expression(generator: &str) -> Option<Arc<str>> {
    let (_, query) = generator.split_once('?')?;
    let encoded = query.split('&').find_map(|part| part.strip_prefix("g0.expr="))?;
    if encoded.is_empty() || encoded.len() > 8_192 {
        return None;
    }
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok().map(Arc::from)
}
