//! Reads a keymap's TOML: sections for the layers, in them keys and commands. Everything that is wrong
//! with a file is told at once, each with its line and column.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::key::{Key, read_sequence};
use super::{Keymap, Layer, Node};
use crate::command::{Command, Effect};
use crate::model::nearest::{nearest, place};

/// All that is wrong with a keymap, one `file:line:column: what` each.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{}", .0.join("\n"))]
pub struct KeymapError(pub Vec<String>);

/// Longer sequences help nobody.
const LONGEST: usize = 6;

pub(super) fn load(keymap: &mut Keymap, text: &str, name: &str) -> Result<(), KeymapError> {
    let mut problems: Vec<((usize, usize), String)> = Vec::new();
    match DeTable::parse(text) {
        Ok(table) => {
            let mut file = File { text, problems: &mut problems };
            for (section, content) in table.get_ref() {
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
            let bound = matches!(node, Node::Command(_));
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
        let DeValue::String(line) = value.get_ref() else {
            self.wrong(at, "a command is written as text, like \"alert-snooze 2h\"");
            return None;
        };
        if line.trim() == "noop" {
            return Some(Node::Noop);
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
        Some(Node::Command(command))
    }
}

/// Whether one is the beginning of the other (or the same, spelled differently).
fn clash(a: &[Key], b: &[Key]) -> bool {
    a.starts_with(b) || b.starts_with(a)
}
