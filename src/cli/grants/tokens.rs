//! `midwatch grants token`, `narrow`, `hand`, `read`: a grant as a token that one keeps, for less and for others.

use std::sync::Arc;
use std::time::Duration;

use super::super::invite::{Until, pattern};
use super::super::output::Output;
use super::super::{Context, Failure, ask, keys};
use crate::link::{Conversation, Dial, LinkError, way};
use crate::model::grant::{Key, Pattern, Rights, Scope};

use crate::trust::{PublicKey, grant};
use crate::wire::{Hello, Holding, PROTOCOL, Renew, Role, ToClient, ToServer};

const PATIENCE: Duration = Duration::from_secs(20);

/// Print your grant as a token: to narrow, and to hand on
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Example: midwatch grants token --server shop > shop.token\n\nIt is good for a day at most, and opens nothing without your key. What you narrow or hand on ends with it."
)]
pub struct Token {
    /// One JSON object, with what it allows
    #[arg(long)]
    json: bool,
}

/// Make a token that allows less, without asking anybody
#[derive(clap::Args, Debug)]
#[command(after_help = "Example: midwatch grants narrow \"$(cat shop.token)\" --systems 'shop/varnish' --rights read --expires 1h")]
pub struct Narrow {
    /// The token
    #[arg(value_name = "TOKEN")]
    token: String,
    #[command(flatten)]
    to: Less,
}

/// Hand a token on to somebody else's key, for less and for a time
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Example: midwatch grants hand \"$(cat shop.token)\" --to 'ssh-ed25519 AAAA…' --name sam --systems 'shop/varnish' --rights read --expires 2h\n\nThe key is theirs: `midwatch keys show` prints it. They put the token into a file of mode 0600 and say `midwatch server add shop wss://… --token-file FILE`. Revoking your grant ends theirs."
)]
pub struct Hand {
    /// The token
    #[arg(value_name = "TOKEN")]
    token: String,
    /// Their public key, as `midwatch keys show` prints it
    #[arg(long, value_name = "KEY")]
    to: String,
    /// As what they are known there: `sam via you`
    #[arg(long, value_name = "NAME")]
    name: String,
    #[command(flatten)]
    less: Less,
}

#[derive(clap::Args, Debug)]
struct Less {
    /// Which of the systems; all of them without it
    #[arg(long, value_name = "PATTERN", value_delimiter = ',', value_parser = pattern)]
    systems: Vec<Pattern>,
    /// Which of the rights; all of them without it
    #[arg(long, value_name = "RIGHTS", value_parser = Rights::parse)]
    rights: Option<Rights>,
    /// How long (1h), or until when
    #[arg(long, value_name = "SPAN|TIME")]
    expires: Option<Until>,
}

impl Less {
    fn scope(&self) -> Scope {
        let systems = if self.systems.is_empty() { vec![Pattern::All] } else { self.systems.clone() };
        let expires = self.expires.map(|until| match until {
            Until::Lasts(span) => ask::now().plus(span),
            Until::At(at) => at,
        });
        Scope::new(systems, self.rights.unwrap_or(Rights::ALL), expires)
    }
}

fn failed(error: grant::NoToken) -> Failure {
    Failure::failed(error.to_string(), "")
}

fn print(text: &str) -> Result<(), Failure> {
    let mut out = Output::new();
    out.line(text)?;
    out.finish()
}

pub fn narrow(args: &Narrow) -> Result<(), Failure> {
    print(&grant::narrow(args.token.trim(), &args.to.scope()).map_err(failed)?)
}

pub fn hand(args: &Hand, context: &Context) -> Result<(), Failure> {
    let scope = args.less.scope();
    if scope.expires.is_none() {
        return Err(Failure::usage("a token is handed on for a time", "Add --expires 2h"));
    }
    let (to, _) = PublicKey::read(&args.to).map_err(|error| Failure::usage(error.to_string(), "`midwatch keys show` prints theirs"))?;
    let signer = keys::signer(context, &context.settings()?)?;
    print(&grant::hand(args.token.trim(), &signer, &Key::of(to.bytes()), &args.name, &scope).map_err(failed)?)
}

pub fn token(args: &Token, context: &Context) -> Result<(), Failure> {
    let chosen = ask::met(context)?;
    let [config] = chosen.configs.as_slice() else {
        let names: Vec<&str> = chosen.configs.iter().map(|config| &*config.name).collect();
        return Err(Failure::usage("which server?", format!("Name it with --server: {}", names.join(", "))));
    };
    let proving = config.proving.clone().ok_or_else(|| Failure::failed("a token is bound to a key, and on this server's own socket none is proved", ""))?;
    let dial = way(&config.address, Some(&proving), &config.tls);
    let (person, name) = (chosen.person.clone(), config.name.clone());
    let holding = ask::block_on(async {
        let asked = holding(&*dial, &person, config.token.clone(), &proving).await;
        asked.map_err(|error| Failure::unreachable(format!("{name}: {error}"), "`midwatch doctor` says more"))
    })?;
    let missing = || Failure::failed(format!("{name} gives no token for what you may do there: {}", holding.scope), "Those who were granted something get one");
    let token = holding.token.clone().ok_or_else(missing)?;
    if !args.json {
        return print(&token);
    }
    let mut out = Output::new();
    out.json(&serde_json::json!({
        "server": name, "token": token, "grant": holding.grant, "name": holding.name, "role": holding.role,
        "systems": holding.scope.systems, "rights": holding.scope.rights, "expires": holding.scope.expires,
    }))?;
    out.finish()
}

async fn holding(dial: &dyn Dial, person: &Arc<str>, token: Option<Arc<str>>, proving: &crate::trust::Proving) -> Result<Holding, LinkError> {
    let hello = Hello {
        protocol: PROTOCOL,
        role: Role::Console,
        name: person.clone(),
        token,
        version: env!("CARGO_PKG_VERSION").into(),
        zstd: false,
        origin: None,
        redeem: None,
        key: None,
    };
    let mut talk = Conversation::open(dial, &hello, Some(proving), PATIENCE).await?;
    talk.send(&ToServer::Renew(Renew { id: 1 })).await?;
    let answer = async {
        loop {
            match talk.next().await? {
                ToClient::Holding(holding) => return Ok(holding),
                ToClient::Problem(problem) => return Err(LinkError::Unauthorized(problem.words)),
                _ => {}
            }
        }
    };
    tokio::time::timeout(PATIENCE, answer).await.map_err(|_| LinkError::Timeout(PATIENCE))?
}
