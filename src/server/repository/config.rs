//! `[[repository]]` in the server's TOML: which repository, which branch, and whose changes its commits are.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use reqwest::Url;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::model::id::SystemId;
use crate::model::nearest::nearest;
use crate::model::time::Span;
use crate::model::world::World;
use crate::server::mapping::is_link;

/// Systems that one repository belongs to, and prefixes of paths in it.
const MOST_SYSTEMS: usize = 8;
const MOST_PATHS: usize = 200;
const LONGEST_NAME: usize = 100;

/// One repository whose commits are told. This type is the format.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RepositoryConfig {
    /// What screens and the log call it; the last part of `path` or `url` unless given.
    #[serde(default)]
    pub name: Option<String>,
    /// A repository on this machine, read where it is …
    #[serde(default)]
    pub path: Option<PathBuf>,
    /// … or one elsewhere, of which the newest commits are fetched.
    #[serde(default)]
    pub url: Option<String>,
    /// The one that is checked out there unless given.
    #[serde(default)]
    pub branch: Option<String>,
    /// Whose changes its commits are: one system, or several.
    #[serde(deserialize_with = "one_or_several")]
    pub system: Vec<SystemId>,
    /// Folders and files of it that are a system's own, by how their paths begin; the longest counts.
    #[serde(default)]
    pub paths: BTreeMap<String, SystemId>,
    /// Where a commit is looked at; `{commit}` stands for its id.
    #[serde(default)]
    pub link: Option<String>,
    /// Between two looks.
    #[serde(default = "default_interval")]
    pub interval: Span,
    /// For one call of git.
    #[serde(default = "default_timeout")]
    pub timeout: Span,
    /// On first contact, commits are told that are no older than this.
    #[serde(default = "default_reach")]
    pub reach: Span,
}

fn default_interval() -> Span {
    Span::from_mins(2)
}

fn default_timeout() -> Span {
    Span::from_mins(2)
}

fn default_reach() -> Span {
    Span::from_days(7)
}

fn one_or_several<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<SystemId>, D::Error> {
    struct OneOrSeveral;

    impl<'de> Visitor<'de> for OneOrSeveral {
        type Value = Vec<SystemId>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a system's id, or a list of them")
        }

        fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Vec<SystemId>, E> {
            text.parse().map(|id| vec![id]).map_err(E::custom)
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<SystemId>, A::Error> {
            let mut out = Vec::new();
            while let Some(id) = seq.next_element()? {
                out.push(id);
            }
            Ok(out)
        }
    }

    d.deserialize_any(OneOrSeveral)
}

/// What is wrong with one repository of a configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault {
    /// Which one, from 0, and which of its keys.
    pub number: usize,
    pub key: &'static str,
    pub why: String,
    pub hint: Option<String>,
}

/// Where commits come from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Origin {
    Here(PathBuf),
    Away { url: String, scheme: String },
}

impl RepositoryConfig {
    /// The name that events bear.
    pub fn name(&self) -> String {
        let from = || {
            let path = self.path.as_ref().map(|path| path.to_string_lossy().into_owned());
            let text = path.or_else(|| self.url.clone()).unwrap_or_default();
            let text = text.trim_end_matches('/').trim_end_matches("/.git").trim_end_matches(".git");
            text.rsplit(['/', ':']).next().unwrap_or_default().chars().filter(|c| !c.is_control()).take(LONGEST_NAME).collect()
        };
        self.name.clone().unwrap_or_else(from)
    }

