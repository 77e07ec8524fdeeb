//! Which key does what: a trie for each part of the console, read from TOML.
//!
//! The shipped keymaps are embedded; each says which one it lies over, and so may a user's file, which
//! changes only what it names. Lookups go through layers, the innermost first: what floats on top, then the
//! pane, then what holds everywhere. A binding may hold under a condition only: [`Keymap::under`] gives the
//! keymap as it is while certain facts are so.

pub mod condition;
pub mod key;
mod load;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::command::{Command, Pane};
pub use condition::{Condition, Facts};
pub use key::{Code, Key};
pub use load::KeymapError;

/// The shipped keymaps: name and file. The first is what there is without a choice.
pub const SHIPPED: &[(&str, &str)] = &[
    ("default", include_str!("../../../keymaps/default.toml")),
    ("vim", include_str!("../../../keymaps/vim.toml")),
    ("emacs", include_str!("../../../keymaps/emacs.toml")),
    ("k9s", include_str!("../../../keymaps/k9s.toml")),
];

/// Where a key is pressed; each has a section in the file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Layer {
    /// A prompt or list that floats above the pane.
    Prompt,
    Pane(Pane),
    Global,
}

impl Layer {
    pub const ALL: [Layer; 8] = [
        Layer::Global,
        Layer::Pane(Pane::Now),
        Layer::Pane(Pane::Today),
        Layer::Pane(Pane::Timeline),
        Layer::Pane(Pane::Alerts),
        Layer::Pane(Pane::Systems),
        Layer::Pane(Pane::Servers),
        Layer::Prompt,
    ];

    /// Its section's name.
    pub const fn name(self) -> &'static str {
        match self {
            Layer::Prompt => "prompt",
            Layer::Pane(pane) => pane.name(),
            Layer::Global => "global",
        }
    }
}

/// The layers that count in a pane, innermost first.
pub const fn layers_of(pane: Pane) -> [Layer; 2] {
    [Layer::Pane(pane), Layer::Global]
}

/// What is bound at a place of the trie.
#[derive(Clone, Debug, PartialEq)]
enum Node {
    Command(Command),
    /// Unbound on purpose: hides what an outer layer has there.
    Noop,
    Prefix(BTreeMap<Key, Node>),
    When(Conditional),
}

/// The first whose condition holds; else what stood here before, if anything did.
#[derive(Clone, Debug, PartialEq)]
struct Conditional {
    /// Without a command, the key does nothing while the condition holds.
    choices: Vec<(Condition, Option<Command>)>,
    otherwise: Option<Box<Node>>,
}

/// What a sequence of keys comes to.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// More keys must follow.
    Pending,
    Matched(Command),
    /// Nothing begins like this.
    NotFound,
    /// A prefix was under way, and this key does not go on from it: the keys that are dropped.
    Cancelled(Vec<Key>),
}

/// One line of the key table.
#[derive(Clone, Debug, PartialEq)]
pub struct Binding {
    pub layer: Layer,
    pub keys: Vec<Key>,
    pub command: Command,
    pub when: Option<Condition>,
}

impl Binding {
    /// `g g`, as a file has it.
    pub fn keys_text(&self) -> String {
        key::write_sequence(&self.keys)
    }
}

/// What may come after a prefix.
#[derive(Clone, Debug, PartialEq)]
pub struct Next {
    pub key: Key,
    /// Nothing when this key is itself a prefix.
    pub command: Option<Command>,
}

/// All bindings of all layers. The keys under way are the caller's state, in [`Pressed`].
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Keymap {
    layers: BTreeMap<Layer, BTreeMap<Key, Node>>,
}

/// The keys of a sequence that is under way.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Pressed(Vec<Key>);

impl Pressed {
    pub fn keys(&self) -> &[Key] {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }
}

impl Keymap {
    /// The default keymap alone.
    pub fn shipped() -> Result<Keymap, KeymapError> {
        Keymap::named("default")
    }

    /// A shipped keymap, over those that it lies over.
    pub fn named(name: &str) -> Result<Keymap, KeymapError> {
        let Some((name, text)) = SHIPPED.iter().find(|(known, _)| *known == name) else {
            return Err(KeymapError(vec![format!("there is no keymap `{}`; {}", name.chars().take(60).collect::<String>(), load::nearest_keymap(name))]));
        };
        let below = match load::inherits(text, name)? {
            Some(below) if below != *name => Keymap::named(&below)?,
            Some(_) | None => Keymap::default(),
        };
        below.with(text, &format!("keymaps/{name}.toml"))
    }

    /// A user's file: over the shipped keymap that it names, else over this one. `name` is what errors call it.
    pub fn user(self, text: &str, name: &str) -> Result<Keymap, KeymapError> {
        match load::inherits(text, name)? {
            Some(below) => Keymap::named(&below)?.with(text, name),
            None => self.with(text, name),
        }
    }

