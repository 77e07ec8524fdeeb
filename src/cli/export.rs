//! `midwatch export`: a server's events as JSON Lines, from its data folder or over the wire.
//!
//! An export holds what the log holds, with fields that this version does not know. Both ways give the
//! same lines in the same order, that of the log: an import folds them as they come.

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;

use super::ask::{self, Ask};
use super::output;
use super::{Context, Failure};
use crate::client::ServerIndex;
use crate::link::{OsRandom, Random};
use crate::model::id::Sequence;
use crate::model::words::counted;
use crate::store::transfer;
use crate::store::{Log, SqliteLog};
use crate::wire::{Paging, Place};

/// Events of one page.
const PAGE: usize = 5_000;

/// Write a server's events as JSON Lines, while it runs
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Example: midwatch export --data /var/lib/midwatch > shop.jsonl\nExample: midwatch export --to night.jsonl\nExample: midwatch export --server shop --to shop.jsonl    (over the wire)"
)]
pub struct Args {
    /// The server's data folder; without it and without --server, that of the embedded server
    #[arg(long, value_name = "FOLDER", conflicts_with = "server")]
    data: Option<PathBuf>,
    /// A new file; without it, standard output
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
}

pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    if let [_, other, ..] = context.global.server.as_slice() {
        return Err(Failure::usage(
            format!("an export is of one server, and `{other}` is another"),
            "Export each into a file of its own; `midwatch open` merges them",
        ));
    }
    let mut to: Box<dyn Write + Send> = match &args.to {
        Some(path) => {
            Box::new(BufWriter::new(File::create_new(path).map_err(|error| Failure::failed(format!("cannot make {}: {error}", path.display()), ""))?))
        }
        None => Box::new(BufWriter::with_capacity(256 * 1024, std::io::stdout())),
    };
    if context.global.server.is_empty() {
        return ask::block_on(from_folder(args.data.clone().unwrap_or_else(|| context.places.embedded()), &mut *to));
    }
    ask::block_on(from_wire(context, &mut *to))
}

async fn from_folder(data: PathBuf, to: &mut (dyn Write + Send)) -> Result<(), Failure> {
    let log = SqliteLog::open_read_only(&data).map_err(|error| Failure::failed(error.to_string(), ""))?;
    let head = log.head();
    let count = match transfer::export(&log, head.base, head.sequence, to).await {
        Ok(count) => count,
        Err(transfer::TransferError::Write(error)) => return Err(Failure::from(error)),
        Err(error) => return Err(Failure::failed(error.to_string(), "")),
    };
    output::tell(&format!("midwatch: {} of {}", counted(count, "event"), data.display()));
    Ok(())
}

/// A server pages its past by time; an export is in the order of the log. What lies between waits on disk.
async fn from_wire(context: &Context, to: &mut (dyn Write + Send)) -> Result<(), Failure> {
    let server = ServerIndex(0);
    let mut ask = Ask::connect(context, 0)?;
    ask.worlds().await;
    ask.all_reached()?;
    let Some((name, head)) = ask.asked.first().and_then(|asked| Some((asked.config.name.clone(), asked.replica.world.as_ref()?.head))) else {
        return Err(Failure::unreachable("the server said nothing", "Try again"));
    };
    let mut sorter =
        Sorter::new().map_err(|error| Failure::failed(format!("cannot keep the events on disk meanwhile: {error}"), "Name another place with TMPDIR"))?;
    let (mut from, mut broken): (Option<Place>, u64) = (None, 0);
    loop {
        let told = ask.raw(server, Paging::After(from), PAGE, &mut |_, _| {}).await?;
        broken = broken.saturating_add(told.page.broken.into());
        for entry in &told.page.entries {
            from = Some(Place { at: entry.at, sequence: entry.sequence });
            // What happened since the export began is left to the next one.
            if entry.sequence <= head {
                match transfer::line(&entry.bytes.0) {
                    Ok(line) => sorter.put(entry.sequence, &line)?,
                    Err(_) => broken = broken.saturating_add(1),
                }
            }
        }
        if told.complete || told.page.entries.is_empty() {
            break;
        }
    }
    let count = sorter.write(to)?;
    to.flush()?;
    output::tell(&format!("midwatch: {} of {name}", counted(count, "event")));
    if broken == 0 {
        Ok(())
    } else {
        Err(Failure::failed(format!("left out, since unreadable: {}", counted(broken, "event")), "Export where the server runs, with --data"))
    }
}

/// Lines in a file of nobody's, and where each stands.
struct Sorter {
    file: BufWriter<File>,
    end: u64,
    /// Sequence, offset, length.
    places: Vec<(Sequence, u64, usize)>,
}

impl Sorter {
    fn new() -> std::io::Result<Sorter> {
        use std::os::unix::fs::OpenOptionsExt;
        let path = std::env::temp_dir().join(format!("midwatch-export-{:016x}", OsRandom.below(u64::MAX)));
        let file = File::options().read(true).write(true).create_new(true).mode(0o600).open(&path)?;
        // It goes when this process does, however that ends.
        std::fs::remove_file(&path)?;
        Ok(Sorter { file: BufWriter::with_capacity(256 * 1024, file), end: 0, places: Vec::new() })
    }

    fn put(&mut self, sequence: Sequence, line: &str) -> Result<(), Failure> {
        let full = |error: std::io::Error| Failure::failed(format!("cannot keep the events on disk meanwhile: {error}"), "Name another place with TMPDIR");
        self.file.write_all(line.as_bytes()).map_err(full)?;
        self.places.push((sequence, self.end, line.len()));
        self.end = self.end.saturating_add(u64::try_from(line.len()).unwrap_or(u64::MAX));
        Ok(())
    }

    /// Each once, in the order of their sequences.
    fn write(self, to: &mut dyn Write) -> Result<usize, Failure> {
        let Sorter { file, mut places, .. } = self;
        let mut file = BufReader::with_capacity(64 * 1024, file.into_inner().map_err(|error| Failure::from(error.into_error()))?);
        places.sort_unstable();
        places.dedup_by_key(|(sequence, _, _)| *sequence);
        file.seek(SeekFrom::Start(0))?;
        let mut at = 0_u64;
        let mut line = Vec::new();
        for (_, offset, length) in &places {
            // Most stand one behind the other: what was read ahead is kept.
            let step = i64::try_from(*offset).unwrap_or(i64::MAX).saturating_sub(i64::try_from(at).unwrap_or(i64::MAX));
            file.seek_relative(step)?;
            line.resize(*length, 0);
            file.read_exact(&mut line)?;
            at = offset.saturating_add(u64::try_from(*length).unwrap_or(u64::MAX));
            line.push(b'\n');
            to.write_all(&line)?;
        }
        Ok(places.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_out_in_the_order_of_the_log_each_once() {
        let mut sorter = Sorter::new().unwrap();
        for sequence in [3, 1, 2, 3, 7, 5] {
            sorter.put(Sequence(sequence), &"x".repeat(usize::try_from(sequence).unwrap())).unwrap();
        }
        let mut out = Vec::new();
        assert_eq!(sorter.write(&mut out).unwrap(), 5);
        assert_eq!(String::from_utf8(out).unwrap(), "x\nxx\nxxx\nxxxxx\nxxxxxxx\n");
    }
}
