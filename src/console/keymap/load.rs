//! Reads a keymap's TOML: `inherits`, and sections for the layers, in them keys and commands. A command is
//! a text, a table with its condition (`{ run = "filter-clear", when = "filtered" }`), or a list of those, of
//! which the first that holds counts. Everything that is wrong with a file is told at once, with line and column.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::key::{Key, read_sequence};
use super::{Condition, Conditional, Keymap, Layer, Node, SHIPPED};
use crate::command::{Command, Effect};
use crate::model::nearest::{nearest, place};

/// All that is wrong with a keymap, one `file:line:column: what` each.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct KeymapError(pub Vec<String>);

const INHERITS: &str = "inherits";
/// Longer sequences help nobody.
const LONGEST: usize = 6;

/// The shipped keymap that a file lies over, when it says one. What else is wrong with it is told by [`load`].
pub(super) fn inherits(text: &str, name: &str) -> Result<Option<String>, KeymapError> {
    let Ok(table) = DeTable::parse(text) else { return Ok(None) };
    let Some((_, value)) = table.get_ref().iter().find(|(key, _)| key.get_ref() == INHERITS) else { return Ok(None) };
    let (line, column) = place(text, value.span().start);
    let wrong = |what: String| Err(KeymapError(vec![format!("{name}:{line}:{column}: {what}")]));
    match value.get_ref() {
        DeValue::String(below) if SHIPPED.iter().any(|(known, _)| known == below) => Ok(Some(below.to_string())),
        DeValue::String(below) => wrong(format!("there is no keymap `{below}`; {}", nearest_keymap(below))),
        _ => wrong("the name of a keymap is written as text, like \"vim\"".into()),
    }
}

pub(super) fn nearest_keymap(name: &str) -> String {
    let names: Vec<&str> = SHIPPED.iter().map(|(name, _)| *name).collect();
    match nearest(name, names.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("there are {}", names.join(", ")),
    }
}

pub(super) fn load(keymap: &mut Keymap, text: &str, name: &str) -> Result<(), KeymapError> {
    let mut problems: Vec<((usize, usize), String)> = Vec::new();
    match DeTable::parse(text) {
        Ok(table) => {
            let mut file = File { text, problems: &mut problems };
            for (section, content) in table.get_ref().iter().filter(|(section, _)| section.get_ref() != INHERITS) {
                file.section(keymap, section, content);
            }
        }
        Err(error) => {
            let at = error.span().map_or((1, 1), |span| place(text, span.start));
            problems.push((at, error.message().trim().replace('\n', ", ")));
        }
    }
    if problems.is_empty() {
        return Ok(());
    }
    problems.sort();
    Err(KeymapError(problems.into_iter().map(|((line, column), what)| format!("{name}:{line}:{column}: {what}")).collect()))
}

struct File<'a> {
    text: &'a str,
    problems: &'a mut Vec<((usize, usize), String)>,
}

