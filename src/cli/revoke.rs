//! `midwatch revoke`: a grant ends now, with all open connections; or an invite is taken back.

use super::ask::{self, Ask};
use super::invite::one_server;
use super::output::Output;
use super::{Context, Failure};
use crate::model::id::GrantId;
use crate::model::intent::Intent;
use crate::model::world::World;

/// End a grant, or take an invite back, at once
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Example: midwatch revoke 3f2a9c01\nExample: midwatch revoke robin --why 'the laptop was lost'\nExample: midwatch revoke SHA256:R3Jr…\n\nWhoever is connected by it is sent away at once. Where a server that was given it is cut off, what it received stays there, and nothing new comes."
)]
pub struct Args {
    /// Its id as `midwatch grants` shows it, or the holder's name or key's fingerprint
    #[arg(value_name = "GRANT")]
    what: String,
    /// All that match, when they are several
    #[arg(long)]
    all: bool,
    /// Why, for the log
    #[arg(long, value_name = "TEXT", default_value = "")]
    why: String,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    context.may_change()?;
    ask::block_on(async {
        let mut ask = Ask::connect(context, 0)?;
        ask.worlds().await;
        let place = one_server(&ask)?;
        let world = ask.asked.get(place.0).and_then(|asked| asked.replica.world.clone()).unwrap_or_default();
        let found = find(&world, &args.what, false);
        if found.is_empty() {
            return Err(Failure::failed(format!("no grant or invite matches `{}`", args.what), "`midwatch grants` lists those that you may see"));
        }
        if found.len() > 1 && !args.all {
            let names: Vec<String> = found.iter().map(|(id, what)| format!("{} ({what})", id.short())).collect();
            return Err(Failure::failed(format!("{} match: {}", found.len(), names.join(", ")), "Name one by its id, or add --all"));
        }
        let mut out = Output::new();
        for (id, what) in found {
            ask.perform(place, Intent::Revoke { grant: id, why: args.why.as_str().into() }).await?;
            if args.json {
                out.json(&serde_json::json!({ "grant": id, "what": what, "done": true }))?;
            } else {
                out.line(&format!("{}: {what}: revoked", id.short()))?;
            }
        }
        out.finish()
    })
}

/// Grants and invites by id, name or key; those that are over only with `all`.
pub(super) fn find(world: &World, what: &str, all: bool) -> Vec<(GrantId, String)> {
    let live = || world.grants.values().filter(move |grant| all || grant.ended.is_none());
    let is_id = (6..=32).contains(&what.len()) && what.bytes().all(|b| b.is_ascii_hexdigit());
    let wanted = what.to_ascii_lowercase();
    let words = |grant: &crate::model::grant::Grant| format!("{} as {}", grant.name, grant.role);
    let mut found: Vec<(GrantId, String)> = Vec::new();
    if is_id {
        found.extend(live().filter(|grant| grant.id.to_string().starts_with(&wanted)).map(|grant| (grant.id, words(grant))));
        let invites = world.invites.iter().filter(|(id, _)| id.to_string().starts_with(&wanted));
        found.extend(invites.map(|(id, invite)| (*id, format!("an invite as {}", invite.offer.role))));
    }
    if found.is_empty() {
        let named = |grant: &crate::model::grant::Grant| *grant.name == *what || grant.keys().any(|key| key.fingerprint() == what || key.as_str() == what);
        found.extend(live().filter(|grant| named(grant)).map(|grant| (grant.id, words(grant))));
    }
    found
}
