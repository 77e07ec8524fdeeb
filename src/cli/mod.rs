//! The command line: one file per subcommand, and the only place that sees every other part.
//!
//! [`Cli`] declares all of it once; parser, `--help`, completions, man page and the README's reference
//! are made from it. A subcommand prints through [`output`] and ends with a [`Failure`] or well.

mod ack;
mod agent;
mod alerts;
mod ask;
mod assign;
mod backup;
mod change;
mod completions;
mod config;
pub mod console;
pub mod demo;
mod doctor;
mod embedded;
mod events;
pub mod events_file;
mod export;
mod failure;
mod grants;
mod import;
mod invite;
mod join;
mod keys;
mod logging;
mod man;
mod meet;
mod note;
mod now;
mod open;
pub mod output;
mod pick;
mod places;
pub mod reference;
mod reload;
mod resolve;
mod revoke;
mod rows;
mod serve;
mod server;
mod servers;
mod settings;
mod snooze;
mod source;
mod systems;
mod today;
mod toml_file;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::command::{Argument, Direction, When};
use crate::model::time::Time;

pub use failure::{Failure, FailureKind};
pub use places::Places;

/// A terminal operations console: one keyboard, every server you trust.
#[derive(Parser, Debug)]
#[command(name = "midwatch", version, max_term_width = 100, disable_help_subcommand = true, after_help = EXAMPLES, propagate_version = false)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(flatten)]
    pub console: console::Args,
    #[command(subcommand)]
    pub verb: Option<Verb>,
}

const EXAMPLES: &str = "Exit codes: 0 done, 1 refused or failed, 2 bad usage, 3 could not reach a server.";

/// What every subcommand takes.
#[derive(Args, Clone, Debug, Default)]
pub struct Global {
    /// The configuration file: of the console, of the server with `serve`, of the agent with `agent`
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Ask only this server, by its configured name or its address; repeatable
    #[arg(long, global = true, value_name = "NAME")]
    pub server: Vec<String>,
    /// The console's colours: auto, midwatch, daylight, high-contrast, colour-blind, terminal, mono, or one of yours
    #[arg(long, global = true, value_name = "NAME")]
    pub theme: Option<String>,
    /// The console's keys: default, vim, emacs, k9s, or a file of yours that lies over one of them
    #[arg(long, global = true, value_name = "NAME")]
    pub keymap: Option<PathBuf>,
    /// The console in lines, for screen readers, bad lines and pipes; so it is too when TERM is dumb
    #[arg(long, global = true)]
    pub linear: bool,
    /// Refuse everything that would change something
    #[arg(long, global = true)]
    pub read_only: bool,
    /// Everything as it was then: 3am, "yesterday 3am", -2h, 2026-11-20T03:00; for the console and what lists
    #[arg(long, global = true, value_name = "TIME", allow_hyphen_values = true)]
    pub at: Option<String>,
}

#[derive(Subcommand, Debug)]
pub enum Verb {
    Now(now::Args),
    Today(today::Args),
    Events(events::Args),
    Open(open::Args),
    Alerts(alerts::Args),
    Systems(systems::Args),
    Servers(servers::Args),
    Ack(ack::Args),
    Snooze(snooze::Args),
    Assign(assign::Args),
    Note(note::Args),
    Resolve(resolve::Args),
    Change(change::Args),
    Serve(serve::Args),
    Agent(agent::Args),
    Source(source::Args),
    Demo(demo::Args),
    Server(server::Args),
    Config(config::Args),
    Export(export::Args),
    Import(import::Args),
    Backup(backup::Backup),
    Restore(backup::Restore),
    Invite(invite::Args),
    Join(join::Args),
    Grants(grants::Args),
    Revoke(revoke::Args),
    Keys(keys::Args),
    Doctor(doctor::Args),
    Completions(completions::Args),
    Man(man::Args),
}

impl Verb {
    /// Whether `--at` means something to it.
    fn looks_back(&self) -> bool {
        matches!(self, Verb::Now(_) | Verb::Today(_) | Verb::Alerts(_) | Verb::Systems(_) | Verb::Open(_) | Verb::Demo(_))
    }
}

/// What a subcommand is given beside its own arguments.
#[derive(Clone, Debug)]
pub struct Context {
    pub global: Global,
    pub places: Places,
}

impl Context {
    /// The console's configuration file.
    pub fn console_config(&self) -> PathBuf {
        self.global.config.clone().unwrap_or_else(|| self.places.console_config())
    }

    /// What it says.
    pub fn settings(&self) -> Result<settings::Settings, Failure> {
        settings::Settings::load(&self.console_config(), self.global.config.is_some())
    }

