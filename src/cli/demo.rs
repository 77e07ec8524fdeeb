//! `midwatch demo`: three federated servers in this process, living through a recorded night.
//!
//! An infrastructure provider (`infra`), a web shop that lives on it (`shop`) and a sports club's platform
//! that uses both (`club`), each on a Unix socket in a temporary folder. The recording (`demo/recording.rs`
//! has its format, `demo/night.rs` its story) comes in through agents' links, HTTP intakes and people's
//! requests, as it would in earnest, and shifted so that it ends now; then the night goes on (`demo/live.rs`).

mod cast;
mod folder;
mod live;
mod night;
mod pen;
mod plan;
mod players;
mod recording;
mod speak;
mod stage;
mod usual;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex as Slow, watch};

use self::cast::Cast;
use self::folder::Folder;
use self::players::{People, Troupe};
use self::recording::Line;
use self::stage::{Stage, StoryClock};
use super::console::Before;
use super::output::Output;
use super::{Context, Failure};
use crate::client::ServerConfig;
use crate::console::message::Arriving;
use crate::link::{Clock, SystemClock};
use crate::model::time::Span;

/// Live through a recorded night on three servers in this process
#[derive(clap::Args, Clone, Debug)]
#[command(after_help = "Example: midwatch demo\nExample: midwatch demo --kill club --after 30s --again 60s\nExample: midwatch demo --headless")]
pub struct Args {
    /// Serve only, without the console: prints the servers' addresses, then `ready` when the whole night has come in; reads
    /// `kill NAME`, `start NAME` and `quit` from standard input
    #[arg(long)]
    pub headless: bool,
    /// Stop this server abruptly, as if its machine had died: infra, shop or club
    #[arg(long, value_name = "NAME", value_parser = cast::SERVERS)]
    pub kill: Option<String>,
    /// When, counted from the start
    #[arg(long, value_name = "SPAN", default_value = "30s", requires = "kill")]
    pub after: Span,
    /// Start it again, so long after it was stopped
    #[arg(long, value_name = "SPAN", requires = "kill")]
    pub again: Option<Span>,
    /// Print the recording, one JSON object a line, and end
    #[arg(long, conflicts_with_all = ["headless", "kill"])]
    pub recording: bool,
}

/// How much of the recording has come in.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Progress {
    pub messages: usize,
    pub of: usize,
    /// Messages that a server did not take; none, unless one of them was killed meanwhile.
    pub failed: usize,
    pub done: bool,
}

/// The demo, running. Dropping it ends everything and removes its folder.
pub struct Demo {
    /// For the console to open on.
    pub servers: Vec<ServerConfig>,
    /// How the recording comes in.
    pub progress: watch::Receiver<Progress>,
    stages: Arc<Slow<Vec<Stage>>>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
    _folder: Folder,
}

impl Demo {
    /// Stops a server abruptly. False: it is not running, or there is none of that name.
    pub async fn kill(&self, name: &str) -> bool {
        self.stages.lock().await.iter_mut().any(|stage| &*stage.name == name && stage.kill())
    }

