//! An agent's configuration: TOML, one `[agent]` and any number of `[[check]]`.
//!
//! A mistake is said with file, line, column and the nearest right name. A check's table holds what every check has
//! ([`CheckConfig`]) and the arguments of its kind side by side, so that people need not know which is which.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use super::check::{Kind, systemd};
use crate::model::id::{AgentId, CheckId, SystemId};
use crate::model::nearest::{nearest, nearest_expected, place};
use crate::model::time::Span;

/// Bytes of a configuration that are read.
const LARGEST: u64 = 4 << 20;
/// Checks of one agent.
const MOST_CHECKS: usize = 2_000;

#[derive(Clone, PartialEq, Debug)]
pub struct Config {
    pub agent: AgentConfig,
    pub checks: Vec<CheckConfig>,
}

/// The table `[agent]`.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AgentConfig {
    /// The host's name, if it is not set.
    #[serde(deserialize_with = "agent_name")]
    pub name: AgentId,
    /// The system that stands for this machine, and what its checks are about unless they say otherwise. The agent's
    /// name, if it is not set.
    pub system: SystemId,
    /// `wss://ops.example.org:7373`, on its own machine `ws://127.0.0.1:7373` or `unix:/path/server.sock`.
    pub server: Option<String>,
    /// Of `wss://`: the file (PEM) of the authorities that vouch for its certificate, instead of this machine's.
    pub ca: Option<PathBuf>,
    /// Of `wss://`: a proxy that is trusted fully ends TLS before it.
    pub proxy: bool,
    /// A file of mode 0600 that holds the token for that server.
    pub token_file: Option<PathBuf>,
    /// How often the agent says that it lives.
    pub keepalive: Span,
    /// How many checks may run at once.
    pub parallel: usize,
    /// Where the spool and what checks remember are kept. The user's data folder, if it is not set.
    pub data: Option<PathBuf>,
    /// How much the spool may take.
    #[serde(deserialize_with = "spool_bytes")]
    pub spool: u64,
    /// Whether the server is told what machine this is: system, processor, memory, disks, addresses, services.
    pub inventory: bool,
}

impl Default for AgentConfig {
    fn default() -> AgentConfig {
        let host = host_name();
        AgentConfig {
            name: AgentId::new(&host),
            system: SystemId::lenient(&host),
            server: None,
            ca: None,
            proxy: false,
            token_file: None,
            keepalive: Span::from_secs(20),
            parallel: 8,
            data: None,
            spool: 64 << 20,
            inventory: true,
        }
    }
}

/// What every `[[check]]` has, and its kind with the arguments of that kind.
#[derive(Clone, PartialEq, Debug)]
pub struct CheckConfig {
    pub name: CheckId,
    pub kind: Kind,
    pub system: SystemId,
    pub interval: Span,
    pub timeout: Span,
    pub attempts: u32,
    pub runbook: Option<String>,
}

/// What every `[[check]]` may hold beside the arguments of its kind.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Common {
    /// The kind's name, if it is not set.
    name: Option<String>,
    kind: Spanned<String>,
    system: Option<SystemId>,
    interval: Option<Spanned<Span>>,
    timeout: Option<Spanned<Span>>,
    attempts: Option<Spanned<u32>>,
    runbook: Option<String>,
}

const COMMON: [&str; 7] = ["name", "kind", "system", "interval", "timeout", "attempts", "runbook"];

/// Why a configuration cannot be used: where, what, and what to do.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub struct ConfigError {
    pub file: PathBuf,
    /// Line and column, both from 1.
    pub place: Option<(usize, usize)>,
    /// The bytes that are wrong.
    pub span: Option<Range<usize>>,
    pub message: String,
    pub hint: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if let Some((line, column)) = self.place {
            write!(f, ":{line}:{column}")?;
        }
        write!(f, ": {}", self.message)?;
        if self.hint.is_empty() { Ok(()) } else { write!(f, ". {}", self.hint) }
    }
}

impl Config {
    /// Reads a file.
    pub fn load(path: &Path) -> Result<Config, ConfigError> {
        use std::io::Read;
        let failed = |message: String, hint: &str| ConfigError { file: path.to_owned(), place: None, span: None, message, hint: hint.to_owned() };
        let mut text = String::new();
        let file = std::fs::File::open(path).map_err(|error| failed(format!("it cannot be read: {error}"), "Check the path and who may read it"))?;
        file.take(LARGEST + 1).read_to_string(&mut text).map_err(|error| failed(format!("it cannot be read: {error}"), "It must be a text file in UTF-8"))?;
        if u64::try_from(text.len()).unwrap_or(u64::MAX) > LARGEST {
            return Err(failed("it is larger than 4 MiB".into(), "Is it the right file?"));
        }
        Config::parse(path, &text)
    }

