//! A file that is read to its end and followed from there: it grows, is cut short, or another takes its
//! name. Streams are read by a thread of their own, so that nobody waits for what a program has not said.

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;

use super::entry::Origins;
use super::index::Index;
use super::input::{FileError, Input, Packing};
use super::keep::{self, Keeping, Kept};
use super::scan::{Scanner, Want};
use super::stamp::Zone;
use crate::model::filter::Filter;
use crate::model::time::Time;

/// What a look at a file found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    Same,
    /// There is more to read.
    Grew,
    /// Another file has its name now.
    Rotated,
    /// It is shorter than it was: it began anew.
    Cut,
    /// No file has its name.
    Gone,
}

/// One file or stream, and how far it was read.
pub struct Log {
    pub path: PathBuf,
    pub index: Arc<Index>,
    pub kept: Arc<Kept>,
    /// Absent while somebody scans it.
    pub scanner: Option<Scanner>,
    zone: TimeZone,
    /// Device and inode of a plain file, which is followed.
    identity: Option<(u64, u64)>,
    /// Whoever reads it must not wait for it: it comes from a program.
    pub is_stream: bool,
}

impl Log {
    /// Opens a file, or standard input as `-`.
    pub fn open(path: &Path, now: Time, zone: &TimeZone) -> Result<Log, FileError> {
        let index = Index::new(Arc::new(Origins::of(path)));
        let mut log =
            Log { path: path.into(), index, kept: Arc::new(Kept::memory(keep::MOST)), scanner: None, zone: zone.clone(), identity: None, is_stream: false };
        log.start(now)?;
        Ok(log)
    }

    /// From the beginning of what has the name now.
    fn start(&mut self, now: Time) -> Result<(), FileError> {
        let refuse = |error: &io::Error| FileError::of(&self.path, error);
        let metadata = if self.path.as_os_str() == "-" { None } else { Some(std::fs::metadata(&self.path).map_err(|e| refuse(&e))?) };
        self.is_stream = metadata.as_ref().is_none_or(|metadata| !metadata.is_file() && !metadata.is_dir());
        let mut written = now;
        let reader: Box<dyn Read + Send> = if self.is_stream {
            if metadata.is_none() && io::stdin().is_terminal() {
                let hint = "Pipe something into it, or name files".into();
                return Err(FileError { path: "-".into(), why: "standard input is the keyboard".into(), hint });
            }
            let kept = Arc::new(Kept::memory(keep::MOST));
            self.kept = kept.clone();
            self.identity = None;
            Box::new(Keeping::new(Box::new(Pipe::new(&self.path, now).map_err(|e| refuse(&e))?), kept))
        } else {
            let mut input = Input::open(&self.path, now)?;
            written = input.written;
            let mut head = Vec::new();
            input.reader.by_ref().take(8 << 10).read_to_end(&mut head).map_err(|e| refuse(&e))?;
            if memchr::memchr(0, &head).is_some() {
                let hint = "Name logs or exported events; a log in UTF-16 can be turned with `iconv -f utf-16 -t utf-8`".into();
                return Err(FileError { path: self.path.display().to_string(), why: "it is no text".into(), hint });
            }
            if input.packing == Packing::None {
                let file = File::open(&self.path).map_err(|e| refuse(&e))?;
                let opened = file.metadata().map_err(|e| refuse(&e))?;
                self.identity = Some((opened.dev(), opened.ino()));
                self.kept = Arc::new(Kept::disk(file.try_clone().map_err(|e| refuse(&e))?));
                Box::new(Growing(file))
            } else {
                let kept = Arc::new(Kept::memory(keep::MOST));
                self.kept = kept.clone();
                self.identity = None;
                Box::new(Keeping::new(Box::new(io::Cursor::new(head).chain(input.reader)), kept))
            }
        };
        let zone = Zone::new(self.zone.clone(), written);
        self.scanner = Some(Scanner::new(reader, self.index.origins.clone(), zone, Filter::all(), Want::Rendered, Some(self.index.render())));
        Ok(())
    }

    /// What became of the file since it was read.
    pub fn look(&self) -> Change {
        let Some(identity) = self.identity else { return Change::Same };
        let Ok(metadata) = std::fs::metadata(&self.path) else { return Change::Gone };
        let reached = self.scanner.as_ref().map_or(0, Scanner::reached);
        if (metadata.dev(), metadata.ino()) != identity {
            Change::Rotated
        } else if metadata.len() < reached {
            Change::Cut
        } else if metadata.len() > reached {
            Change::Grew
        } else {
            Change::Same
        }
    }

    /// Goes on with what has the name now. Of a file that was cut short, what was read of it is lost; one
    /// that was moved away is still open.
    pub fn restart(&mut self, change: Change, now: Time) -> Result<(), FileError> {
        let before = self.kept.clone();
        self.start(now)?;
        if change == Change::Cut {
            before.forget();
        }
        Ok(())
    }
}

/// A plain file that may grow: at its end, one would have to wait.
struct Growing(File);

impl Read for Growing {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        match self.0.read(to) {
            Ok(0) if !to.is_empty() => Err(io::ErrorKind::WouldBlock.into()),
            other => other,
        }
    }
}

/// How long a stream is waited for before one would have to wait.
const PATIENCE: Duration = Duration::from_millis(50);
/// How long is read before what came is looked at.
const GATHER: Duration = Duration::from_millis(200);

/// A stream, read ahead by a thread.
struct Pipe {
    chunks: Receiver<io::Result<Vec<u8>>>,
    current: io::Cursor<Vec<u8>>,
    began: Option<Instant>,
}

impl Pipe {
    /// Opened by the thread: even that may have to wait for a program.
    fn new(path: &Path, now: Time) -> io::Result<Pipe> {
        let (sender, chunks) = sync_channel(16);
        let path = path.to_owned();
        std::thread::Builder::new().name("stream".into()).spawn(move || {
            let mut reader = match Input::open(&path, now) {
                Ok(input) => input.reader,
                Err(error) => {
                    // Whoever would hear of it may have gone.
                    let _ = sender.send(Err(io::Error::other(error.why)));
                    return;
                }
            };
            loop {
                let mut bytes = vec![0; 64 << 10];
                let read = match reader.read(&mut bytes) {
                    Ok(0) => return,
                    Ok(read) => Ok(read),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => Err(error),
                };
                let ends = read.is_err();
                let chunk = read.map(|read| {
                    bytes.truncate(read);
                    bytes
                });
                if sender.send(chunk).is_err() || ends {
                    return;
                }
            }
        })?;
        Ok(Pipe { chunks, current: io::Cursor::default(), began: None })
    }
}

impl Read for Pipe {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let wait = || Err(io::ErrorKind::WouldBlock.into());
        loop {
            let read = self.current.read(to)?;
            if read > 0 || to.is_empty() {
                return Ok(read);
            }
            if self.began.get_or_insert_with(Instant::now).elapsed() > GATHER {
                self.began = None;
                return wait();
            }
            match self.chunks.recv_timeout(PATIENCE) {
                Ok(chunk) => self.current = io::Cursor::new(chunk?),
                Err(RecvTimeoutError::Timeout) => {
                    self.began = None;
                    return wait();
                }
                Err(RecvTimeoutError::Disconnected) => return Ok(0),
            }
        }
    }
}
