//! `midwatch assign`: take an alert, give it to somebody, or give it back.

use super::pick::{self, Pick};
use super::{Context, Failure};
use crate::model::id::Person;
use crate::model::intent::Intent;

/// Take an alert, or give it to somebody
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Example: midwatch assign 3f2a9c01            (you have it)\nExample: midwatch assign 3f2a9c01 --to kim\nExample: midwatch assign 3f2a9c01 --nobody"
)]
pub struct Args {
    #[command(flatten)]
    pick: Pick,
    /// Who has it; without it, you
    #[arg(long, value_name = "NAME")]
    to: Option<String>,
    /// Give it back
    #[arg(long, conflicts_with = "to")]
    nobody: bool,
}

pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let to = match (&args.to, args.nobody) {
        (_, true) => None,
        (Some(name), false) => Some(Person::new(name)),
        (None, false) => Some(Person::new(&context.settings()?.person())),
    };
    let done = to.as_ref().map_or_else(|| "given back".to_owned(), |to| format!("{to} has it"));
    pick::each(&args.pick, context, &done, |target| Intent::Assign { alert: target.alert, episode: target.episode, to: to.clone() })
}
