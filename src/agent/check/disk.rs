//! Disks: free space, and free inodes, of every filesystem that keeps something, or of those that are named.
//!
//! Network filesystems are looked at only when they are named: a dead server behind one holds whoever asks.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::threshold::{Amount, bytes, float};
use super::{Context, Outcome, blocking, metric, proc_text, threshold};
use crate::model::observation::Metric;
use crate::model::severity::Status;

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Disk {
    /// Empty: every filesystem of a local disk.
    pub paths: Vec<PathBuf>,
    /// Mount points that are left out, with all beneath them.
    pub exclude: Vec<PathBuf>,
    /// When less than this is free.
    pub warning: Amount,
    pub critical: Amount,
}

impl Default for Disk {
    fn default() -> Disk {
        Disk { paths: Vec::new(), exclude: Vec::new(), warning: Amount::Percent(10.0), critical: Amount::Percent(5.0) }
    }
}

/// What of a filesystem is counted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Space,
    Inodes,
}

/// One filesystem, measured.
struct Filesystem {
    path: PathBuf,
    /// Free and total: bytes, or inodes.
    measured: Result<(f64, f64), String>,
}

pub async fn space(disk: &Disk, context: &Context) -> Outcome {
    look(disk, context, What::Space).await
}

pub async fn inodes(disk: &Disk, context: &Context) -> Outcome {
    look(disk, context, What::Inodes).await
}

async fn look(disk: &Disk, _: &Context, what: What) -> Outcome {
    let disk = disk.clone();
    let measured = blocking(move || {
        let paths = if disk.paths.is_empty() { real_mounts(&proc_text("/proc/self/mountinfo")?) } else { disk.paths.clone() };
        let kept = paths.into_iter().filter(|path| !disk.exclude.iter().any(|out| path.starts_with(out)));
        Ok(judge(&disk, &kept.take(256).map(|path| measure(path, what)).collect::<Vec<_>>(), what))
    });
    match measured.await {
        Ok(Ok(outcome)) | Ok(Err(outcome)) | Err(outcome) => outcome,
    }
}

fn measure(path: PathBuf, what: What) -> Filesystem {
    let measured = match rustix::fs::statvfs(&path) {
        Ok(stat) => Ok(match what {
            // What an ordinary user may still take, of what ordinary users may take: as `df` shows it.
            What::Space => {
                let used = stat.f_blocks.saturating_sub(stat.f_bfree);
                (float(stat.f_bavail) * float(stat.f_frsize), float(used.saturating_add(stat.f_bavail)) * float(stat.f_frsize))
            }
            What::Inodes => (float(stat.f_favail), float(stat.f_files)),
        }),
        Err(error) => Err(error.to_string()),
    };
    Filesystem { path, measured }
}

fn judge(disk: &Disk, all: &[Filesystem], what: What) -> Outcome {
    let amount = |count: f64| if what == What::Space { bytes(count) } else { format!("{count:.0} inodes") };
    let mut worst = Status::Ok;
    let mut bad = Vec::new();
    let mut lines = Vec::new();
    let mut metrics: Vec<Metric> = Vec::new();
    let mut fullest: Option<(f64, String)> = None;
    for filesystem in all {
        let path = filesystem.path.display();
        let (free, total) = match &filesystem.measured {
            Ok(measured) => *measured,
            Err(error) => {
                worst = worst.max(Status::Unknown);
                bad.push(format!("{path} cannot be asked ({error})"));
                continue;
            }
        };
        if total <= 0.0 {
            // Some filesystems make inodes as they need them, some have no size.
            continue;
        }
        let share = free / total * 100.0;
        let words = format!("{path} has {} of {} free ({share:.0}%)", amount(free), amount(total));
        let status = threshold::status(disk.warning.undercut(free, total), disk.critical.undercut(free, total));
        worst = worst.max(status);
        if !status.is_ok() {
            bad.push(words.clone());
        }
        if fullest.as_ref().is_none_or(|(least, _)| share < *least) {
            fullest = Some((share, words.clone()));
        }
        lines.push(words);
        let mut number = metric(&path.to_string(), free, if what == What::Space { "B" } else { "" });
        number.warning = disk.warning.as_range(total).into();
        number.critical = disk.critical.as_range(total).into();
        metrics.push(number);
    }
    let words = match (bad.is_empty(), fullest) {
        (false, _) => bad.join("; "),
        (true, Some((_, words))) if lines.len() > 1 => format!("{} filesystems; {words}, the fullest", lines.len()),
        (true, Some((_, words))) => words,
        (true, None) if what == What::Inodes && !all.is_empty() => "no filesystem here has a fixed number of inodes".into(),
        (true, None) => return Outcome::unknown("no filesystem of a local disk is mounted here: name what counts in `paths`"),
    };
    Outcome::new(worst, words).details(lines.join("\n")).with(metrics)
}

