//! Any Nagios or Sensu check plugin: a program whose exit code is the status and whose output says why.
//!
//! The command is a list of arguments and never meets a shell (C1, C3). The program runs in a process group of its own,
//! which is killed whole when its time is over, with a clean environment, nothing to read and a limit to what it may say.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};

use super::{Context, Outcome, perfdata};
use crate::agent::text;
use crate::model::severity::Status;

/// Bytes of each of the two outputs that are kept.
const KEPT: usize = 64 * 1_024;
/// Bytes after which a plugin is taken for a flood and killed.
const FLOOD: usize = 4 * 1_024 * 1_024;
/// How long somebody else may hold the output open after the plugin itself has ended.
const GRACE: Duration = Duration::from_millis(300);
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plugin {
    /// The program and its arguments, each by itself: `["/usr/lib/nagios/plugins/check_load", "-w", "4,3,2"]`.
    #[serde(deserialize_with = "command")]
    pub command: Vec<String>,
    /// Beside `PATH` and `LANG=C`, which is all that the program finds otherwise.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
}

fn command<'de, D: serde::Deserializer<'de>>(d: D) -> Result<Vec<String>, D::Error> {
    let arguments = Vec::<String>::deserialize(d)?;
    match arguments.first() {
        None => Err(serde::de::Error::custom("`command` is empty: it needs the program and its arguments, each by itself")),
        Some(program) if program.contains(char::is_whitespace) && !program.starts_with('/') => {
            Err(serde::de::Error::custom(format!("`{program}` is one word of a command, not a line for a shell: write [\"program\", \"argument\", …]")))
        }
        Some(_) if arguments.iter().any(|a| a.contains('\0')) => Err(serde::de::Error::custom("an argument of a command cannot hold a NUL character")),
        Some(_) => Ok(arguments),
    }
}

