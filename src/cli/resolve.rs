//! `midwatch resolve`: a person says that it is over.

use super::pick::{self, Pick};
use super::{Context, Failure};
use crate::model::intent::Intent;

/// Say that an alert is over
#[derive(clap::Args, Debug)]
#[command(after_help = "Example: midwatch resolve 3f2a9c01 --note 'replaced the disk'\nAn alert whose check still fails opens again.")]
pub struct Args {
    #[command(flatten)]
    pick: Pick,
    /// What you want to say about it
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    note: String,
}

pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let note: std::sync::Arc<str> = args.note.as_str().into();
    pick::each(&args.pick, context, "resolved", |target| Intent::Resolve { alert: target.alert, episode: target.episode, note: note.clone() })
}
