//! What colours and glyphs mean, read from TOML, and brought down to what the terminal can show.
//!
//! Code asks for a [`Role`] ("severity.critical"), never for a colour. A role that a theme does not name
//! looks like the role above it, and in the end like plain text. Themes inherit from each other; a user's
//! file may build on a shipped one.

mod colour;
mod glyphs;
mod load;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use ratatui::style::{Modifier, Style};

use crate::model::severity::{Severity, Status};
pub use colour::{Depth, contrast, lower};
pub use glyphs::Glyphs;
pub use load::ThemeError;

/// The shipped themes: name and file.
pub const SHIPPED: &[(&str, &str)] = &[
    ("midwatch", include_str!("../../../themes/midwatch.toml")),
    ("daylight", include_str!("../../../themes/daylight.toml")),
    ("high-contrast", include_str!("../../../themes/high-contrast.toml")),
    ("colour-blind", include_str!("../../../themes/colour-blind.toml")),
    ("terminal", include_str!("../../../themes/terminal.toml")),
    (MONO, include_str!("../../../themes/mono.toml")),
];

macro_rules! roles {
    ($($(#[$doc:meta])* $variant:ident $name:literal,)*) => {
        /// What something on the screen is.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Role { $($(#[$doc])* $variant),* }

        impl Role {
            pub const ALL: &'static [Role] = &[$(Role::$variant),*];

            /// As themes name it.
            pub const fn name(self) -> &'static str {
                match self { $(Role::$variant => $name),* }
            }
        }
    };
}

roles! {
    Text "text",
    /// What matters less.
    Muted "text.muted",
    /// Decoration; never the only carrier of something that is needed.
    Faint "text.faint",
    /// What a line is about: the name of a system, say.
    Strong "text.strong",
    /// The whole screen, under everything.
    Background "background",
    /// Lines 1 and 2, and the last.
    Bar "bar",
    BarMuted "bar.muted",
    /// The pane that is open.
    BarCurrent "bar.current",
    /// midwatch's own name.
    BarName "bar.name",
    /// Line 1 when the console is away from now.
    BarPast "bar.past",
    /// A server that carries its own word, like "production".
    BarEnvironment "bar.environment",
    /// A key in a hint.
    Key "key",
    /// What the key does.
    Hint "hint",
    PaneTitle "pane.title",
    /// The heading of a part.
    Heading "heading",
    Rule "rule",
    /// The frame of what floats above.
    Frame "frame",
    /// What floats above, within the frame.
    Overlay "overlay",
    /// The selected row's text.
    Selection "selection",
    /// The mark in the gutter of the selected row.
    SelectionMark "selection.mark",
    /// Rows that are marked for a verb.
    Marked "marked",
    /// What a search found in a text.
    Hit "hit",
    SeverityCritical "severity.critical",
    SeverityError "severity.error",
    SeverityWarning "severity.warning",
    SeverityUnknown "severity.unknown",
    SeverityInfo "severity.info",
    SeverityDebug "severity.debug",
    Fine "fine",
    FreshnessLive "freshness.live",
    FreshnessLate "freshness.late",
    FreshnessStale "freshness.stale",
    /// People and machines that act.
    Actor "actor",
    HistoryNew "history.new",
    HistoryRare "history.rare",
    HistoryUsual "history.usual",
    /// The cells of a strip in which nothing was.
    StripEmpty "strip.empty",
    Link "link",
    /// What was asked and is not answered yet.
    Pending "pending",
    Unsent "unsent",
    /// The latest message, by kind.
    MessageGood "message.good",
    MessageBad "message.bad",
    Input "input",
    Bookmark "bookmark",
    /// The line of the time cursor.
    Cursor "cursor",
    Chart "chart",
    ChartThreshold "chart.threshold",
}

impl Role {
    pub const fn of_severity(severity: Severity) -> Role {
        match severity {
            Severity::Critical => Role::SeverityCritical,
            Severity::Error => Role::SeverityError,
            Severity::Warning => Role::SeverityWarning,
            Severity::Unknown => Role::SeverityUnknown,
            Severity::Info => Role::SeverityInfo,
            Severity::Debug => Role::SeverityDebug,
        }
    }

    pub const fn of_status(status: Status) -> Role {
        match status {
            Status::Ok => Role::Fine,
            Status::Unknown => Role::SeverityUnknown,
            Status::Warning => Role::SeverityWarning,
            Status::Critical => Role::SeverityCritical,
        }
    }
}

/// The theme of attributes alone: what others show where there is no colour.
const MONO: &str = "mono";

/// The name that leaves the choice to the terminal's background.
pub const AUTO: &str = "auto";

/// The themes that there are here, and what the terminal shows of them.
#[derive(Clone, PartialEq, Debug)]
pub struct Themes {
    pub depth: Depth,
    pub ascii: bool,
    /// The user's own: name and text.
    pub files: Vec<(String, String)>,
}

impl Default for Themes {
    fn default() -> Themes {
        Themes { depth: Depth::True, ascii: false, files: Vec::new() }
    }
}

impl Themes {
    /// A user's own goes before a shipped one of its name.
    pub fn load(&self, name: &str) -> Result<Theme, ThemeError> {
        Theme::load(name, &self.files, self.depth, self.ascii)
    }

    /// Each with what its file says it is for, on its first line.
    pub fn names(&self) -> Vec<(String, String)> {
        let shipped = SHIPPED.iter().filter(|(name, _)| !self.files.iter().any(|(own, _)| own == name)).map(|(name, text)| (*name, *text));
        let own = self.files.iter().map(|(name, text)| (name.as_str(), text.as_str()));
        let words = |text: &str| text.lines().next().and_then(|line| line.strip_prefix('#')).map(|line| line.trim().to_owned()).unwrap_or_default();
        shipped.chain(own).map(|(name, text)| (name.to_owned(), words(text))).collect()
    }

    /// The theme for a background as the terminal tells it.
    pub const fn for_background(light: bool) -> &'static str {
        if light { "daylight" } else { "midwatch" }
    }
}

