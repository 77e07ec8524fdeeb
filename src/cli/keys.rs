//! `midwatch keys`: which key does what, from the registry and the effective keymap.

use std::path::{Path, PathBuf};

use super::output::{Output, Tone};
use super::{Context, Failure, toml_file};
use crate::command::{Command, Pane, Scope};
use crate::console::keymap::{Keymap, Layer};
use crate::model::nearest::nearest;

/// Print the key bindings in force, as a table
#[derive(clap::Args, Debug)]
#[command(after_help = "Example: midwatch keys\nExample: midwatch keys --pane alerts\nExample: midwatch keys --commands    (every command, bound or not)")]
pub struct Args {
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

/// The shipped keymap with the user's over it.
pub fn load(context: &Context) -> Result<Keymap, Failure> {
    let shipped = Keymap::shipped().map_err(|error| Failure::failed(format!("the shipped keymap is wrong: {error}"), "Please report this"))?;
    match file(context)? {
        Some(path) => over(shipped, &path),
        None => Ok(shipped),
    }
}

/// `--keymap`, else `keymap` in `console.toml`, else `keymap.toml` beside it when it is there.
fn file(context: &Context) -> Result<Option<PathBuf>, Failure> {
    if let Some(path) = context.global.keymap.clone().or(context.settings()?.keymap) {
        return Ok(Some(super::settings::home(&path)));
    }
    let usual = context.places.keymap();
    Ok(usual.exists().then_some(usual))
}

pub fn over(shipped: Keymap, path: &Path) -> Result<Keymap, Failure> {
    let text = toml_file::read(path)?
        .ok_or_else(|| Failure::failed(format!("there is no keymap {}", path.display()), "`midwatch config path` says where yours is looked for"))?;
    shipped.with(&text, &path.display().to_string()).map_err(|error| Failure::failed(error.to_string(), "`midwatch keys --commands` lists the commands"))
}

fn bindings(keymap: &Keymap, layers: &[Layer]) -> Vec<Row> {
    keymap
        .bindings(layers)
        .into_iter()
        .map(|binding| Row {
            layer: binding.layer.name(),
            keys: binding.keys_text(),
            command: binding.command.to_string(),
            sentence: binding.command.entry().sentence,
        })
        .collect()
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