    pub(super) fn origin(&self) -> Result<Origin, (&'static str, &'static str)> {
        match (&self.path, &self.url) {
            (Some(path), None) if path.is_absolute() => Ok(Origin::Here(path.clone())),
            (Some(_), None) => Err(("path", "`path` is not absolute; write it from `/` on")),
            (None, Some(text)) => {
                let url = Url::parse(text).ok().filter(|_| !text.chars().any(|c| c.is_control() || c.is_whitespace()));
                let Some(url) = url else {
                    return Err(("url", "`url` cannot be read; write it like https://git.example.org/shop.git or ssh://git@git.example.org/shop.git"));
                };
                if !matches!(url.scheme(), "https" | "http" | "ssh" | "file") {
                    return Err(("url", "`url` begins with none of https://, ssh://, http://, file://; nothing else is asked"));
                }
                if url.password().is_some() {
                    return Err(("url", "`url` holds a password; let a credential helper or an ssh key of the server's user open it"));
                }
                if url.host_str().is_some_and(|host| host.starts_with('-')) || url.username().starts_with('-') || url.path().starts_with("/-") {
                    return Err(("url", "a part of `url` begins with `-`, which other programs take for an option"));
                }
                if url.query().is_some() || url.fragment().is_some() {
                    return Err(("url", "`url` holds a `?` or `#`; write only where the repository is"));
                }
                Ok(Origin::Away { url: text.clone(), scheme: url.scheme().to_owned() })
            }
            (Some(_), Some(_)) => Err(("url", "both `path` and `url` are given; a repository is in one place")),
            (None, None) => Err(("system", "neither `path` nor `url` is given; write where the repository is")),
        }
    }

    /// All that is wrong with the repositories of a configuration that declares these systems.
    pub fn faults(repositories: &[RepositoryConfig], declared: &BTreeSet<&SystemId>) -> Vec<Fault> {
        let mut out = Vec::new();
        let mut names = BTreeSet::new();
        for (number, repository) in repositories.iter().enumerate() {
            let name = repository.name();
            let said = if name.trim().is_empty() { format!("number {}", number + 1) } else { format!("`{name}`") };
            let mut fault = |key, why: String, hint: Option<String>| out.push(Fault { number, key, why: format!("the repository {said}: {why}"), hint });
            if number >= World::REPOSITORIES {
                fault("system", format!("more than {} repositories", World::REPOSITORIES), None);
                break;
            }
            let unnamed = name.is_empty() && repository.name.is_none();
            if unnamed {
                // Where it is is wrong already, and that is said.
            } else if name.trim().is_empty() || name.chars().count() > LONGEST_NAME || name.chars().any(char::is_control) {
                fault("name", format!("a name has 1 to {LONGEST_NAME} characters, none of them a control character"), None);
            } else if !names.insert(name) {
                fault("name", "two repositories bear this name".into(), Some("Give one of them another `name`".into()));
            }
            match repository.origin() {
                Err((key, why)) => fault(key, why.into(), None),
                Ok(_) if unnamed => fault("name", "it has no name".into(), Some("Give it one with `name`".into())),
                Ok(_) => {}
            }
            if let Some(branch) = repository.branch.as_deref().filter(|branch| !is_branch(branch)) {
                fault("branch", format!("`{}` cannot be a branch's name", branch.escape_debug()), None);
            }
            if repository.system.is_empty() || repository.system.len() > MOST_SYSTEMS {
                fault("system", format!("a repository belongs to 1 to {MOST_SYSTEMS} systems"), Some("Say which of its paths are whose with `paths`".into()));
            }
            for (key, system) in repository.system.iter().map(|id| ("system", id)).chain(repository.paths.values().map(|id| ("paths", id))) {
                if !declared.contains(system) {
                    let near = nearest(system.as_str(), declared.iter().map(|id| id.as_str()));
                    let hint = near.map_or_else(|| format!("Declare it: [[system]] id = \"{system}\""), |near| format!("Did you mean `{near}`?"));
                    fault(key, format!("no system `{system}` is declared"), Some(hint));
                }
            }
            if repository.paths.len() > MOST_PATHS {
                fault("paths", format!("more than {MOST_PATHS} paths"), None);
            }
            for path in repository.paths.keys().filter(|path| !is_inside(path)) {
                let why = format!("`{}` is no path inside of it", path.escape_debug());
                fault("paths", why, Some("Write it from the repository's top on, like \"api/\"".into()));
            }
            if let Some(link) = &repository.link
                && !(is_link(link) && link.contains("{commit}"))
            {
                let hint = "Write it like https://git.example.org/shop/commit/{commit}";
                fault("link", "`link` is no address with `{commit}` in it".into(), Some(hint.into()));
            }
            for (key, span, from, until, gentle) in [
                ("interval", repository.interval, Span::from_secs(5), Span::from_days(1), "2m is gentle"),
                ("timeout", repository.timeout, Span::from_secs(1), Span::from_hours(1), "2m is usual"),
                ("reach", repository.reach, Span::ZERO, Span::from_days(90), "7d is usual"),
            ] {
                if span < from || span > until {
                    fault(key, format!("`{key}` lies outside {from} to {until}; {gentle}"), None);
                }
            }
        }
        out
    }
}