/// A theme as it is drawn with: every role has its style, in colours that the terminal has.
#[derive(Clone, PartialEq, Debug)]
pub struct Theme {
    pub name: String,
    styles: BTreeMap<Role, Style>,
    pub glyphs: Glyphs,
}

impl Theme {
    /// A shipped theme.
    pub fn shipped(name: &str, depth: Depth, ascii: bool) -> Result<Theme, ThemeError> {
        Theme::load(name, &[], depth, ascii)
    }

    /// A theme by name, from a user's files (name and text) or else the shipped ones.
    pub fn load(name: &str, files: &[(String, String)], depth: Depth, ascii: bool) -> Result<Theme, ThemeError> {
        let styles = load::load(name, files)?;
        // Without colours a theme that relies on them would leave headings and states looking like everything else.
        let beneath = if depth == Depth::None { load::load(MONO, &[])? } else { Default::default() };
        let style = |role| load::style_of(&beneath, role).patch(lower(load::style_of(&styles, role), depth));
        let styles = Role::ALL.iter().map(|role| (*role, style(*role))).collect();
        Ok(Theme { name: name.to_owned(), styles, glyphs: if ascii { Glyphs::ASCII } else { Glyphs::UNICODE } })
    }

    /// Attributes alone, and it cannot fail: for when no theme can be read.
    pub fn plain(ascii: bool) -> Theme {
        Theme { name: "plain".into(), styles: BTreeMap::new(), glyphs: if ascii { Glyphs::ASCII } else { Glyphs::UNICODE } }
    }

    pub fn style(&self, role: Role) -> Style {
        self.styles.get(&role).copied().unwrap_or_default()
    }

    pub fn severity(&self, severity: Severity) -> Style {
        self.style(Role::of_severity(severity))
    }

    pub fn status(&self, status: Status) -> Style {
        self.style(Role::of_status(status))
    }

    /// The style of `role` where the row is selected: the row's colours with the selection's emphasis.
    pub fn selected(&self, role: Role) -> Style {
        self.style(role).patch(Style { fg: None, ..self.style(Role::Selection) })
    }
}

/// A style without its visible attributes, for blank cells.
pub fn has_visible_blank(modifier: Modifier) -> bool {
    modifier.intersects(Modifier::REVERSED | Modifier::UNDERLINED | Modifier::CROSSED_OUT)
}
