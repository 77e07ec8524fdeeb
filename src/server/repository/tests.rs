//! Real repositories, the real program git.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::link::clock::SeededRandom;
use crate::model::event::{Event, Kind};
use crate::model::severity::Severity;
use crate::model::time::{Span, Time};
use crate::server::intake::fake::Fake;
use crate::server::mapping::{Mapping, MappingConfig};

use super::RepositoryConfig;
use super::follow::Follower;
use super::watch::Repositories;

const NOW: Time = Time::from_secs(1_795_230_000);

/// A working repository in a folder of its own.
struct Work {
    folder: tempfile::TempDir,
    at: std::cell::Cell<i64>,
}

impl Work {
    fn new() -> Work {
        let work = Work { folder: tempfile::tempdir().unwrap(), at: std::cell::Cell::new(NOW.secs() - 3_600) };
        work.git(&["init", "--quiet", "--initial-branch=main", "."]);
        work
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn command(&self) -> Command {
        let mut command = Command::new("git");
        command.current_dir(self.path()).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        for (name, value) in [("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_NOSYSTEM", "1"), ("GIT_AUTHOR_NAME", "Sam Öz"), ("GIT_AUTHOR_EMAIL", "s@x.org")]
        {
            command.env(name, value);
        }
        command.env("GIT_COMMITTER_NAME", "Kim").env("GIT_COMMITTER_EMAIL", "k@x.org");
        command
    }

    fn git(&self, arguments: &[&str]) -> String {
        let at = self.at.get();
        self.at.set(at + 60);
        let date = format!("{at} +0100");
        let ran = self.command().args(arguments).env("GIT_AUTHOR_DATE", &date).env("GIT_COMMITTER_DATE", &date).output();
        let ran = ran.expect("the program git is missing (Debian: git)");
        assert!(ran.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8_lossy(&ran.stdout).trim().to_owned()
    }

    /// Commits a new line in a file; the commit's id.
    fn commit(&self, file: &str, message: &str) -> String {
        let path = self.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, format!("{message} {}\n", self.at.get())).unwrap();
        self.git(&["add", "."]);
        let words = self.folder.path().join(".git/words");
        fs::write(&words, message).unwrap();
        self.git(&["commit", "--quiet", "--cleanup=verbatim", "-F", words.to_str().unwrap()]);
        self.git(&["rev-parse", "HEAD"])
    }

    fn here(&self, more: &str) -> Follower {
        follower(&format!("name = 'shop'\nsystem = 'shop'\npath = '{}'\n{more}", self.path().display()), None)
    }

    fn url(&self) -> String {
        format!("file://{}", self.path().display())
    }
}

fn config(toml: &str) -> RepositoryConfig {
    toml::from_str(toml).unwrap()
}

fn follower(toml: &str, clones: Option<&Path>) -> Follower {
    Follower::new(config(toml), clones).unwrap()
}

fn mapping() -> Mapping {
    Mapping::new(&MappingConfig::default()).unwrap()
}

async fn look(follower: &Follower, core: &Fake) -> Result<(), String> {
    follower.look(core, &mapping()).await
}

/// What was told: "system title" of each change, and what the server says of the repository.
fn told(core: &Fake) -> Vec<String> {
    let words = |event: &Event| match &event.kind {
        Kind::Change(_) => format!("{} {}", event.system.as_ref().map_or("", |id| id.as_str()), event.title),
        _ => event.title.to_string(),
    };
    core.events().iter().map(words).collect()
}

#[tokio::test]
async fn each_commit_is_told_once_whoever_looks_and_however_often() {
    let (work, core) = (Work::new(), Fake::new(NOW));
    let first = work.commit("a", "Begin\n\nWith a text.\n");
    work.commit("a", "Go on");
    let follower = work.here("link = 'https://git.example.org/c/{commit}'");
    look(&follower, &core).await.unwrap();
    let said = "shop is followed from here on: its 2 commits of the last 7d are told";
    assert_eq!(told(&core), [said, "shop Begin", "shop Go on"]);
    let event = core.events()[1].clone();
    let Kind::Change(change) = &event.kind else { panic!("{event:?}") };
    assert_eq!((change.commit.as_deref(), change.version.as_deref(), change.repository.as_deref()), (Some(&*first), first.get(..7), Some("shop")));
    assert_eq!((&*event.text, event.actor.to_string()), ("With a text.", "source:Sam Öz".to_owned()));
    assert_eq!(event.links[0].url.as_ref(), format!("https://git.example.org/c/{first}"));
    assert!(event.at < NOW && event.at.plus(Span::from_hours(2)) > NOW, "it stands where it was committed: {}", event.at);
    for _ in 0..3 {
        look(&follower, &core).await.unwrap();
        // Another life of the server: it knows what its log says, and nothing else.
        look(&work.here(""), &core).await.unwrap();
    }
    assert_eq!(told(&core).len(), 3);
    work.commit("a", "And on");
    look(&work.here(""), &core).await.unwrap();
    assert_eq!(told(&core).get(3..), Some(&["shop And on".to_owned()][..]));
    let world = core.world();
    assert_eq!(world.changes.len(), 3, "they may be suspects");
    assert_eq!(world.known_since, Some(NOW), "nobody watched when the first was made");
}

#[tokio::test]
async fn on_first_contact_little_is_told_and_that_is_said() {
    let (work, core) = (Work::new(), Fake::new(NOW));
    work.at.set(NOW.secs() - 30 * 86_400);
    work.commit("a", "Long ago");
    work.at.set(NOW.secs() - 86_400);
    for n in 0..55 {
        work.commit("a", &format!("commit {n}"));
    }
    look(&work.here(""), &core).await.unwrap();
    let said = told(&core);
    assert_eq!(said.len(), 51);
    assert_eq!(said[0], "shop is followed from here on: the newest 50 of its commits of the last 7d are told, and those before are not");
    assert_eq!((&*said[1], &*said[50]), ("shop commit 5", "shop commit 54"));
    let core = Fake::new(NOW);
    look(&work.here("reach = '1h'"), &core).await.unwrap();
    assert_eq!(told(&core), ["shop is followed from here on: it has no commits of the last 1h"]);
    look(&work.here("reach = '1h'"), &core).await.unwrap();
    assert_eq!(told(&core).len(), 1, "said once");
}

#[tokio::test]
async fn whose_change_it_is_follows_from_what_it_touches() {
    let (work, core) = (Work::new(), Fake::new(NOW));
    work.commit("README", "Begin");
    let paths = "paths = { 'api' = 'shop/api', 'api/web/' = 'shop/web', 'Makefile' = 'shop/build' }";
    look(&work.here(paths), &core).await.unwrap();
    for (file, words) in [("api/x", "one"), ("api/web/x", "two"), ("apix", "three"), ("Makefile", "four")] {
        work.commit(file, words);
    }
    fs::write(work.path().join("api/y"), "y").unwrap();
    work.commit("api/web/y", "both");
    // A merge brings along what was merged.
    work.git(&["checkout", "--quiet", "-b", "side"]);
    work.commit("Makefile", "on the side");
    work.git(&["checkout", "--quiet", "main"]);
    work.commit("README", "meanwhile");
    work.git(&["merge", "--quiet", "--no-ff", "-m", "Merge side", "side"]);
    look(&work.here(paths), &core).await.unwrap();
    let said = ["shop/api one", "shop/web two", "shop three", "shop/build four", "shop/api both", "shop/web both", "shop meanwhile", "shop/build Merge side"];
    assert_eq!(told(&core).get(2..).unwrap(), said);
}

#[tokio::test]
async fn a_rewritten_branch_is_said_once_with_what_is_gone() {
    let (work, core) = (Work::new(), Fake::new(NOW));
    work.commit("a", "one");
    work.commit("a", "two");
    work.commit("a", "three");
    let follower = work.here("branch = 'main'");
    look(&follower, &core).await.unwrap();
    work.git(&["reset", "--quiet", "--hard", "HEAD~2"]);
    for _ in 0..2 {
        look(&follower, &core).await.unwrap();
    }
    assert_eq!(told(&core).get(4..).unwrap(), ["main of shop was rewritten: 2 commits that were told are gone from it"]);
    work.commit("a", "another two");
    look(&follower, &core).await.unwrap();
    work.git(&["commit", "--quiet", "--amend", "-m", "a better two"]);
    for _ in 0..2 {
        look(&follower, &core).await.unwrap();
    }
    let said = ["shop another two", "main of shop was rewritten: one commit that was told is gone from it", "shop a better two"];
    assert_eq!(told(&core).get(5..).unwrap(), said);
    // A history that has nothing to do with what was told.
    work.git(&["checkout", "--quiet", "--orphan", "new"]);
    work.commit("b", "anew");
    work.git(&["branch", "--quiet", "-M", "main"]);
    for _ in 0..2 {
        look(&follower, &core).await.unwrap();
    }
    let said = told(&core);
    assert!(said.len() == 10 && said[8].contains("does not go on from what was told") && said[9] == "shop anew", "{said:#?}");
}

#[tokio::test]
async fn what_somebody_writes_into_a_commit_is_harmless_and_short() {
    let (work, core) = (Work::new(), Fake::new(NOW));
    work.commit("a", &format!("\u{1b}]0;pwned\u{7}\u{1b}[2J\u{202e}txt{}", "x".repeat(3 << 20)));
    work.git(&["commit", "--quiet", "--allow-empty", "--allow-empty-message", "-m", "", "--author=\u{1b}[31m;$(reboot) <x>"]);
    look(&work.here(""), &core).await.unwrap();
    let events = core.events();
    assert_eq!(events.len(), 3);
    for event in &events {
        assert!(event.title.chars().count() <= 200 && event.text.len() <= 20_000, "{} {}", event.title.len(), event.text.len());
        assert!(!event.title.contains(char::is_control) && !event.actor.name().contains(char::is_control), "{:?} {:?}", event.title, event.actor);
    }
    assert!(events[1].title.contains("pwned") && &*events[2].title == "(no words)");
}

#[tokio::test]
async fn what_is_wrong_is_said_with_what_to_do() {
    let (work, core) = (Work::new(), Fake::new(NOW));
    let missing = follower("name = 'shop'\nsystem = 'shop'\npath = '/nowhere/at/all'", None);
    assert!(look(&missing, &core).await.unwrap_err().contains("there is no such folder"));
    // A folder within a repository is none.
    fs::create_dir(work.path().join("sub")).unwrap();
    let within = follower(&format!("name = 'shop'\nsystem = 'shop'\npath = '{}/sub'", work.path().display()), None);
    assert!(look(&within, &core).await.unwrap_err().contains("no Git repository at that path"));
    look(&work.here(""), &core).await.unwrap();
    assert_eq!(told(&core), Vec::<String>::new(), "nothing is wrong with an empty one");
    work.commit("a", "one");
    work.git(&["branch", "develop"]);
    assert_eq!(look(&work.here("branch = 'mian'"), &core).await.unwrap_err(), "it has no branch `mian`; did you mean `main`?");
    assert_eq!(look(&work.here("branch = 'release'"), &core).await.unwrap_err(), "it has no branch `release`; it has `develop`, `main`");
    core.full(true);
    assert!(look(&work.here(""), &core).await.unwrap_err().contains("the disk is full"));
    core.full(false);
    look(&work.here(""), &core).await.unwrap();
    assert_eq!(told(&core).len(), 2, "nothing was lost");
}

#[tokio::test]
async fn a_repository_elsewhere_is_followed_by_a_clone_that_may_go_at_any_time() {
    let (work, core, clones) = (Work::new(), Fake::new(NOW), tempfile::tempdir().unwrap());
    work.commit("api/a", "one");
    let toml = |more: &str| format!("name = 'shop'\nsystem = 'shop'\nurl = '{}'\n{more}", work.url());
    let away = follower(&toml("paths = { 'api' = 'shop/api' }"), Some(clones.path()));
    look(&away, &core).await.unwrap();
    work.commit("b", "two");
    look(&away, &core).await.unwrap();
    let clone = fs::read_dir(clones.path()).unwrap().next().unwrap().unwrap().path();
    assert!(clone.join("HEAD").is_file() && !clone.join(".git").exists(), "bare: nothing is ever checked out");
    fs::remove_dir_all(&clone).unwrap();
    work.commit("c", "three");
    look(&away, &core).await.unwrap();
    let said = ["shop is followed from here on: its one commit of the last 7d is told", "shop/api one", "shop two", "shop three"];
    assert_eq!(told(&core), said);
    let wrong = follower(&toml("branch = 'mian'"), Some(clones.path()));
    assert_eq!(look(&wrong, &core).await.unwrap_err(), "it has no branch `mian`; did you mean `main`?");
    let homeless = follower(&toml(""), None);
    assert!(look(&homeless, &core).await.unwrap_err().contains("no data folder"));
}

/// Takes connections and never answers.
fn deaf() -> (String, std::net::TcpListener) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/shop.git", listener.local_addr().unwrap());
    (url, listener)
}

