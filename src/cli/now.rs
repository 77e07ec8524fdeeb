//! `midwatch now`: what needs somebody, in words.

use super::ask::{self, Ask};
use super::output::{Output, Tone};
use super::{Context, Failure, rows};
use crate::model::severity::Severity;
use crate::model::view::alerts::Asks;
use crate::model::view::now::Now;

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
    let (sky, at) = (ask.sky(), ask::now());
    let now = Now::of(&sky, at);
    let mut out = Output::new();
    let unreached = ask.asked.len() - sky.servers.len();
    if args.json {
        for entry in &now.entries {
            for row in std::iter::once(&entry.row).chain(&entry.effects) {
                if let Some(line) = rows::AlertLine::of(&sky, row, at) {
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
    for entry in now.entries.iter().filter(|entry| args.all || entry.row.asks() != Asks::Nobody) {
        table.push(rows::cells(&entry.row, at, false));
        if args.all {
            table.extend(entry.effects.iter().map(|row| rows::cells(row, at, true)));
        } else if !entry.effects.is_empty() {
            let words = format!(
                "└ caused probably: {} alerts {}",
                entry.effects.len(),
                entry.effect_words(&sky).trim_start_matches(|c: char| c.is_ascii_digit()).trim_start()
            );
            table.push(vec![(Tone::Plain, String::new()), (Tone::Plain, String::new()), (Tone::Muted, String::new()), (Tone::Muted, words)]);
        }
    }
    out.table(&table)?;
    out.finish()
}
