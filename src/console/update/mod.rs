//! From what happened to what changes and what is to be done outside: the console's logic.

mod bookmarks;
mod commands;
mod copying;
pub mod find;
mod holding;
mod meeting;
mod mouse;
mod news;
mod offline;
mod prompts;
mod timeline;
mod today;
mod verbs;
mod views;

use crate::command::Command;
use crate::model::time::{Span, Time};

use super::effect::Effect;
use super::keymap;
use super::message::{Message, Outcome};
use super::state::{State, Tone};

impl State {
    /// The wall clock, and the one that never jumps.
    pub fn clock(&mut self, now: Time, mono: Span) {
        // Ages tick by the minute; rows follow, unless they are those of another time.
        if now.secs().div_euclid(60) != self.present.secs().div_euclid(60) && !self.is_away() {
            self.dirty = true;
        }
        // A server falls silent without a word: when one does, everything about it is redrawn.
        let live = |mono: Span| self.links.iter().map(|link| link.is_live(mono)).collect::<Vec<_>>();
        if live(mono) != live(self.mono) {
            self.dirty = true;
        }
        let ticks = now.secs().div_euclid(60) != self.present.secs().div_euclid(60);
        let falls_silent = live(mono) != live(self.mono);
        self.present = now;
        if !self.is_away() {
            self.now = now;
        }
        self.mono = mono;
        if ticks || falls_silent {
            self.judge();
        }
    }

    pub fn update(&mut self, message: Message) -> Vec<Effect> {
        let said = matches!(message, Message::Server(..) | Message::Tick(_));
        let mut effects = self.happened(message);
        if said {
            effects.extend(self.ask_what_is_held());
        }
        // Linear mode asks between two lines.
        if !self.linear {
            self.ask_to_meet();
        }
        effects
    }

    fn happened(&mut self, message: Message) -> Vec<Effect> {
        match message {
            Message::Key(key) => self.key(key),
            Message::Paste(text) => {
                self.paste(&text);
                Vec::new()
            }
            Message::Mouse(gesture, spot) => self.mouse(gesture, spot),
            Message::Resize { width, height } => {
                self.size = (width, height);
                Vec::new()
            }
            Message::Tick(_) => {
                let mut effects = self.wanted();
                effects.extend(self.look_on());
                effects.extend(self.notice());
                effects
            }
            Message::Server(server, news) => {
                let mut effects = self.news(server, news);
                effects.extend(self.notice());
                effects
            }
            Message::Done(outcome) => {
                match outcome {
                    Outcome::Edited { text } => return self.edited(text),
                    Outcome::Said(words) => self.say(Tone::Plain, words),
                    Outcome::Failed(words) => self.say(Tone::Wrong, words),
                }
                Vec::new()
            }
            Message::Arriving(arriving) => {
                self.arriving = arriving;
                Vec::new()
            }
            Message::Reloaded(reloaded) => {
                self.reloaded(*reloaded);
                Vec::new()
            }
            Message::Resumed => vec![Effect::Redraw],
        }
    }

    fn key(&mut self, key: keymap::Key) -> Vec<Effect> {
        self.keyed = true;
        self.settle_keys();
        let layers = self.layers();
        let mut pressed = std::mem::take(&mut self.pressed);
        let outcome = self.keymap.press(&mut pressed, &layers, key);
        self.pressed = pressed;
        let mut effects = self.attend();
        effects.extend(match outcome {
            keymap::Outcome::Pending => Vec::new(),
            keymap::Outcome::Matched(command) => self.run(command),
            keymap::Outcome::NotFound | keymap::Outcome::Cancelled(_) => {
                if self.overlay.is_some()
                    && let Some(typed) = key.typed()
                {
                    self.typed(typed)
                } else {
                    Vec::new()
                }
            }
        });
        effects
    }

    /// Runs a command, if it exists here.
    pub fn run(&mut self, command: Command) -> Vec<Effect> {
        let entry = command.entry();
        let typing = matches!(entry.scope, crate::command::Scope::Prompt);
        if !typing && !entry.is_available(self.pane, self.read_only) {
            let why = if self.read_only && entry.changes_the_world() { "this console only reads" } else { "not in this pane" };
            self.say(Tone::Plain, format!("{}: {why}", entry.name));
            return Vec::new();
        }
        if self.is_away() && entry.changes_the_world() {
            self.say(Tone::Plain, format!("{}: not in the past; . comes back to the live world, where things can be done", entry.name));
            return Vec::new();
        }
        let mut effects = self.perform(command);
        if effects.iter().any(|effect| matches!(effect, Effect::Send { .. })) {
            self.notices.acted(self.mono);
        }
        effects.extend(self.wanted());
        effects
    }

    /// The events of the span that Today tells of.
    pub(super) fn wanted_past(&mut self) -> Vec<Effect> {
        let (from, until) = self.panes.today.span(&self.sight());
        self.past.span(from, until, self.links.len());
        if self.past.alone {
            return Vec::new();
        }
        let links: Vec<bool> = self.links.iter().map(|link| link.state == super::sight::LinkState::Up && link.known).collect();
        self.past.wanting(|server| links.get(server).copied().unwrap_or(false)).into_iter().map(Effect::Past).collect()
    }
}
