//! The configuration, read anew while the console runs: what is right of it is in force at once and disturbs
//! nothing else; of what is wrong, what was in force before stays, and the mistake is said with its place.

use super::keymap::Keymap;
use super::state::{State, Tone};
use super::theme::Themes;
use super::views::View;

/// What changed, part by part; nothing where a part is as it was, or is wrong.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Reloaded {
    /// The files, as messages call them.
    pub files: Vec<String>,
    pub keymap: Option<Keymap>,
    /// The themes that one may choose from.
    pub themes: Option<Themes>,
    /// The one that is to be shown from now on, where the configuration names another.
    pub theme: Option<String>,
    pub views: Option<Vec<View>>,
    pub shifts: Option<Vec<jiff::civil::Time>>,
    pub notify: Option<super::notice::Wishes>,
    /// What counts only when the console is started again.
    pub later: Vec<&'static str>,
    /// All that is wrong, each with file, line and column where that is known.
    pub problems: Vec<String>,
}

/// Mistakes that are listed.
const LISTED: usize = 20;

impl State {
    pub(super) fn reloaded(&mut self, reloaded: Reloaded) {
        let Reloaded { files, keymap, themes, theme, views, shifts, later, mut problems, .. } = reloaded;
        if let Some(keymap) = keymap {
            self.set_keymap(keymap);
        }
        if let Some(shifts) = shifts {
            self.shifts = shifts;
            self.dirty = true;
        }
        let renewed = themes.is_some();
        if let Some(themes) = themes {
            self.themes = themes;
        }
        if renewed || theme.is_some() {
            // While one looks at others, that is the one that they are left for.
            let shown = self.theme_before.as_ref().unwrap_or(&self.theme);
            match self.themes.load(theme.as_deref().unwrap_or(&shown.name)) {
                Ok(theme) => *self.theme_before.as_mut().unwrap_or(&mut self.theme) = theme,
                Err(error) => problems.extend(error.0),
            }
        }
        let same = views.as_ref().is_none_or(|views| *views == self.views);
        if let Some(views) = views {
            self.views = views;
        }
        self.mistaken(&problems);
        // What the console has written itself is no news.
        let own = same && files.iter().all(|file| file.ends_with("views.toml"));
        if problems.is_empty() && !own && !files.is_empty() {
            let verb = if files.len() == 1 { "is" } else { "are" };
            let later = match later.as_slice() {
                [] => String::new(),
                parts => format!("; {} from the next start on", parts.join(", ")),
            };
            self.say(Tone::Fine, format!("{} {verb} read anew{later}", files.join(", ")));
        }
    }

    /// Says what is wrong: the first mistake is seen, all are among the messages.
    pub(super) fn mistaken(&mut self, problems: &[String]) {
        for (place, problem) in problems.iter().enumerate().take(LISTED).rev() {
            let more = match problems.len() - 1 {
                more if place == 0 && more > 0 => format!(" (and {more} more: `:messages`)"),
                _ => String::new(),
            };
            self.say(Tone::Wrong, format!("{problem}{more}"));
        }
    }
}
