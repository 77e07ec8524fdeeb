//! The folder of a log: made, locked, and refused where SQLite's locks cannot be trusted.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use super::error::opening;
use crate::store::StoreError;

pub(super) const EVENTS: &str = "events.db";
pub(super) const INDEX: &str = "index.db";
const LOCK: &str = "lock";

/// Makes the folder where it is missing (for its owner alone) and locks it. Two servers on one log would
/// destroy it; the lock is released by the kernel however the process ends.
pub(super) fn lock(dir: &Path) -> Result<File, StoreError> {
    make(dir)?;
    refuse_network(dir)?;
    let path = dir.join(LOCK);
    let file = File::options().create(true).truncate(false).write(true).read(true).open(&path).map_err(|e| opening(&path, "cannot write here", &e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Open {
            path: dir.display().to_string(),
            why: "another midwatch server uses this folder".into(),
            hint: "Stop that one, or give this one a folder of its own with `--data`".into(),
        }),
        Err(TryLockError::Error(error)) => Err(opening(&path, "cannot lock", &error)),
    }
}

fn make(dir: &Path) -> Result<(), StoreError> {
    if dir.is_dir() {
        return Ok(());
    }
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir).map_err(|e| opening(dir, "cannot make this folder", &e))?;
    if let Some(parent) = dir.parent().filter(|p| !p.as_os_str().is_empty()) {
        sync_dir(parent)?;
    }
    Ok(())
}

/// A new name in a folder is durable once the folder itself is.
pub(super) fn sync_dir(dir: &Path) -> Result<(), StoreError> {
    File::open(dir).and_then(|d| d.sync_all()).map_err(|e| opening(dir, "cannot make this folder durable", &e))
}

/// Files that belong to a database beside its main one.
pub(super) fn companions(file: &Path) -> [PathBuf; 2] {
    ["-wal", "-shm"].map(|suffix| {
        let mut name = file.as_os_str().to_owned();
        name.push(suffix);
        name.into()
    })
}

/// Bytes that a database takes on disk.
pub(super) fn size(file: &Path) -> u64 {
    let wal_and_shm = companions(file);
    std::iter::once(file).chain(wal_and_shm.iter().map(PathBuf::as_path)).filter_map(|f| f.metadata().ok()).map(|m| m.len()).sum()
}

fn refuse_network(dir: &Path) -> Result<(), StoreError> {
    match file_system(dir) {
        Some(name) if is_network(&name) => Err(StoreError::Open {
            path: dir.display().to_string(),
            why: format!("it lies on a network file system ({name}), where locks and fsync cannot be trusted with a log"),
            hint: "Choose a folder on a local disk with `--data`; backups may go to the network".into(),
        }),
        Some(_) | None => Ok(()),
    }
}

/// Names of file systems that reach over a network (or, like 9p, cannot share memory between processes,
/// which SQLite's write-ahead log needs).
fn is_network(name: &str) -> bool {
    const NAMES: [&str; 17] = [
        "nfs",
        "nfs4",
        "cifs",
        "smb",
        "smb2",
        "smb3",
        "smbfs",
        "9p",
        "afs",
        "ceph",
        "coda",
        "ncpfs",
        "fuse.sshfs",
        "fuse.rclone",
        "fuse.glusterfs",
        "fuse.s3fs",
        "fuse.davfs",
    ];
    NAMES.contains(&name)
}

/// The kind of file system, by its magic number (statfs(2)); what runs in user space says its name in
/// the mount table alone.
#[cfg(target_os = "linux")]
fn file_system(dir: &Path) -> Option<String> {
    let magic = rustix::fs::statfs(dir).ok()?.f_type;
    // The field is signed on some machines, and CIFS' number fills all 32 bits.
    let magic = u32::try_from(i128::from(magic) & 0xffff_ffff).ok()?;
    Some(match by_magic(magic) {
        Some(name) => name.to_owned(),
        None if magic == FUSE => mounted(dir)?,
        None => return None,
    })
}

#[cfg(not(target_os = "linux"))]
fn file_system(_: &Path) -> Option<String> {
    None
}

#[cfg(target_os = "linux")]
const FUSE: u32 = 0x6573_5546;

#[cfg(target_os = "linux")]
fn by_magic(magic: u32) -> Option<&'static str> {
    Some(match magic {
        0x6969 => "nfs",
        0x517b => "smb",
        0xff53_4d42 => "cifs",
        0xfe53_4d42 => "smb2",
        0x0102_1997 => "9p",
        0x5346_414f => "afs",
        0x00c3_6400 => "ceph",
        0x7375_7245 => "coda",
        0x564c => "ncpfs",
        _ => return None,
    })
}

#[cfg(target_os = "linux")]
fn mounted(dir: &Path) -> Option<String> {
    use std::os::unix::fs::MetadataExt;
    let device = dir.metadata().ok()?.dev();
    let device = format!("{}:{}", rustix::fs::major(device), rustix::fs::minor(device));
    let mounts = procfs::process::Process::myself().and_then(|me| me.mountinfo()).ok()?;
    mounts.into_iter().find(|mount| mount.majmin == device).map(|mount| mount.fs_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn network_file_systems_are_known_by_number_and_by_name() {
        for (magic, name) in [(0x6969, "nfs"), (0xff53_4d42, "cifs"), (0xfe53_4d42, "smb2"), (0x0102_1997, "9p")] {
            assert_eq!(by_magic(magic), Some(name));
            assert!(is_network(name));
        }
        assert!(is_network("fuse.sshfs"));
        for local in ["ext4", "xfs", "btrfs", "zfs", "tmpfs", "overlay", "fuse.ntfs-3g", "fuse.fuse-overlayfs"] {
            assert!(!is_network(local), "{local}");
        }
        assert_eq!(by_magic(0xef53), None, "ext4");
    }

    #[test]
    fn the_mount_table_names_the_file_system_of_a_folder() {
        let dir = tempfile::tempdir().unwrap();
        let name = mounted(dir.path());
        assert!(name.as_deref().is_none_or(|name| !is_network(name)), "{name:?}");
        assert!(mounted(Path::new("/proc")).is_some_and(|name| name == "proc"));
    }
}
