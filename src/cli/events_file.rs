//! `midwatch events [FILTER] [--json|--count] --file FILE…`: exports and logs, merged, without a server.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use jiff::tz::TimeZone;

use crate::client::files::{Entry, FileError, Format, Input, Origins, Render, Scanner, Want, Zone, merge, wall};
use crate::model::filter::{Filter, Subject};
use crate::model::time::Time;

/// What to print.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    /// Log lines as they were written, exported events as a line for people.
    Lines,
    /// One event a line, in the format of exports.
    Json,
    /// How many there are.
    Count,
}

/// What is asked.
pub struct EventsFile<'a> {
    pub filter: Filter,
    pub files: &'a [PathBuf],
    pub shape: Shape,
    /// The output is a terminal: nothing from a file may steer it.
    pub terminal: bool,
    pub now: Time,
    pub zone: TimeZone,
}

/// How it went: to be told beside the output.
#[derive(Debug, Default)]
pub struct Told {
    pub count: u64,
    /// What could not be read, wholly or in part.
    pub errors: Vec<FileError>,
    /// What a reader should know of what was printed.
    pub notes: Vec<String>,
}

/// Prints what matches. A reader who stops reading ends it without an error.
pub fn events_file(asked: EventsFile<'_>, out: &mut dyn Write) -> io::Result<Told> {
    let mut told = Told::default();
    let mut scanners = Vec::with_capacity(asked.files.len());
    let (want, render) = rendering(&asked);
    for path in asked.files {
        let origins = Arc::new(Origins::of(path));
        match Input::open(path, asked.now) {
            Ok(input) => {
                let zone = Zone::new(asked.zone.clone(), input.written);
                scanners.push(Scanner::new(input.reader, origins, zone, asked.filter.clone(), want, render.clone()));
            }
            Err(error) => told.errors.push(error),
        }
    }
    let names: Vec<PathBuf> = scanners.iter().map(|scanner| scanner.origins.path.clone()).collect();
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let mut out = io::BufWriter::with_capacity(256 << 10, out);
    let merged = merge(scanners, threads, &mut |_, _, bytes| {
        out.write_all(bytes)?;
        if want == Want::Readable && bytes.last() != Some(&b'\n') { out.write_all(b"\n") } else { Ok(()) }
    });
    let totals = match merged {
        Ok(totals) => totals,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
            // What is still in the writer has no reader.
            drop(out.into_parts());
            return Ok(told);
        }
        Err(error) => return Err(error),
    };
    if asked.shape == Shape::Count {
        writeln!(out, "{}", totals.count)?;
    }
    out.flush().or_else(|error| if error.kind() == io::ErrorKind::BrokenPipe { Ok(()) } else { Err(error) })?;
    told.count = totals.count;
    for (path, outcome) in names.iter().zip(totals.files) {
        let name = path.display();
        if let Some(error) = outcome.error {
            told.errors.push(FileError::of(path, &error));
        }
        if outcome.late > 0 && asked.shape != Shape::Count {
            told.notes.push(format!("{name}: {} lines are far out of order and stand where they were found", outcome.late));
        }
        if outcome.cut > 0 {
            told.notes.push(format!("{name}: {} events of more than 1 MiB were cut off", outcome.cut));
        }
    }
    Ok(told)
}

fn rendering(asked: &EventsFile<'_>) -> (Want, Option<Render>) {
    let zone = asked.zone.clone();
    let terminal = asked.terminal;
    match asked.shape {
        Shape::Count => (Want::Count, None),
        Shape::Json => (Want::Rendered, Some(Arc::new(json))),
        Shape::Lines => {
            let want = if terminal { Want::Rendered } else { Want::Readable };
            (want, Some(Arc::new(move |entry: &Entry<'_>, out: &mut Vec<u8>| lines(entry, &zone, terminal, out))))
        }
    }
}

fn json(entry: &Entry<'_>, out: &mut Vec<u8>) {
    if *entry.format == Format::Export {
        out.extend_from_slice(entry.raw);
    } else {
        // Writing into memory cannot fail.
        let _ = serde_json::to_writer(&mut *out, &entry.event());
    }
    out.push(b'\n');
}

fn lines(entry: &Entry<'_>, zone: &TimeZone, terminal: bool, out: &mut Vec<u8>) {
    let line = match *entry.format {
        Format::Export => {
            let event = entry.event();
            let who = event.system.as_ref().map_or(event.actor.name(), |system| system.as_str());
            let mut line = format!("{}  {:8}  {}  {}", wall(event.at, zone).strftime("%Y-%m-%d %H:%M:%S"), entry.severity(), who, event.title);
            for more in event.text.lines() {
                line.push_str("\n    ");
                line.push_str(more);
            }
            line
        }
        _ => String::from_utf8_lossy(entry.raw).into_owned(),
    };
    if terminal {
        out.extend(clean(&line).into_bytes())
    } else {
        out.extend(line.into_bytes())
    }
    out.push(b'\n');
}

/// Nothing that a terminal would obey; line breaks and tabs stay, over-long lines are cut and say so.
fn clean(text: &str) -> String {
    const LONGEST: usize = 64 << 10;
    let mut out = String::with_capacity(text.len().min(LONGEST));
    for (i, line) in text.split('\n').enumerate() {
        if i > 0 {
            out.push('\n');
        }
        let start = out.len();
        for c in line.chars() {
            if out.len() - start > LONGEST {
                out.push_str(&format!(" … ({} bytes in all)", line.len()));
                break;
            }
            let harmful =
                (c.is_control() && c != '\t') || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
            out.push(if harmful { '\u{fffd}' } else { c });
        }
    }
    out
}
