//! `midwatch` alone: the console, on the configured servers or on the embedded one; and for whoever else
//! has servers or files to show.

use std::io::IsTerminal;
use std::sync::Arc;

use sha2::{Digest, Sha256};
use tokio::sync::watch;

use super::ask::{Chosen, chosen};
use super::embedded::{self, Sources};
use super::places::make_private;
use super::reload::{self, Watch};
use super::serve::STAY;
use super::{Context, Failure, keys, toml_file};
use crate::client::whole::file_name;
use crate::client::{Address, Kept, ReadMarks, ServerConfig, Servers, keep, servers::Wishes};
use crate::command::Pane;
use crate::console::message::Arriving;
use crate::console::runtime::{self, ConsoleError, Feed, Keeping, Left, Lines, Options};
use crate::console::sight::Link;
use crate::console::state::Setup;
use crate::console::theme::{AUTO, Depth, Glyphs, Themes};
use crate::console::views::View;
use crate::link::{FileOutbox, OsRandom, Outbox, Random};
use crate::model::id::{Person, RequestId};

/// Newest events that come with a server's snapshot; older ones are paged in when they are wanted.
const HISTORY: u32 = 500;

/// What the console is started with, beside what every subcommand takes.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct Args {
    /// Feed the console from this Alertmanager; nothing changes on its side; repeatable
    #[arg(long, value_name = "URL")]
    alertmanager: Vec<String>,
    /// Feed the console from this Prometheus; repeatable
    #[arg(long, value_name = "URL")]
    prometheus: Vec<String>,
    /// Open as if for the first time: not with the pane, filters and folds that were left
    #[arg(long)]
    fresh: bool,
}

impl Args {
    /// An option of the console that was given, when one was: subcommands do not know them.
    pub fn given(&self) -> Option<&'static str> {
        let options = [(!self.alertmanager.is_empty(), "--alertmanager"), (!self.prometheus.is_empty(), "--prometheus"), (self.fresh, "--fresh")];
        options.into_iter().find(|(given, _)| *given).map(|(_, name)| name)
    }
}

pub fn run(args: Args, context: &Context) -> Result<(), Failure> {
    needs_terminal(context)?;
    let settings = context.settings()?;
    let sources = Sources { alertmanagers: args.alertmanager, prometheuses: args.prometheus };
    sources.check()?;
    let Chosen { configs, person, embedded } = chosen(context)?;
    let mut servers = if embedded.is_some() { Vec::new() } else { configs };
    for server in &mut servers {
        let outbox = context.places.state.join("outbox").join(file_name(&server.name));
        make_private(&outbox)?;
        server.outbox = Some(outbox);
        let heard = context.places.state.join("heard");
        make_private(&heard)?;
        server.heard = Some(heard.join(file_name(&server.name)));
    }
    if embedded.is_some() || !sources.is_empty() {
        let linger = if settings.stay { STAY } else { settings.linger };
        servers.push(embedded::ready(context, &sources, linger)?);
    }
    let home = settings.home(servers.iter().map(|server| &*server.name));
    let reading = ReadMarks::open(Some(marks_file(context, &person)), home, super::ask::now());
    let parts = servers.iter().map(|server| format!("{} {}", server.name, words(&server.address))).collect();
    let left = left(context, parts, args.fresh)?;
    open(context, servers, person, None, Before { reading, left })
}

/// How a console on these servers or files was left, and where that is kept: the same set has the same file, in
/// whatever order it was named. `fresh`: it does not come back this time.
pub fn left(context: &Context, mut parts: Vec<String>, fresh: bool) -> Result<Left, Failure> {
    if !context.settings()?.restore {
        return Ok(Left::default());
    }
    parts.sort();
    let digest = Sha256::digest(parts.join("\n").as_bytes());
    let name: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    Ok(Left::at(context.places.state.join("sessions").join(name).with_extension("json"), fresh))
}

