//! Read marks in the loop: what was seen goes to the disk and to the person's home server; what home knows
//! of their other consoles comes back.

use std::time::Duration;

use tokio::sync::mpsc;

use super::keep::Written;
use super::{Runtime, wall};
use crate::client::marks::Save;
use crate::client::{ServerIndex, Update};
use crate::console::message::{Message, News};
use crate::console::state::Tone;
use crate::model::mark::Marks;

/// How long a console that ends waits until home has what was seen last.
const GOODBYE: Duration = Duration::from_millis(500);

impl Runtime {
    pub(super) fn look(&mut self, marks: &Marks) {
        let servers = self.servers.as_ref().map(|servers| &servers.handle);
        let save = self.reading.look(marks, servers);
        self.save_marks(save);
    }

    fn save_marks(&mut self, save: Option<Save>) {
        let Some(save) = save else { return };
        let path = save.path().to_owned();
        self.files.keep(&path, move || Written::Marks(save.write()));
    }

    /// What the file of this machine's consoles holds now.
    pub(super) fn marks_written(&mut self, written: std::io::Result<Marks>) {
        match written {
            Ok(marks) => self.reading.learn(&marks, self.servers.as_ref().map(|servers| &servers.handle)),
            Err(error) => self.state.say(Tone::Wrong, format!("what you have seen cannot be kept on this machine's disk: {error}")),
        }
    }

    /// Every update passes here first.
    pub(super) fn hear_marks(&mut self, server: usize, update: &Update) -> Option<Message> {
        let servers = self.servers.as_ref().map(|servers| &servers.handle);
        let heard = self.reading.hear(ServerIndex(server), update, servers, wall())?;
        self.save_marks(heard.save);
        Some(Message::Server(server, News::Looked { marks: heard.marks, remark: heard.remark.map(Into::into) }))
    }

    /// The console ends: what was seen is kept, and home knows it where that takes but a moment.
    pub(super) async fn leave(&mut self, updates: &mut Option<mpsc::Receiver<(ServerIndex, Update)>>) {
        let Some(marks) = self.state.leave() else { return };
        self.look(&marks);
        let (Some(home), Some(updates)) = (self.reading.reached(), updates) else { return };
        let told = async {
            while let Some((server, update)) = updates.recv().await {
                if server == home && matches!(update, Update::Marks(_) | Update::Problem(_) | Update::Disconnected { .. }) {
                    break;
                }
            }
        };
        // Should it not come through, the next console here says it.
        let _ = tokio::time::timeout(GOODBYE, told).await;
    }
}
