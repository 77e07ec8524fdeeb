//! `midwatch alerts [FILTER]`: every open alert, one a line.

use super::ask::{self, Ask};
use super::output::{Output, Tone};
use super::{Context, Failure, rows};
use crate::command::Pane;
use crate::model::nearest::nearest;
use crate::model::view::alerts::{AlertRow, rows as alert_rows, urgency};
use crate::model::view::graph::Graph;

/// List the open alerts
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Example: midwatch alerts 'system:shop/** severity:warning+ not state:acked'\nExample: midwatch alerts --json | jq -r .title\nExample: midwatch alerts --view night"
)]
pub struct Args {
    /// Which ones, as one argument
    #[arg(value_name = "FILTER")]
    filter: Option<String>,
    /// The saved view of this name (`w` in the console saves one); a FILTER beside it narrows it
    #[arg(long, value_name = "NAME")]
    view: Option<String>,
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
    let view = args.view.as_deref().map(|name| saved(context, name)).transpose()?;
    let view = rows::filter(view.as_deref(), at)?;
    ask::block_on(async {
        let mut ask = Ask::connect(context, 0)?;
        ask.worlds().await;
        let sky = ask.sky();
        let all = alert_rows(&sky, at);
        let mut found: Vec<_> = all.iter().filter(|row| rows::matches(&view, &sky, row) && rows::matches(&filter, &sky, row)).collect();
        found.sort_by(|a, b| urgency(a).cmp(&urgency(b)));
        let mut out = Output::new();
        if args.count {
            out.line(&found.len().to_string())?;
        } else if args.json {
            let graph = Graph::of(&sky);
            let mut lines = rows::AlertLines::new(&sky, &graph, &all);
            for line in found.iter().filter_map(|row| lines.of(row, at)) {
                out.json(&line)?;
            }
        } else {
            let cells = |row: &&AlertRow| {
                let mut cells = rows::cells(&sky, row, at, 0);
                let numbers = sky.numbers(row.alert);
                let words = numbers.map_or_else(String::new, |numbers| match numbers.age_words(at).as_str() {
                    "now" => numbers.words(),
                    ago => format!("{} ({ago})", numbers.words()),
                });
                // Behind the title.
                cells.insert(cells.len().min(4), (Tone::Plain, words));
                cells
            };
            let table: Vec<_> = found.iter().map(cells).collect();
            out.table(&table)?;
        }
        out.finish()?;
        ask.all_reached()
    })
}

/// The filter of a saved view of alerts.
fn saved(context: &Context, name: &str) -> Result<String, Failure> {
    let (views, problems) = super::console::views(context)?;
    let Some(view) = views.iter().find(|view| view.name == name) else {
        let hint = match (problems.first(), nearest(name, views.iter().map(|view| view.name.as_str()))) {
            (Some(problem), _) => problem.clone(),
            (None, Some(near)) => format!("Did you mean `{near}`?"),
            (None, None) => format!("They stand in {}", context.places.views().display()),
        };
        return Err(Failure::usage(format!("no view is called `{name}`"), hint));
    };
    match view.pane {
        Pane::Now | Pane::Alerts => Ok(view.filter.clone()),
        other => Err(Failure::usage(format!("the view `{name}` is one of {other}, not of alerts"), "In the console, w shows it")),
    }
}
