//! The console's configuration file, `console.toml`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::failure::Failure;
use super::toml_file;
use crate::client::{Address, ServerConfig, ServerIndex, TlsTrust};
use crate::console::notice::Wishes;
use crate::model::severity::Severity;
use crate::model::time::Span;

/// All of it; everything has a default. This type is the format.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// What others call you: it stands beside what you do. Without it, your login name.
    pub name: Option<String>,
    /// `auto` (by the terminal's background), a shipped one, or one of yours in `themes/` beside this file.
    pub theme: Option<String>,
    /// The key that says who you are: a private one, or a `.pub` whose private half your ssh-agent holds.
    /// Without it, one that midwatch makes.
    pub key: Option<PathBuf>,
    /// Draw with ASCII alone; not set: when the locale is not UTF-8.
    pub ascii: Option<bool>,
    /// Names of links can be clicked (OSC 8); not set: where the terminal is known to do that.
    pub links: Option<bool>,
    /// Clicks select and open, the wheel scrolls; without it, the mouse stays the terminal's.
    pub mouse: bool,
    /// How to tell that something needs you that did not before: `true`, `false`, or a table of [`Notify`].
    pub notify: Notify,
    /// `default`, `vim`, `emacs` or `k9s`, with `keymap.toml` beside this file over it when it is there; or a
    /// file's path.
    pub keymap: Option<PathBuf>,
    /// How long the embedded server goes on after the last console has left; `0s` ends it at once.
    pub linger: Span,
    /// The embedded server never ends by itself.
    pub stay: bool,
    /// The times of day at which shifts begin, on your clock: `["08:00", "20:00"]`. What "since the shift began" means.
    pub shifts: Vec<String>,
    /// Open the console as it was left: pane, selection, place on the timeline, what was open, filters, folds, order,
    /// split, theme.
    pub restore: bool,
    /// Others who look at what you look at see that you do, and you see them.
    pub presence: bool,
    /// The key of a server that is met for the first time is remembered without asking.
    pub accept_new: bool,
    /// Of the servers below, the one that keeps how far you have looked, for all of your consoles; the first by
    /// name unless given. The same on each of your machines.
    pub home: Option<String>,
    /// The servers that the console connects to; none: an embedded one that watches this machine.
    pub servers: BTreeMap<String, ServerEntry>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            name: None,
            theme: None,
            key: None,
            ascii: None,
            links: None,
            mouse: false,
            notify: Notify(Wishes::ALL),
            keymap: None,
            linger: Span::from_mins(10),
            stay: false,
            shifts: Vec::new(),
            restore: true,
            presence: true,
            accept_new: false,
            home: None,
            servers: BTreeMap::new(),
        }
    }
}

/// `notify = true`, `notify = false`, or `[notify]` with what is wished of [`Told`].
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Notify(pub Wishes);

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Told {
    /// Ring the bell.
    bell: bool,
    /// A notice by OSC 9, by OSC 777; not set: by the one that the terminal is known to take.
    osc9: Option<bool>,
    osc777: Option<bool>,
    /// What is less severe is not told.
    least: Severity,
    /// The least time between two notices; what comes meanwhile is told together.
    every: Span,
}

impl Default for Told {
    fn default() -> Told {
        let Wishes { bell, osc9, osc777, least, every } = Wishes::ALL;
        Told { bell, osc9, osc777, least, every }
    }
}

impl<'de> Deserialize<'de> for Notify {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Notify, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Notify;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("true, false, or a table with bell, osc9, osc777, least, every")
            }

            fn visit_bool<E>(self, told: bool) -> Result<Notify, E> {
                Ok(Notify(if told { Wishes::ALL } else { Wishes::NONE }))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Notify, A::Error> {
                let Told { bell, osc9, osc777, least, every } = Told::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Notify(Wishes { bell, osc9, osc777, least, every }))
            }
        }
        from.deserialize_any(Either)
    }
}

