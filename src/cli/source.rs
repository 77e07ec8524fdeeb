//! `midwatch source test`: asks a source once, and says where each of its alerts would land, and which
//! would land nowhere. Nothing is changed, here or there.

use serde::Serialize;

use super::output::Output;
use super::{Context, Failure, ask};
use crate::model::time::Time;
use crate::model::words::counted;
use crate::server::Config;
use crate::server::source::{Source, SourceConfig, SourceKind};

/// Look at what a source would bring
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Subcommand, Debug)]
enum Verb {
    Test(Test),
}

/// Say where a source's alerts would land, and which would land nowhere
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Example: midwatch source test --config /etc/midwatch/server.toml\nExample: midwatch source test --alertmanager http://localhost:9093\n\nThe rules are those of the server's configuration ([[map]]), then the defaults."
)]
struct Test {
    /// Only the configured source of this name
    #[arg(value_name = "NAME")]
    name: Option<String>,
    /// An Alertmanager that is not configured yet; repeatable
    #[arg(long, value_name = "URL")]
    alertmanager: Vec<String>,
    /// A Prometheus that is not configured yet; repeatable
    #[arg(long, value_name = "URL")]
    prometheus: Vec<String>,
    /// One JSON object a line: each alert, then the source itself
    #[arg(long)]
    json: bool,
}

/// What is said of a source behind its alerts.
#[derive(Serialize)]
struct SourceLine<'a> {
    source: &'a str,
    kind: String,
    alerts: usize,
    nowhere: usize,
    /// How far back a Prometheus can tell of past episodes.
    #[serde(skip_serializing_if = "Option::is_none")]
    remembers_since: Option<Time>,
}

pub fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let Verb::Test(args) = args.verb;
    let config = super::serve::config(context)?;
    let mapping = config.mapping().map_err(|error| Failure::failed(error.to_string(), ""))?;
    let given = super::embedded::Sources { alertmanagers: args.alertmanager.clone(), prometheuses: args.prometheus.clone() };
    given.check()?;
    let sources = if given.is_empty() { configured(&args, config)? } else { parse(&given.toml())? };
    ask::block_on(async {
        let mut out = Output::new();
        let mut unreachable = None;
        let mut nowhere = 0;
        for source in sources {
            let asked = match Source::new(source) {
                Ok(mut source) => {
                    let name = source.id().to_string();
                    let explanation = source.explain(&mapping).await;
                    let remembers = source.remembers(ask::now()).await;
                    explanation.map(|explanation| (name, source.kind(), explanation, remembers))
                }
                Err(error) => Err(error),
            };
            let (name, kind, explanation, remembers) = match asked {
                Ok(asked) => asked,
                Err(error) => {
                    unreachable = Some(Failure::unreachable(error.to_string(), ""));
                    super::output::complain(&format!("midwatch: {error}"));
                    continue;
                }
            };
            nowhere += explanation.nowhere().count();
            if args.json {
                for landing in &explanation.landings {
                    out.json(landing)?;
                }
                let alerts = explanation.landings.len();
                out.json(&SourceLine { source: &name, kind: kind.to_string(), alerts, nowhere: explanation.nowhere().count(), remembers_since: remembers })?;
                continue;
            }
            out.line(&format!("{name}:"))?;
            for line in explanation.to_string().lines() {
                out.line(line)?;
            }
            match (kind, remembers) {
                (_, Some(since)) => out.line(&remembered(since, ask::now()))?,
                (SourceKind::Prometheus, None) => out.line("It does not say how far back it remembers: what it tells is filled in on first contact")?,
                (SourceKind::Alertmanager, None) => out.line("An Alertmanager remembers nothing of what is over: history begins now")?,
            }
        }
        out.finish()?;
        match (unreachable, nowhere) {
            (Some(failure), _) => Err(failure),
            (None, 0) => Ok(()),
            (None, 1) => Err(Failure::failed("one alert would land nowhere", "")),
            (None, many) => Err(Failure::failed(format!("{} would land nowhere", counted(many, "alert")), "")),
        }
    })
}

/// How far back a Prometheus can tell of past episodes.
fn remembered(since: Time, now: Time) -> String {
    let (days, date) = (now.since(since).secs() / 86_400, since.zoned(&jiff::tz::TimeZone::system()).strftime("%-d %b %Y").to_string());
    let reach = crate::model::history::REACH.secs() / 86_400;
    match days {
        days if days >= reach => format!("It remembers back to {date}, {days} days: episodes of the last {reach} are filled in on first contact"),
        1 => format!("It remembers back to {date}, one day: its episodes are filled in on first contact"),
        0 => format!("It remembers the last {}: the episodes of these are filled in on first contact", now.since(since)),
        days => format!("It remembers back to {date}, {days} days: the episodes of these are filled in on first contact"),
    }
}

fn configured(args: &Test, config: Config) -> Result<Vec<SourceConfig>, Failure> {
    let Some(name) = &args.name else {
        if config.source.is_empty() {
            return Err(Failure::usage(
                "no source is configured",
                "Add --alertmanager URL or --prometheus URL, or name the server's configuration with --config",
            ));
        }
        return Ok(config.source);
    };
    let names: Vec<String> = config.source.iter().map(|source| source.id().to_string()).collect();
    let found: Vec<SourceConfig> = config.source.into_iter().filter(|source| source.id().as_str() == name).collect();
    if found.is_empty() {
        return Err(Failure::usage(format!("no source is called `{name}`"), format!("There are: {}", names.join(", "))));
    }
    Ok(found)
}

/// Sources that were named by address alone have everything else by default.
fn parse(toml: &str) -> Result<Vec<SourceConfig>, Failure> {
    Config::parse(toml, "").map(|config| config.source).map_err(|error| Failure::failed(error.to_string(), ""))
}