/// Where a key of the repository with that number stands in the text: as bytes. Else where the
/// repository begins.
pub(in crate::server) fn place_of(text: &str, number: usize, key: &str) -> Option<usize> {
    let mut at = 0;
    let (mut count, mut found) = (0, None);
    for line in text.split_inclusive('\n') {
        let trimmed = line.trim_start();
        let begins = at + (line.len() - trimmed.len());
        let head = trimmed.trim_end();
        if head.starts_with("[[repository]]") {
            if count == number + 1 {
                break;
            }
            count += 1;
            if count == number + 1 {
                found = Some(begins);
            }
        } else if count == number + 1 {
            if trimmed.starts_with('[') && !head.starts_with("[repository.") {
                break;
            }
            let table = head.strip_prefix("[repository.").is_some_and(|rest| rest.starts_with(key));
            let own = trimmed.strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with(['=', '.']));
            if table || own {
                return Some(begins);
            }
        }
        at += line.len();
    }
    found
}

/// What git takes for the name of a branch, and no option or range.
fn is_branch(name: &str) -> bool {
    let forbidden = |c: char| c.is_control() || c.is_whitespace() || "~^:?*[\\".contains(c);
    !name.is_empty()
        && name.len() <= 200
        && !name.starts_with(['-', '/', '.'])
        && !name.ends_with(['/', '.'])
        && !name.ends_with(".lock")
        && !name.contains("..")
        && !name.contains("//")
        && !name.contains("/.")
        && !name.contains("@{")
        && name != "@"
        && !name.chars().any(forbidden)
}

