//! Alertmanager's silences, as far as midwatch knows them: those that its sources hold. It takes none
//! itself, and says what to use instead.

use axum::Extension;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::guard::{Refused, Sender};
use super::{Core, Intake};
use crate::model::event::Silence;
use crate::model::time::Time;

const INSTEAD: &str = "midwatch keeps no silences of its own: snooze the alert in the console or with `midwatch snooze`, \
    or silence it in the Alertmanager that notifies (amtool --alertmanager.url=…)";

async fn known<C: Core>(intake: &Intake<C>, sender: &Sender) -> Result<Vec<Value>, Refused> {
    // What is silenced may be about any system.
    sender.may(None).map_err(|why| Refused::new(StatusCode::FORBIDDEN, why))?;
    let silences = intake.core.look(|primary| primary.world.sources.values().flat_map(|source| source.silences.values().cloned()).collect::<Vec<_>>()).await?;
    let now = intake.core.now();
    Ok(silences.iter().map(|silence| shown(silence, now)).collect())
}

/// A `gettableSilence`.
fn shown(silence: &Silence, now: Time) -> Value {
    let state = if now < silence.starts {
        "pending"
    } else if now < silence.ends {
        "active"
    } else {
        "expired"
    };
    let matchers: Vec<Value> = silence.matchers.iter().map(|m| json!({ "name": m.name, "value": m.value, "isRegex": m.regex, "isEqual": m.equal })).collect();
    json!({
        "id": silence.id,
        "status": { "state": state },
        "updatedAt": silence.starts,
        "startsAt": silence.starts,
        "endsAt": silence.ends,
        "createdBy": silence.by,
        "comment": silence.comment,
        "matchers": matchers,
    })
}

/// `GET /api/v2/silences`.
pub(super) async fn list<C: Core>(State(intake): State<Intake<C>>, Extension(sender): Extension<Sender>) -> Result<Response, Refused> {
    Ok(Json(known(&intake, &sender).await?).into_response())
}

/// `GET /api/v2/silence/{id}`.
pub(super) async fn one<C: Core>(State(intake): State<Intake<C>>, Extension(sender): Extension<Sender>, Path(id): Path<String>) -> Result<Response, Refused> {
    let known = known(&intake, &sender).await?;
    let found = known.into_iter().find(|silence| silence.get("id").and_then(Value::as_str) == Some(&id));
    found
        .map(|silence| Json(silence).into_response())
        .ok_or_else(|| Refused::new(StatusCode::NOT_FOUND, "no source of this server holds a silence with this id"))
}

/// `POST /api/v2/silences`. 400 rather than 501: its clients print the words of the answers that they know.
pub(super) async fn refuse() -> Refused {
    Refused::bad(INSTEAD)
}

/// `DELETE /api/v2/silence/{id}`: the same, with the one status whose words `amtool` prints here.
pub(super) async fn refuse_delete() -> Refused {
    Refused::new(StatusCode::INTERNAL_SERVER_ERROR, INSTEAD)
}
