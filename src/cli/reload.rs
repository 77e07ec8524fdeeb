//! Notices that the console's configuration has changed: its files are looked at every few seconds by a
//! thread of their own, so that a slow disk holds no key up. A file is read once it rests: editors write in
//! several steps, and for a moment there may be none.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::mpsc;

use super::settings::Settings;
use super::{Context, Failure, console, keys};
use crate::console::keymap::Keymap;
use crate::console::reload::Reloaded;
use crate::console::theme::{AUTO, Themes};
use crate::console::views::View;

/// How often one looks.
const EVERY: Duration = Duration::from_secs(2);
/// How long a file has to rest.
const REST: Duration = Duration::from_millis(200);

/// When a file was written, how long it is, and which one it is; nothing where there is none.
type Stamp = Option<(i64, i64, u64, u64)>;

/// What is in force, and what it was read from.
pub struct Watch {
    context: Context,
    in_force: InForce,
    stamps: BTreeMap<PathBuf, Stamp>,
    /// What was seen last, when that is something else.
    seen: Option<BTreeMap<PathBuf, Stamp>>,
}

struct InForce {
    settings: Settings,
    keymap: Keymap,
    themes: Themes,
    views: Vec<View>,
}

/// What a look came to.
#[derive(Debug)]
pub enum Look {
    Same,
    /// Something is being written.
    Moving,
    Changed(Box<Reloaded>),
}

impl Watch {
    /// With what the console begins with. `stamps` are from before that was read.
    pub fn new(context: &Context, stamps: BTreeMap<PathBuf, Stamp>, keymap: Keymap, themes: Themes, views: Vec<View>) -> Result<Watch, Failure> {
        let in_force = InForce { settings: context.settings()?, keymap, themes, views };
        Ok(Watch { context: context.clone(), in_force, stamps, seen: None })
    }

    pub fn look(&mut self) -> Look {
        let now = stamps(&self.context);
        if now == self.stamps {
            self.seen = None;
            return Look::Same;
        }
        if self.seen.as_ref() != Some(&now) {
            self.seen = Some(now);
            return Look::Moving;
        }
        let changed: Vec<PathBuf> = now.keys().chain(self.stamps.keys()).filter(|path| now.get(*path) != self.stamps.get(*path)).cloned().collect();
        self.stamps = now;
        self.seen = None;
        Look::Changed(Box::new(self.read(&changed)))
    }

    /// Everything anew: what differs is told.
    fn read(&mut self, changed: &[PathBuf]) -> Reloaded {
        let mut files: Vec<String> = changed.iter().map(|path| name(path)).collect();
        files.dedup();
        let mut out = Reloaded { files, ..Reloaded::default() };
        let held = &mut self.in_force;
        match self.context.settings() {
            Ok(settings) => {
                let was = std::mem::replace(&mut held.settings, settings);
                let is = &held.settings;
                out.shifts = (is.shifts != was.shifts).then(|| is.shift_starts());
                out.notify = (is.notify != was.notify).then_some(is.notify.0);
                // What was said on the command line stays.
                if is.theme != was.theme && self.context.global.theme.is_none() {
                    out.theme = Some(is.theme.clone().unwrap_or_else(|| AUTO.to_owned()));
                }
                let later = [
                    ("servers", is.servers != was.servers),
                    ("`name`", is.name != was.name),
                    ("`ascii`", is.ascii != was.ascii),
                    ("`links`", is.links != was.links),
                    ("`presence`", is.presence != was.presence),
                    ("`linger` and `stay`", (is.linger, is.stay) != (was.linger, was.stay)),
                ];
                out.later.extend(later.into_iter().filter(|(_, differs)| *differs).map(|(what, _)| what));
            }
            Err(error) => out.problems.push(error.to_string()),
        }
        match keys::load_as(&self.context, held.settings.keymap.clone()) {
            Ok(keymap) if keymap != held.keymap => {
                held.keymap = keymap.clone();
                out.keymap = Some(keymap);
            }
            Ok(_) => {}
            Err(error) => out.problems.extend(error.cause.lines().map(str::to_owned)),
        }
        match console::themes(&self.context) {
            Ok(own) => {
                let themes = Themes { files: own, ..held.themes.clone() };
                if themes != held.themes {
                    let new = themes.files.iter().filter(|file| !held.themes.files.contains(file));
                    out.problems.extend(new.filter_map(|(name, _)| themes.load(name).err()).flat_map(|error| error.0));
                    held.themes = themes.clone();
                    out.themes = Some(themes);
                }
            }
            Err(error) => out.problems.push(error.to_string()),
        }
        match console::views(&self.context) {
            Ok((views, problems)) => {
                if changed.contains(&self.context.places.views()) {
                    out.problems.extend(problems);
                    out.views = Some(views.clone());
                    held.views = views;
                }
            }
            Err(error) => out.problems.push(error.to_string()),
        }
        // The last line is short: the folder goes without saying.
        let folder = format!("{}/", self.context.places.config.display());
        out.problems.iter_mut().for_each(|problem| *problem = problem.replace(&folder, ""));
        out.problems.dedup();
        out
    }
}

