//! Alertmanager's webhook, version 4 (`webhook_config` of its documentation): what it notifies.
//!
//! A webhook says when an alert fires and when it is over; between the two it promises nothing. So an
//! open one has no lease that could pass, and an `endsAt` of year 1 means open.

use axum::Extension;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;

use std::sync::atomic::Ordering;

use super::guard::{Refused, Sender, body};
use super::{Core, Intake, json as bounded};
use crate::model::event::{Actor, Draft, Kind, Other};
use crate::model::id::SourceId;
use crate::model::report::{Report, ReportedState};
use crate::model::severity::Severity;
use crate::model::time::Time;
use crate::model::words::counted;
use crate::server::mapping::{Pairs, Raw, Text, Via};

/// What a webhook is called whose token has no name.
const NAME: &str = "alertmanager-webhook";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Message<'a> {
    #[serde(borrow, default)]
    version: Text<'a>,
    #[serde(default)]
    truncated_alerts: u64,
    #[serde(borrow, default)]
    receiver: Text<'a>,
    #[serde(borrow)]
    alerts: Vec<Notified<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Notified<'a> {
    #[serde(borrow, default)]
    status: Text<'a>,
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

/// `POST /api/v1/webhook/alertmanager`: all of a message or nothing.
pub(super) async fn take<C: Core>(State(intake): State<Intake<C>>, Extension(sender): Extension<Sender>, request: Body) -> Result<Response, Refused> {
    let body = body(&intake, request).await?;
    let now = intake.core.now();
    let message: Message<'_> = bounded::read(&body, "a message of Alertmanager's webhook")?;
    if message.version.0 != "4" {
        let version: String = message.version.0.chars().take(20).collect();
        return Err(Refused::bad(format!("its version is `{version}`, and 4 is read; point a `webhook_configs` of Alertmanager 0.16 or newer here")));
    }
    let source = SourceId::new(sender.or(NAME));
    let receiver: String = message.receiver.0.chars().filter(|c| !c.is_control()).take(100).collect();
    let left_out = message.truncated_alerts;
    let mut alerts = Vec::with_capacity(message.alerts.len());
    let mut unmapped = 0_u64;
    for (alert, number) in message.alerts.into_iter().zip(1_usize..) {
        let refuse = |why: String| Refused::bad(format!("nothing was taken, alert {number}: {why}"));
        let starts = bounded::time(&alert.starts_at.0).map_err(|why| refuse(format!("startsAt: {why}")))?;
        let ends = bounded::time(&alert.ends_at.0).map_err(|why| refuse(format!("endsAt: {why}")))?;
        let state = match &*alert.status.0 {
            "resolved" => ReportedState::Resolved { at: ends.unwrap_or(now).min(now) },
            "firing" => ReportedState::Firing { until: Some(Time::MAX) },
            other => return Err(refuse(format!("its status is `{}`, neither firing nor resolved", other.chars().take(20).collect::<String>()))),
        };
        let mapped = intake.config.mapping.map(Raw { labels: alert.labels.without_empty(), annotations: alert.annotations, generator: alert.generator.0 });
        intake.counts.cut(mapped.cuts);
        unmapped += u64::from(mapped.via == Via::Nothing);
        let reported = mapped.reported(starts.unwrap_or(now), state);
        sender.may(Some(&reported.system)).map_err(|why| Refused::new(StatusCode::FORBIDDEN, format!("nothing was taken, alert {number}: {why}")))?;
        alerts.push(reported);
    }
    let taken = alerts.len();
    intake.core.report(Report { source: source.clone(), at: now, alerts, complete: false }).await?;
    intake.counts.alerts.fetch_add(u64::try_from(taken).unwrap_or(u64::MAX), Ordering::Relaxed);
    intake.counts.unmapped.fetch_add(unmapped, Ordering::Relaxed);
    if left_out > 0 {
        let title = format!("Alertmanager left out {} of a notification (max_alerts of its receiver {receiver})", counted(left_out, "alert"));
        let kind = Kind::Other(Other { kind: "source.truncated".into(), data: json!({ "source": source.as_str(), "left_out": left_out }) });
        let draft = Draft::new(now, Actor::Source(source), kind, title).severity(Severity::Warning);
        intake.core.record(vec![draft]).await?;
    }
    Ok(Json(json!({ "taken": taken, "left_out_by_alertmanager": left_out })).into_response())
}
