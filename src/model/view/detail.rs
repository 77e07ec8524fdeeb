//! Everything around one alert that answers "what changed, who did what, whom to wake, how is it done here".

use std::sync::Arc;

use super::Sky;
use super::alerts::AlertRow;
use super::entries::Layers;
use super::graph::{Graph, Walker};
use super::suspect::{Changes, Suspect};
use crate::model::event::{Condition, Link};
use crate::model::history::{Elsewhere, History, ago};
use crate::model::id::{AlertRef, SystemRef};
use crate::model::labels::Labels;
use crate::model::reading::Numbers;
use crate::model::severity::Severity;
use crate::model::system::Contact;
use crate::model::time::{Span, Time};
use crate::model::world::{Alert, Deed, DeedKind, Past};

#[derive(Clone, PartialEq, Debug)]
pub struct Detail {
    pub alert: AlertRef,
    pub name: String,
    /// What people call the system, with its category: "Varnish, the shop's cache service".
    pub title: String,
    pub about: Arc<str>,
    pub what: Arc<str>,
    pub text: Arc<str>,
    pub severity: Severity,
    pub condition: Condition,
    pub since: Option<Time>,
    pub labels: Labels,
    pub expr: Option<Arc<str>>,
    /// What its numbers are now, beside their thresholds, where somebody tells.
    pub numbers: Option<Numbers>,
    pub said_by: Vec<String>,
    /// What changed before it, the likeliest to have brought it about first.
    pub changes: Vec<Suspect>,
    /// What people did and said about it or its system, newest first.
    pub deeds: Vec<DeedLine>,
    /// Its past in sentences, with the numbers behind the verdict.
    pub history: Vec<String>,
    /// The same check elsewhere, all together and one by one: "blog/varnish 3 Oct: ttl too low, reverted".
    pub elsewhere: Vec<String>,
    pub owner: Arc<str>,
    pub contacts: Vec<Contact>,
    pub runbooks: Vec<Link>,
    pub dashboards: Vec<Link>,
    pub links: Vec<Link>,
    /// Newest first.
    pub past: Vec<Past>,
    pub episodes: u32,
}

#[derive(Clone, PartialEq, Debug)]
pub struct DeedLine {
    pub at: Time,
    pub by: String,
    pub kind: DeedKind,
    /// What they did, as it reads behind their name: "acknowledged: on it".
    pub words: String,
    pub here: bool,
}

/// Of one alert; `rows` are all that are open, with their causes.
pub fn detail(sky: &Sky, rows: &[AlertRow], reference: AlertRef, now: Time) -> Option<Detail> {
    let (server, seen) = sky.of_origin(reference.origin)?;
    let alert = seen.world.alert(reference.alert)?;
    let system = SystemRef { origin: reference.origin, id: alert.system.clone() };
    let graph = Graph::of(sky);
    let spec = sky.declared(server, &alert.system, |s| s.declared).map(|s| &s.spec);
    let called = seen.world.system(&alert.system).map_or("", |s| &s.spec.title);
    let category = spec.map_or("", |s| &s.category);
    let title = match (called.is_empty(), category.is_empty()) {
        (true, true) => String::new(),
        (false, true) => called.to_owned(),
        (true, false) => format!("the {} {category}", alert.system),
        (false, false) => format!("{called}, {category}"),
    };
    let is_runbook = |link: &&Link| link.name.to_lowercase().contains("runbook");
    let is_dashboard = |link: &&Link| link.name.to_lowercase().contains("dashboard");
    let runbooks_of = sky.declared(server, &alert.system, |s| !s.spec.runbooks.is_empty()).map(|s| s.spec.runbooks.as_slice()).unwrap_or_default();
    let dashboards_of = sky.declared(server, &alert.system, |s| !s.spec.dashboards.is_empty()).map(|s| s.spec.dashboards.as_slice()).unwrap_or_default();
    Some(Detail {
        alert: reference,
        name: sky.name_of(server, &alert.system),
        title,
        about: spec.map_or_else(|| "".into(), |s| s.about.clone()),
        what: alert.title.clone(),
        text: alert.text.clone(),
        severity: alert.severity,
        condition: alert.condition,
        since: alert.now.map(|open| open.since),
        labels: alert.labels.clone(),
        expr: alert.expr.clone(),
        numbers: sky.numbers(reference),
        said_by: alert.holders.iter().map(ToString::to_string).collect(),
        changes: Changes::of(sky, &graph).before(&mut Walker::new(&graph), &Layers::of(rows), reference, now),
        deeds: deeds(sky, reference, &system, now),
        history: History::of(alert, &seen.world, &sky.zone, now).sentences(&sky.zone, now),
        elsewhere: elsewhere(sky, reference, alert, now),
        owner: sky.declared(server, &alert.system, |s| !s.spec.owner.is_empty()).map_or_else(|| "".into(), |s| s.spec.owner.clone()),
        contacts: sky.declared(server, &alert.system, |s| !s.spec.contacts.is_empty()).map(|s| s.spec.contacts.clone()).unwrap_or_default(),
        runbooks: unique(alert.links.iter().filter(is_runbook).chain(runbooks_of)),
        dashboards: unique(alert.links.iter().filter(is_dashboard).chain(dashboards_of)),
        links: alert.links.iter().filter(|link| !is_runbook(link) && !is_dashboard(link)).cloned().collect(),
        past: alert.past.iter().rev().copied().collect(),
        episodes: alert.episodes,
    })
}