/// As messages call a file: the console's own by their names alone.
fn name(path: &Path) -> String {
    let folder = path.parent().and_then(Path::file_name).filter(|folder| *folder == "themes");
    let file = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    if folder.is_some() { format!("themes/{file}") } else { file.into_owned() }
}

/// The files as they are.
pub fn stamps(context: &Context) -> BTreeMap<PathBuf, Stamp> {
    let mut paths = vec![context.console_config(), context.places.keymap(), context.places.views()];
    paths.extend(context.global.keymap.clone().or_else(|| context.settings().ok()?.keymap).map(|path| super::settings::home(&path)));
    let themes = std::fs::read_dir(context.places.themes()).into_iter().flatten().flatten().map(|entry| entry.path());
    paths.extend(themes.filter(|path| path.extension().is_some_and(|end| end == "toml")).take(500));
    let stamp = |path: &PathBuf| {
        let found = std::fs::metadata(path).ok()?;
        Some((found.mtime(), found.mtime_nsec(), found.len(), found.ino()))
    };
    paths.into_iter().map(|path| (path.clone(), stamp(&path))).collect()
}

/// Looks from now on. Ends when nobody listens any more.
pub fn watch(mut watch: Watch) -> Option<mpsc::Receiver<Reloaded>> {
    let (sender, receiver) = mpsc::channel(1);
    let look = move || {
        let mut wait = EVERY;
        while !sender.is_closed() {
            std::thread::sleep(wait);
            wait = match watch.look() {
                Look::Same => EVERY,
                Look::Moving => REST,
                Look::Changed(reloaded) => match sender.blocking_send(*reloaded) {
                    Ok(()) => EVERY,
                    Err(_) => return,
                },
            };
        }
    };
    // Without a thread to spare the configuration is that of the start.
    std::thread::Builder::new().name("configuration".into()).spawn(look).ok().map(|_| receiver)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Global;
    use crate::cli::places::Places;
    use crate::command::Command;
    use crate::console::keymap::{Key, Layer, Outcome, Pressed};

    struct Home {
        folder: tempfile::TempDir,
        watch: Watch,
    }

    impl Home {
        fn new(files: &[(&str, &str)]) -> Home {
            let folder = tempfile::tempdir().unwrap();
            let config = folder.path().join("config");
            std::fs::create_dir_all(config.join("themes")).unwrap();
            let places = Places { config, data: folder.path().join("data"), state: folder.path().join("state") };
            let context = Context { global: Global::default(), places };
            for (name, text) in files {
                std::fs::write(context.places.config.join(name), text).unwrap();
            }
            let themes = Themes { files: console::themes(&context).unwrap(), ..Themes::default() };
            let (views, _) = console::views(&context).unwrap();
            let watch = Watch::new(&context, stamps(&context), keys::load(&context).unwrap(), themes, views).unwrap();
            Home { folder, watch }
        }

        /// By a rename, as editors do it: another file each time.
        fn write(&self, name: &str, text: &str) {
            let path = self.folder.path().join("config").join(name);
            let new = self.folder.path().join("new");
            std::fs::write(&new, text).unwrap();
            std::fs::rename(new, path).unwrap();
        }

        fn changed(&mut self) -> Reloaded {
            assert!(matches!(self.watch.look(), Look::Moving), "first it is seen");
            let Look::Changed(reloaded) = self.watch.look() else { panic!("it rests, and is not read") };
            assert!(matches!(self.watch.look(), Look::Same), "read once");
            *reloaded
        }
    }

    fn does(keymap: &Keymap, key: char) -> Outcome {
        keymap.press(&mut Pressed::default(), &[Layer::Global], Key::char(key))
    }

    #[test]
    fn each_part_is_read_anew_by_itself() {
        let mut home = Home::new(&[("console.toml", "notify = true\n")]);
        assert!(matches!(home.watch.look(), Look::Same));
        home.write("keymap.toml", "[global]\n\"Q\" = \"quit\"\n");
        let reloaded = home.changed();
        assert_eq!((reloaded.files.as_slice(), reloaded.problems.len()), (["keymap.toml".to_owned()].as_slice(), 0));
        assert_eq!(does(&reloaded.keymap.unwrap(), 'Q'), Outcome::Matched(Command::Quit));
        assert!(reloaded.themes.is_none() && reloaded.views.is_none() && reloaded.theme.is_none());
        home.write("console.toml", "notify = false\ntheme = \"daylight\"\nkeymap = \"vim\"\nshifts = [\"08:00\"]\n[servers.a]\nurl = \"unix:/a\"\n");
        let reloaded = home.changed();
        assert_eq!(
            (reloaded.notify, reloaded.theme.as_deref(), reloaded.shifts.map(|shifts| shifts.len())),
            (Some(crate::console::notice::Wishes::NONE), Some("daylight"), Some(1))
        );
        assert!(reloaded.keymap.is_some(), "vim lies beneath now");
        assert_eq!(reloaded.later, ["servers"]);
        home.write("views.toml", "[night]\npane = \"alerts\"\n");
        assert_eq!(home.changed().views.unwrap().len(), 1);
        home.write("themes/mine.toml", "inherits = \"midwatch\"\n");
        let reloaded = home.changed();
        assert_eq!((reloaded.themes.unwrap().files.len(), reloaded.files), (1, vec!["themes/mine.toml".to_owned()]));
        std::fs::remove_file(home.folder.path().join("config/keymap.toml")).unwrap();
        assert_ne!(does(&home.changed().keymap.unwrap(), 'Q'), Outcome::Matched(Command::Quit), "the file is gone, and so is what it said");
    }

    #[test]
    fn of_what_is_wrong_the_last_good_one_stays_and_the_mistake_has_its_place() {
        let mut home = Home::new(&[("keymap.toml", "[global]\n\"Q\" = \"quit\"\n")]);
        home.write("keymap.toml", "[global]\n\"Q\" = \"quitt\"\n\"W\" = \"helpp\"\n");
        home.write("console.toml", "notfy = false\n");
        home.write("views.toml", "[a]\npane = \"alert\"\n");
        home.write("themes/mine.toml", "[scopes]\n\"txt\" = \"#ffffff\"\n");
        let reloaded = home.changed();
        assert!(reloaded.keymap.is_none() && reloaded.notify.is_none());
        let said = reloaded.problems.join("\n");
        for words in
            ["console.toml:1:1", "did you mean `notify`?", "keymap.toml:2:7", "quit", "keymap.toml:3:7", "views.toml:2:8", "did you mean `alerts`?", "mine"]
        {
            assert!(said.to_lowercase().contains(&words.to_lowercase()), "{words}: {said}");
        }
        home.write("keymap.toml", "[global]\n\"Q\" = \"help\"\n");
        assert_eq!(does(&home.changed().keymap.unwrap(), 'Q'), Outcome::Matched(Command::Help));
    }
}
