//! `midwatch events [FILTER] [--json|--count] --file FILE…`: exports and logs, merged, without a server.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use jiff::tz::TimeZone;

use super::output::to_json;
use crate::client::files::{Entry, FileError, Format, Input, Origins, Render, Scanner, Want, Zone, merge, wall};
use crate::model::clean::clean_line;
use crate::model::filter::{Filter, Subject};
use crate::model::time::Time;
use crate::model::words::counted;

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
            told.notes.push(format!("{name}: far out of order, and where they were found: {}", counted(outcome.late, "line")));
        }
        if outcome.cut > 0 {
            told.notes.push(format!("{name}: cut off: {} of more than 1 MiB", counted(outcome.cut, "event")));
        }
    }
    Ok(told)
}

fn rendering(asked: &EventsFile<'_>) -> (Want, Option<Render>) {
    let zone = asked.zone.clone();
    let terminal = asked.terminal;
    match asked.shape {
        Shape::Count => (Want::Count, None),
        Shape::Json if terminal => (Want::Rendered, Some(Arc::new(json_for_terminals))),
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

/// The same, with what a terminal would obey escaped.
fn json_for_terminals(entry: &Entry<'_>, out: &mut Vec<u8>) {
    if let Ok(json) = to_json(&entry.event()) {
        out.extend_from_slice(json.as_bytes());
        out.push(b'\n');
    }
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
        clean(&line, out);
    } else {
        out.extend_from_slice(line.as_bytes());
    }
    out.push(b'\n');
}

/// Nothing that a terminal would obey; line breaks stay, over-long lines are cut and say so.
fn clean(text: &str, out: &mut Vec<u8>) {
    const LONGEST: usize = 64 << 10;
    for (i, line) in text.split('\n').enumerate() {
        if i > 0 {
            out.push(b'\n');
        }
        let shown = line.get(..line.floor_char_boundary(LONGEST)).unwrap_or(line);
        out.extend_from_slice(clean_line(shown.trim_end_matches('\r')).as_bytes());
        if shown.len() < line.len() {
            out.extend_from_slice(format!(" … ({} bytes in all)", line.len()).as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::event::{Actor, Draft, LogLine};
    use crate::model::id::{EventId, Sequence};

    fn printed(text: &str, shape: Shape, terminal: bool) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        std::fs::write(&path, text).unwrap();
        let mut out = Vec::new();
        let asked = EventsFile { filter: Filter::all(), files: &[path], shape, terminal, now: Time::from_secs(1_795_300_000), zone: TimeZone::UTC };
        events_file(asked, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn exported(title: &str, text: &str) -> String {
        let at = Time::from_secs(1_795_229_820);
        let event = Draft::new(at, Actor::User("kim".into()), LogLine {}, title).text(text).stamp(EventId { sequence: Sequence(1), ..EventId::default() }, at);
        serde_json::to_string(&event).unwrap() + "\n"
    }

    const HOSTILE: &str = "2026-11-21T02:57:00Z a\u{1b}[2J\u{1b}]52;c;aGk=\u{7}b\u{9b}6n\u{202e}c\r\n\u{1b}[31mmore\n";

    fn is_harmless(text: &str) -> bool {
        text.chars().all(|c| (!c.is_control() || c == '\n') && c != '\u{202e}')
    }

    #[test]
    fn t1_a_hostile_line_is_cleaned_for_a_terminal_and_left_alone_for_a_program() {
        let shown = printed(HOSTILE, Shape::Lines, true);
        assert!(is_harmless(&shown), "{shown:?}");
        assert!(shown.ends_with("\nmore\n") && shown.contains("02:57:00Z a"), "{shown:?}");
        assert_eq!(printed(HOSTILE, Shape::Lines, false), HOSTILE);
    }

    #[test]
    fn t1_hostile_exported_events_are_cleaned_in_every_shape() {
        // Characters that JSON need not escape, as they are.
        let export = exported("a\u{9b}6n\u{202e}b", "two\u{1b}[2J\nlines");
        assert!(export.contains('\u{9b}'));
        for shape in [Shape::Lines, Shape::Json] {
            let shown = printed(&export, shape, true);
            assert!(is_harmless(&shown), "{shape:?}: {shown:?}");
        }
        let json = printed(&export, Shape::Json, true);
        assert_eq!(&*serde_json::from_str::<crate::model::event::Event>(&json).unwrap().title, "a\u{9b}6n\u{202e}b");
    }

    #[test]
    fn the_shapes_of_what_is_printed() {
        let log = "2026-11-21T02:57:00Z WARN one\n2026-11-21T02:58:00Z two";
        assert_eq!(printed(log, Shape::Lines, false), format!("{log}\n"));
        assert_eq!(printed(log, Shape::Count, false), "2\n");
        let events: Vec<crate::model::event::Event> = printed(log, Shape::Json, false).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(
            events.iter().map(|event| (&*event.title, event.severity.to_string())).collect::<Vec<_>>(),
            [("WARN one", "warning".into()), ("two", "info".into())]
        );
        let export = exported("deploy", "of 4f3a");
        assert_eq!(printed(&export, Shape::Json, false), export);
        assert_eq!(printed(&export, Shape::Lines, false), "2026-11-21 02:57:00  info      kim  deploy\n    of 4f3a\n");
    }

    #[test]
    fn a_line_without_end_is_cut_on_a_terminal_and_says_so() {
        let shown = printed(&format!("2026-11-21T02:57:00Z {}\n", "é".repeat(100_000)), Shape::Lines, true);
        assert!(shown.len() < 70_000 && shown.ends_with("(200021 bytes in all)\n"), "{}", shown.len());
    }
}
