//! `midwatch config`: where the configuration lies, what it says, and whether it is right.

mod check;
mod files;
mod mistakes;

use std::path::PathBuf;

use clap::Subcommand;

use self::check::{Check, check};
use super::output::{Output, Tone};
use super::settings::Settings;
use super::{Context, Failure, toml_file};
use crate::console::notice::Wishes;

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
    Theme,
}

impl Role {
    const ALL: &[Role] = &[Role::Console, Role::Keymap, Role::Server, Role::Agent, Role::Theme];

    const fn word(self) -> &'static str {
        match self {
            Role::Console => "console",
            Role::Keymap => "keymap",
            Role::Server => "server",
            Role::Agent => "agent",
            Role::Theme => "theme",
        }
    }

    fn path(self, context: &Context) -> PathBuf {
        match self {
            Role::Console => context.console_config(),
            Role::Keymap => context.places.keymap(),
            Role::Server => context.places.server_config(),
            Role::Agent => context.places.agent_config(),
            // The folder that holds them.
            Role::Theme => context.places.themes(),
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

fn show(context: &Context, out: &mut Output) -> Result<(), Failure> {
    let path = context.console_config();
    let settings = Settings::load(&path, context.global.config.is_some())?;
    let from = if toml_file::read(&path)?.is_some() { path.display().to_string() } else { "the defaults".to_owned() };
    out.toned(&[(Tone::Muted, &format!("# from {from}"))])?;
    out.line(&format!("name = {:?}", &*settings.person()))?;
    if let Some(theme) = &settings.theme {
        out.line(&format!("theme = {theme:?}"))?;
    }
    if let Some(key) = &settings.key {
        out.line(&format!("key = {:?}", key.display().to_string()))?;
    }
    if let Some(ascii) = settings.ascii {
        out.line(&format!("ascii = {ascii}"))?;
    }
    if let Some(links) = settings.links {
        out.line(&format!("links = {links}"))?;
    }
    out.line(&format!("mouse = {}", settings.mouse))?;
    let Wishes { bell, osc9, osc777, least, every } = settings.notify.0;
    let ways = [("osc9", osc9), ("osc777", osc777)].into_iter().filter_map(|(name, wish)| wish.map(|wish| format!("{name} = {wish}, ")));
    out.line(&format!("notify = {{ bell = {bell}, {}least = \"{least}\", every = \"{}s\" }}", ways.collect::<String>(), every.secs()))?;
    if let Some(keymap) = &settings.keymap {
        out.line(&format!("keymap = {:?}", keymap.display().to_string()))?;
    }
    out.line(&format!("linger = \"{}s\"", settings.linger.secs()))?;
    out.line(&format!("stay = {}", settings.stay))?;
    out.line(&format!("restore = {}", settings.restore))?;
    out.line(&format!("presence = {}", settings.presence))?;
    if let Some(home) = settings.home(settings.servers.keys().map(String::as_str)).and_then(|home| settings.servers.keys().nth(home.0)) {
        out.line(&format!("home = {home:?}"))?;
    }
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
        if let Some(ca) = &entry.ca {
            out.line(&format!("ca = {:?}", ca.display().to_string()))?;
        }
        if entry.proxy {
            out.line("proxy = true")?;
        }
    }
    Ok(())
}
