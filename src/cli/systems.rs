//! `midwatch systems [FILTER]`: the systems as a tree, with what is wrong at each place and beneath it.

use serde::Serialize;

use super::ask::{self, Ask};
use super::output::{Output, Tone};
use super::{Context, Failure, rows};
use crate::model::event::Actor;
use crate::model::filter::{Filter, State, States, Subject};
use crate::model::id::Origin;
use crate::model::severity::Severity;
use crate::model::time::Time;
use crate::model::view::Sky;
use crate::model::view::systems::{State as Within, SystemRow, tree};

/// List the systems, as a tree with what is wrong where
#[derive(clap::Args, Debug)]
#[command(after_help = "Example: midwatch systems\nExample: midwatch systems 'system:shop/** severity:warning+'")]
pub struct Args {
    /// Which ones, as one argument: by system, server, severity of what is open, or words in id and title
    #[arg(value_name = "FILTER")]
    filter: Option<String>,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

/// A system as a filter sees it.
struct SystemSubject<'a> {
    row: &'a SystemRow,
    server: &'a str,
    now: Time,
}

impl Subject for SystemSubject<'_> {
    fn at(&self) -> Time {
        self.now
    }

    fn severity(&self) -> Severity {
        self.row.own.worst.max(self.row.beneath.worst).unwrap_or(Severity::Info)
    }

    fn kind(&self) -> &str {
        "system.declared"
    }

    fn system(&self) -> Option<&str> {
        Some(self.row.system.id.as_str())
    }

    fn server(&self) -> Option<&str> {
        Some(self.server)
    }

    fn states(&self) -> States {
        States::NONE.with_if(State::Open, self.row.own.alerts + self.row.beneath.alerts > 0).with_if(State::Stale, self.row.own.silent > 0)
    }

    fn any_actor(&self, _: &mut dyn FnMut(&Actor) -> bool) -> bool {
        false
    }

    fn label(&self, _: &str) -> Option<std::borrow::Cow<'_, str>> {
        None
    }

    fn any_text(&self, test: &mut dyn FnMut(&[u8]) -> bool) -> bool {
        [self.row.name.as_str(), &self.row.title, &self.row.category, &self.row.owner].iter().any(|text| test(text.as_bytes()))
    }
}

#[derive(Serialize)]
struct SystemLine<'a> {
    server: &'a str,
    origin: Origin,
    system: &'a str,
    title: &'a str,
    category: &'a str,
    owner: &'a str,
    declared: bool,
    depth: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    severity: Option<Severity>,
    alerts: usize,
    alerts_beneath: usize,
    checks: usize,
    silent_agents: usize,
    fresh: bool,
}

pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let at = context.at()?.unwrap_or_else(ask::now);
    let filter = rows::filter(args.filter.as_deref(), at)?;
    ask::block_on(async {
        let mut ask = Ask::connect(context, 0)?;
        ask.worlds().await;
        print(args, &filter, &ask.sky(), at)?;
        ask.all_reached()
    })
}

fn print(args: &Args, filter: &Filter, sky: &Sky, at: Time) -> Result<(), Failure> {
    let all = tree(sky, |_| true);
    let shown = all.iter().filter_map(|row| {
        let server = sky.server(row.server).map(|seen| &*seen.name)?;
        filter.matches(&SystemSubject { row, server, now: at }).then_some((row, server))
    });
    let mut out = Output::new();
    let mut table = Vec::new();
    for (row, server) in shown {
        if args.json {
            out.json(&SystemLine {
                server,
                origin: row.system.origin,
                system: row.system.id.as_str(),
                title: &row.title,
                category: &row.category,
                owner: &row.owner,
                declared: row.declared,
                depth: row.depth,
                severity: row.own.worst,
                alerts: row.own.alerts,
                alerts_beneath: row.beneath.alerts,
                checks: row.own.checks,
                silent_agents: row.own.silent,
                fresh: row.fresh,
            })?;
            continue;
        }
        // A filtered list is no tree any more: whole names instead of places in it.
        let name = if filter.is_all() { format!("{}{}", "  ".repeat(row.depth), row.label) } else { row.name.clone() };
        let (tone, state) = words(row);
        table.push(vec![
            (Tone::Strong, name),
            (tone, state),
            (Tone::Plain, row.title.to_string()),
            (Tone::Muted, row.category.to_string()),
            (Tone::Muted, server.to_owned()),
        ]);
    }
    out.table(&table)?;
    out.finish()
}

/// What its state is, in words: its own first, then beneath.
fn words(row: &SystemRow) -> (Tone, String) {
    if !row.fresh {
        return (Tone::Stale, "as last heard".to_owned());
    }
    let of = |state: &Within| match (state.worst, state.alerts) {
        (Some(worst), 1) => format!("1 {worst}"),
        (Some(worst), many) => format!("{many}, worst {worst}"),
        (None, _) => String::new(),
    };
    let tone = |state: &Within| state.worst.map_or(Tone::Fine, Tone::Severity);
    match (row.own.alerts, row.beneath.alerts) {
        _ if row.own.silent > 0 => (Tone::Stale, "agent silent".to_owned()),
        (0, 0) if row.own.checks + row.beneath.checks == 0 => (Tone::Muted, "no checks".to_owned()),
        (0, 0) => (Tone::Fine, "fine".to_owned()),
        (0, _) => (tone(&row.beneath), format!("beneath: {}", of(&row.beneath))),
        (_, 0) => (tone(&row.own), of(&row.own)),
        (_, _) => (tone(&row.own), format!("{}; beneath: {}", of(&row.own), of(&row.beneath))),
    }
}
