//! `POST /api/v1/events`: anything that happened, from whoever has a token: one event as a JSON object,
//! or many as JSON Lines.
//!
//! Fields: `title`; if wanted `at` (RFC 3339; else now), `system`, `kind`, `severity`, `text`, `labels`,
//! `links` (addresses, or objects of `name` and `url`), `actor`, `version` (of a `change`), `data` (an
//! object of the kind's own). All of a request is taken or none of it: the answer names each bad line.
//! A time that lies ahead of this server's clock is taken as now, which the event's text says, and one in
//! the far past as it is; the answer counts both.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::Extension;
use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::guard::{Refused, Sender, Why, body};
use super::{Config, Core, Intake, json as bounded};
use crate::model::clean::clean_line;
use crate::model::event::{Actor, Change, Draft, Kind, Link, LogLine, Other};
use crate::model::id::{SourceId, SystemId};
use crate::model::severity::Severity;
use crate::model::time::{Span, Time};
use crate::server::mapping::{Cuts, Kept, Pairs, Text};

/// What the sender is called whose token has no name.
const NAME: &str = "events";
/// Events of one request, bad lines that an answer names, and bytes of one event's `data`, at most.
const MOST: usize = 10_000;
const FAULTS: usize = 20;
/// An event that happened before this is kept as it is told; the answer says it, in case a clock is wrong.
const LONG_PAST: Span = Span::from_days(1_000);
const DATA: usize = 32_768;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Posted<'a> {
    #[serde(borrow)]
    title: Text<'a>,
    #[serde(borrow, default)]
    at: Text<'a>,
    #[serde(borrow, default)]
    system: Text<'a>,
    #[serde(borrow, default)]
    kind: Text<'a>,
    #[serde(borrow, default)]
    severity: Text<'a>,
    #[serde(borrow, default)]
    text: Text<'a>,
    #[serde(borrow, default)]
    labels: Pairs<'a>,
    #[serde(borrow, default)]
    links: Vec<Posting<'a>>,
    #[serde(borrow, default)]
    actor: Text<'a>,
    #[serde(borrow, default)]
    version: Text<'a>,
    #[serde(default)]
    data: Option<Map<String, Value>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Posting<'a> {
    Address(String),
    Named {
        #[serde(borrow, default)]
        name: Text<'a>,
        url: String,
    },
}

/// Takes all events of a request, or none and says which lines are bad.
pub(super) async fn take<C: Core>(State(intake): State<Intake<C>>, Extension(sender): Extension<Sender>, request: Body) -> Result<Response, Refused> {
    let body = body(&intake, request).await?;
    let now = intake.core.now();
    let skew = intake.core.look(|primary| primary.rules.skew).await?;
    let text = std::str::from_utf8(&body)
        .map_err(|error| Refused::bad(format!("the body is not UTF-8: byte {} begins none of its characters", error.valid_up_to())))?;
    let mut drafts = Vec::new();
    let mut cuts = Cuts::default();
    let mut faults = Vec::new();
    let (mut bad, mut outside) = (0_usize, false);
    for (number, piece) in pieces(text) {
        if drafts.len() == MOST {
            return Err(Refused::new(StatusCode::PAYLOAD_TOO_LARGE, format!("more than {MOST} events in one request; send them in several")));
        }
        let read = read(piece).and_then(|posted| draft(posted, sender.or(NAME), &intake.config, now, &mut cuts));
        let allowed = read.and_then(|draft| {
            let may = sender.may(draft.system.as_ref());
            outside |= may.is_err();
            may.map(|()| draft)
        });
        match allowed {
            Ok(draft) => drafts.push(draft),
            Err(why) => {
                bad += 1;
                if faults.len() < FAULTS {
                    faults.push(json!({ "line": number, "why": clean_line(&why) }));
                }
            }
        }
    }
    if bad > 0 {
        let what = if outside { "cannot be taken" } else { "cannot be read" };
        let error = format!("nothing was taken: {bad} of {} events {what}", bad + drafts.len());
        let first = faults.first().map_or_else(String::new, |fault| format!(", line {}: {}", fault["line"], fault["why"].as_str().unwrap_or_default()));
        let why = Why(format!("{error}{first}").into());
        let status = if outside { StatusCode::FORBIDDEN } else { StatusCode::BAD_REQUEST };
        let mut answer = (status, Json(json!({ "error": error, "lines": faults }))).into_response();
        answer.extensions_mut().insert(why);
        return Ok(answer);
    }
    if drafts.is_empty() {
        return Err(Refused::bad(
            "no event in the body; send an object like {\"title\": \"deploy 4f3a2c\", \"system\": \"shop\", \"kind\": \"change\"}, or one a line",
        ));
    }
    let taken = drafts.len();
    let ahead = drafts.iter().filter(|draft| draft.at > now.plus(skew)).count();
    let long_past = drafts.iter().filter(|draft| draft.at < now.minus(LONG_PAST)).count();
    intake.core.record(drafts).await?;
    intake.counts.events.fetch_add(u64::try_from(taken).unwrap_or(u64::MAX), Ordering::Relaxed);
    intake.counts.cut(cuts);
    let mut answer = json!({ "taken": taken });
    if let (true, Some(answer)) = (cuts != Cuts::default(), answer.as_object_mut()) {
        let said = json!({ "labels_dropped": cuts.labels, "values_shortened": cuts.values, "texts_cut": cuts.texts, "values_redacted": cuts.redacted });
        answer.insert("not_kept_whole".to_owned(), said);
    }
    for (name, count) in [("times_taken_as_now", ahead), ("times_long_past", long_past)] {
        if let (true, Some(answer)) = (count > 0, answer.as_object_mut()) {
            answer.insert(name.to_owned(), count.into());
        }
    }
    Ok((StatusCode::OK, Json(answer)).into_response())
}

