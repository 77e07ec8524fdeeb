//! What the console keeps in files: saved views. Written whole beside the old one, and put in its place.

use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::Runtime;
use crate::console::state::Tone;
use crate::console::views::{self, Change};

/// No file of ours is larger; what is, is the wrong file.
const LARGEST: u64 = 4 * 1024 * 1024;

impl Runtime {
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
        let outcome = read(&path).map_err(|error| error.to_string()).and_then(|text| {
            let text = views::changed(&text.unwrap_or_default(), change)?;
            replace(&path, &text).map_err(|error| error.to_string())
        });
        match outcome {
            Ok(()) => self.state.say(Tone::Fine, said),
            Err(why) => self.state.say(Tone::Wrong, format!("{} was not changed: {why}", path.display())),
        }
    }
}

/// The text of a file, or nothing when there is no such file.
pub fn read(path: &Path) -> std::io::Result<Option<String>> {
    match std::fs::metadata(path) {
        Ok(found) if found.len() > LARGEST => Err(std::io::Error::other("it is larger than 4 MiB")),
        Ok(_) => std::fs::read_to_string(path).map(Some),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Puts a text in a file's place: whoever reads it meanwhile sees the old or the new one, whole.
pub fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    // A link stays one: what it leads to is replaced.
    let path = std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let beside = folder.join(format!(".{name}.{}", std::process::id()));
    let written = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&beside, &path)
    });
    if written.is_err() {
        // What is left of a file that could not be written helps nobody.
        let _ = std::fs::remove_file(&beside);
    }
    written
}
