//! `midwatch note`: what a person says of an alert or of a system.

use std::sync::Arc;

use super::ask::{self, Ask};
use super::output::Output;
use super::pick::{self, Pick};
use super::{Context, Failure};
use crate::model::intent::Intent;

/// Say something about an alert or a system
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Example: midwatch note alert 3f2a9c01 'only happens after the nightly import'\nExample: midwatch note system shop 'freeze until Monday, says jo'"
)]
pub struct Args {
    #[command(subcommand)]
    on: On,
}

#[derive(clap::Subcommand, Debug)]
enum On {
    Alert(OnAlert),
    System(OnSystem),
}

/// Say something about an alert
#[derive(clap::Args, Debug)]
#[command(after_help = "Example: midwatch note alert 3f2a9c01 'only happens after the nightly import'")]
struct OnAlert {
    #[command(flatten)]
    pick: Pick,
    /// The words
    #[arg(value_name = "TEXT")]
    text: String,
}

/// Say something about a system
#[derive(clap::Args, Debug)]
#[command(after_help = "Example: midwatch note system shop 'freeze until Monday, says jo'")]
struct OnSystem {
    /// shop/varnish, or SERVER:SYSTEM
    #[arg(value_name = "SYSTEM")]
    system: String,
    /// The words
    #[arg(value_name = "TEXT")]
    text: String,
}

pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    match &args.on {
        On::Alert(on) => {
            let text: Arc<str> = on.text.as_str().into();
            pick::each(&on.pick, context, "noted", |target| Intent::NoteAlert { alert: target.alert, text: text.clone() })
        }
        On::System(on) => {
            context.may_change()?;
            ask::block_on(async {
                let mut ask = Ask::connect(context, 0)?;
                ask.worlds().await;
                let (server, system) = pick::server_of(&ask, &ask.sky(), &on.system)?;
                ask.perform(server, Intent::NoteSystem { system, text: on.text.as_str().into() }).await?;
                let mut out = Output::new();
                out.line(&format!("{}: noted", on.system))?;
                out.finish()
            })
        }
    }
}
