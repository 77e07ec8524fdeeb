//! Find anything: what has a name at once, events as they are looked through between frames, and what the
//! servers' indexes know of the words, a moment after the last of them was typed.

use crate::command::{COMMANDS, Palette, Pane};
use crate::console::effect::Effect;
use crate::console::message::Entry;
use crate::console::overlay::Overlay;
use crate::console::overlay::choose::{Choice, Choose, EVENTS, Goal, Of};
use crate::console::sight::LinkState;
use crate::console::state::State;
use crate::model::event::{Actor, Event};
use crate::model::filter::Filter;
use crate::model::id::{EventId, SystemRef};
use crate::model::time::{Span, Time};

/// Events between two looks at the clock: a frame does not wait for a million.
const STEP: usize = 256;
/// Events that are asked of each server.
const MOST: u32 = 100;
/// How long after the last key the servers are asked.
const REST: Span = Span::from_millis(150);

/// How far the search through events has come.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Hunt {
    /// What is searched for.
    words: String,
    /// Events that are held, counted from the newest, that were looked at.
    examined: usize,
    /// When the servers are to be asked.
    ask_at: Option<Span>,
}

impl State {
    /// Everything that has a name.
    pub(super) fn everything(&self) -> Vec<Choice> {
        let mut out = Vec::new();
        out.extend(self.rows.iter().map(|row| Choice {
            text: format!("{}  {}", row.name, row.title),
            note: format!("alert, {}", row.severity),
            goal: Goal::Alert(row.alert),
        }));
        let mut people: Vec<String> = Vec::new();
        for (index, seen) in self.sky.servers.iter().enumerate() {
            out.push(Choice { text: seen.name.to_string(), note: "server".to_owned(), goal: Goal::Server(index) });
            for (id, system) in &seen.world.systems {
                let name = self.sky.name_of(index, id);
                let note = if system.spec.title.is_empty() { "system".to_owned() } else { format!("system, {}", system.spec.title) };
                out.push(Choice { text: name.clone(), note, goal: Goal::System(SystemRef { origin: seen.world.origin, id: id.clone() }) });
                let runbooks = system.spec.runbooks.iter();
                out.extend(runbooks.map(|link| Choice {
                    text: link.name.to_string(),
                    note: format!("runbook of {name}"),
                    goal: Goal::Web(link.url.to_string()),
                }));
            }
            let acted = seen.world.deeds.iter().filter_map(|deed| if let Actor::User(name) = &deed.by { Some(name.to_string()) } else { None });
            people.extend(acted);
        }
        people.sort();
        people.dedup();
        out.extend(people.into_iter().map(|name| Choice { text: name.clone(), note: "person, what they did".to_owned(), goal: Goal::Person(name) }));
        out.extend(self.views.iter().map(|view| Choice {
            text: view.name.clone(),
            note: format!("view, {}", view.words()),
            goal: Goal::View(view.name.clone()),
        }));
        out.extend(Pane::ALL.into_iter().map(|pane| Choice { text: pane.title().to_owned(), note: "pane".to_owned(), goal: Goal::Pane(pane) }));
        let commands = COMMANDS.iter().filter(|entry| entry.palette == Palette::Shown && entry.is_available(self.pane, self.read_only));
        out.extend(commands.map(|entry| Choice {
            text: entry.name.to_owned(),
            note: format!("command, {}", entry.sentence),
            goal: Goal::Command(entry.name, entry.argument.is_some_and(|argument| argument.required)),
        }));
        out
    }

    fn finding(&mut self) -> Option<&mut Choose> {
        match &mut self.overlay {
            Some(Overlay::Choose(choose)) if choose.of == Of::Anything => Some(choose),
            Some(_) | None => None,
        }
    }

    /// What is typed has changed: events are looked through anew, and the servers asked in a moment.
    pub(super) fn hunt(&mut self) {
        let ask_at = Some(Span::from_micros(self.mono.micros() + REST.micros()));
        let Some(choose) = self.finding() else { return };
        let words = choose.input.text().trim().to_owned();
        self.hunt = Hunt { ask_at: ask_at.filter(|_| words.len() >= 2), words, examined: 0 };
    }