/// One `[servers.NAME]`.
#[derive(Clone, PartialEq, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerEntry {
    /// `wss://host:7373`, on this machine `ws://127.0.0.1:7373` or `unix:/path/server.sock`.
    pub url: String,
    /// The file that holds the token for it.
    #[serde(default)]
    pub token_file: Option<PathBuf>,
    /// The kind of environment: `production` looks different on the console.
    #[serde(default)]
    pub env: Option<String>,
    /// Of `wss://`: the file (PEM) of the authorities that vouch for its certificate, instead of this machine's.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// Of `wss://`: a proxy that you trust fully ends TLS before it.
    #[serde(default)]
    pub proxy: bool,
}

impl Settings {
    /// What the file says; the defaults when there is none, unless it was asked for by name.
    pub fn load(path: &Path, asked: bool) -> Result<Settings, Failure> {
        match toml_file::read(path)? {
            Some(text) => {
                let settings: Settings = toml_file::parse(path, &text)?;
                match settings.mistakes(path).into_iter().next() {
                    Some(mistake) => Err(mistake),
                    None => Ok(settings),
                }
            }
            None if asked => Err(Failure::failed(format!("there is no file {}", path.display()), "`midwatch config path` shows where it is looked for")),
            None => Ok(Settings::default()),
        }
    }

    /// All that types cannot say.
    pub fn mistakes(&self, path: &Path) -> Vec<Failure> {
        let mut wrong = Vec::new();
        for text in self.shifts.iter().filter(|text| clock_time(text).is_none()) {
            wrong.push(Failure::failed(format!("{}: shifts: `{text}` is no time of day", path.display()), "Write it like 08:00"));
        }
        if let Some(home) = self.home.as_ref().filter(|home| !self.servers.contains_key(*home)) {
            let near = crate::model::nearest::nearest(home, self.servers.keys().map(String::as_str));
            let hint = near.map_or_else(|| "Name one of [servers.NAME]".to_owned(), |near| format!("Did you mean `{near}`?"));
            wrong.push(Failure::failed(format!("{}: home: no server is called `{home}`", path.display()), hint));
        }
        for (name, entry) in &self.servers {
            let mut refuse = |why: String, hint: &str| wrong.push(Failure::failed(format!("{}: servers.{name}: {why}", path.display()), hint));
            if !server_name(name) {
                refuse("is no name for a server".into(), "Use letters, digits, `-` and `_`");
            }
            match Address::parse(&entry.url) {
                Err(error) => refuse(error.to_string(), ""),
                Ok(Address::Tcp(_) | Address::Unix(_)) if entry.ca.is_some() || entry.proxy => {
                    refuse("`ca` and `proxy` are about TLS, and this url has none".into(), "Write wss://, or take them out");
                }
                Ok(_) => {}
            }
        }
        wrong
    }

    /// When shifts begin.
    pub fn shift_starts(&self) -> Vec<jiff::civil::Time> {
        self.shifts.iter().filter_map(|text| clock_time(text)).collect()
    }

    /// Which of these servers keeps how far the person has looked: the one that is named, else the first. None
    /// where the named one is not among them.
    pub fn home<'a>(&self, mut servers: impl Iterator<Item = &'a str>) -> Option<ServerIndex> {
        let place = match &self.home {
            Some(home) if self.servers.contains_key(home) => servers.position(|name| name == home)?,
            Some(_) | None => servers.next().map(|_| 0)?,
        };
        Some(ServerIndex(place))
    }

    pub fn person(&self) -> Arc<str> {
        let login = || std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).ok();
        self.name.clone().or_else(login).filter(|name| !name.is_empty()).unwrap_or_else(|| "somebody".into()).into()
    }
}

fn clock_time(text: &str) -> Option<jiff::civil::Time> {
    jiff::civil::Time::strptime("%H:%M", text.trim()).ok()
}

/// Names stand in filters (`server:infra`) and addresses (`infra:dc1/ceph`).
pub fn server_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= 60 && name.chars().all(|c| c.is_alphanumeric() || c == '-' || c == '_')
}

