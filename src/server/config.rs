//! A server's TOML: read whole or refused, with file, line, column and the nearest right name.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Deserialize;

use super::line::{LimitsConfig, ProxyConfig, TlsConfig};
use super::listen::Listen;
use super::mapping::{MapRule, Mapping, MappingConfig};
use super::peer::PeerConfig;
use super::presence::Setting;
use super::repository::{RepositoryConfig, place_of};
use super::source::SourceConfig;
use crate::model::grant::{Bundle, Pattern, joined};
use crate::model::nearest::{nearest_expected, place};
use crate::model::primary::Rules;
use crate::model::system::SystemSpec;
use crate::model::time::Span;
use crate::model::world::World;
use crate::store::Retention;
use crate::trust::grant::lease::LASTS;

/// The configuration of one server. This type is the format.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// As it calls itself; the host's name unless given.
    pub name: Option<Arc<str>>,
    /// What kind of environment it watches: "production".
    pub env: Option<Arc<str>>,
    pub listen: Listen,
    /// Where it can be reached from elsewhere: what invites tell, `wss://ops.example.org:7373`.
    pub addresses: Vec<Arc<str>>,
    /// Where log, key and tokens are; beneath the user's data folder unless given.
    pub data: Option<PathBuf>,
    pub rules: Rules,
    pub retention: RetentionConfig,
    pub system: Vec<SystemSpec>,
    /// What words mean to the team: shown where they stand in texts.
    pub glossary: BTreeMap<Arc<str>, Arc<str>>,
    /// How labels of pushed and pulled alerts become systems and severities, in order.
    pub map: Vec<MapRule>,
    /// Labels whose values are secret; not given: those that are so everywhere.
    pub redact: Option<Vec<String>>,
    pub intake: IntakeConfig,
    pub trust: TrustConfig,
    /// With what it encrypts; without it, nothing is encrypted and nobody beyond this machine is heard.
    pub tls: Option<TlsConfig>,
    pub proxy: ProxyConfig,
    /// Whether those who look at an alert see who else does: `false`, `true` (this server's users), or `"peers"`.
    pub presence: Setting,
    pub limits: LimitsConfig,
    /// Named bundles of rights, beside those that every server knows or in their place.
    pub roles: BTreeMap<Arc<str>, Bundle>,
    /// Alertmanagers and Prometheus servers that are asked.
    pub source: Vec<SourceConfig>,
    /// Git repositories whose commits are changes.
    pub repository: Vec<RepositoryConfig>,
    /// Servers that others run, and that grant this one something.
    pub peer: Vec<PeerConfig>,
    pub federation: FederationConfig,
}

/// What this server lets its peers do with its log.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FederationConfig {
    /// How long a peer may receive and pass on what it is granted, without being told anew that it may: so long
    /// a partition may hide a revocation.
    pub lease: Span,
}

impl Default for FederationConfig {
    fn default() -> FederationConfig {
        FederationConfig { lease: LASTS }
    }
}

/// Shorter ones would be over before a server that was started anew is back; longer ones are no leases.
const LEASES: (Span, Span) = (Span::from_mins(1), Span::from_days(30));

/// What is pushed to this server.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IntakeConfig {
    /// Tokens beside `intake.token` in the data folder, each for one source.
    pub token: Vec<TokenConfig>,
    /// Labels that name one of several like sources.
    pub replica_labels: Option<Vec<Arc<str>>>,
}

/// Who comes in by a key.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrustConfig {
    /// Whose keys are let in, as OpenSSH's file of that name; `authorized_keys` in the data folder unless given.
    pub authorized_keys: Option<PathBuf>,
    /// Consoles and agents on TCP come in by a key, and by no token.
    pub require_keys: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenConfig {
    /// The source's name on screens.
    pub name: Arc<str>,
    /// A file of mode 0600 that holds the token; made when it is missing.
    pub file: PathBuf,
    /// Of which systems it may speak, and read: all of them unless given.
    #[serde(default)]
    pub systems: Option<Vec<Pattern>>,
}

/// How long events are kept: for ever, unless something is said.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetentionConfig {
    pub keep: Option<Span>,
    /// Others for some kinds; the first that matches counts.
    pub kind: Vec<KindRetention>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KindRetention {
    /// A kind's name, or a prefix that ends in `*`.
    pub name: String,
    /// For ever unless given.
    #[serde(default)]
    pub keep: Option<Span>,
}