fn is_inside(path: &str) -> bool {
    let path = path.strip_suffix('/').unwrap_or(path);
    !path.is_empty() && path.len() <= 1_000 && path.split('/').all(|part| !matches!(part, "" | "." | "..")) && !path.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(toml: &str) -> Vec<String> {
        #[derive(Deserialize)]
        struct All {
            repository: Vec<RepositoryConfig>,
        }
        let all: All = toml::from_str(toml).unwrap();
        let declared: Vec<SystemId> = ["shop", "shop/api", "shop/web"].map(|id| id.parse().unwrap()).to_vec();
        let faults = RepositoryConfig::faults(&all.repository, &declared.iter().collect());
        faults.into_iter().map(|fault| format!("{}: {}. {}", fault.key, fault.why, fault.hint.unwrap_or_default())).collect()
    }

    #[test]
    fn a_repository_needs_its_place_and_its_system_alone() {
        for toml in [
            "path = '/srv/git/shop.git'\nsystem = 'shop'",
            "url = 'https://git.example.org/shop.git'\nsystem = ['shop', 'shop/api']\npaths = { 'web/' = 'shop/web', 'api' = 'shop/api' }",
            "url = 'ssh://git@git.example.org:2222/shop.git'\nsystem = 'shop'\nbranch = 'release/1.x'\nlink = 'https://git.example.org/c/{commit}'",
        ] {
            assert_eq!(faults(&format!("[[repository]]\n{toml}")), Vec::<String>::new(), "{toml}");
        }
        for (place, name) in [
            ("path = '/srv/git/shop.git'", "shop"),
            ("path = '/srv/shop/.git/'", "shop"),
            ("url = 'https://x.org/a/front.git'", "front"),
            ("url = 'https://x.org/y'\nname = 'z'", "z"),
        ] {
            let config: RepositoryConfig = toml::from_str(&format!("{place}\nsystem = 'shop'")).unwrap();
            assert_eq!(config.name(), name);
        }
    }

    #[test]
    fn what_is_wrong_with_a_repository_is_said() {
        for (toml, words) in [
            ("system = 'shop'", "neither `path` nor `url`"),
            ("path = 'shop'\nsystem = 'shop'", "not absolute"),
            ("path = '/s'\nurl = 'https://x.org/s'\nsystem = 'shop'", "both `path` and `url`"),
            ("url = 'ext::sh -c touch% /tmp/x'\nsystem = 'shop'", "`url`"),
            ("url = 'git@x.org:shop.git'\nsystem = 'shop'", "`url` cannot be read"),
            ("url = 'git://x.org/shop.git'\nsystem = 'shop'", "none of https://"),
            ("url = 'https://kim:hunter22@x.org/shop'\nsystem = 'shop'", "credential helper"),
            ("url = 'ssh://-oProxyCommand=x/shop'\nsystem = 'shop'", "`url`"),
            ("url = \"https://x.org/a\\rb\"\nsystem = 'shop'", "`url`"),
            ("path = '/s'\nsystem = 'shpo'", "system: the repository `s`: no system `shpo` is declared. Did you mean `shop`?"),
            ("path = '/s'\nsystem = 'erp'", "Declare it: [[system]] id = \"erp\""),
            ("path = '/s'\nsystem = []", "1 to 8 systems"),
            (
                "path = '/s'\nsystem = 'shop'\npaths = { 'a' = 'shop/ap' }",
                "paths: the repository `s`: no system `shop/ap` is declared. Did you mean `shop/api`?",
            ),
            ("path = '/s'\nsystem = 'shop'\npaths = { '../a' = 'shop' }", "no path inside"),
            ("path = '/s'\nsystem = 'shop'\npaths = { '/a' = 'shop' }", "no path inside"),
            ("path = '/s'\nsystem = 'shop'\nbranch = '--upload-pack=x'", "cannot be a branch's name"),
            ("path = '/s'\nsystem = 'shop'\nbranch = 'a..b'", "cannot be a branch's name"),
            ("path = '/s'\nsystem = 'shop'\nlink = 'https://x.org/'", "{commit}"),
            ("path = '/s'\nsystem = 'shop'\nlink = 'javascript:{commit}'", "{commit}"),
            ("path = '/s'\nsystem = 'shop'\ninterval = '1s'", "2m is gentle"),
            ("path = '/s'\nsystem = 'shop'\n[[repository]]\npath = '/t/s'\nsystem = 'shop'", "two repositories bear this name"),
        ] {
            let said = faults(&format!("[[repository]]\n{toml}"));
            assert!(said.len() == 1 && said[0].contains(words) && !said[0].contains("hunter22"), "{toml}: {said:#?}");
        }
    }

    #[test]
    fn the_place_of_a_key_is_found_in_the_text() {
        let text = "[[repository]]\npath = '/a'\nsystem = 'a'\n[[system]]\nid = 'a'\n[[repository]]\n  system='b'\n[repository.paths]\n'x' = 'y'\n";
        let line = |number, key| place_of(text, number, key).map(|at| crate::model::nearest::place(text, at));
        assert_eq!([line(0, "system"), line(1, "system"), line(1, "paths")], [Some((3, 1)), Some((7, 3)), Some((8, 1))]);
        assert_eq!([line(0, "branch"), line(1, "link"), line(2, "path")], [Some((1, 1)), Some((6, 1)), None]);
    }
}
