//! `midwatch today`: what happened, in words, for somebody who has not looked for long.

use jiff::tz::TimeZone;
use serde::Serialize;

use super::ask::{self, Ask};
use super::output::{Output, Tone};
use super::{Context, Failure};
use crate::model::filter::When;
use crate::model::severity::Severity;
use crate::model::time::Time;
use crate::model::view::today::{LineKind, Part, Section, Today, today};

/// Say what happened, in words
#[derive(clap::Args, Debug)]
#[command(after_help = "Example: midwatch today\nExample: midwatch today --system shop --since 3d")]
pub struct Args {
    /// Only this system and what lies beneath it
    #[arg(long, value_name = "SYSTEM")]
    system: Option<String>,
    /// From when on: 3h, 2d, 14:00, 2026-11-20; without it, since midnight
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct TodayLine<'a> {
    system: &'a str,
    at: Time,
    kind: &'static str,
    severity: Severity,
    title: &'a str,
}

pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let (at, zone) = (context.at()?.unwrap_or_else(ask::now), TimeZone::system());
    let from = match &args.since {
        Some(text) => time(text, at, &zone)?,
        None => at.zoned(&zone).start_of_day().map(|start| Time::from(start.timestamp())).unwrap_or(at),
    };
    ask::block_on(async {
        let mut ask = Ask::connect(context, 0)?;
        ask.worlds().await;
        let told = today(&ask.sky(), from, at, &zone, args.system.as_deref());
        print(args, &told)?;
        ask.all_reached()
    })
}

/// A time as people write it.
pub fn time(text: &str, now: Time, zone: &TimeZone) -> Result<Time, Failure> {
    let when: When = text.parse().map_err(|error| Failure::usage(format!("{error}"), "Write 3h, 2d, 14:00 or 2026-11-20"))?;
    Ok(when.resolve(now, zone))
}

fn print(args: &Args, told: &Today) -> Result<(), Failure> {
    let mut out = Output::new();
    if args.json {
        for section in &told.sections {
            for line in &section.lines {
                let kind = match line.kind {
                    LineKind::StillOpen => "open",
                    LineKind::Recovered => "recovered",
                    LineKind::Did => "did",
                    LineKind::Changed => "changed",
                };
                out.json(&TodayLine { system: &section.name, at: line.at, kind, severity: line.severity, title: &line.words })?;
            }
        }
        return out.finish();
    }
    out.toned(&[(Tone::Strong, &told.summary)])?;
    for caveat in &told.caveats {
        out.toned(&[(Tone::Stale, "But: "), (Tone::Plain, caveat)])?;
    }
    for section in &told.sections {
        sections(&mut out, section)?;
    }
    out.finish()
}

fn sections(out: &mut Output, section: &Section) -> Result<(), Failure> {
    out.line("")?;
    let title = if section.title.is_empty() || section.title == section.name { String::new() } else { format!("  {}", section.title) };
    out.toned(&[(Tone::Strong, &section.name), (Tone::Muted, &title)])?;
    let mut part: Option<Part> = None;
    for line in &section.lines {
        if part != Some(line.part) {
            part = Some(line.part);
            out.toned(&[(Tone::Muted, &format!("  {}", line.part.word()))])?;
        }
        let (mark, tone) = match line.kind {
            LineKind::StillOpen => ("!", Tone::Severity(line.severity)),
            LineKind::Recovered => ("+", Tone::Fine),
            LineKind::Did => ("-", Tone::Plain),
            LineKind::Changed => ("~", Tone::Plain),
        };
        out.toned(&[(Tone::Plain, "    "), (tone, mark), (Tone::Plain, " "), (Tone::Plain, &line.words)])?;
    }
    if let Some(words) = section.usual_words() {
        out.toned(&[(Tone::Muted, &format!("  {words}"))])?;
    }
    Ok(())
}