    /// The time that `--at` names: the past alone.
    pub fn at(&self) -> Result<Option<Time>, Failure> {
        let Some(text) = &self.global.at else { return Ok(None) };
        let present = ask::now();
        let bad = |why: String| Failure::usage(format!("--at: {why}"), "Write it like 3am, \"yesterday 3am\", -2h or \"2026-11-20 03:00\"");
        let when = When::read(text).map_err(bad)?;
        let at = when.resolve(&present.zoned(&jiff::tz::TimeZone::system()), Direction::Back).ok_or_else(|| bad("the calendar has no such time".to_owned()))?;
        if at > present { Err(bad(format!("{at} lies ahead"))) } else { Ok(Some(at)) }
    }

    /// With `--read-only`, nothing is changed.
    pub fn may_change(&self) -> Result<(), Failure> {
        if self.global.read_only { Err(Failure::usage("this changes something, and --read-only was given", "Leave one of them out")) } else { Ok(()) }
    }
}

/// Runs the program: arguments in, exit code out.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => return usage(&error),
    };
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn run(cli: Cli) -> Result<(), Failure> {
    let context = Context { global: cli.global, places: Places::find()? };
    logging::start();
    // Whoever speaks TLS finds its cryptography here. A second call in one process changes nothing.
    let _ = rustls::crypto::ring::default_provider().install_default();
    if let (Some(_), Some(option)) = (&cli.verb, cli.console.given()) {
        return Err(Failure::usage(format!("{option} is for the console, not for this subcommand"), "`midwatch source test` takes addresses of its own"));
    }
    if context.global.at.is_some() && !cli.verb.as_ref().is_none_or(Verb::looks_back) {
        return Err(Failure::usage("--at is for looking, not for this subcommand", "The console, `now`, `today`, `alerts` and `systems` take it"));
    }
    match cli.verb {
        None => console::run(cli.console, &context),
        Some(Verb::Now(args)) => now::run(&args, &context),
        Some(Verb::Today(args)) => today::run(&args, &context),
        Some(Verb::Events(args)) => events::run(&args, &context),
        Some(Verb::Open(args)) => open::run(args, &context),
        Some(Verb::Alerts(args)) => alerts::run(&args, &context),
        Some(Verb::Systems(args)) => systems::run(&args, &context),
        Some(Verb::Servers(args)) => servers::run(&args, &context),
        Some(Verb::Ack(args)) => ack::run(&args, &context),
        Some(Verb::Snooze(args)) => snooze::run(&args, &context),
        Some(Verb::Assign(args)) => assign::run(&args, &context),
        Some(Verb::Note(args)) => note::run(&args, &context),
        Some(Verb::Resolve(args)) => resolve::run(&args, &context),
        Some(Verb::Change(args)) => change::run(&args, &context),
        Some(Verb::Serve(args)) => serve::run(args, &context),
        Some(Verb::Agent(args)) => agent::run(args, &context),
        Some(Verb::Source(args)) => source::run(args, &context),
        Some(Verb::Demo(args)) => demo::run(&args, &context),
        Some(Verb::Server(args)) => server::run(&args, &context),
        Some(Verb::Config(args)) => config::run(args, &context),
        Some(Verb::Export(args)) => export::run(&args, &context),
        Some(Verb::Import(args)) => import::run(&args),
        Some(Verb::Backup(args)) => backup::backup(&args, &context),
        Some(Verb::Restore(args)) => backup::restore(&args, &context),
        Some(Verb::Invite(args)) => invite::run(&args, &context),
        Some(Verb::Join(args)) => join::run(&args, &context),
        Some(Verb::Grants(args)) => grants::run(&args, &context),
        Some(Verb::Revoke(args)) => revoke::run(&args, &context),
        Some(Verb::Keys(args)) => keys::run(&args, &context),
        Some(Verb::Doctor(args)) => doctor::run(args, &context),
        Some(Verb::Completions(args)) => completions::run(args),
        Some(Verb::Man(args)) => man::run(args),
    }
}

/// Help that was asked for goes to standard output; what was wrong with the arguments to standard
/// error, cleaned, since arguments may have come from anywhere.
fn usage(error: &clap::Error) -> ExitCode {
    if error.use_stderr() {
        output::complain(error.render().to_string().trim_end());
        return ExitCode::from(2);
    }
    let text = error.render();
    let text = if output::wants_colour() { text.ansi().to_string() } else { text.to_string() };
    let mut out = output::Output::new();
    match out.raw(text.as_bytes()).and_then(|()| out.finish()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
