//! Opening what is named: a file, standard input, packed or not. Read in chunks, never whole.

use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::Path;

use crate::model::time::Time;

/// What could not be read, why, and what to do.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {why}. {hint}")]
pub struct FileError {
    pub path: String,
    pub why: String,
    pub hint: String,
}

impl FileError {
    /// What an error while reading `path` means.
    pub fn of(path: &Path, error: &io::Error) -> FileError {
        let hint = match error.kind() {
            io::ErrorKind::NotFound => "Check the name; `-` is standard input",
            io::ErrorKind::PermissionDenied => "Ask for the right to read it, or run as its owner",
            io::ErrorKind::IsADirectory => "Name the files in it",
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidInput => {
                "It may be cut off or damaged; what could be read of it was read"
            }
            _ => "What could be read of it was read",
        };
        FileError { path: path.display().to_string(), why: error.to_string(), hint: hint.into() }
    }
}

/// How the bytes are packed, by their first few.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Packing {
    None,
    Gzip,
    Zstd,
}

pub struct Input {
    pub reader: Box<dyn Read + Send>,
    pub packing: Packing,
    /// When it was written last; of a stream, now.
    pub written: Time,
}

impl Input {
    pub fn open(path: &Path, now: Time) -> Result<Input, FileError> {
        let refuse = |error: &io::Error| FileError::of(path, error);
        if path.as_os_str() == "-" {
            return Input::unpacked(Box::new(io::stdin()), now).map_err(|e| refuse(&e));
        }
        let file = File::open(path).map_err(|e| refuse(&e))?;
        let metadata = file.metadata().map_err(|e| refuse(&e))?;
        if metadata.is_dir() {
            return Err(refuse(&io::ErrorKind::IsADirectory.into()));
        }
        let written = metadata.modified().ok().and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok());
        let written = written.map_or(now, |since| Time::from_secs(i64::try_from(since.as_secs()).unwrap_or(0)));
        Input::unpacked(Box::new(file), written).map_err(|e| refuse(&e))
    }

    /// Looks at the first bytes; zstd and gzip are unpacked as they are read, in pieces.
    pub fn unpacked(mut reader: Box<dyn Read + Send>, written: Time) -> io::Result<Input> {
        let mut head = Vec::with_capacity(4);
        reader.by_ref().take(4).read_to_end(&mut head)?;
        let packing = match head.as_slice() {
            [0x1f, 0x8b, ..] => Packing::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd] => Packing::Zstd,
            _ => Packing::None,
        };
        let whole = Cursor::new(head).chain(reader);
        let reader: Box<dyn Read + Send> = match packing {
            Packing::None => Box::new(whole),
            Packing::Gzip => Box::new(flate2::read::MultiGzDecoder::new(whole)),
            Packing::Zstd => {
                let mut decoder = zstd::stream::read::Decoder::new(whole)?;
                // 128 MiB: a frame that asks for more memory than this is refused.
                decoder.window_log_max(27)?;
                Box::new(decoder)
            }
        };
        Ok(Input { reader, packing, written })
    }
}
