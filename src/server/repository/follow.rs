//! One repository, looked at again and again: what is new on its branch becomes events.
//!
//! A branch is followed along the first parents of its commits: what was merged came with the merge. The
//! log's own world says which commits were told; the newest of them is where the branch stood. When that
//! is no ancestor of where it stands now, the branch was rewritten, which is told as well.

use std::collections::{BTreeSet, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;

use super::commit::{self, Commit};
use super::config::{Origin, RepositoryConfig};
use super::git::{Bounds, Failed, git, size};
use super::watch::RepositoryState;
use crate::link::backoff::Backoff;
use crate::link::clock::Random;
use crate::model::event::{Actor, Change, Draft, Link, RepositoryFollowed, RepositoryRewritten};
use crate::model::id::{SourceId, SystemId};
use crate::model::nearest::nearest;
use crate::model::time::{Span, Time};
use crate::server::intake::Core;
use crate::server::mapping::{Mapping, Pairs};
use crate::store::whole;

/// Commits that are told of one look, and on first contact.
const MOST: usize = 200;
const FIRST: usize = 50;
/// Commits of a repository elsewhere that are fetched.
const DEPTH: &str = "1000";
/// Bytes that a clone may take, and how long it is kept before it is made anew: nothing is ever tidied in it.
const ROOM: u64 = 1 << 30;
const KEPT: Duration = Duration::from_secs(30 * 86_400);
/// Bytes of the list of what a commit touches: beyond that, it touches everything.
const LIST: usize = 1 << 20;
/// A commit that says that it is older than this came today: its clock is wrong, or it lay in a drawer.
const OLDEST: Span = Span::from_days(90);
/// Tries that come quickly, since most failures are short, and the longest pause.
const QUICK: u32 = 3;
const QUICK_PAUSE: Duration = Duration::from_secs(15);
const LONGEST_PAUSE: Duration = Duration::from_secs(1_800);
/// The branch of a repository elsewhere, in its clone.
const TIP: &str = "refs/midwatch/tip";

pub(super) struct Follower {
    config: RepositoryConfig,
    name: Arc<str>,
    origin: Origin,
    /// Where git is asked; none for a repository elsewhere when there is no data folder.
    folder: Option<PathBuf>,
}

impl Follower {
    /// `clones`: where those of repositories elsewhere lie.
    pub fn new(config: RepositoryConfig, clones: Option<&Path>) -> Result<Follower, String> {
        let name: Arc<str> = config.name().into();
        let origin = config.origin().map_err(|(_, why)| why.to_owned())?;
        let folder = match &origin {
            Origin::Here(path) => Some(path.clone()),
            Origin::Away { url, .. } => clones.map(|clones| clones.join(folder_of(&name, url))),
        };
        Ok(Follower { config, name, origin, folder })
    }

    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Looks for as long as it is let; every state goes to `states`.
    pub async fn run<C: Core>(self, core: C, mapping: Arc<Mapping>, random: Arc<dyn Random>, states: watch::Sender<RepositoryState>) {
        let interval = self.config.interval.duration();
        let mut backoff = Backoff::new(interval, LONGEST_PAUSE.max(interval));
        loop {
            let failures = states.borrow().failures;
            let pause = match self.look(&core, &mapping).await {
                Ok(()) => {
                    if failures > 0 {
                        tracing::info!(repository = &*self.name, "the repository is read again");
                    }
                    backoff.reset();
                    let now = core.now();
                    states.send_modify(|state| (state.read, state.failures, state.error) = (Some(now), 0, None));
                    spread(interval, &*random)
                }
                Err(why) => {
                    // Once for as long as it fails in the same way.
                    if states.borrow().error.as_ref() != Some(&why) {
                        tracing::warn!(repository = &*self.name, why, "the repository cannot be read; it is tried again");
                    }
                    states.send_modify(|state| (state.failures, state.error) = (failures.saturating_add(1), Some(why)));
                    if failures < QUICK { QUICK_PAUSE.min(interval) } else { backoff.next(&*random) }
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    /// One look: what is new is in the log when this returns.
    pub async fn look<C: Core>(&self, core: &C, mapping: &Mapping) -> Result<(), String> {
        let folder = self.folder.as_deref().ok_or("this server has no data folder for a clone")?;
        if let Origin::Away { url, scheme } = &self.origin {
            self.fetch(folder, url, scheme).await?;
        }
        let Some(tip) = self.tip(folder).await? else { return Ok(()) };
        let name = self.name.clone();
        let known = core.look(move |primary| primary.world.commits.get(&name).cloned().unwrap_or_default()).await.map_err(|error| error.to_string())?;
        if known.back().is_some_and(|last| **last == *tip) {
            return Ok(());
        }
        let drafts = self.news(folder, &tip, &known, core.now(), mapping).await.map_err(|failed| failed.to_string())?;
        if drafts.is_empty() { Ok(()) } else { core.record(drafts).await.map_err(|error| format!("what is new in it cannot be kept: {error}")) }
    }

    fn bounds(&self) -> Bounds {
        Bounds::new(self.config.timeout.duration())
    }

    async fn ask(&self, folder: &Path, arguments: &[&str]) -> Result<String, Failed> {
        git(folder, arguments, &self.bounds()).await.map(|answer| String::from_utf8_lossy(&answer).trim().to_owned())
    }

    /// Brings a clone to where the branch stands now.
    async fn fetch(&self, folder: &Path, url: &str, scheme: &str) -> Result<(), String> {
        self.prepare(folder).await?;
        let branch = self.config.branch.as_ref().map_or_else(|| "HEAD".to_owned(), |branch| format!("refs/heads/{branch}"));
        let refspec = format!("+{branch}:{TIP}");
        // Without paths not even the trees are needed; with them, their names.
        let filter = if self.config.paths.is_empty() { "--filter=tree:0" } else { "--filter=blob:none" };
        let depth = format!("--depth={DEPTH}");
        let fetch = ["fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head", &depth, filter, "--", url, &refspec];
        let bounds = Bounds { scheme: Some(scheme.to_owned()), room: Some((folder.to_owned(), ROOM)), ..self.bounds() };
        match git(folder, &fetch, &bounds).await {
            Ok(_) => Ok(()),
            Err(Failed::Refused(_, words)) if words.contains("remote ref HEAD") => Ok(()),
            Err(Failed::Refused(_, words)) if words.contains("remote ref") => {
                let listed = git(folder, &["ls-remote", "--heads", "--quiet", "--", url], &bounds).await.unwrap_or_default();
                let listed = String::from_utf8_lossy(&listed).into_owned();
                Err(self.no_branch(listed.lines().filter_map(|line| line.split_once("refs/heads/").map(|(_, name)| name))))
            }
            Err(failed) => {
                if matches!(failed, Failed::TooLarge(_)) {
                    let _ = std::fs::remove_dir_all(folder);
                }
                Err(failed.to_string())
            }
        }
    }

    /// An empty bare repository, if there is none that serves.
    async fn prepare(&self, folder: &Path) -> Result<(), String> {
        let made = std::fs::metadata(folder.join("HEAD")).and_then(|head| head.modified()).ok();
        let serves = made.is_some_and(|made| SystemTime::now().duration_since(made).is_ok_and(|age| age < KEPT)) && size(folder) < ROOM;
        if serves {
            return Ok(());
        }
        let failed = |error: std::io::Error| format!("its clone {} cannot be made: {error}", folder.display());
        if folder.exists() {
            std::fs::remove_dir_all(folder).map_err(failed)?;
        }
        whole::make_private(folder).map_err(failed)?;
        self.ask(folder, &["init", "--quiet", "--bare", "--template=", "."]).await.map(|_| ()).map_err(|failed| failed.to_string())
    }

    /// Where the branch stands; nowhere while there are no commits.
    async fn tip(&self, folder: &Path) -> Result<Option<String>, String> {
        let name = match (&self.origin, &self.config.branch) {
            (Origin::Away { .. }, _) => format!("{TIP}^{{commit}}"),
            (Origin::Here(_), Some(branch)) => format!("refs/heads/{branch}^{{commit}}"),
            (Origin::Here(_), None) => "HEAD^{commit}".to_owned(),
        };
        match self.ask(folder, &["rev-parse", "--verify", "--quiet", &name]).await {
            Ok(id) if commit::is_id(&id) => Ok(Some(id)),
            Ok(_) => Err("git answers with what is no commit's id".to_owned()),
            // Nothing is there by that name, and that is all.
            Err(Failed::Refused(1, _)) => {
                let heads = self.ask(folder, &["for-each-ref", "--count=200", "--format=%(refname:short)", "refs/heads"]).await;
                let heads = heads.map_err(|failed| failed.to_string())?;
                match (&self.origin, &self.config.branch) {
                    (Origin::Here(_), Some(_)) if !heads.is_empty() => Err(self.no_branch(heads.lines())),
                    _ => Ok(None),
                }
            }
            Err(failed) => Err(failed.to_string()),
        }
    }

    fn no_branch<'a>(&self, branches: impl Iterator<Item = &'a str>) -> String {
        let branch = self.config.branch.as_deref().unwrap_or("HEAD");
        let branches: Vec<String> = branches.map(|name| crate::model::clean::clean_line(name).chars().take(100).collect()).collect();
        let hint = match nearest(branch, branches.iter().map(String::as_str)) {
            Some(near) => format!("; did you mean `{near}`?"),
            None if branches.is_empty() => String::new(),
            None => format!("; it has {}", branches.iter().take(5).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")),
        };
        format!("it has no branch `{branch}`{hint}")
    }

    async fn news(&self, folder: &Path, tip: &str, known: &VecDeque<Arc<str>>, now: Time, mapping: &Mapping) -> Result<Vec<Draft>, Failed> {
        let told: BTreeSet<&str> = known.iter().map(|id| &**id).collect();
        let Some(last) = known.back() else {
            let since = format!("--since={}", now.minus(self.config.reach).secs());
            let ids = self.line(folder, &[&since, tip], FIRST + 1).await?;
            let mut out = vec![self.followed(tip, ids.len(), now)];
            out.extend(self.told(folder, ids.get(..FIRST).unwrap_or(&ids), now, mapping).await?);
            return Ok(out);
        };
        let mut out = Vec::new();
        let goes_on = match self.ask(folder, &["merge-base", "--is-ancestor", last, tip]).await {
            Ok(_) => true,
            Err(Failed::Refused(..)) => false,
            Err(failed) => return Err(failed),
        };
        let base = if goes_on { Some(last.to_string()) } else { self.ask(folder, &["merge-base", last, tip]).await.ok().filter(|id| commit::is_id(id)) };
        let since = format!("--since={}", now.minus(self.config.reach).secs());
        let ids = match &base {
            Some(base) => self.line(folder, &[tip, &format!("^{base}")], MOST + 1).await?,
            None => self.line(folder, &[&since, tip], MOST + 1).await?,
        };
        let new: Vec<String> = ids.iter().filter(|id| !told.contains(id.as_str())).cloned().collect();
        match &base {
            // A clone holds only so much: what it does not connect was perhaps rewritten, perhaps is long ago.
            None => out.push(self.torn(tip, now)),
            Some(base) if !goes_on => {
                let gone = self.ask(folder, &["rev-list", "--count", "--first-parent", last, &format!("^{base}")]).await?;
                // Where it stands from here on: what follows goes on from there.
                out.push(self.rewritten(if new.is_empty() { tip } else { base }, &gone, now));
            }
            Some(_) if new.len() > MOST => {
                let words = format!("more than {MOST} commits came at once to {}: the newest {MOST} are told", self.branch());
                out.push(self.said(RepositoryFollowed { repository: self.name.clone(), commit: last.clone() }, words, now));
            }
            Some(_) => {}
        }
        out.extend(self.told(folder, new.get(..MOST).unwrap_or(&new), now, mapping).await?);
        Ok(out)
    }

    /// Commits along first parents, newest first.
    async fn line(&self, folder: &Path, what: &[&str], most: usize) -> Result<Vec<String>, Failed> {
        let most = format!("--max-count={most}");
        let arguments: Vec<&str> = ["rev-list", "--first-parent", &most].into_iter().chain(what.iter().copied()).collect();
        let answer = self.ask(folder, &arguments).await?;
        Ok(answer.lines().filter(|id| commit::is_id(id)).map(str::to_owned).collect())
    }

    /// The events of commits that come newest first, oldest first.
    async fn told(&self, folder: &Path, ids: &[String], now: Time, mapping: &Mapping) -> Result<Vec<Draft>, Failed> {
        let mut out = Vec::new();
        for id in ids.iter().rev() {
            let bounds = Bounds { answer: commit::LONGEST, ..self.bounds() };
            let raw = git(folder, &["cat-file", "commit", id], &bounds).await?;
            let commit = Commit::read(id, &raw);
            let systems = self.systems_of(folder, id).await;
            out.extend(systems.into_iter().map(|system| self.draft(&commit, system, now, mapping)));
        }
        Ok(out)
    }

    /// Whose change a commit is: those whose paths it touches; else those whose repository it is.
    async fn systems_of(&self, folder: &Path, id: &str) -> Vec<SystemId> {
        if self.config.paths.is_empty() {
            return self.config.system.clone();
        }
        let tree = ["diff-tree", "-r", "-z", "--root", "--no-commit-id", "--name-only", "--no-renames", "--diff-merges=first-parent", id];
        let bounds = Bounds { answer: LIST, ..self.bounds() };
        let touched = git(folder, &tree, &bounds).await.unwrap_or_default();
        let mut systems: BTreeSet<&SystemId> = BTreeSet::new();
        let mut elsewhere = touched.is_empty() || touched.len() >= LIST;
        for path in touched.split(|byte| *byte == 0).filter(|path| !path.is_empty()) {
            let path = String::from_utf8_lossy(path);
            let under = |prefix: &str| path.strip_prefix(prefix.trim_end_matches('/')).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
            match self.config.paths.iter().filter(|(prefix, _)| under(prefix)).max_by_key(|(prefix, _)| prefix.len()) {
                Some((_, system)) => drop(systems.insert(system)),
                None => elsewhere = true,
            }
        }
        // What touches many is everybody's.
        if systems.is_empty() || systems.len() > 4 || (elsewhere && touched.len() >= LIST) {
            return self.config.system.clone();
        }
        systems.into_iter().cloned().collect()
    }

    fn draft(&self, commit: &Commit, system: SystemId, now: Time, mapping: &Mapping) -> Draft {
        let kept = mapping.keep(&commit.title, &commit.text, Pairs::default());
        let change = Change { version: Some(commit::short(&commit.id).into()), repository: Some(self.name.clone()), commit: Some(commit.id.as_str().into()) };
        let at = if commit.at.plus(OLDEST) < now || commit.at > now { now } else { commit.at };
        // Anybody can write any name into a commit: it is no person that this server knows.
        let mut draft = Draft::new(at, Actor::Source(SourceId::new(&commit.author)), change, kept.title).on(system).text(kept.text);
        if let Some(link) = &self.config.link {
            draft.links = vec![Link { name: format!("commit {}", commit::short(&commit.id)).into(), url: link.replace("{commit}", &commit.id).into() }];
        }
        draft
    }

    /// What is said of the repository itself, on the first of its systems.
    fn said(&self, kind: impl Into<crate::model::event::Kind>, title: String, now: Time) -> Draft {
        let draft = Draft::new(now, Actor::Server, kind, title);
        match self.config.system.first() {
            Some(system) => draft.on(system.clone()),
            None => draft,
        }
    }

    fn branch(&self) -> String {
        self.config.branch.as_ref().map_or_else(|| self.name.to_string(), |branch| format!("{branch} of {}", self.name))
    }

    fn followed(&self, tip: &str, count: usize, now: Time) -> Draft {
        let reach = self.config.reach;
        let words = match count {
            0 => format!("it has no commits of the last {reach}"),
            1 => format!("its one commit of the last {reach} is told"),
            n if n > FIRST => format!("the newest {FIRST} of its commits of the last {reach} are told, and those before are not"),
            n => format!("its {n} commits of the last {reach} are told"),
        };
        let kind = RepositoryFollowed { repository: self.name.clone(), commit: tip.into() };
        self.said(kind, format!("{} is followed from here on: {words}", self.branch()), now)
    }

    fn torn(&self, tip: &str, now: Time) -> Draft {
        let kind = RepositoryFollowed { repository: self.name.clone(), commit: tip.into() };
        let words = format!("what {} holds does not go on from what was told of it: its commits of the last {} are told", self.branch(), self.config.reach);
        self.said(kind, words, now)
    }

    fn rewritten(&self, stands: &str, gone: &str, now: Time) -> Draft {
        let words = if gone == "1" { "one commit that was told is gone from it".to_owned() } else { format!("{gone} commits that were told are gone from it") };
        let kind = RepositoryRewritten { repository: self.name.clone(), commit: stands.into() };
        self.said(kind, format!("{} was rewritten: {words}", self.branch()), now)
    }
}

/// A folder's name that two repositories do not share, whatever they are called.
fn folder_of(name: &str, url: &str) -> String {
    let plain: String = name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' }).take(60).collect();
    // FNV-1a: stable, and nobody gains by a collision.
    let hash = name.bytes().chain([0]).chain(url.bytes()).fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    format!("{plain}-{hash:016x}.git")
}

/// The pause, a tenth more or less.
fn spread(pause: Duration, random: &dyn Random) -> Duration {
    let tenth = pause / 10;
    let most = u64::try_from(tenth.as_micros()).unwrap_or(0).saturating_mul(2).saturating_add(1);
    pause.saturating_sub(tenth).saturating_add(Duration::from_micros(random.below(most)))
}
