//! Small files that are replaced whole: whoever reads one meanwhile, or after a crash, sees the old or the
//! new one, never a part.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// Several writers of one process never share a file beside.
static WRITTEN: AtomicU64 = AtomicU64::new(0);

/// Writes a file beside the old one, on disk, and puts it in its place; makes its folder, for its owner alone,
/// where there is none.
/// What it replaces keeps its mode, a new one is its owner's alone; a link stays one, what it leads to is
/// replaced. When it fails, the old file is as it was and nothing lies beside it. Of two that write at once
/// the last one's file stands.
pub fn replace(path: &Path, write: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    make_private(folder)?;
    let beside = beside(folder, &path);
    let mode = fs::metadata(&path).map_or(0o600, |old| old.permissions().mode() & 0o7777);
    let written = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside).and_then(|mut file| {
        write(&mut file)?;
        if mode != 0o600 {
            file.set_permissions(fs::Permissions::from_mode(mode))?;
        }
        file.sync_all()?;
        fs::rename(&beside, &path)
    });
    if written.is_err() {
        // What is left of a file that could not be written helps nobody.
        let _ = fs::remove_file(&beside);
        return written;
    }
    // The new name is durable once the folder is.
    File::open(folder)?.sync_all()
}

/// Makes a folder for its owner alone, where there is none.
pub fn make_private(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

/// The same with all that it holds.
pub fn replace_with(path: &Path, bytes: &[u8]) -> io::Result<()> {
    replace(path, |file| file.write_all(bytes))
}

/// The text of a file of at most so many bytes; nothing when there is no such file.
pub fn read(path: &Path, most: u64) -> io::Result<Option<String>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut text = String::new();
    file.take(most.saturating_add(1)).read_to_string(&mut text)?;
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > most {
        return Err(io::Error::other(format!("it is larger than {most} bytes")));
    }
    Ok(Some(text))
}

/// What a JSON file holds; nothing where there is none, or none that can be read: that one is set aside
/// (`.aside`), never deleted unseen, and what is wrong with it is in the log.
pub fn load<T: DeserializeOwned>(path: &Path, most: u64) -> Option<T> {
    let read = read(path, most).and_then(|text| text.map(|text| serde_json::from_str(&text).map_err(io::Error::other)).transpose());
    read.unwrap_or_else(|error| {
        tracing::warn!(path = %path.display(), %error, "a file cannot be read; it is set aside");
        let _ = fs::rename(path, path.with_added_extension("aside"));
        None
    })
}

/// Writes a JSON file that [`load`] reads.
pub fn save<T: Serialize>(path: &Path, what: &T) -> io::Result<()> {
    replace_with(path, &serde_json::to_vec(what).map_err(io::Error::other)?)
}

/// A name as a file's: what is no letter, digit, `-` or `_` as its number, so that no name leads out of the
/// folder and no two are one.
pub fn file_name(name: &str) -> String {
    name.chars().map(|c| if c.is_alphanumeric() || matches!(c, '-' | '_') { c.to_string() } else { format!("%{:x}", u32::from(c)) }).collect()
}

/// Hidden, and named after its writer: two processes never write the same one.
fn beside(folder: &Path, path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(format!(".{}-{}", std::process::id(), WRITTEN.fetch_add(1, Ordering::Relaxed)));
    folder.join(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_file_is_replaced_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sub/kept.json");
        replace_with(&path, b"one").unwrap();
        assert_eq!((fs::read(&path).unwrap(), mode(&path)), (b"one".to_vec(), 0o600));
        let failed = replace(&path, |file| {
            file.write_all(b"half")?;
            Err(io::Error::other("no space left"))
        });
        assert!(failed.is_err());
        assert_eq!(read(&path, 100).unwrap().as_deref(), Some("one"));
        assert_eq!(fs::read_dir(folder.path().join("sub")).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn what_others_may_read_they_may_go_on_to_read_and_a_link_stays_one() {
        let folder = tempfile::tempdir().unwrap();
        let (path, link) = (folder.path().join("console.toml"), folder.path().join("link"));
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        replace_with(&link, b"new").unwrap();
        assert_eq!((fs::read(&path).unwrap(), mode(&path)), (b"new".to_vec(), 0o640));
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
    }

    #[test]
    fn what_is_too_large_is_the_wrong_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kept");
        assert_eq!(read(&path, 3).unwrap(), None);
        fs::write(&path, "1234").unwrap();
        assert!(read(&path, 3).unwrap_err().to_string().contains("larger"));
        assert_eq!(read(&path, 4).unwrap().as_deref(), Some("1234"));
    }

    #[test]
    fn what_cannot_be_read_is_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kept.json");
        assert_eq!(load::<Vec<u8>>(&path, 100), None);
        save(&path, &vec![1_u8, 2]).unwrap();
        assert_eq!(load::<Vec<u8>>(&path, 100), Some(vec![1, 2]));
        for bad in ["[1,", "{}", "[1000]"] {
            fs::write(&path, bad).unwrap();
            assert_eq!(load::<Vec<u8>>(&path, 100), None);
            assert_eq!(fs::read_to_string(folder.path().join("kept.json.aside")).unwrap(), bad);
            assert!(!path.exists());
        }
    }

    #[test]
    fn many_who_write_at_once_leave_one_whole_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kept");
        std::thread::scope(|scope| {
            for number in 0..8_u8 {
                let path = &path;
                scope.spawn(move || (0..20).for_each(|_| replace_with(path, &[b'a' + number; 10_000]).unwrap()));
            }
        });
        let text = read(&path, 20_000).unwrap().unwrap();
        let first = text.chars().next().unwrap();
        assert!(text.len() == 10_000 && text.chars().all(|c| c == first));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
