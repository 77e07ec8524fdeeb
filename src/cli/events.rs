//! `midwatch events`: the timeline of every server, merged by time; from files without any.
//!
//! History is paged and merged as it comes, so that a million events need no more memory than a page of
//! each server; only the last few are gathered first when only those are wanted.

use std::collections::{HashSet, VecDeque};
use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::tz::TimeZone;

use super::ask::{self, Ask};
use super::events_file::{EventsFile, Shape, events_file};
use super::output::{self, Output, Tone};
use super::{Context, Failure, rows};
use crate::client::{ServerIndex, Update};
use crate::model::event::Event;
use crate::model::filter::{Filter, OnServer};
use crate::model::id::Sequence;
use crate::model::time::Time;
use crate::wire::{Paging, Place};

/// Events of one page.
const PAGE: usize = 5_000;
/// What a person sees without asking for more.
const LAST: usize = 200;

/// List events, of servers or of files, merged by time
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Example: midwatch events 'system:shop/** since:3h'\nExample: midwatch events --kind 'trust.*'    (who came, who did what by which key, who was refused)\nExample: midwatch events --follow --json\nExample: midwatch events 'severity:error+' --file web-1.log web-2.log.gz export.jsonl\n\nA filter is one argument. Of servers, without --json, --count or --last, the last 200 that match are shown; of files, all."
)]
pub struct Args {
    /// Which ones, as one argument
    #[arg(value_name = "FILTER")]
    filter: Option<String>,
    /// Only of this kind, or of those that begin so: trust.*
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// One JSON object a line, in the format of exports
    #[arg(long)]
    json: bool,
    /// Only how many
    #[arg(long, conflicts_with_all = ["json", "follow"])]
    count: bool,
    /// Only the last so many
    #[arg(long, value_name = "N")]
    last: Option<usize>,
    /// Go on with what happens from now on
    #[arg(long, short)]
    follow: bool,
    /// Read exports and logs instead of asking servers; `-` is standard input
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with_all = ["follow", "last"])]
    file: Vec<PathBuf>,
}

pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let at = ask::now();
    let kind = args.kind.as_ref().map(|kind| format!("kind:{kind}"));
    let text = match (&args.filter, &kind) {
        (Some(filter), Some(kind)) => Some(format!("({filter}) {kind}")),
        (filter, kind) => filter.as_ref().or(kind.as_ref()).cloned(),
    };
    let filter = rows::filter(text.as_deref(), at)?;
    if !args.file.is_empty() {
        return files(args, filter, at);
    }
    ask::block_on(async {
        let mut ask = Ask::connect(context, 0)?;
        ask.worlds().await;
        let mut printer = Printer::new(args, filter, &ask);
        let reached: Vec<ServerIndex> =
            (0..ask.asked.len()).filter(|place| ask.asked.get(*place).is_some_and(|a| a.replica.world.is_some())).map(ServerIndex).collect();
        let last = args.last.or((!args.json && !args.count).then_some(LAST));
        // What happens while the past is read waits until it has been printed.
        let mut meanwhile: Vec<(ServerIndex, Arc<Event>)> = Vec::new();
        match last {
            Some(last) => printer.last(&mut ask, &reached, last, &mut meanwhile).await?,
            None => printer.all(&mut ask, &reached, &mut meanwhile).await?,
        }
        if args.count {
            let count = printer.count.to_string();
            printer.out.line(&count)?;
        }
        if args.follow && !ask.is_offline() {
            printer.out = printer.out.live();
            printer.follow(&mut ask, meanwhile).await?;
        }
        printer.out.finish()?;
        ask.all_reached()
    })
}

fn files(args: &Args, filter: Filter, now: Time) -> Result<(), Failure> {
    let shape = match (args.count, args.json) {
        (true, _) => Shape::Count,
        (false, true) => Shape::Json,
        (false, false) => Shape::Lines,
    };
    let stdout = std::io::stdout();
    let asked = EventsFile { filter, files: &args.file, shape, terminal: stdout.is_terminal(), now, zone: TimeZone::system() };
    let told = events_file(asked, &mut stdout.lock())?;
    told.notes.iter().for_each(|note| output::tell(&format!("midwatch: {note}")));
    match told.errors.as_slice() {
        [] => Ok(()),
        [one] => Err(Failure::failed(one.to_string(), "")),
        many => {
            many.iter().for_each(|error| output::complain(&format!("midwatch: {error}")));
            Err(Failure::failed(format!("{} files could not be read", many.len()), ""))
        }
    }
}

/// What has been printed, and how.
struct Printer {
    out: Output,
    filter: Filter,
    zone: TimeZone,
    json: bool,
    counting: bool,
    names: Vec<Arc<str>>,
    count: u64,
    /// Where each server's log stood when we began; what lies beyond is also told as it happens.
    heads: Vec<Sequence>,
    /// Beyond that, but printed already.
    printed: HashSet<(usize, Sequence)>,
}

impl Printer {
    fn new(args: &Args, filter: Filter, ask: &Ask) -> Printer {
        let names = ask.asked.iter().map(|asked| asked.config.name.clone()).collect();
        let heads = ask.asked.iter().map(|asked| asked.replica.world.as_ref().map(|world| world.head).unwrap_or_default()).collect();
        Printer { out: Output::new(), filter, zone: TimeZone::system(), json: args.json, counting: args.count, names, count: 0, heads, printed: HashSet::new() }
    }

    fn matches(&self, server: ServerIndex, event: &Event) -> bool {
        let name = self.names.get(server.0).map_or("", |name| name);
        self.filter.matches(&OnServer { subject: event, server: name })
    }

