//! `midwatch man`: the manual page, made from the same declarations as `--help`.

use std::path::PathBuf;

use clap::CommandFactory;

use super::output::Output;
use super::{Cli, Failure};

/// Print the manual page, or write one per subcommand into a folder
#[derive(clap::Args, Debug)]
#[command(after_help = "Example: midwatch man | man -l -\nExample: midwatch man --to ~/.local/share/man/man1")]
pub struct Args {
    /// Write midwatch.1, midwatch-now.1 and so on into this folder instead
    #[arg(long, value_name = "FOLDER")]
    to: Option<PathBuf>,
}

pub fn run(args: Args) -> Result<(), Failure> {
    if let Some(folder) = args.to {
        return clap_mangen::generate_to(Cli::command(), &folder)
            .map_err(|error| Failure::failed(format!("cannot write into {}: {error}", folder.display()), "Make the folder first"));
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command()).render(&mut page)?;
    let mut out = Output::new();
    out.raw(&page)?;
    out.finish()
}
