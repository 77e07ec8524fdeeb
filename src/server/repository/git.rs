//! The program git, called for a repository that may be hostile: by argument vector, in a process group of
//! its own that is killed whole, with a clean environment, bounded in time, words and room.
//!
//! A repository's own configuration can name programs (`core.fsmonitor`, `core.sshCommand`, `gpg.program`,
//! `remote.*.uploadpack`, aliases, filters). So what is called is plumbing that needs none of them; hooks
//! and the file-system monitor are switched off; a repository on this machine is read without any
//! transport, so that nothing that is missing there is fetched from where its configuration says; and
//! git's own check that a repository belongs to the user that reads it stays on. Nothing is ever checked
//! out. Nobody is asked for a password.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};
use tokio::time::Instant;

use crate::model::clean::clean_line;

/// Bytes of what git says that are kept: on its output unless a call says otherwise, and of its complaints.
pub(super) const ANSWER: usize = 1 << 20;
const COMPLAINT: usize = 16 << 10;
/// Characters of a complaint that people read.
const WORDS: usize = 200;
/// How often the room that a clone takes is looked at.
const LOOK: Duration = Duration::from_millis(500);
/// What is handed on of the server's own environment: who it is, its keys, its proxies.
const HANDED_ON: [&str; 14] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "XDG_CONFIG_HOME",
    "SSH_AUTH_SOCK",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "all_proxy",
    "HTTPS_PROXY",
    "NO_PROXY",
    "ALL_PROXY",
    "SSL_CERT_FILE",
];
const SETTINGS: [&str; 10] = [
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.pager=cat",
    "core.askPass=",
    "log.showSignature=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "fetch.recurseSubmodules=false",
    "submodule.recurse=false",
    "transfer.bundleURI=false",
];

/// Why git gave no answer, in words for people.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Failed {
    Missing,
    NotStarted(String),
    TooSlow(Duration),
    TooLarge(u64),
    /// It said no: its exit code, and the first of its complaints.
    Refused(i32, String),
}

impl std::fmt::Display for Failed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failed::Missing => f.write_str("the program git is missing; install it (Debian: git)"),
            Failed::NotStarted(why) => write!(f, "git cannot be started: {why}"),
            Failed::TooSlow(limit) => write!(f, "git had not finished after {} s and was ended", limit.as_secs()),
            Failed::TooLarge(most) => write!(f, "what it sends takes more than {} MiB; fetching it was ended", most >> 20),
            Failed::Refused(_, words) => f.write_str(words),
        }
    }
}

/// One call's bounds.
#[derive(Clone, Debug)]
pub(super) struct Bounds {
    pub limit: Duration,
    /// Bytes of output; what comes beyond is not read, and git is let go.
    pub answer: usize,
    /// The transport that may be used; none unless given.
    pub scheme: Option<String>,
    /// A folder that may take so many bytes while git works.
    pub room: Option<(PathBuf, u64)>,
}

impl Bounds {
    pub fn new(limit: Duration) -> Bounds {
        Bounds { limit, answer: ANSWER, scheme: None, room: None }
    }
}

/// Ends whatever git started when the call ends, however it ends.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0.take() {
            // Gone already is as good as killed.
            let _ = rustix::process::kill_process_group(group, Signal::KILL);
        }
    }
}

/// What git answered, within `bounds`; asked in `folder`.
pub(super) async fn git(folder: &Path, arguments: &[&str], bounds: &Bounds) -> Result<Vec<u8>, Failed> {
    let mut child = start(folder, arguments, bounds).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => Failed::Missing,
        _ => Failed::NotStarted(error.to_string()),
    })?;
    let mut group = Group(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw));
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let deadline = Instant::now() + bounds.limit;
    let work = async {
        let (answer, complaint) = tokio::join!(read(stdout, bounds.answer, true), read(stderr, COMPLAINT, false));
        (child.wait().await, answer, complaint)
    };
    tokio::pin!(work);
    let (status, (answer, cut), (complaint, _)) = loop {
        tokio::select! {
            end = &mut work => break end,
            () = tokio::time::sleep_until(deadline) => return Err(Failed::TooSlow(bounds.limit)),
            () = tokio::time::sleep(LOOK), if bounds.room.is_some() => {
                if let Some((folder, most)) = bounds.room.as_ref().filter(|(folder, most)| size(folder) > *most) {
                    tracing::debug!(folder = %folder.display(), "git is ended: too much room");
                    return Err(Failed::TooLarge(*most));
                }
            }
        }
    };
    group.0 = None;
    let status: ExitStatus = status.map_err(|error| Failed::NotStarted(error.to_string()))?;
    // Whoever is no longer read from ends as it likes.
    if status.success() || cut { Ok(answer) } else { Err(Failed::Refused(status.code().unwrap_or(-1), complaint_of(&complaint))) }
}

