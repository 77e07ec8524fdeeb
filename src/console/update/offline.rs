//! What was heard and asked for before: by a former console, or while nobody answers.

use std::sync::Arc;

use crate::console::message::Entry;
use crate::console::pending::{Verb, subject_of, word_of};
use crate::console::state::{State, Tone};
use crate::model::event::Event;
use crate::model::id::{AlertRef, RequestId};
use crate::model::intent::Request;
use crate::model::time::Span;
use crate::model::world::World;

impl State {
    /// How a server was when it was last heard, so long ago. It stands as what is not heard now, never as
    /// fine, until the server answers.
    pub fn remember(&mut self, server: usize, world: Arc<World>, events: &[Arc<Event>], age: Span) {
        let Some(link) = self.links.get_mut(server) else { return };
        link.known = true;
        link.heard = Some((self.mono, age));
        if let Some(seen) = self.live_mut().servers.get_mut(server) {
            seen.world = world;
        }
        let entries = events.iter().map(Entry::known);
        self.timeline.add_older(server, entries.collect(), false);
        self.dirty = true;
    }

    /// What a former console asked for and nobody has answered: it stands as unsent, and is on its way.
    pub fn unsent(&mut self, server: usize, request: &Request) {
        let Some(seen) = self.live().server(server) else { return };
        let (alert, system) = subject_of(&request.intent);
        let known = alert.and_then(|alert| seen.world.alert(alert));
        let system = system.or_else(|| known.map(|known| known.system.clone()));
        let name = system.map_or_else(|| seen.name.to_string(), |system| self.live().name_of(server, &system));
        let what = known.map_or_else(|| name.clone(), |known| format!("{name}  {}", known.title));
        let alert = alert.map(|alert| AlertRef { origin: seen.world.origin, alert });
        self.pending.add(request.id, Verb { server, alert, word: word_of(&request.intent), what, asked: request.made, sent: false });
        self.dirty = true;
    }

    /// A request is neither sent nor kept: nobody may believe that it is on its way.
    pub fn not_kept(&mut self, server: usize, request: &RequestId, why: &str) {
        let what = self.pending.answered(request).map_or_else(|| "a request".to_owned(), |verb| format!("{} {}", verb.word, verb.what));
        let name = self.links.get(server).map_or_else(String::new, |link| format!(" to {}", link.name));
        self.say(Tone::Wrong, format!("not sent{name}: {what}: {why}"));
        self.dirty = true;
    }
}