/// The mount points of filesystems that keep something on this machine, each device once (proc_pid_mountinfo(5)).
pub fn real_mounts(mountinfo: &str) -> Vec<PathBuf> {
    let mut seen = BTreeSet::new();
    let mut out = Vec::new();
    for line in mountinfo.lines() {
        let Some((before, after)) = line.split_once(" - ") else { continue };
        let mut fields = before.split(' ').skip(2);
        let (Some(device), Some(_root), Some(point)) = (fields.next(), fields.next(), fields.next()) else { continue };
        let mut fields = after.split(' ');
        let (Some(kind), Some(source)) = (fields.next(), fields.next()) else { continue };
        let point = unescape(point);
        let local = matches!(
            kind,
            "ext2"
                | "ext3"
                | "ext4"
                | "xfs"
                | "btrfs"
                | "zfs"
                | "f2fs"
                | "jfs"
                | "reiserfs"
                | "vfat"
                | "exfat"
                | "ntfs"
                | "ntfs3"
                | "bcachefs"
                | "nilfs2"
                | "ubifs"
        );
        // A container's root lies on an overlay.
        let root = Path::new(&point) == Path::new("/") && matches!(kind, "overlay" | "tmpfs" | "fuse.fuse-overlayfs");
        if !(local || root) || source.starts_with("/dev/loop") {
            continue;
        }
        let identity = if matches!(kind, "btrfs" | "zfs") { source.to_owned() } else { device.to_owned() };
        // Files mounted over files are how containers get their /etc/hosts.
        if !Path::new(&point).is_file() && seen.insert(identity) {
            out.push(PathBuf::from(point));
        }
    }
    out
}

/// Space, tab, line break and backslash are written in octal there.
fn unescape(text: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")].iter().fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn real_mounts_are_local_and_each_device_once() {
        let text = "22 1 254:0 / / rw - ext4 /dev/vda rw\n23 22 0:5 / /proc rw - proc proc rw\n24 22 0:30 / /srv/nfs rw - nfs4 host:/x rw\n\
                    25 22 254:0 /x /bind rw - ext4 /dev/vda rw\n26 22 7:0 / /snap rw - ext4 /dev/loop0 rw\n27 22 8:1 / /mnt/a\\040b rw shared:1 - xfs /dev/sda1 rw\n\
                    28 22 0:40 / /tmp rw - tmpfs tmpfs rw\nnonsense\n";
        assert_eq!(real_mounts(text), [PathBuf::from("/"), PathBuf::from("/mnt/a b")]);
        assert_eq!(real_mounts("1 0 0:99 / / rw - overlay overlay rw"), [PathBuf::from("/")]);
    }

    #[test]
    fn the_worst_filesystem_counts_and_is_named() {
        let all = [("/", 50.0), ("/var", 7.0), ("/home", 90.0)].map(|(path, free)| Filesystem { path: path.into(), measured: Ok((free, 100.0)) });
        let outcome = judge(&Disk::default(), &all, What::Space);
        assert_eq!((outcome.status, outcome.text.as_str()), (Status::Warning, "/var has 7 B of 100 B free (7%)"));
        assert_eq!(outcome.metrics.len(), 3);
        let bytes = Disk { critical: Amount::Bytes(60.0), ..Disk::default() };
        assert_eq!(judge(&bytes, &all, What::Space).status, Status::Critical);
        let lost = [Filesystem { path: "/gone".into(), measured: Err("No such file".into()) }];
        assert_eq!(judge(&Disk::default(), &lost, What::Space).status, Status::Unknown);
        let btrfs = [Filesystem { path: "/".into(), measured: Ok((0.0, 0.0)) }];
        assert_eq!(judge(&Disk::default(), &btrfs, What::Inodes).status, Status::Ok);
    }

    #[tokio::test]
    async fn this_machine_has_a_disk_and_inodes() {
        let context = super::super::test_context(5_000);
        let here = Disk { paths: vec![std::env::temp_dir()], ..Disk::default() };
        assert!(space(&here, &context).await.metrics[0].value > 0.0);
        assert_ne!(inodes(&here, &context).await.text, "");
        let gone = Disk { paths: vec!["/no/such/folder".into()], ..Disk::default() };
        assert_eq!(space(&gone, &context).await.status, Status::Unknown);
    }
}
