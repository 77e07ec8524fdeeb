//! `midwatch keys`: which key does what, from the registry and the effective keymap; and the keys that
//! say who one is.

mod forget;
mod persons;
mod qr;
mod show;
mod signer;

use std::path::{Path, PathBuf};

pub use persons::row;
pub use signer::signer;

use super::output::{Output, Tone};
use super::{Context, Failure, toml_file};
use crate::command::{Command, Pane, Scope};
use crate::console::keymap::{Binding, Keymap, Layer, SHIPPED};
use crate::model::nearest::nearest;

/// Print the key bindings in force, as a table
#[derive(clap::Args, Debug)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Example: midwatch keys\nExample: midwatch keys --pane alerts\nExample: midwatch keys --keymap vim    (default, vim, emacs, k9s)\nExample: midwatch keys --commands    (every command, bound or not)"
)]
pub struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
    /// Only those that work in this pane: now, today, timeline, alerts, systems, servers
    #[arg(long, value_name = "PANE", value_parser = pane)]
    pane: Option<Pane>,
    /// Every command, with its sentence and its keys
    #[arg(long)]
    commands: bool,
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

#[derive(clap::Subcommand, Debug)]
enum Verb {
    Show(show::Args),
    Forget(forget::Args),
    Add(persons::Add),
    Remove(persons::Remove),
    Replace(persons::Replace),
}

fn pane(text: &str) -> Result<Pane, String> {
    Pane::named(text).ok_or_else(|| {
        let names = Pane::ALL.map(Pane::name);
        let near = nearest(text, names).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        format!("there is no such pane{near} ({})", names.join(", "))
    })
}

/// One key, or one command.
struct Row {
    layer: &'static str,
    keys: String,
    command: String,
    sentence: &'static str,
}

pub fn run(args: &Args, context: &Context) -> Result<(), Failure> {
    match &args.verb {
        Some(Verb::Show(args)) => return show::run(args, context),
        Some(Verb::Forget(args)) => return forget::run(args, context),
        Some(Verb::Add(args)) => return persons::add(args, context),
        Some(Verb::Remove(args)) => return persons::remove(args, context),
        Some(Verb::Replace(args)) => return persons::replace(args, context),
        None => {}
    }
    let keymap = load(context)?;
    let rows = match (args.commands, args.pane) {
        (true, _) => every_command(&keymap, args.pane),
        (false, Some(pane)) => bindings(&keymap, &[Layer::Pane(pane), Layer::Global]),
        (false, None) => bindings(&keymap, &Layer::ALL),
    };
    let mut out = Output::new();
    let mut table = Vec::new();
    for row in rows {
        if args.json {
            out.json(&serde_json::json!({ "where": row.layer, "keys": row.keys, "command": row.command, "does": row.sentence }))?;
        } else {
            table.push(vec![(Tone::Muted, row.layer.to_owned()), (Tone::Strong, row.keys), (Tone::Plain, row.command), (Tone::Muted, row.sentence.to_owned())]);
        }
    }
    out.table(&table)?;
    out.finish()
}

/// The keymap in force: a shipped one, with the user's file over it.
pub fn load(context: &Context) -> Result<Keymap, Failure> {
    let given = context.settings()?.keymap;
    load_as(context, given)
}

/// The same, as `console.toml` names it.
pub fn load_as(context: &Context, configured: Option<PathBuf>) -> Result<Keymap, Failure> {
    let (name, file) = chosen_of(context, configured);
    let below = Keymap::named(&name).map_err(|error| Failure::usage(error.to_string(), "--keymap takes one of these names, or a file"))?;
    match file {
        Some(path) => over(below, &path),
        None => Ok(below),
    }
}

/// `--keymap`, else `keymap` in `console.toml`: a shipped keymap's name, or a file. With a name, and with
/// none, `keymap.toml` beside the configuration lies over it when it is there.
pub fn chosen(context: &Context) -> Result<(String, Option<PathBuf>), Failure> {
    Ok(chosen_of(context, context.settings()?.keymap))
}