    /// Whether there are events that were not looked at yet.
    pub(in crate::console) fn is_hunting(&self) -> bool {
        let open = matches!(&self.overlay, Some(Overlay::Choose(choose)) if choose.of == Of::Anything);
        open && !self.hunt.words.is_empty() && self.hunt.examined < self.timeline.held()
    }

    /// On through the events that are held, from the newest, until `patience` is over or all were looked at.
    pub(in crate::console) fn hunt_on(&mut self, clock: &impl Fn() -> Span, patience: Span) {
        if !self.is_hunting() {
            return;
        }
        let Some(Overlay::Choose(choose)) = &mut self.overlay else { return };
        let Some(mut question) = choose.question() else { return };
        let (began, mut looked) = (clock(), 0);
        let (mut name, mut found, mut floor) = (String::new(), Vec::new(), choose.floor());
        for held in self.timeline.back_from(self.hunt.examined) {
            if looked > 0 && looked % STEP == 0 && clock().micros() - began.micros() >= patience.micros() {
                break;
            }
            looked += 1;
            let Some(held) = held else { continue };
            let mut rank = None;
            held.called(&mut |system, title| {
                name.clear();
                write_name(&mut name, system, title);
                rank = question.rank_event(&name, held.at(), floor);
            });
            if let Some(rank) = rank
                && let Some(event) = held.event()
            {
                found.push((rank, choice(&event)));
            }
            if found.len() >= EVENTS {
                choose.take(std::mem::take(&mut found));
                floor = choose.floor();
            }
        }
        choose.take(found);
        // No more came than there were: all that is held was looked at.
        self.hunt.examined += looked.max(1);
    }

    /// When the servers are to be asked, if they are.
    pub(in crate::console) fn hunt_asks_at(&self) -> Option<Span> {
        let open = matches!(&self.overlay, Some(Overlay::Choose(choose)) if choose.of == Of::Anything);
        self.hunt.ask_at.filter(|_| open)
    }

    /// The servers' indexes are asked once what is typed rests.
    pub(super) fn hunt_wants(&mut self) -> Vec<Effect> {
        if self.hunt_asks_at().is_none_or(|at| at > self.mono) {
            return Vec::new();
        }
        self.hunt.ask_at = None;
        let words = self.hunt.words.clone();
        let up = self.links.iter().enumerate().filter(|(_, link)| link.state == LinkState::Up);
        up.map(|(server, _)| Effect::Search { server, words: words.clone(), most: MOST }).collect()
    }

    /// A server's index answered. What was asked for other words comes too late.
    pub(super) fn hunted(&mut self, words: &str, entries: &[Entry]) {
        if self.hunt.words != words {
            return;
        }
        // Away, what is later is not found either.
        let by_then = entries.iter().filter(|entry| !self.timeline.is_later((entry.at, entry.id)));
        let found: Vec<Choice> = by_then.filter_map(|entry| entry.event.event()).map(|event| choice(&event)).collect();
        if let Some(choose) = self.finding() {
            choose.add(found);
        }
    }

    /// What somebody did, on the timeline.
    pub(super) fn show_person(&mut self, name: &str) {
        self.show(Pane::Timeline);
        let quoted = name.replace('\\', "\\\\").replace('"', "\\\"");
        match Filter::new(&format!("by:\"{quoted}\""), self.now, &self.zone) {
            Ok(filter) => self.set_filter(Some(filter)),
            Err(error) => self.say(crate::console::state::Tone::Wrong, error.to_string()),
        }
        self.follow();
    }

    /// An event; what is not held here is asked for.
    pub(super) fn show_event(&mut self, id: EventId, at: Time) {
        self.timeline.set_filter(None);
        if !self.go_to_event(id) {
            self.go_to_place((at, id));
        }
    }
}

/// What an event is found by.
fn write_name(name: &mut String, system: &str, title: &str) {
    if !system.is_empty() {
        name.push_str(system);
        name.push_str("  ");
    }
    name.push_str(title);
}

fn choice(event: &Event) -> Choice {
    let mut text = String::new();
    write_name(&mut text, event.system.as_ref().map_or("", |system| system.as_str()), &event.title);
    Choice { text, note: format!("event, {}", event.severity), goal: Goal::Event(event.id, event.at) }
}