    /// This keymap with a file's text over it. `name` is what errors call the file.
    pub fn with(mut self, text: &str, name: &str) -> Result<Keymap, KeymapError> {
        load::load(&mut self, text, name)?;
        Ok(self)
    }

    /// The keymap as it is while these facts are so: no condition is left in it.
    pub fn under(&self, facts: &Facts) -> Keymap {
        Keymap { layers: self.layers.iter().map(|(layer, level)| (*layer, under(level, facts))).collect() }
    }

    /// Whether any key depends on what is so.
    pub fn has_conditions(&self) -> bool {
        fn any(level: &BTreeMap<Key, Node>) -> bool {
            level.values().any(|node| match node {
                Node::When(_) => true,
                Node::Prefix(next) => any(next),
                Node::Command(_) | Node::Noop => false,
            })
        }
        self.layers.values().any(any)
    }

    /// Takes one key. `pressed` keeps what is under way, and is empty again after anything but `Pending`.
    /// Escape always cancels a prefix.
    pub fn press(&self, pressed: &mut Pressed, layers: &[Layer], key: Key) -> Outcome {
        let under_way = !pressed.0.is_empty();
        if under_way && key == Key::plain(Code::Esc) {
            let mut keys = std::mem::take(&mut pressed.0);
            keys.push(key);
            return Outcome::Cancelled(keys);
        }
        pressed.0.push(key);
        let mut pending = false;
        let mut found = None;
        for layer in layers {
            match self.walk(*layer, &pressed.0) {
                Some(Node::Command(command)) => {
                    found = Some(command.clone());
                    break;
                }
                Some(Node::Noop) => break,
                // A prefix all of whose keys are unbound is none.
                Some(node @ Node::Prefix(_)) => pending = node.leads_somewhere(),
                Some(Node::When(_)) | None => {}
            }
            if pending {
                break;
            }
        }
        if pending {
            return Outcome::Pending;
        }
        let keys = std::mem::take(&mut pressed.0);
        match found {
            Some(command) => Outcome::Matched(command),
            None if under_way => Outcome::Cancelled(keys),
            None => Outcome::NotFound,
        }
    }

    /// The keys that may follow what is under way.
    pub fn next(&self, pressed: &Pressed, layers: &[Layer]) -> Vec<Next> {
        let mut all: BTreeMap<Key, Option<&Node>> = BTreeMap::new();
        for layer in layers {
            let level = if pressed.0.is_empty() {
                self.layers.get(layer)
            } else {
                match self.walk(*layer, &pressed.0) {
                    Some(Node::Prefix(level)) => Some(level),
                    Some(Node::Command(_) | Node::Noop) => break,
                    Some(Node::When(_)) | None => None,
                }
            };
            for (key, node) in level.into_iter().flatten() {
                all.entry(*key).or_insert(Some(node));
            }
        }
        all.into_iter()
            .filter_map(|(key, node)| match node?.plain()? {
                Node::Command(command) => Some(Next { key, command: Some(command.clone()) }),
                Node::Prefix(level) if level.values().any(Node::leads_somewhere) => Some(Next { key, command: None }),
                Node::Prefix(_) | Node::Noop | Node::When(_) => None,
            })
            .collect()
    }

    /// What every key does in these layers: inner ones hide outer ones.
    pub fn effective(&self, layers: &[Layer]) -> Vec<Binding> {
        let mut out: Vec<Binding> = Vec::new();
        for layer in self.bindings(layers).into_iter().filter(|binding| binding.when.is_none()) {
            if self.does(layers, &layer.keys, &layer.command) && !out.iter().any(|other| other.keys == layer.keys) {
                out.push(layer);
            }
        }
        out
    }

    /// Whether these keys, pressed one after the other, are this command, and not something else before the last.
    fn does(&self, layers: &[Layer], keys: &[Key], command: &Command) -> bool {
        let mut pressed = Pressed::default();
        let mut last = Outcome::NotFound;
        for key in keys {
            last = self.press(&mut pressed, layers, *key);
            if last != Outcome::Pending {
                break;
            }
        }
        matches!(last, Outcome::Matched(found) if found == *command)
    }

    /// All that is bound, layer by layer, whether or not another layer hides it.
    pub fn bindings(&self, layers: &[Layer]) -> Vec<Binding> {
        let mut out = Vec::new();
        for layer in layers {
            if let Some(level) = self.layers.get(layer) {
                collect(*layer, &mut Vec::new(), level, &mut out);
            }
        }
        out
    }