/// Kills what is left of a plugin's process group when the check ends, however it ends.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Group {
        Group(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw))
    }

    fn kill(&mut self) {
        if let Some(group) = self.0.take() {
            // Gone already is as good as killed.
            let _ = rustix::process::kill_process_group(group, Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

/// How the run of a program ended.
pub(super) enum Ran {
    /// With words that say what to do.
    NotStarted(String),
    Exited {
        status: ExitStatus,
        out: String,
        err: String,
    },
    Lost(io::Error),
    TooSlow {
        out: String,
        err: String,
    },
    Flooded,
}

pub async fn run(plugin: &Plugin, context: &Context) -> Outcome {
    let Some(program) = plugin.command.first() else {
        return Outcome::unknown("no command is configured: name the plugin and its arguments in `command`");
    };
    match execute(&plugin.command, &plugin.env, context.limit).await {
        Ran::NotStarted(why) => Outcome::unknown(why),
        Ran::Exited { status, out, err } => judged(program, status, perfdata::parse(&out), &err),
        Ran::Lost(error) => Outcome::unknown(format!("`{program}` ran, but how it ended cannot be known: {error}")),
        Ran::TooSlow { out, err } => {
            let words = format!(
                "`{program}` did not finish within {} and was killed with all that it started; try it by hand, or raise `timeout`",
                context.limit_words()
            );
            Outcome::unknown(words).details(text::details(&format!("{out}\n{err}")))
        }
        Ran::Flooded => Outcome::unknown(format!("`{program}` printed more than {} MiB and was killed; a check prints a few lines", FLOOD >> 20)),
    }
}

/// Runs a program in a process group of its own, which is gone when this returns or is dropped.
pub(super) async fn execute(command: &[String], env: &BTreeMap<String, String>, limit: Duration) -> Ran {
    let Some((program, arguments)) = command.split_first() else {
        return Ran::NotStarted("there is no command".into());
    };
    let mut child = match start(program, arguments, env).await {
        Ok(child) => child,
        Err(error) => return Ran::NotStarted(no_start(program, &error)),
    };
    let mut group = Group::of(&child);
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let end = {
        let reading = async { tokio::try_join!(read(stdout, &mut out), read(stderr, &mut err)) };
        let deadline = tokio::time::sleep(limit);
        tokio::pin!(reading, deadline);
        let mut read_all = false;
        loop {
            tokio::select! {
                status = child.wait() => {
                    if !read_all && tokio::time::timeout(GRACE, &mut reading).await.is_err() {
                        // Somebody whom the program started still holds the output, so that the group still exists.
                        group.kill();
                    }
                    // The group's number may belong to others from here on.
                    group.0 = None;
                    break End::Exited(status);
                }
                all = &mut reading, if !read_all => {
                    if all.is_err() {
                        break End::Flooded;
                    }
                    read_all = true;
                }
                () = &mut deadline => break End::TooSlow,
            }
        }
    };
    if group.0.is_some() {
        group.kill();
        // Taken off the table of processes here; if even the kernel cannot kill it now, tokio does later.
        let _ = tokio::time::timeout(GRACE, child.wait()).await;
    }
    let (out, err) = (String::from_utf8_lossy(&out).into_owned(), String::from_utf8_lossy(&err).into_owned());
    match end {
        End::Exited(Ok(status)) => Ran::Exited { status, out, err },
        End::Exited(Err(error)) => Ran::Lost(error),
        End::TooSlow => Ran::TooSlow { out, err },
        End::Flooded => Ran::Flooded,
    }
}

enum End {
    Exited(io::Result<ExitStatus>),
    TooSlow,
    Flooded,
}

async fn start(program: &str, arguments: &[String], env: &BTreeMap<String, String>) -> io::Result<Child> {
    let mut tries = 0_u32;
    loop {
        let started = Command::new(program)
            .args(arguments)
            .env_clear()
            .env("PATH", PATH)
            .env("LANG", "C")
            .env("LC_ALL", "C")
            .envs(env)
            .current_dir("/")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn();
        match started {
            // Somebody is still writing the file (a package being upgraded): that passes.
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy && tries < 10 => {
                tries += 1;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            other => return other,
        }
    }
}

/// More came than any check has to say.
struct Flood;

/// Reads until the end and keeps the first part.
async fn read(from: Option<impl AsyncRead + Unpin>, into: &mut Vec<u8>) -> Result<(), Flood> {
    let Some(mut from) = from else { return Ok(()) };
    let mut buffer = vec![0_u8; 8 * 1_024];
    let mut total = 0_usize;
    loop {
        let count = match from.read(&mut buffer).await {
            Ok(0) | Err(_) => return Ok(()),
            Ok(count) => count,
        };
        total = total.saturating_add(count);
        let room = KEPT.saturating_sub(into.len());
        into.extend(buffer.iter().take(count.min(room)));
        if total > FLOOD {
            return Err(Flood);
        }
    }
}

fn judged(program: &str, exit: ExitStatus, said: perfdata::Output, complaint: &str) -> Outcome {
    let mut title = text::title(&said.text);
    let mut details = said.details;
    if title.is_empty() && !complaint.trim().is_empty() {
        title = text::title(complaint);
        details = complaint.to_owned();
    }
    let (status, words) = match exit.code() {
        Some(code @ 0..=3) => (Status::from_exit_code(code), title),
        Some(126) => (Status::Unknown, format!("exit code 126, what it calls may not be executed: {title}")),
        Some(127) => (Status::Unknown, format!("exit code 127, a program that it calls was not found: {title}")),
        Some(code) => (Status::Unknown, format!("exit code {code} is none of 0 to 3: {title}")),
        None => {
            let signal = exit.signal().unwrap_or_default();
            (Status::Unknown, format!("`{program}` was killed by signal {signal}{}: {title}", signal_words(signal)))
        }
    };
    let mut words = words.trim_end_matches([':', ' ']).to_owned();
    if words.is_empty() {
        words = format!("`{program}` printed nothing");
    }
    Outcome { status, text: words, details: text::details(&details), metrics: said.metrics }
}

fn signal_words(signal: i32) -> &'static str {
    match signal {
        4 => " (illegal instruction: built for another processor?)",
        6 => " (it aborted)",
        7 => " (bus error)",
        9 => " (somebody killed it, perhaps the kernel for want of memory: see dmesg)",
        11 => " (segmentation fault)",
        13 => " (broken pipe)",
        15 => " (terminated)",
        24 => " (its limit of processor time)",
        31 => " (a system call that it may not make)",
        _ => "",
    }
}

fn no_start(program: &str, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound if program.starts_with("/usr/lib/nagios/plugins/") => {
            format!("`{program}` does not exist: install it (Debian: monitoring-plugins-basic), or correct `command`")
        }
        io::ErrorKind::NotFound => format!("`{program}` does not exist, or the interpreter in its first line does not: install it, or correct `command`"),
        io::ErrorKind::PermissionDenied => format!("`{program}` may not be executed by the agent's user: chmod +x it, or let that user reach its folder"),
        _ if error.raw_os_error() == Some(8) => format!("`{program}` is no program: a script needs #! and its interpreter in the first line"),
        io::ErrorKind::WouldBlock | io::ErrorKind::OutOfMemory => format!("this machine cannot start another process now ({error})"),
        _ => format!("`{program}` could not be started: {error}"),
    }
}

#[cfg(test)]
mod tests;
