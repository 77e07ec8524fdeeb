//! What a person can do, each thing declared once.
//!
//! The keymap's loader, the palette, which-key, help and `midwatch keys` all read this registry; none of
//! them has a list of its own. A [`Command`] is a name that a person can type. What it does is decided in
//! the console; what it asks of a server is an intent. Pure: knows the model alone.

mod argument;
mod registry;
#[cfg(test)]
mod tests;
mod when;

use std::fmt;

pub use crate::model::nearest;
pub use argument::{Argument, Expects, GroupBy, SortBy, TodaySpan, Words};
pub use registry::{COMMANDS, Command};
pub use when::{Direction, When};

/// One command, as everything that lists commands sees it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Kebab-case, unique.
    pub name: &'static str,
    /// What it does, as one sentence.
    pub sentence: &'static str,
    pub category: Category,
    pub scope: Scope,
    pub palette: Palette,
    pub effect: Effect,
    /// What follows the name, when something does.
    pub argument: Option<Expects>,
}

impl Entry {
    /// The command of this name.
    pub fn named(name: &str) -> Option<&'static Entry> {
        COMMANDS.iter().find(|entry| entry.name == name)
    }

    /// Whether it exists here: verbs do not in a console that only reads.
    pub fn is_available(&self, pane: Pane, read_only: bool) -> bool {
        let here = match self.scope {
            Scope::Everywhere => true,
            Scope::Panes(panes) => panes.contains(&pane),
            Scope::Prompt => false,
        };
        here && !(read_only && self.changes_the_world())
    }

    pub fn changes_the_world(&self) -> bool {
        self.effect == Effect::Changes
    }
}

/// The heading under which help lists it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Category {
    Move,
    Panes,
    Search,
    Time,
    Mark,
    Act,
    Show,
    Copy,
    Console,
    Prompt,
}

impl Category {
    pub const fn title(self) -> &'static str {
        match self {
            Category::Move => "moving",
            Category::Panes => "panes",
            Category::Search => "finding",
            Category::Time => "time",
            Category::Mark => "marking",
            Category::Act => "acting",
            Category::Show => "showing",
            Category::Copy => "copying and opening",
            Category::Console => "midwatch itself",
            Category::Prompt => "while typing",
        }
    }
}

/// Where it can be used.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    Everywhere,
    Panes(&'static [Pane]),
    /// While something floats above the pane and takes what is typed.
    Prompt,
}

/// Whether the palette offers it: what only makes sense on a key is hidden there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Palette {
    Shown,
    Hidden,
}

/// Whether it only changes what this console shows, or what everybody sees.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    Looks,
    /// A verb: absent in a console that only reads, and never on a control key.
    Changes,
}

/// The panes that exist.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Pane {
    Now,
    Today,
    Timeline,
    Alerts,
    Systems,
    Servers,
}

impl Pane {
    /// In the order of the bar.
    pub const ALL: [Pane; 6] = [Pane::Now, Pane::Today, Pane::Timeline, Pane::Alerts, Pane::Systems, Pane::Servers];

    /// As keymaps and commands have it.
    pub const fn name(self) -> &'static str {
        match self {
            Pane::Now => "now",
            Pane::Today => "today",
            Pane::Timeline => "timeline",
            Pane::Alerts => "alerts",
            Pane::Systems => "systems",
            Pane::Servers => "servers",
        }
    }

    /// As the bar shows it.
    pub const fn title(self) -> &'static str {
        match self {
            Pane::Now => "Now",
            Pane::Today => "Today",
            Pane::Timeline => "Timeline",
            Pane::Alerts => "Alerts",
            Pane::Systems => "Systems",
            Pane::Servers => "Servers",
        }
    }

    /// The command that goes there.
    pub const fn command(self) -> Command {
        match self {
            Pane::Now => Command::PaneNow,
            Pane::Today => Command::PaneToday,
            Pane::Timeline => Command::PaneTimeline,
            Pane::Alerts => Command::PaneAlerts,
            Pane::Systems => Command::PaneSystems,
            Pane::Servers => Command::PaneServers,
        }
    }

    pub fn named(name: &str) -> Option<Pane> {
        Pane::ALL.into_iter().find(|pane| pane.name() == name)
    }
}

impl fmt::Display for Pane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.title())
    }
}

/// Why a line is no command.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CommandError {
    #[error("type a command's name, like `alert-snooze 2h`")]
    Empty,
    #[error("there is no command `{name}`{}", nearest::suggestion(.nearest))]
    Unknown { name: String, nearest: Option<&'static str> },
    #[error("`{command}` takes nothing after it, but got `{given}`")]
    TakesNothing { command: &'static str, given: String },
    #[error("`{command}` needs {what}, like `{command} {example}`")]
    Missing { command: &'static str, what: &'static str, example: &'static str },
    #[error("`{command}`: {why}")]
    Argument { command: &'static str, why: String },
}
