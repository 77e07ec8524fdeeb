//! Bookmarks on the timeline, and the correction of servers' clocks: what a console keeps.

use std::sync::Arc;

use crate::command::Pane;
use crate::console::effect::Effect;
use crate::console::kept::{Bookmark, Kept, MOST};
use crate::console::overlay::Overlay;
use crate::console::overlay::choose::{Choice, Choose, Goal, Of};
use crate::console::state::{State, Tone};
use crate::model::time::Span;

/// Less than this between two clocks is not worth words.
const AGREE: Span = Span::from_secs(2);

impl State {
    /// What was kept from the last time.
    pub fn recall(&mut self, kept: Kept) {
        for bookmark in kept.bookmarks {
            self.panes.timeline.bookmarks.insert(bookmark.place(), (bookmark.name.into(), bookmark.title.into()));
        }
        for (server, link) in self.links.iter().enumerate() {
            if let Some(micros) = kept.clocks.get(&*link.name) {
                self.timeline.set_shift(server, *micros);
            }
        }
    }

    /// What is to be kept.
    pub fn kept(&self) -> Kept {
        let bookmarks = self.panes.timeline.bookmarks.iter().map(|((at, id), (name, title))| Bookmark {
            at: *at,
            origin: id.origin,
            sequence: id.sequence.0,
            name: name.to_string(),
            title: title.to_string(),
        });
        let clocks = self.links.iter().enumerate().map(|(server, link)| (link.name.to_string(), self.timeline.shift(server))).filter(|(_, shift)| *shift != 0);
        Kept { bookmarks: bookmarks.collect(), clocks: clocks.collect() }
    }

    /// Sets a bookmark with a name, or with none; a second time without one takes it away.
    pub(super) fn set_bookmark(&mut self, name: Option<String>) -> Vec<Effect> {
        let Some(place) = self.panes.timeline.here(&self.sight()) else { return Vec::new() };
        let title: Arc<str> =
            self.timeline.slot(self.panes.timeline.selected).and_then(|slot| slot.event()).map_or_else(|| "".into(), |event| event.title.clone());
        let marks = &mut self.panes.timeline.bookmarks;
        match name {
            Some(name) => {
                // A name stands for one place.
                marks.retain(|_, (held, _)| **held != *name);
                marks.insert(place, (name.as_str().into(), title));
                self.say(Tone::Fine, format!("bookmarked as {name}"));
            }
            None if marks.remove(&place).is_some() => {}
            None if marks.len() >= MOST => self.say(Tone::Wrong, format!("there are {MOST} bookmarks; take some away first")),
            None => {
                marks.insert(place, ("".into(), title));
            }
        }
        vec![Effect::Keep(self.kept())]
    }

    pub(super) fn go_to_bookmark(&mut self, name: Option<&str>) {
        let Some(name) = name else {
            let choices: Vec<Choice> = self.bookmarks();
            if choices.is_empty() {
                self.say(Tone::Plain, "there is no bookmark; m sets one");
            } else {
                self.overlay = Some(Overlay::Choose(Choose::new(Of::Bookmarks, "", choices)));
            }
            return;
        };
        let found = self.panes.timeline.bookmarks.iter().find(|(_, (held, _))| **held == *name).map(|(place, _)| *place);
        match found {
            Some(place) => self.go_to_place(place),
            None => self.say(Tone::Wrong, format!("there is no bookmark {name}")),
        }
    }

    fn bookmarks(&self) -> Vec<Choice> {
        let choice = |(place, (name, title)): (&crate::console::timeline::Place, &(Arc<str>, Arc<str>))| Choice {
            text: if name.is_empty() { title.to_string() } else { format!("{name}  {title}") },
            note: place.0.zoned(&self.zone).strftime("%a %-d %b %H:%M:%S").to_string(),
            goal: Goal::Place(*place),
        };
        self.panes.timeline.bookmarks.iter().map(choice).collect()
    }

    pub(super) fn next_bookmark(&mut self) {
        let here = self.panes.timeline.here(&self.sight());
        let marks = &self.panes.timeline.bookmarks;
        let next = marks.keys().find(|place| Some(**place) > here).or_else(|| marks.keys().next()).copied();
        match next {
            Some(place) => self.go_to_place(place),
            None => self.say(Tone::Plain, "there is no bookmark; m sets one"),
        }
    }

    /// Corrects the clock of the server that is selected by what it is known to be off, or by so much; a
    /// second time takes the correction away.
    pub(super) fn correct_clock(&mut self, by: Option<&str>) -> Vec<Effect> {
        let server = match self.pane {
            Pane::Servers => Some(self.panes.servers.list.selected()),
            _ => self.timeline.slot(self.panes.timeline.selected).map(|slot| slot.server),
        };
        let Some((server, link)) = server.and_then(|server| Some((server, self.links.get(server)?))) else { return Vec::new() };
        let name = link.name.clone();
        let by = match by {
            Some(text) => match read_correction(text) {
                Some(micros) => micros,
                None => {
                    self.say(Tone::Wrong, format!("`{}` is no correction; write it like 90s, -2m or off", text.chars().take(40).collect::<String>()));
                    return Vec::new();
                }
            },
            None if self.timeline.shift(server) != 0 => 0,
            None => match link.skew {
                Some(skew) if skew.saturating_abs() >= AGREE.micros() => -skew,
                Some(_) => {
                    self.say(Tone::Plain, format!("the clock of {name} agrees with ours; clock-correct -2m corrects it all the same"));
                    return Vec::new();
                }
                None => {
                    self.say(Tone::Plain, format!("the clock of {name} is not known; clock-correct -2m corrects it"));
                    return Vec::new();
                }
            },
        };
        self.timeline.set_shift(server, by);
        let words = match by {
            0 => format!("{name}: its own times again"),
            by => format!("{name}: {} is {} its times", Span::from_micros(by.saturating_abs()), if by > 0 { "added to" } else { "taken from" }),
        };
        self.say(Tone::Plain, words);
        let mut effects = vec![Effect::Keep(self.kept())];
        if let Some(at) = self.away.as_ref().map(|away| away.at) {
            // Its past is another one by the corrected clock.
            effects.extend(self.travel(at));
        }
        effects
    }
}

fn read_correction(text: &str) -> Option<i64> {
    let text = text.trim();
    if text == "off" {
        return Some(0);
    }
    let (sign, rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    let span: Span = rest.parse().ok()?;
    (span <= Span::from_days(400)).then_some(sign * span.micros())
}