impl ServerEntry {
    /// With its token read.
    pub fn config(&self, name: &str) -> Result<ServerConfig, Failure> {
        let address = Address::parse(&self.url).map_err(|error| Failure::failed(format!("server {name}: {error}"), ""))?;
        let token = self.token_file.as_deref().map(token).transpose()?;
        let tls = TlsTrust { ca: self.ca.as_deref().map(home), proxy: self.proxy };
        Ok(ServerConfig { token, tls, env: self.env.as_deref().map(Arc::from), ..ServerConfig::new(name, address) })
    }
}

/// A token from a file that only its owner may read.
pub fn token(path: &Path) -> Result<Arc<str>, Failure> {
    use std::os::unix::fs::PermissionsExt;
    let path = home(path);
    let failed =
        |error: std::io::Error| Failure::failed(format!("cannot read the token file {}: {error}", path.display()), "Copy the token from the server's operator");
    let mode = std::fs::metadata(&path).map_err(failed)?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(Failure::failed(format!("others may read the token file {}", path.display()), format!("chmod 600 {}", path.display())));
    }
    let text = std::fs::read_to_string(&path).map_err(failed)?;
    let token = text.trim();
    if token.is_empty() || token.len() > 4_096 || token.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(Failure::failed(format!("{} does not hold a token", path.display()), "It is one word on one line"));
    }
    Ok(token.into())
}

/// `~/x` as shells read it.
pub fn home(path: &Path) -> PathBuf {
    match (path.strip_prefix("~"), directories::BaseDirs::new()) {
        (Ok(rest), Some(dirs)) => dirs.home_dir().join(rest),
        _ => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Settings, Failure> {
        let path = Path::new("console.toml");
        toml_file::parse::<Settings>(path, text).and_then(|settings| settings.mistakes(path).into_iter().next().map_or(Ok(settings), Err))
    }

    #[test]
    fn servers_have_names_addresses_and_environments() {
        let settings = parse("linger = \"1h\"\n[servers.infra]\nurl = \"ws://127.0.0.1:7373\"\nenv = \"production\"\n").unwrap();
        assert_eq!(settings.linger, Span::from_hours(1));
        assert_eq!(settings.servers.get("infra").unwrap().env.as_deref(), Some("production"));
    }

    #[test]
    fn home_is_the_named_server_else_the_first() {
        let servers = "[servers.infra]\nurl = \"ws://127.0.0.1:1\"\n[servers.shop]\nurl = \"ws://127.0.0.1:2\"\n";
        let home = |text: String, names: &[&'static str]| parse(&text).unwrap().home(names.iter().copied()).map(|home| home.0);
        assert_eq!(home(servers.to_owned(), &["infra", "shop"]), Some(0));
        assert_eq!(home(format!("home = \"shop\"\n{servers}"), &["infra", "shop"]), Some(1));
        assert_eq!(home(format!("home = \"shop\"\n{servers}"), &["infra"]), None, "not asked today");
        assert_eq!(home(String::new(), &["here"]), Some(0), "the embedded one");
        assert_eq!(home(String::new(), &[]), None);
    }

    #[test]
    fn mistakes_are_named() {
        for (text, word) in [
            ("[servers.infra]\nurl = \"ws://127.0.0.1\"", "servers.infra"),
            ("[servers.\"a b\"]\nurl = \"ws://127.0.0.1:1\"", "no name"),
            ("[server.infra]\nurl = \"ws://127.0.0.1:1\"", "Did you mean `servers`?"),
            ("shifts = [\"8 o'clock\"]", "no time of day"),
            ("home = \"infro\"\n[servers.infra]\nurl = \"ws://127.0.0.1:1\"", "Did you mean `infra`?"),
            ("linger = \"soon\"", "console.toml:1:10"),
            ("[servers.infra]\nurl = \"ws://ops.example.org:7373\"", "wss://"),
            ("[servers.infra]\nurl = \"ws://127.0.0.1:7373\"\nproxy = true", "this url has none"),
        ] {
            let words = parse(text).unwrap_err().to_string();
            assert!(words.contains(word), "{words}");
        }
    }

    #[test]
    fn n4_a_token_that_others_may_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        std::fs::write(&path, "s3cret\n").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(token(&path).unwrap_err().to_string().contains("chmod 600"));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(&*token(&path).unwrap(), "s3cret");
    }
}
