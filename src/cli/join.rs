//! `midwatch join`: redeems an invite's code, and sets up what it is for: a console's list of servers, an
//! agent, or a server that is a peer. The server's key is in the code: it is known from the first byte on.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use toml_edit::{ArrayOfTables, DocumentMut, Item, Table, value};

use super::output::{Output, Tone};
use super::settings::{home, server_name};
use super::{Context, Failure, ask, keys, serve, server, toml_file};
use crate::agent;
use crate::client::{Address, whole};
use crate::link::{Conversation, Dial, LinkError, TlsTrust, way};
use crate::model::grant::Who;
use crate::server::app::known_peers;
use crate::trust::{InviteCode, KeyFile, KnownServers, Proving, ServerKey, Signer};
use crate::wire::{Hello, Holding, PROTOCOL, Renew, Role, ToClient, ToServer, Welcome};

/// How long a server may take to take somebody in.
const PATIENCE: Duration = Duration::from_secs(20);

/// Redeem an invite: get a grant for your key, and be set up
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Example: midwatch join mw1ahqmfa…\nExample: midwatch join mw1ahqmfa… --name robin --as shop\nExample: midwatch join mw1ahqmfa… --config /etc/midwatch/agent.toml    (a code for an agent, or for a peer, on that machine)\n\nA key is made if there is none. The server's key is in the code, and is remembered: no other will be believed. A person's code adds the server to console.toml, an agent's sets `server` in agent.toml, a peer's adds a [[peer]] to server.toml."
)]
pub struct Args {
    /// The code, as `midwatch invite` printed it
    #[arg(value_name = "CODE")]
    code: String,
    /// As what you want to be known there, where the invite leaves that open
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// What you call the server; what it calls itself without it
    #[arg(long = "as", value_name = "NAME")]
    called: Option<String>,
    /// Redeem it and remember the server, and leave the configuration alone
    #[arg(long)]
    no_config: bool,
    /// One JSON object
    #[arg(long)]
    json: bool,
}

/// Who joins: the key, the name, and where the server's key is remembered.
struct Joining {
    role: Role,
    signer: Arc<Signer>,
    name: Arc<str>,
    known: KnownServers,
    /// What is set up.
    config: PathBuf,
}

/// What came of it.
struct Joined {
    address: String,
    welcome: Welcome,
    holding: Holding,
    /// The code had been redeemed before, by this very key: nothing new was granted.
    already: bool,
}

pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    context.may_change()?;
    let code: InviteCode = args.code.parse().map_err(|error| Failure::usage(format!("{error}"), ""))?;
    if let Some(name) = args.called.as_ref().filter(|name| !server_name(name)) {
        return Err(Failure::usage(format!("`{name}` is no name for a server"), "Use letters, digits, `-` and `_`"));
    }
    if code.addresses.is_empty() {
        return Err(Failure::failed("the code says no address", "Ask for one that was made with --address"));
    }
    let joining = joining(code.who, args, context)?;
    let Joined { address, welcome, holding, already } = ask::block_on(redeem(&code, &joining, context))?;
    let called = args.called.clone().unwrap_or_else(|| plain(&welcome.name));
    let (called, changed) = set_up(args, &joining, &code, &address, called)?;
    let mut out = Output::new();
    if args.json {
        out.json(&serde_json::json!({
            "server": called, "address": address, "origin": welcome.origin, "server_key": code.server.fingerprint(), "name": holding.name,
            "role": holding.role, "systems": holding.scope.systems, "rights": holding.scope.rights, "expires": holding.scope.expires,
            "grant": holding.grant, "already": already, "key": joining.signer.public().fingerprint(), "config": changed.then_some(&joining.config),
        }))?;
        return out.finish();
    }
    if already {
        out.line("This code was redeemed before, by this very key: what it gave is yours already, and nothing new came of it.")?;
    }
    out.toned(&[
        (Tone::Plain, "You are "),
        (Tone::Strong, &holding.name),
        (Tone::Plain, &format!(" at {}, by the key {}.", welcome.name, joining.signer.public())),
    ])?;
    out.line(&format!("What you may do there: {}.", holding.scope))?;
    if changed {
        out.line(&format!("{called} is in {}.", joining.config.display()))?;
    }
    out.line(match code.who {
        Who::Person => "`midwatch` shows it; `midwatch servers` asks it how it is.",
        Who::Agent => "`midwatch agent` begins to watch this machine, or goes on when it is started anew.",
        Who::Peer => "`midwatch serve` receives it from its next start on.",
    })?;
    out.finish()
}