/// Where this machine keeps how far a person has looked.
pub fn marks_file(context: &Context, person: &str) -> std::path::PathBuf {
    context.places.state.join("marks").join(file_name(person)).with_added_extension("json")
}

/// Frames are for a terminal; lines for anything.
pub fn needs_terminal(context: &Context) -> Result<(), Failure> {
    if is_linear(context) || (std::io::stdin().is_terminal() && std::io::stdout().is_terminal()) {
        return Ok(());
    }
    Err(Failure::usage("the console needs a terminal", "`midwatch --linear`, `midwatch now` and `midwatch --help` work without one"))
}

/// Lines instead of frames: asked for, or the terminal can do nothing else.
fn is_linear(context: &Context) -> bool {
    context.global.linear || std::env::var_os("TERM").is_some_and(|term| term == "dumb")
}

/// What former consoles heard and asked for, and where the links go on.
fn keeping(configs: &mut [ServerConfig]) -> Result<Vec<Option<Keeping>>, Failure> {
    let mut out = Vec::with_capacity(configs.len());
    for config in configs {
        let (Some(path), Some(outbox)) = (&config.heard, &config.outbox) else {
            out.push(None);
            continue;
        };
        let kept = keep::load(path);
        config.cursor = kept.as_ref().map(Kept::cursor);
        let unsent = FileOutbox::open(outbox)
            .map_err(|error| Failure::failed(format!("cannot read what is unsent in {}: {error}", outbox.display()), "Look at the folder's rights"))?
            .waiting();
        out.push(Some(Keeping { path: path.clone(), kept, unsent }));
    }
    Ok(out)
}

/// What former consoles have left, beside what they heard.
#[derive(Default)]
pub struct Before {
    pub reading: ReadMarks,
    pub left: Left,
}

/// Opens the console on these servers, into which a past is perhaps being brought. Returns when it is quit.
pub fn open(
    context: &Context,
    mut configs: Vec<ServerConfig>,
    person: Arc<str>,
    arriving: Option<watch::Receiver<Arriving>>,
    before: Before,
) -> Result<(), Failure> {
    let links = configs.iter().map(|config| Link::new(config.name.clone(), words(&config.address).into(), config.env.clone())).collect();
    let keeping = keeping(&mut configs)?;
    let wishes = Wishes { name: person.clone(), history: HISTORY, filter: None, vitals: false, presence: context.settings()?.presence, peers: true };
    let connect = move || {
        let random: Arc<dyn Random> = Arc::new(OsRandom);
        Servers::connect(&configs, &wishes, &random)
    };
    show_kept(context, links, person, Feed::Servers(Box::new(connect)), arriving, keeping, before)
}

/// Opens the console on anything that feeds it: servers begin with what is wrong now, files with what they hold.
pub fn show(context: &Context, links: Vec<Link>, person: Arc<str>, feed: Feed, before: Before) -> Result<(), Failure> {
    show_kept(context, links, person, feed, None, Vec::new(), before)
}

fn show_kept(
    context: &Context,
    links: Vec<Link>,
    person: Arc<str>,
    feed: Feed,
    arriving: Option<watch::Receiver<Arriving>>,
    keeping: Vec<Option<Keeping>>,
    before: Before,
) -> Result<(), Failure> {
    let initial = match &feed {
        Feed::Servers(_) => Pane::Now,
        Feed::Files { .. } => Pane::Timeline,
    };
    let options = Options { initial, arriving, keeping, reading: before.reading, left: before.left, ..options(context, links, &person)? };
    // The screen is the console's alone: what is logged meanwhile goes into a file.
    let _diverted = super::logging::into_file(&context.places.state.join("console.log"));
    crate::console::screen::terminal::report_panics(&context.places.embedded());
    // One thread: the console waits for everything in one place, and starts at once.
    let threads = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("cannot start: {error}"), "Are there too many open files or processes?"))?;
    threads.block_on(runtime::run(options, feed)).map_err(|error| match error {
        ConsoleError::Terminal(error) => Failure::failed(error.to_string(), "`midwatch now` prints the same without a screen of its own"),
        ConsoleError::Signals(error) | ConsoleError::Outbox(error) => Failure::failed(error.to_string(), "`midwatch doctor` looks at the data folder"),
    })
}