fn start(folder: &Path, arguments: &[&str], bounds: &Bounds) -> io::Result<Child> {
    // What lies around it is found by its real name.
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let mut command = Command::new("git");
    command.arg("--no-pager").arg("-C").arg(&folder);
    for setting in SETTINGS {
        command.args(["-c", setting]);
    }
    command.args(arguments).env_clear();
    command.envs(HANDED_ON.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    // Beside a repository lie no other repositories: one that lies around it is not meant.
    let above = folder.parent().map_or(OsStr::new("/"), Path::as_os_str);
    command
        .env("LC_ALL", "C")
        .env("GIT_CEILING_DIRECTORIES", above)
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_ASKPASS", "")
        .env("SSH_ASKPASS_REQUIRE", "never")
        .env("GIT_SSH_COMMAND", "ssh -oBatchMode=yes -oConnectTimeout=20")
        .env("GIT_ALLOW_PROTOCOL", bounds.scheme.as_deref().unwrap_or("none"))
        .env("GIT_NO_LAZY_FETCH", "1")
        .env("GIT_NO_REPLACE_OBJECTS", "1")
        .env("GIT_OPTIONAL_LOCKS", "0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
}

/// The first part of what comes, and whether there was more, which is left to whoever sends it (`stop`) or
/// read and forgotten.
async fn read(from: Option<impl AsyncRead + Unpin>, most: usize, stop: bool) -> (Vec<u8>, bool) {
    let (mut out, mut cut) = (Vec::new(), false);
    let Some(mut from) = from else { return (out, cut) };
    let mut buffer = vec![0_u8; 16 << 10];
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        let room = most.saturating_sub(out.len());
        out.extend(buffer.iter().take(count.min(room)));
        cut = cut || count > room;
        if cut && stop {
            break;
        }
    }
    (out, cut)
}

/// What git complains of, without what the other side says (`remote: …`): that is anybody's words.
fn complaint_of(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let own = |line: &&str| !line.trim().is_empty() && !line.starts_with("remote:") && !line.starts_with("warning:") && !line.starts_with("hint:");
    let lines: Vec<&str> = text.split(['\n', '\r']).filter(own).collect();
    let telling = lines.iter().find(|line| line.starts_with("fatal:") || line.starts_with("error:")).or(lines.first());
    let line = telling.map_or("", |line| line.trim_start_matches("fatal:").trim_start_matches("error:").trim());
    let mut words: String = clean_line(line).chars().take(WORDS).collect();
    let hint = [
        ("dubious ownership", "it belongs to another user than the server's; let that one own it, or name it as safe.directory in that one's ~/.gitconfig"),
        ("not a git repository", "there is no Git repository at that path"),
        ("cannot change to", "there is no such folder, or the server's user may not read it"),
        ("terminal prompts disabled", "it asks for a name or password, which nobody answers; give the server's user a credential helper or an ssh key"),
        ("Authentication failed", "it asks for a name or password, which nobody answers; give the server's user a credential helper or an ssh key"),
        ("Host key verification failed", "ssh does not know its key; let the server's user connect to it once by hand"),
        ("Permission denied (publickey", "it does not take the ssh key of the server's user"),
        ("Could not resolve host", "no such host is known"),
    ];
    if let Some((_, better)) = hint.iter().find(|(part, _)| text.contains(part)) {
        words = (*better).to_owned();
    }
    if words.is_empty() { "git said no, and not why".to_owned() } else { words }
}

/// Bytes of all files beneath a folder, links not followed.
pub(super) fn size(folder: &Path) -> u64 {
    let mut sum = 0_u64;
    let mut left = vec![folder.to_owned()];
    while let Some(folder) = left.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            match entry.metadata() {
                Ok(meta) if meta.is_dir() => left.push(entry.path()),
                Ok(meta) => sum = sum.saturating_add(meta.len()),
                Err(_) => {}
            }
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_other_side_says_is_not_repeated_and_what_git_says_is_harmless() {
        let said = complaint_of(b"remote: \x1b]0;pwned\x07 pay here\nwarning: x\nfatal: couldn't find remote ref refs/heads/\x1b[2Jx\n");
        assert!(said.starts_with("couldn't find remote ref refs/heads/") && !said.contains('\u{1b}') && !said.contains("pay"), "{said}");
        assert!(complaint_of(b"").contains("not why"));
        assert!(complaint_of(&[b'x'; 10_000]).chars().count() <= WORDS);
    }
}
