//! What a failing disk does to a log: what was acknowledged survives, what was not is refused with
//! words, a full disk is gone on from, and a failed fsync never.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use crate::killed::look_through;
use crate::process::{Process, Said, durable};

/// Builds the library that makes writes fail, once.
pub fn shim() -> &'static Path {
    static SHIM: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, library) = SHIM.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let library = dir.path().join("faults.so");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/store/faults.c");
        let built = Command::new("cc").args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(source).arg("-ldl").status();
        let built = built.unwrap_or_else(|error| panic!("`cc` cannot be run ({error}): install the package `gcc`"));
        assert!(built.success(), "`cc` cannot build {source}: install the packages `gcc` and `libc6-dev`");
        (dir, library)
    });
    library
}

/// A folder for a log, and beside it the file that says what fails.
struct Disk {
    dir: tempfile::TempDir,
}

impl Disk {
    fn new() -> Disk {
        Disk { dir: tempfile::tempdir().unwrap() }
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    fn start(&self) -> Process {
        Process::start(&self.log(), &[("LD_PRELOAD", shim()), ("MIDWATCH_TEST_FAULTS", &self.dir.path().join("faults"))])
    }

    fn fail(&self, how: &str) {
        std::fs::write(self.dir.path().join("faults.new"), how).unwrap();
        std::fs::rename(self.dir.path().join("faults.new"), self.dir.path().join("faults")).unwrap();
    }

    fn heal(&self) {
        std::fs::remove_file(self.dir.path().join("faults")).unwrap();
    }
}

fn refused(said: &Said) -> bool {
    matches!(said, Said::Refused(_))
}

fn acknowledged(said: &Said) -> bool {
    matches!(said, Said::Durable(_))
}

/// Fails like this for a while, and goes on by itself once it no longer does.
async fn recovers(how: &str, words: &str) {
    let disk = Disk::new();
    let process = disk.start();
    let mut heard = process.until(acknowledged);
    for _ in 0..3 {
        disk.fail(how);
        heard.extend(process.until(refused));
        let Some(Said::Refused(said)) = heard.last() else { panic!("{heard:?}") };
        assert!(said.contains("events.db") && said.contains(words) && said.contains("Make room"), "{said}");
        heard.extend(process.listen(Duration::from_millis(100)));
        // Room comes back to the log first, and to the file that it asks why with a moment later: a write
        // that failed right before would else find no reason any more, and shut the log, as it should.
        let errno = how.split(' ').nth(1).unwrap();
        disk.fail(&format!("write {errno} 1 events.probe"));
        heard.extend(process.listen(Duration::from_millis(200)));
        disk.heal();
        // What is said from now on may still be of before; one refusal and many answers later it is not.
        for _ in 0..20 {
            heard.extend(process.until(acknowledged));
        }
    }
    heard.extend(process.kill());
    look_through(&disk.log(), durable(&heard).unwrap()).await;
}

/// Fails like this once, and takes nothing more, even when the disk seems well again; the next start
/// goes on.
async fn shuts(how: &str, words: &str) {
    let disk = Disk::new();
    let process = disk.start();
    let mut heard = process.until(acknowledged);
    disk.fail(how);
    heard.extend(process.until(refused));
    let Some(Said::Refused(said)) = heard.last() else { panic!("{heard:?}") };
    assert!(said.contains("events.db is shut") && said.contains(words) && said.contains("start the server anew"), "{said}");
    disk.heal();
    let after: Vec<Said> = (0..5).flat_map(|_| process.until(|_| true)).collect();
    assert!(after.iter().all(refused), "it went on after a write of which nobody knows: {after:?}");
    heard.extend(process.kill());
    let before = durable(&heard).unwrap();
    look_through(&disk.log(), before).await;

    let process = disk.start();
    let mut heard = process.until(acknowledged);
    heard.extend(process.kill());
    assert!(durable(&heard).unwrap() > before);
    look_through(&disk.log(), durable(&heard).unwrap()).await;
}

const EIO: i32 = 5;
const ENOSPC: i32 = 28;
const EROFS: i32 = 30;
const EDQUOT: i32 = 122;

#[tokio::test]
async fn p12_a_full_disk_is_gone_on_from() {
    recovers(&format!("write {ENOSPC} 1 *"), "the disk is full").await;
}

#[tokio::test]
async fn p12_a_disk_that_is_full_now_and_then_is_gone_on_from() {
    recovers(&format!("write {ENOSPC} 7 *"), "the disk is full").await;
}

#[tokio::test]
async fn p12_a_quota_that_is_used_up_is_gone_on_from() {
    recovers(&format!("write {EDQUOT} 1 *"), "quota").await;
}

#[tokio::test]
async fn p12_a_file_system_that_became_read_only_is_gone_on_from() {
    recovers(&format!("write {EROFS} 1 *"), "ead-only").await;
}

#[tokio::test]
async fn p11_a_failed_fsync_shuts_the_log() {
    shuts(&format!("sync {EIO} 1 events.db-wal"), "fsync failed").await;
}

#[tokio::test]
async fn p11_a_single_failed_fsync_shuts_the_log() {
    shuts(&format!("sync {EIO} 5 events.db-wal"), "fsync failed").await;
}

#[tokio::test]
async fn p11_an_fsync_that_fails_for_want_of_room_shuts_the_log_too() {
    shuts(&format!("sync {ENOSPC} 1 events.db-wal"), "fsync failed").await;
}

#[tokio::test]
async fn p11_a_failed_fsync_of_the_database_itself_shuts_the_log() {
    shuts(&format!("sync {EIO} 1 events.db"), "fsync failed").await;
}

#[tokio::test]
async fn p11_a_write_that_fails_for_no_reason_that_passes_shuts_the_log() {
    shuts(&format!("write {EIO} 11 events.db-wal"), "disk I/O error").await;
}
