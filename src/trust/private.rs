//! Files that are their owner's alone: keys and tokens. Who else could read one might as well own it.

use std::fs;
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

/// What is wrong with a file of ours, and what to do about it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{path}: {why}. {hint}")]
pub struct KeyError {
    pub path: String,
    pub why: String,
    pub hint: String,
}

impl KeyError {
    pub(super) fn new(path: &Path, why: impl ToString, hint: &str) -> KeyError {
        KeyError { path: path.display().to_string(), why: why.to_string(), hint: hint.into() }
    }
}

/// More than this is neither key nor token.
const LARGEST: u64 = 64 << 10;

/// The text of a file that must be its owner's alone. `None`: there is no such file.
pub(super) fn read_private(path: &Path) -> Result<Option<String>, KeyError> {
    read(path, 0o077, "others on this machine may read or write it", "600")
}

/// The text of a file that anybody may read, and nobody but its owner may write. `None`: there is no such file.
pub(super) fn read_own(path: &Path) -> Result<Option<String>, KeyError> {
    read(path, 0o022, "others on this machine may write it", "644")
}

fn read(path: &Path, forbidden: u32, what: &str, right: &str) -> Result<Option<String>, KeyError> {
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(KeyError::new(path, error, "Start midwatch as the user to whom this file belongs")),
    };
    let metadata = file.metadata().map_err(|error| KeyError::new(path, error, "The file system refuses to describe it"))?;
    if !metadata.is_file() {
        return Err(KeyError::new(path, "this is no file", "Name the file itself"));
    }
    if metadata.mode() & forbidden != 0 {
        let why = format!("its mode is {:04o}: {what}", metadata.mode() & 0o7777);
        return Err(KeyError::new(path, why, &format!("Say `chmod {right} {}`, and consider whether somebody has used that", path.display())));
    }
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(|error| KeyError::new(path, error, "It should be a short text"))?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > LARGEST) {
        return Err(KeyError::new(path, format!("it is larger than {} KiB", LARGEST >> 10), "It should be a short text"));
    }
    String::from_utf8(bytes).map(Some).map_err(|_| KeyError::new(path, "it holds bytes that are no text", "It should be a short text"))
}

/// Writes a new file that its owner alone can read; never over another one. Two that do this at the
/// same time end up with the same text: that of the first.
pub(super) fn write_private(path: &Path, text: &str) -> Result<String, KeyError> {
    let failed = |error: io::Error| KeyError::new(path, error, "The folder must exist, be writable, and have room");
    let beside = path.with_extension(format!("new-{}", std::process::id()));
    let _ = fs::remove_file(&beside);
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside).map_err(failed)?;
    file.write_all(text.trim_end().as_bytes()).and_then(|()| file.write_all(b"\n")).and_then(|()| file.sync_all()).map_err(failed)?;
    // A hard link fails where a rename would replace.
    let linked = fs::hard_link(&beside, path);
    let _ = fs::remove_file(&beside);
    match linked {
        Ok(()) => Ok(text.to_owned()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => read_private(path)?.ok_or_else(|| KeyError::new(path, "it came and went", "Try again")),
        Err(error) => Err(failed(error)),
    }
}

/// Makes the folder of a key, with what is above it, or looks whether the one that is there is its owner's alone.
pub(super) fn private_folder(folder: &Path) -> Result<(), KeyError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .map_err(|error| KeyError::new(folder, error, "Make this folder, or set XDG_DATA_HOME to one that you may write to"))?;
    let mode = fs::metadata(folder).map_err(|error| KeyError::new(folder, error, "The file system refuses to describe it"))?.mode();
    if mode & 0o077 != 0 {
        let why = format!("its mode is {:04o}: others on this machine may look into this folder, and keys are kept there", mode & 0o7777);
        return Err(KeyError::new(folder, why, &format!("Say `chmod 700 {}`", folder.display())));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_never_written_over_and_what_is_no_file_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        assert_eq!(write_private(&path, "first").unwrap(), "first");
        assert_eq!(write_private(&path, "second").unwrap(), "first\n", "whoever comes second has what the first one wrote");
        assert_eq!((fs::read_to_string(&path).unwrap().as_str(), fs::metadata(&path).unwrap().mode() & 0o777), ("first\n", 0o600));
        let why = read_own(folder.path()).unwrap_err().why;
        assert!(why.contains("this is no file"), "{why}");
    }
}
