//! `midwatch export` and `import`: a log as JSON Lines, out of a data folder and into a new one.
//!
//! An export holds what the log holds, with fields that this version does not know. An import makes an
//! empty log from it: each event gets its place in the new one, and what names an event (the episode of
//! an acknowledgement, a note taken back) names the new place. To look at exports beside a running
//! server, nothing needs to be imported: `midwatch events --file` reads them.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::output;
use super::{Context, Failure, ask};
use crate::model::event::Event;
use crate::model::id::{EventId, Incarnation, Sequence};
use crate::model::time::Time;
use crate::store::transfer::{self, Import, Line};
use crate::store::{Log, Row, SqliteLog, StoreError};
use crate::trust::ServerKey;

/// Rows of one append.
const BATCH: usize = 1_000;

/// Write a server's events as JSON Lines, while it runs
#[derive(clap::Args, Debug)]
#[command(after_help = "Example: midwatch export --data /var/lib/midwatch > shop.jsonl\nExample: midwatch export --to night.jsonl")]
pub struct Export {
    /// The server's data folder; without it, that of the embedded server
    #[arg(long, value_name = "FOLDER")]
    data: Option<PathBuf>,
    /// A new file; without it, standard output
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
}

/// Make a new server's log from exported events
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Example: midwatch import --data /var/lib/midwatch shop.jsonl\n\nThe log must be empty and its server not running. Lines that are no events are said and left out."
)]
pub struct ImportArgs {
    /// The new server's data folder
    #[arg(long, value_name = "FOLDER")]
    data: PathBuf,
    /// What `midwatch export` wrote; `-` is standard input
    #[arg(value_name = "FILE")]
    from: PathBuf,
}

fn store(error: StoreError) -> Failure {
    Failure::failed(error.to_string(), "")
}

pub fn export(args: &Export, context: &Context) -> Result<(), Failure> {
    let data = args.data.clone().unwrap_or_else(|| context.places.embedded());
    ask::block_on(async {
        let log = SqliteLog::open_read_only(&data).map_err(store)?;
        let head = log.head();
        let mut to: Box<dyn Write + Send> = match &args.to {
            Some(path) => {
                Box::new(BufWriter::new(File::create_new(path).map_err(|error| Failure::failed(format!("cannot make {}: {error}", path.display()), ""))?))
            }
            None => Box::new(BufWriter::with_capacity(256 * 1024, std::io::stdout())),
        };
        let count = match transfer::export(&log, head.base, head.sequence, &mut *to).await {
            Ok(count) => count,
            Err(transfer::TransferError::Write(error)) => return Err(Failure::from(error)),
            Err(error) => return Err(Failure::failed(error.to_string(), "")),
        };
        output::tell(&format!("midwatch: {count} events of {}", data.display()));
        Ok(())
    })
}

pub fn import(args: &ImportArgs) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::failed(format!("cannot read {}: {error}", args.from.display()), "");
    let input: Box<dyn BufRead> = if args.from == Path::new("-") {
        Box::new(BufReader::new(std::io::stdin()))
    } else {
        Box::new(BufReader::new(File::open(&args.from).map_err(failed)?))
    };
    super::places::make_private(&args.data)?;
    let key = ServerKey::load_or_create(&args.data.join("server.key")).map_err(|error| Failure::failed(error.to_string(), ""))?;
    let life = Incarnation(ask::now().micros().unsigned_abs() / 1_000);
    ask::block_on(async {
        let log = SqliteLog::open(&args.data, key.origin(), life).map_err(store)?;
        let head = log.head();
        if head.sequence > Sequence::default() {
            let hint = "Import into an empty folder; `midwatch events --file` reads exports without importing";
            return Err(Failure::failed(format!("the log in {} has {} events already", args.data.display(), head.sequence.0), hint));
        }
        let mut moved =
            Moved { ids: HashMap::new(), next: EventId { origin: head.origin, incarnation: head.incarnation, sequence: Sequence(1) }, recorded: Time::MIN };
        let (mut rows, mut bad) = (Vec::<Row>::new(), 0_u64);
        let mut expected = Sequence::default();
        for line in Import::new(input) {
            match line.map_err(failed)? {
                Line::Bad { line, why } => {
                    bad += 1;
                    output::complain(&format!("midwatch: line {line}: {why}"));
                }
                Line::Event { event, line } => match moved.take(*event) {
                    Ok(row) => rows.push(row),
                    Err(why) => {
                        bad += 1;
                        output::complain(&format!("midwatch: line {line}: {why}"));
                    }
                },
            }
            if rows.len() >= BATCH {
                expected = append(&log, expected, std::mem::take(&mut rows)).await?;
            }
        }
        expected = append(&log, expected, rows).await?;
        log.index_now();
        output::tell(&format!("midwatch: {} events are in {}", expected.0, args.data.display()));
        if bad == 0 { Ok(()) } else { Err(Failure::failed(format!("{bad} lines were left out"), "The rest is imported")) }
    })
}