fn chosen_of(context: &Context, configured: Option<PathBuf>) -> (String, Option<PathBuf>) {
    let given = context.global.keymap.clone().or(configured);
    let usual = context.places.keymap();
    let usual = usual.exists().then_some(usual);
    match given {
        None => ("default".to_owned(), usual),
        Some(given) => match given.to_str().filter(|name| is_name(name)) {
            Some(name) => (name.to_owned(), usual),
            None => ("default".to_owned(), Some(super::settings::home(&given))),
        },
    }
}

/// A name and no path: no folder, no ending, and no such file here.
fn is_name(text: &str) -> bool {
    SHIPPED.iter().any(|(name, _)| *name == text) || (!text.contains(['/', '.', '~']) && !Path::new(text).exists())
}

/// The user's file over a keymap, or over the one that the file names itself.
pub fn over(below: Keymap, path: &Path) -> Result<Keymap, Failure> {
    let text = toml_file::read(path)?
        .ok_or_else(|| Failure::failed(format!("there is no keymap {}", path.display()), "`midwatch config path` says where yours is looked for"))?;
    below.user(&text, &path.display().to_string()).map_err(|error| Failure::failed(error.to_string(), "`midwatch keys --commands` lists the commands"))
}

fn bindings(keymap: &Keymap, layers: &[Layer]) -> Vec<Row> {
    keymap
        .bindings(layers)
        .into_iter()
        .map(|binding| Row { layer: binding.layer.name(), keys: binding.keys_text(), command: written(&binding), sentence: binding.command.entry().sentence })
        .collect()
}

/// The command, with the condition under which the key has it.
fn written(binding: &Binding) -> String {
    match &binding.when {
        Some(condition) => format!("{} (when {condition})", binding.command),
        None => binding.command.to_string(),
    }
}

fn every_command(keymap: &Keymap, pane: Option<Pane>) -> Vec<Row> {
    let all = keymap.bindings(&Layer::ALL);
    let here = |scope: &Scope| match (pane, scope) {
        (None, _) | (Some(_), Scope::Everywhere) => true,
        (Some(pane), Scope::Panes(panes)) => panes.contains(&pane),
        (Some(_), Scope::Prompt) => false,
    };
    crate::command::COMMANDS
        .iter()
        .filter(|entry| here(&entry.scope))
        .map(|entry| {
            let mut keys: Vec<String> = all.iter().filter(|b| b.command.name() == entry.name).map(|binding| binding.keys_text()).collect();
            keys.dedup();
            let layer = entry.category.title();
            Row { layer, keys: keys.join("  "), command: entry.name.to_owned(), sentence: entry.sentence }
        })
        .collect()
}

/// The shipped keys as the README has them: by category, all keys of a command in one line.
pub fn markdown() -> Result<String, Failure> {
    let shipped = Keymap::shipped().map_err(|error| Failure::failed(error.to_string(), ""))?;
    let mut lines: Vec<(&'static str, String, String, &'static str)> = Vec::new();
    let all = shipped.bindings(&Layer::ALL);
    for binding in all.iter().filter(|binding| binding.layer != Layer::Prompt) {
        let (category, command) = (binding.command.entry().category.title(), binding.command.to_string());
        // A key that does something else elsewhere says where it does this.
        let twofold = all.iter().any(|other| other.keys == binding.keys && other.command != binding.command && other.layer != Layer::Prompt);
        let place = match binding.layer {
            Layer::Pane(pane) if twofold => format!(" in {}", pane.title()),
            _ => String::new(),
        };
        let keys = format!("`{}`{place}", binding.keys_text().replace('|', "\\|"));
        match lines.iter_mut().find(|line| line.2 == command) {
            Some(line) if !line.1.split("  ").any(|known| known == keys) => line.1 = format!("{}  {keys}", line.1),
            Some(_) => {}
            None => lines.push((category, keys, command, sentence(&binding.command))),
        }
    }
    let order = |title: &str| crate::command::COMMANDS.iter().position(|entry| entry.category.title() == title).unwrap_or(usize::MAX);
    lines.sort_by_key(|line| order(line.0));
    let mut out = String::from("| keys | command | does |\n| --- | --- | --- |\n");
    for (_, keys, command, sentence) in lines {
        out.push_str(&format!("| {} | `{command}` | {sentence} |\n", keys.replace("  ", " ")));
    }
    Ok(out)
}

const fn sentence(command: &Command) -> &'static str {
    command.entry().sentence
}