/// The events of a body with their lines: the whole of it, if it is one object over several lines.
fn pieces(text: &str) -> Vec<(usize, &str)> {
    let lines: Vec<(usize, &str)> = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()).take(MOST + 1).collect();
    let first = lines.first().map_or("", |(_, line)| line.trim());
    let one = lines.len() > 1 && first.starts_with('{') && !(first.ends_with('}') && serde_json::from_str::<serde::de::IgnoredAny>(first).is_ok());
    match lines.first() {
        Some((number, _)) if one && bounded::shallow(text.as_bytes()) && serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok() => vec![(*number, text)],
        Some(_) | None => lines,
    }
}

fn read(line: &str) -> Result<Posted<'_>, String> {
    if !bounded::shallow(line.as_bytes()) {
        return Err("it nests values too deep".to_owned());
    }
    serde_json::from_str(line).map_err(|error| error.to_string())
}

fn draft(posted: Posted<'_>, sender: &str, config: &Config, now: Time, cuts: &mut Cuts) -> Result<Draft, String> {
    let at = bounded::time(&posted.at.0).map_err(|why| format!("at: {why}"))?.unwrap_or(now);
    let severity = match &*posted.severity.0 {
        "" => Severity::Info,
        word => {
            Severity::from_word(word).ok_or_else(|| format!("severity `{}` is none; write debug, info, unknown, warning, error or critical", short(word)))?
        }
    };
    let system = match &*posted.system.0 {
        "" => None,
        id => Some(id.parse::<SystemId>().map_err(|error| error.to_string())?),
    };
    let Kept { title, text, labels, cuts: cut } = config.mapping.keep(&posted.title.0, &posted.text.0, posted.labels);
    if title.is_empty() {
        return Err("title is empty; say in one line what happened".to_owned());
    }
    cuts.add(cut);
    let links = posted.links.into_iter().map(|link| self::link(link, config)).collect::<Result<Vec<_>, _>>()?;
    if links.len() > 12 {
        return Err(format!("{} links; an event has at most 12", links.len()));
    }
    let kind = kind(&posted.kind.0, &posted.version.0, posted.data)?;
    // Whoever has an intake's token speaks as a source: neither as a person nor as this server.
    let actor = match &*posted.actor.0 {
        "" => sender,
        name => name.strip_prefix("source:").unwrap_or(name),
    };
    let mut draft = Draft::new(at, Actor::Source(SourceId::new(actor)), kind, title).severity(severity).text(text);
    (draft.system, draft.labels, draft.links) = (system, labels, links);
    Ok(draft)
}

fn link(link: Posting<'_>, config: &Config) -> Result<Link, String> {
    let (name, url) = match link {
        Posting::Address(url) => (Arc::from(""), url),
        Posting::Named { name, url } => (config.mapping.keep(&name.0, "", Pairs::default()).title, url),
    };
    if !crate::server::mapping::is_link(&url) {
        return Err(format!("`{}` is no link; write one that begins with http:// or https://", short(&url)));
    }
    Ok(Link { name, url: url.into() })
}

fn kind(name: &str, version: &str, data: Option<Map<String, Value>>) -> Result<Kind, String> {
    if !version.is_empty() && name != "change" {
        return Err("`version` belongs to the kind `change`".to_owned());
    }
    match name {
        "change" if data.is_some() => Err("the kind `change` has no `data`; it has `version`".to_owned()),
        "change" => Ok(Kind::Change(Change::of(Some(version).filter(|v| !v.is_empty()).map(|v| short(v).into())))),
        "log" => Ok(Kind::LogLine(LogLine {})),
        name if Kind::NAMES.contains(&name) => {
            Err(format!("the kind `{name}` is midwatch's own; write `change`, `log` or a kind of your own, like `backup.done`"))
        }
        // Who may do what, and how the server is, nobody says but itself.
        name if ["trust.", "server."].iter().any(|own| name.starts_with(own)) => {
            Err(format!("kinds that begin with `trust.` or `server.` are midwatch's own, and `{}` is none of yours", short(name)))
        }
        name => {
            let named = name.len() <= 64 && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'_'));
            if !named {
                return Err(format!("the kind `{}` is none; write small letters, digits, `.`, `-`, `_`, like `backup.done`", short(name)));
            }
            let data = Value::Object(data.unwrap_or_default());
            let bytes = serde_json::to_vec(&data).map_or(usize::MAX, |bytes| bytes.len());
            if bytes > DATA {
                return Err(format!("`data` has {bytes} bytes; at most {DATA} are kept"));
            }
            Ok(Kind::Other(Other { kind: if name.is_empty() { "event".into() } else { name.into() }, data }))
        }
    }
}

/// What an answer or a version repeats of a text from outside.
fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(80).collect()
}