#[tokio::test]
async fn a_fetch_that_hangs_is_ended_with_all_that_it_started() {
    let (url, listener) = deaf();
    let clones = tempfile::tempdir().unwrap();
    let away = follower(&format!("name = 'shop'\nsystem = 'shop'\nurl = '{url}'\ntimeout = '1s'"), Some(clones.path()));
    let heard = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mut all = Vec::new();
        // Until whoever asked is gone.
        stream.read_to_end(&mut all).map(|_| all)
    });
    let begun = Instant::now();
    let why = look(&away, &Fake::new(NOW)).await.unwrap_err();
    assert!(why.contains("had not finished after 1 s") && begun.elapsed() < Duration::from_secs(20), "{why}");
    let asked = heard.join().unwrap().expect("git-remote-http was killed with git");
    assert!(String::from_utf8_lossy(&asked).starts_with("GET /shop.git/info/refs"), "it was this fetch");
}

#[tokio::test]
async fn c4_what_a_repository_s_own_configuration_names_is_never_run() {
    let (work, core) = (Work::new(), Fake::new(NOW));
    work.commit("api/a", "one");
    let canary = work.path().join("canary");
    let evil = work.path().join("evil.sh");
    fs::write(&evil, format!("#!/bin/sh\necho \"$0 $@\" >> {}\nexit 1\n", canary.display())).unwrap();
    fs::set_permissions(&evil, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let evil = evil.to_str().unwrap();
    for hook in ["reference-transaction", "post-checkout", "post-index-change", "pre-auto-gc"] {
        let path = work.path().join(".git/hooks").join(hook);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::copy(evil, &path).unwrap();
    }
    for (key, value) in [
        ("core.fsmonitor", evil.to_owned()),
        ("core.sshCommand", evil.to_owned()),
        ("core.pager", evil.to_owned()),
        ("core.editor", evil.to_owned()),
        ("core.askPass", evil.to_owned()),
        ("core.alternateRefsCommand", evil.to_owned()),
        ("core.gitProxy", evil.to_owned()),
        ("gpg.program", evil.to_owned()),
        ("log.showSignature", "true".to_owned()),
        ("diff.external", evil.to_owned()),
        ("diff.x.textconv", evil.to_owned()),
        ("filter.x.smudge", evil.to_owned()),
        ("credential.helper", format!("!{evil}")),
        ("uploadpack.packObjectsHook", evil.to_owned()),
        ("alias.rev-parse", format!("!{evil}")),
        ("alias.cat-file", format!("!{evil}")),
        // What is missing is fetched by these, were anything fetched at all.
        ("core.repositoryFormatVersion", "1".to_owned()),
        ("extensions.partialClone", "origin".to_owned()),
        ("remote.origin.promisor", "true".to_owned()),
        ("remote.origin.url", format!("ext::{evil}")),
        ("remote.origin.uploadpack", evil.to_owned()),
        ("protocol.ext.allow", "always".to_owned()),
        ("protocol.allow", "always".to_owned()),
    ] {
        work.git(&["config", key, &value]);
    }
    fs::write(work.path().join(".gitattributes"), "* diff=x filter=x\n").unwrap();
    // The tree of a commit is missing: a partial clone would fetch it.
    let tree = work.git(&["rev-parse", "HEAD:api"]);
    let (folder, file) = tree.split_at(2);
    fs::remove_file(work.path().join(".git/objects").join(folder).join(file)).unwrap();
    look(&work.here("paths = { 'api' = 'shop/api' }"), &core).await.unwrap();
    assert_eq!(told(&core).len(), 2, "{:?}", told(&core));
    let clones = tempfile::tempdir().unwrap();
    let away = follower(&format!("name = 'other'\nsystem = 'shop'\nurl = '{}'", work.url()), Some(clones.path()));
    let _ = look(&away, &core).await;
    assert!(!canary.exists(), "{}", fs::read_to_string(&canary).unwrap_or_default());
}

#[tokio::test]
async fn a_repository_that_fails_says_so_and_comes_back_by_itself() {
    let (work, core) = (Work::new(), Fake::new(NOW));
    let gone = work.path().join("gone");
    let hidden = work.path().join(".git");
    fs::rename(&hidden, &gone).unwrap();
    let toml = format!("name = 'shop'\nsystem = 'shop'\npath = '{}'\ninterval = '20ms'", work.path().display());
    let (mapping, random) = (Arc::new(mapping()), Arc::new(SeededRandom::new(7)) as Arc<dyn crate::link::Random>);
    let repositories = Repositories::start(&[config(&toml)], None, &core, &mapping, &random).unwrap();
    let watch = repositories.watch();
    let until = async |what: &str, is: &dyn Fn(&super::RepositoryState) -> bool| {
        let begun = Instant::now();
        while !is(&watch.states()[0]) {
            assert!(begun.elapsed() < Duration::from_secs(30), "{what}: {:?}", watch.states());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    until("it fails", &|state| state.failures >= 3 && state.error.is_some() && state.read.is_none()).await;
    fs::rename(&gone, &hidden).unwrap();
    work.commit("a", "one");
    until("it is read", &|state| state.failures == 0 && state.error.is_none() && state.read == Some(NOW)).await;
    assert!(watch.to_string().contains("midwatch_repository_failures{repository=\"shop\"} 0"));
    while told(&core).len() < 2 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(core.events().iter().all(|event| event.severity == Severity::Info), "what fails is health, no news");
}
