//! `midwatch import`: a server's log from an export.
//!
//! A log is one server's own, in order, and its world is made from all of it: events of another server
//! that were put behind its own would open alerts that nobody here closes, and make it speak for systems
//! that it does not watch. So an import makes a log of its own, for a server that stands beside the others.
//! Each event gets its place in it, and what names an event (the episode of an acknowledgement, a note
//! taken back) names the new place. The same import again adds nothing, one that was interrupted goes on
//! where it stopped, and one that is not the continuation of what is there is refused, with counts.
//! To look at exports, nothing needs to be imported: `midwatch open` and `midwatch events --file` read them.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::output;
use super::{Failure, ask};
use crate::model::event::Event;
use crate::model::id::{EventId, Incarnation, Sequence};
use crate::model::time::Time;
use crate::model::words::counted;
use crate::store::transfer::{self, Import, Line};
use crate::store::{Head, Log, Row, SqliteLog, StoreError};
use crate::trust::ServerKey;

/// Rows of one append.
const BATCH: usize = 1_000;

/// Make a new server's log from exported events
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Example: midwatch import --data /var/lib/midwatch shop.jsonl\n\nThe log must be empty, or hold the beginning of the same import, and its server must not be running. Lines that are no events are said and left out. A log is one server's own: to look at another's events beside it, `midwatch open FILE` needs no import."
)]
pub struct Args {
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

pub fn run(args: &Args) -> Result<(), Failure> {
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
        let mut into = Into::new(&log);
        let (mut moved, mut bad) = (Moved::new(log.head()), 0_u64);
        let mut rows = Vec::<Row>::new();
        for line in Import::new(input) {
            let (line, row) = match line.map_err(failed)? {
                Line::Bad { line, why } => (line, Err(why)),
                Line::Event { event, line } => (line, moved.take(*event)),
            };
            match row {
                Ok(row) => rows.push(row),
                Err(why) => {
                    bad += 1;
                    output::complain(&format!("midwatch: line {line}: {why}"));
                }
            }
            if rows.len() >= BATCH {
                into.take(&log, std::mem::take(&mut rows)).await?;
            }
        }
        into.take(&log, rows).await?;
        into.end(&args.data)?;
        log.index_now();
        if bad == 0 { Ok(()) } else { Err(Failure::failed(format!("left out: {}", counted(bad, "line")), "The rest is imported")) }
    })
}

/// The log that takes the events, and how far the import agrees with what it held before.
struct Into {
    /// The last that was there when the import began.
    held: Sequence,
    /// Events that were there already.
    same: u64,
    added: u64,
    /// Events that are not those which stand in their place.
    other: u64,
}

impl Into {
    fn new(log: &SqliteLog) -> Into {
        Into { held: log.head().sequence, same: 0, added: 0, other: 0 }
    }

    /// Takes rows, which follow those before. Nothing is appended once one was another than what is there.
    async fn take(&mut self, log: &SqliteLog, mut rows: Vec<Row>) -> Result<(), Failure> {
        let mut new = rows.split_off(rows.partition_point(|row| row.sequence <= self.held));
        if let (Some(first), Some(last)) = (rows.first(), rows.last()) {
            let mut there = Vec::new();
            let mut from = first.sequence;
            while from <= last.sequence {
                let some = log.range(from, last.sequence, BATCH, 64 << 20).await.map_err(store)?;
                let Some(end) = some.last() else { break };
                from = end.sequence.next();
                there.extend(some);
            }
            for row in rows {
                let same = there.binary_search_by_key(&row.sequence, |row| row.sequence).ok().and_then(|at| there.get(at)).is_some_and(|held| *held == row);
                if same { self.same += 1 } else { self.other += 1 }
            }
        }
        if self.other > 0 {
            self.other += u64::try_from(std::mem::take(&mut new).len()).unwrap_or(u64::MAX);
        }
        if let Some(first) = new.first() {
            let expected = Sequence(first.sequence.0.saturating_sub(1));
            self.added += u64::try_from(new.len()).unwrap_or(u64::MAX);
            log.append(expected, new).await.map_err(store)?;
        }
        Ok(())
    }

    fn end(&self, data: &Path) -> Result<(), Failure> {
        let Into { held, same, added, other } = self;
        let data = data.display();
        if *other > 0 {
            let cause = format!(
                "the log in {data} holds {} of its own: {same} of the import are among them, {other} are not. Nothing was added",
                counted(held.0, "event")
            );
            let hint = "A log is one server's: import into an empty folder, and `midwatch serve --data` there beside this one; `midwatch open` and `midwatch events --file` show exports without importing";
            return Err(Failure::failed(cause, hint));
        }
        output::tell(&match (same, added) {
            (0, added) => format!("midwatch: {data} holds {}", counted(added, "event")),
            (same, 0) => format!("midwatch: {data} held all of it already: {}", counted(same, "event")),
            (same, added) => format!("midwatch: {data} holds {} more, beside {same} that were there already", counted(added, "event")),
        });
        Ok(())
    }
}

/// From the places in the old log to those in the new one.
struct Moved {
    ids: HashMap<EventId, EventId>,
    next: EventId,
    recorded: Time,
}

impl Moved {
    fn new(head: Head) -> Moved {
        let next = EventId { origin: head.origin, incarnation: head.incarnation, sequence: Sequence(1) };
        Moved { ids: HashMap::new(), next, recorded: Time::MIN }
    }

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