/// What is wrong, where, and what was perhaps meant.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub struct ConfigError {
    pub file: String,
    /// Line and column, from 1.
    pub place: Option<(usize, usize)>,
    pub why: String,
    pub hint: Option<String>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.file.as_str(), self.place) {
            ("", _) => f.write_str("the configuration")?,
            (file, None) => f.write_str(file)?,
            (file, Some((line, column))) => write!(f, "{file}:{line}:{column}")?,
        }
        write!(f, ": {}", self.why)?;
        self.hint.as_ref().map_or(Ok(()), |hint| write!(f, ". {hint}"))
    }
}

/// More than this is no configuration.
const LARGEST: u64 = 8 << 20;

impl Config {
    pub fn read(path: &Path) -> Result<Config, ConfigError> {
        use std::io::Read;
        let file = path.display().to_string();
        let failed =
            |error: std::io::Error| ConfigError { file: file.clone(), place: None, why: error.to_string(), hint: Some("Name another with --config".into()) };
        let mut text = String::new();
        std::fs::File::open(path).map_err(failed)?.take(LARGEST).read_to_string(&mut text).map_err(failed)?;
        Config::parse(&text, &file)
    }

    /// `file` is how errors call it.
    pub fn parse(text: &str, file: &str) -> Result<Config, ConfigError> {
        let config: Config = toml::from_str(text).map_err(|error| {
            let place = error.span().map(|span| place(text, span.start));
            let why = error.message().to_owned();
            let hint = nearest_expected(&why, []).map(|right| format!("Did you mean `{right}`?"));
            ConfigError { file: file.into(), place, why, hint }
        })?;
        match config.mistakes(text, file).into_iter().next() {
            Some(mistake) => Err(mistake),
            None => Ok(config),
        }
    }

    /// What the intakes and sources map by.
    pub fn mapping(&self) -> Result<Mapping, ConfigError> {
        let config = MappingConfig { map: self.map.clone(), redact: self.redact.clone() };
        Mapping::new(&config).map_err(|error| ConfigError { file: String::new(), place: None, why: error.to_string(), hint: None })
    }

    /// All that types cannot say: rules that map nothing, sources without a way in, systems declared twice.
    pub fn mistakes(&self, text: &str, file: &str) -> Vec<ConfigError> {
        let mut wrong: Vec<ConfigError> = self.mapping().err().into_iter().map(|error| ConfigError { file: file.into(), ..error }).collect();
        let refuse = |why: String, hint: &str| ConfigError { file: file.into(), place: None, why, hint: Some(hint.into()) };
        if self.glossary.len() > World::WORDS {
            wrong.push(refuse(format!("the glossary has more than {} words", World::WORDS), "Keep those that a newcomer stumbles over"));
        }
        for (word, meaning) in &self.glossary {
            let fits = |text: &str, most: usize| !text.trim().is_empty() && text.chars().count() <= most;
            if !fits(word, 60) || !fits(meaning, 1_000) {
                wrong.push(refuse(format!("glossary: `{word}` is empty or too long"), "A word has 60 characters at most, its meaning 1000"));
            }
        }
        let line = [self.tls.as_ref().and_then(TlsConfig::mistake), self.limits.mistake()];
        wrong.extend(line.into_iter().flatten().map(|(why, hint)| refuse(why, hint)));
        if let Some((why, hint)) = self.listen.unencrypted().filter(|_| self.tls.is_none()) {
            let place = text.find(&format!("\"{}\"", self.listen)).map(|at| place(text, at));
            wrong.push(ConfigError { place, ..refuse(why, hint) });
        }
        if let Err(error) = SourceConfig::check_all(&self.source) {
            wrong.push(ConfigError { file: file.into(), place: None, why: error.to_string(), hint: None });
        }
        let declared = self.system.iter().map(|system| &system.id).collect();
        for fault in RepositoryConfig::faults(&self.repository, &declared) {
            let place = place_of(text, fault.number, fault.key).map(|at| place(text, at));
            wrong.push(ConfigError { file: file.into(), place, why: fault.why, hint: fault.hint });
        }
        if !(LEASES.0..=LEASES.1).contains(&self.federation.lease) {
            let hint = "An hour is a good one: it is told anew after half of it";
            wrong.push(refuse(format!("a lease of {} in [federation]: between {} and {}", self.federation.lease, LEASES.0, LEASES.1), hint));
        }
        let mut peers = std::collections::BTreeSet::new();
        for peer in &self.peer {
            if peer.name.is_empty() || peer.name.len() > 60 || !peer.name.chars().all(|c| c.is_alphanumeric() || matches!(c, '-' | '_')) {
                wrong.push(refuse(format!("`{}` is no name for a peer", peer.name), "Use letters, digits, `-` and `_`"));
            }
            if !peers.insert(&peer.name) {
                wrong.push(refuse(format!("the peer `{}` is named twice", peer.name), "One of them is enough"));
            }
        }
        let mut seen = std::collections::BTreeSet::new();
        for system in &self.system {
            if !seen.insert(&system.id) {
                // Where it stands the second time.
                let needle = format!("\"{}\"", system.id);
                let place = text.match_indices(&needle).nth(1).map(|(at, _)| place(text, at));
                wrong.push(ConfigError { file: file.into(), place, why: format!("the system `{}` is declared twice", system.id), hint: None });
            }
            if let Some(Err(why)) = system.history.as_ref().map(|history| history.check()) {
                wrong.push(ConfigError { file: file.into(), place: None, why: format!("history of the system `{}`: {why}", system.id), hint: None });
            }
        }
        wrong
    }

