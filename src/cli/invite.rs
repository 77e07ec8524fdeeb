//! `midwatch invite`: a code that lets somebody in, once.

use std::sync::Arc;

use super::ask::{self, Ask, Asked};
use super::output::{Output, Tone};
use super::{Context, Failure};
use crate::client::ServerIndex;
use crate::model::grant::{Key, Pattern, Rights, Roles, Who};
use crate::model::intent::Intent;
use crate::model::time::{Span, Time};
use crate::trust::{InviteCode, PublicKey};

/// Make a code that lets somebody in, once
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Example: midwatch invite --role responder --systems 'shop/**' --expires 8h\nExample: midwatch invite --role reader --systems '**' --name robin --expires 2026-12-24T00:00:00Z\nExample: midwatch invite --role agent --systems 'shop/web-1' --name web-1\nExample: midwatch invite --role peer --systems 'shop/**' --address wss://ops.example.org:7373\nExample: midwatch invite --role responder --systems 'shop/**' --for robin    (a further key of robin's, who is known already)\n\nRoles: reader, responder, reviewer, operator, administrator, agent, peer, and those in [roles] of the server's configuration. The code is for one: who brings it first, with `midwatch join CODE`, gets the grant for their key. Send it as you would send a password."
)]
pub struct Args {
    /// What they may do, by name
    #[arg(long, value_name = "ROLE")]
    role: String,
    /// On which systems: shop/varnish, shop/* (right beneath), shop/** (it and all beneath), ** (all); repeatable, or with commas
    #[arg(long, value_name = "PATTERN", required = true, value_delimiter = ',', value_parser = pattern)]
    systems: Vec<Pattern>,
    /// Fewer rights than the role has: read,respond
    #[arg(long, value_name = "RIGHTS", value_parser = Rights::parse)]
    rights: Option<Rights>,
    /// As what they are known; without it they choose a name that nobody has. An agent's must be the agent's own
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// They are the person of this name who is known there already: their marks, notes and history go on
    #[arg(long = "for", value_name = "NAME", conflicts_with = "name")]
    same: Option<String>,
    /// How long they may, from when they join (8h, 30d), or until when; for ever without it
    #[arg(long, value_name = "SPAN|TIME")]
    expires: Option<Until>,
    /// How long the code may lie about
    #[arg(long, value_name = "SPAN", default_value = "24h")]
    good_for: Span,
    /// Where they reach the server; repeatable; over what it says itself
    #[arg(long, value_name = "URL")]
    address: Vec<String>,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn pattern(text: &str) -> Result<Pattern, String> {
    text.trim().parse()
}

/// A length of time, or a time.
#[derive(Clone, Copy, Debug)]
pub(super) enum Until {
    Lasts(Span),
    At(Time),
}

impl std::str::FromStr for Until {
    type Err = String;

