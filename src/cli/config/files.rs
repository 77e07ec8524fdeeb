//! The files that a configuration names: whether they are there, can be read, and hold what they should.

use std::path::{Path, PathBuf};

use super::Settings;
use crate::agent::config::Config as Agent;
use crate::cli::settings::{home, token};
use crate::server::Config as Server;
use crate::server::line::Certificates;
use crate::trust::tls;

/// What is wrong with the files of one configuration, a line for each.
struct Files<'a> {
    /// The configuration.
    of: &'a Path,
    wrong: Vec<String>,
}

impl Files<'_> {
    fn of(path: &Path) -> Files<'_> {
        Files { of: path, wrong: Vec::new() }
    }

    fn refuse(&mut self, setting: &str, why: &str, hint: &str) {
        // Who checks is often somebody else than who runs it.
        let hint = if why.contains("ermission denied") { "Check it as the user that reads it" } else { hint };
        self.wrong.push(format!("{}: {setting}: {why}. {hint}", self.of.display()));
    }

    fn authorities(&mut self, setting: &str, path: Option<&PathBuf>) {
        let Some(path) = path.map(|path| home(path)) else { return };
        if let Err(error) = tls::certificates(&path) {
            self.refuse(setting, &format!("{}: {error}", path.display()), "Name a file (PEM) of the authorities that vouch for it");
        }
    }

    fn secret(&mut self, setting: &str, path: Option<&PathBuf>) {
        let Some(path) = path.map(|path| home(path)) else { return };
        match std::fs::read_to_string(&path) {
            Err(error) => self.refuse(setting, &format!("{}: {error}", path.display()), "Name the file that holds it"),
            Ok(text) if text.trim().is_empty() => self.refuse(setting, &format!("{} is empty", path.display()), "It holds one line"),
            Ok(_) => {}
        }
    }

    fn token(&mut self, setting: &str, path: Option<&PathBuf>) {
        if let Some(Err(failure)) = path.map(|path| token(path)) {
            self.refuse(setting, &failure.cause, &failure.hint);
        }
    }
}

pub(super) fn of_server(config: &Server, path: &Path) -> Vec<String> {
    let mut files = Files::of(path);
    if let Some((certificate, key)) = config.tls.as_ref().and_then(|tls| Some((tls.certificate.clone()?, tls.key.clone()?)))
        && let Err(why) = Certificates::read(certificate, key)
    {
        files.refuse("tls", &why, "Name the chain (PEM) as `certificate` and its private key as `key`");
    }
    if let Some(keys) = config.trust.authorized_keys.as_ref().filter(|keys| !keys.exists()) {
        files.refuse("trust.authorized_keys", &format!("there is no file {}", keys.display()), "Until there is one, nobody comes in by a key of it");
    }
    for peer in &config.peer {
        files.authorities(&format!("peer {}: ca", peer.name), peer.ca.as_ref());
    }
    for source in &config.source {
        let of = |setting: &str| format!("source {}: {setting}", source.id());
        files.authorities(&of("ca"), source.ca.as_ref());
        files.secret(&of("password_file"), source.password_file.as_ref());
        files.secret(&of("token_file"), source.token_file.as_ref());
    }
    files.wrong
}

pub(super) fn of_console(settings: &Settings, path: &Path) -> Vec<String> {
    let mut files = Files::of(path);
    if let Some(key) = settings.key.as_deref().map(home).filter(|key| !key.exists()) {
        files.refuse("key", &format!("there is no file {}", key.display()), "Without `key`, midwatch makes one; `midwatch keys show` shows it");
    }
    for (name, entry) in &settings.servers {
        files.authorities(&format!("servers.{name}: ca"), entry.ca.as_ref());
        files.token(&format!("servers.{name}: token_file"), entry.token_file.as_ref());
    }
    files.wrong
}

pub(super) fn of_agent(config: &Agent, path: &Path) -> Vec<String> {
    let mut files = Files::of(path);
    files.authorities("agent.ca", config.agent.ca.as_ref());
    files.token("agent.token_file", config.agent.token_file.as_ref());
    files.wrong
}