    /// What it says beside its systems and its glossary, by setting, as a change of it is told: without
    /// secrets, and of rules that are long only that they differ.
    pub fn settings(&self) -> BTreeMap<Arc<str>, Arc<str>> {
        let mut out: BTreeMap<Arc<str>, Arc<str>> = BTreeMap::new();
        let mut add = |name: String, value: String| drop(out.insert(name.into(), value.into()));
        if let Ok(serde_json::Value::Object(rules)) = serde_json::to_value(&self.rules) {
            for (name, value) in rules {
                let words = |value: &serde_json::Value| {
                    let span = value.as_str().and_then(|text| text.parse::<Span>().ok());
                    span.map_or_else(|| value.as_str().map_or_else(|| value.to_string(), str::to_owned), |span| span.to_string())
                };
                let value = match &value {
                    serde_json::Value::Array(list) => list.iter().map(words).collect::<Vec<_>>().join(" "),
                    other => words(other),
                };
                add(format!("rules.{name}"), value);
            }
        }
        let kept = |span: Option<Span>| span.map_or_else(|| "for ever".to_owned(), |span| span.to_string());
        add("retention.keep".into(), kept(self.retention.keep));
        for kind in &self.retention.kind {
            add(format!("retention of {}", kind.name), kept(kind.keep));
        }
        add("mapping rules".into(), many(self.map.len(), &self.map));
        add("redact".into(), self.redact.as_ref().map_or_else(|| "as by custom".to_owned(), |labels| many(labels.len(), labels)));
        if let Some(labels) = &self.intake.replica_labels {
            add("intake.replica_labels".into(), labels.iter().map(|label| &**label).collect::<Vec<_>>().join(" "));
        }
        let tls = self.tls.as_ref().map(|tls| if tls.certificate.is_some() { "by files" } else { "by its own key" });
        add("tls".into(), tls.unwrap_or("none").into());
        let proxies = self.proxy.trusted.iter().map(ToString::to_string).collect::<Vec<_>>();
        add("proxy.trusted".into(), if proxies.is_empty() { "none".into() } else { proxies.join(" ") });
        add("presence".into(), self.presence.words().into());
        let addresses = self.addresses.iter().map(|address| &**address).collect::<Vec<_>>();
        add("addresses".into(), if addresses.is_empty() { "none".into() } else { addresses.join(" ") });
        add("trust.require_keys".into(), self.trust.require_keys.to_string());
        for (name, role) in &self.roles {
            add(format!("role {name}"), format!("{} for a {}", role.rights, role.who));
        }
        for token in &self.intake.token {
            let limits = token.systems.as_ref().map(|systems| format!(", for {}", listed(systems))).unwrap_or_default();
            add(format!("intake token {}", token.name), format!("is taken{limits}"));
        }
        for source in &self.source {
            let words = format!("{} every {}, settle {}, backfill {}", source.kind, source.interval, source.settle, source.backfill);
            add(format!("source {}", source.id()), words);
        }
        if self.federation.lease != LASTS {
            add("federation.lease".into(), self.federation.lease.to_string());
        }
        for peer in &self.peer {
            add(format!("peer {}", peer.name), "is received".into());
        }
        for repository in &self.repository {
            let words = format!("{}, {}", repository.branch.as_deref().unwrap_or("what is checked out"), many(repository.paths.len(), &repository.paths));
            add(format!("repository {}", repository.name()), words);
        }
        out
    }

    pub fn name(&self) -> Arc<str> {
        self.name.clone().unwrap_or_else(|| {
            let host = rustix::system::uname();
            host.nodename().to_string_lossy().split('.').next().filter(|name| !name.is_empty()).unwrap_or("midwatch").into()
        })
    }

    /// The data folder: the configured one, else one beneath the user's.
    pub fn data(&self) -> PathBuf {
        self.data.clone().unwrap_or_else(|| match directories::ProjectDirs::from("", "", "midwatch") {
            Some(folders) => folders.data_dir().join("server"),
            None => PathBuf::from("midwatch-data"),
        })
    }

