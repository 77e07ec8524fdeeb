//! `midwatch now`: what needs somebody, in words.

use super::ask::{self, Ask};
use super::output::{Output, Tone};
use super::{Context, Failure, rows};
use crate::model::severity::Severity;
use crate::model::view::alerts::Asks;
use crate::model::view::graph::Graph;
use crate::model::view::now::Now;

/// Effects of one cause that are told with their reason.
const REASONS: usize = 3;

/// Say what needs somebody now
#[derive(clap::Args, Debug)]
#[command(after_help = "Example: midwatch now\nExample: midwatch now --json | jq -r 'select(.asks == \"you\") | .title'")]
pub struct Args {
    /// The usual and the folded too
    #[arg(long)]
    all: bool,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    ask::block_on(async {
        let mut ask = Ask::connect(context, 0)?;
        ask.worlds().await;
        print(args, &ask)?;
        ask.all_reached()
    })
}

fn print(args: &Args, ask: &Ask) -> Result<(), Failure> {
    let (sky, at) = (ask.sky(), ask.moment());
    let all = rows::all(&sky, at);
    let now = Now::of(&sky, &all);
    let mut out = Output::new();
    let unreached = ask.asked.len() - sky.servers.len();
    if args.json {
        let graph = Graph::of(&sky);
        let mut lines = rows::AlertLines::new(&sky, &graph, &all);
        for entry in &now.entries {
            let places = std::iter::once(entry.row).chain(entry.effects.iter().map(|(row, _)| *row));
            for row in places.filter_map(|row| all.get(row)) {
                if let Some(line) = lines.of(row, at) {
                    out.json(&line)?;
                }
            }
        }
        return out.finish();
    }
    if !sky.servers.is_empty() {
        let mut pieces: Vec<(Tone, String)> = Vec::new();
        for (asks, words) in now.headline() {
            let tone = if asks == Asks::You { Tone::Severity(Severity::Warning) } else { Tone::Plain };
            let gap = if pieces.is_empty() { "" } else { " · " };
            pieces.push((Tone::Muted, gap.to_owned()));
            // "Nothing needs you" is for when everybody was heard.
            let words = if now.need_you == 0 && asks == Asks::Nobody && unreached > 0 && pieces.len() == 1 {
                format!("{words}, of those that answered")
            } else {
                words
            };
            pieces.push((tone, words));
        }
        let pieces: Vec<(Tone, &str)> = pieces.iter().map(|(tone, text)| (*tone, text.as_str())).collect();
        out.toned(&pieces)?;
    }
    let mut table = Vec::new();
    for entry in now.entries.iter().filter(|entry| args.all || entry.asks != Asks::Nobody) {
        table.extend(all.get(entry.row).map(|row| rows::cells(&sky, row, at, 0)));
        let beneath = entry.effects.iter().filter_map(|(row, depth)| Some((all.get(*row)?, *depth)));
        if args.all {
            for (row, depth) in beneath {
                table.push(rows::cells(&sky, row, at, depth));
                if let Some(cause) = &row.cause {
                    table.push(rows::beneath(&format!("{}probably: {}", "  ".repeat(depth), cause.words(&sky))));
                }
            }
        } else if !entry.effects.is_empty() {
            let besides = entry.besides(&all);
            let words = entry.beneath(&sky, &all).replacen(" in ", if entry.effects.len() == 1 { " alert in " } else { " alerts in " }, 1);
            let words = words.replacen("caused probably ", "caused probably: ", 1);
            table.push(rows::beneath(&format!("└ {words}{}{besides}", if besides.is_empty() { "" } else { "; " })));
            // Where the reasons are few, they stand here; else `--all` tells each.
            let mut reasons: Vec<String> = beneath.filter_map(|(row, _)| Some(format!("  {} {}", row.name, row.cause.as_ref()?.words(&sky)))).collect();
            let more = reasons.len().saturating_sub(REASONS);
            reasons.truncate(REASONS);
            table.extend(reasons.iter().map(|words| rows::beneath(words)));
            if more > 0 {
                table.push(rows::beneath(&format!("  and {more} more: midwatch now --all")));
            }
        }
    }
    out.table(&table)?;
    out.finish()
}
