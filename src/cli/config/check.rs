//! `midwatch config check`: whose configuration a file is, and all that is wrong with it.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::DeTable;

use super::files;
use super::mistakes::{Mistake, mistakes};
use super::{Context, Failure, Output, Role, Settings, Tone, toml_file};
use crate::console::keymap::{Keymap, Layer};
use crate::console::theme::{Depth, Theme};

/// Read the files and say all that is wrong, with file, line, column and the nearest right name
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Example: midwatch config check\nExample: midwatch config check /etc/midwatch/server.toml\nExample: midwatch config check --as agent web-1.conf\n\nWhose configuration a file is, is seen by what stands in it; --as says it where that leaves a doubt."
)]
pub struct Check {
    /// Files of any name; without any, all that are in the usual place
    files: Vec<PathBuf>,
    /// What the files are, instead of looking
    #[arg(long = "as", value_enum, value_name = "WHAT", requires = "files")]
    role: Option<Role>,
}

pub fn check(args: Check, context: &Context, out: &mut Output) -> Result<(), Failure> {
    let files: Vec<(Option<Role>, PathBuf)> = if args.files.is_empty() {
        let usual = Role::ALL.iter().filter(|role| **role != Role::Theme).map(|role| (Some(*role), role.path(context)));
        let themes = toml_files(&context.places.themes()).into_iter().map(|path| (Some(Role::Theme), path));
        usual.filter(|(_, path)| path.exists()).chain(themes).collect()
    } else {
        args.files.into_iter().map(|path| (args.role, path)).collect()
    };
    if files.is_empty() {
        out.line("There are no configuration files: the defaults hold.")?;
    }
    let (mut wrong, mut in_files) = (0_usize, 0_usize);
    for (role, path) in files {
        let (role, lines) = one(role, &path, context);
        if lines.is_empty() {
            let kind = role.map(|role| format!("  ({})", role.word())).unwrap_or_default();
            out.toned(&[(Tone::Plain, &format!("{}: fine", path.display())), (Tone::Muted, &kind)])?;
        }
        wrong += lines.len();
        in_files += usize::from(!lines.is_empty());
        for line in lines {
            out.line(&line)?;
        }
    }
    match (wrong, in_files) {
        (0, _) => Ok(()),
        (1, _) => Err(Failure::failed("one mistake", "")),
        (many, 1) => Err(Failure::failed(format!("{many} mistakes in one file"), "")),
        (many, files) => Err(Failure::failed(format!("{many} mistakes in {files} files"), "")),
    }
}

/// What a file is, and a line for each of its mistakes.
fn one(role: Option<Role>, path: &Path, context: &Context) -> (Option<Role>, Vec<String>) {
    let text = match toml_file::read(path) {
        Ok(Some(text)) => text,
        Ok(None) => return (role, vec![format!("{}: there is no such file", path.display())]),
        Err(failure) => return (role, vec![failure.to_string()]),
    };
    let themes = context.places.themes();
    match role.or_else(|| told(path, &text, &themes)) {
        Some(role) => (Some(role), wrong(role, path, &text, &themes).into_iter().chain(wrong_files(role, path, &text)).collect()),
        None => {
            let words: Vec<&str> = Role::ALL.iter().map(|role| role.word()).collect();
            (None, vec![format!("{}: cannot tell whose configuration this is. Say it with --as {}", path.display(), words.join("|"))])
        }
    }
}

/// Whose configuration it is: whose names stand in it; where that leaves a doubt, what it is called (`shop-server.toml`).
fn told(path: &Path, text: &str, themes: &Path) -> Option<Role> {
    let (table, _) = DeTable::parse_recoverable(text);
    let names: Vec<String> = table.get_ref().iter().map(|(key, _)| key.get_ref().to_string()).collect();
    let known = |role: Role| {
        let fields = role.fields();
        names.iter().filter(|name| fields.contains(name)).count()
    };
    let best = Role::ALL.iter().map(|role| known(*role)).max()?;
    let likely: Vec<Role> = Role::ALL.iter().copied().filter(|role| known(*role) == best).collect();
    let called = |role: &&Role| path.file_stem().and_then(|stem| stem.to_str()).is_some_and(|stem| stem.ends_with(role.word()));
    match likely.as_slice() {
        [one] => Some(*one),
        several => several.iter().find(called).copied().or_else(|| {
            // `[servers]` stands in two kinds of file, but what stands in it is right in one of them alone.
            let mut judged: Vec<(usize, Role)> = several.iter().map(|role| (wrong(*role, path, text, themes).len(), *role)).collect();
            judged.sort_by_key(|(wrong, _)| *wrong);
            match judged.as_slice() {
                [(best, role), (next, _), ..] if best < next => Some(*role),
                _ => None,
            }
        }),
    }
}

impl Role {
    /// What may stand at the top of such a file.
    fn fields(self) -> Vec<String> {
        match self {
            Role::Console => fields_of::<Settings>(),
            Role::Server => fields_of::<crate::server::Config>(),
            Role::Agent => ["agent", "check"].map(str::to_owned).to_vec(),
            Role::Keymap => std::iter::once("inherits").chain(Layer::ALL.map(Layer::name)).map(str::to_owned).collect(),
            Role::Theme => ["inherits", "palette", "scopes"].map(str::to_owned).to_vec(),
        }
    }
}