    /// Starts one again that was killed, on what its folder holds.
    pub async fn revive(&self, name: &str) -> Result<(), Failure> {
        revive(&self.stages, name).await
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        self.tasks.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

async fn revive(stages: &Slow<Vec<Stage>>, name: &str) -> Result<(), Failure> {
    match stages.lock().await.iter_mut().find(|stage| &*stage.name == name) {
        Some(stage) => stage.start().await,
        None => Err(Failure::failed(format!("the demo has no server called `{name}`"), "They are infra, shop and club")),
    }
}

/// Starts the servers and agents, and lets the night come in behind the caller's back.
pub async fn start(args: &Args) -> Result<Demo, Failure> {
    let cast = Arc::new(Cast::read().map_err(|why| Failure::failed(why, ""))?);
    let folder = Folder::new(&std::env::temp_dir())?;
    let clock = Arc::new(StoryClock::behind(Span::from_days(30).micros()));
    let mut stages: Vec<Stage> = cast.servers.iter().map(|player| Stage::new(folder.path(), player, clock.clone())).collect();
    for started in futures_util::future::join_all(stages.iter_mut().map(Stage::start)).await {
        started?;
    }
    let servers: Vec<ServerConfig> = stages.iter().map(|stage| players::config(&stage.name, &stage.socket)).collect();
    let people = People::at(&servers, &cast).map_err(|why| Failure::failed(why, ""))?;
    let start = SystemClock.now();
    let gathered = cast.servers.iter().zip(&stages).zip(people).map(|((player, stage), people)| {
        let (player, socket): (Arc<_>, &Path) = (Arc::new(player.clone()), &stage.socket);
        Troupe::gather(player, socket, people, start)
    });
    let mut troupes = Vec::new();
    for troupe in futures_util::future::join_all(gathered).await {
        troupes.push(troupe.map_err(|why| Failure::failed(format!("the demo's agents cannot reach their server: {why}"), ""))?);
    }
    clock.catch_up();
    let (sender, progress) = watch::channel(Progress::default());
    let stages = Arc::new(Slow::new(stages));
    let mut tasks = vec![tokio::spawn(play(cast, troupes, sender))];
    if let Some(name) = args.kill.clone() {
        tasks.push(tokio::spawn(kill_later(stages.clone(), name, args.after, args.again)));
    }
    Ok(Demo { servers, progress, stages, tasks, _folder: folder })
}

async fn kill_later(stages: Arc<Slow<Vec<Stage>>>, name: String, after: Span, again: Option<Span>) {
    tokio::time::sleep(after.duration()).await;
    for stage in stages.lock().await.iter_mut().filter(|stage| *stage.name == *name) {
        stage.kill();
    }
    if let Some(again) = again {
        tokio::time::sleep(again.duration()).await;
        if let Err(failure) = revive(&stages, &name).await {
            tracing::warn!(%failure, name, "a server of the demo does not start again");
        }
    }
}

/// First the recording, as fast as the servers take it; then the night goes on, at its own pace.
async fn play(cast: Arc<Cast>, troupes: Vec<Troupe>, progress: watch::Sender<Progress>) {
    let begun = tokio::time::Instant::now();
    let lines = night::recording(&cast);
    progress.send_modify(|progress| progress.of = lines.len());
    let played = cast.servers.iter().zip(&troupes).map(|(player, troupe)| {
        let (steps, progress) = (plan::steps(player, &lines), &progress);
        async move {
            for step in steps {
                let failed = troupe.play(&step.said, &step.asked).await;
                progress.send_modify(|progress| {
                    progress.messages += step.said.len() + step.asked.len();
                    progress.failed += failed;
                });
            }
        }
    });
    futures_util::future::join_all(played).await;
    progress.send_modify(|progress| progress.done = true);
    tracing::info!(lines = lines.len(), took = ?begun.elapsed(), "the night has come in");
    let lives: Vec<(Arc<str>, players::Live)> = cast
        .servers
        .iter()
        .zip(troupes)
        .map(|(player, troupe)| (player.name.clone(), troupe.live(&lines, Some(night::SILENT.1).filter(|_| *player.name == *night::SILENT.0))))
        .collect();
    let often = live::often(&lines);
    drop(lines);
    for number in 0.. {
        for line in live::round(&cast, &often, number) {
            tokio::time::sleep_until(begun + Duration::from_secs((-line.ago.0).unsigned_abs())).await;
            if let Some((_, live)) = lives.iter().find(|(name, _)| *name == line.server) {
                live.say(&line).await;
            }
        }
    }
}

pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    if args.recording {
        return print_recording();
    }
    let runtime = super::serve::runtime()?;
    if args.headless {
        let done = runtime.block_on(headless(args));
        runtime.shutdown_background();
        return done;
    }
    let person = context.settings()?.person();
    let demo = runtime.block_on(start(args))?;
    // The console has a thread of its own: this one. The night comes in behind it.
    let arriving = runtime.block_on(async { arriving(demo.progress.clone()) });
    let done = super::console::open(context, demo.servers.clone(), person, Some(arriving), Before::default());
    let inside = runtime.enter();
    drop(demo);
    drop(inside);
    runtime.shutdown_background();
    done
}

/// The progress as the console shows it, a few times a second; it ends when the night has come in.
fn arriving(mut progress: watch::Receiver<Progress>) -> watch::Receiver<Arriving> {
    let (sender, receiver) = watch::channel(Arriving { came: 0, of: 1 });
    tokio::spawn(async move {
        while progress.changed().await.is_ok() {
            let now = *progress.borrow_and_update();
            if now.done || sender.send(Arriving { came: now.messages.min(now.of.saturating_sub(1)), of: now.of }).is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    receiver
}

fn print_recording() -> Result<(), Failure> {
    let cast = Cast::read().map_err(|why| Failure::failed(why, ""))?;
    let mut out = Output::new();
    for line in &night::recording(&cast) {
        out.json::<Line>(line)?;
    }
    out.finish()
}

/// Serves until standard input says `quit`, or a signal ends it.
async fn headless(args: &Args) -> Result<(), Failure> {
    use tokio::io::{AsyncBufReadExt, BufReader};
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminated = signal(SignalKind::terminate())?;
    let demo = start(args).await?;
    let mut out = Output::new().live();
    for server in &demo.servers {
        out.line(&format!("{} {}", server.name, address(server)))?;
    }
    let mut progress = demo.progress.clone();
    let mut commands = BufReader::new(tokio::io::stdin()).lines();
    let (mut ready, mut listening) = (false, true);
    loop {
        tokio::select! {
            changed = progress.wait_for(|progress| progress.done), if !ready => {
                ready = true;
                let progress = changed.map(|progress| *progress).unwrap_or_default();
                out.line(&format!("ready {} messages, {} not taken", progress.messages, progress.failed))?;
            }
            command = commands.next_line(), if listening => match command {
                Ok(Some(line)) if line.trim() == "quit" => return Ok(()),
                Ok(Some(line)) => out.line(&obey(&demo, line.trim()).await)?,
                // Nobody will say anything any more; the servers go on.
                Ok(None) | Err(_) => listening = false,
            },
            _ = terminated.recv() => return Ok(()),
            _ = tokio::signal::ctrl_c() => return Ok(()),
        }
    }
}

/// Does what a line of standard input says; answers with a line.
async fn obey(demo: &Demo, line: &str) -> String {
    let (verb, name) = line.split_once(' ').unwrap_or((line, ""));
    let name = name.trim();
    match verb {
        "kill" if demo.kill(name).await => format!("killed {name}"),
        "kill" => format!("{name} is not running"),
        "start" => match demo.revive(name).await {
            Ok(()) => format!("started {name}"),
            Err(failure) => failure.to_string(),
        },
        _ => format!("`{line}` is no command; write kill NAME, start NAME or quit"),
    }
}

fn address(server: &ServerConfig) -> String {
    server.address.to_string()
}
