//! `midwatch server`: the servers that this console knows, in `console.toml`. Comments and order of the
//! file stay as they are.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use toml_edit::{DocumentMut, Item, Table, value};

use super::output::{Output, Tone};
use super::settings::{Settings, server_name, token};
use super::{Context, Failure, toml_file};
use crate::client::{Address, whole};

/// Add, list or remove the servers that the console connects to
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand, Debug)]
enum Verb {
    Add(Add),
    List(List),
    Remove(Remove),
}

/// Add a server, under a name of your choice
#[derive(clap::Args, Debug)]
#[command(
    after_help = "Example: midwatch server add shop wss://ops.example.org:7373\nExample: midwatch server add infra ws://127.0.0.1:7373 --token-file ~/.config/midwatch/infra.token --env production\n\nOver wss:// the server is known by its key, which is remembered when it is first met, or an authority vouches for its certificate (--ca, else those that this machine trusts)."
)]
struct Add {
    name: String,
    /// wss://HOST:PORT; on this machine ws://127.0.0.1:PORT or unix:/path/server.sock
    url: String,
    /// The file of mode 0600 that holds the token for it, where your key is not known
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// What kind of environment it is: production looks different
    #[arg(long, value_name = "WORD")]
    env: Option<String>,
    /// The authorities (PEM) that vouch for its certificate, instead of this machine's
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// A proxy that you trust fully ends TLS before it
    #[arg(long)]
    proxy: bool,
}

/// List the servers that are configured
#[derive(clap::Args, Debug)]
#[command(after_help = "Example: midwatch server list")]
struct List {
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

/// Forget a server
#[derive(clap::Args, Debug)]
#[command(after_help = "Example: midwatch server remove infra")]
struct Remove {
    name: String,
}

pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    let path = context.console_config();
    match &args.verb {
        Verb::Add(args) => add(args, &path),
        Verb::List(args) => list(args, context),
        Verb::Remove(args) => {
            remove(args, &path)?;
            // Who is called so next is met anew.
            context.places.known_servers().forget(&args.name).map(|_| ()).map_err(|error| Failure::failed(error.to_string(), ""))
        }
    }
}

/// A server that was joined: under this name from now on, wherever it was before.
pub(super) fn enter(path: &Path, name: &str, url: &str) -> Result<(), Failure> {
    let mut document = document(path)?;
    let servers = servers(&mut document, path)?;
    match servers.get_mut(name).and_then(Item::as_table_like_mut) {
        Some(known) if known.get("url").and_then(Item::as_str) == Some(url) => return Ok(()),
        Some(_) => {
            let hint = "Choose another name for this one with --as; the code was redeemed, and can be brought again";
            return Err(Failure::failed(format!("another server is called `{name}` already"), hint));
        }
        None => {
            let mut entry = Table::new();
            entry.insert("url", value(url));
            servers.insert(name, Item::Table(entry));
        }
    }
    write(path, &document)
}

fn servers<'a>(document: &'a mut DocumentMut, path: &Path) -> Result<&'a mut Table, Failure> {
    let servers = document.entry("servers").or_insert_with(|| {
        let mut table = Table::new();
        table.set_implicit(true);
        Item::Table(table)
    });
    let words = || Failure::failed(format!("{}: `servers` is no table", path.display()), "Write [servers.NAME] with a url beneath it");
    servers.as_table_mut().ok_or_else(words)
}

fn add(args: &Add, path: &Path) -> Result<(), Failure> {
    if !server_name(&args.name) {
        return Err(Failure::usage(format!("`{}` is no name for a server", args.name), "Use letters, digits, `-` and `_`"));
    }
    let address = Address::parse(&args.url).map_err(|error| Failure::usage(error.to_string(), ""))?;
    if !matches!(address, Address::Tls(_)) && (args.ca.is_some() || args.proxy) {
        return Err(Failure::usage("--ca and --proxy are about TLS, and this address has none", "Write wss://, or leave them out"));
    }
    if let Some(file) = &args.token_file {
        token(file)?;
    }
    let mut document = document(path)?;
    let servers = servers(&mut document, path)?;
    if servers.contains_key(&args.name) {
        return Err(Failure::failed(format!("a server is called `{}` already", args.name), "Remove it first, or choose another name"));
    }
    let mut entry = Table::new();
    entry.insert("url", value(args.url.as_str()));
    if let Some(file) = &args.token_file {
        entry.insert("token_file", value(file.display().to_string()));
    }
    if let Some(env) = &args.env {
        entry.insert("env", value(env.as_str()));
    }
    if let Some(ca) = &args.ca {
        entry.insert("ca", value(ca.display().to_string()));
    }
    if args.proxy {
        entry.insert("proxy", value(true));
    }
    servers.insert(&args.name, Item::Table(entry));
    write(path, &document)?;
    say(&format!("{} is in {}; `midwatch servers` asks it how it is", args.name, path.display()))
}

