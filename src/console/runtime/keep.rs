//! What the console keeps in files: saved views, bookmarks and corrected clocks. All of it, and what the loop's
//! other parts keep, is written in the background; what came of it arrives like anything else that happens.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use tokio::sync::mpsc;

use super::Runtime;
use crate::client::{ServerIndex, Writer, whole};
use crate::console::kept::Kept;
use crate::console::state::Tone;
use crate::console::views::{self, Change};
use crate::model::mark::Marks;
use crate::model::words::counted;

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
        let Some(path) = self.options.kept.clone() else { return };
        let text = kept.text();
        let write = {
            let path = path.clone();
            move || match text.and_then(|text| whole::replace_with(&path, text.as_bytes()).map_err(|error| error.to_string())) {
                Ok(()) => Written::Quiet,
                Err(why) => Written::Said(Tone::Wrong, format!("cannot keep this in {}: {why}", path.display())),
            }
        };
        self.files.keep(&path, write);
    }

    pub(super) fn keep_views(&mut self, change: Change) {
        let Some(path) = self.options.views.clone() else {
            self.state.say(Tone::Plain, "views are kept until the end here");
            return;
        };
        let said = match &change {
            Change::Save(view) => format!("view {} is saved; w lists them", view.name),
            Change::Remove(name) => format!("view {name} is removed"),
            Change::Rename(from, to) => format!("view {from} is called {to} now"),
        };
        self.files.ask(move || {
            let outcome = whole::read(&path, LARGEST).map_err(|error| error.to_string()).and_then(|text| {
                let text = views::changed(&text.unwrap_or_default(), &change)?;
                whole::replace_with(&path, text.as_bytes()).map_err(|error| error.to_string())
            });
            match outcome {
                Ok(()) => Written::Answer(Tone::Fine, said),
                Err(why) => Written::Answer(Tone::Wrong, format!("{} was not changed: {why}", path.display())),
            }
        });
    }

    /// A server's key is right: it is remembered, and then spoken to.
    pub(super) fn pin(&mut self, server: usize, fingerprint: &str) {
        let Some(unmet) = self.unmet.get(&server).filter(|unmet| unmet.fingerprint() == fingerprint).cloned() else {
            self.state.say(Tone::Wrong, "it shows another key now; look again");
            return;
        };
        self.files.ask(move || match unmet.pin() {
            Ok(()) => Written::Met(server, format!("the key of {} is remembered in {}", unmet.name(), unmet.file())),
            Err(why) => Written::Answer(Tone::Wrong, format!("the key of {} cannot be remembered: {why}", unmet.name())),
        });
    }

    /// Rows into a file that was not there before.
    pub(super) fn export(&mut self, path: String, lines: Vec<String>) {
        let count = counted(lines.len(), "row");
        self.files.ask(move || match write_new(&path, &lines) {
            Ok(()) => Written::Answer(Tone::Fine, format!("{count} written to {path}")),
            Err(error) => Written::Answer(Tone::Wrong, format!("cannot write {path}: {error}")),
        });
    }

    /// What was written in the background is said, where there is something to say.
    pub(super) fn written(&mut self, written: Written) {
        self.stale = true;
        match written {
            Written::Quiet => {}
            Written::Said(tone, words) => self.state.say(tone, words),
            Written::Answer(tone, words) => {
                self.files.awaited = self.files.awaited.saturating_sub(1);
                self.state.say(tone, words);
            }
            Written::Met(server, words) => {
                self.files.awaited = self.files.awaited.saturating_sub(1);
                self.state.say(Tone::Fine, words);
                if let Some(servers) = &self.servers {
                    servers.handle.retry_now(ServerIndex(server));
                }
            }
            Written::Marks(marks) => self.marks_written(marks),
        }
    }

    /// All that was handed in is on the disk, unless that does not answer.
    pub(super) fn finish_files(&mut self) {
        if !self.files.writer.finish(GOODBYE) {
            tracing::warn!("the disk does not answer; what was seen and left last may not be kept");
        }
        while let Ok(written) = self.files.outcomes.try_recv() {
            if let Written::Said(Tone::Wrong, why) | Written::Answer(Tone::Wrong, why) = written {
                tracing::warn!("{why}");
            }
        }
    }
}

/// What came of a file that was written.
pub(super) enum Written {
    Quiet,
    Said(Tone, String),
    /// To something that somebody asked for.
    Answer(Tone, String),
    /// A server's key is known from now on.
    Met(usize, String),
    /// What it holds now.
    Marks(std::io::Result<Marks>),
}

/// How long a console that ends waits for a disk.
const GOODBYE: Duration = Duration::from_secs(10);

/// All that the console writes, in the background.
pub(super) struct Files {
    writer: Writer<Written>,
    outcomes: mpsc::UnboundedReceiver<Written>,
    /// What was asked for and has not been answered.
    awaited: usize,
}

impl Files {
    pub fn start() -> Files {
        let (tell, outcomes) = mpsc::unbounded_channel();
        // Who has ended does not hear it.
        let writer = Writer::start(move |written| drop(tell.send(written)));
        Files { writer, outcomes, awaited: 0 }
    }

    /// The newest state of a file, in place of one that waits.
    pub fn keep(&mut self, path: &Path, write: impl FnOnce() -> Written + Send + 'static) {
        self.writer.keep(path, move || Some(write()));
    }

    /// Something that is done before what is kept after it.
    pub fn aside(&mut self, work: impl FnOnce() + Send + 'static) {
        self.writer.ask(move || {
            work();
            None
        });
    }

    /// Something that somebody waits for.
    pub fn ask(&mut self, write: impl FnOnce() -> Written + Send + 'static) {
        self.awaited += 1;
        self.writer.ask(move || Some(write()));
    }

    /// Whether somebody waits for what they asked for.
    pub fn are_awaited(&self) -> bool {
        self.awaited > 0
    }

    pub async fn outcome(&mut self) -> Written {
        match self.outcomes.recv().await {
            Some(written) => written,
            None => std::future::pending().await,
        }
    }
}

/// Into a file that was not there before: an export overwrites nothing.
fn write_new(path: &str, lines: &[String]) -> std::io::Result<()> {
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).open(path)?;
    for line in lines {
        file.write_all(line.as_bytes())?;
        file.write_all(b"\n")?;
    }
    file.sync_all()
}
