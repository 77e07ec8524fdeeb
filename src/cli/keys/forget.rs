//! `midwatch keys forget`: a server whose key changed may be met anew.

use super::super::output::Output;
use super::super::{Context, Failure};

/// Forget a server's key: it is met anew, and asked about
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Example: midwatch keys forget infra\n\nWhen a server's key has changed, midwatch does not speak to it. Ask its operator for the fingerprint first (`midwatch keys show` with its server.key); if the key was made anew, this makes room for it."
)]
pub struct Args {
    /// The server, by its configured name or its address
    server: String,
}

pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let known = context.places.known_servers();
    let words = if known.forget(&args.server).map_err(super::show::failed)? {
        format!("The key of {} is forgotten; it is met anew, and asked about.", args.server)
    } else {
        return Err(Failure::failed(format!("no key of `{}` is known", args.server), format!("{} has those that are", known.path().display())));
    };
    let mut out = Output::new();
    out.line(&words)?;
    out.finish()
}