fn words(address: &Address) -> String {
    match address {
        Address::Tcp(address) => address.clone(),
        Address::Tls(address) => format!("wss://{address}"),
        Address::Unix(path) => format!("unix:{}", path.display()),
    }
}

fn options(context: &Context, servers: Vec<Link>, person: &str) -> Result<Options, Failure> {
    let var = |name: &str| std::env::var(name).ok();
    let depth = Depth::detect(var);
    let stamps = reload::stamps(context);
    let settings = context.settings()?;
    let clears = var("TERM").is_some_and(|term| !term.is_empty() && term != "dumb");
    let linear = is_linear(context).then(|| Lines {
        echo: !std::io::stdin().is_terminal(),
        clears,
        colours: clears && std::io::stdout().is_terminal() && depth != Depth::None,
    });
    let ascii = linear.is_some() || settings.ascii.unwrap_or_else(|| !Glyphs::locale_is_utf8(var));
    let themes = Themes { depth, ascii, files: themes(context)? };
    let chosen = context.global.theme.clone().or(settings.theme.clone()).filter(|name| name != AUTO);
    let name = chosen.as_deref().unwrap_or(Themes::for_background(false));
    let theme = themes.load(name).map_err(|error| Failure::usage(error.to_string(), "`midwatch --theme midwatch` is the shipped one"))?;
    // A mistake in them keeps nobody from the console.
    let (views, mistakes) = views(context)?;
    let folder = format!("{}/", context.places.config.display());
    let mistakes = mistakes.into_iter().map(|mistake| mistake.replace(&folder, "")).collect();
    let keymap = keys::load(context)?;
    let watch = Watch::new(context, stamps, keymap.clone(), themes.clone(), views.clone())?;
    let random = {
        let random = OsRandom;
        move || {
            let mut bytes = [0_u8; 16];
            random.fill(&mut bytes);
            RequestId(bytes)
        }
    };
    Ok(Options {
        setup: Setup {
            shifts: settings.shift_starts(),
            servers,
            keymap,
            theme,
            zone: jiff::tz::TimeZone::system(),
            me: Person::from(person),
            read_only: context.global.read_only,
            request_id: Box::new(random),
        },
        initial: Pane::Now,
        at: context.at()?,
        keeping: Vec::new(),
        themes,
        views,
        views_file: Some(context.places.views()),
        theme_chosen: chosen,
        notify: settings.notify.0,
        presence: settings.presence,
        links: settings.links,
        mouse: settings.mouse,
        linear,
        kept: Some(context.places.state.join("timeline.json")),
        reading: ReadMarks::default(),
        left: Left::default(),
        arriving: None,
        changes: reload::watch(watch),
        mistakes,
    })
}

/// The saved views, and what is wrong with their file.
pub fn views(context: &Context) -> Result<(Vec<View>, Vec<String>), Failure> {
    let path = context.places.views();
    let text = toml_file::read(&path)?.unwrap_or_default();
    Ok(crate::console::views::read(&text, &path.display().to_string()))
}

/// The user's own themes, beside the console's configuration.
pub fn themes(context: &Context) -> Result<Vec<(String, String)>, Failure> {
    let folder = context.places.themes();
    let Ok(entries) = std::fs::read_dir(&folder) else { return Ok(Vec::new()) };
    let mut out = Vec::new();
    for entry in entries.flatten() {
        let path = entry.path();
        let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        if path.extension().is_some_and(|end| end == "toml") && !name.is_empty() {
            out.extend(toml_file::read(&path)?.map(|text| (name, text)));
        }
    }
    out.sort();
    Ok(out)
}