    pub fn retention(&self) -> Retention {
        Retention { keep: self.retention.keep, kinds: self.retention.kind.iter().map(|kind| (kind.name.clone(), kind.keep)).collect() }
    }
}

fn listed(systems: &[Pattern]) -> String {
    if systems.is_empty() { "no system".to_owned() } else { joined(systems, " ") }
}

/// So many of them, and a mark by which others are told apart: nobody reads what they are from it.
fn many(count: usize, them: &impl fmt::Debug) -> String {
    // FNV-1a: stable over versions of Rust.
    let hash = format!("{them:?}").bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    if count == 0 { "none".to_owned() } else { format!("{count} ({:04x})", hash >> 48) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_configuration_is_read() {
        let config = Config::parse(
            r#"
            name = "shop"
            env = "production"
            listen = "127.0.0.1:7400"
            [rules]
            resolve_timeout = "4m"
            [retention]
            keep = "90d"
            kind = [{ name = "alert.*" }, { name = "log", keep = "7d" }]
            [[system]]
            id = "shop/varnish"
            title = "Varnish in front of the shop"
            contacts = [{ name = "Sam", reach = "+49 1" }]
            uses = ["infra:dc1/ceph"]
            "#,
            "server.toml",
        )
        .unwrap();
        assert_eq!(config.listen, Listen::Tcp("127.0.0.1:7400".parse().unwrap()));
        assert_eq!(config.rules.resolve_timeout, Span::from_mins(4));
        assert_eq!(config.retention().keep_of("alert.opened"), None);
        assert_eq!(config.retention().keep_of("log"), Some(Span::from_days(7)));
        assert_eq!(config.system.len(), 1);
    }

    #[test]
    fn errors_say_file_line_column_and_the_nearest_name() {
        let error = Config::parse("name = \"x\"\nlisen = \"127.0.0.1:1\"\n", "server.toml").unwrap_err().to_string();
        assert!(error.starts_with("server.toml:2:1: unknown field `lisen`"), "{error}");
        assert!(error.ends_with("Did you mean `listen`?"), "{error}");
        let error = Config::parse("[[system]]\nid = \"a\"\n[[system]]\nid = \"a\"\n", "s.toml").unwrap_err().to_string();
        assert_eq!(error, "s.toml:4:6: the system `a` is declared twice");
        let error = Config::parse("listen = \"0.0.0.0:80\"", "s.toml").unwrap_err().to_string();
        assert!(error.starts_with("s.toml:1:10:") && error.contains("loopback alone"), "{error}");
    }

    #[test]
    fn what_a_configuration_says_is_known_by_setting_and_without_its_secrets() {
        let text = |more: &str| {
            format!("[rules]\nattempts_are = 3\n[[source]]\nkind = \"prometheus\"\nname = \"prom\"\nurl = \"http://p:9090\"\ntoken = \"hunter22\"\n{more}")
                .replace("attempts_are = 3", "grace = \"2m\"")
        };
        let settings = |more: &str| Config::parse(&text(more), "s.toml").unwrap().settings();
        let one = settings("[[map]]\nsystem = \"shop/{job}\"\nmatch = ['key=\"hunter22\"']\n");
        let said = format!("{one:?}");
        assert!(!said.contains("hunter22") && !said.contains("p:9090"), "{said}");
        assert_eq!((&*one["rules.grace"], &*one["source prom"]), ("2m", "prometheus every 15s, settle 5m, backfill 90d"));
        let other = settings("[[map]]\nsystem = \"shop/{app}\"\n");
        let differs: Vec<&str> = one.iter().filter(|(name, value)| other.get(*name) != Some(value)).map(|(name, _)| &**name).collect();
        assert_eq!(differs, ["mapping rules"]);
        assert!(one["mapping rules"].starts_with("1 ("), "{said}");
        // Who may do what, and where the server is found.
        let trust = "[roles.night]\nrights = [\"read\", \"act\"]\n[[intake.token]]\nname = \"ci\"\nfile = \"/x/ci.token\"\nsystems = [\"shop/**\"]\n";
        let named = Config::parse(&format!("addresses = [\"wss://a:1\"]\n{}", text(trust)), "s.toml").unwrap().settings();
        assert_eq!((&*named["role night"], &*named["intake token ci"], &*named["addresses"]), ("read,act for a person", "is taken, for shop/**", "wss://a:1"));
        assert!(!format!("{named:?}").contains("ci.token"));
    }

    #[test]
    fn b1_deep_nesting_is_refused() {
        let bomb = format!("name = {}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(Config::parse(&bomb, "s.toml").is_err());
    }
}