/// What the server calls itself, as a name that a table can have.
fn plain(name: &str) -> String {
    let plain: String = name.chars().map(|c| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_') { c } else { '-' }).take(40).collect();
    if server_name(&plain) { plain } else { "server".to_owned() }
}

fn joining(who: Who, args: &Args, context: &Context) -> Result<Joining, Failure> {
    let failed = |error: crate::trust::KeyError| Failure::failed(error.to_string(), "");
    Ok(match who {
        Who::Person => {
            let settings = context.settings()?;
            let name = args.name.as_deref().map_or_else(|| settings.person(), Arc::from);
            let signer = keys::signer(context, &settings)?;
            Joining { role: Role::Console, signer, name, known: context.places.known_servers(), config: context.console_config() }
        }
        Who::Agent => {
            let config = context.global.config.clone().unwrap_or_else(|| context.places.agent_config());
            let settings = if config.exists() {
                agent::config::Config::load(&config).map_err(|error| Failure::failed(error.to_string(), ""))?
            } else {
                agent::config::Config::this_machine()
            };
            let data = settings.agent.data.as_deref().map(home).unwrap_or_else(|| context.places.data.join("agent"));
            super::places::make_private(&data)?;
            let keys = data.join("keys");
            let (key, _) = KeyFile::load_or_create(&keys.join("agent_ed25519"), settings.agent.name.as_str()).map_err(failed)?;
            let signer = Arc::new(key.signer().map_err(failed)?);
            Joining { role: Role::Agent, signer, name: settings.agent.name.as_str().into(), known: KnownServers::at(keys.join("known_servers")), config }
        }
        Who::Peer => {
            let settings = serve::config(context)?;
            let data = settings.data();
            super::places::make_private(&data)?;
            let key = ServerKey::load_or_create(&data.join("server.key")).map_err(failed)?;
            let signer = Arc::new(key.signer().map_err(failed)?);
            let name = args.name.as_deref().map_or_else(|| settings.name(), Arc::from);
            let config = context.global.config.clone().unwrap_or_else(|| context.places.server_config());
            Joining { role: Role::Peer, signer, name, known: known_peers(&data), config }
        }
    })
}

/// At the first address that answers.
async fn redeem(code: &InviteCode, joining: &Joining, context: &Context) -> Result<Joined, Failure> {
    // The server's key is known before anything is said; what is remembered for good is written once it worked.
    super::places::make_private(&context.places.state)?;
    let pinned = KnownServers::at(context.places.state.join(format!("join-{}", code.id())));
    let _ = std::fs::remove_file(pinned.path());
    pinned.remember("server", &code.server).map_err(|error| Failure::failed(error.to_string(), ""))?;
    let proving = Proving { signer: joining.signer.clone(), known: pinned.clone(), server: "server".into() };
    let outcome = at_any(code, joining, &proving).await;
    let _ = std::fs::remove_file(pinned.path());
    let _ = std::fs::remove_file(pinned.path().with_extension("lock"));
    outcome
}

async fn at_any(code: &InviteCode, joining: &Joining, proving: &Proving) -> Result<Joined, Failure> {
    let mut last = Failure::unreachable("the code's addresses lead nowhere", "");
    for address in &code.addresses {
        let parsed = match Address::parse(address) {
            Ok(parsed) => parsed,
            Err(error) => {
                last = Failure::failed(error.to_string(), "");
                continue;
            }
        };
        // Its key is known, whoever vouches for its certificate.
        let dial = way(&parsed, Some(proving), &TlsTrust::default());
        match at(&*dial, code, joining, proving, true).await {
            Ok((welcome, holding)) => return Ok(Joined { address: address.clone(), welcome, holding, already: false }),
            Err(error @ (LinkError::Unauthorized(_) | LinkError::NotProved(_))) => {
                // It may have been redeemed for this very key, by a try whose answer was lost.
                return match at(&*dial, code, joining, proving, false).await {
                    Ok((welcome, holding)) => Ok(Joined { address: address.clone(), welcome, holding, already: true }),
                    Err(_) => Err(Failure::failed(error.to_string(), "")),
                };
            }
            Err(error) => last = Failure::unreachable(format!("{address}: {error}"), "Can this machine reach the server?"),
        }
    }
    Err(last)
}

async fn at(dial: &dyn Dial, code: &InviteCode, joining: &Joining, proving: &Proving, redeem: bool) -> Result<(Welcome, Holding), LinkError> {
    let hello = Hello {
        protocol: PROTOCOL,
        role: joining.role,
        name: joining.name.clone(),
        token: None,
        version: env!("CARGO_PKG_VERSION").into(),
        zstd: false,
        origin: None,
        redeem: redeem.then(|| code.secret().into()),
        key: None,
    };
    let mut talk = Conversation::open(dial, &hello, Some(proving), PATIENCE).await?;
    talk.send(&ToServer::Renew(Renew { id: 1 })).await?;
    let welcome = talk.welcome.clone();
    let holding = tokio::time::timeout(PATIENCE, async {
        loop {
            match talk.next().await? {
                ToClient::Holding(holding) => return Ok(holding),
                ToClient::Problem(problem) => return Err(LinkError::Unauthorized(problem.words)),
                _ => {}
            }
        }
    });
    let holding = holding.await.map_err(|_| LinkError::Timeout(PATIENCE))??;
    talk.close().await;
    Ok((welcome, holding))
}

/// Remembers the server's key and writes the configuration. True: that was changed.
fn set_up(args: &Args, joining: &Joining, code: &InviteCode, address: &str, called: String) -> Result<(String, bool), Failure> {
    let failed = |error: crate::trust::KeyError| Failure::failed(error.to_string(), "");
    let parsed = Address::parse(address).map_err(|error| Failure::failed(error.to_string(), ""))?;
    let changed = !args.no_config;
    let known_as = match code.who {
        Who::Person | Who::Peer => called.clone(),
        // An agent knows its server by its address.
        Who::Agent => parsed.host().map_or_else(|| called.clone(), str::to_owned),
    };
    if changed {
        match code.who {
            Who::Person => server::enter(&joining.config, &called, address)?,
            Who::Agent => agent_for(&joining.config, address)?,
            Who::Peer => peer_of(&joining.config, &called, address)?,
        }
    }
    joining.known.remember(&known_as, &code.server).map_err(failed)?;
    Ok((called, changed))
}

fn agent_for(path: &Path, address: &str) -> Result<(), Failure> {
    let text = toml_file::read(path)?.unwrap_or_else(agent::config::Config::this_machine_text);
    let mut document = read(path, &text)?;
    let agent = document.entry("agent").or_insert_with(|| Item::Table(Table::new()));
    let Some(agent) = agent.as_table_mut() else {
        return Err(Failure::failed(format!("{}: `agent` is no table", path.display()), "Write [agent] with `server` beneath it"));
    };
    agent.insert("server", value(address));
    write(path, &document)
}

fn peer_of(path: &Path, called: &str, address: &str) -> Result<(), Failure> {
    let mut document = read(path, &toml_file::read(path)?.unwrap_or_default())?;
    let peers = document.entry("peer").or_insert_with(|| Item::ArrayOfTables(ArrayOfTables::new()));
    let Some(peers) = peers.as_array_of_tables_mut() else {
        return Err(Failure::failed(format!("{}: `peer` is no list of tables", path.display()), "Write [[peer]] with name and url beneath it"));
    };
    let known = peers.iter().position(|peer| peer.get("name").and_then(Item::as_str) == Some(called));
    match known.and_then(|place| peers.get_mut(place)) {
        Some(peer) => {
            peer.insert("url", value(address));
        }
        None => {
            let mut peer = Table::new();
            peer.insert("name", value(called));
            peer.insert("url", value(address));
            peers.push(peer);
        }
    }
    write(path, &document)
}

fn read(path: &Path, text: &str) -> Result<DocumentMut, Failure> {
    text.parse().map_err(|error| Failure::failed(format!("{}: {error}", path.display()), ""))
}

fn write(path: &Path, document: &DocumentMut) -> Result<(), Failure> {
    whole::replace_with(path, document.to_string().as_bytes())
        .map_err(|error| Failure::failed(format!("cannot write {}: {error}", path.display()), "Check who may write there, and that there is room"))
}