async fn append(log: &SqliteLog, expected: Sequence, rows: Vec<Row>) -> Result<Sequence, Failure> {
    let last = rows.last().map_or(expected, |row| row.sequence);
    if !rows.is_empty() {
        log.append(expected, rows).await.map_err(store)?;
    }
    Ok(last)
}

/// From the places in the old log to those in the new one.
struct Moved {
    ids: HashMap<EventId, EventId>,
    next: EventId,
    recorded: Time,
}

impl Moved {
    fn take(&mut self, event: Event) -> Result<Row, String> {
        let old = event.id;
        let mut value = serde_json::to_value(&event).map_err(|error| error.to_string())?;
        // Events name each other in these fields alone.
        for name in ["episode", "note"] {
            if let Some(field) = value.get_mut("data").and_then(|data| data.get_mut(name))
                && let Some(new) = field.as_str().and_then(|text| text.parse().ok()).and_then(|id: EventId| self.ids.get(&id))
            {
                *field = Value::String(new.to_string());
            }
        }
        if let Some(id) = value.get_mut("id") {
            *id = Value::String(self.next.to_string());
        }
        let mut event: Event = serde_json::from_value(value).map_err(|error| error.to_string())?;
        // What a log says was recorded never goes back, whatever files were put behind each other.
        self.recorded = self.recorded.max(event.recorded);
        event.recorded = self.recorded;
        let row = transfer::row(&event).map_err(|error| error.to_string())?;
        self.ids.insert(old, self.next);
        self.next.sequence = self.next.sequence.next();
        Ok(row)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::Origin;

    #[test]
    fn an_acknowledgement_names_its_episode_in_the_new_log() {
        let id = |sequence| EventId { origin: Origin([3; 16]), incarnation: Incarnation(7), sequence: Sequence(sequence) };
        let json = |sequence: u64, kind: &str, data: &str| {
            format!(r#"{{"id":"{}","at":"2026-11-21T02:39:00Z","kind":"{kind}","title":"t","actor":"user:kim","data":{data}}}"#, id(sequence))
        };
        let alert = "02".repeat(16);
        let opened = json(41, "alert.opened", &format!(r#"{{"alert":"{alert}","check":"c","by":"agent:a","condition":"problem"}}"#));
        let acked = json(44, "alert.acknowledged", &format!(r#"{{"alert":"{alert}","episode":"{}"}}"#, id(41)));
        let new = EventId { origin: Origin([9; 16]), incarnation: Incarnation(8), sequence: Sequence(1) };
        let mut moved = Moved { ids: HashMap::new(), next: new, recorded: Time::MIN };
        let first = moved.take(serde_json::from_str(&opened).unwrap()).unwrap();
        let second = moved.take(serde_json::from_str(&acked).unwrap()).unwrap();
        assert_eq!((first.sequence, second.sequence), (Sequence(1), Sequence(2)));
        let event: Event = rmp_serde::from_slice(&second.bytes).unwrap();
        match event.kind {
            crate::model::event::Kind::AlertAcknowledged(acked) => assert_eq!(acked.episode, new),
            other => panic!("{other:?}"),
        }
    }
}
