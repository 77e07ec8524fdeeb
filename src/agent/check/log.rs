//! New lines of a file that match a pattern, since the last look.
//!
//! Remembers which file it was (device and inode) and how far it read. After a rotation the rest of the old file is read
//! first, if it still lies beside the new one; a file that became shorter is read from its start. A first look starts at
//! the end: what was there before the agent came is no news.

use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::process::compile;
use super::threshold::{bytes, float};
use super::{Context, Outcome, blocking, metric, threshold};
use crate::agent::text;

/// Bytes that are read in one run at most; the rest waits for the next.
const ONE_RUN: u64 = 8 << 20;
/// Bytes of a line that are looked at.
const LINE: u64 = 64 * 1_024;
/// Matching lines that are shown.
const SHOWN: usize = 10;

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    pub path: PathBuf,
    #[serde(deserialize_with = "pattern")]
    pub pattern: String,
    /// Lines that match this too do not count.
    #[serde(default, deserialize_with = "no_pattern")]
    pub exclude: Option<String>,
    /// From so many new lines on.
    #[serde(default = "one")]
    pub warning: u64,
    pub critical: Option<u64>,
}

fn one() -> u64 {
    1
}

fn pattern<'de, D: serde::Deserializer<'de>>(d: D) -> Result<String, D::Error> {
    let text = String::deserialize(d)?;
    compile(&text).map_err(serde::de::Error::custom)?;
    Ok(text)
}

fn no_pattern<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Option<String>, D::Error> {
    pattern(d).map(Some)
}

/// How far a file was read.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Place {
    device: u64,
    inode: u64,
    offset: u64,
}

/// What one look found.
#[derive(Default)]
struct Found {
    count: u64,
    /// The last of them.
    lines: Vec<String>,
    read: u64,
    /// Bytes that wait for the next run.
    behind: u64,
}

pub async fn run(log: &Log, context: &Context) -> Outcome {
    let Some(memory) = context.memory.clone() else {
        return Outcome::unknown("a log check needs the agent's data folder to remember how far it read");
    };
    let log = log.clone();
    match blocking(move || look(&log, &memory).map_or_else(Outcome::unknown, |found| judge(&log, &found))).await {
        Ok(outcome) | Err(outcome) => outcome,
    }
}

fn judge(log: &Log, found: &Found) -> Outcome {
    let over = |limit: u64| limit > 0 && found.count >= limit;
    let path = log.path.display();
    let noun = if found.count == 1 { "line matches" } else { "lines match" };
    let mut words = match (found.count, found.lines.last()) {
        (0, _) | (_, None) => format!("no new line of {path} matches"),
        (count, Some(last)) => format!("{count} new {noun} in {path}: {}", last.trim()),
    };
    if found.behind > 0 {
        words = format!("{} of {path} are still unread; {words}", bytes(float(found.behind)));
    }
    let mut number = metric("lines", float(found.count), "");
    // From so many lines on; none of 0 counts.
    let range = |limit: u64| if limit > 0 { format!("@{limit}:") } else { String::new() };
    (number.warning, number.critical) = (range(log.warning).into(), log.critical.map_or_else(String::new, range).into());
    Outcome::new(threshold::status(over(log.warning), log.critical.is_some_and(over)), text::title(&words))
        .details(text::details(&found.lines.join("\n")))
        .with(vec![number, metric("read", float(found.read), "B")])
}

fn look(log: &Log, memory: &Path) -> Result<Found, String> {
    let pattern = compile(&log.pattern)?;
    let exclude = log.exclude.as_deref().map(compile).transpose()?;
    let path = log.path.display();
    let before: Option<Place> = std::fs::read(memory).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let mut file = match std::fs::File::open(&log.path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound && before.is_some() => return Err(format!("{path} is gone: rotated away, and not begun anew?")),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            return Err(format!("{path} may not be read by the agent's user: add it to the group `adm`, say"));
        }
        Err(error) => return Err(format!("{path} cannot be read: {error}")),
    };
    let about = file.metadata().map_err(|error| format!("{path} cannot be looked at: {error}"))?;
    if !about.is_file() {
        return Err(format!("{path} is no plain file: a log check reads those alone"));
    }
    let mut place = Place { device: about.dev(), inode: about.ino(), offset: 0 };
    let mut found = Found::default();
    let mut take = |line: &str| {
        if pattern.is_match(line) && exclude.as_ref().is_none_or(|exclude| !exclude.is_match(line)) {
            found.count = found.count.saturating_add(1);
            if found.lines.len() == SHOWN {
                found.lines.remove(0);
            }
            found.lines.push(line.chars().take(500).collect());
        }
    };
    let mut left = ONE_RUN;
    let mut finished = true;
    match before {
        None => place.offset = about.len(),
        Some(before) if (before.device, before.inode) == (place.device, place.inode) => {
            place.offset = if before.offset <= about.len() { before.offset } else { 0 }
        }
        Some(before) => {
            if let Some(mut old) = rotated(&log.path, &before) {
                let (offset, all) = read(&mut old, before.offset, &mut left, true, &mut take)
                    .map_err(|error| format!("{path}, before its rotation, cannot be read: {error}"))?;
                if !all {
                    // The old one is too long for one run; the new one waits.
                    finished = false;
                    place = Place { offset, ..before };
                }
            }
        }
    }
    let start = place.offset;
    if finished {
        place.offset = read(&mut file, start, &mut left, false, &mut take).map_err(|error| format!("{path} cannot be read: {error}"))?.0;
    }
    found.read = ONE_RUN - left;
    found.behind = if left == 0 { about.len().saturating_sub(place.offset) } else { 0 };
    remember(memory, &place).map_err(|error| format!("{} cannot be written ({error}): the agent cannot remember how far it read", memory.display()))?;
    Ok(found)
}