/// The fields of a format, as it says them itself when it meets one that it has not.
fn fields_of<T: DeserializeOwned>() -> Vec<String> {
    let Err(error) = toml::from_str::<T>("\"?\" = 0") else { return Vec::new() };
    error.message().split('`').skip(3).step_by(2).map(str::to_owned).collect()
}

fn read<T: DeserializeOwned>(text: &str, table: DeTable<'_>) -> Result<T, Mistake> {
    T::deserialize(toml::de::Deserializer::from(Spanned::new(0..text.len(), table))).map_err(|error| Mistake::of(&error))
}

/// `themes` is where the user's own are.
fn wrong(role: Role, path: &Path, text: &str, themes: &Path) -> Vec<String> {
    let lines = |found: Vec<Mistake>| found.iter().map(|mistake| mistake.line(path, text)).collect::<Vec<_>>();
    match role {
        Role::Console => {
            let (settings, found) = mistakes(text, |table| read::<Settings>(text, table));
            let more = settings.iter().flat_map(|settings| settings.mistakes(path)).map(|failure| failure.to_string());
            lines(found).into_iter().chain(more).collect()
        }
        Role::Server => {
            let (config, found) = mistakes(text, |table| read::<crate::server::Config>(text, table));
            let file = path.display().to_string();
            let more = config.iter().flat_map(|config| config.mistakes(text, &file)).map(|error| error.to_string());
            lines(found).into_iter().chain(more).collect()
        }
        Role::Agent => {
            let read = |table: DeTable<'_>| {
                crate::agent::config::Config::from_table(path, text, table).map_err(|error| Mistake { span: error.span, why: error.message, hint: error.hint })
            };
            lines(mistakes(text, read).1)
        }
        Role::Keymap => match Keymap::shipped() {
            Ok(shipped) => shipped.user(text, &path.display().to_string()).err().map(|error| error.0).unwrap_or_default(),
            Err(error) => vec![error.to_string()],
        },
        Role::Theme => {
            let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or("theme").to_owned();
            let folder = path.parent().unwrap_or(Path::new("."));
            // Beside it stand those that it may inherit from.
            let beside = toml_files(folder).into_iter().chain(toml_files(themes)).filter(|other| other != path);
            let mut files = vec![(name.clone(), text.to_owned())];
            files.extend(beside.filter_map(|other| Some((other.file_stem()?.to_str()?.to_owned(), toml_file::read(&other).ok()??))));
            let found = Theme::load(&name, &files, Depth::True, false).err().map(|error| error.0).unwrap_or_default();
            // What a theme calls itself is the end of its path.
            let shown = path.display().to_string();
            let called = format!("{name}.toml:");
            found.into_iter().map(|line| line.strip_prefix(&called).map_or(line.clone(), |rest| format!("{shown}:{rest}"))).collect()
        }
    }
}

/// What is wrong with the files that it names, once it can be read itself.
fn wrong_files(role: Role, path: &Path, text: &str) -> Vec<String> {
    match role {
        Role::Console => toml::from_str::<Settings>(text).map(|settings| files::of_console(&settings, path)).unwrap_or_default(),
        Role::Server => toml::from_str::<crate::server::Config>(text).map(|config| files::of_server(&config, path)).unwrap_or_default(),
        Role::Agent => {
            let read = |table: DeTable<'_>| crate::agent::config::Config::from_table(path, text, table).ok();
            DeTable::parse(text).ok().and_then(|table| read(table.into_inner())).map(|config| files::of_agent(&config, path)).unwrap_or_default()
        }
        Role::Keymap | Role::Theme => Vec::new(),
    }
}

fn toml_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|end| end == "toml")).take(1_000).collect();
    files.sort();
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whose_configuration_a_file_is_is_seen_by_what_stands_in_it() {
        for (name, text, role) in [
            ("a.conf", "[[check]]\nkind = \"load\"\n", Some(Role::Agent)),
            ("b", "listen = \"127.0.0.1:1\"\n[rules]\n", Some(Role::Server)),
            ("server.toml", "[[check]]\nkind = \"load\"\n", Some(Role::Agent)),
            ("c", "[servers.infra]\nurl = \"ws://127.0.0.1:1\"\n", Some(Role::Console)),
            ("d", "[global]\nG = \"bottom\"\n", Some(Role::Keymap)),
            ("e", "inherits = \"daylight\"\n", Some(Role::Theme)),
            ("shop-server.toml", "name = \"x\"\n", Some(Role::Server)),
            ("console.toml", "nmae = \"x\"\n", Some(Role::Console)),
            ("f", "name = \"x\"\n", None),
            ("g", "listen = \n[rules]\n", Some(Role::Server)),
        ] {
            assert_eq!(told(Path::new(name), text, Path::new("none")), role, "{name}: {text}");
        }
    }
}
