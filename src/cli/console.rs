//! The console itself, on servers or on anything else that feeds it.

use std::sync::Arc;

use super::{Context, Failure, keys, toml_file};
use crate::client::{Address, ServerConfig, Servers, servers::Wishes};
use crate::console::runtime::{ConsoleError, Feed, Options, run};
use crate::console::sight::Link;
use crate::console::state::Setup;
use crate::console::theme::{Depth, Glyphs, Theme};
use crate::link::{OsRandom, Random};
use crate::model::id::{Person, RequestId};

/// Newest events that come with a server's snapshot; older ones are paged in when they are wanted.
const HISTORY: u32 = 500;

/// Opens the console on these servers. Returns when it is quit.
pub fn open(context: &Context, configs: Vec<ServerConfig>, person: Arc<str>) -> Result<(), Failure> {
    let links = configs.iter().map(|config| Link::new(config.name.clone(), words(&config.address).into(), config.env.clone())).collect();
    let wishes = Wishes { name: person.clone(), history: HISTORY, filter: None, vitals: false };
    let connect = move || {
        let random: Arc<dyn Random> = Arc::new(OsRandom);
        Servers::connect(&configs, &wishes, &random)
    };
    show(context, links, person, Feed::Servers(Box::new(connect)))
}

/// Opens the console on anything that feeds it.
pub fn show(context: &Context, links: Vec<Link>, person: Arc<str>, feed: Feed) -> Result<(), Failure> {
    let options = options(context, links, &person)?;
    crate::console::screen::terminal::report_panics(&context.places.embedded());
    // One thread: the console waits for everything in one place, and starts at once.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::failed(format!("cannot start: {error}"), "Are there too many open files or processes?"))?;
    runtime.block_on(run(options, feed)).map_err(|error| match error {
        ConsoleError::Terminal(error) => Failure::failed(error.to_string(), "`midwatch now` prints the same without a screen of its own"),
        ConsoleError::Signals(error) | ConsoleError::Outbox(error) => Failure::failed(error.to_string(), "`midwatch doctor` looks at the data folder"),
    })
}

fn words(address: &Address) -> String {
    match address {
        Address::Tcp(address) => address.clone(),
        Address::Unix(path) => format!("unix:{}", path.display()),
    }
}

fn options(context: &Context, servers: Vec<Link>, person: &str) -> Result<Options, Failure> {
    let var = |name: &str| std::env::var(name).ok();
    let depth = Depth::detect(var);
    let ascii = !Glyphs::locale_is_utf8(var);
    let themes = themes(context)?;
    let chosen = context.global.theme.clone();
    let name = chosen.as_deref().unwrap_or("midwatch");
    let theme =
        Theme::load(name, &themes, depth, ascii).map_err(|error| Failure::usage(error.to_string(), "`midwatch --theme midwatch` is the shipped one"))?;
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
            servers,
            keymap: keys::load(context)?,
            theme,
            zone: jiff::tz::TimeZone::system(),
            me: Person::from(person),
            read_only: context.global.read_only,
            request_id: Box::new(random),
        },
        depth,
        ascii,
        themes,
        theme_chosen: chosen.is_some(),
        notify: true,
    })
}

/// The user's own themes, beside the console's configuration.
fn themes(context: &Context) -> Result<Vec<(String, String)>, Failure> {
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