fn unique<'a>(links: impl Iterator<Item = &'a Link>) -> Vec<Link> {
    let mut out: Vec<Link> = Vec::new();
    for link in links {
        if !out.iter().any(|known| known.url == link.url) {
            out.push(link.clone());
        }
    }
    out
}

fn all_deeds(sky: &Sky) -> impl Iterator<Item = (usize, SystemRef, &Arc<Deed>)> {
    sky.servers.iter().enumerate().flat_map(|(index, seen)| {
        let origin = seen.world.origin;
        seen.world.deeds.iter().filter(|deed| !deed.withdrawn).filter_map(move |deed| Some((index, SystemRef { origin, id: deed.system.clone()? }, deed)))
    })
}

fn deeds(sky: &Sky, reference: AlertRef, system: &SystemRef, now: Time) -> Vec<DeedLine> {
    let mut out: Vec<DeedLine> = all_deeds(sky)
        .filter(|(_, _, deed)| !deed.kind.is_change())
        .filter_map(|(_, at, deed)| {
            let here = at.origin == reference.origin && deed.alert == Some(reference.alert);
            let beside = at == *system && now.since(deed.at) < Span::from_days(7);
            (here || beside).then(|| DeedLine { at: deed.at, by: deed.by.name().to_owned(), kind: deed.kind, words: did(deed, here), here })
        })
        .collect();
    out.sort_by_key(|line| std::cmp::Reverse(line.at));
    out.truncate(20);
    out
}

/// A deed behind its actor's name. Titles begin with that name ("kim acknowledged …"), notes do not.
fn did(deed: &Deed, here: bool) -> String {
    let by = deed.by.name();
    let title = deed.title.strip_prefix(by).map_or(&*deed.title, str::trim_start);
    let named = title.len() < deed.title.len();
    let verb = match deed.kind {
        DeedKind::Note => return format!("noted: {}", deed.title),
        DeedKind::Acknowledged => "acknowledged",
        DeedKind::Snoozed => "snoozed",
        DeedKind::Resolved => "resolved",
        DeedKind::Assigned
        | DeedKind::Change
        | DeedKind::Restarted
        | DeedKind::Commit
        | DeedKind::Configured
        | DeedKind::SilenceEnded
        | DeedKind::Inventory
        | DeedKind::Action
        | DeedKind::Apart
        | DeedKind::Other => return title.to_owned(),
    };
    match (deed.text.is_empty(), here, named) {
        (false, _, _) => format!("{verb}: {}", deed.text),
        // Which alert, the detail says already.
        (true, true, _) if deed.kind != DeedKind::Snoozed => format!("{verb} it"),
        (true, _, true) => title.to_owned(),
        (true, _, false) => format!("{verb} {title}"),
    }
}

fn elsewhere(sky: &Sky, reference: AlertRef, alert: &Alert, now: Time) -> Vec<String> {
    let mut found: Vec<(Time, String)> = Vec::new();
    let mut others: Vec<&Alert> = Vec::new();
    for (index, seen) in sky.servers.iter().enumerate() {
        for (fingerprint, other) in &seen.world.alerts {
            let same = seen.world.origin == reference.origin && *fingerprint == reference.alert;
            if same || other.check != alert.check || other.system == alert.system {
                continue;
            }
            others.push(other);
            let name = sky.name_of(index, &other.system);
            let said = seen.world.deeds.iter().rev().find(|deed| deed.alert == Some(*fingerprint) && !deed.withdrawn && !deed.text.is_empty());
            match (other.now, other.past.last()) {
                (Some(open), _) => found.push((open.since, format!("{name}: open since {}", ago(open.since, now)))),
                (None, Some(past)) => {
                    let words = said.map_or_else(|| format!("lasted {}", past.until.since(past.from)), |deed| format!("{} ({})", deed.title, deed.by.name()));
                    found.push((past.from, format!("{name} {}: {words}", ago(past.from, now))));
                }
                (None, None) => {}
            }
        }
    }
    found.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
    // Of one other system its line says it all.
    let together = Some(others).filter(|others| others.len() > 1).and_then(|others| Elsewhere::of(others.into_iter(), now).words());
    together.into_iter().chain(found.into_iter().take(4).map(|(_, words)| words)).collect()
}
