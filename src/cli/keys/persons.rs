//! `midwatch keys add`, `remove`, `replace`: the several keys of one person, at a server that granted them something.

use std::path::Path;
use std::sync::Arc;

use super::super::ask::{self, Ask};
use super::super::invite::one_server;
use super::super::output::{Output, Tone};
use super::super::{Context, Failure};
use super::show;
use crate::client::ServerIndex;
use crate::model::grant::{Grant, Key, Vouched, Who};
use crate::model::intent::Intent;
use crate::model::time::Time;
use crate::model::world::World;
use crate::trust::{Signer, vouch};

/// Add a further key of yours at a server: it may what the one that you come by may
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Example: midwatch keys add phone.pub --server shop\nExample: midwatch keys add 'ssh-ed25519 AAAA… robin@phone' --server shop\n\nThe key that you come by vouches for it, signed. It has the same grant, never more and no longer, and you are the same person by both: marks, snoozes, notes and history are one. Where your key stands in a server's authorized_keys, its operator adds a line with the same name instead."
)]
pub struct Add {
    /// The public key, or a file with it
    #[arg(value_name = "NEW.pub")]
    new: String,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

/// Take a key from its person, at once
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Example: midwatch keys remove SHA256:R3Jr… --server shop --why 'the laptop was lost'\n\nOpen connections by it end at once, and with it the tokens that were handed on with it and what it signed that is still on its way. Your own keys you remove by another one of yours, anybody's an administrator. The only key of a grant is replaced, or the grant revoked."
)]
pub struct Remove {
    /// Its fingerprint as `midwatch grants show` prints it (the beginning is enough), or the public key
    #[arg(value_name = "FINGERPRINT")]
    key: String,
    /// Why, for the log
    #[arg(long, value_name = "TEXT", default_value = "")]
    why: String,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

/// Put a new key in the place of one that was lost: the person stays who they are
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Example: midwatch keys replace SHA256:R3Jr… new-laptop.pub --server shop    (by another key of yours)\nExample: midwatch keys replace robin new-laptop.pub --server shop    (an administrator, for robin, who has one key)\n\nMarks, snoozes, notes and history go on under the name. Whoever is an administrator there says whose key it is; ask for its fingerprint or its words on another way than the key came by."
)]
pub struct Replace {
    /// The key that was lost, as with `remove`; or the name of one who has a single key
    #[arg(value_name = "OLD")]
    old: String,
    /// The new public key, or a file with it
    #[arg(value_name = "NEW.pub")]
    new: String,
    /// Why, for the log
    #[arg(long, value_name = "TEXT", default_value = "")]
    why: String,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

/// What all of them need to know first.
struct Yard {
    ask: Ask,
    place: ServerIndex,
    server: String,
    world: Arc<World>,
    /// The key that we come by there; none where a socket's owner needs none.
    signer: Option<Arc<Signer>>,
}

async fn yard(context: &Context) -> Result<Yard, Failure> {
    let mut ask = Ask::connect(context, 0)?;
    ask.worlds().await;
    let place = one_server(&ask)?;
    let asked = ask.asked.get(place.0).ok_or_else(|| Failure::failed("no server was asked", ""))?;
    let (server, world) = (asked.config.name.to_string(), asked.replica.world.clone().unwrap_or_default());
    let signer = asked.config.proving.as_ref().map(|proving| proving.signer.clone());
    Ok(Yard { ask, place, server, world, signer })
}

impl Yard {
    fn own(&self) -> Option<Key> {
        self.signer.as_ref().map(|signer| Key::of(signer.public().bytes()))
    }

    /// The word of the key that we come by for another one.
    fn vouches(&self, key: &Key) -> Result<Vouched, Failure> {
        let hint = "Name the server by an address where you prove your key: a socket's owner has none";
        let signer = self.signer.as_ref().ok_or_else(|| Failure::failed("no key of yours is asked for on this way", hint))?;
        vouch::vouch(signer, self.world.origin, key, ask::now()).map_err(|error| Failure::failed(error.to_string(), ""))
    }

    /// The grant that holds for a key, as far as one may see it.
    fn held(&self, key: &Key) -> Option<&Grant> {
        self.world.grant_of(key, ask::now())
    }

