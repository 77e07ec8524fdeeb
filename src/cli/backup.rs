//! `midwatch backup` and `restore`: a server's data, while it runs, and the way back.

use std::path::{Path, PathBuf};

use super::output::Output;
use super::{Context, Failure, ask};
use crate::model::id::Incarnation;
use crate::model::words::counted;
use crate::store::{Log, SqliteLog, StoreError};

/// Copy a server's data into a file, while it runs
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Example: midwatch backup --data /var/lib/midwatch /backup/shop-2026-11-21.db\n\nThe key beside the log (server.key) is the server's identity: keep a copy of it, once, in a safe place."
)]
pub struct Backup {
    /// The server's data folder; without it, that of the embedded server
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// The new file
    #[arg(value_name = "FILE")]
    to: PathBuf,
}

/// Put a backup in place of a server's data, while it does not run
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Example: midwatch restore --data /var/lib/midwatch /backup/shop-2026-11-21.db\n\nThe log begins a new life from there, and everybody who knew more is told so."
)]
pub struct Restore {
    /// The server's data folder; without it, that of the embedded server
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// What `midwatch backup` made
    #[arg(value_name = "FILE")]
    from: PathBuf,
}

fn folder(data: Option<&PathBuf>, context: &Context) -> PathBuf {
    data.cloned().unwrap_or_else(|| context.places.embedded())
}

fn store(error: StoreError) -> Failure {
    Failure::failed(error.to_string(), "")
}

pub fn backup(args: &Backup, context: &Context) -> Result<(), Failure> {
    let data = folder(args.data.as_ref(), context);
    ask::block_on(async {
        let log = SqliteLog::open_read_only(&data).map_err(store)?;
        log.backup(&args.to).await.map_err(store)?;
        say(&format!(
            "{}: the log of {} as it is now, {} and {} bytes",
            args.to.display(),
            data.display(),
            counted(log.head().sequence.0, "event"),
            size(&args.to)
        ))
    })
}

pub fn restore(args: &Restore, context: &Context) -> Result<(), Failure> {
    let data = folder(args.data.as_ref(), context);
    let life = Incarnation(ask::now().micros().unsigned_abs() / 1_000);
    let head = crate::store::sqlite::restore(&args.from, &data, life).map_err(store)?;
    say(&format!("{}: restored up to event {}; the server says so when it starts", data.display(), head.sequence.0))
}

fn size(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |metadata| metadata.len())
}

fn say(words: &str) -> Result<(), Failure> {
    let mut out = Output::new();
    out.line(words)?;
    out.finish()
}
