//! `midwatch alerts [FILTER]`: every open alert, one a line.

use super::ask::{self, Ask};
use super::output::Output;
use super::{Context, Failure, rows};
use crate::model::view::alerts::{rows as alert_rows, urgency};
use crate::model::view::graph::Graph;

/// List the open alerts
#[derive(clap::Args, Debug)]
#[command(after_help = "Example: midwatch alerts 'system:shop/** severity:warning+ not state:acked'\nExample: midwatch alerts --json | jq -r .title")]
pub struct Args {
    /// Which ones, as one argument
    #[arg(value_name = "FILTER")]
    filter: Option<String>,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
    /// Only how many
    #[arg(long, conflicts_with = "json")]
    count: bool,
}

pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let at = context.at()?.unwrap_or_else(ask::now);
    let filter = rows::filter(args.filter.as_deref(), at)?;
    ask::block_on(async {
        let mut ask = Ask::connect(context, 0)?;
        ask.worlds().await;
        let sky = ask.sky();
        let mut found: Vec<_> = alert_rows(&sky, at).into_iter().filter(|row| rows::matches(&filter, &sky, row)).collect();
        found.sort_by(|a, b| urgency(a).cmp(&urgency(b)));
        let mut out = Output::new();
        if args.count {
            out.line(&found.len().to_string())?;
        } else if args.json {
            let graph = Graph::of(&sky);
            let mut lines = rows::AlertLines::new(&sky, &graph);
            for line in found.iter().filter_map(|row| lines.of(row, at)) {
                out.json(&line)?;
            }
        } else {
            let table: Vec<_> = found.iter().map(|row| rows::cells(row, at, 0)).collect();
            out.table(&table)?;
        }
        out.finish()?;
        ask.all_reached()
    })
}