    /// Reads a configuration's text; the path is for the words alone.
    pub fn parse(path: &Path, text: &str) -> Result<Config, ConfigError> {
        let reader = Reader { path, text };
        let root = DeTable::parse(text).map_err(|error| reader.toml(&error, &[]))?;
        reader.config(root.into_inner())
    }

    /// Makes a configuration of a table that was read from this text.
    pub fn from_table(path: &Path, text: &str, table: DeTable<'_>) -> Result<Config, ConfigError> {
        Reader { path, text }.config(table)
    }

    /// What is worth watching on any machine, with nothing configured.
    pub fn this_machine() -> Config {
        // A test holds that this text is right.
        let checks = Config::parse(Path::new("built in"), &Config::this_machine_text()).map(|config| config.checks).unwrap_or_default();
        Config { agent: AgentConfig::default(), checks }
    }

    /// The same, as a file says it.
    pub fn this_machine_text() -> String {
        let mut text = String::from(
            "[[check]]\nkind = \"load\"\n[[check]]\nkind = \"memory\"\n[[check]]\nkind = \"disk\"\n[[check]]\nkind = \"inodes\"\ninterval = \"5m\"\n",
        );
        if systemd::is_here() {
            text.push_str("[[check]]\nname = \"failed units\"\nkind = \"systemd\"\n");
        }
        text
    }
}