    /// The keys of a command here, as a hint shows them: the shortest.
    pub fn key_for(&self, layers: &[Layer], command: &Command) -> Option<Vec<Key>> {
        let mut best: Option<Vec<Key>> = None;
        for level in layers.iter().filter_map(|layer| self.layers.get(layer)) {
            leading_to(command, &mut Vec::new(), level, &mut |keys| {
                if best.as_ref().is_none_or(|best| keys.len() < best.len()) && self.does(layers, keys, command) {
                    best = Some(keys.to_vec());
                }
            });
        }
        best
    }

    fn walk(&self, layer: Layer, keys: &[Key]) -> Option<&Node> {
        let (first, rest) = keys.split_first()?;
        let mut node = self.layers.get(&layer)?.get(first)?.plain()?;
        for key in rest {
            match node {
                Node::Prefix(next) => node = next.get(key)?.plain()?,
                Node::Command(_) | Node::Noop | Node::When(_) => return None,
            }
        }
        Some(node)
    }

    /// Binds, over whatever was there: a command in the way of a sequence gives way, and so do sequences
    /// that begin with a key that now does something.
    fn bind(&mut self, layer: Layer, keys: &[Key], node: Node) {
        let Some((last, prefix)) = keys.split_last() else { return };
        let mut level = self.layers.entry(layer).or_default();
        for key in prefix {
            let next = level.entry(*key).or_insert_with(|| Node::Prefix(BTreeMap::new()));
            if !matches!(next, Node::Prefix(_)) {
                *next = Node::Prefix(BTreeMap::new());
            }
            match next {
                Node::Prefix(map) => level = map,
                Node::Command(_) | Node::Noop | Node::When(_) => return,
            }
        }
        let node = match node {
            // Where no condition holds, the key does what it did.
            Node::When(new) => Node::When(Conditional { otherwise: new.otherwise.or_else(|| level.remove(last).map(Box::new)), ..new }),
            plain => plain,
        };
        level.insert(*last, node);
    }
}

impl Node {
    fn leads_somewhere(&self) -> bool {
        match self {
            Node::Command(_) => true,
            Node::Noop => false,
            Node::Prefix(next) => next.values().any(Node::leads_somewhere),
            Node::When(conditional) => conditional.otherwise.as_ref().is_some_and(|node| node.leads_somewhere()),
        }
    }

    /// What holds when no condition does.
    fn plain(&self) -> Option<&Node> {
        match self {
            Node::When(conditional) => conditional.otherwise.as_ref()?.plain(),
            Node::Command(_) | Node::Noop | Node::Prefix(_) => Some(self),
        }
    }

    fn under(&self, facts: &Facts) -> Option<Node> {
        match self {
            Node::Command(_) | Node::Noop => Some(self.clone()),
            Node::Prefix(level) => Some(Node::Prefix(under(level, facts))),
            Node::When(Conditional { choices, otherwise }) => match choices.iter().find(|(condition, _)| condition.holds(facts)) {
                Some((_, command)) => Some(command.clone().map_or(Node::Noop, Node::Command)),
                None => otherwise.as_ref().and_then(|node| node.under(facts)),
            },
        }
    }
}

fn under(level: &BTreeMap<Key, Node>, facts: &Facts) -> BTreeMap<Key, Node> {
    level.iter().filter_map(|(key, node)| Some((*key, node.under(facts)?))).collect()
}

fn collect(layer: Layer, keys: &mut Vec<Key>, level: &BTreeMap<Key, Node>, out: &mut Vec<Binding>) {
    for (key, node) in level {
        keys.push(*key);
        collect_node(layer, keys, node, out);
        keys.pop();
    }
}

/// Tells the keys that are bound to a command whatever the conditions.
fn leading_to(command: &Command, keys: &mut Vec<Key>, level: &BTreeMap<Key, Node>, tell: &mut dyn FnMut(&[Key])) {
    for (key, node) in level {
        keys.push(*key);
        match node.plain() {
            Some(Node::Command(bound)) if bound == command => tell(keys),
            Some(Node::Prefix(next)) => leading_to(command, keys, next, tell),
            Some(Node::Command(_) | Node::Noop | Node::When(_)) | None => {}
        }
        keys.pop();
    }
}

fn collect_node(layer: Layer, keys: &mut Vec<Key>, node: &Node, out: &mut Vec<Binding>) {
    match node {
        Node::Command(command) => out.push(Binding { layer, keys: keys.clone(), command: command.clone(), when: None }),
        Node::Prefix(next) => collect(layer, keys, next, out),
        Node::Noop => {}
        Node::When(Conditional { choices, otherwise }) => {
            let bound = choices.iter().filter_map(|(when, command)| Some((when, command.as_ref()?)));
            out.extend(bound.map(|(when, command)| Binding { layer, keys: keys.clone(), command: command.clone(), when: Some(when.clone()) }));
            if let Some(node) = otherwise {
                collect_node(layer, keys, node, out);
            }
        }
    }
}