/// The file of this inode, under one of the names that rotation gives.
fn rotated(path: &Path, place: &Place) -> Option<std::fs::File> {
    let folder = path.parent()?;
    let name = path.file_name()?.to_str()?;
    let entries = std::fs::read_dir(folder).ok()?.flatten().take(10_000);
    let entry = entries
        .filter(|entry| entry.file_name().to_str().is_some_and(|other| other.starts_with(name)))
        .find(|entry| entry.metadata().is_ok_and(|about| about.is_file() && (about.dev(), about.ino()) == (place.device, place.inode)))?;
    std::fs::File::open(entry.path()).ok()
}

/// Reads whole lines from `offset` on; answers where it stopped and whether that is the end. A line that is still being
/// written waits, unless the file is `over`.
fn read(file: &mut std::fs::File, mut offset: u64, left: &mut u64, over: bool, take: &mut impl FnMut(&str)) -> io::Result<(u64, bool)> {
    file.seek(SeekFrom::Start(offset))?;
    let mut reader = BufReader::new(file);
    let mut line = Vec::new();
    while *left > 0 {
        line.clear();
        let count = u64::try_from(reader.by_ref().take(LINE).read_until(b'\n', &mut line)?).unwrap_or(0);
        if count == 0 {
            return Ok((offset, true));
        }
        if line.last() != Some(&b'\n') && count < LINE && !over {
            return Ok((offset, true));
        }
        take(String::from_utf8_lossy(&line).trim_end_matches(['\n', '\r']));
        offset = offset.saturating_add(count);
        *left = left.saturating_sub(count);
    }
    Ok((offset, false))
}

fn remember(memory: &Path, place: &Place) -> io::Result<()> {
    let new = memory.with_extension("new");
    std::fs::write(&new, serde_json::to_vec(place)?)?;
    std::fs::rename(&new, memory)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::model::severity::Status;

    struct Bench {
        folder: tempfile::TempDir,
        log: Log,
    }

    impl Bench {
        fn new() -> Bench {
            let folder = tempfile::tempdir().unwrap();
            let log = Log { path: folder.path().join("app.log"), pattern: "(?i)error".into(), exclude: Some("harmless".into()), warning: 1, critical: Some(3) };
            Bench { folder, log }
        }

        fn write(&self, text: &str) {
            std::fs::OpenOptions::new().create(true).append(true).open(&self.log.path).unwrap().write_all(text.as_bytes()).unwrap();
        }

        async fn look(&self) -> Outcome {
            let memory = Some(self.folder.path().join("memory"));
            run(&self.log, &Context { memory, ..super::super::test_context(30_000) }).await
        }

        async fn count(&self) -> f64 {
            let outcome = self.look().await;
            assert_ne!(outcome.status, Status::Unknown, "{}", outcome.text);
            outcome.metrics[0].value
        }
    }

    #[tokio::test]
    async fn new_lines_count_once_and_old_ones_never() {
        let bench = Bench::new();
        bench.write("error: old\n");
        assert_eq!(bench.look().await.status, Status::Ok);
        bench.write("fine\nERROR: one\nerror but harmless\n");
        let outcome = bench.look().await;
        assert_eq!((outcome.status, outcome.details.as_str()), (Status::Warning, "ERROR: one"));
        assert_eq!(bench.look().await.status, Status::Ok);
        bench.write("error\nerror\nerror\n");
        assert_eq!(bench.look().await.status, Status::Critical);
    }

    #[tokio::test]
    async fn a_line_counts_when_it_is_whole() {
        let bench = Bench::new();
        bench.write("begin\n");
        bench.count().await;
        bench.write("an err");
        assert_eq!(bench.count().await, 0.0);
        bench.write("or\n");
        assert_eq!(bench.count().await, 1.0);
    }

    #[tokio::test]
    async fn rotation_by_renaming_and_by_truncating_loses_nothing() {
        let bench = Bench::new();
        bench.write("begin\n");
        bench.count().await;
        bench.write("error 1\nerror without an end");
        std::fs::rename(&bench.log.path, bench.folder.path().join("app.log.1")).unwrap();
        bench.write("error 3\n");
        assert_eq!(bench.count().await, 3.0);
        assert_eq!(bench.count().await, 0.0);
        std::fs::File::create(&bench.log.path).unwrap();
        bench.write("error\n");
        assert_eq!(bench.count().await, 1.0);
    }

    #[tokio::test]
    async fn a_flood_is_read_in_pieces_and_said() {
        let bench = Bench::new();
        bench.write("begin\n");
        bench.count().await;
        bench.write(&"an error of some length, as they are\n".repeat(300_000));
        let first = bench.look().await;
        assert!(first.text.contains("still unread"), "{}", first.text);
        assert_eq!(first.metrics[0].value + bench.count().await, 300_000.0);
    }

    #[tokio::test]
    async fn what_cannot_be_read_is_unknown_with_words() {
        let bench = Bench::new();
        assert_eq!(bench.look().await.status, Status::Unknown);
        let folder = Log { path: bench.folder.path().into(), ..bench.log.clone() };
        assert!(look(&folder, &bench.folder.path().join("m")).is_err_and(|why| why.contains("no plain file")));
    }
}
