//! Which alerts a verb means: an id from `midwatch alerts`, or a filter. More than one is done only when
//! asked for, after they were shown.

use super::ask::{self, Ask};
use super::output::{Output, Tone};
use super::{Context, Failure, rows};
use crate::client::ServerIndex;
use crate::model::id::{EventId, Fingerprint};
use crate::model::intent::Intent;
use crate::model::view::Sky;
use crate::model::view::alerts::{AlertRow, rows as alert_rows, urgency};

/// What every verb on alerts takes.
#[derive(clap::Args, Debug)]
pub struct Pick {
    /// Which alert: its id as `midwatch alerts` shows it, or a filter, as one argument
    #[arg(value_name = "ALERT")]
    what: String,
    /// All that match, when they are several
    #[arg(long)]
    all: bool,
    /// Show what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// One JSON object a line for each alert
    #[arg(long)]
    json: bool,
}

/// One alert, as a verb needs it.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    pub alert: Fingerprint,
    pub episode: EventId,
}

/// Finds the alerts, asks for `intent` on each, and says what became of it. `done` is the word for it:
/// "acknowledged".
pub fn each(pick: &Pick, context: &Context, done: &str, intent: impl Fn(Target) -> Intent) -> Result<(), Failure> {
    context.may_change()?;
    ask::block_on(async {
        let mut ask = Ask::connect(context, 0)?;
        ask.worlds().await;
        let sky = ask.sky();
        let found = find(&pick.what, &sky)?;
        let mut out = Output::new();
        if found.is_empty() {
            ask.all_reached()?;
            return Err(Failure::failed(format!("no open alert matches `{}`", pick.what), "`midwatch alerts` lists those that are open"));
        }
        if found.len() > 1 && !pick.all {
            let table: Vec<_> = found.iter().map(|row| rows::cells(&sky, row, ask::now(), 0)).collect();
            out.table(&table)?;
            out.finish()?;
            return Err(Failure::failed(format!("{} alerts match", found.len()), "Name one by its id, or add --all"));
        }
        let mut refused = None;
        for row in &found {
            let target = Target { alert: row.alert.alert, episode: row.episode };
            let server = ask.server_at(row.server);
            let outcome = match server {
                _ if pick.dry_run => Ok(Vec::new()),
                Some(server) => ask.perform(server, intent(target)).await,
                None => Err(Failure::unreachable("its server is gone", "")),
            };
            say(&mut out, pick, &sky, row, if pick.dry_run { "would be" } else { "" }, done, &outcome)?;
            if let Err(failure) = outcome {
                refused = Some(failure);
            }
        }
        out.finish()?;
        match refused {
            Some(failure) => Err(failure),
            None => ask.all_reached(),
        }
    })
}

fn say(out: &mut Output, pick: &Pick, sky: &Sky, row: &AlertRow, would: &str, done: &str, outcome: &Result<Vec<EventId>, Failure>) -> Result<(), Failure> {
    if pick.json {
        let server = sky.server(row.server).map(|seen| seen.name.to_string());
        let (refused, events) = match outcome {
            Ok(events) => (None, events.as_slice()),
            Err(failure) => (Some(failure.to_string()), Default::default()),
        };
        return out.json(&serde_json::json!({
            "server": server, "system": row.system.id, "alert": row.alert.alert, "episode": row.episode,
            "title": row.title, "done": outcome.is_ok() && !pick.dry_run, "refused": refused, "events": events,
        }));
    }
    let result = match outcome {
        Ok(_) => format!("{would}{}{done}", if would.is_empty() { "" } else { " " }),
        Err(failure) => format!("not {done}: {failure}"),
    };
    out.toned(&[(Tone::Strong, &row.name), (Tone::Plain, "  "), (Tone::Plain, &row.title), (Tone::Plain, ": "), (Tone::Muted, &result)])
}

/// By id when it looks like one and is one, else by filter.
fn find(what: &str, sky: &Sky) -> Result<Vec<AlertRow>, Failure> {
    let at = ask::now();
    let all = alert_rows(sky, at);
    let is_id = (6..=32).contains(&what.len()) && what.bytes().all(|b| b.is_ascii_hexdigit());
    let wanted = what.to_ascii_lowercase();
    let mut found: Vec<AlertRow> = all.iter().filter(|row| is_id && row.alert.alert.to_string().starts_with(&wanted)).cloned().collect();
    if found.is_empty() {
        let filter = rows::filter(Some(what), at)?;
        found = all.into_iter().filter(|row| rows::matches(&filter, sky, row)).collect();
    }
    found.sort_by(|a, b| urgency(a).cmp(&urgency(b)));
    Ok(found)
}

/// The server of a system that a person named: `shop/varnish`, or `infra:dc1/ceph`.
pub fn server_of(ask: &Ask, sky: &Sky, system: &str) -> Result<(ServerIndex, crate::model::id::SystemId), Failure> {
    let address: crate::model::id::SystemAddress = system.parse().map_err(|error| Failure::usage(format!("{error}"), ""))?;
    let named = |place: usize| address.server.as_ref().is_none_or(|name| sky.server(place).is_some_and(|seen| seen.name == *name || seen.world.name == *name));
    let places: Vec<usize> = (0..sky.servers.len()).filter(|place| named(*place)).collect();
    let knowing: Vec<usize> =
        places.iter().copied().filter(|place| sky.server(*place).is_some_and(|seen| seen.world.systems.contains_key(&address.id))).collect();
    let place = match (knowing.as_slice(), places.as_slice()) {
        ([one], _) | ([], [one]) => *one,
        ([], []) => {
            ask.all_reached()?;
            return Err(Failure::failed(format!("there is no server for {address}"), "`midwatch servers` lists them"));
        }
        ([], _) => {
            ask.all_reached()?;
            return Err(Failure::failed(
                format!("no server knows the system {address}"),
                "`midwatch systems` lists them; --server NAME says where a new one belongs",
            ));
        }
        (_, _) => return Err(Failure::failed(format!("several servers have a system {}", address.id), "Say which: SERVER:SYSTEM, or --server NAME")),
    };
    let server = ask.server_at(place).ok_or_else(|| Failure::failed("its server is gone", ""))?;
    Ok((server, address.id))
}
