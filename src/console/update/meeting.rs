//! First contact: what becomes of the question whether a server's key is the right one.

use std::sync::Arc;

use crate::command::{Command, Pane};
use crate::console::effect::Effect;
use crate::console::keymap::key::write_sequence;
use crate::console::keymap::layers_of;
use crate::console::overlay::Overlay;
use crate::console::overlay::meet::{Asked, Meeting};
use crate::console::sight::{Barred, Link};
use crate::console::state::{State, Tone};
use crate::model::time::Span;

/// A question that has only just come up is not answered: what was typed was meant for something else.
const JUST_NOW: Span = Span::from_millis(700);

impl State {
    /// Why a server is not spoken to. A key that was not shown before is asked about anew.
    pub(super) fn barred(&mut self, server: usize, barred: Barred) {
        let Some(link) = self.links.get_mut(server) else { return };
        if link.barred.as_ref() != Some(&barred) {
            link.asked_about = false;
            if matches!(&self.overlay, Some(Overlay::Meet(asked)) if asked.server == server) {
                self.overlay = None;
            }
        }
        link.barred = Some(barred);
        self.dirty = true;
    }

    /// Asks about the next server that is met for the first time, once nothing else is asked. Whether it did.
    pub fn ask_to_meet(&mut self) -> bool {
        if self.overlay.is_some() || !self.pressed.is_empty() {
            return false;
        }
        let since = self.mono;
        let next = self.links.iter().enumerate().filter(|(_, link)| !link.asked_about).find_map(|(server, link)| match &link.barred {
            Some(Barred::Unmet(meeting)) => Some(Asked { server, meeting: meeting.clone(), since, top: 0 }),
            Some(Barred::Changed | Barred::NotLetIn) | None => None,
        });
        self.overlay = next.map(Overlay::Meet);
        self.overlay.is_some()
    }

    /// Others that are asked about after this one.
    pub fn waits_to_be_met(&self, but: usize) -> usize {
        let waits = |(server, link): &(usize, &Link)| *server != but && !link.asked_about && matches!(link.barred, Some(Barred::Unmet(_)));
        self.links.iter().enumerate().filter(waits).count()
    }

    /// A key while a screen asks: `y` and `n` alone answer.
    pub(super) fn typed_to_meet(&mut self, typed: char) -> Vec<Effect> {
        let Some(Overlay::Meet(asked)) = &self.overlay else { return Vec::new() };
        if self.mono.micros() - asked.since.micros() < JUST_NOW.micros() {
            return Vec::new();
        }
        match typed {
            'y' | 'Y' => self.met(true),
            'n' | 'N' => self.met(false),
            _ => Vec::new(),
        }
    }

    /// The question is answered.
    pub fn met(&mut self, right: bool) -> Vec<Effect> {
        let Some(Overlay::Meet(Asked { server, meeting, .. })) = self.overlay.take() else { return Vec::new() };
        if let Some(link) = self.links.get_mut(server) {
            link.asked_about = true;
        }
        if right {
            return vec![Effect::Pin { server, fingerprint: meeting.fingerprint.clone() }];
        }
        self.not_met(&meeting);
        Vec::new()
    }

    /// It stays as it is: said, and how it can be had again.
    pub(super) fn not_met(&mut self, meeting: &Arc<Meeting>) {
        let keys = self.keymap.key_for(&layers_of(Pane::Servers), &Command::ServerMeet).map_or_else(|| ":server-meet".to_owned(), |keys| write_sequence(&keys));
        self.say(Tone::Plain, format!("{} is not spoken to; {keys} in Servers asks again", meeting.name));
    }

    /// Asks again about those whose key nobody has said to be right.
    pub(super) fn meet_again(&mut self) {
        let place = self.panes.servers.list.selected();
        match self.links.get_mut(place) {
            Some(link) if matches!(link.barred, Some(Barred::Unmet(_))) => {
                link.asked_about = false;
                self.ask_to_meet();
            }
            Some(link) => {
                let words = match link.barred {
                    Some(Barred::Changed) => format!("the key of {} has changed: nobody is asked about that; what to do stands beside it", link.name),
                    _ => format!("{} needs no word of yours", link.name),
                };
                self.say(Tone::Plain, words);
            }
            None => {}
        }
    }
}
