//! `midwatch open`: the console on exported events and logs, without any server.
//!
//! Each file stands where a server would: its events come into the timeline as they are found, and it is
//! followed as it grows (`open/feed.rs`).

mod feed;
mod pages;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use jiff::tz::TimeZone;

use self::feed::{Fed, Feeder};
use super::console::Before;
use super::{Context, Failure, ask, console, output};
use crate::client::files::Log;
use crate::console::message::News;
use crate::console::runtime::{Feed, Left};
use crate::console::sight::Link;
use crate::console::timeline::MOST_OF_FILES;

/// News that wait for the console; it takes them between two frames.
const AHEAD: usize = 8;

/// Open the console on exported events or logs, merged by time, without any server
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Example: midwatch open web-1.log web-2.log.gz night.jsonl\nExample: kubectl logs -f deploy/shop | midwatch open - events.jsonl\n\nFiles that grow are followed. Times without a zone are read as local ones (TZ)."
)]
pub struct Args {
    /// Exports and time-stamped logs, packed (gzip, zstd) or not; `-` is standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Open as if for the first time: not as a console on these files was left
    #[arg(long)]
    fresh: bool,
    /// Of files, no server is asked.
    #[arg(id = "server", long = "server", value_name = "NAME", hide = true)]
    server: Vec<String>,
}

pub fn run(args: Args, context: &Context) -> Result<(), Failure> {
    if let Some(server) = args.server.iter().chain(&context.global.server).next() {
        return Err(Failure::usage(
            format!("`open` reads files and asks no server, but --server {server} was given"),
            "`midwatch --server NAME` opens the console on a server",
        ));
    }
    let mut paths: Vec<PathBuf> = Vec::new();
    for path in args.files {
        if !paths.contains(&path) {
            paths.push(path);
        }
    }
    let zone = TimeZone::system();
    let opened: Vec<_> = paths.iter().map(|path| Log::open(path, ask::now(), &zone)).collect();
    let refused: Vec<String> = opened.iter().filter_map(|log| log.as_ref().err()).map(ToString::to_string).collect();
    if refused.len() == paths.len() {
        let (last, others) = refused.split_last().map_or(("", &[][..]), |(last, others)| (last.as_str(), others));
        others.iter().for_each(|error| output::complain(&format!("midwatch: {error}")));
        return Err(Failure::failed(last, ""));
    }
    let (sender, news) = tokio::sync::mpsc::channel(AHEAD);
    let mut links = Vec::new();
    let mut files = Vec::new();
    let mut first = Vec::new();
    for (server, (path, log)) in paths.iter().zip(opened).enumerate() {
        links.push(Link::file(name(path, &paths), path.display().to_string().into()));
        match log {
            Ok(log) => files.push(Fed::new(server, log)),
            Err(error) => {
                let why: Arc<str> = error.to_string().into();
                first.extend([(server, News::Lost { why: error.why.into(), retry: None }), (server, News::Problem(why))]);
            }
        }
    }
    // Nothing here can be acknowledged, noted or resolved.
    let mut context = context.clone();
    context.global.read_only = true;
    let read: Arc<AtomicBool> = Arc::default();
    let by_place = (0..paths.len()).map(|place| files.iter().find(|fed| fed.server == place).map(|fed| fed.file.clone())).collect();
    let names = links.iter().map(|link| link.name.clone()).collect();
    let failed = |error: std::io::Error| Failure::failed(format!("cannot start: {error}"), "Are there too many processes?");
    let elsewhere = pages::start(by_place, names, read.clone(), sender.clone(), MOST_OF_FILES).map_err(failed)?;
    std::thread::Builder::new().name("files".into()).spawn(move || Feeder::new(sender, read).run(first, files)).map_err(failed)?;
    let person = context.settings().map_or_else(|_| "me".into(), |settings| settings.person());
    let left = left(&context, &paths, args.fresh)?;
    console::show(&context, links, person, Feed::Files { news, elsewhere: Box::new(elsewhere) }, Before { left, ..Before::default() })
}

/// How a console on these files was left. What comes through a pipe does not come again: nothing is kept of that.
fn left(context: &Context, paths: &[PathBuf], fresh: bool) -> Result<Left, Failure> {
    if paths.iter().any(|path| path.as_os_str() == "-") {
        return Ok(Left::default());
    }
    let whole = |path: &PathBuf| format!("file {}", path.canonicalize().as_ref().unwrap_or(path).display());
    console::left(context, paths.iter().map(whole).collect(), fresh)
}

/// What a file is called: its name, or its path when another has the same.
fn name(path: &Path, all: &[PathBuf]) -> Arc<str> {
    if path.as_os_str() == "-" {
        return "stdin".into();
    }
    let same = all.iter().filter(|other| other.file_name() == path.file_name()).count() > 1;
    let name = path.file_name().filter(|_| !same).unwrap_or(path.as_os_str());
    name.to_string_lossy().as_ref().into()
}