    fn from_str(text: &str) -> Result<Until, String> {
        let span = text.parse::<Span>().map(Until::Lasts);
        span.or_else(|_| text.parse::<Time>().map(Until::At)).map_err(|_| "write it like 8h, 30d or 2026-12-01T00:00:00Z".to_owned())
    }
}

pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    context.may_change()?;
    ask::block_on(async {
        let mut ask = Ask::connect(context, 0)?;
        ask.worlds().await;
        let place = one_server(&ask)?;
        let asked = ask.asked.get(place.0).ok_or_else(|| Failure::failed("no server was asked", ""))?;
        let (server, addresses) = (key_of(asked)?, addresses(args, asked, context)?);
        // A role of the server's own configuration is a person's here; the server knows better, and says so at `join`.
        let who = Roles::default().get(&args.role).map_or(Who::Person, |bundle| bundle.who);
        let code = InviteCode::new(who, server, &addresses).ok_or_else(|| Failure::failed("the system has no random numbers to make a code from", ""))?;
        let (until, lasts) = match args.expires {
            None => (None, None),
            Some(Until::At(at)) => (Some(at), None),
            Some(Until::Lasts(span)) => (None, Some(span)),
        };
        let closes = Time::from_secs(ask::now().plus(args.good_for).secs());
        let intent = Intent::Invite {
            invite: code.id(),
            role: args.role.as_str().into(),
            systems: args.systems.clone(),
            rights: args.rights,
            name: args.same.as_ref().or(args.name.as_ref()).map(|name| Arc::from(name.as_str())),
            same: args.same.is_some(),
            until,
            lasts,
            closes,
        };
        ask.perform(place, intent).await?;
        let mut out = Output::new();
        if args.json {
            out.json(&serde_json::json!({
                "invite": code.id(), "code": code.to_string(), "for": who, "role": args.role, "systems": args.systems, "rights": args.rights,
                "name": args.name, "until": until, "lasts": lasts, "good_until": closes, "server_key": server.fingerprint(), "addresses": addresses,
            }))?;
            return out.finish();
        }
        let systems: Vec<String> = args.systems.iter().map(ToString::to_string).collect();
        let lasts = match args.expires {
            None => "until it is revoked".to_owned(),
            Some(Until::Lasts(span)) => format!("for {span} from when they join"),
            Some(Until::At(at)) => format!("until {at}"),
        };
        out.toned(&[(Tone::Strong, &args.role), (Tone::Plain, &format!(" on {}, {lasts}", systems.join(", ")))])?;
        out.line(&format!("The code is good for one, until {closes}. They say:"))?;
        out.line("")?;
        out.line(&format!("midwatch join {code}"))?;
        out.line("")?;
        out.line(&format!("To take it back: midwatch revoke {}", code.id().short()))?;
        out.finish()
    })
}

/// The one that is meant: rights are one server's affair. What lies behind it is not asked.
pub fn one_server(ask: &Ask) -> Result<ServerIndex, Failure> {
    let reached: Vec<(usize, &Asked)> = ask.asked.iter().enumerate().filter(|(_, asked)| asked.through.is_none()).collect();
    match reached.as_slice() {
        [(place, one)] if one.replica.world.is_some() => Ok(ServerIndex(*place)),
        [_] => {
            ask.all_reached()?;
            Err(Failure::unreachable("the server said nothing", "`midwatch doctor` says more"))
        }
        several => {
            let names: Vec<&str> = several.iter().map(|(_, asked)| &*asked.config.name).collect();
            Err(Failure::usage("which server?", format!("Name it with --server: {}", names.join(", "))))
        }
    }
}

/// The server's key, as it says itself on a line that is proved or its owner's.
fn key_of(asked: &Asked) -> Result<PublicKey, Failure> {
    let key: Option<&Key> = asked.replica.welcome.as_ref().and_then(|welcome| welcome.key.as_ref());
    key.and_then(|key| PublicKey::from_bytes(key.bytes()).ok())
        .ok_or_else(|| Failure::failed(format!("{} does not say what its key is, and nobody can join without", asked.config.name), "Is it an older midwatch?"))
}

fn addresses(args: &Args, asked: &Asked, context: &Context) -> Result<Vec<String>, Failure> {
    if !args.address.is_empty() {
        for address in &args.address {
            crate::client::Address::parse(address).map_err(|error| Failure::usage(error.to_string(), ""))?;
        }
        return Ok(args.address.clone());
    }
    let said: Vec<String> = asked.replica.welcome.iter().flat_map(|welcome| welcome.addresses.iter().map(ToString::to_string)).collect();
    if !said.is_empty() {
        return Ok(said);
    }
    let name = asked.config.name.to_string();
    let url = context.settings()?.servers.get(&name).map_or(name, |entry| entry.url.clone());
    if asked.embedded || url.starts_with('/') || url.starts_with("unix:") {
        let hint = "Add --address ws://127.0.0.1:7373, or `addresses` to the server's configuration";
        return Err(Failure::usage("where do others reach this server?", hint));
    }
    Ok(vec![url])
}