    /// The last `most` that match, over all servers.
    async fn last(&mut self, ask: &mut Ask, servers: &[ServerIndex], most: usize, meanwhile: &mut Vec<(ServerIndex, Arc<Event>)>) -> Result<(), Failure> {
        let (since, until) = self.filter.bounds();
        let mut found: Vec<(ServerIndex, Arc<Event>)> = Vec::new();
        for server in servers {
            let mut from = until.map(|at| Place { at, sequence: Sequence::default() });
            let mut mine = 0;
            loop {
                let told = ask
                    .page(*server, Paging::Before(from), PAGE.min(most.saturating_mul(4).max(100)), &mut |from, update| keep(meanwhile, from, update))
                    .await?;
                let Some(oldest) = told.events.last().cloned() else { break };
                from = Some(Place { at: oldest.at, sequence: oldest.id.sequence });
                for event in told.events {
                    if mine < most && self.matches(*server, &event) {
                        mine += 1;
                        found.push((*server, event));
                    }
                }
                if told.complete || mine >= most || since.is_some_and(|since| oldest.at < since) {
                    break;
                }
            }
        }
        found.sort_by_key(|(_, event)| event.order());
        let skip = found.len().saturating_sub(most);
        found.iter().skip(skip).try_for_each(|(server, event)| self.print(*server, event))
    }

    /// All that match, oldest first.
    async fn all(&mut self, ask: &mut Ask, servers: &[ServerIndex], meanwhile: &mut Vec<(ServerIndex, Arc<Event>)>) -> Result<(), Failure> {
        struct Lane {
            server: ServerIndex,
            from: Option<Place>,
            ahead: VecDeque<Arc<Event>>,
            complete: bool,
        }
        let (since, until) = self.filter.bounds();
        let start = since.map(|at| Place { at, sequence: Sequence::default() });
        let mut lanes: Vec<Lane> = servers.iter().map(|server| Lane { server: *server, from: start, ahead: VecDeque::new(), complete: false }).collect();
        loop {
            for lane in lanes.iter_mut().filter(|lane| lane.ahead.is_empty() && !lane.complete) {
                let told = ask.page(lane.server, Paging::After(lane.from), PAGE, &mut |from, update| keep(meanwhile, from, update)).await?;
                if let Some(newest) = told.events.last() {
                    lane.from = Some(Place { at: newest.at, sequence: newest.id.sequence });
                }
                lane.complete =
                    told.complete || told.events.is_empty() || told.events.last().is_some_and(|newest| until.is_some_and(|until| newest.at > until));
                lane.ahead = told.events.into();
            }
            let next = lanes.iter_mut().filter(|lane| !lane.ahead.is_empty()).min_by_key(|lane| lane.ahead.front().map(|event| event.order()));
            let Some(lane) = next else { return Ok(()) };
            let server = lane.server;
            if let Some(event) = lane.ahead.pop_front()
                && self.matches(server, &event)
            {
                self.print(server, &event)?;
            }
        }
    }

    async fn follow(&mut self, ask: &mut Ask, meanwhile: Vec<(ServerIndex, Arc<Event>)>) -> Result<(), Failure> {
        for (server, event) in meanwhile {
            self.fresh(server, &event)?;
        }
        loop {
            let Some((server, update)) = ask.next().await else { return Ok(()) };
            match &update {
                Update::Events { events, .. } | Update::Snapshot { events, .. } => {
                    for event in events {
                        self.fresh(server, event)?;
                    }
                }
                Update::Disconnected { why, .. } => {
                    let name = self.names.get(server.0).map_or("", |name| name);
                    output::tell(&format!("midwatch: {name}: {why}; what follows may have a gap until it is back"));
                }
                _ => {}
            }
        }
    }

    /// Prints what happened since we began, once.
    fn fresh(&mut self, server: ServerIndex, event: &Event) -> Result<(), Failure> {
        let beyond = self.heads.get(server.0).is_none_or(|head| event.id.sequence > *head);
        if beyond && !self.printed.contains(&(server.0, event.id.sequence)) && self.matches(server, event) {
            self.print(server, event)?;
        }
        Ok(())
    }

    fn print(&mut self, server: ServerIndex, event: &Event) -> Result<(), Failure> {
        self.count += 1;
        if self.heads.get(server.0).is_some_and(|head| event.id.sequence > *head) {
            self.printed.insert((server.0, event.id.sequence));
        }
        if self.counting {
            return Ok(());
        }
        if self.json {
            return self.out.json(event);
        }
        let at = event.at.zoned(&self.zone).strftime("%Y-%m-%d %H:%M:%S ").to_string();
        let system = event.system.as_ref().map_or("-", |system| system.as_str());
        let server = if self.names.len() > 1 { self.names.get(server.0).map_or("", |name| name) } else { "" };
        let place = if server.is_empty() { system.to_owned() } else { format!("{server}:{system}") };
        let by = format!("  ({})", event.actor.name());
        let severity = format!("{:<8} ", event.severity);
        let kind = format!("{:<18} ", event.kind.name());
        self.out.toned(&[
            (Tone::Muted, &at),
            (Tone::Severity(event.severity), &severity),
            (Tone::Muted, &kind),
            (Tone::Strong, &place),
            (Tone::Plain, "  "),
            (Tone::Plain, &event.title),
            (Tone::Muted, &by),
        ])
    }
}

/// What happens while pages come.
fn keep(meanwhile: &mut Vec<(ServerIndex, Arc<Event>)>, server: ServerIndex, update: &Update) {
    if let Update::Events { events, .. } = update {
        meanwhile.extend(events.iter().map(|event| (server, event.clone())));
    }
}
