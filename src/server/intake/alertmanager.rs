//! Alertmanager's API v2 for those who push: Prometheus itself, and `amtool alert add`.
//!
//! The semantics are Alertmanager's (`api/v2/openapi.yaml`, `types.Alert`), save one: an `endsAt` ahead
//! is how long the sender vouches for the alert, not when it ends.

use std::borrow::Cow;
use std::sync::atomic::Ordering;

use axum::Extension;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;

use super::guard::{Refused, Sender, body};
use super::{Core, Intake, json as bounded};
use crate::model::id::{CheckId, SourceId};
use crate::model::report::{Report, Reported, ReportedState};
use crate::model::time::Time;
use crate::server::mapping::{Mapping, Pairs, Raw, Text, Via};

/// What a push is called whose token has no name.
const NAME: &str = "prometheus";
/// Faults of single alerts that are named in an answer.
const FAULTS: usize = 20;
/// Names of rules that are compared with before they are taken as they are.
const MOST_CHECKS: usize = 32;

/// One alert of a push (`postableAlert`).
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Postable<'a> {
    #[serde(borrow)]
    labels: Pairs<'a>,
    #[serde(borrow, default)]
    annotations: Pairs<'a>,
    #[serde(borrow, default)]
    starts_at: Text<'a>,
    #[serde(borrow, default)]
    ends_at: Text<'a>,
    #[serde(borrow, default, rename = "generatorURL")]
    generator: Text<'a>,
}

/// `POST /api/v2/alerts`: answered when all good ones are durable. Bad ones are named, with status 400,
/// as Alertmanager does.
pub(super) async fn push<C: Core>(
    State(intake): State<Intake<C>>,
    Extension(sender): Extension<Sender>,
    headers: HeaderMap,
    request: Body,
) -> Result<Response, Refused> {
    let body = body(&intake, request).await?;
    let now = intake.core.now();
    // The message's own time, where its sender says it: its clock, not ours, wrote the ends.
    let said = headers.get(header::DATE).and_then(|date| jiff::fmt::rfc2822::parse(date.to_str().ok()?).ok()).map(|date| Time::from(date.timestamp()));
    let alerts: Vec<Postable<'_>> = bounded::read(&body, "a list of alerts as Alertmanager's API v2 takes them")?;
    let mut faults = Vec::new();
    let mut reports: Vec<Report> = Vec::new();
    let (mut unmapped, mut outside) = (0_u64, false);
    let mut checks: Vec<CheckId> = Vec::new();
    for (alert, number) in alerts.into_iter().zip(1_usize..) {
        let source = source(&alert, &sender, &intake.config.replica_labels);
        match reported(&intake.config.mapping, alert, said.unwrap_or(now), now, |cuts, via| {
            intake.counts.cut(cuts);
            unmapped += u64::from(via == Via::Nothing);
        })
        .and_then(|reported| {
            let may = sender.may(Some(&reported.system));
            outside |= may.is_err();
            may.map(|()| shared(reported, &mut checks))
        }) {
            Ok(reported) => match reports.iter_mut().find(|report| report.source.as_str() == &*source) {
                Some(report) => report.alerts.push(reported),
                None => reports.push(Report { source: SourceId::new(&source), at: said.unwrap_or(now), alerts: vec![reported], complete: false }),
            },
            Err(why) if faults.len() < FAULTS => faults.push(format!("alert {number}: {why}")),
            Err(_) => {}
        }
    }
    drop(body);
    intake.counts.unmapped.fetch_add(unmapped, Ordering::Relaxed);
    for report in reports {
        let count = u64::try_from(report.alerts.len()).unwrap_or(u64::MAX);
        intake.core.report(report).await?;
        intake.counts.alerts.fetch_add(count, Ordering::Relaxed);
    }
    if faults.is_empty() {
        return Ok(StatusCode::OK.into_response());
    }
    let status = if outside { StatusCode::FORBIDDEN } else { StatusCode::BAD_REQUEST };
    Err(Refused::new(status, format!("the other alerts were taken; not these: {}", faults.join("; "))))
}

/// The alerts of a push come from few rules: those of one rule share its name's memory, which they keep
/// for as long as they are held.
fn shared(mut reported: Reported, checks: &mut Vec<CheckId>) -> Reported {
    match checks.iter().find(|check| **check == reported.check) {
        Some(known) => reported.check = known.clone(),
        None if checks.len() < MOST_CHECKS => checks.push(reported.check.clone()),
        None => {}
    }
    reported
}

/// Who says it: the sender, and which of its replicas.
fn source<'a>(alert: &Postable<'_>, sender: &'a Sender, replica_labels: &[std::sync::Arc<str>]) -> Cow<'a, str> {
    let name = sender.or(NAME);
    match replica_labels.iter().find_map(|label| alert.labels.some(label)) {
        Some(replica) => Cow::Owned(format!("{name}/{replica}")),
        None => Cow::Borrowed(name),
    }
}

fn reported(mapping: &Mapping, alert: Postable<'_>, said: Time, now: Time, seen: impl FnOnce(crate::server::mapping::Cuts, Via)) -> Result<Reported, String> {
    let labels = alert.labels.without_empty();
    if labels.is_empty() {
        return Err("it has no labels; an alert needs at least one".to_owned());
    }
    let starts = bounded::time(&alert.starts_at.0).map_err(|why| format!("startsAt: {why}"))?;
    let ends = bounded::time(&alert.ends_at.0).map_err(|why| format!("endsAt: {why}"))?;
    if let (Some(starts), Some(ends)) = (starts, ends)
        && ends < starts
    {
        return Err(format!("it ends ({ends}) before it starts ({starts})"));
    }
    let state = match ends {
        Some(ends) if ends <= said => ReportedState::Resolved { at: ends },
        // Rules say where they come from, and their ends ahead are leases; an end from anybody else is meant.
        Some(ends) if alert.generator.0.is_empty() => ReportedState::Ending { at: ends },
        until => ReportedState::Firing { until },
    };
    let mapped = mapping.map(Raw { labels, annotations: alert.annotations, generator: alert.generator.0 });
    seen(mapped.cuts, mapped.via);
    Ok(mapped.reported(starts.or(ends).unwrap_or(now), state))
}

/// `GET /api/v2/status`: what `amtool` and Prometheus' users ask first.
pub(super) async fn status<C: Core>(State(intake): State<Intake<C>>) -> Response {
    let config = "# This is midwatch; its configuration is its own: see `midwatch config show`.\nroute:\n  receiver: midwatch\nreceivers:\n- name: midwatch\n";
    Json(json!({
        "cluster": { "name": "", "status": "disabled", "peers": [] },
        "versionInfo": {
            "branch": "", "buildDate": "", "buildUser": "midwatch", "goVersion": "", "revision": "", "version": format!("midwatch {}", intake.config.version),
        },
        "config": { "original": config },
        "uptime": intake.config.started.to_string(),
    }))
    .into_response()
}

/// `GET /api/v2/receivers`: there is one, midwatch itself.
pub(super) async fn receivers() -> Response {
    Json(json!([{ "name": "midwatch" }])).into_response()
}