fn remove(args: &Remove, path: &Path) -> Result<(), Failure> {
    let mut document = document(path)?;
    let removed = document.get_mut("servers").and_then(Item::as_table_like_mut).and_then(|servers| servers.remove(&args.name));
    if removed.is_none() {
        return Err(Failure::failed(format!("no server is called `{}`", args.name), "`midwatch server list` shows those that are"));
    }
    write(path, &document)?;
    say(&format!("{} is forgotten", args.name))
}

fn list(args: &List, context: &Context) -> Result<(), Failure> {
    let settings = context.settings()?;
    let mut out = Output::new();
    if settings.servers.is_empty() && !args.json {
        out.line("None is configured: the console runs an embedded server that watches this machine.")?;
    }
    let mut table = Vec::new();
    for (name, entry) in &settings.servers {
        if args.json {
            out.json(&serde_json::json!({ "server": name, "url": entry.url, "token_file": entry.token_file, "env": entry.env, "ca": entry.ca, "proxy": entry.proxy }))?;
        } else {
            let env = entry.env.clone().unwrap_or_default();
            table.push(vec![(Tone::Strong, name.clone()), (Tone::Plain, entry.url.clone()), (Tone::Muted, env)]);
        }
    }
    out.table(&table)?;
    out.finish()
}

fn say(words: &str) -> Result<(), Failure> {
    let mut out = Output::new();
    out.line(words)?;
    out.finish()
}

/// The file as it is, checked first: what is wrong already is not made worse.
fn document(path: &Path) -> Result<DocumentMut, Failure> {
    Settings::load(path, false)?;
    let text = toml_file::read(path)?.unwrap_or_default();
    text.parse().map_err(|error| Failure::failed(format!("{}: {error}", path.display()), ""))
}

fn write(path: &Path, document: &DocumentMut) -> Result<(), Failure> {
    whole::replace_with(path, document.to_string().as_bytes())
        .map_err(|error| Failure::failed(format!("cannot write {}: {error}", path.display()), "Check who may write there, and that there is room"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adding_and_removing_leaves_the_rest_of_the_file_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("sub/console.toml");
        let entry =
            |name: &str| Add { name: name.into(), url: "ws://127.0.0.1:1".into(), token_file: None, env: Some("production".into()), ca: None, proxy: false };
        add(&entry("shop"), &path).unwrap();
        let before = format!("# mine\nlinger = \"1h\"  # long\n\n{}", std::fs::read_to_string(&path).unwrap());
        std::fs::write(&path, &before).unwrap();
        add(&entry("infra"), &path).unwrap();
        assert!(add(&entry("infra"), &path).unwrap_err().to_string().contains("already"));
        assert_eq!(Settings::load(&path, true).unwrap().servers.len(), 2);
        remove(&Remove { name: "infra".into() }, &path).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), before);
        assert!(remove(&Remove { name: "infra".into() }, &path).is_err());
    }

    #[test]
    fn bad_names_and_addresses_are_refused_before_anything_is_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("console.toml");
        let with = |name: &str, url: &str| add(&Add { name: name.into(), url: url.into(), token_file: None, env: None, ca: None, proxy: false }, &path);
        assert_eq!(with("a b", "ws://127.0.0.1:1").unwrap_err().code(), 2);
        assert_eq!(with("a", "nowhere").unwrap_err().code(), 2);
        assert!(!path.exists());
    }
}
