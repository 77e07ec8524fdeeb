//! `midwatch grants show`: all that is known of one grant or invite.

use super::super::ask::{self, Ask};
use super::super::keys;
use super::super::output::{Output, Tone};
use super::super::{Context, Failure, revoke};
use crate::model::grant::{End, Grant, Invite};
use crate::model::id::GrantId;
use crate::model::time::Time;
use crate::model::view::holding::countdown;

/// Show one grant: what it allows, its keys, by whom it was given and ended
#[derive(clap::Args, Debug)]
#[command(after_help = "Example: midwatch grants show 3f2a9c01\nExample: midwatch grants show robin\nExample: midwatch grants show SHA256:R3Jr… --json")]
pub struct Show {
    /// Its id as `midwatch grants` prints it (the beginning is enough), or its holder's name or fingerprint
    #[arg(value_name = "GRANT")]
    what: String,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Show, context: &Context) -> Result<(), Failure> {
    ask::block_on(async {
        let mut ask = Ask::connect(context, 0)?;
        ask.worlds().await;
        let now = ask::now();
        let mut out = Output::new();
        let mut shown = 0;
        for asked in &ask.asked {
            let Some(world) = &asked.replica.world else { continue };
            for (id, _) in revoke::find(world, &args.what, true) {
                if shown > 0 && !args.json {
                    out.line("")?;
                }
                shown += 1;
                match (world.grants.get(&id), world.invites.get(&id)) {
                    (Some(grant), _) if args.json => out.json(&super::line(&asked.config.name, grant, now))?,
                    (Some(grant), _) => out.table(&of_grant(&asked.config.name, grant, now))?,
                    (None, Some(invite)) if args.json => out.json(&super::invited(&asked.config.name, id, invite))?,
                    (None, Some(invite)) => out.table(&of_invite(&asked.config.name, id, invite, now))?,
                    (None, None) => {}
                }
            }
        }
        out.finish()?;
        ask.all_reached()?;
        if shown == 0 {
            return Err(Failure::failed(format!("no grant or invite matches `{}`", args.what), "`midwatch grants --all` lists those that you may see"));
        }
        Ok(())
    })
}

type Row = Vec<(Tone, String)>;

fn row(name: &str, tone: Tone, text: impl Into<String>) -> Row {
    vec![(Tone::Muted, name.to_owned()), (tone, text.into())]
}

fn day(at: Time) -> String {
    at.zoned(&jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M").to_string()
}

fn of_grant(server: &str, grant: &Grant, now: Time) -> Vec<Row> {
    let mut out = vec![
        row("grant", Tone::Strong, format!("{} at {server}", grant.id)),
        row("holder", Tone::Strong, format!("{}, a {}", grant.name, grant.who)),
        row("role", Tone::Plain, grant.role.to_string()),
        row("allows", Tone::Plain, grant.scope.words()),
    ];
    out.push(match &grant.ended {
        None if grant.holds(now) => row("holds", Tone::Fine, countdown(grant.scope.expires, now)),
        None => row("holds", Tone::Stale, "no more: its time is over"),
        Some((at, End::Revoked(by))) => row("holds", Tone::Stale, format!("no more: revoked by {}, {}", by.name(), day(*at))),
        Some((at, End::Expired)) => row("holds", Tone::Stale, format!("no more: its time was over {}", day(*at))),
        Some((at, End::Replaced)) => row("holds", Tone::Stale, format!("no more: another one took its place, {}", day(*at))),
    });
    let how = if grant.invite.is_some() { "invited" } else { "given" };
    out.push(row("by", Tone::Plain, format!("{how} by {}, {}", grant.by.name(), day(grant.at))));
    out.push(row("came in", Tone::Plain, grant.used.map_or_else(|| "never yet".to_owned(), |used| format!("last {}", day(used)))));
    for (place, key) in grant.keys().enumerate() {
        let words: Vec<String> = keys::row(grant, key, now).into_iter().map(|(_, text)| text).collect();
        out.push(row(if place == 0 { "keys" } else { "" }, Tone::Plain, words.join(", ")));
    }
    for lost in &grant.lost {
        out.push(row("", Tone::Stale, format!("{}, taken away by {}, {}", lost.key.fingerprint(), lost.by.name(), day(lost.at))));
    }
    out
}

fn of_invite(server: &str, id: GrantId, invite: &Invite, now: Time) -> Vec<Row> {
    let offer = &invite.offer;
    let whom = match (&offer.name, offer.same) {
        (Some(name), true) => format!("{name}, who is known here already"),
        (Some(name), false) => name.to_string(),
        (None, _) => format!("a {}, who says their name", offer.who),
    };
    let lasts = offer.lasts.map(|lasts| format!(", for {lasts} from when they join")).unwrap_or_default();
    vec![
        row("invite", Tone::Strong, format!("{id} at {server}")),
        row("for", Tone::Strong, whom),
        row("role", Tone::Plain, offer.role.to_string()),
        row("allows", Tone::Plain, format!("{}{lasts}", offer.scope.words())),
        row("the code", Tone::Plain, format!("nobody brought it yet; it is good for {}", crate::model::history::coarse(offer.closes.since(now)))),
        row("by", Tone::Plain, format!("{}, {}", invite.by.name(), day(invite.at))),
    ]
}
