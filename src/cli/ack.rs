//! `midwatch ack`: somebody has it. Ends by itself when the alert has cleared.

use super::pick::{self, Pick};
use super::{Context, Failure};
use crate::model::intent::Intent;

/// Acknowledge an alert: it ends when the alert clears
#[derive(clap::Args, Debug)]
#[command(after_help = "Example: midwatch ack 3f2a9c01 --note 'restarting it'\nExample: midwatch ack 'system:shop/** not state:acked' --all")]
pub struct Args {
    #[command(flatten)]
    pick: Pick,
    /// What you want to say about it
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    note: String,
    /// Take an acknowledgement back
    #[arg(long, conflicts_with = "note")]
    undo: bool,
}

pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    if args.undo {
        return pick::each(&args.pick, context, "no longer acknowledged", |target| Intent::Unacknowledge { alert: target.alert, episode: target.episode });
    }
    let note: std::sync::Arc<str> = args.note.as_str().into();
    pick::each(&args.pick, context, "acknowledged", |target| Intent::Acknowledge { alert: target.alert, episode: target.episode, note: note.clone() })
}