    /// The key that is meant: by its fingerprint, itself, or as the only one of somebody.
    fn find(&self, text: &str, names: bool) -> Result<Key, Failure> {
        let live = || self.world.grants.values().filter(|grant| grant.holds(ask::now()));
        let wanted = if text.starts_with("SHA256:") { text.to_owned() } else { format!("SHA256:{text}") };
        let line: Option<Key> = text.split_whitespace().take(2).collect::<Vec<_>>().join(" ").parse().ok();
        let meant = |key: &&Key| Some(*key) == line.as_ref() || (wanted.len() >= "SHA256:".len() + 4 && key.fingerprint().starts_with(&wanted));
        let mut found: Vec<&Key> = live().flat_map(|grant| grant.keys()).filter(meant).collect();
        if found.is_empty() && names {
            found = live().filter(|grant| grant.who == Who::Person && *grant.name == *text).flat_map(|grant| grant.keys()).collect();
        }
        match found.as_slice() {
            [one] => Ok((*one).clone()),
            [] => Err(Failure::failed(format!("{} knows no such key that you may see", self.server), "`midwatch grants show` prints the keys of a grant")),
            several => {
                let prints: Vec<String> = several.iter().map(|key| key.fingerprint()).collect();
                Err(Failure::failed(format!("{} keys match: {}", several.len(), prints.join(", ")), "Name one by its fingerprint"))
            }
        }
    }
}

/// A key that is new to the server: from a file, or as it is.
fn given(text: &str) -> Result<Key, Failure> {
    if text.starts_with("ssh-") {
        let line = text.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
        return line.parse().map_err(|why: String| Failure::usage(why, "`midwatch keys show` prints it, on the machine that has it"));
    }
    Ok(Key::of(show::other(Path::new(text))?.public.bytes()))
}

pub fn add(args: &Add, context: &Context) -> Result<(), Failure> {
    context.may_change()?;
    let new = given(&args.new)?;
    ask::block_on(async {
        let mut yard = yard(context).await?;
        let vouched = yard.vouches(&new)?;
        let by = vouched.by.clone();
        yard.ask.perform(yard.place, Intent::AddKey { key: new.clone(), vouched }).await?;
        let grant = yard.held(&by);
        let mut out = Output::new();
        if args.json {
            out.json(&serde_json::json!({
                "server": yard.server, "key": new, "fingerprint": new.fingerprint(), "grant": grant.map(|grant| grant.id), "name": grant.map(|grant| &grant.name),
                "vouched_by": by.fingerprint(),
            }))?;
            return out.finish();
        }
        let name = grant.map_or("you", |grant| &*grant.name);
        out.toned(&[(Tone::Plain, "At "), (Tone::Strong, &yard.server), (Tone::Plain, &format!(" {name} may come by the key {}, too.", new.fingerprint()))])?;
        if let Some(grant) = grant {
            out.line(&format!("It may what your other keys may: {}.", grant.scope))?;
        }
        out.line("On the machine that has it: `midwatch server add`, and `key` in console.toml unless it is the one that midwatch made.")?;
        out.finish()
    })
}

pub fn remove(args: &Remove, context: &Context) -> Result<(), Failure> {
    context.may_change()?;
    ask::block_on(async {
        let mut yard = yard(context).await?;
        let key = yard.find(&args.key, false)?;
        yard.ask.perform(yard.place, Intent::RemoveKey { key: key.clone(), why: args.why.as_str().into() }).await?;
        told(&yard, &key, None, args.json)
    })
}

pub fn replace(args: &Replace, context: &Context) -> Result<(), Failure> {
    context.may_change()?;
    let new = given(&args.new)?;
    ask::block_on(async {
        let mut yard = yard(context).await?;
        let old = yard.find(&args.old, true)?;
        // By a key of the same grant, if ours is one; else as an administrator, who needs none.
        let ours = yard.own().zip(yard.held(&old)).is_some_and(|(own, grant)| grant.has(&own));
        let vouched = ours.then(|| yard.vouches(&new)).transpose()?;
        let intent = Intent::ReplaceKey { old: old.clone(), new: new.clone(), vouched, why: args.why.as_str().into() };
        yard.ask.perform(yard.place, intent).await?;
        told(&yard, &old, Some(&new), args.json)
    })
}

/// What became of a key, and which are left.
fn told(yard: &Yard, gone: &Key, new: Option<&Key>, json: bool) -> Result<(), Failure> {
    let mut out = Output::new();
    let grant = yard.held(gone);
    if json {
        out.json(&serde_json::json!({
            "server": yard.server, "removed": gone.fingerprint(), "added": new.map(Key::fingerprint), "grant": grant.map(|grant| grant.id),
            "name": grant.map(|grant| &grant.name),
        }))?;
        return out.finish();
    }
    let name = grant.map_or("nobody", |grant| &*grant.name);
    out.line(&format!("The key {} is {name}'s no more at {}: what was open by it is ended.", gone.fingerprint(), yard.server))?;
    if let Some(new) = new {
        out.line(&format!("In its place stands {}: {name} is the same person by it.", new.fingerprint()))?;
    }
    let Some(grant) = grant else { return out.finish() };
    let left: Vec<&Key> = grant.keys().filter(|key| *key != gone).collect();
    if !left.is_empty() {
        out.line("Their other keys:")?;
        let table: Vec<_> = left.iter().map(|key| row(grant, key, ask::now())).collect();
        out.table(&table)?;
    }
    // The one that we come by ourselves is known to us.
    let own = yard.own();
    let vouched = left.iter().filter_map(|key| grant.added(key)).filter(|further| further.by.as_ref() == Some(gone) && Some(&further.key) != own.as_ref());
    for further in vouched {
        out.line(&format!(
            "Look: the key that is gone vouched for {}. If that was not {name}, remove it too: midwatch keys remove {}",
            further.key.fingerprint(),
            further.key.fingerprint()
        ))?;
    }
    out.finish()
}

/// A key of a grant: since when, and who says so.
pub fn row(grant: &Grant, key: &Key, now: Time) -> Vec<(Tone, String)> {
    let (since, by) = match grant.added(key) {
        Some(further) => {
            let by = further.by.as_ref().map_or_else(|| "an administrator says so".to_owned(), |by| format!("{} vouched for it", by.short()));
            (further.at, by)
        }
        None => (grant.at, "the grant was made for it".to_owned()),
    };
    let age = format!("since {}", crate::model::history::coarse(now.since(since)));
    vec![(Tone::Strong, key.fingerprint()), (Tone::Muted, age), (Tone::Muted, by)]
}
