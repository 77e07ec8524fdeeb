//! `midwatch completions SHELL`: what a shell needs to complete our arguments.

use clap::CommandFactory;
use clap_complete::Shell;

use super::output::Output;
use super::{Cli, Failure};

/// Print completions for a shell
#[derive(clap::Args, Debug)]
#[command(after_help = "Example: midwatch completions bash > ~/.local/share/bash-completion/completions/midwatch")]
pub struct Args {
    #[arg(value_enum)]
    shell: Shell,
}

pub fn run(args: Args) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "midwatch", &mut script);
    let mut out = Output::new();
    out.raw(&script)?;
    out.finish()
}