impl File<'_> {
    fn wrong(&mut self, at: usize, what: impl std::fmt::Display) {
        self.problems.push((place(self.text, at), what.to_string()));
    }

    fn section(&mut self, keymap: &mut Keymap, section: &Spanned<toml::de::DeString<'_>>, content: &Spanned<DeValue<'_>>) {
        let name: &str = section.get_ref();
        let at = section.span().start;
        let Some(layer) = Layer::ALL.into_iter().find(|layer| layer.name() == name) else {
            let names = Layer::ALL.map(Layer::name);
            match nearest(name, names) {
                Some(near) => self.wrong(at, format_args!("there is no section `[{name}]`; did you mean `[{near}]`?")),
                None => self.wrong(at, format_args!("there is no section `[{name}]`; there are {}", names.join(", "))),
            }
            return;
        };
        let DeValue::Table(bindings) = content.get_ref() else {
            self.wrong(at, format_args!("`{name}` must be a section, written `[{name}]`"));
            return;
        };
        let mut seen: Vec<(Vec<Key>, bool)> = Vec::new();
        for (keys, value) in bindings {
            let at = keys.span().start;
            let sequence = match read_sequence(keys.get_ref()) {
                Ok(sequence) if sequence.len() <= LONGEST => sequence,
                Ok(_) => {
                    self.wrong(at, format_args!("`{}` is longer than {LONGEST} keys", keys.get_ref()));
                    continue;
                }
                Err(error) => {
                    self.wrong(at, error);
                    continue;
                }
            };
            let Some(node) = self.node(layer, &sequence, value) else { continue };
            let bound = !matches!(node, Node::Noop);
            if bound && seen.iter().any(|(other, other_bound)| *other_bound && clash(other, &sequence)) {
                self.wrong(
                    at,
                    format_args!("`{}` cannot be reached, or hides another: the shorter of two keys that begin alike is bound as well", keys.get_ref()),
                );
                continue;
            }
            seen.push((sequence.clone(), bound));
            keymap.bind(layer, &sequence, node);
        }
    }

    fn node(&mut self, layer: Layer, sequence: &[Key], value: &Spanned<DeValue<'_>>) -> Option<Node> {
        let at = value.span().start;
        match value.get_ref() {
            DeValue::String(line) => self.command(layer, sequence, at, line).map(|command| command.map_or(Node::Noop, Node::Command)),
            DeValue::Table(_) => {
                let choice = self.choice(layer, sequence, value)?;
                Some(Node::When(Conditional { choices: vec![choice], otherwise: None }))
            }
            DeValue::Array(all) => {
                let mut choices = Vec::new();
                let mut otherwise = None;
                for one in all {
                    if otherwise.is_some() {
                        self.wrong(one.span().start, "this is never reached: what stands before it has no condition");
                        return None;
                    }
                    match one.get_ref() {
                        DeValue::String(line) => {
                            let command = self.command(layer, sequence, one.span().start, line)?;
                            otherwise = Some(Box::new(command.map_or(Node::Noop, Node::Command)));
                        }
                        _ => choices.push(self.choice(layer, sequence, one)?),
                    }
                }
                Some(Node::When(Conditional { choices, otherwise }))
            }
            _ => {
                self.wrong(
                    at,
                    "a command is written as text, like \"alert-snooze 2h\", or with its condition, like { run = \"filter-clear\", when = \"filtered\" }",
                );
                None
            }
        }
    }

    /// `{ run = "…", when = "…" }`.
    fn choice(&mut self, layer: Layer, sequence: &[Key], value: &Spanned<DeValue<'_>>) -> Option<(Condition, Option<Command>)> {
        let at = value.span().start;
        let (mut run, mut when) = (None, None);
        let DeValue::Table(table) = value.get_ref() else {
            self.wrong(at, "a command with its condition is written { run = \"filter-clear\", when = \"filtered\" }");
            return None;
        };
        for (key, part) in table {
            match (key.get_ref().as_ref(), part.get_ref()) {
                ("run", DeValue::String(line)) => run = Some((part.span().start, line.to_string())),
                ("when", DeValue::String(text)) => when = Some((part.span().start, text.to_string())),
                ("run" | "when", _) => self.wrong(part.span().start, format_args!("`{}` is written as text", key.get_ref())),
                (other, _) => {
                    let hint = nearest(other, ["run", "when"]).map_or_else(|| "there are run and when".to_owned(), |near| format!("did you mean `{near}`?"));
                    self.wrong(key.span().start, format_args!("there is no `{other}` here; {hint}"));
                }
            }
        }
        let (Some((run_at, run)), Some((when_at, when))) = (run, when) else {
            self.wrong(at, "a command with its condition needs both: { run = \"filter-clear\", when = \"filtered\" }");
            return None;
        };
        let condition = match Condition::parse(&when) {
            Ok(condition) => condition,
            Err(error) => {
                // The quotation mark stands before the first column.
                let (line, column) = place(self.text, when_at);
                self.problems.push(((line, column + error.column), error.why));
                return None;
            }
        };
        let command = self.command(layer, sequence, run_at, &run)?;
        Some((condition, command))
    }

    /// The command of a line; `Some(None)` for `noop`, nothing when it is wrong.
    #[allow(clippy::option_option, reason = "what unbinds a key is not what is wrong")]
    fn command(&mut self, layer: Layer, sequence: &[Key], at: usize, line: &str) -> Option<Option<Command>> {
        if line.trim() == "noop" {
            return Some(None);
        }
        let command = match Command::parse(line) {
            Ok(command) => command,
            Err(error) => {
                self.wrong(at, error);
                return None;
            }
        };
        let entry = command.entry();
        if entry.effect == Effect::Changes && sequence.iter().any(|key| key.ctrl) {
            self.wrong(at, format_args!("`{}` changes the world, and so cannot be on a control key", entry.name));
            return None;
        }
        if (entry.scope == crate::command::Scope::Prompt) != (layer == Layer::Prompt) {
            let place = if layer == Layer::Prompt { "cannot be used in `[prompt]`" } else { "can only be used in `[prompt]`" };
            self.wrong(at, format_args!("`{}` {place}", entry.name));
            return None;
        }
        if let (Layer::Pane(pane), crate::command::Scope::Panes(panes)) = (layer, entry.scope)
            && !panes.contains(&pane)
        {
            self.wrong(at, format_args!("`{}` does nothing in `[{}]`", entry.name, pane.name()));
            return None;
        }
        Some(Some(command))
    }
}

/// Whether one is the beginning of the other (or the same, spelled differently).
fn clash(a: &[Key], b: &[Key]) -> bool {
    a.starts_with(b) || b.starts_with(a)
}
