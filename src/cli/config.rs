//! `midwatch config`: where the configuration lies, what it says, and whether it is right.

use std::path::{Path, PathBuf};

use clap::Subcommand;

use super::output::{Output, Tone};
use super::settings::Settings;
use super::{Context, Failure, keys, toml_file};
use crate::console::keymap::Keymap;

/// Validate, show or find the configuration
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    Check(Check),
    Show(Show),
    Path(PathArgs),
}

/// Read the files and say what is wrong, with file, line, column and the nearest right name
#[derive(clap::Args, Debug)]
#[command(after_help = "Example: midwatch config check\nExample: midwatch config check /etc/midwatch/server.toml")]
struct Check {
    /// Files named console.toml, keymap.toml, server.toml or agent.toml (or what ends so: shop-server.toml); without any, all that are in the usual place
    files: Vec<PathBuf>,
}

/// Print the console's configuration as it is in force
#[derive(clap::Args, Debug)]
#[command(after_help = "Example: midwatch config show")]
struct Show {}

/// Print where each file is looked for
#[derive(clap::Args, Debug)]
#[command(after_help = "Example: $EDITOR \"$(midwatch config path console)\"")]
struct PathArgs {
    /// Only this one, as a bare path
    #[arg(value_enum)]
    which: Option<Role>,
}

/// Whose configuration a file is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
enum Role {
    Console,
    Keymap,
    Server,
    Agent,
}

impl Role {
    const ALL: &[Role] = &[Role::Console, Role::Keymap, Role::Server, Role::Agent];

    const fn word(self) -> &'static str {
        match self {
            Role::Console => "console",
            Role::Keymap => "keymap",
            Role::Server => "server",
            Role::Agent => "agent",
        }
    }

    fn path(self, context: &Context) -> PathBuf {
        match self {
            Role::Console => context.console_config(),
            Role::Keymap => context.places.keymap(),
            Role::Server => context.places.server_config(),
            Role::Agent => context.places.agent_config(),
        }
    }

    /// By the end of its name: `console.toml`, `shop-server.toml`.
    fn of(path: &Path) -> Option<Role> {
        let stem = path.file_stem()?.to_str()?;
        Role::ALL.iter().copied().find(|role| stem.ends_with(role.word()))
    }

    fn check(self, path: &Path) -> Result<(), Failure> {
        match self {
            Role::Console => Settings::load(path, true).map(|_| ()),
            Role::Keymap => Keymap::shipped().map_err(|error| Failure::failed(error.to_string(), "")).and_then(|shipped| keys::over(shipped, path)).map(|_| ()),
            Role::Server => crate::server::Config::read(path).map(|_| ()).map_err(|error| Failure::failed(error.to_string(), "")),
            Role::Agent => crate::agent::config::Config::load(path).map(|_| ()).map_err(|error| Failure::failed(error.to_string(), "")),
        }
    }
}

pub fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let mut out = Output::new();
    match args.verb {
        Verb::Check(args) => check(args, context, &mut out)?,
        Verb::Show(Show {}) => show(context, &mut out)?,
        Verb::Path(PathArgs { which: Some(role) }) => out.line(&role.path(context).display().to_string())?,
        Verb::Path(PathArgs { which: None }) => {
            for role in Role::ALL {
                let path = role.path(context);
                let there = if path.exists() { "" } else { "  (not there; the defaults hold)" };
                out.toned(&[(Tone::Plain, &format!("{:<8} {}", role.word(), path.display())), (Tone::Muted, there)])?;
            }
        }
    }
    out.finish()
}

fn check(args: Check, context: &Context, out: &mut Output) -> Result<(), Failure> {
    let mut wrong = 0_usize;
    let mut files: Vec<(Role, PathBuf)> = Vec::new();
    for path in &args.files {
        let role = Role::of(path).ok_or_else(|| {
            let names: Vec<String> = Role::ALL.iter().map(|role| format!("{}.toml", role.word())).collect();
            Failure::usage(format!("cannot tell whose configuration {} is", path.display()), format!("Its name should end in {}", names.join(" or ")))
        })?;
        files.push((role, path.clone()));
    }
    if args.files.is_empty() {
        files.extend(Role::ALL.iter().map(|role| (*role, role.path(context))).filter(|(_, path)| path.exists()));
    }
    for (role, path) in &files {
        match role.check(path) {
            Ok(()) => out.line(&format!("{}: fine", path.display()))?,
            Err(failure) => {
                wrong += 1;
                out.line(&failure.to_string())?;
            }
        }
    }
    if files.is_empty() {
        out.line("There are no configuration files: the defaults hold.")?;
    }
    match wrong {
        0 => Ok(()),
        1 => Err(Failure::failed("one file has a mistake", "")),
        many => Err(Failure::failed(format!("{many} files have mistakes"), "")),
    }
}

fn show(context: &Context, out: &mut Output) -> Result<(), Failure> {
    let path = context.console_config();
    let settings = Settings::load(&path, context.global.config.is_some())?;
    let from = if toml_file::read(&path)?.is_some() { path.display().to_string() } else { "the defaults".to_owned() };
    out.toned(&[(Tone::Muted, &format!("# from {from}"))])?;
    out.line(&format!("name = {:?}", &*settings.person()))?;
    if let Some(theme) = &settings.theme {
        out.line(&format!("theme = {theme:?}"))?;
    }
    if let Some(ascii) = settings.ascii {
        out.line(&format!("ascii = {ascii}"))?;
    }
    out.line(&format!("notify = {}", settings.notify))?;
    if let Some(keymap) = &settings.keymap {
        out.line(&format!("keymap = {:?}", keymap.display().to_string()))?;
    }
    out.line(&format!("linger = \"{}s\"", settings.linger.secs()))?;
    out.line(&format!("stay = {}", settings.stay))?;
    for (name, entry) in &settings.servers {
        out.line("")?;
        out.line(&format!("[servers.{name}]"))?;
        out.line(&format!("url = {:?}", entry.url))?;
        if let Some(file) = &entry.token_file {
            out.line(&format!("token_file = {:?}", file.display().to_string()))?;
        }
        if let Some(env) = &entry.env {
            out.line(&format!("env = {env:?}"))?;
        }
    }
    Ok(())
}
