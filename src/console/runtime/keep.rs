//! What the console keeps in files: saved views, bookmarks and corrected clocks.

use super::Runtime;
use crate::client::whole;
use crate::console::kept::Kept;
use crate::console::state::Tone;
use crate::console::views::{self, Change};

/// No file of ours is larger; what is, is the wrong file.
const LARGEST: u64 = 4 * 1024 * 1024;

impl Runtime {
    /// What was kept from the last time. What cannot be read is not written over.
    pub(super) fn recall(&mut self) {
        let Some(path) = &self.options.kept else { return };
        let read = whole::read(path, LARGEST).map_err(|error| error.to_string());
        match read.and_then(|text| Kept::parse(text.as_deref())) {
            Ok(kept) => self.state.recall(kept),
            Err(why) => {
                self.state.say(Tone::Wrong, format!("cannot read {}: {why}", path.display()));
                self.options.kept = None;
            }
        }
    }

    pub(super) fn keep(&mut self, kept: &Kept) {
        let Some(path) = &self.options.kept else { return };
        let written = kept.text().and_then(|text| whole::replace_with(path, text.as_bytes()).map_err(|error| error.to_string()));
        if let Err(why) = written {
            self.state.say(Tone::Wrong, format!("cannot keep this in {}: {why}", path.display()));
        }
    }

    pub(super) fn keep_views(&mut self, change: &Change) {
        let Some(path) = self.options.views.clone() else {
            self.state.say(Tone::Plain, "views are kept until the end here");
            return;
        };
        let said = match change {
            Change::Save(view) => format!("view {} is saved; w lists them", view.name),
            Change::Remove(name) => format!("view {name} is removed"),
            Change::Rename(from, to) => format!("view {from} is called {to} now"),
        };
        let outcome = whole::read(&path, LARGEST).map_err(|error| error.to_string()).and_then(|text| {
            let text = views::changed(&text.unwrap_or_default(), change)?;
            whole::replace_with(&path, text.as_bytes()).map_err(|error| error.to_string())
        });
        match outcome {
            Ok(()) => self.state.say(Tone::Fine, said),
            Err(why) => self.state.say(Tone::Wrong, format!("{} was not changed: {why}", path.display())),
        }
    }
}
