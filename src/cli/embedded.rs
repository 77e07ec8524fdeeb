//! The embedded server: a process of its own that the first console starts, the next ones use, and that
//! ends a while after the last has left. With it runs an agent that watches this machine.
//!
//! Consoles that are started with sources (`--alertmanager`, `--prometheus`) use one of their own for
//! that set of sources, in a folder beside.

use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use super::ask::{SOCKET, embedded_name};
use super::places::make_private;
use super::{Context, Failure};
use crate::client::{Address, ServerConfig};
use crate::model::time::Span;

/// How long a console waits for it to listen before it opens all the same.
const PATIENCE: Duration = Duration::from_millis(1_500);
/// A log that is larger begins anew.
const LONGEST_LOG: u64 = 1 << 20;
/// A Unix socket's path has 108 bytes, its last zero among them.
const LONGEST_SOCKET: usize = 107;

/// What feeds it, beside this machine.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Sources {
    pub alertmanagers: Vec<String>,
    pub prometheuses: Vec<String>,
}

impl Sources {
    pub fn is_empty(&self) -> bool {
        self.alertmanagers.is_empty() && self.prometheuses.is_empty()
    }

    /// What is no web address would only fail later, where nobody sees it.
    pub fn check(&self) -> Result<(), Failure> {
        let bad = |url: &&String| !(url.starts_with("http://") || url.starts_with("https://")) || url.chars().any(|c| c.is_control() || c.is_whitespace());
        match self.alertmanagers.iter().chain(&self.prometheuses).find(bad) {
            Some(url) => Err(Failure::usage(format!("`{url}` is no web address"), "Write it like http://localhost:9093")),
            None => Ok(()),
        }
    }

    /// As `[[source]]` tables. URLs are quoted as TOML asks.
    pub fn toml(&self) -> String {
        let kinds = self.alertmanagers.iter().map(|url| ("alertmanager", url)).chain(self.prometheuses.iter().map(|url| ("prometheus", url)));
        kinds.map(|(kind, url)| format!("[[source]]\nkind = \"{kind}\"\nurl = {}\n", toml::Value::from(url.as_str()))).collect()
    }

    /// The same set, in whatever order it was named, has the same name.
    fn folder(&self) -> String {
        if self.is_empty() {
            return "embedded".to_owned();
        }
        let mut all: Vec<String> =
            self.alertmanagers.iter().map(|url| format!("a {url}")).chain(self.prometheuses.iter().map(|url| format!("p {url}"))).collect();
        all.sort();
        let digest = Sha256::digest(all.join("\n").as_bytes());
        let name: String = digest.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        format!("embedded-{name}")
    }
}

/// Finds the one that runs, or starts it; says how to reach it.
pub fn ready(context: &Context, sources: &Sources, linger: Span) -> Result<ServerConfig, Failure> {
    let folder = context.places.data.join(sources.folder());
    make_private(&context.places.data)?;
    make_private(&folder)?;
    let socket = folder.join(SOCKET);
    if socket.as_os_str().len() > LONGEST_SOCKET {
        return Err(Failure::failed(format!("{} is too long for a socket's path", socket.display()), "Set XDG_DATA_HOME to a shorter one"));
    }
    let config = ServerConfig { outbox: Some(folder.join("outbox")), ..ServerConfig::new(&embedded_name(), Address::Unix(socket.clone())) };
    if UnixStream::connect(&socket).is_ok() {
        return Ok(config);
    }
    // Two consoles that start at once make one server: the second waits here, and then finds it.
    let lock = open(&folder.join("start.lock"))?;
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).map_err(|error| failed(&folder, &error.to_string()))?;
    if UnixStream::connect(&socket).is_err() {
        start(&folder, &socket, sources, linger)?;
    }
    Ok(config)
}

fn start(folder: &Path, socket: &Path, sources: &Sources, linger: Span) -> Result<(), Failure> {
    let config = folder.join("server.toml");
    let text = format!(
        "# Written by midwatch for the server that it starts by itself; written anew each time.\nname = {}\n{}",
        toml::Value::from(embedded_name()),
        sources.toml()
    );
    std::fs::write(&config, text).map_err(|error| failed(folder, &error.to_string()))?;
    let mut log = open(&folder.join("server.log"))?;
    if log.metadata().is_ok_and(|metadata| metadata.len() > LONGEST_LOG) {
        log.set_len(0).map_err(|error| failed(folder, &error.to_string()))?;
    }
    let from = log.seek(SeekFrom::End(0)).map_err(|error| failed(folder, &error.to_string()))?;
    let program = std::env::current_exe().map_err(|error| Failure::failed(format!("cannot find this program: {error}"), ""))?;
    let duplicate = || log.try_clone().map_err(|error| failed(folder, &error.to_string()));
    let mut child = Command::new(program)
        .arg("serve")
        .arg("--config")
        .arg(&config)
        .arg("--data")
        .arg(folder)
        .arg("--listen")
        .arg(format!("unix:{}", socket.display()))
        .arg("--embedded")
        .arg(format!("{}s", linger.secs()))
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(duplicate()?)
        .stderr(duplicate()?)
        .spawn()
        .map_err(|error| Failure::failed(format!("cannot start the embedded server: {error}"), ""))?;
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        if UnixStream::connect(socket).is_ok() {
            return Ok(());
        }
        if let Ok(Some(_)) = child.try_wait() {
            return Err(Failure::failed(
                format!("the embedded server did not start: {}", said(&mut log, from)),
                format!("Its log is {}", folder.join("server.log").display()),
            ));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    reap(child);
    Ok(())
}

/// Should it end before this console, nobody else would collect it.
fn reap(mut child: Child) {
    std::thread::spawn(move || child.wait());
}

/// What it wrote since: its last line is why it ended.
fn said(log: &mut std::fs::File, from: u64) -> String {
    let mut text = Vec::new();
    let read = log.seek(SeekFrom::Start(from)).and_then(|_| log.take(64 * 1024).read_to_end(&mut text));
    let text = String::from_utf8_lossy(&text);
    let last = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing");
    if read.is_ok() { last.trim_start_matches("midwatch: ").to_owned() } else { "its log cannot be read".to_owned() }
}

fn open(path: &Path) -> Result<std::fs::File, Failure> {
    std::fs::OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path).map_err(|error| failed(path, &error.to_string()))
}

fn failed(path: &Path, why: &str) -> Failure {
    Failure::failed(format!("{}: {why}", path.display()), "`midwatch doctor` says what is wrong with the data folder")
}

/// The folder in which the server with this configuration keeps its agent's things.
pub fn agent_folder(data: &Path) -> PathBuf {
    data.join("agent")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_sources_in_any_order_share_one_server() {
        let of =
            |a: &[&str], p: &[&str]| Sources { alertmanagers: a.iter().map(|u| (*u).into()).collect(), prometheuses: p.iter().map(|u| (*u).into()).collect() };
        assert_eq!(of(&["http://a", "http://b"], &[]).folder(), of(&["http://b", "http://a"], &[]).folder());
        assert_ne!(of(&["http://a"], &[]).folder(), of(&[], &["http://a"]).folder());
        assert_eq!(of(&[], &[]).folder(), "embedded");
    }

    #[test]
    fn an_address_cannot_leave_its_quotes() {
        let sources = Sources { alertmanagers: vec!["http://a\"\n[[system]]\nid = \"x".into()], prometheuses: Vec::new() };
        let table: toml::Table = sources.toml().parse().unwrap();
        assert_eq!(table.keys().collect::<Vec<_>>(), ["source"]);
    }
}
