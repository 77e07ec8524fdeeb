//! `midwatch grants`: who may do what, and until when.

mod access;
mod show;
mod tokens;

use super::ask::{self, Ask};
use super::output::{Output, Tone};
use super::{Context, Failure};
use crate::model::grant::{Grant, Invite, Key, joined};
use crate::model::id::GrantId;
use crate::model::time::Time;
use crate::model::view::holding::countdown;

/// List who may do what, until when, by whom
#[derive(clap::Args, Debug)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Example: midwatch grants\nExample: midwatch grants --all    (those that are over, too)\nExample: midwatch grants --system shop/web    (who may see that, and why)\nExample: midwatch grants --json --server shop\n\nAll of them for administrators; for others their own. `midwatch grants show` says all of one. Keys in a server's authorized_keys are not among them: they are its operator's affair."
)]
pub struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
    /// Those that were revoked, replaced or have expired, too
    #[arg(long)]
    all: bool,
    /// Who may see this system, and why
    #[arg(long, value_name = "SYSTEM", conflicts_with = "all")]
    system: Option<String>,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

#[derive(clap::Subcommand, Debug)]
enum Verb {
    Show(show::Show),
    Token(tokens::Token),
    Narrow(tokens::Narrow),
    Hand(tokens::Hand),
}

pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    match &args.verb {
        Some(Verb::Show(args)) => show::run(args, context),
        Some(Verb::Token(args)) => tokens::token(args, context),
        Some(Verb::Narrow(args)) => tokens::narrow(args),
        Some(Verb::Hand(args)) => tokens::hand(args, context),
        None => match &args.system {
            Some(system) => access::access_of(system, args.json, context),
            None => list(args, context),
        },
    }
}

fn list(args: &Args, context: &Context) -> Result<(), Failure> {
    ask::block_on(async {
        let mut ask = Ask::connect(context, 0)?;
        ask.worlds().await;
        let now = ask::now();
        let mut out = Output::new();
        let mut table = Vec::new();
        let mut none = true;
        for asked in &ask.asked {
            let Some(world) = &asked.replica.world else { continue };
            let mut grants: Vec<&Grant> = world.grants.values().map(|grant| &**grant).filter(|grant| args.all || grant.holds(now)).collect();
            grants.sort_by(|a, b| (&a.name, a.at).cmp(&(&b.name, b.at)));
            for grant in grants {
                none = false;
                if args.json {
                    out.json(&line(&asked.config.name, grant, now))?;
                    continue;
                }
                let state = if grant.holds(now) { (Tone::Fine, countdown(grant.scope.expires, now)) } else { (Tone::Stale, grant.state(now).to_owned()) };
                table.push(vec![
                    (Tone::Muted, grant.id.short()),
                    (Tone::Strong, grant.name.to_string()),
                    (Tone::Plain, grant.role.to_string()),
                    (Tone::Plain, allowed(grant)),
                    state,
                    (Tone::Muted, format!("by {}", grant.by.name())),
                    (Tone::Muted, keys(grant)),
                ]);
            }
            for (id, invite) in &world.invites {
                none = false;
                let offer = &invite.offer;
                if args.json {
                    out.json(&invited(&asked.config.name, *id, invite))?;
                    continue;
                }
                table.push(vec![
                    (Tone::Muted, id.short()),
                    (Tone::Strong, offer.name.as_deref().unwrap_or("?").to_owned()),
                    (Tone::Plain, offer.role.to_string()),
                    (Tone::Plain, format!("{} on {}", offer.scope.rights, joined(&offer.scope.systems, ", "))),
                    (Tone::Muted, countdown(Some(offer.closes), now).replace("ends in", "invited, code good for")),
                    (Tone::Muted, format!("by {}", invite.by.name())),
                    (Tone::Muted, String::new()),
                ]);
            }
        }
        out.table(&table)?;
        if none && !args.json {
            out.line("No grants that you may see. `midwatch invite` makes one.")?;
        }
        out.finish()?;
        ask.all_reached()
    })
}

/// A grant as JSON.
fn line(server: &str, grant: &Grant, now: Time) -> serde_json::Value {
    let keys = grant.keys().map(|key| {
        let further = grant.added(key);
        let at = further.map_or(grant.at, |further| further.at);
        let by = further.and_then(|further| further.by.as_ref()).map(Key::fingerprint);
        serde_json::json!({ "key": key, "fingerprint": key.fingerprint(), "at": at, "vouched_by": by })
    });
    let lost = grant.lost.iter().map(|lost| serde_json::json!({ "key": lost.key, "fingerprint": lost.key.fingerprint(), "at": lost.at, "by": lost.by }));
    serde_json::json!({
        "server": server, "grant": grant.id, "name": grant.name, "for": grant.who, "role": grant.role,
        "systems": grant.scope.systems, "rights": grant.scope.rights, "expires": grant.scope.expires, "state": grant.state(now),
        "key": grant.key, "fingerprint": grant.key.fingerprint(), "by": grant.by, "at": grant.at, "used": grant.used,
        "words": grant.scope.words(), "invite": grant.invite, "keys": keys.collect::<Vec<_>>(), "lost_keys": lost.collect::<Vec<_>>(),
    })
}

/// An invite as JSON.
fn invited(server: &str, id: GrantId, invite: &Invite) -> serde_json::Value {
    let offer = &invite.offer;
    serde_json::json!({
        "server": server, "invite": id, "name": offer.name, "same_person": offer.same, "for": offer.who, "role": offer.role,
        "systems": offer.scope.systems, "rights": offer.scope.rights, "expires": offer.scope.expires, "lasts": offer.lasts, "good_until": offer.closes,
        "state": "invited", "by": invite.by, "at": invite.at,
    })
}

/// The first key, and how many more.
fn keys(grant: &Grant) -> String {
    match grant.further.len() {
        0 => grant.key.fingerprint(),
        more => format!("{} and {more} more", grant.key.fingerprint()),
    }
}

fn allowed(grant: &Grant) -> String {
    format!("{} on {}", grant.scope.rights, joined(&grant.scope.systems, ", "))
}
