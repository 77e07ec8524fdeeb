//! How the console was left goes to disk now and then and at the end, and comes back in the first frame.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::Runtime;
use super::keep::Written;
use crate::client::whole;
use crate::console::session::Session;
use crate::console::state::Tone;

/// Bytes of a file.
const LARGEST: u64 = 1 << 20;
/// Sets of servers of which is kept how their console was left; those go that were left longest ago.
const MOST: usize = 50;
/// So often it is looked whether anything changed.
const EVERY: Duration = Duration::from_secs(30);

/// Where it is kept for these servers, and what was kept.
#[derive(Debug, Default)]
pub struct Left {
    path: Option<PathBuf>,
    fresh: bool,
    last: Option<Session>,
    due: Option<Instant>,
}

impl Left {
    /// `fresh`: how it was left does not come back this time.
    pub fn at(path: PathBuf, fresh: bool) -> Left {
        Left { path: Some(path), fresh, ..Left::default() }
    }
}

impl Runtime {
    /// As it was left. A file that cannot be read is said, once, and set aside.
    pub(super) fn resume(&mut self) {
        // What lines from a pipe are answered must not depend on what somebody did before.
        if self.linear.as_ref().is_some_and(|linear| !linear.is_typed()) {
            self.left.path = None;
        }
        let Some(path) = self.left.path.as_ref().filter(|_| !self.left.fresh) else { return };
        let read = whole::read(path, LARGEST).map_err(|error| error.to_string());
        match read.and_then(|text| text.map(|text| Session::parse(&text)).transpose()) {
            Ok(Some(session)) => {
                self.state.resume(&session);
                self.left.last = Some(session);
            }
            Ok(None) => {}
            Err(why) => {
                let _ = std::fs::rename(path, path.with_extension("aside"));
                self.state.say(Tone::Wrong, format!("how this console was left cannot be read, and was set aside: {why}"));
            }
        }
    }

    /// Keeps it when something changed, and at the end.
    pub(super) fn keep_session(&mut self, ends: bool) {
        let now = Instant::now();
        let Some(path) = self.left.path.as_ref().filter(|_| ends || self.left.due.is_none_or(|due| now >= due)) else { return };
        let first = self.left.due.replace(now + EVERY).is_none();
        let session = self.state.session();
        if (first && !ends) || self.left.last.as_ref() == Some(&session) {
            return;
        }
        let (text, path) = (session.text(), path.to_owned());
        self.left.last = Some(session);
        let write = {
            let path = path.clone();
            move || {
                if !path.exists() {
                    make_room(&path);
                }
                // Once is enough: it is tried again when something changes.
                if let Err(why) = text.and_then(|text| whole::replace_with(&path, text.as_bytes()).map_err(|error| error.to_string())) {
                    tracing::warn!(path = %path.display(), %why, "how the console was left cannot be kept");
                }
                Written::Quiet
            }
        };
        self.files.keep(&path, write);
    }
}

fn make_room(path: &Path) {
    let Some(entries) = path.parent().and_then(|folder| std::fs::read_dir(folder).ok()) else { return };
    let mut files: Vec<_> = entries.flatten().filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path()))).collect();
    files.sort();
    for (_, old) in files.iter().take((files.len() + 1).saturating_sub(MOST)) {
        let _ = std::fs::remove_file(old);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_sets_of_servers_the_latest_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        for number in 0..MOST + 5 {
            let path = folder.path().join(number.to_string());
            make_room(&path);
            std::fs::write(&path, "{}").unwrap();
        }
        let left = std::fs::read_dir(folder.path()).unwrap().count();
        assert_eq!((left, folder.path().join("54").exists()), (MOST, true));
    }
}
