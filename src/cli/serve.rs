//! `midwatch serve`: a server, until it is told to stop; and the embedded one, which a console starts.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Context, Failure, agent, embedded, output, toml_file};
use crate::client::Address;
use crate::model::time::Span;
use crate::server::metrics::Metrics;
use crate::server::{Config, Listen, Server};

/// Run a server
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Example: midwatch serve --config /etc/midwatch/server.toml\nExample: midwatch serve --listen 127.0.0.1:7373 --data ./shop\n\nIt listens on loopback or a Unix socket; with the table [tls] in the configuration on any address, encrypted. Consoles and agents prove a key that stands in authorized_keys in its data folder; on this machine a token serves as well, which it writes there at the first start. It stops in order at SIGTERM or SIGINT."
)]
pub struct Args {
    /// Where to listen: 127.0.0.1:7373, or unix:/path; over what the configuration says
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<Listen>,
    /// Where log, key and tokens are; over what the configuration says
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// Started by a console: end this long after the last one has left; in a session of its own
    #[arg(long, value_name = "SPAN", hide = true)]
    embedded: Option<Span>,
}

pub fn run(args: Args, context: &Context) -> Result<(), Failure> {
    if args.embedded.is_some() {
        // Not the terminal's business any more: neither its hangup nor its Ctrl-C ends it. It fails only
        // when we lead a group already, which is as good.
        let _ = rustix::process::setsid();
    }
    let mut config = config(context)?;
    if let Some(listen) = args.listen {
        config.listen = listen;
    }
    if let Some(data) = args.data {
        config.data = Some(data);
    }
    runtime()?.block_on(serve(config, args.embedded))
}

/// The file that was named, else the one in the usual place, else the defaults.
pub fn config(context: &Context) -> Result<Config, Failure> {
    let path = match &context.global.config {
        Some(path) => path.clone(),
        None => {
            let path = context.places.server_config();
            if toml_file::read(&path)?.is_none() {
                return Ok(Config::default());
            }
            path
        }
    };
    Config::read(&path).map_err(|error| Failure::failed(error.to_string(), ""))
}

/// Several threads: a server has many callers.
pub fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("cannot start: {error}"), "Are there too many open files or processes?"))
}

async fn serve(config: Config, embedded: Option<Span>) -> Result<(), Failure> {
    let data = config.data();
    let server = Server::open(&config).await.map_err(|error| Failure::failed(error.to_string(), ""))?;
    let metrics = server.metrics();
    let name = config.name();
    match server.address() {
        Some(Listen::Unix(path)) => output::tell(&format!("midwatch {name}: listening on {}", path.display())),
        Some(Listen::Tcp(address)) => {
            let key = server.key().filter(|_| server.encrypts()).map(|key| format!(", encrypted; its key is {key}"));
            output::tell(&format!("midwatch {name}: listening on {address}{}; its tokens are in {}", key.unwrap_or_default(), data.display()));
        }
        None => {}
    }
    // The embedded server's own agent, which watches this machine through the socket as any other would.
    let watching = CancellationToken::new();
    let watchman = match (embedded, server.address()) {
        (Some(_), Some(Listen::Unix(socket))) => {
            let config = crate::agent::config::Config::this_machine();
            let agent = agent::open(config, &embedded::agent_folder(&data), &Address::Unix(socket.clone()), None)?;
            Some(tokio::spawn(agent.run(watching.clone())))
        }
        _ => None,
    };
    let why = async move {
        let why = stop_asked(embedded, metrics).await;
        watching.cancel();
        if let Some(watchman) = watchman {
            // It says its last words while the server still listens.
            let _ = tokio::time::timeout(Duration::from_secs(3), watchman).await;
        }
        why
    };
    let (told, stopped) = tokio::sync::oneshot::channel();
    server
        .run(async move {
            let _ = told.send(why.await);
        })
        .await;
    if let Ok(why) = stopped.await {
        output::tell(&format!("midwatch {name}: stopped ({why})"));
    }
    Ok(())
}

/// Waits for a signal, or, embedded, for the last console to have been gone for long enough.
async fn stop_asked(embedded: Option<Span>, metrics: Arc<Metrics>) -> &'static str {
    tokio::select! {
        why = signalled() => why,
        () = left_alone(embedded, metrics) => "no console for a while",
    }
}

/// Waits to be told to stop.
pub async fn signalled() -> &'static str {
    use tokio::signal::unix::{SignalKind, signal};
    let wait = async |kind: SignalKind| match signal(kind) {
        Ok(mut signal) => {
            signal.recv().await;
        }
        // Without this signal there are the others, and SIGKILL, which loses nothing either.
        Err(_) => std::future::pending().await,
    };
    tokio::select! {
        () = wait(SignalKind::terminate()) => "SIGTERM",
        () = wait(SignalKind::interrupt()) => "SIGINT",
    }
}

async fn left_alone(linger: Option<Span>, metrics: Arc<Metrics>) {
    let Some(linger) = linger.filter(|linger| *linger < STAY) else { return std::future::pending().await };
    // The console that starts this needs a moment to connect.
    let linger = linger.duration().max(Duration::from_secs(5));
    let mut alone_since = tokio::time::Instant::now();
    loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        if metrics.subscribers.load(Ordering::Relaxed) > 0 {
            alone_since = tokio::time::Instant::now();
        } else if alone_since.elapsed() >= linger {
            return;
        }
    }
}

/// A linger that stands for "never by itself".
pub const STAY: Span = Span::from_days(36_500);