/// One configuration on its way from text.
struct Reader<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Reader<'_> {
    fn config(&self, root: DeTable<'_>) -> Result<Config, ConfigError> {
        let mut agent = AgentConfig::default();
        let (mut keepalive, mut parallel) = (None, None);
        let mut tables = Vec::new();
        for (key, value) in root {
            match key.as_ref().as_ref() {
                "agent" => {
                    let place = |name: &str| {
                        let mut fields = value.as_ref().as_table().into_iter().flatten();
                        fields.find(|(key, _)| key.as_ref() == name).map(|(_, value)| value.span())
                    };
                    let named = place("system").is_some();
                    (keepalive, parallel) = (place("keepalive"), place("parallel"));
                    agent = AgentConfig::deserialize(ValueDeserializer::from(value)).map_err(|error| self.toml(&error, &[]))?;
                    if !named {
                        agent.system = SystemId::lenient(agent.name.as_str());
                    }
                }
                "check" => match value.into_inner() {
                    DeValue::Array(array) => tables.extend(array),
                    _ => {
                        return Err(self.error(
                            Some(key.span()),
                            "`check` is no list of tables".into(),
                            "Write [[check]], with two brackets, above each check",
                        ));
                    }
                },
                other => {
                    let hint = suggestion(nearest(other, ["agent", "check"]));
                    return Err(self.error(Some(key.span()), format!("unknown table or field `{other}`, expected `[agent]` or `[[check]]`"), &hint));
                }
            }
        }
        if tables.len() > MOST_CHECKS {
            return Err(self.error(
                None,
                format!("{} checks, more than the {MOST_CHECKS} that one agent runs", tables.len()),
                "Divide them among several agents",
            ));
        }
        self.agent(&agent, keepalive, parallel)?;
        let mut names = BTreeSet::new();
        let mut checks = Vec::new();
        for table in tables {
            let span = table.span();
            let check = self.check(&agent, table)?;
            if !names.insert(check.name.clone()) {
                return Err(self.error(Some(span), format!("there are two checks called `{}`", check.name), "Give each a `name` of its own"));
            }
            checks.push(check);
        }
        Ok(Config { agent, checks })
    }

    fn agent(&self, agent: &AgentConfig, keepalive: Option<Range<usize>>, parallel: Option<Range<usize>>) -> Result<(), ConfigError> {
        if !(Span::from_secs(1)..=Span::from_hours(1)).contains(&agent.keepalive) {
            return Err(self.error(keepalive, format!("`keepalive` is {}", agent.keepalive), "It can be 1s to 1h"));
        }
        if !(1..=256).contains(&agent.parallel) {
            return Err(self.error(parallel, format!("`parallel` is {}", agent.parallel), "It can be 1 to 256"));
        }
        Ok(())
    }

    fn check<'t>(&self, agent: &AgentConfig, table: Spanned<DeValue<'t>>) -> Result<CheckConfig, ConfigError> {
        let span = table.span();
        let DeValue::Table(all) = table.into_inner() else {
            return Err(self.error(Some(span), "a check is a table".into(), "Write [[check]] above it"));
        };
        let (mut common, mut arguments) = (DeTable::new(), DeTable::new());
        for (key, value) in all {
            if COMMON.contains(&key.as_ref().as_ref()) {
                common.insert(key, value)
            } else {
                arguments.insert(key, value)
            };
        }
        let spanned = |table: DeTable<'t>| ValueDeserializer::from(Spanned::new(span.clone(), DeValue::Table(table)));
        let common = Common::deserialize(spanned(common)).map_err(|error| self.toml(&error, &[]))?;
        let kind_name = common.kind.as_ref();
        let kind = match Kind::read(kind_name, spanned(arguments)) {
            Some(kind) => kind.map_err(|error| self.toml(&error, &COMMON))?,
            None => {
                let hint = suggestion(nearest(kind_name, Kind::NAMES.iter().copied()));
                let message = format!("there is no kind of check called `{kind_name}`: there are {}", Kind::NAMES.join(", "));
                return Err(self.error(Some(common.kind.span()), message, &hint));
            }
        };
        let within = |written: Option<Spanned<Span>>, otherwise: Span, least: Span, most: Span, what: &str| match written {
            None => Ok(otherwise),
            Some(span) if (least..=most).contains(span.as_ref()) => Ok(span.into_inner()),
            Some(span) => Err(self.error(Some(span.span()), format!("`{what}` is {}", span.as_ref()), &format!("It can be {least} to {most}"))),
        };
        let interval = within(common.interval, Span::from_secs(60), Span::from_secs(1), Span::from_days(7), "interval")?;
        let timeout = within(common.timeout, Span::from_secs(10), Span::from_millis(100), Span::from_mins(10), "timeout")?;
        let attempts = match common.attempts {
            None => kind.attempts(),
            Some(number) if (1..=100).contains(number.as_ref()) => number.into_inner(),
            Some(number) => return Err(self.error(Some(number.span()), format!("`attempts` is {}", number.as_ref()), "It can be 1 to 100")),
        };
        Ok(CheckConfig {
            name: CheckId::new(common.name.as_deref().unwrap_or(kind_name)),
            system: common.system.unwrap_or_else(|| agent.system.clone()),
            kind,
            interval,
            timeout,
            attempts,
            runbook: common.runbook,
        })
    }

    /// An error of the parser, with the nearest name when a name was wrong.
    fn toml(&self, error: &toml::de::Error, more: &[&str]) -> ConfigError {
        let message = error.message().trim().replace('\n', ", ");
        let hint = suggestion(nearest_expected(&message, more.iter().copied()));
        self.error(error.span(), message, &hint)
    }

    fn error(&self, span: Option<Range<usize>>, message: String, hint: &str) -> ConfigError {
        let place = span.as_ref().map(|span| place(self.text, span.start));
        ConfigError { file: self.path.to_owned(), place, span, message, hint: hint.to_owned() }
    }
}

/// A hint with the right name, or none.
fn suggestion(right: Option<&str>) -> String {
    right.map(|right| format!("Did you mean `{right}`?")).unwrap_or_default()
}

fn agent_name<'de, D: serde::Deserializer<'de>>(d: D) -> Result<AgentId, D::Error> {
    let name = String::deserialize(d)?;
    if name.trim().is_empty() { Err(serde::de::Error::custom("`name` is empty: leave it out to take the host's")) } else { Ok(AgentId::new(&name)) }
}

fn spool_bytes<'de, D: serde::Deserializer<'de>>(d: D) -> Result<u64, D::Error> {
    use super::check::threshold::Amount;
    let least = 1_u64 << 20;
    match Amount::deserialize(d)? {
        Amount::Bytes(bytes) if (1_048_576.0..=1e12).contains(&bytes) => {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "1 MiB to 1 TB fits")]
            let bytes = bytes as u64;
            Ok(bytes.max(least))
        }
        Amount::Bytes(_) | Amount::Percent(_) => Err(serde::de::Error::custom("`spool` is an amount from \"1MiB\" on")),
    }
}

/// What this machine calls itself.
pub fn host_name() -> String {
    let name = rustix::system::uname();
    let name = name.nodename().to_string_lossy();
    let short = name.split('.').next().unwrap_or_default().trim();
    if short.is_empty() || short == "localhost" { "this-machine".into() } else { short.to_owned() }
}

#[cfg(test)]
mod tests;
