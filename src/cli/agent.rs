//! `midwatch agent`: runs checks on this machine and tells a server, until it is told to stop.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::settings::{home, token};
use super::{Context, Failure, output, serve};
use crate::agent::app::Agent;
use crate::agent::config::Config;
use crate::agent::remote::RemoteUplink;
use crate::agent::spool::SpoolError;
use crate::client::Address;
use crate::link::{Clock, OsRandom, SystemClock, TlsTrust, way};
use crate::trust::{KeyFile, KnownServers, Proving};

/// Run an agent: it checks this machine and tells a server
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Example: midwatch agent --config /etc/midwatch/agent.toml\nExample: midwatch agent --to ws://127.0.0.1:7373 --token-file agent.token\n\nWithout a configuration it watches what is worth watching on any machine: load, memory, disks, failed units. What no server has taken yet is kept on disk."
)]
pub struct Args {
    /// The server to tell: wss://HOST:PORT, ws://127.0.0.1:PORT or unix:/path; over what the configuration says
    #[arg(long, value_name = "URL")]
    to: Option<String>,
    /// The file of mode 0600 that holds the token for it
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// Of wss://: the authorities (PEM) that vouch for it, instead of this machine's
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Where it keeps what was not sent yet; over what the configuration says
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
}

pub fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let mut config = match &context.global.config {
        Some(path) => read(path)?,
        None => match context.places.agent_config() {
            path if path.exists() => read(&path)?,
            _ => Config::this_machine(),
        },
    };
    config.agent.server = args.to.or(config.agent.server);
    config.agent.token_file = args.token_file.or(config.agent.token_file);
    config.agent.ca = args.ca.or(config.agent.ca);
    config.agent.data = args.data.or(config.agent.data);
    let server = config.agent.server.clone().ok_or_else(|| Failure::usage("which server?", "Add --to ws://127.0.0.1:7373, or `server` to agent.toml"))?;
    let address = Address::parse(&server).map_err(|error| Failure::usage(error.to_string(), ""))?;
    let token = config.agent.token_file.as_deref().map(token).transpose()?;
    let data = config.agent.data.as_deref().map(home).unwrap_or_else(|| context.places.data.join("agent"));
    serve::runtime()?.block_on(async {
        let name = config.agent.name.to_string();
        let agent = open(config, &data, &address, token)?;
        output::tell(&format!("midwatch agent {name}: telling {server}"));
        let stop = CancellationToken::new();
        let ended = stop.clone();
        tokio::spawn(async move {
            serve::signalled().await;
            ended.cancel();
        });
        agent.run(stop).await;
        output::tell(&format!("midwatch agent {name}: stopped"));
        Ok(())
    })
}

fn read(path: &Path) -> Result<Config, Failure> {
    Config::load(path).map_err(|error| Failure::failed(error.to_string(), ""))
}

/// An agent that tells the server at `address`, and keeps in `data` what that does not have yet.
pub fn open(config: Config, data: &Path, address: &Address, token: Option<Arc<str>>) -> Result<Agent<RemoteUplink>, Failure> {
    super::places::make_private(data)?;
    let mut proving = None;
    if let Some(server) = address.host() {
        let failed = |error: crate::trust::KeyError| Failure::failed(error.to_string(), "");
        let keys = data.join("keys");
        let (key, _) = KeyFile::load_or_create(&keys.join("agent_ed25519"), config.agent.name.as_str()).map_err(failed)?;
        let signer = Arc::new(key.signer().map_err(failed)?);
        proving = Some(Proving { signer, known: KnownServers::at(keys.join("known_servers")), server: server.into() });
    }
    let tls = TlsTrust { ca: config.agent.ca.as_deref().map(home), proxy: config.agent.proxy };
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let mut uplink = RemoteUplink::new(way(address, proving.as_ref(), &tls), clock.clone(), config.agent.name.clone(), token);
    if let Some(proving) = proving {
        uplink = uplink.proving(proving);
    }
    Agent::open(config, data, uplink, clock, Arc::new(OsRandom)).map_err(|error: SpoolError| Failure::failed(error.to_string(), ""))
}
